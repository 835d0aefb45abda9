//! Failed system calls.

use std::io;

/// A failed system call.
///
/// JavaScript turns it into the error that Node's own `net` makes of it: `code`, `errno`,
/// `syscall`, and the address if there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{syscall}: {}", io::Error::from_raw_os_error(*errno))]
pub struct SystemError {
    /// The positive error number of the operating system.
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

/// The error number of `error`, or of the system error that it stands for.
pub(crate) fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or_else(|| match error.kind() {
        // std makes these errors itself, without a number.
        io::ErrorKind::InvalidInput => EINVAL,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => ECONNRESET,
        io::ErrorKind::BrokenPipe => EPIPE,
        _ => EIO,
    })
}

/// Input or output error.
pub const EIO: i32 = 5;
const EINVAL: i32 = 22;
const EPIPE: i32 = 32;
#[cfg(target_os = "linux")]
const ECONNRESET: i32 = 104;
#[cfg(not(target_os = "linux"))]
const ECONNRESET: i32 = 54;
/// Connection refused.
#[cfg(target_os = "linux")]
pub const ECONNREFUSED: i32 = 111;
/// Connection refused.
#[cfg(not(target_os = "linux"))]
pub const ECONNREFUSED: i32 = 61;
