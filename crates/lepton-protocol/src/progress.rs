//! The one stream of events of a job: terminal, `events.jsonl` and the report all read it.

use serde::{Deserialize, Serialize};

use crate::exchange::Kind;
use crate::report::CurvePoint;

/// Something worth telling whoever watches a job. Nothing in it comes from a single party's data, but for a [`Progress::Note`] in
/// which a simulation shows a party's own log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Progress {
    /// A masked sum was opened.
    Summed {
        /// What for.
        kind: Kind,
        /// Training round, 0 before training.
        round: u32,
        /// Parties whose input is in it.
        survivors: Vec<u16>,
    },
    /// Preparation is complete.
    Prepared {
        /// Inputs of the model.
        inputs: usize,
        /// Classes, 0 for regression.
        classes: usize,
        /// Training rows of all parties (noised under a privacy goal).
        rows: f64,
    },
    /// A training round went into the model.
    Trained {
        /// Which.
        round: u32,
        /// Of how many.
        rounds: u32,
        /// Epsilon spent on training records so far, rounded up.
        epsilon: Option<f64>,
    },
    /// The model was evaluated.
    Evaluated {
        /// The new point of the learning curves.
        point: CurvePoint,
    },
    /// A party declined an exchange.
    Declined {
        /// Which.
        party: u16,
        /// Its reason.
        reason: String,
        /// Whether its policy or ledger forbade it.
        refused: bool,
    },
    /// An attempt was abandoned; it stays charged.
    Abandoned {
        /// What for.
        kind: Kind,
        /// Training round.
        round: u32,
        /// Why.
        reason: String,
    },
    /// Early stopping ended the rounds.
    StoppedEarly {
        /// After this round.
        round: u32,
        /// The model of this round was kept.
        best: u32,
    },
    /// Something the reader of the report should know.
    Note {
        /// In words.
        text: String,
    },
}
