//! A federation of sixteen for the tests of robust combination.

use std::sync::OnceLock;

use chacha20::ChaCha20Rng;
use lepton_crypto::Seed;
use lepton_learn::RawColumn;
use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::Place;
use lepton_protocol::job::Job;
use lepton_protocol::party::Work;
use lepton_protocol::plan::{Plan, PlanError};
use lepton_protocol::training::{Next, Training};
use lepton_protocol::work::{PartyRows, Worker};
use lepton_ring::RingVec;
use lepton_secagg::PartyIndex;
use rand_core::SeedableRng;

pub(crate) const PARTIES: u16 = 16;

/// A job with further lines for `[training]`, and further sections.
pub(crate) fn job_text(training: &str, sections: &str) -> String {
    format!(
        "[job]\nname = \"toy\"\n[data]\ntable = \"toy.csv\"\nlabel = \"outcome\"\nfeatures = [\"age\", \"dose\"]\nclasses = [\"s\", \"w\"]\n\
         [data.types]\nage = \"number\"\ndose = \"number\"\noutcome = \"category\"\n\
         [model]\nkind = \"logistic\"\n[training]\n{training}rounds = 3\nlocal_steps = 4\nbatch = 256\nsampling_rate = 0.5\n\
         [prepare.bounds]\nage = [0, 100]\ndose = [-1, 1]\n[evaluation]\nevery = 5\n{sections}"
    )
}

pub(crate) fn try_plan(training: &str, sections: &str) -> Result<Plan, PlanError> {
    let text = job_text(training, sections);
    let job = Job::parse("toy", &text, &[]).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    Plan::new(job, PARTIES)
}

pub(crate) fn plan_of(training: &str, sections: &str) -> Plan {
    try_plan(training, sections).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn plan(training: &str) -> Plan {
    plan_of(training, "")
}

/// Rows of a party: a clear rule, on numbers that differ from party to party.
pub(crate) fn rows(party: u16) -> PartyRows {
    let numbers: Vec<u64> = (0..48)
        .map(|row| (row + 3) * 7919 + u64::from(party) * 104_729)
        .collect();
    let number = |name: &str, of: fn(u64) -> f64| RawColumn::Numeric {
        name: name.to_owned(),
        values: numbers.iter().map(|n| Some(of(*n))).collect(),
    };
    let outcome = numbers
        .iter()
        .map(|n| Some(if n % 89 > 40 { "s" } else { "w" }.to_owned()));
    let columns = vec![
        number("age", |n| (n % 89) as f64),
        number("dose", |n| (n % 21) as f64 / 10.0 - 1.0),
        RawColumn::Category {
            name: "outcome".to_owned(),
            values: outcome.collect(),
        },
    ];
    PartyRows {
        train: columns.clone(),
        hold_out: columns,
    }
}

/// A job that stands before its first round, and what every party contributes to it.
pub(crate) struct Course {
    pub(crate) plan: Plan,
    pub(crate) training: Training,
    pub(crate) next: Next,
    pub(crate) vectors: Vec<Vec<i64>>,
}

impl Course {
    pub(crate) fn at_first_round(plan: Plan, equal: bool) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut workers: Vec<Worker> = (0..PARTIES)
            .map(|party| Worker::new(rows(if equal { 0 } else { party })))
            .collect();
        let mut training = Training::new(&plan, None);
        loop {
            let next = training.next(&plan, &mut rng).unwrap().unwrap();
            let exchange = plan.exchange(next.kind, training.public()).unwrap();
            let contributions = (0_u64..).zip(&mut workers).map(|(party, worker)| {
                let work = Work {
                    place: Place {
                        job: [0; 32],
                        epoch: 1,
                        round: next.number,
                        attempt: 1,
                    },
                    exchange: exchange.clone(),
                    training_round: next.training_round,
                    public: training.public().clone(),
                    parameters: training.parameters().to_vec(),
                    slot_key: Some(Seed::from_bytes([5; 32])),
                };
                // Batches hold all rows, so that only the noise depends on the generator.
                let mut own = ChaCha20Rng::seed_from_u64(party);
                worker.contribute(&plan, &work, &mut own).unwrap()
            });
            let vectors: Vec<Vec<i64>> = contributions.collect();
            let course = Self {
                plan: plan.clone(),
                training,
                next,
                vectors,
            };
            if course.next.kind == Kind::Training {
                return course;
            }
            let sum = course.sum(&course.vectors);
            training = course.training;
            training
                .absorb(&plan, &course.next, &sum, usize::from(PARTIES))
                .unwrap();
        }
    }

    /// The sum in the ring of the exchange, or those of all groups one after the other, as the coordinator reads them.
    pub(crate) fn sum(&self, vectors: &[Vec<i64>]) -> Vec<i64> {
        let exchange = self
            .plan
            .exchange(self.next.kind, self.training.public())
            .unwrap();
        let groups = exchange.grouping.as_ref();
        let count = groups.map_or(1, |groups| usize::from(groups.groups()));
        let mut sum = vec![0_i64; exchange.len * count];
        for (party, vector) in (0..).map(PartyIndex::new).zip(vectors) {
            assert_eq!(vector.len(), exchange.len);
            let group = groups.map_or(0, |groups| usize::from(groups.of(party).unwrap()));
            sum.iter_mut()
                .skip(group * exchange.len)
                .zip(vector)
                .for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
        }
        RingVec::from_wrapping(exchange.modulus, &sum).to_signed()
    }
}

/// One course for all cases of a property.
pub(crate) fn shared(combine: &'static str) -> &'static Course {
    static COURSES: [OnceLock<Course>; 2] = [OnceLock::new(), OnceLock::new()];
    let at = usize::from(combine.contains("median"));
    COURSES[at].get_or_init(|| Course::at_first_round(plan(combine), false))
}
