//! Whom this program believes: the federation's roots and the newest revocation lists.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor,
    UnixTime,
};
use tokio::sync::watch;
use webpki::{
    EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::{Leaf, Name};
use crate::net::NetError;

/// Longest revocation list: about 20,000 entries.
pub(crate) const LONGEST_LIST: usize = 1 << 20;
/// The same as PEM, whose text is a third longer.
pub(crate) const LONGEST_LIST_PEM: usize = 3 * LONGEST_LIST / 2;
const LIST: &str = "the revocation list";
const CERTIFICATE: &str = "the certificate";

/// Which end of a connection a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Whoever dials.
    Client,
    /// Whoever listens.
    Server,
}

/// The federation's roots and revocation lists. Clones share them.
#[derive(Clone)]
pub struct Trust(Arc<Inner>);

struct Inner {
    federation: Name,
    roots: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    lists: Mutex<Vec<List>>,
    changes: watch::Sender<u64>,
}

/// One issuer's newest list.
struct List {
    issuer: Vec<u8>,
    number: Vec<u8>,
    der: Vec<u8>,
    parsed: webpki::CertRevocationList<'static>,
}

impl Trust {
    /// Trusts certificates of `federation` that one of `roots` issued.
    ///
    /// # Errors
    /// [`NetError::Certificate`] when a root cannot be one.
    pub fn new(federation: Name, roots: Vec<CertificateDer<'static>>) -> Result<Self, NetError> {
        let anchors = roots
            .iter()
            .map(|root| webpki::anchor_from_trusted_cert(root).map(|anchor| anchor.to_owned()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| NetError::certificate("the root certificate", error))?;
        if anchors.is_empty() {
            return Err(NetError::certificate("the root certificate", "missing"));
        }
        Ok(Self(Arc::new(Inner {
            federation,
            roots,
            anchors,
            lists: Mutex::default(),
            changes: watch::Sender::new(0),
        })))
    }

    /// The federation's name.
    #[must_use]
    pub fn federation(&self) -> &Name {
        &self.0.federation
    }

    /// The roots.
    #[must_use]
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.0.roots
    }

    /// Whose certificate `chain` begins with, if all of it holds now: issued under a root, not expired, not revoked, for this `usage`,
    /// in this federation (EN-02, EN-07).
    ///
    /// # Errors
    /// [`NetError::Certificate`].
    pub fn verify(&self, chain: &[CertificateDer<'_>], usage: Usage) -> Result<Leaf, NetError> {
        Ok(self.check(chain, usage, super::now())?)
    }

    /// [`Trust::verify`] at a time.
    pub(crate) fn check(
        &self,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: u64,
    ) -> Result<Leaf, Refusal> {
        // Nothing in between is taken: a root's list could not revoke what an intermediate issued.
        let end = chain
            .first()
            .ok_or_else(|| NetError::certificate(CERTIFICATE, "missing"))?;
        let certificate = EndEntityCert::try_from(end)?;
        let lists = self.lists();
        let lists: Vec<_> = lists.iter().map(|list| &list.parsed).collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|builder| {
            builder
                .with_depth(RevocationCheckDepth::EndEntity)
                .with_status_policy(UnknownStatusPolicy::Allow)
                .build()
        });
        let eku = match usage {
            Usage::Client => KeyUsage::client_auth(),
            Usage::Server => KeyUsage::server_auth(),
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        certificate.verify_for_usage(
            algorithms(),
            &self.0.anchors,
            &[],
            now,
            eku,
            revocation,
            None,
        )?;
        let leaf = Leaf::parse(end)?;
        if leaf.member.federation == self.0.federation {
            return Ok(leaf);
        }
        Err(NetError::certificate(CERTIFICATE, "it is another federation's").into())
    }

    /// Takes over a revocation list in PEM or DER, if a root signed it and it is newer than the one held. Says whether it was.
    ///
    /// # Errors
    /// [`NetError::Certificate`] when it is not a list of this federation.
    pub fn update(&self, list: &[u8]) -> Result<bool, NetError> {
        let too_long = || NetError::certificate(LIST, "too long");
        if list.len() > LONGEST_LIST_PEM {
            return Err(too_long());
        }
        let der = list_der(list);
        if der.len() > LONGEST_LIST {
            return Err(too_long());
        }
        let new = self.list(der)?;
        let mut lists = self.lists();
        let held = lists.iter_mut().find(|held| held.issuer == new.issuer);
        match held {
            // A list never goes back (EN-07).
            Some(held) if held.number >= new.number => return Ok(false),
            Some(held) => *held = new,
            None => lists.push(new),
        }
        drop(lists);
        self.0.changes.send_modify(|version| *version += 1);
        Ok(true)
    }

    /// The lists held, in DER.
    #[must_use]
    pub fn lists_der(&self) -> Vec<Vec<u8>> {
        self.lists().iter().map(|list| list.der.clone()).collect()
    }

    /// Changes whenever a newer list was taken over.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn list(&self, der: Vec<u8>) -> Result<List, NetError> {
        let bad = |error: &dyn std::fmt::Display| NetError::certificate(LIST, error);
        let (rest, list) = CertificateRevocationList::from_der(&der).map_err(|e| bad(&e))?;
        if !rest.is_empty() {
            return Err(bad(&"bytes after its end"));
        }
        let signed = self.0.roots.iter().any(|root| {
            x509_parser::parse_x509_certificate(root).is_ok_and(|(_, root)| {
                root.subject().as_raw() == list.issuer().as_raw()
                    && list.verify_signature(root.public_key()).is_ok()
            })
        });
        if !signed {
            return Err(bad(&"no root of this federation signed it"));
        }
        let number = list.crl_number().map(num_bytes);
        let number = number.ok_or_else(|| bad(&"it has no number"))?;
        let issuer = list.issuer().as_raw().to_vec();
        let parsed = OwnedCertRevocationList::from_der(&der).map_err(|e| bad(&e))?;
        Ok(List {
            issuer,
            number,
            parsed: parsed.into(),
            der,
        })
    }

    fn lists(&self) -> MutexGuard<'_, Vec<List>> {
        self.0.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list in PEM or DER, as DER.
pub(crate) fn list_der(list: &[u8]) -> Vec<u8> {
    match CertificateRevocationListDer::from_pem_slice(list) {
        Ok(der) => der.to_vec(),
        Err(_) => list.to_vec(),
    }
}

/// A list's number, as bytes that compare as it does.
fn num_bytes(number: &x509_parser::num_bigint::BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let mut padded = vec![0; 24_usize.saturating_sub(bytes.len())];
    padded.extend_from_slice(&bytes);
    padded
}

/// Why a certificate does not hold.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// By X.509.
    Path(webpki::Error),
    /// By our own rules.
    Ours(NetError),
}

impl From<webpki::Error> for Refusal {
    fn from(error: webpki::Error) -> Self {
        Self::Path(error)
    }
}

impl From<NetError> for Refusal {
    fn from(error: NetError) -> Self {
        Self::Ours(error)
    }
}

impl From<Refusal> for NetError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Path(error) => refused(&error),
            Refusal::Ours(error) => error,
        }
    }
}

fn refused(error: &webpki::Error) -> NetError {
    let problem = match error {
        webpki::Error::CertRevoked => "it was revoked".to_owned(),
        webpki::Error::CertExpired { .. } => "it has expired; ask for a new one".to_owned(),
        webpki::Error::CertNotValidYet { .. } => {
            "it is not valid yet; check both machines' clocks".to_owned()
        }
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            "no root of this federation issued it".to_owned()
        }
        error => error.to_string(),
    };
    NetError::certificate(CERTIFICATE, problem)
}

fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    webpki::ALL_VERIFICATION_ALGS
}
