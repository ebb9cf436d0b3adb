//! One masked sum among many simulated parties: CPU time of a party and of the coordinator, bytes, memory.
//!
//! Parties run one after the other in this process, and the coordinator beside them, as `lepton-secagg` has them: no frames, no network. A party's
//! time is that of its three messages; keys and graph are set up before, and their cost is told apart.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use chacha20::ChaCha20Rng;
use lepton_crypto::IdentityKey;
use lepton_ring::{Modulus, RingVec};
use lepton_secagg::{
    Attempt, Collecting, EpochContext, EpochKeys, Fault, Masked, Opening, ParameterError,
    Parameters, PartyEpoch, PartyIndex, PartySetup, Roster, Signed, Signing, Summed, VectorSpec,
};
use rand_core::Rng;
use serde::Serialize;

use super::usage::{charge, peak_rss_bytes};
use crate::error::NodeError;
use crate::random::Entropy;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Parties.
    pub parties: u16,
    /// Neighbours of each; `None` for as many as the number of parties asks for, all of them up to 128 parties.
    pub neighbours: Option<u16>,
    /// Entries of the vector.
    pub dim: usize,
    /// Parties lost before they send, and the number of drops that the parameters allow for.
    pub dropouts: u16,
    /// Colluders that the parameters allow for; `None` for a tenth of the parties.
    pub colluders: Option<u16>,
    /// Bits of an entry, 8 to 64.
    pub bits: u8,
    /// Threads on which the coordinator takes masks off.
    pub workers: NonZeroUsize,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Costs {
    /// Parties.
    pub parties: u16,
    /// The most neighbours that a party has.
    pub neighbours: u16,
    /// Entries of the vector.
    pub dim: usize,
    /// Parties lost before they sent.
    pub dropouts: u16,
    /// Colluders allowed for.
    pub colluders: u16,
    /// Bits of an entry.
    pub bits: u8,
    /// Threshold of the secret sharing.
    pub threshold: u16,
    /// Signatures that fix a survivor set.
    pub quorum: u16,
    /// Parties that may sign.
    pub committee: u16,
    /// `-log2` of the chance that the random graph fails in a whole job; absent for the complete graph, which cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_bits: Option<f64>,
    /// Mean CPU seconds of a surviving party in the attempt.
    pub party_cpu_s: f64,
    /// CPU seconds of the coordinator.
    pub coordinator_cpu_s: f64,
    /// CPU seconds in which AWS-LC's AES-128-CTR alone makes as many bytes of keystream as a party uses.
    pub generator_s: f64,
    /// Mean CPU seconds of a party in the set-up of the epoch.
    pub set_up_party_cpu_s: f64,
    /// Most bytes that a party sends in the attempt.
    pub up_bytes: u64,
    /// Most bytes that a party receives in the attempt, the model aside.
    pub down_bytes: u64,
    /// Bytes of the packed vector alone.
    pub vector_bytes: u64,
    /// The most memory that this process held, all parties in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// Threads of the coordinator.
    pub workers: usize,
    /// Whether the opened sum was the sum of the survivors' vectors.
    pub exact: bool,
}

/// Why it cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Numbers that do not go together.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// Bits out of range.
    #[error(transparent)]
    Ring(#[from] lepton_ring::RingError),
    /// The protocol refused something.
    #[error(transparent)]
    Sum(#[from] Fault),
    /// The generator to compare with failed.
    #[error("AES-128-CTR of AWS-LC failed")]
    Generator(#[from] aws_lc_rs::error::Unspecified),
    /// The system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] crate::random::NoEntropy),
}

impl From<BenchError> for NodeError {
    fn from(error: BenchError) -> Self {
        Self::Use(error.to_string())
    }
}

const FIRST: Attempt = Attempt {
    round: 0,
    attempt: 0,
};

/// Runs one attempt and measures it.
///
/// # Errors
/// [`BenchError`] when the numbers do not go together.
pub fn measure(setting: Setting) -> Result<Costs, BenchError> {
    let params = parameters(setting)?;
    let modulus = Modulus::new(setting.bits)?;
    let spec = VectorSpec {
        modulus,
        len: setting.dim,
        purpose: [0; 32],
    };
    let mut federation = Federation::set_up(params)?;
    let mut run = Run::default();
    let sent = params.parties() - setting.dropouts;
    let (signing, expected, masked) = run.inputs(&mut federation, spec, sent)?;
    let (opening, bundle, waiting) = run.agree(&federation, signing, masked)?;
    let summed = run.open(&federation, opening, &bundle, waiting, setting.workers)?;
    let survivors = f64::from(sent);
    let masks = (1..=sent).map(|i| federation.keys.neighbours(PartyIndex::new(i - 1)).len() + 1);
    let masks = masks.max().unwrap_or_default();
    Ok(Costs {
        parties: params.parties(),
        neighbours: params.neighbours(),
        dim: setting.dim,
        dropouts: setting.dropouts,
        colluders: params.colluders(),
        bits: setting.bits,
        threshold: params.threshold(),
        quorum: params.quorum(),
        committee: params.committee(),
        security_bits: params.security_bits(),
        party_cpu_s: run.parties.as_secs_f64() / survivors,
        coordinator_cpu_s: run.coordinator.as_secs_f64(),
        generator_s: generator(masks * setting.dim * word_bytes(setting.bits))?.as_secs_f64(),
        set_up_party_cpu_s: federation.set_up.as_secs_f64() / f64::from(params.parties()),
        up_bytes: run.up.iter().copied().max().unwrap_or_default(),
        down_bytes: run.down.iter().copied().max().unwrap_or_default(),
        vector_bytes: RingVec::packed_len(modulus, setting.dim).unwrap_or_default() as u64,
        peak_rss_bytes: peak_rss_bytes(),
        workers: setting.workers.get(),
        exact: summed.sums == [expected],
    })
}

fn parameters(setting: Setting) -> Result<Parameters, ParameterError> {
    let n = setting.parties;
    let colluders = setting.colluders.unwrap_or(n / 10);
    match setting.neighbours {
        None => Parameters::fitting(n, colluders, setting.dropouts),
        Some(all) if all + 1 >= n => Parameters::new(n, colluders, setting.dropouts, None, None),
        Some(some) => Parameters::insecure_sparse(n, colluders, setting.dropouts, some),
    }
}

/// Bytes of keystream that a word takes.
const fn word_bytes(bits: u8) -> usize {
    match bits {
        0..=8 => 1,
        9..=16 => 2,
        17..=32 => 4,
        _ => 8,
    }
}

/// The time in which AWS-LC's AES-128-CTR alone makes this many bytes, a buffer of the first-level cache at a time.
fn generator(bytes: usize) -> Result<Duration, aws_lc_rs::error::Unspecified> {
    let mut spent = Duration::ZERO;
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &[1; 16])?)?;
    charge(&mut spent, || {
        let mut buffer = [0u8; 16384];
        for _ in 0..bytes.div_ceil(buffer.len()) {
            let counter = EncryptionContext::Iv128(FixedLength::from(&[2; 16]));
            key.less_safe_encrypt(&mut buffer, counter)?;
        }
        std::hint::black_box(buffer);
        Ok::<_, aws_lc_rs::error::Unspecified>(())
    })?;
    Ok(spent)
}

struct Federation {
    identities: Vec<IdentityKey>,
    keys: Arc<EpochKeys>,
    epochs: Vec<PartyEpoch>,
    rng: ChaCha20Rng,
    /// CPU time of all parties.
    set_up: Duration,
}

impl Federation {
    /// The keys are verified once for all parties of this process, and that is charged to each of them in the mean.
    fn set_up(params: Parameters) -> Result<Self, BenchError> {
        let mut rng = Entropy::System.generator("bench masked-sum", 0)?;
        let everyone = (0..params.parties()).map(PartyIndex::new);
        let identities: Vec<_> = everyone
            .clone()
            .map(|_| IdentityKey::generate(&mut rng))
            .collect();
        let roster: Vec<_> = identities.iter().map(IdentityKey::public).collect();
        let roster = Roster::new(&roster).map_err(Fault::from)?;
        let context = EpochContext {
            job: [0; 32],
            epoch: 0,
        };
        let (mut setups, mut adverts) = (Vec::new(), Vec::new());
        let mut set_up = Duration::ZERO;
        for (index, identity) in everyone.zip(&identities) {
            let (setup, advert) = charge(&mut set_up, || {
                PartySetup::begin(index, identity, &roster, params, context, &mut rng)
            })?;
            setups.push(setup);
            adverts.push((index, advert.bytes));
        }
        let digest = EpochKeys::digest_of_adverts(params, &roster, context, &adverts)?;
        let reveals = (0..).map(PartyIndex::new).zip(&setups);
        let reveals: Vec<_> = reveals
            .filter_map(|(index, setup)| Some((index, setup.insecure_reveal(&digest)?)))
            .collect();
        let keys = EpochKeys::verify(params, &roster, context, &adverts, &reveals)?;
        let keys = Arc::new(keys);
        let mut epochs = Vec::with_capacity(setups.len());
        for setup in setups {
            epochs.push(charge(&mut set_up, || setup.join(Arc::clone(&keys)))?);
        }
        Ok(Self {
            identities,
            keys,
            epochs,
            rng,
            set_up,
        })
    }
}

/// What an attempt has cost so far.
#[derive(Default)]
struct Run {
    parties: Duration,
    coordinator: Duration,
    /// By party.
    up: Vec<u64>,
    down: Vec<u64>,
}

/// A party on its way through the attempt.
enum Waiting {
    /// Outside the committee: it is shown its view together with the signatures, which keeps one view at a time in memory.
    Masked(Box<Masked>),
    Signed(Box<Signed>),
}

impl Run {
    /// (a) of the first `sent` parties: the coordinator's next state, the true sum, and the parties.
    fn inputs(
        &mut self,
        federation: &mut Federation,
        spec: VectorSpec,
        sent: u16,
    ) -> Result<(Signing, RingVec, Vec<Masked>), BenchError> {
        let mut collecting = Collecting::new(Arc::clone(&federation.keys), FIRST, spec)?;
        let mut expected = RingVec::zeros(spec.modulus, spec.len);
        let mut masked = Vec::new();
        let Federation { epochs, rng, .. } = federation;
        let senders = (0..sent).map(PartyIndex::new);
        for (index, epoch) in senders.zip(epochs) {
            let input = vector(spec, rng);
            expected.add_assign(&input)?;
            let (state, body) = charge(&mut self.parties, || epoch.mask(FIRST, spec, input, rng))?;
            self.up.push(body.len() as u64);
            masked.push(state);
            charge(&mut self.coordinator, || collecting.accept(index, &body))?;
        }
        let signing = charge(&mut self.coordinator, || collecting.close())?;
        Ok((signing, expected, masked))
    }

    /// Views and (b). What a party outside the committee checks, it checks when it opens.
    fn agree(
        &mut self,
        federation: &Federation,
        mut signing: Signing,
        masked: Vec<Masked>,
    ) -> Result<(Opening, Vec<u8>, Vec<Waiting>), BenchError> {
        let committee = federation.keys.committee();
        let mut waiting = Vec::new();
        let parties = (0..).map(PartyIndex::new).zip(masked);
        for ((index, state), identity) in parties.zip(&federation.identities) {
            if committee.binary_search(&index).is_err() {
                self.down.push(0);
                waiting.push(Waiting::Masked(Box::new(state)));
                continue;
            }
            let view = charge(&mut self.coordinator, || signing.view(index)).unwrap_or_default();
            self.down.push(view.len() as u64);
            let (signed, body) = charge(&mut self.parties, || state.sign(&view, identity))?;
            self.sends(index, &body);
            charge(&mut self.coordinator, || signing.accept(index, &body))?;
            waiting.push(Waiting::Signed(Box::new(signed)));
        }
        let (opening, bundle) = charge(&mut self.coordinator, || signing.close())?;
        Ok((opening, bundle, waiting))
    }

    /// (c) and the sum.
    fn open(
        &mut self,
        federation: &Federation,
        mut opening: Opening,
        bundle: &[u8],
        waiting: Vec<Waiting>,
        workers: NonZeroUsize,
    ) -> Result<Summed, BenchError> {
        let parties = (0..).map(PartyIndex::new).zip(waiting);
        for ((index, state), identity) in parties.zip(&federation.identities) {
            self.receives(index, bundle);
            let signed = match state {
                Waiting::Signed(signed) => signed,
                Waiting::Masked(masked) => {
                    let view = charge(&mut self.coordinator, || opening.view(index));
                    let view = view.unwrap_or_default();
                    self.receives(index, &view);
                    let (signed, body) =
                        charge(&mut self.parties, || masked.sign(&view, identity))?;
                    self.sends(index, &body);
                    Box::new(signed)
                }
            };
            let body = charge(&mut self.parties, || signed.open(bundle))?;
            self.sends(index, &body);
            charge(&mut self.coordinator, || opening.accept(index, &body))?;
        }
        Ok(charge(&mut self.coordinator, || opening.finish(workers))?)
    }

    fn sends(&mut self, party: PartyIndex, body: &[u8]) {
        if let Some(up) = self.up.get_mut(usize::from(party.get())) {
            *up += body.len() as u64;
        }
    }
}

impl Run {
    fn receives(&mut self, party: PartyIndex, body: &[u8]) {
        if let Some(down) = self.down.get_mut(usize::from(party.get())) {
            *down += body.len() as u64;
        }
    }
}

/// Random residues.
fn vector(spec: VectorSpec, rng: &mut ChaCha20Rng) -> RingVec {
    let values: Vec<i64> = (0..spec.len)
        .map(|_| rng.next_u64().cast_signed())
        .collect();
    RingVec::from_wrapping(spec.modulus, &values)
}
