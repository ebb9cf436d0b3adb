//! A party's shares of every value, level by level (MP-08 to MP-11).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::PartyIndex;
use crate::circuit::{Node, Op, Wire};
use crate::range::LIMIT;
use crate::session::Session;
use crate::shares::Words;

/// Words read one run after another.
struct Cursor<'w>(&'w [u64]);

impl<'w> Cursor<'w> {
    /// The next `len` words; their number was checked when they came.
    fn take(&mut self, len: usize) -> &'w [u64] {
        let (taken, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }
}

/// What a party knows of a computation.
pub(crate) struct Evaluation {
    session: Session,
    party: PartyIndex,
    /// By node; empty for what is not computed yet.
    shares: Vec<Words>,
    /// Where each node's dealt words begin.
    dealt_at: Vec<usize>,
    dealt: Words,
    depth: u32,
    /// By node.
    outputs: BTreeMap<usize, Vec<u64>>,
}

impl Evaluation {
    /// Starts with this party's shares of all inputs, by node, and of what was dealt.
    pub(crate) fn new(
        session: Session,
        party: PartyIndex,
        inputs: Vec<Words>,
        dealt: Words,
    ) -> Self {
        let nodes = &session.circuit().nodes;
        let mut at = 0;
        let dealt_at = nodes.iter().map(|node| {
            let here = at;
            at += node.dealt(nodes);
            here
        });
        let mut evaluation = Self {
            dealt_at: dealt_at.collect(),
            shares: inputs,
            party,
            dealt,
            depth: 0,
            outputs: BTreeMap::new(),
            session,
        };
        evaluation.compute(&[]);
        evaluation
    }
    /// Openings done so far.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// Whether everything is computed.
    pub(crate) fn done(&self) -> bool {
        self.depth == self.session.circuit().exchanges()
    }

    /// The opened outputs, in the order of their nodes.
    pub(crate) fn into_outputs(self) -> impl Iterator<Item = Vec<u64>> {
        self.outputs.into_values()
    }

    /// This party's shares of what the next exchange opens (MP-11).
    pub(crate) fn to_open(&self) -> Words {
        let nodes = &self.session.circuit().nodes;
        let mut all = Zeroizing::new(Vec::new());
        for (node, at) in nodes.iter().zip(&self.dealt_at) {
            if node.depth == self.depth + 1 {
                self.mask(node, self.dealt_from(*at), &mut all);
            }
        }
        all
    }

    /// Goes on with what the exchange opened: as many words as [`Self::to_open`] gave.
    pub(crate) fn opened(&mut self, words: &[u64]) {
        self.depth += 1;
        self.compute(words);
    }

    fn mask(&self, node: &Node, mut dealt: Cursor<'_>, all: &mut Vec<u64>) {
        match &node.op {
            Op::Multiply(x, y) | Op::Inner(x, y) => {
                for wire in [x, y] {
                    let x = self.shares(*wire);
                    let a = dealt.take(x.len());
                    all.extend(x.iter().zip(a).map(|(x, a)| x.wrapping_sub(*a)));
                }
            }
            Op::Truncate(x, _) => {
                let (shift, r) = (self.public(LIMIT + 1), dealt.take(node.len));
                let masked = self.shares(*x).iter().zip(r);
                all.extend(masked.map(|(x, r)| x.wrapping_add(*r).wrapping_add(shift)));
            }
            Op::Open(x) => all.extend_from_slice(self.shares(*x)),
            _ => {}
        }
    }

    /// Computes all values of this depth, in order.
    fn compute(&mut self, opened: &[u64]) {
        let (session, depth) = (self.session.clone(), self.depth);
        let nodes = session.circuit().nodes.iter().enumerate();
        let mut opened = Cursor(opened);
        for (index, node) in nodes.filter(|(_, node)| node.depth == depth) {
            if let Op::Open(_) = node.op {
                self.outputs.insert(index, opened.take(node.len).to_vec());
            } else if let Some(value) = self.value(index, node, &mut opened)
                && let Some(slot) = self.shares.get_mut(index)
            {
                *slot = value;
            }
        }
    }

    /// The shares of a node whose operands are there; `None` for inputs, which are.
    fn value(&self, index: usize, node: &Node, opened: &mut Cursor<'_>) -> Option<Words> {
        let dealt = self.dealt_at.get(index).map(|at| self.dealt_from(*at));
        let mut dealt = dealt.unwrap_or(Cursor(&[]));
        let words = match &node.op {
            Op::Input(..) | Op::Open(_) => return None,
            Op::Add(x, y) => self.combine(*x, *y, u64::wrapping_add),
            Op::Subtract(x, y) => self.combine(*x, *y, u64::wrapping_sub),
            Op::Scale(x, factor) => self.map(*x, |x| x.wrapping_mul(factor.cast_unsigned())),
            Op::Offset(x, values) => {
                let values = values.iter().map(|v| self.public(v.cast_unsigned()));
                let sums = self.shares(*x).iter().zip(values);
                sums.map(|(x, v)| x.wrapping_add(v)).collect()
            }
            Op::Total(x) => vec![sum(self.shares(*x).iter().copied())],
            Op::Multiply(..) => {
                let terms = self.products(node.len, opened, &mut dealt);
                let c = dealt.take(node.len).iter();
                terms.zip(c).map(|(t, c)| t.wrapping_add(*c)).collect()
            }
            Op::Inner(x, _) => {
                let len = self.shares(*x).len();
                let terms = self.products(len, opened, &mut dealt);
                vec![sum(terms.chain(dealt.take(1).iter().copied()))]
            }
            Op::Truncate(_, bits) => self.truncated(*bits, node.len, opened, &mut dealt),
        };
        Some(Zeroizing::new(words))
    }

    /// `d·[b] + e·[a] + d·e` of MP-09; then `[c]` is next among the dealt words.
    fn products<'o, 'd>(
        &self,
        len: usize,
        opened: &mut Cursor<'o>,
        dealt: &mut Cursor<'d>,
    ) -> impl Iterator<Item = u64> + use<'o, 'd> {
        let leads = self.party.leads();
        let (d, e) = (opened.take(len).iter(), opened.take(len).iter());
        let (a, b) = (dealt.take(len).iter(), dealt.take(len).iter());
        d.zip(e).zip(a.zip(b)).map(move |((d, e), (a, b))| {
            let crossed = d.wrapping_mul(*b).wrapping_add(e.wrapping_mul(*a));
            let both = if leads { d.wrapping_mul(*e) } else { 0 };
            crossed.wrapping_add(both)
        })
    }

    /// `[t]` of MP-10.
    fn truncated(
        &self,
        bits: u8,
        len: usize,
        opened: &mut Cursor<'_>,
        dealt: &mut Cursor<'_>,
    ) -> Vec<u64> {
        let c = opened.take(len).iter();
        let (_, dropped, top) = (
            dealt.take(len),
            dealt.take(len).iter(),
            dealt.take(len).iter(),
        );
        let words = c.zip(dropped.zip(top)).map(|(c, (dropped, top))| {
            let carry = if c >> 63 == 0 {
                *top
            } else {
                self.public(1).wrapping_sub(*top)
            };
            let high = (c & (u64::MAX >> 1)) >> bits;
            let shift = (LIMIT + 1) >> bits;
            self.public(high.wrapping_sub(shift))
                .wrapping_add(carry.wrapping_mul((1 << 63) >> bits))
                .wrapping_sub(*dropped)
        });
        words.collect()
    }

    /// This party's share of a public word (MP-08).
    fn public(&self, word: u64) -> u64 {
        if self.party.leads() { word } else { 0 }
    }

    fn shares(&self, wire: Wire) -> &[u64] {
        self.shares
            .get(wire.0)
            .map_or(&[], |words| words.as_slice())
    }

    fn dealt_from(&self, at: usize) -> Cursor<'_> {
        Cursor(self.dealt.get(at..).unwrap_or_default())
    }

    fn map(&self, x: Wire, op: impl Fn(u64) -> u64) -> Vec<u64> {
        self.shares(x).iter().map(|x| op(*x)).collect()
    }

    fn combine(&self, x: Wire, y: Wire, op: impl Fn(u64, u64) -> u64) -> Vec<u64> {
        let pairs = self.shares(x).iter().zip(self.shares(y));
        pairs.map(|(x, y)| op(*x, *y)).collect()
    }
}

fn sum(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, u64::wrapping_add)
}
