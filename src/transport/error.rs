//! Failed system calls.

#[cfg(windows)]
mod windows;

use std::fmt;
use std::io;

/// A failed system call.
///
/// JavaScript turns it into the error that Node's own `net` makes of it: `code`, `errno`,
/// `syscall`, and the address if there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{syscall}: {}", describe(*errno))]
pub struct SystemError {
    /// The positive error number of libuv: on Unix that of the operating system.
    pub errno: i32,
    /// The call as libuv names it: `connect`, `listen`, `accept`, `read`, `write`, `shutdown`.
    pub syscall: &'static str,
}

impl SystemError {
    /// The error that `syscall` returned.
    pub fn new(syscall: &'static str, error: &io::Error) -> Self {
        Self {
            errno: errno_of(error),
            syscall,
        }
    }
}

/// The error number of libuv for `error`, or for the system error that it represents.
pub(crate) fn errno_of(error: &io::Error) -> i32 {
    if let Some(code) = error.raw_os_error() {
        return number(code);
    }
    match error.kind() {
        // std makes these errors itself, without a number.
        io::ErrorKind::InvalidInput => EINVAL,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => ECONNRESET,
        io::ErrorKind::BrokenPipe => EPIPE,
        io::ErrorKind::Unsupported => ENOTSUP,
        _ => EIO,
    }
}

#[cfg(unix)]
fn number(code: i32) -> i32 {
    code
}
#[cfg(windows)]
use windows::number;

/// An error number, for developers.
#[cfg(unix)]
pub(crate) fn describe(errno: i32) -> impl fmt::Display {
    io::Error::from_raw_os_error(errno)
}

/// An error number, for developers. Windows does not know the numbers of libuv.
#[cfg(windows)]
pub(crate) fn describe(errno: i32) -> impl fmt::Display {
    format!("error {errno} of libuv")
}

#[cfg(unix)]
mod numbers {
    pub(crate) const EIO: i32 = 5;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const EPIPE: i32 = 32;
    pub(crate) const ENOTSUP: i32 = if cfg!(target_os = "linux") { 95 } else { 45 };
    pub(crate) const ECONNRESET: i32 = if cfg!(target_os = "linux") { 104 } else { 54 };
    /// Only the layer of Node makes this error.
    #[cfg(feature = "node")]
    pub(crate) const ECONNREFUSED: i32 = if cfg!(target_os = "linux") { 111 } else { 61 };
}

#[cfg(all(unix, feature = "node"))]
pub(crate) use numbers::ECONNREFUSED;
#[cfg(unix)]
pub(crate) use numbers::EIO;
#[cfg(unix)]
use numbers::{ECONNRESET, EINVAL, ENOTSUP, EPIPE};
#[cfg(windows)]
pub(crate) use windows::{ECONNREFUSED, EIO};
#[cfg(windows)]
use windows::{ECONNRESET, EINVAL, ENOTSUP, EPIPE};
