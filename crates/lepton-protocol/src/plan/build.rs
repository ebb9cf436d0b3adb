//! From the job file to the plan.

use std::num::NonZeroU32;

use lepton_dp::SamplingRate;
use lepton_secagg::{MAX_COMPLETE, Parameters};

use super::family::in_model_order;
use crate::exchange::Kind;

use super::{Feature, FeatureKind, LabelKind, Plan, PlanError};
use crate::job::{self, Job};
use crate::privacy::{Goal, NoiseAt, NoiseShares, PrivacyPlan, Schedule};
use crate::robust::{Groups, Rule, Undealt};

impl Plan {
    pub(super) fn check_columns(&self) -> Result<(), PlanError> {
        let under_goal = self.job.privacy().is_some();
        let problem = |key: &str, problem: String| {
            Err(PlanError::Job {
                place: self.job.origin_of(key),
                problem,
            })
        };
        if self.features.is_empty() {
            return problem(
                "data",
                "no input column is left; name some in data.features".to_owned(),
            );
        }
        self.check_image()?;
        if let Some(key) = self.job.open_keys().first() {
            return problem(
                "privacy.population",
                format!("{key} is still open; it is chosen before a job is planned"),
            );
        }
        if under_goal && self.label == LabelKind::Discovered {
            return problem(
                "privacy",
                format!(
                    "the classes of `{}` must be public under a privacy goal; list them as data.classes = [\"…\", \"…\"]",
                    self.label_name()
                ),
            );
        }
        if under_goal && self.job.prepare().missing == job::Missing::Refuse {
            return problem(
                "prepare.missing",
                "missing = \"refuse\" cannot stand under a privacy goal: a refusal tells that a record lacks a value; use \"mean\", \"indicator\" or \"drop\"".to_owned(),
            );
        }
        self.check_unit()?;
        let Some(name) = self.unbounded().first().copied() else {
            return Ok(());
        };
        if under_goal {
            return problem(
                "privacy",
                format!(
                    "column `{name}` has no public bounds, and a range taken from the data would itself be a release; add `{name} = [low, high]` under [prepare.bounds], or leave the column out with data.exclude"
                ),
            );
        }
        if self.job.prepare().scale == job::Scale::Minmax {
            return problem(
                "prepare.scale",
                format!(
                    "scale = \"minmax\" needs the range of column `{name}`; add `{name} = [low, high]` under [prepare.bounds], or use scale = \"standard\""
                ),
            );
        }
        Ok(())
    }

    pub(super) fn privacy_plan(&self) -> Result<Option<PrivacyPlan>, PlanError> {
        let Some(privacy) = self.job.privacy() else {
            return Ok(None);
        };
        let place = self.job.origin_of("privacy.epsilon");
        let noise = match privacy.noise {
            job::Noise::Distributed => NoiseAt::Distributed,
            job::Noise::Local => NoiseAt::Local,
        };
        let goal = Goal {
            unit: privacy.unit,
            epsilon: lepton_dp::Epsilon::new(privacy.epsilon.get())?,
            delta: lepton_dp::Delta::new(privacy.delta.get())?,
            sampling_rate: SamplingRate::new(lepton_learn::effective_rate(
                privacy.sampling_rate.get(),
            )?)?,
            noise,
            prepare_share: privacy.prepare_share.get(),
        };
        // A curious party knows its own share even where none colludes with the coordinator.
        let knowing = u32::from(self.parameters.colluders()).max(1);
        let shares_of = |floor: u16| NoiseShares {
            floor: u32::from(floor),
            honest: u32::from(floor) - knowing,
        };
        let shares = shares_of(self.parameters.survivor_floor());
        // Whoever sees a group's sum sees the noise of that group alone (FT-20).
        let of_groups = self.groups.as_ref().map(|groups| shares_of(groups.floor()));
        let training_shares = of_groups.unwrap_or(shares);
        let steps_per_round = match noise {
            NoiseAt::Distributed => 1,
            NoiseAt::Local => u64::from(self.local_steps()),
        };
        let schedule = Schedule {
            preparations: 1 + u32::from(self.needs_survey()),
            steps: u64::from(self.rounds()) * steps_per_round,
            evaluations: self.planned(Kind::Evaluation),
        };
        PrivacyPlan::new(goal, shares, training_shares, schedule)
            .map(Some)
            .map_err(|error| PlanError::Goal { place, error })
    }
}

impl Plan {
    /// How many exchanges of a kind the job needs where none is lost.
    #[must_use]
    pub fn planned(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Survey | Kind::Statistics | Kind::FinalEvaluation => 1,
            Kind::Training => self.rounds(),
            Kind::Evaluation => {
                let between = (1..self.rounds()).filter(|round| self.evaluates_after(*round));
                u32::try_from(between.count()).unwrap_or(u32::MAX)
            }
        }
    }
}

/// The groups of a job that combines robustly.
pub(super) fn groups_of(job: &Job, parameters: &Parameters) -> Result<Option<Groups>, PlanError> {
    let narrow = |value: NonZeroU32| u16::try_from(value.get()).unwrap_or(u16::MAX);
    let (groups, rule) = match job.training().combine {
        job::Combine::Mean => return Ok(None),
        job::Combine::TrimmedMean { groups, trim } => {
            let trim = narrow(trim);
            (narrow(groups), Rule::TrimmedMean { trim })
        }
        job::Combine::Median { groups } => (narrow(groups), Rule::Median),
    };
    let digest = lepton_crypto::sha256(&job.digest_bytes());
    let dealt = Groups::deal(digest.as_bytes(), parameters, groups, rule);
    dealt.map(Some).map_err(|undealt| PlanError::Job {
        place: job.origin_of("training.groups"),
        problem: undealt_words(undealt, groups, parameters),
    })
}

fn undealt_words(undealt: Undealt, groups: u16, parameters: &Parameters) -> String {
    let (smallest, needed, most_groups) = match undealt {
        Undealt::Sums(error) => {
            let complete = if parameters.parties() <= MAX_COMPLETE {
                "protection.graph = \"complete\", or "
            } else {
                ""
            };
            return format!("{error}; write {complete}combine = \"mean\"");
        }
        Undealt::TooSmall {
            smallest,
            needed,
            most_groups,
        } => (smallest, needed, most_groups),
    };
    let (parties, colluders) = (parameters.parties(), parameters.colluders());
    let remedy = if most_groups >= 3 {
        format!("write groups = {most_groups} or less")
    } else if parties >= 6 && colluders > 0 {
        format!(
            "write groups = 3 and protection.colluders = {}, or combine = \"mean\"",
            parties / 3 - 2
        )
    } else {
        format!(
            "three groups need {} parties; write combine = \"mean\"",
            3 * needed
        )
    };
    format!(
        "training.groups = {groups} deals {parties} parties into groups of {smallest}, and each needs {needed}, two more than protection.colluders = {colluders}: from the sum of fewer they could tell a single party's update; {remedy}"
    )
}

/// Defaults for what the job leaves open: as many drops and colluders (at most one each) as the inequalities allow.
pub(super) fn protection(job: &Job, parties: u16) -> Result<Parameters, PlanError> {
    let wanted = job.protection();
    let narrow = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let threshold = wanted.threshold.map(|value| narrow(value.get()));
    let quorum = wanted.quorum.map(|value| narrow(value.get()));
    if wanted.graph == job::GraphChoice::Sparse {
        refuse_own_numbers(job)?;
    }
    let candidates = |given: Option<u32>| given.map_or(vec![1, 0], |value| vec![narrow(value)]);
    let mut refusal = None;
    let grouped = job.training().combine != job::Combine::Mean;
    let complete = parties <= MAX_COMPLETE;
    for colluders in candidates(wanted.colluders) {
        for drops in candidates(wanted.drops) {
            let chosen = match wanted.graph {
                // A threshold or a quorum of one's own choice is a matter of the complete graph.
                // Nor are sums by group (FT-17).
                job::GraphChoice::Auto
                    if threshold.is_none() && quorum.is_none() && !(grouped && complete) =>
                {
                    Parameters::fitting(parties, colluders, drops)
                }
                job::GraphChoice::Auto | job::GraphChoice::Complete => {
                    Parameters::new(parties, colluders, drops, threshold, quorum)
                }
                job::GraphChoice::Sparse => Parameters::sparse(parties, colluders, drops),
            };
            match chosen {
                Ok(parameters) => return Ok(parameters),
                // Of what was tried, the least demanding came last: its refusal is the job's own fault.
                Err(error) => refusal = Some(error),
            }
        }
    }
    Err(refusal.map_or_else(
        || PlanError::Data("no protection was asked for".to_owned()),
        PlanError::Protection,
    ))
}

/// Threshold and quorum of a sparse graph follow from its failure probability (SA-21): others cannot be had.
fn refuse_own_numbers(job: &Job) -> Result<(), PlanError> {
    let wanted = job.protection();
    let given = [
        ("protection.threshold", wanted.threshold.is_some()),
        ("protection.quorum", wanted.quorum.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((key, _)) => Err(PlanError::Job {
            place: job.origin_of(key),
            problem: format!(
                "{key} cannot be chosen with protection.graph = \"sparse\", whose threshold and quorum follow from the graph; leave it out, or write graph = \"complete\""
            ),
        }),
    }
}

pub(super) fn features_of(job: &Job) -> Result<Vec<Feature>, PlanError> {
    let data = job.data();
    let names = data
        .features
        .as_ref()
        .ok_or_else(|| unresolved(job, "data.features"))?;
    let features = names
        .iter()
        .map(|name| {
            let kind = match data.types.get(name) {
                Some(job::ColumnType::Number) => FeatureKind::Number(bounds_of(job, name)),
                Some(job::ColumnType::Category) => match job.prepare().values.get(name) {
                    Some(values) => FeatureKind::Declared(values.clone()),
                    None => FeatureKind::Discovered,
                },
                None => return Err(unresolved(job, "data.types")),
            };
            Ok(Feature {
                name: name.clone(),
                kind,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(in_model_order(job, features))
}

pub(super) fn label_of(job: &Job) -> LabelKind {
    let data = job.data();
    match (job.objective(), &data.classes) {
        (job::Objective::Number, _) => LabelKind::Number(bounds_of(job, &data.label)),
        (job::Objective::Classes, Some(classes)) => LabelKind::Declared(classes.clone()),
        (job::Objective::Classes, None) => LabelKind::Discovered,
    }
}

fn bounds_of(job: &Job, name: &str) -> Option<(f64, f64)> {
    job.prepare()
        .bounds
        .get(name)
        .map(|bounds| (bounds.low(), bounds.high()))
}

fn unresolved(job: &Job, key: &str) -> PlanError {
    PlanError::Job {
        place: job.origin_of(key),
        problem: format!("{key} must name every column before a job can be planned"),
    }
}
