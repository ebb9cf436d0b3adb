//! The discrete Gaussian distribution from a table of strips, in time that does not depend on the values drawn (DG-11 to DG-15).

use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::trial::{Scratch, Strips};
use crate::{DpError, Epsilon};

/// Largest sigma of [`TableGaussian`]: sixteen bits of a word choose the strip, one the sign, up to nineteen the place in the strip, and at least
/// twenty-eight remain to decide.
pub const MAX_TABLE_SIGMA: u64 = 1 << 20;

/// Trials made at a time for long and for short vectors.
const LONG: usize = 512;
const SHORT: usize = 32;

/// Integers `y` with probability proportional to `exp(-y^2 / (2 sigma^2))`, at tens of millions a second, in time and with memory accesses that do
/// not depend on the values drawn (DG-14 says precisely what is promised).
///
/// No probability is rounded: the only deviation from the law is that values beyond twelve sigmas never come (DG-12), a statistical distance below
/// `2^-106` a draw, which [`delta_for`](Self::delta_for) adds up. Draws come in vectors: [`fill`](Self::fill).
/// The same generator state gives the same noise: never restore one for new data (DG-10).
///
/// ```
/// use lepton_dp::TableGaussian;
/// use rand_core::SeedableRng;
///
/// let noise = TableGaussian::new(1000)?;
/// let mut generator = chacha20::ChaCha20Rng::seed_from_u64(7); // in earnest: a seed from the operating system
/// let mut draws = [0; 4096];
/// noise.fill(&mut draws, &mut generator);
/// assert!(draws.iter().all(|draw| draw.abs() < 13_000));
/// assert!(noise.delta_for(1 << 40) < 1e-19);
/// # Ok::<(), lepton_dp::DpError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TableGaussian {
    sigma: u64,
    strips: Strips,
}

impl TableGaussian {
    /// A distribution with the given sigma.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] unless `1 <= sigma <=` [`MAX_TABLE_SIGMA`].
    pub fn new(sigma: u64) -> Result<Self, DpError> {
        if (1..=MAX_TABLE_SIGMA).contains(&sigma) {
            let strips = Strips::new(sigma);
            Ok(Self { sigma, strips })
        } else {
            Err(DpError::OutOfRange {
                what: "the sigma of a discrete Gaussian table",
                range: "an integer from 1 to 2^20",
                value: sigma as f64,
            })
        }
    }

    /// The parameter sigma.
    #[must_use]
    pub const fn sigma(&self) -> u64 {
        self.sigma
    }

    /// `sigma^2`, an upper bound on the variance.
    #[must_use]
    pub const fn variance(&self) -> u128 {
        self.sigma as u128 * self.sigma as u128
    }

    /// Fills `out` with independent draws.
    pub fn fill(&self, out: &mut [i64], rng: &mut impl CryptoRng) {
        let (long, short) = out.split_at_mut(out.len() - out.len() % LONG);
        if !long.is_empty() {
            self.fill_by::<LONG>(long, rng);
        }
        if !short.is_empty() {
            self.fill_by::<SHORT>(short, rng);
        }
    }

    /// Upper bound on the statistical (total variation) distance between the law of one draw and the discrete Gaussian: the mass beyond the
    /// outermost strip (DG-12).
    #[must_use]
    pub fn statistical_distance(&self) -> f64 {
        let (sigma, reach) = (self.sigma as f64, self.strips.reach() as f64);
        let ratio = reach / sigma;
        let weights = libm::exp(-0.5 * ratio * ratio) * (1.0 + sigma / ratio);
        // sqrt(2 / pi) = 0.797..; the last factor covers the rounding of everything above.
        0.798 * weights / sigma * (1.0 + 1e-9)
    }

    /// Upper bound on the distance between the law of `draws` independent draws and that of exact ones. A release with such noise that is
    /// (epsilon, delta) private with exact noise is (epsilon, delta + (1 + exp(epsilon)) * this) private (DG-15).
    #[must_use]
    pub fn delta_for(&self, draws: u64) -> f64 {
        if draws == 0 {
            return 0.0;
        }
        (self.statistical_distance() * (draws as f64).next_up())
            .next_up()
            .min(1.0)
    }

    /// What a release with `draws` of this noise adds to its delta, where it is private at `epsilon` with exact noise: `(1 + exp(epsilon))` times
    /// [`delta_for`](Self::delta_for), rounded up and at most 1 (DG-15). For several releases, of all draws together at the epsilon of all together.
    ///
    /// The table is small and made from sigma alone, so that a plan can ask this before anything is drawn:
    ///
    /// ```
    /// use lepton_dp::{Epsilon, TableGaussian};
    ///
    /// let (rounds, parameters) = (1000, 1 << 20);
    /// let added = TableGaussian::new(4000)?.delta_charge(rounds * parameters, Epsilon::new(8.0)?);
    /// assert!(added < 1e-17);
    /// # Ok::<(), lepton_dp::DpError>(())
    /// ```
    #[must_use]
    pub fn delta_charge(&self, draws: u64, epsilon: Epsilon) -> f64 {
        let both = 1.0 + libm::exp(epsilon.get()) * (1.0 + 4.0 * f64::EPSILON);
        let charge = self.delta_for(draws) * both * (1.0 + 4.0 * f64::EPSILON);
        // Nothing drawn at an epsilon beyond all floats: nothing times infinity.
        if draws == 0 { 0.0 } else { charge.min(1.0) }
    }

    /// Draws in rounds of `N` trials; what a last round has too much is dropped.
    fn fill_by<const N: usize>(&self, out: &mut [i64], rng: &mut impl CryptoRng) {
        let mut scratch = Scratch::<N>::new();
        let mut rest = out;
        while !rest.is_empty() {
            let drawn = self.strips.trials(&mut scratch, rng);
            let count = drawn.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(drawn.get(..count).unwrap_or_default());
            rest = later;
        }
        scratch.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DG-15: `(1 + e^epsilon)` times the distance of all draws, never less, and bounded at both ends.
    #[test]
    fn the_charge_follows_draws_and_epsilon() {
        let noise = TableGaussian::new(1000).unwrap();
        for (draws, epsilon) in [(1, 1e-3), (1 << 20, 1.0), (1 << 40, 30.0)] {
            let least = noise.statistical_distance() * draws as f64 * (1.0 + f64::exp(epsilon));
            let found = noise.delta_charge(draws, Epsilon::new(epsilon).unwrap());
            assert!(
                found >= least && found <= least * (1.0 + 1e-12),
                "{draws} {epsilon}"
            );
        }
        let huge = Epsilon::new(1e4).unwrap();
        assert_eq!(
            (noise.delta_charge(0, huge), noise.delta_charge(1, huge)),
            (0.0, 1.0)
        );
    }
}
