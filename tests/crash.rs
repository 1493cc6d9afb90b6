//! Commands that are killed with SIGKILL at any moment: what they leave is whole or absent, and giving the command again
//! ends with the bytes of an undisturbed run. BOLTZDRIFT_KILLS says how often each command is killed.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(all(feature = "train", unix))]

#[allow(dead_code)]
mod analytic;
mod command;
#[allow(dead_code)]
#[path = "label/fields.rs"]
mod fields;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use boltzdrift::sampler::noise::{Purpose, Stream};
use command::{boltzdrift, good, SMALL};
use fields::frames;

/// A command that is killed.
struct Stage {
    name: &'static str,
    /// The command up to its output.
    command: &'static str,
    output: &'static str,
    /// What follows the output where the run is new, and where it goes on from its checkpoint.
    new: &'static str,
    resumed: Option<&'static str>,
}

const STAGES: [Stage; 5] = [
    Stage {
        name: "label",
        command: "label data.npz --potential gdml:field.npz",
        output: "labelled.npz",
        new: "--batch 4 --threads 1",
        resumed: None,
    },
    Stage {
        name: "fit",
        command: "fit data.npz -n 60",
        output: "fitted.npz",
        new: "--threads 1",
        resumed: None,
    },
    Stage {
        name: "equilibrate",
        command: "equilibrate data.npz --potential gdml:field.npz --checkpoint-every 3",
        output: "pool.npz",
        new: "--temperature 500K -n 200 --chains 32 --effective 100 --r-hat 1.2 --warmup 40 --ladder off",
        resumed: Some(""),
    },
    Stage {
        name: "train",
        command: "train data.npz --checkpoint-every 50 --device cpu",
        output: "trained.safetensors",
        new: "--config small.toml --steps 1500",
        resumed: Some(""),
    },
    Stage {
        name: "sample",
        command: "sample model.safetensors -n 30000",
        output: "drawn.xyz",
        new: "",
        resumed: None,
    },
];

impl Stage {
    /// The command as a user gives it, with what is there of an earlier run.
    fn arguments(&self, folder: &Path, output: &str) -> String {
        let checkpoint = format!("{output}.checkpoint");
        let more = match self.resumed {
            Some(more) if folder.join(&checkpoint).exists() => format!("{more} --resume {checkpoint}"),
            _ => self.new.to_owned(),
        };
        format!("{} -o {output} {more} -q", self.command)
    }
}

fn kills() -> usize {
    std::env::var("BOLTZDRIFT_KILLS").map_or(6, |kills| kills.parse().unwrap())
}

/// Kills a stage so many times; how often its output was there, and how often it went on.
fn killed(folder: &Path, stage: &Stage, kills: usize) -> (usize, usize) {
    let whole = format!("whole-{}", stage.output);
    let start = Instant::now();
    good(folder, &stage.arguments(folder, &whole));
    let mut time = start.elapsed().as_secs_f64();
    let whole = std::fs::read(folder.join(whole)).unwrap();
    let output = folder.join(stage.output);
    let rests = [".checkpoint", ".partial"].map(|end| folder.join(format!("{}{end}", stage.output)));
    let (mut ended, mut resumed) = (0, 0);
    let mut stream = Stream::new(11, Purpose::Data, 0);
    for _ in 0..kills {
        resumed += usize::from(rests.iter().any(|rest| rest.exists()));
        let mut child = boltzdrift()
            .current_dir(folder)
            .args(stage.arguments(folder, stage.output).split_whitespace())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs_f64(1.1 * time * stream.uniform()));
        let _ = child.kill();
        let done = child.wait_with_output().unwrap();
        // Killed, or done already: never refused what the kill before left.
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() || done.status.code().is_none(), "{}: {said}", stage.name);
        // The machine may be busier or idler than when the time was taken.
        time *= if output.exists() { 0.8 } else { 1.1 };
        if output.exists() {
            assert!(std::fs::read(&output).unwrap() == whole, "{}: a torn output", stage.name);
            ended += 1;
            std::fs::remove_file(&output).unwrap();
            rests.iter().for_each(|rest| drop(std::fs::remove_file(rest)));
        }
    }
    good(folder, &stage.arguments(folder, stage.output));
    assert!(std::fs::read(&output).unwrap() == whole, "{}: another result after the kills", stage.name);
    assert!(rests.iter().all(|rest| !rest.exists()), "{}: a rest is left", stage.name);
    (ended, resumed)
}

#[test]
fn killed_commands_end_with_the_bytes_of_undisturbed_ones() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path();
    frames(&folder.join("data.npz"), 1500);
    std::fs::write(folder.join("small.toml"), SMALL).unwrap();
    good(folder, "fit data.npz -o field.npz -n 300 --sigma 10 --ridge 1e-9 -q");
    good(folder, "train data.npz -o model.safetensors --config small.toml --steps 100 --device cpu -q");
    for stage in &STAGES {
        let start = Instant::now();
        let (ended, resumed) = killed(folder, stage, kills());
        println!(
            "{}: {} kills, {ended} after the output was there, {resumed} runs went on, {:.0} s",
            stage.name,
            kills(),
            start.elapsed().as_secs_f64()
        );
    }
}
