//! The best of a random number of trials against direct integration and dp-accounting 0.6.0 (tests/vectors/make_tuning.py; AC-28).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use lepton_dp::compose::{Charge, Noise, Plan};
use lepton_dp::rdp::{Renyi, Trials};
use lepton_dp::{Delta, SamplingRate};
use serde_json::Value;

fn vectors(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors/tuning.json")).unwrap();
    all[name].as_array().unwrap().clone()
}

fn trials(case: &Value) -> Trials {
    let mean = case["mean"].as_f64().unwrap();
    match case["shape"].as_f64() {
        Some(shape) => Trials::negative_binomial(shape, mean).unwrap(),
        None => Trials::poisson(mean).unwrap(),
    }
}

fn of(noise: Noise, rate: f64, count: u64) -> Renyi {
    let charge = Charge::new(noise, SamplingRate::new(rate).unwrap(), count).unwrap();
    let charges = vec![charge];
    Renyi::new(&Plan {
        charges,
        ..Plan::default()
    })
    .unwrap()
}

fn at(curve: &Renyi, order: f64) -> f64 {
    curve.rdp().find(|(same, _)| *same == order).unwrap().1
}

/// Never below the divergence of the largest of K noisy numbers. Twin: what one trial costs is, and so is the published formula without the chance of no trial.
#[test]
fn bounds_hold_for_the_largest_noisy_number() {
    let mut single_is_too_little = 0;
    let mut published_is_too_little = 0;
    for case in vectors("exact") {
        let number = |name: &str| case[name].as_f64().unwrap();
        let truth: f64 = case["rdp"].as_str().unwrap().parse().unwrap();
        let one = of(
            Noise::Gaussian {
                sigma: number("sigma"),
            },
            1.0,
            1,
        );
        let (order, mean) = (number("order"), number("mean"));
        let found = at(&one.best_of(&trials(&case)), order);
        assert!(found >= truth && found.is_finite(), "{case} {found}");
        single_is_too_little += u32::from(at(&one, order) < truth);
        if case["shape"] == "poisson" {
            let delta = one
                .delta((1.0 / (order - 1.0)).ln_1p())
                .map_or(1.0, |found| found.0.get());
            let published = at(&one, order) + mean * delta + mean.ln() / (order - 1.0);
            published_is_too_little += u32::from(published < truth);
        }
    }
    assert!(single_is_too_little > 10 && published_is_too_little > 0);
}

/// For DP-SGD: not above the peer's by more than the chance of no trial costs, and near it (our orders are a superset of theirs).
#[test]
fn near_the_peer() {
    let run = of(Noise::Gaussian { sigma: 1.0 }, 0.01, 1000);
    let delta = Delta::new(1e-5).unwrap();
    for case in vectors("peer") {
        let theirs = case["epsilon"].as_f64().unwrap();
        let ours = run.best_of(&trials(&case)).epsilon(delta).unwrap().0.get();
        assert!(
            ours <= theirs * (1.0 + 1e-5) && ours > 0.98 * theirs,
            "{case} {ours}"
        );
    }
}

/// Corollary of pure privacy: epsilon becomes at most (2 + eta) epsilon, in the limit of large orders.
#[test]
fn pure_losses_grow_by_two_and_eta() {
    let one = of(Noise::Laplace { scale: 2.0 }, 1.0, 1);
    for (shape, mean) in [(0.0, 10.0), (1.0, 30.0), (-0.5, 4.0)] {
        let best = one.best_of(&Trials::negative_binomial(shape, mean).unwrap());
        let found = at(&best, 1_048_576.0);
        let limit = (2.0 + shape) * 0.5;
        assert!(
            found > 0.99 * limit && found < limit + 1e-3,
            "{shape} {found}"
        );
    }
}

/// More trials cost more; one trial in the mean costs least; a trial that costs nothing costs nothing but the number's own.
#[test]
fn numbers_of_trials() {
    let run = of(Noise::Gaussian { sigma: 2.0 }, 0.1, 50);
    let delta = Delta::new(1e-6).unwrap();
    let cost = |trials: Trials| run.best_of(&trials).epsilon(delta).unwrap().0.get();
    let geometric = |mean| cost(Trials::geometric(mean).unwrap());
    assert!(geometric(1.001) >= run.epsilon(delta).unwrap().0.get());
    assert!(geometric(2.0) < geometric(20.0) && geometric(20.0) < geometric(2000.0));
    assert!(cost(Trials::logarithmic(20.0).unwrap()) < geometric(20.0));
    let twice = run.best_of(&Trials::geometric(5.0).unwrap()).compose(&run);
    assert!(twice.epsilon(delta).unwrap().0.get() > geometric(5.0));
    assert_eq!(Trials::poisson(3.0).unwrap().mean(), 3.0);
    for bad in [0.5, 1.0, f64::NAN, 2e9, f64::INFINITY] {
        assert!(Trials::geometric(bad).is_err(), "{bad}");
    }
    assert!(Trials::poisson(0.0).is_err() && Trials::poisson(f64::NAN).is_err());
    assert!(Trials::negative_binomial(-1.0, 5.0).is_err());
    assert!(Trials::negative_binomial(f64::NAN, 5.0).is_err());
}
