//! Discrete mechanisms: finitely many privacy losses, each with its mass (AC-18).

#![expect(
    clippy::cast_possible_truncation,
    reason = "tables built here; sizes are checked against MAX_ATOMS"
)]

use super::grid::{Cells, Spec};
use super::law::{Direction, Mixture, UNIT};
use crate::compose::AccountError;

/// Largest number of atoms of one law.
const MAX_ATOMS: f64 = 4e6;

/// One value of the privacy loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Atom {
    /// `ln(P/Q)`.
    pub(crate) loss: f64,
    /// Upper bound on its probability under P.
    pub(crate) mass: f64,
}

/// A law of finitely many losses, and mass charged as infinite loss.
#[derive(Clone, Debug)]
pub(crate) struct Atoms {
    pub(crate) atoms: Vec<Atom>,
    pub(crate) infinite: f64,
}

impl Atoms {
    /// Places every atom on the grid; connect-the-dots weights without cancellation.
    pub(super) fn place(&self, spec: &Spec, cells: &mut Cells) {
        cells.infinite += self.infinite;
        for atom in &self.atoms {
            cells.place(atom.loss, atom.mass, spec);
        }
    }

    pub(super) fn range(&self) -> (f64, f64) {
        let losses = self.atoms.iter().map(|atom| atom.loss);
        losses.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), loss| {
            (lo.min(loss), hi.max(loss))
        })
    }

    /// Ratio and masses of a discrete table: `masses(x)` of the noise, its ratio to the noise shifted by the sensitivity.
    fn from_points(points: &[Point], rate: f64, direction: Direction) -> Self {
        let mixture = Mixture::new(direction, rate);
        let atom = |point: &Point| Atom {
            loss: mixture.loss(point.up, point.down),
            mass: mass(point, mixture.log_upper(point.up), rate),
        };
        Self {
            atoms: points.iter().map(atom).collect(),
            infinite: 0.0,
        }
    }
}

/// Mass of a point under P, rounded up: `log_upper` is `ln(P / f)` there. In logarithms, since the mass under unshifted noise may be less than any float where the mass under P is not.
fn mass(point: &Point, log_upper: f64, rate: f64) -> f64 {
    let sampled = if point.up > 30.0 {
        libm::log(rate).abs()
    } else {
        0.0
    };
    let magnitude = point.log_mass.abs() + point.up.abs() + sampled;
    libm::exp(point.log_mass + log_upper) * (1.0 + (64.0 + 8.0 * magnitude) * UNIT)
}

/// One integer (or a set of integers of equal ratios): `ln` of its mass under unshifted noise, and of the ratio of the noise shifted towards P and, under
/// replace-one, towards Q.
struct Point {
    log_mass: f64,
    up: f64,
    down: f64,
}

/// Discrete Laplace noise; the ratio is constant outside of the stretch between the shifted centres.
pub(super) fn discrete_laplace(
    scale: f64,
    sensitivity: u32,
    rate: f64,
    direction: Direction,
) -> Atoms {
    let (reach, step) = (i64::from(sensitivity), 1.0 / scale);
    let two_sided = direction == Direction::Replace;
    let low = if two_sided { -reach } else { 0 };
    let normal = libm::tanh(0.5 * step); // (1-a)/(1+a) with a = exp(-1/scale)
    let tail = 1.0 / (1.0 + libm::exp(-step)); // P(X >= 0)
    let distance = |x: i64, centre: i64| (x - centre).unsigned_abs() as f64;
    let point = |x: i64| {
        let here = distance(x, 0);
        let whole = if x == low || x == reach { tail } else { normal };
        Point {
            log_mass: libm::log(whole) - step * here,
            up: step * (here - distance(x, reach)),
            down: step * (here - distance(x, -reach)),
        }
    };
    let points: Vec<Point> = (low..=reach).map(point).collect();
    Atoms::from_points(&points, rate, direction)
}

/// Discrete Gaussian noise on one integer.
pub(super) fn discrete_gaussian(
    sigma: f64,
    sensitivity: u32,
    rate: f64,
    direction: Direction,
    cut: f64,
) -> Result<Atoms, AccountError> {
    let shift = f64::from(sensitivity);
    // P(|X| > z sigma) <= 2 exp(-z^2/2) for the discrete law as well, up to its first term.
    let reach = (sigma * libm::sqrt(2.0 * (3.0 - libm::log(cut).max(-1e3))) + 2.0).ceil() + shift;
    if reach > 0.5 * MAX_ATOMS {
        return Err(AccountError::TooLarge {
            what: "the sigma of a discrete Gaussian mechanism",
            remedy: "use the accountant rdp, which needs no table",
        });
    }
    let (reach, variance) = (reach as i64, sigma * sigma);
    let weight = |x: i64| libm::exp(-((x * x) as f64) / (2.0 * variance));
    let normal = compensated((-reach..=reach).map(weight));
    let log_normal = libm::log(normal);
    let point = |x: i64| {
        let ratio = |centre: f64| centre * (2.0 * x as f64 - centre) / (2.0 * variance);
        Point {
            log_mass: -((x * x) as f64) / (2.0 * variance) - log_normal,
            up: ratio(shift),
            down: ratio(-shift),
        }
    };
    let points: Vec<Point> = (-reach..=reach).map(point).collect();
    let mut law = Atoms::from_points(&points, rate, direction);
    // Beyond the table, also for the shifted centres: terms fall at least geometrically.
    let edge = reach as f64 - shift;
    let ratio = libm::exp(-edge / variance);
    let beyond = 4.0 * libm::exp(-edge * edge / (2.0 * variance)) / normal / (1.0 - ratio);
    law.infinite = beyond.max(f64::MIN_POSITIVE);
    Ok(law)
}

/// Randomised response between two of `categories` values (replace-one).
pub(super) fn randomised_response(probability: f64, categories: u32) -> Atoms {
    let categories = f64::from(categories);
    let other = probability / categories;
    let own = 1.0 - probability + other;
    let loss = libm::log1p((1.0 - probability) / other);
    let up = 1.0 + 16.0 * UNIT;
    let mut atoms = vec![
        Atom {
            loss: -loss,
            mass: other * up,
        },
        Atom {
            loss: 0.0,
            mass: (categories - 2.0) * other * up,
        },
        Atom {
            loss,
            mass: own * up,
        },
    ];
    atoms.retain(|atom| atom.mass > 0.0);
    Atoms {
        atoms,
        infinite: 0.0,
    }
}

/// Sum to about one rounding of the largest partial sum (Neumaier).
pub(crate) fn compensated(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for term in terms {
        let next = sum + term;
        lost += if sum.abs() >= term.abs() {
            (sum - next) + term
        } else {
            (term - next) + sum
        };
        sum = next;
    }
    sum + lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masses_add_up_to_one() {
        let sum = |law: &Atoms| law.atoms.iter().map(|atom| atom.mass).sum::<f64>();
        for direction in [Direction::Remove, Direction::Add, Direction::Replace] {
            for rate in [1.0, 0.1] {
                let laplace = discrete_laplace(7.3, 3, rate, direction);
                assert!((sum(&laplace) - 1.0).abs() < 1e-13);
                let gaussian = discrete_gaussian(2.5, 2, rate, direction, 1e-30).unwrap();
                assert!((sum(&gaussian) - 1.0).abs() < 1e-12);
                assert!(gaussian.infinite < 1e-25);
            }
        }
        assert!((sum(&randomised_response(0.3, 4)) - 1.0).abs() < 1e-13);
        assert_eq!(randomised_response(0.3, 2).atoms.len(), 2);
    }

    /// Masses that unshifted noise has no float for are there under the shifted noise: the law is f moved by the sensitivity, whose masses are known.
    #[test]
    fn far_masses_are_kept() {
        let (sigma, sensitivity) = (7.0, 210u32); // thirty sigmas apart
        let law = discrete_gaussian(sigma, sensitivity, 1.0, Direction::Remove, 1e-290).unwrap();
        let weight = |x: f64| libm::exp(-0.5 * (x / sigma) * (x / sigma));
        let normal = compensated((-400..=400).map(|x: i32| weight(f64::from(x))));
        let loss = |x: f64| {
            let shift = f64::from(sensitivity);
            shift * (2.0 * x - shift) / (2.0 * sigma * sigma)
        };
        for beyond in [9.5, 15.0, 30.0, 36.0] {
            let x = f64::from(sensitivity) + (beyond * sigma).round();
            let truth = weight(x - f64::from(sensitivity)) / normal;
            let found = law
                .atoms
                .iter()
                .find(|atom| (atom.loss - loss(x)).abs() < 1e-9 * loss(x));
            let found = found.unwrap().mass;
            assert!(
                (truth..truth * (1.0 + 1e-11)).contains(&found),
                "{beyond} {truth:e} {found:e}"
            );
        }
        assert!(law.infinite > 0.0 && law.infinite < 1e-280);
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert!(matches!(
            discrete_gaussian(1e8, 1, 1.0, Direction::Remove, 1e-30),
            Err(AccountError::TooLarge { .. })
        ));
        assert_eq!(compensated([1e16, 1.0, -1e16].into_iter()), 1.0);
    }
}
