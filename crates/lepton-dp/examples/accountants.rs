//! Times of the accountants, as one JSON document: what `scripts/bench_accountants.py` puts beside the peer's.
//!
//! Mean of several runs, in seconds of this thread's processor time where the system tells it (Linux), of the clock elsewhere.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads clocks")]

use std::hint::black_box;
use std::time::Instant;

use lepton_dp::compose::{AccountError, Charge, Method, Noise, Plan, smallest_factor};
use lepton_dp::pld::Pld;
use lepton_dp::rdp::Renyi;
use lepton_dp::{Delta, Epsilon, SamplingRate};

/// Mean over `runs`: the system counts a thread's time in steps of milliseconds.
fn mean<T>(runs: u32, work: impl Fn() -> Result<T, AccountError>) -> Result<f64, AccountError> {
    black_box(work()?);
    let (clock, busy) = (Instant::now(), processor_time());
    for _ in 0..runs {
        black_box(work()?);
    }
    let passed = match (busy, processor_time()) {
        (Some(from), Some(to)) => to - from,
        _ => clock.elapsed().as_secs_f64(),
    };
    Ok(passed / f64::from(runs))
}

/// Seconds that this thread ran.
fn processor_time() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds * 1e-9)
}

fn steps(rate: f64, sigma: f64, count: u64) -> Result<Charge, AccountError> {
    Ok(Charge::new(
        Noise::Gaussian { sigma },
        SamplingRate::new(rate)?,
        count,
    )?)
}

fn plan(charges: Vec<Charge>) -> Plan {
    Plan {
        charges,
        ..Plan::default()
    }
}

fn main() -> Result<(), AccountError> {
    let delta = Delta::new(1e-5)?;
    let training = plan(vec![steps(0.01, 1.0, 1000)?]);
    let long = plan(vec![steps(0.01, 1.0, 10_000)?]);
    let many: Result<Vec<Charge>, AccountError> = (0..100u32)
        .map(|i| steps(0.01, 1.0 + f64::from(i) / 100.0, 1))
        .collect();
    let many = plan(many?);
    let orders: Vec<f64> = (2..1002u32).map(f64::from).collect();
    let target = Epsilon::new(1.0)?;
    let figures = [
        (
            "rdp_default_orders",
            mean(20, || Ok(Renyi::new(&training)?.epsilon(delta)?))?,
        ),
        (
            "rdp_1000_orders",
            mean(20, || Renyi::with_orders(&training, orders.clone()))?,
        ),
        (
            "pld_10000_steps",
            mean(20, || Pld::new(&long)?.epsilon(delta))?,
        ),
        (
            "pld_10000_steps_grid_1e-4",
            mean(20, || Pld::new(&long)?.with_interval(1e-4).epsilon(delta))?,
        ),
        (
            "pld_10000_steps_grid_1e-5",
            mean(20, || Pld::new(&long)?.with_interval(1e-5).epsilon(delta))?,
        ),
        (
            "pld_100_different_steps",
            mean(3, || Pld::new(&many)?.epsilon(delta))?,
        ),
        (
            "pld_100_different_steps_grid_1e-4",
            mean(3, || Pld::new(&many)?.with_interval(1e-4).epsilon(delta))?,
        ),
        (
            "calibrate_rdp",
            mean(3, || smallest_factor(&training, Method::Rdp, target, delta))?,
        ),
        (
            "calibrate_pld",
            mean(3, || smallest_factor(&training, Method::Pld, target, delta))?,
        ),
    ];
    let lines: Vec<String> = figures
        .iter()
        .map(|(name, seconds)| format!("  \"{name}\": {seconds:.6}"))
        .collect();
    println!("{{\n{}\n}}", lines.join(",\n"));
    Ok(())
}
