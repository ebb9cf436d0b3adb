//! What a model looks at, and a picture of the data.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::data::{Examples, Matrix};
use crate::error::LearnError;
use crate::kernel::{Left, Operands, Scratch, Sizes, product};
use crate::model::Model;
use crate::random::shuffle;

/// Feature columns that belong to one raw column, with its name.
pub type FeatureGroup = (String, Vec<usize>);

/// How much worse the model gets when it may not use a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Name of the column.
    pub name: String,
    /// Increase of the mean loss after shuffling the column's features over the rows.
    pub loss_increase: f64,
}

/// Permutation importance (Breiman 2001, section 10; Fisher, Rudin and Dominici 2019) of groups of feature columns, one
/// shuffle each. Depends on the rows given: it is a release.
///
/// # Errors
/// When the examples do not fit the model, there is no row, or a group names a column that does not exist.
pub fn permutation_importance(
    model: &Model,
    examples: &Examples,
    groups: &[FeatureGroup],
    rng: &mut impl CryptoRng,
) -> Result<Vec<Importance>, LearnError> {
    let base = model.loss(examples)?;
    let cols = examples.x().cols();
    groups
        .iter()
        .map(|(name, columns)| {
            if columns.iter().any(|&c| c >= cols) {
                return Err(LearnError::column(
                    name,
                    format!("its features are not among the {cols} columns"),
                ));
            }
            let mut order: Vec<usize> = (0..examples.len()).collect();
            shuffle(&mut order, rng);
            let shuffled = exchange(examples.x(), columns, &order)?;
            let loss = model.loss(&Examples::new(shuffled, examples.y().clone())?)?;
            Ok(Importance {
                name: name.clone(),
                loss_increase: loss - base,
            })
        })
        .collect()
}

/// `x` with the given columns of row `i` taken from row `order[i]`.
fn exchange(x: &Matrix, columns: &[usize], order: &[usize]) -> Result<Matrix, LearnError> {
    let mut data = x.data().to_vec();
    for (row, &from) in data.chunks_exact_mut(x.cols().max(1)).zip(order) {
        for &column in columns {
            if let (Some(to), Some(&value)) = (row.get_mut(column), x.row(from).get(column)) {
                *to = value;
            }
        }
    }
    Matrix::new(x.rows(), x.cols(), data)
}

/// The two directions of largest variance and every row's place on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// Column means.
    pub mean: Vec<f64>,
    /// Two orthogonal unit vectors; the entry of largest size is positive.
    pub directions: [Vec<f64>; 2],
    /// Variance along each, as a share of the total; 0 when there is none.
    pub explained: [f64; 2],
    /// One point a row.
    pub points: Vec<[f64; 2]>,
}

/// Most columns of a [`two_components`] matrix, because the covariance is held in memory.
const MAX_COLUMNS: usize = 4096;
/// Orthogonal iterations at most; a picture needs no more.
const MAX_ITERATIONS: usize = 500;

/// Principal components by orthogonal iteration on the covariance matrix (Golub and Van Loan, section 8.2.4), from a fixed
/// start: the same rows give the same picture.
///
/// # Errors
/// Without rows, without columns or with more than 4096 columns.
pub fn two_components(x: &Matrix) -> Result<Projection, LearnError> {
    if x.rows() == 0 || x.cols() == 0 {
        return Err(LearnError::Empty("a projection"));
    }
    if x.cols() > MAX_COLUMNS {
        return Err(LearnError::setting(
            "columns of a projection",
            "at most 4096",
            x.cols(),
        ));
    }
    let (mean, covariance) = covariance(x);
    let trace: f64 = covariance.iter().step_by(x.cols() + 1).sum();
    let directions = leading(&covariance, x.cols());
    let along = |v: &[f64]| dot(v, &times(&covariance, v));
    let share = |v: &[f64]| {
        if trace > 0.0 {
            (along(v) / trace).clamp(0.0, 1.0)
        } else {
            0.0
        }
    };
    let point = |row: &[f32]| {
        let centred: Vec<f64> = row
            .iter()
            .zip(&mean)
            .map(|(&v, m)| f64::from(v) - m)
            .collect();
        [dot(&directions[0], &centred), dot(&directions[1], &centred)]
    };
    let points = x.data().chunks_exact(x.cols()).map(point).collect();
    let explained = [share(&directions[0]), share(&directions[1])];
    Ok(Projection {
        mean,
        directions,
        explained,
        points,
    })
}

/// Column means and covariance, in blocks of rows.
fn covariance(x: &Matrix) -> (Vec<f64>, Vec<f64>) {
    let (n, d) = (x.rows() as f64, x.cols());
    let mut mean = vec![0.0; d];
    for row in x.data().chunks_exact(d) {
        mean.iter_mut()
            .zip(row)
            .for_each(|(m, &v)| *m += f64::from(v) / n);
    }
    let (mut total, mut part, mut scratch) =
        (vec![0.0; d * d], vec![0.0; d * d], Scratch::default());
    for block in x.data().chunks(d * 1024) {
        let centred: Vec<f64> = block
            .iter()
            .zip(mean.iter().cycle())
            .map(|(&v, m)| f64::from(v) - m)
            .collect();
        let sizes = Sizes {
            m: d,
            n: d,
            k: centred.len() / d,
        };
        product(
            sizes,
            Operands {
                a: &centred,
                left: Left::Transposed,
                b: &centred,
            },
            &mut part,
            &mut scratch,
        );
        total.iter_mut().zip(&part).for_each(|(t, p)| *t += p / n);
    }
    (mean, total)
}

/// The two leading eigenvectors of a symmetric positive semi-definite matrix.
fn leading(matrix: &[f64], d: usize) -> [Vec<f64>; 2] {
    // Fixed, without symmetry that could make it orthogonal to an eigenvector of structured data.
    let start = |salt: f64| -> Vec<f64> {
        (0..d)
            .map(|i| libm::cos((i as f64 + salt) * salt))
            .collect()
    };
    let mut pair = orthonormal([start(1.3), start(2.7)]);
    for _ in 0..MAX_ITERATIONS {
        let next = orthonormal([times(matrix, &pair[0]), times(matrix, &pair[1])]);
        let still = pair
            .iter()
            .zip(&next)
            .all(|(a, b)| 1.0 - dot(a, b).abs() < 1e-13);
        pair = next;
        if still {
            break;
        }
    }
    pair.map(|mut v| {
        let largest = v
            .iter()
            .fold(0.0_f64, |m, &c| if c.abs() > m.abs() { c } else { m });
        if largest < 0.0 {
            v.iter_mut().for_each(|c| *c = -*c);
        }
        v
    })
}

/// Gram-Schmidt; a vector without length becomes zero.
fn orthonormal([mut first, mut second]: [Vec<f64>; 2]) -> [Vec<f64>; 2] {
    normalise(&mut first);
    let before = dot(&second, &second).sqrt();
    for _ in 0..2 {
        let shared = dot(&first, &second);
        second
            .iter_mut()
            .zip(&first)
            .for_each(|(s, f)| *s -= shared * f);
    }
    if dot(&second, &second).sqrt() <= before * 1e-12 {
        second.fill(0.0);
    }
    normalise(&mut second);
    [first, second]
}

fn normalise(v: &mut [f64]) {
    let norm = dot(v, v).sqrt();
    if norm > 0.0 {
        v.iter_mut().for_each(|c| *c /= norm);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn times(matrix: &[f64], v: &[f64]) -> Vec<f64> {
    matrix
        .chunks_exact(v.len())
        .map(|row| dot(row, v))
        .collect()
}
