//! Sockets: TCP or Unix, or named pipes on Windows; always non-blocking, in the clear or with TLS.
//!
//! ```text
//! Stream        a connected socket (this file)
//!   tls         TLS on it, and the certificates that a client trusts
//!   outgoing    its sending direction, as the send queue sees it
//!   quota       how many descriptors the connections of one listener have
//! system        sockets in the form that each system gives them, and waiting for them on the runtime
//! socket        creates sockets, and begins to connect them
//! listening     makes listening sockets, as listen_options say; unix_path does it for paths
//! socket_file   the file of a listening Unix socket
//! address       where a socket is
//! credentials   the process at the other end of a Unix socket
//! error         failed system calls
//! ```

pub mod address;
pub mod credentials;
pub(crate) mod descriptor_quota;
pub mod error;
mod listen_options;
pub mod listening;
pub mod outgoing;
pub(crate) mod socket;
#[cfg(unix)]
mod socket_file;
pub(crate) mod system;
pub mod tls;
#[cfg(unix)]
mod unix_path;

pub use address::Address;
pub use credentials::Credentials;
pub use error::SystemError;
pub use listen_options::{FileMode, ListenOptions};
pub use listening::Listening;
pub use outgoing::Outgoing;

use descriptor_quota::DescriptorQuota;
use socket2::{SockAddr, Socket};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::ops::Deref;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use system::{Link, RawSocket, Watch};
use tls::{Agreement, ClientConfig, HandshakeState, ServerConfig, TlsStream};

/// A connected, non-blocking stream socket.
///
/// All methods take `&self`: the kernel serialises reads and writes, and the locks of a connection
/// decide which thread may call which method.
#[derive(Debug)]
pub struct Stream {
    link: Link,
    inet: bool,
    tls: Option<Box<TlsStream>>,
    /// Declared after the socket, so that it is dropped after the descriptor is closed.
    quota: Option<Arc<DescriptorQuota>>,
}

impl AsRef<Link> for Stream {
    fn as_ref(&self) -> &Link {
        &self.link
    }
}

/// Waits on the runtime for a stream.
pub(crate) type StreamWatch = Watch<Arc<Stream>>;

/// A stream that is ready.
pub(crate) type Readiness<'a> = system::Readiness<'a, Arc<Stream>>;

#[cfg(unix)]
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl Stream {
    /// Takes over a connected socket and sets `TCP_NODELAY` on it. On Windows the caller is in the
    /// context of the runtime.
    ///
    /// With Nagle's algorithm a pipelined callback waits for the peer's delayed acknowledgement,
    /// 40 ms on Linux.
    pub fn new(socket: Socket) -> io::Result<Self> {
        Self::of(socket.into())
    }

    /// Like [`new`](Self::new), for a socket of any kind.
    pub(crate) fn of(socket: RawSocket) -> io::Result<Self> {
        let link = Link::new(socket)?;
        let inet = link.socket().is_some_and(|socket| {
            let address = socket.local_addr();
            address.is_ok_and(|address| address.as_socket().is_some())
        });
        if inet && let Some(socket) = link.socket() {
            // Fails if the peer has closed the connection already, which reading reports.
            let _ = socket.set_tcp_nodelay(true);
        }
        Ok(Self {
            link,
            inet,
            tls: None,
            quota: None,
        })
    }

    /// Counts the descriptor among those of a listener until it is closed.
    pub(crate) fn with_quota(mut self, quota: &Arc<DescriptorQuota>) -> Self {
        self.quota = Some(Arc::clone(quota));
        self
    }

    /// The descriptors of the listener that accepted the stream.
    pub(crate) fn quota(&self) -> Option<&Arc<DescriptorQuota>> {
        self.quota.as_ref()
    }

    /// Takes over a connected socket of a client for TLS. [`handshake`](Self::handshake) comes
    /// before everything else.
    pub(crate) fn secure(socket: RawSocket, config: &ClientConfig) -> io::Result<Self> {
        let tls = TlsStream::client(config).map_err(io::Error::other)?;
        Ok(Self {
            tls: Some(Box::new(tls)),
            ..Self::of(socket)?
        })
    }

    /// Like [`secure`](Self::secure), for an accepted socket of a server.
    pub fn into_secure(self, config: &ServerConfig) -> io::Result<Self> {
        let tls = TlsStream::server(config).map_err(io::Error::other)?;
        Ok(Self {
            tls: Some(Box::new(tls)),
            ..self
        })
    }

    /// Another descriptor of the socket.
    #[cfg(unix)]
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }

    /// Continues the TLS handshake as far as the socket allows.
    pub(crate) fn handshake(&self) -> io::Result<HandshakeState> {
        self.tls
            .as_ref()
            .map_or(Ok(HandshakeState::Done), |tls| tls.handshake(&self.link))
    }

    /// Continues the TLS handshake, and returns whether it is done. For the fuzz target of TLS.
    #[cfg(fuzzing)]
    pub fn advance_handshake(&self) -> io::Result<bool> {
        Ok(self.handshake()? == HandshakeState::Done)
    }

    /// Whether the stream uses TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The result of the TLS handshake, if there was one.
    pub fn agreement(&self) -> Option<&Agreement> {
        self.tls.as_ref()?.agreement()
    }

    /// Reads received bytes. `Ok(0)` is the peer's end. If the buffer is not full afterwards,
    /// nothing is left to read, unless [`has_buffered`](Self::has_buffered) is true.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.link.recv(buffer),
            Some(tls) => tls.recv(&self.link, buffer),
        }
    }

    /// Reads received bytes to discard them. With TLS these are records, not plaintext.
    pub(crate) fn discard(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.link.recv(buffer)
    }

    /// Whether received bytes wait to be read. The system does not report those of a pipe.
    pub(crate) fn has_waiting(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        self.has_buffered()
            || self
                .link
                .socket()
                .is_some_and(|socket| socket.peek(&mut byte).is_ok_and(|count| count > 0))
    }

    /// Whether [`recv`](Self::recv) has something to return that the kernel will not announce. Only
    /// with TLS, and never after `recv` returned `WouldBlock`.
    pub fn has_buffered(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_buffered())
    }

    /// Whether a client with TLS has ended its direction without `close_notify`, which
    /// distinguishes an end from a connection that was cut.
    pub(crate) fn is_truncated(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_truncated())
    }

    /// The size of the kernel's send buffer in bytes; 0 if the system does not report it.
    pub(crate) fn send_buffer(&self) -> u64 {
        let size = self.socket().map(|socket| socket.send_buffer_size());
        size.and_then(Result::ok).unwrap_or_default() as u64
    }

    /// Ends the sending direction at once, and discards bytes that TLS holds back. Returns whether
    /// the peer sees that end before the stream is closed.
    pub(crate) fn finish(&self) -> bool {
        let result = match &self.tls {
            None => self.link.shutdown_write(),
            Some(tls) => tls.finish(&self.link),
        };
        result.is_ok() && self.link.has_half_close()
    }

    /// Makes closing the socket reset the connection instead of ending it.
    pub fn reset_on_close(&self) {
        if let Some(socket) = self.inet_socket() {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }

    /// The local address, as the kernel has it; `None` for a pipe.
    pub(crate) fn name(&self) -> Option<SockAddr> {
        self.link.socket()?.local_addr().ok()
    }

    /// The local address.
    pub fn local_address(&self) -> Option<Address> {
        self.name().map(|address| Address::from_sock_addr(&address))
    }

    /// The remote address.
    pub fn peer_address(&self) -> Option<Address> {
        let address = self.link.socket()?.peer_addr();
        address
            .ok()
            .map(|address| Address::from_sock_addr(&address))
    }

    /// The process at the other end of a Unix socket. The caller is in the context of the runtime.
    ///
    /// # Errors The system does not report it, for example because the socket is a TCP socket.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        match self.socket() {
            Some(socket) if !self.inet => Credentials::of(&socket),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The socket; `None` for a pipe.
    fn socket(&self) -> Option<impl Deref<Target = Socket>> {
        self.link.socket()
    }

    /// The TCP socket.
    fn inet_socket(&self) -> Option<impl Deref<Target = Socket>> {
        self.socket().filter(|_| self.inet)
    }

    /// Turns `TCP_NODELAY` on or off; without effect on a Unix socket.
    pub fn set_no_delay(&self, on: bool) -> io::Result<()> {
        self.inet_socket()
            .map_or(Ok(()), |socket| socket.set_tcp_nodelay(on))
    }

    /// Turns keep-alive probes on or off; without effect on a Unix socket.
    pub fn set_keep_alive(&self, on: bool, initial_delay: Duration) -> io::Result<()> {
        let Some(socket) = self.inet_socket() else {
            return Ok(());
        };
        socket.set_keepalive(on)?;
        if on && !initial_delay.is_zero() {
            let probes = socket2::TcpKeepalive::new().with_time(initial_delay);
            socket.set_tcp_keepalive(&probes)?;
        }
        Ok(())
    }
}

impl Outgoing for Stream {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.link.send(bytes),
            Some(tls) => tls.send(&self.link, &[IoSlice::new(bytes)]),
        }
    }

    fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.tls {
            None => self.link.send_vectored(pieces),
            Some(tls) => tls.send(&self.link, pieces),
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.tls
            .as_ref()
            .map_or(Ok(()), |tls| tls.flush(&self.link))
    }

    fn is_flushed(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_flushed())
    }

    fn held(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.held())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        match &self.tls {
            None => self.link.shutdown_write(),
            Some(tls) => tls.shutdown_write(&self.link),
        }
    }
}
