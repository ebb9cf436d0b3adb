//! Why parties sign one survivor set before they open (SA-12 to SA-16): against a protocol without that step a coordinator that shows different
//! views exposes single parties and opens two sums in one attempt. Each attack is run against parties that open under whatever they are shown, where
//! it must succeed, and against ours, where it must fail.

use std::collections::{BTreeMap, BTreeSet};

use lepton_crypto::sharing::Combiner;
use lepton_crypto::{Seed, open};
use lepton_ring::{Mask, Sign, apply_masks};

use super::*;
use crate::party::sign_of;
use crate::wire::{MaskedInputIn, OpeningsIn};

/// What the coordinator and its colluders have gathered: shares by dealer and target, each with its holder's number.
#[derive(Default)]
struct Loot(BTreeMap<(usize, usize), BTreeMap<u8, Vec<u8>>>);

impl Loot {
    /// What a colluder reads in the bundles dealt to it, and what it dealt itself.
    fn of_colluder(&mut self, inputs: &Inputs, colluder: usize) {
        for peer in (0..inputs.masked.len()).filter(|peer| *peer != colluder) {
            self.of_bundle(inputs, peer, colluder);
            self.of_bundle(inputs, colluder, peer);
        }
    }

    fn of_bundle(&mut self, inputs: &Inputs, dealer: usize, holder: usize) {
        let message: MaskedInputIn =
            prost::Message::decode(inputs.bodies[dealer].as_slice()).unwrap();
        let reader = &inputs.masked[holder];
        let context = reader.bundle_context_from(party(dealer), &inputs.masked[dealer].digest());
        let key = reader.opener(party(dealer));
        let plain = open(key, &context, &message.sealed[place(dealer, holder)]).unwrap();
        for (target, share) in plain.chunks(32).enumerate() {
            self.add(dealer, target, holder, share);
        }
    }

    /// What honest `holder` opens after it was shown `survivors`.
    fn of_opening(&mut self, body: &[u8], n: usize, holder: usize, survivors: &[usize]) {
        let body: OpeningsIn = prost::Message::decode(body).unwrap();
        for (dealer, entries) in survivors.iter().zip(body.entries.chunks(n * 32)) {
            for (target, entry) in entries.chunks(32).enumerate() {
                if target == *dealer || !survivors.contains(&target) {
                    self.add(*dealer, target, holder, entry);
                }
            }
        }
    }

    fn add(&mut self, dealer: usize, target: usize, holder: usize, share: &[u8]) {
        let number = u8::try_from(holder + 1).unwrap();
        let shares = self.0.entry((dealer, target)).or_default();
        shares.insert(number, share.to_vec());
    }

    /// The secret that `dealer` shared about `target`, if there are enough shares of it.
    fn secret(&self, dealer: usize, target: usize, threshold: u16) -> Option<Seed> {
        let shares = self.0.get(&(dealer, target))?;
        let need = usize::from(threshold);
        let some: Vec<_> = shares.iter().take(need).collect();
        let numbers: Vec<u8> = some.iter().map(|(number, _)| **number).collect();
        let words: Vec<&[u8]> = some.iter().map(|(_, share)| share.as_slice()).collect();
        let combiner = Combiner::new(u8::try_from(threshold).unwrap(), &numbers).ok()?;
        Seed::try_from(combiner.combine(&words).ok()?.as_slice()).ok()
    }

    /// The sum of the vectors of `set`, if everything that masks it can be found.
    fn sum(&self, f: &Federation, inputs: &Inputs, set: &[usize]) -> Option<RingVec> {
        let t = f.params.threshold();
        let mut sum = RingVec::zeros(inputs.spec.modulus, inputs.spec.len);
        for i in set {
            let message: MaskedInputIn =
                prost::Message::decode(inputs.bodies[*i].as_slice()).unwrap();
            sum.add_packed(&message.vector).unwrap();
            for j in (0..inputs.masked.len()).filter(|j| j == i || !set.contains(j)) {
                // A pair seed is dealt by both of the pair.
                let seed = self.secret(*i, j, t).or_else(|| self.secret(j, *i, t))?;
                unmask(&mut sum, *i, j, &seed);
            }
        }
        Some(sum)
    }
}

fn unmask(sum: &mut RingVec, i: usize, j: usize, seed: &Seed) {
    let sign = match sign_of(party(i), party(j)) {
        Sign::Add => Sign::Subtract,
        Sign::Subtract => Sign::Add,
    };
    let seed = seed.as_bytes();
    apply_masks(sum, &[Mask { seed, sign }], ONE);
}

/// Colluders, and the survivor set that each honest party is shown.
struct Attack {
    params: Parameters,
    colluders: Vec<usize>,
    shown: Vec<(usize, Vec<usize>)>,
}

impl Attack {
    /// Everything the adversary learns when parties open without having agreed.
    fn without_agreement(&self) -> (Federation, Inputs, Loot) {
        let mut f = Federation::new(self.params, context(0), 7);
        let mut inputs = f.mask(FIRST, spec(16, 4));
        let mut loot = Loot::default();
        for colluder in &self.colluders {
            loot.of_colluder(&inputs, *colluder);
        }
        for (holder, survivors) in &self.shown {
            let view = view_of(&f, &inputs, survivors, *holder);
            let masked = inputs.take(&mut f, *holder);
            let body = masked.insecure_open_without_agreement(&view).unwrap();
            loot.of_opening(&body, f.epochs.len(), *holder, survivors);
        }
        (f, inputs, loot)
    }

    /// The same attack on parties that sign first: how many sets reach the quorum, with all colluders signing all of them.
    fn sets_that_can_be_opened(&self) -> usize {
        let mut f = Federation::new(self.params, context(0), 7);
        let mut inputs = f.mask(FIRST, spec(16, 4));
        let mut signers: BTreeMap<Vec<usize>, BTreeSet<usize>> = BTreeMap::new();
        for (holder, survivors) in &self.shown {
            let (mut signing, views) = f.close(FIRST, &inputs, survivors);
            let masked = inputs.take(&mut f, *holder);
            let (_, body) = f.sign(masked, &views).unwrap();
            signing.accept(party(*holder), &body).unwrap();
            let colluders = self.colluders.iter().filter(|c| survivors.contains(c));
            let set = signers.entry(survivors.clone()).or_default();
            set.extend(colluders);
            set.insert(*holder);
        }
        let quorum = usize::from(self.params.quorum());
        signers.values().filter(|set| set.len() >= quorum).count()
    }
}

fn view_of(f: &Federation, inputs: &Inputs, survivors: &[usize], reader: usize) -> Vec<u8> {
    let (signing, _) = f.close(FIRST, inputs, survivors);
    signing.view(party(reader)).unwrap()
}

impl Inputs {
    /// The state of party `i`; the federation's next attempt stands in its place.
    fn take(&mut self, f: &mut Federation, i: usize) -> Masked {
        let zeros = RingVec::zeros(self.spec.modulus, self.spec.len);
        let later = Attempt {
            round: 1,
            attempt: 0,
        };
        let next = f.epochs[i].mask(later, self.spec, zeros, &mut f.rng);
        std::mem::replace(&mut self.masked[i], next.unwrap().0)
    }
}

/// n = 5, t = 3, colluders 3 and 4: party 1 is told that 2 dropped, and party 2 that 1 did. Both open their shares of party 0's self mask, and each
/// opens its share of 0's pair seed with the other; with the colluders' shares that is everything that masks party 0.
fn five() -> Attack {
    Attack {
        params: Parameters::new(5, 2, 1, Some(3), None).unwrap(),
        colluders: vec![3, 4],
        shown: vec![(1, vec![0, 1, 3, 4]), (2, vec![0, 2, 3, 4])],
    }
}

#[test]
fn sa16_five_parties_one_exposed() {
    let attack = five();
    let (f, inputs, loot) = attack.without_agreement();
    let alone = loot.sum(&f, &inputs, &[0]);
    assert_eq!(
        alone,
        Some(inputs.plain[0].clone()),
        "the attack works without agreement"
    );
    assert_eq!(attack.sets_that_can_be_opened(), 0);
}

/// n = 7, t = 4, colluder 6: the honest are told of two disjoint sets of three, each with the colluder, and two sums are opened in one attempt.
fn seven() -> Attack {
    let (a, b) = (vec![0, 1, 2, 6], vec![3, 4, 5, 6]);
    let shown = (0..6)
        .map(|i| (i, if i < 3 { a.clone() } else { b.clone() }))
        .collect();
    Attack {
        params: Parameters::insecure(7, 1, 3, 4, 4),
        colluders: vec![6],
        shown,
    }
}

#[test]
fn sa16_seven_parties_two_sums() {
    let attack = seven();
    let (f, inputs, loot) = attack.without_agreement();
    for set in [[0, 1, 2], [3, 4, 5]] {
        let sum = loot.sum(&f, &inputs, &set);
        assert_eq!(
            sum,
            Some(inputs.sum_of(&set)),
            "the attack works without agreement"
        );
    }
    // The least quorum for n = 7 and c = 1 is 5: the split leaves each side one signature short. With a quorum of 4, which SA-01 refuses, both would pass.
    assert_eq!(attack.sets_that_can_be_opened(), 2);
    let ours = Attack {
        params: Parameters::new(7, 1, 2, Some(4), None).unwrap(),
        ..seven()
    };
    assert_eq!(ours.params.quorum(), 5);
    let mut f = Federation::new(ours.params, context(0), 7);
    let mut inputs = f.mask(FIRST, spec(16, 4));
    let view = Attack::forged_view(&f, &inputs, &ours.shown[0].1);
    let refused = inputs.take(&mut f, 0).sign(&view, &f.identities[0]).err();
    let reason = CoordinatorReason::BelowFloor { have: 4, need: 5 };
    assert_eq!(refused, Some(reason.into()));
}

impl Attack {
    /// A view of fewer survivors than an honest coordinator would show: the bitmap of `survivors` over a genuine view.
    fn forged_view(f: &Federation, inputs: &Inputs, survivors: &[usize]) -> Vec<u8> {
        let everyone: Vec<_> = (0..f.epochs.len()).collect();
        let genuine = view_of(f, inputs, &everyone, 0);
        edit::<crate::wire::SurvivorViewIn>(&genuine, |view| {
            let bits = survivors.iter().fold(0, |bits, i| bits | 1 << i);
            view.survivors = vec![bits];
        })
    }
}
