//! The field GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197 §4.2), where addition is XOR.
//!
//! Secrets are only ever multiplied by public constants, as whole [`Lane`]s: no table is indexed by a secret and no branch depends on one.
#![expect(
    clippy::indexing_slicing,
    reason = "tables have an entry for every byte"
)]

/// How many bytes are worked on together: few enough to stay in registers.
pub(crate) const LANE: usize = 64;

/// Field elements side by side.
pub(crate) type Lane = [u8; LANE];

/// `acc += factor * x`, element by element. The time depends on `factor`, which must be public, and on nothing else.
#[inline]
pub(crate) fn add_product(acc: &mut Lane, x: &Lane, factor: u8) {
    let mut power = *x;
    let mut rest = factor;
    while rest != 0 {
        if rest & 1 == 1 {
            add(acc, &power);
        }
        rest >>= 1;
        power = power.map(times_x);
    }
}

/// `acc += x`, element by element.
#[inline]
pub(crate) fn add(acc: &mut Lane, x: &Lane) {
    acc.iter_mut().zip(x).for_each(|(a, b)| *a ^= b);
}

/// The discrete logarithm of a non-zero **public** element to the base 3.
pub(crate) const fn log(public: u8) -> u8 {
    LOG[public as usize]
}

/// 3 to the power of a **public** exponent.
pub(crate) const fn exp(public: u8) -> u8 {
    EXP[public as usize]
}

/// The product of two elements.
pub(crate) const fn mul(a: u8, b: u8) -> u8 {
    let (mut product, mut power, mut bit) = (0, a, 0);
    while bit < 8 {
        product ^= power & (b >> bit & 1).wrapping_neg();
        power = times_x(power);
        bit += 1;
    }
    product
}

/// The inverse of a non-zero element, and 0 of 0: a^254.
pub(crate) const fn inverse(a: u8) -> u8 {
    let (mut power, mut product, mut i) = (a, 1, 1);
    while i < 8 {
        power = mul(power, power);
        product = mul(product, power);
        i += 1;
    }
    product
}

/// Shifts, and reduces by a mask of the top bit's sign.
#[inline]
const fn times_x(a: u8) -> u8 {
    (a << 1) ^ ((a.cast_signed() >> 7).cast_unsigned() & 0x1b)
}

const EXP: [u8; 256] = {
    let mut table = [1; 256];
    let mut i = 1;
    while i < 256 {
        table[i] = mul(table[i - 1], 3);
        i += 1;
    }
    table
};

const LOG: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0u8;
    while i < 255 {
        table[EXP[i as usize] as usize] = i;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197 §4.2 and §4.2.1: {57}·{83} = {c1}, {57}·{13} = {fe}, and {57} times the powers of {02}.
    #[test]
    fn fips_197() {
        assert_eq!(mul(0x57, 0x83), 0xc1);
        assert_eq!(mul(0x57, 0x13), 0xfe);
        assert_eq!(
            [2, 4, 8, 0x10].map(|p| mul(0x57, p)),
            [0xae, 0x47, 0x8e, 0x07]
        );
    }

    #[test]
    fn tables_and_lanes_agree_with_the_product() {
        let all: [Lane; 4] = [0u8, 64, 128, 192].map(|first| {
            let mut next = first;
            [0; LANE].map(|_: u8| {
                let element = next;
                next = next.wrapping_add(1);
                element
            })
        });
        for factor in 0..=255u8 {
            for lane in &all {
                let mut acc = [0x5a; LANE];
                add_product(&mut acc, lane, factor);
                let expected = lane.map(|x| 0x5a ^ mul(factor, x));
                assert_eq!(acc, expected, "{factor}");
            }
            if factor != 0 {
                assert_eq!(exp(log(factor)), factor);
                assert_eq!(mul(factor, inverse(factor)), 1);
            }
        }
    }
}
