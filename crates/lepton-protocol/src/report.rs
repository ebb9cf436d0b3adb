//! The report: one document per run, the same in `report.json`, in `report.html` and on standard output.
//!
//! Every field is described in `docs/json.md`. Field names are stable; fields are added, never renamed.

use serde::{Deserialize, Serialize};

/// Everything a run is allowed to tell, in one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name and version of this document's format: `lepton-report/1`.
    pub format: String,
    /// Version of the program that wrote it.
    pub lepton_version: String,
    /// The job's name.
    pub name: String,
    /// The job's own description, if it has one.
    pub description: Option<String>,
    /// Folder name of the run.
    pub run: String,
    /// SHA-256 of the effective job file, lower-case hexadecimal.
    pub job_sha256: String,
    /// Start of the run, RFC 3339 in UTC.
    pub started: String,
    /// How the run ended.
    pub outcome: Outcome,
    /// Rounds that went into the model.
    pub rounds: u32,
    /// Rounds the job asked for.
    pub rounds_planned: u32,
    /// What was trained.
    pub model: ModelSummary,
    /// What it was trained on.
    pub data: DataSummary,
    /// Metrics of the final model over the fixed hold-out of all parties.
    pub metrics: MetricsDoc,
    /// Metrics after each evaluated round, in order.
    pub curve: Vec<CurvePoint>,
    /// What only a simulation can know; absent in a real federation.
    pub baselines: Option<Baselines>,
    /// The privacy goal and what was spent; every number is `null` without a goal.
    pub privacy: PrivacyDoc,
    /// Who had to trust whom, in numbers.
    pub protection: ProtectionDoc,
    /// One entry per party.
    pub parties: Vec<PartyDoc>,
    /// Permutation importance of each original column, largest first.
    pub importance: Vec<Importance>,
    /// Two principal components of one party's own hold-out rows.
    pub scatter: Option<Scatter>,
    /// Wall-clock times in seconds.
    pub timing: Timing,
    /// Bytes that crossed the (in-process) wire, frames included.
    pub traffic: Traffic,
    /// Everything weaker than the default that this run touched, one sentence each.
    pub insecure: Vec<String>,
    /// Things the reader should know: lost rounds, keys without effect, folded categories.
    pub notes: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every planned round was trained.
    Finished,
    /// Early stopping ended it.
    StoppedEarly,
    /// Fewer rounds than planned went into the model because attempts were lost.
    RoundsLost,
}

/// What was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// `linear`, `logistic` or `mlp`.
    pub kind: String,
    /// One line for people, such as `mlp 46-32-1 (relu)`.
    pub shape: String,
    /// Number of trained numbers.
    pub parameters: u64,
    /// Names of the model's inputs after preparation.
    pub features: Vec<String>,
    /// Class names in output order; empty for regression.
    pub classes: Vec<String>,
}

/// What a model was trained on. Row counts are exact in a run without privacy goal, noised and charged with one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    /// The label column.
    pub label: String,
    /// How rows came to parties, in words.
    pub split: String,
    /// What the counts here and in the metrics count: `rows`; `persons` or `parties` where each of them counts as one (PU-06, PU-13).
    #[serde(default = "rows")]
    pub counted_in: String,
    /// Rows used for training over all parties (noised under a privacy goal).
    pub rows_train: f64,
    /// Rows held out for evaluation over all parties (noised under a privacy goal).
    pub rows_test: f64,
    /// Whether the two numbers above carry noise.
    pub noised: bool,
    /// Class counts of the training rows in class order (noised under a privacy goal).
    pub class_counts: Vec<f64>,
}

fn rows() -> String {
    "rows".to_owned()
}

impl DataSummary {
    /// Whether rows were counted at all.
    #[must_use]
    pub fn counts_rows(&self) -> bool {
        self.counted_in == "rows"
    }
}

/// Metrics of one model on one set of rows. Absent ones do not apply to the task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsDoc {
    /// Fraction classified rightly.
    pub accuracy: Option<f64>,
    /// Mean recall over the classes.
    pub balanced_accuracy: Option<f64>,
    /// Area under the ROC curve; macro one-against-rest for more than two classes.
    pub auc: Option<f64>,
    /// Mean log-loss (nats, each row's clipped at a public bound), or mean squared error in units of the standardised label.
    pub loss: Option<f64>,
    /// Root mean squared error in the label's units (regression).
    pub rmse: Option<f64>,
    /// Mean absolute error in the label's units (regression).
    pub mae: Option<f64>,
    /// Coefficient of determination (regression).
    pub r2: Option<f64>,
    /// `confusion[true][predicted]`, counts (noised under a privacy goal).
    pub confusion: Vec<Vec<f64>>,
    /// Predicted against observed frequency.
    pub calibration: Vec<CalibrationBin>,
    /// Rows these were computed on (noised under a privacy goal).
    pub rows: Option<f64>,
    /// Whether noise was added.
    pub noised: bool,
}

/// One bin of the calibration curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Mean predicted probability in the bin.
    pub predicted: f64,
    /// Observed frequency in the bin.
    pub observed: f64,
    /// Rows in the bin (noised under a privacy goal).
    pub rows: f64,
}

/// Metrics after one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Round, counted from 1; 0 is the model before training.
    pub round: u32,
    /// Mean loss on the hold-out.
    pub loss: Option<f64>,
    /// Accuracy on the hold-out.
    pub accuracy: Option<f64>,
    /// AUC on the hold-out.
    pub auc: Option<f64>,
    /// Epsilon spent on training records so far, rounded up.
    pub epsilon: Option<f64>,
}

/// What only a simulation can know: *simulation only, not private*.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// Always `simulation only, not private`.
    pub note: String,
    /// The federated model on the pooled hold-out rows, exactly: what `metrics` says without noise.
    pub federated: MetricsDoc,
    /// The same model trained on the pooled rows of all parties.
    pub pooled: MetricsDoc,
    /// The best of the models that each party trained alone.
    pub local_best: MetricsDoc,
    /// The party `local_best` belongs to.
    pub local_best_party: String,
    /// Always answering the most frequent class (or the mean).
    pub majority: MetricsDoc,
}

/// The privacy statement in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrivacyDoc {
    /// Epsilon spent against outsiders (whoever sees only what is released and is no party), rounded up.
    pub epsilon: Option<f64>,
    /// Delta of that epsilon.
    pub delta: Option<f64>,
    /// What one guarantee protects: `record`, `person` or `party`.
    pub unit: Option<String>,
    /// Accountant: `rdp`.
    pub accountant: Option<String>,
    /// `add-remove`.
    pub adjacency: Option<String>,
    /// The job's epsilon goal; never exceeded by `epsilon_coordinator`.
    pub goal_epsilon: Option<f64>,
    /// Epsilon against the coordinator together with `colluders` parties, and against any single party.
    pub epsilon_coordinator: Option<f64>,
    /// Rényi order that gave the epsilon.
    pub order: Option<u32>,
    /// `distributed` or `local`.
    pub noise: Option<String>,
    /// Noise multiplier of a training step against the coordinator and its colluders.
    pub noise_multiplier: Option<f64>,
    /// Public Poisson sampling rate.
    pub sampling_rate: Option<f64>,
    /// Clipping norm.
    pub clip: Option<f64>,
    /// Noised training steps charged.
    pub steps: Option<u64>,
    /// Standard deviation of each party's integer noise in a training round.
    pub sigma_party: Option<u64>,
    /// Each kind of release, what it cost alone, and how often it happened.
    pub releases: Vec<ReleaseDoc>,
    /// Every assumption the statement rests on, one sentence each.
    pub assumptions: Vec<String>,
    /// What is not protected, one sentence each.
    pub not_protected: Vec<String>,
}

/// One kind of release and its cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseDoc {
    /// `preparation`, `training`, `evaluation`.
    pub kind: String,
    /// Which rows it touches: `training rows`, `hold-out rows` or `all rows of a party`.
    pub rows: String,
    /// How often it was charged.
    pub count: u64,
    /// Epsilon of all of these together at the job's delta, against the coordinator and its colluders.
    pub epsilon: f64,
}

/// Numbers of the masked sums (`docs/protocols/masked-sum.md`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProtectionDoc {
    /// `masked`.
    pub aggregation: String,
    /// Number of parties n.
    pub parties: u32,
    /// Parties assumed to collude with the coordinator, c.
    pub colluders: u32,
    /// Parties a round may lose, d.
    pub drops: u32,
    /// Shares needed to open a secret, t.
    pub threshold: u32,
    /// Signatures needed before anything is opened, Q.
    pub quorum: u32,
    /// Smallest survivor set a party signs.
    pub survivor_floor: u32,
    /// Sums that each training round opens: one, or one for each group of parties.
    #[serde(default = "one_sum")]
    pub groups: u32,
    /// Fewest parties in each of them, where there are groups.
    #[serde(default)]
    pub group_floor: Option<u32>,
    /// Shares that open a secret in a training round, where there are groups.
    #[serde(default)]
    pub group_threshold: Option<u32>,
    /// Masked sums completed.
    pub sums: u64,
    /// Attempts that were abandoned.
    pub abandoned: u64,
}

/// Reports of runs without groups did not say so.
fn one_sum() -> u32 {
    1
}

/// One party, as the simulation saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartyDoc {
    /// Its name.
    pub name: String,
    /// Training rows (simulation only; not known to anybody else in a real federation).
    pub rows_train: Option<u64>,
    /// Hold-out rows (simulation only).
    pub rows_test: Option<u64>,
    /// Masked sums its input went into.
    pub sums_joined: u64,
    /// Masked sums it missed; none counted before it joined.
    pub sums_missed: u64,
    /// First training round that it took part in, where it joined the running job.
    #[serde(default)]
    pub joined_round: Option<u32>,
    /// The federated model on this party's own hold-out rows (stays with the party; shown by the simulation).
    pub federated: Option<MetricsDoc>,
    /// A model this party trained alone, on the same hold-out rows of all parties (simulation only).
    pub alone: Option<MetricsDoc>,
    /// Bytes this party sent.
    pub up_bytes: u64,
    /// Bytes this party received.
    pub down_bytes: u64,
    /// Epsilon this party's ledger has charged to the records that were charged most.
    pub epsilon_charged: Option<f64>,
}

/// Loss increase when one original column is shuffled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The original column.
    pub column: String,
    /// Mean increase of the loss.
    pub loss_increase: f64,
}

/// A picture of single rows: made from, and staying with, the party whose rows they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    /// The party whose rows these are.
    pub party: String,
    /// Share of the variance in each component.
    pub explained: [f64; 2],
    /// First component per row.
    pub x: Vec<f32>,
    /// Second component per row.
    pub y: Vec<f32>,
    /// True class per row.
    pub class: Vec<u32>,
    /// Predicted class per row.
    pub predicted: Vec<u32>,
}

/// Wall-clock seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The whole run.
    pub wall_s: f64,
    /// Local training, summed over rounds (the slowest party of each).
    pub train_s: f64,
    /// Everything else in the rounds: masking, messages, checks, stores.
    pub protocol_s: f64,
    /// Preparation exchanges.
    pub prepare_s: f64,
    /// Evaluation exchanges.
    pub evaluate_s: f64,
    /// Baselines and pictures of the simulation.
    pub baselines_s: f64,
}

/// Bytes on the wire.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// From parties to the coordinator.
    pub up_bytes: u64,
    /// From the coordinator to parties.
    pub down_bytes: u64,
    /// Messages both ways.
    pub messages: u64,
}
