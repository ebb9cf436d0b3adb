//! The coordinator's daemon: several jobs at a time, each a task with its own store, over links to parties, scientists, operators and auditors.

mod course;
mod epoch;
mod gather;
mod journal;
mod kept;
mod late;
mod requests;
mod results;
mod shelf;
mod starts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lepton_protocol::control::{Answer, Body, Control, JobDigest, JobState as State};
use lepton_protocol::frame::MAX_FRAME_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::record::{Documents, make_folder};
use super::{Authority, Clock, Connection, Member, Own, Role, Trail, post};
use crate::error::NodeError;
use crate::metrics::JobState;
use crate::random::Entropy;
use crate::store::Database;
use course::Course;
use shelf::Shelf;

/// Bytes of one link's messages that wait for their job: beyond them the link is not read.
const WAITING_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// Requests for results that are answered at a time.
const READING: usize = 4;

/// How long the coordinator waits for what.
#[derive(Debug, Clone)]
pub struct Times {
    /// For parties to answer an offer, before the roster is fixed with those that accepted.
    pub joining: Duration,
    /// For a silent party at each step of an exchange.
    pub patience: Duration,
    /// For parties of a fixed roster that are not there, before the job fails.
    pub waiting: Duration,
}

/// What a coordinator's daemon is given.
pub struct CoordinatorSetup {
    /// Its key and certificate.
    pub own: Arc<dyn Own>,
    /// Its store.
    pub database: Database,
    /// Folder for the events and results of jobs.
    pub folder: PathBuf,
    /// The federation's root.
    pub authority: Arc<dyn Authority>,
    /// Fewest parties of a roster.
    pub min_parties: usize,
    /// Names of the parties that are waited for; a roster is fixed at once when all of them have answered.
    pub expected: Vec<String>,
    /// How long it waits.
    pub times: Times,
    /// Jobs at a time.
    pub most_jobs: usize,
    /// What it writes down about itself.
    pub trail: Trail,
    /// Where randomness comes from: the operating system, anything else is for tests.
    pub entropy: Entropy,
    /// The wall clock.
    pub clock: Clock,
}

/// A coordinator's daemon.
pub struct CoordinatorDaemon {
    desk: Arc<Desk>,
    jobs: BTreeMap<JobDigest, Job>,
    links: BTreeMap<u64, Peer>,
    next_link: u64,
    readers: JoinSet<()>,
    /// Links that take no more messages.
    full: mpsc::UnboundedReceiver<u64>,
}

/// What all jobs share.
struct Desk {
    setup: CoordinatorSetup,
    records: Documents,
    parties: Mutex<BTreeMap<String, Present>>,
    full: mpsc::UnboundedSender<u64>,
    reading: Semaphore,
    starts: starts::Last,
}

/// A party that is connected and said hello.
#[derive(Clone)]
struct Present {
    link: u64,
    boot: [u8; 16],
    member: Member,
    certificate: Vec<u8>,
    out: mpsc::Sender<Vec<u8>>,
}

/// One link.
struct Peer {
    member: Member,
    out: mpsc::Sender<Vec<u8>>,
    reader: AbortHandle,
    /// Which jobs are followed over it.
    watching: BTreeMap<JobDigest, AbortHandle>,
    /// A submission whose start is on its way over it.
    upload: Option<Box<starts::Upload>>,
}

/// A message with its share of [`WAITING_BYTES`], given back when the job has taken it.
type Arrived = (Vec<u8>, OwnedSemaphorePermit);

struct Job {
    shelf: Arc<Shelf>,
    inputs: mpsc::UnboundedSender<(Input, Option<OwnedSemaphorePermit>)>,
    task: JoinHandle<()>,
}

impl Drop for Job {
    /// Whatever ends the daemon ends the tasks of its jobs.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What happens to a job.
enum Input {
    /// A party answered.
    Answer(String, Answer),
    /// A frame from a party.
    Frame(String, Bytes),
    /// A party is here.
    Here(String),
    /// A party's link is lost.
    Gone(String),
    /// A person wants it to end.
    Stop(String),
}

impl Desk {
    fn parties(&self) -> BTreeMap<String, Present> {
        self.locked().clone()
    }

    fn party(&self, name: &str) -> Option<Present> {
        self.locked().get(name).cloned()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Present>> {
        // Single inserts and removals: a panic elsewhere left none half-done.
        self.parties.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends to a party that is here; a party that is not hears nothing, and is told anew when it is back.
    fn send(&self, party: &str, message: &Control) {
        let Some(present) = self.party(party) else {
            return;
        };
        match post(&self.setup.trail, (party, &present.out), message) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(party, "its link takes no more messages");
                // The daemon may be stopping.
                let _ = self.full.send(present.link);
            }
            // The next message that comes ends the daemon: it cannot be written down either.
            Err(error) => tracing::error!(party, "nothing is sent to it: {error}"),
        }
    }
}

impl CoordinatorDaemon {
    /// Opens the coordinator's store; jobs that were not over go on when it is served.
    ///
    /// # Errors
    /// [`NodeError`] when it cannot be read or written.
    pub fn open(setup: CoordinatorSetup) -> Result<Self, NodeError> {
        make_folder(&setup.folder)?;
        let (to_us, full) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk {
            records: Documents::new(&setup.database, "jobs"),
            setup,
            parties: Mutex::default(),
            full: to_us,
            reading: Semaphore::new(READING),
            starts: starts::Last::default(),
        });
        let shelves = Shelf::open_all(&desk)?;
        let setup = &desk.setup;
        if let Some(why) = setup.database.restored() {
            // Every epoch is above those that the parties have seen (rule JC-07); what was charged meanwhile is not known (rule JC-14).
            tracing::warn!("the store was restored: {why}");
            setup.trail.program("restored")?;
            for shelf in &shelves {
                shelf.change(|record| record.restored |= record.state != State::Finished)?;
            }
            setup.database.acknowledge()?;
        }
        let mut this = Self {
            desk,
            jobs: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 0,
            readers: JoinSet::new(),
            full,
        };
        for shelf in shelves {
            this.begin(shelf);
        }
        Ok(this)
    }

    /// Serves every link that comes until `stop` is true.
    ///
    /// # Errors
    /// [`NodeError`] when the audit log cannot be written; what concerns a single job or peer is told and logged.
    pub async fn serve(
        mut self,
        mut links: mpsc::Receiver<Connection>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), NodeError> {
        let (to_us, mut inbox) = mpsc::channel(super::QUEUE);
        loop {
            tokio::select! {
                biased;
                () = super::told_to_stop(&mut stop) => break,
                next = links.recv() => match next {
                    Some(link) => self.connected(link, to_us.clone())?,
                    None => break,
                },
                Some(link) = self.full.recv() => self.disconnected(link)?,
                Some((link, message)) = inbox.recv() => match message {
                    Some(arrived) => self.on_bytes(link, arrived)?,
                    None => self.disconnected(link)?,
                },
                Some(_) = self.readers.join_next(), if !self.readers.is_empty() => {}
            }
        }
        Ok(())
    }

    fn connected(
        &mut self,
        link: Connection,
        to_us: mpsc::Sender<(u64, Option<Arrived>)>,
    ) -> Result<(), NodeError> {
        let number = self.next_link;
        self.next_link += 1;
        let Connection {
            peer,
            out,
            mut inbox,
        } = link;
        tracing::info!(peer = peer.name, role = %peer.role, "linked");
        self.trail().connection(&peer.name, "opened", None)?;
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        let reader = self.readers.spawn(async move {
            while let Some(bytes) = inbox.recv().await {
                let size = u32::try_from(bytes.len().min(WAITING_BYTES)).unwrap_or(u32::MAX);
                let Ok(share) = room.clone().acquire_many_owned(size).await else {
                    return;
                };
                if to_us.send((number, Some((bytes, share)))).await.is_err() {
                    return;
                }
            }
            // The daemon may be stopping.
            let _ = to_us.send((number, None)).await;
        });
        let peer = Peer {
            member: peer,
            out,
            reader,
            watching: BTreeMap::new(),
            upload: None,
        };
        self.links.insert(number, peer);
        self.trail().metrics().peers(self.links.len());
        Ok(())
    }

    fn trail(&self) -> &Trail {
        &self.desk.setup.trail
    }

    /// The link is lost, or is closed for what came over it.
    fn disconnected(&mut self, link: u64) -> Result<(), NodeError> {
        let Some(peer) = self.links.remove(&link) else {
            return Ok(());
        };
        self.trail().metrics().peers(self.links.len());
        self.trail().connection(&peer.member.name, "closed", None)?;
        peer.reader.abort();
        peer.watching.values().for_each(AbortHandle::abort);
        let name = peer.member.name;
        tracing::info!(peer = name, "link lost");
        // Unless a newer link of the same party took its place.
        let was_here = self
            .desk
            .locked()
            .get(&name)
            .is_some_and(|here| here.link == link);
        if was_here && peer.member.role == Role::Party {
            self.desk.locked().remove(&name);
            self.tell_all(|| Input::Gone(name.clone()));
        }
        Ok(())
    }

    fn on_bytes(&mut self, link: u64, (bytes, share): Arrived) -> Result<(), NodeError> {
        let Some(peer) = self.links.get(&link) else {
            return Ok(());
        };
        let message = match super::receive(self.trail(), &peer.member.name, bytes)? {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(peer = peer.member.name, "it sent {error}");
                return self.disconnected(link);
            }
        };
        match peer.member.role {
            Role::Party => self.on_party(link, message, share),
            _ => self.on_request(link, message),
        }
    }

    /// Rule JC-10: parties send hello, answers and frames, ask for the start of a job of theirs, and nothing else.
    fn on_party(
        &mut self,
        link: u64,
        message: Control,
        share: OwnedSemaphorePermit,
    ) -> Result<(), NodeError> {
        let Some(peer) = self.links.get(&link) else {
            return Ok(());
        };
        let name = peer.member.name.clone();
        let input = match message.body {
            Body::Hello { boot, certificate } => return self.hello(link, boot, certificate),
            Body::Answer(answer) => Input::Answer(name, answer),
            Body::Frame(bytes) => Input::Frame(name, bytes),
            Body::Wanted(from) => {
                self.give_start(link, message.job, from);
                return Ok(());
            }
            _ => {
                tracing::warn!(peer = name, "it sent what parties do not send");
                let refused = Control::refused(message.job, "role", "parties do not ask for this");
                return match post(self.trail(), (&name, &peer.out), &refused)? {
                    true => Ok(()),
                    false => self.disconnected(link),
                };
            }
        };
        self.tell(&message.job, input, Some(share));
        Ok(())
    }

    fn tell(&self, job: &JobDigest, input: Input, share: Option<OwnedSemaphorePermit>) {
        if let Some(job) = self.jobs.get(job) {
            // A job whose task failed hears nothing until it is submitted again.
            let _ = job.inputs.send((input, share));
        }
    }

    fn hello(&mut self, link: u64, boot: [u8; 16], certificate: Vec<u8>) -> Result<(), NodeError> {
        let Some(peer) = self.links.get(&link) else {
            return Ok(());
        };
        let name = peer.member.name.clone();
        // The link has proved the key already; this certificate is what the others are shown.
        let shown = self.desk.setup.authority.member(&certificate);
        if !shown.is_ok_and(|shown| shown.is(&peer.member)) {
            tracing::warn!(peer = name, "its certificate is not that of its link");
            return self.disconnected(link);
        }
        let present = Present {
            link,
            boot,
            member: peer.member.clone(),
            certificate,
            out: peer.out.clone(),
        };
        let before = self.desk.locked().insert(name.clone(), present);
        match before {
            // Said again, perhaps with a newer certificate: the jobs know.
            Some(old) if (old.link, old.boot) == (link, boot) => return Ok(()),
            Some(old) if old.link == link => {
                tracing::warn!(peer = name, "it changed its boot number under way");
                return self.disconnected(link);
            }
            // What an older link still carries is late.
            Some(old) => {
                self.tell_all(|| Input::Gone(name.clone()));
                self.disconnected(old.link)?;
            }
            None => {}
        }
        self.tell_all(|| Input::Here(name.clone()));
        Ok(())
    }

    fn tell_all(&self, input: impl Fn() -> Input) {
        for job in self.jobs.keys() {
            self.tell(job, input(), None);
        }
    }

    /// Starts the task of a job that is on the shelf.
    fn begin(&mut self, shelf: Arc<Shelf>) {
        let (inputs, inbox) = mpsc::unbounded_channel();
        if !shelf.record().state.is_over() {
            self.trail().metrics().job(JobState::Started);
        }
        let course = Course::new(self.desk.clone(), shelf.clone(), inbox);
        let task = tokio::spawn(course.run());
        let job = Job {
            shelf,
            inputs,
            task,
        };
        drop(self.jobs.insert(job.shelf.job, job));
    }
}
