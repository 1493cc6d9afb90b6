//! Reading: telling formats apart, and the checks every frame passes.

use std::path::Path;

use ndarray::{Array1, Array3};

use super::declared::{self, Units};
use super::frames::{Frames, Incoming};
use super::lammps::Dump;
use super::lines::first_bytes;
use super::npz::Npz;
use super::other::{formats, Other};
use super::whole::{Cell, Skeleton, Vector};
use super::xyz::Xyz;
use super::{clash, elements, Dataset, Keep, Progress, ReadOptions, Source};
use crate::error::Place;
use crate::{Error, Result};

/// Reads the frames of one molecule.
///
/// LAMMPS dumps, (extended) XYZ, MD17 / sGDML `.npz`, and whatever else chemfiles reads. Frames pass
/// through one at a time. `progress` is called after every frame; an error it returns stops the reading
/// and comes back unchanged.
///
/// # Errors
/// [`Error::Usage`] for options that are wrong or missing (units, types, format), [`Error::Io`] where
/// the file cannot be read, [`Error::Data`] with file, frame and atom for every fault of its content:
/// a cut file, a number that is not finite, atoms that differ between frames, missing forces, two atoms
/// at one place, more than one molecule.
pub fn read(
    path: &Path,
    options: &ReadOptions,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Dataset> {
    let mut frames = open(path, options)?;
    let mut collector = Collector::new(path, options);
    let slice = options.frames;
    let mut number = 0;
    loop {
        if slice.ends_before(number) {
            break;
        }
        if slice.contains(number) {
            let Some(frame) = frames.read()? else { break };
            collector.push(number, frame, frames.as_ref())?;
            let frames_done = collector.numbers.len();
            let frames_total =
                frames.total().map(|total| slice.count(total.max(number + 1)).max(frames_done));
            progress(Progress { frames_done, frames_total })?;
        } else if !frames.skip()? {
            break;
        }
        number += 1;
    }
    if number == 0 {
        return Err(Error::data(Place::file(path), "the file holds no frames; give a trajectory"));
    }
    slice.check(number, path)?;
    collector.finish(frames.as_mut())
}

fn open(path: &Path, options: &ReadOptions) -> Result<Box<dyn Frames>> {
    let start = first_bytes(path)?;
    if start.is_empty() {
        return Err(Error::data(Place::file(path), "the file is empty; give a trajectory"));
    }
    let extension =
        path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let dot_extension = format!(".{extension}");
    let known = formats();
    let format = match &options.format {
        Some(name) => match name.to_lowercase().as_str() {
            "lammps" | "dump" | "lammpstrj" => "LAMMPS".to_owned(),
            "npz" | "numpy npz" => "npz".to_owned(),
            "extxyz" => "XYZ".to_owned(),
            lower => {
                let found = known.iter().find(|one| {
                    one.read
                        && (one.name.to_lowercase() == lower || one.extension == Some(&format!(".{lower}")))
                });
                let names: Vec<&str> = known.iter().filter(|one| one.read).map(|one| one.name).collect();
                found.map(|one| one.name.to_owned()).ok_or_else(|| {
                    Error::usage(format!(
                        "format '{}' is not known; give npz, {}",
                        name.escape_debug(),
                        names.join(", ")
                    ))
                })?
            }
        },
        None if start.starts_with(b"ITEM:") => "LAMMPS".to_owned(),
        None if extension == "npz" => "npz".to_owned(),
        None if extension == "extxyz" => "XYZ".to_owned(),
        None if matches!(extension.as_str(), "data" | "lmp") => "LAMMPS Data".to_owned(),
        None if matches!(extension.as_str(), "gz" | "bz2" | "xz") => {
            return Err(Error::usage(format!(
                "{}: the file is compressed; decompress it first",
                path.display()
            )))
        }
        None => match known.iter().find(|one| one.read && one.extension == Some(&dot_extension)) {
            Some(one) => one.name.to_owned(),
            None => {
                return Err(Error::usage(format!(
                    "{}: the format is not known from the name; name it, for example --input-format LAMMPS",
                    path.display()
                )))
            }
        },
    };
    let packed = [&b"\x1f\x8b"[..], b"BZh", b"\xfd7zXZ"];
    if matches!(format.as_str(), "LAMMPS" | "XYZ") && packed.iter().any(|magic| start.starts_with(magic)) {
        return Err(Error::usage(format!("{}: the file is compressed; decompress it first", path.display())));
    }
    Ok(match format.as_str() {
        "LAMMPS" => Box::new(Dump::open(path, options)?),
        "XYZ" => Box::new(Xyz::open(path, options)?),
        "npz" => Box::new(Npz::open(path, options)?),
        other => Box::new(Other::open(path, other, options)?),
    })
}

/// What the frames before had.
struct First {
    frame: Incoming,
    units: Units,
    skeleton: Skeleton,
    declared: declared::Declared,
}

struct Collector<'a> {
    path: &'a Path,
    options: &'a ReadOptions,
    first: Option<First>,
    numbers: Vec<usize>,
    positions: Vec<f64>,
    forces: Vec<f64>,
    energies: Vec<f64>,
    velocities: Vec<f64>,
    periodic: bool,
    torn: Option<(usize, String)>,
    torn_frames: usize,
    some_velocities_missing: bool,
}

fn extend(into: &mut Vec<f64>, rows: &[Vector], factor: f64) {
    into.extend(rows.iter().flatten().map(|value| value * factor));
}

impl<'a> Collector<'a> {
    fn new(path: &'a Path, options: &'a ReadOptions) -> Self {
        Collector {
            path,
            options,
            first: None,
            numbers: Vec::new(),
            positions: Vec::new(),
            forces: Vec::new(),
            energies: Vec::new(),
            velocities: Vec::new(),
            periodic: false,
            torn: None,
            torn_frames: 0,
            some_velocities_missing: false,
        }
    }

    fn push(&mut self, number: usize, mut frame: Incoming, source: &dyn Frames) -> Result<()> {
        let path = self.path;
        let bad = |message: String| Error::data(Place::frame(path, number), message);
        if self.first.as_ref().is_none_or(|first| first.declared != source.declared()) {
            let units = declared::settle(&source.declared(), self.options, &self.path.display().to_string())?;
            if self.first.as_ref().is_some_and(|first| first.units != units) {
                return Err(bad(
                    "the frame declares other units than the first frame; write all frames in one unit"
                        .into(),
                ));
            }
            if let Some(first) = &mut self.first {
                first.declared = source.declared();
            } else {
                self.start(&frame, units, source, number)?;
            }
        }
        let Some(first) = &self.first else { return Err(bad("no frame came first".into())) };
        self.compare(&first.frame, &frame, number)?;
        let units = &first.units;
        let atom_place = |k: usize| Place::atom(path, number, frame.selected[k]);
        if let Some(energy) = frame.energy.filter(|energy| !energy.is_finite()) {
            return Err(bad(format!("the energy is {energy}; leave the frame out with --frames")));
        }
        frame.positions.iter_mut().flatten().for_each(|value| *value *= units.length);
        if let Some((rows, periodic)) = frame.cell {
            let cell = Cell::new(rows.map(|row| row.map(|value| value * units.length)), periodic);
            self.periodic |= cell.is_periodic();
            first.skeleton.make_whole(&mut frame.positions, &cell);
        }
        if let Some(k) = frame.positions.iter().position(|x| x.iter().any(|value| !value.is_finite())) {
            return Err(Error::data(
                atom_place(k),
                "the position is not a finite number; leave the frame out with --frames",
            ));
        }
        if let Some((i, j, distance)) = clash(&frame.positions) {
            let other = frame.selected[j];
            return Err(Error::data(
                atom_place(i),
                format!("it is {distance:.4} angstrom from atom {other}; check the units, or leave the frame out with --frames"),
            ));
        }
        if let Some((i, j, length)) = first.skeleton.torn(&frame.positions) {
            self.torn_frames += 1;
            if self.torn.is_none() {
                let text = format!(
                    "the bond of atoms {} and {} is {length:.2} angstrom long",
                    frame.selected[i], frame.selected[j]
                );
                self.torn = Some((number, text));
            }
        }
        extend(&mut self.positions, &frame.positions, 1.0);
        if let (Some(forces), Some(factor)) = (&frame.forces, units.force) {
            extend(&mut self.forces, forces, factor);
        }
        if let (Some(energy), Some(factor)) = (frame.energy, units.energy) {
            self.energies.push(energy * factor);
        }
        match (&frame.velocities, units.velocity) {
            (Some(velocities), Some(factor)) if !self.some_velocities_missing => {
                extend(&mut self.velocities, velocities, factor)
            }
            _ => self.some_velocities_missing = true,
        }
        self.numbers.push(number);
        Ok(())
    }

    /// Settles what the first frame decides: forces or none, and the bonds.
    fn start(&mut self, frame: &Incoming, units: Units, source: &dyn Frames, number: usize) -> Result<()> {
        let place = Place::frame(self.path, number);
        if self.options.need_forces && frame.forces.is_none() {
            return Err(Error::data(place, "the file has no forces; write them (LAMMPS: dump custom ... fx fy fz, ASE: write extxyz with a calculator)"));
        }
        let positions: Vec<Vector> =
            frame.positions.iter().map(|x| x.map(|value| value * units.length)).collect();
        let (rows, periodic) = frame.cell.unwrap_or_default();
        let cell = Cell::new(rows.map(|row| row.map(|value| value * units.length)), periodic);
        let skeleton = Skeleton::find(&frame.species, &positions, &cell)?.map_err(|fragments| {
            Error::data(
                place,
                format!(
                    "the atoms are not one molecule but {fragments}; give --select with one of them, for example \
                     --select \"index < 9\", or check the units"
                ),
            )
        })?;
        let declared = source.declared();
        self.first = Some(First { frame: frame.clone(), units, skeleton, declared });
        Ok(())
    }

    fn compare(&self, first: &Incoming, frame: &Incoming, number: usize) -> Result<()> {
        let bad = |message: String| Err(Error::data(Place::frame(self.path, number), message));
        if frame.species.len() != first.species.len() {
            return bad(format!(
                "it has {} atoms, the first frame {}; every frame must hold the same molecule",
                frame.species.len(),
                first.species.len()
            ));
        }
        if let Some(k) = (0..frame.species.len()).find(|&k| frame.species[k] != first.species[k]) {
            let (now, then) = (elements::symbol(frame.species[k]), elements::symbol(first.species[k]));
            let place = Place::atom(self.path, number, frame.selected[k]);
            return Err(Error::data(
                place,
                format!("it is {now}, in the first frame {then}; write the atoms in one order"),
            ));
        }
        if frame.ids != first.ids {
            return bad(
                "its atom ids differ from those of the first frame; dump the same atoms in every frame"
                    .into(),
            );
        }
        match (&first.forces, &frame.forces) {
            (Some(_), None) => {
                return bad(
                    "it has no forces, the first frame has; give frames with --frames that all have".into()
                )
            }
            (None, Some(_)) => {
                return bad(
                    "it has forces, the first frame has none; give frames with --frames that all have".into(),
                )
            }
            _ => {}
        }
        match (first.energy, frame.energy) {
            (Some(_), None) => {
                bad("it has no energy, the first frame has; give frames with --frames that all have".into())
            }
            (None, Some(_)) => {
                bad("it has an energy, the first frame has none; give frames with --frames that all have"
                    .into())
            }
            _ => Ok(()),
        }
    }

    fn finish(self, source: &mut dyn Frames) -> Result<Dataset> {
        let Some(first) = self.first else {
            return Err(Error::data(Place::file(self.path), "no frame was read; give other --frames"));
        };
        let (frames, atoms) = (self.numbers.len(), first.frame.species.len());
        let mut warnings = source.warnings();
        if let Some((frame, what)) = self.torn {
            warnings.push(format!(
                "in {} of {frames} frames a bond looks broken; first in frame {frame}: {what}",
                self.torn_frames
            ));
        }
        let shape = |values: Vec<f64>| {
            Array3::from_shape_vec((frames, atoms, 3), values)
                .map_err(|e| Error::Numeric(format!("{}: arrays do not fit: {e}", self.path.display())))
        };
        // Some formats give zero where they have no velocities.
        let still = self.velocities.iter().all(|&value| value == 0.0);
        let velocities =
            if self.some_velocities_missing || still { None } else { Some(shape(self.velocities)?) };
        let forces = if first.frame.forces.is_some() { Some(shape(self.forces)?) } else { None };
        let energies = first.frame.energy.map(|_| Array1::from(self.energies));
        let masses = match first
            .frame
            .masses
            .filter(|masses| first.units.amu && masses.iter().all(|&mass| mass > 0.0))
        {
            Some(masses) => masses,
            None => first.frame.species.iter().map(|&z| elements::mass(z)).collect::<Result<_>>()?,
        };
        let mut dataset = Dataset {
            species: first.frame.species,
            masses,
            positions: shape(self.positions)?,
            forces,
            energies,
            velocities,
            source: Source {
                path: self.path.to_owned(),
                format: source.format(),
                frames: self.numbers,
                atoms_in_file: first.frame.atoms_in_file,
                periodic: self.periodic,
                units: first.units.text,
                digest: String::new(),
                warnings,
                keep: Keep::Nowhere,
            },
        };
        dataset.source.digest = dataset.digest();
        Ok(dataset)
    }
}
