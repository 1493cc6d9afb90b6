//! Every other format chemfiles reads: PDB, GRO, TNG, Amber NetCDF, LAMMPS data ... None has forces here.

use std::path::{Path, PathBuf};

use chemfiles::{Frame, Trajectory};

use super::declared::Declared;
use super::frames::{self, chemfiles_error, guarded, Frames, Incoming, Picker};
use super::lammps::shown;
use super::whole::Vector;
use super::{elements, gro, lammps_data, pdb, ReadOptions};
use crate::error::Place;
use crate::{Error, Result};

/// A file that chemfiles reads on its own.
pub(super) struct Other {
    path: PathBuf,
    format: String,
    trajectory: Trajectory,
    steps: usize,
    next: usize,
    picker: Picker,
    types: Vec<u8>,
    style: Option<String>,
}

impl Other {
    pub fn open(path: &Path, format: &str, options: &ReadOptions) -> Result<Self> {
        let picker = Picker::new(path, options.selection.as_deref())?;
        let style = if format == "LAMMPS Data" { lammps_data::check(path)? } else { None };
        match format {
            "PDB" => pdb::check(path)?,
            "GRO" => gro::check(path)?,
            _ => {}
        }
        let place = Place::file(path);
        let opened = guarded(&place, "the file", || Trajectory::open_with_format(path, 'r', format))?;
        let mut trajectory = opened.map_err(|e| chemfiles_error(place, &e))?;
        let steps = trajectory.nsteps();
        let types = elements::numbers(&options.types)?;
        Ok(Other {
            path: path.to_owned(),
            format: format.into(),
            trajectory,
            steps,
            next: 0,
            picker,
            types,
            style,
        })
    }

    fn species(&self, frame: &Frame, atom: usize) -> Result<u8> {
        let found = frame.atom(atom);
        let kind = found.atomic_type();
        let by_type = kind
            .parse::<usize>()
            .ok()
            .and_then(|kind| kind.checked_sub(1))
            .and_then(|kind| self.types.get(kind));
        let number = elements::number(&kind).or_else(|| elements::number(&found.name())).or(by_type.copied());
        if number.is_none() && kind.is_empty() {
            return Err(Error::data(
                Place::file(&self.path),
                format!(
                    "{} files hold no elements; convert the file to one that does (PDB, XYZ)",
                    self.format
                ),
            ));
        }
        number.ok_or_else(|| {
            Error::data(
                Place::atom(&self.path, self.next, atom),
                format!(
                    "'{}' of type '{}' is no element; convert the file to one with elements (PDB, XYZ), or give --types \
                     for numeric types",
                    shown(&found.name()),
                    shown(&kind)
                ),
            )
        })
    }
}

impl Frames for Other {
    fn read(&mut self) -> Result<Option<Incoming>> {
        if self.next >= self.steps {
            return Ok(None);
        }
        let place = Place::frame(&self.path, self.next);
        let mut frame = Frame::new();
        let (trajectory, step) = (&mut self.trajectory, self.next);
        guarded(&place, "the frame", || trajectory.read_step(step, &mut frame))?.map_err(|e| {
            let hint = match step {
                0 => String::new(),
                whole => format!("; {whole} whole frames precede it, read them with --frames :{whole}"),
            };
            match chemfiles_error(place.clone(), &e) {
                Error::Data { place, message } => Error::Data { place, message: message + &hint },
                other => other,
            }
        })?;
        if frame.size() == 0 {
            return Err(Error::data(place, "the frame has no atoms; leave it out with --frames"));
        }
        let selected = self.picker.pick(&frame, self.next)?;
        let species = guarded(&place, "the names of the atoms", || {
            selected.iter().map(|&k| self.species(&frame, k)).collect::<Result<Vec<u8>>>()
        })??;
        let positions: Vec<Vector> = selected.iter().map(|&k| frame.positions()[k]).collect();
        if let Some(k) = positions.iter().position(|x| x.iter().any(|value| !value.is_finite())) {
            let place = Place::atom(&self.path, self.next, selected[k]);
            return Err(Error::data(
                place,
                "the position is not a finite number; leave the frame out with --frames",
            ));
        }
        let velocities: Option<Vec<Vector>> =
            frame.velocities().map(|velocities| selected.iter().map(|&k| velocities[k]).collect());
        // chemfiles hands out the cell by columns of its matrix; here the cell vectors are rows.
        let columns = frame.cell().matrix();
        let rows = std::array::from_fn(|i| std::array::from_fn(|j| columns[j][i]));
        let incoming = Incoming {
            species,
            positions,
            velocities,
            cell: Some((rows, [true; 3])),
            atoms_in_file: frame.size(),
            selected,
            ..Incoming::default()
        };
        self.next += 1;
        Ok(Some(incoming))
    }

    fn skip(&mut self) -> Result<bool> {
        self.next += 1;
        Ok(self.next <= self.steps)
    }

    fn total(&self) -> Option<usize> {
        Some(self.steps)
    }

    fn declared(&self) -> Declared {
        if self.format == "LAMMPS Data" {
            Declared::Lammps(self.style.clone())
        } else {
            Declared::Angstrom
        }
    }

    fn format(&self) -> String {
        self.format.clone()
    }

    fn warnings(&mut self) -> Vec<String> {
        if self.format == "TRR" {
            vec!["forces of a TRR file are not read; write them with LAMMPS, extended XYZ or npz".into()]
        } else {
            Vec::new()
        }
    }
}

/// Formats chemfiles reads or writes, with their extension and what they hold. Without mmCIF: chemfiles
/// 0.10.41 reads beyond the end of a line of it and takes the process down.
pub(super) fn formats() -> Vec<chemfiles::FormatMetadata> {
    frames::quiet_chemfiles();
    chemfiles::formats_list().into_iter().filter(|format| format.name != "mmCIF").collect()
}
