//! The trained model on disk: `model.safetensors`, readable by any safetensors library, with everything needed to use it in its header.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use lepton_crypto::Seed;
use lepton_learn::{
    CategoryEncoding, Levels, Model, ModelKind, ModelSpec, Preparation, TargetPrep,
};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::files::{Durability, replace};

/// Name of the model file in a model folder.
pub const FILE: &str = "model.safetensors";

/// Key of our entry in the file's header.
const HEADER: &str = "lepton";

/// Everything but the numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHeader {
    /// `lepton-model/1`.
    pub format: String,
    /// The job's name.
    pub name: String,
    /// Kind and sizes.
    pub spec: ModelSpec,
    /// How columns become inputs.
    pub preparation: Preparation,
    /// Names of the classes in output order; empty for regression.
    pub classes: Vec<String>,
    /// The class that probabilities of a two-class model are about.
    pub positive: Option<usize>,
    /// Key of the category slots (hexadecimal), where the model has any; see `docs/protocols/preparation.md`.
    pub slot_key: Option<String>,
    /// What the kept slots of each column stand for, where several parties hold the value and no privacy goal was set.
    pub slot_names: BTreeMap<String, BTreeMap<u32, String>>,
    /// Epsilon spent against the coordinator with its colluders, and delta; absent without a privacy goal.
    pub privacy: Option<(f64, f64)>,
    /// What that protects: `record`, `person` or `party`.
    #[serde(default)]
    pub unit: Option<String>,
    /// SHA-256 of the effective job file.
    pub job_sha256: String,
    /// Rounds that went into it.
    pub rounds: u32,
}

/// A model with its header.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// Everything but the numbers.
    pub header: ModelHeader,
    /// The numbers.
    pub model: Model,
}

impl ModelFile {
    /// Writes `model.safetensors` into `folder`; an existing file is replaced in one step.
    ///
    /// # Errors
    /// [`NodeError`] when it cannot be encoded or written.
    pub fn save(&self, folder: &Path) -> Result<(), NodeError> {
        let bytes = self.to_bytes()?;
        std::fs::create_dir_all(folder).map_err(|error| NodeError::file(folder, &error))?;
        let path = folder.join(FILE);
        replace(&path, &bytes, Durability::Machine).map_err(|error| NodeError::file(&path, &error))
    }

    /// The content of its file.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, NodeError> {
        let internal =
            |error: String| NodeError::Internal(format!("the model cannot be encoded: {error}"));
        let header =
            serde_json::to_string(&self.header).map_err(|error| internal(error.to_string()))?;
        let mut tensors = Vec::new();
        for tensor in lepton_learn::tensors(self.model.spec())? {
            let values = self
                .model
                .params()
                .iter()
                .skip(tensor.offset)
                .take(tensor.len);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "released parameters are f32 values already"
            )]
            let bytes: Vec<u8> = values
                .flat_map(|value| (*value as f32).to_le_bytes())
                .collect();
            tensors.push((tensor.name, tensor.shape, bytes));
        }
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((
                    name.clone(),
                    TensorView::new(Dtype::F32, shape.clone(), bytes)?,
                ))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| internal(error.to_string()))?;
        let metadata = HashMap::from([
            (HEADER.to_owned(), header),
            ("format".to_owned(), "pt".to_owned()),
        ]);
        serialize(views, Some(metadata)).map_err(|error| internal(error.to_string()))
    }

    /// Reads a model folder (or a run folder, whose `model` folder is taken) and checks everything in it.
    ///
    /// # Errors
    /// [`NodeError`] naming the file and what is wrong with it.
    pub fn load(folder: &Path) -> Result<Self, NodeError> {
        Self::load_bytes(folder).map(|(file, _)| file)
    }

    /// The same with the file's content.
    pub(crate) fn load_bytes(folder: &Path) -> Result<(Self, Vec<u8>), NodeError> {
        let candidates = [
            folder.join(FILE),
            folder.join("model").join(FILE),
            folder.to_owned(),
        ];
        let path = candidates
            .iter()
            .find(|path| path.is_file())
            .ok_or_else(|| NodeError::File {
                place: folder.display().to_string(),
                problem: format!("there is no {FILE} here"),
                remedy: "name a model folder or a run folder".to_owned(),
            })?;
        let bytes = std::fs::read(path).map_err(|error| NodeError::file(path, &error))?;
        let file = Self::from_bytes(&bytes).map_err(|problem| NodeError::File {
            place: path.display().to_string(),
            problem,
            remedy: "write it again with `lepton run`".to_owned(),
        })?;
        Ok((file, bytes))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|error| format!("not a safetensors file ({error})"))?;
        let header = metadata
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(HEADER));
        let header =
            header.ok_or("it was not written by Lepton (no `lepton` entry in its header)")?;
        let header: ModelHeader = serde_json::from_str(header)
            .map_err(|error| format!("its header cannot be read ({error})"))?;
        if header.format != "lepton-model/1" {
            return Err(format!(
                "its format is {}, which this version does not know",
                header.format
            ));
        }
        header
            .preparation
            .validate()
            .map_err(|error| error.to_string())?;
        if header.preparation.width() != header.spec.inputs {
            return Err(
                "its preparation and its model have different numbers of inputs".to_owned(),
            );
        }
        if !tables_fit(&header) {
            return Err("its preparation and its model have different embedding tables".to_owned());
        }
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("not a safetensors file ({error})"))?;
        let mut parameters = Vec::new();
        for tensor in lepton_learn::tensors(&header.spec).map_err(|error| error.to_string())? {
            let view = file
                .tensor(&tensor.name)
                .map_err(|_| format!("tensor {} is missing", tensor.name))?;
            if view.dtype() != Dtype::F32 || view.shape() != tensor.shape {
                return Err(format!(
                    "tensor {} is not f32 of shape {:?}",
                    tensor.name, tensor.shape
                ));
            }
            let numbers = view
                .data()
                .chunks_exact(4)
                .filter_map(|chunk| chunk.try_into().ok().map(f32::from_le_bytes));
            parameters.extend(numbers.map(f64::from));
        }
        let model =
            Model::new(header.spec.clone(), parameters).map_err(|error| error.to_string())?;
        Ok(Self { header, model })
    }

    /// The slot key, for models with discovered categories.
    #[must_use]
    pub fn slot_key(&self) -> Option<Seed> {
        let text = self.header.slot_key.as_ref()?;
        crate::hex::unhex(text).map(Seed::from_bytes)
    }

    /// What one unit of the standardised label is worth in the label's own unit; 1 for classes.
    #[must_use]
    pub fn label_unit(&self) -> f64 {
        match &self.header.preparation.target {
            TargetPrep::Value { std, .. } => *std,
            TargetPrep::Classes { .. } => 1.0,
        }
    }

    /// Number of slots of the model's discovered columns, 1 if it has none.
    #[must_use]
    pub fn slots(&self) -> u32 {
        let of = |levels: &Levels| match levels {
            Levels::Slots { slots, .. } => Some(*slots),
            Levels::Declared(_) => None,
        };
        let columns = self
            .header
            .preparation
            .columns
            .iter()
            .filter_map(|column| match column {
                lepton_learn::ColumnPrep::Category { levels, .. } => of(levels),
                lepton_learn::ColumnPrep::Numeric { .. } => None,
            });
        let target = match &self.header.preparation.target {
            TargetPrep::Classes { levels, .. } => of(levels),
            TargetPrep::Value { .. } => None,
        };
        columns.chain(target).next().unwrap_or(1)
    }

    /// Names of the model's inputs as a person reads them: slots by their names where those are known.
    #[must_use]
    pub fn input_names(&self) -> Vec<String> {
        self.header
            .preparation
            .columns
            .iter()
            .flat_map(|column| readable(column, &self.header.slot_names))
            .collect()
    }
}

/// Whether every index has the table that the preparation gives it, and there is no other (rule PR-09).
fn tables_fit(header: &ModelHeader) -> bool {
    let tables = match &header.spec.kind {
        ModelKind::Embedding { tables, .. } => tables.as_slice(),
        _ => &[],
    };
    let found = tables
        .iter()
        .map(|table| (&table.features[..], table.levels));
    let embedded = header.preparation.embedded();
    let wanted: Vec<([usize; 1], usize)> = embedded
        .iter()
        .map(|(_, feature, rows)| ([*feature], *rows))
        .collect();
    found.eq(wanted.iter().map(|(feature, rows)| (&feature[..], *rows)))
}

fn readable(
    column: &lepton_learn::ColumnPrep,
    names: &BTreeMap<String, BTreeMap<u32, String>>,
) -> Vec<String> {
    let raw = column.feature_names();
    let lepton_learn::ColumnPrep::Category {
        name,
        levels: Levels::Slots { kept, .. },
        encoding: CategoryEncoding::OneHot,
        ..
    } = column
    else {
        return raw;
    };
    let Some(known) = names.get(name) else {
        return raw;
    };
    let mut kept = kept.iter();
    raw.into_iter()
        .map(|input| match kept.next().and_then(|slot| known.get(slot)) {
            Some(value) => format!("{name}={value}"),
            None => input,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_learn::{Activation, ColumnPrep, EmbeddingTable, Missing, Outputs};

    /// A model of one column with two categories and "other", and a table of `rows` rows for it.
    fn file(encoding: CategoryEncoding, rows: usize) -> ModelFile {
        let levels = Levels::Declared(vec!["a".to_owned(), "b".to_owned()]);
        let column = ColumnPrep::category("c", levels.clone(), Missing::Mean).encoded(encoding);
        let table = EmbeddingTable {
            features: vec![0],
            levels: rows,
            width: 2,
        };
        let preparation = Preparation {
            columns: vec![column],
            target: TargetPrep::Classes {
                name: "y".to_owned(),
                levels,
            },
        };
        let spec = ModelSpec {
            kind: ModelKind::Embedding {
                tables: vec![table],
                hidden: vec![2],
                activation: Activation::Relu,
            },
            inputs: preparation.width(),
            outputs: Outputs::Classes(2),
            l2: 0.0,
        };
        let len = lepton_learn::param_len(&spec).unwrap();
        let header = ModelHeader {
            format: "lepton-model/1".to_owned(),
            name: "n".to_owned(),
            spec: spec.clone(),
            preparation,
            classes: Vec::new(),
            positive: None,
            slot_key: None,
            slot_names: BTreeMap::new(),
            privacy: None,
            unit: None,
            job_sha256: String::new(),
            rounds: 1,
        };
        let model = Model::new(spec, (0..len).map(|at| at as f64).collect()).unwrap();
        ModelFile { header, model }
    }

    fn reread(file: &ModelFile) -> Result<ModelFile, String> {
        let folder = tempfile::tempdir().unwrap();
        file.save(folder.path()).unwrap();
        ModelFile::load(folder.path()).map_err(|error| error.to_string())
    }

    /// PR-09: an index beyond its table, or inputs that were never indices, would be read as something else without a word.
    #[test]
    fn tables_fit_the_preparation() {
        let good = file(CategoryEncoding::Index, 3);
        let read = reread(&good).unwrap();
        assert_eq!(
            (read.header, read.model.params()),
            (good.header, good.model.params())
        );
        for bad in [
            file(CategoryEncoding::Index, 2),
            file(CategoryEncoding::OneHot, 3),
        ] {
            let refusal = reread(&bad).unwrap_err();
            assert!(refusal.contains("different embedding tables"), "{refusal}");
        }
    }
}
