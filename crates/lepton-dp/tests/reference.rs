//! Against dp-accounting 0.6.0 and the packages it was cross-checked with (tests/vectors/dp_accounting.json).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use lepton_dp::{
    Accountant, Delta, DpError, Epsilon, Event, NoiseMultiplier, Orders, SamplingRate, calibrate,
};
use serde_json::Value;

fn cases(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors/dp_accounting.json")).unwrap();
    let picked: Vec<Value> = all["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["kind"] == kind)
        .cloned()
        .collect();
    assert!(!picked.is_empty());
    picked
}

fn number(case: &Value, pointer: &str) -> Option<f64> {
    case.pointer(pointer).and_then(Value::as_f64)
}

fn event(case: &Value, noise_multiplier: NoiseMultiplier) -> Event {
    number(case, "/params/q").map_or(Event::Gaussian { noise_multiplier }, |q| {
        Event::SampledGaussian {
            sampling_rate: SamplingRate::new(q).unwrap(),
            noise_multiplier,
        }
    })
}

fn charged(case: &Value) -> Result<Accountant, DpError> {
    let mut accountant = Accountant::new();
    if case["id"] == "het_many_sigmas" {
        for z in 5..=24 {
            accountant.add(
                &Event::Gaussian {
                    noise_multiplier: NoiseMultiplier::new(f64::from(z))?,
                },
                1,
            )?;
        }
        return Ok(accountant);
    }
    let z = NoiseMultiplier::new(number(case, "/params/sigma").unwrap())?;
    accountant.add(&event(case, z), case["params"]["steps"].as_u64().unwrap())?;
    Ok(accountant)
}

fn is_ours(order: f64) -> bool {
    Orders::ALL.iter().any(|&ours| f64::from(ours) == order)
}

/// The tightest lower bound the reference gives on the true epsilon.
fn true_epsilon(case: &Value) -> f64 {
    let exact = [
        "/results/analytic_gaussian_mpmath50/epsilon",
        "/results/prv_accountant/eps_lower",
        "/results/optimistic_privacy_buckets_dx1e-05/epsilon",
    ];
    let tight_upper = [
        "/results/pld_pessimistic/epsilon",
        "/results/pessimistic_connect_dots_dx1e-05/epsilon",
    ];
    exact
        .iter()
        .chain(&tight_upper)
        .filter_map(|pointer| number(case, pointer))
        .fold(0.0, f64::max)
}

/// AC-10: never below the true epsilon, equal to the reference's Rényi accountant where its best order is one of ours,
/// at most 5 % above where its best order is a fraction.
#[test]
fn epsilons() {
    let mut equal = 0;
    for case in ["epsilon", "epsilon_bracket", "epsilon_grid"]
        .into_iter()
        .flat_map(cases)
    {
        let delta = Delta::new(number(&case, "/delta").unwrap()).unwrap();
        let ours = charged(&case).unwrap().epsilon(delta).unwrap().0.get();
        assert!(ours >= true_epsilon(&case), "{} {ours}", case["id"]);
        let Some(theirs) = number(&case, "/results/rdp/epsilon") else {
            continue;
        };
        if is_ours(number(&case, "/results/rdp/optimal_order").unwrap()) {
            assert!(
                ours <= theirs * (1.0 + 1e-9),
                "{} {ours} {theirs}",
                case["id"]
            );
            equal += 1;
        }
        assert!(ours <= theirs * 1.05, "{} {ours} {theirs}", case["id"]);
    }
    assert!(equal >= 5);
}

/// AC-08: every integer order of the reference's curves, to 1e-9.
#[test]
fn divergences_at_integer_orders() {
    for case in cases("rdp_curve") {
        let event = event(
            &case,
            NoiseMultiplier::new(number(&case, "/params/sigma").unwrap()).unwrap(),
        );
        for (order, theirs) in case["results"]["mpmath50_integer_orders"]
            .as_object()
            .unwrap()
        {
            let theirs: f64 = theirs
                .as_str()
                .map_or_else(|| theirs.as_f64().unwrap(), |text| text.parse().unwrap());
            let ours = event.rdp(order.parse().unwrap());
            assert!(
                ours >= theirs && ours <= theirs * (1.0 + 1e-9),
                "order {order}: {ours} {theirs}"
            );
        }
        for (order, theirs) in case["results"]["dp_accounting"].as_object().unwrap() {
            let order: f64 = order.parse().unwrap();
            if is_ours(order) {
                let (ours, theirs) = (event.rdp(order as u32), theirs.as_f64().unwrap());
                assert!(
                    (ours / theirs - 1.0).abs() < 1e-9,
                    "order {order}: {ours} {theirs}"
                );
            }
        }
    }
}

/// The delta shown at an epsilon is never below the true one.
#[test]
fn deltas() {
    for case in cases("delta") {
        let mut accountant = Accountant::new();
        let z = NoiseMultiplier::new(number(&case, "/params/sigma").unwrap()).unwrap();
        accountant
            .add(
                &Event::Gaussian {
                    noise_multiplier: z,
                },
                1,
            )
            .unwrap();
        let epsilon = Epsilon::new(number(&case, "/params/epsilon").unwrap()).unwrap();
        assert!(
            accountant.delta(epsilon).unwrap().get()
                >= number(&case, "/results/mpmath50/delta").unwrap()
        );
    }
}

/// Calibrated noise is never below what is truly needed, and at most 1 % above what the reference's Rényi accountant
/// (fractional orders, so slightly better) finds.
#[test]
fn calibrations() {
    for case in cases("calibration") {
        let delta = Delta::new(number(&case, "/delta").unwrap()).unwrap();
        let target = Epsilon::new(number(&case, "/params/target_epsilon").unwrap()).unwrap();
        let steps = case["params"]["steps"].as_u64().unwrap();
        let ours = calibrate(target, delta, |z| {
            let mut accountant = Accountant::new();
            accountant.add(&event(&case, z), steps)?;
            Ok(accountant)
        });
        let ours = ours.unwrap().get();
        let least = number(&case, "/results/mpmath50/sigma")
            .or_else(|| number(&case, "/results/pld_pessimistic/sigma"))
            .unwrap();
        assert!(ours >= least, "{} {ours}", case["id"]);
        if let Some(theirs) = number(&case, "/results/rdp/sigma") {
            assert!(
                ours >= theirs * (1.0 - 2e-6) && ours <= theirs * 1.01,
                "{} {ours} {theirs}",
                case["id"]
            );
        }
    }
}

/// Twin: an accountant that forgets to charge a third of the steps is seen by the bounds above.
#[test]
fn undercharging_is_seen() {
    let case = cases("epsilon")
        .into_iter()
        .find(|case| case["id"] == "dpsgd_q0.01_s1.0_T1000_d1e-05")
        .unwrap();
    let mut accountant = Accountant::new();
    accountant
        .add(&event(&case, NoiseMultiplier::new(1.0).unwrap()), 666)
        .unwrap();
    assert!(
        accountant
            .epsilon(Delta::new(1e-5).unwrap())
            .unwrap()
            .0
            .get()
            < true_epsilon(&case)
    );
}
