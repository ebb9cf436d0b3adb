//! What a model is: kind, sizes, penalty, and where its parameters lie.

use serde::{Deserialize, Serialize};

use crate::custom::tensors_of;
use crate::error::{LearnError, expect_len};
use crate::layers::{Layer, plan};

/// Most parameters a model may have.
pub(crate) const MAX_PARAMETERS: usize = 1 << 28;
/// Widest layer.
pub(crate) const MAX_WIDTH: usize = 1 << 20;
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
    /// A small convolutional network: convolutions, each followed by normalisation, non-linearity and pooling, then dense
    /// layers. A row of features is the flat image `channels x height x width`.
    Cnn {
        /// Channels, height and width; their product is the number of features.
        image: [usize; 3],
        /// Convolutions in order, at least one.
        convolutions: Vec<Convolution>,
        /// Non-linearity after each convolution and hidden dense layer.
        activation: Activation,
        /// Normalisation of each convolution's output before the non-linearity.
        #[serde(default)]
        normalisation: Normalisation,
        /// Widths of the hidden dense layers behind the convolutions; may be empty.
        #[serde(default)]
        hidden: Vec<usize>,
    },
    /// Embedding tables for categorical index features; their vectors and the remaining (numeric) features feed dense layers.
    Embedding {
        /// The tables, at least one. A feature belongs to at most one.
        tables: Vec<EmbeddingTable>,
        /// Width of each hidden layer, at least one.
        hidden: Vec<usize>,
        /// Non-linearity after each hidden layer.
        activation: Activation,
    },
    /// Only the shapes of the tensors are known; a program of the party's own trains and predicts (docs/protocols/custom-models.md).
    Custom {
        /// Sides of each tensor, row-major; an empty list is a single number.
        shapes: Vec<Vec<usize>>,
    },
}

/// Normalisation between a convolution and its non-linearity. There is no batch normalisation, on purpose: it mixes the
/// examples of a batch, so that one record changes the gradients of all others and clipping each record bounds nothing
/// (rules DP-06 and DP-14).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalisation {
    /// None.
    #[default]
    None,
    /// Group normalisation (Wu and He 2018) with a trained scale and shift for each channel. The number of groups is the
    /// largest divisor of the channels that is at most a quarter of them and at most 16.
    Group,
}

/// One convolution and the pooling behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Output channels.
    pub channels: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step of the kernel.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros added at every side.
    #[serde(default)]
    pub padding: usize,
    /// Pooling behind it.
    #[serde(default)]
    pub pool: Option<Pool>,
}

/// Pooling over square windows without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// What a window becomes.
    pub kind: PoolKind,
    /// Side of the window.
    pub size: usize,
    /// Step of the window; absent: its size.
    #[serde(default)]
    pub stride: Option<usize>,
}

/// What a pooling window becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolKind {
    /// Its mean.
    Average,
    /// Its largest entry, the first on a tie.
    Max,
}

/// One embedding table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingTable {
    /// The features that look up this table, usually one; several share it, as columns of codes of one kind do.
    pub features: Vec<usize>,
    /// Rows of the table. A feature value is an index from 0; values that are no such index are cut down to whole numbers
    /// and moved into the range, never refused (rule DP-07).
    pub levels: usize,
    /// Length of one embedding.
    pub width: usize,
}

fn one() -> usize {
    1
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
    /// `tensor{i}` in a custom model; else `layer{i}.weight` or `layer{i}.bias`, for an embedding `layer0.table{j}`; `i` counts the layers that have parameters.
    pub name: String,
    /// Row-major. Dense `[out, in]` and `[out]`; convolution `[out, kernel, kernel, in]` and `[out]` (channels last, as are
    /// the features a dense layer takes from a convolution: row, column, channel); group normalisation `[channels]` twice
    /// (scale, shift); embedding `[levels, width]`.
    pub shape: Vec<usize>,
    /// First index in the flat parameter vector.
    pub offset: usize,
    /// Number of parameters.
    pub len: usize,
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
        if let Some((hidden, least)) = self.hidden() {
            if hidden.len() < least || hidden.len() > MAX_HIDDEN {
                return bad("between 1 (behind convolutions: 0) and 16 hidden layers are possible");
            }
            if hidden.iter().any(|&h| h == 0 || h > MAX_WIDTH) {
                return bad("every hidden layer must have between 1 and 1048576 units");
            }
        }
        if let ModelKind::Custom { shapes } = &self.kind {
            return tensors_of(shapes).map(drop);
        }
        match plan(self)?.last() {
            Some(last) if last.params().end <= MAX_PARAMETERS => Ok(()),
            _ => bad("the model has more than 2^28 parameters"),
        }
    }

    /// Widths of the hidden dense layers and how many there must be at least.
    pub(crate) fn hidden(&self) -> Option<(&[usize], usize)> {
        match &self.kind {
            ModelKind::Linear | ModelKind::Logistic | ModelKind::Custom { .. } => None,
            ModelKind::Mlp { hidden, .. } | ModelKind::Embedding { hidden, .. } => {
                Some((hidden, 1))
            }
            ModelKind::Cnn { hidden, .. } => Some((hidden, 0)),
        }
    }

    pub(crate) fn activation(&self) -> Activation {
        match &self.kind {
            ModelKind::Mlp { activation, .. }
            | ModelKind::Cnn { activation, .. }
            | ModelKind::Embedding { activation, .. } => *activation,
            ModelKind::Linear | ModelKind::Logistic | ModelKind::Custom { .. } => Activation::Relu,
        }
    }

    /// Valid, and of a kind that this crate trains and applies itself.
    pub(crate) fn own(&self) -> Result<(), LearnError> {
        self.validate()?;
        match self.kind {
            ModelKind::Custom { .. } => Err(LearnError::Spec(
                "a custom model is trained and applied by the program it belongs to".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// The layers of a valid description; none of a custom model.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        if matches!(self.kind, ModelKind::Custom { .. }) {
            return Vec::new();
        }
        plan(self).unwrap_or_default()
    }
}

/// Number of parameters of a valid description.
///
/// # Errors
/// [`LearnError::Spec`].
pub fn param_len(spec: &ModelSpec) -> Result<usize, LearnError> {
    spec.validate()?;
    if let ModelKind::Custom { shapes } = &spec.kind {
        return Ok(tensors_of(shapes)?
            .last()
            .map_or(0, |tensor| tensor.offset + tensor.len));
    }
    Ok(spec.layers().last().map_or(0, |l| l.params().end))
}

/// The parameter tensors in the order of the flat vector.
///
/// # Errors
/// [`LearnError::Spec`].
pub fn tensors(spec: &ModelSpec) -> Result<Vec<Tensor>, LearnError> {
    spec.validate()?;
    if let ModelKind::Custom { shapes } = &spec.kind {
        return tensors_of(shapes);
    }
    let layers = spec.layers();
    let trained = layers.iter().filter(|l| !l.params().is_empty());
    Ok(trained
        .enumerate()
        .flat_map(|(i, layer)| layer.tensors(i))
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
