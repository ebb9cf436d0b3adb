//! One content key to one recipient, and back.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::agree::{CurvePrivate, CurvePublic};
use super::derive::{Cost, Passphrase, concat, from_passphrase};
use super::header::Alg;
use super::keys::{AesKey, Key, PublicKey};
use super::text::{Json, Object, Writer, bytes_of, text_of, unb64};
use super::wrap;

/// Somebody to whom an envelope is addressed.
pub enum Recipient {
    /// The holder of a private key.
    Public(PublicKey),
    /// The holders of an AES key.
    Aes(AesKey),
}

/// What opens an envelope.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// A passphrase, and nothing else (EV-05).
    Passphrase(&'a Passphrase),
    /// Any of these keys.
    Keys(&'a [Key]),
}

/// A content key on its way: the parameters that go with it, and its ciphertext.
pub(super) struct Wrapped {
    pub(super) header: Writer,
    pub(super) encrypted_key: Vec<u8>,
}

/// Wraps a content key to a public or an AES key.
pub(super) fn to_key(
    recipient: &Recipient,
    cek: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Wrapped, EnvelopeError> {
    match recipient {
        Recipient::Aes(key) => Ok(Wrapped {
            header: named(aes_alg(key)),
            encrypted_key: wrap::wrap(key.bytes(), cek)?,
        }),
        Recipient::Public(public) => to_public(public, cek, rng),
    }
}

fn to_public(
    public: &PublicKey,
    cek: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Wrapped, EnvelopeError> {
    let kid = public.thumbprint();
    match public {
        PublicKey::Rsa(key) => Ok(Wrapped {
            header: named(Alg::RsaOaep256).text("kid", &kid),
            encrypted_key: key.encrypt(cek)?,
        }),
        PublicKey::Curve(key) => {
            let ephemeral = CurvePrivate::generate(key.curve, rng)?;
            let secret = ephemeral
                .agree(key)
                .map_err(|_| EnvelopeError::Key("it is no usable point of its curve"))?;
            let kek = concat(&secret, Alg::EcdhEsA256Kw.name(), (b"", b""), 32);
            let epk = ephemeral.public().jwk(Writer::new()).end();
            Ok(Wrapped {
                header: named(Alg::EcdhEsA256Kw).json("epk", &epk).text("kid", &kid),
                encrypted_key: wrap::wrap(&kek, cek)?,
            })
        }
        PublicKey::Signing(_) => Err(EnvelopeError::Key(
            "an Ed25519 key checks signatures; nothing can be encrypted to it",
        )),
        PublicKey::Hybrid(key) => {
            let (kek, both) = key.encapsulate(rng)?;
            Ok(Wrapped {
                header: named(Alg::Hybrid).bytes("ek", &both).text("kid", &kid),
                encrypted_key: wrap::wrap(&kek, cek)?,
            })
        }
    }
}

/// Wraps a content key to a passphrase.
pub(super) fn to_passphrase(
    passphrase: &Passphrase,
    cost: Cost,
    cek: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Wrapped, EnvelopeError> {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let (alg, header) = match cost {
        Cost::Pbes2 { iterations } => {
            let alg = Alg::Pbes2Hs512;
            (alg, named(alg).number("p2c", iterations))
        }
        Cost::Argon2id {
            memory,
            passes,
            lanes,
        } => {
            let alg = Alg::Argon2id;
            let header = named(alg)
                .number("lepton.m", memory)
                .number("lepton.t", passes)
                .number("lepton.p", lanes);
            (alg, header)
        }
    };
    let kek = from_passphrase(alg, passphrase, &salt, cost)?;
    Ok(Wrapped {
        header: header.bytes("p2s", &salt),
        encrypted_key: wrap::wrap(&kek, cek)?,
    })
}

fn named(alg: Alg) -> Writer {
    Writer::new().text("alg", alg.name())
}

fn aes_alg(key: &AesKey) -> Alg {
    match key.bytes().len() {
        16 => Alg::A128Kw,
        24 => Alg::A192Kw,
        _ => Alg::A256Kw,
    }
}

/// EV-07: whether a key of this kind is ever used for this algorithm.
pub(super) fn fits(alg: Alg, key: &Key) -> bool {
    match key {
        Key::Rsa(_) => alg == Alg::RsaOaep256,
        Key::Curve(_) => alg == Alg::EcdhEsA256Kw,
        Key::Hybrid(_) => alg == Alg::Hybrid,
        Key::Aes(key) => alg == aes_alg(key) || alg == Alg::Dir,
        Key::Signing(_) => false,
    }
}

/// The parameters of one recipient: protected ones and its own, which never have a name in common.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub(super) protected: &'a Object,
    pub(super) own: &'a Object,
}

impl<'a> Parameters<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a Json> {
        self.protected.get(name).or_else(|| self.own.get(name))
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Json::text)
    }

    fn number(self, name: &str) -> Result<u32, EnvelopeError> {
        let number = self.get(name).and_then(Json::number);
        number
            .and_then(|number| u32::try_from(number).ok())
            .ok_or(EnvelopeError::Malformed(
                "a cost of its key derivation is missing",
            ))
    }

    fn optional_bytes(self, name: &str) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        match self.get(name) {
            None => Ok(Zeroizing::default()),
            Some(value) => unb64(
                value
                    .text()
                    .ok_or(EnvelopeError::Malformed("`apu` or `apv` is no text"))?,
            ),
        }
    }

    fn bytes(self, name: &str, missing: &'static str) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let holder = if self.protected.contains_key(name) {
            self.protected
        } else {
            self.own
        };
        bytes_of(holder, name, missing)
    }

    fn epk(self) -> Result<CurvePublic, EnvelopeError> {
        const BAD: EnvelopeError = EnvelopeError::Malformed("its `epk` is no ephemeral public key");
        let epk = self.get("epk").and_then(Json::members).ok_or(BAD)?;
        if epk.contains_key("d") || text_of(epk, "kty").is_none() {
            return Err(BAD);
        }
        CurvePublic::from_jwk(epk).map_err(|_| BAD)
    }

    /// The cost that the header names, within what is accepted (EV-09).
    pub(super) fn cost(self, alg: Alg) -> Result<Cost, EnvelopeError> {
        let cost = if alg == Alg::Argon2id {
            Cost::Argon2id {
                memory: self.number("lepton.m")?,
                passes: self.number("lepton.t")?,
                lanes: self.number("lepton.p")?,
            }
        } else {
            Cost::Pbes2 {
                iterations: self.number("p2c")?,
            }
        };
        cost.check()?;
        Ok(cost)
    }
}

/// Unwraps with a key that [`fits`].
pub(super) fn with_key(
    alg: Alg,
    key: &Key,
    parameters: Parameters<'_>,
    encrypted_key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    match key {
        Key::Aes(key) if alg == Alg::Dir => {
            if encrypted_key.is_empty() {
                Ok(Zeroizing::new(key.bytes().to_vec()))
            } else {
                Err(EnvelopeError::Malformed(
                    "`dir` goes without an encrypted key",
                ))
            }
        }
        Key::Aes(key) => wrap::unwrap(key.bytes(), encrypted_key),
        Key::Rsa(key) => key.decrypt(encrypted_key),
        Key::Curve(key) => {
            let secret = key.agree(&parameters.epk()?)?;
            let (apu, apv) = (
                parameters.optional_bytes("apu")?,
                parameters.optional_bytes("apv")?,
            );
            let kek = concat(&secret, alg.name(), (&apu, &apv), 32);
            wrap::unwrap(&kek, encrypted_key)
        }
        Key::Hybrid(key) => {
            let both = parameters.bytes("ek", "a hybrid recipient has no `ek`")?;
            wrap::unwrap(&key.decapsulate(&both)?, encrypted_key)
        }
        Key::Signing(_) => Err(EnvelopeError::DoesNotOpen),
    }
}

/// Unwraps with a passphrase, after its cost was checked.
pub(super) fn with_passphrase(
    alg: Alg,
    passphrase: &Passphrase,
    parameters: Parameters<'_>,
    encrypted_key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let cost = parameters.cost(alg)?;
    let salt = parameters.bytes("p2s", "a passphrase's salt is missing")?;
    let kek = from_passphrase(alg, passphrase, &salt, cost)?;
    wrap::unwrap(&kek, encrypted_key)
}
