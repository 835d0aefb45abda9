//! TLS of clients. `lib/internal/tls/tls-connector.js` makes these from the program's options.

use super::openssl::{Peer, Verifier};
use super::values::duration;
use crate::transport::tls::{
    Agreement, ClientConfig, ClientOptions, ConfigError, TrustStore, Untrusted,
};
use napi::bindgen_prelude::{Buffer, Error, Result, Status, Uint8Array};
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn unusable(error: ConfigError) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}

/// The certificate authorities that a client trusts.
#[napi]
pub struct TlsTrustStore {
    inner: Arc<TrustStore>,
}

#[napi]
impl TlsTrustStore {
    /// Trusts the certificates in `pem`; without it, the built-in ones of Mozilla.
    #[napi(constructor, catch_unwind)]
    pub fn new(pem: Option<Uint8Array>) -> Result<Self> {
        let trust = match pem {
            Some(pem) => {
                let openssl = Verifier::shared(Peer::Server, &pem, b"");
                TrustStore::new(&pem, openssl).map_err(unusable)?
            }
            None => TrustStore::mozilla(),
        };
        Ok(Self {
            inner: Arc::new(trust),
        })
    }
}

/// Options of [`TlsClientConfig`].
#[napi(object)]
pub struct TlsOptions {
    /// The client's certificate chain, in PEM.
    pub cert: Option<Uint8Array>,
    /// The private key of the certificate, in PEM.
    pub key: Option<Uint8Array>,
    /// The name for SNI.
    pub servername: Option<String>,
    /// Protocol names for ALPN.
    pub protocols: Vec<Uint8Array>,
    /// Allows TLS 1.2.
    pub tls12: bool,
    /// Allows TLS 1.3.
    pub tls13: bool,
    /// Limit for a handshake, in milliseconds; 0 is no limit.
    pub handshake_timeout: f64,
}

/// How a client secures its connections.
#[napi]
pub struct TlsClientConfig {
    pub(super) inner: Arc<ClientConfig>,
}

#[napi]
impl TlsClientConfig {
    /// Throws for options that rustls does not support.
    #[napi(constructor, catch_unwind)]
    pub fn new(trust: &TlsTrustStore, options: TlsOptions) -> Result<Self> {
        let identity = options.cert.as_deref().zip(options.key.as_deref());
        let client = ClientConfig::new(
            ClientOptions {
                trust: Arc::clone(&trust.inner),
                identity,
                server_name: options.servername.clone(),
                protocols: options.protocols.iter().map(|name| name.to_vec()).collect(),
                tls12: options.tls12,
                tls13: options.tls13,
            },
            duration(options.handshake_timeout).unwrap_or(Duration::MAX),
        );
        Ok(Self {
            inner: Arc::new(client.map_err(unusable)?),
        })
    }
}

/// Why the certificate of a peer is not trusted.
#[napi(object)]
pub struct TlsUntrusted {
    /// The code of Node.
    pub code: String,
    /// The message of OpenSSL.
    pub reason: String,
}

impl From<&Untrusted> for TlsUntrusted {
    fn from(untrusted: &Untrusted) -> Self {
        Self {
            code: untrusted.code.to_owned(),
            reason: untrusted.reason.clone(),
        }
    }
}

/// The result of a handshake.
#[napi(object)]
pub struct TlsAgreement {
    /// The peer's certificates in DER, its own first.
    pub certificates: Vec<Buffer>,
    /// Why they are not trusted; undefined if they are.
    pub untrusted: Option<TlsUntrusted>,
    /// TLS 1.3 was negotiated, not 1.2.
    pub tls13: bool,
    /// The number of the cipher suite.
    pub cipher: u16,
    /// The protocol that ALPN selected.
    pub protocol: Option<Buffer>,
    /// On a server: the name that the client asked for.
    pub servername: Option<String>,
    /// An earlier session was resumed.
    pub resumed: bool,
}

impl From<&Agreement> for TlsAgreement {
    fn from(agreement: &Agreement) -> Self {
        Self {
            certificates: agreement
                .certificates
                .iter()
                .map(|der| Buffer::from(der.as_slice()))
                .collect(),
            untrusted: agreement.untrusted.as_ref().map(TlsUntrusted::from),
            tls13: agreement.tls13,
            cipher: agreement.cipher,
            protocol: agreement.protocol.as_deref().map(Buffer::from),
            servername: agreement.server_name.clone(),
            resumed: agreement.resumed,
        }
    }
}
