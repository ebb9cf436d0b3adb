//! A federation in a temporary folder, for the other modules.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lepton_node::net::pki::{Authority, Member, MemberFolder, Name, Role};
use lepton_node::net::{
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
        let notices = self.notices.clone();
        ListenConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            credentials: self.member(Role::Coordinator, "hub"),
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
