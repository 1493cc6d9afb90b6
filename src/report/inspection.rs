//! What a data set holds, before anything is learned from it.

use ndarray::ArrayView3;
use serde::Serialize;

use super::formula;
use crate::dataset::Dataset;
use crate::molecule::bonds::Bonds;
use crate::molecule::force_check::ForceCheck;
use crate::molecule::symmetry::SymmetryGroup;
use crate::molecule::thermometer::{assess, Thermometer};
use crate::molecule::vector::{at, cross, dot, norm, sub, Vector};
use crate::Result;

/// Root mean square distance from a line or plane, over the size of the molecule, below which frames count as
/// linear or planar (thermal bending of carbon dioxide at 500 K: 0.05).
const FLAT: f64 = 0.08;

/// The symmetry group in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SymmetrySummary {
    /// Number of operations.
    pub order: usize,
    /// Of these without a mirror image.
    pub proper: usize,
    /// Of these with a mirror image.
    pub mirror: usize,
}

/// What `inspect` found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The file; empty where the frames are from none.
    pub path: String,
    /// Its format.
    pub format: String,
    /// Number of frames read.
    pub frames: usize,
    /// Number of atoms of the molecule.
    pub atoms: usize,
    /// Sum formula.
    pub formula: String,
    /// The units and how they were known.
    pub units: String,
    /// Whether the file has a periodic cell.
    pub periodic: bool,
    /// Whether there are forces.
    pub forces: bool,
    /// Whether there are energies.
    pub energies: bool,
    /// Whether there are velocities.
    pub velocities: bool,
    /// Mean and standard deviation of the energies, kcal/mol.
    pub energy: Option<(f64, f64)>,
    /// Atomic numbers.
    pub species: Vec<u8>,
    /// Bonded pairs.
    pub bonds: Vec<(usize, usize)>,
    /// Rings, atoms in ring order.
    pub rings: Vec<Vec<usize>>,
    /// One dihedral i-j-k-l per rotatable bond j-k.
    pub dihedrals: Vec<[usize; 4]>,
    /// The symmetry group; none where it could not be listed (a warning says why).
    pub symmetry: Option<SymmetrySummary>,
    /// Whether the frames are linear or planar but for thermal motion: `linear`, `planar` or `general`.
    pub shape: &'static str,
    /// Temperatures.
    pub thermometer: Thermometer,
    /// Net force and torque.
    pub force_check: Option<ForceCheck>,
    /// Things the user should know, one line each.
    pub warnings: Vec<String>,
}

/// Looks at a data set: its molecule, its symmetry, its temperature, and what is odd. `asked_temperature` in K
/// is what the run was meant to be at.
///
/// # Errors
/// [`crate::Error::Usage`] where the atoms are not one molecule, an element has no covalent radius, there is
/// no frame, or the temperature is no positive number; [`crate::Error::Numeric`] where a number is not finite.
pub fn inspect(dataset: &Dataset, asked_temperature: Option<f64>) -> Result<Inspection> {
    let positions = dataset.positions.view();
    let bonds = Bonds::from_mean_distances(&dataset.species, positions)?;
    bonds.require_connected(&dataset.species)?;
    let mut warnings = dataset.source.warnings.clone();
    let symmetry = match SymmetryGroup::find(&dataset.species, positions, &bonds) {
        Ok(group) => Some(SymmetrySummary {
            order: group.order(),
            proper: group.order() - group.mirrors(),
            mirror: group.mirrors(),
        }),
        Err(error) => {
            warnings.push(format!("symmetry: {error}"));
            None
        }
    };
    let thermometer = assess(dataset, asked_temperature)?;
    warnings.extend(thermometer.warnings.iter().cloned());
    if dataset.source.periodic {
        warnings.push(
            "the frames have a periodic cell: the sampler learns the molecule alone, as if in vacuum".into(),
        );
    }
    let energy = dataset.energies.as_ref().map(|e| (e.sum() / e.len() as f64, e.std(0.0)));
    Ok(Inspection {
        path: dataset.source.path.display().to_string(),
        format: dataset.source.format.clone(),
        frames: positions.dim().0,
        atoms: dataset.species.len(),
        formula: formula(&dataset.species),
        units: dataset.source.units.clone(),
        periodic: dataset.source.periodic,
        forces: dataset.forces.is_some(),
        energies: dataset.energies.is_some(),
        velocities: dataset.velocities.is_some(),
        energy,
        species: dataset.species.clone(),
        rings: bonds.rings(),
        dihedrals: bonds.rotatable(&dataset.species, positions),
        bonds: bonds.pairs,
        symmetry,
        shape: shape(positions),
        force_check: thermometer.force_check,
        thermometer,
        warnings,
    })
}

/// Whether the frames are linear or planar but for thermal motion.
fn shape(positions: ArrayView3<f64>) -> &'static str {
    let (frames, atoms, _) = positions.dim();
    let (mut off_line, mut off_plane) = (0.0, 0.0);
    for frame in 0..frames {
        // From the end of the molecule that is farthest from its first atom.
        let start = at(&positions, frame, 0);
        let end = longest((0..atoms).map(|atom| sub(at(&positions, frame, atom), start)));
        let offsets: Vec<Vector> =
            (0..atoms).map(|atom| sub(sub(at(&positions, frame, atom), start), end)).collect();
        // The longest offset, then the atom farthest from its line, then the heights over their plane.
        let axis = longest(offsets.iter().copied());
        let size = norm(axis).max(f64::MIN_POSITIVE);
        let area = longest(offsets.iter().map(|&offset| cross(axis, offset)));
        let unit = norm(area).max(f64::MIN_POSITIVE);
        let heights = offsets.iter().map(|&offset| dot(offset, area).abs() / unit / size);
        off_line += (norm(area) / (size * size)).powi(2);
        off_plane += heights.fold(0.0, f64::max).powi(2);
    }
    let flat = |squares: f64| (squares / frames as f64).sqrt() < FLAT;
    if flat(off_line) {
        "linear"
    } else if flat(off_plane) {
        "planar"
    } else {
        "general"
    }
}

fn longest(vectors: impl Iterator<Item = Vector>) -> Vector {
    vectors.fold([0.0; 3], |a, b| if norm(b) > norm(a) { b } else { a })
}
