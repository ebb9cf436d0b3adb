//! Feature matrices and targets.

use crate::error::{LearnError, expect_len};

/// A dense row-major matrix of features.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    data: Vec<f32>,
}

impl Matrix {
    /// Takes `rows * cols` numbers, row by row. Checked here, so that no later step fails for what a record holds (DP-07).
    ///
    /// # Errors
    /// [`LearnError::Shape`] when the length is not `rows * cols`, [`LearnError::NotFinite`] for NaN or infinity.
    pub fn new(rows: usize, cols: usize, data: Vec<f32>) -> Result<Self, LearnError> {
        let expected = rows.saturating_mul(cols);
        expect_len("matrix elements", expected, data.len())?;
        match data.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(LearnError::NotFinite {
                what: "feature",
                index,
            }),
            None => Ok(Self { rows, cols, data }),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All elements, row by row.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Row `index`, or an empty slice beyond the last row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        self.data
            .get(index * self.cols..(index + 1) * self.cols)
            .unwrap_or(&[])
    }

    /// The given rows in the given order; numbers beyond the last row are skipped.
    #[must_use]
    pub fn subset(&self, rows: &[usize]) -> Self {
        let mut data = Vec::with_capacity(rows.len() * self.cols);
        let mut kept = 0;
        for &row in rows.iter().filter(|&&r| r < self.rows) {
            data.extend_from_slice(self.row(row));
            kept += 1;
        }
        Self {
            rows: kept,
            cols: self.cols,
            data,
        }
    }
}

/// What a model is to predict, one entry a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Class numbers below `classes`.
    Classes {
        /// One class number a row.
        labels: Vec<u32>,
        /// Number of classes, at least 2.
        classes: usize,
    },
    /// Real values.
    Values(Vec<f32>),
}

impl Target {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Values(values) => values.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The given rows in the given order; numbers beyond the last row are skipped.
    #[must_use]
    pub fn subset(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes { labels, classes } => Self::Classes {
                labels: pick(labels, rows),
                classes: *classes,
            },
            Self::Values(values) => Self::Values(pick(values, rows)),
        }
    }

    /// How often each class occurs; empty for real values.
    #[must_use]
    pub fn class_counts(&self) -> Vec<u64> {
        let Self::Classes { labels, classes } = self else {
            return Vec::new();
        };
        let mut counts = vec![0; *classes];
        for &label in labels {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        counts
    }
}

fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter()
        .filter_map(|&r| values.get(r).copied())
        .collect()
}

/// Features with their target. Fields are private, so that every value was checked once.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    x: Matrix,
    y: Target,
}

impl Examples {
    /// Joins features and target.
    ///
    /// # Errors
    /// When the row counts differ, a label is not below `classes`, `classes < 2`, or a value is not finite.
    pub fn new(x: Matrix, y: Target) -> Result<Self, LearnError> {
        expect_len("target rows", x.rows(), y.len())?;
        match &y {
            Target::Classes { classes, .. } if *classes < 2 => {
                Err(LearnError::setting("classes", "at least 2", classes))
            }
            Target::Classes { labels, classes } => {
                match labels
                    .iter()
                    .enumerate()
                    .find(|&(_, &l)| l as usize >= *classes)
                {
                    Some((row, &label)) => Err(LearnError::Label {
                        row,
                        label,
                        classes: *classes,
                    }),
                    None => Ok(Self { x, y }),
                }
            }
            Target::Values(values) => match values.iter().position(|v| !v.is_finite()) {
                Some(index) => Err(LearnError::NotFinite {
                    what: "target value",
                    index,
                }),
                None => Ok(Self { x, y }),
            },
        }
    }

    /// The features.
    #[must_use]
    pub fn x(&self) -> &Matrix {
        &self.x
    }

    /// The target.
    #[must_use]
    pub fn y(&self) -> &Target {
        &self.y
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.x.rows()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The given rows in the given order; numbers beyond the last row are skipped.
    #[must_use]
    pub fn subset(&self, rows: &[usize]) -> Self {
        Self {
            x: self.x.subset(rows),
            y: self.y.subset(rows),
        }
    }
}
