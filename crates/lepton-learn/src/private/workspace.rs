//! The clipped sum itself, with buffers that are kept from step to step.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; row numbers are checked on entry, layer ranges come from a validated description"
)]

use fearless_simd::{Level, dispatch};

use super::leaves::Leaves;
use super::{ClipNorm, GradientSum, MAX_ROWS_PER_STEP, ROUNDOFF};
use crate::data::Examples;
use crate::error::LearnError;
use crate::layers::{Layer, Op};
use crate::local::Precision;
use crate::model::{check_examples, check_params, check_weights};
use crate::network::Network;
use crate::scalar::Scalar;
use crate::spec::ModelSpec;

/// Rows after which the running part joins the total; makes the summation error shallow (DP-08).
pub(super) const PART_ROWS: usize = 4096;
/// More rows than this never pass through the network together.
pub(super) const MOST_BLOCK_ROWS: usize = 256;
/// Rows whose squared activations exceed this contribute nothing (DP-05): beyond it, underflow could matter.
const MAX_SQUARE: f64 = 1e100;
/// Added to the squared norm, so that underflow inside it can only make it too large (DP-05).
const UNDERFLOW_GUARD: f64 = 1e-180;

/// Buffers for clipped gradient sums of one model, kept from step to step.
pub struct GradientWorkspace {
    spec: ModelSpec,
    engine: Engine,
    result: GradientSum,
    leaves: Leaves,
    part: Vec<f64>,
}

/// The network in one of the two element types.
enum Engine {
    Single(Box<Buffers<f32>>),
    Double(Box<Buffers<f64>>),
}

struct Buffers<S> {
    net: Network<S>,
    params: Vec<S>,
    weights: Vec<S>,
    ends: Vec<usize>,
}

impl GradientWorkspace {
    /// Buffers for a model. [`Precision::Single`] is what [`super::clipped_gradient_sum`] uses; [`Precision::Double`] is
    /// about half as fast and agrees with textbook arithmetic to `1e-10`. Both keep the promise of
    /// [`super::float_error_eta`].
    ///
    /// # Errors
    /// [`LearnError::Spec`].
    pub fn new(spec: &ModelSpec, precision: Precision) -> Result<Self, LearnError> {
        spec.own()?;
        let engine = match precision {
            Precision::Single => Engine::Single(Box::new(Buffers::new(spec))),
            Precision::Double => Engine::Double(Box::new(Buffers::new(spec))),
        };
        Ok(Self {
            spec: spec.clone(),
            engine,
            result: GradientSum {
                sum: Vec::new(),
                rows: 0,
                clipped: 0,
            },
            leaves: Leaves::default(),
            part: Vec::new(),
        })
    }

    /// As [`super::clipped_gradient_sum`]; the result lives in the workspace until the next call.
    ///
    /// # Errors
    /// As [`super::clipped_gradient_sum`].
    pub fn clipped_gradient_sum(
        &mut self,
        params: &[f64],
        (examples, rows): (&Examples, &[usize]),
        clip: ClipNorm,
        class_weights: Option<&[f64]>,
    ) -> Result<&GradientSum, LearnError> {
        check_params(&self.spec, params)?;
        check_examples(&self.spec, examples)?;
        check_weights(&self.spec, class_weights)?;
        check_rows(rows, examples.len())?;
        self.leaves.group(examples, rows);
        self.result.rows = rows.len();
        self.result.clipped = 0;
        clear(&mut self.result.sum, params.len());
        if rows.len() > PART_ROWS {
            clear(&mut self.part, params.len());
        }
        let step = Step {
            examples,
            leaves: &self.leaves,
            clip: clip.0,
            class_weights,
        };
        let (sum, part) = (&mut self.result.sum, &mut self.part);
        self.result.clipped = match &mut self.engine {
            Engine::Single(buffers) => buffers.run(params, &step, (sum, part)),
            Engine::Double(buffers) => buffers.run(params, &step, (sum, part)),
        };
        Ok(&self.result)
    }

    pub(super) fn into_sum(self) -> GradientSum {
        self.result
    }
}

fn clear(values: &mut Vec<f64>, len: usize) {
    values.clear();
    values.resize(len, 0.0);
}

/// What one sum is made of.
struct Step<'a> {
    examples: &'a Examples,
    leaves: &'a Leaves,
    clip: f64,
    class_weights: Option<&'a [f64]>,
}

impl<S: Scalar> Buffers<S> {
    fn new(spec: &ModelSpec) -> Self {
        Self {
            net: Network::new(spec),
            params: Vec::new(),
            weights: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Adds all leaves into `sum`, by way of `part` if there are more rows than a part has; gives the number of rows clipped.
    fn run(
        &mut self,
        params: &[f64],
        step: &Step<'_>,
        (sum, part): (&mut [f64], &mut [f64]),
    ) -> usize {
        self.params.clear();
        self.params.extend(params.iter().map(|&p| S::from_f64(p)));
        self.net.set_params(&self.params);
        let limit = self.net.block_rows().min(MOST_BLOCK_ROWS);
        let ends = &step.leaves.ends;
        // A single part added to zeros is that part.
        let single = ends.last().is_none_or(|&rows| rows <= PART_ROWS);
        let (mut leaf, mut start, mut waiting, mut changed) = (0, 0, 0, 0);
        while leaf < ends.len() {
            let first = leaf;
            while leaf < ends.len() && (leaf == first || ends[leaf] - start <= limit) {
                leaf += 1;
            }
            self.ends.clear();
            self.ends
                .extend(ends[first..leaf].iter().map(|end| end - start));
            let end = ends[leaf - 1];
            let into = if single { &mut *sum } else { &mut *part };
            changed += self.block(&step.leaves.rows[start..end], step, into);
            waiting += end - start;
            start = end;
            if single {
                continue;
            }
            if waiting >= PART_ROWS || leaf == ends.len() {
                waiting = 0;
                for (s, p) in sum.iter_mut().zip(part.iter_mut()) {
                    *s += *p;
                    *p = 0.0;
                }
            }
        }
        changed
    }

    /// One pass of the network over whole leaves.
    fn block(&mut self, rows: &[usize], step: &Step<'_>, part: &mut [f64]) -> usize {
        self.net.load(step.examples.x(), rows);
        self.net.forward(&self.params);
        self.net
            .output_deltas(step.examples.y(), rows, step.class_weights);
        self.net.backward(&self.params);
        let changed = clip_rows(&mut self.net, step.clip, &mut self.weights);
        self.net.add_weighted(&self.weights, &self.ends, part);
        changed
    }
}

/// Rows must be distinct (a repeated record would count twice, DP-04) and few enough for the theorem.
fn check_rows(rows: &[usize], len: usize) -> Result<(), LearnError> {
    if rows.len() > MAX_ROWS_PER_STEP {
        return Err(LearnError::Rows(format!(
            "{} rows, but a private step may use at most {MAX_ROWS_PER_STEP}; lower the sampling rate",
            rows.len()
        )));
    }
    if !rows.iter().zip(rows.iter().skip(1)).all(|(a, b)| a < b) {
        return Err(LearnError::Rows(
            "row numbers must be strictly increasing".into(),
        ));
    }
    match rows.last() {
        Some(&last) if last >= len => Err(LearnError::Rows(format!(
            "row {last} does not exist; there are {len} rows"
        ))),
        _ => Ok(()),
    }
}

/// Scales each loaded row so that its gradient has norm at most `clip`: the deltas of outer-product layers in place, records
/// by the row's entry in `weights`. Gives the number of rows changed.
fn clip_rows<S: Scalar>(net: &mut Network<S>, clip: f64, weights: &mut Vec<S>) -> usize {
    let inflation = 1.0 + norm_error::<S>(net.layers());
    weights.clear();
    weights.resize(net.rows, S::ONE);
    let mut changed = 0;
    for (row, weight) in weights.iter_mut().enumerate() {
        // Inflated, so that rounding cannot let a record exceed the clip norm (DP-05).
        let norm = row_norm(net, row).map(|norm| norm * inflation);
        if norm.is_some_and(|norm| norm <= clip) {
            continue;
        }
        changed += 1;
        let factor = norm
            .filter(|n| n.is_finite())
            .map_or(0.0, |norm| clip / norm);
        *weight = flush(S::from_f64(factor));
        scale_row(net, row, *weight);
    }
    changed
}

/// Computed norm of one row's gradient; `None` when its activations are too large to be sure.
fn row_norm<S: Scalar>(net: &Network<S>, row: usize) -> Option<f64> {
    let mut square = UNDERFLOW_GUARD;
    for (l, layer) in net.layers().iter().enumerate() {
        if layer.op == Op::Dense {
            let input = squares(part(&net.acts[l], row, layer.input));
            if input.is_nan() || input >= MAX_SQUARE {
                return None;
            }
            square += (input + 1.0) * squares(part(&net.deltas[l], row, layer.output));
        } else {
            square += squares(part(&net.sides[l].records, row, layer.record_len()));
        }
    }
    Some(square.sqrt())
}

fn part<S>(values: &[S], row: usize, len: usize) -> &[S] {
    &values[row * len..(row + 1) * len]
}

/// Multiplies what the outer products of one row are made of; a row of weight 0 becomes zeros.
fn scale_row<S: Scalar>(net: &mut Network<S>, row: usize, weight: S) {
    for l in 0..net.layers().len() {
        let layer = &net.layers()[l];
        if layer.op != Op::Dense {
            continue;
        }
        let (inputs, outputs) = (
            row * layer.input..(row + 1) * layer.input,
            row * layer.output..(row + 1) * layer.output,
        );
        if weight > S::ZERO {
            let deltas = &mut net.deltas[l][outputs];
            deltas.iter_mut().for_each(|d| *d = flush(*d * weight));
        } else {
            net.deltas[l][outputs].fill(S::ZERO);
            net.acts[l][inputs].fill(S::ZERO);
        }
    }
}

/// Replaces numbers below the normal range by zero, whose relative rounding error would not be bounded (DP-05).
fn flush<S: Scalar>(value: S) -> S {
    if value < S::SMALLEST && -value < S::SMALLEST {
        S::ZERO
    } else {
        value
    }
}

/// Sum of squares in eight interleaved strands, a fixed order: the same number on every vector unit.
fn squares<S: Scalar>(values: &[S]) -> f64 {
    dispatch!(Level::new(), _simd => strands(values))
}

#[inline(always)]
fn strands<S: Scalar>(values: &[S]) -> f64 {
    let mut strands = [0.0_f64; 8];
    let square = |v: &S| v.to_f64() * v.to_f64();
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        strands
            .iter_mut()
            .zip(block)
            .for_each(|(s, v)| *s += square(v));
    }
    strands.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>()
}

/// `eta_n` of DP-05: relative amount by which a computed norm is inflated.
fn norm_error<S: Scalar>(layers: &[Layer]) -> f64 {
    let width = |l: &Layer| (l.input + l.output).max(l.record_len());
    let widest = layers.iter().map(width).max().unwrap_or(0);
    2.0 * (widest + layers.len() + 16) as f64 * ROUNDOFF + 4.0 * S::ROUNDOFF
}
