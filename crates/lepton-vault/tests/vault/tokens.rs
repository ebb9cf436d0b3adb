//! A root on a PKCS#11 token: SoftHSM2, where `LEPTON_TEST_SOFTHSM` names its module; `./test` installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use lepton_crypto::Zeroizing;
use lepton_vault::{Scan, SealedTable, TokenKey, Vault};

use crate::desk::{WHEN, table};

const CHILD: &str = "LEPTON_VAULT_TEST_TOKEN";
const PIN: &str = "123456";

/// SoftHSM2 reads where its tokens are from the environment: the test is a process of its own.
#[test]
fn a_token_opens_its_vault() {
    let Ok(module) = std::env::var("LEPTON_TEST_SOFTHSM") else {
        eprintln!("PKCS#11: not run, LEPTON_TEST_SOFTHSM is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (tokens, settings) = (
        folder.path().join("tokens"),
        folder.path().join("softhsm2.conf"),
    );
    std::fs::create_dir(&tokens).unwrap();
    std::fs::write(
        &settings,
        format!("directories.tokendir = {}\n", tokens.display()),
    )
    .unwrap();
    let made = Command::new("softhsm2-util")
        .args([
            "--init-token",
            "--free",
            "--label",
            "owner",
            "--so-pin",
            "0000",
            "--pin",
            PIN,
        ])
        .env("SOFTHSM2_CONF", &settings)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tokens::child"])
        .env("SOFTHSM2_CONF", &settings)
        .env(CHILD, format!("{module}|{}", folder.path().display()))
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
}

/// Not a test of its own. `MODULE|FOLDER`.
#[test]
fn child() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let (module, folder) = order.split_once('|').unwrap();
    let (module, folder) = (Path::new(module), PathBuf::from(folder));
    make_keys(module);
    let pin = Zeroizing::new(PIN.to_owned());
    let open = |key: &str| TokenKey::open(module, ("owner", key), &pin);
    let root = open("vault").unwrap();
    let at = folder.join("vault");
    let mut vault = Vault::init(&at, &root).unwrap();
    vault.seal("churn", &table(5), WHEN, None).unwrap();
    vault.rotate(&root).unwrap();
    drop((vault, root));
    let rows = |key: &str| {
        let sealed = SealedTable::open(&at.join("churn"), &open(key).unwrap(), None)?;
        sealed.read(&Scan::default())
    };
    assert_eq!(rows("vault").unwrap().batch(), table(5).batch());
    assert!(rows("other").is_err());
    assert!(open("nobody").is_err());
    assert!(TokenKey::open(module, ("elsewhere", "vault"), &pin).is_err());
    // The slot's own words do not make another key fit.
    let catalog = at.join("vault.json");
    let text = std::fs::read_to_string(&catalog).unwrap();
    std::fs::write(
        &catalog,
        text.replace("\"provider\":\"pkcs11\"", "\"provider\":\"key-file\""),
    )
    .unwrap();
    assert!(rows("vault").is_err());
}

/// Two AES keys that never leave the token.
fn make_keys(module: &Path) {
    let context = Pkcs11::new(module).unwrap();
    context
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .unwrap();
    let slot = context.get_slots_with_initialized_token().unwrap()[0];
    let session = context.open_rw_session(slot).unwrap();
    session
        .login(UserType::User, Some(&AuthPin::new(PIN.into())))
        .unwrap();
    for label in ["vault", "other"] {
        let about = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(32.into()),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &about).unwrap();
    }
}
