//! What must hold in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lepton_crypto::{Digest, long_hash};
use lepton_ring::RingVec;
use lepton_secagg::{
    Attempt, CoordinatorReason, Fault, Grouping, Parameters, PartyEpoch, PartyIndex, PeerReason,
    Summed,
};
use prost::Message;

use super::MaskedSumConfig;
use super::bodies::{InputBody, OpenBody, WORD, column_digest};
use super::knowledge::{Graph, Knowledge};

/// Watches honest parties and the coordinator. Epochs are told apart by their digest: parties that were shown different keys are in different ones.
pub(crate) struct Checker {
    rules: Rules,
    colluders: BTreeSet<u16>,
    honest_coordinator: bool,
    graphs: BTreeMap<Digest, Epoch>,
    /// The epoch that each party is in.
    epochs: BTreeMap<u16, Digest>,
    attempts: BTreeMap<(Attempt, Digest), Facts>,
    /// The hash that is opened, whatever the epoch.
    hashes: BTreeMap<Attempt, Digest>,
    violations: Vec<String>,
}

/// How many honest parties a sum must be over, and which.
struct Rules {
    params: Parameters,
    grouping: Option<Arc<Grouping>>,
}

struct Epoch {
    /// Of the epoch, or the part of it within groups (SA-25).
    graph: Graph,
    /// An insecure sparse graph that came out so that the protocol promises nothing. Parameters that promise (SA-01, SA-21) have no such excuse.
    frail: bool,
}

/// What honest parties did in an attempt.
#[derive(Default)]
struct Facts {
    sent: BTreeMap<u16, Sent>,
    agreed: BTreeMap<u16, Digest>,
    survivors: BTreeMap<Digest, BTreeSet<u16>>,
    opened: Option<Digest>,
    openers: BTreeSet<u16>,
    /// Whether the coordinator has the sum.
    summed: bool,
    known: Knowledge,
}

/// What is kept of a message (a).
struct Sent {
    digest: Digest,
    binding: Vec<u8>,
    columns: Vec<u8>,
}

impl Checker {
    pub(crate) fn new(config: &MaskedSumConfig) -> Self {
        Self {
            rules: Rules {
                params: config.params,
                grouping: config.grouping.clone(),
            },
            colluders: config.colluders.clone(),
            honest_coordinator: config.honest_coordinator,
            graphs: BTreeMap::new(),
            epochs: BTreeMap::new(),
            attempts: BTreeMap::new(),
            hashes: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// A party is in this epoch.
    pub(crate) fn knows(&mut self, epoch: &PartyEpoch) {
        let keys = epoch.keys();
        self.epochs.insert(epoch.index().get(), keys.digest());
        if self.graphs.contains_key(&keys.digest()) {
            return;
        }
        let within = |party| {
            let neighbours = keys.neighbours(party).iter().copied();
            let own = neighbours.filter(|peer| self.rules.group(*peer) == self.rules.group(party));
            own.map(PartyIndex::get).collect()
        };
        let whole = keys.parameters().threshold();
        let grouping = self.rules.grouping.as_deref();
        let graph = Graph {
            neighbours: (0..keys.parameters().parties())
                .map(|party| within(PartyIndex::new(party)))
                .collect(),
            threshold: grouping.map_or(whole, Grouping::threshold).into(),
            colluders: self.colluders.clone(),
        };
        let committee = keys.committee().iter();
        let bribed = committee.filter(|p| !graph.is_honest(p.get())).count();
        let (l, q) = (
            keys.committee().len(),
            usize::from(self.rules.params.quorum()),
        );
        let frail = !self.promises() && (graph.is_surrounded() || 2 * q <= l + bribed);
        self.graphs.insert(keys.digest(), Epoch { graph, frail });
    }

    /// Whether the parameters are such that privacy is promised on every graph that may come out.
    fn promises(&self) -> bool {
        let bits = self.rules.params.security_bits();
        bits.is_none_or(|bits| bits >= 40.0)
    }

    fn is_honest(&self, party: u16) -> bool {
        !self.colluders.contains(&party)
    }

    fn place(&self, party: u16, attempt: Attempt) -> (Attempt, Digest) {
        let epoch = self.epochs.get(&party).copied();
        (attempt, epoch.unwrap_or(Digest::from_bytes([0; WORD])))
    }

    fn violated(&mut self, attempt: Attempt, what: &str) {
        self.violations.push(format!("{attempt}: {what}"));
    }

    /// SA-06: one message (a) for an attempt.
    pub(crate) fn sent_input(&mut self, party: u16, attempt: Attempt, body: &[u8]) {
        if !self.is_honest(party) {
            return;
        }
        let Ok(message) = InputBody::decode(body) else {
            return self.violated(attempt, &format!("party {party} sent no message (a)"));
        };
        let sent = Sent {
            digest: long_hash("simulated message", &[body]),
            binding: message.binding,
            columns: message.columns,
        };
        let place = self.place(party, attempt);
        let facts = self.attempts.entry(place).or_default();
        let digest = sent.digest;
        if facts
            .sent
            .insert(party, sent)
            .is_some_and(|old| old.digest != digest)
        {
            self.violated(attempt, &format!("party {party} made two messages (a)"));
        }
    }

    /// SA-12, SA-14, SA-26: one survivor set, of enough parties, of each group too, and with the party itself.
    pub(crate) fn agreed(
        &mut self,
        party: u16,
        attempt: Attempt,
        hash: Digest,
        survivors: &[PartyIndex],
    ) {
        if !self.is_honest(party) {
            return;
        }
        if !self.rules.suffice(survivors) || !survivors.contains(&PartyIndex::new(party)) {
            self.violated(attempt, &format!("party {party} agreed to a bad set"));
        }
        let place = self.place(party, attempt);
        let facts = self.attempts.entry(place).or_default();
        let listed = || survivors.iter().map(|p| p.get()).collect();
        facts.survivors.entry(hash).or_insert_with(listed);
        if facts
            .agreed
            .insert(party, hash)
            .is_some_and(|old| old != hash)
        {
            self.violated(attempt, &format!("party {party} agreed to two hashes"));
        }
    }

    /// SA-16, SA-17: one opened hash, and only what may be opened under it.
    pub(crate) fn opened(&mut self, party: u16, attempt: Attempt, hash: Digest, body: &[u8]) {
        if !self.is_honest(party) {
            return;
        }
        let place = self.place(party, attempt);
        let (facts, epoch) = (self.attempts.entry(place).or_default(), &place.1);
        let Some(Epoch {
            graph,
            frail: false,
        }) = self.graphs.get(epoch)
        else {
            return;
        };
        let first = *self.hashes.entry(attempt).or_insert(hash);
        if first != hash {
            let what = "honest parties opened two survivor sets";
            self.violations.push(format!("{attempt}: {what}"));
        }
        if let Err(what) = facts.take_opening(graph, party, hash, body) {
            self.violated(attempt, &what);
        }
    }

    /// The sum is that of the survivors who were signed.
    pub(crate) fn summed(
        &mut self,
        attempt: Attempt,
        hash: Option<Digest>,
        summed: &Summed,
        expected: &[RingVec],
    ) {
        if summed.sums != expected {
            self.violated(attempt, "the opened sum is not the sum of its survivors");
        }
        let survivors: BTreeSet<_> = summed.survivors.iter().map(|p| p.get()).collect();
        let mut facts = self
            .attempts
            .iter_mut()
            .filter(|((at, _), _)| *at == attempt);
        let signed = hash.and_then(|hash| {
            facts.find_map(|(_, facts)| {
                let set = facts.survivors.get(&hash)?;
                facts.summed = true;
                Some(set.clone())
            })
        });
        let frail = self.graphs.values().any(|epoch| epoch.frail);
        let opened = frail || self.hashes.get(&attempt) == hash.as_ref();
        if signed.as_ref() != Some(&survivors) || !opened {
            self.violated(attempt, "a sum was opened that honest parties did not sign");
        }
    }

    /// SA-13: who is accused of dealing other shares than it committed to did so; an honest coordinator is not accused.
    pub(crate) fn party_refused(&mut self, party: u16, fault: &Fault) {
        if !self.is_honest(party) {
            return;
        }
        let wrong = match fault {
            Fault::Peer(peer, PeerReason::Dealt) => self.is_honest(peer.get()),
            Fault::Coordinator(CoordinatorReason::Bundle { dealer }) => {
                self.honest_coordinator && self.is_honest(dealer.get())
            }
            Fault::Coordinator(_) => self.honest_coordinator,
            _ => false,
        };
        if wrong {
            let what = format!("party {party} accuses wrongly: {fault}");
            self.violations.push(what);
        }
    }

    /// SA-10, SA-15, SA-18: an honest coordinator accuses colluders only. A second message may be the network's, one that nobody waits for its delay's.
    pub(crate) fn coordinator_refused(&mut self, fault: &Fault) {
        let network = [PeerReason::Duplicate, PeerReason::Unexpected];
        let wrong = match fault {
            Fault::Peer(_, reason) if network.contains(reason) => false,
            Fault::Peer(peer, _) => self.is_honest(peer.get()),
            Fault::Pair(a, b) => self.is_honest(a.get()) && self.is_honest(b.get()),
            _ => false,
        };
        if wrong && self.honest_coordinator {
            let what = format!("the coordinator accuses wrongly: {fault}");
            self.violations.push(what);
        }
    }

    /// The violations, and in how many attempts the graph allowed no statement about privacy.
    pub(crate) fn finish(mut self) -> (Vec<String>, u64) {
        let mut frail = 0;
        for ((attempt, epoch), facts) in &self.attempts {
            let Some(epoch) = self.graphs.get(epoch) else {
                continue;
            };
            if self.is_frail(epoch, facts) {
                frail += 1;
                continue;
            }
            let found = facts.leaks(&epoch.graph, &self.rules);
            let named = found.into_iter().map(|what| format!("{attempt}: {what}"));
            self.violations.extend(named);
        }
        (self.violations, frail)
    }

    /// Whether honest survivors have no common mask on a graph that promises nothing.
    fn is_frail(&self, epoch: &Epoch, facts: &Facts) -> bool {
        let honest = facts.honest_survivors(&epoch.graph);
        let torn = || epoch.graph.groups(&honest, |_, _| true).len() > 1;
        epoch.frail || (!self.promises() && torn())
    }
}

impl Rules {
    /// The group that a party's vector is summed in.
    fn group(&self, party: PartyIndex) -> u16 {
        let grouping = self.grouping.as_deref();
        grouping.and_then(|groups| groups.of(party)).unwrap_or(0)
    }

    fn suffice(&self, survivors: &[PartyIndex]) -> bool {
        let enough = survivors.len() >= usize::from(self.params.survivor_floor());
        let of_group = |group| {
            survivors
                .iter()
                .filter(|p| self.group(**p) == group)
                .count()
        };
        let mut groups = self.grouping.iter().flat_map(|groups| {
            let floor = usize::from(groups.floor());
            (0..groups.groups()).map(move |group| (group, floor))
        });
        enough && groups.all(|(group, floor)| of_group(group) >= floor)
    }

    /// The parties of each sum, and how many of them there must be at least.
    fn sums(&self, honest: &BTreeSet<u16>) -> (Vec<BTreeSet<u16>>, usize) {
        let c = self.params.colluders();
        let Some(grouping) = self.grouping.as_deref() else {
            let least = self
                .params
                .parties()
                .saturating_sub(self.params.drops() + c);
            return (vec![honest.clone()], least.into());
        };
        let members = |group| {
            let own = |party: &u16| self.group(PartyIndex::new(*party)) == group;
            honest.iter().copied().filter(own).collect()
        };
        let least = grouping.floor().saturating_sub(c);
        ((0..grouping.groups()).map(members).collect(), least.into())
    }
}

impl Facts {
    fn take_opening(
        &mut self,
        graph: &Graph,
        party: u16,
        hash: Digest,
        body: &[u8],
    ) -> Result<(), String> {
        if !self.openers.insert(party) {
            return Err(format!("party {party} opened twice"));
        }
        if self.agreed.get(&party) != Some(&hash) {
            return Err(format!(
                "party {party} opened under a hash it did not agree to"
            ));
        }
        let first = *self.opened.get_or_insert(hash);
        let survivors = self.survivors.get(&hash).cloned().unwrap_or_default();
        let body = OpenBody::decode(body).map_err(|_| format!("party {party} sent no (c)"))?;
        if body.survivor_hash != hash.as_ref() {
            return Err(format!(
                "party {party} opened under another hash than it said"
            ));
        }
        let mut entries = body.entries.as_slice();
        for dealer in graph.closed(party) {
            if !survivors.contains(&dealer) {
                continue;
            }
            let targets = graph.closed(dealer);
            let cut = entries.split_at_checked(targets.len() * WORD);
            let (own, rest) = cut.ok_or(format!("party {party} opened too little"))?;
            entries = rest;
            let due = |target: u16| target == dealer || !survivors.contains(&target);
            if graph.is_honest(dealer) {
                self.check_column(dealer, (party, &targets), own, due)?;
            }
            for target in targets.into_iter().filter(|target| due(*target)) {
                self.known.opens(dealer, target);
                self.check_secret(graph, first, (dealer, target))?;
            }
        }
        if entries.is_empty() {
            Ok(())
        } else {
            Err(format!("party {party} opened too much"))
        }
    }

    /// The entries are shares where they are due and commitments everywhere else: with exactly those taken for shares, the dealer's own digest comes out.
    fn check_column(
        &self,
        dealer: u16,
        (holder, targets): (u16, &[u16]),
        entries: &[u8],
        due: impl Fn(u16) -> bool,
    ) -> Result<(), String> {
        let wrong = || format!("party {holder} did not open what is due of dealer {dealer}");
        let sent = self.sent.get(&dealer).ok_or_else(wrong)?;
        let is_share = |rank| targets.get(usize::from(rank)).copied().is_some_and(&due);
        let digest = column_digest(&sent.binding, (dealer, holder), entries, is_share);
        let rank = targets.binary_search(&holder).map_err(|_| wrong())?;
        let committed = sent.columns.chunks_exact(WORD).nth(rank);
        if committed == Some(digest.as_ref()) {
            Ok(())
        } else {
            Err(wrong())
        }
    }

    /// A secret of honest parties of which a share was opened: it may be known only if it is due under the first opened hash.
    fn check_secret(
        &self,
        graph: &Graph,
        first: Digest,
        (dealer, target): (u16, u16),
    ) -> Result<(), String> {
        let set = self.survivors.get(&first);
        let within = |party| set.is_some_and(|set| set.contains(&party));
        let due = if dealer == target {
            within(dealer)
        } else {
            within(dealer) != within(target)
        };
        let honest = graph.is_honest(dealer) && graph.is_honest(target);
        if honest && !due && self.known.knows(graph, dealer, target) {
            return Err(format!(
                "the secret of {dealer} and {target} can be combined"
            ));
        }
        Ok(())
    }

    fn honest_survivors(&self, graph: &Graph) -> BTreeSet<u16> {
        let set = self.opened.and_then(|hash| self.survivors.get(&hash));
        let honest = set.into_iter().flatten().copied();
        honest.filter(|party| graph.is_honest(*party)).collect()
    }

    /// Crowds whose sum can be computed beside those of the honest survivors (of each group). These must be among them where the coordinator has the
    /// sums: else what is known was not counted rightly.
    fn leaks(&self, graph: &Graph, rules: &Rules) -> Vec<String> {
        let senders: BTreeSet<u16> = self.sent.keys().copied().collect();
        let honest = self.honest_survivors(graph);
        let (sums, least) = rules.sums(&honest);
        let exposed = self.known.exposed(graph, &senders);
        let blind = self.summed && !sums.iter().all(|sum| exposed.contains(sum));
        let fine = |crowd: &BTreeSet<u16>| sums.contains(crowd) && crowd.len() >= least;
        let wrong = exposed.iter().filter(|crowd| !fine(crowd));
        let leaks = wrong.map(|crowd| format!("the adversary can compute the sum of {crowd:?}"));
        let blind = blind.then(|| "a sum was opened without the shares for it".to_owned());
        leaks.chain(blind).collect()
    }
}
