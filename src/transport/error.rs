//! What the system refused, in the terms in which Node reports it.

use super::tls::TlsError;
use std::io;

/// A failed system call.
///
/// JavaScript turns it into the error Node's own `net` makes of it: `code`, `errno`, `syscall`,
/// and the address where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{syscall}: {}", io::Error::from_raw_os_error(*errno))]
pub struct SystemError {
    /// The positive number of the operating system, or 0 if the failure was not the system's.
    pub errno: i32,
    /// The call as libuv names it: `connect`, `listen`, `bind`, `accept`, `read`, `write`. With
    /// `tls`, the number is that of a [`TlsError`]; with `connect itself`, the other end was the client.
    pub syscall: &'static str,
}

impl SystemError {
    /// Wraps what `syscall` answered.
    pub fn new(syscall: &'static str, error: &io::Error) -> Self {
        let failure = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(failure) = failure {
            return Self {
                errno: TlsError::number(failure),
                syscall: "tls",
            };
        }
        let itself: Option<&Itself> = error.get_ref().and_then(|inner| inner.downcast_ref());
        if itself.is_some() {
            return Self {
                errno: ECONNREFUSED,
                syscall: ITSELF,
            };
        }
        let errno = error.raw_os_error().unwrap_or_else(|| match error.kind() {
            // Errors that std makes up itself have no number; these are what they stand for.
            io::ErrorKind::InvalidInput => EINVAL,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => ECONNRESET,
            io::ErrorKind::BrokenPipe => EPIPE,
            _ => EIO,
        });
        Self { errno, syscall }
    }
}

/// A client was connected to itself: nobody else listens there.
#[derive(Debug, thiserror::Error)]
#[error("connected to itself")]
pub(crate) struct Itself;

/// The call of which that is told.
const ITSELF: &str = "connect itself";

const EIO: i32 = 5;
const EINVAL: i32 = 22;
const EPIPE: i32 = 32;
#[cfg(target_os = "linux")]
const ECONNRESET: i32 = 104;
#[cfg(not(target_os = "linux"))]
const ECONNRESET: i32 = 54;
#[cfg(target_os = "linux")]
const ECONNREFUSED: i32 = 111;
#[cfg(not(target_os = "linux"))]
const ECONNREFUSED: i32 = 61;
