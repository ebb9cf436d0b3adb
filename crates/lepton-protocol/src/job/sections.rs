//! The typed sections of a job. Only [`Job`](super::Job) vouches for a section as a whole; the numbers in it
//! vouch for themselves.

use super::numbers::{Bounds, JobName, Momentum, NonNegative, Positive, Share};
use super::words::{
    Activation, Aggregation, Categories, ClassWeights, ColumnType, DataKind, Duplicates,
    GraphChoice, Metric, Missing, Noise, Normalisation, Pooling, PrivateOptimiser, Scale,
    ServerOptimiser, Task, Topology, Unit,
};
use lepton_dp::{Delta, Epsilon, SamplingRate};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// `[job]`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSection {
    /// Name of the job.
    pub name: JobName,
    /// What the job does.
    pub task: Task,
    /// One sentence for the reviewer.
    pub description: Option<String>,
    /// Seed of a simulation that can be repeated, and is therefore not private.
    pub insecure_seed: Option<u64>,
}

/// `[data]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSection {
    /// Where the rows come from in a simulation.
    pub source: DataSource,
    /// Column to predict.
    pub label: String,
    /// Columns to predict from; `None` for all that are left.
    pub features: Option<Vec<String>>,
    /// Columns never read.
    pub exclude: Vec<String>,
    /// Column that says whose row it is.
    pub person: Option<String>,
    /// What the rows hold.
    pub kind: DataKind,
    /// Size of every image; present exactly with [`DataKind::Image`].
    pub shape: Option<ImageShape>,
    /// Share of rows kept for evaluation, 0.05 to 0.5.
    pub test_fraction: Share,
    /// Seed of the split and of the choice of test rows.
    pub split_seed: u64,
    /// Columns whose content the job states.
    pub types: BTreeMap<String, ColumnType>,
    /// Public classes of the label: at least two, distinct.
    pub classes: Option<Vec<String>>,
    /// The class that counts as positive.
    pub positive: Option<String>,
}

/// Size of an image. Its columns go row by row, from left to right, the channels of a pixel side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Pixels from top to bottom.
    pub height: NonZeroU32,
    /// Pixels from left to right.
    pub width: NonZeroU32,
    /// Numbers per pixel.
    pub channels: NonZeroU32,
}

/// Where the rows of simulated parties come from.
#[derive(Debug, Clone, PartialEq)]
pub enum DataSource {
    /// One table, dealt to parties.
    Dealt {
        /// Path of the table.
        table: String,
        /// How it is dealt.
        split: Split,
    },
    /// Paths of one table per party: at least two, distinct.
    PerParty(Vec<String>),
}

impl DataSource {
    /// The number of simulated parties, where the job alone decides it.
    #[must_use]
    pub fn parties(&self) -> Option<usize> {
        match self {
            Self::PerParty(tables) => Some(tables.len()),
            Self::Dealt { split, .. } => match split {
                Split::Column { parties, .. } => {
                    parties.and_then(|n| usize::try_from(n.get()).ok())
                }
                Split::Even { parties }
                | Split::Hash { parties }
                | Split::Dirichlet { parties, .. } => usize::try_from(parties.get()).ok(),
            },
        }
    }
}

/// How one table is dealt to parties.
#[derive(Debug, Clone, PartialEq)]
pub enum Split {
    /// One party per value of a column.
    Column {
        /// The column.
        column: String,
        /// The number of values it must have, if stated.
        parties: Option<NonZeroU32>,
    },
    /// Shuffled, equal parts.
    Even {
        /// Number of parties, 2 or more.
        parties: NonZeroU32,
    },
    /// Each row, or person, to the party that its own hash names: no other row has a say in it.
    Hash {
        /// Number of parties, 2 or more.
        parties: NonZeroU32,
    },
    /// Shuffled, unequal shares of every class.
    Dirichlet {
        /// Number of parties, 2 or more.
        parties: NonZeroU32,
        /// Evenness of the shares.
        alpha: Positive,
    },
}

/// `[prepare]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareSection {
    /// Missing values.
    pub missing: Missing,
    /// Number columns.
    pub scale: Scale,
    /// Category columns.
    pub categories: Categories,
    /// Identical rows.
    pub duplicates: Duplicates,
    /// Hash slots per discovered column: a power of two, 256 to 65536.
    pub slots: NonZeroU32,
    /// Parties that must have a category before it counts, 2 or more.
    pub min_parties: NonZeroU32,
    /// Public ranges of number columns.
    pub bounds: BTreeMap<String, Bounds>,
    /// Public categories of category columns: distinct, at least one.
    pub values: BTreeMap<String, Vec<String>>,
}

/// `[model]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSection {
    /// The family and its options.
    pub kind: ModelKind,
    /// Penalty on the squared weights.
    pub l2: NonNegative,
    /// Folder of a trained model to go on from.
    pub start: Option<String>,
}

impl ModelSection {
    /// Category columns that become vectors, with the length of these; empty for every kind but an mlp.
    #[must_use]
    pub fn embeddings(&self) -> &BTreeMap<String, NonZeroU32> {
        static NONE: BTreeMap<String, NonZeroU32> = BTreeMap::new();
        match &self.kind {
            ModelKind::Mlp { embeddings, .. } => embeddings,
            ModelKind::Linear
            | ModelKind::Logistic
            | ModelKind::Cnn { .. }
            | ModelKind::Custom { .. } => &NONE,
        }
    }
}

/// The family of models, with what only that family has.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelKind {
    /// Linear regression.
    Linear,
    /// Logistic regression.
    Logistic,
    /// Fully connected layers.
    Mlp {
        /// Width of each hidden layer: 1 to 8 of them, each 1 to 4096.
        hidden: Vec<NonZeroU32>,
        /// Function between the layers.
        activation: Activation,
        /// Category columns that become vectors, each with their length, 1 to 1024: at most 64 columns.
        embeddings: BTreeMap<String, NonZeroU32>,
    },
    /// Convolutions over an image, then fully connected layers.
    Cnn {
        /// Channels behind each convolution: 1 to 8 of them, each 1 to 4096.
        channels: Vec<NonZeroU32>,
        /// What all convolutions have in common.
        window: Window,
        /// Width of each hidden layer behind them: up to 8, each 1 to 4096.
        hidden: Vec<NonZeroU32>,
        /// Function between the layers.
        activation: Activation,
    },
    /// Trained and applied by a program of each party's own.
    Custom {
        /// Sides of each tensor: 1 to 4096 tensors.
        shapes: Vec<Vec<NonZeroU32>>,
    },
}

/// What all convolutions of a network have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Side of the square that is looked at, 1 to 15.
    pub kernel: NonZeroU32,
    /// Step of the square, 1 to 8.
    pub stride: NonZeroU32,
    /// Zeros at every edge, 0 to 14.
    pub padding: u32,
    /// Pooling behind each convolution.
    pub pool: Pooling,
    /// Side of a pooled square, 2 to 8.
    pub pool_size: NonZeroU32,
    /// Normalisation of each convolution.
    pub normalisation: Normalisation,
}

/// `[training]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSection {
    /// Number of rounds.
    pub rounds: NonZeroU32,
    /// Work per party and round.
    pub local: LocalWork,
    /// Rows per batch.
    pub batch: NonZeroU32,
    /// Chance of a record to take part in a round; present whenever there is a privacy goal.
    pub sampling_rate: Option<SamplingRate>,
    /// Optimiser within a party.
    pub optimiser: LocalOptimiser,
    /// Step size within a party.
    pub learning_rate: Positive,
    /// How the sum becomes the next model.
    pub server_optimiser: ServerOptimiser,
    /// Step size on the sum.
    pub server_learning_rate: Positive,
    /// FedProx mu.
    pub proximal: NonNegative,
    /// Whether rare classes count more.
    pub class_weights: ClassWeights,
    /// How the updates of a round become one.
    pub combine: Combine,
    /// Norm that a party cuts its update to, without a privacy goal.
    pub clip_update: Option<Positive>,
    /// Most parties to which a running job may grow (rule LJ-01).
    pub late_join: Option<NonZeroU32>,
    /// Which rounds' models are kept; none but the last without.
    pub checkpoints: Option<Checkpoints>,
    /// Who talks to whom.
    pub topology: Topology,
}

/// Which rounds' models are kept beside the final one (rule JC-30).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoints {
    /// Rounds between two of them.
    pub every: NonZeroU32,
    /// Most that are kept, 1 to 30.
    pub most: NonZeroU32,
}

impl Checkpoints {
    /// In which of [`Checkpoints::most`] places the model of this round is kept, the one that was there before it being the oldest; `None` for
    /// other rounds.
    #[must_use]
    pub fn place(self, round: u32) -> Option<u32> {
        let due = round > 0 && round.is_multiple_of(self.every.get());
        due.then(|| (round / self.every.get() - 1) % self.most.get())
    }
}

/// How the updates of a round become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Their mean.
    Mean,
    /// Per number, the mean of the groups' means without the lowest and the highest.
    TrimmedMean {
        /// Groups, 3 or more.
        groups: NonZeroU32,
        /// Groups left out at either end: fewer than half of them.
        trim: NonZeroU32,
    },
    /// Per number, the median of the groups' means.
    Median {
        /// Groups, 3 or more.
        groups: NonZeroU32,
    },
}

/// Work of a party in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalWork {
    /// Passes over its rows.
    Epochs(NonZeroU32),
    /// Batches.
    Steps(NonZeroU32),
}

/// Optimiser within a party.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LocalOptimiser {
    /// Stochastic gradient descent.
    Sgd {
        /// Its momentum.
        momentum: Momentum,
    },
    /// Adam.
    Adam,
}

/// `[evaluation]`.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationSection {
    /// Rounds between evaluations; the last round is always evaluated.
    pub every: NonZeroU32,
    /// What is measured: distinct, at least one, defined for the objective of the job.
    pub metrics: Vec<Metric>,
    /// When training stops early.
    pub early_stop: Option<EarlyStop>,
}

/// When training stops early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyStop {
    /// One of the metrics, a scalar one.
    pub metric: Metric,
    /// Evaluations without a better value.
    pub patience: NonZeroU32,
}

/// `[protection]`. What is `None` is derived once the number of parties is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionSection {
    /// How updates are summed.
    pub aggregation: Aggregation,
    /// Which parties share masks.
    pub graph: GraphChoice,
    /// Parties that may collude with the coordinator.
    pub colluders: Option<u32>,
    /// Parties that may be lost in a round.
    pub drops: Option<u32>,
    /// Shares needed to open a mask.
    pub threshold: Option<NonZeroU32>,
    /// Signatures needed on one list of survivors.
    pub quorum: Option<NonZeroU32>,
}

/// `[privacy]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PrivacySection {
    /// What one guarantee protects.
    pub unit: Unit,
    /// The epsilon of the guarantee for the whole job.
    pub epsilon: Epsilon,
    /// The delta of that guarantee.
    pub delta: Delta,
    /// Chance of a record to take part in a round: `training.sampling_rate`; 1 where the unit is a party.
    pub sampling_rate: SamplingRate,
    /// Norm that every record's gradient, or every party's update, is cut to.
    pub clip: Clip,
    /// Who adds the noise.
    pub noise: Noise,
    /// Step on the noised gradient.
    pub optimiser: PrivateOptimiser,
    /// Size of that step.
    pub learning_rate: Positive,
    /// Share of the loss spent on preparation, 0.01 to 0.5.
    pub prepare_share: Share,
    /// Public number of records over all parties, from which open settings are chosen.
    pub population: Option<NonZeroU32>,
}

/// The norm that contributions are cut to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clip {
    /// One for all rounds.
    Fixed(Positive),
    /// One that follows a quantile of the contributions' norms (rule DP-16).
    Adaptive {
        /// Norm of the first round.
        start: Positive,
        /// Share that should not be cut.
        quantile: Share,
    },
}

impl Clip {
    /// The norm of the first round.
    #[must_use]
    pub fn first(self) -> f64 {
        match self {
            Self::Fixed(norm) | Self::Adaptive { start: norm, .. } => norm.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JC-30: every second round, three of them; the seventh kept takes the place of the fourth.
    #[test]
    fn a_newer_checkpoint_takes_the_place_of_the_oldest() {
        let number = |number| NonZeroU32::new(number).unwrap();
        let kept = Checkpoints {
            every: number(2),
            most: number(3),
        };
        let places: Vec<_> = (0..=14)
            .filter_map(|round| Some((round, kept.place(round)?)))
            .collect();
        let expected = [(2, 0), (4, 1), (6, 2), (8, 0), (10, 1), (12, 2), (14, 0)];
        assert_eq!(places, expected);
    }
}
