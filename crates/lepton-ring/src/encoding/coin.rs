//! A coin with exactly the probability that an `f64` is.

use rand_core::CryptoRng;

/// `2^64`.
const RANGE: f64 = 18_446_744_073_709_551_616.0;

/// True with probability exactly `p`, `0 <= p < 1`.
///
/// A uniform real number in `[0, 1)` is compared with `p`, 64 binary digits at a time. Multiplying by a power of two is exact, and so is taking off
/// the integer part, so the digits compared are those of `p`. Where `p` has no digits beyond the first 64 (every `p >= 2^-12`, and every fraction of
/// a number of at least 1), one draw decides with probability exactly `p = k / 2^64`; below that a tie, of probability `2^-64`, goes on with the
/// next digits. An `f64` has at most 1074 binary digits, so 17 draws decide.
pub(super) fn bernoulli(mut p: f64, rng: &mut impl CryptoRng) -> bool {
    loop {
        let scaled = p * RANGE;
        let whole = scaled.floor();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an integer in 0..2^64, since 0 <= p < 1"
        )]
        let digits = whole as u64;
        let drawn = rng.next_u64();
        if drawn != digits {
            return drawn < digits;
        }
        p = scaled - whole;
        if p == 0.0 {
            // The uniform number is at least p.
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use rand_core::{TryCryptoRng, TryRng};

    use super::*;

    /// A generator that says what it is told to.
    struct Script<'a>(core::slice::Iter<'a, u64>);

    impl TryRng for Script<'_> {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            no_such_draw()
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(*self.0.next().unwrap())
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            no_such_draw()
        }
    }
    impl TryCryptoRng for Script<'_> {}

    fn no_such_draw<T>() -> T {
        panic!("the coin draws whole words")
    }

    /// The coin's answer to these draws, all of which it must use.
    fn flip(p: f64, draws: &[u64]) -> bool {
        let mut script = Script(draws.iter());
        let up = bernoulli(p, &mut script);
        assert_eq!(script.0.len(), 0, "{p}: draws left over");
        up
    }

    /// The threshold is where it must be: exactly `p 2^64` of the `2^64` draws say yes.
    #[test]
    fn exactly_as_many_draws_say_yes() {
        assert!(!flip(0.0, &[0]));
        for (p, k) in [
            (0.5, 1 << 63),
            (0.75, 3 << 62),
            (1.0 - f64::EPSILON / 2.0, u64::MAX - 2047),
            (2f64.powi(-64), 1),
            (0.1, 0x1999_9999_9999_9A00),
        ] {
            assert!(flip(p, &[k - 1]), "{p}");
            assert!(!flip(p, &[k]), "{p}");
        }
    }

    /// `p = 2^-60 + 2^-80 + 2^-112`: ties go on to the next 64 digits, where `2^-80` stands for `2^48`, and `2^-112` for `2^16`.
    #[test]
    fn ties_go_on() {
        let p = 2f64.powi(-60) + 2f64.powi(-80) + 2f64.powi(-112);
        assert!(flip(p, &[15]));
        assert!(!flip(p, &[17]));
        let next = (1 << 48) + (1 << 16);
        assert!(flip(p, &[16, next - 1]));
        assert!(!flip(p, &[16, next]));
    }

    /// The smallest `f64`, `2^-1074`: sixteen times 64 zeros, then a one at digit 50.
    #[test]
    fn the_smallest_number_needs_seventeen_draws() {
        let mut draws = vec![0; 17];
        draws[16] = (1 << 14) - 1;
        assert!(flip(f64::from_bits(1), &draws));
        draws[16] = 1 << 14;
        assert!(!flip(f64::from_bits(1), &draws));
    }
}
