//! One run and its ledger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lepton_protocol::job::DataSource;
use lepton_protocol::ledger::{
    BudgetError, Charge, Ledger, LedgerError, Reserved, Round, percent, planned, planned_cost,
};
use lepton_protocol::plan::Plan;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::{Cells, Clock, DurableLedger};
use crate::error::NodeError;
use crate::files::FileLedger;
use crate::random::Entropy;
use crate::run_folder::RunFolder;
use crate::tables::{Federation, Source};

/// File of a run folder that names its ledger.
const FILE: &str = "ledger.json";

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

/// What a run keeps about its ledger.
#[derive(Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    job: String,
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
        wanted: &LedgerUse,
        folder: &RunFolder,
        (federation, source): (&Federation, &Source),
    ) -> Result<Option<Self>, NodeError> {
        let Some(path) = &wanted.path else {
            return Ok(None);
        };
        let path = std::path::absolute(path).map_err(|error| NodeError::file(path, &error))?;
        let ledger = DurableLedger::open(&path, wanted.clock)?;
        let mut name = [0; 16];
        Entropy::System.generator("run", 0)?.fill_bytes(&mut name);
        let job: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let kept = serde_json::to_vec(&Kept {
            path,
            job: job.clone(),
        })
        .map_err(|error| NodeError::Internal(error.to_string()))?;
        // The name first: a reservation whose run does not know it would stay for ever.
        folder.write(FILE, &kept)?;
        let this = Self {
            ledger: Arc::new(ledger),
            job,
        };
        this.reserve(&federation.plan, tables(federation, source)?)?;
        Ok(Some(this))
    }

    /// The ledger of a run that goes on.
    ///
    /// # Errors
    /// [`NodeError`] when the ledger is gone or the job has ended there.
    pub(crate) fn resume(
        folder: &RunFolder,
        clock: Clock,
        (federation, source): (&Federation, &Source),
    ) -> Result<Option<Self>, NodeError> {
        let Some(this) = Self::of(folder, clock)? else {
            return Ok(None);
        };
        // A crash may have come before the reservation; one that is there stays as it is.
        this.reserve(&federation.plan, tables(federation, source)?)?;
        Ok(Some(this))
    }

    /// The ledger that a run folder names.
    pub(crate) fn of(folder: &RunFolder, clock: Clock) -> Result<Option<Self>, NodeError> {
        let file = folder.path(FILE);
        if !file.exists() {
            return Ok(None);
        }
        let kept: Kept =
            serde_json::from_str(&crate::tables::read_text(&file)?).map_err(|error| {
                NodeError::Data(format!(
                    "{}: cannot be read ({error}); start a new run",
                    file.display()
                ))
            })?;
        let ledger = Arc::new(DurableLedger::open(&kept.path, clock)?);
        Ok(Some(Self {
            ledger,
            job: kept.job,
        }))
    }

    /// Ends the job in the ledger, unless it has ended there, and says where its budgets are low.
    pub(crate) fn close(&self) -> Result<Vec<String>, LedgerError> {
        let book = self.ledger.book()?;
        if book.jobs().get(&self.job).is_some_and(|job| !job.closed) {
            self.ledger.close(&self.job)?;
        }
        let book = self.ledger.book()?;
        let low = book
            .blocks()
            .iter()
            .filter(|block| block.costs().contains_key(&self.job) && block.is_low());
        let words = low.map(|block| {
            let capacity = block.budget.capacity();
            let left = capacity.minus(block.used().at(block.budget.order()));
            format!(
                "{} of the privacy budget of `{}` is left (epsilon {} at delta {})",
                percent(left, capacity, Round::Down),
                book.title(block.lineage),
                block.budget.epsilon().get(),
                block.budget.delta().get()
            )
        });
        Ok(words.collect())
    }

    /// The durable ledger.
    #[must_use]
    pub fn durable(&self) -> &DurableLedger {
        &self.ledger
    }

    /// A party's own reservation for a job of a real federation: the whole cost of its plan on the rows of one table. A job that has its
    /// reservation already keeps it.
    ///
    /// # Errors
    /// [`BudgetError`] when it does not fit, or the job has no privacy goal.
    pub fn of_party(
        ledger: Arc<DurableLedger>,
        (job, seat): (&str, &str),
        (plan, table): (&Plan, &Path),
    ) -> Result<Self, NodeError> {
        let this = Self {
            ledger,
            job: job.to_owned(),
        };
        this.reserve(plan, vec![(Cells::read(table)?, vec![seat.to_owned()])])?;
        Ok(this)
    }

    fn reserve(&self, plan: &Plan, tables: Vec<(Cells, Vec<String>)>) -> Result<(), NodeError> {
        let name = plan.job().name().to_string();
        let (Some(planned), Some(privacy)) = (planned(plan), plan.privacy()) else {
            return Err(LedgerError::from(BudgetError::NoGoal(name)).into());
        };
        let arithmetic =
            |error: lepton_dp::DpError| LedgerError::Arithmetic(name.clone(), error.to_string());
        let reserved = Reserved {
            job: self.job.clone(),
            title: format!("job `{name}`"),
            epsilon: privacy.goal.epsilon.get(),
            delta: privacy.goal.delta.get(),
            seats: BTreeMap::new(),
            curve: planned_cost(&planned).map_err(arithmetic)?,
        };
        Ok(self.ledger.reserve(reserved, tables, planned)?)
    }
}

/// Each table with the parties that read it. Rows dealt from one table count as its rows for every party: each row is at one party only (LG-04).
fn tables(
    federation: &Federation,
    source: &Source,
) -> Result<Vec<(Cells, Vec<String>)>, NodeError> {
    let names: Vec<String> = federation
        .parties
        .iter()
        .map(|party| party.name.clone())
        .collect();
    let folder = source.job.parent().unwrap_or(Path::new("."));
    let each = |paths: Vec<PathBuf>| {
        let pairs = paths.into_iter().zip(names.iter().cloned());
        pairs
            .map(|(path, name)| Ok((Cells::read(&path)?, vec![name])))
            .collect()
    };
    if !source.party_data.is_empty() {
        return each(source.party_data.clone());
    }
    match &federation.plan.job().data().source {
        DataSource::PerParty(tables) => {
            each(tables.iter().map(|table| folder.join(table)).collect())
        }
        DataSource::Dealt { table, .. } => {
            let path = source.data.clone().unwrap_or_else(|| folder.join(table));
            Ok(vec![(Cells::read(&path)?, names)])
        }
    }
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
}

impl Door {
    /// Charges go to `durable` first, as party `seat` of the job.
    #[must_use]
    pub fn new(file: FileLedger, durable: Option<JobLedger>, seat: &str) -> Self {
        let durable = durable.map(|job| (job, seat.to_owned()));
        Self { file, durable }
    }
}

impl Ledger for Door {
    fn reserve(&mut self, charge: &Charge) -> Result<(), LedgerError> {
        if let Some((job, seat)) = &self.durable {
            self.file.check(charge)?;
            job.ledger
                .charge(&job.job, seat, charge)
                .map_err(withheld)?;
        }
        self.file.reserve(charge)
    }

    fn charges(&self) -> &[Charge] {
        self.file.charges()
    }
}
