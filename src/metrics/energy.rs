//! Figures of the potential-energy distribution.

use serde::Serialize;

use super::histogram::{mean, quantile, sorted, spread};

/// One energy distribution, kcal/mol.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EnergySummary {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (division by N).
    pub std: f64,
    /// 5th percentile.
    pub p05: f64,
    /// Median.
    pub median: f64,
    /// 95th percentile.
    pub p95: f64,
}

/// The samples' energies against the reference's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EnergyFigures {
    /// The samples.
    pub samples: EnergySummary,
    /// The reference.
    pub reference: EnergySummary,
    /// Kolmogorov-Smirnov statistic: the largest difference of the two cumulative distributions.
    pub ks: f64,
    /// Median of the samples less that of the reference, kcal/mol.
    pub median_difference: f64,
}

fn summary(ascending: &[f64]) -> EnergySummary {
    EnergySummary {
        mean: mean(ascending),
        std: spread(&[ascending]),
        p05: quantile(ascending, 0.05),
        median: quantile(ascending, 0.5),
        p95: quantile(ascending, 0.95),
    }
}

/// Figures of two sets of finite energies.
pub(super) fn figures(samples: &[f64], reference: &[f64]) -> EnergyFigures {
    let (a, b) = (sorted(&[samples]), sorted(&[reference]));
    let (first, second) = (summary(&a), summary(&b));
    EnergyFigures {
        samples: first,
        reference: second,
        ks: kolmogorov_smirnov(&a, &b),
        median_difference: first.median - second.median,
    }
}

/// Largest distance between the empirical cumulative distributions of two ascending lists.
fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let value = a[i].min(b[j]);
        // Ties step together.
        while i < a.len() && a[i] <= value {
            i += 1;
        }
        while j < b.len() && b[j] <= value {
            j += 1;
        }
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ks_statistic() {
        assert_eq!(kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(kolmogorov_smirnov(&[1.0, 2.0], &[3.0, 4.0, 5.0]), 1.0);
        assert_eq!(kolmogorov_smirnov(&[1.0, 3.0], &[2.0, 4.0]), 0.5);
        let found = figures(&[1.0, 2.0, 3.0], &[0.0, 1.0, 2.0]);
        assert_eq!((found.median_difference, found.samples.mean), (1.0, 2.0));
    }
}
