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
use lepton_protocol::plan::MAX_ROWS;
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
        vault_key: None,
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

/// Length of what one record at the edge of its bounds moves, alone and beside others, over the sensitivity that `nominal`'s noise is calibrated to; the noise is left
/// out. Lengths are in units of the gradient, whatever the scale.
fn record_over_sensitivity(measured: &Federation, nominal: &Federation) -> f64 {
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let (training, mut work) = before_training(measured, &mut rng);
    work.exchange.noise = None;
    let rows = &measured.parties.first().unwrap().rows;
    let last = rows.train.first().unwrap().len() - 1;
    let mut longest = 0.0_f64;
    for (others, row) in [(0, 0), (0, last), (1, last / 2), (40, last), (last, last)] {
        for seed in 0..8 {
            // One coin a row, the record's last: neighbours sample the same of the others.
            let vector = |with: &[usize]| {
                let mut worker = Worker::new(party(rows, others, with));
                let mut rng = ChaCha20Rng::seed_from_u64(seed);
                worker.contribute(&measured.plan, &work, &mut rng).unwrap()
            };
            let (with, without) = (vector(&[row]), vector(&[]));
            let moved = with
                .iter()
                .zip(without)
                .map(|(a, b)| i32::try_from(a - b).unwrap());
            let squares: f64 = moved.map(|v| f64::from(v).powi(2)).sum();
            longest = longest.max(squares.sqrt());
        }
    }
    let (plan, len) = (&nominal.plan, training.parameters().len());
    let spec = plan.model_spec(training.public()).unwrap();
    let eta = lepton_learn::float_error_eta(&spec, MAX_ROWS).unwrap();
    let scale = plan.gradient_scale(len, training.public());
    let sensitivity = lepton_dp::round_sensitivity(
        scale * plan.clip(training.public()).unwrap().get(),
        eta,
        len,
    );
    (longest / measured.plan.gradient_scale(len, training.public())) / (sensitivity / scale)
}

/// The first `others` rows, and after them those of `with` at the edge of their bounds.
fn party(rows: &PartyRows, others: usize, with: &[usize]) -> PartyRows {
    let others: Vec<usize> = (0..others).collect();
    let column = |column: &RawColumn| {
        let (own, more) = (column.select(&others), edge(&column.select(with)));
        match (own, more) {
            (RawColumn::Numeric { name, values }, RawColumn::Numeric { values: more, .. }) => {
                let values = values.into_iter().chain(more).collect();
                RawColumn::Numeric { name, values }
            }
            (RawColumn::Category { name, values }, RawColumn::Category { values: more, .. }) => {
                let values = values.into_iter().chain(more).collect();
                RawColumn::Category { name, values }
            }
            _ => unreachable!("both halves are of one column"),
        }
    };
    PartyRows {
        train: rows.train.iter().map(column).collect(),
        hold_out: rows.hold_out.iter().map(|c| c.select(&[])).collect(),
    }
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
    for clip in ["privacy.clip=4", "privacy.clip=0.5"] {
        let federation = federation(&[PRIVATE.as_slice(), &[clip]].concat());
        let ratio = record_over_sensitivity(&federation, &federation);
        assert!(ratio <= 1.0, "{clip}: {ratio}");
        assert!(ratio > 0.9, "the canaries have no power: {clip}: {ratio}");
    }
}

/// The same canaries under a clipping norm that never clips, and under one a fortieth too long, held against the nominal sensitivity.
#[test]
fn ft_04_missing_clipping_is_found() {
    let at = |clip: &str| federation(&[PRIVATE.as_slice(), &[clip]].concat());
    for planted in ["privacy.clip=4096", "privacy.clip=4.1"] {
        let ratio = record_over_sensitivity(&at(planted), &at("privacy.clip=4"));
        assert!(ratio > 1.0, "{planted}: {ratio}");
    }
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
