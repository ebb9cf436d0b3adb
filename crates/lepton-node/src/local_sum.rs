//! A masked sum among parties that all live in this process: the protocol of `docs/protocols/masked-sum.md` from key adverts to the opened sum,
//! every message as bytes, without a network.
//!
//! Whoever holds the process holds every party's input, so nothing is hidden from the caller: it is for programs that play a federation, and the sum is
//! the one that a federation of these parties gets. Sums are exact on fixed-point numbers.

use std::num::NonZeroUsize;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use lepton_crypto::IdentityKey;
use lepton_ring::{FixedPoint, Modulus, RingVec, Segment, sum_bound};
use lepton_secagg::{
    Attempt, Collecting, EpochContext, EpochKeys, Fault, Masked, Opening, Parameters, PartyEpoch,
    PartyIndex, PartySetup, Roster, Signed, Signing, VectorSpec,
};

use crate::error::NodeError;
use crate::random::Entropy;

/// Digits behind the binary point of every number in a sum.
pub const FRACTION_BITS: u8 = 24;

const ONCE: Attempt = Attempt {
    round: 0,
    attempt: 0,
};

/// Adds the parties' vectors under masks; each number is first rounded to a multiple of `2^-24`, and the sum of those is exact.
///
/// # Errors
/// `Use` for fewer than two parties or vectors of different lengths; `Data` for a number that is not finite or too large for a sum of 64 bits.
pub fn masked_sum(parties: &[Vec<f64>]) -> Result<Vec<f64>, NodeError> {
    let len = parties.first().map_or(0, Vec::len);
    if parties.iter().any(|vector| vector.len() != len) {
        return Err(NodeError::Use(
            "the parties' vectors differ in length; give each party a number for every entry"
                .to_owned(),
        ));
    }
    let count = u16::try_from(parties.len())
        .map_err(|_| NodeError::Use("too many parties for one sum".to_owned()))?;
    let encoded = parties
        .iter()
        .map(|vector| encode(vector))
        .collect::<Result<Vec<_>, _>>()?;
    let largest = encoded.iter().flatten().map(|value| value.unsigned_abs());
    let segment = Segment {
        len,
        max_abs: largest.max().unwrap_or_default(),
    };
    let modulus = Modulus::for_sum_bound(sum_bound(&[segment], count.into()))
        .map_err(|error| NodeError::Data(error.to_string()))?;
    // Everybody answers here, so that nothing is held against as many colluders as the numbers allow.
    let params = Parameters::new(count, colluders(count), 0, None, None)
        .map_err(|error| NodeError::Use(error.to_string()))?;
    let sum = Federation::set_up(params)?.sum(modulus, &encoded)?;
    let point = FixedPoint::new(FRACTION_BITS);
    let decoded = sum.to_signed().into_iter();
    Ok(decoded.map(|value| point.decode(value)).collect())
}

/// As many as `c <= t - 1` allows where all must answer, no more than a third of larger federations.
const fn colluders(parties: u16) -> u16 {
    match parties {
        0..=2 => 0,
        3..=8 => 1,
        more => more / 3,
    }
}

fn encode(vector: &[f64]) -> Result<Vec<i64>, NodeError> {
    let point = FixedPoint::new(FRACTION_BITS);
    let entries = vector.iter().enumerate();
    entries
        .map(|(entry, value)| {
            point
                .encode(*value)
                .map_err(|error| NodeError::Data(format!("entry {entry}: {error}")))
        })
        .collect()
}

/// The parties of one sum, with keys that nobody uses again.
struct Federation {
    identities: Vec<IdentityKey>,
    keys: Arc<EpochKeys>,
    epochs: Vec<PartyEpoch>,
    rng: ChaCha20Rng,
}

impl Federation {
    fn set_up(params: Parameters) -> Result<Self, NodeError> {
        let mut rng = Entropy::System.generator("local sum", 0)?;
        let everyone = || (0..params.parties()).map(PartyIndex::new);
        let identities: Vec<_> = everyone()
            .map(|_| IdentityKey::generate(&mut rng))
            .collect();
        let roster: Vec<_> = identities.iter().map(IdentityKey::public).collect();
        let roster = Roster::new(&roster).map_err(|error| broken(error.into()))?;
        let context = EpochContext {
            job: [0; 32],
            epoch: 0,
        };
        let (mut setups, mut adverts) = (Vec::new(), Vec::new());
        for (index, identity) in everyone().zip(&identities) {
            let (setup, advert) =
                PartySetup::begin(index, identity, &roster, params, context, &mut rng)
                    .map_err(broken)?;
            setups.push(setup);
            adverts.push((index, advert.bytes));
        }
        // On a complete graph, which `Parameters::new` asks for, there is nothing to reveal.
        let keys = EpochKeys::verify(params, &roster, context, &adverts, &[]);
        let keys = Arc::new(keys.map_err(broken)?);
        let join = |setup: PartySetup| setup.join(Arc::clone(&keys)).map_err(broken);
        let epochs = setups.into_iter().map(join).collect::<Result<_, _>>()?;
        Ok(Self {
            identities,
            keys,
            epochs,
            rng,
        })
    }

    /// One attempt in which everybody answers.
    fn sum(mut self, modulus: Modulus, inputs: &[Vec<i64>]) -> Result<RingVec, NodeError> {
        let spec = VectorSpec {
            modulus,
            len: inputs.first().map_or(0, Vec::len),
            purpose: [0; 32],
        };
        let keys = Arc::clone(&self.keys);
        let mut collecting = Collecting::new(keys, ONCE, spec).map_err(broken)?;
        let mut masked = Vec::new();
        for ((index, epoch), input) in (0..).map(PartyIndex::new).zip(&mut self.epochs).zip(inputs)
        {
            let input = RingVec::from_signed(modulus, input)
                .map_err(|error| NodeError::Internal(error.to_string()))?;
            let (state, body) = epoch
                .mask(ONCE, spec, input, &mut self.rng)
                .map_err(broken)?;
            collecting.accept(index, &body).map_err(broken)?;
            masked.push(state);
        }
        let signing = collecting.close().map_err(broken)?;
        let (opening, bundle, signed) = self.agree(signing, masked).map_err(broken)?;
        let sum = open(opening, &bundle, signed).map_err(broken)?;
        sum.ok_or_else(|| NodeError::Internal("a sum without groups has no sum".to_owned()))
    }

    /// Everybody signs the survivors.
    fn agree(
        &self,
        mut signing: Signing,
        masked: Vec<Masked>,
    ) -> Result<(Opening, Vec<u8>, Vec<Signed>), Fault> {
        let mut signed = Vec::new();
        let parties = (0..).map(PartyIndex::new).zip(masked);
        for ((index, state), identity) in parties.zip(&self.identities) {
            let view = signing.view(index).unwrap_or_default();
            let (state, body) = state.sign(&view, identity)?;
            signing.accept(index, &body)?;
            signed.push(state);
        }
        let (opening, bundle) = signing.close()?;
        Ok((opening, bundle, signed))
    }
}

/// Everybody opens what the sum needs.
fn open(
    mut opening: Opening,
    bundle: &[u8],
    signed: Vec<Signed>,
) -> Result<Option<RingVec>, Fault> {
    for (index, state) in (0..).map(PartyIndex::new).zip(signed) {
        opening.accept(index, &state.open(bundle)?)?;
    }
    Ok(opening.finish(NonZeroUsize::MIN)?.sums.pop())
}

/// Between parties of one program nobody is at fault but the program.
#[expect(clippy::needless_pass_by_value, reason = "an adapter for `map_err`")]
fn broken(fault: Fault) -> NodeError {
    NodeError::Internal(format!("a masked sum among local parties: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_exact_on_the_grid() {
        let step = FixedPoint::new(FRACTION_BITS).decode(1);
        let parties = vec![
            vec![1.5, -2.0, step / 4.0],
            vec![0.25, 1e9, step],
            vec![-3.0, -1e9, -step],
        ];
        assert_eq!(masked_sum(&parties).unwrap(), [-1.25, -2.0, 0.0]);
        let many: Vec<Vec<f64>> = (0..20).map(|party| vec![f64::from(party)]).collect();
        assert_eq!(masked_sum(&many).unwrap(), [190.0]);
        assert_eq!(masked_sum(&many[..2]).unwrap(), [1.0]);
    }

    #[test]
    fn what_cannot_be_summed_is_refused() {
        let refused = |parties: &[Vec<f64>]| masked_sum(parties).unwrap_err();
        let uneven = [vec![1.0], vec![1.0, 2.0]];
        assert!(matches!(refused(&uneven), NodeError::Use(_)));
        assert!(matches!(refused(&[vec![1.0]]), NodeError::Use(_)));
        assert!(matches!(refused(&[]), NodeError::Use(_)));
        for bad in [f64::NAN, f64::INFINITY, 1e12] {
            let found = refused(&[vec![0.0], vec![bad]]);
            assert!(matches!(found, NodeError::Data(_)), "{bad}");
        }
    }
}
