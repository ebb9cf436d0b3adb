//! One run and its ledger.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lepton_protocol::ledger::{
    BudgetError, Charge, Ledger, LedgerError, Planned, Reserved, Unit, planned, planned_cost,
};
use lepton_protocol::plan::Plan;
use lepton_table::Table;
use rand_core::Rng;

use super::witness::{FILE as HEADS, SignedHead};
use super::{Cells, Clock, DurableLedger, JobTable};
use crate::error::NodeError;
use crate::files::{Durability, FileLedger};
use crate::hex::hex;
use crate::random::Entropy;
use crate::run_folder::{Kept, RunFile, RunFolder};
use crate::tables::Federation;

/// The ledger that a user asked for.
#[derive(Debug, Clone)]
pub struct LedgerUse {
    /// Its file; none where the run itself knows (a resumed one) or none is wanted.
    pub path: Option<PathBuf>,
    /// Time of entries.
    pub clock: Clock,
}

impl Default for LedgerUse {
    /// None, and entries without a time.
    fn default() -> Self {
        Self {
            path: None,
            clock: String::new,
        }
    }
}

impl LedgerUse {
    /// What a new run keeps of it: the absolute path and a name of its own there.
    ///
    /// # Errors
    /// [`NodeError::Entropy`], or a path that has no absolute form.
    pub(crate) fn kept(&self) -> Result<Option<Kept>, NodeError> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let path = std::path::absolute(path).map_err(|error| NodeError::file(path, &error))?;
        let mut name = [0; 16];
        Entropy::System.generator("run", 0)?.fill_bytes(&mut name);
        Ok(Some(Kept {
            path,
            job: hex(&name),
        }))
    }
}

/// A table as a job read it.
pub(crate) struct TableRead {
    pub(crate) table: Table,
    /// Which of its rows each party has, counted from 0.
    pub(crate) seats: Vec<(String, Vec<usize>)>,
}

/// A run's reservation.
#[derive(Clone)]
pub struct JobLedger {
    ledger: Arc<DurableLedger>,
    job: String,
}

impl JobLedger {
    /// Reserves for a new run, durably and before anything of it is sampled (FT-08).
    ///
    /// # Errors
    /// [`BudgetError`] when it does not fit.
    pub(crate) fn begin(
        run: &RunFile,
        clock: Clock,
        federation: &mut Federation,
    ) -> Result<Option<Self>, NodeError> {
        let this = Self::of(run, clock)?;
        if let Some(this) = &this {
            let read = |read: &TableRead| {
                Ok(JobTable {
                    cells: Cells::of(&read.table)?,
                    seats: read.seats.clone(),
                })
            };
            let tables = federation
                .reads
                .iter()
                .map(read)
                .collect::<Result<_, NodeError>>()?;
            this.reserve(&federation.plan, tables)?;
        }
        federation.reads.clear();
        Ok(this)
    }

    /// The ledger of a run that goes on, if it still holds all that the run knows of it.
    ///
    /// # Errors
    /// [`NodeError`] when the ledger is gone or was rolled back, or when the job has ended there.
    pub(crate) fn resume(
        (run, folder): (&RunFile, &RunFolder),
        clock: Clock,
        federation: &mut Federation,
    ) -> Result<Option<Self>, NodeError> {
        if let Some(this) = Self::of(run, clock)? {
            this.was_not_rolled_back(folder, federation)?;
        }
        // A crash may have come before the reservation; one that is there stays as it is.
        Self::begin(run, clock, federation)
    }

    /// The ledger that a run names.
    pub(crate) fn of(run: &RunFile, clock: Clock) -> Result<Option<Self>, NodeError> {
        let Some(kept) = &run.ledger else {
            return Ok(None);
        };
        let ledger = Arc::new(DurableLedger::open(&kept.path, clock)?);
        Ok(Some(Self {
            ledger,
            job: kept.job.clone(),
        }))
    }

    /// LG-07: the heads that the parties signed are part of the chain, and every charge that a party kept is in it. Before anything is written beside them.
    fn was_not_rolled_back(
        &self,
        folder: &RunFolder,
        federation: &Federation,
    ) -> Result<(), NodeError> {
        self.ledger
            .verify(SignedHead::read(&folder.path("state").join(HEADS))?)?;
        let book = self.ledger.book()?;
        for (index, party) in federation.parties.iter().enumerate() {
            let own = format!("state/parties/{index}/ledger.jsonl");
            let limit = federation.plan.privacy().map(|privacy| privacy.limit);
            let own = folder.path(&own);
            if !own.exists() {
                continue;
            }
            let own = FileLedger::open(&own, limit, Durability::Process)?;
            let kept = |charge: &&Charge| book.has_charged(&self.job, &party.name, charge);
            if !own.charges().iter().all(|charge| kept(&charge)) {
                return Err(NodeError::Data(format!(
                    "{}: charges of {} that this run made are gone: the ledger was rolled back; restore it from a copy that has every entry",
                    self.ledger.path().display(),
                    party.name
                )));
            }
        }
        Ok(())
    }

    /// Ends the job in the ledger, unless it has ended there, and says where its budgets are low.
    pub(crate) fn close(&self) -> Result<Vec<String>, LedgerError> {
        let book = self.ledger.book()?;
        if book.jobs().get(&self.job).is_some_and(|job| !job.closed) {
            self.ledger.close(&self.job)?;
        }
        let book = self.ledger.book()?;
        let at = self.ledger.now();
        let touched = book.blocks().iter();
        let touched = touched.filter(|block| block.costs().contains_key(&self.job));
        Ok(touched
            .flat_map(|block| book.warnings(block, &at))
            .collect())
    }

    /// The durable ledger.
    #[must_use]
    pub fn durable(&self) -> &DurableLedger {
        &self.ledger
    }

    /// A party's own reservation for a job of a real federation: the whole cost of its plan on the rows of its table. A job that has its
    /// reservation already keeps it.
    ///
    /// # Errors
    /// [`BudgetError`] when it does not fit, or the job has no privacy goal.
    pub(crate) fn of_party(
        ledger: Arc<DurableLedger>,
        (job, seat): (&str, &str),
        (plan, table): (&Plan, &Table),
    ) -> Result<Self, NodeError> {
        let this = Self {
            ledger,
            job: job.to_owned(),
        };
        this.reserve(plan, vec![whole(table, seat)?])?;
        Ok(this)
    }

    /// Whether a party's reservation would be made now; keeps nothing.
    ///
    /// # Errors
    /// As [`JobLedger::of_party`].
    pub(crate) fn would_cover(
        ledger: DurableLedger,
        seat: &str,
        (plan, table): (&Plan, &Table),
    ) -> Result<(), NodeError> {
        let this = Self {
            ledger: Arc::new(ledger),
            // No job of a federation is called so: they have digests.
            job: "rehearsal".to_owned(),
        };
        let (reserved, planned) = this.terms(plan)?;
        let tables = vec![whole(table, seat)?];
        Ok(this.ledger.would_reserve(reserved, tables, planned)?)
    }

    fn reserve(&self, plan: &Plan, tables: Vec<JobTable>) -> Result<(), NodeError> {
        let (reserved, planned) = self.terms(plan)?;
        Ok(self.ledger.reserve(reserved, tables, planned)?)
    }

    /// What a plan sets aside.
    fn terms(&self, plan: &Plan) -> Result<(Reserved, Vec<Planned>), NodeError> {
        let name = plan.job().name().to_string();
        if plan.job().job().insecure_seed.is_some() {
            return Err(LedgerError::from(BudgetError::Seeded(name)).into());
        }
        let (Some(planned), Some(privacy)) = (planned(plan), plan.privacy()) else {
            return Err(LedgerError::from(BudgetError::NoGoal(name)).into());
        };
        let (unit, person) = protects(plan);
        let arithmetic =
            |error: lepton_dp::DpError| LedgerError::Arithmetic(name.clone(), error.to_string());
        let reserved = Reserved {
            job: self.job.clone(),
            title: format!("job `{name}`"),
            epsilon: privacy.goal.epsilon.get(),
            delta: privacy.goal.delta.get(),
            seats: BTreeMap::new(),
            curve: planned_cost(&planned, unit).map_err(arithmetic)?,
            unit,
            person,
        };
        Ok((reserved, planned))
    }
}

/// All rows of a party's table.
fn whole(table: &Table, seat: &str) -> Result<JobTable, NodeError> {
    let rows = (0..table.rows()).collect();
    Ok(JobTable {
        cells: Cells::of(table)?,
        seats: vec![(seat.to_owned(), rows)],
    })
}

/// What the job's guarantee protects, and the column that tells its persons apart: the one place where the ledger reads it from the job.
fn protects(plan: &Plan) -> (Unit, Option<String>) {
    (plan.unit(), plan.person_column().map(str::to_owned))
}

/// Refusals in a round are answered to the coordinator.
fn withheld(error: LedgerError) -> LedgerError {
    match error {
        LedgerError::Budget(_) => BudgetError::Withheld.into(),
        other => other,
    }
}

/// A party's door: the job's own limit, then the durable ledger, then the job's own record (FT-08, FT-09).
pub struct Door {
    file: FileLedger,
    durable: Option<(JobLedger, String)>,
    entry: u64,
}

impl Door {
    /// Charges go to `durable` first, as party `seat` of the job.
    #[must_use]
    pub fn new(file: FileLedger, durable: Option<JobLedger>, seat: &str) -> Self {
        let durable = durable.map(|job| (job, seat.to_owned()));
        Self {
            file,
            durable,
            entry: 0,
        }
    }

    /// Number of the last charge's entry: in the durable ledger, or, without one, in the job's own.
    pub(crate) fn last_entry(&self) -> u64 {
        match &self.durable {
            Some(_) => self.entry,
            None => self.file.charges().len() as u64,
        }
    }
}

impl Ledger for Door {
    fn reserve(&mut self, charge: &Charge) -> Result<(), LedgerError> {
        if let Some((job, seat)) = &self.durable {
            self.file.check(charge)?;
            let charged = job.ledger.charge(&job.job, seat, charge);
            self.entry = charged.map_err(withheld)?;
        }
        self.file.reserve(charge)
    }

    fn charges(&self) -> &[Charge] {
        self.file.charges()
    }
}
