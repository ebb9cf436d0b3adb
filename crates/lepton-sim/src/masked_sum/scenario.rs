//! A whole simulation from a family and a seed.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use lepton_ring::Modulus;
use lepton_secagg::{Grouping, ParameterError, Parameters};
use rand_core::Rng;

use super::attack::{Recorder, Recording};
use super::{
    Attack, MaskedSumConfig, MaskedSumOutcome, MaskedSumSim, Mishap, MishapKind, SetUp, Side,
};
use crate::Network;
use crate::random::generator;

/// How large a simulation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 3 to 12 parties on a complete graph, some with sums by group, any network, mishap and adversary.
    Small,
    /// 40 to 120 parties on an insecure sparse graph, any network, mishap and adversary.
    Sparse,
    /// 1,000 parties on a sparse graph of proven parameters: mishaps, no adversary.
    Thousand,
    /// 2,000 parties on an insecure sparse graph: mishaps, no adversary.
    TwoThousand,
}

/// One of the simulations that studies run: everything about it follows from these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// How large.
    pub family: Family,
    /// Which.
    pub seed: u64,
}

impl Scenario {
    /// The adversary, in about half of the small and sparse scenarios.
    #[must_use]
    pub fn attack(&self) -> Option<Attack> {
        let place = self.place()?;
        Attack::ALL.get(place).copied()
    }

    fn place(&self) -> Option<usize> {
        let mut rng = self.generator("adversary");
        match self.family {
            Family::Small | Family::Sparse => Some(below(&mut rng, 2 * Attack::ALL.len())),
            Family::Thousand | Family::TwoThousand => None,
        }
    }

    /// The configuration, adversary included.
    ///
    /// # Errors
    /// Never but for a fault of the simulation itself.
    pub fn config(&self) -> Result<MaskedSumConfig, ParameterError> {
        let mut config = self.peaceful()?;
        let Some(attack) = self.attack() else {
            return Ok(config);
        };
        if attack.needs_set_up() {
            config.set_up = SetUp::Each;
        }
        config.honest_coordinator = attack.side() == Side::Colluders;
        let recording = Recording::default();
        if attack == Attack::CrossEpoch {
            self.record(&recording)?;
        }
        config.intercept = Some(attack.interceptor(self.seed, recording));
        Ok(config)
    }

    /// Runs it.
    ///
    /// # Errors
    /// What was violated, and the command that shows it again.
    pub fn run(&self) -> Result<MaskedSumOutcome, String> {
        let failed = |what: String| format!("{self}: {what}\n  again: {}", self.replay());
        let config = self.config().map_err(|error| failed(error.to_string()))?;
        let sim = MaskedSumSim::new(config).map_err(|fault| failed(fault.to_string()))?;
        let outcome = sim.run();
        if outcome.violations.is_empty() {
            Ok(outcome)
        } else {
            Err(failed(outcome.violations.join("; ")))
        }
    }

    /// The command that runs it alone.
    #[must_use]
    pub fn replay(&self) -> String {
        format!(
            "cargo run --release -p lepton-sim --example masked_sums -- {} {}",
            self.family, self.seed
        )
    }

    /// Another epoch of the same parties, honest, for the adversary to replay from.
    fn record(&self, recording: &Recording) -> Result<(), ParameterError> {
        let mut config = self.peaceful()?;
        config.epoch = 1;
        config.rounds = 1;
        config.intercept = Some(Box::new(Recorder(Rc::clone(recording))));
        if let Ok(sim) = MaskedSumSim::new(config) {
            // What becomes of it does not matter: its messages are kept.
            drop(sim.run());
        }
        Ok(())
    }

    /// Without the adversary.
    fn peaceful(&self) -> Result<MaskedSumConfig, ParameterError> {
        let mut rng = self.generator("scenario");
        let params = self.parameters(&mut rng)?;
        let mut config = MaskedSumConfig::new(self.seed, params);
        let rng = &mut rng;
        let bits = [8, 16, 24, 32, 61, 64].get(below(rng, 6)).copied();
        if let Ok(modulus) = Modulus::new(bits.unwrap_or(16)) {
            config.modulus = modulus;
        }
        config.len = 1 + below(rng, 9);
        config.colluders = some_of(params.parties(), params.colluders(), rng);
        match self.family {
            Family::Small => {
                config.rounds = 1 + rng.next_u64() % 4;
                config.attempts = 3;
                config.set_up = if coin(rng) {
                    SetUp::Each
                } else {
                    SetUp::Shared
                };
                config.network = network(rng);
                config.mishaps = mishaps(&config, params.drops() + 1, rng);
                config.grouping = self.grouping(&params);
            }
            Family::Sparse => {
                config.rounds = 1 + rng.next_u64() % 2;
                config.attempts = 2;
                config.network = network(rng);
                config.mishaps = mishaps(&config, params.drops() / 2, rng);
            }
            Family::Thousand | Family::TwoThousand => {
                config.mishaps = mishaps(&config, params.drops(), rng);
            }
        }
        Ok(config)
    }

    fn parameters(&self, rng: &mut ChaCha20Rng) -> Result<Parameters, ParameterError> {
        match self.family {
            Family::Small => {
                let n = 3 + number(rng, 10);
                let (c, d) = (number(rng, n - 1), number(rng, n));
                // As many drops as this many colluders leave room for.
                let fits = |drops| Parameters::new(n, c, drops, None, None);
                let fitting = (0..=d).rev().find_map(|drops| fits(drops).ok());
                fitting.map_or_else(|| Parameters::new(n, 0, 0, None, None), Ok)
            }
            Family::Sparse => {
                let n = 40 + number(rng, 81);
                let neighbours = 12 + 2 * number(rng, 7);
                Parameters::insecure_sparse(n, number(rng, 4), 1 + number(rng, n / 10), neighbours)
            }
            Family::Thousand => Parameters::sparse(1_000, 20, 20),
            Family::TwoThousand => Parameters::insecure_sparse(2_000, 20, 60, 24),
        }
    }

    /// Where the parties suffice for groups, in half of the seeds: they are dealt at random, with the least floor or more.
    fn grouping(&self, params: &Parameters) -> Option<Arc<Grouping>> {
        let mut rng = self.generator("groups");
        let most = params.parties() / (params.colluders() + 2);
        if most < 2 || coin(&mut rng) {
            return None;
        }
        let groups = 2 + number(&mut rng, most - 1);
        let mut of: Vec<u16> = (0..params.parties()).map(|party| party % groups).collect();
        for place in (1..of.len()).rev() {
            of.swap(place, below(&mut rng, place + 1));
        }
        let least = params.colluders() + 2;
        let floor = least + number(&mut rng, params.parties() / groups - least + 1);
        Grouping::new(params, &of, floor).ok().map(Arc::new)
    }

    fn generator(&self, label: &str) -> ChaCha20Rng {
        generator(self.seed, &format!("{label} {}", self.family))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "small",
            Self::Sparse => "sparse",
            Self::Thousand => "thousand",
            Self::TwoThousand => "two-thousand",
        })
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Small, Self::Sparse, Self::Thousand, Self::TwoThousand];
        let found = all.into_iter().find(|family| family.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is no family: {all:?}"))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seed {}", self.family, self.seed)?;
        match self.attack() {
            Some(attack) => write!(f, " ({attack:?})"),
            None => Ok(()),
        }
    }
}

fn below(rng: &mut ChaCha20Rng, limit: usize) -> usize {
    usize::try_from(rng.next_u64() % limit.max(1) as u64).unwrap_or_default()
}

/// Below `limit`.
fn number(rng: &mut ChaCha20Rng, limit: u16) -> u16 {
    u16::try_from(below(rng, usize::from(limit))).unwrap_or_default()
}

fn coin(rng: &mut ChaCha20Rng) -> bool {
    rng.next_u64().is_multiple_of(2)
}

/// At most this many different parties.
fn some_of(parties: u16, most: u16, rng: &mut ChaCha20Rng) -> BTreeSet<u16> {
    (0..most).map(|_| number(rng, parties)).collect()
}

fn network(rng: &mut ChaCha20Rng) -> Network {
    let mut pick = |choices: [f64; 4]| choices.get(below(rng, 4)).copied().unwrap_or_default();
    let (loss, duplication, reorder) = (
        pick([0.0, 0.0, 0.002, 0.02]),
        pick([0.0, 0.0, 0.05, 0.3]),
        pick([0.0, 0.0, 0.1, 0.5]),
    );
    let mut within = |choices: [u64; 3]| choices.get(below(rng, 3)).copied().unwrap_or(1);
    Network {
        delay: 1..=within([5, 50, 500]),
        compute: 1..=within([1, 300, 1_500]),
        loss,
        outage: 0..=within([0, 100, 3_000]),
        duplication,
        reorder,
    }
}

/// At most this many mishaps a round.
fn mishaps(config: &MaskedSumConfig, most: u16, rng: &mut ChaCha20Rng) -> Vec<Mishap> {
    let mut all = Vec::new();
    for round in 0..config.rounds {
        for _ in 0..number(rng, most + 1) {
            let after = u8::try_from(below(rng, 4)).unwrap_or_default();
            let kind = match below(rng, 8) {
                0 => MishapKind::Slow(1 + rng.next_u64() % 4_000),
                1 => MishapKind::Killed { after },
                _ => MishapKind::Leaves {
                    after,
                    rounds: 1 + rng.next_u64() % 2,
                },
            };
            all.push(Mishap {
                party: number(rng, config.params.parties()),
                round,
                kind,
            });
        }
    }
    all
}
