//! The certificate that the other side of a connection showed: whether it holds for as long as the connection does (EN-07, TR-10).

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rustls::CommonState;
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::sleep;

use super::NetError;
use super::pki::{Leaf, Refusal, Trust, Usage, now};

/// Longest time between looks at the clock, which may be set.
const LOOK: u64 = 60;

/// A certificate as a connection showed it.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) leaf: Leaf,
    chain: Arc<[CertificateDer<'static>]>,
    usage: Usage,
}

impl Shown {
    /// What the other side showed in a handshake, which verified it; whether it holds still is [`Shown::verify`]'s to say.
    pub(super) fn on(connection: &CommonState, usage: Usage) -> Result<Self, NetError> {
        let chain = connection.peer_certificates().unwrap_or_default().iter();
        let chain: Arc<[_]> = chain.map(|one| one.clone().into_owned()).collect();
        let missing = || NetError::certificate("the certificate", "missing");
        Ok(Self {
            leaf: Leaf::parse(chain.first().ok_or_else(missing)?)?,
            chain,
            usage,
        })
    }

    /// Whether it holds now.
    pub(super) fn verify(&self, trust: &Trust) -> Result<(), NetError> {
        trust.verify(&self.chain, self.usage).map(|_| ())
    }

    /// Why it was revoked, if it was; one that only expired may be followed by another over the same key.
    pub(super) fn revoked(&self, trust: &Trust) -> Option<NetError> {
        let time = now().min(self.leaf.not_after);
        match trust.check(&self.chain, self.usage, time) {
            Err(Refusal::Path(webpki::Error::CertRevoked)) => {
                Some(Refusal::Path(webpki::Error::CertRevoked).into())
            }
            _ => None,
        }
    }

    /// Waits until it holds no more, and says why. `changes` are `trust`'s, from before it was verified last. Cancelling loses nothing.
    pub(super) async fn fails(
        &self,
        trust: &Trust,
        changes: &mut watch::Receiver<u64>,
    ) -> NetError {
        loop {
            tokio::select! {
                // Its last second is a good one.
                () = reached(self.leaf.not_after.saturating_add(1)) => {}
                changed = changes.changed() => if changed.is_err() { return pending().await },
            }
            if let Err(error) = self.verify(trust) {
                return error;
            }
        }
    }
}

/// Waits until the clock shows a second since 1970, or a later one.
pub(super) async fn reached(second: u64) {
    while let Some(left) = second.checked_sub(now()).filter(|left| *left > 0) {
        sleep(Duration::from_secs(left.min(LOOK))).await;
    }
}

#[cfg(test)]
impl Shown {
    /// What a member would show.
    pub(super) fn of(member: &super::Credentials, usage: Usage) -> Self {
        Self {
            leaf: member.leaf(),
            chain: member.chain().into(),
            usage,
        }
    }
}
