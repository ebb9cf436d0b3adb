//! Clipping a whole update, for the party as unit of privacy (DP-FedAvg).

use super::{ClipNorm, ROUNDOFF};

/// Scales `update` down to Euclidean norm at most `clip`, in real arithmetic (rule DP-15), and says whether it had to. An
/// update whose squared norm is not finite becomes zero. One party's contribution to a sum of such updates is then at most
/// `clip`; with fixed-point encoding of scale `s` and rounding to nearest, `s * clip + sqrt(d) / 2`.
pub fn clip_update(update: &mut [f64], clip: ClipNorm) -> bool {
    let square: f64 = update.iter().map(|v| v * v).sum::<f64>() + f64::MIN_POSITIVE.sqrt();
    // One rounding a term and its square, five for root, inflation, division and scaling; doubled for the second order.
    let norm = square.sqrt() * (1.0 + 2.0 * (update.len() + 8) as f64 * ROUNDOFF);
    if norm <= clip.get() {
        return false;
    }
    if norm.is_finite() {
        let weight = clip.get() / norm;
        for value in update.iter_mut() {
            let scaled = *value * weight;
            // Below the normal range rounding is not relative.
            *value = if scaled.abs() < f64::MIN_POSITIVE {
                0.0
            } else {
                scaled
            };
        }
    } else {
        update.fill(0.0);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// DP-15, at scales from 1e-300 to 1e150, with the norm in twice the precision.
        #[test]
        fn the_norm_is_at_most_the_clip(values in proptest::collection::vec(-1.0_f64..1.0, 1..200), power in -300_i32..150, clip in 1e-9_f64..1e9) {
            let scale = 10_f64.powi(power);
            let mut update: Vec<f64> = values.iter().map(|v| v * scale).collect();
            let before = update.clone();
            let clip = ClipNorm::new(clip).unwrap();
            let clipped = clip_update(&mut update, clip);
            // Error-free squares: each as a sum of two floats; what is dropped is below 1e-30 of the total.
            let (mut high, mut low) = (0.0_f64, 0.0_f64);
            for v in &update {
                let v = v / clip.get();
                let square = v * v;
                let sum = high + square;
                low += (square - (sum - high)) + v.mul_add(v, -square);
                high = sum;
            }
            prop_assert!((high - 1.0) + low <= 4.0 * f64::EPSILON, "{high} {low}");
            prop_assert!(clipped || update == before);
        }
    }

    #[test]
    fn unusable_updates_become_zero() {
        let clip = ClipNorm::new(1.0).unwrap();
        for bad in [f64::NAN, f64::INFINITY, 1e200] {
            let mut update = [bad, 1.0];
            assert!(clip_update(&mut update, clip));
            assert_eq!(update, [0.0, 0.0]);
        }
    }

    #[test]
    fn small_updates_stay() {
        let mut update = [0.6, 0.7];
        assert!(!clip_update(&mut update, ClipNorm::new(1.0).unwrap()));
        assert_eq!(update, [0.6, 0.7]);
    }
}
