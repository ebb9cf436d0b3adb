//! Bytes as lower-case hexadecimal, in one spelling.

/// Two digits for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Back from exactly that: no sign, no upper case, no other length, so that one value has one spelling.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut out = [0; N];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{hex, unhex};

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(hex(&[0, 1, 0xab, 0xff]), "0001abff");
        assert_eq!(unhex("0001abff"), Some([0, 1, 0xab, 0xff]));
        for other in [
            "0001ABFF",
            "0001abf",
            "0001abff0",
            "+001abff",
            "0001abfg",
            " 001abff",
            "",
        ] {
            assert_eq!(unhex::<4>(other), None, "{other:?}");
        }
    }
}
