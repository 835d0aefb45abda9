//! The client's side of getting connected: attempts and time-outs.

use super::listener::{AcceptQueue, Listener, LocalListeners};
use crate::connection::config::Config;
use crate::connection::{Connection, Environment, Event};
use crate::events::runtime;
use crate::transport::error::{Itself, SystemError};
use crate::transport::socket::{new_socket, watch};
use crate::transport::tls::{ClientConfig, HandshakeState};
use crate::transport::{Address, Stream, StreamFd};
use parking_lot::Mutex;
use socket2::{SockAddr, Socket};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::task::{AbortHandle, JoinSet};

/// A place to connect to.
pub type Endpoint = Address;

/// Why endpoints could not be connected to, and their places in the list.
type Failures = Vec<(u32, SystemError)>;

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
pub struct Connector {
    id: u64,
    config: Arc<Config>,
    environment: Arc<Environment>,
    /// The listeners of the same environment.
    listeners: Arc<LocalListeners>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    /// Counts the attempts: the answer to an attempt that was given up is known as such.
    attempt: u32,
}

impl Connector {
    /// A client that is not connected. `id` comes back in the events.
    pub fn new(
        id: u64,
        config: Arc<Config>,
        environment: Arc<Environment>,
        listeners: Arc<LocalListeners>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            config,
            environment,
            listeners,
            inner: Mutex::default(),
        })
    }

    /// Connects to the first of `endpoints` that answers, within `timeout` over all. They are tried in their order: the
    /// next one when the one before it has failed, or has not answered for `pace`; it goes on meanwhile (RFC 8305).
    /// [`Event::Connected`] or [`Event::ConnectFailed`] follows, with the number this answers.
    ///
    /// With `tls` the connection is secure, but whether it is one with the right server is still
    /// to be looked at: see [`Stream::agreement`]. A handshake that fails is a failure of the
    /// `handshake`, and no other endpoint is tried.
    pub fn connect(
        self: &Arc<Self>,
        endpoints: Vec<Endpoint>,
        pace: Duration,
        timeout: Duration,
        tls: Option<Arc<ClientConfig>>,
    ) -> u32 {
        let attempt = {
            let mut inner = self.inner.lock();
            inner.attempt = inner.attempt.wrapping_add(1);
            inner.attempt
        };
        let runtime = match runtime::start() {
            Ok(runtime) => runtime,
            Err(error) => {
                self.failed(attempt, vec![(0, SystemError::new("connect", &error))]);
                return attempt;
            }
        };
        // One place, as most often: begun here and now, without the hop to the runtime.
        let begun = match (&endpoints[..], &tls) {
            ([only], None) => match self.begin_one(attempt, only) {
                Ok(None) => return attempt,
                Ok(Some(socket)) => Some(socket),
                Err(error) => {
                    self.failed(attempt, vec![(0, SystemError::new("connect", &error))]);
                    return attempt;
                }
            },
            _ => None,
        };
        let client = Arc::clone(self);
        // Before the task can say how it went.
        let mut inner = self.inner.lock();
        let task = runtime.spawn(async move {
            let all = client.try_all(attempt, &endpoints, pace, tls, begun);
            match tokio::time::timeout(timeout, all).await {
                Ok(Ok(())) => {}
                Ok(Err(failures)) => client.failed(attempt, failures),
                Err(_) => client.failed(attempt, Vec::new()),
            }
        });
        let before = std::mem::replace(&mut inner.state, State::Connecting(task.abort_handle()));
        drop(inner);
        drop(before);
        attempt
    }

    /// Tells that an attempt came to nothing; no failures are the time-out.
    fn failed(&self, attempt: u32, failures: Failures) {
        self.move_on(attempt, || State::Idle);
        self.environment.post(Event::ConnectFailed {
            client: self.id,
            attempt,
            failures,
        });
    }

    async fn try_all(
        self: &Arc<Self>,
        attempt: u32,
        endpoints: &[Endpoint],
        pace: Duration,
        tls: Option<Arc<ClientConfig>>,
        begun: Option<Socket>,
    ) -> Result<(), Failures> {
        let Some(tls) = tls else {
            let begin = |endpoint: &Endpoint| self.begin_one(attempt, endpoint);
            let Some((index, socket)) = race(endpoints, pace, begun, begin).await? else {
                return Ok(());
            };
            let opened = self.open(attempt, socket, &endpoints[index as usize]);
            return opened.map_err(|error| vec![(index, SystemError::new("connect", &error))]);
        };
        let begin = |endpoint: &Endpoint| {
            let socket = new_socket(endpoint)?;
            begin(&socket, endpoint).map(|_| Some(socket))
        };
        if let Some((index, socket)) = race(endpoints, pace, None, begin).await? {
            let stream = secure(socket, &tls).await;
            let stream = stream.map_err(|error| vec![(index, error)])?;
            self.connected(attempt, stream, None);
        }
        Ok(())
    }

    /// Takes over a socket that was on its way and is connected.
    fn open(self: &Arc<Self>, attempt: u32, socket: Socket, endpoint: &Endpoint) -> io::Result<()> {
        let stream = Stream::new(socket)?;
        match self.listener_at(endpoint) {
            None => self.connected(attempt, stream, None),
            Some(listener) => listener.hold(|queue| self.connected(attempt, stream, queue)),
        }
        Ok(())
    }

    /// The listener of this environment that a connection to `endpoint` reaches.
    fn listener_at(&self, endpoint: &Endpoint) -> Option<Arc<Listener>> {
        self.listeners.find(|listener| listener.is_at(endpoint))
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
        queue: Option<AcceptQueue<'_>>,
    ) -> io::Result<Option<Socket>> {
        let socket = new_socket(endpoint)?;
        if queue.is_some() {
            give_name(&socket, endpoint);
        }
        if !begin(&socket, endpoint)? {
            return Ok(Some(socket));
        }
        refuse_itself(&socket)?;
        self.connected(attempt, Stream::new(socket)?, queue);
        Ok(None)
    }

    /// Reports the connection. With the queue of a listener that it may have reached, whose door the caller holds, the
    /// other end is accepted and reported first.
    fn connected(self: &Arc<Self>, attempt: u32, stream: Stream, queue: Option<AcceptQueue<'_>>) {
        let name = stream.name();
        let connection = Connection::open(
            stream,
            Arc::clone(&self.config),
            Arc::clone(&self.environment),
            None,
        );
        let mut events = Vec::new();
        if let (Some(queue), Some(name)) = (queue, name)
            && let Some(loopback_peer) = queue.accept_ours(&name, &mut events)
        {
            connection.set_loopback_peer(&loopback_peer);
        }
        let current = self.move_on(attempt, || State::Connected(Arc::clone(&connection)));
        if current {
            events.push(Event::Connected {
                client: self.id,
                attempt,
                connection: Arc::clone(&connection),
            });
        }
        self.environment.queue().post_all(events);
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

/// The first socket that is connected, and the place of its endpoint; or all failures, in the order of the endpoints. `begin`
/// begins to connect, and answers nothing if it has done all that there is to do: then so does this.
async fn race(
    endpoints: &[Endpoint],
    pace: Duration,
    begun: Option<Socket>,
    begin: impl Fn(&Endpoint) -> io::Result<Option<Socket>>,
) -> Result<Option<(u32, Socket)>, Failures> {
    let mut rest = endpoints.iter();
    let mut waiting = JoinSet::new();
    let mut failures = Vec::new();
    if let Some(socket) = begun {
        rest.next();
        waiting.spawn(async { (0, established(socket).await) });
    }
    loop {
        if let Some(endpoint) = rest.next() {
            // A name has few addresses.
            #[allow(clippy::cast_possible_truncation)]
            let index = (endpoints.len() - rest.len() - 1) as u32;
            match begin(endpoint) {
                Ok(None) => return Ok(None),
                Ok(Some(socket)) => {
                    waiting.spawn(async move { (index, established(socket).await) });
                }
                Err(error) => {
                    failures.push((index, SystemError::new("connect", &error)));
                    continue;
                }
            }
        }
        // The next one has its turn when one has failed, or when it is time.
        let more = rest.len() > 0;
        let next = async {
            if more {
                tokio::time::timeout(pace, waiting.join_next()).await
            } else {
                Ok(waiting.join_next().await)
            }
        };
        match next.await {
            // It is time, or a task of the runtime came to nothing.
            Err(_) | Ok(Some(Err(_))) => {}
            Ok(Some(Ok((index, Ok(socket))))) => return Ok(Some((index, socket))),
            Ok(Some(Ok((index, Err(error))))) => {
                failures.push((index, SystemError::new("connect", &error)));
            }
            Ok(None) if more => {}
            Ok(None) => {
                failures.sort_unstable_by_key(|(index, _)| *index);
                return Err(failures);
            }
        }
    }
}

/// TCP lets a socket connect to itself, by its own port, where nobody listens: it would answer itself, and take
/// the port from the server that is to come.
fn refuse_itself(socket: &Socket) -> io::Result<()> {
    let ends = [socket.local_addr(), socket.peer_addr()];
    let [local, peer] = ends.map(|end| end.ok().and_then(|end| end.as_socket()));
    if local.is_some() && local == peer {
        // Reset, so that the port is free at once.
        let _ = socket.set_linger(Some(Duration::ZERO));
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, Itself));
    }
    Ok(())
}

/// Begins to connect; answers whether that is all there is to it.
pub(crate) fn begin(socket: &Socket, endpoint: &Endpoint) -> io::Result<bool> {
    match socket.connect(&endpoint.to_sock_addr()?) {
        Ok(()) => Ok(true),
        Err(error) if in_progress(&error) => Ok(socket.peer_addr().is_ok()),
        Err(error) => Err(error),
    }
}

/// Gives the socket of a client a name, where it has none of its own, by which the listener can tell it from others.
/// Linux chooses one that no other socket has, which goes with the socket; elsewhere the two ends remain strangers.
pub(crate) fn give_name(socket: &Socket, endpoint: &Endpoint) {
    if cfg!(any(target_os = "linux", target_os = "android"))
        && let Endpoint::Unix(_) = endpoint
        && let Ok(unnamed) = SockAddr::unix("")
    {
        let _ = socket.bind(&unnamed);
    }
}

/// Waits until a socket is connected.
async fn established(socket: Socket) -> io::Result<Socket> {
    if socket.peer_addr().is_err() {
        let stream = Stream::new(socket.try_clone()?)?;
        let fd = watch(StreamFd(Arc::new(stream)), Interest::WRITABLE)?;
        loop {
            let mut ready = fd.writable().await?;
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            if socket.peer_addr().is_ok() {
                break;
            }
            ready.clear_ready();
        }
    }
    refuse_itself(&socket)?;
    Ok(socket)
}

/// A stream on which the TLS handshake is done.
async fn secure(socket: Socket, tls: &ClientConfig) -> Result<Stream, SystemError> {
    let failed = |error: io::Error| SystemError {
        // A connection that ended is the network's failure, as one that was reset is; 0 is TLS's own.
        errno: match error.kind() {
            io::ErrorKind::UnexpectedEof => SystemError::new("handshake", &error).errno,
            _ => error.raw_os_error().unwrap_or(0),
        },
        syscall: "handshake",
    };
    let stream = Arc::new(Stream::secure(socket, tls).map_err(failed)?);
    let fd = watch(
        StreamFd(Arc::clone(&stream)),
        Interest::READABLE | Interest::WRITABLE,
    )
    .map_err(failed)?;
    let shaking = async {
        let mut step = stream.handshake()?;
        loop {
            let mut ready = match step {
                HandshakeState::Done => return Ok(()),
                HandshakeState::WantsRead => fd.readable().await?,
                HandshakeState::WantsWrite => fd.writable().await?,
            };
            let stopped_at = std::mem::replace(&mut step, stream.handshake()?);
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

#[cfg(all(test, not(sockhop_loom)))]
mod tests {
    use super::{Endpoint, Failures, begin, race, refuse_itself};
    use crate::events::runtime;
    use crate::transport::SystemError;
    use crate::transport::socket::new_socket;
    use socket2::{Domain, Socket, Type};
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(600);

    /// A socket that takes one connection and answers no further one, neither yes nor no.
    fn silent() -> (Socket, Vec<Socket>, Endpoint) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let endpoint = Endpoint::Inet(address);
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

    fn refused() -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Endpoint::Inet(listener.local_addr().unwrap())
    }

    fn run(endpoints: &[Endpoint], pace: Duration) -> Result<Option<(u32, Socket)>, Failures> {
        let begin = |endpoint: &Endpoint| {
            let socket = new_socket(endpoint)?;
            begin(&socket, endpoint).map(|_| Some(socket))
        };
        runtime::start()
            .unwrap()
            .block_on(race(endpoints, pace, None, begin))
    }

    #[test]
    fn an_address_that_does_not_answer_does_not_keep_the_next_one_waiting() {
        let (_listener, _waiting, silent) = silent();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoints = [silent, Endpoint::Inet(good.local_addr().unwrap())];
        let found = run(&endpoints, Duration::from_millis(250));
        assert_eq!(found.unwrap().unwrap().0, 1);
    }

    #[test]
    fn an_address_that_refuses_is_followed_by_the_next_at_once() {
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoints = [refused(), Endpoint::Inet(good.local_addr().unwrap())];
        assert_eq!(run(&endpoints, LONG).unwrap().unwrap().0, 1);
    }

    #[test]
    fn a_name_none_of_whose_addresses_answers_fails_with_all_reasons() {
        let failures = run(&[refused(), refused()], LONG).unwrap_err();
        let places: Vec<_> = failures.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [0, 1]);
        assert!(failures.iter().all(|(_, error)| error.syscall == "connect"));
        assert!(run(&[], LONG).unwrap_err().is_empty());
    }

    #[test]
    fn a_client_that_is_connected_to_itself_is_refused() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        let own = socket.local_addr().unwrap();
        // TCP's simultaneous open, with oneself.
        socket.connect(&own).unwrap();
        let error = SystemError::new("connect", &refuse_itself(&socket).unwrap_err());
        assert_eq!(error.syscall, "connect itself");
        assert!(error.to_string().contains("refused"), "{error}");
        drop(socket);
        // A server can have the port at once.
        let server = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        server.bind(&own).unwrap();
    }
}
