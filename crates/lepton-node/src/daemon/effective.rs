//! The text of a job as a federation runs it (rule JC-03).

use std::path::Path;

use bytes::Bytes;
use lepton_protocol::control::Refusal;
use lepton_protocol::job::{DataSource, Job, Missing, Override};
use lepton_protocol::plan::Plan;

use super::start;
use crate::error::NodeError;
use crate::model_file::ModelFile;
use crate::tables::read_text;

/// What is submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The effective text, to be signed.
    pub text: String,
    /// The file of the model that it starts from, which travels beside it.
    pub start: Option<Bytes>,
}

/// The text of [`submission`].
///
/// # Errors
/// Those of [`submission`].
pub fn effective_text(path: &Path, overrides: &[String]) -> Result<String, NodeError> {
    submission(path, overrides, None).map(|submission| submission.text)
}

/// Reads a job file with `--set` overrides and gives what to submit: where `model.start` names a folder, or `given` is the file of a model, the text names its
/// digest (rule JC-33).
///
/// # Errors
/// [`NodeError`] when the file has problems, lacks what only a simulation can do without, or cannot begin from that model.
pub fn submission(
    path: &Path,
    overrides: &[String],
    given: Option<Vec<u8>>,
) -> Result<Submission, NodeError> {
    let parse = |text: &String| {
        Override::parse(text).map_err(|error| NodeError::Use(format!("--set {text}: {error}")))
    };
    let mut overrides = overrides.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let (name, text) = (path.display().to_string(), read_text(path)?);
    let mut job = Job::parse(&name, &text, &overrides)?;
    if let DataSource::Dealt { table, .. } = &job.data().source
        && let Some(stem) = stem(table).filter(|stem| stem != table)
    {
        // A simulation reads a file; parties list their tables by name.
        overrides.push(parse(&format!("data.table={stem:?}"))?);
        job = Job::parse(&name, &text, &overrides)?;
    }
    let start = match (given, &job.model().start) {
        (Some(given), _) => Some(Bytes::from(given)),
        (None, Some(folder)) if start::digest_of(folder).is_none() => {
            let folder = path.parent().unwrap_or(Path::new(".")).join(folder);
            Some(ModelFile::load_bytes(&folder)?.1.into())
        }
        (None, _) => None,
    };
    if let Some(start) = &start {
        let named = start::name_of(start);
        overrides.push(parse(&format!("model.start={named:?}"))?);
        job = Job::parse(&name, &text, &overrides)?;
    }
    check(&job).map_err(|refusal| {
        NodeError::Use(format!("{name}: {}: {}", refusal.rule, refusal.words))
    })?;
    if let Some(start) = &start {
        let plan = smallest_plan(&job, FEWEST).map_err(NodeError::Use)?;
        start::read(&plan, start).map_err(NodeError::Use)?;
    }
    let text = job.to_toml();
    Ok(Submission { text, start })
}

/// Reads a submitted text and checks that a federation can run it.
///
/// # Errors
/// The key that is wrong, and why.
pub fn admit(text: &str) -> Result<Job, Refusal> {
    let job = Job::parse("the submitted job", text, &[])
        .map_err(|errors| Refusal::new("job", errors.to_string()))?;
    if job.to_toml() != text {
        return Err(Refusal::new(
            "job",
            "the text is not the effective one; submit it with `lepton run --federation`",
        ));
    }
    check(&job)?;
    Ok(job)
}

/// The plan of an admitted job for so many parties.
///
/// # Errors
/// Why so many parties cannot run it.
pub(crate) fn plan(job: Job, parties: usize) -> Result<Plan, String> {
    let parties = u16::try_from(parties).map_err(|_| "there are too many parties".to_owned())?;
    Plan::new(job, parties).map_err(|error| error.to_string())
}

/// Fewest parties of any federation.
const FEWEST: usize = 2;

/// Most parties that are tried before it is known how many there are.
const TRIED: usize = 64;

/// The plan of an admitted job for the fewest parties, `least` or more, that can run it: before it is known who takes part.
///
/// # Errors
/// Why `least` parties cannot run it, where somewhat more cannot either.
pub(crate) fn smallest_plan(job: &Job, least: usize) -> Result<Plan, String> {
    let first = plan(job.clone(), least);
    let mut more = (least + 1..=least + TRIED).filter_map(|n| plan(job.clone(), n).ok());
    first.or_else(|why| more.next().ok_or(why))
}

/// Name of a table as parties list theirs: the file name of `data.table` without its ending.
fn stem(table: &str) -> Option<String> {
    let stem = Path::new(table).file_stem()?;
    Some(stem.to_string_lossy().into_owned())
}

fn check(job: &Job) -> Result<(), Refusal> {
    if job.job().insecure_seed.is_some() {
        return Err(Refusal::new(
            "job.insecure_seed",
            "a fixed seed is for simulation; leave it out",
        ));
    }
    let start = job.model().start.as_deref();
    if start.is_some_and(|start| start::digest_of(start).is_none()) {
        return Err(Refusal::new(
            "model.start",
            "a federation's parties do not have that folder; submit the job with `lepton run --federation`, which names the model by its digest",
        ));
    }
    if job.prepare().missing == Missing::Refuse {
        return Err(Refusal::new(
            "prepare.missing",
            "\"refuse\" would tell of gaps in single tables; choose another",
        ));
    }
    let named = match &job.data().source {
        DataSource::Dealt { table, .. } => stem(table).as_ref() == Some(table),
        DataSource::PerParty(_) => false,
    };
    if !named {
        return Err(Refusal::new(
            "data.table",
            "name one table as every party lists it; one path per party is for simulation",
        ));
    }
    let Some(features) = &job.data().features else {
        return Err(Refusal::new(
            "data.features",
            "the coordinator holds no table, so a federation's job lists its columns; `lepton run` writes the list into the job.toml of its run folder",
        ));
    };
    match features
        .iter()
        .find(|name| !job.data().types.contains_key(*name))
    {
        Some(name) => Err(Refusal::new(
            "data.types",
            format!(
                "column `{name}` needs a type, \"number\" or \"category\"; `lepton run` writes the types into the job.toml of its run folder"
            ),
        )),
        None => Ok(()),
    }
}
