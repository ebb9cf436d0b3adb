//! Who the member is: its folder, its certificate, the revocation list it holds.

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::{Check, days, failure};
use crate::config::IdentityConfig;
use crate::net::Credentials;
use crate::net::pki::{Leaf, MemberFolder, Role, Usage, chain_from_pem};

/// A member whose folder can be opened.
pub(super) struct Who {
    pub(super) folder: MemberFolder,
    pub(super) credentials: Credentials,
}

/// Opens the member's folder, and looks at what is in it.
pub(super) fn look(
    config: &IdentityConfig,
    (roles, now): (&[Role], u64),
    checks: &mut Vec<Check>,
) -> Option<Who> {
    let name = "identity";
    let enrol = "name the folder that enrolment filled in identity.folder, and run as the user it belongs to";
    let opened = MemberFolder::open(&config.folder).and_then(|folder| {
        let credentials = Credentials::open(&folder)?;
        Ok(Who {
            folder,
            credentials,
        })
    });
    let who = match opened {
        Ok(who) => who,
        Err(error) => {
            checks.push(failure(name, &error.into(), enrol));
            return None;
        }
    };
    let member = who.folder.member();
    if !roles.contains(&member.role) {
        let wanted: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let found = format!(
            "{} belongs to {member}, and a {} is wanted here",
            config.folder.display(),
            wanted.join(" or ")
        );
        checks.push(Check::failed(
            name,
            found,
            "name another folder in identity.folder",
        ));
        return None;
    }
    checks.push(Check::ok(
        name,
        format!("{member} of {}", member.federation),
    ));
    checks.push(certificate(&who, now));
    checks.push(revocations(&who.folder, now));
    Some(who)
}

/// The member's own certificate, as its peers will check it.
fn certificate(who: &Who, now: u64) -> Check {
    let name = "certificate";
    let usage = match who.folder.member().role {
        Role::Coordinator => Usage::Server,
        _ => Usage::Client,
    };
    let text = std::fs::read_to_string(who.folder.certificate_path()).unwrap_or_default();
    let held = chain_from_pem(&text)
        .map_err(Into::into)
        .and_then(|chain| who.credentials.trust().check(&chain, usage, now));
    match held {
        Ok(leaf) => lasting(name, &leaf, now),
        Err(refusal) => {
            let member = who.folder.member();
            let remedy = format!(
                "ask the authority: `lepton ca renew CA --role {} --name {} --out next.pem`, then `lepton {} init {} --accept next.pem` here; a member that was revoked gets none",
                member.role,
                member.name,
                match member.role {
                    Role::Coordinator => "coordinator",
                    _ => "party",
                },
                who.folder
                    .certificate_path()
                    .parent()
                    .unwrap_or(std::path::Path::new("FOLDER"))
                    .display(),
            );
            let error = crate::net::NetError::from(refusal);
            Check::failed(
                name,
                format!("{error} ({})", until(&who.credentials.leaf())),
                remedy,
            )
        }
    }
}

/// How long a good certificate lasts. The last third of its life is for renewal (EN-06).
pub(super) fn lasting(name: &'static str, leaf: &Leaf, now: u64) -> Check {
    let left = leaf.not_after.saturating_sub(now);
    let found = format!("{}, {} left", until(leaf), days(left));
    if now < leaf.renew_at() {
        return Check::ok(name, found);
    }
    Check::warning(
        name,
        format!("{found}; its renewal is due"),
        "members renew by themselves while they are connected to a coordinator that has the authority's folder; if it stays like this, renew by hand with `lepton ca renew`",
    )
}

fn until(leaf: &Leaf) -> String {
    format!("good until {}", date(leaf.not_after))
}

/// The list of revoked certificates that the member holds. An overdue list stays in force (EN-07).
fn revocations(folder: &MemberFolder, now: u64) -> Check {
    let name = "revocation list";
    let path = folder.list_path();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Check::ok(name, "none: this authority has not given one");
        }
        Err(error) => {
            let error = crate::error::NodeError::file(&path, &error);
            return failure(name, &error, "check the file");
        }
    };
    match read_list(&bytes) {
        Some(list) => aged(name, &list, now),
        None => Check::failed(
            name,
            format!("{} cannot be read", path.display()),
            "copy the authority's `revoked.pem` there",
        ),
    }
}

/// What a list says of itself.
#[derive(Debug, Clone, Copy)]
struct List {
    made: u64,
    due: Option<u64>,
    entries: usize,
}

fn read_list(bytes: &[u8]) -> Option<List> {
    let der = CertificateRevocationListDer::from_pem_slice(bytes).ok();
    let der = der.map_or_else(|| bytes.to_vec(), |der| der.to_vec());
    let (_, list) = CertificateRevocationList::from_der(&der).ok()?;
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).ok();
    Some(List {
        made: seconds(list.last_update())?,
        due: list.next_update().and_then(seconds),
        entries: list.iter_revoked_certificates().count(),
    })
}

fn aged(name: &'static str, list: &List, now: u64) -> Check {
    let found = format!(
        "of {}, {} old, {} certificate(s) revoked",
        date(list.made),
        days(now.saturating_sub(list.made)),
        list.entries
    );
    if list.due.is_none_or(|due| now <= due) {
        return Check::ok(name, found);
    }
    Check::warning(
        name,
        format!("{found}; a newer one was due, and this one stays in force (EN-07)"),
        "ask the authority whether anybody was revoked since; a connection to the coordinator brings the newest list",
    )
}

/// Seconds since 1970 for a person, in UTC.
fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let Ok(date) = time::OffsetDateTime::from_unix_timestamp(seconds) else {
        return "the end of time".to_owned();
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        date.year(),
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute()
    )
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_list_past_its_date_is_worth_a_warning() {
        let list = List {
            made: 1_000_000,
            due: Some(2_000_000),
            entries: 1,
        };
        assert_eq!(aged("list", &list, 2_000_000).status, Status::Ok);
        assert_eq!(aged("list", &list, 2_000_001).status, Status::Warning);
        let without = List { due: None, ..list };
        assert_eq!(aged("list", &without, 9_000_000).status, Status::Ok);
        assert!(read_list(b"no list").is_none());
    }

    #[test]
    fn dates_are_in_utc() {
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
    }
}
