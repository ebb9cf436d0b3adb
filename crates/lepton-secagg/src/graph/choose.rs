//! The sparsest graph and the smallest committee that are safe and live enough (SG-11), and how safe given ones are.

use thiserror::Error;

use super::bounds::{Cuts, Sides};
use super::tails::{LogFactorials, Marked, Sample};
use crate::{Parameters, Topology};

/// Graphs that a job may draw (SG-04), as `log2`.
const DRAWS: f64 = 10.0;

/// Failure to open a sum although only the allowed drops happen, at random, in one attempt: half for the graph, half for the committee (SG-11).
const STUCK: f64 = 1.0 / 2_097_152.0;

/// Most cycles: a closed neighbourhood has at most 255 members, the points of GF(256) but zero.
const MAX_CYCLES: u16 = 127;

/// What a graph and a committee must stand (SG-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// `n`.
    pub(crate) parties: u16,
    /// `c`, fixed before the graph is known.
    pub(crate) colluders: u16,
    /// `d`, chosen by the adversary in each attempt.
    pub(crate) drops: u16,
    /// Failure probability over the whole job, as `-log2`: at most 512.
    pub(crate) security: u32,
}

/// The sparsest graph and the smallest committee for a [`Demand`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Choice {
    /// `r`: each party has at most twice as many neighbours.
    pub(crate) cycles: u16,
    /// `t`: shares that open a secret.
    pub(crate) threshold: u8,
    /// `L`.
    pub(crate) committee: u16,
    /// `Q`.
    pub(crate) quorum: u16,
    /// `x`: no honest party has more colluders among its neighbours.
    pub(crate) colluders_among_neighbours: u16,
    /// `y`: the committee has no more colluders.
    pub(crate) colluders_in_committee: u16,
    /// Failure probability over the whole job, as `-log2`, as [`security_of`] computes it: at least what was demanded.
    pub(crate) security_bits: f64,
}

/// Why there is no sparse graph or committee, and the nearest numbers for which there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoGraph {
    /// Too few parties.
    #[error("{0} parties are too few for a sparse graph: choose the complete graph")]
    Parties(u16),
    /// `c + d <= n - 2` is violated.
    #[error(
        "{parties} parties with {colluders} colluders and {drops} drops leave fewer than two honest vectors in a sum: choose colluders + drops <= {nearest}"
    )]
    Alone {
        /// `n`.
        parties: u16,
        /// `c`.
        colluders: u16,
        /// `d`.
        drops: u16,
        /// The most that `c` and `d` may be together.
        nearest: u16,
    },
    /// No committee outvotes its colluders and still answers.
    #[error(
        "no committee has a quorum that its colluders cannot double and that survives the drops: {0}"
    )]
    Committee(Nearest),
    /// No graph of at most 254 neighbours, or fewer neighbours than other parties, is both safe and live.
    #[error("no sparse graph keeps all honest survivors together: {0}")]
    Neighbours(Nearest),
}

/// The nearest numbers that can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nearest {
    /// Most colluders with the same drops.
    pub colluders: Option<u16>,
    /// Most drops with the same colluders.
    pub drops: Option<u16>,
}

impl core::fmt::Display for Nearest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.colluders, self.drops) {
            (Some(c), Some(d)) => write!(f, "choose colluders <= {c} or drops <= {d}"),
            (Some(c), None) => write!(f, "choose colluders <= {c}"),
            (None, Some(d)) => write!(f, "choose drops <= {d}"),
            (None, None) => f.write_str("choose fewer of both"),
        }
    }
}

/// The least number of cycles and, for it, the largest threshold that is live; the least committee and, for it, the least quorum (SG-11).
///
/// Refuses a demand that nothing meets, naming what fails and the nearest numbers that work.
pub(crate) fn choose(demand: Demand) -> Result<Choice, NoGraph> {
    let Demand {
        parties,
        colluders,
        drops,
        ..
    } = demand;
    if parties < 3 {
        return Err(NoGraph::Parties(parties));
    }
    if u32::from(colluders) + u32::from(drops) > u32::from(parties) - 2 {
        return Err(NoGraph::Alone {
            parties,
            colluders,
            drops,
            nearest: parties - 2,
        });
    }
    Search::new(demand).run().map_err(|missing| {
        let nearest = nearest(demand);
        match missing {
            Missing::Committee => NoGraph::Committee(nearest),
            Missing::Graph => NoGraph::Neighbours(nearest),
        }
    })
}

/// `-log2` of a bound on the probability that the graph or the committee of these parameters fails somewhere in a whole job (SG-04). Negative
/// where the bound says nothing; infinite for a complete graph, which cannot fail.
pub(crate) fn security_of(parameters: &Parameters) -> f64 {
    let Topology::Sparse { cycles, committee } = parameters.topology() else {
        return f64::INFINITY;
    };
    let demand = Demand {
        parties: parameters.parties(),
        colluders: parameters.colluders(),
        drops: parameters.drops(),
        security: 0,
    };
    let numbers = Numbers {
        cycles,
        threshold: parameters.threshold(),
        committee,
        quorum: parameters.quorum(),
    };
    Search::new(demand).achieved(&numbers).0
}

/// Parameters of a graph and a committee.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) cycles: u16,
    pub(super) threshold: u16,
    pub(super) committee: u16,
    pub(super) quorum: u16,
}

enum Missing {
    Committee,
    Graph,
}

/// The largest feasible numbers of one kind with the other fixed.
fn nearest(demand: Demand) -> Nearest {
    let feasible = |demand| Search::new(demand).run().is_ok();
    let colluders = largest(demand.colluders, |colluders| {
        feasible(Demand {
            colluders,
            ..demand
        })
    });
    let drops = largest(demand.drops, |drops| feasible(Demand { drops, ..demand }));
    Nearest { colluders, drops }
}

/// The largest value below `bound` that is feasible, where feasibility ends somewhere; none when zero is not.
fn largest(bound: u16, feasible: impl Fn(u16) -> bool) -> Option<u16> {
    if bound == 0 || !feasible(0) {
        return None;
    }
    let (mut yes, mut no) = (0, bound);
    while no - yes > 1 {
        let middle = yes + (no - yes) / 2;
        if feasible(middle) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    Some(yes)
}

/// Rounded up: what the computation may have lost below, and by rounding, is far less (SG-12).
pub(super) fn outward(probability: f64) -> f64 {
    ((probability + 1e-290) * (1.0 + 1.0 / 1024.0)).min(1.0)
}

pub(super) struct Search {
    parties: u32,
    colluders: u32,
    drops: u32,
    /// Failure probability allowed to one graph in one view.
    budget: f64,
    cuts: Cuts,
}

impl Search {
    /// Needs at least 3 parties.
    pub(super) fn new(demand: Demand) -> Self {
        let parties = u32::from(demand.parties);
        let below_all = |count: u16| u32::from(count).min(parties - 1);
        let (colluders, drops) = (below_all(demand.colluders), below_all(demand.drops));
        let bits = f64::from(demand.security.min(512)) + DRAWS;
        Self {
            parties,
            colluders,
            drops,
            budget: libm::exp2(-bits) / f64::from(parties),
            cuts: Cuts::new(parties, colluders, drops),
        }
    }

    fn run(&mut self) -> Result<Choice, Missing> {
        let (committee, quorum) = self.committee().ok_or(Missing::Committee)?;
        let (cycles, threshold) = self.graph().ok_or(Missing::Graph)?;
        let numbers = Numbers {
            cycles,
            threshold: u16::from(threshold),
            committee,
            quorum,
        };
        let (security_bits, colluders_among_neighbours) = self.achieved(&numbers);
        Ok(Choice {
            cycles,
            threshold,
            committee,
            quorum,
            colluders_among_neighbours,
            colluders_in_committee: (2 * quorum).saturating_sub(committee + 1),
            security_bits,
        })
    }

    /// The least committee with a quorum, and its least quorum: a quarter of the budget (SG-06).
    fn committee(&self) -> Option<(u16, u16)> {
        if self.parties <= self.colluders + 2 * self.drops {
            return None;
        }
        let factorials = self.cuts.factorials();
        let (mut colluders, mut lost) = (0, 0);
        for size in 1..=self.parties {
            // Both grow with the size.
            colluders = self.most(
                colluders,
                size,
                self.colluders,
                self.budget / 4.0,
                factorials,
            );
            lost = self.most(lost, size, self.drops, STUCK, factorials);
            let quorum = (size + colluders) / 2 + 1;
            if quorum + lost <= size {
                return u16::try_from(size).ok().zip(u16::try_from(quorum).ok());
            }
        }
        None
    }

    /// The least number, from `least` on, that a committee's marked members exceed with probability at most `allowed`.
    fn most(
        &self,
        least: u32,
        size: u32,
        marked: u32,
        allowed: f64,
        factorials: &LogFactorials,
    ) -> u32 {
        let sample = Sample {
            parties: self.parties,
            marked,
            size,
        };
        let exceeded = |x: &u32| outward(sample.above(factorials, *x)) <= allowed;
        (least..=size).find(exceeded).unwrap_or(size)
    }

    /// The least number of cycles that is safe with the largest threshold that is live: three quarters of the budget (SG-05, SG-07).
    fn graph(&mut self) -> Option<(u16, u8)> {
        let others = self.parties - 1;
        let mut surviving = Marked::new(others, others.saturating_sub(self.drops));
        let mut colluding = Marked::new(others, self.colluders);
        let most = MAX_CYCLES.min(u16::try_from(others / 2).unwrap_or(MAX_CYCLES));
        for cycles in 1..=most {
            surviving.add_cycle();
            colluding.add_cycle();
            let Some(threshold) = self.live_threshold(&surviving, cycles) else {
                continue;
            };
            if self.is_safe(&colluding, cycles, u32::from(threshold)) {
                return Some((cycles, threshold));
            }
        }
        None
    }

    /// The largest threshold that every survivor's closed neighbourhood reaches when the drops are random (SG-11).
    fn live_threshold(&self, surviving: &Marked, cycles: u16) -> Option<u8> {
        let survivors = f64::from(self.parties - self.drops);
        let live = |threshold: &u16| {
            let short = surviving.below(u32::from(*threshold) - 1);
            outward(short * survivors) <= STUCK
        };
        let largest = (2..=2 * cycles + 1).take_while(live).last()?;
        u8::try_from(largest).ok()
    }

    fn is_safe(&mut self, colluding: &Marked, cycles: u16, threshold: u32) -> bool {
        let allowed = self.budget * 0.75;
        let Some(least) = (0..threshold).find(|x| self.overrun(colluding, *x) <= allowed) else {
            return false;
        };
        // A larger bound on colluders costs degree and gains little: two candidates are enough.
        (least..threshold).take(2).any(|x| {
            let rest = allowed - self.overrun(colluding, x);
            self.cut(cycles, threshold - 1 - x, rest) <= rest
        })
    }

    /// Bounds the probability that some honest party has more than `x` colluders among its neighbours (SG-05).
    fn overrun(&self, colluding: &Marked, x: u32) -> f64 {
        outward(colluding.above(x) * f64::from(self.parties - self.colluders))
    }

    fn cut(&mut self, cycles: u16, degree: u32, enough: f64) -> f64 {
        outward(self.cuts.chance(Sides { cycles, degree }, enough))
    }

    /// The security of given numbers over a whole job, and the bound on colluders among neighbours with which it is had.
    pub(super) fn achieved(&mut self, numbers: &Numbers) -> (f64, u16) {
        let colluding = Marked::after(numbers.cycles, self.parties - 1, self.colluders);
        let threshold = u32::from(numbers.threshold);
        // One term falls and the other grows with x: the least sum is, but for a factor of two, where they meet.
        let (mut low, mut high) = (0, threshold.saturating_sub(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let overrun = self.overrun(&colluding, middle);
            if overrun <= self.cut(numbers.cycles, threshold - 1 - middle, overrun) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let (chance, x) = [low.saturating_sub(1), low]
            .map(|x| {
                let cut = self.cut(numbers.cycles, threshold.saturating_sub(1 + x), 1.0);
                (self.overrun(&colluding, x) + cut, x)
            })
            .into_iter()
            .fold(
                (3.0, 0),
                |best, one| if one.0 < best.0 { one } else { best },
            );
        let total = chance + self.split_vote(numbers);
        let bits = -libm::log2(total * f64::from(self.parties)) - DRAWS;
        (bits, u16::try_from(x).unwrap_or(u16::MAX))
    }

    /// Bounds the probability that the committee's colluders suffice for two quorums (SG-06).
    fn split_vote(&self, numbers: &Numbers) -> f64 {
        let twice = 2 * u32::from(numbers.quorum);
        let Some(bound) = twice.checked_sub(u32::from(numbers.committee) + 1) else {
            return 1.0;
        };
        let sample = Sample {
            parties: self.parties,
            marked: self.colluders,
            size: u32::from(numbers.committee),
        };
        outward(sample.above(self.cuts.factorials(), bound))
    }
}
