//! A generator that is too wide by a known factor.

use ndarray::{Array1, ArrayView3, ArrayViewMut1, ArrayViewMut3};

use super::super::{amplitude, Amplitude, EVALUATIONS};
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

/// A spring, with no answer beyond a length, or an error there.
struct Spring {
    longest: f64,
    fails: bool,
}

fn spring(longest: f64) -> Spring {
    Spring { longest, fails: false }
}

impl Potential for Spring {
    fn energies_forces(
        &mut self,
        _: &[u8],
        x: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        _: ArrayViewMut3<f64>,
    ) -> Result<()> {
        for (frame, (energy, x)) in energies.iter_mut().zip(x.outer_iter()).enumerate() {
            let r = (0..3).map(|k| (x[[0, k]] - x[[1, k]]).powi(2)).sum::<f64>().sqrt();
            if r > self.longest && self.fails {
                let message = "no answer there".into();
                return Err(Error::Potential { name: self.name(), frame, status: Some(1), message });
            }
            *energy = if r > self.longest { f64::NAN } else { 0.5 * STIFF * (r - LENGTH).powi(2) };
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

fn found(model: &mut Model, potential: &mut Spring, states: &Array1<f64>) -> Result<Amplitude> {
    amplitude(model, potential, states.view(), states.len() as f64, &mut |_| Ok(()))
}

#[test]
fn a_width_that_is_off_is_found() {
    for wide in [1.04, 0.96] {
        let mut scaled = model(wide);
        let (mut last, mut calls) = (0, 0);
        let mut progress = |done: u64| {
            calls += u32::from(done > last);
            last = done;
            Ok(())
        };
        let said =
            amplitude(&mut scaled, &mut spring(9.0), states().view(), 20_000.0, &mut progress).unwrap();
        assert!((said.factor * wide - 1.0).abs() < 0.015 && !said.beyond, "{said:?}");
        let ratio = f64::from(scaled.layers[0].weight[3]) / f64::from(model(wide).layers[0].weight[3]);
        approx::assert_relative_eq!(ratio, said.factor, max_relative = 1e-6);
        // The 95 % point of z^2 is 3.84, where its density is 0.0298: a standard error of 0.052 in 20,000, times kT / 2,
        // and 40,000 samples.
        let expected = 0.5 * THERMAL * 3.84 * (wide * wide - 1.0).abs();
        assert!((said.before - expected).abs() < 0.08 && said.after <= said.before.min(0.08), "{said:?}");
        assert!((said.error / (0.5 * THERMAL * 0.052 * 1.5_f64.sqrt()) - 1.0).abs() < 0.3, "{said:?}");
        assert_eq!((last, calls > 200), (EVALUATIONS, true));
    }
}

/// What a few states cannot tell is not corrected: the noise of theirs would be learned.
#[test]
fn the_noise_of_the_states_is_no_error() {
    let all = states();
    for (wide, count) in [(1.0, 20_000), (1.04, 100)] {
        let mut kept = model(wide);
        let said =
            amplitude(&mut kept, &mut spring(9.0), all.view(), f64::from(count), &mut |_| Ok(())).unwrap();
        assert!(said.factor == 1.0 && said.before == said.after && said.before <= said.error, "{said:?}");
        assert_eq!(kept, model(wide));
    }
}

#[test]
fn a_factor_out_of_reach_is_not_taken() {
    for wide in [1.3, 0.7] {
        let mut kept = model(wide);
        let said = found(&mut kept, &mut spring(9.0), &states()).unwrap();
        assert!(said.beyond && said.factor == 1.0, "{said:?}");
        assert_eq!(kept, model(wide));
    }
}

#[test]
fn what_cannot_be_judged_is_left() {
    let mut kept = model(1.04);
    // 30 % have no energy, then hardly any that is compared has none.
    let said = found(&mut kept, &mut spring(LENGTH + 0.03), &states()).unwrap_err();
    assert!(said.to_string().contains("no finite energy"), "{said}");
    let said = found(&mut kept, &mut spring(9.0), &Array1::zeros(0)).unwrap_err();
    assert!(said.to_string().contains("no energies"), "{said}");
    let stop =
        amplitude(&mut kept, &mut spring(9.0), states().view(), 1e4, &mut |done| match done > 50_000 {
            true => Err(Error::Interrupted("stop".into())),
            false => Ok(()),
        });
    assert!(matches!(stop, Err(Error::Interrupted(_))));
    assert_eq!(kept, model(1.04));
    assert!(found(&mut kept, &mut spring(LENGTH + 0.14), &states()).is_ok());
}

/// 4.5 % of the samples have no answer, and 5.8 % of those with 1.06 times the noise: that factor alone is left out. A sample with
/// which the potential fails is one without an answer.
#[test]
fn samples_without_an_answer_count_as_beyond_all_others() {
    let longest = LENGTH + 1.7 * (THERMAL / STIFF).sqrt();
    let energies = states();
    let mut answers = Vec::new();
    for fails in [false, true] {
        let mut one = model(1.0);
        answers.push(found(&mut one, &mut Spring { longest, fails }, &energies).unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    let mut none = Spring { longest: 0.0, fails: true };
    let said = found(&mut model(1.0), &mut none, &energies).unwrap_err();
    assert!(said.to_string().contains("no answer there"), "{said}");
}
