//! A federation of daemons in this process: real stores on the disk, links in memory, certificates of a root key of the test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lepton_crypto::{IdentityKey, IdentityPublic, Seed, Signature, sha256};
use lepton_dp::{Delta, Epsilon};
use lepton_node::audit_log::AuditLog;
use lepton_node::config::{StoreConfig, TableConfig};
use lepton_node::daemon::client::Client;
use lepton_node::daemon::coordinator::{CoordinatorDaemon, CoordinatorSetup, Times};
use lepton_node::daemon::party::{Owner, PartyDaemon, PartySetup};
use lepton_node::daemon::{Authority, Connection, Member, Own, Role, Trail, in_memory};
use lepton_node::error::NodeError;
use lepton_node::ledger::{Cells, DurableLedger};
use lepton_node::metrics::{Metrics, Readiness};
use lepton_node::random::Entropy;
use lepton_node::store::Database;
use lepton_node::trainers::Trainers;
use lepton_protocol::control::{Body, Control, SignedJob, StartPart};
use lepton_protocol::ledger::{Budget, Unit};
use lepton_protocol::policy::Moment;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// One who has a key and a certificate of the test's root: `role name key signature`.
#[derive(Clone)]
pub struct Someone {
    pub name: String,
    pub role: Role,
    /// Stands in the certificate's place where a test wants another.
    pub stranger: bool,
}

impl Someone {
    pub fn new(role: Role, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role,
            stranger: false,
        }
    }

    pub fn member(&self) -> Member {
        Member {
            name: self.name.clone(),
            role: self.role,
            key: self.identity().public(),
            serial: "01".to_owned(),
        }
    }
}

fn key_of(text: &str) -> IdentityKey {
    IdentityKey::from_seed(Seed::from_bytes(*sha256(text.as_bytes()).as_bytes()))
}

fn root(stranger: bool) -> IdentityKey {
    key_of(if stranger { "another root" } else { "root" })
}

impl Own for Someone {
    fn identity(&self) -> IdentityKey {
        key_of(&format!("{} {}", self.role, self.name))
    }

    fn certificate(&self) -> Vec<u8> {
        self.certificate_for(&self.identity())
    }
}

impl Someone {
    /// As the root would write it for another key.
    pub fn certificate_for(&self, key: &IdentityKey) -> Vec<u8> {
        let mut bytes = key.public().to_bytes().to_vec();
        bytes.extend(format!("{} {}", self.role, self.name).into_bytes());
        let signature = root(self.stranger).sign("test certificate", &bytes);
        [signature.to_bytes().to_vec(), bytes].concat()
    }
}

pub struct Root;

impl Authority for Root {
    fn member(&self, certificate: &[u8]) -> Result<Member, String> {
        let wrong = || "not of this federation".to_owned();
        let (signature, signed) = certificate.split_at_checked(64).ok_or_else(wrong)?;
        let signature = Signature::try_from(signature).map_err(|_| wrong())?;
        root(false)
            .public()
            .verify("test certificate", signed, &signature)
            .map_err(|_| wrong())?;
        let (key, text) = signed.split_at_checked(32).ok_or_else(wrong)?;
        let text = std::str::from_utf8(text).map_err(|_| wrong())?;
        let (role, name) = text.split_once(' ').ok_or_else(wrong)?;
        let role = role.parse().map_err(|_| wrong())?;
        let key = IdentityPublic::try_from(key).map_err(|_| wrong())?;
        Ok(Member {
            name: name.to_owned(),
            role,
            key,
            serial: "01".to_owned(),
        })
    }
}

/// A policy that opens every table to scientists; [`World::policy`] is written after it.
pub const OPEN: &str = "[submit]\nroles = [\"scientist\"]\n[privacy]\nrequired = false\nepsilon = 20\ndelta = 1e-4\nperiod_epsilon = 1000\nperiod_delta = 0.5\n";

fn policy(tables: &[&str], more: &str) -> String {
    let mut text = String::from(OPEN);
    for table in tables {
        text += &format!("[tables.{table}]\n");
    }
    text + more
}

/// A store in one SQLite file, or in the PostgreSQL database that the environment names.
pub fn store(folder: &Path, owner: &str) -> StoreConfig {
    StoreConfig {
        url: format!("sqlite:{}", folder.join(format!("{owner}.db")).display()),
        key_file: folder.join(format!("{owner}.key")),
        anchor: folder.join(format!("{owner}.anchor")),
        password: None,
    }
}

pub fn trail(folder: &Path, who: &Someone, clock: fn() -> String) -> Result<Trail, NodeError> {
    let log = folder.join(format!("{}-audit", who.name));
    let signer = Arc::new(who.identity());
    let audit = AuditLog::open(&log, 10_000, (&who.name, signer), clock)?;
    Ok(Trail::new(audit, Arc::new(Metrics::new("test", "0"))))
}

pub fn owner(folder: &Path, name: &str, table: &Path) -> Owner {
    let table = TableConfig {
        path: table.to_owned(),
        // The key of a vault lies beside it.
        key: lepton_vault::table_place(table).map(|(vault, _)| vault.with_extension("key")),
        types: std::collections::BTreeMap::new(),
    };
    Owner {
        name: name.to_owned(),
        policy: folder.join(format!("{name}-policy.toml")),
        tables: ["breast_cancer", "telecom_churn"]
            .into_iter()
            .map(|name| (name.to_owned(), table.clone()))
            .collect(),
        now: || Moment::from_unix(1_750_000_000),
    }
}

/// A daemon that runs.
struct Running {
    links: mpsc::Sender<Connection>,
    task: JoinHandle<Result<(), NodeError>>,
    _stop: watch::Sender<bool>,
}

pub struct World {
    pub folder: TempDir,
    pub tables: Vec<PathBuf>,
    coordinator: Option<Running>,
    parties: Vec<Option<Running>>,
    pub min_parties: usize,
    pub expected: usize,
    /// How long the coordinator waits for a silent party.
    pub patience: Duration,
    /// Written into every policy after [`OPEN`] and the tables.
    pub policy: String,
    /// Whether every party has a durable ledger, with a budget for its table.
    pub ledger: bool,
    /// What trains custom models, at every party.
    pub trainers: Trainers,
    /// Changes the text of every policy.
    pub edit_policy: Box<dyn Fn(String) -> String + Send + Sync>,
}

fn no_time() -> String {
    "2026-01-01T00:00:00Z".to_owned()
}

impl World {
    pub fn new(folder: TempDir, tables: Vec<PathBuf>) -> Self {
        Self {
            folder,
            coordinator: None,
            parties: tables.iter().map(|_| None).collect(),
            min_parties: tables.len(),
            expected: tables.len(),
            patience: Duration::from_secs(60),
            policy: "[approval]\nperson = \"never\"\n".to_owned(),
            ledger: false,
            trainers: Trainers::default(),
            edit_policy: Box::new(|policy| policy),
            tables,
        }
    }

    pub fn party(index: usize) -> Someone {
        Someone::new(Role::Party, &format!("p{index}"))
    }

    pub fn home(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("p{index}-home"))
    }

    /// Everybody runs and is linked.
    pub async fn up(&mut self) {
        self.start_coordinator().await;
        for index in 0..self.parties.len() {
            self.start_party(index).await;
        }
    }

    /// Starts the coordinator and links the parties that run to it.
    pub async fn start_coordinator(&mut self) {
        let daemon = retry(|| {
            CoordinatorDaemon::open(CoordinatorSetup {
                own: Arc::new(Someone::new(Role::Coordinator, "hub")),
                database: Database::open(&store(self.folder.path(), "hub"), "hub")?,
                folder: self.folder.path().join("hub-jobs"),
                trail: trail(
                    self.folder.path(),
                    &Someone::new(Role::Coordinator, "hub"),
                    no_time,
                )?,
                most_jobs: 16,
                authority: Arc::new(Root),
                min_parties: self.min_parties,
                expected: (0..self.expected)
                    .map(|index| format!("p{index}"))
                    .collect(),
                times: Times {
                    joining: Duration::from_secs(5),
                    patience: self.patience,
                    waiting: Duration::from_secs(120),
                },
                entropy: Entropy::InsecureSeed(5),
                clock: no_time,
            })
        })
        .await;
        let (links, inbox) = mpsc::channel(16);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(daemon.serve(inbox, stopped));
        self.coordinator = Some(Running {
            links,
            task,
            _stop: stop,
        });
        for index in 0..self.parties.len() {
            self.link(index).await;
        }
    }

    /// A daemon of a party, not yet served; tried again while the killed one's lock is there.
    pub async fn try_party(&self, index: usize) -> Result<PartyDaemon, NodeError> {
        let (folder, name) = (self.folder.path(), format!("p{index}"));
        self.write_policy(index);
        for _ in 0..500 {
            let database = match Database::open(&store(folder, &name), &name) {
                Err(NodeError::Use(_)) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
                other => other?,
            };
            return PartyDaemon::open(PartySetup {
                own: Arc::new(Self::party(index)),
                database,
                folder: self.home(index),
                authority: Arc::new(Root),
                owner: owner(folder, &name, &self.tables[index]),
                ledger: self.ledger(index),
                trainers: self.trainers.clone(),
                trail: trail(folder, &Self::party(index), no_time)?,
                readiness: Readiness::new(),
                most_jobs: 4,
                entropy: Entropy::InsecureSeed(5),
                clock: no_time,
            });
        }
        panic!("the folder stays locked");
    }

    pub async fn start_party(&mut self, index: usize) {
        let daemon = self.try_party(index).await.unwrap();
        let (links, inbox) = mpsc::channel(16);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(daemon.serve(inbox, stopped));
        self.parties[index] = Some(Running {
            links,
            task,
            _stop: stop,
        });
        self.link(index).await;
    }

    pub fn write_policy(&self, index: usize) {
        let path = self.folder.path().join(format!("p{index}-policy.toml"));
        let text = policy(&["breast_cancer", "telecom_churn"], &self.policy);
        let whole = path.with_extension("new");
        std::fs::write(&whole, (self.edit_policy)(text)).unwrap();
        std::fs::rename(whole, path).unwrap();
    }

    /// Every party gets a ledger with this budget for its table.
    pub fn with_ledgers(&mut self, epsilon: f64) {
        self.ledger = true;
        for (index, table) in self.tables.iter().enumerate() {
            let ledger = DurableLedger::open_or_create(&self.ledger_path(index), no_time).unwrap();
            let numbers = (Epsilon::new(epsilon).unwrap(), Delta::new(1e-4).unwrap());
            let budget = Budget::new(Unit::Record, numbers, Budget::WARN_AT).unwrap();
            let cells = Cells::read(table).unwrap();
            ledger.set_budget("cells", (cells, None), budget).unwrap();
        }
    }

    pub fn ledger_path(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("p{index}-ledger.db"))
    }

    pub fn audit(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("p{index}-audit"))
    }

    pub fn hub_audit(&self) -> PathBuf {
        self.folder.path().join("hub-audit")
    }

    fn ledger(&self, index: usize) -> Option<Arc<DurableLedger>> {
        let path = self.ledger_path(index);
        self.ledger
            .then(|| Arc::new(DurableLedger::open_or_create(&path, no_time).unwrap()))
    }

    /// A new link between a party and the coordinator, where both run.
    pub async fn link(&self, index: usize) {
        let (Some(party), Some(coordinator)) = (&self.parties[index], &self.coordinator) else {
            return;
        };
        let hub = Someone::new(Role::Coordinator, "hub");
        let (at_party, at_hub) = in_memory(Self::party(index).member(), hub.member());
        let _ = coordinator.links.send(at_hub).await;
        let _ = party.links.send(at_party).await;
    }

    /// The other end of a new link to a party that runs: for a coordinator that a test plays.
    pub async fn link_as_coordinator(&self, index: usize) -> Connection {
        let hub = Someone::new(Role::Coordinator, "hub");
        let (at_party, at_hub) = in_memory(Self::party(index).member(), hub.member());
        let party = self.parties[index].as_ref().unwrap();
        party.links.send(at_party).await.unwrap();
        at_hub
    }

    /// A party's end of a new link to the coordinator: for a party that a test plays.
    pub async fn link_as_party(&self, index: usize) -> Connection {
        let hub = Someone::new(Role::Coordinator, "hub");
        let (at_party, at_hub) = in_memory(Self::party(index).member(), hub.member());
        let coordinator = self.coordinator.as_ref().unwrap();
        coordinator.links.send(at_hub).await.unwrap();
        at_party
    }

    /// Ends a party as `kill -9` does, at some step: nothing more is said, and when this returns nothing more is written.
    pub async fn kill_party(&mut self, index: usize) {
        if let Some(running) = self.parties[index].take() {
            running.task.abort();
            let _ = running.task.await;
            self.until_unlocked(&format!("p{index}")).await;
        }
    }

    pub async fn kill_coordinator(&mut self) {
        if let Some(running) = self.coordinator.take() {
            running.task.abort();
            let _ = running.task.await;
            self.until_unlocked("hub").await;
        }
    }

    /// A step that had begun on another thread ends by itself, and lets the store go when it has.
    async fn until_unlocked(&self, owner: &str) {
        let path = self.folder.path().join(format!("{owner}.anchor.lock"));
        let lock = std::fs::File::open(path).unwrap();
        for _ in 0..500 {
            if lock.try_lock().is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{owner} was killed, and its store stays locked");
    }

    /// A command of somebody at the coordinator.
    pub async fn client(&self, who: &Someone) -> Client {
        let hub = Someone::new(Role::Coordinator, "hub");
        let (at_client, at_hub) = in_memory(who.member(), hub.member());
        self.coordinator
            .as_ref()
            .unwrap()
            .links
            .send(at_hub)
            .await
            .unwrap();
        Client::new(at_client)
    }
}

/// Until the killed process's lock is gone.
async fn retry<T>(mut open: impl FnMut() -> Result<T, NodeError>) -> T {
    for _ in 0..500 {
        match open() {
            Err(NodeError::Use(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            other => return other.unwrap(),
        }
    }
    panic!("the folder stays locked");
}

pub fn ada() -> Someone {
    Someone::new(Role::Scientist, "ada")
}

pub fn signed(text: &str, who: &Someone) -> SignedJob {
    SignedJob::sign(text.to_owned(), who.certificate(), &who.identity())
}

/// Deals a table's lines to so many files, one after the other.
pub fn deal(table: &Path, parties: usize, folder: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(table).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let mut parts = vec![format!("{header}\n"); parties];
    for (number, line) in lines.enumerate() {
        parts[number % parties] += &format!("{line}\n");
    }
    let write = |(index, part): (usize, &String)| {
        let path = folder.join(format!("p{index}.csv"));
        std::fs::write(&path, part).unwrap();
        path
    };
    parts.iter().enumerate().map(write).collect()
}

/// A link over which a test says what it likes.
pub struct Raw {
    link: Connection,
    who: Someone,
    job: [u8; 32],
}

impl World {
    /// A link of somebody to the coordinator, and nothing said over it.
    pub async fn raw(&self, who: &Someone) -> Raw {
        let hub = Someone::new(Role::Coordinator, "hub");
        let (link, at_hub) = in_memory(who.member(), hub.member());
        let links = &self.coordinator.as_ref().unwrap().links;
        links.send(at_hub).await.unwrap();
        let (who, job) = (who.clone(), [0; 32]);
        Raw { link, who, job }
    }
}

impl Raw {
    async fn say(&self, body: Body) {
        let job = self.job;
        let bytes = Control { job, body }.to_bytes();
        self.link.out.send(bytes).await.unwrap();
    }

    async fn hear(&mut self) -> Body {
        let bytes = self.link.inbox.recv().await.unwrap();
        Control::from_bytes(bytes).unwrap().body
    }

    /// What follows is about this job.
    pub fn of(&mut self, text: &str) {
        self.job = *sha256(text.as_bytes()).as_bytes();
    }

    pub async fn submit(&mut self, text: &str) {
        self.of(text);
        self.say(Body::Submit(signed(text, &self.who))).await;
    }

    pub async fn part(&self, whole: &bytes::Bytes, from: u64, most: usize) {
        let part = StartPart::cut(whole, from, most).unwrap();
        self.say(Body::Start(part)).await;
    }

    pub async fn wanted(&mut self) -> u64 {
        match self.hear().await {
            Body::Wanted(from) => from,
            other => panic!("{other:?}"),
        }
    }

    pub async fn refused(&mut self) -> String {
        match self.hear().await {
            Body::Refused(refusal) => refusal.words,
            other => panic!("{other:?}"),
        }
    }
}
