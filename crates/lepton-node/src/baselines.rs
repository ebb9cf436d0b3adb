//! What only a simulation can know: the same model on the pooled rows, on each party alone, and the majority class. *Not private.*

use lepton_learn::{
    Examples, LearnError, Matrix, Metrics, Model, ModelSpec, Outputs, Predictions, ServerState,
    Span, Target,
};
use lepton_protocol::plan::Plan;
use lepton_protocol::public::PublicState;
use rand_core::CryptoRng;

/// Trains the job's model on `rows` alone, without privacy goal: as many rounds, epochs and server steps as the federation, in one place.
///
/// # Errors
/// [`LearnError`] when training diverges or there are no rows.
pub(crate) fn train_alone(
    plan: &Plan,
    public: &PublicState,
    spec: &ModelSpec,
    rows: &Examples,
    rng: &mut impl CryptoRng,
) -> Result<Model, LearnError> {
    let mut config = plan.local_config(public);
    if let Span::Steps(steps) = config.span {
        // The federation takes that many steps at every party in each round.
        config.span = Span::Steps(steps.saturating_mul(u32::from(plan.parties())));
    }
    let mut parameters = Model::init(spec.clone(), rng)?.params().to_vec();
    let mut server = ServerState::new(plan.plain_server_optimiser(), parameters.len())?;
    for _ in 0..plan.rounds() {
        let trained = lepton_learn::train_local(spec, &parameters, rows, &config, rng)?;
        let change: Vec<f64> = trained
            .iter()
            .zip(&parameters)
            .map(|(new, old)| new - old)
            .collect();
        server.apply(&mut parameters, &change)?;
    }
    Model::new(spec.clone(), parameters)
}

/// Rows of several parties in one table.
///
/// # Errors
/// [`LearnError`] when they do not have the same inputs.
pub(crate) fn pool(parts: &[&Examples]) -> Result<Examples, LearnError> {
    let columns = parts.first().map_or(0, |part| part.x().cols());
    let rows = parts.iter().map(|part| part.len()).sum();
    let data = parts
        .iter()
        .flat_map(|part| part.x().data().iter().copied())
        .collect();
    let mut labels = Vec::new();
    let mut values = Vec::new();
    let mut classes = 0;
    for part in parts {
        match part.y() {
            Target::Classes {
                labels: more,
                classes: count,
            } => {
                labels.extend(more);
                classes = *count;
            }
            Target::Values(more) => values.extend(more),
        }
    }
    let target = if classes > 0 {
        Target::Classes { labels, classes }
    } else {
        Target::Values(values)
    };
    Examples::new(Matrix::new(rows, columns, data)?, target)
}

/// Metrics of always answering what is most frequent among `train` (or its mean).
///
/// # Errors
/// [`LearnError`] when there are no rows.
pub(crate) fn majority(
    spec: &ModelSpec,
    train: &Examples,
    test: &Examples,
) -> Result<Metrics, LearnError> {
    let predictions = match (spec.outputs, train.y()) {
        (Outputs::Classes(classes), target) => {
            let counts = target.class_counts();
            let total = counts.iter().sum::<u64>().max(1);
            #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
            let shares: Vec<f64> = counts
                .iter()
                .map(|count| *count as f64 / total as f64)
                .collect();
            Predictions::Probabilities {
                classes,
                data: shares.repeat(test.len()),
            }
        }
        (Outputs::Regression, Target::Values(values)) => {
            #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>()
                / values.len().max(1) as f64;
            Predictions::Values(vec![mean; test.len()])
        }
        (Outputs::Regression, Target::Classes { .. }) => return Err(LearnError::Empty("a mean")),
    };
    Metrics::exact(&predictions, test.y())
}
