//! Which rows are folded together in single precision (rule DP-11).
//!
//! A float sum depends on how its terms are grouped. If adding a record shifted the groups of all records behind it, every
//! group's rounding error would change, and only the sum of all of them bounds the change. So the groups are the leaves of a
//! tree over hashes of the records: where a record goes, and when a leaf is split, depends on the records of that leaf alone,
//! and an added record changes the group it falls into and no other.

use fearless_simd::{Level, dispatch};

use crate::data::{Examples, Target};

/// Most rows of one leaf.
pub(super) const LEAF_ROWS: usize = 32;
/// Strands of the hash, so that the compiler can use vectors.
const STRANDS: usize = 16;

/// The rows of a step in the order of their hashes, and where each leaf ends.
#[derive(Default)]
pub(super) struct Leaves {
    keys: Vec<(u64, usize)>,
    /// Rows in order.
    pub(super) rows: Vec<usize>,
    /// Ends of the leaves in `rows`, increasing.
    pub(super) ends: Vec<usize>,
}

impl Leaves {
    /// Groups `rows`, which must exist and be strictly increasing.
    pub(super) fn group(&mut self, examples: &Examples, rows: &[usize]) {
        self.keys.clear();
        let keys = &mut self.keys;
        dispatch!(Level::new(), _simd => {
            keys.extend(rows.iter().map(|&row| (hash(examples, row), row)));
        });
        // Rows of equal hash keep their order among themselves.
        self.keys.sort_unstable();
        self.rows.clear();
        self.rows.extend(self.keys.iter().map(|key| key.1));
        self.ends.clear();
        split(&self.keys, 0, &mut self.ends);
    }
}

/// Appends the ends of the leaves of sorted `keys` that agree in the first `depth` bits.
fn split(keys: &[(u64, usize)], depth: u32, ends: &mut Vec<usize>) {
    let start = ends.last().copied().unwrap_or(0);
    if keys.is_empty() {
        return;
    }
    if keys.len() <= LEAF_ROWS {
        ends.push(start + keys.len());
        return;
    }
    let Some(bit) = 63_u32.checked_sub(depth) else {
        // More equal hashes than a leaf holds (copies of one record): every row for itself.
        ends.extend((1..=keys.len()).map(|i| start + i));
        return;
    };
    let middle = keys.partition_point(|key| key.0 >> bit & 1 == 0);
    let (zeros, ones) = keys.split_at(middle);
    split(zeros, depth + 1, ends);
    split(ones, depth + 1, ends);
}

/// A hash of the record's features and target, and of nothing else. Not cryptographic: records made to collide cost time, not
/// privacy.
#[inline(always)]
fn hash(examples: &Examples, row: usize) -> u64 {
    let mut strands = [0x9e37_79b9_u32; STRANDS];
    let mix = |s: &mut u32, v: u32| *s = (*s ^ v).wrapping_mul(0x85eb_ca6b).rotate_left(13);
    let (blocks, rest) = examples.x().row(row).as_chunks::<STRANDS>();
    for block in blocks {
        for (s, v) in strands.iter_mut().zip(block) {
            mix(s, v.to_bits());
        }
    }
    for (s, v) in strands.iter_mut().zip(rest) {
        mix(s, v.to_bits());
    }
    let target = match examples.y() {
        Target::Classes { labels, .. } => labels.get(row).copied(),
        Target::Values(values) => values.get(row).map(|v| v.to_bits()),
    };
    let start = u64::from(target.unwrap_or(0));
    let (pairs, _) = strands.as_chunks::<2>();
    finish(pairs.iter().fold(start, |h, &[a, b]| {
        (h ^ u64::from(a) ^ (u64::from(b) << 32))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    }))
}

/// A bijection that spreads every bit (the finaliser of splitmix64; Steele, Lea and Flood 2014).
fn finish(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::Matrix;

    fn table(values: &[u8]) -> Examples {
        let x: Vec<f32> = values.iter().map(|&v| f32::from(v)).collect();
        let y = Target::Values(vec![1.0; values.len()]);
        Examples::new(Matrix::new(values.len(), 1, x).unwrap(), y).unwrap()
    }

    /// The leaves as lists of values.
    fn leaves(values: &[u8]) -> Vec<Vec<u8>> {
        let mut grouped = Leaves::default();
        let rows: Vec<usize> = (0..values.len()).collect();
        grouped.group(&table(values), &rows);
        let mut start = 0;
        let mut all = Vec::new();
        for &end in &grouped.ends {
            all.push(
                grouped.rows[start..end]
                    .iter()
                    .map(|&r| values[r])
                    .collect(),
            );
            start = end;
        }
        assert_eq!(start, values.len());
        all
    }

    proptest! {
        /// DP-11: an added record changes the leaf it falls into (which may be split) and no other.
        #[test]
        fn an_added_record_changes_one_leaf(values in proptest::collection::vec(any::<u8>(), 0..400), new in any::<u8>(), at in any::<usize>()) {
            let before = leaves(&values);
            let mut more = values.clone();
            more.insert(at % (values.len() + 1), new);
            let after = leaves(&more);
            let common = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
            let rest = before.len().min(after.len()) - common;
            let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count().min(rest);
            let changed = &before[common..before.len() - tail];
            let rows: usize = changed.iter().map(Vec::len).sum();
            prop_assert!(changed.len() <= 1 || changed.iter().all(|leaf| leaf.len() == 1 && leaf[0] == new), "{changed:?}");
            let now: usize = after[common..after.len() - tail].iter().map(Vec::len).sum();
            prop_assert_eq!(now, rows + 1);
            prop_assert!(after.iter().all(|leaf| leaf.len() <= LEAF_ROWS));
        }
    }

    #[test]
    fn copies_of_one_record_stand_alone() {
        assert_eq!(leaves(&[7; 32]).len(), 1);
        assert_eq!(leaves(&[7; 33]).len(), 33);
    }

    #[test]
    fn every_feature_and_the_target_move_the_hash() {
        let x = Matrix::new(1, 70, vec![0.5; 70]).unwrap();
        let base = Examples::new(x, Target::Values(vec![0.0])).unwrap();
        for feature in 0..70 {
            let mut data = vec![0.5; 70];
            data[feature] = 0.25;
            let x = Matrix::new(1, 70, data).unwrap();
            let other = Examples::new(x, Target::Values(vec![0.0])).unwrap();
            assert_ne!(hash(&base, 0), hash(&other, 0));
        }
        let x = Matrix::new(1, 70, vec![0.5; 70]).unwrap();
        let other = Examples::new(x, Target::Values(vec![1.0])).unwrap();
        assert_ne!(hash(&base, 0), hash(&other, 0));
    }
}
