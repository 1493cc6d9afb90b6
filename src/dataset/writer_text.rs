//! LAMMPS dumps and extended XYZ, written here: chemfiles rounds their numbers to six digits, has no
//! forces in dumps, and writes the edges of a tilted box where LAMMPS expects its bounding box.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::elements;
use super::whole::Vector;
use super::writer::{row, Block, Sink, WriteOptions};
use crate::{Error, Result};

/// Empty space around a molecule in vacuum, in angstrom, where a format must have a box.
pub(super) const MARGIN: f64 = 10.0;

pub(super) struct TextSink {
    file: BufWriter<File>,
    path: PathBuf,
    dump: bool,
    symbols: Vec<&'static str>,
    masses: Vec<f64>,
    types: Vec<usize>,
    cell: Option<[Vector; 3]>,
}

/// LAMMPS types from 1 on, in the order of symbol and mass: the order chemfiles has in data files.
pub(super) fn types(species: &[u8], masses: &[f64]) -> Vec<usize> {
    let key = |k: usize| (elements::symbol(species[k]), masses[k].to_bits());
    let mut kinds: Vec<_> = (0..species.len()).map(key).collect();
    kinds.sort_unstable();
    kinds.dedup();
    (0..species.len()).map(|k| kinds.iter().position(|kind| *kind == key(k)).map_or(0, |at| at + 1)).collect()
}

/// Lower and upper bounds of a frame with the margin around it.
pub(super) fn bounds(block: &Block, frame: usize) -> [[f64; 2]; 3] {
    std::array::from_fn(|axis| {
        let values = (0..block.positions.dim().1).map(|atom| block.positions[[frame, atom, axis]]);
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        [(low - MARGIN).floor(), (high + MARGIN).ceil()]
    })
}

impl TextSink {
    pub fn new(file: File, path: &Path, format: &str, options: &WriteOptions) -> Self {
        TextSink {
            file: BufWriter::with_capacity(1 << 16, file),
            path: path.to_owned(),
            dump: format == "LAMMPS",
            symbols: options.species.iter().map(|&z| elements::symbol(z)).collect(),
            masses: options.masses.clone(),
            types: types(&options.species, &options.masses),
            cell: options.cell,
        }
    }

    fn dump_head(&self, text: &mut String, block: &Block, frame: usize) {
        let _ = write!(
            text,
            "ITEM: UNITS\nreal\nITEM: TIMESTEP\n{}\nITEM: NUMBER OF ATOMS\n{}\n",
            block.first + frame,
            self.symbols.len()
        );
        match self.cell {
            None => {
                text.push_str("ITEM: BOX BOUNDS ss ss ss\n");
                for [low, high] in bounds(block, frame) {
                    let _ = writeln!(text, "{low} {high}");
                }
            }
            Some([[lx, ..], [xy, ly, _], [xz, yz, lz]]) if [xy, xz, yz] == [0.0; 3] => {
                let _ = write!(text, "ITEM: BOX BOUNDS pp pp pp\n0 {lx}\n0 {ly}\n0 {lz}\n");
            }
            Some([[lx, ..], [xy, ly, _], [xz, yz, lz]]) => {
                let tilts = [0.0, xy, xz, xy + xz];
                let low = tilts.iter().copied().fold(f64::INFINITY, f64::min);
                let high = lx + tilts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let _ = write!(
                    text,
                    "ITEM: BOX BOUNDS xy xz yz pp pp pp\n{low} {high} {xy}\n{} {} {xz}\n0 {lz} {yz}\n",
                    yz.min(0.0),
                    ly + yz.max(0.0)
                );
            }
        }
        // A whole molecule may stick out of its cell: then its coordinates are unwrapped ones.
        let place = if self.cell.is_some() { "xu yu zu" } else { "x y z" };
        let _ = write!(text, "ITEM: ATOMS id type element mass {place}");
        text.push_str(if block.velocities.is_some() { " vx vy vz" } else { "" });
        text.push_str(if block.forces.is_some() { " fx fy fz\n" } else { "\n" });
    }

    fn xyz_head(&self, text: &mut String, block: &Block, frame: usize) {
        let _ = write!(text, "{}\nProperties=species:S:1:pos:R:3", self.symbols.len());
        text.push_str(if block.velocities.is_some() { ":velo:R:3" } else { "" });
        text.push_str(if block.forces.is_some() { ":forces:R:3" } else { "" });
        if let Some(rows) = &self.cell {
            let numbers: Vec<String> = rows.iter().flatten().map(f64::to_string).collect();
            let _ = write!(text, " Lattice=\"{}\" pbc=\"T T T\"", numbers.join(" "));
        }
        if let Some(energies) = &block.energies {
            let _ = write!(text, " energy={} energy_unit=kcal/mol", energies[frame]);
        }
        text.push_str(if block.forces.is_some() { " force_unit=kcal/mol/angstrom" } else { "" });
        text.push_str(if block.velocities.is_some() { " velocity_unit=angstrom/fs\n" } else { "\n" });
    }
}

impl Sink for TextSink {
    fn write(&mut self, block: &Block) -> Result<()> {
        for frame in 0..block.positions.dim().0 {
            let mut text = String::new();
            if self.dump {
                self.dump_head(&mut text, block, frame);
            } else {
                self.xyz_head(&mut text, block, frame);
            }
            for (atom, symbol) in self.symbols.iter().enumerate() {
                if self.dump {
                    let _ = write!(text, "{} {} {symbol} {}", atom + 1, self.types[atom], self.masses[atom]);
                } else {
                    text.push_str(symbol);
                }
                for array in [Some(&block.positions), block.velocities.as_ref(), block.forces.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    for value in row(array, frame, atom) {
                        let _ = write!(text, " {value}");
                    }
                }
                text.push('\n');
            }
            self.file.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, "cannot write", e))?;
        }
        Ok(())
    }

    fn close(mut self: Box<Self>, _frames: usize) -> Result<()> {
        self.file.flush().map_err(|e| Error::io(&self.path, "cannot write", e))
    }
}
