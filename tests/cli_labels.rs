//! `train --potential`: labels made on the way to a training, and feature-space forces kept for the next one.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

#[allow(dead_code)]
mod analytic;
mod command;
#[allow(dead_code)]
#[path = "label/fields.rs"]
mod fields;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boltzdrift::sampler::Sampler;
use command::{bad, boltzdrift, good, run};
use fields::{field, frames};

const KERNEL: &str = "--config kernel.toml --method fk --device cpu";

/// Frames of CH2OH with forces of their own, and a force field that knows the molecule.
fn room() -> (tempfile::TempDir, PathBuf) {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().to_owned();
    frames(&folder.join("data.npz"), 200);
    field(40).save(folder.join("field.npz")).unwrap();
    field(39).save(folder.join("other.npz")).unwrap();
    let small = "width = 32\ndepth = 2\nnoise = 8\nbatch = 32\npositives = 64\n";
    std::fs::write(folder.join("kernel.toml"), small).unwrap();
    (room, folder)
}

fn samples(folder: &Path, model: &str) -> Vec<u64> {
    let sampler = Sampler::load(folder.join(model)).unwrap();
    sampler.sample(0, 0, 50).unwrap().iter().map(|x| x.to_bits()).collect()
}

#[test]
fn labels_on_the_way_are_those_of_label() {
    let (_keep, folder) = room();
    good(&folder, "label data.npz -o labelled.npz --potential gdml:field.npz");
    good(&folder, &format!("train labelled.npz -o two.safetensors {KERNEL} --steps 60"));
    let said = good(
        &folder,
        &format!("train data.npz -o one.safetensors {KERNEL} --steps 60 --potential gdml:field.npz"),
    );
    assert!(said.contains("energies and forces of 200 frames by gdml"), "{said}");
    assert!(samples(&folder, "one.safetensors") == samples(&folder, "two.safetensors"));
    assert!(!folder.join("one.safetensors.labels").exists());
    // Not the sampler of the file's own forces; and the record says whose they are.
    good(&folder, &format!("train data.npz -o own.safetensors {KERNEL} --steps 60"));
    assert!(samples(&folder, "one.safetensors") != samples(&folder, "own.safetensors"));
    let bytes = std::fs::read(folder.join("one.safetensors")).unwrap();
    let record = String::from_utf8_lossy(&bytes);
    assert!(record.contains("labels") && record.contains("identity"), "{}", &record[..2000]);

    // Frames without forces are enough; a force field is fitted to the labels, and equilibrated with.
    std::fs::write(folder.join("small.toml"), command::SMALL).unwrap();
    let molecule = analytic::water();
    let x: String = molecule
        .frames(500.0, 300, 1)
        .iter()
        .map(|frame| {
            let atoms: Vec<String> = frame
                .x
                .iter()
                .zip(["O", "H", "H"])
                .map(|(x, name)| format!("{name} {} {} {}\n", x[0], x[1], x[2]))
                .collect();
            format!("3\nProperties=species:S:1:pos:R:3\n{}", atoms.concat())
        })
        .collect();
    std::fs::write(folder.join("water.xyz"), x).unwrap();
    let fit = "--config small.toml --steps 50 --temperature 500K --debias fit --fit-frames 30 --pool 100 --device cpu";
    bad(&folder, &format!("train water.xyz -o w.safetensors {fit}"), 1, &["water.xyz", "forces"]);
    let plugin = springs(&folder);
    let said =
        good(&folder, &format!("train water.xyz -o w.safetensors {fit} --accept-fit --potential {plugin}"));
    assert!(said.contains("300 frames by springs") && said.contains("equilibrated states"), "{said}");
}

/// A plug-in for water: springs of 500 kcal/mol/angstrom^2 between all pairs.
fn springs(folder: &Path) -> String {
    let source = r#"
#include <boltzdrift.h>
#include <math.h>
static int32_t evaluate(void *user_data, size_t n_systems, size_t n_atoms, const int32_t *species, const double *x,
                        const double *cells, double *e, double *f) {
    const double rest[3][3] = {{0, 0.97, 0.97}, {0.97, 0, 1.53}, {0.97, 1.53, 0}};
    (void)user_data, (void)species, (void)cells;
    for (size_t k = 0; k < n_systems; k++, x += 3 * n_atoms, f += 3 * n_atoms) {
        e[k] = 0.0;
        for (size_t i = 0; i < 3 * n_atoms; i++) f[i] = 0.0;
        for (size_t i = 0; i < n_atoms; i++)
            for (size_t j = 0; j < i; j++) {
                double d[3], r = 0.0;
                for (size_t c = 0; c < 3; c++) d[c] = x[3 * i + c] - x[3 * j + c], r += d[c] * d[c];
                r = sqrt(r);
                double off = r - rest[i][j];
                e[k] += 250.0 * off * off;
                for (size_t c = 0; c < 3; c++) f[3 * i + c] -= 500.0 * off * d[c] / r, f[3 * j + c] += 500.0 * off * d[c] / r;
            }
    }
    return 0;
}
int32_t bzd_plugin_open(uint32_t abi, const char *options, bzd_potential_desc *p, char *message, size_t size) {
    (void)abi, (void)options, (void)message, (void)size;
    p->evaluate = evaluate;
    p->name = "springs";
    return 0;
}
"#;
    let (code, library) = (folder.join("springs.c"), folder.join("libsprings.so"));
    std::fs::write(&code, source).unwrap();
    let include = format!("-I{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("include").display());
    let done = Command::new("cc")
        .args(["-std=c99", "-O2", "-shared", "-fPIC", &include])
        .arg(&code)
        .arg("-o")
        .arg(&library)
        .arg("-lm")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    format!("plugin:{}", library.display())
}

#[test]
fn a_stopped_training_asks_the_potential_for_no_frame_twice() {
    let (_keep, folder) = room();
    let common = format!("{KERNEL} --steps 3000 --checkpoint-every 200 --potential gdml:field.npz");
    good(&folder, &format!("train data.npz -o whole.safetensors {common}"));
    let arguments = format!("train data.npz -o parts.safetensors {common}");
    let child = boltzdrift()
        .current_dir(&folder)
        .args(arguments.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (kept, labels) =
        (folder.join("parts.safetensors.checkpoint"), folder.join("parts.safetensors.labels"));
    let start = Instant::now();
    while !kept.exists() && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(labels.exists() && kept.exists());
    let resume = "train data.npz -o parts.safetensors --device cpu --resume parts.safetensors.checkpoint";
    bad(&folder, resume, 2, &["other data"]);
    bad(
        &folder,
        &format!("{resume} --potential gdml:other.npz"),
        2,
        &["parts.safetensors.labels", "by another potential"],
    );
    // The labels of a run that goes on elsewhere are its own, and are held against those of the checkpoint.
    let elsewhere = resume.replace("-o parts", "-o elsewhere");
    bad(
        &folder,
        &format!("{elsewhere} --potential gdml:other.npz --checkpoint parts.safetensors.checkpoint"),
        2,
        &["other labels"],
    );
    let said = good(&folder, &format!("{resume} --potential gdml:field.npz"));
    assert!(said.contains("going on after 200 of 200 frames, kept in parts.safetensors.labels"), "{said}");
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("whole.safetensors") == bytes("parts.safetensors"), "the resumed sampler differs");
    assert!(!kept.exists() && !labels.exists());
}

#[test]
fn failing_frames_and_names_that_do_not_go_together() {
    let (_keep, folder) = room();
    // Forces so large on two of the frames that they overflow.
    let data = fields::load(&folder.join("data.npz"));
    let mut parts = field(2).parts().clone();
    let x = data.positions.select(ndarray::Axis(0), &[13, 25]);
    parts.descriptors = boltzdrift::potential::gdml::inverse_distances(x.view());
    (parts.sigma, parts.scale) = (1e-5, 1e308);
    boltzdrift::potential::Gdml::new(parts).unwrap().save(folder.join("holes.npz")).unwrap();
    let start = format!("train data.npz -o m.safetensors {KERNEL} --steps 50");
    let holes = format!("{start} --potential gdml:holes.npz");
    bad(&folder, &holes, 1, &["potential gdml", "frame 13", "data.npz", "--skip-failing"]);
    assert!(folder.join("m.safetensors.labels").exists() && !folder.join("m.safetensors").exists());
    let done = run(&folder, &format!("{holes} --skip-failing"));
    let warned = String::from_utf8_lossy(&done.stderr);
    assert!(warned.contains("2 of 200 frames left out as failing: frames 13, 25"), "{warned}");

    let wrong = |options: &str, words: &[&str]| bad(&folder, &format!("{start} {options}"), 2, words);
    bad(&folder, "train data.npz -o field.npz --method fk --potential gdml:field.npz", 2, &["the potential"]);
    std::fs::copy(folder.join("data.npz"), folder.join("m.safetensors.labels")).unwrap();
    let itself = format!("train m.safetensors.labels --input-format npz -o m.safetensors {KERNEL}");
    bad(&folder, &format!("{itself} --potential gdml:field.npz"), 2, &["the trajectory itself"]);
    bad(
        &folder,
        &format!("{start} --potential gdml:field.npz"),
        1,
        &["m.safetensors.labels", "another file"],
    );
    wrong("--potential magic:x", &["magic", "gdml:FILE"]);
    for option in ["--checkpoint", "--report"] {
        let file = "m.safetensors.labels";
        wrong(&format!("--potential gdml:field.npz {option} {file}"), &[file, "where the labels are kept"]);
    }
    bad(
        &folder,
        "train data.npz -o n.safetensors --feature-cache here",
        2,
        &["--feature-cache is for", "fk"],
    );
}

#[test]
fn feature_forces_are_kept_where_asked() {
    let (_keep, folder) = room();
    let train = |name: &str, more: &str| {
        let done = run(&folder, &format!("train data.npz -v -o {name} {KERNEL} --steps 50 {more}"));
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
        (std::fs::read(folder.join(name)).unwrap(), said)
    };
    let there = || -> Vec<PathBuf> {
        std::fs::read_dir(folder.join("kept")).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    // Few frames: nothing beside them. The cost is counted as the paper counts it: 3 + 45 + 6 operations a pair, and D^3.
    let (plain, said) = train("plain.safetensors", "");
    assert!(
        said.contains("3915 operations a frame (30 Jacobian, 450 Gram matrix, 3375 pseudo-inverse, 60"),
        "{said}"
    );
    assert!(!folder.join("data.npz.features").exists());
    let (first, said) = train("first.safetensors", "--feature-cache kept");
    assert!(said.contains("feature forces kept in kept/G-"), "{said}");
    let (second, said) = train("second.safetensors", "--feature-cache kept");
    assert!(
        said.contains("feature forces taken from kept/G-") && !said.contains("operations a frame"),
        "{said}"
    );
    assert!(plain == first && first == second);
    let files = there();
    assert_eq!(files.len(), 1, "{files:?}");
    // Damaged: said, and made good.
    let mut bytes = std::fs::read(&files[0]).unwrap();
    let whole = bytes.clone();
    let last = bytes.len() - 9;
    bytes[last] ^= 4;
    std::fs::write(&files[0], bytes).unwrap();
    let (third, said) = train("third.safetensors", "--feature-cache kept");
    assert!(said.contains("warn: kept/G-") && said.contains("computed again: it is damaged"), "{said}");
    assert!(third == first && std::fs::read(&files[0]).unwrap() == whole);
    // A place that cannot be written in.
    let (fourth, said) = train("fourth.safetensors", "--feature-cache data.npz");
    assert!(said.contains("feature forces are not kept: data.npz"), "{said}");
    let (fifth, said) = train("fifth.safetensors", "--feature-cache off");
    assert!(!said.contains("kept"), "{said}");
    assert!(fourth == first && fifth == first);
}
