//! `train --mpi` and `equilibrate --mpi`: ranks of a real MPI job that work together, fail together and stop together.
//!
//! Needs the MPI that `make setup` puts into `.venv`, or another one below the folder BOLTZDRIFT_TEST_MPI, with `bin/mpiexec` and
//! `lib/libmpi.so.12` or `.40`; without one these tests say so and pass.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(all(feature = "train", unix))]

#[allow(dead_code)]
mod analytic;
mod command;
#[allow(dead_code)]
#[path = "label/fields.rs"]
mod fields;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use boltzdrift::sampler::noise::{Purpose, Stream};
use boltzdrift::train::checkpoint::Checkpoint;
use command::{bad, good};

/// Shares of 256 samples or more on up to four ranks: the bytes are those of one rank.
const WHOLE: &str = "width = 24\ndepth = 2\nnoise = 8\nbatch = 1024\nlines = 8\n";
/// Longer than anything here takes, and shorter than a hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// The folder and the library.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let folder = std::env::var_os("BOLTZDRIFT_TEST_MPI")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv"), PathBuf::from);
    // Not libmpi.so, which in wheels is no link.
    let libraries = ["libmpi.so.12", "libmpi.so.40"].map(|name| folder.join("lib").join(name));
    if let (true, Some(library)) =
        (folder.join("bin/mpiexec").exists(), libraries.into_iter().find(|path| path.exists()))
    {
        return Some((folder, library));
    }
    eprintln!("skipped: no MPI in {} (make setup installs one into .venv)", folder.display());
    None
}

/// A bent triatomic, N frames.
fn water(frames: usize, seed: u64) -> String {
    let mut text = String::new();
    for frame in 0..frames {
        let mut stream = Stream::new(seed, Purpose::Data, frame as u64);
        let (a, b) = (0.97 + 0.03 * stream.normal(), 0.97 + 0.03 * stream.normal());
        let angle = 1.82 + 0.1 * stream.normal();
        writeln!(text, "3\nProperties=species:S:1:pos:R:3\nO 0 0 0\nH {a:.8} 0 0").unwrap();
        writeln!(text, "H {:.8} {:.8} 0", b * angle.cos(), b * angle.sin()).unwrap();
    }
    text
}

struct Room {
    prefix: PathBuf,
    library: PathBuf,
    _keep: tempfile::TempDir,
    folder: PathBuf,
}

impl Room {
    fn new() -> Option<Room> {
        let ((prefix, library), keep) = (installed()?, tempfile::tempdir().unwrap());
        let folder = keep.path().to_owned();
        std::fs::write(folder.join("water.xyz"), water(300, 17)).unwrap();
        std::fs::write(folder.join("whole.toml"), WHOLE).unwrap();
        Some(Room { prefix, library, _keep: keep, folder })
    }

    /// Starts ranks, in each of which `$rank` is its number, and the file of that name holds its process.
    fn start(&self, ranks: usize, arguments: &str) -> Child {
        let script = format!(
            "rank=${{PMI_RANK:-$OMPI_COMM_WORLD_RANK}}; echo $$ >$rank.new; mv $rank.new $rank; exec {} {arguments}",
            env!("CARGO_BIN_EXE_boltzdrift")
        );
        Command::new(self.prefix.join("bin/mpiexec"))
            .args(["-n", &ranks.to_string(), "sh", "-c", &script])
            .current_dir(&self.folder)
            .env("RAYON_NUM_THREADS", "1")
            // Open MPI does not start as root, and not on fewer cores than ranks, unless it is told to.
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// What they say, once all have ended.
    fn end(&self, mut job: Child) -> (Output, String) {
        let start = Instant::now();
        while job.try_wait().unwrap().is_none() {
            if start.elapsed() > PATIENCE {
                job.kill().unwrap();
                let said = job.wait_with_output().unwrap();
                panic!("the job hangs: {}", String::from_utf8_lossy(&said.stderr));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = job.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output, said)
    }

    fn ranks(&self, ranks: usize, arguments: &str) -> (Output, String) {
        self.end(self.start(ranks, arguments))
    }

    fn mpi(&self) -> String {
        format!("--mpi={}", self.library.display())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    /// Until the job has written a file.
    fn wait_for(&self, job: &mut Child, name: &str) {
        let start = Instant::now();
        while !self.folder.join(name).exists() {
            let ended = job.try_wait().unwrap().is_some();
            assert!(start.elapsed() < PATIENCE && !ended, "{name} does not appear");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, rank: usize, signal: &str) {
        let process = std::fs::read_to_string(self.folder.join(rank.to_string())).unwrap();
        let done = Command::new("kill").args([signal, process.trim()]).status().unwrap();
        assert!(done.success());
    }
}

const TRAIN: &str =
    "train water.xyz --length-unit angstrom --config whole.toml --temperature 300K --device cpu";

#[test]
fn any_number_of_ranks_writes_the_sampler_of_one() {
    let Some(room) = Room::new() else { return };
    for method in ["sliced --steps 120", "drift --steps 60"] {
        if method.starts_with("drift") {
            std::fs::write(room.folder.join("whole.toml"), WHOLE.replace("lines = 8\n", "")).unwrap();
        }
        good(&room.folder, &format!("{TRAIN} --method {method} -o alone.safetensors"));
        for count in [1, 2, 4] {
            let train = format!("{TRAIN} --method {method} -o {count}.safetensors {}", room.mpi());
            let (output, said) = room.ranks(count, &train);
            assert!(output.status.success(), "{said}");
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(printed.matches("300 frames of 3 atoms").count(), 1, "{printed}");
            assert!(printed.contains(&format!("the CPU of {count} ranks")), "{printed}");
            let alone = room.bytes("alone.safetensors");
            assert!(room.bytes(&format!("{count}.safetensors")) == alone, "{method}, {count} ranks");
            assert!(!room.folder.join(format!("{count}.safetensors.checkpoint")).exists());
        }
    }
}

#[test]
fn parts_of_any_size_give_the_losses_of_one_rank() {
    let Some(room) = Room::new() else { return };
    std::fs::write(room.folder.join("whole.toml"), WHOLE.replace("1024", "90")).unwrap();
    let losses = |name: &str| {
        let checkpoint = Checkpoint::load(&room.folder.join(name)).unwrap();
        checkpoint.state.losses
    };
    // A kill at the first checkpoint leaves the losses so far.
    let stop = |mut job: Child, name: &str| {
        room.wait_for(&mut job, name);
        room.signal(0, "-INT");
        room.end(job)
    };
    let train = format!("{TRAIN} --steps 1000000 --checkpoint-every 100");
    stop(room.start(1, &format!("{train} -o a.safetensors")), "a.safetensors.checkpoint");
    let job = room.start(3, &format!("{train} -o b.safetensors {}", room.mpi()));
    let (output, said) = stop(job, "b.safetensors.checkpoint");
    assert!(!output.status.success() && said.matches("stopped after step").count() == 1, "{said}");
    let (one, three) = (losses("a.safetensors.checkpoint"), losses("b.safetensors.checkpoint"));
    for ((step, a), (_, b)) in one.iter().zip(&three).take(2) {
        assert!((a - b).abs() < 1e-4 * a, "step {step}: {a} {b}");
    }
}

#[test]
fn a_rank_that_dies_ends_the_job_and_its_checkpoint_goes_on() {
    let Some(room) = Room::new() else { return };
    let steps = "--steps 400 --checkpoint-every 50";
    good(&room.folder, &format!("{TRAIN} --steps 400 -o alone.safetensors"));
    let mut job = room.start(2, &format!("{TRAIN} {steps} -o out.safetensors {}", room.mpi()));
    room.wait_for(&mut job, "out.safetensors.checkpoint");
    room.signal(1, "-KILL");
    let (output, said) = room.end(job);
    assert!(!output.status.success(), "{said}");
    assert!(!room.folder.join("out.safetensors").exists());
    let resume = "--resume out.safetensors.checkpoint --device cpu --length-unit angstrom -o out.safetensors";
    let (output, said) = room.ranks(4, &format!("train water.xyz {resume} {}", room.mpi()));
    assert!(output.status.success(), "{said}");
    assert!(room.bytes("out.safetensors") == room.bytes("alone.safetensors"));
}

#[test]
fn one_rank_that_is_asked_to_stop_stops_all() {
    let Some(room) = Room::new() else { return };
    let mut job = room.start(
        2,
        &format!("{TRAIN} --steps 1000000 --checkpoint-every 50 -o out.safetensors {}", room.mpi()),
    );
    room.wait_for(&mut job, "out.safetensors.checkpoint");
    room.signal(1, "-TERM");
    let (output, said) = room.end(job);
    assert!(!output.status.success());
    assert_eq!(said.matches("continue with --resume out.safetensors.checkpoint").count(), 1, "{said}");
    Checkpoint::load(&room.folder.join("out.safetensors.checkpoint")).unwrap();
}

#[test]
fn ranks_that_fail_or_differ_end_the_job_with_the_reason() {
    let Some(room) = Room::new() else { return };
    let train = |trajectory: &str| TRAIN.replace("water.xyz", trajectory);
    std::fs::write(room.folder.join("0.xyz"), water(300, 17)).unwrap();
    let (output, said) =
        room.ranks(2, &format!("{} --steps 50 -o out.safetensors {}", train("$rank.xyz"), room.mpi()));
    assert!(!output.status.success() && said.contains("boltzdrift: rank 1 of 2: 1.xyz: "), "{said}");
    std::fs::write(room.folder.join("1.xyz"), water(300, 18)).unwrap();
    for (arguments, words) in [
        (format!("{} --steps 50", train("$rank.xyz")), "rank 1 of 2 has another set of frames than rank 0"),
        (format!("{TRAIN} --steps 5$rank"), "rank 1 of 2 has another set of settings than rank 0"),
        (format!("{TRAIN} --debias fit"), "--debias fit comes before it"),
    ] {
        let (output, said) = room.ranks(2, &format!("{arguments} -o out.safetensors {}", room.mpi()));
        assert!(!output.status.success() && said.contains(words), "{arguments}: {said}");
    }
    assert!(!room.folder.join("out.safetensors").exists());
    // Without --mpi every process trains for itself, which is said.
    let (output, said) = room.ranks(2, &format!("{TRAIN} --steps 50 -o of-$rank.safetensors"));
    assert!(
        output.status.success() && said.contains("one of 2 processes that each train for themselves"),
        "{said}"
    );
    assert!(room.bytes("of-0.safetensors") == room.bytes("of-1.safetensors"));
}

#[test]
fn what_is_no_mpi_is_refused() {
    let Some(room) = Room::new() else { return };
    let train = format!("{TRAIN} -o out.safetensors");
    bad(&room.folder, &format!("{train} --mpi=none.so"), 1, &["no MPI library", "--mpi=/path/to/libmpi.so"]);
    bad(&room.folder, &format!("{train} --mpi=libm.so.6"), 1, &["not a usable MPI library", "MPI_"]);
    // The launcher is another MPI's: what this one sees is one process.
    let output = command::boltzdrift()
        .current_dir(&room.folder)
        .args(format!("{train} {}", room.mpi()).split_whitespace())
        .env("MV2_COMM_WORLD_SIZE", "2")
        .env("OMPI_MCA_ess_singleton_isolated", "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("has started 2 processes") && said.contains("sees one"), "{said}");
}

#[test]
fn ranks_share_out_samples_and_labels() {
    let Some(room) = Room::new() else { return };
    fields::frames(&room.folder.join("data.npz"), 30);
    fields::field(40).save(room.folder.join("field.npz")).unwrap();
    good(&room.folder, &format!("{TRAIN} --steps 20 -o water.safetensors"));
    good(&room.folder, "sample water.safetensors -n 40 -o whole-s.xyz --velocities");
    good(&room.folder, "label data.npz --potential gdml:field.npz -o whole-l.xyz");
    // The parts one after the other are the whole. Labels take the part of a rank as a range of frames.
    for count in [1, 2, 4] {
        let n = 40 / count;
        let sample =
            format!("sample water.safetensors --first $((rank*{n})) -n {n} -o s$rank.xyz --velocities");
        let frames = format!("$((rank*30/{count})):$(((rank+1)*30/{count}))");
        let label = format!("label data.npz --potential gdml:field.npz --frames {frames} -o l$rank.xyz");
        for (arguments, letter) in [(sample, "s"), (label, "l")] {
            let (output, said) = room.ranks(count, &arguments);
            assert!(output.status.success(), "{said}");
            let parts: Vec<u8> = (0..count).flat_map(|k| room.bytes(&format!("{letter}{k}.xyz"))).collect();
            assert!(parts == room.bytes(&format!("whole-{letter}.xyz")), "{letter}, {count} ranks");
        }
    }
    // A rank that fails leaves the others' files as they are, and its own part can be made later.
    std::fs::remove_file(room.folder.join("l0.xyz")).unwrap();
    std::fs::write(room.folder.join("bad0"), "").unwrap();
    let (output, _) =
        room.ranks(2, "sample $(test $rank = 0 && echo bad0 || echo water.safetensors) -n 20 -o t$rank.xyz");
    assert!(!output.status.success() && !room.folder.join("t0.xyz").exists());
}

/// An equilibration of CH2OH with springs, of which an iteration takes long enough to be cut off.
const POOL: &str =
    "equilibrate data.npz --potential gdml:field.npz --checkpoint-every 3 --checkpoint pool.checkpoint";
const NEW: &str =
    "--temperature 500K -n 200 --chains 30 --effective 100 --r-hat 1.2 --warmup 40 --ladder off";

#[test]
fn the_pool_of_any_number_of_ranks_is_that_of_one() {
    let Some(room) = Room::new() else { return };
    fields::frames(&room.folder.join("data.npz"), 300);
    good(&room.folder, "fit data.npz -o field.npz -n 60 --sigma 10 --ridge 1e-9 -q");
    good(&room.folder, &format!("{POOL} {NEW} -o alone.npz"));
    for ranks in [1, 2, 4] {
        let (output, said) =
            room.ranks(ranks, &format!("{POOL} {NEW} -o pool.npz --report pool.json {}", room.mpi()));
        assert!(output.status.success(), "{said}");
        assert!(room.bytes("pool.npz") == room.bytes("alone.npz"), "{ranks} ranks");
        // One rank writes, and its checkpoint goes once the states are there.
        assert_eq!(String::from_utf8_lossy(&output.stdout).matches("states in pool.npz").count(), 1);
        assert!(!room.folder.join("pool.checkpoint").exists() && room.folder.join("pool.json").exists());
        std::fs::remove_file(room.folder.join("pool.npz")).unwrap();
    }

    // A rank that is killed ends the job; its checkpoint goes on, with another number of ranks.
    for ranks in [2, 1] {
        let mut job = room.start(2, &format!("{POOL} {NEW} -o pool.npz {}", room.mpi()));
        room.wait_for(&mut job, "pool.checkpoint");
        room.signal(1, "-KILL");
        let (output, said) = room.end(job);
        assert!(!output.status.success() && !room.folder.join("pool.npz").exists(), "{said}");
        let resume = format!("{POOL} --resume pool.checkpoint -o pool.npz {}", room.mpi());
        let (output, said) = room.ranks(ranks, &resume);
        assert!(output.status.success(), "{said}");
        assert!(room.bytes("pool.npz") == room.bytes("alone.npz"), "{ranks} ranks after a kill");
        std::fs::remove_file(room.folder.join("pool.npz")).unwrap();
    }

    // One that is asked to stop stops all, and says so once.
    let mut job = room.start(2, &format!("{POOL} {NEW} -o pool.npz {}", room.mpi()));
    room.wait_for(&mut job, "pool.checkpoint");
    room.signal(1, "-TERM");
    let (output, said) = room.end(job);
    assert!(!output.status.success());
    assert_eq!(said.matches("kept in pool.checkpoint, to go on with (--resume)").count(), 1, "{said}");

    // Ranks that begin otherwise are refused, and what none of them can compute is said.
    std::fs::copy(room.folder.join("field.npz"), room.folder.join("0.npz")).unwrap();
    good(&room.folder, "fit data.npz -o 1.npz -n 61 --sigma 10 --ridge 1e-9 -q");
    let pool = POOL.replace("pool.checkpoint", "other.checkpoint");
    for (arguments, words) in [
        (format!("{pool} {NEW} --seed $rank"), "rank 1 of 2 has another set of settings than rank 0"),
        (
            format!("{} {NEW}", pool.replace("field.npz", "$rank.npz")),
            "rank 1 of 2 has another potential than rank 0",
        ),
        (format!("{pool} {NEW} --limit 2000"), "converged"),
    ] {
        let (output, said) = room.ranks(2, &format!("{arguments} -o other.npz {}", room.mpi()));
        assert!(!output.status.success() && said.contains(words), "{arguments}: {said}");
        assert!(!room.folder.join("other.npz").exists());
    }
}

/// Builds libsprings.so, a potential for water.
fn springs(room: &Room) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new("cc")
        .args(["-std=c99", "-O2", "-Wall", "-Werror", "-shared", "-fPIC"])
        .arg(format!("-I{}", root.join("include").display()))
        .arg(root.join("tests/c/rank_springs.c"))
        .arg("-o")
        .arg(room.folder.join("libsprings.so"))
        .arg("-lm")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

#[test]
fn a_rank_that_dies_while_labelling_leaves_the_others_work() {
    let Some(room) = Room::new() else { return };
    springs(&room);
    let label = "label water.xyz --length-unit angstrom --potential plugin:./libsprings.so";
    good(&room.folder, &format!("{label} -o whole.xyz"));
    // 75 calls a rank: a second and a half.
    let part = format!("{label}:slow --batch 2 --frames $((rank*150)):$(((rank+1)*150)) -o l$rank.xyz");
    let mut job = room.start(2, &part);
    for rank in 0..2 {
        room.wait_for(&mut job, &format!("l{rank}.xyz.partial"));
    }
    room.signal(1, "-KILL");
    let (output, said) = room.end(job);
    assert!(!output.status.success(), "{said}");
    // What every rank has done is there, whole or in part, and the same command ends with the same bytes.
    let size = |name: &str| room.folder.join(name).metadata().map_or(0, |data| data.len());
    assert!(size("l1.xyz.partial") > 0 && size("l0.xyz.partial") + size("l0.xyz") > 0);
    let (output, said) = room.ranks(2, &part);
    assert!(output.status.success(), "{said}");
    let parts: Vec<u8> = (0..2).flat_map(|rank| room.bytes(&format!("l{rank}.xyz"))).collect();
    assert!(parts == room.bytes("whole.xyz"));
}

#[test]
fn a_potential_that_fails_on_one_rank_loses_no_iteration() {
    let Some(room) = Room::new() else { return };
    springs(&room);
    let pool = "equilibrate water.xyz --length-unit angstrom --potential plugin:./libsprings.so -o pool.npz";
    let new = "--temperature 500K -n 200 --chains 30 --effective 100 --r-hat 1.2 --warmup 40 --ladder off";
    good(&room.folder, &format!("{} {new}", pool.replace("pool.npz", "alone.npz")));
    std::fs::write(room.folder.join("fail"), "").unwrap();
    let (output, said) = room.ranks(2, &format!("{pool} {new} {}", room.mpi()));
    assert!(!output.status.success() && !room.folder.join("pool.npz").exists());
    // Rank 0 says it for all: whose it was, and where what was done is kept.
    for words in [
        "the electrons did not converge",
        "(rank 1 of 2)",
        "iterations before are kept in pool.npz.checkpoint",
    ] {
        assert_eq!(said.matches(words).count(), 1, "{said}");
    }
    std::fs::remove_file(room.folder.join("fail")).unwrap();
    let (output, said) = room.ranks(2, &format!("{pool} --resume pool.npz.checkpoint {}", room.mpi()));
    assert!(output.status.success(), "{said}");
    assert!(room.bytes("pool.npz") == room.bytes("alone.npz"));
}
