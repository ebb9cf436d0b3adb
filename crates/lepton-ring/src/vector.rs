//! Vectors over a ring.

use core::fmt;

use zeroize::Zeroize;

use crate::{Modulus, RingError};

/// A vector of residues modulo `2^bits`; zeroized on drop, since it may hold a party's update before it is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct RingVec {
    modulus: Modulus,
    words: Vec<u64>,
}

impl RingVec {
    /// `len` zeros.
    #[must_use]
    pub fn zeros(modulus: Modulus, len: usize) -> Self {
        Self {
            modulus,
            words: vec![0; len],
        }
    }

    /// The residues of signed values. Refuses a value of magnitude `2^(bits-1)` or more, naming its position.
    pub fn from_signed(modulus: Modulus, values: &[i64]) -> Result<Self, RingError> {
        let half = 1u64 << (modulus.bits() - 1);
        if let Some(position) = values.iter().position(|v| v.unsigned_abs() >= half) {
            let value = values.get(position).copied().unwrap_or_default();
            return Err(RingError::OutOfRange {
                position,
                value,
                bits: modulus.bits(),
            });
        }
        Ok(Self {
            modulus,
            words: values.iter().map(|v| modulus.reduce(*v)).collect(),
        })
    }

    /// The residues of signed values, whatever their magnitude: for values that carry noise, which is never cut off.
    #[must_use]
    pub fn from_wrapping(modulus: Modulus, values: &[i64]) -> Self {
        Self {
            modulus,
            words: values.iter().map(|v| modulus.reduce(*v)).collect(),
        }
    }

    /// The centred representatives, in `-2^(bits-1) .. 2^(bits-1)`.
    #[must_use]
    pub fn to_signed(&self) -> Vec<i64> {
        self.words.iter().map(|w| self.modulus.centre(*w)).collect()
    }

    /// Adds `other` entry by entry. Refuses another modulus or length.
    pub fn add_assign(&mut self, other: &Self) -> Result<(), RingError> {
        self.combine(other, u64::wrapping_add)
    }

    /// Subtracts `other` entry by entry. Refuses another modulus or length.
    pub fn sub_assign(&mut self, other: &Self) -> Result<(), RingError> {
        self.combine(other, u64::wrapping_sub)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The ring.
    #[must_use]
    pub fn modulus(&self) -> Modulus {
        self.modulus
    }

    /// The residues, each below `2^bits`.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Bytes that [`Self::pack`] makes of `len` entries: `ceil(len * bits / 8)`; `None` when that overflows.
    #[must_use]
    pub fn packed_len(modulus: Modulus, len: usize) -> Option<usize> {
        Some(len.checked_mul(usize::from(modulus.bits()))?.div_ceil(8))
    }

    /// The entries as a little-endian string of `bits` bits each, padded with zero bits to whole bytes.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let bits = u32::from(self.modulus.bits());
        let mut out =
            Vec::with_capacity((self.words.len() * self.modulus.bits() as usize).div_ceil(8));
        if bits.is_multiple_of(8) {
            let width = (bits / 8) as usize;
            self.words
                .iter()
                .for_each(|w| out.extend(w.to_le_bytes().into_iter().take(width)));
            return out;
        }
        let (mut acc, mut held) = (0u128, 0u32);
        for word in &self.words {
            acc |= u128::from(*word) << held;
            held += bits;
            while held >= 8 {
                out.push(low_byte(acc));
                acc >>= 8;
                held -= 8;
            }
        }
        if held > 0 {
            out.push(low_byte(acc));
        }
        out
    }

    /// Reads what [`Self::pack`] wrote. Refuses a byte string of another length and spare bits that are not zero.
    pub fn unpack(modulus: Modulus, len: usize, bytes: &[u8]) -> Result<Self, RingError> {
        let need = Self::packed_len(modulus, len).unwrap_or(usize::MAX);
        if bytes.len() != need {
            return Err(RingError::Length {
                have: bytes.len(),
                need,
            });
        }
        let bits = u32::from(modulus.bits());
        let mut words = Vec::with_capacity(len);
        let (mut acc, mut held) = (0u128, 0u32);
        for byte in bytes {
            acc |= u128::from(*byte) << held;
            held += 8;
            if held >= bits && words.len() < len {
                words.push(low_word(acc) & modulus.mask());
                acc >>= bits;
                held -= bits;
            }
        }
        if acc != 0 {
            return Err(RingError::SpareBits);
        }
        Ok(Self { modulus, words })
    }

    fn combine(&mut self, other: &Self, op: impl Fn(u64, u64) -> u64) -> Result<(), RingError> {
        if self.modulus != other.modulus {
            return Err(RingError::ModulusMismatch(
                self.modulus.bits(),
                other.modulus.bits(),
            ));
        }
        if self.len() != other.len() {
            return Err(RingError::Length {
                have: other.len(),
                need: self.len(),
            });
        }
        let mask = self.modulus.mask();
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a = op(*a, *b) & mask;
        }
        Ok(())
    }
}

impl Drop for RingVec {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

/// The entries may be a party's data: only the shape is shown.
impl fmt::Debug for RingVec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RingVec({} entries of {} bits)",
            self.words.len(),
            self.modulus.bits()
        )
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low byte is what is wanted"
)]
const fn low_byte(acc: u128) -> u8 {
    acc as u8
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low word is what is wanted"
)]
const fn low_word(acc: u128) -> u64 {
    acc as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn modulus(bits: u8) -> Modulus {
        Modulus::new(bits).unwrap()
    }

    #[test]
    fn packs_by_hand() {
        // 0x123, 0x456, 0x789 in 12 bits, little endian: nibbles 3 2 1, 6 5 4, 9 8 7.
        let v = RingVec {
            modulus: modulus(12),
            words: vec![0x123, 0x456, 0x789],
        };
        assert_eq!(v.pack(), [0x23, 0x61, 0x45, 0x89, 0x07]);
        assert_eq!(
            RingVec::unpack(modulus(12), 3, &[0x23, 0x61, 0x45, 0x89, 0x07]),
            Ok(v)
        );
    }

    #[test]
    fn refuses_wrong_lengths_and_spare_bits() {
        let m = modulus(12);
        assert_eq!(
            RingVec::unpack(m, 3, &[0; 4]),
            Err(RingError::Length { have: 4, need: 5 })
        );
        assert_eq!(
            RingVec::unpack(m, 3, &[0; 6]),
            Err(RingError::Length { have: 6, need: 5 })
        );
        assert_eq!(
            RingVec::unpack(m, 3, &[0, 0, 0, 0, 0x10]),
            Err(RingError::SpareBits)
        );
        assert!(RingVec::unpack(m, usize::MAX, &[]).is_err());
    }

    #[test]
    fn refuses_values_beyond_half() {
        let m = modulus(8);
        assert_eq!(
            RingVec::from_signed(m, &[127, -127]).unwrap().to_signed(),
            [127, -127]
        );
        assert_eq!(
            RingVec::from_signed(m, &[0, 128]),
            Err(RingError::OutOfRange {
                position: 1,
                value: 128,
                bits: 8
            })
        );
        assert!(RingVec::from_signed(m, &[-128]).is_err());
        assert!(RingVec::from_signed(modulus(64), &[i64::MIN]).is_err());
        assert_eq!(
            RingVec::from_signed(modulus(64), &[i64::MAX])
                .unwrap()
                .to_signed(),
            [i64::MAX]
        );
    }

    #[test]
    fn refuses_unlike_operands() {
        let mut a = RingVec::zeros(modulus(8), 2);
        assert_eq!(
            a.add_assign(&RingVec::zeros(modulus(9), 2)),
            Err(RingError::ModulusMismatch(8, 9))
        );
        assert_eq!(
            a.sub_assign(&RingVec::zeros(modulus(8), 3)),
            Err(RingError::Length { have: 3, need: 2 })
        );
    }

    #[test]
    fn debug_hides_the_entries() {
        assert_eq!(
            format!("{:?}", RingVec::zeros(modulus(8), 2)),
            "RingVec(2 entries of 8 bits)"
        );
    }

    proptest! {
        #[test]
        fn pack_round_trips(bits in 8u8..=64, raw in prop::collection::vec(any::<u64>(), 0..200)) {
            let m = modulus(bits);
            let v = RingVec { modulus: m, words: raw.iter().map(|w| w & m.mask()).collect() };
            let bytes = v.pack();
            prop_assert_eq!(Some(bytes.len()), RingVec::packed_len(m, v.len()));
            prop_assert_eq!(RingVec::unpack(m, v.len(), &bytes).unwrap(), v);
        }

        #[test]
        fn sums_below_the_bound_are_exact(bound in 1i64..1 << 40, rows in prop::collection::vec(prop::collection::vec(any::<i64>(), 5), 1..20)) {
            let m = Modulus::for_sum_bound(u128::try_from(bound).unwrap() * rows.len() as u128).unwrap();
            let mut sum = RingVec::zeros(m, 5);
            let mut plain = vec![0i64; 5];
            for row in &rows {
                let row: Vec<i64> = row.iter().map(|x| x % (bound + 1)).collect();
                sum.add_assign(&RingVec::from_signed(m, &row).unwrap()).unwrap();
                plain.iter_mut().zip(&row).for_each(|(p, r)| *p += r);
            }
            prop_assert_eq!(sum.to_signed(), plain);
        }
    }
}
