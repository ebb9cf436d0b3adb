//! Group normalisation (Wu and He 2018) of one image at a time, channels last.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; all ranges follow from a validated geometry"
)]

use crate::scalar::Scalar;

/// Added to the variance.
const EPSILON: f64 = 1e-5;

/// Sizes of one group normalisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupNorm {
    pub(crate) channels: usize,
    groups: usize,
}

impl GroupNorm {
    /// The number of groups is the largest divisor of the channels that is at most a quarter of them and at most 16.
    pub(crate) fn new(channels: usize) -> Self {
        let most = (channels / 4).clamp(1, 16);
        let groups = (1..=most).rev().find(|g| channels.is_multiple_of(*g));
        Self {
            channels,
            groups: groups.unwrap_or(1),
        }
    }

    /// Normalises each of the `rows` images in `x`; `standard` receives the values before scale and shift, `spread` the
    /// inverse deviation of each group. `params`: scales, then shifts.
    pub(crate) fn forward<S: Scalar>(
        &self,
        (x, rows): (&[S], usize),
        params: &[S],
        out: &mut [S],
        (standard, spread): (&mut Vec<S>, &mut Vec<S>),
    ) {
        standard.clear();
        standard.extend_from_slice(x);
        spread.resize(rows * self.groups, S::ZERO);
        let (scale, shift) = params.split_at(self.channels);
        let size = x.len() / rows.max(1);
        let spreads = spread.chunks_exact_mut(self.groups);
        for (image, spread) in standard.chunks_exact_mut(size.max(1)).zip(spreads) {
            self.standardise(image, spread);
        }
        let pixels = standard.chunks_exact(self.channels);
        for (to, from) in out.chunks_exact_mut(self.channels).zip(pixels) {
            for (((y, &s), &a), &b) in to.iter_mut().zip(from).zip(scale).zip(shift) {
                *y = s * a + b;
            }
        }
    }

    fn standardise<S: Scalar>(&self, image: &mut [S], spread: &mut [S]) {
        let part = self.channels / self.groups;
        let share = S::ONE / S::from_f64((image.len() / self.groups) as f64);
        for (g, inverse) in spread.iter_mut().enumerate() {
            let range = g * part..(g + 1) * part;
            let mean = self.fold(image, &range, |sum, v| sum + v) * share;
            for pixel in image.chunks_exact_mut(self.channels) {
                pixel[range.clone()].iter_mut().for_each(|v| *v = *v - mean);
            }
            let variance = self.fold(image, &range, |sum, v| sum + v * v) * share;
            *inverse = S::ONE / (variance + S::from_f64(EPSILON)).sqrt();
            for pixel in image.chunks_exact_mut(self.channels) {
                pixel[range.clone()]
                    .iter_mut()
                    .for_each(|v| *v = *v * *inverse);
            }
        }
    }

    fn fold<S: Scalar>(
        &self,
        image: &[S],
        range: &std::ops::Range<usize>,
        f: impl Fn(S, S) -> S,
    ) -> S {
        image
            .chunks_exact(self.channels)
            .flat_map(|pixel| &pixel[range.clone()])
            .fold(S::ZERO, |sum, &v| f(sum, v))
    }

    /// Each row's gradient of the scales and shifts, into `records` (`rows x 2 channels`).
    pub(crate) fn records<S: Scalar>(&self, deltas: &[S], standard: &[S], records: &mut [S]) {
        let images = records.chunks_exact_mut(2 * self.channels);
        let rows = images.len();
        let size = (deltas.len() / rows.max(1)).max(1);
        records.fill(S::ZERO);
        let images = records.chunks_exact_mut(2 * self.channels);
        for ((record, deltas), standard) in images
            .zip(deltas.chunks_exact(size))
            .zip(standard.chunks_exact(size))
        {
            let (scale, shift) = record.split_at_mut(self.channels);
            let pixels = deltas
                .chunks_exact(self.channels)
                .zip(standard.chunks_exact(self.channels));
            for (d, s) in pixels {
                for (((a, b), &d), &s) in scale.iter_mut().zip(shift.iter_mut()).zip(d).zip(s) {
                    *a += d * s;
                    *b += d;
                }
            }
        }
    }

    /// Deltas of the inputs from those of the outputs, into `to`.
    pub(crate) fn backward<S: Scalar>(
        &self,
        deltas: &[S],
        scale: &[S],
        (standard, spread): (&[S], &[S]),
        to: &mut [S],
    ) {
        let rows = spread.len() / self.groups;
        let size = (deltas.len() / rows.max(1)).max(1);
        for (pixel, d) in to
            .chunks_exact_mut(self.channels)
            .zip(deltas.chunks_exact(self.channels))
        {
            for ((t, &d), &a) in pixel.iter_mut().zip(d).zip(scale) {
                *t = d * a;
            }
        }
        let part = self.channels / self.groups;
        let share = S::ONE / S::from_f64((size / self.groups) as f64);
        let images = to.chunks_exact_mut(size).zip(standard.chunks_exact(size));
        for ((image, standard), spread) in images.zip(spread.chunks_exact(self.groups)) {
            for (g, &inverse) in spread.iter().enumerate() {
                let range = g * part..(g + 1) * part;
                let mean = self.fold(image, &range, |sum, v| sum + v) * share;
                let mut along = S::ZERO;
                let pixels = image
                    .chunks_exact(self.channels)
                    .zip(standard.chunks_exact(self.channels));
                for (d, s) in pixels {
                    for (&d, &s) in d[range.clone()].iter().zip(&s[range.clone()]) {
                        along += d * s;
                    }
                }
                along = along * share;
                let pixels = image
                    .chunks_exact_mut(self.channels)
                    .zip(standard.chunks_exact(self.channels));
                for (d, s) in pixels {
                    for (d, &s) in d[range.clone()].iter_mut().zip(&s[range.clone()]) {
                        *d = inverse * (*d - mean - s * along);
                    }
                }
            }
        }
    }
}
