//! `lepton run` with events and Ctrl-C.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lepton_node::error::NodeError;
use lepton_node::ledger::LedgerUse;
use lepton_node::simulate::{self, Done, Place, Request, Using};
use lepton_node::tables::Source;
use lepton_node::trainers::Trainers;
use lepton_protocol::progress::Progress;
use pyo3::prelude::*;
use tokio::sync::{mpsc, watch};

use crate::errors::{exception, panicked, raised};
use crate::trainer::trainers;

/// How often a run without events looks for Ctrl-C.
const LOOK: Duration = Duration::from_millis(100);

/// What to run; the fields are those of the command's flags.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wanted {
    job: Option<PathBuf>,
    resume: Option<PathBuf>,
    set: Vec<String>,
    data: Option<PathBuf>,
    party_data: Vec<PathBuf>,
    vault_key: Option<PathBuf>,
    scenario: Option<PathBuf>,
    runs: PathBuf,
    run_dir: Option<PathBuf>,
    ledger: Option<PathBuf>,
    comparison: bool,
    released_only: bool,
}

/// Runs a job: the run folder, the report as JSON, and warnings of budgets that are nearly spent. `on_event` gets each event as JSON in this thread; what it
/// raises stops the run, and so does a signal. `party` makes the trainers of a custom model.
#[pyfunction]
pub(crate) fn run(
    py: Python<'_>,
    wanted: Wanted,
    on_event: &Bound<'_, PyAny>,
    party: Option<Py<PyAny>>,
) -> PyResult<(PathBuf, String, Vec<String>)> {
    let (stop, stopped) = watch::channel(false);
    let (events, inbox) = channel();
    let inbox = Mutex::new(inbox);
    let trainers = party.map_or_else(Trainers::default, trainers);
    let worker = std::thread::spawn(move || drive((wanted, trainers), events, stopped));
    let mut raised_here = None;
    while let Some(event) = next(py, &inbox) {
        if raised_here.is_none() {
            raised_here = tell(py, event, on_event).err();
        }
        if raised_here.is_some() {
            stop.send_replace(true);
        }
    }
    let done = py.detach(|| joined(worker));
    if let Some(error) = raised_here {
        return Err(error);
    }
    let done = done.map_err(|error| raised(py, &error))?;
    let report = serde_json::to_string(&done.report)
        .map_err(|error| exception(py, "InternalError", &error.to_string()))?;
    Ok((done.folder, report, done.low_budgets))
}

/// The next event, `Some(None)` when it is time to look for signals, and `None` at the end.
#[expect(clippy::option_option, reason = "an event, a pause, or the end")]
fn next(py: Python<'_>, inbox: &Mutex<Receiver<Progress>>) -> Option<Option<Progress>> {
    let waited = py.detach(|| {
        // Only this thread ever takes the lock: it is there because a receiver by itself may not be lent out.
        let inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.recv_timeout(LOOK)
    });
    match waited {
        Ok(event) => Some(Some(event)),
        Err(RecvTimeoutError::Timeout) => Some(None),
        Err(RecvTimeoutError::Disconnected) => None,
    }
}

fn tell(py: Python<'_>, event: Option<Progress>, on_event: &Bound<'_, PyAny>) -> PyResult<()> {
    py.check_signals()?;
    let Some(event) = event else { return Ok(()) };
    let text = serde_json::to_string(&event)
        .map_err(|error| exception(py, "InternalError", &error.to_string()))?;
    on_event.call1((text,)).map(drop)
}

fn joined(worker: JoinHandle<Result<Done, NodeError>>) -> Result<Done, NodeError> {
    worker
        .join()
        .unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn drive(
    (wanted, trainers): (Wanted, Trainers),
    events: Sender<Progress>,
    stopped: watch::Receiver<bool>,
) -> Result<Done, NodeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| NodeError::Internal(format!("the runtime does not start: {error}")))?;
    let ledger = LedgerUse {
        path: wanted.ledger.clone(),
        clock: lepton::time,
    };
    let (watcher, mut inbox) = mpsc::unbounded_channel();
    let (time, stamp) = lepton::now();
    runtime.block_on(async {
        let forward = tokio::spawn(async move {
            while let Some(event) = inbox.recv().await {
                // Nobody listens any more when the caller is gone; the run itself goes on.
                let _ = events.send(event);
            }
        });
        let released_only = wanted.released_only;
        let request = wanted.request();
        let using = Using {
            ledger,
            trainers,
            released_only,
        };
        let done = simulate::run_charged(request, using, (&time, &stamp), watcher, stopped).await;
        forward
            .await
            .map_err(|error| NodeError::Internal(error.to_string()))?;
        done
    })
}

impl Wanted {
    fn request(self) -> Request {
        match self.resume {
            Some(run) => Request::Resume(run),
            None => Request::New {
                source: Source {
                    job: self.job.unwrap_or_default(),
                    overrides: self.set,
                    data: self.data,
                    party_data: self.party_data,
                    vault_key: self.vault_key,
                },
                scenario: self.scenario,
                folder: self.run_dir.map_or(Place::Below(self.runs), Place::At),
                comparison: self.comparison,
            },
        }
    }
}
