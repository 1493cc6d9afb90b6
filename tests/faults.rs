//! What a machine does to a command: a full disk, a folder that cannot be written, files that vanish, a closed pipe, bytes that
//! changed on the disk. Each is an error in one line that names the file, and nothing half-written is left.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(all(feature = "train", target_os = "linux"))]

#[allow(dead_code)]
mod analytic;
mod command;
#[allow(dead_code)]
#[path = "label/fields.rs"]
mod fields;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use command::{bad, boltzdrift, good, run, SMALL};
use fields::frames;

/// Data, a force field, a sampler.
fn room() -> (tempfile::TempDir, PathBuf) {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().to_owned();
    frames(&folder.join("data.npz"), 400);
    std::fs::write(folder.join("small.toml"), SMALL).unwrap();
    good(&folder, "fit data.npz -o field.npz -n 60 -q");
    good(&folder, "train data.npz -o model.safetensors --config small.toml --steps 50 --device cpu -q");
    (room, folder)
}

/// Every command that writes, with its output in the folder `disk`.
const WRITING: [(&str, &str); 5] = [
    ("label data.npz --potential gdml:field.npz -o", "disk/labelled.npz"),
    ("fit data.npz -n 60 --sigma 10 --ridge 1e-9 -o", "disk/fitted.npz"),
    (
        "equilibrate data.npz --potential gdml:field.npz --temperature 500K -n 400 --chains 64 --effective 50 --r-hat 1.5 \
         --warmup 40 --ladder off --checkpoint-every 5 -o",
        "disk/pool.npz",
    ),
    ("train data.npz --config small.toml --steps 200 --checkpoint-every 50 --device cpu -o", "disk/trained.safetensors"),
    ("sample model.safetensors -n 2000 -o", "disk/drawn.xyz"),
];

/// Runs a command where `disk` is a file system of its own, mounted with these options, between two scripts there: its exit
/// code, what it said, what the scripts printed; none where this machine lets nobody mount. Nobody else sees the mount.
fn mounted(
    folder: &Path,
    options: &str,
    before: &str,
    arguments: &str,
    after: &str,
) -> Option<(i32, String, String)> {
    std::fs::create_dir_all(folder.join("disk")).unwrap();
    let script = format!(
        "mount -t tmpfs {options} tmpfs disk || exit 77; {before}; {} {arguments} -q 2>said; echo $? >code; {after}",
        env!("CARGO_BIN_EXE_boltzdrift")
    );
    let tries: [&[&str]; 2] = [&["-m"], &["-rm"]];
    for flags in tries {
        let done = Command::new("unshare")
            .args(flags)
            .args(["bash", "-c", &script])
            .current_dir(folder)
            .output()
            .ok()?;
        if done.status.success() {
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
            let code = read("code").trim().parse().unwrap();
            return Some((code, read("said"), String::from_utf8(done.stdout).unwrap()));
        }
    }
    None
}

#[test]
fn a_full_disk_is_named_and_leaves_what_was_there() {
    let (_keep, folder) = room();
    for (command, output) in WRITING {
        let name = Path::new(output).file_name().unwrap().to_str().unwrap();
        // A page for the old file, and two for all that is new.
        let (before, after) = (format!("printf old >{output}"), format!("ls -A disk; cat {output}"));
        let arguments = format!("{command} {output}");
        let Some((code, said, left)) = mounted(&folder, "-o size=12k", &before, &arguments, &after) else {
            println!("skipped: this machine lets nobody mount a small disk");
            return;
        };
        assert_eq!(code, 1, "{command}: {said}");
        assert!(said.contains(name) && said.contains("No space left on device"), "{command}: {said}");
        assert!(left.ends_with("old"), "{command}: {left}");
        assert!(!left.contains(".boltzdrift-"), "{command}: a temporary file is left: {left}");
    }
}

#[test]
fn a_read_only_disk_is_named() {
    let (_keep, folder) = room();
    for (command, output) in WRITING {
        let Some((code, said, _)) = mounted(&folder, "-o ro", "true", &format!("{command} {output}"), "true")
        else {
            println!("skipped: this machine lets nobody mount a disk");
            return;
        };
        let name = Path::new(output).file_name().unwrap().to_str().unwrap();
        assert_eq!(code, 1, "{command}: {said}");
        assert!(said.contains(name) && said.contains("Read-only file system"), "{command}: {said}");
        assert_eq!(said.lines().count(), 1, "{command}: {said}");
    }
}

#[test]
fn files_and_folders_that_vanish() {
    let (_keep, folder) = room();
    bad(&folder, "sample nobody.safetensors -n 5 -o x.xyz", 1, &["nobody.safetensors", "cannot open"]);
    bad(&folder, "label data.npz --potential gdml:nobody.npz -o x.npz", 1, &["nobody.npz", "cannot open"]);
    let resume = "train data.npz -o x.safetensors --device cpu --resume nobody.checkpoint";
    bad(&folder, resume, 1, &["nobody.checkpoint", "cannot open"]);
    // The folder of the output goes away while the training runs.
    std::fs::create_dir(folder.join("gone")).unwrap();
    let arguments = "train data.npz -o gone/x.safetensors --config small.toml --steps 100000 --checkpoint-every 50 --device cpu";
    let child = boltzdrift()
        .current_dir(&folder)
        .args(arguments.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.join("gone/x.safetensors.checkpoint").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Between two checkpoints the folder is there again at once: try until it is gone.
    while std::fs::remove_dir_all(folder.join("gone")).is_err() {}
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("gone/x.safetensors.checkpoint") && said.contains("No such file"), "{said}");
}

#[test]
fn a_closed_pipe_and_a_full_terminal() {
    let (_keep, folder) = room();
    let program = env!("CARGO_BIN_EXE_boltzdrift");
    for command in ["inspect data.npz", "--help", "evaluate data.npz --reference data.npz --json"] {
        let shell = |script: String| {
            Command::new("bash").args(["-c", &script]).current_dir(&folder).output().unwrap()
        };
        let done = shell(format!("{program} {command} | true; exit ${{PIPESTATUS[0]}}"));
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && !said.contains("panic"), "{command}: {} {said}", done.status);
        if command != "--help" {
            let done = shell(format!("{program} {command} >/dev/full"));
            let said = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(1), "{command}: {said}");
            assert!(said.contains("stdout") && said.contains("No space left"), "{command}: {said}");
        }
    }
}

/// One bit anywhere in a file of the library's own is found before anything is done with the file.
#[test]
fn changed_bits_are_found() {
    let (_keep, folder) = room();
    for (command, output) in [WRITING[2], WRITING[3]] {
        let output = output.trim_start_matches("disk/");
        let checkpoint = folder.join(format!("{output}.checkpoint"));
        let child = boltzdrift()
            .current_dir(&folder)
            .args(
                command
                    .replace("--steps 200", "--steps 100000")
                    .replace("--effective 50", "--effective 1e9")
                    .split_whitespace(),
            )
            .args([output, "-q"])
            .spawn();
        let mut child = child.unwrap();
        while !checkpoint.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let whole = std::fs::read(&checkpoint).unwrap();
        let command =
            command.split(" --temperature").next().unwrap().replace("--config small.toml --steps 200 ", "");
        let command = command.trim_end_matches(" -o");
        let resume = format!("{command} -o {output} --resume {output}.checkpoint");
        for k in 0..6 {
            let mut bytes = whole.clone();
            let at = 8 + k * (bytes.len() - 9) / 5;
            bytes[at] ^= 1 << (k % 8);
            std::fs::write(&checkpoint, &bytes).unwrap();
            let done = run(&folder, &resume);
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(matches!(done.status.code(), Some(1 | 2)), "{resume}, byte {at}: {said}");
            assert!(said.contains("checkpoint") && said.trim_end().lines().count() == 1, "byte {at}: {said}");
            assert!(!folder.join(output).exists());
        }
    }
}
