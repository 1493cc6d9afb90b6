//! Samples that are drawn, judged, drawn again where they are no states of the molecule, and refined.

use ndarray::{s, Array1, Array3};
use serde::{Deserialize, Serialize};

use super::limits::{Limits, Verdict};
use super::refine::{refine, RefineSettings, Refined};
use crate::dataset::elements::covalent_radius;
use crate::potential::Potential;
use crate::sampler::Sampler;
use crate::{Error, Result};

/// Draws in place of one rejected sample before the sampler is given up.
const MOST_ATTEMPTS: usize = 100;

/// Why samples were drawn again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrawn {
    /// Outside the region of the potential.
    pub outside: u64,
    /// A bond was shorter than 0.5 or longer than 1.6 times the sum of its covalent radii (potentials without a
    /// region).
    pub broken: u64,
    /// The potential's energy or a force was not finite.
    pub not_finite: u64,
}

impl Redrawn {
    /// All draws that were rejected.
    pub fn total(&self) -> u64 {
        self.outside + self.broken + self.not_finite
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Redrawn) {
        self.outside += other.outside;
        self.broken += other.broken;
        self.not_finite += other.not_finite;
    }
}

/// Refined samples, as many as asked for.
#[derive(Debug, Clone)]
pub struct Seeds {
    /// The samples, and what the refinement did.
    pub refined: Refined,
    /// What was drawn again before it.
    pub redrawn: Redrawn,
}

/// Samples `first .. first + count` of a seed, refined by hybrid Monte Carlo (see [`refine`]; `settings.iterations` of 0
/// only judges them). A sample that is no state of the molecule is replaced by another draw, so exactly `count` come
/// back; the counts say how many were rejected and why. The result does not depend on batches or threads.
///
/// # Errors
/// As [`refine`] and [`Sampler::sample`]; [`Error::Numeric`] where a hundred draws in a row are rejected.
pub fn seeds(
    sampler: &Sampler,
    potential: &mut dyn Potential,
    settings: &RefineSettings,
    count: usize,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Seeds> {
    let record = sampler.record();
    let mut bonds = Vec::with_capacity(record.bonds.len());
    for &[i, j] in &record.bonds {
        bonds.push((i, j, covalent_radius(record.species[i])? + covalent_radius(record.species[j])?));
    }
    let limits = Limits::new(potential.region(), &bonds);
    let mut positions = sampler.sample(settings.seed, settings.first, count)?;
    let mut redrawn = Redrawn::default();
    let mut doubtful: Vec<usize> = (0..count).collect();
    let mut attempt = 0;
    loop {
        let rejected = judge(&limits, potential, &record.species, &positions, &doubtful, &mut redrawn)?;
        if rejected.is_empty() {
            break;
        }
        if attempt == MOST_ATTEMPTS {
            return Err(Error::Numeric(format!(
                "{} of {count} samples, the first of number {}, were no states of the molecule in {MOST_ATTEMPTS} draws each ({} \
                 outside the potential's region, {} with a broken bond, {} without a finite energy): the sampler and the \
                 potential do not belong together",
                rejected.len(),
                settings.first + rejected[0] as u64,
                redrawn.outside,
                redrawn.broken,
                redrawn.not_finite
            )));
        }
        for &k in &rejected {
            let again = sampler.redraw(settings.seed, settings.first + k as u64, attempt)?;
            positions.slice_mut(s![k, .., ..]).assign(&again);
        }
        attempt += 1;
        doubtful = rejected;
    }
    let refined = refine(potential, &record.species, &record.masses, positions.view(), settings, progress)?;
    Ok(Seeds { refined, redrawn })
}

/// Those of the samples `rows` that are no states of the molecule, counted by reason.
fn judge(
    limits: &Limits,
    potential: &mut dyn Potential,
    species: &[u8],
    positions: &Array3<f64>,
    rows: &[usize],
    redrawn: &mut Redrawn,
) -> Result<Vec<usize>> {
    let mut allowed = Vec::with_capacity(rows.len());
    let mut rejected = Vec::new();
    for &k in rows {
        match limits.judge(positions.slice(s![k, .., ..])) {
            Verdict::Allowed => allowed.push(k),
            Verdict::Outside => {
                redrawn.outside += 1;
                rejected.push(k);
            }
            Verdict::Broken => {
                redrawn.broken += 1;
                rejected.push(k);
            }
        }
    }
    let states = positions.select(ndarray::Axis(0), &allowed);
    let (mut energies, mut forces) = (Array1::zeros(allowed.len()), Array3::zeros(states.raw_dim()));
    potential.energies_forces(species, states.view(), energies.view_mut(), forces.view_mut())?;
    for ((&k, energy), force) in allowed.iter().zip(&energies).zip(forces.outer_iter()) {
        if !energy.is_finite() || force.iter().any(|f| !f.is_finite()) {
            redrawn.not_finite += 1;
            rejected.push(k);
        }
    }
    rejected.sort_unstable();
    Ok(rejected)
}
