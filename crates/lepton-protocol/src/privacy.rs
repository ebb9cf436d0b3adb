//! The privacy plan: the noise of every exchange of a job, fixed before anything is sampled (rules FT-04 to FT-06).

use lepton_dp::rdp::{Accountant, Event};
use lepton_dp::{
    Delta, DistributedNoise, DpError, Epsilon, MAX_SCALE, NoiseMultiplier, SamplingRate, calibrate,
};

use crate::ledger::Limit;

/// Smallest integer standard deviation of one party's noise (rule FT-05).
pub const SMALLEST_SIGMA: u64 = 2;

/// Who adds the training noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseAt {
    /// Every party a share; one clipped step a round (FT-05).
    Distributed,
    /// Every party the whole; several private steps a round (FT-06).
    Local,
}

/// What a job asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// Epsilon that no record's loss may pass.
    pub epsilon: Epsilon,
    /// At this delta.
    pub delta: Delta,
    /// Public Poisson sampling rate of training records.
    pub sampling_rate: SamplingRate,
    /// Who adds the training noise.
    pub noise: NoiseAt,
    /// Share of the squared Gaussian budget of the training side spent on preparation.
    pub prepare_share: f64,
}

/// How often each kind of exchange will be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Noised preparation exchanges, 1 or 2.
    pub preparations: u32,
    /// Noised steps on training records.
    pub steps: u64,
    /// Evaluations between rounds.
    pub evaluations: u32,
}

/// Parties whose noise counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseShares {
    /// Survivor floor m: this many shares are in every sum.
    pub floor: u32,
    /// m − max(c, 1): this many remain against the coordinator with its colluders, and against any single party.
    pub honest: u32,
}

/// Noise multipliers of all exchanges, against the coordinator with its colluders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivacyPlan {
    /// The goal it keeps.
    pub goal: Goal,
    /// Whose noise counts in a sum over all parties.
    pub shares: NoiseShares,
    /// Whose noise counts in a training sum: those of a group, where updates are combined over groups (FT-20).
    pub training_shares: NoiseShares,
    /// Survey and statistics, each.
    pub prepare: NoiseMultiplier,
    /// Each training step.
    pub training: NoiseMultiplier,
    /// Each evaluation between rounds.
    pub evaluation: NoiseMultiplier,
    /// The final evaluation.
    pub last_evaluation: NoiseMultiplier,
    /// What each party's ledger enforces: the goal at the orders that decide for this schedule.
    pub limit: Limit,
}

/// What noise has to hide in a vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// L2 distance that one record moves it, in integer units.
    pub sensitivity: f64,
    /// Its length.
    pub len: usize,
}

/// Integer noise of one exchange and what it is charged as.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Standard deviation of each party's discrete Gaussian, in integer units.
    pub sigma: u64,
    /// The mechanism as the coordinator with its colluders sees it.
    pub event: Event,
    /// The mechanism as the public sees it.
    pub public_event: Event,
}

impl PrivacyPlan {
    /// Fixes the noise for a goal and a schedule: `shares` of it in a sum over all parties, `training_shares` in one of a training round, which is that of a
    /// group where there are groups (FT-20).
    ///
    /// # Errors
    /// [`DpError`] when no noise can meet the goal.
    pub fn new(
        goal: Goal,
        shares: NoiseShares,
        training_shares: NoiseShares,
        schedule: Schedule,
    ) -> Result<Self, DpError> {
        let single = |z: NoiseMultiplier| accountant(&[(gaussian(z), 1)]);
        let whole = calibrate(goal.epsilon, goal.delta, single)?.get();
        let scaled = |factor: f64| NoiseMultiplier::new(whole * factor.sqrt());
        let prepare = scaled(f64::from(schedule.preparations.max(1)) / goal.prepare_share)?;
        let training = calibrate(goal.epsilon, goal.delta, |z| {
            accountant(&[
                (gaussian(prepare), u64::from(schedule.preparations)),
                (step(goal.sampling_rate, z), schedule.steps),
            ])
        })?;
        let (evaluation, last_evaluation) = match schedule.evaluations {
            0 => (scaled(1.0)?, scaled(1.0)?),
            count => (scaled(2.0 * f64::from(count))?, scaled(2.0)?),
        };
        let hold_out = accountant(&[
            (gaussian(evaluation), u64::from(schedule.evaluations)),
            (gaussian(last_evaluation), 1),
        ])?;
        let planned = accountant(&[
            (gaussian(prepare), u64::from(schedule.preparations)),
            (step(goal.sampling_rate, training), schedule.steps),
        ])?;
        let limit = Limit {
            epsilon: goal.epsilon,
            delta: goal.delta,
            training_order: planned.epsilon(goal.delta)?.1,
            hold_out_order: hold_out.epsilon(goal.delta)?.1,
        };
        Ok(Self {
            limit,
            goal,
            shares,
            training_shares,
            prepare,
            training,
            evaluation,
            last_evaluation,
        })
    }

    /// Noise of a sum that every record enters, over a vector of the given [`Shape`].
    ///
    /// # Errors
    /// [`DpError`] when sigma is out of the sampler's range.
    pub fn whole_sum(&self, z: NoiseMultiplier, shape: Shape) -> Result<Noise, DpError> {
        self.shared_noise(z, shape, self.shares, gaussian)
    }

    /// Noise of one training step over a vector of the given [`Shape`].
    ///
    /// # Errors
    /// [`DpError`] when sigma is out of the sampler's range.
    pub fn training_step(&self, shape: Shape) -> Result<Noise, DpError> {
        let rate = self.goal.sampling_rate;
        match self.goal.noise {
            NoiseAt::Distributed => {
                let shares = self.training_shares;
                self.shared_noise(self.training, shape, shares, |z| step(rate, z))
            }
            NoiseAt::Local => {
                let sigma = integer_sigma(self.training.get() * shape.sensitivity)?;
                let event = step(rate, effective(sigma, 1, shape.sensitivity)?);
                Ok(Noise {
                    sigma,
                    public_event: event,
                    event,
                })
            }
        }
    }

    fn shared_noise(
        &self,
        z: NoiseMultiplier,
        Shape { sensitivity, len }: Shape,
        shares: NoiseShares,
        event: impl Fn(NoiseMultiplier) -> Event,
    ) -> Result<Noise, DpError> {
        let sigma = integer_sigma(z.get() * sensitivity / f64::from(shares.honest).sqrt())?;
        let seen_by = |parties: u32| -> Result<Event, DpError> {
            let noise = DistributedNoise::new(parties, sigma, len)?;
            Ok(event(effective(sigma, parties, sensitivity)?).with_slack(noise))
        };
        Ok(Noise {
            sigma,
            event: seen_by(shares.honest)?,
            public_event: seen_by(shares.floor)?,
        })
    }
}

/// Largest number of steps (at most `wanted`) that still fits after `spent` under `limit`: used after a repeated preparation (FT-10).
///
/// # Errors
/// [`DpError`] when the arithmetic fails.
pub fn affordable_steps(
    spent: &Accountant,
    event: &Event,
    limit: &Limit,
    wanted: u64,
) -> Result<u64, DpError> {
    let fits = |steps: u64| -> Result<bool, DpError> {
        let mut total = spent.clone();
        if steps > 0 {
            total.add(event, steps)?;
        }
        Ok(total.epsilon_by(limit.training_order, limit.delta) <= limit.epsilon.get())
    };
    if fits(wanted)? {
        return Ok(wanted);
    }
    let (mut low, mut high) = (0, wanted);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle)? {
            low = middle
        } else {
            high = middle
        }
    }
    Ok(low)
}

fn accountant(events: &[(Event, u64)]) -> Result<Accountant, DpError> {
    let mut total = Accountant::new();
    for (event, count) in events.iter().filter(|(_, count)| *count > 0) {
        total.add(event, *count)?;
    }
    Ok(total)
}

fn gaussian(z: NoiseMultiplier) -> Event {
    Event::Gaussian {
        noise_multiplier: z,
    }
}

fn step(rate: SamplingRate, z: NoiseMultiplier) -> Event {
    Event::SampledGaussian {
        sampling_rate: rate,
        noise_multiplier: z,
    }
}

/// Rounded up, so never less noise than planned.
fn integer_sigma(sigma: f64) -> Result<u64, DpError> {
    let rounded = (sigma * (1.0 + 1e-12)).ceil();
    #[expect(clippy::cast_precision_loss, reason = "2^40 is exact")]
    let largest = MAX_SCALE as f64;
    if rounded.is_nan() || rounded > largest {
        let range =
            "at most 2^40 integer units; use fewer parameters, a smaller clip or a larger epsilon";
        return Err(DpError::OutOfRange {
            what: "the standard deviation of a party's noise",
            range,
            value: sigma,
        });
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^40"
    )]
    let sigma = rounded as u64;
    Ok(sigma.max(SMALLEST_SIGMA))
}

/// The multiplier that `parties` shares of `sigma` really give, rounded down by a hair so that float error never flatters it.
fn effective(sigma: u64, parties: u32, sensitivity: f64) -> Result<NoiseMultiplier, DpError> {
    #[expect(clippy::cast_precision_loss, reason = "sigma is below 2^40")]
    let sigma = sigma as f64;
    NoiseMultiplier::new(sigma * f64::from(parties).sqrt() / sensitivity * (1.0 - 1e-12))
}
