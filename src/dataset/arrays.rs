//! What a dataset can do, and datasets from arrays in memory.

use std::path::PathBuf;

use ndarray::{Array1, Array3, Axis};
use sha2::{Digest, Sha256};

use super::whole::{add, dot, Vector};
use super::{elements, Dataset, Keep, Source};
use crate::{Error, Result};

/// Two atoms nearer than this, in angstrom, are at the same place.
const CLASH: f64 = 0.01;

/// The first two atoms at the same place, and their distance.
pub(super) fn clash(positions: &[Vector]) -> Option<(usize, usize, f64)> {
    for (i, a) in positions.iter().enumerate() {
        for (j, b) in positions.iter().enumerate().skip(i + 1) {
            let d = add(*b, *a, -1.0);
            if d[0].abs() < CLASH && dot(d, d) < CLASH * CLASH {
                return Some((i, j, dot(d, d).sqrt()));
            }
        }
    }
    None
}

impl Dataset {
    /// A dataset from arrays in angstrom, kcal/mol and fs: positions (N, n, 3), forces and velocities
    /// of the same shape, energies (N), atomic numbers (n). Masses are the standard ones. The molecule
    /// must be whole.
    ///
    /// # Errors
    /// [`Error::Usage`] for shapes that do not fit or atomic numbers of no element; [`Error::Numeric`]
    /// for a number that is not finite or two atoms at the same place, naming frame and atom.
    pub fn from_arrays(
        species: Vec<u8>,
        positions: Array3<f64>,
        forces: Option<Array3<f64>>,
        energies: Option<Array1<f64>>,
        velocities: Option<Array3<f64>>,
    ) -> Result<Self> {
        let shape = positions.dim();
        if shape.0 == 0 || shape.1 == 0 || shape.1 != species.len() || shape.2 != 3 {
            return Err(Error::usage(format!(
                "positions of shape {shape:?} must be (frames, {} atoms, 3) with at least one frame and atom",
                species.len()
            )));
        }
        let masses = species.iter().map(|&z| elements::mass(z)).collect::<Result<_>>()?;
        let arrays = [
            ("positions", Some(&positions)),
            ("forces", forces.as_ref()),
            ("velocities", velocities.as_ref()),
        ];
        for (name, array) in arrays.into_iter().filter_map(|(name, array)| array.map(|array| (name, array))) {
            if array.dim() != shape {
                return Err(Error::usage(format!(
                    "{name} of shape {:?} must have the shape of the positions, {shape:?}",
                    array.dim()
                )));
            }
            if let Some(((frame, atom, _), value)) =
                array.indexed_iter().find(|(_, value)| !value.is_finite())
            {
                return Err(Error::Numeric(format!(
                    "{name}: {value} in frame {frame}, atom {atom}; leave that frame out"
                )));
            }
        }
        if let Some(energies) = &energies {
            if energies.len() != shape.0 {
                return Err(Error::usage(format!(
                    "{} energies for {} frames; give one for each",
                    energies.len(),
                    shape.0
                )));
            }
            if let Some((frame, value)) = energies.indexed_iter().find(|(_, value)| !value.is_finite()) {
                return Err(Error::Numeric(format!(
                    "energies: {value} in frame {frame}; leave that frame out"
                )));
            }
        }
        for (number, frame) in positions.outer_iter().enumerate() {
            let rows: Vec<Vector> = frame.outer_iter().map(|row| [row[0], row[1], row[2]]).collect();
            if let Some((i, j, distance)) = clash(&rows) {
                return Err(Error::Numeric(format!(
                    "positions: in frame {number} atoms {i} and {j} are {distance:.4} angstrom apart; check the units"
                )));
            }
        }
        let source = Source {
            path: PathBuf::new(),
            format: "arrays".into(),
            frames: (0..shape.0).collect(),
            atoms_in_file: shape.1,
            periodic: false,
            units: "angstrom, kcal/mol and fs, as the caller says".into(),
            digest: String::new(),
            warnings: Vec::new(),
            keep: Keep::Nowhere,
        };
        // Standard layout, so that slices of frames are contiguous.
        let standard = |array: Array3<f64>| {
            if array.is_standard_layout() {
                array
            } else {
                array.as_standard_layout().into_owned()
            }
        };
        let mut dataset = Dataset {
            species,
            masses,
            positions: standard(positions),
            forces: forces.map(standard),
            energies,
            velocities: velocities.map(standard),
            source,
        };
        dataset.source.digest = dataset.digest();
        Ok(dataset)
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.positions.dim().0
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of atoms.
    pub fn atoms(&self) -> usize {
        self.species.len()
    }

    /// The frames of these numbers (rows of the arrays, not frames of the file), in this order; a number
    /// may stand there twice.
    ///
    /// # Errors
    /// [`Error::Usage`] for a number beyond the last frame.
    pub fn subset(&self, rows: &[usize]) -> Result<Dataset> {
        if let Some(row) = rows.iter().find(|&&row| row >= self.len()) {
            return Err(Error::usage(format!("frame {row} of a dataset of {} frames", self.len())));
        }
        let pick = |array: &Array3<f64>| array.select(Axis(0), rows);
        let mut source = self.source.clone();
        source.frames = rows.iter().map(|&row| self.source.frames[row]).collect();
        let mut subset = Dataset {
            species: self.species.clone(),
            masses: self.masses.clone(),
            positions: pick(&self.positions),
            forces: self.forces.as_ref().map(pick),
            energies: self.energies.as_ref().map(|energies| energies.select(Axis(0), rows)),
            velocities: self.velocities.as_ref().map(pick),
            source,
        };
        subset.source.digest = subset.digest();
        Ok(subset)
    }

    /// SHA-256, hexadecimal, over atomic numbers, positions, forces and energies: of each array a letter,
    /// its length as 8 bytes and its numbers as little-endian doubles in row-major order.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update((self.species.len() as u64).to_le_bytes());
        hash.update(&self.species);
        let mut array = |letter: &[u8], length: usize, values: &mut dyn Iterator<Item = &f64>| {
            hash.update(letter);
            hash.update((length as u64).to_le_bytes());
            values.for_each(|value| hash.update(value.to_le_bytes()));
        };
        array(b"R", self.positions.len(), &mut self.positions.iter());
        if let Some(forces) = &self.forces {
            array(b"F", forces.len(), &mut forces.iter());
        }
        if let Some(energies) = &self.energies {
            array(b"E", energies.len(), &mut energies.iter());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
