//! The privacy statement in plain language: what, against whom, how much, and on which assumptions.

use lepton_protocol::report::{PrivacyDoc, Report};
use maud::{Markup, html};

use super::chart::{Chart, Level, Series, figure};
use super::format::{count, delta, epsilon, fixed_up, setting, significant, whole};
use super::scrolling;
use super::verdict::{Standing, coordinator_words, privacy_sentence, standing};

/// The section, with a goal or without.
pub(super) fn section(report: &Report) -> Markup {
    let privacy = &report.privacy;
    html! {
        section #privacy {
            h2 { "Privacy" }
            @match standing(report) {
                Standing::Protected => {},
                _ => p .danger { (privacy_sentence(report)) },
            }
            @if let Some(spent) = privacy.epsilon {
                (protected(report))
                (adversaries(report, spent))
                (epsilon_in_words(privacy, privacy.epsilon_coordinator.unwrap_or(spent).max(spent)))
                div .figures { (budget(report)) div { (releases(privacy)) } }
                (noise(privacy))
            } @else {
                p {
                    "Without a goal, Lepton hides each party's numbers from the coordinator and from the other parties, but the sums themselves are exact. "
                    "Whoever sees the model, the metrics or several rounds' sums may be able to tell whether a particular record was among the rows, "
                    "or what it says. Differential privacy bounds that; set a " code { "[privacy]" } " goal in the job file to use it."
                }
            }
            (sentences("Assumptions", "The statement holds only while all of these do.", &privacy.assumptions))
            (sentences("Not protected", "", &privacy.not_protected))
        }
    }
}

fn protected(report: &Report) -> Markup {
    let privacy = &report.privacy;
    let unit = privacy.unit.as_deref().unwrap_or("record");
    html! {
        dl .facts {
            dt { "What is protected" }
            dd {
                @if unit == "party" { "Everything that each single party's rows say, for training and evaluation alike. That it takes part is public." }
                @else { "Each single " (unit) ", whether it was used for training or kept for evaluation: that it is there, and everything it says." }
            }
            dt { "What is compared" }
            dd { (adjacency_words(privacy.adjacency.as_deref(), unit)) }
            dt { "What is covered" }
            dd { "Everything released: the model after every round, the statistics that prepare the columns, the metrics of the trained model, row counts and the decision to stop." }
        }
    }
}

fn adjacency_words(adjacency: Option<&str>, unit: &str) -> String {
    match adjacency {
        Some("add-remove") if unit == "party" => {
            "The same run with one party's rows there, and with the party taking part without any (adjacency: add-remove)."
                .to_owned()
        }
        Some("add-remove") => format!(
            "The same run with one {unit} there, and with it absent (adjacency: add-remove)."
        ),
        Some("replace-one") => format!(
            "The same run with one {unit}, and with another in its place (adjacency: replace-one)."
        ),
        Some(other) => format!("Adjacency: {other}."),
        None => "Adjacency was not stated.".to_owned(),
    }
}

fn adversaries(report: &Report, spent: f64) -> Markup {
    let privacy = &report.privacy;
    let public = (
        "The public: anyone who sees only what is released".to_owned(),
        Some(spent),
    );
    let mut seen = coordinator_words(report.protection.colluders);
    if let Some(first) = seen.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let coordinator = (
        format!("{seen}, which also see every sum"),
        privacy.epsilon_coordinator,
    );
    let mut rows = vec![public, coordinator];
    if privacy.goal_epsilon.is_some() {
        rows.push((
            "The job's goal, which neither may pass".to_owned(),
            privacy.goal_epsilon,
        ));
    }
    let table = html! {
        table {
            caption { "Against whom, and how strongly (delta " (delta(privacy.delta)) ")" }
            thead { tr { th scope="col" { "Against" } th .number scope="col" { "Epsilon at most" } th .number scope="col" { "Odds change at most" } } }
            tbody {
                @for (who, value) in rows {
                    tr { th scope="row" { (who) } td .number { (epsilon(value)) } td .number { (odds(value)) } }
                }
            }
        }
    };
    scrolling("Epsilon by adversary", &table)
}

/// e^epsilon, rounded up.
fn odds(value: Option<f64>) -> String {
    let Some(factor) = value.map(f64::exp).filter(|factor| !factor.is_nan()) else {
        return super::format::NONE.to_owned();
    };
    match factor {
        factor if factor.is_infinite() => "unbounded".to_owned(),
        factor if factor < 1e6 => {
            format!(
                "×\u{a0}{}",
                fixed_up(factor, if factor < 10.0 { 2 } else { 1 })
            )
        }
        factor => format!("×\u{a0}{}", significant(Some(factor * 1.01))),
    }
}

/// Epsilon as what it does to somebody's belief about one record.
fn epsilon_in_words(privacy: &PrivacyDoc, spent: f64) -> Markup {
    let unit = privacy.unit.as_deref().unwrap_or("record");
    let (among, several) = match unit {
        "party" => ("there with its rows, or without any", "parties"),
        "person" => ("there with all their rows", "persons"),
        _ => ("among the rows", "records"),
    };
    let after = |before: f64| {
        fixed_up(
            100.0 * before / (before + (1.0 - before) * (-spent).exp()),
            1,
        )
    };
    html! {
        div .explained {
            h3 { @if unit == "record" { "What epsilon means for one person's record" } @else { "What epsilon means for one " (unit) } }
            div { p {
                "Suppose somebody wants to know whether one particular " (unit) " was " (among) ". Whatever they knew before, everything released here "
                "changes their odds by at most a factor of e" sup { "epsilon" } ", up or down; "
                "for the larger epsilon above, " (epsilon(Some(spent))) ", that is " (odds(Some(spent))) ". "
                "Delta (" (delta(privacy.delta)) ") is the probability with which this bound may fail. "
                "Smaller is more private; both are rounded up."
            }
            table .narrow {
                caption { "How sure that the " (unit) " was there" }
                thead { tr { th scope="col" { "Before" } th .number scope="col" { "Afterwards, at most" } } }
                tbody {
                    @for (text, before) in [("1 %", 0.01), ("10 %", 0.1), ("50 %", 0.5)] {
                        tr { td { (text) } td .number { (after(before)) " %" } }
                    }
                }
            } }
            p .muted {
                "These are worst cases over all " (several) " and all prior knowledge."
                @if unit == "record" { " A person with several rows is protected less: with k rows, up to k times epsilon, at a larger delta." }
            }
        }
    }
}

fn budget(report: &Report) -> Markup {
    let points = report
        .curve
        .iter()
        .filter_map(|point| Some((f64::from(point.round), point.epsilon?)))
        .collect();
    let goal = report.privacy.goal_epsilon;
    figure(&Chart {
        title: (if report.privacy.unit.as_deref() == Some("party") {
            "Epsilon spent"
        } else {
            "Epsilon spent on training records"
        })
        .to_owned(),
        x_label: "round",
        x_range: Some((0.0, f64::from(report.rounds))),
        y_range: Some((0.0, goal.unwrap_or(0.0))),
        y_most: f64::INFINITY,
        whole_x: true,
        series: Series {
            name: "spent so far".to_owned(),
            colour: 0,
            points,
            area: true,
        },
        levels: goal
            .map(|value| Level {
                name: "goal".to_owned(),
                colour: 1,
                value,
                text: epsilon(Some(value)),
            })
            .into_iter()
            .collect(),
        radii: Vec::new(),
        diagonal: None,
    })
}

fn releases(privacy: &PrivacyDoc) -> Markup {
    let table = html! {
        table {
            caption { "Releases, each priced alone" }
            thead {
                tr {
                    th scope="col" { "Release" } th scope="col" { "Touches" }
                    th .number scope="col" { "Times" } th .number scope="col" { "Epsilon" }
                }
            }
            tbody {
                @for release in &privacy.releases {
                    tr {
                        th scope="row" { (release.kind) } td { (release.rows) }
                        td .number { (whole(release.count)) } td .number { (epsilon(Some(release.epsilon))) }
                    }
                }
            }
        }
    };
    html! {
        @if !privacy.releases.is_empty() {
            h3 { "What was charged" }
            (scrolling("Releases", &table))
            p .muted {
                "Against the coordinator with its colluders. Lines do not add up to the total: the accountant adds the losses of one side's releases more sharply "
                "than their epsilons, and training rows and hold-out rows are different records."
            }
        }
    }
}

fn noise(privacy: &PrivacyDoc) -> Markup {
    let rows = [
        (
            "Noise",
            privacy.noise.clone(),
            "distributed: every party adds a share and only the sum carries all of it; local: every party adds all of it",
        ),
        (
            "Noise multiplier",
            privacy
                .noise_multiplier
                .map(|value| significant(Some(value))),
            "standard deviation of a training step's noise over what one record (or other unit) can change",
        ),
        (
            "Sampling rate",
            privacy.sampling_rate.map(setting),
            "chance of each record to enter a step; public",
        ),
        (
            "Clipping norm",
            privacy.clip.map(setting),
            "length that every record's gradient, or other unit's contribution, is cut to",
        ),
        (
            "Training steps charged",
            privacy.steps.map(whole),
            "noised steps of training",
        ),
        (
            "Sigma of a party",
            privacy.sigma_party.map(whole),
            "standard deviation of each party's integer noise in a training round",
        ),
        (
            "Accountant",
            privacy.accountant.clone(),
            "rdp: Rényi differential privacy",
        ),
        (
            "Rényi order",
            privacy.order.map(|order| count(f64::from(order))),
            "the order that gave the epsilon",
        ),
    ];
    let table = html! {
        table {
            caption { "How the epsilon came about" }
            thead { tr { th scope="col" { "Number" } th .number scope="col" { "Value" } th scope="col" { "Meaning" } } }
            tbody {
                @for (name, value, meaning) in rows {
                    @if let Some(value) = value { tr { th scope="row" { (name) } td .number { (value) } td { (meaning) } } }
                }
            }
        }
    };
    scrolling("Parameters of the privacy accounting", &table)
}

fn sentences(title: &str, introduction: &str, sentences: &[String]) -> Markup {
    html! {
        @if !sentences.is_empty() {
            h3 { (title) }
            @if !introduction.is_empty() { p { (introduction) } }
            ul { @for sentence in sentences { li { (sentence) } } }
        }
    }
}
