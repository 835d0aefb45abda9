//! TLS on the client's side of a connection.
//!
//! [`ClientConfig`] describes how a client secures its connections, and [`TlsStream`] is one
//! secured connection: rustls between the plaintext of a [`Stream`](super::Stream) and its socket.
//! The handshake is finished before there is a connection, so no code above a stream sees it.
//!
//! Whether the server's certificate is accepted is decided after the handshake, before the
//! connection is read or written. [`TrustStore`] follows the chain; JavaScript compares names,
//! because the program may replace that check.

mod config;
mod error;
mod stream;
mod trust_store;

pub use config::{ClientConfig, ClientOptions};
pub use error::{ConfigError, TlsError};
pub use stream::Agreement;
pub(crate) use stream::{HandshakeState, TlsStream};
pub use trust_store::TrustStore;

#[cfg(test)]
mod tests;
