//! Whoever has no certificate: old or weak handshakes, garbage, silence (TR-01, TR-02, TR-09, TR-10).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_core::{Rng, SeedableRng};
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::federation::{Federation, dial, eventually, message};
use crate::net::enrol::server_name;
use crate::net::pki::Role;
use crate::net::{Credentials, Listener};

async fn connect(listener: &Listener) -> TcpStream {
    TcpStream::connect(listener.address()).await.unwrap()
}

/// What the listener answers until it closes, within half a minute.
async fn all_of(socket: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), socket.read_to_end(&mut answer));
    // A reset is an end too.
    let _ = read.await.expect("closed in time");
    answer
}

/// A client as other programs are: any key exchange of the library, a certificate or none.
async fn handshake(
    listener: &Listener,
    groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>,
    member: Option<&Credentials>,
) -> Result<(), String> {
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: groups,
        ..aws_lc_rs::default_provider()
    };
    let mut roots = rustls::RootCertStore::empty();
    if let Some(member) = member {
        roots.add(member.trust().roots()[0].clone()).unwrap();
    }
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match member {
        Some(member) => builder.with_client_cert_resolver(Arc::new(member.clone())),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = server_name(&listener.address().to_string()).unwrap();
    let tls =
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, connect(listener).await);
    let mut tls = tls.await.map_err(|error| error.to_string())?;
    // Whether the certificate was good shows with the first bytes back.
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .map_err(|error| error.to_string())?;
    tls.read_u8()
        .await
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// Believes every listener: the tests here are about what the listener believes.
#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ED25519]
    }
}

#[tokio::test]
async fn only_the_hybrid_key_exchange_and_only_with_a_certificate() {
    use aws_lc_rs::kx_group::{MLKEM768, SECP256R1, X25519, X25519MLKEM768};
    let federation = Federation::new();
    let listener = federation.listen().await;
    let party = federation.member(Role::Party, "a");
    handshake(&listener, vec![X25519MLKEM768], Some(&party))
        .await
        .unwrap();
    for weak in [
        vec![X25519],
        vec![SECP256R1],
        vec![MLKEM768],
        vec![X25519, SECP256R1],
    ] {
        assert!(handshake(&listener, weak, Some(&party)).await.is_err());
    }
    // Preferring another one is no way round it.
    handshake(&listener, vec![X25519, X25519MLKEM768], Some(&party))
        .await
        .unwrap();
    let error = handshake(&listener, vec![X25519MLKEM768], None)
        .await
        .unwrap_err();
    assert!(error.contains("CertificateRequired"), "{error}");
}

/// A greeting of TLS 1.2 (RFC 5246, section 7.4.1.2), by hand: answered with the alert *protocol version* (RFC 8446, section 6.2).
#[tokio::test]
async fn tls_1_2_is_refused() {
    let federation = Federation::new();
    let listener = federation.listen().await;
    let extensions: &[u8] = &[
        0, 10, 0, 4, 0, 2, 0, 29, // supported_groups: x25519
        0, 13, 0, 6, 0, 4, 8, 7, 4,
        3, // signature_algorithms: ed25519, ecdsa_secp256r1_sha256
    ];
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0, 0, 18]);
    body.extend_from_slice(extensions);
    let mut record = vec![
        22,
        3,
        1,
        0,
        u8::try_from(body.len() + 4).unwrap(),
        1,
        0,
        0,
        u8::try_from(body.len()).unwrap(),
    ];
    record.extend_from_slice(&body);
    let mut socket = connect(&listener).await;
    socket.write_all(&record).await.unwrap();
    let answer = all_of(&mut socket).await;
    assert_eq!(
        (answer[0], &answer[3..]),
        (21, [0, 2, 2, 70].as_slice()),
        "{answer:?}"
    );
}

#[tokio::test]
async fn garbage_is_dropped_and_nothing_falls_over() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let mut rng = chacha20::ChaCha20Rng::seed_from_u64(5);
    for round in 0..60_usize {
        let mut socket = connect(&listener).await;
        let mut bytes = vec![0; 1 + rng.next_u32() as usize % 600];
        rng.fill_bytes(&mut bytes);
        match round % 3 {
            0 => {}
            // As a record of a handshake, and as one with a greeting in it.
            1 => bytes.splice(0..0, [22, 3, 1, 2, 0]).for_each(drop),
            _ => bytes
                .splice(0..0, [22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3])
                .for_each(drop),
        }
        // Closed before all was written is fine.
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        all_of(&mut socket).await;
    }
    let link = dial(&listener, federation.member(Role::Party, "a"));
    let mut peer = listener.accept().await.unwrap();
    link.send("well").await.unwrap();
    assert_eq!(message(&mut peer.link).await, b"well");
}

/// Who says nothing, or one byte at a time, is shown out when its time is up, and keeps nobody out for longer.
#[tokio::test]
async fn the_slow_are_shown_out() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.limits.handshake = Duration::from_secs(2);
    config.limits.handshakes = 8;
    let mut listener = Listener::bind(config).await.unwrap();
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(connect(&listener).await);
    }
    let mut trickling = connect(&listener).await;
    let trickle = tokio::spawn(async move {
        for byte in [22_u8, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]
            .into_iter()
            .chain([0; 400])
        {
            if trickling.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    for socket in &mut silent {
        assert_eq!(all_of(socket).await, b"");
    }
    assert!(began.elapsed() >= Duration::from_millis(1900));
    trickle.await.unwrap();
    eventually(|| federation.notices().matches("took too long").count() == 5).await;
    // More than there are places: refused at the door, until places are free.
    let mut crowd = Vec::new();
    for _ in 0..12 {
        crowd.push(connect(&listener).await);
    }
    eventually(|| federation.notices().contains("too many connections")).await;
    let link = dial(&listener, federation.member(Role::Party, "a"));
    let mut peer = listener.accept().await.unwrap();
    link.send("in time").await.unwrap();
    assert_eq!(message(&mut peer.link).await, b"in time");
}

/// All places of strangers are taken from one address: a member at another address is let in at once (TR-10).
#[tokio::test]
async fn a_crowd_at_one_address_keeps_no_other_out() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.limits.handshakes = 8;
    let mut listener = Listener::bind(config).await.unwrap();
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        crowd.push(socket.connect(listener.address()).await.unwrap());
    }
    eventually(|| federation.notices().contains("too many connections")).await;
    let began = Instant::now();
    let link = dial(&listener, federation.member(Role::Party, "a"));
    let mut peer = listener.accept().await.unwrap();
    link.send("past the crowd").await.unwrap();
    assert_eq!(message(&mut peer.link).await, b"past the crowd");
    // The crowd's places are free after ten seconds only.
    assert!(began.elapsed() < Duration::from_secs(8));
    assert!(federation.notices().contains("went to another address"));
}

/// A member that finishes its handshake and then says nothing.
#[tokio::test]
async fn a_member_without_a_stream_is_shown_out() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.limits.handshake = Duration::from_secs(1);
    let listener = Listener::bind(config).await.unwrap();
    let party = federation.member(Role::Party, "a");
    let client = Arc::new(party.client(None).unwrap());
    let name = server_name(&listener.address().to_string()).unwrap();
    let mut tls = tokio_rustls::TlsConnector::from(client)
        .connect(name, connect(&listener).await)
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), tls.read_to_end(&mut answer));
    let _ = read.await.expect("closed in time");
    eventually(|| federation.notices().contains("without a stream")).await;
    assert_eq!(listener.connections(), 0);
}
