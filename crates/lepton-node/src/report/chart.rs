//! Line charts as inline SVG. Colours are the page's CSS variables, so that dark mode and print follow.

use maud::{Markup, html};

use super::format::{fixed, significant};

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 236.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 42.0;

/// One line through points in data units.
pub(super) struct Series {
    pub(super) name: String,
    /// Index of the page's palette.
    pub(super) colour: usize,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether the area below is tinted.
    pub(super) area: bool,
}

/// A dashed horizontal line to compare with.
pub(super) struct Level {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) value: f64,
    /// The value as the legend shows it.
    pub(super) text: String,
}

/// Everything one chart shows.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x_label: &'static str,
    /// Values that the axes must include; `None` leaves it to the data.
    pub(super) x_range: Option<(f64, f64)>,
    pub(super) y_range: Option<(f64, f64)>,
    /// No tick lies above it.
    pub(super) y_most: f64,
    /// Whether x are whole numbers.
    pub(super) whole_x: bool,
    pub(super) series: Series,
    pub(super) levels: Vec<Level>,
    /// Dots drawn at their own radius (pixels), in the order of the points; empty for small equal ones.
    pub(super) radii: Vec<f64>,
    /// Whether y = x is drawn.
    pub(super) diagonal: Option<&'static str>,
}

/// An axis: data range, ticks, and where it lies in the picture.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
    digits: usize,
}

impl Axis {
    /// An axis over all `values`, ending on ticks.
    fn over(values: impl Iterator<Item = f64>, whole: bool, most: f64) -> Option<Self> {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            return None;
        }
        let spread = (high - low).max(high.abs() * 1e-3).max(1e-6);
        let step = nice_step(spread / 5.0, whole);
        let bottom = (low / step + 1e-9).floor() * step;
        let top = ((high / step - 1e-9).ceil() * step)
            .max(bottom + step)
            .min(most.max(high));
        let mut ticks = Vec::new();
        let mut tick = bottom;
        while tick <= top + step * 1e-6 && ticks.len() < 12 {
            ticks.push(tick);
            tick += step;
        }
        let digits = (0..8)
            .find(|digits| is_whole(step * power(*digits)))
            .unwrap_or(8);
        Some(Self {
            low: bottom,
            high: top,
            from: 0.0,
            to: 1.0,
            ticks,
            digits,
        })
    }

    fn placed(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }

    fn label(&self, tick: f64) -> String {
        fixed(Some(tick), self.digits)
    }
}

/// The chart as a figure with its legend, or a sentence where there is nothing to draw.
pub(super) fn figure(chart: &Chart) -> Markup {
    let points: Vec<(f64, f64)> = chart
        .series
        .points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    html! {
        figure {
            h3 { (chart.title) }
            @match axes(chart, &points) {
                Some((x, y)) => {
                    (picture(chart, &points, &x, &y))
                    (legend(chart))
                },
                None => p .muted { "Not measured in this run." },
            }
        }
    }
}

fn axes(chart: &Chart, points: &[(f64, f64)]) -> Option<(Axis, Axis)> {
    if points.is_empty() {
        return None;
    }
    let wanted = |range: Option<(f64, f64)>| range.into_iter().flat_map(|(low, high)| [low, high]);
    let levels = chart.levels.iter().map(|level| level.value);
    let y_values = points
        .iter()
        .map(|point| point.1)
        .chain(levels)
        .chain(wanted(chart.y_range));
    let y = Axis::over(y_values, false, chart.y_most)?;
    let x_values = points
        .iter()
        .map(|point| point.0)
        .chain(wanted(chart.x_range));
    let most = x_values.clone().fold(f64::NEG_INFINITY, f64::max);
    let x = Axis::over(x_values, chart.whole_x, most)?;
    let widest = y
        .ticks
        .iter()
        .map(|tick| y.label(*tick).chars().count())
        .max()
        .unwrap_or(1);
    #[expect(clippy::cast_precision_loss, reason = "a few characters")]
    let left = 14.0 + 6.8 * widest as f64;
    Some((
        x.placed(left, WIDTH - RIGHT),
        y.placed(HEIGHT - BOTTOM, TOP),
    ))
}

fn picture(chart: &Chart, points: &[(f64, f64)], x: &Axis, y: &Axis) -> Markup {
    let colour = &format!("c{}", chart.series.colour);
    let described = described(chart, points);
    html! {
        svg .chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(described) {
            title { (described) }
            (grid(chart, x, y))
            @if chart.diagonal.is_some() {
                (segment("diagonal", (x.at(x.low), y.at(y.low)), (x.at(x.high), y.at(y.high))))
            }
            @for level in chart.levels.iter().filter(|level| level.value.is_finite()) {
                (segment(&format!("level c{}", level.colour), (x.from, y.at(level.value)), (x.to, y.at(level.value))))
            }
            @if chart.series.area {
                polygon class=(format!("area {colour}")) points=(area(points, x, y)) {}
            }
            @if points.len() > 1 {
                polyline class=(format!("line {colour}")) points=(path(points, x, y)) {}
            }
            @for (at, (px, py)) in points.iter().enumerate() {
                circle class=(format!("dot {colour}")) cx=(pixel(x.at(*px))) cy=(pixel(y.at(*py))) r=(pixel(radius(chart, at, points.len()))) {
                    title { (chart.x_label) " " (significant(Some(*px))) ": " (significant(Some(*py))) }
                }
            }
        }
    }
}

fn grid(chart: &Chart, x: &Axis, y: &Axis) -> Markup {
    html! {
        @for tick in &y.ticks {
            (segment("grid", (x.from, y.at(*tick)), (x.to, y.at(*tick))))
            text .tick x=(pixel(x.from - 7.0)) y=(pixel(y.at(*tick) + 4.0)) text-anchor="end" { (y.label(*tick)) }
        }
        (segment("axis", (x.from, y.from), (x.to, y.from)))
        @for tick in &x.ticks {
            (segment("axis", (x.at(*tick), y.from), (x.at(*tick), y.from + 4.0)))
            text .tick x=(pixel(x.at(*tick))) y=(pixel(y.from + 17.0)) text-anchor="middle" { (x.label(*tick)) }
        }
        text .name x=(pixel(f64::midpoint(x.from, x.to))) y=(pixel(HEIGHT - 6.0)) text-anchor="middle" { (chart.x_label) }
    }
}

fn legend(chart: &Chart) -> Markup {
    html! {
        figcaption .legend {
            span { (swatch("line", chart.series.colour)) (chart.series.name) }
            @for level in chart.levels.iter().filter(|level| level.value.is_finite()) {
                span { (swatch("level", level.colour)) (level.name) " (" (level.text) ")" }
            }
            @if let Some(name) = chart.diagonal {
                span {
                    svg .swatch viewBox="0 0 22 10" aria-hidden="true" { line .diagonal x1="1" y1="5" x2="21" y2="5" {} }
                    (name)
                }
            }
        }
    }
}

fn swatch(kind: &str, colour: usize) -> Markup {
    html! {
        svg .swatch viewBox="0 0 22 10" aria-hidden="true" {
            line class=(format!("{kind} c{colour}")) x1="1" y1="5" x2="21" y2="5" {}
        }
    }
}

/// The chart in words, for those who cannot see it.
fn described(chart: &Chart, points: &[(f64, f64)]) -> String {
    let say = |point: Option<&(f64, f64)>| {
        point.map_or_else(String::new, |(x, y)| {
            format!(
                "{} at {} {}",
                significant(Some(*y)),
                chart.x_label,
                significant(Some(*x))
            )
        })
    };
    let mut text = format!(
        "{}: from {} to {}",
        chart.title,
        say(points.first()),
        say(points.last())
    );
    for level in chart.levels.iter().filter(|level| level.value.is_finite()) {
        text += &format!("; {} {}", level.name, level.text);
    }
    text + "."
}

fn radius(chart: &Chart, at: usize, points: usize) -> f64 {
    let equal = if points > 40 { 1.6 } else { 2.8 };
    chart
        .radii
        .get(at)
        .copied()
        .filter(|radius| radius.is_finite())
        .unwrap_or(equal)
}

fn segment(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(pixel(from.0)) y1=(pixel(from.1)) x2=(pixel(to.0)) y2=(pixel(to.1)) {} }
}

fn path(points: &[(f64, f64)], x: &Axis, y: &Axis) -> String {
    let pairs: Vec<String> = points
        .iter()
        .map(|(px, py)| format!("{},{}", pixel(x.at(*px)), pixel(y.at(*py))))
        .collect();
    pairs.join(" ")
}

fn area(points: &[(f64, f64)], x: &Axis, y: &Axis) -> String {
    let foot = |point: Option<&(f64, f64)>| {
        point.map_or_else(String::new, |(px, _)| {
            format!("{},{}", pixel(x.at(*px)), pixel(y.from))
        })
    };
    format!(
        "{} {} {}",
        foot(points.first()),
        path(points, x, y),
        foot(points.last())
    )
}

/// A coordinate with one decimal.
pub(super) fn pixel(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.1}")
    } else {
        "0".to_owned()
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `least`.
fn nice_step(least: f64, whole: bool) -> f64 {
    let magnitude = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0]
        .into_iter()
        .map(|unit| unit * magnitude)
        .find(|step| *step >= least * 0.999);
    let step = step.unwrap_or(10.0 * magnitude);
    if whole { step.max(1.0) } else { step }
}

fn power(digits: usize) -> f64 {
    (0..digits).fold(1.0, |power, _| power * 10.0)
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let axis = Axis::over([0.312, 0.688].into_iter(), false, f64::INFINITY).unwrap();
        let labels: Vec<String> = axis.ticks.iter().map(|tick| axis.label(*tick)).collect();
        assert_eq!(labels, ["0.3", "0.4", "0.5", "0.6", "0.7"]);
        let axis = Axis::over([0.0, 50.0].into_iter(), true, 50.0).unwrap();
        assert_eq!(axis.ticks, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(axis.high, 50.0);
        let axis = Axis::over([0.0, 2.0].into_iter(), true, 2.0).unwrap();
        assert_eq!(axis.ticks, [0.0, 1.0, 2.0]);
    }

    #[test]
    fn flat_and_empty_data_have_an_axis_or_none() {
        for value in [0.0, 1.0, -3.0, 1e9, 1e-9] {
            let axis = Axis::over([value, value].into_iter(), false, f64::INFINITY).unwrap();
            assert!(
                axis.low < axis.high && axis.at(value).is_finite() && axis.ticks.len() >= 2,
                "{value}: {:?}",
                axis.ticks
            );
        }
        assert!(Axis::over([f64::NAN].into_iter(), false, 1.0).is_none());
        assert!(Axis::over(std::iter::empty(), false, 1.0).is_none());
    }
}
