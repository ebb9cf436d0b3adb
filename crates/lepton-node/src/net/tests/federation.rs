//! A federation in a temporary folder, for the other modules.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::net::pki::{Authority, Member, MemberFolder, Name, Role};
use crate::net::{
    Credentials, DialConfig, Dialer, EnrolConfig, Event, Limits, Link, ListenConfig, Listener,
};
use tempfile::TempDir;

/// An authority and its members' folders.
pub(crate) struct Federation {
    pub(crate) folder: TempDir,
    pub(crate) authority: Arc<Authority>,
    pub(crate) notices: Arc<Mutex<Vec<String>>>,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Federation {
    pub(crate) fn new() -> Self {
        Self::named("trial")
    }

    pub(crate) fn named(federation: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca");
        let authority = Authority::create(&ca, name(federation), 7, None).unwrap();
        Self {
            folder,
            authority: Arc::new(authority),
            notices: Arc::default(),
        }
    }

    pub(crate) fn path(&self, role: Role, member: &str) -> PathBuf {
        self.folder.path().join(format!("{role}-{member}"))
    }

    /// A member that has a key but no certificate.
    pub(crate) fn applicant(&self, role: Role, member: &str) -> MemberFolder {
        let about = Member {
            federation: self.authority.federation().unwrap(),
            role,
            name: name(member),
        };
        MemberFolder::create(&self.path(role, member), about, None).unwrap()
    }

    /// A member with a certificate.
    pub(crate) fn member(&self, role: Role, member: &str) -> Credentials {
        let folder = self.applicant(role, member);
        let request = folder.request().unwrap();
        let (_, issued) = self.authority.approve(&request, false).unwrap();
        folder.install(&issued).unwrap();
        Credentials::open(&folder).unwrap()
    }

    pub(crate) fn listen_config(&self) -> ListenConfig {
        self.listen_config_of("hub")
    }

    pub(crate) fn listen_config_of(&self, coordinator: &str) -> ListenConfig {
        let notices = self.notices.clone();
        ListenConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            credentials: self.member(Role::Coordinator, coordinator),
            limits: Limits::default(),
            enrolment: Some(EnrolConfig {
                registrar: self.authority.clone(),
            }),
            observer: Some(Arc::new(move |notice| {
                notices.lock().unwrap().push(notice.text)
            })),
        }
    }

    pub(crate) async fn listen(&self) -> Listener {
        Listener::bind(self.listen_config()).await.unwrap()
    }

    pub(crate) fn notices(&self) -> String {
        self.notices.lock().unwrap().join("\n")
    }
}

pub(crate) fn dial_config(to: &Listener, credentials: Credentials) -> DialConfig {
    let mut config = DialConfig::new(to.address().to_string(), credentials);
    config.pause = (Duration::from_millis(20), Duration::from_millis(200));
    config
}

pub(crate) fn dial(to: &Listener, credentials: Credentials) -> Link {
    Dialer::connect(dial_config(to, credentials)).unwrap()
}

/// The next event, within a time that is enough on any machine.
pub(crate) async fn next(link: &mut Link) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(30), link.recv());
    event.await.expect("an event in time").expect("an event")
}

/// The next message; connections may come and go meanwhile.
pub(crate) async fn message(link: &mut Link) -> Vec<u8> {
    loop {
        match next(link).await {
            Event::Message(bytes) => return bytes,
            Event::Connected(_) | Event::Lost(_) | Event::Back | Event::Waiting(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The next event that `wanted` accepts; others are passed over.
pub(crate) async fn until(link: &mut Link, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = next(link).await;
        if wanted(&event) {
            return event;
        }
    }
}

/// The first reason why no connection could be made, or one was lost.
pub(crate) async fn trouble(link: &mut Link) -> String {
    match until(link, |event| {
        matches!(event, Event::Waiting(_) | Event::Lost(_))
    })
    .await
    {
        Event::Waiting(reason) | Event::Lost(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// Sets how long certificates live from now on, seconds.
pub(crate) fn set_life(federation: &Federation, seconds: u64) {
    let path = federation.folder.path().join("ca/members.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state["life"] = seconds.into();
    std::fs::write(&path, state.to_string()).unwrap();
}

/// Waits until `holds`, within a time that is enough on any machine.
pub(crate) async fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to hold");
}
