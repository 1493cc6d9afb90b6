//! Symbols, masses and covalent radii of the elements, from chemfiles' periodic table.

use crate::{Error, Result};

/// The highest atomic number the library knows.
const HEAVIEST: u8 = 118;

const SYMBOLS: &str = "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se \
    Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf \
    Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds \
    Rg Cn Nh Fl Mc Lv Ts Og";

/// Symbol of an element, for example `C` for 6; `X` for a number that is no element's.
pub fn symbol(number: u8) -> &'static str {
    match number {
        1..=HEAVIEST => SYMBOLS.split_ascii_whitespace().nth(usize::from(number) - 1).unwrap_or("X"),
        _ => "X",
    }
}

/// Atomic number of a symbol, for example 6 for `C`.
pub fn number(symbol: &str) -> Option<u8> {
    SYMBOLS.split_ascii_whitespace().position(|one| one == symbol).and_then(|k| u8::try_from(k + 1).ok())
}

/// Atomic numbers of the symbols that `--types` gives.
pub(super) fn numbers(types: &[String]) -> Result<Vec<u8>> {
    types
        .iter()
        .map(|symbol| {
            number(symbol).ok_or_else(|| {
                let symbol = symbol.escape_debug();
                Error::usage(format!("--types: '{symbol}' is no element; give symbols, for example C,H,O"))
            })
        })
        .collect()
}

/// Standard atomic mass in amu.
///
/// # Errors
/// [`Error::Usage`] where the element has no tabulated mass.
pub fn mass(number: u8) -> Result<f64> {
    let mass = chemfiles::Atom::new(symbol(number)).mass();
    if mass > 0.0 {
        return Ok(mass);
    }
    Err(Error::usage(format!(
        "atomic number {number} is no element with a known mass; give its symbol, 1 to {HEAVIEST}"
    )))
}

/// Covalent radius in angstrom.
///
/// # Errors
/// [`Error::Usage`] where the element has no tabulated radius.
pub fn covalent_radius(number: u8) -> Result<f64> {
    let radius = chemfiles::Atom::new(symbol(number)).covalent_radius();
    if radius > 0.0 {
        return Ok(radius);
    }
    Err(Error::usage(format!("element {} has no tabulated covalent radius", symbol(number))))
}

/// Sum formula in the order of Hill: carbon, hydrogen, then by symbol.
pub fn formula(species: &[u8]) -> String {
    let mut symbols: Vec<&str> = species.iter().map(|&z| symbol(z)).collect();
    let carbon = symbols.contains(&"C");
    let rank = |one: &str| match one {
        "C" if carbon => 0,
        "H" if carbon => 1,
        _ => 2,
    };
    symbols.sort_by_key(|one| (rank(one), *one));
    let parts = symbols.chunk_by(|a, b| a == b).map(|same| match same.len() {
        1 => same[0].to_owned(),
        count => format!("{}{count}", same[0]),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        // IUPAC standard atomic weights; covalent radii within 0.1 of Cordero et al. 2008.
        for (name, z, weight, radius) in
            [("H", 1, 1.008, 0.31), ("C", 6, 12.011, 0.76), ("O", 8, 15.999, 0.66), ("Cl", 17, 35.45, 1.02)]
        {
            assert_eq!((symbol(z), number(name)), (name, Some(z)));
            assert!((mass(z).unwrap() - weight).abs() < 0.01, "{name}: {}", mass(z).unwrap());
            let r = covalent_radius(z).unwrap();
            assert!((r - radius).abs() < 0.1, "{name}: {r}");
        }
        assert_eq!((symbol(118), number("Og"), symbol(0), number("Q")), ("Og", Some(118), "X", None));
        assert!(mass(0).is_err() && mass(200).is_err());
    }
}
