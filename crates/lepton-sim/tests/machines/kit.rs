//! Small federations for the tests.

use lepton_learn::RawColumn;
use lepton_protocol::ledger::{Side, accountant_of};
use lepton_protocol::work::PartyRows;
use lepton_sim::{Delivery, End, Interceptor, Seen, SimConfig, SimOutcome, SimParty, Simulation};

/// What the tests vary.
#[derive(Debug, Clone)]
pub(crate) struct Toy {
    pub(crate) parties: u16,
    pub(crate) rounds: u32,
    /// `[privacy]`, if any.
    pub(crate) epsilon: Option<f64>,
    pub(crate) noise: &'static str,
    /// Whether `site` and `outcome` are found by the survey.
    pub(crate) discovered: bool,
    /// Further lines, each a whole section.
    pub(crate) more: &'static str,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            parties: 4,
            rounds: 3,
            epsilon: None,
            noise: "distributed",
            discovered: true,
            more: "",
        }
    }
}

impl Toy {
    pub(crate) fn private(epsilon: f64) -> Self {
        Self {
            epsilon: Some(epsilon),
            discovered: false,
            ..Self::default()
        }
    }

    pub(crate) fn job(&self) -> String {
        let names = if self.discovered {
            ""
        } else {
            "classes = [\"sick\", \"well\"]\n"
        };
        let values = if self.discovered {
            ""
        } else {
            "site = [\"left\", \"right\"]\n"
        };
        let privacy = self.epsilon.map_or(String::new(), |epsilon| {
            format!(
                "[privacy]\nepsilon = {epsilon}\ndelta = 1e-5\nclip = 1.0\nnoise = \"{}\"\n",
                self.noise
            )
        });
        format!(
            "[job]\nname = \"toy\"\n[data]\ntable = \"toy.csv\"\nlabel = \"outcome\"\nfeatures = [\"age\", \"site\"]\n{names}\
             [data.types]\nage = \"number\"\nsite = \"category\"\noutcome = \"category\"\n\
             [prepare]\nslots = 256\n[prepare.bounds]\nage = [0, 100]\n[prepare.values]\n{values}\
             [model]\nkind = \"logistic\"\n\
             [training]\nrounds = {}\nlocal_steps = 2\nbatch = 8\nlearning_rate = 0.05\nsampling_rate = 0.5\n\
             [evaluation]\nevery = 2\n{privacy}{}",
            self.rounds, self.more
        )
    }

    pub(crate) fn config(&self, seed: u64) -> SimConfig {
        let parties = (0..self.parties)
            .map(|index| SimParty::new(&format!("party {index}"), rows(u64::from(index), 24)));
        SimConfig::new(seed, self.job(), parties.collect())
    }
}

/// Rows of a party: a weak rule, and a site that only this party has.
pub(crate) fn rows(party: u64, count: usize) -> PartyRows {
    let part = |offset: u64| {
        let numbers: Vec<u64> = (0..count as u64)
            .map(|row| (row + offset) * 7919 + party * 104_729)
            .collect();
        let age = numbers.iter().map(|n| Some((n % 89) as f64)).collect();
        let site = numbers
            .iter()
            .map(|n| {
                let shared = if n % 2 == 0 { "left" } else { "right" };
                Some(shared.to_owned())
            })
            .collect();
        let outcome = numbers
            .iter()
            .map(|n| {
                let sick = n % 89 > 40 || n % 13 == 0;
                Some(if sick { "sick" } else { "well" }.to_owned())
            })
            .collect();
        vec![
            numeric("age", age),
            category("site", site),
            category("outcome", outcome),
        ]
    };
    PartyRows {
        train: part(0),
        hold_out: part(1_000),
    }
}

pub(crate) fn numeric(name: &str, values: Vec<Option<f64>>) -> RawColumn {
    RawColumn::Numeric {
        name: name.to_owned(),
        values,
    }
}

pub(crate) fn category(name: &str, values: Vec<Option<String>>) -> RawColumn {
    RawColumn::Category {
        name: name.to_owned(),
        values,
    }
}

pub(crate) fn run(config: SimConfig) -> SimOutcome {
    Simulation::new(config)
        .unwrap_or_else(|error| panic!("{error}"))
        .run()
}

/// An interceptor from a function.
pub(crate) struct With<F>(pub(crate) F);

impl<F: FnMut(Seen<'_>) -> Vec<Delivery>> Interceptor for With<F> {
    fn on_frame(&mut self, seen: Seen<'_>) -> Vec<Delivery> {
        (self.0)(seen)
    }
}

/// `config` with an interceptor.
pub(crate) fn intercepted(
    mut config: SimConfig,
    f: impl FnMut(Seen<'_>) -> Vec<Delivery> + 'static,
) -> SimConfig {
    config.intercept = Some(Box::new(With(f)));
    config
}

/// What every run must satisfy, however it ends.
pub(crate) fn check(outcome: &SimOutcome) -> Result<(), String> {
    let fail = |what: String| {
        Err(format!(
            "seed {}: {what}\nend: {:?}\nevents: {:#?}\nrefused: {:?}\nfaults: {:?}",
            outcome.seed, outcome.end, outcome.events, outcome.refused, outcome.faults
        ))
    };
    if let Some(violation) = outcome.violations.first() {
        return fail(violation.clone());
    }
    match &outcome.end {
        End::Over if outcome.training.is_over() => {}
        End::Over => return fail("over, and the job is not".to_owned()),
        End::Fault(cause) if cause.len() > 20 => {}
        End::Fault(cause) => return fail(format!("no cause named: {cause:?}")),
        End::Killed => {}
        End::Stuck => return fail("stuck".to_owned()),
    }
    for (party, ledger) in outcome.durable.ledgers.iter().enumerate() {
        for side in [Side::Training, Side::HoldOut] {
            let epsilon = spent(outcome, ledger, side);
            let goal = outcome
                .plan
                .privacy()
                .map_or(f64::INFINITY, |privacy| privacy.goal.epsilon.get());
            if epsilon > goal {
                return fail(format!("party {party} spent {epsilon} of {goal}"));
            }
        }
    }
    Ok(())
}

pub(crate) fn spent(outcome: &SimOutcome, ledger: &lepton_sim::MemoryLedger, side: Side) -> f64 {
    use lepton_protocol::ledger::Ledger as _;
    let Some(privacy) = outcome.plan.privacy() else {
        return 0.0;
    };
    if ledger.charges().iter().all(|charge| charge.side != side) {
        return 0.0;
    }
    let total = accountant_of(ledger.charges(), side).unwrap();
    total.epsilon(privacy.goal.delta).unwrap().0.get()
}
