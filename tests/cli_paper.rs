//! `boltzdrift paper` as a user meets it.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

mod command;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boltzdrift::sampler::noise::{Purpose, Stream};
use command::{bad, boltzdrift, good};

/// Water-like frames, each turned about z, with the forces of springs between all pairs.
fn trajectory(frames: usize, seed: u64) -> String {
    const REST: [f64; 3] = [0.97, 0.97, 1.53];
    let mut text = String::new();
    for frame in 0..frames {
        let mut stream = Stream::new(seed, Purpose::Data, frame as u64);
        let (a, b) = (0.97 + 0.03 * stream.normal(), 0.97 + 0.03 * stream.normal());
        let (angle, turn) = (1.82 + 0.1 * stream.normal(), std::f64::consts::TAU * stream.uniform());
        let flat = [[0.0, 0.0], [a, 0.0], [b * angle.cos(), b * angle.sin()]];
        let x = flat.map(|[x, y]| [x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()]);
        let mut f = [[0.0; 2]; 3];
        for ((i, j), rest) in [(0, 1), (0, 2), (1, 2)].into_iter().zip(REST) {
            let d = [x[i][0] - x[j][0], x[i][1] - x[j][1]];
            let r = d[0].hypot(d[1]);
            for c in 0..2 {
                let pull = -400.0 * (r - rest) * d[c] / r;
                f[i][c] += pull;
                f[j][c] -= pull;
            }
        }
        writeln!(text, "3\nProperties=species:S:1:pos:R:3:forces:R:3").unwrap();
        for (k, name) in ["O", "H", "H"].iter().enumerate() {
            writeln!(text, "{name} {:.8} {:.8} 0.0 {:.8} {:.8} 0.0", x[k][0], x[k][1], f[k][0], f[k][1])
                .unwrap();
        }
    }
    text
}

fn room() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.xyz"), trajectory(300, 1)).unwrap();
    std::fs::write(folder.path().join("reference.xyz"), trajectory(400, 2)).unwrap();
    folder
}

const CALL: &str = "paper data.xyz --reference reference.xyz --units real --device cpu";

#[test]
fn rows_are_trained_once_and_shown_beside_the_paper() {
    let keep = room();
    let folder = keep.path();
    let list = good(folder, &format!("{CALL} --rows help"));
    for name in ["dsm", "drift-coord", "fi-coord-0.01", "fk-dist-1.0", "fi+fk-dist", "placebo-fk-dist-0.1"] {
        assert!(list.contains(name), "{list}");
    }
    let some = format!(
        "{CALL} --rows drift-dist,fi-coord-0.01,placebo-fk-dist-0.1 --seeds 0,4 --steps 4 --samples 200"
    );
    let table = good(folder, &some);
    for words in ["drift-dist", "0.194", "0.139", "training frames", "halves of the reference", "Algorithm 3"]
    {
        assert!(table.contains(words), "{words}: {table}");
    }
    let file = |name: &str| folder.join("paper").join(name);
    let time = || std::fs::metadata(file("drift-dist.seed-4.json")).unwrap().modified().unwrap();
    let before = time();
    let json: serde_json::Value = serde_json::from_str(&good(folder, &format!("{some} --json"))).unwrap();
    assert_eq!(time(), before, "a row that is done is not trained again");
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!(row["seeds"].as_array().unwrap().len(), 2);
        for seed in row["seeds"].as_array().unwrap() {
            // Four steps of training know nothing of the molecule.
            assert!(seed["figures"]["tvd"].as_f64().unwrap() > 0.1, "{seed}");
        }
    }
    assert_eq!(rows[1]["paper"]["tvd"], 0.194, "in the order of the tables");
    assert!(json["reference_halves"]["tvd"].as_f64().unwrap() < 0.1);
    // kT is 1 kcal/mol, as in the paper: the scale ratio (Eq. 33) is tau times the mean norm of the forces.
    let field = &rows[0]["seeds"][0]["field"];
    let number = |key: &str| field[key].as_f64().unwrap();
    assert!(
        (number("scale_ratio") - number("tau") * number("force_norm")).abs() < 1e-9 * number("scale_ratio")
    );

    bad(folder, &some.replace("--steps 4", "--steps 5"), 2, &["fi-coord-0.01.seed-0.json", "other data"]);
    bad(folder, &format!("{CALL} --rows fk-dist-7"), 2, &["fk-dist-7", "--rows help"]);
    bad(folder, &format!("{CALL} --samples 3"), 2, &["--samples"]);
    std::fs::write(file("drift-dist.seed-0.json"), "{}").unwrap();
    bad(folder, &some, 1, &["drift-dist.seed-0.json", "remove it"]);
    let bare: String = trajectory(50, 3)
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').take(4).collect();
            format!("{}\n", fields.join(" ").replace(":forces:R:3", ""))
        })
        .collect();
    std::fs::write(folder.join("bare.xyz"), bare).unwrap();
    bad(folder, &CALL.replace("data.xyz", "bare.xyz"), 1, &["bare.xyz", "forces"]);
}

/// Runs a row to its end, after a stop where `stop` says so.
fn sampler(folder: &Path, stop: bool) -> Vec<u8> {
    let call = format!("{CALL} --rows fk-dist-0.1 --steps 120 --samples 100");
    if stop {
        let child = boltzdrift()
            .current_dir(folder)
            .args(call.split_whitespace())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // A machine that is done by then has nothing to stop.
        if !output.status.success() {
            assert!(
                said.contains("fk-dist-0.1 seed 0") && said.contains("the same command goes on"),
                "{said}"
            );
            assert!(folder.join("paper/fk-dist-0.1.seed-0.checkpoint").exists());
        }
    }
    good(folder, &call);
    assert!(!folder.join("paper/fk-dist-0.1.seed-0.checkpoint").exists());
    std::fs::read(folder.join("paper/fk-dist-0.1.seed-0.safetensors")).unwrap()
}

#[test]
fn a_row_that_was_stopped_goes_on_to_the_same_sampler() {
    let start = Instant::now();
    let (one, other) = (room(), room());
    assert_eq!(sampler(one.path(), false), sampler(other.path(), true), "{:?}", start.elapsed());
}

#[test]
fn a_molecule_without_bonds_or_with_rigid_ones_has_its_rows() {
    // Two heavy atoms at 2 angstrom have no bond below 1.6; a rigid bond has no width to compare.
    let pair = |first: &str, rest: f64, width: f64| {
        let mut text = String::new();
        for frame in 0..40 {
            let r = rest + width * f64::from(frame % 7 - 3);
            writeln!(text, "3\nProperties=species:S:1:pos:R:3:forces:R:3").unwrap();
            writeln!(text, "{first} 0 0 0 0.1 0 0\nCl {r:.6} 0 0 -0.1 0 0").unwrap();
            writeln!(text, "Cl 0 {:.6} 0 0 0 0", 2.1 + 0.01 * f64::from(frame % 5)).unwrap();
        }
        text
    };
    for text in [pair("Cl", 2.0, 0.02), pair("C", 1.5, 0.0)] {
        let keep = room();
        for name in ["data.xyz", "reference.xyz"] {
            std::fs::write(keep.path().join(name), &text).unwrap();
        }
        let call = format!("{CALL} --rows drift-dist --steps 2 --samples 100");
        let first = good(keep.path(), &call);
        assert!(!first.contains("NaN"), "{first}");
        assert_eq!(
            good(keep.path(), &call).lines().find(|line| line.starts_with("drift-dist ")),
            first.lines().find(|line| line.starts_with("drift-dist ")),
            "what is kept reads back"
        );
    }
}

#[test]
fn what_cannot_be_trained_is_said_before_hours_of_training() {
    let keep = room();
    let start = Instant::now();
    bad(keep.path(), &format!("{CALL} --rows dsm,drift-dist --steps 0 --epochs 1000"), 2, &["steps"]);
    bad(keep.path(), &format!("{CALL} --rows dsm --seeds 1,0,1"), 2, &["--seeds", "1 is there twice"]);
    let result = keep.path().join("paper/drift-dist.seed-0.json");
    std::fs::write(&result, "{").unwrap();
    bad(keep.path(), &format!("{CALL} --rows dsm,drift-dist"), 1, &["drift-dist.seed-0.json", "remove it"]);
    std::fs::remove_file(&result).unwrap();
    std::fs::write(keep.path().join("paper/drift-dist.seed-0.checkpoint"), "damaged").unwrap();
    bad(keep.path(), &format!("{CALL} --rows drift-dist"), 1, &["drift-dist.seed-0.checkpoint", "remove it"]);
    assert!(start.elapsed() < Duration::from_secs(120));
}
