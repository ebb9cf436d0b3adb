//! The epoch's verified public keys and graph.

use std::collections::BTreeSet;
use std::sync::Arc;

use lepton_crypto::{AgreementPublic, Digest, IdentityPublic, Signature, ct_eq, hash};

use crate::graph::{self, Graph};
use crate::neighbourhood::Neighbourhood;
use crate::wire::{self, KeyAdvertIn, RevealIn, WORD};
use crate::{CallerReason, EpochContext, Fault, Parameters, PartyIndex, PeerReason, Step};

pub(crate) const ADVERT_DOMAIN: &str = "lepton/masked-sum/advert/v2";

/// Sparse graphs that a job may draw: what their failure probability is shared among (SA-21).
const MAX_SPARSE_EPOCHS: u64 = 1 << 10;

/// The enrolled identities of all parties, by position: distinct. Cheap to clone.
#[derive(Clone)]
pub struct Roster(Arc<[IdentityPublic]>);

impl Roster {
    /// Refuses an identity that is twice in the list (SA-01).
    pub fn new(identities: &[IdentityPublic]) -> Result<Self, CallerReason> {
        if identities.iter().collect::<BTreeSet<_>>().len() != identities.len() {
            return Err(CallerReason::RepeatedIdentity);
        }
        Ok(Self(identities.into()))
    }

    /// By position.
    #[must_use]
    pub fn identities(&self) -> &[IdentityPublic] {
        &self.0
    }

    fn of_size(&self, params: &Parameters) -> Result<(), CallerReason> {
        if self.0.len() == params.n() {
            return Ok(());
        }
        Err(CallerReason::RosterSize {
            have: self.0.len(),
            need: params.n(),
        })
    }
}

/// All parties' adverts of one epoch, as one machine was shown them: the membership from which the graph will be drawn.
pub(crate) struct Frozen {
    params: Parameters,
    context: EpochContext,
    roster: Roster,
    statement: EpochStatement,
    adverts: Vec<Advert>,
    digest: Digest,
}

struct Advert {
    key: AgreementPublic,
    commitment: Vec<u8>,
    signature: Signature,
}

/// Whose adverts a machine relies on, and so must verify (SA-03).
pub(crate) enum Reliance {
    /// The coordinator, so that it names who sent a bad advert.
    All,
    /// A party: on its neighbours, the committee and the speaker.
    Of(PartyIndex),
}

/// All parties' keys of one epoch, verified (SA-03), with the roster, parameters, context and graph that they are bound to.
pub struct EpochKeys {
    params: Parameters,
    context: EpochContext,
    roster: Roster,
    keys: Vec<AgreementPublic>,
    graph: Graph,
    committee: Vec<PartyIndex>,
    digest: Digest,
}

impl Frozen {
    /// Parses the adverts of all parties. Refuses (SA-03) adverts that are missing, repeated, from nobody in the roster or malformed;
    /// (SA-21) a sparse graph in an epoch beyond the 1,024th.
    pub(crate) fn new(
        params: Parameters,
        roster: Roster,
        context: EpochContext,
        adverts: &[(PartyIndex, Vec<u8>)],
    ) -> Result<Self, Fault> {
        let statement = EpochStatement::new(&params, &roster, &context)?;
        let mut found: Vec<Option<Advert>> = Vec::new();
        found.resize_with(params.n(), || None);
        for (party, bytes) in adverts {
            let refuse = |reason| Fault::Peer(*party, reason);
            let place = found
                .get_mut(party.at())
                .ok_or(refuse(PeerReason::Unexpected))?;
            let advert = Advert::parse(&params, bytes).map_err(refuse)?;
            if place.replace(advert).is_some() {
                return Err(refuse(PeerReason::Duplicate));
            }
        }
        let adverts: Vec<_> = found.into_iter().flatten().collect();
        if adverts.len() < params.n() {
            return Err(Fault::TooFew {
                have: adverts.len(),
                need: params.n(),
                step: Step::Setup,
            });
        }
        let digest = statement.frozen(&adverts);
        Ok(Self {
            params,
            context,
            roster,
            statement,
            adverts,
            digest,
        })
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.params
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(crate) fn key(&self, party: PartyIndex) -> Option<&AgreementPublic> {
        self.adverts.get(party.at()).map(|advert| &advert.key)
    }

    pub(crate) fn commitment(&self, party: PartyIndex) -> Option<&[u8]> {
        let advert = self.adverts.get(party.at())?;
        Some(&advert.commitment)
    }

    /// Draws the graph from the revealed parts and verifies the adverts relied on.
    ///
    /// Refuses (SA-22) reveals that are missing, repeated, malformed, made for other adverts or no opening of their commitment; (SA-03) adverts
    /// relied on that are not signed by the roster's identity for this epoch, or whose key is of small order or shared by two of them.
    pub(crate) fn open(
        self,
        reveals: &[(PartyIndex, Vec<u8>)],
        reliance: &Reliance,
    ) -> Result<EpochKeys, Fault> {
        let parts = self.parts(reveals)?;
        let digest = hash("lepton/masked-sum/keys/v2", &[self.digest.as_ref(), &parts]);
        let (graph, committee) = match self.params.topology() {
            crate::Topology::Complete => (
                Graph::complete(self.params.parties()),
                self.params.everyone().collect(),
            ),
            crate::Topology::Sparse { cycles, committee } => (
                Graph::sparse(self.params.parties(), cycles, &digest),
                graph::committee(self.params.parties(), committee, &digest),
            ),
        };
        let keys = EpochKeys {
            params: self.params,
            context: self.context,
            roster: self.roster,
            keys: self.adverts.iter().map(|advert| advert.key).collect(),
            graph,
            committee,
            digest,
        };
        keys.check_degrees()?;
        let mut seen = BTreeSet::new();
        for party in keys.relied_on(reliance) {
            let advert = self.adverts.get(party.at());
            let identity = keys.identity(party);
            let (Some(advert), Some(identity)) = (advert, identity) else {
                continue;
            };
            let refuse = |reason| Fault::Peer(party, reason);
            self.statement
                .verify(party, identity, advert)
                .map_err(refuse)?;
            if !seen.insert(advert.key) {
                return Err(refuse(PeerReason::Key));
            }
        }
        Ok(keys)
    }

    /// The parts of all parties in order; nothing when the graph is complete.
    fn parts(&self, reveals: &[(PartyIndex, Vec<u8>)]) -> Result<Vec<u8>, Fault> {
        if !self.params.is_sparse() {
            return Ok(Vec::new());
        }
        let n = self.params.n();
        let mut parts = vec![0; n * WORD];
        let mut seen = BTreeSet::new();
        for (party, bytes) in reveals {
            let refuse = |reason| Fault::Peer(*party, reason);
            let place = parts
                .chunks_exact_mut(WORD)
                .nth(party.at())
                .ok_or(refuse(PeerReason::Unexpected))?;
            if !seen.insert(*party) {
                return Err(refuse(PeerReason::Duplicate));
            }
            let reveal: RevealIn =
                wire::decode(bytes, wire::REVEAL_LIMIT).ok_or(refuse(PeerReason::Malformed))?;
            if reveal.adverts != self.digest.as_ref() {
                return Err(refuse(PeerReason::Foreign));
            }
            if reveal.part.len() != WORD {
                return Err(refuse(PeerReason::Length("part")));
            }
            let opened = self.statement.commitment(*party, &reveal.part);
            let committed = self.commitment(*party).unwrap_or_default();
            if !ct_eq(opened.as_ref(), committed) {
                return Err(refuse(PeerReason::Reveal));
            }
            place.copy_from_slice(&reveal.part);
        }
        if seen.len() < n {
            return Err(Fault::TooFew {
                have: seen.len(),
                need: n,
                step: Step::Setup,
            });
        }
        Ok(parts)
    }
}

impl EpochKeys {
    /// Verifies the adverts of all parties of the roster and, for a sparse graph, their reveals (`reveals` is ignored for a complete one).
    ///
    /// Refuses (SA-01) a roster of another size; (SA-03) adverts that are missing, repeated, from nobody in the roster, malformed, not signed
    /// by the roster's identity for this epoch, of small order or shared by two parties; (SA-22) reveals likewise.
    pub fn verify(
        params: Parameters,
        roster: &Roster,
        context: EpochContext,
        adverts: &[(PartyIndex, Vec<u8>)],
        reveals: &[(PartyIndex, Vec<u8>)],
    ) -> Result<Self, Fault> {
        Frozen::new(params, roster.clone(), context, adverts)?.open(reveals, &Reliance::All)
    }

    /// The digest of all adverts that reveals are made for, without a check of their signatures.
    ///
    /// # Errors
    /// What [`EpochKeys::verify`] refuses before it looks at reveals and signatures.
    pub fn digest_of_adverts(
        params: Parameters,
        roster: &Roster,
        context: EpochContext,
        adverts: &[(PartyIndex, Vec<u8>)],
    ) -> Result<Digest, Fault> {
        Ok(Frozen::new(params, roster.clone(), context, adverts)?.digest)
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.params
    }

    /// The job and epoch.
    #[must_use]
    pub fn context(&self) -> EpochContext {
        self.context
    }

    /// The parties' identities by position.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The digest that stands for job, epoch, parameters, roster, all keys and the graph (SA-02).
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The neighbours of a party, ascending.
    #[must_use]
    pub fn neighbours(&self, party: PartyIndex) -> &[PartyIndex] {
        self.graph.neighbours(party)
    }

    /// The parties that sign survivor sets, ascending.
    #[must_use]
    pub fn committee(&self) -> &[PartyIndex] {
        &self.committee
    }

    pub(crate) fn signs(&self, party: PartyIndex) -> bool {
        self.committee.binary_search(&party).is_ok()
    }

    pub(crate) fn neighbourhood(&self, party: PartyIndex) -> Neighbourhood {
        Neighbourhood::of(self.graph.neighbours(party), party)
    }

    pub(crate) fn key(&self, party: PartyIndex) -> Option<&AgreementPublic> {
        self.keys.get(party.at())
    }

    pub(crate) fn identity(&self, party: PartyIndex) -> Option<&IdentityPublic> {
        self.roster.0.get(party.at())
    }

    /// Whom `party` has an agreement with: its neighbours and the speaker; the speaker with everybody.
    pub(crate) fn correspondents(&self, party: PartyIndex) -> Vec<PartyIndex> {
        if party == SPEAKER || !self.params.is_sparse() {
            return self
                .params
                .everyone()
                .filter(|peer| *peer != party)
                .collect();
        }
        let mut all = self.graph.neighbours(party).to_vec();
        if let Err(place) = all.binary_search(&SPEAKER) {
            all.insert(place, SPEAKER);
        }
        all
    }

    fn relied_on(&self, reliance: &Reliance) -> BTreeSet<PartyIndex> {
        match reliance {
            Reliance::All => self.params.everyone().collect(),
            Reliance::Of(party) => {
                let own = [*party];
                let committee = self.committee.iter().copied();
                let correspondents = self.correspondents(*party).into_iter();
                committee.chain(correspondents).chain(own).collect()
            }
        }
    }

    /// Every closed neighbourhood can hold a sharing (SA-01). Repeated edges of a random graph collapse, so this is not certain beforehand.
    fn check_degrees(&self) -> Result<(), CallerReason> {
        let need = usize::from(self.params.threshold());
        let poor = |party: &PartyIndex| self.graph.neighbours(*party).len() + 1 < need;
        match self.params.everyone().find(poor) {
            None => Ok(()),
            Some(party) => Err(CallerReason::Degree(party)),
        }
    }
}

/// The party that has an agreement with everybody on a sparse graph too: the first of the roster (SA-05).
pub(crate) const SPEAKER: PartyIndex = PartyIndex::new(0);

impl Advert {
    fn parse(params: &Parameters, bytes: &[u8]) -> Result<Self, PeerReason> {
        let advert: KeyAdvertIn =
            wire::decode(bytes, wire::ADVERT_LIMIT).ok_or(PeerReason::Malformed)?;
        let key = AgreementPublic::try_from(advert.key.as_slice())
            .map_err(|_| PeerReason::Length("key"))?;
        let signature = Signature::try_from(advert.signature.as_slice())
            .map_err(|_| PeerReason::Length("signature"))?;
        let need = if params.is_sparse() { WORD } else { 0 };
        if advert.commitment.len() != need {
            return Err(PeerReason::Length("commitment"));
        }
        Ok(Self {
            key,
            commitment: advert.commitment,
            signature,
        })
    }
}

/// What an advert's signature covers beside the party, its key and its commitment.
pub(crate) struct EpochStatement(Digest);

impl EpochStatement {
    /// Refuses a roster of another size (SA-01) and a sparse graph in an epoch beyond the 1,024th (SA-21).
    pub(crate) fn new(
        params: &Parameters,
        roster: &Roster,
        context: &EpochContext,
    ) -> Result<Self, CallerReason> {
        roster.of_size(params)?;
        if params.is_sparse() && context.epoch >= MAX_SPARSE_EPOCHS {
            return Err(CallerReason::Epochs(MAX_SPARSE_EPOCHS));
        }
        let members: Vec<u8> = roster
            .0
            .iter()
            .flat_map(|identity| identity.to_bytes())
            .collect();
        Ok(Self(hash(
            "lepton/masked-sum/epoch/v2",
            &[&context.bytes(), &params.bytes(), &members],
        )))
    }

    pub(crate) fn advert(
        &self,
        party: PartyIndex,
        key: &AgreementPublic,
        commitment: &[u8],
    ) -> Vec<u8> {
        [self.0.as_ref(), &party.bytes(), &key.to_bytes(), commitment].concat()
    }

    /// The commitment to a party's part of the graph's seed.
    pub(crate) fn commitment(&self, party: PartyIndex, part: &[u8]) -> Digest {
        hash(
            "lepton/masked-sum/graph-part/v1",
            &[self.0.as_ref(), &party.bytes(), part],
        )
    }

    fn verify(
        &self,
        party: PartyIndex,
        identity: &IdentityPublic,
        advert: &Advert,
    ) -> Result<(), PeerReason> {
        let signed = self.advert(party, &advert.key, &advert.commitment);
        identity
            .verify(ADVERT_DOMAIN, &signed, &advert.signature)
            .map_err(|_| PeerReason::Signature)?;
        advert.key.check().map_err(|_| PeerReason::Key)
    }

    fn frozen(&self, adverts: &[Advert]) -> Digest {
        let mut all = Vec::with_capacity(adverts.len() * 2 * WORD);
        for advert in adverts {
            all.extend_from_slice(&advert.key.to_bytes());
            all.extend_from_slice(&advert.commitment);
        }
        hash("lepton/masked-sum/frozen/v1", &[self.0.as_ref(), &all])
    }
}
