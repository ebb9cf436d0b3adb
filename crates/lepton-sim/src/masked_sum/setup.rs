//! The set-up of the epoch, in lockstep.

use std::sync::Arc;

use chacha20::ChaCha20Rng;
use lepton_protocol::frame::Address;
use lepton_secagg::{
    Attempt, EpochKeys, Fault, PartyEpoch, PartyFrozen, PartyIndex, PartySetup, Roster,
};

use super::{Kind, MaskedSumConfig, MessageInterceptor, PartyFault, Passing, SetUp, SetUpScene};
use crate::identity_of;
use crate::random::generator;

pub(crate) const FIRST: Attempt = Attempt {
    round: 0,
    attempt: 0,
};

/// A body and whose it is.
type Signed = (PartyIndex, Vec<u8>);

/// What came of the set-up.
pub(crate) struct Founded {
    pub(crate) keys: Result<Arc<EpochKeys>, Fault>,
    /// By party; none for one that refused.
    pub(crate) epochs: Vec<Option<PartyEpoch>>,
    pub(crate) faults: Vec<PartyFault>,
}

struct Parties {
    setups: Vec<PartySetup>,
    adverts: Vec<Signed>,
}

/// What an adversary may know before the set-up.
///
/// # Errors
/// A roster that does not fit.
pub(crate) fn scene(config: &MaskedSumConfig) -> Result<SetUpScene, Fault> {
    let everyone = 0..config.params.parties();
    let identities = everyone.map(|party| identity_of(config.seed, Address::Party(party)).public());
    Ok(SetUpScene {
        seed: config.seed,
        params: config.params,
        context: lepton_secagg::EpochContext {
            job: *lepton_crypto::hash("simulated job", &[&config.seed.to_le_bytes()]).as_bytes(),
            epoch: config.epoch,
        },
        roster: Roster::new(&identities.collect::<Vec<_>>())?,
        colluders: config.colluders.clone(),
    })
}

/// Runs the set-up.
///
/// # Errors
/// What no party should have to refuse: the machine's complaints about its own caller.
pub(crate) fn found(config: &mut MaskedSumConfig, scene: &SetUpScene) -> Result<Founded, Fault> {
    let parties = begin(scene)?;
    match (config.set_up, &mut config.intercept) {
        (SetUp::Shared, _) => shared(scene, parties),
        (SetUp::Each, None) => Ok(each(scene, parties, &mut |m: &Passing<'_>| vec![m.pass()])),
        (SetUp::Each, Some(intercept)) => {
            intercept.set_up_begins(scene);
            Ok(each(scene, parties, intercept.as_mut()))
        }
    }
}

/// The randomness of a party's set-up.
pub(crate) fn set_up_generator(scene: &SetUpScene, party: u16) -> ChaCha20Rng {
    let label = format!("set-up of party {party} in epoch {}", scene.context.epoch);
    generator(scene.seed, &label)
}

fn begin(scene: &SetUpScene) -> Result<Parties, Fault> {
    let (mut setups, mut adverts) = (Vec::new(), Vec::new());
    for party in 0..scene.params.parties() {
        let identity = identity_of(scene.seed, Address::Party(party));
        let (setup, advert) = PartySetup::begin(
            PartyIndex::new(party),
            &identity,
            &scene.roster,
            scene.params,
            scene.context,
            &mut set_up_generator(scene, party),
        )?;
        setups.push(setup);
        adverts.push((PartyIndex::new(party), advert.bytes));
    }
    Ok(Parties { setups, adverts })
}

fn shared(scene: &SetUpScene, parties: Parties) -> Result<Founded, Fault> {
    let Parties { setups, adverts } = parties;
    let digest =
        EpochKeys::digest_of_adverts(scene.params, &scene.roster, scene.context, &adverts)?;
    let named = (0..).map(PartyIndex::new).zip(&setups);
    let reveals: Vec<_> = named
        .filter_map(|(party, setup)| Some((party, setup.insecure_reveal(&digest)?)))
        .collect();
    let keys = match verify(scene, &adverts, &reveals) {
        Ok(keys) => keys,
        Err(fault) => return Ok(unfounded(scene, fault)),
    };
    let joined = setups
        .into_iter()
        .map(|setup| setup.join(Arc::clone(&keys)).map(Some));
    Ok(Founded {
        epochs: joined.collect::<Result<_, _>>()?,
        keys: Ok(keys),
        faults: Vec::new(),
    })
}

/// A random graph that left somebody with too few neighbours: everybody refuses it.
fn unfounded(scene: &SetUpScene, fault: Fault) -> Founded {
    Founded {
        keys: Err(fault),
        epochs: (0..scene.params.parties()).map(|_| None).collect(),
        faults: Vec::new(),
    }
}

fn each(
    scene: &SetUpScene,
    parties: Parties,
    intercept: &mut (impl MessageInterceptor + ?Sized),
) -> Founded {
    let Parties { setups, adverts } = parties;
    let mut faults = Vec::new();
    let mut frozen: Vec<Option<PartyFrozen>> = Vec::new();
    let mut reveals = Vec::new();
    for (party, setup) in (0..).zip(setups) {
        let shown = relayed(&adverts, Address::Party(party), Kind::Advert, intercept);
        let state = setup.freeze(&shown);
        let state = state.map_err(|fault| faults.push(refused(party, fault)));
        let reveal = state.as_ref().ok().and_then(PartyFrozen::reveal);
        reveals.extend(reveal.map(|reveal| (PartyIndex::new(party), reveal)));
        frozen.push(state.ok());
    }
    let mut epochs = Vec::new();
    for (party, state) in (0..).zip(frozen) {
        let shown = relayed(&reveals, Address::Party(party), Kind::Reveal, intercept);
        let epoch = state.map(|state| state.finish(&shown)).transpose();
        epochs.push(epoch.unwrap_or_else(|fault| {
            faults.push(refused(party, fault));
            None
        }));
    }
    let adverts = relayed(&adverts, Address::Coordinator, Kind::Advert, intercept);
    let reveals = relayed(&reveals, Address::Coordinator, Kind::Reveal, intercept);
    Founded {
        keys: verify(scene, &adverts, &reveals),
        epochs,
        faults,
    }
}

/// What `to` is shown of what everybody sent.
fn relayed(
    sent: &[Signed],
    to: Address,
    kind: Kind,
    intercept: &mut (impl MessageInterceptor + ?Sized),
) -> Vec<Signed> {
    let mut shown = Vec::new();
    for (party, bytes) in sent {
        let arriving = intercept.on_message(&Passing {
            now: 0,
            from: Address::Party(party.get()),
            to,
            kind,
            attempt: FIRST,
            bytes,
        });
        for parcel in arriving {
            if let Address::Party(from) = parcel.from {
                shown.push((PartyIndex::new(from), parcel.bytes));
            }
        }
    }
    shown
}

fn verify(
    scene: &SetUpScene,
    adverts: &[Signed],
    reveals: &[Signed],
) -> Result<Arc<EpochKeys>, Fault> {
    let keys = EpochKeys::verify(scene.params, &scene.roster, scene.context, adverts, reveals);
    keys.map(Arc::new)
}

fn refused(party: u16, fault: Fault) -> PartyFault {
    PartyFault {
        party,
        attempt: FIRST,
        fault,
    }
}
