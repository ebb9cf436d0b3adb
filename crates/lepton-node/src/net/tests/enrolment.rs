//! Invitations over the network (EN-04, EN-05).

use super::federation::{Federation, dial, message, name};
use crate::net::pki::{Invitation, Member, MemberFolder, Role};
use crate::net::{Credentials, Listener, NetError, redeem};

fn invite(federation: &Federation, listener: &Listener, member: &str) -> Invitation {
    let address = listener.address().to_string();
    federation
        .authority
        .invite(Role::Party, &name(member), &address, 1)
        .unwrap()
}

fn refusal(result: Result<crate::net::pki::Leaf, NetError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn an_invitation_makes_one_member() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let invitation = invite(&federation, &listener, "a");
    let code: Invitation = invitation.code().parse().unwrap();
    let folder = federation.applicant(Role::Party, "a");
    redeem(&code, &folder, None).await.unwrap();
    // A lost answer: the same key asks again.
    redeem(&code, &folder, None).await.unwrap();
    let link = dial(&listener, Credentials::open(&folder).unwrap());
    let mut peer = listener.accept().await.unwrap();
    link.send("in").await.unwrap();
    assert_eq!(message(&mut peer.link).await, b"in");
    // Another key with the same code.
    let path = federation.folder.path().join("thief");
    let thief = MemberFolder::create(&path, folder.member().clone(), None).unwrap();
    assert!(refusal(redeem(&code, &thief, None).await).contains("not good"));
}

#[tokio::test]
async fn an_invitation_is_for_its_member_its_time_and_its_root() {
    let federation = Federation::new();
    let listener = federation.listen().await;
    let folder = federation.applicant(Role::Party, "a");
    // For somebody else.
    let for_b = invite(&federation, &listener, "b");
    assert!(refusal(redeem(&for_b, &folder, None).await).contains("not good"));
    // Replaced by a newer one.
    let old = invite(&federation, &listener, "a");
    let new = invite(&federation, &listener, "a");
    assert!(refusal(redeem(&old, &folder, None).await).contains("not good"));
    // Expired.
    let path = federation.folder.path().join("ca/members.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    for invited in state["invitations"].as_array_mut().unwrap() {
        invited["expires"] = 1_000_000_000.into();
    }
    let expired = state.to_string();
    std::fs::write(&path, expired).unwrap();
    assert!(refusal(redeem(&new, &folder, None).await).contains("not good"));
    std::fs::write(&path, text).unwrap();
    // At a listener of another root: not even asked.
    let other = Federation::new();
    let elsewhere = other.listen().await;
    let led_astray = invite(&federation, &elsewhere, "a");
    assert!(refusal(redeem(&led_astray, &folder, None).await).contains("root"));
    assert!(
        other
            .authority
            .members()
            .unwrap()
            .iter()
            .all(|row| row.role == Role::Coordinator)
    );
    // And at last the good one.
    let good = invite(&federation, &listener, "a");
    redeem(&good, &folder, None).await.unwrap();
}

#[tokio::test]
async fn guesses_are_few() {
    let federation = Federation::new();
    let listener = federation.listen().await;
    let folder = federation.applicant(Role::Party, "a");
    let good = invite(&federation, &listener, "a");
    let member = Member {
        name: name("b"),
        ..folder.member().clone()
    };
    let stranger = MemberFolder::create(&federation.folder.path().join("b"), member, None).unwrap();
    for _ in 0..10 {
        assert!(redeem(&good, &stranger, None).await.is_err());
    }
    // The right one, but the eleventh try from this address in a minute.
    assert!(refusal(redeem(&good, &folder, None).await).contains("wait a minute"));
    let told = async {
        while !federation.notices().contains("too many enrolments") {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), told);
    told.await.unwrap();
}
