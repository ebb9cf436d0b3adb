//! Canaries: records at the edge of what the job allows, each included by the toss of a coin, guessed from the noised sums.

use lepton_learn::{RawColumn, Target, clipped_gradient_sum};
use lepton_protocol::plan::{FeatureKind, LabelKind, Plan};
use lepton_protocol::privacy::NoiseAt;
use lepton_protocol::work::{PartyRows, Worker, slot_function};
use rand_core::CryptoRng;

use super::Guess;
use super::course::{Course, failed};
use crate::error::NodeError;
use crate::tables::Federation;

/// Rows that no real record is likely to be, and who of them takes part.
pub(super) struct Canaries {
    columns: Vec<RawColumn>,
    included: Vec<bool>,
}

impl Canaries {
    /// Draws `count` canaries: every number at one of its public bounds, every category and class any of those there are. Their gradients are as
    /// large as gradients get, so that clipping is what bounds them.
    pub(super) fn draw(
        federation: &Federation,
        count: u32,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, NodeError> {
        let template = federation
            .parties
            .first()
            .map(|party| party.rows.train.as_slice())
            .unwrap_or_default();
        let columns = template
            .iter()
            .map(|column| edge(federation, column, count, rng))
            .collect::<Result<_, _>>()?;
        let included = (0..count).map(|_| rng.next_u32() & 1 == 1).collect();
        Ok(Self { columns, included })
    }

    /// The parties' rows with the included canaries. A canary's party follows from its own number: were it dealt by its place among the included, one coin would move all
    /// later canaries to other parties, and two outcomes of that coin would not be neighbours.
    pub(super) fn rows(&self, federation: &Federation) -> Vec<PartyRows> {
        let parties = federation.parties.len().max(1);
        let with = |(index, party): (usize, &crate::tables::PartyTable)| {
            let numbered = self.included.iter().enumerate();
            let own: Vec<usize> = numbered
                .filter(|(row, included)| **included && row % parties == index)
                .map(|(row, _)| row)
                .collect();
            let train = party.rows.train.iter().zip(&self.columns);
            PartyRows {
                train: train
                    .map(|(column, canaries)| joined(column, &canaries.select(&own)))
                    .collect(),
                hold_out: party.rows.hold_out.clone(),
            }
        };
        federation.parties.iter().enumerate().map(with).collect()
    }

    /// Guesses from the sums: the canaries that the sums point to most are guessed in, those that they point away from most, out.
    pub(super) fn guess(
        &self,
        federation: &Federation,
        course: &Course,
        guesses: u32,
    ) -> Result<Guess, NodeError> {
        let scores = self.scores(federation, course)?;
        Ok(Guess::of(&scores, &self.included, guesses))
    }

    /// For each canary the inner products of its clipped gradients with the sums, over all rounds.
    fn scores(&self, federation: &Federation, course: &Course) -> Result<Vec<f64>, NodeError> {
        let plan = &federation.plan;
        let public = course.training.public();
        let mut worker = Worker::new(PartyRows {
            train: self.columns.clone(),
            hold_out: self
                .columns
                .iter()
                .map(|column| column.select(&[]))
                .collect(),
        });
        let slot = slot_function(None, plan.slots());
        let (examples, _) = worker.examples(public, &slot).map_err(failed)?;
        let spec = plan.model_spec(public)?;
        let weights = plan.class_weights(public);
        let clip = plan.clip(public)?;
        let direction = direction(plan);
        let mut scores = vec![0.0; self.included.len()];
        for round in &course.rounds {
            for (row, score) in scores.iter_mut().enumerate() {
                let gradient = clipped_gradient_sum(
                    &spec,
                    &round.parameters,
                    (examples, &[row]),
                    clip,
                    weights.as_deref(),
                )?;
                *score += direction * product(&gradient.sum, &round.sum);
            }
        }
        Ok(scores)
    }
}

/// Sums of gradients point to who is in them; sums of changes of a model point the other way.
fn direction(plan: &Plan) -> f64 {
    match plan.privacy().map(|privacy| privacy.goal.noise) {
        Some(NoiseAt::Distributed) => 1.0,
        Some(NoiseAt::Local) | None => -1.0,
    }
}

/// Over the last entries of the sum, as many as there are parameters: a sum may begin with weights.
fn product(gradient: &[f64], sum: &[i64]) -> f64 {
    let skipped = sum.len().saturating_sub(gradient.len());
    #[expect(
        clippy::cast_precision_loss,
        reason = "a score; the noise is far larger than the rounding"
    )]
    let terms = gradient
        .iter()
        .zip(sum.iter().skip(skipped))
        .map(|(g, s)| g * *s as f64);
    terms.sum()
}

fn edge(
    federation: &Federation,
    column: &RawColumn,
    count: u32,
    rng: &mut impl CryptoRng,
) -> Result<RawColumn, NodeError> {
    let name = column.name().to_owned();
    // Made-up records need no exactly uniform choice.
    let mut below = |n: usize| usize::try_from(rng.next_u32()).unwrap_or_default() % n.max(1);
    match column {
        RawColumn::Numeric { .. } => {
            let (low, high) = bounds(&federation.plan, &name, column);
            let values = (0..count).map(|_| Some(if below(2) == 0 { low } else { high }));
            Ok(RawColumn::Numeric {
                values: values.collect(),
                name,
            })
        }
        RawColumn::Category { .. } => {
            let known = names(federation, &name);
            let values = (0..count).map(|_| known.get(below(known.len())).cloned());
            Ok(RawColumn::Category {
                values: values.collect(),
                name,
            })
        }
    }
}

/// Public bounds, or without them the ends of what the column holds.
fn bounds(plan: &Plan, name: &str, column: &RawColumn) -> (f64, f64) {
    let feature = plan.features().iter().find(|feature| feature.name == name);
    let declared = match (feature.map(|feature| &feature.kind), plan.label()) {
        (Some(FeatureKind::Number(bounds)), _) => *bounds,
        (None, LabelKind::Number(bounds)) if plan.label_name() == name => *bounds,
        _ => None,
    };
    let held = || match column {
        RawColumn::Numeric { values, .. } => {
            let values = values.iter().flatten().filter(|value| value.is_finite());
            values.fold((0.0_f64, 0.0_f64), |(low, high), value| {
                (low.min(*value), high.max(*value))
            })
        }
        RawColumn::Category { .. } => (0.0, 0.0),
    };
    declared.unwrap_or_else(held)
}

fn names(federation: &Federation, column: &str) -> Vec<String> {
    let plan = &federation.plan;
    let feature = plan
        .features()
        .iter()
        .find(|feature| feature.name == column);
    match (feature.map(|feature| &feature.kind), plan.label()) {
        (Some(FeatureKind::Declared(values)), _) => values.clone(),
        (None, LabelKind::Declared(classes)) if plan.label_name() == column => classes.clone(),
        _ => federation
            .values
            .get(column)
            .map(|values| values.keys().cloned().collect())
            .unwrap_or_default(),
    }
}

pub(super) fn joined(own: &RawColumn, more: &RawColumn) -> RawColumn {
    match (own, more) {
        (RawColumn::Numeric { name, values }, RawColumn::Numeric { values: more, .. }) => {
            RawColumn::Numeric {
                name: name.clone(),
                values: values.iter().chain(more).copied().collect(),
            }
        }
        (RawColumn::Category { name, values }, RawColumn::Category { values: more, .. }) => {
            RawColumn::Category {
                name: name.clone(),
                values: values.iter().chain(more).cloned().collect(),
            }
        }
        _ => own.clone(),
    }
}

/// The class or value of a row, as the loss needs it.
pub(super) fn label_of(target: &Target, row: usize) -> Option<usize> {
    match target {
        Target::Classes { labels, .. } => labels.get(row).map(|label| *label as usize),
        Target::Values(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Source;
    use rand_core::SeedableRng;

    /// One coin adds or removes one row at one party and changes nothing else: the audit's bound holds for such neighbours only.
    #[test]
    fn one_coin_moves_one_row() {
        let federation = Federation::load(&Source {
            job: std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../examples/breast_cancer/job.toml"),
            overrides: Vec::new(),
            data: None,
            party_data: Vec::new(),
            vault_key: None,
        })
        .unwrap();
        let mut rng = chacha20::ChaCha20Rng::seed_from_u64(1);
        let mut canaries = Canaries::draw(&federation, 40, &mut rng).unwrap();
        let parties = federation.parties.len();
        for coin in [0, 7, 20, 39] {
            canaries.included[coin] = false;
            let without = canaries.rows(&federation);
            canaries.included[coin] = true;
            let with = canaries.rows(&federation);
            for (index, (a, b)) in without.iter().zip(&with).enumerate() {
                let more = usize::from(index == coin % parties);
                for (a, b) in a.train.iter().zip(&b.train) {
                    assert_eq!(b.len() - a.len(), more);
                    // The row's place: what remains without it is what was there before.
                    let own = federation.parties[index].rows.train[0].len();
                    let before =
                        (0..coin).filter(|i| canaries.included[*i] && i % parties == index);
                    let place = own + before.count();
                    let rest: Vec<usize> =
                        (0..b.len()).filter(|i| more == 0 || *i != place).collect();
                    assert_eq!(&b.select(&rest), a);
                }
            }
        }
    }
}
