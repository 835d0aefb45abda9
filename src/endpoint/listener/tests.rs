use super::{
    Address, Config, Environment, Event, Listener, Listening, LocalListeners, Stream, close_all,
    runtime,
};
use crate::events::poller::Poller;
use crate::transport::socket::{begin, give_name, new_socket};
use crate::transport::{ListenOptions, Outgoing};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

fn environment(poller: bool) -> (Arc<Environment>, Arc<LocalListeners>) {
    let poller = poller.then(|| Poller::new().unwrap());
    (Environment::new(Box::new(|| {}), poller), Arc::default())
}

fn listen(
    (environment, listeners): &(Arc<Environment>, Arc<LocalListeners>),
    address: &Address,
) -> Arc<Listener> {
    let config = Arc::new(Config::for_tests());
    let environment = Arc::clone(environment);
    let listening = Listening::bind(address, &ListenOptions::default()).unwrap();
    Listener::listen(
        1,
        listening,
        config,
        environment,
        Arc::clone(listeners),
        None,
    )
    .unwrap()
}

fn any_port() -> Address {
    Address::Inet(SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn path(name: &str) -> String {
    let name = format!("sockhop-{name}-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    path.to_string_lossy().into_owned()
}

/// Blocks every thread of the runtime until the returned value is dropped.
fn busy_runtime() -> impl Drop {
    struct Release(Vec<std::sync::mpsc::Sender<()>>);
    impl Drop for Release {
        fn drop(&mut self) {
            self.0.clear();
        }
    }
    let handle = runtime::start().unwrap();
    let workers = handle.metrics().num_workers();
    let begun = Arc::new(Barrier::new(workers + 1));
    let release = (0..workers).map(|_| {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let begun = Arc::clone(&begun);
        handle.spawn(async move {
            begun.wait();
            let _ = released.recv();
        });
        release
    });
    let release = Release(release.collect());
    begun.wait();
    release
}

#[test]
fn an_address_is_free_as_soon_as_its_listener_is_closed() {
    for poller in [false, cfg!(target_os = "linux")] {
        let environment = environment(poller);
        let listener = listen(&environment, &any_port());
        let Address::Inet(bound) = listener.address().clone() else {
            panic!("a port was asked for");
        };
        // Other tests need the runtime, so it is blocked only for this.
        let busy = busy_runtime();
        listener.close();
        // SO_REUSEADDR is not set, so that an open descriptor would block the address.
        let next = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let free = next.bind(&bound.into());
        drop(busy);
        free.unwrap();
        next.listen(1).unwrap();
    }
}

#[test]
fn an_environment_that_ends_closes_its_listeners() {
    for poller in [false, cfg!(target_os = "linux")] {
        let environment = environment(poller);
        let path = path(if poller { "polled" } else { "watched" });
        let listener = listen(&environment, &Address::Unix(Some(path.clone())));
        let weak = Arc::downgrade(&listener);
        drop(listener);
        UnixStream::connect(&path).unwrap();
        let (environment, listeners) = environment;
        close_all(&listeners);
        environment.close();
        assert!(UnixStream::connect(&path).is_err());
        assert!(!std::fs::exists(&path).unwrap());
        // The runtime may hold a reference for a moment.
        let began = Instant::now();
        while weak.strong_count() > 0 {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::yield_now();
        }
        let config = Arc::new(Config::for_tests());
        let listening = Listening::bind(&any_port(), &ListenOptions::default()).unwrap();
        let late = Listener::listen(2, listening, config, environment, listeners, None);
        assert!(late.is_err(), "an environment that has ended listens");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_foreign_client_is_not_mistaken_for_one_of_the_environment() {
    let environment = environment(false);
    let place = path("foreign");
    let address = Address::Unix(Some(place.clone()));
    let listener = listen(&environment, &address);
    listener.hold(|queue| {
        let before = UnixStream::connect(&place).unwrap();
        let ours = new_socket(&address).unwrap();
        give_name(&ours, &address);
        assert!(begin(&ours, &address).unwrap());
        let after = UnixStream::connect(&place).unwrap();
        let ours = Stream::new(ours).unwrap();
        let mut events = Vec::new();
        let loopback_peer = queue
            .unwrap()
            .accept_ours(ours.name().as_ref(), &mut events)
            .unwrap();
        assert_eq!(events.len(), 2, "the one before it, and itself");
        for (mut foreign, text) in [(before, "before"), (after, "after")] {
            foreign.write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(ours.send(b"ours").unwrap(), 4);
        let mut read = [0; 16];
        let count = loopback_peer
            .with_stream(|stream| stream.recv(&mut read))
            .unwrap();
        assert_eq!(&read[..count.unwrap()], b"ours");
        for event in events {
            if let Event::Accepted { connection, .. } = event {
                connection.close();
            }
        }
    });
    listener.close();
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_reached_another_process_has_no_other_end_in_the_environment() {
    let environment = environment(false);
    let place = path("moved");
    let address = Address::Unix(Some(place.clone()));
    let listener = listen(&environment, &address);
    listener.hold(|queue| {
        let foreign = UnixStream::connect(&place).unwrap();
        // Now another process listens at the same path.
        std::fs::remove_file(&place).unwrap();
        let other = std::os::unix::net::UnixListener::bind(&place).unwrap();
        let ours = new_socket(&address).unwrap();
        give_name(&ours, &address);
        assert!(begin(&ours, &address).unwrap());
        let name = Stream::new(ours).unwrap().name().unwrap();
        let mut events = Vec::new();
        assert!(
            queue
                .unwrap()
                .accept_ours(Some(&name), &mut events)
                .is_none()
        );
        assert_eq!(events.len(), 1);
        drop((foreign, other));
    });
    listener.close();
}
