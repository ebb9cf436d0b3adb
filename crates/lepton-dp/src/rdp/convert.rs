//! Rényi divergence of a real order to (epsilon, delta), rounded up (AC-10, AC-22).

/// Relative error allowed for in the sums below; each has a handful of roundings.
const SLACK: f64 = 16.0 * f64::EPSILON;

/// Below this order the conversion is not used: it loses its digits and shows little.
const LEAST_ORDER: f64 = 1.005;

/// The epsilon that a divergence of `order` shows at `delta`; 0 also where the divergence alone bounds the total variation distance by `delta`
/// (Bretagnolle and Huber: at most `sqrt(1 - exp(-KL))`, and no order's divergence is below KL).
pub(crate) fn epsilon_at(order: f64, rdp: f64, delta: f64) -> f64 {
    if rdp <= 0.0 || delta * delta + libm::expm1(-rdp) > 0.0 {
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
