//! Predictions of a trained model for the rows of a table. Everything happens in this process: rows and predictions stay with the caller.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use lepton_learn::{
    CategoryMissing, ColumnPrep, Levels, Matrix, Metrics, NumericMissing, Predictions, Prepared,
    RawColumn, TargetPrep,
};
use lepton_protocol::report::MetricsDoc;
use lepton_protocol::work::slot_function;
use lepton_table::{ColumnType, ReadOptions, Table, TableError};

use crate::error::NodeError;
use crate::model_file::ModelFile;
use crate::summary::metrics_doc;
use crate::tables::{place_of_row, raw_column, sealed};

/// A prediction for each row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// Names of the classes in output order; empty for regression.
    pub classes: Vec<String>,
    /// One entry a row of the table, in its order; `None` where the preparation leaves the row out because a value is missing.
    pub rows: Vec<Option<Answer>>,
    /// Exact metrics over the rows whose label the model knows; `None` without a label column, or without such a row.
    pub metrics: Option<MetricsDoc>,
    /// Rows whose label is none of the model's classes: not in the metrics.
    pub unknown_labels: usize,
}

/// What the model says of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The most probable class, and the probability of each in output order.
    Class(usize, Vec<f64>),
    /// A number in the label's own unit.
    Value(f64),
}

/// Predicts for every row of the CSV file at `path`. The label column may be absent; other columns than the model's are ignored.
///
/// # Errors
/// [`NodeError`] naming file, line and column: an unreadable table, an absent input column, text where the model needs numbers, or a missing
/// value where the job refused them.
pub fn predict(file: &ModelFile, path: &Path) -> Result<Predicted, NodeError> {
    predict_with(file, path, None)
}

/// As [`predict`], for a table that may lie in a vault, as its key file opens it.
///
/// # Errors
/// As [`predict`].
pub fn predict_with(
    file: &ModelFile,
    path: &Path,
    vault_key: Option<&Path>,
) -> Result<Predicted, NodeError> {
    let table = read(file, |options| sealed::read(path, options, vault_key))?;
    let columns = inputs(file, &table)?;
    let key = file.slot_key();
    let slot = slot_function(key.as_ref(), file.slots());
    let prepared = transform(file, &table, &columns, &slot)?;
    let mut rows = vec![None; table.rows()];
    for (row, answer) in prepared.rows.iter().zip(answers(file, &prepared.data)?) {
        rows.iter_mut()
            .skip(*row)
            .take(1)
            .for_each(|place| *place = Some(answer.clone()));
    }
    let (metrics, unknown_labels) = measure(file, &table, &columns, &slot)?;
    Ok(Predicted {
        classes: file.header.classes.clone(),
        rows,
        metrics,
        unknown_labels,
    })
}

/// Where rows come from.
pub enum Rows<'a> {
    /// A table in a file, or in a vault as its key file opens it.
    Table(&'a Path, Option<&'a Path>),
    /// Batches of this schema in memory, of any column types that [`Table::from_batches`] takes.
    Batches(SchemaRef, Vec<RecordBatch>),
}

/// A table's rows as the model takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedRows {
    /// Inputs of a row.
    pub width: usize,
    /// Row after row of the table, in its order; NaN throughout a row that the preparation leaves out because a value is missing.
    pub data: Vec<f32>,
}

/// The rows of a table as the programs of parties get theirs, for a model that they trained. Other columns than the model's are ignored.
///
/// # Errors
/// As [`predict`].
pub fn prepare(file: &ModelFile, rows: Rows<'_>) -> Result<PreparedRows, NodeError> {
    let table = match rows {
        Rows::Table(path, vault_key) => {
            read(file, |options| sealed::read(path, options, vault_key))
        }
        Rows::Batches(schema, batches) => read(file, |options| {
            let batches = batches.iter().cloned().map(Ok);
            Ok(Table::from_batches("table", &schema, batches, options)?)
        }),
    }?;
    let columns = inputs(file, &table)?;
    let key = file.slot_key();
    let slot = slot_function(key.as_ref(), file.slots());
    let prepared = transform(file, &table, &columns, &slot)?;
    let width = file.header.preparation.width();
    let mut data = vec![f32::NAN; table.rows() * width];
    let kept = prepared.rows.iter().enumerate();
    for (row, place) in kept {
        let place = data.iter_mut().skip(place * width);
        let cells = place.zip(prepared.data.row(row));
        cells.for_each(|(place, cell)| *place = *cell);
    }
    Ok(PreparedRows { width, data })
}

fn transform(
    file: &ModelFile,
    table: &Table,
    columns: &[RawColumn],
    slot: &dyn Fn(&str, &str) -> u32,
) -> Result<Prepared<Matrix>, NodeError> {
    check_gaps(file, table, columns)?;
    Ok(file.header.preparation.transform(columns, slot)?)
}

fn answers(file: &ModelFile, x: &Matrix) -> Result<Vec<Answer>, NodeError> {
    Ok(match file.model.predict(x)? {
        Predictions::Values(values) => values
            .into_iter()
            .map(|value| Answer::Value(file.header.preparation.target.original(value)))
            .collect(),
        found @ Predictions::Probabilities { classes, .. } => {
            let best = found.classes();
            let Predictions::Probabilities { data, .. } = found else {
                return Ok(Vec::new());
            };
            let shares = data.chunks_exact(classes.max(1));
            best.into_iter()
                .zip(shares)
                .map(|(class, share)| Answer::Class(class as usize, share.to_vec()))
                .collect()
        }
    })
}

/// Reads the table under the types that the model was trained with. What is wrong in a column that the model does not use is no matter.
fn read(
    file: &ModelFile,
    from: impl Fn(&ReadOptions) -> Result<Table, NodeError>,
) -> Result<Table, NodeError> {
    let mut options = ReadOptions::with_types(
        file.header
            .preparation
            .columns
            .iter()
            .map(|column| (column.name().to_owned(), kind_of(column)))
            .collect(),
    );
    let target = &file.header.preparation.target;
    let kind = if matches!(target, TargetPrep::Classes { .. }) {
        ColumnType::Category
    } else {
        ColumnType::Number
    };
    options.types.insert(target.name().to_owned(), kind);
    loop {
        let read = match from(&options) {
            Ok(table) => return Ok(table),
            Err(NodeError::Table(error)) => error,
            Err(other) => return Err(other),
        };
        match read {
            TableError::NotANumber { column, .. } | TableError::NotFinite { column, .. }
                if !options.types.contains_key(&column) =>
            {
                options.types.insert(column, ColumnType::Category);
            }
            TableError::NotANumber {
                table,
                line,
                column,
                value,
                ..
            }
            | TableError::NotFinite {
                table,
                line,
                column,
                value,
            } => {
                return Err(NodeError::Data(format!(
                    "{table}:{line}, column {column:?}: {value:?} is not a finite number, and the model reads this column as numbers; fix the value, or leave the cell empty if it is missing"
                )));
            }
            other => return Err(other.into()),
        }
    }
}

fn kind_of(column: &ColumnPrep) -> ColumnType {
    match column {
        ColumnPrep::Numeric { .. } => ColumnType::Number,
        ColumnPrep::Category { .. } => ColumnType::Category,
    }
}

fn inputs(file: &ModelFile, table: &Table) -> Result<Vec<RawColumn>, NodeError> {
    let wanted = file.header.preparation.columns.iter().map(ColumnPrep::name);
    let read = wanted.map(|name| raw_column(table, name));
    read.collect::<Result<_, _>>().map_err(|error| match error {
        NodeError::Table(missing @ TableError::UnknownColumn { .. }) => NodeError::Data(format!(
            "{missing} (the model needs this column; `lepton model show` lists all)"
        )),
        other => other,
    })
}

/// Missing values where the job refused them in training.
fn check_gaps(file: &ModelFile, table: &Table, columns: &[RawColumn]) -> Result<(), NodeError> {
    for (preparation, column) in file.header.preparation.columns.iter().zip(columns) {
        let refused = match preparation {
            ColumnPrep::Numeric { missing, .. } => *missing == NumericMissing::Refuse,
            ColumnPrep::Category { missing, .. } => *missing == CategoryMissing::Refuse,
        };
        let gap = (0..column.len()).find(|row| column.category(*row).is_none());
        if let Some(row) = gap.filter(|_| refused) {
            return Err(NodeError::Data(format!(
                "{}, column {:?}: the value is missing, and the model was trained on complete rows (missing = \"refuse\"); fill it, or leave the row out",
                place_of_row(table, row),
                column.name()
            )));
        }
    }
    Ok(())
}

/// Metrics over rows with a known label, and how many labels are unknown.
fn measure(
    file: &ModelFile,
    table: &Table,
    inputs: &[RawColumn],
    slot: &dyn Fn(&str, &str) -> u32,
) -> Result<(Option<MetricsDoc>, usize), NodeError> {
    let preparation = &file.header.preparation;
    let name = preparation.target.name();
    if !table.column_names().iter().any(|column| column == name) {
        return Ok((None, 0));
    }
    let label = raw_column(table, name)?;
    let present: Vec<usize> = (0..label.len())
        .filter(|row| label.category(*row).is_some())
        .collect();
    let known: Vec<usize> = present
        .iter()
        .copied()
        .filter(|row| {
            label
                .category(*row)
                .is_some_and(|value| is_known(&preparation.target, &value, slot))
        })
        .collect();
    let mut columns: Vec<RawColumn> = inputs.iter().map(|column| column.select(&known)).collect();
    columns.push(label.select(&known));
    let examples = preparation.examples(&columns, slot)?.data;
    if examples.is_empty() {
        return Ok((None, present.len() - known.len()));
    }
    let metrics = Metrics::exact(&file.model.predict(examples.x())?, examples.y())?;
    Ok((
        Some(metrics_doc(&metrics, false, file.label_unit())),
        present.len() - known.len(),
    ))
}

fn is_known(target: &TargetPrep, value: &str, slot: &dyn Fn(&str, &str) -> u32) -> bool {
    match target {
        TargetPrep::Classes {
            levels: Levels::Declared(classes),
            ..
        } => classes.iter().any(|class| class == value),
        TargetPrep::Classes {
            name,
            levels: Levels::Slots { kept, .. },
        } => kept.binary_search(&slot(name, value)).is_ok(),
        TargetPrep::Value { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Durability;
    use crate::model_file::ModelHeader;
    use lepton_learn::{Model, ModelKind, ModelSpec, NumericScale, Outputs, Preparation};

    /// A model of `km` (rows without it are dropped) and `plan`, that tells late from not.
    fn model() -> ModelFile {
        let levels = |names: [&str; 2]| Levels::Declared(names.map(str::to_owned).to_vec());
        let km = ColumnPrep::Numeric {
            name: "km".to_owned(),
            bounds: Some((0.0, 10.0)),
            scale: NumericScale::MinMax { lo: 0.0, hi: 10.0 },
            missing: NumericMissing::Drop,
        };
        let plan = ColumnPrep::category("plan", levels(["a", "b"]), lepton_learn::Missing::Drop);
        let preparation = Preparation {
            columns: vec![km, plan],
            target: TargetPrep::Classes {
                name: "late".to_owned(),
                levels: levels(["no", "yes"]),
            },
        };
        let spec = ModelSpec {
            kind: ModelKind::Logistic,
            inputs: preparation.width(),
            outputs: Outputs::Classes(2),
            l2: 0.0,
        };
        let params = vec![0.0; lepton_learn::param_len(&spec).unwrap()];
        let header = ModelHeader {
            format: "lepton-model/1".to_owned(),
            name: "n".to_owned(),
            spec: spec.clone(),
            preparation,
            classes: vec!["no".to_owned(), "yes".to_owned()],
            positive: None,
            slot_key: None,
            slot_names: Default::default(),
            privacy: None,
            unit: None,
            job_sha256: String::new(),
            rounds: 1,
        };
        let model = Model::new(spec, params).unwrap();
        ModelFile { header, model }
    }

    fn from_memory(csv: &str) -> Result<PreparedRows, NodeError> {
        let table = Table::from_csv_bytes("t", csv.as_bytes(), &ReadOptions::default())?;
        let batch = table.batch().clone();
        prepare(&model(), Rows::Batches(batch.schema(), vec![batch]))
    }

    #[test]
    fn every_row_has_its_place_and_what_is_left_out_is_nan() {
        let csv = "plan,km,more\na,5,x\n,1,y\nz,20,1\nb,,2\nb,0,3\n";
        let found = from_memory(csv).unwrap();
        assert_eq!(found.width, 4);
        let rows: Vec<_> = found.data.chunks(4).collect();
        assert_eq!(rows[0], [0.5, 1.0, 0.0, 0.0]);
        assert_eq!(rows[2], [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(rows[4], [0.0, 0.0, 1.0, 0.0]);
        assert!([rows[1], rows[3]].concat().iter().all(|cell| cell.is_nan()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        crate::files::replace(&path, csv.as_bytes(), Durability::Process).unwrap();
        let file = prepare(&model(), Rows::Table(&path, None)).unwrap();
        let bits = |rows: &PreparedRows| -> Vec<u32> {
            rows.data.iter().map(|cell| cell.to_bits()).collect()
        };
        assert_eq!(bits(&file), bits(&found));
    }

    #[test]
    fn rows_that_the_model_cannot_read_are_refused() {
        for (csv, words) in [
            ("plan\na\n", "no column \"km\""),
            ("plan,km\na,far\nb,1\n", "\"far\" is not a finite number"),
        ] {
            let error = from_memory(csv).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
