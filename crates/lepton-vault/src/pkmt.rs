//! Key material in the metadata of a Parquet file: `PKMT1` (rules VA-06, VA-15).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lepton_crypto::{Seed, Zeroizing};
use serde::{Deserialize, Serialize};

use crate::catalog::internal;
use crate::error::VaultError;

/// A data key, wrapped; the names of the fields are the format's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Material {
    key_material_type: String,
    #[serde(default)]
    internal_storage: bool,
    #[serde(default)]
    is_footer_key: bool,
    #[serde(rename = "kmsInstanceID", skip_serializing_if = "Option::is_none")]
    kms_instance_id: Option<String>,
    #[serde(rename = "kmsInstanceURL", skip_serializing_if = "Option::is_none")]
    kms_instance_url: Option<String>,
    #[serde(rename = "masterKeyID")]
    pub(crate) master_key_id: String,
    #[serde(rename = "wrappedDEK")]
    pub(crate) wrapped_dek: String,
    pub(crate) double_wrapping: bool,
    #[serde(
        rename = "keyEncryptionKeyID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) kek_id: Option<String>,
    #[serde(
        rename = "wrappedKEK",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) wrapped_kek: Option<String>,
}

impl Material {
    /// The only data key that `master` ever wraps, for a file of ours.
    pub(crate) fn single(name: String, footer: bool, master: &Seed, data_key: &Seed) -> Self {
        // The master key was made for this one wrapping: the zero nonce never repeats under it.
        let sealed = lepton_crypto::seal(master, name.as_bytes(), data_key.as_bytes());
        Self {
            key_material_type: "PKMT1".to_owned(),
            internal_storage: true,
            is_footer_key: footer,
            kms_instance_id: footer.then(|| "lepton".to_owned()),
            kms_instance_url: footer.then(|| "DEFAULT".to_owned()),
            wrapped_dek: STANDARD.encode([[0; 12].as_slice(), &sealed].concat()),
            master_key_id: name,
            double_wrapping: false,
            kek_id: None,
            wrapped_kek: None,
        }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, VaultError> {
        serde_json::to_vec(self).map_err(internal)
    }

    /// `None` when these bytes are no such document with the key inside.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let found: Self = serde_json::from_slice(bytes).ok()?;
        (found.key_material_type == "PKMT1" && found.internal_storage).then_some(found)
    }

    /// The data key, by the master key.
    pub(crate) fn unwrap(&self, master: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if !self.double_wrapping {
            return gcm_open(master, self.master_key_id.as_bytes(), &self.wrapped_dek);
        }
        let kek_id = self.kek_id.as_deref()?;
        let wrapped = self.wrapped_kek.as_deref()?;
        let kek = gcm_open(master, self.master_key_id.as_bytes(), wrapped)?;
        // The key tools bind a data key to the decoded name of the key that wraps it.
        gcm_open(&kek, &STANDARD.decode(kek_id).ok()?, &self.wrapped_dek)
    }
}

/// Opens base64 of nonce, ciphertext and tag of AES-GCM under a key of 16, 24 or 32 bytes.
fn gcm_open(key: &[u8], aad: &[u8], wrapped: &str) -> Option<Zeroizing<Vec<u8>>> {
    use aws_lc_rs::aead::{
        AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey,
    };
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        24 => &AES_192_GCM,
        32 => &AES_256_GCM,
        _ => return None,
    };
    let bytes = STANDARD.decode(wrapped).ok()?;
    let (nonce, sealed) = bytes.split_at_checked(12)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let cipher = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
    let length = cipher
        .open_in_place(nonce, Aad::from(aad), &mut buffer)
        .ok()?
        .len();
    buffer.truncate(length);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::fresh;

    #[test]
    fn unwraps_with_its_master_and_name_only() {
        let (master, data) = (fresh().unwrap(), fresh().unwrap());
        let made = Material::single("lepton:v:t:1:c1".to_owned(), false, &master, &data);
        let mut read = Material::read(&made.to_bytes().unwrap()).unwrap();
        let found = read.unwrap(master.as_bytes()).unwrap();
        assert_eq!(found.as_slice(), data.as_bytes());
        assert!(read.unwrap(fresh().unwrap().as_bytes()).is_none());
        assert!(read.unwrap(&[1; 15]).is_none());
        read.master_key_id = "lepton:v:t:1:c2".to_owned();
        assert!(read.unwrap(master.as_bytes()).is_none());
        assert!(Material::read(b"{}").is_none());
    }
}
