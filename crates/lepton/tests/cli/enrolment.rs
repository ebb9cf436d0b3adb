//! `lepton ca`, `lepton party` and `lepton coordinator` (EN-01 to EN-07).

use std::sync::Arc;

use lepton_node::net::pki::{Authority, MemberFolder};
use lepton_node::net::{Credentials, EnrolConfig, Limits, ListenConfig, Listener};

use crate::support::Desk;

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
