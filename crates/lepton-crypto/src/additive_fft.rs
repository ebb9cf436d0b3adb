//! Evaluation of polynomials in the basis of Lin, Chung and Han ("Novel Polynomial Basis and Its Application to Reed-Solomon Erasure Codes",
//! FOCS 2014) at all points of a subspace of GF(256), many polynomials side by side.
//!
//! With V_i the field elements below 2^i (a subspace: addition is XOR), s_i(x) = ∏ (x − v) over v in V_i, normalised to w_i(x) = s_i(x) / s_i(2^i).
//! The basis is X_k = ∏ w_i over the bits i that are set in k. s_i is linear over GF(2) (their lemma 1), so w_i is constant on every coset of V_i and grows by
//! w_i(2^i) = 1 from one to the next of a pair; that makes one step of the evaluation two additions and one product by a public constant.
#![expect(
    clippy::indexing_slicing,
    reason = "levels and bits are below 8, the size of the table"
)]

use crate::gf256::{Lane, add, add_product, inverse, mul};

/// `WEIGHT[i][j]` = w_i(2^j).
const WEIGHT: [[u8; 8]; 8] = weights();

/// Replaces the coefficients of X_0, X_1, … by the values at 0, 1, …, `points − 1`; what lies behind those is left meaningless.
///
/// `values` is as long as a power of two, at most 256 and at least `points` and `filled`. The coefficients from `filled` on count as zero: what stands
/// there is never read.
pub(crate) fn evaluate(values: &mut [Lane], filled: usize, points: usize) {
    let mut filled = filled;
    let mut half = values.len() / 2;
    while half > 0 {
        let starts = (0..points).step_by(2 * half);
        for (block, start) in values.chunks_exact_mut(2 * half).zip(starts) {
            step(block, filled, weight(half, start));
        }
        filled = filled.min(half);
        half /= 2;
    }
}

/// From D = D_0 + w·D_1 to the coefficients of D on both cosets: D_0 + factor·D_1, and that plus D_1.
fn step(block: &mut [Lane], filled: usize, factor: u8) {
    let (low, high) = block.split_at_mut(block.len() / 2);
    let pairs = filled.saturating_sub(low.len());
    for (i, (a, b)) in low.iter_mut().zip(high).take(filled).enumerate() {
        if i < pairs {
            add_product(a, b, factor);
            add(b, a);
        } else {
            *b = *a;
        }
    }
}

/// w_i at `point`, for the coset size 2^i: by linearity the sum over the point's bits.
fn weight(size: usize, point: usize) -> u8 {
    let row = WEIGHT[size.ilog2() as usize];
    let bits = row.iter().enumerate();
    bits.fold(
        0,
        |sum, (j, w)| if point >> j & 1 == 1 { sum ^ w } else { sum },
    )
}

/// s_0(x) = x and s_{i+1}(x) = s_i(x)·s_i(x + 2^i) = s_i(x)·(s_i(x) + s_i(2^i)).
const fn weights() -> [[u8; 8]; 8] {
    let mut raw = [1, 2, 4, 8, 16, 32, 64, 128];
    let mut out = [[0; 8]; 8];
    let mut i = 0;
    while i < 8 {
        let unit = raw[i];
        let mut j = 0;
        while j < 8 {
            out[i][j] = mul(raw[j], inverse(unit));
            raw[j] = mul(raw[j], raw[j] ^ unit);
            j += 1;
        }
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gf256::LANE;

    /// w_i(x) from its definition as a product over the subspace.
    fn by_definition(i: u32, x: u8) -> u8 {
        let at = |x: u8| (0..1u8 << i).fold(1, |product, v| mul(product, x ^ v));
        mul(at(x), inverse(at(1 << i)))
    }

    fn basis(k: u8, x: u8) -> u8 {
        let factors = (0..8).filter(|i| k >> i & 1 == 1);
        factors.fold(1, |product, i| mul(product, by_definition(i, x)))
    }

    #[test]
    fn weights_follow_the_definition() {
        for i in 0..8 {
            for x in 0..=255 {
                assert_eq!(weight(1 << i, x.into()), by_definition(i, x), "{i} {x}");
            }
        }
    }

    /// A unit vector of coefficients gives the values of one basis polynomial, for every size, every basis polynomial and every point asked for.
    #[test]
    fn evaluates_every_basis_polynomial() {
        for size in [1usize, 2, 4, 8, 16, 64, 256] {
            for k in 0..size {
                let coefficient = 0x35;
                let mut values = vec![[0; LANE]; size];
                values[k + 1..].fill([0xee; LANE]);
                values[k][7] = coefficient;
                let points = size - size / 5;
                evaluate(&mut values, k + 1, points);
                for (x, value) in (0u8..=255).zip(&values[..points]) {
                    let expected = mul(coefficient, basis(u8::try_from(k).unwrap(), x));
                    assert_eq!((value[7], value[6]), (expected, 0), "{size} {k} {x}");
                }
            }
        }
    }

    /// X_k(0) = 0 for k >= 1 and X_0 = 1: what makes the first coefficient the secret.
    #[test]
    fn only_the_first_basis_polynomial_is_not_zero_at_zero() {
        assert!((0..=255).all(|x| basis(0, x) == 1));
        assert!((1..=255).all(|k| basis(k, 0) == 0));
    }
}
