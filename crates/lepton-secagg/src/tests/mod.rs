//! Honest rounds with every tolerated loss, and an attack per rule of `docs/protocols/masked-sum.md`.

mod dealing;
mod grouping;
mod honest;
mod input;
mod noise;
mod opening;
mod setup;
mod sparse;
mod split;
mod survivors;

use std::num::NonZeroUsize;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use lepton_crypto::{IdentityKey, Seed};
use lepton_ring::{Modulus, RingVec};
use rand_core::{Rng, SeedableRng};

use crate::*;

pub(crate) const FIRST: Attempt = Attempt {
    round: 0,
    attempt: 0,
};

/// All parties of an epoch, in one place.
pub(crate) struct Federation {
    pub(crate) params: Parameters,
    pub(crate) identities: Vec<IdentityKey>,
    pub(crate) epochs: Vec<PartyEpoch>,
    pub(crate) keys: Arc<EpochKeys>,
    pub(crate) rng: ChaCha20Rng,
}

/// The parties that made message (a) of an attempt, with the inputs.
pub(crate) struct Inputs {
    pub(crate) spec: VectorSpec,
    pub(crate) plain: Vec<RingVec>,
    pub(crate) masked: Vec<Masked>,
    pub(crate) bodies: Vec<Vec<u8>>,
}

pub(crate) fn party(i: usize) -> PartyIndex {
    PartyIndex::new(u16::try_from(i).unwrap())
}

pub(crate) fn context(epoch: u64) -> EpochContext {
    EpochContext {
        job: [7; 32],
        epoch,
    }
}

pub(crate) fn spec(bits: u8, len: usize) -> VectorSpec {
    VectorSpec {
        modulus: Modulus::new(bits).unwrap(),
        len,
        purpose: [0; 32],
    }
}

pub(crate) fn identities(n: u16) -> (Vec<IdentityKey>, Roster) {
    let keys: Vec<_> = (0..n)
        .map(|i| {
            let mut seed = [0; 32];
            seed[..2].copy_from_slice(&(i + 1).to_le_bytes());
            IdentityKey::from_seed(Seed::from_bytes(seed))
        })
        .collect();
    let roster: Vec<_> = keys.iter().map(IdentityKey::public).collect();
    (keys, Roster::new(&roster).unwrap())
}

pub(crate) fn begin(
    params: Parameters,
    context: EpochContext,
    rng: &mut ChaCha20Rng,
) -> (Vec<PartySetup>, Vec<Addressed>) {
    let (identities, roster) = identities(params.parties());
    let begun = identities.iter().enumerate().map(|(i, identity)| {
        let (setup, advert) =
            PartySetup::begin(party(i), identity, &roster, params, context, rng).unwrap();
        (setup, (party(i), advert.bytes))
    });
    begun.unzip()
}

/// All parties see the adverts; what they reveal then.
pub(crate) fn freeze(
    setups: Vec<PartySetup>,
    adverts: &[Addressed],
) -> (Vec<PartyFrozen>, Vec<Addressed>) {
    let frozen: Vec<_> = setups
        .into_iter()
        .map(|setup| setup.freeze(adverts).unwrap())
        .collect();
    let reveals = frozen.iter().enumerate();
    let reveals = reveals
        .filter_map(|(i, frozen)| Some((party(i), frozen.reveal()?)))
        .collect();
    (frozen, reveals)
}

/// The place of `holder` among the neighbours of `dealer` on a complete graph.
pub(crate) fn place(dealer: usize, holder: usize) -> usize {
    holder - usize::from(holder > dealer)
}

pub(crate) const ONE: NonZeroUsize = NonZeroUsize::MIN;

impl Federation {
    pub(crate) fn new(params: Parameters, context: EpochContext, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (identities, roster) = identities(params.parties());
        let (setups, adverts) = begin(params, context, &mut rng);
        let (frozen, reveals) = freeze(setups, &adverts);
        let epochs = frozen
            .into_iter()
            .map(|s| s.finish(&reveals).unwrap())
            .collect();
        let keys = EpochKeys::verify(params, &roster, context, &adverts, &reveals).unwrap();
        let keys = Arc::new(keys);
        Self {
            params,
            identities,
            epochs,
            keys,
            rng,
        }
    }

    /// Five parties of which two may collude and one may drop.
    pub(crate) fn five() -> Self {
        Self::new(
            Parameters::new(5, 2, 1, Some(3), None).unwrap(),
            context(0),
            5,
        )
    }

    pub(crate) fn mask(&mut self, attempt: Attempt, spec: VectorSpec) -> Inputs {
        let mut inputs = Inputs {
            spec,
            plain: vec![],
            masked: vec![],
            bodies: vec![],
        };
        for epoch in &mut self.epochs {
            let half = spec.modulus.mask() >> 1;
            let values: Vec<_> = (0..spec.len)
                .map(|_| i64::try_from(self.rng.next_u64() & half).unwrap())
                .collect();
            let plain = RingVec::from_signed(spec.modulus, &values).unwrap();
            let (masked, body) = epoch
                .mask(attempt, spec, plain.clone(), &mut self.rng)
                .unwrap();
            inputs.plain.push(plain);
            inputs.masked.push(masked);
            inputs.bodies.push(body);
        }
        inputs
    }

    pub(crate) fn collecting(&self, attempt: Attempt, spec: VectorSpec) -> Collecting {
        Collecting::new(Arc::clone(&self.keys), attempt, spec).unwrap()
    }

    /// Collects the inputs of `senders` and fixes them as survivors.
    pub(crate) fn close(
        &self,
        attempt: Attempt,
        inputs: &Inputs,
        senders: &[usize],
    ) -> (Signing, Vec<Addressed>) {
        let mut collecting = self.collecting(attempt, inputs.spec);
        for i in senders {
            collecting.accept(party(*i), &inputs.bodies[*i]).unwrap();
        }
        let signing = collecting.close().unwrap();
        let views = signing.views().collect();
        (signing, views)
    }

    /// Lets `masked` sign its view among `views`.
    pub(crate) fn sign(
        &self,
        masked: Masked,
        views: &[Addressed],
    ) -> Result<(Signed, Vec<u8>), Fault> {
        let index = masked.opener_index();
        let view = &views.iter().find(|(to, _)| *to == index).unwrap().1;
        masked.sign(view, &self.identities[index.at()])
    }

    /// Runs the first attempt up to (c): everybody signed, the bundle made.
    pub(crate) fn signed(&mut self, senders: &[usize]) -> (Opening, Vec<Signed>, Vec<u8>, RingVec) {
        let inputs = self.mask(FIRST, spec(16, 4));
        let (mut signing, views) = self.close(FIRST, &inputs, senders);
        let sum = inputs.sum_of(senders);
        let mut all = Vec::new();
        for masked in inputs
            .masked
            .into_iter()
            .enumerate()
            .filter(|(i, _)| senders.contains(i))
            .map(|(_, m)| m)
        {
            let index = masked.opener_index();
            let (signed, body) = self.sign(masked, &views).unwrap();
            signing.accept(index, &body).unwrap();
            all.push(signed);
        }
        let (opening, bundle) = signing.close().unwrap();
        (opening, all, bundle, sum)
    }
}

impl Inputs {
    pub(crate) fn sum_of(&self, parties: &[usize]) -> RingVec {
        let mut sum = RingVec::zeros(self.spec.modulus, self.spec.len);
        parties
            .iter()
            .for_each(|i| sum.add_assign(&self.plain[*i]).unwrap());
        sum
    }
}

/// Re-encodes a body with an edit.
pub(crate) fn edit<M: prost::Message + Default>(
    body: &[u8],
    change: impl FnOnce(&mut M),
) -> Vec<u8> {
    let mut message = M::decode(body).unwrap();
    change(&mut message);
    message.encode_to_vec()
}

pub(crate) fn peer(i: usize, reason: PeerReason) -> Fault {
    Fault::Peer(party(i), reason)
}
