//! Permutation importance and the two-component picture.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "test helpers; the inputs are fixed"
)]

use chacha20::ChaCha20Rng;
use lepton_learn::{
    Examples, Matrix, Model, ModelKind, ModelSpec, Outputs, Target, permutation_importance,
    two_components,
};
use rand_core::SeedableRng;
use serde_json::Value;

fn floats(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

#[test]
fn only_used_columns_matter() {
    let data: Vec<f32> = (0..300)
        .map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0)
        .collect();
    let y = data.chunks_exact(3).map(|row| 2.0 * row[0]).collect();
    let examples = Examples::new(Matrix::new(100, 3, data).unwrap(), Target::Values(y)).unwrap();
    let spec = ModelSpec {
        kind: ModelKind::Linear,
        inputs: 3,
        outputs: Outputs::Regression,
        l2: 0.0,
    };
    let model = Model::new(spec, vec![2.0, 0.0, 0.0, 0.0]).unwrap();
    let groups = [
        ("used".to_owned(), vec![0]),
        ("unused".to_owned(), vec![1, 2]),
    ];
    let run = || {
        permutation_importance(
            &model,
            &examples,
            &groups,
            &mut ChaCha20Rng::from_seed([1; 32]),
        )
        .unwrap()
    };
    let found = run();
    assert!(found[0].loss_increase > 0.1 && found[1].loss_increase == 0.0);
    assert_eq!(found, run());
    let absent = [("absent".to_owned(), vec![3])];
    assert!(
        permutation_importance(
            &model,
            &examples,
            &absent,
            &mut ChaCha20Rng::from_seed([1; 32])
        )
        .is_err()
    );
}

#[test]
fn components_match_scikit_learn() {
    let all: Value = serde_json::from_str(include_str!("vectors/scikit_learn.json")).unwrap();
    let x: Vec<f32> = floats(&all["binary"]["x"])
        .iter()
        .map(|&v| v as f32)
        .collect();
    let matrix = Matrix::new(x.len() / 6, 6, x).unwrap();
    let found = two_components(&matrix).unwrap();
    for (c, share) in floats(&all["pca"]["explained"]).iter().enumerate() {
        assert!((found.explained[c] - share).abs() < 1e-6);
        let known = floats(&all["pca"]["directions"][c]);
        let along: f64 = known
            .iter()
            .zip(&found.directions[c])
            .map(|(a, b)| a * b)
            .sum();
        assert!((along.abs() - 1.0).abs() < 1e-6);
        let largest = found.directions[c]
            .iter()
            .fold(0.0_f64, |m, v| if v.abs() > m.abs() { *v } else { m });
        assert!(largest > 0.0);
    }
    assert_eq!(found.points.len(), matrix.rows());
    assert_eq!(found, two_components(&matrix).unwrap());
}

#[test]
fn degenerate_pictures_do_not_fail() {
    let flat = two_components(&Matrix::new(3, 2, vec![1.0; 6]).unwrap()).unwrap();
    assert_eq!(flat.explained, [0.0, 0.0]);
    let line = two_components(&Matrix::new(2, 1, vec![0.0, 1.0]).unwrap()).unwrap();
    assert!((line.explained[0] - 1.0).abs() < 1e-12 && line.explained[1] == 0.0);
    assert!(two_components(&Matrix::new(0, 2, vec![]).unwrap()).is_err());
}
