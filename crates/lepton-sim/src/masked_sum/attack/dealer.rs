//! Colluders that deal wrongly under keys of their own, beside an honest coordinator: their bundles open.

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_crypto::{AgreementKey, AgreementPublic, Digest, Seed, hash, long_hash, open, seal};
use lepton_protocol::frame::Address;
use lepton_secagg::{Attempt, EpochKeys, Grouping, PartyIndex};
use prost::Message;

use super::super::bodies::{AdvertBody, InputBody, WORD, column_digest};
use super::super::setup::set_up_generator;
use super::super::{Kind, MessageInterceptor, Parcel, Passing, Scene, SetUpScene};
use super::Dice;

/// Knows the private keys of colluders and so the secrets of their pairs, as `docs/protocols/masked-sum.md` derives them.
pub(crate) struct CrookedDealer {
    dice: Dice,
    own: BTreeMap<u16, AgreementKey>,
    keys: BTreeMap<u16, AgreementPublic>,
    epoch: Option<Arc<EpochKeys>>,
    /// Groups within which secrets are shared, if there are any.
    groups: Option<Arc<Grouping>>,
}

/// A message (a) of a colluder, its bundles open.
struct Dealt {
    dealer: u16,
    /// Neighbours, ascending, and the keys and contents of their bundles.
    bundles: Vec<(u16, Seed, Vec<u8>)>,
    body: InputBody,
}

impl CrookedDealer {
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            dice,
            own: BTreeMap::new(),
            keys: BTreeMap::new(),
            epoch: None,
            groups: None,
        }
    }

    /// Those to whom a dealer deals.
    fn holders(&self, epoch: &EpochKeys, dealer: u16) -> Vec<PartyIndex> {
        let group = |party| self.groups.as_deref().map(|groups| groups.of(party));
        let dealer = PartyIndex::new(dealer);
        let neighbours = epoch.neighbours(dealer).iter().copied();
        neighbours
            .filter(|holder| group(*holder) == group(dealer))
            .collect()
    }

    fn read(&self, dealer: u16, attempt: Attempt, bytes: &[u8]) -> Option<Dealt> {
        let body = InputBody::decode(bytes).ok()?;
        let (epoch, own) = (self.epoch.as_ref()?, self.own.get(&dealer)?);
        let digest = input_digest(dealer, &body);
        let mut bundles = Vec::new();
        let holders = self.holders(epoch, dealer);
        for (holder, sealed) in holders.iter().zip(&body.sealed) {
            let holder = holder.get();
            let root = own.agree(self.keys.get(&holder)?).ok()?;
            let root = root.derive("masked-sum rounds", epoch.digest().as_ref());
            let directed = directed(&body.binding, dealer, holder);
            let key = secret_of(root, attempt).derive("seal", &directed);
            let plain = open(&key, &[&directed, digest.as_ref()].concat(), sealed).ok()?;
            bundles.push((holder, key, plain.to_vec()));
        }
        Some(Dealt {
            dealer,
            bundles,
            body,
        })
    }

    /// One share to one holder is another than committed (SA-13), or the shares of its self mask are committed to and do not combine (SA-18).
    fn spoil(&mut self, mut dealt: Dealt) -> Vec<u8> {
        if self.dice.coin() {
            let holder = self.dice.below(dealt.bundles.len());
            if let Some((_, _, plain)) = dealt.bundles.get_mut(holder) {
                self.dice.flip(plain);
            }
        } else {
            let below = dealt.bundles.iter().filter(|(h, ..)| *h < dealt.dealer);
            let own_rank = below.count();
            for (_, _, plain) in &mut dealt.bundles {
                if let Some(share) = plain.chunks_exact_mut(WORD).nth(own_rank) {
                    self.dice.flip(share);
                }
            }
            dealt.commit(own_rank);
        }
        dealt.seal()
    }
}

impl Dealt {
    /// Commits to the shares as they are now.
    fn commit(&mut self, own_rank: usize) {
        for (place, (holder, _, plain)) in self.bundles.iter().enumerate() {
            let rank = place + usize::from(place >= own_rank);
            let digest = column_digest(&self.body.binding, (self.dealer, *holder), plain, |_| true);
            if let Some(column) = self.body.columns.chunks_exact_mut(WORD).nth(rank) {
                column.copy_from_slice(digest.as_ref());
            }
        }
    }

    fn seal(mut self) -> Vec<u8> {
        let digest = input_digest(self.dealer, &self.body);
        let sealed = self.bundles.iter().map(|(holder, key, plain)| {
            let directed = directed(&self.body.binding, self.dealer, *holder);
            seal(key, &[&directed, digest.as_ref()].concat(), plain)
        });
        self.body.sealed = sealed.collect();
        self.body.encode_to_vec()
    }
}

impl MessageInterceptor for CrookedDealer {
    fn set_up_begins(&mut self, scene: &SetUpScene) {
        for colluder in &scene.colluders {
            // What its set-up draws first is its key.
            let key = AgreementKey::generate(&mut set_up_generator(scene, *colluder));
            self.own.insert(*colluder, key);
        }
    }

    fn attempt_begins(&mut self, scene: &Scene<'_>) {
        self.epoch = Some(Arc::clone(scene.keys));
        self.groups.clone_from(&scene.spec.grouping);
    }

    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel> {
        let Address::Party(from) = message.from else {
            return vec![message.pass()];
        };
        if message.kind == Kind::Advert {
            let advert = AdvertBody::decode(message.bytes).unwrap_or_default();
            if let Ok(key) = AgreementPublic::try_from(advert.key.as_slice()) {
                self.keys.insert(from, key);
            }
        }
        if message.kind == Kind::Input
            && self.own.contains_key(&from)
            && self.dice.strikes()
            && let Some(dealt) = self.read(from, message.attempt, message.bytes)
        {
            return vec![message.with(self.spoil(dealt))];
        }
        vec![message.pass()]
    }
}

/// The secret of a pair in an attempt (SA-06).
fn secret_of(root: Seed, attempt: Attempt) -> Seed {
    let rounds = (0..attempt.round).fold(root, |seed, _| seed.derive("next round", b""));
    let first = rounds.derive("attempts", b"");
    let attempts = (0..attempt.attempt).fold(first, |seed, _| seed.derive("next attempt", b""));
    attempts.derive("attempt", b"")
}

fn directed(binding: &[u8], from: u16, to: u16) -> Vec<u8> {
    [binding, &from.to_le_bytes(), &to.to_le_bytes()].concat()
}

/// The digest of a message (a) (SA-09).
fn input_digest(dealer: u16, body: &InputBody) -> Digest {
    let vector = long_hash("lepton masked-sum vector v2", &[&body.vector]);
    let secrets = hash("lepton/masked-sum/secrets/v1", &[&body.secrets]);
    let parts: [&[u8]; 5] = [
        &body.binding,
        &dealer.to_le_bytes(),
        vector.as_ref(),
        secrets.as_ref(),
        &body.columns,
    ];
    hash("lepton/masked-sum/input/v1", &parts)
}
