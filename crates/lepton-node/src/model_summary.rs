//! What a report says of the model itself.

use lepton_learn::{Activation, ModelKind};
use lepton_protocol::report::ModelSummary;

use crate::model_file::ModelFile;

/// Kind, sizes, inputs and classes of a model.
pub(crate) fn model_summary(file: &ModelFile) -> ModelSummary {
    let spec = &file.header.spec;
    let (kind, middle) = match &spec.kind {
        ModelKind::Linear => ("linear", Vec::new()),
        ModelKind::Logistic => ("logistic", Vec::new()),
        ModelKind::Custom { .. } => ("custom", Vec::new()),
        ModelKind::Mlp { hidden, .. } | ModelKind::Embedding { hidden, .. } => {
            ("mlp", hidden.clone())
        }
        ModelKind::Cnn {
            convolutions,
            hidden,
            ..
        } => {
            let channels = convolutions.iter().map(|one| one.channels);
            ("cnn", channels.chain(hidden.iter().copied()).collect())
        }
    };
    let (inputs, tables) = embedded(file);
    let widths: Vec<String> = std::iter::once(inputs)
        .chain(middle)
        .chain(std::iter::once(spec.outputs.width()))
        .map(|width| width.to_string())
        .collect();
    let activation = match &spec.kind {
        ModelKind::Mlp { activation, .. }
        | ModelKind::Cnn { activation, .. }
        | ModelKind::Embedding { activation, .. } => match activation {
            Activation::Relu => " (relu)",
            Activation::Tanh => " (tanh)",
        },
        ModelKind::Linear | ModelKind::Logistic | ModelKind::Custom { .. } => "",
    };
    ModelSummary {
        kind: kind.to_owned(),
        shape: format!("{kind} {}{activation}{tables}", widths.join("-")),
        parameters: file.model.params().len() as u64,
        features: file.input_names(),
        classes: file.header.classes.clone(),
    }
}

/// Inputs of the first dense layer, and the tables before it: `, tables state 53x8`.
fn embedded(file: &ModelFile) -> (usize, String) {
    let inputs = file.header.spec.inputs;
    let ModelKind::Embedding { tables, .. } = &file.header.spec.kind else {
        return (inputs, String::new());
    };
    let names = file.header.preparation.embedded();
    let shapes = names
        .iter()
        .zip(tables)
        .map(|((name, ..), table)| format!("{name} {}x{}", table.levels, table.width));
    let shapes: Vec<String> = shapes.collect();
    let vectors: usize = tables.iter().map(|table| table.width).sum();
    let text = format!(", tables {}", shapes.join(", "));
    (inputs - names.len() + vectors, text)
}
