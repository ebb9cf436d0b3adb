//! Sums of per-example clipped gradients with a proved sensitivity. The argument is `docs/protocols/dp-sgd.md`; the rule
//! numbers in the comments are its.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; row numbers are checked on entry, layer ranges come from a validated description"
)]

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::data::Examples;
use crate::error::LearnError;
use crate::model::{check_examples, check_params, check_weights};
use crate::network::Network;
use crate::spec::ModelSpec;

/// Most rows one party may sum in one step; a public constant (DP-03) of the sensitivity theorem (DP-08).
pub const MAX_ROWS_PER_STEP: usize = 1 << 20;

/// Rows summed by one matrix product before they join the total; makes the summation error shallow (DP-08).
const BLOCK_ROWS: usize = 256;
/// Unit roundoff of `f64`.
const ROUNDOFF: f64 = f64::EPSILON / 2.0;
/// Rows whose squared activations exceed this contribute nothing (DP-05): beyond it, underflow could matter.
const MAX_SQUARE: f64 = 1e100;
/// Added to the squared norm, so that underflow inside it can only make it too large (DP-05).
const UNDERFLOW_GUARD: f64 = 1e-180;

/// The largest Euclidean norm of one record's gradient, between 2^-40 and 2^40.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct ClipNorm(f64);

impl ClipNorm {
    /// Takes a norm.
    ///
    /// # Errors
    /// [`LearnError::Setting`] outside 2^-40 ..= 2^40.
    pub fn new(norm: f64) -> Result<Self, LearnError> {
        let limit = (1_u64 << 40) as f64;
        if (1.0 / limit..=limit).contains(&norm) {
            return Ok(Self(norm));
        }
        Err(LearnError::setting("clip", "between 2^-40 and 2^40", norm))
    }

    /// The norm.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for ClipNorm {
    type Error = LearnError;
    fn try_from(norm: f64) -> Result<Self, LearnError> {
        Self::new(norm)
    }
}

impl From<ClipNorm> for f64 {
    fn from(clip: ClipNorm) -> Self {
        clip.0
    }
}

/// A sum of clipped gradients. `sum` may be released only after noise for sensitivity `C (1 + eta)` was added, see
/// [`float_error_eta`]; the two counts depend on the data without any bound on what they tell and must stay at the party (DP-10).
#[derive(Debug, Clone, PartialEq)]
pub struct GradientSum {
    /// Sum over the rows, in the order of the flat parameters. Zero for an empty sample, which needs its noise all the same.
    pub sum: Vec<f64>,
    /// Private: rows summed.
    pub rows: usize,
    /// Private: rows whose gradient was scaled down or left out.
    pub clipped: usize,
}

/// Sums the gradients of the given rows, each scaled down to Euclidean norm at most `clip` (Abadi et al. 2016, algorithm 1),
/// in `f64` and without materialising a gradient per row: the norm of a dense layer's gradient is
/// `(|x|^2 + 1) |delta|^2` (Goodfellow 2015; ghost clipping, Li et al. 2022, section 4). The penalty `l2` is not included;
/// add [`crate::l2_gradient`] after the noise. `class_weights` scale a row's loss before clipping and must be public.
///
/// # Errors
/// When the parts do not fit, or `rows` is not strictly increasing, beyond the data or longer than [`MAX_ROWS_PER_STEP`].
/// None of these depends on feature values, so an error reveals none.
pub fn clipped_gradient_sum(
    spec: &ModelSpec,
    params: &[f64],
    data: (&Examples, &[usize]),
    clip: ClipNorm,
    class_weights: Option<&[f64]>,
) -> Result<GradientSum, LearnError> {
    let (examples, rows) = data;
    check_params(spec, params)?;
    check_examples(spec, examples)?;
    check_weights(spec, class_weights)?;
    check_rows(rows, examples.len())?;
    let mut net = Network::<f64>::new(spec);
    net.set_params(params);
    let mut total = GradientSum {
        sum: vec![0.0; params.len()],
        rows: rows.len(),
        clipped: 0,
    };
    for block in rows.chunks(BLOCK_ROWS) {
        net.load(examples.x(), block);
        net.forward(params);
        net.output_deltas(examples.y(), block, class_weights);
        net.backward(params);
        total.clipped += clip_rows(&mut net, clip.0, 1.0 + norm_error(spec));
        total
            .sum
            .iter_mut()
            .zip(net.gradient())
            .for_each(|(t, &g)| *t += g);
    }
    Ok(total)
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

/// Scales each loaded row's deltas so that its gradient has norm at most `clip`; gives the number of rows changed.
fn clip_rows(net: &mut Network<f64>, clip: f64, inflation: f64) -> usize {
    let layers = net.layers().to_vec();
    let mut changed = 0;
    for row in 0..net.rows {
        let mut square = UNDERFLOW_GUARD;
        let mut usable = true;
        for (l, layer) in layers.iter().enumerate() {
            let input = squares(&net.acts[l][row * layer.input..(row + 1) * layer.input]);
            let delta = squares(&net.deltas[l][row * layer.output..(row + 1) * layer.output]);
            usable &= input < MAX_SQUARE;
            square += (input + 1.0) * delta;
        }
        // Inflated, so that rounding cannot let a record exceed the clip norm (DP-05).
        let norm = square.sqrt() * inflation;
        if usable && norm <= clip {
            continue;
        }
        changed += 1;
        let usable = usable && norm.is_finite();
        for (l, layer) in layers.iter().enumerate() {
            let delta = &mut net.deltas[l][row * layer.output..(row + 1) * layer.output];
            if usable {
                let weight = clip / norm;
                delta.iter_mut().for_each(|d| *d *= weight);
            } else {
                delta.fill(0.0);
                net.acts[l][row * layer.input..(row + 1) * layer.input].fill(0.0);
            }
        }
    }
    changed
}

/// Sum of squares in eight interleaved strands, a fixed order.
fn squares(values: &[f64]) -> f64 {
    let mut strands = [0.0_f64; 8];
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        strands.iter_mut().zip(block).for_each(|(s, v)| *s += v * v);
    }
    strands.iter().sum::<f64>() + rest.iter().map(|v| v * v).sum::<f64>()
}

/// `eta_n` of DP-05: relative amount by which a computed norm is inflated.
fn norm_error(spec: &ModelSpec) -> f64 {
    let layers = spec.layers();
    let widest = layers.iter().map(|l| l.input + l.output).max().unwrap_or(0);
    2.0 * (widest + layers.len() + 16) as f64 * ROUNDOFF
}

/// `eta` of DP-08: sums of neighbouring data sets (one record added or removed) with at most `max_rows` rows a step differ
/// by at most `clip * (1 + eta)` in Euclidean norm, floating-point error included. After fixed-point encoding with scale `s`,
/// each coordinate rounded to nearest, use `s * clip * (1 + eta) + sqrt(d)`.
///
/// # Errors
/// When `spec` is invalid or `max_rows` is above [`MAX_ROWS_PER_STEP`].
pub fn float_error_eta(spec: &ModelSpec, max_rows: usize) -> Result<f64, LearnError> {
    spec.validate()?;
    if max_rows > MAX_ROWS_PER_STEP {
        return Err(LearnError::setting("max_rows", "at most 2^20", max_rows));
    }
    let depth = BLOCK_ROWS + max_rows.div_ceil(BLOCK_ROWS);
    // 2 gamma_depth B, with 2 % for gamma's denominator, underflow and the rounding of this line.
    Ok(2.04 * depth as f64 * ROUNDOFF * max_rows.max(1) as f64)
}

/// The sampling probability that [`poisson_sample`] really uses: `rate` rounded down to a multiple of 2^-53. Account with
/// this, or with `rate`, which is never smaller.
///
/// # Errors
/// [`LearnError::Setting`] unless 2^-53 <= `rate` <= 1.
pub fn effective_rate(rate: f64) -> Result<f64, LearnError> {
    Ok(threshold(rate)? as f64 / SCALE)
}

/// 2^53.
const SCALE: f64 = 9_007_199_254_740_992.0;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 <= rate * 2^53 <= 2^53"
)]
fn threshold(rate: f64) -> Result<u64, LearnError> {
    if (1.0 / SCALE..=1.0).contains(&rate) {
        // Multiplying by a power of two is exact.
        return Ok((rate * SCALE) as u64);
    }
    Err(LearnError::setting(
        "sampling_rate",
        "between 2^-53 and 1",
        rate,
    ))
}

/// Poisson sampling: each of `n` rows independently with probability [`effective_rate`]`(rate)`, exactly, by comparing 53
/// random bits with an integer (DP-02). The row numbers are strictly increasing; the sample may be empty. `rng` must not be
/// known to whoever sees the releases.
///
/// # Errors
/// [`LearnError::Setting`] unless 2^-53 <= `rate` <= 1.
pub fn poisson_sample(
    n: usize,
    rate: f64,
    rng: &mut impl CryptoRng,
) -> Result<Vec<usize>, LearnError> {
    let threshold = threshold(rate)?;
    Ok((0..n)
        .filter(|_| rng.next_u64() >> 11 < threshold)
        .collect())
}
