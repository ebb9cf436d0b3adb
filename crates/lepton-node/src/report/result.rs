//! Metrics beside what they are to be compared with, and what was trained on what.

use lepton_protocol::report::{MetricsDoc, Report};
use maud::{Markup, html};

use super::format::{count, fixed, percent, significant, whole};
use super::{SIMULATION_ONLY, badge, scrolling, verdict};

/// Most input names that are listed.
const NAMES_SHOWN: usize = 80;

/// One column of a table of metrics.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) text: fn(&MetricsDoc) -> String,
    pub(super) value: fn(&MetricsDoc) -> Option<f64>,
}

const COLUMNS: [Column; 7] = [
    Column {
        name: "Accuracy",
        meaning: "fraction classified rightly",
        text: |metrics| fixed(metrics.accuracy, 3),
        value: |metrics| metrics.accuracy,
    },
    Column {
        name: "Balanced accuracy",
        meaning: "mean over the classes of the fraction found",
        text: |metrics| fixed(metrics.balanced_accuracy, 3),
        value: |metrics| metrics.balanced_accuracy,
    },
    Column {
        name: "AUC",
        meaning: "chance that a row of a class is ranked above a row of another; 0.5 is guessing",
        text: |metrics| fixed(metrics.auc, 3),
        value: |metrics| metrics.auc,
    },
    Column {
        name: "RMSE",
        meaning: "root mean squared error in the label's units",
        text: |metrics| significant(metrics.rmse),
        value: |metrics| metrics.rmse,
    },
    Column {
        name: "MAE",
        meaning: "mean absolute error in the label's units",
        text: |metrics| significant(metrics.mae),
        value: |metrics| metrics.mae,
    },
    Column {
        name: "R²",
        meaning: "share of the label's variance that is explained; 0 is always answering the mean",
        text: |metrics| fixed(metrics.r2, 3),
        value: |metrics| metrics.r2,
    },
    Column {
        name: "Loss",
        meaning: "mean loss, smaller is better",
        text: |metrics| significant(metrics.loss),
        value: |metrics| metrics.loss,
    },
];

/// The columns that at least one of the rows has a number for.
pub(super) fn columns<'a>(
    rows: impl Iterator<Item = &'a MetricsDoc> + Clone,
) -> Vec<&'static Column> {
    COLUMNS
        .iter()
        .filter(|column| rows.clone().any(|row| (column.value)(row).is_some()))
        .collect()
}

/// How good the model is, beside the baselines.
pub(super) fn section(report: &Report) -> Markup {
    let noised = if report.metrics.noised {
        ", measured with noise"
    } else {
        ""
    };
    let mut rows = vec![(
        format!("This model, trained together{noised}"),
        &report.metrics,
        true,
    )];
    if let Some(baselines) = &report.baselines {
        rows.insert(
            0,
            (
                "All rows pooled in one place".to_owned(),
                &baselines.pooled,
                false,
            ),
        );
        if report.metrics.noised {
            rows.push((
                "This model, measured exactly".to_owned(),
                &baselines.federated,
                false,
            ));
        }
        let best = match baselines.local_best_party.as_str() {
            "" => "Best single party".to_owned(),
            party => format!("Best single party: {party}"),
        };
        rows.push((best, &baselines.local_best, false));
        let trivial = if report.metrics.rmse.is_some() {
            "Always the mean"
        } else {
            "Always the most frequent class"
        };
        rows.push((trivial.to_owned(), &baselines.majority, false));
    }
    let columns = columns(rows.iter().map(|row| row.1));
    html! {
        section #result {
            h2 { "Result" }
            p { (upper_first(&verdict::ending(report))) ". " (measured(report)) }
            (scrolling("Metrics beside baselines", &comparison(&rows, &columns)))
            @if let Some(baselines) = &report.baselines {
                p .muted { "The other lines are " (baselines.note) ": measured on the raw rows, and the comparison models trained on them, without protection." }
            }
            dl .words { @for column in &columns { dt { (column.name) } dd { (column.meaning) } } }
        }
    }
}

fn measured(report: &Report) -> String {
    let rows = report
        .metrics
        .rows
        .map_or_else(|| "rows".to_owned(), |rows| format!("{} rows", count(rows)));
    if report.metrics.noised {
        format!(
            "Measured on about {rows} kept from training at all parties, with noise that is charged to those rows."
        )
    } else {
        format!("Measured on {rows} kept from training at all parties.")
    }
}

fn comparison(rows: &[(String, &MetricsDoc, bool)], columns: &[&Column]) -> Markup {
    html! {
        table {
            caption { "Metrics on the hold-out of all parties" }
            thead { tr { th scope="col" { "Model" } @for column in columns { th .number scope="col" { (column.name) } } } }
            tbody {
                @for (name, metrics, ours) in rows {
                    tr .ours[*ours] {
                        th scope="row" { (name) @if !ours { (badge(SIMULATION_ONLY)) } }
                        @for column in columns { td .number { ((column.text)(metrics)) } }
                    }
                }
            }
        }
    }
}

/// What was trained on what.
pub(super) fn model_and_data(report: &Report) -> Markup {
    let (model, data) = (&report.model, &report.data);
    let about = if data.noised { "about " } else { "" };
    let more = model.features.len().saturating_sub(NAMES_SHOWN);
    html! {
        section #data {
            h2 { "Model and data" }
            dl .facts {
                dt { "Model" } dd { (model.shape) ", " (whole(model.parameters)) " trained numbers" }
                dt { "Label" } dd { (data.label) }
                dt { "Rows at parties" } dd { (data.split) }
                dt { "Training rows" } dd { @if data.counts_rows() { (about) (count(data.rows_train)) } @else { "not released" } }
                dt { "Hold-out rows" } dd { @if data.counts_rows() { (about) (count(data.rows_test)) } @else { "not released" } }
                dt { "Inputs (" (model.features.len()) ")" }
                dd {
                    @for (at, name) in model.features.iter().take(NAMES_SHOWN).enumerate() { @if at > 0 { ", " } (name) }
                    @if more > 0 { " and " (more) " more" }
                }
            }
            (class_table(report))
        }
    }
}

fn class_table(report: &Report) -> Markup {
    let counts = &report.data.class_counts;
    let total: f64 = counts
        .iter()
        .filter(|rows| rows.is_finite())
        .map(|rows| rows.max(0.0))
        .sum();
    let rows = report.model.classes.iter().zip(counts);
    html! {
        @if !report.model.classes.is_empty() && !counts.is_empty() {
            table .narrow {
                caption { "Classes of the training rows" @if report.data.noised { " (counted with noise)" } }
                thead { tr { th scope="col" { "Class" } th .number scope="col" { @if report.data.counts_rows() { "Rows" } @else { "Summed shares" } } th .number scope="col" { "Share" } } }
                tbody {
                    @for (class, rows) in rows {
                        tr { th scope="row" { (class) } td .number { (count(*rows)) } td .number { (percent(rows.max(0.0) / total)) } }
                    }
                }
            }
        }
    }
}

fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
