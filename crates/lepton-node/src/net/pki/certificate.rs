//! What a leaf certificate says.

use std::fmt;
use std::str::FromStr;

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
        Self(crate::hex::hex(bytes))
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

/// SHA-256 of a certificate's DER form: what people compare (EN-03, EN-04). As text 64 hexadecimal digits; read also in capitals and with colons, as other tools print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Self(out)
    }

    /// One that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::hex::hex(&self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let digits = text.replace(':', "").to_ascii_lowercase();
        crate::hex::unhex(&digits).map(Self).ok_or_else(|| {
            NetError::Use("a fingerprint is 64 hexadecimal digits (SHA-256)".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Certificate and fingerprint by OpenSSL: `openssl req -x509 -newkey ed25519`, `openssl x509 -noout -fingerprint -sha256`.
    #[test]
    fn a_fingerprint_is_what_openssl_prints() {
        let pem = "-----BEGIN CERTIFICATE-----\n\
             MIIBPjCB8aADAgECAhRAO9DIklyNTN6kXJg7Qoh/b7UTaDAFBgMrZXAwFTETMBEG\n\
             A1UEAwwKdHJpYWwgcm9vdDAeFw0yNjExMjExODU5NDFaFw0zNjExMTgxODU5NDFa\n\
             MBUxEzARBgNVBAMMCnRyaWFsIHJvb3QwKjAFBgMrZXADIQCxtaMADGhpXCD308Jr\n\
             u7WAPeAItN5AhQWgLXKlKBpOuaNTMFEwHQYDVR0OBBYEFGSjjdVsM64m5zntVtE9\n\
             A1BZe9ifMB8GA1UdIwQYMBaAFGSjjdVsM64m5zntVtE9A1BZe9ifMA8GA1UdEwEB\n\
             /wQFMAMBAf8wBQYDK2VwA0EAxYcQ8cfk3NcXw+yy3KWvBa7yyC0S0j7tGsi6qhiD\n\
             U6oj79wmyEijs6AByAZgxplqdOcMlaoQcy/SSfdrRbbNBA==\n\
             -----END CERTIFICATE-----\n";
        let printed = "A1:67:AA:DB:5F:38:AE:9C:AF:4E:C6:F7:B5:E9:D2:51:A6:C6:19:F1:2F:F0:5E:FB:6B:E7:5C:41:55:82:2C:4B";
        let [certificate] = chain_from_pem(pem).unwrap().try_into().unwrap();
        let fingerprint = Fingerprint::of(&certificate);
        assert_eq!(printed.parse::<Fingerprint>().unwrap(), fingerprint);
        let plain = printed.replace(':', "").to_lowercase();
        assert_eq!(fingerprint.to_string(), plain);
        assert_eq!(plain.parse::<Fingerprint>().unwrap(), fingerprint);
        for bad in [
            &plain[1..],
            &format!("{plain}0"),
            &format!("+{}", &plain[1..]),
            "",
        ] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad:?}");
        }
    }
}
