//! `lepton ca`, `lepton party` and `lepton coordinator` (EN-01 to EN-07).

use std::sync::Arc;

use lepton_node::net::pki::{Authority, MemberFolder};
use lepton_node::net::{Credentials, EnrolConfig, Limits, ListenConfig, Listener};

use crate::support::{Desk, Done};

const INIT: [&str; 5] = ["ca", "init", "ca", "--federation", "trial"];
const PARTY: [&str; 4] = ["--role", "party", "--name", "a"];

#[test]
fn a_request_is_approved_listed_renewed_and_revoked() {
    let desk = Desk::small();
    desk.call(&INIT).fine();
    desk.call(&INIT).refused(2, &[]);
    let said = desk
        .call(&["party", "init", "a", "--federation", "trial", "--name", "a"])
        .fine();
    let key = MemberFolder::open(&desk.path("a"))
        .unwrap()
        .key()
        .unwrap()
        .public()
        .to_string();
    assert!(said.stdout.contains(&key));
    desk.call(&["party", "init", "a", "--federation", "trial", "--name", "a"])
        .refused(2, &[]);
    let approve = ["ca", "approve", "ca", "a/request.csr.pem", "--out", "a.pem"];
    assert!(desk.call(&approve).fine().stderr.contains(&key));
    desk.call(&["party", "init", "a", "--accept", "a.pem"])
        .fine();
    desk.call(&["coordinator", "init", "hub", "--name", "hub", "--ca", "ca"])
        .fine();
    let listed = desk.call(&["ca", "list", "ca", "--json"]).fine().json();
    assert_eq!(listed["members"][0]["key"], key.as_str());
    assert_eq!(listed["members"][1]["role"], "coordinator");
    let with = |verb: &'static str| [["ca", verb, "ca"].as_slice(), &PARTY].concat();
    desk.call(&[with("renew").as_slice(), &["--out", "next.pem"]].concat())
        .fine();
    desk.call(&["party", "init", "a", "--accept", "next.pem"])
        .fine();
    desk.call(&with("revoke")).fine();
    desk.call(&with("renew")).refused(3, &[]);
    desk.call(&approve).refused(3, &[]);
    assert!(
        desk.call(&["ca", "list", "ca"])
            .fine()
            .stdout
            .contains("revoked")
    );
    // Nobody else's secrets are used.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for (file, command) in [
            ("ca/ca.key.pem", ["ca", "list", "ca"].as_slice()),
            (
                "a/identity.key.pem",
                &["party", "init", "a", "--accept", "next.pem"],
            ),
        ] {
            let path = desk.path(file);
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            desk.call(command).refused(2, &[]);
        }
    }
}

/// 64 hexadecimal digits after `before`.
fn digits(text: &str, before: &str) -> String {
    let (_, rest) = text.split_once(before).expect(before);
    let digits: String = rest.chars().take(64).collect();
    assert!(digits.chars().all(|c| "0123456789abcdef".contains(c)) && digits.len() == 64);
    digits
}

/// What the root's fingerprint is printed after.
const ROOT: &str = "root is ";

/// Two authorities of one name, with their roots, and a request with its key.
fn two_authorities() -> (Desk, [String; 2], String) {
    let desk = Desk::small();
    let other = ["ca", "init", "other", "--federation", "trial"];
    let roots = [INIT, other].map(|init| digits(&desk.call(&init).fine().stdout, ROOT));
    assert!(roots[0] != roots[1]);
    let init = ["party", "init", "a", "--federation", "trial", "--name", "a"];
    let said = desk.call(&init).fine().stdout;
    (desk, roots, digits(&said, "The key of party a is "))
}

fn approve(desk: &Desk, ca: &str, key: &str) -> Done {
    let (request, out) = ("a/request.csr.pem", format!("{ca}.pem"));
    desk.call(&["ca", "approve", ca, request, "--key", key, "--out", &out])
}

/// The authority states the key that the member told it (EN-03).
#[test]
fn a_request_over_another_key_is_refused() {
    let (desk, [root, _], key) = two_authorities();
    approve(&desk, "ca", &root).refused(3, &["not the expected one", &key]);
    approve(&desk, "ca", "12").refused(2, &[]);
    let listed = || desk.call(&["ca", "list", "ca", "--json"]).fine().json();
    assert_eq!(listed()["members"], serde_json::json!([]));
    let said = approve(&desk, "ca", &key).fine().stderr;
    assert!(said.contains(&format!("its key is {key}, as expected")));
    assert_eq!(digits(&said, ROOT), root);
    assert_eq!(listed()["members"][0]["key"], key.as_str());
    assert_eq!(listed()["root"], root.as_str());
}

/// The member states the root that the authority told it: somebody on the way put another root and its certificate into the answer (EN-03).
#[test]
fn an_answer_under_another_root_is_refused() {
    let (desk, [root, other], key) = two_authorities();
    approve(&desk, "ca", &key).fine();
    approve(&desk, "other", &key).fine();
    let accept = |answer: &str, root: &str| {
        desk.call(&["party", "init", "a", "--accept", answer, "--root", root])
    };
    let before = desk.list("a");
    accept("other.pem", &root).refused(1, &["not the expected one", &other]);
    accept("ca.pem", &other).refused(1, &["not the expected one", &root]);
    accept("ca.pem", &root[1..]).refused(2, &["64 hexadecimal digits"]);
    // Nor with the other ways of enrolling.
    for way in [["--invitation", "code"], ["--role", "auditor"]] {
        let init = ["party", "init", "b", "--root", &root];
        desk.call(&[init.as_slice(), &way].concat())
            .refused(2, &["--root goes with --accept"]);
    }
    assert_eq!(desk.list("a"), before, "nothing is installed");
    // As other tools print it.
    let capitals = root.to_uppercase().into_bytes();
    let pairs: Vec<_> = capitals.chunks(2).map(String::from_utf8_lossy).collect();
    let said = accept("ca.pem", &pairs.join(":")).fine();
    assert_eq!(digits(&said.stdout, ROOT), root);
    assert_eq!(digits(&said.stdout, "Its key is "), key);
    assert!(!said.stderr.contains("Compare"));
}

/// Who states nothing is shown what to compare.
#[test]
fn without_a_stated_root_it_is_printed() {
    let (desk, [root, _], key) = two_authorities();
    approve(&desk, "ca", &key).fine();
    let said = desk
        .call(&["party", "init", "a", "--accept", "ca.pem"])
        .fine();
    assert_eq!(digits(&said.stdout, ROOT), root);
    assert!(said.stderr.contains("Compare the root's fingerprint"));
    let hub = ["coordinator", "init", "hub", "--name", "hub", "--ca", "ca"];
    let said = desk.call(&hub).fine();
    assert_eq!(digits(&said.stdout, ROOT), root);
    digits(&said.stdout, "Its key is ");
}

#[test]
fn an_invitation_is_redeemed_in_one_step() {
    let desk = Desk::small();
    desk.call(&INIT).fine();
    desk.call(&["coordinator", "init", "hub", "--name", "hub", "--ca", "ca"])
        .fine();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hub = MemberFolder::open(&desk.path("hub")).unwrap();
    let config = ListenConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        credentials: Credentials::open(&hub).unwrap(),
        limits: Limits::default(),
        enrolment: Some(EnrolConfig {
            registrar: Arc::new(Authority::open(&desk.path("ca")).unwrap()),
        }),
        observer: None,
    };
    let listener = runtime.block_on(Listener::bind(config)).unwrap();
    let address = listener.address().to_string();
    let mut invite = [["ca", "invite", "ca"].as_slice(), &PARTY].concat();
    invite.extend(["--address", &address, "--out", "code"]);
    let given = desk.call(&invite).fine();
    let code = desk.read("code");
    assert!(!given.stdout.contains(code.trim()) && !given.stderr.contains(code.trim()));
    let redeem = ["party", "init", "a", "--invitation", "code"];
    let said = desk.call(&redeem).fine();
    assert!(said.stdout.contains("party a of trial is enrolled"));
    desk.call(&redeem).fine();
    desk.call(&["party", "init", "b", "--invitation", "code"])
        .refused(3, &[]);
    desk.write("cut", &code[..code.len() / 2]);
    desk.call(&["party", "init", "c", "--invitation", "cut"])
        .refused(2, &[]);
    drop((listener, runtime));
}
