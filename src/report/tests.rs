use super::*;
use crate::dataset::{elements, Dataset, Source};
use crate::metrics::{evaluate, Ensemble, Options};
use crate::molecule::samples::{noisy, Row, BENZENE, CO2, ETHANOL, METHANE, WATER};

fn dataset(rows: &[Row], width: f64) -> Dataset {
    let (species, positions) = noisy(rows, 400, width, 3);
    let (_, rest) = noisy(rows, 1, 0.0, 0);
    let forces = (&rest - &positions) * 600.0;
    let source = Source {
        path: "run.dump".into(),
        format: "LAMMPS".into(),
        frames: (0..400).collect(),
        atoms_in_file: species.len(),
        periodic: false,
        units: "angstrom (asked for)".into(),
        digest: String::new(),
        warnings: vec!["a warning of the reader".into()],
        keep: crate::dataset::Keep::Nowhere,
    };
    let masses = species.iter().map(|&z| elements::mass(z).unwrap()).collect();
    Dataset { species, masses, positions, forces: Some(forces), energies: None, velocities: None, source }
}

#[test]
fn formulas() {
    assert_eq!(formula(&[6, 6, 8, 1, 1, 1, 1, 1, 1]), "C2H6O");
    assert_eq!(formula(&[8, 1, 1]), "H2O");
    assert_eq!(formula(&[1, 17]), "ClH");
    assert_eq!(formula(&[6, 17, 35, 1, 9]), "CHBrClF");
}

#[test]
fn an_inspection_reads_well() {
    let found = inspect(&dataset(&ETHANOL, 0.03), Some(500.0)).unwrap();
    let text = found.to_string();
    for part in ["C2H6O, 9 atoms, general", "C0-C1", "H5-C0-C1-O2", "6 operations (3 proper, 3 mirror)"] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    assert!(text.contains("a warning of the reader") && text.contains("500 K asked"));
    // Wells fixed in space: the forces do not sum to zero.
    assert!(found.warnings.iter().any(|warning| warning.contains("do not sum to zero")));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["symmetry"]["order"], 6);
    assert_eq!(json["dihedrals"][0], serde_json::json!([5, 0, 1, 2]));
}

#[test]
fn shapes() {
    assert_eq!(inspect(&dataset(&CO2, 0.03), None).unwrap().shape, "linear");
    assert_eq!(inspect(&dataset(&WATER, 0.02), None).unwrap().shape, "planar");
    assert_eq!(inspect(&dataset(&BENZENE, 0.04), None).unwrap().shape, "planar");
    assert_eq!(inspect(&dataset(&METHANE, 0.04), None).unwrap().shape, "general");
    let mut split = dataset(&WATER, 0.02);
    split.positions.slice_mut(ndarray::s![.., 2, 0]).mapv_inplace(|x| x + 5.0);
    assert!(inspect(&split, None).unwrap_err().to_string().contains("2 separate fragments"));
}

#[test]
fn a_table_has_the_floor_beside_every_figure() {
    let (species, a) = noisy(&ETHANOL, 300, 0.04, 1);
    let (_, b) = noisy(&ETHANOL, 400, 0.03, 2);
    let energies = ndarray::Array1::from_iter((0..400).map(f64::from));
    let samples = Ensemble {
        species: &species,
        positions: a.view(),
        energies: Some(energies.slice(ndarray::s![..300])),
    };
    let reference = Ensemble { species: &species, positions: b.view(), energies: Some(energies.view()) };
    let evaluation = evaluate(&samples, &reference, &Options::default()).unwrap();
    let text = evaluation_table(&evaluation);
    for part in ["300 samples against 400", "pair_tvd_sym", "type_tvd C-H", "dihedral 0-1-2-8", "energy ks"] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    assert!(rows(&evaluation.figures).iter().all(|(name, _)| !labels::what(name).is_empty()));
}
