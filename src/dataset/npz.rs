//! MD17 and sGDML files: NumPy `.npz` with `R`, `z` and maybe `F`, `E`, `V`, `r_unit`, `e_unit`; and
//! rMD17's names `coords`, `nuclear_charges`, `forces`, `energies`.
//!
//! An npz is a zip of arrays. Nothing a header says is believed before it agrees with the size the zip
//! gives for that member, and nothing is allocated before that size is within reach of the file's own.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use npyz::npz::NpzArchive;
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};

use super::declared::Declared;
use super::frames::{Frames, Incoming};
use super::lammps::shown;
use super::whole::Vector;
use super::ReadOptions;
use crate::error::Place;
use crate::npz::{in_proportion, too_deep, OUT_OF_PROPORTION, TOO_DEEP};
use crate::{Error, Result};

/// Deflate packs at most about 1032 to 1.
const HIGHEST_RATIO: u64 = 1100;
/// The longest header of an array that is read; NumPy's own limit is 10,000.
const LONGEST_HEADER: u64 = 65_536;

/// An npz being read; its arrays are in memory, frame by frame they go out.
pub(super) struct Npz {
    path: PathBuf,
    species: Vec<u8>,
    positions: Array,
    forces: Option<Array>,
    velocities: Option<Array>,
    energies: Option<Array>,
    units: [Option<String>; 2],
    next: usize,
    frames: usize,
}

/// An array as its bytes: half the memory of numbers where the file has single precision.
struct Array {
    name: &'static str,
    shape: Vec<u64>,
    fortran: bool,
    kind: TypeChar,
    big: bool,
    size: usize,
    bytes: Vec<u8>,
}

impl Array {
    fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    fn value(&self, index: usize) -> f64 {
        let bytes = &self.bytes[index * self.size..(index + 1) * self.size];
        let mut little = [0u8; 8];
        for (k, byte) in bytes.iter().enumerate() {
            little[if self.big { self.size - 1 - k } else { k }] = *byte;
        }
        let raw = u64::from_le_bytes(little);
        match (self.kind, self.size) {
            (TypeChar::Float, 4) => f64::from(f32::from_bits(raw as u32)),
            (TypeChar::Float, _) => f64::from_bits(raw),
            (TypeChar::Uint, _) => raw as f64,
            // Sign extension of the narrower integers.
            (_, size) => {
                let unused = 64 - 8 * size as u32;
                ((raw << unused) as i64 >> unused) as f64
            }
        }
    }

    /// Row `frame` of an (N, n, 3) array.
    fn rows(&self, frame: usize) -> Vec<Vector> {
        let (frames, atoms) = (self.shape[0] as usize, self.shape[1] as usize);
        let at = |atom: usize, axis: usize| {
            if self.fortran {
                frame + frames * (atom + atoms * axis)
            } else {
                (frame * atoms + atom) * 3 + axis
            }
        };
        (0..atoms).map(|atom| std::array::from_fn(|axis| self.value(at(atom, axis)))).collect()
    }
}

struct Archive {
    path: PathBuf,
    size: u64,
    zip: NpzArchive<BufReader<File>>,
}

impl Archive {
    fn bad(&self, message: impl Into<String>) -> Error {
        Error::data(Place::file(&self.path), message)
    }

    /// Header and bytes of an array; none where the file has none of that name.
    fn member(&mut self, name: &str) -> Result<Option<(NpyHeader, Vec<u8>)>> {
        let path = self.path.clone();
        let bad = |what: String| Error::data(Place::file(&path), format!("array {name} {what}"));
        let file_name = format!("{name}.npy");
        let zip = self.zip.zip_archive();
        if !zip.file_names().any(|one| one == file_name) {
            return Ok(None);
        }
        let mut member =
            zip.by_name(&file_name).map_err(|e| bad(format!("cannot be read: {e}; the file is damaged")))?;
        let (size, packed) = (member.size(), member.compressed_size());
        if packed > self.size || size > packed.saturating_mul(HIGHEST_RATIO) + 1024 {
            return Err(bad("claims more bytes than the file can hold; the file is damaged".into()));
        }
        if !in_proportion(size, packed) {
            return Err(bad(OUT_OF_PROPORTION.into()));
        }
        let cut = |e: std::io::Error| bad(format!("cannot be read: {e}; the file is damaged or cut short"));
        let mut start = [0u8; 12];
        member.read_exact(&mut start).map_err(cut)?;
        let length = match start[6] {
            1 => u64::from(u16::from_le_bytes([start[8], start[9]])),
            _ => u64::from(u32::from_le_bytes([start[8], start[9], start[10], start[11]])),
        };
        if !start.starts_with(b"\x93NUMPY") || length > LONGEST_HEADER || length > size {
            return Err(bad("has no NumPy header; the file is damaged".into()));
        }
        let prefix = if start[6] == 1 { 10 } else { 12 };
        let mut start = start.to_vec();
        let rest = (prefix + length).saturating_sub(start.len() as u64);
        (&mut member).take(rest).read_to_end(&mut start).map_err(cut)?;
        if too_deep(&start[prefix as usize..]) {
            return Err(bad(TOO_DEEP.into()));
        }
        let mut reader = Cursor::new(start).chain(member);
        let header = NpyHeader::from_reader(&mut reader).map_err(cut)?;
        let body = size.saturating_sub(prefix + length);
        let DType::Plain(kind) = header.dtype() else {
            return Err(bad("is no plain array of numbers".into()));
        };
        let item = kind.num_bytes().filter(|_| !header.uses_pickled_array());
        let item = item.ok_or_else(|| bad("holds Python objects; save it without pickle".into()))? as u64;
        let expected = header.shape().iter().try_fold(item, |total, &axis| total.checked_mul(axis));
        if expected != Some(body) {
            return Err(bad(format!(
                "of shape {:?} does not fill its {body} bytes; the file is damaged",
                header.shape()
            )));
        }
        let mut bytes = Vec::new();
        let mut limited = reader.take(body);
        limited.read_to_end(&mut bytes).map_err(cut)?;
        // The checksum is looked at by the read that meets the member's end.
        limited.into_inner().read(&mut [0]).map_err(cut)?;
        if bytes.len() as u64 != body {
            return Err(bad("is cut short; copy the file again".into()));
        }
        Ok(Some((header, bytes)))
    }

    fn array(&mut self, names: &[&'static str]) -> Result<Option<Array>> {
        for &name in names {
            if let Some((header, bytes)) = self.member(name)? {
                let DType::Plain(plain) = header.dtype() else {
                    return Err(self.bad(format!("array {name} is no plain array")));
                };
                let (kind, size) = (plain.type_char(), plain.size_field() as usize);
                let known = match kind {
                    TypeChar::Float => matches!(size, 4 | 8),
                    TypeChar::Int | TypeChar::Uint => matches!(size, 1 | 2 | 4 | 8),
                    _ => false,
                };
                if !known {
                    return Err(
                        self.bad(format!("array {name} holds {plain}; give float32, float64 or integers"))
                    );
                }
                let (shape, fortran) = (header.shape().to_vec(), header.order() == Order::Fortran);
                let big = plain.endianness() == Endianness::Big;
                return Ok(Some(Array { name, shape, fortran, kind, big, size, bytes }));
            }
        }
        Ok(None)
    }

    /// A string, as NumPy's `U` or `S`.
    fn text(&mut self, name: &str) -> Result<Option<String>> {
        let Some((header, bytes)) = self.member(name)? else { return Ok(None) };
        let DType::Plain(plain) = header.dtype() else { return Err(self.bad(format!("{name} is no text"))) };
        let big = plain.endianness() == Endianness::Big;
        let text: Option<String> = match plain.type_char() {
            TypeChar::UnicodeStr => bytes
                .chunks_exact(4)
                .map(|four| [four[0], four[1], four[2], four[3]])
                .map(|four| {
                    char::from_u32(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
                })
                .collect(),
            TypeChar::ByteStr => String::from_utf8(bytes).ok(),
            _ => None,
        };
        let text = text.map(|text| text.trim_matches(['\0', ' ']).to_owned()).filter(|text| text.len() < 100);
        text.map(Some).ok_or_else(|| self.bad(format!("{name} is no text that names a unit")))
    }
}

impl Npz {
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        let bad = |what: String| Error::data(Place::file(path), what);
        if options.selection.is_some() {
            return Err(Error::usage(format!(
                "{}: an npz holds one molecule; leave --select out",
                path.display()
            )));
        }
        let file = File::open(path).map_err(|e| Error::io(path, "cannot open", e))?;
        let size = file.metadata().map_err(|e| Error::io(path, "cannot open", e))?.len();
        let zip = NpzArchive::new(BufReader::new(file))
            .map_err(|e| bad(format!("is no whole npz ({e}); it is damaged or cut short, copy it again")))?;
        let mut archive = Archive { path: path.to_owned(), size, zip };
        let (positions, numbers) =
            (archive.array(&["R", "coords"])?, archive.array(&["z", "nuclear_charges"])?);
        let (Some(positions), Some(numbers)) = (positions, numbers) else {
            let names: Vec<String> = archive.zip.array_names().take(12).map(shown).collect();
            return Err(bad(format!(
                "has no R and z (nor coords and nuclear_charges), only {}; give an npz laid out as MD17 or sGDML",
                names.join(", ")
            )));
        };
        let shape = positions.shape.clone();
        if shape.len() != 3 || shape[2] != 3 || numbers.shape != [shape[1]] {
            return Err(bad(format!(
                "{} of shape {shape:?} must be (frames, atoms, 3) and {} of shape {:?} (atoms)",
                positions.name, numbers.name, numbers.shape
            )));
        }
        if shape[1] == 0 {
            return Err(bad("the file has no atoms".into()));
        }
        let species = (0..numbers.len())
            .map(|k| {
                let z = numbers.value(k);
                let whole = z.fract() == 0.0 && (1.0..=118.0).contains(&z);
                whole
                    .then_some(z as u8)
                    .ok_or_else(|| bad(format!("{}[{k}] is {z}, no atomic number", numbers.name)))
            })
            .collect::<Result<Vec<u8>>>()?;
        let mut same = |names: &[&'static str]| {
            let array = archive.array(names)?;
            match array.as_ref().filter(|array| array.shape != shape) {
                Some(array) => Err(bad(format!(
                    "{} of shape {:?} must have the shape of {}, {shape:?}",
                    array.name, array.shape, positions.name
                ))),
                None => Ok(array),
            }
        };
        let (forces, velocities) = (same(&["F", "forces"])?, same(&["V"])?);
        let energies = archive.array(&["E", "energies"])?;
        if let Some(energies) = energies.as_ref().filter(|energies| energies.len() as u64 != shape[0]) {
            return Err(bad(format!(
                "{} of shape {:?} must have one energy for each of {} frames",
                energies.name, energies.shape, shape[0]
            )));
        }
        let units = [archive.text("r_unit")?, archive.text("e_unit")?];
        let frames = shape[0] as usize;
        Ok(Npz {
            path: path.to_owned(),
            species,
            positions,
            forces,
            velocities,
            energies,
            units,
            next: 0,
            frames,
        })
    }

    fn check(&self, array: &Array, rows: &[Vector]) -> Result<()> {
        match rows.iter().position(|row| row.iter().any(|value| !value.is_finite())) {
            Some(atom) => Err(Error::data(
                Place::atom(&self.path, self.next, atom),
                format!("{} is not a finite number; leave the frame out with --frames", array.name),
            )),
            None => Ok(()),
        }
    }
}

impl Frames for Npz {
    fn read(&mut self) -> Result<Option<Incoming>> {
        if self.next >= self.frames {
            return Ok(None);
        }
        let rows = |array: &Array| {
            let rows = array.rows(self.next);
            self.check(array, &rows).map(|()| rows)
        };
        let incoming = Incoming {
            species: self.species.clone(),
            positions: rows(&self.positions)?,
            forces: self.forces.as_ref().map(rows).transpose()?,
            velocities: self.velocities.as_ref().map(rows).transpose()?,
            energy: self.energies.as_ref().map(|array| array.value(self.next)),
            selected: (0..self.species.len()).collect(),
            atoms_in_file: self.species.len(),
            ..Incoming::default()
        };
        self.next += 1;
        Ok(Some(incoming))
    }

    fn skip(&mut self) -> Result<bool> {
        self.next += 1;
        Ok(self.next <= self.frames)
    }

    fn total(&self) -> Option<usize> {
        Some(self.frames)
    }

    fn declared(&self) -> Declared {
        let [length, energy] = self.units.clone();
        Declared::Npz { length, energy, labeled: self.energies.is_some() || self.forces.is_some() }
    }

    fn format(&self) -> String {
        "NumPy npz".into()
    }

    fn warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}
