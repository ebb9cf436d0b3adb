//! `lepton account`.

mod events;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lepton_dp::Adjacency;
use lepton_dp::compose::{
    AccountError, Charge, Method, Noise, Plan, Tuned, group_delta, group_epsilon, smallest_factor,
};
use lepton_dp::pld::Pld;
use lepton_dp::rdp::Renyi;
use lepton_dp::{Delta, DpError, Epsilon};
use lepton_node::error::NodeError;
use lepton_node::tables::read_text;
use serde::Serialize;

use crate::output;

/// Flags of `lepton account`.
#[derive(Args)]
pub(crate) struct AccountArgs {
    /// What was released: {"adjacency": "add-remove" or "replace-one", "events": [{"mechanism": "gaussian", "sigma": 1.0, "poisson": 0.01, "count": 1000}]}
    events: PathBuf,
    /// How to account
    #[arg(long, value_enum, default_value_t = Accountant::Pld)]
    accountant: Accountant,
    /// Find the smallest epsilon at this delta
    #[arg(long, value_name = "D")]
    delta: Option<f64>,
    /// Find the smallest delta at this epsilon; with --calibrate, the goal
    #[arg(long, value_name = "E")]
    epsilon: Option<f64>,
    /// Find the smallest noise that meets --epsilon and --delta: one factor on the sigma or scale of every event
    #[arg(long, value_enum, requires_all = ["delta", "epsilon"])]
    calibrate: Option<Calibrate>,
    /// Account for groups of this many records, as those of one person
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(lepton_dp::compose::MAX_GROUP)), conflicts_with = "calibrate")]
    group_size: u32,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// The accountants.
#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Accountant {
    /// Rényi differential privacy: fast, a few per cent above the truth
    Rdp,
    /// Privacy loss distributions: nearly exact
    Pld,
}

/// What can be calibrated.
#[derive(Clone, Copy, ValueEnum)]
enum Calibrate {
    /// The noise
    Sigma,
}

/// What `--json` prints (docs/json.md).
#[derive(Serialize)]
struct Document {
    epsilon: f64,
    delta: f64,
    accountant: Accountant,
    order: Option<f64>,
    adjacency: &'static str,
    group_size: u32,
    calibration: Option<Calibration>,
    notes: Vec<&'static str>,
}

/// The least noise found.
#[derive(Serialize)]
struct Calibration {
    factor: f64,
    events: Vec<Calibrated>,
}

/// One event with the noise found, per unit of sensitivity as in the file.
#[derive(Serialize)]
struct Calibrated {
    mechanism: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sigma: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<f64>,
    /// Events of one trial, where `mechanism` is `tuning`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<Self>,
}

/// What is asked for.
enum Question {
    Epsilon(Delta),
    Delta(f64),
    Noise(Epsilon, Delta),
}

/// What to find of the releases in a document like the file of `lepton account`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// `pld` or `rdp`.
    pub accountant: &'a str,
    /// Find the smallest epsilon at this delta.
    pub delta: Option<f64>,
    /// Find the smallest delta at this epsilon; with `calibrate`, the goal.
    pub epsilon: Option<f64>,
    /// Find the least noise that meets both.
    pub calibrate: bool,
}

/// The document that `lepton account --json` prints (docs/json.md), for releases given as text.
///
/// # Errors
/// [`NodeError`] naming the event and the field; `Use` for an accountant that does not exist.
pub fn answer(events: &str, ask: Ask<'_>) -> Result<String, NodeError> {
    let accountant = Accountant::from_str(ask.accountant, false).map_err(|_| {
        NodeError::Use(format!(
            "accountant: {:?} is unknown; it is pld or rdp",
            ask.accountant
        ))
    })?;
    let args = AccountArgs {
        events: PathBuf::new(),
        accountant,
        delta: ask.delta,
        epsilon: ask.epsilon,
        calibrate: ask.calibrate.then_some(Calibrate::Sigma),
        group_size: 1,
        json: true,
    };
    let question = args.question()?;
    let events = events::read("events", events)?;
    let document = args.answer(&events, &question).map_err(failed)?;
    serde_json::to_string(&document).map_err(|error| NodeError::Internal(error.to_string()))
}

impl AccountArgs {
    /// Accounts and prints.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let question = self.question()?;
        let name = self.events.display().to_string();
        let events = events::read(&name, &read_text(&self.events)?)?;
        let document = self.answer(&events, &question).map_err(failed)?;
        if self.json {
            output::json(&document)
        } else {
            output::text(&words(&document))
        }
    }

    fn question(&self) -> Result<Question, NodeError> {
        let wrong = |flag: &str, error: DpError| NodeError::Use(format!("--{flag}: {error}"));
        let delta = |value| Delta::new(value).map_err(|error| wrong("delta", error));
        match (self.delta, self.epsilon, self.calibrate) {
            (Some(d), Some(e), Some(Calibrate::Sigma)) => {
                let epsilon = Epsilon::new(e).map_err(|error| wrong("epsilon", error))?;
                Ok(Question::Noise(epsilon, delta(d)?))
            }
            (Some(d), None, _) => Ok(Question::Epsilon(delta(d)?)),
            (None, Some(e), _) if e.is_finite() && e >= 0.0 => Ok(Question::Delta(e)),
            (None, Some(e), _) => Err(NodeError::Use(format!(
                "--epsilon: epsilon must be finite and at least 0, but is {e}; correct the value"
            ))),
            (Some(_), Some(_), None) => Err(NodeError::Use(
                "--delta asks for epsilon and --epsilon asks for delta; leave one out, or add `--calibrate sigma` to find the noise that meets both".to_owned(),
            )),
            (None, None, _) => Err(NodeError::Use(
                "nothing is asked for; add --delta to find epsilon, or --epsilon to find delta".to_owned(),
            )),
        }
    }

    fn answer(
        &self,
        events: &events::Events,
        question: &Question,
    ) -> Result<Document, AccountError> {
        let plan = &events.plan;
        match question {
            Question::Epsilon(delta) => {
                let (epsilon, order) = self.epsilon(plan, *delta)?;
                Ok(self.document(events, epsilon.get(), delta.get(), order))
            }
            Question::Delta(epsilon) => {
                let (delta, order) = self.delta(plan, *epsilon)?;
                Ok(self.document(events, *epsilon, delta.get(), order))
            }
            Question::Noise(goal, delta) => {
                let factor = smallest_factor(plan, self.method(), *goal, *delta)?;
                let (epsilon, order) = self.epsilon(&plan.scaled(factor)?, *delta)?;
                let mut document = self.document(events, epsilon.get(), delta.get(), order);
                document.calibration = Some(calibration(events, factor));
                Ok(document)
            }
        }
    }

    const fn method(&self) -> Method {
        match self.accountant {
            Accountant::Rdp => Method::Rdp,
            Accountant::Pld => Method::Pld,
        }
    }

    fn delta(&self, plan: &Plan, epsilon: f64) -> Result<(Delta, Option<f64>), AccountError> {
        match self.accountant {
            _ if self.group_size > 1 => {
                let found = group_delta(plan, self.method(), self.group_size, epsilon)?;
                Ok((found, None))
            }
            Accountant::Rdp => {
                let (delta, order) = Renyi::new(plan)?.delta(epsilon)?;
                Ok((delta, Some(order)))
            }
            Accountant::Pld => Ok((Pld::new(plan)?.delta(epsilon)?, None)),
        }
    }

    fn epsilon(&self, plan: &Plan, delta: Delta) -> Result<(Epsilon, Option<f64>), AccountError> {
        match self.accountant {
            _ if self.group_size > 1 => {
                let found = group_epsilon(plan, self.method(), self.group_size, delta)?;
                Ok((found, None))
            }
            Accountant::Rdp => {
                let (epsilon, order) = Renyi::new(plan)?.epsilon(delta)?;
                Ok((epsilon, Some(order)))
            }
            Accountant::Pld => Ok((Pld::new(plan)?.epsilon(delta)?, None)),
        }
    }

    fn document(
        &self,
        events: &events::Events,
        epsilon: f64,
        delta: f64,
        order: Option<f64>,
    ) -> Document {
        // The libraries say "nothing" by the smallest positive number.
        let plain = |value: f64| {
            if value <= f64::MIN_POSITIVE {
                0.0
            } else {
                value
            }
        };
        Document {
            epsilon: plain(epsilon),
            delta: plain(delta),
            accountant: self.accountant,
            order,
            adjacency: adjacency(events.plan.adjacency),
            group_size: self.group_size,
            calibration: None,
            notes: notes(&events.plan, self.accountant),
        }
    }
}

const fn adjacency(given: Adjacency) -> &'static str {
    match given {
        Adjacency::ReplaceOne => "replace-one",
        _ => "add-remove",
    }
}

/// What the answer rests on besides the file.
fn notes(plan: &Plan, accountant: Accountant) -> Vec<&'static str> {
    let tuned = plan.tuned.iter().flat_map(|tuned| &tuned.charges);
    let charges: Vec<&Charge> = plan.charges.iter().chain(tuned).collect();
    let any = |test: fn(&Charge) -> bool| charges.iter().any(|charge| test(charge));
    let mut notes = Vec::new();
    if !plan.tuned.is_empty() {
        notes.push("`tuning` holds where the number of trials is drawn from the stated law beforehand, scores have a total order, and of all trials only the best one is released");
    }
    if any(|charge| !charge.is_unsampled()) {
        notes.push("every event with `poisson` draws a fresh sample, each record independently; shuffled or fixed-size batches are something else");
    }
    if any(|charge| {
        matches!(
            charge.noise(),
            Noise::Gaussian { .. } | Noise::Laplace { .. }
        )
    }) {
        notes.push("`gaussian` and `laplace` are continuous noise; noise added in floating point does not have that law");
    }
    if matches!(accountant, Accountant::Pld)
        && any(|charge| matches!(charge.noise(), Noise::DiscreteGaussian { .. }))
    {
        notes.push("`discrete-gaussian` with pld is for noise on one integer; for vectors use the accountant rdp");
    }
    let replaced_sample = |charge: &Charge| {
        !charge.is_unsampled() && matches!(charge.noise(), Noise::Gaussian { .. })
    };
    if plan.adjacency == Adjacency::ReplaceOne && any(replaced_sample) {
        notes.push("sampled `gaussian` under replace-one is proved for noise on one number; for vectors the worst pair is assumed to be two opposite records");
    }
    notes
}

/// The noise found, in the units of the file.
fn calibration(events: &events::Events, factor: f64) -> Calibration {
    let one = |(charge, sensitivity): (&Charge, &f64)| {
        let (sigma, scale) = match charge.noise().scaled(factor) {
            Noise::Gaussian { sigma } => (Some(sigma * sensitivity), None),
            Noise::DiscreteGaussian { sigma, .. } => (Some(sigma), None),
            Noise::Laplace { scale } => (None, Some(scale * sensitivity)),
            Noise::DiscreteLaplace { scale, .. } => (None, Some(scale)),
            _ => (None, None),
        };
        Calibrated {
            mechanism: charge.noise().name(),
            sigma,
            scale,
            events: Vec::new(),
        }
    };
    let all = |charges: &[Charge], sensitivities: &[f64]| -> Vec<Calibrated> {
        charges.iter().zip(sensitivities).map(one).collect()
    };
    let tuning = |(tuned, sensitivities): (&Tuned, &Vec<f64>)| Calibrated {
        mechanism: "tuning",
        sigma: None,
        scale: None,
        events: all(&tuned.charges, sensitivities),
    };
    let mut found = all(&events.plan.charges, &events.sensitivities);
    found.extend(events.plan.tuned.iter().zip(&events.tuned).map(tuning));
    Calibration {
        factor,
        events: found,
    }
}

fn failed(error: AccountError) -> NodeError {
    match error {
        AccountError::NotCovered { .. } => NodeError::Use(error.to_string()),
        other => NodeError::Data(other.to_string()),
    }
}

fn calibrated(event: &Calibrated) -> String {
    let value = match (event.sigma, event.scale) {
        (Some(sigma), _) => format!("sigma {sigma}"),
        (_, Some(scale)) => format!("scale {scale}"),
        _ if event.events.is_empty() => "unchanged".to_owned(),
        _ => "one trial:".to_owned(),
    };
    format!("{} {value}", event.mechanism)
}

/// The answer for people.
fn words(document: &Document) -> String {
    let order = document
        .order
        .map_or_else(String::new, |order| format!(", order {order}"));
    let name = match document.accountant {
        Accountant::Rdp => "rdp",
        Accountant::Pld => "pld",
    };
    // Digits are rounded up by adding one in the last place shown where the rest is not zero.
    let epsilon = Epsilon::new(document.epsilon)
        .map_or_else(|_| "0".to_owned(), |epsilon| format!("{epsilon:.6}"));
    let group = match document.group_size {
        1 => String::new(),
        size => format!(", groups of {size}"),
    };
    let mut text = format!(
        "epsilon {epsilon} at delta {:e} ({name}{order}, {}{group})\n",
        document.delta, document.adjacency
    );
    if let Some(found) = &document.calibration {
        text.push_str(&format!(
            "smallest noise: {} times that of the file\n",
            found.factor
        ));
        for (event, number) in found.events.iter().zip(1..) {
            text.push_str(&format!("  event {number}: {}\n", calibrated(event)));
            for one in &event.events {
                text.push_str(&format!("    {}\n", calibrated(one)));
            }
        }
    }
    for note in &document.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}
