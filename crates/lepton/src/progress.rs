//! Live progress: a bar with figures on a terminal, plain lines without one. Always on stderr.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lepton_protocol::progress::Progress;
use lepton_protocol::report::CurvePoint;
use tokio::sync::mpsc;

use crate::output;

/// Shows events until the run ends.
pub(crate) async fn show(mut events: mpsc::UnboundedReceiver<Progress>, quiet: bool) {
    let mut screen = Screen::new(quiet);
    while let Some(event) = events.recv().await {
        screen.on(&event);
    }
    screen.bar.finish_and_clear();
}

struct Screen {
    bar: ProgressBar,
    terminal: bool,
    quiet: bool,
    metric: String,
}

impl Screen {
    fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = ProgressBar::new(0);
        bar.set_draw_target(if terminal {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        });
        if let Ok(style) =
            ProgressStyle::with_template("round {pos}/{len} {wide_bar} {msg} · {eta} left")
        {
            bar.set_style(style);
        }
        Self {
            bar,
            terminal,
            quiet,
            metric: String::new(),
        }
    }

    fn on(&mut self, event: &Progress) {
        match event {
            Progress::Trained {
                round,
                rounds,
                epsilon,
            } => self.trained(*round, *rounds, *epsilon),
            Progress::Evaluated { point } => self.evaluated(point),
            Progress::Summed { .. } => {}
            other => self.line(&words(other, &[])),
        }
        if matches!(event, Progress::Prepared { .. }) {
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
    }

    fn trained(&mut self, round: u32, rounds: u32, epsilon: Option<f64>) {
        self.bar.set_length(u64::from(rounds));
        self.bar.set_position(u64::from(round));
        self.bar
            .set_message(format!("{}{}", self.metric, spent(epsilon)));
    }

    fn evaluated(&mut self, point: &CurvePoint) {
        self.metric = figures(point);
        if !self.terminal {
            self.line(&words(&Progress::Evaluated { point: *point }, &[]));
        }
    }

    fn line(&self, text: &str) {
        if self.quiet {
        } else if self.terminal {
            self.bar.println(text);
        } else {
            output::note(text);
        }
    }
}

/// One line for a person; parties by these names, or by number where there is none.
pub(crate) fn words(event: &Progress, parties: &[String]) -> String {
    let name = |index: &u16| {
        let name = parties.get(usize::from(*index)).cloned();
        name.unwrap_or_else(|| format!("party {index}"))
    };
    match event {
        Progress::Note { text } => text.clone(),
        Progress::Summed {
            kind,
            round,
            survivors,
        } => {
            let names: Vec<String> = survivors.iter().map(name).collect();
            let (kind, names) = (kind.words(), names.join(", "));
            format!("{kind} of round {round}: summed over {names}")
        }
        Progress::Prepared {
            inputs,
            classes,
            rows,
        } => {
            let task = if *classes > 0 {
                format!("{classes} classes")
            } else {
                "a number to predict".to_owned()
            };
            format!("prepared: {inputs} inputs, {task}, {rows:.0} training rows over all parties")
        }
        Progress::Trained {
            round,
            rounds,
            epsilon,
        } => {
            format!(
                "round {round} of {rounds} is in the model{}",
                spent(*epsilon)
            )
        }
        Progress::Evaluated { point } => {
            let (figures, spent) = (figures(point), spent(point.epsilon));
            format!("round {}: {figures}{spent}", point.round)
        }
        Progress::Declined { party, reason, .. } => format!("{} declined: {reason}", name(party)),
        Progress::Abandoned {
            kind,
            round,
            reason,
        } => format!("{} of round {round} abandoned: {reason}", kind.words()),
        Progress::StoppedEarly { round, best } => {
            format!("stopped early after round {round}; the model of round {best} is kept")
        }
    }
}

fn figures(point: &CurvePoint) -> String {
    let figures = [
        ("loss", point.loss),
        ("accuracy", point.accuracy),
        ("AUC", point.auc),
    ];
    let shown: Vec<String> = figures
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name} {value:.4}")))
        .collect();
    shown.join(" · ")
}

fn spent(epsilon: Option<f64>) -> String {
    epsilon.map_or_else(String::new, |epsilon| {
        format!(" · epsilon {}", upward(epsilon))
    })
}

/// Epsilon is always rounded up.
pub(crate) fn upward(epsilon: f64) -> String {
    lepton_dp::Epsilon::new(epsilon)
        .map_or_else(|_| "0".to_owned(), |epsilon| format!("{epsilon:.2}"))
}
