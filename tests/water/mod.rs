//! A small sampler that was never trained.

use boltzdrift::molecule::symmetry::SymmetryOperation;
use boltzdrift::sampler::file::Shape;
use boltzdrift::sampler::network::Layer;
use boltzdrift::sampler::noise::{Purpose, Stream};
use boltzdrift::sampler::{Model, Record, FORMAT_VERSION};

/// A sampler of water with random weights: positions spread by about `scale` angstrom about an equilibrium.
pub fn model(scale: f64) -> Model {
    let mut stream = Stream::new(3, Purpose::Weights, 0);
    let mut layer = |inputs: usize, outputs: usize| {
        let (mut weight, mut bias) = (vec![0.0; inputs * outputs], vec![0.0; outputs]);
        stream.normals(&mut weight);
        stream.normals(&mut bias);
        weight.iter_mut().chain(&mut bias).for_each(|w| *w *= 0.1);
        Layer { inputs, outputs, weight, bias }
    };
    Model {
        record: Record {
            format_version: FORMAT_VERSION,
            library_version: "test".into(),
            species: vec![8, 1, 1],
            masses: vec![15.999, 1.008, 1.008],
            temperature: Some(300.0),
            length_unit: "angstrom".into(),
            symmetry: vec![SymmetryOperation { permutation: vec![0, 1, 2], mirror: false }],
            bonds: vec![[0, 1], [0, 2]],
            network: Shape { noise: 4, width: 8, depth: 1, activation: "silu".into() },
            training: serde_json::Value::Null,
            data_digest: String::new(),
            data_frames: 0,
            figures: serde_json::Value::Null,
            calibration: serde_json::Value::Null,
        },
        layers: vec![layer(4, 8), layer(8, 9)],
        origin: vec![0.0, 0.0, 0.0, 0.96, 0.0, 0.0, -0.24, 0.93, 0.0],
        scale,
    }
}
