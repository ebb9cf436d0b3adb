//! `lepton predict`.

use std::path::PathBuf;

use clap::Args;
use lepton_node::error::NodeError;
use lepton_node::model_file::ModelFile;
use lepton_node::predict::{Answer, Predicted, predict_with};
use lepton_protocol::report::MetricsDoc;
use lepton_table::{ColumnOut, write_csv, write_csv_path};
use serde::Serialize;

use crate::output;

/// Flags of `lepton predict`.
#[derive(Args)]
pub(crate) struct PredictArgs {
    /// The rows: a table (CSV, Parquet, Arrow IPC or JSON Lines) with the model's input columns; the label column may be absent
    data: PathBuf,
    /// Key file that opens the table, if it lies in a vault and is named as VAULT/TABLE
    #[arg(long, value_name = "FILE")]
    vault_key: Option<PathBuf>,
    /// A model folder or a run folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Write the CSV here, whole or not at all, and not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout, with metrics where the label column is present
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    rows: usize,
    predictions: Vec<Row<'a>>,
    metrics: Option<&'a MetricsDoc>,
}

/// One row; `prediction` is null where the row was left out.
#[derive(Serialize)]
struct Row<'a> {
    row: usize,
    prediction: Option<Prediction<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Prediction<'a> {
    Class(&'a str),
    Value(f64),
}

impl PredictArgs {
    /// Predicts and writes.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let key = self.vault_key.as_deref();
        let found = predict_with(&ModelFile::load(&self.model)?, &self.data, key)?;
        if let Some(path) = &self.out {
            with_columns(&found, |columns| Ok(write_csv_path(path, columns)?))?;
        }
        if self.json {
            output::json(&document(&found))?;
        } else if self.out.is_none() {
            let mut text = Vec::new();
            with_columns(&found, |columns| Ok(write_csv(&mut text, columns)?))?;
            output::text(&String::from_utf8_lossy(&text))?;
        }
        self.say(&found);
        Ok(())
    }

    /// What a person should know, on stderr.
    fn say(&self, found: &Predicted) {
        let (all, done) = (found.rows.len(), found.rows.iter().flatten().count());
        let place = self.out.as_ref().map(|path| path.display().to_string());
        let place = place.unwrap_or_else(|| "standard output".to_owned());
        output::note(&format!(
            "{done} of {all} rows predicted, written to {place}"
        ));
        if done < all {
            output::note(
                "rows with a missing value have no prediction: the job said missing = \"drop\"",
            );
        }
        if found.unknown_labels > 0 {
            output::note(&format!(
                "rows with a label that is none of the model's classes, not in the metrics: {}",
                found.unknown_labels
            ));
        }
        if let Some(metrics) = found.metrics.as_ref().filter(|_| !self.json) {
            output::note(&measured(metrics));
        }
        output::note(
            "Rows and predictions stayed on this machine. A prediction says something of a person: whether to pass it on is your decision.",
        );
    }
}

/// The metrics in one line.
fn measured(metrics: &MetricsDoc) -> String {
    let figures = [
        ("accuracy", metrics.accuracy),
        ("balanced accuracy", metrics.balanced_accuracy),
        ("AUC", metrics.auc),
        ("RMSE", metrics.rmse),
        ("MAE", metrics.mae),
        ("R2", metrics.r2),
    ];
    let shown: Vec<String> = figures
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name} {value:.4}")))
        .collect();
    format!(
        "against the label column ({:.0} rows): {}",
        metrics.rows.unwrap_or_default(),
        shown.join(", ")
    )
}

/// The CSV's columns: text, so that a row without a prediction has empty cells.
fn with_columns(
    found: &Predicted,
    write: impl FnOnce(&[(&str, ColumnOut<'_>)]) -> Result<(), NodeError>,
) -> Result<(), NodeError> {
    let numbers: Vec<String> = (1..=found.rows.len()).map(|row| row.to_string()).collect();
    let answers: Vec<String> = found
        .rows
        .iter()
        .map(|answer| answer_text(answer.as_ref(), &found.classes))
        .collect();
    let names: Vec<String> = found
        .classes
        .iter()
        .map(|class| format!("p_{class}"))
        .collect();
    let shares: Vec<Vec<String>> = (0..names.len())
        .map(|class| shares_of(found, class))
        .collect();
    let mut columns = vec![
        ("row", ColumnOut::Texts(&numbers)),
        ("prediction", ColumnOut::Texts(&answers)),
    ];
    columns.extend(
        names
            .iter()
            .zip(&shares)
            .map(|(name, shares)| (name.as_str(), ColumnOut::Texts(shares))),
    );
    write(&columns)
}

fn answer_text(answer: Option<&Answer>, classes: &[String]) -> String {
    match answer {
        Some(Answer::Class(class, _)) => classes.get(*class).cloned().unwrap_or_default(),
        Some(Answer::Value(value)) => value.to_string(),
        None => String::new(),
    }
}

fn shares_of(found: &Predicted, class: usize) -> Vec<String> {
    let share = |answer: &Option<Answer>| match answer {
        Some(Answer::Class(_, shares)) => shares
            .get(class)
            .map_or_else(String::new, |share| format!("{share:.6}")),
        _ => String::new(),
    };
    found.rows.iter().map(share).collect()
}

fn document(found: &Predicted) -> Document<'_> {
    let rows = (1..).zip(&found.rows).map(|(row, answer)| match answer {
        Some(Answer::Class(class, shares)) => Row {
            row,
            prediction: found
                .classes
                .get(*class)
                .map(|class| Prediction::Class(class)),
            probabilities: Some(
                found
                    .classes
                    .iter()
                    .cloned()
                    .zip(shares.iter().map(|share| (*share).into()))
                    .collect(),
            ),
        },
        Some(Answer::Value(value)) => Row {
            row,
            prediction: Some(Prediction::Value(*value)),
            probabilities: None,
        },
        None => Row {
            row,
            prediction: None,
            probabilities: None,
        },
    });
    Document {
        rows: found.rows.len(),
        predictions: rows.collect(),
        metrics: found.metrics.as_ref(),
    }
}
