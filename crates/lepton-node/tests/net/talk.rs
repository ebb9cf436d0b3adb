//! Honest members.

use lepton_node::net::Event;
use lepton_node::net::pki::Role;

use crate::federation::{Federation, dial, message, next};

#[tokio::test]
async fn two_members_talk() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let party = federation.member(Role::Party, "hospital-a");
    let mut link = dial(&listener, party.clone());
    let mut peer = listener.accept().await.unwrap();
    assert_eq!(peer.identity.member.to_string(), "party hospital-a");
    assert_eq!(peer.identity.key, party.identity().public());
    let Event::Connected(hub) = next(&mut link).await else {
        panic!("not connected")
    };
    assert_eq!(hub.member.to_string(), "coordinator hub");
    assert!(matches!(next(&mut peer.link).await, Event::Connected(_)));
    for length in [0, 1, 131_071, 131_072, 131_073, 5_000_000] {
        let sent: Vec<u8> = (0..length)
            .map(|i: u32| i.to_le_bytes()[0] ^ i.to_le_bytes()[1])
            .collect();
        let (there, back) = tokio::join!(
            async {
                link.send(sent.clone()).await.unwrap();
                message(&mut link).await
            },
            async {
                let got = message(&mut peer.link).await;
                peer.link.send(got.clone()).await.unwrap();
                got
            }
        );
        assert!(there == sent && back == sent, "length {length}");
    }
}
