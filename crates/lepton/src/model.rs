//! `lepton model`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lepton_learn::{
    Activation, CategoryEncoding, CategoryMissing, ColumnPrep, Levels, ModelKind, NumericMissing,
    NumericScale, Outputs, TargetPrep, Tensor,
};
use lepton_node::error::NodeError;
use lepton_node::model_file::{ModelFile, ModelHeader};
use serde::Serialize;

use crate::output;

/// How many weights are shown.
const LARGEST: usize = 10;

/// Flags of `lepton model`.
#[derive(Args)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// Tell what is in a model file
    #[command(after_help = "Example: lepton model show runs/churn-20260101-120000")]
    Show(ShowArgs),
}

#[derive(Args)]
struct ShowArgs {
    /// A model folder or a run folder
    folder: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// One weight of a linear or logistic model.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Weight {
    /// The class it speaks for; absent for regression.
    class: Option<String>,
    input: String,
    weight: f64,
}

/// What `--json` prints. The key of the category slots is left out: it belongs to the parties.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    header: &'a ModelHeader,
    inputs: Vec<String>,
    tensors: Vec<Tensor>,
    largest_weights: Vec<Weight>,
}

impl ModelArgs {
    /// Shows the model.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let ModelCommand::Show(args) = self.command;
        let mut file = ModelFile::load(&args.folder)?;
        let tensors = lepton_learn::tensors(file.model.spec())?;
        let largest_weights = largest(&file, &tensors);
        if args.json {
            file.header.slot_key = None;
            let inputs = file.input_names();
            output::json(&Document {
                header: &file.header,
                inputs,
                tensors,
                largest_weights,
            })
        } else {
            output::text(&words(&file, &tensors, &largest_weights))
        }
    }
}

fn words(file: &ModelFile, tensors: &[Tensor], weights: &[Weight]) -> String {
    let header = &file.header;
    let mut text = format!("{}: {}\n\n", header.name, kind(&header.spec.kind));
    text += &format!("parameters  {}\n", file.model.params().len());
    text += &format!(
        "inputs      {} from {} columns\n",
        header.spec.inputs,
        header.preparation.columns.len()
    );
    text += &format!("predicts    {}\n", predicts(header));
    text += &format!("rounds      {}\n", header.rounds);
    text += &format!("privacy     {}\n", privacy(header));
    text += &format!("job sha256  {}\n\ntensors (f32)\n", header.job_sha256);
    for tensor in tensors {
        text += &format!("  {} {:?}\n", tensor.name, tensor.shape);
    }
    text += "\npreparation\n";
    for column in &header.preparation.columns {
        text += &format!("  {}: {}\n", column.name(), preparation(column));
    }
    if !weights.is_empty() {
        text += "\nlargest weights (on the prepared inputs)\n";
    }
    for weight in weights {
        let side = if weight.weight < 0.0 {
            "against"
        } else {
            "for"
        };
        let class = weight.class.as_ref();
        let class = class.map_or_else(String::new, |class| format!("  {side} {class}"));
        text += &format!("  {:>+10.4}  {}{class}\n", weight.weight, weight.input);
    }
    text
}

fn kind(kind: &ModelKind) -> String {
    match kind {
        ModelKind::Custom { .. } => "a model that programs of the parties train".to_owned(),
        ModelKind::Linear => "a linear model".to_owned(),
        ModelKind::Logistic => "a logistic model".to_owned(),
        ModelKind::Cnn {
            image,
            convolutions,
            ..
        } => {
            let [channels, height, width] = image;
            format!(
                "a convolutional network ({} convolutions over {channels} x {height} x {width})",
                convolutions.len()
            )
        }
        ModelKind::Embedding {
            tables,
            hidden,
            activation,
        } => {
            let count = match tables.len() {
                1 => "1 embedding table".to_owned(),
                count => format!("{count} embedding tables"),
            };
            format!("{} over {count}", mlp(hidden, *activation))
        }
        ModelKind::Mlp { hidden, activation } => mlp(hidden, *activation),
    }
}

fn mlp(hidden: &[usize], activation: Activation) -> String {
    let widths: Vec<String> = hidden.iter().map(ToString::to_string).collect();
    format!(
        "an mlp ({} hidden units, {})",
        widths.join(" and "),
        format!("{activation:?}").to_lowercase()
    )
}

fn predicts(header: &ModelHeader) -> String {
    match &header.preparation.target {
        TargetPrep::Classes { name, levels } => {
            // Classes found together have no order, so none of them is the one looked for.
            let listed = matches!(levels, Levels::Declared(_));
            let positive = header.positive.filter(|_| listed);
            let positive = positive.and_then(|class| header.classes.get(class));
            let positive =
                positive.map_or_else(String::new, |class| format!(" (looked for: {class})"));
            format!("`{name}`, one of {}{positive}", header.classes.join(", "))
        }
        TargetPrep::Value {
            name, mean, std, ..
        } => format!("`{name}`, a number (mean {mean:.4}, deviation {std:.4} in training)"),
    }
}

fn privacy(header: &ModelHeader) -> String {
    match header.privacy {
        Some((epsilon, delta)) => format!(
            "epsilon {epsilon}, delta {delta:e} for each {}, against the coordinator with its colluders",
            match header.unit.as_deref() {
                None | Some("record") => "training record",
                Some(unit) => unit,
            }
        ),
        None => "no privacy goal: the model may reveal single training records".to_owned(),
    }
}

fn preparation(column: &ColumnPrep) -> String {
    match column {
        ColumnPrep::Numeric {
            bounds,
            scale,
            missing,
            ..
        } => {
            let clamped = bounds.map_or_else(String::new, |(low, high)| {
                format!(", kept within {low} to {high}")
            });
            let scaled = match scale {
                NumericScale::Standard { mean, std } => format!(", minus {mean:.4}, over {std:.4}"),
                NumericScale::MinMax { lo, hi } => format!(", {lo} becomes 0 and {hi} becomes 1"),
                NumericScale::None => String::new(),
            };
            let missing = match missing {
                NumericMissing::Fill(value) => format!("missing becomes {value:.4}"),
                NumericMissing::Indicator(value) => {
                    format!("missing becomes {value:.4} and is marked")
                }
                NumericMissing::Drop => "rows without it are left out".to_owned(),
                NumericMissing::Refuse => "must be present".to_owned(),
            };
            format!("number{clamped}{scaled}; {missing}")
        }
        ColumnPrep::Category {
            levels,
            missing,
            encoding,
            ..
        } => {
            let levels = match levels {
                Levels::Declared(values) => format!("one of {}, or other", values.join(", ")),
                Levels::Slots { kept, .. } => {
                    format!("{} categories found together, or other", kept.len())
                }
            };
            let missing = match missing {
                CategoryMissing::Other => "missing counts as other",
                CategoryMissing::Level => "missing is a category of its own",
                CategoryMissing::Drop => "rows without it are left out",
                CategoryMissing::Refuse => "must be present",
            };
            let embedded = match encoding {
                CategoryEncoding::OneHot => "",
                CategoryEncoding::Index => " looked up in a table",
            };
            format!("category{embedded}, {levels}; {missing}")
        }
    }
}

/// The weights that matter most in a model whose weights can be read.
fn largest(file: &ModelFile, tensors: &[Tensor]) -> Vec<Weight> {
    let header = &file.header;
    let Some(tensor) = tensors
        .first()
        .filter(|_| matches!(header.spec.kind, ModelKind::Linear | ModelKind::Logistic))
    else {
        return Vec::new();
    };
    let class_of = |output: usize| match header.spec.outputs {
        Outputs::Regression => None,
        // One score, for the second class.
        Outputs::Classes(2) => header.classes.get(1).cloned(),
        Outputs::Classes(_) => header.classes.get(output).cloned(),
    };
    let inputs = file.input_names();
    let values = file
        .model
        .params()
        .iter()
        .skip(tensor.offset)
        .take(tensor.len)
        .enumerate();
    let width = inputs.len().max(1);
    let mut weights: Vec<Weight> = values
        .filter_map(|(place, weight)| {
            Some(Weight {
                class: class_of(place / width),
                input: inputs.get(place % width)?.clone(),
                weight: *weight,
            })
        })
        .collect();
    weights.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    weights.truncate(LARGEST);
    weights
}
