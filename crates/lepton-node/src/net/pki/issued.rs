//! What an authority gives to a member.

use rustls_pki_types::CertificateDer;

use super::certificate::chain_from_pem;
use super::{Fingerprint, Leaf};
use crate::net::NetError;

const WHAT: &str = "the authority's answer";

/// What a member gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The member's certificate, in PEM.
    pub certificate: String,
    /// The root, in PEM.
    pub root: String,
    /// Newest revocation list, in PEM.
    pub revoked: String,
}

impl Issued {
    /// Everything in one PEM text: certificate, root, revocation list.
    #[must_use]
    pub fn to_bundle(&self) -> String {
        [&self.certificate, &self.root, &self.revoked]
            .map(|part| part.trim_end())
            .join("\n")
            + "\n"
    }

    /// Reads [`Issued::to_bundle`]'s text, or what another authority put together: the certificate first, then the roots, then a list, if any.
    ///
    /// # Errors
    /// [`NetError::Certificate`].
    pub fn from_bundle(text: &str) -> Result<Self, NetError> {
        let blocks = pem::parse_many(text).map_err(|error| NetError::certificate(WHAT, error))?;
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let of = |tag: &str| -> Vec<String> {
            let blocks = blocks.iter().filter(|block| block.tag() == tag);
            blocks
                .map(|block| pem::encode_config(block, config))
                .collect()
        };
        let certificates = of("CERTIFICATE");
        match certificates.split_first() {
            Some((first, roots)) if !roots.is_empty() => Ok(Self {
                certificate: first.clone(),
                root: roots.concat(),
                revoked: of("X509 CRL").concat(),
            }),
            _ => Err(NetError::certificate(
                "the authority's answer",
                "it must hold the member's certificate and, after it, the root's",
            )),
        }
    }

    /// The fingerprints of its roots.
    ///
    /// # Errors
    /// [`NetError::Certificate`] when there is none.
    pub fn roots(&self) -> Result<Vec<Fingerprint>, NetError> {
        let roots = chain_from_pem(&self.root)?;
        Ok(roots.iter().map(Fingerprint::of).collect())
    }

    /// Refuses an answer with a root that is none of `expected` (EN-03, EN-05).
    ///
    /// # Errors
    /// [`NetError::Certificate`] that names the strange one.
    pub fn check_roots(&self, expected: &[Fingerprint]) -> Result<(), NetError> {
        let roots = self.roots()?;
        match roots.iter().find(|root| !expected.contains(root)) {
            None => Ok(()),
            Some(strange) => Err(NetError::certificate(
                "the root certificate",
                format!("its fingerprint is {strange}, which is not the expected one"),
            )),
        }
    }

    /// What the certificate says.
    ///
    /// # Errors
    /// [`NetError::Certificate`].
    pub fn leaf(&self) -> Result<Leaf, NetError> {
        Leaf::parse(&first(&self.certificate)?)
    }
}

/// The first certificate of a PEM text.
pub(super) fn first(pem: &str) -> Result<CertificateDer<'static>, NetError> {
    let mut chain = chain_from_pem(pem)?.into_iter();
    chain
        .next()
        .ok_or_else(|| NetError::certificate(WHAT, "no certificate"))
}
