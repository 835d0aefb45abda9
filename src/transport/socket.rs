//! Creates sockets, and registers them with the runtime.

use super::address::Address;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes asked of the kernel at once.
pub(crate) const READ_SIZE: usize = 64 * 1024;

/// Prevents `SIGPIPE` for a write to a closed peer, because not every host process ignores that
/// signal.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const SEND_FLAGS: i32 = 0x4000; // MSG_NOSIGNAL
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const SEND_FLAGS: i32 = 0; // SO_NOSIGPIPE is set on the socket instead

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

/// Registers a descriptor with the runtime, in whose context the caller is.
///
/// tokio deprecates this function in favour of an `unsafe` one, because an `AsRawFd` could return a
/// descriptor that other code closes. The types of this layer own theirs: it stays open while they
/// live.
#[allow(deprecated)]
pub(crate) fn watch<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}
