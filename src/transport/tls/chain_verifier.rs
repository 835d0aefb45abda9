//! Decides about the chains of certificates that rustls does not trust.

use rustls::pki_types::CertificateDer;
use std::fmt::Debug;
use std::sync::Arc;

/// Why the certificate of a peer is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({code})")]
pub struct Untrusted {
    /// The code that Node has for it, such as `CERT_HAS_EXPIRED`.
    pub code: &'static str,
    /// The same in words.
    pub reason: String,
}

/// Verifies chains of certificates as the TLS of the JavaScript runtime does.
pub trait ChainVerifier: Debug + Send + Sync {
    /// Verifies a chain that begins with the peer's own certificate.
    fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Untrusted>;
}

/// Verifies a chain that rustls does not trust. Without a verifier it stays untrusted.
pub(super) fn decide(
    verifier: Option<&Arc<dyn ChainVerifier>>,
    chain: &[CertificateDer<'_>],
) -> Result<(), Untrusted> {
    match verifier {
        _ if chain.is_empty() => Err(Untrusted {
            // The code that Node has for a peer without a certificate.
            code: "UNABLE_TO_GET_ISSUER_CERT",
            reason: "the peer has no certificate".to_owned(),
        }),
        Some(verifier) => verifier.verify(chain),
        None => Err(Untrusted {
            code: "CERT_UNTRUSTED",
            reason: "certificate not trusted".to_owned(),
        }),
    }
}
