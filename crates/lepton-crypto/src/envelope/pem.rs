//! PKCS#8 and SubjectPublicKeyInfo in PEM (RFC 5958, 5280, 7468, 8410), and PKCS#8 encrypted under PBES2 (RFC 8018): the forms that OpenSSL reads and writes (EV-17).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use pkcs8::der::Decode;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::scrypt;
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{
    EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument,
    SubjectPublicKeyInfoRef,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::agree::{Curve, CurvePrivate, CurvePublic};
use super::derive::Passphrase;
use super::keyfile::NOT_ENCRYPTED;
use super::keys::{Key, PublicKey};
use super::rsa::{RsaPrivate, RsaPublic};
use super::signing::{SigningKey, SigningPublic};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What stands before the key in SubjectPublicKeyInfo of P-256, X25519 and Ed25519, and in PKCS#8 of the latter two.
const P256_SPKI: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const X25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";
const X25519_PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20";
const ED25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const ED25519_PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

const PRIVATE: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";
const NO_FORM: EnvelopeError =
    EnvelopeError::Use("hybrid and AES keys have no PEM form; write them as JWK");
const BAD: EnvelopeError = EnvelopeError::Key("its PEM file is damaged or of another kind");

/// A private key in PEM, encrypted if a passphrase is given.
pub(super) fn private_to_pem(
    key: &Key,
    passphrase: Option<&Passphrase>,
    rng: &mut impl CryptoRng,
) -> Result<Zeroizing<String>, EnvelopeError> {
    let der = pkcs8(key)?;
    let (label, document) = match passphrase {
        None => (
            PRIVATE,
            SecretDocument::try_from(der.as_slice()).map_err(|_| BAD)?,
        ),
        Some(passphrase) => (ENCRYPTED, encrypt(&der, passphrase, rng)?),
    };
    document.to_pem(label, LineEnding::LF).map_err(|_| BAD)
}

fn encrypt(
    der: &[u8],
    passphrase: &Passphrase,
    rng: &mut impl CryptoRng,
) -> Result<SecretDocument, EnvelopeError> {
    const FAILED: EnvelopeError = EnvelopeError::Internal("PBES2 failed");
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut iv);
    let cost = scrypt::Params::new(14, 8, 5).map_err(|_| FAILED)?;
    let parameters = Parameters::generate_scrypt_aes256cbc(cost, &salt, iv).map_err(|_| FAILED)?;
    PrivateKeyInfoRef::from_der(der)
        .map_err(|_| BAD)?
        .encrypt_with_params(parameters, passphrase.bytes())
        .map_err(|_| FAILED)
}

/// Whether a text is PKCS#8 under a passphrase.
pub(super) fn is_encrypted(text: &str) -> bool {
    SecretDocument::from_pem(text).is_ok_and(|(label, _)| label == ENCRYPTED)
}

/// A private key from PEM.
pub(super) fn private_from_pem(
    text: &str,
    passphrase: Option<&Passphrase>,
) -> Result<Key, EnvelopeError> {
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| BAD)?;
    match (label, passphrase) {
        (PRIVATE, None) => from_pkcs8(document.as_bytes()),
        (PRIVATE, Some(_)) => Err(NOT_ENCRYPTED),
        (ENCRYPTED, Some(passphrase)) => {
            from_pkcs8(decrypt(document.as_bytes(), passphrase)?.as_bytes())
        }
        (ENCRYPTED, None) => Err(EnvelopeError::Use(
            "the key file is encrypted; give the file with its passphrase",
        )),
        (PUBLIC, _) => Err(EnvelopeError::Key(
            "it is a public key, and a private one is needed",
        )),
        _ => Err(EnvelopeError::Key(
            "its PEM file is not PKCS#8; convert it with `openssl pkcs8 -topk8`",
        )),
    }
}

/// EV-09: what deriving the key costs is looked at before it is done.
fn decrypt(der: &[u8], passphrase: &Passphrase) -> Result<SecretDocument, EnvelopeError> {
    let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(|_| BAD)?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(EnvelopeError::Refused("PBES1, which is broken".to_owned()));
    };
    let fine = match &parameters.kdf {
        Kdf::Pbkdf2(kdf) => (1_000..=10_000_000).contains(&kdf.iteration_count),
        Kdf::Scrypt(kdf) => {
            let memory = kdf
                .cost_parameter
                .checked_mul(128 * u64::from(kdf.block_size));
            // The library does not look at them: it fails on 0, and rounds others.
            let whole = kdf.cost_parameter >= 2
                && kdf.cost_parameter.is_power_of_two()
                && kdf.block_size >= 1
                && (1..=16).contains(&kdf.parallelization);
            whole && memory.is_some_and(|bytes| bytes <= 256 << 20)
        }
        _ => false,
    };
    if !fine {
        return Err(EnvelopeError::Refused(
            "a key derivation outside what is accepted".to_owned(),
        ));
    }
    info.decrypt(passphrase.bytes()).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }) => {
            EnvelopeError::Refused(
                "SHA-1 or a cipher other than AES (write the key anew with `openssl pkcs8 -topk8 -scrypt`)"
                    .to_owned(),
            )
        }
        _ => EnvelopeError::DoesNotOpen,
    })
}

/// A public key in PEM.
pub(super) fn public_to_pem(key: &PublicKey) -> Result<String, EnvelopeError> {
    let der = match key {
        PublicKey::Rsa(key) => key.spki()?,
        PublicKey::Curve(key) => {
            let before = match key.curve {
                Curve::P256 => P256_SPKI,
                Curve::X25519 => X25519_SPKI,
            };
            [before, &key.bytes].concat()
        }
        PublicKey::Signing(key) => [ED25519_SPKI, &key.bytes()].concat(),
        PublicKey::Hybrid(_) => return Err(NO_FORM),
    };
    let document = pkcs8::Document::try_from(der).map_err(|_| BAD)?;
    document.to_pem(PUBLIC, LineEnding::LF).map_err(|_| BAD)
}

/// A public key from PEM.
pub(super) fn public_from_pem(text: &str) -> Result<PublicKey, EnvelopeError> {
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| BAD)?;
    match label {
        PUBLIC => {}
        PRIVATE | ENCRYPTED => {
            return Err(EnvelopeError::Key(
                "it is a private key; only its public half may be given to others",
            ));
        }
        _ => return Err(EnvelopeError::Key("its PEM file is no `PUBLIC KEY`")),
    }
    let info = SubjectPublicKeyInfoRef::from_der(document.as_bytes()).map_err(|_| BAD)?;
    let bits = info.subject_public_key.as_bytes().ok_or(BAD)?;
    match kind(&info.algorithm)? {
        Kind::Rsa => RsaPublic::from_pkcs1(bits).map(PublicKey::Rsa),
        Kind::Curve(curve) => CurvePublic::new(curve, bits).map(PublicKey::Curve),
        Kind::Ed25519 => SigningPublic::new(bits).map(PublicKey::Signing),
    }
}

/// What a key of an algorithm is.
enum Kind {
    Rsa,
    Curve(Curve),
    Ed25519,
}

fn kind(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Kind, EnvelopeError> {
    match algorithm.oid {
        RSA => Ok(Kind::Rsa),
        X25519 => Ok(Kind::Curve(Curve::X25519)),
        ED25519 => Ok(Kind::Ed25519),
        EC if algorithm.parameters_oid() == Ok(P256) => Ok(Kind::Curve(Curve::P256)),
        _ => Err(EnvelopeError::Key(
            "it is none of RSA, P-256, X25519 and Ed25519",
        )),
    }
}

fn from_pkcs8(der: &[u8]) -> Result<Key, EnvelopeError> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| BAD)?;
    match kind(&info.algorithm)? {
        Kind::Rsa => RsaPrivate::from_pkcs8(der).map(Key::Rsa),
        Kind::Curve(Curve::P256) => {
            // The library holds the private half against the public one, where it is in the file.
            let key = PrivateKey::from_private_key_der(&ECDH_P256, der).map_err(|_| BAD)?;
            let scalar: EcPrivateKeyBin<'_> = key.as_be_bytes().map_err(|_| BAD)?;
            CurvePrivate::from_scalar(Curve::P256, scalar.as_ref()).map(Key::Curve)
        }
        Kind::Curve(Curve::X25519) => {
            let key = CurvePrivate::from_scalar(Curve::X25519, octets(&info)?)?;
            same_half(&info, &key.public().bytes).map(|()| Key::Curve(key))
        }
        Kind::Ed25519 => {
            let key = SigningKey::from_seed(octets(&info)?)?;
            same_half(&info, &key.public().bytes()).map(|()| Key::Signing(key))
        }
    }
}

/// The 32 bytes of RFC 8410 §7.
fn octets<'a>(info: &PrivateKeyInfoRef<'a>) -> Result<&'a [u8], EnvelopeError> {
    let inner = info.private_key.as_bytes();
    inner.strip_prefix(b"\x04\x20").ok_or(BAD)
}

/// The public half of RFC 5958, where a file has it.
fn same_half(info: &PrivateKeyInfoRef<'_>, public: &[u8]) -> Result<(), EnvelopeError> {
    match info.public_key.and_then(|bits| bits.as_bytes()) {
        Some(found) if found != public => Err(EnvelopeError::Key(
            "its private and its public half do not belong together",
        )),
        _ => Ok(()),
    }
}

fn pkcs8(key: &Key) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    match key {
        Key::Rsa(key) => Ok(Zeroizing::new(key.pkcs8().to_vec())),
        Key::Curve(key) => match key.public().curve {
            Curve::X25519 => Ok(Zeroizing::new([X25519_PKCS8, key.scalar()].concat())),
            Curve::P256 => {
                let key =
                    PrivateKey::from_private_key(&ECDH_P256, key.scalar()).map_err(|_| BAD)?;
                let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| BAD)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
        },
        Key::Signing(key) => Ok(Zeroizing::new([ED25519_PKCS8, key.seed()].concat())),
        Key::Hybrid(_) | Key::Aes(_) => Err(NO_FORM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::KeyKind;
    use chacha20::ChaCha20Rng;
    use pkcs8::EncryptedPrivateKeyInfoOwned;
    use pkcs8::der::Encode;
    use pkcs8::der::asn1::OctetString;
    use rand_core::SeedableRng;

    /// EV-09: what a file asks for is refused before it is done, so that this test takes no time.
    #[test]
    fn costs_of_key_files_are_capped() {
        let passphrase = Passphrase::new(b"correct horse").unwrap();
        let scrypt = |log_n, r, p| {
            let cost = scrypt::Params::new(log_n, r, p).unwrap();
            Parameters::generate_scrypt_aes256cbc(cost, &[1; 16], [2; 16]).unwrap()
        };
        let pbkdf2 =
            |count| Parameters::generate_pbkdf2_sha256_aes256cbc(count, &[1; 16], [2; 16]).unwrap();
        let mut endless = pbkdf2(2000);
        if let Kdf::Pbkdf2(kdf) = &mut endless.kdf {
            kdf.iteration_count = 4_000_000_000;
        }
        let odd = |n, r, p| {
            let mut parameters = scrypt(14, 8, 1);
            if let Kdf::Scrypt(kdf) = &mut parameters.kdf {
                (kdf.cost_parameter, kdf.block_size, kdf.parallelization) = (n, r, p);
            }
            parameters
        };
        for parameters in [
            scrypt(19, 8, 1),
            scrypt(14, 200, 1),
            scrypt(10, 8, 17),
            odd(0, 8, 1),
            odd(1, 8, 1),
            odd(3, 8, 1),
            odd(16, 0, 1),
            odd(16, 8, 0),
            pbkdf2(999),
            endless,
        ] {
            let info = EncryptedPrivateKeyInfoOwned {
                encryption_algorithm: EncryptionScheme::Pbes2(parameters.clone()),
                encrypted_data: OctetString::new([0; 32]).unwrap(),
            };
            let result = decrypt(&info.to_der().unwrap(), &passphrase);
            // The library's own limit on reading comes first for some.
            let refused = matches!(
                result.as_ref().err(),
                Some(EnvelopeError::Refused(_) | EnvelopeError::Key(_))
            );
            assert!(refused, "{parameters:?}");
        }
    }

    #[test]
    fn halves_that_differ_are_refused() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let [one, other] = [(); 2].map(|()| CurvePrivate::generate(Curve::P256, &mut rng).unwrap());
        let der = pkcs8(&Key::Curve(one)).unwrap();
        assert!(from_pkcs8(&der).is_ok());
        let at = der.len() - 65;
        let mut mixed = der.to_vec();
        assert_eq!(mixed[at], 4, "the public half is at the end");
        mixed[at..].copy_from_slice(&other.public().bytes);
        assert!(from_pkcs8(&mixed).is_err());
    }

    #[test]
    fn other_pem_files_are_refused() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let key = Key::generate(KeyKind::X25519, &mut rng).unwrap();
        let text = private_to_pem(&key, None, &mut rng).unwrap();
        assert!(private_from_pem(&text, None).is_ok());
        for bad in [
            text.replace("PRIVATE KEY", "EC PRIVATE KEY"),
            text.replace("PRIVATE KEY", "CERTIFICATE"),
            text.replace("PRIVATE KEY", "PUBLIC KEY"),
            text.replace("-----END PRIVATE KEY-----", ""),
            text.replacen('M', "!", 1),
            text[..40].to_owned(),
        ] {
            assert!(private_from_pem(&bad, None).is_err(), "{bad}");
            assert!(public_from_pem(&bad).is_err(), "{bad}");
        }
    }

    /// RFC 8410 §10.1 and §10.3: without and with the public half.
    #[test]
    fn rfc_8410() {
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let short = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let long = "-----BEGIN PRIVATE KEY-----\nMHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\noB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n";
        for private in [short, long] {
            let key = private_from_pem(private, None).unwrap();
            assert_eq!(public_to_pem(&key.public().unwrap()).unwrap(), public);
            let mut rng = ChaCha20Rng::from_seed([1; 32]);
            assert_eq!(*private_to_pem(&key, None, &mut rng).unwrap(), short);
        }
        assert_eq!(public_from_pem(public).unwrap().kind(), "Ed25519");
        let mixed = long.replace("ZuE=", "ZuA=");
        assert!(private_from_pem(&mixed, None).is_err());
    }
}
