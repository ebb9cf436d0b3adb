//! `lepton ca`: the federation's certificate authority.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use lepton_node::audit_log::IdentityPublic;
use lepton_node::error::NodeError;
use lepton_node::files::{Durability, replace};
use lepton_node::net::NetError;
use lepton_node::net::pki::{Authority, Import, Issued, Member, Name, Role};
use lepton_node::tables::read_text;
use serde_json::json;
use zeroize::Zeroizing;

use crate::audit_log::public_key;
use crate::output;

/// Flags of `lepton ca`.
#[derive(Args)]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Subcommand)]
enum CaCommand {
    /// Make the authority of a new federation
    #[command(after_help = "Example: lepton ca init ca --federation heart-study")]
    Init(InitArgs),
    /// Give a future member an invitation code
    #[command(
        after_help = "Example: lepton ca invite ca --role party --name hospital-a --address coordinator.example.org:8440 --out hospital-a.invitation\n\nWho has the code becomes the member: send it over a channel that nobody else reads."
    )]
    Invite(InviteArgs),
    /// Issue a certificate for a signing request
    #[command(
        after_help = "Example: lepton ca approve ca hospital-a/request.csr.pem --key HEX --out hospital-a.enrolled.pem\n\nHave the member tell you its key over another channel, and give it as --key: another key is then refused. Without --key, compare the printed key before you send the file back. Tell the member the root's fingerprint in the same way, for its --root."
    )]
    Approve(ApproveArgs),
    /// Revoke a member: its connections end, and it gets no more certificates
    #[command(after_help = "Example: lepton ca revoke ca --role party --name hospital-a")]
    Revoke(MemberArgs),
    /// List members, their keys and certificates
    #[command(after_help = "Example: lepton ca list ca")]
    List(ListArgs),
    /// Issue the next certificate of a member that cannot renew it by itself
    #[command(
        after_help = "Example: lepton ca renew ca --role coordinator --name hub --out hub.enrolled.pem"
    )]
    Renew(RenewArgs),
}

#[derive(Args)]
struct InitArgs {
    /// A new folder for the authority; its key stays there
    folder: PathBuf,
    /// Name of the federation
    #[arg(long, value_name = "NAME")]
    federation: Name,
    /// How long members' certificates live
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    days: u32,
    /// Certificate of an organisation's own authority, to be used instead of a new one
    #[arg(long, value_name = "PEM", requires = "import_key")]
    import_certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "PEM", requires = "import_certificate")]
    import_key: Option<PathBuf>,
}

#[derive(Args)]
struct MemberArgs {
    /// The authority's folder
    folder: PathBuf,
    /// The member's role: party, coordinator, scientist, operator or auditor
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// The member's name
    #[arg(long, value_name = "NAME")]
    name: Name,
}

#[derive(Args)]
struct InviteArgs {
    #[command(flatten)]
    member: MemberArgs,
    /// Where the coordinator listens
    #[arg(long, value_name = "HOST:PORT")]
    address: String,
    /// How long the invitation is good
    #[arg(long, value_name = "HOURS", default_value_t = 48)]
    hours: u32,
    /// A new file for the code; without it the code is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct ApproveArgs {
    /// The authority's folder
    folder: PathBuf,
    /// The member's signing request
    request: PathBuf,
    /// The key the member told you over another channel, 64 hexadecimal digits; a request over another one is refused
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    key: Option<IdentityPublic>,
    /// A file for certificate, root and revocation list; without it they are printed
    #[arg(long, value_name = "PEM")]
    out: Option<PathBuf>,
    /// Let a member that lost its key go on with a new one; its old certificates are revoked
    #[arg(long)]
    replace: bool,
}

#[derive(Args)]
struct ListArgs {
    /// The authority's folder
    folder: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct RenewArgs {
    #[command(flatten)]
    member: MemberArgs,
    /// A file for certificate, root and revocation list; without it they are printed
    #[arg(long, value_name = "PEM")]
    out: Option<PathBuf>,
}

impl CaArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            CaCommand::Init(args) => init(&args),
            CaCommand::Invite(args) => invite(&args),
            CaCommand::Approve(args) => approve(&args),
            CaCommand::Revoke(args) => revoke(&args),
            CaCommand::List(args) => list(&args),
            CaCommand::Renew(args) => renew(&args),
        }
    }
}

fn init(args: &InitArgs) -> Result<(), NodeError> {
    let own = match (&args.import_certificate, &args.import_key) {
        (Some(certificate), Some(key)) => {
            Some((read_text(certificate)?, Zeroizing::new(read_text(key)?)))
        }
        _ => None,
    };
    let import = own
        .as_ref()
        .map(|(certificate, key)| Import { certificate, key });
    let federation = args.federation.clone();
    let authority = Authority::create(&args.folder, federation, args.days, import.as_ref())?;
    output::text(&format!(
        "{} is the authority of {}: keep the folder to yourself. Whoever has it can admit members.\nThe fingerprint of its root is {}\nNext:\n\n  lepton ca invite {} --role party --name NAME --address HOST:PORT\n",
        args.folder.display(),
        args.federation,
        authority.fingerprint()?,
        args.folder.display()
    ))
}

fn invite(args: &InviteArgs) -> Result<(), NodeError> {
    let MemberArgs { folder, role, name } = &args.member;
    let authority = Authority::open(folder)?;
    let invitation = authority.invite(*role, name, &args.address, args.hours)?;
    let mut code = invitation.code();
    code.push('\n');
    match &args.out {
        None => output::text(&code),
        Some(path) => {
            secret_file(path, code.as_bytes())?;
            output::note(&format!(
                "{} lets one machine become {role} {name} within {} hours",
                path.display(),
                args.hours
            ));
            Ok(())
        }
    }
}

fn approve(args: &ApproveArgs) -> Result<(), NodeError> {
    let authority = Authority::open(&args.folder)?;
    let request = read_text(&args.request)?;
    let (member, issued) = authority.approve_key(&request, args.key, args.replace)?;
    output::note(&format!(
        "{member} is a member; its key is {}{}\nThe fingerprint of the federation's root is {}; tell it to the member over another channel, for --root",
        issued.leaf()?.key,
        if args.key.is_some() {
            ", as expected"
        } else {
            ""
        },
        authority.fingerprint()?
    ));
    give(args.out.as_deref(), &issued)
}

fn revoke(args: &MemberArgs) -> Result<(), NodeError> {
    Authority::open(&args.folder)?.revoke(args.role, &args.name)?;
    output::note(&format!(
        "{} {} is revoked; a coordinator that reads this folder closes its connections within seconds, others need {}",
        args.role,
        args.name,
        args.folder.join("revoked.pem").display()
    ));
    Ok(())
}

fn list(args: &ListArgs) -> Result<(), NodeError> {
    let authority = Authority::open(&args.folder)?;
    let members = authority.members()?;
    if args.json {
        return output::json(&json!({
            "federation": authority.federation()?,
            "root": authority.fingerprint()?.to_string(),
            "members": members,
        }));
    }
    output::note(&format!(
        "The fingerprint of the root is {}",
        authority.fingerprint()?
    ));
    let mut text = String::new();
    for member in members {
        let state = match (member.revoked, member.expires) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(at)) => format!("until {}", crate::clock::at(at)),
            (None, None) => "no certificate".to_owned(),
        };
        text += &format!(
            "{:11} {:20} {state:26} {}\n",
            member.role, member.name, member.key
        );
    }
    output::text(&text)
}

fn renew(args: &RenewArgs) -> Result<(), NodeError> {
    let MemberArgs { folder, role, name } = &args.member;
    let issued = Authority::open(folder)?.reissue(*role, name)?;
    give(args.out.as_deref(), &issued)
}

/// Writes or prints what a member gets.
fn give(out: Option<&Path>, issued: &Issued) -> Result<(), NodeError> {
    let bundle = issued.to_bundle();
    match out {
        None => output::text(&bundle),
        Some(path) => replace(path, bundle.as_bytes(), Durability::Machine)
            .map_err(|error| NodeError::file(path, &error)),
    }
}

/// Writes a file that only its owner reads, and that did not exist.
fn secret_file(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    if path.exists() {
        return Err(NodeError::Use(format!(
            "{} exists already; name a new file",
            path.display()
        )));
    }
    replace(path, bytes, Durability::Machine).map_err(|error| NodeError::file(path, &error))
}

/// The member that a name and a role make in an authority's federation.
pub(crate) fn member_of(
    authority: &Authority,
    role: Role,
    name: &Name,
) -> Result<Member, NetError> {
    Ok(Member {
        federation: authority.federation()?,
        role,
        name: name.clone(),
    })
}
