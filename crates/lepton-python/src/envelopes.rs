//! Envelopes and keys in memory.

use lepton_crypto::envelope::{
    self, Cost, Enc, EnvelopeError, Key, KeyKind, Lock, Origin, Passphrase, Protection, PublicKey,
    Purpose, Recipient, SigningKey, Unlock,
};
use lepton_node::error::NodeError;
use lepton_node::random::Entropy;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{away, wrong_envelope};

/// A JWE of `plaintext`, to a passphrase or to keys: public ones as PEM or JWK, AES keys raw or as JWK. Signed, if there is a key that signs, with its
/// passphrase.
#[pyfunction]
#[pyo3(signature = (plaintext, passphrase=None, recipients=Vec::new(), aes_keys=Vec::new(), portable=false, sign=None))]
pub(crate) fn seal(
    py: Python<'_>,
    plaintext: Vec<u8>,
    passphrase: Option<Vec<u8>>,
    recipients: Vec<Vec<u8>>,
    aes_keys: Vec<Vec<u8>>,
    portable: bool,
    sign: Option<(Vec<u8>, Option<Vec<u8>>)>,
) -> PyResult<String> {
    away(py, move || {
        let plaintext = lepton_crypto::Zeroizing::new(plaintext);
        let mut rng = Entropy::System.generator("python seal", 0)?;
        let cost = if portable {
            Cost::PORTABLE
        } else {
            Cost::STRONG
        };
        let passphrase = passphrase_of(passphrase)?;
        let keys = addressed(&recipients, aes_keys)?;
        let lock = match &passphrase {
            Some(passphrase) => Lock::Passphrase(passphrase, cost),
            None => Lock::Keys(&keys),
        };
        let sealed = match sign.map(signing).transpose()? {
            Some(key) => envelope::seal_signed(lock, Enc::A256Gcm, &plaintext, &key, &mut rng),
            None => envelope::seal(lock, Enc::A256Gcm, Purpose::Value, &plaintext, &mut rng),
        };
        sealed.map_err(wrong_envelope)
    })
}

/// What a JWE holds, and whether it has a signature that nobody asked to be checked. Of `signers`, if there are any, one must have signed.
#[pyfunction]
#[pyo3(signature = (jwe, passphrase=None, keys=Vec::new(), key_passphrase=None, signers=Vec::new()))]
pub(crate) fn open(
    py: Python<'_>,
    jwe: String,
    passphrase: Option<Vec<u8>>,
    keys: Vec<Vec<u8>>,
    key_passphrase: Option<Vec<u8>>,
    signers: Vec<Vec<u8>>,
) -> PyResult<(Bound<'_, PyBytes>, bool)> {
    let opened = away(py, move || {
        let passphrase = passphrase_of(passphrase)?;
        let of_keys = passphrase_of(key_passphrase)?;
        let keys = keys.into_iter().map(|key| {
            let key = lepton_crypto::Zeroizing::new(key);
            Key::from_file(&key, of_keys.as_ref())
        });
        let keys = keys
            .collect::<Result<Vec<_>, _>>()
            .map_err(wrong_envelope)?;
        let unlock = match &passphrase {
            Some(passphrase) => Unlock::Passphrase(passphrase),
            None => Unlock::Keys(&keys),
        };
        let signers = signers.iter().map(|key| {
            let key = PublicKey::from_file(key)?;
            key.signing().ok_or(NOT_FOR_SIGNATURES)
        });
        let signers = signers.collect::<Result<Vec<_>, _>>();
        let signers = signers.map_err(wrong_envelope)?;
        envelope::open_signed(&jwe, unlock, Purpose::Value, &signers).map_err(wrong_envelope)
    })?;
    let unchecked = matches!(opened.origin, Origin::Unchecked { .. });
    Ok((PyBytes::new(py, &opened.plaintext), unchecked))
}

/// A new key's file, under a passphrase if there is one, and that of its public half.
#[pyfunction]
#[pyo3(signature = (kind, passphrase=None))]
pub(crate) fn generate_key(
    py: Python<'_>,
    kind: String,
    passphrase: Option<Vec<u8>>,
) -> PyResult<(String, Option<String>)> {
    away(py, move || {
        let mut rng = Entropy::System.generator("python key", 0)?;
        let key = Key::generate(kind_of(&kind)?, &mut rng).map_err(wrong_envelope)?;
        let passphrase = passphrase_of(passphrase)?;
        let protection = passphrase
            .as_ref()
            .map_or(Protection::InsecurePlain, Protection::Passphrase);
        let form = key.usual_format();
        let file = key.to_file(form, protection, &mut rng);
        let public = key.public().map(|public| public.to_file(form)).transpose();
        Ok((
            file.map_err(wrong_envelope)?.to_string(),
            public.map_err(wrong_envelope)?,
        ))
    })
}

/// The public half of a private key's file.
#[pyfunction]
#[pyo3(signature = (key, passphrase=None))]
pub(crate) fn public_key(
    py: Python<'_>,
    key: Vec<u8>,
    passphrase: Option<Vec<u8>>,
) -> PyResult<Option<String>> {
    away(py, move || {
        let key = lepton_crypto::Zeroizing::new(key);
        let passphrase = passphrase_of(passphrase)?;
        let key = Key::from_file(&key, passphrase.as_ref()).map_err(wrong_envelope)?;
        let public = key.public();
        let public = public.map(|public| public.to_file(key.usual_format()));
        public.transpose().map_err(wrong_envelope)
    })
}

fn passphrase_of(bytes: Option<Vec<u8>>) -> Result<Option<Passphrase>, NodeError> {
    let bytes = bytes.map(lepton_crypto::Zeroizing::new);
    let made = bytes.map(|bytes| Passphrase::new(&bytes)).transpose();
    made.map_err(wrong_envelope)
}

const NOT_FOR_SIGNATURES: EnvelopeError =
    EnvelopeError::Use("this key is not for signatures; an Ed25519 key is (kind \"ed25519\")");

/// The key that signs, from its file and its passphrase.
fn signing((key, passphrase): (Vec<u8>, Option<Vec<u8>>)) -> Result<SigningKey, NodeError> {
    let key = lepton_crypto::Zeroizing::new(key);
    let passphrase = passphrase_of(passphrase)?;
    match Key::from_file(&key, passphrase.as_ref()).map_err(wrong_envelope)? {
        Key::Signing(key) => Ok(key),
        _ => Err(wrong_envelope(NOT_FOR_SIGNATURES)),
    }
}

fn addressed(public: &[Vec<u8>], aes: Vec<Vec<u8>>) -> Result<Vec<Recipient>, NodeError> {
    let public = public
        .iter()
        .map(|key| PublicKey::from_file(key).map(Recipient::Public));
    let aes = aes.into_iter().map(|key| {
        let key = lepton_crypto::Zeroizing::new(key);
        match Key::from_file(&key, None)? {
            Key::Aes(key) => Ok(Recipient::Aes(key)),
            _ => Err(EnvelopeError::Use(
                "a private key is no recipient; give its public half",
            )),
        }
    });
    public
        .chain(aes)
        .collect::<Result<_, _>>()
        .map_err(wrong_envelope)
}

fn kind_of(name: &str) -> Result<KeyKind, NodeError> {
    Ok(match name {
        "x25519" => KeyKind::X25519,
        "p256" => KeyKind::P256,
        "rsa3072" => KeyKind::Rsa3072,
        "rsa4096" => KeyKind::Rsa4096,
        "hybrid" => KeyKind::Hybrid,
        "ed25519" => KeyKind::Ed25519,
        "aes128" => KeyKind::Aes128,
        "aes192" => KeyKind::Aes192,
        "aes256" => KeyKind::Aes256,
        other => {
            return Err(NodeError::Use(format!(
                "{other:?} is no kind of key; there are x25519, p256, rsa3072, rsa4096, hybrid, ed25519, aes128, aes192 and aes256"
            )));
        }
    })
}
