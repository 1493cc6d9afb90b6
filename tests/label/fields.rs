//! Frames of CH2OH, and potentials for it.

use std::path::Path;

use boltzdrift::dataset::{self, Dataset, ReadOptions, WriteOptions, Writer};
use boltzdrift::label::{Difference, Labelled};
use boltzdrift::potential::gdml::{descriptor_order, inverse_distances, Parts};
use boltzdrift::potential::{Gdml, Potential};
use boltzdrift::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayView3, ArrayViewMut1, ArrayViewMut3};

use crate::analytic::{hydroxymethyl, Frame, Noise};

fn cube(frames: &[Frame], of: fn(&Frame) -> &Vec<[f64; 3]>) -> Array3<f64> {
    Array3::from_shape_fn((frames.len(), 5, 3), |(frame, atom, c)| of(&frames[frame])[atom][c])
}

fn options(data: &Dataset, frames: usize) -> WriteOptions {
    WriteOptions {
        species: data.species.clone(),
        masses: data.masses.clone(),
        velocities: data.velocities.is_some(),
        frames_expected: Some(frames),
        ..WriteOptions::default()
    }
}

/// Frames at 500 K with forces, energies and some velocities, written and read.
pub fn frames(path: &Path, count: usize) -> Dataset {
    let molecule = hydroxymethyl();
    let frames = molecule.frames(500.0, count, 1);
    let energies: Array1<f64> = frames.iter().map(|frame| frame.energy).collect();
    let (x, forces) = (cube(&frames, |frame| &frame.x), cube(&frames, |frame| &frame.forces));
    let velocities = forces.mapv(|f| 1e-4 * f);
    let data =
        Dataset::from_arrays(molecule.species, x, Some(forces), Some(energies), Some(velocities)).unwrap();
    let mut writer = Writer::create(path, &options(&data, count)).unwrap();
    let [velocities, forces] = [&data.velocities, &data.forces].map(|array| array.as_ref().map(|a| a.view()));
    writer
        .write(data.positions.view(), velocities, data.energies.as_ref().map(|e| e.view()), forces)
        .unwrap();
    writer.finish().unwrap();
    load(path)
}

pub fn load(path: &Path) -> Dataset {
    dataset::read(path, &ReadOptions::default(), &mut |_| Ok(())).unwrap()
}

/// Writes labelled frames.
pub fn finish(data: &Dataset, labelled: &Labelled, path: &Path) -> Difference {
    let mut writer = Writer::create(path, &options(data, labelled.len())).unwrap();
    let difference = labelled.write(&mut writer).unwrap();
    writer.finish().unwrap();
    difference
}

/// A force field on some frames, with arbitrary coefficients.
pub fn field(centers: usize) -> Gdml {
    let molecule = hydroxymethyl();
    let permutations = vec![vec![0, 1, 2, 3, 4], vec![0, 1, 2, 4, 3]];
    let mut noise = Noise(3);
    Gdml::new(Parts {
        orders: permutations.iter().map(|p| descriptor_order(p)).collect(),
        permutations,
        descriptors: inverse_distances(cube(&molecule.frames(500.0, centers, 9), |frame| &frame.x).view()),
        weights: vec![1.0; 10],
        coefficients: Array2::from_shape_fn((centers, 10), |_| noise.normal()),
        guide: None,
        species: molecule.species,
        sigma: 1.3,
        scale: 1.7,
        constant: -71_234.567_891,
        record: serde_json::Value::Null,
    })
    .unwrap()
}

/// How a potential fails on a frame.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Way {
    /// It says so, and gives nothing for the whole batch; the frame it names is never right.
    #[default]
    Says,
    /// A force that is not a number.
    Force,
    /// An energy that is infinite.
    Energy,
}

/// The potential that the frames are from. It counts, and fails on frames whose first atom is far to the left.
#[derive(Default)]
pub struct Analytic {
    pub frames: usize,
    pub way: Way,
    /// Told of every frame before it is evaluated, by its first coordinate.
    pub watch: Option<Box<dyn FnMut(f64) + Send>>,
}

/// Where a frame is that fails.
pub const FAR: f64 = -900.0;

impl Potential for Analytic {
    fn energies_forces(
        &mut self,
        _species: &[u8],
        positions: ArrayView3<f64>,
        mut energies: ArrayViewMut1<f64>,
        mut forces: ArrayViewMut3<f64>,
    ) -> Result<()> {
        let molecule = hydroxymethyl();
        self.frames += positions.dim().0;
        if let Some(watch) = &mut self.watch {
            positions.outer_iter().for_each(|x| watch(x[[0, 0]]));
        }
        for (frame, x) in positions.outer_iter().enumerate() {
            let rows: Vec<[f64; 3]> = x.outer_iter().map(|x| [x[0], x[1], x[2]]).collect();
            let (energy, force) = molecule.evaluate(&rows);
            energies[frame] = energy;
            forces.indexed_iter_mut().filter(|((k, ..), _)| *k == frame).for_each(|((_, i, c), f)| {
                *f = force[i][c];
            });
            match self.way {
                _ if rows[0][0] > FAR => {}
                Way::Force => forces[[frame, 2, 1]] = f64::NAN,
                Way::Energy => energies[frame] = f64::INFINITY,
                Way::Says => {
                    return Err(Error::Potential {
                        name: self.name(),
                        frame: 0,
                        status: Some(7),
                        message: "no convergence".into(),
                    })
                }
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        "analytic".into()
    }
}
