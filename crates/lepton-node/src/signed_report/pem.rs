//! Public keys as PEM files (RFC 7468) of a `SubjectPublicKeyInfo` (RFC 8410).

use lepton_crypto::IdentityPublic;
use pem::{EncodeConfig, LineEnding, Pem};

/// Label of a public key (RFC 7468, section 13).
const LABEL: &str = "PUBLIC KEY";

/// The encoding of every Ed25519 `SubjectPublicKeyInfo` but its last 32 bytes (RFC 8410, section 4).
const PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A key as a PEM block.
#[must_use]
pub fn public_key_pem(key: &IdentityPublic) -> String {
    let der = [PREFIX.as_slice(), &key.to_bytes()].concat();
    pem::encode_config(
        &Pem::new(LABEL, der),
        EncodeConfig::new().set_line_ending(LineEnding::LF),
    )
}

/// All keys of a PEM file, at least one; text around the blocks is ignored.
///
/// # Errors
/// What is wrong with the file.
pub fn public_keys(text: &str) -> Result<Vec<IdentityPublic>, String> {
    let blocks = pem::parse_many(text).map_err(|error| format!("not a PEM file ({error})"))?;
    if blocks.is_empty() {
        return Err("there is no PEM block in it".to_owned());
    }
    blocks.iter().map(key_of).collect()
}

fn key_of(block: &Pem) -> Result<IdentityPublic, String> {
    if block.tag() != LABEL {
        return Err(format!(
            "it holds a {}, and a {LABEL} is needed",
            block.tag()
        ));
    }
    block
        .contents()
        .strip_prefix(&PREFIX)
        .and_then(|key| IdentityPublic::try_from(key).ok())
        .ok_or_else(|| "it holds a public key that is not Ed25519".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410, section 10.1.
    const EXAMPLE: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn rfc_8410() {
        let keys = public_keys(EXAMPLE).unwrap();
        assert_eq!(
            keys[0].to_string(),
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        );
        assert_eq!(public_key_pem(&keys[0]), EXAMPLE);
        let two = format!("a: first\n{EXAMPLE}\nb: second\r\n{EXAMPLE}");
        assert_eq!(public_keys(&two).unwrap(), [keys[0], keys[0]]);
    }

    #[test]
    fn other_files_are_refused() {
        let other = EXAMPLE.replace("PUBLIC KEY", "PRIVATE KEY");
        let longer = public_key_pem(&IdentityPublic::from_bytes([0; 32]))
            .replace("MCow", "MCsw")
            .replace("AAA=", "AAAA");
        for text in ["", "a key", EXAMPLE.split_at(60).0, &other, &longer] {
            assert!(public_keys(text).is_err(), "{text}");
        }
    }
}
