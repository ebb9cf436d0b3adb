//! What a person or a program reads about budgets.

use lepton_node::error::NodeError;
use lepton_node::ledger::DurableLedger;
use lepton_protocol::ledger::{Block, Book, Charge, Entry, LedgerError, Round, What, percent};
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
    if as_json {
        let blocks: Vec<Value> = blocks.iter().map(|block| document(&book, block)).collect();
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
        text += &words(&book, block);
    }
    output::text(&text)
}

fn document(book: &Book, block: &Block) -> Value {
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
        "low": block.is_low(),
        "jobs": jobs(book, block).len(),
        "open_jobs": jobs(book, block).iter().filter(|job| !job.closed).count(),
    })
}

fn words(book: &Book, block: &Block) -> String {
    let (budget, used) = (&block.budget, block.used());
    let (spent, capacity) = (used.at(budget.order()), budget.capacity());
    let mut text = format!(
        "`{}`, block {}: {} rows since {}\n  budget   epsilon {} at delta {}, for life (Rényi order {} decides)\n  spent    {} spent or set aside: epsilon {} at most, over {} jobs\n  left     {}\n",
        book.title(block.lineage),
        block.number,
        block.rows,
        block.opened,
        budget.epsilon().get(),
        budget.delta().get(),
        budget.order(),
        percent(spent, capacity, Round::Up),
        progress::upward(used.epsilon(budget.delta())),
        jobs(book, block).len(),
        percent(capacity.minus(spent), capacity, Round::Down),
    );
    for job in jobs(book, block).iter().filter(|job| !job.closed) {
        text += &format!(
            "  open     {} (begun {}): its whole schedule counts until it ends; continue it with `lepton run --resume`\n",
            job.reserved.title, job.at
        );
    }
    if block.is_low() {
        text += "  WARNING  little is left: further jobs will be refused soon\n";
    }
    text
}

fn jobs<'b>(book: &'b Book, block: &Block) -> Vec<&'b lepton_protocol::ledger::Job> {
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
