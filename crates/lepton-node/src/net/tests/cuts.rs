//! Connections cut anywhere (TR-06), and the way through a proxy (TR-11).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use rand_core::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::federation::{Federation, dial_config, message, trouble, until};
use crate::net::pki::Role;
use crate::net::{Dialer, Event, Proxy};

/// Passes bytes on, and cuts each connection after a random number of them. Counts its cuts.
async fn cutter(to: SocketAddr, seed: u64, cuts: Arc<AtomicUsize>) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut rng = chacha20::ChaCha20Rng::seed_from_u64(seed);
    tokio::spawn(async move {
        while let Ok((from, _)) = socket.accept().await {
            // From within the handshake to many messages.
            let budget = 1_u64 << (8 + rng.next_u32() % 14);
            let left = budget + u64::from(rng.next_u32()) % budget;
            let cuts = cuts.clone();
            tokio::spawn(async move {
                let to = TcpStream::connect(to).await.unwrap();
                let (from_read, mut from_write) = from.into_split();
                let (to_read, mut to_write) = to.into_split();
                let (mut up, mut down) = (from_read.take(left), to_read.take(left));
                tokio::select! {
                    _ = tokio::io::copy(&mut up, &mut to_write) => {}
                    _ = tokio::io::copy(&mut down, &mut from_write) => {}
                }
                cuts.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    address
}

fn content(seed: u8, number: u32) -> Vec<u8> {
    let length = [10, 0, 3_000, 200_000, 1, 131_072][number as usize % 6] + number;
    (0..length)
        .map(|i| (i.wrapping_mul(31) >> 3).to_le_bytes()[0] ^ seed ^ number.to_le_bytes()[0])
        .collect()
}

/// Both ways at once, over dozens of cuts: every message once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_survive_cuts_anywhere() {
    const MESSAGES: u32 = 300;
    for seed in [1, 2] {
        let federation = Federation::new();
        let mut listener = federation.listen().await;
        let cuts = Arc::new(AtomicUsize::new(0));
        let through = cutter(listener.address(), seed, cuts.clone()).await;
        let mut config = dial_config(&listener, federation.member(Role::Party, "a"));
        config.address = through.to_string();
        config.pause = (Duration::from_millis(1), Duration::from_millis(10));
        let (to_hub, mut from_hub) = Dialer::connect(config).unwrap().split();
        let peer = listener.accept().await.unwrap();
        let (to_party, mut from_party) = peer.link.split();
        let upwards = tokio::spawn(async move {
            for number in 0..MESSAGES {
                to_hub.send(content(1, number)).await.unwrap();
            }
            to_hub.flush().await.unwrap();
        });
        let downwards = tokio::spawn(async move {
            for number in 0..MESSAGES {
                to_party.send(content(2, number)).await.unwrap();
            }
            to_party.flush().await.unwrap();
        });
        let read = |receiver: &mut crate::net::LinkReceiver, seed: u8| {
            let mut receiver = std::mem::replace(receiver, crate::net::link::link().0.split().1);
            tokio::spawn(async move {
                let (mut number, mut backs, mut sessions) = (0, 0, 0);
                while number < MESSAGES {
                    let event = tokio::time::timeout(Duration::from_secs(60), receiver.recv());
                    match event.await.expect("an event in time").unwrap() {
                        Event::Message(bytes) => {
                            assert!(bytes == content(seed, number), "message {number}");
                            number += 1;
                        }
                        Event::Back => backs += 1,
                        Event::Connected(_) => sessions += 1,
                        Event::Lost(_) | Event::Waiting(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
                (receiver, backs, sessions)
            })
        };
        let (there, back) = (read(&mut from_party, 1), read(&mut from_hub, 2));
        let (up, down) = tokio::join!(there, back);
        let ((_up, backs, sessions), (_down, _, also)) = (up.unwrap(), down.unwrap());
        assert_eq!((sessions, also), (1, 1), "one session throughout");
        assert!(
            backs >= 5 && cuts.load(Ordering::Relaxed) > 5,
            "{backs} times back"
        );
        // The last acknowledgements still have to get through.
        let (up, down) = tokio::join!(upwards, downwards);
        up.unwrap();
        down.unwrap();
    }
}

/// A proxy that opens tunnels for who knows the password.
async fn proxy(served: Arc<AtomicUsize>) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let expected = base64::engine::general_purpose::STANDARD.encode("me:secret");
    tokio::spawn(async move {
        while let Ok((mut from, _)) = socket.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(from.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap().to_owned();
            assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")));
            if !head.contains(&format!("Proxy-Authorization: Basic {expected}\r\n")) {
                let refusal =
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
                from.write_all(refusal).await.unwrap();
                continue;
            }
            served.fetch_add(1, Ordering::Relaxed);
            let mut to = TcpStream::connect(target).await.unwrap();
            from.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
                .await
                .unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut from, &mut to).await });
        }
    });
    address
}

#[tokio::test]
async fn a_party_behind_a_proxy_gets_through() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let served = Arc::new(AtomicUsize::new(0));
    let address = proxy(served.clone()).await.to_string();
    let mut config = dial_config(&listener, federation.member(Role::Party, "a"));
    config.proxy = Some(Proxy::with_password(&address, "me", "secret").unwrap());
    let link = Dialer::connect(config.clone()).unwrap();
    let mut peer = listener.accept().await.unwrap();
    link.send("through").await.unwrap();
    assert_eq!(message(&mut peer.link).await, b"through");
    assert_eq!(served.load(Ordering::Relaxed), 1);
    config.proxy = Some(address.parse().unwrap());
    let mut link = Dialer::connect(config).unwrap();
    assert!(trouble(&mut link).await.contains("407"));
}

/// NAT that forgets a connection without a word: keep-alive notices, and the session goes on over another one.
#[tokio::test]
async fn a_connection_that_went_silent_is_replaced() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.limits.keep_alive = Duration::from_millis(300);
    config.limits.keep_alive_timeout = Duration::from_millis(300);
    let limits = config.limits.clone();
    let mut listener = crate::net::Listener::bind(config).await.unwrap();
    let target = listener.address();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = socket.local_addr().unwrap();
    let (forget, forgotten) = tokio::sync::watch::channel(0_usize);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for number in 1.. {
            let (mut from, _) = socket.accept().await.unwrap();
            let mut forgotten = forgotten.clone();
            kept.push(tokio::spawn(async move {
                let mut to = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut from, &mut to) => {}
                    () = async { drop(forgotten.wait_for(|at| *at >= number).await) } => {}
                }
                // Nothing is passed on any more, and nothing closed.
                std::future::pending::<()>().await;
                drop((from, to));
            }));
        }
    });
    let mut config = dial_config(&listener, federation.member(Role::Party, "a"));
    config.limits = limits;
    config.address = through.to_string();
    let mut link = Dialer::connect(config).unwrap();
    let mut peer = listener.accept().await.unwrap();
    link.send("one").await.unwrap();
    assert_eq!(message(&mut peer.link).await, b"one");
    forget.send(1).unwrap();
    link.send("two").await.unwrap();
    until(&mut link, |e| matches!(e, Event::Back)).await;
    assert_eq!(message(&mut peer.link).await, b"two");
}
