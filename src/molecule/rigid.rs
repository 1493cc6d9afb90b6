//! Motion of a molecule as a whole, and velocities without it.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::jacobi::symmetric;
use super::vector::cross;

/// Takes momentum and angular momentum out of velocities (n, 3), in place, and returns the degrees of freedom of what
/// was taken: 6, 5 where all atoms are on one line, 3 for one atom.
///
/// The projection is orthogonal in the mass-weighted metric: of Maxwell's distribution it leaves exactly that of the
/// other degrees of freedom.
pub fn remove_rigid_motion(
    masses: &[f64],
    positions: ArrayView2<f64>,
    mut velocities: ArrayViewMut2<f64>,
) -> usize {
    let total: f64 = masses.iter().sum();
    let (mut center, mut drift) = ([0.0; 3], [0.0; 3]);
    for (a, &mass) in masses.iter().enumerate() {
        for c in 0..3 {
            center[c] += mass * positions[[a, c]] / total;
            drift[c] += mass * velocities[[a, c]] / total;
        }
    }
    let arm = |a: usize| [0, 1, 2].map(|c| positions[[a, c]] - center[c]);
    let (mut inertia, mut momentum) = ([[0.0; 3]; 3], [0.0; 3]);
    for (a, &mass) in masses.iter().enumerate() {
        let r = arm(a);
        for c in 0..3 {
            velocities[[a, c]] -= drift[c];
        }
        let v = [0, 1, 2].map(|c| velocities[[a, c]]);
        let l = cross(r, v);
        let square = r.iter().map(|x| x * x).sum::<f64>();
        for i in 0..3 {
            momentum[i] += mass * l[i];
            for j in 0..3 {
                inertia[i][j] += mass * (if i == j { square } else { 0.0 } - r[i] * r[j]);
            }
        }
    }
    let (omega, turns) = solve_symmetric(inertia, momentum);
    for a in 0..masses.len() {
        let spin = cross(omega, arm(a));
        for c in 0..3 {
            velocities[[a, c]] -= spin[c];
        }
    }
    3 + turns
}

/// Least-norm solution of I w = l for a positive semidefinite 3 x 3 matrix, and its rank. A linear molecule has no
/// moment about its axis, and an atom none at all: those directions get 0.
fn solve_symmetric(m: [[f64; 3]; 3], b: [f64; 3]) -> ([f64; 3], usize) {
    let (moments, vectors) = symmetric(m);
    let largest = moments.iter().copied().fold(0.0, f64::max);
    let (mut out, mut rank) = ([0.0; 3], 0);
    for (k, &moment) in moments.iter().enumerate() {
        if moment > 1e-9 * largest {
            rank += 1;
            let amount = (0..3).map(|i| vectors[i][k] * b[i]).sum::<f64>() / moment;
            for i in 0..3 {
                out[i] += amount * vectors[i][k];
            }
        }
    }
    (out, rank)
}
