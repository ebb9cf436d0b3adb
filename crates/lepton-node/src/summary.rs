//! After the last round: the model file, the simulation's comparisons, the report.

use std::collections::BTreeMap;
use std::time::Instant;

use lepton_crypto::IdentityKey;
use lepton_learn::{Examples, Metrics, Model, Target};
use lepton_protocol::job::Unit;
use lepton_protocol::ledger::{Charge, Head, Limit, Side, accountant_of};
use lepton_protocol::plan::FeatureKind;
use lepton_protocol::report::{
    Baselines, CalibrationBin, DataSummary, Importance, MetricsDoc, Outcome as Ending, PartyDoc,
    ProtectionDoc, Report, Scatter, Timing, Traffic,
};
use lepton_protocol::work::{Worker, slot_function};

use crate::baselines::{majority, pool, train_alone};
use crate::error::NodeError;
use crate::federation::Outcome;
use crate::model_file::ModelFile;
use crate::model_summary::model_summary;
use crate::privacy_statement::{self, Setting};
use crate::random::{Entropy, public_generator};
use crate::released::Released;
use crate::report::{model_card, render_html};
use crate::run_folder::{RunFile, RunFolder};
use crate::signed_report;
use crate::tables::Federation;

/// Most rows in the picture of single rows.
const SCATTER_ROWS: usize = 600;

/// Most rows that permutation importance looks at.
const IMPORTANCE_ROWS: usize = 2000;

/// A finished job, before its report.
pub(crate) struct Finished {
    pub(crate) federation: Federation,
    pub(crate) outcome: Outcome,
    pub(crate) run: RunFile,
    pub(crate) folder: RunFolder,
    pub(crate) names: Vec<String>,
    pub(crate) entropy: Entropy,
    pub(crate) began: Instant,
    /// Where the durable ledger stands after the last charge, if there is one.
    pub(crate) ledger_head: Option<Head>,
    /// Whether the coordinator's store was set back under the job (rule JC-14).
    pub(crate) restored: bool,
}

/// Examples of every party under the final preparation.
struct Rows {
    train: Vec<Examples>,
    hold_out: Vec<Examples>,
}

/// Writes model, model card, privacy report and report; gives the report.
pub(crate) fn write(finished: Finished) -> Result<Report, NodeError> {
    let started = Instant::now();
    let rows = rows_of(&finished)?;
    let file = model_file(&finished)?;
    let mut report = report(&finished, &file)?;
    match (
        finished.run.released_only,
        finished.federation.plan.is_custom(),
    ) {
        (true, _) => {}
        // Nothing here can apply it (CM-10).
        (false, true) => count(&rows, &mut report),
        (false, false) => {
            compare(&finished, &file, &rows, &mut report)?;
            picture(&finished, &file, &rows, &mut report)?;
        }
    }
    report.timing.baselines_s = started.elapsed().as_secs_f64();
    report.timing.wall_s = finished.began.elapsed().as_secs_f64();
    let folder = &finished.folder;
    file.save(&folder.path("model"))?;
    folder.write("model/model_card.md", model_card(&report).as_bytes())?;
    let privacy = signed_report::write(&for_signing(&finished, &report))?;
    let page = render_html(&report, Some(&privacy));
    folder.write("report.html", page.as_bytes())?;
    // Last: a run with a report.json is a finished run.
    let json = serde_json::to_vec_pretty(&report)
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    folder.write("report.json", &json)?;
    Ok(report)
}

/// The same for a real federation, signed by its coordinator, without what is made from rows: the coordinator has none.
pub(crate) fn write_federated(
    finished: Finished,
    identity: IdentityKey,
) -> Result<Report, NodeError> {
    let file = model_file(&finished)?;
    let mut report = report(&finished, &file)?;
    report.timing.wall_s = finished.began.elapsed().as_secs_f64();
    let folder = &finished.folder;
    file.save(&folder.path("model"))?;
    folder.write("model/model_card.md", model_card(&report).as_bytes())?;
    let privacy = signed_report::write_real(&for_signing(&finished, &report), identity)?;
    let page = render_html(&report, Some(&privacy));
    folder.write("report.html", page.as_bytes())?;
    let json = serde_json::to_vec_pretty(&report)
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    folder.write("report.json", &json)?;
    Ok(report)
}

fn for_signing<'a>(finished: &'a Finished, report: &'a Report) -> signed_report::Finished<'a> {
    signed_report::Finished {
        plan: &finished.federation.plan,
        training: &finished.outcome.training,
        report,
        folder: &finished.folder,
        entropy: finished.entropy,
        epoch: finished.run.epoch,
        ledger_head: finished.ledger_head,
        restored: finished.restored,
    }
}

fn rows_of(finished: &Finished) -> Result<Rows, NodeError> {
    let public = finished.outcome.training.public();
    let slot = slot_function(
        finished.outcome.slot_key.as_ref(),
        finished.federation.plan.slots(),
    );
    let mut rows = Rows {
        train: Vec::new(),
        hold_out: Vec::new(),
    };
    for party in &finished.federation.parties {
        let mut worker = Worker::new(party.rows.clone());
        let (train, hold_out) = worker.examples(public, &slot)?;
        rows.train.push(train.clone());
        rows.hold_out.push(hold_out.clone());
    }
    Ok(rows)
}

fn model_file(finished: &Finished) -> Result<ModelFile, NodeError> {
    let training = &finished.outcome.training;
    let spent =
        privacy_statement::document(&finished.federation.plan, training, setting(finished))?;
    Released {
        plan: &finished.federation.plan,
        public: training.public(),
        parameters: training.parameters(),
        slot_key: finished.outcome.slot_key.as_ref(),
        slot_names: slot_names(finished),
        privacy: spent.epsilon_coordinator.zip(spent.delta),
        unit: spent.unit,
        job_sha256: finished.run.job_sha256.clone(),
        rounds: training.rounds_in_model(),
    }
    .file()
}

/// Values behind kept slots that enough parties hold (rule PR-04); none under a privacy goal, where even that would be a release.
fn slot_names(finished: &Finished) -> BTreeMap<String, BTreeMap<u32, String>> {
    let plan = &finished.federation.plan;
    if plan.privacy().is_some() {
        return BTreeMap::new();
    }
    let slot = slot_function(finished.outcome.slot_key.as_ref(), plan.slots());
    let least = plan.least_holders() as usize;
    let kept = &finished.outcome.training.public().kept;
    let mut names: BTreeMap<String, BTreeMap<u32, String>> = BTreeMap::new();
    for (column, values) in &finished.federation.values {
        let kept = kept.get(column).cloned().unwrap_or_default();
        for (value, _) in values.iter().filter(|(_, parties)| **parties >= least) {
            let number = slot(column, value);
            if kept.binary_search(&number).is_ok() {
                let known = names
                    .entry(column.clone())
                    .or_default()
                    .entry(number)
                    .or_default();
                let joined = if known.is_empty() {
                    value.clone()
                } else {
                    format!("{known} or {value}")
                };
                *known = joined;
            }
        }
    }
    names
}

fn report(finished: &Finished, file: &ModelFile) -> Result<Report, NodeError> {
    let plan = &finished.federation.plan;
    let training = &finished.outcome.training;
    let noised = plan.privacy().is_some();
    let clock = &finished.outcome.clock;
    let metrics = training
        .metrics()
        .map_or_else(MetricsDoc::default, |metrics| {
            metrics_doc(metrics, noised, file.label_unit())
        });
    Ok(Report {
        format: "lepton-report/1".to_owned(),
        lepton_version: env!("CARGO_PKG_VERSION").to_owned(),
        name: plan.job().name().to_string(),
        description: plan.job().job().description.clone(),
        run: finished.folder.name(),
        job_sha256: finished.run.job_sha256.clone(),
        started: finished.run.started.clone(),
        outcome: ending(finished),
        rounds: training.rounds_in_model(),
        rounds_planned: plan.rounds(),
        model: model_summary(file),
        data: DataSummary {
            label: plan.label_name().to_owned(),
            split: finished.federation.split.clone(),
            counted_in: match plan.unit() {
                Unit::Party => "parties".to_owned(),
                Unit::Person => "persons".to_owned(),
                Unit::Record => "rows".to_owned(),
            },
            rows_train: training.public().rows,
            rows_test: metrics.rows.unwrap_or_default(),
            noised,
            class_counts: training.public().class_counts.clone(),
        },
        metrics,
        curve: training.curve().to_vec(),
        baselines: None,
        privacy: privacy_statement::document(plan, training, setting(finished))?,
        protection: protection(finished),
        parties: parties(finished)?,
        importance: Vec::new(),
        scatter: None,
        timing: Timing {
            wall_s: 0.0,
            train_s: clock.train.as_secs_f64(),
            protocol_s: clock.protocol.as_secs_f64(),
            prepare_s: clock.prepare.as_secs_f64(),
            evaluate_s: clock.evaluate.as_secs_f64(),
            baselines_s: 0.0,
        },
        traffic: Traffic {
            up_bytes: finished
                .outcome
                .parties
                .iter()
                .map(|party| party.up_bytes)
                .sum(),
            down_bytes: finished
                .outcome
                .parties
                .iter()
                .map(|party| party.down_bytes)
                .sum(),
            messages: finished.outcome.messages,
        },
        insecure: insecure(finished),
        notes: notes(finished),
    })
}

fn ending(finished: &Finished) -> Ending {
    let training = &finished.outcome.training;
    if training.stopped_early() {
        Ending::StoppedEarly
    } else if training.rounds_done() < finished.federation.plan.rounds() {
        Ending::RoundsLost
    } else {
        Ending::Finished
    }
}

fn protection(finished: &Finished) -> ProtectionDoc {
    let plan = &finished.federation.plan;
    let (parameters, groups) = (plan.parameters(), plan.groups());
    let (sums, abandoned) = finished.outcome.training.counts();
    ProtectionDoc {
        aggregation: "masked".to_owned(),
        parties: u32::from(parameters.parties()),
        colluders: u32::from(parameters.colluders()),
        drops: u32::from(parameters.drops()),
        threshold: u32::from(parameters.threshold()),
        quorum: u32::from(parameters.quorum()),
        survivor_floor: u32::from(parameters.survivor_floor()),
        groups: groups.map_or(1, |groups| groups.grouping().groups().into()),
        group_floor: groups.map(|groups| groups.floor().into()),
        group_threshold: groups.map(|groups| groups.grouping().threshold().into()),
        sums,
        abandoned,
    }
}

fn parties(finished: &Finished) -> Result<Vec<PartyDoc>, NodeError> {
    let limit = finished
        .federation
        .plan
        .privacy()
        // A real party's ledger is its own.
        .filter(|_| simulated(finished))
        .map(|privacy| privacy.limit);
    finished
        .names
        .iter()
        .zip(&finished.outcome.parties)
        .enumerate()
        .map(|(place, (name, party))| {
            Ok(PartyDoc {
                name: name.clone(),
                rows_train: None,
                rows_test: None,
                sums_joined: party.joined,
                sums_missed: party.missed,
                joined_round: finished.outcome.training.first_round(place),
                federated: None,
                alone: None,
                up_bytes: party.up_bytes,
                down_bytes: party.down_bytes,
                epsilon_charged: limit
                    .map(|limit| charged(&party.charges, &limit))
                    .transpose()?,
            })
        })
        .collect()
}

/// Epsilon charged to the records that were charged most.
fn charged(charges: &[Charge], limit: &Limit) -> Result<f64, NodeError> {
    let mut most: f64 = 0.0;
    for side in [Side::Training, Side::HoldOut] {
        let spent = accountant_of(charges, side)?;
        let epsilon = spent.epsilon(limit.delta);
        let (epsilon, _) = epsilon.map_err(lepton_protocol::plan::PlanError::from)?;
        most = most.max(epsilon.round_up(6).get());
    }
    Ok(most)
}

fn count(rows: &Rows, report: &mut Report) {
    let parties = rows.train.iter().zip(&rows.hold_out);
    for (party, (own, held)) in report.parties.iter_mut().zip(parties) {
        party.rows_train = Some(own.len() as u64);
        party.rows_test = Some(held.len() as u64);
    }
}

/// Federated, pooled, alone and majority, on the same hold-out rows.
fn compare(
    finished: &Finished,
    file: &ModelFile,
    rows: &Rows,
    report: &mut Report,
) -> Result<(), NodeError> {
    let plan = &finished.federation.plan;
    let public = finished.outcome.training.public();
    let spec = &file.header.spec;
    let test = pool(&rows.hold_out.iter().collect::<Vec<_>>())?;
    let train = pool(&rows.train.iter().collect::<Vec<_>>())?;
    if test.is_empty() || train.is_empty() {
        return Ok(());
    }
    let mut rng = finished
        .entropy
        .generator("baselines", finished.run.epoch)?;
    let scored = |model: &Model, rows: &Examples| exact(file, model, rows);
    // Where even the pooled rows make training diverge, the comparison is left empty, as where none is wanted.
    let mut alone = |rows: &Examples| match finished.run.comparison {
        true => train_alone(plan, public, spec, rows, &mut rng).ok(),
        false => None,
    };
    let pooled = alone(&train);
    let mut best: Option<(String, MetricsDoc)> = None;
    let parties = rows.train.iter().zip(&rows.hold_out);
    for (party, (own, held)) in report.parties.iter_mut().zip(parties) {
        party.rows_train = Some(own.len() as u64);
        party.rows_test = Some(held.len() as u64);
        if !held.is_empty() {
            party.federated = Some(scored(&file.model, held)?);
        }
        // A party whose own rows do not suffice to train on has no model of its own.
        let Some(model) = alone(own) else {
            continue;
        };
        let metrics = scored(&model, &test)?;
        let better = |(_, other): &(String, MetricsDoc)| score(&metrics) > score(other);
        if best.as_ref().is_none_or(better) {
            best = Some((party.name.clone(), metrics.clone()));
        }
        party.alone = Some(metrics);
    }
    let pooled = pooled.map_or_else(|| Ok(MetricsDoc::default()), |model| scored(&model, &test))?;
    let (local_best_party, local_best) = best.unwrap_or_default();
    report.baselines = Some(Baselines {
        note: "simulation only, not private".to_owned(),
        federated: scored(&file.model, &test)?,
        pooled,
        local_best,
        local_best_party,
        majority: metrics_doc(&majority(spec, &train, &test)?, false, file.label_unit()),
    });
    Ok(())
}

/// Exact metrics of a model on rows that only a simulation has in one place.
fn exact(file: &ModelFile, model: &Model, rows: &Examples) -> Result<MetricsDoc, NodeError> {
    let metrics = Metrics::exact(&model.predict(rows.x())?, rows.y())?;
    Ok(metrics_doc(&metrics, false, file.label_unit()))
}

fn score(metrics: &MetricsDoc) -> f64 {
    metrics
        .auc
        .or(metrics.accuracy)
        .or(metrics.r2)
        .unwrap_or(f64::NEG_INFINITY)
}

/// What the model uses, and one party's rows in two dimensions.
fn picture(
    finished: &Finished,
    file: &ModelFile,
    rows: &Rows,
    report: &mut Report,
) -> Result<(), NodeError> {
    let mut rng = public_generator(
        finished.federation.plan.job().data().split_seed,
        "importance",
    );
    let test = pool(&rows.hold_out.iter().collect::<Vec<_>>())?;
    let some: Vec<usize> = (0..test.len().min(IMPORTANCE_ROWS)).collect();
    let groups = file.header.preparation.groups();
    if !some.is_empty() {
        let found = lepton_learn::permutation_importance(
            &file.model,
            &test.subset(&some),
            &groups,
            &mut rng,
        )?;
        report.importance = found
            .into_iter()
            .map(|one| Importance {
                column: one.name,
                loss_increase: one.loss_increase,
            })
            .collect();
        report
            .importance
            .sort_by(|a, b| b.loss_increase.total_cmp(&a.loss_increase));
    }
    let largest = rows
        .hold_out
        .iter()
        .zip(&finished.names)
        .max_by_key(|(held, _)| held.len());
    let Some((held, name)) = largest.filter(|(held, _)| held.len() >= 3) else {
        return Ok(());
    };
    let shown: Vec<usize> = (0..held.len().min(SCATTER_ROWS)).collect();
    let held = held.subset(&shown);
    let Target::Classes { labels, .. } = held.y() else {
        return Ok(());
    };
    let spread = file.header.preparation.spread_out(held.x())?;
    // A table with thousands of inputs has no picture.
    let Ok(projection) = lepton_learn::two_components(&spread) else {
        return Ok(());
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a picture needs no more precision"
    )]
    let axis = |index: usize| {
        projection
            .points
            .iter()
            .map(|point| point.get(index).map_or(0.0, |v| *v as f32))
            .collect()
    };
    report.scatter = Some(Scatter {
        party: name.clone(),
        explained: projection.explained,
        x: axis(0),
        y: axis(1),
        class: labels.clone(),
        predicted: file.model.predict(held.x())?.classes(),
    });
    Ok(())
}

/// A learning metric as the report shows it; `unit` is what one unit of the standardised label is worth.
pub(crate) fn metrics_doc(metrics: &Metrics, noised: bool, unit: f64) -> MetricsDoc {
    MetricsDoc {
        accuracy: metrics.accuracy,
        balanced_accuracy: metrics.balanced_accuracy,
        auc: metrics.auc,
        loss: metrics.loss,
        rmse: metrics.rmse.map(|value| value * unit),
        mae: metrics.mae.map(|value| value * unit),
        r2: metrics.r2,
        confusion: metrics.confusion.clone(),
        calibration: metrics
            .calibration
            .iter()
            .map(|bin| CalibrationBin {
                predicted: bin.predicted,
                observed: bin.observed,
                rows: bin.count,
            })
            .collect(),
        rows: Some(metrics.rows),
        noised,
    }
}

/// Whether one process held all rows.
fn simulated(finished: &Finished) -> bool {
    !finished.federation.parties.is_empty()
}

fn setting(finished: &Finished) -> Setting {
    Setting {
        simulated: simulated(finished),
        restored: finished.restored,
    }
}

fn insecure(finished: &Finished) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(seed) = finished.federation.plan.job().job().insecure_seed {
        all.push(format!(
            "insecure_seed = {seed}: keys, masks, samples and noise can be repeated by anybody who knows the number; nothing in this run is protected."
        ));
    }
    if finished.federation.plan.privacy().is_none() {
        all.push(
            "No privacy goal is set: exact sums were released. The model, the metrics and the differences between rounds may reveal single records.".to_owned(),
        );
    }
    all
}

fn notes(finished: &Finished) -> Vec<String> {
    let plan = &finished.federation.plan;
    let custom = plan.is_custom();
    let mut notes = vec![if simulated(finished) && finished.run.released_only {
        "This run simulated the whole federation in one process; its report has nothing in it that a real federation would not release.".to_owned()
    } else if simulated(finished) && custom {
        "This run simulated the whole federation in one process; the parties' row counts are known from raw rows.".to_owned()
    } else if simulated(finished) {
        "This run simulated the whole federation in one process: the comparison with pooled rows, the per-party tables, the importance and the scatter used rows that no single place holds in a real federation.".to_owned()
    } else {
        "This job ran in a federation: every party kept its rows, and this report is made from sums. Times and traffic are those since the coordinator last started; a sum during which it was killed may be missing among those that a party joined.".to_owned()
    }];
    notes.extend(finished.outcome.training.notes().iter().cloned());
    notes.extend(
        plan.job()
            .inactive_keys()
            .iter()
            .map(|(key, why)| format!("`{key}` had no effect: {why}")),
    );
    let public = finished.outcome.training.public();
    for feature in plan
        .features()
        .iter()
        .filter(|feature| feature.kind == FeatureKind::Discovered && simulated(finished))
        .filter(|_| !finished.run.released_only)
    {
        let kept = public.kept.get(&feature.name).map_or(0, Vec::len);
        let held = finished
            .federation
            .values
            .get(&feature.name)
            .map_or(0, BTreeMap::len);
        let embedded = plan.job().model().embeddings();
        let own = if embedded.contains_key(&feature.name) {
            "a vector"
        } else {
            "an input"
        };
        if kept < held {
            notes.push(format!(
                "Column `{}`: {kept} of its categories have {own} of their own; the others, held by too few parties or rows, count as \"other\" (simulation only: known from raw rows).",
                feature.name
            ));
        }
    }
    // A federation opens epochs for other reasons too.
    if simulated(finished) && finished.run.epoch > 1 {
        notes.push(format!(
            "The run was resumed {} time(s).",
            finished.run.epoch - 1
        ));
    }
    notes
}
