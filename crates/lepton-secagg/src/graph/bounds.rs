//! The probability that the honest survivors of some survivor set fall apart (SG-07 to SG-10), bounded from above.

use super::tails::LogFactorials;

/// Upper bounds for one federation. Counts of parties are `u32` so that sums of them cannot overflow.
pub(super) struct Cuts {
    parties: u32,
    honest: u32,
    /// Least number of honest survivors.
    survivors: u32,
    factorials: LogFactorials,
    /// [`Cuts::separated`] by the smaller side's size, where it was needed already: it does not depend on the graph's degree.
    separated: Vec<Option<f64>>,
}

/// Where the first bound on a term, as `log2`, is below this, the second need not be computed: nobody may demand as much.
const NEGLIGIBLE: f64 = -640.0;

/// The graph of which a bound speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    /// Cycles of the graph.
    pub(super) cycles: u16,
    /// Least number of neighbours that a member of a side has in its side: `h`.
    pub(super) degree: u32,
}

impl Cuts {
    /// Needs `colluders + drops <= parties`.
    pub(super) fn new(parties: u32, colluders: u32, drops: u32) -> Self {
        let honest = parties.saturating_sub(colluders);
        Self {
            parties,
            honest,
            survivors: honest.saturating_sub(drops),
            factorials: LogFactorials::new(parties),
            separated: vec![None; honest as usize / 2 + 1],
        }
    }

    pub(super) fn factorials(&self) -> &LogFactorials {
        &self.factorials
    }

    /// Bounds the probability that for some survivor set the honest survivors fall into two sides without an edge between them, every member
    /// with `degree` neighbours in its side (SG-07). Stops once the bound exceeds `enough`: then the result is only known to exceed it.
    pub(super) fn chance(&mut self, sides: Sides, enough: f64) -> f64 {
        let mut sum = 0.0;
        for a in sides.degree + 1..=self.honest / 2 {
            let mut log = self.subsets(a) + inside(self.parties, a, sides);
            if log > NEGLIGIBLE {
                let sets =
                    self.subsets(a) + self.factorials.subsets(self.honest - a, self.other(a));
                log = log.min(sets + f64::from(sides.cycles) * self.separated_once(a));
            }
            sum += libm::exp2(log.min(0.0));
            if sum > enough {
                return sum.min(1.0);
            }
        }
        sum
    }

    /// `log2` of the number of honest sets of size `a`.
    fn subsets(&self, a: u32) -> f64 {
        self.factorials.subsets(self.honest, a)
    }

    /// The least size of the other, not smaller side.
    fn other(&self, a: u32) -> u32 {
        self.survivors.saturating_sub(a).max(a)
    }

    fn separated_once(&mut self, a: u32) -> f64 {
        if let Some(known) = self.separated.get(a as usize).copied().flatten() {
            return known;
        }
        let log = self.separated(a, self.other(a));
        if let Some(place) = self.separated.get_mut(a as usize) {
            *place = Some(log);
        }
        log
    }

    /// `log2` of the probability that in one cycle no member of a given set of size `a` stands beside a member of a given other set of size `b`,
    /// `a, b >= 1` (SG-09). Exact up to [`STEP`]: the sum over the number of runs into which the first set falls.
    pub(super) fn separated(&self, a: u32, b: u32) -> f64 {
        let others = self.parties.saturating_sub(a + b);
        // One gap between the others at least is left to the second set.
        let most = a.min(others.saturating_sub(1));
        if most == 0 {
            return f64::NEG_INFINITY;
        }
        let f = &self.factorials;
        let runs = |runs: u32| {
            let gaps = f.subsets(others, runs) + f.subsets(a - 1, runs - 1);
            gaps + f.subsets(b + others - runs - 1, b)
        };
        let orders = f.of(others - 1) + f.of(a) + f.of(b) - f.of(self.parties - 1);
        orders + log_sum(most, runs)
    }
}

/// Runs between two that are evaluated, as a part of the root of their number: the rest are bounded by their neighbour nearer the peak.
const STEP: u32 = 8;

/// `log2` of the sum of `2^term(i)` over `1..=most`, for a concave `term`, rounded up: exact below 64 terms, else within a few hundredths of a bit.
fn log_sum(most: u32, term: impl Fn(u32) -> f64) -> f64 {
    let peak = peak(most, &term);
    let top = term(peak);
    let step = 1 + most.isqrt() / STEP;
    let block = |i: u32| libm::exp2(term(i) - top) * f64::from(step);
    let matters = |height: &f64| *height > f64::from(step) * 1e-15;
    let above = (peak + 1..=most).step_by(step as usize).map(block);
    let below = (1..peak).rev().step_by(step as usize).map(block);
    let sum: f64 = above
        .take_while(matters)
        .chain(below.take_while(matters))
        .sum();
    // What was not looked at is below 1e-15 of the peak each.
    top + libm::log2(1.0 + sum + f64::from(most) * 1e-15)
}

/// Where a concave sequence on `1..=most` is highest.
fn peak(most: u32, term: impl Fn(u32) -> f64) -> u32 {
    let (mut low, mut high) = (1, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if term(middle + 1) > term(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// `log2` of a bound on the probability that every member of a given set of size `a` has at least `degree` neighbours in the set (SG-08): the
/// Chernoff bound `2^(-N KL(s/N, p))` with `N = cycles a` successions, of which `s = ceil(a degree / 2)` stay inside, each with `p = (a-1)/(n-1)`.
pub(super) fn inside(parties: u32, a: u32, sides: Sides) -> f64 {
    let cycles = u32::from(sides.cycles);
    let need = (u64::from(a) * u64::from(sides.degree)).div_ceil(2);
    if a < parties && need > u64::from(cycles) * u64::from(a - 1) {
        // A cycle that leaves a set has a succession fewer inside than the set has members.
        return f64::NEG_INFINITY;
    }
    let all = f64::from(cycles) * f64::from(a);
    let share = f64::from(a) * f64::from(sides.degree) / 2.0;
    let share = libm::ceil(share) / all;
    let chance = f64::from(a - 1) / f64::from(parties - 1);
    if share <= chance {
        return 0.0;
    }
    let stay = share * libm::log2(share / chance);
    let leave = match 1.0 - share {
        leave if leave > 0.0 => leave * libm::log2(leave / (1.0 - chance)),
        _ => 0.0,
    };
    -all * (stay + leave)
}
