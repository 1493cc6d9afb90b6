//! LAMMPS dumps: any column order, ids, boxes and coordinates, put in order for chemfiles.
//!
//! chemfiles 0.10 reads a dump that is already in order. It writes out of bounds where ids do not run
//! from 1 to the number of atoms, takes the bounding box of a tilted box for its edges, and ignores
//! the boundary flags. So every frame's text is first rewritten: ids by rank, true edges, unscaled and
//! unwrapped positions, element symbols.

use std::path::Path;

use super::declared::Declared;
use super::frames::{self, Frames, Incoming, Picker};
use super::lammps_text::{columns, ordered_text, Atom, Columns, Frame3};
use super::lines::{number, Lines};
use super::whole::add;
use super::{elements, ReadOptions};
use crate::error::Place;
use crate::{Error, Result};

/// A dump being read.
pub(super) struct Dump {
    lines: Lines,
    types: Vec<u8>,
    picker: Picker,
    style: Option<String>,
    unordered: bool,
}

impl Dump {
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        let types = super::elements::numbers(&options.types)?;
        let picker = Picker::new(path, options.selection.as_deref())?;
        Ok(Dump { lines: Lines::open(path)?, types, picker, style: None, unordered: false })
    }

    /// The value line of an item, or the header line of the items that have no value line of their own.
    fn head(&mut self) -> Result<Option<(usize, Frame3, Columns)>> {
        // Blank lines after the last frame are not a frame.
        let mut line = loop {
            match self.lines.next()? {
                None => return Ok(None),
                Some(line) if line.trim().is_empty() => continue,
                Some(line) => break line.to_owned(),
            }
        };
        let mut atoms = None;
        let mut cell = None;
        loop {
            let Some(item) = line.strip_prefix("ITEM:").map(str::trim) else {
                return Err(if self.lines.ended {
                    self.lines
                        .bad(format!("'{}' where an ITEM: line must be; the file is damaged", shown(&line)))
                } else {
                    self.lines.cut()
                });
            };
            if item == "UNITS" {
                let style = self.lines.need()?.trim().to_owned();
                if self.style.as_ref().is_some_and(|known| *known != style) {
                    return Err(self
                        .lines
                        .bad(format!("units {style} differ from those of the frames before")));
                }
                self.style = Some(style);
            } else if item == "TIMESTEP" || item == "TIME" {
                self.lines.need()?;
            } else if item == "NUMBER OF ATOMS" {
                let count = self.lines.need()?.trim().to_owned();
                let count = count.parse::<usize>().ok().filter(|&count| count > 0);
                atoms = Some(
                    count.ok_or_else(|| self.lines.bad("the number of atoms is not a positive number"))?,
                );
            } else if let Some(rest) = item.strip_prefix("BOX BOUNDS") {
                cell = Some(self.cell(rest)?);
            } else if let Some(rest) = item.strip_prefix("ATOMS") {
                let columns = columns(rest).map_err(|what| self.lines.bad(what))?;
                let (Some(atoms), Some(cell)) = (atoms, cell) else {
                    return Err(self
                        .lines
                        .bad("the number of atoms or the box is missing before ITEM: ATOMS"));
                };
                return Ok(Some((atoms, cell, columns)));
            } else if self.lines.ended {
                return Err(self
                    .lines
                    .bad(format!("'{}' is not an item of a LAMMPS dump of atoms", shown(&line))));
            }
            line = self.lines.need()?.to_owned();
        }
    }

    fn cell(&mut self, flags: &str) -> Result<Frame3> {
        let flags: Vec<&str> = flags.split_whitespace().collect();
        if flags.contains(&"abc") {
            return Err(self.lines.bad(
                "the box is a general triclinic one; write the dump with dump_modify triclinic/general no",
            ));
        }
        let tilted = flags.contains(&"xy");
        let boundary: Vec<&str> =
            flags.iter().copied().filter(|flag| !matches!(*flag, "xy" | "xz" | "yz")).collect();
        let mut bounds = [[0.0; 3]; 3];
        for bound in &mut bounds {
            let line = self.lines.need()?.to_owned();
            let values: Vec<f64> =
                line.split_whitespace().map(number).collect::<std::result::Result<_, _>>().map_err(
                    |what| {
                        if self.lines.ended {
                            self.lines.bad(format!("a bound of the box {what}"))
                        } else {
                            self.lines.cut()
                        }
                    },
                )?;
            if values.len() != if tilted { 3 } else { 2 } {
                return Err(if self.lines.ended {
                    self.lines.bad("the box has another number of bounds than its header says")
                } else {
                    self.lines.cut()
                });
            }
            bound[..values.len()].copy_from_slice(&values);
        }
        let [xy, xz, yz] = [bounds[0][2], bounds[1][2], bounds[2][2]];
        // The bounds of a tilted box are those of its bounding box.
        let extremes = [xy, xz, xy + xz];
        let xlo = bounds[0][0] - extremes.iter().copied().fold(0.0, f64::min);
        let xhi = bounds[0][1] - extremes.iter().copied().fold(0.0, f64::max);
        let (ylo, yhi) = (bounds[1][0] - yz.min(0.0), bounds[1][1] - yz.max(0.0));
        let (zlo, zhi) = (bounds[2][0], bounds[2][1]);
        let rows = [[xhi - xlo, 0.0, 0.0], [xy, yhi - ylo, 0.0], [xz, yz, zhi - zlo]];
        if (0..3).any(|k| rows[k][k] < 0.0) {
            return Err(self.lines.bad("the box has a negative length"));
        }
        // Old LAMMPS wrote no flags; then the box counts as periodic.
        let periodic = std::array::from_fn(|k| boundary.get(k).is_none_or(|flag| *flag == "pp"));
        Ok(Frame3 { rows, origin: [xlo, ylo, zlo], periodic })
    }

    /// The species of an atom, from its element or its type.
    fn species(&self, tokens: &[&str], columns: &Columns) -> Result<u8> {
        let by_type = match (columns.kind, self.types.is_empty()) {
            (Some(column), false) => {
                let kind = tokens[column].parse::<usize>().ok().filter(|&kind| kind > 0);
                let found = kind.and_then(|kind| self.types.get(kind - 1)).copied();
                Some(found.ok_or_else(|| {
                    Error::usage(format!(
                        "{}: --types names {} elements, but the file has type {}; name one element for each type",
                        self.lines.path.display(),
                        self.types.len(),
                        shown(tokens[column])
                    ))
                })?)
            }
            _ => None,
        };
        let by_element = match columns.element {
            Some(column) => Some(elements::number(tokens[column]).ok_or_else(|| {
                self.lines.bad(format!(
                    "element '{}' is none; fix dump_modify element, or leave that column out and give --types",
                    shown(tokens[column])
                ))
            })?),
            None => None,
        };
        match (by_element, by_type) {
            (Some(element), Some(kind)) if element != kind => Err(Error::usage(format!(
                "{}: --types makes {} of an atom that the file calls {}; leave --types out",
                self.lines.path.display(),
                elements::symbol(kind),
                elements::symbol(element)
            ))),
            (Some(z), _) | (None, Some(z)) => Ok(z),
            (None, None) => Err(Error::usage(format!(
                "{}: the file has no element column, only types; give --types with one element for each type, for \
                 example --types C,H,O, or write the dump with element and dump_modify element",
                self.lines.path.display()
            ))),
        }
    }

    fn atoms(&mut self, count: usize, cell: &Frame3, columns: &Columns) -> Result<Vec<Atom>> {
        let mut atoms = Vec::new();
        for index in 0..count {
            let line = self.lines.need()?.to_owned();
            // LAMMPS ends every line: without an end this one may be a number short of digits.
            if !self.lines.ended || line.starts_with("ITEM:") {
                return Err(self.lines.cut());
            }
            let tokens: Vec<&str> = line.split_whitespace().collect();
            let bad =
                |what: String| Error::data(Place::atom(&self.lines.path, self.lines.frame, index), what);
            if tokens.len() != columns.names.len() {
                return Err(bad(format!(
                    "the line has {} columns, its header {}; the file is damaged",
                    tokens.len(),
                    columns.names.len()
                )));
            }
            for &(column, what) in &columns.checked {
                number(tokens[column])
                    .map_err(|reason| bad(format!("{what} {} {reason}", columns.names[column])))?;
            }
            let value = |column: usize| {
                number(tokens[column]).map_err(|reason| bad(format!("{} {reason}", columns.names[column])))
            };
            let mut position =
                [value(columns.position[0])?, value(columns.position[1])?, value(columns.position[2])?];
            if columns.scaled {
                let fraction = position;
                position = cell.origin;
                for (row, part) in cell.rows.iter().zip(fraction) {
                    position = add(position, *row, part);
                }
            }
            if let Some(images) = columns.images {
                for (row, column) in cell.rows.iter().zip(images) {
                    position = add(position, *row, value(column)?);
                }
            }
            let id = match columns.id {
                Some(column) => tokens[column]
                    .parse::<u64>()
                    .map_err(|_| bad(format!("id '{}' is no number", shown(tokens[column]))))?,
                None => index as u64,
            };
            let species = self.species(&tokens, columns)?;
            atoms.push(Atom { id, species, position, line });
        }
        atoms.sort_by_key(|atom| atom.id);
        if let Some(pair) = atoms.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(self.lines.bad(format!("two atoms have id {}; the file is damaged", pair[0].id)));
        }
        Ok(atoms)
    }
}

impl Frames for Dump {
    fn read(&mut self) -> Result<Option<Incoming>> {
        let Some((count, cell, columns)) = self.head()? else { return Ok(None) };
        self.unordered |= columns.id.is_none();
        let atoms = self.atoms(count, &cell, &columns)?;
        let place = self.lines.place();
        let frame = frames::parse_text(&ordered_text(&cell, &columns, &atoms), "LAMMPS", &place)?;
        let selected = self.picker.pick(&frame, self.lines.frame)?;
        let gone = || Error::data(place.clone(), "a column got lost on its way through chemfiles");
        let forces = columns
            .forces
            .then(|| {
                selected
                    .iter()
                    .map(|&k| frames::scalars(&frame, k, ["fx", "fy", "fz"]))
                    .collect::<Option<Vec<_>>>()
            })
            .map(|forces| forces.ok_or_else(gone))
            .transpose()?;
        let velocities = match (columns.velocities, frame.velocities()) {
            (true, Some(velocities)) => Some(selected.iter().map(|&k| velocities[k]).collect()),
            _ => None,
        };
        let positions = frame.positions();
        let incoming = Incoming {
            species: selected.iter().map(|&k| atoms[k].species).collect(),
            masses: columns.mass.then(|| selected.iter().map(|&k| frame.atom(k).mass()).collect()),
            positions: selected.iter().map(|&k| positions[k]).collect(),
            forces,
            velocities,
            energy: None,
            cell: Some((cell.rows, cell.periodic)),
            atoms_in_file: atoms.len(),
            ids: columns.id.map(|_| selected.iter().map(|&k| atoms[k].id).collect()),
            selected,
        };
        self.lines.frame += 1;
        Ok(Some(incoming))
    }

    fn skip(&mut self) -> Result<bool> {
        let Some((count, ..)) = self.head()? else { return Ok(false) };
        for _ in 0..count {
            self.lines.need()?;
        }
        if !self.lines.ended {
            return Err(self.lines.cut());
        }
        self.lines.frame += 1;
        Ok(true)
    }

    fn total(&self) -> Option<usize> {
        self.lines.estimate()
    }

    fn declared(&self) -> Declared {
        Declared::Lammps(self.style.clone())
    }

    fn format(&self) -> String {
        "LAMMPS".into()
    }

    fn warnings(&mut self) -> Vec<String> {
        let unordered =
            "the dump has no id column: atoms are taken in the order of the file, which LAMMPS may change \
                         between frames; write id, or dump_modify sort id";
        if self.unordered {
            vec![unordered.into()]
        } else {
            Vec::new()
        }
    }
}

/// Text of a file, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_debug().to_string()
}
