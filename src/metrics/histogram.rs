//! Histograms, total variation and quantiles, to the digit as NumPy makes them.

use rayon::prelude::*;

/// Edges of equal bins, as `numpy.linspace(start, stop, bins + 1)`.
pub(super) struct Edges {
    edges: Vec<f64>,
    start: f64,
    step: f64,
}

impl Edges {
    pub(super) fn new(start: f64, stop: f64, bins: usize) -> Self {
        let step = (stop - start) / bins as f64;
        let mut edges: Vec<f64> = (0..=bins).map(|k| k as f64 * step + start).collect();
        edges[bins] = stop;
        Edges { edges, start, step }
    }

    fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// The bin of a value, as `numpy.histogram` with given edges: bins hold their lower edge, the last one both.
    fn bin(&self, value: f64) -> Option<usize> {
        let last = self.bins() - 1;
        if !(value >= self.edges[0] && value <= self.edges[last + 1]) {
            return None;
        }
        let mut bin = (((value - self.start) / self.step) as usize).min(last);
        // The division rounds: settle on the edges themselves.
        while bin > 0 && value < self.edges[bin] {
            bin -= 1;
        }
        while bin < last && value >= self.edges[bin + 1] {
            bin += 1;
        }
        Some(bin)
    }

    /// Share of all values (inside or not) in each bin, over several columns together.
    pub(super) fn shares(&self, columns: &[&[f64]]) -> Vec<f64> {
        let mut counts = vec![0_u64; self.bins()];
        for value in columns.iter().flat_map(|column| column.iter()) {
            if let Some(bin) = self.bin(*value) {
                counts[bin] += 1;
            }
        }
        let total: usize = columns.iter().map(|column| column.len()).sum();
        counts.into_iter().map(|count| count as f64 / total as f64).collect()
    }
}

/// Total variation between two histograms of shares; what lies outside counts as one more bin.
pub(super) fn total_variation(a: &[f64], b: &[f64]) -> f64 {
    let inside: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
    let outside = (a.iter().sum::<f64>() - b.iter().sum::<f64>()).abs();
    0.5 * (inside + outside)
}

/// Total variation in 40 bins on the range of the reference, widened by `margin` on both sides.
pub(super) fn ranged_variation(samples: &[&[f64]], reference: &[&[f64]], margin: f64) -> f64 {
    let all = || reference.iter().flat_map(|column| column.iter().copied());
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let edges = Edges::new(low - margin, high + margin, 40);
    total_variation(&edges.shares(samples), &edges.shares(reference))
}

/// All values of several columns, ascending.
pub(crate) fn sorted(columns: &[&[f64]]) -> Vec<f64> {
    let mut values = columns.concat();
    values.par_sort_unstable_by(f64::total_cmp);
    values
}

/// `numpy.quantile` of sorted values, linear interpolation, 0 <= q <= 1.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let below = place.floor();
    let at = (below as usize).min(sorted.len() - 1);
    let (a, b, t) = (sorted[at], sorted[(at + 1).min(sorted.len() - 1)], place - below);
    if t < 0.5 {
        a + (b - a) * t
    } else {
        b - (b - a) * (1.0 - t)
    }
}

/// One-dimensional Wasserstein-2 distance through 20,000 quantiles.
pub(super) fn wasserstein2(a: &[f64], b: &[f64]) -> f64 {
    const COUNT: usize = 20_000;
    let at = |k: usize| (k as f64 + 0.5) / COUNT as f64;
    let squares: f64 = (0..COUNT).map(|k| (quantile(a, at(k)) - quantile(b, at(k))).powi(2)).sum();
    (squares / COUNT as f64).sqrt()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation with division by N, over several columns together.
pub(super) fn spread(columns: &[&[f64]]) -> f64 {
    let count: usize = columns.iter().map(|column| column.len()).sum();
    let all = || columns.iter().flat_map(|column| column.iter());
    let mean = all().sum::<f64>() / count as f64;
    let width = (all().map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64).sqrt();
    // Equal numbers have no width; rounding must not give them one.
    if width > 1e-12 * mean.abs() {
        width
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_as_numpy() {
        // numpy.histogram([0, 0.04, 0.12, 7.96, 8, 8.0001, -1], numpy.linspace(0, 8, 201))
        let edges = Edges::new(0.0, 8.0, 200);
        let bins: Vec<_> = [0.0, 0.04, 7.96, 8.0, 8.0001, -1.0, f64::NAN].map(|v| edges.bin(v)).to_vec();
        assert_eq!(bins, [Some(0), Some(1), Some(199), Some(199), None, None, None]);
        // Every edge opens its own bin.
        for (k, &edge) in edges.edges[..200].iter().enumerate() {
            assert_eq!(edges.bin(edge), Some(k));
        }
    }

    #[test]
    fn quantiles_as_numpy() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.1, 0.5, 0.9, 1])
        let values = [1.0, 2.0, 4.0, 8.0];
        for (q, expected) in [(0.0, 1.0), (0.1, 1.3), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)] {
            approx::assert_relative_eq!(quantile(&values, q), expected, max_relative = 1e-14);
        }
        assert_eq!(quantile(&[3.0], 0.7), 3.0);
        assert_eq!(wasserstein2(&values, &values), 0.0);
        approx::assert_relative_eq!(
            wasserstein2(&values, &values.map(|v| v + 2.0)),
            2.0,
            max_relative = 1e-12
        );
    }
}
