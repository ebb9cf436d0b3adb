//! The federation's certificate authority: a folder with its key, its certificate and what it issued.

use std::fs;
use std::path::{Path, PathBuf};

use lepton_crypto::IdentityPublic;
use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, PKCS_ED25519, PublicKeyData,
    RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use zeroize::Zeroizing;

use super::invitation::proven;
use super::issued::first;
use super::key::only_owner;
use super::registry::{Certificate, Entry, Invited, Locked, Registry};
use super::request::{Request, date, dated, parameters};
use super::root::{Import, imported, root};
use super::{Fingerprint, Invitation, Issued, Leaf, Member, Name, Role, Serial, now};
use crate::files::{Durability, replace};
use crate::hex::unhex;
use crate::net::NetError;

const KEY: &str = "ca.key.pem";
const CERTIFICATE: &str = "ca.pem";
const LIST: &str = "revoked.pem";
/// How far back a certificate begins, for members whose clock is behind.
pub(super) const SKEW: u64 = 300;
/// After how long a list asks to be replaced, seconds. Nobody waits for it (EN-07).
const LIST_LIFE: u64 = 30 * 24 * 3600;
pub(super) const WHAT: &str = "the authority";
/// Certificates of one member that have not expired: all of them may have to be on one list of revoked ones.
const MOST_CERTIFICATES: usize = 64;

/// A certificate authority.
pub struct Authority {
    folder: PathBuf,
}

/// A line of `lepton ca list`.
#[derive(Debug, Clone, Serialize)]
pub struct MemberRow {
    /// Name.
    pub name: Name,
    /// Role.
    pub role: Role,
    /// Identity key, in hexadecimal.
    pub key: String,
    /// Serial number of the newest certificate.
    pub serial: Option<Serial>,
    /// When it expires, seconds since 1970.
    pub expires: Option<u64>,
    /// When the member was revoked, seconds since 1970.
    pub revoked: Option<u64>,
}

impl Authority {
    /// Makes an authority in a new folder: a fresh key, or an organisation's own one.
    /// Leaves live `days` days.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn create(
        folder: &Path,
        federation: Name,
        days: u32,
        import: Option<&Import<'_>>,
    ) -> Result<Self, NetError> {
        if !(1..=90).contains(&days) {
            return Err(NetError::Use(
                "certificates live 1 to 90 days; members renew them by themselves".to_owned(),
            ));
        }
        let key_path = folder.join(KEY);
        if key_path.exists() {
            return Err(NetError::Use(format!(
                "{} exists already: this folder holds an authority",
                key_path.display()
            )));
        }
        fs::create_dir_all(folder).map_err(|error| NetError::file(folder, &error))?;
        let (certificate, key) = match import {
            Some(import) => imported(import)?,
            None => root(&federation)?,
        };
        let authority = Self {
            folder: folder.to_owned(),
        };
        let life = u64::from(days) * 24 * 3600;
        authority.write(CERTIFICATE, &certificate)?;
        authority.write(KEY, &key)?;
        let mut locked = Locked::create(folder, Registry::new(federation, life))?;
        authority.publish(&mut locked)?;
        Ok(authority)
    }

    /// Opens the folder.
    ///
    /// # Errors
    /// [`NetError`] when it holds no authority, or its key is open to others.
    pub fn open(folder: &Path) -> Result<Self, NetError> {
        only_owner(&folder.join(KEY))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The federation's name.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn federation(&self) -> Result<Name, NetError> {
        Ok(Locked::open(&self.folder)?.state.federation)
    }

    /// The root certificate, in PEM.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn root_pem(&self) -> Result<String, NetError> {
        self.read(CERTIFICATE)
    }

    /// The root's fingerprint, for members to compare.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn fingerprint(&self) -> Result<Fingerprint, NetError> {
        Ok(Fingerprint::of(&self.root()?))
    }

    /// Where the newest revocation list is.
    #[must_use]
    pub fn list_path(&self) -> PathBuf {
        self.folder.join(LIST)
    }

    /// An invitation for a member (EN-04), good once and for `hours` hours, to be redeemed at `address`.
    ///
    /// # Errors
    /// [`NetError`] when there is such a member already.
    pub fn invite(
        &self,
        role: Role,
        name: &Name,
        address: &str,
        hours: u32,
    ) -> Result<Invitation, NetError> {
        if !(1..=30 * 24).contains(&hours) {
            return Err(NetError::Use(
                "an invitation lives 1 to 720 hours".to_owned(),
            ));
        }
        let mut locked = Locked::open(&self.folder)?;
        if locked.state.member(role, name).is_some() {
            return Err(NetError::Use(format!(
                "there is a {role} {name} already; a lost key is replaced with `lepton ca approve`"
            )));
        }
        let (mut id, mut secret) = ([0; 8], Zeroizing::new([0; 16]));
        random(&mut id)?;
        random(secret.as_mut())?;
        let member = Member {
            federation: locked.state.federation.clone(),
            role,
            name: name.clone(),
        };
        let root = self.fingerprint()?;
        let invitation = Invitation::new((id, *secret), root, member, address.to_owned())?;
        // A new invitation replaces an open one for the same member.
        locked
            .state
            .invitations
            .retain(|open| open.used_for.is_some() || open.role != role || open.name != *name);
        locked.state.invitations.push(Invited {
            id: hex(&id),
            secret: Some(Zeroizing::new(hex(secret.as_ref()))),
            name: name.clone(),
            role,
            expires: now() + u64::from(hours) * 3600,
            used_for: None,
        });
        locked.save()?;
        Ok(invitation)
    }

    /// Redeems an invitation (EN-05): `proof` is over `request`. The same request again, after a lost answer, gets its certificate again.
    ///
    /// # Errors
    /// [`NetError::Refused`], always in the same words.
    pub fn redeem(&self, id: &[u8; 8], proof: &[u8], request: &str) -> Result<Issued, NetError> {
        let refused = || {
            NetError::Refused(
                "this invitation is not good: used, expired, replaced or mistyped; ask for another"
                    .to_owned(),
            )
        };
        let mut locked = Locked::open(&self.folder)?;
        let (number, time) = (hex(id), now());
        let found = locked.state.invitations.iter_mut().find(|i| i.id == number);
        let invited = found.filter(|i| i.expires > time).ok_or_else(refused)?;
        let secret = invited
            .secret
            .as_ref()
            .and_then(|secret| unhex::<16>(secret));
        let secret = secret.map(Zeroizing::new).ok_or_else(refused)?;
        if !proven(secret.as_ref(), id, request.as_bytes(), proof) {
            return Err(refused());
        }
        let request = Request::verify(request)?;
        let key = request.key.to_string();
        let other = invited.used_for.as_ref().is_some_and(|used| *used != key);
        if other || request.member.role != invited.role || request.member.name != invited.name {
            return Err(refused());
        }
        invited.used_for = Some(key);
        self.issue(&mut locked, &request, false)
    }

    /// Approves a signing request (EN-03) for the member it names; with `replace`, a new key for an old member, whose old certificates are revoked.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn approve(&self, request: &str, replace: bool) -> Result<(Member, Issued), NetError> {
        self.approve_key(request, None, replace)
    }

    /// [`Authority::approve`], if the request is over the `expected` key.
    ///
    /// # Errors
    /// [`NetError::Refused`] for another key; nothing is issued or revoked then.
    pub fn approve_key(
        &self,
        request: &str,
        expected: Option<IdentityPublic>,
        replace: bool,
    ) -> Result<(Member, Issued), NetError> {
        let request = Request::verify(request)?;
        if expected.is_some_and(|key| key != request.key) {
            return Err(NetError::Refused(format!(
                "the request of {} is over the key {}, which is not the expected one",
                request.member, request.key
            )));
        }
        let mut locked = Locked::open(&self.folder)?;
        let issued = self.issue(&mut locked, &request, replace)?;
        Ok((request.member, issued))
    }

    /// The next certificate for a member that showed a valid one (EN-06).
    ///
    /// # Errors
    /// [`NetError::Refused`] for who is no member any more.
    pub fn renew(&self, leaf: &Leaf) -> Result<Issued, NetError> {
        let mut locked = Locked::open(&self.folder)?;
        let key = leaf.key.to_string();
        let entry = locked
            .state
            .member(leaf.member.role, &leaf.member.name)
            .filter(|entry| entry.revoked.is_none() && entry.key == key);
        if entry.is_none() || leaf.member.federation != locked.state.federation {
            return Err(NetError::Refused(format!(
                "{} is no member with this key",
                leaf.member
            )));
        }
        self.certify(&mut locked, &leaf.member, &RawKey(leaf.key.to_bytes()))
    }

    /// The next certificate for a member that cannot ask by itself.
    ///
    /// # Errors
    /// [`NetError`] when there is no such member, or it was revoked.
    pub fn reissue(&self, role: Role, name: &Name) -> Result<Issued, NetError> {
        let mut locked = Locked::open(&self.folder)?;
        let unknown = || NetError::Use(format!("there is no {role} {name}; see `lepton ca list`"));
        let entry = locked.state.member(role, name).ok_or_else(unknown)?;
        if entry.revoked.is_some() {
            return Err(NetError::Refused(format!("{role} {name} was revoked")));
        }
        let key = unhex(&entry.key).ok_or_else(unknown)?;
        let member = Member {
            federation: locked.state.federation.clone(),
            role,
            name: name.clone(),
        };
        self.certify(&mut locked, &member, &RawKey(key))
    }

    /// Revokes a member (EN-07): its certificates go on the list, and it gets no other.
    ///
    /// # Errors
    /// [`NetError`] when there is no such member.
    pub fn revoke(&self, role: Role, name: &Name) -> Result<(), NetError> {
        let mut locked = Locked::open(&self.folder)?;
        let time = now();
        let entry = locked.state.member(role, name).ok_or_else(|| {
            NetError::Use(format!("there is no {role} {name}; see `lepton ca list`"))
        })?;
        entry.revoked.get_or_insert(time);
        self.publish(&mut locked)
    }

    /// Every member.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn members(&self) -> Result<Vec<MemberRow>, NetError> {
        let state = Locked::open(&self.folder)?.state;
        let row = |entry: Entry| {
            let newest = entry.certificates.last();
            MemberRow {
                serial: newest.map(|certificate| certificate.serial.clone()),
                expires: newest.map(|certificate| certificate.not_after),
                name: entry.name,
                role: entry.role,
                key: entry.key,
                revoked: entry.revoked,
            }
        };
        Ok(state.members.into_iter().map(row).collect())
    }

    fn issue(
        &self,
        locked: &mut Locked,
        request: &Request,
        replace: bool,
    ) -> Result<Issued, NetError> {
        let member = &request.member;
        if member.federation != locked.state.federation {
            return Err(NetError::Refused(format!(
                "the request is for the federation {}, this is {}",
                member.federation, locked.state.federation
            )));
        }
        let key = request.key.to_string();
        let another = |entry: &&Entry| {
            entry.key == key && (entry.role != member.role || entry.name != member.name)
        };
        if let Some(entry) = locked.state.members.iter().find(another) {
            return Err(NetError::Refused(format!(
                "this key belongs to {} {} already; every member makes its own",
                entry.role, entry.name
            )));
        }
        enter(&mut locked.state, member, &key, replace)?;
        if replace {
            self.publish(locked)?;
        }
        self.certify(locked, member, request.public_key())
    }

    /// Makes a certificate, remembers it, and only then lets it go (EN-08).
    fn certify(
        &self,
        locked: &mut Locked,
        member: &Member,
        key: &impl PublicKeyData,
    ) -> Result<Issued, NetError> {
        let time = now();
        let valid = locked
            .state
            .member(member.role, &member.name)
            .map_or(0, |entry| {
                let certificates = entry.certificates.iter();
                certificates.filter(|one| one.not_after > time).count()
            });
        if valid >= MOST_CERTIFICATES {
            return Err(NetError::Refused(format!(
                "{member} has {valid} certificates that have not expired; ask again when one has"
            )));
        }
        let serial = serial()?;
        let until = now() + locked.state.life;
        let params = dated(parameters(member)?, &serial, (now() - SKEW, until))?;
        let certificate = params
            .signed_by(key, &self.issuer()?)
            .map_err(|error| NetError::certificate(WHAT, error))?;
        if let Some(entry) = locked.state.member(member.role, &member.name) {
            entry.certificates.push(Certificate {
                serial: Leaf::parse(certificate.der())?.serial,
                not_after: until,
                withdrawn: None,
            });
        }
        locked.save()?;
        Ok(Issued {
            certificate: certificate.pem(),
            root: self.read(CERTIFICATE)?,
            revoked: self.read(LIST)?,
        })
    }

    /// Signs and writes the list of all revoked certificates that have not expired.
    fn publish(&self, locked: &mut Locked) -> Result<(), NetError> {
        let time = now();
        locked.state.list_number += 1;
        locked.save()?;
        let params = CertificateRevocationListParams {
            this_update: date(time)?,
            next_update: date(time + LIST_LIFE)?,
            crl_number: SerialNumber::from(locked.state.list_number),
            issuing_distribution_point: None,
            revoked_certs: revoked(&locked.state, time)?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = params
            .signed_by(&self.issuer()?)
            .and_then(|list| list.pem())
            .map_err(|error| NetError::certificate(WHAT, error))?;
        self.write(LIST, &pem)
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, NetError> {
        let pem = Zeroizing::new(self.read(KEY)?);
        let key = KeyPair::from_pem(&pem)
            .map_err(|error| NetError::certificate("the authority's key", error))?;
        Issuer::from_ca_cert_der(&self.root()?, key)
            .map_err(|error| NetError::certificate("the authority's certificate", error))
    }

    fn root(&self) -> Result<CertificateDer<'static>, NetError> {
        first(&self.read(CERTIFICATE)?)
    }

    fn read(&self, name: &str) -> Result<String, NetError> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).map_err(|error| NetError::file(&path, &error))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), NetError> {
        let path = self.folder.join(name);
        replace(&path, text.as_bytes(), Durability::Machine)
            .map_err(|error| NetError::file(&path, &error))
    }
}

/// Enters a member, or checks that the entry is for the same key.
fn enter(state: &mut Registry, member: &Member, key: &str, replace: bool) -> Result<(), NetError> {
    let Some(entry) = state.member(member.role, &member.name) else {
        state.members.push(Entry {
            name: member.name.clone(),
            role: member.role,
            key: key.to_owned(),
            revoked: None,
            certificates: Vec::new(),
        });
        return Ok(());
    };
    if entry.revoked.is_some() && !replace {
        return Err(NetError::Refused(format!("{member} was revoked")));
    }
    if entry.key == key {
        return match entry.revoked {
            None => Ok(()),
            Some(_) => Err(NetError::Refused(format!(
                "{member} was revoked; it comes back with a new key only"
            ))),
        };
    }
    if !replace {
        return Err(NetError::Refused(format!(
            "{member} has another key; if that was lost, approve with --replace, which revokes it"
        )));
    }
    let (time, old) = (
        entry.revoked.unwrap_or_else(now),
        std::mem::take(&mut entry.certificates),
    );
    key.clone_into(&mut entry.key);
    entry.revoked = None;
    state
        .withdrawn
        .extend(old.into_iter().map(|certificate| Certificate {
            withdrawn: Some(time),
            ..certificate
        }));
    Ok(())
}

fn revoked(state: &Registry, time: u64) -> Result<Vec<RevokedCertParams>, NetError> {
    let of_members = state.members.iter().flat_map(|entry| {
        let at = entry.revoked;
        let listed = move |certificate| at.map(|at| (certificate, at));
        entry.certificates.iter().filter_map(listed)
    });
    let withdrawn = state
        .withdrawn
        .iter()
        .filter_map(|certificate| certificate.withdrawn.map(|at| (certificate, at)));
    of_members
        .chain(withdrawn)
        .filter(|(certificate, _)| certificate.not_after >= time)
        .map(|(certificate, at)| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&certificate.serial.to_bytes()),
                revocation_time: date(at)?,
                reason_code: None,
                invalidity_date: None,
            })
        })
        .collect()
}

/// A member's key, of which a renewal needs nothing but its 32 bytes.
struct RawKey([u8; 32]);

impl PublicKeyData for RawKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// A positive number of 127 random bits.
pub(super) fn serial() -> Result<[u8; 16], NetError> {
    let mut bytes = [0; 16];
    random(&mut bytes)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(bytes)
}

fn random(bytes: &mut [u8]) -> Result<(), NetError> {
    getrandom::fill(bytes)
        .map_err(|error| NetError::Connection(format!("no random bytes from the system: {error}")))
}

fn hex(bytes: &[u8]) -> String {
    Serial::from_bytes(bytes).to_string()
}

/// The identity keys of all members in a role, for a roster.
impl Authority {
    /// Names and identity keys of all members in `role` that were not revoked.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn roster(&self, role: Role) -> Result<Vec<(Name, IdentityPublic)>, NetError> {
        let rows = self.members()?.into_iter();
        Ok(rows
            .filter(|row| row.role == role && row.revoked.is_none())
            .filter_map(|row| Some((row.name, IdentityPublic::from_bytes(unhex(&row.key)?))))
            .collect())
    }
}
