//! The coordinator while it collects signatures.

use std::collections::{BTreeMap, BTreeSet};

use lepton_crypto::{Digest, Signature, merkle::MerkleTree};
use prost::Message;

use crate::coordinator::{Addressed, Round, Shown};
use crate::opening::Opening;
use crate::party::SURVIVOR_DOMAIN;
use crate::survivors::Survivors;
use crate::wire::{self, SignatureBundleIn, SignatureIn, SignerIn};
use crate::{Fault, PartyIndex, PeerReason, Step};

/// A coordinator that fixed the survivor set and collects its signatures.
pub struct Signing {
    round: Round,
    shown: Shown,
    hash: Digest,
    signatures: BTreeMap<PartyIndex, Signature>,
    agreed: BTreeSet<PartyIndex>,
}

impl Signing {
    pub(crate) fn new(round: Round, survivors: Survivors, tree: MerkleTree) -> Self {
        let hash = round.binding.survivor_hash(&survivors, &tree.root());
        Self {
            round,
            shown: Shown { survivors, tree },
            hash,
            signatures: BTreeMap::new(),
            agreed: BTreeSet::new(),
        }
    }

    /// The hash that the committee signs.
    #[must_use]
    pub fn survivor_hash(&self) -> Digest {
        self.hash
    }

    /// The survivors, ascending.
    #[must_use]
    pub fn survivors(&self) -> Vec<PartyIndex> {
        self.round.inputs.keys().copied().collect()
    }

    /// What a survivor is shown; `None` for others. Made when it is asked for: all views together are much larger than what they are made from.
    #[must_use]
    pub fn view(&self, reader: PartyIndex) -> Option<Vec<u8>> {
        self.round.view(&self.shown, reader)
    }

    /// The views of all survivors, each made when the iterator reaches it.
    pub fn views(&self) -> impl Iterator<Item = Addressed> + '_ {
        let survivors = self.round.inputs.keys();
        survivors.filter_map(|reader| Some((*reader, self.view(*reader)?)))
    }

    /// Takes a party's message (b). Refuses parties that are no survivors, second and foreign messages, signatures over anything but the survivor
    /// hash, and signatures from outside the committee.
    pub fn accept(&mut self, from: PartyIndex, body: &[u8]) -> Result<(), Fault> {
        let signature = self
            .verify(from, body)
            .map_err(|reason| Fault::Peer(from, reason))?;
        self.agreed.insert(from);
        self.signatures
            .extend(signature.map(|signature| (from, signature)));
        Ok(())
    }

    /// How many survivors have agreed, members of the committee and others.
    #[must_use]
    pub fn agreed(&self) -> usize {
        self.agreed.len()
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
        let opening = Opening::new(self.round, self.shown, self.hash);
        Ok((opening, bundle.encode_to_vec()))
    }

    fn quorum(&self) -> usize {
        self.round.scope.parameters().quorum().into()
    }

    /// The signature of a member of the committee; `None` from anybody else.
    fn verify(&self, from: PartyIndex, body: &[u8]) -> Result<Option<Signature>, PeerReason> {
        let identity = self
            .round
            .scope
            .keys
            .identity(from)
            .filter(|_| self.round.inputs.contains_key(&from));
        let identity = identity.ok_or(PeerReason::Unexpected)?;
        if self.agreed.contains(&from) {
            return Err(PeerReason::Duplicate);
        }
        let message: SignatureIn =
            wire::decode(body, wire::SIGNATURE_LIMIT).ok_or(PeerReason::Malformed)?;
        if !self.round.binding.matches(&message.binding) {
            return Err(PeerReason::Foreign);
        }
        let length = PeerReason::Length("signature");
        if !self.round.scope.keys.signs(from) {
            return if message.signature.is_empty() {
                Ok(None)
            } else {
                Err(length)
            };
        }
        let signature = Signature::try_from(message.signature.as_slice()).map_err(|_| length)?;
        identity
            .verify(SURVIVOR_DOMAIN, self.hash.as_ref(), &signature)
            .map_err(|_| PeerReason::Signature)?;
        Ok(Some(signature))
    }
}
