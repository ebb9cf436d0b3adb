//! Packing by hand and by a plain model, sums, refusals.

use super::*;
use proptest::prelude::*;

fn modulus(bits: u8) -> Modulus {
    Modulus::new(bits).unwrap()
}

#[test]
fn packs_by_hand() {
    // 0x123, 0x456, 0x789 in 12 bits, little endian: nibbles 3 2 1, 6 5 4, 9 8 7.
    let v = RingVec {
        modulus: modulus(12),
        words: vec![0x123, 0x456, 0x789],
    };
    assert_eq!(v.pack(), [0x23, 0x61, 0x45, 0x89, 0x07]);
    assert_eq!(
        RingVec::unpack(modulus(12), 3, &[0x23, 0x61, 0x45, 0x89, 0x07]),
        Ok(v)
    );
}

#[test]
fn refuses_wrong_lengths_and_spare_bits() {
    let m = modulus(12);
    assert_eq!(
        RingVec::unpack(m, 3, &[0; 4]),
        Err(RingError::Length { have: 4, need: 5 })
    );
    assert_eq!(
        RingVec::unpack(m, 3, &[0; 6]),
        Err(RingError::Length { have: 6, need: 5 })
    );
    assert_eq!(
        RingVec::unpack(m, 3, &[0, 0, 0, 0, 0x10]),
        Err(RingError::SpareBits)
    );
    assert!(RingVec::unpack(m, usize::MAX, &[]).is_err());
}

#[test]
fn refuses_values_beyond_half() {
    let m = modulus(8);
    assert_eq!(
        RingVec::from_signed(m, &[127, -127]).unwrap().to_signed(),
        [127, -127]
    );
    assert_eq!(
        RingVec::from_signed(m, &[0, 128]),
        Err(RingError::OutOfRange {
            position: 1,
            value: 128,
            bits: 8
        })
    );
    assert!(RingVec::from_signed(m, &[-128]).is_err());
    assert!(RingVec::from_signed(modulus(64), &[i64::MIN]).is_err());
    assert_eq!(
        RingVec::from_signed(modulus(64), &[i64::MAX])
            .unwrap()
            .to_signed(),
        [i64::MAX]
    );
}

#[test]
fn refuses_unlike_operands() {
    let mut a = RingVec::zeros(modulus(8), 2);
    assert_eq!(
        a.add_assign(&RingVec::zeros(modulus(9), 2)),
        Err(RingError::ModulusMismatch(8, 9))
    );
    assert_eq!(
        a.sub_assign(&RingVec::zeros(modulus(8), 3)),
        Err(RingError::Length { have: 3, need: 2 })
    );
}

#[test]
fn debug_hides_the_entries() {
    assert_eq!(
        format!("{:?}", RingVec::zeros(modulus(8), 2)),
        "RingVec(2 entries of 8 bits)"
    );
}

/// Packing as it is defined, bit by bit.
fn by_bits(v: &RingVec) -> Vec<u8> {
    let bits = usize::from(v.modulus().bits());
    let mut out = vec![0; RingVec::packed_len(v.modulus(), v.len()).unwrap()];
    for (i, word) in v.words().iter().enumerate() {
        for bit in (0..bits).filter(|bit| word >> bit & 1 == 1) {
            out[(i * bits + bit) / 8] |= 1 << ((i * bits + bit) % 8);
        }
    }
    out
}

fn masked(m: Modulus, raw: &[u64]) -> RingVec {
    RingVec {
        modulus: m,
        words: raw.iter().map(|w| w & m.mask()).collect(),
    }
}

/// Every modulus with every length around the groups of eight.
#[test]
fn packs_as_defined() {
    let raw: Vec<u64> = (1..42u64)
        .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .collect();
    for m in (8..=64).map(modulus) {
        for len in 0..=raw.len() {
            let v = masked(m, &raw[..len]);
            let bytes = by_bits(&v);
            assert!(v.pack() == bytes, "{m:?} {len}");
            assert!(RingVec::unpack(m, len, &bytes).unwrap() == v, "{m:?} {len}");
        }
    }
}

/// What `unpack` refuses, `add_packed` refuses with the same error, and nothing has changed.
#[test]
fn a_refused_sum_changes_nothing() {
    for (bits, len) in [(12, 3), (9, 17), (33, 9), (20, 1001)] {
        let m = modulus(bits);
        let good = masked(m, &vec![u64::MAX; len]).pack();
        let mut spare = good.clone();
        *spare.last_mut().unwrap() |= 0x80;
        let (short, long) = (&good[1..], [good.as_slice(), &[0]].concat());
        for bad in [short, &long, &spare, &[]] {
            let mut v = masked(m, &vec![5; len]);
            let before = v.clone();
            let error = v.add_packed(bad).unwrap_err();
            assert_eq!(RingVec::unpack(m, len, bad), Err(error));
            assert!(v == before);
        }
    }
}

proptest! {
    #[test]
    fn adding_packed_is_unpacking_and_adding(bits in 8u8..=64, raw in prop::collection::vec(any::<(u64, u64)>(), 0..100)) {
        let m = modulus(bits);
        let (a, b): (Vec<_>, Vec<_>) = raw.into_iter().unzip();
        let (mut a, b) = (masked(m, &a), masked(m, &b));
        let mut expected = a.clone();
        expected.add_assign(&b).unwrap();
        a.add_packed(&b.pack()).unwrap();
        prop_assert_eq!(a, expected);
    }

    #[test]
    fn unpacking_agrees_with_its_check(bits in 8u8..=64, len in 0usize..20, bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        // Whatever is accepted is what packing would write.
        if let Ok(v) = RingVec::unpack(modulus(bits), len, &bytes) {
            prop_assert_eq!(v.pack(), bytes);
        }
    }

    #[test]
    fn pack_round_trips(bits in 8u8..=64, raw in prop::collection::vec(any::<u64>(), 0..200)) {
        let m = modulus(bits);
        let v = RingVec { modulus: m, words: raw.iter().map(|w| w & m.mask()).collect() };
        let bytes = v.pack();
        prop_assert_eq!(Some(bytes.len()), RingVec::packed_len(m, v.len()));
        prop_assert_eq!(RingVec::unpack(m, v.len(), &bytes).unwrap(), v);
    }

    #[test]
    fn sums_below_the_bound_are_exact(bound in 1i64..1 << 40, rows in prop::collection::vec(prop::collection::vec(any::<i64>(), 5), 1..20)) {
        let m = Modulus::for_sum_bound(u128::try_from(bound).unwrap() * rows.len() as u128).unwrap();
        let mut sum = RingVec::zeros(m, 5);
        let mut plain = vec![0i64; 5];
        for row in &rows {
            let row: Vec<i64> = row.iter().map(|x| x % (bound + 1)).collect();
            sum.add_assign(&RingVec::from_signed(m, &row).unwrap()).unwrap();
            plain.iter_mut().zip(&row).for_each(|(p, r)| *p += r);
        }
        prop_assert_eq!(sum.to_signed(), plain);
    }
}
