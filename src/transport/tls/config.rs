//! How a client secures its connections.

use super::error::ConfigError;
use super::trust_store::TrustStore;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// The program's options for secure connections.
#[derive(Debug)]
pub struct ClientOptions<'a> {
    /// The trusted certificates.
    pub trust: Arc<TrustStore>,
    /// The client's certificate chain and its key, both in PEM.
    pub identity: Option<(&'a [u8], &'a [u8])>,
    /// The name of the server to ask for (SNI).
    pub server_name: Option<String>,
    /// The protocols to offer (ALPN), the preferred one first.
    pub protocols: Vec<Vec<u8>>,
    /// Allows TLS 1.2.
    pub tls12: bool,
    /// Allows TLS 1.3.
    pub tls13: bool,
}

/// How a client secures its connections: checked options, ready for use.
#[derive(Debug)]
pub struct ClientConfig {
    pub(super) rustls: Arc<rustls::ClientConfig>,
    pub(super) server_name: ServerName<'static>,
    pub(super) trust: Arc<TrustStore>,
    /// How long a handshake may take.
    pub(crate) timeout: Duration,
}

impl ClientConfig {
    /// Checks `options`. A handshake may take `timeout`.
    pub fn new(options: ClientOptions<'_>, timeout: Duration) -> Result<Self, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(options.tls12, options.tls13))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAnyCertificate(provider)));
        let mut config = match options.identity {
            None => builder.with_no_client_auth(),
            Some((certificates, key)) => {
                let unreadable = |_| ConfigError::Unreadable("the certificate or its key");
                let chain = CertificateDer::pem_slice_iter(certificates)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(unreadable)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(unreadable)?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = options.protocols;
        let server_name = match options.server_name {
            // rustls sends no SNI for an address. The name is not compared with the certificate
            // here.
            None => ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Some(name) => ServerName::try_from(name)
                .map_err(|_| ConfigError::Unreadable("the server's name"))?,
        };
        Ok(Self {
            rustls: Arc::new(config),
            server_name,
            trust: options.trust,
            timeout,
        })
    }
}

/// The versions of TLS to agree on, the preferred one first.
pub(super) fn versions(
    tls12: bool,
    tls13: bool,
) -> &'static [&'static rustls::SupportedProtocolVersion] {
    static BOTH: [&rustls::SupportedProtocolVersion; 2] =
        [&rustls::version::TLS13, &rustls::version::TLS12];
    match (tls12, tls13) {
        (true, true) => &BOTH,
        (true, false) => &BOTH[1..],
        (false, true) => &BOTH[..1],
        (false, false) => &[],
    }
}

/// Lets the handshake finish with any certificate whose key the server has.
///
/// [`TrustStore`] and then JavaScript decide about the certificate after the handshake; until then
/// the connection carries no data.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
