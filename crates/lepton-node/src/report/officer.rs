//! The privacy report in plain words, for a data-protection officer: one screen, and where the facts are of use in law.

use maud::{Markup, html};

use super::chart::{Chart, Level, Series, figure};
use super::format::{NONE, delta, epsilon, fixed_up, in_words, percent, whole};
use super::scrolling;
use crate::signed_report::{Adversary, MaskedSum, PrivacyReport, TradeOff};

/// The false alarm that the table of adversaries shows: five in a hundred.
const FALSE_ALARM: f64 = 0.05;

/// The section.
pub(super) fn section(report: &PrivacyReport) -> Markup {
    let protected = report.goal.is_some();
    let sound = protected && report.insecure.is_empty();
    html! {
        section #officer {
            h2 { "For the data-protection officer" }
            p .danger[!sound] { (report.summary) }
            dl .facts {
                dt { "What is protected" }
                dd { (report.protected.meaning) }
                dt { "What that covers" }
                dd { (report.protected.covers) }
                dt { "How sums are hidden" }
                dd { (sums(&report.masked_sum)) }
                dt { "Rests on" }
                dd { (in_words(report.assumptions.len() as u64)) " assumptions; " (in_words(report.not_protected.len() as u64).to_lowercase()) " things are not protected: " a href="#privacy" { "both lists" } " are part of this statement." }
                dt { "Signed by" }
                dd { (signed(report)) }
            }
            @if protected {
                div .figures .two {
                    div { (scrolling("Bounds by adversary", &bounds(report))) (test_words(report)) }
                    @if let Some(seen) = strongest(report) { (curve(report, seen)) }
                }
            }
            (law(report))
        }
    }
}

fn sums(sum: &MaskedSum) -> String {
    let graph = match sum.graph_failure_bits {
        None => "every two parties share a mask (complete graph)".to_owned(),
        Some(bits) => format!(
            "each party shares masks with up to {} others (sparse graph, which fails with a chance of at most 2^-{bits})",
            sum.neighbours
        ),
    };
    format!(
        "n = {} parties, {graph}; up to c = {} of them may pool what they know with the coordinator, d = {} may be lost; t = {} shares open a mask, \
         Q = {} signatures fix who is in a sum, never fewer than {} parties{}. {} sums were completed, {} attempts given up.",
        sum.parties,
        sum.colluders,
        sum.drops,
        sum.threshold,
        sum.quorum,
        sum.survivor_floor,
        by_group(sum),
        whole(sum.sums),
        whole(sum.abandoned)
    )
}

fn by_group(sum: &MaskedSum) -> String {
    match sum.group_floor.zip(sum.group_threshold) {
        None => String::new(),
        Some((floor, threshold)) => format!(
            "; in training rounds {} sums, one for each group, over at least {floor} each, where {threshold} shares open a mask",
            sum.groups
        ),
    }
}

fn signed(report: &PrivacyReport) -> Markup {
    let parties = report.signers.iter().filter(|one| one.party.is_some());
    let silent: Vec<&str> = report
        .parties
        .iter()
        .map(|party| party.name.as_str())
        .filter(|name| {
            !report
                .signers
                .iter()
                .any(|one| one.party.as_deref() == Some(name))
        })
        .collect();
    if !report.simulated {
        return html! {
            "The coordinator, in " code { (crate::signed_report::FILE) } ". " (report.identities)
        };
    }
    html! {
        "The coordinator and " (parties.count()) " of " (report.parties.len()) " parties, in " code { (crate::signed_report::FILE) } ". "
        @if !silent.is_empty() {
            strong { "Not signed by " (silent.join(", ")) ", whose own ledger holds more than is stated. " }
        }
        (report.identities) " Check it with " code { "lepton verify " (crate::signed_report::FILE) } "."
    }
}

/// The coordinator with its colluders sees all that the others see.
fn strongest(report: &PrivacyReport) -> Option<&Adversary> {
    let mut all = report.adversaries.iter();
    all.find(|one| one.name == "coordinator")
}

fn at(points: &[TradeOff]) -> Option<&TradeOff> {
    points
        .iter()
        .find(|point| (point.false_alarm - FALSE_ALARM).abs() < 1e-9)
}

fn bounds(report: &PrivacyReport) -> Markup {
    html! {
        table {
            caption { "Against whom, and how strongly" }
            thead { tr {
                th scope="col" { "Against" } th .number scope="col" { "Epsilon at most" } th .number scope="col" { "A test misses at least" }
            } }
            tbody {
                @for one in &report.adversaries {
                    tr {
                        th scope="row" { (one.who) }
                        td .number { (epsilon(one.epsilon)) }
                        td .number { (at(&one.trade_off).map_or_else(|| NONE.to_owned(), |point| percent(down(point.miss_at_least)))) }
                    }
                }
                @if let Some(goal) = report.goal {
                    tr { th scope="row" { "Promised before the run" } td .number { (epsilon(Some(goal.epsilon))) } td .number {} }
                }
            }
        }
    }
}

/// To a tenth of a percent, downward.
fn down(share: f64) -> f64 {
    (share * 1000.0).floor() / 1000.0
}

fn test_words(report: &PrivacyReport) -> Markup {
    let bound = report.goal.map(|goal| goal.delta);
    html! {
        p .muted {
            "Epsilon holds at delta " (delta(bound)) ". The last column: whoever tries to tell from all they see whether one record was used, and is wrong in at most "
            (fixed_up(100.0 * FALSE_ALARM, 0)) " of 100 cases where it was not, overlooks it in at least this share of the cases where it was."
        }
    }
}

fn curve(report: &PrivacyReport, seen: &Adversary) -> Markup {
    let points = seen
        .curve
        .iter()
        .map(|pair| (-pair.delta.log10(), pair.epsilon));
    figure(&Chart {
        title: "Epsilon at other deltas".to_owned(),
        x_label: "k, where delta is one in 10 to the k",
        x_range: None,
        y_range: Some((0.0, 0.0)),
        y_most: f64::INFINITY,
        whole_x: true,
        series: Series {
            name: format!("what was charged, against {}", seen.who),
            colour: 0,
            points: points.collect(),
            area: true,
        },
        levels: report
            .goal
            .map(|goal| Level {
                name: format!("goal at delta {}", delta(Some(goal.delta))),
                colour: 1,
                value: goal.epsilon,
                text: epsilon(Some(goal.epsilon)),
            })
            .into_iter()
            .collect(),
        radii: Vec::new(),
        diagonal: None,
    })
}

fn law(report: &PrivacyReport) -> Markup {
    let table = html! {
        table .law {
            caption { "Where these facts are of use" }
            thead { tr {
                th scope="col" { "Provision" } th scope="col" { "What this report supplies" } th scope="col" { "What stays open" }
            } }
            tbody {
                @for line in &report.law.lines {
                    tr {
                        th scope="row" { (line.law) " " (line.provision) br; span .muted { (line.subject) } }
                        td { (line.supplied) } td { (line.open) }
                    }
                }
            }
        }
    };
    html! {
        (scrolling("Where these facts are of use in data-protection law", &table))
        p .muted { (report.law.note) }
    }
}
