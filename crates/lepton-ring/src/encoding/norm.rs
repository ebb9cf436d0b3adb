//! The norm of a conditionally rounded vector.

/// The L2 norm that stochastic rounding of a `dims`-dimensional vector of norm at most `scaled_clip` exceeds with probability at most `beta`: the
/// square root of `min { (c + sqrt(d))^2, c^2 + d/4 + sqrt(2 ln(1/beta)) (c + sqrt(d)/2) }` (Kairouz, Liu, Steinke 2021, *The distributed discrete
/// Gaussian mechanism*, section 4, in units of the integer step), rounded up.
///
/// A `beta` outside `(0, 1)` gives the first bound, which holds always; a `scaled_clip` that is negative or not a number gives infinity.
#[must_use]
pub fn conditional_norm_bound(scaled_clip: f64, dims: usize, beta: f64) -> f64 {
    if scaled_clip.is_nan() || scaled_clip < 0.0 {
        return f64::INFINITY;
    }
    // Nearest rounding is off by less than one step of the last digit: the next number up is above the exact value.
    let up = f64::next_up;
    let d = up(dims as f64);
    let root = up(d.sqrt());
    let always = up(scaled_clip + root);
    if !(beta > 0.0 && beta < 1.0) {
        return always;
    }
    // The logarithm is off by less than one step (libm, the same on every platform).
    let deviation = up((2.0 * up(-libm::log(beta))).sqrt());
    let likely =
        up(up(up(scaled_clip * scaled_clip) + d / 4.0)
            + up(deviation * up(scaled_clip + root / 2.0)));
    always.min(up(likely.sqrt()))
}

/// The largest integer whose root is at most `norm`; negative norms and NaN admit nothing but the zero vector.
pub(super) fn square_below(norm: f64) -> u128 {
    let norm = norm.max(0.0);
    let square = norm * norm;
    // The exact error of the product decides whether it was rounded up.
    let square = if norm.mul_add(norm, -square) < 0.0 {
        square.next_down()
    } else {
        square
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the integer part of a non-negative number is wanted; the cast stops at the largest integer"
    )]
    let floor = square as u128;
    floor
}

/// The sum of the squares; stops at the largest integer.
pub(super) fn square_of(integers: &[i64]) -> u128 {
    integers.iter().fold(0, |sum, v| {
        let magnitude = u128::from(v.unsigned_abs());
        sum.saturating_add(magnitude * magnitude)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: c = 10, d = 4, ln(1/beta) = 1/2: min { 12^2, 100 + 1 + 1 * 11 } = 112.
    #[test]
    fn bound_by_hand() {
        let bound = conditional_norm_bound(10.0, 4, (-0.5f64).exp());
        assert!(bound >= 112f64.sqrt() && bound < 112f64.sqrt() + 1e-13);
        // Where the certain bound is smaller: c = 1, d = 1, beta tiny.
        let bound = conditional_norm_bound(1.0, 1, 1e-300);
        assert!((2.0..2.0 + 1e-14).contains(&bound));
    }

    #[test]
    fn without_meaning_it_is_the_larger() {
        for beta in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
            let bound = conditional_norm_bound(3.0, 16, beta);
            assert!((7.0..7.0 + 1e-14).contains(&bound), "{beta}");
        }
        for clip in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(conditional_norm_bound(clip, 16, 0.5), f64::INFINITY);
        }
    }

    #[test]
    fn squares_are_rounded_down() {
        assert_eq!(square_below(5.0), 25);
        assert_eq!(square_below(5.0f64.next_down()), 24);
        // sqrt(2) as f64 is above the root, its square as f64 is above 2: the exact square is, too.
        assert_eq!(square_below(2f64.sqrt()), 2);
        // sqrt(3) as f64 is below the root of 3.
        assert_eq!(square_below(3f64.sqrt()), 2);
        // 94906267^2 = 9007199515875289 is odd and above 2^53: the product is rounded, the square must not exceed it.
        assert!(square_below(94_906_267.0) <= 9_007_199_515_875_289);
        assert_eq!(square_below(f64::NAN), 0);
        assert_eq!(square_below(-3.0), 0);
        assert_eq!(square_below(f64::INFINITY), u128::MAX);
        assert_eq!(square_of(&[i64::MIN, i64::MIN, 3]), (1 << 127) + 9);
        assert_eq!(square_of(&[i64::MIN; 5]), u128::MAX);
    }
}
