//! Parties whose labels are skewed.
//!
//! Simulation only: this noise hides nothing, it shapes a test. Logarithms come from `libm`, so that a seed gives the same split on every platform.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use super::{MIN_ROWS, PartyPart, SplitError, check_count, large_enough, numbered, shuffle, unit};

/// Rows dealt so that each class spreads over the parties by its own draw from the symmetric Dirichlet(`alpha`): small alphas give each
/// class to few parties, large ones give every party the same mix (the split of Yurochkin et al. 2019, "Bayesian nonparametric federated
/// learning of neural networks"). Rows without a label are a class of their own.
///
/// A party left with fewer than [`MIN_ROWS`] rows then gets rows, at random, from whichever party has most.
///
/// # Errors
/// `NoParties`, `TooManyParties`, `BadAlpha` (outside `1e-6..=1e9`), `PartyTooSmall` (fewer than two rows per party to begin with).
pub fn dirichlet<L: AsRef<str>>(
    labels: &[Option<L>],
    parties: usize,
    alpha: f64,
    rng: &mut impl CryptoRng,
) -> Result<Vec<PartyPart>, SplitError> {
    check_count(labels.len(), parties)?;
    if !(1e-6..=1e9).contains(&alpha) {
        return Err(SplitError::BadAlpha { alpha });
    }
    let mut rows_of: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        rows_of
            .entry(label.as_ref().map(AsRef::as_ref))
            .or_default()
            .push(row);
    }
    let mut dealt = vec![Vec::new(); parties];
    for (_, mut rows) in rows_of {
        shuffle(&mut rows, rng);
        let shares = proportions(parties, alpha, rng);
        for (part, more) in dealt.iter_mut().zip(cut(&rows, &shares)) {
            part.extend_from_slice(more);
        }
    }
    top_up(&mut dealt, rng);
    large_enough(numbered(dealt))
}

/// A draw from the symmetric Dirichlet: Gamma(`alpha`) draws over their sum, in logarithms because small alphas underflow.
fn proportions(parties: usize, alpha: f64, rng: &mut impl CryptoRng) -> Vec<f64> {
    let logs: Vec<f64> = (0..parties).map(|_| log_gamma_draw(alpha, rng)).collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| libm::exp(log - largest)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// The logarithm of a Gamma(`shape`, 1) draw: Marsaglia and Tsang 2000, "A simple method for generating gamma variables"; for shapes below
/// one, as they note, Gamma(shape + 1) times U^(1/shape).
fn log_gamma_draw(shape: f64, rng: &mut impl CryptoRng) -> f64 {
    if shape < 1.0 {
        return log_gamma_draw(shape + 1.0, rng) + libm::log(positive_unit(rng)) / shape;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal_draw(rng);
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let log_v = 3.0 * libm::log(v);
        if libm::log(positive_unit(rng)) < 0.5 * x * x + d - d * v * v * v + d * log_v {
            return libm::log(d) + log_v;
        }
    }
}

/// A standard normal draw: Marsaglia's polar method (1964), second value thrown away.
fn normal_draw(rng: &mut impl CryptoRng) -> f64 {
    loop {
        let (x, y) = (2.0 * unit(rng) - 1.0, 2.0 * unit(rng) - 1.0);
        let s = x * x + y * y;
        if s > 0.0 && s < 1.0 {
            return x * (-2.0 * libm::log(s) / s).sqrt();
        }
    }
}

/// Uniform in `(0, 1]`.
fn positive_unit(rng: &mut impl CryptoRng) -> f64 {
    1.0 - unit(rng)
}

/// Consecutive slices of `rows` whose lengths follow `shares`; together they are all of `rows`.
fn cut<'a>(rows: &'a [usize], shares: &[f64]) -> Vec<&'a [usize]> {
    let mut rest = rows;
    let mut taken = 0;
    let mut total = 0.0;
    let mut slices = Vec::with_capacity(shares.len());
    for (index, share) in shares.iter().enumerate() {
        total += share;
        let until = if index + 1 == shares.len() {
            rows.len()
        } else {
            nearest_count(total, rows.len())
        };
        let (slice, after) = rest.split_at((until.max(taken) - taken).min(rest.len()));
        slices.push(slice);
        taken += slice.len();
        rest = after;
    }
    slices
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count, between 0 and the count; the cast saturates"
)]
fn nearest_count(share: f64, count: usize) -> usize {
    ((share * count as f64).round() as usize).min(count)
}

/// Moves rows from the largest part to the ones that are too small, as far as the largest can spare them.
fn top_up(dealt: &mut [Vec<usize>], rng: &mut impl CryptoRng) {
    while let Some(small) = dealt.iter().position(|part| part.len() < MIN_ROWS) {
        let Some(largest) = dealt
            .iter_mut()
            .max_by_key(|part| part.len())
            .filter(|part| part.len() > MIN_ROWS)
        else {
            return;
        };
        let row = largest.swap_remove(super::below(largest.len(), rng));
        if let Some(part) = dealt.get_mut(small) {
            part.push(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use chacha20::rand_core::SeedableRng;

    use super::{log_gamma_draw, proportions};

    const DRAWS: u32 = 20_000;

    /// That the sample's mean and variance are these. 5.5 standard errors (the variance's from the sample) give a false alarm with probability
    /// 4e-8 each, up to the normal approximation: 16 comparisons in this module, 6e-7 together.
    #[track_caller]
    fn has_moments(sample: &[f64], mean: f64, variance: f64) {
        let count = f64::from(DRAWS);
        let average = |values: &[f64]| values.iter().sum::<f64>() / count;
        let squares: Vec<f64> = sample.iter().map(|value| (value - mean).powi(2)).collect();
        let (measured_mean, measured_variance) = (average(sample), average(&squares));
        let fourth = squares
            .iter()
            .map(|value| (value - measured_variance).powi(2))
            .sum::<f64>()
            / count;
        assert!(
            (measured_mean - mean).abs() < 5.5 * (variance / count).sqrt(),
            "mean {measured_mean}, not {mean}"
        );
        assert!(
            (measured_variance - variance).abs() < 5.5 * (fourth / count).sqrt(),
            "variance {measured_variance}, not {variance}"
        );
    }

    /// A share is Beta(a, (n - 1) a): mean 1/n, variance (n - 1) / (n^2 (n a + 1)).
    #[test]
    fn shares_have_the_moments_of_dirichlet() {
        for (alpha, parties) in [(0.1, 2), (0.5, 4), (1.0, 3), (5.0, 3)] {
            let mut rng = ChaCha20Rng::seed_from_u64(11);
            let n = f64::from(parties);
            let shares: Vec<f64> = (0..DRAWS)
                .map(|_| proportions(parties as usize, alpha, &mut rng)[0])
                .collect();
            has_moments(&shares, 1.0 / n, (n - 1.0) / (n * n * (n * alpha + 1.0)));
        }
    }

    /// Gamma(shape, 1) has mean and variance `shape`.
    #[test]
    fn draws_have_the_moments_of_gamma() {
        for shape in [0.3, 1.0, 2.5, 40.0] {
            let mut rng = ChaCha20Rng::seed_from_u64(12);
            let draws: Vec<f64> = (0..DRAWS)
                .map(|_| log_gamma_draw(shape, &mut rng).exp())
                .collect();
            has_moments(&draws, shape, shape);
        }
    }

    #[test]
    fn tiny_alphas_do_not_underflow() {
        let mut rng = ChaCha20Rng::seed_from_u64(13);
        for _ in 0..1000 {
            let shares = proportions(5, 1e-6, &mut rng);
            assert!(
                (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12,
                "{shares:?}"
            );
        }
    }
}
