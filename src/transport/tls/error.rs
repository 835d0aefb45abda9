//! Errors of TLS.

use std::io;

/// Options that cannot be used, in words for a developer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A certificate, a key or a name in an unsupported form.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// The options contradict each other, or rustls does not support them.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// A failure of the TLS protocol, as opposed to one of a system call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct TlsError(#[from] rustls::Error);

impl TlsError {
    /// The TLS failure that `error` carries, if it does.
    pub(crate) fn in_io_error(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The number of the alert that the peer sent, or a number above all alerts: 256 for a record
    /// that cannot be decrypted, 257 for bytes that are not TLS, 258 for anything else.
    pub fn number(&self) -> i32 {
        match &self.0 {
            rustls::Error::AlertReceived(alert) => i32::from(u8::from(*alert)),
            rustls::Error::DecryptError => 256,
            rustls::Error::InvalidMessage(_) => 257,
            _ => 258,
        }
    }
}
