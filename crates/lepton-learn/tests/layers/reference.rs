//! Gradients by forward differentiation: one value and its derivatives by every parameter. Slow, plain and independent of the
//! crate.

use lepton_learn::{
    Activation, Convolution, EmbeddingTable, Examples, Model, ModelKind, Normalisation, Pool,
    PoolKind, Target, Tensor, tensors,
};

/// Values with derivatives by every parameter: forward differentiation, slow and plain. `[value][parameter]`.
#[derive(Clone)]
struct Dual {
    v: f64,
    d: Vec<f64>,
}

impl Dual {
    fn constant(v: f64, n: usize) -> Self {
        Self { v, d: vec![0.0; n] }
    }
    fn plus(&mut self, other: &Self, by: f64) {
        self.v += by * other.v;
        self.d
            .iter_mut()
            .zip(&other.d)
            .for_each(|(a, b)| *a += by * b);
    }
    fn map(&self, v: f64, slope: f64) -> Self {
        Self {
            v,
            d: self.d.iter().map(|d| d * slope).collect(),
        }
    }
    /// `self += x * params[at]`.
    fn weigh(&mut self, x: &Self, params: &[f64], at: usize) {
        self.plus(x, params[at]);
        self.d[at] += x.v;
    }
}

struct Reference<'a> {
    params: &'a [f64],
    tensors: std::vec::IntoIter<Tensor>,
}

impl Reference<'_> {
    fn activate(kind: Activation, x: &Dual) -> Dual {
        match kind {
            Activation::Relu => x.map(x.v.max(0.0), f64::from(u8::from(x.v > 0.0))),
            Activation::Tanh => x.map(x.v.tanh(), 1.0 - x.v.tanh().powi(2)),
        }
    }

    fn dense(&mut self, x: &[Dual], activation: Option<Activation>) -> Vec<Dual> {
        let (w, b) = (self.tensors.next().unwrap(), self.tensors.next().unwrap());
        (0..w.shape[0])
            .map(|o| {
                let mut z = Dual::constant(self.params[b.offset + o], self.params.len());
                z.d[b.offset + o] = 1.0;
                for (i, x) in x.iter().enumerate() {
                    z.weigh(x, self.params, w.offset + o * w.shape[1] + i);
                }
                activation.map_or(z.clone(), |a| Self::activate(a, &z))
            })
            .collect()
    }

    /// `x[y][x][channel]` as a map of three indices.
    fn convolve(&mut self, x: &[Vec<Vec<Dual>>], c: &Convolution) -> Vec<Vec<Vec<Dual>>> {
        let (w, b) = (self.tensors.next().unwrap(), self.tensors.next().unwrap());
        let (h, wd, ch) = (x.len(), x[0].len(), x[0][0].len());
        let side = |n: usize| (n + 2 * c.padding - c.kernel) / c.stride + 1;
        let cell = |oy: usize, ox: usize, o: usize| {
            let mut z = Dual::constant(self.params[b.offset + o], self.params.len());
            z.d[b.offset + o] = 1.0;
            for ky in 0..c.kernel {
                for kx in 0..c.kernel {
                    let (y, xx) = (oy * c.stride + ky, ox * c.stride + kx);
                    let inside = (c.padding..h + c.padding).contains(&y)
                        && (c.padding..wd + c.padding).contains(&xx);
                    for i in 0..ch {
                        if inside {
                            let at = ((o * c.kernel + ky) * c.kernel + kx) * ch + i;
                            z.weigh(
                                &x[y - c.padding][xx - c.padding][i],
                                self.params,
                                w.offset + at,
                            );
                        }
                    }
                }
            }
            z
        };
        (0..side(h))
            .map(|oy| {
                (0..side(wd))
                    .map(|ox| (0..c.channels).map(|o| cell(oy, ox, o)).collect())
                    .collect()
            })
            .collect()
    }

    /// Group normalisation written through its definition, derivative by derivative.
    fn normalise(&mut self, x: &mut [Vec<Vec<Dual>>]) {
        let (scale, shift) = (self.tensors.next().unwrap(), self.tensors.next().unwrap());
        let channels = x[0][0].len();
        let groups = match channels {
            8 => 2,
            _ => 1,
        };
        let n = self.params.len();
        let part = channels / groups;
        for g in 0..groups {
            let members = (x.len() * x[0].len() * part) as f64;
            let mut mean = Dual::constant(0.0, n);
            for cell in x
                .iter()
                .flatten()
                .flat_map(|c| &c[g * part..(g + 1) * part])
            {
                mean.plus(cell, 1.0 / members);
            }
            let mut variance = Dual::constant(1e-5, n);
            for cell in x
                .iter()
                .flatten()
                .flat_map(|c| &c[g * part..(g + 1) * part])
            {
                let mut centred = cell.clone();
                centred.plus(&mean, -1.0);
                let square = centred.map(centred.v.powi(2), 2.0 * centred.v);
                variance.plus(&square, 1.0 / members);
            }
            for line in x.iter_mut().flatten() {
                for c in g * part..(g + 1) * part {
                    let mut centred = line[c].clone();
                    centred.plus(&mean, -1.0);
                    let root = variance.v.sqrt();
                    let mut s = centred.map(centred.v / root, 1.0 / root);
                    let slope = -0.5 * centred.v / (root * variance.v);
                    s.d.iter_mut()
                        .zip(&variance.d)
                        .for_each(|(a, b)| *a += slope * b);
                    let mut y = Dual::constant(self.params[shift.offset + c], n);
                    y.d[shift.offset + c] = 1.0;
                    y.weigh(&s, self.params, scale.offset + c);
                    line[c] = y;
                }
            }
        }
    }

    fn pool(x: &[Vec<Vec<Dual>>], pool: Pool) -> Vec<Vec<Vec<Dual>>> {
        let step = pool.stride.unwrap_or(pool.size);
        let side = |n: usize| (n - pool.size) / step + 1;
        let cell = |oy: usize, ox: usize, c: usize| {
            let mut window = (0..pool.size * pool.size)
                .map(|i| &x[oy * step + i / pool.size][ox * step + i % pool.size][c]);
            match pool.kind {
                PoolKind::Max => {
                    let first = window.next().unwrap();
                    window
                        .fold(first, |a, b| if b.v > a.v { b } else { a })
                        .clone()
                }
                PoolKind::Average => {
                    let mut sum = Dual::constant(0.0, x[0][0][0].d.len());
                    window.for_each(|w| sum.plus(w, 1.0 / (pool.size * pool.size) as f64));
                    sum
                }
            }
        };
        (0..side(x.len()))
            .map(|oy| {
                (0..side(x[0].len()))
                    .map(|ox| (0..x[0][0].len()).map(|c| cell(oy, ox, c)).collect())
                    .collect()
            })
            .collect()
    }

    fn image(&mut self, row: &[f32], kind: &ModelKind) -> Vec<Dual> {
        let ModelKind::Cnn {
            image: [channels, height, width],
            convolutions,
            activation,
            normalisation,
            ..
        } = kind
        else {
            unreachable!("only convolutional models here")
        };
        let n = self.params.len();
        let at = |c: usize, y: usize, x: usize| f64::from(row[(c * height + y) * width + x]);
        let mut now: Vec<Vec<Vec<Dual>>> = (0..*height)
            .map(|y| {
                (0..*width)
                    .map(|x| {
                        (0..*channels)
                            .map(|c| Dual::constant(at(c, y, x), n))
                            .collect()
                    })
                    .collect()
            })
            .collect();
        for convolution in convolutions {
            now = self.convolve(&now, convolution);
            if *normalisation == Normalisation::Group {
                self.normalise(&mut now);
            }
            for z in now.iter_mut().flatten().flatten() {
                *z = Self::activate(*activation, z);
            }
            if let Some(pool) = convolution.pool {
                now = Self::pool(&now, pool);
            }
        }
        now.into_iter().flatten().flatten().collect()
    }

    fn look_up(&mut self, row: &[f32], tables: &[EmbeddingTable]) -> Vec<Dual> {
        let n = self.params.len();
        let mut out = Vec::new();
        let mut numeric: Vec<usize> = (0..row.len()).collect();
        for table in tables {
            let tensor = self.tensors.next().unwrap();
            for &feature in &table.features {
                let index = (row[feature].max(0.0) as usize).min(table.levels - 1);
                for j in 0..table.width {
                    let at = tensor.offset + index * table.width + j;
                    let mut z = Dual::constant(self.params[at], n);
                    z.d[at] = 1.0;
                    out.push(z);
                }
                numeric.retain(|f| *f != feature);
            }
        }
        out.extend(
            numeric
                .iter()
                .map(|&f| Dual::constant(f64::from(row[f]), n)),
        );
        out
    }
}

/// One example's gradient.
pub(crate) fn reference(model: &Model, examples: &Examples, row: usize) -> Vec<f64> {
    let spec = model.spec();
    let mut net = Reference {
        params: model.params(),
        tensors: tensors(spec).unwrap().into_iter(),
    };
    let features = examples.x().row(row);
    let (mut now, hidden, activation) = match &spec.kind {
        ModelKind::Cnn {
            hidden, activation, ..
        } => (net.image(features, &spec.kind), hidden, *activation),
        ModelKind::Embedding {
            tables,
            hidden,
            activation,
        } => (net.look_up(features, tables), hidden, *activation),
        _ => unreachable!("only new kinds here"),
    };
    for _ in hidden {
        now = net.dense(&now, Some(activation));
    }
    let scores = net.dense(&now, None);
    let Target::Classes { labels, classes } = examples.y() else {
        unreachable!("only classes here")
    };
    let label = labels[row] as usize;
    let mut gradient = Dual::constant(0.0, model.params().len());
    if *classes == 2 {
        let p = 1.0 / (1.0 + (-scores[0].v).exp());
        gradient.plus(&scores[0], p - label as f64);
    } else {
        let total: f64 = scores.iter().map(|z| z.v.exp()).sum();
        for (class, z) in scores.iter().enumerate() {
            gradient.plus(z, z.v.exp() / total - f64::from(u8::from(class == label)));
        }
    }
    gradient.d
}
