//! Metrics against scikit-learn, and sums against exact metrics.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test helpers; the inputs are fixed"
)]

use chacha20::ChaCha20Rng;
use lepton_learn::{EvalLayout, Metrics, Predictions, Target, eval_contribution, eval_sensitivity};
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

fn case(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("vectors/scikit_learn.json")).unwrap();
    all[name].clone()
}

fn floats(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn classes(case: &Value, classes: usize) -> (Predictions, Target) {
    let p = floats(&case["p"]);
    let data = if classes == 2 {
        p.iter().flat_map(|&p| [1.0 - p, p]).collect()
    } else {
        p
    };
    let labels = floats(&case["y"]).iter().map(|&y| y as u32).collect();
    (
        Predictions::Probabilities { classes, data },
        Target::Classes { labels, classes },
    )
}

fn close(got: Option<f64>, case: &Value, name: &str, tolerance: f64) {
    let want = case[name].as_f64().unwrap();
    assert!(
        (got.unwrap() - want).abs() < tolerance,
        "{name}: {got:?} {want}"
    );
}

fn from_sums(predictions: &Predictions, target: &Target, layout: &EvalLayout) -> Metrics {
    let sums = eval_contribution(predictions, target, layout).unwrap();
    Metrics::from_sums(layout, &sums.iter().map(|&s| s as f64).collect::<Vec<_>>()).unwrap()
}

#[test]
fn exact_classification_metrics_match_scikit_learn() {
    for (name, k) in [("binary_metrics", 2), ("multi_metrics", 3)] {
        let case = case(name);
        let (predictions, target) = classes(&case, k);
        let m = Metrics::exact(&predictions, &target).unwrap();
        close(m.auc, &case, "auc", 1e-12);
        close(m.loss, &case, "loss", 1e-12);
        close(m.accuracy, &case, "accuracy", 1e-12);
        close(m.balanced_accuracy, &case, "balanced_accuracy", 1e-12);
        if k == 2 {
            assert_eq!(m.confusion.concat(), floats(&case["confusion"]));
        }
    }
}

#[test]
fn summed_metrics_come_close_to_the_exact_ones() {
    for (name, k) in [("binary_metrics", 2), ("multi_metrics", 3)] {
        let case = case(name);
        let (predictions, target) = classes(&case, k);
        let m = from_sums(
            &predictions,
            &target,
            &EvalLayout::Classes {
                classes: k,
                bins: 1024,
                loss_cap: 16.0,
            },
        );
        close(m.auc, &case, "auc", 2e-3);
        close(m.loss, &case, "loss", 1e-4);
        close(m.accuracy, &case, "accuracy", 1e-12);
        close(m.balanced_accuracy, &case, "balanced_accuracy", 1e-12);
        let exact = Metrics::exact(&predictions, &target).unwrap();
        assert_eq!(m.rows, exact.rows);
        assert_eq!(m.confusion, exact.confusion);
    }
}

#[test]
fn regression_metrics_match_scikit_learn() {
    let case = case("regression_metrics");
    let predictions = Predictions::Values(floats(&case["z"]));
    let target = Target::Values(floats(&case["y"]).iter().map(|&y| y as f32).collect());
    let exact = Metrics::exact(&predictions, &target).unwrap();
    let summed = from_sums(
        &predictions,
        &target,
        &EvalLayout::Values { lo: -4.0, hi: 4.0 },
    );
    for name in ["rmse", "mae", "r2"] {
        let pick = |m: &Metrics| match name {
            "rmse" => m.rmse,
            "mae" => m.mae,
            _ => m.r2,
        };
        close(pick(&exact), &case, name, 1e-6);
        close(pick(&summed), &case, name, 1e-3);
    }
}

/// Scores within a tenth of a logit around one centre, as an under-trained model gives them.
#[test]
fn concentrated_scores_stay_apart() {
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    for centre in [0.01, 0.5, 0.99] {
        let (mut data, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let spread = f64::from(rng.next_u32()) / f64::from(u32::MAX) - 0.5;
            let p = centre + spread * 0.2 * centre * (1.0 - centre);
            let noise = f64::from(rng.next_u32()) / f64::from(u32::MAX) - 0.5;
            labels.push(u32::from(spread + noise > 0.0));
            data.extend([1.0 - p, p]);
        }
        let predictions = Predictions::Probabilities { classes: 2, data };
        let target = Target::Classes { labels, classes: 2 };
        let exact = Metrics::exact(&predictions, &target).unwrap().auc.unwrap();
        let layout = EvalLayout::Classes {
            classes: 2,
            bins: 1024,
            loss_cap: 16.0,
        };
        let binned = from_sums(&predictions, &target, &layout).auc.unwrap();
        assert!((binned - exact).abs() < 0.03, "{centre}: {binned} {exact}");
    }
}

#[test]
fn calibration_compares_predicted_and_observed_shares() {
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let (mut data, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..40_000 {
        let p = f64::from(rng.next_u32()) / f64::from(u32::MAX);
        labels.push(u32::from(
            f64::from(rng.next_u32()) / f64::from(u32::MAX) < p,
        ));
        data.extend([1.0 - p, p]);
    }
    let predictions = Predictions::Probabilities { classes: 2, data };
    let target = Target::Classes { labels, classes: 2 };
    let layout = EvalLayout::Classes {
        classes: 2,
        bins: 1024,
        loss_cap: 16.0,
    };
    for m in [
        Metrics::exact(&predictions, &target).unwrap(),
        from_sums(&predictions, &target, &layout),
    ] {
        assert_eq!(m.calibration.len(), 10);
        // 4000 rows a group: deviation below 0.008, so 0.05 is beyond 6 deviations.
        assert!(
            m.calibration
                .iter()
                .all(|b| (b.predicted - b.observed).abs() < 0.05)
        );
    }
}

#[test]
fn one_record_stays_within_the_sensitivity_and_sums_add() {
    for k in [2, 3, 7] {
        let layout = EvalLayout::Classes {
            classes: k,
            bins: 16,
            loss_cap: 16.0,
        };
        let mut total = vec![0; layout.len()];
        let (mut data, mut labels) = (Vec::new(), Vec::new());
        for hot in 0..k {
            let mut p = vec![0.0; k];
            p[hot] = 1.0;
            let label = u32::try_from((hot + 1) % k).unwrap();
            let predictions = Predictions::Probabilities {
                classes: k,
                data: p.clone(),
            };
            let target = Target::Classes {
                labels: vec![label],
                classes: k,
            };
            let one = eval_contribution(&predictions, &target, &layout).unwrap();
            let norm = one.iter().map(|&v| (v as f64).powi(2)).sum::<f64>().sqrt();
            assert!(norm <= eval_sensitivity(&layout));
            total.iter_mut().zip(&one).for_each(|(t, o)| *t += o);
            data.extend(p);
            labels.push(label);
        }
        let predictions = Predictions::Probabilities { classes: k, data };
        let target = Target::Classes { labels, classes: k };
        assert_eq!(
            eval_contribution(&predictions, &target, &layout).unwrap(),
            total
        );
    }
    let layout = EvalLayout::Values { lo: 0.0, hi: 1.0 };
    for (z, y) in [(f64::NAN, 0.0), (1e300, -1e30), (-5.0, 7.0)] {
        let one = eval_contribution(
            &Predictions::Values(vec![z]),
            &Target::Values(vec![y]),
            &layout,
        )
        .unwrap();
        let norm = one.iter().map(|&v| (v as f64).powi(2)).sum::<f64>().sqrt();
        assert!(norm <= eval_sensitivity(&layout));
    }
}

#[test]
fn noisy_sums_never_give_impossible_figures() {
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    for layout in [
        EvalLayout::Classes {
            classes: 3,
            bins: 8,
            loss_cap: 16.0,
        },
        EvalLayout::Values { lo: -1.0, hi: 3.0 },
    ] {
        for _ in 0..200 {
            let sums: Vec<f64> = (0..layout.len())
                .map(|_| f64::from(rng.next_u32().cast_signed()) * 10.0)
                .collect();
            let m = Metrics::from_sums(&layout, &sums).unwrap();
            for share in [m.accuracy, m.balanced_accuracy, m.auc]
                .into_iter()
                .flatten()
            {
                assert!((0.0..=1.0).contains(&share));
            }
            assert!(
                [m.loss, m.rmse, m.mae]
                    .into_iter()
                    .flatten()
                    .all(|v| v.is_finite() && v >= 0.0)
            );
        }
    }
    let layout = EvalLayout::Classes {
        classes: 2,
        bins: 8,
        loss_cap: 16.0,
    };
    let nothing = Metrics::from_sums(&layout, &vec![0.0; layout.len()]).unwrap();
    assert!(nothing.auc.is_none() && nothing.accuracy.is_none() && nothing.loss.is_none());
    assert!(Metrics::from_sums(&layout, &[0.0]).is_err());
}

#[test]
fn unfit_parts_are_refused() {
    let predictions = Predictions::Values(vec![1.0]);
    let labels = Target::Classes {
        labels: vec![5],
        classes: 2,
    };
    assert!(Metrics::exact(&predictions, &labels).is_err());
    assert!(
        eval_contribution(
            &predictions,
            &labels,
            &EvalLayout::Values { lo: 0.0, hi: 1.0 }
        )
        .is_err()
    );
    let two = Predictions::Probabilities {
        classes: 2,
        data: vec![0.5, 0.5],
    };
    assert!(
        eval_contribution(
            &two,
            &labels,
            &EvalLayout::Classes {
                classes: 2,
                bins: 8,
                loss_cap: 16.0,
            }
        )
        .is_err()
    );
    assert!(
        eval_contribution(
            &two,
            &labels,
            &EvalLayout::Classes {
                classes: 2,
                bins: 1,
                loss_cap: 16.0,
            }
        )
        .is_err()
    );
}
