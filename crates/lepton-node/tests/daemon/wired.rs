//! The same daemons over real sockets: certificates of an authority, mutual TLS, parties that dial out.

use std::sync::Arc;
use std::time::Duration;

use lepton_node::daemon::Own;
use lepton_node::daemon::client::Client;
use lepton_node::daemon::coordinator::{CoordinatorDaemon, CoordinatorSetup, Times};
use lepton_node::daemon::party::{PartyDaemon, PartySetup};
use lepton_node::daemon::wired::{Enrolled, dial, listen};
use lepton_node::metrics::Readiness;
use lepton_node::net::pki::{Authority, Member, MemberFolder, Role};
use lepton_node::net::{Credentials, DialConfig, Limits, ListenConfig, Listener};
use lepton_node::random::Entropy;
use lepton_node::signed_report::{Keys, verify_file};
use lepton_node::store::Database;
use lepton_node::trainers::Trainers;
use lepton_protocol::control::SignedJob;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::whole::tumours;
use crate::world::{Someone, World, owner, store, trail};

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

fn time() -> String {
    "2026-01-01T00:00:00Z".to_owned()
}

fn config(address: &str, credentials: Credentials) -> DialConfig {
    let mut config = DialConfig::new(address.to_owned(), credentials);
    config.pause = (Duration::from_millis(20), Duration::from_millis(200));
    config
}

/// A coordinator on a port of its own; gives its address.
async fn start_hub(
    world: &World,
    enrolment: &Enrolment,
    stopped: &watch::Receiver<bool>,
) -> String {
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
    let (folder, hub) = (world.folder.path(), Someone::new(Role::Coordinator, "hub"));
    let minute = Duration::from_secs(60);
    let coordinator = CoordinatorDaemon::open(CoordinatorSetup {
        own,
        database: Database::open(&store(folder, "hub"), "hub").unwrap(),
        folder: folder.join("hub-jobs"),
        trail: trail(folder, &hub, time).unwrap(),
        most_jobs: 16,
        authority: trust,
        min_parties: 3,
        expected: (0..3).map(|index| format!("p{index}")).collect(),
        times: Times {
            joining: minute,
            patience: minute,
            waiting: minute,
        },
        entropy: Entropy::System,
        clock: time,
    });
    tokio::spawn(
        coordinator
            .unwrap()
            .serve(listen(listener), stopped.clone()),
    );
    address
}

fn start_party(
    (world, index): (&World, usize),
    (enrolment, address): (&Enrolment, &str),
    stopped: &watch::Receiver<bool>,
) {
    let name = format!("p{index}");
    let (credentials, own) = enrolment.enrol(Role::Party, &name);
    world.write_policy(index);
    let folder = world.folder.path();
    let daemon = PartyDaemon::open(PartySetup {
        own,
        database: Database::open(&store(folder, &name), &name).unwrap(),
        folder: world.home(index),
        authority: Arc::new(credentials.trust().clone()),
        owner: owner(folder, &name, &world.tables[index]),
        ledger: None,
        trainers: Trainers::default(),
        trail: trail(folder, &World::party(index), time).unwrap(),
        readiness: Readiness::new(),
        most_jobs: 4,
        entropy: Entropy::System,
        clock: time,
    });
    let links = dial(config(address, credentials), Arc::new(|_| {})).unwrap();
    tokio::spawn(daemon.unwrap().serve(links, stopped.clone()));
}

/// JC-01 to JC-12 once over the network: enrol, submit, watch, pull.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_over_mutual_tls() {
    let (world, text): (World, String) = tumours(&[]);
    let enrolment = Enrolment::new();
    let (_stop, stopped) = watch::channel(false);
    let address = start_hub(&world, &enrolment, &stopped).await;
    for index in 0..3 {
        start_party((&world, index), (&enrolment, &address), &stopped);
    }
    let (credentials, ada) = enrolment.enrol(Role::Scientist, "ada");
    let mut links = dial(config(&address, credentials), Arc::new(|_| {})).unwrap();
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
    let out = world.folder.path().join("results");
    client.pull(digest, &out).await.unwrap();
    // What was pulled verifies as it lies there, under the coordinator's key.
    let mut keys = Keys::default();
    keys.require(&out.join("keys/coordinator.pem")).unwrap();
    let verified = verify_file(&out.join("privacy.json"), &keys).unwrap();
    assert!(verified.verified && verified.authenticated, "{verified:?}");
}
