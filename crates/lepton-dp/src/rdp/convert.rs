//! Rényi divergence of a real order to (epsilon, delta), rounded up (AC-10, AC-22).

/// Relative error allowed for in the sums below; each has a handful of roundings.
const SLACK: f64 = 16.0 * f64::EPSILON;

/// Below this order the conversion is not used: it loses its digits and shows little.
const LEAST_ORDER: f64 = 1.005;

/// The epsilon that a divergence of `order` shows at `delta`; 0 also where the divergence alone bounds the total variation distance by `delta`
/// (Bretagnolle and Huber: at most `sqrt(1 - exp(-KL))`, and no order's divergence is below KL).
pub(crate) fn epsilon_at(order: f64, rdp: f64, delta: f64) -> f64 {
    let spare = delta * delta * (1.0 - SLACK) + libm::expm1(-rdp) * (1.0 + SLACK);
    if rdp <= 0.0 || spare > 0.0 {
        return 0.0;
    }
    if order < LEAST_ORDER || !rdp.is_finite() {
        return f64::INFINITY;
    }
    let rest = order - 1.0;
    let parts = [
        rdp,
        libm::log1p(-1.0 / order),
        -libm::log(delta) / rest,
        -libm::log(order) / rest,
    ];
    (parts.iter().sum::<f64>() + magnitude(&parts) * SLACK).max(0.0)
}

/// The delta that a divergence of `order` shows at `epsilon`.
pub(crate) fn delta_at(order: f64, rdp: f64, epsilon: f64) -> f64 {
    if rdp <= 0.0 {
        return 0.0;
    }
    let plain = (-libm::expm1(-rdp)).sqrt() * (1.0 + SLACK);
    if order < LEAST_ORDER || !rdp.is_finite() {
        return plain.min(1.0);
    }
    let rest = order - 1.0;
    let parts = [
        rest * rdp,
        -rest * epsilon,
        rest * libm::log1p(-1.0 / order),
        -libm::log(order),
    ];
    let log_delta = parts.iter().sum::<f64>() + magnitude(&parts) * SLACK;
    (libm::exp(log_delta) * (1.0 + SLACK)).min(plain)
}

fn magnitude(parts: &[f64]) -> f64 {
    parts.iter().map(|part| part.abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortcut to 0 is not taken where `sqrt(1 - exp(-rdp))` is above delta, by however little: the first float above `-ln(1 - delta^2)` (mpmath, 300 bits).
    #[test]
    fn the_shortcut_rounds_outward() {
        for (delta, rdp) in [
            (0.628_064_926_639_201, 0.501_643_825_905_040_2),
            (0.854_150_220_969_440_8, 1.307_751_608_520_030_3),
            (0.893_406_163_585_079_8, 1.600_352_178_662_097_8),
        ] {
            assert!(epsilon_at(1.01, rdp, delta) > 0.0, "{delta}");
            assert_eq!(epsilon_at(1.01, rdp * (1.0 - 1e-13), delta), 0.0, "{delta}");
        }
    }
}
