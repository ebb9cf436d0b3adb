//! Pooling over square windows, channels last.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; all ranges follow from a validated geometry"
)]

use fearless_simd::{Level, dispatch};

use crate::scalar::Scalar;
use crate::spec::{Pool, PoolKind};

/// Sizes of one pooling layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolWindows {
    kind: PoolKind,
    channels: usize,
    height: usize,
    width: usize,
    size: usize,
    stride: usize,
    pub(crate) out_height: usize,
    pub(crate) out_width: usize,
}

impl PoolWindows {
    /// `None` when a window does not fit.
    pub(crate) fn new([channels, height, width]: [usize; 3], pool: Pool) -> Option<Self> {
        let stride = pool.stride.unwrap_or(pool.size);
        if pool.size == 0 || stride == 0 {
            return None;
        }
        let out = |side: usize| Some(side.checked_sub(pool.size)? / stride + 1);
        Some(Self {
            kind: pool.kind,
            channels,
            height,
            width,
            size: pool.size,
            stride,
            out_height: out(height)?,
            out_width: out(width)?,
        })
    }

    fn input(&self) -> usize {
        self.channels * self.height * self.width
    }

    fn output(&self) -> usize {
        self.channels * self.out_height * self.out_width
    }

    /// Calls `f` for every window (its first number among the results) with the first number (channel 0) of each place
    /// under it, row by row.
    #[inline(always)]
    fn each_place(&self, mut f: impl FnMut(usize, usize)) {
        let mut cell = 0;
        for oy in 0..self.out_height {
            for ox in 0..self.out_width {
                for y in oy * self.stride..oy * self.stride + self.size {
                    let line = (y * self.width + ox * self.stride) * self.channels;
                    for x in 0..self.size {
                        f(cell, line + x * self.channels);
                    }
                }
                cell += self.channels;
            }
        }
    }

    /// Pools `images` into `out`; `winners` receives for each output of a maximum the place it came from.
    pub(crate) fn forward<S: Scalar>(&self, images: &[S], out: &mut [S], winners: &mut Vec<u32>) {
        winners.resize(out.len(), 0);
        dispatch!(Level::new(), _simd => self.forward_rows(images, out, winners));
    }

    #[inline(always)]
    fn forward_rows<S: Scalar>(&self, images: &[S], out: &mut [S], winners: &mut [u32]) {
        let results = out
            .chunks_exact_mut(self.output())
            .zip(winners.chunks_exact_mut(self.output()));
        for (image, (result, won)) in images.chunks_exact(self.input()).zip(results) {
            match self.kind {
                PoolKind::Average => self.average(image, result),
                PoolKind::Max => self.maximum(image, result, won),
            }
        }
    }

    #[inline(always)]
    fn average<S: Scalar>(&self, image: &[S], result: &mut [S]) {
        result.fill(S::ZERO);
        self.each_place(|cell, at| {
            let sums = &mut result[cell..cell + self.channels];
            let values = &image[at..at + self.channels];
            sums.iter_mut().zip(values).for_each(|(c, &v)| *c += v);
        });
        let share = self.share();
        result.iter_mut().for_each(|c| *c = *c * share);
    }

    #[inline(always)]
    fn maximum<S: Scalar>(&self, image: &[S], result: &mut [S], won: &mut [u32]) {
        let lines = (0..self.size * self.size)
            .map(|i| (i / self.size * self.width + i % self.size) * self.channels);
        let places: Vec<usize> = lines.collect();
        let mut cell = 0;
        for oy in 0..self.out_height {
            for ox in 0..self.out_width {
                let base = (oy * self.stride * self.width + ox * self.stride) * self.channels;
                let best = &mut result[cell..cell + self.channels];
                let won = &mut won[cell..cell + self.channels];
                let ((best8, best1), (won8, won1)) =
                    (best.as_chunks_mut::<8>(), won.as_chunks_mut::<8>());
                let mut at = base;
                for cells in best8.iter_mut().zip(won8) {
                    largest(&image[at..], (base, &places), cells);
                    at += 8;
                }
                for (best, won) in best1.iter_mut().zip(won1) {
                    let one = (std::array::from_mut(best), std::array::from_mut(won));
                    largest(&image[at..], (base, &places), one);
                    at += 1;
                }
                cell += self.channels;
            }
        }
    }

    /// Carries deltas of the results back to the images.
    pub(crate) fn backward<S: Scalar>(&self, deltas: &[S], winners: &[u32], images: &mut [S]) {
        images.fill(S::ZERO);
        let results = deltas
            .chunks_exact(self.output())
            .zip(winners.chunks_exact(self.output()));
        for (image, (result, won)) in images.chunks_exact_mut(self.input()).zip(results) {
            match self.kind {
                PoolKind::Max => {
                    let pixels = result
                        .chunks_exact(self.channels)
                        .zip(won.chunks_exact(self.channels));
                    for (deltas, won) in pixels {
                        for (c, (&d, &place)) in deltas.iter().zip(won).enumerate() {
                            image[place as usize + c] += d;
                        }
                    }
                }
                PoolKind::Average => {
                    let share = self.share();
                    self.each_place(|cell, at| {
                        let values = &mut image[at..at + self.channels];
                        let deltas = &result[cell..cell + self.channels];
                        values
                            .iter_mut()
                            .zip(deltas)
                            .for_each(|(v, &d)| *v += d * share);
                    });
                }
            }
        }
    }

    fn share<S: Scalar>(&self) -> S {
        S::ONE / S::from_f64((self.size * self.size) as f64)
    }
}

/// The largest value of each of `L` channels under one window, and the place (channel 0) it came from.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a row has at most 2^20 numbers"
)]
fn largest<S: Scalar, const L: usize>(
    image: &[S],
    (base, places): (usize, &[usize]),
    (best, won): (&mut [S; L], &mut [u32; L]),
) {
    let mut top = [S::ZERO; L];
    let mut from = [base as u32; L];
    for (i, &place) in places.iter().enumerate() {
        let at = (base + place) as u32;
        for ((top, from), &v) in top.iter_mut().zip(&mut from).zip(&image[place..place + L]) {
            let better = i == 0 || v > *top;
            *top = if better { v } else { *top };
            *from = if better { at } else { *from };
        }
    }
    (*best, *won) = (top, from);
}
