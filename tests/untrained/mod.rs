//! Samplers with random weights, for tests of everything but their quality.
// Each test takes what it needs.
#![allow(dead_code)]

use boltzdrift::molecule::symmetry::SymmetryOperation;
use boltzdrift::sampler::file::Shape;
use boltzdrift::sampler::network::Layer;
use boltzdrift::sampler::noise::{Purpose, Stream};
use boltzdrift::sampler::{Model, Record, FORMAT_VERSION};

/// Water: positions spread by about `scale` angstrom about an equilibrium.
pub fn water(scale: f64) -> Model {
    let origin = vec![0.0, 0.0, 0.0, 0.96, 0.0, 0.0, -0.24, 0.93, 0.0];
    model(&[8, 1, 1], &[15.999, 1.008, 1.008], &[[0, 1], [0, 2]], origin, (4, 8, 1), scale)
}

/// Ethanol, with a network of the size that training makes by default.
pub fn ethanol() -> Model {
    let origin = vec![
        -1.25, -0.22, 0.0, 0.0, 0.6, 0.0, 1.17, -0.18, 0.0, -2.14, 0.41, 0.0, -1.28, -0.86, 0.89, -1.28,
        -0.86, -0.89, 0.03, 1.24, -0.89, 0.03, 1.24, 0.89, 1.93, 0.38, 0.02,
    ];
    let masses = [12.011, 12.011, 15.999, 1.008, 1.008, 1.008, 1.008, 1.008, 1.008];
    let bonds = [[0, 1], [1, 2], [0, 3], [0, 4], [0, 5], [1, 6], [1, 7], [2, 8]];
    model(&[6, 6, 8, 1, 1, 1, 1, 1, 1], &masses, &bonds, origin, (64, 256, 4), 0.02)
}

/// Noise, width and number of hidden layers of a network.
type Network = (usize, usize, usize);

fn model(
    species: &[u8],
    masses: &[f64],
    bonds: &[[usize; 2]],
    origin: Vec<f64>,
    (noise, width, depth): Network,
    scale: f64,
) -> Model {
    let mut stream = Stream::new(3, Purpose::Weights, 0);
    let mut layer = |inputs: usize, outputs: usize| {
        let (mut weight, mut bias) = (vec![0.0; inputs * outputs], vec![0.0; outputs]);
        stream.normals(&mut weight);
        stream.normals(&mut bias);
        let size = 0.3 / (inputs as f32).sqrt();
        weight.iter_mut().chain(&mut bias).for_each(|w| *w *= size);
        Layer { inputs, outputs, weight, bias }
    };
    let mut layers = vec![layer(noise, width)];
    layers.extend((1..depth).map(|_| layer(width, width)));
    layers.push(layer(width, origin.len()));
    Model {
        record: Record {
            format_version: FORMAT_VERSION,
            library_version: "test".into(),
            species: species.to_vec(),
            masses: masses.to_vec(),
            temperature: Some(300.0),
            length_unit: "angstrom".into(),
            symmetry: vec![SymmetryOperation { permutation: (0..species.len()).collect(), mirror: false }],
            bonds: bonds.to_vec(),
            network: Shape { noise, width, depth, activation: "silu".into() },
            training: serde_json::Value::Null,
            data_digest: String::new(),
            data_frames: 0,
            figures: serde_json::Value::Null,
            calibration: serde_json::Value::Null,
        },
        layers,
        origin,
        scale,
    }
}
