//! The privacy statement: what was spent, against whom, and every assumption it rests on.

use lepton_dp::Accountant;
use lepton_protocol::exchange::Kind;
use lepton_protocol::job::Unit;
use lepton_protocol::ledger::{Charge, Side, accountant_of};
use lepton_protocol::plan::{Plan, PlanError};
use lepton_protocol::privacy::NoiseAt;
use lepton_protocol::report::{PrivacyDoc, ReleaseDoc};
use lepton_protocol::training::{Joined, Training};

use crate::error::NodeError;

/// Where a job ran, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Whether one process held all rows.
    pub(crate) simulated: bool,
    /// Whether the coordinator's store was set back under the job: it may not know of all that was charged (rule JC-14).
    pub(crate) restored: bool,
}

/// The statement of a finished job; all numbers absent without a goal.
pub(crate) fn document(
    plan: &Plan,
    training: &Training,
    setting: Setting,
) -> Result<PrivacyDoc, NodeError> {
    let Some(privacy) = plan.privacy() else {
        return Ok(without_goal(plan, training, setting));
    };
    let goal = privacy.goal;
    let exchange = plan.exchange(Kind::Training, training.public())?;
    let worst = |charges: &[Charge]| -> Result<(f64, u32), NodeError> {
        let sides = [Side::Training, Side::HoldOut]
            .map(|side| epsilon(charges, |charge| charge.side == side, plan));
        let [training, hold_out] = sides;
        let (training, hold_out) = (training?, hold_out?);
        Ok(if hold_out.0 > training.0 {
            hold_out
        } else {
            training
        })
    };
    let (seen, order) = worst(training.charges())?;
    let (public, _) = worst(training.public_charges())?;
    // Without all charges only the goal is known to hold.
    let stated = |known: f64| {
        if setting.restored {
            goal.epsilon.get()
        } else {
            known
        }
    };
    let steps = training
        .charges()
        .iter()
        .filter(|charge| charge.kind == Kind::Training.words())
        .map(|charge| charge.count);
    Ok(PrivacyDoc {
        epsilon: Some(stated(public)),
        delta: Some(goal.delta.get()),
        unit: Some(plan.unit().to_string()),
        accountant: Some("rdp".to_owned()),
        adjacency: Some("add-remove".to_owned()),
        goal_epsilon: Some(goal.epsilon.get()),
        epsilon_coordinator: Some(stated(seen)),
        order: Some(order),
        noise: Some(
            if goal.noise == NoiseAt::Distributed {
                "distributed"
            } else {
                "local"
            }
            .to_owned(),
        ),
        noise_multiplier: exchange
            .noise
            .as_ref()
            .map(|noise| noise.event.noise_multiplier().get()),
        sampling_rate: (plan.unit() != Unit::Party).then_some(goal.sampling_rate.get()),
        clip: Some(plan.clip(training.public())?.get()),
        steps: Some(steps.sum()),
        sigma_party: exchange.noise.as_ref().map(|noise| noise.sigma),
        releases: releases(plan, training.charges())?,
        assumptions: assumptions(plan, training, setting),
        not_protected: not_protected(plan, setting),
    })
}

/// What groups change about the sums of training rounds.
fn groups(plan: &Plan) -> Option<String> {
    let groups = plan.groups()?;
    let honest = plan.privacy().map_or_else(String::new, |privacy| {
        format!(
            ", and at least {} honest parties add their full noise share to each",
            privacy.training_shares.honest
        )
    });
    Some(format!(
        "Training rounds open {} sums, one for each group of parties, over at least {} parties each{honest}: the coordinator learns every group's sum.",
        groups.count(),
        groups.floor()
    ))
}

/// Over how many parties sums were made before others joined (rule LJ-09).
fn joined(training: &Training) -> Vec<String> {
    let step = |step: &Joined| {
        let honest = step.honest.map_or_else(String::new, |honest| {
            format!(
                ", with the noise of at least {honest} honest ones, which was the whole noise too"
            )
        });
        format!(
            "Until round {} there were {} parties, not {}: sums were over at least {} of them{honest}. Numbers of parties elsewhere in this report are those of the last roster.",
            step.round, step.before, step.after, step.floor
        )
    };
    let mut all: Vec<String> = training.joined().iter().map(step).collect();
    let spent = "What was spent is stated for parties that were there from the start; on records of one that joined later less was spent.";
    let under_goal = training.joined().iter().any(|step| step.honest.is_some());
    all.extend(under_goal.then(|| spent.to_owned()));
    all
}

fn without_goal(plan: &Plan, training: &Training, setting: Setting) -> PrivacyDoc {
    PrivacyDoc {
        epsilon: None,
        delta: None,
        unit: None,
        accountant: None,
        adjacency: None,
        goal_epsilon: None,
        epsilon_coordinator: None,
        order: None,
        noise: None,
        noise_multiplier: None,
        sampling_rate: None,
        clip: None,
        steps: None,
        sigma_party: None,
        releases: Vec::new(),
        assumptions: [
            vec![
                "Each sum was masked: the coordinator saw sums and no single party's numbers, as long as no more than the stated colluders pool what they know with it; sums over all parties were over at least the survivor floor of them.".to_owned(),
            ],
            groups(plan).into_iter().collect(),
            joined(training),
            common_assumptions(setting),
        ]
        .concat(),
        not_protected: [
            vec![
                "Sums were exact. The model, the metrics and differences between rounds can reveal single records; set a [privacy] goal to bound that.".to_owned(),
                "The model's file is a release: whoever has it has what it tells about single records.".to_owned(),
                "With few parties, a party can subtract its own part from a sum.".to_owned(),
            ],
            never_protected(setting),
        ]
        .concat(),
    }
}

/// What every statement rests on.
fn common_assumptions(setting: Setting) -> Vec<String> {
    let words = if setting.simulated {
        [
            "Parties know each other's enrolled identity keys; a simulation makes them up for the run.",
            "Nothing rests on clocks: a wrong one decides whom the coordinator waits for, not what is protected.",
        ]
    } else {
        [
            "Parties know each other's enrolled identity keys, by certificates of the federation's root.",
            "Certificates and the policies' times rest on each machine's clock; masks and noise do not.",
        ]
    };
    words.map(str::to_owned).to_vec()
}

/// What no protection of this program covers.
fn never_protected(setting: Setting) -> Vec<String> {
    let simulation = "In a simulation: anything, from whoever runs it. Rows, keys and noise of all parties are on that person's machine.";
    let always = "Names of the columns, the job's settings, that a party takes part, when it answers and how much it sends.";
    let simulation = setting.simulated.then_some(simulation);
    let all = std::iter::once(always).chain(simulation);
    all.map(str::to_owned).collect()
}

fn epsilon(
    charges: &[Charge],
    wanted: impl Fn(&Charge) -> bool,
    plan: &Plan,
) -> Result<(f64, u32), NodeError> {
    let Some(privacy) = plan.privacy() else {
        return Ok((0.0, 0));
    };
    let chosen: Vec<Charge> = charges
        .iter()
        .filter(|charge| wanted(charge))
        .cloned()
        .collect();
    if chosen.is_empty() {
        return Ok((0.0, 0));
    }
    let mut total = Accountant::new();
    for side in [Side::Training, Side::HoldOut] {
        total
            .compose(&accountant_of(&chosen, side)?)
            .map_err(PlanError::from)?;
    }
    let (epsilon, order) = total
        .epsilon(privacy.limit.delta)
        .map_err(PlanError::from)?;
    Ok((epsilon.round_up(6).get(), order))
}

fn releases(plan: &Plan, charges: &[Charge]) -> Result<Vec<ReleaseDoc>, NodeError> {
    let kinds: [(&str, &str, &[Kind]); 3] = [
        (
            "preparation",
            "training rows",
            &[Kind::Survey, Kind::Statistics],
        ),
        ("training", "training rows", &[Kind::Training]),
        (
            "evaluation",
            "hold-out rows",
            &[Kind::Evaluation, Kind::FinalEvaluation],
        ),
    ];
    kinds
        .into_iter()
        .map(|(kind, rows, members)| {
            let wanted =
                |charge: &Charge| members.iter().any(|member| member.words() == charge.kind);
            Ok(ReleaseDoc {
                kind: kind.to_owned(),
                rows: match plan.unit() {
                    Unit::Party => "all rows of a party".to_owned(),
                    Unit::Record | Unit::Person => rows.to_owned(),
                },
                count: charges
                    .iter()
                    .filter(|charge| wanted(charge))
                    .map(|charge| charge.count)
                    .sum(),
                epsilon: epsilon(charges, wanted, plan)?.0,
            })
        })
        .collect()
}

fn assumptions(plan: &Plan, training: &Training, setting: Setting) -> Vec<String> {
    let parameters = plan.parameters();
    let mut all = vec![
        format!(
            "At most {} of the {} parties pool what they know with the coordinator, and at least {} honest parties add their full noise share to every sum over all parties; parties enforce a survivor set of at least {}.",
            parameters.colluders(),
            parameters.parties(),
            plan.privacy().map_or(0, |privacy| privacy.shares.honest),
            parameters.survivor_floor()
        ),
        "The job file (columns, bounds, dictionaries, sampling rate, clip, rounds) was written without looking at the data; settings tuned on the same data cost privacy that is not counted here.".to_owned(),
        if plan.job().job().insecure_seed.is_some() {
            "Parties run this program unchanged; its randomness came from a number in the job file, so nothing here holds.".to_owned()
        } else {
            "Parties run this program unchanged; randomness comes from the operating system.".to_owned()
        },
    ];
    if plan.is_custom() && plan.samples() {
        all.push(format!(
            "The model is custom: at every party a program of its own gave the gradient and the predictions of one record at a time. A {} is protected as far as these answers depended on that record and on public numbers alone, which whoever ran the program vouches for (CM-05, CM-07).",
            plan.unit()
        ));
    }
    all.extend(unit_assumptions(plan.unit()).map(str::to_owned));
    all.extend(common_assumptions(setting));
    if plan
        .privacy()
        .is_some_and(|privacy| privacy.goal.noise == NoiseAt::Distributed)
    {
        all.push("The training noise is the sum of the parties' discrete Gaussian shares; what a sum of shares lacks against one discrete Gaussian is charged (Kairouz, Liu, Steinke 2021).".to_owned());
    }
    if plan.clip_quantile().is_some() {
        all.push("The clipping norm followed a noised count of uncut contributions, which was part of every round's sum and of its charge; the norm shown is the one that a further round would have used.".to_owned());
    }
    if setting.restored {
        all.push("The coordinator's store was set back under this job, so exchanges may have been charged of which it does not know. What is stated is the goal, which no party's reservation lets the job exceed; counts and parts of it are those still known.".to_owned());
    }
    all.extend(tables(plan));
    all.extend(groups(plan));
    all.extend(joined(training));
    if training.rounds_done() < plan.rounds() {
        all.push("Training ended before the planned rounds, at a moment that released numbers had a say in: what is guaranteed is the goal; the smaller figures account for what was charged.".to_owned());
    }
    all
}

/// What the unit means, and how the sides of the split compose.
fn unit_assumptions(unit: Unit) -> [&'static str; 2] {
    match unit {
        Unit::Record => [
            "One record is one row of one party; a person with several rows is protected less (roughly as many times epsilon).",
            "Training rows and hold-out rows are divided by a hash of the row itself, so that their losses do not add up.",
        ],
        Unit::Person => [
            "One unit is all rows of one party that share an id (data.person), and every person of a party counts the same. A person with rows at p parties is protected at each of them apart: together roughly p times epsilon.",
            "Persons are put on the training or the hold-out side by a hash of their id, so that their losses do not add up.",
        ],
        Unit::Party => [
            "One unit is a party's whole table: what is compared is the party with all its rows and with none. That it takes part is public either way, and every party counts the same.",
            "A party's training rows and hold-out rows are one unit: what both were charged is added up.",
        ],
    }
}

/// What fast noise takes of delta (FT-22).
fn tables(plan: &Plan) -> Option<String> {
    let share = plan.privacy()?.table_share()?;
    Some(format!(
        "Noise of standard deviation up to 2^20 comes from a sampler whose time does not depend on the values drawn and whose law is cut off beyond twelve standard deviations; what that adds to delta, at most {share:.1e} in this job, is part of the delta stated, and everything else is held to the rest."
    ))
}

fn not_protected(plan: &Plan, setting: Setting) -> Vec<String> {
    let (facts, own) = match plan.unit() {
        Unit::Record => (
            "Facts about groups: what is true of many records at once can be learnt, that is the purpose.",
            "A record against its own party, which holds it.",
        ),
        Unit::Person => (
            "Facts about groups: what is true of many persons at once can be learnt, that is the purpose.",
            "A person against a party that holds that person's rows.",
        ),
        Unit::Party => (
            "What is true of many parties at once: it can be learnt, that is the purpose.",
            "A party's rows against that party.",
        ),
    };
    let mut all = vec![
        facts.to_owned(),
        own.to_owned(),
        "Rows that appear at several parties or in several jobs: each job and each copy costs anew.".to_owned(),
    ];
    if setting.simulated {
        all.push("Everything in the run's report.html and report.json marked \"simulation only\": it is made from raw rows, for the person who ran the simulation.".to_owned());
    }
    all.extend(never_protected(setting));
    if !plan.discovered().is_empty() {
        all.push("The existence of common categories: a slot of the category hash that stands out of the noise becomes an input of the model.".to_owned());
    }
    all
}
