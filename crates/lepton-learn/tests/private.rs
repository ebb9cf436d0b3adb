//! Clipped gradient sums against independent per-example arithmetic, and the sensitivity they promise (DP-04 to DP-08).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test helpers; the inputs are fixed"
)]

use chacha20::ChaCha20Rng;
use lepton_learn::{
    Activation, ClipNorm, Examples, GradientWorkspace, LearnError, Matrix, Model, ModelKind,
    ModelSpec, Outputs, Precision, Target, clipped_gradient_sum, effective_rate, float_error_eta,
    l2_gradient, poisson_sample, tensors,
};
use proptest::prelude::*;
use rand_core::{Rng, SeedableRng};

fn uniform(rng: &mut ChaCha20Rng) -> f64 {
    f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// A model with random parameters, biases included, and fitting examples.
fn setting(seed: u8, rows: usize) -> (Model, Examples) {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let inputs = 1 + seed as usize % 23;
    let mlp = |activation| ModelKind::Mlp {
        hidden: vec![7, 4],
        activation,
    };
    let (kind, outputs) = match seed % 6 {
        0 => (ModelKind::Linear, Outputs::Regression),
        1 => (ModelKind::Logistic, Outputs::Classes(2)),
        2 => (ModelKind::Logistic, Outputs::Classes(4)),
        3 => (mlp(Activation::Relu), Outputs::Classes(3)),
        4 => (mlp(Activation::Tanh), Outputs::Classes(2)),
        _ => (mlp(Activation::Tanh), Outputs::Regression),
    };
    let spec = ModelSpec {
        kind,
        inputs,
        outputs,
        l2: 0.1,
    };
    let len = lepton_learn::param_len(&spec).unwrap();
    let params = (0..len).map(|_| uniform(&mut rng)).collect();
    let data = (0..rows * inputs)
        .map(|_| 3.0 * uniform(&mut rng) as f32)
        .collect();
    let y = match outputs {
        Outputs::Regression => {
            Target::Values((0..rows).map(|_| uniform(&mut rng) as f32).collect())
        }
        Outputs::Classes(classes) => {
            let labels = (0..rows)
                .map(|_| rng.next_u32() % u32::try_from(classes).unwrap())
                .collect();
            Target::Classes { labels, classes }
        }
    };
    let x = Matrix::new(rows, inputs, data).unwrap();
    (
        Model::new(spec, params).unwrap(),
        Examples::new(x, y).unwrap(),
    )
}

/// Derivative of the loss by the outputs `z` of one example.
fn output_error(z: Vec<f64>, examples: &Examples, row: usize, outputs: Outputs) -> Vec<f64> {
    let mut delta = z;
    match (examples.y(), outputs) {
        (Target::Values(y), _) => delta[0] -= f64::from(y[row]),
        (Target::Classes { labels, .. }, Outputs::Classes(2)) => {
            delta[0] = 1.0 / (1.0 + (-delta[0]).exp()) - f64::from(labels[row]);
        }
        (Target::Classes { labels, .. }, _) => {
            let total: f64 = delta.iter().map(|z| z.exp()).sum();
            delta.iter_mut().for_each(|z| *z = z.exp() / total);
            delta[labels[row] as usize] -= 1.0;
        }
    }
    delta
}

/// One example's gradient by textbook back-propagation, written independently of the crate.
fn naive_gradient(model: &Model, examples: &Examples, row: usize) -> Vec<f64> {
    let spec = model.spec();
    let shapes = tensors(spec).unwrap();
    let (mut acts, layers) = (
        vec![
            examples
                .x()
                .row(row)
                .iter()
                .map(|&v| f64::from(v))
                .collect::<Vec<_>>(),
        ],
        shapes.len() / 2,
    );
    let relu = matches!(
        &spec.kind,
        ModelKind::Mlp {
            activation: Activation::Relu,
            ..
        }
    );
    for l in 0..layers {
        let (w, b) = (&shapes[2 * l], &shapes[2 * l + 1]);
        let input = acts.last().unwrap();
        let out = (0..w.shape[0])
            .map(|o| {
                let z: f64 = (0..w.shape[1])
                    .map(|i| model.params()[w.offset + o * w.shape[1] + i] * input[i])
                    .sum::<f64>()
                    + model.params()[b.offset + o];
                if l + 1 == layers {
                    z
                } else if relu {
                    z.max(0.0)
                } else {
                    z.tanh()
                }
            })
            .collect();
        acts.push(out);
    }
    let mut delta = output_error(acts[layers].clone(), examples, row, spec.outputs);
    let mut gradient = vec![0.0; model.params().len()];
    for l in (0..layers).rev() {
        let (w, b) = (&shapes[2 * l], &shapes[2 * l + 1]);
        let mut before = vec![0.0; w.shape[1]];
        for o in 0..w.shape[0] {
            gradient[b.offset + o] = delta[o];
            for i in 0..w.shape[1] {
                let at = w.offset + o * w.shape[1] + i;
                gradient[at] = delta[o] * acts[l][i];
                before[i] += delta[o] * model.params()[at];
            }
        }
        for (d, a) in before.iter_mut().zip(&acts[l]) {
            *d *= if relu {
                f64::from(u8::from(*a > 0.0))
            } else {
                1.0 - a * a
            };
        }
        delta = before;
    }
    gradient
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|c| c * c).sum::<f64>().sqrt()
}

fn sum_of(model: &Model, examples: &Examples, rows: &[usize], clip: f64) -> Vec<f64> {
    let clip = ClipNorm::new(clip).unwrap();
    clipped_gradient_sum(model.spec(), model.params(), (examples, rows), clip, None)
        .unwrap()
        .sum
}

/// The same in double precision.
fn exact_sum_of(model: &Model, examples: &Examples, rows: &[usize], clip: f64) -> Vec<f64> {
    let mut workspace = GradientWorkspace::new(model.spec(), Precision::Double).unwrap();
    let clip = ClipNorm::new(clip).unwrap();
    let sum = workspace.clipped_gradient_sum(model.params(), (examples, rows), clip, None);
    sum.unwrap().sum.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn ghost_clipping_equals_materialised_clipping(seed in any::<u8>(), rows in 1_usize..40, clip in 0.01_f64..20.0) {
        let (model, examples) = setting(seed, rows);
        let mut expected = vec![0.0; model.params().len()];
        for row in 0..rows {
            let g = naive_gradient(&model, &examples, row);
            let weight = (clip / norm(&g)).min(1.0);
            expected.iter_mut().zip(&g).for_each(|(e, g)| *e += weight * g);
        }
        let all: Vec<usize> = (0..rows).collect();
        for (got, want) in exact_sum_of(&model, &examples, &all, clip).iter().zip(&expected) {
            prop_assert!((got - want).abs() < 1e-10, "{got} {want}");
        }
        for (got, want) in sum_of(&model, &examples, &all, clip).iter().zip(&expected) {
            prop_assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
    }

    #[test]
    fn one_record_contributes_at_most_the_clip_norm(seed in any::<u8>(), clip in 1e-6_f64..2.0, scale in -30_i32..38) {
        let (model, examples) = setting(seed, 1);
        let data = examples.x().data().iter().map(|v| v * 10_f32.powi(scale)).collect();
        let x = Matrix::new(1, examples.x().cols(), data).unwrap();
        let extreme = Examples::new(x, examples.y().clone()).unwrap();
        let eta = float_error_eta(model.spec(), 1).unwrap();
        prop_assert!(norm(&sum_of(&model, &extreme, &[0], clip)) <= clip * (1.0 + eta));
    }

    #[test]
    fn neighbouring_sums_differ_by_at_most_the_sensitivity(seed in any::<u8>(), rows in 2_usize..600, gone in any::<usize>()) {
        let (model, examples) = setting(seed, rows);
        let clip = 0.5;
        let all: Vec<usize> = (0..rows).collect();
        let mut fewer = all.clone();
        fewer.remove(gone % rows);
        let (with, without) = (sum_of(&model, &examples, &all, clip), sum_of(&model, &examples, &fewer, clip));
        let difference: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
        let eta = float_error_eta(model.spec(), rows).unwrap();
        prop_assert!(norm(&difference) <= clip * (1.0 + eta));
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for seed in 0..12 {
        let (model, examples) = setting(seed, 5);
        let rows: Vec<usize> = (0..5).collect();
        let sum = exact_sum_of(&model, &examples, &rows, 1e9);
        let penalty = l2_gradient(model.spec(), model.params()).unwrap();
        for at in 0..sum.len() {
            let loss = |shift: f64| {
                let mut params = model.params().to_vec();
                params[at] += shift;
                Model::new(model.spec().clone(), params)
                    .unwrap()
                    .loss(&examples)
                    .unwrap()
            };
            let slope = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            assert!(
                (sum[at] / 5.0 + penalty[at] - slope).abs() < 1e-6,
                "seed {seed} parameter {at}"
            );
        }
    }
}

#[test]
fn class_weights_scale_before_clipping() {
    let (model, examples) = setting(2, 6);
    let rows: Vec<usize> = (0..6).collect();
    let weighted = |w: &[f64], clip: f64| {
        let clip = ClipNorm::new(clip).unwrap();
        clipped_gradient_sum(
            model.spec(),
            model.params(),
            (&examples, &rows),
            clip,
            Some(w),
        )
        .unwrap()
    };
    let plain = sum_of(&model, &examples, &rows, 1e9);
    for (w, p) in weighted(&[2.0; 4], 1e9).sum.iter().zip(&plain) {
        assert!((w - 2.0 * p).abs() < 1e-12);
    }
    assert!(norm(&weighted(&[1e9; 4], 0.25).sum) <= 6.0 * 0.25);
    assert!(
        clipped_gradient_sum(
            model.spec(),
            model.params(),
            (&examples, &rows),
            ClipNorm::new(1.0).unwrap(),
            Some(&[1.0, f64::NAN, 1.0, 1.0])
        )
        .is_err()
    );
}

#[test]
fn an_empty_sample_gives_a_zero_sum_of_full_length() {
    let (model, examples) = setting(3, 4);
    assert_eq!(
        sum_of(&model, &examples, &[], 1.0),
        vec![0.0; model.params().len()]
    );
}

#[test]
fn repeated_unordered_and_absent_rows_are_refused() {
    let (model, examples) = setting(3, 4);
    for rows in [&[1, 1][..], &[2, 1], &[0, 4]] {
        let clip = ClipNorm::new(1.0).unwrap();
        let result =
            clipped_gradient_sum(model.spec(), model.params(), (&examples, rows), clip, None);
        assert!(matches!(result, Err(LearnError::Rows(_))));
    }
    assert!(
        Matrix::new(1, 1, vec![f32::NAN]).is_err()
            && Matrix::new(1, 1, vec![f32::INFINITY]).is_err()
    );
    assert!(ClipNorm::new(0.0).is_err() && ClipNorm::new(f64::NAN).is_err());
}

#[test]
fn a_row_that_overflows_contributes_nothing_and_spoils_nothing() {
    let kind = ModelKind::Mlp {
        hidden: vec![3, 3],
        activation: Activation::Relu,
    };
    let spec = ModelSpec {
        kind,
        inputs: 2,
        outputs: Outputs::Regression,
        l2: 0.0,
    };
    let len = lepton_learn::param_len(&spec).unwrap();
    let model = Model::new(spec, vec![1e200; len]).unwrap();
    let x = Matrix::new(2, 2, vec![1e38, 1e38, 0.0, 0.0]).unwrap();
    let examples = Examples::new(x, Target::Values(vec![0.0, 0.0])).unwrap();
    let clip = ClipNorm::new(1.0).unwrap();
    let sum = clipped_gradient_sum(
        model.spec(),
        model.params(),
        (&examples, &[0, 1]),
        clip,
        None,
    )
    .unwrap();
    assert!(sum.sum.iter().all(|v| v.is_finite()) && norm(&sum.sum) <= 1.0 + 1e-9);
    assert_eq!(sum.clipped, 2);
}

#[test]
fn poisson_samples_are_increasing_independent_and_of_the_stated_rate() {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let (n, rate) = (200_000, 0.1);
    let sample = poisson_sample(n, rate, &mut rng).unwrap();
    assert!(sample.is_sorted_by(|a, b| a < b) && sample.iter().all(|&r| r < n));
    // Binomial(200000, 0.1): standard deviation 134; 6 of them are exceeded with probability 2e-9.
    assert!((sample.len() as f64 - 20_000.0).abs() < 6.0 * 134.2);
    // Neighbouring rows both sampled: mean 2000, deviation below 50 (chain of dependent pairs); 6 of them, below 1e-8.
    let pairs = sample.windows(2).filter(|w| w[1] == w[0] + 1).count();
    assert!((pairs as f64 - 2000.0).abs() < 300.0);
    assert_eq!(poisson_sample(5, 1.0, &mut rng).unwrap(), [0, 1, 2, 3, 4]);
    assert!(poisson_sample(5, 0.0, &mut rng).is_err() && poisson_sample(5, 1.1, &mut rng).is_err());
}

#[test]
fn the_effective_rate_never_exceeds_the_stated_one() {
    for rate in [1.0, 0.1, 1.0 / 3.0, 1e-9, 1.1e-16 * 2.0] {
        let real = effective_rate(rate).unwrap();
        assert!(real <= rate && real > rate - 1.2e-16);
    }
}

#[test]
fn the_error_allowance_is_small_and_grows_with_the_rows() {
    let (model, _) = setting(1, 1);
    let eta = |rows| float_error_eta(model.spec(), rows).unwrap();
    assert!(eta(1) < eta(4096) && eta(1 << 20) < 1.3e-4);
    assert!(float_error_eta(model.spec(), (1 << 20) + 1).is_err());
}
