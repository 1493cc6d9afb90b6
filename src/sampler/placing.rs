//! Samples put where molecules of a running simulation are.

use ndarray::{ArrayView3, ArrayViewMut3};
use rayon::prelude::*;

use super::noise::{Purpose, Stream};
use crate::molecule::superposition::{center, superposition, turn};
use crate::molecule::vector::Vector;
use crate::{Error, Result};

/// How a sample is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// As the molecule that it replaces: least mass-weighted squared distance, proper rotations only (Kabsch 1976).
    Keep,
    /// Uniformly at random, each sample from a stream of its own.
    Random,
}

/// Moves every frame of `positions` (N, n, 3) to the center of mass of its counterpart in `onto` (N, n, 3) and turns it.
/// `masses` (n) in amu; frame k belongs to sample `first + k` of `seed`.
///
/// # Errors
/// [`Error::Usage`] where the shapes differ or a mass is not positive; [`Error::Numeric`] where a position is not finite,
/// before or after.
pub fn place(
    masses: &[f64],
    onto: ArrayView3<f64>,
    orientation: Orientation,
    seed: u64,
    first: u64,
    mut positions: ArrayViewMut3<f64>,
) -> Result<()> {
    if positions.dim() != onto.dim() || positions.dim().1 != masses.len() || positions.dim().2 != 3 {
        return Err(Error::usage(format!(
            "{} masses, positions {:?} and their places {:?} do not belong together",
            masses.len(),
            positions.dim(),
            onto.dim()
        )));
    }
    if let Some(atom) = masses.iter().position(|m| !(*m > 0.0 && m.is_finite())) {
        return Err(Error::usage(format!("mass of atom {atom} is not positive; give masses in amu")));
    }
    super::check_range(first, onto.dim().0)?;
    all_finite("place", onto)?;
    all_finite("sample", positions.view())?;
    let frames = positions.outer_iter_mut().into_par_iter().zip(onto.outer_iter().into_par_iter());
    frames.enumerate().for_each(|(k, (mut sample, there))| {
        let (from, to) = (center(masses, sample.view()), center(masses, there));
        let rotation = match orientation {
            Orientation::Keep => superposition(masses, (sample.view(), from), (there, to)),
            Orientation::Random => random_rotation(seed, first + k as u64),
        };
        for mut atom in sample.outer_iter_mut() {
            let arm: Vector = std::array::from_fn(|c| atom[c] - from[c]);
            let turned = turn(rotation, arm);
            (0..3).for_each(|c| atom[c] = to[c] + turned[c]);
        }
    });
    // Huge numbers overflow.
    all_finite("placed sample", positions.view())
}

fn all_finite(what: &str, frames: ArrayView3<f64>) -> Result<()> {
    match frames.outer_iter().position(|frame| frame.iter().any(|x| !x.is_finite())) {
        Some(frame) => Err(Error::Numeric(format!("{what} {frame} has a position that is not finite"))),
        None => Ok(()),
    }
}

/// A unit quaternion uniform over all rotations: four normal numbers over their norm.
fn random_rotation(seed: u64, index: u64) -> [f64; 4] {
    let mut stream = Stream::new(seed, Purpose::Orientation, index);
    loop {
        let q: [f64; 4] = std::array::from_fn(|_| stream.normal());
        let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-6 {
            return q.map(|x| x / norm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::vector::{cross, dot};
    use ndarray::{s, Array3};

    const MASSES: [f64; 5] = [12.0, 1.0, 19.0, 35.0, 80.0];

    fn rotated(x: &Array3<f64>, seed: u64) -> Array3<f64> {
        let mut out = x.clone();
        let away = x.mapv(|x| x + 3.0);
        place(&[1.0; 5], away.view(), Orientation::Random, seed, 0, out.view_mut()).unwrap();
        out
    }

    fn frames(count: usize) -> Array3<f64> {
        let mut stream = Stream::new(4, Purpose::Data, 0);
        Array3::from_shape_simple_fn((count, 5, 3), || stream.normal())
    }

    fn distances(x: &Array3<f64>) -> Vec<f64> {
        let mut out = Vec::new();
        for frame in x.outer_iter() {
            for i in 0..5 {
                for j in 0..i {
                    out.push((0..3).map(|c| (frame[[i, c]] - frame[[j, c]]).powi(2)).sum::<f64>().sqrt());
                }
            }
        }
        out
    }

    /// Signed volume of the first four atoms: a mirror image has the other sign.
    fn volume(x: &Array3<f64>, frame: usize) -> f64 {
        let arm = |atom: usize| std::array::from_fn(|c| x[[frame, atom, c]] - x[[frame, 0, c]]);
        dot(arm(1), cross(arm(2), arm(3)))
    }

    #[test]
    fn a_turned_molecule_is_turned_back() {
        let x = frames(200);
        let mut sample = rotated(&x, 9);
        for (a, b) in distances(&x).iter().zip(distances(&sample)) {
            assert!((a - b).abs() < 1e-12);
        }
        place(&MASSES, x.view(), Orientation::Keep, 0, 0, sample.view_mut()).unwrap();
        let worst = x.iter().zip(&sample).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-9, "{worst}");
    }

    #[test]
    fn a_mirror_image_is_not_turned_inside_out_and_linear_frames_are_turned() {
        let x = frames(100);
        let mut mirrored = x.mapv(|x| -x);
        place(&MASSES, x.view(), Orientation::Keep, 0, 0, mirrored.view_mut()).unwrap();
        for frame in 0..100 {
            assert!(volume(&x, frame) * volume(&mirrored, frame) < 0.0);
        }
        let along = Array3::from_shape_fn((1, 5, 3), |(_, a, c)| if c == 2 { a as f64 } else { 0.0 });
        let mut line = rotated(&along, 3);
        place(&MASSES, along.view(), Orientation::Keep, 0, 0, line.view_mut()).unwrap();
        assert!(along.iter().zip(&line).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn random_orientations_are_uniform_and_each_samples_own() {
        // A unit vector along x: every component of its image has mean 0 and mean square 1/3.
        let count = 20_000;
        let x = Array3::from_shape_fn((count, 2, 3), |(_, a, c)| if a == 1 && c == 0 { 1.0 } else { 0.0 });
        let mut out = x.clone();
        place(&[1.0, 1.0], x.view(), Orientation::Random, 5, 0, out.view_mut()).unwrap();
        for c in 0..3 {
            let values: Vec<f64> = (0..count).map(|k| out[[k, 1, c]] - out[[k, 0, c]]).collect();
            let mean = values.iter().sum::<f64>() / count as f64;
            let square = values.iter().map(|v| v * v).sum::<f64>() / count as f64;
            // Standard errors: sqrt(1/3/N), and sqrt((1/5 - 1/9)/N).
            assert!(mean.abs() < 5.0 * (1.0 / 3.0 / count as f64).sqrt(), "{mean}");
            assert!((square - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / count as f64).sqrt(), "{square}");
        }
        let mut part = x.slice(s![..7, .., ..]).to_owned();
        place(&[1.0, 1.0], x.slice(s![..7, .., ..]), Orientation::Random, 5, 100, part.view_mut()).unwrap();
        assert_eq!(part, out.slice(s![100..107, .., ..]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = frames(2);
        let mut out = frames(2);
        assert!(place(&MASSES[..4], x.view(), Orientation::Keep, 0, 0, out.view_mut()).is_err());
        assert!(place(&[0.0; 5], x.view(), Orientation::Keep, 0, 0, out.view_mut()).is_err());
        out[[1, 0, 0]] = f64::NAN;
        let said = place(&MASSES, x.view(), Orientation::Keep, 0, 0, out.view_mut()).unwrap_err().to_string();
        assert!(said.contains("sample 1"), "{said}");
    }
}
