//! The family of models a job asks for, and what images need.

use lepton_learn::{Convolution, EmbeddingTable, ModelKind, ModelSpec, Outputs, Pool, PoolKind};

use super::{Feature, FeatureKind, LabelKind, Plan, PlanError};
use crate::job::{self, ImageShape, Job};

/// The family, as the job describes it; an mlp with tables is one over embeddings.
pub(super) fn model_kind(job: &Job, tables: Vec<EmbeddingTable>) -> ModelKind {
    let usizes = |widths: &[std::num::NonZeroU32]| -> Vec<usize> {
        widths.iter().map(|width| width.get() as usize).collect()
    };
    match &job.model().kind {
        job::ModelKind::Custom { shapes } => ModelKind::Custom {
            shapes: shapes.iter().map(|shape| usizes(shape)).collect(),
        },
        job::ModelKind::Linear => ModelKind::Linear,
        job::ModelKind::Logistic => ModelKind::Logistic,
        job::ModelKind::Mlp {
            hidden, activation, ..
        } if tables.is_empty() => ModelKind::Mlp {
            hidden: usizes(hidden),
            activation: activation_of(*activation),
        },
        job::ModelKind::Mlp {
            hidden, activation, ..
        } => ModelKind::Embedding {
            tables,
            hidden: usizes(hidden),
            activation: activation_of(*activation),
        },
        job::ModelKind::Cnn {
            channels,
            window,
            hidden,
            activation,
        } => ModelKind::Cnn {
            image: job.data().shape.map_or([1, 1, 1], |shape| {
                [shape.channels, shape.height, shape.width].map(|side| side.get() as usize)
            }),
            convolutions: usizes(channels)
                .into_iter()
                .map(|channels| convolution(channels, window))
                .collect(),
            activation: activation_of(*activation),
            normalisation: match window.normalisation {
                job::Normalisation::None => lepton_learn::Normalisation::None,
                job::Normalisation::Group => lepton_learn::Normalisation::Group,
            },
            hidden: usizes(hidden),
        },
    }
}

fn activation_of(activation: job::Activation) -> lepton_learn::Activation {
    match activation {
        job::Activation::Relu => lepton_learn::Activation::Relu,
        job::Activation::Tanh => lepton_learn::Activation::Tanh,
    }
}

fn convolution(channels: usize, window: &job::Window) -> Convolution {
    let pool = |kind| Pool {
        kind,
        size: window.pool_size.get() as usize,
        stride: None,
    };
    Convolution {
        channels,
        kernel: window.kernel.get() as usize,
        stride: window.stride.get() as usize,
        padding: window.padding as usize,
        pool: match window.pool {
            job::Pooling::None => None,
            job::Pooling::Max => Some(pool(PoolKind::Max)),
            job::Pooling::Average => Some(pool(PoolKind::Average)),
        },
    }
}

/// Pixels in the order of the model, channel by channel; the columns of an image have the channels of a pixel side by side.
pub(super) fn in_model_order(job: &Job, features: Vec<Feature>) -> Vec<Feature> {
    let Some(shape) = job.data().shape else {
        return features;
    };
    let channels = shape.channels.get() as usize;
    (0..channels)
        .flat_map(|channel| features.iter().skip(channel).step_by(channels))
        .cloned()
        .collect()
}

impl Plan {
    /// An image has a number column for each pixel, and the model's layers fit it.
    pub(super) fn check_image(&self) -> Result<(), PlanError> {
        let Some(shape) = self.job().data().shape else {
            return Ok(());
        };
        let problem = |key: &str, problem: String| PlanError::Job {
            place: self.job().origin_of(key),
            problem,
        };
        let features = self.features();
        let pixels = pixels(shape);
        if features.len() as u64 != pixels {
            return Err(problem(
                "data.shape",
                format!(
                    "images of {} x {} pixels with {} channels need {pixels} columns, and there are {}; correct data.shape, or name the columns in data.features",
                    shape.height,
                    shape.width,
                    shape.channels,
                    features.len()
                ),
            ));
        }
        let number = |feature: &&Feature| matches!(feature.kind, FeatureKind::Number(_));
        if let Some(feature) = features.iter().find(|feature| !number(feature)) {
            return Err(problem(
                "data.shape",
                format!(
                    "column `{}` holds categories, and a pixel is a number; leave it out with data.exclude",
                    feature.name
                ),
            ));
        }
        let spec = ModelSpec {
            kind: model_kind(self.job(), Vec::new()),
            inputs: features.len(),
            outputs: match self.label() {
                LabelKind::Number(_) => Outputs::Regression,
                LabelKind::Declared(classes) => Outputs::Classes(classes.len()),
                LabelKind::Discovered => Outputs::Classes(2),
            },
            l2: 0.0,
        };
        let valid = spec.validate();
        valid.map_err(|error| problem("model.kind", error.to_string()))
    }
}

fn pixels(shape: ImageShape) -> u64 {
    [shape.height, shape.width, shape.channels]
        .iter()
        .map(|side| u64::from(side.get()))
        .product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Override;

    fn job(columns: usize, sets: &[&str]) -> Job {
        let names: Vec<String> = (0..columns)
            .map(|column| format!("\"p{column}\""))
            .collect();
        let types: Vec<String> = names
            .iter()
            .map(|name| format!("{name} = \"number\""))
            .collect();
        let text = format!(
            "[job]\nname = \"n\"\n[data]\ntable = \"n.csv\"\nlabel = \"y\"\nclasses = [\"a\", \"b\"]\nkind = \"image\"\n\
             shape = [2, 3, 2]\nfeatures = [{}]\ntypes = {{ y = \"category\", {} }}\n[model]\nkind = \"cnn\"\n\
             channels = [4]\npool = \"none\"\n",
            names.join(", "),
            types.join(", ")
        );
        let sets: Vec<Override> = sets
            .iter()
            .map(|set| Override::parse(set).unwrap())
            .collect();
        Job::parse("n.toml", &text, &sets).unwrap()
    }

    /// Columns have the channels of a pixel side by side, the model has them one after the other.
    #[test]
    fn pixels_go_channel_by_channel() {
        let plan = Plan::new(job(12, &[]), 3).unwrap();
        let order: Vec<&str> = plan
            .features()
            .iter()
            .map(|feature| feature.name.as_str())
            .collect();
        assert_eq!(
            order,
            [
                "p0", "p2", "p4", "p6", "p8", "p10", "p1", "p3", "p5", "p7", "p9", "p11"
            ]
        );
        let ModelKind::Cnn {
            image,
            convolutions,
            ..
        } = model_kind(plan.job(), Vec::new())
        else {
            panic!("no cnn");
        };
        assert_eq!((image, convolutions[0].padding), ([2, 2, 3], 1));
    }

    #[test]
    fn images_that_do_not_fit_are_refused() {
        let refusal =
            |columns, sets: &[&str]| Plan::new(job(columns, sets), 3).unwrap_err().to_string();
        assert!(refusal(11, &[]).contains("need 12 columns, and there are 11"));
        let large = refusal(12, &["model.kernel=9", "model.padding=0"]);
        assert!(large.starts_with("n.toml:"), "{large}");
        let words = ["data.types.p3=category"];
        assert!(refusal(12, &words).contains("column `p3` holds categories"));
    }
}
