//! Trade-off curves of hypothesis tests (f-DP; Dong, Roth, Su 2022; AC-25).

use crate::compose::AccountError;
use crate::pld::Pld;

/// One point of a curve: whoever wants to tell two neighbouring data sets apart with at most this type I error has at least this type II error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// Probability of a false alarm.
    pub type_one: f64,
    /// Lower bound on the probability of a miss.
    pub type_two: f64,
}

/// How many (epsilon, delta) pairs support a curve.
const SUPPORTS: u32 = 32;

/// The trade-off curve at the given type I errors, never above the true one: the best of the lines that (epsilon, delta) pairs of `pld` imply
/// (Wasserman & Zhou 2010; Dong, Roth, Su 2022).
///
/// # Errors
/// As [`Pld::delta`].
pub fn curve(pld: &Pld, type_one: &[f64]) -> Result<Vec<Errors>, AccountError> {
    let supports = supports(pld)?;
    let at = |alarm: &f64| {
        let alarm = alarm.clamp(0.0, 1.0);
        let lines = supports
            .iter()
            .map(|(epsilon, delta)| least_miss(alarm, *epsilon, *delta));
        Errors {
            type_one: alarm,
            type_two: lines.fold(0.0, f64::max),
        }
    };
    Ok(type_one.iter().map(at).collect())
}

/// Pairs spread evenly up to the epsilon at which delta is 1e-9.
fn supports(pld: &Pld) -> Result<Vec<(f64, f64)>, AccountError> {
    let largest = pld.epsilon(crate::Delta::new(1e-9)?)?.get();
    let pair = |i: u32| {
        let epsilon = largest * f64::from(i) / f64::from(SUPPORTS);
        Ok((epsilon, pld.delta(epsilon)?.get()))
    };
    (0..=SUPPORTS).map(pair).collect()
}

/// `max(0, 1 - delta - e^epsilon alarm, e^-epsilon (1 - delta - alarm))`, rounded down.
#[must_use]
pub fn least_miss(alarm: f64, epsilon: f64, delta: f64) -> f64 {
    let steep = 1.0 - delta - libm::exp(epsilon) * alarm * (1.0 + 4.0 * f64::EPSILON);
    let flat = libm::exp(-epsilon) * (1.0 - delta - alarm);
    ((steep.max(flat)) * (1.0 - 8.0 * f64::EPSILON) - 4.0 * f64::EPSILON).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Adjacency;
    use crate::SamplingRate;
    use crate::compose::{Charge, Noise, Plan};

    /// The Gaussian mechanism's curve is known: `tail(quantile(alarm) + ..)`; at alarm = tail(mu/2) both errors are equal.
    #[test]
    fn gaussian_is_close_and_below() {
        let noise = Noise::Gaussian { sigma: 1.0 };
        let plan = Plan {
            adjacency: Adjacency::AddRemove,
            charges: vec![Charge::new(noise, SamplingRate::ALL, 1).unwrap()],
            tuned: Vec::new(),
        };
        let pld = Pld::new(&plan).unwrap();
        // tail(1/2), tail(1) and tail(0), whose misses are tail(1/2), tail(0), tail(1).
        let (half, one) = (0.308_537_538_725_986_9, 0.158_655_253_931_457_05);
        let found = curve(&pld, &[half, one, 0.5, 0.0, 1.0]).unwrap();
        for (errors, truth) in found.iter().zip([half, 0.5, one, 1.0, 0.0]) {
            assert!(
                errors.type_two <= truth && errors.type_two >= truth - 2e-3,
                "{errors:?} {truth}"
            );
        }
    }

    #[test]
    fn lines() {
        assert_eq!(least_miss(1.0, 1.0, 0.0), 0.0);
        assert!((least_miss(0.0, 1.0, 0.1) - 0.9).abs() < 1e-12);
    }
}
