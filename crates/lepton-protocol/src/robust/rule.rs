//! Coordinate-wise rules over the means of groups (rule FT-19).

/// How the means of groups become one vector, number by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The mean of what is left without so many of the lowest and so many of the highest.
    TrimmedMean {
        /// Groups left out at either end.
        trim: u16,
    },
    /// The median; between the two middle ones where their number is even.
    Median,
}

impl Rule {
    /// Groups that may say anything: with no more of them, every number of the result lies between the lowest and the highest of the others.
    #[must_use]
    pub fn tolerates(self, groups: usize) -> usize {
        let median = groups.saturating_sub(1) / 2;
        match self {
            Self::TrimmedMean { trim } => usize::from(trim).min(median),
            Self::Median => median,
        }
    }

    /// Combines the means of groups, all of the same length; a longer one is cut to the shortest.
    #[must_use]
    pub fn combine(self, means: &[Vec<f64>]) -> Vec<f64> {
        let cut = self.tolerates(means.len());
        let len = means.iter().map(Vec::len).min().unwrap_or(0);
        let mut column = Vec::with_capacity(means.len());
        (0..len)
            .map(|at| {
                column.clear();
                column.extend(means.iter().filter_map(|mean| mean.get(at).copied()));
                // A median is what is left when all but the middle one or two are trimmed.
                column.sort_unstable_by(f64::total_cmp);
                mean(column.get(cut..column.len() - cut).unwrap_or(&column))
            })
            .collect()
    }
}

fn mean(values: &[f64]) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are far fewer than 2^52 groups"
    )]
    let count = values.len().max(1) as f64;
    values.iter().sum::<f64>() / count
}
