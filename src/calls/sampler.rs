//! Samplers: ask, draw, refine, put into a simulation.

use ndarray::{Array1, ArrayView2, Axis};
use serde::Deserialize;

use super::arrays::{copy, cube, masses, room, same_length, size, species, view};
use super::potential::Handle;
use super::progress::{tell, Ear};
use super::{json, settings};
use crate::equilibrate::{seeds, trust, RefineSettings, Seeds};
use crate::molecule::bonds::Bonds;
use crate::molecule::symmetry::matching::{self, Molecule};
use crate::sampler::placing::{self, Orientation};
use crate::sampler::{velocities, Sampler};
use crate::{Error, Result};

/// Samples that show which centers of a molecule keep their handedness.
const SHOWN: usize = 64;

/// Temperature in kelvin that the sampler records.
pub(crate) fn temperature(sampler: &Sampler) -> Result<f64> {
    let recorded = sampler.record().temperature;
    recorded.ok_or_else(|| Error::Unsupported("the sampler records no temperature".into()))
}

/// Pairs (i, j) of bonded atoms.
pub(crate) fn bonds(sampler: &Sampler) -> Result<Vec<i32>> {
    let pairs = sampler.record().bonds.iter().flatten();
    pairs.map(|&atom| i32::try_from(atom).map_err(|error| Error::Numeric(error.to_string()))).collect()
}

/// Positions (count, n, 3) in angstrom of samples `first .. first + count` of a seed.
pub(crate) fn sample(
    sampler: &Sampler,
    seed: u64,
    first: u64,
    count: usize,
    positions: &mut [f64],
) -> Result<()> {
    same_length(positions.len(), size(count, sampler.record().species.len())?, "positions")?;
    sampler.sample_into(seed, first, positions)
}

/// Maxwell velocities in angstrom/fs for masses (n) in amu at `kelvin`, (count, n, 3).
pub(crate) fn maxwell(
    masses_of: &[f64],
    draw: Draw,
    kelvin: f64,
    positions: &[f64],
    out: &mut [f64],
) -> Result<()> {
    let (atoms, Draw { seed, first, count }) = (masses_of.len(), draw);
    masses(masses_of, atoms)?;
    same_length(out.len(), size(count, atoms)?, "velocities")?;
    let positions = cube(positions, count, atoms, "positions")?;
    let drawn = velocities::maxwell(masses_of, &positions, kelvin, seed, first)?;
    copy(out, drawn.iter(), "velocities")
}

/// What a refinement may be told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refining {
    /// Proposals for every sample; 20.
    steps: Option<usize>,
    /// Kelvin; the sampler's own.
    temperature: Option<f64>,
    /// fs; 1.
    time_step: Option<f64>,
    /// Mean leapfrog steps of a proposal; 20.
    leapfrog: Option<usize>,
    /// Share of the steps that must be accepted; 0.3.
    least_acceptance: Option<f64>,
}

/// Which samples of an ensemble.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    pub seed: u64,
    pub first: u64,
    pub count: usize,
}

/// Samples refined by hybrid Monte Carlo under a potential: positions (count, n, 3) in angstrom, their energies (count) in
/// kcal/mol where they are wanted, and the report as JSON. Samples that are no states of the molecule are drawn again.
pub(crate) fn refined(
    sampler: &Sampler,
    potential: &mut Handle,
    draw: Draw,
    settings_of: Option<&str>,
    ear: Ear,
    positions: &mut [f64],
    energies: Option<&mut [f64]>,
) -> Result<String> {
    let Draw { seed, first, count } = draw;
    let given: Refining = settings(settings_of)?;
    same_length(positions.len(), size(count, sampler.record().species.len())?, "positions")?;
    if let Some(energies) = &energies {
        same_length(energies.len(), count, "energies")?;
    }
    let kelvin = given.temperature.or(sampler.record().temperature).ok_or_else(|| {
        Error::usage("the sampler records no temperature; give \"temperature\" in the settings")
    })?;
    let settings = RefineSettings {
        temperature: kelvin,
        iterations: given.steps.unwrap_or(20),
        time_step: given.time_step.unwrap_or(1.0),
        leapfrog: given.leapfrog.unwrap_or(20),
        seed,
        first,
    };
    let least = given.least_acceptance.unwrap_or(trust::LEAST_REFINED);
    if !(0.0..=1.0).contains(&least) {
        return Err(Error::usage(format!("least_acceptance {least}: give a share from 0 to 1")));
    }
    trust::warn_of_rough_fit(potential.potential.as_ref(), kelvin);
    let total = (count as u64).saturating_mul(settings.iterations as u64);
    let progress = &mut |done| tell(ear, c"refining", done, total);
    let Seeds { refined, redrawn } = seeds(sampler, potential.usable()?, &settings, count, progress)?;
    trust::check_refinement(&refined.decisions, settings.time_step, least)?;
    copy(positions, refined.positions.iter(), "positions")?;
    if let Some(energies) = energies {
        copy(energies, refined.energies_after.iter(), "energies")?;
    }
    json(&serde_json::json!({
        "temperature": kelvin,
        "acceptance": refined.acceptance,
        "decisions": refined.decisions,
        "redrawn": redrawn,
        "energies_before": quantiles(&refined.energies_before),
        "energies_after": quantiles(&refined.energies_after),
    }))
}

/// At 5, 50 and 95 %.
fn quantiles(values: &Array1<f64>) -> [Option<f64>; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    [0.05, 0.5, 0.95].map(|q| sorted.get((last * q).round() as usize).copied())
}

/// Which atom of a caller's molecule is which of the sampler's: `order` (n). Bonds are found from the distances where the
/// caller gives none.
pub(crate) fn matched(
    sampler: &Sampler,
    species_of: &[i32],
    positions: &[f64],
    bonds: Option<&[i32]>,
    order: &mut [i32],
) -> Result<()> {
    let record = sampler.record();
    let (atoms, theirs) = (species_of.len(), species(species_of)?);
    let frame = cube(positions, 1, atoms, "positions")?;
    let bonds = match bonds {
        None => Bonds::from_mean_distances(&theirs, frame.view())?,
        Some(pairs) => {
            if !pairs.len().is_multiple_of(2) {
                return Err(Error::usage(format!("bonds: {} numbers; give two atoms a bond", pairs.len())));
            }
            let atom = |k: i32| {
                usize::try_from(k)
                    .map_err(|_| Error::usage(format!("a bond names atom {k}; count atoms from 0")))
            };
            let pairs: Result<Vec<_>> =
                pairs.chunks_exact(2).map(|pair| Ok((atom(pair[0])?, atom(pair[1])?))).collect();
            Bonds::from_pairs(atoms, &pairs?)?
        }
    };
    let own: Vec<_> = record.bonds.iter().map(|&[i, j]| (i, j)).collect();
    let own = Bonds::from_pairs(record.species.len(), &own)?;
    let shown = sampler.sample(0, 0, SHOWN)?;
    let model = Molecule { species: &record.species, bonds: &own, positions: shown.view() };
    let place: ArrayView2<f64> = frame.index_axis(Axis(0), 0);
    let found = matching::find(model, &theirs, place, &bonds)?;
    same_length(order.len(), found.len(), "order")?;
    for (to, from) in order.iter_mut().zip(found) {
        *to = i32::try_from(from).map_err(|error| Error::Numeric(error.to_string()))?;
    }
    Ok(())
}

/// Moves samples to the centers of mass of `onto` (count, n, 3) and turns them: 0 as they stand there, 1 at random.
pub(crate) fn place(
    sampler: &Sampler,
    draw: Draw,
    masses_of: Option<&[f64]>,
    onto: &[f64],
    orientation: i32,
    positions: &mut [f64],
) -> Result<()> {
    let Draw { seed, first, count } = draw;
    let atoms = sampler.record().species.len();
    let orientation = match orientation {
        0 => Orientation::Keep,
        1 => Orientation::Random,
        other => {
            return Err(Error::usage(format!(
                "orientation {other}: give 0 (BZD_ORIENT_KEEP) or 1 (BZD_ORIENT_RANDOM)"
            )))
        }
    };
    let masses_of = masses_of.unwrap_or(&sampler.record().masses);
    same_length(masses_of.len(), atoms, "masses")?;
    let onto = view(onto, count, atoms, "onto")?;
    placing::place(masses_of, onto, orientation, seed, first, room(positions, count, atoms, "positions")?)
}
