//! The same daemons over real sockets: certificates of an authority, mutual TLS, parties that dial out.

use std::sync::Arc;
use std::time::Duration;

use lepton_node::daemon::Own;
use lepton_node::daemon::client::Client;
use lepton_node::daemon::coordinator::{CoordinatorDaemon, CoordinatorSetup, Times};
use lepton_node::daemon::party::{PartyDaemon, PartySetup};
use lepton_node::daemon::wired::{Enrolled, dial, listen};
use lepton_node::net::pki::{Authority, Member, MemberFolder, Role};
use lepton_node::net::{Credentials, DialConfig, Limits, ListenConfig, Listener};
use lepton_node::random::Entropy;
use lepton_protocol::control::SignedJob;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::whole::tumours;
use crate::world::{Open, World};

struct Enrolment {
    folder: TempDir,
    authority: Authority,
}

impl Enrolment {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let federation = "trial".parse().unwrap();
        let authority = Authority::create(&folder.path().join("ca"), federation, 7, None).unwrap();
        Self { folder, authority }
    }

    fn enrol(&self, role: Role, name: &str) -> (Credentials, Arc<Enrolled>) {
        let member = Member {
            federation: self.authority.federation().unwrap(),
            role,
            name: name.parse().unwrap(),
        };
        let path = self.folder.path().join(format!("{role}-{name}"));
        let folder = MemberFolder::create(&path, member, None).unwrap();
        let (_, issued) = self
            .authority
            .approve(&folder.request().unwrap(), false)
            .unwrap();
        folder.install(&issued).unwrap();
        let credentials = Credentials::open(&folder).unwrap();
        (
            credentials.clone(),
            Arc::new(Enrolled::new(credentials, &folder)),
        )
    }
}

fn config(address: &str, credentials: Credentials) -> DialConfig {
    let mut config = DialConfig::new(address.to_owned(), credentials);
    config.pause = (Duration::from_millis(20), Duration::from_millis(200));
    config
}

/// JC-01 to JC-12 once over the network: enrol, submit, watch, pull.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_over_mutual_tls() {
    let (world, text): (World, String) = tumours(&[]);
    let enrolment = Enrolment::new();
    let (credentials, own) = enrolment.enrol(Role::Coordinator, "hub");
    let trust = Arc::new(credentials.trust().clone());
    let listener = Listener::bind(ListenConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        credentials,
        limits: Limits::default(),
        enrolment: None,
        observer: None,
    });
    let listener = listener.await.unwrap();
    let address = listener.address().to_string();
    let coordinator = CoordinatorDaemon::open(CoordinatorSetup {
        own,
        home: world.folder.path().join("hub-home"),
        authority: trust,
        min_parties: 3,
        expected: (0..3).map(|index| format!("p{index}")).collect(),
        times: Times {
            joining: Duration::from_secs(60),
            patience: Duration::from_secs(60),
            waiting: Duration::from_secs(60),
        },
        entropy: Entropy::System,
        clock: || "2026-01-01T00:00:00Z".to_owned(),
    });
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(
        coordinator
            .unwrap()
            .serve(listen(listener), stopped.clone()),
    );
    for (index, table) in world.tables.iter().enumerate() {
        let name = format!("p{index}");
        let (credentials, own) = enrolment.enrol(Role::Party, &name);
        let daemon = PartyDaemon::open(PartySetup {
            name,
            own,
            home: world.home(index),
            authority: Arc::new(credentials.trust().clone()),
            gate: Arc::new(Open {
                table: table.clone(),
                least: 3,
                ask: false,
            }),
            ledger: None,
            entropy: Entropy::System,
            clock: || "2026-01-01T00:00:00Z".to_owned(),
        });
        let links = dial(config(&address, credentials)).unwrap();
        tokio::spawn(daemon.unwrap().serve(links, stopped.clone()));
    }
    let (credentials, ada) = enrolment.enrol(Role::Scientist, "ada");
    let mut links = dial(config(&address, credentials)).unwrap();
    let mut client = Client::new(links.recv().await.unwrap());
    let job = SignedJob::sign(text, ada.certificate(), &ada.identity());
    let digest = job.digest();
    client.submit(job).await.unwrap();
    let mut events = 0;
    let end = client.watch(digest, 0, |_| events += 1).await.unwrap();
    assert!(
        end.starts_with("finished: 3 of 3 rounds") && events > 5,
        "{end}"
    );
    assert_eq!(client.pull(digest).await.unwrap().len(), 5);
}
