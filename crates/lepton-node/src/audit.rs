//! `lepton audit privacy`: attacks on a job's own training, as a check of the guarantee that it claims.
//!
//! Attacks on the sums and the model that the job would release: canaries of known membership, guessed from every noised sum (one training run each,
//! Steinke, Nasr, Jagielski 2023): extreme records, and made-up gradients along single parameters; and membership inference with shadow models (Carlini et al. 2022). Parties' vectors are computed by the code that
//! computes them in a run (`lepton_protocol::work`), are summed in the clear, since a masked sum is exact, and absorbed by the coordinator's own code.
//!
//! What an audit prints is derived from the rows without noise: it is for their owner, and sharing it is a release that no ledger has paid for.

mod canaries;
mod course;
mod directions;
mod membership;

use lepton_dp::audit::Guesses;
use lepton_protocol::job::Unit;
use lepton_protocol::ledger::{Side, accountant_of};
use lepton_protocol::privacy::NoiseAt;
use serde::Serialize;

use crate::error::NodeError;
use crate::random::Entropy;
use crate::tables::Federation;
use course::Course;
use directions::Directions;
pub use membership::Membership;

/// How to audit.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Canaries, each included with probability one half.
    pub canaries: u32,
    /// About how many of them something is guessed; half of the guesses are "in", half "out". Fixed before the run.
    pub guesses: u32,
    /// Confidence of the lower bound.
    pub confidence: f64,
    /// Shadow models; 0 leaves membership inference out.
    pub shadow_models: u32,
}

/// What the audit found.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// What the job claims against whoever sees all that is released; absent without a privacy goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Claimed>,
    /// What guesses about extreme records show.
    pub canaries: CanaryFindings,
    /// What guesses about gradient canaries show; absent where the noise is not in the sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_canaries: Option<CanaryFindings>,
    /// What membership inference shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
    /// Whether a lower bound at a confidence of 1 - 1e-6 lies above the claim: then something is broken.
    pub refuted: bool,
    /// What the figures are and are not.
    pub notes: Vec<String>,
}

/// A claimed guarantee.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Claimed {
    /// Epsilon of what was charged for training records, as the public sees the sums.
    pub epsilon: f64,
    /// The same against the coordinator with its colluders.
    pub epsilon_coordinator: f64,
    /// At this delta.
    pub delta: f64,
}

/// Guesses about canaries.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CanaryFindings {
    /// Canaries.
    pub canaries: u32,
    /// Of these, included.
    pub included: u32,
    /// Guesses made.
    pub guesses: u32,
    /// Guesses that were right.
    pub correct: u32,
    /// No epsilon below this one explains so many right guesses at the confidence.
    pub epsilon_lower_bound: f64,
    /// Confidence of the bound.
    pub confidence: f64,
    /// The most that this many guesses could have shown, all being right: the audit's power ends here.
    pub epsilon_largest_possible: f64,
}

/// Audits the job.
///
/// # Errors
/// [`NodeError`] when the job cannot be run or the numbers do not go together.
pub fn audit(
    federation: &Federation,
    setting: Setting,
    entropy: Entropy,
) -> Result<Audit, NodeError> {
    if setting.guesses > setting.canaries || setting.guesses < 2 {
        return Err(NodeError::Use(format!(
            "{} guesses about {} canaries: guesses must lie between 2 and the number of canaries",
            setting.guesses, setting.canaries
        )));
    }
    if federation.plan.unit() != Unit::Record {
        return Err(NodeError::Use(format!(
            "an audit plants and guesses single records, and this job protects each {}; audit it with --set privacy.unit=record",
            federation.plan.unit()
        )));
    }
    if federation.plan.clip_quantile().is_some() {
        return Err(NodeError::Use(
            "an audit needs a fixed norm for its canaries; audit the job with --set privacy.clip=1"
                .to_owned(),
        ));
    }
    if federation.plan.groups().is_some() {
        return Err(NodeError::Use(
            "an audit needs training.combine = \"mean\": canaries are guessed from one sum over all parties".to_owned(),
        ));
    }
    let mut rng = generator(entropy, "audit")?;
    let planted = canaries::Canaries::draw(federation, setting.canaries, &mut rng)?;
    let course = Course::run(federation, planted.rows(federation), None, &mut rng)?;
    let delta = federation
        .plan
        .privacy()
        .map_or(0.0, |privacy| privacy.goal.delta.get());
    let canaries = planted.guess(federation, &course, setting.guesses)?;
    let gradient_canaries = along_parameters(federation, &course, setting, &mut rng)?;
    let claimed = claimed(federation, &course)?;
    let membership = match setting.shadow_models {
        0 => None,
        models => Some(membership::infer(
            federation,
            models,
            setting.confidence,
            &mut rng,
        )?),
    };
    let all = [Some(canaries), gradient_canaries];
    let refuted = claimed.is_some_and(|claimed| {
        let mut bounds = all
            .iter()
            .flatten()
            .map(|guess| guess.0.epsilon_lower_bound(delta, CERTAIN));
        bounds.any(|bound| bound > claimed.epsilon)
    });
    let findings = |guess: Guess| guess.findings(delta, setting.confidence);
    Ok(Audit {
        refuted,
        notes: notes(claimed.is_some(), membership.is_some()),
        claimed,
        canaries: findings(canaries)?,
        gradient_canaries: gradient_canaries.map(findings).transpose()?,
        membership,
    })
}

/// Confidence at which a claim counts as refuted: a sound build is wrongly accused once in a million audits and attack.
const CERTAIN: f64 = 1.0 - 1e-6;

/// A second course of the same job, with gradient canaries; only where the noise is in the sum of gradients.
fn along_parameters(
    federation: &Federation,
    first: &Course,
    setting: Setting,
    rng: &mut chacha20::ChaCha20Rng,
) -> Result<Option<Guess>, NodeError> {
    let noise = federation.plan.privacy().map(|privacy| privacy.goal.noise);
    let parameters = u32::try_from(first.training.parameters().len()).unwrap_or(u32::MAX);
    if noise != Some(NoiseAt::Distributed) || parameters < 4 {
        return Ok(None);
    }
    let count = setting.canaries.min(parameters);
    // There may be few parameters: of at most half of them something is guessed.
    let guesses = setting.guesses.min(count / 2).max(2);
    let planted = Directions::draw(count, rng);
    let rows = federation.parties.iter().map(|party| party.rows.clone());
    let course = Course::run(federation, rows.collect(), Some(&planted), rng)?;
    Ok(Some(planted.guess(&course, guesses)))
}

/// Guesses about canaries, and how many were included.
#[derive(Debug, Clone, Copy)]
struct Guess(Guesses, u32);

impl Guess {
    /// The highest scores are guessed in and the lowest out, half of the guesses each.
    fn of(scores: &[f64], included: &[bool], guesses: u32) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        let score = |row: &usize| scores.get(*row).copied().unwrap_or_default();
        order.sort_by(|a, b| score(b).total_cmp(&score(a)));
        let half = (guesses / 2) as usize;
        let taken = |row: &&usize| included.get(**row).copied().unwrap_or_default();
        let ins = order.iter().take(half).filter(taken).count();
        let outs = order.iter().rev().take(guesses as usize - half);
        let outs = outs.filter(|row| !taken(row)).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let guessed = Guesses::new(count(scores.len()), guesses, count(ins + outs));
        let of_included = included.iter().filter(|taken| **taken).count();
        Self(guessed.unwrap_or(NOTHING), count(of_included))
    }

    fn findings(self, delta: f64, confidence: f64) -> Result<CanaryFindings, NodeError> {
        let Self(guesses, included) = self;
        let best = Guesses::new(guesses.canaries(), guesses.guessed(), guesses.guessed())
            .ok_or_else(|| NodeError::Internal("more guesses than canaries".to_owned()))?;
        Ok(CanaryFindings {
            canaries: guesses.canaries(),
            included,
            guesses: guesses.guessed(),
            correct: guesses.correct(),
            epsilon_lower_bound: guesses.epsilon_lower_bound(delta, confidence),
            confidence,
            epsilon_largest_possible: best.epsilon_lower_bound(delta, confidence),
        })
    }
}

/// No guess at all: what more guesses than canaries come to.
const NOTHING: Guesses = match Guesses::new(0, 0, 0) {
    Some(nothing) => nothing,
    None => panic!("0 <= 0 <= 0"),
};

fn claimed(federation: &Federation, course: &Course) -> Result<Option<Claimed>, NodeError> {
    let Some(privacy) = federation.plan.privacy() else {
        return Ok(None);
    };
    let delta = privacy.goal.delta;
    let epsilon = |charges| -> Result<f64, NodeError> {
        let spent = accountant_of(charges, Side::Training)
            .map_err(|error| NodeError::Internal(error.to_string()))?;
        let (epsilon, _) = spent
            .epsilon(delta)
            .map_err(|error| NodeError::Internal(error.to_string()))?;
        Ok(epsilon.get())
    };
    Ok(Some(Claimed {
        epsilon: epsilon(course.training.public_charges())?,
        epsilon_coordinator: epsilon(course.training.charges())?,
        delta: delta.get(),
    }))
}

fn notes(private: bool, membership: bool) -> Vec<String> {
    let mut all = vec![
        "A lower bound shows what this attack achieved, not that nothing stronger exists; 0 shows nothing.".to_owned(),
        "These figures come from the rows without noise. They are for the rows' owner: sharing them is a release of its own.".to_owned(),
    ];
    if membership {
        all.push(membership::INTERVAL_NOTE.to_owned());
    }
    if !private {
        all.push(
            "The job has no privacy goal: there is no claim to hold the bound against.".to_owned(),
        );
    }
    all
}

fn generator(entropy: Entropy, purpose: &str) -> Result<chacha20::ChaCha20Rng, NodeError> {
    entropy
        .generator(purpose, 0)
        .map_err(|error| NodeError::Internal(error.to_string()))
}
