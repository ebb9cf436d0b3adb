//! Poisson sampling (rule DP-02).

use rand_core::CryptoRng;

use crate::error::LearnError;

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
