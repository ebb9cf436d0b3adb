//! The rules, one function each, in the order they are asked.

use lepton_dp::{Delta, Epsilon};

use super::Policy;
use super::request::{Decision, Figures, Refusal, Request, Rule};
use super::time::clock;
use super::words::{Approval, Role};
use crate::job::Word;

type Verdict = Result<(), Refusal>;

/// A refusal whose words hold nothing that comes from rows.
fn no(rule: Rule, words: String) -> Verdict {
    Err(Refusal {
        rule,
        outward: format!("{words} ({})", rule.id()),
        words,
    })
}

impl Policy {
    /// Decides about a job. The first rule that is broken names the refusal; approval comes last, so that a person is only asked about jobs that
    /// may run at all.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let rules: [fn(&Self, &Request<'_>) -> Verdict; 13] = [
            Self::seed,
            Self::submitter,
            Self::table,
            Self::columns,
            Self::parties,
            Self::floors,
            Self::aggregation,
            Self::goal,
            Self::start,
            Self::loss,
            Self::period,
            Self::size,
            Self::hours,
        ];
        if let Some(refusal) = rules.iter().find_map(|rule| rule(self, request).err()) {
            return Decision::Refuse(refusal);
        }
        match self.wants_approval(request.figures) {
            Some(reason) if request.approved != Some(request.figures.digest()) => {
                Decision::NeedsApproval(reason)
            }
            _ => Decision::Accept,
        }
    }

    /// Looks at the exact size of the model, once preparation told it (PO-13).
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit_model(&self, parameters: u64) -> Result<(), Refusal> {
        if parameters <= self.parameters {
            return Ok(());
        }
        no(
            Rule::Size,
            format!(
                "the model has {parameters} parameters; the policy allows {}",
                self.parameters
            ),
        )
    }

    /// Looks at an attempt at a round, the first being 1 (PO-16).
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit_attempt(&self, attempt: u32) -> Result<(), Refusal> {
        if attempt <= self.attempts {
            return Ok(());
        }
        no(
            Rule::Attempts,
            format!(
                "attempt {attempt} at one round; the policy allows {}",
                self.attempts
            ),
        )
    }

    /// The refusal of a job that a person denied.
    #[must_use]
    pub fn denied() -> Refusal {
        let words = "the owner of the data denied the job".to_owned();
        Refusal {
            rule: Rule::Approval,
            outward: format!("{words} ({})", Rule::Approval.id()),
            words,
        }
    }

    fn seed(&self, request: &Request<'_>) -> Verdict {
        if request.figures.insecure_seed {
            let words = "job.insecure_seed makes every secret predictable; it is for simulations";
            return no(Rule::Seed, words.to_owned());
        }
        Ok(())
    }

    fn submitter(&self, request: &Request<'_>) -> Verdict {
        let who = request.submitter;
        let open = &self.submit;
        let member = open
            .members
            .as_ref()
            .is_none_or(|names| names.contains(&who.name));
        let serial = open
            .serials
            .as_ref()
            .is_none_or(|serials| serials.contains(&super::plain_serial(&who.serial)));
        let role = open
            .roles
            .as_ref()
            .is_none_or(|roles| who.roles.iter().any(|role| roles.contains(role)));
        if member && serial && role {
            return Ok(());
        }
        let roles: Vec<&str> = who.roles.iter().copied().map(Role::word).collect();
        let roles = if roles.is_empty() {
            "no role".to_owned()
        } else {
            roles.join(", ")
        };
        no(
            Rule::Submitter,
            format!("{} ({roles}) may not submit jobs here", who.name),
        )
    }

    fn table(&self, request: &Request<'_>) -> Verdict {
        let Some(name) = request.figures.table() else {
            let words = "data.tables names a file for every party, which only a simulation can; name one table with data.table";
            return no(Rule::Table, words.to_owned());
        };
        let task = request.figures.task;
        let closed =
            |what: &str| format!("no table \"{name}\" is open to jobs that {task} here{what}");
        let outward = format!("{} ({})", closed(""), Rule::Table.id());
        let refuse = |rule: Rule, what: String| {
            Err(Refusal {
                rule,
                words: closed(&what),
                outward: outward.clone(),
            })
        };
        let Some(table) = self.tables.get(name) else {
            return refuse(Rule::Table, ": the policy does not name it".to_owned());
        };
        if !table.tasks.contains(&task) {
            return refuse(
                Rule::Table,
                ": the policy closes it to this task".to_owned(),
            );
        }
        let Some(rows) = request.rows else {
            return refuse(
                Rule::Table,
                ": the configuration has no such table".to_owned(),
            );
        };
        if rows < table.min_rows {
            // A number of rows, or that it is small, is told to nobody.
            let what = format!(
                ": it has {rows} rows, and the policy wants {}",
                table.min_rows
            );
            return refuse(Rule::Rows, what);
        }
        Ok(())
    }

    fn columns(&self, request: &Request<'_>) -> Verdict {
        let table = request.figures.table();
        let Some(table) = table.and_then(|name| self.tables.get(name)) else {
            return Ok(());
        };
        let open = |column: &&String| {
            let named = table
                .columns
                .as_ref()
                .is_none_or(|open| open.contains(column));
            named && !table.closed_columns.contains(column)
        };
        match request
            .figures
            .columns()
            .iter()
            .find(|column| !open(column))
        {
            None => Ok(()),
            Some(column) => no(
                Rule::Column,
                format!(
                    "the column \"{column}\" is closed; leave it out of data.features, or list it in data.exclude"
                ),
            ),
        }
    }

    fn parties(&self, request: &Request<'_>) -> Verdict {
        let (have, want) = (request.figures.parties, self.least_parties);
        if let Some(most) = self.most_parties.filter(|most| have > *most) {
            return no(
                Rule::Parties,
                format!("the job has {have} parties; the policy wants at most {most}"),
            );
        }
        if have >= want {
            return Ok(());
        }
        no(
            Rule::Parties,
            format!("the job has {have} parties; the policy wants at least {want}"),
        )
    }

    fn floors(&self, request: &Request<'_>) -> Verdict {
        let figures = request.figures;
        let asked = [
            ("colluders", figures.colluders, self.colluders),
            ("threshold", figures.threshold, self.threshold),
            ("quorum", figures.quorum, self.quorum),
        ];
        match asked.iter().find(|(_, have, want)| have < want) {
            None => Ok(()),
            Some((name, have, want)) => no(
                Rule::Floors,
                format!("protection.{name} comes to {have}; the policy wants at least {want}"),
            ),
        }
    }

    fn aggregation(&self, request: &Request<'_>) -> Verdict {
        let figures = request.figures;
        if !self.aggregation.contains(&figures.aggregation) {
            let words = format!(
                "protection.aggregation = \"{}\" is not allowed",
                figures.aggregation
            );
            return no(Rule::Aggregation, words);
        }
        if figures.grouped && !self.group_sums {
            let words = "training.combine shows the coordinator one sum for each group of parties; the policy allows one sum over all";
            return no(Rule::Aggregation, words.to_owned());
        }
        Ok(())
    }

    fn goal(&self, request: &Request<'_>) -> Verdict {
        let Some((_, _, unit)) = request.figures.goal else {
            return if self.goal_required {
                let words = "the job has no [privacy]: its sums would be exact; the policy wants a privacy goal";
                no(Rule::Goal, words.to_owned())
            } else {
                Ok(())
            };
        };
        if unit < self.unit {
            let words = format!(
                "privacy.unit = \"{unit}\" protects less than the policy wants, a {}",
                self.unit
            );
            return no(Rule::Unit, words);
        }
        Ok(())
    }

    fn start(&self, request: &Request<'_>) -> Verdict {
        let figures = request.figures;
        if figures.goal.is_some() || !figures.started || self.exact_start {
            return Ok(());
        }
        let words = "model.start: without a privacy goal the sums would be exact at parameters of the submitter's choice; the policy wants a privacy goal for such a job";
        no(Rule::Start, words.to_owned())
    }

    fn loss(&self, request: &Request<'_>) -> Verdict {
        let Some((epsilon, delta)) = request.figures.goal() else {
            return Ok(());
        };
        if epsilon > self.epsilon {
            let words = format!(
                "privacy.epsilon = {}; the policy allows {}",
                epsilon.get(),
                self.epsilon.get()
            );
            return no(Rule::Loss, words);
        }
        if delta > self.delta {
            let words = format!(
                "privacy.delta = {:e}; the policy allows {:e}",
                delta.get(),
                self.delta.get()
            );
            return no(Rule::Loss, words);
        }
        Ok(())
    }

    fn period(&self, request: &Request<'_>) -> Verdict {
        let Some(goal) = request.figures.goal() else {
            return Ok(());
        };
        let (epsilon, delta) = self.spent_with(request, goal);
        let left = |spent: f64, most: f64| spent <= most;
        if left(epsilon, self.period_epsilon.get()) && left(delta, self.period_delta.get()) {
            return Ok(());
        }
        no(
            Rule::Period,
            format!(
                "with this job, the jobs of {} days on this table would pass the epsilon of {} or the delta of {} that the policy allows",
                self.period_days,
                self.period_epsilon.get(),
                self.period_delta.get()
            ),
        )
    }

    /// Sums by basic composition: an upper bound, each addition rounded up.
    fn spent_with(&self, request: &Request<'_>, goal: (Epsilon, Delta)) -> (f64, f64) {
        let since = request.now.days_before(self.period_days);
        // A clock that was set back must not forget: what lies in the future counts.
        let counted = request
            .granted
            .iter()
            .filter(|job| job.at > since && Some(job.table.as_str()) == request.figures.table());
        let first = (goal.0.get(), goal.1.get());
        counted.fold(first, |(epsilon, delta), job| {
            (
                (epsilon + job.epsilon.get()).next_up(),
                (delta + job.delta.get()).next_up(),
            )
        })
    }

    fn size(&self, request: &Request<'_>) -> Verdict {
        self.admit_model(request.figures.parameters)?;
        let rounds = request.figures.rounds;
        if rounds <= self.rounds {
            return Ok(());
        }
        no(
            Rule::Size,
            format!(
                "training.rounds = {rounds}; the policy allows {}",
                self.rounds
            ),
        )
    }

    fn hours(&self, request: &Request<'_>) -> Verdict {
        if request.begun || self.hours.contain(request.now) {
            return Ok(());
        }
        let days: Vec<&str> = self.hours.days.iter().map(|day| day.word()).collect();
        no(
            Rule::Hours,
            format!(
                "jobs may begin on {} from {} to {} UTC",
                days.join(", "),
                clock(self.hours.from),
                clock(self.hours.to)
            ),
        )
    }

    fn wants_approval(&self, figures: &Figures) -> Option<String> {
        match (self.approval, figures.goal()) {
            (Approval::Always, _) => Some("the policy wants a person to approve every job".into()),
            (Approval::WithoutGoal, None) => Some(
                "the job has no privacy goal, and the policy wants a person to approve such jobs"
                    .into(),
            ),
            (_, Some((epsilon, _))) => {
                let above = self.above_epsilon.filter(|most| epsilon > *most)?;
                Some(format!(
                    "privacy.epsilon = {} is above {}, and the policy wants a person to approve such jobs",
                    epsilon.get(),
                    above.get()
                ))
            }
            _ => None,
        }
    }
}
