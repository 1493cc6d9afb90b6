//! Features, feature forces, kernel fields and sliced targets against the NumPy reference, in double
//! precision. `goldens/make_drift_goldens.py` writes the numbers.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

use boltzdrift::drift::features::{PairDistances, Torsions};
use boltzdrift::drift::kernel::{Alignment, Field, Kernel, Labels, Normalization, Weighting};
use boltzdrift::drift::sliced;
use boltzdrift::molecule::features::{distances, feature_forces, jacobian, Projection};
use boltzdrift::train::device;
use boltzdrift::train::sliced::whitening;
use ndarray::{Array2, Array3, Axis};
use serde_json::Value;
use tch::{Device, Tensor};

fn goldens() -> Value {
    serde_json::from_str(include_str!("goldens/drift.json")).unwrap()
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn shape(value: &Value) -> Vec<usize> {
    match value {
        Value::Array(all) => std::iter::once(all.len()).chain(shape(&all[0])).collect(),
        _ => vec![],
    }
}

fn matrix(value: &Value) -> Array2<f64> {
    let s = shape(value);
    Array2::from_shape_vec((s[0], s[1]), flat(value)).unwrap()
}

fn cube(value: &Value) -> Array3<f64> {
    let s = shape(value);
    Array3::from_shape_vec((s[0], s[1], s[2]), flat(value)).unwrap()
}

fn tensor(value: &Value) -> Tensor {
    let s: Vec<i64> = shape(value).iter().map(|&n| n as i64).collect();
    Tensor::from_slice(&flat(value)).view(s.as_slice())
}

fn close<'a>(what: &str, got: impl IntoIterator<Item = &'a f64>, expected: &[f64]) {
    let got: Vec<f64> = got.into_iter().copied().collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    let size = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    let error = got.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    // The Laplace kernel takes the square root of the rounding noise in the self term, which is 0.
    let tolerance = if what.contains("laplace") { 1e-6 } else { 1e-9 };
    assert!(error <= tolerance * size, "{what}: relative error {:e}", error / size);
}

#[test]
fn features_and_feature_forces() {
    let g = goldens();
    let (frames, forces) = (cube(&g["frames"]), cube(&g["forces"]));
    close("distances", &distances(frames.view()), &flat(&g["distances"]));
    close("jacobian", &jacobian(frames.index_axis(Axis(0), 0)), &flat(&g["jacobian_of_first"]));
    for (name, projection) in [("exact", Projection::Exact), ("naive", Projection::Naive)] {
        close(name, &feature_forces(frames.view(), forces.view(), projection).unwrap(), &flat(&g[name]));
    }
}

/// A tensor's numbers, row by row.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.to_device(Device::Cpu).contiguous().view([-1])).unwrap()
}

fn differentiable_features_on(device: Device) {
    let g = goldens();
    let frames = tensor(&g["frames"]).permute([1, 2, 0]).contiguous().to_device(device);
    let d = PairDistances::new(5, device).unwrap().apply(&frames).unwrap().transpose(0, 1);
    close("distances", &numbers(&d), &flat(&g["distances"]));
    // The same angle twice, once from its other end, which has the same sign.
    let torsions = Torsions::new(&[[3, 0, 1, 2], [2, 1, 0, 3]], 3, device).unwrap();
    for t in torsions.apply(&frames).unwrap().unbind(0) {
        close("harmonics", &numbers(&t), &flat(&g["harmonics"]));
    }
}

fn kernel_fields_on(device: Device) {
    let g = goldens();
    let number = |value: &Value| value.as_f64().unwrap();
    for case in g["fields"].as_array().unwrap() {
        let distance = case["space"] == "distance";
        let place = |key: &str| {
            let all = cube(&g[key]);
            let placed = if distance {
                let d = distances(all.view());
                Tensor::from_slice(d.as_slice().unwrap()).view([d.nrows() as i64, d.ncols() as i64])
            } else {
                tensor(&g[key]).flatten(1, 2)
            };
            placed.to_device(device)
        };
        let force = if distance { tensor(&g["exact"]) } else { tensor(&g["forces"]).flatten(1, 2) };
        let force = force.to_device(device);
        let field = Field {
            kernel: if case["kernel"] == "laplace" { Kernel::Laplace } else { Kernel::Gaussian },
            tau: number(&case["tau"]),
            omega: number(&case["omega"]),
            gamma: number(&case["gamma"]),
            normalization: if distance {
                Normalization::Scaled { force_norm: number(&g["force_norm"]) }
            } else {
                Normalization::Physical { kt: number(&g["kt"]) }
            },
            ..Field::plain(1.0)
        };
        let labels = Labels { force: Some(&force), energy: None };
        let v = field.drift(&place("generated"), &place("frames"), labels).unwrap();
        let what = format!("{} {} {} {}", case["space"], case["kernel"], case["omega"], case["gamma"]);
        close(&what, &numbers(&v), &flat(&case["field"]));
    }
}

#[test]
fn differentiable_features() {
    differentiable_features_on(Device::Cpu);
}

#[test]
fn kernel_fields_in_both_spaces() {
    kernel_fields_on(Device::Cpu);
}

/// The fields with the options of the image models and the unnormalized force terms, on a device.
fn options_on(device: Device) {
    let g = goldens();
    let place = |key: &str| {
        let d = distances(cube(&g[key]).view());
        Tensor::from_slice(d.as_slice().unwrap()).view([d.nrows() as i64, d.ncols() as i64]).to_device(device)
    };
    let (x, y) = (place("generated"), place("frames"));
    let (force, energy) = (tensor(&g["exact"]).to_device(device), tensor(&g["energies"]).to_device(device));
    let cases = g["options"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let number = |key: &str| case[key].as_f64();
        let flag = |key: &str| case[key].as_bool().unwrap_or(false);
        let field = Field {
            tau: 0.8,
            omega: number("omega").unwrap_or(0.0),
            gamma: number("gamma").unwrap_or(0.0),
            alignment: if case["alignment"] == "energy" { Alignment::Energy } else { Alignment::Force },
            normalization: match number("kt") {
                Some(kt) => Normalization::Physical { kt },
                None => Normalization::Scaled { force_norm: g["force_norm"].as_f64().unwrap() },
            },
            weighting: Weighting {
                exclude_self: flag("exclude_self"),
                joint: flag("joint"),
                bandwidths: case["bandwidths"]
                    .as_array()
                    .map_or_else(Vec::new, |all| all.iter().map(|x| x.as_f64().unwrap()).collect()),
                normalize: flag("normalize"),
            },
            ..Field::plain(0.8)
        };
        let v = field.drift(&x, &y, Labels { force: Some(&force), energy: Some(&energy) }).unwrap();
        let v = v.to_device(Device::Cpu);
        close(&format!("{field:?}"), &Vec::<f64>::try_from(v.view([-1])).unwrap(), &flat(&case["field"]));
    }
}

#[test]
fn fields_with_the_image_models_options() {
    options_on(Device::Cpu);
}

#[test]
fn fields_on_cuda() {
    if device::resolve(device::Choice::Cuda(0)).is_err() {
        println!("skipped: no CUDA device, or a libtorch without CUDA");
        return;
    }
    options_on(Device::Cuda(0));
    differentiable_features_on(Device::Cuda(0));
    kernel_fields_on(Device::Cuda(0));
    sliced_targets_on(Device::Cuda(0));
}

#[test]
fn force_terms_refuse_what_they_cannot_do() {
    let field = Field { kernel: Kernel::Laplace, omega: 0.1, ..Field::plain(1.0) };
    let x = Tensor::zeros([3, 4], (tch::Kind::Double, Device::Cpu));
    assert!(field
        .drift(&x, &x, Labels { force: Some(&x), energy: None })
        .unwrap_err()
        .to_string()
        .contains("Remark 3.1"));
    let gaussian = Field { kernel: Kernel::Gaussian, ..field };
    let said = |field: &Field| field.drift(&x, &x, Labels::default()).unwrap_err().to_string();
    assert!(said(&Field { omega: 0.0, gamma: 0.1, ..gaussian.clone() }).contains("no forces"));
    let energy = Field { omega: 0.0, gamma: 0.1, alignment: Alignment::Energy, ..gaussian.clone() };
    assert!(said(&energy).contains("no energies"));
    assert!(gaussian.drift(&x, &x, Labels::default()).unwrap_err().to_string().contains("no forces"));
}

#[test]
fn whitening_and_sliced_targets() {
    let g = goldens();
    let y = matrix(&g["distances"]);
    let centered = &y - &y.mean_axis(Axis(0)).unwrap();
    let w = whitening(&(centered.t().dot(&centered) / (y.nrows() as f64 - 1.0))).unwrap();
    close("whitening", &w.dot(&w.t()), &flat(&g["whitening_square"]));
    sliced_targets_on(Device::Cpu);
}

fn sliced_targets_on(device: Device) {
    let s = &goldens()["sliced"];
    let place = |key: &str| tensor(&s[key]).to_device(device);
    close("targets", &numbers(&sliced::targets(&place("x"), &place("y")).unwrap()), &flat(&s["target"]));
}
