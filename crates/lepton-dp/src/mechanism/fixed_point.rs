//! Noise on real numbers, put on a grid first (ME-03, ME-04).

use rand_core::CryptoRng;

use super::{Cost, DiscreteGaussianMechanism, DiscreteLaplaceMechanism};
use crate::{DpError, Epsilon, NoiseMultiplier, round_sensitivity};

/// Multiples of `2^-bits`: the only numbers that a mechanism for real values ever releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    bits: u8,
}

/// Values are clamped to this many steps either side of zero; clamping brings no two values further apart.
const MAX_STEPS: f64 = (1u64 << 62) as f64;

impl Grid {
    /// A grid of `2^bits` steps a unit.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for more than 40 bits.
    pub fn new(bits: u8) -> Result<Self, DpError> {
        if bits <= 40 {
            return Ok(Self { bits });
        }
        Err(DpError::OutOfRange {
            what: "the fraction bits of a grid",
            range: "an integer from 0 to 40",
            value: f64::from(bits),
        })
    }

    /// Steps in a unit.
    #[must_use]
    pub const fn steps_per_unit(self) -> f64 {
        (1u64 << self.bits) as f64
    }

    /// The nearest multiple, in steps; halves go up, at every sign, so that rounding commutes with whole steps (ME-03).
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a value that is not a number. Such a refusal is visible and not covered by any guarantee: exclude it beforehand.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "integral and within 2^62 either side"
    )]
    pub fn round(self, value: f64) -> Result<i64, DpError> {
        if value.is_nan() {
            return Err(DpError::OutOfRange {
                what: "a value to be released",
                range: "a number",
                value,
            });
        }
        // Exact: a power of two, and clamped at integers.
        let steps = (value * self.steps_per_unit()).clamp(-MAX_STEPS, MAX_STEPS);
        let below = steps.floor();
        // Exact from 1/2 away from an integer on; nearer, its rounding does not cross 1/2.
        let up = i64::from(steps - below >= 0.5);
        Ok(below as i64 + up)
    }

    /// The number at `steps`, to the nearest `f64`: processing of what was released already.
    #[must_use]
    pub const fn value(self, steps: i64) -> f64 {
        steps as f64 / self.steps_per_unit()
    }

    /// How far apart, in steps, two numbers at most `distance` apart can be after rounding: `distance` in steps, rounded up (ME-03).
    fn rounded(self, distance: f64) -> f64 {
        (distance * self.steps_per_unit()).ceil()
    }
}

/// Real vectors with Laplace noise on a grid: pure epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaplaceMechanism {
    grid: Grid,
    dims: u32,
    inner: DiscreteLaplaceMechanism,
}

impl LaplaceMechanism {
    /// For vectors of `dims` real numbers of the given L1 sensitivity, the error of computing them in floating point included.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a sensitivity that is not positive, no dimension, or noise beyond what the grid can carry.
    pub fn new(
        grid: Grid,
        l1_sensitivity: f64,
        dims: u32,
        epsilon: Epsilon,
    ) -> Result<Self, DpError> {
        check(l1_sensitivity, dims)?;
        // The steps of all coordinates add up to less than distance + dims; in one dimension rounding up is enough (ME-03).
        let steps = grid.rounded(l1_sensitivity) + f64::from(dims - 1);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates, and the constructor refuses what is too large"
        )]
        let inner = DiscreteLaplaceMechanism::new(steps as u64, epsilon)?;
        Ok(Self { grid, dims, inner })
    }

    /// The values, rounded to the grid, with noise.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for another number of values, or one that is not a number.
    pub fn release(&self, values: &[f64], rng: &mut impl CryptoRng) -> Result<Vec<f64>, DpError> {
        let mut steps = on_grid(self.grid, self.dims, values)?;
        self.inner.release_all(&mut steps, rng);
        Ok(off_grid(self.grid, &steps))
    }

    /// Variance of the noise in each coordinate.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.inner.variance() / (self.grid.steps_per_unit() * self.grid.steps_per_unit())
    }

    /// What one release costs: by the sensitivity after rounding.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.inner.cost()
    }
}

/// Real vectors with Gaussian noise on a grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianMechanism {
    grid: Grid,
    dims: u32,
    inner: DiscreteGaussianMechanism,
}

impl GaussianMechanism {
    /// For vectors of `dims` real numbers of the given L2 sensitivity, the error of computing them in floating point included. The noise multiplier
    /// is met by the sensitivity after rounding.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a sensitivity that is not positive, no dimension, or noise beyond what the grid can carry.
    pub fn new(
        grid: Grid,
        l2_sensitivity: f64,
        dims: u32,
        noise_multiplier: NoiseMultiplier,
    ) -> Result<Self, DpError> {
        check(l2_sensitivity, dims)?;
        let steps = if dims == 1 {
            grid.rounded(l2_sensitivity)
        } else {
            round_sensitivity(l2_sensitivity * grid.steps_per_unit(), 0.0, dims as usize)
        };
        let inner = DiscreteGaussianMechanism::new(steps, noise_multiplier)?;
        Ok(Self { grid, dims, inner })
    }

    /// The values, rounded to the grid, with noise.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for another number of values, or one that is not a number.
    pub fn release(&self, values: &[f64], rng: &mut impl CryptoRng) -> Result<Vec<f64>, DpError> {
        let mut steps = on_grid(self.grid, self.dims, values)?;
        self.inner.release_all(&mut steps, rng);
        Ok(off_grid(self.grid, &steps))
    }

    /// Sigma of the noise in each coordinate, in the values' own unit.
    #[must_use]
    pub const fn sigma(&self) -> f64 {
        self.inner.sigma() as f64 / self.grid.steps_per_unit()
    }

    /// What one release costs: by the sensitivity after rounding.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        self.inner.cost()
    }
}

fn check(sensitivity: f64, dims: u32) -> Result<(), DpError> {
    let refuse = |what, range, value| Err(DpError::OutOfRange { what, range, value });
    if !(sensitivity > 0.0 && sensitivity.is_finite()) {
        return refuse("the sensitivity", "finite and more than 0", sensitivity);
    }
    if dims == 0 {
        return refuse("the number of dimensions", "at least 1", 0.0);
    }
    Ok(())
}

fn on_grid(grid: Grid, dims: u32, values: &[f64]) -> Result<Vec<i64>, DpError> {
    if values.len() != dims as usize {
        return Err(DpError::OutOfRange {
            what: "the number of values",
            range: "the number of dimensions the mechanism was made for",
            value: values.len() as f64,
        });
    }
    values.iter().map(|&value| grid.round(value)).collect()
}

fn off_grid(grid: Grid, steps: &[i64]) -> Vec<f64> {
    steps.iter().map(|&steps| grid.value(steps)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    #[test]
    fn rounding_is_to_nearest_and_halves_go_up() {
        let grid = Grid::new(0).unwrap();
        let cases = [
            (0.5, 1),
            (-0.5, 0),
            (1.5, 2),
            (-1.5, -1),
            (0.5f64.next_down(), 0),
            ((-0.5f64).next_down(), -1),
            (-1e-300, 0),
            (1e-300, 0),
            (4_503_599_627_370_495.5, 4_503_599_627_370_496),
            (f64::INFINITY, 1 << 62),
            (-1e300, -(1 << 62)),
        ];
        for (value, steps) in cases {
            assert_eq!(grid.round(value).unwrap(), steps, "{value:e}");
        }
        assert!(grid.round(f64::NAN).is_err());
        assert!(Grid::new(41).is_err());
        assert_eq!(Grid::new(4).unwrap().round(0.99).unwrap(), 16);
    }

    #[test]
    fn sensitivities_grow_by_the_rounding() {
        let (grid, epsilon) = (Grid::new(4).unwrap(), Epsilon::new(1.0).unwrap());
        let scale = |sensitivity, dims| {
            LaplaceMechanism::new(grid, sensitivity, dims, epsilon)
                .unwrap()
                .inner
                .scale()
        };
        // 1.01 * 16 = 16.16 steps.
        assert_eq!((scale(1.01, 1), scale(1.01, 5)), (17, 21));
        let z = NoiseMultiplier::new(10.0).unwrap();
        let sigma = |dims| {
            GaussianMechanism::new(grid, 1.01, dims, z)
                .unwrap()
                .inner
                .sigma()
        };
        assert_eq!((sigma(1), sigma(4)), (170, 182));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(LaplaceMechanism::new(grid, bad, 1, epsilon).is_err());
            assert!(GaussianMechanism::new(grid, bad, 1, z).is_err());
        }
        assert!(LaplaceMechanism::new(grid, 1.0, 0, epsilon).is_err());
    }

    /// Released values lie on the grid, with the stated spread: 20,000 draws; the sample variance of Laplace noise has standard deviation
    /// `sqrt(5 / n)` of the variance, of Gaussian noise `sqrt(2 / n)`; 7 of them give a false alarm below 1e-9. Twin: half the sigma.
    #[test]
    fn noise_has_the_stated_variance() {
        let grid = Grid::new(6).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let values = vec![0.25; 20_000];
        let dims = 20_000;
        let laplace = LaplaceMechanism::new(grid, 1.0, dims, Epsilon::new(100.0).unwrap()).unwrap();
        let gauss = GaussianMechanism::new(grid, 1.0, dims, NoiseMultiplier::new(3.0).unwrap());
        let gauss = gauss.unwrap();
        let spread = |released: Vec<f64>| {
            assert!(released.iter().all(|value| (value * 64.0).fract() == 0.0));
            released.iter().map(|x| (x - 0.25).powi(2)).sum::<f64>() / 20_000.0
        };
        let found = spread(laplace.release(&values, &mut rng).unwrap()) / laplace.variance();
        assert!(
            (found - 1.0).abs() < 7.0 * (5f64 / 20_000.0).sqrt(),
            "{found}"
        );
        let found = spread(gauss.release(&values, &mut rng).unwrap()) / gauss.sigma().powi(2);
        assert!(
            (found - 1.0).abs() < 7.0 * (2f64 / 20_000.0).sqrt(),
            "{found}"
        );
        assert!((4.0 * found - 1.0).abs() > 7.0 * (2f64 / 20_000.0).sqrt());
        assert!(gauss.release(&values[1..], &mut rng).is_err());
    }

    proptest! {
        /// ME-03: numbers at most D apart are at most D steps, rounded up, apart after rounding; vectors at most the sum and one step a further coordinate.
        #[test]
        fn rounding_moves_at_most_by_the_bound(base in -1e6f64..1e6, moved in proptest::collection::vec(-3.0f64..3.0, 1..5), halves: bool) {
            let grid = Grid::new(3).unwrap();
            let base = if halves { (base * 16.0).round() / 16.0 } else { base };
            let steps: Vec<i64> = moved.iter().map(|x| grid.round(base + x).unwrap() - grid.round(base).unwrap()).collect();
            // The real differences, as the floating-point sums took them.
            let l1: f64 = moved.iter().map(|x| ((base + x) - base).abs()).sum::<f64>() * (1.0 + 1e-12);
            let apart: i64 = steps.iter().map(|step| step.abs()).sum();
            prop_assert!(apart as f64 <= grid.rounded(l1) + (moved.len() - 1) as f64);
        }
    }
}
