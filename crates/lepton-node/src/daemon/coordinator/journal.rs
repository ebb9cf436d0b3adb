//! A job's stream of events: on the disk, and for whoever watches.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lepton_protocol::control::{JobEvent, JobState};
use lepton_protocol::progress::Progress;
use tokio::sync::watch;

use crate::daemon::Clock;
use crate::error::NodeError;

const FILE: &str = "events.jsonl";

pub(super) struct Journal {
    path: PathBuf,
    clock: Clock,
    events: Mutex<Vec<JobEvent>>,
    count: watch::Sender<usize>,
}

impl Journal {
    /// Reads what is there; a last line that a crash cut short is dropped.
    pub(super) fn open(folder: &Path, clock: Clock) -> Result<Self, NodeError> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(NodeError::file(&path, &error)),
        };
        let events: Vec<JobEvent> = text
            .lines()
            .map_while(|line| serde_json::from_str(line).ok())
            .collect();
        let whole: usize = text
            .split_inclusive('\n')
            .take(events.len())
            .map(str::len)
            .sum();
        if whole < text.len() {
            let file = OpenOptions::new().write(true).open(&path);
            file.and_then(|file| file.set_len(whole as u64))
                .map_err(|error| NodeError::file(&path, &error))?;
        }
        Ok(Self {
            path,
            clock,
            count: watch::Sender::new(events.len()),
            events: Mutex::new(events),
        })
    }

    /// Adds an event.
    pub(super) fn add(&self, progress: Progress, state: Option<JobState>) -> Result<(), NodeError> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let event = JobEvent {
            number: events.len() as u64,
            at: (self.clock)(),
            state,
            progress,
        };
        let mut line =
            serde_json::to_vec(&event).map_err(|error| NodeError::Internal(error.to_string()))?;
        line.push(b'\n');
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path);
        file.and_then(|mut file| file.write_all(&line))
            .map_err(|error| NodeError::file(&self.path, &error))?;
        events.push(event);
        self.count.send_replace(events.len());
        Ok(())
    }

    /// Events from a number on.
    pub(super) fn since(&self, from: u64) -> Vec<JobEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        events.iter().skip(from).cloned().collect()
    }

    /// Changes whenever there are more.
    pub(super) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}
