//! Two logs of one job, held against each other.

use std::collections::BTreeMap;
use std::path::Path;

use super::entry::{Direction, Entry, Event, Verdict};
use super::read::read;
use crate::error::NodeError;

/// What two logs say of one job together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossCheck {
    /// Whose logs.
    pub members: [String; 2],
    /// Messages that both have.
    pub matched: u64,
    /// Messages that one sent and the other does not have: lost on the way, or kept quiet about.
    pub not_received: u64,
    /// What cannot be if both logs are true.
    pub contradictions: Vec<String>,
}

/// Holds two logs against each other, for one job: what one received the other must have sent, and what one says the other decided must be what the other decided.
///
/// # Errors
/// [`NodeError::Data`] when one of them does not hold by itself, or neither knows the job.
pub fn cross_check(first: &Path, second: &Path, job: &str) -> Result<CrossCheck, NodeError> {
    let (one, other) = (load(first, job)?, load(second, job)?);
    if one.entries.is_empty() && other.entries.is_empty() {
        return Err(NodeError::Data(format!("neither log knows the job {job}")));
    }
    let mut check = CrossCheck {
        members: [one.member.clone(), other.member.clone()],
        matched: 0,
        not_received: 0,
        contradictions: Vec::new(),
    };
    check.messages(&one, &other);
    check.messages(&other, &one);
    check.decisions(&one, &other);
    check.decisions(&other, &one);
    Ok(check)
}

struct Side {
    member: String,
    entries: Vec<Event>,
}

fn load(folder: &Path, job: &str) -> Result<Side, NodeError> {
    let (summary, entries) = read(folder)?;
    let of_job = |entry: Entry| (entry.event.job() == Some(job)).then_some(entry.event);
    Ok(Side {
        member: summary.member,
        entries: entries.into_iter().filter_map(of_job).collect(),
    })
}

impl Side {
    /// How many messages of each kind and size went between this side and `peer`.
    fn messages(&self, wanted: Direction, with: &str) -> BTreeMap<(&str, u64), u64> {
        let mut counts = BTreeMap::new();
        for event in &self.entries {
            if let Event::Message {
                direction,
                peer,
                kind,
                bytes,
                ..
            } = event
                && *direction == wanted
                && peer == with
            {
                *counts.entry((kind.as_str(), *bytes)).or_insert(0) += 1;
            }
        }
        counts
    }

    /// What `member` decided, as this side has it, in order.
    fn decisions(&self, member: &str) -> Vec<Verdict> {
        let verdict = |event: &Event| match event {
            Event::Decision { by, verdict, .. } if by == member => Some(*verdict),
            _ => None,
        };
        self.entries.iter().filter_map(verdict).collect()
    }
}

impl CrossCheck {
    fn messages(&mut self, from: &Side, to: &Side) {
        let sent = from.messages(Direction::Sent, &to.member);
        let received = to.messages(Direction::Received, &from.member);
        for ((kind, bytes), count) in &received {
            let known = sent.get(&(*kind, *bytes)).copied().unwrap_or(0);
            self.matched += known.min(*count);
            if *count > known {
                self.contradictions.push(format!(
                    "{} received {count} messages \"{kind}\" of {bytes} bytes from {}, which sent {known}",
                    to.member, from.member
                ));
            }
        }
        for (what, count) in &sent {
            let arrived = received.get(what).copied().unwrap_or(0);
            self.not_received += count.saturating_sub(arrived);
        }
    }

    /// The last word that `witness` has of the other must be one that the other said.
    fn decisions(&mut self, witness: &Side, decider: &Side) {
        let said = decider.decisions(&decider.member);
        if let Some(heard) = witness.decisions(&decider.member).last()
            && !said.contains(heard)
        {
            self.contradictions.push(format!(
                "{} has it that {} {}, which its own log does not say",
                witness.member,
                decider.member,
                words(*heard)
            ));
        }
    }
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted the job",
        Verdict::Refused => "refused the job",
        Verdict::Asked => "asked a person about the job",
        Verdict::Approved => "approved the job",
        Verdict::Denied => "denied the job",
    }
}
