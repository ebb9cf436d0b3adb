//! Many secrets shared at once: any `threshold` of the shares give all of them back, fewer say nothing about any (Shamir, *How to Share a
//! Secret*, CACM 1979).
//!
//! Bytes are shared one by one over GF(256) modulo x^8 + x^4 + x^3 + x + 1; holder `h` gets the values at the field element `h`. Shares are those of
//! Shamir's scheme and combine with any implementation of it over this field and these points.
//!
//! # Why this is Shamir's scheme exactly
//! [`Sharing::deal`] draws its polynomials f = Σ c_k X_k, k < t, in the basis of Lin, Chung and Han (2014), because in that basis the values at all points
//! cost n/2·log n products and not n·t. The basis has three properties:
//! 1. X_0 = 1;
//! 2. X_k has degree exactly k: it is the product of w_i, of degree 2^i, over the bits i set in k;
//! 3. X_k(0) = 0 for k ≥ 1: every w_i is a product that contains the factor x − 0, as 0 lies in every subspace.
//!
//! By 2, the matrix that takes (c_0, …, c_{t−1}) to the coefficients of 1, x, …, x^{t−1} is triangular without a zero on its diagonal, so it is a
//! bijection onto the polynomials of degree below t. By 1 and 3, f(0) = c_0. So for every secret s the map (c_1, …, c_{t−1}) ↦ s + Σ c_k X_k is a bijection
//! from all tuples onto all polynomials of degree below t with f(0) = s: drawing c_1, …, c_{t−1} uniformly draws such a polynomial uniformly, which is
//! Shamir's scheme. Hence any t − 1 shares are uniform and independent of the secret, and any t determine it.
//!
//! # Secrets in memory
//! Secrets, coefficients and shares are multiplied only by constants that depend on the points, which are public. Their buffers are wiped;
//! what the compiler keeps in registers and on the stack for the length of a product is not.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::gf256::{LANE, Lane, add_product, exp, log};
use crate::{CryptoError, additive_fft};

/// How secrets are shared: `threshold` of `holders` shares give them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    threshold: u8,
    holders: u8,
}

impl Sharing {
    /// Refuses anything but 2 <= `threshold` <= `holders` <= 255.
    pub const fn new(threshold: u8, holders: u8) -> Result<Self, CryptoError> {
        if threshold < 2 || threshold > holders {
            return Err(CryptoError::BadSharing {
                threshold,
                shares: holders as usize,
            });
        }
        Ok(Self { threshold, holders })
    }

    /// The shares of the holders 1, 2, …, `holders`, in this order, each as long as `secrets`, which is shared byte by byte: several secrets are
    /// shared by concatenating them. Fresh coefficients come from `rng`.
    #[must_use]
    pub fn deal(&self, secrets: &[u8], rng: &mut impl CryptoRng) -> Vec<Zeroizing<Vec<u8>>> {
        let (threshold, points) = (usize::from(self.threshold), usize::from(self.holders) + 1);
        let mut shares: Vec<_> = (1..points)
            .map(|_| Zeroizing::new(Vec::with_capacity(secrets.len())))
            .collect();
        let mut values: Zeroizing<Vec<Lane>> =
            Zeroizing::new(vec![[0; LANE]; points.next_power_of_two()]);
        for piece in secrets.chunks(LANE) {
            let coefficients = values.get_mut(..threshold);
            draw(coefficients.expect("t <= holders < points"), piece, rng);
            additive_fft::evaluate(&mut values, threshold, points);
            for (share, value) in shares.iter_mut().zip(values.iter().skip(1)) {
                share.extend(value.iter().take(piece.len()));
            }
        }
        shares
    }
}

/// Gives secrets back from the shares of a fixed set of holders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combiner {
    /// The Lagrange weights at 0, by holder; public.
    weights: Vec<u8>,
}

impl Combiner {
    /// Refuses `threshold < 2`, more or fewer holders than `threshold`, and a holder that is 0 or named twice.
    pub fn new(threshold: u8, holders: &[u8]) -> Result<Self, CryptoError> {
        if threshold < 2 {
            return Err(CryptoError::BadSharing {
                threshold,
                shares: holders.len(),
            });
        }
        exactly(holders.len(), usize::from(threshold))?;
        for (i, holder) in holders.iter().enumerate() {
            if *holder == 0 || holders.iter().take(i).any(|h| h == holder) {
                return Err(CryptoError::BadShareIndex(*holder));
            }
        }
        let weights = holders.iter().map(|h| weight(*h, holders)).collect();
        Ok(Self { weights })
    }

    /// The secrets, from the shares in the order in which their holders were named. Refuses another number of shares, and shares of different lengths.
    ///
    /// Shares that were altered or belong to different sharings give wrong secrets: check them against a commitment.
    pub fn combine(&self, shares: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        exactly(shares.len(), self.weights.len())?;
        let need = shares.first().map_or(0, |share| share.len());
        if let Some(other) = shares.iter().find(|share| share.len() != need) {
            return Err(CryptoError::Length {
                have: other.len(),
                need,
            });
        }
        let mut secrets = Zeroizing::new(Vec::with_capacity(need));
        let mut lane = Zeroizing::new([0; LANE]);
        for start in (0..need).step_by(LANE) {
            let mut sum = Zeroizing::new([0; LANE]);
            let size = LANE.min(need - start);
            for (share, weight) in shares.iter().zip(&self.weights) {
                let piece = share.iter().skip(start);
                lane.iter_mut()
                    .zip(piece)
                    .for_each(|(to, from)| *to = *from);
                add_product(&mut sum, &lane, *weight);
            }
            secrets.extend(sum.iter().take(size));
        }
        Ok(secrets)
    }
}

/// Coefficients: the secret bytes, then uniform ones. What is left behind a piece shorter than a lane belongs to no share.
fn draw(coefficients: &mut [Lane], piece: &[u8], rng: &mut impl CryptoRng) {
    if let Some((constant, others)) = coefficients.split_first_mut() {
        constant.iter_mut().zip(piece).for_each(|(c, b)| *c = *b);
        rng.fill_bytes(others.as_flattened_mut());
    }
}

/// ∏ x_j / (x_j − x_i) over the other holders j, in logarithms. Holders are public.
fn weight(holder: u8, holders: &[u8]) -> u8 {
    let others = holders.iter().filter(|h| **h != holder);
    let sum: i32 = others
        .map(|h| i32::from(log(*h)) - i32::from(log(h ^ holder)))
        .sum();
    let reduced = u8::try_from(sum.rem_euclid(255)).expect("a remainder modulo 255 is a byte");
    exp(reduced)
}

const fn exactly(have: usize, need: usize) -> Result<(), CryptoError> {
    if have < need {
        Err(CryptoError::TooFewShares { have, need })
    } else if have > need {
        Err(CryptoError::TooManyShares { have, need })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use rand_core::{TryCryptoRng, TryRng};

    use super::*;

    /// Coefficients of the test's choosing: a function from the number of the coefficient, 1 and up, and the number of the secret byte.
    struct Injected<F> {
        choose: F,
        coefficients: usize,
        dealt: usize,
    }

    impl<F: Fn(usize, usize) -> u8> TryRng for Injected<F> {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            unreachable!("dealing fills byte strings")
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("dealing fills byte strings")
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            assert_eq!(bytes.len(), self.coefficients * LANE);
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = (self.choose)(i / LANE + 1, self.dealt + i % LANE);
            }
            self.dealt += LANE;
            Ok(())
        }
    }

    impl<F: Fn(usize, usize) -> u8> TryCryptoRng for Injected<F> {}

    fn deal(
        secrets: &[u8],
        [threshold, holders]: [u8; 2],
        choose: impl Fn(usize, usize) -> u8,
    ) -> Vec<Zeroizing<Vec<u8>>> {
        let mut rng = Injected {
            choose,
            coefficients: usize::from(threshold) - 1,
            dealt: 0,
        };
        let sharing = Sharing::new(threshold, holders).unwrap();
        sharing.deal(secrets, &mut rng)
    }

    fn byte(n: usize) -> u8 {
        n.to_le_bytes()[0]
    }

    /// By hand: X_1 = w_0 = x, so a threshold of two draws the line s + c·x. FIPS 197 §4.2.1: {57}·{02} = {ae}, {57}·{04} = {47}.
    #[test]
    fn the_line_of_fips_197() {
        let shares = deal(&[0x2a], [2, 4], |_, _| 0x57);
        let expected = [0x57, 0xae, 0x57 ^ 0xae, 0x47].map(|product| vec![0x2a ^ product]);
        assert!(shares.iter().map(|s| s.as_slice()).eq(expected.iter()));
        let combiner = Combiner::new(2, &[4, 2]).unwrap();
        let secret = combiner.combine(&[&shares[3], &shares[1]]).unwrap();
        assert_eq!(secret.as_slice(), [0x2a]);
    }

    /// Two of five: for every secret and holder, every value comes from exactly one of the 256 coefficients.
    #[test]
    fn one_share_of_a_threshold_of_two_is_uniform() {
        for secret in 0..=255 {
            for share in deal(&[secret; 256], [2, 5], |_, i| byte(i)) {
                let mut seen = [0; 256];
                share.iter().for_each(|v| seen[usize::from(*v)] += 1);
                assert_eq!(seen, [1; 256], "{secret}");
            }
        }
    }

    /// Three of four: for every secret and two holders, every pair of values comes from exactly one of the 65,536 pairs of coefficients.
    #[test]
    fn two_shares_of_a_threshold_of_three_are_uniform() {
        for secret in 0..=255 {
            let shares = deal(&vec![secret; 65_536], [3, 4], |k, i| {
                byte(if k == 1 { i } else { i >> 8 })
            });
            for (i, a) in shares.iter().enumerate() {
                for b in &shares[..i] {
                    let mut seen = vec![false; 65_536];
                    for (a, b) in a.iter().zip(b.iter()) {
                        seen[usize::from(*a) << 8 | usize::from(*b)] = true;
                    }
                    assert!(seen.iter().all(|s| *s), "{secret} {i}");
                }
            }
        }
    }

    /// The failing twin: three shares of a threshold of three are not uniform, for they determine the secret.
    #[test]
    fn as_many_shares_as_the_threshold_are_not_uniform() {
        let tuples = |secret| {
            let shares = deal(&vec![secret; 65_536], [3, 3], |k, i| {
                byte(if k == 1 { i } else { i >> 8 })
            });
            let tuple = |i: usize| [shares[0][i], shares[1][i], shares[2][i]];
            let mut tuples: Vec<_> = (0..65_536).map(tuple).collect();
            tuples.sort_unstable();
            tuples
        };
        let (zero, one) = (tuples(0), tuples(1));
        assert!(zero.iter().all(|tuple| one.binary_search(tuple).is_err()));
    }
}
