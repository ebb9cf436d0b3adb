//! Signatures, other recipients, and keys that are kept track of: `--sign`, `--signer`, `lepton rewrap`, `lepton vault key list|revoke|destroy|escrow`
//! (EV-19 to EV-21, KY-01 to KY-07).

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::{Desk, Done};

/// A desk with signing keys `sign` and `other`, encryption keys `bob` and `carol`, and a passphrase.
fn desk() -> Desk {
    let desk = Desk::small();
    secret(&desk, "pw", b"correct horse\n");
    for (name, kind) in [
        ("sign", "ed25519"),
        ("other", "ed25519"),
        ("bob", "x25519"),
        ("carol", "p256"),
    ] {
        let made = format!(
            "vault key generate --kind {kind} --out {name}.key --public {name}.pem --insecure-plain"
        );
        said(&desk, &made).fine();
    }
    desk
}

fn said(desk: &Desk, arguments: &str) -> Done {
    desk.call(&arguments.split(' ').collect::<Vec<_>>())
}

fn secret(desk: &Desk, name: &str, bytes: &[u8]) {
    desk.write(name, bytes);
    fs::set_permissions(desk.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

fn bytes(desk: &Desk, name: &str) -> Vec<u8> {
    fs::read(desk.path(name)).unwrap()
}

fn plain(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn piped(desk: &Desk, arguments: &str, input: Vec<u8>) -> Output {
    let mut child = desk
        .command(&arguments.split(' ').collect::<Vec<_>>())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || {
        // The command may stop reading.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

fn thumbprint(desk: &Desk, file: &str) -> String {
    let shown = said(desk, &format!("vault key show {file} --json"))
        .fine()
        .json();
    shown[0]["thumbprint"].as_str().unwrap().to_owned()
}

/// EV-19 and EV-20, as a value and as a stream, to files and from pipes.
#[test]
fn signed_envelopes_say_who_made_them() {
    let desk = desk();
    let name = thumbprint(&desk, "sign.pem");
    for length in [5, 65_536 - 50, 3 * 65_536 + 7] {
        desk.write("plain", plain(length));
        let made = said(&desk, "encrypt --recipient bob.pem --recipient carol.pem --sign sign.key --in plain --out sealed --force --json")
            .fine()
            .json();
        assert_eq!(
            (&made["signature"], &made["signer"]),
            (&"good".into(), &name.as_str().into())
        );
        for key in ["bob.key", "carol.key"] {
            let open = format!(
                "decrypt --key-file {key} --signer other.pem --signer sign.pem --in sealed --out back --force --json"
            );
            let opened = said(&desk, &open).fine().json();
            assert_eq!(
                (&opened["signature"], &opened["signer"]),
                (&"good".into(), &name.as_str().into())
            );
            assert!(bytes(&desk, "back") == plain(length), "{length}");
        }
        let unchecked = said(
            &desk,
            "decrypt --key-file bob.key --in sealed --out back --force --json",
        )
        .fine();
        assert_eq!(unchecked.json()["signature"], "unchecked");
        assert!(
            unchecked.stderr.contains("not checked against anybody"),
            "{}",
            unchecked.stderr
        );
        let from_pipe = piped(
            &desk,
            "decrypt --key-file bob.key --signer sign.pem",
            bytes(&desk, "sealed"),
        );
        assert!(from_pipe.status.success() && from_pipe.stdout == plain(length));
        // Somebody else's, and nobody's: nothing is left.
        fs::remove_file(desk.path("back")).unwrap();
        let before = desk.list(".");
        said(
            &desk,
            "decrypt --key-file bob.key --signer other.pem --in sealed --out back",
        )
        .refused(1, &["signed by another key", &name]);
        assert_eq!(desk.list("."), before);
        let told = piped(
            &desk,
            "decrypt --key-file bob.key --signer other.pem",
            bytes(&desk, "sealed"),
        );
        assert_eq!(told.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&told.stderr).contains("Discard what was written"));
        said(
            &desk,
            "encrypt --recipient bob.pem --in plain --out sealed --force",
        )
        .fine();
        said(
            &desk,
            "decrypt --key-file bob.key --signer sign.pem --in sealed --out back",
        )
        .refused(1, &["no signature"]);
        assert_eq!(desk.list("."), before);
    }
}

#[test]
fn other_kinds_of_keys_neither_sign_nor_open() {
    let desk = desk();
    desk.write("plain", b"value");
    said(&desk, "encrypt --recipient sign.pem --in plain --out no")
        .refused(1, &["nothing can be encrypted to it"]);
    said(
        &desk,
        "encrypt --recipient bob.pem --sign carol.key --in plain --out no",
    )
    .refused(2, &["P-256", "ed25519"]);
    said(
        &desk,
        "encrypt --recipient bob.pem --sign sign.pem --in plain --out no",
    )
    .refused(1, &["a private one is needed"]);
    said(&desk, "encrypt --recipient bob.pem --in plain --out sealed").fine();
    said(
        &desk,
        "decrypt --key-file bob.key --signer bob.pem --in sealed --out no",
    )
    .refused(2, &["X25519"]);
    said(&desk, "decrypt --key-file sign.key --in sealed --out no")
        .refused(1, &["other kinds of keys"]);
    assert!(!desk.path("no").exists());
    // A key that signs is kept as others are.
    said(
        &desk,
        "vault key import sign.key --out locked.key --passphrase-file pw",
    )
    .fine();
    said(&desk, "encrypt --recipient bob.pem --sign locked.key --sign-passphrase-file pw --in plain --out signed").fine();
    said(
        &desk,
        "decrypt --key-file bob.key --signer sign.pem --in signed --out back",
    )
    .fine();
    said(
        &desk,
        "vault key export sign.key --format jwk --out sign.jwk",
    )
    .fine();
    assert_eq!(thumbprint(&desk, "sign.jwk"), thumbprint(&desk, "sign.pem"));
    said(
        &desk,
        "decrypt --key-file bob.key --signer sign.jwk --in signed --out back --force",
    )
    .fine();
}

/// EV-21: the file is replaced in one step, its chunks as they were, and stays as it was when anything fails.
#[test]
fn a_file_gets_other_recipients() {
    let desk = desk();
    for length in [9, 3 * 65_536 + 9] {
        desk.write("plain", plain(length));
        said(
            &desk,
            "encrypt --recipient bob.pem --in plain --out sealed --force",
        )
        .fine();
        let old = bytes(&desk, "sealed");
        let before = desk.list(".");
        said(
            &desk,
            "rewrap sealed --key-file carol.key --recipient carol.pem",
        )
        .refused(1, &["does not open"]);
        assert!(bytes(&desk, "sealed") == old && desk.list(".") == before);
        said(&desk, "rewrap sealed --key-file bob.key").refused(2, &["to whom?"]);
        let done = said(
            &desk,
            "rewrap sealed --key-file bob.key --recipient carol.pem --json",
        )
        .fine()
        .json();
        assert_eq!(done["bytes"], length);
        assert_eq!(desk.list("."), before);
        let new = bytes(&desk, "sealed");
        assert!(new != old);
        if length > 65_536 {
            assert!(
                new.ends_with(&old[old.len() - length - 4 * 16..]),
                "the chunks are as they were"
            );
        }
        said(
            &desk,
            "decrypt --key-file carol.key --in sealed --out back --force",
        )
        .fine();
        assert!(bytes(&desk, "back") == plain(length));
        said(&desk, "decrypt --key-file bob.key --in sealed --out no")
            .refused(1, &["does not open"]);
        // To a passphrase and back, beside the envelope.
        said(
            &desk,
            "rewrap sealed --key-file carol.key --to-passphrase-file pw --portable --out second",
        )
        .fine();
        assert!(bytes(&desk, "sealed") == new);
        said(
            &desk,
            "decrypt --passphrase-file pw --in second --out back --force",
        )
        .fine();
        assert!(bytes(&desk, "back") == plain(length));
        said(
            &desk,
            "rewrap second --passphrase-file pw --recipient bob.pem",
        )
        .fine();
        said(
            &desk,
            "decrypt --key-file bob.key --in second --out back --force",
        )
        .fine();
        assert!(bytes(&desk, "back") == plain(length));
        fs::remove_file(desk.path("second")).unwrap();
    }
}

/// Through a link the file that it leads to is replaced, so that no old envelope is left where it was.
#[test]
fn a_link_to_an_envelope_stays_one() {
    let desk = desk();
    desk.write("plain", b"value");
    said(&desk, "encrypt --recipient bob.pem --in plain --out sealed").fine();
    let old = bytes(&desk, "sealed");
    symlink("sealed", desk.path("link")).unwrap();
    said(
        &desk,
        "rewrap link --key-file bob.key --recipient carol.pem",
    )
    .fine();
    let about = desk.path("link").symlink_metadata().unwrap();
    assert!(about.is_symlink() && bytes(&desk, "sealed") != old);
    said(&desk, "decrypt --key-file carol.key --in sealed --out back").fine();
}

#[test]
fn what_is_damaged_or_signed_is_not_rewrapped() {
    let desk = desk();
    desk.write("plain", plain(2 * 65_536));
    said(&desk, "encrypt --recipient bob.pem --in plain --out sealed").fine();
    let good = bytes(&desk, "sealed");
    for cut in [1, 65_552, 65_553] {
        desk.write("sealed", &good[..good.len() - cut]);
        said(
            &desk,
            "rewrap sealed --key-file bob.key --recipient carol.pem",
        )
        .refused(1, &["chunk"]);
        assert_eq!(bytes(&desk, "sealed").len(), good.len() - cut);
    }
    // Rewrapped, then changed by somebody who lacks the key.
    desk.write("sealed", &good);
    said(
        &desk,
        "rewrap sealed --key-file bob.key --recipient carol.pem",
    )
    .fine();
    let mut bad = bytes(&desk, "sealed");
    let last = bad.len() - 1;
    bad[last] ^= 1;
    desk.write("sealed", &bad);
    said(&desk, "decrypt --key-file carol.key --in sealed --out no").refused(1, &["chunk 1"]);
    for length in [5, 65_537] {
        desk.write("plain", plain(length));
        said(
            &desk,
            "encrypt --recipient bob.pem --sign sign.key --in plain --out signed --force",
        )
        .fine();
        let before = bytes(&desk, "signed");
        said(
            &desk,
            "rewrap signed --key-file bob.key --recipient carol.pem",
        )
        .refused(2, &["only its signer"]);
        assert!(bytes(&desk, "signed") == before);
    }
    assert!(!desk.path("no").exists());
}

/// The entry of a file in a list.
fn listed(desk: &Desk, file: &str) -> Value {
    let all = said(desk, "vault key list . --json").fine().json();
    let mut found = all
        .as_array()
        .unwrap()
        .iter()
        .filter(|held| held["file"] == file);
    let one = found
        .next()
        .unwrap_or_else(|| panic!("{file} is not in {all}"))
        .clone();
    assert!(found.next().is_none(), "{file} is there twice");
    one
}

/// KY-01 and KY-06: what a folder holds is told without any passphrase.
#[test]
fn a_folder_of_keys_is_listed() {
    let desk = desk();
    said(
        &desk,
        "vault key generate --kind hybrid --out me.key --public me.jwk --passphrase-file pw",
    )
    .fine();
    said(
        &desk,
        "vault key split me.key --key-passphrase-file pw --threshold 2 --shares 2 --out shares",
    )
    .fine();
    fs::rename(desk.path("shares/share-1.json"), desk.path("share-1.json")).unwrap();
    said(
        &desk,
        "vault key escrow bob.key --to carol.pem --out bob.escrow",
    )
    .fine();
    let me = listed(&desk, "me.key");
    assert_eq!(me["half"], "private");
    assert_eq!(me["encrypted"], true);
    assert_eq!(me["kind"], "X25519 with ML-KEM-768");
    assert_eq!(
        me["thumbprint"].as_str().unwrap(),
        thumbprint(&desk, "me.jwk")
    );
    assert!(me["created"].as_str().unwrap().starts_with("20"));
    assert_eq!(
        listed(&desk, "share-1.json")["thumbprint"],
        me["thumbprint"]
    );
    assert_eq!(listed(&desk, "me.jwk")["state"], "active");
    assert_eq!(listed(&desk, "bob.key")["encrypted"], false);
    assert_eq!(listed(&desk, "bob.escrow")["half"], "escrow");
    let text = said(&desk, "vault key list .").fine().stdout;
    assert!(
        text.contains("bob.key: private X25519, NOT ENCRYPTED, thumbprint"),
        "{text}"
    );
    assert!(
        !text.contains("job.toml") && !text.contains("data.csv"),
        "{text}"
    );
    // The note is believed of the file that it was made for only.
    fs::copy(desk.path("me.key"), desk.path("other.copy")).unwrap();
    said(
        &desk,
        "vault key import bob.key --out locked --passphrase-file pw",
    )
    .fine();
    fs::copy(desk.path("locked"), desk.path("me.key")).unwrap();
    let replaced = listed(&desk, "me.key");
    assert_eq!(
        (&replaced["kind"], &replaced["created"]),
        (&Value::Null, &Value::Null)
    );
}

/// KY-02 to KY-04.
#[test]
fn revoked_keys_are_refused() {
    let desk = desk();
    desk.write("plain", b"value");
    said(
        &desk,
        "encrypt --recipient bob.pem --sign sign.key --in plain --out sealed",
    )
    .fine();
    let revoke = [
        "vault",
        "key",
        "revoke",
        "bob.pem",
        "--sign",
        "other.key",
        "--reason",
        "the laptop was stolen",
    ];
    desk.call(&revoke).fine();
    let to_bob = "encrypt --recipient carol.pem --recipient bob.pem --in plain --out no";
    said(&desk, to_bob).refused(3, &["bob.pem", "revoked at 20", "the laptop was stolen"]);
    said(
        &desk,
        "rewrap sealed --key-file bob.key --recipient bob.pem",
    )
    .refused(3, &["revoked"]);
    said(&desk, "vault key escrow carol.key --to bob.pem --out no").refused(3, &["revoked"]);
    let held = listed(&desk, "bob.pem");
    assert_eq!(
        (&held["state"], held["by"].as_str()),
        (
            &"revoked".into(),
            Some(thumbprint(&desk, "other.pem").as_str())
        )
    );
    // What was encrypted to it still opens.
    said(
        &desk,
        "decrypt --key-file bob.key --signer sign.pem --in sealed --out back",
    )
    .fine();
    let checked = said(&desk, "verify bob.pem.revoked.json --key other.pem").fine();
    assert!(
        checked.stdout.contains("the X25519 key") && checked.stdout.contains("owner"),
        "{}",
        checked.stdout
    );
    said(&desk, "verify bob.pem.revoked.json --key sign.pem --json").code_is(1);
}

/// KY-04: a statement that lies elsewhere is given by hand. A second one is not written over the first.
#[test]
fn a_revocation_is_given_by_hand() {
    let desk = desk();
    desk.write("plain", b"value");
    said(&desk, "vault key revoke bob.pem --sign other.key").fine();
    fs::rename(desk.path("bob.pem.revoked.json"), desk.path("told.json")).unwrap();
    said(
        &desk,
        "encrypt --recipient bob.pem --in plain --out sealed2",
    )
    .fine();
    said(
        &desk,
        "encrypt --recipient bob.pem --revoked told.json --in plain --out no",
    )
    .refused(3, &["revoked"]);
    said(
        &desk,
        "encrypt --recipient carol.pem --revoked told.json --in plain --out sealed3",
    )
    .fine();
    said(
        &desk,
        "vault key revoke carol.pem --sign sign.key --out told.json",
    )
    .refused(2, &["exists"]);
}

/// KY-04: changed, of another key, or none at all: never passed over.
#[test]
fn an_unsound_revocation_is_never_passed_over() {
    let desk = desk();
    desk.write("plain", b"value");
    said(
        &desk,
        "vault key revoke bob.pem --sign other.key --reason stolen --out told.json",
    )
    .fine();
    let to_bob = "encrypt --recipient carol.pem --recipient bob.pem --in plain --out no";
    let text = desk.read("told.json");
    for (bad, why) in [
        (text.replace("stolen", "sold"), "does not hold"),
        (text.replace("revocation", "blessing"), "type"),
        ("{}".to_owned(), "no sound revocation"),
    ] {
        desk.write("bob.pem.revoked.json", &bad);
        said(&desk, to_bob).refused(1, &["bob.pem.revoked.json", why]);
        said(
            &desk,
            "encrypt --recipient carol.pem --revoked bob.pem.revoked.json --in plain --out no",
        )
        .refused(1, &[why]);
        assert_eq!(listed(&desk, "bob.pem")["state"], "unclear", "{why}");
    }
    desk.write("bob.pem.revoked.json", text.replace("stolen", "sold"));
    said(&desk, "verify bob.pem.revoked.json").code_is(1);
    desk.write("carol.pem.revoked.json", &text);
    said(&desk, "encrypt --recipient carol.pem --in plain --out no")
        .refused(1, &["carol.pem.revoked.json", "find out"]);
    assert!(!desk.path("no").exists());
}

/// A signer's key that says of itself that it is not to be used any more.
#[test]
fn a_key_revokes_itself() {
    let desk = desk();
    desk.write("plain", b"value");
    said(
        &desk,
        "encrypt --recipient bob.pem --sign sign.key --in plain --out sealed",
    )
    .fine();
    said(&desk, "vault key revoke sign.pem --sign sign.key").fine();
    said(
        &desk,
        "decrypt --key-file bob.key --signer sign.pem --in sealed --out no",
    )
    .refused(3, &["sign.pem", "revoked"]);
    let checked = said(&desk, "verify sign.pem.revoked.json --key sign.pem --json")
        .fine()
        .json();
    assert_eq!(checked["signers"][0]["role"], "key");
    assert_eq!(checked["authenticated"], true);
    assert!(!desk.path("no").exists());
}

/// KY-05: the file is gone, also from under another name of it, and the certificate holds.
#[test]
fn a_key_is_destroyed_with_a_certificate() {
    let desk = desk();
    let name = thumbprint(&desk, "bob.pem");
    let old = bytes(&desk, "bob.key");
    fs::hard_link(desk.path("bob.key"), desk.path("link.key")).unwrap();
    said(&desk, "vault key destroy bob.key --sign sign.key").refused(2, &["--yes"]);
    desk.write("bob.key.destroyed.json", b"somebody's");
    said(&desk, "vault key destroy bob.key --sign sign.key --yes").refused(2, &["exists"]);
    assert!(bytes(&desk, "bob.key") == old);
    fs::remove_file(desk.path("bob.key.destroyed.json")).unwrap();
    symlink("bob.key", desk.path("soft.key")).unwrap();
    said(&desk, "vault key destroy soft.key --sign sign.key --yes")
        .refused(2, &["the key's file itself"]);
    let done = said(&desk, "vault key destroy bob.key --sign sign.key --yes").fine();
    assert!(done.stdout.contains("solid-state disks"), "{}", done.stdout);
    assert!(!desk.path("bob.key").exists());
    let left = bytes(&desk, "link.key");
    assert!(
        left.len() == old.len() && left != old,
        "overwritten, not only removed"
    );
    let checked = said(&desk, "verify bob.key.destroyed.json --key sign.pem")
        .fine()
        .stdout;
    for told in [name.as_str(), "was destroyed at 20", "does not reach"] {
        assert!(checked.contains(told), "{checked}");
    }
    let gone = listed(&desk, "bob.key");
    assert_eq!(
        (&gone["half"], &gone["state"]),
        (&"gone".into(), &"destroyed".into())
    );
    assert_eq!(listed(&desk, "bob.pem")["state"], "destroyed");
    for (from, to) in [
        ("bob.key\"", "eve.key\""),
        ("destroyed\": \"20", "destroyed\": \"19"),
    ] {
        let text = desk.read("bob.key.destroyed.json");
        assert!(text.contains(from));
        desk.write("changed.json", text.replace(from, to));
        said(&desk, "verify changed.json --json").code_is(1);
    }
    said(
        &desk,
        "encrypt --recipient carol.pem --revoked changed.json --in data.csv --out no",
    )
    .refused(1, &["certificate of destruction"]);
    // Encrypted, and its passphrase lost.
    said(
        &desk,
        "vault key generate --kind aes-256 --out lost.key --passphrase-file pw",
    )
    .fine();
    said(&desk, "vault key destroy lost.key --sign sign.key --yes").fine();
    let certificate: Value = desk.json("lost.key.destroyed.json");
    assert_eq!(certificate["body"]["thumbprint"], Value::Null);
    assert!(!desk.path("lost.key").exists());
    desk.write("data.key", b"no key at all");
    fs::set_permissions(desk.path("data.key"), fs::Permissions::from_mode(0o600)).unwrap();
    said(&desk, "vault key destroy data.key --sign sign.key --yes").refused(1, &["data.key"]);
    assert_eq!(bytes(&desk, "data.key"), b"no key at all");
}

/// KY-07.
#[test]
fn a_custodian_recovers_a_key_from_escrow() {
    let desk = desk();
    said(
        &desk,
        "vault key escrow bob.key --to carol.pem --out bob.escrow",
    )
    .fine();
    said(&desk, "vault key recover --escrow bob.escrow --custodian-key carol.key --out again.key --insecure-plain").fine();
    assert_eq!(bytes(&desk, "again.key"), bytes(&desk, "bob.key"));
    // It is nothing else, and nothing else is it.
    said(
        &desk,
        "decrypt --key-file carol.key --in bob.escrow --out no",
    )
    .refused(1, &["escrow"]);
    said(
        &desk,
        "encrypt --recipient carol.pem --in bob.key --out value",
    )
    .fine();
    said(
        &desk,
        "vault key recover --escrow value --custodian-key carol.key --out no --insecure-plain",
    )
    .refused(1, &["no key in escrow"]);
    said(
        &desk,
        "vault key recover --escrow bob.escrow --custodian-key bob.key --out no --insecure-plain",
    )
    .refused(1, &["does not open"]);
    said(&desk, "vault key escrow bob.key --to sign.pem --out no")
        .refused(1, &["nothing can be encrypted"]);
    let mut bad = bytes(&desk, "bob.escrow");
    let middle = bad.len() * 3 / 4;
    bad[middle] = if bad[middle] == b'A' { b'B' } else { b'A' };
    desk.write("bad.escrow", bad);
    said(
        &desk,
        "vault key recover --escrow bad.escrow --custodian-key carol.key --out no --insecure-plain",
    )
    .refused(1, &["does not open"]);
    let missing = said(&desk, "vault key recover --out no --insecure-plain");
    assert_eq!(missing.code, Some(2));
    assert!(!desk.path("no").exists());
}
