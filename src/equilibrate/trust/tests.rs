//! Fits and pools that are too rough.

use ndarray::Array1;
use serde_json::json;

use super::*;
#[cfg(feature = "train")]
use crate::analytic::water;

const KELVIN: f64 = 500.0;
/// kcal/mol at that temperature.
const KT: f64 = 0.001_987_204_259 * KELVIN;

/// What is needed of the report of a fit with these errors: forces relative to 40 kcal/mol/angstrom, energies in kT.
fn report(force: f64, energy: Option<f64>) -> Value {
    json!({ "rows": 9, "held_out": {
        "frames": 77, "force_rmse": 40.0 * force, "rms_force": 40.0, "energy_rmse": energy.map(|error| error * KT),
    }})
}

#[test]
fn rough_fits_are_refused_and_good_ones_are_not() {
    for (force, energy) in [(0.01, None), (0.099, Some(0.69)), (0.0, Some(0.0))] {
        check_fit(&report(force, energy), KELVIN).unwrap();
    }
    let refused = |force: f64, energy: Option<f64>, kelvin: f64, words: &[&str]| {
        let error = check_fit(&report(force, energy), kelvin).unwrap_err();
        let said = error.to_string();
        assert!(error.exit_code() == 2 && !said.contains('\n'), "{said}");
        for word in [words, &["77 frames", "--fit-frames", "--debias torsion", "--accept-fit"]].concat() {
            assert!(said.contains(word), "'{said}' does not say '{word}'");
        }
    };
    refused(0.101, None, KELVIN, &["10.1 %", "limit is 10 %"]);
    refused(0.3, Some(0.1), KELVIN, &["30.0 %", "0.10 kcal/mol, 0.10 kT"]);
    refused(0.05, Some(0.71), KELVIN, &["5.0 %", "0.71 kT", "0.7 kT at 500 K"]);
    // What is good enough at 500 K is not at 250 K.
    check_fit(&report(0.05, Some(0.5)), KELVIN).unwrap();
    refused(0.05, Some(0.5), 0.5 * KELVIN, &["1.00 kT"]);
    refused(1e9, None, KELVIN, &[]);
    let error = check_fit(&json!({ "rows": 3 }), KELVIN).unwrap_err();
    assert!(error.to_string().contains("fit again"), "{error}");
    assert!(check_fit(&Value::Null, KELVIN).is_err());
}

/// Energies of a molecule of three atoms with this width over that of its three modes: half above, half below.
fn of_width(width: f64) -> Array1<f64> {
    let half = width * KT * 1.5_f64.sqrt();
    (0..40).map(|k| if k % 2 == 0 { -90.0 - half } else { -90.0 + half }).collect()
}

fn decisions(outside: u64) -> Decisions {
    Decisions { accepted: 80, energy: 20 - outside, outside, ..Decisions::default() }
}

#[test]
fn pools_led_astray_are_refused() {
    let check = |width: f64, outside: u64| check_pool(of_width(width).view(), 3, &decisions(outside), KELVIN);
    for width in [0.51, 1.0, 1.59] {
        check(width, 5).unwrap();
    }
    for (width, said) in [(0.49, "0.5 times"), (1.61, "1.6 times"), (12.0, "12.0 times")] {
        let error = check(width, 0).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("500 K") && error.contains("--fit-frames"), "{error}");
    }
    let error = check(1.0, 6).unwrap_err().to_string();
    assert!(error.contains("6 % of the proposals") && error.contains("--potential"), "{error}");
}

#[cfg(feature = "train")]
#[test]
fn true_dynamics_is_no_pool_led_astray() {
    // Langevin dynamics of the true potential passes, unless the temperature is another.
    let energies: Array1<f64> = water().frames(500.0, 2000, 4).iter().map(|frame| frame.energy).collect();
    let check = |kelvin| check_pool(energies.view(), 3, &decisions(0), kelvin);
    check(500.0).unwrap();
    assert!(check(200.0).is_err() && check(1500.0).is_err());
}

#[test]
fn refinements_that_refine_nothing_are_refused() {
    let held = |accepted, energy, least| {
        check_refinement(&Decisions { accepted, energy, ..Decisions::default() }, 2.0, least)
    };
    let of = |accepted, energy| held(accepted, energy, LEAST_REFINED);
    of(31, 69).unwrap();
    let said = of(29, 71).unwrap_err().to_string();
    assert!(said.contains("29 %") && said.contains("time step than 2 fs"), "{said}");
    // A few steps rejected by chance prove nothing.
    of(0, 2).unwrap();
    of(0, 99).unwrap();
    // Unless the caller looks at the acceptance himself.
    held(0, 100, 0.0).unwrap();
    assert!(held(29, 71, 0.2).is_ok() && held(19, 81, 0.2).is_err());
}
