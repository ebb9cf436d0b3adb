//! Vectors over a ring.

use core::{fmt, mem};

use zeroize::Zeroize;

use crate::{Modulus, RingError, packing};

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
        packing::packed_len(modulus, len)
    }

    /// The entries as a little-endian string of `bits` bits each, padded with zero bits to whole bytes.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        packing::pack(self.modulus, &self.words)
    }

    /// Reads what [`Self::pack`] wrote. Refuses a byte string of another length and spare bits that are not zero.
    pub fn unpack(modulus: Modulus, len: usize, bytes: &[u8]) -> Result<Self, RingError> {
        packing::check(modulus, len, bytes)?;
        let mut words = Vec::with_capacity(len);
        packing::unpack(modulus, len, bytes, |group| words.extend_from_slice(group));
        Ok(Self { modulus, words })
    }

    /// Adds the vector that [`Self::unpack`] would read from `bytes` with this modulus and length, without building it. Refuses what `unpack`
    /// refuses; then nothing has changed.
    pub fn add_packed(&mut self, bytes: &[u8]) -> Result<(), RingError> {
        packing::check(self.modulus, self.len(), bytes)?;
        let mask = self.modulus.mask();
        let mut entries = self.words.as_mut_slice();
        packing::unpack(self.modulus, entries.len(), bytes, |group| {
            let (head, tail) = mem::take(&mut entries).split_at_mut(group.len());
            for (entry, word) in head.iter_mut().zip(group) {
                *entry = entry.wrapping_add(*word) & mask;
            }
            entries = tail;
        });
        Ok(())
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

#[cfg(test)]
mod tests;
