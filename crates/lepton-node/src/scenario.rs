//! A scenario file: which parties are slow, lost and back, and when. For simulations only.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::error::NodeError;
use crate::tables::read_text;

/// Everything that goes wrong in a simulated run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Faults, in any order.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
}

/// One fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The party's name.
    pub party: String,
    /// What happens to it.
    pub kind: FaultKind,
    /// First training round it happens in, from 1.
    #[serde(default = "first_round")]
    pub from_round: u32,
    /// First training round in which all is well again; never if absent.
    pub until_round: Option<u32>,
    /// Where in the first round the connection is lost.
    #[serde(default)]
    pub at: Moment,
    /// How late a slow party's messages are.
    #[serde(default)]
    pub delay_ms: u64,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The connection is lost.
    Drop,
    /// Every message of the party is late by `delay_ms`.
    Slow,
}

/// Where in a round a connection is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before its masked input is sent.
    #[default]
    BeforeInput,
    /// After its masked input, before it signs the survivor set.
    AfterInput,
    /// After its signature, before it opens shares.
    AfterSignature,
}

impl Scenario {
    /// Reads a scenario and checks it against the parties' names.
    ///
    /// # Errors
    /// [`NodeError`] naming file and line.
    pub fn load(path: &Path, parties: &[&str]) -> Result<Self, NodeError> {
        let text = read_text(path)?;
        let scenario: Self = toml_edit::de::from_str(&text)
            .map_err(|error| NodeError::Use(format!("{}: {error}", path.display())))?;
        for fault in &scenario.faults {
            if !parties.contains(&fault.party.as_str()) {
                return Err(NodeError::Use(format!(
                    "{}: there is no party \"{}\"; the parties are {}",
                    path.display(),
                    fault.party,
                    parties.join(", ")
                )));
            }
            if fault
                .until_round
                .is_some_and(|until| until <= fault.from_round)
            {
                return Err(NodeError::Use(format!(
                    "{}: the fault of party \"{}\" must end (until_round, the first well round) after it begins (from_round)",
                    path.display(),
                    fault.party
                )));
            }
        }
        Ok(scenario)
    }

    /// How late the messages of `party` are in `round`.
    #[must_use]
    pub fn delay(&self, party: &str, round: u32) -> Option<Duration> {
        let slow = self
            .faults
            .iter()
            .filter(|fault| fault.party == party && fault.kind == FaultKind::Slow);
        slow.filter(|fault| fault.covers(round))
            .map(|fault| Duration::from_millis(fault.delay_ms))
            .max()
    }

    /// Whether and where the connection of `party` is lost in `round`; a party lost in an earlier round is lost from the start.
    #[must_use]
    pub fn lost_at(&self, party: &str, round: u32) -> Option<Moment> {
        let drops = self
            .faults
            .iter()
            .filter(|fault| fault.party == party && fault.kind == FaultKind::Drop);
        let mut moments = drops.filter(|fault| fault.covers(round)).map(|fault| {
            if fault.from_round == round {
                fault.at
            } else {
                Moment::BeforeInput
            }
        });
        let first = moments.next()?;
        Some(if moments.any(|moment| moment == Moment::BeforeInput) {
            Moment::BeforeInput
        } else {
            first
        })
    }
}

impl Fault {
    fn covers(&self, round: u32) -> bool {
        round >= self.from_round && self.until_round.is_none_or(|until| round < until)
    }
}

fn first_round() -> u32 {
    1
}
