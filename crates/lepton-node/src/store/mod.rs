//! Durable values of a party or a coordinator in SQLite or PostgreSQL, encrypted, with a watch against restored backups (`docs/store.md`).
//!
//! One [`Database`] belongs to one owner, the name of the program in its federation; its [`SqlStore`]s, one for each actor, are [`Store`]s.

mod anchor;
mod core;
mod inspect;
mod key;
mod schema;
mod url;

use std::path::Path;
use std::sync::{Arc, Mutex};

use lepton_protocol::store::{Record, Store, StoreError};

use self::core::{Core, Setup};
use crate::config::StoreConfig;
use crate::error::NodeError;
use crate::wait::{ForFile, Wait};
use anchor::Anchor;
use url::Dialect;

pub use inspect::{Found, inspect};

/// An open database. Clones are handles on the same connection; calls return when what they did is on the disk.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    /// None once it is closed.
    core: Mutex<Option<Core>>,
    wait: Wait,
    opened: Opened,
    place: String,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) restores: u64,
    pub(crate) restored: Option<String>,
}

impl Drop for Inner {
    /// Waits until the connection is closed.
    fn drop(&mut self) {
        if let Ok(core) = self.core.get_mut()
            && let Some(core) = core.take()
        {
            self.wait.block_on(core.close());
        }
    }
}

impl Database {
    /// Opens the owner's part of the database, and makes tables, key and anchor at the first start.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be reached, another process of the same owner has it open, the key is not the one that values are encrypted under,
    /// or a newer version made the tables; [`NodeError::Use`] when the password or the key cannot be read.
    pub fn open(config: &StoreConfig, owner: &str) -> Result<Self, NodeError> {
        let password = config.password.as_ref().map(|source| source.read());
        let target = url::target(
            &config.url,
            password.transpose()?.as_deref().map(String::as_str),
        )?;
        let place = target.place.clone();
        let setup = Setup {
            target,
            owner: owner.to_owned(),
            key_file: config.key_file.clone(),
            anchor: Anchor::lock(&config.anchor)?,
        };
        let wait = match setup.target.dialect {
            Dialect::Sqlite => Wait::File(ForFile),
            Dialect::Postgres => {
                Wait::for_socket().map_err(|error| NodeError::Internal(error.to_string()))?
            }
        };
        let (core, opened) = wait.block_on(Core::open(setup))?;
        Ok(Self(Arc::new(Inner {
            core: Mutex::new(Some(core)),
            wait,
            opened,
            place,
        })))
    }

    /// The values of one actor.
    #[must_use]
    pub fn store(&self, actor: &str) -> SqlStore {
        SqlStore {
            database: self.clone(),
            actor: actor.to_owned(),
        }
    }

    /// Counts the times that the store was found restored. What was stored before the last of them may be older than what was sent since: it is no
    /// ground to go on from.
    #[must_use]
    pub fn restores(&self) -> u64 {
        self.0.opened.restores
    }

    /// Why the store is taken for a restored one; none when it is not, or since [`Database::acknowledge`].
    #[must_use]
    pub fn restored(&self) -> Option<&str> {
        self.0.opened.restored.as_deref()
    }

    /// Says that nothing will be continued from what was stored before the restore. Until then every opening reports it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn acknowledge(&self) -> Result<(), StoreError> {
        self.call(|wait, core| wait.block_on(core.acknowledge()))
    }

    fn call<T>(
        &self,
        work: impl FnOnce(&Wait, &mut Core) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let gone = || gone(&self.0.place);
        let mut core = self.0.core.lock().map_err(|_| gone())?;
        work(&self.0.wait, core.as_mut().ok_or_else(gone)?)
    }
}

fn gone(place: &str) -> StoreError {
    StoreError {
        place: place.to_owned(),
        problem: "the store was left in the middle of a write".to_owned(),
        remedy: "restart the program; this is a defect, please report it".to_owned(),
    }
}

/// The values of one actor in a [`Database`].
#[derive(Clone)]
pub struct SqlStore {
    database: Database,
    actor: String,
}

impl Store for SqlStore {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), value.to_vec());
        self.put_all(&[Record { key, value }])
    }

    /// All or nothing, in one transaction.
    fn put_all(&mut self, records: &[Record]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        self.database
            .call(|wait, core| wait.block_on(core.put(&self.actor, records)))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.database
            .call(|wait, core| wait.block_on(core.get(&self.actor, key)))
    }

    fn values(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.database
            .call(|wait, core| wait.block_on(core.values(&self.actor, prefix)))
    }
}

/// Where an anchor's lock lies.
pub(crate) fn beside(path: &Path, ending: &str) -> std::path::PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}
