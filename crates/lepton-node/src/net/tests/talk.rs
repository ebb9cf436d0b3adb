//! Honest members.

use std::time::Duration;

use crate::net::pki::Role;
use crate::net::{Event, ListenConfig, Listener};

use super::federation::{Federation, dial, message, next, until};

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

#[tokio::test]
async fn a_long_message_passes_in_parts() {
    const LENGTH: u64 = 64 << 20;
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.limits.stream_above = 1 << 20;
    let mut listener = Listener::bind(config).await.unwrap();
    let link = dial(&listener, federation.member(Role::Party, "a"));
    let mut peer = listener.accept().await.unwrap();
    let (before, part) = (resident(), vec![7_u8; 1 << 20]);
    let sending = tokio::spawn(async move {
        let mut upload = link.sender().stream(LENGTH).await.unwrap();
        for _ in 0..LENGTH >> 20 {
            upload.write(part.clone()).await.unwrap();
        }
        upload.finish().await.unwrap();
        link.send("after it").await.unwrap();
        link
    });
    let Event::Stream(mut stream) = until(&mut peer.link, |e| matches!(e, Event::Stream(_))).await
    else {
        panic!("no stream")
    };
    assert_eq!(stream.length(), LENGTH);
    let (mut sum, mut most) = (0_u64, 0);
    while let Some(part) = stream.part().await.unwrap() {
        assert!(part.iter().all(|byte| *byte == 7));
        sum += part.len() as u64;
        most = most.max(resident());
    }
    assert_eq!(sum, LENGTH);
    assert_eq!(message(&mut peer.link).await, b"after it");
    // Both ends are in this process: two windows of 4 MiB, HTTP/2's buffers, and what the allocator keeps; far from the message.
    assert!(
        most < before + (32 << 20),
        "{before} bytes before, {most} at most"
    );
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_dropped_upload_is_given_up() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.limits.stream_above = 1000;
    let mut listener = Listener::bind(config).await.unwrap();
    let link = dial(&listener, federation.member(Role::Party, "a"));
    let mut peer = listener.accept().await.unwrap();
    let mut upload = link.sender().stream(1 << 20).await.unwrap();
    upload.write(vec![1_u8; 200_000]).await.unwrap();
    drop(upload);
    let mut short = link.sender().stream(10).await.unwrap();
    assert!(short.write(vec![0_u8; 11]).await.is_err() || short.finish().await.is_err());
    link.send("next").await.unwrap();
    let event = until(&mut peer.link, |e| matches!(e, Event::Stream(_))).await;
    let Event::Stream(mut stream) = event else {
        panic!("no stream")
    };
    while let Ok(part) = stream.part().await {
        assert!(part.is_some(), "the message must not look complete");
    }
    assert_eq!(message(&mut peer.link).await, b"next");
}

#[tokio::test]
async fn a_slow_receiver_slows_the_sender() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let link = dial(&listener, federation.member(Role::Party, "a"));
    let mut peer = listener.accept().await.unwrap();
    let sender = link.sender();
    let sending = tokio::spawn(async move {
        for number in 0..100_u8 {
            sender.send(vec![number; 1 << 20]).await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!sending.is_finished(), "100 MiB went nowhere");
    for number in 0..100_u8 {
        assert_eq!(message(&mut peer.link).await, vec![number; 1 << 20]);
    }
    sending.await.unwrap();
}

#[tokio::test]
async fn a_listener_that_restarts_begins_a_new_session() {
    let federation = Federation::new();
    let config = federation.listen_config();
    let listener = Listener::bind(config.clone()).await.unwrap();
    let address = listener.address();
    let mut link = dial(&listener, federation.member(Role::Party, "a"));
    until(&mut link, |e| matches!(e, Event::Connected(_))).await;
    drop(listener);
    until(&mut link, |e| matches!(e, Event::Lost(_))).await;
    let mut listener = Listener::bind(ListenConfig { address, ..config })
        .await
        .unwrap();
    until(&mut link, |e| matches!(e, Event::Connected(_))).await;
    link.send("hello again").await.unwrap();
    let mut peer = listener.accept().await.unwrap();
    assert_eq!(message(&mut peer.link).await, b"hello again");
    // The other way round: a party that begins anew ends its old session.
    drop(link);
    let event = until(&mut peer.link, |e| matches!(e, Event::Closed(_))).await;
    assert!(matches!(event, Event::Closed(reason) if reason.contains("ended the session")));
    assert!(peer.link.recv().await.is_none());
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_usize) * 4096
}
