//! Small values as JWE (RFC 7516): compact for one recipient, general JSON for several.

use aws_lc_rs::aead::{Aad, Nonce};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::derive::{Cost, Passphrase};
use super::header::{Alg, Enc, Purpose};
use super::keys::Key;
use super::parse::{Entry, MAX_RECIPIENTS, Parsed, list_hash, parse, shown};
use super::recipient::{
    Recipient, Unlock, Wrapped, fits, to_key, to_passphrase, with_key, with_passphrase,
};
use super::text::{Json, Object, Writer, b64, text_of, unb64};
use super::{EnvelopeError, MAX_VALUE};
use crate::ct_eq;

/// To whom an envelope is closed.
#[derive(Clone, Copy)]
pub enum Lock<'a> {
    /// Any of these keys opens it.
    Keys(&'a [Recipient]),
    /// A passphrase alone opens it (EV-05).
    Passphrase(&'a Passphrase, Cost),
}

/// What an envelope held.
pub struct Opened {
    /// The plaintext.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Whether the header committed to the content key; ours always do (EV-04).
    pub committed: bool,
}

/// Closes `plaintext` into a JWE.
///
/// # Errors
/// [`EnvelopeError::Use`] for no or more than 64 recipients, [`EnvelopeError::TooLong`] for more than 16 MiB, [`EnvelopeError::Key`] for a public key that cannot be used.
pub fn seal(
    lock: Lock<'_>,
    enc: Enc,
    purpose: Purpose,
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<String, EnvelopeError> {
    if plaintext.len() > MAX_VALUE {
        return Err(EnvelopeError::TooLong("a value of more than 16 MiB"));
    }
    let mut cek = Zeroizing::new(vec![0; enc.key_len()]);
    rng.fill_bytes(&mut cek);
    let mut wrapped = match lock {
        Lock::Passphrase(passphrase, cost) => vec![to_passphrase(passphrase, cost, &cek, rng)?],
        Lock::Keys(recipients) => {
            if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
                return Err(EnvelopeError::Use("an envelope has 1 to 64 recipients"));
            }
            let wrapped = recipients.iter().map(|to| to_key(to, &cek, rng));
            wrapped.collect::<Result<Vec<_>, _>>()?
        }
    };
    match wrapped.pop() {
        Some(one) if wrapped.is_empty() => {
            let protected = protect(one.header, enc, purpose, &cek);
            let [protected, iv, ciphertext, tag] =
                encrypt(&protected.end(), enc, &cek, plaintext, rng)?;
            let key = b64(&one.encrypted_key);
            Ok(format!("{protected}.{key}.{iv}.{ciphertext}.{tag}"))
        }
        last => {
            wrapped.extend(last);
            let (list, hash) = listed(wrapped)?;
            let header = Writer::new().bytes("lepton.rl", hash.as_ref());
            let protected = protect(header, enc, purpose, &cek);
            let [protected, iv, ciphertext, tag] =
                encrypt(&protected.end(), enc, &cek, plaintext, rng)?;
            let whole = Writer::new()
                .text("protected", &protected)
                .json("recipients", &list)
                .text("iv", &iv)
                .text("ciphertext", &ciphertext)
                .text("tag", &tag);
            Ok(whole.end().to_string())
        }
    }
}

/// Opens a JWE.
///
/// # Errors
/// [`EnvelopeError`]: what cannot be read or is refused before any key is used says what it is; whatever fails after is [`EnvelopeError::DoesNotOpen`].
pub fn open(text: &str, unlock: Unlock<'_>, purpose: Purpose) -> Result<Opened, EnvelopeError> {
    let mut json = Object::new();
    let parsed = parse(text, &mut json)?;
    check_purpose(&parsed, purpose)?;
    let committed = check_commitment(&parsed, purpose)?;
    let plaintext = match unlock {
        Unlock::Passphrase(passphrase) => open_with_passphrase(&parsed, passphrase)?,
        Unlock::Keys(keys) => open_with_keys(&parsed, keys)?,
    };
    Ok(Opened {
        plaintext,
        committed,
    })
}

/// EV-13 and EV-17: a stream's header or a key is nothing else, and nothing else is one of them. Another tool's JWK without commitment is a value like others.
fn check_purpose(parsed: &Parsed<'_>, purpose: Purpose) -> Result<(), EnvelopeError> {
    let is = |purpose: Purpose| {
        purpose
            .member()
            .is_some_and(|(name, value)| text_of(&parsed.protected, name) == Some(value))
    };
    let (stream, key) = (is(Purpose::Stream), is(Purpose::Key));
    let of_passphrase = |entry| parsed.alg(entry).is_some_and(Alg::of_passphrase);
    let ours =
        parsed.protected.contains_key("lepton.kc") || parsed.recipients.iter().any(of_passphrase);
    match purpose {
        Purpose::Stream if !stream => Err(EnvelopeError::Malformed(
            "its header is not one of a stream",
        )),
        Purpose::Value | Purpose::Key if stream => Err(EnvelopeError::Malformed(
            "it is the header of a stream, without the stream",
        )),
        Purpose::Key if !key => Err(EnvelopeError::Malformed(
            "it holds a value, not a key (`cty` is not `jwk+json`)",
        )),
        Purpose::Value if key && ours => Err(EnvelopeError::Malformed(
            "it holds a key, not a value; use `lepton vault key` or --key-file",
        )),
        _ => Ok(()),
    }
}

/// EV-04 and EV-05: what may go without commitment, and that a passphrase stands alone.
fn check_commitment(parsed: &Parsed<'_>, purpose: Purpose) -> Result<bool, EnvelopeError> {
    let algs: Vec<Option<Alg>> = parsed
        .recipients
        .iter()
        .map(|entry| parsed.alg(entry))
        .collect();
    let passphrase = algs.iter().flatten().any(|alg| alg.of_passphrase());
    if passphrase && algs.len() > 1 {
        return Err(EnvelopeError::Refused(
            "a passphrase beside other recipients".to_owned(),
        ));
    }
    let committed = parsed.protected.contains_key("lepton.kc");
    if !committed && (passphrase || algs.len() > 1 || purpose == Purpose::Stream) {
        return Err(EnvelopeError::Uncommitted);
    }
    if committed && algs.len() > 1 && !parsed.protected.contains_key("lepton.rl") {
        return Err(EnvelopeError::Malformed(
            "its list of recipients is not bound (`lepton.rl`)",
        ));
    }
    Ok(committed)
}

fn open_with_passphrase(
    parsed: &Parsed<'_>,
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let candidate = parsed
        .recipients
        .iter()
        .find_map(|entry| Some((entry, parsed.alg(entry).filter(|alg| alg.of_passphrase())?)));
    let (entry, alg) = candidate.ok_or_else(|| other_keys(parsed))?;
    let cek = with_passphrase(
        alg,
        passphrase,
        parsed.parameters(entry),
        &entry.encrypted_key,
    )?;
    decrypt(parsed, &cek)
}

/// Tries each recipient with each key of its kind, those first that are named.
fn open_with_keys(parsed: &Parsed<'_>, keys: &[Key]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let named: Vec<_> = keys
        .iter()
        .map(|key| (key, key.public().map(|p| p.thumbprint())))
        .collect();
    let mut pairs = Vec::new();
    for entry in &parsed.recipients {
        let Some(alg) = parsed.alg(entry) else {
            continue;
        };
        let kid = parsed.parameters(entry).text("kid");
        for (key, name) in named.iter().filter(|(key, _)| fits(alg, key)) {
            pairs.push((kid.is_none() || kid != name.as_deref(), alg, *key, entry));
        }
    }
    if pairs.is_empty() {
        return Err(other_keys(parsed));
    }
    pairs.sort_by_key(|(unnamed, ..)| *unnamed);
    let mut problem = EnvelopeError::DoesNotOpen;
    for (_, alg, key, entry) in pairs {
        let tried = with_key(alg, key, parsed.parameters(entry), &entry.encrypted_key)
            .and_then(|cek| decrypt(parsed, &cek));
        match tried {
            Ok(plaintext) => return Ok(plaintext),
            Err(EnvelopeError::DoesNotOpen) => {}
            Err(other) => problem = other,
        }
    }
    Err(problem)
}

fn other_keys(parsed: &Parsed<'_>) -> EnvelopeError {
    let mut algs: Vec<String> = parsed
        .recipients
        .iter()
        .map(|entry| shown(parsed.parameters(entry).text("alg").unwrap_or("nothing")))
        .collect();
    algs.sort();
    algs.dedup();
    algs.truncate(5);
    EnvelopeError::OtherKeys(algs.join(", "))
}

/// EV-03: commitment, list, tag, in this order and with one error.
fn decrypt(parsed: &Parsed<'_>, cek: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    const FAILED: EnvelopeError = EnvelopeError::DoesNotOpen;
    if cek.len() != parsed.enc.key_len() {
        return Err(FAILED);
    }
    if let Some(committed) = parsed.protected.get("lepton.kc") {
        let committed = unb64(committed.text().unwrap_or_default()).map_err(|_| FAILED)?;
        if !ct_eq(&committed, parsed.enc.commitment(cek).as_ref()) {
            return Err(FAILED);
        }
    }
    if parsed.protected.contains_key("lepton.rl") {
        let bound = text_of(&parsed.protected, "lepton.rl").unwrap_or_default();
        let bound = unb64(bound).map_err(|_| FAILED)?;
        if *bound != list_hash(&parsed.recipients).as_ref() {
            return Err(FAILED);
        }
    }
    let mut buffer = Zeroizing::new(parsed.ciphertext.clone());
    let length = parsed
        .enc
        .cipher(cek)?
        .open_in_place(
            Nonce::assume_unique_for_key(parsed.iv),
            Aad::from(parsed.protected_text.as_bytes()),
            &mut buffer,
        )
        .map_err(|_| FAILED)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

/// Adds to a header what every one of ours has.
fn protect(header: Writer, enc: Enc, purpose: Purpose, cek: &[u8]) -> Writer {
    let header = header
        .text("enc", enc.name())
        .bytes("lepton.kc", enc.commitment(cek).as_ref());
    match purpose.member() {
        Some((name, value)) => header.text(name, value),
        None => header,
    }
}

/// The list of recipients as JSON, and its hash.
fn listed(wrapped: Vec<Wrapped>) -> Result<(String, crate::Digest), EnvelopeError> {
    let (mut items, mut entries) = (Vec::new(), Vec::new());
    for Wrapped {
        header,
        encrypted_key,
    } in wrapped
    {
        let header = header.end();
        let item = Writer::new()
            .json("header", &header)
            .bytes("encrypted_key", &encrypted_key);
        items.push(item.end().to_string());
        entries.push(Entry {
            header: Json::object(header.as_bytes())?,
            encrypted_key,
        });
    }
    Ok((format!("[{}]", items.join(",")), list_hash(&entries)))
}

/// Protected header, nonce, ciphertext and tag in base64url.
fn encrypt(
    protected: &str,
    enc: Enc,
    cek: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<[String; 4], EnvelopeError> {
    let mut iv = [0; 12];
    rng.fill_bytes(&mut iv);
    let protected = b64(protected.as_bytes());
    let mut buffer = Vec::with_capacity(plaintext.len() + 16);
    buffer.extend_from_slice(plaintext);
    let tag = enc
        .cipher(cek)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::from(protected.as_bytes()),
            &mut buffer,
        )
        .map_err(|_| EnvelopeError::TooLong("the value"))?;
    Ok([protected, b64(&iv), b64(&buffer), b64(tag.as_ref())])
}
