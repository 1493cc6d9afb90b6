//! The exported sampler's file: plain safetensors with one JSON document in its metadata, and no code.
//!
//! | entry | type, shape | what |
//! |---|---|---|
//! | `layers.K.weight` | F32 (outputs, inputs) | layer K of the perceptron |
//! | `layers.K.bias` | F32 (outputs) | |
//! | `origin` | F64 (n, 3) | positions of output 0, angstrom |
//! | `scale` | F64 (1) | angstrom per unit of output |
//! | `__metadata__.boltzdrift` | JSON | [`Record`] |

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::network::Layer;
use crate::error::{one_line, Place};
use crate::files::write_atomically;
use crate::molecule::symmetry::SymmetryOperation;
use crate::{Error, Result};

/// Version of the file format; a reader refuses a higher one.
pub const FORMAT_VERSION: u32 = 1;
/// A sampler larger than this is not one of ours: the widest network we train has a few million weights.
const LARGEST_FILE: u64 = 1 << 30;
const LARGEST_MOLECULE: usize = 10_000;
const LARGEST_GROUP: usize = 100_000;

/// Shape of the generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Latent noise dimension.
    pub noise: usize,
    /// Units of each hidden layer.
    pub width: usize,
    /// Number of hidden layers.
    pub depth: usize,
    /// Activation between layers; always `silu`.
    pub activation: String,
}

/// What an exported sampler says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of the library that wrote it.
    pub library_version: String,
    /// Atomic numbers, (n).
    pub species: Vec<u8>,
    /// Masses in amu, (n).
    pub masses: Vec<f64>,
    /// Temperature in kelvin that the data is taken to have, where it was given.
    pub temperature: Option<f64>,
    /// Unit of `origin` and `scale`; always `angstrom`.
    pub length_unit: String,
    /// Symmetry operations; one of them is applied at random to every sample. The first is the identity.
    pub symmetry: Vec<SymmetryOperation>,
    /// Bonded pairs of atoms, for programs that match the molecule.
    pub bonds: Vec<[usize; 2]>,
    /// The generator's shape.
    pub network: Shape,
    /// Training method and its settings.
    pub training: serde_json::Value,
    /// SHA-256 of the training data, and how many frames it had.
    pub data_digest: String,
    /// Frames the sampler was trained on.
    pub data_frames: usize,
    /// Quality figures measured after training, against the training frames.
    pub figures: serde_json::Value,
    /// How the training frames were made from the data (fit, equilibration, weights); null where they are the data.
    #[serde(default)]
    pub calibration: serde_json::Value,
}

/// A sampler as it stands in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What it says of itself.
    pub record: Record,
    /// The perceptron's layers.
    pub layers: Vec<Layer>,
    /// Positions of output 0 in angstrom, (n, 3).
    pub origin: Vec<f64>,
    /// Angstrom per unit of output.
    pub scale: f64,
}

impl Model {
    /// Writes the model to `path`, through a temporary file that is renamed when it is whole.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written or the disk is full.
    pub fn save(&self, path: &Path) -> Result<()> {
        let metadata =
            serde_json::to_string(&self.record).map_err(|error| Error::Numeric(error.to_string()))?;
        let metadata = HashMap::from([("boltzdrift".to_owned(), metadata)]);
        let mut blobs: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (k, layer) in self.layers.iter().enumerate() {
            let weight = layer.weight.iter().flat_map(|x| x.to_le_bytes()).collect();
            blobs.push((format!("layers.{k}.weight"), Dtype::F32, vec![layer.outputs, layer.inputs], weight));
            let bias = layer.bias.iter().flat_map(|x| x.to_le_bytes()).collect();
            blobs.push((format!("layers.{k}.bias"), Dtype::F32, vec![layer.outputs], bias));
        }
        let origin = self.origin.iter().flat_map(|x| x.to_le_bytes()).collect();
        blobs.push(("origin".into(), Dtype::F64, vec![self.record.species.len(), 3], origin));
        blobs.push(("scale".into(), Dtype::F64, vec![1], self.scale.to_le_bytes().to_vec()));
        write_safetensors(path, &blobs, metadata)
    }

    /// Reads a model. Nothing in the file is trusted: every length is checked before anything is
    /// allocated by it.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read, [`Error::Data`] where it is not a sampler, was cut
    /// short, has a wrong length or a number that is not finite.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read_bounded(path)?;
        let bad = |what: String| {
            Error::data(
                Place::file(path),
                format!("{what}; it is damaged or no sampler: train or copy it again"),
            )
        };
        let (_, header) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| bad(format!("not a safetensors file ({})", one_line(&error.to_string()))))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| {
            bad(format!("not a whole safetensors file ({})", one_line(&error.to_string())))
        })?;
        let record = header.metadata().as_ref().and_then(|all| all.get("boltzdrift"));
        let record = record.ok_or_else(|| bad("a safetensors file without boltzdrift's record".into()))?;
        // A newer file may have fields this version cannot judge: look at the version first.
        let version: serde_json::Value =
            serde_json::from_str(record).map_err(|error| bad(format!("its record is no JSON ({error})")))?;
        let version = version.get("format_version").and_then(serde_json::Value::as_u64);
        match version {
            Some(v) if v == u64::from(FORMAT_VERSION) => (),
            Some(v) if v > u64::from(FORMAT_VERSION) => {
                return Err(Error::data(
                    Place::file(path),
                    format!(
                    "format version {v}, but this library reads up to {FORMAT_VERSION}; update boltzdrift"
                ),
                ))
            }
            _ => return Err(bad("its record has no valid format_version".into())),
        }
        let record: Record = serde_json::from_str(record)
            .map_err(|error| bad(format!("its record is not as it must be ({error})")))?;
        let model = Model::assemble(record, &tensors).map_err(bad)?;
        Ok(model)
    }

    fn assemble(record: Record, tensors: &SafeTensors) -> std::result::Result<Self, String> {
        let n = record.species.len();
        check_record(&record)?;
        let Shape { noise, width, depth, .. } = record.network;
        let sizes: Vec<usize> =
            std::iter::once(noise).chain(std::iter::repeat_n(width, depth)).chain([3 * n]).collect();
        let mut layers = Vec::with_capacity(depth + 1);
        for (k, pair) in sizes.windows(2).enumerate() {
            let weight = floats(tensors, &format!("layers.{k}.weight"), &[pair[1], pair[0]])?;
            let bias = floats(tensors, &format!("layers.{k}.bias"), &[pair[1]])?;
            layers.push(Layer { inputs: pair[0], outputs: pair[1], weight, bias });
        }
        let origin = doubles(tensors, "origin", &[n, 3])?;
        let scale = doubles(tensors, "scale", &[1])?[0];
        if scale <= 0.0 {
            return Err(format!("its scale is {scale}, not positive"));
        }
        if tensors.len() != 2 * layers.len() + 2 {
            return Err(format!("it has {} entries instead of {}", tensors.len(), 2 * layers.len() + 2));
        }
        Ok(Model { record, layers, origin, scale })
    }
}

fn check_record(record: &Record) -> std::result::Result<(), String> {
    let n = record.species.len();
    if n == 0 || n > LARGEST_MOLECULE {
        return Err(format!("its record has {n} atoms"));
    }
    if record.masses.len() != n || record.masses.iter().any(|m| !(m.is_finite() && *m > 0.0)) {
        return Err(format!(
            "its record has {} masses for {n} atoms, or one that is not positive",
            record.masses.len()
        ));
    }
    if record.temperature.is_some_and(|t| !(t.is_finite() && t > 0.0)) {
        return Err("its temperature is not positive".into());
    }
    if record.length_unit != "angstrom" || record.network.activation != "silu" {
        return Err("its length unit is not angstrom or its activation not silu".into());
    }
    let Shape { noise, width, depth, .. } = record.network;
    if noise == 0 || width == 0 || depth == 0 || noise > 1 << 16 || width > 1 << 16 || depth > 64 {
        return Err(format!("its network is {noise} -> {depth} x {width}"));
    }
    if record.symmetry.is_empty() || record.symmetry.len() > LARGEST_GROUP {
        return Err(format!("its record has {} symmetry operations", record.symmetry.len()));
    }
    for operation in &record.symmetry {
        let mut seen = vec![false; n];
        let whole = operation.permutation.len() == n
            && operation.permutation.iter().all(|&a| a < n && !std::mem::replace(&mut seen[a], true));
        if !whole
            || operation.permutation.iter().enumerate().any(|(a, &b)| record.species[a] != record.species[b])
        {
            return Err("a symmetry operation is no permutation of equal atoms".into());
        }
    }
    if record.bonds.iter().any(|bond| bond[0] >= n || bond[1] >= n) {
        return Err("a bond names an atom that is not there".into());
    }
    Ok(())
}

fn entry<'a>(
    tensors: &'a SafeTensors,
    name: &str,
    kind: Dtype,
    shape: &[usize],
) -> std::result::Result<TensorView<'a>, String> {
    let view = tensors.tensor(name).map_err(|_| format!("it has no entry '{name}'"))?;
    if view.dtype() != kind || view.shape() != shape {
        return Err(format!(
            "entry '{name}' is {:?} {:?} instead of {kind:?} {shape:?}",
            view.dtype(),
            view.shape()
        ));
    }
    Ok(view)
}

fn floats(tensors: &SafeTensors, name: &str, shape: &[usize]) -> std::result::Result<Vec<f32>, String> {
    let view = entry(tensors, name, Dtype::F32, shape)?;
    let out: Vec<f32> =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if out.iter().all(|x| x.is_finite()) {
        Ok(out)
    } else {
        Err(format!("entry '{name}' has a number that is not finite"))
    }
}

fn doubles(tensors: &SafeTensors, name: &str, shape: &[usize]) -> std::result::Result<Vec<f64>, String> {
    let view = entry(tensors, name, Dtype::F64, shape)?;
    let out: Vec<f64> = view
        .data()
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
        .collect();
    if out.iter().all(|x| x.is_finite()) {
        Ok(out)
    } else {
        Err(format!("entry '{name}' has a number that is not finite"))
    }
}

/// Reads a whole file that may not be larger than [`LARGEST_FILE`].
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(|error| Error::io(path, "cannot open", error))?;
    if size.is_dir() {
        return Err(Error::data(Place::file(path), "this is a folder; give a file"));
    }
    if !size.is_file() {
        return Err(Error::data(Place::file(path), "this is no regular file; give a file"));
    }
    if size.len() > LARGEST_FILE {
        return Err(Error::data(
            Place::file(path),
            format!("{} bytes is more than a sampler can have ({LARGEST_FILE})", size.len()),
        ));
    }
    std::fs::read(path).map_err(|error| Error::io(path, "cannot read", error))
}

/// Writes entries (name, type, shape, little-endian bytes) as safetensors through a temporary file.
pub(crate) fn write_safetensors(
    path: &Path,
    blobs: &[(String, Dtype, Vec<usize>, Vec<u8>)],
    metadata: HashMap<String, String>,
) -> Result<()> {
    let mut views = Vec::with_capacity(blobs.len());
    for (name, kind, shape, bytes) in blobs {
        let view = TensorView::new(*kind, shape.clone(), bytes)
            .map_err(|error| Error::Numeric(format!("{name}: {error}")))?;
        views.push((name.as_str(), view));
    }
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|error| Error::Numeric(error.to_string()))?;
    write_atomically(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn water() -> Model {
        let identity = SymmetryOperation { permutation: vec![0, 1, 2], mirror: false };
        let swap = SymmetryOperation { permutation: vec![0, 2, 1], mirror: true };
        let layer = |inputs: usize, outputs: usize| Layer {
            inputs,
            outputs,
            weight: (0..inputs * outputs).map(|k| (k as f32 * 0.37).sin() * 0.3).collect(),
            bias: (0..outputs).map(|k| (k as f32).cos() * 0.1).collect(),
        };
        Model {
            record: Record {
                format_version: FORMAT_VERSION,
                library_version: crate::VERSION.into(),
                species: vec![8, 1, 1],
                masses: vec![15.999, 1.008, 1.008],
                temperature: Some(300.0),
                length_unit: "angstrom".into(),
                symmetry: vec![identity, swap],
                bonds: vec![[0, 1], [0, 2]],
                network: Shape { noise: 4, width: 8, depth: 2, activation: "silu".into() },
                training: serde_json::json!({"method": "sliced"}),
                data_digest: "00".into(),
                data_frames: 1,
                figures: serde_json::json!({}),
                calibration: serde_json::Value::Null,
            },
            layers: vec![layer(4, 8), layer(8, 8), layer(8, 9)],
            origin: vec![0.0, 0.0, 0.0, 0.96, 0.0, 0.0, -0.24, 0.93, 0.0],
            scale: 0.7,
        }
    }

    #[test]
    fn round_trip_and_every_cut_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("water.safetensors");
        water().save(&path).unwrap();
        assert_eq!(Model::load(&path).unwrap(), water());
        let bytes = std::fs::read(&path).unwrap();
        let cut = folder.path().join("cut.safetensors");
        for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
            std::fs::write(&cut, &bytes[..length]).unwrap();
            let error = Model::load(&cut).unwrap_err().to_string();
            assert!(error.contains("cut.safetensors") && !error.contains('\n'), "{error}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        std::fs::write(&cut, &longer).unwrap();
        assert!(Model::load(&cut).is_err());
        // A header that claims 2^60 bytes is refused without allocating them.
        let mut lying = bytes;
        lying[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        std::fs::write(&cut, &lying).unwrap();
        assert!(Model::load(&cut).is_err());
    }

    #[test]
    fn wrong_content_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        type Damage = Box<dyn Fn(&mut Model)>;
        let cases: Vec<(Damage, &str)> = vec![
            (Box::new(|m| m.record.format_version = 9), "update boltzdrift"),
            (Box::new(|m| m.record.network.depth = 3), "layers.2"),
            (Box::new(|m| m.layers[1].weight[3] = f32::NAN), "not finite"),
            (Box::new(|m| m.record.symmetry[1].permutation = vec![1, 0, 2]), "equal atoms"),
            (Box::new(|m| m.record.symmetry.clear()), "symmetry"),
            (Box::new(|m| m.record.masses[0] = -1.0), "masses"),
            (Box::new(|m| m.scale = 0.0), "scale"),
            (Box::new(|m| m.record.bonds.push([0, 9])), "bond"),
        ];
        for (damage, message) in cases {
            let mut model = water();
            damage(&mut model);
            model.save(&path).unwrap();
            let error = Model::load(&path).unwrap_err().to_string();
            assert!(error.contains(message), "{error} does not say {message}");
        }
    }

    #[test]
    fn samples_do_not_depend_on_how_they_are_asked_for() {
        let sampler = crate::sampler::Sampler::new(water()).unwrap();
        let all = sampler.sample(11, 0, 1000).unwrap();
        for (first, count) in [(0, 1), (1, 95), (96, 96), (500, 500), (999, 1)] {
            let part = sampler.sample(11, first as u64, count).unwrap();
            assert_eq!(part, all.slice(ndarray::s![first..first + count, .., ..]));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| sampler.sample(11, 0, 1000)).unwrap(), all);
        assert!(sampler.sample(12, 0, 1000).unwrap() != all);
        assert!(sampler.sample(0, u64::MAX, 2).is_err());
        let v = sampler.velocities(11, 0, &all, 300.0).unwrap();
        let part = sampler.velocities(11, 500, &sampler.sample(11, 500, 3).unwrap(), 300.0).unwrap();
        assert_eq!(part, v.slice(ndarray::s![500..503, .., ..]));
    }

    #[test]
    fn an_unwritable_folder_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/folder/m.safetensors");
        assert!(water().save(&missing).unwrap_err().to_string().contains("cannot write in this folder"));
        assert!(water().save(folder.path()).unwrap_err().to_string().contains("folder"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
