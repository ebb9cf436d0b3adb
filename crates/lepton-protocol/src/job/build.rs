//! Third pass: entries that obey every rule become typed sections.

use super::entries::{Entries, texts};
use super::errors::Place;
use super::numbers::{Bounds, JobName, Momentum, NonNegative, Positive, Share};
use super::rules::objective;
use super::sections::{
    Checkpoints, Clip, Combine, DataSection, DataSource, EarlyStop, EvaluationSection, ImageShape,
    JobSection, LocalOptimiser, LocalWork, ModelKind, ModelSection, PrepareSection, PrivacySection,
    ProtectionSection, Split, TrainingSection, Window,
};
use super::tree::Value;
use super::value_check::number;
use super::words::{
    Activation, ColumnType, CombineName, Metric, ModelName, OptimiserName, ServerOptimiser,
    SplitBy, Unit, Word,
};
use lepton_dp::{Delta, Epsilon, SamplingRate};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// All sections of a job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sections {
    pub(super) job: JobSection,
    pub(super) data: DataSection,
    pub(super) prepare: PrepareSection,
    pub(super) model: ModelSection,
    pub(super) training: TrainingSection,
    pub(super) evaluation: EvaluationSection,
    pub(super) protection: ProtectionSection,
    pub(super) privacy: Option<PrivacySection>,
}

/// `None` only where a problem has been reported before.
pub(super) fn build(entries: &Entries) -> Option<Sections> {
    Some(Sections {
        job: job(entries)?,
        data: data(entries)?,
        prepare: prepare(entries)?,
        model: model(entries)?,
        training: training(entries)?,
        evaluation: evaluation(entries)?,
        protection: protection(entries)?,
        privacy: if entries.written("privacy") {
            Some(privacy(entries)?)
        } else {
            None
        },
    })
}

fn count(entries: &Entries, path: &str) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(entries.integer(path)?).ok()?)
}

fn count_or(entries: &Entries, path: &str, default: u32) -> Option<NonZeroU32> {
    if entries.written(path) {
        count(entries, path)
    } else {
        NonZeroU32::new(default)
    }
}

fn number_or(entries: &Entries, path: &str, default: f64) -> Option<f64> {
    if entries.written(path) {
        entries.number(path)
    } else {
        Some(default)
    }
}

fn seed(entries: &Entries, path: &str) -> Option<u64> {
    u64::try_from(entries.integer(path)?).ok()
}

fn job(entries: &Entries) -> Option<JobSection> {
    Some(JobSection {
        name: JobName::new(&entries.text("job.name")?)?,
        task: entries.word("job.task")?,
        description: entries.text("job.description"),
        insecure_seed: seed(entries, "job.insecure_seed"),
    })
}

fn data(entries: &Entries) -> Option<DataSection> {
    let column_type = |(column, node): (String, super::tree::Node)| match node.value {
        Value::Text(word) => Some((column, ColumnType::from_word(&word)?)),
        _ => None,
    };
    Some(DataSection {
        source: source(entries)?,
        label: entries.text("data.label")?,
        features: entries.texts("data.features"),
        exclude: entries.texts("data.exclude")?,
        person: entries.text("data.person"),
        kind: entries.word("data.kind")?,
        shape: shape(entries),
        test_fraction: Share::new(entries.number("data.test_fraction")?)?,
        split_seed: seed(entries, "data.split_seed")?,
        types: entries
            .columns("data.types")
            .into_iter()
            .map(column_type)
            .collect::<Option<_>>()?,
        classes: entries.texts("data.classes"),
        positive: entries.text("data.positive"),
    })
}

fn shape(entries: &Entries) -> Option<ImageShape> {
    let [height, width, channels] = widths(entries, "data.shape")?.try_into().ok()?;
    Some(ImageShape {
        height,
        width,
        channels,
    })
}

fn source(entries: &Entries) -> Option<DataSource> {
    if entries.written("data.tables") {
        return Some(DataSource::PerParty(entries.texts("data.tables")?));
    }
    let parties = "data.split.parties";
    let split = match entries.word("data.split.by")? {
        SplitBy::Column => Split::Column {
            column: entries.text("data.split.column")?,
            parties: count(entries, parties),
        },
        SplitBy::Even => Split::Even {
            parties: count_or(entries, parties, 3)?,
        },
        SplitBy::Hash => Split::Hash {
            parties: count_or(entries, parties, 3)?,
        },
        SplitBy::Dirichlet => Split::Dirichlet {
            parties: count_or(entries, parties, 3)?,
            alpha: Positive::new(entries.number("data.split.alpha")?)?,
        },
    };
    Some(DataSource::Dealt {
        table: entries.text("data.table")?,
        split,
    })
}

fn prepare(entries: &Entries) -> Option<PrepareSection> {
    Some(PrepareSection {
        missing: entries.word("prepare.missing")?,
        scale: entries.word("prepare.scale")?,
        categories: entries.word("prepare.categories")?,
        duplicates: entries.word("prepare.duplicates")?,
        slots: count(entries, "prepare.slots")?,
        min_parties: count(entries, "prepare.min_parties")?,
        bounds: bounds(entries)?,
        values: values(entries)?,
    })
}

fn bounds(entries: &Entries) -> Option<BTreeMap<String, Bounds>> {
    let columns = entries.columns("prepare.bounds").into_iter();
    columns
        .map(|(column, node)| {
            let Value::List(ends) = node.value else {
                return None;
            };
            let [low, high] = ends.as_slice() else {
                return None;
            };
            Some((
                column,
                Bounds::new(number(&low.value)?, number(&high.value)?)?,
            ))
        })
        .collect()
}

fn values(entries: &Entries) -> Option<BTreeMap<String, Vec<String>>> {
    let columns = entries.columns("prepare.values").into_iter();
    columns
        .map(|(column, node)| match node.value {
            Value::List(items) => Some((column, texts(&items)?)),
            _ => None,
        })
        .collect()
}

fn model(entries: &Entries) -> Option<ModelSection> {
    let kind = match entries.word("model.kind")? {
        ModelName::Custom => ModelKind::Custom {
            shapes: shapes(entries)?,
        },
        ModelName::Linear => ModelKind::Linear,
        ModelName::Logistic => ModelKind::Logistic,
        ModelName::Mlp => ModelKind::Mlp {
            hidden: hidden(entries)?,
            activation: activation(entries)?,
            embeddings: embeddings(entries)?,
        },
        ModelName::Cnn => ModelKind::Cnn {
            channels: if entries.written("model.channels") {
                widths(entries, "model.channels")?
            } else {
                vec![NonZeroU32::new(8)?, NonZeroU32::new(16)?]
            },
            window: window(entries)?,
            hidden: widths(entries, "model.hidden").unwrap_or_default(),
            activation: activation(entries)?,
        },
    };
    Some(ModelSection {
        kind,
        l2: NonNegative::new(entries.number("model.l2")?)?,
        start: entries.text("model.start"),
    })
}

fn embeddings(entries: &Entries) -> Option<BTreeMap<String, NonZeroU32>> {
    let columns = entries.columns("model.embeddings").into_iter();
    columns
        .map(|(column, node)| match node.value {
            Value::Integer(width) => Some((column, NonZeroU32::new(u32::try_from(width).ok()?)?)),
            _ => None,
        })
        .collect()
}

fn hidden(entries: &Entries) -> Option<Vec<NonZeroU32>> {
    if !entries.written("model.hidden") {
        return Some(vec![NonZeroU32::new(32)?]);
    }
    widths(entries, "model.hidden")
}

fn widths(entries: &Entries, path: &str) -> Option<Vec<NonZeroU32>> {
    whole(&entries.list(path)?)
}

fn whole(items: &[super::tree::Node]) -> Option<Vec<NonZeroU32>> {
    let number = |node: &super::tree::Node| match node.value {
        Value::Integer(number) => NonZeroU32::new(u32::try_from(number).ok()?),
        _ => None,
    };
    items.iter().map(number).collect()
}

fn shapes(entries: &Entries) -> Option<Vec<Vec<NonZeroU32>>> {
    let shape = |node: &super::tree::Node| match &node.value {
        Value::List(sides) => whole(sides),
        _ => None,
    };
    entries.list("model.shapes")?.iter().map(shape).collect()
}

fn window(entries: &Entries) -> Option<Window> {
    let kernel = count(entries, "model.kernel")?;
    let padding = entries.integer("model.padding");
    Some(Window {
        kernel,
        stride: count(entries, "model.stride")?,
        padding: padding.map_or(Some(kernel.get() / 2), |padding| {
            u32::try_from(padding).ok()
        })?,
        pool: entries.word("model.pool")?,
        pool_size: count(entries, "model.pool_size")?,
        normalisation: entries.word("model.normalisation")?,
    })
}

fn activation(entries: &Entries) -> Option<Activation> {
    if entries.written("model.activation") {
        entries.word("model.activation")
    } else {
        Some(Activation::Relu)
    }
}

fn training(entries: &Entries) -> Option<TrainingSection> {
    let local = if entries.written("training.local_steps") {
        LocalWork::Steps(count(entries, "training.local_steps")?)
    } else {
        LocalWork::Epochs(count_or(entries, "training.local_epochs", 1)?)
    };
    let optimiser = match entries.word("training.optimiser")? {
        OptimiserName::Sgd => LocalOptimiser::Sgd {
            momentum: Momentum::new(number_or(entries, "training.momentum", 0.9)?)?,
        },
        OptimiserName::Adam => LocalOptimiser::Adam,
    };
    let server_optimiser = entries.word("training.server_optimiser")?;
    let server_default = match server_optimiser {
        ServerOptimiser::FedAvg => 1.0,
        ServerOptimiser::FedAdam => 0.01,
    };
    Some(TrainingSection {
        rounds: count(entries, "training.rounds")?,
        local,
        batch: count(entries, "training.batch")?,
        sampling_rate: sampling_rate(entries),
        optimiser,
        learning_rate: Positive::new(entries.number("training.learning_rate")?)?,
        server_optimiser,
        server_learning_rate: Positive::new(number_or(
            entries,
            "training.server_learning_rate",
            server_default,
        )?)?,
        proximal: NonNegative::new(entries.number("training.proximal")?)?,
        class_weights: entries.word("training.class_weights")?,
        combine: combine(entries)?,
        clip_update: entries
            .number("training.clip_update")
            .and_then(Positive::new),
        late_join: count(entries, "training.late_join"),
        checkpoints: checkpoints(entries),
        topology: entries.word("training.topology")?,
    })
}

fn checkpoints(entries: &Entries) -> Option<Checkpoints> {
    Some(Checkpoints {
        every: count(entries, "training.checkpoint_every")?,
        most: count_or(entries, "training.checkpoints", 5)?,
    })
}

fn combine(entries: &Entries) -> Option<Combine> {
    let groups = count(entries, "training.groups");
    Some(match entries.word("training.combine")? {
        CombineName::Mean => Combine::Mean,
        CombineName::TrimmedMean => {
            let groups = groups?;
            let trim = count_or(entries, "training.trim", ((groups.get() - 1) / 4).max(1))?;
            Combine::TrimmedMean { groups, trim }
        }
        CombineName::Median => Combine::Median { groups: groups? },
    })
}

// A [privacy] made on the command line brings its documented default; one in the file must come with a rate.
fn sampling_rate(entries: &Entries) -> Option<SamplingRate> {
    let path = "training.sampling_rate";
    let made_by_override = matches!(entries.place("privacy"), Some(Place::Set(_)));
    let sampled = entries.word("privacy.unit") != Some(Unit::Party);
    let chosen = entries.written("privacy.population");
    if !entries.written(path) && (made_by_override || chosen) && sampled {
        return SamplingRate::new(0.5).ok();
    }
    SamplingRate::new(entries.number(path)?).ok()
}

fn evaluation(entries: &Entries) -> Option<EvaluationSection> {
    let metrics = match entries.texts("evaluation.metrics") {
        Some(words) => words
            .iter()
            .map(|word| Metric::from_word(word))
            .collect::<Option<Vec<_>>>()?,
        None => objective(entries)?.default_metrics(),
    };
    let early_stop = if entries.written("evaluation.early_stop") {
        Some(EarlyStop {
            metric: entries.word("evaluation.early_stop.metric")?,
            patience: count(entries, "evaluation.early_stop.patience")?,
        })
    } else {
        None
    };
    Some(EvaluationSection {
        every: count(entries, "evaluation.every")?,
        metrics,
        early_stop,
    })
}

fn protection(entries: &Entries) -> Option<ProtectionSection> {
    let small = |path: &str| {
        entries
            .integer(path)
            .and_then(|number| u32::try_from(number).ok())
    };
    Some(ProtectionSection {
        aggregation: entries.word("protection.aggregation")?,
        graph: entries.word("protection.graph")?,
        colluders: small("protection.colluders"),
        drops: small("protection.drops"),
        threshold: count(entries, "protection.threshold"),
        quorum: count(entries, "protection.quorum"),
    })
}

fn clip(entries: &Entries) -> Option<Clip> {
    let path = "privacy.clip";
    if let Some(norm) = entries.number(path) {
        return Some(Clip::Fixed(Positive::new(norm)?));
    }
    Some(Clip::Adaptive {
        start: Positive::new(number_or(entries, "privacy.clip_start", 1.0)?)?,
        quantile: Share::new(number_or(entries, "privacy.clip_quantile", 0.5)?)?,
    })
}

fn privacy(entries: &Entries) -> Option<PrivacySection> {
    let unit = entries.word("privacy.unit")?;
    Some(PrivacySection {
        unit,
        epsilon: Epsilon::new(number_or(entries, "privacy.epsilon", 3.0)?).ok()?,
        delta: Delta::new(entries.number("privacy.delta")?).ok()?,
        // Which parties take part is public: nothing is sampled (PU-04).
        sampling_rate: match unit {
            Unit::Party => SamplingRate::ALL,
            Unit::Record | Unit::Person => sampling_rate(entries)?,
        },
        clip: clip(entries)?,
        noise: entries.word("privacy.noise")?,
        optimiser: entries.word("privacy.optimiser")?,
        learning_rate: Positive::new(entries.number("privacy.learning_rate")?)?,
        prepare_share: Share::new(entries.number("privacy.prepare_share")?)?,
        population: count(entries, "privacy.population"),
    })
}
