//! The run in one sentence, its privacy in another, and everything insecure in red.

use lepton_protocol::report::{MetricsDoc, Outcome, Report};
use maud::{Markup, html};

use super::format::{count, delta, epsilon, fixed, in_words, parties, significant, whole};
use super::simulated;

/// What a reader may conclude about privacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// A goal was set, kept, and nothing weakens it.
    Protected,
    /// No goal.
    Exact,
    /// There is an epsilon, and a reason not to rely on it.
    Void,
}

/// How the run stands.
pub(super) fn standing(report: &Report) -> Standing {
    let privacy = &report.privacy;
    match privacy.epsilon {
        None => Standing::Exact,
        Some(epsilon) => {
            let seen = privacy.epsilon_coordinator.unwrap_or(epsilon);
            let over = privacy
                .goal_epsilon
                .is_some_and(|goal| seen > goal || epsilon > goal);
            let nothing = !epsilon.is_finite() || !seen.is_finite();
            if over || nothing || !report.insecure.is_empty() {
                Standing::Void
            } else {
                Standing::Protected
            }
        }
    }
}

/// Top of the page; `officer` is whether the section of that name is there.
pub(super) fn header(report: &Report, officer: bool) -> Markup {
    let standing = standing(report);
    html! {
        header {
            p .kind { "Lepton report" @if simulated(report) { " · simulation" } }
            h1 { (report.name) }
            @if let Some(description) = &report.description { p .description { (description) } }
            p .verdict { (result_sentence(report)) }
            p .verdict .bad[standing != Standing::Protected] .good[standing == Standing::Protected] { (privacy_sentence(report)) }
            (insecure(report))
            (tiles(report))
            @if simulated(report) {
                p .muted {
                    "One process played all parties on one machine, so this page also shows figures made from raw rows. "
                    "They are marked " em { (super::SIMULATION_ONLY) } ", and no epsilon covers them: "
                    "keep this page as confidential as the rows. What is released is the model folder."
                }
            }
            (contents(report, officer))
        }
    }
}

/// What was trained and how well it does.
pub(super) fn result_sentence(report: &Report) -> String {
    let data = &report.data;
    let about = if data.noised { "about " } else { "" };
    let who = if simulated(report) { " simulated" } else { "" };
    let number = in_words(u64::from(report.protection.parties));
    let parties = if report.protection.parties == 1 {
        "party"
    } else {
        "parties"
    };
    let rows = if data.counts_rows() {
        format!("{about}{} rows", count(data.rows_train))
    } else {
        "their rows".to_owned()
    };
    let mut sentence = format!(
        "{number}{who} {parties} trained {} on {rows} without pooling them",
        model_words(&report.model.kind)
    );
    let figures = headline(&report.metrics);
    if !figures.is_empty() {
        let held_out = report
            .metrics
            .rows
            .filter(|_| data.counts_rows())
            .map_or_else(String::new, |rows| {
                format!(" on {about}{} held-out rows", count(rows))
            });
        sentence += &format!("; {}{held_out}", figures.join(", "));
    }
    sentence + "."
}

/// What is protected, or that nothing is.
pub(super) fn privacy_sentence(report: &Report) -> String {
    let privacy = &report.privacy;
    let (shown, delta) = (epsilon(privacy.epsilon), delta(privacy.delta));
    match standing(report) {
        Standing::Exact => "No privacy goal: exact sums were released. The model, the metrics and the differences between rounds \
                            may reveal single records."
            .to_owned(),
        Standing::Void if report.insecure.is_empty() => {
            format!(
                "The epsilon of {shown} does not keep the goal of {}: do not rely on it.",
                epsilon(privacy.goal_epsilon)
            )
        }
        Standing::Void => format!(
            "Epsilon {shown} (delta {delta}) was accounted for, but do not rely on it: this run was weaker than the default, as listed below."
        ),
        Standing::Protected => {
            let unit = privacy.unit.as_deref().unwrap_or("record");
            let seen = epsilon(privacy.epsilon_coordinator.or(privacy.epsilon));
            format!(
                "Every {unit} is protected with epsilon ≤ {shown}, delta {delta} against outsiders who see what is released, \
                 and with epsilon ≤ {seen} against {}.",
                coordinator_words(report.protection.colluders)
            )
        }
    }
}

/// Who the second epsilon is about.
pub(super) fn coordinator_words(colluders: u32) -> String {
    match colluders {
        0 => "the coordinator, and against any single party".to_owned(),
        colluders => format!("the coordinator together with up to {}", parties(colluders)),
    }
}

/// How the run ended.
pub(super) fn ending(report: &Report) -> String {
    let (done, planned) = (report.rounds, report.rounds_planned);
    match report.outcome {
        Outcome::Finished => format!("all {planned} planned rounds were trained"),
        Outcome::StoppedEarly => format!("stopped early after {done} of {planned} planned rounds"),
        Outcome::RoundsLost => {
            format!("{done} of {planned} planned rounds went into the model; the others were lost")
        }
    }
}

/// The model's kind with its article.
pub(super) fn model_words(kind: &str) -> String {
    match kind {
        "linear" | "logistic" => format!("a {kind} model"),
        "mlp" => "a neural network".to_owned(),
        kind => format!("a model ({kind})"),
    }
}

/// The one or two figures that stand for a model.
fn headline(metrics: &MetricsDoc) -> Vec<String> {
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    let mut figures = Vec::new();
    if let Some(accuracy) = finite(metrics.accuracy) {
        figures.push(format!("accuracy {}", fixed(Some(accuracy), 2)));
    }
    if let Some(auc) = finite(metrics.auc) {
        figures.push(format!("AUC {}", fixed(Some(auc), 2)));
    }
    if let Some(r2) = finite(metrics.r2) {
        figures.push(format!("R² {}", fixed(Some(r2), 2)));
    }
    if let Some(rmse) = finite(metrics.rmse) {
        figures.push(format!(
            "root mean squared error {}",
            significant(Some(rmse))
        ));
    }
    figures
}

fn insecure(report: &Report) -> Markup {
    html! {
        @if !report.insecure.is_empty() {
            div .danger role="note" aria-label="Weaker than the default" {
                h2 { "Insecure: weaker than the default" }
                ul { @for weakness in &report.insecure { li { (weakness) } } }
            }
        }
    }
}

fn tiles(report: &Report) -> Markup {
    let metrics = &report.metrics;
    let about = if report.data.noised { "about " } else { "" };
    let two = |value| fixed(value, 2);
    let mut tiles = Vec::new();
    if metrics.rmse.is_some() || metrics.r2.is_some() {
        tiles.push((two(metrics.r2), "R²".to_owned()));
        tiles.push((
            significant(metrics.rmse),
            "root mean squared error".to_owned(),
        ));
    } else {
        tiles.push((two(metrics.accuracy), "accuracy".to_owned()));
        tiles.push((two(metrics.auc), "AUC".to_owned()));
    }
    tiles.push(match report.privacy.epsilon {
        Some(value) => (epsilon(Some(value)), "epsilon, public".to_owned()),
        None => ("none".to_owned(), "privacy goal".to_owned()),
    });
    if report.data.counts_rows() {
        tiles.push((
            format!(
                "{}{}",
                if about.is_empty() { "" } else { "≈ " },
                count(report.data.rows_train)
            ),
            "training rows".to_owned(),
        ));
    }
    tiles.push((report.protection.parties.to_string(), "parties".to_owned()));
    tiles.push((
        whole(u64::from(report.rounds)),
        format!("of {} rounds", whole(u64::from(report.rounds_planned))),
    ));
    let bad = standing(report) != Standing::Protected;
    html! {
        dl .tiles {
            @for (value, name) in tiles {
                div .bad[bad && (name.starts_with("epsilon") || name == "privacy goal")] { dt { (name) } dd { (value) } }
            }
        }
    }
}

fn contents(report: &Report, officer: bool) -> Markup {
    let links = [
        ("result", "Result", true),
        ("learning", "Learning", true),
        ("privacy", "Privacy", true),
        ("officer", "Data protection", officer),
        ("errors", "Errors", true),
        ("importance", "Importance", !report.importance.is_empty()),
        ("scatter", "Rows", report.scatter.is_some()),
        ("parties", "Parties", true),
        ("protection", "Protection", true),
        ("cost", "Time and traffic", true),
        ("data", "Model and data", true),
        ("notes", "Notes", !report.notes.is_empty()),
    ];
    html! {
        nav aria-label="Sections" {
            @for (id, name, _) in links.iter().filter(|link| link.2) { a href=(format!("#{id}")) { (name) } }
        }
    }
}
