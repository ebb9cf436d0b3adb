//! Parties that join a running job (docs/protocols/late-join.md): who waits to come in, and how the roster grows between two epochs.

use std::collections::{BTreeMap, BTreeSet};

use lepton_protocol::control::Answer;
use lepton_protocol::late::may_grow;
use lepton_protocol::plan::Plan;
use lepton_protocol::training::{Joined, Training};
use tokio::time::Instant;

use super::Input;
use super::course::{Course, Ending};
use super::gather::{AGAIN, refused};
use super::shelf::Record;
use crate::daemon::effective;
use crate::daemon::record::Place;

/// How often a party may come to nothing before it is left alone: each time costs the others an epoch.
const MOST_FAILURES: u32 = 3;

/// Who wants to come in.
#[derive(Default)]
pub(super) struct Late {
    /// Parties outside the roster that accepted the job and are connected.
    accepted: BTreeSet<String>,
    /// Those of them that came to nothing: tried again when another one comes, or they connect anew, or were only slow.
    aside: BTreeSet<String>,
    slow: BTreeSet<String>,
    /// How often each came to nothing.
    failed: BTreeMap<String, u32>,
    /// Whether a longer roster can be made of them.
    pub(super) ready: bool,
}

impl Input {
    /// The party that it is about.
    fn party(&self) -> Option<&String> {
        match self {
            Self::Answer(name, _) | Self::Frame(name, _) | Self::Here(name) | Self::Gone(name) => {
                Some(name)
            }
            Self::Stop(_) => None,
        }
    }
}

impl Record {
    /// Parties over which an epoch was opened: there is no way back behind them.
    fn settled(&self) -> usize {
        match (self.epoch, self.opened) {
            (0, _) => 0,
            // Kept before rosters could grow.
            (_, 0) => self.roster.len(),
            (_, opened) => opened,
        }
    }

    /// Whether newcomers stand in the roster, and no epoch was opened over it yet.
    pub(super) fn is_growing(&self) -> bool {
        self.epoch > 0 && self.settled() < self.roster.len()
    }

    pub(super) fn newcomers(&self) -> impl Iterator<Item = &str> {
        let names = self.roster.iter().map(|place| place.name.as_str());
        names.skip(if self.is_growing() {
            self.settled()
        } else {
            self.roster.len()
        })
    }
}

impl Course {
    /// Offers a job that lets parties join late to everybody who is here and not in its roster.
    pub(super) fn offer_to_others(&mut self) -> Result<(), Ending> {
        let roster = self.roster();
        let here = self.desk.parties();
        for name in here.keys().filter(|name| !roster.contains(name)) {
            if self.has_room()? {
                self.offer(name)?;
            }
        }
        Ok(())
    }

    /// What a party outside the roster says; `true` when it was that.
    pub(super) fn knock(&mut self, input: &Input) -> Result<bool, Ending> {
        let Some(name) = input.party() else {
            return Ok(false);
        };
        if self.roster().contains(name) {
            return Ok(false);
        }
        match input {
            Input::Here(_) if self.has_room()? => {
                self.late.aside.remove(name);
                self.offer(name)?;
            }
            Input::Gone(_) => {
                self.late.accepted.remove(name);
            }
            Input::Answer(_, Answer::Accepted) if self.has_room()? => {
                if self.late.accepted.insert(name.clone()) {
                    self.late.aside.clear();
                    let words = self.why_not()?;
                    let words = words.unwrap_or_else(|| "joins between two sums".to_owned());
                    self.shelf.note(format!("{name} accepted, and {words}"));
                }
            }
            Input::Answer(_, Answer::Refused(refusal)) => {
                self.late.accepted.remove(name);
                self.shelf.note(refused(name, refusal));
            }
            // Of a roster that was given up meanwhile, since it took its time.
            Input::Answer(_, Answer::Joined { .. }) if self.late.slow.remove(name) => {
                self.late.aside.remove(name);
            }
            Input::Answer(_, Answer::AwaitingApproval) => {
                self.shelf.note(format!("{name}: a person decides"));
            }
            _ => return Ok(true),
        }
        self.late.ready = !self.candidates()?.is_empty();
        Ok(true)
    }

    fn has_room(&self) -> Result<bool, Ending> {
        let record = self.shelf.record();
        let job = effective::admit(record.submission.text());
        let job = job.map_err(|refusal| Ending::Failed(refusal.words))?;
        let most = job
            .training()
            .late_join
            .map_or(0, |most| most.get() as usize);
        Ok(record.roster.len() < most)
    }

    /// Those who wait and are not put aside.
    fn waiting(&self) -> Vec<String> {
        let here = self.desk.parties();
        let Late { aside, failed, .. } = &self.late;
        let spent = |name: &String| {
            failed
                .get(name)
                .is_some_and(|often| *often >= MOST_FAILURES)
        };
        let waits =
            |name: &&String| here.contains_key(*name) && !aside.contains(*name) && !spent(name);
        self.late.accepted.iter().filter(waits).cloned().collect()
    }

    /// Those who wait, as many as may come in now; nobody where too few do.
    fn candidates(&self) -> Result<Vec<String>, Ending> {
        let mut names = self.waiting();
        if names.is_empty() {
            return Ok(names);
        }
        let before = self.plan()?;
        let come = (1..=names.len())
            .rev()
            .find(|come| self.fits(&before, *come).is_ok());
        names.truncate(come.unwrap_or(0));
        Ok(names)
    }

    /// Whether so many newcomers may join.
    fn fits(&self, before: &Plan, come: usize) -> Result<(), String> {
        let after = self.plan_for(usize::from(before.parties()) + come)?;
        may_grow(before, &after).map_err(|unfit| unfit.to_string())
    }

    /// Why nobody of those who wait may come in now.
    fn why_not(&self) -> Result<Option<String>, Ending> {
        if !self.candidates()?.is_empty() {
            return Ok(None);
        }
        let waiting = self.waiting().len();
        if waiting == 0 {
            return Ok(Some("is left out: it came to nothing before".to_owned()));
        }
        let why = self.fits(&self.plan()?, waiting);
        Ok(why.err().map(|why| format!("waits: {why}")))
    }

    /// Whether the epoch is to end, after the exchange that runs, for those who wait (rule LJ-06).
    pub(super) fn makes_room(&self, training: &Training) -> bool {
        self.late.ready && training.may_grow()
    }

    /// Puts those who wait on the roster, durably before anybody hears of it (rule LJ-06).
    pub(super) fn let_in(&mut self) -> Result<(), Ending> {
        let record = self.shelf.record();
        if record.epoch == 0 || record.is_growing() || self.late.accepted.is_empty() {
            return Ok(());
        }
        let plan = self.plan()?;
        let now = self
            .reached(&plan)?
            .is_some_and(|training| training.may_grow());
        let names = if now { self.candidates()? } else { Vec::new() };
        let (mut roster, mut certificates) = (record.roster, record.certificates);
        let settled = roster.len();
        for name in &names {
            if let Some(present) = self.desk.party(name) {
                roster.push(Place::new(name, &present.member.key));
                certificates.push(present.certificate);
            }
        }
        // Gone since: the others are looked at again between the next two sums.
        if names.is_empty() || roster.len() < settled + names.len() {
            return Ok(());
        }
        self.shelf.change(|record| {
            record.opened = settled;
            record.roster = roster;
            record.certificates = certificates;
        })?;
        self.shelf.note(format!(
            "{} may join: the next epoch is to have {} parties",
            names.join(", "),
            settled + names.len()
        ));
        self.joined.clear();
        self.late.ready = false;
        self.hurry = None;
        Ok(())
    }

    /// The newcomer that has kept all others waiting for too long; before it is too `late` for the job itself.
    pub(super) fn keeps_waiting(&mut self, late: Instant) -> Option<String> {
        let record = self.shelf.record();
        let here = self.desk.parties();
        let mut others = record.roster.iter().take(record.settled());
        if !record.is_growing() || !others.all(|place| here.contains_key(&place.name)) {
            self.hurry = None;
            return None;
        }
        let patience = self.desk.setup.times.patience;
        let until = *self.hurry.get_or_insert_with(|| Instant::now() + patience);
        let until = until.min(late.checked_sub(AGAIN).unwrap_or(late));
        let mut silent = record
            .newcomers()
            .filter(|name| !self.joined.contains_key(*name));
        let silent = silent.next().filter(|_| Instant::now() >= until)?;
        self.late.slow.insert(silent.to_owned());
        Some(silent.to_owned())
    }

    /// The job goes on with the roster before: somebody refuses, or a newcomer is not there. `true` when there was another roster to give up.
    pub(super) fn shut_out(&mut self, (name, why): (&str, &str)) -> Result<bool, Ending> {
        let record = self.shelf.record();
        if !record.is_growing() {
            return Ok(false);
        }
        let newcomers: Vec<String> = record.newcomers().map(str::to_owned).collect();
        let settled = record.settled();
        self.shelf.change(|record| {
            record.roster.truncate(settled);
            record.certificates.truncate(settled);
        })?;
        let own = newcomers.iter().any(|newcomer| newcomer == name);
        for newcomer in newcomers.iter().filter(|one| !own || *one == name) {
            self.late.aside.insert(newcomer.clone());
            *self.late.failed.entry(newcomer.clone()).or_default() += 1;
        }
        self.shelf.note(format!(
            "{} does not join now ({name}: {why}); the job goes on with {settled} parties",
            newcomers.join(", ")
        ));
        self.joined.clear();
        self.hurry = None;
        self.let_in()?;
        Ok(true)
    }

    /// What is kept of an epoch over a longer roster before anybody is invited to it.
    pub(super) fn grown(&self, training: &Training) -> Result<Option<String>, Ending> {
        let record = self.shelf.record();
        let step = training.joined().last();
        let Some(Joined { round, after, .. }) = step.filter(|_| record.is_growing()) else {
            return Ok(None);
        };
        let state = format!("grown to {after} parties");
        self.desk.setup.trail.job(&self.shelf.job, &state)?;
        let names: Vec<&str> = record.newcomers().collect();
        Ok(Some(format!(
            "{} joined: {after} parties from round {round} on",
            names.join(", ")
        )))
    }
}
