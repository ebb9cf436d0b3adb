//! Training throughput as one JSON line per case, for `scripts/bench_training.py`: plain, clipped, and clipped with a discrete Gaussian on every
//! coordinate of every step, from tables (as jobs draw it, FT-22) or exactly, added to the sum in fixed point. With the
//! argument `--cpu` seconds of processor time are counted, on one thread, for machines shared with others (Linux); with `--only "mlp 784-128-10, 1024"`
//! only the cases that begin so.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a benchmark measures time and stops at the first surprise"
)]

use std::time::{Duration, Instant};

use chacha20::ChaCha20Rng;
use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch};
use lepton_dp::{DiscreteGaussian, TableGaussian};
use lepton_learn::{
    Activation, ClipNorm, Convolution, Examples, GradientWorkspace, LocalConfig, Matrix, Model,
    ModelKind, ModelSpec, Normalisation, Optimiser, Outputs, Pool, PoolKind, Precision, Span,
    Target, train_local,
};
use lepton_ring::FixedPoint;
use rand_core::{Rng, SeedableRng};

/// How the examples are used.
enum Mode {
    Plain,
    Clipped(Precision),
    Tables(TableGaussian),
    Exact(DiscreteGaussian),
    /// Nothing but the multiplications of both passes, in registers: what the core can do at most.
    Limit,
}

/// Of the noise, in steps of the fixed point: the clip norm.
const SIGMA: u64 = 65_536;

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
        (
            "clipped + integer noise, tables",
            Mode::Tables(TableGaussian::new(SIGMA).unwrap()),
        ),
        (
            "clipped + integer noise, exact",
            Mode::Exact(DiscreteGaussian::new(SIGMA).unwrap()),
        ),
        ("limit: fused multiply-adds alone, f32", Mode::Limit),
    ];
    let cpu = std::env::args().any(|a| a == "--cpu");
    let only = std::env::args().skip_while(|a| a != "--only").nth(1);
    for threads in if cpu { 1..=1 } else { 1..=2 } {
        for (name, spec) in &models {
            for batch in [256, 1024] {
                for (label, mode) in &modes {
                    if matches!(mode, Mode::Limit) && !name.starts_with("mlp") {
                        continue;
                    }
                    let case = format!("{name}, {batch}, {label}");
                    if only.as_ref().is_some_and(|only| !case.starts_with(only)) {
                        continue;
                    }
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
fn rate(spec: &ModelSpec, case: (usize, &Mode), threads: usize, cpu: bool) -> f64 {
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
fn window(spec: &ModelSpec, (batch, mode): (usize, &Mode), cpu: bool) -> f64 {
    if let Mode::Limit = mode {
        return multiply_adds(cpu) / (2.0 * (784 * 128 + 128 * 10) as f64 + (128 * 10) as f64);
    }
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
        Mode::Clipped(precision) => *precision,
        _ => Precision::Single,
    };
    let mut workspace = GradientWorkspace::new(spec, precision).unwrap();
    let clip = ClipNorm::new(1.0).unwrap();
    let mut draws = vec![0; params.len()];
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
            let sum = &workspace
                .clipped_gradient_sum(&params, (&data, &chosen), clip, None)
                .unwrap()
                .sum;
            match mode {
                Mode::Tables(noise) => noise.fill(&mut draws, &mut rng),
                Mode::Exact(noise) => noise.fill(&mut draws, &mut rng),
                _ => draws.clear(),
            }
            update(&mut params, sum, &draws, 0.01 / batch as f64);
            done += batch;
        }
    }
    done as f64 / clock.elapsed().as_secs_f64()
}

/// A step with the sum, in fixed point where there is noise.
fn update(params: &mut [f64], sum: &[f64], draws: &[i64], rate: f64) {
    if draws.is_empty() {
        for (param, g) in params.iter_mut().zip(sum) {
            *param -= rate * g;
        }
        return;
    }
    let fixed = FixedPoint::new(16);
    for ((param, g), draw) in params.iter_mut().zip(sum).zip(draws) {
        let noised = fixed.encode(*g).unwrap().wrapping_add(*draw);
        *param -= rate * fixed.decode(noised);
    }
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

/// Fused multiply-adds of `f32` a second, in twelve vector registers.
fn multiply_adds(cpu: bool) -> f64 {
    #[inline(always)]
    fn work<V: Simd>(simd: V) -> f64 {
        let mut sums = [V::f32s::splat(simd, 0.5); 12];
        let [factor, term] = [0.999, 0.001].map(|v| V::f32s::splat(simd, std::hint::black_box(v)));
        for _ in 0..100_000 {
            for sum in &mut sums {
                *sum = sum.mul_add_precise(factor, term);
            }
        }
        std::hint::black_box(sums.map(|sum| sum.as_slice().iter().sum::<f32>()));
        (12 * 100_000 * V::f32s::LEN) as f64
    }
    let clock = Clock::start(cpu);
    let mut done = 0.0;
    while clock.elapsed().as_secs_f64() < 0.3 {
        done += dispatch!(Level::new(), simd => work(simd));
    }
    done / clock.elapsed().as_secs_f64()
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
