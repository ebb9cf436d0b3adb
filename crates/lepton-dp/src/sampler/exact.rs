//! Decides `R < exp(-gamma)` exactly, for a uniform real `R` whose bits are drawn as they are needed (DG-05, DG-13).
//!
//! `exp(gamma)` is enclosed between two fixed-point numbers by its power series (all terms positive, so nothing
//! cancels), rounded down and up at every step; `R * exp(gamma) < 1` is then compared in integers. While the enclosure does
//! not decide, the number of limbs doubles and more bits of `R` are drawn. No floating point is involved.

use rand_core::CryptoRng;

/// Largest gamma for which [`decide`] may be asked; larger ones are split first (DG-04).
pub(super) const MAX_GAMMA: u8 = 32;

/// Terms summed before the tail is bounded. At `k > 64 >= 2 * gamma` each term is less than half of the one before.
const MIN_TERMS: u64 = 2 * MAX_GAMMA as u64 + 1;

/// The rational `numerator / (denominators[0] * denominators[1])`, at most [`MAX_GAMMA`] when decided upon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gamma {
    pub(super) numerator: u128,
    pub(super) denominators: [u64; 2],
}

impl Gamma {
    /// A whole number.
    pub(super) const fn whole(value: u8) -> Self {
        Self {
            numerator: value as u128,
            denominators: [1, 1],
        }
    }

    /// This less [`MAX_GAMMA`], or `None` when it is at most that. The denominators multiply to less than 2^82.
    pub(super) fn less_max(self) -> Option<Self> {
        let [first, second] = self.denominators;
        let whole = u128::from(MAX_GAMMA) * u128::from(first) * u128::from(second);
        (self.numerator > whole).then(|| Self {
            numerator: self.numerator - whole,
            ..self
        })
    }
}

/// Whether `R < exp(-gamma)`, where `first_word` holds the first 64 bits of the binary expansion of a uniform real `R` in [0, 1)
/// and the others come from `rng`.
pub(super) fn decide(first_word: u64, gamma: Gamma, rng: &mut impl CryptoRng) -> bool {
    lies_below([first_word, 0], 1, &[gamma], rng)
}

/// Whether `V < bound * exp(-gammas)`, the exponents added up, where `V` is a real whose integer part is `whole`, whose next 64 binary digits are
/// `first_word`, and whose further digits come from `rng` (DG-13).
pub(super) fn lies_below(
    [first_word, whole]: [u64; 2],
    bound: u64,
    gammas: &[Gamma],
    rng: &mut impl CryptoRng,
) -> bool {
    let mut digits = vec![first_word]; // little endian; deeper digits are put in front
    let mut limbs = 2;
    loop {
        let deeper = (digits.len()..limbs).map(|_| rng.next_u64());
        digits = deeper
            .collect::<Vec<_>>()
            .into_iter()
            .chain(digits)
            .collect();
        let mut below = digits.clone();
        below.extend([whole, 0]);
        // V < above, strictly: a product of exactly the bound still means that V lies below.
        let mut above = below.clone();
        increment(&mut above, 1);
        for &gamma in gammas {
            let (low, high) = exp_bounds(gamma, limbs);
            below = multiply(&below, &low);
            above = multiply(&above, &high);
        }
        let fraction = (gammas.len() + 1) * limbs;
        if reaches(&below, fraction, bound) {
            return false;
        }
        if !exceeds(&above, fraction, bound) {
            return true;
        }
        limbs *= 2;
    }
}

/// Fixed-point numbers (little-endian limbs, the lowest `limbs` of them the fraction) just below and above `exp(gamma)`.
fn exp_bounds(gamma: Gamma, limbs: usize) -> (Vec<u64>, Vec<u64>) {
    // Room above the fraction: exp(32) needs 47 bits, a term times the numerator (below 2^87) 87 more.
    let mut one = vec![0; limbs + 4];
    if let Some(integer_part) = one.get_mut(limbs) {
        *integer_part = 1;
    }
    let (mut low, mut high) = (one.clone(), one.clone());
    let (mut low_term, mut high_term) = (one.clone(), one);
    let mut index = 1;
    loop {
        next_term(&mut low_term, gamma, index, Rounding::Down);
        next_term(&mut high_term, gamma, index, Rounding::Up);
        add(&mut low, &low_term);
        add(&mut high, &high_term);
        if index > MIN_TERMS && low_term.iter().all(|&limb| limb == 0) {
            add(&mut high, &high_term); // the whole tail is less than this last term
            return (low, high);
        }
        index += 1;
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Rounding {
    Down,
    Up,
}

/// `term * gamma / index`, rounded. Dividing by the factors one after the other gives the floor (ceiling) of the whole.
fn next_term(term: &mut Vec<u64>, gamma: Gamma, index: u64, rounding: Rounding) {
    let len = term.len();
    let [low, high] = halves(gamma.numerator);
    *term = multiply(term, &[low, high]);
    for divisor in gamma.denominators.into_iter().chain([index]) {
        let remainder = divide(term, divisor);
        if rounding == Rounding::Up && remainder != 0 {
            increment(term, 1);
        }
    }
    term.truncate(len); // gamma <= 32: the value stays below 2^47, so what is cut is zero
}

/// Whether the fixed-point number is at least `bound`.
fn reaches(number: &[u64], fraction: usize, bound: u64) -> bool {
    let integer = number.get(fraction).copied().unwrap_or(0);
    integer >= bound || number.iter().skip(fraction + 1).any(|&limb| limb != 0)
}

/// Whether the fixed-point number is more than `bound`.
fn exceeds(number: &[u64], fraction: usize, bound: u64) -> bool {
    let integer = number.get(fraction).copied().unwrap_or(0);
    let beyond = number.iter().skip(fraction + 1).any(|&limb| limb != 0);
    let below = number.iter().take(fraction).any(|&limb| limb != 0);
    beyond || integer > bound || (integer == bound && below)
}

/// Low and high words.
#[expect(
    clippy::cast_possible_truncation,
    reason = "taking the two halves is the purpose"
)]
const fn halves(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

fn multiply(left: &[u64], right: &[u64]) -> Vec<u64> {
    let mut product = vec![0; left.len() + right.len()];
    for (offset, &factor) in right.iter().enumerate() {
        let mut carry = 0;
        for (place, &limb) in product.iter_mut().skip(offset).zip(left.iter().chain([&0])) {
            let [low, high] = halves(
                u128::from(limb) * u128::from(factor) + u128::from(*place) + u128::from(carry),
            );
            *place = low;
            carry = high;
        }
    }
    product
}

fn add(target: &mut [u64], other: &[u64]) {
    let mut carry = 0;
    for (place, &limb) in target.iter_mut().zip(other) {
        let [low, high] = halves(u128::from(*place) + u128::from(limb) + u128::from(carry));
        *place = low;
        carry = high;
    }
}

fn increment(target: &mut [u64], by: u64) {
    let mut carry = by;
    for place in target {
        let (sum, overflow) = place.overflowing_add(carry);
        *place = sum;
        carry = u64::from(overflow);
    }
}

/// Divides in place and returns the remainder. `divisor` is not zero.
fn divide(target: &mut [u64], divisor: u64) -> u64 {
    let divisor = u128::from(divisor);
    let mut remainder = 0u128;
    for place in target.iter_mut().rev() {
        let dividend = (remainder << 64) | u128::from(*place);
        let [quotient, _] = halves(dividend / divisor);
        *place = quotient;
        remainder = dividend % divisor;
    }
    halves(remainder)[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/vectors/mpmath.json")).unwrap()
    }

    /// Known answers from mpmath: the 256-bit enclosure holds the true value and is narrow.
    #[test]
    fn encloses_exp() {
        for case in vectors()["exp"].as_array().unwrap() {
            let gamma = Gamma {
                numerator: u128::from(case["numerator"].as_u64().unwrap()),
                denominators: [case["denominator"].as_u64().unwrap(), 1],
            };
            let hex = case["floor_exp_times_2_256"].as_str().unwrap();
            let expected: Vec<u64> = (0..5)
                .rev()
                .map(|i| u64::from_str_radix(&hex[16 * i..16 * i + 16], 16).unwrap())
                .collect();
            let (low, high) = exp_bounds(gamma, 4);
            let reversed = |number: &[u64]| number[..5].iter().rev().copied().collect::<Vec<_>>();
            let truth: Vec<u64> = expected.iter().rev().copied().collect();
            assert!(
                reversed(&low) <= truth && truth <= reversed(&high),
                "{gamma:?}"
            );
            // Width below 2^-150, i.e. equal in the integer part and the first two fraction limbs, give or take a carry.
            let mut widened = low.clone();
            let mut margin = vec![0; low.len()];
            margin[1] = 1 << 42;
            add(&mut widened, &margin);
            assert!(reversed(&high) <= reversed(&widened), "{gamma:?}");
        }
    }

    #[test]
    fn decides_around_the_threshold() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        // floor(2^64 / e): one below is certain, one above is certain.
        let threshold = 0x5e2d_58d8_b3bc_df1a;
        assert!(decide(threshold - 1, Gamma::whole(1), &mut rng));
        assert!(!decide(threshold + 1, Gamma::whole(1), &mut rng));
        assert!(decide(u64::MAX, Gamma::whole(0), &mut rng));
    }

    /// Inside the one undecided word the answer follows the fraction: frac(2^64 / e) = 0.72996 (mpmath); 4,000 draws,
    /// standard deviation 0.0070, bound 5.5 of them: false alarm below 1e-7.
    #[test]
    fn splits_the_undecided_word_at_the_right_place() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let hits = (0..4000)
            .filter(|_| decide(0x5e2d_58d8_b3bc_df1a, Gamma::whole(1), &mut rng))
            .count();
        let fraction: f64 = 0.729_961_842_895_438_1;
        let spread = (fraction * (1.0 - fraction) / 4000.0).sqrt();
        assert!(
            (hits as f64 / 4000.0 - fraction).abs() < 5.5 * spread,
            "{hits}"
        );
    }
}
