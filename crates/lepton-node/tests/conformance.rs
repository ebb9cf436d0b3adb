//! Does a party's work obey the laws that the accounting assumes? Each test would pass a sound build but once in a million times or less, and each has a
//! planted fault that it finds: noise halved, clipping off, batches of fixed size.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use chacha20::ChaCha20Rng;
use lepton_learn::RawColumn;
use lepton_node::tables::{Federation, Source};
use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::Place;
use lepton_protocol::party::Work;
use lepton_protocol::public::PublicState;
use lepton_protocol::training::Training;
use lepton_protocol::work::{PartyRows, Worker};
use rand_core::{CryptoRng, Rng, SeedableRng};

fn federation(overrides: &[&str]) -> Federation {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = Source {
        job: root.join("examples/breast_cancer/job.toml"),
        overrides: overrides.iter().map(|text| (*text).to_owned()).collect(),
        data: None,
        party_data: Vec::new(),
    };
    Federation::load(&source).unwrap()
}

fn work(federation: &Federation, training: &Training, kind: Kind, number: u64) -> Work {
    let exchange = federation.plan.exchange(kind, training.public()).unwrap();
    Work {
        place: Place {
            job: federation.job_digest,
            epoch: 1,
            round: number,
            attempt: 1,
        },
        training_round: 1,
        public: training.public().clone(),
        parameters: match kind {
            Kind::Survey | Kind::Statistics => Vec::new(),
            _ => training.parameters().to_vec(),
        },
        slot_key: None,
        exchange,
    }
}

/// The job just before its first training round.
fn before_training(federation: &Federation, rng: &mut impl CryptoRng) -> (Training, Work) {
    let plan = &federation.plan;
    let mut training = Training::new(plan, None);
    let rows = federation.parties.iter().map(|party| party.rows.clone());
    let mut workers: Vec<Worker> = rows.map(Worker::new).collect();
    loop {
        let next = training.next(plan, rng).unwrap().unwrap();
        let work = work(federation, &training, next.kind, next.number);
        if next.kind == Kind::Training {
            return (training, work);
        }
        let mut sum = vec![0_i64; work.exchange.len];
        for worker in &mut workers {
            let vector = worker.contribute(plan, &work, rng).unwrap();
            sum.iter_mut().zip(vector).for_each(|(s, v)| *s += v);
        }
        training.absorb(plan, &next, &sum, workers.len()).unwrap();
    }
}

const PRIVATE: [&str; 2] = ["privacy.epsilon=3", "training.rounds=5"];

/// What a party without rows sends is noise alone.
fn empty(federation: &Federation) -> Worker {
    let none = |columns: &[RawColumn]| columns.iter().map(|c| c.select(&[])).collect();
    let rows = &federation.parties.first().unwrap().rows;
    Worker::new(PartyRows {
        train: none(&rows.train),
        hold_out: none(&rows.hold_out),
    })
}

/// Variance of the noise over the claimed one. Over 6,000 draws its relative standard deviation is 1.9 %: 10 % off is more than five of them.
fn noise_ratio(planted: impl Fn(&mut Work)) -> f64 {
    let federation = federation(&PRIVATE);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let (_, mut work) = before_training(&federation, &mut rng);
    let claimed = work.exchange.noise.as_ref().unwrap().sigma;
    planted(&mut work);
    let mut worker = empty(&federation);
    let (mut squares, mut draws) = (0.0, 0_u32);
    while draws < 6000 {
        let vector = worker
            .contribute(&federation.plan, &work, &mut rng)
            .unwrap();
        for value in vector {
            squares += f64::from(i32::try_from(value).unwrap()).powi(2);
            draws += 1;
        }
    }
    squares / f64::from(draws) / f64::from(u32::try_from(claimed).unwrap()).powi(2)
}

#[test]
fn ft_05_the_noise_has_the_claimed_variance() {
    let ratio = noise_ratio(|_| ());
    assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
}

#[test]
fn ft_05_halved_noise_is_found() {
    let ratio = noise_ratio(|work| {
        let noise = work.exchange.noise.as_mut().unwrap();
        noise.sigma /= 2;
    });
    assert!((ratio - 1.0).abs() > 0.1, "{ratio}");
}

/// Length of what one record at the edge of its bounds moves, over the claimed sensitivity; the noise is left out.
fn record_over_sensitivity(overrides: &[&str]) -> f64 {
    let federation = federation(overrides);
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let (training, mut work) = before_training(&federation, &mut rng);
    work.exchange.noise = None;
    let rows = &federation.parties.first().unwrap().rows;
    let last = rows.train.first().unwrap().len() - 1;
    let mut longest = 0.0_f64;
    for row in [0, last / 2, last] {
        let one = |columns: &[RawColumn]| columns.iter().map(|c| edge(&c.select(&[row]))).collect();
        let mut worker = Worker::new(PartyRows {
            train: one(&rows.train),
            hold_out: rows.hold_out.iter().map(|c| c.select(&[])).collect(),
        });
        for _ in 0..8 {
            let vector = worker
                .contribute(&federation.plan, &work, &mut rng)
                .unwrap();
            let squares = vector
                .iter()
                .map(|v| f64::from(i32::try_from(*v).unwrap()).powi(2));
            longest = longest.max(squares.sum::<f64>().sqrt());
        }
    }
    let nominal = self::federation(&PRIVATE).plan;
    let len = training.parameters().len();
    #[expect(clippy::cast_precision_loss, reason = "a length")]
    let rounding = (len as f64).sqrt();
    longest / (nominal.gradient_scale(len, &PublicState::default()) * 4.0 * 1.001 + rounding)
}

/// Numbers a hundred times as large: beyond what any real row holds.
fn edge(column: &RawColumn) -> RawColumn {
    match column {
        RawColumn::Numeric { name, values } => RawColumn::Numeric {
            name: name.clone(),
            values: values.iter().map(|v| v.map(|v| v * 100.0)).collect(),
        },
        RawColumn::Category { .. } => column.clone(),
    }
}

#[test]
fn ft_04_no_record_moves_the_sum_by_more_than_the_sensitivity() {
    let nominal = [PRIVATE.as_slice(), &["privacy.clip=4"]].concat();
    let ratio = record_over_sensitivity(&nominal);
    assert!(ratio <= 1.0, "{ratio}");
    assert!(ratio > 0.5, "the canaries have no power: {ratio}");
}

/// The same canaries under a clipping norm that never clips, held against the nominal sensitivity.
#[test]
fn ft_04_missing_clipping_is_found() {
    let unclipped = [PRIVATE.as_slice(), &["privacy.clip=4096"]].concat();
    let federation = federation(&unclipped);
    let scale = federation.plan.gradient_scale(31, &PublicState::default())
        / self::federation(&PRIVATE)
            .plan
            .gradient_scale(31, &PublicState::default());
    let ratio = record_over_sensitivity(&unclipped) / scale;
    assert!(ratio > 1.0, "{ratio}");
}

/// Batch sizes of 2,000 draws from 300 rows at rate 0.3: their variance over that of the binomial law, and the largest deviation of a row's inclusions
/// from the mean in standard deviations.
fn batch_law(sample: impl Fn(&mut ChaCha20Rng) -> Vec<usize>) -> (f64, f64) {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let (rows, rate, draws) = (300.0, 0.3, 2000.0);
    let mut inclusions = vec![0.0_f64; 300];
    let mut squares = 0.0;
    for _ in 0..2000 {
        let batch = sample(&mut rng);
        squares += (f64::from(u32::try_from(batch.len()).unwrap()) - rows * rate).powi(2);
        for row in batch {
            *inclusions.get_mut(row).unwrap() += 1.0;
        }
    }
    let spread = (draws * rate * (1.0 - rate)).sqrt();
    let worst = inclusions
        .iter()
        .map(|n| ((n - draws * rate) / spread).abs());
    (
        squares / draws / (rows * rate * (1.0 - rate)),
        worst.fold(0.0, f64::max),
    )
}

/// The variance of 2,000 sizes is within 3.2 % (one standard deviation) of the law's: 17 % is more than five. Of 300 rows none is six standard deviations off
/// but with a chance below 6e-7.
fn conforms((variance, worst): (f64, f64)) -> bool {
    (variance - 1.0).abs() < 0.17 && worst < 6.0
}

#[test]
fn dp_02_batches_are_poisson_samples() {
    let law = batch_law(|rng| lepton_learn::poisson_sample(300, 0.3, rng).unwrap());
    assert!(conforms(law), "{law:?}");
}

#[test]
fn dp_02_batches_of_fixed_size_and_of_favoured_rows_are_found() {
    // Ninety rows of a random order, as shuffling and cutting gives.
    let shuffled = batch_law(|rng| {
        let mut order: Vec<usize> = (0..300).collect();
        for i in (1..300).rev() {
            let j = usize::try_from(rng.next_u64() % (i as u64 + 1)).unwrap();
            order.swap(i, j);
        }
        order.truncate(90);
        order
    });
    assert!(!conforms(shuffled), "{shuffled:?}");
    let favoured = batch_law(|rng| {
        let mut batch = lepton_learn::poisson_sample(300, 0.3, rng).unwrap();
        if !batch.contains(&0) && rng.next_u32().is_multiple_of(4) {
            batch.push(0);
        }
        batch
    });
    assert!(!conforms(favoured), "{favoured:?}");
}
