//! Which entries may follow (LG-01 to LG-05, LG-13, LG-14).

use std::collections::BTreeSet;

use super::{Block, Book, Change, key, spend, to_unit};
use crate::job::Unit;
use crate::ledger::Charge;
use crate::ledger::amount::{Amount, Curve};
use crate::ledger::budget::{Budget, BudgetError, Shortfall};
use crate::ledger::entry::{Entry, FORMAT, Reserved, What};
use crate::ledger::pace::{self, Pace, Paced};

impl Book {
    pub(super) fn change(&self, entry: &Entry) -> Result<Change, BudgetError> {
        let nothing = |what: &str| {
            Ok(Change {
                costs: Vec::new(),
                what: what.to_owned(),
            })
        };
        let change = match &entry.what {
            What::Created { format, .. } if self.ledger.is_empty() && format == FORMAT => {
                nothing("creation")
            }
            What::Created { format, .. } => Err(BudgetError::Use(format!(
                "a second beginning, or another format ({format})"
            ))),
            _ if self.ledger.is_empty() => {
                Err(BudgetError::Use("an entry before the first".to_owned()))
            }
            What::BudgetSet { data, budget, .. }
                if self.names.contains_key(data) || !budget.is_sound() =>
            {
                Err(BudgetError::Taken(data.clone()))
            }
            What::BudgetSet { .. } => nothing("budget"),
            What::Renewed { data, budget, .. }
                if budget.is_sound() && budget.unit() != Unit::Party =>
            {
                self.lineages_of(data).and_then(|_| nothing("renewal"))
            }
            What::Renewed { data, .. } => Err(BudgetError::Taken(data.clone())),
            What::Planned {
                data,
                plan,
                warn_at,
            } => self
                .replanned(data, (plan, *warn_at))
                .and_then(|_| nothing("plan")),
            What::Seen { lineages, .. } => match lineages
                .iter()
                .all(|lineage| !self.blocks_of(*lineage).is_empty())
            {
                true => nothing("table"),
                false => Err(BudgetError::Use("a table of an unknown lineage".to_owned())),
            },
            What::Reserved(reserved) => self.reserving(reserved),
            What::Charged {
                job,
                seat,
                charge,
                cost,
            } => self.charging(job, seat, (charge, cost)),
            What::Closed { job } => self.closing(job),
        }?;
        for (block, cost) in &change.costs {
            let job = entry.what.job().unwrap_or_default();
            self.admit(*block, (job, &entry.at), (cost, &change.what))?;
        }
        Ok(change)
    }

    /// LG-02: the amounts at the order that decides, this one's included, stay within the capacity.
    fn admit(
        &self,
        number: u32,
        (job, at): (&str, &str),
        (cost, what): (&Curve, &str),
    ) -> Result<(), BudgetError> {
        let block = self.block(number)?;
        let order = block.budget.order();
        let others = block.used_by(|name| name != job, order);
        let before = block
            .costs
            .get(job)
            .map_or(Amount::ZERO, |curve| curve.at(order));
        let (wanted, spent) = (others.plus(cost.at(order)), others.plus(before));
        // What was admitted before stays admitted: closing a job or charging within a reservation adds nothing.
        if wanted <= spent {
            return Ok(());
        }
        if wanted <= block.budget.capacity() {
            return self.keeps_pace(block, (job, at), (cost.at(order), before, what));
        }
        Err(BudgetError::Exceeded(Box::new(Shortfall {
            data: format!("`{}`", self.title(block.lineage)),
            what: what.to_owned(),
            budget: block.budget,
            spent,
            needed: if cost.at(order) == Amount::UNBOUNDED {
                Amount::UNBOUNDED
            } else {
                cost.at(order).minus(before)
            },
            largest_epsilon: None,
        })))
    }

    /// The blocks of a data set, spent by another plan.
    pub(super) fn replanned(
        &self,
        data: &str,
        (plan, warn_at): (&[Pace], Option<f64>),
    ) -> Result<Vec<(u32, Budget)>, BudgetError> {
        let lineage = self.lineages_of(data)?.first().copied().unwrap_or_default();
        let blocks = self.blocks_of(lineage).iter().map(|number| {
            let budget = self.block(*number)?.budget;
            Ok((*number, budget.with_plan(plan, warn_at)?))
        });
        blocks.collect()
    }

    /// LG-13: nor faster than its owner plans.
    fn keeps_pace(
        &self,
        block: &Block,
        (job, at): (&str, &str),
        (cost, before, what): (Amount, Amount, &str),
    ) -> Result<(), BudgetError> {
        let plan = block.budget.plan();
        let refused = |left: Amount, days: Option<u32>| {
            BudgetError::Paced(Box::new(Paced {
                data: self.title(block.lineage).to_owned(),
                what: what.to_owned(),
                needed: cost.minus(before),
                left,
                capacity: block.budget.capacity(),
                days,
            }))
        };
        if let Some(limit) = plan.job.filter(|limit| cost > *limit) {
            return Err(refused(limit.minus(before), None));
        }
        let Some((limit, days)) = plan.period else {
            return Ok(());
        };
        let within = self.used_within(block, (at, days))?;
        // Of an earlier day, it counts with what it adds now.
        let began = self.jobs.get(job).map_or(at, |job| job.at.as_str());
        let counted = if pace::counts(began, at, days)? {
            before
        } else {
            Amount::ZERO
        };
        let others = within.minus(counted);
        let own = if counted == before {
            cost
        } else {
            cost.minus(before)
        };
        if others.plus(own) <= limit {
            return Ok(());
        }
        Err(refused(limit.minus(within), Some(days)))
    }

    /// LG-14: whether a job protects what the budget of a block protects.
    fn protects(&self, block: &Block, reserved: &Reserved) -> Result<(), BudgetError> {
        let (data, wants) = (self.title(block.lineage).to_owned(), block.budget.unit());
        if reserved.unit < wants {
            return Err(BudgetError::Unit {
                title: reserved.title.clone(),
                data,
                has: reserved.unit,
                wants,
            });
        }
        let seats = reserved.seats.values();
        let touching = seats.filter(|blocks| blocks.contains(&block.number));
        if wants == Unit::Party && touching.count() > 1 {
            return Err(BudgetError::Spread(format!(
                "the budget of `{data}` is for all its rows together, and {} deals them to several parties, each of which it protects alone",
                reserved.title
            )));
        }
        Ok(())
    }

    fn reserving(&self, reserved: &Reserved) -> Result<Change, BudgetError> {
        if self.jobs.contains_key(&reserved.job) {
            return Err(BudgetError::Repeated(
                reserved.title.clone(),
                "this run has its reservation",
            ));
        }
        let blocks: BTreeSet<u32> = reserved.seats.values().flatten().copied().collect();
        if blocks.is_empty() {
            return Err(BudgetError::Use(format!(
                "{} touches no data set",
                reserved.title
            )));
        }
        let mut costs = Vec::new();
        for number in blocks {
            let block = self.block(number)?;
            self.protects(block, reserved)?;
            let cost = to_unit(&reserved.curve, reserved.unit, block.budget.unit());
            costs.push((number, cost));
        }
        Ok(Change {
            costs,
            what: reserved.title.clone(),
        })
    }

    fn charging(
        &self,
        job: &str,
        seat: &str,
        (charge, cost): (&Charge, &Curve),
    ) -> Result<Change, BudgetError> {
        let known = self.jobs.get(job).ok_or_else(|| {
            BudgetError::Use(format!("run {job} has no reservation in this ledger"))
        })?;
        let what = format!("{} of {}", charge.kind, known.reserved.title);
        if known.closed {
            return Err(BudgetError::Repeated(what, "its job has ended"));
        }
        if known.seen.contains(&key(seat, charge)) {
            return Err(BudgetError::Repeated(what, "it is charged already"));
        }
        let blocks = known
            .reserved
            .seats
            .get(seat)
            .ok_or_else(|| BudgetError::Use(format!("run {job} has no party {seat}")))?;
        let mut spent = known.spent.clone();
        spend(&mut spent, (seat, charge.side), cost);
        let cost = |number: &u32| {
            let block = self.block(*number)?;
            Ok((*number, known.cost_on(block, &spent, false)))
        };
        let costs = blocks
            .iter()
            .map(cost)
            .collect::<Result<_, BudgetError>>()?;
        Ok(Change { costs, what })
    }

    fn closing(&self, job: &str) -> Result<Change, BudgetError> {
        let known = self.jobs.get(job).filter(|known| !known.closed);
        let known = known
            .ok_or_else(|| BudgetError::Use(format!("run {job} is not open in this ledger")))?;
        let blocks: BTreeSet<u32> = known.reserved.seats.values().flatten().copied().collect();
        let cost = |number: u32| {
            let block = self.block(number)?;
            Ok((number, known.cost_on(block, &known.spent, true)))
        };
        let costs = blocks.into_iter().map(cost);
        Ok(Change {
            costs: costs.collect::<Result<_, BudgetError>>()?,
            what: "the end of a job".to_owned(),
        })
    }
}
