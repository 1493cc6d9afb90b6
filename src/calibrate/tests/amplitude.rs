//! A generator that is too wide by a known factor.

use ndarray::{Array1, ArrayView3, ArrayViewMut1, ArrayViewMut3};

use super::super::amplitude;
use super::*;
use crate::molecule::symmetry::SymmetryOperation;
use crate::sampler::file::{Record, Shape};
use crate::sampler::network::Layer;
use crate::sampler::noise::{Purpose, Stream};
use crate::sampler::{Model, FORMAT_VERSION};

const STIFF: f64 = 300.0;
const LENGTH: f64 = 1.3;
/// kcal/mol.
const THERMAL: f64 = 1.2;

/// A spring, with no answer beyond a length.
struct Spring(f64);

impl Potential for Spring {
    fn energies_forces(
        &mut self,
        _: &[u8],
        x: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        _: ArrayViewMut3<f64>,
    ) -> Result<()> {
        for (energy, x) in energies.iter_mut().zip(x.outer_iter()) {
            let r = (0..3).map(|k| (x[[0, k]] - x[[1, k]]).powi(2)).sum::<f64>().sqrt();
            *energy = if r > self.0 { f64::NAN } else { 0.5 * STIFF * (r - LENGTH).powi(2) };
        }
        Ok(())
    }

    fn name(&self) -> String {
        "spring".into()
    }
}

/// A diatomic molecule whose length spreads `wide` times as far as it should.
fn model(wide: f64) -> Model {
    let width = wide * (THERMAL / STIFF).sqrt();
    let weight = vec![0.0, 0.0, 0.0, width as f32, 0.0, 0.0];
    Model {
        record: Record {
            format_version: FORMAT_VERSION,
            library_version: crate::VERSION.into(),
            species: vec![1, 17],
            masses: vec![1.008, 35.45],
            temperature: None,
            length_unit: "angstrom".into(),
            symmetry: vec![SymmetryOperation { permutation: vec![0, 1], mirror: false }],
            bonds: vec![[0, 1]],
            network: Shape { noise: 1, width: 1, depth: 0, activation: "silu".into() },
            training: Value::Null,
            data_digest: String::new(),
            data_frames: 1,
            figures: Value::Null,
            calibration: Value::Null,
        },
        layers: vec![Layer { inputs: 1, outputs: 6, weight, bias: vec![0.0; 6] }],
        origin: vec![0.0, 0.0, 0.0, LENGTH, 0.0, 0.0],
        scale: 1.0,
    }
}

/// Energies of one mode: kT z^2 / 2.
fn states() -> Array1<f64> {
    let mut noise = Stream::new(3, Purpose::Data, 1);
    (0..20_000).map(|_| 0.5 * THERMAL * noise.normal().powi(2)).collect()
}

#[test]
fn a_width_that_is_off_is_found() {
    for wide in [1.04, 0.96, 1.0] {
        let mut found = model(wide);
        let said = amplitude(&mut found, &mut Spring(9.0), states().view()).unwrap();
        assert!((said.factor * wide - 1.0).abs() < 0.015, "{said:?}");
        let ratio = f64::from(found.layers[0].weight[3]) / f64::from(model(wide).layers[0].weight[3]);
        approx::assert_relative_eq!(ratio, said.factor, max_relative = 1e-6);
        // The 95 % point of z^2 is 3.84.
        let expected = 0.5 * THERMAL * 3.84 * (wide * wide - 1.0).abs();
        assert!((said.before - expected).abs() < 0.08 && said.after <= said.before.min(0.08), "{said:?}");
    }
}

#[test]
fn what_cannot_be_judged_is_left() {
    let mut kept = model(1.04);
    // 30 % have no energy, then hardly any that is compared has none.
    let said = amplitude(&mut kept, &mut Spring(LENGTH + 0.03), states().view()).unwrap_err();
    assert!(said.to_string().contains("no finite energy"), "{said}");
    let said = amplitude(&mut kept, &mut Spring(9.0), Array1::zeros(0).view()).unwrap_err();
    assert!(said.to_string().contains("no energies"), "{said}");
    assert_eq!(kept, model(1.04));
    assert!(amplitude(&mut kept, &mut Spring(LENGTH + 0.14), states().view()).is_ok());
}
