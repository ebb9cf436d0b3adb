//! The parties, the numbers of the masked sums, and what it cost.

use lepton_protocol::report::{MetricsDoc, ProtectionDoc, Report};
use maud::{Markup, html};

use super::format::{NONE, bytes, epsilon, seconds, whole};
use super::result::{Column, columns};
use super::{SIMULATION_ONLY, badge, scrolling, simulated};

/// Columns that a table of parties has room for.
const METRICS_SHOWN: [&str; 4] = ["Accuracy", "AUC", "RMSE", "R²"];

/// One line per party.
pub(super) fn section(report: &Report) -> Markup {
    let charged = report
        .parties
        .iter()
        .any(|party| party.epsilon_charged.is_some());
    html! {
        section #parties {
            h2 { "Parties" }
            (scrolling("What each party did", &exchanges(report, charged)))
            @if simulated(report) {
                (scrolling("Models by party", &models(report)))
                p .muted {
                    "The two models of a line are measured on different rows: the joint one on the party's own hold-out, its own on the hold-out of all parties. "
                    "In a real federation, nobody but the party knows its row counts or these metrics."
                }
            }
        }
    }
}

fn exchanges(report: &Report, charged: bool) -> Markup {
    html! {
        table {
            caption { "What each party did" }
            thead {
                tr {
                    th scope="col" { "Party" } th .number scope="col" { "Sums joined" } th .number scope="col" { "Sums missed" }
                    th .number scope="col" { "Sent" } th .number scope="col" { "Received" }
                    @if charged { th .number scope="col" { "Epsilon charged to its training rows" } }
                }
            }
            tbody {
                @for party in &report.parties {
                    tr {
                        th scope="row" { (party.name) @if let Some(round) = party.joined_round { " (from round " (round) " on)" } }
                        td .number { (whole(party.sums_joined)) } td .number { (whole(party.sums_missed)) }
                        td .number { (bytes(party.up_bytes)) } td .number { (bytes(party.down_bytes)) }
                        @if charged { td .number { (epsilon(party.epsilon_charged)) } }
                    }
                }
            }
        }
    }
}

fn models(report: &Report) -> Markup {
    let metrics = report
        .parties
        .iter()
        .flat_map(|party| [&party.federated, &party.alone])
        .flatten();
    let columns: Vec<&Column> = columns(metrics)
        .into_iter()
        .filter(|column| METRICS_SHOWN.contains(&column.name))
        .collect();
    let shown = |metrics: &Option<MetricsDoc>, column: &Column| {
        metrics
            .as_ref()
            .map_or_else(|| NONE.to_owned(), column.text)
    };
    let rows = |rows: Option<u64>| rows.map_or_else(|| NONE.to_owned(), whole);
    html! {
        table {
            caption { "Rows and models by party" (badge(SIMULATION_ONLY)) }
            thead {
                @if !columns.is_empty() {
                    tr {
                        td {} th .group scope="colgroup" colspan="2" { "Rows" }
                        th .group scope="colgroup" colspan=(columns.len()) { "Joint model, own hold-out" }
                        th .group scope="colgroup" colspan=(columns.len()) { "Own model, hold-out of all" }
                    }
                }
                tr {
                    th scope="col" { "Party" } th .number scope="col" { "Training" } th .number scope="col" { "Hold-out" }
                    @for column in columns.iter().chain(&columns) { th .number scope="col" { (column.name) } }
                }
            }
            tbody {
                @for party in &report.parties {
                    tr {
                        th scope="row" { (party.name) }
                        td .number { (rows(party.rows_train)) } td .number { (rows(party.rows_test)) }
                        @for column in &columns { td .number { (shown(&party.federated, column)) } }
                        @for column in &columns { td .number { (shown(&party.alone, column)) } }
                    }
                }
            }
        }
    }
}

/// Who had to trust whom, in numbers.
pub(super) fn protection(report: &Report) -> Markup {
    let numbers = &report.protection;
    let groups = numbers.group_floor.zip(numbers.group_threshold);
    html! {
        section #protection {
            h2 { "Protection of the sums" }
            p {
                "Aggregation: " strong { (numbers.aggregation) } ". Each party masks its numbers before they leave. The coordinator, even one that cheats, learns one sum per attempt "
                "over at least the floor of parties, as long as no more than c parties collude with it."
                @if let Some((floor, _)) = groups {
                    " In training rounds it learns " (numbers.groups) " sums instead, one for each group of parties, each over at least " (floor) " of them."
                }
            }
            (scrolling("Numbers of the masked sums", &html! {
                table {
                    caption { "Numbers of the masked sums" }
                    thead { tr { th scope="col" { "Number" } th .number scope="col" { "Value" } th scope="col" { "Meaning" } } }
                    tbody {
                        @for (name, value, meaning) in meanings(numbers) {
                            tr { th scope="row" { (name) } td .number { (whole(value)) } td { (meaning) } }
                        }
                    }
                }
            }))
            (conditions(numbers))
        }
    }
}

/// Every number of the masked sums with its value and what it says.
fn meanings(numbers: &ProtectionDoc) -> Vec<(&'static str, u64, &'static str)> {
    let mut rows = vec![
        ("n", u64::from(numbers.parties), "parties in the federation"),
        (
            "c",
            u64::from(numbers.colluders),
            "colluders: parties that may pool all they know with the coordinator and still learn nothing but the sum",
        ),
        (
            "d",
            u64::from(numbers.drops),
            "drops: parties that a round may lose and still be completed",
        ),
        (
            "t",
            u64::from(numbers.threshold),
            "threshold: shares needed to open a mask of a sum over all parties, more than the colluders hold",
        ),
        (
            "Q",
            u64::from(numbers.quorum),
            "quorum: signatures over one and the same list of survivors, needed before anything is opened",
        ),
        (
            "floor",
            u64::from(numbers.survivor_floor),
            "fewest parties that a party lets itself be summed with",
        ),
        ("sums", numbers.sums, "masked sums completed"),
        (
            "abandoned",
            numbers.abandoned,
            "attempts given up; their sums were not obtained",
        ),
    ];
    if let Some((floor, threshold)) = numbers.group_floor.zip(numbers.group_threshold) {
        rows.extend([
            (
                "G",
                u64::from(numbers.groups),
                "groups: sums that a training round opens, one for each group of parties",
            ),
            (
                "f",
                u64::from(floor),
                "fewest parties of each group in its sum",
            ),
            (
                "t_g",
                u64::from(threshold),
                "shares needed to open a mask of a training round, of those of its group",
            ),
        ]);
    }
    rows
}

/// The inequalities that the guarantee rests on, with this run's numbers.
fn conditions(numbers: &ProtectionDoc) -> Markup {
    let [n, c, d, t, q] = [
        numbers.parties,
        numbers.colluders,
        numbers.drops,
        numbers.threshold,
        numbers.quorum,
    ]
    .map(u64::from);
    let rest = n.saturating_sub(d);
    let mut checks = vec![
        (
            c < t,
            format!("c < t: {c} < {t}"),
            "colluders alone open no mask",
        ),
        (
            2 * q > n + c,
            format!("2Q > n + c: {} > {}", 2 * q, n + c),
            "no two lists of survivors can both be signed",
        ),
        (
            t <= rest && q <= rest,
            format!("t, Q ≤ n − d: {t}, {q} ≤ {rest}"),
            "those who remain can finish the round",
        ),
    ];
    if let Some((f, t)) = numbers.group_floor.zip(numbers.group_threshold) {
        let (f, t) = (u64::from(f), u64::from(t));
        checks.push((
            c < t && t <= f,
            format!("c < t_g ≤ f: {c} < {t} ≤ {f}"),
            "nor do they within a group, and its survivors suffice",
        ));
        checks.push((
            c + 2 <= f,
            format!("c + 2 ≤ f: {} ≤ {f}", c + 2),
            "each group's sum is over two honest parties or more",
        ));
    }
    html! {
        ul .checks {
            @for (holds, formula, meaning) in checks {
                li .bad[!holds] { (if holds { "✓ " } else { "✗ violated: " }) (formula) " – " (meaning) }
            }
        }
    }
}

/// Time and traffic.
pub(super) fn cost(report: &Report) -> Markup {
    let (timing, traffic) = (&report.timing, &report.traffic);
    let times = [
        ("Whole run", timing.wall_s, "wall clock"),
        (
            "Local training",
            timing.train_s,
            "the slowest party of each round, summed",
        ),
        (
            "Protocol",
            timing.protocol_s,
            "masking, messages, checks, stores",
        ),
        (
            "Preparation",
            timing.prepare_s,
            "exchanges that prepare the columns",
        ),
        (
            "Evaluation",
            timing.evaluate_s,
            "exchanges that measure the model",
        ),
        (
            "Baselines and pictures",
            timing.baselines_s,
            "of the simulation",
        ),
    ];
    let sent = [
        ("Parties to coordinator", bytes(traffic.up_bytes)),
        ("Coordinator to parties", bytes(traffic.down_bytes)),
        ("Messages", whole(traffic.messages)),
    ];
    html! {
        section #cost {
            h2 { "Time and traffic" }
            div .figures .two {
                table {
                    caption { "Wall-clock time" }
                    thead { tr { th scope="col" { "Part" } th .number scope="col" { "Time" } th scope="col" { "What" } } }
                    tbody {
                        @for (part, time, what) in times {
                            tr { th scope="row" { (part) } td .number { (seconds(time)) } td .muted { (what) } }
                        }
                    }
                }
                table {
                    caption { "Traffic, frames included" }
                    thead { tr { th scope="col" { "Direction" } th .number scope="col" { "Amount" } } }
                    tbody { @for (way, amount) in sent { tr { th scope="row" { (way) } td .number { (amount) } } } }
                }
            }
        }
    }
}
