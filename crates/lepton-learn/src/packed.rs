//! Serialises long vectors of numbers, for `#[serde(with = "lepton_learn::packed")]`: base64 (RFC 4648, section 4) of their little-endian bytes,
//! as `f32` where that loses nothing. A million parameters are 5 MB instead of 21 MB of decimal digits.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// Which bytes follow.
const SINGLE: &str = "f32:";
const DOUBLE: &str = "f64:";

/// Writes the numbers as one text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    let (mut text, bytes) = match singles(values) {
        Some(bytes) => (SINGLE.to_owned(), bytes),
        None => (DOUBLE.to_owned(), bytes_of(values)),
    };
    STANDARD.encode_string(bytes, &mut text);
    serializer.serialize_str(&text)
}

/// Reads what [`serialize`] wrote, bit for bit.
///
/// # Errors
/// Those of the deserializer, and what is no such text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    deserializer.deserialize_str(Numbers)
}

/// The numbers as `f32`, if every one of them is one.
fn singles(values: &[f64]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(values.len() * 4);
    for value in values {
        #[expect(clippy::cast_possible_truncation, reason = "looked at right after")]
        let single = *value as f32;
        if f64::from(single).to_bits() != value.to_bits() {
            return None;
        }
        bytes.extend_from_slice(&single.to_le_bytes());
    }
    Some(bytes)
}

fn bytes_of(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Vec<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("packed numbers")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<f64>, E> {
        let numbers = if let Some(rest) = text.strip_prefix(SINGLE) {
            read(rest, |bytes| f64::from(f32::from_le_bytes(bytes)))
        } else if let Some(rest) = text.strip_prefix(DOUBLE) {
            read(rest, f64::from_le_bytes)
        } else {
            None
        };
        numbers.ok_or_else(|| E::custom("these are no packed numbers"))
    }
}

fn read<const N: usize>(text: &str, number: impl Fn([u8; N]) -> f64) -> Option<Vec<f64>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<N>();
    let numbers = numbers.iter().map(|bytes| number(*bytes)).collect();
    rest.is_empty().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Kept(#[serde(with = "super")] Vec<f64>);

    fn text(values: &[f64]) -> String {
        serde_json::to_string(&Kept(values.to_vec())).unwrap()
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// Base64 by coreutils: `printf '\x00\x00\x80\x3f\x00\x00\x00\xc0' | base64`, and of 0.1 as a double.
    #[test]
    fn known_texts() {
        assert_eq!(text(&[1.0, -2.0]), r#""f32:AACAPwAAAMA=""#);
        assert_eq!(text(&[0.1]), r#""f64:mpmZmZmZuT8=""#);
        assert_eq!(text(&[]), r#""f32:""#);
    }

    #[test]
    fn other_things_are_refused() {
        for bad in [
            r#""f32:AACAP""#,
            r#""f32:AACA""#,
            r#""f64:AACAPwA=""#,
            r#""AACAPw==""#,
            "3",
            "null",
            "[1]",
        ] {
            assert!(serde_json::from_str::<Kept>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Also numbers that a list in JSON cannot hold.
        #[test]
        fn nothing_is_lost(values in prop::collection::vec(prop_oneof![any::<f64>(), any::<f32>().prop_map(f64::from), Just(f64::NAN), Just(-0.0)], 0..40)) {
            let Kept(back) = serde_json::from_str(&text(&values)).unwrap();
            prop_assert_eq!(bits(&back), bits(&values));
        }
    }
}
