//! Settings of private training from public figures alone (rule DP-18): whoever tunes them on the data pays for it.

use serde::{Deserialize, Serialize};

use crate::error::LearnError;
use crate::local::positive;
use crate::private::ClipNorm;
use crate::spec::{ModelKind, ModelSpec, param_len};

/// What a suggestion may depend on. All of it is public.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuggestInput<'a> {
    /// Public number of rows, over all parties that are summed.
    pub rows: usize,
    /// The model; its kind and number of parameters matter.
    pub spec: &'a ModelSpec,
    /// Epsilon of the whole training.
    pub epsilon: f64,
}

/// Settings to start from. They fit the privacy goal only together with a noise multiplier that the accountant derives from
/// sampling rate, steps, epsilon and delta.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Clip norm of one record.
    pub clip: ClipNorm,
    /// Probability of a record in a step.
    pub sampling_rate: f64,
    /// Steps of the whole training.
    pub steps: u32,
    /// Step length for Adam on the noised mean gradient.
    pub learning_rate: f64,
}

/// How one family of models is trained.
struct Family {
    clip: f64,
    learning_rate: f64,
    patience: f64,
}

/// Suggests clip norm, sampling rate, steps and learning rate. Looks at no data, so it costs no privacy and may be printed.
///
/// - **Sampling rate** `min(0.5, 35 / sqrt(rows))`, to two digits: at a fixed epsilon the noise of the
///   *mean* gradient hardly depends on the batch once the noise multiplier is above about 1, and is worse for small batches
///   below; so batches are large (De et al. 2022, section 3), up to half the rows, and grow with the root of the rows, which
///   keeps the cost of a step in bounds. 5,000 rows: 0.49; 60,000: 0.14; a million: 0.035.
/// - **Steps** `p sqrt(epsilon rows / sqrt(d))`, between 20 and 2,000: the noise of one step grows with the root of the steps
///   and of the parameters `d` and falls with `epsilon rows`; a model that takes more steps to fit (`p`: linear and logistic 3,
///   dense, embedding and custom 6, convolutional 12) gets more of them.
/// - **Clip** 4 for linear and logistic models on scaled columns, whose gradients have about the norm of a row; 2 for dense
///   and embedding models; 1 for convolutional ones (De et al. 2022, section 3).
/// - **Learning rate**, for Adam, whose steps do not depend on the clip: 0.1, 0.01 and 0.005.
///
/// Calibrated on public tabular and image sets only: logistic models of some 5,000 rows do well at clip 4, rate 0.5, learning
/// rate 0.1, convolutional ones of 60,000 images at clip 1 with some hundred large batches. A start, not an optimum.
///
/// # Errors
/// [`LearnError::Spec`] or [`LearnError::Setting`].
pub fn suggest(input: SuggestInput<'_>) -> Result<Suggestion, LearnError> {
    let parameters = param_len(input.spec)? as f64;
    positive("epsilon", input.epsilon)?;
    if input.rows == 0 {
        return Err(LearnError::setting("rows", "at least 1", input.rows));
    }
    let rows = input.rows as f64;
    let family = family(&input.spec.kind);
    let signal = input.epsilon * rows / parameters.sqrt();
    Ok(Suggestion {
        clip: ClipNorm::new(family.clip)?,
        sampling_rate: two_digits(35.0 / rows.sqrt()).min(0.5),
        steps: whole((family.patience * signal.sqrt()).clamp(20.0, 2000.0)),
        learning_rate: family.learning_rate,
    })
}

fn family(kind: &ModelKind) -> Family {
    let (clip, learning_rate, patience) = match kind {
        ModelKind::Linear | ModelKind::Logistic => (4.0, 0.1, 3.0),
        ModelKind::Mlp { .. } | ModelKind::Embedding { .. } | ModelKind::Custom { .. } => {
            (2.0, 0.01, 6.0)
        }
        ModelKind::Cnn { .. } => (1.0, 0.005, 12.0),
    };
    Family {
        clip,
        learning_rate,
        patience,
    }
}

/// A positive number rounded to two significant digits.
fn two_digits(value: f64) -> f64 {
    let scale = libm::pow(10.0, libm::floor(libm::log10(value)) - 1.0);
    (value / scale).round() * scale
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 20 and 2000"
)]
fn whole(steps: f64) -> u32 {
    steps.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Activation, Outputs};

    fn spec(kind: ModelKind, inputs: usize) -> ModelSpec {
        ModelSpec {
            kind,
            inputs,
            outputs: Outputs::Classes(2),
            l2: 0.0,
        }
    }

    fn of(spec: &ModelSpec, rows: usize, epsilon: f64) -> Suggestion {
        suggest(SuggestInput {
            rows,
            spec,
            epsilon,
        })
        .unwrap()
    }

    /// DP-18: the settings that public tabular sets of about 5,000 rows were found to like.
    #[test]
    fn logistic_models_of_five_thousand_rows_keep_what_is_known() {
        let got = of(&spec(ModelKind::Logistic, 40), 5_000, 1.0);
        assert_eq!(
            (got.clip.get(), got.sampling_rate, got.learning_rate),
            (4.0, 0.49, 0.1)
        );
        assert!((60..120).contains(&got.steps), "{}", got.steps);
    }

    #[test]
    fn more_privacy_fewer_steps_and_more_rows_smaller_rates() {
        let model = spec(
            ModelKind::Mlp {
                hidden: vec![32],
                activation: Activation::Relu,
            },
            20,
        );
        assert!(of(&model, 10_000, 0.5).steps < of(&model, 10_000, 4.0).steps);
        assert!(of(&model, 1_000_000, 1.0).sampling_rate < 0.04);
        for rows in [1, 10, 100_000_000] {
            let got = of(&model, rows, 1e-3);
            assert!(got.sampling_rate > 0.0 && got.sampling_rate <= 0.5);
            assert!((20..=2000).contains(&got.steps));
        }
        let input = SuggestInput {
            rows: 0,
            spec: &model,
            epsilon: 1.0,
        };
        assert!(suggest(input).is_err());
        assert!(
            suggest(SuggestInput {
                rows: 5,
                epsilon: f64::NAN,
                ..input
            })
            .is_err()
        );
    }
}
