//! The command line as a user meets it: training, stopping and going on, sampling, and what it says of
//! wrong input.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

mod command;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boltzdrift::sampler::noise::{Purpose, Stream};
use command::{bad, boltzdrift, full_disk, good, SMALL};

/// A bent triatomic with normal bond lengths (0.97 +- 0.03) and angle (1.82 +- 0.1 rad), N frames.
fn water(frames: usize, extra: impl Fn(usize, usize) -> String, properties: &str) -> String {
    let mut text = String::new();
    for frame in 0..frames {
        let mut stream = Stream::new(17, Purpose::Data, frame as u64);
        let (a, b) = (0.97 + 0.03 * stream.normal(), 0.97 + 0.03 * stream.normal());
        let angle = 1.82 + 0.1 * stream.normal();
        writeln!(text, "3\nProperties=species:S:1:pos:R:3{properties}").unwrap();
        let atoms = [("O", 0.0, 0.0), ("H", a, 0.0), ("H", b * angle.cos(), b * angle.sin())];
        for (k, (name, x, y)) in atoms.iter().enumerate() {
            writeln!(text, "{name} {x:.8} {y:.8} 0.0{}", extra(frame, k)).unwrap();
        }
    }
    text
}

fn plain(frames: usize) -> String {
    water(frames, |_, _| String::new(), "")
}

fn room() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    std::fs::write(path.join("water.xyz"), plain(2000)).unwrap();
    std::fs::write(path.join("small.toml"), SMALL).unwrap();
    (folder, path)
}

#[test]
fn two_commands_from_a_trajectory_to_seeds() {
    let (_keep, folder) = room();
    let said = good(
        &folder,
        "train water.xyz -o water.safetensors --config small.toml --steps 1500 --temperature 300K --device cpu",
    );
    assert!(said.contains("2000 frames of 3 atoms") && said.contains("TVD"), "{said}");
    assert!(!folder.join("water.safetensors.checkpoint").exists());
    good(&folder, "sample water.safetensors -n 2000 -o seeds.xyz --velocities");
    let json: serde_json::Value =
        serde_json::from_str(&good(&folder, "evaluate seeds.xyz --reference water.xyz --json")).unwrap();
    // The widths that the frames were drawn with: 0.03 angstrom a bond.
    let width = json["bond_sigma"].as_f64().unwrap();
    assert!((0.85..1.15).contains(&width), "bond width ratio {width}");
    assert!(json["pair_tvd"].as_f64().unwrap() < 0.2, "{}", json["pair_tvd"]);
    assert!(json["floor_tvd"].as_f64().unwrap() < 0.1);
    let table = good(&folder, "evaluate seeds.xyz --reference water.xyz");
    assert!(table.contains("TVD") || table.contains("tvd"), "{table}");
    // A unit style is for the file that declares none: a dump of the library's own names its units, which hold.
    good(&folder, "sample water.safetensors -n 2000 -o seeds.lammpstrj");
    let of =
        |more: &str| good(&folder, &format!("evaluate seeds.lammpstrj --reference water.xyz --json {more}"));
    assert_eq!(of("--units metal"), of(""));
    bad(
        &folder,
        "inspect seeds.lammpstrj --units metal",
        2,
        &["declares units real", "leave the option out"],
    );
    let look = good(&folder, "inspect water.xyz --json");
    let look: serde_json::Value = serde_json::from_str(&look).unwrap();
    assert!(look.to_string().contains("symmetry"));

    // Any split of the ensemble gives the same structures, on any number of threads.
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    good(&folder, "sample water.safetensors -n 2000 -o again.xyz --velocities --threads 1");
    assert_eq!(text("seeds.xyz"), text("again.xyz"));
    good(&folder, "sample water.safetensors -n 40 --first 1234 -o part.xyz --velocities");
    let block = |name: &str, start: usize, count: usize| -> Vec<String> {
        text(name).lines().skip(5 * start).take(5 * count).map(str::to_owned).collect()
    };
    assert_eq!(block("seeds.xyz", 1234, 40), block("part.xyz", 0, 40));
    good(&folder, "sample water.safetensors -n 40 -o other.xyz --seed 1");
    assert_ne!(block("other.xyz", 0, 1)[2], block("seeds.xyz", 0, 1)[2]);

    // Training again gives the same sampler.
    good(&folder, "train water.xyz -o again.safetensors --config small.toml --steps 1500 --temperature 300K --device cpu");
    assert_eq!(
        std::fs::read(folder.join("water.safetensors")).unwrap(),
        std::fs::read(folder.join("again.safetensors")).unwrap()
    );
    // So does a batch of several parts, on any number of threads.
    std::fs::write(folder.join("parts.toml"), SMALL.replace("batch = 128", "batch = 700")).unwrap();
    let trained = |threads: usize| {
        let options = "--config parts.toml --steps 60 --temperature 300K --device cpu";
        good(
            &folder,
            &format!("train water.xyz -o parts{threads}.safetensors {options} --threads {threads}"),
        );
        std::fs::read(folder.join(format!("parts{threads}.safetensors"))).unwrap()
    };
    assert!(trained(1) == trained(3));
}

#[test]
fn ctrl_c_saves_and_resume_goes_on_as_if_nothing_had_happened() {
    let (_keep, folder) = room();
    let common = "--config small.toml --steps 4000 --device cpu --checkpoint-every 200";
    good(&folder, &format!("train water.xyz -o whole.safetensors {common}"));
    let arguments = format!("train water.xyz -o parts.safetensors {common}");
    let child = boltzdrift()
        .current_dir(&folder)
        .args(arguments.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let kept = folder.join("parts.safetensors.checkpoint");
    let start = Instant::now();
    while !kept.exists() && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stopped after step") && said.contains("--resume"), "{said}");
    assert!(!folder.join("parts.safetensors").exists());
    // A forgotten checkpoint is not written over, nor mixed with other settings or data.
    bad(&folder, &arguments, 2, &["--resume", "parts.safetensors.checkpoint"]);
    bad(
        &folder,
        "train water.xyz -o parts.safetensors --resume parts.safetensors.checkpoint --steps 5",
        2,
        &["settings"],
    );
    bad(
        &folder,
        "train water.xyz -o parts.safetensors --resume parts.safetensors.checkpoint --frames :1000",
        2,
        &["other data"],
    );
    good(&folder, "train water.xyz -o parts.safetensors --resume parts.safetensors.checkpoint --device cpu");
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("whole.safetensors") == bytes("parts.safetensors"), "the resumed sampler differs");
    assert!(!kept.exists());
}

#[test]
fn the_papers_methods_train_and_need_forces() {
    let (_keep, folder) = room();
    let forces = |_: usize, atom: usize| format!(" {} 0.5 0.0", atom as f64 - 1.0);
    std::fs::write(folder.join("forces.xyz"), water(300, forces, ":forces:R:3")).unwrap();
    let small = "width = 32\ndepth = 2\nbatch = 32\npositives = 64\n";
    std::fs::write(folder.join("kernel.toml"), small).unwrap();
    for method in ["drift", "fk", "fi", "fi+fk"] {
        good(
            &folder,
            &format!("train forces.xyz --units real -o k.safetensors --config kernel.toml --method {method} --steps 60 --device cpu"),
        );
        good(&folder, "sample k.safetensors -n 5 -o k.xyz");
        std::fs::remove_file(folder.join("k.safetensors")).unwrap();
    }
    bad(&folder, "train water.xyz -o k.safetensors --method fk", 1, &["water.xyz", "forces"]);
    bad(&folder, "train forces.xyz -o k.safetensors", 2, &["units"]);
    let nan =
        |frame: usize, atom: usize| if frame == 7 && atom == 2 { " nan 0 0" } else { " 0 0 0" }.to_owned();
    std::fs::write(folder.join("nan.xyz"), water(20, nan, ":forces:R:3")).unwrap();
    bad(
        &folder,
        "train nan.xyz --units real -o k.safetensors --method fk",
        1,
        &["nan.xyz", "frame 7", "atom 2"],
    );
}

#[test]
fn wrong_input_is_named_in_one_line() {
    let (_keep, folder) = room();
    std::fs::write(folder.join("one.xyz"), plain(1)).unwrap();
    std::fs::write(folder.join("junk.safetensors"), "not a model").unwrap();
    bad(&folder, "train nowhere.xyz -o m.safetensors", 1, &["nowhere.xyz"]);
    bad(&folder, "train one.xyz -o m.safetensors", 2, &["one.xyz", "1 frame"]);
    bad(&folder, "inspect water.xyz --units furlong", 2, &["furlong", "real"]);
    bad(&folder, "train water.xyz -o m.safetensors --temperature 300", 2, &["unit"]);
    bad(&folder, "train water.xyz -o m.safetensors --method magic", 2, &["magic", "sliced"]);
    bad(&folder, "train water.xyz -o m.safetensors --gamma 0.1", 2, &["gamma", "sliced"]);
    bad(&folder, "train water.xyz -o no/such/m.safetensors", 1, &["no/such/m.safetensors"]);
    bad(&folder, "train water.xyz -o m.safetensors --device gpu", 2, &["gpu", "cuda"]);
    bad(&folder, "train water.xyz -o m.safetensors --device cuda:99", 1, &["cuda:99", "--device cpu"]);
    bad(&folder, "train water.xyz -o m.safetensors --select index<0", 1, &["water.xyz"]);
    bad(&folder, "sample junk.safetensors -n 3 -o s.xyz", 1, &["junk.safetensors"]);
    bad(&folder, "sample nowhere.safetensors -n 3 -o s.xyz", 1, &["nowhere.safetensors"]);
    std::fs::write(folder.join("small.toml"), SMALL).unwrap();
    for (output, more, words) in [
        ("./water.xyz", "", "trajectory"),
        ("small.toml", "--config small.toml", "settings"),
        ("m.safetensors", "--checkpoint ./m.safetensors", "checkpoint"),
    ] {
        bad(&folder, &format!("train water.xyz -o {output} --steps 50 {more}"), 2, &[words]);
    }
    let frame: String = plain(1);
    std::fs::write(folder.join("alike.xyz"), frame.repeat(50)).unwrap();
    bad(&folder, "train alike.xyz -o m.safetensors --steps 50", 2, &["alike.xyz", "alike"]);
    let whole = plain(30);
    std::fs::write(folder.join("cut.xyz"), &whole[..whole.len() - 3]).unwrap();
    bad(&folder, "train cut.xyz -o m.safetensors", 1, &["cut.xyz", "frame 29"]);
    assert_eq!(std::fs::read_to_string(folder.join("water.xyz")).unwrap(), plain(2000));
    bad(&folder, "train water.xyz -o m.safetensors --threads 100000", 2, &["threads"]);
    bad(&folder, "train water.xyz -o m.safetensors --threads 0", 2, &["threads"]);
    bad(&folder, "evaluate water.xyz --reference water.xyz --potential magic:x", 2, &["magic", "gdml"]);
    let start = "equilibrate water.xyz --potential gdml:none.npz";
    bad(
        &folder,
        "equilibrate water.xyz -o p.npz --potential magic:x --temperature 300K",
        2,
        &["magic", "gdml"],
    );
    bad(&folder, &format!("{start} -o p.npz --temperature 300K"), 1, &["none.npz"]);
    bad(&folder, &format!("{start} -o p.npz --temperature 300"), 2, &["unit"]);
    bad(&folder, &format!("{start} -o ./water.xyz --temperature 300K"), 2, &["trajectory"]);
    bad(&folder, &format!("{start} -o p.npz --report p.npz --temperature 300K"), 2, &["another output"]);
    bad(&folder, &format!("{start} -o p.npz --temperature 300K --ladder maybe"), 2, &["maybe", "auto"]);
    bad(&folder, &format!("{start} -o p.npz --temperature 300K --chains 1"), 2, &["1 chains"]);
    bad(&folder, &format!("{start} -o p.npz --resume x --chains 4"), 2, &["--limit"]);
    bad(&folder, &format!("{start} -o p.npz --resume x.checkpoint"), 1, &["x.checkpoint"]);
    assert!(!folder.join("p.npz").exists());
    assert!(!folder.join("m.safetensors").exists() && !folder.join("s.xyz").exists());

    good(&folder, "train water.xyz -o m.safetensors --config small.toml --steps 50 --device cpu -q");
    bad(&folder, "sample m.safetensors -n 0 -o s.xyz", 2, &["-n 0"]);
    bad(&folder, "sample m.safetensors -n 3 -o s.xyz --velocities", 2, &["temperature"]);
    bad(&folder, "sample m.safetensors -n 3 -o nowhere/s.xyz", 1, &["nowhere/s.xyz"]);
    bad(&folder, "sample m.safetensors -n 3 -o ./m.safetensors --format npz", 2, &["the sampler itself"]);
    bad(&folder, "sample m.safetensors -n 3 -o s.nonsense", 2, &["nonsense"]);
    good(&folder, "sample m.safetensors -n 300 -o flipped.npz");
    let mut bytes = std::fs::read(folder.join("flipped.npz")).unwrap();
    bytes[3000] ^= 1;
    std::fs::write(folder.join("flipped.npz"), bytes).unwrap();
    bad(&folder, "inspect flipped.npz", 1, &["flipped.npz", "damaged"]);
    let whole = std::fs::read(folder.join("m.safetensors")).unwrap();
    std::fs::write(folder.join("short.safetensors"), &whole[..whole.len() - 40]).unwrap();
    bad(&folder, "sample short.safetensors -n 3 -o s.xyz", 1, &["short.safetensors", "damaged"]);
    assert!(!folder.join("s.xyz").exists());
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let (_keep, folder) = room();
    good(&folder, "train water.xyz -o m.safetensors --config small.toml --steps 50 --device cpu -q");
    for output in ["s.xyz", "s.npz", "s.lammpstrj", "s.gro"] {
        full_disk(&folder, &format!("sample m.safetensors -n 20000 -o {output}"), output, 40);
    }
}
