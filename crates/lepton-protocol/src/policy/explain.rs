//! What a job takes out of a party, in plain words: for the person who approves it.

use std::fmt::Write as _;

use crate::job::{Job, Unit};
use crate::plan::{FeatureKind, LabelKind, Plan};
use crate::privacy::{NoiseAt, PrivacyPlan};

/// What would leave the party if it accepted `job`: which sums over which columns, with how much noise, to whom, under which epsilon.
///
/// Made of the job and the plan alone; it holds nothing that comes from rows.
#[must_use]
pub fn explain(job: &Job, plan: &Plan) -> String {
    let mut text = String::new();
    for part in [
        purpose(job, plan),
        models(job),
        columns(plan),
        hidden(plan),
        sums(plan),
        promise(plan),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{part}\n");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn purpose(job: &Job, plan: &Plan) -> String {
    let why = job.job().description.as_ref();
    let why = why.map_or_else(String::new, |why| format!(" Its author says: {why}"));
    format!(
        "Job \"{}\": train a model together that predicts the column \"{}\", {} parties, at most {} rounds.{why}{}",
        job.name().as_str(),
        plan.label_name(),
        plan.parties(),
        plan.rounds(),
        late(job, plan),
    )
}

/// Who may come later (rules LJ-01 and LJ-04).
fn late(job: &Job, plan: &Plan) -> String {
    let Some(most) = job.training().late_join else {
        return String::new();
    };
    let several = match plan.privacy() {
        Some(_) => "",
        None => ", several at a time",
    };
    format!(
        " More parties of the federation may join while it runs, up to {most} in all{several}; the policy is asked again each time, and nobody who takes part is left out."
    )
}

/// Models beside the one that the job ends with: which one it begins from, and which are handed out under way.
fn models(job: &Job) -> String {
    let start = job.model().start.as_ref().map(|start| {
        format!("Training begins from parameters that the submitter chose ({start}), not from fresh ones, and reads number columns in their scale.")
    });
    let kept = job.training().checkpoints.map(|kept| {
        format!(
            "The model as it stands is kept at the coordinator after every {} rounds, the last {} of them, for whoever submitted the job.",
            kept.every, kept.most
        )
    });
    let lines: Vec<String> = start.into_iter().chain(kept).collect();
    lines.join("\n")
}

fn columns(plan: &Plan) -> String {
    let mut lines = vec!["Columns that are read here:".to_owned()];
    for feature in plan.features() {
        let what = match &feature.kind {
            FeatureKind::Number(Some((low, high))) => format!("numbers, cut to {low} to {high}"),
            FeatureKind::Number(None) => {
                "numbers; their range is found together, to a power of two".to_owned()
            }
            FeatureKind::Declared(values) => {
                format!("one of {} categories that the job lists", values.len())
            }
            FeatureKind::Discovered => found_together("categories"),
        };
        lines.push(format!("  {}: {what}", feature.name));
    }
    if let Some(person) = plan.person_column() {
        lines.push(format!(
            "  {person}: whose row it is; rows with the same value count as one person"
        ));
    }
    let label = match plan.label() {
        LabelKind::Declared(classes) => {
            format!("one of {} classes that the job lists", classes.len())
        }
        LabelKind::Discovered => found_together("classes"),
        LabelKind::Number(Some((low, high))) => format!("a number, cut to {low} to {high}"),
        LabelKind::Number(None) => "a number; its range is found together".to_owned(),
    };
    lines.push(format!("  {} (predicted): {label}", plan.label_name()));
    lines.push("No row, and no value of a row, is sent.".to_owned());
    lines.join("\n")
}

fn found_together(what: &str) -> String {
    format!("{what}; their names stay here, only how often each hashed name occurs is summed")
}

fn hidden(plan: &Plan) -> String {
    let sums = plan.parameters();
    let whom = match sums.colluders() {
        0 => "the coordinator".to_owned(),
        1 => "the coordinator together with one other party".to_owned(),
        many => format!("the coordinator together with {many} other parties"),
    };
    let scope = plan.groups().map_or_else(
        || format!("the sum over all parties that are there, {} of them at least", sums.survivor_floor()),
        |groups| {
            format!(
                "the sum over all parties that are there, and in training one sum for each of {} groups of parties, {} of them at least in each",
                groups.count(),
                groups.floor()
            )
        },
    );
    format!(
        "Every vector that leaves is masked. Against {whom} nothing of it shows but {scope}. A mask is opened with {} shares, after {} parties signed the same list.",
        sums.threshold(),
        sums.quorum(),
    )
}

/// One line for each kind of sum: what it holds, how often, with how much noise.
fn sums(plan: &Plan) -> String {
    let (job, goal) = (plan.job(), plan.privacy());
    let every = job.evaluation().every.get();
    let evaluations = (plan.rounds() - 1) / every;
    let mut lines = vec!["Sums that your rows enter:".to_owned()];
    if plan.needs_survey() {
        let what = "how many rows hold each hashed name, and how large numbers without a declared range are";
        lines.push(line(
            "survey",
            what,
            "once",
            goal.map(|goal| whole(plan.unit(), goal.prepare.get())),
        ));
    }
    let what = "how many rows there are, how many of each class, and for every number column the mean and the spread";
    lines.push(line(
        "statistics",
        what,
        "once",
        goal.map(|goal| whole(plan.unit(), goal.prepare.get())),
    ));
    lines.push(training(plan));
    if evaluations > 0 {
        let often = format!("{evaluations} times");
        let noise = goal.map(|goal| whole(plan.unit(), goal.evaluation.get()));
        lines.push(line("evaluation", MEASURED, &often, noise));
    }
    let noise = goal.map(|goal| whole(plan.unit(), goal.last_evaluation.get()));
    lines.push(line("last evaluation", MEASURED, "once", noise));
    if plan.is_custom() {
        let words = "The model is custom: the program that this party was started with trains on its rows and predicts. What is said of single records or persons here holds as far as that program answers for one record at a time.";
        lines.push(words.to_owned());
    }
    lines.push(
        "A sum that is lost half-way is tried again, with fresh noise, and counts again."
            .to_owned(),
    );
    lines.join("\n")
}

const MEASURED: &str = "how well the model does on the rows kept for evaluation";

fn training(plan: &Plan) -> String {
    let often = format!("up to {} times", plan.rounds());
    match plan.privacy() {
        None => line(
            "training",
            "how your rows change every number of the model, weighted by how many they are",
            &often,
            None,
        ),
        Some(goal) => {
            let what = contribution(plan, goal);
            let noise = match goal.goal.noise {
                NoiseAt::Distributed => whole(plan.unit(), goal.training.get()),
                NoiseAt::Local => format!(
                    "Gaussian noise of {:.2} times what one {} can change, added here in full in each of {} steps a round",
                    goal.training.get(),
                    plan.unit(),
                    plan.local_steps()
                ),
            };
            line("training", &what, &often, Some(noise))
        }
    }
}

/// What a training vector holds under the job's unit, and what it is cut to.
fn contribution(plan: &Plan, goal: &PrivacyPlan) -> String {
    let privacy = plan.job().privacy();
    let norm = privacy.map_or(0.0, |privacy| privacy.clip.first());
    let cut = match plan.clip_quantile() {
        None => format!("cut to norm {norm}"),
        Some(_) => format!(
            "cut to a norm that begins at {norm} and then follows a noised count of what was cut"
        ),
    };
    let part = percent(goal.goal.sampling_rate.get());
    match plan.unit() {
        Unit::Record => format!("the gradients of a random {part} of your rows, each {cut}"),
        Unit::Person => format!(
            "for a random {part} of the persons in your rows, the mean gradient of each one's rows, {cut}"
        ),
        Unit::Party => format!(
            "how training on your rows changes the model, {cut} as a whole; all parties count the same"
        ),
    }
}

fn line(kind: &str, what: &str, often: &str, noise: Option<String>) -> String {
    let noise = noise.unwrap_or_else(|| "no noise: the sum is exact".to_owned());
    format!("  {kind}, {often}: {what}; {noise}")
}

/// Noise of a sum in units of what one record (or person, or party) can change, as the strongest coalition that is defended against sees it.
fn whole(unit: Unit, multiplier: f64) -> String {
    format!(
        "Gaussian noise of {multiplier:.2} times what one {unit} can change, shared among the parties"
    )
}

fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

fn promise(plan: &Plan) -> String {
    let Some(PrivacyPlan { goal, .. }) = plan.privacy() else {
        return "No privacy goal: the sums and the model are exact. Whoever sees them may learn whether a known record was among the rows, and sometimes more. \
            The model and the sums go to the coordinator, to every party and to whoever submitted the job."
            .to_owned();
    };
    format!(
        "Privacy goal: for any one {}, the sums of the whole job are (epsilon {}, delta {:e}) differentially private, against the coordinator with those it may collude with. \
         The noised sums and the model go to the coordinator, to every party and to whoever submitted the job.",
        goal.unit,
        goal.epsilon.get(),
        goal.delta.get(),
    )
}
