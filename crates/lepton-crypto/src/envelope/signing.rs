//! Ed25519 keys that sign envelopes, and what a signature covers: the content together with the header and the list of recipients (EV-19, EV-20).

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::text::{Json, Object, Writer, b64, bytes_of, text_of, unb64};
use crate::{Digest, IdentityKey, IdentityPublic, Seed, Signature, hash, sha256};

/// What every signature of a stream is bound to.
const STREAM_DOMAIN: &str = "lepton envelope v1 signed stream";
/// The algorithm's name by RFC 8037.
const ALG: &str = "EdDSA";
/// What kind of JWS it is (RFC 8725 section 3.11): no token, and nothing that another program takes for one of its own.
const TYP: &str = "lepton-signed-value";
/// Most characters of a JWS's header; ours has some 250.
const MAX_HEADER: usize = 4096;
/// The header's member that binds a signature to an envelope's header and recipients.
const TO: &str = "lepton.to";

/// The y coordinates of the eight points of small order, as little-endian bytes, and those of them that are below 2^255 after the field's prime is added.
const SMALL_ORDER: [[u8; 32]; 7] = [
    near_zero(0),
    near_zero(1),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    near_prime(0xec),
    near_prime(0xed),
    near_prime(0xee),
];

const fn near_zero(low: u8) -> [u8; 32] {
    spread(low, 0, 0)
}

/// The field's prime is 2^255 - 19.
const fn near_prime(low: u8) -> [u8; 32] {
    spread(low, 0xff, 0x7f)
}

const fn spread(low: u8, middle: u8, top: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    let [first, .., last] = &mut bytes;
    *first = low;
    *last = top;
    bytes
}

/// An Ed25519 key (RFC 8032): it signs, and opens nothing.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    identity: IdentityKey,
}

/// The public half of a [`SigningKey`]: it checks signatures, and nothing can be encrypted to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningPublic(IdentityPublic);

/// Who made an envelope, as far as that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It has no signature that is bound to its recipients.
    Unsigned,
    /// It has a signature that was not checked against anybody.
    Unchecked {
        /// Thumbprint of the key that it names; no evidence of anything.
        signer: String,
    },
    /// One of the signers asked for made this very envelope.
    Signed(SigningPublic),
}

impl SigningKey {
    /// A fresh key.
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_array(seed)
    }

    /// The key of a private seed (RFC 8032 §5.1.5).
    pub(super) fn from_seed(seed: &[u8]) -> Result<Self, EnvelopeError> {
        let seed = seed
            .try_into()
            .map_err(|_| EnvelopeError::Key("an Ed25519 key has 32 bytes"))?;
        Ok(Self::from_array(Zeroizing::new(seed)))
    }

    fn from_array(seed: Zeroizing<[u8; 32]>) -> Self {
        Self {
            identity: IdentityKey::from_seed(Seed::from_bytes(*seed)),
            seed,
        }
    }

    pub(super) fn seed(&self) -> &[u8] {
        self.seed.as_ref()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SigningPublic {
        SigningPublic(self.identity.public())
    }

    /// The same key for statements, each under a domain of its own.
    #[must_use]
    pub const fn identity(&self) -> &IdentityKey {
        &self.identity
    }
}

impl SigningPublic {
    /// Refuses points of small order: under them anybody can make a signature of anything.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let key = IdentityPublic::try_from(bytes)
            .map_err(|_| EnvelopeError::Key("an Ed25519 public key has 32 bytes"))?;
        let mut y = key.to_bytes();
        if let Some(top) = y.last_mut() {
            *top &= 0x7f;
        }
        if SMALL_ORDER.contains(&y) {
            return Err(EnvelopeError::Key(
                "anybody can sign for it (a point of small order)",
            ));
        }
        Ok(Self(key))
    }

    pub(super) fn bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The same key for statements.
    #[must_use]
    pub const fn identity(&self) -> IdentityPublic {
        self.0
    }

    /// The members of RFC 7638 §3.2 and RFC 8037 §2, in their order.
    pub(super) fn jwk(self, writer: Writer) -> Writer {
        writer
            .text("crv", "Ed25519")
            .text("kty", "OKP")
            .bytes("x", &self.bytes())
    }

    pub(super) fn from_jwk(jwk: &Object) -> Result<Self, EnvelopeError> {
        Self::new(&bytes_of(jwk, "x", "an Ed25519 key has no `x`")?)
    }

    /// The thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(self) -> String {
        let jwk = self.jwk(Writer::new()).end();
        b64(sha256(jwk.as_bytes()).as_bytes())
    }
}

impl From<IdentityPublic> for SigningPublic {
    fn from(key: IdentityPublic) -> Self {
        Self(key)
    }
}

/// A compact JWS (RFC 7515) over `payload`, whose header names what it is bound to.
pub(super) fn jws(key: &SigningKey, payload: &[u8], to: Digest) -> Zeroizing<String> {
    let header = Writer::new()
        .text("alg", ALG)
        .text("kid", &key.public().thumbprint())
        .bytes(TO, to.as_bytes())
        .text("typ", TYP)
        .end();
    let payload = Zeroizing::new(b64(payload));
    // Of one size from the start, so that growing leaves no copies behind.
    let mut text = Zeroizing::new(String::with_capacity(payload.len() + 512));
    text.push_str(&b64(header.as_bytes()));
    text.push('.');
    text.push_str(&payload);
    let signature = key.identity.sign_raw(text.as_bytes());
    text.push('.');
    text.push_str(&b64(&signature.to_bytes()));
    text
}

/// A JWS that says to which envelope it belongs.
struct Jws<'a> {
    input: &'a str,
    payload: Zeroizing<Vec<u8>>,
    signer: String,
    to: Zeroizing<Vec<u8>>,
    signature: Signature,
}

/// A payload, and who made it.
type Signed = (Zeroizing<Vec<u8>>, Origin);

/// What a JWS that was found in an envelope holds, and who made it. Nothing if it is none that is bound to an envelope: then it is a value like others.
///
/// # Errors
/// [`EnvelopeError::OtherSigner`] and [`EnvelopeError::BadSignature`], if `signers` are given.
pub(super) fn open_jws(
    text: &[u8],
    to: Digest,
    signers: &[SigningPublic],
) -> Result<Option<Signed>, EnvelopeError> {
    let Some(jws) = std::str::from_utf8(text).ok().and_then(parse) else {
        return Ok(None);
    };
    if signers.is_empty() {
        let signer = jws.signer;
        return Ok(Some((jws.payload, Origin::Unchecked { signer })));
    }
    let key = named(signers, &jws.signer)?;
    if *jws.to != to.as_bytes()
        || key
            .0
            .verify_raw(jws.input.as_bytes(), &jws.signature)
            .is_err()
    {
        return Err(EnvelopeError::BadSignature);
    }
    Ok(Some((jws.payload, Origin::Signed(key))))
}

fn named(signers: &[SigningPublic], name: &str) -> Result<SigningPublic, EnvelopeError> {
    let found = signers.iter().find(|key| key.thumbprint() == name);
    found
        .copied()
        .ok_or_else(|| EnvelopeError::OtherSigner(name.to_owned()))
}

fn parse(text: &str) -> Option<Jws<'_>> {
    let (input, signature) = text.trim_ascii().rsplit_once('.')?;
    let (header, payload) = input.split_once('.')?;
    // Whoever has the public key writes this: it costs no more than its length.
    if header.len() > MAX_HEADER {
        return None;
    }
    let header = Json::object(&unb64(header).ok()?).ok()?;
    let fine = text_of(&header, "alg") == Some(ALG)
        && text_of(&header, "typ") == Some(TYP)
        && !header.contains_key("crit");
    let thumbprint = |name: &&str| unb64(name).is_ok_and(|bytes| bytes.len() == 32);
    let signer = text_of(&header, "kid").filter(thumbprint);
    let signature = unb64(signature).ok()?;
    Some(Jws {
        input,
        payload: unb64(payload).ok()?,
        signer: signer.filter(|_| fine)?.to_owned(),
        to: unb64(text_of(&header, TO)?).ok()?,
        signature: Signature::from_bytes(signature.as_slice().try_into().ok()?),
    })
}

/// EV-19: what a signature is bound to beside its content: the protected header as it stands, and the list of recipients by EV-06.
pub(super) fn bound_to(protected_text: &str, list: Digest) -> Digest {
    hash(
        "lepton envelope v1 signed header",
        &[protected_text.as_bytes(), list.as_bytes()],
    )
}

/// Bytes behind the data of a signed stream: public key and signature.
pub(super) const TRAILER: usize = 32 + 64;

/// EV-20: what stands behind the data of a signed stream.
pub(super) fn trailer(key: &SigningKey, start: Digest, content: Digest) -> [u8; TRAILER] {
    let signature = key.identity.sign(STREAM_DOMAIN, &covered(start, content));
    let mut out = [0; TRAILER];
    let (public, rest) = out.split_at_mut(32);
    public.copy_from_slice(&key.public().bytes());
    rest.copy_from_slice(&signature.to_bytes());
    out
}

/// Who signed a stream.
///
/// # Errors
/// As [`open_jws`].
pub(super) fn check_trailer(
    trailer: &[u8; TRAILER],
    (start, content): (Digest, Digest),
    signers: &[SigningPublic],
) -> Result<Origin, EnvelopeError> {
    let (Some(public), Some(signature)) = (trailer.first_chunk::<32>(), trailer.last_chunk::<64>())
    else {
        return Err(EnvelopeError::BadSignature);
    };
    let signer = SigningPublic(IdentityPublic::from_bytes(*public)).thumbprint();
    if signers.is_empty() {
        return Ok(Origin::Unchecked { signer });
    }
    let key = named(signers, &signer)?;
    let signature = Signature::from_bytes(*signature);
    key.0
        .verify(STREAM_DOMAIN, &covered(start, content), &signature)
        .map_err(|_| EnvelopeError::BadSignature)?;
    Ok(Origin::Signed(key))
}

fn covered(start: Digest, content: Digest) -> [u8; 64] {
    let mut both = [0; 64];
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(start.as_bytes());
    second.copy_from_slice(content.as_bytes());
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendices A.1 to A.5.
    #[test]
    fn rfc_8037_signature() {
        let seed = unb64("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_seed(&seed).unwrap();
        assert_eq!(
            *key.public().jwk(Writer::new()).end(),
            r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        );
        assert_eq!(
            key.public().thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(
            b64(&key.identity.sign_raw(input.as_bytes()).to_bytes()),
            expected
        );
        // Without `kid` and `lepton.to` it is bound to no envelope.
        let whole = format!("{input}.{expected}");
        let found = open_jws(whole.as_bytes(), hash("x", &[]), &[key.public()]).unwrap();
        assert!(found.is_none());
    }

    /// EV-19: a long header is not looked into, and a JWS of another type is no signature, whoever signed it.
    #[test]
    fn what_is_no_signed_value_is_a_value() {
        let key = SigningKey::from_array(Zeroizing::new([1; 32]));
        let to = hash("x", &[]);
        let header = |typ: &str, more: &str| {
            let kid = key.public().thumbprint();
            let to = b64(to.as_bytes());
            format!(
                r#"{{"alg":"EdDSA","kid":"{kid}","lepton.to":"{to}","more":"{more}","typ":"{typ}"}}"#
            )
        };
        let found = |header: &str| {
            let input = format!("{}.{}", b64(header.as_bytes()), b64(b"content"));
            let signature = key.identity.sign_raw(input.as_bytes()).to_bytes();
            let text = format!("{input}.{}", b64(&signature));
            open_jws(text.as_bytes(), to, &[key.public()]).map(|found| found.is_some())
        };
        assert_eq!(found(&header(TYP, "")), Ok(true));
        assert_eq!(found(&header("JWT", "")), Ok(false));
        assert_eq!(found(&header(TYP, &"a".repeat(MAX_HEADER))), Ok(false));
    }

    #[test]
    fn a_signature_is_for_one_content_and_one_envelope() {
        let key = SigningKey::from_array(Zeroizing::new([1; 32]));
        let other = SigningKey::from_array(Zeroizing::new([2; 32])).public();
        let (mine, theirs) = (hash("mine", &[]), hash("theirs", &[]));
        let text = jws(&key, b"content", mine);
        let open = |text: &str, to, signers: &[SigningPublic]| {
            open_jws(text.as_bytes(), to, signers).map(|found| {
                let (payload, origin) = found.unwrap();
                (payload.to_vec(), origin)
            })
        };
        let (payload, origin) = open(&text, mine, &[other, key.public()]).unwrap();
        assert_eq!(payload, b"content");
        assert!(origin == Origin::Signed(key.public()));
        let (_, origin) = open(&text, theirs, &[]).unwrap();
        assert!(matches!(origin, Origin::Unchecked { .. }));
        assert_eq!(
            open(&text, theirs, &[key.public()]).err(),
            Some(EnvelopeError::BadSignature)
        );
        assert!(matches!(
            open(&text, mine, &[other]).err(),
            Some(EnvelopeError::OtherSigner(_))
        ));
        let changed = text.replace(&b64(b"content"), &b64(b"contend"));
        assert_eq!(
            open(&changed, mine, &[key.public()]).err(),
            Some(EnvelopeError::BadSignature)
        );
    }

    /// The identity (1, 0 and a sign) takes a signature of zeros with the identity as its first half for any message: a public key of that kind is none.
    #[test]
    fn keys_for_which_anybody_signs_are_refused() {
        let identity = near_zero(1);
        let mut forged = [0; 64];
        forged[0] = 1;
        let public = IdentityPublic::from_bytes(identity);
        let holds = |message: &[u8]| {
            public
                .verify_raw(message, &Signature::from_bytes(forged))
                .is_ok()
        };
        assert!(
            holds(b"anything") && holds(b"anything else"),
            "why it matters"
        );
        for mut key in SMALL_ORDER {
            assert!(SigningPublic::new(&key).is_err());
            key[31] |= 0x80;
            assert!(SigningPublic::new(&key).is_err());
        }
        assert!(SigningPublic::new(&spread(2, 0, 0)).is_ok());
    }

    #[test]
    fn a_trailer_is_for_one_stream() {
        let key = SigningKey::from_array(Zeroizing::new([1; 32]));
        let [start, content, other] = ["start", "content", "other"].map(|name| hash(name, &[]));
        let made = trailer(&key, start, content);
        let signers = [key.public()];
        let found = check_trailer(&made, (start, content), &signers);
        assert!(found == Ok(Origin::Signed(key.public())));
        for swapped in [(other, content), (start, other), (content, start)] {
            let found = check_trailer(&made, swapped, &signers).err();
            assert_eq!(found, Some(EnvelopeError::BadSignature));
        }
        for at in [0, 31] {
            let mut bad = made;
            bad[at] ^= 1;
            let found = check_trailer(&bad, (start, content), &signers).err();
            assert!(matches!(found, Some(EnvelopeError::OtherSigner(_))));
        }
        for at in [32, 63, 64, 95] {
            let mut bad = made;
            bad[at] ^= 1;
            let found = check_trailer(&bad, (start, content), &signers).err();
            assert_eq!(found, Some(EnvelopeError::BadSignature));
        }
    }
}
