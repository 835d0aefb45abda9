//! TLS on one end of a connection.
//!
//! ```text
//! config             how a client secures its connections
//! server_config      how a server does
//! stream             one secured connection: rustls between the plaintext of a `Stream` and its socket
//! trust_store        trusted certificates
//! client_trust       the clients that a server trusts
//! certificate_rules  the rules for certificates that rustls does not check
//! signature_by_key   signatures of handshakes, by certificates that rustls cannot read
//! chain_verifier     decides about the chains that rustls does not trust
//! ```
//!
//! The handshake is finished before there is a connection, so no code above a stream sees it.
//!
//! A client decides about the server's certificate after the handshake, before the connection is
//! read or written. [`TrustStore`] follows the chain. JavaScript compares names, because the
//! program may replace that check. A server decides about a client's certificate with
//! [`ClientTrust`] during the handshake, if it requires one, so that the client gets an alert with
//! the reason. On both ends a chain that rustls trusts is trusted, and a [`ChainVerifier`] decides
//! about the others.

mod certificate_rules;
mod chain_verifier;
mod client_trust;
mod config;
mod error;
mod server_config;
mod signature_by_key;
mod stream;
mod trust_store;

pub use chain_verifier::{ChainVerifier, Untrusted};
pub use client_trust::ClientTrust;
pub use config::{ClientConfig, ClientOptions};
pub use error::{ConfigError, TlsError};
pub use server_config::{ClientCertificates, ServerConfig, ServerOptions};
pub use stream::Agreement;
pub(crate) use stream::{HandshakeState, TlsStream};
pub use trust_store::TrustStore;

#[cfg(test)]
mod tests;
