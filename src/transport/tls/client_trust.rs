//! The clients that a server trusts, by their certificates.

use super::certificate_rules::covers;
use super::chain_verifier::{ChainVerifier, Untrusted, decide};
use super::error::ConfigError;
use super::signature_by_key::{key_of, verify_tls12_signature_by_key};
use super::trust_store::TrustStore;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
};
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    /// Why a certificate was just refused on this thread, for the error of the handshake: rustls
    /// passes on its own reasons only.
    static REFUSED: Cell<Option<Untrusted>> = const { Cell::new(None) };
}

/// Why a certificate was refused in the last call of rustls on this thread.
pub(super) fn take_refused() -> Option<Untrusted> {
    REFUSED.take()
}

/// The clients that a server trusts.
#[derive(Debug)]
pub struct ClientTrust {
    authorities: TrustStore,
    /// The names of the authorities, by which a client may choose its certificate.
    announced: Vec<DistinguishedName>,
    /// Follows chains while all authorities are valid; `None` without authorities.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Decides about the other chains.
    openssl: Option<Arc<dyn ChainVerifier>>,
}

impl ClientTrust {
    /// Trusts clients with a certificate of `authorities`, and the chains that `openssl` trusts.
    /// The names of the authorities in `announced`, a text in PEM, are sent to clients.
    pub fn new(
        authorities: TrustStore,
        announced: &[u8],
        openssl: Option<Arc<dyn ChainVerifier>>,
    ) -> Result<Self, ConfigError> {
        let mut named = RootCertStore::empty();
        for der in CertificateDer::pem_slice_iter(announced) {
            let der = der.map_err(|_| ConfigError::Unreadable("a trusted certificate"))?;
            // A client can do without the name of a certificate that rustls cannot read.
            let _ = named.add(der);
        }
        Ok(Self {
            verifier: verifier(authorities.store_at(UnixTime::now()).into_owned()),
            authorities,
            announced: named.subjects(),
            openssl,
        })
    }

    /// Whether `chain`, which begins with the client's own certificate, is trusted.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Refusal> {
        self.follow(chain).or_else(|alert| {
            decide(self.openssl.as_ref(), chain).map_err(|untrusted| Refusal { alert, untrusted })
        })
    }

    /// Whether `chain` leads to an authority by the rules of rustls.
    fn follow(&self, chain: &[CertificateDer<'_>]) -> Result<(), CertificateError> {
        let now = UnixTime::now();
        let Some((own, sent)) = chain.split_first() else {
            return Err(CertificateError::UnknownIssuer);
        };
        let intermediates = self.authorities.intermediates(sent);
        let now_valid;
        let verifier = if self.authorities.is_valid_at(now) {
            self.verifier.as_ref()
        } else {
            now_valid = verifier(self.authorities.store_at(now).into_owned());
            now_valid.as_ref()
        };
        let Some(verifier) = verifier else {
            return Err(CertificateError::UnknownIssuer);
        };
        match verifier.verify_client_cert(own, &intermediates, now) {
            Ok(_) if covers(chain) => Ok(()),
            Err(rustls::Error::InvalidCertificate(error)) => Err(error),
            Ok(_) => Err(CertificateError::ApplicationVerificationFailure),
            Err(_) => Err(CertificateError::BadEncoding),
        }
    }
}

/// Why a client is not trusted.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The reason of rustls, which chooses the alert by it.
    alert: CertificateError,
    /// The reason for the program.
    pub(super) untrusted: Untrusted,
}

/// `None` for a store without authorities.
fn verifier(store: RootCertStore) -> Option<Arc<dyn ClientCertVerifier>> {
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .ok()
}

/// Asks clients for a certificate.
#[derive(Debug)]
pub(super) struct AskForCertificate {
    trust: Arc<ClientTrust>,
    /// Whether the handshake fails without a trusted one. Otherwise the program decides.
    required: bool,
    provider: Arc<CryptoProvider>,
}

impl AskForCertificate {
    pub(super) fn new(
        trust: Arc<ClientTrust>,
        required: bool,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            trust,
            required,
            provider,
        }
    }
}

impl ClientCertVerifier for AskForCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.trust.announced
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.required {
            let mut chain = vec![end_entity.clone()];
            chain.extend_from_slice(intermediates);
            if let Err(Refusal { alert, untrusted }) = self.trust.verify(&chain) {
                REFUSED.set(Some(untrusted));
                return Err(alert.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if ParsedCertificate::try_from(certificate).is_err() {
            return verify_tls12_signature_by_key(
                message,
                &key_of(certificate)?,
                signature,
                algorithms,
            );
        }
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if ParsedCertificate::try_from(certificate).is_err() {
            let key = key_of(certificate)?;
            return verify_tls13_signature_with_raw_key(message, &key, signature, algorithms);
        }
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
