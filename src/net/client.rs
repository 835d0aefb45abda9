//! The client's side of getting connected: attempts and time-outs.

use super::connection::Connection;
use super::error::SystemError;
use super::listener::{Listener, Queue};
use super::mailbox::{Event, Mailbox};
use super::runtime;
use super::settings::Settings;
use super::stream::{Address, Stream, StreamFd, new_socket, watch};
use super::tls::{self, Handshake};
use parking_lot::Mutex;
use socket2::{SockAddr, Socket};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::task::AbortHandle;

/// A place to connect to.
pub type Endpoint = Address;

/// Where a client stands.
#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// An attempt is under way.
    Connecting(AbortHandle),
    Connected(Arc<Connection>),
}

/// A client: at most one connection at a time.
#[derive(Debug)]
pub struct Client {
    id: u64,
    settings: Arc<Settings>,
    mailbox: Arc<Mailbox>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    /// Counts the attempts: the answer to an attempt that was given up is known as such.
    attempt: u32,
}

impl Client {
    /// A client that is not connected. `id` comes back in the events.
    pub fn new(id: u64, settings: Arc<Settings>, mailbox: Arc<Mailbox>) -> Arc<Self> {
        Arc::new(Self {
            id,
            settings,
            mailbox,
            inner: Mutex::default(),
        })
    }

    /// Connects to the first of `endpoints` that answers, in their order, within `timeout` over
    /// all. [`Event::Connected`] or [`Event::ConnectFailed`] follows, with the number this answers.
    ///
    /// With `tls` the connection is secure, but whether it is one with the right server is still
    /// to be looked at: see [`Stream::agreement`]. A handshake that fails is a failure of the
    /// `handshake`, and no other endpoint is tried.
    pub fn connect(
        self: &Arc<Self>,
        endpoints: Vec<Endpoint>,
        timeout: Duration,
        tls: Option<Arc<tls::Client>>,
    ) -> u32 {
        let attempt = {
            let mut inner = self.inner.lock();
            inner.attempt = inner.attempt.wrapping_add(1);
            inner.attempt
        };
        let runtime = match runtime::start() {
            Ok(runtime) => runtime,
            Err(error) => {
                self.failed(attempt, 0, Some(SystemError::new("connect", &error)));
                return attempt;
            }
        };
        // One place, as most often: begun here and now, without the hop to the runtime.
        let begun = match (&endpoints[..], &tls) {
            ([only], None) => match self.begin_one(attempt, only) {
                Ok(None) => return attempt,
                Ok(Some(socket)) => Some(socket),
                Err(error) => {
                    self.failed(attempt, 0, Some(SystemError::new("connect", &error)));
                    return attempt;
                }
            },
            _ => None,
        };
        let client = Arc::clone(self);
        // Before the task can say how it went.
        let mut inner = self.inner.lock();
        let task = runtime.spawn(async move {
            let all = client.try_all(attempt, &endpoints, tls, begun);
            match tokio::time::timeout(timeout, all).await {
                Ok(Ok(())) => {}
                Ok(Err((endpoint, error))) => client.failed(attempt, endpoint, Some(error)),
                Err(_) => client.failed(attempt, 0, None),
            }
        });
        let before = std::mem::replace(&mut inner.state, State::Connecting(task.abort_handle()));
        drop(inner);
        drop(before);
        attempt
    }

    /// Tells that an attempt came to nothing; no error is the time-out.
    fn failed(&self, attempt: u32, endpoint: u32, error: Option<SystemError>) {
        self.move_on(attempt, || State::Idle);
        self.mailbox.post(Event::ConnectFailed {
            client: self.id,
            attempt,
            error,
            endpoint,
        });
    }

    async fn try_all(
        self: &Arc<Self>,
        attempt: u32,
        endpoints: &[Endpoint],
        tls: Option<Arc<tls::Client>>,
        mut begun: Option<Socket>,
    ) -> Result<(), (u32, SystemError)> {
        let mut last = (
            0,
            SystemError {
                errno: 0,
                syscall: "connect",
            },
        );
        for (index, endpoint) in (0..).zip(endpoints) {
            let result = match &tls {
                None => self.try_one(attempt, endpoint, begun.take()).await,
                Some(tls) => match connect(endpoint).await {
                    Ok(socket) => {
                        let stream = secure(socket, tls).await.map_err(|error| (index, error))?;
                        self.connected(attempt, stream, None);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            match result {
                Ok(()) => return Ok(()),
                Err(error) => last = (index, SystemError::new("connect", &error)),
            }
        }
        Err(last)
    }

    /// Goes on with a socket that has begun to connect, or begins.
    async fn try_one(
        self: &Arc<Self>,
        attempt: u32,
        endpoint: &Endpoint,
        begun: Option<Socket>,
    ) -> io::Result<()> {
        let socket = match begun {
            Some(socket) => Some(socket),
            None => self.begin_one(attempt, endpoint)?,
        };
        if let Some(socket) = socket {
            let stream = Stream::new(established(socket).await?)?;
            match self.listener_at(endpoint) {
                None => self.connected(attempt, stream, None),
                Some(listener) => listener.hold(|queue| self.connected(attempt, stream, queue)),
            }
        }
        Ok(())
    }

    /// The listener of this environment that a connection to `endpoint` reaches.
    fn listener_at(&self, endpoint: &Endpoint) -> Option<Arc<Listener>> {
        let listeners = self.mailbox.listeners();
        listeners.find(|listener| listener.is_at(endpoint))
    }

    /// Begins to connect. On loopback that is all there is to it; otherwise this answers the
    /// socket that is on its way.
    fn begin_one(
        self: &Arc<Self>,
        attempt: u32,
        endpoint: &Endpoint,
    ) -> io::Result<Option<Socket>> {
        match self.listener_at(endpoint) {
            None => self.begin_with(attempt, endpoint, None),
            // See `pairing`: on loopback the handshake is over when connect() returns.
            Some(listener) => listener.hold(|queue| self.begin_with(attempt, endpoint, queue)),
        }
    }

    fn begin_with(
        self: &Arc<Self>,
        attempt: u32,
        endpoint: &Endpoint,
        queue: Option<Queue<'_>>,
    ) -> io::Result<Option<Socket>> {
        let socket = new_socket(endpoint)?;
        if queue.is_some() {
            give_name(&socket, endpoint);
        }
        if !begin(&socket, endpoint)? {
            return Ok(Some(socket));
        }
        self.connected(attempt, Stream::new(socket)?, queue);
        Ok(None)
    }

    /// Reports the connection. With the queue of a listener that it may have reached, whose door the caller holds, the
    /// other end is accepted and reported first.
    fn connected(self: &Arc<Self>, attempt: u32, stream: Stream, queue: Option<Queue<'_>>) {
        let name = stream.name();
        let connection = Connection::open(
            stream,
            Arc::clone(&self.settings),
            Arc::clone(&self.mailbox),
            None,
        );
        let mut events = Vec::new();
        if let (Some(queue), Some(name)) = (queue, name)
            && let Some(twin) = queue.accept_ours(&name, &mut events)
        {
            connection.pair(&twin);
        }
        let current = self.move_on(attempt, || State::Connected(Arc::clone(&connection)));
        if current {
            events.push(Event::Connected {
                client: self.id,
                attempt,
                connection: Arc::clone(&connection),
            });
        }
        self.mailbox.post_all(events);
        if !current {
            // Given up in the meantime.
            connection.close();
        }
    }

    /// Goes to another state, unless the attempt was given up: then this answers false.
    fn move_on(&self, attempt: u32, to: impl FnOnce() -> State) -> bool {
        let before = {
            let mut inner = self.inner.lock();
            if inner.attempt != attempt {
                return false;
            }
            std::mem::replace(&mut inner.state, to())
        };
        // Not under the lock: a connection may go with it.
        drop(before);
        true
    }

    /// Gives up an attempt, and forgets (but does not close) a connection.
    pub fn detach(&self) {
        let before = {
            let mut inner = self.inner.lock();
            inner.attempt = inner.attempt.wrapping_add(1);
            std::mem::take(&mut inner.state)
        };
        if let State::Connecting(task) = before {
            task.abort();
        }
    }

    /// Sends a ping if connected, and tells if too many before it went unanswered.
    pub fn beat(&self) {
        if let Some(connection) = self.connection() {
            connection.beat();
        }
    }

    /// Forgets the pings sent so far.
    pub fn clear_pings(&self) {
        if let Some(connection) = self.connection() {
            connection.clear_pings();
        }
    }

    fn connection(&self) -> Option<Arc<Connection>> {
        match &self.inner.lock().state {
            State::Connected(connection) => Some(Arc::clone(connection)),
            _ => None,
        }
    }
}

/// A socket that is connected.
async fn connect(endpoint: &Endpoint) -> io::Result<Socket> {
    let socket = new_socket(endpoint)?;
    if begin(&socket, endpoint)? {
        Ok(socket)
    } else {
        established(socket).await
    }
}

/// Begins to connect; answers whether that is all there is to it.
pub(super) fn begin(socket: &Socket, endpoint: &Endpoint) -> io::Result<bool> {
    match socket.connect(&endpoint.to_sock_addr()?) {
        Ok(()) => Ok(true),
        Err(error) if in_progress(&error) => Ok(socket.peer_addr().is_ok()),
        Err(error) => Err(error),
    }
}

/// Gives the socket of a client a name, where it has none of its own, by which the listener can tell it from others.
/// Linux chooses one that no other socket has, which goes with the socket; elsewhere the two ends remain strangers.
pub(super) fn give_name(socket: &Socket, endpoint: &Endpoint) {
    if cfg!(any(target_os = "linux", target_os = "android"))
        && let Endpoint::Unix(_) = endpoint
        && let Ok(unnamed) = SockAddr::unix("")
    {
        let _ = socket.bind(&unnamed);
    }
}

/// Waits until a socket is connected.
async fn established(socket: Socket) -> io::Result<Socket> {
    let stream = Stream::new(socket.try_clone()?)?;
    let fd = watch(StreamFd(Arc::new(stream)), Interest::WRITABLE)?;
    loop {
        let mut ready = fd.writable().await?;
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        if socket.peer_addr().is_ok() {
            return Ok(socket);
        }
        ready.clear_ready();
    }
}

/// A stream on which the TLS handshake is done.
async fn secure(socket: Socket, tls: &tls::Client) -> Result<Stream, SystemError> {
    let failed = |error: io::Error| SystemError {
        errno: error.raw_os_error().unwrap_or(0),
        syscall: "handshake",
    };
    let stream = Arc::new(Stream::secure(socket, tls).map_err(failed)?);
    let fd = watch(
        StreamFd(Arc::clone(&stream)),
        Interest::READABLE | Interest::WRITABLE,
    )
    .map_err(failed)?;
    let shaking = async {
        let mut step = stream.shake_hands()?;
        loop {
            let mut ready = match step {
                Handshake::Done => return Ok(()),
                Handshake::Read => fd.readable().await?,
                Handshake::Write => fd.writable().await?,
            };
            let stopped_at = std::mem::replace(&mut step, stream.shake_hands()?);
            if step == stopped_at {
                ready.clear_ready();
            }
        }
    };
    match tokio::time::timeout(tls.timeout, shaking).await {
        Ok(result) => result.map_err(failed)?,
        Err(_) => {
            return Err(SystemError {
                errno: 0,
                syscall: "handshake timeout",
            });
        }
    }
    drop(fd);
    // The descriptor's reference is gone, and there is no other.
    Arc::into_inner(stream).ok_or(SystemError {
        errno: 0,
        syscall: "handshake",
    })
}

/// Whether a non-blocking connect goes on by itself. (std has no stable kind for `EINPROGRESS`.)
fn in_progress(error: &io::Error) -> bool {
    const EINPROGRESS: i32 = if cfg!(target_os = "linux") { 115 } else { 36 };
    error.raw_os_error() == Some(EINPROGRESS)
}
