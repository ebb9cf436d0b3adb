//! The events file of `lepton account`: every problem names the event, the field and what to do.

use lepton_dp::Adjacency;
use lepton_dp::SamplingRate;
use lepton_dp::compose::{Charge, Noise, Plan, Tuned};
use lepton_dp::rdp::Trials;
use lepton_node::error::NodeError;
use serde_json::{Map, Value};

/// What the file says.
pub(super) struct Events {
    pub(super) plan: Plan,
    /// Sensitivity of each of the plan's charges as given, 1 where it was left out or is part of the mechanism.
    pub(super) sensitivities: Vec<f64>,
    /// The same for each tuning's charges.
    pub(super) tuned: Vec<Vec<f64>>,
}

type Object = Map<String, Value>;

const MECHANISMS: [&str; 5] = [
    "gaussian",
    "laplace",
    "discrete-gaussian",
    "discrete-laplace",
    "randomised-response",
];

/// Reads the file's text.
pub(super) fn read(name: &str, text: &str) -> Result<Events, NodeError> {
    let wrong = |what: String| NodeError::Use(format!("{name}: {what}"));
    let document: Value = serde_json::from_str(text).map_err(|error| {
        NodeError::Use(format!(
            "{name}:{}: this is not JSON ({error}); correct the file",
            error.line()
        ))
    })?;
    let top = document.as_object().ok_or_else(|| {
        wrong(
            "the file must hold one JSON object with the keys `adjacency` and `events`".to_owned(),
        )
    })?;
    keys(top, &["adjacency", "events"]).map_err(wrong)?;
    let adjacency = adjacency(top).map_err(wrong)?;
    let list = top
        .get("events")
        .and_then(Value::as_array)
        .ok_or_else(|| wrong("`events` must be a list of objects; add it".to_owned()))?;
    let mut events = Events {
        plan: Plan {
            adjacency,
            charges: Vec::new(),
            tuned: Vec::new(),
        },
        sensitivities: Vec::new(),
        tuned: Vec::new(),
    };
    for (value, number) in list.iter().zip(1..) {
        let added = match value.get("tuning") {
            Some(tuning) => add_tuning(&mut events, value, tuning),
            None => event(value).map(|(charge, sensitivity)| {
                events.plan.charges.push(charge);
                events.sensitivities.push(sensitivity);
            }),
        };
        added.map_err(|what| wrong(format!("event {number}: {what}")))?;
    }
    Ok(events)
}

const TRIALS: [&str; 4] = ["geometric", "logarithmic", "negative-binomial", "poisson"];

/// `{"tuning": {"trials": "geometric", "mean": 20, "events": [..]}}`: the events are those of one trial.
fn add_tuning(events: &mut Events, event_of: &Value, tuning: &Value) -> Result<(), String> {
    if let Some(event) = event_of.as_object() {
        keys(event, &["tuning"])?;
    }
    let tuning = tuning.as_object().ok_or(
        "`tuning` must be an object such as {\"trials\": \"geometric\", \"mean\": 20, \"events\": [..]}",
    )?;
    let trials = trials(tuning)?;
    let list = tuning.get("events").and_then(Value::as_array);
    let list = list.ok_or("`events` of a tuning must be a list of objects; add it")?;
    let (mut charges, mut sensitivities) = (Vec::new(), Vec::new());
    for (value, number) in list.iter().zip(1..) {
        if value.get("tuning").is_some() {
            return Err(format!(
                "its event {number}: a tuning inside of a tuning is not covered; list its events"
            ));
        }
        let (charge, sensitivity) =
            event(value).map_err(|what| format!("its event {number}: {what}"))?;
        charges.push(charge);
        sensitivities.push(sensitivity);
    }
    events.plan.tuned.push(Tuned { trials, charges });
    events.tuned.push(sensitivities);
    Ok(())
}

fn trials(tuning: &Object) -> Result<Trials, String> {
    let law = tuning.get("trials").and_then(Value::as_str);
    let law =
        law.ok_or_else(|| format!("`trials` is missing; it is one of {}", TRIALS.join(", ")))?;
    let own: &[&str] = match law {
        "negative-binomial" => &["trials", "mean", "events", "shape"],
        _ => &["trials", "mean", "events"],
    };
    keys(tuning, own)?;
    let mean = required(tuning, "mean")?;
    let found = match law {
        "geometric" => Trials::geometric(mean),
        "logarithmic" => Trials::logarithmic(mean),
        "negative-binomial" => Trials::negative_binomial(required(tuning, "shape")?, mean),
        "poisson" => Trials::poisson(mean),
        other => {
            return Err(format!(
                "`trials`: {other:?} is unknown; did you mean {:?}? Known are {}",
                nearest(other, &TRIALS),
                TRIALS.join(", ")
            ));
        }
    };
    found.map_err(|error| error.to_string())
}

fn adjacency(top: &Object) -> Result<Adjacency, String> {
    match top.get("adjacency").map(Value::as_str) {
        None | Some(Some("add-remove")) => Ok(Adjacency::AddRemove),
        Some(Some("replace-one")) => Ok(Adjacency::ReplaceOne),
        Some(other) => Err(format!(
            "`adjacency` must be \"add-remove\" or \"replace-one\"{}; correct the value",
            other.map_or_else(String::new, |word| format!(", but is {word:?}"))
        )),
    }
}

fn event(value: &Value) -> Result<(Charge, f64), String> {
    let event = value.as_object().ok_or(
        "an event must be an object such as {\"mechanism\": \"gaussian\", \"sigma\": 1.0}",
    )?;
    let mechanism = match event.get("mechanism") {
        None => {
            return Err(format!(
                "`mechanism` is missing; it is one of {}",
                MECHANISMS.join(", ")
            ));
        }
        Some(value) => value.as_str().ok_or("`mechanism` must be a text")?,
    };
    let (noise, sensitivity) = noise(mechanism, event)?;
    let rate = match optional(event, "poisson")? {
        None => SamplingRate::ALL,
        Some(rate) => SamplingRate::new(rate).map_err(|error| format!("`poisson`: {error}"))?,
    };
    let count = whole(event, "count", 1, Charge::MAX_COUNT)?.unwrap_or(1);
    let charge = Charge::new(noise, rate, count).map_err(|error| error.to_string())?;
    Ok((charge, sensitivity))
}

/// The mechanism with its own fields, and the sensitivity that its noise is divided by.
fn noise(mechanism: &str, event: &Object) -> Result<(Noise, f64), String> {
    let common = ["mechanism", "poisson", "count"];
    let own: &[&str] = match mechanism {
        "gaussian" | "discrete-gaussian" => &["sigma", "sensitivity"],
        "laplace" | "discrete-laplace" => &["scale", "sensitivity"],
        "randomised-response" => &["probability", "categories"],
        other => {
            let nearest = nearest(other, &MECHANISMS);
            return Err(format!(
                "`mechanism`: {other:?} is unknown; did you mean {nearest:?}? Known are {}",
                MECHANISMS.join(", ")
            ));
        }
    };
    keys(event, &[&common, own].concat())?;
    let units = u64::from(lepton_dp::compose::MAX_SENSITIVITY);
    let integer = || Ok::<_, String>(whole(event, "sensitivity", 1, units)?.unwrap_or(1));
    let narrow =
        |value: u64| u32::try_from(value).map_err(|_| "`sensitivity` is too large".to_owned());
    Ok(match mechanism {
        "gaussian" => {
            let sensitivity = sensitivity(event)?;
            let sigma = positive(event, "sigma")? / sensitivity;
            (Noise::Gaussian { sigma }, sensitivity)
        }
        "laplace" => {
            let sensitivity = sensitivity(event)?;
            let scale = positive(event, "scale")? / sensitivity;
            (Noise::Laplace { scale }, sensitivity)
        }
        "discrete-gaussian" => {
            let (sigma, sensitivity) = (positive(event, "sigma")?, narrow(integer()?)?);
            (Noise::DiscreteGaussian { sigma, sensitivity }, 1.0)
        }
        "discrete-laplace" => {
            let (scale, sensitivity) = (positive(event, "scale")?, narrow(integer()?)?);
            (Noise::DiscreteLaplace { scale, sensitivity }, 1.0)
        }
        _ => {
            let probability = required(event, "probability")?;
            let categories = whole(event, "categories", 2, u64::from(u32::MAX))?.unwrap_or(2);
            let categories = narrow(categories)?;
            (
                Noise::RandomisedResponse {
                    probability,
                    categories,
                },
                1.0,
            )
        }
    })
}

fn sensitivity(event: &Object) -> Result<f64, String> {
    match optional(event, "sensitivity")? {
        None => Ok(1.0),
        Some(_) => positive(event, "sensitivity"),
    }
}

/// Refuses keys that are not in `known`, naming the nearest.
fn keys(object: &Object, known: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!(
            "the key `{key}` is unknown; did you mean `{}`? Known are {}",
            nearest(key, known),
            known.join(", ")
        )),
    }
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> &'a str {
    let score = |candidate: &str| {
        strsim::normalized_damerau_levenshtein(word, candidate)
            + strsim::jaro_winkler(word, candidate)
    };
    let best = known.iter().max_by(|a, b| score(a).total_cmp(&score(b)));
    best.copied().unwrap_or_default()
}

fn optional(event: &Object, key: &str) -> Result<Option<f64>, String> {
    let number = |value: &Value| {
        let found = value.as_f64();
        found.ok_or_else(|| format!("`{key}` must be a number, but is {value}; correct the value"))
    };
    event.get(key).map(number).transpose()
}

fn required(event: &Object, key: &str) -> Result<f64, String> {
    optional(event, key)?.ok_or_else(|| format!("`{key}` is missing; add it"))
}

fn positive(event: &Object, key: &str) -> Result<f64, String> {
    let value = required(event, key)?;
    if value > 0.0 {
        Ok(value)
    } else {
        Err(format!(
            "`{key}` must be greater than 0, but is {value}; correct the value"
        ))
    }
}

/// A whole number, also when written as 10.0 or 1e6.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and in range"
)]
fn whole(event: &Object, key: &str, least: u64, most: u64) -> Result<Option<u64>, String> {
    let Some(value) = optional(event, key)? else {
        return Ok(None);
    };
    if value.fract() == 0.0 && (least as f64..=most as f64).contains(&value) {
        Ok(Some(value as u64))
    } else {
        Err(format!(
            "`{key}` must be a whole number from {least} to {most}, but is {value}; correct the value"
        ))
    }
}
