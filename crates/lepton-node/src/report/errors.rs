//! Where the model errs: confusion matrix and calibration, or the errors of a regression.

use lepton_protocol::report::{CalibrationBin, MetricsDoc, Report};
use maud::{Markup, html};

use super::chart::{Chart, Series, figure};
use super::format::{count, fixed, percent, significant};
use super::scrolling;

/// Up to this many classes a cell shows its share too.
const SHARES_SHOWN: usize = 5;

/// The section that suits the task.
pub(super) fn section(report: &Report) -> Markup {
    let metrics = &report.metrics;
    let regression = metrics.rmse.is_some() || metrics.mae.is_some() || metrics.r2.is_some();
    html! {
        section #errors {
            h2 { "Where it errs" }
            @if regression { (regression_errors(report)) } @else {
                div .figures .two {
                    div {
                        h3 { "Confusion matrix" }
                        @if metrics.confusion.is_empty() { p .muted { "Not measured in this run." } }
                        @else {
                            p .muted { "Lines: true class. Columns: predicted class. Shade: share of the line." @if metrics.noised { " Counted with noise." } }
                            (scrolling("Confusion matrix", &confusion(metrics, &report.model.classes)))
                        }
                    }
                    (calibration(&metrics.calibration))
                }
            }
        }
    }
}

fn regression_errors(report: &Report) -> Markup {
    let metrics = &report.metrics;
    html! {
        p { "The label " strong { (report.data.label) } " is a number, so there are no classes to confuse." }
        dl .facts {
            dt { "Root mean squared error" } dd { (significant(metrics.rmse)) " in the label's units: large errors count more" }
            dt { "Mean absolute error" } dd { (significant(metrics.mae)) " in the label's units: how far off a prediction is on average" }
            dt { "R²" } dd { (fixed(metrics.r2, 3)) ": share of the label's variance that is explained; 0 is always answering the mean, 1 is perfect" }
        }
    }
}

fn confusion(metrics: &MetricsDoc, classes: &[String]) -> Markup {
    let name = |at: usize| {
        classes
            .get(at)
            .cloned()
            .unwrap_or_else(|| format!("class {at}"))
    };
    let width = metrics.confusion.iter().map(Vec::len).max().unwrap_or(0);
    html! {
        table .confusion .many[width > SHARES_SHOWN] {
            caption .hidden { "Rows by true and predicted class" }
            thead {
                tr { th scope="col" { "true ↓ predicted →" } @for at in 0..width { th .number scope="col" { (name(at)) } } }
            }
            tbody {
                @for (at, line) in metrics.confusion.iter().enumerate() {
                    tr { th scope="row" { (name(at)) } @for (column, rows) in line.iter().enumerate() { (cell(*rows, line, at == column)) } }
                }
            }
        }
    }
}

fn cell(rows: f64, line: &[f64], right: bool) -> Markup {
    let total: f64 = line
        .iter()
        .filter(|rows| rows.is_finite())
        .map(|rows| rows.max(0.0))
        .sum();
    let share = if total > 0.0 && rows.is_finite() {
        (rows.max(0.0) / total).min(1.0)
    } else {
        0.0
    };
    // At most two thirds of the colour: the text stays readable on every shade.
    let shade = format!("--share:{:.0}%", 65.0 * share);
    html! {
        td .number .right[right] style=(shade) title=(format!("{} of this line", percent(share))) {
            span { (count(rows)) }
            @if line.len() <= SHARES_SHOWN { small { (percent(share)) } }
        }
    }
}

fn calibration(bins: &[CalibrationBin]) -> Markup {
    let shown: Vec<&CalibrationBin> = bins
        .iter()
        .filter(|bin| bin.predicted.is_finite() && bin.observed.is_finite())
        .collect();
    let most = shown
        .iter()
        .map(|bin| bin.rows)
        .filter(|rows| rows.is_finite())
        .fold(0.0, f64::max);
    let radius = |rows: f64| {
        if most > 0.0 {
            2.0 + 5.0 * (rows.max(0.0) / most).sqrt()
        } else {
            2.8
        }
    };
    let chart = figure(&Chart {
        title: "Calibration".to_owned(),
        x_label: "predicted probability",
        x_range: Some((0.0, 1.0)),
        y_range: Some((0.0, 1.0)),
        y_most: 1.0,
        whole_x: false,
        series: Series {
            name: "observed frequency (larger dot: more rows)".to_owned(),
            colour: 0,
            points: shown
                .iter()
                .map(|bin| (bin.predicted, bin.observed))
                .collect(),
            area: false,
        },
        levels: Vec::new(),
        radii: shown.iter().map(|bin| radius(bin.rows)).collect(),
        diagonal: Some("perfect calibration"),
    });
    html! {
        div {
            (chart)
            @if !shown.is_empty() {
                p .muted { "Of the rows given a probability, how many really were of that class. Below the diagonal the predicted probabilities are too high." }
            }
        }
    }
}
