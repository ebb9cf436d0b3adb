//! What a program keeps and reads on its machine: store, ledger, policy, tables, ports.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use lepton_protocol::policy::Policy;
use lepton_table::ReadOptions;

use super::{Check, failure};
use crate::audit_log::{Entry, Event, Summary, read};
use crate::config::{Finding, PartyConfig, StoreConfig, TableConfig};
use crate::daemon::Clock;
use crate::error::NodeError;
use crate::ledger::DurableLedger;
use crate::store::{Found, inspect};
use crate::tables::{sealed, table_type};

/// Longer than a line is being written.
const MOMENT: Duration = Duration::from_millis(200);

/// What `--check` found, by the keys it is about; each finding is told once.
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn new(mut found: Vec<Finding>) -> Self {
        // The folder of the identity is opened, which says more.
        found.retain(|finding| finding.key != "identity.folder");
        Self(found)
    }

    /// Takes out those about keys that begin so, as checks of this name.
    fn take(&mut self, prefix: &str, name: &'static str) -> Vec<Check> {
        let about = |finding: &mut Finding| finding.key.starts_with(prefix);
        let told = |finding: Finding| told(name, &finding);
        self.0.extract_if(.., about).map(told).collect()
    }

    /// Leaves out what is about this key: another check says more of it.
    pub(super) fn forget(&mut self, key: &str) {
        self.0.retain(|finding| finding.key != key);
    }

    /// What is left: everything that has no check of its own.
    pub(super) fn rest(self, checks: &mut Vec<Check>) {
        let name = "configuration";
        if self.0.is_empty() {
            checks.push(Check::ok(name, "everything that it names can be there"));
        }
        checks.extend(self.0.iter().map(|finding| told(name, finding)));
    }
}

fn told(name: &'static str, finding: &Finding) -> Check {
    let words = finding.to_string();
    // Several problems of one file are told as they are: each has its own remedy.
    match words.rsplit_once("; ").filter(|_| !words.contains('\n')) {
        Some((found, remedy)) => Check::failed(name, found, remedy),
        None => Check::failed(name, words, "correct the file"),
    }
}

/// The store, and whether a running program holds it.
pub(super) async fn store(
    (config, owner): (&StoreConfig, &str),
    findings: &mut Findings,
    checks: &mut Vec<Check>,
) -> bool {
    let name = "store";
    let told = findings.take("store.", name);
    if !told.is_empty() {
        checks.extend(told);
        return false;
    }
    let found = inspect(config, owner).await;
    let runs = matches!(found, Ok(Found::InUse));
    checks.push(match found {
        Ok(Found::InUse) => Check::ok(name, "in use: the program runs, and checked it when it started; not opened"),
        Ok(Found::Unused) => Check::ok(name, "not used yet; the first start makes it"),
        Ok(Found::Sound { writes, restores: 0 }) => {
            Check::ok(name, format!("its key fits, {writes} writes"))
        }
        Ok(Found::Sound { writes, restores }) => Check::ok(
            name,
            format!("its key fits, {writes} writes, restored {restores} time(s) so far"),
        ),
        Ok(Found::Restored(why)) => Check::warning(
            name,
            format!("it was restored: {why}"),
            "start the program if that was meant: it goes on in new epochs, and gives up what it cannot go on with (docs/store.md)",
        ),
        Err(error) => failure(name, &error, "check store.url, store.key_file and store.anchor"),
    });
    runs
}

/// The audit log, every line of it; gives the highest entry of the ledger that it tells of.
pub(super) fn audit_log(folder: &Path, runs: bool, checks: &mut Vec<Check>) -> u64 {
    let name = "audit log";
    if !folder.exists() {
        checks.push(Check::ok(name, "none yet; the first start makes it"));
        return 0;
    }
    match lines(folder, runs) {
        Ok((summary, entries)) => {
            let found = format!(
                "{} entries, every link and signature holds; {} at its end not signed yet",
                summary.entries, summary.unsigned
            );
            checks.push(Check::ok(name, found));
            entries.iter().map(charged).max().unwrap_or(0)
        }
        Err(error) => {
            let remedy = "hold it against a copy with `lepton audit log verify`: somebody may have changed it (docs/audit-log.md)";
            checks.push(failure(name, &error, remedy));
            0
        }
    }
}

/// A program that runs may be in the middle of a line: then it is read once more.
fn lines(folder: &Path, runs: bool) -> Result<(Summary, Vec<Entry>), NodeError> {
    match read(folder) {
        Err(_) if runs => {
            std::thread::sleep(MOMENT);
            read(folder)
        }
        other => other,
    }
}

fn charged(entry: &Entry) -> u64 {
    match entry.event {
        Event::Charge { entry, .. } => entry,
        _ => 0,
    }
}

/// The ledger, every entry of it, up to the one that the audit log knows of at least.
pub(super) fn ledger(path: &Path, known: u64, clock: Clock) -> Check {
    let name = "ledger";
    if !path.exists() && known == 0 {
        return Check::ok(name, "none yet; the first start makes it");
    }
    let remedy = "restore a copy that has every entry; without one, what was spent is forgotten (docs/operations.md)";
    let verified = DurableLedger::open(path, clock).and_then(|ledger| ledger.verify(Vec::new()));
    match verified {
        Ok(verified) if verified.head.count < known => Check::failed(
            name,
            format!(
                "it was rolled back: it ends with entry {}, and the audit log tells of entry {known}",
                verified.head.count
            ),
            remedy,
        ),
        Ok(verified) => Check::ok(
            name,
            format!(
                "{} entries, the chain and every limit hold",
                verified.head.count
            ),
        ),
        Err(error) => Check::failed(name, error.to_string(), remedy),
    }
}

/// The policy, and which tables it opens.
pub(super) fn policy(config: &PartyConfig, findings: &mut Findings, checks: &mut Vec<Check>) {
    let name = "policy";
    let mut told = findings.take("policy.", name);
    // A table that the policy opens and the party does not have; those about files are of the tables.
    told.extend(
        findings
            .0
            .extract_if(.., |finding| finding.key == "tables")
            .map(|finding| self::told(name, &finding)),
    );
    if !told.is_empty() {
        checks.extend(told);
        return;
    }
    let text = std::fs::read_to_string(&config.policy).unwrap_or_default();
    let source = config.policy.display().to_string();
    checks.push(match Policy::parse(&source, &text) {
        Ok(policy) => opened(name, &policy.tables().collect::<Vec<_>>()),
        Err(errors) => failure(name, &errors.into(), "correct the policy (docs/policy.md)"),
    });
}

fn opened(name: &'static str, tables: &[&str]) -> Check {
    if tables.is_empty() {
        return Check::warning(
            name,
            "it opens no table: every job is refused",
            "add a section [tables.NAME] for each table that jobs may use (docs/policy.md)",
        );
    }
    Check::ok(name, format!("opens {}", tables.join(", ")))
}

/// One table, read whole.
pub(super) fn table(name: &str, config: &TableConfig) -> Check {
    let title = format!("table {name}");
    let stated = config.types.iter();
    let stated = stated.map(|(column, own)| (column.clone(), table_type(*own)));
    let options = ReadOptions::with_types(stated.collect());
    let table = match sealed::read(&config.path, &options, config.key.as_deref()) {
        Ok(table) => table,
        Err(error) => return failure(title, &error, "correct the file"),
    };
    let columns = table.columns();
    let missing = |stated: &&String| !columns.iter().any(|(column, _)| column == *stated);
    match config.types.keys().find(missing) {
        Some(stated) => Check::failed(
            title,
            format!("tables.{name}.types names `{stated}`, which the file does not have"),
            format!("correct tables.{name}.types"),
        ),
        None => Check::ok(
            title,
            format!("{} rows, {} columns", table.rows(), columns.len()),
        ),
    }
}

/// A port that the program listens on: taken while the program runs, free while it does not. Nobody connects to it: the program would write that down.
pub(super) fn port(name: &'static str, (key, address): (&str, SocketAddr), runs: bool) -> Check {
    let bound = TcpListener::bind(address);
    match (bound, runs) {
        (Ok(_), false) => Check::ok(name, format!("{address} is free")),
        (Err(error), true) if error.kind() == ErrorKind::AddrInUse => Check::ok(
            name,
            format!("{address} is taken, as it is while the program runs"),
        ),
        (Ok(_), true) => Check::failed(
            name,
            format!("the program runs, and nobody listens on {address}"),
            format!("start it anew if {key} was changed, and look at its log"),
        ),
        (Err(error), _) => Check::failed(
            name,
            format!("{address}: {error}"),
            format!("end the program that has it, or name another in {key}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    /// A ledger that was set back is sound in itself: only what else tells of it shows that entries are gone.
    #[test]
    fn a_ledger_that_ends_before_a_known_entry_was_rolled_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let clock = || "2026-11-21T00:00:00Z".to_owned();
        assert_eq!(ledger(&path, 0, clock).status, Status::Ok);
        assert_eq!(ledger(&path, 1, clock).status, Status::Failed);
        drop(DurableLedger::open_or_create(&path, clock).unwrap());
        assert_eq!(ledger(&path, 1, clock).status, Status::Ok);
        let back = ledger(&path, 2, clock);
        assert_eq!(back.status, Status::Failed);
        assert!(back.found.starts_with("it was rolled back"), "{back:?}");
    }

    #[test]
    fn the_audit_log_tells_of_charges() {
        use crate::audit_log::AuditLog;
        use lepton_crypto::{IdentityKey, Seed};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let mut checks = Vec::new();
        assert_eq!(audit_log(&path, false, &mut checks), 0);
        let key = std::sync::Arc::new(IdentityKey::from_seed(Seed::from_bytes([7; 32])));
        let clock = || "2026-11-21T00:00:00Z".to_owned();
        let log = AuditLog::open(&path, 100, ("p", key), clock).unwrap();
        for entry in [4, 9, 5] {
            log.append(Event::Charge {
                job: "00".to_owned(),
                entry,
                kind: "training".to_owned(),
                round: 1,
                attempt: 1,
            })
            .unwrap();
        }
        assert_eq!(audit_log(&path, true, &mut checks), 9);
        drop(log);
        let first = path.join("segment-00000001.jsonl");
        let text = std::fs::read_to_string(&first).unwrap();
        std::fs::write(&first, text.replace("\"entry\":9", "\"entry\":3")).unwrap();
        assert_eq!(audit_log(&path, false, &mut checks), 0);
        let statuses: Vec<Status> = checks.iter().map(|check| check.status).collect();
        assert_eq!(statuses, [Status::Ok, Status::Ok, Status::Failed]);
    }
}
