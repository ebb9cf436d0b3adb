//! Envelopes that no honest writer makes: everything in them is right but what the test is about.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use base64ct::{Base64UrlUnpadded, Encoding};
use lepton_crypto::envelope::{AesKey, EnvelopeError, Key, Passphrase, Purpose, Unlock, open};

/// The key-wrapping key of every forgery.
pub(crate) const KEK: [u8; 32] = [7; 32];
/// Its content key.
const CEK: [u8; 32] = [9; 32];

fn b64(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// The commitment to a content key, by EV-02's words.
fn commitment(cek: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cek);
    b64(hmac::sign(&key, b"lepton envelope v1 commitment\0A256GCM").as_ref())
}

fn wrapped(kek: &[u8], cek: &[u8]) -> String {
    let mut out = [0; 40];
    b64(AesKek::new(&AES_256, kek)
        .unwrap()
        .wrap(cek, &mut out)
        .unwrap())
}

/// Nonce, ciphertext and tag under the content key, with dots between them.
fn content(protected: &str) -> [String; 3] {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &CEK).unwrap());
    let mut buffer = b"value".to_vec();
    let nonce = Nonce::assume_unique_for_key([3; 12]);
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::from(protected.as_bytes()), &mut buffer)
        .unwrap();
    [b64(&[3; 12]), b64(&buffer), b64(tag.as_ref())]
}

/// A compact JWE with this protected header.
fn compact(header: &str) -> String {
    let protected = b64(header.as_bytes());
    let [iv, ciphertext, tag] = content(&protected);
    format!(
        "{protected}.{}.{iv}.{ciphertext}.{tag}",
        wrapped(&KEK, &CEK)
    )
}

fn json(header: &str, rest: &str) -> String {
    let protected = b64(header.as_bytes());
    let [iv, ciphertext, tag] = content(&protected);
    format!(
        r#"{{"protected":"{protected}","iv":"{iv}","ciphertext":"{ciphertext}","tag":"{tag}"{rest}}}"#
    )
}

fn opened(text: &str) -> Result<Vec<u8>, EnvelopeError> {
    let keys = [Key::Aes(AesKey::new(&KEK).unwrap())];
    open(text, Unlock::Keys(&keys), Purpose::Value).map(|opened| {
        assert_eq!(opened.committed, text_commits(text));
        opened.plaintext.to_vec()
    })
}

fn text_commits(text: &str) -> bool {
    let protected = text
        .split(['.', '"'])
        .max_by_key(|part| part.len())
        .unwrap();
    let header = Base64UrlUnpadded::decode_vec(protected).unwrap();
    String::from_utf8_lossy(&header).contains("lepton.kc")
}

fn header(more: &str) -> String {
    format!(r#"{{"alg":"A256KW","enc":"A256GCM"{more}}}"#)
}

/// The forgeries' frame is sound: without an offence it opens.
#[test]
fn the_frame_opens() {
    assert_eq!(opened(&compact(&header(""))).unwrap(), b"value");
    let kc = commitment(&CEK);
    let committed = header(&format!(r#","lepton.kc":"{kc}""#));
    assert_eq!(opened(&compact(&committed)).unwrap(), b"value");
    let key = wrapped(&KEK, &CEK);
    let flat = json(&committed, &format!(r#","encrypted_key":"{key}""#));
    assert_eq!(opened(&flat).unwrap(), b"value");
    let own = json(
        &format!(r#"{{"enc":"A256GCM","lepton.kc":"{kc}"}}"#),
        &format!(r#","recipients":[{{"header":{{"alg":"A256KW"}},"encrypted_key":"{key}"}}]"#),
    );
    assert_eq!(opened(&own).unwrap(), b"value");
}

/// EV-02: a ciphertext whose tag holds under the unwrapped key is still refused when the header commits to another.
#[test]
fn the_commitment_decides() {
    let other = commitment(&[8; 32]);
    // EV-03: malformed ones too.
    for kc in [other.as_str(), "", "AAAA", "not base64url!"] {
        let text = compact(&header(&format!(r#","lepton.kc":"{kc}""#)));
        assert_eq!(opened(&text), Err(EnvelopeError::DoesNotOpen), "{kc}");
    }
    assert_eq!(
        opened(&compact(&header(r#","lepton.kc":7"#))),
        Err(EnvelopeError::DoesNotOpen)
    );
    let (kc, key) = (commitment(&CEK), wrapped(&KEK, &CEK));
    for rl in ["AAAA", "not base64url!"] {
        let protected = header(&format!(r#","lepton.kc":"{kc}","lepton.rl":"{rl}""#));
        let text = json(&protected, &format!(r#","encrypted_key":"{key}""#));
        assert_eq!(opened(&text), Err(EnvelopeError::DoesNotOpen), "{rl}");
    }
}

/// EV-08: what many small values would cost to read is refused before it is read.
#[test]
fn values_are_counted() {
    let key = wrapped(&KEK, &CEK);
    let text = |count: usize| {
        let zeros = vec!["0"; count].join(",");
        json(
            &header(""),
            &format!(r#","encrypted_key":"{key}","x":[{zeros}]"#),
        )
    };
    let keys = [Key::Aes(AesKey::new(&KEK).unwrap())];
    let error = |count| open(&text(count), Unlock::Keys(&keys), Purpose::Value).err();
    assert_eq!(error(8000), None);
    assert!(matches!(error(8192), Some(EnvelopeError::TooLong(_))));
}

/// EV-04: without a commitment, one recipient and no passphrase.
#[test]
fn uncommitted_lists_are_refused() {
    let key = wrapped(&KEK, &CEK);
    let list = format!(
        r#","recipients":[{{"header":{{"alg":"A256KW"}},"encrypted_key":"{key}"}},{{"header":{{"alg":"A256KW"}},"encrypted_key":"{key}"}}]"#
    );
    let text = json(r#"{"enc":"A256GCM"}"#, &list);
    assert_eq!(opened(&text), Err(EnvelopeError::Uncommitted));
    let bound = format!(r#"{{"enc":"A256GCM","lepton.kc":"{}"}}"#, commitment(&CEK));
    assert!(matches!(
        opened(&json(&bound, &list)),
        Err(EnvelopeError::Malformed(_))
    ));
    let passphrase = Passphrase::new(b"correct horse").unwrap();
    let text =
        compact(r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2s":"AAAAAAAAAAA","p2c":2000}"#);
    assert_eq!(
        open(&text, Unlock::Passphrase(&passphrase), Purpose::Value).err(),
        Some(EnvelopeError::Uncommitted)
    );
}

/// EV-05: a passphrase beside a key, offered with either.
#[test]
fn a_passphrase_stands_alone() {
    let (kc, key) = (commitment(&CEK), wrapped(&KEK, &CEK));
    let list = format!(
        r#","recipients":[{{"header":{{"alg":"A256KW"}},"encrypted_key":"{key}"}},{{"header":{{"alg":"PBES2-HS512+A256KW","p2s":"AAAAAAAAAAA","p2c":2000}},"encrypted_key":"{key}"}}]"#
    );
    let text = json(
        &format!(r#"{{"enc":"A256GCM","lepton.kc":"{kc}","lepton.rl":"AAAA"}}"#),
        &list,
    );
    assert!(matches!(opened(&text), Err(EnvelopeError::Refused(_))));
    let passphrase = Passphrase::new(b"correct horse").unwrap();
    let unlock = Unlock::Passphrase(&passphrase);
    assert!(matches!(
        open(&text, unlock, Purpose::Value),
        Err(EnvelopeError::Refused(_))
    ));
}

/// EV-08: one reading, and nothing that we do not do.
#[test]
fn one_reading() {
    let refused = [
        header(r#","zip":"DEF""#),
        header(r#","crit":["exp"],"exp":1"#),
        header(r#","crit":["lepton.kc"]"#),
        header(r#","alg":"A256KW""#),
        header(r#","epk":{"a":1,"a":2}"#),
        header(r#","typ":"lepton-stream""#),
        r#"{"alg":"A256KW","enc":"A256CBC-HS512"}"#.to_owned(),
        r#"{"alg":"A256KW"}"#.to_owned(),
        r#"["A256KW"]"#.to_owned(),
    ];
    for bad in &refused {
        let text = compact(bad);
        assert!(
            matches!(
                opened(&text),
                Err(EnvelopeError::Malformed(_) | EnvelopeError::Refused(_))
            ),
            "{bad}"
        );
    }
    for alg in [
        "A128KW",
        "RSA-OAEP",
        "RSA1_5",
        "ECDH-ES",
        "A256GCMKW",
        "none",
        "",
    ] {
        let text = compact(&format!(r#"{{"alg":"{alg}","enc":"A256GCM"}}"#));
        assert!(
            matches!(opened(&text), Err(EnvelopeError::OtherKeys(_))),
            "{alg}"
        );
    }
}

/// EV-08 for the JSON forms.
#[test]
fn one_reading_of_json() {
    let key = wrapped(&KEK, &CEK);
    let encrypted = format!(r#","encrypted_key":"{key}""#);
    let rests = [
        r#","unprotected":{"x":1}"#,
        r#","aad":"AAAA""#,
        r#","header":{"zip":"DEF"}"#,
        r#","header":{"crit":["x"],"x":1}"#,
        r#","header":{"alg":"A256KW"}"#,
        r#","header":{"lepton.kc":"AAAA"}"#,
        r#","header":{"lepton.rl":"AAAA"}"#,
        r#","recipients":[{}]"#,
        r#","iv":"AAAA""#,
        r#","header":7"#,
    ];
    for rest in rests {
        let text = json(&header(""), &format!("{encrypted}{rest}"));
        assert!(
            matches!(
                opened(&text),
                Err(EnvelopeError::Malformed(_) | EnvelopeError::Refused(_))
            ),
            "{rest}"
        );
    }
    let many = vec![format!(r#"{{"encrypted_key":"{key}"}}"#); 65].join(",");
    assert!(opened(&json(&header(""), &format!(r#","recipients":[{many}]"#))).is_err());
    let fine = compact(&header(""));
    for bad in [
        fine.replace('.', ". "),
        format!("{fine}."),
        fine.replace('.', ".="),
        String::new(),
    ] {
        assert!(
            matches!(opened(&bad), Err(EnvelopeError::Malformed(_))),
            "{bad}"
        );
    }
}

/// EV-09: the cost is refused before anything is derived, so this takes no time.
#[test]
fn costs_are_capped_before_use() {
    let passphrase = Passphrase::new(b"correct horse").unwrap();
    let kc = commitment(&CEK);
    let costs = [
        r#""alg":"PBES2-HS512+A256KW","p2s":"AAAAAAAAAAA","p2c":4000000000"#,
        r#""alg":"PBES2-HS512+A256KW","p2s":"AAAAAAAAAAA","p2c":1"#,
        r#""alg":"PBES2-HS512+A256KW","p2s":"AAAA","p2c":1000"#,
        r#""alg":"PBES2-HS512+A256KW","p2s":"AAAAAAAAAAA","p2c":1e3"#,
        r#""alg":"PBES2-HS512+A256KW","p2s":"AAAAAAAAAAA""#,
        r#""alg":"lepton.ARGON2ID+A256KW","p2s":"AAAAAAAAAAA","lepton.m":4194304,"lepton.t":1,"lepton.p":1"#,
        r#""alg":"lepton.ARGON2ID+A256KW","p2s":"AAAAAAAAAAA","lepton.m":64,"lepton.t":4000000,"lepton.p":1"#,
        r#""alg":"lepton.ARGON2ID+A256KW","p2s":"AAAAAAAAAAA","lepton.m":64,"lepton.t":1,"lepton.p":0"#,
    ];
    for cost in costs {
        let text = compact(&format!(r#"{{{cost},"enc":"A256GCM","lepton.kc":"{kc}"}}"#));
        let result = open(&text, Unlock::Passphrase(&passphrase), Purpose::Value);
        assert!(
            matches!(
                result,
                Err(EnvelopeError::Malformed(_) | EnvelopeError::Refused(_))
            ),
            "{cost}"
        );
    }
}

/// EV-11: an ephemeral key that is no point of the key's curve never meets the private key.
#[test]
fn ephemeral_keys_are_checked() {
    let jwk = |text: &str| Key::from_jwk(text.as_bytes()).unwrap();
    // RFC 7518 appendix C, Bob; RFC 7748 §6.1, Bob.
    let keys = [
        jwk(
            r#"{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#,
        ),
        jwk(
            r#"{"kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08","d":"XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os"}"#,
        ),
    ];
    let zero = "A".repeat(43);
    let bad = [
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}"}}"#),
        r#"{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFppo"}"#.to_owned(),
        r#"{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0"}"#.to_owned(),
        r#"{"kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA"}"#.to_owned(),
        format!(r#"{{"kty":"OKP","crv":"X25519","x":"{zero}"}}"#),
        r#"{"kty":"OKP","crv":"X25519","x":"AAAA"}"#.to_owned(),
        format!(r#"{{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo","d":"{zero}"}}"#),
        r#""hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo""#.to_owned(),
        "null".to_owned(),
    ];
    for epk in bad {
        let text = compact(&format!(
            r#"{{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{epk}}}"#
        ));
        let result = open(&text, Unlock::Keys(&keys), Purpose::Value);
        assert!(matches!(result, Err(EnvelopeError::Malformed(_))), "{epk}");
    }
    let text = compact(r#"{"alg":"ECDH-ES+A256KW","enc":"A256GCM"}"#);
    assert!(matches!(
        open(&text, Unlock::Keys(&keys), Purpose::Value),
        Err(EnvelopeError::Malformed(_))
    ));
    // A point of the other curve, right in itself, opens nothing.
    let text = compact(
        r#"{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}}"#,
    );
    assert_eq!(
        open(&text, Unlock::Keys(&keys), Purpose::Value).err(),
        Some(EnvelopeError::DoesNotOpen)
    );
}
