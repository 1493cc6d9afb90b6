//! LAMMPS data files, looked through before chemfiles gets them: its reader (0.10.41) never comes back from a line after the
//! header that is no section it knows, makes room for as many atoms as the header claims, and writes the velocity of an atom that
//! is not there wherever that would be.

use std::path::Path;

use super::lammps::shown;
use super::lines::Lines;
use crate::Result;

/// Words of header lines that chemfiles knows, but for `atoms`.
const HEADER: [&str; 22] = [
    "angles",
    "dihedrals",
    "impropers",
    "bond types",
    "angle types",
    "dihedral types",
    "improper types",
    "extra bond per atom",
    "extra angle per atom",
    "extra dihedral per atom",
    "extra improper per atom",
    "extra special per atom",
    "ellipsoids",
    "lines",
    "triangles",
    "bodies",
    "bonds",
    "atom types",
    "xlo xhi",
    "ylo yhi",
    "zlo zhi",
    "xy xz yz",
];

/// Sections that chemfiles knows, but for those of coefficients.
const SECTIONS: [&str; 11] = [
    "Atoms",
    "Bonds",
    "Velocities",
    "Masses",
    "Angles",
    "Dihedrals",
    "Impropers",
    "Ellipsoids",
    "Lines",
    "Triangles",
    "Bodies",
];

/// Kinds of coefficients, `Pair Coeffs` and so on.
const COEFFICIENTS: [&str; 14] = [
    "Pair",
    "PairIJ",
    "Bond",
    "Angle",
    "Dihedral",
    "Improper",
    "BondBond",
    "BondAngle",
    "MiddleBondTorsion",
    "EndBondTorsion",
    "AngleTorsion",
    "AngleAngleTorsion",
    "BondBond13",
    "AngleAngle",
];

/// Whether chemfiles takes the name for a section. What is trimmed before must be what it trims, which is ASCII without the vertical
/// tab.
fn is_section(name: &str) -> bool {
    SECTIONS.contains(&name) || name.strip_suffix(" Coeffs").is_some_and(|kind| COEFFICIENTS.contains(&kind))
}

/// Looks through a file, and gives the unit style that LAMMPS writes into its first line.
///
/// # Errors
/// [`crate::Error::Data`] where the header ends with a line that is no section, or claims more atoms than there are lines, and
/// for velocities of no atom.
pub(super) fn check(path: &Path) -> Result<Option<String>> {
    let mut lines = Lines::open(path)?;
    let first = lines.next()?.unwrap_or_default();
    let style = first
        .split_once("units = ")
        .map(|(_, style)| style.split([',', ' ']).next().unwrap_or_default().to_owned());
    let (mut atoms, mut count, mut in_header) = (0_u64, 0_u64, true);
    let (mut section, mut placed) = (String::new(), false);
    while let Some(line) = lines.next()? {
        count += 1;
        let content = line.split('#').next().unwrap_or_default().to_owned();
        if content.is_empty() {
            continue;
        }
        if !in_header {
            let name = content.trim_ascii();
            if is_section(name) {
                name.clone_into(&mut section);
            } else if section == "Velocities" && !name.is_empty() {
                let id = name.split(' ').next().and_then(|word| word.parse::<u64>().ok());
                if !placed || !id.is_some_and(|id| (1..=atoms).contains(&id)) {
                    return Err(lines.bad(format!(
                        "the velocity '{}' is of no atom that came before; write Atoms before Velocities, with ids up to \
                         their number",
                        shown(name)
                    )));
                }
            }
            placed |= section == "Atoms";
            continue;
        }
        if !HEADER[..16].iter().any(|word| content.contains(word)) && content.contains("atoms") {
            // What is no number chemfiles refuses.
            atoms = content.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
        } else if !HEADER.iter().any(|word| content.contains(word)) {
            in_header = false;
            if !is_section(content.trim_ascii()) {
                return Err(lines.bad(format!(
                    "'{}' is no line of a header, nor a section that can be read first; write Masses or Atoms there",
                    shown(&content)
                )));
            }
            content.trim_ascii().clone_into(&mut section);
            placed = section == "Atoms";
        }
    }
    if atoms > count {
        return Err(lines
            .bad(format!("the header says {atoms} atoms, but only {count} lines follow; it is cut short")));
    }
    Ok(style)
}
