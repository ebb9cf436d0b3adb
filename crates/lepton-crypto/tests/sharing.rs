//! Shares against an independent implementation (`vsss-rs`), over every subset of small sharings, altered, and with wrong parameters.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test helpers; the inputs are fixed"
)]

use chacha20::ChaCha20Rng;
use lepton_crypto::sharing::{Combiner, Sharing};
use lepton_crypto::{CryptoError, Zeroizing};
use proptest::prelude::*;
use rand_core::{Rng, SeedableRng};
use vsss_rs::Gf256;

type Shares = Vec<Zeroizing<Vec<u8>>>;

fn deal(secrets: &[u8], threshold: u8, holders: u8, seed: u64) -> Shares {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    Sharing::new(threshold, holders)
        .unwrap()
        .deal(secrets, &mut rng)
}

fn combine(shares: &Shares, holders: &[u8]) -> Vec<u8> {
    let threshold = u8::try_from(holders.len()).unwrap();
    let used: Vec<_> = holders
        .iter()
        .map(|h| shares[usize::from(*h) - 1].as_slice())
        .collect();
    Combiner::new(threshold, holders)
        .unwrap()
        .combine(&used)
        .unwrap()
        .to_vec()
}

fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// Every set of that size of holders from 1 to `n`, ascending.
fn subsets(n: u8, size: u32) -> impl Iterator<Item = Vec<u8>> {
    let sets = (0u32..1 << n).filter(move |set| set.count_ones() == size);
    sets.map(move |set| (1..=n).filter(|h| set >> (h - 1) & 1 == 1).collect())
}

#[test]
fn every_subset_of_every_small_sharing_combines() {
    let secrets = random(70, 1);
    for holders in 2..=9 {
        for threshold in 2..=holders {
            let shares = deal(&secrets, threshold, holders, 2);
            assert_eq!(shares.len(), usize::from(holders));
            for chosen in subsets(holders, threshold.into()) {
                assert_eq!(
                    combine(&shares, &chosen),
                    secrets,
                    "{chosen:?} of {holders}"
                );
            }
        }
    }
}

/// Lengths around the lane of 64 bytes, and thresholds and holders around powers of two up to the largest.
#[test]
fn all_lengths_and_the_largest_sharings_combine() {
    for len in (0..=130).chain([3232]) {
        let secrets = random(len, 3);
        let shares = deal(&secrets, 3, 5, 4);
        assert!(shares.iter().all(|s| s.len() == len));
        assert_eq!(combine(&shares, &[5, 1, 4]), secrets, "{len}");
    }
    let secrets = random(65, 5);
    for holders in [15, 16, 17, 63, 64, 101, 127, 128, 129, 254, 255] {
        for threshold in [2, 3, holders / 2, holders / 2 + 1, holders - 1, holders] {
            let shares = deal(&secrets, threshold, holders, 6);
            let last: Vec<u8> = (1..=holders).rev().take(threshold.into()).collect();
            let first: Vec<u8> = (1..=threshold).collect();
            assert_eq!(combine(&shares, &last), secrets, "{threshold}/{holders}");
            assert_eq!(combine(&shares, &first), secrets, "{threshold}/{holders}");
        }
    }
}

/// One share less combines to something else (the chance that 32 uniform bytes match is 2^-256).
#[test]
fn one_share_less_does_not_combine() {
    let secrets = random(32, 7);
    let shares = deal(&secrets, 4, 6, 8);
    for chosen in subsets(6, 3) {
        assert_ne!(combine(&shares, &chosen), secrets);
    }
}

#[test]
fn fresh_coefficients_every_time() {
    let secrets = random(128, 9);
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let sharing = Sharing::new(2, 3).unwrap();
    let (a, b) = (
        sharing.deal(&secrets, &mut rng),
        sharing.deal(&secrets, &mut rng),
    );
    assert!(a.iter().zip(&b).all(|(a, b)| a != b));
    // The same byte in both lanes of one call, too.
    let same = sharing.deal(&[5; 128], &mut rng);
    assert!(same.iter().all(|s| s[..64] != s[64..]));
}

#[test]
fn refuses_unusable_parameters() {
    for (threshold, holders) in [(0, 0), (0, 3), (1, 1), (1, 3), (4, 3), (255, 254)] {
        let refused = CryptoError::BadSharing {
            threshold,
            shares: holders.into(),
        };
        assert_eq!(Sharing::new(threshold, holders), Err(refused));
    }
    for (threshold, holders, refused) in [
        (
            0,
            &[][..],
            CryptoError::BadSharing {
                threshold: 0,
                shares: 0,
            },
        ),
        (
            1,
            &[1],
            CryptoError::BadSharing {
                threshold: 1,
                shares: 1,
            },
        ),
        (3, &[1, 2], CryptoError::TooFewShares { have: 2, need: 3 }),
        (
            2,
            &[1, 2, 3],
            CryptoError::TooManyShares { have: 3, need: 2 },
        ),
        (2, &[1, 0], CryptoError::BadShareIndex(0)),
        (3, &[7, 2, 7], CryptoError::BadShareIndex(7)),
    ] {
        assert_eq!(Combiner::new(threshold, holders), Err(refused));
    }
    let combiner = Combiner::new(2, &[3, 1]).unwrap();
    for (shares, refused) in [
        (
            &[&[1u8][..]][..],
            CryptoError::TooFewShares { have: 1, need: 2 },
        ),
        (
            &[&[1], &[2], &[3]],
            CryptoError::TooManyShares { have: 3, need: 2 },
        ),
        (&[&[1, 2], &[3]], CryptoError::Length { have: 1, need: 2 }),
        (
            &[&[1, 2], &[3, 4, 5]],
            CryptoError::Length { have: 3, need: 2 },
        ),
    ] {
        assert_eq!(combiner.combine(shares).err(), Some(refused));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Both ways between this crate and `vsss-rs`, whose shares carry the holder in front.
    #[test]
    fn vsss_rs_reads_and_writes_the_same_shares(
        secret in proptest::collection::vec(any::<u8>(), 1..70),
        t in 2u8..40,
        extra in 0u8..40,
        seed: u64,
    ) {
        let n = t + extra;
        let mut chosen: Vec<u8> = (1..=n).collect();
        chosen.rotate_left(usize::from(extra / 2));
        chosen.truncate(t.into());

        let ours = deal(&secret, t, n, seed);
        let theirs: Vec<_> = chosen
            .iter()
            .map(|h| [&[*h], ours[usize::from(*h) - 1].as_slice()].concat())
            .collect();
        prop_assert_eq!(&Gf256::combine_bytes(&theirs).unwrap(), &secret);

        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let theirs = Gf256::split_bytes(t.into(), n.into(), &secret, &mut rng).unwrap();
        for (share, holder) in theirs.iter().zip(1..) {
            prop_assert_eq!(share[0], holder);
        }
        let theirs: Shares = theirs.iter().map(|s| s[1..].to_vec().into()).collect();
        prop_assert_eq!(&combine(&theirs, &chosen), &secret);
    }

    /// An altered byte changes exactly that byte of the secrets: every Lagrange weight is invertible.
    #[test]
    fn an_altered_share_changes_the_secret(
        t in 2u8..60,
        who in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        change in 1u8..,
    ) {
        let secrets = random(352, 11);
        let mut shares = deal(&secrets, t, 60, 12);
        let at = place.index(secrets.len());
        shares[who.index(t.into())][at] ^= change;
        let combined = combine(&shares, &(1..=t).collect::<Vec<_>>());
        let differ: Vec<_> = (0..secrets.len()).filter(|i| combined[*i] != secrets[*i]).collect();
        prop_assert_eq!(differ, vec![at]);
    }
}
