//! TLS of clients, as `lib/internal/tls/tls.js` asks for it.

use super::options::interval;
use crate::net::tls::{self, Agreement, ConfigError, Options, Trust};
use napi::bindgen_prelude::{Buffer, Error, Result, Status, Uint8Array};
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;

fn unusable(error: ConfigError) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}

/// Whom to trust.
#[napi]
pub struct TlsTrust {
    inner: Arc<Trust>,
}

#[napi]
impl TlsTrust {
    /// Trusts the certificates in a text in PEM; without one, those that were built in.
    #[napi(constructor)]
    pub fn new(pem: Option<Uint8Array>) -> Result<Self> {
        let trust = match pem {
            Some(pem) => Trust::new(&pem).map_err(unusable)?,
            None => Trust::mozilla(),
        };
        Ok(Self {
            inner: Arc::new(trust),
        })
    }
}

/// What else there is to choose.
#[napi(object)]
pub struct TlsOptions {
    /// The client's certificate and those it leads to, in PEM.
    pub cert: Option<Uint8Array>,
    /// The key to it, in PEM.
    pub key: Option<Uint8Array>,
    /// The name to ask the server for.
    pub servername: Option<String>,
    /// ALPN.
    pub protocols: Vec<Uint8Array>,
    /// TLS 1.2 will do.
    pub tls12: bool,
    /// TLS 1.3 will do.
    pub tls13: bool,
    /// How long a handshake may take, in milliseconds; 0 is for ever.
    pub handshake_timeout: f64,
}

/// How a client secures its connections.
#[napi]
pub struct TlsClient {
    pub(super) inner: Arc<tls::Client>,
}

#[napi]
impl TlsClient {
    /// Throws for what cannot be done here.
    #[napi(constructor)]
    pub fn new(trust: &TlsTrust, options: TlsOptions) -> Result<Self> {
        let identity = options.cert.as_deref().zip(options.key.as_deref());
        let client = tls::Client::new(
            Options {
                trust: Arc::clone(&trust.inner),
                identity,
                server_name: options.servername.clone(),
                protocols: options.protocols.iter().map(|name| name.to_vec()).collect(),
                tls12: options.tls12,
                tls13: options.tls13,
            },
            interval(options.handshake_timeout).unwrap_or(Duration::MAX),
        );
        Ok(Self {
            inner: Arc::new(client.map_err(unusable)?),
        })
    }
}

/// What a handshake agreed on.
#[napi(object)]
pub struct TlsAgreement {
    /// The server's certificates in DER, its own first.
    pub certificates: Vec<Buffer>,
    /// They lead to one that is trusted.
    pub trusted: bool,
    /// TLS 1.3, not 1.2.
    pub tls13: bool,
    /// The number of the cipher suite.
    pub cipher: u16,
    /// ALPN.
    pub protocol: Option<Buffer>,
}

impl From<&Agreement> for TlsAgreement {
    fn from(agreement: &Agreement) -> Self {
        Self {
            certificates: agreement
                .certificates
                .iter()
                .map(|der| Buffer::from(der.as_slice()))
                .collect(),
            trusted: agreement.trusted,
            tls13: agreement.tls13,
            cipher: agreement.cipher,
            protocol: agreement.protocol.as_deref().map(Buffer::from),
        }
    }
}
