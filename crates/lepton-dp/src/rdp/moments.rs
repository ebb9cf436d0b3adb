//! Rényi divergences of mechanisms with bounded loss, from their loss law on a fine grid that never has less loss than the true one (AC-16, AC-22).

use crate::Adjacency;
use crate::compose::{AccountError, Charge};
use crate::pld::law::{Direction, Law};
use crate::pld::{Rounding, grid_points};

/// Grid points over the range of losses.
const POINTS: f64 = 20_000.0;

/// The worse direction's divergence at each order.
pub(super) fn divergences(
    charge: &Charge,
    adjacency: Adjacency,
    orders: &[f64],
) -> Result<Vec<f64>, AccountError> {
    let mut worst = vec![0.0f64; orders.len()];
    for direction in Direction::of(adjacency) {
        let law = Law::of(charge, *direction, f64::MIN_POSITIVE)?;
        let points = law_points(&law);
        for (rdp, order) in worst.iter_mut().zip(orders) {
            *rdp = rdp.max(divergence(&points, *order));
        }
    }
    Ok(worst)
}

/// Losses and masses: the atoms themselves, or the grid.
fn law_points(law: &Law) -> Vec<(f64, f64)> {
    if let Law::Atoms(law) = law {
        return law
            .atoms
            .iter()
            .map(|atom| (atom.loss, atom.mass))
            .collect();
    }
    let (low, high) = law.range(f64::MIN_POSITIVE);
    grid_points(law, (high - low) / POINTS, Rounding::ConnectTheDots)
}

/// `ln(1 + sum m expm1((a-1) L)) / (a-1)`: the masses add up to 1, so that small divergences keep their digits. Masses exceed the true ones
/// by less than 128 roundings, which the slack covers.
fn divergence(points: &[(f64, f64)], order: f64) -> f64 {
    let rest = order - 1.0;
    let largest = points
        .iter()
        .map(|(loss, _)| rest * loss)
        .fold(0.0, f64::max);
    if largest > 30.0 {
        let sum: f64 = points
            .iter()
            .map(|(loss, mass)| mass * libm::exp(rest * loss - largest))
            .sum();
        return (largest + libm::log(sum)) / rest * (1.0 + 1e-12);
    }
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for (loss, mass) in points {
        let term = mass * libm::expm1(rest * loss);
        sum += term;
        magnitude += term.abs();
    }
    let slack = 512.0 * f64::EPSILON * magnitude;
    (libm::log1p(sum + slack) / rest * (1.0 + 1e-12)).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SamplingRate;
    use crate::compose::Noise;

    fn at(noise: Noise, rate: f64, adjacency: Adjacency, order: f64) -> f64 {
        let charge = Charge::new(noise, SamplingRate::new(rate).unwrap(), 1).unwrap();
        divergences(&charge, adjacency, &[order]).unwrap()[0]
    }

    /// Against Mironov's formulas (2017, propositions 5 and 6).
    #[test]
    fn closed_forms() {
        let laplace = at(
            Noise::Laplace { scale: 1.0 },
            1.0,
            Adjacency::AddRemove,
            2.0,
        );
        assert!(
            (0.619_123_629_998_592..0.619_123_73).contains(&laplace),
            "{laplace}"
        );
        let noise = Noise::RandomisedResponse {
            probability: 0.5,
            categories: 2,
        };
        let response = at(noise, 1.0, Adjacency::ReplaceOne, 3.0);
        let (p, q) = (0.75f64, 0.25f64);
        let formula = (p.powi(3) * q.powi(-2) + q.powi(3) * p.powi(-2)).ln() / 2.0;
        assert!((response / formula - 1.0).abs() < 1e-11 && response >= formula * (1.0 - 1e-15));
    }

    /// Sampled Laplace noise against direct integration of both directions (midpoints, 10^5 cells).
    #[test]
    fn sampled_laplace() {
        let (scale, rate, order) = (2.0f64, 0.1f64, 3.5f64);
        let found = at(Noise::Laplace { scale }, rate, Adjacency::AddRemove, order);
        let (mut remove, mut add) = (0.0, 0.0);
        let step = 1e-3;
        for i in -60_000..60_000 {
            let x = (f64::from(i) + 0.5) * step;
            let f = |x: f64| (-x.abs() / scale).exp() / (2.0 * scale);
            let mixed = (1.0 - rate) * f(x) + rate * f(x - 1.0);
            remove += step * f(x) * (mixed / f(x)).powf(order);
            add += step * mixed * (f(x) / mixed).powf(order);
        }
        let truth = remove.max(add).ln() / (order - 1.0);
        assert!((found / truth - 1.0).abs() < 1e-5, "{found} {truth}");
    }
}
