//! What a leaf certificate says.

use std::fmt;
use std::fmt::Write as _;

use lepton_crypto::IdentityPublic;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::Member;
use crate::net::NetError;

/// Ed25519 as an algorithm (RFC 8410, section 3).
const ED25519: &str = "1.3.101.112";
/// Longest serial number (RFC 5280, section 4.1.2.2).
const LONGEST_SERIAL: usize = 20;
const WHAT: &str = "the certificate";

/// A certificate's serial number, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Serial(String);

impl Serial {
    /// A serial number of big-endian bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let digits: Vec<u8> = self
            .0
            .chars()
            .filter_map(|digit| {
                digit
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            })
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |sum, digit| sum * 16 + digit))
            .collect()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a leaf certificate says. Only [`super::Trust::verify`] says that it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Whose certificate it is.
    pub member: Member,
    /// The member's identity key, which also signs frames.
    pub key: IdentityPublic,
    /// Serial number.
    pub serial: Serial,
    /// First second of validity, since 1970.
    pub not_before: u64,
    /// Last second of validity, since 1970.
    pub not_after: u64,
}

impl Leaf {
    /// Reads a certificate (EN-02): exactly one name of ours, and an Ed25519 key.
    ///
    /// # Errors
    /// [`NetError::Certificate`].
    pub fn parse(der: &[u8]) -> Result<Self, NetError> {
        let (rest, certificate) = x509_parser::parse_x509_certificate(der)
            .map_err(|error| NetError::certificate(WHAT, format!("not X.509 ({error})")))?;
        if !rest.is_empty() {
            return Err(NetError::certificate(WHAT, "bytes after its end"));
        }
        if certificate.raw_serial().len() > LONGEST_SERIAL + 1 {
            return Err(NetError::certificate(WHAT, "its serial number is too long"));
        }
        let time = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
        Ok(Self {
            member: member_of(&certificate)?,
            key: key_of(&certificate)?,
            serial: Serial::from_bytes(certificate.raw_serial()),
            not_before: time(certificate.validity().not_before.timestamp()),
            not_after: time(certificate.validity().not_after.timestamp()),
        })
    }

    /// When the member asks for the next certificate: at two thirds of this one's life (EN-06).
    #[must_use]
    pub fn renew_at(&self) -> u64 {
        self.not_before + self.not_after.saturating_sub(self.not_before) / 3 * 2
    }
}

fn member_of(certificate: &X509Certificate<'_>) -> Result<Member, NetError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| NetError::certificate(WHAT, error))?
        .ok_or_else(|| NetError::certificate(WHAT, "it names no member"))?;
    let mut ours = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) if uri.starts_with("lepton:") => Some(*uri),
            _ => None,
        });
    match (ours.next(), ours.next()) {
        (Some(uri), None) => {
            Member::from_uri(uri).map_err(|error| NetError::certificate(WHAT, error))
        }
        (None, _) => Err(NetError::certificate(WHAT, "it names no member")),
        _ => Err(NetError::certificate(WHAT, "it names two members")),
    }
}

fn key_of(certificate: &X509Certificate<'_>) -> Result<IdentityPublic, NetError> {
    let key = certificate.public_key();
    if key.algorithm.algorithm.to_id_string() != ED25519 {
        return Err(NetError::certificate(WHAT, "its key is not Ed25519"));
    }
    IdentityPublic::try_from(key.subject_public_key.data.as_ref())
        .map_err(|error| NetError::certificate(WHAT, error))
}

/// The certificates of a PEM text, in its order, at least one.
///
/// # Errors
/// [`NetError::Certificate`].
pub fn chain_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(NetError::certificate(WHAT, "no CERTIFICATE block")),
        Err(error) => Err(NetError::certificate(WHAT, format!("{error:?}"))),
    }
}

/// SHA-256 of a certificate's DER form: what people compare (EN-04).
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}
