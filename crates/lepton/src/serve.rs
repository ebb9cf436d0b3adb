//! `lepton party run` and `lepton coordinator run`: the daemons, until a signal ends them.

use std::future::Future;
use std::path::PathBuf;

use clap::Args;
use lepton_node::config::{CoordinatorConfig, Finding, LogConfig, PartyConfig};
use lepton_node::daemon::service::{self, Clocks};
use lepton_node::error::NodeError;
use lepton_node::logging;
use tokio::sync::watch;

use crate::{clock, output};

/// Flags of a daemon.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// The configuration file (docs/configuration.md)
    config: PathBuf,
    /// Only look at the configuration and at everything that it names
    #[arg(long)]
    check: bool,
}

/// Flags of a party's daemon.
#[derive(Args)]
pub(crate) struct PartyServeArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// What trains custom models: a subclass of lepton_ai.Party (only in the lepton of the Python package; docs/protocols/custom-models.md)
    #[arg(long, value_name = "MODULE:OBJECT")]
    python: Option<String>,
}

impl PartyServeArgs {
    /// Runs a party.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let config = PartyConfig::load(&self.serve.config)?;
        let trainers = crate::trainers(self.python.as_deref())?;
        if self.serve.check {
            return checked(&config.check());
        }
        // One connection: on one thread no message is handed from one to another, and jobs work on threads of their own.
        let runtime = tokio::runtime::Builder::new_current_thread();
        drive((runtime, config.log), |stop| async move {
            service::party(&config, CLOCKS, trainers, stop).await
        })
    }
}

impl ServeArgs {
    /// Runs a coordinator.
    pub(crate) fn coordinator(self) -> Result<(), NodeError> {
        let config = CoordinatorConfig::load(&self.config)?;
        if self.check {
            return checked(&config.check());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread();
        drive((runtime, config.log), |stop| async move {
            service::coordinator(&config, CLOCKS, stop).await
        })
    }
}

/// This machine's clock.
pub(crate) const CLOCKS: Clocks = Clocks {
    text: crate::budget::time,
    moment: clock::moment,
};

fn checked(findings: &[Finding]) -> Result<(), NodeError> {
    if findings.is_empty() {
        return output::text("the configuration is sound\n");
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Err(NodeError::Use(lines.join("\n")))
}

fn drive<F: Future<Output = Result<(), NodeError>> + Send + 'static>(
    (mut runtime, log): (tokio::runtime::Builder, LogConfig),
    serve: impl FnOnce(watch::Receiver<bool>) -> F,
) -> Result<(), NodeError> {
    logging::start(log)?;
    let runtime = output::built(&mut runtime)?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            told_to_stop().await;
            stop.send_replace(true);
            // Kept alive: a dropped sender would never say so again.
            std::future::pending::<()>().await;
        });
        // Among the tasks that it talks to, not on a thread beside them.
        let served = tokio::spawn(serve(stopped)).await;
        served.map_err(|error| NodeError::Internal(error.to_string()))?
    })
}

/// Waits for Ctrl-C or, where there is one, the signal with which service managers end programs.
async fn told_to_stop() {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    // Without signals the program is ended by force, which loses nothing either.
    let _ = tokio::signal::ctrl_c().await;
}
