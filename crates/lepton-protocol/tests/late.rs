//! When a roster may grow, and what a job's course makes of it (docs/protocols/late-join.md).
#![expect(
    clippy::unwrap_used,
    reason = "a test that does not find what it needs has failed"
)]

use lepton_crypto::{IdentityKey, Seed};
use lepton_protocol::exchange::Kind;
use lepton_protocol::job::Job;
use lepton_protocol::late::{Unfit, may_grow, roster_digest};
use lepton_protocol::ledger::{planned, planned_cost};
use lepton_protocol::plan::Plan;
use lepton_protocol::public::{Moments, PublicState};

const GOAL: &str = "[privacy]\nepsilon = 3.0\n";

fn text(training: &str, sections: &str) -> String {
    format!(
        "[job]\nname = \"toy\"\n[data]\ntable = \"toy\"\nlabel = \"outcome\"\nfeatures = [\"age\"]\nclasses = [\"s\", \"w\"]\n\
         [data.types]\nage = \"number\"\noutcome = \"category\"\n[model]\nkind = \"logistic\"\n\
         [training]\nrounds = 9\nsampling_rate = 0.5\n{training}[prepare.bounds]\nage = [0, 100]\n{sections}"
    )
}

fn plan(parties: u16, training: &str, sections: &str) -> Plan {
    let text = text(training, sections);
    let job = Job::parse("toy", &text, &[]).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    Plan::new(job, parties).unwrap()
}

fn grow(from: u16, to: u16, training: &str, sections: &str) -> Result<(), Unfit> {
    let [before, after] = [from, to].map(|parties| plan(parties, training, sections));
    may_grow(&before, &after)
}

/// LJ-01, LJ-02: only where the job says so, only up to its limit, never shorter.
#[test]
fn a_roster_grows_up_to_the_limit_of_the_job() {
    let late = "late_join = 6\n";
    for (from, to) in [(3, 4), (3, 6), (5, 6)] {
        assert_eq!(grow(from, to, late, GOAL), Ok(()));
        assert_eq!(grow(from, to, "", GOAL), Err(Unfit::Fixed));
    }
    for (before, after) in [(3, 7), (6, 7), (7, 8), (4, 4), (5, 4)] {
        let unfit = Unfit::Number {
            before,
            after,
            most: 6,
        };
        assert_eq!(grow(before, after, late, GOAL), Err(unfit));
    }
}

/// LJ-03: what a job costs does not depend on how many parties there are, so that what was set aside for few covers many; and no sum of any of them is
/// charged for less noise than was planned.
#[test]
fn the_cost_is_the_same_for_every_roster() {
    for more in [
        "noise = \"distributed\"\n",
        "noise = \"local\"\n",
        "unit = \"party\"\n",
    ] {
        let sections = format!("{GOAL}{more}");
        let late = "late_join = 40\n";
        let first = plan(3, late, &sections);
        let cost = |plan: &Plan| planned_cost(&planned(plan).unwrap(), plan.unit()).unwrap();
        let mut shares = Vec::new();
        for parties in [4, 5, 8, 20, 40] {
            let later = plan(parties, late, &sections);
            assert_eq!(cost(&first), cost(&later), "{more} {parties}");
            assert_eq!(may_grow(&first, &later), Ok(()));
            let privacy = later.privacy().unwrap();
            let exchange = later.exchange(Kind::Training, &public()).unwrap();
            let noise = exchange.noise.unwrap();
            assert!(noise.event.noise_multiplier().get() >= privacy.training.get() * (1.0 - 1e-11));
            shares.push((noise.sigma, privacy.shares.honest));
        }
        // Shares of distributed noise get smaller, as honest ones get more; local noise is whole at every party.
        let local = more.contains("local");
        let pairs = shares.iter().zip(shares.iter().skip(1));
        for (few, many) in pairs {
            assert!(
                many.1 > few.1
                    && if local {
                        many.0 == few.0
                    } else {
                        many.0 < few.0
                    }
            );
        }
    }
}

fn public() -> PublicState {
    let moments = Moments {
        mean: 40.0,
        std: 20.0,
    };
    let mut public = PublicState {
        rows: 300.0,
        moments: Some([("age".to_owned(), moments)].into()),
        class_counts: vec![100.0, 200.0],
        ..PublicState::default()
    };
    public.derive(&plan(3, "", GOAL)).unwrap();
    public
}

/// LJ-03: a guarantee against more or fewer colluders is another one.
#[test]
fn colluders_stay_as_many() {
    let late = "late_join = 9\n";
    let open = grow(2, 4, late, GOAL);
    assert_eq!(
        open,
        Err(Unfit::Colluders {
            before: 0,
            after: 1
        })
    );
    let fixed = format!("{GOAL}[protection]\ncolluders = 0\n");
    assert_eq!(grow(2, 4, late, &fixed), Ok(()));
}

/// LJ-04: without a goal two honest newcomers at least, whoever colludes.
#[test]
fn nobody_joins_exact_sums_alone() {
    let late = "late_join = 12\n";
    for colluders in [0, 1, 2] {
        let sections = format!("[protection]\ncolluders = {colluders}\n");
        let least = colluders + 2;
        for come in 1..=4 {
            let grown = grow(6, 6 + come, late, &sections);
            let alone = Err(Unfit::Alone { come, least });
            assert_eq!(grown, if come >= least { Ok(()) } else { alone });
        }
    }
}

/// LJ-01: what does not go with a roster that grows is said with its place.
#[test]
fn groups_and_sparse_graphs_keep_their_roster() {
    for (training, sections, words) in [
        (
            "late_join = 20\ncombine = \"median\"\ngroups = 3\n",
            "",
            "training.late_join contradicts training.combine = \"median\" (line 17)",
        ),
        (
            "late_join = 20\n",
            "[protection]\ngraph = \"sparse\"\n",
            "training.late_join contradicts protection.graph = \"sparse\"",
        ),
        ("late_join = 129\n", "", "training.late_join"),
        ("late_join = 2\n", "", "training.late_join"),
    ] {
        let errors = Job::parse("toy", &text(training, sections), &[]).unwrap_err();
        assert!(errors.to_string().contains(words), "{errors}");
    }
    // It is part of the text that everybody signs for.
    let job = Job::parse("toy", &text("late_join = 20\n", ""), &[]).unwrap();
    assert!(job.to_toml().contains("late_join = 20\n"));
    let without = Job::parse("toy", &text("", ""), &[]).unwrap();
    assert!(!without.to_toml().contains("late_join"));
}

/// LJ-07: order counts, and so does every key.
#[test]
fn a_roster_has_a_digest() {
    let key = |seed: u8| IdentityKey::from_seed(Seed::from_bytes([seed; 32])).public();
    let rosters = [vec![key(1), key(2)], vec![key(2), key(1)], vec![key(1)]];
    let digests = rosters.each_ref().map(|roster| roster_digest(roster));
    assert!(digests[0] != digests[1] && digests[0] != digests[2] && digests[1] != digests[2]);
}
