//! Matrix product with a fixed order of operations.
//!
//! Every element of the result is `fold(k = 0, 1, ..) of fma(a[i,k], b[k,j], acc)`, whatever the sizes, the row's place in
//! the batch and the machine. Tiles and vector units only decide *which* elements advance together, never the order inside
//! one element; hence a row's result is a function of that row alone (rule DP-06). Written in safe Rust: packed tiles of
//! constant width, which the compiler turns into vector code for the level that `fearless_simd` finds at run time. Without
//! hardware fused multiply-add the same numbers come out, slowly.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; all slice lengths are asserted on entry of `product`"
)]

use std::ops::Range;

use fearless_simd::{Level, dispatch};

use crate::scalar::Scalar;

/// Rows of a register tile. With 16 columns the largest tile whose accumulators the compiler keeps in registers at every
/// level, in `f32` and `f64`: 6 x 32 and 8 x 16 were measured 7 to 20 times slower.
const TILE_ROWS: usize = 6;
/// Inner length of one packed block, so that a packed panel of `b` stays in the first-level cache.
const BLOCK_INNER: usize = 256;

/// How to read the left operand.
#[derive(Clone, Copy)]
pub(crate) enum Left {
    /// `a` is `m x k`, row-major.
    Plain,
    /// `a` is `k x m`, row-major, and is used transposed.
    Transposed,
}

/// Sizes of a product `m x k` by `k x n`.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
}

/// Reusable packing space.
#[derive(Default)]
pub(crate) struct Scratch<S> {
    a: Vec<S>,
    b: Vec<S>,
}

/// The two operands of a product.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a, S> {
    pub(crate) a: &'a [S],
    pub(crate) left: Left,
    /// `k x n`, row-major.
    pub(crate) b: &'a [S],
}

/// `c = a b`, with `c` of `m x n`, row-major. Slices must have exactly the stated sizes.
pub(crate) fn product<S: Scalar>(
    sizes: Sizes,
    operands: Operands<'_, S>,
    c: &mut [S],
    scratch: &mut Scratch<S>,
) {
    let Sizes { m, n, k } = sizes;
    assert!(
        operands.a.len() == m * k && operands.b.len() == k * n && c.len() == m * n,
        "product operands have the stated sizes"
    );
    c.fill(S::ZERO);
    if n > 4 {
        run::<S, 16>(sizes, operands, c, scratch);
    } else {
        run::<S, 4>(sizes, operands, c, scratch);
    }
}

fn run<S: Scalar, const N: usize>(
    sizes: Sizes,
    operands: Operands<'_, S>,
    c: &mut [S],
    scratch: &mut Scratch<S>,
) {
    dispatch!(Level::new(), _simd => blocks::<S, N>(sizes, operands, c, scratch));
}

#[inline(always)]
fn blocks<S: Scalar, const N: usize>(
    sizes: Sizes,
    operands: Operands<'_, S>,
    c: &mut [S],
    scratch: &mut Scratch<S>,
) {
    let Sizes { n, k, .. } = sizes;
    for start in (0..k).step_by(BLOCK_INNER) {
        let inner = start..k.min(start + BLOCK_INNER);
        let depth = inner.len();
        pack_left(sizes, operands, inner.clone(), &mut scratch.a);
        for column in (0..n).step_by(N) {
            let columns = column..n.min(column + N);
            pack_panel::<S, N>(
                &operands.b[start * n..(start + depth) * n],
                n,
                &columns,
                &mut scratch.b,
            );
            let (panel, _) = scratch.b.as_chunks::<N>();
            let (tiles, _) = scratch.a.as_chunks::<TILE_ROWS>();
            for (tile, rows) in tiles.chunks_exact(depth).zip(c.chunks_mut(TILE_ROWS * n)) {
                tile_product::<S, N>(tile, panel, rows, n, &columns);
            }
        }
    }
}

/// Packs the columns `inner` of the left operand into tiles of `TILE_ROWS` rows, inner index outermost, missing rows zero.
#[inline(always)]
fn pack_left<S: Scalar>(
    sizes: Sizes,
    operands: Operands<'_, S>,
    inner: Range<usize>,
    packed: &mut Vec<S>,
) {
    let Sizes { m, k, .. } = sizes;
    let depth = inner.len();
    packed.clear();
    packed.resize(m.div_ceil(TILE_ROWS) * depth * TILE_ROWS, S::ZERO);
    for (t, tile) in packed.chunks_exact_mut(depth * TILE_ROWS).enumerate() {
        let rows = t * TILE_ROWS..m.min((t + 1) * TILE_ROWS);
        match operands.left {
            Left::Plain => {
                for (lane, i) in rows.enumerate() {
                    let row = &operands.a[i * k + inner.start..i * k + inner.end];
                    for (slot, &value) in tile.chunks_exact_mut(TILE_ROWS).zip(row) {
                        slot[lane] = value;
                    }
                }
            }
            Left::Transposed => {
                for (slot, p) in tile.chunks_exact_mut(TILE_ROWS).zip(inner.clone()) {
                    let from = &operands.a[p * m + rows.start..p * m + rows.end];
                    slot[..from.len()].copy_from_slice(from);
                }
            }
        }
    }
}

/// Packs `columns` of the `? x n` block `b` into rows of exactly `N`, missing columns zero.
#[inline(always)]
fn pack_panel<S: Scalar, const N: usize>(
    b: &[S],
    n: usize,
    columns: &Range<usize>,
    packed: &mut Vec<S>,
) {
    packed.clear();
    packed.resize(b.len() / n * N, S::ZERO);
    for (slot, row) in packed.chunks_exact_mut(N).zip(b.chunks_exact(n)) {
        slot[..columns.len()].copy_from_slice(&row[columns.clone()]);
    }
}

/// Continues the folds of one register tile over one block of the inner index.
#[inline(always)]
fn tile_product<S: Scalar, const N: usize>(
    tile: &[[S; TILE_ROWS]],
    panel: &[[S; N]],
    c: &mut [S],
    n: usize,
    columns: &Range<usize>,
) {
    let mut acc = [[S::ZERO; N]; TILE_ROWS];
    for (sum, row) in acc.iter_mut().zip(c.chunks_exact(n)) {
        sum[..columns.len()].copy_from_slice(&row[columns.clone()]);
    }
    for (a, b) in tile.iter().zip(panel) {
        for (sum, &factor) in acc.iter_mut().zip(a) {
            for (s, &v) in sum.iter_mut().zip(b) {
                *s = factor.fma(v, *s);
            }
        }
    }
    for (sum, row) in acc.iter().zip(c.chunks_exact_mut(n)) {
        row[columns.clone()].copy_from_slice(&sum[..columns.len()]);
    }
}

/// Writes the transpose of the `rows x cols` matrix `from` to `to` (`cols x rows`).
pub(crate) fn transpose<S: Scalar>(from: &[S], cols: usize, to: &mut Vec<S>) {
    let rows = from.len() / cols.max(1);
    to.clear();
    to.resize(from.len(), S::ZERO);
    // Blocks of 16 x 16, so that both sides stay in cache.
    for r0 in (0..rows).step_by(16) {
        for c0 in (0..cols).step_by(16) {
            for r in r0..rows.min(r0 + 16) {
                for c in c0..cols.min(c0 + 16) {
                    to[c * rows + r] = from[r * cols + c];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: one fold for each element.
    fn naive(sizes: Sizes, operands: Operands<'_, f64>) -> Vec<f64> {
        let Sizes { m, n, k } = sizes;
        let mut c = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                c[i * n + j] = (0..k).fold(0.0, |acc, p| {
                    let a = match operands.left {
                        Left::Plain => operands.a[i * k + p],
                        Left::Transposed => operands.a[p * m + i],
                    };
                    a.mul_add(operands.b[p * n + j], acc)
                });
            }
        }
        c
    }

    fn numbers(len: usize, salt: usize) -> Vec<f64> {
        (0..len)
            .map(|i| ((i * 7919 + salt) % 1009) as f64 / 97.0 - 5.2)
            .collect()
    }

    #[test]
    fn product_is_bitwise_the_fold_for_every_shape() {
        for (m, n, k) in [
            (1, 1, 1),
            (5, 3, 7),
            (6, 16, 256),
            (7, 17, 257),
            (13, 40, 600),
            (64, 10, 30),
            (1, 33, 0),
        ] {
            let sizes = Sizes { m, n, k };
            let (a, b) = (numbers(m * k, 3), numbers(k * n, 11));
            for left in [Left::Plain, Left::Transposed] {
                let operands = Operands { a: &a, left, b: &b };
                let mut c = vec![1.0; m * n];
                product(sizes, operands, &mut c, &mut Scratch::default());
                assert_eq!(c, naive(sizes, operands), "{m} {n} {k}");
            }
        }
    }

    #[test]
    fn transpose_moves_every_element() {
        let mut to = Vec::new();
        transpose(&[1.0_f64, 2.0, 3.0, 4.0, 5.0, 6.0], 3, &mut to);
        assert_eq!(to, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
