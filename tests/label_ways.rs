//! Labels from C, C++ and Python that are cut off: what is done is kept, and no frame is computed again.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;

use std::path::{Path, PathBuf};
use std::process::Command;

use boltzdrift::dataset::{self, Dataset, ReadOptions, WriteOptions, Writer};
use ndarray::{s, Array3};

const FRAMES: usize = 120;
/// Frames that the programs give to a call.
const BATCH: usize = 16;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Dataset {
    dataset::read(path, &ReadOptions::default(), &mut |_| Ok(())).unwrap()
}

/// Water, bent and moved; frame k has its first atom at 1 + k / 100.
fn write(path: &Path) {
    let x = Array3::from_shape_fn((FRAMES, 3, 3), |(k, atom, c)| {
        let water = [[0.0, 0.0, 0.0], [0.76, 0.5865, 0.0], [-0.76, 0.5865, 0.0]];
        let bent = if atom > 0 { 0.05 * ((k + 3 * atom + c) as f64).sin() } else { 0.0 };
        water[atom][c] + bent + if c == 0 { 1.0 + k as f64 / 100.0 } else { 0.0 }
    });
    let options = WriteOptions {
        species: vec![8, 1, 1],
        masses: vec![15.999, 1.008, 1.008],
        ..WriteOptions::default()
    };
    let mut writer = Writer::create(path, &options).unwrap();
    writer.write(x.view(), None, None, None).unwrap();
    writer.finish().unwrap();
}

/// The springs' labels of the first frames of data.npz: E = x^2, F = -2 x.
fn right(folder: &Path, name: &str, frames: usize) {
    let (data, labelled) = (read(&folder.join("data.npz")), read(&folder.join(name)));
    assert_eq!(labelled.len(), frames, "{name}");
    let x = data.positions.slice(s![..frames, .., ..]);
    assert!(labelled.positions == x && labelled.forces.unwrap() == x.mapv(|x| -2.0 * x), "{name}");
    let squares = x.outer_iter().map(|x| x.iter().fold(0.0, |sum, x| sum + x * x));
    assert!(labelled.energies.unwrap().iter().copied().eq(squares), "{name}");
}

/// Whole records of the partial results, by their layout: a header with its length, records of 24 + 24 n + 16 bytes.
fn kept(folder: &Path) -> usize {
    let Ok(bytes) = std::fs::read(folder.join("out.npz.partial")) else { return 0 };
    let header = 16 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize + 32;
    (bytes.len() - header) / (24 + 24 * 3 + 16)
}

/// A program, the folder it works in, and the frames that it has computed so far.
struct Way {
    program: Box<dyn Fn() -> Command>,
    folder: PathBuf,
    seen: usize,
}

impl Way {
    /// Exit code (none where it was killed), what it says, and the frames that it computed.
    fn run(&mut self, fault: &str, frame: usize) -> (Option<i32>, String, Vec<usize>) {
        let mut command = (self.program)();
        command.env_remove("LD_LIBRARY_PATH").arg(&self.folder).args([fault, &frame.to_string()]);
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let all: Vec<usize> = log.lines().map(|line| line.parse().unwrap()).collect();
        let rows = all[self.seen..].to_vec();
        self.seen = all.len();
        (done.status.code(), said, rows)
    }

    /// Killed twice, failed twice at one frame, then whole.
    fn file_goes_on(&mut self) {
        let mut done = 0;
        for frame in [37, 70] {
            let (code, said, rows) = self.run("kill", frame);
            assert!(code.is_none() && rows == Vec::from_iter(done..frame), "{said} {rows:?}");
            // Only the batch that was under way is lost.
            done = kept(&self.folder);
            assert!(done <= frame && frame < done + BATCH, "{done}");
        }
        for attempt in 0..2 {
            let (code, said, rows) = self.run("fail", 101);
            assert!(code == Some(3) && rows == Vec::from_iter(done..101), "{attempt}: {said} {rows:?}");
            done = kept(&self.folder);
            assert_eq!(done, 101);
            // The caller's own status or exception, and the frame.
            assert!(
                said.starts_with("5 9 potential springs, frame 101: ") || said.starts_with("threw 101"),
                "{said}"
            );
            assert!(said.starts_with("threw 101\n") || said.contains("101 of 120 frames are kept"), "{said}");
            assert!(!self.folder.join("out.npz").exists());
        }
        let (code, said, rows) = self.run("none", 0);
        assert!(code == Some(0) && rows == Vec::from_iter(101..FRAMES), "{said} {rows:?}");
        let report: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
        assert_eq!((&report["frames"], &report["kept_before"]), (&120.into(), &101.into()));
        assert_eq!(
            (&report["left_out"], &report["difference"]["forces"]),
            (&serde_json::json!([]), &serde_json::Value::Null)
        );
        right(&self.folder, "out.npz", FRAMES);
        assert!(!self.folder.join("out.npz.partial").exists());
    }

    /// Failed once, then gone on with.
    fn memory_goes_on(&mut self) {
        std::fs::remove_file(self.folder.join("out.npz")).unwrap();
        let (code, said, rows) = self.run("memory", 53);
        assert!(code == Some(0) && rows == Vec::from_iter(0..FRAMES), "{said} {rows:?}");
        assert!(said.starts_with("threw 53") || said.contains("53 of 120 frames are done"), "{said}");
        right(&self.folder, "part.npz", 53);
        right(&self.folder, "out.npz", FRAMES);
    }
}

fn goes_on(program: impl Fn() -> Command + 'static) {
    let keep = tempfile::tempdir().unwrap();
    let folder = keep.path().to_owned();
    write(&folder.join("data.npz"));
    let mut way = Way { program: Box::new(program), folder, seen: 0 };
    way.file_goes_on();
    way.memory_goes_on();
}

#[test]
fn c() {
    let keep = tempfile::tempdir().unwrap();
    let program = command::compile(keep.path(), "cc", "-std=c99", &root().join("tests/c/labels.c"), "labels");
    goes_on(move || Command::new(&program));
}

#[test]
fn cpp() {
    let keep = tempfile::tempdir().unwrap();
    let program = command::compile_cxx(keep.path(), &root().join("tests/cpp/labels.cpp"), "labels");
    goes_on(move || Command::new(&program));
}

#[test]
fn python() {
    let Some(_) = command::python(root(), "tests/python/labels.py") else { return };
    goes_on(|| command::python(root(), "tests/python/labels.py").unwrap());
}
