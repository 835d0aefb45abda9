//! Connects to a server: attempts, TLS handshakes.

use super::handshake;
use super::listener::{AcceptQueue, Listener, LocalListeners};
use crate::connection::config::Config;
use crate::connection::{Connection, Environment, Event};
use crate::events::error::{ConnectError, Failures};
use crate::events::runtime;
use crate::trace;
use crate::transport::error::errno_of;
use crate::transport::system::RawSocket;
use crate::transport::tls::ClientConfig;
use crate::transport::{Address, Stream};
use parking_lot::Mutex;
use socket2::Socket;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// Connects one client, which makes one attempt at a time.
#[derive(Debug)]
pub struct Connector {
    config: Arc<Config>,
    environment: Arc<Environment>,
    /// The listeners of the same environment.
    listeners: Arc<LocalListeners>,
    /// The attempt in progress.
    attempt: Mutex<Option<Attempt>>,
}

/// An attempt to connect.
#[derive(Debug)]
struct Attempt {
    /// Its events carry it.
    id: u64,
    /// `None` until it needs a task.
    task: Option<AbortHandle>,
}

impl Connector {
    /// A connector without an attempt.
    pub fn new(
        config: Arc<Config>,
        environment: Arc<Environment>,
        listeners: Arc<LocalListeners>,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            environment,
            listeners,
            attempt: Mutex::default(),
        })
    }

    /// Connects to the first of `endpoints` that answers. They are tried in order. The next one is
    /// tried when the previous one has failed, or has not answered within `pace`. Unanswered
    /// attempts continue (RFC 8305). [`Event::Connected`] or [`Event::ConnectFailed`] with the id
    /// of the attempt follows, unless the attempt is cancelled.
    ///
    /// With `tls` the connection is secured, but the caller must still check the server's
    /// certificate: see [`Stream::agreement`]. After a failed handshake no other endpoint is tried.
    pub fn connect(
        self: &Arc<Self>,
        attempt: u64,
        endpoints: Vec<Address>,
        pace: Duration,
        tls: Option<Arc<ClientConfig>>,
    ) {
        trace::event!(DEBUG, attempt, ?endpoints, "attempt to connect");
        *self.attempt.lock() = Some(Attempt {
            id: attempt,
            task: None,
        });
        let runtime = match runtime::start() {
            Ok(runtime) => runtime,
            Err(error) => return self.failed(attempt, vec![(0, error.into())]),
        };
        // The common case of a single endpoint begins on this thread, without the hop to the
        // runtime. On Windows a socket is made in the context of the runtime.
        let _context = runtime.enter();
        let begun = match (&endpoints[..], &tls) {
            ([only], None) => match self.begin_one(attempt, only) {
                Ok(None) => return,
                Ok(Some(socket)) => Some(socket),
                Err(error) => return self.failed(attempt, vec![(0, error)]),
            },
            _ => None,
        };
        let connector = Arc::clone(self);
        // Locked before the task can report its result.
        let mut current = self.attempt.lock();
        let task = runtime.spawn(async move {
            let tried = connector.try_all(attempt, &endpoints, pace, tls, begun);
            if let Err(failures) = tried.await {
                connector.failed(attempt, failures);
            }
        });
        *current = Some(Attempt {
            id: attempt,
            task: Some(task.abort_handle()),
        });
    }

    /// Reports that an attempt failed.
    fn failed(&self, attempt: u64, failures: Failures) {
        trace::event!(DEBUG, attempt, ?failures, "attempt failed");
        if self.end(attempt) {
            self.environment
                .post(Event::ConnectFailed { attempt, failures });
        }
    }

    async fn try_all(
        self: &Arc<Self>,
        attempt: u64,
        endpoints: &[Address],
        pace: Duration,
        tls: Option<Arc<ClientConfig>>,
        begun: Option<RawSocket>,
    ) -> Result<(), Failures> {
        let Some(tls) = tls else {
            let begin = |endpoint: &Address| self.begin_one(attempt, endpoint);
            let Some((index, socket)) = race(endpoints, pace, begun, begin).await? else {
                return Ok(());
            };
            let opened = self.open(attempt, socket, &endpoints[index as usize]);
            return opened.map_err(|error| vec![(index, error.into())]);
        };
        let begin = |endpoint: &Address| Ok(Some(RawSocket::connect(endpoint, false)?.0));
        if let Some((index, socket)) = race(endpoints, pace, None, begin).await? {
            let stream = secure(socket, &tls).await;
            let stream = stream.map_err(|error| vec![(index, error)])?;
            self.connected(attempt, stream, None);
        }
        Ok(())
    }

    /// Takes over a socket that has connected in the background.
    fn open(
        self: &Arc<Self>,
        attempt: u64,
        socket: RawSocket,
        endpoint: &Address,
    ) -> io::Result<()> {
        let stream = Stream::of(socket)?;
        match self.listener_at(endpoint) {
            None => self.connected(attempt, stream, None),
            Some(listener) => listener.hold(|queue| self.connected(attempt, stream, queue)),
        }
        Ok(())
    }

    /// The listener of this environment that a connection to `endpoint` reaches.
    fn listener_at(&self, endpoint: &Address) -> Option<Arc<Listener>> {
        self.listeners.find(|listener| listener.is_at(endpoint))
    }

    /// Begins to connect. On loopback the connection is complete afterwards; otherwise this returns
    /// the socket that is still connecting.
    fn begin_one(
        self: &Arc<Self>,
        attempt: u64,
        endpoint: &Address,
    ) -> Result<Option<RawSocket>, ConnectError> {
        match self.listener_at(endpoint) {
            None => self.begin_with(attempt, endpoint, None),
            // See `loopback`: there the connection is complete when `connect()` returns.
            Some(listener) => listener.hold(|queue| self.begin_with(attempt, endpoint, queue)),
        }
    }

    fn begin_with(
        self: &Arc<Self>,
        attempt: u64,
        endpoint: &Address,
        queue: Option<AcceptQueue<'_>>,
    ) -> Result<Option<RawSocket>, ConnectError> {
        let (socket, is_connected) = RawSocket::connect(endpoint, queue.is_some())?;
        if !is_connected {
            return Ok(Some(socket));
        }
        refuse_itself(socket.socket())?;
        self.connected(attempt, Stream::of(socket)?, queue);
        Ok(None)
    }

    /// Reports the connection. `queue` belongs to the listener that it may have reached, and whose
    /// gate the caller holds: the other end is accepted and reported first.
    fn connected(self: &Arc<Self>, attempt: u64, stream: Stream, queue: Option<AcceptQueue<'_>>) {
        let name = stream.name();
        let connection = Connection::open(
            stream,
            Arc::clone(&self.config),
            Arc::clone(&self.environment),
            None,
        );
        let mut events = Vec::new();
        if let Some(queue) = queue
            && let Some(loopback_peer) = queue.accept_ours(name.as_ref(), &mut events)
        {
            connection.set_loopback_peer(&loopback_peer);
        }
        let current = self.end(attempt);
        if current {
            events.push(Event::Connected {
                attempt,
                connection: Arc::clone(&connection),
            });
        }
        self.environment.queue().post_all(events);
        if !current {
            connection.close();
        }
    }

    /// Ends an attempt that has succeeded or failed. False: it was cancelled.
    fn end(&self, attempt: u64) -> bool {
        // Dropped without the lock.
        let ended = self.attempt.lock().take_if(|current| current.id == attempt);
        ended.is_some()
    }

    /// Cancels the attempt in progress. Its result may be in the event queue already.
    pub fn cancel(&self) {
        let cancelled = self.attempt.lock().take();
        if let Some(task) = cancelled.and_then(|attempt| attempt.task) {
            task.abort();
        }
    }
}

/// Returns the first socket that connects, and the index of its endpoint; or all failures, in the
/// order of the endpoints. `begin` begins to connect. It returns `None` if it has completed the
/// attempt by itself, and so does this function.
async fn race(
    endpoints: &[Address],
    pace: Duration,
    begun: Option<RawSocket>,
    begin: impl Fn(&Address) -> Result<Option<RawSocket>, ConnectError>,
) -> Result<Option<(u32, RawSocket)>, Failures> {
    let mut rest = endpoints.iter();
    let mut waiting = JoinSet::new();
    let mut failures = Vec::new();
    if let Some(socket) = begun {
        rest.next();
        waiting.spawn(async { (0, established(socket).await) });
    }
    loop {
        if let Some(endpoint) = rest.next() {
            // A name has few addresses, so the index fits.
            #[allow(clippy::cast_possible_truncation)]
            let index = (endpoints.len() - rest.len() - 1) as u32;
            match begin(endpoint) {
                Ok(None) => return Ok(None),
                Ok(Some(socket)) => {
                    waiting.spawn(async move { (index, established(socket).await) });
                }
                Err(error) => {
                    failures.push((index, error));
                    continue;
                }
            }
        }
        // The next endpoint is tried when one has failed, or after `pace`.
        let more = rest.len() > 0;
        let next = async {
            if more {
                tokio::time::timeout(pace, waiting.join_next()).await
            } else {
                Ok(waiting.join_next().await)
            }
        };
        match next.await {
            // `pace` is over, or a task of the runtime failed.
            Err(_) | Ok(Some(Err(_))) => {}
            Ok(Some(Ok((index, Ok(socket))))) => return Ok(Some((index, socket))),
            Ok(Some(Ok((index, Err(error))))) => {
                failures.push((index, error));
            }
            Ok(None) if more => {}
            Ok(None) => {
                failures.sort_unstable_by_key(|(index, _)| *index);
                return Err(failures);
            }
        }
    }
}

/// Refuses a TCP socket that is connected to itself. That happens on a port without a listener, if
/// the system chose the same port for the client. Such a socket would answer itself, and block the
/// port of the server.
fn refuse_itself(socket: Option<&Socket>) -> Result<(), ConnectError> {
    let Some(socket) = socket else {
        return Ok(());
    };
    let ends = [socket.local_addr(), socket.peer_addr()];
    let [local, peer] = ends.map(|end| end.ok().and_then(|end| end.as_socket()));
    if local.is_some() && local == peer {
        // Reset it, so that the port is free at once.
        let _ = socket.set_linger(Some(Duration::ZERO));
        return Err(ConnectError::Itself);
    }
    Ok(())
}

/// Waits until a socket is connected.
async fn established(socket: RawSocket) -> Result<RawSocket, ConnectError> {
    let socket = socket.connected().await?;
    refuse_itself(socket.socket())?;
    Ok(socket)
}

/// Completes the TLS handshake on a socket.
async fn secure(socket: RawSocket, tls: &ClientConfig) -> Result<Stream, ConnectError> {
    let failed = |error: io::Error| match (error.kind(), error.raw_os_error()) {
        // The network failed: the connection ended early, or a system call returned an error.
        (io::ErrorKind::UnexpectedEof, _) | (_, Some(_)) => {
            ConnectError::HandshakeInterrupted(errno_of(&error))
        }
        _ => ConnectError::HandshakeFailed(error.to_string()),
    };
    let stream = Arc::new(Stream::secure(socket, tls).map_err(failed)?);
    let watch = handshake::register(&stream).map_err(failed)?;
    let shaking = handshake::complete(&stream, &watch);
    match tokio::time::timeout(tls.timeout, shaking).await {
        Ok(result) => result.map_err(failed)?,
        Err(_) => {
            return Err(ConnectError::HandshakeTimedOut);
        }
    }
    drop(watch);
    // The reference of the watch was dropped, and there is no other.
    Arc::into_inner(stream)
        .ok_or_else(|| ConnectError::HandshakeFailed("the stream is in use".to_owned()))
}

#[cfg(all(test, not(sockhop_loom)))]
mod tests;
