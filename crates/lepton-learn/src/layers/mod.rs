//! The layers of a model: what each does to one row, and where its parameters lie in the flat vector.
//!
//! Everything a layer computes for a row is a function of that row and of the parameters alone (rule DP-06); this is why there
//! is no batch normalisation. Behind the first convolution images are stored channels last (row, column, channel).

pub(crate) mod conv;
pub(crate) mod embed;
pub(crate) mod norm;
pub(crate) mod plan;
pub(crate) mod pool;

use std::ops::Range;

use crate::spec::{Activation, Tensor};
pub(crate) use conv::Conv;
pub(crate) use embed::Embed;
pub(crate) use norm::GroupNorm;
pub(crate) use plan::plan;
pub(crate) use pool::PoolWindows;

/// What a layer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// `W x + b`.
    Dense,
    /// Convolution, by unfolding.
    Conv(Conv),
    /// Pooling; no parameters.
    Pool(PoolWindows),
    /// Group normalisation.
    Norm(GroupNorm),
    /// Embedding look-up; always the first layer.
    Embed(Embed),
}

/// One layer: `input` and `output` numbers a row, parameters from `offset` on, and the non-linearity behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) op: Op,
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) offset: usize,
    pub(crate) activation: Option<Activation>,
}

impl Layer {
    /// Trained weights that are drawn at the start and penalised: of dense layers, convolutions and embeddings.
    pub(crate) fn weights(&self) -> Range<usize> {
        let len = match &self.op {
            Op::Dense => self.input * self.output,
            Op::Conv(conv) => conv.filters * conv.depth(),
            Op::Embed(embed) => embed.params(),
            Op::Norm(_) | Op::Pool(_) => 0,
        };
        self.offset..self.offset + len
    }

    /// Biases behind the weights (of a normalisation: scales, then shifts).
    pub(crate) fn biases(&self) -> Range<usize> {
        let start = self.weights().end;
        let len = match &self.op {
            Op::Dense => self.output,
            Op::Conv(conv) => conv.filters,
            Op::Norm(norm) => 2 * norm.channels,
            Op::Embed(_) | Op::Pool(_) => 0,
        };
        start..start + len
    }

    /// All parameters.
    pub(crate) fn params(&self) -> Range<usize> {
        self.offset..self.biases().end
    }

    /// Numbers a row keeps for its own gradient of this layer (rule DP-12); 0 where the gradient is an outer product.
    pub(crate) fn record_len(&self) -> usize {
        match &self.op {
            Op::Dense | Op::Pool(_) => 0,
            Op::Conv(_) | Op::Norm(_) => self.params().len(),
            Op::Embed(embed) => embed.record_len(),
        }
    }

    /// Inputs and outputs of one unit, for the variance of starting weights.
    pub(crate) fn fans(&self) -> (usize, usize) {
        match &self.op {
            Op::Conv(conv) => (conv.depth(), conv.filters * conv.kernel * conv.kernel),
            _ => (self.input, self.output),
        }
    }

    /// The tensors, named as layer `i`.
    pub(crate) fn tensors(&self, i: usize) -> Vec<Tensor> {
        let tensor = |name: &str, shape: Vec<usize>, offset: usize| Tensor {
            name: format!("layer{i}.{name}"),
            len: shape.iter().product(),
            shape,
            offset,
        };
        let (weights, biases) = (self.weights().start, self.biases().start);
        match &self.op {
            Op::Dense => vec![
                tensor("weight", vec![self.output, self.input], weights),
                tensor("bias", vec![self.output], biases),
            ],
            Op::Conv(conv) => {
                let shape = vec![conv.filters, conv.kernel, conv.kernel, conv.channels];
                vec![
                    tensor("weight", shape, weights),
                    tensor("bias", vec![conv.filters], biases),
                ]
            }
            Op::Norm(norm) => vec![
                tensor("weight", vec![norm.channels], biases),
                tensor("bias", vec![norm.channels], biases + norm.channels),
            ],
            Op::Embed(embed) => embed
                .tables
                .iter()
                .enumerate()
                .map(|(j, table)| {
                    let shape = vec![table.levels, table.width];
                    tensor(&format!("table{j}"), shape, self.offset + table.offset)
                })
                .collect(),
            Op::Pool(_) => Vec::new(),
        }
    }
}
