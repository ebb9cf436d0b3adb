//! Signing requests (PKCS#10): what leaves a member when it enrols.

use lepton_crypto::IdentityPublic;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;

use super::{IdentityFile, Member, Role};
use crate::net::NetError;

const WHAT: &str = "the signing request";

/// A signing request in PEM for `member`, proving that whoever made it holds the key.
///
/// # Errors
/// [`NetError`] when the key cannot sign.
pub fn signing_request(key: &IdentityFile, member: &Member) -> Result<String, NetError> {
    let params = parameters(member)?;
    let request = params
        .serialize_request(&key_pair(key)?)
        .map_err(|error| NetError::certificate(WHAT, error))?;
    request
        .pem()
        .map_err(|error| NetError::certificate(WHAT, error))
}

/// A signing request whose signature holds: what it asks for, and over which key.
pub(super) struct Request {
    pub(super) member: Member,
    pub(super) key: IdentityPublic,
    inner: CertificateSigningRequestParams,
}

impl Request {
    /// Reads a request and checks its signature (EN-03).
    pub(super) fn verify(pem: &str) -> Result<Self, NetError> {
        let der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| NetError::certificate(WHAT, format!("no PEM ({error:?})")))?;
        let inner = CertificateSigningRequestParams::from_der(&der)
            .map_err(|error| NetError::certificate(WHAT, error))?;
        if inner.public_key.algorithm() != &PKCS_ED25519 {
            return Err(NetError::certificate(WHAT, "its key is not Ed25519"));
        }
        let mut names = inner
            .params
            .subject_alt_names
            .iter()
            .filter_map(|name| match name {
                SanType::URI(uri) => Some(uri.as_str()),
                _ => None,
            });
        let (Some(uri), None) = (names.next(), names.next()) else {
            return Err(NetError::certificate(
                WHAT,
                "it must name exactly one member",
            ));
        };
        let member = Member::from_uri(uri).map_err(|error| NetError::certificate(WHAT, error))?;
        let key = IdentityPublic::try_from(rcgen::PublicKeyData::der_bytes(&inner.public_key))
            .map_err(|error| NetError::certificate(WHAT, error))?;
        Ok(Self { member, key, inner })
    }

    /// The certificate's parameters are the authority's; of the request only the key and the checked name are used.
    pub(super) fn public_key(&self) -> &impl rcgen::PublicKeyData {
        &self.inner.public_key
    }
}

/// Parameters of a leaf for a member, without serial number and validity.
pub(super) fn parameters(member: &Member) -> Result<CertificateParams, NetError> {
    let uri = rcgen::string::Ia5String::try_from(member.uri())
        .map_err(|e| NetError::certificate(WHAT, e))?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, member.name.as_str());
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, member.role.as_str());
    params
        .distinguished_name
        .push(DnType::OrganizationName, member.federation.as_str());
    params.is_ca = IsCa::NoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if member.role == Role::Coordinator {
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    Ok(params)
}

/// Adds serial number and validity.
pub(super) fn dated(
    mut params: CertificateParams,
    serial: &[u8],
    (from, until): (u64, u64),
) -> Result<CertificateParams, NetError> {
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = date(from)?;
    params.not_after = date(until)?;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A time of rcgen's.
pub(super) fn date(seconds: u64) -> Result<OffsetDateTime, NetError> {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| NetError::Use("a time beyond what certificates can say".to_owned()))
}

fn key_pair(key: &IdentityFile) -> Result<KeyPair, NetError> {
    KeyPair::from_der_and_sign_algo(&PrivateKeyDer::Pkcs8(key.to_der()), &PKCS_ED25519)
        .map_err(|error| NetError::certificate("the identity key", error))
}
