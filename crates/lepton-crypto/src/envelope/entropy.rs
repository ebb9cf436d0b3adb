//! The one place where the library below draws its own entropy: RSA keys, OAEP's seed and ML-KEM's coins, for which it takes no generator. Everything here is
//! for envelopes and long-lived keys; no protocol that a simulation replays uses it.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::kem::{Algorithm, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use zeroize::Zeroizing;

use super::EnvelopeError;

const FAILED: EnvelopeError = EnvelopeError::Internal("the library could not draw a key");

/// A fresh RSA key in PKCS#8.
pub(super) fn rsa_key(size: KeySize) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let key = PrivateDecryptingKey::generate(size).map_err(|_| FAILED)?;
    let der = key.as_der().map_err(|_| FAILED)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

/// RSA-OAEP with SHA-256.
pub(super) fn oaep(key: &PublicEncryptingKey, plain: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let key = OaepPublicEncryptingKey::new(key.clone()).map_err(|_| FAILED)?;
    let mut out = vec![0; key.ciphertext_size()];
    let length = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut out, None)
        .map_err(|_| FAILED)?
        .len();
    out.truncate(length);
    Ok(out)
}

/// A fresh ML-KEM-768 decapsulation key, in FIPS 203's bytes (§7.1: with the encapsulation key and its hash in it).
pub(super) fn ml_kem_key() -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let key = DecapsulationKey::generate(ALGORITHM).map_err(|_| FAILED)?;
    let bytes = key.key_bytes().map_err(|_| FAILED)?;
    Ok(Zeroizing::new(bytes.as_ref().to_vec()))
}

/// A ciphertext and the secret in it (FIPS 203 §7.2).
pub(super) fn ml_kem_encapsulate(
    public: &[u8],
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), EnvelopeError> {
    let key = EncapsulationKey::new(ALGORITHM, public)
        .map_err(|_| EnvelopeError::Key("it is no ML-KEM-768 encapsulation key"))?;
    let (ciphertext, secret) = key
        .encapsulate()
        .map_err(|_| EnvelopeError::Key("it is no ML-KEM-768 encapsulation key"))?;
    Ok((
        ciphertext.as_ref().to_vec(),
        Zeroizing::new(secret.as_ref().to_vec()),
    ))
}

const ALGORITHM: &Algorithm = &ML_KEM_768;
