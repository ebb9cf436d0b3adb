//! `lepton party` and `lepton coordinator`: a member's own machine.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use lepton_node::error::NodeError;
use lepton_node::net::pki::{
    Authority, Fingerprint, Invitation, Issued, Leaf, Member, MemberFolder, Name, Role,
};
use lepton_node::net::{Proxy, redeem};
use lepton_node::tables::read_text;
use zeroize::Zeroizing;

use crate::ca::member_of;
use crate::output;
use crate::party_jobs::PartyJobsArgs;
use crate::serve::{PartyServeArgs, ServeArgs};

/// Longest invitation file.
const LONGEST: u64 = 4096;

/// Flags of `lepton party`.
#[derive(Args)]
pub(crate) struct PartyArgs {
    #[command(subcommand)]
    command: PartyCommand,
}

#[derive(Subcommand)]
enum PartyCommand {
    /// Make this machine's key, and enrol it
    #[command(
        after_help = "Examples:\n  lepton party init hospital-a --invitation hospital-a.invitation\n  lepton party init hospital-a --federation heart-study --name hospital-a\n  lepton party init hospital-a --accept hospital-a.enrolled.pem --root HEX\n\nWith an invitation, one step is enough. Without, the second form makes a signing request for the authority, the third takes its answer: give as --root the fingerprint of the root that the authority tells you over another channel."
    )]
    Init(PartyInit),
    /// Run this party until a signal ends it
    #[command(after_help = "Example: lepton party run party.toml")]
    Run(PartyServeArgs),
    /// Jobs that this party was asked to take part in
    #[command(
        after_help = "Examples:\n  lepton party jobs list --config party.toml\n  lepton party jobs show churn\n  lepton party jobs approve churn --by \"Dr Mayer\""
    )]
    Jobs(PartyJobsArgs),
}

/// Flags of `lepton coordinator`.
#[derive(Args)]
pub(crate) struct CoordinatorArgs {
    #[command(subcommand)]
    command: CoordinatorCommand,
}

#[derive(Subcommand)]
enum CoordinatorCommand {
    /// Make the coordinator's key, and enrol it
    #[command(
        after_help = "Examples:\n  lepton coordinator init hub --name hub --ca ca\n  lepton coordinator init hub --name hub --federation heart-study\n  lepton coordinator init hub --accept hub.enrolled.pem --root HEX"
    )]
    Init(CoordinatorInit),
    /// Run the coordinator until a signal ends it
    #[command(after_help = "Example: lepton coordinator run coordinator.toml")]
    Run(ServeArgs),
}

#[derive(Args)]
struct Enrol {
    /// The member's folder; its key is made there and stays there
    folder: PathBuf,
    /// Name of the federation
    #[arg(long, value_name = "NAME")]
    federation: Option<Name>,
    /// Name of this member
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// What the authority sent back for the signing request
    #[arg(long, value_name = "PEM", conflicts_with_all = ["federation", "name"])]
    accept: Option<PathBuf>,
    /// The fingerprint of the federation's root (SHA-256) that the authority told you over another channel; with another root nothing is installed. May be given more than once
    #[arg(long, value_name = "HEX")]
    root: Vec<Fingerprint>,
}

#[derive(Args)]
struct PartyInit {
    #[command(flatten)]
    enrol: Enrol,
    /// A file with the invitation code, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["federation", "name", "accept", "role", "coordinator"])]
    invitation: Option<PathBuf>,
    /// What this member is: party, scientist, operator or auditor
    #[arg(long, value_name = "ROLE", default_value = "party")]
    role: Role,
    /// Where the coordinator listens
    #[arg(long, value_name = "HOST:PORT")]
    coordinator: Option<String>,
    /// An HTTP proxy on the way to the coordinator
    #[arg(long, value_name = "HOST:PORT", requires = "invitation")]
    proxy: Option<Proxy>,
}

#[derive(Args)]
struct CoordinatorInit {
    #[command(flatten)]
    enrol: Enrol,
    /// Folder of the authority, if it is on this machine
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["federation", "accept"])]
    ca: Option<PathBuf>,
}

impl Enrol {
    /// The parser drops what a flag requires when that conflicts with another flag.
    fn check(&self) -> Result<(), NodeError> {
        if self.accept.is_none() && !self.root.is_empty() {
            return Err(NodeError::Use(
                "--root goes with --accept; an invitation carries the root's fingerprint itself"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

impl PartyArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let args = match self.command {
            PartyCommand::Init(args) => args,
            PartyCommand::Run(args) => return args.run(),
            PartyCommand::Jobs(args) => return args.run(),
        };
        args.enrol.check()?;
        if let Some(path) = &args.invitation {
            return by_invitation(&args.enrol.folder, path, args.proxy.as_ref());
        }
        by_request(&args.enrol, args.role, args.coordinator)
    }
}

impl CoordinatorArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let args = match self.command {
            CoordinatorCommand::Init(args) => args,
            CoordinatorCommand::Run(args) => return args.coordinator(),
        };
        args.enrol.check()?;
        let Some(ca) = &args.ca else {
            return by_request(&args.enrol, Role::Coordinator, None);
        };
        let authority = Authority::open(ca)?;
        let name = needed(args.enrol.name.as_ref(), "--name")?;
        let member = member_of(&authority, Role::Coordinator, name)?;
        let folder = MemberFolder::create(&args.enrol.folder, member, None)?;
        let (_, issued) = authority.approve(&folder.request()?, false)?;
        enrolled(&folder, &folder.install(&issued)?)
    }
}

/// One step: the key is made, and the code redeemed for a certificate.
fn by_invitation(folder: &Path, path: &Path, proxy: Option<&Proxy>) -> Result<(), NodeError> {
    let invitation = read_invitation(path)?;
    let (member, address) = (invitation.member.clone(), invitation.address.clone());
    // A first try may have lost its answer: the key it made is used again.
    let folder = match MemberFolder::open(folder) {
        Ok(there) if *there.member() == member => there,
        Ok(there) => {
            return Err(NodeError::Use(format!(
                "{} holds {} already; name another folder",
                folder.display(),
                there.member()
            )));
        }
        Err(_) => MemberFolder::create(folder, member, Some(address))?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    let leaf = runtime.block_on(redeem(&invitation, &folder, proxy))?;
    enrolled(&folder, &leaf)
}

/// Two steps: a request leaves, an answer comes back.
fn by_request(enrol: &Enrol, role: Role, coordinator: Option<String>) -> Result<(), NodeError> {
    if let Some(path) = &enrol.accept {
        let folder = MemberFolder::open(&enrol.folder)?;
        let issued = Issued::from_bundle(&read_text(path)?)?;
        if !enrol.root.is_empty() {
            issued.check_roots(&enrol.root)?;
        }
        let first = folder.roots().is_err();
        enrolled(&folder, &folder.install(&issued)?)?;
        if first && enrol.root.is_empty() {
            output::note(
                "Compare the root's fingerprint with the one the authority tells you over another channel: whoever carried the answer could have put another root into it. With --root this is checked before anything is installed.",
            );
        }
        return Ok(());
    }
    let member = Member {
        federation: needed(enrol.federation.as_ref(), "--federation")?.clone(),
        role,
        name: needed(enrol.name.as_ref(), "--name")?.clone(),
    };
    if role == Role::Coordinator && coordinator.is_some() {
        return Err(NodeError::Use("a coordinator dials nobody".to_owned()));
    }
    let folder = MemberFolder::create(&enrol.folder, member, coordinator)?;
    output::text(&format!(
        "The key of {} is {}\nSend {} to the federation's authority and tell it the key over another channel; have it tell you the fingerprint of its root. Give its answer to --accept, and that fingerprint to --root.\n",
        folder.member(),
        folder.key()?.public(),
        folder.request_path().display()
    ))
}

fn enrolled(folder: &MemberFolder, leaf: &Leaf) -> Result<(), NodeError> {
    let roots = folder.roots()?;
    let roots: Vec<_> = roots.iter().map(Fingerprint::to_string).collect();
    output::text(&format!(
        "{} of {} is enrolled until {}, and renews by itself while it is connected.\nIts key is {}\nThe fingerprint of the federation's root is {}\n",
        leaf.member,
        folder.member().federation,
        crate::clock::at(leaf.not_after),
        leaf.key,
        roots.join(" and ")
    ))
}

fn needed<'a, T>(value: Option<&'a T>, flag: &str) -> Result<&'a T, NodeError> {
    value.ok_or_else(|| NodeError::Use(format!("{flag} is missing")))
}

fn read_invitation(path: &Path) -> Result<Invitation, NodeError> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.map_err(|error| NodeError::file(path, &error))?;
    Ok(text.parse::<Invitation>()?)
}
