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
    if k == 0 {
        c.fill(S::ZERO);
    } else if n > 4 {
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
        match operands.left {
            Left::Transposed => pack_left(sizes, operands.a, inner.clone(), &mut scratch.a),
            Left::Plain => reset(&mut scratch.a, depth),
        }
        for column in (0..n).step_by(N) {
            let columns = column..n.min(column + N);
            pack_panel::<S, N>(
                &operands.b[start * n..(start + depth) * n],
                n,
                &columns,
                &mut scratch.b,
            );
            let (panel, _) = scratch.b.as_chunks::<N>();
            match operands.left {
                Left::Transposed => {
                    let (tiles, _) = scratch.a.as_chunks::<TILE_ROWS>();
                    for (tile, rows) in tiles.chunks_exact(depth).zip(c.chunks_mut(TILE_ROWS * n)) {
                        tile_product::<S, N>(tile, panel, rows, (n, start == 0), &columns);
                    }
                }
                Left::Plain => {
                    let zeros = &scratch.a[..];
                    for (t, rows) in c.chunks_mut(TILE_ROWS * n).enumerate() {
                        let lanes = plain_lanes(sizes, operands.a, &inner, (t, zeros));
                        plain_product::<S, N>(lanes, panel, rows, (n, start == 0), &columns);
                    }
                }
            }
        }
    }
}

/// Makes `values` exactly `len` zeros.
fn reset<S: Scalar>(values: &mut Vec<S>, len: usize) {
    values.clear();
    values.resize(len, S::ZERO);
}

/// The parts `inner` of the rows of tile `t` of a row-major left operand; rows beyond the last are zeros.
#[inline(always)]
fn plain_lanes<'a, S: Scalar>(
    sizes: Sizes,
    a: &'a [S],
    inner: &Range<usize>,
    (t, zeros): (usize, &'a [S]),
) -> [&'a [S]; TILE_ROWS] {
    std::array::from_fn(|lane| {
        let i = t * TILE_ROWS + lane;
        if i < sizes.m {
            &a[i * sizes.k + inner.start..i * sizes.k + inner.end]
        } else {
            zeros
        }
    })
}

/// Packs the columns `inner` of a transposed left operand (`k x m`) into tiles of `TILE_ROWS` rows, inner index outermost,
/// missing rows zero.
#[inline(always)]
fn pack_left<S: Scalar>(sizes: Sizes, a: &[S], inner: Range<usize>, packed: &mut Vec<S>) {
    let m = sizes.m;
    let depth = inner.len();
    packed.resize(m.div_ceil(TILE_ROWS) * depth * TILE_ROWS, S::ZERO);
    for (t, tile) in packed.chunks_exact_mut(depth * TILE_ROWS).enumerate() {
        let first = t * TILE_ROWS;
        let (slots, _) = tile.as_chunks_mut::<TILE_ROWS>();
        for (slot, p) in slots.iter_mut().zip(inner.clone()) {
            let from = &a[p * m + first..(p + 1) * m];
            match from.first_chunk::<TILE_ROWS>() {
                Some(full) => *slot = *full,
                None => {
                    *slot = [S::ZERO; TILE_ROWS];
                    slot.iter_mut().zip(from).for_each(|(s, &v)| *s = v);
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
    packed.resize(b.len() / n * N, S::ZERO);
    let (slots, _) = packed.as_chunks_mut::<N>();
    for (slot, row) in slots.iter_mut().zip(b.chunks_exact(n)) {
        let from = &row[columns.clone()];
        match from.first_chunk::<N>() {
            Some(full) => *slot = *full,
            None => {
                *slot = [S::ZERO; N];
                slot.iter_mut().zip(from).for_each(|(s, &v)| *s = v);
            }
        }
    }
}

/// Continues (on the `first` block: starts) the folds of one register tile over one block of the inner index.
#[inline(always)]
fn tile_product<S: Scalar, const N: usize>(
    tile: &[[S; TILE_ROWS]],
    panel: &[[S; N]],
    c: &mut [S],
    (n, first): (usize, bool),
    columns: &Range<usize>,
) {
    let mut acc = if first {
        [[S::ZERO; N]; TILE_ROWS]
    } else {
        load_tile(c, n, columns)
    };
    for (a, b) in tile.iter().zip(panel) {
        step(&mut acc, a, b);
    }
    store_tile(&acc, c, n, columns);
}

/// The same, reading the left operand where it lies.
#[inline(always)]
fn plain_product<S: Scalar, const N: usize>(
    lanes: [&[S]; TILE_ROWS],
    panel: &[[S; N]],
    c: &mut [S],
    (n, first): (usize, bool),
    columns: &Range<usize>,
) {
    let mut acc = if first {
        [[S::ZERO; N]; TILE_ROWS]
    } else {
        load_tile(c, n, columns)
    };
    let lanes = lanes.map(|lane| &lane[..panel.len()]);
    for (p, b) in panel.iter().enumerate() {
        let a = lanes.map(|lane| lane[p]);
        step(&mut acc, &a, b);
    }
    store_tile(&acc, c, n, columns);
}

/// One index of the inner dimension: `acc += a b` with one rounding an element.
#[inline(always)]
fn step<S: Scalar, const N: usize>(acc: &mut [[S; N]; TILE_ROWS], a: &[S; TILE_ROWS], b: &[S; N]) {
    for (sum, &factor) in acc.iter_mut().zip(a) {
        for (s, &v) in sum.iter_mut().zip(b) {
            *s = factor.fma(v, *s);
        }
    }
}

#[inline(always)]
fn load_tile<S: Scalar, const N: usize>(
    c: &[S],
    n: usize,
    columns: &Range<usize>,
) -> [[S; N]; TILE_ROWS] {
    let mut acc = [[S::ZERO; N]; TILE_ROWS];
    // Not `chunks_exact(n)`: its division costs as much as a short fold.
    let mut start = columns.start;
    for sum in &mut acc {
        if start >= c.len() {
            break;
        }
        let from = &c[start..start + columns.len()];
        start += n;
        match from.first_chunk::<N>() {
            Some(full) => *sum = *full,
            None => sum.iter_mut().zip(from).for_each(|(s, &v)| *s = v),
        }
    }
    acc
}

#[inline(always)]
fn store_tile<S: Scalar, const N: usize>(
    acc: &[[S; N]; TILE_ROWS],
    c: &mut [S],
    n: usize,
    columns: &Range<usize>,
) {
    let mut start = columns.start;
    for sum in acc {
        if start >= c.len() {
            break;
        }
        let to = &mut c[start..start + columns.len()];
        start += n;
        match to.first_chunk_mut::<N>() {
            Some(full) => *full = *sum,
            None => to.iter_mut().zip(sum).for_each(|(t, &s)| *t = s),
        }
    }
}

/// `c += a^T b` leaf by leaf (rule DP-11): the inner index is cut at `ends` (increasing, the last one is `k`); inside a leaf
/// every element is one fold in `S` that starts at zero, and the leaves are added to `c` in order, in `f64`.
/// `operands.left` must be [`Left::Transposed`].
pub(crate) fn leafwise_product<S: Scalar>(
    sizes: Sizes,
    operands: Operands<'_, S>,
    ends: &[usize],
    c: &mut [f64],
    scratch: &mut Scratch<S>,
) {
    let Sizes { m, n, k } = sizes;
    assert!(
        operands.a.len() == m * k && operands.b.len() == k * n && c.len() == m * n,
        "product operands have the stated sizes"
    );
    if n > 4 {
        dispatch!(Level::new(), _simd => leaf_blocks::<S, 16>(sizes, operands, ends, c, scratch));
    } else {
        dispatch!(Level::new(), _simd => leaf_blocks::<S, 4>(sizes, operands, ends, c, scratch));
    }
}

#[inline(always)]
fn leaf_blocks<S: Scalar, const N: usize>(
    sizes: Sizes,
    operands: Operands<'_, S>,
    ends: &[usize],
    c: &mut [f64],
    scratch: &mut Scratch<S>,
) {
    let Sizes { n, k, .. } = sizes;
    if k == 0 {
        return;
    }
    pack_left(sizes, operands.a, 0..k, &mut scratch.a);
    for column in (0..n).step_by(N) {
        let columns = column..n.min(column + N);
        pack_panel::<S, N>(operands.b, n, &columns, &mut scratch.b);
        let (panel, _) = scratch.b.as_chunks::<N>();
        let (tiles, _) = scratch.a.as_chunks::<TILE_ROWS>();
        for (tile, rows) in tiles.chunks_exact(k).zip(c.chunks_mut(TILE_ROWS * n)) {
            leaf_tile::<S, N>((tile, panel), ends, rows, n, &columns);
        }
    }
}

/// One register tile over all leaves.
#[inline(always)]
fn leaf_tile<S: Scalar, const N: usize>(
    (tile, panel): (&[[S; TILE_ROWS]], &[[S; N]]),
    ends: &[usize],
    c: &mut [f64],
    n: usize,
    columns: &Range<usize>,
) {
    let mut total = load_tile::<f64, N>(c, n, columns);
    let mut start = 0;
    for &end in ends {
        let mut acc = [[S::ZERO; N]; TILE_ROWS];
        for (a, b) in tile[start..end].iter().zip(&panel[start..end]) {
            step(&mut acc, a, b);
        }
        for (sum, leaf) in total.iter_mut().zip(&acc) {
            for (s, &v) in sum.iter_mut().zip(leaf) {
                *s += v.to_f64();
            }
        }
        start = end;
    }
    store_tile(&total, c, n, columns);
}

/// `total += weight * values`, each element with one rounding.
pub(crate) fn add_scaled<S: Scalar>(total: &mut [f64], values: &[S], weight: f64) {
    dispatch!(Level::new(), _simd => {
        for (t, &v) in total.iter_mut().zip(values) {
            *t = weight.mul_add(v.to_f64(), *t);
        }
    });
}

/// Writes the transpose of the `rows x cols` matrix `from` to `to` (`cols x rows`).
pub(crate) fn transpose<S: Scalar>(from: &[S], cols: usize, to: &mut Vec<S>) {
    let rows = from.len() / cols.max(1);
    to.clear();
    to.resize(from.len(), S::ZERO);
    dispatch!(Level::new(), _simd => transpose_blocks(from, (rows, cols), to));
}

/// Blocks of `BLOCK x BLOCK`, so that both sides stay in cache.
#[inline(always)]
fn transpose_blocks<S: Scalar>(from: &[S], (rows, cols): (usize, usize), to: &mut [S]) {
    const BLOCK: usize = 16;
    for r0 in (0..rows).step_by(BLOCK) {
        for c0 in (0..cols).step_by(BLOCK) {
            let (height, width) = (BLOCK.min(rows - r0), BLOCK.min(cols - c0));
            if height == BLOCK && width == BLOCK {
                let block: [[S; BLOCK]; BLOCK] = std::array::from_fn(|r| {
                    let row = &from[(r0 + r) * cols + c0..];
                    row.first_chunk().copied().unwrap_or([S::ZERO; BLOCK])
                });
                for c in 0..BLOCK {
                    let column: [S; BLOCK] = std::array::from_fn(|r| block[r][c]);
                    to[(c0 + c) * rows + r0..][..BLOCK].copy_from_slice(&column);
                }
                continue;
            }
            for r in r0..r0 + height {
                for c in c0..c0 + width {
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
    fn leaves_are_single_precision_folds_added_in_double_precision() {
        for (m, n, k, ends) in [
            (5, 3, 7, vec![2, 3, 7]),
            (13, 40, 100, vec![32, 60, 100]),
            (1, 1, 1, vec![1]),
        ] {
            let narrow = |v: f64| f32::from_f64(v / 3.0);
            let a: Vec<f32> = numbers(m * k, 3).into_iter().map(narrow).collect();
            let b: Vec<f32> = numbers(k * n, 11).into_iter().map(narrow).collect();
            let operands = Operands {
                a: &a,
                left: Left::Transposed,
                b: &b,
            };
            let mut c = vec![0.5; m * n];
            let sizes = Sizes { m, n, k };
            leafwise_product(sizes, operands, &ends, &mut c, &mut Scratch::default());
            for (at, &got) in c.iter().enumerate() {
                let (i, j) = (at / n, at % n);
                let mut want = 0.5;
                let mut start = 0;
                for &end in &ends {
                    let leaf = (start..end)
                        .fold(0.0_f32, |acc, p| a[p * m + i].mul_add(b[p * n + j], acc));
                    want += f64::from(leaf);
                    start = end;
                }
                assert_eq!(got.to_bits(), want.to_bits(), "{m} {n} {k}");
            }
        }
    }

    #[test]
    fn transpose_moves_every_element() {
        let mut to = Vec::new();
        transpose(&[1.0_f64, 2.0, 3.0, 4.0, 5.0, 6.0], 3, &mut to);
        assert_eq!(to, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        for (rows, cols) in [(16, 16), (33, 17), (40, 100), (1, 50)] {
            let from = numbers(rows * cols, 5);
            transpose(&from, cols, &mut to);
            for (at, value) in from.iter().enumerate() {
                assert_eq!(to[at % cols * rows + at / cols], *value);
            }
        }
    }
}
