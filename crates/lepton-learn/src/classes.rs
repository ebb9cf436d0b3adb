//! Weights for unbalanced classes.

/// Weights `total / (classes * count)`, so that every class weighs the same in the loss. Counts may be noisy: they are taken
/// as at least 1, and the weights are scaled to a mean of 1 over the rows.
#[must_use]
pub fn balanced_class_weights(counts: &[f64]) -> Vec<f64> {
    let counts: Vec<f64> = counts
        .iter()
        .map(|&c| if c.is_finite() { c.max(1.0) } else { 1.0 })
        .collect();
    let total: f64 = counts.iter().sum();
    counts
        .iter()
        .map(|c| total / (counts.len() as f64 * c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_counts() {
        assert_eq!(balanced_class_weights(&[90.0, 10.0]), [100.0 / 180.0, 5.0]);
        assert!(
            balanced_class_weights(&[10.0, -3.0])
                .iter()
                .all(|w| w.is_finite() && *w > 0.0)
        );
    }
}
