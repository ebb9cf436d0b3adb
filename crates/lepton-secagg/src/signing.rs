//! The coordinator while it collects signatures.

use std::collections::BTreeMap;

use lepton_crypto::{Digest, Signature};
use prost::Message;

use crate::coordinator::Round;
use crate::opening::Opening;
use crate::party::SURVIVOR_DOMAIN;
use crate::wire::{self, SignatureBundleIn, SignatureIn, SignerIn};
use crate::{Fault, PartyIndex, PeerReason, Step};

/// A coordinator that fixed the survivor set and collects its signatures.
pub struct Signing {
    round: Round,
    hash: Digest,
    signatures: BTreeMap<PartyIndex, Signature>,
}

impl Signing {
    pub(crate) fn new(round: Round, hash: Digest) -> Self {
        Self {
            round,
            hash,
            signatures: BTreeMap::new(),
        }
    }

    /// The hash that survivors sign.
    #[must_use]
    pub fn survivor_hash(&self) -> Digest {
        self.hash
    }

    /// The survivors, ascending.
    #[must_use]
    pub fn survivors(&self) -> Vec<PartyIndex> {
        self.round.inputs.keys().copied().collect()
    }

    /// Takes a party's message (b). Refuses parties that are no survivors, second and foreign messages, and signatures over anything but the
    /// survivor hash.
    pub fn accept(&mut self, from: PartyIndex, body: &[u8]) -> Result<(), Fault> {
        let signature = self
            .verify(from, body)
            .map_err(|reason| Fault::Peer(from, reason))?;
        self.signatures.insert(from, signature);
        Ok(())
    }

    /// Whether the quorum is reached.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.signatures.len() >= self.quorum()
    }

    /// Ends the collection: the state to come, and the signatures for all survivors. Refuses fewer than the quorum (SA-19).
    pub fn close(self) -> Result<(Opening, Vec<u8>), Fault> {
        let (have, need) = (self.signatures.len(), self.quorum());
        if have < need {
            return Err(Fault::TooFew {
                have,
                need,
                step: Step::Signature,
            });
        }
        let signers = self.signatures.iter().take(need);
        let signers = signers.map(|(party, signature)| SignerIn {
            party: party.get().into(),
            signature: signature.to_bytes().to_vec(),
        });
        let bundle = SignatureBundleIn {
            binding: self.round.binding.to_vec(),
            signers: signers.collect(),
        };
        Ok((Opening::new(self.round, self.hash), bundle.encode_to_vec()))
    }

    fn quorum(&self) -> usize {
        self.round.keys.parameters().quorum().into()
    }

    fn verify(&self, from: PartyIndex, body: &[u8]) -> Result<Signature, PeerReason> {
        let identity = self
            .round
            .keys
            .identity(from)
            .filter(|_| self.round.inputs.contains_key(&from));
        let identity = identity.ok_or(PeerReason::Unexpected)?;
        if self.signatures.contains_key(&from) {
            return Err(PeerReason::Duplicate);
        }
        let message: SignatureIn =
            wire::decode(body, wire::SIGNATURE_LIMIT).ok_or(PeerReason::Malformed)?;
        if !self.round.binding.matches(&message.binding) {
            return Err(PeerReason::Foreign);
        }
        let length = PeerReason::Length("signature");
        let signature = Signature::try_from(message.signature.as_slice()).map_err(|_| length)?;
        identity
            .verify(SURVIVOR_DOMAIN, self.hash.as_ref(), &signature)
            .map_err(|_| PeerReason::Signature)?;
        Ok(signature)
    }
}
