//! Files of the library's own: samplers, checkpoints, partial labels.

use std::collections::HashMap;
use std::path::Path;

use boltzdrift::dataset::Dataset;
use boltzdrift::equilibrate::{self, Continue, Equilibration};
use boltzdrift::label::{self, Labeling};
use boltzdrift::potential::Potential;
use boltzdrift::sampler::{Model, Sampler};
use boltzdrift::Result;
use ndarray::{Array3, ArrayView3, ArrayViewMut1, ArrayViewMut3};
use safetensors::tensor::{SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use super::file;

/// Three springs between the atoms of water.
pub struct Springs;

impl Potential for Springs {
    fn energies_forces(
        &mut self,
        _: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        energies.fill(0.0);
        forces.fill(0.0);
        for frame in 0..positions.dim().0 {
            for (i, j, rest) in [(0, 1, 0.96), (0, 2, 0.96), (1, 2, 1.52)] {
                let d = [0, 1, 2].map(|k| positions[[frame, j, k]] - positions[[frame, i, k]]);
                let r = d.iter().map(|x| x * x).sum::<f64>().sqrt();
                energies[frame] += 100.0 * (r - rest) * (r - rest);
                for (k, x) in d.iter().enumerate() {
                    let f = 200.0 * (r - rest) * x / r;
                    forces[[frame, i, k]] += f;
                    forces[[frame, j, k]] -= f;
                }
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        "springs".into()
    }
}

/// Frames of water that move a little.
pub fn water() -> Dataset {
    let rest = [[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]];
    let x = Array3::from_shape_fn((12, 3, 3), |(k, i, c)| {
        rest[i][c] + 0.03 * (1.0 + 7.0 * k as f64 + 3.0 * i as f64 + c as f64).sin()
    });
    Dataset::from_arrays(vec![8, 1, 1], x, None, None, None).unwrap()
}

/// A sampler: what loads draws, and comes back from its own file.
pub fn sampler(bytes: &[u8]) {
    let Ok(sampler) = Sampler::load(file("a.safetensors", bytes)) else { return };
    let drawn = sampler.sample(1, 2, 3);
    if let Ok(x) = &drawn {
        assert!(x.iter().all(|value| value.is_finite()));
        let _ = sampler.velocities(1, 2, x, 300.0).map(|v| assert!(v.iter().all(|value| value.is_finite())));
    }
    let again = file("b.safetensors", b"");
    sampler.model().save(&again).unwrap();
    assert!(Model::load(&again).unwrap() == *sampler.model());
}

/// The same safetensors file with the digest that it should have, where it can be read at all.
fn signed(
    bytes: &[u8],
    sign: fn(&mut HashMap<String, String>, &SafeTensors) -> Option<()>,
) -> Option<Vec<u8>> {
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let mut metadata = SafeTensors::read_metadata(bytes).ok()?.1.metadata().clone()?;
    sign(&mut metadata, &tensors)?;
    let views: Vec<(String, TensorView)> = tensors.tensors();
    safetensors::serialize(views, Some(metadata)).ok()
}

/// As `src/equilibrate/checkpoint.rs` computes it.
fn sign_equilibration(metadata: &mut HashMap<String, String>, tensors: &SafeTensors) -> Option<()> {
    let mut hash = Sha256::new();
    hash.update(metadata.get("boltzdrift_equilibration")?.as_bytes());
    for name in ["numbers", "positions", "energies", "guiding_forces", "kept", "draws"] {
        let view = tensors.tensor(name).ok()?;
        hash.update((view.data().len() as u64).to_le_bytes());
        hash.update(view.data());
    }
    metadata.insert("digest".into(), format!("{:x}", hash.finalize()));
    Some(())
}

/// A checkpoint of an equilibration, as it is and with a right digest: what loads goes on, or is refused.
pub fn equilibration(bytes: &[u8]) {
    let resigned = signed(bytes, sign_equilibration);
    for bytes in std::iter::once(bytes).chain(resigned.as_deref()) {
        let Ok(checkpoint) = equilibrate::Checkpoint::load(&file("a.checkpoint", bytes)) else { continue };
        let Ok(mut run) = Equilibration::resume(&water(), &checkpoint) else { continue };
        // A long trajectory is no fault.
        if run.settings().leapfrog <= 100 {
            let _ = run.run(&mut Springs, None, &mut |_| Continue::Stop);
        }
    }
}

#[cfg(feature = "train")]
fn sign_training(metadata: &mut HashMap<String, String>, tensors: &SafeTensors) -> Option<()> {
    let mut hash = Sha256::new();
    for name in ["weights", "average", "first_moment", "second_moment"] {
        hash.update(tensors.tensor(name).ok()?.data());
    }
    let mut state: serde_json::Value = serde_json::from_str(metadata.get("boltzdrift_checkpoint")?).ok()?;
    *state.get_mut("digest")? = format!("{:x}", hash.finalize()).into();
    metadata.insert("boltzdrift_checkpoint".into(), state.to_string());
    Some(())
}

/// A checkpoint of a training, as it is and with a right digest: what loads goes on, or is refused.
#[cfg(feature = "train")]
pub fn training(bytes: &[u8]) {
    use boltzdrift::train::{checkpoint::Checkpoint, device, Trainer};
    let resigned = signed(bytes, sign_training);
    for bytes in std::iter::once(bytes).chain(resigned.as_deref()) {
        let Ok(checkpoint) = Checkpoint::load(&file("a.checkpoint", bytes)) else { continue };
        let (cpu, _) = device::resolve("cpu".parse().unwrap()).unwrap();
        let _ = Trainer::resume(&water(), &checkpoint, cpu);
    }
}

/// Labels until the end, or until the partial results are refused.
fn label(partial: &Path) -> Result<Dataset> {
    let (data, settings) = (water(), label::Settings { batch: 5, ..label::Settings::default() });
    let labelled = Labeling::new(&data, &mut Springs, partial, settings)?.run(&mut |_| Ok(()))?;
    labelled.dataset()
}

/// Partial labels.
pub fn labels(bytes: &[u8]) {
    if let Ok(data) = label(&file("a.partial", bytes)) {
        // Nothing that was damaged goes through.
        let whole = file("b.partial", b"");
        std::fs::remove_file(&whole).unwrap();
        assert!(data.forces == label(&whole).unwrap().forces);
    }
}
