//! The stand-alone Rényi accountant against dp-accounting 0.6.0 (tests/vectors/accountants.json; AC-21, AC-22).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use lepton_dp::compose::{Charge, Method, Noise, Plan, smallest_factor};
use lepton_dp::rdp::Renyi;
use lepton_dp::{Delta, Epsilon, SamplingRate};
use serde_json::Value;

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors/accountants.json")).unwrap();
    all["cases"].as_array().unwrap().clone()
}

fn charge(noise: Noise, rate: f64, count: u64) -> Charge {
    Charge::new(noise, SamplingRate::new(rate).unwrap(), count).unwrap()
}

fn plan(case: &Value) -> Option<Plan> {
    if case["neighbouring_relation"] != "add_or_remove_one" {
        return None;
    }
    let read = |event: &Value| -> Option<Charge> {
        let number = |names: &[&str]| names.iter().find_map(|name| event[*name].as_f64());
        let noise = match event["mechanism"].as_str()? {
            "gaussian" | "poisson_subsampled_gaussian" => Noise::Gaussian {
                sigma: number(&["sigma"])?,
            },
            "laplace" => Noise::Laplace {
                scale: number(&["scale", "noise_multiplier"])?,
            },
            _ => return None,
        };
        let count = event["count"]
            .as_u64()
            .or(event["steps"].as_u64())
            .unwrap_or(1);
        Some(charge(
            noise,
            number(&["poisson", "q"]).unwrap_or(1.0),
            count,
        ))
    };
    let charges = match case["params"]["events"].as_array() {
        Some(events) => events.iter().map(read).collect::<Option<_>>()?,
        None => {
            let mut event = case["params"].clone();
            event["mechanism"] = case["mechanism"].clone();
            vec![read(&event)?]
        }
    };
    Some(Plan {
        charges,
        ..Plan::default()
    })
}

/// Never above the reference by more than 1e-9, never below the truth (the reference's tighter accountants).
#[test]
fn epsilons() {
    let mut seen = 0;
    for case in cases() {
        let number = |at: &str| case.pointer(at).and_then(Value::as_f64);
        let (Some(plan), Some(theirs), Some(delta)) = (
            plan(&case),
            number("/results/rdp/epsilon"),
            number("/delta"),
        ) else {
            continue;
        };
        let ours = Renyi::new(&plan)
            .unwrap()
            .epsilon(Delta::new(delta).unwrap())
            .unwrap();
        assert!(
            ours.0.get() <= theirs + 1e-9,
            "{} {ours:?} {theirs}",
            case["id"]
        );
        let least = number("/results/analytic_gaussian_mpmath50/epsilon")
            .or(number("/results/pld_pessimistic/epsilon"));
        assert!(
            ours.0.get() >= least.unwrap_or(0.0) * (1.0 - 1e-3),
            "{} {ours:?}",
            case["id"]
        );
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

/// Divergences at every order of the reference's curves: at most theirs, and equal at whole orders.
#[test]
fn curves() {
    for case in cases().iter().filter(|case| case["kind"] == "rdp_curve") {
        let plan = plan(case).unwrap();
        for (order, theirs) in case["results"]["dp_accounting"].as_object().unwrap() {
            let Some(theirs) = theirs.as_f64() else {
                continue;
            };
            let curve = Renyi::with_orders(&plan, vec![order.parse().unwrap()]).unwrap();
            let (_, ours) = curve.rdp().next().unwrap();
            assert!(
                ours <= theirs * (1.0 + 1e-9),
                "{} {order}: {ours} {theirs}",
                case["id"]
            );
            // Their series adds absolute values at fractional orders: far above the truth close to 1.
            let whole = order.ends_with(".0");
            assert!(
                !whole || ours >= theirs * (1.0 - 1e-9),
                "{} {order}: {ours} {theirs}",
                case["id"]
            );
        }
    }
}

/// AC-27: the least sigma by both accountants, against the reference's searches (to their tolerance of 1e-6).
#[test]
fn calibrations() {
    for case in cases().iter().filter(|case| case["kind"] == "calibration") {
        let number = |at: &str| case.pointer(at).and_then(Value::as_f64);
        let laplace = case["mechanism"] == "laplace";
        let noise = if laplace {
            Noise::Laplace { scale: 1.0 }
        } else {
            Noise::Gaussian { sigma: 1.0 }
        };
        let charges = vec![charge(
            noise,
            number("/params/q").unwrap_or(1.0),
            case["params"]["steps"].as_u64().unwrap(),
        )];
        let plan = Plan {
            charges,
            ..Plan::default()
        };
        let (target, delta) = (
            Epsilon::new(number("/params/target_epsilon").unwrap()).unwrap(),
            Delta::new(number("/delta").unwrap()).unwrap(),
        );
        let find = |method| smallest_factor(&plan, method, target, delta).unwrap();
        if let Some(theirs) = number("/results/mpmath50/sigma") {
            let ours = find(Method::Pld);
            assert!(
                ours >= theirs && ours <= theirs * (1.0 + 2e-6),
                "{} {ours} {theirs}",
                case["id"]
            );
        }
        if let Some(theirs) =
            number("/results/pld_pessimistic/sigma").or(number("/results/pld/scale"))
        {
            let ours = find(Method::Pld);
            assert!(
                (ours / theirs - 1.0).abs() < 2e-4,
                "{} {ours} {theirs}",
                case["id"]
            );
        }
        if let Some(theirs) = number("/results/rdp/sigma") {
            let ours = find(Method::Rdp);
            assert!(
                ours <= theirs * (1.0 + 3e-6) && ours >= theirs * 0.999,
                "{} {ours} {theirs}",
                case["id"]
            );
        }
    }
}

/// AC-22: a sampled Laplace mechanism's divergences bound what privacy loss distributions find, and not by much.
#[test]
fn sampled_laplace_bounds_the_loss() {
    let plan = Plan {
        charges: vec![charge(Noise::Laplace { scale: 2.0 }, 0.1, 100)],
        ..Plan::default()
    };
    let found = Renyi::new(&plan)
        .unwrap()
        .epsilon(Delta::new(1e-5).unwrap())
        .unwrap()
        .0
        .get();
    assert!((1.892..2.2).contains(&found), "{found}");
}

/// Twin: a divergence that leaves out one order in the integrand (order - 1 for order) is below the reference's.
#[test]
fn a_wrong_order_is_seen() {
    let plan = Plan {
        charges: vec![charge(Noise::Gaussian { sigma: 1.0 }, 0.01, 1)],
        ..Plan::default()
    };
    let at = |order| {
        Renyi::with_orders(&plan, vec![order])
            .unwrap()
            .rdp()
            .next()
            .unwrap()
            .1
    };
    assert!(at(6.8) < 0.95 * at(7.8));
}
