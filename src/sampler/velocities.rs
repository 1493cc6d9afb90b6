//! Maxwell-Boltzmann velocities of a molecule that neither drifts nor turns.

use ndarray::{s, Array3};
use rayon::prelude::*;

use super::noise::{Purpose, Stream};
use crate::molecule::rigid::remove_rigid_motion;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::vector::cross;
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
