//! Models, preparation, clipped training, server optimisers, metrics and explanations.
//!
//! Everything here is pure: arrays in, arrays out, the random generator is an argument. Features are `f32`, row-major;
//! parameters are one flat `Vec<f64>` in the order given by [`tensors`]. Matrix products fold each output element over its
//! inner index in one fixed order with fused multiply-add, and transcendental functions come from `libm`, so a result does not
//! depend on the machine, its vector width, the number of threads or the other rows of a batch. The privacy argument for
//! [`clipped_gradient_sum`] rests on that; it is written out in `docs/protocols/dp-sgd.md` (rules `DP-01` and following).

mod classes;
mod custom;
mod data;
mod error;
mod explain;
mod kernel;
mod layers;
mod local;
mod metrics;
mod model;
mod network;
pub mod packed;
mod prepare;
mod private;
mod random;
mod scalar;
mod server;
mod spec;
mod stopping;
mod suggest;

pub use classes::balanced_class_weights;
pub use custom::clipped_vector_sum;
pub use data::{Examples, Matrix, Target};
pub use error::LearnError;
pub use explain::{FeatureGroup, Importance, Projection, permutation_importance, two_components};
pub use local::{LocalConfig, Optimiser, Precision, Span, train_local};
pub use metrics::{
    CalibrationBin, EVAL_FRACTION_BITS, EvalLayout, Metrics, eval_contribution, eval_sensitivity,
};
pub use model::{Model, Predictions};
pub use prepare::{
    CategoryEncoding, CategoryMissing, ColumnPrep, Levels, MISSING_LEVEL, Missing,
    NUMERIC_FRACTION_BITS, NumericMissing, NumericScale, NumericSummary, NumericSums, OTHER_LEVEL,
    Preparation, Prepared, RawColumn, Scaling, TargetPrep, category_contribution, distinct_rows,
    kept_slots, numeric_contribution, numeric_range, numeric_sensitivity, row_key,
};
pub use private::{
    AdaptiveClip, ClipNorm, GradientSum, GradientWorkspace, MAX_ROWS_PER_STEP, PERSON_ETA,
    clip_update, clipped_gradient_sum, clipped_person_sum, count_noise, effective_rate,
    float_error_eta, poisson_sample, update_noise,
};
pub use server::{ServerOptimiser, ServerState};
pub use spec::{
    Activation, Convolution, EmbeddingTable, ModelKind, ModelSpec, Normalisation, Outputs, Pool,
    PoolKind, Tensor, l2_gradient, param_len, tensors,
};
pub use stopping::{EarlyStopping, Goal, Progress};
pub use suggest::{SuggestInput, Suggestion, suggest};
