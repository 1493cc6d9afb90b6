//! Where a fitted potential may be trusted: the pair distances it has seen.

use ndarray::ArrayView2;

use crate::{Error, Result};

/// Ranges of the inverse distances of all pairs. A state with any pair outside its range is outside.
///
/// A fitted potential knows nothing beyond its training frames, and a walk that finds a hole there falls into
/// it. Rejecting such states samples the Boltzmann distribution restricted to the region.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    atoms: usize,
    /// Atoms of a pair, and the lowest and highest inverse distance in 1/angstrom.
    pairs: Vec<(usize, usize, f64, f64)>,
}

/// A pair of atoms that is closer or farther than the region allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outside {
    /// The atoms.
    pub atoms: (usize, usize),
    /// Their distance in angstrom; not finite where a position is not.
    pub distance: f64,
    /// Shortest and longest distance allowed, angstrom.
    pub range: (f64, f64),
}

impl Region {
    /// A region from the lowest and highest inverse distance (1/angstrom) of pairs of atoms.
    ///
    /// # Errors
    /// [`Error::Usage`] where a pair does not exist among `atoms` or a range is not positive and ordered.
    pub fn new(atoms: usize, pairs: Vec<(usize, usize, f64, f64)>) -> Result<Self> {
        for &(i, j, low, high) in &pairs {
            if i == j || i.max(j) >= atoms || !(low > 0.0 && high >= low && high.is_finite()) {
                return Err(Error::usage(format!(
                    "pair {i}-{j} with inverse distances {low} to {high} 1/angstrom is no range of two of {atoms} \
                     atoms"
                )));
            }
        }
        Ok(Region { atoms, pairs })
    }

    /// The first pair of a frame (n, 3) that is outside its range; none where the frame is inside. A frame of
    /// another number of atoms, or with a number that is not finite, is outside.
    pub fn outside(&self, positions: ArrayView2<f64>) -> Option<Outside> {
        if positions.dim() != (self.atoms, 3) {
            return Some(Outside { atoms: (0, 0), distance: f64::NAN, range: (0.0, 0.0) });
        }
        self.pairs.iter().find_map(|&(i, j, low, high)| {
            let square: f64 = (0..3).map(|k| (positions[[i, k]] - positions[[j, k]]).powi(2)).sum();
            // Squares compared: no root, and a NaN is on no side.
            let inside = square * high * high >= 1.0 && square * low * low <= 1.0;
            (!inside).then(|| Outside {
                atoms: (i, j),
                distance: square.sqrt(),
                range: (1.0 / high, 1.0 / low),
            })
        })
    }

    /// Whether a frame (n, 3) is inside.
    pub fn contains(&self, positions: ArrayView2<f64>) -> bool {
        self.outside(positions).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn inside_outside_and_not_finite() {
        let region = Region::new(2, vec![(0, 1, 0.5, 1.0)]).unwrap();
        let at = |r: f64| array![[0.0, 0.0, 0.0], [0.0, r, 0.0]];
        assert!(region.contains(at(1.0).view()) && region.contains(at(2.0).view()));
        let outside = region.outside(at(2.5).view()).unwrap();
        assert_eq!((outside.atoms, outside.range), ((0, 1), (1.0, 2.0)));
        assert!((outside.distance - 2.5).abs() < 1e-12);
        assert!(!region.contains(at(0.9).view()) && !region.contains(at(f64::NAN).view()));
        assert!(!region.contains(array![[0.0, 0.0, 0.0]].view()));
        for bad in [(0, 0, 0.5, 1.0), (0, 2, 0.5, 1.0), (0, 1, 1.0, 0.5), (0, 1, 0.0, 1.0)] {
            assert!(Region::new(2, vec![bad]).is_err());
        }
    }
}
