//! Frames on which the potential fails.

use boltzdrift::dataset::{self, Dataset, ReadOptions};
use boltzdrift::label::{Labeling, Settings};
use boltzdrift::potential::{evaluate, Gdml, Potential};
use boltzdrift::{Error, Result};
use ndarray::{s, ArrayView3, ArrayViewMut1, ArrayViewMut3, Axis};

use crate::command::{bad, good, run};
use crate::fields::{field, finish, frames, load, Analytic, Way, FAR};

/// Frames 5, 7, 9, ... of the file; the potential fails on two of them.
fn slice(folder: &std::path::Path) -> Dataset {
    let path = folder.join("data.npz");
    let mut data = frames(&path, 60);
    for frame in [21, 45] {
        data.positions.slice_mut(s![frame, .., 0]).mapv_inplace(|x| x + 2.0 * FAR);
    }
    let rows: Vec<usize> = (5..60).step_by(2).collect();
    let mut slice = data.subset(&rows).unwrap();
    assert_eq!(slice.source.frames, rows);
    slice.source.digest = slice.digest();
    slice
}

#[test]
fn a_failing_frame_is_named_as_in_the_file_and_left_out_where_asked() {
    let reference = tempfile::tempdir().unwrap();
    let mut outputs = Vec::new();
    for (way, batch) in [(Way::Says, 64), (Way::Says, 1), (Way::Force, 9), (Way::Energy, 10)] {
        let room = tempfile::tempdir().unwrap();
        let partial = room.path().join("partial");
        let mut data = slice(room.path());
        data.source.path = "data.npz".into();
        let mut potential = Analytic { way, ..Analytic::default() };
        let settings = Settings { batch, skip_failing: false };
        for attempt in 0..2 {
            let labeling = Labeling::new(&data, &mut potential, &partial, settings).unwrap();
            // The frames before the failing one are kept.
            assert_eq!(labeling.progress().done, 8 * attempt);
            let error = labeling.run(&mut |_| Ok(())).err().unwrap();
            assert!(matches!(error, Error::Potential { frame: 21, .. }), "{error}");
            let said = error.to_string();
            for word in ["potential analytic, frame 21:", "data.npz", "--skip-failing"] {
                assert!(said.contains(word) && !said.contains('\n'), "{said}");
            }
        }
        let skip = Settings { skip_failing: true, ..settings };
        let labelled = Labeling::new(&data, &mut potential, &partial, skip).unwrap();
        let labelled = labelled.run(&mut |_| Ok(())).unwrap();
        assert_eq!(labelled.left_out().unwrap(), "2 of 28 frames left out as failing: frames 21, 45");
        assert_eq!(labelled.len(), 26);
        // No frame is evaluated more than twice: in its batch, and alone where the batch failed; the attempts add
        // the batch in which they failed.
        assert!(potential.frames <= 2 * 28 + 2 * 28, "{}", potential.frames);
        let out = reference.path().join("out.npz");
        let difference = finish(&data, &labelled, &out);
        assert!(difference.forces.unwrap() < 1e-9 && difference.energies.unwrap() < 1e-9, "{difference:?}");
        outputs.push(std::fs::read(&out).unwrap());
        let back = load(&out);
        let keep: Vec<usize> = (0..28).filter(|&row| row != 8 && row != 20).collect();
        let kept = data.positions.select(Axis(0), &keep);
        let (energies, forces) = evaluate(&mut potential, &data.species, kept.view()).unwrap();
        assert!(back.positions == kept && back.energies == Some(energies) && back.forces == Some(forces));
        // What was left out is not taken back in silence.
        drop(labelled);
        let error = Labeling::new(&data, &mut potential, &partial, settings).err().unwrap();
        let said = error.to_string();
        assert!(said.contains("frames 21, 45") && said.contains("--skip-failing again"), "{said}");
        let again = Labeling::new(&data, &mut potential, &partial, skip).unwrap();
        again.run(&mut |_| Ok(())).unwrap().remove_partial().unwrap();
        assert!(!partial.exists());
    }
    assert!(outputs.iter().all(|bytes| *bytes == outputs[0]));
}

/// Answers with the frames' own numbers; one call fails, whatever it is asked for.
struct Once<'a> {
    data: &'a Dataset,
    way: Way,
    /// Calls before the one that fails.
    before: usize,
    frames: usize,
}

impl Potential for Once<'_> {
    fn energies_forces(
        &mut self,
        _species: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        self.frames += positions.dim().0;
        energies.fill(1.5);
        forces.assign(&positions);
        let fails = self.before == 0;
        self.before = self.before.wrapping_sub(1);
        match self.way {
            Way::Says if fails => {
                let (name, message) = (self.name(), "too late".into());
                return Err(Error::Potential { name, frame: 2, status: Some(11), message });
            }
            Way::Force if fails => forces[[3, 0, 0]] = f64::NAN,
            _ => {}
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("once for {} frames", self.data.len())
    }
}

/// A failure stops the work also where the same frames are answered when they are asked for again: it is the caller's to
/// judge. What is done is kept, and the next run goes on.
#[test]
fn a_call_that_fails_once_stops_the_work_and_loses_nothing() {
    let room = tempfile::tempdir().unwrap();
    let data = frames(&room.path().join("data.npz"), 30);
    // A NaN says which frame it is: the three before it are kept. Else the batch is gone through one by one, and is kept.
    for (way, frame, kept, words) in [
        (Way::Force, 13, 13, "not finite"),
        (Way::Says, 12, 20, "too late; so with 10 frames at once, and with none"),
    ] {
        let partial = room.path().join(format!("partial-{frame}"));
        let mut potential = Once { data: &data, way, before: 1, frames: 0 };
        let settings = Settings { batch: 10, skip_failing: false };
        let labeling = Labeling::new(&data, &mut potential, &partial, settings).unwrap();
        let error = labeling.run(&mut |_| Ok(())).err().unwrap();
        let status = (way == Way::Says).then_some(11);
        assert!(
            matches!(error, Error::Potential { frame: f, status: s, .. } if f == frame && s == status),
            "{error}"
        );
        let said = error.to_string();
        assert!(said.contains(words) && said.contains(&format!("{kept} of 30 frames are kept")), "{said}");
        let asked = potential.frames;
        let labelled = Labeling::new(&data, &mut potential, &partial, settings).unwrap();
        assert_eq!(labelled.progress().done, kept);
        assert_eq!(labelled.run(&mut |_| Ok(())).unwrap().len(), 30);
        assert_eq!(potential.frames - asked, 30 - kept);
    }
    // Where failing frames are left out, none is: each of them has an answer alone.
    let mut potential = Once { data: &data, way: Way::Says, before: 1, frames: 0 };
    let settings = Settings { batch: 10, skip_failing: true };
    let labeling = Labeling::new(&data, &mut potential, &room.path().join("other"), settings).unwrap();
    assert_eq!(labeling.run(&mut |_| Ok(())).unwrap().left_out(), None);
}

#[test]
fn nothing_is_written_where_every_frame_fails() {
    let room = tempfile::tempdir().unwrap();
    let mut data = slice(room.path()).subset(&[8, 20]).unwrap();
    data.source.digest = data.digest();
    let mut potential = Analytic::default();
    let settings = Settings { batch: 4, skip_failing: true };
    let labeling = Labeling::new(&data, &mut potential, &room.path().join("partial"), settings).unwrap();
    let said = labeling.run(&mut |_| Ok(())).err().unwrap().to_string();
    assert!(said.contains("every frame") && said.contains("partial"), "{said}");
}

#[test]
fn the_command_names_the_frame_and_leaves_it_out() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path();
    let data = frames(&folder.join("data.npz"), 40);
    // Forces so large on the frames of the fit that they overflow, and none anywhere else.
    let mut parts = field(2).parts().clone();
    let x = data.positions.select(Axis(0), &[13, 25]);
    parts.descriptors = boltzdrift::potential::gdml::inverse_distances(x.view());
    (parts.sigma, parts.scale) = (1e-5, 1e308);
    Gdml::new(parts).unwrap().save(folder.join("field.npz")).unwrap();
    let command = "label data.npz -o out.xyz --potential gdml:field.npz --frames 3:39:2 --batch 4";
    for _ in 0..2 {
        bad(folder, command, 1, &["potential gdml", "frame 13:", "data.npz", "not finite", "--skip-failing"]);
    }
    assert!(!folder.join("out.xyz").exists() && folder.join("out.xyz.partial").exists());
    let done = run(folder, &format!("{command} --skip-failing"));
    let (said, warned) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(
        said.contains("going on after 5 of 18 frames") && said.contains("16 frames with labels"),
        "{said}"
    );
    assert!(warned.contains("data.npz: 2 of 18 frames left out as failing: frames 13, 25"), "{warned}");
    assert!(!folder.join("out.xyz.partial").exists());
    let options = ReadOptions { need_forces: true, ..ReadOptions::default() };
    assert_eq!(dataset::read(&folder.join("out.xyz"), &options, &mut |_| Ok(())).unwrap().len(), 16);
    // Without a failing frame the option changes nothing.
    let command = "label data.npz --potential gdml:field.npz --frames 26:39";
    good(folder, &format!("{command} -o a.npz"));
    good(folder, &format!("{command} -o b.npz --skip-failing"));
    assert!(std::fs::read(folder.join("a.npz")).unwrap() == std::fs::read(folder.join("b.npz")).unwrap());
}
