//! What a model is: kind, sizes, penalty, and where its parameters lie.

use serde::{Deserialize, Serialize};

use crate::error::{LearnError, expect_len};

/// Most parameters a model may have.
const MAX_PARAMETERS: usize = 1 << 28;
/// Widest layer.
const MAX_WIDTH: usize = 1 << 20;
/// Most hidden layers.
const MAX_HIDDEN: usize = 16;

/// Non-linearity between the layers of an [`ModelKind::Mlp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `max(0, x)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// The family of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Least squares on a linear score.
    Linear,
    /// Logistic (2 classes, one logit) or softmax regression.
    Logistic,
    /// Dense layers with a non-linearity between them.
    Mlp {
        /// Width of each hidden layer, at least one.
        hidden: Vec<usize>,
        /// Non-linearity after each hidden layer.
        activation: Activation,
    },
}

/// What the model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outputs {
    /// One real value; loss `(z - y)^2 / 2`.
    Regression,
    /// This many classes, at least 2; loss is cross-entropy.
    Classes(usize),
}

impl Outputs {
    /// Width of the last layer: one for regression and two classes (a single logit), else one a class.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Regression | Self::Classes(..=2) => 1,
            Self::Classes(classes) => classes,
        }
    }
}

/// A complete model description. Check it with [`ModelSpec::validate`]; every function of this crate does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Family.
    pub kind: ModelKind,
    /// Number of features.
    pub inputs: usize,
    /// What is predicted.
    pub outputs: Outputs,
    /// Weight `l` of the penalty `l/2 * |weights|^2` added to the mean loss; biases are not penalised.
    #[serde(default)]
    pub l2: f64,
}

/// Name, shape and place of one parameter tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tensor {
    /// `layer{i}.weight` or `layer{i}.bias`.
    pub name: String,
    /// `[out, in]` (row-major) or `[out]`.
    pub shape: Vec<usize>,
    /// First index in the flat parameter vector.
    pub offset: usize,
    /// Number of parameters.
    pub len: usize,
}

/// One dense layer inside the flat parameter vector: weights `[output, input]` at `offset`, then biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) offset: usize,
}

impl Layer {
    pub(crate) fn weights(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.input * self.output
    }

    pub(crate) fn biases(&self) -> std::ops::Range<usize> {
        let start = self.offset + self.input * self.output;
        start..start + self.output
    }
}

impl ModelSpec {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`LearnError::Spec`] naming the contradiction.
    pub fn validate(&self) -> Result<(), LearnError> {
        let bad = |why: &str| Err(LearnError::Spec(why.to_owned()));
        if self.inputs == 0 || self.inputs > MAX_WIDTH {
            return bad("inputs must lie between 1 and 1048576");
        }
        if !(self.l2.is_finite() && self.l2 >= 0.0) {
            return bad("l2 must be a finite number, not negative");
        }
        match (&self.kind, self.outputs) {
            (_, Outputs::Classes(0 | 1)) => return bad("classification needs at least 2 classes"),
            (_, Outputs::Classes(k)) if k > MAX_WIDTH => return bad("too many classes"),
            (ModelKind::Linear, Outputs::Classes(_)) => {
                return bad(
                    "kind = \"linear\" predicts a real value; use \"logistic\" for classes",
                );
            }
            (ModelKind::Logistic, Outputs::Regression) => {
                return bad(
                    "kind = \"logistic\" predicts classes; use \"linear\" for a real value",
                );
            }
            _ => {}
        }
        if let ModelKind::Mlp { hidden, .. } = &self.kind {
            if hidden.is_empty() || hidden.len() > MAX_HIDDEN {
                return bad("an mlp needs between 1 and 16 hidden layers");
            }
            if hidden.iter().any(|&h| h == 0 || h > MAX_WIDTH) {
                return bad("every hidden layer must have between 1 and 1048576 units");
            }
        }
        match self.checked_len() {
            Some(len) if len <= MAX_PARAMETERS => Ok(()),
            _ => bad("the model has more than 2^28 parameters"),
        }
    }

    pub(crate) fn activation(&self) -> Activation {
        match &self.kind {
            ModelKind::Mlp { activation, .. } => *activation,
            ModelKind::Linear | ModelKind::Logistic => Activation::Relu,
        }
    }

    /// Widths from the features to the outputs.
    fn widths(&self) -> Vec<usize> {
        let mut widths = vec![self.inputs];
        if let ModelKind::Mlp { hidden, .. } = &self.kind {
            widths.extend_from_slice(hidden);
        }
        widths.push(self.outputs.width());
        widths
    }

    fn checked_len(&self) -> Option<usize> {
        let widths = self.widths();
        widths
            .iter()
            .zip(widths.iter().skip(1))
            .try_fold(0_usize, |total, (&input, &output)| {
                total.checked_add(input.checked_add(1)?.checked_mul(output)?)
            })
    }

    pub(crate) fn layers(&self) -> Vec<Layer> {
        let widths = self.widths();
        let mut offset = 0;
        widths
            .iter()
            .zip(widths.iter().skip(1))
            .map(|(&input, &output)| {
                let layer = Layer {
                    input,
                    output,
                    offset,
                };
                offset += (input + 1) * output;
                layer
            })
            .collect()
    }
}

/// Number of parameters of a valid description.
///
/// # Errors
/// [`LearnError::Spec`].
pub fn param_len(spec: &ModelSpec) -> Result<usize, LearnError> {
    spec.validate()?;
    Ok(spec.layers().iter().map(|l| (l.input + 1) * l.output).sum())
}

/// The parameter tensors in the order of the flat vector.
///
/// # Errors
/// [`LearnError::Spec`].
pub fn tensors(spec: &ModelSpec) -> Result<Vec<Tensor>, LearnError> {
    spec.validate()?;
    let both = |(i, layer): (usize, Layer)| {
        let (weights, biases) = (layer.weights(), layer.biases());
        [
            Tensor {
                name: format!("layer{i}.weight"),
                shape: vec![layer.output, layer.input],
                offset: weights.start,
                len: weights.len(),
            },
            Tensor {
                name: format!("layer{i}.bias"),
                shape: vec![layer.output],
                offset: biases.start,
                len: biases.len(),
            },
        ]
    };
    Ok(spec
        .layers()
        .into_iter()
        .enumerate()
        .flat_map(both)
        .collect())
}

/// Gradient of the penalty `l2/2 * |weights|^2`: data independent, so it is added after clipping and noise (rule DP-09).
///
/// # Errors
/// [`LearnError::Spec`] or [`LearnError::Shape`].
pub fn l2_gradient(spec: &ModelSpec, params: &[f64]) -> Result<Vec<f64>, LearnError> {
    expect_len("parameters", param_len(spec)?, params.len())?;
    let mut gradient = vec![0.0; params.len()];
    for layer in spec.layers() {
        let range = layer.weights();
        let pairs = gradient
            .iter_mut()
            .zip(params)
            .take(range.end)
            .skip(range.start);
        pairs.for_each(|(g, &w)| *g = spec.l2 * w);
    }
    Ok(gradient)
}
