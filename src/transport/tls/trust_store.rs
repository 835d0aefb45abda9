//! The certificates that one end trusts.

use super::certificate_rules::{Role, covers, is_covered};
use super::chain_verifier::{ChainVerifier, Untrusted, decide};
use super::error::ConfigError;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use std::borrow::Cow;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The certificates that are trusted.
#[derive(Debug)]
pub struct TrustStore {
    anchors: Vec<Anchor>,
    /// The common validity of all anchors. They are almost always all valid.
    validity: Validity,
    store: RootCertStore,
    /// Trusted certificates that are not self-issued: they lead to an anchor without being one.
    intermediates: Vec<CertificateDer<'static>>,
    /// Decides about chains that lead to no anchor.
    verifier: Option<Arc<dyn ChainVerifier>>,
}

#[derive(Debug)]
struct Anchor {
    der: CertificateDer<'static>,
    validity: Validity,
}

/// A period of time, in seconds since 1970. It includes both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    from: i64,
    to: i64,
}

impl Validity {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        Self {
            from: certificate.validity().not_before.timestamp(),
            to: certificate.validity().not_after.timestamp(),
        }
    }

    pub(super) fn contains(self, now: UnixTime) -> bool {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.from <= now && now <= self.to
    }
}

impl TrustStore {
    /// Trusts the certificates in `pem`, and the chains that `verifier` trusts.
    pub fn new(pem: &[u8], verifier: Option<Arc<dyn ChainVerifier>>) -> Result<Self, ConfigError> {
        let unreadable = || ConfigError::Unreadable("a trusted certificate");
        let mut trust = Self {
            verifier,
            ..Self::empty()
        };
        for der in CertificateDer::pem_slice_iter(pem) {
            let der = der.map_err(|_| unreadable())?;
            let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| unreadable())?;
            // A chain over any other certificate is left to the verifier.
            if certificate.issuer().as_raw() != certificate.subject().as_raw() {
                if is_covered(&certificate, Role::Between) {
                    trust.intermediates.push(der);
                }
                continue;
            }
            if !certificate.is_ca() || !is_covered(&certificate, Role::Anchor) {
                continue;
            }
            let validity = Validity::of(&certificate);
            if trust.store.add(der.clone()).is_ok() {
                trust.validity.from = trust.validity.from.max(validity.from);
                trust.validity.to = trust.validity.to.min(validity.to);
                trust.anchors.push(Anchor { der, validity });
            }
        }
        Ok(trust)
    }

    /// Trusts the root certificates of Mozilla at the time of the build.
    pub fn mozilla() -> Self {
        let mut trust = Self::empty();
        trust
            .store
            .extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        trust
    }

    fn empty() -> Self {
        Self {
            anchors: Vec::new(),
            validity: Validity {
                from: i64::MIN,
                to: i64::MAX,
            },
            store: RootCertStore::empty(),
            intermediates: Vec::new(),
            verifier: None,
        }
    }

    /// Whether `chain`, which begins with the server's own certificate, is trusted. Names are not
    /// compared.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Untrusted> {
        if self.accepts(chain) {
            Ok(())
        } else {
            decide(self.verifier.as_ref(), chain)
        }
    }

    /// Whether `chain` leads to an anchor by the rules of rustls.
    fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((server, sent)) = chain.split_first() else {
            return false;
        };
        let Ok(server) = ParsedCertificate::try_from(server) else {
            return false;
        };
        let now = UnixTime::now();
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &server,
            &self.store_at(now),
            &self.intermediates(sent),
            now,
            ring::default_provider()
                .signature_verification_algorithms
                .all,
        )
        .is_ok()
            && covers(chain)
    }

    /// Whether every anchor is valid.
    pub(super) fn is_valid_at(&self, now: UnixTime) -> bool {
        self.validity.contains(now)
    }

    /// The anchors that are valid. webpki ignores the validity of an anchor; OpenSSL, which this
    /// must agree with, does not.
    pub(super) fn store_at(&self, now: UnixTime) -> Cow<'_, RootCertStore> {
        if self.is_valid_at(now) {
            return Cow::Borrowed(&self.store);
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(
            self.anchors
                .iter()
                .filter(|anchor| anchor.validity.contains(now))
                .map(|anchor| anchor.der.clone()),
        );
        Cow::Owned(store)
    }

    /// The certificates that may lead from the peer's to an anchor: those that it `sent`, and those
    /// that are trusted.
    pub(super) fn intermediates<'a>(&self, sent: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
        sent.iter().chain(&self.intermediates).cloned().collect()
    }
}
