//! A key split among custodians, each share checkable (EV-18).

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::keys::Key;
use super::text::{Json, Object, Writer, b64, bytes_of, text_of, unb64};
use crate::sharing::{Combiner, Sharing};
use crate::{CryptoError, Digest, ct_eq, hash};

/// Most bytes of a share's file.
pub const MAX_SHARE_FILE: usize = 64 << 10;

/// A share whose file is whole: its value is the one that its own list commits to.
pub struct Share {
    terms: Terms,
    number: u8,
    value: Zeroizing<Vec<u8>>,
}

/// What all shares of a sharing have in common.
#[derive(Clone, PartialEq, Eq)]
struct Terms {
    id: [u8; 16],
    threshold: u8,
    /// Name of the key, for people.
    key: String,
    check: Digest,
    commitments: Vec<Digest>,
}

impl Terms {
    fn commitment(id: &[u8; 16], number: u8, value: &[u8]) -> Digest {
        hash("lepton share v1 commitment", &[id, &[number], value])
    }

    fn check(id: &[u8; 16], secret: &[u8]) -> Digest {
        hash("lepton share v1 key", &[id, secret])
    }

    /// Names the sharing and everything that all shares must agree on.
    fn set(&self) -> Digest {
        let threshold = [self.threshold];
        let mut parts: Vec<&[u8]> = vec![
            &self.id,
            &threshold,
            self.key.as_bytes(),
            self.check.as_bytes(),
        ];
        parts.extend(
            self.commitments
                .iter()
                .map(|digest| digest.as_bytes().as_slice()),
        );
        hash("lepton share v1 set", &parts)
    }

    fn text(&self, number: u8, value: &[u8]) -> Zeroizing<String> {
        let list: Vec<String> = self
            .commitments
            .iter()
            .map(|digest| format!("\"{}\"", b64(digest.as_bytes())))
            .collect();
        Writer::new()
            .text("kind", "lepton-share")
            .number("version", 1)
            .text("key", &self.key)
            .number("number", number.into())
            .number("threshold", self.threshold.into())
            .bytes("sharing", &self.id)
            .bytes("check", self.check.as_bytes())
            .json("commitments", &format!("[{}]", list.join(",")))
            .bytes("set", self.set().as_bytes())
            .bytes("value", value)
            .end()
    }
}

/// The shares of a key, as texts of files for `holders` custodians, `threshold` of whom give it back.
///
/// # Errors
/// [`EnvelopeError::Share`] unless 2 <= `threshold` <= `holders`.
pub fn split(
    key: &Key,
    threshold: u8,
    holders: u8,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Zeroizing<String>>, EnvelopeError> {
    let sharing = Sharing::new(threshold, holders).map_err(failed)?;
    let secret = key.to_jwk()?;
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let values = sharing.deal(secret.as_bytes(), rng);
    let commitments = (1..=holders)
        .zip(&values)
        .map(|(number, value)| Terms::commitment(&id, number, value))
        .collect();
    let terms = Terms {
        id,
        threshold,
        key: name(key),
        check: Terms::check(&id, secret.as_bytes()),
        commitments,
    };
    Ok((1..=holders)
        .zip(&values)
        .map(|(number, value)| terms.text(number, value))
        .collect())
}

/// The key, from exactly as many shares of one sharing as its threshold, or more (the first ones are taken).
///
/// # Errors
/// [`EnvelopeError::Share`] for shares of different sharings, too few of them, one given twice, and shares that give another key than they commit to.
pub fn recover(shares: &[Share]) -> Result<Key, EnvelopeError> {
    let first = shares
        .first()
        .ok_or(EnvelopeError::Use("no share is given"))?;
    if let Some(other) = shares.iter().find(|share| share.terms != first.terms) {
        return Err(EnvelopeError::Share(format!(
            "shares {} and {} are of different sharings: compare their `set`",
            first.number, other.number
        )));
    }
    let threshold = usize::from(first.terms.threshold);
    let used = shares.get(..threshold).ok_or_else(|| {
        EnvelopeError::Share(format!(
            "{} shares are given, {threshold} are needed",
            shares.len()
        ))
    })?;
    let numbers: Vec<u8> = used.iter().map(|share| share.number).collect();
    let values: Vec<&[u8]> = used.iter().map(|share| share.value.as_slice()).collect();
    let combiner = Combiner::new(first.terms.threshold, &numbers).map_err(failed)?;
    let secret = combiner.combine(&values).map_err(failed)?;
    let check = Terms::check(&first.terms.id, &secret);
    if !ct_eq(check.as_bytes(), first.terms.check.as_bytes()) {
        return Err(EnvelopeError::Share(
            "the shares fit their list, but do not give the key it names: whoever split it did so wrongly".to_owned(),
        ));
    }
    let key = Key::from_jwk(&secret)?;
    if name(&key) != first.terms.key {
        return Err(EnvelopeError::Share(format!(
            "the shares give the key {}, and say that it is {}: whoever split it named it wrongly",
            name(&key),
            first.terms.key
        )));
    }
    Ok(key)
}

/// The key's thumbprint, or its kind if it has no public half.
fn name(key: &Key) -> String {
    key.public()
        .map_or_else(|| key.kind(), |public| public.thumbprint())
}

fn failed(error: CryptoError) -> EnvelopeError {
    EnvelopeError::Share(error.to_string())
}

impl Share {
    /// A share from its file. Refuses one whose value, number or list was damaged.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn from_file(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        const BAD: EnvelopeError = EnvelopeError::Malformed("a member of a share is missing");
        if bytes.len() > MAX_SHARE_FILE {
            return Err(EnvelopeError::TooLong("a share"));
        }
        let object = Json::object(bytes)?;
        let known = text_of(&object, "kind") == Some("lepton-share")
            && object.get("version").and_then(Json::number) == Some(1);
        if !known {
            return Err(EnvelopeError::Malformed(
                "it is no share of a key, version 1",
            ));
        }
        let small = |name: &str| {
            let number = object.get(name).and_then(Json::number);
            number
                .and_then(|number| u8::try_from(number).ok())
                .ok_or(BAD)
        };
        let list = object.get("commitments").and_then(Json::list).ok_or(BAD)?;
        let commitments = list
            .iter()
            .map(|item| digest(&unb64(item.text().ok_or(BAD)?)?))
            .collect::<Result<Vec<_>, _>>()?;
        let key = text_of(&object, "key").ok_or(BAD)?;
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if key.len() > 64 || !key.bytes().all(fine) {
            return Err(EnvelopeError::Malformed(
                "a share's `key` is neither a thumbprint nor a kind",
            ));
        }
        let terms = Terms {
            id: bytes_of(&object, "sharing", "a share does not name its sharing")?
                .as_slice()
                .try_into()
                .map_err(|_| BAD)?,
            threshold: small("threshold")?,
            key: key.to_owned(),
            check: digest_member(&object, "check")?,
            commitments,
        };
        let value = bytes_of(&object, "value", "a share has no value")?;
        let share = Self {
            number: small("number")?,
            terms,
            value,
        };
        share.check(digest_member(&object, "set")?)?;
        Ok(share)
    }

    fn check(&self, set: Digest) -> Result<(), EnvelopeError> {
        let mine = Terms::commitment(&self.terms.id, self.number, &self.value);
        let place = usize::from(self.number).checked_sub(1);
        let listed = place.and_then(|place| self.terms.commitments.get(place));
        if listed != Some(&mine) || self.terms.set() != set {
            return Err(EnvelopeError::Share(format!(
                "share {} is damaged: it is not the one that its own list commits to",
                self.number
            )));
        }
        Ok(())
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// How many shares give the key back.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.terms.threshold
    }

    /// How many shares there are.
    #[must_use]
    pub const fn holders(&self) -> usize {
        self.terms.commitments.len()
    }

    /// The key's thumbprint, or its kind if it has no public half.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.terms.key
    }

    /// Names the sharing: equal for all its shares.
    #[must_use]
    pub fn set(&self) -> Digest {
        self.terms.set()
    }
}

fn digest_member(object: &Object, name: &str) -> Result<Digest, EnvelopeError> {
    digest(&bytes_of(object, name, "a share's hash is missing")?)
}

fn digest(bytes: &[u8]) -> Result<Digest, EnvelopeError> {
    bytes
        .try_into()
        .map(Digest::from_bytes)
        .map_err(|_| EnvelopeError::Malformed("a hash in a share has another length"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::KeyKind;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn parsed(texts: &[Zeroizing<String>], which: &[usize]) -> Vec<Share> {
        which
            .iter()
            .map(|i| Share::from_file(texts[*i].as_bytes()).unwrap())
            .collect()
    }

    #[test]
    fn any_threshold_of_shares_gives_the_key() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for kind in [
            KeyKind::Aes128,
            KeyKind::P256,
            KeyKind::Hybrid,
            KeyKind::Rsa3072,
        ] {
            let key = Key::generate(kind, &mut rng).unwrap();
            let texts = split(&key, 3, 5, &mut rng).unwrap();
            for which in [[0, 1, 2].as_slice(), &[4, 2, 0], &[1, 3, 4, 0]] {
                let again = recover(&parsed(&texts, which)).unwrap();
                assert_eq!(*again.to_jwk().unwrap(), *key.to_jwk().unwrap());
            }
            assert!(recover(&parsed(&texts, &[0, 1])).is_err());
            assert!(recover(&parsed(&texts, &[0, 1, 1])).is_err());
            assert!(recover(&[]).is_err());
            let others = split(&key, 3, 5, &mut rng).unwrap();
            let mut mixed = parsed(&texts, &[0, 1]);
            mixed.extend(parsed(&others, &[2]));
            assert!(matches!(recover(&mixed), Err(EnvelopeError::Share(_))));
        }
        let key = Key::generate(KeyKind::Aes128, &mut rng).unwrap();
        assert!(split(&key, 1, 5, &mut rng).is_err() && split(&key, 6, 5, &mut rng).is_err());
    }

    /// No byte of a share's file can be changed without notice, but in white space there is none of.
    #[test]
    fn a_damaged_share_is_found_alone() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let key = Key::generate(KeyKind::Aes128, &mut rng).unwrap();
        let text = split(&key, 2, 3, &mut rng).unwrap().remove(1);
        assert!(Share::from_file(text.as_bytes()).is_ok());
        for i in 0..text.len() {
            let mut bad = text.as_bytes().to_vec();
            bad[i] ^= 1;
            assert!(Share::from_file(&bad).is_err(), "byte {i}");
            assert!(Share::from_file(&text.as_bytes()[..i]).is_err());
        }
    }

    /// A dealer whose list commits to shares of something else than the key.
    #[test]
    fn a_wrong_key_is_found_at_recovery() {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let key = Key::generate(KeyKind::Aes128, &mut rng).unwrap();
        let mut shares = parsed(&split(&key, 2, 3, &mut rng).unwrap(), &[0, 1]);
        shares[1].value[40] ^= 1;
        assert!(matches!(recover(&shares), Err(EnvelopeError::Share(_))));
        // One whose shares give the key, but under another one's name.
        shares[1].value[40] ^= 1;
        assert!(recover(&shares).is_ok());
        for share in &mut shares {
            "AES-256".clone_into(&mut share.terms.key);
        }
        assert!(matches!(recover(&shares), Err(EnvelopeError::Share(_))));
        for bad in ["\u{1b}[2J", "a b", &"a".repeat(65)] {
            shares[0].terms.key = bad.to_owned();
            let text = shares[0].terms.text(1, &shares[0].value);
            assert!(matches!(
                Share::from_file(text.as_bytes()),
                Err(EnvelopeError::Malformed(_))
            ));
        }
    }
}
