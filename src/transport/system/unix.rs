//! Sockets as descriptors: TCP and Unix sockets.

use crate::transport::address::Address;
use crate::transport::socket::{SEND_FLAGS, begin, give_name, new_socket};
use rustix::net::RecvFlags;
use socket2::{SockAddr, Socket};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A socket that connects, or is connected, and that no stream owns yet.
#[derive(Debug)]
pub(crate) struct RawSocket(Socket);

impl From<Socket> for RawSocket {
    fn from(socket: Socket) -> Self {
        Self(socket)
    }
}

impl RawSocket {
    /// Begins to connect. Returns whether the connection is complete. A listener of the same
    /// environment may recognise a socket that is `named`.
    pub(crate) fn connect(endpoint: &Address, named: bool) -> io::Result<(Self, bool)> {
        let socket = new_socket(endpoint)?;
        if named {
            give_name(&socket, endpoint);
        }
        let is_connected = begin(&socket, endpoint)?;
        Ok((Self(socket), is_connected))
    }

    /// Waits until the socket is connected.
    pub(crate) async fn connected(self) -> io::Result<Self> {
        if self.0.peer_addr().is_ok() {
            return Ok(self);
        }
        let fd = watch(self.0, Interest::WRITABLE)?;
        loop {
            let mut ready = fd.writable().await?;
            if let Some(error) = fd.get_ref().take_error()? {
                return Err(error);
            }
            if fd.get_ref().peer_addr().is_ok() {
                break;
            }
            ready.clear_ready();
        }
        Ok(Self(fd.into_inner()))
    }

    /// The socket.
    #[allow(clippy::unnecessary_wraps)] // a pipe of Windows is none
    pub(crate) fn socket(&self) -> Option<&Socket> {
        Some(&self.0)
    }
}

/// The connected, non-blocking socket of a stream.
#[derive(Debug)]
pub(crate) struct Link(Socket);

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Link {
    pub(crate) fn new(socket: RawSocket) -> io::Result<Self> {
        let RawSocket(socket) = socket;
        socket.set_nonblocking(true)?;
        // macOS refuses this if the peer of a Unix socket has left already, but its bytes must
        // still be read. A socket that was accepted or created here has the option from the
        // beginning.
        #[cfg(target_vendor = "apple")]
        let _ = socket.set_nosigpipe(true);
        Ok(Self(socket))
    }

    /// The socket.
    #[allow(clippy::unnecessary_wraps)] // a pipe of Windows is none
    pub(crate) fn socket(&self) -> Option<&Socket> {
        Some(&self.0)
    }

    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // The system call itself: that of the C library is a cancellation point, which costs a
        // noticeable part of the time of a small message. It is not `read()`, for which the kernel
        // looks at the inode of the socket as well, and waits for its memory if there are hundreds
        // of connections.
        let (_, count) = rustix::net::recv(&self.0, buffer, RecvFlags::empty())?;
        Ok(count)
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_with_flags(bytes, SEND_FLAGS)
    }

    pub(crate) fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_vectored_with_flags(pieces, SEND_FLAGS)
    }

    /// Ends the sending direction.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Whether the peer sees the end of one direction, so that the other may be read further before
    /// the link is closed.
    #[allow(clippy::unused_self)] // a pipe of Windows has no such end
    pub(crate) fn has_half_close(&self) -> bool {
        true
    }
}

/// The owner of a link, as tokio registers it.
struct Owner<T>(T);

impl<T: Deref<Target: AsRef<Link>>> AsRawFd for Owner<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_ref().0.as_raw_fd()
    }
}

/// Waits on the runtime for a link. It keeps the owner of the link alive.
pub(crate) struct Watch<T: Deref<Target: AsRef<Link>>>(AsyncFd<Owner<T>>);

impl<T: Deref<Target: AsRef<Link>>> Watch<T> {
    /// Registers a link, which must not be registered elsewhere. The caller is in the context of
    /// the runtime.
    pub(crate) fn new(owner: T, interest: Interest) -> io::Result<Self> {
        watch(Owner(owner), interest).map(Self)
    }

    /// Waits until the link is ready for `interest`.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Readiness<'_, T>> {
        self.0.ready(interest).await.map(Readiness)
    }
}

/// A link that is ready.
pub(crate) struct Readiness<'a, T: Deref<Target: AsRef<Link>>>(AsyncFdReadyGuard<'a, Owner<T>>);

impl<T: Deref<Target: AsRef<Link>>> Readiness<'_, T> {
    /// It turned out not to be ready any more: the next wait is for the kernel.
    pub(crate) fn clear(&mut self) {
        self.0.clear_ready();
    }
}

/// Registers a descriptor with the runtime, in whose context the caller is.
///
/// tokio deprecates this function in favour of an `unsafe` one, because an `AsRawFd` could return a
/// descriptor that other code closes. The types of this layer own theirs: it stays open while they
/// live.
#[allow(deprecated)]
fn watch<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}

/// A socket that listens, before it is watched.
#[derive(Debug)]
pub(crate) struct BoundSocket(Socket);

impl From<Socket> for BoundSocket {
    fn from(socket: Socket) -> Self {
        Self(socket)
    }
}

/// A socket that listens. Only the code that closes it owns it, because on some systems the address
/// is free only after the last descriptor is closed.
pub(crate) enum ListeningSocket {
    /// Watched by the poller.
    Polled(Socket),
    /// Watched by the runtime.
    Watched(AsyncFd<Socket>),
    /// Other code accepts, at a duplicate of the descriptor.
    Lent(Socket),
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl ListeningSocket {
    /// The caller is in the context of the runtime, which watches the socket unless it `is_polled`.
    pub(crate) fn new(socket: BoundSocket, is_polled: bool) -> io::Result<Self> {
        let BoundSocket(socket) = socket;
        if is_polled {
            return Ok(Self::Polled(socket));
        }
        watch(socket, Interest::READABLE).map(Self::Watched)
    }

    /// A socket at a duplicate of which other code accepts.
    #[allow(clippy::unnecessary_wraps)] // Windows has no descriptor to duplicate
    pub(crate) fn lend(socket: BoundSocket) -> io::Result<Self> {
        Ok(Self::Lent(socket.0))
    }

    pub(crate) fn is_lent(&self) -> bool {
        matches!(self, Self::Lent(_))
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Polled(socket) | Self::Lent(socket) => socket,
            Self::Watched(fd) => fd.get_ref(),
        }
    }

    /// Accepts a connection. Returns it with the address of its peer, which a pipe of Windows does
    /// not have.
    pub(crate) fn accept(&self) -> io::Result<(RawSocket, Option<SockAddr>)> {
        let (socket, peer) = self.socket().accept()?;
        Ok((RawSocket(socket), Some(peer)))
    }

    /// A client of this process has connected. Accepting finds it by itself.
    #[allow(clippy::unused_self)] // a pipe of Windows has to be told
    pub(crate) fn expect(&self) {}

    /// Calls `serve` when the runtime finds that a connection waits. It returns whether none is
    /// left. `None`: the runtime does not watch the socket.
    pub(crate) fn poll_serve<R>(
        &self,
        context: &mut Context<'_>,
        serve: impl FnOnce() -> (R, bool),
    ) -> Poll<Option<R>> {
        let Self::Watched(fd) = self else {
            return Poll::Ready(None);
        };
        let Ok(mut ready) = ready!(fd.poll_read_ready(context)) else {
            return Poll::Ready(None);
        };
        let (result, is_drained) = serve();
        if is_drained {
            ready.clear_ready();
        }
        Poll::Ready(Some(result))
    }
}
