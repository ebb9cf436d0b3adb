//! The durable ledger of a data owner: budgets that outlive jobs, restarts and crashes (docs/protocols/ledger.md).
//!
//! A [`DurableLedger`] is a handle on one file; any number of handles in any number of processes work on it together and never exceed a budget together.

mod cells;
mod database;
mod job;
mod tables;
mod units;
mod verify;
mod witness;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use lepton_protocol::ledger::{
    Book, Budget, BudgetError, Charge, Curve, Head, LedgerError, Pace, Planned, Reserved, What,
    accountant_of,
};

use crate::error::NodeError;
use crate::random::Entropy;
use crate::wait::ForFile;
use database::{Core, Draft};
use rand_core::Rng;

pub use cells::Cells;
pub use database::Stored;
pub(crate) use job::TableRead;
pub use job::{Door, JobLedger, LedgerUse};
pub(crate) use witness::FILE as HEADS;
pub use witness::SignedHead;

/// A table of a job.
#[derive(Clone)]
pub struct JobTable {
    /// What it holds.
    pub cells: Cells,
    /// Which of its rows each party has, counted from 0.
    pub seats: Vec<(String, Vec<usize>)>,
}

/// Where entries get their time from: RFC 3339.
pub type Clock = fn() -> String;

/// A handle on a ledger's file. Calls return when what they did is on the disk.
pub struct DurableLedger {
    /// None once it is closed.
    core: Mutex<Option<Core>>,
    path: PathBuf,
    clock: Clock,
}

impl Drop for DurableLedger {
    /// Waits until the file is closed.
    fn drop(&mut self) {
        if let Ok(core) = self.core.get_mut()
            && let Some(core) = core.take()
        {
            ForFile.block_on(core.close());
        }
    }
}

impl DurableLedger {
    /// Opens an existing ledger and follows its chain.
    ///
    /// # Errors
    /// [`LedgerError::Store`] when there is none, it cannot be written, others can read it, or an entry does not follow from those before.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, LedgerError> {
        Self::start(path, None, clock)
    }

    /// Opens a ledger, or makes it.
    ///
    /// # Errors
    /// As [`DurableLedger::open`], and [`NodeError::Entropy`].
    pub fn open_or_create(path: &Path, clock: Clock) -> Result<Self, NodeError> {
        let mut rng = Entropy::System.generator("ledger", 0)?;
        let (mut name, mut key) = ([0; 16], [0; 32]);
        rng.fill_bytes(&mut name);
        rng.fill_bytes(&mut key);
        Ok(Self::start(path, Some((name, key)), clock)?)
    }

    fn start(
        path: &Path,
        new: Option<([u8; 16], [u8; 32])>,
        clock: Clock,
    ) -> Result<Self, LedgerError> {
        let wait = ForFile;
        let core = wait.block_on(Core::open(path, new, clock))?;
        Ok(Self {
            core: Mutex::new(Some(core)),
            path: path.to_owned(),
            clock,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The time, as entries have it.
    #[must_use]
    pub fn now(&self) -> String {
        (self.clock)()
    }

    /// The state, newest entries included.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub fn book(&self) -> Result<Book, LedgerError> {
        self.call(|wait, core| {
            wait.block_on(core.refresh())?;
            Ok(core.book.clone())
        })
    }

    /// Every entry in order.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub fn history(&self) -> Result<Vec<Stored>, LedgerError> {
        self.call(|wait, core| wait.block_on(core.history()))
    }

    /// How many entries there are, and the hash of the last.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub fn head(&self) -> Result<Head, LedgerError> {
        self.call(|wait, core| {
            wait.block_on(core.refresh())?;
            Ok(core.head)
        })
    }

    /// Gives a data set its lifetime budget (LG-01); `id` names the column that stands for a row.
    ///
    /// # Errors
    /// [`BudgetError`] when the name is taken or rows of the table have a budget already.
    pub fn set_budget(
        &self,
        data: &str,
        (table, id): (Cells, Option<String>),
        budget: Budget,
    ) -> Result<(), LedgerError> {
        let data = data.to_owned();
        self.append(move |core| {
            let key = core.key.clone();
            move |book, prints| {
                tables::budget_set((book, prints, &key), &data, (&table, id), budget)
            }
        })
    }

    /// Changes how fast the budgets of a data set may be spent, and when to warn (LG-13); how much may be spent stays.
    ///
    /// # Errors
    /// [`BudgetError`] when the name is unknown or the plan makes no sense.
    pub fn plan(
        &self,
        data: &str,
        plan: Vec<Pace>,
        warn_at: Option<f64>,
    ) -> Result<(), LedgerError> {
        self.append_plain(What::Planned {
            data: data.to_owned(),
            plan,
            warn_at,
        })
        .map(drop)
    }

    /// Opens a new block for those rows of `table` that were never seen (LG-09), and says how many they are.
    ///
    /// # Errors
    /// [`BudgetError`] when the name is unknown or no row is new.
    pub fn renew(
        &self,
        data: &str,
        table: Cells,
        budget: Option<Budget>,
    ) -> Result<(), LedgerError> {
        let data = data.to_owned();
        self.append(move |core| {
            let key = core.key.clone();
            move |book, prints| tables::renewed((book, prints, &key), &data, &table, budget)
        })
    }

    /// Sets a job's whole schedule aside on every block that its tables touch (LG-05, LG-08). `tables` holds each distinct table with the parties that read it; which blocks they touch is filled in.
    /// A run that has its reservation already keeps it, as long as its rows lie where they lay.
    ///
    /// # Errors
    /// [`BudgetError`] when it does not fit, nobody set a budget, or the job has ended; nothing is set aside then.
    pub fn reserve(
        &self,
        reserved: Reserved,
        tables: Vec<JobTable>,
        planned: Vec<Planned>,
    ) -> Result<(), LedgerError> {
        self.weigh((reserved, tables, planned), true)
    }

    /// Whether [`DurableLedger::reserve`] would succeed now; keeps nothing.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn would_reserve(
        &self,
        reserved: Reserved,
        tables: Vec<JobTable>,
        planned: Vec<Planned>,
    ) -> Result<(), LedgerError> {
        self.weigh((reserved, tables, planned), false)
    }

    /// Decides on a reservation, and appends it if it is for keeps.
    fn weigh(
        &self,
        (mut reserved, tables, planned): (Reserved, Vec<JobTable>, Vec<Planned>),
        keep: bool,
    ) -> Result<(), LedgerError> {
        self.append(move |core| {
            let (key, path) = (core.key.clone(), core.path.display().to_string());
            let at = core.now();
            move |book, prints| {
                let (mut drafts, mut places) = (Vec::new(), Vec::new());
                for JobTable { cells, seats } in &tables {
                    let touched = tables::touched((book, prints, &key), cells, &path)?;
                    places.push(touched.blocks.clone());
                    drafts.extend(touched.draft);
                    let blocks: Vec<u32> = touched.blocks.into_keys().collect();
                    for (seat, _) in seats {
                        if reserved
                            .seats
                            .insert(seat.clone(), blocks.clone())
                            .is_some()
                        {
                            let words = format!("two parties of the job are called {seat}");
                            return Err(BudgetError::Use(words).into());
                        }
                    }
                }
                if let Some(job) = book.jobs().get(&reserved.job) {
                    job.goes_on(&reserved)?;
                    return Ok(Vec::new());
                }
                let what = What::Reserved(reserved.clone());
                let entry = lepton_protocol::ledger::Entry {
                    at,
                    what: what.clone(),
                };
                units::check((book, &key), &reserved, (&tables, &places))?;
                book.check(&entry)
                    .map_err(|error| book.explain(error, &reserved, &planned))?;
                drafts.push(Draft { what, prints: None });
                Ok(if keep { drafts } else { Vec::new() })
            }
        })
    }

    /// Charges one release of a job (LG-04) and gives the number of its entry. The same release is never charged twice: it is refused the second time.
    ///
    /// # Errors
    /// [`BudgetError`] when it does not fit, was charged before, or the job has ended.
    pub fn charge(&self, job: &str, seat: &str, charge: &Charge) -> Result<u64, LedgerError> {
        let cost = Curve::of(&accountant_of([charge], charge.side)?);
        let what = What::Charged {
            job: job.to_owned(),
            seat: seat.to_owned(),
            charge: charge.clone(),
            cost,
        };
        self.append_plain(what)
    }

    /// Ends a job: what it set aside and did not charge is free again (LG-05).
    ///
    /// # Errors
    /// [`BudgetError`] when it is not open.
    pub fn close(&self, job: &str) -> Result<(), LedgerError> {
        let job = job.to_owned();
        self.append_plain(What::Closed { job }).map(drop)
    }

    /// Keeps a peer's signature on a head of this ledger, and checks it first (LG-07).
    ///
    /// # Errors
    /// [`LedgerError::Store`] when the signature is not genuine, or is about a head that this chain does not have.
    pub fn record_countersignature(&self, signed: &SignedHead) -> Result<(), LedgerError> {
        let signed = signed.clone();
        self.call(move |wait, core| {
            let history = wait.block_on(core.history())?;
            verify::witness(&core.path, (core.book.ledger(), &history), &signed)?;
            wait.block_on(core.record(&signed))
        })
    }

    /// Signatures kept.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub fn countersignatures(&self) -> Result<Vec<SignedHead>, LedgerError> {
        self.call(|wait, core| wait.block_on(core.witnesses()))
    }

    /// Checks everything that can be checked (LG-07, LG-10): every link and every limit from the first entry on, stored fingerprints, the cost of every charge,
    /// and that every countersigned head, those kept here and `others`, is part of this chain.
    ///
    /// # Errors
    /// [`LedgerError::Store`] naming what is wrong.
    pub fn verify(&self, others: Vec<SignedHead>) -> Result<Verified, LedgerError> {
        self.call(move |wait, core| {
            let history = wait.block_on(core.history())?;
            wait.block_on(core.check_prints())?;
            let mut heads = wait.block_on(core.witnesses())?;
            heads.extend(others);
            verify::all(&core.path, &history, &heads)?;
            Ok(Verified {
                head: core.head,
                witnesses: heads.len(),
            })
        })
    }

    fn append_plain(&self, what: What) -> Result<u64, LedgerError> {
        self.call(move |wait, core| {
            let draft = Draft { what, prints: None };
            wait.block_on(core.append(move |_, _| Ok(vec![draft]), false))?;
            Ok(core.head.count)
        })
    }

    /// Appends what is decided on the newest state and the stored fingerprints.
    fn append<D>(&self, decide: impl FnOnce(&Core) -> D) -> Result<(), LedgerError>
    where
        D: FnOnce(&Book, &[(u32, Vec<u64>)]) -> Result<Vec<Draft>, LedgerError>,
    {
        self.call(move |wait, core| {
            let decide = decide(core);
            wait.block_on(core.append(decide, true))
        })
    }

    fn call<T>(
        &self,
        task: impl FnOnce(&ForFile, &mut Core) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut core = self.core.lock().map_err(|_| gone())?;
        task(&ForFile, core.as_mut().ok_or_else(gone)?)
    }
}

/// What was found sound.
#[derive(Debug, Clone, Copy)]
pub struct Verified {
    /// Where the chain stands.
    pub head: Head,
    /// How many countersigned heads are part of it.
    pub witnesses: usize,
}

fn gone() -> LedgerError {
    BudgetError::Use(
        "internal error: the ledger was left in the middle of a write; please report it".to_owned(),
    )
    .into()
}
