//! What a chain of entries amounts to: blocks, what was spent on them and what is set aside (LG-01 to LG-05). Pure; the shell stores the entries.

mod admission;

use std::collections::{BTreeMap, BTreeSet};

use lepton_dp::Delta;

use super::amount::{Amount, Curve};
use super::budget::{Budget, BudgetError, Round, percent};
use super::entry::{Entry, Reserved, Rows, What};
use super::pace;
use super::planned::{Planned, largest_epsilon, of_sides};
use super::{Charge, Side};
use crate::job::Unit;

/// The state after some entries.
#[derive(Debug, Clone, Default)]
pub struct Book {
    ledger: String,
    key_sha256: String,
    entries: u64,
    fingerprints: BTreeMap<u64, (u32, String)>,
    names: BTreeMap<String, Vec<u32>>,
    lineages: Vec<Vec<u32>>,
    titles: Vec<String>,
    blocks: Vec<Block>,
    jobs: BTreeMap<String, Job>,
}

/// Records that share one budget.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its number in the ledger, from 0.
    pub number: u32,
    /// Lineage it belongs to.
    pub lineage: u32,
    /// Its budget.
    pub budget: Budget,
    /// Distinct rows in it.
    pub rows: usize,
    /// When it was opened.
    pub opened: String,
    /// The column that stands for a row.
    pub id: Option<String>,
    costs: BTreeMap<String, Curve>,
}

/// A job's part in the ledger.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it set aside.
    pub reserved: Reserved,
    /// When it was reserved.
    pub at: String,
    /// How many releases were charged.
    pub charges: u64,
    /// Whether it ended.
    pub closed: bool,
    spent: Spent,
    seen: BTreeSet<String>,
}

/// For each party, what its training and its hold-out records were charged.
type Spent = BTreeMap<String, [Curve; 2]>;

/// What an entry changes, once it is allowed.
struct Change {
    costs: Vec<(u32, Curve)>,
    what: String,
}

impl Book {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The ledger's random name; empty before the first entry.
    #[must_use]
    pub fn ledger(&self) -> &str {
        &self.ledger
    }

    /// Hash of the key of its fingerprints, as its first entry has it.
    #[must_use]
    pub fn key_sha256(&self) -> &str {
        &self.key_sha256
    }

    /// Entries with fingerprints: the block whose rows these are, and their SHA-256.
    #[must_use]
    pub fn fingerprints(&self) -> &BTreeMap<u64, (u32, String)> {
        &self.fingerprints
    }

    /// All blocks in order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Jobs by their unique name.
    #[must_use]
    pub fn jobs(&self) -> &BTreeMap<String, Job> {
        &self.jobs
    }

    /// Names of data sets and the lineages each is charged to.
    #[must_use]
    pub fn names(&self) -> &BTreeMap<String, Vec<u32>> {
        &self.names
    }

    /// Blocks of a lineage, oldest first.
    #[must_use]
    pub fn blocks_of(&self, lineage: u32) -> &[u32] {
        self.lineages
            .get(lineage as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// Lineages of a name.
    ///
    /// # Errors
    /// [`BudgetError::NoSuchData`] with the nearest name.
    pub fn lineages_of(&self, name: &str) -> Result<&[u32], BudgetError> {
        if let Some(lineages) = self.names.get(name) {
            return Ok(lineages);
        }
        let nearest = self
            .names
            .keys()
            .map(|known| (strsim::jaro_winkler(known, name), known))
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Err(BudgetError::NoSuchData {
            name: name.to_owned(),
            nearest: nearest.map(|(_, known)| known.clone()),
        })
    }

    /// The name that the owner gave a lineage with its budget.
    #[must_use]
    pub fn title(&self, lineage: u32) -> &str {
        self.titles.get(lineage as usize).map_or("", String::as_str)
    }

    /// Whether this release was charged.
    #[must_use]
    pub fn has_charged(&self, job: &str, seat: &str, charge: &Charge) -> bool {
        let job = self.jobs.get(job);
        job.is_some_and(|job| job.seen.contains(&key(seat, charge)))
    }

    /// Whether `entry` may follow, without taking it.
    ///
    /// # Errors
    /// [`BudgetError`].
    pub fn check(&self, entry: &Entry) -> Result<(), BudgetError> {
        self.change(entry).map(|_| ())
    }

    /// Takes an entry that may follow. What passes a limit never does, so a stored chain that passes one was not written by this program.
    ///
    /// # Errors
    /// [`BudgetError`]; nothing is changed then.
    pub fn apply(&mut self, entry: Entry) -> Result<(), BudgetError> {
        let change = self.change(&entry)?;
        for (block, cost) in change.costs {
            if let (Some(block), Some(job)) =
                (self.blocks.get_mut(block as usize), entry.what.job())
            {
                block.costs.insert(job.to_owned(), cost);
            }
        }
        self.take(entry);
        Ok(())
    }

    /// The refusal of a job, with the largest epsilon that fits every block it touches.
    #[must_use]
    pub fn explain(
        &self,
        error: BudgetError,
        reserved: &Reserved,
        planned: &[Planned],
    ) -> BudgetError {
        let (BudgetError::Exceeded(mut shortfall), Ok(delta)) =
            (error.clone(), Delta::new(reserved.delta))
        else {
            return error;
        };
        let blocks: BTreeSet<u32> = reserved.seats.values().flatten().copied().collect();
        let blocks = blocks
            .iter()
            .filter_map(|block| self.blocks.get(*block as usize));
        let records = |block: &Block| [block.budget.unit(), reserved.unit] == [Unit::Record; 2];
        // Elsewhere what a job costs is not what its own goal says.
        if !blocks.clone().all(records) {
            return error;
        }
        let largest = blocks
            .map(|block| {
                let order = block.budget.order();
                let left = block.budget.capacity().minus(block.used().at(order));
                largest_epsilon(planned, (order, left), delta)
            })
            .fold(f64::INFINITY, f64::min);
        shortfall.largest_epsilon = Some(if largest.is_finite() { largest } else { 0.0 });
        BudgetError::Exceeded(shortfall)
    }

    /// What its owner is to be told of a block at the time `at`: that little of its budget, or of what its plan gives to these days, is left.
    #[must_use]
    pub fn warnings(&self, block: &Block, at: &str) -> Vec<String> {
        let (budget, title) = (&block.budget, self.title(block.lineage));
        let part = |spent: Amount, of: Amount| percent(of.minus(spent), of, Round::Down);
        let used = block.used_by(|_| true, budget.order());
        let mut warnings = Vec::new();
        if block.is_low() {
            warnings.push(format!(
                "{} of the privacy budget of `{title}` is left (epsilon {} at delta {}): further jobs will be refused soon",
                part(used, budget.capacity()),
                budget.epsilon().get(),
                budget.delta().get()
            ));
        }
        if let Some((limit, days)) = budget.plan().period {
            // A time that cannot be read counts everything: a warning too many.
            let used = self.used_within(block, (at, days)).unwrap_or(used);
            if budget.is_near(used, limit) {
                warnings.push(format!(
                    "{} of what the spending plan of `{title}` gives to {days} days is left",
                    part(used, limit)
                ));
            }
        }
        warnings
    }

    /// The open job that is called `name`, or whose name begins so.
    ///
    /// # Errors
    /// [`BudgetError::Use`] when there is none, or more than one.
    pub fn open_job(&self, name: &str) -> Result<&Job, BudgetError> {
        let open = self.jobs.iter().filter(|(_, job)| !job.closed);
        let found: Vec<&Job> = open
            .filter(|(job, _)| job.starts_with(name) && (name.len() >= 4 || *job == name))
            .map(|(_, job)| job)
            .collect();
        match found.as_slice() {
            [job] => Ok(job),
            [] => Err(BudgetError::Use(format!(
                "no open run of this ledger is called `{name}`; `lepton budget show` lists them"
            ))),
            _ => Err(BudgetError::Use(format!(
                "several open runs begin with `{name}`; give more of the name"
            ))),
        }
    }

    /// Spent and set aside by jobs that began less than so many days before a time.
    fn used_within(&self, block: &Block, (at, days): (&str, u32)) -> Result<Amount, BudgetError> {
        let mut sum = Amount::ZERO;
        for (name, cost) in &block.costs {
            let began = self.jobs.get(name).map_or(at, |job| job.at.as_str());
            if pace::counts(began, at, days)? {
                sum = sum.plus(cost.at(block.budget.order()));
            }
        }
        Ok(sum)
    }

    fn take(&mut self, Entry { at, what }: Entry) {
        self.entries += 1;
        match what {
            What::Created {
                ledger, key_sha256, ..
            } => (self.ledger, self.key_sha256) = (ledger, key_sha256),
            What::BudgetSet { data, budget, rows } => {
                let lineage = u32::try_from(self.lineages.len()).unwrap_or(u32::MAX);
                self.lineages.push(Vec::new());
                self.titles.push(data.clone());
                self.names.insert(data, vec![lineage]);
                self.open_block(lineage, (budget, rows), at);
            }
            What::Seen {
                data,
                lineages,
                rows,
            } => {
                let first = lineages.first().copied().unwrap_or_default();
                let home = self.blocks_of(first).last().copied().unwrap_or_default();
                self.remember(home, &rows);
                if let Some(block) = self.blocks.get_mut(home as usize) {
                    block.rows += rows.new;
                }
                self.names.insert(data, lineages);
            }
            What::Renewed { data, budget, rows } => {
                if let Some(lineage) = self
                    .names
                    .get(&data)
                    .and_then(|lineages| lineages.first().copied())
                {
                    self.open_block(lineage, (budget, rows), at);
                }
            }
            What::Planned {
                data,
                plan,
                warn_at,
            } => {
                let budgets = self.replanned(&data, (&plan, warn_at));
                for (number, budget) in budgets.unwrap_or_default() {
                    if let Some(block) = self.blocks.get_mut(number as usize) {
                        block.budget = budget;
                    }
                }
            }
            What::Reserved(reserved) => {
                let job = Job {
                    reserved,
                    at,
                    charges: 0,
                    closed: false,
                    spent: BTreeMap::new(),
                    seen: BTreeSet::new(),
                };
                self.jobs.insert(job.reserved.job.clone(), job);
            }
            What::Charged {
                job,
                seat,
                charge,
                cost,
            } => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.seen.insert(key(&seat, &charge));
                    spend(&mut job.spent, (&seat, charge.side), &cost);
                    job.charges += 1;
                }
            }
            What::Closed { job } => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.closed = true;
                }
            }
        }
    }

    fn open_block(&mut self, lineage: u32, (budget, rows): (Budget, Rows), opened: String) {
        let number = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        self.remember(number, &rows);
        self.blocks.push(Block {
            number,
            lineage,
            budget,
            rows: rows.new,
            opened,
            id: rows.id,
            costs: BTreeMap::new(),
        });
        if let Some(blocks) = self.lineages.get_mut(lineage as usize) {
            blocks.push(number);
        }
    }

    /// The fingerprints of the entry that is being taken are of rows in `block`.
    fn remember(&mut self, block: u32, rows: &Rows) {
        let stored = (block, rows.fingerprints.clone());
        self.fingerprints.insert(self.entries, stored);
    }

    fn block(&self, number: u32) -> Result<&Block, BudgetError> {
        self.blocks
            .get(number as usize)
            .ok_or_else(|| BudgetError::Use(format!("there is no block {number}")))
    }
}

impl Block {
    /// Spent and set aside, at every order.
    #[must_use]
    pub fn used(&self) -> Curve {
        self.costs
            .values()
            .fold(Curve::default(), |sum, cost| sum.plus(cost))
    }

    /// Whether its owner is to be warned.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.budget
            .is_low(self.used_by(|_| true, self.budget.order()))
    }

    /// Jobs charged to it and what each costs it now.
    #[must_use]
    pub fn costs(&self) -> &BTreeMap<String, Curve> {
        &self.costs
    }

    fn used_by(&self, counts: impl Fn(&str) -> bool, order: u32) -> Amount {
        let costs = self.costs.iter().filter(|(job, _)| counts(job));
        costs.fold(Amount::ZERO, |sum, (_, cost)| sum.plus(cost.at(order)))
    }
}

impl Job {
    /// Whether the job may go on with what it set aside: it has not ended, and the rows it asks for now lie where they lay.
    ///
    /// # Errors
    /// [`BudgetError::Repeated`], [`BudgetError::Moved`].
    pub fn goes_on(&self, now: &Reserved) -> Result<(), BudgetError> {
        let title = self.reserved.title.clone();
        if self.closed {
            return Err(BudgetError::Repeated(
                title,
                "it has ended in this ledger; start a new run",
            ));
        }
        let covered = |(seat, blocks): (&String, &Vec<u32>)| {
            let held = self.reserved.seats.get(seat);
            held.is_some_and(|held| blocks.iter().all(|block| held.contains(block)))
        };
        if now.seats.iter().all(covered) {
            Ok(())
        } else {
            Err(BudgetError::Moved(title))
        }
    }

    /// What was charged so far, for the party and, of a record, on the side for which it is most (LG-04).
    #[must_use]
    pub fn spent(&self) -> Curve {
        let seats = self.spent.values().map(|sides| self.of_unit(sides));
        seats.fold(Curve::default(), |most, curve| most.or(&curve))
    }

    /// LG-05: an open job counts with what it set aside, or with what it charged where that is more; a closed one with what it charged.
    fn cost_on(&self, block: &Block, spent: &Spent, closed: bool) -> Curve {
        let touching = self
            .reserved
            .seats
            .iter()
            .filter(|(_, blocks)| blocks.contains(&block.number));
        let spent = touching
            .filter_map(|(seat, _)| spent.get(seat))
            .map(|sides| self.of_unit(sides))
            .fold(Curve::default(), |most, curve| most.or(&curve));
        let cost = if closed {
            spent
        } else {
            spent.or(&self.reserved.curve)
        };
        to_unit(&cost, self.reserved.unit, block.budget.unit())
    }

    fn of_unit(&self, [training, hold_out]: &[Curve; 2]) -> Curve {
        of_sides(training, hold_out, self.reserved.unit)
    }
}

/// LG-14: what a cost to one unit of a job is to one unit of a budget that is no larger. Taking a record away exchanges its person's content.
fn to_unit(cost: &Curve, job: Unit, budget: Unit) -> Curve {
    if job > budget {
        cost.exchanged()
    } else {
        cost.clone()
    }
}

impl What {
    fn job(&self) -> Option<&str> {
        match self {
            Self::Reserved(reserved) => Some(&reserved.job),
            Self::Charged { job, .. } | Self::Closed { job } => Some(job),
            _ => None,
        }
    }
}

fn spend(spent: &mut Spent, (seat, side): (&str, Side), cost: &Curve) {
    let [training, hold_out] = spent.entry(seat.to_owned()).or_default();
    let account = match side {
        Side::Training => training,
        Side::HoldOut => hold_out,
    };
    *account = account.plus(cost);
}

/// What makes a release another one.
fn key(seat: &str, charge: &Charge) -> String {
    let Charge {
        side,
        kind,
        epoch,
        round,
        attempt,
        ..
    } = charge;
    format!("{epoch}.{round}.{attempt} {side:?} {kind} {seat}")
}
