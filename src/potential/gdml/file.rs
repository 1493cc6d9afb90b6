//! sGDML model files: the 2018 layout (`Rt_desc`, `Rt_d_desc_alpha`) and the later one (`R_desc`,
//! `R_d_desc_alpha`, `std`, units). With weights of the distances the arrays have other names (`Rw_desc`,
//! `Rw_d_desc_alpha`, `desc_weights`), so that a program that knows no weights stops instead of giving wrong forces.

use std::path::Path;

use ndarray::{Array2, ArrayD, Ix2};

use super::{descriptor_order, Gdml, Parts};
use crate::npz::Npz;
use crate::npz_out::NpzOut;
use crate::units::{parse_unit, ENERGY, LENGTH};
use crate::Result;

/// Coefficients of a fit to the first frames alone, which sGDML's own predictor has no use for.
const GUIDE: &str = "guide_d_desc_alpha";
/// Most atoms of a molecule in a file.
const MOST_ATOMS: usize = 1000;
/// Most numbers in the descriptors of all frames under all permutations (1 GiB).
const MOST_NUMBERS: usize = 1 << 27;

impl Gdml {
    /// Loads an sGDML model file (`.npz`). The 2018 layout has no units and counts in kcal/mol and angstrom;
    /// where the file names its units (`e_unit`, `r_unit`) these are used.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where the file cannot be opened; [`crate::Error::Data`] where an array is missing, of
    /// another shape or type, not finite, or the model is of a kind that is not supported (periodic cells,
    /// energy constraints).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let mut file = Npz::open(path.as_ref())?;
        for (name, what) in [("lattice", "a periodic cell"), ("alphas_E", "energy constraints")] {
            if file.has(name) {
                return Err(file.wrong(format!("the model has {what} ('{name}'), which is not supported")));
            }
        }
        let species = species(&mut file)?;
        let pairs = species.len() * (species.len() - 1) / 2;
        let old = file.has("Rt_desc");
        let weighted = file.has("Rw_desc");
        if weighted != file.has("desc_weights") || (weighted && (old || file.has("R_desc"))) {
            return Err(file.wrong(
                "weights of the distances ('desc_weights') go with 'Rw_desc' and 'Rw_d_desc_alpha', and with no others",
            ));
        }
        let (x, a) = match (weighted, old) {
            (true, _) => ("Rw_desc", "Rw_d_desc_alpha"),
            (false, true) => ("Rt_desc", "Rt_d_desc_alpha"),
            (false, false) => ("R_desc", "R_d_desc_alpha"),
        };
        let descriptors = matrix(&mut file, x, true)?;
        let coefficients = matrix(&mut file, a, false)?;
        if descriptors.ncols() != pairs || coefficients.dim() != descriptors.dim() || descriptors.is_empty() {
            return Err(file.wrong(format!(
                "'{x}' holds {} frames of {} pairs and '{a}' {:?}; {} atoms need {pairs} pairs",
                descriptors.nrows(),
                descriptors.ncols(),
                coefficients.dim(),
                species.len()
            )));
        }
        let weights = match weighted {
            true => file.numbers("desc_weights")?.into_iter().collect(),
            false => vec![1.0; pairs],
        };
        let guide = file.has(GUIDE).then(|| matrix(&mut file, GUIDE, false)).transpose()?;
        let (permutations, orders) = permutations(&mut file, &species)?;
        let total = orders.len().checked_mul(descriptors.len());
        if total.is_none_or(|total| total > MOST_NUMBERS) {
            return Err(file.wrong(format!("the model is too large: over {MOST_NUMBERS} numbers")));
        }
        let sigma = file.number("sig")?;
        let scale = if file.has("std") || !old { file.number("std")? } else { 1.0 };
        let constant = file.number("c")?;
        // A unit of length is `length` angstrom, so x = x_file / length and sigma = sigma_file / length; then
        // e = length^2 e_file, and E = std e_file (1 + n) (x_file - X_file) . A asks for std / length.
        let length = unit(&mut file, "r_unit", LENGTH)?;
        let energy = unit(&mut file, "e_unit", ENERGY)?;
        let record = match file.has("boltzdrift") {
            true => file.text("boltzdrift")?,
            false => "null".into(),
        };
        let record = serde_json::from_str(&record)
            .map_err(|error| file.wrong(format!("'boltzdrift' holds no JSON ({error})")))?;
        let model = Gdml::new(Parts {
            species,
            permutations,
            orders,
            descriptors: descriptors / length,
            weights,
            coefficients,
            guide,
            sigma: sigma / length,
            scale: scale * energy / length,
            constant: constant * energy,
            record,
        });
        model.map_err(|error| file.wrong(error.to_string()))
    }
}

impl Gdml {
    /// Writes the force field in sGDML's file layout (that of sGDML 1.0: `R_desc`, `R_d_desc_alpha`, `perms`, `std`,
    /// units), which [`Gdml::load`] and sGDML's own predictor read. With weights of the distances, which that predictor does
    /// not know, the arrays are `Rw_desc`, `Rw_d_desc_alpha` and `desc_weights`, and only [`Gdml::load`] reads the file. The
    /// file is whole or not there.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where the folder cannot be written or the disk is full.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let parts = self.parts();
        let (frames, pairs) = parts.descriptors.dim();
        let (count, atoms) = (parts.permutations.len(), parts.species.len());
        let mut out = NpzOut::default();
        out.string("type", "m");
        out.string("code_version", "1.0.0");
        out.bytes("z", &parts.species);
        let (x, a) = match parts.weighted() {
            true => ("Rw_desc", "Rw_d_desc_alpha"),
            false => ("R_desc", "R_d_desc_alpha"),
        };
        out.reals(x, &[pairs, frames], parts.descriptors.t().iter());
        out.reals(a, &[frames, pairs], parts.coefficients.iter());
        if let Some(guide) = &parts.guide {
            out.reals(GUIDE, &[guide.nrows(), pairs], guide.iter());
        }
        if parts.weighted() {
            out.reals("desc_weights", &[pairs], parts.weights.iter());
        }
        out.integers("perms", &[count, atoms], parts.permutations.iter().flatten().map(|&i| i as i64));
        let linear = (0..pairs).flat_map(|k| {
            parts.orders.iter().enumerate().map(move |(p, order)| (order[k] + p * pairs) as i64)
        });
        out.integers("tril_perms_lin", &[count * pairs], linear);
        out.reals("sig", &[], [parts.sigma].iter());
        out.reals("std", &[], [parts.scale].iter());
        out.reals("c", &[], [parts.constant].iter());
        out.integers("use_E", &[], [1].into_iter());
        out.integers("use_E_cstr", &[], [0].into_iter());
        out.string("r_unit", "Ang");
        out.string("e_unit", "kcal/mol");
        if !parts.record.is_null() {
            out.string("boltzdrift", &parts.record.to_string());
        }
        out.save(path.as_ref())
    }
}

fn unit(file: &mut Npz, name: &str, dimension: [i32; 4]) -> Result<f64> {
    if !file.has(name) {
        return Ok(1.0);
    }
    let text = file.text(name)?;
    parse_unit(&text, dimension).map_err(|error| file.wrong(format!("'{name}': {error}")))
}

fn species(file: &mut Npz) -> Result<Vec<u8>> {
    let z = file.numbers("z")?;
    if z.ndim() != 1 || z.len() < 2 || z.len() > MOST_ATOMS {
        return Err(file.wrong(format!("'z' has shape {:?}; 2 to {MOST_ATOMS} atoms are needed", z.shape())));
    }
    let known = |z: &f64| (1.0..=118.0).contains(z) && z.fract() == 0.0;
    if !z.iter().all(known) {
        return Err(file.wrong("'z' must hold atomic numbers, 1 to 118"));
    }
    Ok(z.iter().map(|&z| z as u8).collect())
}

/// A matrix with axes of length one dropped, transposed where asked, finite.
fn matrix(file: &mut Npz, name: &str, transposed: bool) -> Result<Array2<f64>> {
    let array: ArrayD<f64> = file.numbers(name)?;
    if !array.iter().all(|value| value.is_finite()) {
        return Err(file.wrong(format!("'{name}' has a number that is not finite")));
    }
    let shape = array.shape().to_vec();
    // (M, D, 1) in the 2018 layout; a matrix with one row stays one.
    let array = if let [_, _, 1] = shape[..] { array.index_axis_move(ndarray::Axis(2), 0) } else { array };
    let matrix: Array2<f64> = array
        .into_dimensionality::<Ix2>()
        .map_err(|_| file.wrong(format!("'{name}' has shape {shape:?}; a matrix is needed")))?;
    Ok(if transposed { matrix.reversed_axes() } else { matrix }.as_standard_layout().into_owned())
}

/// Rows of indices.
type Rows = Vec<Vec<usize>>;

/// Permutations of atoms, and for each which descriptor stands where: from `tril_perms_lin`, else `perms`.
fn permutations(file: &mut Npz, species: &[u8]) -> Result<(Rows, Rows)> {
    let (atoms, pairs) = (species.len(), species.len() * (species.len() - 1) / 2);
    let perms = file.numbers("perms")?;
    let good = |row: &[usize]| {
        let mut seen = vec![false; row.len()];
        row.iter().all(|&k| k < seen.len() && !std::mem::replace(&mut seen[k], true))
    };
    if perms.ndim() != 2 || perms.shape()[1] != atoms || perms.shape()[0] == 0 {
        return Err(
            file.wrong(format!("'perms' has shape {:?}; (permutations, {atoms}) is needed", perms.shape()))
        );
    }
    // The 2018 layout counts atoms from 1.
    let whole: Vec<usize> = perms.iter().map(|&p| index(p)).collect();
    let first = usize::from(!whole.contains(&0));
    let whole: Vec<usize> = whole.into_iter().map(|p| p.wrapping_sub(first)).collect();
    let keeps = |row: &[usize]| good(row) && row.iter().zip(species).all(|(&p, &z)| species[p] == z);
    if let Some(bad) = whole.chunks(atoms).position(|row| !keeps(row)) {
        return Err(
            file.wrong(format!("row {bad} of 'perms' is no permutation of equal atoms, counted from 0 or 1"))
        );
    }
    let count = perms.shape()[0];
    let orders: Vec<Vec<usize>> = if file.has("tril_perms_lin") {
        let linear = file.numbers("tril_perms_lin")?;
        if Some(linear.len()) != count.checked_mul(pairs) {
            return Err(file.wrong(format!(
                "'tril_perms_lin' has {} numbers; {count} permutations of {pairs} pairs need {}",
                linear.len(),
                count.saturating_mul(pairs)
            )));
        }
        // Column p of (D, P); its numbers count through all permutations.
        let linear: Vec<usize> = linear.iter().map(|&k| index(k)).collect();
        (0..count).map(|p| (0..pairs).map(|k| linear[k * count + p] % pairs).collect()).collect()
    } else {
        whole.chunks(atoms).map(descriptor_order).collect()
    };
    if let Some(bad) = orders.iter().position(|row| !good(row)) {
        return Err(file.wrong(format!("permutation {bad} of 'tril_perms_lin' does not permute the pairs")));
    }
    Ok((whole.chunks(atoms).map(<[usize]>::to_vec).collect(), orders))
}

/// A number as an index; one that is none becomes `usize::MAX`, which no check passes.
fn index(value: f64) -> usize {
    if value >= 0.0 && value.fract() == 0.0 && value < 1e15 {
        value as usize
    } else {
        usize::MAX
    }
}
