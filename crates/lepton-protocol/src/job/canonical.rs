//! The effective job as text, defaults included.

use super::build::Sections;
use super::numbers::Bounds;
use super::sections::{
    Clip, Combine, DataSource, LocalOptimiser, LocalWork, ModelKind, PrivacySection, Split, Window,
};
use super::tree::{quote, quote_key};
use super::words::{CombineName, ModelName, OptimiserName, SplitBy, Word};
use std::fmt::Display;

type Lines = Vec<(&'static str, String)>;

/// A table: its keys, then the tables by column inside it.
struct Block {
    name: &'static str,
    lines: Lines,
    columns: Vec<(&'static str, Vec<(String, String)>)>,
}

impl Block {
    fn plain(name: &'static str, lines: Lines) -> Self {
        Self {
            name,
            lines,
            columns: Vec::new(),
        }
    }

    fn text(&self, skip: &impl Fn(&str) -> bool) -> String {
        let mut text = format!("[{}]\n", self.name);
        for (key, value) in self
            .lines
            .iter()
            .filter(|(key, _)| !skip(&format!("{}.{key}", self.name)))
        {
            text += &format!("{key} = {value}\n");
        }
        for (key, columns) in &self.columns {
            let path = format!("{}.{key}", self.name);
            if columns.is_empty() || skip(&path) {
                continue;
            }
            text += &format!("\n[{path}]\n");
            columns
                .iter()
                .for_each(|(column, value)| text += &format!("{} = {value}\n", quote_key(column)));
        }
        text
    }
}

/// The text of the sections; keys for which `skip` holds are left out.
pub(super) fn canonical(sections: &Sections, skip: impl Fn(&str) -> bool) -> String {
    let mut blocks = vec![
        Block::plain("job", job(sections)),
        data(sections),
        prepare(sections),
        Block {
            name: "model",
            lines: model(sections),
            columns: vec![("embeddings", embeddings(&sections.model.kind))],
        },
        Block::plain("training", training(sections)),
        Block::plain("evaluation", evaluation(sections)),
        Block::plain("protection", protection(sections)),
    ];
    blocks.extend(
        sections
            .privacy
            .as_ref()
            .map(|section| Block::plain("privacy", privacy(section))),
    );
    blocks
        .iter()
        .map(|block| block.text(&skip))
        .collect::<Vec<_>>()
        .join("\n")
}

fn word(word: impl Word) -> String {
    quote(word.word())
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

fn texts(items: &[String]) -> String {
    list(items.iter().map(|item| quote(item)))
}

fn inline(entries: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let entries: Vec<String> = entries
        .into_iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", entries.join(", "))
}

fn optional(key: &'static str, value: Option<impl Display>) -> Option<(&'static str, String)> {
    value.map(|value| (key, value.to_string()))
}

fn job(sections: &Sections) -> Lines {
    let job = &sections.job;
    let mut lines = vec![("name", quote(job.name.as_str())), ("task", word(job.task))];
    lines.extend(optional(
        "description",
        job.description.as_deref().map(quote),
    ));
    lines.extend(optional("insecure_seed", job.insecure_seed));
    lines
}

fn data(sections: &Sections) -> Block {
    let data = &sections.data;
    let mut lines = match &data.source {
        DataSource::Dealt { table, split } => {
            vec![("table", quote(table)), ("split", split_text(split))]
        }
        DataSource::PerParty(tables) => vec![("tables", texts(tables))],
    };
    lines.push(("label", quote(&data.label)));
    lines.extend(optional("features", data.features.as_deref().map(texts)));
    lines.push(("exclude", texts(&data.exclude)));
    lines.extend(optional("person", data.person.as_deref().map(quote)));
    lines.push(("kind", word(data.kind)));
    let shape = data.shape.map(|shape| {
        let sides = [shape.height, shape.width, shape.channels];
        list(sides.iter().map(ToString::to_string))
    });
    lines.extend(optional("shape", shape));
    lines.push(("test_fraction", data.test_fraction.to_string()));
    lines.push(("split_seed", data.split_seed.to_string()));
    lines.extend(optional("classes", data.classes.as_deref().map(texts)));
    lines.extend(optional("positive", data.positive.as_deref().map(quote)));
    let types = data
        .types
        .iter()
        .map(|(column, kind)| (column.clone(), word(*kind)))
        .collect();
    Block {
        name: "data",
        lines,
        columns: vec![("types", types)],
    }
}

fn split_text(split: &Split) -> String {
    let pairs = match split {
        Split::Column { column, parties } => {
            let mut pairs = vec![("by", word(SplitBy::Column)), ("column", quote(column))];
            pairs.extend(optional("parties", *parties));
            pairs
        }
        Split::Even { parties } => vec![
            ("by", word(SplitBy::Even)),
            ("parties", parties.to_string()),
        ],
        Split::Hash { parties } => vec![
            ("by", word(SplitBy::Hash)),
            ("parties", parties.to_string()),
        ],
        Split::Dirichlet { parties, alpha } => {
            vec![
                ("by", word(SplitBy::Dirichlet)),
                ("parties", parties.to_string()),
                ("alpha", alpha.to_string()),
            ]
        }
    };
    inline(pairs)
}

fn prepare(sections: &Sections) -> Block {
    let prepare = &sections.prepare;
    let bounds = |(column, bounds): (&String, &Bounds)| {
        (
            column.clone(),
            format!("[{:?}, {:?}]", bounds.low(), bounds.high()),
        )
    };
    let lines = vec![
        ("missing", word(prepare.missing)),
        ("scale", word(prepare.scale)),
        ("categories", word(prepare.categories)),
        ("duplicates", word(prepare.duplicates)),
        ("slots", prepare.slots.to_string()),
        ("min_parties", prepare.min_parties.to_string()),
    ];
    let values = |(column, values): (&String, &Vec<String>)| (column.clone(), texts(values));
    let columns = vec![
        ("bounds", prepare.bounds.iter().map(bounds).collect()),
        ("values", prepare.values.iter().map(values).collect()),
    ];
    Block {
        name: "prepare",
        lines,
        columns,
    }
}

fn model(sections: &Sections) -> Lines {
    let model = &sections.model;
    let mut lines = match &model.kind {
        ModelKind::Custom { shapes } => {
            let shape = |sides: &Vec<_>| list(sides.iter().map(ToString::to_string));
            vec![
                ("kind", word(ModelName::Custom)),
                ("shapes", list(shapes.iter().map(shape))),
            ]
        }
        ModelKind::Linear => vec![("kind", word(ModelName::Linear))],
        ModelKind::Logistic => vec![("kind", word(ModelName::Logistic))],
        ModelKind::Mlp {
            hidden, activation, ..
        } => vec![
            ("kind", word(ModelName::Mlp)),
            ("hidden", list(hidden.iter().map(ToString::to_string))),
            ("activation", word(*activation)),
        ],
        ModelKind::Cnn {
            channels,
            window,
            hidden,
            activation,
        } => {
            let mut lines = vec![
                ("kind", word(ModelName::Cnn)),
                ("channels", list(channels.iter().map(ToString::to_string))),
            ];
            lines.extend(convolution(window));
            let dense = list(hidden.iter().map(ToString::to_string));
            lines.extend((!hidden.is_empty()).then_some(("hidden", dense)));
            lines.push(("activation", word(*activation)));
            lines
        }
    };
    lines.push(("l2", model.l2.to_string()));
    lines.extend(optional("start", model.start.as_deref().map(quote)));
    lines
}

fn embeddings(kind: &ModelKind) -> Vec<(String, String)> {
    match kind {
        ModelKind::Mlp { embeddings, .. } => embeddings
            .iter()
            .map(|(column, width)| (column.clone(), width.to_string()))
            .collect(),
        ModelKind::Linear
        | ModelKind::Logistic
        | ModelKind::Cnn { .. }
        | ModelKind::Custom { .. } => Vec::new(),
    }
}

fn convolution(window: &Window) -> Lines {
    vec![
        ("kernel", window.kernel.to_string()),
        ("stride", window.stride.to_string()),
        ("padding", window.padding.to_string()),
        ("pool", word(window.pool)),
        ("pool_size", window.pool_size.to_string()),
        ("normalisation", word(window.normalisation)),
    ]
}

fn training(sections: &Sections) -> Lines {
    let training = &sections.training;
    let mut lines = vec![("rounds", training.rounds.to_string())];
    lines.push(match training.local {
        LocalWork::Epochs(epochs) => ("local_epochs", epochs.to_string()),
        LocalWork::Steps(steps) => ("local_steps", steps.to_string()),
    });
    lines.push(("batch", training.batch.to_string()));
    lines.extend(optional(
        "sampling_rate",
        training
            .sampling_rate
            .map(|rate| format!("{:?}", rate.get())),
    ));
    match training.optimiser {
        LocalOptimiser::Sgd { momentum } => {
            lines.extend([
                ("optimiser", word(OptimiserName::Sgd)),
                ("momentum", momentum.to_string()),
            ]);
        }
        LocalOptimiser::Adam => lines.push(("optimiser", word(OptimiserName::Adam))),
    }
    lines.push(("learning_rate", training.learning_rate.to_string()));
    lines.push(("server_optimiser", word(training.server_optimiser)));
    lines.push((
        "server_learning_rate",
        training.server_learning_rate.to_string(),
    ));
    lines.push(("proximal", training.proximal.to_string()));
    lines.push(("class_weights", word(training.class_weights)));
    lines.extend(combine(training.combine));
    lines.extend(optional("clip_update", training.clip_update));
    lines.extend(optional("late_join", training.late_join));
    lines.extend(training.checkpoints.into_iter().flat_map(|kept| {
        [
            ("checkpoint_every", kept.every.to_string()),
            ("checkpoints", kept.most.to_string()),
        ]
    }));
    lines.push(("topology", word(training.topology)));
    lines
}

fn combine(combine: Combine) -> Lines {
    match combine {
        Combine::Mean => vec![("combine", word(CombineName::Mean))],
        Combine::TrimmedMean { groups, trim } => vec![
            ("combine", word(CombineName::TrimmedMean)),
            ("groups", groups.to_string()),
            ("trim", trim.to_string()),
        ],
        Combine::Median { groups } => vec![
            ("combine", word(CombineName::Median)),
            ("groups", groups.to_string()),
        ],
    }
}

fn evaluation(sections: &Sections) -> Lines {
    let evaluation = &sections.evaluation;
    let mut lines = vec![
        ("every", evaluation.every.to_string()),
        (
            "metrics",
            list(evaluation.metrics.iter().map(|metric| word(*metric))),
        ),
    ];
    lines.extend(evaluation.early_stop.map(|stop| {
        let pairs = [
            ("metric", word(stop.metric)),
            ("patience", stop.patience.to_string()),
        ];
        ("early_stop", inline(pairs))
    }));
    lines
}

fn protection(sections: &Sections) -> Lines {
    let protection = &sections.protection;
    let mut lines = vec![
        ("aggregation", word(protection.aggregation)),
        ("graph", word(protection.graph)),
    ];
    lines.extend(optional("colluders", protection.colluders));
    lines.extend(optional("drops", protection.drops));
    lines.extend(optional("threshold", protection.threshold));
    lines.extend(optional("quorum", protection.quorum));
    lines
}

fn privacy(privacy: &PrivacySection) -> Lines {
    let (clip, adaptive) = match privacy.clip {
        Clip::Fixed(norm) => (norm.to_string(), None),
        Clip::Adaptive { start, quantile } => (quote("adaptive"), Some((start, quantile))),
    };
    let mut lines = vec![
        ("unit", word(privacy.unit)),
        ("epsilon", format!("{:?}", privacy.epsilon.get())),
        ("delta", format!("{:?}", privacy.delta.get())),
        ("clip", clip),
        ("noise", word(privacy.noise)),
        ("optimiser", word(privacy.optimiser)),
        ("learning_rate", privacy.learning_rate.to_string()),
        ("prepare_share", privacy.prepare_share.to_string()),
    ];
    lines.extend(adaptive.into_iter().flat_map(|(start, quantile)| {
        [
            ("clip_start", start.to_string()),
            ("clip_quantile", quantile.to_string()),
        ]
    }));
    lines.extend(optional("population", privacy.population));
    lines
}
