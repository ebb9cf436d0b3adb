//! The standard normal law: tails, and the exact curve of one Gaussian mechanism.

use std::f64::consts::FRAC_1_SQRT_2;

use super::law::UNIT;

/// `P(X > x)` for `x >= 0`, to a relative error of [`tail_error`].
pub(super) fn tail(x: f64) -> f64 {
    0.5 * libm::erfc(x * FRAC_1_SQRT_2)
}

/// Relative error of [`tail`] at `x`: the rounding of the argument times `2 x^2`, and that of `erfc`.
pub(super) fn tail_error(x: f64) -> f64 {
    (4.0 * x.min(40.0) * x.min(40.0) + 16.0) * UNIT
}

/// Mills ratio `P(X > x) / density(x)`.
fn mills(x: f64) -> f64 {
    if x < 6.0 {
        let root = 1.253_314_137_315_500_3; // sqrt(pi/2)
        return root * libm::exp(0.5 * x * x) * libm::erfc(x * FRAC_1_SQRT_2);
    }
    // Continued fraction 1/(x + 1/(x + 2/(x + ..))), from the inside; 60 levels leave nothing at x >= 6.
    let inner = (1..=60u32)
        .rev()
        .fold(x, |below, k| x + f64::from(k) / below);
    1.0 / inner
}

/// delta of the Gaussian mechanism with shift `mu` (in standard deviations) at `epsilon`, rounded up: `density(z) (mills(z) - mills(z + mu))` with
/// `z = epsilon/mu - mu/2`; the same as `tail(z) - exp(epsilon) tail(z + mu)` (Balle & Wang 2018, theorem 8) without its cancellation.
pub(crate) fn gaussian_delta(mu: f64, epsilon: f64) -> f64 {
    let z = epsilon / mu - 0.5 * mu;
    if z < -6.0 {
        // Nearly one: cancellation does no harm here.
        let plain = 1.0 - tail(-z) - libm::exp(epsilon) * signed_tail(z + mu);
        return (plain + 64.0 * UNIT).min(1.0);
    }
    let density = libm::exp(-0.5 * z * z) * 0.398_942_280_401_432_7;
    let (near, far) = (mills(z), mills(z + mu));
    let slack = (2.0 * z * z + 64.0) * UNIT * (near - far) + 16.0 * UNIT * near;
    density * (near - far + slack)
}

/// `P(X > x)` for any x.
fn signed_tail(x: f64) -> f64 {
    if x >= 0.0 { tail(x) } else { 1.0 - tail(-x) }
}

/// Smallest epsilon, rounded up, at which [`gaussian_delta`] is at most `delta`; 0 where none is needed.
pub(crate) fn gaussian_epsilon(mu: f64, delta: f64) -> f64 {
    let meets = |epsilon: f64| gaussian_delta(mu, epsilon) <= delta;
    if meets(0.0) {
        return 0.0;
    }
    let mut high = 0.5 * mu * mu + mu; // doubled until it meets
    let mut low = 0.0;
    while !meets(high) {
        low = high;
        high *= 2.0;
    }
    while high - low > 2.0 * UNIT * high {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if meets(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 digits from mpmath (tests/vectors/dp_accounting.json).
    #[test]
    fn matches_high_precision() {
        let cases = [
            (2.0, 1e-5, 9.997_256_146_434_3),
            (1.0, 1e-10, 6.547_924_066_864_951),
            (0.02, 1e-3, 0.025_231_749_149_958_765),
            (1000f64.sqrt() / 30.0, 1e-6, 5.189_036_640_821_886),
        ];
        for (mu, delta, truth) in cases {
            let ours = gaussian_epsilon(mu, delta);
            assert!((ours / truth - 1.0).abs() < 2e-12, "{mu} {ours} {truth}");
        }
        let ours = gaussian_delta(1.0, 0.5);
        assert!((ours / 0.238_421_708_134_876_63 - 1.0).abs() < 1e-13);
        assert_eq!(gaussian_epsilon(1e-9, 0.5), 0.0);
    }

    #[test]
    fn branches_meet() {
        assert!((mills(6.0) / mills(6.0f64.next_down()) - 1.0).abs() < 1e-13);
        let (left, right) = (
            gaussian_delta(14.0, 14.0),
            gaussian_delta(14.0, 14.0 + 1e-9),
        );
        assert!((left - right).abs() < 1e-9);
    }
}
