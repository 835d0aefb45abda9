//! The rules for certificates that rustls does not check, and OpenSSL does.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;

/// The role of a certificate in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The certificate of the peer.
    Own,
    /// The certificate of an authority, which leads to an anchor.
    Between,
    /// The certificate of an authority that is trusted.
    Anchor,
}

/// Whether rustls checks everything in a certificate that OpenSSL would check.
pub(super) fn is_covered(certificate: &X509Certificate<'_>, role: Role) -> bool {
    let extensions = certificate.extensions().iter();
    extensions
        .map(X509Extension::parsed_extension)
        .all(|it| match it {
            ParsedExtension::KeyUsage(usage) if role == Role::Own => usage.digital_signature(),
            ParsedExtension::KeyUsage(usage) => usage.key_cert_sign(),
            ParsedExtension::BasicConstraints(constraints) if role == Role::Anchor => {
                constraints.ca && constraints.path_len_constraint.is_none()
            }
            ParsedExtension::ExtendedKeyUsage(_) => role != Role::Anchor,
            ParsedExtension::NameConstraints(_)
            | ParsedExtension::NSCertType(_)
            | ParsedExtension::ParseError { .. } => false,
            _ => true,
        })
}

/// The same for a whole chain, which begins with the certificate of the peer.
pub(super) fn covers(chain: &[CertificateDer<'_>]) -> bool {
    chain.iter().enumerate().all(|(index, der)| {
        let role = if index == 0 { Role::Own } else { Role::Between };
        X509Certificate::from_der(der).is_ok_and(|(_, certificate)| is_covered(&certificate, role))
    })
}
