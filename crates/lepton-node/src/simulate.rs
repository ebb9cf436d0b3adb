//! `lepton run`: a whole federation on this machine, from job file to report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use lepton_protocol::progress::Progress;
use lepton_protocol::report::Report;
use lepton_protocol::trainer::TrainerError;
use lepton_protocol::training::{StartModel, Training};
use tokio::sync::{mpsc, watch};

use crate::error::NodeError;
use crate::federation::{self, Setup};
use crate::files::{Durability, FileStore};
use crate::hex::hex;
use crate::ledger::{JobLedger, LedgerUse};
use crate::model_file::ModelFile;
use crate::random::Entropy;
use crate::run_folder::{RunFile, RunFolder, RunLock};
use crate::scenario::Scenario;
use crate::summary::{self, Finished};
use crate::tables::{Federation, Source, rows_digest};
use crate::trainers::Trainers;

/// What the user asked for.
#[derive(Debug, Clone)]
pub enum Request {
    /// A new run.
    New {
        /// Where job and rows come from.
        source: Source,
        /// Faults to simulate.
        scenario: Option<PathBuf>,
        /// Where the run folder goes.
        folder: Place,
        /// Whether pooled and single-party models are trained to compare with.
        comparison: bool,
    },
    /// Go on with an interrupted one.
    Resume(PathBuf),
}

/// Where a new run folder goes.
#[derive(Debug, Clone)]
pub enum Place {
    /// Below this folder, named after the job and the time.
    Below(PathBuf),
    /// Exactly here.
    At(PathBuf),
}

/// A finished run.
pub struct Done {
    /// The report.
    pub report: Report,
    /// The run folder.
    pub folder: PathBuf,
    /// Lifetime budgets that are nearly spent, in words.
    pub low_budgets: Vec<String>,
}

/// What a run uses of this machine.
#[derive(Debug, Clone, Default)]
pub struct Using {
    /// The durable ledger.
    pub ledger: LedgerUse,
    /// What trains custom models.
    pub trainers: Trainers,
    /// Whether a new run's report leaves out what only a simulation can make of rows: comparisons, exact counts, importance, the picture of single rows.
    pub released_only: bool,
}

/// Runs it without a durable ledger, or in the one it began in: [`run_charged`].
///
/// # Errors
/// [`NodeError`].
pub async fn run(
    request: Request,
    started: (&str, &str),
    watcher: mpsc::UnboundedSender<Progress>,
    stop: watch::Receiver<bool>,
) -> Result<Done, NodeError> {
    run_charged(request, Using::default(), started, watcher, stop).await
}

/// Runs it, the data charged in its ledger; a resumed run goes on in the ledger it began in. `started` is the wall clock as RFC 3339 and as a compact stamp for the folder's name; events go to `watcher` as they happen.
///
/// # Errors
/// [`NodeError`].
pub async fn run_charged(
    request: Request,
    using: Using,
    started: (&str, &str),
    watcher: mpsc::UnboundedSender<Progress>,
    stop: watch::Receiver<bool>,
) -> Result<Done, NodeError> {
    let clock = Instant::now();
    let opened = open(request, &using, started)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let (failed, log_failed) = watch::channel(false);
    let logger = tokio::spawn(log(
        opened.folder.clone(),
        receiver,
        watcher.clone(),
        failed,
    ));
    let names: Vec<String> = opened
        .federation
        .parties
        .iter()
        .map(|party| party.name.clone())
        .collect();
    let setup = opened.setup(either(stop, log_failed))?;
    let ended = federation::run(setup, sender).await;
    logger
        .await
        .map_err(|error| NodeError::Internal(error.to_string()))??;
    let outcome = ended?;
    let Opened {
        folder,
        run,
        federation,
        entropy,
        lock,
        ledger,
        ..
    } = opened;
    let ledger_head = ledger.as_ref().map(|ledger| ledger.durable().head());
    let finished = Finished {
        ledger_head: ledger_head.transpose()?,
        federation,
        outcome,
        run,
        folder: folder.clone(),
        names,
        entropy,
        began: clock,
        restored: false,
    };
    let report = tokio::task::spawn_blocking(move || summary::write(finished))
        .await
        .map_err(|error| NodeError::Internal(error.to_string()))??;
    let low_budgets = ledger.map_or(Ok(Vec::new()), |ledger| ledger.close())?;
    drop(lock);
    Ok(Done {
        report,
        low_budgets,
        folder: folder.root().to_owned(),
    })
}

/// Everything read and checked, the run folder made.
struct Opened {
    folder: RunFolder,
    lock: RunLock,
    run: RunFile,
    federation: Federation,
    training: Training,
    scenario: Scenario,
    entropy: Entropy,
    ledger: Option<JobLedger>,
    trainers: Trainers,
}

impl Opened {
    fn setup(&self, stop: watch::Receiver<bool>) -> Result<Setup, NodeError> {
        Ok(Setup {
            plan: self.federation.plan.clone(),
            job_text: self.federation.job_text.clone(),
            job: self.federation.job_digest,
            epoch: self.run.epoch,
            training: self.training.clone(),
            parties: self
                .federation
                .parties
                .iter()
                .map(|party| (party.name.clone(), party.rows.clone()))
                .collect(),
            folder: self.folder.path("state"),
            entropy: self.entropy,
            ledger: self.ledger.clone(),
            trainers: self.trainers.clone(),
            scenario: self.scenario.clone(),
            stop,
        })
    }
}

fn open(
    request: Request,
    using: &Using,
    (started, stamp): (&str, &str),
) -> Result<Opened, NodeError> {
    match request {
        Request::New {
            source,
            scenario,
            folder,
            comparison,
        } => {
            let source = absolute(source)?;
            let mut federation = Federation::load(&source)?;
            trained(using, &federation)?;
            let ledger = &using.ledger;
            let faults = load_scenario(scenario.as_deref(), &federation)?;
            let training = Training::new(&federation.plan, start_model(&federation, &source)?);
            let run = RunFile {
                format: "lepton-run/1".to_owned(),
                source,
                scenario,
                job_sha256: hex(&federation.job_digest),
                rows_sha256: rows_sha256(&federation),
                started: started.to_owned(),
                epoch: 1,
                comparison,
                released_only: using.released_only,
                // Before anything is reserved: a run that does not know its reservation could not end it, and one that does not know its ledger
                // would go on uncharged.
                ledger: ledger.kept()?,
            };
            let folder = make_folder(folder, &federation, stamp)?;
            // A folder that cannot even say what it is would be in the way of the next run.
            folder.save(&run).inspect_err(|_| folder.remove_empty())?;
            folder.write("job.toml", federation.job_text.as_bytes())?;
            let lock = folder.lock()?;
            let ledger = JobLedger::begin(&run, ledger.clock, &mut federation)
                .inspect_err(|_| folder.remove())?;
            Ok(Opened {
                trainers: using.trainers.clone(),
                ledger,
                lock,
                entropy: entropy_of(&federation),
                folder,
                run,
                federation,
                training,
                scenario: faults,
            })
        }
        Request::Resume(path) => resume(&path, using),
    }
}

/// Runs that begin in the same second get numbered names.
fn make_folder(place: Place, federation: &Federation, stamp: &str) -> Result<RunFolder, NodeError> {
    let runs = match place {
        Place::At(path) => return RunFolder::create(&path),
        Place::Below(runs) => runs,
    };
    let name = format!("{}-{stamp}", federation.plan.job().name());
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.clone())
        .chain(numbered)
        .map(|name| runs.join(name));
    for path in free {
        match RunFolder::create(&path) {
            Err(NodeError::Use(_)) => {}
            result => return result,
        }
    }
    Err(NodeError::Internal(
        "no name for the run folder is free".to_owned(),
    ))
}

/// Before anything is written or set aside: there is a trainer, and the first party's suffices (CM-11).
fn trained(using: &Using, federation: &Federation) -> Result<(), NodeError> {
    let wrong = |error: TrainerError| NodeError::Use(error.to_string());
    using.trainers.admit(federation.plan.job()).map_err(wrong)?;
    if let Some(party) = federation.parties.first() {
        let trainer = using.trainers.of(&federation.plan, &party.name);
        trainer.map_err(|TrainerError(words)| {
            NodeError::Use(format!("party {}: {words}", party.name))
        })?;
    }
    Ok(())
}

fn resume(path: &Path, using: &Using) -> Result<Opened, NodeError> {
    let ledger = &using.ledger;
    let (folder, mut run) = RunFolder::open(path)?;
    let lock = folder.lock()?;
    if folder.path("report.json").exists() {
        // A crash may have come between the report and the end of the job in its ledger.
        if let Some(ledger) = JobLedger::of(&run, ledger.clock)? {
            ledger.close()?;
        }
        return Err(NodeError::Use(format!(
            "{} is finished; show it with `lepton report {0}`",
            path.display()
        )));
    }
    let mut federation = Federation::load(&run.source)?;
    unchanged(&run, &federation, path)?;
    trained(using, &federation)?;
    let scenario = load_scenario(run.scenario.as_deref(), &federation)?;
    let store = FileStore::open(
        &folder.path("state").join("coordinator"),
        Durability::Process,
    )?;
    let mut training = match Training::restore(&store).map_err(NodeError::Data)? {
        Some(training) => training,
        None => Training::new(&federation.plan, start_model(&federation, &run.source)?),
    };
    training.resumed(&federation.plan)?;
    let ledger = JobLedger::resume((&run, &folder), ledger.clock, &mut federation)?;
    // Durable before any key of the new epoch is used (rule FT-14).
    run.epoch += 1;
    folder.save(&run)?;
    Ok(Opened {
        trainers: using.trainers.clone(),
        ledger,
        lock,
        entropy: entropy_of(&federation),
        folder,
        run,
        federation,
        training,
        scenario,
    })
}

/// A run goes on with what it began with: with other rows, its charges would be for rows that it did not see, and new ones would go uncharged.
fn unchanged(run: &RunFile, federation: &Federation, path: &Path) -> Result<(), NodeError> {
    if hex(&federation.job_digest) != run.job_sha256 {
        return Err(NodeError::Data(format!(
            "the job or its columns changed since {} began; start a new run, or restore {}",
            path.display(),
            run.source.job.display()
        )));
    }
    let now = rows_sha256(federation);
    let named = federation.parties.iter().map(|party| &party.name);
    let mut pairs = named.zip(now.iter().zip(&run.rows_sha256));
    match pairs.find(|(_, (now, then))| now != then) {
        None if now.len() == run.rows_sha256.len() => Ok(()),
        changed => Err(NodeError::Data(format!(
            "the rows{} changed since {} began; start a new run, or restore the table",
            changed.map_or_else(String::new, |(name, _)| format!(" of {name}")),
            path.display()
        ))),
    }
}

/// For each party a digest of its training and hold-out rows, in their order.
fn rows_sha256(federation: &Federation) -> Vec<String> {
    let parties = federation.parties.iter();
    parties.map(|party| rows_digest(&party.rows)).collect()
}

fn entropy_of(federation: &Federation) -> Entropy {
    federation
        .plan
        .job()
        .job()
        .insecure_seed
        .map_or(Entropy::System, Entropy::InsecureSeed)
}

fn load_scenario(path: Option<&Path>, federation: &Federation) -> Result<Scenario, NodeError> {
    let names: Vec<&str> = federation
        .parties
        .iter()
        .map(|party| party.name.as_str())
        .collect();
    path.map_or_else(
        || Ok(Scenario::default()),
        |path| Scenario::load(path, &names),
    )
}

fn start_model(federation: &Federation, source: &Source) -> Result<Option<StartModel>, NodeError> {
    let Some(start) = &federation.plan.job().model().start else {
        return Ok(None);
    };
    let folder = source.job.parent().unwrap_or(Path::new(".")).join(start);
    let file = ModelFile::load(&folder)?;
    let start = StartModel::new(file.model.params().to_vec(), file.header.preparation);
    // Which categories a survey finds is known only then.
    if federation.plan.discovered().is_empty() {
        start.check(&federation.plan, &file.header.spec)?;
    }
    Ok(Some(start))
}

fn absolute(source: Source) -> Result<Source, NodeError> {
    let path =
        |path: PathBuf| std::path::absolute(&path).map_err(|error| NodeError::file(&path, &error));
    Ok(Source {
        job: path(source.job)?,
        overrides: source.overrides,
        data: source.data.map(path).transpose()?,
        party_data: source
            .party_data
            .into_iter()
            .map(path)
            .collect::<Result<_, _>>()?,
        vault_key: source.vault_key.map(path).transpose()?,
    })
}

/// Writes events to the run folder and passes them on; a disk that takes no more stops the run.
async fn log(
    folder: RunFolder,
    mut events: mpsc::UnboundedReceiver<Progress>,
    watcher: mpsc::UnboundedSender<Progress>,
    failed: watch::Sender<bool>,
) -> Result<(), NodeError> {
    let mut file = folder.events()?;
    while let Some(event) = events.recv().await {
        if let Err(error) = file.append(&event) {
            failed.send_replace(true);
            return Err(error);
        }
        // Nobody watching is no reason to stop.
        let _ = watcher.send(event);
    }
    Ok(())
}

/// True as soon as one of the two is.
fn either(
    mut first: watch::Receiver<bool>,
    mut second: watch::Receiver<bool>,
) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(*first.borrow());
    tokio::spawn(async move {
        let wanted = async |signal: &mut watch::Receiver<bool>| {
            if signal.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = wanted(&mut first) => {}
            () = wanted(&mut second) => {}
            () = sender.closed() => {}
        }
        sender.send_replace(true);
    });
    receiver
}
