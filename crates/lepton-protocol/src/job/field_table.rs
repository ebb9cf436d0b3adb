//! Every key of the job file in one table.
//!
//! Unknown-key checks, type and range checks, defaults and the reference in `docs/job.md` all read this table.

use super::fields::Absent::{self, Required, Says, Value};
use super::fields::{Field, Interval, Kind};
use super::words::{
    Activation, Aggregation, Categories, ClassWeights, ColumnType, CombineName, DataKind,
    Duplicates, GraphChoice, Metric, Missing, ModelName, Noise, OptimiserName, Scale,
    ServerOptimiser, SplitBy, Task, Topology, Unit, Word,
};

const POSITIVE: Kind = open(0.0, f64::INFINITY);
const NON_NEGATIVE: Kind = Kind::Number(Interval {
    low: 0.0,
    low_included: true,
    high: f64::INFINITY,
    high_included: false,
});

const fn open(low: f64, high: f64) -> Kind {
    Kind::Number(Interval {
        low,
        low_included: false,
        high,
        high_included: false,
    })
}

const fn closed(low: f64, high: f64) -> Kind {
    Kind::Number(Interval {
        low,
        low_included: true,
        high,
        high_included: true,
    })
}

const fn plain(path: &'static str, kind: Kind, default: Absent, doc: &'static str) -> Field {
    Field {
        path,
        kind,
        default,
        choices: &[],
        later: &[],
        doc,
    }
}

const fn table(path: &'static str, default: Absent, doc: &'static str) -> Field {
    plain(path, Kind::Table, default, doc)
}

const fn choice<W: Word>(
    path: &'static str,
    default: &'static str,
    later: &'static [&'static str],
    doc: &'static str,
) -> Field {
    Field {
        path,
        kind: Kind::Choice,
        default: Absent::Value(default),
        choices: W::WORDS,
        later,
        doc,
    }
}

/// Every key of the job file, tables before their keys.
pub static FIELDS: &[Field] = &[
    table("job", Required, "What is to be done, and under which name."),
    plain(
        "job.name",
        Kind::Text,
        Required,
        "Name of the job, used for folders and in reports: a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`.",
    ),
    choice::<Task>(
        "job.task",
        "\"train\"",
        &["query", "match", "predict", "compute"],
        "What the job does.",
    ),
    plain(
        "job.description",
        Kind::Text,
        Says("none"),
        "One sentence for whoever reviews the job.",
    ),
    plain(
        "job.insecure_seed",
        Kind::Integer(0, i64::MAX),
        Says("fresh randomness from the operating system"),
        "Simulation only: makes every run the same, and every secret predictable. Marks every report.",
    ),
    table("data", Required, "Which rows and columns the job uses."),
    plain(
        "data.table",
        Kind::Text,
        Says("required, unless `tables` is given"),
        "Path of one table, dealt to simulated parties by `split`. Excludes `tables`.",
    ),
    plain(
        "data.tables",
        Kind::Texts(2),
        Says("`table` is used"),
        "Paths of one table per party. Excludes `table` and `split`.",
    ),
    plain("data.label", Kind::Text, Required, "Column to predict."),
    plain(
        "data.features",
        Kind::Texts(1),
        Says("every column but the label, the `exclude`d ones and the column of `split`"),
        "Columns to predict from.",
    ),
    plain(
        "data.exclude",
        Kind::Texts(0),
        Value("[]"),
        "Columns never read.",
    ),
    choice::<DataKind>(
        "data.kind",
        "\"table\"",
        &["image", "text", "audio"],
        "What the rows hold.",
    ),
    plain(
        "data.test_fraction",
        closed(0.05, 0.5),
        Value("0.25"),
        "Share of every party's rows kept for evaluation.",
    ),
    plain(
        "data.split_seed",
        Kind::Integer(0, i64::MAX),
        Value("1"),
        "Seed that decides which rows go to which simulated party and which are kept for evaluation. Not a secret.",
    ),
    table(
        "data.split",
        Says("`{ by = \"even\", parties = 3 }`"),
        "How the rows of `table` go to simulated parties.",
    ),
    choice::<SplitBy>(
        "data.split.by",
        "\"even\"",
        &[],
        "`column`: by the value of a column, as for a hospital code. `even`: shuffled, equal parts. `dirichlet`: shuffled, unequal shares of every class.",
    ),
    plain(
        "data.split.column",
        Kind::Text,
        Says("required with `by = \"column\"`, refused otherwise"),
        "Column whose value names the party.",
    ),
    plain(
        "data.split.parties",
        Kind::Integer(2, 1000),
        Says("3; with `by = \"column\"` one party per value of the column"),
        "Number of simulated parties. With `by = \"column\"`, the number of values the column must have.",
    ),
    plain(
        "data.split.alpha",
        POSITIVE,
        Says("required with `by = \"dirichlet\"`, refused otherwise"),
        "Evenness of the shares: 100 is nearly even, 0.1 leaves parties with hardly more than one class.",
    ),
    Field {
        path: "data.types",
        kind: Kind::ColumnChoices,
        default: Says("what the values look like"),
        choices: ColumnType::WORDS,
        later: &[],
        doc: "What single columns hold, where the values would be misread: `{ postcode = \"category\" }`.",
    },
    plain(
        "data.classes",
        Kind::Texts(2),
        Says("found together"),
        "The classes of the label, when they are public. The order is the order in reports.",
    ),
    plain(
        "data.positive",
        Kind::Text,
        Says("the last class"),
        "The class that counts as positive where there are two.",
    ),
    table(
        "prepare",
        Says("every key at its default"),
        "What happens to the columns before training, the same at every party.",
    ),
    choice::<Missing>(
        "prepare.missing",
        "\"mean\"",
        &[],
        "Missing values. `mean`: the joint mean of the column. `indicator`: the mean, and an extra column that says so. `drop`: the row is left out. `refuse`: the job stops.",
    ),
    choice::<Scale>(
        "prepare.scale",
        "\"standard\"",
        &[],
        "Number columns. `standard`: joint mean 0, deviation 1. `minmax`: 0 to 1. `none`: as they are.",
    ),
    choice::<Categories>(
        "prepare.categories",
        "\"discover\"",
        &[],
        "Category columns. `discover`: the categories are found together. `declared`: they are listed in `[prepare.values]`. `drop`: the columns are left out.",
    ),
    choice::<Duplicates>(
        "prepare.duplicates",
        "\"keep\"",
        &[],
        "Identical rows within a party.",
    ),
    plain(
        "prepare.slots",
        Kind::PowerOfTwo(256, 65_536),
        Value("2048"),
        "Hash slots per column whose categories are discovered, and for the label without `classes`. More slots: fewer categories share one, more traffic.",
    ),
    plain(
        "prepare.min_parties",
        Kind::Integer(2, 1000),
        Value("2"),
        "A discovered category is kept only when so many parties have it, and at least two more than `protection.colluders`. With `[privacy]` its noised count decides instead.",
    ),
    plain(
        "prepare.bounds",
        Kind::ColumnBounds,
        Value("{}"),
        "Public range of number columns, `age = [0, 110]`. Values outside are moved to the nearer end. With `[privacy]` or `scale = \"minmax\"`, needed for every number column used; with `[privacy]` also for a label that is a number.",
    ),
    plain(
        "prepare.values",
        Kind::ColumnTexts,
        Value("{}"),
        "Public categories of category columns, `sex = [\"f\", \"m\"]`. With `categories = \"declared\"`, needed for every category column used.",
    ),
    table("model", Required, "What is trained."),
    Field {
        path: "model.kind",
        kind: Kind::Choice,
        default: Required,
        choices: ModelName::WORDS,
        later: &["cnn", "boosted"],
        doc: "`linear`: a number from a weighted sum. `logistic`: classes from weighted sums. `mlp`: fully connected layers; a number if `data.types` calls the label a number, classes otherwise.",
    },
    plain(
        "model.hidden",
        Kind::Widths(8, 4096),
        Says("`[32]` with `kind = \"mlp\"`, refused otherwise"),
        "Width of each hidden layer.",
    ),
    Field {
        path: "model.activation",
        kind: Kind::Choice,
        default: Says("`\"relu\"` with `kind = \"mlp\"`, refused otherwise"),
        choices: Activation::WORDS,
        later: &[],
        doc: "Function between the layers.",
    },
    plain(
        "model.l2",
        NON_NEGATIVE,
        Value("0.0"),
        "Penalty on the squared weights.",
    ),
    plain(
        "model.start",
        Kind::Text,
        Says("a fresh model"),
        "Folder of a trained model to go on from.",
    ),
    table(
        "training",
        Says("every key at its default"),
        "How it is trained.",
    ),
    plain(
        "training.rounds",
        Kind::Integer(1, 10_000),
        Value("50"),
        "Number of rounds.",
    ),
    plain(
        "training.local_epochs",
        Kind::Integer(1, 1000),
        Says("1, unless `local_steps` is given"),
        "Passes over its own rows that a party makes per round; with local noise, so many divided by `sampling_rate` steps. Excludes `local_steps`.",
    ),
    plain(
        "training.local_steps",
        Kind::Integer(1, 1_000_000),
        Says("`local_epochs` is used"),
        "Batches that a party trains on per round. Excludes `local_epochs`.",
    ),
    plain(
        "training.batch",
        Kind::Integer(1, 65_536),
        Value("64"),
        "Rows per batch.",
    ),
    plain(
        "training.sampling_rate",
        Kind::Number(Interval {
            low: 0.0,
            low_included: false,
            high: 1.0,
            high_included: true,
        }),
        Says("required with `[privacy]`; 0.5 when `[privacy]` is made by `--set`"),
        "With `[privacy]`: chance of every record to take part in a round. Public, and part of the guarantee.",
    ),
    choice::<OptimiserName>(
        "training.optimiser",
        "\"sgd\"",
        &[],
        "Optimiser within a party.",
    ),
    plain(
        "training.learning_rate",
        POSITIVE,
        Value("0.1"),
        "Step size within a party.",
    ),
    plain(
        "training.momentum",
        Kind::Number(Interval {
            low: 0.0,
            low_included: true,
            high: 1.0,
            high_included: false,
        }),
        Says("0.9 with `optimiser = \"sgd\"`, refused otherwise"),
        "Momentum within a party.",
    ),
    choice::<ServerOptimiser>(
        "training.server_optimiser",
        "\"fedavg\"",
        &[],
        "How the sum of updates becomes the next model.",
    ),
    plain(
        "training.server_learning_rate",
        POSITIVE,
        Says("1.0 with `fedavg`, 0.01 with `fedadam`"),
        "Step size on the sum of updates.",
    ),
    plain(
        "training.proximal",
        NON_NEGATIVE,
        Value("0.0"),
        "Pull of a party's model towards the joint one (FedProx mu, Li et al. 2020).",
    ),
    choice::<ClassWeights>(
        "training.class_weights",
        "\"none\"",
        &[],
        "`balanced`: rare classes count more, so that every class counts the same.",
    ),
    choice::<CombineName>(
        "training.combine",
        "\"mean\"",
        &[],
        "How the updates of a round become one. `mean`: of all parties. `trimmed_mean`, `median`: parties are dealt into `groups`, and what is taken, number by number, is the mean of the groups without the `trim` lowest and highest, or their median. That limits what bad data, a failed training or a changed program at a few parties can do to the result. The coordinator then sees one sum per group instead of one sum: it learns more, and with `[privacy]` the model carries more noise.",
    ),
    plain(
        "training.groups",
        Kind::Integer(3, 1000),
        Says("required with `combine = \"trimmed_mean\"` or `\"median\"`, refused otherwise"),
        "Groups that the parties are dealt into, by a public rule. Every group needs at least two parties more than `protection.colluders`; a round in which fewer of a group are left is lost. Sums by group need the complete graph, hence at most 255 parties.",
    ),
    plain(
        "training.trim",
        Kind::Integer(1, 499),
        Says(
            "a quarter of the other groups, at least 1, with `combine = \"trimmed_mean\"`; refused otherwise",
        ),
        "Groups left out at either end, for every number anew: so many bad parties cannot move a number out of the range of the other groups' means. Less than half of `groups`.",
    ),
    plain(
        "training.clip_update",
        POSITIVE,
        Says("only the range of the encoding, 64 for every number"),
        "Norm that every party cuts its update of a round to before it is weighted and masked. Binds parties that run this program unchanged, no others.",
    ),
    choice::<Topology>(
        "training.topology",
        "\"star\"",
        &["mesh"],
        "Who talks to whom.",
    ),
    table(
        "evaluation",
        Says("every key at its default"),
        "What is measured on the rows kept for evaluation.",
    ),
    plain(
        "evaluation.every",
        Kind::Integer(1, 10_000),
        Value("5"),
        "Rounds between evaluations; the last round is always evaluated.",
    ),
    Field {
        path: "evaluation.metrics",
        kind: Kind::Choices,
        default: Says(
            "for classes accuracy, balanced_accuracy, auc, loss, confusion; for a number rmse, mae, r2, loss",
        ),
        choices: Metric::WORDS,
        later: &[],
        doc: "What is measured.",
    },
    table(
        "evaluation.early_stop",
        Says("all rounds are run"),
        "When training stops early.",
    ),
    Field {
        path: "evaluation.early_stop.metric",
        kind: Kind::Choice,
        default: Required,
        choices: Metric::WORDS,
        later: &[],
        doc: "One of the `metrics` that is one number.",
    },
    plain(
        "evaluation.early_stop.patience",
        Kind::Integer(1, 10_000),
        Value("3"),
        "Evaluations without a better value after which training stops.",
    ),
    table(
        "protection",
        Says("every key at its default"),
        "How updates are hidden from the coordinator. With n parties: colluders < threshold, 2 quorum > n + colluders, threshold and quorum at most n - drops.",
    ),
    choice::<Aggregation>(
        "protection.aggregation",
        "\"masked\"",
        &["homomorphic", "shared"],
        "How updates are summed: the coordinator learns the sum and nothing else.",
    ),
    choice::<GraphChoice>(
        "protection.graph",
        "\"auto\"",
        &[],
        "Which parties share masks: `complete`, everybody with everybody (at most 255 parties); `sparse`, a random graph of bounded degree, safe but for a chance of 2^-40 in the whole job; `auto`, complete up to 128 parties, and wherever updates are combined over groups.",
    ),
    plain(
        "protection.colluders",
        Kind::Integer(0, 1000),
        Says("1 where the number of parties allows it, otherwise 0"),
        "Parties that may pool what they know with the coordinator and still learn nothing but the sum.",
    ),
    plain(
        "protection.drops",
        Kind::Integer(0, 1000),
        Says("1 where the number of parties allows it, otherwise 0"),
        "Parties that may be lost in a round without losing the round.",
    ),
    plain(
        "protection.threshold",
        Kind::Integer(1, 1000),
        Says("derived"),
        "Shares needed to open a mask, on a complete graph. Sums by group need colluders + 1 of the group, at least 2, whatever stands here.",
    ),
    plain(
        "protection.quorum",
        Kind::Integer(1, 1000),
        Says("derived"),
        "Parties that must sign the same list of survivors before any mask is opened, on a complete graph.",
    ),
    table(
        "privacy",
        Says("no privacy goal: sums are exact, and every report says so"),
        "The limit on what the result says about one record.",
    ),
    choice::<Unit>(
        "privacy.unit",
        "\"record\"",
        &["person", "party"],
        "What one guarantee protects.",
    ),
    plain(
        "privacy.epsilon",
        POSITIVE,
        Says("required; 3.0 when `[privacy]` is made by `--set` of another key"),
        "The epsilon of the guarantee for the whole job; smaller is more private.",
    ),
    plain(
        "privacy.delta",
        open(0.0, 1.0),
        Value("1e-5"),
        "The delta of the (epsilon, delta) guarantee; keep it well below one over the number of records.",
    ),
    Field {
        path: "privacy.clip",
        kind: POSITIVE,
        default: Value("4.0"),
        choices: &[],
        later: &["adaptive"],
        doc: "Norm that every record's gradient is cut to.",
    },
    choice::<Noise>(
        "privacy.noise",
        "\"distributed\"",
        &[],
        "`distributed`: a round is one step of all parties together; every party adds a share of the noise, and only the sum carries all of it. `local`: every party takes `local_steps` steps alone, each with all of the noise.",
    ),
    choice::<OptimiserName>(
        "privacy.optimiser",
        "\"adam\"",
        &[],
        "Step taken on the noised gradient.",
    ),
    plain(
        "privacy.learning_rate",
        POSITIVE,
        Value("0.1"),
        "Size of the step on the noised gradient.",
    ),
    plain(
        "privacy.prepare_share",
        closed(0.01, 0.5),
        Value("0.1"),
        "Share of the privacy loss spent on the statistics that preparation needs.",
    ),
];
