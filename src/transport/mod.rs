//! Sockets: TCP or Unix, always non-blocking, in the clear or with TLS.
//!
//! ```text
//! Stream        a connected socket (this file)
//!   tls         TLS on it, and the certificates that a client trusts
//!   outgoing    its sending direction, as the send queue sees it
//!   quota       how many descriptors the connections of one listener have
//! socket        creates sockets and registers them with the runtime
//! listening     makes listening sockets
//! socket_file   the file of a listening Unix socket
//! address       where a socket is
//! credentials   the process at the other end of a Unix socket
//! error         failed system calls
//! ```

pub mod address;
pub mod credentials;
pub(crate) mod descriptor_quota;
pub mod error;
pub mod listening;
pub mod outgoing;
pub(crate) mod socket;
pub mod socket_file;
pub mod tls;

pub use address::Address;
pub use credentials::Credentials;
pub use error::SystemError;
pub use listening::{ListenOptions, Listening};
pub use outgoing::Outgoing;
pub use socket_file::FileMode;

use descriptor_quota::DescriptorQuota;
use socket::SEND_FLAGS;
use socket2::{SockAddr, Socket};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use tls::{Agreement, ClientConfig, HandshakeState, ServerConfig, TlsStream};

/// A connected, non-blocking stream socket.
///
/// All methods take `&self`: the kernel serialises reads and writes, and the locks of a connection
/// decide which thread may call which method.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    inet: bool,
    tls: Option<Box<TlsStream>>,
    /// Declared after the socket, so that it is dropped after the descriptor is closed.
    quota: Option<Arc<DescriptorQuota>>,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The descriptor of a shared stream, as tokio registers it.
#[derive(Debug, Clone)]
pub(crate) struct StreamFd(pub(crate) Arc<Stream>);

impl AsRawFd for StreamFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.socket.as_raw_fd()
    }
}

impl Stream {
    /// Takes over a connected socket and sets `TCP_NODELAY` on it.
    ///
    /// With Nagle's algorithm a pipelined callback waits for the peer's delayed acknowledgement,
    /// 40 ms on Linux.
    pub fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // macOS refuses this where the peer of a Unix socket is gone already, whose bytes must still be read. A socket that
        // was accepted or created here has the option from the beginning.
        #[cfg(target_vendor = "apple")]
        let _ = socket.set_nosigpipe(true);
        let inet = socket
            .local_addr()
            .is_ok_and(|address| address.as_socket().is_some());
        if inet {
            // Fails if the peer has closed the connection already, which reading reports.
            let _ = socket.set_tcp_nodelay(true);
        }
        Ok(Self {
            socket,
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
    pub(crate) fn secure(socket: Socket, config: &ClientConfig) -> io::Result<Self> {
        let tls = TlsStream::client(config).map_err(io::Error::other)?;
        Ok(Self {
            tls: Some(Box::new(tls)),
            ..Self::new(socket)?
        })
    }

    /// As [`secure`](Self::secure), for an accepted socket of a server.
    pub fn into_secure(self, config: &ServerConfig) -> io::Result<Self> {
        let tls = TlsStream::server(config).map_err(io::Error::other)?;
        Ok(Self {
            tls: Some(Box::new(tls)),
            ..self
        })
    }

    /// Another descriptor of the socket.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    /// Continues the TLS handshake as far as the socket allows.
    pub(crate) fn handshake(&self) -> io::Result<HandshakeState> {
        self.tls
            .as_ref()
            .map_or(Ok(HandshakeState::Done), |tls| tls.handshake(&self.socket))
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
            None => (&self.socket).read(buffer),
            Some(tls) => tls.recv(&self.socket, buffer),
        }
    }

    /// Reads received bytes to discard them. With TLS these are records, not plaintext.
    pub(crate) fn discard(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(buffer)
    }

    /// Whether received bytes wait to be read.
    pub(crate) fn has_waiting(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        self.has_buffered() || self.socket.peek(&mut byte).is_ok_and(|count| count > 0)
    }

    /// Whether [`recv`](Self::recv) has something to return that the kernel will not announce. Only
    /// with TLS, and never after `recv` returned `WouldBlock`.
    pub fn has_buffered(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_buffered())
    }

    /// Whether a client with TLS has ended its direction without the `close_notify` that tells an end
    /// from a connection that was cut.
    pub(crate) fn is_truncated(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_truncated())
    }

    /// The size of the kernel's send buffer in bytes.
    pub(crate) fn send_buffer(&self) -> u64 {
        self.socket.send_buffer_size().unwrap_or_default() as u64
    }

    /// Ends the sending direction at once, and discards bytes that TLS holds back.
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

    /// The local address, as the kernel has it.
    pub(crate) fn name(&self) -> Option<SockAddr> {
        self.socket.local_addr().ok()
    }

    /// The local address.
    pub fn local_address(&self) -> Option<Address> {
        self.socket
            .local_addr()
            .ok()
            .map(|address| Address::from_sock_addr(&address))
    }

    /// The remote address.
    pub fn peer_address(&self) -> Option<Address> {
        self.socket
            .peer_addr()
            .ok()
            .map(|address| Address::from_sock_addr(&address))
    }

    /// The process at the other end of a Unix socket. The caller is in the context of the runtime.
    ///
    /// # Errors
    /// The system does not tell, for example because the socket is one of TCP.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        if self.inet {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Credentials::of(&self.socket)
    }

    /// Turns `TCP_NODELAY` on or off; without effect on a Unix socket.
    pub fn set_no_delay(&self, on: bool) -> io::Result<()> {
        if self.inet {
            self.socket.set_tcp_nodelay(on)
        } else {
            Ok(())
        }
    }

    /// Turns keep-alive probes on or off; without effect on a Unix socket.
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
