//! Creates sockets, and begins to connect them.

use super::address::Address;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// Bytes asked of the kernel at once.
pub(crate) const READ_SIZE: usize = 64 * 1024;

/// Prevents `SIGPIPE` for a write to a closed peer, because not every host process ignores that
/// signal.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const SEND_FLAGS: i32 = 0x4000; // MSG_NOSIGNAL
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
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

/// Begins to connect. Returns whether the connection is complete.
pub(crate) fn begin(socket: &Socket, endpoint: &Address) -> io::Result<bool> {
    match socket.connect(&endpoint.to_sock_addr()?) {
        Ok(()) => Ok(true),
        Err(error) if in_progress(&error) => Ok(socket.peer_addr().is_ok()),
        Err(error) => Err(error),
    }
}

/// Gives an unnamed Unix socket of a client a name, by which the listener can recognise it. Linux
/// chooses a unique name, which exists as long as the socket. On other systems the two ends do not
/// recognise each other.
#[cfg(unix)]
pub(crate) fn give_name(socket: &Socket, endpoint: &Address) {
    if cfg!(any(target_os = "linux", target_os = "android"))
        && let Address::Unix(_) = endpoint
        && let Ok(unnamed) = SockAddr::unix("")
    {
        let _ = socket.bind(&unnamed);
    }
}

/// Whether a non-blocking connect continues in the background. (std has no stable kind for
/// `EINPROGRESS`.)
#[cfg(unix)]
fn in_progress(error: &io::Error) -> bool {
    const EINPROGRESS: i32 = if cfg!(target_os = "linux") { 115 } else { 36 };
    error.raw_os_error() == Some(EINPROGRESS)
}

#[cfg(windows)]
fn in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Whether two addresses belong to the same socket. Unnamed sockets cannot be compared.
pub(crate) fn is_same(one: &SockAddr, other: &SockAddr) -> bool {
    if let (Some(one), Some(other)) = (one.as_socket(), other.as_socket()) {
        // A listener for both families reports IPv4 addresses as IPv6 ones.
        return one.ip().to_canonical() == other.ip().to_canonical() && one.port() == other.port();
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let (Some(one), Some(other)) = (one.as_abstract_namespace(), other.as_abstract_namespace()) {
        return !one.is_empty() && one == other;
    }
    false
}
