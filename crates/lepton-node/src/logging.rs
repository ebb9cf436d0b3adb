//! Structured logs on standard error, for people or as JSON.

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::error::NodeError;

/// Sends the program's logs to standard error from now on.
///
/// # Errors
/// [`NodeError::Internal`] when it was done before.
pub fn start(config: LogConfig) -> Result<(), NodeError> {
    let logs = subscriber(config, std::io::stderr);
    tracing::subscriber::set_global_default(logs)
        .map_err(|error| NodeError::Internal(error.to_string()))
}

/// What writes logs to `out`. Libraries speak from warnings on only: what they would say below is not ours to vouch for.
pub fn subscriber<W>(config: LogConfig, out: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let targets = Targets::new()
        .with_target("lepton", level)
        .with_default(level.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(out);
    let all = tracing_subscriber::registry();
    match config.format {
        LogFormat::Text => Box::new(all.with(lines.with_ansi(false).with_filter(targets))),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            Box::new(all.with(lines.with_filter(targets)))
        }
    }
}
