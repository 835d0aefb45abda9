//! The clients that a server trusts, by their certificates.

use super::error::ConfigError;
use super::trust_store::{TrustStore, Validity};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
};
use std::cell::Cell;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

thread_local! {
    /// The certificates that the verifier has just refused on this thread, for the error of the
    /// handshake: rustls keeps only those that were accepted.
    static REFUSED: Cell<Option<Vec<Vec<u8>>>> = const { Cell::new(None) };
}

/// The certificates that the verifier has refused in the last call of rustls on this thread.
pub(super) fn take_refused() -> Option<Vec<Vec<u8>>> {
    REFUSED.take()
}

/// The clients that a server trusts.
#[derive(Debug)]
pub struct ClientTrust {
    authorities: TrustStore,
    /// Certificates that are trusted for themselves, as those of a client.
    pinned: Vec<(CertificateDer<'static>, Validity)>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    /// Follows chains while all authorities are valid; `None` without authorities.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl ClientTrust {
    /// Trusts clients with a certificate of `authorities`, or with one of those in `pinned`, except
    /// for those that `revoked` names. Both texts are in PEM.
    pub fn new(
        authorities: TrustStore,
        pinned: &[u8],
        revoked: &[u8],
    ) -> Result<Self, ConfigError> {
        let unreadable = |_| ConfigError::Unreadable("a trusted certificate");
        let mut own = Vec::new();
        for der in CertificateDer::pem_slice_iter(pinned) {
            let der = der.map_err(unreadable)?;
            let validity = X509Certificate::from_der(&der)
                .map(|(_, certificate)| Validity::of(&certificate))
                .map_err(|_| ConfigError::Unreadable("a trusted certificate"))?;
            own.push((der, validity));
        }
        let revoked = CertificateRevocationListDer::pem_slice_iter(revoked)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| ConfigError::Unreadable("a revocation list"))?;
        let store = authorities.store_at(UnixTime::now()).into_owned();
        let verifier = if store.is_empty() {
            None
        } else {
            Some(verifier(store, &revoked)?)
        };
        Ok(Self {
            authorities,
            pinned: own,
            revoked,
            verifier,
        })
    }

    /// Whether `chain`, which begins with the client's own certificate, is trusted.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), CertificateError> {
        let now = UnixTime::now();
        let Some((own, sent)) = chain.split_first() else {
            return Err(CertificateError::UnknownIssuer);
        };
        if self.revoked.is_empty()
            && let Some((_, validity)) = self.pinned.iter().find(|(pinned, _)| pinned == own)
            && validity.contains(now)
        {
            return Ok(());
        }
        let intermediates = self.authorities.intermediates(sent);
        let now_valid;
        let verifier = if self.authorities.is_valid_at(now) {
            self.verifier.as_ref()
        } else {
            now_valid = verifier(self.authorities.store_at(now).into_owned(), &self.revoked).ok();
            now_valid.as_ref()
        };
        let Some(verifier) = verifier else {
            return Err(CertificateError::UnknownIssuer);
        };
        match verifier.verify_client_cert(own, &intermediates, now) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(error)) => Err(error),
            Err(_) => Err(CertificateError::BadEncoding),
        }
    }

    /// The names of the authorities, which a client may choose its certificate by. As with OpenSSL
    /// there are none if the built-in authorities are trusted.
    fn subjects(&self) -> Vec<DistinguishedName> {
        if self.authorities.is_built_in() {
            return Vec::new();
        }
        self.authorities.store_at(UnixTime::now()).subjects()
    }
}

fn verifier(
    store: RootCertStore,
    revoked: &[CertificateRevocationListDer<'static>],
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
        .with_crls(revoked.iter().cloned())
        .enforce_revocation_expiration()
        .build()
        .map_err(|_| ConfigError::Unreadable("a revocation list"))
}

/// Asks clients for a certificate.
#[derive(Debug)]
pub(super) struct AskForCertificate {
    trust: Arc<ClientTrust>,
    /// Whether the handshake fails without a trusted one. Otherwise the program decides.
    required: bool,
    subjects: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl AskForCertificate {
    pub(super) fn new(
        trust: Arc<ClientTrust>,
        required: bool,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            subjects: trust.subjects(),
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
        &self.subjects
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
            if let Err(error) = self.trust.verify(&chain) {
                REFUSED.set(Some(chain.iter().map(|der| der.to_vec()).collect()));
                return Err(error.into());
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
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
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
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
