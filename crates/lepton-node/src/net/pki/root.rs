//! The authority's own key and certificate: made here, or an organisation's.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519,
    PublicKeyData,
};
use zeroize::Zeroizing;

use super::authority::{SKEW, WHAT, serial};
use super::certificate::chain_from_pem;
use super::request::dated;
use super::{Name, now};
use crate::net::NetError;

/// Life of a root of our own, seconds.
const ROOT_LIFE: u64 = 10 * 365 * 24 * 3600;

/// An organisation's own authority, to be used instead of a new one.
pub struct Import<'a> {
    /// Its certificate, in PEM.
    pub certificate: &'a str,
    /// Its key, in PEM.
    pub key: &'a str,
}

/// A root of our own: certificate and key, in PEM.
pub(super) fn root(federation: &Name) -> Result<(String, Zeroizing<String>), NetError> {
    let bad = |error| NetError::certificate(WHAT, error);
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(bad)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{federation} root"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let params = dated(params, &serial()?, (now() - SKEW, now() + ROOT_LIFE))?;
    let certificate = params.self_signed(&key).map_err(bad)?;
    Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
}

/// An organisation's authority, if key and certificate belong together and it may sign certificates and lists.
pub(super) fn imported(import: &Import<'_>) -> Result<(String, Zeroizing<String>), NetError> {
    let bad = |problem: &str| NetError::certificate("the imported authority", problem);
    let key = KeyPair::from_pem(import.key).map_err(|error| bad(&error.to_string()))?;
    let chain = chain_from_pem(import.certificate)?;
    // Members would trust every one of them as a root.
    let [certificate] = chain.as_slice() else {
        return Err(bad(
            "give the one certificate of the authority that issues, no chain",
        ));
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| bad(&error.to_string()))?;
    if parsed.public_key().raw != key.subject_public_key_info() {
        return Err(bad("certificate and key do not belong together"));
    }
    let usage = parsed.key_usage().ok().flatten();
    let signs = usage.is_none_or(|usage| usage.value.key_cert_sign() && usage.value.crl_sign());
    if !parsed.is_ca() || !signs {
        return Err(bad("it may not sign certificates and revocation lists"));
    }
    Ok((
        import.certificate.to_owned(),
        Zeroizing::new(import.key.to_owned()),
    ))
}
