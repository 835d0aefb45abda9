//! TLS of servers. `lib/internal/tls/tls-server.js` makes these from the program's options.

use super::openssl::{Peer, Verifier};
use super::tls::unusable;
use super::values::{duration, number, size};
use crate::endpoint;
use crate::transport::tls::{
    ClientCertificates, ClientTrust, ServerConfig, ServerOptions, TrustStore,
};
use napi::bindgen_prelude::{Result, Uint8Array};
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;

/// A certificate chain and its private key, in PEM.
#[napi(object)]
pub struct TlsIdentity {
    /// The chain, the server's own certificate first.
    pub cert: Uint8Array,
    /// The key.
    pub key: Uint8Array,
}

/// The clients to trust.
#[napi(object)]
pub struct TlsClientTrust {
    /// The trusted certificates, in PEM.
    pub trusted: Uint8Array,
    /// The authorities whose names are sent to clients, in PEM.
    pub announced: Uint8Array,
    /// Revocation lists, in PEM.
    pub revoked: Uint8Array,
    /// Whether the handshake fails without a trusted certificate.
    pub required: bool,
}

/// Options of [`TlsServerConfig`].
#[napi(object)]
pub struct TlsServerOptions {
    /// The first identity that suits a client is used.
    pub identities: Vec<TlsIdentity>,
    /// Without it, clients are asked for no certificate.
    pub clients: Option<TlsClientTrust>,
    /// Protocol names for ALPN.
    pub protocols: Vec<Uint8Array>,
    /// Allows TLS 1.2.
    pub tls12: bool,
    /// Allows TLS 1.3.
    pub tls13: bool,
    /// Prefers its own order of cipher suites.
    pub own_order: bool,
}

/// How a server secures its connections.
#[napi]
pub struct TlsServerConfig {
    inner: Arc<ServerConfig>,
}

#[napi]
impl TlsServerConfig {
    /// Throws for options that rustls does not support.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: TlsServerOptions) -> Result<Self> {
        let clients = match &options.clients {
            None => ClientCertificates::Ignored,
            Some(clients) => {
                let openssl = Verifier::shared(Peer::Client, &clients.trusted, &clients.revoked);
                // With revocation lists OpenSSL decides about all chains: rustls has other rules.
                let is_known = clients.revoked.is_empty();
                let authorities = if is_known { &clients.trusted[..] } else { b"" };
                let authorities = TrustStore::new(authorities, None).map_err(unusable)?;
                let trust = ClientTrust::new(authorities, &clients.announced, openssl);
                let trust = Arc::new(trust.map_err(unusable)?);
                if clients.required {
                    ClientCertificates::Required(trust)
                } else {
                    ClientCertificates::Requested(trust)
                }
            }
        };
        let identities = options.identities.iter();
        let config = ServerConfig::new(ServerOptions {
            identities: identities.map(|it| (&it.cert[..], &it.key[..])).collect(),
            clients,
            protocols: options.protocols.iter().map(|name| name.to_vec()).collect(),
            tls12: options.tls12,
            tls13: options.tls13,
            own_order: options.own_order,
        });
        Ok(Self {
            inner: Arc::new(config.map_err(unusable)?),
        })
    }
}

/// How many handshakes of a server failed.
#[napi(object)]
pub struct TlsFailures {
    /// Handshakes that failed for any reason.
    pub all: f64,
    /// Those that took too long.
    pub timed_out: f64,
}

/// Secures the connections of a server's listeners.
#[napi]
pub struct TlsAcceptor {
    pub(super) inner: Arc<endpoint::TlsAcceptor>,
}

#[napi]
impl TlsAcceptor {
    /// At most `max_handshakes` run at a time, and each may take `handshake_timeout` milliseconds;
    /// 0 is no limit.
    #[napi(constructor, catch_unwind)]
    pub fn new(config: &TlsServerConfig, max_handshakes: f64, handshake_timeout: f64) -> Self {
        Self {
            inner: Arc::new(endpoint::TlsAcceptor::new(
                Arc::clone(&config.inner),
                size(max_handshakes),
                duration(handshake_timeout).unwrap_or(Duration::MAX),
            )),
        }
    }

    /// New connections are secured by `config`.
    #[napi(catch_unwind)]
    pub fn set_config(&self, config: &TlsServerConfig) {
        self.inner.set_config(Arc::clone(&config.inner));
    }

    /// How many handshakes are under way.
    #[napi(catch_unwind)]
    pub fn running(&self) -> f64 {
        number(self.inner.running() as u64)
    }

    /// How many handshakes have failed.
    #[napi(catch_unwind)]
    pub fn failures(&self) -> TlsFailures {
        let (all, timed_out) = self.inner.failed();
        TlsFailures {
            all: number(all),
            timed_out: number(timed_out),
        }
    }
}
