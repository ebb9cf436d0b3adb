//! Learning curves, importance, and the picture of single rows.

use lepton_protocol::report::{Baselines, CurvePoint, Importance, MetricsDoc, Report, Scatter};
use maud::{Markup, html};

use super::chart::{Chart, Level, Series, figure, pixel};
use super::format::{percent, significant};
use super::{SIMULATION_ONLY, badge, simulated};

/// Most columns and rows that are drawn.
const COLUMNS_SHOWN: usize = 25;
const DOTS_SHOWN: usize = 3000;

/// Colours of the page's palette and shapes of marks; together they tell 32 classes apart.
const COLOURS: usize = 8;
const SHAPES: usize = 4;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 310.0;
const EDGE: f64 = 26.0;

/// Metrics after each evaluated round.
pub(super) fn learning(report: &Report) -> Markup {
    let regression = report.metrics.rmse.is_some();
    let fraction = Some((1.0, 1.0));
    let loss = if regression {
        "Loss (standardised label)"
    } else {
        "Loss"
    };
    let loss = curve(
        report,
        loss,
        |point| point.loss,
        |metrics| metrics.loss,
        None,
    );
    let accuracy = curve(
        report,
        "Accuracy",
        |point| point.accuracy,
        |metrics| metrics.accuracy,
        fraction,
    );
    let auc = curve(
        report,
        "AUC",
        |point| point.auc,
        |metrics| metrics.auc,
        fraction,
    );
    let noised = if report.metrics.noised {
        " The curves carry the noise of each evaluation."
    } else {
        ""
    };
    html! {
        section #learning {
            h2 { "Learning curves" }
            p { "On the hold-out of all parties; round 0 is the model before training." (noised) }
            div .figures { (loss) @if !regression { (accuracy) (auc) } }
            @if report.baselines.is_some() { p .muted { "Dashed lines: " (SIMULATION_ONLY) "." } }
        }
    }
}

fn curve(
    report: &Report,
    title: &str,
    value: fn(&CurvePoint) -> Option<f64>,
    baseline: fn(&MetricsDoc) -> Option<f64>,
    most: Option<(f64, f64)>,
) -> Markup {
    let points = report
        .curve
        .iter()
        .filter_map(|point| Some((f64::from(point.round), value(point)?)))
        .collect();
    figure(&Chart {
        title: title.to_owned(),
        x_label: "round",
        x_range: Some((0.0, f64::from(report.rounds))),
        y_range: None,
        y_most: most.map_or(f64::INFINITY, |most| most.1),
        whole_x: true,
        series: Series {
            name: "trained together".to_owned(),
            colour: 0,
            points,
            area: false,
        },
        levels: report
            .baselines
            .as_ref()
            .map_or_else(Vec::new, |baselines| levels(baselines, baseline)),
        radii: Vec::new(),
        diagonal: None,
    })
}

fn levels(baselines: &Baselines, value: fn(&MetricsDoc) -> Option<f64>) -> Vec<Level> {
    let all = [
        ("pooled", &baselines.pooled, 2),
        ("best single party", &baselines.local_best, 1),
    ];
    all.into_iter()
        .filter_map(|(name, metrics, colour)| {
            let value = value(metrics)?;
            Some(Level {
                name: name.to_owned(),
                colour,
                value,
                text: significant(Some(value)),
            })
        })
        .collect()
}

/// What the model uses, as bars in a table.
pub(super) fn importance(report: &Report) -> Markup {
    let all: Vec<&Importance> = report
        .importance
        .iter()
        .filter(|one| one.loss_increase.is_finite())
        .collect();
    let shown = all.get(..all.len().min(COLUMNS_SHOWN)).unwrap_or_default();
    let most = shown
        .iter()
        .map(|one| one.loss_increase)
        .fold(0.0, f64::max);
    let least = shown
        .iter()
        .map(|one| one.loss_increase)
        .fold(0.0, f64::min);
    html! {
        @if !shown.is_empty() {
            section #importance {
                h2 { "What the model uses" @if simulated(report) { (badge(SIMULATION_ONLY)) } }
                p {
                    "Permutation importance: how much the loss grows when one column is shuffled. "
                    "It tells what this model relies on, not what causes the label; columns that say the same share their importance."
                }
                table .bars {
                    caption { "Increase of the loss" @if shown.len() < all.len() { ", the first " (shown.len()) " of " (all.len()) " columns" } }
                    thead { tr { th scope="col" { "Column" } th scope="col" { span .hidden { "Bar" } } th .number scope="col" { "Increase" } } }
                    tbody {
                        @for one in shown {
                            tr {
                                th scope="row" { (one.column) }
                                td .bar aria-hidden="true" { (bar(one.loss_increase, least, most)) }
                                td .number { (significant(Some(one.loss_increase))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn bar(value: f64, least: f64, most: f64) -> Markup {
    let width = most - least;
    let at = |value: f64| {
        if width > 0.0 {
            100.0 * (value - least) / width
        } else {
            0.0
        }
    };
    let (from, to) = (at(value.min(0.0)), at(value.max(0.0)));
    let class = if value < 0.0 { "c1" } else { "c0" };
    html! {
        svg viewBox="0 0 100 10" preserveAspectRatio="none" {
            rect class=(class) x=(pixel(from)) y="0" width=(pixel((to - from).max(0.3))) height="10" {}
        }
    }
}

/// One party's rows on two principal components.
pub(super) fn scatter(report: &Report) -> Markup {
    html! {
        @if let Some(scatter) = &report.scatter {
            section #scatter {
                h2 { "Rows of " (scatter.party) (badge("stays with that party")) }
                p {
                    "Each mark is one hold-out row of " strong { (scatter.party) } ", on the two directions in which its rows differ most. "
                    "The picture is made from single rows by the party that holds them; it stays with that party and is not part of what is released."
                    @if simulated(report) { " It is shown here because this was a simulation." }
                }
                (cloud(scatter, &report.model.classes))
            }
        }
    }
}

struct Dot {
    x: f64,
    y: f64,
    class: usize,
    wrong: bool,
}

fn cloud(scatter: &Scatter, names: &[String]) -> Markup {
    let dots = dots(scatter);
    let wrong = dots.iter().filter(|dot| dot.wrong).count();
    let classes = dots
        .iter()
        .map(|dot| dot.class + 1)
        .max()
        .unwrap_or(0)
        .max(names.len())
        .min(COLOURS * SHAPES);
    let label = format!(
        "{} rows of {} on two components; {wrong} of them classified wrongly.",
        dots.len(),
        scatter.party
    );
    let [first, second] = scatter.explained;
    html! {
        figure .cloud {
            @if dots.is_empty() { p .muted { "There are no rows to show." } } @else {
                svg .chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
                    title { (label) }
                    rect .frame x=(EDGE) y="4" width=(WIDTH - EDGE - 4.0) height=(HEIGHT - EDGE - 4.0) {}
                    @for dot in &dots { (mark(dot)) }
                    text .name x=(pixel(f64::midpoint(EDGE, WIDTH))) y=(pixel(HEIGHT - 7.0)) text-anchor="middle" { "first component (" (percent(first)) " of the variance)" }
                    text .name transform=(format!("translate(15 {}) rotate(-90)", pixel((HEIGHT - EDGE) / 2.0))) text-anchor="middle" { "second component (" (percent(second)) ")" }
                }
                figcaption .legend {
                    @for class in 0..classes {
                        span {
                            svg .key viewBox="0 0 12 12" aria-hidden="true" { (mark(&Dot { x: 6.0, y: 6.0, class, wrong: false })) }
                            (names.get(class).cloned().unwrap_or_else(|| format!("class {class}")))
                        }
                    }
                    span {
                        svg .key viewBox="0 0 12 12" aria-hidden="true" { circle .ring cx="6" cy="6" r="5" {} }
                        "classified wrongly (" (wrong) " of " (dots.len()) ")"
                    }
                }
            }
        }
    }
}

/// Marks in pixels; rows without finite coordinates are left out.
fn dots(scatter: &Scatter) -> Vec<Dot> {
    let places = scatter
        .x
        .iter()
        .zip(&scatter.y)
        .map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let classes = scatter.class.iter().zip(
        scatter
            .predicted
            .iter()
            .map(Some)
            .chain(std::iter::repeat(None)),
    );
    let rows: Vec<_> = places
        .zip(classes)
        .filter(|((x, y), _)| x.is_finite() && y.is_finite())
        .take(DOTS_SHOWN)
        .collect();
    let x = spread(rows.iter().map(|row| row.0.0));
    let y = spread(rows.iter().map(|row| row.0.1));
    let dot = |((px, py), (class, predicted)): ((f64, f64), (&u32, Option<&u32>))| Dot {
        x: EDGE + 10.0 + (px - x.0) / x.1 * (WIDTH - EDGE - 24.0),
        y: HEIGHT - EDGE - 10.0 - (py - y.0) / y.1 * (HEIGHT - EDGE - 24.0),
        class: usize::try_from(*class).unwrap_or(usize::MAX - 1),
        wrong: predicted.is_some_and(|predicted| predicted != class),
    };
    rows.into_iter().map(dot).collect()
}

/// Least value and extent.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    (low, if high > low { high - low } else { 1.0 })
}

fn mark(dot: &Dot) -> Markup {
    let class = &format!("mark c{}", dot.class % COLOURS);
    let (x, y) = (dot.x, dot.y);
    let corners = |offsets: &[(f64, f64)]| -> String {
        let all: Vec<String> = offsets
            .iter()
            .map(|(dx, dy)| format!("{},{}", pixel(x + dx), pixel(y + dy)))
            .collect();
        all.join(" ")
    };
    html! {
        @match (dot.class / COLOURS + dot.class) % SHAPES {
            0 => circle class=(class) cx=(pixel(x)) cy=(pixel(y)) r="2.8" {},
            1 => polygon class=(class) points=(corners(&[(0.0, -3.6), (3.4, 2.6), (-3.4, 2.6)])) {},
            2 => polygon class=(class) points=(corners(&[(-2.6, -2.6), (2.6, -2.6), (2.6, 2.6), (-2.6, 2.6)])) {},
            _ => polygon class=(class) points=(corners(&[(0.0, -3.8), (3.8, 0.0), (0.0, 3.8), (-3.8, 0.0)])) {},
        }
        @if dot.wrong { circle .ring cx=(pixel(x)) cy=(pixel(y)) r="5" {} }
    }
}
