//! The coordinator's task with its connections, on which a scenario's faults happen.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Instant;

use chacha20::ChaCha20Rng;
use lepton_protocol::coordinator::{self, Coordinator};
use lepton_protocol::exchange::Kind;
use lepton_protocol::progress::Progress;
use lepton_protocol::store::Store;
use lepton_protocol::training::Next;
use tokio::sync::{mpsc, watch};

use super::kept::Kept;
use super::{Clock, Outcome, PATIENCE, PartyOutcome, Roster, Setup, ToCoordinator};
use crate::error::NodeError;
use crate::files::{Durability, FileStore};
use crate::scenario::{Moment, Scenario};

/// The coordinator's view of one connection.
pub(super) struct Link {
    name: String,
    to_party: mpsc::UnboundedSender<Vec<u8>>,
    lost: Option<Lost>,
    /// Whether the connection is well again at the next exchange.
    returning: bool,
    outcome: PartyOutcome,
}

impl Link {
    pub(super) fn new(name: String, to_party: mpsc::UnboundedSender<Vec<u8>>) -> Self {
        Self {
            name,
            to_party,
            lost: None,
            returning: false,
            outcome: PartyOutcome::default(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// Already.
    Now,
    /// As soon as this many more frames have come from it in this exchange.
    After(u8),
}

/// The coordinator's task with its connections.
pub(super) struct Hub {
    coordinator: Coordinator,
    store: FileStore,
    kept: Kept,
    rng: ChaCha20Rng,
    links: Vec<Link>,
    scenario: Scenario,
    stop: watch::Receiver<bool>,
    run_name: String,
    messages: u64,
    clock: Clock,
    began: Option<(Kind, Instant)>,
    computed: Option<Instant>,
    deadline: Option<(u64, tokio::time::Instant)>,
    refusal: Refusal,
}

/// Why a party's policy or ledger forbade the exchange that runs.
#[derive(Default)]
struct Refusal(Option<String>);

impl Refusal {
    fn note(&mut self, progress: &Progress) {
        match progress {
            // The job went on without who refused: it is not why a later exchange fails.
            Progress::Summed { .. } => self.0 = None,
            Progress::Declined {
                reason,
                refused: true,
                ..
            } => self.0 = Some(reason.clone()),
            _ => {}
        }
    }
}

impl Hub {
    pub(super) fn new(
        setup: Setup,
        mut roster: Roster,
        links: Vec<Link>,
    ) -> Result<Self, NodeError> {
        let identity = roster
            .coordinator
            .take()
            .ok_or_else(|| NodeError::Internal("the coordinator has no identity".to_owned()))?;
        let seat = coordinator::Seat {
            identity,
            roster: roster.public,
            job_text: setup.job_text,
            job: setup.job,
            epoch: setup.epoch,
            patience: PATIENCE,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        let kept = Kept {
            folder: setup.folder.with_file_name("checkpoints"),
            job: setup.job,
            epoch: setup.epoch,
            names: links.iter().map(|link| link.name.clone()).collect(),
        };
        Ok(Self {
            kept,
            rng: setup.entropy.generator("coordinator", setup.epoch)?,
            coordinator: Coordinator::new(seat, setup.plan, setup.training),
            store: FileStore::open(&setup.folder.join("coordinator"), Durability::Process)?,
            links,
            scenario: setup.scenario,
            stop: setup.stop,
            run_name: setup
                .folder
                .parent()
                .unwrap_or(&setup.folder)
                .display()
                .to_string(),
            messages: 0,
            clock: Clock::default(),
            began: None,
            computed: None,
            deadline: None,
            refusal: Refusal::default(),
        })
    }

    pub(super) async fn serve(
        &mut self,
        mut inbox: mpsc::UnboundedReceiver<ToCoordinator>,
        watcher: &mpsc::UnboundedSender<Progress>,
    ) -> Result<(), NodeError> {
        let mut queue = VecDeque::from([coordinator::Event::Start]);
        let mut stop = self.stop.clone();
        loop {
            while let Some(event) = queue.pop_front() {
                if self.on_event(event, &mut queue, watcher)? {
                    return Ok(());
                }
            }
            let at = self.deadline.map(|(_, at)| at);
            let sleep = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Err(NodeError::Interrupted(self.run_name.clone())),
                message = inbox.recv() => match message {
                    Some(ToCoordinator::Frame(party, bytes)) => self.receive(party, bytes, &mut queue),
                    Some(ToCoordinator::Computed(at)) => self.computed = Some(at),
                    // Nobody watching is no reason to stop.
                    Some(ToCoordinator::OwnLog(text)) => drop(watcher.send(Progress::Note { text })),
                    Some(ToCoordinator::Failed(party, error)) => return Err(self.named(party, error)),
                    None => return Err(NodeError::Internal("all parties are gone".to_owned())),
                },
                () = sleep => {
                    if let Some((number, _)) = self.deadline.take() {
                        queue.push_back(coordinator::Event::Deadline(number));
                    }
                }
            }
        }
    }

    fn named(&self, party: u16, error: NodeError) -> NodeError {
        match (error, self.links.get(usize::from(party))) {
            (NodeError::Data(problem), Some(link)) => {
                NodeError::Data(format!("party {}: {problem}", link.name))
            }
            (error, _) => error,
        }
    }

    /// A frame from a party, unless its connection is lost by now.
    fn receive(&mut self, party: u16, bytes: Vec<u8>, queue: &mut VecDeque<coordinator::Event>) {
        let Some(link) = self.links.get_mut(usize::from(party)) else {
            return;
        };
        if link.lost == Some(Lost::Now) {
            return;
        }
        link.outcome.up_bytes += bytes.len() as u64;
        self.messages += 1;
        queue.push_back(coordinator::Event::Frame(bytes.into()));
        match link.lost {
            Some(Lost::After(1)) => {
                link.lost = Some(Lost::Now);
                queue.push_back(coordinator::Event::Gone(party));
                if link.returning {
                    queue.push_back(coordinator::Event::Back(party));
                }
            }
            Some(Lost::After(more)) => link.lost = Some(Lost::After(more - 1)),
            _ => {}
        }
    }

    /// Carries out one step; `true` when the job is over.
    fn on_event(
        &mut self,
        event: coordinator::Event,
        queue: &mut VecDeque<coordinator::Event>,
        watcher: &mpsc::UnboundedSender<Progress>,
    ) -> Result<bool, NodeError> {
        let effects = match self.coordinator.step(event, &mut self.rng) {
            Ok(effects) => effects,
            Err(fault) if fault.is_fatal() => return Err(self.stopped(fault)),
            Err(fault) => {
                let _ = watcher.send(Progress::Note {
                    text: fault.to_string(),
                });
                return Ok(false);
            }
        };
        for record in &effects.persist {
            self.store.put(&record.key, &record.value)?;
        }
        // The round counts by now: no checkpoint is of one that a resumed run leaves out.
        self.kept.note(&self.coordinator, &effects.progress)?;
        for progress in effects.progress {
            self.note(&progress);
            // Nobody watching is no reason to stop.
            let _ = watcher.send(progress);
        }
        if let Some(next) = &effects.began {
            self.begin(next, queue);
        }
        for (party, frame) in effects.send {
            self.send(party, frame);
        }
        if let Some((number, after)) = effects.deadline {
            self.deadline = Some((number, tokio::time::Instant::now() + after));
        }
        Ok(effects.over)
    }

    fn stopped(&self, fault: coordinator::CoordinatorFault) -> NodeError {
        match &self.refusal.0 {
            Some(reason) => NodeError::Refused(format!("{fault} ({reason})")),
            None => fault.into(),
        }
    }

    fn send(&mut self, party: u16, frame: Vec<u8>) {
        let Some(link) = self.links.get_mut(usize::from(party)) else {
            return;
        };
        if link.lost == Some(Lost::Now) {
            return;
        }
        link.outcome.down_bytes += frame.len() as u64;
        self.messages += 1;
        // A party whose task has ended is noticed when it does not answer.
        let _ = link.to_party.send(frame);
    }

    /// Applies the scenario at the beginning of an exchange.
    fn begin(&mut self, next: &Next, queue: &mut VecDeque<coordinator::Event>) {
        self.began = Some((next.kind, Instant::now()));
        self.computed = None;
        for link in self.links.iter_mut().filter(|link| link.returning) {
            (link.returning, link.lost) = (false, None);
        }
        if next.kind != Kind::Training {
            return;
        }
        for (index, link) in (0_u16..).zip(&mut self.links) {
            let now = self.scenario.lost_at(&link.name, next.training_round);
            let after = self.scenario.lost_at(&link.name, next.training_round + 1);
            if now.is_none() {
                continue;
            }
            // Back in time to be asked in the next exchange.
            link.returning = after.is_none();
            match (now, link.lost) {
                (Some(Moment::BeforeInput), None) => {
                    link.lost = Some(Lost::Now);
                    queue.push_back(coordinator::Event::Gone(index));
                }
                (Some(Moment::AfterInput), None) => link.lost = Some(Lost::After(1)),
                (Some(Moment::AfterSignature), None) => link.lost = Some(Lost::After(2)),
                _ => {}
            }
            if link.returning && link.lost == Some(Lost::Now) {
                queue.push_back(coordinator::Event::Back(index));
            }
        }
    }

    fn note(&mut self, progress: &Progress) {
        self.refusal.note(progress);
        match progress {
            Progress::Summed { survivors, .. } => {
                for (index, link) in (0_u16..).zip(&mut self.links) {
                    let counter = if survivors.contains(&index) {
                        &mut link.outcome.joined
                    } else {
                        &mut link.outcome.missed
                    };
                    *counter += 1;
                }
                self.end_exchange();
            }
            Progress::Abandoned { .. } => {
                self.links
                    .iter_mut()
                    .for_each(|link| link.outcome.missed += 1);
                self.end_exchange();
            }
            _ => {}
        }
    }

    fn end_exchange(&mut self) {
        let Some((kind, began)) = self.began.take() else {
            return;
        };
        let now = Instant::now();
        match kind {
            Kind::Survey | Kind::Statistics => self.clock.prepare += now - began,
            Kind::Evaluation | Kind::FinalEvaluation => self.clock.evaluate += now - began,
            Kind::Training => {
                let computed = self.computed.unwrap_or(now).max(began);
                self.clock.train += computed - began;
                self.clock.protocol += now - computed;
            }
        }
    }

    /// Closing the connections ends the parties' tasks.
    pub(super) fn close(&mut self) {
        for link in &mut self.links {
            let (closed, _) = mpsc::unbounded_channel();
            link.to_party = closed;
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        Outcome {
            training: self.coordinator.training().clone(),
            slot_key: None,
            parties: self.links.into_iter().map(|link| link.outcome).collect(),
            messages: self.messages,
            clock: self.clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a party refused in round 2 is not why the job stops in round 9.
    #[test]
    fn a_refusal_is_forgotten_once_the_others_have_gone_on() {
        let declined = |refused| Progress::Declined {
            party: 1,
            reason: "its budget is spent".to_owned(),
            refused,
        };
        let mut refusal = Refusal::default();
        refusal.note(&declined(false));
        assert_eq!(refusal.0, None);
        refusal.note(&declined(true));
        assert_eq!(refusal.0.as_deref(), Some("its budget is spent"));
        refusal.note(&Progress::Abandoned {
            kind: Kind::Training,
            round: 2,
            reason: "too few".to_owned(),
        });
        assert!(refusal.0.is_some(), "it may be why nothing was summed");
        refusal.note(&Progress::Summed {
            kind: Kind::Training,
            round: 3,
            survivors: vec![0, 2],
        });
        assert_eq!(refusal.0, None);
    }
}
