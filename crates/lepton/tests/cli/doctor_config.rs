//! `lepton doctor --config`: a sound federation is all well, and each thing that is broken is found under its own name.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Desk, table};

const JOB: &str = r#"[job]
name = "small"
task = "train"

[data]
table = "data.csv"
label = "y"
features = ["a", "b"]
types = { a = "number", b = "number" }

[model]
kind = "logistic"

[training]
rounds = 3
"#;

const POLICY: &str = r#"[submit]
roles = ["scientist"]

[tables.data]

[privacy]
required = false

[approval]
person = "never"
"#;

/// A program of this test; ended with it.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A coordinator that runs, a party `p` and a scientist `ada` that do not.
struct Trial {
    desk: Desk,
    address: SocketAddr,
    _hub: Daemon,
}

impl Trial {
    fn new() -> Self {
        let desk = Desk::small();
        desk.call(&["ca", "init", "ca", "--federation", "trial"])
            .fine();
        desk.call(&["coordinator", "init", "hub", "--name", "hub", "--ca", "ca"])
            .fine();
        let address = free_port();
        desk.write(
            "coordinator.toml",
            format!(
                "[identity]\nfolder = \"hub\"\n[listen]\naddress = \"{address}\"\n[authority]\nfolder = \"ca\"\n[metrics]\nlisten = \"off\"\n"
            ),
        );
        let hub = run(
            &desk,
            &["coordinator", "run", "coordinator.toml"],
            "listening",
        );
        let trial = Self {
            desk,
            address,
            _hub: hub,
        };
        trial.enrol("party", "p");
        trial.enrol("scientist", "ada");
        std::fs::create_dir(trial.desk.path("at-p")).unwrap();
        trial.desk.write("at-p/data.csv", table(200));
        trial.desk.write("at-p/policy.toml", POLICY);
        trial
            .desk
            .write("at-p/party.toml", trial.party(&address.to_string()));
        trial.desk.write(
            "federation.toml",
            format!("[identity]\nfolder = \"ada\"\n[coordinator]\naddress = \"{address}\"\n"),
        );
        trial.desk.write("job.toml", JOB);
        trial
    }

    fn enrol(&self, role: &str, name: &str) {
        let init = ["party", "init", name, "--federation", "trial"];
        let init = [&init[..], &["--name", name, "--role", role]].concat();
        self.desk.call(&init).fine();
        let request = format!("{name}/request.csr.pem");
        self.desk
            .call(&["ca", "approve", "ca", &request, "--out", "enrolled.pem"])
            .fine();
        self.desk
            .call(&["party", "init", name, "--accept", "enrolled.pem"])
            .fine();
    }

    fn party(&self, address: &str) -> String {
        format!(
            "[identity]\nfolder = \"../p\"\n[coordinator]\naddress = \"{address}\"\n[tables.data]\npath = \"data.csv\"\n[metrics]\nlisten = \"off\"\n"
        )
    }

    /// What the doctor finds, and with which exit code.
    fn doctor(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let call = [&["doctor", "--json", "--config"], arguments].concat();
        let done = self.desk.call(&call);
        assert!(
            done.code == Some(0) || done.code == Some(1),
            "{}",
            done.stderr
        );
        (done.code, done.json())
    }

    /// All is well, and these were looked at.
    fn sound(&self, arguments: &[&str], names: &[&str]) -> Vec<String> {
        let (code, found) = self.doctor(arguments);
        assert_eq!(bad(&found), Vec::<String>::new(), "{found}");
        assert_eq!((code, found["healthy"].as_bool()), (Some(0), Some(true)));
        let lines = lines(&found);
        for name in names {
            assert!(
                lines.iter().any(|line| line.starts_with(name)),
                "{name}: {lines:?}"
            );
        }
        lines
    }

    /// Exactly these are wrong, in this order; each line holds its words, each has a remedy.
    fn wrong(&self, arguments: &[&str], expected: &[(&str, &str)]) {
        let (code, found) = self.doctor(arguments);
        let bad = bad(&found);
        assert_eq!(bad.len(), expected.len(), "{bad:?}");
        for (line, (name, words)) in bad.iter().zip(expected) {
            assert!(
                line.starts_with(&format!("{name}: ")) && line.contains(words),
                "{name}, {words:?}: {line}"
            );
        }
        let remedies = found["checks"].as_array().unwrap().iter();
        for check in remedies.filter(|check| check["status"] != "ok") {
            assert!(
                check["remedy"]
                    .as_str()
                    .is_some_and(|remedy| !remedy.is_empty()),
                "{check}"
            );
        }
        let failed = found["checks"].as_array().unwrap().iter();
        let failed = failed.filter(|check| check["status"] == "failed").count();
        assert_eq!(code, Some(i32::from(failed > 0)));
    }
}

fn lines(found: &Value) -> Vec<String> {
    let checks = found["checks"].as_array().unwrap().iter();
    checks.map(line).collect()
}

fn bad(found: &Value) -> Vec<String> {
    let checks = found["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["status"] != "ok")
        .map(line)
        .collect()
}

fn line(check: &Value) -> String {
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    format!("{}: {}", text("name"), text("found"))
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Starts a daemon, and waits until its log holds `word`.
fn run(desk: &Desk, arguments: &[&str], word: &str) -> Daemon {
    let name = format!("{}.log", arguments[0]);
    let log = File::create(desk.path(&name)).unwrap();
    let child = desk
        .command(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let daemon = Daemon(child);
    wait(|| desk.read(&name).contains(word), || desk.read(&name));
    daemon
}

/// Waits until `holds`, within a time that is enough on any machine.
fn wait(holds: impl Fn() -> bool, log: impl Fn() -> String) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

const PARTY: &str = "at-p/party.toml";

#[test]
fn a_sound_federation_is_all_well() {
    let trial = Trial::new();
    let way = [
        "identity: ",
        "certificate: good until",
        "revocation list: of ",
        "coordinator's name: 127.0.0.1",
        "coordinator's port: ",
        "encryption: TLS 1.3, X25519MLKEM768",
        "coordinator's certificate: coordinator hub, good until",
        "admission: ",
        "protocol version: version 1 ",
        "clock: ",
    ];
    let own = [
        "policy: opens data",
        "table data: 200 rows, 3 columns",
        "configuration: ",
        "job: would be accepted from a scientist",
    ];
    let before = trial.desk.list("at-p");
    let first = ["store: not used yet", "audit log: none", "ledger: none"];
    let with_job = [PARTY, "--job", "job.toml"];
    trial.sound(&with_job, &[&way[..], &own, &first].concat());
    assert_eq!(trial.desk.list("at-p"), before, "the doctor made something");
    trial.sound(
        &["federation.toml", "--job", "job.toml"],
        &[&way[..], &["job: "]].concat(),
    );
    let hub = ["identity: ", "certificate: ", "revocation list: "];
    let hub_own = [
        "store: in use",
        "port: ",
        "authority: 3 members",
        "configuration: ",
    ];
    trial.sound(&["coordinator.toml"], &[&hub[..], &hub_own].concat());

    let daemon = run(&trial.desk, &["party", "run", PARTY], "linked");
    let meanwhile = ["store: in use", "audit log: ", "ledger: 1 entries"];
    trial.sound(&with_job, &[&way[..], &own, &meanwhile].concat());
    let log = trial.desk.read("party.log");
    assert!(
        !log.contains("lost") && !log.contains("newer session"),
        "{log}"
    );
    drop(daemon);
    let after = ["store: its key fits", "ledger: 1 entries"];
    trial.sound(&with_job, &[&way[..], &own, &after].concat());
    let text = trial
        .desk
        .call(&["doctor", "--config", PARTY])
        .fine()
        .stdout;
    assert!(
        text.starts_with("ok       identity: party p of trial\n"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_on_the_way_is_found() {
    let trial = Trial::new();
    let closed = free_port().to_string();
    let address = trial.address.to_string();
    let cases = [
        (trial.party(&closed), "coordinator's port", "refused"),
        (
            trial.party("no-such-host.invalid:1"),
            "coordinator's name",
            "",
        ),
        (
            trial.party(&format!("{address}\"\nproxy = \"{closed}")),
            "proxy",
            "refused",
        ),
    ];
    for (text, name, words) in cases {
        trial.desk.write("at-p/other.toml", text);
        trial.wrong(&["at-p/other.toml"], &[(name, words)]);
    }
    trial.desk.write(
        "strange.toml",
        format!("[identity]\nfolder = \"ada\"\n[coordinator]\naddress = \"{address}\"\n[tables]\n"),
    );
    let (_, found) = trial.doctor(&["strange.toml"]);
    assert!(bad(&found)[0].contains("ada belongs to scientist ada, and a party is wanted"));
    trial
        .desk
        .write("gone.toml", "[identity]\nfolder = \"gone\"\n");
    trial
        .desk
        .call(&["doctor", "--config", "gone.toml", "--job"])
        .refused(2, &[]);
    trial
        .desk
        .call(&["doctor", "--config", "absent.toml"])
        .refused(1, &["absent.toml"]);
    trial
        .desk
        .write("broken.toml", "[coordinator]\naddres = \"x:1\"\n");
    trial
        .desk
        .call(&["doctor", "--config", "broken.toml"])
        .refused(2, &["addres", "identity"]);
    // A certificate that lives for a second, taken over by hand: the commands would refuse it once it is late.
    trial.enrol("party", "q");
    let mut members = trial.desk.json("ca/members.json");
    members["life"] = 1.into();
    trial.desk.write("ca/members.json", members.to_string());
    let renew = ["ca", "renew", "ca", "--role", "party", "--name", "q"];
    let renew = [&renew[..], &["--out", "next.pem"]].concat();
    trial.desk.call(&renew).fine();
    let end = "-----END CERTIFICATE-----\n";
    let bundle = trial.desk.read("next.pem");
    let first = bundle.split_inclusive(end).next().unwrap();
    trial.desk.write("q/certificate.pem", first);
    std::thread::sleep(Duration::from_secs(3));
    let late = trial.party(&address).replace("../p", "../q");
    trial.desk.write("at-p/late.toml", late);
    trial.wrong(
        &["at-p/late.toml"],
        &[("certificate", "expired"), ("admission", "")],
    );
}

const WITH_JOB: [&str; 3] = [PARTY, "--job", "job.toml"];

#[test]
fn a_job_that_does_not_fit_is_told_why() {
    let trial = Trial::new();
    let job = |from: &str, to: &str, words: &str| {
        trial.desk.write("job.toml", JOB.replace(from, to));
        trial.wrong(&WITH_JOB, &[("job", words)]);
        trial.desk.write("job.toml", JOB);
    };
    let lost = "(data.features): its table has no column";
    job(
        "[\"a\", \"b\"]\ntypes = { a = \"number\", b",
        "[\"a\", \"c\"]\ntypes = { a = \"number\", c",
        &format!("{lost} `c`"),
    );
    job("label = \"y\"", "label = \"z\"", &format!("{lost} `z`"));
    job("features = [\"a\", \"b\"]\n", "", "data.features");
    job(
        "[\"a\", \"b\"]\ntypes = { a = \"number\", b",
        "[\"a\", \"y\"]\ntypes = { a = \"number\", y",
        "y",
    );

    let policy = |from: &str, to: &str, words: &str| {
        trial
            .desk
            .write("at-p/policy.toml", POLICY.replace(from, to));
        trial.wrong(&WITH_JOB, &[("job", words)]);
    };
    policy("required = false", "required = true", "(PO-09)");
    policy("\"scientist\"", "\"operator\"", "(PO-02)");
    policy("never", "always", "would wait for a person");
    policy("roles = [\"scientist\"]", "members = [\"ada\"]", "(PO-02)");
    trial.sound(
        &[&WITH_JOB[..], &["--submitter", "ada"]].concat(),
        &["job: "],
    );
    trial.desk.write("at-p/policy.toml", POLICY);
    trial.desk.write("at-p/data.csv", table(60));
    trial.wrong(&WITH_JOB, &[("job", "(PO-05)")]);
}

/// A job with a goal needs a budget; asking for it sets nothing aside.
#[test]
fn a_job_is_held_against_the_budget() {
    let trial = Trial::new();
    let goal = "sampling_rate = 0.5\n\n[prepare.bounds]\na = [-20, 20]\nb = [-14, 14]\n\n[privacy]\nunit = \"record\"\nepsilon = 1.0\ndelta = 1e-5\nclip = 1.0\n";
    let (label, classes) = (
        "label = \"y\"",
        "label = \"y\"\nclasses = [\"no\", \"yes\"]",
    );
    trial
        .desk
        .write("job.toml", format!("{JOB}{goal}").replace(label, classes));
    trial.wrong(
        &WITH_JOB,
        &[("job", "(ledger.budget): no table has a budget")],
    );
    let budget = |epsilon: &str| {
        let set = [
            "budget",
            "set",
            "--ledger",
            "at-p/ledger.db",
            "--data",
            "rows",
        ];
        let size = [
            "--table",
            "at-p/data.csv",
            "--delta",
            "1e-4",
            "--epsilon",
            epsilon,
        ];
        trial.desk.call(&[&set[..], &size].concat()).fine();
    };
    budget("0.5");
    trial.wrong(&WITH_JOB, &[("job", "(ledger.budget)")]);
    std::fs::remove_file(trial.desk.path("at-p/ledger.db")).unwrap();
    budget("3");
    for _ in 0..2 {
        trial.sound(&WITH_JOB, &["job: would be accepted", "ledger: 2 entries"]);
    }
}

#[test]
fn what_is_wrong_with_policy_and_tables_is_found() {
    let trial = Trial::new();
    for (from, to, words) in [
        ("[privacy]", "[privcy]", "privcy"),
        (
            "[tables.data]",
            "[tables.other]",
            "opens the table \"other\"",
        ),
        ("[tables.data]\n", "", "opens no table"),
    ] {
        trial
            .desk
            .write("at-p/policy.toml", POLICY.replace(from, to));
        trial.wrong(&[PARTY], &[("policy", words)]);
    }
    trial.desk.write("at-p/policy.toml", POLICY);
    trial.desk.write("at-p/data.csv", "a,b,y\n1,2\n");
    trial.wrong(&[PARTY], &[("table data", "")]);
    std::fs::remove_file(trial.desk.path("at-p/data.csv")).unwrap();
    trial.wrong(&[PARTY], &[("table data", "no such file")]);
    trial.desk.write("at-p/data.csv", table(200));
    let party = trial.party(&trial.address.to_string());
    let path = "path = \"data.csv\"";
    let typed = party.replace(path, &format!("{path}\ntypes = {{ aa = \"number\" }}"));
    trial.desk.write("at-p/typed.toml", typed);
    trial.wrong(&["at-p/typed.toml"], &[("table data", "names `aa`")]);
    let nowhere = format!("{party}[audit]\nfolder = \"none/audit\"\n");
    trial.desk.write("at-p/nowhere.toml", nowhere);
    trial.wrong(&["at-p/nowhere.toml"], &[("configuration", "audit.folder")]);
}

#[test]
fn what_is_wrong_with_store_and_ledger_is_found() {
    let trial = Trial::new();
    let party = run(&trial.desk, &["party", "run", PARTY], "linked");
    // A store without values has nothing that a backup could set back.
    let submit = ["run", "job.toml", "--federation", "federation.toml"];
    trial
        .desk
        .call(&[&submit[..], &["--detach"]].concat())
        .fine();
    wait(
        || !trial.desk.list("at-p/jobs").is_empty(),
        || trial.desk.read("party.log"),
    );
    drop(party);
    // Whoever closes a database last moves what its log holds into it.
    trial.sound(&[PARTY], &["store: its key fits"]);
    let files = ["lepton.db", "store.key", "store.anchor", "ledger.db"];
    let keep = |name: &str| std::fs::read(trial.desk.path(&format!("at-p/{name}"))).unwrap();
    let sound: Vec<Vec<u8>> = files.iter().map(|name| keep(name)).collect();
    let restore = || {
        for (name, bytes) in files.iter().zip(&sound) {
            put(&trial.desk.path(&format!("at-p/{name}")), bytes);
        }
    };
    put(
        &trial.desk.path("at-p/store.key"),
        "ab".repeat(32).as_bytes(),
    );
    trial.wrong(
        &[PARTY],
        &[("store", "not the one that this store is encrypted under")],
    );
    restore();
    std::fs::remove_file(trial.desk.path("at-p/store.anchor")).unwrap();
    trial.wrong(
        &[PARTY],
        &[("store", "it was restored: its anchor is missing")],
    );
    restore();
    std::fs::remove_file(trial.desk.path("at-p/lepton.db")).unwrap();
    trial.wrong(
        &[PARTY],
        &[("store", "it is empty, and the anchor says that it was used")],
    );
    assert!(
        !trial.desk.path("at-p/lepton.db").exists(),
        "the doctor made something"
    );
    restore();
    put(
        &trial.desk.path("at-p/store.anchor"),
        &sound[2].to_ascii_uppercase(),
    );
    trial.wrong(
        &[PARTY],
        &[("store", "the anchor of the store was changed")],
    );
    restore();
    // One letter of an entry.
    let mut ledger = sound[3].clone();
    let entry = ledger
        .windows(10)
        .position(|bytes| bytes == b"key_sha256")
        .unwrap();
    ledger[entry + 15] ^= 1;
    put(&trial.desk.path("at-p/ledger.db"), &ledger);
    trial.wrong(&[PARTY], &[("ledger", "")]);
    restore();
    trial.sound(&[PARTY], &["ledger: 1 entries"]);
}

/// Writes without changing who may read it.
fn put(path: &Path, bytes: &[u8]) {
    let new = !path.exists();
    std::fs::write(path, bytes).unwrap();
    #[cfg(unix)]
    if new {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}
