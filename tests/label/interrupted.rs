//! Runs that are stopped, or killed: what they have done is not done again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use boltzdrift::label::{Labeling, Settings};
use boltzdrift::Error;

use crate::analytic::Noise;
use crate::command::{boltzdrift, good};
use crate::fields::{field, finish, frames, load, Analytic};
use crate::kept::{header, RECORD};

/// A number from 0 to 1.
fn chance(noise: &mut Noise) -> f64 {
    let x = noise.normal().abs() * 1000.0;
    x - x.floor()
}

/// Whole records in the partial results.
fn records(partial: &Path) -> usize {
    match std::fs::read(partial) {
        Ok(bytes) => (bytes.len() - header(&bytes)) / RECORD,
        Err(_) => 0,
    }
}

/// Kills with SIGKILL once so many frames are done; true where the child had ended by itself.
fn kill_after(mut child: Child, partial: &Path, frames: usize) -> (bool, String) {
    let mut size = 0;
    while child.try_wait().unwrap().is_none() {
        if size == 0 {
            size = std::fs::read(partial).map_or(0, |bytes| header(&bytes) + frames * RECORD);
        }
        if size > 0 && std::fs::metadata(partial).is_ok_and(|data| data.len() >= size as u64) {
            break;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    (ended, String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_run_stopped_between_batches_evaluates_no_frame_twice() {
    let room = tempfile::tempdir().unwrap();
    let data = frames(&room.path().join("data.npz"), 200);
    let (partial, out) = (room.path().join("partial"), room.path().join("out.npz"));
    let mut noise = Noise(11);
    let mut potential = Analytic::default();
    let mut stops = 0;
    let labelled = loop {
        let settings = Settings { batch: 1 + (9.0 * chance(&mut noise)) as usize, ..Settings::default() };
        let labeling = Labeling::new(&data, &mut potential, &partial, settings).unwrap();
        let there = labeling.progress().done;
        match labeling.run(&mut |progress| match progress.done > there && chance(&mut noise) < 0.7 {
            true => Err(Error::Interrupted(progress.done.to_string())),
            false => Ok(()),
        }) {
            Ok(labelled) => break labelled,
            Err(error) => assert_eq!(error.to_string(), records(&partial).to_string()),
        }
        stops += 1;
    };
    assert!(stops >= 20, "{stops}");
    finish(&data, &labelled, &out);
    assert_eq!(potential.frames, 200);
    let whole =
        Labeling::new(&data, &mut potential, &room.path().join("other"), Settings::default()).unwrap();
    finish(&data, &whole.run(&mut |_| Ok(())).unwrap(), &room.path().join("whole.npz"));
    assert!(std::fs::read(&out).unwrap() == std::fs::read(room.path().join("whole.npz")).unwrap());
}

const KILLS: usize = 24;
const BATCH: usize = 4;

/// Labels frames in a process of its own, which is killed: see below. It writes down every frame it evaluates.
#[test]
#[ignore = "started and killed by a_killed_run_goes_on_with_the_batch_in_flight"]
fn killed_child() {
    let folder = PathBuf::from(std::env::var("BOLTZDRIFT_TEST_FOLDER").unwrap());
    let data = load(&folder.join("data.npz"));
    let mut log = std::fs::OpenOptions::new().append(true).create(true).open(folder.join("log")).unwrap();
    let places: Vec<u64> = data.positions.outer_iter().map(|x| x[[0, 0]].to_bits()).collect();
    let watch = move |x: f64| {
        let row = places.iter().position(|place| *place == x.to_bits()).unwrap() as u32;
        log.write_all(&row.to_le_bytes()).unwrap();
        std::thread::sleep(Duration::from_micros(300));
    };
    let mut potential = Analytic { watch: Some(Box::new(watch)), ..Analytic::default() };
    let settings = Settings { batch: BATCH, ..Settings::default() };
    let labeling = Labeling::new(&data, &mut potential, &folder.join("partial"), settings).unwrap();
    let labelled = labeling.run(&mut |_| Ok(())).unwrap();
    finish(&data, &labelled, &folder.join("out.npz"));
}

#[test]
#[cfg(unix)]
fn a_killed_run_goes_on_with_the_batch_in_flight() {
    let room = tempfile::tempdir().unwrap();
    let total = 600;
    let data = frames(&room.path().join("data.npz"), total);
    let partial = room.path().join("partial");
    let log = || -> Vec<usize> {
        let bytes = std::fs::read(room.path().join("log")).unwrap_or_default();
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap()) as usize).collect()
    };
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "interrupted::killed_child", "--ignored"]);
        command.env("BOLTZDRIFT_TEST_FOLDER", room.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut noise = Noise(5);
    let (mut kills, mut done, mut seen) = (0, 0, 0);
    for k in 0.. {
        let target = ((k as f64 + chance(&mut noise)) * total as f64 / KILLS as f64) as usize;
        let (ended, said) = kill_after(start(), &partial, if k < KILLS { target } else { usize::MAX >> 16 });
        let rows = log();
        // It began with the first frame that was missing, and took each once.
        assert!(
            rows[seen..].iter().copied().eq(done..done + rows.len() - seen),
            "{done}: {:?}",
            &rows[seen..]
        );
        seen = rows.len();
        if ended {
            assert!(said.contains("1 passed"), "{said}");
            break;
        }
        kills += 1;
        assert!(records(&partial) >= done && done + BATCH * total >= seen);
        done = records(&partial);
    }
    assert!(kills >= 20, "{kills}");
    assert!(seen <= total + kills * BATCH, "{seen} frames evaluated after {kills} kills");
    let whole = room.path().join("whole.npz");
    let mut potential = Analytic::default();
    let labeling = Labeling::new(&data, &mut potential, &room.path().join("other"), Settings::default());
    finish(&data, &labeling.unwrap().run(&mut |_| Ok(())).unwrap(), &whole);
    assert!(std::fs::read(room.path().join("out.npz")).unwrap() == std::fs::read(whole).unwrap());
}

#[test]
#[cfg(unix)]
fn the_killed_command_ends_with_the_bytes_of_an_undisturbed_one() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path();
    let total = 4000;
    frames(&folder.join("data.npz"), total);
    field(6000).save(folder.join("field.npz")).unwrap();
    let command = |output: &str| {
        format!("label data.npz -o {output} --potential gdml:field.npz --batch {BATCH} --threads 1")
    };
    good(folder, &command("whole.xyz"));
    let partial = folder.join("out.xyz.partial");
    let start = || {
        let mut child = boltzdrift();
        child.current_dir(folder).args(command("out.xyz").split_whitespace()).stdout(Stdio::piped());
        child.spawn().unwrap()
    };
    let mut noise = Noise(8);
    let (mut kills, mut done) = (0, 0);
    // At any moment, reading and writing among them, and at moments spread over the work.
    for k in 0..2 * KILLS {
        let goal = (((k / 2) as f64 + chance(&mut noise)) * total as f64 / KILLS as f64) as usize;
        let mut child = start();
        if k % 2 == 0 {
            std::thread::sleep(Duration::from_micros((40_000.0 * chance(&mut noise)) as u64));
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        } else {
            let (ended, said) = kill_after(child, &partial, goal);
            let going_on = format!("going on after {done} of {total} frames");
            assert!(done == 0 || said.is_empty() || said.contains(&going_on), "{done}: {said}");
            if ended {
                break;
            }
            kills += 1;
        }
        if folder.join("out.xyz").exists() {
            break;
        }
        assert!(records(&partial) >= done, "frames were lost");
        done = records(&partial);
    }
    assert!(kills >= 20 && done > total / 2, "{kills} kills, {done} frames");
    if !folder.join("out.xyz").exists() {
        let said = good(folder, &command("out.xyz"));
        assert!(said.contains(&format!("going on after {done} of {total}")), "{said}");
    }
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("out.xyz") == bytes("whole.xyz"));
}

#[test]
#[cfg(unix)]
fn an_interrupted_command_says_how_to_go_on() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path();
    frames(&folder.join("data.npz"), 4000);
    field(6000).save(folder.join("field.npz")).unwrap();
    let command = "label data.npz -o out.npz --potential gdml:field.npz --batch 2";
    let child = boltzdrift()
        .current_dir(folder)
        .args(command.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while records(&folder.join("out.npz.partial")) < 100 {
        std::thread::sleep(Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let done = records(&folder.join("out.npz.partial"));
    let words =
        [&format!("stopped after {done} of 4000 frames"), "out.npz.partial", "the same command goes on"];
    assert!(words.iter().all(|word| said.contains(*word)) && !folder.join("out.npz").exists(), "{said}");
    assert!(good(folder, command).contains(&format!("going on after {done} of 4000 frames")));
}
