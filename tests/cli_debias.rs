//! From a window of a trajectory to Boltzmann seeds: fit, train --debias, sample --refine, on molecules whose
//! potential is known.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

mod analytic;
mod command;

use std::path::{Path, PathBuf};

use analytic::{hydroxymethyl, water, Frame, Molecule, Noise, BOLTZMANN};
use boltzdrift::dataset::{self, Dataset, ReadOptions, WriteOptions, Writer};
use boltzdrift::potential::{evaluate, Gdml};
use boltzdrift::sampler::Sampler;
use command::{bad, full_disk, good, run, SMALL};
use ndarray::{Array1, Array3};

const KELVIN: f64 = 500.0;

fn cube(molecule: &Molecule, frames: &[Frame], of: fn(&Frame) -> &Vec<[f64; 3]>) -> Array3<f64> {
    let shape = (frames.len(), molecule.species.len(), 3);
    Array3::from_shape_fn(shape, |(frame, atom, c)| of(&frames[frame])[atom][c])
}

/// Writes frames with forces and energies, with noise of these widths added to either.
fn write(path: &Path, molecule: &Molecule, frames: &[Frame], noise: (f64, f64)) {
    let mut source = Noise(77);
    let mut forces = cube(molecule, frames, |frame| &frame.forces);
    forces.mapv_inplace(|f| f + noise.0 * source.normal());
    let energies: Array1<f64> = frames.iter().map(|frame| frame.energy + noise.1 * source.normal()).collect();
    let options = WriteOptions {
        species: molecule.species.clone(),
        masses: molecule.masses.clone(),
        frames_expected: Some(frames.len()),
        ..WriteOptions::default()
    };
    let mut writer = Writer::create(path, &options).unwrap();
    let positions = cube(molecule, frames, |frame| &frame.x);
    writer.write(positions.view(), None, Some(energies.view()), Some(forces.view())).unwrap();
    writer.finish().unwrap();
}

fn read(path: &Path) -> Dataset {
    dataset::read(path, &ReadOptions::default(), &mut |_| Ok(())).unwrap()
}

/// The one file of a stage that ends in .npz.
fn stage(folder: &Path, start: &str) -> PathBuf {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let found: Vec<_> = names.filter(|name| name.starts_with(start) && name.ends_with(".npz")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    folder.join(&found[0])
}

fn room() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    std::fs::write(path.join("small.toml"), SMALL).unwrap();
    let molecule = water();
    write(&path.join("water.npz"), &molecule, &molecule.frames(KELVIN, 600, 1), (0.0, 0.0));
    (folder, path)
}

#[test]
fn fit_writes_a_force_field_that_is_right() {
    let (_keep, folder) = room();
    let said = good(&folder, "fit water.npz -o field.npz -n 60");
    for word in
        ["solving a system of 180 rows", "60 frames, 2 permutations", "60 frames held out", "field.npz"]
    {
        assert!(said.contains(word), "'{word}' is not in: {said}");
    }
    // Against the potential itself, on frames it has not seen.
    let molecule = water();
    let frames = molecule.frames(KELVIN, 400, 2);
    let (x, truth) = (cube(&molecule, &frames, |f| &f.x), cube(&molecule, &frames, |f| &f.forces));
    let mut field = Gdml::load(folder.join("field.npz")).unwrap();
    let (energies, forces) = evaluate(&mut field, &molecule.species, x.view()).unwrap();
    let rms = |values: &Array3<f64>| values.mapv(|v| v * v).mean().unwrap().sqrt();
    let error = rms(&(&forces - &truth)) / rms(&truth);
    assert!(error < 0.01, "{error}");
    let off = energies.iter().zip(&frames).map(|(e, frame)| (e - frame.energy).powi(2)).sum::<f64>();
    assert!((off / 400.0).sqrt() < 0.05, "{}", (off / 400.0).sqrt());
    // The figure on the screen is that error, within the luck of 60 frames.
    let shown: f64 = said.split("rms (").nth(1).unwrap().split(" %").next().unwrap().parse().unwrap();
    assert!(shown <= 1.0 && shown <= 300.0 * error + 0.05, "{shown} % for {error}");

    // Quiet, with both given, the same file whatever the number of threads.
    let both = "fit water.npz -n 30 --sigma 10 --ridge 1e-9 -q";
    assert_eq!(good(&folder, &format!("{both} -o one.npz --threads 1")), "");
    good(&folder, &format!("{both} -o three.npz --threads 3"));
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("one.npz") == bytes("three.npz"));
    // Whatever reads potentials reads it.
    let table = good(&folder, "evaluate water.npz --reference water.npz --potential gdml:field.npz --json");
    assert!(table.contains("energy"), "{table}");
    full_disk(&folder, &format!("{both} -o full.npz"), "full.npz", 2);
}

#[test]
fn wrong_fits_are_refused() {
    let (_keep, folder) = room();
    let start = "fit water.npz -o field.npz";
    std::fs::write(
        folder.join("plain.xyz"),
        "3\n\nO 0 0 0\nH 0.97 0 0\nH -0.2 0.93 0\n3\n\nO 0 0 0\nH 0.98 0 0\nH -0.2 0.94 0\n",
    )
    .unwrap();
    bad(&folder, "fit plain.xyz -o field.npz", 1, &["plain.xyz", "forces"]);
    bad(&folder, "fit nowhere.npz -o field.npz", 1, &["nowhere.npz"]);
    bad(&folder, "fit water.npz -o ./water.npz", 2, &["trajectory itself"]);
    bad(&folder, "fit water.npz -o no/such/field.npz", 1, &["no/such/field.npz"]);
    bad(&folder, &format!("{start} -n 1"), 2, &["1 frame", "at least 2"]);
    bad(&folder, &format!("{start} --frames :19"), 2, &["19 frames are too few"]);
    bad(&folder, &format!("{start} --sigma 0"), 2, &["sigma = 0"]);
    bad(&folder, &format!("{start} --ridge 7"), 2, &["ridge = 7"]);
    bad(&folder, &format!("{start} --memory 0"), 2, &["--memory 0"]);
    // Room for 50 frames of three rows.
    bad(&folder, &format!("{start} -n 200 --memory 1.8e-4"), 2, &["200 frames", "at most 50 frames"]);
    good(&folder, &format!("{start} -n 50 --memory 1.8e-4 -q"));
    assert!(folder.join("field.npz").exists());
}

#[test]
fn options_that_do_not_go_together() {
    let (_keep, folder) = room();
    let start = "train water.npz -o m.safetensors";
    let debias = |options: &str, words: &[&str]| bad(&folder, &format!("{start} {options}"), 2, words);
    for kind in ["fit", "torsion", "potential --potential gdml:x.npz"] {
        debias(&format!("--debias {kind}"), &["--debias needs the temperature", "--temperature"]);
    }
    debias("--debias potential --temperature 500K", &["needs the potential", "gdml:FILE"]);
    debias("--potential gdml:x.npz", &["nothing here needs them", "--debias potential"]);
    debias("--potential gdml:x.npz --method drift", &["nothing here needs them", "--method fk"]);
    let field = "--potential gdml:x.npz --temperature 500K";
    for without in ["--method fk", &format!("--debias potential {field}")] {
        debias(&format!("--skip-failing {without}"), &["--skip-failing is for", "--potential"]);
    }
    debias(&format!("--debias potential --fit-frames 9 {field}"), &["--fit-frames is for --debias fit"]);
    debias("--debias torsion --accept-fit", &["--accept-fit is for --debias fit"]);
    debias("--debias fit --pool 3", &["--pool 3", "too few"]);
    debias("--debias fit --stages m.safetensors", &["the sampler to write"]);
    std::fs::write(folder.join("file"), "").unwrap();
    debias("--debias fit --stages file", &["this is a file"]);
    let both = "is for --debias fit or --debias potential";
    debias("--debias torsion --temperature 500K --pool 9", &["--pool", both]);
    debias("--stages here", &["--stages", both]);
    debias("--debias potential --potential magic:x --temperature 500K", &["magic", "gdml:FILE"]);
    let bytes = std::fs::read(folder.join("water.npz")).unwrap();
    bad(
        &folder,
        "train water.npz -o f.npz --debias potential --potential gdml:./f.npz --temperature 500K",
        2,
        &["f.npz", "the potential"],
    );
    bad(
        &folder,
        &format!("{start} --debias potential --potential gdml:none.npz --temperature 500K"),
        1,
        &["none.npz"],
    );
    let output = run(&folder, &format!("{start} --debias magic --temperature 500K"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("magic") && said.contains("torsion"), "{said}");
    assert!(
        std::fs::read(folder.join("water.npz")).unwrap() == bytes && !folder.join("m.safetensors").exists()
    );

    good(&folder, "train water.npz -o m.safetensors --config small.toml --steps 20 --device cpu -q");
    let start = "sample m.safetensors -n 3 -o s.npz";
    let sample = |options: &str, words: &[&str]| bad(&folder, &format!("{start} {options}"), 2, words);
    sample("--refine 2", &["--refine needs the potential", "--potential gdml:FILE"]);
    sample("--potential gdml:x.npz", &["--refine"]);
    sample("--time-step 1fs", &["--refine"]);
    sample("--temperature 500K", &["--velocities and --refine"]);
    sample("--refine 2 --potential magic:x", &["magic", "gdml:FILE"]);
    good(&folder, "fit water.npz -o field.npz -n 30 --sigma 10 --ridge 1e-9 -q");
    sample("--refine 2 --potential gdml:field.npz", &["records no temperature", "--temperature 500K"]);
    let refine = "--refine 2 --potential gdml:field.npz --temperature 500K";
    sample(&format!("{refine} --time-step 1"), &["unit"]);
    sample(&format!("{refine} --time-step 50fs"), &["50 fs"]);
    bad(
        &folder,
        &format!("sample m.safetensors -n 3 -o field.npz {refine}"),
        2,
        &["field.npz", "the potential"],
    );
    bad(&folder, &format!("{start} --refine 2 --potential gdml:none.npz"), 1, &["none.npz"]);
    // A force field of another molecule.
    let other = hydroxymethyl();
    write(&folder.join("other.npz"), &other, &other.frames(KELVIN, 100, 1), (0.0, 0.0));
    good(&folder, "fit other.npz -o other_field.npz -n 20 --sigma 10 --ridge 1e-9 -q");
    let output =
        run(&folder, &format!("{start} --refine 2 --potential gdml:other_field.npz --temperature 500K"));
    assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
    assert!(!folder.join("s.npz").exists());
}

#[test]
fn from_a_window_to_refined_seeds() {
    let (_keep, folder) = room();
    let train =
        "train water.npz -o m.safetensors --config small.toml --device cpu --debias fit --fit-frames 40 \
                 --pool 1500 --temperature 500K --steps 600";
    let said = good(&folder, train);
    let stages = folder.join("m.safetensors.stages");
    for word in [
        "fit (written to",
        "equilibrated states (written to",
        "1500 at 500 K",
        "1500 frames of 3 atoms",
        "noise times",
    ] {
        assert!(said.contains(word), "'{word}' is not in: {said}");
    }
    let (field, pool) = (stage(&stages, "fit-"), stage(&stages, "pool-"));
    // What the sampler has learned from, and says so.
    let record = Sampler::load(folder.join("m.safetensors")).unwrap().record().clone();
    assert_eq!(record.data_digest, read(&pool).source.digest);
    assert_eq!(record.calibration["debias"], "fit");
    assert_eq!(record.calibration["data_digest"], read(&folder.join("water.npz")).source.digest.as_str());
    assert_eq!(record.calibration["data_frames"], 600);
    assert_eq!(record.calibration["fit"]["frames"].as_array().unwrap().len(), 40);
    assert_eq!(record.calibration["equilibration"]["converged"], true);
    let factor = record.calibration["amplitude"]["factor"].as_f64().unwrap();
    assert!((0.94..=1.06).contains(&factor), "{factor}");
    // Three stiff modes: half of kT each, and a little for anharmonicity. The true potential is asked.
    let molecule = water();
    let mean = |data: &Dataset| {
        let energies = data.positions.outer_iter().map(|x| {
            let x: Vec<[f64; 3]> = x.outer_iter().map(|x| [x[0], x[1], x[2]]).collect();
            molecule.evaluate(&x).0
        });
        energies.sum::<f64>() / data.len() as f64 / (BOLTZMANN * KELVIN)
    };
    let equilibrated = mean(&read(&pool));
    assert!((equilibrated - 1.5).abs() < 0.15, "{equilibrated} kT");

    let refine = |steps: usize, output: &str| {
        good(
            &folder,
            &format!(
                "sample m.safetensors -n 300 -o {output} --refine {steps} --potential gdml:{}",
                field.display()
            ),
        )
    };
    let said = refine(2, "s.npz");
    assert!(
        said.contains("drawn again:") && said.contains("after 2 steps") && said.contains("accepted"),
        "{said}"
    );
    let samples = read(&folder.join("s.npz"));
    assert_eq!((samples.len(), samples.species.as_slice()), (300, &[8, 1, 1][..]));
    // The energies in the file are those of the force field, and near the truth.
    let mut model = Gdml::load(&field).unwrap();
    let (energies, _) = evaluate(&mut model, &samples.species, samples.positions.view()).unwrap();
    let written = samples.energies.clone().unwrap();
    assert!(written.iter().zip(&energies).all(|(a, b)| (a - b).abs() < 1e-6));
    refine(20, "t.npz");
    let refined = mean(&read(&folder.join("t.npz")));
    assert!((refined - equilibrated).abs() < 0.3, "{refined} for {equilibrated} kT");
    // Part of the ensemble is the same part, and velocities come along.
    good(
        &folder,
        &format!(
            "sample m.safetensors -n 20 --first 100 -o part.npz --refine 2 --velocities --potential gdml:{}",
            field.display()
        ),
    );
    let part = read(&folder.join("part.npz"));
    assert!(part.velocities.is_some());
    assert_eq!(part.positions, samples.positions.slice(ndarray::s![100..120, .., ..]));

    // Once more: the stages are kept, and so is the sampler.
    let before = std::fs::read(folder.join("m.safetensors")).unwrap();
    let times = [&field, &pool].map(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    let said = good(&folder, train);
    assert!(said.contains("fit (kept in") && said.contains("equilibrated states (kept in"), "{said}");
    assert!(!said.contains("solving") && !said.contains("written to"), "{said}");
    assert_eq!(times, [&field, &pool].map(|path| std::fs::metadata(path).unwrap().modified().unwrap()));
    assert!(std::fs::read(folder.join("m.safetensors")).unwrap() == before);
    // From the beginning, in another folder: the same sampler too.
    good(&folder, &train.replace("--steps", "--stages elsewhere --steps").replace("m.safe", "n.safe"));
    assert!(
        std::fs::read(folder.join("n.safetensors")).unwrap() == before,
        "another sampler from the same data"
    );

    // The fitted force field, given by name, needs no forces and no energies.
    let said = good(
        &folder,
        &format!(
            "train s.npz -o p.safetensors --config small.toml --device cpu --debias potential --pool 500 \
             --temperature 500K --steps 20 --potential gdml:{}",
            field.display()
        ),
    );
    assert!(said.contains("equilibrated states (written to") && !said.contains("fit ("), "{said}");
    let record = Sampler::load(folder.join("p.safetensors")).unwrap().record().clone();
    assert_eq!(record.calibration["debias"], "potential");
    assert!(record.calibration["fit"]["held_out"].is_object(), "the field's own report goes along");

    // Steps far too long: hardly one is accepted, and nothing is written.
    bad(
        &folder,
        &format!(
            "sample m.safetensors -n 300 -o u.npz --refine 2 --time-step 4fs --potential gdml:{}",
            field.display()
        ),
        1,
        &["of the refinement steps are accepted", "shorter time step than 4 fs"],
    );
    assert!(!folder.join("u.npz").exists());
}

#[test]
fn a_rough_fit_is_refused_unless_it_is_taken() {
    let (_keep, folder) = room();
    let molecule = water();
    let frames = molecule.frames(KELVIN, 300, 3);
    let all: Vec<f64> = frames.iter().flat_map(|frame| frame.forces.concat()).collect();
    let rms = (all.iter().map(|f| f * f).sum::<f64>() / all.len() as f64).sqrt();
    write(&folder.join("rough.npz"), &molecule, &frames, (0.3 * rms, 0.0));
    let options = "--config small.toml --device cpu --temperature 500K --fit-frames 60 --pool 500 --steps 20";
    bad(
        &folder,
        &format!("train rough.npz -o m.safetensors --debias fit {options}"),
        2,
        &["too rough", "limit is 10 %", "--fit-frames", "--debias torsion", "--accept-fit"],
    );
    assert!(!folder.join("m.safetensors").exists());
    // Good forces with poor energies: refused by the energies, taken where the user says so.
    write(&folder.join("doubtful.npz"), &molecule, &frames, (0.0, 2.0));
    let train = format!("train doubtful.npz -o m.safetensors --stages doubtful --debias fit {options}");
    bad(&folder, &train, 2, &["too rough", "0.7 kT at 500 K"]);
    let output = run(&folder, &format!("{train} --accept-fit"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("taken because of --accept-fit"), "{said}");
    assert!(folder.join("m.safetensors").exists());
    // The field's own file says how good it is, wherever it is used.
    let field = stage(&folder.join("doubtful"), "fit-");
    let equilibrate = format!(
        "equilibrate doubtful.npz -o p.npz -n 500 --temperature 500K --potential gdml:{}",
        field.display()
    );
    bad(&folder, &equilibrate, 2, &["too rough", "0.7 kT at 500 K"]);
    assert!(!folder.join("p.npz").exists());
    let output = run(&folder, &format!("{equilibrate} --accept-fit"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = train.replace("--debias fit", "--debias potential").replace("--fit-frames 60", "");
    bad(&folder, &format!("{again} --potential gdml:{}", field.display()), 2, &["too rough"]);
    // A fit of rough forces is written, with a word of warning.
    let output = run(&folder, "fit rough.npz -o rough_ff.npz -n 60");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("off by") && said.contains("fit more frames"), "{said}");
}

#[test]
fn frames_are_weighed_by_the_mean_force_on_their_torsions() {
    let (_keep, folder) = room();
    let molecule = hydroxymethyl();
    write(&folder.join("methyl.npz"), &molecule, &molecule.frames(KELVIN, 2000, 5), (0.0, 0.0));
    let options = "--config small.toml --device cpu --steps 20 --temperature 500K";
    let said = good(&folder, &format!("train methyl.npz -o m.safetensors --debias torsion {options}"));
    assert!(said.contains("dihedral") && said.contains("weights by mean force:"), "{said}");
    let record = Sampler::load(folder.join("m.safetensors")).unwrap().record().clone();
    assert_eq!(record.calibration["debias"], "torsion");
    assert!(record.calibration["weights"].is_object(), "{}", record.calibration);
    // Without forces there is no mean force.
    good(&folder, "sample m.safetensors -n 50 -o plain.npz");
    bad(&folder, &format!("train plain.npz -o n.safetensors --debias torsion {options}"), 1, &["forces"]);
    bad(&folder, &format!("train plain.npz -o n.safetensors --debias fit {options}"), 1, &["forces"]);
}
