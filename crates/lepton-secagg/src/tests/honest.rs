//! Every tolerated pattern of loss gives the exact sum of the survivors.

use proptest::prelude::*;

use super::*;

/// When a party is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Lost {
    BeforeInput,
    BeforeSignature,
    BeforeOpening,
    Never,
}

fn run(
    federation: &mut Federation,
    attempt: Attempt,
    spec: VectorSpec,
    lost: &[Lost],
) -> Result<(), TestCaseError> {
    let inputs = federation.mask(attempt, spec);
    let senders: Vec<_> = (0..lost.len())
        .filter(|i| lost[*i] > Lost::BeforeInput)
        .collect();
    let (mut signing, views) = federation.close(attempt, &inputs, &senders);
    let expected = inputs.sum_of(&senders);
    let mut all = Vec::new();
    for (i, masked) in inputs
        .masked
        .into_iter()
        .enumerate()
        .filter(|(i, _)| lost[*i] > Lost::BeforeSignature)
    {
        let (signed, body) = federation.sign(masked, &views).unwrap();
        prop_assert_eq!(signed.survivor_hash(), signing.survivor_hash());
        signing.accept(party(i), &body).unwrap();
        all.push((i, signed));
    }
    prop_assert!(signing.ready());
    let (mut opening, bundle) = signing.close().unwrap();
    for (i, signed) in all.into_iter().filter(|(i, _)| lost[*i] == Lost::Never) {
        opening
            .accept(party(i), &signed.open(&bundle).unwrap())
            .unwrap();
    }
    prop_assert!(opening.ready());
    let summed = opening.finish(ONE).unwrap();
    prop_assert!(summed.sums == [expected]);
    prop_assert_eq!(
        summed.survivors,
        senders.into_iter().map(party).collect::<Vec<_>>()
    );
    Ok(())
}

/// Valid parameters with the full number of drops, and two rounds' patterns with at most that many losses.
fn federations() -> impl Strategy<Value = (Parameters, Vec<Lost>, Vec<Lost>)> {
    let sizes = (2u16..=12).prop_flat_map(|n| (Just(n), 0..=n - 2));
    let params =
        sizes.prop_map(|(n, c)| Parameters::new(n, c, n - ((n + c) / 2 + 1), None, None).unwrap());
    let params = params.prop_flat_map(|p| {
        let least = (p.colluders() + 1).max(2);
        (least..=p.parties() - p.drops()).prop_map(move |t| {
            Parameters::new(p.parties(), p.colluders(), p.drops(), Some(t), None).unwrap()
        })
    });
    params.prop_flat_map(|p| (Just(p), pattern(p), pattern(p)))
}

fn pattern(params: Parameters) -> impl Strategy<Value = Vec<Lost>> {
    let (n, d) = (usize::from(params.parties()), usize::from(params.drops()));
    let kinds = prop::collection::vec(
        prop::sample::select(vec![
            Lost::BeforeInput,
            Lost::BeforeSignature,
            Lost::BeforeOpening,
            Lost::Never,
        ]),
        d,
    );
    kinds
        .prop_map(move |mut kinds| {
            kinds.resize(n, Lost::Never);
            kinds
        })
        .prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_sum_is_exact((params, first, second) in federations(), bits in 8u8..=64, len in 1usize..40, seed: u64) {
        let mut federation = Federation::new(params, context(3), seed);
        run(&mut federation, FIRST, spec(bits, len), &first)?;
        // Whoever was lost is back without a new set-up.
        run(&mut federation, Attempt { round: 5, attempt: 2 }, spec(bits, len), &second)?;
    }
}

/// Three parties, one drop: every pattern there is.
#[test]
fn every_pattern_of_three() {
    let params = Parameters::new(3, 0, 1, None, None).unwrap();
    for who in 0..3 {
        for when in [
            Lost::BeforeInput,
            Lost::BeforeSignature,
            Lost::BeforeOpening,
            Lost::Never,
        ] {
            let mut lost = [Lost::Never; 3];
            lost[who] = when;
            run(
                &mut Federation::new(params, context(0), 1),
                FIRST,
                spec(20, 3),
                &lost,
            )
            .unwrap();
        }
    }
}

/// A vector without entries, and one that spans several generator blocks.
#[test]
fn lengths_at_the_edges() {
    for len in [0, 1, 5000] {
        run(
            &mut Federation::five(),
            FIRST,
            spec(24, len),
            &[Lost::Never; 5],
        )
        .unwrap();
    }
}

#[test]
fn sa05_side_secrets_are_shared_by_a_pair_only() {
    let f = Federation::five();
    let secret = |a: usize, b: usize, label| f.epochs[a].pair_secret(party(b), label).unwrap();
    assert!(secret(0, 1, "group key") == secret(1, 0, "group key"));
    assert!(secret(0, 1, "group key") != secret(0, 2, "group key"));
    assert!(secret(0, 1, "group key") != secret(0, 1, "other"));
    assert_eq!(
        f.epochs[0].pair_secret(party(0), "x").err(),
        Some(CallerReason::Peer(party(0)).into())
    );
    assert_eq!(
        f.epochs[0].pair_secret(party(5), "x").err(),
        Some(CallerReason::Peer(party(5)).into())
    );
}

/// What is sent beside the vector stays within the bounds that the document and the machines state.
#[test]
fn overhead_of_messages() {
    let mut f = Federation::new(
        Parameters::new(10, 3, 3, None, None).unwrap(),
        context(0),
        1,
    );
    let inputs = f.mask(FIRST, spec(20, 1000));
    assert!(
        inputs
            .bodies
            .iter()
            .all(|b| b.len() <= 2500 + 64 * 100 + 1024)
    );
    let (_, views) = f.close(FIRST, &inputs, &(0..10).collect::<Vec<_>>());
    assert!(views.iter().all(|(_, v)| v.len() <= 64 * 100 + 2048));
}
