//! Plain training: against scikit-learn's optimum, hand-computed steps, determinism and refusals.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test helpers; the inputs are fixed"
)]

use chacha20::ChaCha20Rng;
use lepton_learn::{
    Activation, Examples, LearnError, LocalConfig, Matrix, Model, ModelKind, ModelSpec, Optimiser,
    Outputs, Precision, Span, Target, param_len, tensors, train_local,
};
use rand_core::SeedableRng;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/scikit_learn.json")).unwrap()
}

fn floats(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn config(span: Span, batch: usize, learning_rate: f64) -> LocalConfig {
    LocalConfig {
        span,
        batch,
        optimiser: Optimiser::Sgd { momentum: 0.9 },
        learning_rate,
        proximal: 0.0,
        class_weights: None,
        precision: Precision::Double,
    }
}

fn known(name: &str, classes: usize) -> (ModelSpec, Examples, Value) {
    let case = vectors()[name].clone();
    let labels: Vec<u32> = case["y"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| u32::try_from(v.as_u64().unwrap()).unwrap())
        .collect();
    let data: Vec<f32> = floats(&case["x"]).iter().map(|&v| v as f32).collect();
    let inputs = data.len() / labels.len();
    let x = Matrix::new(labels.len(), inputs, data).unwrap();
    let spec = ModelSpec {
        kind: ModelKind::Logistic,
        inputs,
        outputs: Outputs::Classes(classes),
        l2: case["l2"].as_f64().unwrap(),
    };
    (
        spec,
        Examples::new(x, Target::Classes { labels, classes }).unwrap(),
        case,
    )
}

#[test]
fn logistic_regression_reaches_scikit_learns_coefficients() {
    let (spec, data, case) = known("binary", 2);
    let cfg = config(Span::Steps(6000), data.len(), 0.3);
    let params = train_local(
        &spec,
        &vec![0.0; param_len(&spec).unwrap()],
        &data,
        &cfg,
        &mut rng(1),
    )
    .unwrap();
    let mut expected = floats(&case["weights"]);
    expected.extend(floats(&case["bias"]));
    for (got, want) in params.iter().zip(&expected) {
        assert!((got - want).abs() < 1e-4, "{got} {want}");
    }
}

#[test]
fn softmax_regression_reaches_scikit_learns_coefficients() {
    let (spec, data, case) = known("softmax", 3);
    let cfg = config(Span::Steps(6000), data.len(), 0.3);
    let params = train_local(
        &spec,
        &vec![0.0; param_len(&spec).unwrap()],
        &data,
        &cfg,
        &mut rng(1),
    )
    .unwrap();
    let mut expected = floats(&case["weights"]);
    // Biases are determined up to a common shift, which scikit-learn and we both leave at mean 0.
    expected.extend(floats(&case["bias"]));
    for (got, want) in params.iter().zip(&expected) {
        assert!((got - want).abs() < 1e-3, "{got} {want}");
    }
}

#[test]
fn single_precision_comes_close_to_double() {
    let (spec, data, _) = known("binary", 2);
    let start = vec![0.0; param_len(&spec).unwrap()];
    let run = |precision| {
        let cfg = LocalConfig {
            precision,
            ..config(Span::Epochs(20), 16, 0.05)
        };
        train_local(&spec, &start, &data, &cfg, &mut rng(1)).unwrap()
    };
    for (single, double) in run(Precision::Single).iter().zip(run(Precision::Double)) {
        assert!((single - double).abs() < 1e-4);
    }
}

#[test]
fn same_generator_same_bits() {
    let (mut spec, data, _) = known("softmax", 3);
    spec.kind = ModelKind::Mlp {
        hidden: vec![9],
        activation: Activation::Tanh,
    };
    let model = Model::init(spec.clone(), &mut rng(4)).unwrap();
    let cfg = LocalConfig {
        optimiser: Optimiser::Adam {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        },
        ..config(Span::Epochs(3), 7, 0.01)
    };
    let run = |seed| train_local(&spec, model.params(), &data, &cfg, &mut rng(seed)).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// One row, one weight: y = 3 for x = 2, start w = 1, b = 0; gradient (z - y) x = -2 and z - y = -1.
fn one_row() -> (ModelSpec, Examples) {
    let spec = ModelSpec {
        kind: ModelKind::Linear,
        inputs: 1,
        outputs: Outputs::Regression,
        l2: 0.0,
    };
    let x = Matrix::new(1, 1, vec![2.0]).unwrap();
    (spec, Examples::new(x, Target::Values(vec![3.0])).unwrap())
}

#[test]
fn two_momentum_steps_by_hand() {
    let (spec, data) = one_row();
    let params = train_local(
        &spec,
        &[1.0, 0.0],
        &data,
        &config(Span::Steps(2), 1, 0.1),
        &mut rng(1),
    )
    .unwrap();
    // Step 1: v = (-2, -1), params (1.2, 0.1). Step 2: z = 2.5, g = (-1, -0.5), v = (-2.8, -1.4), params (1.48, 0.24).
    assert!((params[0] - 1.48).abs() < 1e-12 && (params[1] - 0.24).abs() < 1e-12);
}

#[test]
fn two_adam_steps_by_hand() {
    let (spec, data) = one_row();
    let cfg = LocalConfig {
        optimiser: Optimiser::Adam {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-12,
        },
        ..config(Span::Steps(2), 1, 0.1)
    };
    let params = train_local(&spec, &[1.0, 0.0], &data, &cfg, &mut rng(1)).unwrap();
    // Step 1 moves both by 0.1: (1.1, 0.1), z = 2.3, g = (-1.4, -0.7). Step 2 for w: m = -0.18 - 0.14 = -0.32 over 0.19,
    // v = 0.0396 + 0.0196 = 0.0592 over 0.0199; b has half of m and a quarter of v, hence the same step.
    let step = 0.1 * (0.32 / 0.19) / (0.0592_f64 / 0.0199).sqrt();
    assert!((params[0] - 1.1 - step).abs() < 1e-9 && (params[1] - 0.1 - step).abs() < 1e-9);
}

#[test]
fn the_proximal_term_pulls_towards_the_start() {
    let (spec, data) = one_row();
    let cfg = LocalConfig {
        proximal: 1.0,
        ..config(Span::Steps(3000), 1, 0.02)
    };
    let params = train_local(&spec, &[1.0, 0.0], &data, &cfg, &mut rng(1)).unwrap();
    // Minimum of (2 w + b - 3)^2 / 2 + ((w - 1)^2 + b^2) / 2: residual r = -1 / 6, w = 1 - 2 r, b = -r.
    assert!((params[0] - 4.0 / 3.0).abs() < 1e-9 && (params[1] - 1.0 / 6.0).abs() < 1e-9);
}

#[test]
fn an_mlp_learns_what_a_line_cannot() {
    let x = Matrix::new(4, 2, vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]).unwrap();
    let data = Examples::new(
        x,
        Target::Classes {
            labels: vec![0, 1, 1, 0],
            classes: 2,
        },
    )
    .unwrap();
    let kind = ModelKind::Mlp {
        hidden: vec![8],
        activation: Activation::Relu,
    };
    let spec = ModelSpec {
        kind,
        inputs: 2,
        outputs: Outputs::Classes(2),
        l2: 0.0,
    };
    let model = Model::init(spec.clone(), &mut rng(3)).unwrap();
    let cfg = LocalConfig {
        precision: Precision::Single,
        ..config(Span::Steps(500), 4, 0.1)
    };
    let params = train_local(&spec, model.params(), &data, &cfg, &mut rng(3)).unwrap();
    let model = Model::new(spec, params).unwrap();
    assert_eq!(model.predict(data.x()).unwrap().classes(), [0, 1, 1, 0]);
}

#[test]
fn divergence_and_unfit_parts_are_errors() {
    let (spec, data) = one_row();
    let start = [1.0, 0.0];
    let wild = train_local(
        &spec,
        &start,
        &data,
        &config(Span::Steps(5000), 1, 1e6),
        &mut rng(1),
    );
    assert_eq!(wild, Err(LearnError::Diverged));
    let good = config(Span::Steps(1), 1, 0.1);
    assert!(train_local(&spec, &[1.0], &data, &good, &mut rng(1)).is_err());
    assert!(train_local(&spec, &[f64::NAN, 0.0], &data, &good, &mut rng(1)).is_err());
    assert!(train_local(&spec, &start, &data.subset(&[]), &good, &mut rng(1)).is_err());
    for bad in [
        LocalConfig {
            batch: 0,
            ..good.clone()
        },
        LocalConfig {
            learning_rate: 0.0,
            ..good.clone()
        },
        LocalConfig {
            proximal: f64::NAN,
            ..good.clone()
        },
        LocalConfig {
            class_weights: Some(vec![1.0]),
            ..good.clone()
        },
        LocalConfig {
            optimiser: Optimiser::Sgd { momentum: 1.0 },
            ..good.clone()
        },
    ] {
        assert!(train_local(&spec, &start, &data, &bad, &mut rng(1)).is_err());
    }
}

#[test]
fn descriptions_are_checked_and_survive_serialisation() {
    let kind = ModelKind::Mlp {
        hidden: vec![3, 2],
        activation: Activation::Relu,
    };
    let spec = ModelSpec {
        kind,
        inputs: 4,
        outputs: Outputs::Classes(5),
        l2: 0.5,
    };
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<ModelSpec>(&text).unwrap(), spec);
    let names: Vec<_> = tensors(&spec)
        .unwrap()
        .iter()
        .map(|t| (t.name.clone(), t.shape.clone(), t.offset))
        .collect();
    assert_eq!(names[0], ("layer0.weight".into(), vec![3, 4], 0));
    assert_eq!(names[5], ("layer2.bias".into(), vec![5], 15 + 8 + 10));
    assert_eq!(param_len(&spec).unwrap(), 15 + 8 + 15);
    for bad in [
        ModelSpec {
            inputs: 0,
            ..spec.clone()
        },
        ModelSpec {
            l2: f64::NAN,
            ..spec.clone()
        },
        ModelSpec {
            outputs: Outputs::Classes(1),
            ..spec.clone()
        },
        ModelSpec {
            kind: ModelKind::Linear,
            ..spec.clone()
        },
        ModelSpec {
            kind: ModelKind::Logistic,
            outputs: Outputs::Regression,
            ..spec.clone()
        },
        ModelSpec {
            kind: ModelKind::Mlp {
                hidden: vec![],
                activation: Activation::Relu,
            },
            ..spec.clone()
        },
        ModelSpec {
            kind: ModelKind::Mlp {
                hidden: vec![1 << 20; 2],
                activation: Activation::Relu,
            },
            ..spec
        },
    ] {
        assert!(matches!(param_len(&bad), Err(LearnError::Spec(_))));
    }
}
