//! The least noise that meets a goal.

use crate::{Accountant, Delta, DpError, Epsilon, NoiseMultiplier};

/// Largest noise multiplier that [`calibrate`] tries.
pub const MAX_NOISE_MULTIPLIER: f64 = 1e6;

/// Smallest noise multiplier that [`calibrate`] returns.
pub const MIN_NOISE_MULTIPLIER: f64 = 1e-3;

/// Relative width at which bisection stops.
const TOLERANCE: f64 = 1e-4;

/// The smallest noise multiplier, to 1e-4 relative and from [`MIN_NOISE_MULTIPLIER`] on, for which the releases charged by `build` stay within
/// (`target`, `delta`). What is returned was itself checked (AC-14).
///
/// `build` charges all releases of a plan at the multiplier it is given; more noise must not cost more. A multiplier at which `build` fails
/// (noise shares too small for the sampler, say) counts as not meeting the goal.
///
/// # Errors
/// [`DpError::NoiseCannotMeetGoal`] with the smallest epsilon in reach when no multiplier up to [`MAX_NOISE_MULTIPLIER`] works; the error of `build` if it
/// failed at every multiplier tried.
pub fn calibrate(
    target: Epsilon,
    delta: Delta,
    build: impl Fn(NoiseMultiplier) -> Result<Accountant, DpError>,
) -> Result<NoiseMultiplier, DpError> {
    let epsilon_at = |z: f64| -> Result<Epsilon, DpError> {
        build(NoiseMultiplier::new(z)?)?
            .epsilon(delta)
            .map(|(epsilon, _)| epsilon)
    };
    let meets = |z: f64| epsilon_at(z).is_ok_and(|epsilon| epsilon <= target);

    let mut enough = first_that_meets(target, epsilon_at)?;
    let mut too_little = enough / 2.0;
    while too_little > MIN_NOISE_MULTIPLIER && meets(too_little) {
        enough = too_little;
        too_little /= 2.0;
    }
    too_little = too_little.max(MIN_NOISE_MULTIPLIER);
    if meets(too_little) {
        return NoiseMultiplier::new(too_little);
    }
    while enough - too_little > TOLERANCE * too_little {
        let middle = 0.5 * (enough + too_little);
        if meets(middle) {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    NoiseMultiplier::new(enough)
}

/// Tries 1, 2, 4, .. up to the limit.
fn first_that_meets(
    target: Epsilon,
    epsilon_at: impl Fn(f64) -> Result<Epsilon, DpError>,
) -> Result<f64, DpError> {
    let mut reachable: Result<Epsilon, DpError> = Err(DpError::Unbounded);
    let mut z: f64 = 1.0;
    loop {
        match epsilon_at(z) {
            Ok(epsilon) if epsilon <= target => return Ok(z),
            Ok(epsilon) => {
                reachable =
                    Ok(reachable.map_or(
                        epsilon,
                        |least| if epsilon < least { epsilon } else { least },
                    ))
            }
            Err(error) => reachable = reachable.or(Err(error)),
        }
        if z >= MAX_NOISE_MULTIPLIER {
            return Err(reachable.map_or_else(
                |error| error,
                |reachable| DpError::NoiseCannotMeetGoal {
                    target,
                    reachable,
                    limit: MAX_NOISE_MULTIPLIER,
                },
            ));
        }
        z = (2.0 * z).min(MAX_NOISE_MULTIPLIER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, SamplingRate};

    fn goal(epsilon: f64) -> (Epsilon, Delta) {
        (Epsilon::new(epsilon).unwrap(), Delta::new(1e-5).unwrap())
    }

    fn sampled(count: u64) -> impl Fn(NoiseMultiplier) -> Result<Accountant, DpError> {
        move |noise_multiplier| {
            let mut accountant = Accountant::new();
            accountant.add(
                &Event::SampledGaussian {
                    sampling_rate: SamplingRate::new(0.01)?,
                    noise_multiplier,
                },
                count,
            )?;
            Ok(accountant)
        }
    }

    #[test]
    fn result_is_smallest_and_sufficient() {
        for epsilon in [0.5, 1.0, 3.0, 20.0] {
            let (target, delta) = goal(epsilon);
            let build = sampled(1000);
            let z = calibrate(target, delta, &build).unwrap();
            assert!(build(z).unwrap().epsilon(delta).unwrap().0 <= target);
            let less = NoiseMultiplier::new(z.get() * (1.0 - 2e-4)).unwrap();
            assert!(build(less).unwrap().epsilon(delta).unwrap().0 > target);
        }
    }

    #[test]
    fn says_what_can_be_reached() {
        let (target, delta) = goal(1.0);
        let fixed = Event::Gaussian {
            noise_multiplier: NoiseMultiplier::new(2.0).unwrap(),
        };
        let build = |noise_multiplier| {
            let mut accountant = sampled(10)(noise_multiplier)?;
            accountant.add(&fixed, 1)?;
            Ok(accountant)
        };
        let error = calibrate(target, delta, build).unwrap_err();
        let DpError::NoiseCannotMeetGoal { reachable, .. } = error else {
            panic!("{error}")
        };
        let mut alone = Accountant::new();
        alone.add(&fixed, 1).unwrap();
        let least = alone.epsilon(delta).unwrap().0.get();
        assert!(reachable.get() >= least && reachable.get() < least * 1.001);
        assert!(error.to_string().contains(&format!(
            "smallest epsilon that can be reached is {reachable}"
        )));
    }

    #[test]
    fn goals_below_the_orders_are_refused_and_generous_ones_bounded() {
        let (target, delta) = goal(1e-4);
        assert!(matches!(
            calibrate(target, delta, sampled(1)),
            Err(DpError::NoiseCannotMeetGoal { .. })
        ));
        let (target, delta) = goal(1e12);
        assert_eq!(
            calibrate(target, delta, sampled(1)).unwrap().get(),
            MIN_NOISE_MULTIPLIER
        );
    }

    #[test]
    fn failures_of_the_builder_count_as_too_little_or_are_reported() {
        let (target, delta) = goal(100.0);
        let picky = |z: NoiseMultiplier| {
            if z.get() < 3.0 {
                Err(DpError::Unbounded)
            } else {
                sampled(1)(z)
            }
        };
        let z = calibrate(target, delta, picky).unwrap();
        assert!(z.get() >= 3.0 && z.get() < 3.001);
        assert_eq!(
            calibrate(target, delta, |_| Err(DpError::Unbounded)).unwrap_err(),
            DpError::Unbounded
        );
    }
}
