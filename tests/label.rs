//! Labels: the potential's own numbers whatever the batch, kept through every interruption, and faults that are named.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
mod analytic;
mod command;
#[path = "label/failing.rs"]
mod failing;
#[path = "label/fields.rs"]
mod fields;
#[path = "label/interrupted.rs"]
mod interrupted;
#[path = "label/kept.rs"]
mod kept;

use boltzdrift::dataset::Dataset;
use boltzdrift::label::{Labeling, Settings};
use boltzdrift::potential::{evaluate, Gdml, Potential};
use command::{bad, full_disk, good};
use fields::{field, finish, frames, load, Analytic};

/// Labels `data` in batches of a size and writes it under each name.
fn label(folder: &std::path::Path, data: &Dataset, potential: &mut dyn Potential, batch: usize, name: &str) {
    let settings = Settings { batch, ..Settings::default() };
    let partial = folder.join("partial");
    let labelled = Labeling::new(data, potential, &partial, settings).unwrap();
    let labelled = labelled.run(&mut |_| Ok(())).unwrap();
    finish(data, &labelled, &folder.join(name));
    labelled.remove_partial().unwrap();
    assert!(!partial.exists());
}

#[test]
fn labels_are_the_potentials_whatever_the_batch() {
    let room = tempfile::tempdir().unwrap();
    let data = frames(&room.path().join("data.npz"), 150);
    let mut own: [Box<dyn Potential>; 2] = [Box::new(field(40)), Box::new(Analytic::default())];
    for potential in &mut own {
        let potential = potential.as_mut();
        let (energies, forces) = evaluate(potential, &data.species, data.positions.view()).unwrap();
        for (name, digits) in [("out.npz", 0.0), ("out.xyz", 1e-9), ("out.lammpstrj", 1e-9)] {
            let mut bytes = Vec::new();
            for batch in [1, 7, 64, 150, 10_000] {
                label(room.path(), &data, potential, batch, name);
                let now = std::fs::read(room.path().join(name)).unwrap();
                assert!(bytes.is_empty() || bytes == now, "{name}: batch {batch} gives other labels");
                bytes = now;
            }
            let back = load(&room.path().join(name));
            assert!((&back.positions - &data.positions).iter().all(|d| d.abs() <= digits), "{name}");
            let read = back.forces.unwrap();
            assert!((&read - &forces).iter().all(|d| d.abs() <= digits), "{name}");
            match back.energies {
                Some(read) => assert!((&read - &energies).iter().all(|d| d.abs() <= digits), "{name}"),
                None => assert_eq!(name, "out.lammpstrj"),
            }
        }
        let back = load(&room.path().join("out.npz"));
        assert!(back.energies.unwrap() == energies && back.forces.unwrap() == forces, "not the same bits");
    }
}

#[test]
fn the_command_labels_and_compares() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path();
    let data = frames(&folder.join("data.npz"), 100);
    let mut model = field(40);
    model.save(folder.join("field.npz")).unwrap();
    let said = good(folder, "label data.npz -o out.npz --potential gdml:field.npz --batch 30 --threads 1");
    for word in
        ["differ from the trajectory's own", "rms", "spread", "100 frames with labels by gdml", "out.npz"]
    {
        assert!(said.contains(word), "'{word}' is not in: {said}");
    }
    assert!(!folder.join("out.npz.partial").exists());
    let (energies, forces) = evaluate(&mut model, &data.species, data.positions.view()).unwrap();
    let back = load(&folder.join("out.npz"));
    assert!(back.energies.unwrap() == energies && back.forces.unwrap() == forces);
    // The labels themselves differ by nothing; another batch and output, the same bytes.
    let said = good(folder, "label out.npz -o again.npz --potential gdml:field.npz");
    assert!(said.contains("forces by 0.0000 kcal/mol/angstrom rms (0.00 %)"), "{said}");
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("out.npz") == bytes("again.npz"));
    // Over the trajectory's own name no; over an old output yes, and quietly.
    assert_eq!(good(folder, "label data.npz -o again.npz --potential gdml:field.npz --frames 0:50 -q"), "");
    assert_eq!(load(&folder.join("again.npz")).energies.unwrap(), energies.slice(ndarray::s![..50]));
    // A format without energies says so; velocities come along.
    let done = command::run(folder, "label data.npz -o out.dump --potential gdml:field.npz");
    assert!(String::from_utf8_lossy(&done.stderr).contains("no energies"), "{done:?}");
    assert!(load(&folder.join("out.dump")).velocities.is_some());
}

#[test]
fn what_cannot_be_written_is_refused_at_once() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path();
    frames(&folder.join("data.npz"), 300);
    field(5).save(folder.join("field.npz")).unwrap();
    let start = "label data.npz --potential gdml:field.npz";
    let wrong =
        |options: &str, code: i32, words: &[&str]| bad(folder, &format!("{start} {options}"), code, words);
    wrong("-o data.npz", 2, &["data.npz", "the trajectory itself"]);
    wrong("-o ./field.npz", 2, &["field.npz", "the potential"]);
    wrong("-o none/out.npz", 1, &["none/out.npz", "cannot write"]);
    wrong("-o out.pdb", 2, &["out.pdb", "no place for"]);
    wrong("-o out.whatever", 2, &["out.whatever", "not known"]);
    wrong("-o out.npz --batch 0", 2, &["--batch 0"]);
    bad(folder, "label data.npz -o out.npz --potential magic:x", 2, &["magic", "gdml:FILE"]);
    // The partial results must not fall on the trajectory either.
    std::fs::copy(folder.join("data.npz"), folder.join("out.npz.partial")).unwrap();
    let command = "label out.npz.partial --input-format npz -o out.npz --potential gdml:field.npz";
    bad(folder, command, 2, &["out.npz.partial", "the trajectory itself"]);
    wrong("-o out.npz", 1, &["out.npz.partial", "this is another file", "remove it"]);
    std::fs::remove_file(folder.join("out.npz.partial")).unwrap();
    std::fs::create_dir(folder.join("out.npz.partial")).unwrap();
    wrong("-o out.npz", 2, &["out.npz.partial", "folder"]);
    std::fs::remove_dir(folder.join("out.npz.partial")).unwrap();
    // A force field of another molecule.
    let mut parts = field(5).parts().clone();
    parts.species[0] = 14;
    Gdml::new(parts).unwrap().save(folder.join("other.npz")).unwrap();
    bad(folder, "label data.npz -o out.npz --potential gdml:other.npz", 2, &["the force field is for Si"]);
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    // Full on the way: the old output stays, what was done is kept, and the same command goes on.
    full_disk(folder, &format!("{start} --batch 16 -o full.npz"), "full.npz", 20);
    let said = good(folder, &format!("{start} --batch 16 -o full.npz"));
    assert!(said.contains("going on after "), "{said}");
    good(folder, &format!("{start} -o whole.npz"));
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("full.npz") == bytes("whole.npz"));
}
