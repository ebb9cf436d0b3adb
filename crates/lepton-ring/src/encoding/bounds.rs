//! How large sums get.

/// A run of entries of the vector that every party contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Number of entries.
    pub len: usize,
    /// The largest magnitude that one party can put in an entry, after rounding: a count, a weight, or `ceil(c)` where a coordinate was clipped to
    /// `c` steps.
    pub max_abs: u64,
}

/// The largest magnitude of an entry in a sum over `parties`, without noise: exact, some parties can reach it. [`crate::Modulus::for_sum_bound`] of it is
/// the narrowest ring in which no sum overflows.
#[must_use]
pub fn sum_bound(segments: &[Segment], parties: u32) -> u128 {
    occupied(segments)
        .map(|segment| u128::from(segment.max_abs) * u128::from(parties))
        .max()
        .unwrap_or(0)
}

/// The smallest magnitude proved here that no entry of a sum over `parties` exceeds, but with probability `2^-log2_failure` over the noise: each
/// party adds to every entry independent discrete Gaussian noise with parameter `sigma_each` (which is at least its standard deviation).
/// `None` if it does not fit 128 bits.
///
/// Proof. For `X` discrete Gaussian, `E exp(tX) = exp(t^2 sigma^2 / 2) * T(t sigma^2) / T(0)`, `T(c) = sum_x exp(-(x - c)^2 / (2 sigma^2))`, and
/// `T(c) <= T(0)`, since all Fourier coefficients of `T` are positive: `X` is sub-Gaussian with parameter `sigma^2` (Canonne, Kamath, Steinke 2020).
/// The sum of `n` of them is sub-Gaussian with `n sigma^2`, so its magnitude reaches `t` with probability at most
/// `2 exp(-t^2 / (2 n sigma^2))`. An entry of a segment exceeds `M` only if the noise reaches `M + 1 - n max_abs`; these probabilities are added
/// over all entries, whether independent or not, and `M` is the smallest for which the total is proved small enough.
#[must_use]
pub fn noised_sum_bound(
    segments: &[Segment],
    parties: u32,
    sigma_each: u64,
    log2_failure: u32,
) -> Option<u128> {
    let least = sum_bound(segments, parties);
    let tail = Tail {
        segments,
        parties,
        variance: (sigma_each as f64).powi(2) * f64::from(parties),
        log2_failure: f64::from(log2_failure),
    };
    if sigma_each == 0 || parties == 0 || tail.is_proved(least) {
        return Some(least);
    }
    let (mut low, mut step) = (least, 1u128);
    let mut high = least.checked_add(step)?;
    while !tail.is_proved(high) {
        low = high;
        step = step.checked_mul(2)?;
        high = high.checked_add(step)?;
    }
    // Not proved at `low`, proved at `high`; the total falls as the magnitude grows.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if tail.is_proved(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

struct Tail<'a> {
    segments: &'a [Segment],
    parties: u32,
    variance: f64,
    log2_failure: f64,
}

/// Relative error allowed for an exponent: about a dozen operations and conversions, each off by at most `2^-53`, make `1.4e-15`.
const SLACK: f64 = 1e-14;

impl Tail<'_> {
    /// Whether the entries together exceed `magnitude` with probability at most `2^-log2_failure`, every error rounded against it.
    fn is_proved(&self, magnitude: u128) -> bool {
        let total: f64 = occupied(self.segments)
            .map(|segment| {
                let bound = u128::from(segment.max_abs) * u128::from(self.parties);
                let reached = magnitude.saturating_sub(bound) as f64 + 1.0;
                let exponent = reached * reached / (2.0 * self.variance * core::f64::consts::LN_2);
                // In units of the allowed probability, so that neither side underflows.
                let excess =
                    self.log2_failure - exponent + SLACK * (self.log2_failure + exponent + 1.0);
                2.0 * segment.len as f64 * libm::exp2(excess).max(f64::MIN_POSITIVE)
            })
            .sum();
        // The exponential and the sum of positive terms (one step of the last digit for each) are covered by the second factor.
        total * (1.0 + 1e-12 + self.segments.len() as f64 * f64::EPSILON) <= 1.0
    }
}

fn occupied(segments: &[Segment]) -> impl Iterator<Item = &Segment> {
    segments.iter().filter(|segment| segment.len > 0)
}
