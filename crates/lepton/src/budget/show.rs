//! What a person or a program reads about budgets.

use lepton_node::error::NodeError;
use lepton_node::ledger::DurableLedger;
use lepton_protocol::ledger::{
    Amount, Block, Book, Charge, Entry, Job, LedgerError, Round, What, percent,
};
use serde_json::{Value, json};

use crate::{output, progress};

/// `lepton budget show`.
pub(super) fn show(
    ledger: &DurableLedger,
    data: Option<&str>,
    as_json: bool,
) -> Result<(), NodeError> {
    let book = ledger.book()?;
    let lineages: Option<Vec<u32>> = match data {
        Some(name) => Some(book.lineages_of(name).map_err(LedgerError::from)?.to_vec()),
        None => None,
    };
    let wanted = |block: &&Block| {
        lineages
            .as_ref()
            .is_none_or(|lineages| lineages.contains(&block.lineage))
    };
    let blocks: Vec<&Block> = book.blocks().iter().filter(wanted).collect();
    let at = ledger.now();
    if as_json {
        let blocks: Vec<Value> = blocks
            .iter()
            .map(|block| document(&book, block, &at))
            .collect();
        return output::json(&json!({
            "format": "lepton-budget/1",
            "ledger": book.ledger(),
            "entries": ledger.head()?.count,
            "head": ledger.head()?.hash.to_string(),
            "blocks": blocks,
        }));
    }
    let mut text = String::new();
    for block in blocks {
        text += &words(&book, block, &at);
    }
    output::text(&text)
}

fn document(book: &Book, block: &Block, at: &str) -> Value {
    let (budget, used) = (&block.budget, block.used());
    let names: Vec<&String> = book
        .names()
        .iter()
        .filter(|(_, lineages)| lineages.contains(&block.lineage))
        .map(|(name, _)| name)
        .collect();
    let (spent, capacity) = (used.at(budget.order()), budget.capacity());
    json!({
        "data": names,
        "lineage": block.lineage,
        "block": block.number,
        "rows": block.rows,
        "opened": block.opened,
        "unit": budget.unit(),
        "epsilon": budget.epsilon(),
        "delta": budget.delta(),
        "order": budget.order(),
        "capacity_nanonats": capacity.units(),
        "used_nanonats": spent.units(),
        "remaining_nanonats": capacity.minus(spent).units(),
        "epsilon_so_far": upward(used.epsilon(budget.delta())),
        "warn_at": budget.warn_at(),
        "plan": {
            "job_nanonats": budget.plan().job.map(Amount::units),
            "period_nanonats": budget.plan().period.map(|(amount, _)| amount.units()),
            "period_days": budget.plan().period.map(|(_, days)| days),
        },
        "low": block.is_low(),
        "warnings": book.warnings(block, at),
        "jobs": jobs(book, block).len(),
        "open_jobs": open(book, block).len(),
        "open": open(book, block)
            .iter()
            .map(|job| json!({ "run": job.reserved.job, "title": job.reserved.title, "begun": job.at }))
            .collect::<Vec<Value>>(),
    })
}

fn words(book: &Book, block: &Block, at: &str) -> String {
    let (budget, used) = (&block.budget, block.used());
    let (spent, capacity) = (used.at(budget.order()), budget.capacity());
    let mut text = format!(
        "`{}`, block {}: {} rows since {}\n  budget   epsilon {} at delta {} for each {}, for life (Rényi order {} decides)\n  spent    {} spent or set aside: epsilon {} at most, over {} jobs\n  left     {}\n",
        book.title(block.lineage),
        block.number,
        block.rows,
        block.opened,
        budget.epsilon().get(),
        budget.delta().get(),
        budget.unit(),
        budget.order(),
        percent(spent, capacity, Round::Up),
        progress::upward(used.epsilon(budget.delta())),
        jobs(book, block).len(),
        percent(capacity.minus(spent), capacity, Round::Down),
    );
    let plan = budget.plan();
    if let Some(limit) = plan.job {
        let part = percent(limit, capacity, Round::Up);
        text += &format!("  plan     one job takes {part} at most\n");
    }
    if let Some((limit, days)) = plan.period {
        let part = percent(limit, capacity, Round::Up);
        text += &format!("  plan     the jobs of any {days} days take {part} at most\n");
    }
    for job in open(book, block) {
        text += &format!(
            "  open     {}, run {} (begun {}): its whole schedule counts until it ends; continue it with `lepton run --resume`, or give it up with `lepton budget close`\n",
            job.reserved.title, job.reserved.job, job.at
        );
    }
    for warning in book.warnings(block, at) {
        text += &format!("  WARNING  {warning}\n");
    }
    text
}

fn open<'b>(book: &'b Book, block: &Block) -> Vec<&'b Job> {
    let open = |job: &&Job| !job.closed;
    jobs(book, block).into_iter().filter(open).collect()
}

fn jobs<'b>(book: &'b Book, block: &Block) -> Vec<&'b Job> {
    let names = block.costs().keys();
    names.filter_map(|name| book.jobs().get(name)).collect()
}

/// Six decimals, rounded up.
fn upward(epsilon: f64) -> Option<f64> {
    epsilon.is_finite().then(|| (epsilon * 1e6).ceil() / 1e6)
}

/// `lepton budget history`.
pub(super) fn history(ledger: &DurableLedger, as_json: bool) -> Result<(), NodeError> {
    let history = ledger.history()?;
    if as_json {
        let entries: Vec<Value> = history
            .iter()
            .map(|stored| json!({ "number": stored.number, "hash": stored.hash.to_string(), "entry": stored.entry }))
            .collect();
        return output::json(&json!({ "format": "lepton-budget-history/1", "entries": entries }));
    }
    let lines = history
        .iter()
        .map(|stored| format!("{:>6}  {}\n", stored.number, line(&stored.entry)));
    output::text(&lines.collect::<String>())
}

fn line(Entry { at, what }: &Entry) -> String {
    let words = match what {
        What::Created { ledger, .. } => format!("ledger {ledger} made"),
        What::BudgetSet { data, budget, rows } => format!(
            "`{data}`: epsilon {} at delta {} for the life of {} rows",
            budget.epsilon().get(),
            budget.delta().get(),
            rows.new
        ),
        What::Seen { data, rows, .. } => format!(
            "{data}: {} rows known, {} new ones share their budget",
            rows.known, rows.new
        ),
        What::Renewed { data, budget, rows } => format!(
            "`{data}`: a new block, epsilon {} at delta {} for the life of {} rows",
            budget.epsilon().get(),
            budget.delta().get(),
            rows.new
        ),
        What::Planned { data, plan, .. } if plan.is_empty() => {
            format!("`{data}`: spent without a plan from here on")
        }
        What::Planned { data, plan, .. } => {
            format!("`{data}`: {} rules of a new plan", plan.len())
        }
        What::Reserved(reserved) => format!(
            "{} reserved (epsilon {} at delta {}), run {}",
            reserved.title, reserved.epsilon, reserved.delta, reserved.job
        ),
        What::Charged {
            job, seat, charge, ..
        } => {
            let Charge {
                kind,
                epoch,
                round,
                attempt,
                ..
            } = charge;
            format!("charged: {kind} {epoch}.{round}.{attempt} of {seat}, run {job}")
        }
        What::Closed { job } => format!("run {job} ended"),
    };
    format!("{at}  {words}")
}
