//! Who takes part (rule JC-05), and whether all of them are there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lepton_protocol::control::{Answer, Body, Control, JobState, Refusal};
use lepton_protocol::late::roster_digest;
use tokio::time::Instant;

use super::Input;
use super::course::{Course, Ending};
use crate::daemon::record::{Place, keys};

/// How often a party that has not joined is asked again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

type Answers = BTreeMap<String, Answer>;

impl Course {
    /// Offers the job to every party and fixes the roster.
    pub(super) async fn gather(&mut self) -> Result<(), Ending> {
        let times = self.desk.setup.times.clone();
        let (joining, waiting) = (
            Instant::now() + times.joining,
            Instant::now() + times.waiting,
        );
        let mut answers = Answers::new();
        for name in self.desk.parties().keys() {
            self.offer(name)?;
        }
        loop {
            let now = Instant::now();
            let (due, late) = (now >= joining, now >= waiting);
            let awaiting = awaiting(&answers);
            if due && !late && !awaiting.is_empty() {
                let words = format!("persons decide at {}", awaiting.join(", "));
                self.shelf.enter(JobState::Joining, &words)?;
            } else if due || self.all_answered(&answers) {
                return self.fix(&answers);
            }
            let until = if due { waiting } else { joining };
            tokio::select! {
                input = self.next() => match input? {
                    Input::Here(name) => self.offer(&name)?,
                    Input::Answer(name, answer) => self.answered(&mut answers, name, answer),
                    _ => {}
                },
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    pub(super) fn offer(&self, party: &str) -> Result<(), Ending> {
        let damaged = || Ending::Failed("the stored submission is damaged".to_owned());
        let submission = self
            .shelf
            .record()
            .submission
            .signed()
            .ok_or_else(damaged)?;
        let body = Body::Offer(submission);
        self.desk.send(
            party,
            &Control {
                job: self.shelf.job,
                body,
            },
        );
        Ok(())
    }

    fn answered(&self, answers: &mut Answers, name: String, answer: Answer) {
        if answers.get(&name) != Some(&answer) {
            match &answer {
                Answer::Refused(refusal) => self.shelf.note(refused(&name, refusal)),
                Answer::AwaitingApproval => self.shelf.note(format!("{name}: a person decides")),
                _ => {}
            }
        }
        answers.insert(name, answer);
    }

    /// Whether every expected party has decided.
    fn all_answered(&self, answers: &Answers) -> bool {
        let expected = &self.desk.setup.expected;
        let decided = |name| {
            answers
                .get(name)
                .is_some_and(|answer| *answer != Answer::AwaitingApproval)
        };
        !expected.is_empty() && expected.iter().all(decided)
    }

    /// Fixes the roster with all that accepted.
    fn fix(&self, answers: &Answers) -> Result<(), Ending> {
        let accepted: Vec<String> = answers
            .iter()
            .filter(|(_, answer)| matches!(answer, Answer::Accepted | Answer::Joined { .. }))
            .map(|(name, _)| name.clone())
            .collect();
        let problem = match self.enough(&accepted) {
            Ok(()) => return self.set_roster(&accepted),
            Err(problem) => problem,
        };
        let reasons = answers.iter().filter_map(|(name, answer)| match answer {
            Answer::Refused(refusal) => Some(refused(name, refusal)),
            Answer::AwaitingApproval => Some(format!("{name}: no person has decided")),
            _ => None,
        });
        let expected = self.desk.setup.expected.iter();
        let silent = expected.filter(|name| !answers.contains_key(*name));
        let silent = silent.map(|name| format!("{name} has not answered"));
        let words: Vec<String> = std::iter::once(problem)
            .chain(reasons)
            .chain(silent)
            .collect();
        Err(Ending::Failed(format!("no roster: {}", words.join("; "))))
    }

    fn enough(&self, accepted: &[String]) -> Result<(), String> {
        let least = self.desk.setup.min_parties;
        if accepted.len() < least {
            return Err(format!(
                "{} parties accepted and {least} are needed",
                accepted.len()
            ));
        }
        self.plan_for(accepted.len())
            .map(drop)
            .map_err(|problem| format!("{} parties accepted: {problem}", accepted.len()))
    }

    fn set_roster(&self, names: &[String]) -> Result<(), Ending> {
        let (mut roster, mut certificates) = (Vec::new(), Vec::new());
        for name in names {
            let present = self.desk.party(name);
            // Gone since it accepted: the job then waits for the others and this one is left out.
            let Some(present) = present else { continue };
            roster.push(Place::new(name, &present.member.key));
            certificates.push(present.certificate);
        }
        let kept: Vec<String> = roster.iter().map(|place| place.name.clone()).collect();
        self.enough(&kept)
            .map_err(|problem| Ending::Failed(format!("no roster: {problem}")))?;
        self.shelf.change(|record| {
            record.roster = roster;
            record.certificates = certificates;
        })?;
        self.shelf
            .note(format!("the roster is {}", kept.join(", ")));
        Ok(())
    }

    /// Waits until all parties of the roster are connected and have joined it.
    pub(super) async fn assemble(&mut self) -> Result<(), Ending> {
        let late = Instant::now() + self.desk.setup.times.waiting;
        let mut again = Instant::now() + AGAIN;
        let mut asked: BTreeSet<String> = BTreeSet::new();
        let mut troubles: BTreeMap<String, String> = BTreeMap::new();
        // Whether the parties had time to answer.
        let mut slow = false;
        loop {
            if let Some(newcomer) = self.keeps_waiting(late) {
                self.shut_out((&newcomer, "it did not join in time"))?;
                asked.clear();
            }
            let here = self.desk.parties();
            self.joined
                .retain(|name, (boot, _)| here.get(name).is_some_and(|party| party.boot == *boot));
            let mut missing = self.roster();
            missing.retain(|name| !self.joined.contains_key(name));
            if missing.is_empty() {
                return Ok(());
            }
            let everybody = missing.iter().all(|name| here.contains_key(name));
            let wait = |name: &String| match (troubles.get(name), here.contains_key(name)) {
                (_, false) => Some(format!("for {name}, which is not connected")),
                (Some(trouble), _) => Some(trouble.clone()),
                // Those that are here are asked only when all are.
                (None, true) if slow && everybody => {
                    Some(format!("for {name}, which has not joined yet"))
                }
                (None, true) => None,
            };
            let waits = missing.iter().filter_map(wait).collect::<Vec<_>>();
            let waits = waits.join("; ");
            if !waits.is_empty() {
                self.shelf.enter(JobState::Waiting, &waits)?;
            }
            for name in missing.iter().filter(|_| everybody) {
                if asked.insert(name.clone()) {
                    self.send_roster(name);
                }
            }
            if Instant::now() >= late {
                return Err(Ending::Failed(format!("it waited too long: {waits}")));
            }
            tokio::select! {
                input = self.next() => self.while_assembling(input?, &mut asked, &mut troubles)?,
                () = tokio::time::sleep_until(late.min(again)) => {
                    again = Instant::now() + AGAIN;
                    slow = everybody;
                    asked.clear();
                }
            }
        }
    }

    fn while_assembling(
        &mut self,
        input: Input,
        asked: &mut BTreeSet<String>,
        troubles: &mut BTreeMap<String, String>,
    ) -> Result<(), Ending> {
        if self.knock(&input)? {
            return Ok(());
        }
        match input {
            Input::Gone(name) if self.shelf.record().newcomers().any(|one| one == name) => {
                self.shut_out((&name, "it is not connected any more"))?;
                asked.clear();
            }
            Input::Here(name) | Input::Gone(name) => {
                asked.remove(&name);
                self.joined.remove(&name);
            }
            Input::Answer(
                name,
                Answer::Joined {
                    boot,
                    epoch,
                    roster,
                },
            ) => {
                let joined = self.on_joined(&name, boot, (epoch, roster))?;
                troubles.retain(|party, _| !joined || *party != name);
            }
            Input::Answer(name, Answer::Refused(refusal)) => {
                let words = refused(&name, &refusal);
                self.shelf.note(words.clone());
                if self.shut_out((&name, "it refused"))? {
                    asked.clear();
                } else if self.shelf.record().epoch == 0 {
                    // Nothing was summed yet: the others go on without it.
                    let rest: Vec<String> = self
                        .roster()
                        .into_iter()
                        .filter(|other| *other != name)
                        .collect();
                    self.enough(&rest)
                        .map_err(|problem| Ending::Failed(format!("{words}; {problem}")))?;
                    self.set_roster(&rest)?;
                    asked.clear();
                    self.joined.clear();
                } else {
                    troubles.insert(name, words);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A party's machine is there, unless the answer is of an earlier start or of another roster.
    pub(super) fn on_joined(
        &mut self,
        name: &str,
        boot: [u8; 16],
        (epoch, roster): (u64, [u8; 32]),
    ) -> Result<bool, Ending> {
        // Of another roster than the present one it says nothing (rule LJ-07).
        let present = roster == roster_digest(&keys(&self.shelf.record().roster)?);
        let joined = present && self.desk.party(name).is_some_and(|here| here.boot == boot);
        if joined {
            self.joined.insert(name.to_owned(), (boot, epoch));
        }
        Ok(joined)
    }

    pub(super) fn send_roster(&self, party: &str) {
        let record = self.shelf.record();
        let places = record.roster.iter().zip(&record.certificates);
        let certificates = places
            .map(|(place, kept)| match self.desk.party(&place.name) {
                // Certificates live for a short time: the newest one of each.
                Some(here) if place.key() == Some(here.member.key) => here.certificate,
                _ => kept.clone(),
            })
            .collect();
        let body = Body::Roster(certificates);
        self.desk.send(
            party,
            &Control {
                job: self.shelf.job,
                body,
            },
        );
    }

    pub(super) fn roster(&self) -> Vec<String> {
        let roster = self.shelf.record().roster;
        roster.into_iter().map(|place| place.name).collect()
    }
}

/// Parties at which a person decides.
fn awaiting(answers: &Answers) -> Vec<&str> {
    let asked = answers
        .iter()
        .filter(|(_, answer)| **answer == Answer::AwaitingApproval);
    asked.map(|(name, _)| name.as_str()).collect()
}

pub(super) fn refused(name: &str, refusal: &Refusal) -> String {
    format!("{name} refused ({}): {}", refusal.rule, refusal.words)
}
