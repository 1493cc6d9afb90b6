//! Maxwell-Boltzmann velocities of a molecule that neither drifts nor turns.

use ndarray::{s, Array3, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::noise::{Purpose, Stream};
use crate::molecule::jacobi::symmetric;
use crate::molecule::vector::cross;
use crate::units::{BOLTZMANN, ENERGY_TO_KINETIC};
use crate::{Error, Result};

/// Velocities in angstrom/fs, (N, n, 3), for positions (N, n, 3) at `temperature` kelvin.
///
/// Every atom draws from the Maxwell distribution; then momentum and angular momentum about the center
/// of mass are projected out. The projection is orthogonal in the mass-weighted metric, so what is left
/// is exactly the canonical distribution of the 3n - 6 (linear: 3n - 5) degrees of freedom that remain:
/// their kinetic energy has mean (3n - 6) kT / 2, and nothing is rescaled.
///
/// # Errors
/// [`Error::Usage`] for a temperature that is not positive and finite, and for samples past the last index.
pub fn maxwell(
    masses: &[f64],
    positions: &Array3<f64>,
    temperature: f64,
    seed: u64,
    first: u64,
) -> Result<Array3<f64>> {
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::usage(format!("temperature {temperature} K: velocities need a positive one")));
    }
    super::check_range(first, positions.dim().0)?;
    // (angstrom/fs)^2 amu per kelvin.
    let thermal = BOLTZMANN * ENERGY_TO_KINETIC * temperature;
    let mut out = Array3::zeros(positions.raw_dim());
    out.outer_iter_mut().into_par_iter().enumerate().for_each(|(k, mut velocities)| {
        let mut stream = Stream::new(seed, Purpose::Velocities, first + k as u64);
        for (mut velocity, &mass) in velocities.outer_iter_mut().zip(masses) {
            let width = (thermal / mass).sqrt();
            velocity.iter_mut().for_each(|v| *v = width * stream.normal());
        }
        remove_rigid_motion(masses, positions.slice(s![k, .., ..]), velocities);
    });
    Ok(out)
}

/// Takes momentum and angular momentum out of velocities (n, 3), in place.
pub fn remove_rigid_motion(masses: &[f64], positions: ArrayView2<f64>, mut velocities: ArrayViewMut2<f64>) {
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
    let omega = solve_symmetric(inertia, momentum);
    for a in 0..masses.len() {
        let spin = cross(omega, arm(a));
        for c in 0..3 {
            velocities[[a, c]] -= spin[c];
        }
    }
}

/// Least-norm solution of I w = l for a positive semidefinite 3 x 3 matrix. A linear molecule has no moment about its
/// axis, and an atom none at all: those directions get 0.
fn solve_symmetric(m: [[f64; 3]; 3], b: [f64; 3]) -> [f64; 3] {
    let (moments, vectors) = symmetric(m);
    let largest = moments.iter().copied().fold(0.0, f64::max);
    let mut out = [0.0; 3];
    for (k, &moment) in moments.iter().enumerate() {
        if moment > 1e-9 * largest {
            let amount = (0..3).map(|i| vectors[i][k] * b[i]).sum::<f64>() / moment;
            for i in 0..3 {
                out[i] += amount * vectors[i][k];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn kinetic(masses: &[f64], v: &Array3<f64>) -> Vec<f64> {
        v.outer_iter()
            .map(|v| {
                v.outer_iter().zip(masses).map(|(v, m)| 0.5 * m * v.dot(&v)).sum::<f64>()
                    / ENERGY_TO_KINETIC
                    / BOLTZMANN
            })
            .collect()
    }

    fn check(masses: &[f64], shape: &[[f64; 3]], freedom: f64) {
        let count = 20_000;
        let one = Array2::from(shape.to_vec());
        let positions = Array3::from_shape_fn((count, shape.len(), 3), |(_, a, c)| one[[a, c]]);
        let v = maxwell(masses, &positions, 300.0, 5, 0).unwrap();
        let energies = kinetic(masses, &v);
        let mean = energies.iter().sum::<f64>() / count as f64;
        let variance = energies.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / count as f64;
        // The kinetic energy of f degrees of freedom: mean f kT/2, variance f (kT)^2 / 2 (Gamma distribution).
        let error = 300.0 * (freedom / 2.0 / count as f64).sqrt();
        assert!((mean - freedom / 2.0 * 300.0).abs() < 5.0 * error, "{mean} for {freedom}");
        assert!((variance / (freedom / 2.0 * 9e4) - 1.0).abs() < 0.1);
        for (x, v) in positions.outer_iter().zip(v.outer_iter()).take(100) {
            let (mut p, mut l) = ([0.0; 3], [0.0; 3]);
            for a in 0..masses.len() {
                let (r, v) = ([0, 1, 2].map(|c| x[[a, c]]), [0, 1, 2].map(|c| v[[a, c]]));
                let turn = cross(r, v);
                for c in 0..3 {
                    p[c] += masses[a] * v[c];
                    l[c] += masses[a] * turn[c];
                }
            }
            assert!(p.iter().chain(&l).all(|x| x.abs() < 1e-12), "{p:?} {l:?}");
        }
    }

    #[test]
    fn degrees_of_freedom_are_counted_right() {
        check(&[16.0, 1.0, 1.0], &[[0.0, 0.0, 0.1], [0.8, 0.0, -0.5], [-0.8, 0.0, -0.5]], 3.0);
        check(&[12.0, 16.0, 16.0], &[[0.0, 0.0, 0.0], [0.0, 0.0, 1.16], [0.0, 0.0, -1.16]], 4.0);
        check(&[1.0, 2.0], &[[0.0, 0.3, 0.0], [0.0, 1.0, 0.4]], 1.0);
        check(
            &[1.0, 2.0, 3.0, 4.0],
            &[[0.0, 0.0, 0.0], [1.0, 0.2, 0.0], [0.3, 1.0, 0.1], [0.1, 0.4, 1.0]],
            6.0,
        );
    }

    #[test]
    fn a_single_atom_stands_still_and_bad_temperatures_are_refused() {
        let v = maxwell(&[40.0], &Array3::zeros((3, 1, 3)), 300.0, 0, 0).unwrap();
        assert!(v.iter().all(|x| x.abs() < 1e-12));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(maxwell(&[40.0], &Array3::zeros((3, 1, 3)), bad, 0, 0).is_err());
        }
    }
}
