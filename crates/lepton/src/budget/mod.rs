//! `lepton budget`: lifetime privacy budgets of data sets.

mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use lepton_dp::{Delta, Epsilon};
use lepton_node::error::NodeError;
use lepton_node::ledger::{Cells, DurableLedger, SignedHead};
use lepton_protocol::ledger::{Book, Budget, BudgetError, LedgerError, Pace, Unit};
use serde_json::json;

use crate::{clock, output};

/// Flags of `lepton budget`.
#[derive(Args)]
pub(crate) struct BudgetArgs {
    #[command(subcommand)]
    command: BudgetCommand,
}

#[derive(Subcommand)]
enum BudgetCommand {
    /// Give a data set its budget, once and for life
    #[command(
        after_help = "Example: lepton budget set --ledger ledger.db --data customers --table customers.csv --epsilon 10 --delta 1e-6"
    )]
    Set(SetArgs),
    /// Show what is spent and what is left
    #[command(after_help = "Example: lepton budget show --ledger ledger.db")]
    Show(ShowArgs),
    /// List every entry: budgets, tables, jobs, charges
    #[command(after_help = "Example: lepton budget history --ledger ledger.db")]
    History(FileArgs),
    /// Check every entry, and that nothing was taken away or changed
    #[command(
        after_help = "Example: lepton budget verify --ledger ledger.db --witness runs/churn-20260101-120000/state/ledger-heads.jsonl"
    )]
    Verify(VerifyArgs),
    /// Print the entries as they are chained, one JSON object a line
    #[command(after_help = "Example: lepton budget export --ledger ledger.db > ledger.jsonl")]
    Export(FileArgs),
    /// Change how fast a budget may be spent and when to warn; how much may be spent stays
    #[command(
        after_help = "Example: lepton budget plan --ledger ledger.db --data customers --plan 0.25/90d --plan 0.1/job"
    )]
    Plan(PlanArgs),
    /// End a run that will not go on: what it charged stays charged, what it only set aside is free again
    #[command(after_help = "Example: lepton budget close 5f1c09aa --ledger ledger.db")]
    Close(CloseArgs),
    /// Open a new block for rows that are new to the ledger
    #[command(
        after_help = "Example: lepton budget renew --ledger ledger.db --data customers --table customers-2027.csv"
    )]
    Renew(RenewArgs),
}

#[derive(Args)]
struct FileArgs {
    /// The ledger's file
    #[arg(long, value_name = "FILE")]
    ledger: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// What one guarantee protects.
#[derive(Clone, Copy, ValueEnum)]
enum UnitWord {
    /// A row
    Record,
    /// All rows with the same id; needs --id
    Person,
    /// All rows of the table together
    Party,
}

impl From<UnitWord> for Unit {
    fn from(word: UnitWord) -> Self {
        match word {
            UnitWord::Record => Self::Record,
            UnitWord::Person => Self::Person,
            UnitWord::Party => Self::Party,
        }
    }
}

#[derive(Args)]
struct SetArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Name of the data set
    #[arg(long, value_name = "NAME")]
    data: String,
    /// Its rows: they are remembered as keyed fingerprints, so that the same rows under another name get no second budget
    #[arg(long, value_name = "TABLE")]
    table: PathBuf,
    /// Key file that opens the table, if it lies in a vault: the one that jobs read it with
    #[arg(long, value_name = "FILE")]
    vault_key: Option<PathBuf>,
    /// Column that tells rows apart for good, such as a customer number; otherwise the whole row does
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// Largest epsilon of all jobs together
    #[arg(long)]
    epsilon: f64,
    /// At this delta; well below one in the number of rows
    #[arg(long)]
    delta: f64,
    /// What is protected; jobs must protect as much
    #[arg(long, value_enum, default_value = "record")]
    unit: UnitWord,
    /// Warn when this part is spent
    #[arg(long, value_name = "PART", default_value_t = Budget::WARN_AT)]
    warn_at: f64,
    /// Spend no faster: a part of the budget for each job (0.1/job), or for the jobs of so many days (0.25/90d); may be given for both
    #[arg(long, value_name = "PLAN")]
    plan: Vec<String>,
}

#[derive(Args)]
struct PlanArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Name of the data set
    #[arg(long, value_name = "NAME")]
    data: String,
    /// In place of the plan before: a part of the budget for each job (0.1/job), or for the jobs of so many days (0.25/90d); without one, as fast as it goes
    #[arg(long, value_name = "PLAN")]
    plan: Vec<String>,
    /// Warn when this part is spent; as before, if absent
    #[arg(long, value_name = "PART")]
    warn_at: Option<f64>,
}

#[derive(Args)]
struct CloseArgs {
    #[command(flatten)]
    file: FileArgs,
    /// The run's name in the ledger, or how it begins: `lepton budget show` lists open runs
    run: String,
}

#[derive(Args)]
struct ShowArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Only this data set
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
}

#[derive(Args)]
struct VerifyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Heads that others signed, one JSON object a line: the ledger must still have each
    #[arg(long, value_name = "JSONL", num_args = 1..)]
    witness: Vec<PathBuf>,
}

#[derive(Args)]
struct RenewArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Name of the data set
    #[arg(long, value_name = "NAME")]
    data: String,
    /// The table with the new rows; those already known stay in their blocks
    #[arg(long, value_name = "TABLE")]
    table: PathBuf,
    /// Key file that opens the table, if it lies in a vault: the one that jobs read it with
    #[arg(long, value_name = "FILE")]
    vault_key: Option<PathBuf>,
    /// Budget of the new block; that of the block before, if absent
    #[arg(long, requires = "delta")]
    epsilon: Option<f64>,
    /// At this delta
    #[arg(long, requires = "epsilon")]
    delta: Option<f64>,
}

impl BudgetArgs {
    /// Carries it out.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            BudgetCommand::Set(args) => set(args),
            BudgetCommand::Show(args) => show::show(
                &open(&args.file.ledger)?,
                args.data.as_deref(),
                args.file.json,
            ),
            BudgetCommand::History(args) => show::history(&open(&args.ledger)?, args.json),
            BudgetCommand::Verify(args) => verify(args),
            BudgetCommand::Export(args) => export(&open(&args.ledger)?),
            BudgetCommand::Plan(args) => plan(args),
            BudgetCommand::Close(args) => close(args),
            BudgetCommand::Renew(args) => renew(args),
        }
    }
}

/// Time of entries.
pub(crate) fn time() -> String {
    clock::now().0
}

fn open(path: &Path) -> Result<DurableLedger, NodeError> {
    Ok(DurableLedger::open(path, time)?)
}

fn set(args: SetArgs) -> Result<(), NodeError> {
    let numbers = numbers((args.epsilon, args.delta))?;
    let budget = Budget::new(args.unit.into(), numbers, args.warn_at);
    let planned = paces(&args.plan).and_then(|plan| budget?.with_plan(&plan, None));
    let budget = planned.map_err(LedgerError::from)?;
    let table = Cells::read_with(&args.table, args.vault_key.as_deref())?;
    if args.data.trim().is_empty() {
        return Err(NodeError::Use("--data: a data set needs a name".to_owned()));
    }
    let ledger = DurableLedger::open_or_create(&args.file.ledger, time)?;
    ledger.set_budget(&args.data, (table, args.id), budget)?;
    show::show(&ledger, Some(&args.data), args.file.json)
}

fn renew(args: RenewArgs) -> Result<(), NodeError> {
    let ledger = open(&args.file.ledger)?;
    let wanted = args.epsilon.zip(args.delta).map(numbers).transpose()?;
    let wanted = wanted.map(|numbers| resized(&ledger.book()?, &args.data, numbers));
    ledger.renew(
        &args.data,
        Cells::read_with(&args.table, args.vault_key.as_deref())?,
        wanted.transpose()?,
    )?;
    show::show(&ledger, Some(&args.data), args.file.json)
}

fn plan(args: PlanArgs) -> Result<(), NodeError> {
    let ledger = open(&args.file.ledger)?;
    let plan = paces(&args.plan).map_err(LedgerError::from)?;
    ledger.plan(&args.data, plan, args.warn_at)?;
    show::show(&ledger, Some(&args.data), args.file.json)
}

fn paces(texts: &[String]) -> Result<Vec<Pace>, BudgetError> {
    texts.iter().map(|text| Pace::parse(text)).collect()
}

/// The data set's newest budget with other numbers.
fn resized(book: &Book, data: &str, numbers: (Epsilon, Delta)) -> Result<Budget, LedgerError> {
    let lineage = book.lineages_of(data)?.first().copied().unwrap_or_default();
    let mut blocks = book.blocks().iter();
    let newest = blocks.rfind(|block| block.lineage == lineage);
    let newest =
        newest.ok_or_else(|| BudgetError::Use(format!("data set `{data}` has no block")))?;
    Ok(newest.budget.resized(numbers)?)
}

/// Sound at any time: whatever was sampled is charged, and after the closing nothing more can be (LG-12).
fn close(args: CloseArgs) -> Result<(), NodeError> {
    let ledger = open(&args.file.ledger)?;
    let book = ledger.book()?;
    let job = book.open_job(&args.run).map_err(LedgerError::from)?;
    ledger.close(&job.reserved.job)?;
    if !args.file.json {
        output::text(&format!(
            "closed: {}, run {}: its {} releases stay charged, the rest is free again; the run cannot go on\n",
            job.reserved.title, job.reserved.job, job.charges
        ))?;
    }
    show::show(&ledger, None, args.file.json)
}

fn numbers((epsilon, delta): (f64, f64)) -> Result<(Epsilon, Delta), NodeError> {
    let wrong = |flag: &str, error: lepton_dp::DpError| NodeError::Use(format!("{flag}: {error}"));
    let epsilon = Epsilon::new(epsilon).map_err(|error| wrong("--epsilon", error))?;
    let delta = Delta::new(delta).map_err(|error| wrong("--delta", error))?;
    Ok((epsilon, delta))
}

fn verify(args: VerifyArgs) -> Result<(), NodeError> {
    let mut heads = Vec::new();
    for path in &args.witness {
        if !path.exists() {
            return Err(NodeError::Use(format!(
                "{}: there is no such file",
                path.display()
            )));
        }
        heads.extend(SignedHead::read(path)?);
    }
    let found = open(&args.file.ledger)?.verify(heads)?;
    if args.file.json {
        return output::json(&json!({
            "format": "lepton-budget-verify/1",
            "entries": found.head.count,
            "head": found.head.hash.to_string(),
            "countersignatures": found.witnesses,
            "sound": true,
        }));
    }
    output::text(&format!(
        "sound: {} entries, each follows from the one before and keeps every budget; {} countersigned heads are part of it\nhead: {}\n",
        found.head.count, found.witnesses, found.head.hash
    ))
}

/// As stored, so that another program can follow the chain; then the countersignatures.
fn export(ledger: &DurableLedger) -> Result<(), NodeError> {
    let mut text = String::new();
    for stored in ledger.history()? {
        let line = json!({ "number": stored.number, "hash": stored.hash.to_string(), "body": stored.body });
        text += &format!("{line}\n");
    }
    for signed in ledger.countersignatures()? {
        text += &format!("{{\"countersignature\":{}}}\n", signed.to_json()?);
    }
    output::text(&text)
}
