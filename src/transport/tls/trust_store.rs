//! The certificates that a client trusts.

use super::error::ConfigError;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;

/// The certificates that are trusted.
#[derive(Debug)]
pub struct TrustStore {
    anchors: Vec<Anchor>,
    /// The common validity of all anchors. They are almost always all valid.
    validity: Validity,
    store: RootCertStore,
    /// Trusted certificates that are not self-issued: they lead to an anchor without being one.
    intermediates: Vec<CertificateDer<'static>>,
}

#[derive(Debug)]
struct Anchor {
    der: CertificateDer<'static>,
    validity: Validity,
}

/// A period of time, each end as the decimal digits `YYYYMMDDhhmmss`, whose order is chronological.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Validity {
    fn contains(self, now: u64) -> bool {
        self.from <= now && now <= self.to
    }
}

impl TrustStore {
    /// Trusts the certificates in `pem`.
    pub fn new(pem: &[u8]) -> Result<Self, ConfigError> {
        let unreadable = || ConfigError::Unreadable("a trusted certificate");
        let mut trust = Self::empty();
        for der in CertificateDer::pem_slice_iter(pem) {
            let der = der.map_err(|_| unreadable())?;
            let summary = CertificateSummary::parse(&der).ok_or_else(unreadable)?;
            if summary.issuer != summary.subject {
                trust.intermediates.push(der);
                continue;
            }
            let validity = summary.validity;
            // Chains to a certificate that rustls cannot read are not accepted here; JavaScript
            // asks OpenSSL about them.
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
                from: 0,
                to: u64::MAX,
            },
            store: RootCertStore::empty(),
            intermediates: Vec::new(),
        }
    }

    /// Whether `chain`, which begins with the server's own certificate, leads to an anchor. Names
    /// are not compared.
    pub(super) fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((server, sent)) = chain.split_first() else {
            return false;
        };
        let Ok(server) = ParsedCertificate::try_from(server) else {
            return false;
        };
        let now = UnixTime::now();
        let time = calendar(now.as_secs());
        let valid;
        // webpki ignores the validity of an anchor; OpenSSL, which this must agree with, does not.
        let store = if self.validity.contains(time) {
            &self.store
        } else {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(
                self.anchors
                    .iter()
                    .filter(|anchor| anchor.validity.contains(time))
                    .map(|anchor| anchor.der.clone()),
            );
            valid = store;
            &valid
        };
        let intermediates: Vec<_> = sent.iter().chain(&self.intermediates).cloned().collect();
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &server,
            store,
            &intermediates,
            now,
            ring::default_provider()
                .signature_verification_algorithms
                .all,
        )
        .is_ok()
    }
}

/// The fields of a certificate that decide whether it is an anchor, and when.
pub(super) struct CertificateSummary<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) validity: Validity,
}

impl<'a> CertificateSummary<'a> {
    /// Reads the beginning of a DER certificate: version, serial number, algorithm, then these
    /// fields.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        const VERSION: u8 = 0xa0;
        let (_, certificate, _) = element(der)?;
        let (_, mut rest, _) = element(certificate)?;
        let (tag, _, after) = element(rest)?;
        if tag == VERSION {
            rest = after;
        }
        let (_, _serial, rest) = element(rest)?;
        let (_, _algorithm, rest) = element(rest)?;
        let (issuer_tag, issuer, rest) = element(rest)?;
        let (validity_tag, validity, rest) = element(rest)?;
        let (subject_tag, subject, _) = element(rest)?;
        if [issuer_tag, validity_tag, subject_tag] != [SEQUENCE; 3] {
            return None;
        }
        let (from_tag, from, rest) = element(validity)?;
        let (to_tag, to, _) = element(rest)?;
        Some(Self {
            issuer,
            subject,
            validity: Validity {
                from: time(from_tag, from)?,
                to: time(to_tag, to)?,
            },
        })
    }
}

/// The first element of `der`: its tag, its content, and the bytes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let digits = usize::from(first & 0x7f);
        if digits > 4 {
            return None;
        }
        let (number, after) = rest.split_at_checked(digits)?;
        length = number
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// Converts a time of a certificate to `YYYYMMDDhhmmss`.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    const UTC_TIME: u8 = 0x17;
    let digits = text.strip_suffix(b"Z")?;
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match (tag, digits.len()) {
        // Years of two digits up to 49 belong to this century.
        (UTC_TIME, 12) if number < 500_000_000_000 => Some(20_000_000_000_000 + number),
        (UTC_TIME, 12) => Some(19_000_000_000_000 + number),
        (_, 14) => Some(number),
        _ => None,
    }
}

/// Converts seconds since 1970 to `YYYYMMDDhhmmss`.
pub(super) fn calendar(seconds: u64) -> u64 {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // Counted in years that begin in March, so that the leap day is the last day of its year.
    let days = seconds / 86_400 + 719_468;
    let era = days / DAYS_OF_400_YEARS;
    let day = days % DAYS_OF_400_YEARS;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (
        day - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    let year = era * 400 + year + u64::from(month <= 2);
    let second = seconds % 86_400;
    let clock = second / 3600 * 10_000 + second / 60 % 60 * 100 + second % 60;
    (year * 10_000 + month * 100 + day) * 1_000_000 + clock
}
