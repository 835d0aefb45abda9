//! Accepts connections at one address.

use super::loopback::{AcceptGate, ListenerRegistry};
use crate::connection::config::Config;
use crate::connection::send_queue::CompletionGuard;
use crate::connection::{Connection, Environment, Event};
use crate::events::poller::PolledListener;
use crate::events::runtime;
use crate::transport::Stream;
use crate::transport::address::{Address, reaches};
use crate::transport::descriptor_quota::DescriptorQuota;
use crate::transport::error::SystemError;
use crate::transport::socket::{new_socket, watch};
use parking_lot::Mutex;
use socket2::{SockAddr, Socket};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

/// Connections accepted before others get their turn.
const ACCEPT_BATCH: usize = 64;
/// Connections that a client of the same environment accepts at most to find its own: as many as the kernel lets wait
/// where nobody changed that, so more of them came later.
const MOST_AHEAD: usize = 4096;
/// How long to wait after the system had no descriptor or memory for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The open listeners of one JavaScript environment.
pub type LocalListeners = ListenerRegistry<Listener>;

/// A listening socket.
pub struct Listener {
    id: u64,
    address: Address,
    config: Arc<Config>,
    environment: Arc<Environment>,
    /// All open listeners of the environment.
    listeners: Arc<LocalListeners>,
    gate: AcceptGate<ListeningSocket>,
    /// Serves the door where there is no poller.
    task: Mutex<Option<AbortHandle>>,
    /// `max_connections`, and the descriptors that count against it.
    quota: Arc<DescriptorQuota>,
    /// Every connection of this listener that is not closed holds a reference.
    places: Arc<()>,
    /// The system could not give the last connection a descriptor, and that was reported.
    short: AtomicBool,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("id", &self.id)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The listening socket. Whoever closes it owns it alone: the address is free when the descriptor is closed,
/// and on some systems not before.
enum ListeningSocket {
    /// Watched by the poller.
    Polled(Socket),
    /// Watched by the runtime.
    Watched(AsyncFd<Socket>),
}

impl ListeningSocket {
    fn socket(&self) -> &Socket {
        match self {
            Self::Polled(socket) => socket,
            Self::Watched(fd) => fd.get_ref(),
        }
    }
}

/// The connections that wait in the kernel, for whoever holds the listener's gate.
pub(crate) struct AcceptQueue<'a> {
    listener: &'a Listener,
    socket: &'a Socket,
}

impl Listener {
    /// Binds `address` and accepts from now on. `id` comes back in the events.
    ///
    /// # Errors
    /// What the system says, as the system call `listen`, which is what Node calls the whole.
    pub fn listen(
        id: u64,
        address: &Address,
        backlog: i32,
        config: Arc<Config>,
        environment: Arc<Environment>,
        listeners: Arc<LocalListeners>,
    ) -> Result<Arc<Self>, SystemError> {
        let failed = |error: io::Error| SystemError::new("listen", &error);
        runtime::start().map_err(failed)?;
        let socket = new_socket(address).map_err(failed)?;
        if matches!(address, Address::Inet(_)) {
            // A port in TIME_WAIT may be bound again, as every server does.
            socket.set_reuse_address(true).map_err(failed)?;
        }
        socket
            .bind(&address.to_sock_addr().map_err(failed)?)
            .map_err(failed)?;
        socket.listen(backlog).map_err(failed)?;
        let bound = match address {
            Address::Inet(_) => {
                let bound = socket.local_addr().map_err(failed)?;
                bound
                    .as_socket()
                    .map_or_else(|| address.clone(), Address::Inet)
            }
            Address::Unix(_) => address.clone(),
        };
        let socket = if environment.poller().is_some() {
            ListeningSocket::Polled(socket)
        } else {
            // Registering a descriptor needs the runtime's context.
            let _context = runtime::start().map_err(failed)?.enter();
            ListeningSocket::Watched(watch(socket, Interest::READABLE).map_err(failed)?)
        };
        let listener = Arc::new(Self {
            id,
            address: bound,
            config,
            environment,
            listeners,
            gate: AcceptGate::new(Some(socket)),
            task: Mutex::new(None),
            quota: DescriptorQuota::new(),
            places: Arc::new(()),
            short: AtomicBool::new(false),
        });
        if !listener.listeners.add(&listener) {
            listener.close();
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        if let Err(error) = listener.watch() {
            listener.close();
            return Err(failed(error));
        }
        Ok(listener)
    }

    /// Begins to accept.
    fn watch(self: &Arc<Self>) -> io::Result<()> {
        let watched = self.gate.hold(|socket| match socket {
            Some(ListeningSocket::Polled(socket)) => {
                let poller = self.environment.poller();
                poller.map_or(Ok(()), |poller| poller.add_listener(self, socket))
            }
            _ => Ok(()),
        });
        if self.environment.poller().is_none() {
            let task = runtime::spawn(accept_loop(Arc::downgrade(self)))?;
            *self.task.lock() = Some(task);
        }
        watched
    }

    /// A listener whose connections somebody else accepts and hands to [`adopt`](Self::adopt).
    pub fn elsewhere(
        id: u64,
        config: Arc<Config>,
        environment: Arc<Environment>,
        listeners: Arc<LocalListeners>,
    ) -> Result<Arc<Self>, SystemError> {
        runtime::start().map_err(|error| SystemError::new("listen", &error))?;
        Ok(Arc::new(Self {
            id,
            address: Address::Unix(None),
            config,
            environment,
            listeners,
            gate: AcceptGate::new(None),
            task: Mutex::new(None),
            quota: DescriptorQuota::new(),
            places: Arc::new(()),
            short: AtomicBool::new(false),
        }))
    }

    /// Takes over a connection that was accepted elsewhere, and of which nothing was read. `None` if
    /// there are as many as there may be: then it is closed.
    ///
    /// # Errors
    /// What the system says if this is no socket that can be served.
    pub fn adopt(&self, socket: Socket) -> io::Result<Option<Arc<Connection>>> {
        if socket.r#type()? != socket2::Type::STREAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.is_full() {
            return Ok(None);
        }
        Ok(Some(self.open(Stream::new(socket)?)))
    }

    fn is_full(&self) -> bool {
        self.quota.is_exhausted(self.connection_count())
    }

    fn open(&self, stream: Stream) -> Arc<Connection> {
        let place: CompletionGuard = Arc::clone(&self.places) as CompletionGuard;
        Connection::open(
            stream.with_quota(&self.quota),
            Arc::clone(&self.config),
            Arc::clone(&self.environment),
            Some(place),
        )
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How many connections may be open at a time.
    pub fn set_max_connections(&self, max: usize) {
        self.quota.set_max(max);
    }

    /// Whether a connection to `target` reaches it, as far as this environment can tell.
    pub(crate) fn is_at(&self, target: &Address) -> bool {
        match (target, &self.address) {
            (Address::Inet(target), Address::Inet(bound)) => reaches(target, bound),
            (Address::Unix(target), Address::Unix(bound)) => target.is_some() && target == bound,
            _ => false,
        }
    }

    /// How many connections it accepted that are not closed.
    pub fn connection_count(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }

    /// Another descriptor of the listening socket. `None`: it is closed, or listens elsewhere.
    pub fn duplicate(&self) -> Option<OwnedFd> {
        self.hold(|queue| queue?.socket.as_fd().try_clone_to_owned().ok())
    }

    /// Accepts no more and frees the address. Connections stay.
    pub fn close(&self) {
        self.listeners.remove(self);
        let Some(socket) = self.gate.close() else {
            return;
        };
        if let Some(poller) = self.environment.poller() {
            poller.remove_listener(self.id, socket.socket());
        }
        // This closes the descriptor: but for a duplicate elsewhere, nobody else has it.
        drop(socket);
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
        if let Address::Unix(Some(path)) = &self.address {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Runs `f` while nobody else accepts; with `None` if this is closed.
    pub(crate) fn hold<R>(&self, f: impl FnOnce(Option<AcceptQueue<'_>>) -> R) -> R {
        self.gate.hold(|socket| {
            f(socket.map(|socket| AcceptQueue {
                listener: self,
                socket: socket.socket(),
            }))
        })
    }

    /// Accepts what waits, and tells of it. Answers whether nothing is left.
    fn accept(&self) -> Result<bool, SystemError> {
        self.hold(|queue| queue.map_or(Ok(true), AcceptQueue::serve))
    }

    /// The same, for the task: when the runtime finds that something waits.
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Option<Result<bool, SystemError>>> {
        self.gate.hold(|socket| {
            let Some(ListeningSocket::Watched(fd)) = socket else {
                return Poll::Ready(None);
            };
            let Ok(mut ready) = std::task::ready!(fd.poll_read_ready(context)) else {
                return Poll::Ready(None);
            };
            let queue = AcceptQueue {
                listener: self,
                socket: fd.get_ref(),
            };
            let result = queue.serve();
            if result == Ok(true) {
                ready.clear_ready();
            }
            Poll::Ready(Some(result))
        })
    }

    /// No descriptor, no memory: the queue stays in the kernel. Told once a shortage.
    fn tell_shortage(&self, error: SystemError) {
        if !self.short.swap(true, Ordering::Relaxed) {
            self.environment.post(Event::ListenerFailed {
                listener: self.id,
                error,
            });
        }
    }

    /// Not to be watched for a while: it would be ready all the time.
    fn rest_in_loop(self: &Arc<Self>) {
        let Some(poller) = self.environment.poller() else {
            return;
        };
        self.hold(|queue| {
            if let Some(AcceptQueue { socket, .. }) = queue {
                poller.remove_listener(self.id, socket);
            }
        });
        let listener = Arc::downgrade(self);
        let _ = runtime::spawn(async move {
            tokio::time::sleep(ACCEPT_RETRY).await;
            let Some(listener) = listener.upgrade() else {
                return;
            };
            // It was there before, so there is room for it.
            let _ = listener.watch();
        });
    }
}

/// Closes all listeners of an environment that ends, which takes no further ones.
pub fn close_all(listeners: &LocalListeners) {
    for listener in listeners.close() {
        listener.close();
    }
}

impl PolledListener for Listener {
    fn id(&self) -> u64 {
        self.id
    }

    fn accept_in_loop(self: Arc<Self>) {
        match self.accept() {
            Ok(_) => self.short.store(false, Ordering::Relaxed),
            Err(error) => {
                self.tell_shortage(error);
                self.rest_in_loop();
            }
        }
    }
}

impl AcceptQueue<'_> {
    /// Accepts a batch, and tells of it. Answers whether nothing is left.
    fn serve(self) -> Result<bool, SystemError> {
        let mut events = Vec::new();
        let mut result = Ok(false);
        for _ in 0..ACCEPT_BATCH {
            match self.accept_one(&mut events) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    result = Ok(true);
                    break;
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.listener.environment.queue().post_all(events);
        result
    }

    /// Accepts up to the connection that `ours` is the other end of, and answers that; what is to be reported of this
    /// and of those before it is appended to `events`.
    pub(crate) fn accept_ours(
        &self,
        ours: &SockAddr,
        events: &mut Vec<Event>,
    ) -> Option<Arc<Connection>> {
        for _ in 0..MOST_AHEAD {
            // A shortage of descriptors is the listener's to report, at its next turn.
            let peer = self.accept_one(events).ok()??;
            if is_same(ours, &peer) {
                return match events.last() {
                    Some(Event::Accepted { connection, .. }) => Some(Arc::clone(connection)),
                    _ => None,
                };
            }
        }
        None
    }

    /// Accepts the connection that has waited longest, and answers the address of its other end; `None` if there is
    /// none. Appends what is to be reported of it.
    fn accept_one(&self, events: &mut Vec<Event>) -> Result<Option<SockAddr>, SystemError> {
        let listener = self.listener;
        loop {
            match self.socket.accept() {
                Ok((accepted, peer)) => {
                    if listener.is_full() {
                        let local = accepted.local_addr().ok();
                        let local = local.and_then(|address| address.as_socket());
                        events.push(Event::Refused {
                            listener: listener.id,
                            ends: local.zip(peer.as_socket()).map(Box::new),
                        });
                        drop(accepted);
                    } else if let Ok(stream) = Stream::new(accepted) {
                        events.push(Event::Accepted {
                            listener: listener.id,
                            connection: listener.open(stream),
                        });
                    }
                    return Ok(Some(peer));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    // The peer gave up while it waited, or a signal came.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => return Err(SystemError::new("accept", &error)),
                },
            }
        }
    }
}

/// Whether two addresses are of the same socket: two that have no name are not known to be.
fn is_same(one: &SockAddr, other: &SockAddr) -> bool {
    if let (Some(one), Some(other)) = (one.as_socket(), other.as_socket()) {
        // A listener for both families writes the one in terms of the other.
        return one.ip().to_canonical() == other.ip().to_canonical() && one.port() == other.port();
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let (Some(one), Some(other)) = (one.as_abstract_namespace(), other.as_abstract_namespace()) {
        return !one.is_empty() && one == other;
    }
    false
}

async fn accept_loop(listener: Weak<Listener>) {
    loop {
        let turn = std::future::poll_fn(|context| {
            let listener = listener.upgrade();
            listener.map_or(Poll::Ready(None), |listener| listener.poll_accept(context))
        });
        let Some(result) = turn.await else {
            return;
        };
        let Some(listener) = listener.upgrade() else {
            return;
        };
        match result {
            Ok(_) => {
                listener.short.store(false, Ordering::Relaxed);
                drop(listener);
                // However many come, others have their turn.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                listener.tell_shortage(error);
                drop(listener);
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

#[cfg(all(test, not(sockhop_loom)))]
mod tests {
    use super::{
        Address, Config, Environment, Event, Listener, LocalListeners, Stream, close_all,
        new_socket, runtime,
    };
    use crate::endpoint::connector::{begin, give_name};
    use crate::events::poller::Poller;
    use crate::transport::Outgoing;
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
        Listener::listen(1, address, 16, config, environment, Arc::clone(listeners)).unwrap()
    }

    fn any_port() -> Address {
        Address::Inet(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn path(name: &str) -> String {
        let name = format!("sockhop-{name}-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        path.to_string_lossy().into_owned()
    }

    /// Has every thread of the runtime wait until what this answers is dropped.
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
            // Other tests need the runtime: it is kept busy for this only.
            let busy = busy_runtime();
            listener.close();
            // Without SO_REUSEADDR, so that a descriptor that is still open is in the way.
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
            // A turn of the runtime may have it for a moment.
            let began = Instant::now();
            while weak.strong_count() > 0 {
                assert!(began.elapsed() < Duration::from_secs(20));
                std::thread::yield_now();
            }
            let config = Arc::new(Config::for_tests());
            let late = Listener::listen(2, &any_port(), 16, config, environment, listeners);
            assert!(late.is_err(), "an environment that has ended listens");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_foreign_client_is_never_taken_for_the_environments_own() {
        let environment = environment(false);
        let place = path("foreign");
        let address = Address::Unix(Some(place.clone()));
        let listener = listen(&environment, &address);
        listener.hold(|queue| {
            let before = UnixStream::connect(&place).unwrap();
            let ours = new_socket(&address).unwrap();
            give_name(&ours, &address);
            assert!(begin(&ours, &address).unwrap());
            let behind = UnixStream::connect(&place).unwrap();
            let ours = Stream::new(ours).unwrap();
            let mut events = Vec::new();
            let loopback_peer = queue
                .unwrap()
                .accept_ours(&ours.name().unwrap(), &mut events)
                .unwrap();
            assert_eq!(events.len(), 2, "the one before it, and itself");
            for (mut foreign, text) in [(before, "before"), (behind, "behind")] {
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
    fn a_client_that_no_listener_of_the_environment_has_accepted_has_no_other_end_there() {
        let environment = environment(false);
        let place = path("moved");
        let address = Address::Unix(Some(place.clone()));
        let listener = listen(&environment, &address);
        listener.hold(|queue| {
            let foreign = UnixStream::connect(&place).unwrap();
            // Another process listens at the same path by now.
            std::fs::remove_file(&place).unwrap();
            let other = std::os::unix::net::UnixListener::bind(&place).unwrap();
            let ours = new_socket(&address).unwrap();
            give_name(&ours, &address);
            assert!(begin(&ours, &address).unwrap());
            let name = Stream::new(ours).unwrap().name().unwrap();
            let mut events = Vec::new();
            assert!(queue.unwrap().accept_ours(&name, &mut events).is_none());
            assert_eq!(events.len(), 1);
            drop((foreign, other));
        });
        listener.close();
    }
}
