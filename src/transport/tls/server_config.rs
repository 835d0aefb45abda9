//! How a server secures its connections.

use super::client_trust::{AskForCertificate, ClientTrust};
use super::config::versions;
use super::error::ConfigError;
use rustls::crypto::ring::{self, Ticketer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// Whether a server asks its clients for a certificate.
#[derive(Debug)]
pub enum ClientCertificates {
    /// It asks for no certificate.
    Ignored,
    /// It asks for one, and the program decides about it.
    Requested(Arc<ClientTrust>),
    /// Clients without a trusted certificate are refused.
    Required(Arc<ClientTrust>),
}

/// The program's options for a server.
#[derive(Debug)]
pub struct ServerOptions<'a> {
    /// The server's certificate chains with their keys, in PEM. The first one that suits a client
    /// is used.
    pub identities: Vec<(&'a [u8], &'a [u8])>,
    /// Whether it asks clients for a certificate.
    pub clients: ClientCertificates,
    /// The protocols that it speaks (ALPN), the preferred one first.
    pub protocols: Vec<Vec<u8>>,
    /// Allows TLS 1.2.
    pub tls12: bool,
    /// Allows TLS 1.3.
    pub tls13: bool,
    /// Prefers its own order of cipher suites to that of the client.
    pub own_order: bool,
}

/// How a server secures its connections: checked options, ready for use.
#[derive(Debug)]
pub struct ServerConfig {
    pub(super) rustls: Arc<rustls::ServerConfig>,
    /// Decides about the certificates of clients; `None` if it asks for none.
    pub(super) trust: Option<Arc<ClientTrust>>,
    /// Whether a client without a trusted certificate is refused.
    pub(super) required: bool,
}

impl ServerConfig {
    /// Checks `options`.
    pub fn new(options: ServerOptions<'_>) -> Result<Self, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let mut identities = Vec::new();
        for (certificates, key) in options.identities {
            let unreadable = |_| ConfigError::Unreadable("the certificate or its key");
            let chain = CertificateDer::pem_slice_iter(certificates)
                .collect::<Result<Vec<_>, _>>()
                .map_err(unreadable)?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(unreadable)?;
            identities.push(Arc::new(CertifiedKey::from_der(chain, key, &provider)?));
        }
        let (trust, required) = match options.clients {
            ClientCertificates::Ignored => (None, false),
            ClientCertificates::Requested(trust) => (Some(trust), false),
            ClientCertificates::Required(trust) => (Some(trust), true),
        };
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(options.tls12, options.tls13))?;
        let builder = match &trust {
            None => builder.with_no_client_auth(),
            Some(trust) => builder.with_client_cert_verifier(Arc::new(AskForCertificate::new(
                Arc::clone(trust),
                required,
                provider,
            ))),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Identities(identities)));
        config.alpn_protocols = options.protocols;
        config.ignore_client_order = options.own_order;
        config.ticketer = Ticketer::new()?;
        Ok(Self {
            rustls: Arc::new(config),
            trust,
            required,
        })
    }
}

/// The certificates of a server.
#[derive(Debug)]
struct Identities(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Identities {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let suits = |identity: &&Arc<CertifiedKey>| {
            let schemes = client_hello.signature_schemes();
            identity.key.choose_scheme(schemes).is_some()
        };
        // If no certificate suits, rustls reports that the two ends have no signature in common.
        let found = self.0.iter().find(suits).or_else(|| self.0.first());
        found.map(Arc::clone)
    }
}
