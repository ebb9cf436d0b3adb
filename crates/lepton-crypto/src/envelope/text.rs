//! Base64url and JSON, read strictly: one reading for every text (EV-08).

use std::collections::BTreeMap;
use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::{Zeroize, Zeroizing};

use super::EnvelopeError;

/// base64url without padding (RFC 7515 §2).
pub(super) fn b64(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Refuses padding, white space and left-over bits.
pub(super) fn unb64(text: &str) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    Base64UrlUnpadded::decode_vec(text)
        .map(Zeroizing::new)
        .map_err(|_| EnvelopeError::Malformed("a part is not base64url"))
}

/// A JSON object's members.
pub(super) type Object = BTreeMap<String, Json>;

/// A JSON value; its strings are wiped when it is dropped, as it may be a private key.
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(u64),
    /// A number that no parameter of ours can be.
    OtherNumber,
    Text(String),
    List(Vec<Json>),
    Object(Object),
}

impl Json {
    /// The object that `text` is; refuses duplicate members at any depth.
    pub(super) fn object(text: &[u8]) -> Result<Object, EnvelopeError> {
        let mut value: Self = serde_json::from_slice(text)
            .map_err(|_| EnvelopeError::Malformed("a part is not JSON, or repeats a member"))?;
        match &mut value {
            Self::Object(object) => Ok(std::mem::take(object)),
            _ => Err(EnvelopeError::Malformed("a part is not a JSON object")),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) const fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) const fn members(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(super) const fn list(&self) -> Option<&Vec<Self>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Bytes that are the same for the same value however it was written, and for no other one.
    fn canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(b'z'),
            Self::Bool(value) => out.push(if *value { b't' } else { b'f' }),
            Self::Number(number) => {
                out.push(b'n');
                out.extend(number.to_le_bytes());
            }
            // Such a list is never ours; its hash matches nothing that we write.
            Self::OtherNumber => out.push(b'?'),
            Self::Text(text) => framed(b's', text.as_bytes(), out),
            Self::List(list) => {
                framed(b'l', &(list.len() as u64).to_le_bytes(), out);
                list.iter().for_each(|item| item.canonical(out));
            }
            Self::Object(object) => canonical_object(object, out),
        }
    }
}

/// [`Json::canonical`] of an object.
pub(super) fn canonical_object(object: &Object, out: &mut Vec<u8>) {
    framed(b'o', &(object.len() as u64).to_le_bytes(), out);
    for (name, value) in object {
        framed(b's', name.as_bytes(), out);
        value.canonical(out);
    }
}

fn framed(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// A member of text.
pub(super) fn text_of<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Json::text)
}

/// A member of base64url that must be there.
pub(super) fn bytes_of(
    object: &Object,
    name: &str,
    missing: &'static str,
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    unb64(text_of(object, name).ok_or(EnvelopeError::Malformed(missing))?)
}

impl Drop for Json {
    fn drop(&mut self) {
        if let Self::Text(text) = self {
            text.zeroize();
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Object::new();
        while let Some((name, value)) = members.next_entry::<String, Json>()? {
            if object.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("a member is repeated"));
            }
        }
        Ok(Json::Object(object))
    }
}

/// Writes a JSON object whose names and texts need no escapes: ours are base64url and names of algorithms.
pub(super) struct Writer(Zeroizing<String>);

impl Writer {
    pub(super) fn new() -> Self {
        // Large enough for any private key, so that no copy is left behind by growing.
        Self(Zeroizing::new(String::with_capacity(16 * 1024)))
    }

    fn name(&mut self, name: &str) {
        let before = if self.0.is_empty() { '{' } else { ',' };
        self.0.push(before);
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
        self
    }

    pub(super) fn bytes(self, name: &str, value: &[u8]) -> Self {
        let encoded = Zeroizing::new(b64(value));
        self.text(name, &encoded)
    }

    pub(super) fn number(mut self, name: &str, value: u32) -> Self {
        self.name(name);
        self.0.push_str(&value.to_string());
        self
    }

    /// A value that is JSON already.
    pub(super) fn json(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        self.0.push_str(value);
        self
    }

    pub(super) fn end(mut self) -> Zeroizing<String> {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_be_read_twice() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
            "[]",
            "{} {}",
            "{",
            "",
        ] {
            assert!(Json::object(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{}{}", r#"{"a":"#.repeat(2000), "1");
        assert!(Json::object(deep.as_bytes()).is_err());
        assert!(Json::object(br#"{"a":1,"b":{"a":-1,"c":[1.5,null,true]}}"#).is_ok());
    }

    /// RFC 7515 appendix C, and what RFC 4648 leaves to the decoder.
    #[test]
    fn base64url_has_one_form() {
        assert_eq!(b64(&[3, 236, 255, 224, 193]), "A-z_4ME");
        assert_eq!(*unb64("A-z_4ME").unwrap(), [3, 236, 255, 224, 193]);
        for bad in [
            "A-z_4MF",
            "A-z_4ME=",
            "A-z_4M E",
            "A+z/4ME",
            "A-z_4",
            "A-z_4ME\n",
        ] {
            assert!(unb64(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn canonical_form_follows_the_value_alone() {
        let form = |text: &str| {
            let mut out = Vec::new();
            canonical_object(&Json::object(text.as_bytes()).unwrap(), &mut out);
            out
        };
        assert_eq!(
            form(r#"{"b":"x","a":1}"#),
            form(r#"{ "a": 1, "b": "\u0078" }"#)
        );
        for other in [
            r#"{"a":2,"b":"x"}"#,
            r#"{"a":"1","b":"x"}"#,
            r#"{"a":1,"b":"x","c":null}"#,
            r#"{"a":1,"b":["x"]}"#,
            r#"{"a":1,"b":{"x":true}}"#,
        ] {
            assert_ne!(form(r#"{"a":1,"b":"x"}"#), form(other), "{other}");
        }
    }
}
