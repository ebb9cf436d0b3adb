//! Checkpoints, and jobs that begin from a given model (rules JC-30 to JC-37).

use std::path::{Path, PathBuf};

use lepton_crypto::sha256;
use lepton_node::daemon::Role;
use lepton_node::daemon::effective::{Submission, submission};
use lepton_node::hex::hex;
use lepton_node::model_file::ModelFile;
use lepton_node::simulate::{Place, Request, run};
use lepton_node::store::Database;
use lepton_node::tables::Source;
use lepton_protocol::control::JobState;
use lepton_protocol::progress::Progress;
use lepton_protocol::report::Report;
use lepton_protocol::store::Store;
use tokio::sync::{mpsc, watch};

use crate::whole::{TUMOURS, finish, report, tumours};
use crate::world::{Someone, World, ada, signed, store};

/// Policies that let exact jobs begin from given models.
fn open(world: &mut World) {
    world.edit_policy = Box::new(|policy| {
        policy.replace("required = false", "required = false\nexact_start = true")
    });
}

/// What is submitted of the small job with these settings.
fn job(world: &World, set: &[&str], given: Option<Vec<u8>>) -> Submission {
    let path = world.folder.path().join("job.toml");
    submission(&path, &owned(set), given).unwrap()
}

fn owned(set: &[&str]) -> Vec<String> {
    set.iter().map(|text| (*text).to_owned()).collect()
}

fn bytes(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model.safetensors")).unwrap()
}

/// Submits with the start, follows to the end, and gives the words of the end.
async fn begin(world: &World, from: &Submission) -> Result<String, String> {
    let mut client = world.client(&ada()).await;
    let job = signed(&from.text, &ada());
    let digest = job.digest();
    let submitted = client.submit_from(job, from.start.clone()).await;
    submitted.map_err(|error| error.to_string())?;
    let end = client.watch(digest, 0, |_| {}).await;
    end.map_err(|error| error.to_string())
}

/// The small job in one process, over the parties' tables.
async fn in_one_process(world: &World, set: &[&str], name: &str) -> (Report, PathBuf) {
    let folder = world.folder.path().join(name);
    let mut overrides = owned(set);
    overrides.push("job.insecure_seed=5".to_owned());
    let request = Request::New {
        source: Source {
            job: world.folder.path().join("job.toml"),
            overrides,
            data: None,
            party_data: world.tables.clone(),
            vault_key: None,
        },
        scenario: None,
        folder: Place::At(folder.clone()),
        comparison: false,
    };
    let (events, _inbox) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let done = run(request, ("", ""), events, stopped).await.unwrap();
    (done.report, folder)
}

fn close(found: &Report, expected: &Report) {
    assert_eq!(found.metrics.accuracy, expected.metrics.accuracy);
    let losses = (found.metrics.loss.unwrap(), expected.metrics.loss.unwrap());
    // The order of additions differs, and the rounding of the masked sums.
    assert!((losses.0 - losses.1).abs() < 1e-4, "{losses:?}");
}

fn rounds(kept: &[lepton_node::checkpoint::CheckpointDoc]) -> Vec<u32> {
    kept.iter().map(|doc| doc.round).collect()
}

/// JC-30 to JC-33: the last checkpoints are kept, those who may pull get them, and a job that begins from the third round is after one round where the
/// first one was after four.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_from_a_checkpoint_of_another() {
    let keep = [
        "training.rounds=4",
        "training.checkpoint_every=1",
        "training.checkpoints=2",
    ];
    let (mut world, text) = tumours(&keep);
    open(&mut world);
    world.up().await;
    let end = finish(&world, &text).await;
    assert!(end.starts_with("finished: 4 of 4 rounds"), "{end}");
    let first = report(&world, &text).await;
    let digest = signed(&text, &ada()).digest();
    let mut client = world.client(&ada()).await;
    let kept = client.checkpoints(digest).await.unwrap();
    assert_eq!(rounds(&kept), [3, 4]);
    for doc in &kept {
        assert_eq!(doc.job, hex(&digest));
        let last = |point: &&lepton_protocol::report::CurvePoint| point.round == doc.round;
        assert_eq!(doc.measured(), first.curve.iter().find(last));
    }
    // Who may not pull the results may not have these, nor learn that there are any.
    let bob = Someone::new(Role::Scientist, "bob");
    let refused = world.client(&bob).await.checkpoints(digest).await;
    assert!(refused.unwrap_err().to_string().contains("(role)"));
    let refused = world.client(&bob).await.checkpoint_model(digest, 3).await;
    assert!(refused.unwrap_err().to_string().contains("(role)"));
    let out = world.folder.path().join("third");
    let unknown = client.pull_checkpoint(digest, 2, &out).await.unwrap_err();
    assert!(
        unknown.to_string().contains("no checkpoint of round 2"),
        "{unknown}"
    );
    assert!(!out.exists());
    client.pull_checkpoint(digest, 3, &out).await.unwrap();
    assert_eq!(kept[0].sha256, hex(sha256(&bytes(&out)).as_bytes()));
    assert_eq!(ModelFile::load(&out).unwrap().header.rounds, 3);
    let given = client.checkpoint_model(digest, 3).await.unwrap();
    assert_eq!(given, bytes(&out));
    let again = job(
        &world,
        &["job.name=again", "training.rounds=1"],
        Some(given),
    );
    assert!(again.text.contains(&kept[0].sha256));
    let end = begin(&world, &again).await.unwrap();
    assert!(end.starts_with("finished: 1 of 1 rounds"), "{end}");
    let second = report(&world, &again.text).await;
    close(&second, &first);
    assert!(
        second
            .notes
            .iter()
            .any(|note| note.contains(&kept[0].sha256)),
        "{:?}",
        second.notes
    );
    assert_ne!(
        report_at(&first, 3),
        first.metrics.loss,
        "a round changes nothing"
    );
}

fn report_at(report: &Report, round: u32) -> Option<f64> {
    let found = report.curve.iter().find(|point| point.round == round);
    found.and_then(|point| point.loss)
}

/// A model whose file is larger than one part.
const WIDE: [&str; 3] = [
    "model.kind=\"mlp\"",
    "model.hidden=[600, 600]",
    "training.rounds=1",
];

/// A world that lets exact jobs begin from given models, and the setting that names such a one, trained in one process.
async fn wide_model() -> (World, String) {
    let (mut world, _) = tumours(&[]);
    open(&mut world);
    let (_, first) = in_one_process(&world, &WIDE, "first").await;
    let start = format!("model.start={:?}", first.display().to_string());
    (world, start)
}

/// JC-33 to JC-35: from the folder of a model at the scientist's, number for number what one process makes of it; the file is larger than one part.
#[tokio::test(flavor = "multi_thread")]
async fn a_given_model_trains_on_as_in_one_process() {
    let (mut world, start) = wide_model().await;
    let set: Vec<&str> = WIDE.into_iter().chain([start.as_str()]).collect();
    let (expected, _) = in_one_process(&world, &set, "expected").await;
    world.up().await;
    let from = job(&world, &set, None);
    assert!(from.start.as_ref().unwrap().len() > 1 << 20);
    let end = begin(&world, &from).await.unwrap();
    assert!(end.starts_with("finished"), "{end}");
    let found = report(&world, &from.text).await;
    assert_eq!(found.metrics, expected.metrics);
    assert_eq!(found.curve, expected.curve);
    // JC-11: the same text is the same job, and needs nothing sent.
    let known = world
        .client(&ada())
        .await
        .submit(signed(&from.text, &ada()))
        .await;
    assert_eq!(known.unwrap(), "it is known already: finished");
}

/// JC-33, JC-35: what does not fit is refused in words, and no job is known.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_signed_start_is_refused() {
    let (mut world, _) = tumours(&[]);
    open(&mut world);
    let (_, first) = in_one_process(&world, &["training.rounds=1"], "first").await;
    let good = bytes(&first.join("model"));
    let start = format!("model.start={:?}", first.display().to_string());
    world.up().await;
    let from = job(&world, &[&start], None);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let long = [good.clone(), vec![0; 3 << 20]].concat();
    let short = good[..good.len() - 1].to_vec();
    for (sent, words) in [
        (Some(flipped), "its SHA-256 is another"),
        (Some(short), "its SHA-256 is another"),
        (Some(long), "bytes, and one that the job trains has"),
        (None, "names a model by its digest"),
    ] {
        let twin = Submission {
            text: from.text.clone(),
            start: sent.map(Into::into),
        };
        let refused = begin(&world, &twin).await.unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
    // A text that was signed for the model of other columns: the coordinator looks for itself.
    let other = from
        .text
        .replace("mean_radius = [0.0, 40.0]", "mean_radius = [0.0, 41.0]");
    assert_ne!(other, from.text);
    let twin = Submission {
        text: other,
        start: from.start.clone(),
    };
    let refused = begin(&world, &twin).await.unwrap_err();
    assert!(
        refused.contains("`mean_radius` in another way"),
        "{refused}"
    );
    let fewer = from.text.replace(r#", "mean_texture""#, "");
    assert_ne!(fewer, from.text);
    assert!(world.client(&ada()).await.list().await.unwrap().is_empty());
    assert!(begin(&world, &from).await.unwrap().starts_with("finished"));
}

/// The submitter's own command sees a start that cannot be, before anybody is asked for anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_of_other_columns_is_found_before_submitting() {
    let (world, _) = tumours(&[]);
    let (_, first) = in_one_process(&world, &["training.rounds=1"], "first").await;
    let path = world.folder.path().join("job.toml");
    let start = format!("model.start={:?}", first.display().to_string());
    let found = |set: &[&str], text: &str| {
        std::fs::write(&path, text).unwrap();
        let set = owned(&[&[start.as_str()], set].concat());
        submission(&path, &set, None).map_err(|error| error.to_string())
    };
    assert!(found(&[], TUMOURS).is_ok());
    for (set, words) in [
        (
            "data.features=[\"mean_texture\", \"mean_radius\", \"worst_radius\"]",
            "reads the columns",
        ),
        (
            "prepare.bounds.worst_radius=[0, 51]",
            "`worst_radius` in another way",
        ),
        ("prepare.scale=\"minmax\"", "`mean_radius` in another way"),
        (
            "prepare.missing=\"indicator\"",
            "`mean_radius` in another way",
        ),
        (
            "data.classes=[\"malignant\", \"benign\"]",
            "predicts `diagnosis` in another way",
        ),
        ("model.kind=\"mlp\"", "another kind of model"),
    ] {
        let refused = found(&[set], TUMOURS).unwrap_err();
        assert!(refused.contains(words), "{set}: {refused}");
    }
    let discovered = TUMOURS.replace("classes = [\"benign\", \"malignant\"]\n", "");
    let refused = found(&[], &discovered).unwrap_err();
    assert!(
        refused.contains("list them under [prepare.values]"),
        "{refused}"
    );
}

/// PO-13 and PO-18: the parties' policies decide, before anything is sent to them.
#[tokio::test(flavor = "multi_thread")]
async fn policies_decide_about_given_starts() {
    let (mut world, _) = tumours(&[]);
    let (_, first) = in_one_process(&world, &["training.rounds=1"], "first").await;
    let start = format!("model.start={:?}", first.display().to_string());
    world.up().await;
    let from = job(&world, &[&start], None);
    let end = begin(&world, &from).await.unwrap();
    assert!(
        end.starts_with("failed: no roster") && end.contains("PO-18"),
        "{end}"
    );
    world.policy += "[model]\nparameters = 3\n";
    open(&mut world);
    (0..3).for_each(|index| world.write_policy(index));
    let small = job(&world, &[&start, "job.name=small"], None);
    let end = begin(&world, &small).await.unwrap();
    assert!(end.contains("PO-13"), "{end}");
    // A goal needs no such word, and is charged in full as a job of its own.
    world.policy = world.policy.replace("parameters = 3", "parameters = 1000");
    world.edit_policy = Box::new(|policy| policy);
    (0..3).for_each(|index| world.write_policy(index));
    let goal = [
        "job.name=goal",
        "privacy.epsilon=8",
        "training.sampling_rate=0.5",
    ];
    let set: Vec<&str> = goal.into_iter().chain([start.as_str()]).collect();
    let from = job(&world, &set, None);
    let end = begin(&world, &from).await.unwrap();
    assert!(end.starts_with("finished"), "{end}");
    let (with, expected) = (report(&world, &from.text).await, job(&world, &goal, None));
    let end = finish(&world, &expected.text).await;
    assert!(end.starts_with("finished"), "{end}");
    let fresh = report(&world, &expected.text).await;
    assert_eq!(with.privacy.epsilon, fresh.privacy.epsilon);
    assert_eq!(with.privacy.goal_epsilon, Some(8.0));
}

/// JC-33: a coordinator that is killed in the middle of a transfer has kept nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_start_is_nothing() {
    let (mut world, start) = wide_model().await;
    let set: Vec<&str> = WIDE.into_iter().chain([start.as_str()]).collect();
    world.up().await;
    let from = job(&world, &set, None);
    let mut link = world.raw(&ada()).await;
    link.submit(&from.text).await;
    assert_eq!(link.wanted().await, 0);
    link.part(from.start.as_ref().unwrap(), 0, 1000).await;
    assert_eq!(link.wanted().await, 1000);
    world.kill_coordinator().await;
    world.start_coordinator().await;
    assert!(world.client(&ada()).await.list().await.unwrap().is_empty());
    // A part of what nobody submitted on this link is nobody's.
    let mut link = world.raw(&ada()).await;
    link.of(&from.text);
    link.part(from.start.as_ref().unwrap(), 1000, 1000).await;
    assert!(link.refused().await.contains("submit the job first"));
    assert!(begin(&world, &from).await.unwrap().starts_with("finished"));
}

/// JC-34: a coordinator that hands over another model than the submitter signed gets no party to join; what it stored is changed here behind its back.
#[tokio::test(flavor = "multi_thread")]
async fn parties_do_not_join_with_another_model_than_was_signed() {
    let (mut world, _) = tumours(&[]);
    open(&mut world);
    let (_, first) = in_one_process(&world, &["training.rounds=1"], "first").await;
    let start = format!("model.start={:?}", first.display().to_string());
    let from = job(&world, &[&start], None);
    world.start_coordinator().await;
    let signed = signed(&from.text, &ada());
    let digest = signed.digest();
    let mut client = world.client(&ada()).await;
    client
        .submit_from(signed, from.start.clone())
        .await
        .unwrap();
    world.kill_coordinator().await;
    let mut other = from.start.unwrap().to_vec();
    *other.last_mut().unwrap() ^= 1;
    {
        let hub = store(world.folder.path(), "hub");
        let database = Database::open(&hub, "hub").unwrap();
        let mut kept = database.store(&format!("job {}", hex(&digest)));
        assert!(kept.get("start.safetensors").unwrap().is_some());
        kept.put("start.safetensors", &other).unwrap();
    }
    world.up().await;
    let mut client = world.client(&ada()).await;
    let end = client.watch(digest, 0, |_| {}).await.unwrap();
    let refused = end.contains("refused (model.start)") && end.contains("its SHA-256 is another");
    assert!(end.starts_with("failed") && refused, "{end}");
    for index in 0..3 {
        let name = format!("p{index}");
        let own = Database::open(&store(world.folder.path(), &name), &name);
        // Its daemon runs.
        assert!(own.is_err());
        world.kill_party(index).await;
        let own = Database::open(&store(world.folder.path(), &name), &name).unwrap();
        let kept = own.store(&format!("job {}", hex(&digest)));
        assert_eq!(kept.get("start.safetensors").unwrap(), None);
    }
}

/// JC-34: a party that is killed while the start comes to it asks again, and joins with the whole of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_is_killed_before_it_joins_asks_again() {
    let (mut world, _) = tumours(&[]);
    open(&mut world);
    let (_, first) = in_one_process(&world, &["training.rounds=1"], "first").await;
    let start = format!("model.start={:?}", first.display().to_string());
    let from = job(&world, &[&start], None);
    world.up().await;
    let mut client = world.client(&ada()).await;
    let signed = signed(&from.text, &ada());
    let digest = signed.digest();
    client
        .submit_from(signed, from.start.clone())
        .await
        .unwrap();
    world.kill_party(1).await;
    world.start_party(1).await;
    let end = client.watch(digest, 0, |_| {}).await.unwrap();
    assert!(end.starts_with("finished: 3 of 3 rounds"), "{end}");
}

/// JC-30: whatever step a kill hits, what is kept is of rounds that are in the model, whole, and the last of them.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_survive_a_killed_coordinator() {
    let keep = [
        "training.rounds=6",
        "training.checkpoint_every=2",
        "training.checkpoints=2",
    ];
    let (mut world, text) = tumours(&keep);
    world.up().await;
    let job = signed(&text, &ada());
    let digest = job.digest();
    world.client(&ada()).await.submit(job).await.unwrap();
    for round in [2, 3, 4] {
        let mut client = world.client(&ada()).await;
        let (reached, mut seen) = mpsc::unbounded_channel();
        let watching = tokio::spawn(async move {
            let each = |event: lepton_protocol::control::JobEvent| {
                if matches!(event.progress, Progress::Trained { round: at, .. } if at >= round) {
                    let _ = reached.send(());
                }
            };
            let _ = client.watch(digest, 0, each).await;
        });
        seen.recv().await;
        watching.abort();
        world.kill_coordinator().await;
        world.start_coordinator().await;
        let mut client = world.client(&ada()).await;
        for doc in client.checkpoints(digest).await.unwrap() {
            let model = client.checkpoint_model(digest, doc.round).await.unwrap();
            assert_eq!(doc.sha256, hex(sha256(&model).as_bytes()));
        }
    }
    let mut client = world.client(&ada()).await;
    client.watch(digest, 0, |_| {}).await.unwrap();
    let listed = client.list().await.unwrap();
    assert_eq!(listed[0].state, JobState::Finished, "{}", listed[0].words);
    let kept = client.checkpoints(digest).await.unwrap();
    assert_eq!(rounds(&kept), [4, 6]);
    let last = report(&world, &text).await;
    assert_eq!(kept[1].measured().unwrap().loss, last.metrics.loss);
    let out = world.folder.path().join("last");
    client.pull_checkpoint(digest, 6, &out).await.unwrap();
    let results = world.folder.path().join("results");
    client.pull(digest, &results).await.unwrap();
    let (kept, end) = (
        ModelFile::load(&out).unwrap(),
        ModelFile::load(&results).unwrap(),
    );
    assert_eq!(kept.model.params(), end.model.params());
}

/// JC-30 in one process: folders, each of them a model to begin from.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_one_process_keeps_the_same() {
    let (world, _) = tumours(&[]);
    let keep = [
        "training.rounds=4",
        "training.checkpoint_every=1",
        "training.checkpoints=2",
    ];
    let (first, folder) = in_one_process(&world, &keep, "first").await;
    let kept = std::fs::read_dir(folder.join("checkpoints")).unwrap();
    let mut names: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["3", "4"]);
    let third = folder.join("checkpoints/3");
    let doc = std::fs::read(third.join("checkpoint.json")).unwrap();
    let doc: lepton_node::checkpoint::CheckpointDoc = serde_json::from_slice(&doc).unwrap();
    assert_eq!(doc.measured().unwrap().loss, report_at(&first, 3));
    assert_eq!(doc.sha256, hex(sha256(&bytes(&third)).as_bytes()));
    let start = format!("model.start={:?}", third.display().to_string());
    let (second, _) = in_one_process(&world, &["training.rounds=1", &start], "second").await;
    close(&second, &first);
}
