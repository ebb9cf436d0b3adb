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
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use lepton_protocol::store::{Record, Store, StoreError};
use tokio::runtime::Runtime;

use self::core::{Core, Setup};
use crate::config::StoreConfig;
use crate::error::NodeError;
use anchor::Anchor;

pub use inspect::{Found, inspect};

type Task = Box<dyn FnOnce(&Runtime, &mut Core) + Send>;

/// An open database. Clones are handles on the same connection; calls return when what they did is on the disk.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    /// The connection lives on a thread of its own, so that calls work inside and outside of an asynchronous runtime.
    tasks: Mutex<Option<mpsc::Sender<Task>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
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
        if let Ok(tasks) = self.tasks.get_mut() {
            *tasks = None;
        }
        if let Ok(thread) = self.thread.get_mut()
            && let Some(thread) = thread.take()
        {
            // A thread that panicked has closed the connection too.
            let _ = thread.join();
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
        let (tasks, inbox) = mpsc::channel::<Task>();
        let (ready, opened) = mpsc::channel();
        let thread = thread::Builder::new().name("store".to_owned());
        let spawned = thread.spawn(move || serve(setup, &ready, inbox));
        let spawned = spawned.map_err(|error| NodeError::Internal(error.to_string()))?;
        let opened = opened.recv().map_err(|_| gone(&place))??;
        Ok(Self(Arc::new(Inner {
            tasks: Mutex::new(Some(tasks)),
            thread: Mutex::new(Some(spawned)),
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
        self.call(|runtime, core| runtime.block_on(core.acknowledge()))
    }

    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Runtime, &mut Core) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = mpsc::channel();
        let task: Task = Box::new(move |runtime, core| {
            // Whoever asked may be gone.
            let _ = answer.send(work(runtime, core));
        });
        let tasks = self.0.tasks.lock().map_err(|_| gone(&self.0.place))?;
        let sent = tasks.as_ref().map(|tasks| tasks.send(task));
        drop(tasks);
        match sent {
            Some(Ok(())) => answered.recv().map_err(|_| gone(&self.0.place))?,
            _ => Err(gone(&self.0.place)),
        }
    }
}

fn serve(
    setup: Setup,
    ready: &mpsc::Sender<Result<Opened, NodeError>>,
    inbox: mpsc::Receiver<Task>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(NodeError::Internal(error.to_string())))),
    };
    match runtime.block_on(Core::open(setup)) {
        Err(error) => drop(ready.send(Err(error))),
        Ok((mut core, opened)) => {
            // Whoever opened it may be gone; then there is nothing to do.
            let _ = ready.send(Ok(opened));
            for task in inbox {
                task(&runtime, &mut core);
            }
            runtime.block_on(core.close());
        }
    }
}

fn gone(place: &str) -> StoreError {
    StoreError {
        place: place.to_owned(),
        problem: "the store's thread ended".to_owned(),
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
        let (actor, records) = (self.actor.clone(), records.to_vec());
        self.database
            .call(move |runtime, core| runtime.block_on(core.put(&actor, &records)))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (actor, key) = (self.actor.clone(), key.to_owned());
        self.database
            .call(move |runtime, core| runtime.block_on(core.get(&actor, &key)))
    }

    fn values(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let (actor, prefix) = (self.actor.clone(), prefix.to_owned());
        self.database
            .call(move |runtime, core| runtime.block_on(core.values(&actor, &prefix)))
    }
}

/// Where an anchor's lock lies.
pub(crate) fn beside(path: &Path, ending: &str) -> std::path::PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}
