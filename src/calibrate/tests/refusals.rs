//! Fits and pools that are too rough.

use super::*;
use crate::fit::HeldOut;

const KELVIN: f64 = 500.0;
/// kcal/mol at that temperature.
const KT: f64 = 0.001_987_204_259 * KELVIN;

/// The report of a fit with these errors: forces relative to 40 kcal/mol/angstrom, energies in kT.
fn report(force: f64, energy: Option<f64>) -> Value {
    let held_out = HeldOut {
        frames: 77,
        force_mae: 0.7 * 40.0 * force,
        force_rmse: 40.0 * force,
        mean_force: 60.0,
        rms_force: 40.0,
        energy_rmse: energy.map(|error| error * KT),
        energy_spread: energy.map(|_| 4.0),
    };
    let report = Report {
        library_version: "test".into(),
        data_digest: String::new(),
        frames: vec![1, 2, 3],
        permutations: 2,
        sigma: 10.0,
        ridge: 1e-9,
        rows: 9,
        held_out,
        seconds: (1.0, 0.5),
    };
    serde_json::to_value(report).unwrap()
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

/// Energies of water with this width over that of three harmonic modes.
fn pool_of_width(width: f64) -> Dataset {
    let mut data = data(40, 3);
    let half = width * KT * 1.5_f64.sqrt();
    data.energies = Some((0..40).map(|k| if k % 2 == 0 { -90.0 - half } else { -90.0 + half }).collect());
    data
}

fn decisions(outside: u64) -> Value {
    let energy = 20 - outside;
    let decisions =
        json!({ "accepted": 80, "energy": energy, "outside": outside, "broken": 0, "not_finite": 0 });
    json!({ "decisions": decisions })
}

#[test]
fn pools_led_astray_are_refused() {
    for width in [0.51, 1.0, 1.59] {
        check_pool(&pool_of_width(width), &decisions(5), KELVIN).unwrap();
    }
    for (width, said) in [(0.49, "0.5 times"), (1.61, "1.6 times"), (12.0, "12.0 times")] {
        let error = check_pool(&pool_of_width(width), &decisions(0), KELVIN).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("500 K") && error.contains("--fit-frames"), "{error}");
    }
    let error = check_pool(&pool_of_width(1.0), &decisions(6), KELVIN).unwrap_err().to_string();
    assert!(error.contains("6 % of the proposals") && error.contains("--debias potential"), "{error}");
    check_pool(&Dataset { energies: None, ..pool_of_width(9.0) }, &decisions(0), KELVIN).unwrap();
    // Langevin dynamics of the true potential is no pool led astray, unless the temperature is another.
    let real = data(2000, 4);
    check_pool(&real, &decisions(0), KELVIN).unwrap();
    assert!(check_pool(&real, &decisions(0), 200.0).is_err());
    assert!(check_pool(&real, &decisions(0), 1500.0).is_err());
}
