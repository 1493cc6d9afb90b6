//! The file of partial results: torn, damaged, or another's.

use std::path::{Path, PathBuf};

use boltzdrift::dataset::Dataset;
use boltzdrift::label::{Labeling, Settings};
use boltzdrift::potential::{Gdml, Potential};
use boltzdrift::{Error, Result};
use ndarray::{ArrayView3, ArrayViewMut1, ArrayViewMut3};

use crate::fields::{field, finish, frames, Analytic};

/// Bytes of a record of five atoms.
pub const RECORD: usize = 24 + 24 * 5 + 16;

/// Length of the header.
pub fn header(bytes: &[u8]) -> usize {
    16 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize + 32
}

fn stop() -> Result<()> {
    Err(Error::Interrupted("stop".into()))
}

/// Labels until so many frames are done.
fn until(data: &Dataset, potential: &mut Analytic, partial: &Path, frames: usize) {
    let settings = Settings { batch: 3, ..Settings::default() };
    let labeling = Labeling::new(data, potential, partial, settings).unwrap();
    let ended = labeling.run(&mut |progress| if progress.done >= frames { stop() } else { Ok(()) });
    assert!(matches!(ended.err().unwrap(), Error::Interrupted(_)));
}

/// A folder, its frames, and the path of partial results of the first 12 of 30 frames.
fn half() -> (tempfile::TempDir, Dataset, PathBuf) {
    let room = tempfile::tempdir().unwrap();
    let data = frames(&room.path().join("data.npz"), 30);
    let partial = room.path().join("partial");
    until(&data, &mut Analytic::default(), &partial, 12);
    let bytes = std::fs::read(&partial).unwrap();
    assert_eq!(bytes.len(), header(&bytes) + 12 * RECORD);
    (room, data, partial)
}

#[test]
fn a_torn_end_is_computed_again() {
    let (room, data, partial) = half();
    let whole = std::fs::read(&partial).unwrap();
    let start = header(&whole);
    let out = room.path().join("out.npz");
    let mut expected = Vec::new();
    let mut cuts = vec![start + 12 * RECORD, start];
    cuts.extend([1, 7, 8, 20, 100, RECORD - 1].map(|more| start + 8 * RECORD + more));
    let mut zeroed = whole[..start + 10 * RECORD + 5].to_vec();
    zeroed.resize(start + 12 * RECORD, 0);
    let texts = cuts.iter().map(|&cut| whole[..cut].to_vec()).chain([zeroed]);
    for bytes in texts {
        let there = match bytes.len() == whole.len() && bytes != whole {
            true => 10,
            false => (bytes.len() - start) / RECORD,
        };
        std::fs::write(&partial, &bytes).unwrap();
        let mut potential = Analytic::default();
        let labeling = Labeling::new(&data, &mut potential, &partial, Settings::default()).unwrap();
        assert_eq!(labeling.progress().done, there);
        let labelled = labeling.run(&mut |_| Ok(())).unwrap();
        finish(&data, &labelled, &out);
        labelled.remove_partial().unwrap();
        assert_eq!(potential.frames, 30 - there);
        let now = std::fs::read(&out).unwrap();
        assert!(expected.is_empty() || expected == now);
        expected = now;
    }
}

#[test]
fn damage_is_named() {
    let (_room, data, partial) = half();
    let whole = std::fs::read(&partial).unwrap();
    let start = header(&whole);
    let refused = |bytes: &[u8], words: &[&str]| {
        std::fs::write(&partial, bytes).unwrap();
        let mut potential = Analytic::default();
        let error = Labeling::new(&data, &mut potential, &partial, Settings::default()).err().unwrap();
        let said = error.to_string();
        assert!(matches!(error, Error::Data { .. }) && !said.contains('\n'), "{said}");
        for word in words.iter().chain(&["partial", "remove"]) {
            assert!(said.contains(word), "'{word}' is not in: {said}");
        }
        assert!(std::fs::read(&partial).unwrap() == bytes, "it was touched");
    };
    for (place, record) in [(0, "record 0 "), (5 * RECORD + 30, "record 5 "), (11 * RECORD - 1, "record 10 ")]
    {
        let mut bytes = whole.clone();
        bytes[start + place] ^= 4;
        refused(&bytes, &[record, "damaged"]);
    }
    // Records in another order, twice, or too many.
    let record = |k: usize| &whole[start + k * RECORD..start + (k + 1) * RECORD];
    refused(&[&whole[..start], record(1), record(0), record(2)].concat(), &["record 0 "]);
    refused(&[&whole[..], &whole[start..], &whole[start..]].concat(), &["record"]);
    for place in 16..start {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        refused(&bytes, &["header", "damaged"]);
    }
    for cut in [16, 40, start - 1] {
        refused(&whole[..cut], &["header", "damaged"]);
    }
    let mut bytes = whole.clone();
    bytes[8] = 9;
    refused(&bytes, &["version 9"]);
    for text in ["", "old", "something else, and a good deal longer"] {
        refused(text.as_bytes(), &["this is another file"]);
    }
    // Damage that is done between the labels and their writing is seen too.
    std::fs::write(&partial, &whole).unwrap();
    let mut potential = Analytic::default();
    let labeling = Labeling::new(&data, &mut potential, &partial, Settings::default()).unwrap();
    let labelled = labeling.run(&mut |_| Ok(())).unwrap();
    let mut bytes = std::fs::read(&partial).unwrap();
    bytes[start + 20 * RECORD + 50] ^= 1;
    std::fs::write(&partial, bytes).unwrap();
    let options = boltzdrift::dataset::WriteOptions {
        species: data.species.clone(),
        masses: data.masses.clone(),
        velocities: true,
        ..Default::default()
    };
    let out = partial.with_extension("npz");
    let mut writer = boltzdrift::dataset::Writer::create(&out, &options).unwrap();
    let said = labelled.write(&mut writer).unwrap_err().to_string();
    assert!(said.contains("record 20 ") && said.contains("partial"), "{said}");
}

#[test]
fn results_of_others_are_not_taken() {
    let (room, data, partial) = half();
    let bytes = std::fs::read(&partial).unwrap();
    let refused = |data: &Dataset, potential: &mut dyn boltzdrift::potential::Potential, word: &str| {
        let error = Labeling::new(data, potential, &partial, Settings::default()).err().unwrap();
        let said = error.to_string();
        assert!(matches!(error, Error::Usage(_)) && !said.contains('\n'), "{said}");
        for word in [word, "partial:", "remove it to begin anew"] {
            assert!(said.contains(word), "'{word}' is not in: {said}");
        }
    };
    refused(&data.subset(&[1, 2, 3]).unwrap(), &mut Analytic::default(), "of 30 frames, not of these 3");
    let mut other = data.clone();
    other.positions[[29, 0, 0]] += 1e-9;
    other.source.digest = other.digest();
    refused(&other, &mut Analytic::default(), "of other frames");
    let mut other = data.clone();
    other.species[0] = 14;
    refused(&other, &mut Analytic::default(), "of another molecule");
    refused(&data, &mut field(4), "by another potential, analytic, not gdml");
    assert!(std::fs::read(&partial).unwrap() == bytes, "it was touched");
    // One coefficient apart, under the same name.
    let (mut one, kept) = (field(4), room.path().join("partial:gdml"));
    let labeling = Labeling::new(&data, &mut one, &kept, Settings::default()).unwrap();
    labeling.run(&mut |_| Ok(())).unwrap();
    let mut parts = one.parts().clone();
    parts.coefficients[[0, 0]] += 1e-9;
    let mut other = Gdml::new(parts).unwrap();
    let said = Labeling::new(&data, &mut other, &kept, Settings::default()).err().unwrap().to_string();
    assert!(said.contains("another potential of the same name"), "{said}");
}

#[test]
fn two_runs_do_not_mix() {
    let (room, data, partial) = half();
    let (mut a, mut b) = (Analytic::default(), Analytic::default());
    let settings = Settings { batch: 3, ..Settings::default() };
    let refused = |said: String| assert!(said.contains("another run") && said.contains("partial"), "{said}");
    // The second is refused before it asks for a frame, and the first goes on.
    let first = Labeling::new(&data, &mut a, &partial, settings).unwrap();
    refused(Labeling::new(&data, &mut b, &partial, settings).err().unwrap().to_string());
    assert_eq!(first.run(&mut |_| Ok(())).unwrap().len(), 30);
    assert_eq!((a.frames, b.frames), (18, 0));
    // Both began before there was a file: whose first labels come second is refused, and takes nothing away.
    let other = room.path().join("other");
    let slow = Labeling::new(&data, &mut a, &other, settings).unwrap();
    let fast = Labeling::new(&data, &mut b, &other, settings).unwrap();
    let ended = fast.run(&mut |progress| if progress.done >= 12 { stop() } else { Ok(()) });
    assert!(matches!(ended.err().unwrap(), Error::Interrupted(_)));
    refused(slow.run(&mut |_| Ok(())).err().unwrap().to_string());
    assert_eq!(Labeling::new(&data, &mut a, &other, settings).unwrap().progress().done, 12);
}

/// A potential of a file, as its name says.
struct OfFile(&'static str, Analytic);

impl Potential for OfFile {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        energies: ArrayViewMut1<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        self.1.energies_forces(species, positions, energies, forces)
    }

    fn name(&self) -> String {
        format!("of {}", self.0)
    }

    fn identity(&self) -> String {
        "digest".into()
    }
}

/// The same potential by another path goes on.
#[test]
fn the_potential_is_known_by_its_identity() {
    let room = tempfile::tempdir().unwrap();
    let data = frames(&room.path().join("data.npz"), 30);
    let partial = room.path().join("partial");
    let settings = Settings { batch: 3, ..Settings::default() };
    let [mut a, mut b] = ["field", "./field"].map(|path| OfFile(path, Analytic::default()));
    let labeling = Labeling::new(&data, &mut a, &partial, settings).unwrap();
    let ended = labeling.run(&mut |progress| if progress.done >= 12 { stop() } else { Ok(()) });
    assert!(matches!(ended.err().unwrap(), Error::Interrupted(_)));
    let labeling = Labeling::new(&data, &mut b, &partial, settings).unwrap();
    assert_eq!(labeling.progress().done, 12);
    assert_eq!(labeling.run(&mut |_| Ok(())).unwrap().len(), 30);
    assert_eq!((a.1.frames, b.1.frames), (12, 18));
}
