//! Reads the serialisations of RFC 7516 §7 without any key (EV-08).

use super::EnvelopeError;
use super::header::{Alg, Enc};
use super::recipient::Parameters;
use super::text::{Json, Object, canonical_object, text_of, unb64};
use crate::{Digest, hash};

/// Most bytes of a JWE.
pub const MAX_JWE: usize = 24 << 20;
/// Most bytes of a protected header.
const MAX_PROTECTED: usize = 64 << 10;
/// Most JSON values in a JWE: 64 recipients of ours have a tenth of them. Each value that is read takes many times the memory of its text.
const MAX_VALUES: usize = 8192;
/// Most recipients.
pub(super) const MAX_RECIPIENTS: usize = 64;

/// A JWE whose structure holds.
pub(super) struct Parsed<'a> {
    /// As it stands, which is what the tag covers.
    pub(super) protected_text: &'a str,
    pub(super) protected: Object,
    pub(super) recipients: Vec<Entry>,
    pub(super) enc: Enc,
    pub(super) iv: [u8; 12],
    /// With the tag behind it.
    pub(super) ciphertext: Vec<u8>,
}

/// One recipient as it stands in the list.
pub(super) struct Entry {
    pub(super) header: Object,
    pub(super) encrypted_key: Vec<u8>,
}

impl Parsed<'_> {
    pub(super) fn parameters<'a>(&'a self, entry: &'a Entry) -> Parameters<'a> {
        Parameters {
            protected: &self.protected,
            own: &entry.header,
        }
    }

    pub(super) fn alg(&self, entry: &Entry) -> Option<Alg> {
        self.parameters(entry).text("alg").and_then(Alg::parse)
    }
}

/// EV-06: the hash of a recipient list.
pub(super) fn list_hash(recipients: &[Entry]) -> Digest {
    let parts: Vec<Vec<u8>> = recipients
        .iter()
        .flat_map(|entry| {
            let mut header = Vec::new();
            canonical_object(&entry.header, &mut header);
            [header, entry.encrypted_key.clone()]
        })
        .collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    hash("lepton envelope v1 recipients", &parts)
}

/// The text's parts before they are decoded.
struct Parts<'a> {
    protected: &'a str,
    recipients: Vec<Entry>,
    iv: &'a str,
    ciphertext: &'a str,
    tag: &'a str,
}

/// Reads either serialisation.
pub(super) fn parse<'a>(text: &'a str, json: &'a mut Object) -> Result<Parsed<'a>, EnvelopeError> {
    if text.len() > MAX_JWE {
        return Err(EnvelopeError::TooLong("a JWE of more than 24 MiB"));
    }
    let text = text.trim_ascii();
    let parts = if text.starts_with('{') {
        // Each value but the first follows one of these.
        let before_value = |byte: &u8| b",{[".contains(byte);
        if text.bytes().filter(before_value).nth(MAX_VALUES).is_some() {
            return Err(EnvelopeError::TooLong(
                "a JWE of more than 8192 JSON values",
            ));
        }
        *json = Json::object(text.as_bytes())?;
        from_json(json)?
    } else {
        from_compact(text)?
    };
    decode(parts)
}

fn decode(parts: Parts<'_>) -> Result<Parsed<'_>, EnvelopeError> {
    if parts.protected.len() > MAX_PROTECTED {
        return Err(EnvelopeError::TooLong(
            "a protected header of more than 64 KiB",
        ));
    }
    let protected = Json::object(&unb64(parts.protected)?)?;
    for entry in &parts.recipients {
        check_names(&protected, &entry.header)?;
    }
    let enc = text_of(&protected, "enc").ok_or(EnvelopeError::Malformed(
        "its protected header names no content encryption (`enc`)",
    ))?;
    let enc = Enc::parse(enc)
        .ok_or_else(|| EnvelopeError::Refused(format!("the content encryption {}", shown(enc))))?;
    let iv = unb64(parts.iv)?;
    let tag = unb64(parts.tag)?;
    if tag.len() != 16 {
        return Err(EnvelopeError::Malformed(
            "its tag has another length than 16 bytes",
        ));
    }
    let mut ciphertext = unb64(parts.ciphertext)?.to_vec();
    ciphertext.extend_from_slice(&tag);
    Ok(Parsed {
        protected_text: parts.protected,
        protected,
        recipients: parts.recipients,
        enc,
        iv: iv
            .as_slice()
            .try_into()
            .map_err(|_| EnvelopeError::Malformed("its nonce has another length than 12 bytes"))?,
        ciphertext,
    })
}

/// Words of an envelope in an error: short, and nothing that moves a terminal's cursor.
pub(super) fn shown(words: &str) -> String {
    let kept = words
        .chars()
        .take(40)
        .map(|c| if c.is_ascii_graphic() { c } else { '?' });
    format!("`{}`", kept.collect::<String>())
}

/// RFC 7516 §4: names are disjoint; `crit` names what we do not know; ours are protected or they are nothing.
fn check_names(protected: &Object, own: &Object) -> Result<(), EnvelopeError> {
    if own.keys().any(|name| protected.contains_key(name)) {
        return Err(EnvelopeError::Malformed(
            "a parameter is both protected and not",
        ));
    }
    for header in [protected, own] {
        if header.contains_key("crit") {
            return Err(EnvelopeError::Refused(
                "extensions that must be understood (`crit`)".to_owned(),
            ));
        }
        if header.contains_key("zip") {
            return Err(EnvelopeError::Refused("compression (`zip`)".to_owned()));
        }
    }
    for name in ["enc", "typ", "cty", "lepton.kc", "lepton.rl"] {
        if own.contains_key(name) {
            return Err(EnvelopeError::Malformed(
                "a parameter stands unprotected that must be protected",
            ));
        }
    }
    Ok(())
}

fn from_compact(text: &str) -> Result<Parts<'_>, EnvelopeError> {
    const BAD: EnvelopeError =
        EnvelopeError::Malformed("it is neither JSON nor five parts with dots between them");
    let mut parts = text.split('.');
    let mut next = || parts.next().ok_or(BAD);
    let (protected, key, iv, ciphertext, tag) = (next()?, next()?, next()?, next()?, next()?);
    if parts.next().is_some() {
        return Err(BAD);
    }
    let entry = Entry {
        header: Object::new(),
        encrypted_key: unb64(key)?.to_vec(),
    };
    Ok(Parts {
        protected,
        recipients: vec![entry],
        iv,
        ciphertext,
        tag,
    })
}

fn from_json(json: &Object) -> Result<Parts<'_>, EnvelopeError> {
    const MISSING: EnvelopeError =
        EnvelopeError::Malformed("a member is missing or no text: protected, iv, ciphertext, tag");
    for refused in ["unprotected", "aad"] {
        if json.contains_key(refused) {
            return Err(EnvelopeError::Refused(format!("the member `{refused}`")));
        }
    }
    let text = |name: &str| text_of(json, name).ok_or(MISSING);
    let recipients = match json.get("recipients") {
        None => vec![entry(json)?],
        Some(_) if json.contains_key("encrypted_key") || json.contains_key("header") => {
            return Err(EnvelopeError::Malformed(
                "it is both the general and the flattened form",
            ));
        }
        Some(list) => list
            .list()
            .filter(|list| (1..=MAX_RECIPIENTS).contains(&list.len()))
            .ok_or(EnvelopeError::Malformed("its `recipients` are not 1 to 64"))?
            .iter()
            .map(|item| item.members().map_or(Err(MISSING), entry))
            .collect::<Result<_, _>>()?,
    };
    Ok(Parts {
        protected: text("protected")?,
        recipients,
        iv: text("iv")?,
        ciphertext: text("ciphertext")?,
        tag: text("tag")?,
    })
}

fn entry(object: &Object) -> Result<Entry, EnvelopeError> {
    const BAD: EnvelopeError =
        EnvelopeError::Malformed("a recipient's header or key has the wrong type");
    let header = match object.get("header") {
        None => Object::new(),
        Some(header) => copy(header.members().ok_or(BAD)?),
    };
    let encrypted_key = match object.get("encrypted_key") {
        None => Vec::new(),
        Some(key) => unb64(key.text().ok_or(BAD)?)?.to_vec(),
    };
    Ok(Entry {
        header,
        encrypted_key,
    })
}

fn copy(object: &Object) -> Object {
    object
        .iter()
        .map(|(name, value)| (name.clone(), copy_value(value)))
        .collect()
}

fn copy_value(value: &Json) -> Json {
    match value {
        Json::Null => Json::Null,
        Json::Bool(value) => Json::Bool(*value),
        Json::Number(number) => Json::Number(*number),
        Json::OtherNumber => Json::OtherNumber,
        Json::Text(text) => Json::Text(text.clone()),
        Json::List(list) => Json::List(list.iter().map(copy_value).collect()),
        Json::Object(object) => Json::Object(copy(object)),
    }
}
