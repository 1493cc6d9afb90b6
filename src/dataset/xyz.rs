//! Plain and extended XYZ: any column order, put in order for chemfiles.
//!
//! chemfiles 0.10 drops properties and Lattice unless the columns begin `species:S:1:pos:R:3`, and
//! refuses some lattices ASE writes. So every frame's text is first rewritten with the columns in that
//! order, and the lattice is read here.

use std::fmt::Write as _;
use std::path::Path;

use super::declared::Declared;
use super::frames::{self, Frames, Incoming, Picker};
use super::lammps::shown;
use super::lines::{number, Lines};
use super::whole::Vector;
use super::{elements, ReadOptions};
use crate::error::Place;
use crate::{Error, Result};

const FORCES: [&str; 5] = ["forces", "force", "Forces", "Force", "REF_forces"];
const VELOCITIES: [&str; 4] = ["velo", "vel", "velocities", "velocity"];
const ENERGIES: [&str; 5] = ["energy", "Energy", "potential_energy", "REF_energy", "free_energy"];

/// An XYZ file being read.
pub(super) struct Xyz {
    lines: Lines,
    picker: Picker,
    labeled: bool,
    units: [Option<String>; 3],
    momenta: bool,
}

/// One column of `Properties=`.
struct Property {
    name: String,
    kind: char,
    first: usize,
    width: usize,
}

/// What a comment line says.
#[derive(Default)]
struct Comment {
    pairs: Vec<(String, String)>,
}

impl Comment {
    fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Splits `key=value key="quoted value" flag`; brackets and braces quote too, as ASE has them.
    fn parse(line: &str) -> std::result::Result<Self, String> {
        let mut comment = Comment::default();
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let (key, after) = token(rest, true)?;
            if let Some(after) = after.strip_prefix('=') {
                let (value, after) = token(after, false)?;
                comment.pairs.push((key, value));
                rest = after.trim_start();
            } else {
                comment.pairs.push((key, "T".into()));
                rest = after.trim_start();
                // A lonely `=` belongs to no key.
                rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
            }
        }
        Ok(comment)
    }
}

fn token(text: &str, key: bool) -> std::result::Result<(String, &str), String> {
    let close = match text.chars().next() {
        Some('"') => '"',
        Some('\'') => '\'',
        Some('{') => '}',
        Some('[') => ']',
        _ => {
            let end = text.find(|c: char| c.is_whitespace() || (key && c == '=')).unwrap_or(text.len());
            return Ok((text[..end].to_owned(), &text[end..]));
        }
    };
    // ASE puts a backslash before a quote inside quotes.
    let mut inside = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if close == '"' || close == '\'' => inside.extend(letters.next().map(|(_, letter)| letter)),
            _ if letter == close => return Ok((inside, &text[at + 1..])),
            _ => inside.push(letter),
        }
    }
    Err("a quote in the comment line is not closed".into())
}

impl Xyz {
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        let picker = Picker::new(path, options.selection.as_deref())?;
        Ok(Xyz {
            lines: Lines::open(path)?,
            picker,
            labeled: false,
            units: Default::default(),
            momenta: false,
        })
    }

    /// The number of atoms, at the head of a frame.
    fn count(&mut self) -> Result<Option<usize>> {
        loop {
            let line = match self.lines.next()? {
                None => return Ok(None),
                Some(line) => line.trim().to_owned(),
            };
            if line.is_empty() {
                continue;
            }
            let count = line.parse::<usize>().map_err(|_| {
                self.lines.bad(format!(
                    "'{}' where the number of atoms must be; the file is damaged or no XYZ file",
                    shown(&line)
                ))
            })?;
            if count == 0 {
                return Err(self.lines.bad("the frame has no atoms; leave it out with --frames"));
            }
            return Ok(Some(count));
        }
    }
}

fn properties(text: &str) -> std::result::Result<Vec<Property>, String> {
    let fields: Vec<&str> = text.split(':').collect();
    if !fields.len().is_multiple_of(3) {
        return Err(format!("Properties={} is not name:type:columns repeated", shown(text)));
    }
    let mut first = 0;
    fields
        .chunks(3)
        .map(|field| {
            let width = field[2].parse::<usize>().ok().filter(|width| (1..=1000).contains(width));
            let width = width.ok_or_else(|| {
                format!("Properties={}: '{}' is no number of columns", shown(text), shown(field[2]))
            })?;
            let kind = field[1].chars().next().filter(|kind| field[1].len() == 1 && "RISL".contains(*kind));
            let kind = kind.ok_or_else(|| {
                format!("Properties={}: type '{}' is none of R, I, S, L", shown(text), shown(field[1]))
            })?;
            first += width;
            Ok(Property { name: field[0].to_owned(), kind, first: first - width, width })
        })
        .collect()
}

/// Cell vectors as rows, and which of them are periodic.
type Lattice = ([Vector; 3], [bool; 3]);

fn lattice(comment: &Comment) -> std::result::Result<Option<Lattice>, String> {
    let Some(text) = comment.get("Lattice") else { return Ok(None) };
    let values = text
        .split_whitespace()
        .map(number)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|what| format!("a number of Lattice {what}"))?;
    if values.len() != 9 {
        return Err(format!("Lattice has {} numbers, not 9", values.len()));
    }
    let rows = std::array::from_fn(|i| std::array::from_fn(|j| values[3 * i + j]));
    let mut periodic = [true; 3];
    if let Some(pbc) = comment.get("pbc") {
        let flags: Vec<&str> = pbc.split([' ', ',']).filter(|flag| !flag.is_empty()).collect();
        for (k, on) in periodic.iter_mut().enumerate() {
            *on = match flags.get(k) {
                Some(&("T" | "True" | "true" | "1")) => true,
                Some(&("F" | "False" | "false" | "0")) => false,
                _ => return Err(format!("pbc=\"{}\" is not three of T and F", shown(pbc))),
            };
        }
    }
    Ok(Some((rows, periodic)))
}

/// A symbol or an atomic number.
fn species(label: &str) -> Option<u8> {
    elements::number(label).or_else(|| label.parse().ok().filter(|z| (1..=118).contains(z)))
}

impl Frames for Xyz {
    fn read(&mut self) -> Result<Option<Incoming>> {
        let Some(count) = self.count()? else { return Ok(None) };
        let line = self.lines.need()?.to_owned();
        let extended = line.contains("Properties=") || line.contains("Lattice=");
        let comment = match Comment::parse(&line) {
            Ok(comment) => comment,
            // The comment of a plain XYZ file may be any text.
            Err(_) if !extended => Comment::default(),
            Err(what) => return Err(self.lines.bad(what)),
        };
        let declared =
            comment.get("Properties").map(properties).transpose().map_err(|what| self.lines.bad(what))?;
        let plain = declared.is_none();
        let columns = match declared {
            Some(columns) => columns,
            None => properties("species:S:1:pos:R:3").map_err(|what| self.lines.bad(what))?,
        };
        let find = |names: &[&str], width: usize| {
            names.iter().find_map(|name| columns.iter().find(|one| one.name == **name && one.width == width))
        };
        let label = find(&["species", "Z", "numbers", "element", "symbols"], 1);
        let (Some(label), Some(position)) = (label, find(&["pos", "positions"], 3)) else {
            return Err(self.lines.bad("Properties has no species:S:1 or no pos:R:3"));
        };
        let real = |column: &&Property| column.kind == 'R';
        let (forces, velocities) = (find(&FORCES, 3).filter(real), find(&VELOCITIES, 3).filter(real));
        self.momenta |= find(&["momenta"], 3).is_some()
            || (velocities.is_some() && comment.get("velocity_unit").is_none());
        let energy = match ENERGIES.iter().find_map(|name| comment.get(name).map(|value| (name, value))) {
            Some((name, value)) if !plain => {
                Some(number(value).map_err(|what| self.lines.bad(format!("{name} {what}")))?)
            }
            _ => None,
        };
        self.labeled |= energy.is_some() || forces.is_some();
        for (known, key) in self.units.iter_mut().zip(["energy_unit", "force_unit", "velocity_unit"]) {
            if let Some(unit) = comment.get(key) {
                *known = Some(unit.to_owned());
            }
        }
        let cell = lattice(&comment).map_err(|what| self.lines.bad(what))?;

        let mut text = format!("{count}\nProperties=species:S:1:pos:R:3");
        let others: Vec<&Property> =
            columns.iter().filter(|one| one.first != label.first && one.first != position.first).collect();
        for one in &others {
            let _ = write!(text, ":{}:{}:{}", one.name, one.kind, one.width);
        }
        if let Some((rows, [true, true, true])) =
            cell.as_ref().filter(|cell| frames::chemfiles_takes(&cell.0))
        {
            let numbers: Vec<String> = rows.iter().flatten().map(f64::to_string).collect();
            let _ = write!(text, " Lattice=\"{}\"", numbers.join(" "));
        }
        text.push('\n');
        let width = columns.last().map_or(0, |last| last.first + last.width);
        let mut elements_found = Vec::new();
        for index in 0..count {
            let line = self.lines.need()?.to_owned();
            let tokens: Vec<&str> = line.split_whitespace().collect();
            let bad =
                |what: String| Error::data(Place::atom(&self.lines.path, self.lines.frame, index), what);
            if tokens.len() < width || (!plain && tokens.len() != width) {
                if !self.lines.ended {
                    return Err(self.lines.cut());
                }
                return Err(bad(format!(
                    "the line has {} columns, not {width}; the file is damaged",
                    tokens.len()
                )));
            }
            let z = species(tokens[label.first]).ok_or_else(|| {
                bad(format!(
                    "'{}' is no element; rename the atoms by their element",
                    shown(tokens[label.first])
                ))
            })?;
            elements_found.push(z);
            let checked =
                [(Some(position), "the position"), (forces, "the force"), (velocities, "the velocity")];
            for (column, what) in
                checked.iter().filter_map(|(column, what)| column.map(|column| (column, what)))
            {
                for token in &tokens[column.first..column.first + 3] {
                    number(token).map_err(|reason| bad(format!("{what} {reason}")))?;
                }
            }
            let place = &tokens[position.first..position.first + 3];
            let _ = write!(text, "{} {} {} {}", elements::symbol(z), place[0], place[1], place[2]);
            for token in others.iter().flat_map(|one| &tokens[one.first..one.first + one.width]) {
                let _ = write!(text, " {token}");
            }
            text.push('\n');
        }
        if !self.lines.ended {
            let whole = self.lines.frame;
            return Err(self.lines.bad(format!(
                "the last line has no end, so its last number may be cut short; end it with a newline if the file is \
                 whole, or read the {whole} frames before it with --frames :{whole}"
            )));
        }

        let place = self.lines.place();
        let frame = frames::parse_text(&text, "XYZ", &place)?;
        let selected = self.picker.pick(&frame, self.lines.frame)?;
        let gather = |column: Option<&Property>| match column {
            None => Ok(None),
            Some(column) => {
                let all: Option<Vec<_>> =
                    selected.iter().map(|&k| frames::vector(&frame, k, &column.name)).collect();
                all.map(Some).ok_or_else(|| {
                    Error::data(
                        place.clone(),
                        format!("column {} got lost in chemfiles", shown(&column.name)),
                    )
                })
            }
        };
        let positions = frame.positions();
        let whole = selected.len() == count;
        let incoming = Incoming {
            species: selected.iter().map(|&k| elements_found[k]).collect(),
            masses: None,
            positions: selected.iter().map(|&k| positions[k]).collect(),
            forces: gather(forces)?,
            // Without a named unit the velocities mean nothing.
            velocities: if self.units[2].is_some() { gather(velocities)? } else { None },
            // The energy is that of the whole file; a part of the atoms has none of its own.
            energy: energy.filter(|_| whole),
            cell,
            atoms_in_file: count,
            ids: None,
            selected,
        };
        self.lines.frame += 1;
        Ok(Some(incoming))
    }

    fn skip(&mut self) -> Result<bool> {
        let Some(count) = self.count()? else { return Ok(false) };
        for _ in 0..=count {
            self.lines.need()?;
        }
        self.lines.frame += 1;
        Ok(true)
    }

    fn total(&self) -> Option<usize> {
        self.lines.estimate()
    }

    fn declared(&self) -> Declared {
        let [energy, force, velocity] = self.units.clone();
        Declared::Xyz { labeled: self.labeled, energy, force, velocity }
    }

    fn format(&self) -> String {
        "XYZ".into()
    }

    fn warnings(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.momenta && self.units[2].is_none() {
            warnings.push(
                "the velocities or momenta of the file were left out: the format names no unit for them"
                    .into(),
            );
        }
        warnings
    }
}
