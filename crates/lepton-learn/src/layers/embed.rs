//! Embedding tables: index features become trained vectors, numeric features pass through behind them.

#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel; indices are clamped into the tables, ranges follow from a validated description"
)]

use crate::scalar::Scalar;
use crate::spec::{EmbeddingTable, MAX_PARAMETERS, MAX_WIDTH};

/// One table inside the layer's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) levels: usize,
    pub(crate) width: usize,
    pub(crate) offset: usize,
}

/// One feature that looks up a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    feature: usize,
    table: usize,
    /// Place of its vector in the layer's output and in a row's record.
    at: usize,
}

/// All tables, who reads them, and the features that pass through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Embed {
    pub(crate) tables: Vec<Table>,
    slots: Vec<Slot>,
    numeric: Vec<usize>,
    inputs: usize,
    embedded: usize,
}

impl Embed {
    /// `None` when the sizes exceed the limits.
    pub(crate) fn new(inputs: usize, tables: &[EmbeddingTable], used: &[bool]) -> Option<Self> {
        let (mut all, mut slots, mut offset, mut at) = (Vec::new(), Vec::new(), 0_usize, 0_usize);
        for (number, table) in tables.iter().enumerate() {
            all.push(Table {
                levels: table.levels,
                width: table.width,
                offset,
            });
            offset = offset.checked_add(table.levels.checked_mul(table.width)?)?;
            for &feature in &table.features {
                slots.push(Slot {
                    feature,
                    table: number,
                    at,
                });
                at += table.width;
            }
        }
        let numeric: Vec<usize> = (0..inputs).filter(|&f| !used[f]).collect();
        (offset <= MAX_PARAMETERS && at + numeric.len() <= MAX_WIDTH).then_some(Self {
            tables: all,
            slots,
            numeric,
            inputs,
            embedded: at,
        })
    }

    /// Numbers in all tables.
    pub(crate) fn params(&self) -> usize {
        self.tables
            .last()
            .map_or(0, |t| t.offset + t.levels * t.width)
    }

    /// Width of the layer's output: embeddings in the order of tables and features, then numeric features.
    pub(crate) fn output(&self) -> usize {
        self.embedded + self.numeric.len()
    }

    /// Numbers a row keeps for its gradient: one vector for each look-up.
    pub(crate) fn record_len(&self) -> usize {
        self.embedded
    }

    /// The table row that `value` means: cut down to a whole number and moved into `0..levels`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and the index is clamped"
    )]
    fn index<S: Scalar>(value: S, levels: usize) -> usize {
        (value.to_f64() as usize).min(levels - 1)
    }

    /// Looks up `rows` of features; `places` receives each look-up's first parameter, counted inside this layer.
    pub(crate) fn forward<S: Scalar>(
        &self,
        rows: &[S],
        params: &[S],
        out: &mut [S],
        places: &mut Vec<u32>,
    ) {
        places.clear();
        let outputs = out.chunks_exact_mut(self.output());
        for (row, out) in rows.chunks_exact(self.inputs).zip(outputs) {
            for slot in &self.slots {
                let table = &self.tables[slot.table];
                let place =
                    table.offset + Self::index(row[slot.feature], table.levels) * table.width;
                places.push(u32::try_from(place).unwrap_or(u32::MAX));
                out[slot.at..slot.at + table.width]
                    .copy_from_slice(&params[place..place + table.width]);
            }
            for (to, &feature) in out[self.embedded..].iter_mut().zip(&self.numeric) {
                *to = row[feature];
            }
        }
    }

    /// Each row's gradient: one vector a look-up. Look-ups of the same table row are summed into the first of them, and the
    /// others become zero, so that the norm of the record is the norm of the gradient (rule DP-13).
    pub(crate) fn records<S: Scalar>(&self, deltas: &[S], places: &[u32], records: &mut [S]) {
        let rows = records
            .chunks_exact_mut(self.embedded)
            .zip(deltas.chunks_exact(self.output()));
        for ((record, deltas), places) in rows.zip(places.chunks_exact(self.slots.len())) {
            record.copy_from_slice(&deltas[..self.embedded]);
            for (b, slot) in self.slots.iter().enumerate() {
                let Some(a) = places[..b].iter().position(|p| *p == places[b]) else {
                    continue;
                };
                let width = self.tables[slot.table].width;
                let (before, here) = record.split_at_mut(slot.at);
                let first = self.slots[a].at;
                let first = &mut before[first..first + width];
                for (sum, own) in first.iter_mut().zip(&mut here[..width]) {
                    *sum += *own;
                    *own = S::ZERO;
                }
            }
        }
    }

    /// Calls `f` with the first parameter and the vector of each look-up of one row.
    pub(crate) fn each<'a, S: Scalar>(
        &'a self,
        record: &'a [S],
        places: &'a [u32],
    ) -> impl Iterator<Item = (usize, &'a [S])> {
        self.slots.iter().zip(places).map(|(slot, &place)| {
            let width = self.tables[slot.table].width;
            (place as usize, &record[slot.at..slot.at + width])
        })
    }

    /// Look-ups of one row.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }
}
