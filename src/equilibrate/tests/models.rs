//! Potentials whose distribution is known, frames of them, and the quadrature that knows it.

use ndarray::parallel::prelude::*;
use ndarray::{s, Array1, Array3, ArrayView3, ArrayViewMut1, ArrayViewMut3, Axis};

use crate::dataset::Dataset;
use crate::molecule::vector::{cross, dot, norm, sub};
use crate::potential::{Gdml, Potential, Region};
use crate::sampler::noise::{Purpose, Stream};
use crate::units::BOLTZMANN;
use crate::{Error, Result};

pub(super) type Energy = fn(&[[f64; 3]]) -> f64;

/// A potential from its energy alone: forces by central differences.
#[derive(Clone)]
pub(super) struct Model {
    pub energy: Energy,
    pub region: Option<Region>,
    /// What the guiding forces are multiplied by, and whether they are rounded to single precision.
    pub guide: (f64, bool),
    /// A field that leads trajectories.
    pub led: Option<Gdml>,
}

impl Model {
    pub fn new(energy: Energy) -> Self {
        Model { energy, region: None, guide: (1.0, false), led: None }
    }
}

impl Potential for Model {
    fn energies_forces(
        &mut self,
        _: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        assert!(positions.iter().all(|x| x.is_finite()), "the potential saw a state that is not finite");
        let energy = self.energy;
        let frames = positions.axis_iter(Axis(0)).into_par_iter();
        frames
            .zip(forces.axis_iter_mut(Axis(0)).into_par_iter())
            .zip(energies.axis_iter_mut(Axis(0)).into_par_iter())
            .for_each(|((x, mut f), mut e)| {
                let mut x: Vec<[f64; 3]> = x.outer_iter().map(|x| [x[0], x[1], x[2]]).collect();
                e.fill(energy(&x));
                let h = 1e-4;
                for atom in 0..x.len() {
                    for k in 0..3 {
                        let here = x[atom][k];
                        x[atom][k] = here + h;
                        let up = energy(&x);
                        x[atom][k] = here - h;
                        f[[atom, k]] = -(up - energy(&x)) / (2.0 * h);
                        x[atom][k] = here;
                    }
                }
            });
        Ok(())
    }

    fn guiding_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        let mut energies = Array1::zeros(positions.dim().0);
        self.energies_forces(species, positions, energies.view_mut(), forces.view_mut())?;
        let (factor, single) = self.guide;
        forces.mapv_inplace(|f| if single { f64::from((factor * f) as f32) } else { factor * f });
        Ok(())
    }

    fn region(&self) -> Option<Region> {
        self.region.clone()
    }

    fn name(&self) -> String {
        "test".into()
    }

    fn identity(&self) -> String {
        let led = self.led.as_ref().map(Potential::identity);
        format!("test {:?} {led:?}", self.guide)
    }

    fn guide(&self) -> Option<(Gdml, f64)> {
        self.led.clone().map(|field| (field, 0.2))
    }
}

pub(super) fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt()
}

pub(super) fn angle(a: [f64; 3], b: [f64; 3], c: [f64; 3]) -> f64 {
    let dot: f64 = (0..3).map(|k| (a[k] - b[k]) * (c[k] - b[k])).sum();
    (dot / distance(a, b) / distance(c, b)).clamp(-1.0, 1.0).acos()
}

pub(super) const STIFF: f64 = 200.0;
pub(super) const LENGTH: f64 = 1.3;

pub(super) fn spring(x: &[[f64; 3]]) -> f64 {
    0.5 * STIFF * (distance(x[0], x[1]) - LENGTH).powi(2)
}

/// The spring, without an answer beyond 1.35 angstrom.
pub(super) fn spring_with_a_hole(x: &[[f64; 3]]) -> f64 {
    if distance(x[0], x[1]) > 1.35 {
        return f64::NAN;
    }
    spring(x)
}

/// A chain of four atoms whose dihedral alone is soft: -0.3 cos phi - 2.5 cos 2 phi, wells at 0 and 180 degrees.
pub(super) fn chain(x: &[[f64; 3]]) -> f64 {
    let bonds: f64 = (0..3).map(|k| 150.0 * (distance(x[k], x[k + 1]) - 1.5).powi(2)).sum();
    let angles: f64 = (0..2).map(|k| 30.0 * (angle(x[k], x[k + 1], x[k + 2]) - 1.95).powi(2)).sum();
    let (a, b, c) = (sub(x[1], x[0]), sub(x[2], x[1]), sub(x[3], x[2]));
    let (n1, n2) = (cross(a, b), cross(b, c));
    let phi = (dot(cross(n1, n2), b) / norm(b)).atan2(dot(n1, n2));
    bonds + angles + torsion(phi)
}

pub(super) fn torsion(phi: f64) -> f64 {
    -0.3 * phi.cos() - 2.5 * (2.0 * phi).cos()
}

/// Mean of `value` under `weight` from `low` to `high`, by the midpoint rule.
pub(super) fn mean(low: f64, high: f64, weight: impl Fn(f64) -> f64, value: impl Fn(f64) -> f64) -> f64 {
    let (mut top, mut bottom) = (0.0, 0.0);
    for k in 0..20_000 {
        let x = low + (high - low) * (f64::from(k) + 0.5) / 20_000.0;
        top += weight(x) * value(x);
        bottom += weight(x);
    }
    top / bottom
}

/// Mean over the distances of a diatomic molecule: the volume element is r^2.
pub(super) fn diatomic_mean(low: f64, high: f64, kelvin: f64, value: impl Fn(f64) -> f64) -> f64 {
    let well = |r: f64| r * r * (-0.5 * STIFF * (r - LENGTH).powi(2) / (BOLTZMANN * kelvin)).exp();
    mean(low, high, well, value)
}

pub(super) fn diatomic_frames(count: usize) -> Dataset {
    let mut noise = Stream::new(9, Purpose::Data, 7);
    let mut positions = Array3::zeros((count, 2, 3));
    positions.slice_mut(s![.., 1, 0]).mapv_inplace(|_: f64| LENGTH + 0.02 * noise.normal());
    Dataset::from_arrays(vec![1, 17], positions, None, None, None).unwrap()
}

pub(super) fn chain_frames(count: usize) -> Dataset {
    let mut noise = Stream::new(9, Purpose::Data, 8);
    let (cosine, sine) = (1.95_f64.cos(), 1.95_f64.sin());
    let mut positions = Array3::zeros((count, 4, 3));
    for mut x in positions.outer_iter_mut() {
        // All in the well at 180 degrees.
        let rows = [
            [1.5 * cosine, 1.5 * sine, 0.0],
            [0.0; 3],
            [1.5, 0.0, 0.0],
            [1.5 - 1.5 * cosine, -1.5 * sine, 0.0],
        ];
        for (mut x, row) in x.outer_iter_mut().zip(rows) {
            x.iter_mut().zip(row).for_each(|(x, y)| *x = y + 0.03 * noise.normal());
        }
    }
    Dataset::from_arrays(vec![6; 4], positions, None, None, None).unwrap()
}

/// Every atom on springs to all others, of length 0: a quadratic form of the 3n - 3 relative coordinates.
pub(super) fn cloud(x: &[[f64; 3]]) -> f64 {
    (0..x.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|(i, j)| 5.0 * distance(x[i], x[j]).powi(2))
        .sum()
}

/// A model that fails, once, at its call of that number.
pub(super) struct FailsAt(pub Model, pub usize);

impl Potential for FailsAt {
    fn energies_forces(
        &mut self,
        species: &[u8],
        positions: ArrayView3<f64>,
        energies: ArrayViewMut1<f64>,
        forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        self.1 = self.1.wrapping_sub(1);
        if self.1 == 0 {
            return Err(Error::Potential {
                name: self.name(),
                frame: 1,
                status: Some(3),
                message: "it broke".into(),
            });
        }
        self.0.energies_forces(species, positions, energies, forces)
    }

    fn name(&self) -> String {
        self.0.name()
    }

    fn identity(&self) -> String {
        self.0.identity()
    }

    fn guide(&self) -> Option<(Gdml, f64)> {
        self.0.guide()
    }
}
