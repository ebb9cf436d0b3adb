//! Sums by group (SA-25 to SA-28).

use proptest::prelude::*;

use super::*;
use crate::wire::{MaskedInputIn, SurvivorViewIn};

/// Nine parties in three groups, mixed; one may collude, three may drop.
const MIXED: [u16; 9] = [0, 1, 2, 2, 0, 1, 1, 2, 0];

const EVERYONE: [usize; 9] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

fn nine() -> Federation {
    let params = Parameters::new(9, 1, 3, None, None).unwrap();
    Federation::new(params, context(0), 9)
}

fn grouped(f: &Federation, of: &[u16], floor: u16, vector: VectorSpec) -> SumSpec {
    let grouping = Grouping::new(&f.params, of, floor).unwrap();
    SumSpec {
        vector,
        grouping: Some(Arc::new(grouping)),
    }
}

/// All parties' messages (a); `change` may alter what a party masks beside its plain vector.
fn mask(f: &mut Federation, spec: &SumSpec, change: impl Fn(usize, &mut RingVec)) -> Inputs {
    let mut inputs = Inputs {
        spec: spec.vector,
        plain: vec![],
        masked: vec![],
        bodies: vec![],
    };
    for (i, epoch) in f.epochs.iter_mut().enumerate() {
        let values: Vec<_> = (0..spec.vector.len)
            .map(|_| f.rng.next_u64().cast_signed())
            .collect();
        let plain = RingVec::from_wrapping(spec.vector.modulus, &values);
        let mut vector = plain.clone();
        change(i, &mut vector);
        let made = epoch.mask(FIRST, spec.clone(), vector, &mut f.rng);
        let (masked, body) = made.unwrap();
        inputs.plain.push(plain);
        inputs.masked.push(masked);
        inputs.bodies.push(body);
    }
    inputs
}

/// Fixes `senders` as survivors.
fn collect(
    f: &Federation,
    spec: &SumSpec,
    inputs: &Inputs,
    senders: &[usize],
) -> Result<Signing, Fault> {
    let mut collecting = Collecting::new(Arc::clone(&f.keys), FIRST, spec.clone())?;
    for i in senders {
        collecting.accept(party(*i), &inputs.bodies[*i])?;
    }
    let ready = collecting.ready();
    let closed = collecting.close();
    assert_eq!(ready, closed.is_ok());
    closed
}

/// Runs the attempt to its end: `senders` are survivors, of whom `silent` neither sign nor open.
fn sum(
    f: &mut Federation,
    spec: &SumSpec,
    inputs: Inputs,
    (senders, silent): (&[usize], &[usize]),
) -> Result<Summed, Fault> {
    let mut signing = collect(f, spec, &inputs, senders)?;
    let views: Vec<_> = signing.views().collect();
    let mut all = Vec::new();
    for (i, masked) in inputs.masked.into_iter().enumerate() {
        if senders.contains(&i) && !silent.contains(&i) {
            let (signed, body) = f.sign(masked, &views)?;
            assert_eq!(signed.survivor_hash(), signing.survivor_hash());
            signing.accept(party(i), &body)?;
            all.push((i, signed));
        }
    }
    let (mut opening, bundle) = signing.close()?;
    for (i, signed) in all {
        opening.accept(party(i), &signed.open(&bundle)?)?;
    }
    opening.finish(ONE)
}

fn members(of: &[u16], group: u16, among: &[usize]) -> Vec<usize> {
    let members = among.iter().copied();
    members.filter(|i| of[*i] == group).collect()
}

#[test]
fn sa25_groups_that_hide_nobody_are_refused() {
    use GroupingError as E;
    let params = Parameters::new(9, 1, 3, None, None).unwrap();
    let grouping = Grouping::new(&params, &MIXED, 3).unwrap();
    assert_eq!((grouping.groups(), grouping.floor()), (3, 3));
    assert_eq!(grouping.threshold(), 2);
    assert_eq!(grouping.of(party(3)), Some(2));
    assert_eq!(grouping.of(party(9)), None);
    let new = |of: &[u16], floor| Grouping::new(&params, of, floor).unwrap_err();
    let (have, need) = (8, 9);
    assert_eq!(new(&MIXED[1..], 3), E::Parties { have, need });
    let (floor, nearest) = (2, 3);
    assert_eq!(new(&MIXED, 2), E::Floor { floor, nearest });
    let small = |group, have, need| E::Small { group, have, need };
    assert_eq!(new(&MIXED, 4), small(0, 3, 4));
    assert_eq!(new(&[0, 0, 0, 0, 2, 2, 2, 2, 2], 3), small(1, 0, 3));
    let sparse = Parameters::sparse(400, 20, 40).unwrap();
    assert_eq!(Grouping::new(&sparse, &[0; 400], 22), Err(E::Sparse));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// SA-28: every group's sum is the exact sum of its survivors, whoever drops before (a) and before (b).
    #[test]
    fn sa28_every_groups_sum_is_exact(
        lost in prop::sample::subsequence((0..12_usize).collect::<Vec<_>>(), 0..=3),
        early in 0..=3_usize,
        order in Just(vec![0_u16, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]).prop_shuffle(),
        bits in 8_u8..=64,
        len in 0_usize..40,
        seed: u64,
    ) {
        let params = Parameters::new(12, 1, 3, None, None).unwrap();
        let mut f = Federation::new(params, context(0), seed);
        let spec = grouped(&f, &order, 3, spec(bits, len));
        let inputs = mask(&mut f, &spec, |_, _| {});
        let (gone, silent) = lost.split_at(early.min(lost.len()));
        let senders: Vec<usize> = (0..12).filter(|i| !gone.contains(i)).collect();
        let plain: Vec<_> = (0..2).map(|group| inputs.sum_of(&members(&order, group, &senders))).collect();
        let left: Vec<usize> = senders.iter().copied().filter(|i| !silent.contains(i)).collect();
        let short = (0..2).find(|group| members(&order, *group, &senders).len() < 3);
        let unopened = (0..2).any(|group| members(&order, group, &left).len() < 2);
        match sum(&mut f, &spec, inputs, (&senders, silent)) {
            Ok(summed) => {
                prop_assert!(short.is_none() && !unopened);
                prop_assert!(summed.sums == plain);
                prop_assert_eq!(summed.survivors, senders.into_iter().map(party).collect::<Vec<_>>());
            }
            Err(fault) => {
                prop_assert!(short.is_some() || unopened, "{}", fault);
            }
        }
    }
}

/// SA-28: a changed program that masks a huge vector moves the sum of its own group, by just that, and no other.
#[test]
fn sa28_a_party_reaches_its_own_sum_only() {
    let mut f = nine();
    let spec = grouped(&f, &MIXED, 3, spec(32, 5));
    let huge = RingVec::from_wrapping(spec.vector.modulus, &[1 << 30; 5]);
    let inputs = mask(&mut f, &spec, |i, vector| {
        if i == 5 {
            vector.add_assign(&huge).unwrap();
        }
    });
    let mut expected: Vec<_> = (0..3)
        .map(|group| inputs.sum_of(&members(&MIXED, group, &EVERYONE)))
        .collect();
    let summed = sum(&mut f, &spec, inputs, (&EVERYONE, &[])).unwrap();
    assert!(summed.sums != expected);
    expected[1].add_assign(&huge).unwrap();
    assert!(summed.sums == expected);
}

/// SA-25: bundles go to the own group alone; what a party sends in the place of its masked vector is noticed there, and nowhere looked at.
#[test]
fn sa25_only_the_group_shares_masks_and_secrets() {
    let mut f = nine();
    let spec = grouped(&f, &MIXED, 3, spec(32, 5));
    let mut inputs = mask(&mut f, &spec, |_, _| {});
    for body in &inputs.bodies {
        edit::<MaskedInputIn>(body, |message| {
            assert_eq!(message.sealed.len(), 2);
            assert_eq!(message.secrets.len(), 3 * 32);
        });
    }
    let other = RingVec::from_wrapping(spec.vector.modulus, &[i64::MAX / 7; 5]).pack();
    inputs.bodies[5] = edit::<MaskedInputIn>(&inputs.bodies[5], |m| m.vector = other);
    let signing = collect(&f, &spec, &inputs, &EVERYONE).unwrap();
    let views: Vec<_> = signing.views().collect();
    for (i, masked) in inputs.masked.into_iter().enumerate() {
        let dealer = party(5);
        let refusal = CoordinatorReason::Bundle { dealer }.into();
        let expected = (MIXED[i] == 1 && i != 5).then_some(refusal);
        assert_eq!(f.sign(masked, &views).err(), expected);
    }
}

/// SA-26: enough parties are left of all (6), but not of group 1: the coordinator ends the attempt, and a party that is shown such a set does not sign.
#[test]
fn sa26_a_group_below_its_floor_is_refused() {
    let mut f = nine();
    assert_eq!(f.params.survivor_floor(), 6);
    let spec = grouped(&f, &MIXED, 3, spec(16, 2));
    let inputs = mask(&mut f, &spec, |_, _| {});
    let left = [0, 1, 2, 3, 4, 5, 7, 8];
    let (have, need) = (2, 3);
    let step = Step::Input;
    let refused = collect(&f, &spec, &inputs, &left).err();
    assert_eq!(refused, Some(Fault::TooFew { have, need, step }));
    let signing = collect(&f, &spec, &inputs, &EVERYONE).unwrap();
    let views: Vec<_> = signing.views().collect();
    for (i, masked) in inputs.masked.into_iter().enumerate() {
        let view = edit::<SurvivorViewIn>(&views[i].1, |view| view.survivors[0] &= !(1 << 6));
        let found = masked.sign(&view, &f.identities[i]).err();
        let expected = match i {
            6 => CoordinatorReason::OwnInput,
            _ => CoordinatorReason::GroupBelowFloor {
                group: 1,
                have,
                need,
            },
        };
        assert_eq!(found, Some(expected.into()));
    }
}

/// SA-25: whoever was told other groups, another floor, or none, is in another sum.
#[test]
fn sa25_another_grouping_is_foreign() {
    let mut f = Federation::new(Parameters::new(8, 0, 2, None, None).unwrap(), context(0), 8);
    let vector = spec(16, 2);
    let of = [0, 0, 0, 0, 1, 1, 1, 1];
    let spec = grouped(&f, &of, 3, vector);
    let inputs = mask(&mut f, &spec, |_, _| {});
    let others = [
        grouped(&f, &[0, 0, 0, 1, 0, 1, 1, 1], 3, vector),
        grouped(&f, &[1, 1, 1, 1, 0, 0, 0, 0], 3, vector),
        grouped(&f, &of, 2, vector),
        grouped(&f, &[0; 8], 3, vector),
        vector.into(),
    ];
    for other in others {
        let mut collecting = Collecting::new(Arc::clone(&f.keys), FIRST, other).unwrap();
        let found = collecting.accept(party(0), &inputs.bodies[0]);
        assert_eq!(found, Err(peer(0, PeerReason::Foreign)));
    }
    assert!(collect(&f, &spec, &inputs, &[0, 1, 2, 3, 4, 5, 6, 7]).is_ok());
}

/// SA-25: groups made for other parameters are refused, and the attempt is not used up.
#[test]
fn sa25_groups_of_other_parameters_are_refused() {
    let mut f = nine();
    let shape = spec(16, 1);
    let other = Parameters::new(9, 0, 3, None, None).unwrap();
    let grouping = Grouping::new(&other, &MIXED, 3).unwrap();
    let wrong = SumSpec {
        vector: shape,
        grouping: Some(Arc::new(grouping)),
    };
    let zeros = || RingVec::zeros(shape.modulus, 1);
    let refused = f.epochs[0].mask(FIRST, wrong.clone(), zeros(), &mut f.rng);
    assert_eq!(refused.err(), Some(CallerReason::Grouping.into()));
    let refused = Collecting::new(Arc::clone(&f.keys), FIRST, wrong);
    assert_eq!(refused.err(), Some(CallerReason::Grouping.into()));
    let right = grouped(&f, &MIXED, 3, shape);
    assert!(f.epochs[0].mask(FIRST, right, zeros(), &mut f.rng).is_ok());
}

/// SA-27: one opening fewer of a group than its threshold opens nothing, however many there are of the others.
#[test]
fn sa27_a_group_is_opened_by_its_own_members() {
    for (silent, have) in [(vec![1], None), (vec![1, 5], Some(1))] {
        let mut f = nine();
        let spec = grouped(&f, &MIXED, 3, spec(16, 2));
        let inputs = mask(&mut f, &spec, |_, _| {});
        let found = sum(&mut f, &spec, inputs, (&EVERYONE, &silent)).err();
        let (need, step) = (2, Step::Opening);
        assert_eq!(found, have.map(|have| Fault::TooFew { have, need, step }));
    }
}

/// Without groups every byte is what it was before there were any: a digest of all messages of an attempt, made by the version before.
#[test]
fn sa25_without_groups_nothing_changed() {
    let mut f = Federation::five();
    let inputs = f.mask(FIRST, spec(16, 4));
    let (_, views) = f.close(FIRST, &inputs, &[0, 1, 2, 4]);
    let mut all: Vec<&[u8]> = inputs.bodies.iter().map(Vec::as_slice).collect();
    all.extend(views.iter().map(|(_, view)| view.as_slice()));
    let digest = lepton_crypto::hash("test", &all).to_string();
    assert_eq!(
        digest,
        "52720df5b0f6d9ff819d26dc0c4814912dbcd4ecd6c8ac47f2a0425539734ff9"
    );
}
