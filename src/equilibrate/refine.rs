//! Refinement: a few exact Monte Carlo steps for every sample.

use ndarray::{s, Array1, Array3, ArrayView3};

use super::hmc::{length, Batch, Decisions, System};
use super::limits::{Limits, Verdict};
use super::settings::check_trajectory;
use crate::potential::Potential;
use crate::sampler::noise::{Purpose, Stream};
use crate::units::BOLTZMANN;
use crate::{Error, Result};

/// Proposals for every sample, at most.
const MOST_ITERATIONS: usize = 1_000_000_000;
/// Samples that are refined side by side.
const BLOCK: usize = 1024;
/// Rounding of an energy over kT above which the Metropolis test would be one of rounding errors.
const COARSEST: f64 = 1e-3;

/// How to refine.
#[derive(Debug, Clone, PartialEq)]
pub struct RefineSettings {
    /// Temperature in kelvin.
    pub temperature: f64,
    /// Proposals for every sample.
    pub iterations: usize,
    /// Time step in fs. It is fixed: a step found from the samples would make each depend on the others.
    pub time_step: f64,
    /// Mean leapfrog steps of a proposal.
    pub leapfrog: usize,
    /// Seed of the ensemble.
    pub seed: u64,
    /// Number of the first sample in the ensemble.
    pub first: u64,
}

/// Refined samples.
#[derive(Debug, Clone)]
pub struct Refined {
    /// Positions in angstrom, (N, n, 3). The center of mass of a sample that moved is at the origin.
    pub positions: Array3<f64>,
    /// Energies before, (N), kcal/mol.
    pub energies_before: Array1<f64>,
    /// Energies after, (N), kcal/mol.
    pub energies_after: Array1<f64>,
    /// Share of the proposals accepted.
    pub acceptance: f64,
    /// What became of the proposals.
    pub decisions: Decisions,
}

/// Refines samples (N, n, 3), in angstrom, by hybrid Monte Carlo with masses (n) in amu: each proposal keeps the
/// Boltzmann distribution exactly, so it can only bring samples nearer to it.
///
/// Sample `first + i` draws from a stream of its own: its result does not depend on which samples are refined
/// beside it, as long as the potential treats every frame by itself. `progress` is told how many proposals of samples x
/// iterations are done; an error of its own stops the work.
///
/// # Errors
/// [`Error::Usage`] for settings that make no sense or arrays that do not fit; [`Error::Numeric`] naming the
/// sample that is outside the potential's region or has no finite energy and forces (leave it out or draw it
/// again); whatever the potential fails with.
pub fn refine(
    potential: &mut dyn Potential,
    species: &[u8],
    masses: &[f64],
    positions: ArrayView3<f64>,
    settings: &RefineSettings,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Refined> {
    let (samples, atoms, three) = positions.dim();
    if species.len() != atoms || masses.len() != atoms || three != 3 || atoms == 0 {
        return Err(Error::usage(format!(
            "{} species and {} masses for positions {:?}; give (n), (n) and (N, n, 3)",
            species.len(),
            masses.len(),
            positions.dim()
        )));
    }
    if !masses.iter().all(|mass| *mass > 0.0 && mass.is_finite()) {
        return Err(Error::usage("a mass is not positive; give masses in amu"));
    }
    if settings.iterations > MOST_ITERATIONS {
        return Err(Error::usage(format!(
            "{} refinement steps: give at most {MOST_ITERATIONS}",
            settings.iterations
        )));
    }
    if !(settings.temperature > 0.0 && settings.temperature.is_finite()) {
        return Err(Error::usage(format!("temperature {} K: give a positive one", settings.temperature)));
    }
    check_trajectory(settings.leapfrog, settings.time_step)?;
    if settings.first.checked_add(samples as u64).is_none_or(|end| end > 1 << 63) {
        return Err(Error::usage(format!("sample numbers from {}: they end at 2^63", settings.first)));
    }
    let system = System {
        species: species.to_vec(),
        masses: masses.to_vec(),
        limits: Limits::new(potential.region(), &[]),
    };
    let mut out = Refined {
        positions: positions.to_owned(),
        energies_before: Array1::zeros(samples),
        energies_after: Array1::zeros(samples),
        acceptance: 0.0,
        decisions: Decisions::default(),
    };
    for start in (0..samples).step_by(BLOCK) {
        block(potential, &system, settings, start, &mut out, progress)?;
    }
    out.acceptance = out.decisions.acceptance();
    Ok(out)
}

/// Refines one block in place.
fn block(
    potential: &mut dyn Potential,
    system: &System,
    settings: &RefineSettings,
    start: usize,
    out: &mut Refined,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let rows = start..(start + BLOCK).min(out.energies_before.len());
    let states = out.positions.slice(s![rows.clone(), .., ..]).to_owned();
    let number = |k: usize| settings.first + (start + k) as u64;
    for (k, state) in states.outer_iter().enumerate() {
        let finite = state.iter().all(|x| x.is_finite());
        if !finite || system.limits.judge(state) != Verdict::Allowed {
            let why = if finite { system.limits.explain(state) } else { "a position is not finite".into() };
            return Err(Error::Numeric(format!(
                "sample {} cannot be refined: {why}; leave it out or draw it again",
                number(k)
            )));
        }
    }
    let mut batch = Batch::new(states, &vec![settings.temperature; rows.len()]);
    batch.prepare(&system.species, potential)?;
    if let Some(k) = (0..rows.len()).find(|&k| !batch.is_finite(k)) {
        return Err(Error::Numeric(format!(
            "sample {} cannot be refined: its energy or a force is not finite; leave it out or draw it again",
            number(k)
        )));
    }
    for (k, energy) in batch.energies.iter().enumerate().filter(|_| settings.iterations > 0) {
        resolved(*energy, BOLTZMANN * settings.temperature)
            .map_err(|why| Error::Numeric(format!("sample {} cannot be refined: {why}", number(k))))?;
    }
    out.energies_before.slice_mut(s![rows.clone()]).assign(&batch.energies);
    let mut streams: Vec<Stream> =
        (0..rows.len()).map(|k| Stream::new(settings.seed, Purpose::Walk, number(k))).collect();
    for iteration in 0..settings.iterations {
        // The length is the same for all samples, and so for all blocks and slices of an ensemble.
        let mut schedule = Stream::new(settings.seed, Purpose::Schedule, iteration as u64);
        let steps = length(settings.leapfrog, &mut schedule);
        batch.iterate(
            system,
            potential,
            // Samples may be where a guide knows nothing.
            None,
            (settings.time_step, steps),
            &mut streams,
            |_, one| out.decisions.add(one),
        )?;
        progress((start * settings.iterations + rows.len() * (iteration + 1)) as u64)?;
    }
    out.energies_after.slice_mut(s![rows.clone()]).assign(&batch.energies);
    out.positions.slice_mut(s![rows, .., ..]).assign(&batch.positions);
    Ok(())
}

/// That differences of kT are not lost in the rounding of an energy, both in kcal/mol; else why.
fn resolved(energy: f64, thermal: f64) -> std::result::Result<(), String> {
    let rounding = energy.abs() * f64::EPSILON;
    if rounding <= COARSEST * thermal {
        return Ok(());
    }
    Err(format!(
        "its energy is {energy:.2e} kcal/mol, which a number of double precision holds to {rounding:.1e} kcal/mol only: too \
         coarse to tell differences of kT = {thermal:.2} kcal/mol. Atoms overlap, or the potential has a constant to be \
         subtracted"
    ))
}
