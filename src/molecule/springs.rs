//! A molecule of springs for tests, sampled exactly: canonical by Metropolis, or at constant energy.

use ndarray::{Array1, Array3, Axis};

use super::rigid::remove_rigid_motion;
use super::samples::{build, Row};
use super::vector::{dot, norm, sub, Vector};
use crate::dataset::{elements, Dataset, Source};
use crate::sampler::noise::{Purpose, Stream};
use crate::units::{BOLTZMANN, ENERGY_TO_KINETIC};

/// Springs between bonded atoms, second and third neighbors, kcal/mol/angstrom^2.
const STIFFNESS: [f64; 3] = [600.0, 120.0, 8.0];

pub(crate) struct Springs {
    species: Vec<u8>,
    masses: Vec<f64>,
    rest: Vec<Vector>,
    springs: Vec<(usize, usize, f64, f64)>,
}

impl Springs {
    pub fn new(rows: &[Row]) -> Self {
        let rest = build(rows);
        let mut far = vec![vec![usize::MAX; rows.len()]; rows.len()];
        for (i, row) in far.iter_mut().enumerate() {
            row[i] = 0;
        }
        for (i, row) in rows.iter().enumerate().skip(1) {
            far[i][row.1[0]] = 1;
            far[row.1[0]][i] = 1;
        }
        for k in 0..rows.len() {
            for i in 0..rows.len() {
                for j in 0..rows.len() {
                    far[i][j] = far[i][j].min(far[i][k].saturating_add(far[k][j]));
                }
            }
        }
        let mut springs = Vec::new();
        for i in 0..rows.len() {
            for j in 0..i {
                if far[i][j] <= 3 {
                    springs.push((i, j, STIFFNESS[far[i][j] - 1], norm(sub(rest[i], rest[j]))));
                }
            }
        }
        let species: Vec<u8> = rows.iter().map(|row| row.0).collect();
        let masses = species.iter().map(|&z| elements::mass(z).unwrap()).collect();
        Springs { species, masses, rest, springs }
    }

    fn evaluate(&self, x: &[Vector]) -> (f64, Vec<Vector>) {
        let (mut energy, mut forces) = (0.0, vec![[0.0; 3]; x.len()]);
        for &(i, j, stiffness, rest) in &self.springs {
            let d = sub(x[i], x[j]);
            let r = norm(d);
            energy += 0.5 * stiffness * (r - rest).powi(2);
            for c in 0..3 {
                let pull = stiffness * (r - rest) * d[c] / r;
                forces[i][c] -= pull;
                forces[j][c] += pull;
            }
        }
        (energy, forces)
    }

    /// Velocity Verlet, angstrom/fs.
    fn walk(
        &self,
        x: &mut [Vector],
        v: &mut [Vector],
        steps: usize,
        dt: f64,
        mut visit: impl FnMut(&[Vector], &[Vector]),
    ) {
        let mut forces = self.evaluate(x).1;
        for _ in 0..steps {
            for half in 0..2 {
                for (atom, mass) in self.masses.iter().enumerate() {
                    for c in 0..3 {
                        v[atom][c] += 0.5 * dt * forces[atom][c] * ENERGY_TO_KINETIC / mass;
                        x[atom][c] += if half == 0 { dt * v[atom][c] } else { 0.0 };
                    }
                }
                if half == 0 {
                    forces = self.evaluate(x).1;
                }
            }
            visit(x, v);
        }
    }

    /// Gives the frames velocities of Maxwell's distribution, without motion as a whole where `still`.
    pub fn give_velocities(&self, data: &mut Dataset, kelvin: f64, still: bool, seed: u64) {
        let mut all = Array3::zeros(data.positions.dim());
        for (frame, mut rows) in all.outer_iter_mut().enumerate() {
            let mut stream = Stream::new(seed, Purpose::Velocities, frame as u64);
            for (atom, v) in self.velocities(kelvin, &mut stream).iter().enumerate() {
                (0..3).for_each(|c| rows[[atom, c]] = v[c]);
            }
            if still {
                remove_rigid_motion(&self.masses, data.positions.index_axis(Axis(0), frame), rows);
            }
        }
        data.velocities = Some(all);
    }

    fn velocities(&self, kelvin: f64, stream: &mut Stream) -> Vec<Vector> {
        let speed = |mass: &f64| (BOLTZMANN * kelvin * ENERGY_TO_KINETIC / mass).sqrt();
        self.masses.iter().map(|mass| [(); 3].map(|()| speed(mass) * stream.normal())).collect()
    }

    fn kinetic(&self, v: &[Vector]) -> f64 {
        self.masses.iter().zip(v).map(|(mass, v)| 0.5 * mass * dot(*v, *v)).sum::<f64>() / ENERGY_TO_KINETIC
    }

    /// Frames of hybrid Monte Carlo, exactly canonical.
    pub fn canonical(&self, kelvin: f64, frames: usize, seed: u64) -> Dataset {
        let mut stream = Stream::new(seed, Purpose::Data, 0);
        let mut x = self.rest.clone();
        let mut kept = Vec::with_capacity(frames);
        for iteration in 0..frames + 300 {
            let (mut y, mut v) = (x.clone(), self.velocities(kelvin, &mut stream));
            let before = self.evaluate(&x).0 + self.kinetic(&v);
            self.walk(&mut y, &mut v, 10 + stream.below(20), 0.7, |_, _| ());
            let rise = self.evaluate(&y).0 + self.kinetic(&v) - before;
            if stream.uniform() < (-rise / (BOLTZMANN * kelvin)).exp() {
                x = y;
            }
            if iteration >= 300 {
                kept.push(x.clone());
            }
        }
        self.dataset(&kept)
    }

    /// Frames of every time step of `dt` fs at constant energy, with velocities, from a canonical state.
    pub fn trajectory(&self, kelvin: f64, frames: usize, dt: f64, seed: u64) -> Dataset {
        let start = self.canonical(kelvin, 1, seed).positions;
        let mut x: Vec<Vector> = (0..self.rest.len()).map(|a| [0, 1, 2].map(|c| start[[0, a, c]])).collect();
        let mut v = self.velocities(kelvin, &mut Stream::new(seed, Purpose::Data, 1));
        let (mut kept, mut speeds) = (Vec::with_capacity(frames), Vec::with_capacity(frames));
        self.walk(&mut x, &mut v, frames, dt, |x, v| {
            kept.push(x.to_vec());
            speeds.push(v.to_vec());
        });
        let velocities = Array3::from_shape_fn((frames, x.len(), 3), |(f, a, c)| speeds[f][a][c]);
        Dataset { velocities: Some(velocities), ..self.dataset(&kept) }
    }

    fn dataset(&self, kept: &[Vec<Vector>]) -> Dataset {
        let shape = (kept.len(), self.rest.len(), 3);
        let all: Vec<_> = kept.iter().map(|x| self.evaluate(x)).collect();
        let source = Source {
            path: "springs".into(),
            format: "test".into(),
            frames: (0..kept.len()).collect(),
            atoms_in_file: self.rest.len(),
            periodic: false,
            units: "angstrom".into(),
            digest: String::new(),
            warnings: Vec::new(),
            keep: crate::dataset::Keep::Nowhere,
        };
        Dataset {
            species: self.species.clone(),
            masses: self.masses.clone(),
            positions: Array3::from_shape_fn(shape, |(f, a, c)| kept[f][a][c]),
            forces: Some(Array3::from_shape_fn(shape, |(f, a, c)| all[f].1[a][c])),
            energies: Some(Array1::from_iter(all.iter().map(|one| one.0))),
            velocities: None,
            source,
        }
    }
}
