//! Raw columns to features and target, the same at every party.

use serde::{Deserialize, Serialize};

use crate::data::{Examples, Matrix, Target};
use crate::error::{LearnError, expect_len};
use crate::prepare::column::{ColumnPrep, TargetPrep};
use crate::prepare::raw::RawColumn;

/// Everything needed to turn raw columns into features, agreed by all parties and stored with the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Feature columns, in order.
    pub columns: Vec<ColumnPrep>,
    /// The target.
    pub target: TargetPrep,
}

/// Features or examples, with the raw row each came from (rows may have been left out).
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared<T> {
    /// The result.
    pub data: T,
    /// Raw row number of each result row, increasing.
    pub rows: Vec<usize>,
}

impl Preparation {
    /// Checks bounds, scales and levels.
    ///
    /// # Errors
    /// [`LearnError::Column`].
    pub fn validate(&self) -> Result<(), LearnError> {
        self.columns.iter().try_for_each(ColumnPrep::check)?;
        self.target.check()
    }

    /// Names of the features, in order.
    #[must_use]
    pub fn feature_names(&self) -> Vec<String> {
        self.columns
            .iter()
            .flat_map(ColumnPrep::feature_names)
            .collect()
    }

    /// What the trained numbers of the first layer belong to: the names of the features, and in place of an index those of its
    /// table's rows. Models can go on from each other only where these are the same.
    #[must_use]
    pub fn input_parts(&self) -> Vec<String> {
        let parts = |column: &ColumnPrep| match column.table_rows() {
            Some(_) => {
                let rows = column.level_names().into_iter();
                rows.map(|row| format!("row {row}")).collect()
            }
            None => column.feature_names(),
        };
        self.columns.iter().flat_map(parts).collect()
    }

    /// The columns that are indices into embedding tables: name, feature and rows of the table.
    #[must_use]
    pub fn embedded(&self) -> Vec<(&str, usize, usize)> {
        let columns = self.columns.iter().zip(self.groups());
        columns
            .filter_map(|(column, (_, features))| {
                Some((column.name(), *features.first()?, column.table_rows()?))
            })
            .collect()
    }

    /// Prepared features with every index spread out to one feature for each level, as a picture of distances between rows
    /// needs them.
    ///
    /// # Errors
    /// [`LearnError::Shape`] when `x` was not prepared by this.
    pub fn spread_out(&self, x: &Matrix) -> Result<Matrix, LearnError> {
        expect_len("feature columns", self.width(), x.cols())?;
        let mut tables = vec![None; x.cols()];
        for (_, feature, rows) in self.embedded() {
            tables
                .iter_mut()
                .skip(feature)
                .take(1)
                .for_each(|table| *table = Some(rows));
        }
        let mut data = Vec::new();
        for row in 0..x.rows() {
            for (value, table) in x.row(row).iter().zip(&tables) {
                match table {
                    Some(levels) => {
                        let level = |at| if at as f32 == *value { 1.0 } else { 0.0 };
                        data.extend((0..*levels).map(level));
                    }
                    None => data.push(*value),
                }
            }
        }
        let spread: usize = tables.iter().map(|table| table.unwrap_or(1)).sum();
        Matrix::new(x.rows(), spread, data)
    }

    /// Number of features.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.iter().map(|c| c.feature_names().len()).sum()
    }

    /// For each raw column its name and the features it became.
    #[must_use]
    pub fn groups(&self) -> Vec<(String, Vec<usize>)> {
        let mut start = 0;
        let group = |column: &ColumnPrep| {
            let width = column.feature_names().len();
            start += width;
            (column.name().to_owned(), (start - width..start).collect())
        };
        self.columns.iter().map(group).collect()
    }

    /// Features of all rows that are not dropped. Columns are found by name; others are ignored. `slot_of(column, value)`
    /// gives a category's slot.
    ///
    /// # Errors
    /// [`LearnError::Column`] for an absent column, a wrong kind, or a missing value where that is refused.
    pub fn transform(
        &self,
        columns: &[RawColumn],
        slot_of: &dyn Fn(&str, &str) -> u32,
    ) -> Result<Prepared<Matrix>, LearnError> {
        self.validate()?;
        let used = self
            .columns
            .iter()
            .map(|prep| Ok((prep, self.feature_column(prep, columns)?)));
        let used: Vec<(&ColumnPrep, &RawColumn)> = used.collect::<Result<_, LearnError>>()?;
        let total = used.first().map_or(0, |(_, c)| c.len());
        for (_, column) in &used {
            expect_len("rows of a column", total, column.len())?;
        }
        let (mut data, mut rows) = (Vec::with_capacity(total * self.width()), Vec::new());
        for row in 0..total {
            let start = data.len();
            let mut keep = true;
            for (prep, column) in &used {
                keep = keep && prep.encode(column, row, slot_of, &mut data)?;
            }
            if keep {
                rows.push(row)
            } else {
                data.truncate(start)
            }
        }
        Ok(Prepared {
            data: Matrix::new(rows.len(), self.width(), data)?,
            rows,
        })
    }

    /// Features and target. Rows without a target are left out.
    ///
    /// # Errors
    /// As [`Self::transform`], and [`LearnError::Column`] for a class that has no level.
    pub fn examples(
        &self,
        columns: &[RawColumn],
        slot_of: &dyn Fn(&str, &str) -> u32,
    ) -> Result<Prepared<Examples>, LearnError> {
        let features = self.transform(columns, slot_of)?;
        let target = find(columns, self.target.name())?;
        for column in columns
            .iter()
            .filter(|c| self.columns.iter().any(|p| p.name() == c.name()))
        {
            expect_len("rows of the target column", column.len(), target.len())?;
        }
        let (mut kept, mut labels, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (position, &row) in features.rows.iter().enumerate() {
            match self.read_target(target, row, slot_of)? {
                Some(Read::Class(label)) => labels.push(label),
                Some(Read::Value(value)) => values.push(value),
                None => continue,
            }
            kept.push(position);
        }
        let y = match &self.target {
            TargetPrep::Classes { levels, .. } => Target::Classes {
                labels,
                classes: levels.len(),
            },
            TargetPrep::Value { .. } => Target::Values(values),
        };
        let rows = kept
            .iter()
            .filter_map(|&k| features.rows.get(k).copied())
            .collect();
        Ok(Prepared {
            data: Examples::new(features.data.subset(&kept), y)?,
            rows,
        })
    }

    fn feature_column<'a>(
        &self,
        prep: &ColumnPrep,
        columns: &'a [RawColumn],
    ) -> Result<&'a RawColumn, LearnError> {
        let column = find(columns, prep.name())?;
        match (prep, column) {
            (ColumnPrep::Numeric { name, .. }, RawColumn::Category { .. }) => {
                Err(LearnError::column(
                    name,
                    "holds categories here, but the job reads it as numbers",
                ))
            }
            _ => Ok(column),
        }
    }

    fn read_target(
        &self,
        column: &RawColumn,
        row: usize,
        slot_of: &dyn Fn(&str, &str) -> u32,
    ) -> Result<Option<Read>, LearnError> {
        match &self.target {
            TargetPrep::Classes { name, levels } => {
                let Some(value) = column.category(row) else {
                    return Ok(None);
                };
                let class = levels
                    .position(name, &value, slot_of)
                    .and_then(|p| u32::try_from(p).ok());
                match class {
                    Some(class) => Ok(Some(Read::Class(class))),
                    None => Err(LearnError::column(
                        name,
                        format!(
                            "row {} holds a class that the job does not declare; add it or remove the row",
                            row + 1
                        ),
                    )),
                }
            }
            TargetPrep::Value {
                name,
                bounds,
                mean,
                std,
            } => {
                if let RawColumn::Category { .. } = column {
                    return Err(LearnError::column(
                        name,
                        "holds categories; a regression target must be a number",
                    ));
                }
                Ok(column
                    .number(row)
                    .map(|y| Read::Value(TargetPrep::standardise(y, *bounds, *mean, *std))))
            }
        }
    }
}

/// One target entry.
enum Read {
    Class(u32),
    Value(f32),
}

fn find<'a>(columns: &'a [RawColumn], name: &str) -> Result<&'a RawColumn, LearnError> {
    columns.iter().find(|c| c.name() == name).ok_or_else(|| {
        LearnError::column(
            name,
            "is not in this table; check the spelling or the party's schema",
        )
    })
}
