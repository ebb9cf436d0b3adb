//! Keys, and keys inside keys (rule VA-01).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lepton_crypto::{Seed, Zeroizing};
use serde::{Deserialize, Serialize};

use crate::error::VaultError;

const SALT: usize = 32;

/// Salt and ciphertext in base64: a key or a text under another key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Bytes that something else sealed.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(STANDARD.encode(bytes))
    }

    /// The bytes, if they are any.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.0).ok()
    }
}

/// What a sealed value is bound to: purpose, vault, table, version, column.
pub(crate) type Place<'a> = [&'a str];

/// Seals `plain` for one place. The key of each sealing comes from a fresh salt of 256 bits: it is used once.
pub(crate) fn seal(key: &Seed, place: &Place<'_>, plain: &[u8]) -> Result<Sealed, VaultError> {
    let salt = random::<SALT>()?;
    let single = key.derive("lepton vault wrap", salt.as_ref());
    let sealed = lepton_crypto::seal(&single, &framed(place), plain);
    Ok(Sealed(
        STANDARD.encode([salt.as_slice(), sealed.as_slice()].concat()),
    ))
}

/// Opens what [`seal`] made for the same place; `None` for anything else.
pub(crate) fn open(key: &Seed, place: &Place<'_>, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = STANDARD.decode(&sealed.0).ok()?;
    let (salt, sealed) = bytes.split_at_checked(SALT)?;
    let single = key.derive("lepton vault wrap", salt);
    lepton_crypto::open(&single, &framed(place), sealed).ok()
}

/// Wraps a key.
pub(crate) fn wrap(key: &Seed, place: &Place<'_>, inner: &Seed) -> Result<Sealed, VaultError> {
    seal(key, place, inner.as_bytes())
}

/// Unwraps a key.
pub(crate) fn unwrap(key: &Seed, place: &Place<'_>, sealed: &Sealed) -> Option<Seed> {
    Seed::try_from(open(key, place, sealed)?.as_slice()).ok()
}

/// A new key.
pub(crate) fn fresh() -> Result<Seed, VaultError> {
    Ok(Seed::from_bytes(*random::<32>()?))
}

/// A key once more, where two owners need it.
pub(crate) fn copy(key: &Seed) -> Seed {
    Seed::from_bytes(*key.as_bytes())
}

/// Bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut()).map_err(|error| {
        VaultError::Internal(format!("the system gave no random bytes ({error})"))
    })?;
    Ok(bytes)
}

/// A random name of 16 hexadecimal digits.
pub(crate) fn random_name() -> Result<String, VaultError> {
    Ok(hex(random::<8>()?.as_ref()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut out = Zeroizing::new([0; N]);
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

/// Each part with its length: no two places have the same bytes.
pub(crate) fn framed(place: &Place<'_>) -> Vec<u8> {
    let part = |part: &&str| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat();
    place.iter().flat_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_at_its_own_place_only() {
        let key = fresh().unwrap();
        let sealed = wrap(&key, &["column key", "v", "t", "1", "age"], &key).unwrap();
        let at = |place: &[&str]| unwrap(&key, place, &sealed).is_some();
        assert!(at(&["column key", "v", "t", "1", "age"]));
        for other in [
            ["column key", "v", "t", "1", "agf"],
            ["column key", "v", "t", "2", "age"],
            ["column key", "v", "u", "1", "age"],
            ["column key", "w", "t", "1", "age"],
            ["footer key", "v", "t", "1", "age"],
            ["column keyv", "", "t", "1", "age"],
        ] {
            assert!(!at(&other), "{other:?}");
        }
        assert!(
            unwrap(
                &fresh().unwrap(),
                &["column key", "v", "t", "1", "age"],
                &sealed
            )
            .is_none()
        );
    }

    #[test]
    fn no_two_sealings_are_alike() {
        let key = fresh().unwrap();
        assert_ne!(
            seal(&key, &[], b"x").unwrap(),
            seal(&key, &[], b"x").unwrap()
        );
        assert!(open(&key, &[], &Sealed(String::new())).is_none());
        assert!(open(&key, &[], &Sealed("no base64!".to_owned())).is_none());
    }
}
