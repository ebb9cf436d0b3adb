//! A federation of processes in one folder: authority, coordinator, parties, and a scientist.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Call, Daemon, Done, PATIENCE, within};

/// How a federation is set up.
pub(crate) struct Setup<'a> {
    /// A file of `data/`, dealt row by row to the parties.
    pub(crate) table: &'a str,
    pub(crate) parties: usize,
    /// So many of them, the last ones, are neither expected nor started.
    pub(crate) late: usize,
    /// Whose stores are in the PostgreSQL database of the environment.
    pub(crate) postgres: bool,
    /// Network namespaces, one for each party, and the coordinator's address outside of them.
    pub(crate) namespaces: Option<(Vec<String>, String)>,
    /// Stands in every party's policy after the usual.
    pub(crate) policy: &'a str,
    /// Whether a person approves every job.
    pub(crate) approval: bool,
    /// Epsilon of the budget that every party sets on its table.
    pub(crate) budget: Option<f64>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            table: "breast_cancer",
            parties: 3,
            late: 0,
            postgres: false,
            namespaces: None,
            policy: "[privacy]\nrequired = false\nperiod_epsilon = 10000\nperiod_delta = 0.9\n",
            approval: false,
            budget: None,
        }
    }
}

/// The federation, its folder gone with it.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) hub: Daemon,
    pub(crate) parties: Vec<Daemon>,
    pub(crate) names: Vec<String>,
}

pub(crate) fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Every row of `from` to one of `parts` tables in turn.
fn deal(from: &Path, to: &[PathBuf]) {
    let text = std::fs::read_to_string(from).unwrap();
    let header = text.lines().next().unwrap();
    for (index, path) in to.iter().enumerate() {
        let rows = text.lines().skip(1).skip(index).step_by(to.len());
        let mut part: String = std::iter::once(header)
            .chain(rows)
            .collect::<Vec<_>>()
            .join("\n");
        part.push('\n');
        std::fs::write(path, part).unwrap();
    }
}

impl World {
    /// Enrols everybody by invitation over the network, and starts everybody.
    pub(crate) fn new(setup: &Setup<'_>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Several tests share one database: members of different federations have different names there.
        let tag = match setup.postgres {
            true => format!("-{}-{number}", std::process::id()),
            false => String::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..setup.parties).map(|i| format!("p{i}{tag}")).collect();
        let at = |name: &str| folder.path().join(name);
        for place in names.iter().map(String::as_str).chain(["hub"]) {
            std::fs::create_dir(at(place)).unwrap();
        }
        let namespace = |index: usize| {
            let names = setup.namespaces.as_ref().map(|(names, _)| names);
            names.map(|names| names[index].as_str())
        };
        let daemon =
            |(index, name): (usize, &String)| Daemon::new(&at(name), "party", namespace(index));
        let mut this = Self {
            hub: Daemon::new(&at("hub"), "coordinator", None),
            parties: names.iter().enumerate().map(daemon).collect(),
            names,
            folder,
        };
        let hub = format!("hub{tag}");
        this.lepton(&["ca", "init", "ca", "--federation", "trial"])
            .fine();
        this.lepton(&[
            "coordinator",
            "init",
            "hub/identity",
            "--name",
            &hub,
            "--ca",
            "ca",
        ])
        .fine();
        let address = this.found(setup, number);
        this.enrol_parties(setup, &address);
        this.enrol("scientist", "ada", "ada", &address, None);
        let federation =
            format!("[identity]\nfolder = \"ada\"\n[coordinator]\naddress = \"{address}\"\n");
        std::fs::write(this.path("federation.toml"), federation).unwrap();
        let there = setup.parties - setup.late;
        for party in this.parties.iter_mut().take(there) {
            party.start();
        }
        for party in this.parties.iter_mut().take(there) {
            party.says(" linked coordinator=");
        }
        this
    }

    /// Starts the coordinator at a port that is free, and gives the address: the same one after every restart.
    fn found(&mut self, setup: &Setup<'_>, number: u32) -> String {
        let (count, store) = (setup.parties - setup.late, store(setup));
        let names = self.names.iter().take(count);
        let expected: Vec<String> = names.map(|name| format!("{name:?}")).collect();
        let config = |address: &str| {
            format!(
                "[identity]\nfolder = \"identity\"\n[listen]\naddress = \"{address}\"\n[authority]\nfolder = \"../ca\"\n[parties]\nexpected = [{}]\nleast = {count}\n[rounds]\ndeadline_seconds = 30\njoin_seconds = 60\ngather_seconds = 60\n[metrics]\nlisten = \"off\"\n{store}",
                expected.join(", ")
            )
        };
        let host = match &setup.namespaces {
            Some((_, host)) => host.clone(),
            None => own_host(number),
        };
        let path = self.path("hub/coordinator.toml");
        std::fs::write(&path, config(&format!("{host}:0"))).unwrap();
        self.hub.start();
        let address = self.hub.says(" address=");
        std::fs::write(&path, config(&address)).unwrap();
        self.lepton(&["coordinator", "run", "hub/coordinator.toml", "--check"])
            .fine();
        address
    }

    fn enrol_parties(&self, setup: &Setup<'_>, address: &str) {
        deal(&root(&format!("data/{}.csv", setup.table)), &self.tables());
        let table = &setup.table;
        for (index, name) in self.names.iter().enumerate() {
            let namespace = setup
                .namespaces
                .as_ref()
                .map(|(names, _)| names[index].as_str());
            self.enrol(
                "party",
                name,
                &format!("{name}/identity"),
                address,
                namespace,
            );
            let config = format!(
                "[identity]\nfolder = \"identity\"\n[coordinator]\naddress = \"{address}\"\n[tables.{table}]\npath = \"table.csv\"\n[patience]\nretry_seconds = 1\n[metrics]\nlisten = \"off\"\n{}",
                store(setup)
            );
            std::fs::write(self.path(&format!("{name}/party.toml")), config).unwrap();
            let asks = match setup.approval {
                true => "always",
                false => "never",
            };
            let policy = format!(
                "[submit]\nroles = [\"scientist\"]\n[tables.{table}]\nmin_rows = 20\n[approval]\nperson = \"{asks}\"\n{}",
                setup.policy
            );
            std::fs::write(self.path(&format!("{name}/policy.toml")), policy).unwrap();
            if let Some(epsilon) = setup.budget {
                self.set_budget(name, epsilon);
            }
            let config = format!("{name}/party.toml");
            self.lepton(&["party", "run", &config, "--check"]).fine();
        }
    }

    fn set_budget(&self, name: &str, epsilon: f64) {
        let (ledger, table) = (format!("{name}/ledger.db"), format!("{name}/table.csv"));
        let epsilon = epsilon.to_string();
        let mut words = vec!["budget", "set", "--ledger", &ledger, "--table", &table];
        words.extend(["--data", "rows", "--epsilon", &epsilon, "--delta", "1e-5"]);
        self.lepton(&words).fine();
    }

    /// An invitation of the authority, redeemed over the network.
    fn enrol(&self, role: &str, name: &str, folder: &str, address: &str, namespace: Option<&str>) {
        let code = format!("{name}.invitation");
        let mut words = vec!["ca", "invite", "ca", "--role", role, "--name", name];
        words.extend(["--address", address, "--out", &code]);
        self.lepton(&words).fine();
        let words = ["party", "init", folder, "--invitation", &code];
        match namespace {
            None => drop(self.lepton(&words).fine()),
            Some(namespace) => drop(
                Call::inside(self.folder.path(), namespace, &words)
                    .end()
                    .fine(),
            ),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn tables(&self) -> Vec<PathBuf> {
        let path = |name: &String| self.path(name).join("table.csv");
        self.names.iter().map(path).collect()
    }

    /// Calls the command in the federation's folder.
    pub(crate) fn lepton(&self, arguments: &[&str]) -> Done {
        Call::start(self.folder.path(), arguments).end()
    }

    /// Submits a job as ada, follows it, and gives the folder of its results; a job that is known already is followed only.
    pub(crate) fn train(&self, job: &str, set: &[&str]) -> Result<PathBuf, String> {
        let out = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let done = self
            .submit(job, set, &["--quiet", "--runs", &out.display().to_string()])
            .end();
        if done.code != Some(0) {
            return Err(done.stderr);
        }
        let found = std::fs::read_dir(&out).unwrap().next().unwrap();
        Ok(found.unwrap().path())
    }

    pub(crate) fn submit(&self, job: &str, set: &[&str], more: &[&str]) -> Call {
        let mut words = vec!["run", job, "--federation", "federation.toml"];
        words.extend(set.iter().flat_map(|set| ["--set", *set]));
        words.extend(more);
        Call::start(self.folder.path(), &words)
    }

    /// Folders of all jobs at the coordinator.
    pub(crate) fn jobs(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("hub/jobs"));
        let entries = entries.into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Waits until every party has a link again.
    pub(crate) fn all_linked(&mut self) {
        for party in &mut self.parties {
            party.says(" linked coordinator=");
        }
    }

    /// The party's own view of its jobs: waits until none is open.
    pub(crate) fn all_ended(&self, party: &str) {
        let config = format!("{party}/party.toml");
        let open = |job: &Value| {
            !matches!(
                job["state"].as_str(),
                Some("finished" | "ended" | "refused")
            )
        };
        let mut left = String::new();
        let over = within(PATIENCE, || {
            let jobs = self.lepton(&["party", "jobs", "list", "--config", &config, "--json"]);
            let jobs = jobs.fine().json();
            left = jobs.to_string();
            (!jobs.as_array().unwrap().iter().any(open)).then_some(())
        });
        assert!(over.is_some(), "{party} still has open jobs: {left}");
    }
}

/// An address of this machine that no other federation uses, so that a coordinator finds its port free after a restart.
fn own_host(number: u32) -> String {
    if cfg!(target_os = "linux") {
        let [.., high, low] = std::process::id().to_be_bytes();
        return format!("127.{}.{low}.{}", 1 + high % 254, 1 + number % 254);
    }
    "127.0.0.1".to_owned()
}

fn store(setup: &Setup<'_>) -> String {
    match (setup.postgres, postgres()) {
        (true, Some(url)) => {
            format!("[store]\nurl = \"{url}\"\npassword_env = \"LEPTON_TEST_POSTGRES_PASSWORD\"\n")
        }
        _ => String::new(),
    }
}

/// Where `scripts/with_postgres.sh` has started a server.
pub(crate) fn postgres() -> Option<String> {
    std::env::var("LEPTON_TEST_POSTGRES").ok()
}

/// The report of a folder of results.
pub(crate) fn report(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
