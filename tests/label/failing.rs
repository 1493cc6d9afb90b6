//! Frames on which the potential fails.

use boltzdrift::dataset::{self, Dataset, ReadOptions};
use boltzdrift::label::{Labeling, Settings};
use boltzdrift::potential::{evaluate, Gdml};
use boltzdrift::Error;
use ndarray::{s, Axis};

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
        let error = Labeling::new(&data, &mut potential, &partial, settings).err().unwrap();
        let said = error.to_string();
        assert!(said.contains("frames 21, 45") && said.contains("--skip-failing again"), "{said}");
        labelled.remove_partial().unwrap();
    }
    assert!(outputs.iter().all(|bytes| *bytes == outputs[0]));
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
