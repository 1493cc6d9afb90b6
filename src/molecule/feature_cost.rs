//! What feature-space forces cost (Table 2 of "Drifting to Boltzmann"), counted as it is counted there.

/// Floating-point operations of Algorithm 3 for one frame of n atoms: D = 3n coordinates, P = n (n - 1) / 2 pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureCost {
    /// The Jacobian (Eq. 27): three components of a unit vector for each pair, 3 P. The differences and their lengths are
    /// those of the features.
    pub jacobian: u64,
    /// The Gram matrix: for each pair the nine products u u^T, added to the 36 entries of its two atoms, 45 P.
    pub gram: u64,
    /// The pseudo-inverse, by the leading term of the paper's decomposition: D^3. The Cholesky decomposition that is used here
    /// where it can be takes a third of that.
    pub pseudoinverse: u64,
    /// G = J v: six non-zeros a row, 6 P.
    pub product: u64,
}

impl FeatureCost {
    /// For a molecule of `atoms` atoms.
    pub fn of(atoms: usize) -> Self {
        let n = atoms as u64;
        let (pairs, coordinates) = (n.saturating_mul(n.saturating_sub(1)) / 2, n.saturating_mul(3));
        FeatureCost {
            jacobian: pairs.saturating_mul(3),
            gram: pairs.saturating_mul(45),
            pseudoinverse: coordinates.saturating_pow(3),
            product: pairs.saturating_mul(6),
        }
    }

    /// All of it, for one frame.
    pub fn total(&self) -> u64 {
        [self.gram, self.pseudoinverse, self.product].iter().fold(self.jacobian, |a, b| a.saturating_add(*b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethanol_is_table_2() {
        let cost = FeatureCost::of(9);
        assert_eq!((cost.jacobian, cost.gram, cost.product), (108, 1620, 216));
        // The paper rounds: about 20,000, about 22 thousand a frame, about 59 million for 2,700 frames.
        assert!(cost.pseudoinverse.abs_diff(20_000) < 500, "{cost:?}");
        assert!(cost.total().abs_diff(22_000) < 500, "{cost:?}");
        assert!((2700 * cost.total()).abs_diff(59_000_000) < 1_000_000, "{cost:?}");
        assert_eq!(FeatureCost::of(1).total(), 27);
        assert_eq!(FeatureCost::of(usize::MAX).total(), u64::MAX);
    }
}
