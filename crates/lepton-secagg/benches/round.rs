//! One attempt of a masked sum, role by role: ten parties, three possible colluders, one party lost before it sends, a thousand 32-bit entries.
//!
//! `cargo bench -p lepton-secagg`. A party's time in a round is `mask` + `sign` + `open`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use divan::Bencher;
use lepton_crypto::IdentityKey;
use lepton_ring::{Modulus, RingVec};
use lepton_secagg::{
    Addressed, Attempt, Collecting, EpochContext, EpochKeys, Masked, Opening, Parameters,
    PartyEpoch, PartyIndex, PartySetup, Roster, Signed, Signing, VectorSpec,
};
use rand_core::SeedableRng;

const PARTIES: u16 = 10;
const LEN: usize = 1000;
const FIRST: Attempt = Attempt {
    round: 0,
    attempt: 0,
};

fn main() {
    divan::main();
}

struct Federation {
    identities: Vec<IdentityKey>,
    epochs: Vec<PartyEpoch>,
    keys: Arc<EpochKeys>,
    rng: ChaCha20Rng,
}

/// Everything up to the openings; the last party is lost.
struct Round {
    keys: Arc<EpochKeys>,
    identity: IdentityKey,
    bodies: Vec<Vec<u8>>,
    masked: Masked,
    views: Vec<Addressed>,
    signed: Signed,
    bundle: Vec<u8>,
    opening: Opening,
    openings: Vec<Vec<u8>>,
}

fn spec() -> VectorSpec {
    VectorSpec {
        modulus: Modulus::new(32).expect("32 bits are allowed"),
        len: LEN,
        purpose: [0; 32],
    }
}

fn zeros() -> RingVec {
    RingVec::zeros(spec().modulus, LEN)
}

fn federation() -> Federation {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let params = Parameters::new(PARTIES, 3, 3, None, None).expect("valid parameters");
    let context = EpochContext {
        job: [1; 32],
        epoch: 0,
    };
    let identities: Vec<_> = (0..PARTIES)
        .map(|_| IdentityKey::generate(&mut rng))
        .collect();
    let roster: Vec<_> = identities.iter().map(IdentityKey::public).collect();
    let roster = Roster::new(&roster).expect("distinct identities");
    let begun = (0..)
        .map(PartyIndex::new)
        .zip(&identities)
        .map(|(index, identity)| {
            let begun = PartySetup::begin(index, identity, &roster, params, context, &mut rng);
            let (setup, advert) = begun.expect("an honest set-up");
            (setup, (index, advert.bytes))
        });
    let (setups, adverts): (Vec<_>, Vec<_>) = begun.unzip();
    let epochs = setups
        .into_iter()
        .map(|s| s.freeze(&adverts).expect("an honest set-up"))
        .map(|s| s.finish(&[]).expect("an honest set-up"))
        .collect();
    let keys = EpochKeys::verify(params, &roster, context, &adverts, &[]);
    let keys = Arc::new(keys.expect("an honest set-up"));
    Federation {
        identities,
        epochs,
        keys,
        rng,
    }
}

fn collecting(keys: &Arc<EpochKeys>, bodies: &[Vec<u8>]) -> Collecting {
    let mut collecting = Collecting::new(Arc::clone(keys), FIRST, spec()).expect("a short vector");
    for (index, body) in (0..).map(PartyIndex::new).zip(bodies) {
        collecting.accept(index, body).expect("an honest input");
    }
    collecting
}

fn round() -> Round {
    let Federation {
        mut identities,
        mut epochs,
        keys,
        mut rng,
    } = federation();
    epochs.pop();
    let made = epochs.iter_mut().map(|e| {
        e.mask(FIRST, spec(), zeros(), &mut rng)
            .expect("a fresh attempt")
    });
    let (masked, bodies): (Vec<_>, Vec<_>) = made.unzip();
    let signing = collecting(&keys, &bodies).close().expect("enough parties");
    let views: Vec<_> = signing.views().collect();
    let (mut all, opening, bundle) = sign_all(signing, masked, &views, &identities);
    let signed = all.pop().expect("nine parties");
    let openings = all
        .into_iter()
        .map(|s| s.open(&bundle).expect("an honest quorum"))
        .collect();
    // The same seeds give the same attempt again: a party that has not signed yet.
    let mut again = federation();
    let masked = again.epochs.iter_mut().map(|e| {
        e.mask(FIRST, spec(), zeros(), &mut again.rng)
            .expect("fresh")
            .0
    });
    let masked = masked.take(1).next().expect("a first party");
    Round {
        keys,
        identity: identities.swap_remove(0),
        bodies,
        masked,
        views,
        signed,
        bundle,
        opening,
        openings,
    }
}

fn sign_all(
    mut signing: Signing,
    masked: Vec<Masked>,
    views: &[Addressed],
    identities: &[IdentityKey],
) -> (Vec<Signed>, Opening, Vec<u8>) {
    let mut all = Vec::new();
    for ((masked, (index, view)), identity) in masked.into_iter().zip(views).zip(identities) {
        let (signed, body) = masked.sign(view, identity).expect("an honest view");
        signing.accept(*index, &body).expect("an honest signature");
        all.push(signed);
    }
    let (opening, bundle) = signing.close().expect("a quorum");
    (all, opening, bundle)
}

#[divan::bench]
fn party_mask(bencher: Bencher) {
    bencher.with_inputs(federation).bench_local_values(|mut f| {
        let party = f.epochs.first_mut().expect("ten parties");
        party
            .mask(FIRST, spec(), zeros(), &mut f.rng)
            .expect("a fresh attempt")
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn party_sign(bencher: Bencher) {
    bencher.with_inputs(round).bench_local_values(|r| {
        let (_, view) = r.views.first().expect("nine views");
        r.masked.sign(view, &r.identity).expect("an honest view")
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn party_open(bencher: Bencher) {
    bencher
        .with_inputs(round)
        .bench_local_values(|r| r.signed.open(&r.bundle).expect("an honest quorum"));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn coordinator_collect(bencher: Bencher) {
    bencher.with_inputs(round).bench_local_values(|r| {
        collecting(&r.keys, &r.bodies)
            .close()
            .expect("enough parties")
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn coordinator_open(bencher: Bencher) {
    bencher.with_inputs(round).bench_local_values(|mut r| {
        for (index, body) in (0..).map(PartyIndex::new).zip(&r.openings) {
            r.opening.accept(index, body).expect("honest openings");
        }
        r.opening
            .finish(NonZeroUsize::MIN)
            .expect("enough openings")
    });
}
