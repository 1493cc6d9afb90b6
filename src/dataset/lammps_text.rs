//! The parts of one frame of a dump, and its text as chemfiles reads it right.

use std::fmt::Write as _;

use super::whole::Vector;
use super::{elements, frames};

/// The box of a frame: its edges as rows, its origin, and which directions are periodic.
pub(super) struct Frame3 {
    pub rows: [Vector; 3],
    pub origin: Vector,
    pub periodic: [bool; 3],
}

/// Which columns hold what.
pub(super) struct Columns {
    pub names: Vec<String>,
    pub id: Option<usize>,
    pub kind: Option<usize>,
    pub element: Option<usize>,
    pub position: [usize; 3],
    pub scaled: bool,
    pub images: Option<[usize; 3]>,
    /// Columns that must be finite numbers, with what they are.
    pub checked: Vec<(usize, &'static str)>,
    pub forces: bool,
    pub velocities: bool,
    pub mass: bool,
}

pub(super) struct Atom {
    pub id: u64,
    pub species: u8,
    pub position: Vector,
    pub line: String,
}

/// One frame as chemfiles reads it right.
pub(super) fn ordered_text(cell: &Frame3, columns: &Columns, atoms: &[Atom]) -> String {
    let mut text = format!("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{}\n", atoms.len());
    let [a, b, c] = cell.rows;
    if !frames::chemfiles_takes(&cell.rows) {
        text.push_str("ITEM: BOX BOUNDS pp pp pp\n0 0\n0 0\n0 0\n");
    } else if b[0] == 0.0 && c[0] == 0.0 && c[1] == 0.0 {
        let _ = write!(text, "ITEM: BOX BOUNDS pp pp pp\n0 {}\n0 {}\n0 {}\n", a[0], b[1], c[2]);
    } else {
        // chemfiles takes the bounds of a tilted box for its edges, so edges are what it gets.
        let _ = write!(
            text,
            "ITEM: BOX BOUNDS xy xz yz pp pp pp\n0 {} {}\n0 {} {}\n0 {} {}\n",
            a[0], b[0], b[1], c[0], c[2], c[1]
        );
    }
    let moved = [
        "id", "element", "x", "y", "z", "xs", "ys", "zs", "xu", "yu", "zu", "xsu", "ysu", "zsu", "ix", "iy",
        "iz",
    ];
    let kept: Vec<usize> =
        (0..columns.names.len()).filter(|&k| !moved.contains(&columns.names[k].as_str())).collect();
    text.push_str("ITEM: ATOMS id element xu yu zu");
    for &k in &kept {
        let _ = write!(text, " {}", columns.names[k]);
    }
    text.push('\n');
    for (rank, atom) in atoms.iter().enumerate() {
        let [x, y, z] = atom.position;
        let _ = write!(text, "{} {} {x} {y} {z}", rank + 1, elements::symbol(atom.species));
        let tokens: Vec<&str> = atom.line.split_whitespace().collect();
        for &k in &kept {
            let _ = write!(text, " {}", tokens[k]);
        }
        text.push('\n');
    }
    text
}

pub(super) fn columns(header: &str) -> std::result::Result<Columns, String> {
    let names: Vec<String> = header.split_whitespace().map(str::to_owned).collect();
    if let Some(twice) = names.iter().enumerate().find(|(k, name)| names[..*k].contains(name)) {
        return Err(format!("column {} stands there twice", twice.1));
    }
    let find = |name: &str| names.iter().position(|one| one == name);
    let triple = |x: &str, y: &str, z: &str| Some([find(x)?, find(y)?, find(z)?]);
    let (position, scaled, wrapped) = if let Some(position) = triple("xu", "yu", "zu") {
        (position, false, false)
    } else if let Some(position) = triple("xsu", "ysu", "zsu") {
        (position, true, false)
    } else if let Some(position) = triple("x", "y", "z") {
        (position, false, true)
    } else if let Some(position) = triple("xs", "ys", "zs") {
        (position, true, true)
    } else {
        return Err("the dump has no positions; write x y z or xu yu zu".into());
    };
    let (forces, velocities) = (triple("fx", "fy", "fz"), triple("vx", "vy", "vz"));
    let mut checked: Vec<(usize, &'static str)> = position.iter().map(|&k| (k, "the position")).collect();
    checked.extend(forces.iter().flatten().map(|&k| (k, "the force")));
    checked.extend(velocities.iter().flatten().map(|&k| (k, "the velocity")));
    Ok(Columns {
        id: find("id"),
        kind: find("type"),
        element: find("element"),
        position,
        scaled,
        images: if wrapped { triple("ix", "iy", "iz") } else { None },
        checked,
        forces: forces.is_some(),
        velocities: velocities.is_some(),
        mass: find("mass").is_some(),
        names,
    })
}
