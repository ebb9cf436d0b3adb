//! From the job to the parameters, by plain arithmetic: what bad updates do, what is charged, what fits the ring.

use chacha20::ChaCha20Rng;
use lepton_dp::rdp::Event;
use lepton_protocol::exchange::Kind;
use lepton_protocol::job::Job;
use lepton_protocol::plan::{MAX_ROWS, Plan};
use lepton_ring::RingVec;
use lepton_secagg::Topology;
use proptest::prelude::*;
use rand_core::{Rng, SeedableRng};

use crate::kit::{self, Course, PARTIES, plan, plan_of, try_plan};

const TRIMMED: &str = "combine = \"trimmed_mean\"\ngroups = 4\n";
const MEDIAN: &str = "combine = \"median\"\ngroups = 4\n";
/// Parameters are stored as 32-bit numbers, updates with 16 fraction bits.
const ROUNDING: f64 = 1e-4;

/// What a training round changes the parameters by when `spoil` may replace the vector of a party.
fn change(course: &Course, spoil: impl Fn(u16, &mut [i64])) -> Vec<f64> {
    let mut vectors = course.vectors.clone();
    for (party, vector) in (0..).zip(&mut vectors) {
        spoil(party, vector);
    }
    let sum = course.sum(&vectors);
    let mut training = course.training.clone();
    let before = training.parameters().to_vec();
    training
        .absorb(&course.plan, &course.next, &sum, usize::from(PARTIES))
        .unwrap();
    training
        .parameters()
        .iter()
        .zip(before)
        .map(|(new, old)| new - old)
        .collect()
}

/// Means of the groups that hold none of `bad`, from the honest vectors.
fn good_means(course: &Course, bad: &[u16]) -> Vec<Vec<f64>> {
    let groups = course.plan.groups().unwrap();
    let sum = course.sum(&course.vectors);
    let part = sum.len() / groups.count();
    let spoiled: Vec<usize> = bad
        .iter()
        .map(|party| usize::from(groups.of(*party).unwrap()))
        .collect();
    let good = sum
        .chunks(part)
        .enumerate()
        .filter(|(group, _)| !spoiled.contains(group));
    good.map(|(_, sum)| {
        sum[1..]
            .iter()
            .map(|x| *x as f64 / 65_536.0 / sum[0] as f64)
            .collect()
    })
    .collect()
}

fn assert_within(change: &[f64], means: &[Vec<f64>]) {
    for (at, value) in change.iter().enumerate() {
        let low = means
            .iter()
            .map(|mean| mean[at])
            .fold(f64::INFINITY, f64::min);
        let high = means
            .iter()
            .map(|mean| mean[at])
            .fold(f64::NEG_INFINITY, f64::max);
        assert!(
            (low - ROUNDING..=high + ROUNDING).contains(value),
            "{value} not in {low}..{high}"
        );
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// Every party has the same rows: all groups say the same, and robust combination is the plain mean.
#[test]
fn ft_19_equal_parties_give_the_plain_mean() {
    let mean = change(&Course::at_first_round(plan(""), true), |_, _| {});
    for combine in [TRIMMED, MEDIAN] {
        let robust = change(&Course::at_first_round(plan(combine), true), |_, _| {});
        assert!(distance(&mean, &robust) < ROUNDING, "{mean:?} {robust:?}");
        assert!(
            distance(&mean, &vec![0.0; mean.len()]) > 0.01,
            "there is something to compare"
        );
    }
}

/// FT-17: a party's vector is as long as its group's sum, whatever the number of groups; only training is summed by group.
#[test]
fn ft_17_a_vector_is_one_groups() {
    let local = "[privacy]\nepsilon = 8\nclip = 1.0\nnoise = \"local\"\n";
    // With local noise a party in a group counts itself.
    for (combine, privacy, extra) in [
        (TRIMMED, "", 0),
        (MEDIAN, "[privacy]\nepsilon = 8\nclip = 1.0\n", 0),
        (MEDIAN, local, 1),
    ] {
        let course = Course::at_first_round(plan_of(combine, privacy), false);
        let plain = Course::at_first_round(plan_of("", privacy), false);
        let exchange = |course: &Course, kind| {
            course
                .plan
                .exchange(kind, course.training.public())
                .unwrap()
        };
        let training = exchange(&course, Kind::Training);
        assert_eq!(
            training.len,
            exchange(&plain, Kind::Training).len + extra,
            "{privacy}"
        );
        assert!(
            course
                .vectors
                .iter()
                .all(|vector| vector.len() == training.len)
        );
        let grouping = training.grouping.unwrap();
        assert_eq!((grouping.groups(), grouping.floor()), (4, 3));
        for kind in [Kind::Statistics, Kind::Evaluation, Kind::FinalEvaluation] {
            assert!(exchange(&course, kind).grouping.is_none());
        }
        assert!(exchange(&plain, Kind::Training).grouping.is_none());
    }
}

/// The corrupted twin of all that follows: one party with a huge or turned update ruins the plain mean.
#[test]
fn ft_19_one_bad_party_ruins_the_plain_mean() {
    let course = Course::at_first_round(plan(""), false);
    let honest = change(&course, |_, _| {});
    let huge = change(&course, |party, own| {
        if party == 5 {
            own[1..].fill(1 << 40)
        }
    });
    assert!(distance(&honest, &huge) > 1e4);
    let turned = change(&course, |party, own| {
        if party == 5 {
            own[1..].iter_mut().for_each(|entry| *entry *= -100);
        }
    });
    assert!(distance(&honest, &turned) > 5.0 * distance(&honest, &vec![0.0; honest.len()]));
}

/// FT-17: members of a group need not be neighbours on a sparse graph. It is not chosen for a job that combines over groups, and refused where it is asked for.
#[test]
fn ft_17_groups_need_the_complete_graph() {
    let planned = |sections: &str, parties| {
        let text = kit::job_text(MEDIAN, sections);
        let job = Job::parse("toy", &text, &[]).unwrap();
        Plan::new(job, parties)
    };
    assert_eq!(
        planned("", 200).unwrap().parameters().topology(),
        Topology::Complete
    );
    let found = planned("[protection]\ngraph = \"sparse\"\n", 200).unwrap_err();
    assert_eq!(
        found.to_string(),
        "toy:16: sums by group need the complete graph, of at most 255 parties; write protection.graph = \"complete\", or combine = \"mean\""
    );
    let found = planned("", 400).unwrap_err().to_string();
    assert!(
        found.ends_with("255 parties; write combine = \"mean\""),
        "{found}"
    );
}

/// FT-18: a group whose floor would let colluders and the coordinator tell one party's update is refused, with the nearest choice.
#[test]
fn ft_18_too_many_groups_are_refused() {
    let refusal =
        |training: &str, protection: &str| try_plan(training, protection).unwrap_err().to_string();
    let found = refusal("combine = \"median\"\ngroups = 6\n", "");
    assert_eq!(
        found,
        "toy:16: training.groups = 6 deals 16 parties into groups of 2, and each needs 3, two more than protection.colluders = 1: from the sum of fewer they could tell a single party's update; write groups = 5 or less"
    );
    let found = refusal(
        "combine = \"median\"\ngroups = 3\n",
        "[protection]\ncolluders = 4\ndrops = 0\n",
    );
    assert!(
        found.ends_with("write groups = 3 and protection.colluders = 3, or combine = \"mean\""),
        "{found}"
    );
    assert!(
        try_plan(
            "combine = \"median\"\ngroups = 3\n",
            "[protection]\ncolluders = 3\ndrops = 0\n"
        )
        .is_ok()
    );
    let found = refusal("combine = \"trimmed_mean\"\ngroups = 999\n", "");
    assert!(found.contains("into groups of 0"), "{found}");
}

fn shares_of(event: &Event) -> f64 {
    event.noise_multiplier().get()
}

/// FT-20: the noise of a training sum is that of the smallest group allowed, less the colluders; that of other sums is as without groups.
#[test]
fn ft_20_a_group_is_charged_with_its_own_noise() {
    let goal = "[protection]\ncolluders = 1\ndrops = 1\n[privacy]\nepsilon = 8\nclip = 1.0\n";
    let grouped = Course::at_first_round(plan_of(MEDIAN, goal), false);
    let plain = Course::at_first_round(plan_of("", goal), false);
    let noise = |course: &Course, kind| {
        course
            .plan
            .exchange(kind, course.training.public())
            .unwrap()
            .noise
            .unwrap()
    };
    let (of_group, of_all) = (
        noise(&grouped, Kind::Training),
        noise(&plain, Kind::Training),
    );
    // 16 parties in 4 groups, one may drop, one colludes: 3 shares are certain, 2 of them unknown; without groups 15 and 14.
    let privacy = grouped.plan.privacy().unwrap();
    assert_eq!(
        (
            privacy.training_shares.floor,
            privacy.training_shares.honest
        ),
        (3, 2)
    );
    assert_eq!((privacy.shares.floor, privacy.shares.honest), (15, 14));
    let ratio = of_group.sigma as f64 / of_all.sigma as f64;
    assert!((ratio - 7.0_f64.sqrt()).abs() < 0.05, "{ratio}");
    // What is charged follows from that: sigma of two shares, never less than planned.
    let planned = privacy.training.get();
    assert!(shares_of(&of_group.event) >= planned * (1.0 - 1e-9));
    assert!(shares_of(&of_group.event) <= planned * 1.03);
    assert!(
        (shares_of(&of_group.public_event) / shares_of(&of_group.event) - 1.5_f64.sqrt()).abs()
            < 1e-6
    );
    for kind in [Kind::Statistics, Kind::FinalEvaluation] {
        assert_eq!(noise(&grouped, kind), noise(&plain, kind));
    }
    // With local noise every party's share is the whole, in groups or not.
    let local = format!("{goal}noise = \"local\"\n");
    let [a, b] =
        [MEDIAN, ""].map(|combine| Course::at_first_round(plan_of(combine, &local), false));
    assert_eq!(noise(&a, Kind::Training), noise(&b, Kind::Training));
}

/// FT-19: under distributed noise a group stands for its share of the rows: where all groups sum to the same, they say what one sum over all would.
#[test]
fn ft_19_a_group_under_distributed_noise_is_divided_by_its_share() {
    let goal = "[privacy]\nepsilon = 8\nclip = 1.0\n";
    let grouped = Course::at_first_round(plan_of(MEDIAN, goal), false);
    let plain = Course::at_first_round(plan_of("", goal), false);
    assert_eq!(grouped.training.public(), plain.training.public());
    let step = |course: &Course, sum: &[i64]| {
        let mut training = course.training.clone();
        training
            .absorb(&course.plan, &course.next, sum, usize::from(PARTIES))
            .unwrap();
        training.parameters().to_vec()
    };
    let of_all: Vec<i64> = (1..=plain.vectors[0].len() as i64)
        .map(|x| 4 * (x * 37 - 80))
        .collect();
    let of_one: Vec<i64> = of_all.iter().map(|x| x / 4).collect();
    let (together, apart) = (step(&plain, &of_all), step(&grouped, &of_one.repeat(4)));
    assert_ne!(together, plain.training.parameters());
    assert!(distance(&together, &apart) < 1e-6, "{together:?} {apart:?}");
}

/// FT-19, FT-20: with local noise a group's mean is over the survivors that counted themselves; a bad party is contained.
#[test]
fn ft_20_groups_under_local_noise_are_means_of_their_survivors() {
    let goal = "[privacy]\nepsilon = 50\nclip = 1.0\nnoise = \"local\"\n";
    let course = Course::at_first_round(plan_of(MEDIAN, goal), false);
    let honest = change(&course, |_, _| {});
    assert_within(&honest, &good_means(&course, &[]));
    let bad = change(&course, |party, own| {
        if party == 2 {
            own[1..].fill(64 << 16)
        }
    });
    assert_within(&bad, &good_means(&course, &[2]));
}

/// FT-21: a cut update is at most as long as the job says, and keeps its direction; what the encoding has room for follows.
#[test]
fn ft_21_updates_are_cut_before_they_are_weighted() {
    let free = Course::at_first_round(plan(""), false);
    let cut = Course::at_first_round(plan("clip_update = 0.05\n"), false);
    for (free, cut) in free.vectors.iter().zip(&cut.vectors) {
        assert_eq!(free[0], cut[0], "the weight is not an update");
        let update = |vector: &[i64]| -> Vec<f64> {
            vector[1..]
                .iter()
                .map(|x| *x as f64 / 65_536.0 / vector[0] as f64)
                .collect()
        };
        let (free, cut) = (update(free), update(cut));
        let zero = vec![0.0; cut.len()];
        let (long, short) = (distance(&free, &zero), distance(&cut, &zero));
        assert!(
            long > 0.06 && (short - 0.05).abs() < ROUNDING,
            "{long} {short}"
        );
        let scaled: Vec<f64> = free.iter().map(|x| x * 0.05 / long).collect();
        assert!(distance(&scaled, &cut) < ROUNDING);
    }
    let far = Course::at_first_round(plan("clip_update = 1000\n"), false);
    assert_eq!(far.vectors, free.vectors, "nothing to cut");
}

/// FT-21: under a goal records are clipped, not updates, and the job says that the key does nothing.
#[test]
fn ft_21_a_goal_clips_records_instead() {
    let plan = plan_of("clip_update = 0.05\n", "[privacy]\nepsilon = 8\n");
    assert_eq!(plan.clip_update(), None);
    let inactive = plan.job().inactive_keys();
    assert!(
        inactive
            .iter()
            .any(|(key, _)| *key == "training.clip_update"),
        "{inactive:?}"
    );
}

/// FT-21: the ring has room for every honest sum of the largest group, and for no more than it must: the range of a dishonest party.
#[test]
fn ft_21_the_ring_fits_the_largest_group() {
    for (extra, norm) in [
        ("", 64.0),
        ("clip_update = 0.5\n", 0.5),
        ("clip_update = 1e9\n", 64.0),
        ("clip_update = 1e-9\n", 1.0 / 65_536.0),
    ] {
        for (combine, meeting) in [
            ("", 16_u128),
            (MEDIAN, 4),
            ("combine = \"median\"\ngroups = 3\n", 6),
        ] {
            let course = Course::at_first_round(plan(&format!("{combine}{extra}")), false);
            let exchange = course
                .plan
                .exchange(Kind::Training, course.training.public())
                .unwrap();
            let bound = (1_u128 << 20) * (65_536.0 * norm) as u128;
            assert_eq!(MAX_ROWS, 1 << 20);
            let bits = (meeting * bound).ilog2() + 2;
            assert_eq!(
                u32::from(exchange.modulus.bits()),
                bits,
                "{extra} {combine}"
            );
            let most = i64::try_from(meeting * bound).unwrap();
            for value in [most, -most] {
                let ring = RingVec::from_wrapping(exchange.modulus, &[value]);
                assert_eq!(
                    ring.to_signed(),
                    [value],
                    "the largest honest sum does not wrap"
                );
            }
        }
    }
}

/// Notes that go into the report (FT-18, FT-20, FT-21).
#[test]
fn the_report_says_what_groups_mean() {
    let notes = |plan: Plan| {
        lepton_protocol::training::Training::new(&plan, None)
            .notes()
            .join("\n")
    };
    assert_eq!(notes(plan("")), "");
    let said = notes(plan(&format!("{TRIMMED}clip_update = 2\n")));
    assert!(said.contains("over 4 groups of parties: in every round the coordinator saw 4 sums, each over at least 3 parties (2 of them honest)"), "{said}");
    assert!(said.contains("up to 1 of the 4 groups"), "{said}");
    assert!(
        said.contains("a party reaches the sum of its own group only"),
        "{said}"
    );
    assert!(said.contains("cut their updates to norm 2"), "{said}");
    let said = notes(plan_of(MEDIAN, "[privacy]\nepsilon = 8\n"));
    assert!(
        said.contains("at least 2 honest shares are in it"),
        "{said}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// FT-19: one party's own entries may say anything that the ring holds, weight included: every number stays in the range of the other groups.
    #[test]
    fn ft_19_one_bad_party_stays_in_the_range_of_the_others(party in 0..PARTIES, median in any::<bool>(), seed in any::<u64>(), kind in 0..4) {
        let course = kit::shared(if median { MEDIAN } else { TRIMMED });
        let bits = course.plan.exchange(Kind::Training, course.training.public()).unwrap().modulus.bits();
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let noise: Vec<i64> = (0..512).map(|_| (random.next_u64() as i64) >> (64 - bits)).collect();
        let bad = change(course, |other, own| if other == party {
            match kind {
                0 => own.copy_from_slice(&noise[..own.len()]),
                1 => own.iter_mut().for_each(|entry| *entry *= -1),
                2 => own[1..].iter_mut().for_each(|entry| *entry *= -1_000),
                _ => own[0] = noise[0],
            }
        });
        assert_within(&bad, &good_means(course, &[party]));
    }
}

/// A threshold or a quorum that a sparse graph cannot keep is refused, not passed over.
#[test]
fn a_sparse_graph_takes_no_threshold_or_quorum_of_ones_own() {
    for key in ["threshold", "quorum"] {
        let sections = format!("[protection]\ngraph = \"sparse\"\n{key} = 120\n");
        let job = Job::parse("toy", &kit::job_text("", &sections), &[]).unwrap();
        let text = Plan::new(job, 200).unwrap_err().to_string();
        let key = format!("protection.{key} cannot be chosen");
        assert!(text.starts_with("toy:") && text.contains(&key), "{text}");
    }
}
