//! The process at the other end of a Unix socket.

use socket2::Socket;
use std::io;
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(unix)]
use tokio::net::UnixStream;

/// The process that connected, or listened, as the kernel recorded it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Its id; `None` if it runs in a PID namespace that this process cannot see, or if the system
    /// does not report it.
    pub pid: Option<i32>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl Credentials {
    /// Asks the kernel. The caller is in the context of the runtime, because tokio knows the call
    /// of each system.
    #[cfg(unix)]
    pub(super) fn of(socket: &Socket) -> io::Result<Self> {
        let duplicate = socket.as_fd().try_clone_to_owned()?;
        let stream = UnixStream::from_std(duplicate.into())?;
        let found = stream.peer_cred()?;
        Ok(Self {
            pid: found.pid().filter(|pid| *pid > 0),
            uid: found.uid(),
            gid: found.gid(),
        })
    }

    /// Windows does not report the peer of a socket.
    #[cfg(windows)]
    pub(super) fn of(_: &Socket) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
