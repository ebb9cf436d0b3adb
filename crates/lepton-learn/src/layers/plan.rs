//! From a model description to its layers.

use super::{Conv, Embed, GroupNorm, Layer, Op, PoolWindows};
use crate::error::LearnError;
use crate::spec::{
    Activation, Convolution, EmbeddingTable, MAX_PARAMETERS, MAX_WIDTH, ModelKind, ModelSpec,
    Normalisation,
};

/// Most convolutions and embedding tables of a model.
const MAX_PARTS: usize = 64;

/// The layers, in order.
///
/// # Errors
/// [`LearnError::Spec`] when sizes do not fit together or exceed the limits.
pub(crate) fn plan(spec: &ModelSpec) -> Result<Vec<Layer>, LearnError> {
    let mut stack = Stack {
        layers: Vec::new(),
        width: spec.inputs,
    };
    match &spec.kind {
        ModelKind::Cnn {
            image,
            convolutions,
            activation,
            normalisation,
            ..
        } => stack.convolutions(*image, convolutions, (*activation, *normalisation))?,
        ModelKind::Embedding { tables, .. } => stack.embedding(tables)?,
        ModelKind::Custom { .. } => return bad("a custom model has no layers that are known"),
        ModelKind::Linear | ModelKind::Logistic | ModelKind::Mlp { .. } => {}
    }
    for &width in spec.hidden().map_or(&[][..], |(hidden, _)| hidden) {
        stack.push(Op::Dense, width, Some(spec.activation()))?;
    }
    stack.push(Op::Dense, spec.outputs.width(), None)?;
    Ok(stack.layers)
}

fn bad<T>(why: impl Into<String>) -> Result<T, LearnError> {
    Err(LearnError::Spec(why.into()))
}

/// The layers so far and the width of the last one.
struct Stack {
    layers: Vec<Layer>,
    width: usize,
}

impl Stack {
    fn push(
        &mut self,
        op: Op,
        output: usize,
        activation: Option<Activation>,
    ) -> Result<(), LearnError> {
        let offset = self.layers.last().map_or(0, |l| l.params().end);
        let input = self.width;
        let len = match &op {
            Op::Dense => (input + 1).checked_mul(output),
            Op::Conv(conv) => (conv.depth() + 1).checked_mul(conv.filters),
            Op::Norm(norm) => Some(2 * norm.channels),
            Op::Embed(embed) => Some(embed.params()),
            Op::Pool(_) => Some(0),
        };
        if len.is_none_or(|len| len > MAX_PARAMETERS || offset + len > MAX_PARAMETERS) {
            return bad("the model has more than 2^28 parameters");
        }
        self.layers.push(Layer {
            op,
            input,
            output,
            offset,
            activation,
        });
        self.width = output;
        Ok(())
    }

    fn convolutions(
        &mut self,
        image: [usize; 3],
        convolutions: &[Convolution],
        (activation, normalisation): (Activation, Normalisation),
    ) -> Result<(), LearnError> {
        let [channels, height, width] = image;
        let sides = [channels, height, width];
        if sides.iter().any(|&s| s == 0 || s > MAX_WIDTH)
            || channels
                .checked_mul(height)
                .and_then(|a| a.checked_mul(width))
                != Some(self.width)
        {
            return bad(format!(
                "an image of {channels} x {height} x {width} needs exactly as many features, not {}",
                self.width
            ));
        }
        if convolutions.is_empty() || convolutions.len() > MAX_PARTS {
            return bad("a cnn needs between 1 and 64 convolutions; without any, use an mlp");
        }
        let mut shape = image;
        for (at, convolution) in convolutions.iter().enumerate() {
            shape = self.convolution(shape, convolution, (at, activation, normalisation))?;
        }
        Ok(())
    }

    /// Adds one convolution with what follows it; gives the shape of the result.
    fn convolution(
        &mut self,
        shape: [usize; 3],
        convolution: &Convolution,
        (at, activation, normalisation): (usize, Activation, Normalisation),
    ) -> Result<[usize; 3], LearnError> {
        let conv = Conv::new(shape, convolution, at == 0)
            .ok_or_else(|| LearnError::Spec(format!("convolution {at} does not fit its input of {} x {} x {}: channels, kernel and stride must be at least 1, padding smaller than the kernel, the kernel no larger than the padded image, and at most 2^20 numbers may come out", shape[0], shape[1], shape[2])))?;
        let (mut height, mut width) = (conv.out_height, conv.out_width);
        let channels = conv.filters;
        let normalised = normalisation == Normalisation::Group;
        let output = conv.positions() * channels;
        self.push(Op::Conv(conv), output, (!normalised).then_some(activation))?;
        if normalised {
            let norm = GroupNorm::new(channels);
            self.push(Op::Norm(norm), output, Some(activation))?;
        }
        if let Some(pool) = &convolution.pool {
            let windows =
                PoolWindows::new([channels, height, width], *pool).ok_or_else(|| {
                    LearnError::Spec(format!(
                        "the pooling window behind convolution {at} must be at least 1 and no larger than its output of {height} x {width}, with a stride of at least 1"
                    ))
                })?;
            (height, width) = (windows.out_height, windows.out_width);
            self.push(Op::Pool(windows), height * width * channels, None)?;
        }
        Ok([channels, height, width])
    }

    fn embedding(&mut self, tables: &[EmbeddingTable]) -> Result<(), LearnError> {
        if tables.is_empty() || tables.len() > MAX_PARTS {
            return bad(
                "an embedding model needs between 1 and 64 tables; without any, use an mlp",
            );
        }
        let mut used = vec![false; self.width];
        for table in tables {
            let limit = 1..=MAX_WIDTH;
            if table.features.is_empty()
                || !limit.contains(&table.levels)
                || !limit.contains(&table.width)
            {
                return bad(
                    "an embedding table needs a feature, and between 1 and 2^20 levels and width",
                );
            }
            for &feature in &table.features {
                match used.get_mut(feature) {
                    Some(seen) if !*seen => *seen = true,
                    Some(_) => return bad(format!("feature {feature} is in two embedding tables")),
                    None => {
                        return bad(format!(
                            "feature {feature} of an embedding table does not exist"
                        ));
                    }
                }
            }
        }
        match Embed::new(self.width, tables, &used) {
            Some(embed) => {
                let output = embed.output();
                self.push(Op::Embed(embed), output, None)
            }
            None => {
                bad("the embedding tables are larger than 2^28 numbers, or their output than 2^20")
            }
        }
    }
}
