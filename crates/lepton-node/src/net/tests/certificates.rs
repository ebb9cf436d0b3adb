//! Whose certificates are good for what, and for how long (EN-02, EN-06, EN-07, TR-03).

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::federation::{
    Federation, dial, dial_config, eventually, message, name, set_life, trouble, until,
};
use crate::net::pki::{
    Authority, Import, Issued, Role, Trust, Usage, chain_from_pem, now, signing_request,
};
use crate::net::{Credentials, Dialer, Event, ListenConfig, Listener};

fn chain(
    federation: &Federation,
    role: Role,
    member: &str,
) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    let path = federation.path(role, member).join("certificate.pem");
    chain_from_pem(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn trust(federation: &Federation) -> Trust {
    let root = federation.authority.root_pem().unwrap();
    Trust::new(name("trial"), chain_from_pem(&root).unwrap()).unwrap()
}

#[test]
fn a_certificate_holds_for_its_time_its_use_and_its_federation() {
    let federation = Federation::new();
    let party = federation.member(Role::Party, "a");
    federation.member(Role::Coordinator, "hub");
    let (trust, a) = (trust(&federation), chain(&federation, Role::Party, "a"));
    let leaf = trust.verify(&a, Usage::Client).unwrap();
    assert_eq!(
        (leaf.member.role, leaf.key),
        (Role::Party, party.identity().public())
    );
    assert!(leaf.not_after - leaf.not_before <= 7 * 24 * 3600 + 300);
    assert!(trust.verify(&a, Usage::Server).is_err());
    let hub = chain(&federation, Role::Coordinator, "hub");
    assert!(trust.verify(&hub, Usage::Server).is_ok());
    let at = |time: u64| {
        crate::net::NetError::from(trust.check(&a, Usage::Client, time).unwrap_err()).to_string()
    };
    assert!(at(now() + 8 * 24 * 3600).contains("expired"));
    assert!(at(now() - 3600).contains("not valid yet"));
    let other = Federation::new();
    other.member(Role::Party, "a");
    let strange = chain(&other, Role::Party, "a");
    assert!(
        trust
            .verify(&strange, Usage::Client)
            .unwrap_err()
            .to_string()
            .contains("no root")
    );
    // The same authority, another federation.
    let roots = trust.roots().to_vec();
    let elsewhere = Trust::new(name("elsewhere"), roots).unwrap();
    assert!(
        elsewhere
            .verify(&a, Usage::Client)
            .unwrap_err()
            .to_string()
            .contains("another federation")
    );
    assert!(trust.verify(&[], Usage::Client).is_err());
}

#[test]
fn a_list_is_the_roots_and_never_goes_back() {
    let federation = Federation::new();
    federation.member(Role::Party, "a");
    federation.member(Role::Party, "b");
    let (trust, a) = (trust(&federation), chain(&federation, Role::Party, "a"));
    let read = |federation: &Federation| std::fs::read(federation.authority.list_path()).unwrap();
    let empty = read(&federation);
    assert!(trust.update(&empty).unwrap());
    assert!(!trust.update(&empty).unwrap());
    federation
        .authority
        .revoke(Role::Party, &name("a"))
        .unwrap();
    let list = read(&federation);
    assert!(trust.update(&list).unwrap());
    assert!(
        trust
            .verify(&a, Usage::Client)
            .unwrap_err()
            .to_string()
            .contains("revoked")
    );
    assert!(
        trust
            .verify(&chain(&federation, Role::Party, "b"), Usage::Client)
            .is_ok()
    );
    assert!(!trust.update(&empty).unwrap(), "an older list");
    assert!(trust.verify(&a, Usage::Client).is_err());
    let strange = Federation::new();
    strange
        .authority
        .revoke(Role::Party, &name("a"))
        .unwrap_err();
    assert!(
        trust.update(&read(&strange)).is_err(),
        "another root's list"
    );
    let mut der = trust.lists_der().remove(0);
    for at in 0..der.len() {
        der[at] ^= 1;
        assert!(
            !matches!(trust.update(&der), Ok(true)),
            "bit flipped at {at}"
        );
        der[at] ^= 1;
    }
}

#[tokio::test]
async fn strangers_and_wrong_roles_are_refused() {
    let federation = Federation::new();
    let listener = federation.listen().await;
    // Issued by another root: neither side believes the other.
    let other = Federation::new();
    let mut link = dial(&listener, other.member(Role::Party, "a"));
    assert!(trouble(&mut link).await.contains("UnknownIssuer"));
    // A coordinator's certificate does not dial.
    let mut link = dial(&listener, federation.member(Role::Coordinator, "second"));
    trouble(&mut link).await;
    eventually(|| federation.notices().contains("does not dial")).await;
    // Another coordinator than the one asked for.
    let mut config = dial_config(&listener, federation.member(Role::Party, "a"));
    config.coordinator = Some(name("second"));
    let mut link = Dialer::connect(config).unwrap();
    assert!(trouble(&mut link).await.contains("another coordinator"));
    // A party that listens as if it were the coordinator.
    let poser = federation.member(Role::Party, "poser");
    let config = ListenConfig {
        credentials: poser,
        ..federation.listen_config_of("third")
    };
    let poser = Listener::bind(config).await.unwrap();
    let mut link = dial(&poser, federation.member(Role::Party, "b"));
    trouble(&mut link).await;
    assert_eq!(listener.connections() + poser.connections(), 0);
}

#[tokio::test]
async fn a_revoked_member_is_cut_off_and_the_others_hear_of_it() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    let (a, b) = (
        federation.member(Role::Party, "a"),
        federation.member(Role::Party, "b"),
    );
    let mut links = [dial(&listener, a.clone()), dial(&listener, b.clone())];
    let mut peers = [
        listener.accept().await.unwrap(),
        listener.accept().await.unwrap(),
    ];
    peers.sort_by_key(|peer| peer.identity.member.name.clone());
    for link in &mut links {
        until(link, |e| matches!(e, Event::Connected(_))).await;
    }
    federation
        .authority
        .revoke(Role::Party, &name("a"))
        .unwrap();
    let event = until(&mut peers[0].link, |e| matches!(e, Event::Closed(_))).await;
    assert!(matches!(event, Event::Closed(reason) if reason.contains("revoked")));
    let told = |credentials: &Credentials| {
        credentials
            .trust()
            .verify(&chain(&federation, Role::Party, "a"), Usage::Client)
            .is_err()
    };
    eventually(|| told(&b)).await;
    // The list is on b's disk too, for its next start.
    let again = crate::net::pki::MemberFolder::open(&federation.path(Role::Party, "b")).unwrap();
    assert!(told(&Credentials::open(&again).unwrap()));
    links[1].send("still here").await.unwrap();
    assert_eq!(message(&mut peers[1].link).await, b"still here");
    let event = until(&mut links[0], |e| matches!(e, Event::Waiting(_))).await;
    assert!(matches!(event, Event::Waiting(reason) if reason.contains("Revoked")));
    assert!(federation.authority.renew(&a.leaf()).is_err());
    assert_eq!(listener.connections(), 1);
}

/// The second list is taken over like the first, also after a restart of the coordinator from its folder.
#[tokio::test]
async fn one_revocation_after_the_other_is_heard() {
    let federation = Federation::new();
    let config = federation.listen_config();
    let mut listener = Listener::bind(config.clone()).await.unwrap();
    let hub = crate::net::pki::MemberFolder::open(&federation.path(Role::Coordinator, "hub"));
    for member in ["a", "b"] {
        let mut link = dial(&listener, federation.member(Role::Party, member));
        let _peer = listener.accept().await.unwrap();
        until(&mut link, |e| matches!(e, Event::Connected(_))).await;
        federation
            .authority
            .revoke(Role::Party, &name(member))
            .unwrap();
        let revoked = |e: &Event| matches!(e, Event::Waiting(reason) if reason.contains("Revoked"));
        until(&mut link, revoked).await;
        let chain = chain(&federation, Role::Party, member);
        // The list is in force first, then on the coordinator's disk.
        let heard = || {
            let again = Credentials::open(hub.as_ref().unwrap()).unwrap();
            again.trust().verify(&chain, Usage::Client).is_err()
        };
        eventually(heard).await;
    }
    assert!(!federation.notices().contains("revocation list"));
    // Revoked while nothing listened: refused by the next listener from its first moment on, though its folder has no such list.
    drop(listener);
    let late = federation.member(Role::Party, "c");
    federation
        .authority
        .revoke(Role::Party, &name("c"))
        .unwrap();
    let listener = Listener::bind(config).await.unwrap();
    let mut link = dial(&listener, late);
    assert!(trouble(&mut link).await.contains("Revoked"));
}

/// The coordinator is revoked, and says so itself or does not: who dialled it leaves, and does not come back (EN-07).
#[tokio::test]
async fn a_revoked_coordinator_is_left() {
    for honest in [true, false] {
        let federation = Federation::new();
        let mut config = federation.listen_config();
        if !honest {
            config.enrolment = None;
        }
        let mut listener = Listener::bind(config).await.unwrap();
        let party = federation.member(Role::Party, "a");
        let mut dialling = dial_config(&listener, party.clone());
        dialling.look = Duration::from_millis(100);
        let mut link = Dialer::connect(dialling).unwrap();
        let mut peer = listener.accept().await.unwrap();
        link.send("before").await.unwrap();
        assert_eq!(message(&mut peer.link).await, b"before");
        federation
            .authority
            .revoke(Role::Coordinator, &name("hub"))
            .unwrap();
        if !honest {
            // By hand, as a file from the authority.
            let list = federation.authority.list_path();
            std::fs::copy(list, federation.path(Role::Party, "a").join("revoked.pem")).unwrap();
        }
        let event = until(&mut link, |e| matches!(e, Event::Lost(_))).await;
        assert!(
            matches!(event, Event::Lost(reason) if reason.contains("coordinator hub") && reason.contains("revoked"))
        );
        let event = until(&mut link, |e| matches!(e, Event::Waiting(_))).await;
        assert!(matches!(event, Event::Waiting(reason) if reason.contains("Revoked")));
        // What is sent from now on stays here.
        let sent = tokio::time::timeout(Duration::from_millis(300), link.send("after")).await;
        assert!(sent.is_err() || sent.is_ok_and(|sent| sent.is_ok()));
        let heard = tokio::time::timeout(Duration::from_millis(300), message(&mut peer.link));
        assert!(heard.await.is_err(), "a revoked coordinator hears no more");
        assert_eq!(listener.connections(), 0);
    }
}

/// A coordinator whose certificate expires is left, and found again with its next one: the session goes on.
#[tokio::test]
async fn an_expired_coordinator_is_left_until_it_has_its_next_certificate() {
    let federation = Federation::new();
    set_life(&federation, 3);
    let mut config = federation.listen_config();
    config.enrolment = None;
    set_life(&federation, 1000);
    let party = federation.member(Role::Party, "a");
    let mut listener = Listener::bind(config.clone()).await.unwrap();
    let mut link = dial(&listener, party);
    let mut peer = listener.accept().await.unwrap();
    let event = until(&mut link, |e| matches!(e, Event::Lost(_))).await;
    assert!(
        matches!(event, Event::Lost(reason) if reason.contains("coordinator hub") && reason.contains("expired"))
    );
    assert!(now() > config.credentials.leaf().not_after);
    let expired = |e: &Event| matches!(e, Event::Waiting(reason) if reason.contains("Expired"));
    until(&mut link, expired).await;
    let sender = link.sender();
    let sending = tokio::spawn(async move { sender.send("meanwhile").await });
    let next = federation
        .authority
        .reissue(Role::Coordinator, &name("hub"));
    config.credentials.install(&next.unwrap()).unwrap();
    until(&mut link, |e| matches!(e, Event::Back)).await;
    assert_eq!(message(&mut peer.link).await, b"meanwhile");
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn certificates_renew_while_messages_flow() {
    let federation = Federation::new();
    let mut listener = federation.listen().await;
    set_life(&federation, 4);
    let party = federation.member(Role::Party, "a");
    let first = party.leaf();
    let link = dial(&listener, party.clone());
    let mut peer = listener.accept().await.unwrap();
    let sender = link.sender();
    let sending = tokio::spawn(async move {
        for number in 0..90_u32 {
            sender.send(number.to_be_bytes().to_vec()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    for number in 0..90_u32 {
        assert_eq!(message(&mut peer.link).await, number.to_be_bytes());
    }
    sending.await.unwrap();
    assert!(
        now() > first.not_after,
        "the first certificate did its time"
    );
    assert!(party.leaf().serial != first.serial && party.leaf().key == first.key);
}

#[tokio::test]
async fn an_expired_certificate_ends_the_connection() {
    let federation = Federation::new();
    let mut config = federation.listen_config();
    config.enrolment = None;
    let mut listener = Listener::bind(config).await.unwrap();
    set_life(&federation, 2);
    let mut link = dial(&listener, federation.member(Role::Party, "a"));
    let _peer = listener.accept().await.unwrap();
    until(&mut link, |e| matches!(e, Event::Lost(_))).await;
    let expired =
        |event: &Event| matches!(event, Event::Waiting(reason) if reason.contains("Expired"));
    until(&mut link, expired).await;
    assert!(federation.notices().contains("that of party a expired"));
}

/// An organisation's authority, used by `lepton ca`, and one that signs requests with its own tools.
#[tokio::test]
async fn an_organisations_own_authority_serves() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        let own = tempfile::tempdir().unwrap();
        let import = Import {
            certificate: &certificate,
            key: &key.serialize_pem(),
        };
        let path = own.path().join("ca");
        let authority = Authority::create(&path, name("trial"), 7, Some(&import)).unwrap();
        let mut federation = Federation::new();
        federation.authority = std::sync::Arc::new(authority);
        let mut listener = federation.listen().await;
        // Signed elsewhere, with what the request asks for.
        let folder = federation.applicant(Role::Party, "a");
        let issuer = Issuer::from_ca_cert_pem(
            &certificate,
            KeyPair::from_pem(&key.serialize_pem()).unwrap(),
        )
        .unwrap();
        let mut request =
            CertificateSigningRequestParams::from_pem(&folder.request().unwrap()).unwrap();
        request.params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        let signed = request.signed_by(&issuer).unwrap().pem();
        folder
            .install(&Issued::from_bundle(&(signed + &certificate)).unwrap())
            .unwrap();
        let link = dial(&listener, Credentials::open(&folder).unwrap());
        let mut peer = listener.accept().await.unwrap();
        link.send("mine").await.unwrap();
        assert_eq!(message(&mut peer.link).await, b"mine");
    }
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let leaf = CertificateParams::default()
        .self_signed(&one)
        .unwrap()
        .pem();
    for key in [&one, &other] {
        let import = Import {
            certificate: &leaf,
            key: &key.serialize_pem(),
        };
        let folder = tempfile::tempdir().unwrap();
        assert!(Authority::create(&folder.path().join("ca"), name("f"), 7, Some(&import)).is_err());
    }
}

#[test]
fn a_member_takes_only_its_own_certificate() {
    let federation = Federation::new();
    let (a, b) = (
        federation.applicant(Role::Party, "a"),
        federation.applicant(Role::Party, "b"),
    );
    let (_, issued) = federation
        .authority
        .approve(&a.request().unwrap(), false)
        .unwrap();
    assert!(b.install(&issued).is_err());
    a.install(&issued).unwrap();
    assert_eq!(Issued::from_bundle(&issued.to_bundle()).unwrap(), issued);
    // Another root does not replace the one a member enrolled under.
    let other = Federation::new();
    let (_, theirs) = other
        .authority
        .approve(&a.request().unwrap(), false)
        .unwrap();
    assert!(a.install(&theirs).is_err());
    // A name has one key, a key one name, until it is replaced.
    let stolen = signing_request(&b.key().unwrap(), a.member()).unwrap();
    assert!(federation.authority.approve(&stolen, false).is_err());
    let renamed = signing_request(&a.key().unwrap(), b.member()).unwrap();
    assert!(federation.authority.approve(&renamed, false).is_err());
    let old = chain(&federation, Role::Party, "a");
    federation.authority.approve(&stolen, true).unwrap();
    let trust = trust(&federation);
    trust
        .update(&std::fs::read(federation.authority.list_path()).unwrap())
        .unwrap();
    assert!(
        trust.verify(&old, Usage::Client).is_err(),
        "the lost key's certificate"
    );
    federation
        .authority
        .revoke(Role::Party, &name("a"))
        .unwrap();
    assert!(federation.authority.approve(&stolen, false).is_err());
    assert!(federation.authority.approve(&stolen, true).is_err());
}
