//! TorchScript potentials against a molecule whose energies and forces are known in closed form.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

#[allow(dead_code)] // its other molecules serve other tests
mod analytic;
mod module_file;

use std::path::{Path, PathBuf};

use analytic::{water, Frame};
use approx::assert_relative_eq;
use boltzdrift::potential::{evaluate, Potential, Spec};
use boltzdrift::train::device::{resolve, Choice};
use boltzdrift::Result;
use module_file::{write, write_forward};
use ndarray::{s, Array1, Array3, ArrayView3};
use tch::{CModule, Kind, Tensor};

const SPECIES: [u8; 3] = [8, 1, 1];
/// The energy of `analytic::water` in TorchScript, for any positions x in angstrom.
const WATER: [&str; 6] = [
    "a = torch.sub(x[:, 1], x[:, 0])",
    "b = torch.sub(x[:, 2], x[:, 0])",
    "ra = torch.sqrt(torch.sum(a * a, [1]))",
    "rb = torch.sqrt(torch.sum(b * b, [1]))",
    "c = torch.sum(a * b, [1]) / (ra * rb) + 0.25",
    "e = 110.0 * ((1.0 - torch.exp(-2.2 * (ra - 0.96))) ** 2 + (1.0 - torch.exp(-2.2 * (rb - 0.96))) ** 2) + 45.0 * c * c",
];

fn room() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

/// Frames of water, and their energies and forces in closed form.
fn frames(count: usize) -> (Array3<f64>, Array1<f64>, Array3<f64>) {
    let frames = water().frames(500.0, count, 4);
    let cube = |of: fn(&Frame) -> &Vec<[f64; 3]>| {
        Array3::from_shape_fn((count, 3, 3), |(frame, atom, c)| of(&frames[frame])[atom][c])
    };
    (cube(|f| &f.x), frames.iter().map(|f| f.energy).collect(), cube(|f| &f.forces))
}

/// Water, and one line more before the energy e is returned.
fn water_file(path: &Path, first: &str, last: &str, kind: &str) {
    let lines: Vec<&str> = [first].into_iter().chain(WATER).chain([last]).collect();
    write_forward(path, kind, &lines);
}

fn open(path: &Path, options: &str) -> Result<Box<dyn Potential>> {
    Spec::parse(&format!("torchscript:{}{options}", path.display()))?.open()
}

fn close(found: &(Array1<f64>, Array3<f64>), truth: (&Array1<f64>, &Array3<f64>), within: f64) {
    for (found, truth) in found.0.iter().zip(truth.0).chain(found.1.iter().zip(truth.1)) {
        assert_relative_eq!(found, truth, epsilon = within, max_relative = within);
    }
}

/// The message of a call that must fail, with these words in it.
fn fails(path: &Path, options: &str, x: ArrayView3<f64>, words: &[&str]) {
    let mut model = open(path, options).unwrap();
    let error = evaluate(model.as_mut(), &SPECIES, x).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "'{error}' does not say '{word}'");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn energies_and_forces_are_the_molecules_own_in_any_batch() {
    let (_keep, folder) = room();
    let path = folder.join("water.pt");
    // In training mode it would not work: it is switched to evaluation.
    water_file(&path, "assert not self.training\n    x = positions", "return e", "Tensor");
    let (x, e, f) = frames(50);
    for options in ["", ",dtype=float64,device=cpu", ",batch=1", ",batch=7", ",batch=50", ",batch=1000"] {
        let mut model = open(&path, options).unwrap();
        close(&evaluate(model.as_mut(), &SPECIES, x.view()).unwrap(), (&e, &f), 1e-10);
    }
    let mut single = open(&path, ",dtype=float32,batch=16").unwrap();
    let (energies, forces) = evaluate(single.as_mut(), &SPECIES, x.view()).unwrap();
    // Positions of seven digits and stiff bonds: the error stays the same where a force is small by chance.
    let size = |v: &[f64]| (v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64).sqrt();
    let [off, rms] = [(&forces - &f), f.clone()].map(|f| size(f.as_slice().unwrap()));
    let energies_off = size((&energies - &e).as_slice().unwrap());
    assert!(off < 1e-4 * rms && off > 0.0 && energies_off < 1e-4, "{off} of {rms}, {energies_off}");
    // Forces are the slope of the energies, and frames do not hear of each other.
    let mut model = open(&path, "").unwrap();
    let step = 1e-5;
    let some = x.slice(s![..3, .., ..]).to_owned();
    let (_, forces) = evaluate(model.as_mut(), &SPECIES, some.view()).unwrap();
    for (index, force) in forces.indexed_iter() {
        let [up, down] = [step, -step].map(|step| {
            let mut moved = some.clone();
            moved[index] += step;
            evaluate(model.as_mut(), &SPECIES, moved.view()).unwrap().0[index.0]
        });
        assert_relative_eq!(*force, (down - up) / (2.0 * step), epsilon = 1e-6, max_relative = 1e-6);
    }
    // No frames, no energies.
    assert_eq!(evaluate(model.as_mut(), &SPECIES, x.slice(s![..0, .., ..])).unwrap().0.len(), 0);
    assert!(model.region().is_none() && model.name() == format!("torchscript {}", path.display()));
    let mut guiding = Array3::zeros(x.dim());
    model.guiding_forces(&SPECIES, x.view(), guiding.view_mut()).unwrap();
    close(&(e.clone(), guiding), (&e, &f), 1e-10);
}

#[test]
fn other_units_other_shapes_and_own_forces() {
    let (_keep, folder) = room();
    let (x, e, f) = frames(20);
    // 1 eV in kcal/mol, 1 bohr in angstrom (CODATA 2018).
    let (ev, bohr) = (23.060_547_830_619, 0.529_177_210_903);
    let path = folder.join("units.pt");
    for (length, angstrom) in [("nm", 10.0), ("bohr", bohr), ("angstrom", 1.0)] {
        water_file(
            &path,
            &format!("x = positions * {angstrom:.12}"),
            &format!("return torch.unsqueeze(e / {ev:.12}, 1)"),
            "Tensor",
        );
        let mut model = open(&path, &format!(",length={length},energy=eV,batch=6")).unwrap();
        close(&evaluate(model.as_mut(), &SPECIES, x.view()).unwrap(), (&e, &f), 1e-9);
    }
    // Forces of the module's own are taken as they are: here twice a spring's, with no gradient at all.
    let path = folder.join("own.pt");
    write_forward(
        &path,
        "Tuple[Tensor, Tensor]",
        &["e = torch.detach(torch.sum(positions * positions, [1, 2]))", "return (e, positions * -4.0)"],
    );
    let mut model = open(&path, ",length=nm,energy=eV").unwrap();
    let found = evaluate(model.as_mut(), &SPECIES, x.view()).unwrap();
    let squares: Array1<f64> = x.outer_iter().map(|x| x.mapv(|x| x * x).sum() * ev / 100.0).collect();
    close(&found, (&squares, &(&x * (-4.0 * ev / 100.0))), 1e-10);
    // Atomic numbers arrive as they are, and change when they change.
    let path = folder.join("species.pt");
    write_forward(
        &path,
        "Tensor",
        &["z = species.to(positions.dtype)", "return torch.sum(positions[:, :, 0] * z, [1])"],
    );
    let mut model = open(&path, "").unwrap();
    for species in [[8, 1, 1], [6, 17, 92]] {
        let (_, forces) = evaluate(model.as_mut(), &species, x.view()).unwrap();
        for (atom, z) in species.into_iter().enumerate() {
            assert_eq!(
                forces.slice(s![.., atom, ..]).outer_iter().next().unwrap().to_vec(),
                [-f64::from(z), 0.0, 0.0]
            );
        }
    }
}

#[test]
fn a_traced_module() {
    let (_keep, folder) = room();
    let path = folder.join("traced.pt");
    let inputs =
        [Tensor::from_slice(&[8_i64, 1, 1]), Tensor::ones([2, 3, 3], (Kind::Double, tch::Device::Cpu))];
    let mut spring =
        |inputs: &[Tensor]| vec![inputs[1].square().sum_dim_intlist([1_i64, 2].as_slice(), false, None)];
    let module = CModule::create_by_tracing("Spring", "forward", &inputs, &mut spring).unwrap();
    module.save(&path).unwrap();
    let (x, _, _) = frames(9);
    let mut model = open(&path, "").unwrap();
    let found = evaluate(model.as_mut(), &SPECIES, x.view()).unwrap();
    let squares: Array1<f64> = x.outer_iter().map(|x| x.mapv(|x| x * x).sum()).collect();
    close(&found, (&squares, &(&x * -2.0)), 1e-12);
}

#[test]
fn modules_that_break_the_contract_are_named() {
    let (_keep, folder) = room();
    let path = folder.join("odd.pt");
    let (x, _, _) = frames(5);
    let contract = "forward(species: int64 [n], positions: float [B, n, 3])";
    let sum = "torch.sum(positions, [1, 2])";
    let cases: [(&str, String, &[&str]); 10] = [
        (
            "Tensor",
            "return torch.sum(positions, [1])".into(),
            &["shape [5, 3] for 5 frames", "[5] or [5, 1]"],
        ),
        ("Tensor", "return torch.sum(positions)".into(), &["shape [] for 5 frames", "torch.jit.script"]),
        ("Tensor", format!("return {sum}.to(6)"), &["float32", "dtype=float32"]),
        ("Tensor", format!("return {sum}.to(4)"), &["Int64", "float64 or float32"]),
        (
            "Tensor",
            format!("return torch.detach({sum})"),
            &["do not depend on the positions", "(energies, forces)"],
        ),
        ("Tensor", "return torch.ones([positions.size(0)], dtype=7)".into(), &["do not depend"]),
        ("Tuple[Tensor, Tensor]", format!("return ({sum}, positions[:, 0])"), &["forces of shape [5, 3]"]),
        ("Tuple[Tensor, Tensor, int]", format!("return ({sum}, positions, 1)"), &["a tuple of 3", contract]),
        ("Dict[str, Tensor]", format!("return {{\"e\": {sum}}}"), &["a dictionary", contract]),
        ("NoneType", "return None".into(), &["returned nothing", contract]),
    ];
    for (kind, line, words) in cases {
        write_forward(&path, kind, &[&line]);
        fails(&path, "", x.view(), words);
        fails(&path, "", x.view(), &["odd.pt"]);
    }
    for arguments in ["", "positions: Tensor", "a: Tensor, b: Tensor, c: Tensor", "a: str, b: Tensor"] {
        let comma = if arguments.is_empty() { "" } else { ", " };
        write(&path, &format!("  def forward(self: __torch__.M{comma}{arguments}) -> int:\n    return 1\n"));
        fails(&path, "", x.view(), &["potential torchscript", "frame 0", "forward", contract]);
    }
    write(&path, "  def energy(self: __torch__.M, x: Tensor) -> Tensor:\n    return x\n");
    fails(&path, "", x.view(), &["forward", contract]);
}

#[test]
fn a_frame_has_the_same_answer_in_every_batch_and_call() {
    let (_keep, folder) = room();
    let path = folder.join("mixed.pt");
    let (x, e, _) = frames(20);
    // A module that writes into the atomic numbers: they are its own copy.
    write_forward(
        &path,
        "Tensor",
        &["z = torch.add_(species, 1)", "return torch.sum(positions[:, :, 0] * z.to(positions.dtype), [1])"],
    );
    let mut model = open(&path, ",batch=3").unwrap();
    for _ in 0..2 {
        let (_, forces) = evaluate(model.as_mut(), &SPECIES, x.view()).unwrap();
        assert!(forces.outer_iter().all(|f| f.column(0).to_vec() == [-9.0, -2.0, -2.0]));
    }
    // One that takes the mean over the frames away: energies that are all wrong, and forces that are all zero.
    for options in ["", ",dtype=float32", ",batch=7"] {
        water_file(&path, "x = positions", "return e - torch.mean(e)", "Tensor");
        fails(&path, options, x.view(), &["mixed.pt", "treat each frame by itself", "batch=1"]);
        // One that draws anew at every call.
        water_file(
            &path,
            "x = positions",
            "return e * torch.add(torch.rand([1], dtype=x.dtype), 1.0)",
            "Tensor",
        );
        fails(&path, options, x.view(), &["mixed.pt", "draw no random numbers"]);
    }
    // A large energy in single precision is no such difference.
    water_file(&path, "x = positions", "return e - 97123.4", "Tensor");
    let mut model = open(&path, ",dtype=float32").unwrap();
    let (energies, _) = evaluate(model.as_mut(), &SPECIES, x.view()).unwrap();
    assert!((&energies + 97123.4 - &e).iter().all(|off| off.abs() < 0.05));
}

#[test]
fn the_first_frame_that_fails_is_named() {
    let (_keep, folder) = room();
    let path = folder.join("picky.pt");
    let raise = "ops.prim.RaiseException(\"bond too long\", \"builtins.RuntimeError\")";
    let check =
        |condition: &str| format!("x = positions\n    if {condition}:\n      {raise}\n    else:\n      pass");
    water_file(&path, &check("bool(torch.gt(torch.max(x), 5.0))"), "return e", "Tensor");
    let (mut x, e, f) = frames(23);
    for frame in [17, 19] {
        x[[frame, 2, 0]] += 9.0;
    }
    for options in ["", ",batch=1", ",batch=5"] {
        fails(&path, options, x.view(), &["picky.pt", "frame 17: ", "bond too long", "remove the frame"]);
    }
    let good = x.slice(s![..17, .., ..]);
    let mut model = open(&path, "").unwrap();
    assert!(evaluate(model.as_mut(), &SPECIES, x.view()).is_err());
    let found = evaluate(model.as_mut(), &SPECIES, good).unwrap();
    close(&found, (&e.slice(s![..17]).to_owned(), &f.slice(s![..17, .., ..]).to_owned()), 1e-10);
    // A module for one frame at a time.
    water_file(&path, &check("positions.size(0) > 1"), "return e", "Tensor");
    fails(&path, "", good, &["picky.pt", "with 17 frames at once", "batch=1"]);
    assert!(evaluate(open(&path, ",batch=1").unwrap().as_mut(), &SPECIES, good).is_ok());
    // Memory that ends is halved down to one frame, and then said.
    let memory = raise.replace("bond too long", "CUDA out of memory. Tried to allocate 9 GiB");
    water_file(&path, &check("positions.size(0) > 3").replace(raise, &memory), "return e", "Tensor");
    let mut model = open(&path, "").unwrap();
    let found = evaluate(model.as_mut(), &SPECIES, good).unwrap();
    close(&found, (&e.slice(s![..17]).to_owned(), &f.slice(s![..17, .., ..]).to_owned()), 1e-10);
    fails(&path, ",batch=4", good, &["frame 0", "out of memory", "smaller batch=N"]);
    water_file(&path, &check("positions.size(0) > 0").replace(raise, &memory), "return e", "Tensor");
    fails(&path, "", good, &["frame 0", "out of memory", "memory ends at 1 frames", "device=cpu"]);
    // A number that is not finite: its frame.
    water_file(&path, "x = positions", "return e + torch.sqrt(5.0 - x[:, 2, 0])", "Tensor");
    fails(&path, ",batch=5", x.view(), &["picky.pt", "frame 17: the energy is not finite"]);
    let (mut energies, mut forces) = (Array1::zeros(23), Array3::zeros(x.dim()));
    let mut model = open(&path, ",batch=5").unwrap();
    model.energies_forces(&SPECIES, x.view(), energies.view_mut(), forces.view_mut()).unwrap();
    assert!(energies[17].is_nan() && energies[18].is_finite(), "a walk rejects it by itself");
}

/// What must hold on every device: the molecule's own numbers, from modules that make tensors of their own too, and
/// memory that ends.
fn everything_on(device: &str) {
    let (_keep, folder) = room();
    let path = folder.join("water.pt");
    let (x, e, f) = frames(50);
    let on = |options: &str| format!(",device={device}{options}");
    // Parameters and buffers would go along; a constant made in forward says where.
    water_file(&path, "x = positions + torch.new_zeros(positions, [3])", "return e", "Tensor");
    for options in ["", ",batch=1", ",batch=7"] {
        let mut model = open(&path, &on(options)).unwrap();
        for _ in 0..2 {
            close(&evaluate(model.as_mut(), &SPECIES, x.view()).unwrap(), (&e, &f), 1e-10);
        }
    }
    let mut single = open(&path, &on(",dtype=float32")).unwrap();
    let (energies, forces) = evaluate(single.as_mut(), &SPECIES, x.view()).unwrap();
    let size = |v: &Array3<f64>| v.mapv(|v| v * v).mean().unwrap().sqrt();
    assert!(size(&(&forces - &f)) < 1e-4 * size(&f));
    assert!((&energies - &e).iter().all(|off| off.abs() < 1e-3));
    // Forces of the module's own come back from the device as they are.
    write_forward(
        &path,
        "Tuple[Tensor, Tensor]",
        &["return (torch.sum(positions * positions, [1, 2]), positions * -2.0)"],
    );
    let squares: Array1<f64> = x.outer_iter().map(|x| x.mapv(|x| x * x).sum()).collect();
    let mut model = open(&path, &on("")).unwrap();
    close(&evaluate(model.as_mut(), &SPECIES, x.view()).unwrap(), (&squares, &(&x * -2.0)), 1e-12);
    // 16 TB are more than any device has.
    let memory = |frames: usize| {
        format!(
            "x = positions\n    if positions.size(0) > {frames}:\n      big = torch.new_zeros(positions, [2199023255552])\n    \
             else:\n      big = positions"
        )
    };
    // What nothing comes of would not be computed.
    let used = "return e + 0.0 * torch.sum(big)";
    water_file(&path, &memory(3), used, "Tensor");
    let mut model = open(&path, &on("")).unwrap();
    close(&evaluate(model.as_mut(), &SPECIES, x.view()).unwrap(), (&e, &f), 1e-10);
    fails(&path, &on(",batch=4"), x.view(), &["frame 0", "smaller batch=N"]);
    water_file(&path, &memory(0), used, "Tensor");
    fails(&path, &on(""), x.view(), &["frame 0", "memory ends at 1 frames"]);
    // NaN, where it arises.
    water_file(&path, "x = positions", "return e + torch.sqrt(5.0 - x[:, 2, 0])", "Tensor");
    let mut bad = x.clone();
    bad[[31, 2, 0]] += 9.0;
    fails(&path, &on(",batch=8"), bad.view(), &["frame 31: the energy is not finite"]);
}

#[test]
fn everything_on_the_cpu() {
    everything_on("cpu");
}

#[test]
fn everything_on_cuda() {
    if resolve(Choice::Cuda(0)).is_err() {
        println!("skipped: no CUDA device, or a libtorch without CUDA");
        return;
    }
    everything_on("cuda:0");
    let (_keep, folder) = room();
    let path = folder.join("lost.pt");
    let (x, ..) = frames(3);
    // A tensor made on the CPU meets positions on the device.
    write_forward(
        &path,
        "Tensor",
        &["w = torch.ones([3, 3], dtype=7)", "return torch.sum(positions * w, [1, 2])"],
    );
    fails(&path, ",device=cuda", x.view(), &["lost.pt", "same device", "device=positions.device"]);
    assert!(open(&path, ",device=cuda:99").err().unwrap().to_string().contains("cuda:99"));
}
