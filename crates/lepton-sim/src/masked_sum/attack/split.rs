//! A coordinator that tells two stories at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lepton_crypto::IdentityKey;
use lepton_protocol::frame::Address;
use lepton_secagg::{
    Attempt, Collecting, EpochKeys, Grouping, Opening, PartyIndex, Signing, SumSpec,
};
use prost::Message;

use super::super::bodies::{AgreeBody, InputBody};
use super::super::{Kind, MessageInterceptor, Parcel, Passing, Scene};
use super::Dice;

/// What the committee signs under.
const SURVIVOR_DOMAIN: &str = "lepton/masked-sum/survivors/v2";

/// Two coordinators in one, for two survivor sets of the same attempt.
pub(crate) struct SplitViews {
    dice: Dice,
    attempt: Option<Known>,
    inputs: BTreeMap<u16, Vec<u8>>,
    stories: Vec<Story>,
}

struct Known {
    keys: Arc<EpochKeys>,
    attempt: Attempt,
    spec: SumSpec,
    colluders: Vec<(u16, IdentityKey)>,
}

/// One survivor set and who is told of it.
struct Story {
    stage: Stage,
    readers: BTreeSet<u16>,
}

enum Stage {
    Signing(Box<Signing>),
    Opening(Box<Opening>, Vec<u8>),
    Over,
}

impl SplitViews {
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            dice,
            attempt: None,
            inputs: BTreeMap::new(),
            stories: Vec::new(),
        }
    }

    /// Two sets that each lack others, as few or as many as the parties accept.
    fn invent(&mut self) {
        let Some(known) = &self.attempt else { return };
        let params = known.keys.parameters();
        let spare = self
            .inputs
            .len()
            .saturating_sub(params.survivor_floor().into());
        let mut all: Vec<u16> = self.inputs.keys().copied().collect();
        for place in (1..all.len()).rev() {
            all.swap(place, self.dice.below(place + 1));
        }
        let first = self.dice.below(spare + 1);
        let second = 1 + self.dice.below(spare.max(1));
        let without = |gone: &[u16]| all.iter().copied().filter(|p| !gone.contains(p)).collect();
        let gone = all.split_at(first.min(all.len()));
        let mut sets: [BTreeSet<u16>; 2] = [
            without(gone.0),
            without(gone.1.get(..second).unwrap_or_default()),
        ];
        if let Some(groups) = known.spec.grouping.clone()
            && self.dice.coin()
        {
            let group = self.dice.below(groups.groups().into());
            one_group_apart(&mut sets, &groups, group);
        }
        let readers = self.divide(&sets);
        let Some(known) = &self.attempt else { return };
        for (set, readers) in sets.iter().zip(readers) {
            let signing = known.sign(&self.inputs, set);
            let stage = signing.map_or(Stage::Over, |signing| Stage::Signing(Box::new(signing)));
            self.stories.push(Story { stage, readers });
        }
    }

    /// Who belongs to one set only is told of it, others of either.
    fn divide(&mut self, sets: &[BTreeSet<u16>; 2]) -> [BTreeSet<u16>; 2] {
        let [first, second] = sets;
        let mut readers = [BTreeSet::new(), BTreeSet::new()];
        for party in first.union(second) {
            let to_second = match (first.contains(party), second.contains(party)) {
                (true, true) => self.dice.coin(),
                (both, _) => !both,
            };
            if let Some(set) = readers.get_mut(usize::from(to_second)) {
                set.insert(*party);
            }
        }
        readers
    }

    fn agreed(&mut self, from: u16, message: &Passing<'_>) -> Vec<Parcel> {
        let Some(place) = self.stories.iter().position(|s| s.readers.contains(&from)) else {
            return Vec::new();
        };
        let Some(story) = self.stories.get_mut(place) else {
            return Vec::new();
        };
        if !story.agrees(from, message.bytes) {
            return Vec::new();
        }
        // Beside its own readers, some of the other story get these signatures.
        let strangers = self.stories.iter().enumerate();
        let strangers: Vec<u16> = strangers
            .filter(|(other, _)| *other != place)
            .flat_map(|(_, story)| story.readers.iter().copied())
            .collect();
        let mut parcels = self
            .stories
            .get(place)
            .map(|story| story.parcels(message))
            .unwrap_or_default();
        let bundle = self.stories.get(place).and_then(Story::bundle).cloned();
        for party in strangers {
            if let Some(bundle) = bundle.clone().filter(|_| self.dice.strikes()) {
                parcels.push(message.tell(party, Kind::Bundle, bundle));
            }
        }
        parcels
    }
}

/// Leaves the sets equal but for the members of one group: what a party of any other group is shown is honest but for those.
fn one_group_apart(sets: &mut [BTreeSet<u16>; 2], groups: &Grouping, group: usize) {
    let [first, second] = sets;
    let within = |party: &u16| groups.of(PartyIndex::new(*party)).map(usize::from) == Some(group);
    let others = first.iter().filter(|party| !within(party));
    let own = second.iter().filter(|party| within(party));
    *second = others.chain(own).copied().collect();
}

impl Known {
    /// A coordinator with these inputs only, and the colluders' signatures.
    fn sign(&self, inputs: &BTreeMap<u16, Vec<u8>>, set: &BTreeSet<u16>) -> Option<Signing> {
        let keys = Arc::clone(&self.keys);
        let mut collecting = Collecting::new(keys, self.attempt, self.spec.clone()).ok()?;
        let mut binding = Vec::new();
        for party in set {
            let body = inputs.get(party)?;
            collecting.accept(PartyIndex::new(*party), body).ok()?;
            binding = InputBody::decode(body.as_slice()).ok()?.binding;
        }
        let mut signing = collecting.close().ok()?;
        for (colluder, identity) in self.colluders.iter().filter(|(c, _)| set.contains(c)) {
            let colluder = PartyIndex::new(*colluder);
            let signs = self.keys.committee().binary_search(&colluder).is_ok();
            let signature = identity.sign(SURVIVOR_DOMAIN, signing.survivor_hash().as_ref());
            let body = AgreeBody {
                binding: binding.clone(),
                signature: signature.to_bytes().to_vec(),
            };
            if signs && signing.accept(colluder, &body.encode_to_vec()).is_err() {
                return None;
            }
        }
        Some(signing)
    }
}

impl Story {
    /// Whether this agreement reached the quorum.
    fn agrees(&mut self, from: u16, body: &[u8]) -> bool {
        let Stage::Signing(signing) = &mut self.stage else {
            return false;
        };
        // A colluder has signed already.
        let taken = signing.accept(PartyIndex::new(from), body);
        if taken.is_err() || !signing.ready() {
            return false;
        }
        if let Stage::Signing(signing) = std::mem::replace(&mut self.stage, Stage::Over)
            && let Ok((opening, bundle)) = signing.close()
        {
            self.stage = Stage::Opening(Box::new(opening), bundle);
        }
        self.bundle().is_some()
    }

    fn bundle(&self) -> Option<&Vec<u8>> {
        match &self.stage {
            Stage::Opening(_, bundle) => Some(bundle),
            _ => None,
        }
    }

    fn view(&self, reader: u16) -> Option<Vec<u8>> {
        let reader = PartyIndex::new(reader);
        match &self.stage {
            Stage::Signing(signing) => signing.view(reader),
            Stage::Opening(opening, _) => opening.view(reader),
            Stage::Over => None,
        }
    }

    /// The view, for those who have not seen it, and the signatures, for all readers.
    fn parcels(&self, message: &Passing<'_>) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        for reader in &self.readers {
            let view = self.view(*reader);
            parcels.extend(view.map(|view| message.tell(*reader, Kind::View, view)));
            let bundle = self.bundle().cloned();
            parcels.extend(bundle.map(|bundle| message.tell(*reader, Kind::Bundle, bundle)));
        }
        parcels
    }
}

impl MessageInterceptor for SplitViews {
    fn attempt_begins(&mut self, scene: &Scene<'_>) {
        let colluders = scene.set_up.colluders.iter();
        self.attempt = Some(Known {
            keys: Arc::clone(scene.keys),
            attempt: scene.attempt,
            spec: scene.spec.clone(),
            colluders: colluders
                .filter_map(|c| Some((*c, scene.set_up.identity(*c)?)))
                .collect(),
        });
        self.inputs.clear();
        self.stories.clear();
    }

    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel> {
        let current = self.attempt.as_ref().map(|known| known.attempt);
        if current != Some(message.attempt) || message.kind <= Kind::Begin {
            return vec![message.pass()];
        }
        match (message.kind, message.from, message.to) {
            (Kind::Input, Address::Party(from), _) => {
                self.inputs
                    .entry(from)
                    .or_insert_with(|| message.bytes.to_vec());
                vec![message.pass()]
            }
            (Kind::View, _, Address::Party(reader)) => {
                if self.stories.is_empty() {
                    self.invent();
                }
                let told = self.stories.iter().find(|s| s.readers.contains(&reader));
                let view = told.and_then(|story| story.view(reader));
                view.map(|view| message.with(view)).into_iter().collect()
            }
            (Kind::Agree, Address::Party(from), _) => self.agreed(from, message),
            _ => Vec::new(),
        }
    }
}
