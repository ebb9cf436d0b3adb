//! Plain local training of one party: mini-batches, SGD or Adam, optional pull towards the start (FedProx).

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::data::Examples;
use crate::error::LearnError;
use crate::model::{check_examples, check_params, check_weights};
use crate::network::Network;
use crate::random::shuffle;
use crate::scalar::Scalar;
use crate::spec::ModelSpec;

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// Passes over all rows; the last batch of a pass may be smaller.
    Epochs(u32),
    /// Mini-batch steps, across passes where needed.
    Steps(u32),
}

/// How a gradient becomes a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimiser {
    /// Gradient descent with heavy-ball momentum `v = momentum * v + g`.
    Sgd {
        /// In `[0, 1)`.
        momentum: f64,
    },
    /// Adam (Kingma and Ba 2015, algorithm 1).
    Adam {
        /// Decay of the mean, in `[0, 1)`.
        beta1: f64,
        /// Decay of the mean square, in `[0, 1)`.
        beta2: f64,
        /// Added to the root, above 0.
        eps: f64,
    },
}

/// Element type of the arithmetic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// `f32`: twice as fast.
    #[default]
    Single,
    /// `f64`.
    Double,
}

/// Settings of local training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalConfig {
    /// How long.
    pub span: Span,
    /// Rows of a mini-batch, at least 1.
    pub batch: usize,
    /// Step rule; its state starts empty at every call.
    pub optimiser: Optimiser,
    /// Step length, above 0.
    pub learning_rate: f64,
    /// FedProx: adds `proximal/2 * |params - start|^2` to the loss (Li et al. 2020, section 3.2); 0 for none.
    #[serde(default)]
    pub proximal: f64,
    /// Weight of each class's rows in the loss.
    #[serde(default)]
    pub class_weights: Option<Vec<f64>>,
    /// Element type.
    #[serde(default)]
    pub precision: Precision,
}

impl LocalConfig {
    /// Checks the ranges of the settings.
    ///
    /// # Errors
    /// [`LearnError::Setting`].
    pub fn validate(&self) -> Result<(), LearnError> {
        if self.batch == 0 {
            return Err(LearnError::setting("batch", "at least 1", self.batch));
        }
        if let Span::Epochs(0) | Span::Steps(0) = self.span {
            return Err(LearnError::setting("span", "at least 1", 0));
        }
        positive("learning_rate", self.learning_rate)?;
        if !(self.proximal.is_finite() && self.proximal >= 0.0) {
            return Err(LearnError::setting(
                "proximal",
                "finite and not negative",
                self.proximal,
            ));
        }
        match self.optimiser {
            Optimiser::Sgd { momentum } => decay("momentum", momentum),
            Optimiser::Adam { beta1, beta2, eps } => {
                decay("beta1", beta1)?;
                decay("beta2", beta2)?;
                positive("eps", eps)
            }
        }
    }
}

pub(crate) fn decay(name: &'static str, value: f64) -> Result<(), LearnError> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(LearnError::setting(name, "at least 0 and below 1", value))
}

pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), LearnError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(LearnError::setting(name, "a finite number above 0", value))
}

/// Trains from `start` on one party's rows and gives the new parameters. The rows are reshuffled with `rng` before each
/// pass; the same inputs and generator give the same bits on every machine.
///
/// # Errors
/// When the parts do not fit, there is no row, or the result is not finite ([`LearnError::Diverged`]).
pub fn train_local(
    spec: &ModelSpec,
    start: &[f64],
    data: &Examples,
    config: &LocalConfig,
    rng: &mut impl CryptoRng,
) -> Result<Vec<f64>, LearnError> {
    spec.own()?;
    check_params(spec, start)?;
    check_examples(spec, data)?;
    check_weights(spec, config.class_weights.as_deref())?;
    config.validate()?;
    if data.is_empty() {
        return Err(LearnError::Empty("training"));
    }
    let new = match config.precision {
        Precision::Single => train_in::<f32>(spec, start, data, config, rng),
        Precision::Double => train_in::<f64>(spec, start, data, config, rng),
    };
    if new.iter().all(|p| p.is_finite()) {
        Ok(new)
    } else {
        Err(LearnError::Diverged)
    }
}

fn train_in<S: Scalar>(
    spec: &ModelSpec,
    start: &[f64],
    data: &Examples,
    config: &LocalConfig,
    rng: &mut impl CryptoRng,
) -> Vec<f64> {
    let origin: Vec<S> = start.iter().map(|&p| S::from_f64(p)).collect();
    let mut params = origin.clone();
    let mut gradient = vec![S::ZERO; params.len()];
    let mut stepper = Stepper::new(config, params.len());
    let mut net = Network::<S>::new(spec);
    let mut order: Vec<usize> = (0..data.len()).collect();
    let per_pass = order.len().div_ceil(config.batch);
    let steps = match config.span {
        Span::Epochs(n) => n as usize * per_pass,
        Span::Steps(n) => n as usize,
    };
    for step in 0..steps {
        if step % per_pass == 0 {
            shuffle(&mut order, rng);
        }
        let from = step % per_pass * config.batch;
        let rows = order
            .get(from..order.len().min(from + config.batch))
            .unwrap_or(&[]);
        net.set_params(&params);
        mean_gradient(&mut net, &params, (data, rows), config, &mut gradient);
        add_penalties(spec, config.proximal, (&params, &origin), &mut gradient);
        stepper.step(&mut params, &gradient);
    }
    // Adding the difference keeps the digits of `start` that single precision cannot hold.
    let moved = params
        .iter()
        .zip(&origin)
        .map(|(&p, &o)| p.to_f64() - o.to_f64());
    start.iter().zip(moved).map(|(s, d)| s + d).collect()
}

/// Mean gradient of the rows at the parameters last set. Stacks of dense layers take a batch at once, others in blocks.
fn mean_gradient<S: Scalar>(
    net: &mut Network<S>,
    params: &[S],
    (data, rows): (&Examples, &[usize]),
    config: &LocalConfig,
    gradient: &mut [S],
) {
    let block = if net.layers().iter().any(|l| l.record_len() > 0) {
        net.block_rows()
    } else {
        rows.len().max(1)
    };
    let scale = S::ONE / S::from_f64(rows.len() as f64);
    gradient.fill(S::ZERO);
    for rows in rows.chunks(block) {
        net.load(data.x(), rows);
        net.forward(params);
        net.output_deltas(data.y(), rows, config.class_weights.as_deref());
        net.backward(params);
        gradient
            .iter_mut()
            .zip(net.gradient())
            .for_each(|(g, &sum)| *g += sum * scale);
    }
}

fn add_penalties<S: Scalar>(
    spec: &ModelSpec,
    proximal: f64,
    (params, origin): (&[S], &[S]),
    gradient: &mut [S],
) {
    if spec.l2 > 0.0 {
        let l2 = S::from_f64(spec.l2);
        for layer in spec.layers() {
            let range = layer.weights();
            let pairs = gradient
                .iter_mut()
                .zip(params)
                .take(range.end)
                .skip(range.start);
            pairs.for_each(|(g, &w)| *g += l2 * w);
        }
    }
    if proximal > 0.0 {
        let mu = S::from_f64(proximal);
        for ((g, &w), &o) in gradient.iter_mut().zip(params).zip(origin) {
            *g += mu * (w - o);
        }
    }
}

/// The optimiser with its state.
struct Stepper<S> {
    rule: Optimiser,
    rate: S,
    first: Vec<S>,
    second: Vec<S>,
    powers: (f64, f64),
}

impl<S: Scalar> Stepper<S> {
    fn new(config: &LocalConfig, len: usize) -> Self {
        let adam = matches!(config.optimiser, Optimiser::Adam { .. });
        Self {
            rule: config.optimiser,
            rate: S::from_f64(config.learning_rate),
            first: vec![S::ZERO; len],
            second: vec![S::ZERO; if adam { len } else { 0 }],
            powers: (1.0, 1.0),
        }
    }

    fn step(&mut self, params: &mut [S], gradient: &[S]) {
        match self.rule {
            Optimiser::Sgd { momentum } => {
                let momentum = S::from_f64(momentum);
                for ((p, &g), v) in params.iter_mut().zip(gradient).zip(&mut self.first) {
                    *v = momentum * *v + g;
                    *p = *p - self.rate * *v;
                }
            }
            Optimiser::Adam { beta1, beta2, eps } => {
                self.powers = (self.powers.0 * beta1, self.powers.1 * beta2);
                let (keep1, keep2) = (S::from_f64(beta1), S::from_f64(beta2));
                let (take1, take2) = (S::from_f64(1.0 - beta1), S::from_f64(1.0 - beta2));
                let scale1 = S::from_f64(1.0 / (1.0 - self.powers.0));
                let scale2 = S::from_f64(1.0 / (1.0 - self.powers.1));
                let eps = S::from_f64(eps);
                let state = self.first.iter_mut().zip(&mut self.second);
                for ((p, &g), (m, v)) in params.iter_mut().zip(gradient).zip(state) {
                    *m = keep1 * *m + take1 * g;
                    *v = keep2 * *v + take2 * g * g;
                    *p = *p - self.rate * (*m * scale1) / ((*v * scale2).sqrt() + eps);
                }
            }
        }
    }
}
