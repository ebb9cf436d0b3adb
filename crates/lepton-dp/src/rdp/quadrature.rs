//! Rényi divergences of the Poisson-sampled continuous Gaussian mechanism at any order above 1 (AC-21).
//!
//! `A = E[(1 - q + q r(X))^a]` over standard normal noise is integrated by the trapezoidal rule, whose error for this integrand has a bound that needs no derivative:
//! in a strip of half width d around the real line the integrand stays below its real-line values times `exp(d^2/2)`.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numeric kernel over tables built here"
)]

use std::f64::consts::PI;

/// Terms smaller than `exp(-CUT)` times the largest are left out, and charged.
const CUT: f64 = 60.0;

/// More nodes than this are not tried: the order is dropped.
const MAX_NODES: f64 = 20_000.0;

/// Relative slack of every result, as in the integer formula.
const RELATIVE_SLACK: f64 = 1e-12;

/// One mechanism, tabulated once for all orders.
pub(super) struct SampledGaussian {
    rate: f64,
    /// One over sigma.
    mu: f64,
    /// Nodes, in standard deviations of the noise, are `low + i * step`.
    low: f64,
    step: f64,
    /// `ln(1 - q + q r)` at the nodes.
    logs: Vec<f64>,
    /// `q (r - 1)` at the nodes.
    small: Vec<f64>,
}

impl SampledGaussian {
    /// Tabulates for orders up to `largest`; nothing where that takes too many nodes.
    pub(super) fn new(rate: f64, sigma: f64, largest: f64) -> Option<Self> {
        let mu = 1.0 / sigma;
        // The divergence's smallness has to be resolved too: A - 1 >= C(a, 2) q^2 mu^2 for a >= 1.01, at least.
        let smallest = libm::log((0.005 * (rate * mu) * (rate * mu)).clamp(1e-300, 1.0));
        let step = spacing(mu, 42.0 - smallest);
        let reach = libm::sqrt(2.0 * (CUT - smallest)) + 1.0;
        let (low, high) = (-reach, largest * mu + reach);
        if (high - low) / step > MAX_NODES {
            return None;
        }
        let nodes = ((high - low) / step).ceil() as usize + 1;
        let ratio_log = |i: usize| mu * ((low + i as f64 * step) - 0.5 * mu);
        let log = |i: usize| {
            let x = ratio_log(i);
            if x > 30.0 {
                x + libm::log(rate) + libm::log1p((1.0 - rate) / rate * libm::exp(-x))
            } else {
                libm::log1p(rate * libm::expm1(x))
            }
        };
        let excess = |i: usize| {
            let x = ratio_log(i);
            rate * libm::expm1(x.min(700.0))
        };
        Some(Self {
            rate,
            mu,
            low,
            step,
            logs: (0..nodes).map(log).collect(),
            small: (0..nodes).map(excess).collect(),
        })
    }

    /// The divergence at `order` > 1, rounded up.
    pub(super) fn rdp(&self, order: f64) -> f64 {
        let nodes = self.nodes(order);
        let exponent = |i: usize| {
            let x = self.low + i as f64 * self.step;
            order * self.logs[i] - 0.5 * x * x
        };
        let largest = (0..nodes).map(exponent).fold(f64::NEG_INFINITY, f64::max);
        let normal = self.step * 0.398_942_280_401_432_7;
        let log_moment = if largest < 2.0 {
            let excess = self.excess(order, nodes) * normal;
            libm::log1p(excess)
        } else {
            let near = |e: f64| {
                if e > largest - CUT {
                    libm::exp(e - largest)
                } else {
                    0.0
                }
            };
            let sum: f64 = (0..nodes).map(|i| near(exponent(i))).sum();
            largest + libm::log(sum * normal)
        };
        let magnitude = largest.abs() + 2.0 * order * self.mu * self.mu * f64::EPSILON;
        let slack = 16.0 * f64::EPSILON * magnitude.max(log_moment);
        let slack = if largest < 2.0 { 0.0 } else { slack };
        ((log_moment + slack) / (order - 1.0) * (1.0 + RELATIVE_SLACK)).max(f64::MIN_POSITIVE)
    }

    /// `sum exp(-x^2/2) ((1+u)^a - 1 - a u)` with `u = q (r - 1)`: `E u = 0`, so that this is A - 1; no term is negative.
    fn excess(&self, order: f64, nodes: usize) -> f64 {
        let term = |i: usize| {
            let x = self.low + i as f64 * self.step;
            let u = self.small[i];
            let weight = libm::exp(-0.5 * x * x);
            if u.abs() * order < 0.05 {
                return second_order(u, order) * weight;
            }
            if order * self.logs[i] < 1.0 {
                return (libm::expm1(order * self.logs[i]) - order * u) * weight;
            }
            let far = x - self.mu;
            let shifted = self.rate * (libm::exp(-0.5 * far * far) - weight);
            libm::exp(order * self.logs[i] - 0.5 * x * x) - weight - order * shifted
        };
        (0..nodes).map(term).sum()
    }

    /// Nodes that an order needs: up to its peak at `a mu` and a tail.
    fn nodes(&self, order: f64) -> usize {
        let high = order * self.mu - 2.0 * self.low;
        (((high - self.low) / self.step).ceil() as usize + 1).min(self.logs.len())
    }
}

/// `(1+u)^a - 1 - a u` for small `a u`, without cancellation.
fn second_order(u: f64, order: f64) -> f64 {
    let terms = (3..=14u32).rev().fold(1.0, |inner, k| {
        1.0 + (order - f64::from(k - 1)) * u / f64::from(k) * inner
    });
    0.5 * order * (order - 1.0) * u * u * terms
}

/// Spacing at which the rule's relative error is below `exp(-digits)`: with half width d (in standard deviations; the integrand has its first singularity at
/// `pi / mu`) the error is at most `2 exp(d^2/2 - 2 pi d / step)` times the integral.
fn spacing(mu: f64, digits: f64) -> f64 {
    let wide = 2.0 * PI / libm::sqrt(2.0 * digits); // d = 2 pi / step, error exp(-d^2/2)
    let limit = PI / mu;
    if 2.0 * PI / wide <= limit {
        wide
    } else {
        2.0 * PI * limit / (digits + 0.5 * limit * limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mpmath, 50 digits (tests/vectors/make_accountants.py).
    #[test]
    fn matches_high_precision() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/accountants_mpmath.json"))
                .unwrap();
        for case in vectors["sampled_gaussian_rdp"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let truth: f64 = case["rdp"].as_str().unwrap().parse().unwrap();
            let table =
                SampledGaussian::new(number("q"), number("sigma"), number("order").max(2.0))
                    .unwrap();
            let ours = table.rdp(number("order"));
            assert!(
                ours >= truth && ours <= truth * (1.0 + 1e-9),
                "{case}: {ours:e} {:e}",
                ours / truth - 1.0
            );
        }
    }

    #[test]
    fn second_order_is_the_binomial_rest() {
        for (u, order) in [(0.01, 1.3), (-0.02, 2.5), (1e-4, 400.5)] {
            let direct = libm::pow(1.0 + u, order) - 1.0 - order * u;
            assert!((second_order(u, order) / direct - 1.0).abs() < 1e-10);
        }
        assert_eq!(second_order(0.01, 2.0), 1e-4);
    }
}
