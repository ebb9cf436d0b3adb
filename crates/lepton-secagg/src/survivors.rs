//! The set of survivors as it is shown and signed.

use crate::{CoordinatorReason, Parameters, PartyIndex};

/// Survivors by roster position: one bit each, the first party the lowest bit of the first byte, spare bits zero.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Survivors {
    bits: Vec<u8>,
    count: usize,
}

impl Survivors {
    /// The given roster members.
    pub(crate) fn of(params: &Parameters, parties: impl Iterator<Item = PartyIndex>) -> Self {
        let mut bits = vec![0; Self::byte_len(params)];
        for party in parties {
            if let Some(byte) = bits.get_mut(party.at() / 8) {
                *byte |= 1 << (party.at() % 8);
            }
        }
        Self::counted(bits)
    }

    /// What a coordinator shows. Refuses (SA-12) another length, parties beyond the roster and fewer than the floor.
    pub(crate) fn parse(params: &Parameters, bits: &[u8]) -> Result<Self, CoordinatorReason> {
        let spare = Self::byte_len(params) * 8 - params.n();
        let last = bits.last().copied().unwrap_or_default();
        if bits.len() != Self::byte_len(params) || u16::from(last) >> (8 - spare) != 0 {
            return Err(CoordinatorReason::Survivors);
        }
        let survivors = Self::counted(bits.to_vec());
        let (have, need) = (survivors.count, usize::from(params.survivor_floor()));
        if have < need {
            return Err(CoordinatorReason::BelowFloor { have, need });
        }
        Ok(survivors)
    }

    pub(crate) fn byte_len(params: &Parameters) -> usize {
        params.n().div_ceil(8)
    }

    pub(crate) fn contains(&self, party: PartyIndex) -> bool {
        self.bits
            .get(party.at() / 8)
            .is_some_and(|byte| byte >> (party.at() % 8) & 1 == 1)
    }

    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Ascending.
    pub(crate) fn list(&self, params: &Parameters) -> Vec<PartyIndex> {
        params.everyone().filter(|p| self.contains(*p)).collect()
    }

    fn counted(bits: Vec<u8>) -> Self {
        let count = bits.iter().map(|byte| byte.count_ones() as usize).sum();
        Self { bits, count }
    }
}
