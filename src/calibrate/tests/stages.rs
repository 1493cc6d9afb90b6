//! The folder of stages.

use super::*;

fn field(data: &Dataset, settings: &fit::Settings, stages: &Stages) -> Result<Made<Gdml>> {
    force_field(data, settings, stages, &mut |_| Ok(()))
}

/// A pool and the iterations it took; stopped after `stop` of them.
fn states(
    data: &Dataset,
    potential: &mut Gdml,
    identity: &str,
    settings: &equilibrate::Settings,
    stages: &Stages,
    stop: usize,
) -> (Result<Made<Dataset>>, usize) {
    let mut count = 0;
    let made = pool(data, potential, identity, settings, stages, &mut |_| {
        count += 1;
        if count == stop {
            Continue::Stop
        } else {
            Continue::Yes
        }
    });
    (made, count)
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_fit_is_made_once_for_the_same_inputs() {
    let keep = tempfile::tempdir().unwrap();
    let folder = keep.path().join("deep/stages");
    let stages = Stages::open(&folder).unwrap();
    let (one, other) = (data(60, 1), data(60, 2));
    let first = field(&one, &fit_settings(20), &stages).unwrap();
    assert!(!first.cached && first.path.starts_with(&folder));
    let bytes = std::fs::read(&first.path).unwrap();
    let mut stop = |_| Err(Error::Numeric("fitted again".into()));
    let again = force_field(&one, &fit_settings(20), &stages, &mut stop).unwrap();
    assert!(again.cached && again.path == first.path && again.report == first.report);
    assert_eq!(again.value.parts(), first.value.parts());
    assert_eq!(again.report["data_digest"].as_str().unwrap(), one.source.digest);
    // In another folder, the same bytes: the digest is that of the inputs' work, not of the hour.
    let elsewhere = Stages::open(&keep.path().join("elsewhere")).unwrap();
    let twin = field(&one, &fit_settings(20), &elsewhere).unwrap();
    assert!(std::fs::read(&twin.path).unwrap() == bytes);
    assert_eq!(twin.path.file_name(), first.path.file_name());
    // Memory is no part of the result; everything else is.
    let roomy = fit::Settings { memory: Some(1 << 30), ..fit_settings(20) };
    assert!(field(&one, &roomy, &stages).unwrap().cached);
    let mut paths = vec![first.path.clone()];
    for (data, settings) in [
        (&one, fit_settings(21)),
        (&one, fit::Settings { sigma: Some(11.0), ..fit_settings(20) }),
        (&one, fit::Settings { ridge: Some(1e-8), ..fit_settings(20) }),
        (&one, fit::Settings { plain: false, ..fit_settings(20) }),
        (&other, fit_settings(20)),
    ] {
        let made = field(data, &settings, &stages).unwrap();
        assert!(!made.cached && !paths.contains(&made.path), "{settings:?}");
        paths.push(made.path);
    }
    assert_eq!(files(&folder).len(), 6);
    // Damaged, it is named, not made again over what the user may want to see.
    let bytes = std::fs::read(&first.path).unwrap();
    std::fs::write(&first.path, &bytes[..bytes.len() / 2]).unwrap();
    let said = field(&one, &fit_settings(20), &stages).unwrap_err().to_string();
    assert!(said.contains(first.path.to_str().unwrap()), "{said}");
    // A failed fit leaves nothing.
    let mut stop = |_| Err(Error::Interrupted("stopped".into()));
    assert!(force_field(&one, &fit_settings(25), &stages, &mut stop).is_err());
    assert_eq!(files(&folder).len(), 6);
}

#[test]
fn a_pool_is_made_once_and_goes_on_after_an_interruption() {
    let keep = tempfile::tempdir().unwrap();
    let data = data(60, 1);
    let stages = |name: &str| Stages::open(&keep.path().join(name)).unwrap();
    let (whole, parts) = (stages("whole"), stages("parts"));
    let mut model = field(&data, &fit_settings(20), &whole).unwrap().value;
    let settings = run_settings();
    let (first, iterations) = states(&data, &mut model, "a", &settings, &whole, 0);
    let first = first.unwrap();
    assert!(!first.cached && iterations > 100);
    assert!(first.report["converged"].as_bool().unwrap() && first.value.len() == 400);
    assert_eq!(first.value.masses, data.masses);
    let names = files(&keep.path().join("whole"));
    assert!(names.len() == 3 && !names.iter().any(|name| name.ends_with("checkpoint")), "{names:?}");
    // Energies and forces in the file are the potential's own.
    let x = first.value.positions.view();
    let (energies, forces) = crate::potential::evaluate(&mut model, &data.species, x).unwrap();
    assert_eq!((Some(energies), Some(forces)), (first.value.energies.clone(), first.value.forces.clone()));
    check_pool(&first, 500.0).unwrap();

    let (again, looked) = states(&data, &mut model, "a", &settings, &whole, 1);
    let again = again.unwrap();
    assert!(again.cached && looked == 0 && again.report == first.report);
    assert_eq!(again.value.positions, first.value.positions);
    assert_eq!(again.value.source.digest, first.value.source.digest);

    // Stopped in the warm-up and in the production, it goes on.
    let mut done = 0;
    for stop in [25, 60] {
        let (stopped, count) = states(&data, &mut model, "a", &settings, &parts, stop);
        assert!(matches!(stopped, Err(Error::Interrupted(_))), "{stopped:?}");
        done += count;
        let names = files(&keep.path().join("parts"));
        assert!(names.len() == 1 && names[0].ends_with("checkpoint"), "{names:?}");
    }
    let (rest, count) = states(&data, &mut model, "a", &settings, &parts, 0);
    let rest = rest.unwrap();
    assert_eq!(done + count, iterations);
    assert!(!rest.cached && files(&keep.path().join("parts")).len() == 2);
    assert!(std::fs::read(&rest.path).unwrap() == std::fs::read(&first.path).unwrap());

    // A checkpoint that is damaged, or a report, or states, are named.
    let (stopped, _) = states(&data, &mut model, "b", &settings, &parts, 10);
    assert!(stopped.is_err());
    let kept =
        files(&keep.path().join("parts")).into_iter().find(|name| name.ends_with("checkpoint")).unwrap();
    let kept = keep.path().join("parts").join(kept);
    for path in [kept.clone(), rest.path.with_extension("json"), rest.path.clone()] {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let identity = if path == kept { "b" } else { "a" };
        let (damaged, _) = states(&data, &mut model, identity, &settings, &parts, 0);
        let said = damaged.unwrap_err().to_string();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        std::fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn other_inputs_make_another_pool() {
    let keep = tempfile::tempdir().unwrap();
    let stages = Stages::open(keep.path()).unwrap();
    let (one, two) = (data(60, 1), data(60, 2));
    let mut model = field(&one, &fit_settings(20), &stages).unwrap().value;
    let base = equilibrate::Settings { frames: 64, effective: 50.0, r_hat: 1.2, ..run_settings() };
    let seeded = equilibrate::Settings { seed: 1, ..base.clone() };
    let warmer = equilibrate::Settings { temperature: 501.0, ..base.clone() };
    let mut paths = Vec::new();
    for (data, identity, settings) in [
        (&one, "a", &base),
        (&one, "b", &base),
        (&two, "a", &base),
        (&one, "a", &seeded),
        (&one, "a", &warmer),
    ] {
        let made = states(data, &mut model, identity, settings, &stages, 0).0.unwrap();
        assert!(!made.cached && !paths.contains(&made.path), "{identity} {settings:?}");
        paths.push(made.path);
    }
    // Boundaries between the parts of a key count: ("ab", "c") is not ("a", "bc").
    assert_ne!(stages.path("fit", &["ab", "c"], "npz"), stages.path("fit", &["a", "bc"], "npz"));
    assert_ne!(stages.path("fit", &["a"], "npz"), stages.path("pool", &["a"], "npz"));
    // A folder that is a file.
    let file = keep.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(Stages::open(&file).unwrap_err().to_string().contains("file"));
}
