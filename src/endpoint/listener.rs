//! Accepts connections at one address.

use super::handshake::{AcceptedHandshake, Adopted, ListenerTls};
use super::loopback::{AcceptGate, ListenerRegistry};
use super::tls_acceptor::TlsAcceptor;
use crate::connection::completion::CompletionGuard;
use crate::connection::config::Config;
use crate::connection::{Connection, Environment, Event};
use crate::events::poller::PolledListener;
use crate::events::runtime;
use crate::trace;
use crate::transport::address::{Address, reaches};
use crate::transport::descriptor_quota::DescriptorQuota;
use crate::transport::error::SystemError;
use crate::transport::socket::is_same;
use crate::transport::system::{BoundSocket, ListeningSocket, SocketFile};
use crate::transport::{ListenOptions, Listening, Stream};
use parking_lot::Mutex;
use socket2::{SockAddr, Socket};
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// The most connections accepted before others get their turn.
const ACCEPT_BATCH: usize = 64;
/// The most connections that a client of the same environment accepts to find its own. This is the
/// default limit of the kernel's queue.
const MOST_AHEAD: usize = 4096;
/// The pause after the system had no descriptor or memory for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The open listeners of one JavaScript environment.
pub type LocalListeners = ListenerRegistry<Listener>;

/// Accepts connections at one address.
pub struct Listener {
    id: u64,
    address: Address,
    config: Arc<Config>,
    environment: Arc<Environment>,
    /// All open listeners of the environment.
    listeners: Arc<LocalListeners>,
    gate: AcceptGate<ListeningSocket>,
    /// Whether other code accepts the connections at the address.
    is_lent: bool,
    /// Accepts connections that the poller does not watch for.
    task: Mutex<Option<AbortHandle>>,
    /// `max_connections`, and the descriptors that count against it.
    quota: Arc<DescriptorQuota>,
    /// Every open connection of this listener holds a reference, and every handshake.
    permits: Arc<()>,
    /// Secures the connections; `None` without TLS.
    tls: Option<ListenerTls>,
    /// The system had no descriptor for the last connection, and that was reported.
    shortage_reported: AtomicBool,
    /// How many connections it has accepted.
    accepted: Arc<AtomicU64>,
    /// The file of the Unix socket that it has bound, until it is removed.
    file: Mutex<Option<SocketFile>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("id", &self.id)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The address of a client; a pipe has none.
type PeerAddress = Option<SockAddr>;

/// The connections that wait in the kernel, for the code that holds the listener's gate.
pub(crate) struct AcceptQueue<'a> {
    listener: &'a Listener,
    socket: &'a ListeningSocket,
}

/// Binds `address`, to listen there.
pub fn bind(address: &Address, options: &ListenOptions) -> io::Result<Listening> {
    // Windows needs the context of the runtime.
    #[cfg(windows)]
    let _context = runtime::start()?.enter();
    Listening::bind(address, options)
}

impl Listener {
    /// Accepts from now on. The events carry `id`.
    ///
    /// # Errors
    /// A system error, with the system call `listen`, as Node reports it for all steps.
    pub fn listen(
        id: u64,
        listening: Listening,
        config: Arc<Config>,
        environment: Arc<Environment>,
        listeners: Arc<LocalListeners>,
        tls: Option<Arc<TlsAcceptor>>,
    ) -> Result<Arc<Self>, SystemError> {
        let failed = |error: io::Error| SystemError::new("listen", &error);
        let Listening {
            socket,
            address,
            file,
        } = listening;
        let listener = match Self::watched(socket, &environment, tls.is_some()) {
            Ok(socket) => Self::new(
                id,
                address,
                Some(socket),
                config,
                environment,
                listeners,
                tls,
            ),
            Err(error) => {
                file.map(SocketFile::remove);
                return Err(failed(error));
            }
        };
        *listener.file.lock() = file;
        if !listener.listeners.add(&listener) {
            listener.close();
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        trace::event!(DEBUG, id, address = ?listener.address, "listening");
        if let Err(error) = listener.watch() {
            listener.close();
            return Err(failed(error));
        }
        Ok(listener)
    }

    /// Begins to accept connections.
    fn watch(self: &Arc<Self>) -> io::Result<()> {
        let poller = self.environment.poller().filter(|_| self.tls.is_none());
        if let Some(poller) = poller {
            return self
                .gate
                .hold(|socket| socket.map_or(Ok(()), |socket| poller.add_listener(self, socket)));
        }
        let task = runtime::spawn(accept_loop(Arc::downgrade(self)))?;
        *self.task.lock() = Some(task);
        Ok(())
    }

    /// A listener whose connections are accepted elsewhere and may be handed to
    /// [`adopt`](Self::adopt). It owns the address and the file of `listening`.
    ///
    /// # Errors
    /// The runtime could not start, or the environment ends.
    pub fn elsewhere(
        id: u64,
        listening: Option<Listening>,
        config: Arc<Config>,
        environment: Arc<Environment>,
        listeners: Arc<LocalListeners>,
        tls: Option<Arc<TlsAcceptor>>,
    ) -> Result<Arc<Self>, SystemError> {
        runtime::start().map_err(|error| SystemError::new("listen", &error))?;
        let (address, socket, file) = match listening {
            None => (Address::Unix(None), None, None),
            Some(bound) => {
                let socket = ListeningSocket::lend(bound.socket)
                    .map_err(|error| SystemError::new("listen", &error))?;
                (bound.address, Some(socket), bound.file)
            }
        };
        let listener = Self::new(id, address, socket, config, environment, listeners, tls);
        *listener.file.lock() = file;
        if !listener.listeners.add(&listener) {
            listener.close();
            let error = io::ErrorKind::InvalidInput.into();
            return Err(SystemError::new("listen", &error));
        }
        Ok(listener)
    }

    fn new(
        id: u64,
        address: Address,
        socket: Option<ListeningSocket>,
        config: Arc<Config>,
        environment: Arc<Environment>,
        listeners: Arc<LocalListeners>,
        tls: Option<Arc<TlsAcceptor>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            address,
            config,
            environment,
            listeners,
            is_lent: socket.as_ref().is_some_and(ListeningSocket::is_lent),
            gate: AcceptGate::new(socket),
            task: Mutex::new(None),
            quota: DescriptorQuota::new(),
            permits: Arc::new(()),
            tls: tls.map(ListenerTls::new),
            shortage_reported: AtomicBool::new(false),
            accepted: Arc::default(),
            file: Mutex::new(None),
        })
    }

    fn watched(
        socket: BoundSocket,
        environment: &Environment,
        is_secure: bool,
    ) -> io::Result<ListeningSocket> {
        // Registering a socket needs the runtime's context.
        let _context = runtime::start()?.enter();
        // With TLS the event loop has nothing to do before the handshake is done.
        ListeningSocket::new(socket, environment.poller().is_some() && !is_secure)
    }

    /// Takes over a connection that was accepted elsewhere, and from which nothing was read.
    ///
    /// # Errors
    /// A system error if the socket cannot be served.
    pub fn adopt(&self, socket: Socket) -> io::Result<Adopted> {
        if socket.r#type()? != socket2::Type::STREAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.is_full() {
            return Ok(Adopted::Refused);
        }
        let stream = Stream::new(socket)?;
        match &self.tls {
            None => Ok(Adopted::Open(self.open(stream))),
            Some(tls) => {
                self.secure(stream, tls)?;
                Ok(Adopted::Securing)
            }
        }
    }

    fn is_full(&self) -> bool {
        self.quota.is_exhausted(self.connection_count())
    }

    fn open(&self, stream: Stream) -> Arc<Connection> {
        Connection::open(
            stream.with_quota(&self.quota),
            Arc::clone(&self.config),
            Arc::clone(&self.environment),
            Some(self.permit()),
        )
    }

    fn permit(&self) -> CompletionGuard {
        Arc::clone(&self.permits) as CompletionGuard
    }

    /// Begins the TLS handshake of an accepted connection.
    fn secure(&self, stream: Stream, tls: &ListenerTls) -> io::Result<()> {
        let handshake = AcceptedHandshake {
            listener: self.id,
            config: Arc::clone(&self.config),
            environment: Arc::clone(&self.environment),
            permit: self.permit(),
            accepted: Arc::clone(&self.accepted),
        };
        tls.begin(handshake, stream.with_quota(&self.quota))
    }

    /// The address, with the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Limits the number of open connections.
    pub fn set_max_connections(&self, max: usize) {
        self.quota.set_max(max);
    }

    /// Whether a connection to `target` reaches this listener and is open at once, as far as this
    /// environment knows.
    pub(crate) fn is_at(&self, target: &Address) -> bool {
        if self.tls.is_some() || self.is_lent {
            return false;
        }
        match (target, &self.address) {
            (Address::Inet(target), Address::Inet(bound)) => reaches(target, bound),
            (Address::Unix(target), Address::Unix(bound)) => target.is_some() && target == bound,
            _ => false,
        }
    }

    /// The number of open connections that it accepted.
    pub fn connection_count(&self) -> usize {
        Arc::strong_count(&self.permits) - 1
    }

    /// Duplicates the descriptor of the listening socket. `None`: it is closed, or other code
    /// accepts.
    #[cfg(unix)]
    pub fn duplicate(&self) -> Option<OwnedFd> {
        self.hold(|queue| queue?.socket.as_fd().try_clone_to_owned().ok())
    }

    /// Stops accepting and frees the address. Connections stay open.
    pub fn close(&self) {
        self.listeners.remove(self);
        if let Some(tls) = &self.tls {
            tls.close();
        }
        let Some(socket) = self.gate.close() else {
            return;
        };
        if let Some(poller) = self.environment.poller() {
            poller.remove_listener(self.id, &socket);
        }
        // This closes the descriptor, because this is the only reference.
        drop(socket);
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
        self.remove_file();
    }

    /// Removes the file of the Unix socket, so that no further client finds it.
    fn remove_file(&self) {
        let file = self.file.lock().take();
        file.map(SocketFile::remove);
    }

    /// Closes the listener. Before that, accepts the connections that the kernel has completed,
    /// which it would otherwise reset. Returns how many connections the listener has accepted in
    /// all.
    pub fn close_after_accepting(&self) -> u64 {
        self.remove_file();
        // Windows accepts in the context of the runtime.
        let _context = runtime::start().ok().map(Handle::enter);
        // Bounded, because clients may connect without end.
        for _ in 0..MOST_AHEAD / ACCEPT_BATCH {
            if self.accept() != Ok(false) {
                break;
            }
        }
        self.close();
        self.accepted.load(Ordering::Relaxed)
    }

    /// Calls `f` while no other thread accepts; with `None` if the listener is closed.
    pub(crate) fn hold<R>(&self, f: impl FnOnce(Option<AcceptQueue<'_>>) -> R) -> R {
        self.gate.hold(|socket| {
            f(socket.map(|socket| AcceptQueue {
                listener: self,
                socket,
            }))
        })
    }

    /// Accepts and reports waiting connections. Returns whether none is left.
    fn accept(&self) -> Result<bool, SystemError> {
        self.hold(|queue| queue.map_or(Ok(true), AcceptQueue::serve))
    }

    /// Like `accept`, for the task: called when the runtime finds that a connection waits.
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Option<Result<bool, SystemError>>> {
        self.gate.hold(|socket| {
            let Some(socket) = socket else {
                return Poll::Ready(None);
            };
            socket.poll_serve(context, || {
                let queue = AcceptQueue {
                    listener: self,
                    socket,
                };
                let result = queue.serve();
                let is_drained = result == Ok(true);
                (result, is_drained)
            })
        })
    }

    /// Reports, once, that the system has no descriptor or memory. Connections wait in the kernel.
    fn report_shortage(&self, error: SystemError) {
        if !self.shortage_reported.swap(true, Ordering::Relaxed) {
            self.environment.post(Event::ListenerFailed {
                listener: self.id,
                error,
            });
        }
    }

    /// Pauses watching, because the socket would be ready all the time.
    fn pause_in_loop(self: &Arc<Self>) {
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
            // The poller had room for it before, so this succeeds.
            let _ = listener.watch();
        });
    }
}

/// Closes all listeners of an environment that ends. It takes no further ones.
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
            Ok(_) => self.shortage_reported.store(false, Ordering::Relaxed),
            Err(error) => {
                self.report_shortage(error);
                self.pause_in_loop();
            }
        }
    }
}

impl AcceptQueue<'_> {
    /// Accepts and reports a batch. Returns whether none is left.
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

    /// Accepts connections until it finds the other end of `ours`, and returns that. Appends the
    /// events of all accepted connections to `events`. A client without an address is one of a
    /// pipe, and its other end is accepted next.
    pub(crate) fn accept_ours(
        &self,
        ours: Option<&SockAddr>,
        events: &mut Vec<Event>,
    ) -> Option<Arc<Connection>> {
        self.socket.expect();
        for _ in 0..MOST_AHEAD {
            // The listener reports a shortage of descriptors at its next turn.
            let peer = self.accept_one(events).ok()??;
            let is_ours = match (ours, &peer) {
                (Some(ours), Some(peer)) => is_same(ours, peer),
                (ours, peer) => ours.is_none() && peer.is_none(),
            };
            if is_ours {
                return match events.last() {
                    Some(Event::Accepted { connection, .. }) => Some(Arc::clone(connection)),
                    _ => None,
                };
            }
        }
        None
    }

    /// Accepts the connection that has waited longest, and returns the address of its peer; `None`
    /// if none waits. Appends its event.
    fn accept_one(&self, events: &mut Vec<Event>) -> Result<Option<PeerAddress>, SystemError> {
        let listener = self.listener;
        loop {
            match self.socket.accept() {
                Ok((accepted, peer)) => {
                    if listener.is_full() {
                        let local = accepted.socket().map(Socket::local_addr);
                        let local = local.and_then(Result::ok);
                        let ends = local.as_ref().zip(peer.as_ref());
                        let ends = ends.and_then(|(local, peer)| {
                            Some(Box::new((local.as_socket()?, peer.as_socket()?)))
                        });
                        events.push(Event::Refused {
                            listener: listener.id,
                            ends,
                        });
                        drop(accepted);
                    } else if let Ok(stream) = Stream::of(accepted) {
                        if let Some(tls) = &listener.tls {
                            // It only fails if there is no runtime, which listening has started.
                            let _ = listener.secure(stream, tls);
                            return Ok(Some(peer));
                        }
                        listener.accepted.fetch_add(1, Ordering::Relaxed);
                        events.push(Event::Accepted {
                            listener: listener.id,
                            connection: listener.open(stream),
                        });
                    }
                    return Ok(Some(peer));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    // The peer gave up, or a signal arrived.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => return Err(SystemError::new("accept", &error)),
                },
            }
        }
    }
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
                listener.shortage_reported.store(false, Ordering::Relaxed);
                drop(listener);
                // Other tasks get their turn, however many connections arrive.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                listener.report_shortage(error);
                drop(listener);
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

#[cfg(all(test, not(sockhop_loom)))]
mod tests;
