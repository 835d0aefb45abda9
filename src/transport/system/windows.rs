//! Sockets of TCP, and named pipes, on the types of tokio.
//!
//! The runtime watches a socket while it exists, so everything here is made in the context of the
//! runtime. mio, below tokio, announces a socket again only after an operation that it knows of has
//! found the socket not ready. Reads and writes go to the socket directly, as on other systems, so
//! `clear` tells mio.

use super::pipe::{BoundPipe, ListeningPipe, Pipe, RawPipe};
use crate::transport::address::Address;
use crate::transport::socket::{begin, new_socket};
use socket2::{SockAddr, SockRef, Socket};
use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::ops::Deref;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A socket or pipe that connects, or is connected, and that no stream owns yet.
#[derive(Debug)]
pub(crate) enum RawSocket {
    Tcp(Socket),
    Pipe(RawPipe),
}

impl From<Socket> for RawSocket {
    fn from(socket: Socket) -> Self {
        Self::Tcp(socket)
    }
}

impl RawSocket {
    /// Begins to connect. Returns whether the connection is complete. The two ends of a pipe
    /// recognise each other without a name.
    pub(crate) fn connect(endpoint: &Address, _named: bool) -> io::Result<(Self, bool)> {
        match endpoint {
            Address::Inet(_) => {
                let socket = new_socket(endpoint)?;
                let is_connected = begin(&socket, endpoint)?;
                Ok((Self::Tcp(socket), is_connected))
            }
            Address::Unix(path) => {
                let pipe = RawPipe::open(path.as_deref().unwrap_or_default())?;
                let is_connected = pipe.is_connected();
                Ok((Self::Pipe(pipe), is_connected))
            }
        }
    }

    /// Waits until it is connected.
    pub(crate) async fn connected(self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => connected(socket).await.map(Self::Tcp),
            Self::Pipe(pipe) => pipe.connected().await.map(Self::Pipe),
        }
    }

    /// The socket; `None` for a pipe.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Tcp(socket) => Some(socket),
            Self::Pipe(_) => None,
        }
    }
}

async fn connected(socket: Socket) -> io::Result<Socket> {
    if socket.peer_addr().is_ok() {
        return Ok(socket);
    }
    let watched = registered(socket)?;
    loop {
        watched.writable().await?;
        let socket = SockRef::from(&watched);
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        if socket.peer_addr().is_ok() {
            break;
        }
        clear(&watched, Interest::WRITABLE);
    }
    Ok(watched.into_std()?.into())
}

/// Registers a socket of any kind with the runtime. Only its readiness is asked for through tokio.
fn registered(socket: Socket) -> io::Result<TcpStream> {
    socket.set_nonblocking(true)?;
    TcpStream::from_std(socket.into())
}

/// Has the runtime announce the socket again.
fn clear(socket: &TcpStream, interest: Interest) {
    let not_ready = || -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
    let _ = socket.try_io(interest, not_ready);
}

/// The connected, non-blocking socket or pipe of a stream.
#[derive(Debug)]
pub(crate) enum Link {
    Tcp(TcpStream),
    Pipe(Pipe),
}

impl Link {
    pub(crate) fn new(socket: RawSocket) -> io::Result<Self> {
        match socket {
            RawSocket::Tcp(socket) => registered(socket).map(Self::Tcp),
            RawSocket::Pipe(pipe) => pipe.into_pipe().map(Self::Pipe),
        }
    }

    /// The socket; `None` for a pipe.
    pub(crate) fn socket(&self) -> Option<SockRef<'_>> {
        match self {
            Self::Tcp(socket) => Some(SockRef::from(socket)),
            Self::Pipe(_) => None,
        }
    }

    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => (&*SockRef::from(socket)).read(buffer),
            Self::Pipe(pipe) => pipe.recv(buffer),
        }
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => SockRef::from(socket).send(bytes),
            Self::Pipe(pipe) => pipe.send(bytes),
        }
    }

    pub(crate) fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => SockRef::from(socket).send_vectored(pieces),
            Self::Pipe(pipe) => pipe.send_vectored(pieces),
        }
    }

    /// Ends the sending direction.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => SockRef::from(socket).shutdown(Shutdown::Write),
            Self::Pipe(pipe) => {
                pipe.shutdown_write();
                Ok(())
            }
        }
    }

    /// Whether the peer sees the end of one direction, so that the other may be read further before
    /// the link is closed.
    pub(crate) fn has_half_close(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }
}

/// Waits on the runtime for a link. It keeps the owner of the link alive.
pub(crate) struct Watch<T>(T);

impl<T: Deref<Target: AsRef<Link>>> Watch<T> {
    /// The runtime watches the link already.
    #[allow(clippy::unnecessary_wraps)] // on other systems it may fail
    pub(crate) fn new(owner: T, _interest: Interest) -> io::Result<Self> {
        Ok(Self(owner))
    }

    /// Waits until the link is ready for `interest`.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Readiness<'_, T>> {
        match self.0.as_ref() {
            Link::Tcp(socket) => {
                socket.ready(interest).await?;
            }
            Link::Pipe(pipe) => pipe.ready(interest).await?,
        }
        Ok(Readiness {
            owner: &self.0,
            interest,
        })
    }
}

/// A link that is ready.
pub(crate) struct Readiness<'a, T> {
    owner: &'a T,
    interest: Interest,
}

impl<T: Deref<Target: AsRef<Link>>> Readiness<'_, T> {
    /// It turned out not to be ready any more: the next wait is for the kernel. For a pipe, the
    /// operation that found this out has cleared it already.
    pub(crate) fn clear(&mut self) {
        if let Link::Tcp(socket) = self.owner.as_ref() {
            clear(socket, self.interest);
        }
    }
}

/// A socket or pipe that listens, before it is watched.
#[derive(Debug)]
pub(crate) enum BoundSocket {
    Tcp(Socket),
    Pipe(BoundPipe),
}

impl From<Socket> for BoundSocket {
    fn from(socket: Socket) -> Self {
        Self::Tcp(socket)
    }
}

/// A pipe has no file.
#[derive(Debug)]
pub(crate) enum SocketFile {}

impl SocketFile {
    pub(crate) fn remove(self) -> bool {
        match self {}
    }
}

/// A socket or pipe that listens. Only the code that closes it owns it.
pub(crate) enum ListeningSocket {
    Tcp(TcpStream),
    Pipe(ListeningPipe),
}

impl ListeningSocket {
    /// The caller is in the context of the runtime, which watches the socket: there is no poller.
    pub(crate) fn new(socket: BoundSocket, _is_polled: bool) -> io::Result<Self> {
        match socket {
            BoundSocket::Tcp(socket) => registered(socket).map(Self::Tcp),
            BoundSocket::Pipe(pipe) => Ok(Self::Pipe(pipe.into())),
        }
    }

    /// Other code cannot accept: there is no descriptor to duplicate for it.
    pub(crate) fn lend(_: BoundSocket) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[allow(clippy::unused_self)] // on other systems it may be
    pub(crate) fn is_lent(&self) -> bool {
        false
    }

    /// Accepts a connection; with the address of its peer, which a pipe has not.
    pub(crate) fn accept(&self) -> io::Result<(RawSocket, Option<SockAddr>)> {
        match self {
            Self::Tcp(listening) => {
                let (socket, peer) = SockRef::from(listening).accept()?;
                Ok((RawSocket::Tcp(socket), Some(peer)))
            }
            Self::Pipe(listening) => {
                let pipe = listening.accept()?;
                Ok((RawSocket::Pipe(pipe), None))
            }
        }
    }

    /// A client of this process has connected, and must be accepted at once.
    pub(crate) fn expect(&self) {
        if let Self::Pipe(listening) = self {
            listening.expect();
        }
    }

    /// Calls `serve` when the runtime finds that a connection waits. It returns whether none is
    /// left. `None`: the runtime has ended.
    pub(crate) fn poll_serve<R>(
        &self,
        context: &mut Context<'_>,
        serve: impl FnOnce() -> (R, bool),
    ) -> Poll<Option<R>> {
        match self {
            Self::Tcp(listening) => {
                if ready!(listening.poll_read_ready(context)).is_err() {
                    return Poll::Ready(None);
                }
                let (result, is_drained) = serve();
                if is_drained {
                    clear(listening, Interest::READABLE);
                }
                Poll::Ready(Some(result))
            }
            Self::Pipe(listening) => {
                ready!(listening.poll_connected(context));
                let (result, _) = serve();
                Poll::Ready(Some(result))
            }
        }
    }
}
