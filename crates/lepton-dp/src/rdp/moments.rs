//! Rényi divergences of mechanisms with bounded loss, from their loss law on a fine grid that never has less loss than the true one (AC-16, AC-22).

use crate::Adjacency;
use crate::compose::{AccountError, Charge};
use crate::pld::law::{Direction, Law};
use crate::pld::{Rounding, compensated, grid_points};

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
            *rdp = rdp.max(
                points
                    .as_ref()
                    .map_or(f64::INFINITY, |points| divergence(points, *order)),
            );
        }
    }
    Ok(worst)
}

/// Losses and masses: the atoms themselves, or the grid. Nothing where some mass has no finite loss.
fn law_points(law: &Law) -> Option<Vec<(f64, f64)>> {
    if let Law::Atoms(law) = law {
        let points = law.atoms.iter().map(|atom| (atom.loss, atom.mass));
        return (law.infinite == 0.0).then(|| points.collect());
    }
    let (low, high) = law.range(f64::MIN_POSITIVE);
    grid_points(law, (high - low) / POINTS, Rounding::ConnectTheDots)
}

/// `ln(1 + sum m expm1((a-1) L)) / (a-1)`: the masses add up to 1, so that small divergences keep their digits. Masses exceed the true ones
/// by less than 1,024 roundings where they are heavy enough to matter, which the slack covers.
fn divergence(points: &[(f64, f64)], order: f64) -> f64 {
    let rest = order - 1.0;
    let largest = points
        .iter()
        .map(|(loss, _)| rest * loss)
        .fold(0.0, f64::max);
    if largest > 30.0 {
        let weight = |(loss, mass): &(f64, f64)| mass * libm::exp(rest * loss - largest);
        let sum = compensated(points.iter().map(weight));
        // Both parts may nearly cancel; each carries its own rounding.
        let slack = 1024.0 * f64::EPSILON * (1.0 + largest);
        let rdp = (largest + libm::log(sum) + slack) / rest * (1.0 + 1e-12);
        return outward(rdp);
    }
    let term = |(loss, mass): &(f64, f64)| mass * libm::expm1(rest * loss);
    let sum = compensated(points.iter().map(term));
    let magnitude: f64 = points.iter().map(|point| term(point).abs()).sum();
    let slack = 512.0 * f64::EPSILON * magnitude;
    outward(libm::log1p(sum + slack) / rest * (1.0 + 1e-12))
}

/// What left the range of floats is not known, and so infinite; nothing is less than the smallest positive number.
fn outward(rdp: f64) -> f64 {
    if rdp.is_nan() {
        f64::INFINITY
    } else {
        rdp.max(f64::MIN_POSITIVE)
    }
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

    /// Noise far smaller than the shift: the divergence is the largest loss, less what its mass of at least 1/2 takes away. Twin of a sum that left the
    /// range of floats and was taken for nothing.
    #[test]
    fn losses_beyond_the_range_of_floats() {
        let noise = Noise::DiscreteLaplace {
            scale: 1.0,
            sensitivity: 1000,
        };
        for (adjacency, loss) in [
            (Adjacency::AddRemove, 1000.0),
            (Adjacency::ReplaceOne, 2000.0),
        ] {
            for order in [1.5, 2.0, 64.0] {
                let found = at(noise, 1.0, adjacency, order);
                let least = loss + 0.5f64.ln() / (order - 1.0);
                assert!(
                    found >= least && found <= loss * (1.0 + 1e-9),
                    "{adjacency:?} {order} {found}"
                );
            }
        }
        let quiet = Charge::new(
            Noise::Laplace { scale: 1e-3 },
            SamplingRate::new(0.5).unwrap(),
            1,
        );
        let refused = divergences(&quiet.unwrap(), Adjacency::AddRemove, &[2.0]);
        assert!(matches!(refused, Err(AccountError::TooLarge { .. })));
        assert_eq!(outward(f64::NAN), f64::INFINITY);
    }

    /// A large loss of tiny mass: the logarithm of the sum takes back nearly all of the exponent, and rounds. Against the sum with `expm1`, whose terms are positive.
    #[test]
    fn cancellation_rounds_up() {
        for tenth in 0..400 {
            let loss = 31.0 + f64::from(tenth) * 0.1;
            let mass = libm::exp(-loss - 14.0);
            let truth = libm::log1p(mass * libm::expm1(loss));
            let found = divergence(&[(0.0, 1.0 - mass), (loss, mass)], 2.0);
            assert!(found >= truth * (1.0 - 1e-14), "{loss} {found:e} {truth:e}");
            assert!(found <= truth * (1.0 + 1e-4), "{loss} {found:e} {truth:e}");
        }
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
