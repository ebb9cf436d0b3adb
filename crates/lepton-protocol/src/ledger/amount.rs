//! Privacy loss in whole numbers: what is added up over years is exact and does not depend on the order (LG-03).

use lepton_dp::rdp::{Accountant, Orders};
use lepton_dp::{Delta, Epsilon};
use serde::{Deserialize, Serialize};

/// Units of an [`Amount`] in one unit of Rényi divergence (a nat).
const UNITS: f64 = 1e9;

/// A Rényi divergence in billionths of a nat, rounded up.
///
/// [`Amount::UNBOUNDED`] stands for everything from 2^53 − 1 on: such numbers are exact in every JSON reader, and a sum that reaches it stays there.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "u64", into = "u64")]
pub struct Amount(u64);

impl Amount {
    /// No loss.
    pub const ZERO: Self = Self(0);
    /// No finite bound.
    pub const UNBOUNDED: Self = Self((1 << 53) - 1);

    /// `units` billionths of a nat.
    #[must_use]
    pub const fn from_units(units: u64) -> Self {
        if units < Self::UNBOUNDED.0 {
            Self(units)
        } else {
            Self::UNBOUNDED
        }
    }

    /// The smallest amount not below a divergence; [`Amount::UNBOUNDED`] for NaN.
    #[must_use]
    pub fn not_below(divergence: f64) -> Self {
        let units = (divergence * UNITS).next_up().ceil();
        if divergence <= 0.0 {
            return Self::ZERO;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float cast saturates, and what is not finite is caught before"
        )]
        if units.is_finite() {
            Self::from_units(units as u64)
        } else {
            Self::UNBOUNDED
        }
    }

    /// Billionths of a nat.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The sum; associative and commutative, since both ends of the range absorb.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self::from_units(self.0.saturating_add(more.0))
    }

    /// What is left of this after `less`, at least nothing.
    #[must_use]
    pub const fn minus(self, less: Self) -> Self {
        Self(self.0.saturating_sub(less.0))
    }

    /// The divergence, rounded up.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    pub fn divergence(self) -> f64 {
        match self {
            Self::ZERO => 0.0,
            Self::UNBOUNDED => f64::INFINITY,
            Self(units) => (units as f64 / UNITS).next_up(),
        }
    }

    /// The epsilon that a divergence of `order` shows at `delta`, rounded up (AC-10).
    #[must_use]
    pub fn epsilon(self, order: u32, delta: Delta) -> f64 {
        let rdp = self.divergence();
        if rdp <= 0.0 || !rdp.is_finite() {
            return rdp;
        }
        let (a, rest) = (f64::from(order), f64::from(order.max(2)) - 1.0);
        let parts = [
            rdp,
            libm::log1p(-1.0 / a),
            -libm::log(delta.get()) / rest,
            -libm::log(a) / rest,
        ];
        let magnitude: f64 = parts.iter().map(|part| part.abs()).sum();
        // A handful of roundings, each at most half an ulp of the magnitudes.
        parts.iter().sum::<f64>() + magnitude * 16.0 * f64::EPSILON
    }
}

impl From<u64> for Amount {
    fn from(units: u64) -> Self {
        Self::from_units(units)
    }
}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

/// An amount at each of the accountant's orders ([`Orders::ALL`], AC-07).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Amount>", into = "Vec<Amount>")]
pub struct Curve([Amount; Orders::COUNT]);

impl Default for Curve {
    fn default() -> Self {
        Self([Amount::ZERO; Orders::COUNT])
    }
}

impl Curve {
    /// What an accountant was charged, rounded up.
    #[must_use]
    pub fn of(accountant: &Accountant) -> Self {
        let mut curve = Self::default();
        for (amount, (_, divergence)) in curve.0.iter_mut().zip(accountant.rdp()) {
            *amount = Amount::not_below(divergence);
        }
        curve
    }

    /// The amount at one order; [`Amount::UNBOUNDED`] at an order that is not tracked.
    #[must_use]
    pub fn at(&self, order: u32) -> Amount {
        let mut found = self.orders().filter(|(tracked, _)| *tracked == order);
        found.next().map_or(Amount::UNBOUNDED, |(_, amount)| amount)
    }

    /// Orders and amounts.
    pub fn orders(&self) -> impl Iterator<Item = (u32, Amount)> + '_ {
        Orders::ALL.into_iter().zip(self.0)
    }

    /// Order by order, the sum.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        self.with(more, Amount::plus)
    }

    /// Order by order, the larger: what a record is charged that is on one side only, whichever it is.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.with(other, Amount::max)
    }

    /// What exchanging the content of a unit costs where putting it in or taking it out costs this: by the weak triangle inequality of Rényi divergence,
    /// through the data without the unit (Mironov 2017, proposition 11, with p = q = 2). At order a that is (a − 1/2)/(a − 1) of the amount at 2a and the
    /// amount at 2a − 1; an order that is not tracked is replaced by the next larger one, at which the divergence is no smaller.
    #[must_use]
    pub fn exchanged(&self) -> Self {
        let at_least = |wanted: u32| {
            let mut larger = self.orders().filter(|(order, _)| *order >= wanted);
            larger
                .next()
                .map_or(Amount::UNBOUNDED, |(_, amount)| amount)
        };
        let mut result = Self::default();
        for (amount, order) in result.0.iter_mut().zip(Orders::ALL) {
            let out = at_least(2 * order);
            let (twice, under) = (u128::from(2 * order - 1), u128::from(2 * order - 2));
            let scaled = (u128::from(out.units()) * twice).div_ceil(under.max(1));
            let scaled = u64::try_from(scaled).unwrap_or(u64::MAX);
            *amount = Amount::from_units(scaled).plus(at_least(2 * order - 1));
        }
        result
    }

    /// The smallest epsilon that an order shows at `delta`: an account of what happened, not a limit (FT-09). Zero where nothing was charged.
    #[must_use]
    pub fn epsilon(&self, delta: Delta) -> f64 {
        let shown = self
            .orders()
            .map(|(order, amount)| amount.epsilon(order, delta));
        shown.fold(f64::INFINITY, f64::min).max(0.0)
    }

    fn with(&self, other: &Self, both: impl Fn(Amount, Amount) -> Amount) -> Self {
        let mut result = self.clone();
        for (amount, more) in result.0.iter_mut().zip(other.0) {
            *amount = both(*amount, more);
        }
        result
    }
}

impl TryFrom<Vec<Amount>> for Curve {
    type Error = String;

    fn try_from(amounts: Vec<Amount>) -> Result<Self, String> {
        let count = amounts.len();
        let amounts = amounts.try_into();
        amounts
            .map(Self)
            .map_err(|_| format!("{count} amounts in place of {}", Orders::COUNT))
    }
}

impl From<Curve> for Vec<Amount> {
    fn from(curve: Curve) -> Self {
        curve.0.to_vec()
    }
}

/// Order that decides for a budget, and how much divergence it allows: the order at which most unsampled Gaussian noise fits (LG-02).
#[must_use]
pub(super) fn best_order(epsilon: Epsilon, delta: Delta) -> Option<(u32, Amount)> {
    let fits = |order| largest_amount(order, epsilon, delta).map(|capacity| (order, capacity));
    let all = Orders::ALL.into_iter().filter_map(fits);
    // Gaussian divergence is proportional to the order: compare capacity / order without dividing.
    let worth = |(order, capacity): (u32, Amount), other: u32| {
        u128::from(capacity.units()) * u128::from(other) / u128::from(order.max(1))
    };
    all.max_by_key(|found| worth(*found, 1 << 20))
}

/// The largest amount whose conversion stays within `epsilon`.
fn largest_amount(order: u32, epsilon: Epsilon, delta: Delta) -> Option<Amount> {
    let meets = |units| Amount::from_units(units).epsilon(order, delta) <= epsilon.get();
    let (mut low, mut high) = (0, Amount::UNBOUNDED.units());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if meets(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low > 0).then_some(Amount::from_units(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_dp::{NoiseMultiplier, rdp::Event};
    use proptest::prelude::*;

    fn delta(value: f64) -> Delta {
        Delta::new(value).unwrap()
    }

    #[test]
    fn amounts_are_rounded_up_and_absorb() {
        assert_eq!(Amount::not_below(1e-300).units(), 1);
        assert_eq!(Amount::not_below(0.0), Amount::ZERO);
        for endless in [f64::INFINITY, f64::NAN, 1e300, 1e7] {
            assert_eq!(Amount::not_below(endless), Amount::UNBOUNDED);
        }
        assert_eq!(
            Amount::UNBOUNDED.plus(Amount::from_units(1)),
            Amount::UNBOUNDED
        );
        assert_eq!(
            Amount::from_units(3).minus(Amount::from_units(5)),
            Amount::ZERO
        );
    }

    /// Two Gaussians that differ by 2 in place of 1 have four times the divergence: the bound is not below it, and little above.
    #[test]
    fn an_exchange_costs_four_times_a_gaussian() {
        let mut accountant = Accountant::new();
        let noise_multiplier = NoiseMultiplier::new(5.0).unwrap();
        let event = Event::Gaussian { noise_multiplier };
        accountant.add(&event, 1).unwrap();
        let curve = Curve::of(&accountant);
        let exchanged = curve.exchanged();
        for order in [2, 3, 8, 20] {
            let (four, bound) = (4 * curve.at(order).units(), exchanged.at(order).units());
            assert!(
                bound >= four && bound < 2 * four,
                "{order}: {bound} of {four}"
            );
        }
        assert_eq!(exchanged.at(1024), Amount::UNBOUNDED);
        assert_eq!(Curve::default().exchanged().at(8), Amount::ZERO);
    }

    /// AC-10: the same conversion as the accountant's, never below it.
    #[test]
    fn conversion_is_the_accountants() {
        let mut accountant = Accountant::new();
        let noise_multiplier = NoiseMultiplier::new(3.0).unwrap();
        accountant
            .add(&Event::Gaussian { noise_multiplier }, 7)
            .unwrap();
        let curve = Curve::of(&accountant);
        for order in [2, 17, 64, 1024] {
            let (ours, theirs) = (
                curve.at(order).epsilon(order, delta(1e-6)),
                accountant.epsilon_by(order, delta(1e-6)),
            );
            assert!(
                ours >= theirs && ours - theirs < 1e-8,
                "{order}: {ours} {theirs}"
            );
        }
        let (best, _) = accountant.epsilon(delta(1e-6)).unwrap();
        assert!((curve.epsilon(delta(1e-6)) - best.get()).abs() < 1e-8);
        assert_eq!(curve.at(3000), Amount::UNBOUNDED);
        assert_eq!(Curve::default().epsilon(delta(1e-6)), 0.0);
    }

    #[test]
    fn no_order_shows_a_hopeless_goal() {
        assert_eq!(best_order(Epsilon::new(1e-3).unwrap(), delta(1e-9)), None);
    }

    proptest! {
        /// Never below, at most two billionths above.
        #[test]
        fn rounding(divergence in 1e-12f64..1e5) {
            let back = Amount::not_below(divergence).divergence();
            prop_assert!(back >= divergence && back <= divergence + 2.1e-9 + divergence * 1e-12);
        }

        /// LG-03: sums do not depend on order or grouping, whatever is among them.
        #[test]
        fn sums_do_not_depend_on_order(mut units in proptest::collection::vec(0u64..1 << 52, 1..20), turn in 0usize..20) {
            let sum = |units: &[u64]| units.iter().fold(Amount::ZERO, |sum, units| sum.plus(Amount::from_units(*units)));
            let whole = sum(&units);
            let (left, right) = units.split_at(turn % units.len());
            prop_assert_eq!(sum(left).plus(sum(right)), whole);
            let middle = turn % units.len();
            units.rotate_left(middle);
            prop_assert_eq!(sum(&units), whole);
        }

        /// LG-02: a budget filled to the last unit still shows its epsilon, one unit more does not, and no order serves Gaussian noise better.
        #[test]
        fn capacity(epsilon in 0.1f64..50.0, log_delta in -20.0f64..-7.0) {
            let (epsilon, delta) = (Epsilon::new(epsilon).unwrap(), delta(log_delta.exp()));
            let (order, capacity) = best_order(epsilon, delta).unwrap();
            prop_assert!(capacity.epsilon(order, delta) <= epsilon.get());
            prop_assert!(capacity.plus(Amount::from_units(1)).epsilon(order, delta) > epsilon.get());
            let slope = capacity.divergence() / f64::from(order);
            for other in Orders::ALL {
                let there = Amount::not_below(slope * 1.001 * f64::from(other)).epsilon(other, delta);
                prop_assert!(there > epsilon.get() * (1.0 - 1e-6), "{} {}", other, there);
            }
        }
    }
}
