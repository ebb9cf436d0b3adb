//! A program that is killed at any step leaves the old state or the new one.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use lepton_vault::{KeyFile, Vault};

use crate::desk::{Desk, WHEN, files, table};

const VARIABLE: &str = "LEPTON_VAULT_TEST_CRASH";
/// More than any verb has.
const STEPS: usize = 60;

/// Not a test of its own: the process that is killed. `FOLDER|VERB|STEP`.
#[test]
fn killed_child() {
    let Ok(order) = std::env::var(VARIABLE) else {
        return;
    };
    let parts: Vec<&str> = order.split('|').collect();
    let (folder, verb, last) = (parts[0], parts[1], parts[2].parse::<usize>().unwrap());
    let folder = std::path::Path::new(folder);
    let root = KeyFile::open(&folder.join("root.key")).unwrap();
    let mut vault = Vault::open(&folder.join("vault"), &root).unwrap();
    let count = AtomicUsize::new(0);
    vault.on_step(Box::new(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == last {
            // SIGKILL: no destructor runs, nothing is flushed.
            let own = std::process::id().to_string();
            let _ = Command::new("kill").args(["-9", &own]).status();
            std::thread::sleep(std::time::Duration::from_secs(20));
        }
    }));
    match verb {
        "seal" => drop(vault.seal("churn", &table(9), WHEN, None).unwrap()),
        "rotate" => vault.rotate(&root).unwrap(),
        "reencrypt" => drop(vault.reencrypt("churn", None, WHEN, None).unwrap()),
        "revoke-anew" => {
            drop(
                vault
                    .reencrypt("churn", Some("training"), WHEN, None)
                    .unwrap(),
            );
        }
        "shred" => drop(vault.shred("churn", WHEN, None).unwrap()),
        "revoke" => vault.revoke("churn", "training").unwrap(),
        other => panic!("{other}"),
    }
}

/// Whether the child did all it had to.
fn run(desk: &Desk, verb: &str, step: usize) -> bool {
    let order = format!("{}|{verb}|{step}", desk.folder.path().display());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crashes::killed_child"])
        .env(VARIABLE, order)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.success()
}

/// Rows that the owner and the holder of the grant read; `None` where nothing opens.
fn state(desk: &Desk) -> (Option<usize>, Option<usize>) {
    let rows = |key: &KeyFile| desk.read(key).ok().map(|table| table.rows());
    let holder = KeyFile::open(&desk.path("training.key")).unwrap();
    (rows(&desk.root()), rows(&holder))
}

/// Kills `verb` at each of its steps, sees that what is left is `old` or `new`, before and after the next program tidied up, and does it again.
fn killed_at_every_step(verb: &str, new: (Option<usize>, Option<usize>), again: bool) {
    let desk = Desk::sealed();
    desk.grant("training", &["age"]).unwrap();
    let old = state(&desk);
    let (mut seen_old, mut seen_new) = (false, false);
    for step in 0..STEPS {
        let copy = desk.copy();
        let whole = run(&copy, verb, step);
        let found = state(&copy);
        assert!(found == old || found == new, "{verb} at {step}: {found:?}");
        seen_old |= found == old;
        seen_new |= found == new;
        // The next program tidies up and changes nothing of it.
        drop(copy.open());
        assert_eq!(state(&copy), found, "{verb} at {step}, tidied");
        let certificates = |name: &str| {
            files(&copy.vault())
                .iter()
                .filter(|path| path.display().to_string().ends_with(name))
                .count()
        };
        assert_eq!(
            certificates(".partial") + certificates(".pending"),
            0,
            "{verb} at {step}"
        );
        let destroyed = files(&copy.vault())
            .iter()
            .any(|path| path.display().to_string().contains("vault.destroyed"));
        assert_eq!(
            destroyed,
            found.0.is_none(),
            "{verb} at {step}: a certificate exactly when it is gone"
        );
        let strays = copy.data_files().len();
        assert!(
            strays <= 2 && (found.0.is_some() || strays == 0),
            "{verb} at {step}"
        );
        if whole {
            assert_eq!(found, new, "{verb}");
            assert!(
                seen_new && (seen_old || old == new) && step > 2,
                "{verb}: {step} steps"
            );
            return;
        }
        if again || found == old {
            assert!(run(&copy, verb, STEPS), "{verb} at {step}, again");
            assert_eq!(state(&copy), new);
        }
    }
    panic!("{verb} has more steps than {STEPS}");
}

#[test]
fn killed_in_seal() {
    killed_at_every_step("seal", (Some(9), Some(9)), true);
}

#[test]
fn killed_in_rotate() {
    killed_at_every_step("rotate", (Some(5), Some(5)), true);
}

#[test]
fn killed_in_reencrypt() {
    killed_at_every_step("reencrypt", (Some(5), Some(5)), true);
}

#[test]
fn killed_in_revoke() {
    killed_at_every_step("revoke", (Some(5), None), false);
}

#[test]
fn killed_in_revoke_with_reencryption() {
    killed_at_every_step("revoke-anew", (Some(5), None), false);
}

#[test]
fn killed_in_shred() {
    killed_at_every_step("shred", (None, None), false);
}
