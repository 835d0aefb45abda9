//! Addresses of sockets and listeners.

use socket2::SockAddr;
use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::Path;

/// The address of a socket or listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A path in the file system; `None` for an unnamed Unix socket. On Windows the name of a pipe.
    Unix(Option<String>),
}

impl Address {
    pub(crate) fn from_sock_addr(address: &SockAddr) -> Self {
        match address.as_socket() {
            Some(inet) => Self::Inet(inet),
            None => Self::Unix(path_of(address)),
        }
    }

    /// The address in the form of the kernel.
    pub(crate) fn to_sock_addr(&self) -> io::Result<SockAddr> {
        match self {
            Self::Inet(inet) => Ok(SockAddr::from(*inet)),
            #[cfg(unix)]
            Self::Unix(path) => SockAddr::unix(Path::new(path.as_deref().unwrap_or_default())),
            // A pipe is not a socket.
            #[cfg(windows)]
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

#[cfg(unix)]
fn path_of(address: &SockAddr) -> Option<String> {
    let path = address.as_pathname()?;
    Some(path.to_string_lossy().into_owned())
}

/// Sockets of Windows have IP addresses.
#[cfg(windows)]
fn path_of(_: &SockAddr) -> Option<String> {
    None
}

/// Whether a connection to `target` reaches a listener that is bound to `bound`, which may be a
/// wildcard.
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
