//! `torchscript:FILE` on the command line: what it reads, what it refuses, and modules that Python wrote.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
#[cfg(feature = "train")]
mod module_file;

use std::path::PathBuf;

use boltzdrift::potential::Spec;
#[cfg(feature = "train")]
use command::good;
use command::{bad, run};

/// Two atoms at 1.0 to 1.5 angstrom, with their distances.
fn room() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let frame = |k: usize| {
        let x = 1.0 + 0.01 * k as f64;
        format!(
            "2\nProperties=species:S:1:pos:R:3\nO 0.3 0.1 {:.4}\nH {:.4} 0.1 {:.4}\n",
            0.01 * k as f64,
            0.3 + x,
            0.01 * k as f64
        )
    };
    std::fs::write(path.join("pair.xyz"), (0..50).map(frame).collect::<String>()).unwrap();
    (folder, path)
}

#[cfg(not(feature = "train"))]
#[test]
fn a_build_without_libtorch_says_so() {
    let (_keep, folder) = room();
    let evaluate = "evaluate pair.xyz --reference pair.xyz --units real --potential torchscript:spring.pt";
    bad(&folder, evaluate, 1, &["torchscript:spring.pt", "this build has no libtorch", "gdml:FILE"]);
    assert!(matches!(Spec::parse("torchscript:x"), Err(boltzdrift::Error::Unsupported(_))));
    assert!(!run(&folder, "evaluate --help").stdout.is_empty());
}

#[cfg(feature = "train")]
#[test]
fn options_are_read_and_others_refused() {
    use boltzdrift::potential::torchscript::{Options, Precision};
    let spec = "torchscript:a/b.pt,device=cpu,dtype=float32,length=nm,energy=kJ/mol,batch=12";
    let options = Options {
        device: "cpu".parse().unwrap(),
        precision: Precision::Single,
        length: "nm".into(),
        energy: "kJ/mol".into(),
        batch: Some(12),
        ..Options::new("a/b.pt")
    };
    assert_eq!(Spec::parse(spec).unwrap(), Spec::TorchScript(options));
    assert_eq!(Spec::parse(spec).unwrap().file(), Some("a/b.pt".as_ref()));
    assert_eq!(Spec::parse("gdml:f.npz").unwrap().file(), Some("f.npz".as_ref()));
    assert_eq!(Spec::parse("torchscript:x.pt").unwrap(), Spec::TorchScript(Options::new("x.pt")));
    for (text, words) in [
        ("", &["names no file", "torchscript:FILE"][..]),
        (",batch=3", &["names no file"]),
        (
            "x.pt,units=eV",
            &["option 'units'", "device=auto|cpu|cuda", "dtype=float64|float32", "energy=", "batch=N"],
        ),
        ("x.pt,float32", &["'float32' is not key=value"]),
        ("x.pt,dtype=half", &["dtype=half", "float64 or float32"]),
        ("x.pt,device=gpu", &["device=gpu", "auto, cpu, cuda"]),
        ("x.pt,length=eV", &["length=eV", "nm, bohr"]),
        ("x.pt,energy=kcal", &["energy=kcal", "kcal/mol"]),
        ("x.pt,batch=0", &["batch=0", "1 or more"]),
        ("x.pt,batch=3,batch=4", &["batch is given twice"]),
    ] {
        let error = Spec::parse(&format!("torchscript:{text}")).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "'{error}' does not say '{word}'");
        }
    }
}

#[cfg(feature = "train")]
#[test]
fn a_module_gives_the_energies_of_evaluate() {
    let (_keep, folder) = room();
    let spring = ["d = positions[:, 1] - positions[:, 0]", "r = torch.sqrt(torch.sum(d * d, [1]))"];
    let spring = |unit: &str| [spring[0].into(), spring[1].into(), format!("return (r - 1.2) ** 2 * {unit}")];
    let write = |name: &str, unit: &str| {
        let lines = spring(unit);
        module_file::write_forward(&folder.join(name), "Tensor", &lines.each_ref().map(String::as_str));
    };
    write("spring.pt", "100.0");
    write("electron.pt", "(100.0 / 23.060547830619)");
    let evaluate = "evaluate pair.xyz --reference pair.xyz --units real --json --potential torchscript:";
    let mean = |options: &str| -> f64 {
        let said: serde_json::Value =
            serde_json::from_str(&good(&folder, &format!("{evaluate}{options}"))).unwrap();
        said["energy"]["samples"]["mean"].as_f64().unwrap()
    };
    let truth = (0..50).map(|k| 100.0 * (f64::from(k) * 0.01 - 0.2).powi(2)).sum::<f64>() / 50.0;
    for options in ["spring.pt", "spring.pt,batch=7", "electron.pt,energy=eV"] {
        assert!((mean(options) - truth).abs() < 1e-8, "{options}: {} for {truth}", mean(options));
    }
    assert!((mean("spring.pt,dtype=float32") - truth).abs() < 1e-4);
    // What is no module, and what is not there.
    std::fs::write(folder.join("not.pt"), "no module").unwrap();
    let refused =
        |options: &str, code: i32, words: &[&str]| bad(&folder, &format!("{evaluate}{options}"), code, words);
    refused("not.pt", 1, &["not.pt", "no TorchScript module", "torch.jit.script"]);
    refused("none.pt", 1, &["none.pt: cannot open"]);
    refused("spring.pt,device=cuda:77", 1, &["cuda:77", "device=cpu"]);
    refused("spring.pt,speed=high", 2, &["option 'speed' is not known", "dtype=float64|float32"]);
    // The potential is not written over, and messages name both kinds.
    let step = "--temperature 500K --potential torchscript:spring.pt -n 100";
    bad(
        &folder,
        &format!("equilibrate pair.xyz --units real -o spring.pt {step}"),
        2,
        &["spring.pt", "the potential"],
    );
    bad(
        &folder,
        &format!("{evaluate}x").replace("torchscript:", "magic:"),
        2,
        &["gdml:FILE, torchscript:FILE or plugin:LIB.so:options"],
    );
    let said = run(&folder, &format!("-v {evaluate}spring.pt,device=cpu"));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("CPU") && said.contains("float64") && said.contains("256 frames at once"),
        "{said}"
    );
}

#[cfg(feature = "train")]
#[test]
fn what_tells_one_potential_from_another() {
    let (_keep, folder) = room();
    let path = folder.join("zero.pt");
    let identity = |options: &str| {
        let spec = Spec::parse(&format!("torchscript:{}{options}", path.display())).unwrap();
        spec.open().unwrap().identity()
    };
    module_file::write_forward(&path, "Tensor", &["return torch.sum(positions * 0.0, [1, 2])"]);
    let one = identity("");
    assert_eq!(one, identity(",device=cpu,batch=9,length=A,energy=kcal/mol"));
    let mut all = vec![one, identity(",dtype=float32"), identity(",length=nm"), identity(",energy=eV")];
    module_file::write_forward(&path, "Tensor", &["return torch.sum(positions * 2.0, [1, 2])"]);
    all.push(identity(""));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 5);
}

#[cfg(feature = "train")]
fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Python that can import PyTorch: beside the libtorch of this build, or that of `make neural`.
#[cfg(feature = "train")]
fn pytorch() -> Option<PathBuf> {
    let beside =
        PathBuf::from(std::env::var_os("LIBTORCH").unwrap_or_default()).with_file_name("bin").join("python");
    let found = [beside, root().join(".venv-neural/bin/python")].into_iter().find(|python| {
        let done = std::process::Command::new(python).args(["-c", "import torch"]).output();
        done.is_ok_and(|done| done.status.success())
    });
    if found.is_none() {
        eprintln!(
            "skipped: no Python with PyTorch beside LIBTORCH, nor in .venv-neural (make neural installs it)"
        );
    }
    found
}

/// Labels by the module of examples/potentials/torchscript_morse.py against Morse's closed form.
#[cfg(feature = "train")]
fn morse_labels(folder: &std::path::Path, module: &str) {
    let pair: String = (0..50)
        .map(|k| {
            let shift = 0.01 * f64::from(k);
            format!(
                "2\nProperties=species:S:1:pos:R:3\nO 0.3 {shift:.2} -0.2\nH {:.2} {shift:.2} -0.2\n",
                1.3 + shift
            )
        })
        .collect();
    std::fs::write(folder.join("morse.xyz"), pair).unwrap();
    good(
        folder,
        &format!("label morse.xyz --units real -o morse.npz --potential torchscript:{module},batch=9"),
    );
    let read = boltzdrift::dataset::ReadOptions::default();
    let data = boltzdrift::dataset::read(&folder.join("morse.npz"), &read, &mut |_| Ok(())).unwrap();
    let (energies, forces) = (data.energies.unwrap(), data.forces.unwrap());
    for k in 0..50 {
        let e = (-2.2 * (0.04 + 0.01 * k as f64)).exp();
        let (energy, pull) = (110.0 * (1.0 - e).powi(2), 2.0 * 110.0 * 2.2 * (1.0 - e) * e);
        assert!((energies[k] - energy).abs() < 1e-9, "frame {k}: {} for {energy}", energies[k]);
        for (c, force) in [pull, 0.0, 0.0].into_iter().enumerate() {
            let [o, h] = [0, 1].map(|atom| forces[[k, atom, c]]);
            assert!((o - force).abs() < 1e-9 && (h + force).abs() < 1e-9, "frame {k}: {o} {h} for {force}");
        }
    }
}

/// What PyTorch 2.11 wrote of that example, without a PyTorch to write it.
#[cfg(feature = "train")]
#[test]
fn a_module_that_was_exported_elsewhere() {
    let (_keep, folder) = room();
    let module = root().join("tests/goldens/morse.pt");
    morse_labels(&folder, module.to_str().unwrap());
}

/// The page shows the lines of the example.
#[cfg(feature = "train")]
#[test]
fn the_exported_module_of_the_page_is_the_examples() {
    let class = |text: &str| -> String {
        let start = text.find("class Morse").unwrap();
        text[start..]
            .lines()
            .take_while(|line| !line.starts_with("if ") && !line.starts_with("torch."))
            .collect()
    };
    let docs = include_str!("../docs/potentials.md");
    assert_eq!(class(docs), class(include_str!("../examples/potentials/torchscript_morse.py")));
}

/// A module with parameters in float32 and tables of integers and masks, and the same with a matrix, which only the
/// export can convert. The example of docs/potentials.md stands before it.
#[cfg(feature = "train")]
const EXPORT: &str = r#"

class Table(torch.nn.Module):
    def __init__(self, mixed: bool):
        super().__init__()
        self.mixed = mixed
        self.register_buffer("pairs", torch.tensor([[0, 1]]))
        self.register_buffer("used", torch.tensor([True]))
        self.register_buffer("turn", torch.eye(3))
        self.stiffness = torch.nn.Parameter(torch.tensor([100.0]))

    def forward(self, species: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        d = positions[:, self.pairs[:, 1]] - positions[:, self.pairs[:, 0]]
        if self.mixed:
            d = torch.matmul(d, self.turn)
        r = torch.linalg.norm(d, dim=-1)[:, self.used]
        return (self.stiffness * (r - 1.2) ** 2).sum(dim=1)


torch.jit.script(Table(False)).save("table.pt")
torch.jit.script(Table(True)).save("mixed.pt")
torch.jit.script(Table(True).double()).save("double.pt")
torch.save({"weights": torch.ones(3)}, "weights.pt")
"#;

#[cfg(feature = "train")]
#[test]
fn modules_that_python_wrote() {
    let (_keep, folder) = room();
    let Some(python) = pytorch() else { return };
    let docs = include_str!("../docs/potentials.md");
    let example = docs.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    std::fs::write(folder.join("export.py"), format!("{example}{EXPORT}")).unwrap();
    let run = |arguments: &[&std::ffi::OsStr]| {
        let done = std::process::Command::new(&python).current_dir(&folder).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    run(&["export.py".as_ref()]);
    let program = root().join("examples/potentials/torchscript_morse.py");
    run(&[program.as_ref(), "example.pt".as_ref()]);
    morse_labels(&folder, "example.pt");
    let evaluate = "evaluate pair.xyz --reference pair.xyz --units real --json --potential torchscript:";
    let truth = (0..50).map(|k| 100.0 * (f64::from(k) * 0.01 - 0.2).powi(2)).sum::<f64>() / 50.0;
    let morse = (0..50).map(|k| 110.0 * (1.0 - (-2.2 * (f64::from(k) * 0.01 + 0.04)).exp()).powi(2));
    let morse = morse.sum::<f64>() / 50.0;
    for (options, truth, within) in [
        ("table.pt", truth, 1e-8),
        ("table.pt,dtype=float32", truth, 1e-4),
        ("mixed.pt,dtype=float32", truth, 1e-4),
        ("double.pt", truth, 1e-8),
        ("morse.pt,batch=9", morse, 1e-8),
        ("morse.pt,dtype=float32", morse, 1e-4),
    ] {
        let said: serde_json::Value =
            serde_json::from_str(&good(&folder, &format!("{evaluate}{options}"))).unwrap();
        let mean = said["energy"]["samples"]["mean"].as_f64().unwrap();
        assert!((mean - truth).abs() < within, "{options}: {mean} for {truth}");
    }
    bad(
        &folder,
        &format!("{evaluate}mixed.pt"),
        1,
        &["mixed.pt, frame 0", "module.double()", "dtype=float32"],
    );
    bad(
        &folder,
        &format!("{evaluate}weights.pt"),
        1,
        &["weights.pt", "no TorchScript module", "torch.jit.script"],
    );
}
