//! The field of `2^61 - 1` elements (AS-01).

use chacha20::ChaCha20Rng;
use lepton_crypto::Seed;
use rand_core::{CryptoRng, Rng, SeedableRng};
use zeroize::{Zeroize, Zeroizing};

/// The field's order, a Mersenne prime.
pub(crate) const ORDER: u64 = (1 << 61) - 1;

/// The largest magnitude of an integer that its element stands for.
pub(crate) const HALF: u64 = ORDER / 2;

/// An element, below [`ORDER`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Zeroize)]
pub(crate) struct Element(u64);

impl Element {
    pub(crate) const ZERO: Self = Self(0);

    /// The element of an integer, whatever its magnitude.
    pub(crate) fn of(value: i64) -> Self {
        let size = Self(value.unsigned_abs() % ORDER);
        if value < 0 {
            Self::ZERO.minus(size)
        } else {
            size
        }
    }

    /// The integer of magnitude up to [`HALF`] that the element stands for.
    pub(crate) const fn signed(self) -> i64 {
        if self.0 > HALF {
            self.0.cast_signed() - ORDER.cast_signed()
        } else {
            self.0.cast_signed()
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self::once(self.0 + other.0)
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self::once(self.0 + ORDER - other.0)
    }

    pub(crate) fn times(self, other: Self) -> Self {
        let wide = u128::from(self.0) * u128::from(other.0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "61 bits are kept, and 61 are left of a product of 122"
        )]
        let (low, high) = (wide as u64 & ORDER, (wide >> 61) as u64);
        Self::once(low + high)
    }

    /// Reduces what is below twice the order.
    const fn once(sum: u64) -> Self {
        // Without a branch: the value is secret.
        let less = sum.wrapping_sub(ORDER);
        let keep = (less.cast_signed() >> 63).cast_unsigned();
        Self((sum & keep) | (less & !keep))
    }

    pub(crate) const fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// Refuses what is no element.
    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        let word = u64::from_le_bytes(bytes);
        (word < ORDER).then_some(Self(word))
    }

    /// A uniform element: 61 bits, drawn again where they are the order.
    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        loop {
            let word = rng.next_u64() >> 3;
            if word < ORDER {
                return Self(word);
            }
        }
    }
}

/// Elements, wiped on drop, without `Debug`.
pub(crate) type Elements = Zeroizing<Vec<Element>>;

/// `len` uniform elements.
pub(crate) fn uniform(len: usize, rng: &mut impl CryptoRng) -> Elements {
    Zeroizing::new((0..len).map(|_| Element::random(rng)).collect())
}

/// The elements that `seed` stands for.
pub(crate) fn expand(seed: &Seed, len: usize) -> Elements {
    let mut stream = ChaCha20Rng::from_seed(*seed.as_bytes());
    Zeroizing::new((0..len).map(|_| Element::random(&mut stream)).collect())
}

/// Elements as 64-bit little-endian integers.
pub(crate) fn to_bytes(elements: &[Element]) -> Vec<u8> {
    elements.iter().flat_map(|e| e.to_bytes()).collect()
}

/// Reads what [`to_bytes`] wrote of `len` elements; `None` for another length and for what is no element.
pub(crate) fn from_bytes(bytes: &[u8], len: usize) -> Option<Elements> {
    let (words, rest) = bytes.as_chunks::<8>();
    if words.len() != len || !rest.is_empty() {
        return None;
    }
    let elements: Option<Vec<_>> = words.iter().map(|w| Element::from_bytes(*w)).collect();
    elements.map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(1), Just(ORDER - 1), Just(HALF), 0..ORDER]
    }

    proptest! {
        /// Against remainders of 128-bit integers.
        #[test]
        fn arithmetic_is_that_of_remainders(x in element(), y in element()) {
            let (a, b) = (Element(x), Element(y));
            let p = u128::from(ORDER);
            let (x, y) = (u128::from(x), u128::from(y));
            prop_assert_eq!(u128::from(a.plus(b).0), (x + y) % p);
            prop_assert_eq!(u128::from(a.minus(b).0), (x + p - y) % p);
            prop_assert_eq!(u128::from(a.times(b).0), x * y % p);
        }

        #[test]
        fn integers_come_back(value in -(HALF.cast_signed())..=HALF.cast_signed()) {
            prop_assert_eq!(Element::of(value).signed(), value);
        }
    }

    /// Known answers by Python's integers: `pow(3, 2**60, 2**61 - 1)` and `-5 * 7 % p`.
    #[test]
    fn known_answers() {
        let mut power = Element(3);
        for _ in 0..60 {
            power = power.times(power);
        }
        assert_eq!(power.0, 2_305_843_009_213_693_948);
        assert_eq!(Element::of(-5).times(Element::of(7)).0, ORDER - 35);
        assert_eq!(Element::of(i64::MIN).0, ORDER - 4);
    }

    #[test]
    fn what_is_no_element_is_refused() {
        let bytes = |word: u64| word.to_le_bytes();
        assert!(from_bytes(&bytes(ORDER - 1), 1).is_some());
        assert!(from_bytes(&bytes(ORDER), 1).is_none());
        assert!(from_bytes(&bytes(u64::MAX), 1).is_none());
        assert!(from_bytes(&bytes(0), 2).is_none());
        assert!(from_bytes(&[0; 9], 1).is_none());
    }
}
