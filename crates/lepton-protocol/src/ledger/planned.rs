//! What a job will charge, known before it begins: its schedule is fixed with its plan (FT-04).

use lepton_dp::rdp::{Accountant, Event};
use lepton_dp::{Delta, DpError, NoiseMultiplier, SamplingRate};

use super::Side;
use super::amount::{Amount, Curve};
use crate::exchange::Kind;
use crate::job::Unit;
use crate::plan::Plan;
use crate::privacy::NoiseAt;

/// Added to each planned cost: what sums of shares add to one Gaussian (AC-12), rounding of integers, of multipliers and of each charge for itself.
const RELATIVE_MARGIN: f64 = 1e-6;
/// Billionths added for each release.
const MARGIN: u64 = 2;

/// Releases of one kind that a job plans.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    /// Which records they touch.
    pub side: Side,
    /// The mechanism.
    pub event: Event,
    /// How many.
    pub count: u64,
    /// How many entries of the ledger that makes (several private steps may be one exchange).
    pub charges: u64,
}

/// All releases of a job, in no order; `None` without a privacy goal.
#[must_use]
pub fn planned(plan: &Plan) -> Option<Vec<Planned>> {
    let privacy = plan.privacy()?;
    let rounds = u64::from(plan.rounds());
    let steps = match privacy.goal.noise {
        NoiseAt::Distributed => rounds,
        NoiseAt::Local => rounds * u64::from(plan.local_steps()),
    };
    let evaluations = (1..plan.rounds())
        .filter(|round| plan.evaluates_after(*round))
        .count() as u64;
    let whole = |kind: Kind, noise_multiplier, count| Planned {
        side: plan.side(kind),
        event: Event::Gaussian { noise_multiplier },
        count,
        charges: count,
    };
    let training = Planned {
        side: Side::Training,
        event: privacy.step(privacy.training),
        count: steps,
        charges: rounds,
    };
    Some(vec![
        whole(
            Kind::Statistics,
            privacy.prepare,
            1 + u64::from(plan.needs_survey()),
        ),
        training,
        whole(Kind::Evaluation, privacy.evaluation, evaluations),
        whole(Kind::FinalEvaluation, privacy.last_evaluation, 1),
    ])
}

/// What all of them cost a unit. A record is on one side only (FT-03), so the larger of the two sides at each order counts; persons and parties have records
/// on both, and both add up.
///
/// # Errors
/// [`DpError`] when the loss is not finite at any order.
pub fn cost(planned: &[Planned], unit: Unit) -> Result<Curve, DpError> {
    let [training, hold_out] = [Side::Training, Side::HoldOut].map(|side| {
        let mut total = Accountant::new();
        let mut extra = 0;
        for part in planned.iter().filter(|part| part.side == side) {
            total.add(&part.event, part.count)?;
            extra += part.charges * MARGIN;
        }
        let amounts: Vec<Amount> = total
            .rdp()
            .map(|(_, rdp)| with_margin(rdp).plus(Amount::from_units(extra)))
            .collect();
        Ok::<_, DpError>(Curve::try_from(amounts).unwrap_or_default())
    });
    Ok(of_sides(&training?, &hold_out?, unit))
}

/// What a unit is charged of the two sides' amounts.
pub(super) fn of_sides(training: &Curve, hold_out: &Curve, unit: Unit) -> Curve {
    match unit {
        Unit::Record => training.or(hold_out),
        Unit::Person | Unit::Party => training.plus(hold_out),
    }
}

/// The largest epsilon at `delta` of a job that differs from this one in its noise alone and costs at most `remaining` at `order`; rounded down to two
/// digits, with one per cent to spare for a plan that is made anew. Zero where none fits.
#[must_use]
pub fn largest_epsilon(
    planned: &[Planned],
    (order, remaining): (u32, Amount),
    delta: Delta,
) -> f64 {
    let fits = |factor: f64| {
        let cost = |part: &Planned| part.event.rdp(order) * part.count as f64;
        let scaled = planned.iter().map(|part| louder(part, factor));
        let mut sides = [0.0_f64; 2];
        for part in scaled {
            let Ok(part) = part else { return false };
            let [training, hold_out] = &mut sides;
            match part.side {
                Side::Training => *training += cost(&part),
                Side::HoldOut => *hold_out += cost(&part),
            }
        }
        let dearer = sides.into_iter().fold(0.0, f64::max);
        with_margin(dearer).plus(Amount::from_units(
            MARGIN * planned.iter().map(|part| part.charges).sum::<u64>(),
        )) <= remaining
    };
    let (mut low, mut high) = (1e-3_f64, 1e6_f64);
    if !fits(high) {
        return 0.0;
    }
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if fits(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    let scaled: Result<Vec<Planned>, DpError> =
        planned.iter().map(|part| louder(part, high)).collect();
    let epsilon = scaled
        .and_then(|parts| goal_of(&parts, delta))
        .unwrap_or(0.0);
    two_digits_below(epsilon * 0.99)
}

/// The epsilon that a plan with this noise was made for: the larger of the two sides'.
fn goal_of(planned: &[Planned], delta: Delta) -> Result<f64, DpError> {
    let mut largest = 0.0_f64;
    for side in [Side::Training, Side::HoldOut] {
        let mut total = Accountant::new();
        for part in planned.iter().filter(|part| part.side == side) {
            total.add(&part.event, part.count)?;
        }
        largest = largest.max(total.epsilon(delta)?.0.get());
    }
    Ok(largest)
}

fn louder(part: &Planned, factor: f64) -> Result<Planned, DpError> {
    let noise_multiplier = NoiseMultiplier::new(part.event.noise_multiplier().get() * factor)?;
    let sampling_rate: SamplingRate = part.event.sampling_rate();
    let event = Event::SampledGaussian {
        sampling_rate,
        noise_multiplier,
    };
    Ok(Planned { event, ..*part })
}

fn with_margin(rdp: f64) -> Amount {
    Amount::not_below(rdp * (1.0 + RELATIVE_MARGIN))
}

fn two_digits_below(value: f64) -> f64 {
    if !(value.is_finite() && value > 1e-6) {
        return 0.0;
    }
    let unit = libm::exp10(libm::floor(libm::log10(value)) - 1.0);
    // Printed and read again: 0.73, not 0.7300000000000001.
    let steps = libm::floor(value / unit);
    format!("{:.*}", 8, steps * unit).parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaussian(side: Side, z: f64, count: u64) -> Planned {
        Planned {
            side,
            event: Event::Gaussian {
                noise_multiplier: NoiseMultiplier::new(z).unwrap(),
            },
            count,
            charges: count,
        }
    }

    /// FT-03: a record is on one side only.
    #[test]
    fn the_dearer_side_counts() {
        let [cheap, dear] = [
            gaussian(Side::HoldOut, 9.0, 1),
            gaussian(Side::Training, 3.0, 4),
        ];
        let of = |planned: &[Planned], unit| cost(planned, unit).unwrap();
        let [record, person] = [Unit::Record, Unit::Person];
        assert_eq!(of(&[cheap, dear], record), of(&[dear], record));
        assert!(of(&[cheap], record).at(8) < of(&[dear], record).at(8));
        // A person has records on both sides.
        let both = of(&[cheap], record).plus(&of(&[dear], record));
        assert_eq!(of(&[cheap, dear], person), both);
    }

    #[test]
    fn the_largest_epsilon_fits_and_little_more_does() {
        let delta = Delta::new(1e-5).unwrap();
        let job = [
            gaussian(Side::Training, 4.0, 10),
            gaussian(Side::HoldOut, 3.0, 1),
        ];
        let (order, remaining) = (6, Amount::not_below(0.3));
        let largest = largest_epsilon(&job, (order, remaining), delta);
        // The same job, its noise such that it has exactly this epsilon.
        let epsilon_at = |factor: f64| {
            let parts: Vec<Planned> = job
                .iter()
                .map(|part| louder(part, factor).unwrap())
                .collect();
            (
                goal_of(&parts, delta).unwrap(),
                cost(&parts, Unit::Record).unwrap().at(order),
            )
        };
        let (mut low, mut high) = (1e-2, 1e3);
        for _ in 0..80 {
            let middle = 0.5 * (low + high);
            if epsilon_at(middle).0 > largest {
                low = middle
            } else {
                high = middle
            }
        }
        assert!(epsilon_at(high).1 <= remaining, "{largest}");
        assert!(epsilon_at(high * 0.85).1 > remaining, "{largest}");
        assert_eq!(largest_epsilon(&job, (order, Amount::ZERO), delta), 0.0);
    }
}
