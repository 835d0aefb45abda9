//! Verifies signatures of a handshake by a certificate that rustls cannot read: one of version 1,
//! or one with a critical extension that rustls does not know. OpenSSL decides about its trust.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The public key in a certificate.
pub(super) fn key_of(
    certificate: &CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    Ok(certificate.public_key().raw.to_vec().into())
}

/// Like [`rustls::crypto::verify_tls12_signature`], by a key without a certificate. For TLS 1.3,
/// rustls has such a function.
pub(super) fn verify_tls12_signature_by_key(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = RawPublicKeyEntity::try_from(key).map_err(|_| CertificateError::BadEncoding)?;
    let mut mapping = algorithms.mapping.iter();
    let (_, candidates) = mapping
        .find(|(scheme, _)| *scheme == signature.scheme)
        .ok_or(CertificateError::BadSignature)?;
    let is_valid = candidates.iter().any(|algorithm| {
        key.verify_signature(*algorithm, message, signature.signature())
            .is_ok()
    });
    if is_valid {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}
