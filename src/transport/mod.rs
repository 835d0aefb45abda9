//! The socket of a connection: TCP or Unix, always non-blocking, in the clear or with TLS.

pub mod error;
pub mod tls;

pub use error::SystemError;

use crate::connection::linger::Seats;
use crate::connection::send_queue::Outgoing;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tls::{Agreement, Client, Handshake, Tls};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Keeps a write to a closed peer from raising `SIGPIPE`, which not every host of the library ignores.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const SEND_FLAGS: i32 = 0x4000; // MSG_NOSIGNAL
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const SEND_FLAGS: i32 = 0; // SO_NOSIGPIPE is set on the socket instead

/// A connected, non-blocking stream socket.
///
/// All methods take `&self`: the kernel serialises reads and writes, and the locks of
/// [`Connection`](crate::connection::Connection) decide who may call which.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    inet: bool,
    tls: Option<Box<Tls>>,
    /// Behind the socket, so that it is dropped once the descriptor is closed.
    seats: Option<Arc<Seats>>,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The descriptor of a shared stream, in the form tokio registers.
#[derive(Debug, Clone)]
pub(crate) struct StreamFd(pub(crate) Arc<Stream>);

impl AsRawFd for StreamFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.socket.as_raw_fd()
    }
}

/// Registers a descriptor with the runtime, whose context the caller is in.
///
/// tokio asks for `unsafe` here, because an `AsRawFd` could answer a descriptor that somebody else
/// closes. The types of this layer own theirs: it stays open while they live.
#[allow(deprecated)]
pub(crate) fn watch<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}

/// Where a socket or listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A path in the file system, or none for an unnamed Unix socket.
    Unix(Option<String>),
}

impl Address {
    fn from_sock_addr(address: &SockAddr) -> Self {
        match address.as_socket() {
            Some(inet) => Self::Inet(inet),
            None => Self::Unix(
                address
                    .as_pathname()
                    .map(|path| path.to_string_lossy().into_owned()),
            ),
        }
    }

    /// The address as the kernel takes it.
    pub(crate) fn to_sock_addr(&self) -> io::Result<SockAddr> {
        match self {
            Self::Inet(inet) => Ok(SockAddr::from(*inet)),
            Self::Unix(path) => SockAddr::unix(Path::new(path.as_deref().unwrap_or_default())),
        }
    }
}

/// A new non-blocking socket of the family of `address`.
pub(crate) fn new_socket(address: &Address) -> io::Result<Socket> {
    let (domain, protocol) = match address {
        Address::Inet(SocketAddr::V4(_)) => (Domain::IPV4, Some(Protocol::TCP)),
        Address::Inet(SocketAddr::V6(_)) => (Domain::IPV6, Some(Protocol::TCP)),
        Address::Unix(_) => (Domain::UNIX, None),
    };
    let socket = Socket::new(domain, Type::STREAM, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Stream {
    /// Takes over a connected socket and sets `TCP_NODELAY` on it.
    ///
    /// With Nagle's algorithm a pipelined callback waits for the peer's delayed acknowledgement,
    /// 40 ms on Linux.
    pub fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        #[cfg(target_vendor = "apple")]
        socket.set_nosigpipe(true)?;
        let inet = socket
            .local_addr()
            .is_ok_and(|address| address.as_socket().is_some());
        if inet {
            // A peer that is already gone makes this fail; reading will report it properly.
            let _ = socket.set_tcp_nodelay(true);
        }
        Ok(Self {
            socket,
            inet,
            tls: None,
            seats: None,
        })
    }

    /// Has the descriptor count among those of a listener until it is closed.
    pub(crate) fn seated(mut self, seats: &Arc<Seats>) -> Self {
        self.seats = Some(Arc::clone(seats));
        self
    }

    /// Where the descriptor counts.
    pub(crate) fn seats(&self) -> Option<&Arc<Seats>> {
        self.seats.as_ref()
    }

    /// Takes over a connected socket on which the client is to speak TLS: what
    /// [`shake_hands`](Self::shake_hands) begins.
    pub(crate) fn secure(socket: Socket, client: &Client) -> io::Result<Self> {
        let tls = Tls::new(client).map_err(io::Error::other)?;
        Ok(Self {
            tls: Some(Box::new(tls)),
            ..Self::new(socket)?
        })
    }

    /// Another descriptor of the socket.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    /// Goes on with the TLS handshake, which comes before everything else.
    pub(crate) fn shake_hands(&self) -> io::Result<Handshake> {
        self.tls
            .as_ref()
            .map_or(Ok(Handshake::Done), |tls| tls.shake_hands(&self.socket))
    }

    /// Whether it speaks TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// What the TLS handshake agreed on, where there was one.
    pub fn agreement(&self) -> Option<&Agreement> {
        self.tls.as_ref()?.agreement()
    }

    /// Reads what is there. `Ok(0)` is the peer's end. Less than the buffer holds is all there was,
    /// unless [`has_buffered`](Self::has_buffered).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => (&self.socket).read(buffer),
            Some(tls) => tls.recv(&self.socket, buffer),
        }
    }

    /// Reads what is there to throw it away: with TLS, its records.
    pub(crate) fn discard(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(buffer)
    }

    /// Whether the peer has said something that was not read yet.
    pub(crate) fn has_waiting(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        self.has_buffered() || self.socket.peek(&mut byte).is_ok_and(|count| count > 0)
    }

    /// Whether [`recv`](Self::recv) has something to say that the kernel will not announce: only
    /// with TLS, and never after `recv` answered `WouldBlock`.
    pub fn has_buffered(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_buffered())
    }

    /// How many bytes on their way out the kernel holds when it is full.
    pub(crate) fn send_buffer(&self) -> u64 {
        self.socket.send_buffer_size().unwrap_or_default() as u64
    }

    /// Ends the sending direction at once, and gives up what is held back.
    pub(crate) fn finish(&self) -> io::Result<()> {
        match &self.tls {
            None => self.socket.shutdown(Shutdown::Write),
            Some(tls) => tls.finish(&self.socket),
        }
    }

    /// Makes closing the socket reset the connection instead of ending it.
    pub fn reset_on_close(&self) {
        if self.inet {
            let _ = self.socket.set_linger(Some(Duration::ZERO));
        }
    }

    /// This end's address as the kernel has it.
    pub(crate) fn name(&self) -> Option<SockAddr> {
        self.socket.local_addr().ok()
    }

    /// This end's address.
    pub fn local_address(&self) -> Option<Address> {
        self.socket
            .local_addr()
            .ok()
            .map(|address| Address::from_sock_addr(&address))
    }

    /// The other end's address.
    pub fn peer_address(&self) -> Option<Address> {
        self.socket
            .peer_addr()
            .ok()
            .map(|address| Address::from_sock_addr(&address))
    }

    /// Turns `TCP_NODELAY` on or off; nothing on a Unix socket.
    pub fn set_no_delay(&self, on: bool) -> io::Result<()> {
        if self.inet {
            self.socket.set_tcp_nodelay(on)
        } else {
            Ok(())
        }
    }

    /// Turns keep-alive probes on or off; nothing on a Unix socket.
    pub fn set_keep_alive(&self, on: bool, initial_delay: Duration) -> io::Result<()> {
        if !self.inet {
            return Ok(());
        }
        self.socket.set_keepalive(on)?;
        if on && !initial_delay.is_zero() {
            let probes = socket2::TcpKeepalive::new().with_time(initial_delay);
            self.socket.set_tcp_keepalive(&probes)?;
        }
        Ok(())
    }
}

impl Outgoing for Stream {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.socket.send_with_flags(bytes, SEND_FLAGS),
            Some(tls) => tls.send(&self.socket, &[IoSlice::new(bytes)]),
        }
    }

    fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.tls {
            None => self.socket.send_vectored_with_flags(pieces, SEND_FLAGS),
            Some(tls) => tls.send(&self.socket, pieces),
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.tls
            .as_ref()
            .map_or(Ok(()), |tls| tls.flush(&self.socket))
    }

    fn is_flushed(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_flushed())
    }

    fn held(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.held())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        match &self.tls {
            None => self.socket.shutdown(Shutdown::Write),
            Some(tls) => tls.shutdown_write(&self.socket),
        }
    }
}

/// Whether two addresses are the same place, where one may be a wildcard a listener is bound to.
pub(crate) fn reaches(target: &SocketAddr, bound: &SocketAddr) -> bool {
    target.port() == bound.port()
        && (target.ip() == bound.ip() || (bound.ip().is_unspecified() && is_loopback(target.ip())))
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}
