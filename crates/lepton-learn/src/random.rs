//! Uniform, normal and permutation draws from a generator passed in. Not for privacy noise.

use rand_core::CryptoRng;

/// A uniform multiple of 2^-53 in `[0, 1)`.
pub(crate) fn uniform(rng: &mut impl CryptoRng) -> f64 {
    (rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
}

/// A uniform number below `bound` (> 0), by rejection.
pub(crate) fn below(bound: u64, rng: &mut impl CryptoRng) -> u64 {
    let excess = (u64::MAX % bound + 1) % bound;
    loop {
        let draw = rng.next_u64();
        if draw <= u64::MAX - excess {
            return draw % bound;
        }
    }
}

/// A standard normal draw (Box and Muller 1958), for initial weights only.
pub(crate) fn normal(rng: &mut impl CryptoRng) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - uniform(rng))).sqrt();
    radius * libm::cos(std::f64::consts::TAU * uniform(rng))
}

/// Fisher-Yates shuffle.
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut impl CryptoRng) {
    for i in (1..items.len()).rev() {
        let j = usize::try_from(below(i as u64 + 1, rng)).unwrap_or(i);
        items.swap(i, j);
    }
}
