//! Numbers as people read them. Privacy numbers are rounded up, never down.

/// Stands for a number that is absent or is no number.
pub(super) const NONE: &str = "–";

/// A whole number with commas: `5,282`. Noised counts are rounded to the nearest whole.
pub(super) fn count(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    grouped(&format!("{value:.0}"))
}

/// The same for an exact number.
pub(super) fn whole(value: u64) -> String {
    grouped(&value.to_string())
}

/// A fraction with `digits` decimals.
pub(super) fn fixed(value: Option<f64>, digits: usize) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => grouped(&format!("{value:.digits$}")),
        None => NONE.to_owned(),
    }
}

/// Four significant digits, for figures of unknown size.
pub(super) fn significant(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return NONE.to_owned();
    };
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        return minus(&format!("{value:.2e}"));
    }
    let digits = match size {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 || size == 0.0 => 3,
        _ => 4,
    };
    grouped(&format!("{value:.digits$}"))
}

/// A setting as it was written in the job file.
pub(super) fn setting(value: f64) -> String {
    if value.is_finite() {
        value.to_string()
    } else {
        NONE.to_owned()
    }
}

/// A share of one as a percentage.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{} %", minus(&format!("{:.1}", 100.0 * share)))
    } else {
        NONE.to_owned()
    }
}

/// Epsilon to two decimals, rounded up; small ones to two significant digits, rounded up.
pub(super) fn epsilon(value: Option<f64>) -> String {
    match value {
        None => NONE.to_owned(),
        Some(value) if value.is_nan() => NONE.to_owned(),
        Some(value) if value.is_infinite() => "unbounded".to_owned(),
        Some(value) if value > 0.0 && value < 0.01 => scientific_up(value),
        Some(value) => fixed_up(value, 2),
    }
}

/// Delta to two significant digits, rounded up: `1e-5`.
pub(super) fn delta(value: Option<f64>) -> String {
    value
        .filter(|value| value.is_finite())
        .map_or_else(|| NONE.to_owned(), scientific_up)
}

/// `value` with `digits` decimals, never below `value`.
pub(super) fn fixed_up(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{value:.digits$}");
    // Numbers printed one unit of the last digit higher where rounding went down.
    let down = text.parse::<f64>().is_ok_and(|shown| shown < value);
    let step = (0..digits).fold(1.0, |step, _| step / 10.0);
    grouped(&if down {
        format!("{:.digits$}", value + step)
    } else {
        text
    })
}

fn scientific_up(value: f64) -> String {
    let text = format!("{value:.1e}");
    let down = text.parse::<f64>().is_ok_and(|shown| shown < value);
    let text = match text.split_once('e').filter(|_| down) {
        Some((_, exponent)) => {
            let unit = format!("1e{exponent}").parse::<f64>().unwrap_or(0.0);
            format!("{:.1e}", value + unit / 10.0)
        }
        None => text,
    };
    text.replace(".0e", "e")
}

/// Seconds in the unit that suits them.
pub(super) fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return NONE.to_owned();
    }
    match value {
        value if value < 0.0995 => format!("{:.0} ms", value * 1000.0),
        value if value < 9.95 => format!("{value:.2} s"),
        value if value < 59.5 => format!("{value:.1} s"),
        value => {
            let all = value.round();
            let (hours, minutes, seconds) = (
                (all / 3600.0).floor(),
                (all % 3600.0 / 60.0).floor(),
                all % 60.0,
            );
            if hours > 0.0 {
                format!("{hours:.0} h {minutes:.0} min")
            } else {
                format!("{minutes:.0} min {seconds:.0} s")
            }
        }
    }
}

/// Bytes in decimal units.
pub(super) fn bytes(value: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut size = value as f64;
    if value < 1000 {
        return format!("{value} B");
    }
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if size < 999.5 {
            break;
        }
        size /= 1000.0;
        unit = next;
    }
    let digits = usize::from(size < 99.95);
    format!("{size:.digits$} {unit}")
}

/// Small numbers as words, for the beginning of a sentence.
pub(super) fn in_words(value: u64) -> String {
    const WORDS: [&str; 13] = [
        "No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten",
        "Eleven", "Twelve",
    ];
    usize::try_from(value)
        .ok()
        .and_then(|at| WORDS.get(at))
        .map_or_else(|| whole(value), |word| (*word).to_owned())
}

/// `one party`, `3 parties`.
pub(super) fn parties(value: u32) -> String {
    if value == 1 {
        "one party".to_owned()
    } else {
        format!("{value} parties")
    }
}

/// Commas into the digits before the point, a real minus sign, no minus zero.
fn grouped(text: &str) -> String {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text), |digits| ("−", digits));
    let (whole, rest) = digits
        .find('.')
        .map_or((digits, ""), |at| digits.split_at(at));
    let zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    let mut out = String::from(if zero { "" } else { sign });
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

fn minus(text: &str) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privacy_numbers_go_up() {
        let cases = [
            (3.0, "3.00"),
            (2.994, "3.00"),
            (3.000_001, "3.01"),
            (0.123, "0.13"),
            (0.001_23, "1.3e-3"),
            (0.0, "0.00"),
        ];
        for (value, text) in cases {
            assert_eq!(epsilon(Some(value)), text);
        }
        assert_eq!(epsilon(Some(12_345.0)), "12,345.00");
        assert_eq!(epsilon(Some(f64::INFINITY)), "unbounded");
        assert_eq!(epsilon(Some(f64::NAN)), NONE);
        let cases = [
            (1e-5, "1e-5"),
            (1.01e-5, "1.1e-5"),
            (9.96e-6, "1e-5"),
            (0.05, "5e-2"),
            (1.2e-7, "1.2e-7"),
        ];
        for (value, text) in cases {
            assert_eq!(delta(Some(value)), text);
        }
    }

    #[test]
    fn shown_privacy_numbers_are_never_smaller() {
        for step in 1..20_000_u32 {
            let value = f64::from(step) * 0.000_731;
            let shown: f64 = epsilon(Some(value)).parse().unwrap();
            assert!(
                shown >= value && shown <= value * 1.1 + 0.01,
                "{value} as {shown}"
            );
        }
    }

    #[test]
    fn counts_and_units() {
        assert_eq!(count(5281.7), "5,282");
        assert_eq!(count(-12_345.0), "−12,345");
        assert_eq!(count(-0.2), "0");
        assert_eq!(count(f64::NAN), NONE);
        assert_eq!(whole(1_234_567), "1,234,567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345), "12.3 kB");
        assert_eq!(bytes(999_900), "1.0 MB");
        assert_eq!(bytes(123_456_789), "123 MB");
        assert_eq!(seconds(0.042), "42 ms");
        assert_eq!(seconds(3.21), "3.21 s");
        assert_eq!(seconds(59.7), "1 min 0 s");
        assert_eq!(seconds(3725.0), "1 h 2 min");
        assert_eq!(significant(Some(12_345.678)), "12,346");
        assert_eq!(significant(Some(0.012_34)), "0.0123");
        assert_eq!(significant(Some(0.000_001_2)), "1.20e−6");
        assert_eq!(percent(0.1234), "12.3 %");
        assert_eq!(in_words(5), "Five");
        assert_eq!(in_words(40), "40");
    }
}
