//! Trials of the strip sampler: one 64-bit word proposes a value and decides whether it is taken (DG-11 to DG-14).
//!
//! A word is, from its highest bit: 16 bits `c` that name a cell, a sign, `shift` bits of the place within a strip, and the fraction. Strip `i` holds
//! the magnitudes `i 2^shift ..` and consecutive cells, `q_i` of them; with `v` the number of the cell within its strip plus the fraction, the value
//! is taken when `v < peak * exp(-y^2 / (2 sigma^2))`. That is rejection from a staircase that lies above the curve.

#![expect(
    clippy::indexing_slicing,
    reason = "fixed-size arrays, indexed below their length by loops the compiler vectorises"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "fields are cut out of words on purpose, and numbers of cells fit 16 bits"
)]

use fearless_simd::{Level, dispatch};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::exact::{Gamma, MAX_GAMMA, lies_below};

/// Cells in all.
const CELLS: u64 = 1 << 16;

/// Strips reach at least this many sigmas.
const REACH: u64 = 12;

/// Values whose strips are found at a time: 16-bit numbers for a few vector registers.
const LANES: usize = 32;

/// Bits of the fraction that are used at once: with the cell's 16, an integer below 2^52.
const MAX_FRACTION: u32 = 36;

/// Relative half width of the band around the estimate in which the exact path decides; the estimate is off by less than 2^-44 (DG-13).
const BAND: f64 = 1.0 / (1u64 << 43) as f64;

/// Turns a 16-bit word into a signed number of the same order, and back: signed comparisons exist on every vector unit.
const FLIP: u16 = 0x8000;

const UNDECIDED: u64 = 2;

/// Where a strip begins (flipped) and how many cells the one before has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    start: i16,
    width: i16,
}

/// The staircase of one sigma.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strips {
    sigma: u64,
    shift: u32,
    fraction: u32,
    peak: u64,
    /// All strips but the first.
    steps: Vec<Step>,
    /// `log2(e) / (2 sigma^2)`.
    curvature: f64,
    /// `peak * 2^fraction`.
    scale: f64,
}

/// What a round of trials works on; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Scratch<const N: usize> {
    words: [[u8; 8]; N],
    strip: [u16; N],
    cell: [u16; N],
    value: [i64; N],
    verdict: [u64; N],
    taken: [i64; N],
}

impl<const N: usize> Scratch<N> {
    pub(super) fn new() -> Self {
        const { assert!(N.is_power_of_two() && N >= LANES) };
        Self {
            words: [[0; 8]; N],
            strip: [0; N],
            cell: [0; N],
            value: [0; N],
            verdict: [0; N],
            taken: [0; N],
        }
    }
}

impl Strips {
    /// `sigma` from 1 to 2^20.
    pub(super) fn new(sigma: u64) -> Self {
        // The widest power of two that is at most sigma / 2: wider strips reject more, narrower ones take longer to find.
        let shift = sigma.ilog2().saturating_sub(1);
        let count = (REACH * sigma).div_ceil(1 << shift) + 1;
        let (peak, cells) = staircase(sigma, shift, count);
        let mut start = 0u16;
        let steps = cells
            .iter()
            .take(cells.len() - 1)
            .map(|&width| {
                start = start.wrapping_add(width as u16);
                Step {
                    start: (start ^ FLIP) as i16,
                    width: width as u16 as i16,
                }
            })
            .collect();
        let fraction = MAX_FRACTION.min(47 - shift);
        Self {
            sigma,
            shift,
            fraction,
            peak,
            steps,
            curvature: std::f64::consts::LOG2_E / (2 * sigma * sigma) as f64,
            scale: (peak << fraction) as f64,
        }
    }

    /// Values `-reach .. reach` are drawn.
    pub(super) const fn reach(&self) -> u64 {
        (self.steps.len() as u64 + 1) << self.shift
    }

    /// `N` trials; the values taken, in order.
    pub(super) fn trials<'a, const N: usize>(
        &self,
        scratch: &'a mut Scratch<N>,
        rng: &mut impl CryptoRng,
    ) -> &'a [i64] {
        rng.fill_bytes(scratch.words.as_flattened_mut());
        // The same numbers on every vector unit: integers, and floats without fused operations.
        let undecided = dispatch!(Level::new(), _simd => {
            self.find_strips(scratch);
            self.weigh(scratch)
        });
        if undecided {
            self.resolve(scratch, rng);
        }
        let taken = compress(scratch);
        &scratch.taken[..taken]
    }

    /// The strip of each cell, and its number within the strip: every strip's start is compared, whichever it is.
    #[inline(always)]
    fn find_strips<const N: usize>(&self, scratch: &mut Scratch<N>) {
        let words = scratch.words.chunks_exact(LANES);
        let strips = scratch.strip.chunks_exact_mut(LANES);
        let cells = scratch.cell.chunks_exact_mut(LANES);
        for ((words, strips), cells) in words.zip(strips).zip(cells) {
            let (mut flipped, mut strip, mut start) = ([0i16; LANES], [0i16; LANES], [0i16; LANES]);
            for lane in 0..LANES {
                flipped[lane] = ((u64::from_le_bytes(words[lane]) >> 48) as u16 ^ FLIP) as i16;
            }
            for step in &self.steps {
                for lane in 0..LANES {
                    let passed = -i16::from(flipped[lane] >= step.start);
                    strip[lane] -= passed;
                    start[lane] = start[lane].wrapping_add(passed & step.width);
                }
            }
            for lane in 0..LANES {
                strips[lane] = strip[lane] as u16;
                cells[lane] = (flipped[lane] as u16 ^ FLIP).wrapping_sub(start[lane] as u16);
            }
        }
    }

    /// Value and verdict (0 or 1, or [`UNDECIDED`]) of every trial; whether any is undecided.
    #[inline(always)]
    fn weigh<const N: usize>(&self, scratch: &mut Scratch<N>) -> bool {
        let mut undecided = 0;
        for lane in 0..N {
            let word = u64::from_le_bytes(scratch.words[lane]);
            let (magnitude, sign) = self.magnitude(word, scratch.strip[lane]);
            let height = self.height(word, scratch.cell[lane]);
            // The values of the negative sign are -1, -2, ..: zero comes once only.
            scratch.value[lane] = (magnitude ^ sign.wrapping_neg()) as i64;
            let curve = self.curve(small_to_float(magnitude + sign));
            let height = small_to_float(height);
            let below = u64::from(height + 1.0 <= curve * (1.0 - BAND));
            let not_above = u64::from(height < curve * (1.0 + BAND));
            scratch.verdict[lane] = below | ((not_above & !below) << 1);
            undecided |= scratch.verdict[lane];
        }
        undecided & UNDECIDED != 0
    }

    /// Magnitude (before the sign is put to it) and sign.
    #[inline(always)]
    const fn magnitude(&self, word: u64, strip: u16) -> (u64, u64) {
        let place = (word >> (47 - self.shift)) & ((1 << self.shift) - 1);
        (((strip as u64) << self.shift) | place, (word >> 47) & 1)
    }

    /// Number of the cell within its strip and the fraction, as an integer below 2^52.
    #[inline(always)]
    const fn height(&self, word: u64, cell: u16) -> u64 {
        let fraction = (word >> (47 - self.shift - self.fraction)) & ((1 << self.fraction) - 1);
        ((cell as u64) << self.fraction) | fraction
    }

    /// `peak * 2^fraction * exp(-y^2 / (2 sigma^2))` within a relative error of 2^-44, for `y` below 2^25: without a branch or a table, and without
    /// fused operations, so that it is the same number on every machine.
    #[inline(always)]
    fn curve(&self, y: f64) -> f64 {
        /// 1.5 * 2^52: adding it rounds to an integer, which then stands in the lowest bits.
        const ROUNDER: f64 = 6_755_399_441_055_744.0;
        /// 1/11!, 1/10!, .., 1.
        const TAYLOR: [f64; 11] = [
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ];
        let halvings = y * y * self.curvature;
        let rounded = halvings + ROUNDER;
        let rest = ((rounded - ROUNDER) - halvings) * std::f64::consts::LN_2;
        let mut power = 1.0 / 39_916_800.0;
        for coefficient in TAYLOR {
            power = power * rest + coefficient;
        }
        let exponent = rounded.to_bits() << 52;
        f64::from_bits(power.to_bits().wrapping_sub(exponent)) * self.scale
    }

    /// Settles the undecided trials exactly (DG-13).
    #[cold]
    fn resolve<const N: usize>(&self, scratch: &mut Scratch<N>, rng: &mut impl CryptoRng) {
        for lane in 0..N {
            if scratch.verdict[lane] == UNDECIDED {
                let word = u64::from_le_bytes(scratch.words[lane]);
                let (magnitude, sign) = self.magnitude(word, scratch.strip[lane]);
                let height = self.height(word, scratch.cell[lane]);
                scratch.verdict[lane] = u64::from(self.takes(magnitude + sign, height, rng));
            }
        }
    }

    /// Whether `(height + R) / 2^fraction` lies below the curve at `y`, exactly, for a uniform `R` in [0, 1) from `rng`.
    fn takes(&self, y: u64, height: u64, rng: &mut impl CryptoRng) -> bool {
        let digits = (height << (64 - self.fraction)) | (rng.next_u64() >> self.fraction);
        let mut gammas = Vec::new();
        let mut gamma = self.gamma(y);
        while let Some(rest) = gamma.less_max() {
            gammas.push(Gamma::whole(MAX_GAMMA));
            gamma = rest;
        }
        gammas.push(gamma);
        lies_below([digits, height >> self.fraction], self.peak, &gammas, rng)
    }

    fn gamma(&self, y: u64) -> Gamma {
        Gamma {
            numerator: u128::from(y) * u128::from(y),
            denominators: [2 * self.sigma, self.sigma],
        }
    }
}

/// Integers below 2^52, as the low bits of a float between 2^52 and 2^53.
#[inline(always)]
fn small_to_float(integer: u64) -> f64 {
    const TWO_TO_52: f64 = 4_503_599_627_370_496.0;
    f64::from_bits(integer | TWO_TO_52.to_bits()) - TWO_TO_52
}

/// Moves the values taken to the front: every value is written, and the next overwrites it unless it was taken.
#[inline]
fn compress<const N: usize>(scratch: &mut Scratch<N>) -> usize {
    let mut taken = 0;
    for lane in 0..N {
        scratch.taken[taken & (N - 1)] = scratch.value[lane];
        taken += scratch.verdict[lane] as usize;
    }
    taken
}

/// The highest peak whose staircase has at most [`CELLS`] cells, and the cells of each strip: at least the curve at its left end.
fn staircase(sigma: u64, shift: u32, count: u64) -> (u64, Vec<u64>) {
    let cells = |peak: u64| -> Vec<u64> {
        let height = |strip: u64| {
            let ratio = (strip << shift) as f64 / sigma as f64;
            // The factor is far above the error of the float expression: a strip may be higher than needed, never lower.
            let height = peak as f64 * libm::exp(-0.5 * ratio * ratio) * (1.0 + 1e-9);
            height.ceil() as u64
        };
        (0..count).map(height).collect()
    };
    let (mut low, mut high) = (1, CELLS);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if cells(middle).iter().sum::<u64>() <= CELLS {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low, cells(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    const SIGMAS: [u64; 12] = [1, 2, 3, 4, 5, 15, 16, 17, 100, 1000, 1023, 1 << 20];

    /// DG-12: the staircase lies above the curve, exactly, its strips follow one another without gap or overlap, and nothing is counted twice.
    #[test]
    fn the_staircase_is_a_staircase_above_the_curve() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for sigma in SIGMAS {
            let strips = Strips::new(sigma);
            let (peak, cells) = staircase(sigma, strips.shift, strips.steps.len() as u64 + 1);
            assert_eq!(peak, strips.peak);
            assert!(cells.iter().sum::<u64>() <= CELLS);
            let mut start = 0;
            for (strip, &width) in cells.iter().enumerate() {
                if strip > 0 {
                    let step = strips.steps[strip - 1];
                    assert_eq!(u64::from(step.start as u16 ^ FLIP), start);
                    assert_eq!(u64::from(step.width as u16), cells[strip - 1]);
                }
                start += width;
                // A point just above the top of the strip lies above the curve at the strip's left end, where the curve is highest.
                let left = (strip as u64) << strips.shift;
                assert!(!strips.takes(left, width << strips.fraction, &mut rng));
            }
            assert!(strips.reach() >= REACH * sigma);
        }
    }

    /// DG-13: the float curve is within 2^-44 of mpmath's.
    #[test]
    fn the_curve_is_the_references() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/mechanisms.json")).unwrap();
        for case in vectors["curve"].as_array().unwrap() {
            let strips = Strips::new(case["sigma"].as_u64().unwrap());
            let truth: f64 = case["weight"].as_str().unwrap().parse().unwrap();
            let ours = strips.curve(case["y"].as_u64().unwrap() as f64) / strips.scale;
            assert!(
                (ours / truth - 1.0).abs() < 1.0 / (1u64 << 44) as f64,
                "{case}"
            );
        }
    }

    /// The definition, without vectors or floats: a linear search for the strip and the exact path for the verdict.
    fn by_definition(sigma: u64, word: u64, rng: &mut ChaCha20Rng) -> (i64, bool) {
        let strips = Strips::new(sigma);
        let (_, cells) = staircase(sigma, strips.shift, strips.steps.len() as u64 + 1);
        let (mut cell, mut strip) = (word >> 48, 0);
        while strip + 1 < cells.len() && cell >= cells[strip] {
            cell -= cells[strip];
            strip += 1;
        }
        let place = (word << 17).checked_shr(64 - strips.shift).unwrap_or(0);
        let magnitude = ((strip as u64) << strips.shift) + place;
        let fraction = (word << (17 + strips.shift)) >> (64 - strips.fraction);
        let height = (cell << strips.fraction) + fraction;
        if word >> 47 & 1 == 0 {
            (magnitude as i64, strips.takes(magnitude, height, rng))
        } else {
            (
                -1 - magnitude as i64,
                strips.takes(magnitude + 1, height, rng),
            )
        }
    }

    /// DG-11 and DG-13: on random words, and on words at the edges of strips, the vector path gives what the definition gives.
    #[test]
    fn trials_follow_the_definition() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for sigma in SIGMAS {
            let strips = Strips::new(sigma);
            let mut scratch = Scratch::<512>::new();
            rng.fill_bytes(scratch.words.as_flattened_mut());
            for (words, step) in scratch.words.chunks_exact_mut(4).zip(&strips.steps) {
                let start = u64::from(step.start as u16 ^ FLIP) << 48;
                let fresh = rng.next_u64() >> 16;
                for (word, edge) in words.iter_mut().zip([start, start - 1, start | fresh]) {
                    *word = edge.to_le_bytes();
                }
            }
            strips.find_strips(&mut scratch);
            strips.weigh(&mut scratch);
            for lane in 0..512 {
                let word = u64::from_le_bytes(scratch.words[lane]);
                let (value, taken) = by_definition(sigma, word, &mut rng);
                assert_eq!(scratch.value[lane], value, "sigma {sigma}, word {word:x}");
                if scratch.verdict[lane] != UNDECIDED {
                    assert_eq!(
                        scratch.verdict[lane] == 1,
                        taken,
                        "sigma {sigma}, word {word:x}"
                    );
                }
            }
        }
    }

    /// DG-12, the law itself for small sigmas: the volume the words give to each value is its weight. Every cell, sign and place is visited; in a cell the
    /// volume is the part of it under the curve, known within the band.
    #[test]
    fn the_law_enumerated() {
        for sigma in [1u64, 2, 5] {
            let strips = Strips::new(sigma);
            let reach = strips.reach() as i64;
            let mut volume = vec![0.0; 2 * reach as usize];
            for cell in 0..CELLS {
                let mut scratch = Scratch::<32>::new();
                for (lane, word) in scratch.words.iter_mut().enumerate() {
                    *word = (cell << 48 | (lane as u64) << (64 - 21)).to_le_bytes();
                }
                strips.find_strips(&mut scratch);
                strips.weigh(&mut scratch);
                // Sixteen places a sign, of which 2^shift differ.
                for lane in (0..32).step_by(16 >> strips.shift) {
                    let value = scratch.value[lane];
                    let curve = strips.curve(value.unsigned_abs() as f64)
                        / (1u64 << strips.fraction) as f64;
                    volume[(value + reach) as usize] +=
                        (curve - f64::from(scratch.cell[lane])).clamp(0.0, 1.0);
                }
            }
            for (value, volume) in (-reach..reach).zip(volume) {
                let ratio = value as f64 / sigma as f64;
                let weight = strips.peak as f64 * (-0.5 * ratio * ratio).exp();
                assert!(
                    (volume / weight - 1.0).abs() < 1e-11,
                    "sigma {sigma}, value {value}"
                );
            }
        }
    }

    /// Undecided trials are rare, found, and settled: words are moved to the curve itself, where the estimate cannot decide.
    #[test]
    fn the_exact_path_settles_what_the_estimate_cannot() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for sigma in SIGMAS {
            let strips = Strips::new(sigma);
            let mut scratch = Scratch::<32>::new();
            // Strip 1, place 0: the curve there, in units of the last digit of the fraction, under the cells of the strip.
            let first = u64::from(strips.steps[0].width as u16);
            let curve = strips.curve((1u64 << strips.shift) as f64) as u64;
            for (lane, word) in scratch.words.iter_mut().enumerate() {
                let height = (curve + lane as u64).wrapping_sub(16);
                let (cell, fraction) = (
                    height >> strips.fraction,
                    height & ((1 << strips.fraction) - 1),
                );
                let dropped = 47 - strips.shift - strips.fraction;
                *word = ((first + cell) << 48 | fraction << dropped).to_le_bytes();
            }
            strips.find_strips(&mut scratch);
            assert!(strips.weigh(&mut scratch), "sigma {sigma}");
            let before = scratch.verdict;
            strips.resolve(&mut scratch, &mut rng);
            assert!(scratch.verdict.iter().all(|&verdict| verdict < 2));
            // Undecided or not, verdicts fall once along rising heights; the one at the curve may go either way.
            assert!(scratch.verdict.is_sorted_by(|a, b| a >= b));
            for (before, after) in before.iter().zip(&scratch.verdict) {
                assert!(*before == UNDECIDED || before == after);
            }
        }
    }
}
