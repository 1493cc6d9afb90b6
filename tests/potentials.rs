//! Potentials from outside: the Lennard-Jones plug-in as its author would build it, against clusters whose energy is
//! known, and every way to call it against every other.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;

use std::path::{Path, PathBuf};
use std::process::Command;

use boltzdrift::potential::{evaluate, Spec};
use boltzdrift::Error;
use command::{bad, good, plugin};
use ndarray::{Array2, Array3};

const EPSILON: f64 = 0.2381;
const SIGMA: f64 = 3.405;
/// The pair distance of least energy.
const BEST: f64 = SIGMA * 1.122_462_048_309_373;

fn lennard_jones(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/potentials/lennard_jones.c");
    plugin(folder, &source, "liblennard_jones.so")
}

fn spec(library: &Path) -> String {
    format!("plugin:{}:epsilon={EPSILON},sigma={SIGMA}", library.display())
}

/// Regular simplices of 2, 3 and 4 atoms with this edge: all pairs are alike.
fn simplex(atoms: usize, edge: f64) -> Array3<f64> {
    let corners = [[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]];
    Array3::from_shape_fn((1, atoms, 3), |(_, atom, c)| corners[atom][c] * edge / 8.0_f64.sqrt())
}

#[test]
fn clusters_have_their_known_energies_and_forces() {
    let folder = tempfile::tempdir().unwrap();
    let mut potential = Spec::parse(&spec(&lennard_jones(folder.path()))).unwrap().open().unwrap();
    // Every pair at the minimum: -epsilon each, and no force.
    for (atoms, pairs) in [(2, 1.0), (3, 3.0), (4, 6.0)] {
        let (e, f) = evaluate(potential.as_mut(), &vec![18; atoms], simplex(atoms, BEST).view()).unwrap();
        assert!((e[0] + pairs * EPSILON).abs() < 1e-12, "{atoms} atoms: {}", e[0]);
        assert!(f.iter().all(|f| f.abs() < 1e-12), "{f}");
    }
    // Forces are the gradient.
    let mut x = simplex(4, 1.1 * BEST);
    x[[0, 2, 1]] += 0.3;
    let (_, f) = evaluate(potential.as_mut(), &[18; 4], x.view()).unwrap();
    for atom in 0..4 {
        for c in 0..3 {
            let energy = |step: f64, potential: &mut dyn boltzdrift::potential::Potential| {
                let mut moved = x.clone();
                moved[[0, atom, c]] += step;
                evaluate(potential, &[18; 4], moved.view()).unwrap().0[0]
            };
            let slope = (energy(1e-4, potential.as_mut()) - energy(-1e-4, potential.as_mut())) / 2e-4;
            assert!((f[[0, atom, c]] + slope).abs() < 1e-7, "{} {slope}", f[[0, atom, c]]);
        }
    }
}

/// A plug-in that does something odd when it is opened.
const ODD: &str = r#"
#include <boltzdrift.h>
#include <stdio.h>
#include <string.h>
static int32_t evaluate(void *user_data, size_t n, size_t atoms, const int32_t *z, const double *x, const double *cells,
                        double *e, double *f) {
    (void)user_data, (void)n, (void)atoms, (void)z, (void)x, (void)cells, (void)e, (void)f;
    return 0;
}
int32_t bzd_plugin_open(uint32_t abi, const char *options, bzd_potential_desc *own, char *message, size_t size) {
    bzd_potential_fn used = evaluate;
    (void)abi, (void)options, (void)own, (void)message, (void)size, (void)used, (void)snprintf, (void)memset;
    BODY
    return 0;
}
"#;

#[test]
fn what_is_wrong_is_said() {
    let keep = tempfile::tempdir().unwrap();
    let folder = keep.path();
    let library = lennard_jones(folder);
    let refused = |spec: &str, words: &[&str]| {
        let error = Spec::parse(spec).and_then(|spec| spec.open()).err().expect(spec).to_string();
        for word in words {
            assert!(error.contains(word), "{spec}: '{error}' does not say '{word}'");
        }
    };
    refused("plugin:", &["names no library"]);
    refused("plugin:/no/such.so:x", &["/no/such.so", "cannot open"]);
    refused(
        &format!("plugin:{}:epsilon=no", library.display()),
        &["refuses the options 'epsilon=no'", "status 2", "give epsilon=NUMBER"],
    );
    let text = folder.join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    refused(&format!("plugin:{}", text.display()), &["text.so", "not a plug-in", "cannot be loaded"]);
    let empty = folder.join("empty.c");
    std::fs::write(&empty, "int nothing(void);\nint nothing(void) { return 0; }\n").unwrap();
    refused(
        &format!("plugin:{}", plugin(folder, &empty, "empty.so").display()),
        &["no function bzd_plugin_open"],
    );

    // Plug-ins that are wrong themselves: the file is named, and what its author is to do.
    for (k, (body, words)) in [
        (
            "if (abi != 7) { snprintf(message, size, \"written for ABI 7\"); return 4; }",
            &["status 4", "written for ABI 7"][..],
        ),
        ("memset(message, 'x', size); return 1;", &["status 1", "xxx"]),
        ("return 0;", &["has no function", "set `evaluate`"]),
        ("own->evaluate = evaluate; own->struct_size = 3;", &["struct_size 3", "sizeof(bzd_potential_desc)"]),
        ("own->evaluate = evaluate; own->flags = 64;", &["flags 64", "BZD_IN_ORDER"]),
        ("own->evaluate = evaluate; own->length_unit = \"parsec\";", &["parsec"]),
        ("own->evaluate = evaluate; own->energy_unit = \"nm\";", &["'nm'", "energy"]),
    ]
    .into_iter()
    .enumerate()
    {
        let source = folder.join(format!("odd{k}.c"));
        std::fs::write(&source, ODD.replace("BODY", body)).unwrap();
        let library = plugin(folder, &source, &format!("odd{k}.so"));
        refused(&format!("plugin:{}:x", library.display()), &[&[&*format!("odd{k}.so")], words].concat());
    }

    let mut potential = Spec::parse(&spec(&library)).unwrap().open().unwrap();
    let mut x = ndarray::concatenate![ndarray::Axis(0), simplex(3, BEST), simplex(3, BEST), simplex(3, BEST)];
    for c in 0..3 {
        x[[1, 2, c]] = x[[1, 0, c]];
    }
    let error = evaluate(potential.as_mut(), &[18; 3], x.view()).unwrap_err();
    assert!(matches!(error, Error::Potential { frame: 1, status: Some(2), .. }), "{error}");
    assert!(error.to_string().contains("atoms 0 and 2 coincide"), "{error}");
    // Options are part of what tells potentials apart.
    let other = Spec::parse(&spec(&library).replace("3.405", "3.4")).unwrap().open().unwrap();
    assert_ne!(potential.identity(), other.identity());
    assert_eq!(potential.name(), other.name());
}

/// The same frames through the library, through C linked against it, and through the command line.
#[test]
fn every_way_gives_the_same_bits() {
    let keep = tempfile::tempdir().unwrap();
    let folder = keep.path();
    let library = lennard_jones(folder);
    let mut frames = Array3::zeros((40, 4, 3));
    for (k, mut frame) in frames.outer_iter_mut().enumerate() {
        let shift = Array2::from_shape_fn((4, 3), |(a, c)| 0.01 * ((7 * k + 3 * a + c) % 11) as f64);
        frame.assign(&(&simplex(4, BEST).index_axis(ndarray::Axis(0), 0) + &shift));
    }
    let mut potential = Spec::parse(&spec(&library)).unwrap().open().unwrap();
    let (energies, forces) = evaluate(potential.as_mut(), &[18; 4], frames.view()).unwrap();
    let rows: Vec<String> = frames
        .outer_iter()
        .map(|x| {
            let numbers: Vec<String> = x.iter().map(|x| format!("{:016x}", x.to_bits())).collect();
            numbers.join(" ")
        })
        .collect();
    std::fs::write(folder.join("frames.txt"), rows.join("\n")).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/evaluate.c");
    let program = command::compile(folder, "cc", "-std=c99", &source, "evaluate");
    for way in ["open", "callback", "concurrent"] {
        let done = Command::new(&program)
            .env_remove("LD_LIBRARY_PATH")
            .args([way, &spec(&library)])
            .stdin(std::fs::File::open(folder.join("frames.txt")).unwrap())
            .output()
            .unwrap();
        assert!(done.status.success(), "{way}: {}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8(done.stdout).unwrap();
        let bits: Vec<u64> =
            text.split_whitespace().map(|word| u64::from_str_radix(word, 16).unwrap()).collect();
        let expected: Vec<u64> = energies
            .iter()
            .zip(forces.outer_iter())
            .flat_map(|(e, f)| {
                std::iter::once(*e).chain(f.iter().copied()).map(f64::to_bits).collect::<Vec<_>>()
            })
            .collect();
        assert!(bits == expected, "{way}");
    }
    // The command line names the same energies: of P4, which is smaller by a factor, and so is sigma.
    let smaller = 2.2 / BEST;
    let xyz: String = frames
        .outer_iter()
        .map(|x| {
            let x = &x * smaller;
            let atoms: String = x.outer_iter().map(|r| format!("P {} {} {}\n", r[0], r[1], r[2])).collect();
            format!("4\nProperties=species:S:1:pos:R:3\n{atoms}")
        })
        .collect();
    std::fs::write(folder.join("p4.xyz"), xyz).unwrap();
    let small = format!("plugin:{}:epsilon={EPSILON},sigma={}", library.display(), SIGMA * smaller);
    let json = good(folder, &format!("evaluate p4.xyz --reference p4.xyz --json --potential {small}"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut sorted = energies.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = json["energy"]["samples"]["median"].as_f64().unwrap();
    assert!(median >= sorted[19] - 1e-9 && median <= sorted[20] + 1e-9, "{median}");
    bad(folder, "evaluate p4.xyz --reference p4.xyz --potential plugin:none.so", 1, &["none.so"]);
}
