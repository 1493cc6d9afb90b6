//! Some frames on top of each other, for the turning picture.

use ndarray::{concatenate, Array2, ArrayView2, ArrayView3, Axis};
use serde_json::{json, Value};

use crate::dataset::elements::symbol;
use crate::molecule::bonds::Bonds;
use crate::molecule::superposition::aligned;
use crate::molecule::symmetry::{SymmetryGroup, SymmetryOperation};
use crate::Result;

/// Frames that are shown.
pub(super) const SHOWN: usize = 40;
/// Operations of the symmetry group that are tried for each of them.
const TRIED: usize = 500;

/// The first frames (N, n, 3), each the image under the symmetry group that lies nearest to the first frame, all turned onto
/// it: angstrom, rounded to a picture's precision.
pub(super) fn overlay(species: &[u8], positions: ArrayView3<f64>) -> Result<Value> {
    let bonds = Bonds::from_mean_distances(species, positions)?;
    let group = SymmetryGroup::find(species, positions, &bonds)?;
    let first = positions.index_axis(Axis(0), 0);
    let frames: Vec<Value> = positions
        .outer_iter()
        .take(SHOWN)
        .map(|frame| {
            let near = nearest(first, frame, &group.operations);
            let rounded = |x: &f64| json!((x * 1000.0).round() / 1000.0);
            Value::from(near.iter().map(rounded).collect::<Vec<Value>>())
        })
        .collect();
    let elements: Vec<&str> = species.iter().map(|&z| symbol(z)).collect();
    Ok(json!({ "elements": elements, "bonds": bonds.pairs, "frames": frames }))
}

/// The image of a frame that lies nearest to `first`, turned onto it.
fn nearest(first: ArrayView2<f64>, frame: ArrayView2<f64>, operations: &[SymmetryOperation]) -> Array2<f64> {
    let mut images = vec![first.to_owned()];
    images.extend(operations.iter().take(TRIED).map(|g| g.apply(frame)));
    let all: Vec<_> = images.iter().map(|image| image.view().insert_axis(Axis(0))).collect();
    // Frames of one molecule have one shape.
    let Ok(all) = concatenate(Axis(0), &all) else { return frame.to_owned() };
    let (turned, _) = aligned(all.view(), None, 0);
    let onto = turned.index_axis(Axis(0), 0);
    let distance = |k: usize| (&turned.index_axis(Axis(0), k) - &onto).mapv(|x| x * x).sum();
    let best = (1..turned.dim().0).min_by(|&a, &b| f64::total_cmp(&distance(a), &distance(b)));
    turned.index_axis(Axis(0), best.unwrap_or(0)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::molecule::samples::{noisy, ETHANOL};

    #[test]
    fn frames_lie_on_each_other_over_symmetry() {
        let (species, mut positions) = noisy(&ETHANOL, 30, 0.02, 4);
        // A mirror image with two hydrogens exchanged, somewhere else.
        let bonds = Bonds::from_mean_distances(&species, positions.view()).unwrap();
        let group = SymmetryGroup::find(&species, positions.view(), &bonds).unwrap();
        let image = group.operations[group.order() - 1].apply(positions.index_axis(Axis(0), 7));
        positions.index_axis_mut(Axis(0), 7).assign(&(image + 3.0));
        let found = overlay(&species, positions.view()).unwrap();
        let number = |frame: usize, k: usize| found["frames"][frame][k].as_f64().unwrap();
        for frame in 1..30 {
            let square: f64 = (0..27).map(|k| (number(frame, k) - number(0, k)).powi(2)).sum();
            assert!((square / 9.0).sqrt() < 0.12, "frame {frame}: {}", (square / 9.0).sqrt());
        }
    }
}
