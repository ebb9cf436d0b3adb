//! Clipped sums where one unit of privacy is all rows of a person (rule PU-12 in docs/protocols/privacy-units.md).

use super::{ClipNorm, GradientSum, GradientWorkspace};
use crate::custom::clipped_vector_sum;
use crate::data::Examples;
use crate::error::LearnError;
use crate::local::Precision;
use crate::spec::ModelSpec;

/// Relative amount by which the sums of [`clipped_person_sum`] for data with and without one person can differ beyond the clip norm: twice
/// `gamma_m m` for `m = 2^20` persons added one after the other in `f64`, `gamma_m = m u / (1 - m u)`, `u = 2^-53`, and two parts in a hundred more.
pub const PERSON_ETA: f64 = 2.04 * (1_u64 << 40) as f64 * (f64::EPSILON / 2.0);

/// Sums over persons the mean gradient of each one's rows, scaled down to Euclidean norm at most `clip`. `rows` and `clipped` of the result count
/// persons. Row numbers of a person are strictly increasing, and no row is two persons'.
///
/// Adding or removing one person moves the sum by at most `clip (1 + PERSON_ETA)`: a person's mean as computed is a function of that person's rows and
/// of public values, whatever its errors, and is cut to `clip` in real arithmetic; the rest is the rounding of the sum.
///
/// # Errors
/// When rows, parameters and model do not fit together, or for more than [`MAX_ROWS_PER_STEP`](super::MAX_ROWS_PER_STEP) persons.
pub fn clipped_person_sum(
    spec: &ModelSpec,
    params: &[f64],
    (examples, persons): (&Examples, &[&[usize]]),
    clip: ClipNorm,
    class_weights: Option<&[f64]>,
) -> Result<GradientSum, LearnError> {
    let mut workspace = GradientWorkspace::new(spec, Precision::Single)?;
    // As good as none: only what overflows is left out.
    let widest = ClipNorm::new((1_u64 << 40) as f64)?;
    let means = persons.iter().map(|rows| {
        let own =
            workspace.clipped_gradient_sum(params, (examples, rows), widest, class_weights)?;
        let count = rows.len().max(1) as f64;
        Ok(own.sum.iter().map(|value| value / count).collect())
    });
    clipped_vector_sum(params.len(), means, clip)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::{Matrix, Target};
    use crate::spec::{ModelKind, Outputs};

    fn examples(rows: &[(f32, f32, bool)]) -> Examples {
        let x = rows.iter().flat_map(|(a, b, _)| [*a, *b]).collect();
        let labels = rows.iter().map(|row| u32::from(row.2)).collect();
        let x = Matrix::new(rows.len(), 2, x).unwrap();
        Examples::new(x, Target::Classes { labels, classes: 2 }).unwrap()
    }

    fn spec() -> ModelSpec {
        ModelSpec {
            kind: ModelKind::Logistic,
            inputs: 2,
            outputs: Outputs::Classes(2),
            l2: 0.0,
        }
    }

    fn row() -> impl Strategy<Value = (f32, f32, bool)> {
        (-50.0_f32..50.0, -50.0_f32..50.0, any::<bool>())
    }

    proptest! {
        /// PU-12: with one person more the sum moves by no more than the norm; the same with one row more of a person moves it by twice that at most.
        #[test]
        fn a_person_moves_the_sum_by_at_most_the_norm(
            persons in prop::collection::vec(prop::collection::vec(row(), 1..6), 1..8), params in prop::collection::vec(-3.0_f64..3.0, 3), norm in 1e-3_f64..10.0,
        ) {
            let all: Vec<_> = persons.concat();
            let data = examples(&all);
            let mut start = 0;
            let rows: Vec<Vec<usize>> = persons.iter().map(|own| { start += own.len(); (start - own.len()..start).collect() }).collect();
            let rows: Vec<&[usize]> = rows.iter().map(Vec::as_slice).collect();
            let clip = ClipNorm::new(norm).unwrap();
            let sum = |rows: &[&[usize]]| clipped_person_sum(&spec(), &params, (&data, rows), clip, None).unwrap();
            let (with, without) = (sum(&rows), sum(&rows[1..]));
            let moved: f64 = with.sum.iter().zip(&without.sum).map(|(a, b)| (a - b).powi(2)).sum();
            prop_assert!(moved.sqrt() <= norm * (1.0 + PERSON_ETA));
            prop_assert_eq!((with.rows, without.rows), (rows.len(), rows.len() - 1));
        }
    }

    /// By hand: a person's mean, not the sum of rows cut one by one.
    #[test]
    fn a_person_counts_once() {
        // Logistic at zero parameters: gradient (1/2 - y) (x, 1).
        let data = examples(&[(1.0, 0.0, false), (0.0, 1.0, false), (0.0, 0.0, true)]);
        let sum = |rows: &[&[usize]], clip: f64| {
            let clip = ClipNorm::new(clip).unwrap();
            clipped_person_sum(&spec(), &[0.0; 3], (&data, rows), clip, None).unwrap()
        };
        let whole = sum(&[&[0, 1], &[2]], 100.0);
        assert_eq!((whole.sum, whole.clipped), (vec![0.25, 0.25, 0.0], 0));
        let cut = sum(&[&[0, 1]], 0.1);
        let norm: f64 = cut.sum.iter().map(|value| value * value).sum();
        assert!((norm.sqrt() - 0.1).abs() < 1e-9 && cut.clipped == 1);
    }
}
