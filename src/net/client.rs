//! The client's side of getting connected: attempts and time-outs.

use super::connection::Connection;
use super::error::SystemError;
use super::mailbox::{Event, Mailbox};
use super::pairing;
use super::runtime;
use super::settings::Settings;
use super::stream::{Address, Stream, StreamFd, new_socket, watch};
use super::tls::{self, Handshake};
use parking_lot::Mutex;
use socket2::Socket;
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
    id: u32,
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
    pub fn new(id: u32, settings: Arc<Settings>, mailbox: Arc<Mailbox>) -> Arc<Self> {
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
        if let Err(error) = runtime::start() {
            self.failed(attempt, 0, Some(SystemError::new("connect", &error)));
            return attempt;
        }
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
        let mut inner = self.inner.lock();
        let task = runtime::handle().spawn(async move {
            let all = client.try_all(attempt, &endpoints, tls, begun);
            match tokio::time::timeout(timeout, all).await {
                Ok(Ok(())) => {}
                Ok(Err((endpoint, error))) => client.failed(attempt, endpoint, Some(error)),
                Err(_) => client.failed(attempt, 0, None),
            }
        });
        inner.state = State::Connecting(task.abort_handle());
        attempt
    }

    /// Tells that an attempt came to nothing; no error is the time-out.
    fn failed(&self, attempt: u32, endpoint: u32, error: Option<SystemError>) {
        let mut inner = self.inner.lock();
        if inner.attempt == attempt {
            inner.state = State::Idle;
        }
        drop(inner);
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
                        self.connected(attempt, stream, endpoint, &mut pairing::lock());
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
            self.connected(attempt, stream, endpoint, &mut pairing::lock());
        }
        Ok(())
    }

    /// Begins to connect. On loopback that is all there is to it; otherwise this answers the
    /// socket that is on its way.
    fn begin_one(
        self: &Arc<Self>,
        attempt: u32,
        endpoint: &Endpoint,
    ) -> io::Result<Option<Socket>> {
        // See `pairing`: on loopback the handshake is over when connect() returns.
        let mut listeners = pairing::lock();
        let (socket, connected) = begin(endpoint)?;
        if !connected {
            return Ok(Some(socket));
        }
        let stream = Stream::new(socket)?;
        self.connected(attempt, stream, endpoint, &mut listeners);
        Ok(None)
    }

    /// Reports the connection, behind the report of a listener in this process.
    fn connected(
        self: &Arc<Self>,
        attempt: u32,
        stream: Stream,
        endpoint: &Endpoint,
        listeners: &mut pairing::Listeners,
    ) {
        let connection = Connection::open(
            stream,
            Arc::clone(&self.settings),
            Arc::clone(&self.mailbox),
            None,
        );
        let mut accepted = Vec::new();
        let listener = listeners.find(endpoint);
        if let Some(listener) = &listener {
            // A shortage of descriptors is the listener's to report, at its next turn.
            while let Ok(false) = listener.accept_waiting(&mut accepted) {}
            let twin = accepted.iter().rev().find_map(|event| match event {
                Event::Accepted {
                    connection: twin, ..
                } if is_twin(&connection, twin) => Some(twin),
                _ => None,
            });
            if let Some(twin) = twin {
                connection.pair(twin);
            }
        }
        let mut inner = self.inner.lock();
        let current = inner.attempt == attempt;
        if current {
            inner.state = State::Connected(Arc::clone(&connection));
        }
        drop(inner);
        let connected = current.then(|| Event::Connected {
            client: self.id,
            attempt,
            connection: Arc::clone(&connection),
        });
        match listener {
            Some(listener) if Arc::ptr_eq(listener.mailbox(), &self.mailbox) => {
                accepted.extend(connected);
                self.mailbox.post_all(accepted);
            }
            listener => {
                if let Some(listener) = listener {
                    listener.mailbox().post_all(accepted);
                }
                self.mailbox.post_all(connected.into_iter().collect());
            }
        }
        if !current {
            // Given up in the meantime.
            connection.close();
        }
    }

    /// Gives up an attempt, and forgets (but does not close) a connection.
    pub fn detach(&self) {
        let mut inner = self.inner.lock();
        inner.attempt = inner.attempt.wrapping_add(1);
        if let State::Connecting(task) = std::mem::take(&mut inner.state) {
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
    match begin(endpoint)? {
        (socket, true) => Ok(socket),
        (socket, false) => established(socket).await,
    }
}

/// A socket that begins to connect, and whether it is connected already.
fn begin(endpoint: &Endpoint) -> io::Result<(Socket, bool)> {
    let socket = new_socket(endpoint)?;
    let connected = match socket.connect(&endpoint.to_sock_addr()?) {
        Ok(()) => true,
        Err(error) if in_progress(&error) => socket.peer_addr().is_ok(),
        Err(error) => return Err(error),
    };
    Ok((socket, connected))
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
    Ok(Arc::into_inner(stream).expect("the descriptor's reference is gone, and there is no other"))
}

/// Whether a non-blocking connect goes on by itself. (std has no stable kind for `EINPROGRESS`.)
fn in_progress(error: &io::Error) -> bool {
    const EINPROGRESS: i32 = if cfg!(target_os = "linux") { 115 } else { 36 };
    error.raw_os_error() == Some(EINPROGRESS)
}

/// Whether an accepted connection is the other end of ours. Unix sockets of clients have no
/// address; there the last one accepted under the pairing lock is it.
fn is_twin(ours: &Connection, accepted: &Connection) -> bool {
    match (&ours.addresses().local, &accepted.addresses().peer) {
        (Some(Address::Inet(local)), Some(Address::Inet(peer))) => local == peer,
        _ => true,
    }
}
