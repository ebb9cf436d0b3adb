//! The closed vocabularies of the job file: one enum per key, and the word each value is written as.

/// A value written as one word out of a fixed list.
pub trait Word: Sized + Copy + 'static {
    /// Every valid word, in the order the reference lists them.
    const WORDS: &'static [&'static str];
    /// The word this value is written as.
    fn word(self) -> &'static str;
    /// The value a word stands for; `None` for an unknown word.
    fn from_word(word: &str) -> Option<Self>;
}

// Ten enums with the same three functions each: written once, so that word and variant cannot drift apart.
macro_rules! words {
    ($(#[doc = $doc:literal] $name:ident { $(#[doc = $vdoc:literal] $variant:ident = $word:literal,)+ })+) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $vdoc] $variant,)+ }

        impl Word for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];
            fn word(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
            fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Self::$variant),)+ _ => None } }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.word()) }
        }
    )+};
}
pub(crate) use words;

words! {
    /// What the job does.
    Task {
        /// Train a model together.
        Train = "train",
    }
    /// What the rows hold.
    DataKind {
        /// Rows of named columns.
        Table = "table",
        /// Images of one size, a column for each pixel.
        Image = "image",
    }
    /// What a column holds.
    ColumnType {
        /// Numbers.
        Number = "number",
        /// Words out of a set.
        Category = "category",
    }
    /// How the rows of one table are dealt to simulated parties.
    SplitBy {
        /// By the value of a column.
        Column = "column",
        /// Evenly, after shuffling.
        Even = "even",
        /// By a hash of each row, or of the person whose row it is.
        Hash = "hash",
        /// Unevenly by label, with Dirichlet proportions.
        Dirichlet = "dirichlet",
    }
    /// What happens to missing values.
    Missing {
        /// Replaced by the joint mean of the column.
        Mean = "mean",
        /// Replaced by the mean, with an extra column that says so.
        Indicator = "indicator",
        /// The row is left out.
        Drop = "drop",
        /// The job stops and names the row.
        Refuse = "refuse",
    }
    /// How number columns are scaled.
    Scale {
        /// To mean 0 and standard deviation 1, jointly over the parties.
        Standard = "standard",
        /// To the range 0 to 1.
        Minmax = "minmax",
        /// Not at all.
        None = "none",
    }
    /// Where the categories of a column come from.
    Categories {
        /// Found together, without any party showing its own list.
        Discover = "discover",
        /// Listed in `[prepare.values]`.
        Declared = "declared",
        /// Category columns are left out.
        Drop = "drop",
    }
    /// What happens to identical rows within a party.
    Duplicates {
        /// All are kept.
        Keep = "keep",
        /// One of each is kept.
        Drop = "drop",
    }
    /// The family of models.
    ModelName {
        /// Linear regression.
        Linear = "linear",
        /// Logistic regression, two or more classes.
        Logistic = "logistic",
        /// A network of fully connected layers.
        Mlp = "mlp",
        /// Convolutions over an image, then fully connected layers.
        Cnn = "cnn",
        /// Trained by a program of each party's own.
        Custom = "custom",
    }
    /// What becomes of neighbouring places behind a convolution.
    Pooling {
        /// They stay.
        None = "none",
        /// Their largest.
        Max = "max",
        /// Their mean.
        Average = "average",
    }
    /// What is evened out behind a convolution.
    Normalisation {
        /// Nothing.
        None = "none",
        /// Groups of channels within a record.
        Group = "group",
    }
    /// The step taken on a noised gradient.
    PrivateOptimiser {
        /// Adam.
        Adam = "adam",
        /// Stochastic gradient descent.
        Sgd = "sgd",
        /// Adam without the noise in its second moment.
        DpAdam = "dp_adam",
    }
    /// The function between the layers of an `mlp` or a `cnn`.
    Activation {
        /// max(0, x).
        Relu = "relu",
        /// Hyperbolic tangent.
        Tanh = "tanh",
    }
    /// The optimiser that steps on a gradient.
    OptimiserName {
        /// Stochastic gradient descent.
        Sgd = "sgd",
        /// Adam (Kingma and Ba 2015).
        Adam = "adam",
    }
    /// How the coordinator turns the sum of updates into the next model.
    ServerOptimiser {
        /// Weighted mean (McMahan et al. 2017).
        FedAvg = "fedavg",
        /// Adam on the mean update (Reddi et al. 2021).
        FedAdam = "fedadam",
    }
    /// Whether rare classes count more in the loss.
    ClassWeights {
        /// Every record counts the same.
        None = "none",
        /// Every class counts the same.
        Balanced = "balanced",
    }
    /// Who talks to whom.
    Topology {
        /// Every party with the coordinator.
        Star = "star",
    }
    /// A figure of merit on the test rows.
    Metric {
        /// Share of records classified correctly.
        Accuracy = "accuracy",
        /// Mean over the classes of the share classified correctly.
        BalancedAccuracy = "balanced_accuracy",
        /// Area under the ROC curve.
        Auc = "auc",
        /// Mean loss.
        Loss = "loss",
        /// Counts of true class against predicted class.
        Confusion = "confusion",
        /// Predicted probability against observed share.
        Calibration = "calibration",
        /// Root of the mean squared error.
        Rmse = "rmse",
        /// Mean absolute error.
        Mae = "mae",
        /// Share of variance explained.
        R2 = "r2",
    }
    /// How the updates of a round become one.
    CombineName {
        /// Their mean.
        Mean = "mean",
        /// Of groups of parties, without the lowest and the highest.
        TrimmedMean = "trimmed_mean",
        /// Of groups of parties.
        Median = "median",
    }
    /// Which parties share masks.
    GraphChoice {
        /// Complete up to 128 parties, sparse above.
        Auto = "auto",
        /// Everybody with everybody.
        Complete = "complete",
        /// A random graph of bounded degree.
        Sparse = "sparse",
    }
    /// How updates are summed.
    Aggregation {
        /// By masks that cancel in the sum.
        Masked = "masked",
    }
    /// What one privacy guarantee protects; the later, the coarser.
    Unit {
        /// One row.
        Record = "record",
        /// All rows of a party that share an id.
        Person = "person",
        /// All rows of one party.
        Party = "party",
    }
    /// Who adds the noise.
    Noise {
        /// Every party adds a share; only the sum carries all of it.
        Distributed = "distributed",
        /// Every party adds all of it.
        Local = "local",
    }
}

impl Metric {
    /// Whether the metric is one number that training can be stopped by.
    #[must_use]
    pub fn is_scalar(self) -> bool {
        !matches!(self, Self::Confusion | Self::Calibration)
    }

    /// Whether a larger value is a better one (accuracy, yes; loss, no).
    #[must_use]
    pub fn larger_is_better(self) -> bool {
        !matches!(
            self,
            Self::Loss | Self::Rmse | Self::Mae | Self::Calibration
        )
    }

    /// Whether the metric is defined for predicting classes (`true`) or a number (`false`).
    #[must_use]
    pub fn fits(self, objective: Objective) -> bool {
        let for_numbers = matches!(self, Self::Rmse | Self::Mae | Self::R2);
        self == Self::Loss || for_numbers == (objective == Objective::Number)
    }
}

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// One of the classes of the label.
    Classes,
    /// A number.
    Number,
}

impl Objective {
    /// The metrics evaluated when the job names none.
    #[must_use]
    pub fn default_metrics(self) -> Vec<Metric> {
        match self {
            Self::Classes => {
                vec![
                    Metric::Accuracy,
                    Metric::BalancedAccuracy,
                    Metric::Auc,
                    Metric::Loss,
                    Metric::Confusion,
                ]
            }
            Self::Number => vec![Metric::Rmse, Metric::Mae, Metric::R2, Metric::Loss],
        }
    }
}

// Ledgers and reports keep the word.
impl serde::Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> serde::Deserialize<'de> for Unit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let unknown = || serde::de::Error::unknown_variant(&word, Self::WORDS);
        Self::from_word(&word).ok_or_else(unknown)
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "the enum is written by a macro that names no default"
)]
impl Default for Unit {
    fn default() -> Self {
        Self::Record
    }
}
