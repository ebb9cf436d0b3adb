//! Checkpoints of a job: listed, fetched, begun from (rules JC-30 to JC-33).

use std::path::Path;

use lepton_node::checkpoint::CheckpointDoc;
use lepton_node::daemon::service::Asking;
use lepton_node::error::NodeError;
use lepton_protocol::control::JobDigest;

use super::{digest, the_job};
use crate::output;

/// Shows what a job keeps.
pub(super) async fn list(asking: &mut Asking, job: JobDigest, json: bool) -> Result<(), NodeError> {
    let kept = asking.client.checkpoints(job).await?;
    if json {
        return output::json(&kept);
    }
    output::text(&output::plain(&table(&kept)))
}

fn table(kept: &[CheckpointDoc]) -> String {
    if kept.is_empty() {
        return "the job keeps no checkpoints, or has come to none yet\n".to_owned();
    }
    let mut text = format!(
        "{:>6}{:>12}{:>10}{:>10}{:>10}  SHA-256 of the model\n",
        "round", "bytes", "accuracy", "AUC", "loss"
    );
    for doc in kept {
        let point = doc.measured();
        let figure = |of: Option<f64>| of.map_or_else(|| "-".to_owned(), |of| format!("{of:.4}"));
        text += &format!(
            "{:>6}{:>12}{:>10}{:>10}{:>10}  {}\n",
            doc.round,
            doc.bytes,
            figure(point.and_then(|point| point.accuracy)),
            figure(point.and_then(|point| point.auc)),
            figure(point.and_then(|point| point.loss)),
            doc.sha256
        );
    }
    text
}

/// Fetches one into a new folder.
pub(super) async fn pull(
    asking: &mut Asking,
    (job, round): (JobDigest, u32),
    out: &Path,
) -> Result<(), NodeError> {
    asking.client.pull_checkpoint(job, round, out).await?;
    output::text(&format!(
        "model   {0}/model.safetensors\nround   {round} (what is known of it: {0}/checkpoint.json)\n",
        out.display()
    ))
}

/// The model of the checkpoint that JOB@ROUND means.
pub(super) async fn model(asking: &mut Asking, wanted: &str) -> Result<Vec<u8>, NodeError> {
    let meant = wanted
        .rsplit_once('@')
        .and_then(|(job, round)| Some((job, round.parse::<u32>().ok()?)));
    let (job, round) = meant.ok_or_else(|| {
        NodeError::Use(format!(
            "--start {wanted}: write JOB@ROUND, such as churn@20; `lepton job` lists rounds with `checkpoints`"
        ))
    })?;
    let job = the_job(asking, job).await?;
    asking.client.checkpoint_model(digest(&job)?, round).await
}
