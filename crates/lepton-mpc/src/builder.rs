//! Building circuits, every value's range known before it is computed (MP-04, MP-05).

use crate::circuit::{Node, Op};
use crate::range::Range;
use crate::{Circuit, CircuitError, Encoding, Parties, PartyIndex, Wire};

/// The most entries of a vector.
const MOST_ENTRIES: usize = 1 << 32;

/// Collects the operations of a [`Circuit`], in order. An operation that is refused leaves the circuit as it was.
#[derive(Debug, Clone)]
pub struct CircuitBuilder {
    parties: Parties,
    nodes: Vec<Node>,
}

impl CircuitBuilder {
    /// A circuit of `parties`, without operations.
    #[must_use]
    pub const fn new(parties: Parties) -> Self {
        Self {
            parties,
            nodes: Vec::new(),
        }
    }

    /// The next input vector of `owner`, of `len` entries. Refuses an owner who is no party, and no entries.
    pub fn input(
        &mut self,
        owner: PartyIndex,
        len: usize,
        encoding: Encoding,
    ) -> Result<Wire, CircuitError> {
        if !self.parties.contains(owner) {
            return Err(CircuitError::Owner(owner));
        }
        if len == 0 || len > MOST_ENTRIES {
            return Err(CircuitError::Size(len));
        }
        Ok(self.push(Op::Input(owner, encoding), len, encoding.range(), 0))
    }

    /// `x + y`, entry by entry. Refuses different lengths or fraction bits, and sums that may overflow.
    pub fn add(&mut self, x: Wire, y: Wire) -> Result<Wire, CircuitError> {
        let (a, b) = self.pair(x, y)?;
        let (range, len, depth) = (a.range.plus(b.range)?, a.len, a.depth.max(b.depth));
        Ok(self.push(Op::Add(x, y), len, range, depth))
    }

    /// `x - y`, entry by entry. Refuses what [`Self::add`] refuses.
    pub fn subtract(&mut self, x: Wire, y: Wire) -> Result<Wire, CircuitError> {
        let (a, b) = self.pair(x, y)?;
        let (range, len, depth) = (a.range.plus(b.range)?, a.len, a.depth.max(b.depth));
        Ok(self.push(Op::Subtract(x, y), len, range, depth))
    }

    /// `factor * x` for a public integer. Refuses products that may overflow.
    pub fn scale(&mut self, x: Wire, factor: i64) -> Result<Wire, CircuitError> {
        let a = self.node(x)?;
        let (range, len, depth) = (a.range.times(factor.unsigned_abs())?, a.len, a.depth);
        Ok(self.push(Op::Scale(x, factor), len, range, depth))
    }

    /// `x + values` for public integers, in steps of the wire's fixed point. Refuses another length and sums that may overflow.
    pub fn offset(&mut self, x: Wire, values: &[i64]) -> Result<Wire, CircuitError> {
        let a = self.node(x)?;
        if a.len != values.len() {
            return Err(CircuitError::Length(a.len, values.len()));
        }
        let largest = values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
        let (range, len, depth) = (a.range.plus_public(largest)?, a.len, a.depth);
        Ok(self.push(Op::Offset(x, values.to_vec()), len, range, depth))
    }

    /// The sum of the entries of `x`: one entry. Refuses sums that may overflow.
    pub fn total(&mut self, x: Wire) -> Result<Wire, CircuitError> {
        let a = self.node(x)?;
        let (range, depth) = (a.range.times(a.len as u64)?, a.depth);
        Ok(self.push(Op::Total(x), 1, range, depth))
    }

    /// `x * y`, entry by entry, with the fraction bits of both (MP-09). Refuses different lengths and products that may overflow.
    pub fn multiply(&mut self, x: Wire, y: Wire) -> Result<Wire, CircuitError> {
        let (a, b) = self.pair(x, y)?;
        let (range, len, depth) = (a.range.product(b.range)?, a.len, a.depth.max(b.depth));
        Ok(self.push(Op::Multiply(x, y), len, range, depth + 1))
    }

    /// The sum of the products of the entries: one entry, with the fraction bits of both (MP-09). Refuses what [`Self::multiply`] refuses.
    pub fn inner_product(&mut self, x: Wire, y: Wire) -> Result<Wire, CircuitError> {
        let (a, b) = self.pair(x, y)?;
        let range = a.range.product(b.range)?.times(a.len as u64)?;
        let depth = a.depth.max(b.depth);
        Ok(self.push(Op::Inner(x, y), 1, range, depth + 1))
    }

    /// `x` with `bits` fewer fraction bits, rounded up or down by a public dither, so that the mean is kept (MP-10). Refuses more bits than there are.
    pub fn truncate(&mut self, x: Wire, bits: u8) -> Result<Wire, CircuitError> {
        let a = self.node(x)?;
        let (range, len, depth) = (a.range.truncated(bits)?, a.len, a.depth);
        Ok(self.push(Op::Truncate(x, bits), len, range, depth + 1))
    }

    /// Makes `x` an output, known to all parties. Outputs come in the order of these calls.
    pub fn open(&mut self, x: Wire) -> Result<(), CircuitError> {
        let a = self.node(x)?;
        let (range, len, depth) = (a.range, a.len, a.depth);
        self.push(Op::Open(x), len, range, depth + 1);
        Ok(())
    }

    /// The circuit. Refuses one without outputs.
    pub fn finish(self) -> Result<Circuit, CircuitError> {
        if !self.nodes.iter().any(|n| matches!(n.op, Op::Open(_))) {
            return Err(CircuitError::NoOutput);
        }
        Ok(Circuit {
            parties: self.parties,
            nodes: self.nodes,
        })
    }

    /// An output is no operand: [`Self::open`] gives no wire.
    fn node(&self, wire: Wire) -> Result<&Node, CircuitError> {
        let node = self.nodes.get(wire.0).ok_or(CircuitError::Wire)?;
        match node.op {
            Op::Open(_) => Err(CircuitError::Wire),
            _ => Ok(node),
        }
    }

    fn pair(&self, x: Wire, y: Wire) -> Result<(&Node, &Node), CircuitError> {
        let (a, b) = (self.node(x)?, self.node(y)?);
        if a.len != b.len {
            return Err(CircuitError::Length(a.len, b.len));
        }
        Ok((a, b))
    }

    fn push(&mut self, op: Op, len: usize, range: Range, depth: u32) -> Wire {
        self.nodes.push(Node {
            op,
            len,
            range,
            depth,
        });
        Wire(self.nodes.len() - 1)
    }
}
