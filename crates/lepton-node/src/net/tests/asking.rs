//! A look at the way to the coordinator (TR-12): beside a session, and where each step fails.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::federation::{Federation, dial, dial_config, message, name};
use crate::net::pki::{Role, now};
use crate::net::probe::{Stage, look};
use crate::net::{DialConfig, Listener};

/// A party has one session: a question must not end it.
#[tokio::test]
async fn a_question_leaves_the_members_session_alone() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let party = federation.member(Role::Party, "a");
    let mut link = dial(&listener, party.clone());
    let peer = listener.accept().await.unwrap();
    for _ in 0..3 {
        let sight = look(&dial_config(&listener, party.clone())).await;
        assert!(sight.obstacle.is_none(), "{sight:?}");
        assert!(sight.connected && sight.admitted);
        assert_eq!(sight.addresses, [listener.address()]);
        assert_eq!(sight.version, Some(1));
        let coordinator = sight.coordinator.unwrap();
        assert_eq!(coordinator.member.to_string(), "coordinator hub");
        // The listener's clock is this one.
        let clocks = sight.clocks.unwrap();
        assert!(clocks.before / 1000 <= clocks.theirs + 1 && clocks.theirs <= clocks.after / 1000);
        assert!(clocks.theirs.abs_diff(now()) < 60);
    }
    peer.link.send("still there").await.unwrap();
    assert_eq!(message(&mut link).await, b"still there");
    assert_eq!(federation.notices(), "");
}

async fn stage(config: &DialConfig) -> Stage {
    let sight = look(config).await;
    assert!(sight.version.is_none());
    sight.obstacle.expect("an obstacle").stage
}

/// A port that says something else than TLS.
async fn port(says: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = [0; 512];
            let _ = socket.read(&mut asked).await;
            let _ = socket.write_all(says).await;
        }
    });
    address
}

#[tokio::test]
async fn each_step_fails_under_its_own_name() {
    let federation = Federation::new();
    let hub = federation.listen_config();
    let credentials = hub.credentials.clone();
    let listener = Listener::bind(hub).await.unwrap();
    let party = federation.member(Role::Party, "a");
    let to = |address: String| {
        let mut config = dial_config(&listener, party.clone());
        config.address = address;
        config.limits.handshake = Duration::from_secs(5);
        config
    };
    assert_eq!(
        stage(&to("no-such-host.invalid:1".to_owned())).await,
        Stage::Name
    );
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = gone.local_addr().unwrap().to_string();
    drop(gone);
    assert_eq!(stage(&to(closed.clone())).await, Stage::Port);
    let babble = port(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.to_string();
    assert_eq!(stage(&to(babble.clone())).await, Stage::Encryption);
    for proxy in [closed, babble] {
        let mut config = to(listener.address().to_string());
        config.proxy = Some(proxy.parse().unwrap());
        assert_eq!(stage(&config).await, Stage::Proxy);
    }
    // The coordinator of another federation, and another one than is wanted.
    let foreign = Federation::named("other").listen().await;
    assert_eq!(
        stage(&to(foreign.address().to_string())).await,
        Stage::Certificate
    );
    let mut config = to(listener.address().to_string());
    config.coordinator = Some(name("another"));
    assert_eq!(stage(&config).await, Stage::Certificate);
    // A member whose certificate was revoked.
    federation
        .authority
        .revoke(Role::Party, &name("a"))
        .unwrap();
    let list = std::fs::read(federation.authority.list_path()).unwrap();
    credentials.trust().update(&list).unwrap();
    assert_eq!(
        stage(&to(listener.address().to_string())).await,
        Stage::Admission
    );
}
