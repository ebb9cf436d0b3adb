//! One digest for many, and short proofs for any set of positions.
//!
//! The tree is that of RFC 9162 §2.1: the leaves of a tree of n > 1 are divided before the largest power of two below n, so that odd nodes at the right edge
//! move up unhashed. Leaves, inner nodes and the root are hashed under three different [`HashPrefix`]es, and the root hashes the number of leaves
//! together with the topmost node: neither can a node pass for a leaf, nor a tree for one with another number of leaves.
//!
//! A proof for known positions consists of the digests of the largest subtrees without a known position, from left to right. Its length depends on the
//! positions only; with all positions known it is empty, with none known it is the topmost node.

use core::ops::Range;

use crate::{CryptoError, Digest, HashPrefix};

/// The tree over a fixed number of positions; holds all its nodes.
pub struct MerkleTree {
    /// From the leaves up; a node covers the positions from its index times 2^level on.
    levels: Vec<Vec<Digest>>,
    root: Digest,
}

impl MerkleTree {
    /// The tree whose position `i` holds the `i`-th digest.
    #[must_use]
    pub fn new(leaves: &[Digest]) -> Self {
        let hashes = Hashes::new();
        let mut levels = Vec::new();
        let mut level: Vec<_> = leaves.iter().map(|leaf| hashes.leaf(leaf)).collect();
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => hashes.node(left, right),
                _ => pair.first().copied().unwrap_or(EMPTY),
            });
            let above = above.collect();
            levels.push(core::mem::replace(&mut level, above));
        }
        let top = level.first().copied().unwrap_or(EMPTY);
        levels.push(level);
        Self {
            root: hashes.root(leaves.len(), &top),
            levels,
        }
    }

    /// The digest that stands for all leaves and their number.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// What somebody who knows the leaves at these positions needs to compute the root. Positions may come in any order and repeat; those that the tree does
    /// not have are passed over.
    #[must_use]
    pub fn proof(&self, known: &[usize]) -> Vec<Digest> {
        let leaves = self.levels.first().map_or(0, Vec::len);
        let mut known: Vec<_> = known.iter().copied().filter(|p| *p < leaves).collect();
        known.sort_unstable();
        known.dedup();
        let mut proof = Vec::new();
        self.collect(0..leaves, &known, &mut proof);
        proof
    }

    fn collect(&self, range: Range<usize>, known: &[usize], proof: &mut Vec<Digest>) {
        if known.len() == range.len() {
            return;
        }
        if known.is_empty() {
            proof.push(self.node(&range));
            return;
        }
        let middle = middle(&range);
        let (left, right) = known.split_at(known.partition_point(|p| *p < middle));
        self.collect(range.start..middle, left, proof);
        self.collect(middle..range.end, right, proof);
    }

    /// The node above a range that [`middle`] made and that is not empty.
    fn node(&self, range: &Range<usize>) -> Digest {
        let level = range.len().next_power_of_two().ilog2() as usize;
        let nodes = self.levels.get(level);
        *nodes
            .and_then(|nodes| nodes.get(range.start >> level))
            .expect("the levels hold every subtree")
    }
}

/// The root of the tree of `leaf_count` positions that holds these digests at these positions, from a proof for exactly them.
///
/// Equal to a root that is trusted, it proves that the tree has this many positions and these digests at these of them. Refuses positions that are not strictly ascending or not below `leaf_count`, and a proof of any other length than
/// [`MerkleTree::proof`] would give. The work grows with the known positions only.
pub fn root_from(
    leaf_count: usize,
    known: &[(usize, Digest)],
    proof: &[Digest],
) -> Result<Digest, CryptoError> {
    let mut least = 0;
    for (position, _) in known {
        if *position < least || *position >= leaf_count {
            return Err(CryptoError::BadPosition(*position));
        }
        least = position + 1;
    }
    let misfit = CryptoError::BadProofLength { have: proof.len() };
    let hashes = Hashes::new();
    let mut rest = proof.iter();
    let top = match leaf_count {
        0 => EMPTY,
        _ => climb(&hashes, 0..leaf_count, known, &mut rest).ok_or(misfit)?,
    };
    match rest.next() {
        Some(_) => Err(misfit),
        None => Ok(hashes.root(leaf_count, &top)),
    }
}

/// The node above a range; `None` when the proof ends early.
fn climb<'a>(
    hashes: &Hashes,
    range: Range<usize>,
    known: &[(usize, Digest)],
    proof: &mut impl Iterator<Item = &'a Digest>,
) -> Option<Digest> {
    match known {
        [] => proof.next().copied(),
        [(_, leaf)] if range.len() == 1 => Some(hashes.leaf(leaf)),
        _ => {
            let middle = middle(&range);
            let (left, right) = known.split_at(known.partition_point(|(p, _)| *p < middle));
            let left = climb(hashes, range.start..middle, left, proof)?;
            let right = climb(hashes, middle..range.end, right, proof)?;
            Some(hashes.node(&left, &right))
        }
    }
}

/// Where a range of two or more positions is divided: before the largest power of two below its length.
const fn middle(range: &Range<usize>) -> usize {
    range.start + (1 << (range.end - range.start - 1).ilog2())
}

/// Stands for the topmost node of a tree without leaves; the root hashes the number 0 beside it.
const EMPTY: Digest = Digest::from_bytes([0; 32]);

/// The three kinds of hash in a tree.
struct Hashes([HashPrefix; 3]);

impl Hashes {
    fn new() -> Self {
        let kinds: [&[u8]; 3] = [b"leaf", b"node", b"root"];
        Self(kinds.map(|kind| HashPrefix::new("lepton/merkle/v1", &[kind])))
    }

    fn leaf(&self, digest: &Digest) -> Digest {
        let [leaf, _, _] = &self.0;
        leaf.finish(digest.as_bytes())
    }

    fn node(&self, left: &Digest, right: &Digest) -> Digest {
        let [_, node, _] = &self.0;
        let mut both = [0; 64];
        let (first, second) = both.split_at_mut(32);
        first.copy_from_slice(left.as_bytes());
        second.copy_from_slice(right.as_bytes());
        node.finish(&both)
    }

    fn root(&self, leaves: usize, top: &Digest) -> Digest {
        let [_, _, root] = &self.0;
        let count = (leaves as u64).to_le_bytes();
        root.finish(&[&count, top.as_bytes().as_slice()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256;
    use proptest::prelude::*;

    fn leaves(n: usize) -> Vec<Digest> {
        (0..n).map(|i| sha256(&i.to_le_bytes())).collect()
    }

    fn pick(leaves: &[Digest], positions: &[usize]) -> Vec<(usize, Digest)> {
        positions.iter().map(|p| (*p, leaves[*p])).collect()
    }

    /// The frame of a [`HashPrefix`] with the domain and one part, written out.
    fn framed(kind: &str, tail: &[u8]) -> Digest {
        let mut input = [[0xff; 8], 1u64.to_le_bytes(), 16u64.to_le_bytes()].concat();
        input.extend(b"lepton/merkle/v1");
        input.extend(4u64.to_le_bytes());
        input.extend(kind.as_bytes());
        input.resize(64, 0);
        sha256(&[&input, tail].concat())
    }

    /// The recursive definition of RFC 9162 §2.1.1 with this module's hashes, over plain SHA-256.
    fn by_definition(leaves: &[Digest]) -> Digest {
        if let [leaf] = leaves {
            return framed("leaf", leaf.as_bytes());
        }
        let mut k = 1;
        while k * 2 < leaves.len() {
            k *= 2;
        }
        let (left, right) = leaves.split_at(k);
        let (left, right) = (by_definition(left), by_definition(right));
        framed("node", &[*left.as_bytes(), *right.as_bytes()].concat())
    }

    #[test]
    fn the_root_follows_the_definition() {
        for n in 1..70usize {
            let leaves = leaves(n);
            let top = by_definition(&leaves);
            let root = framed("root", &[&n.to_le_bytes()[..], top.as_ref()].concat());
            assert_eq!(MerkleTree::new(&leaves).root(), root, "{n}");
        }
        let none = framed("root", &[0; 40]);
        assert_eq!(MerkleTree::new(&[]).root(), none);
        assert_eq!(root_from(0, &[], &[]), Ok(none));
        assert!(MerkleTree::new(&[]).proof(&[0]).is_empty());
    }

    /// Every subset of the positions of every small tree, and every single bit of what is shown.
    #[test]
    fn every_set_of_positions_proves_the_root_and_no_other() {
        for n in 1..=9 {
            let leaves = leaves(n);
            let tree = MerkleTree::new(&leaves);
            for set in 0..1usize << n {
                let positions: Vec<_> = (0..n).filter(|i| set >> i & 1 == 1).collect();
                let known = pick(&leaves, &positions);
                let proof = tree.proof(&positions);
                assert_eq!(root_from(n, &known, &proof), Ok(tree.root()));
                assert_eq!(proof.is_empty(), positions.len() == n);
                let longer = [proof.as_slice(), &[EMPTY]].concat();
                let misfit = |have| Err(CryptoError::BadProofLength { have });
                assert_eq!(root_from(n, &known, &longer), misfit(longer.len()));
                if let Some((_, shorter)) = proof.split_last() {
                    assert_eq!(root_from(n, &known, shorter), misfit(shorter.len()));
                }
            }
        }
    }

    #[test]
    fn every_bit_counts() {
        let leaves = leaves(13);
        let tree = MerkleTree::new(&leaves);
        let known = pick(&leaves, &[0, 3, 4, 12]);
        let proof = tree.proof(&[0, 3, 4, 12]);
        for bit in 0..256 {
            let flip = |digest: &mut Digest| {
                let mut bytes = *digest.as_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                *digest = Digest::from_bytes(bytes);
            };
            for i in 0..proof.len() {
                let mut proof = proof.clone();
                flip(&mut proof[i]);
                assert_ne!(root_from(13, &known, &proof), Ok(tree.root()));
            }
            for i in 0..known.len() {
                let mut known = known.clone();
                flip(&mut known[i].1);
                assert_ne!(root_from(13, &known, &proof), Ok(tree.root()));
            }
        }
    }

    /// Digests at other positions, in trees of other sizes, and inner nodes shown as leaves give other roots.
    #[test]
    fn positions_sizes_and_levels_count() {
        let leaves = leaves(4);
        let tree = MerkleTree::new(&leaves);
        let mut moved = pick(&leaves, &[0, 1, 2, 3]);
        moved[0].1 = leaves[1];
        moved[1].1 = leaves[0];
        assert_ne!(root_from(4, &moved, &[]), Ok(tree.root()));
        let top = tree.proof(&[]);
        for n in (1..9).chain([usize::MAX]) {
            assert_eq!(root_from(n, &[], &top) == Ok(tree.root()), n == 4, "{n}");
        }
        let inner = [tree.node(&(0..2)), tree.node(&(2..4))];
        assert_ne!(MerkleTree::new(&inner).root(), tree.root());
    }

    #[test]
    fn refuses_wrong_positions() {
        let leaves = leaves(5);
        let proof = MerkleTree::new(&leaves).proof(&[1, 2]);
        let (one, two) = ((1, leaves[1]), (2, leaves[2]));
        for (known, position) in [
            (vec![two, one], 1),
            (vec![one, one], 1),
            (vec![one, two, two], 2),
            (vec![one, (5, leaves[2])], 5),
            (vec![(usize::MAX, leaves[1])], usize::MAX),
        ] {
            let refused = Err(CryptoError::BadPosition(position));
            assert_eq!(root_from(5, &known, &proof), refused);
        }
        assert!(root_from(0, &[(0, leaves[0])], &[]).is_err());
    }

    #[test]
    fn a_proof_takes_positions_in_any_order() {
        let tree = MerkleTree::new(&leaves(20));
        assert_eq!(tree.proof(&[9, 3, 3, 77]), tree.proof(&[3, 9]));
        // By hand, 2 and 5 of 8: node 01 beside them on the left, leaf 3, leaf 4, node 67.
        let tree = MerkleTree::new(&leaves(8));
        let expected = [0..2, 3..4, 4..5, 6..8].map(|range| tree.node(&range));
        assert_eq!(tree.proof(&[2, 5]), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_set_in_any_tree(n in 1usize..600, seed: u64, one_in in 1u64..40) {
            let leaves = leaves(n);
            let tree = MerkleTree::new(&leaves);
            let chosen = |i: &usize| {
                let digest = sha256(&[seed.to_le_bytes(), (*i as u64).to_le_bytes()].concat());
                u64::from(digest.as_bytes()[0]).is_multiple_of(one_in)
            };
            let positions: Vec<_> = (0..n).filter(chosen).collect();
            let (known, proof) = (pick(&leaves, &positions), tree.proof(&positions));
            prop_assert_eq!(root_from(n, &known, &proof), Ok(tree.root()));
            prop_assert_ne!(root_from(n + 1, &known, &proof), Ok(tree.root()));
        }
    }
}
