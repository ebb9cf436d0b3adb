//! Messages of the masked sum, each given to the machine that reads it (docs/protocols/masked-sum.md).
//!
//! Every input meets a round of three parties that went well so far and that nothing but its seed decides.

use std::num::NonZeroUsize;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use lepton_crypto::{IdentityKey, Seed};
use lepton_ring::{Modulus, RingVec};
use lepton_secagg::{
    Addressed, Attempt, Collecting, EpochContext, EpochKeys, Fault, Masked, Opening, Parameters,
    PartyEpoch, PartyIndex, PartySetup, Roster, Signed, Signing, VectorSpec,
};
use rand_core::SeedableRng;

use super::Decoder;

const PARTIES: u16 = 3;
const FIRST: PartyIndex = PartyIndex::new(0);

/// A decoder over a round, and the message of the first party that it takes.
type Reads = (
    &'static str,
    fn() -> Result<Vec<u8>, Fault>,
    fn(&[u8]) -> Result<(), Fault>,
);

pub(super) fn decoders() -> Vec<Decoder> {
    let messages: [Reads; 6] = [
        (
            "advert",
            || Ok(Begun::new()?.adverts.remove(0).1),
            |bytes| Begun::new()?.with_first_advert(bytes).map(drop),
        ),
        (
            "masked-input",
            || Ok(Inputs::new()?.bodies.remove(0)),
            |bytes| Inputs::new()?.collecting.accept(FIRST, bytes),
        ),
        (
            "survivor-view",
            || Ok(Views::new()?.view),
            |bytes| {
                let views = Views::new()?;
                views.first.sign(bytes, &views.identity).map(drop)
            },
        ),
        (
            "agreement",
            || Views::new()?.agreement(),
            |bytes| Views::new()?.signing.accept(FIRST, bytes),
        ),
        (
            "bundle-of-signatures",
            || Ok(Openings::new()?.bundle),
            |bytes| Openings::new()?.first.open(bytes).map(drop),
        ),
        (
            "openings",
            || Openings::new()?.opened(),
            |bytes| {
                let mut opening = Openings::new()?.opening;
                opening.accept(FIRST, bytes)?;
                opening.finish(NonZeroUsize::MIN).map(drop)
            },
        ),
    ];
    let decoder = |(name, valid, reads): Reads| {
        let valid = valid().expect("a round that goes well");
        // A whole round of three is played for each input.
        Decoder::of_bytes(name, vec![valid], move |bytes| reads(bytes).is_ok()).taking(40, 1 << 20)
    };
    messages.into_iter().map(decoder).collect()
}

fn identity(party: u16) -> IdentityKey {
    let [high, low] = (party + 1).to_be_bytes();
    let mut seed = [low; 32];
    seed[0] = high;
    IdentityKey::from_seed(Seed::from_bytes(seed))
}

fn parties() -> impl Iterator<Item = PartyIndex> {
    (0..PARTIES).map(PartyIndex::new)
}

fn parameters() -> Parameters {
    Parameters::fitting(PARTIES, 0, 1).expect("three parties can do without one")
}

fn context() -> EpochContext {
    EpochContext {
        job: [7; 32],
        epoch: 0,
    }
}

fn spec() -> VectorSpec {
    VectorSpec {
        modulus: Modulus::new(16).expect("16 bits"),
        len: 4,
        purpose: [0; 32],
    }
}

const ATTEMPT: Attempt = Attempt {
    round: 0,
    attempt: 0,
};

/// Keys are drawn and told.
struct Begun {
    roster: Roster,
    setups: Vec<PartySetup>,
    adverts: Vec<Addressed>,
    rng: ChaCha20Rng,
}

impl Begun {
    fn new() -> Result<Self, Fault> {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let identities: Vec<_> = (0..PARTIES).map(identity).collect();
        let publics: Vec<_> = identities.iter().map(IdentityKey::public).collect();
        let roster = Roster::new(&publics).map_err(Fault::from)?;
        let (mut setups, mut adverts) = (Vec::new(), Vec::new());
        for (party, identity) in parties().zip(&identities) {
            let (setup, advert) =
                PartySetup::begin(party, identity, &roster, parameters(), context(), &mut rng)?;
            setups.push(setup);
            adverts.push((party, advert.bytes));
        }
        Ok(Self {
            roster,
            setups,
            adverts,
            rng,
        })
    }

    /// The epoch that follows when the first party tells this.
    fn with_first_advert(
        mut self,
        advert: &[u8],
    ) -> Result<(Vec<PartyEpoch>, Arc<EpochKeys>, ChaCha20Rng), Fault> {
        if let Some((_, bytes)) = self.adverts.first_mut() {
            *bytes = advert.to_vec();
        }
        self.joined()
    }

    fn joined(self) -> Result<(Vec<PartyEpoch>, Arc<EpochKeys>, ChaCha20Rng), Fault> {
        let finish = |setup: PartySetup| setup.freeze(&self.adverts)?.finish(&[]);
        let epochs = self.setups.into_iter().map(finish);
        let epochs = epochs.collect::<Result<Vec<_>, _>>()?;
        let keys = EpochKeys::verify(parameters(), &self.roster, context(), &self.adverts, &[])?;
        Ok((epochs, Arc::new(keys), self.rng))
    }
}

/// Everybody has masked; nothing has come.
struct Inputs {
    masked: Vec<Masked>,
    bodies: Vec<Vec<u8>>,
    collecting: Collecting,
}

impl Inputs {
    fn new() -> Result<Self, Fault> {
        let (epochs, keys, mut rng) = Begun::new()?.joined()?;
        let (mut masked, mut bodies) = (Vec::new(), Vec::new());
        for mut epoch in epochs {
            let plain = RingVec::zeros(spec().modulus, spec().len);
            let (state, body) = epoch.mask(ATTEMPT, spec(), plain, &mut rng)?;
            masked.push(state);
            bodies.push(body);
        }
        Ok(Self {
            masked,
            bodies,
            collecting: Collecting::new(keys, ATTEMPT, spec())?,
        })
    }
}

/// The survivors are told; nobody has signed.
struct Views {
    first: Masked,
    others: Vec<Masked>,
    identity: IdentityKey,
    view: Vec<u8>,
    signing: Signing,
}

impl Views {
    fn new() -> Result<Self, Fault> {
        let mut inputs = Inputs::new()?;
        for (party, body) in parties().zip(&inputs.bodies) {
            inputs.collecting.accept(party, body)?;
        }
        let signing = inputs.collecting.close()?;
        Ok(Self {
            first: inputs.masked.remove(0),
            others: inputs.masked,
            identity: identity(0),
            view: signing.view(FIRST).expect("a view for each survivor"),
            signing,
        })
    }

    /// What the first party signs.
    fn agreement(self) -> Result<Vec<u8>, Fault> {
        let (_, body) = self.first.sign(&self.view, &self.identity)?;
        Ok(body)
    }
}

/// Everybody has signed; all but the first party have opened.
struct Openings {
    first: Signed,
    bundle: Vec<u8>,
    opening: Opening,
}

impl Openings {
    fn new() -> Result<Self, Fault> {
        let Views {
            first,
            others,
            identity: key,
            view,
            mut signing,
        } = Views::new()?;
        let (first, body) = first.sign(&view, &key)?;
        signing.accept(FIRST, &body)?;
        let mut rest = Vec::new();
        for (number, masked) in (1_u16..).zip(others) {
            let party = PartyIndex::new(number);
            let view = signing.view(party).unwrap_or_default();
            let (signed, body) = masked.sign(&view, &identity(number))?;
            signing.accept(party, &body)?;
            rest.push(signed);
        }
        let (opening, bundle) = signing.close()?;
        let mut all = Self {
            first,
            bundle,
            opening,
        };
        for (number, signed) in (1_u16..).zip(rest) {
            let body = signed.open(&all.bundle)?;
            all.opening.accept(PartyIndex::new(number), &body)?;
        }
        Ok(all)
    }

    /// What the first party opens.
    fn opened(self) -> Result<Vec<u8>, Fault> {
        self.first.open(&self.bundle)
    }
}
