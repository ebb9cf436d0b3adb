//! Parties whose tables are in vaults (docs/protocols/vault.md): VA-08 and VA-09.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lepton_node::daemon::party;
use lepton_table::{ReadOptions, Table};
use lepton_vault::{GrantFile, KeyFile, Vault};

use crate::whole::{finish, report, tumours};
use crate::world::{ada, signed};

const USED: [&str; 4] = ["diagnosis", "mean_radius", "mean_texture", "worst_radius"];

/// Moves a table into a vault of its own, with the key of a grant where the world looks for it.
fn seal(folder: &Path, index: usize, table: &Path, columns: &[&str]) -> PathBuf {
    let vault = folder.join(format!("vault-{index}"));
    let root = KeyFile::create(&folder.join(format!("root-{index}.key"))).unwrap();
    let mut open = Vault::init(&vault, &root).unwrap();
    let rows = Table::from_path(table, &ReadOptions::default()).unwrap();
    open.seal("rows", &rows, "2026-01-01T00:00:00Z", None)
        .unwrap();
    let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    let key = vault.with_extension("key");
    open.grant("rows", "daemon", &columns, &GrantFile::New(&key))
        .unwrap();
    std::fs::remove_file(table).unwrap();
    vault.join("rows")
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_tables_give_the_same_result_with_the_granted_columns() {
    let (mut plain, text) = tumours(&[]);
    plain.up().await;
    assert!(finish(&plain, &text).await.starts_with("finished"));
    let expected = report(&plain, &text).await.metrics;
    let (mut world, text) = tumours(&[]);
    for index in 0..world.tables.len() {
        world.tables[index] = seal(world.folder.path(), index, &world.tables[index], &USED);
    }
    world.up().await;
    assert!(finish(&world, &text).await.starts_with("finished"));
    assert_eq!(report(&world, &text).await.metrics, expected);
}

/// To others a column that was not granted is one that is not there (JC-04).
#[tokio::test(flavor = "multi_thread")]
async fn a_job_for_a_column_that_was_not_granted_is_refused() {
    let (mut world, text) = tumours(&[]);
    world.tables[0] = seal(world.folder.path(), 0, &world.tables[0], &USED[..2]);
    world.up().await;
    let mut client = world.client(&ada()).await;
    client.submit(signed(&text, &ada())).await.unwrap();
    let mut seen = String::new();
    for _ in 0..1000 {
        // Soon after its refusal the coordinator gives the job up, which is then its state.
        let jobs = party::list(&world.home(0)).unwrap();
        seen = jobs.iter().map(|job| job.words.as_str()).collect();
        if seen.contains("no column `mean_texture`") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the job is not refused: {seen}");
}
