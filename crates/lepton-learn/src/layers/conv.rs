//! Convolution as a matrix product over unfolded patches.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; all ranges follow from a validated geometry"
)]

use std::ops::Range;

use crate::scalar::Scalar;
use crate::spec::{Convolution, MAX_WIDTH};

/// Sizes of one convolution. The first one reads channels first (`channels, height, width`, as the features come), all
/// others and every result are channels last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conv {
    pub(crate) channels: usize,
    height: usize,
    width: usize,
    pub(crate) filters: usize,
    pub(crate) kernel: usize,
    stride: usize,
    padding: usize,
    pub(crate) out_height: usize,
    pub(crate) out_width: usize,
    channels_first: bool,
}

impl Conv {
    /// `None` when the parts do not fit.
    pub(crate) fn new(shape: [usize; 3], what: &Convolution, first: bool) -> Option<Self> {
        let [channels, height, width] = shape;
        let Convolution {
            channels: filters,
            kernel,
            stride,
            padding,
            ..
        } = *what;
        let sane = [filters, kernel, stride]
            .iter()
            .all(|n| (1..=MAX_WIDTH).contains(n));
        if !sane || padding >= kernel {
            return None;
        }
        let out = |side: usize| Some((side + 2 * padding).checked_sub(kernel)? / stride + 1);
        let (out_height, out_width) = (out(height)?, out(width)?);
        let positions = out_height.checked_mul(out_width)?;
        let depth = kernel.checked_mul(kernel)?.checked_mul(channels)?;
        let fits = |n: Option<usize>| n.is_some_and(|n| n <= MAX_WIDTH);
        // The unfolded patches of a row are bounded too: they are stored.
        let patches = positions.checked_mul(depth)?;
        (fits(positions.checked_mul(filters)) && fits(Some(depth)) && patches <= 1 << 26).then_some(
            Self {
                channels,
                height,
                width,
                filters,
                kernel,
                stride,
                padding,
                out_height,
                out_width,
                channels_first: first && channels > 1,
            },
        )
    }

    /// Places of the kernel in one image (`T`).
    pub(crate) fn positions(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Numbers under the kernel (`D`): kernel row, kernel column, channel.
    pub(crate) fn depth(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// Images as rows of patches: `rows x positions x depth`.
    pub(crate) fn unfold<S: Scalar>(&self, images: &[S], patches: &mut Vec<S>) {
        let (size, depth) = (self.channels * self.height * self.width, self.depth());
        let count = images.len() / size.max(1);
        patches.resize(count * self.positions() * depth, S::ZERO);
        let width = self.width + 2 * self.padding;
        let mut padded = vec![S::ZERO; (self.height + 2 * self.padding) * width * self.channels];
        let length = self.kernel * self.channels;
        for (image, to) in images
            .chunks_exact(size)
            .zip(patches.chunks_exact_mut(self.positions() * depth))
        {
            self.pad(image, &mut padded);
            let mut line = 0;
            for oy in 0..self.out_height {
                for ox in 0..self.out_width {
                    for ky in 0..self.kernel {
                        let y = oy * self.stride + ky;
                        let at = (y * width + ox * self.stride) * self.channels;
                        copy(&mut to[line..line + length], &padded[at..at + length]);
                        line += length;
                    }
                }
            }
        }
    }

    /// Copies an image, channels last, into the middle of `padded`, whose border stays zero.
    fn pad<S: Scalar>(&self, image: &[S], padded: &mut [S]) {
        let (plane, length) = (self.height * self.width, self.width * self.channels);
        let lines = padded.chunks_exact_mut((self.width + 2 * self.padding) * self.channels);
        let start = self.padding * self.channels;
        for (y, line) in lines.skip(self.padding).take(self.height).enumerate() {
            let to = &mut line[start..start + length];
            if self.channels_first {
                for (x, pixel) in to.chunks_exact_mut(self.channels).enumerate() {
                    for (c, v) in pixel.iter_mut().enumerate() {
                        *v = image[c * plane + y * self.width + x];
                    }
                }
            } else {
                to.copy_from_slice(&image[y * length..(y + 1) * length]);
            }
        }
    }

    /// The transpose of [`Self::unfold`]: adds every patch number to the image number it came from. Channels last.
    pub(crate) fn fold_back<S: Scalar>(&self, patches: &[S], images: &mut [S]) {
        let (size, depth) = (self.channels * self.height * self.width, self.depth());
        images.fill(S::ZERO);
        for (image, from) in images
            .chunks_exact_mut(size)
            .zip(patches.chunks_exact(self.positions() * depth))
        {
            self.each_line(|at, line, inside| {
                let to = &mut image[at..at + inside.len()];
                add(to, &from[line + inside.start..line + inside.end]);
            });
        }
    }

    /// Calls `f` for every line of every patch that touches the image: where its part inside starts there (channels last),
    /// where the line starts among the patches, and which part of the line lies inside.
    #[inline(always)]
    fn each_line(&self, mut f: impl FnMut(usize, usize, Range<usize>)) {
        let length = self.kernel * self.channels;
        let mut line = 0;
        for oy in 0..self.out_height {
            for ox in 0..self.out_width {
                let left = ox * self.stride;
                let skip = self.padding.saturating_sub(left);
                let x = left.saturating_sub(self.padding);
                let end = self.kernel.min(self.width + self.padding - left).max(skip);
                for ky in 0..self.kernel {
                    let y = oy * self.stride + ky;
                    if y >= self.padding && y - self.padding < self.height && x < self.width {
                        let at = ((y - self.padding) * self.width + x) * self.channels;
                        f(at, line, skip * self.channels..end * self.channels);
                    }
                    line += length;
                }
            }
        }
    }
}

/// Copies a line; the usual short ones without a call, which would cost more than the copy.
#[inline(always)]
fn copy<S: Scalar>(to: &mut [S], from: &[S]) {
    if let (Ok(to), Ok(from)) = (<&mut [S; 8]>::try_from(&mut *to), <&[S; 8]>::try_from(from)) {
        *to = *from;
    } else {
        to.copy_from_slice(from);
    }
}

#[inline(always)]
fn add<S: Scalar>(to: &mut [S], from: &[S]) {
    let ((to8, to1), (from8, from1)) = (to.as_chunks_mut::<8>(), from.as_chunks::<8>());
    for (to, from) in to8.iter_mut().zip(from8) {
        to.iter_mut().zip(from).for_each(|(t, &f)| *t += f);
    }
    to1.iter_mut().zip(from1).for_each(|(t, &f)| *t += f);
}
