//! A model: description and parameters; prediction and loss.

use rand_core::CryptoRng;

use crate::data::{Examples, Matrix, Target};
use crate::error::{LearnError, expect_len};
use crate::layers::{Layer, Op};
use crate::network::{Network, sigmoid, softmax};
use crate::random::normal;
use crate::spec::{Activation, ModelKind, ModelSpec, Outputs, param_len};

/// Deviation of starting embeddings, small beside that of scaled numbers: a category that nobody trained on says next to
/// nothing, and learning begins with what the other inputs say.
const EMBEDDING_DEVIATION: f64 = 0.05;

/// What a model says about each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Predictions {
    /// `rows x classes` probabilities, row-major; each row sums to 1.
    Probabilities {
        /// Number of classes.
        classes: usize,
        /// Row-major probabilities.
        data: Vec<f64>,
    },
    /// One real value a row.
    Values(Vec<f64>),
}

impl Predictions {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Probabilities { classes, data } => data.len() / (*classes).max(1),
            Self::Values(values) => values.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most probable class of each row (the lowest number on a tie); empty for real values.
    #[must_use]
    pub fn classes(&self) -> Vec<u32> {
        match self {
            Self::Probabilities { classes, data } => data
                .chunks_exact((*classes).max(1))
                .map(most_probable)
                .collect(),
            Self::Values(_) => Vec::new(),
        }
    }
}

/// Index of the largest entry, the first on a tie.
pub(crate) fn most_probable(row: &[f64]) -> u32 {
    let mut best = (0_u32, f64::NEG_INFINITY);
    for (class, &p) in (0_u32..).zip(row) {
        if p > best.1 {
            best = (class, p);
        }
    }
    best.0
}

/// A valid description with parameters of the right length.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    spec: ModelSpec,
    params: Vec<f64>,
}

impl Model {
    /// Joins a description and its flat parameters.
    ///
    /// # Errors
    /// When the description is invalid, the length is wrong or a parameter is not finite.
    pub fn new(spec: ModelSpec, params: Vec<f64>) -> Result<Self, LearnError> {
        check_params(&spec, &params)?;
        Ok(Self { spec, params })
    }

    /// Starting parameters: zeros for linear and logistic models; for an mlp normal weights with variance `2 / inputs`
    /// (ReLU; He et al. 2015, section 2.2) or `2 / (inputs + outputs)` (tanh; Glorot and Bengio 2010, section 4.2.1) and
    /// zero biases, for a convolution with the inputs and outputs of one unit; embeddings have
    /// deviation 0.05, normalisations start as identities. For a custom model rule CM-08.
    ///
    /// # Errors
    /// [`LearnError::Spec`].
    pub fn init(spec: ModelSpec, rng: &mut impl CryptoRng) -> Result<Self, LearnError> {
        if let ModelKind::Custom { shapes } = &spec.kind {
            spec.validate()?;
            let params = crate::custom::start(shapes, rng)?;
            return Ok(Self { spec, params });
        }
        let mut params = vec![0.0; param_len(&spec)?];
        if !matches!(spec.kind, ModelKind::Linear | ModelKind::Logistic) {
            for layer in spec.layers() {
                start_layer(&layer, spec.activation(), &mut params, rng);
            }
        }
        Ok(Self { spec, params })
    }

    /// The description.
    #[must_use]
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The flat parameters.
    #[must_use]
    pub fn params(&self) -> &[f64] {
        &self.params
    }

    /// Predicts every row, in `f64`.
    ///
    /// # Errors
    /// [`LearnError::Shape`] when `x` has another number of columns than the model has inputs, [`LearnError::Spec`] for a custom model.
    pub fn predict(&self, x: &Matrix) -> Result<Predictions, LearnError> {
        self.spec.own()?;
        expect_len("feature columns", self.spec.inputs, x.cols())?;
        let mut net = Network::<f64>::new(&self.spec);
        net.set_params(&self.params);
        let mut data = Vec::with_capacity(x.rows() * self.spec.outputs.width());
        let all: Vec<usize> = (0..x.rows()).collect();
        for rows in all.chunks(net.block_rows()) {
            net.load(x, rows);
            let scores = net.forward(&self.params);
            match self.spec.outputs {
                Outputs::Regression => data.extend_from_slice(scores),
                Outputs::Classes(2) => {
                    data.extend(scores.iter().flat_map(|&z| [sigmoid(-z), sigmoid(z)]));
                }
                Outputs::Classes(k) => {
                    let start = data.len();
                    data.extend_from_slice(scores);
                    for row in data.split_at_mut(start).1.chunks_exact_mut(k) {
                        softmax(row);
                    }
                }
            }
        }
        Ok(match self.spec.outputs {
            Outputs::Regression => Predictions::Values(data),
            Outputs::Classes(classes) => Predictions::Probabilities { classes, data },
        })
    }

    /// Mean loss (cross-entropy in nats, or half the squared error) plus the penalty.
    ///
    /// # Errors
    /// When the examples do not fit the model or there is no row.
    pub fn loss(&self, examples: &Examples) -> Result<f64, LearnError> {
        check_examples(&self.spec, examples)?;
        if examples.is_empty() {
            return Err(LearnError::Empty("a loss"));
        }
        let predictions = self.predict(examples.x())?;
        Ok(mean_loss(&predictions, examples.y()) + self.penalty())
    }

    fn penalty(&self) -> f64 {
        let squares = |range: std::ops::Range<usize>| -> f64 {
            self.params
                .get(range)
                .unwrap_or(&[])
                .iter()
                .map(|w| w * w)
                .sum()
        };
        let total: f64 = self
            .spec
            .layers()
            .iter()
            .map(|l| squares(l.weights()))
            .sum();
        0.5 * self.spec.l2 * total
    }
}

/// Draws the starting weights of one layer.
fn start_layer(
    layer: &Layer,
    activation: Activation,
    params: &mut [f64],
    rng: &mut impl CryptoRng,
) {
    let mut draw = |range: std::ops::Range<usize>, variance: f64| {
        for w in params.iter_mut().take(range.end).skip(range.start) {
            *w = variance.sqrt() * normal(rng);
        }
    };
    match &layer.op {
        Op::Embed(embed) => {
            for table in &embed.tables {
                let start = layer.offset + table.offset;
                let end = start + table.levels * table.width;
                draw(start..end, EMBEDDING_DEVIATION.powi(2));
            }
        }
        Op::Norm(norm) => {
            let scales = layer.biases().start;
            let ones = params.iter_mut().skip(scales).take(norm.channels);
            ones.for_each(|a| *a = 1.0);
        }
        Op::Dense | Op::Conv(_) | Op::Pool(_) => {
            let (inputs, outputs) = layer.fans();
            let variance = match activation {
                Activation::Relu => 2.0 / inputs as f64,
                Activation::Tanh => 2.0 / (inputs + outputs) as f64,
            };
            draw(layer.weights(), variance);
        }
    }
}

/// Mean loss of predictions of the same length as `y`; 0 without rows.
pub(crate) fn mean_loss(predictions: &Predictions, y: &Target) -> f64 {
    let total: f64 = match (predictions, y) {
        (Predictions::Probabilities { classes, data }, Target::Classes { labels, .. }) => data
            .chunks_exact((*classes).max(1))
            .zip(labels)
            .map(|(row, &label)| log_loss(row.get(label as usize).copied().unwrap_or(0.0)))
            .sum(),
        (Predictions::Values(values), Target::Values(y)) => values
            .iter()
            .zip(y)
            .map(|(z, &y)| 0.5 * (z - f64::from(y)).powi(2))
            .sum(),
        _ => f64::NAN,
    };
    total / predictions.len().max(1) as f64
}

/// `-ln p`, with `p` kept away from 0 so that one hopeless row does not make the mean infinite.
pub(crate) fn log_loss(p: f64) -> f64 {
    -libm::log(p.max(f64::MIN_POSITIVE))
}

/// Refuses parameters of the wrong length or not finite.
pub(crate) fn check_params(spec: &ModelSpec, params: &[f64]) -> Result<(), LearnError> {
    expect_len("parameters", param_len(spec)?, params.len())?;
    match params.iter().position(|p| !p.is_finite()) {
        Some(index) => Err(LearnError::NotFinite {
            what: "parameter",
            index,
        }),
        None => Ok(()),
    }
}

/// Refuses examples that the model cannot learn from.
pub(crate) fn check_examples(spec: &ModelSpec, examples: &Examples) -> Result<(), LearnError> {
    expect_len("feature columns", spec.inputs, examples.x().cols())?;
    match (spec.outputs, examples.y()) {
        (Outputs::Regression, Target::Values(_)) => Ok(()),
        (Outputs::Classes(k), Target::Classes { classes, .. }) => {
            expect_len("classes", k, *classes)
        }
        (Outputs::Regression, Target::Classes { .. }) => Err(LearnError::Spec(
            "a regression model needs real target values, not classes".into(),
        )),
        (Outputs::Classes(_), Target::Values(_)) => Err(LearnError::Spec(
            "a classification model needs class labels, not real values".into(),
        )),
    }
}

/// Refuses class weights that do not fit.
pub(crate) fn check_weights(spec: &ModelSpec, weights: Option<&[f64]>) -> Result<(), LearnError> {
    let Some(weights) = weights else {
        return Ok(());
    };
    let Outputs::Classes(k) = spec.outputs else {
        return Err(LearnError::Spec(
            "class weights need a classification model".into(),
        ));
    };
    expect_len("class weights", k, weights.len())?;
    match weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        Some(w) => Err(LearnError::setting(
            "class weight",
            "finite and not negative",
            w,
        )),
        None => Ok(()),
    }
}
