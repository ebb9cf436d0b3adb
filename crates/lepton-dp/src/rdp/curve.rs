//! Rényi divergences of single events, rounded up (AC-04 to AC-08).

use crate::{NoiseMultiplier, SamplingRate};

/// Relative slack added to every result: covers the rounding of sums of 1,023 positive terms, of exp and of log (AC-08).
const RELATIVE_SLACK: f64 = 1e-12;

/// Absolute slack of a term's logarithm per unit of the magnitudes added up in it: 16 roundings.
const LOG_SLACK: f64 = 8.0 * f64::EPSILON;

/// Larger noise multipliers are treated as this one, which can only raise the result and keeps squares in range.
const LARGEST: f64 = 1e100;

/// Gaussian mechanism: `order / (2 z^2)` (Mironov 2017, corollary 3), exact for discrete noise and integer shifts too (AC-04).
pub(super) fn gaussian(order: f64, noise_multiplier: NoiseMultiplier) -> f64 {
    let z = noise_multiplier.get().min(LARGEST);
    round_up(order / (2.0 * z * z))
}

/// Poisson-sampled Gaussian mechanism under add-remove (Mironov, Talwar, Zhang 2019, section 3.3):
/// `ln(A) / (order - 1)` with `A = sum_k C(order, k) (1-q)^(order-k) q^k exp(k (k-1) / (2 z^2))`.
///
/// The binomial weights add up to one, so `A - 1` is the same sum over `k >= 2` with `expm1` for `exp`: all terms are
/// positive and small divergences keep their digits.
pub(super) fn sampled_gaussian(
    order: u32,
    rate: SamplingRate,
    noise_multiplier: NoiseMultiplier,
) -> f64 {
    if rate.get() >= 1.0 {
        return gaussian(f64::from(order), noise_multiplier);
    }
    let z = noise_multiplier.get().min(LARGEST);
    let mut logs = Vec::with_capacity(order as usize);
    let mut binomial = f64::from(order);
    for k in 2..=order {
        binomial *= f64::from(order - k + 1) / f64::from(k);
        logs.push(log_term(Term { order, k, binomial }, rate.get(), z));
    }
    let excess = log_sum_exp(&logs);
    round_up(softplus(excess) / f64::from(order - 1))
}

struct Term {
    order: u32,
    k: u32,
    binomial: f64,
}

/// Upper bound on `ln(C(order, k) (1-q)^(order-k) q^k expm1(k (k-1) / (2 z^2)))`, close to it.
fn log_term(term: Term, rate: f64, z: f64) -> f64 {
    let Term { order, k, binomial } = term;
    let parts = [
        libm::log(binomial),
        f64::from(order - k) * libm::log1p(-rate),
        f64::from(k) * libm::log(rate),
        log_expm1(f64::from(k) * f64::from(k - 1) / (2.0 * z * z)),
    ];
    // The binomial coefficient is a product of 2 k rounded factors.
    let slack = f64::from(2 * k) * f64::EPSILON
        + parts.iter().map(|part| part.abs()).sum::<f64>() * LOG_SLACK;
    parts.iter().sum::<f64>() + slack
}

/// `ln(exp(x) - 1)` for positive x.
fn log_expm1(x: f64) -> f64 {
    if x > 1.0 {
        x + libm::log1p(-libm::exp(-x))
    } else {
        libm::log(libm::expm1(x))
    }
}

/// `ln(sum of exp)`.
fn log_sum_exp(logs: &[f64]) -> f64 {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest + libm::log(logs.iter().map(|log| libm::exp(log - largest)).sum())
}

/// `ln(1 + exp(x))`.
fn softplus(x: f64) -> f64 {
    if x > 0.0 {
        x + libm::log1p(libm::exp(-x))
    } else {
        libm::log1p(libm::exp(x))
    }
}

/// Outward: the true value is not zero, so neither is the result.
pub(super) fn round_up(value: f64) -> f64 {
    (value * (1.0 + RELATIVE_SLACK)).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(rate: f64, z: f64) -> (SamplingRate, NoiseMultiplier) {
        (
            SamplingRate::new(rate).unwrap(),
            NoiseMultiplier::new(z).unwrap(),
        )
    }

    /// AC-08 against mpmath at 4,000 bits: never below, at most 1e-9 above (relative).
    #[test]
    fn matches_high_precision() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/mpmath.json")).unwrap();
        for case in vectors["rdp"].as_array().unwrap() {
            let (rate, z) = units(case["q"].as_f64().unwrap(), case["z"].as_f64().unwrap());
            let order = u32::try_from(case["order"].as_u64().unwrap()).unwrap();
            let truth: f64 = case["rdp"].as_str().unwrap().parse().unwrap();
            let ours = sampled_gaussian(order, rate, z);
            assert!(
                ours >= truth && ours <= truth * (1.0 + 1e-9),
                "{case}: {ours:e}"
            );
        }
    }

    #[test]
    fn extremes_stay_outward() {
        let (rate, tiny) = units(0.5, 1e-200);
        assert_eq!(sampled_gaussian(2, rate, tiny), f64::INFINITY);
        assert_eq!(gaussian(2.0, tiny), f64::INFINITY);
        let (rate, huge) = units(1e-300, 1e300);
        assert!(sampled_gaussian(1024, rate, huge) > 0.0);
        assert!(gaussian(1024.0, huge) > 0.0);
    }

    proptest! {
        /// Sampling never costs more than not sampling; more noise and lower rates never cost more.
        #[test]
        fn monotone(rate in 1e-6f64..0.999, z in 0.1f64..50.0, order in 2u32..70) {
            let (q, multiplier) = units(rate, z);
            let here = sampled_gaussian(order, q, multiplier);
            prop_assert!(here <= gaussian(f64::from(order), multiplier) * (1.0 + 1e-10));
            let (less, quieter) = units(rate * 0.9, z * 1.1);
            prop_assert!(sampled_gaussian(order, less, multiplier) < here);
            prop_assert!(sampled_gaussian(order, q, quieter) < here);
        }
    }
}
