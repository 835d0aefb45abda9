//! Errors: those of connections, as `lib/` gets them, and those of the program that it does not
//! catch.

use crate::events::error::{ConnectError, ConnectionError, HandshakeError};
use crate::transport::SystemError;
use crate::transport::error::{ECONNREFUSED, EIO};
use crate::transport::tls::TlsError;
use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue, sys};
use napi_derive::napi;

/// The kinds of errors that events report, which JavaScript reads by the same names.
#[napi]
#[derive(Clone, Copy)]
pub enum ErrorKind {
    /// A system call failed.
    System,
    /// The peer does not read fast enough, and is disconnected.
    SlowConsumer,
    /// TLS failed.
    Tls,
    /// A client has a certificate that is not trusted.
    CertificateRefused,
    /// The TLS handshake failed, and would fail again.
    HandshakeFailed,
    /// The connection broke during the TLS handshake.
    HandshakeInterrupted,
    /// The TLS handshake took too long.
    HandshakeTimedOut,
    /// A client was connected to itself, because no server listens there.
    ConnectedToItself,
}

/// An error as `lib/` gets it: its kind, a number, and the system call that returned it, if there is
/// one. The number is that of the system's error, or of the TLS failure: see [`TlsError::number`].
pub(super) type ErrorCode = (ErrorKind, i32, &'static str);

pub(super) const fn system_error_code(error: &SystemError) -> ErrorCode {
    (ErrorKind::System, error.errno, error.syscall)
}

pub(super) fn connection_error_code(error: &ConnectionError) -> ErrorCode {
    match error {
        ConnectionError::System(error) => system_error_code(error),
        ConnectionError::Tls(error) => (ErrorKind::Tls, error.number(), ""),
        ConnectionError::SlowConsumer => (ErrorKind::SlowConsumer, 0, ""),
        ConnectionError::TaskPanicked => (ErrorKind::System, EIO, "read"),
    }
}

pub(super) fn connect_error_code(error: &ConnectError) -> ErrorCode {
    match error {
        ConnectError::System(error) => system_error_code(error),
        ConnectError::Itself => (ErrorKind::ConnectedToItself, ECONNREFUSED, "connect"),
        ConnectError::HandshakeInterrupted(errno) => (ErrorKind::HandshakeInterrupted, *errno, ""),
        ConnectError::HandshakeFailed(_) => (ErrorKind::HandshakeFailed, 0, ""),
        ConnectError::HandshakeTimedOut => (ErrorKind::HandshakeTimedOut, 0, ""),
    }
}

pub(super) fn handshake_error_code(error: &HandshakeError) -> ErrorCode {
    match error {
        HandshakeError::Interrupted(errno) => (ErrorKind::HandshakeInterrupted, *errno, "read"),
        HandshakeError::Tls(TlsError::Refused(..)) => (ErrorKind::CertificateRefused, 0, ""),
        HandshakeError::Tls(error) => (ErrorKind::Tls, error.number(), ""),
        HandshakeError::TimedOut => (ErrorKind::HandshakeTimedOut, 0, ""),
    }
}

/// Reports an error of the program as uncaught. Unlike `throw` in JavaScript, it makes Node show
/// the line of the program that made the error.
// In a build of the Rust tests no code refers to it.
#[cfg_attr(test, allow(dead_code))]
#[napi(catch_unwind)]
pub fn report_uncaught(env: Env, error: Unknown<'_>) {
    // SAFETY: both belong to the current call. A listener of the program may run meanwhile, as in
    // any call into JavaScript; nothing is borrowed here.
    let _ = unsafe { sys::napi_fatal_exception(env.raw(), error.raw()) };
}
