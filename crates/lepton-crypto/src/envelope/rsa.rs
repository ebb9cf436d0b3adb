//! RSA keys of 3072 and 4096 bits, for OAEP with SHA-256 (EV-12).

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    KeyPair, KeyPairComponents, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use aws_lc_rs::signature::KeyPair as _;
use pkcs1::RsaPrivateKeyRef;
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::Decode;
use zeroize::Zeroizing;

use super::text::{Object, Writer, bytes_of};
use super::{EnvelopeError, entropy};

const BAD: EnvelopeError = EnvelopeError::Key("it is no consistent RSA key");

/// A public key: modulus and exponent, without leading zeros.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublic {
    n: Vec<u8>,
    e: Vec<u8>,
}

/// A private key, as PKCS#8.
pub struct RsaPrivate {
    pkcs8: Zeroizing<Vec<u8>>,
    public: RsaPublic,
}

impl RsaPublic {
    pub(super) fn new(n: &[u8], e: &[u8]) -> Result<Self, EnvelopeError> {
        if n.first() == Some(&0) || e.first() == Some(&0) {
            return Err(EnvelopeError::Key("an RSA number has a leading zero"));
        }
        let bits = 8 * n.len() - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if bits != 3072 && bits != 4096 {
            return Err(EnvelopeError::Key("an RSA key must have 3072 or 4096 bits"));
        }
        if e != [1, 0, 1] {
            return Err(EnvelopeError::Key(
                "the exponent of an RSA key must be 65537",
            ));
        }
        let key = Self {
            n: n.to_vec(),
            e: e.to_vec(),
        };
        key.key()?;
        Ok(key)
    }

    fn components(&self) -> PublicKeyComponents<&[u8]> {
        PublicKeyComponents {
            n: self.n.as_slice(),
            e: self.e.as_slice(),
        }
    }

    fn key(&self) -> Result<PublicEncryptingKey, EnvelopeError> {
        self.components().try_into().map_err(|_| BAD)
    }

    /// The modulus' bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        8 * self.n.len()
    }

    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        entropy::oaep(&self.key()?, plain)
    }

    /// SubjectPublicKeyInfo.
    pub(super) fn spki(&self) -> Result<Vec<u8>, EnvelopeError> {
        let der = self.components().as_der().map_err(|_| BAD)?;
        Ok(der.as_ref().to_vec())
    }

    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, EnvelopeError> {
        let key = pkcs1::RsaPublicKeyRef::from_der(der).map_err(|_| BAD)?;
        Self::new(key.modulus.as_bytes(), key.public_exponent.as_bytes())
    }

    /// The members of RFC 7638 §3.2 in their order.
    pub(super) fn jwk(&self, writer: Writer) -> Writer {
        writer
            .bytes("e", &self.e)
            .text("kty", "RSA")
            .bytes("n", &self.n)
    }

    pub(super) fn from_jwk(jwk: &Object) -> Result<Self, EnvelopeError> {
        let n = bytes_of(jwk, "n", "an RSA key has no `n`")?;
        let e = bytes_of(jwk, "e", "an RSA key has no `e`")?;
        Self::new(&n, &e)
    }
}

impl RsaPrivate {
    pub(super) fn generate(size: KeySize) -> Result<Self, EnvelopeError> {
        Self::from_pkcs8(&entropy::rsa_key(size)?)
    }

    /// From PKCS#8; the library checks that primes and exponents fit each other.
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, EnvelopeError> {
        let pair = KeyPair::from_pkcs8(pkcs8).map_err(|_| BAD)?;
        // RSAPublicKey of RFC 8017 §A.1.1.
        let public = RsaPublic::from_pkcs1(pair.public_key().as_ref())?;
        Ok(Self {
            pkcs8: Zeroizing::new(pkcs8.to_vec()),
            public,
        })
    }

    pub(super) const fn public(&self) -> &RsaPublic {
        &self.public
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(super) fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let key = PrivateDecryptingKey::from_pkcs8(&self.pkcs8).map_err(|_| BAD)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| BAD)?;
        let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut out, None)
            .map_err(|_| EnvelopeError::DoesNotOpen)?
            .len();
        out.truncate(length);
        Ok(out)
    }

    /// Adds the private members of RFC 7518 §6.3.2.
    pub(super) fn private_jwk(&self, writer: Writer) -> Result<Writer, EnvelopeError> {
        let info = PrivateKeyInfoRef::from_der(&self.pkcs8).map_err(|_| BAD)?;
        let key = RsaPrivateKeyRef::from_der(info.private_key.as_bytes()).map_err(|_| BAD)?;
        Ok(writer
            .bytes("d", key.private_exponent.as_bytes())
            .bytes("p", key.prime1.as_bytes())
            .bytes("q", key.prime2.as_bytes())
            .bytes("dp", key.exponent1.as_bytes())
            .bytes("dq", key.exponent2.as_bytes())
            .bytes("qi", key.coefficient.as_bytes()))
    }

    pub(super) fn from_private_jwk(jwk: &Object) -> Result<Self, EnvelopeError> {
        const MISSING: &str = "a private RSA key needs d, p, q, dp, dq and qi";
        let public = RsaPublic::from_jwk(jwk)?;
        let part = |name| bytes_of(jwk, name, MISSING);
        let parts = [
            part("d")?,
            part("p")?,
            part("q")?,
            part("dp")?,
            part("dq")?,
            part("qi")?,
        ];
        let [d, p, q, dp, dq, qi] = parts.each_ref().map(|bytes| bytes.as_slice());
        let components = KeyPairComponents {
            public_key: public.components(),
            d,
            p,
            q,
            dP: dp,
            dQ: dq,
            qInv: qi,
        };
        let pair = KeyPair::from_components(&components).map_err(|_| BAD)?;
        let der = pair.as_der().map_err(|_| BAD)?;
        Self::from_pkcs8(der.as_ref())
    }
}
