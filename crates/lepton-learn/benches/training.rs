//! Training throughput in examples per second: `cargo bench -p lepton-learn`.

use chacha20::ChaCha20Rng;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use lepton_learn::{
    Activation, ClipNorm, Convolution, EmbeddingTable, Examples, GradientWorkspace, LocalConfig,
    Matrix, Model, ModelKind, ModelSpec, Normalisation, Optimiser, Outputs, Pool, PoolKind,
    Precision, Span, Target, train_local,
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
    /// The network most papers on private MNIST use: 26,010 parameters.
    Cnn,
    /// Ten columns of 50 levels, ten numbers.
    Embedding,
}

const CASES: [Case; 5] = [
    Case::Mlp784x128x10,
    Case::Softmax784x10,
    Case::Logistic30,
    Case::Cnn,
    Case::Embedding,
];
const BATCHES: [usize; 3] = [64, 256, 1024];

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
        Case::Cnn => (cnn(), 784, 10),
        Case::Embedding => {
            let table = |feature| EmbeddingTable {
                features: vec![feature],
                levels: 50,
                width: 8,
            };
            let kind = ModelKind::Embedding {
                tables: (0..10).map(table).collect(),
                hidden: vec![64],
                activation: Activation::Relu,
            };
            (kind, 20, 2)
        }
    };
    ModelSpec {
        kind,
        inputs,
        outputs: Outputs::Classes(classes),
        l2: 0.0,
    }
}

fn cnn() -> ModelKind {
    let pool = Some(Pool {
        kind: PoolKind::Max,
        size: 2,
        stride: Some(1),
    });
    let convolution = |channels, kernel, padding| Convolution {
        channels,
        kernel,
        stride: 2,
        padding,
        pool,
    };
    ModelKind::Cnn {
        image: [1, 28, 28],
        convolutions: vec![convolution(16, 8, 3), convolution(32, 4, 0)],
        activation: Activation::Relu,
        normalisation: Normalisation::None,
        hidden: vec![32],
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
fn clipped_f32<const BATCH: usize>(bencher: Bencher<'_, '_>, case: Case) {
    clipped(bencher, case, BATCH, Precision::Single);
}

#[divan::bench(args = CASES, consts = BATCHES)]
fn clipped_f64<const BATCH: usize>(bencher: Bencher<'_, '_>, case: Case) {
    clipped(bencher, case, BATCH, Precision::Double);
}

fn clipped(bencher: Bencher<'_, '_>, case: Case, batch: usize, precision: Precision) {
    let (spec, data) = (spec(case), examples(case, batch));
    let params = Model::init(spec.clone(), &mut ChaCha20Rng::from_seed([2; 32]))
        .expect("valid")
        .params()
        .to_vec();
    let rows: Vec<usize> = (0..batch).collect();
    let clip = ClipNorm::new(1.0).expect("in range");
    let mut workspace = GradientWorkspace::new(&spec, precision).expect("valid");
    bencher.counter(ItemsCount::new(batch)).bench_local(|| {
        let sum = workspace.clipped_gradient_sum(black_box(&params), (&data, &rows), clip, None);
        black_box(sum.expect("fits").rows)
    });
}
