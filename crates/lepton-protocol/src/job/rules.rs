//! Second pass: keys that are valid alone and do not go together.

use super::entries::Entries;
use super::errors::{Place, Problems, quoted_list};
use super::numbers::JobName;
use super::tree::{Node, Value, quote};
use super::words::PrivateOptimiser;
use super::words::{
    ColumnType, CombineName, GraphChoice, Metric, ModelName, Noise, Objective, OptimiserName, Unit,
    Word,
};

/// All rules, each independent of the others.
pub(super) fn check_rules(entries: &Entries, problems: &mut Problems) {
    let others: [Rule; 13] = [
        job_name,
        model_options,
        custom,
        training_options,
        combine,
        late_join,
        metrics,
        early_stop,
        protection,
        privacy,
        unit,
        clip,
        super::open::check_open,
    ];
    let data = super::rules_data::RULES.iter();
    let data = data.chain(&super::rules_image::RULES);
    let data = data.chain(&super::rules_embed::RULES);
    for rule in data.chain(&others) {
        rule(entries, problems);
    }
}

pub(super) type Rule = fn(&Entries, &mut Problems);

/// What the model predicts, as far as the entries say; `None` if they do not.
pub(super) fn objective(entries: &Entries) -> Option<Objective> {
    let label = entries.text("data.label");
    Some(match entries.word::<ModelName>("model.kind")? {
        ModelName::Linear => Objective::Number,
        ModelName::Logistic => Objective::Classes,
        ModelName::Mlp | ModelName::Cnn | ModelName::Custom => {
            match label.and_then(|label| declared_type(entries, &label)) {
                Some((ColumnType::Number, _)) => Objective::Number,
                _ => Objective::Classes,
            }
        }
    })
}

pub(super) fn declared_type(entries: &Entries, column: &str) -> Option<(ColumnType, Place)> {
    let (_, node) = entries
        .columns("data.types")
        .into_iter()
        .find(|(name, _)| name == column)?;
    match &node.value {
        Value::Text(word) => Some((ColumnType::from_word(word)?, node.place)),
        _ => None,
    }
}

pub(super) fn at(entries: &Entries, path: &str) -> String {
    entries
        .place(path)
        .map_or_else(|| "the default".to_owned(), Place::mention)
}

/// One key was written that another one, where it stands, rules out.
pub(super) fn refuse(
    entries: &Entries,
    problems: &mut Problems,
    key: &str,
    because: &str,
    remedy: &str,
) {
    if let Some(node) = entries.node(key) {
        problems.add(&node.place, format!("{key} contradicts {because}"), remedy);
    }
}

fn job_name(entries: &Entries, problems: &mut Problems) {
    let Some(name) = entries.text("job.name") else {
        return;
    };
    if JobName::new(&name).is_none() {
        let what = format!("job.name = {} is not a valid name", quote(&name));
        let remedy = format!(
            "begin with a lower-case letter and go on with up to 62 lower-case letters, digits, _ or -; for example \"{}\"",
            JobName::nearest(&name)
        );
        problems.add(&entries.place_or_table("job.name"), what, remedy);
    }
}

pub(super) fn named(items: Option<&Node>) -> Vec<(&str, &Place)> {
    let Some(Node {
        value: Value::List(items),
        ..
    }) = items
    else {
        return Vec::new();
    };
    let texts = items.iter().filter_map(|node| match &node.value {
        Value::Text(text) => Some((text.as_str(), &node.place)),
        _ => None,
    });
    texts.collect()
}

fn model_options(entries: &Entries, problems: &mut Problems) {
    match entries.word::<ModelName>("model.kind") {
        None | Some(ModelName::Mlp | ModelName::Cnn) => {}
        Some(kind) => {
            for key in ["model.hidden", "model.activation"] {
                let because = format!(
                    "model.kind = \"{kind}\" ({}), which has no layers",
                    at(entries, "model.kind")
                );
                refuse(
                    entries,
                    problems,
                    key,
                    &because,
                    "remove it, or write kind = \"mlp\"",
                );
            }
        }
    }
}

/// What a custom model must say, and what nobody could hold its trainer to (CM-09).
fn custom(entries: &Entries, problems: &mut Problems) {
    let kind = entries.word::<ModelName>("model.kind");
    let place = at(entries, "model.kind");
    match kind {
        None => {}
        Some(ModelName::Custom) => {
            if !entries.written("model.shapes") && !entries.is_bad("model.shapes") {
                problems.add(
                    &entries.place_or_table("model.kind"),
                    "model.kind = \"custom\" has no shapes",
                    "write the shape of each tensor, for example shapes = [[1, 30], [1]]",
                );
            }
            let because =
                format!("model.kind = \"custom\" ({place}), which its trainer alone knows");
            let asked = |key: &&str| {
                entries.number(key).is_some_and(|number| number > 0.0)
                    || entries.text(key).as_deref() == Some("balanced")
            };
            let keys = ["model.l2", "training.proximal", "training.class_weights"];
            for key in keys.iter().filter(|key| asked(key)) {
                refuse(
                    entries,
                    problems,
                    key,
                    &because,
                    "remove it, and let the trainer see to it",
                );
            }
        }
        Some(kind) => {
            let because = format!("model.kind = \"{kind}\" ({place})");
            let remedy = "remove it, or write kind = \"custom\"";
            refuse(entries, problems, "model.shapes", &because, remedy);
        }
    }
}

fn training_options(entries: &Entries, problems: &mut Problems) {
    if entries.written("training.local_epochs") {
        let because = format!(
            "training.local_epochs ({})",
            at(entries, "training.local_epochs")
        );
        refuse(
            entries,
            problems,
            "training.local_steps",
            &because,
            "keep one of the two",
        );
    }
    if entries.word::<OptimiserName>("training.optimiser") == Some(OptimiserName::Adam) {
        let because = format!(
            "training.optimiser = \"adam\" ({}), which has its own",
            at(entries, "training.optimiser")
        );
        refuse(
            entries,
            problems,
            "training.momentum",
            &because,
            "remove it, or write optimiser = \"sgd\"",
        );
    }
    if !entries.written("training.checkpoint_every") {
        let because = "a job that keeps no checkpoints";
        let remedy = "add checkpoint_every = 10, or remove it";
        refuse(entries, problems, "training.checkpoints", because, remedy);
    }
    let balanced = entries.text("training.class_weights").as_deref() == Some("balanced");
    if balanced && objective(entries) == Some(Objective::Number) {
        let because = format!(
            "a model that predicts a number (model.kind, {})",
            at(entries, "model.kind")
        );
        refuse(
            entries,
            problems,
            "training.class_weights",
            &because,
            "write class_weights = \"none\"",
        );
    }
}

fn combine(entries: &Entries, problems: &mut Problems) {
    let Some(combine) = entries.word::<CombineName>("training.combine") else {
        return;
    };
    let because = |which: &str| {
        let place = at(entries, "training.combine");
        format!("training.combine = \"{combine}\" ({place}), which {which}")
    };
    let (groups, trim) = ("training.groups", "training.trim");
    if combine == CombineName::Mean {
        let remedy = "remove it, or write combine = \"trimmed_mean\" or combine = \"median\"";
        refuse(entries, problems, groups, &because("has no groups"), remedy);
    } else if !entries.written(groups) && !entries.is_bad(groups) {
        problems.add(
            &entries.place_or_table("training.combine"),
            format!("combine = \"{combine}\" has no groups"),
            "add groups = 3, or more where there are many parties",
        );
    }
    if combine != CombineName::TrimmedMean {
        let remedy = "remove it, or write combine = \"trimmed_mean\"";
        refuse(entries, problems, trim, &because("trims nothing"), remedy);
        return;
    }
    if let (Some(count), Some(cut)) = (entries.integer(groups), entries.integer(trim))
        && 2 * cut >= count
    {
        let because = format!(
            "training.groups = {count} ({}): nothing would be left",
            at(entries, groups)
        );
        let remedy = format!("write trim = {} or less", (count - 1) / 2);
        refuse(entries, problems, trim, &because, &remedy);
    }
}

/// What a roster that grows cannot go with (LJ-01).
fn late_join(entries: &Entries, problems: &mut Problems) {
    let key = "training.late_join";
    if let Some(combine) = entries.word::<CombineName>("training.combine")
        && combine != CombineName::Mean
    {
        let because = format!(
            "training.combine = \"{combine}\" ({}), whose groups stay as they were dealt",
            at(entries, "training.combine")
        );
        let remedy = "remove it, or write combine = \"mean\"";
        refuse(entries, problems, key, &because, remedy);
    }
    if entries.word::<GraphChoice>("protection.graph") == Some(GraphChoice::Sparse) {
        let because = format!(
            "protection.graph = \"sparse\" ({}), for a roster that is fixed",
            at(entries, "protection.graph")
        );
        let remedy = "remove it, or write graph = \"complete\"";
        refuse(entries, problems, key, &because, remedy);
    }
}

fn metrics(entries: &Entries, problems: &mut Problems) {
    let Some(objective) = objective(entries) else {
        return;
    };
    let fits = |word: &&str| Metric::from_word(word).is_some_and(|metric| metric.fits(objective));
    let fitting: Vec<&str> = Metric::WORDS.iter().copied().filter(fits).collect();
    let predicts = if objective == Objective::Number {
        "a number"
    } else {
        "classes"
    };
    for (word, place) in named(entries.node("evaluation.metrics"))
        .into_iter()
        .filter(|(word, _)| !fits(word))
    {
        let model = at(entries, "model.kind");
        let what = format!(
            "metric \"{word}\" does not fit a model that predicts {predicts} (model.kind, {model})"
        );
        problems.add(place, what, format!("write {}", quoted_list(&fitting)));
    }
}

fn early_stop(entries: &Entries, problems: &mut Problems) {
    let key = "evaluation.early_stop.metric";
    let (Some(objective), Some(metric)) = (objective(entries), entries.word::<Metric>(key)) else {
        return;
    };
    if entries.is_bad("evaluation.metrics") {
        return;
    }
    let measured: Vec<Metric> = match entries.texts("evaluation.metrics") {
        Some(words) => words
            .iter()
            .filter_map(|word| Metric::from_word(word))
            .collect(),
        None => objective.default_metrics(),
    };
    if metric.is_scalar() && measured.contains(&metric) {
        return;
    }
    let usable = measured
        .iter()
        .filter(|metric| metric.is_scalar() && metric.fits(objective));
    let usable: Vec<&str> = usable.map(|metric| metric.word()).collect();
    let choices = if usable.is_empty() {
        "name another metric in both".to_owned()
    } else {
        format!("write {}", quoted_list(&usable))
    };
    let (what, remedy) = if metric.is_scalar() {
        let what = format!(
            "is not among evaluation.metrics ({})",
            at(entries, "evaluation.metrics")
        );
        (what, format!("add it there, or {choices}"))
    } else {
        ("is not one number".to_owned(), choices)
    };
    problems.add(
        &entries.place_or_table(key),
        format!("early_stop metric \"{metric}\" {what}"),
        remedy,
    );
}

fn protection(entries: &Entries, problems: &mut Problems) {
    let (colluders, threshold) = (
        entries.integer("protection.colluders"),
        entries.integer("protection.threshold"),
    );
    if let (Some(colluders), Some(threshold)) = (colluders, threshold)
        && colluders >= threshold
    {
        let because = format!(
            "protection.colluders = {colluders} ({}): they could open a mask",
            at(entries, "protection.colluders")
        );
        refuse(
            entries,
            problems,
            "protection.threshold",
            &because,
            &format!("write a threshold of at least {}", colluders + 1),
        );
    }
}

/// What a guarantee for whole parties cannot go with (PU-04).
fn unit(entries: &Entries, problems: &mut Problems) {
    if entries.word::<Unit>("privacy.unit") != Some(Unit::Party) {
        return;
    }
    let place = at(entries, "privacy.unit");
    let sampled = format!(
        "privacy.unit = \"party\" ({place}), which the rule for sampled records says nothing about"
    );
    let remedy = "remove it, and write training.rounds and privacy.clip";
    refuse(entries, problems, "privacy.population", &sampled, remedy);
    if entries.word::<Noise>("privacy.noise") == Some(Noise::Local) {
        let because = format!("privacy.unit = \"party\" ({place}), whose noise lies in the sum");
        let remedy = "write noise = \"distributed\", or unit = \"record\"";
        refuse(entries, problems, "privacy.noise", &because, remedy);
    }
}

/// What goes with a fixed norm, and what with an adaptive one.
fn clip(entries: &Entries, problems: &mut Problems) {
    let path = "privacy.clip";
    if entries.is_bad(path) {
        return;
    }
    let place = at(entries, path);
    if entries.number(path).is_some() {
        for key in ["privacy.clip_start", "privacy.clip_quantile"] {
            let because = format!("a fixed privacy.clip ({place})");
            refuse(
                entries,
                problems,
                key,
                &because,
                "remove it, or write clip = \"adaptive\"",
            );
        }
    } else if entries.word::<Noise>("privacy.noise") == Some(Noise::Local) {
        let because = format!("privacy.clip = \"adaptive\" ({place}), whose count lies in the sum");
        let remedy = "write noise = \"distributed\", or clip = 4.0";
        refuse(entries, problems, "privacy.noise", &because, remedy);
    } else if entries.word("privacy.optimiser") == Some(PrivateOptimiser::DpAdam) {
        let because = format!(
            "privacy.clip = \"adaptive\" ({place}), with which the noise changes from round to round"
        );
        let remedy = "write optimiser = \"adam\", or clip = 4.0";
        refuse(entries, problems, "privacy.optimiser", &because, remedy);
    }
}

fn privacy(entries: &Entries, problems: &mut Problems) {
    if entries.is_bad("privacy") {
        return;
    }
    let Some(place @ Place::Line(line)) = entries.place("privacy") else {
        return;
    };
    if !entries.written("privacy.epsilon") && !entries.is_bad("privacy.epsilon") {
        problems.add(
            place,
            "[privacy] has no epsilon",
            "add epsilon = 3.0, or a smaller number for more privacy",
        );
    }
    let rate = "training.sampling_rate";
    let sampled = entries.word::<Unit>("privacy.unit") != Some(Unit::Party);
    let chosen = entries.written("privacy.population");
    if sampled && !chosen && !entries.written(rate) && !entries.is_bad(rate) {
        let what =
            format!("training.sampling_rate is missing, which [privacy] (line {line}) needs");
        problems.add(
            entries.place("training").unwrap_or(place),
            what,
            "add sampling_rate = 0.2 to [training], or another number greater than 0 and at most 1, or let the rule choose from privacy.population",
        );
    }
}
