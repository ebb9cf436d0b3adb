//! What a finished job hands over as its model.

use std::collections::BTreeMap;

use lepton_crypto::Seed;
use lepton_learn::Model;
use lepton_protocol::plan::{LabelKind, Plan};
use lepton_protocol::public::PublicState;

use crate::error::NodeError;
use crate::model_file::{ModelFile, ModelHeader};

/// What a model file is made of.
pub(crate) struct Released<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) public: &'a PublicState,
    pub(crate) parameters: &'a [f64],
    pub(crate) slot_key: Option<&'a Seed>,
    pub(crate) slot_names: BTreeMap<String, BTreeMap<u32, String>>,
    /// Epsilon and delta.
    pub(crate) privacy: Option<(f64, f64)>,
    pub(crate) unit: Option<String>,
    pub(crate) job_sha256: String,
    pub(crate) rounds: u32,
}

impl Released<'_> {
    pub(crate) fn file(self) -> Result<ModelFile, NodeError> {
        let (plan, public) = (self.plan, self.public);
        let internal = || NodeError::Internal("the preparation is missing".to_owned());
        let classes = match plan.label() {
            LabelKind::Declared(classes) => classes.clone(),
            LabelKind::Number(_) => Vec::new(),
            LabelKind::Discovered => {
                let known = self.slot_names.get(plan.label_name());
                let kept = public.kept.get(plan.label_name()).cloned();
                let kept = kept.unwrap_or_default();
                kept.iter().map(|slot| class_name(known, *slot)).collect()
            }
        };
        // Discovered classes come in the order of their slots, which says nothing.
        let declared = *plan.label() != LabelKind::Discovered;
        let positive = (declared && classes.len() == 2).then_some(1);
        let slots = !plan.discovered().is_empty();
        let slot_key = self.slot_key.filter(|_| slots);
        let header = ModelHeader {
            format: "lepton-model/1".to_owned(),
            name: plan.job().name().to_string(),
            spec: plan.model_spec(public)?,
            preparation: public.preparation.clone().ok_or_else(internal)?,
            classes,
            positive,
            slot_key: slot_key.map(|key| crate::hex::hex(key.as_bytes())),
            slot_names: self.slot_names,
            privacy: self.privacy,
            unit: self.unit,
            job_sha256: self.job_sha256,
            rounds: self.rounds,
        };
        let model = Model::new(header.spec.clone(), self.parameters.to_vec())?;
        Ok(ModelFile { header, model })
    }
}

fn class_name(known: Option<&BTreeMap<u32, String>>, slot: u32) -> String {
    known
        .and_then(|names| names.get(&slot))
        .cloned()
        .unwrap_or_else(|| format!("slot-{slot}"))
}
