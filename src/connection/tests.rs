//! Connections over real sockets, without Node: the behaviour of a peer, and the reported events.

use super::{
    Config, Connection, Environment as Shared, Event, NEXT_ID, SlowConsumer, WriteOutcome,
};
use crate::transport::Stream;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// The events of an environment, as texts.
struct Environment {
    shared: Arc<Shared>,
    woken: Receiver<()>,
    reported: Vec<String>,
    /// The number of time slices that it needs for a batch.
    slices: u32,
}

impl Environment {
    fn new() -> Self {
        let (wake, woken) = channel();
        let wake = parking_lot::Mutex::new(wake);
        Self {
            shared: Shared::new(
                Box::new(move || {
                    let _ = wake.lock().send(());
                }),
                None,
            ),
            woken,
            reported: Vec::new(),
            slices: 0,
        }
    }

    fn take(&mut self) {
        while let Some(batch) = self.shared.take() {
            let mut text = batch.text.as_slice();
            let mut lengths = batch.lengths.iter();
            for event in &batch.events {
                match event {
                    Event::Frames { count, .. } => {
                        for length in lengths.by_ref().take(*count as usize) {
                            let (frame, after) = text.split_at(length.bytes());
                            text = after;
                            self.reported
                                .push(String::from_utf8_lossy(frame).into_owned());
                        }
                    }
                    Event::LargeFrame { bytes, .. } => {
                        self.reported.push(format!("{} bytes", bytes.len()));
                    }
                    Event::Ended(_) => self.reported.push("(end)".into()),
                    Event::Failed { error, .. } => self.reported.push(format!("({error:?})")),
                    Event::TooLarge { limit, .. } => self.reported.push(format!("(over {limit})")),
                    Event::Flushed { .. } => {}
                    other => panic!("unexpected event {other:?}"),
                }
            }
            self.shared.queue().recycle(batch);
            self.shared.queue().delivered(self.slices);
        }
    }

    /// Takes events until there are `count` texts.
    fn wait_for(&mut self, count: usize) -> &[String] {
        let began = Instant::now();
        loop {
            self.take();
            if self.reported.len() >= count {
                return &self.reported;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{} of {count}",
                self.reported.len()
            );
            let _ = self.woken.recv_timeout(Duration::from_millis(50));
        }
    }
}

fn pair(domain: Domain) -> (Socket, Socket) {
    if domain == Domain::UNIX {
        return Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    (near.into(), far.into())
}

fn open(domain: Domain, config: Config) -> (Environment, Arc<Connection>, Socket) {
    let environment = Environment::new();
    let (connection, far) = connect(&environment, domain, config);
    (environment, connection, far)
}

fn connect(environment: &Environment, domain: Domain, config: Config) -> (Arc<Connection>, Socket) {
    let (near, far) = pair(domain);
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    let connection = Connection::open(
        Stream::new(near).unwrap(),
        Arc::new(config),
        Arc::clone(&environment.shared),
        None,
    );
    connection.start(false);
    (connection, far)
}

fn small_marks(slow_consumer: SlowConsumer) -> Config {
    Config {
        send_high_water_mark: 100_000,
        receive_high_water_mark: 1000,
        slow_consumer,
        ..Config::for_tests()
    }
}

#[test]
fn frames_come_in_order_and_the_end_after_them() {
    for domain in [Domain::UNIX, Domain::IPV4] {
        let (mut environment, _connection, mut peer) =
            open(domain, small_marks(SlowConsumer::Wait));
        let writer = std::thread::spawn(move || {
            for number in 0..20_000 {
                peer.write_all(format!("{number}\n").as_bytes()).unwrap();
            }
            peer.shutdown(Shutdown::Write).unwrap();
            peer
        });
        let reported = environment.wait_for(20_001);
        assert!(
            reported[..20_000]
                .iter()
                .enumerate()
                .all(|(n, text)| *text == n.to_string())
        );
        assert_eq!(reported[20_000], "(end)");
        drop(writer.join().unwrap());
    }
}

#[test]
fn a_reader_that_stopped_at_the_mark_goes_on_when_all_is_taken() {
    let (mut environment, connection, mut peer) =
        open(Domain::UNIX, small_marks(SlowConsumer::Wait));
    let frame = [vec![b'x'; 500], vec![b'\n']].concat();
    for round in 1..200 {
        peer.write_all(&frame.repeat(20)).unwrap();
        environment.wait_for(20 * round);
    }
    assert_eq!(connection.counters().bytes_in, 199 * 20 * 501);
}

/// Sends `frames` numbered frames of 100 bytes, then ends, and waits until all of them are read.
fn flood(connection: &Arc<Connection>, peer: Socket, frames: usize) {
    let mut peer = peer;
    for number in 0..frames {
        peer.write_all(format!("{number:099}\n").as_bytes())
            .unwrap();
    }
    peer.shutdown(Shutdown::Write).unwrap();
    let began = Instant::now();
    while connection.counters().bytes_in < 100 * frames as u64 {
        assert!(began.elapsed() < PATIENCE, "it is not read");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_quiet_connection_waits_for_one_turn_of_the_others_and_not_for_all_their_bytes() {
    const FRAMES: usize = 5000;
    let mut environment = Environment::new();
    let noisy: Vec<_> = (0..8)
        .map(|_| {
            let (connection, peer) = connect(&environment, Domain::IPV4, Config::for_tests());
            flood(&connection, peer, FRAMES);
            connection
        })
        .collect();
    let (quiet, mut peer) = connect(&environment, Domain::UNIX, Config::for_tests());
    peer.write_all(b"a word\n").unwrap();
    while quiet.counters().bytes_in == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    environment.wait_for(8 * FRAMES + 9);
    let place = environment
        .reported
        .iter()
        .position(|reported| reported == "a word");
    // A turn has 500 frames of this size.
    assert!(place.unwrap() < 8 * 600, "{place:?}");
    drop(noisy);
}

#[test]
fn frames_of_a_connection_keep_their_order_through_turns_of_any_length() {
    for slices in [0, 2, 7, 1000] {
        let (mut environment, connection, peer) = open(Domain::IPV4, Config::for_tests());
        environment.slices = slices;
        flood(&connection, peer, 8000);
        let reported = environment.wait_for(8001);
        assert!(
            reported[..8000]
                .iter()
                .enumerate()
                .all(|(number, text)| text.parse() == Ok(number))
        );
        assert_eq!(reported[8000], "(end)");
    }
}

#[test]
fn turns_get_as_short_as_a_slow_program_needs_and_grow_again() {
    const FRAMES: usize = 8000;
    let (environment, connection, peer) = open(Domain::IPV4, Config::for_tests());
    flood(&connection, peer, FRAMES);
    let took = |slices| {
        let batch = environment.shared.take().unwrap();
        let frames = batch.lengths.len();
        environment.shared.queue().recycle(batch);
        environment.shared.queue().delivered(slices);
        frames
    };
    let fast = took(50);
    // The next batch was queued before.
    took(50);
    let slow = took(0);
    assert!(slow <= fast / 10, "{slow} of {fast}");
    let lengths: Vec<_> = (0..12).map(|_| took(0)).collect();
    assert!(lengths.iter().max() > Some(&(8 * slow)), "{lengths:?}");
}

#[test]
fn nothing_is_read_after_a_frame_over_the_limit() {
    let config = Config {
        max_message_size: 100,
        ..Config::for_tests()
    };
    let (mut environment, connection, mut peer) = open(Domain::UNIX, config);
    peer.write_all(format!("before\n{}\nbehind\n", "x".repeat(101)).as_bytes())
        .unwrap();
    assert_eq!(environment.wait_for(2), ["before", "(over 100)"]);
    // The connection may have been closed already.
    let _ = peer.write_all(b"more\n");
    connection.close();
    environment.take();
    assert_eq!(environment.reported.len(), 2);
}

#[test]
fn messages_for_a_slow_consumer_are_refused_or_it_is_disconnected() {
    let message = vec![b'm'; 50_000];
    for policy in [SlowConsumer::Drop, SlowConsumer::Disconnect] {
        let (mut environment, connection, _peer) = open(Domain::UNIX, small_marks(policy));
        let began = Instant::now();
        while connection.write(&message) != WriteOutcome::Refused {
            assert!(began.elapsed() < PATIENCE);
        }
        if policy == SlowConsumer::Disconnect {
            assert_eq!(environment.wait_for(1), ["(SlowConsumer)"]);
            assert_eq!(connection.write(&message), WriteOutcome::Closed);
            assert_eq!(connection.counters().queued, 0);
        } else {
            assert!(connection.counters().queued <= 150_000);
        }
    }
}

#[test]
fn bytes_that_a_peer_sent_before_it_closed_are_reported_although_writing_failed() {
    // The messages exceed the mark, so that the reader must wait for the environment in between.
    let (mut environment, connection, mut peer) =
        open(Domain::UNIX, small_marks(SlowConsumer::Wait));
    let frame = [vec![b'x'; 99], vec![b'\n']].concat();
    peer.write_all(&frame.repeat(500)).unwrap();
    drop(peer);
    while connection.write(b"anybody there?\n") != WriteOutcome::Closed {}
    let reported = environment.wait_for(501);
    assert!(reported[..500].iter().all(|text| text.len() == 99));
    assert!(reported[500].starts_with('('));
}

#[test]
fn a_pong_that_has_to_wait_delays_no_other_bytes() {
    let (mut environment, connection, mut peer) =
        open(Domain::UNIX, small_marks(SlowConsumer::Wait));
    peer.set_nonblocking(true).unwrap();
    // The peer reads nothing until the kernel takes no more pongs.
    let ping = b"{\"type\":\"SockhopPing\",\"data\":{\"_id\":\"1\"}}\n".repeat(50);
    let began = Instant::now();
    while connection.counters().queued == 0 {
        assert!(began.elapsed() < PATIENCE, "the pongs went somewhere");
        match peer.write(&ping) {
            Ok(count) => {
                // Complete a ping that was cut in two.
                if count < ping.len() {
                    let _ = peer.write(&ping[count..]);
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    peer.set_nonblocking(false).unwrap();
    let mut pongs = vec![0; 1 << 20];
    while connection.counters().queued > 0 {
        assert!(began.elapsed() < PATIENCE, "the pongs are not written");
        assert!(peer.read(&mut pongs).unwrap() > 0);
    }
    assert!(matches!(
        connection.write(b"a word\n"),
        WriteOutcome::Written | WriteOutcome::Waiting(_)
    ));
    environment.take();
}

#[test]
fn a_ping_whose_beginning_the_program_read_counts_no_more_bytes_than_were_received() {
    let (mut environment, connection, mut peer) =
        open(Domain::UNIX, small_marks(SlowConsumer::Wait));
    connection.begin_frame(br#"{"type":"SockhopPing","data":{"_id":"1","#);
    peer.write_all(b"\"_created\":null}}\n{}\n").unwrap();
    assert_eq!(environment.wait_for(1), ["{}"]);
    assert!(connection.due_ping().is_some());
}

#[test]
fn the_pongs_of_a_read_leave_together() {
    const PINGS: usize = 1000;
    let (_environment, connection, mut peer) = open(Domain::UNIX, Config::for_tests());
    peer.write_all(&b"{\"type\":\"SockhopPing\",\"data\":{\"_id\":\"1\"}}\n".repeat(PINGS))
        .unwrap();
    let mut pongs = 0;
    let mut bytes = vec![0; 64 * 1024];
    while pongs < PINGS {
        let count = peer.read(&mut bytes).unwrap();
        pongs += memchr::memchr_iter(b'\n', &bytes[..count]).count();
    }
    assert!(connection.writes() < 50, "{}", connection.writes());
}

#[test]
fn a_peer_gets_all_bytes_after_an_orderly_end_however_much_it_sends() {
    let (_environment, connection, mut peer) = open(Domain::IPV4, small_marks(SlowConsumer::Wait));
    let sent = vec![b'y'; 50_000];
    assert_eq!(connection.write(&sent), WriteOutcome::Written);
    connection.end();
    connection.close();
    // This is longer than the time for a connection that was destroyed.
    let mut talker = peer.try_clone().unwrap();
    for _ in 0..15 {
        talker.write_all(b"still talking\n").unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), sent.len());
}

#[test]
fn ids_are_not_reused_after_2_to_the_32_connections() {
    let (environment, first, _peer) = open(Domain::UNIX, small_marks(SlowConsumer::Wait));
    let again = first.id() + (1 << 32);
    NEXT_ID.fetch_max(again, Ordering::Relaxed);
    let (near, _far) = pair(Domain::UNIX);
    let second = Connection::open(
        Stream::new(near).unwrap(),
        Arc::new(Config::for_tests()),
        Arc::clone(&environment.shared),
        None,
    );
    assert!(second.id() >= again, "{}", second.id());
    // Both are registered, and the end of one does not remove the other.
    assert_eq!(environment.shared.connection_count(), 2);
    second.close();
    assert_eq!(environment.shared.connection_count(), 1);
}

#[test]
fn closing_twice_is_closing_once() {
    let (mut environment, connection, mut peer) =
        open(Domain::UNIX, small_marks(SlowConsumer::Wait));
    connection.close();
    connection.reset();
    connection.close();
    assert_eq!(connection.write(b"too late\n"), WriteOutcome::Closed);
    assert_eq!(connection.end(), WriteOutcome::Closed);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    environment.take();
    assert!(environment.reported.is_empty());
}
