//! A party's authenticated shares of every value, level by level (AS-02).

use zeroize::{Zeroize, Zeroizing};

use super::field::{Element, Elements};
use crate::circuit::{Node, Op, Wire};
use crate::{PartyIndex, Session};

/// A share of a value and of its MAC.
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Share {
    pub(crate) value: Element,
    pub(crate) mac: Element,
}

/// Shares, wiped on drop, without `Debug`.
pub(crate) type Shares = Zeroizing<Vec<Share>>;

impl Share {
    const ZERO: Self = Self {
        value: Element::ZERO,
        mac: Element::ZERO,
    };

    fn plus(self, other: Self) -> Self {
        Self {
            value: self.value.plus(other.value),
            mac: self.mac.plus(other.mac),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            value: self.value.minus(other.value),
            mac: self.mac.minus(other.mac),
        }
    }

    fn times(self, factor: Element) -> Self {
        Self {
            value: self.value.times(factor),
            mac: self.mac.times(factor),
        }
    }
}

/// What a party knows of a computation.
pub(crate) struct Table {
    session: Session,
    leads: bool,
    /// Its share of the key, wiped with the rest.
    key: Elements,
    /// By node: what was dealt for it.
    dealt: Vec<Shares>,
    /// By node; empty for what is not computed yet.
    shares: Vec<Shares>,
}

impl Table {
    /// From the key's share and those of the dealt values with their MACs, node by node.
    pub(crate) fn new(session: &Session, party: PartyIndex, dealt: &[Element]) -> Self {
        let nodes = &session.circuit().nodes;
        let (key, rest) = dealt.split_at_checked(1).unwrap_or_default();
        let mut pairs = rest.as_chunks::<2>().0.iter().map(|[value, mac]| Share {
            value: *value,
            mac: *mac,
        });
        let dealt = nodes.iter().map(|node| {
            let len = match node.op {
                Op::Input(..) => node.len,
                _ => node.dealt(nodes),
            };
            Zeroizing::new(pairs.by_ref().take(len).collect())
        });
        Self {
            dealt: dealt.collect(),
            shares: nodes.iter().map(|_| Shares::default()).collect(),
            key: Zeroizing::new(key.to_vec()),
            leads: party.leads(),
            session: session.clone(),
        }
    }

    /// This party's share of the key.
    pub(crate) fn key(&self) -> Element {
        self.key.first().copied().unwrap_or_default()
    }

    /// The deepest level of products.
    pub(crate) fn levels(&self) -> u32 {
        let nodes = self.session.circuit().nodes.iter();
        let inner = nodes.filter(|node| !matches!(node.op, Op::Open(_)));
        inner.map(|node| node.depth).max().unwrap_or(0)
    }

    /// The inputs, from what their owners showed, by owner, and everything that follows without products (AS-05).
    pub(crate) fn inputs(&mut self, shown: Vec<Vec<Element>>) {
        let mut shown: Vec<_> = shown.into_iter().map(Vec::into_iter).collect();
        let session = self.session.clone();
        for (index, node) in session.circuit().nodes.iter().enumerate() {
            if let Op::Input(owner, _) = node.op {
                let masked = shown.get_mut(usize::from(owner.get()));
                let masked = masked.into_iter().flatten().take(node.len);
                let masks = self.dealt.get(index).into_iter().flat_map(|d| d.iter());
                let shares = masks.zip(masked).map(|(r, e)| r.plus(self.public(e)));
                let shares = Zeroizing::new(shares.collect());
                self.put(index, shares);
            }
        }
        self.compute(0, &mut [].iter());
    }

    /// Shares of the words that products of a level open (AS-06).
    pub(crate) fn masked(&self, level: u32) -> Shares {
        let mut all = Shares::default();
        for (index, node) in self.level(level) {
            if let Op::Multiply(x, y) | Op::Inner(x, y) = node.op {
                let operands = self.of(x).iter().chain(self.of(y));
                let masks = self.dealt.get(index).into_iter().flat_map(|d| d.iter());
                all.extend(operands.zip(masks).map(|(x, a)| x.minus(*a)));
            }
        }
        all
    }

    /// Goes on with what a level's products opened.
    pub(crate) fn opened(&mut self, level: u32, words: &[Element]) {
        self.compute(level, &mut words.iter());
    }

    /// Shares of all outputs, in their order.
    pub(crate) fn outputs(&self) -> Shares {
        let nodes = self.session.circuit().nodes.iter();
        let outputs = nodes.filter_map(|node| match node.op {
            Op::Open(x) => Some(self.of(x)),
            _ => None,
        });
        Zeroizing::new(outputs.flatten().copied().collect())
    }

    fn level(&self, level: u32) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.session.circuit().nodes.iter().enumerate();
        nodes.filter(move |(_, node)| node.depth == level)
    }

    fn compute(&mut self, level: u32, opened: &mut core::slice::Iter<'_, Element>) {
        let session = self.session.clone();
        let nodes = session.circuit().nodes.iter().enumerate();
        for (index, node) in nodes.filter(|(_, node)| node.depth == level) {
            if let Some(shares) = self.value(index, node, opened) {
                self.put(index, Zeroizing::new(shares));
            }
        }
    }

    /// The shares of a node whose operands are there; `None` for inputs and outputs. (A circuit with truncations never comes here.)
    fn value(
        &self,
        index: usize,
        node: &Node,
        opened: &mut core::slice::Iter<'_, Element>,
    ) -> Option<Vec<Share>> {
        let pairs = |x: &Wire, y: &Wire| self.of(*x).iter().zip(self.of(*y));
        Some(match &node.op {
            Op::Input(..) | Op::Open(_) | Op::Truncate(..) => return None,
            Op::Add(x, y) => pairs(x, y).map(|(x, y)| x.plus(*y)).collect(),
            Op::Subtract(x, y) => pairs(x, y).map(|(x, y)| x.minus(*y)).collect(),
            Op::Scale(x, factor) => {
                let factor = Element::of(*factor);
                self.of(*x).iter().map(|x| x.times(factor)).collect()
            }
            Op::Offset(x, values) => {
                let values = values.iter().map(|v| self.public(Element::of(*v)));
                let sums = self.of(*x).iter().zip(values);
                sums.map(|(x, v)| x.plus(v)).collect()
            }
            Op::Total(x) => vec![sum(self.of(*x).iter().copied())],
            Op::Multiply(..) => {
                let (terms, c) = self.products(index, node.len, opened);
                terms.zip(c).map(|(t, c)| t.plus(*c)).collect()
            }
            Op::Inner(x, _) => {
                let (terms, c) = self.products(index, self.of(*x).len(), opened);
                vec![sum(terms.chain(c.iter().copied()))]
            }
        })
    }

    /// `d·[b] + e·[a] + d·e`, and `[c]` (MP-09).
    fn products<'t>(
        &'t self,
        index: usize,
        len: usize,
        opened: &mut core::slice::Iter<'_, Element>,
    ) -> (impl Iterator<Item = Share> + use<'t>, &'t [Share]) {
        let dealt = self
            .dealt
            .get(index)
            .map_or([].as_slice(), |d| d.as_slice());
        let (a, rest) = dealt.split_at_checked(len).unwrap_or_default();
        let (b, c) = rest.split_at_checked(len).unwrap_or_default();
        let d: Vec<_> = opened.by_ref().take(len).copied().collect();
        let e: Vec<_> = opened.by_ref().take(len).copied().collect();
        let terms = d.into_iter().zip(e).zip(a.iter().zip(b));
        let terms = terms.map(|((d, e), (a, b))| {
            let crossed = b.times(d).plus(a.times(e));
            crossed.plus(self.public(d.times(e)))
        });
        (terms, c)
    }

    /// This party's share of a public element (AS-02).
    fn public(&self, element: Element) -> Share {
        Share {
            value: if self.leads { element } else { Element::ZERO },
            mac: self.key().times(element),
        }
    }

    fn of(&self, wire: Wire) -> &[Share] {
        self.shares
            .get(wire.0)
            .map_or(&[], |shares| shares.as_slice())
    }

    fn put(&mut self, index: usize, shares: Shares) {
        if let Some(slot) = self.shares.get_mut(index) {
            *slot = shares;
        }
    }
}

fn sum(shares: impl Iterator<Item = Share>) -> Share {
    shares.fold(Share::ZERO, Share::plus)
}
