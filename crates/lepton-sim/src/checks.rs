//! The plain arithmetic beside the masked one.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use lepton_protocol::coordinator::Coordinator;
use lepton_protocol::exchange::Kind;
use lepton_protocol::robust::Groups;
use lepton_protocol::training::{Next, Training};

use crate::outcome::CheckedSum;

/// Vectors that workers handed in, by exchange and party, and what is known of the exchange under way.
#[derive(Default)]
pub(crate) struct Checks {
    vectors: BTreeMap<(u64, u16), Vec<i64>>,
    under_way: Option<(Next, Training)>,
    pub(crate) sums: Vec<CheckedSum>,
    pub(crate) violations: Vec<String>,
}

impl Checks {
    /// A worker handed in its vector; the machine takes at most one per exchange.
    pub(crate) fn handed_in(&mut self, exchange: u64, party: u16, vector: &[i64]) {
        self.vectors
            .entry((exchange, party))
            .or_insert_with(|| vector.to_vec());
    }

    /// An exchange begins from this state.
    pub(crate) fn began(&mut self, next: &Next, state: &Training) {
        self.under_way = Some((next.clone(), state.clone()));
    }

    /// A sum was opened over `survivors`, and the coordinator went on to the next exchange with the generator as it was before (`rng`).
    pub(crate) fn summed(
        &mut self,
        coordinator: &Coordinator,
        survivors: &[u16],
        mut rng: ChaCha20Rng,
    ) {
        let Some((next, mut shadow)) = self.under_way.take() else {
            self.violations
                .push("a sum outside any exchange".to_owned());
            return;
        };
        let plan = coordinator.plan();
        // One sum, or those of all groups one after the other.
        let groups = plan.groups().filter(|_| next.kind == Kind::Training);
        let mut sum: Vec<i64> = Vec::new();
        for party in survivors {
            let Some(vector) = self.vectors.get(&(next.number, *party)) else {
                self.violations.push(format!(
                    "exchange {}: party {party} is in the sum and never handed in a vector",
                    next.number
                ));
                return;
            };
            sum.resize(vector.len() * groups.map_or(1, Groups::count), 0);
            let group = groups.and_then(|groups| groups.of(*party));
            let before = usize::from(group.unwrap_or(0)) * vector.len();
            for (total, value) in sum.iter_mut().skip(before).zip(vector) {
                *total = total.wrapping_add(*value);
            }
        }
        let followed = shadow
            .absorb(plan, &next, &sum, survivors.len())
            .and_then(|_| shadow.next(plan, &mut rng));
        if followed.is_err() || shadow.to_bytes(0) != coordinator.training().to_bytes(0) {
            self.violations.push(format!(
                "exchange {} ({}): what the coordinator absorbed is not the sum of the vectors of {survivors:?}",
                next.number,
                next.kind.words()
            ));
        }
        self.sums.push(CheckedSum {
            exchange: next.number,
            kind: next.kind,
            survivors: survivors.to_vec(),
            sum,
        });
    }
}
