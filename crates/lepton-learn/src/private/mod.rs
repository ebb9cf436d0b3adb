//! Sums of per-example clipped gradients with a proved sensitivity. The argument is `docs/protocols/dp-sgd.md`; the rule
//! numbers in the comments are its.

mod adaptive;
mod leaves;
mod person;
mod sampling;
mod update;
mod workspace;

use serde::{Deserialize, Serialize};

use crate::data::Examples;
use crate::error::LearnError;
use crate::local::Precision;
use crate::scalar::Scalar;
use crate::spec::ModelSpec;
pub use adaptive::{AdaptiveClip, count_noise, update_noise};
use leaves::LEAF_ROWS;
pub use person::{PERSON_ETA, clipped_person_sum};
pub use sampling::{effective_rate, poisson_sample};
pub use update::clip_update;
pub use workspace::GradientWorkspace;

/// Most rows one party may sum in one step; a public constant (DP-03) of the sensitivity theorem (DP-08).
pub const MAX_ROWS_PER_STEP: usize = 1 << 20;

/// Unit roundoff of `f64`.
const ROUNDOFF: f64 = f64::EPSILON / 2.0;

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

/// Sums the gradients of the given rows, each scaled down to Euclidean norm at most `clip` (Abadi et al. 2016, algorithm 1).
/// Activations and gradients are `f32`, norms and totals `f64`, and the sensitivity of the result is proved
/// ([`float_error_eta`]). The gradients of dense layers are never materialised: their norm is `(|x|^2 + 1) |delta|^2`
/// (Goodfellow 2015; ghost clipping, Li et al. 2022, section 4). The penalty `l2` is not included; add
/// [`crate::l2_gradient`] after the noise. `class_weights` scale a row's loss before clipping and must be public.
/// For many steps keep a [`GradientWorkspace`], which does not allocate anew.
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
    let mut workspace = GradientWorkspace::new(spec, Precision::Single)?;
    workspace.clipped_gradient_sum(params, data, clip, class_weights)?;
    Ok(workspace.into_sum())
}

/// `eta` of DP-08: sums of neighbouring data sets (one record added or removed) with at most `max_rows` rows a step differ
/// by at most `clip * (1 + eta)` in Euclidean norm, floating-point error included, in either [`Precision`]. At most
/// `1.3e-4`. After fixed-point encoding with scale `s`, each coordinate rounded to nearest, use
/// `s * clip * (1 + eta) + sqrt(d)`.
///
/// # Errors
/// When `spec` is invalid or `max_rows` is above [`MAX_ROWS_PER_STEP`].
pub fn float_error_eta(spec: &ModelSpec, max_rows: usize) -> Result<f64, LearnError> {
    spec.own()?;
    if max_rows > MAX_ROWS_PER_STEP {
        return Err(LearnError::setting("max_rows", "at most 2^20", max_rows));
    }
    let rows = max_rows.max(1) as f64;
    // (2 leaf + 1) gamma_leaf in single precision, with 1 % for gamma's denominator and underflow.
    let leaf = LEAF_ROWS as f64;
    let single = 1.01 * (2.0 * leaf + 1.0) * leaf * <f32 as Scalar>::ROUNDOFF;
    // 2 gamma_depth B in double precision, with 2 % for the same and the rounding of this line.
    let part = max_rows.min(workspace::PART_ROWS + workspace::MOST_BLOCK_ROWS);
    let depth = part + max_rows.div_ceil(workspace::PART_ROWS) + 1;
    Ok(single + 2.04 * depth as f64 * ROUNDOFF * rows)
}
