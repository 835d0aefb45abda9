//! The errors that events report.

use crate::transport::SystemError;
use crate::transport::error::{describe, errno_of};
use crate::transport::tls::TlsError;
use std::io;

/// Why a connection is broken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConnectionError {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The peer does not read fast enough, and the policy is to disconnect it.
    #[error("the peer does not read fast enough")]
    SlowConsumer,
    /// The connection's task panicked, which is a fault of this package.
    #[error("the task of the connection panicked")]
    TaskPanicked,
}

impl ConnectionError {
    /// The error that `syscall` returned on a stream, or that TLS reported there.
    pub(crate) fn new(syscall: &'static str, error: &io::Error) -> Self {
        match TlsError::in_io_error(error) {
            Some(error) => Self::Tls(error.clone()),
            None => Self::System(SystemError::new(syscall, error)),
        }
    }
}

/// Why a client of a server did not complete the TLS handshake.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke, with this error number.
    #[error("the connection broke during the TLS handshake: {}", describe(*.0))]
    Interrupted(i32),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It took too long.
    #[error("the TLS handshake took too long")]
    TimedOut,
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match TlsError::in_io_error(&error) {
            Some(error) => Self::Tls(error.clone()),
            None => Self::Interrupted(errno_of(&error)),
        }
    }
}

/// Why an endpoint could not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The socket was connected to itself, because no server listens there.
    #[error("connected to itself")]
    Itself,
    /// The network failed during the TLS handshake, with this error number.
    #[error("the connection broke during the TLS handshake: {}", describe(*.0))]
    HandshakeInterrupted(i32),
    /// The TLS handshake failed, and would fail again.
    #[error("the TLS handshake failed: {0}")]
    HandshakeFailed(String),
    /// The TLS handshake took too long.
    #[error("the TLS handshake took too long")]
    HandshakeTimedOut,
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::System(SystemError::new("connect", &error))
    }
}

/// Why an attempt to connect failed: the index of each endpoint in the attempt's list, and its
/// error.
pub type Failures = Vec<(u32, ConnectError)>;
