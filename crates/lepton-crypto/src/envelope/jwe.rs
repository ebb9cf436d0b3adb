//! Small values as JWE (RFC 7516): compact for one recipient, general JSON for several.

use aws_lc_rs::aead::{Aad, Nonce};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::derive::{Cost, Passphrase};
use super::header::{Alg, Content, Enc, Purpose};
use super::keys::Key;
use super::parse::{Entry, MAX_RECIPIENTS, Parsed, list_hash, parse, shown};
use super::recipient::{
    Recipient, Unlock, Wrapped, fits, to_key, to_passphrase, with_key, with_passphrase,
};
use super::signing::{Origin, SigningKey, SigningPublic, bound_to, jws, open_jws};
use super::text::{Json, Object, Writer, b64, text_of, unb64};
use super::{EnvelopeError, MAX_VALUE};
use crate::{Digest, ct_eq};

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
    /// Who made it, as far as that was checked.
    pub origin: Origin,
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
    seal_content(lock, enc, purpose.content(), plaintext, rng)
}

/// [`seal`] for any content that is not signed.
pub(super) fn seal_content(
    lock: Lock<'_>,
    enc: Enc,
    content: Content,
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<String, EnvelopeError> {
    close(lock, (enc, content), |_| with_room(plaintext), rng)
}

/// Closes a value into a JWE together with a signature over the value, the header and the list of recipients (EV-19).
///
/// # Errors
/// Those of [`seal`]; [`EnvelopeError::TooLong`] for more than about 12 MiB.
pub fn seal_signed(
    lock: Lock<'_>,
    enc: Enc,
    value: &[u8],
    signer: &SigningKey,
    rng: &mut impl CryptoRng,
) -> Result<String, EnvelopeError> {
    if value.len() > MAX_VALUE {
        return Err(EnvelopeError::TooLong("a value of more than 16 MiB"));
    }
    let signed = |to| with_room(jws(signer, value, to).as_bytes());
    close(lock, (enc, Content::SignedValue), signed, rng)
}

/// A plaintext with room for the tag, so that growing leaves no copy behind.
fn with_room(plaintext: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(plaintext.len() + 16));
    buffer.extend_from_slice(plaintext);
    buffer
}

/// Closes what `inner` makes when it is told what a signature must be bound to.
fn close(
    lock: Lock<'_>,
    (enc, content): (Enc, Content),
    inner: impl FnOnce(Digest) -> Zeroizing<Vec<u8>>,
    rng: &mut impl CryptoRng,
) -> Result<String, EnvelopeError> {
    let mut cek = Zeroizing::new(vec![0; enc.key_len()]);
    rng.fill_bytes(&mut cek);
    let wrapped = wrap_all(lock, &cek, rng)?;
    let compact = wrapped.len() == 1;
    let (header, recipients, hash) = listed(wrapped, compact)?;
    let protected = b64(protect(header, enc, content, &cek).end().as_bytes());
    let plaintext = inner(bound_to(&protected, hash));
    let [iv, ciphertext, tag] = encrypt(&protected, enc, &cek, plaintext, rng)?;
    if compact {
        return Ok(format!("{protected}.{recipients}.{iv}.{ciphertext}.{tag}"));
    }
    let whole = Writer::new()
        .text("protected", &protected)
        .json("recipients", &recipients)
        .text("iv", &iv)
        .text("ciphertext", &ciphertext)
        .text("tag", &tag);
    Ok(whole.end().to_string())
}

fn wrap_all(
    lock: Lock<'_>,
    cek: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<Wrapped>, EnvelopeError> {
    match lock {
        Lock::Passphrase(passphrase, cost) => Ok(vec![to_passphrase(passphrase, cost, cek, rng)?]),
        Lock::Keys(recipients) => {
            if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
                return Err(EnvelopeError::Use("an envelope has 1 to 64 recipients"));
            }
            let wrapped = recipients.iter().map(|to| to_key(to, cek, rng));
            wrapped.collect()
        }
    }
}

/// Opens a JWE. A signature is not checked, and said to be there.
///
/// # Errors
/// [`EnvelopeError`]: what cannot be read or is refused before any key is used says what it is; whatever fails after is [`EnvelopeError::DoesNotOpen`].
pub fn open(text: &str, unlock: Unlock<'_>, purpose: Purpose) -> Result<Opened, EnvelopeError> {
    open_signed(text, unlock, purpose, &[])
}

/// Opens a JWE that one of `signers` must have signed; with none given, as [`open`].
///
/// # Errors
/// Those of [`open`]; [`EnvelopeError::Uncommitted`], [`EnvelopeError::Unsigned`], [`EnvelopeError::OtherSigner`], [`EnvelopeError::BadSignature`].
pub fn open_signed(
    text: &str,
    unlock: Unlock<'_>,
    purpose: Purpose,
    signers: &[SigningPublic],
) -> Result<Opened, EnvelopeError> {
    let (opened, content) = open_content(text, unlock, purpose)?;
    // Without it a header can stand for several keys, of whom the signer meant one (EV-19).
    if !signers.is_empty() && !opened.committed {
        return Err(EnvelopeError::Uncommitted);
    }
    let signed = match content {
        Content::SignedValue => open_jws(&opened.plaintext, opened.to, signers)?,
        _ => None,
    };
    let (plaintext, origin) = match signed {
        Some(signed) => signed,
        None if signers.is_empty() => (opened.plaintext, Origin::Unsigned),
        None => return Err(EnvelopeError::Unsigned),
    };
    Ok(Opened {
        plaintext,
        committed: opened.committed,
        origin,
    })
}

/// What a JWE says that it holds, without any key; nothing for what is no JWE.
pub(super) fn content_of(text: &str) -> Option<Content> {
    let mut json = Object::new();
    let parsed = parse(text, &mut json).ok()?;
    Some(Content::of(&parsed.protected))
}

/// What an envelope held, before any signature in it is looked at.
pub(super) struct Inner {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    committed: bool,
    to: Digest,
}

/// Opens a JWE and says what its header calls its content.
pub(super) fn open_content(
    text: &str,
    unlock: Unlock<'_>,
    purpose: Purpose,
) -> Result<(Inner, Content), EnvelopeError> {
    let mut json = Object::new();
    let parsed = parse(text, &mut json)?;
    let content = check_purpose(&parsed, purpose)?;
    let committed = check_commitment(&parsed, purpose)?;
    let plaintext = match unlock {
        Unlock::Passphrase(passphrase) => open_with_passphrase(&parsed, passphrase)?,
        Unlock::Keys(keys) => open_with_keys(&parsed, keys)?,
    };
    let inner = Inner {
        plaintext,
        committed,
        to: bound_to(parsed.protected_text, list_hash(&parsed.recipients)),
    };
    Ok((inner, content))
}

/// EV-13, EV-17 and KY-07: a stream's header, a key or an escrow is nothing else, and nothing else is one of them. Another tool's JWK without commitment is a value like others.
fn check_purpose(parsed: &Parsed<'_>, purpose: Purpose) -> Result<Content, EnvelopeError> {
    let content = Content::of(&parsed.protected);
    let of_passphrase = |entry| parsed.alg(entry).is_some_and(Alg::of_passphrase);
    let ours =
        parsed.protected.contains_key("lepton.kc") || parsed.recipients.iter().any(of_passphrase);
    let wrong = |what| Err(EnvelopeError::Malformed(what));
    match (purpose, content) {
        (Purpose::Stream, content) if !content.is_stream() => {
            wrong("its header is not one of a stream")
        }
        (Purpose::Stream, content) => Ok(content),
        (_, content) if content.is_stream() => {
            wrong("it is the header of a stream, without the stream")
        }
        (Purpose::Escrow, Content::Escrow) | (Purpose::Key, Content::Key) => Ok(content),
        (Purpose::Escrow, _) => wrong("it is no key in escrow (`typ` is not `lepton-escrow`)"),
        (_, Content::Escrow) => {
            wrong("it is a key in escrow; use `lepton vault key recover` with its custodian's key")
        }
        (Purpose::Key, _) => wrong("it holds a value, not a key (`cty` is not `jwk+json`)"),
        (Purpose::Value, Content::Key) if ours => {
            wrong("it holds a key, not a value; use `lepton vault key` or --key-file")
        }
        (Purpose::Value, content) => Ok(content),
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
    let ours = matches!(purpose, Purpose::Stream | Purpose::Escrow);
    if !committed && (passphrase || algs.len() > 1 || ours) {
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
fn protect(header: Writer, enc: Enc, content: Content, cek: &[u8]) -> Writer {
    let header = header
        .text("enc", enc.name())
        .bytes("lepton.kc", enc.commitment(cek).as_ref());
    match content.member() {
        Some((name, value)) => header.text(name, value),
        None => header,
    }
}

/// Protected header, recipients as they are written, and the list's hash: one recipient's parameters are protected, those of several stand in the list.
fn listed(wrapped: Vec<Wrapped>, compact: bool) -> Result<(Writer, String, Digest), EnvelopeError> {
    let (mut items, mut entries) = (Vec::new(), Vec::new());
    for Wrapped {
        header,
        encrypted_key,
    } in wrapped
    {
        if compact {
            let key = b64(&encrypted_key);
            let entry = Entry {
                header: Object::new(),
                encrypted_key,
            };
            return Ok((header, key, list_hash(&[entry])));
        }
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
    let hash = list_hash(&entries);
    let header = Writer::new().bytes("lepton.rl", hash.as_ref());
    Ok((header, format!("[{}]", items.join(",")), hash))
}

/// Nonce, ciphertext and tag in base64url.
fn encrypt(
    protected: &str,
    enc: Enc,
    cek: &[u8],
    mut plaintext: Zeroizing<Vec<u8>>,
    rng: &mut impl CryptoRng,
) -> Result<[String; 3], EnvelopeError> {
    if plaintext.len() > MAX_VALUE {
        return Err(EnvelopeError::TooLong(
            "a value of more than 16 MiB, or of 12 MiB with its signature",
        ));
    }
    let mut iv = [0; 12];
    rng.fill_bytes(&mut iv);
    let tag = enc
        .cipher(cek)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::from(protected.as_bytes()),
            &mut plaintext,
        )
        .map_err(|_| EnvelopeError::TooLong("the value"))?;
    Ok([b64(&iv), b64(&plaintext), b64(tag.as_ref())])
}
