//! Where a walk may go.

use ndarray::ArrayView2;

use crate::potential::Region;

/// A bond may be this many times as short or as long as its mean in the data.
const BOND_RANGE: (f64, f64) = (0.5, 1.6);

/// Whether a state may be taken, before its energy is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// Outside the region of the potential.
    Outside,
    /// A bond of the data is broken.
    Broken,
}

/// The region of the potential or, without one, the bonds of the data.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    region: Option<Region>,
    /// Atoms of a bond, least and largest squared length.
    bonds: Vec<(usize, usize, f64, f64)>,
}

impl Limits {
    /// A region or, where there is none, bonds (i, j, mean length in angstrom) that must hold.
    pub fn new(region: Option<Region>, bonds: &[(usize, usize, f64)]) -> Self {
        let bonds = match region {
            Some(_) => Vec::new(),
            None => bonds
                .iter()
                .map(|&(i, j, mean)| (i, j, (BOND_RANGE.0 * mean).powi(2), (BOND_RANGE.1 * mean).powi(2)))
                .collect(),
        };
        Limits { region, bonds }
    }

    /// Judges a state (n, 3).
    pub fn judge(&self, positions: ArrayView2<f64>) -> Verdict {
        if self.region.as_ref().is_some_and(|region| !region.contains(positions)) {
            return Verdict::Outside;
        }
        let holds = |&(i, j, low, high): &(usize, usize, f64, f64)| {
            let square: f64 = (0..3).map(|k| (positions[[i, k]] - positions[[j, k]]).powi(2)).sum();
            square >= low && square <= high
        };
        if self.bonds.iter().all(holds) {
            Verdict::Allowed
        } else {
            Verdict::Broken
        }
    }

    /// What is wrong with a state, in words.
    pub fn explain(&self, positions: ArrayView2<f64>) -> String {
        match (self.judge(positions), self.region.as_ref().and_then(|region| region.outside(positions))) {
            (_, Some(pair)) => format!(
                "atoms {} and {} are {:.3} angstrom apart, the region of the potential has {:.3} to {:.3}",
                pair.atoms.0, pair.atoms.1, pair.distance, pair.range.0, pair.range.1
            ),
            (Verdict::Broken, None) => "a bond is far from its mean length".into(),
            _ => "nothing".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn bonds_hold_only_without_a_region() {
        let at = |r: f64| array![[0.0, 0.0, 0.0], [r, 0.0, 0.0]];
        let bonds = Limits::new(None, &[(0, 1, 1.0)]);
        assert_eq!(bonds.judge(at(1.5).view()), Verdict::Allowed);
        for r in [0.4, 1.7, f64::NAN] {
            assert_eq!(bonds.judge(at(r).view()), Verdict::Broken);
        }
        let region = Region::new(2, vec![(0, 1, 0.5, 1.0)]).unwrap();
        let both = Limits::new(Some(region), &[(0, 1, 1.0)]);
        assert_eq!(both.judge(at(1.9).view()), Verdict::Allowed);
        assert_eq!(both.judge(at(2.1).view()), Verdict::Outside);
        assert!(both.explain(at(2.1).view()).contains("2.100"));
    }
}
