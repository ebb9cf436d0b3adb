//! One epoch of a job: the coordinator's machine between its store, its clock and its links.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroUsize;
use std::time::Instant;

use chacha20::ChaCha20Rng;
use lepton_protocol::control::{Answer, Body, Control, JobState};
use lepton_protocol::coordinator::{Coordinator, CoordinatorFault, Effects, Event, Seat};
use lepton_protocol::exchange::Kind;
use lepton_protocol::plan::Plan;
use lepton_protocol::progress::Progress;
use lepton_protocol::store::{Record as Kept, Store};
use lepton_protocol::training::Training;

use super::Input;
use super::course::{Course, Ending};
use super::gather::AGAIN;
use crate::daemon::record::keys;
use crate::error::NodeError;
use crate::federation::{Clock, PartyOutcome};
use crate::store::SqlStore;

/// How far ahead of the coordinator's own a party's epoch may be: more than a restored backup explains is a lie.
const MOST_AHEAD: u64 = 1 << 32;

/// Faults of one party that are told in an epoch; those after them are dropped as quietly as what caused them.
const TOLD_FAULTS: u32 = 20;

/// Where it is kept which sums each party of the roster joined and missed.
const TALLY: &str = "tally.json";

/// Bytes of one exchange's frames up to which a step is shorter than it takes to move the other tasks away from its thread.
const SMALL: usize = 1 << 20;

/// How an epoch ended.
pub(super) enum EpochEnd {
    /// The job is done.
    Over(Box<Training>),
    /// Everybody is there again: the next epoch begins.
    Paused {
        /// Whether any sum was opened in it.
        sums: bool,
    },
    /// It could not go on.
    Lost {
        /// Why.
        words: String,
        /// Whether any sum was opened in it.
        sums: bool,
    },
}

/// Traffic and times, as the report shows them.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) parties: Vec<PartyOutcome>,
    pub(super) messages: u64,
    pub(super) clock: Clock,
}

/// A machine at work.
struct Machine {
    coordinator: Coordinator,
    store: SqlStore,
    rng: ChaCha20Rng,
    queue: VecDeque<Event>,
    deadline: Option<(u64, tokio::time::Instant)>,
    names: Vec<String>,
    /// Parties that lost their keys with their memory.
    restarted: BTreeSet<String>,
    /// When those of them that have not joined are asked again.
    again: tokio::time::Instant,
    /// Who sent what is handled now, and how many faults each has made.
    sender: Option<u16>,
    faults: BTreeMap<u16, u32>,
    /// The longest frame that came, in bytes.
    longest: usize,
    pausing: bool,
    sums: bool,
    began: Option<(Kind, Instant)>,
}

impl Course {
    /// Opens the next epoch and runs it; the roster is joined and connected.
    pub(super) async fn epoch(&mut self, plan: &Plan) -> Result<EpochEnd, Ending> {
        let mut machine = self.open_epoch(plan)?;
        self.shelf.enter(JobState::Running, "")?;
        machine.queue.push_back(Event::Start);
        loop {
            while let Some(event) = machine.queue.pop_front() {
                if let Some(end) = self.step(&mut machine, event)? {
                    return Ok(end);
                }
            }
            let at = machine.deadline.map(|(_, at)| at);
            let sleep = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                input = self.next() => {
                    let input = input?;
                    let event = match self.knock(&input)? {
                        true => None,
                        false => self.on_input(&mut machine, input)?,
                    };
                    machine.queue.extend(event);
                    let pause = self.pause(&mut machine);
                    machine.queue.extend(pause);
                }
                () = tokio::time::sleep_until(machine.again), if !machine.restarted.is_empty() => {
                    machine.again = tokio::time::Instant::now() + AGAIN;
                    let late = machine.restarted.iter();
                    late.filter(|name| !self.joined.contains_key(*name)).for_each(|name| self.send_roster(name));
                }
                () = sleep => {
                    let passed = machine.deadline.take();
                    machine.queue.extend(passed.map(|(number, _)| Event::Deadline(number)));
                }
            }
        }
    }

    /// Rule JC-07: the number of the epoch is durable before anybody is invited, and above all that were seen.
    fn open_epoch(&mut self, plan: &Plan) -> Result<Machine, Ending> {
        let record = self.shelf.record();
        let seen = self.joined.values().map(|(_, epoch)| *epoch);
        let seen = seen.filter(|epoch| *epoch < record.epoch + MOST_AHEAD);
        let last = seen.fold(record.epoch, u64::max);
        let epoch = last + 1;
        let store = self.store();
        let reached = self.reached(plan)?;
        let training = match reached {
            Some(training) => training,
            None => Training::new(plan, self.start(plan)?),
        };
        let grown = self.grown(&training)?;
        self.shelf.change(|record| {
            record.opened = record.roster.len();
            // A party has seen epochs that this store has not (rule JC-14).
            record.restored |= last > record.epoch;
            record.epoch = epoch;
        })?;
        if let Some(words) = grown {
            self.shelf.note(words);
        }
        let names = self.roster();
        self.recall_tally()?;
        let seat = Seat {
            identity: self.desk.setup.own.identity(),
            roster: keys(&record.roster)?,
            job_text: record.submission.text().to_owned(),
            job: self.shelf.job,
            epoch,
            patience: self.desk.setup.times.patience,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        let rng = self.desk.setup.entropy.generator("coordinator", epoch);
        Ok(Machine {
            coordinator: Coordinator::new(seat, plan.clone(), training),
            rng: rng.map_err(NodeError::from)?,
            store,
            queue: VecDeque::new(),
            deadline: None,
            names,
            restarted: BTreeSet::new(),
            again: tokio::time::Instant::now(),
            sender: None,
            faults: BTreeMap::new(),
            longest: 0,
            pausing: false,
            sums: false,
            began: None,
        })
    }

    fn on_input(&mut self, machine: &mut Machine, input: Input) -> Result<Option<Event>, Ending> {
        Ok(match input {
            Input::Frame(name, bytes) => machine.index(&name).map(|index| {
                machine.sender = Some(index);
                machine.longest = machine.longest.max(bytes.len());
                self.tally.messages += 1;
                if let Some(party) = self.tally.parties.get_mut(usize::from(index)) {
                    party.up_bytes += bytes.len() as u64;
                }
                Event::Frame(bytes)
            }),
            Input::Gone(name) => machine.index(&name).map(Event::Gone),
            Input::Here(name) => machine.index(&name).and_then(|index| {
                let boot = self.desk.party(&name).map(|here| here.boot);
                if boot == self.joined.get(&name).map(|(boot, _)| *boot)
                    && !machine.restarted.contains(&name)
                {
                    return Some(Event::Back(index));
                }
                // Its keys of this epoch are gone (rule JC-08).
                self.joined.remove(&name);
                machine.restarted(name.clone());
                self.send_roster(&name);
                None
            }),
            Input::Answer(
                name,
                Answer::Joined {
                    boot,
                    epoch,
                    roster,
                },
            ) => {
                self.on_joined(&name, boot, (epoch, roster))?;
                None
            }
            Input::Answer(name, Answer::Refused(refusal)) => machine.index(&name).map(|index| {
                tracing::warn!(party = name, rule = refusal.rule, "{}", refusal.words);
                self.joined.remove(&name);
                machine.restarted(name);
                Event::Gone(index)
            }),
            _ => None,
        })
    }

    /// Once everybody is there again, some of them with a new machine, or others may come in (rule LJ-06): another epoch, between two exchanges.
    fn pause(&self, machine: &mut Machine) -> Option<Event> {
        let here =
            |name: &String| self.joined.contains_key(name) && self.desk.party(name).is_some();
        let room = machine.sums && self.makes_room(machine.coordinator.training());
        let due = room || !machine.restarted.is_empty();
        let ready = due && machine.names.iter().all(here);
        let first = ready && !machine.pausing;
        machine.pausing |= first;
        first.then_some(Event::Pause)
    }

    fn step(&mut self, machine: &mut Machine, event: Event) -> Result<Option<EpochEnd>, Ending> {
        let Machine {
            coordinator, rng, ..
        } = machine;
        let stepped = if machine.longest.saturating_mul(machine.names.len()) <= SMALL {
            coordinator.step(event, rng)
        } else {
            // Unmasking and adding up take their time: other tasks move to other threads.
            tokio::task::block_in_place(|| coordinator.step(event, rng))
        };
        let effects = match stepped {
            Ok(effects) => effects,
            Err(CoordinatorFault::Stopped(words)) => {
                return Ok(Some(EpochEnd::Lost {
                    words: machine.named(&words),
                    sums: machine.sums,
                }));
            }
            Err(fault) if fault.is_fatal() => {
                return Err(Ending::Failed(machine.named(&fault.to_string())));
            }
            Err(fault) => {
                if let Some(more) = machine.may_tell() {
                    let words = machine.named(&fault.to_string());
                    self.shelf.note(format!("{words}{more}"));
                }
                return Ok(None);
            }
        };
        self.carry_out(machine, effects)
    }

    /// Persist, tell, send: in this order (rule FT-14).
    fn carry_out(
        &mut self,
        machine: &mut Machine,
        effects: Effects,
    ) -> Result<Option<EpochEnd>, Ending> {
        let mut persist = effects.persist;
        persist.extend(self.count(&effects.progress)?);
        let coordinator = &machine.coordinator;
        let reached = (coordinator.plan(), coordinator.training());
        persist.extend(self.checkpoints(reached, &effects.progress)?);
        if !persist.is_empty() {
            let store = &mut machine.store;
            let kept = tokio::task::block_in_place(|| store.put_all(&persist));
            kept.map_err(NodeError::from)?;
            drop(persist);
        }
        for progress in effects.progress {
            self.tell(machine, progress);
        }
        if let Some(next) = &effects.began {
            machine.began = Some((next.kind, Instant::now()));
        }
        for (index, frame) in effects.send {
            self.tally.messages += 1;
            if let Some(party) = self.tally.parties.get_mut(usize::from(index)) {
                party.down_bytes += frame.len() as u64;
            }
            if let Some(name) = machine.names.get(usize::from(index)) {
                let body = Body::Frame(frame.into());
                self.desk.send(
                    name,
                    &Control {
                        job: self.shelf.job,
                        body,
                    },
                );
            }
        }
        if let Some((number, after)) = effects.deadline {
            machine.deadline = Some((number, tokio::time::Instant::now() + after));
        }
        Ok(if effects.over {
            Some(EpochEnd::Over(Box::new(
                machine.coordinator.training().clone(),
            )))
        } else {
            let sums = machine.sums;
            effects.paused.then_some(EpochEnd::Paused { sums })
        })
    }

    /// Counts who joined sums; what is to be kept of it, with whatever else the step has to keep.
    fn count(&mut self, progress: &[Progress]) -> Result<Option<Kept>, Ending> {
        let mut sums = progress.iter().filter_map(survivors).peekable();
        if sums.peek().is_none() {
            return Ok(None);
        }
        for survivors in sums {
            for (index, party) in (0_u16..).zip(&mut self.tally.parties) {
                let joined = survivors.contains(&index);
                *(if joined {
                    &mut party.joined
                } else {
                    &mut party.missed
                }) += 1;
            }
        }
        let parties = self.tally.parties.iter();
        let counted: Vec<(u64, u64)> = parties.map(|party| (party.joined, party.missed)).collect();
        let value =
            serde_json::to_vec(&counted).map_err(|error| NodeError::Internal(error.to_string()))?;
        let key = TALLY.to_owned();
        Ok(Some(Kept { key, value }))
    }

    /// What earlier starts counted.
    pub(super) fn recall_tally(&mut self) -> Result<(), Ending> {
        let kept = self.store().get(TALLY).map_err(NodeError::from)?;
        let counted: Vec<(u64, u64)> = match kept {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| NodeError::Data(format!("the stored tally: {error}")))?,
            None => Vec::new(),
        };
        let parties = &mut self.tally.parties;
        parties.resize_with(self.shelf.record().roster.len(), PartyOutcome::default);
        for (party, (joined, missed)) in parties.iter_mut().zip(counted) {
            (party.joined, party.missed) = (joined, missed);
        }
        Ok(())
    }

    fn tell(&mut self, machine: &mut Machine, progress: Progress) {
        if let Some(survivors) = survivors(&progress) {
            machine.sums |= !survivors.is_empty();
            let metrics = self.desk.setup.trail.metrics();
            match survivors.is_empty() {
                true => metrics.round_lost(),
                false => metrics.round(),
            }
            if let Some((_, began)) = &machine.began {
                metrics.round_took_at_the_coordinator(began.elapsed().as_secs_f64());
            }
            self.tally.end_exchange(machine.began.take());
        }
        let progress = match progress {
            Progress::Declined {
                party,
                reason,
                refused,
            } => {
                let name = machine
                    .names
                    .get(usize::from(party))
                    .cloned()
                    .unwrap_or_default();
                self.shelf.note(format!("{name} declined: {reason}"));
                Progress::Declined {
                    party,
                    reason,
                    refused,
                }
            }
            Progress::Abandoned {
                kind,
                round,
                reason,
            } => Progress::Abandoned {
                kind,
                round,
                reason: machine.named(&reason),
            },
            other => other,
        };
        self.shelf.journal.add(progress, None);
    }
}

/// Who is in the sum that was opened, nobody if it was given up; `None` for what is no end of an exchange.
fn survivors(progress: &Progress) -> Option<&[u16]> {
    match progress {
        Progress::Summed { survivors, .. } => Some(survivors),
        Progress::Abandoned { .. } => Some(&[]),
        _ => None,
    }
}

impl Tally {
    fn end_exchange(&mut self, began: Option<(Kind, Instant)>) {
        let Some((kind, began)) = began else { return };
        let took = began.elapsed();
        match kind {
            Kind::Survey | Kind::Statistics => self.clock.prepare += took,
            Kind::Evaluation | Kind::FinalEvaluation => self.clock.evaluate += took,
            // How much of it was training is the parties' own knowledge.
            Kind::Training => self.clock.protocol += took,
        }
    }
}

impl Machine {
    fn index(&self, name: &str) -> Option<u16> {
        let index = self.names.iter().position(|one| one == name)?;
        u16::try_from(index).ok()
    }

    /// From now on asked to join until it has.
    fn restarted(&mut self, name: String) {
        if self.restarted.is_empty() {
            self.again = tokio::time::Instant::now() + AGAIN;
        }
        self.restarted.insert(name);
    }

    /// What is added to the words of a fault; `None` when its party has made so many that nothing more is told.
    fn may_tell(&mut self) -> Option<&'static str> {
        let Some(sender) = self.sender else {
            return Some("");
        };
        let made = self.faults.entry(sender).or_default();
        *made = made.saturating_add(1);
        match (*made).cmp(&TOLD_FAULTS) {
            Ordering::Less => Some(""),
            Ordering::Equal => Some(" (more of it in this epoch is not told)"),
            Ordering::Greater => None,
        }
    }

    /// The machine counts parties; people know them by name.
    fn named(&self, words: &str) -> String {
        let mut parts = words.split("party ");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, rest) = part.split_at(digits);
            let name = number
                .parse::<usize>()
                .ok()
                .and_then(|index| self.names.get(index));
            text += &name.map_or_else(|| format!("party {part}"), |name| format!("{name}{rest}"));
        }
        text
    }
}
