//! The member's identity key on its own disk (EN-01): made there, never sent.

use std::fs;
use std::path::Path;

use lepton_crypto::{IdentityKey, IdentityPublic, Seed};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use crate::files::{Durability, replace};
use crate::net::NetError;
use crate::random::Entropy;

/// A PKCS#8 v1 `PrivateKeyInfo` of an Ed25519 key up to the 32 bytes of the seed (RFC 8410, section 7).
const PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// An identity key as a file of mode 0600 holds it.
pub struct IdentityFile {
    seed: Zeroizing<[u8; 32]>,
}

impl IdentityFile {
    /// Makes a key and writes it, readable by its owner only.
    ///
    /// # Errors
    /// [`NetError`] when there is such a file already, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, NetError> {
        if path.exists() {
            return Err(NetError::Use(format!(
                "{} exists already; an identity is made once (move it away to make another)",
                path.display()
            )));
        }
        let mut rng = Entropy::System
            .generator("identity", 0)
            .map_err(|error| NetError::File(Box::new(error.into())))?;
        let mut seed = Zeroizing::new([0; 32]);
        rand_core::Rng::fill_bytes(&mut rng, seed.as_mut());
        crate::random::ratchet(&mut rng);
        let key = Self { seed };
        replace(path, key.to_pem().as_bytes(), Durability::Machine)
            .map_err(|error| NetError::file(path, &error))?;
        Ok(key)
    }

    /// Reads a key; refuses a file that others may read.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn open(path: &Path) -> Result<Self, NetError> {
        only_owner(path)?;
        let text = fs::read_to_string(path).map_err(|error| NetError::file(path, &error))?;
        Self::from_pem(&Zeroizing::new(text))
            .map_err(|problem| NetError::Use(format!("{}: {problem}", path.display())))
    }

    /// The key for frames, approvals and key agreement.
    #[must_use]
    pub fn identity(&self) -> IdentityKey {
        IdentityKey::from_seed(Seed::from_bytes(*self.seed))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> IdentityPublic {
        self.identity().public()
    }

    /// The private key as PKCS#8, for TLS and signing requests.
    pub(crate) fn to_der(&self) -> PrivatePkcs8KeyDer<'static> {
        let mut der = Vec::with_capacity(48);
        der.extend_from_slice(&PREFIX);
        der.extend_from_slice(self.seed.as_ref());
        der.into()
    }

    fn to_pem(&self) -> Zeroizing<String> {
        let mut block = pem::Pem::new("PRIVATE KEY", self.to_der().secret_pkcs8_der());
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let text = pem::encode_config(&block, config);
        std::mem::replace(&mut block, pem::Pem::new("", Vec::new()))
            .into_contents()
            .zeroize();
        Zeroizing::new(text)
    }

    pub(super) fn from_pem(text: &str) -> Result<Self, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .map_err(|error| format!("no PEM private key ({error:?})"))?;
        let seed = der
            .secret_pkcs8_der()
            .strip_prefix(&PREFIX)
            .and_then(|seed| seed.try_into().ok());
        seed.map(|seed| Self {
            seed: Zeroizing::new(seed),
        })
        .ok_or_else(|| "not an Ed25519 key in PKCS#8 as Lepton writes it".to_owned())
    }
}

/// Refuses a secret that other users may read.
pub(crate) fn only_owner(path: &Path) -> Result<(), NetError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let meta = fs::metadata(path).map_err(|error| NetError::file(path, &error))?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(NetError::Use(format!(
                "{} holds a secret that others on this machine may read; chmod 600 it",
                path.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410, section 10.3: the private key and (10.1) its public key.
    #[test]
    fn rfc_8410() {
        let text = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let key = IdentityFile::from_pem(text).unwrap();
        assert_eq!(
            key.public().to_string(),
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        );
        assert_eq!(key.to_pem().as_str(), text);
    }

    #[test]
    fn keeps_others_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let made = IdentityFile::create(&path).unwrap();
        assert!(IdentityFile::create(&path).is_err());
        assert_eq!(IdentityFile::open(&path).unwrap().public(), made.public());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(IdentityFile::open(&path).is_err());
        }
    }
}
