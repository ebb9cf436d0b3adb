//! From real vectors to integers, and how wide the ring must be for their sums.
//!
//! **Which rounding goes with which unit of privacy.** What differential privacy needs is how far the *integer* sums of two neighbouring data sets
//! can lie apart.
//!
//! *Record or person*: a party clips each contribution, sums, scales, and rounds the sum once with [`Rounding::Nearest`] or
//! [`Rounding::Stochastic`]. Rule AC-03 is the authority: the integer sums differ by at most `s C (1 + eta) + sqrt(d)`. For stochastic rounding
//! the argument is a coupling. The law of `floor(v) + Bernoulli(v - floor(v))` is that of `floor(v + u)`, `u` uniform on `[0, 1)` and independent
//! of the data. For every fixed vector `u` the two rounding errors lie in one interval of length one, so the difference moves by at most 1 per
//! coordinate; quasi-convexity of the divergence carries the bound from each `u` to the mixture over `u`. It needs that the coins are fresh for
//! every attempt, independent of the data and never revealed, and that the law is exact, which it is here. It does *not* bound the distance of two
//! sums that were in fact rounded with independent coins: each error lies in `(-1, 1)`, so those differ by up to 2 per coordinate, and an argument
//! by worst case over both must use `s C (1 + eta) + 2 sqrt(d)`.
//!
//! *Party*: a neighbouring data set lacks a party's whole vector, so the sensitivity is the largest norm that an encoded vector can have.
//! [`Rounding::Conditional`] enforces one. It is for this unit only: whether a try is accepted depends on the data, so the coupling above fails,
//! and the sums of two data sets that differ in one record behave like sums rounded with independent coins.

mod bounds;
mod coin;
mod norm;
#[cfg(test)]
mod tests;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::RingError;
pub use bounds::{Segment, noised_sum_bound, sum_bound};
pub use norm::conditional_norm_bound;

/// Tries of [`Rounding::Conditional`] before it falls back. With a bound made for `beta = exp(-1/2)` all of them fail with probability below
/// `2^-92`.
pub const CONDITIONAL_TRIES: u32 = 128;

/// How a scaled real vector becomes integers. The module says which one goes with which unit of privacy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rounding {
    /// To the nearest integer, ties to the even one. Draws nothing.
    Nearest,
    /// `floor(v) + Bernoulli(v - floor(v))`, one coin for each coordinate: unbiased, and exact for every `f64`.
    Stochastic,
    /// Stochastic rounding repeated until the integer vector has at most this L2 norm: for party-level privacy only (Kairouz, Liu, Steinke 2021,
    /// section 4). After [`CONDITIONAL_TRIES`] tries the vector is rounded towards zero, which never raises its norm.
    Conditional {
        /// The largest L2 norm of the result, as from [`conditional_norm_bound`].
        norm: f64,
    },
}

impl Rounding {
    /// Rounds `scaled`, whose unit is the integer step, entry by entry.
    ///
    /// Refuses what is not finite, results of magnitude `2^63` or more, and, for [`Self::Conditional`], a vector that exceeds the norm even when
    /// rounded towards zero: it was not clipped to what the norm was made for.
    pub fn round(self, scaled: &[f64], rng: &mut impl CryptoRng) -> Result<Vec<i64>, RingError> {
        for value in scaled {
            if !value.is_finite() {
                return Err(RingError::NotFinite);
            }
            // Beyond 2^52 every float is an integer, so no rounding reaches 2^63 from below it.
            if value.abs() >= 2f64.powi(63) {
                return Err(RingError::FixedPointOverflow(*value));
            }
        }
        match self {
            Self::Nearest => Ok(scaled
                .iter()
                .map(|v| integer(v.round_ties_even()))
                .collect()),
            Self::Stochastic => Ok(scaled.iter().map(|v| stochastic(*v, rng)).collect()),
            Self::Conditional { norm } => conditional(scaled, norm, rng),
        }
    }
}

fn conditional(scaled: &[f64], norm: f64, rng: &mut impl CryptoRng) -> Result<Vec<i64>, RingError> {
    let square = norm::square_below(norm);
    // Refused first, so that whether a vector is accepted does not depend on the coins.
    let mut integers: Zeroizing<Vec<_>> = scaled
        .iter()
        .map(|v| integer(v.trunc()))
        .collect::<Vec<_>>()
        .into();
    if norm::square_of(&integers) > square {
        return Err(RingError::NormExceeded(norm));
    }
    for _ in 0..CONDITIONAL_TRIES {
        let attempt: Vec<_> = scaled.iter().map(|v| stochastic(*v, rng)).collect();
        let attempt = Zeroizing::new(attempt);
        if norm::square_of(&attempt) <= square {
            integers = attempt;
            break;
        }
    }
    Ok(core::mem::take(&mut *integers))
}

/// On the magnitude: `-v` rounds to the negative of what `v` rounds to, in law, and the fraction of a magnitude is exact where that of a negative
/// number need not be (`1 - 2^-80` is no `f64`).
fn stochastic(value: f64, rng: &mut impl CryptoRng) -> i64 {
    let magnitude = value.abs();
    let whole = magnitude.floor();
    // Exact: both are multiples of the last binary digit of the magnitude, and so is the difference, which is no larger.
    let up = coin::bernoulli(magnitude - whole, rng);
    let rounded = integer(whole) + i64::from(up);
    if value < 0.0 { -rounded } else { rounded }
}

/// The integer that `value` is.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an integer of magnitude below 2^63, checked by the caller"
)]
fn integer(value: f64) -> i64 {
    value as i64
}
