//! From a finished run to its privacy report.

use std::path::Path;

use lepton_dp::tradeoff::least_miss;
use lepton_dp::{Accountant, Delta};
use lepton_protocol::job::Unit;
use lepton_protocol::ledger::{Charge, Head, Side, accountant_of};
use lepton_protocol::plan::{Plan, PlanError};
use lepton_protocol::privacy::PrivacyPlan;
use lepton_protocol::report::Report;
use lepton_protocol::training::Training;
use lepton_secagg::Topology;

use super::document::{
    Adversary, CurvePair, FileHash, Goal, LedgerHead, MaskedSum, Mechanism, NoiseSeen,
    PRIVACY_REPORT, PartyFacts, PrivacyReport, Protected, RunFacts, Signer, TradeOff, VERSION,
};
use super::law::{self, Facts};
use crate::error::NodeError;
use crate::privacy_statement::Setting;

/// Deltas of the curve beside the goal's own.
const DELTAS: [f64; 8] = [1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10];

/// False alarms at which the trade-off is given.
const FALSE_ALARMS: [f64; 6] = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5];

/// Deltas of the pairs that support the trade-off: these, at each power of ten down to 1e-9.
const SUPPORTS: [f64; 3] = [0.5, 0.2, 0.1];

/// What a signature on the report of a federation says.
const REAL_IDENTITY: &str = "The coordinator signed with its identity key: hold it against the certificate that the federation's authority issued to it. \
                             No party signed: what its ledger was charged is known to each party alone.";

/// What a report is made from.
pub(crate) struct Sources<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) training: &'a Training,
    pub(crate) report: &'a Report,
    /// Folder of the run, for the hashes of what lies in it.
    pub(crate) folder: &'a Path,
    pub(crate) signers: Vec<Signer>,
    /// Where the ledger of the parties stood; a simulation's parties share one.
    pub(crate) ledger_head: Option<Head>,
    /// Whether one process held all rows, and made the signers' keys up; and whether all charges are known.
    pub(crate) setting: Setting,
}

/// The report of a run.
pub(crate) fn build(sources: Sources<'_>) -> Result<PrivacyReport, NodeError> {
    let Sources {
        plan,
        training,
        report,
        folder,
        signers,
        ledger_head,
        setting,
    } = sources;
    let simulated = setting.simulated;
    let adversaries = adversaries(plan, training, setting)?;
    let seeded = plan.job().job().insecure_seed.is_some();
    let coordinator = coordinator_words(plan);
    let bound = report
        .privacy
        .goal_epsilon
        .zip(report.privacy.delta)
        .map(|(epsilon, delta)| {
            let unit = plan.unit();
            format!("epsilon ≤ {epsilon} at delta {delta:e} for each {unit}")
        });
    Ok(PrivacyReport {
        kind: PRIVACY_REPORT.to_owned(),
        version: VERSION,
        lepton_version: report.lepton_version.clone(),
        simulated,
        summary: summary(report, &adversaries, (seeded, setting)),
        run: RunFacts {
            job: report.name.clone(),
            folder: report.run.clone(),
            started: report.started.clone(),
            job_sha256: report.job_sha256.clone(),
            rounds: report.rounds,
            rounds_planned: report.rounds_planned,
        },
        protected: protected(report, seeded),
        goal: goal(report),
        mechanisms: mechanisms(plan, training),
        assumptions: report.privacy.assumptions.clone(),
        not_protected: report.privacy.not_protected.clone(),
        insecure: report.insecure.clone(),
        masked_sum: masked_sum(plan, training),
        parties: parties(report, ledger_head),
        files: files(folder, report)?,
        law: law::law(&Facts {
            bound: bound.as_deref(),
            adversary: &coordinator,
            simulated,
            seeded,
        }),
        identities: if simulated {
            identities(seeded)
        } else {
            REAL_IDENTITY.to_owned()
        },
        adversaries,
        signers,
    })
}

fn goal(report: &Report) -> Option<Goal> {
    let (epsilon, delta) = report.privacy.goal_epsilon.zip(report.privacy.delta)?;
    Some(Goal { epsilon, delta })
}

fn summary(
    report: &Report,
    adversaries: &[Adversary],
    (seeded, setting): (bool, Setting),
) -> String {
    let seen = adversaries.iter().find(|one| one.name == "coordinator");
    let numbers = seen.and_then(|one| one.epsilon.zip(one.delta));
    match (goal(report), numbers) {
        _ if seeded => "Masks and noise came from a number in the job file (insecure_seed): nothing in this run is protected, whatever else stands here; \
                        do not rely on the numbers."
            .to_owned(),
        (None, _) => "No privacy goal was set. Each party's numbers were hidden in masked sums, the sums are exact: the model, the metrics and \
                      differences between rounds may reveal single records."
            .to_owned(),
        (Some(goal), Some((epsilon, delta))) if epsilon <= goal.epsilon => format!(
            "Each {} is protected with epsilon ≤ {} at delta {delta:e}, the goal that was fixed before the run; {}.",
            report.privacy.unit.as_deref().unwrap_or("record"),
            goal.epsilon,
            charged(setting, epsilon)
        ),
        (Some(goal), _) => format!("The goal of epsilon ≤ {} was not kept: do not rely on this report.", goal.epsilon),
    }
}

fn charged(setting: Setting, epsilon: f64) -> String {
    let who = match (setting.restored, setting.simulated) {
        (true, _) => {
            return "the coordinator's store was set back under the job, so no smaller figure is known"
                .to_owned();
        }
        (false, true) => "what was charged adds up to",
        // What a ledger was charged is its party's own knowledge.
        (false, false) => "what the job's rules charge adds up to",
    };
    format!("{who} epsilon {epsilon} against the strongest adversary named here")
}

fn protected(report: &Report, seeded: bool) -> Protected {
    let privacy = &report.privacy;
    let (meaning, covers) = match (&privacy.unit, &privacy.adjacency) {
        (Some(unit), Some(adjacency)) => (
            meaning(unit, adjacency),
            "Everything released: statistics and categories that prepare the columns, the model after every round and at the end (its file is a release), \
             the metrics, row counts and the decision to stop.",
        ),
        _ => (
            "Nothing bounds what the releases tell about one record.".to_owned(),
            "No release. Masked sums hide each party's own numbers from the coordinator and its colluders.",
        ),
    };
    let void = if seeded {
        "Nothing holds for this run, whose masks and noise can be repeated by anybody who knows its seed. Otherwise: "
    } else {
        ""
    };
    Protected {
        unit: privacy.unit.clone(),
        adjacency: privacy.adjacency.clone(),
        meaning: format!("{void}{meaning}"),
        covers: format!("{void}{covers}"),
        accountant: privacy.accountant.clone(),
    }
}

fn meaning(unit: &str, adjacency: &str) -> String {
    let (compared, protected) = match unit {
        "party" => (
            "one party takes part with its rows or with none".to_owned(),
            "All that its rows say is protected, in training and evaluation alike; that it takes part is public",
        ),
        _ => (
            format!("one {unit} is there or not"),
            "That it is there and all it says is protected, whether it was used for training or for evaluation",
        ),
    };
    format!(
        "Whether {compared} ({adjacency}) changes the probability of anything that can be seen by at most a factor e^epsilon, up to delta. {protected}."
    )
}

/// Who else can put what together: the coordinator with its colluders.
fn coordinator_words(plan: &Plan) -> String {
    match plan.parameters().colluders() {
        0 => "the coordinator alone".to_owned(),
        1 => "the coordinator together with up to 1 party".to_owned(),
        more => format!("the coordinator together with up to {more} parties"),
    }
}

fn adversaries(
    plan: &Plan,
    training: &Training,
    setting: Setting,
) -> Result<Vec<Adversary>, NodeError> {
    let losses = |charges| match plan.privacy() {
        Some(privacy) if setting.restored => Ok(Losses::of_goal(privacy)),
        _ => Losses::of(plan, charges),
    };
    let seen = losses(training.charges())?;
    let released = losses(training.public_charges())?;
    let others = match plan.parameters().colluders() {
        0 | 1 => "any single other party".to_owned(),
        more => format!("up to {more} other parties together"),
    };
    let adversary = |name: &str, who: &str, sees: &str, losses: &Losses| Adversary {
        name: name.to_owned(),
        who: who.to_owned(),
        sees: sees.to_owned(),
        epsilon: losses.epsilon,
        delta: losses.delta,
        curve: losses.curve.clone(),
        trade_off: losses.trade_off.clone(),
    };
    Ok(vec![
        adversary(
            "public",
            "the public: anyone who sees only what is released",
            "the model and whatever is published with it",
            &released,
        ),
        adversary(
            "coordinator",
            &coordinator_words(plan),
            "every sum, all messages, and what the colluding parties know, their own noise included",
            &seen,
        ),
        // At least as much noise remains unknown to them as to the coordinator with as many colluders (FT-05).
        adversary(
            "other_parties",
            &others,
            "what is released in every round, and their own numbers and noise",
            &seen,
        ),
    ])
}

/// What the accountant says about a list of charges.
struct Losses {
    epsilon: Option<f64>,
    delta: Option<f64>,
    curve: Vec<CurvePair>,
    trade_off: Vec<TradeOff>,
}

impl Losses {
    /// Nothing without a privacy goal.
    fn of(plan: &Plan, charges: &[Charge]) -> Result<Self, NodeError> {
        let Some(privacy) = plan.privacy() else {
            return Ok(Self {
                epsilon: None,
                delta: None,
                curve: Vec::new(),
                trade_off: Vec::new(),
            });
        };
        let sides = [
            accountant_of(charges, Side::Training)?,
            accountant_of(charges, Side::HoldOut)?,
        ];
        let goal = privacy.goal.delta.get();
        let mut deltas = DELTAS.to_vec();
        if !deltas.contains(&goal) {
            deltas.push(goal);
            deltas.sort_by(|a, b| b.total_cmp(a));
        }
        Ok(Self {
            epsilon: finite(worst(privacy, &sides, goal)?),
            delta: Some(goal),
            curve: pairs(privacy, &sides, deltas)?,
            trade_off: trade_off(privacy, &sides)?,
        })
    }
}

impl Losses {
    /// What holds where not all charges are known.
    fn of_goal(privacy: &PrivacyPlan) -> Self {
        let (epsilon, delta) = (privacy.goal.epsilon.get(), privacy.goal.delta.get());
        let pair = CurvePair { delta, epsilon };
        Self {
            epsilon: Some(epsilon),
            delta: Some(delta),
            trade_off: lines(std::slice::from_ref(&pair)),
            curve: vec![pair],
        }
    }
}

/// Epsilon for the records that lost most: a record is on one side only (FT-03).
fn worst(privacy: &PrivacyPlan, sides: &[Accountant], delta: f64) -> Result<f64, NodeError> {
    let delta = Delta::new(delta).map_err(PlanError::from)?;
    let of_sides = |delta| {
        let mut most: f64 = 0.0;
        for side in sides {
            let (epsilon, _) = side.epsilon(delta)?;
            most = most.max(epsilon.round_up(6).get());
        }
        Ok::<_, PlanError>(most)
    };
    Ok(privacy.with_tables(delta, of_sides)?)
}

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

fn pairs(
    privacy: &PrivacyPlan,
    sides: &[Accountant],
    deltas: impl IntoIterator<Item = f64>,
) -> Result<Vec<CurvePair>, NodeError> {
    let mut all = Vec::new();
    for delta in deltas {
        if let Some(epsilon) = finite(worst(privacy, sides, delta)?) {
            all.push(CurvePair { delta, epsilon });
        }
    }
    Ok(all)
}

/// The best of the lines that the pairs imply (Wasserman & Zhou 2010; Dong, Roth, Su 2022, proposition 2.5).
fn trade_off(privacy: &PrivacyPlan, sides: &[Accountant]) -> Result<Vec<TradeOff>, NodeError> {
    let powers = (0..9).map(|power| 0.1_f64.powi(power));
    let supports = pairs(
        privacy,
        sides,
        powers.flat_map(|power| SUPPORTS.map(|delta| delta * power)),
    )?;
    Ok(lines(&supports))
}

fn lines(supports: &[CurvePair]) -> Vec<TradeOff> {
    let at = |false_alarm: f64| {
        let lines = supports
            .iter()
            .map(|pair| least_miss(false_alarm, pair.epsilon, pair.delta));
        let miss = lines.fold(0.0, f64::max);
        TradeOff {
            false_alarm,
            miss_at_least: (miss * 1e6).floor() / 1e6,
        }
    };
    if supports.is_empty() {
        Vec::new()
    } else {
        FALSE_ALARMS.map(at).to_vec()
    }
}

/// Charges that are alike in one line.
fn mechanisms(plan: &Plan, training: &Training) -> Vec<Mechanism> {
    let mut all: Vec<Mechanism> = Vec::new();
    for (seen, public) in training.charges().iter().zip(training.public_charges()) {
        let mut one = mechanism(seen, public);
        if plan.unit() == Unit::Party {
            "all records of a party".clone_into(&mut one.records);
        }
        let like = |other: &&mut Mechanism| {
            Mechanism {
                times: one.times,
                ..(**other).clone()
            } == one
        };
        match all.iter_mut().find(like) {
            Some(other) => other.times += one.times,
            None => all.push(one),
        }
    }
    all
}

fn mechanism(seen: &Charge, public: &Charge) -> Mechanism {
    let sampling_rate = seen.event.sampling_rate().get();
    let coordinator = NoiseSeen::of(&seen.event);
    let sum = if sampling_rate < 1.0 {
        "sum over a Poisson sample"
    } else {
        "sum"
    };
    let noise = match coordinator.shares {
        Some(_) => "discrete Gaussian noise in shares of the parties",
        None => "discrete Gaussian noise",
    };
    Mechanism {
        release: seen.kind.clone(),
        records: seen.side.words().to_owned(),
        mechanism: format!("{sum} of clipped contributions with {noise}"),
        times: seen.count,
        sampling_rate,
        coordinator,
        public: NoiseSeen::of(&public.event),
    }
}

fn masked_sum(plan: &Plan, training: &Training) -> MaskedSum {
    let parameters = plan.parameters();
    let (sums, abandoned) = training.counts();
    let graph = match parameters.topology() {
        Topology::Complete => "complete",
        Topology::Sparse { .. } => "sparse",
    };
    MaskedSum {
        graph: graph.to_owned(),
        neighbours: u32::from(parameters.neighbours()),
        graph_failure_bits: parameters
            .security_bits()
            .map(|bits| (bits * 10.0).floor() / 10.0),
        parties: u32::from(parameters.parties()),
        colluders: u32::from(parameters.colluders()),
        drops: u32::from(parameters.drops()),
        threshold: u32::from(parameters.threshold()),
        quorum: u32::from(parameters.quorum()),
        committee: u32::from(parameters.committee()),
        survivor_floor: u32::from(parameters.survivor_floor()),
        groups: plan
            .groups()
            .map_or(1, |groups| groups.grouping().groups().into()),
        group_floor: plan.groups().map(|groups| groups.floor().into()),
        group_threshold: plan
            .groups()
            .map(|groups| groups.grouping().threshold().into()),
        sums,
        abandoned,
    }
}

fn parties(report: &Report, ledger_head: Option<Head>) -> Vec<PartyFacts> {
    let head = ledger_head.map(|head| LedgerHead {
        entries: head.count,
        hash: head.hash.to_string(),
    });
    let facts = report.parties.iter().map(|party| PartyFacts {
        name: party.name.clone(),
        sums_joined: party.sums_joined,
        sums_missed: party.sums_missed,
        epsilon_charged: party.epsilon_charged.and_then(finite),
        ledger_head: head.clone(),
    });
    facts.collect()
}

/// Hashes of what lies in the run's folder and belongs to the report.
fn files(folder: &Path, report: &Report) -> Result<Vec<FileHash>, NodeError> {
    let mut wanted = vec![
        ("job.toml".to_owned(), "the effective job".to_owned()),
        (
            format!("model/{}", crate::model_file::FILE),
            "the released model".to_owned(),
        ),
    ];
    wanted.extend(report.parties.iter().enumerate().map(|(index, party)| {
        (
            format!("state/parties/{index}/ledger.jsonl"),
            format!("what the ledger of {} holds for this job", party.name),
        )
    }));
    let mut all = Vec::new();
    for (file, what) in wanted {
        let path = folder.join(&file);
        if path.is_file() {
            let bytes = std::fs::read(&path).map_err(|error| NodeError::file(&path, &error))?;
            let sha256 = lepton_crypto::sha256(&bytes).to_string();
            all.push(FileHash { file, what, sha256 });
        }
    }
    Ok(all)
}

fn identities(seeded: bool) -> String {
    let mut text = "Simulated identities: the keys were drawn for this run and thrown away. A signature proves that the report was not changed since, \
                    not who made it."
        .to_owned();
    if seeded {
        text += " The keys came from the job's insecure_seed: whoever knows it can sign anything with them.";
    }
    text
}
