//! The command line: verbs, flags and exit codes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lepton_node::error::NodeError;

use crate::account::AccountArgs;
use crate::audit::AuditArgs;
use crate::bench::BenchArgs;
use crate::budget::BudgetArgs;
use crate::ca::CaArgs;
use crate::doctor::DoctorArgs;
use crate::encrypt::{DecryptArgs, EncryptArgs, RewrapArgs};
use crate::job::JobArgs;
use crate::member::{CoordinatorArgs, PartyArgs};
use crate::model::ModelArgs;
use crate::new::NewArgs;
use crate::output;
use crate::predict::PredictArgs;
use crate::report::ReportArgs;
use crate::run::RunArgs;
use crate::table::TableArgs;
use crate::vault::VaultArgs;
use crate::verify::VerifyArgs;

/// Exit code: failed.
const FAILED: u8 = 1;
/// Exit code: wrong use.
pub(crate) const WRONG_USE: u8 = 2;
/// Exit code: refused by a policy or a budget.
const REFUSED: u8 = 3;

/// Train models together without pooling data.
#[derive(Parser)]
#[command(
    name = "lepton",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 refused by a policy or a budget."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a job: simulate the whole federation on this machine, or, with --federation, let a real one run it
    #[command(
        after_help = "Examples:\n  lepton run examples/churn/job.toml --set privacy.epsilon=1\n  lepton run job.toml --federation federation.toml"
    )]
    Run(RunArgs),
    /// List, follow, stop and fetch the jobs of a real federation
    #[command(after_help = "Example: lepton job watch churn --federation federation.toml")]
    Job(JobArgs),
    /// Make a folder with a job that runs at once
    #[command(after_help = "Example: lepton new first")]
    New(NewArgs),
    /// Predict for the rows of a table with a trained model
    #[command(
        after_help = "Example: lepton predict --model runs/churn-20260101-120000 customers.csv --out predictions.csv"
    )]
    Predict(PredictArgs),
    /// Look into a model file
    #[command(after_help = "Example: lepton model show runs/churn-20260101-120000")]
    Model(ModelArgs),
    /// Show the report of a run again
    #[command(after_help = "Example: lepton report runs/churn-20260101-120000")]
    Report(ReportArgs),
    /// Look at a table, and hold it against a schema
    #[command(after_help = "Example: lepton table check customers.csv")]
    Table(TableArgs),
    /// Check the signatures of a document, and that it was not changed
    #[command(
        after_help = "Example: lepton verify runs/churn-20260101-120000/privacy.json --key coordinator.pem\n\nWithout a key it can only be checked that nothing was changed since the signatures were made."
    )]
    Verify(VerifyArgs),
    /// Attack a job's training and hold what is found against its claim
    #[command(
        after_help = "Example: lepton audit privacy examples/churn/job.toml --set privacy.epsilon=3"
    )]
    Audit(AuditArgs),
    /// Measure what the protocols cost on this machine
    #[command(after_help = "Example: lepton bench masked-sum --parties 100 --dropouts 10")]
    Bench(BenchArgs),
    /// Account for releases: epsilon at a delta, delta at an epsilon, or the least noise for both
    #[command(
        after_help = "Example: lepton account events.json --accountant pld --delta 1e-5 --json"
    )]
    Account(AccountArgs),
    /// Set, show and check the lifetime privacy budgets of data sets
    #[command(after_help = "Example: lepton budget show --ledger ledger.db")]
    Budget(BudgetArgs),
    /// Encrypt a file or pipe to public keys, an AES key or a passphrase
    #[command(
        after_help = "Examples:\n  lepton encrypt --recipient her.pem --recipient me.pem --in data.csv --out data.csv.lepton\n  tar c folder | lepton encrypt --passphrase-file secret.txt > folder.tar.lepton\n  lepton encrypt --recipient her.pem --sign my-ed25519.key --in data.csv --out data.csv.lepton\n\nAn envelope hides and protects its content; only with --sign does it say who made it."
    )]
    Encrypt(EncryptArgs),
    /// Decrypt what was encrypted, by Lepton or as a JWE by another tool
    #[command(
        after_help = "Examples:\n  lepton decrypt --key-file me.key --key-passphrase-file secret.txt --in data.csv.lepton --out data.csv\n  lepton decrypt --passphrase-file secret.txt < folder.tar.lepton | tar x\n  lepton decrypt --key-file her.key --signer his.pem --in data.csv.lepton --out data.csv\n\nA pipe gets bytes as they are found authentic; use them only if the command exits with 0."
    )]
    Decrypt(DecryptArgs),
    /// Give an encrypted file other recipients, without encrypting its data anew
    #[command(
        after_help = "Example: lepton rewrap data.csv.lepton --key-file me.key --key-passphrase-file secret.txt --recipient me.pem --recipient new.pem\n\nNobody but the recipients named now opens the new file. Who was one before keeps what it has: copies, and the key of the same data. To close that, decrypt and encrypt anew."
    )]
    Rewrap(RewrapArgs),
    /// Keep tables encrypted: seal, read, grant, rotate and destroy them; make and keep keys
    #[command(
        after_help = "Examples:\n  lepton vault seal churn.csv --vault customers.vault --key-file root.key\n  lepton vault key generate --kind x25519 --out me.key --public me.pem --passphrase-file secret.txt"
    )]
    Vault(VaultArgs),
    /// Be a federation's certificate authority: invite, approve and revoke members
    #[command(after_help = "Example: lepton ca init ca --federation heart-study")]
    Ca(CaArgs),
    /// Be a party, or set up this machine as another member that connects to a coordinator
    #[command(
        after_help = "Example: lepton party init hospital-a --invitation hospital-a.invitation"
    )]
    Party(PartyArgs),
    /// Be a federation's coordinator
    #[command(after_help = "Example: lepton coordinator init hub --name hub --ca ca")]
    Coordinator(CoordinatorArgs),
    /// Check that this machine can run Lepton, or that a party, a coordinator or a scientist's command can do its part
    #[command(
        after_help = "Examples:\n  lepton doctor\n  lepton doctor --config party.toml --job job.toml"
    )]
    Doctor(DoctorArgs),
}

impl Cli {
    /// Carries out the command; errors go to stderr in one block.
    pub(crate) fn run(self) -> ExitCode {
        match self.carry_out() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Words of a file that was read may be in it.
                output::note(&output::plain(&format!("error: {error}")));
                ExitCode::from(code_of(&error))
            }
        }
    }

    /// Carries out the command.
    pub(crate) fn carry_out(self) -> Result<(), NodeError> {
        #[cfg(unix)]
        survive_size_limits();
        match self.command {
            Command::Run(args) => args.run(),
            Command::Job(args) => args.run(),
            Command::New(args) => args.run(),
            Command::Predict(args) => args.run(),
            Command::Model(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::Table(args) => args.run(),
            Command::Verify(args) => args.run(),
            Command::Audit(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Account(args) => args.run(),
            Command::Budget(args) => args.run(),
            Command::Encrypt(args) => args.run(),
            Command::Decrypt(args) => args.run(),
            Command::Rewrap(args) => args.run(),
            Command::Vault(args) => args.run(),
            Command::Ca(args) => args.run(),
            Command::Party(args) => args.run(),
            Command::Coordinator(args) => args.run(),
            Command::Doctor(args) => args.run(),
        }
    }
}

/// With a handler in place a file that may not grow gives an error that is reported, not a killed process.
#[cfg(unix)]
fn survive_size_limits() {
    use tokio::signal::unix::{SignalKind, signal};
    /// Number of the signal that a process gets when a file would pass its size limit (Linux, macOS).
    const SIGXFSZ: i32 = 25;
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
    {
        let _inside = runtime.enter();
        // The handler stays for good; without it, everything but this one message works.
        let _ = signal(SignalKind::from_raw(SIGXFSZ));
    }
}

fn code_of(error: &NodeError) -> u8 {
    if error.is_refusal() {
        REFUSED
    } else if error.is_wrong_use() {
        WRONG_USE
    } else {
        FAILED
    }
}
