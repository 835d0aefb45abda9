//! Errors: those of connections, as `lib/` gets them, and those of the program that it does not
//! catch.

use crate::events::error::{ConnectError, ConnectionError, HandshakeError};
use crate::transport::SystemError;
use crate::transport::error::{ECONNREFUSED, EIO};
use crate::transport::tls::TlsError;
use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue, sys};
use napi_derive::napi;

/// An error as `lib/` gets it: a number, and the system call that returned it. Errors that no
/// system call returned have one of these names instead of the system call, and a number of their
/// own:
///
/// - `tls`: TLS failed on a connection; the number is [`TlsError::number`](crate::transport::tls::TlsError::number).
/// - `handshake`: the TLS handshake failed; with 0 it would fail again, any other number is that of a system error.
/// - `certificate`: the certificate of a client was refused during the TLS handshake.
/// - `handshake timeout`: the TLS handshake took too long.
/// - `connect itself`: a socket was connected to itself.
/// - `write` with 0: the peer is a slow consumer.
pub(super) type ErrorCode = (i32, &'static str);

pub(super) fn system_error_code(error: &SystemError) -> ErrorCode {
    (error.errno, error.syscall)
}

pub(super) fn connection_error_code(error: &ConnectionError) -> ErrorCode {
    match error {
        ConnectionError::System(error) => system_error_code(error),
        ConnectionError::Tls(error) => (error.number(), "tls"),
        ConnectionError::SlowConsumer => (0, "write"),
        ConnectionError::TaskPanicked => (EIO, "read"),
    }
}

pub(super) fn connect_error_code(error: &ConnectError) -> ErrorCode {
    match error {
        ConnectError::System(error) => system_error_code(error),
        ConnectError::Itself => (ECONNREFUSED, "connect itself"),
        ConnectError::HandshakeInterrupted(errno) => (*errno, "handshake"),
        ConnectError::HandshakeFailed(_) => (0, "handshake"),
        ConnectError::HandshakeTimedOut => (0, "handshake timeout"),
    }
}

pub(super) fn handshake_error_code(error: &HandshakeError) -> ErrorCode {
    match error {
        HandshakeError::Interrupted(errno) => (*errno, "handshake"),
        HandshakeError::Tls(TlsError::Refused(..)) => (0, "certificate"),
        HandshakeError::Tls(error) => (error.number(), "tls"),
        HandshakeError::TimedOut => (0, "handshake timeout"),
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
