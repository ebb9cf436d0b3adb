//! Members that break the protocol, and too many of them (TR-05, TR-09, TR-10).

use std::time::Duration;

use tokio::net::TcpStream;
use tokio_stream::StreamExt;

use super::federation::{Federation, dial, eventually, message, next, until};
use crate::net::driver::Connection;
use crate::net::enrol::server_name;
use crate::net::pki::Role;
use crate::net::segment::{CHUNK, Chunk, Hello, Kind, Nothing, Segment, Welcome};
use crate::net::{Credentials, Event, Limits, Listener, NetError, service};

/// A member's connection, with the segments in the test's hands.
async fn raw(listener: &Listener, credentials: &Credentials) -> Connection {
    let socket = TcpStream::connect(listener.address()).await.unwrap();
    let client = std::sync::Arc::new(credentials.client(None).unwrap());
    let name = server_name(&listener.address().to_string()).unwrap();
    let tls = tokio_rustls::TlsConnector::from(client).connect(name, socket);
    service::open(tls.await.unwrap(), &Limits::default())
        .await
        .unwrap()
}

fn hello() -> Hello {
    Hello {
        oldest: 1,
        newest: 1,
        limit: 1 << 30,
        ..Hello::default()
    }
}

async fn answer(connection: &mut Connection) -> Option<Kind> {
    let segment = tokio::time::timeout(Duration::from_secs(30), connection.inbound.next());
    match segment.await.expect("an answer in time") {
        Some(Ok(Segment { kind })) => kind,
        _ => None,
    }
}

async fn greeted(
    listener: &Listener,
    credentials: &Credentials,
    hello: Hello,
) -> (Connection, Welcome) {
    let mut connection = raw(listener, credentials).await;
    connection
        .outbound
        .send(Kind::Hello(hello).into())
        .await
        .unwrap();
    match answer(&mut connection).await {
        Some(Kind::Welcome(welcome)) => (connection, welcome),
        other => panic!("{other:?}"),
    }
}

/// What the listener says on the way out; nothing when it just leaves.
async fn last_words(connection: &mut Connection) -> String {
    loop {
        match answer(connection).await {
            Some(Kind::Close(reason)) => return reason,
            Some(_) => {}
            None => return String::new(),
        }
    }
}

fn chunk(number: u64, length: Option<u64>, size: usize) -> Kind {
    let bytes = vec![0; size].into();
    Kind::Chunk(Chunk {
        number,
        length,
        bytes,
        abandoned: false,
    })
}

#[tokio::test]
async fn breaches_end_the_session_and_nothing_else() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.limits.longest_message = 1 << 20;
    let mut listener = Listener::bind(config).await.unwrap();
    let bystander = dial(&listener, federation.member(Role::Party, "b"));
    let mut beside = listener.accept().await.unwrap();
    let party = federation.member(Role::Party, "a");
    let cases: Vec<(Kind, &str)> = vec![
        (
            chunk(0, Some((1 << 20) + 1), 1),
            "over the receiver's limit",
        ),
        (chunk(0, Some(u64::MAX), 1), "over the receiver's limit"),
        (chunk(0, Some(1 << 20), CHUNK + 1), "longer ones"),
        (chunk(1, Some(1), 1), "out of turn"),
        (chunk(0, None, 1), "belongs to no message"),
        (chunk(0, Some(1), 2), "more of a message"),
        (Kind::Ack(1), "never sent"),
        (Kind::Hello(hello()), "second greeting"),
        (Kind::Welcome(Welcome::default()), "second greeting"),
        (Kind::Revoked(vec![1, 2, 3].into()), "only a listener"),
    ];
    for (kind, expected) in cases {
        let (mut connection, _) = greeted(&listener, &party, hello()).await;
        let mut peer = listener.accept().await.unwrap();
        connection.outbound.send(kind.into()).await.unwrap();
        assert!(
            last_words(&mut connection).await.contains(expected),
            "{expected}"
        );
        let event = until(&mut peer.link, |e| matches!(e, Event::Closed(_))).await;
        assert!(matches!(event, Event::Closed(reason) if reason.contains(expected)));
    }
    // A segment too long is refused on its length, one of no kind as such, a first one that is no greeting too.
    for first in [Some(hello()), None] {
        let mut connection = raw(&listener, &party).await;
        if let Some(hello) = first {
            connection
                .outbound
                .send(Kind::Hello(hello).into())
                .await
                .unwrap();
        }
        connection
            .outbound
            .send(Kind::Revoked(vec![0; 3 << 20].into()).into())
            .await
            .unwrap();
        assert_eq!(last_words(&mut connection).await, "");
    }
    let (mut connection, _) = greeted(&listener, &party, hello()).await;
    connection
        .outbound
        .send(Segment { kind: None })
        .await
        .unwrap();
    assert!(last_words(&mut connection).await.contains("unknown kind"));
    let mut connection = raw(&listener, &party).await;
    connection
        .outbound
        .send(Kind::Renew(Nothing {}).into())
        .await
        .unwrap();
    assert_eq!(last_words(&mut connection).await, "");
    bystander.send("unharmed").await.unwrap();
    assert_eq!(message(&mut beside.link).await, b"unharmed");
}

#[tokio::test]
async fn another_version_is_refused_by_name() {
    let federation = Federation::new();
    let listener = federation.listen().await;
    let party = federation.member(Role::Party, "a");
    for (oldest, newest) in [(2, 3), (7, 7)] {
        let strange = Hello {
            oldest,
            newest,
            ..hello()
        };
        let (_, welcome) = greeted(&listener, &party, strange).await;
        assert!(welcome.refused && welcome.version == 1 && welcome.oldest == 1);
        let said =
            format!("versions 1 to 1 of the link protocol, the other one {oldest} to {newest}");
        eventually(|| federation.notices().contains(&said)).await;
    }
    let (_, welcome) = greeted(
        &listener,
        &party,
        Hello {
            newest: 2,
            ..hello()
        },
    )
    .await;
    assert!(!welcome.refused && welcome.version == 1);
}

/// A session belongs to the member that began it, and cannot be gone on with at an impossible place (TR-06).
#[tokio::test]
async fn a_session_is_its_members_only() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let (a, b) = (
        federation.member(Role::Party, "a"),
        federation.member(Role::Party, "b"),
    );
    let (_held, first) = greeted(&listener, &a, hello()).await;
    let mut peer = listener.accept().await.unwrap();
    let theft = Hello {
        session: first.session.clone(),
        ..hello()
    };
    let (_theirs, welcome) = greeted(&listener, &b, theft.clone()).await;
    assert!(!welcome.resumed && welcome.session != first.session);
    let (_again, welcome) = greeted(&listener, &a, theft.clone()).await;
    assert!(welcome.resumed && welcome.session == first.session);
    let impossible = Hello {
        received: 5,
        ..theft
    };
    let mut connection = raw(&listener, &a).await;
    connection
        .outbound
        .send(Kind::Hello(impossible).into())
        .await
        .unwrap();
    assert!(
        last_words(&mut connection)
            .await
            .contains("impossible place")
    );
    until(&mut peer.link, |e| matches!(e, Event::Closed(_))).await;
}

/// The bytes of an earlier connection say nothing to a later one: the chunk that was taken is refused when it comes again (TR-06).
#[tokio::test]
async fn a_chunk_played_again_is_refused() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let party = federation.member(Role::Party, "a");
    let (connection, first) = greeted(&listener, &party, hello()).await;
    let mut peer = listener.accept().await.unwrap();
    connection
        .outbound
        .send(chunk(0, Some(3), 3).into())
        .await
        .unwrap();
    assert_eq!(message(&mut peer.link).await, [0; 3]);
    let again = Hello {
        session: first.session,
        ..hello()
    };
    let (mut connection, welcome) = greeted(&listener, &party, again).await;
    assert!(welcome.resumed && welcome.received == 1);
    connection
        .outbound
        .send(chunk(0, Some(3), 3).into())
        .await
        .unwrap();
    assert!(last_words(&mut connection).await.contains("out of turn"));
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_by_its_sender() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.limits.longest_message = 1000;
    let mut listener = Listener::bind(config).await.unwrap();
    let link = dial(&listener, federation.member(Role::Party, "a"));
    let mut peer = listener.accept().await.unwrap();
    let refused = link.send(vec![0; 1001]).await;
    assert!(matches!(
        refused,
        Err(NetError::TooLong {
            length: 1001,
            limit: 1000
        })
    ));
    link.send(vec![0; 1000]).await.unwrap();
    assert_eq!(message(&mut peer.link).await.len(), 1000);
}

#[tokio::test]
async fn one_address_and_one_member_have_only_so_many() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    (config.limits.per_address, config.limits.sessions_per_member) = (3, 2);
    let mut listener = Listener::bind(config).await.unwrap();
    let scientist = federation.member(Role::Scientist, "s");
    let (mut first, _) = greeted(&listener, &scientist, hello()).await;
    let mut oldest = listener.accept().await.unwrap();
    let (second, _) = greeted(&listener, &scientist, hello()).await;
    let _newer = listener.accept().await.unwrap();
    let (third, _) = greeted(&listener, &scientist, hello()).await;
    let event = until(&mut oldest.link, |e| matches!(e, Event::Closed(_))).await;
    assert!(matches!(event, Event::Closed(reason) if reason.contains("newer session")));
    assert!(last_words(&mut first).await.contains("newer session"));
    let _newest = listener.accept().await.unwrap();
    // Whether the first connection is closed yet or not: one of these is too many.
    let sockets = [
        TcpStream::connect(listener.address()).await,
        TcpStream::connect(listener.address()).await,
    ];
    eventually(|| federation.notices().contains("too many connections")).await;
    drop((first, second, third, sockets));
    eventually(|| listener.connections() == 0).await;
}

/// Five hundred sessions at a time, each with a message there and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_members_at_once() {
    const MANY: usize = 500;
    let federation = Federation::new();
    let mut config = federation.listen_config();
    (config.limits.per_address, config.limits.sessions_per_member) = (2 * MANY, 2 * MANY);
    (config.limits.handshake, config.limits.handshakes) = (Duration::from_secs(60), MANY);
    let mut listener = Listener::bind(config).await.unwrap();
    let operator = federation.member(Role::Operator, "o");
    let links: Vec<_> = (0..MANY)
        .map(|number| {
            let mut config = super::federation::dial_config(&listener, operator.clone());
            config.limits.handshake = Duration::from_secs(60);
            let mut link = crate::net::Dialer::connect(config).unwrap();
            tokio::spawn(async move {
                link.send(number.to_string()).await.unwrap();
                let back = message(&mut link).await;
                assert_eq!(back, format!("{number} indeed").as_bytes());
                link
            })
        })
        .collect();
    let mut peers = Vec::new();
    for _ in 0..MANY {
        let mut peer = listener.accept().await.unwrap();
        peers.push(tokio::spawn(async move {
            let mut said = message(&mut peer.link).await;
            said.extend_from_slice(b" indeed");
            peer.link.send(said).await.unwrap();
            peer
        }));
    }
    let mut kept = Vec::new();
    for (link, peer) in links.into_iter().zip(peers) {
        kept.push((link.await.unwrap(), peer.await.unwrap()));
    }
    assert_eq!(listener.connections(), MANY);
    drop(kept);
    eventually(|| listener.connections() == 0).await;
    let mut one = dial(&listener, operator);
    assert!(matches!(next(&mut one).await, Event::Connected(_)));
}
