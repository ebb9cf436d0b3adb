//! A coordinator that changes single messages.

use super::super::bodies::{BundleBody, InputBody, OpenBody, SignerBody, ViewBody, edit};
use super::super::{Kind, MessageInterceptor, Parcel, Passing};
use super::{Attack, Dice};

/// Strikes at messages one by one.
pub(crate) struct Editor {
    dice: Dice,
    attack: Attack,
    /// The last signatures of an earlier attempt.
    stale: Vec<SignerBody>,
}

impl Editor {
    pub(crate) fn new(dice: Dice, attack: Attack) -> Self {
        Self {
            dice,
            attack,
            stale: Vec::new(),
        }
    }

    fn strike(&mut self, message: &Passing<'_>) -> Option<Parcel> {
        let bytes = message.bytes;
        let changed = match (self.attack, message.kind) {
            (Attack::Dropped, _) => return None,
            (Attack::ForgedSurvivors, Kind::View) => self.forge_survivors(bytes),
            (Attack::SwappedBundles, Kind::View) => self.swap_bundles(bytes),
            (Attack::ForgedQuorum, Kind::Bundle) => self.forge_quorum(bytes),
            (Attack::MixedPurposes, Kind::Begin) => self.flipped(bytes),
            (Attack::BitFlips, kind) if kind > Kind::Begin => self.flipped(bytes),
            (Attack::WrongLengths, kind) if kind > Kind::Begin => self.wrong_length(message),
            _ => bytes.to_vec(),
        };
        Some(message.with(changed))
    }

    fn flipped(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        self.dice.flip(&mut bytes);
        bytes
    }

    fn forge_survivors(&mut self, bytes: &[u8]) -> Vec<u8> {
        edit(bytes, |view: &mut ViewBody| match self.dice.below(5) {
            0 => view.survivors.push(0),
            1 => view.survivors = vec![0xff; view.survivors.len()],
            2 => {
                // One survivor fewer, with what was shown of it: the rest of the view fits.
                self.dice.flip(&mut view.survivors);
                let gone = self.dice.below(view.dealers.len());
                if gone < view.dealers.len() {
                    view.dealers.remove(gone);
                }
            }
            3 => view.survivors.fill(0),
            _ => self.dice.flip(&mut view.survivors),
        })
    }

    fn swap_bundles(&mut self, bytes: &[u8]) -> Vec<u8> {
        edit(bytes, |view: &mut ViewBody| {
            let count = view.dealers.len();
            let (a, b) = (self.dice.below(count), self.dice.below(count));
            if a == b {
                return;
            }
            if self.dice.coin() {
                return view.dealers.swap(a, b);
            }
            let sealed = |view: &ViewBody, at: usize| {
                view.dealers.get(at).map(|dealer| dealer.sealed.clone())
            };
            let (first, second) = (sealed(view, a), sealed(view, b));
            for (at, bundle) in [(a, second), (b, first)] {
                if let Some((dealer, bundle)) = view.dealers.get_mut(at).zip(bundle) {
                    dealer.sealed = bundle;
                }
            }
        })
    }

    fn forge_quorum(&mut self, bytes: &[u8]) -> Vec<u8> {
        let stale = &self.stale;
        edit(bytes, |bundle: &mut BundleBody| match self.dice.below(5) {
            0 => {
                bundle.signers.pop();
            }
            1 => {
                let first = bundle.signers.first().cloned();
                bundle.signers.pop();
                bundle.signers.extend(first);
            }
            2 => bundle.signers.clone_from(stale),
            3 => {
                if let Some(signer) = bundle.signers.first_mut() {
                    signer.party = u32::MAX >> self.dice.below(32);
                }
            }
            _ => {
                if let Some(signer) = bundle.signers.last_mut() {
                    self.dice.flip(&mut signer.signature);
                }
            }
        })
    }

    fn wrong_length(&mut self, message: &Passing<'_>) -> Vec<u8> {
        let mut bytes = message.bytes.to_vec();
        match (self.dice.below(4), message.kind) {
            (0, _) => bytes.truncate(self.dice.below(bytes.len())),
            (1, _) => bytes.extend(vec![0x0a; 1 + self.dice.below(5000)]),
            (2, Kind::Input) => {
                return edit(&bytes, |input: &mut InputBody| match self.dice.below(5) {
                    0 => input.vector.push(0),
                    1 => input.proof.push(1),
                    2 => input.columns.truncate(32),
                    3 => input.secrets.clear(),
                    _ => {
                        input.sealed.pop();
                    }
                });
            }
            (_, Kind::View) => {
                return edit(&bytes, |view: &mut ViewBody| match self.dice.below(3) {
                    0 => view.tree.push(0),
                    1 => {
                        view.dealers.pop();
                    }
                    _ => view.dealers.iter_mut().for_each(|d| d.columns.truncate(32)),
                });
            }
            (_, Kind::Open) => {
                return edit(&bytes, |open: &mut OpenBody| {
                    open.entries.truncate(open.entries.len() / 2);
                });
            }
            _ => bytes.clear(),
        }
        bytes
    }
}

impl MessageInterceptor for Editor {
    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel> {
        let parcels = if self.dice.strikes() && message.kind >= Kind::Begin {
            self.strike(message).into_iter().collect()
        } else {
            vec![message.pass()]
        };
        if message.kind == Kind::Bundle && self.attack == Attack::ForgedQuorum {
            edit(message.bytes, |bundle: &mut BundleBody| {
                self.stale.clone_from(&bundle.signers);
            });
        }
        parcels
    }
}
