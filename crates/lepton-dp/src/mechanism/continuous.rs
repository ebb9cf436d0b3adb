//! The analytic Gaussian mechanism: the exact (epsilon, delta) curve of one release with *continuous* Gaussian noise (Balle, Wang 2018, theorem 8
//! and algorithm 1).
//!
//! This product draws discrete Gaussian noise, for which the curve is **not** a proven bound (ME-05): use it to compare and to plan, and an
//! accountant for what is stated. With the noise multiplier `z` it reads
//! `delta = Phi(1/(2z) - epsilon z) - e^epsilon Phi(-1/(2z) - epsilon z)`.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

use crate::{Delta, DpError, Epsilon, NoiseMultiplier};

/// Factor that covers the relative error of [`curve`]: below 1e-13 (ME-05).
const UPWARDS: f64 = 1.0 + 2e-13;

/// Delta of one release at `epsilon`, rounded up: within 1e-12 (relative) above the true value.
#[must_use]
pub fn analytic_gaussian_delta(epsilon: Epsilon, noise_multiplier: NoiseMultiplier) -> f64 {
    delta_up(epsilon.get(), noise_multiplier.get())
}

/// Smallest epsilon of one release at `delta`, rounded up; 0 where delta alone is enough.
#[must_use]
pub fn analytic_gaussian_epsilon(delta: Delta, noise_multiplier: NoiseMultiplier) -> f64 {
    let z = noise_multiplier.get();
    let meets = |epsilon: f64| delta_up(epsilon, z) <= delta.get();
    if meets(0.0) {
        return 0.0;
    }
    // The loss is normal with mean 1/(2 z^2) and deviation 1/z: forty deviations leave no delta that `f64` can hold.
    smallest(0.5 / (z * z) + 40.0 / z, meets)
}

/// Smallest sigma with which one release of a value of the given L2 sensitivity is (epsilon, delta) private, rounded up.
///
/// # Errors
/// [`DpError::OutOfRange`] when the sensitivity is not positive, or sigma no finite number.
pub fn analytic_gaussian_sigma(
    epsilon: Epsilon,
    delta: Delta,
    sensitivity: f64,
) -> Result<f64, DpError> {
    let refuse = |what, range, value| Err(DpError::OutOfRange { what, range, value });
    if !(sensitivity > 0.0 && sensitivity.is_finite()) {
        return refuse("the sensitivity", "finite and more than 0", sensitivity);
    }
    let z = smallest(1.0, |z| delta_up(epsilon.get(), z) <= delta.get());
    let sigma = (z * sensitivity).next_up();
    if !sigma.is_finite() {
        return refuse("sigma", "finite: ask for more epsilon or delta", sigma);
    }
    Ok(sigma)
}

/// Smallest number that meets, by bisection to the last digit; `start` is where to look first. What meets also meets above. Infinity if none does.
fn smallest(start: f64, meets: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (start, start);
    while !meets(high) {
        low = high;
        high *= 2.0;
        if high > 1e300 {
            return f64::INFINITY;
        }
    }
    while low == high || meets(low) {
        high = low;
        low *= 0.5;
        if low < 1e-300 {
            return high;
        }
    }
    while high - low > 2.0 * f64::EPSILON * low {
        let middle = low.midpoint(high);
        if meets(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Beyond so many standard deviations nothing is left that `f64` can hold.
const FAR: f64 = 40.0;

/// The curve, rounded up and at most 1.
fn delta_up(epsilon: f64, z: f64) -> f64 {
    let (x, _) = point(epsilon, z);
    if x > FAR {
        return f64::MIN_POSITIVE;
    }
    let delta = curve(epsilon, z) * UPWARDS;
    // Below -FAR delta is 1 less than 1e-300; and what overflowed on the way shows no privacy at all.
    if x < -FAR || delta.is_nan() {
        1.0
    } else {
        delta.clamp(f64::MIN_POSITIVE, 1.0)
    }
}

/// The curve without its cancellation. With `m` the Mills ratio (tail over density) and `x = epsilon z - 1/(2z)` it is
/// `density(x) (m(x) - m(x + 1/z))`, since `e^epsilon density(x + 1/z) = density(x)`; and `-m' = 1 - x m` is positive and smooth.
fn curve(epsilon: f64, z: f64) -> f64 {
    let mu = 1.0 / z;
    let (x, rest) = point(epsilon, z);
    let far = epsilon * z + 0.5 * mu;
    if x < 0.0 && mu >= 1.0 {
        return 0.5 * libm::erfc(x * FRAC_1_SQRT_2) - density(x, rest) * mills(far);
    }
    let fall = if mu >= 1.0 {
        mills(x) - mills(far)
    } else {
        integrate(x, mu)
    };
    density(x, rest) * fall
}

/// `epsilon z - 1/(2z)` as a number and the rest that it leaves: both summands are computed with their rounding errors.
fn point(epsilon: f64, z: f64) -> (f64, f64) {
    let (product, quotient) = (epsilon * z, 0.5 / z);
    let product_rest = epsilon.mul_add(z, -product);
    let quotient_rest = quotient.mul_add(-z, 0.5) / z;
    let sum = product - quotient;
    let back = sum - product;
    let sum_rest = (product - (sum - back)) - (quotient + back);
    (sum, sum_rest + product_rest - quotient_rest)
}

/// Standard normal density at `x + rest`.
fn density(x: f64, rest: f64) -> f64 {
    let square = x * x;
    let square_rest = x.mul_add(x, -square);
    let correction = 0.5 * square_rest + x * rest;
    libm::exp(-0.5 * square) * (1.0 - correction) / libm::sqrt(2.0 * PI)
}

/// Where the continued fraction takes over.
const FRACTION_FROM: f64 = 3.0;

/// Mills ratio `P(X > x) / density(x)`, `x >= -1`.
fn mills(x: f64) -> f64 {
    if x < FRACTION_FROM {
        libm::sqrt(0.5 * PI) * libm::exp(0.5 * x * x) * libm::erfc(x / SQRT_2)
    } else {
        1.0 / (x + inner(x))
    }
}

/// `1 - x mills(x)`, the fall of the Mills ratio, without cancellation.
fn mills_fall(x: f64) -> f64 {
    if x < FRACTION_FROM {
        1.0 - x * mills(x)
    } else {
        let inner = inner(x);
        inner / (x + inner)
    }
}

/// `1/(x + 2/(x + 3/(x + ..)))`: Laplace's continued fraction of the Mills ratio is `1/(x + inner)`. At `x >= 3` eighty levels leave less than 1e-30.
fn inner(x: f64) -> f64 {
    (2..=80u32)
        .rev()
        .fold(x, |below, k| x + f64::from(k) / below)
        .recip()
}

/// The integral of [`mills_fall`] from `x` to `x + mu`, `mu < 1`: Gauss-Legendre with twelve points, exact to the last digits for a function this smooth.
fn integrate(x: f64, mu: f64) -> f64 {
    const POINTS: [(f64, f64); 6] = [
        (0.981_560_634_246_719_3, 0.047_175_336_386_511_83),
        (0.904_117_256_370_474_9, 0.106_939_325_995_318_43),
        (0.769_902_674_194_304_7, 0.160_078_328_543_346_23),
        (0.587_317_954_286_617_4, 0.203_167_426_723_065_9),
        (0.367_831_498_998_180_2, 0.233_492_536_538_354_8),
        (0.125_233_408_511_468_9, 0.249_147_045_813_402_8),
    ];
    let (middle, half) = (x + 0.5 * mu, 0.5 * mu);
    let pair =
        |(at, weight)| weight * (mills_fall(middle - half * at) + mills_fall(middle + half * at));
    half * POINTS.into_iter().map(pair).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/vectors/mechanisms.json")).unwrap()
    }

    fn number(case: &Value, key: &str) -> f64 {
        match &case[key] {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_f64().unwrap(),
        }
    }

    /// ME-05: against mpmath, never below (but for the rounding of the reference to `f64`) and within 1e-12.
    #[test]
    fn matches_high_precision() {
        let vectors = vectors();
        let check = |ours: f64, truth: f64, case: &Value| {
            let above = ours / truth - 1.0;
            assert!(
                (-1.2e-16..1e-12).contains(&above) || ours == truth,
                "{case}: {above:e}"
            );
        };
        for case in vectors["delta"].as_array().unwrap() {
            let ours = delta_up(number(case, "epsilon"), number(case, "noise_multiplier"));
            check(ours, number(case, "delta"), case);
        }
        for case in vectors["epsilon"].as_array().unwrap() {
            let delta = Delta::new(number(case, "delta")).unwrap();
            let z = NoiseMultiplier::new(number(case, "noise_multiplier")).unwrap();
            check(
                analytic_gaussian_epsilon(delta, z),
                number(case, "epsilon"),
                case,
            );
        }
        for case in vectors["sigma"].as_array().unwrap() {
            let epsilon = Epsilon::new(number(case, "epsilon")).unwrap();
            let delta = Delta::new(number(case, "delta")).unwrap();
            let ours = analytic_gaussian_sigma(epsilon, delta, 1.0).unwrap();
            check(ours, number(case, "sigma"), case);
        }
    }

    /// Twin: the classical calibration `sqrt(2 ln(1.25/delta)) / epsilon` (Dwork, Roth 2014) fails above epsilon 1, and the curve shows it.
    #[test]
    fn the_classical_calibration_fails_for_large_epsilon() {
        let delta = 1e-5;
        let classical = |epsilon: f64| (2.0 * (1.25f64 / delta).ln()).sqrt() / epsilon;
        assert!(delta_up(0.9, classical(0.9)) <= delta);
        assert!(delta_up(20.0, classical(20.0)) > delta);
    }

    #[test]
    fn extremes() {
        let (tiny, huge) = (1e-300, 1e300);
        for (epsilon, z) in [
            (tiny, tiny),
            (tiny, huge),
            (huge, tiny),
            (huge, huge),
            (1.0, tiny),
        ] {
            let delta = delta_up(epsilon, z);
            assert!(delta > 0.0 && delta <= 1.0, "{epsilon:e} {z:e} {delta}");
        }
        // Hardly any noise hides nothing, endless noise everything.
        for z in [1e-3, 1e-100, tiny] {
            assert!(delta_up(1.0, z) > 1.0 - 1e-15, "{z:e}");
        }
        assert!(delta_up(1.0, 1e5) < 1e-300 && delta_up(1.0, huge) < 1e-300);
        let (epsilon, delta) = (Epsilon::new(1.0).unwrap(), Delta::new(1e-5).unwrap());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(analytic_gaussian_sigma(epsilon, delta, bad).is_err());
        }
        assert!(analytic_gaussian_sigma(epsilon, delta, 1e308).is_err());
    }

    proptest! {
        #[test]
        fn monotone_and_consistent(epsilon in 1e-3f64..30.0, z in 0.05f64..50.0) {
            let delta = delta_up(epsilon, z);
            prop_assert!(delta_up(epsilon * 1.01, z) <= delta);
            prop_assert!(delta_up(epsilon, z * 1.01) <= delta);
            if (1e-200..0.5).contains(&delta) {
                let (epsilon, asked) = (Epsilon::new(epsilon).unwrap(), Delta::new(delta).unwrap());
                let sigma = analytic_gaussian_sigma(epsilon, asked, 3.0).unwrap();
                prop_assert!((sigma / (3.0 * z) - 1.0).abs() < 1e-11);
                let back = analytic_gaussian_epsilon(asked, NoiseMultiplier::new(z).unwrap());
                prop_assert!(back <= epsilon.get() * (1.0 + 1e-15));
            }
        }
    }
}
