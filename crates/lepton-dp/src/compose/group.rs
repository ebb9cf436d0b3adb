//! Groups of records: what a plan costs those who hold several records together (AC-29).

use super::{AccountError, Charge, Method, Noise, Plan, epsilon};
use crate::pld::Pld;
use crate::rdp::Renyi;
use crate::{Delta, DpError, Epsilon, SamplingRate};

/// Largest group.
pub const MAX_GROUP: u32 = 1 << 20;

impl Charge {
    /// What the charge is to a group of `size` records: that many times the sensitivity; sampled, with the chance that any of them is in the sample; for randomised
    /// response, which every record answers for itself, that many times the count.
    ///
    /// # Errors
    /// As [`Charge::new`], since the noise is stated per unit of sensitivity.
    pub fn group(&self, size: u32) -> Result<Self, DpError> {
        let size = checked(size)?;
        if size == 1 {
            return Ok(*self);
        }
        let times = f64::from(size);
        let wider = |sensitivity: u32| {
            sensitivity.checked_mul(size).ok_or(DpError::OutOfRange {
                what: "the sensitivity of discrete noise for the group",
                range: "at most 2^20",
                value: times * f64::from(sensitivity),
            })
        };
        let mut count = self.count();
        let noise = match self.noise() {
            Noise::Gaussian { sigma } => Noise::Gaussian {
                sigma: (sigma / times).next_down(),
            },
            Noise::Laplace { scale } => Noise::Laplace {
                scale: (scale / times).next_down(),
            },
            Noise::DiscreteGaussian { sigma, sensitivity } => Noise::DiscreteGaussian {
                sigma,
                sensitivity: wider(sensitivity)?,
            },
            Noise::DiscreteLaplace { scale, sensitivity } => Noise::DiscreteLaplace {
                scale,
                sensitivity: wider(sensitivity)?,
            },
            response @ Noise::RandomisedResponse { .. } => {
                count = count.saturating_mul(u64::from(size));
                response
            }
        };
        Self::new(noise, any_of(self.rate(), times)?, count)
    }
}

/// Probability that at least one of `size` records is sampled, rounded up.
fn any_of(rate: SamplingRate, size: f64) -> Result<SamplingRate, DpError> {
    if rate.get() >= 1.0 {
        return Ok(rate);
    }
    let none = size * libm::log1p(-rate.get());
    let any = -libm::expm1(none * (1.0 + 8.0 * f64::EPSILON)) * (1.0 + 8.0 * f64::EPSILON);
    SamplingRate::new(any.clamp(rate.get(), 1.0))
}

fn checked(size: u32) -> Result<u32, DpError> {
    if (1..=MAX_GROUP).contains(&size) {
        return Ok(size);
    }
    Err(DpError::OutOfRange {
        what: "the size of the group",
        range: "from 1 to 2^20",
        value: f64::from(size),
    })
}

impl Plan {
    /// The plan as a group of `size` records sees it.
    ///
    /// # Errors
    /// As [`Charge::group`].
    pub fn group(&self, size: u32) -> Result<Self, DpError> {
        self.mapped(|charge| charge.group(size))
    }
}

/// The smallest epsilon that `method` shows at `delta` for groups of `size` records: by the group's own plan, or from the curve for one record where that shows less.
///
/// # Errors
/// As [`epsilon`], where neither way shows one.
pub fn group_epsilon(
    plan: &Plan,
    method: Method,
    size: u32,
    delta: Delta,
) -> Result<Epsilon, AccountError> {
    let size = checked(size)?;
    if size == 1 {
        return epsilon(plan, method, delta);
    }
    let direct = plan.group(size).map_err(AccountError::Dp);
    let direct = direct.and_then(|plan| epsilon(&plan, method, delta));
    let curve = Curve::of(plan, method)?;
    match (direct, curve.group_epsilon(f64::from(size), delta.get())) {
        (Ok(direct), Some(found)) => Ok(if found < direct { found } else { direct }),
        (Err(_), Some(found)) => Ok(found),
        (direct, None) => direct,
    }
}

/// The smallest delta that `method` shows at `epsilon` for groups of `size` records, as [`group_epsilon`].
///
/// # Errors
/// As there.
pub fn group_delta(
    plan: &Plan,
    method: Method,
    size: u32,
    epsilon: f64,
) -> Result<Delta, AccountError> {
    let size = checked(size)?;
    let direct = plan.group(size).map_err(AccountError::Dp);
    let direct = direct.and_then(|plan| Curve::of(&plan, method)?.delta(epsilon));
    if size == 1 {
        return direct;
    }
    let (times, one) = (f64::from(size), epsilon / f64::from(size));
    let found = Curve::of(plan, method)?.delta(one.next_down().max(0.0));
    let found = found.map(|delta| Delta::new(delta.get() * growth(one, times)));
    match (direct, found) {
        (Ok(direct), Ok(Ok(found))) => Ok(if found < direct { found } else { direct }),
        (Err(_), Ok(Ok(found))) => Ok(found),
        (direct, _) => direct,
    }
}

/// delta(epsilon) of one record.
enum Curve {
    Renyi(Renyi),
    Pld(Pld),
}

impl Curve {
    fn of(plan: &Plan, method: Method) -> Result<Self, AccountError> {
        Ok(match method {
            Method::Rdp => Self::Renyi(Renyi::new(plan)?),
            Method::Pld => Self::Pld(Pld::new(plan)?),
        })
    }

    fn delta(&self, epsilon: f64) -> Result<Delta, AccountError> {
        Ok(match self {
            Self::Renyi(curve) => curve.delta(epsilon)?.0,
            Self::Pld(curve) => curve.delta(epsilon)?,
        })
    }

    /// `size` times the least epsilon found at which the group's delta is at most `delta`; nothing where none is found.
    fn group_epsilon(&self, size: f64, delta: f64) -> Option<Epsilon> {
        let meets = |epsilon: f64| {
            let one = self.delta(epsilon);
            one.is_ok_and(|one| one.get() * growth(epsilon, size) <= delta)
        };
        let (mut low, mut high) = (0.0, 1e-3);
        while !meets(high) {
            (low, high) = (high, 2.0 * high);
            if high > 1e4 {
                return None;
            }
        }
        while high - low > 1e-5 * high {
            let middle = 0.5 * (low + high);
            if meets(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Epsilon::new((size * high).next_up()).ok()
    }
}

/// `1 + e^epsilon + .. + e^((size-1) epsilon)`, rounded up: what delta is multiplied by when `size` steps of `epsilon` are taken one after the other.
fn growth(epsilon: f64, size: f64) -> f64 {
    let sum = if epsilon > 0.0 {
        libm::expm1(size * epsilon) / libm::expm1(epsilon)
    } else {
        size
    };
    sum.max(size) * (1.0 + (16.0 + 8.0 * size * epsilon) * f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Adjacency;

    fn plan(noise: Noise, rate: f64, count: u64) -> Plan {
        let rate = SamplingRate::new(rate).unwrap();
        Plan {
            charges: vec![Charge::new(noise, rate, count).unwrap()],
            ..Plan::default()
        }
    }

    fn delta(value: f64) -> Delta {
        Delta::new(value).unwrap()
    }

    /// Unsampled noise is exact: a group of three is one record of thrice the sensitivity.
    #[test]
    fn unsampled_groups_are_wider_records() {
        for method in [Method::Rdp, Method::Pld] {
            let three = group_epsilon(
                &plan(Noise::Gaussian { sigma: 6.0 }, 1.0, 4),
                method,
                3,
                delta(1e-6),
            );
            let wide = epsilon(
                &plan(Noise::Gaussian { sigma: 2.0 }, 1.0, 4),
                method,
                delta(1e-6),
            );
            let (three, wide) = (three.unwrap().get(), wide.unwrap().get());
            assert!(
                three >= wide && three <= wide * (1.0 + 1e-9),
                "{three} {wide}"
            );
        }
        let discrete = Noise::DiscreteLaplace {
            scale: 20.0,
            sensitivity: 2,
        };
        let three = group_epsilon(&plan(discrete, 1.0, 1), Method::Pld, 3, delta(1e-12))
            .unwrap()
            .get();
        assert!((0.299_99..=0.300_01).contains(&three), "{three}");
        let mut answers = plan(
            Noise::RandomisedResponse {
                probability: 0.5,
                categories: 2,
            },
            1.0,
            1,
        );
        answers.adjacency = Adjacency::ReplaceOne;
        let three = group_epsilon(&answers, Method::Pld, 3, delta(1e-12))
            .unwrap()
            .get();
        assert!((three / (3.0 * 3.0f64.ln()) - 1.0).abs() < 1e-3, "{three}");
    }

    /// A sampled group against what it is: a binomial number of the three records in the sample, integrated over a fine grid, both directions. The bound is above; twin:
    /// one record's own curve is below.
    #[test]
    fn sampled_groups_cover_the_mixture() {
        let (rate, sigma, size, level) = (0.1f64, 2.0f64, 3u32, 0.2f64);
        let normal = |x: f64, centre: f64| libm::exp(-0.5 * ((x - centre) / sigma).powi(2));
        let weights = [1.0, 3.0, 3.0, 1.0];
        let mixed = |x: f64| {
            let one = |(i, ways): (i32, &f64)| {
                ways * rate.powi(i) * (1.0 - rate).powi(3 - i) * normal(x, f64::from(i))
            };
            (0..).zip(&weights).map(one).sum::<f64>()
        };
        let (mut remove, mut add, mut all) = (0.0, 0.0, 0.0);
        for i in -40_000..40_000 {
            let x = f64::from(i) * 1e-3;
            let (p, q) = (mixed(x), normal(x, 0.0));
            remove += (p - level.exp() * q).max(0.0);
            add += (q - level.exp() * p).max(0.0);
            all += q;
        }
        let truth = remove.max(add) / all;
        let plan = plan(Noise::Gaussian { sigma }, rate, 1);
        for method in [Method::Rdp, Method::Pld] {
            let found = group_delta(&plan, method, size, level).unwrap().get();
            assert!(found >= truth, "{method:?} {found} {truth}");
        }
        let tight = group_delta(&plan, Method::Pld, size, level).unwrap().get();
        assert!(tight < 4.0 * truth, "{tight} {truth}");
        assert!(group_delta(&plan, Method::Pld, 1, level).unwrap().get() < truth);
    }

    /// For training with small rates the curve of one record shows less than the group's own plan.
    #[test]
    fn the_better_way_is_taken() {
        let training = plan(Noise::Gaussian { sigma: 1.0 }, 0.01, 1000);
        let one = epsilon(&training, Method::Rdp, delta(1e-5)).unwrap().get();
        let two = group_epsilon(&training, Method::Rdp, 2, delta(1e-5))
            .unwrap()
            .get();
        let own = epsilon(&training.group(2).unwrap(), Method::Rdp, delta(1e-5))
            .unwrap()
            .get();
        assert!(
            two > 2.0 * one && two < 3.5 * one && two < own,
            "{one} {two} {own}"
        );
        let back = group_delta(&training, Method::Rdp, 2, two).unwrap().get();
        assert!((back / 1e-5 - 1.0).abs() < 1e-3, "{back}");
        assert!(group_epsilon(&training, Method::Rdp, 0, delta(1e-5)).is_err());
        assert!(training.group(MAX_GROUP + 1).is_err());
        assert_eq!(growth(0.0, 7.0).floor(), 7.0);
        assert!((growth(1.0, 3.0) / (1.0 + 1f64.exp() + 2f64.exp()) - 1.0).abs() < 1e-13);
    }
}
