//! Parties that join a running job: when a roster may grow (docs/protocols/late-join.md). Every party decides it for itself, and the coordinator asks
//! the same before it tries.

use lepton_crypto::{IdentityPublic, sha256};

use crate::plan::Plan;

/// How often the roster of one job may grow (rule LJ-02).
pub const MOST_CHANGES: u32 = 8;

/// Why a roster may not grow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The job fixes its parties (rule LJ-01).
    #[error("the job does not let parties join late; training.late_join would")]
    Fixed,
    /// More than the job allows, or no newcomer at all (rule LJ-02).
    #[error(
        "{before} parties cannot become {after}: newcomers may join up to {most} (training.late_join)"
    )]
    Number {
        /// Parties of the roster.
        before: u16,
        /// Parties of the longer one.
        after: u16,
        /// Most that the job allows.
        most: u32,
    },
    /// The guarantee would be against others than before (rule LJ-03).
    #[error(
        "the job counts on {before} colluders, and with the newcomers on {after}; write protection.colluders"
    )]
    Colluders {
        /// Of the roster.
        before: u16,
        /// Of the longer one.
        after: u16,
    },
    /// The cost of the job would change (rule LJ-03).
    #[error("the privacy goal would be kept by other noise than the one that was set aside for")]
    Terms,
    /// Too few at once for exact sums (rule LJ-04).
    #[error("without a privacy goal parties join {least} or more at a time, and these are {come}")]
    Alone {
        /// Newcomers.
        come: u16,
        /// Fewest that hide each other.
        least: u16,
    },
}

/// Whether the roster of the first plan may become that of the second (rules LJ-01 to LJ-04). Who is in it, and whose policy allows it, is looked at elsewhere.
///
/// # Errors
/// [`Unfit`].
pub fn may_grow(before: &Plan, after: &Plan) -> Result<(), Unfit> {
    let most = after.job().training().late_join.ok_or(Unfit::Fixed)?.get();
    if after.groups().is_some() {
        return Err(Unfit::Fixed);
    }
    let [old, new] = [before.parties(), after.parties()];
    if new <= old || u32::from(new) > most {
        return Err(Unfit::Number {
            before: old,
            after: new,
            most,
        });
    }
    let [then, now] = [before, after].map(|plan| plan.parameters().colluders());
    if then != now {
        return Err(Unfit::Colluders {
            before: then,
            after: now,
        });
    }
    if !same_terms(before, after) {
        return Err(Unfit::Terms);
    }
    let (come, least) = (new - old, least_newcomers(after));
    if come < least {
        return Err(Unfit::Alone { come, least });
    }
    Ok(())
}

/// Fewest parties that may join at a time: without a goal two honest ones among them (rule LJ-04).
#[must_use]
pub fn least_newcomers(after: &Plan) -> u16 {
    match after.privacy() {
        Some(_) => 1,
        None => after.parameters().colluders().saturating_add(2),
    }
}

/// Whether what the job costs is the same for both numbers of parties: only the shares of the noise differ.
fn same_terms(before: &Plan, after: &Plan) -> bool {
    let terms = |plan: &Plan| {
        let privacy = plan.privacy()?;
        let multipliers = [
            privacy.prepare,
            privacy.training,
            privacy.evaluation,
            privacy.last_evaluation,
        ];
        Some((privacy.goal, multipliers, privacy.limit))
    };
    terms(before) == terms(after)
}

/// What stands for a roster in an answer (rule LJ-07): SHA-256 over the keys in order.
#[must_use]
pub fn roster_digest(roster: &[IdentityPublic]) -> [u8; 32] {
    let keys: Vec<u8> = roster.iter().flat_map(|key| key.to_bytes()).collect();
    *sha256(&keys).as_bytes()
}
