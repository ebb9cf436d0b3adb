//! A key on a PKCS#11 token as a root (rule VA-02). The module is loaded when it is named, not linked.

use std::collections::BTreeMap;
use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use lepton_crypto::{Seed, Zeroizing, hash};

use crate::error::VaultError;
use crate::key::{Sealed, framed, hex, random, unhex};
use crate::root::{RootOfTrust, Slot};

const PROVIDER: &str = "pkcs11";
const TAG_BITS: u64 = 128;

/// An AES key that never leaves its token: it encrypts and decrypts slot keys there, by AES-GCM under random nonces, once for each slot that is made.
pub struct TokenKey {
    session: Session,
    key: ObjectHandle,
    about: BTreeMap<String, String>,
}

impl TokenKey {
    /// Logs in to the token with this label and finds the AES key with that label.
    ///
    /// # Errors
    /// [`VaultError::Use`] when module, token, PIN or key are not there or not right.
    pub fn open(
        module: &Path,
        (token, key): (&str, &str),
        pin: &Zeroizing<String>,
    ) -> Result<Self, VaultError> {
        let bad = |error: Error| failed(module, token, &error);
        let context = Pkcs11::new(module).map_err(bad)?;
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match context.initialize(arguments) {
            // By another vault in this program.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(bad(error)),
        }
        let slots = context.get_slots_with_token().map_err(bad)?;
        let labelled = slots.into_iter().find(|slot| {
            let info = context.get_token_info(*slot);
            info.is_ok_and(|info| info.label().trim_end() == token)
        });
        let slot = labelled.ok_or_else(|| absent(module, "token", token))?;
        let session = context.open_ro_session(slot).map_err(bad)?;
        let pin = AuthPin::new(pin.as_str().into());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(bad(error)),
        }
        let wanted = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Label(key.as_bytes().to_vec()),
        ];
        let found = session.find_objects(&wanted).map_err(bad)?;
        let [found] = found.as_slice() else {
            return Err(absent(module, "single AES key", key));
        };
        let id = hash(
            "lepton vault token key",
            &[token.as_bytes(), key.as_bytes()],
        );
        let about = [
            ("id", id.to_string()),
            ("token", token.to_owned()),
            ("key", key.to_owned()),
        ];
        Ok(Self {
            key: *found,
            session,
            about: about.map(|(name, value)| (name.to_owned(), value)).into(),
        })
    }
}

impl RootOfTrust for TokenKey {
    fn wrap(&self, vault: &str, key: &Seed) -> Result<Slot, VaultError> {
        let mut nonce = *random::<12>()?;
        let mut about = self.about.clone();
        about.insert("nonce".to_owned(), hex(&nonce));
        let bound = framed(&["root slot", vault, PROVIDER]);
        let parameters = GcmParams::new(&mut nonce, &bound, TAG_BITS.into()).map_err(refused)?;
        let mechanism = Mechanism::AesGcm(parameters);
        let sealed = self.session.encrypt(&mechanism, self.key, key.as_bytes());
        Ok(Slot {
            provider: PROVIDER.to_owned(),
            about,
            sealed: Sealed::of(&sealed.map_err(refused)?),
        })
    }

    fn unwrap(&self, vault: &str, slot: &Slot) -> Result<Option<Seed>, VaultError> {
        let named = |name: &str| slot.about.get(name) == self.about.get(name);
        let nonce = slot.about.get("nonce").and_then(|text| unhex::<12>(text));
        let (Some(mut nonce), Some(sealed)) = (nonce, slot.sealed.bytes()) else {
            return Ok(None);
        };
        if slot.provider != PROVIDER || !named("id") {
            return Ok(None);
        }
        let bound = framed(&["root slot", vault, PROVIDER]);
        let parameters = GcmParams::new(nonce.as_mut(), &bound, TAG_BITS.into());
        let mechanism = Mechanism::AesGcm(parameters.map_err(refused)?);
        // Another key under the same label decrypts nothing: that is no fault of the token.
        let opened = self.session.decrypt(&mechanism, self.key, &sealed);
        let opened = opened.ok().map(Zeroizing::new);
        Ok(opened.and_then(|bytes| Seed::try_from(bytes.as_slice()).ok()))
    }
}

fn refused(error: Error) -> VaultError {
    VaultError::Use(format!(
        "the token refused to encrypt with AES-GCM ({error}); take a key that may encrypt and decrypt, on a token that knows CKM_AES_GCM"
    ))
}

fn failed(module: &Path, token: &str, error: &Error) -> VaultError {
    VaultError::Use(format!(
        "{}: token {token:?} cannot be used ({error}); check module, token and PIN",
        module.display()
    ))
}

fn absent(module: &Path, what: &str, label: &str) -> VaultError {
    VaultError::Use(format!(
        "{}: there is no {what} with the label {label:?}; check the label, or make it with the token's own tools",
        module.display()
    ))
}
