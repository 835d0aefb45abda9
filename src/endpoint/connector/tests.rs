use super::{Address, ConnectError, Failures, RawSocket, race, refuse_itself};
use crate::events::runtime;
use crate::transport::socket::{begin, new_socket};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);

/// A listening socket with a full queue: it neither accepts nor refuses further connections.
fn silent() -> (Socket, Vec<Socket>, Address) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let endpoint = Address::Inet(address);
    let mut waiting = Vec::new();
    loop {
        let socket = new_socket(&endpoint).unwrap();
        let answered = begin(&socket, &endpoint).unwrap();
        waiting.push(socket);
        if !answered {
            return (listener, waiting, endpoint);
        }
        assert!(waiting.len() < 100, "the queue never filled");
    }
}

fn refused() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Address::Inet(listener.local_addr().unwrap())
}

fn run(endpoints: &[Address], pace: Duration) -> Result<Option<(u32, RawSocket)>, Failures> {
    let begin = |endpoint: &Address| Ok(Some(RawSocket::connect(endpoint, false)?.0));
    runtime::start()
        .unwrap()
        .block_on(race(endpoints, pace, None, begin))
}

#[test]
fn an_address_that_does_not_answer_does_not_delay_the_next_one() {
    let (_listener, _waiting, silent) = silent();
    let good = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = [silent, Address::Inet(good.local_addr().unwrap())];
    let found = run(&endpoints, Duration::from_millis(250));
    assert_eq!(found.unwrap().unwrap().0, 1);
}

#[test]
fn after_a_refusal_the_next_address_is_tried_at_once() {
    let good = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = [refused(), Address::Inet(good.local_addr().unwrap())];
    assert_eq!(run(&endpoints, LONG).unwrap().unwrap().0, 1);
}

#[test]
fn an_attempt_fails_with_the_errors_of_all_addresses() {
    let failures = run(&[refused(), refused()], LONG).unwrap_err();
    let indices: Vec<_> = failures.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [0, 1]);
    assert!(failures.iter().all(
        |(_, error)| matches!(error, ConnectError::System(error) if error.syscall == "connect")
    ));
    assert!(run(&[], LONG).unwrap_err().is_empty());
}

#[test]
fn a_client_that_is_connected_to_itself_is_refused() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let own = socket.local_addr().unwrap();
    // TCP's simultaneous open, with itself.
    socket.connect(&own).unwrap();
    assert_eq!(refuse_itself(Some(&socket)), Err(ConnectError::Itself));
    drop(socket);
    // A server can bind the port at once.
    let server = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    server.bind(&own).unwrap();
}
