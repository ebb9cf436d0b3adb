//! Many parties over real sockets for many rounds, with churn: in every round some lose their connection and one is killed and started again. Shows
//! whether anything leaks or gets stuck: memory, open files and threads over the rounds, and the state of the job at the end.
//!
//! `cargo run --release -p lepton-node --example soak -- [PARTIES] [ROUNDS] [CHURN_PERCENT]`; one process, so allow it files: `ulimit -n 20000`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for one person at a terminal: it reads the clock, and a failure of its set-up ends it"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lepton_node::audit_log::AuditLog;
use lepton_node::config::{StoreConfig, TableConfig};
use lepton_node::daemon::client::Client;
use lepton_node::daemon::coordinator::{CoordinatorDaemon, CoordinatorSetup, Times};
use lepton_node::daemon::effective::effective_text;
use lepton_node::daemon::party::{Owner, PartyDaemon, PartySetup};
use lepton_node::daemon::wired::{Enrolled, dial, listen};
use lepton_node::daemon::{Own, Trail};
use lepton_node::error::NodeError;
use lepton_node::metrics::{Metrics, Readiness};
use lepton_node::net::pki::{Authority, Member, MemberFolder, Role};
use lepton_node::net::{Credentials, DialConfig, Limits, ListenConfig, Listener};
use lepton_node::random::Entropy;
use lepton_node::store::Database;
use lepton_node::trainers::Trainers;
use lepton_protocol::control::SignedJob;
use lepton_protocol::policy::Moment;
use lepton_protocol::progress::Progress;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const COLUMNS: usize = 10;
const ROWS: usize = 200;

fn time() -> String {
    "2026-01-01T00:00:00Z".to_owned()
}

struct World {
    folder: PathBuf,
    authority: Authority,
}

impl World {
    fn enrol(&self, role: Role, name: &str) -> (Credentials, Enrolled) {
        let path = self.folder.join(format!("{role}-{name}"));
        let folder = MemberFolder::open(&path).unwrap_or_else(|_| {
            let member = Member {
                federation: self.authority.federation().unwrap(),
                role,
                name: name.parse().unwrap(),
            };
            let folder = MemberFolder::create(&path, member, None).unwrap();
            let request = folder.request().unwrap();
            let (_, issued) = self.authority.approve(&request, false).unwrap();
            folder.install(&issued).unwrap();
            folder
        });
        let credentials = Credentials::open(&folder).unwrap();
        (credentials.clone(), Enrolled::new(credentials, &folder))
    }

    fn database(&self, name: &str) -> Result<Database, NodeError> {
        let file = |ending: &str| self.folder.join(format!("{name}.{ending}"));
        let config = StoreConfig {
            url: format!("sqlite:{}", file("db").display()),
            key_file: file("key"),
            anchor: file("anchor"),
            password: None,
        };
        Database::open(&config, name)
    }

    fn trail(&self, name: &str, own: &Enrolled) -> Result<Trail, NodeError> {
        let folder = self.folder.join(format!("{name}-audit"));
        let audit = AuditLog::open(&folder, 100_000, (name, Arc::new(own.identity())), time)?;
        Ok(Trail::new(audit, Arc::new(Metrics::new("soak", "0"))))
    }

    /// A table, a policy, and a daemon's set-up.
    fn party(&self, name: &str) -> Result<(PartySetup, Credentials), NodeError> {
        let (credentials, own) = self.enrol(Role::Party, name);
        let table = TableConfig {
            path: self.folder.join(format!("{name}.csv")),
            key: None,
            types: BTreeMap::new(),
        };
        let setup = PartySetup {
            database: self.database(name)?,
            folder: self.folder.join(format!("{name}-jobs")),
            authority: Arc::new(credentials.trust().clone()),
            owner: Owner {
                name: name.to_owned(),
                policy: self.folder.join("policy.toml"),
                tables: [("soak".to_owned(), table)].into(),
                now: || Moment::from_unix(1_750_000_000),
            },
            ledger: None,
            trail: self.trail(name, &own)?,
            trainers: Trainers::default(),
            readiness: Readiness::new(),
            most_jobs: 4,
            entropy: Entropy::System,
            clock: time,
            own: Arc::new(own),
        };
        Ok((setup, credentials))
    }

    fn write_tables(&self, parties: usize) {
        let policy = "[submit]\nroles = [\"scientist\"]\n[tables.soak]\n[privacy]\nrequired = false\n[approval]\nperson = \"never\"\n[attempts]\nper_round = 100\n";
        std::fs::write(self.folder.join("policy.toml"), policy).unwrap();
        let mut state = 1_u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 24)
        };
        for party in 0..parties {
            let names: Vec<String> = (0..COLUMNS).map(|column| format!("x{column}")).collect();
            let mut text = format!("{},y\n", names.join(","));
            for _ in 0..ROWS {
                let row: Vec<f64> = (0..COLUMNS).map(|_| draw()).collect();
                let high = row.iter().sum::<f64>() + draw() > COLUMNS as f64 / 2.0 + 0.5;
                for value in &row {
                    write!(text, "{value:.4},").unwrap();
                }
                text += if high { "yes\n" } else { "no\n" };
            }
            std::fs::write(self.folder.join(format!("p{party}.csv")), text).unwrap();
        }
    }
}

fn job(rounds: u32, drops: usize) -> String {
    let names: Vec<String> = (0..COLUMNS)
        .map(|column| format!("\"x{column}\""))
        .collect();
    let types: Vec<String> = (0..COLUMNS)
        .map(|column| format!("x{column} = \"number\""))
        .collect();
    let bounds: Vec<String> = (0..COLUMNS)
        .map(|column| format!("x{column} = [0, 1]"))
        .collect();
    format!(
        "[job]\nname = \"soak\"\n[data]\ntable = \"soak\"\nlabel = \"y\"\nclasses = [\"no\", \"yes\"]\nfeatures = [{}]\ntypes = {{ {} }}\nsplit = {{ by = \"even\", parties = 3 }}\n\
         [prepare.bounds]\n{}\n[model]\nkind = \"logistic\"\n[training]\nrounds = {rounds}\nbatch = 1000\nlearning_rate = 0.1\n[evaluation]\nevery = 10\n[protection]\ncolluders = 1\ndrops = {drops}\n",
        names.join(", "),
        types.join(", "),
        bounds.join("\n")
    )
}

/// The way from one party to the coordinator, which can be cut.
struct Wire {
    address: SocketAddr,
    open: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Wire {
    async fn lay(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, open) = (listener.local_addr().unwrap(), Arc::default());
        let held: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let task = tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(hub).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                let mut held = held.lock().unwrap();
                held.retain(|task| !task.is_finished());
                held.push(task);
            }
        });
        Self { address, open }
    }

    fn cut(&self) {
        for task in self.open.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

/// A party that can be killed and started again.
struct Party {
    name: String,
    wire: Wire,
    task: JoinHandle<()>,
}

impl Party {
    async fn start(
        world: &World,
        name: String,
        wire: Wire,
        stopped: &watch::Receiver<bool>,
    ) -> Self {
        let task = Self::run(world, (&name, wire.address), stopped).await;
        Self { name, wire, task }
    }

    async fn run(
        world: &World,
        (name, address): (&str, SocketAddr),
        stopped: &watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let (setup, credentials) = loop {
            // The killed one's lock may still be there.
            match world.party(name) {
                Err(NodeError::Use(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                other => break other.unwrap(),
            }
        };
        let mut config = DialConfig::new(address.to_string(), credentials);
        config.pause = (Duration::from_millis(20), Duration::from_millis(500));
        let links = dial(config, Arc::new(|_| {})).unwrap();
        let daemon = PartyDaemon::open(setup).unwrap();
        let stopped = stopped.clone();
        tokio::spawn(async move {
            daemon.serve(links, stopped).await.unwrap();
        })
    }

    async fn restart(&mut self, world: &World, stopped: &watch::Receiver<bool>) {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.task = Self::run(world, (&self.name, self.wire.address), stopped).await;
    }
}

async fn start_hub(world: &World, parties: usize, stopped: &watch::Receiver<bool>) -> SocketAddr {
    let (credentials, own) = world.enrol(Role::Coordinator, "hub");
    let authority = Arc::new(credentials.trust().clone());
    let listener = Listener::bind(ListenConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        credentials,
        limits: Limits::default(),
        enrolment: None,
        observer: None,
    });
    let listener = listener.await.unwrap();
    let address = listener.address();
    let daemon = CoordinatorDaemon::open(CoordinatorSetup {
        database: world.database("hub").unwrap(),
        folder: world.folder.join("hub-jobs"),
        trail: world.trail("hub", &own).unwrap(),
        authority,
        min_parties: parties,
        expected: (0..parties).map(|party| format!("p{party}")).collect(),
        times: Times {
            joining: Duration::from_secs(300),
            patience: Duration::from_secs(20),
            waiting: Duration::from_secs(300),
        },
        most_jobs: 4,
        entropy: Entropy::System,
        clock: time,
        own: Arc::new(own),
    });
    tokio::spawn(daemon.unwrap().serve(listen(listener), stopped.clone()));
    address
}

/// Resident memory in MiB, open files, threads.
fn figures() -> (u64, usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
    };
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let threads = field("Threads:").unwrap_or(0);
    (
        field("VmRSS:").unwrap_or(0) / 1024,
        files,
        usize::try_from(threads).unwrap_or(0),
    )
}

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let number = |index: usize, usual: usize| numbers.get(index).copied().unwrap_or(usual);
    let (parties, rounds, churn) = (number(0, 100), number(1, 100), number(2, 5));
    let folder = std::env::temp_dir().join(format!("lepton-soak-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = runtime.block_on(soak(
        &folder,
        (parties, u32::try_from(rounds).unwrap()),
        churn,
    ));
    runtime.shutdown_timeout(Duration::from_secs(5));
    std::fs::remove_dir_all(&folder).unwrap();
    std::process::exit(i32::from(!done));
}

async fn soak(folder: &Path, (parties, rounds): (usize, u32), churn: usize) -> bool {
    let authority =
        Authority::create(&folder.join("ca"), "soak".parse().unwrap(), 7, None).unwrap();
    let world = World {
        folder: folder.to_owned(),
        authority,
    };
    world.write_tables(parties);
    let (_stop, stopped) = watch::channel(false);
    let hub = start_hub(&world, parties, &stopped).await;
    let mut all = Vec::new();
    for party in 0..parties {
        all.push(Party::start(&world, format!("p{party}"), Wire::lay(hub).await, &stopped).await);
    }
    let (credentials, ada) = world.enrol(Role::Scientist, "ada");
    let mut links = dial(
        DialConfig::new(hub.to_string(), credentials),
        Arc::new(|_| {}),
    )
    .unwrap();
    let mut client = Client::new(links.recv().await.unwrap());
    let lost = (parties * churn).div_ceil(100).max(1);
    let path = folder.join("job.toml");
    std::fs::write(&path, job(rounds, lost + 1)).unwrap();
    let text = effective_text(&path, &[]).unwrap();
    let signed = SignedJob::sign(text, ada.certificate(), &ada.identity());
    let digest = signed.digest();
    client.submit(signed).await.unwrap();
    let (told, mut round) = watch::channel(0_u32);
    let began = Instant::now();
    let watcher = tokio::spawn(async move {
        let mut abandoned = 0_u32;
        let end = client.watch(digest, 0, |event| match event.progress {
            Progress::Trained { round, .. } => {
                told.send_replace(round);
            }
            Progress::Abandoned { .. } => abandoned += 1,
            _ => {}
        });
        (end.await.unwrap(), abandoned)
    });
    println!("| round | s | MiB | files | threads |\n|---|---|---|---|---|");
    let mut turn = 0;
    while round.changed().await.is_ok() {
        let now = *round.borrow_and_update();
        for _ in 1..lost {
            if let Some(party) = all.get(turn % parties) {
                party.wire.cut();
            }
            turn += 7;
        }
        if let Some(party) = all.get_mut(turn % parties) {
            party.restart(&world, &stopped).await;
        }
        turn += 7;
        if now % 10 == 0 {
            let (memory, files, threads) = figures();
            println!(
                "| {now} | {:.0} | {memory} | {files} | {threads} |",
                began.elapsed().as_secs_f64()
            );
        }
    }
    let (end, abandoned) = watcher.await.unwrap();
    println!(
        "\n{end}; {abandoned} exchanges abandoned; {:.0} s",
        began.elapsed().as_secs_f64()
    );
    end.starts_with("finished")
}
