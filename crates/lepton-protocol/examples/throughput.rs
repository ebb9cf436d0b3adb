//! Training throughput as one JSON line per case, for `scripts/bench_training.py`: plain, clipped, and clipped with exact integer noise.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a benchmark measures time and stops at the first surprise"
)]

use std::time::Instant;

use chacha20::ChaCha20Rng;
use lepton_dp::DiscreteGaussian;
use lepton_learn::{
    Activation, ClipNorm, Examples, LocalConfig, Matrix, Model, ModelKind, ModelSpec, Optimiser,
    Outputs, Precision, Span, Target, clipped_gradient_sum, train_local,
};
use rand_core::{Rng, SeedableRng};

#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Clipped,
    ClippedNoised,
}

fn main() {
    let cases = [
        ("mlp 784-128-10", mlp(), 64),
        ("mlp 784-128-10", mlp(), 256),
        ("logistic 30-1", logistic(), 64),
        ("logistic 30-1", logistic(), 256),
    ];
    let modes = [
        ("plain f32", Mode::Plain),
        ("clipped f64", Mode::Clipped),
        ("clipped f64 + integer noise", Mode::ClippedNoised),
    ];
    for threads in [1, 2] {
        for (name, spec, batch) in &cases {
            for (label, mode) in modes {
                let rate = rate(spec, *batch, mode, threads);
                println!(
                    "{{\"model\":\"{name}\",\"batch\":{batch},\"mode\":\"{label}\",\"threads\":{threads},\"examples_per_s\":{rate:.0}}}"
                );
            }
        }
    }
}

fn mlp() -> ModelSpec {
    let kind = ModelKind::Mlp {
        hidden: vec![128],
        activation: Activation::Relu,
    };
    ModelSpec {
        kind,
        inputs: 784,
        outputs: Outputs::Classes(10),
        l2: 0.0,
    }
}

fn logistic() -> ModelSpec {
    ModelSpec {
        kind: ModelKind::Logistic,
        inputs: 30,
        outputs: Outputs::Classes(2),
        l2: 0.0,
    }
}

/// Examples per second over all threads (each trains alone, as parties do): the best of seven windows.
fn rate(spec: &ModelSpec, batch: usize, mode: Mode, threads: usize) -> f64 {
    let mut best: f64 = 0.0;
    for _ in 0..7 {
        let started = Instant::now();
        let done: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| window(spec, batch, mode)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .sum()
        });
        best = best.max(done as f64 / started.elapsed().as_secs_f64());
    }
    best
}

/// Works for about 0.3 s and gives the number of examples.
fn window(spec: &ModelSpec, batch: usize, mode: Mode) -> usize {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let rows = batch * 16;
    let data = examples(spec, rows, &mut rng);
    let mut params = Model::init(spec.clone(), &mut rng)
        .unwrap()
        .params()
        .to_vec();
    let config = LocalConfig {
        span: Span::Epochs(1),
        batch,
        optimiser: Optimiser::Sgd { momentum: 0.0 },
        learning_rate: 0.01,
        proximal: 0.0,
        class_weights: None,
        precision: Precision::Single,
    };
    let clip = ClipNorm::new(1.0).unwrap();
    let noise = DiscreteGaussian::new(65_536).unwrap();
    let mut draws = vec![0; params.len()];
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed().as_secs_f64() < 0.3 {
        if let Mode::Plain = mode {
            params = train_local(spec, &params, &data, &config, &mut rng).unwrap();
            done += rows;
            continue;
        }
        for step in 0..16 {
            let chosen: Vec<usize> = (step * batch..(step + 1) * batch).collect();
            let sum = clipped_gradient_sum(spec, &params, (&data, &chosen), clip, None).unwrap();
            if let Mode::ClippedNoised = mode {
                noise.fill(&mut draws, &mut rng);
            }
            for ((param, gradient), draw) in params.iter_mut().zip(&sum.sum).zip(&draws) {
                let noised = (gradient * 65_536.0).round_ties_even() as i64 + draw;
                *param -= 0.01 * noised as f64 / (65_536.0 * batch as f64);
            }
            done += batch;
        }
    }
    done
}

fn examples(spec: &ModelSpec, rows: usize, rng: &mut ChaCha20Rng) -> Examples {
    let Outputs::Classes(classes) = spec.outputs else {
        unreachable!("only classifiers here")
    };
    let uniform = |rng: &mut ChaCha20Rng| (rng.next_u32() >> 8) as f32 / 16_777_216.0;
    let data = (0..rows * spec.inputs).map(|_| uniform(rng)).collect();
    let labels = (0..rows).map(|_| rng.next_u32() % classes as u32).collect();
    let x = Matrix::new(rows, spec.inputs, data).unwrap();
    Examples::new(x, Target::Classes { labels, classes }).unwrap()
}
