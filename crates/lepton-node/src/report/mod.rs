//! The two documents for people: a self-contained HTML page, and the Markdown model card that travels with the model.
//!
//! Both are written from the [`Report`] alone. The page may hold figures made from raw rows (marked *simulation only*);
//! the card never does, because it goes wherever the model goes.

mod card;
mod chart;
mod errors;
mod figures;
mod format;
mod officer;
mod parties;
mod privacy;
mod result;
mod verdict;

use lepton_protocol::report::Report;
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use card::model_card;

use crate::signed_report::PrivacyReport;

/// The page's only style sheet, put into the page.
const STYLE: &str = include_str!("style.css");

/// Mark of everything that is made from rows no single place holds in a real federation.
const SIMULATION_ONLY: &str = "simulation only, not private";

/// The report as one HTML page: no scripts, nothing loaded from elsewhere, every text of the report escaped.
///
/// Figures that the report has no numbers for are left out, numbers that are no numbers are shown as a dash, and every
/// epsilon and delta is rounded up. With the run's `privacy` report, its facts are there for a data-protection officer.
#[must_use]
pub fn render_html(report: &Report, privacy: Option<&PrivacyReport>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (report.name) " · Lepton report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (verdict::header(report, privacy.is_some()))
                main {
                    (result::section(report))
                    (figures::learning(report))
                    (privacy::section(report))
                    @if let Some(privacy) = privacy { (officer::section(privacy)) }
                    (errors::section(report))
                    (figures::importance(report))
                    (figures::scatter(report))
                    (parties::section(report))
                    (parties::protection(report))
                    (parties::cost(report))
                    (result::model_and_data(report))
                    (notes(report))
                }
                (footer(report))
            }
        }
    };
    page.into_string()
}

/// Whether one process played all parties, so that the page can hold what nobody knows in a real federation.
fn simulated(report: &Report) -> bool {
    report.baselines.is_some()
        || report
            .parties
            .iter()
            .any(|party| party.rows_train.is_some() || party.alone.is_some())
}

fn notes(report: &Report) -> Markup {
    html! {
        @if !report.notes.is_empty() {
            section #notes {
                h2 { "Notes" }
                ul { @for note in &report.notes { li { (note) } } }
            }
        }
    }
}

fn footer(report: &Report) -> Markup {
    html! {
        footer {
            p { "Written by Lepton " (report.lepton_version) " · format " (report.format) " · run " (report.run) " · started " (report.started) }
            p { "SHA-256 of the effective job file: " code .hash { (report.job_sha256) } }
        }
    }
}

/// A small mark behind a heading or a column name.
fn badge(text: &str) -> Markup {
    html! { " " span .badge { (text) } }
}

/// A table that scrolls by itself where the window is too narrow for it.
fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div .scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}
