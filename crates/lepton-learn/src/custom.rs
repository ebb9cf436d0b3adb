//! Models of which only the shapes of their tensors are known (docs/protocols/custom-models.md).

use rand_core::CryptoRng;

use crate::error::LearnError;
use crate::private::{ClipNorm, GradientSum, MAX_ROWS_PER_STEP, clip_update};
use crate::random::normal;
use crate::spec::{MAX_PARAMETERS, Tensor};

/// Most tensors of a custom model.
const MAX_TENSORS: usize = 4096;

/// The tensors in order, one after the other in the flat vector.
///
/// # Errors
/// [`LearnError::Spec`] when there is none, or they are too many or too large.
pub(crate) fn tensors_of(shapes: &[Vec<usize>]) -> Result<Vec<Tensor>, LearnError> {
    if shapes.is_empty() || shapes.len() > MAX_TENSORS {
        return Err(LearnError::Spec(format!(
            "a custom model has between 1 and {MAX_TENSORS} tensors"
        )));
    }
    let mut offset = 0_usize;
    let mut found = Vec::with_capacity(shapes.len());
    for (index, shape) in shapes.iter().enumerate() {
        let len = shape
            .iter()
            .try_fold(1_usize, |len, side| len.checked_mul(*side));
        let end = len.and_then(|len| offset.checked_add(len));
        let fits = |end: &usize| *end > offset && *end <= MAX_PARAMETERS;
        let Some(end) = end.filter(fits) else {
            return Err(LearnError::Spec(format!(
                "tensor {index} of the custom model has the shape {shape:?}: every side is at least 1, and all tensors together have at most 2^28 numbers"
            )));
        };
        found.push(Tensor {
            name: format!("tensor{index}"),
            shape: shape.clone(),
            offset,
            len: end - offset,
        });
        offset = end;
    }
    Ok(found)
}

/// Rule CM-08.
pub(crate) fn start(
    shapes: &[Vec<usize>],
    rng: &mut impl CryptoRng,
) -> Result<Vec<f64>, LearnError> {
    let mut parameters = Vec::new();
    for tensor in tensors_of(shapes)? {
        let deviation = match tensor.shape.as_slice() {
            [out, input, window @ ..] => {
                let window: usize = window.iter().product();
                let fans = out.saturating_add(*input).saturating_mul(window);
                (2.0 / fans as f64).sqrt()
            }
            _ => 0.0,
        };
        parameters.extend((0..tensor.len).map(|_| {
            if deviation > 0.0 {
                deviation * normal(rng)
            } else {
                0.0
            }
        }));
    }
    Ok(parameters)
}

/// Sums vectors of `len` numbers, each scaled down to Euclidean norm at most `clip`; one that is not finite counts as zero. Adding or removing one
/// vector moves the sum by at most `clip (1 + PERSON_ETA)`, see [`crate::PERSON_ETA`] (rules CM-05 and PU-12).
///
/// # Errors
/// What making a vector gives, [`LearnError::Shape`] for one of another length, [`LearnError::Rows`] for more than [`MAX_ROWS_PER_STEP`].
pub fn clipped_vector_sum<E: From<LearnError>>(
    len: usize,
    vectors: impl ExactSizeIterator<Item = Result<Vec<f64>, E>>,
    clip: ClipNorm,
) -> Result<GradientSum, E> {
    let rows = vectors.len();
    if rows > MAX_ROWS_PER_STEP {
        let what = format!(
            "{rows} at once, but a private step may use at most {MAX_ROWS_PER_STEP}; lower the sampling rate"
        );
        return Err(LearnError::Rows(what).into());
    }
    let mut total = GradientSum {
        sum: vec![0.0; len],
        rows,
        clipped: 0,
    };
    for vector in vectors {
        let mut vector = vector?;
        crate::error::expect_len("numbers of a gradient", len, vector.len())?;
        total.clipped += usize::from(clip_update(&mut vector, clip));
        for (sum, value) in total.sum.iter_mut().zip(vector) {
            *sum += value;
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::spec::{ModelKind, ModelSpec, Outputs};
    use crate::{Matrix, Model, param_len, tensors};

    fn spec(shapes: &[&[usize]]) -> ModelSpec {
        ModelSpec {
            kind: ModelKind::Custom {
                shapes: shapes.iter().map(|shape| shape.to_vec()).collect(),
            },
            inputs: 3,
            outputs: Outputs::Classes(2),
            l2: 0.0,
        }
    }

    #[test]
    fn tensors_lie_one_after_the_other() {
        let spec = spec(&[&[4, 3], &[4], &[]]);
        let found: Vec<_> = tensors(&spec)
            .unwrap()
            .into_iter()
            .map(|tensor| (tensor.name, tensor.offset, tensor.len))
            .collect();
        let wanted = [("tensor0", 0, 12), ("tensor1", 12, 4), ("tensor2", 16, 1)];
        assert_eq!(
            found,
            wanted.map(|(name, at, len)| (name.to_owned(), at, len))
        );
        assert_eq!(param_len(&spec).unwrap(), 17);
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        let huge = [1 << 20, 1 << 20];
        let wide = [usize::MAX, 3];
        for shapes in [&[][..], &[&[0_usize, 3][..]], &[&huge[..]], &[&wide[..]]] {
            assert!(spec(shapes).validate().is_err(), "{shapes:?}");
        }
    }

    /// CM-08: the deviations of 40,000 draws; false alarm below 1e-9 (six standard errors).
    #[test]
    fn fresh_parameters_have_the_wanted_deviation() {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let spec = spec(&[&[100, 400], &[100], &[20, 10, 10, 20]]);
        let model = Model::init(spec, &mut rng).unwrap();
        let (dense, rest) = model.params().split_at(40_000);
        let (bias, kernel) = rest.split_at(100);
        assert!(bias.iter().all(|value| *value == 0.0));
        for (part, variance) in [(dense, 2.0 / 500.0), (kernel, 2.0 / (30.0 * 200.0))] {
            let measured = part.iter().map(|v| v * v).sum::<f64>() / part.len() as f64;
            let error = variance * (2.0 / part.len() as f64).sqrt();
            assert!(
                (measured - variance).abs() < 6.0 * error,
                "{measured} {variance}"
            );
        }
    }

    /// CM-10: nothing here pretends to know what a custom model predicts.
    #[test]
    fn only_its_trainer_can_apply_it() {
        let spec = spec(&[&[1, 3]]);
        let model = Model::new(spec.clone(), vec![0.5; 3]).unwrap();
        let x = Matrix::new(1, 3, vec![1.0; 3]).unwrap();
        assert!(model.predict(&x).is_err());
        assert!(crate::GradientWorkspace::new(&spec, crate::Precision::Single).is_err());
        assert!(crate::float_error_eta(&spec, 10).is_err());
    }

    #[test]
    fn vectors_are_cut_and_counted() {
        let clip = ClipNorm::new(1.0).unwrap();
        let vectors = [vec![3.0, 4.0], vec![0.25, 0.0], vec![f64::NAN, 0.0]];
        let vectors = vectors.into_iter().map(Ok::<_, LearnError>);
        let sum = clipped_vector_sum(2, vectors, clip).unwrap();
        assert!((sum.sum[0] - 0.85).abs() < 1e-12 && (sum.sum[1] - 0.8).abs() < 1e-12);
        assert_eq!((sum.rows, sum.clipped), (3, 2));
        let short = [Ok::<_, LearnError>(vec![1.0])].into_iter();
        assert!(clipped_vector_sum(2, short, clip).is_err());
    }
}
