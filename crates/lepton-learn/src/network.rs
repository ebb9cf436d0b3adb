//! Forward and backward pass of dense layers, generic over the element type.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; layer ranges come from a validated description and lengths are checked on entry"
)]

use crate::data::{Matrix, Target};
use crate::kernel::{Left, Operands, Scratch, Sizes, product, transpose};
use crate::scalar::Scalar;
use crate::spec::{Activation, Layer, ModelSpec, Outputs};

/// Buffers for one block of rows. `acts[0]` are the inputs, `acts[l + 1]` the outputs of layer `l` after its non-linearity
/// (the last one: scores), `deltas[l]` the derivative of the loss by the scores of layer `l`.
pub(crate) struct Network<S> {
    layers: Vec<Layer>,
    activation: Activation,
    outputs: Outputs,
    pub(crate) rows: usize,
    pub(crate) acts: Vec<Vec<S>>,
    pub(crate) deltas: Vec<Vec<S>>,
    transposed: Vec<Vec<S>>,
    gradient: Vec<S>,
    scratch: Scratch<S>,
}

impl<S: Scalar> Network<S> {
    /// `spec` must be valid.
    pub(crate) fn new(spec: &ModelSpec) -> Self {
        let layers = spec.layers();
        let count = layers.len();
        Self {
            activation: spec.activation(),
            outputs: spec.outputs,
            rows: 0,
            acts: vec![Vec::new(); count + 1],
            deltas: vec![Vec::new(); count],
            transposed: vec![Vec::new(); count],
            gradient: Vec::new(),
            scratch: Scratch::default(),
            layers,
        }
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Takes new parameters; must precede the first [`Self::forward`].
    pub(crate) fn set_params(&mut self, params: &[S]) {
        for (layer, to) in self.layers.iter().zip(&mut self.transposed) {
            transpose(&params[layer.weights()], layer.input, to);
        }
    }

    /// Loads the given rows of `x`.
    pub(crate) fn load(&mut self, x: &Matrix, rows: &[usize]) {
        self.rows = rows.len();
        let inputs = &mut self.acts[0];
        inputs.clear();
        for &row in rows {
            inputs.extend(x.row(row).iter().map(|&v| S::from_f32(v)));
        }
    }

    /// Scores of the loaded rows, with the parameters last given to [`Self::set_params`].
    pub(crate) fn forward(&mut self, params: &[S]) -> &[S] {
        let last = self.layers.len() - 1;
        for (l, layer) in self.layers.iter().enumerate() {
            let (before, after) = self.acts.split_at_mut(l + 1);
            let out = &mut after[0];
            out.resize(self.rows * layer.output, S::ZERO);
            let sizes = Sizes {
                m: self.rows,
                n: layer.output,
                k: layer.input,
            };
            let operands = Operands {
                a: &before[l],
                left: Left::Plain,
                b: &self.transposed[l],
            };
            product(sizes, operands, out, &mut self.scratch);
            let bias = &params[layer.biases()];
            for row in out.chunks_exact_mut(layer.output) {
                row.iter_mut().zip(bias).for_each(|(z, &b)| *z += b);
            }
            if l < last {
                activate(self.activation, out);
            }
        }
        &self.acts[last + 1]
    }

    /// Sets the last layer's deltas from the scores of [`Self::forward`]; `weights` scales each row by its class's weight.
    pub(crate) fn output_deltas(&mut self, y: &Target, rows: &[usize], weights: Option<&[f64]>) {
        let last = self.layers.len() - 1;
        let width = self.layers[last].output;
        let (scores, deltas) = (&self.acts[last + 1], &mut self.deltas[last]);
        deltas.clear();
        deltas.extend_from_slice(scores);
        for (delta, &row) in deltas.chunks_exact_mut(width).zip(rows) {
            match y {
                Target::Values(values) => delta[0] = delta[0] - S::from_f32(values[row]),
                Target::Classes { labels, .. } => {
                    class_delta(self.outputs, delta, labels[row] as usize)
                }
            }
            if let (Some(weights), Target::Classes { labels, .. }) = (weights, y) {
                let weight = S::from_f64(weights[labels[row] as usize]);
                delta.iter_mut().for_each(|d| *d = *d * weight);
            }
        }
    }

    /// Deltas of all earlier layers from those of the last one.
    pub(crate) fn backward(&mut self, params: &[S]) {
        for l in (1..self.layers.len()).rev() {
            let layer = self.layers[l];
            let (before, after) = self.deltas.split_at_mut(l);
            let (to, from) = (&mut before[l - 1], &after[0]);
            to.resize(self.rows * layer.input, S::ZERO);
            let sizes = Sizes {
                m: self.rows,
                n: layer.input,
                k: layer.output,
            };
            let operands = Operands {
                a: from,
                left: Left::Plain,
                b: &params[layer.weights()],
            };
            product(sizes, operands, to, &mut self.scratch);
            for (delta, &act) in to.iter_mut().zip(&self.acts[l]) {
                *delta = match self.activation {
                    Activation::Relu if act > S::ZERO => *delta,
                    Activation::Relu => S::ZERO,
                    Activation::Tanh => *delta * (S::ONE - act * act),
                };
            }
        }
    }

    /// Gradient summed over the loaded rows, from the present acts and deltas.
    pub(crate) fn gradient(&mut self) -> &[S] {
        let len = self.layers.last().map_or(0, |l| l.biases().end);
        self.gradient.resize(len, S::ZERO);
        for (l, layer) in self.layers.iter().enumerate() {
            let deltas = &self.deltas[l];
            let sizes = Sizes {
                m: layer.output,
                n: layer.input,
                k: self.rows,
            };
            let operands = Operands {
                a: deltas,
                left: Left::Transposed,
                b: &self.acts[l],
            };
            product(
                sizes,
                operands,
                &mut self.gradient[layer.weights()],
                &mut self.scratch,
            );
            let bias = &mut self.gradient[layer.biases()];
            bias.fill(S::ZERO);
            for row in deltas.chunks_exact(layer.output) {
                bias.iter_mut().zip(row).for_each(|(b, &d)| *b += d);
            }
        }
        &self.gradient
    }
}

fn activate<S: Scalar>(activation: Activation, values: &mut [S]) {
    match activation {
        // NaN stays NaN, so that a diverged model is noticed.
        Activation::Relu => values
            .iter_mut()
            .for_each(|v| *v = if *v < S::ZERO { S::ZERO } else { *v }),
        Activation::Tanh => values.iter_mut().for_each(|v| *v = v.tanh()),
    }
}

/// Turns scores into the derivative of the cross-entropy for class `label`.
fn class_delta<S: Scalar>(outputs: Outputs, scores: &mut [S], label: usize) {
    if let Outputs::Classes(2) = outputs {
        scores[0] = sigmoid(scores[0]) - if label == 1 { S::ONE } else { S::ZERO };
    } else {
        softmax(scores);
        scores[label] = scores[label] - S::ONE;
    }
}

/// `1 / (1 + exp(-z))` without overflow.
pub(crate) fn sigmoid<S: Scalar>(z: S) -> S {
    if z < S::ZERO {
        let e = z.exp();
        e / (S::ONE + e)
    } else {
        S::ONE / (S::ONE + (-z).exp())
    }
}

/// Replaces scores by probabilities.
pub(crate) fn softmax<S: Scalar>(scores: &mut [S]) {
    let top = scores
        .iter()
        .fold(scores[0], |m, &s| if s > m { s } else { m });
    let mut total = S::ZERO;
    for s in scores.iter_mut() {
        *s = (*s - top).exp();
        total += *s;
    }
    scores.iter_mut().for_each(|s| *s = *s / total);
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    use super::*;
    use crate::model::Model;
    use crate::random::{normal, shuffle};
    use crate::spec::ModelKind;

    /// Deltas and activations of every layer of every row of a batch, as bits.
    fn traces<S: Scalar>(model: &Model, x: &Matrix, y: &Target, rows: &[usize]) -> Vec<Vec<u64>> {
        let params: Vec<S> = model.params().iter().map(|&p| S::from_f64(p)).collect();
        let mut net = Network::<S>::new(model.spec());
        net.set_params(&params);
        net.load(x, rows);
        net.forward(&params);
        net.output_deltas(y, rows, None);
        net.backward(&params);
        let bits = |values: &[S], width: usize, i: usize| -> Vec<u64> {
            values[i * width..(i + 1) * width]
                .iter()
                .map(|v| v.to_f64().to_bits())
                .collect()
        };
        (0..rows.len())
            .map(|i| {
                let layers = net.layers.iter().enumerate();
                layers
                    .flat_map(|(l, layer)| {
                        let mut all = bits(&net.acts[l + 1], layer.output, i);
                        all.extend(bits(&net.deltas[l], layer.output, i));
                        all
                    })
                    .collect()
            })
            .collect()
    }

    fn setting(seed: u8, inputs: usize, hidden: usize, classes: usize) -> (Model, Matrix, Target) {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let activation = if seed.is_multiple_of(2) {
            Activation::Relu
        } else {
            Activation::Tanh
        };
        let kind = ModelKind::Mlp {
            hidden: vec![hidden, 5],
            activation,
        };
        let spec = ModelSpec {
            kind,
            inputs,
            outputs: Outputs::Classes(classes),
            l2: 0.0,
        };
        let model = Model::init(spec, &mut rng).unwrap();
        let data = (0..40 * inputs)
            .map(|_| f32::from_f64(normal(&mut rng)))
            .collect();
        let labels = (0..40)
            .map(|i| i % u32::try_from(classes).unwrap())
            .collect();
        (
            model,
            Matrix::new(40, inputs, data).unwrap(),
            Target::Classes { labels, classes },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// DP-06: a row's activations and deltas are the same bits alone, in any subset and at any place.
        #[test]
        fn rows_do_not_depend_on_each_other(
            seed in any::<u8>(), inputs in 1_usize..300, hidden in 1_usize..40, classes in 2_usize..6, size in 1_usize..40,
        ) {
            let (model, x, y) = setting(seed, inputs, hidden, classes);
            let mut rows: Vec<usize> = (0..40).collect();
            let all = traces::<f64>(&model, &x, &y, &rows);
            let all_single = traces::<f32>(&model, &x, &y, &rows);
            shuffle(&mut rows, &mut ChaCha20Rng::from_seed([seed ^ 1; 32]));
            rows.truncate(size);
            let some = traces::<f64>(&model, &x, &y, &rows);
            let some_single = traces::<f32>(&model, &x, &y, &rows);
            for (i, &row) in rows.iter().enumerate() {
                prop_assert_eq!(&some[i], &all[row]);
                prop_assert_eq!(&some_single[i], &all_single[row]);
            }
        }
    }
}
