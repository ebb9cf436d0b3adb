//! Stores in SQLite and PostgreSQL: the same tests on both, and what no database may hide: other keys, swapped rows, restored backups, old tables.
//!
//! PostgreSQL takes part where `LEPTON_TEST_POSTGRES` holds a URL and `LEPTON_TEST_POSTGRES_PASSWORD` the password; `./test` starts a server for it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers outside of test functions; files are what is tested"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lepton_node::config::{SecretSource, StoreConfig};
use lepton_node::store::Database;
use lepton_protocol::store::Store;
use proptest::prelude::*;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use tempfile::TempDir;

/// A place for one test: a folder, and an owner nobody else has.
struct Place {
    folder: TempDir,
    owner: String,
    url: String,
    password: Option<SecretSource>,
}

impl Place {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("store 1%.db").display());
        Self {
            folder,
            owner: "clinic".to_owned(),
            url,
            password: None,
        }
    }

    fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var("LEPTON_TEST_POSTGRES") else {
            eprintln!("PostgreSQL: not run, LEPTON_TEST_POSTGRES is not set");
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        Some(Self {
            folder: tempfile::tempdir().unwrap(),
            owner: format!("clinic-{}-{nanos}-{number}", std::process::id()),
            url,
            password: Some(SecretSource::Environment(
                "LEPTON_TEST_POSTGRES_PASSWORD".to_owned(),
            )),
        })
    }

    fn all() -> Vec<Self> {
        Some(Self::sqlite())
            .into_iter()
            .chain(Self::postgres())
            .collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> StoreConfig {
        StoreConfig {
            url: self.url.clone(),
            key_file: self.path("store.key"),
            anchor: self.path("store.anchor"),
            password: self.password.clone(),
        }
    }

    fn open(&self) -> Database {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Database, String> {
        Database::open(&self.config(), &self.owner).map_err(|error| error.to_string())
    }

    /// Statements by somebody who has the database and not the key.
    fn meddle(&self, statements: &[&str]) {
        let url = match self.url.strip_prefix("sqlite:") {
            Some(path) => format!("sqlite:{}", path.replace('%', "%25").replace(' ', "%20")),
            None => {
                let password = std::env::var("LEPTON_TEST_POSTGRES_PASSWORD").unwrap();
                let encode = |byte: u8| format!("%{byte:02X}");
                let password: String = password.bytes().map(encode).collect();
                self.url.replacen('@', &format!(":{password}@"), 1)
            }
        };
        sqlx::any::install_default_drivers();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
            for statement in statements {
                let statement = statement.replace("OWNER", &self.owner);
                connection.execute(AssertSqlSafe(statement)).await.unwrap();
            }
            connection.close().await.unwrap();
        });
    }
}

#[test]
fn values_are_replaced_found_and_outlive_the_store() {
    for place in Place::all() {
        let database = place.open();
        assert_eq!((database.restores(), database.restored()), (0, None));
        let mut store = database.store("party");
        assert_eq!(store.get("checkpoint").unwrap(), None);
        store.put("checkpoint", b"first").unwrap();
        store.put("checkpoint", b"").unwrap();
        assert_eq!(store.get("checkpoint").unwrap().unwrap(), b"");
        let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        store.put("checkpoint", &large).unwrap();
        for (key, value) in [
            ("signed-b", "2"),
            ("signed-a", "1"),
            ("signed-", "0"),
            ("signed", "x"),
            ("Signed-c", "x"),
            ("signed-\u{fc}%_'", "3"),
        ] {
            store.put(key, value.as_bytes()).unwrap();
        }
        let mut other = database.store("another");
        other.put("signed-a", b"another's").unwrap();
        drop((store, other, database));
        let database = place.open();
        assert_eq!((database.restores(), database.restored()), (0, None));
        let store = database.store("party");
        assert_eq!(store.get("checkpoint").unwrap().unwrap(), large);
        let found = store.values("signed-").unwrap();
        let expected = [("", "0"), ("a", "1"), ("b", "2"), ("\u{fc}%_'", "3")]
            .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
        assert_eq!(found, expected);
        assert_eq!(store.values("").unwrap().len(), 7);
        assert_eq!(store.values("nothing").unwrap(), []);
        let mut store = store;
        store.put("nul\0", b"x").unwrap_err();
    }
}

#[test]
fn many_tasks_write_at_once_and_nothing_is_lost() {
    for place in Place::all() {
        let database = place.open();
        let write = |actor: usize| {
            let mut store = database.store(&format!("actor {actor}"));
            move || {
                for round in 0..20_u8 {
                    store.put(&format!("key {round}"), &[round; 100]).unwrap();
                    store.put("last", &[round]).unwrap();
                }
            }
        };
        let writers: Vec<_> = (0..4)
            .map(|actor| std::thread::spawn(write(actor)))
            .collect();
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        for actor in 0..4 {
            let store = database.store(&format!("actor {actor}"));
            assert_eq!(store.values("key ").unwrap().len(), 20);
            assert_eq!(store.get("last").unwrap().unwrap(), [19]);
        }
    }
}

/// In a task too, which holds up its thread meanwhile.
#[test]
fn works_inside_an_asynchronous_runtime() {
    for place in Place::all() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let task = runtime.spawn(async move {
            let mut store = place.open().store("party");
            store.put("key", b"value").unwrap();
            assert_eq!(store.get("key").unwrap().unwrap(), b"value");
        });
        let within = Duration::from_secs(60);
        let done = runtime.block_on(async { tokio::time::timeout(within, task).await });
        // A task that hangs would hang the runtime's end too.
        runtime.shutdown_background();
        done.expect("the task hangs").unwrap();
    }
}

#[test]
fn nothing_readable_is_stored() {
    let place = Place::sqlite();
    let secret = b"a secret that is long enough to be found again";
    place.open().store("party").put("slot-key", secret).unwrap();
    for entry in fs::read_dir(place.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{}", path.display());
        #[cfg(unix)]
        if !path.to_string_lossy().ends_with(".lock") {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
}

#[test]
fn another_key_is_refused_and_a_lost_one_is_missed() {
    for place in Place::all() {
        place.open().store("party").put("key", b"value").unwrap();
        let key = place.path("store.key");
        let kept = fs::read(&key).unwrap();
        fs::remove_file(&key).unwrap();
        let error = place.try_open().err().unwrap();
        assert!(error.contains("the key of the store is gone"), "{error}");
        let other = String::from_utf8(kept.clone()).unwrap();
        let other = if other.starts_with('0') {
            other.replacen('0', "1", 1)
        } else {
            format!("0{}", &other[1..])
        };
        write_private(&key, other.as_bytes());
        let error = place.try_open().err().unwrap();
        assert!(
            error.contains("not the one that this store is encrypted under"),
            "{error}"
        );
        for damaged in ["", "0f", &"zz".repeat(32)] {
            write_private(&key, damaged.as_bytes());
            assert!(
                place
                    .try_open()
                    .err()
                    .unwrap()
                    .contains("no key of a store")
            );
        }
        write_private(&key, &kept);
        assert_eq!(
            place.open().store("party").get("key").unwrap().unwrap(),
            b"value"
        );
    }
}

fn write_private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn values_are_bound_to_their_place() {
    let swaps = [
        "UPDATE lepton_values SET name = CASE name WHEN 'a' THEN 'b' ELSE 'a' END || '2' WHERE owner = 'OWNER' AND actor = 'one'",
        "UPDATE lepton_values SET actor = 'two' WHERE owner = 'OWNER' AND actor = 'one'",
    ];
    for (swap, actor, name) in [(swaps[0], "one", "a2"), (swaps[1], "two", "a")] {
        for place in Place::all() {
            {
                let mut store = place.open().store("one");
                store.put("a", b"first").unwrap();
                store.put("b", b"second").unwrap();
            }
            place.meddle(&[swap]);
            let store = place.open().store(actor);
            let error = store.get(name).unwrap_err().to_string();
            assert!(error.contains("belongs to another place"), "{error}");
            assert!(store.values("").is_err());
        }
    }
}

#[test]
fn a_changed_value_is_refused() {
    let place = Place::sqlite();
    place.open().store("one").put("a", b"first").unwrap();
    for change in [
        "x'00'",
        "x''",
        "substr(value, 1, length(value) - 1)",
        "value || x'00'",
        "zeroblob(length(value))",
    ] {
        let copy = Place::sqlite();
        for name in ["store 1%.db", "store.key", "store.anchor"] {
            fs::copy(place.path(name), copy.path(name)).unwrap();
        }
        copy.meddle(&[&format!(
            "UPDATE lepton_values SET value = CAST({change} AS BLOB)"
        )]);
        let error = copy.open().store("one").get("a").unwrap_err().to_string();
        assert!(error.contains("was changed"), "{change}: {error}");
    }
}

#[test]
fn a_restored_backup_is_noticed_until_somebody_acts() {
    let place = Place::sqlite();
    let (file, backup) = (place.path("store 1%.db"), place.path("backup.db"));
    place.open().store("party").put("exchange", b"1").unwrap();
    fs::copy(&file, &backup).unwrap();
    place.open().store("party").put("exchange", b"2").unwrap();
    fs::copy(&backup, &file).unwrap();
    for _ in 0..2 {
        let database = place.open();
        assert_eq!(database.restores(), 1);
        assert!(database.restored().is_some());
    }
    let database = place.open();
    assert_eq!(
        database.store("party").get("exchange").unwrap().unwrap(),
        b"1"
    );
    database.acknowledge().unwrap();
    drop(database);
    let database = place.open();
    assert_eq!((database.restores(), database.restored()), (1, None));
    drop(database);
    // The same backup once more: its restores is older than the anchor's, and the next one is new again.
    fs::copy(&backup, &file).unwrap();
    assert_eq!(place.open().restores(), 2);
}

#[test]
fn a_database_set_back_in_place_is_noticed() {
    for place in Place::all() {
        for round in 0..3_u8 {
            place
                .open()
                .store("party")
                .put("exchange", &[round])
                .unwrap();
        }
        place.meddle(&["UPDATE lepton_owners SET generation = 2 WHERE owner = 'OWNER'"]);
        let database = place.open();
        let why = database.restored().unwrap();
        assert!(why.contains("a backup was restored"), "{why}");
        assert_eq!(database.restores(), 1);
        drop(database);
        place.meddle(&[
            "DELETE FROM lepton_values WHERE owner = 'OWNER'",
            "DELETE FROM lepton_owners WHERE owner = 'OWNER'",
        ]);
        // Emptied altogether: the key is missed before anything else, then the anchor speaks.
        let database = place.open();
        assert_eq!(database.restores(), 2);
        assert!(database.restored().unwrap().contains("it is empty"));
    }
}

#[test]
fn a_lost_old_or_forged_anchor_is_noticed() {
    let place = Place::sqlite();
    let anchor = place.path("store.anchor");
    let write = |value: &[u8]| place.open().store("party").put("exchange", value).unwrap();
    write(b"1");
    let old = fs::read(&anchor).unwrap();
    write(b"2");
    write(b"3");
    fs::remove_file(&anchor).unwrap();
    let database = place.open();
    assert_eq!(database.restores(), 1);
    assert!(database.restored().unwrap().contains("anchor is missing"));
    drop(database);
    fs::write(&anchor, &old).unwrap();
    assert_eq!(place.open().restores(), 2, "an anchor of an earlier life");
    let text = fs::read_to_string(&anchor).unwrap();
    let forged = text.replace("\"generation\":", "\"generation\":1");
    assert_ne!(text, forged);
    fs::write(&anchor, forged).unwrap();
    let error = place.try_open().err().unwrap();
    assert!(error.contains("anchor of the store was changed"), "{error}");
    fs::write(&anchor, &text[..text.len() / 2]).unwrap();
    assert!(place.try_open().is_err());
}

#[test]
fn a_crash_between_a_write_and_its_anchor_is_no_restore() {
    let place = Place::sqlite();
    let anchor = place.path("store.anchor");
    place.open().store("party").put("exchange", b"1").unwrap();
    let before = fs::read(&anchor).unwrap();
    place.open().store("party").put("exchange", b"2").unwrap();
    fs::write(&anchor, before).unwrap();
    let database = place.open();
    assert_eq!((database.restores(), database.restored()), (0, None));
    assert_eq!(
        database.store("party").get("exchange").unwrap().unwrap(),
        b"2"
    );
}

#[test]
fn one_process_at_a_time() {
    for place in Place::all() {
        let database = place.open();
        let error = place.try_open().err().unwrap();
        assert!(
            error.contains("another process has this store open"),
            "{error}"
        );
        // With an anchor of its own a second program gets in, and the first one finds out at its next write.
        let mut config = place.config();
        config.anchor = place.path("other.anchor");
        let second = Database::open(&config, &place.owner).unwrap();
        second.store("party").put("key", b"second").unwrap();
        let error = database.store("party").put("key", b"first").unwrap_err();
        assert!(
            error.to_string().contains("somebody else writes"),
            "{error}"
        );
        assert_eq!(
            second.store("party").get("key").unwrap().unwrap(),
            b"second"
        );
    }
}

#[test]
fn owners_share_a_database() {
    for place in Place::all() {
        let database = place.open();
        database.store("party").put("key", b"mine").unwrap();
        let other = Place {
            folder: tempfile::tempdir().unwrap(),
            owner: format!("{}-other", place.owner),
            url: place.url.clone(),
            password: place.password.clone(),
        };
        let others = other.open();
        assert_eq!(others.store("party").get("key").unwrap(), None);
        others.store("party").put("key", b"theirs").unwrap();
        assert_eq!(
            database.store("party").get("key").unwrap().unwrap(),
            b"mine"
        );
        let mut config = other.config();
        config.anchor = place.path("store.anchor");
        drop(database);
        let error = Database::open(&config, "third").err().unwrap().to_string();
        assert!(error.contains("anchor"), "{error}");
    }
}

/// The tables of version 1, as the first program made them.
#[test]
fn old_tables_become_todays() {
    let place = Place::sqlite();
    fs::write(place.path("store 1%.db"), "").unwrap();
    place.meddle(&[
        "CREATE TABLE lepton_schema (version BIGINT NOT NULL PRIMARY KEY)",
        "CREATE TABLE lepton_values (owner TEXT NOT NULL, actor TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (owner, actor, name))",
        "INSERT INTO lepton_schema (version) VALUES (1)",
    ]);
    let database = place.open();
    assert_eq!((database.restores(), database.restored()), (0, None));
    database.store("party").put("key", b"value").unwrap();
    drop(database);
    assert_eq!(
        place.open().store("party").get("key").unwrap().unwrap(),
        b"value"
    );
}

#[test]
fn newer_tables_are_left_alone() {
    let place = Place::sqlite();
    drop(place.open());
    place.meddle(&["INSERT INTO lepton_schema (version) VALUES (99)"]);
    let error = place.try_open().err().unwrap();
    assert!(
        error.contains("version 99, made by a newer program"),
        "{error}"
    );
}

#[test]
fn a_store_that_cannot_be_reached_says_so_without_its_password() {
    let place = Place::sqlite();
    let mut config = place.config();
    config.url = "postgres://lepton@127.0.0.1:1/lepton".to_owned();
    let password = place.path("password");
    write_private(&password, b"hunter2\n");
    config.password = Some(SecretSource::File(password));
    let error = Database::open(&config, "clinic").err().unwrap().to_string();
    assert!(error.contains("can be reached"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn sqlite_waits_for_the_disk() {
    let place = Place::sqlite();
    drop(place.open());
    let url = place.url.strip_prefix("sqlite:").unwrap();
    let url = format!("sqlite:{}", url.replace('%', "%25").replace(' ', "%20"));
    sqlx::any::install_default_drivers();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mode: String = runtime.block_on(async {
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        let row = connection.fetch_one("PRAGMA journal_mode").await.unwrap();
        row.try_get(0).unwrap()
    });
    assert_eq!(mode, "wal");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// A store does what a map does, reopening at any moment.
    #[test]
    fn a_store_is_a_map(steps in proptest::collection::vec((0..4_u8, "[a-c_%]{0,2}", proptest::collection::vec(any::<u8>(), 0..20)), 1..30)) {
        let place = Place::sqlite();
        let mut map = std::collections::BTreeMap::new();
        let mut store = place.open().store("party");
        for (what, key, value) in steps {
            match what {
                0 => {
                    drop(store);
                    store = place.open().store("party");
                }
                1 => prop_assert_eq!(store.get(&key).unwrap(), map.get(&key).cloned()),
                2 => {
                    let found = store.values(&key).unwrap();
                    let expected: Vec<(String, Vec<u8>)> = map
                        .iter()
                        .filter_map(|(name, value): (&String, &Vec<u8>)| Some((name.strip_prefix(&*key)?.to_owned(), value.clone())))
                        .collect();
                    prop_assert_eq!(found, expected);
                }
                _ => {
                    store.put(&key, &value).unwrap();
                    map.insert(key, value);
                }
            }
        }
    }
}
