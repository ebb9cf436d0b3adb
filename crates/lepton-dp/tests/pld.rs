//! Privacy loss distributions against dp-accounting 0.6.0, mpmath and closed forms (tests/vectors/accountants.json; AC-16 to AC-20).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use lepton_dp::Adjacency;
use lepton_dp::compose::{Charge, Noise, Plan};
use lepton_dp::pld::{Pld, Rounding};
use lepton_dp::rdp::Renyi;
use lepton_dp::{Delta, SamplingRate};
use serde_json::Value;

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors/accountants.json")).unwrap();
    all["cases"].as_array().unwrap().clone()
}

fn number(case: &Value, pointer: &str) -> Option<f64> {
    case.pointer(pointer).and_then(Value::as_f64)
}

fn charge(noise: Noise, rate: f64, count: u64) -> Charge {
    Charge::new(noise, SamplingRate::new(rate).unwrap(), count).unwrap()
}

fn composed_charge(event: &Value) -> Charge {
    let noise = match event["mechanism"].as_str().unwrap() {
        "gaussian" => Noise::Gaussian {
            sigma: event["sigma"].as_f64().unwrap(),
        },
        "laplace" => Noise::Laplace {
            scale: event["scale"].as_f64().unwrap(),
        },
        other => panic!("{other}"),
    };
    let rate = event["poisson"].as_f64().unwrap_or(1.0);
    charge(noise, rate, event["count"].as_u64().unwrap())
}

/// The case as a plan; nothing where it is about something else.
fn plan(case: &Value) -> Option<Plan> {
    let param = |name: &str| case["params"][name].as_f64();
    let noise = match case["mechanism"].as_str().unwrap() {
        "gaussian" | "poisson_subsampled_gaussian" => Noise::Gaussian {
            sigma: param("sigma")?,
        },
        "laplace" | "poisson_subsampled_laplace" => Noise::Laplace {
            scale: param("noise_multiplier")?,
        },
        "discrete_laplace" => Noise::DiscreteLaplace {
            scale: param("scale")?,
            sensitivity: 1,
        },
        "composed" => {
            let events = case["params"]["events"].as_array().unwrap();
            let charges = events.iter().map(composed_charge).collect();
            return Some(Plan {
                adjacency: Adjacency::AddRemove,
                charges,
                tuned: Vec::new(),
            });
        }
        _ => return None,
    };
    let adjacency = match case["neighbouring_relation"].as_str().unwrap() {
        "replace_one" => Adjacency::ReplaceOne,
        _ => Adjacency::AddRemove,
    };
    let count = case["params"]["steps"].as_u64().unwrap_or(1);
    let charges = vec![charge(noise, param("q").unwrap_or(1.0), count)];
    Some(Plan {
        adjacency,
        charges,
        tuned: Vec::new(),
    })
}

/// The best upper value of the reference and the best known lower bound of the truth.
fn bracket(case: &Value) -> Option<(f64, f64)> {
    let upper = [
        "/results/pld_pessimistic/epsilon",
        "/results/pessimistic_connect_dots_dx1e-05/epsilon",
        "/results/pessimistic_connect_dots_dx1e-06/epsilon",
    ];
    let lower = [
        "/results/analytic_gaussian_mpmath50/epsilon",
        "/results/analytic_gaussian_mpmath50_sensitivity_2/epsilon",
        "/results/optimistic_privacy_buckets_dx1e-05/epsilon",
        "/results/prv_accountant/eps_lower",
    ];
    let found =
        |list: &[&str]| -> Vec<f64> { list.iter().filter_map(|at| number(case, at)).collect() };
    let upper = found(&upper).into_iter().reduce(f64::min)?;
    Some((found(&lower).into_iter().fold(0.0, f64::max), upper))
}

/// AC-19: at most 2e-4 above the reference, never below the truth.
#[test]
fn epsilons() {
    let mut seen = 0;
    for case in cases() {
        let (Some(plan), Some((lower, upper))) = (plan(&case), bracket(&case)) else {
            continue;
        };
        let delta = Delta::new(number(&case, "/delta").unwrap()).unwrap();
        let ours = Pld::new(&plan).unwrap().epsilon(delta).unwrap().get();
        assert!(
            ours <= upper * (1.0 + 2e-4),
            "{} {ours} {upper}",
            case["id"]
        );
        assert!(ours >= lower, "{} {ours} {lower}", case["id"]);
        if plan.charges.iter().map(Charge::count).sum::<u64>() <= 10_000 {
            // A finer grid than is needed, most of whose cells are merged.
            let forced = Pld::new(&plan).unwrap().with_interval(1e-4);
            let forced = forced.epsilon(delta).unwrap().get();
            assert!(
                forced >= lower && forced <= upper * (1.0 + 1e-3),
                "{} {forced} {lower} {upper}",
                case["id"]
            );
        }
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/accountants_mpmath.json")).unwrap()
}

fn one(noise: Noise, rate: f64, count: u64) -> Plan {
    Plan {
        adjacency: Adjacency::AddRemove,
        charges: vec![charge(noise, rate, count)],
        tuned: Vec::new(),
    }
}

fn epsilon(plan: &Plan, delta: f64) -> f64 {
    let delta = Delta::new(delta).unwrap();
    Pld::new(plan).unwrap().epsilon(delta).unwrap().get()
}

/// AC-19, closed form: mpmath at 60 digits to 1e-12, sigma 0.3 to 1000, counts to 10^6, delta to 1e-30.
#[test]
fn gaussian_alone_is_exact() {
    for case in vectors()["gaussian"].as_array().unwrap() {
        let truth: f64 = case["epsilon"].as_str().unwrap().parse().unwrap();
        let noise = Noise::Gaussian {
            sigma: case["sigma"].as_f64().unwrap(),
        };
        let plan = one(noise, 1.0, case["count"].as_u64().unwrap());
        let ours = epsilon(&plan, case["delta"].as_f64().unwrap());
        assert!(
            ours >= truth * (1.0 - 1e-15) && ours <= truth * (1.0 + 2e-12),
            "{case} {ours} {:e}",
            ours / truth - 1.0
        );
    }
}

/// AC-18, AC-19: randomised response and discrete Laplace noise have two losses, so that their composition is binomial (mpmath at 60 digits).
#[test]
fn two_losses_are_binomial() {
    for case in vectors()["binomial"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let truth: f64 = case["epsilon"].as_str().unwrap().parse().unwrap();
        let count = case["count"].as_u64().unwrap();
        let noise = Noise::DiscreteLaplace {
            scale: 1.0 / number("loss"),
            sensitivity: 1,
        };
        let response = Noise::RandomisedResponse {
            probability: 2.0 / (number("loss").exp() + 1.0),
            categories: 2,
        };
        let mut replaced = one(response, 1.0, count);
        replaced.adjacency = Adjacency::ReplaceOne;
        for plan in [one(noise, 1.0, count), replaced] {
            let ours = epsilon(&plan, number("delta"));
            assert!(
                ours >= truth * (1.0 - 1e-13) && ours <= truth * (1.0 + 1e-4),
                "{case} {ours} {:e}",
                ours / truth - 1.0
            );
        }
    }
}

/// AC-19, the numerical path: a Gaussian mechanism beside one that adds next to nothing is at least, and nearly, the Gaussian alone. Twin: rounding losses down
/// is below it.
#[test]
fn transforms_are_never_below_the_closed_form() {
    for (sigma, delta) in [
        (0.5, 1e-5),
        (3.0, 1e-30),
        (40.0, 1e-6),
        (1.0, 0.1),
        (200.0, 1e-9),
    ] {
        let gaussian = one(Noise::Gaussian { sigma }, 1.0, 1);
        let truth = epsilon(&gaussian, delta);
        // sampled at a rate of one less a rounding: not taken for the closed form
        let near = one(Noise::Gaussian { sigma }, 1.0 - 1e-15, 1);
        let ours = epsilon(&near, delta);
        assert!(
            ours >= truth * (1.0 - 1e-13) && ours <= truth * (1.0 + 1e-4),
            "{sigma} {delta} {ours} {truth} {:e}",
            ours / truth - 1.0
        );
        let many = one(
            Noise::Gaussian {
                sigma: sigma * 10.0,
            },
            1.0 - 1e-15,
            100,
        );
        let ours = epsilon(&many, delta);
        assert!(
            ours >= truth * (1.0 - 1e-12) && ours <= truth * (1.0 + 1e-4),
            "100 x {sigma} {delta} {ours} {truth} {:e}",
            ours / truth - 1.0
        );
        let down = Pld::new(&many)
            .unwrap()
            .with_rounding(Rounding::InsecureDown);
        let below = down.epsilon(Delta::new(delta).unwrap()).unwrap().get();
        assert!(below < truth, "{below} {truth}");
        let up = Pld::new(&many).unwrap().with_rounding(Rounding::Up);
        let above = up.epsilon(Delta::new(delta).unwrap()).unwrap().get();
        assert!(above > ours, "{above} {ours}");
    }
}

/// Privacy buckets on one grid enclose connect-the-dots: sampled, both adjacencies, continuous and discrete.
#[test]
fn buckets_enclose() {
    let noises = [
        Noise::Gaussian { sigma: 1.5 },
        Noise::Laplace { scale: 3.0 },
        Noise::DiscreteGaussian {
            sigma: 4.0,
            sensitivity: 3,
        },
        Noise::DiscreteLaplace {
            scale: 6.0,
            sensitivity: 2,
        },
    ];
    let delta = Delta::new(1e-6).unwrap();
    for noise in noises {
        for adjacency in [Adjacency::AddRemove, Adjacency::ReplaceOne] {
            let plan = Plan {
                adjacency,
                ..one(noise, 0.1, 30)
            };
            let with = |rounding| {
                let pld = Pld::new(&plan)
                    .unwrap()
                    .with_interval(1e-3)
                    .with_rounding(rounding);
                pld.epsilon(delta).unwrap().get()
            };
            let (low, middle, high) = (
                with(Rounding::InsecureDown),
                with(Rounding::ConnectTheDots),
                with(Rounding::Up),
            );
            assert!(
                low <= middle && middle <= high && high - low < 0.07,
                "{noise:?} {adjacency:?} {low} {middle} {high}"
            );
            let planned = Pld::new(&plan).unwrap().epsilon(delta).unwrap().get();
            assert!(
                (planned / middle - 1.0).abs() < 2e-3,
                "{noise:?} {planned} {middle}"
            );
        }
    }
}

/// Far corners: answers exist, epsilon and delta fit together, more noise costs less.
#[test]
fn extremes() {
    for (sigma, rate, count, delta) in [
        (0.3, 1e-7, 1_000_000, 1e-5),
        (1.0, 1e-7, 1_000_000, 1e-5),
        (1000.0, 1e-7, 1_000_000, 1e-12),
        (1000.0, 0.5, 1_000_000, 1e-30),
        (0.3, 0.5, 1, 1e-30),
        (0.5, 1e-4, 10_000, 1e-30),
        (30.0, 0.999, 1_000_000, 1e-6),
        (2.0, 0.01, 1, 1e-3),
    ] {
        let noise = Noise::Gaussian { sigma };
        let plan = one(noise, rate, count);
        let found = epsilon(&plan, delta);
        let renyi = Renyi::new(&plan)
            .unwrap()
            .epsilon(Delta::new(delta).unwrap())
            .unwrap()
            .0
            .get();
        assert!(
            found <= renyi * (1.0 + 1e-4),
            "{sigma} {rate} {count} {delta}: {found} {renyi}"
        );
        if found > 1e-300 {
            let back = Pld::new(&plan).unwrap().delta(found).unwrap().get();
            assert!(
                (back / delta - 1.0).abs() < 0.1,
                "{sigma} {rate} {count}: {back:e} {delta:e}"
            );
        }
    }
}

/// The analytic curve at epsilon 0.5 (mpmath), and the least delta at 0: the total variation distance.
#[test]
fn deltas() {
    let pld = Pld::new(&one(Noise::Gaussian { sigma: 1.0 }, 1.0, 1)).unwrap();
    let truth = 0.238_421_708_134_876_63;
    assert!((pld.delta(0.5).unwrap().get() / truth - 1.0).abs() < 1e-12);
    let laplace = Pld::new(&one(Noise::Laplace { scale: 1.0 }, 1.0, 1)).unwrap();
    let distance = 1.0 - (-0.5f64).exp();
    let found = laplace.delta(0.0).unwrap().get();
    assert!(
        found >= distance && found < distance * (1.0 + 1e-5),
        "{found} {distance}"
    );
    assert!(laplace.delta(-1.0).is_err());
}

/// Losses of thousands, beyond the range of `exp`: a quiet Gaussian mechanism beside one that adds little is at least the Gaussian alone (closed form), and nearly that.
#[test]
fn losses_of_thousands() {
    let with = |sigma, other| Plan {
        charges: vec![
            charge(Noise::Laplace { scale: other }, 1.0, 1),
            charge(Noise::Gaussian { sigma }, 1.0, 1),
        ],
        ..Plan::default()
    };
    let certain = Pld::new(&with(0.02, 1.0))
        .unwrap()
        .delta(0.0)
        .map_or(1.0, Delta::get);
    assert!(certain >= 1.0 - 1e-9, "{certain}");
    for (sigma, delta) in [(0.015, 1e-5), (0.02, 1e-9), (0.025, 0.1)] {
        let alone = Plan {
            charges: vec![charge(Noise::Gaussian { sigma }, 1.0, 1)],
            ..Plan::default()
        };
        let (truth, found) = (epsilon(&alone, delta), epsilon(&with(sigma, 1e6), delta));
        assert!(
            found >= truth && found <= truth * (1.0 + 1e-3) + 1e-5,
            "{sigma} {found} {truth}"
        );
    }
    assert!(epsilon(&with(0.015, 1e6), 1e-5) > 2000.0);
    // A discrete Gaussian mechanism whose shift is thirty sigmas, against the continuous curve: the discrete law is within a part in a thousand of it here.
    let discrete = one(
        Noise::DiscreteGaussian {
            sigma: 40.0,
            sensitivity: 1200,
        },
        1.0,
        1,
    );
    let continuous = one(
        Noise::Gaussian {
            sigma: 40.0 / 1200.0,
        },
        1.0,
        1,
    );
    for delta in [1e-5, 1e-25] {
        let (found, near) = (epsilon(&discrete, delta), epsilon(&continuous, delta));
        assert!((found / near - 1.0).abs() < 1e-3, "{delta} {found} {near}");
    }
}

/// Twin: forgetting a third of the steps, or one of the two directions, is seen.
#[test]
fn undercharging_is_seen() {
    let noise = Noise::Gaussian { sigma: 1.0 };
    let (all, less) = (one(noise, 0.01, 1000), one(noise, 0.01, 666));
    let (whole, part) = (epsilon(&all, 1e-5), epsilon(&less, 1e-5));
    assert!(
        part < 1.818 && whole > 1.8282,
        "prv_accountant's lower bound is 1.8181"
    );
}
