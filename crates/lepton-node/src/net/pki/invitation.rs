//! Invitation codes (EN-04, EN-05): the secret in a code never travels; a member proves that it has it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Fingerprint, Member, Name, Role};
use crate::net::NetError;

/// What a code begins with; the digit is its version.
const PREFIX: &str = "lepton1.";
/// Longest code.
const LONGEST: usize = 700;
/// Bytes before the texts: id, secret, fingerprint.
const FIXED: usize = 8 + 16 + 32;
/// What a proof is over, besides the request.
const PROOF: &[u8] = b"lepton invitation proof 1\0";

/// An invitation, as its code carries it. Whoever has the code can enrol as the member: it is a secret.
pub struct Invitation {
    /// Public number of the invitation.
    pub(crate) id: [u8; 8],
    secret: Secret,
    /// SHA-256 of the root certificate.
    pub(crate) root: Fingerprint,
    /// Who is invited.
    pub member: Member,
    /// Where to redeem it, `host:port`.
    pub address: String,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Secret([u8; 16]);

impl Invitation {
    pub(super) fn new(
        (id, secret): ([u8; 8], [u8; 16]),
        root: Fingerprint,
        member: Member,
        address: String,
    ) -> Result<Self, NetError> {
        let plain = |c: char| c.is_ascii_graphic() && c != '/' && c != '@';
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        if !address.chars().all(plain) || address.len() > 253 || !matches!(port, Some(Ok(1..))) {
            return Err(NetError::Use(
                "an address is HOST:PORT, such as coordinator.example.org:8440".to_owned(),
            ));
        }
        Ok(Self {
            id,
            secret: Secret(secret),
            root,
            member,
            address,
        })
    }

    /// The code: letters, digits, `-`, `_` and one dot.
    #[must_use]
    pub fn code(&self) -> zeroize::Zeroizing<String> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(LONGEST));
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.secret.0);
        bytes.extend_from_slice(&self.root.to_bytes());
        let texts = [
            self.member.federation.as_str(),
            self.member.role.as_str(),
            self.member.name.as_str(),
            &self.address,
        ];
        bytes.extend_from_slice(texts.join("/").as_bytes());
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        let mut text = zeroize::Zeroizing::new(String::with_capacity(LONGEST * 2));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }

    /// Proof that whoever sends `request` has the code; it tells nothing of the code and serves no other request (EN-05).
    pub(crate) fn proof(&self, request: &[u8]) -> Vec<u8> {
        prove(&self.secret.0, &self.id, request)
    }
}

/// The proof under an invitation's secret.
fn prove(secret: &[u8], id: &[u8; 8], request: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut mac = hmac::Context::with_key(&key);
    mac.update(PROOF);
    mac.update(id);
    mac.update(request);
    mac.sign().as_ref().to_vec()
}

/// Whether `proof` is right, in constant time (EN-05).
pub(super) fn proven(secret: &[u8], id: &[u8; 8], request: &[u8], proof: &[u8]) -> bool {
    let expected = prove(secret, id, request);
    aws_lc_rs::constant_time::verify_slices_are_equal(&expected, proof).is_ok()
}

/// Four bytes that notice a code cut or mistyped.
fn check(bytes: &[u8]) -> [u8; 4] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = [0; 4];
    out.copy_from_slice(digest.as_ref().get(..4).unwrap_or(&[0; 4]));
    out
}

impl FromStr for Invitation {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let bad = || {
            NetError::Use(
                "this is no invitation code, or not all of it; copy it again as `lepton ca invite` gave it".to_owned(),
            )
        };
        let text = text.trim();
        if text.len() > LONGEST * 2 {
            return Err(bad());
        }
        let digits = text.strip_prefix(PREFIX).ok_or_else(bad)?;
        let bytes = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(digits).map_err(|_| bad())?);
        let (body, sum) = bytes
            .len()
            .checked_sub(4)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or_else(bad)?;
        if check(body) != sum {
            return Err(bad());
        }
        let (fixed, texts) = body.split_at_checked(FIXED).ok_or_else(bad)?;
        let part = |from: usize, to: usize| fixed.get(from..to).ok_or_else(bad);
        let texts = std::str::from_utf8(texts).map_err(|_| bad())?;
        let [federation, role, name, address] =
            <[&str; 4]>::try_from(texts.splitn(4, '/').collect::<Vec<_>>()).map_err(|_| bad())?;
        let member = Member {
            federation: federation.parse::<Name>()?,
            role: role.parse::<Role>()?,
            name: name.parse::<Name>()?,
        };
        let id = part(0, 8)?.try_into().map_err(|_| bad())?;
        let secret = part(8, 24)?.try_into().map_err(|_| bad())?;
        let root = part(24, FIXED)?.try_into().map_err(|_| bad())?;
        let root = Fingerprint::from_bytes(root);
        Self::new((id, secret), root, member, address.to_owned())
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation for {}", self.member)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn invitation() -> Invitation {
        let member = Member {
            federation: "f".parse().unwrap(),
            role: Role::Party,
            name: "hospital-a".parse().unwrap(),
        };
        let root = Fingerprint::from_bytes([3; 32]);
        Invitation::new(([1; 8], [2; 16]), root, member, "[::1]:8440".to_owned()).unwrap()
    }

    #[test]
    fn a_code_comes_back_and_a_changed_one_does_not() {
        let code = invitation().code();
        let back: Invitation = format!(" {}\n", *code).parse().unwrap();
        assert_eq!(back.code(), code);
        assert_eq!(back.address, "[::1]:8440");
        for at in PREFIX.len()..code.len() {
            let mut changed = code.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(
                String::from_utf8(changed)
                    .unwrap()
                    .parse::<Invitation>()
                    .is_err(),
                "at {at}"
            );
            assert!(code[..at].parse::<Invitation>().is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_proof_serves_one_request_of_one_invitation() {
        let proof = invitation().proof(b"request");
        assert!(proven(&[2; 16], &[1; 8], b"request", &proof));
        assert!(!proven(&[2; 16], &[1; 8], b"requesu", &proof));
        assert!(!proven(&[2; 16], &[0; 8], b"request", &proof));
        assert!(!proven(&[3; 16], &[1; 8], b"request", &proof));
        assert!(!proven(&[2; 16], &[1; 8], b"request", &proof[..31]));
        assert!(!proven(&[2; 16], &[1; 8], b"request", &[]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(lepton1[.])?[A-Za-z0-9_-]{0,300}") {
            prop_assert!(text.parse::<Invitation>().is_err());
        }
    }
}
