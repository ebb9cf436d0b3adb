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

/// Most events of a page, and about how many bytes of JSON: within what one message may have.
const PAGE: (usize, usize) = (1000, 1 << 23);

pub(super) struct Journal {
    path: PathBuf,
    clock: Clock,
    kept: Mutex<Kept>,
    count: watch::Sender<usize>,
}

struct Kept {
    events: Vec<JobEvent>,
    /// Length of the file.
    bytes: u64,
}

impl Journal {
    /// Reads what is there; a last line that a crash cut short is dropped, and whatever follows one that cannot be read.
    pub(super) fn open(folder: &Path, clock: Clock) -> Result<Self, NodeError> {
        let path = folder.join(FILE);
        let found = match std::fs::read(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(NodeError::file(&path, &error)),
        };
        let (mut events, mut whole) = (Vec::new(), 0);
        for line in found.split_inclusive(|byte| *byte == b'\n') {
            let event = line.strip_suffix(b"\n");
            let event = event.and_then(|line| serde_json::from_slice::<JobEvent>(line).ok());
            let Some(event) = event else { break };
            events.push(event);
            whole += line.len();
        }
        let bytes = whole as u64;
        if whole < found.len() {
            cut(&path, bytes).map_err(|error| NodeError::file(&path, &error))?;
        }
        Ok(Self {
            path,
            clock,
            count: watch::Sender::new(events.len()),
            kept: Mutex::new(Kept { events, bytes }),
        })
    }

    /// Adds an event. One that cannot be written is left out with a warning: the job does not hang on its own account of itself.
    pub(super) fn add(&self, progress: Progress, state: Option<JobState>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let event = JobEvent {
            number: kept.events.len() as u64,
            at: (self.clock)(),
            state,
            progress,
        };
        match self.write(&event) {
            Ok(more) => {
                kept.bytes += more;
                kept.events.push(event);
            }
            Err(error) => {
                tracing::warn!("{}: an event is left out: {error}", self.path.display());
                // Half a line would hide all that follow it; one that was never begun needs no cutting.
                let _ = cut(&self.path, kept.bytes);
            }
        }
        // Also without an event: whoever follows looks at the state too.
        self.count.send_replace(kept.events.len());
    }

    fn write(&self, event: &JobEvent) -> std::io::Result<u64> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path);
        file.and_then(|mut file| file.write_all(&line))?;
        Ok(line.len() as u64)
    }

    /// Events from a number on, as many as one message takes; none at the end.
    pub(super) fn page(&self, from: u64) -> Vec<JobEvent> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |event: &&JobEvent| {
            let first = bytes == 0;
            bytes += serde_json::to_vec(event).map_or(0, |json| json.len());
            first || bytes <= PAGE.1
        };
        let events = kept.events.iter().skip(from).take(PAGE.0);
        events.take_while(fits).cloned().collect()
    }

    /// Changes whenever there is something new.
    pub(super) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}

fn cut(path: &Path, bytes: u64) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> String {
        String::new()
    }

    fn note(number: usize) -> Progress {
        Progress::Note {
            text: format!("note {number}"),
        }
    }

    /// What a crash left behind the last whole line goes, be it half a letter; what is added afterwards is read again.
    #[test]
    fn a_line_that_was_cut_short_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let whole = {
            let journal = Journal::open(folder.path(), clock).unwrap();
            (0..3).for_each(|number| journal.add(note(number), None));
            std::fs::read(&path).unwrap()
        };
        let unfinished = &whole[..whole.len() - 1];
        for (left, lines) in [
            ([&whole[..], b"{\"number\":3,\"at\":\"\xc3"].concat(), 3),
            // A whole event without its end of line would run into the next one.
            (unfinished.to_vec(), 2),
            ([&whole[..], b"x\n", &whole[..]].concat(), 3),
        ] {
            std::fs::write(&path, left).unwrap();
            let journal = Journal::open(folder.path(), clock).unwrap();
            assert_eq!(journal.page(0).len(), lines);
            journal.add(note(lines), None);
            let again = Journal::open(folder.path(), clock).unwrap();
            let numbers: Vec<u64> = again.page(0).iter().map(|event| event.number).collect();
            assert_eq!(numbers, (0..=lines as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn pages_have_an_end_and_leave_nothing_out() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), clock).unwrap();
        (0..2500).for_each(|number| journal.add(note(number), None));
        let sizes = [0, 1000, 2000, 2500].map(|from| journal.page(from).len());
        assert_eq!(sizes, [1000, 1000, 500, 0]);
        assert_eq!(journal.page(2499)[0].number, 2499);
    }
}
