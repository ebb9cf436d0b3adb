//! Forward and backward pass through a stack of layers, generic over the element type.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; layer ranges come from a validated description and lengths are checked on entry"
)]

use crate::data::{Matrix, Target};
use crate::kernel::{Left, Operands, Scratch, Sizes, leafwise_product, product, transpose};
use crate::layers::{Layer, Op};
use crate::scalar::Scalar;
use crate::spec::{Activation, ModelSpec, Outputs};

/// Rows handled together by models without convolutions.
const BLOCK_ROWS: usize = 256;
/// Numbers that the patches and records of a block should not exceed, so that they stay in cache.
const BLOCK_NUMBERS: usize = 1 << 20;
/// Fewest rows handled together; at least [`crate::private`]'s leaf.
const LEAST_ROWS: usize = 32;

/// Buffers for one block of rows. `acts[0]` are the inputs, `acts[l + 1]` the outputs of layer `l` after its non-linearity
/// (the last one: scores), `deltas[l]` the derivative of the loss by the outputs of layer `l` before it.
pub(crate) struct Network<S> {
    layers: Vec<Layer>,
    outputs: Outputs,
    pub(crate) rows: usize,
    pub(crate) acts: Vec<Vec<S>>,
    pub(crate) deltas: Vec<Vec<S>>,
    pub(crate) sides: Vec<Side<S>>,
    gradient: Vec<S>,
    scratch: Scratch<S>,
}

/// What a layer remembers besides its outputs.
#[derive(Default)]
pub(crate) struct Side<S> {
    /// Weights as `in x out`.
    transposed: Vec<S>,
    /// Convolution: unfolded inputs. Normalisation: inputs before scale and shift.
    saved: Vec<S>,
    /// Normalisation: inverse deviations. Convolution: deltas of the patches.
    extra: Vec<S>,
    /// Pooling: where each maximum came from. Embedding: which parameters were looked up.
    places: Vec<u32>,
    /// Each row's own gradient of this layer, [`Layer::record_len`] numbers a row (rule DP-12).
    pub(crate) records: Vec<S>,
}

impl<S: Scalar> Network<S> {
    /// `spec` must be valid.
    pub(crate) fn new(spec: &ModelSpec) -> Self {
        let layers = spec.layers();
        let count = layers.len();
        Self {
            outputs: spec.outputs,
            rows: 0,
            acts: vec![Vec::new(); count + 1],
            deltas: vec![Vec::new(); count],
            sides: layers.iter().map(|_| Side::default()).collect(),
            gradient: Vec::new(),
            scratch: Scratch::default(),
            layers,
        }
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Rows that are well handled together; no effect on any row's numbers.
    pub(crate) fn block_rows(&self) -> usize {
        let stored = |layer: &Layer| match &layer.op {
            Op::Conv(conv) => conv.positions() * conv.depth() + layer.record_len(),
            _ => layer.record_len(),
        };
        let row: usize = self.layers.iter().map(stored).sum();
        (BLOCK_NUMBERS / row.max(1)).clamp(LEAST_ROWS, BLOCK_ROWS)
    }

    /// Takes new parameters; must precede the first [`Self::forward`].
    pub(crate) fn set_params(&mut self, params: &[S]) {
        for (layer, side) in self.layers.iter().zip(&mut self.sides) {
            let columns = match &layer.op {
                Op::Dense => layer.input,
                Op::Conv(conv) => conv.depth(),
                _ => continue,
            };
            transpose(&params[layer.weights()], columns, &mut side.transposed);
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
        for l in 0..self.layers.len() {
            self.forward_layer(l, params);
        }
        self.acts.last().map_or(&[], |scores| scores)
    }

    fn forward_layer(&mut self, l: usize, params: &[S]) {
        let (layer, side) = (&self.layers[l], &mut self.sides[l]);
        let (before, after) = self.acts.split_at_mut(l + 1);
        let (input, out) = (&before[l], &mut after[0]);
        out.resize(self.rows * layer.output, S::ZERO);
        let (weights, biases) = (&params[layer.weights()], &params[layer.biases()]);
        match &layer.op {
            Op::Dense => {
                let sizes = Sizes {
                    m: self.rows,
                    n: layer.output,
                    k: layer.input,
                };
                product(
                    sizes,
                    plain(input, &side.transposed),
                    out,
                    &mut self.scratch,
                );
                add_biases(out, biases);
            }
            Op::Conv(conv) => {
                conv.unfold(input, &mut side.saved);
                let sizes = Sizes {
                    m: self.rows * conv.positions(),
                    n: conv.filters,
                    k: conv.depth(),
                };
                let operands = plain(&side.saved, &side.transposed);
                product(sizes, operands, out, &mut self.scratch);
                add_biases(out, biases);
            }
            Op::Pool(windows) => windows.forward(input, out, &mut side.places),
            Op::Norm(norm) => norm.forward(
                (input, self.rows),
                biases,
                out,
                (&mut side.saved, &mut side.extra),
            ),
            Op::Embed(embed) => embed.forward(input, weights, out, &mut side.places),
        }
        if let Some(activation) = layer.activation {
            activate(activation, out);
        }
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

    /// Deltas of all earlier layers from those of the last one, and every row's own gradient of the layers that keep it.
    pub(crate) fn backward(&mut self, params: &[S]) {
        for l in (0..self.layers.len()).rev() {
            self.record(l);
            if l > 0 {
                self.backward_layer(l, params);
            }
        }
    }

    /// Each row's gradient of layer `l`, where it is not an outer product (rule DP-12).
    fn record(&mut self, l: usize) {
        let (layer, side, deltas) = (&self.layers[l], &mut self.sides[l], &self.deltas[l]);
        let len = layer.record_len();
        if len == 0 {
            return;
        }
        side.records.resize(self.rows * len, S::ZERO);
        match &layer.op {
            Op::Conv(conv) => {
                let (positions, depth, filters) = (conv.positions(), conv.depth(), conv.filters);
                let sizes = Sizes {
                    m: filters,
                    n: depth,
                    k: positions,
                };
                let rows = deltas
                    .chunks_exact(positions * filters)
                    .zip(side.saved.chunks_exact(positions * depth));
                for (record, (deltas, patches)) in side.records.chunks_exact_mut(len).zip(rows) {
                    let (weights, biases) = record.split_at_mut(filters * depth);
                    let operands = Operands {
                        a: deltas,
                        left: Left::Transposed,
                        b: patches,
                    };
                    product(sizes, operands, weights, &mut self.scratch);
                    sum_rows(deltas, biases);
                }
            }
            Op::Norm(norm) => norm.records(deltas, &side.saved, &mut side.records),
            Op::Embed(embed) => embed.records(deltas, &side.places, &mut side.records),
            Op::Dense | Op::Pool(_) => {}
        }
    }

    fn backward_layer(&mut self, l: usize, params: &[S]) {
        let (layer, side) = (&self.layers[l], &mut self.sides[l]);
        let (before, after) = self.deltas.split_at_mut(l);
        let (to, from) = (&mut before[l - 1], &after[0]);
        to.resize(self.rows * layer.input, S::ZERO);
        let weights = &params[layer.weights()];
        match &layer.op {
            Op::Dense => {
                let sizes = Sizes {
                    m: self.rows,
                    n: layer.input,
                    k: layer.output,
                };
                product(sizes, plain(from, weights), to, &mut self.scratch);
            }
            Op::Conv(conv) => {
                let sizes = Sizes {
                    m: self.rows * conv.positions(),
                    n: conv.depth(),
                    k: conv.filters,
                };
                side.extra.resize(sizes.m * sizes.n, S::ZERO);
                product(
                    sizes,
                    plain(from, weights),
                    &mut side.extra,
                    &mut self.scratch,
                );
                conv.fold_back(&side.extra, to);
            }
            Op::Pool(windows) => windows.backward(from, &side.places, to),
            Op::Norm(norm) => {
                let scale = &params[layer.biases()][..norm.channels];
                norm.backward(from, scale, (&side.saved, &side.extra), to);
            }
            // Always the first layer.
            Op::Embed(_) => {}
        }
        if let Some(activation) = self.layers[l - 1].activation {
            derive(activation, &self.acts[l], to);
        }
    }

    /// Gradient summed over the loaded rows, from the present acts, deltas and records.
    pub(crate) fn gradient(&mut self) -> &[S] {
        let len = self.layers.last().map_or(0, |l| l.params().end);
        self.gradient.resize(len, S::ZERO);
        for (l, layer) in self.layers.iter().enumerate() {
            let (side, deltas) = (&self.sides[l], &self.deltas[l]);
            let records = side.records.chunks_exact(layer.record_len().max(1));
            let gradient = &mut self.gradient[layer.params()];
            match &layer.op {
                Op::Dense => {
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
                    let (weights, biases) = gradient.split_at_mut(sizes.m * sizes.n);
                    product(sizes, operands, weights, &mut self.scratch);
                    sum_rows(deltas, biases);
                }
                Op::Conv(_) | Op::Norm(_) => {
                    gradient.fill(S::ZERO);
                    for record in records {
                        gradient.iter_mut().zip(record).for_each(|(g, &r)| *g += r);
                    }
                }
                Op::Embed(embed) => {
                    gradient.fill(S::ZERO);
                    for (record, places) in records.zip(side.places.chunks_exact(embed.slots())) {
                        for (at, vector) in embed.each(record, places) {
                            let to = &mut gradient[at..at + vector.len()];
                            to.iter_mut().zip(vector).for_each(|(g, &r)| *g += r);
                        }
                    }
                }
                Op::Pool(_) => {}
            }
        }
        &self.gradient
    }

    /// Adds the loaded rows' gradients to `total`, in `f64`: outer products leaf by leaf (the rows are cut at `ends`, rule
    /// DP-11), records times their row's weight (rule DP-12).
    pub(crate) fn add_weighted(&mut self, weights: &[S], ends: &[usize], total: &mut [f64]) {
        for (l, layer) in self.layers.iter().enumerate() {
            let (side, deltas) = (&self.sides[l], &self.deltas[l]);
            let records = side.records.chunks_exact(layer.record_len().max(1));
            let total = &mut total[layer.params()];
            match &layer.op {
                Op::Dense => {
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
                    let (matrix, biases) = total.split_at_mut(sizes.m * sizes.n);
                    leafwise_product(sizes, operands, ends, matrix, &mut self.scratch);
                    for row in deltas.chunks_exact(layer.output) {
                        let pairs = biases.iter_mut().zip(row);
                        pairs.for_each(|(b, &d)| *b += d.to_f64());
                    }
                }
                Op::Conv(_) | Op::Norm(_) => {
                    for (record, &weight) in records.zip(weights) {
                        add_record(total, record, weight);
                    }
                }
                Op::Embed(embed) => {
                    let places = side.places.chunks_exact(embed.slots());
                    for ((record, places), &weight) in records.zip(places).zip(weights) {
                        for (at, vector) in embed.each(record, places) {
                            add_record(&mut total[at..at + vector.len()], vector, weight);
                        }
                    }
                }
                Op::Pool(_) => {}
            }
        }
    }
}

/// `total += weight * record`, each product and sum rounded once together.
fn add_record<S: Scalar>(total: &mut [f64], record: &[S], weight: S) {
    let weight = weight.to_f64();
    // A record without weight may hold numbers that are not finite.
    if weight > 0.0 {
        crate::kernel::add_scaled(total, record, weight);
    }
}

fn plain<'a, S>(a: &'a [S], b: &'a [S]) -> Operands<'a, S> {
    Operands {
        a,
        left: Left::Plain,
        b,
    }
}

fn add_biases<S: Scalar>(out: &mut [S], biases: &[S]) {
    for row in out.chunks_exact_mut(biases.len()) {
        row.iter_mut().zip(biases).for_each(|(z, &b)| *z += b);
    }
}

/// Sum of the rows of `deltas`, each as long as `sums`.
fn sum_rows<S: Scalar>(deltas: &[S], sums: &mut [S]) {
    sums.fill(S::ZERO);
    for row in deltas.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(b, &d)| *b += d);
    }
}

/// Multiplies `deltas` by the derivative of the non-linearity, which its results `acts` tell.
fn derive<S: Scalar>(activation: Activation, acts: &[S], deltas: &mut [S]) {
    for (delta, &act) in deltas.iter_mut().zip(acts) {
        *delta = match activation {
            Activation::Relu if act > S::ZERO => *delta,
            Activation::Relu => S::ZERO,
            Activation::Tanh => *delta * (S::ONE - act * act),
        };
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
    use crate::spec::{Convolution, EmbeddingTable, ModelKind, Normalisation, Pool, PoolKind};

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
                        all.extend(bits(&net.sides[l].records, layer.record_len(), i));
                        all
                    })
                    .collect()
            })
            .collect()
    }

    fn kind(seed: u8, hidden: usize, inputs: usize) -> (ModelKind, usize) {
        let activation = if seed.is_multiple_of(2) {
            Activation::Relu
        } else {
            Activation::Tanh
        };
        let pool = |kind| {
            Some(Pool {
                kind,
                size: 2,
                stride: Some(1),
            })
        };
        match seed % 3 {
            0 => {
                let kind = ModelKind::Mlp {
                    hidden: vec![hidden, 5],
                    activation,
                };
                (kind, inputs)
            }
            1 => {
                let convolution = |channels, kernel, kind| Convolution {
                    channels,
                    kernel,
                    stride: 2,
                    padding: 1,
                    pool: pool(kind),
                };
                let kind = ModelKind::Cnn {
                    image: [2, 11, 9],
                    convolutions: vec![
                        convolution(8, 3, PoolKind::Max),
                        convolution(3, 2, PoolKind::Average),
                    ],
                    activation,
                    normalisation: Normalisation::Group,
                    hidden: vec![hidden],
                };
                (kind, 198)
            }
            _ => {
                let table = |features: &[usize]| EmbeddingTable {
                    features: features.to_vec(),
                    levels: 2,
                    width: 3,
                };
                let kind = ModelKind::Embedding {
                    tables: vec![table(&[4]), table(&[0, 2])],
                    hidden: vec![hidden],
                    activation,
                };
                (kind, inputs + 5)
            }
        }
    }

    fn setting(seed: u8, inputs: usize, hidden: usize, classes: usize) -> (Model, Matrix, Target) {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let (kind, inputs) = kind(seed, hidden, inputs);
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

        /// DP-06: a row's activations, deltas and records are the same bits alone, in any subset and at any place.
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
