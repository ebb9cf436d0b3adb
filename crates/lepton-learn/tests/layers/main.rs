//! Convolution, pooling, group normalisation and embedding against textbook arithmetic for one example at a time, written
//! independently of the crate (DP-05, DP-12 to DP-14), and the norm bound at extreme scales (DP-08).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::needless_range_loop,
    clippy::cast_precision_loss,
    reason = "test helpers; the inputs are fixed"
)]

mod reference;

use chacha20::ChaCha20Rng;
use lepton_learn::{
    Activation, ClipNorm, Convolution, EmbeddingTable, Examples, GradientWorkspace, LocalConfig,
    Matrix, Model, ModelKind, ModelSpec, Normalisation, Optimiser, Outputs, Pool, PoolKind,
    Precision, Span, Target, float_error_eta, param_len, tensors, train_local,
};
use proptest::prelude::*;
use rand_core::{Rng, SeedableRng};
use reference::reference;

fn uniform(rng: &mut ChaCha20Rng) -> f64 {
    f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0
}

fn cnn(seed: u8) -> (ModelKind, usize) {
    let pool = |kind, size, stride| Some(Pool { kind, size, stride });
    let bits = |bit: u8| seed >> bit & 1 == 1;
    let kinds = [PoolKind::Max, PoolKind::Average];
    let first = Convolution {
        channels: 8,
        kernel: 3,
        stride: 1 + usize::from(bits(0)),
        padding: usize::from(bits(1)) * 2,
        pool: if bits(2) {
            pool(kinds[usize::from(bits(3))], 2, Some(1))
        } else {
            None
        },
    };
    let second = Convolution {
        channels: 3,
        kernel: 2,
        stride: 1,
        padding: usize::from(bits(4)),
        pool: pool(kinds[usize::from(!bits(3))], 2, None),
    };
    let kind = ModelKind::Cnn {
        image: [1 + usize::from(bits(5)), 11, 9],
        convolutions: vec![first, second],
        activation: if bits(6) {
            Activation::Tanh
        } else {
            Activation::Relu
        },
        normalisation: if bits(7) {
            Normalisation::Group
        } else {
            Normalisation::None
        },
        hidden: if bits(3) { vec![6] } else { vec![] },
    };
    (kind, (1 + usize::from(bits(5))) * 99)
}

fn embedding() -> (ModelKind, usize) {
    let table = |features: &[usize], levels, width| EmbeddingTable {
        features: features.to_vec(),
        levels,
        width,
    };
    let kind = ModelKind::Embedding {
        tables: vec![table(&[3], 5, 2), table(&[0, 4, 5], 3, 4)],
        hidden: vec![6],
        activation: Activation::Tanh,
    };
    (kind, 7)
}

fn setting(seed: u8, embed: bool, rows: usize) -> (Model, Examples) {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let (kind, inputs) = if embed { embedding() } else { cnn(seed) };
    let classes = 2 + usize::from(seed) % 3;
    let spec = ModelSpec {
        kind,
        inputs,
        outputs: Outputs::Classes(classes),
        l2: 0.0,
    };
    let params = (0..param_len(&spec).unwrap())
        .map(|_| uniform(&mut rng))
        .collect();
    let data = (0..rows * inputs)
        .map(|_| (3.0 * uniform(&mut rng)) as f32)
        .collect();
    let labels = (0..rows).map(|_| rng.next_u32() % classes as u32).collect();
    let x = Matrix::new(rows, inputs, data).unwrap();
    let examples = Examples::new(x, Target::Classes { labels, classes }).unwrap();
    (Model::new(spec, params).unwrap(), examples)
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|c| c * c).sum::<f64>().sqrt()
}

fn sum_of(model: &Model, examples: &Examples, clip: f64, precision: Precision) -> Vec<f64> {
    let rows: Vec<usize> = (0..examples.len()).collect();
    let mut workspace = GradientWorkspace::new(model.spec(), precision).unwrap();
    let clip = ClipNorm::new(clip).unwrap();
    let sum = workspace.clipped_gradient_sum(model.params(), (examples, &rows), clip, None);
    sum.unwrap().sum.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// DP-05, DP-12, DP-13: every layer, clipped, equals the textbook to 1e-10 in double precision.
    #[test]
    fn clipping_equals_textbook_clipping(seed in any::<u8>(), embed in proptest::bool::weighted(0.2), clip in 0.01_f64..20.0) {
        let (model, examples) = setting(seed, embed, 3);
        let mut expected = vec![0.0; model.params().len()];
        for row in 0..3 {
            let g = reference(&model, &examples, row);
            let weight = (clip / norm(&g)).min(1.0);
            expected.iter_mut().zip(&g).for_each(|(e, g)| *e += weight * g);
        }
        for (got, want) in sum_of(&model, &examples, clip, Precision::Double).iter().zip(&expected) {
            prop_assert!((got - want).abs() < 1e-10, "{got} {want}");
        }
        for (got, want) in sum_of(&model, &examples, clip, Precision::Single).iter().zip(&expected) {
            prop_assert!((got - want).abs() < 1e-3 * (1.0 + want.abs()), "{got} {want}");
        }
    }

    /// DP-08 for one record at scales from 1e-30 to 1e37, in both precisions.
    #[test]
    fn one_record_contributes_at_most_the_clip_norm(seed in any::<u8>(), embed: bool, clip in 1e-9_f64..2.0, scale in -30_i32..38, weight in -6_i32..12) {
        let (model, examples) = setting(seed, embed, 1);
        let data = examples.x().data().iter().map(|v| v / 3.0 * 10_f32.powi(scale)).collect();
        let x = Matrix::new(1, examples.x().cols(), data).unwrap();
        let extreme = Examples::new(x, examples.y().clone()).unwrap();
        let params = model.params().iter().map(|p| p * 10_f64.powi(weight)).collect();
        let model = Model::new(model.spec().clone(), params).unwrap();
        let eta = float_error_eta(model.spec(), 1).unwrap();
        for precision in [Precision::Single, Precision::Double] {
            let sum = sum_of(&model, &extreme, clip, precision);
            prop_assert!(norm(&sum) <= clip * (1.0 + eta), "{} {clip}", norm(&sum));
        }
    }

    /// DP-08 and DP-11: neighbours, over several leaves and blocks, wherever the record stands.
    #[test]
    fn neighbouring_sums_differ_by_at_most_the_sensitivity(seed in any::<u8>(), embed: bool, rows in 2_usize..150, gone in any::<usize>()) {
        let (model, examples) = setting(seed, embed, rows);
        let mut fewer: Vec<usize> = (0..rows).collect();
        fewer.remove(gone % rows);
        let clip = 0.5;
        let with = sum_of(&model, &examples, clip, Precision::Single);
        let without = sum_of(&model, &examples.subset(&fewer), clip, Precision::Single);
        let difference: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
        let eta = float_error_eta(model.spec(), rows).unwrap();
        prop_assert!(norm(&difference) <= clip * (1.0 + eta));
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    // Smooth networks only: tanh and average pooling.
    for seed in [0b1101_1101_u8, 0b0101_1111] {
        let (model, examples) = setting(seed & 0b1111_0111, false, 2);
        let mut spec = model.spec().clone();
        if let ModelKind::Cnn { convolutions, .. } = &mut spec.kind {
            for c in convolutions {
                c.pool = c.pool.map(|p| Pool {
                    kind: PoolKind::Average,
                    ..p
                });
            }
        }
        let model = Model::new(spec, model.params().to_vec()).unwrap();
        let sum = sum_of(&model, &examples, 1e9, Precision::Double);
        for at in (0..sum.len()).step_by(7) {
            let loss = |shift: f64| {
                let mut params = model.params().to_vec();
                params[at] += shift;
                let moved = Model::new(model.spec().clone(), params).unwrap();
                moved.loss(&examples).unwrap()
            };
            let slope = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            assert!(
                (sum[at] / 2.0 - slope).abs() < 1e-6,
                "seed {seed} parameter {at}"
            );
        }
    }
}

/// The corrupted twin of DP-13: look-ups of one table row must be added before their norm is taken.
#[test]
fn repeated_indices_are_summed_before_the_norm() {
    let (model, _) = setting(1, true, 1);
    let row = vec![2.0, 0.5, 0.1, 1.0, 2.0, 2.0, 0.3];
    let labels = vec![1];
    let y = Target::Classes { labels, classes: 3 };
    let examples = Examples::new(Matrix::new(1, 7, row).unwrap(), y).unwrap();
    let whole = norm(&reference(&model, &examples, 0));
    let clipped = norm(&sum_of(&model, &examples, whole / 4.0, Precision::Double));
    assert!((clipped - whole / 4.0).abs() < 1e-12);
}

#[test]
fn indices_that_are_none_are_moved_into_the_table() {
    let (model, _) = setting(1, true, 1);
    let predict = |index: f32| {
        let row = vec![0.0, 0.5, 0.1, index, 2.0, 2.0, 0.3];
        model.predict(&Matrix::new(1, 7, row).unwrap()).unwrap()
    };
    assert_eq!(predict(-7.0), predict(0.0));
    assert_eq!(predict(1.9), predict(1.0));
    assert_eq!(predict(1e30), predict(4.0));
    assert_ne!(predict(3.0), predict(4.0));
}

#[test]
fn a_workspace_gives_the_same_bits_every_time() {
    let (model, examples) = setting(200, false, 120);
    let mut workspace = GradientWorkspace::new(model.spec(), Precision::Single).unwrap();
    let clip = ClipNorm::new(0.7).unwrap();
    let mut run = |rows: &[usize]| {
        let sum = workspace.clipped_gradient_sum(model.params(), (&examples, rows), clip, None);
        sum.unwrap().clone()
    };
    let all: Vec<usize> = (0..120).collect();
    let first = run(&all);
    assert_eq!(run(&[]).sum, vec![0.0; model.params().len()]);
    run(&[3, 90]);
    assert_eq!(run(&all), first);
    let fresh = lepton_learn::clipped_gradient_sum(
        model.spec(),
        model.params(),
        (&examples, &all),
        clip,
        None,
    );
    assert_eq!(fresh.unwrap(), first);
}

#[test]
fn many_copies_of_a_record_add_up() {
    let (model, examples) = setting(7, false, 1);
    let one = sum_of(&model, &examples, 0.5, Precision::Single);
    let copies = examples.subset(&vec![0; 300]);
    for (all, one) in sum_of(&model, &copies, 0.5, Precision::Single)
        .iter()
        .zip(&one)
    {
        assert!((all - 300.0 * one).abs() < 1e-4);
    }
}

#[test]
fn a_small_cnn_learns_to_tell_bars() {
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let (mut data, mut labels) = (Vec::new(), Vec::new());
    for i in 0..200_u32 {
        let line = (rng.next_u32() % 8) as usize;
        for y in 0..8 {
            for x in 0..8 {
                let on = if i % 2 == 0 { y == line } else { x == line };
                data.push(f32::from(u8::from(on)) + 0.1 * uniform(&mut rng) as f32);
            }
        }
        labels.push(i % 2);
    }
    let x = Matrix::new(200, 64, data).unwrap();
    let examples = Examples::new(x, Target::Classes { labels, classes: 2 }).unwrap();
    let spec = ModelSpec {
        kind: ModelKind::Cnn {
            image: [1, 8, 8],
            convolutions: vec![Convolution {
                channels: 8,
                kernel: 3,
                stride: 1,
                padding: 1,
                pool: Some(Pool {
                    kind: PoolKind::Max,
                    size: 2,
                    stride: None,
                }),
            }],
            activation: Activation::Relu,
            normalisation: Normalisation::Group,
            hidden: vec![],
        },
        inputs: 64,
        outputs: Outputs::Classes(2),
        l2: 0.0,
    };
    let start = Model::init(spec.clone(), &mut rng).unwrap();
    let config = LocalConfig {
        span: Span::Epochs(8),
        batch: 20,
        optimiser: Optimiser::Adam {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        },
        learning_rate: 0.02,
        proximal: 0.0,
        class_weights: None,
        precision: Precision::Single,
    };
    let trained = train_local(&spec, start.params(), &examples, &config, &mut rng).unwrap();
    let model = Model::new(spec, trained).unwrap();
    assert!(model.loss(&examples).unwrap() < 0.1 * start.loss(&examples).unwrap());
}

#[test]
fn descriptions_read_well_and_contradictions_are_refused() {
    let text = r#"{"kind":{"cnn":{"image":[1,28,28],"convolutions":[{"channels":16,"kernel":8,"stride":2,"padding":3,
        "pool":{"kind":"max","size":2,"stride":1}},{"channels":32,"kernel":4,"stride":2,"pool":{"kind":"max","size":2,"stride":1}}],
        "activation":"relu","hidden":[32]}},"inputs":784,"outputs":{"classes":10}}"#;
    let spec: ModelSpec = serde_json::from_str(text).unwrap();
    // The network of the usual private MNIST example.
    assert_eq!(param_len(&spec).unwrap(), 26_010);
    let names: Vec<String> = tensors(&spec)
        .unwrap()
        .into_iter()
        .map(|t| t.name)
        .collect();
    assert_eq!(names[0], "layer0.weight");
    assert_eq!(names.last().unwrap(), "layer3.bias");
    let bad = |change: &dyn Fn(&mut ModelSpec)| {
        let mut wrong = spec.clone();
        change(&mut wrong);
        assert!(wrong.validate().is_err(), "{wrong:?}");
    };
    bad(&|s| s.inputs = 783);
    let convolution = |change: &dyn Fn(&mut Convolution)| {
        bad(&|s| {
            if let ModelKind::Cnn { convolutions, .. } = &mut s.kind {
                change(&mut convolutions[1]);
            }
        });
    };
    convolution(&|c| c.kernel = 0);
    convolution(&|c| c.stride = 0);
    convolution(&|c| c.kernel = 14);
    convolution(&|c| c.padding = 4);
    convolution(&|c| c.channels = 1 << 21);
    convolution(&|c| c.channels = usize::MAX);
    convolution(&|c| {
        c.pool = Some(Pool {
            kind: PoolKind::Max,
            size: 9,
            stride: None,
        })
    });
}

#[test]
fn contradictory_embedding_tables_are_refused() {
    let embed = |tables: Vec<EmbeddingTable>| ModelSpec {
        kind: ModelKind::Embedding {
            tables,
            hidden: vec![3],
            activation: Activation::Relu,
        },
        inputs: 4,
        outputs: Outputs::Regression,
        l2: 0.0,
    };
    let table = |features: &[usize], levels| EmbeddingTable {
        features: features.to_vec(),
        levels,
        width: 2,
    };
    assert!(
        embed(vec![table(&[0], 3), table(&[2, 3], 9)])
            .validate()
            .is_ok()
    );
    for wrong in [
        vec![],
        vec![table(&[4], 3)],
        vec![table(&[0], 0)],
        vec![table(&[], 3)],
        vec![table(&[0], 3), table(&[0], 3)],
        vec![table(&[0], usize::MAX)],
    ] {
        assert!(embed(wrong).validate().is_err());
    }
}
