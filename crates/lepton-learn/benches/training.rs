//! Training throughput in examples per second: `cargo bench -p lepton-learn`.

use chacha20::ChaCha20Rng;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use lepton_learn::{
    Activation, ClipNorm, Examples, LocalConfig, Matrix, Model, ModelKind, ModelSpec, Optimiser,
    Outputs, Precision, Span, Target, clipped_gradient_sum, train_local,
};
use rand_core::{Rng, SeedableRng};

fn main() {
    divan::main();
}

/// The models measured.
#[derive(Debug, Clone, Copy)]
enum Case {
    Mlp784x128x10,
    Softmax784x10,
    Logistic30,
}

const CASES: [Case; 3] = [Case::Mlp784x128x10, Case::Softmax784x10, Case::Logistic30];
const BATCHES: [usize; 2] = [64, 256];

fn spec(case: Case) -> ModelSpec {
    let (kind, inputs, classes) = match case {
        Case::Mlp784x128x10 => (
            ModelKind::Mlp {
                hidden: vec![128],
                activation: Activation::Relu,
            },
            784,
            10,
        ),
        Case::Softmax784x10 => (ModelKind::Logistic, 784, 10),
        Case::Logistic30 => (ModelKind::Logistic, 30, 2),
    };
    ModelSpec {
        kind,
        inputs,
        outputs: Outputs::Classes(classes),
        l2: 0.0,
    }
}

fn examples(case: Case, rows: usize) -> Examples {
    let spec = spec(case);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let data = (0..rows * spec.inputs)
        .map(|_| (rng.next_u32() >> 8) as f32 / 16_777_216.0)
        .collect();
    let Outputs::Classes(classes) = spec.outputs else {
        unreachable!("only classifiers here")
    };
    let labels = (0..rows)
        .map(|_| rng.next_u32() % u32::try_from(classes).unwrap_or(2))
        .collect();
    let x = Matrix::new(rows, spec.inputs, data).expect("finite");
    Examples::new(x, Target::Classes { labels, classes }).expect("labels below classes")
}

fn plain(bencher: Bencher<'_, '_>, case: Case, batch: usize, precision: Precision) {
    let rows = batch * 16;
    let (spec, data) = (spec(case), examples(case, rows));
    let start = Model::init(spec.clone(), &mut ChaCha20Rng::from_seed([2; 32]))
        .expect("valid")
        .params()
        .to_vec();
    let config = LocalConfig {
        span: Span::Epochs(1),
        batch,
        optimiser: Optimiser::Sgd { momentum: 0.0 },
        learning_rate: 0.01,
        proximal: 0.0,
        class_weights: None,
        precision,
    };
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        train_local(&spec, black_box(&start), &data, &config, &mut rng).expect("trains")
    });
}

#[divan::bench(args = CASES, consts = BATCHES)]
fn plain_f32<const BATCH: usize>(bencher: Bencher<'_, '_>, case: Case) {
    plain(bencher, case, BATCH, Precision::Single);
}

#[divan::bench(args = CASES, consts = BATCHES)]
fn plain_f64<const BATCH: usize>(bencher: Bencher<'_, '_>, case: Case) {
    plain(bencher, case, BATCH, Precision::Double);
}

#[divan::bench(args = CASES, consts = BATCHES)]
fn clipped_f64<const BATCH: usize>(bencher: Bencher<'_, '_>, case: Case) {
    let (spec, data) = (spec(case), examples(case, BATCH));
    let params = Model::init(spec.clone(), &mut ChaCha20Rng::from_seed([2; 32]))
        .expect("valid")
        .params()
        .to_vec();
    let rows: Vec<usize> = (0..BATCH).collect();
    let clip = ClipNorm::new(1.0).expect("in range");
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        clipped_gradient_sum(&spec, black_box(&params), (&data, &rows), clip, None).expect("fits")
    });
}
