//! Errors of TLS.

use super::chain_verifier::Untrusted;
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

/// A failure of TLS, as opposed to one of a system call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TlsError {
    /// The protocol failed.
    #[error(transparent)]
    Protocol(#[from] rustls::Error),
    /// The client has a certificate that is not trusted.
    #[error("the certificate of the client is not trusted: {0}")]
    Refused(Untrusted),
    /// The connection ended within a message, without `close_notify`.
    #[error("the connection was cut within a message")]
    Truncated,
    /// The first bytes of the client are not TLS.
    #[error("the client does not use TLS")]
    Plain {
        /// They are an HTTP request.
        http: bool,
    },
}

impl TlsError {
    /// The TLS failure that `error` carries, if it does.
    pub(crate) fn in_io_error(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The number of the alert that the peer sent, or a number above all alerts for a failure that
    /// this side found. `lib/internal/tls/tls-errors.js` has the meaning of each.
    pub fn number(&self) -> i32 {
        match self {
            Self::Protocol(error) => number_of(error),
            Self::Refused(..) => 258,
            Self::Plain { http: false } => 257,
            Self::Plain { http: true } => 259,
            Self::Truncated => 267,
        }
    }
}

fn number_of(error: &rustls::Error) -> i32 {
    use rustls::Error;
    use rustls::{AlertDescription, InvalidMessage, PeerIncompatible};
    match error {
        // One kind of failure, regardless of the numbers that a peer invents.
        Error::AlertReceived(AlertDescription::Unknown(_)) => 258,
        Error::AlertReceived(alert) => i32::from(u8::from(*alert)),
        Error::DecryptError => 256,
        Error::InvalidMessage(
            InvalidMessage::MessageTooLarge | InvalidMessage::HandshakePayloadTooLarge,
        )
        | Error::PeerSentOversizedRecord => 264,
        Error::InvalidMessage(_) => 257,
        Error::NoCertificatesPresented => 260,
        Error::NoApplicationProtocol => 263,
        Error::PeerIncompatible(incompatible) => match incompatible {
            PeerIncompatible::NoCipherSuitesInCommon => 261,
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => 262,
            PeerIncompatible::NoKxGroupsInCommon => 265,
            PeerIncompatible::NoSignatureSchemesInCommon => 266,
            _ => 258,
        },
        _ => 258,
    }
}
