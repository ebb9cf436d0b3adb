//! Training throughput as one JSON line per case, for `scripts/bench_training.py`: plain and clipped, without noise. With the
//! argument `--cpu` seconds of processor time are counted, on one thread, for machines shared with others (Linux).
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a benchmark measures time and stops at the first surprise"
)]

use std::time::{Duration, Instant};

use chacha20::ChaCha20Rng;
use lepton_learn::{
    Activation, ClipNorm, Convolution, Examples, GradientWorkspace, LocalConfig, Matrix, Model,
    ModelKind, ModelSpec, Normalisation, Optimiser, Outputs, Pool, PoolKind, Precision, Span,
    Target, train_local,
};
use rand_core::{Rng, SeedableRng};

/// How the examples are used.
#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Clipped(Precision),
}

fn main() {
    let models = [
        ("mlp 784-128-10", model(mlp(), 784, 10)),
        ("cnn 28x28-16-32-32-10", model(cnn(), 784, 10)),
        ("logistic 30-1", model(ModelKind::Logistic, 30, 2)),
    ];
    let modes = [
        ("plain f32", Mode::Plain),
        ("clipped", Mode::Clipped(Precision::Single)),
        ("clipped f64", Mode::Clipped(Precision::Double)),
    ];
    let cpu = std::env::args().any(|a| a == "--cpu");
    for threads in if cpu { 1..=1 } else { 1..=2 } {
        for (name, spec) in &models {
            for batch in [256, 1024] {
                for (label, mode) in modes {
                    let rate = rate(spec, (batch, mode), threads, cpu);
                    println!(
                        "{{\"model\":\"{name}\",\"batch\":{batch},\"mode\":\"{label}\",\"threads\":{threads},\"examples_per_s\":{rate:.0}}}"
                    );
                }
            }
        }
    }
}

fn model(kind: ModelKind, inputs: usize, classes: usize) -> ModelSpec {
    ModelSpec {
        kind,
        inputs,
        outputs: Outputs::Classes(classes),
        l2: 0.0,
    }
}

fn mlp() -> ModelKind {
    ModelKind::Mlp {
        hidden: vec![128],
        activation: Activation::Relu,
    }
}

/// The network of the usual private MNIST example.
fn cnn() -> ModelKind {
    let convolution = |channels, kernel, padding| Convolution {
        channels,
        kernel,
        stride: 2,
        padding,
        pool: Some(Pool {
            kind: PoolKind::Max,
            size: 2,
            stride: Some(1),
        }),
    };
    ModelKind::Cnn {
        image: [1, 28, 28],
        convolutions: vec![convolution(16, 8, 3), convolution(32, 4, 0)],
        activation: Activation::Relu,
        normalisation: Normalisation::None,
        hidden: vec![32],
    }
}

/// Examples per second over all threads (each trains alone, as parties do): the best of seven windows.
fn rate(spec: &ModelSpec, case: (usize, Mode), threads: usize, cpu: bool) -> f64 {
    let mut best: f64 = 0.0;
    for _ in 0..7 {
        let done: f64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| window(spec, case, cpu)))
                .collect();
            workers.into_iter().map(|w| w.join().unwrap()).sum()
        });
        best = best.max(done);
    }
    best
}

/// Works for about 0.3 s and gives examples per second.
fn window(spec: &ModelSpec, (batch, mode): (usize, Mode), cpu: bool) -> f64 {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let rows = batch * 16;
    let data = examples(spec, rows, &mut rng);
    let model = Model::init(spec.clone(), &mut rng).unwrap();
    let mut params = model.params().to_vec();
    let config = LocalConfig {
        span: Span::Epochs(1),
        batch,
        optimiser: Optimiser::Sgd { momentum: 0.0 },
        learning_rate: 0.01,
        proximal: 0.0,
        class_weights: None,
        precision: Precision::Single,
    };
    let precision = match mode {
        Mode::Plain => Precision::Single,
        Mode::Clipped(precision) => precision,
    };
    let mut workspace = GradientWorkspace::new(spec, precision).unwrap();
    let clip = ClipNorm::new(1.0).unwrap();
    let clock = Clock::start(cpu);
    let mut done = 0;
    while clock.elapsed().as_secs_f64() < 0.3 {
        if let Mode::Plain = mode {
            params = train_local(spec, &params, &data, &config, &mut rng).unwrap();
            done += rows;
            continue;
        }
        for step in 0..16 {
            let chosen: Vec<usize> = (step * batch..(step + 1) * batch).collect();
            let gradient = workspace
                .clipped_gradient_sum(&params, (&data, &chosen), clip, None)
                .unwrap();
            for (param, g) in params.iter_mut().zip(&gradient.sum) {
                *param -= 0.01 * g / batch as f64;
            }
            done += batch;
        }
    }
    done as f64 / clock.elapsed().as_secs_f64()
}

/// Wall time, or this thread's processor time.
struct Clock {
    started: Instant,
    cpu: Option<Duration>,
}

impl Clock {
    fn start(cpu: bool) -> Self {
        Self {
            started: Instant::now(),
            cpu: cpu.then(thread_time),
        }
    }

    fn elapsed(&self) -> Duration {
        self.cpu
            .map_or_else(|| self.started.elapsed(), |start| thread_time() - start)
    }
}

/// Processor time of this thread so far.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
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
