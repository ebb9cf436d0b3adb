//! What changes for a job when parties join it (docs/protocols/late-join.md).

use serde::{Deserialize, Serialize};

use super::{Stage, Training};
use crate::late::MOST_CHANGES;
use crate::plan::Plan;

/// How a job's roster grew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Growth {
    /// Parties of the plan that it went on with last; 0 where no state says.
    parties: u16,
    /// Every time that parties joined.
    steps: Vec<Joined>,
}

/// Parties that joined a running job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Parties of the roster before: newcomers have the places from here on.
    pub before: u16,
    /// Parties of the roster since.
    pub after: u16,
    /// First training round that they take part in.
    pub round: u32,
    /// Fewest parties of a sum before.
    pub floor: u16,
    /// Honest shares of noise in each sum before, under a privacy goal (FT-05).
    pub honest: Option<u32>,
}

impl Growth {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            parties: plan.parties(),
            steps: Vec::new(),
        }
    }
}

impl Training {
    /// Every time that parties joined this job, in order.
    #[must_use]
    pub fn joined(&self) -> &[Joined] {
        &self.growth.steps
    }

    /// The first training round of the party at this place, where it joined late.
    #[must_use]
    pub fn first_round(&self, place: usize) -> Option<u32> {
        let came = |step: &&Joined| (usize::from(step.before)..step.after.into()).contains(&place);
        self.joined().iter().find(came).map(|step| step.round)
    }

    /// Whether parties may join now (rule LJ-06): preparation is done, a round is left, and nobody signed a set for the sum that comes next.
    #[must_use]
    pub fn may_grow(&self) -> bool {
        let times = u32::try_from(self.growth.steps.len()).unwrap_or(u32::MAX);
        let open = !matches!(self.stage, Stage::FinalEvaluation | Stage::Over);
        open && self.public.moments.is_some()
            && self.rounds_left() > 0
            && self.needed().is_empty()
            && times < MOST_CHANGES
    }

    /// Goes on with the plan of a longer roster (rule LJ-08). The old plan is made from the job: its numbers hold for what was summed so far.
    pub(super) fn grow(&mut self, plan: &Plan) -> Option<Joined> {
        let before = std::mem::replace(&mut self.growth.parties, plan.parties());
        if before == 0 || before >= plan.parties() {
            return None;
        }
        let old = Plan::new(plan.job().clone(), before).ok()?;
        if plan.privacy().is_some() && self.public.moments.is_some() {
            let times = f64::from(plan.parties()) / f64::from(before);
            self.public.rows *= times;
            let counts = self.public.class_counts.iter_mut();
            counts.for_each(|count| *count *= times);
        }
        Some(Joined {
            before,
            after: plan.parties(),
            round: 0,
            floor: old.parameters().survivor_floor(),
            honest: old.privacy().map(|privacy| privacy.shares.honest),
        })
    }

    /// Keeps who joined, and tells the reader of the report.
    pub(super) fn grown(&mut self, joined: Joined, plan: &Plan) {
        let joined = Joined {
            round: self.begun + 1,
            ..joined
        };
        let (before, after, round) = (joined.before, joined.after, joined.round);
        let first = self.joined().first().map_or(before, |step| step.before);
        let come = match after - before {
            1 => "1 party".to_owned(),
            come => format!("{come} parties"),
        };
        let counts = match plan.privacy() {
            Some(_) => format!(
                "row and class counts are those of the first {first}, noised, times {after}/{first}"
            ),
            None => format!("row and class counts are those of the first {first}"),
        };
        self.notes.push(format!(
            "{come} joined before round {round}: {after} parties from then on, and preparation is that of the first {first}; {counts}"
        ));
        self.growth.steps.push(joined);
    }
}
