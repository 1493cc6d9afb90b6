//! The charts of a page in their order, each with what it means and what is normal.

use serde::Serialize;

use super::charts::{self, Points, REFERENCE, SIDES, SMALL, WIDE};
use super::Temperatures;
use crate::dataset::elements::symbol;
use crate::metrics::{Coordinate, Distributions, Populations};
use crate::molecule::thermometer::{ClassTemperature, ModeClass, Temperature};
use crate::Result;

/// Bonds and angles that are drawn: those that differ most.
const DRAWN: usize = 12;

/// One chart and what is below it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) svg: String,
    pub(super) small: bool,
}

/// Charts under one heading and one explanation.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) text: String,
    pub(super) charts: Vec<Chart>,
}

impl Section {
    fn one(id: &'static str, title: &'static str, text: &str, chart: String) -> Self {
        let charts = vec![Chart { title: title.to_owned(), svg: chart, small: false }];
        Section { id, title, text: text.to_owned(), charts }
    }
}

/// A name for each atom: `C0`.
fn atoms(species: &[u8]) -> Vec<String> {
    species.iter().enumerate().map(|(k, &z)| format!("{}{k}", symbol(z))).collect()
}

/// The sections of distributions.
pub(super) fn distributions(found: &Distributions, species: &[u8], sides: &[String]) -> Result<Vec<Section>> {
    let names = atoms(species);
    let mut out = vec![
        Section::one(
            "distances",
            "All distances: h(r)",
            "The histogram of all distances between atoms, pooled. The band is the reference's own uncertainty (two \
             standard errors, from ten stretches of it). Normal: the lines lie on each other and in the band. A wrong torsion \
             hardly shows here.",
            charts::densities(&found.distances, "distance, angstrom", "h(r), 1/angstrom", WIDE)?,
        ),
        pairs(found, &names, sides)?,
        coordinates(
            ("bonds", "Bonds"),
            "Each different bond, pooled over the symmetry of the molecule. Normal: the same center and the same width; \
             samples that are too narrow are too cold in that bond.",
            &found.bonds,
            &names,
            "angstrom",
        )?,
    ];
    if !found.angles.is_empty() {
        out.push(coordinates(
            ("angles", "Bond angles"),
            "Each different angle, pooled over symmetry. Normal: lines within the band; shifted or narrow angles cost energy.",
            &found.angles,
            &names,
            "degrees",
        )?);
    }
    if !found.dihedrals.is_empty() {
        out.push(coordinates(
            ("dihedrals", "Dihedrals"),
            "The turn about each rotatable bond, pooled over symmetry. Normal: wells of the same height. These are the \
             slowest motions of a run, so the band is wide where the reference is short: a difference may be the \
             reference's.",
            &found.dihedrals,
            &names,
            "degrees",
        )?);
        out.push(populations(&found.dihedrals, &names)?);
    }
    if let Some(energies) = &found.energies {
        out.push(Section::one(
            "energies",
            "Potential energies",
            "Less the reference's median. Normal: the same shape. A tail to the right is strain that refinement takes away; \
             raw samples often have some. The highest in a thousand are not drawn.",
            charts::densities(energies, "energy, kcal/mol", "density, mol/kcal", WIDE)?,
        ));
    }
    Ok(out)
}

fn pairs(found: &Distributions, names: &[String], sides: &[String]) -> Result<Section> {
    let mut charts = Vec::new();
    let mut worst = String::new();
    for (k, side) in sides.iter().enumerate() {
        let mut values: Vec<((usize, usize), f64)> =
            found.pairs.iter().map(|(pair, tvd)| (*pair, tvd[k])).collect();
        charts.push(Chart {
            title: format!("{side}, total variation of each pair"),
            svg: charts::matrix(names, &values)?,
            small: false,
        });
        values.sort_by(|a, b| b.1.total_cmp(&a.1));
        let list: Vec<String> = values
            .iter()
            .take(5)
            .map(|((i, j), value)| format!("{}-{} {value:.3}", names[*i], names[*j]))
            .collect();
        worst.push_str(&format!(" The largest of the {side}: {}.", list.join(", ")));
    }
    Ok(Section {
        id: "pairs",
        title: "Each pair of atoms",
        text: format!(
            "Total variation of each pair's own distance over the symmetry of the molecule: the share of probability in the \
             wrong place, 0 is right. The darkest cell is the largest value. Normal: an even, low pattern near the floor of \
             'pair_tvd_sym' in the table; dark blocks between two groups of atoms mean that the torsion between them is \
             wrong.{worst}"
        ),
        charts,
    })
}

/// Small charts of the coordinates that differ most.
fn coordinates(
    (id, title): (&'static str, &'static str),
    text: &str,
    found: &[Coordinate],
    names: &[String],
    unit: &str,
) -> Result<Section> {
    let worst = |one: &Coordinate| one.tvd.iter().copied().fold(0.0, f64::max);
    let mut order: Vec<&Coordinate> = found.iter().collect();
    order.sort_by(|a, b| worst(b).total_cmp(&worst(a)));
    let left = order.len().saturating_sub(DRAWN);
    let more = match left {
        0 => String::new(),
        _ => format!(" The {DRAWN} that differ most are drawn, {left} that differ less are not."),
    };
    let charts = order
        .into_iter()
        .take(DRAWN)
        .map(|one| {
            let name = one.atoms.iter().map(|&atom| names[atom].as_str()).collect::<Vec<_>>().join("-");
            let images = if one.images > 1 { format!(", {} images", one.images) } else { String::new() };
            let tvd: Vec<String> = one.tvd.iter().map(|tvd| format!("{tvd:.3}")).collect();
            Ok(Chart {
                title: format!("{name}{images}: total variation {}", tvd.join(", ")),
                svg: charts::densities(
                    &one.curves,
                    unit,
                    &format!("1/{}", unit.trim_end_matches('s')),
                    SMALL,
                )?,
                small: true,
            })
        })
        .collect::<Result<Vec<Chart>>>()?;
    Ok(Section { id, title, text: format!("{text}{more}"), charts })
}

fn populations(found: &[Coordinate], names: &[String]) -> Result<Section> {
    let wells = ["trans", "gauche+", "gauche-"].map(str::to_owned);
    let colors = std::iter::once(REFERENCE).chain(SIDES);
    let charts = found
        .iter()
        .map(|one| {
            let values = |p: &Populations| (0..3).map(|k| Some((p.share[k], p.error[k]))).collect();
            let series: Vec<Points> = one
                .populations
                .iter()
                .zip(colors.clone())
                .map(|(p, color)| Points { color, values: values(p) })
                .collect();
            let name = one.atoms.iter().map(|&atom| names[atom].as_str()).collect::<Vec<_>>().join("-");
            Ok(Chart {
                title: format!("Populations of {name}"),
                svg: charts::points(&wells, &series, None, "population", (Some(0.0), 0.0))?,
                small: false,
            })
        })
        .collect::<Result<Vec<Chart>>>()?;
    Ok(Section {
        id: "populations",
        title: "Populations",
        text: "Share of each well (trans beyond 120 degrees), with two standard errors from ten stretches of the frames. \
               Normal: bars that overlap. A well without the other side's bar was never visited by it."
            .into(),
        charts,
    })
}

/// The thermometer's readings, those of the reference first.
pub(super) fn thermometer(found: &[Temperatures], asked: Option<f64>) -> Result<Option<Section>> {
    if found.is_empty() {
        return Ok(None);
    }
    let short = |class: ModeClass| match class {
        ModeClass::HydrogenStretches => "H stretches",
        ModeClass::HeavyStretches => "stretches",
        ModeClass::Bends => "bends",
        ModeClass::Torsions => "torsions",
    };
    let classes: Vec<ModeClass> = found[0].classes.iter().map(|one| one.class).collect();
    let mut categories = vec!["all".to_owned()];
    categories.extend(classes.iter().map(|&class| short(class).to_owned()));
    let read = |reading: &Temperature| (reading.kelvin, reading.error);
    let of = |class: ModeClass, classes: &[ClassTemperature]| {
        classes.iter().find(|one| one.class == class)?.temperature.as_ref().map(read)
    };
    let series: Vec<Points> = found
        .iter()
        .map(|one| Points {
            color: one.side.map_or(REFERENCE, |side| SIDES[side.min(SIDES.len() - 1)]),
            values: std::iter::once(one.all.as_ref().map(read))
                .chain(classes.iter().map(|&class| of(class, &one.classes)))
                .collect(),
        })
        .collect();
    let level = match asked {
        Some(kelvin) => format!("the line is at the {kelvin} K asked for. "),
        None => String::new(),
    };
    let chart = charts::points(&categories, &series, asked, "kelvin", (None, f64::NEG_INFINITY))?;
    let text = format!(
        "Temperature from positions and forces alone (hypervirial theorem), with two standard errors; {level}Normal: the \
         same temperature in every kind of motion. Stretches that read differently from the rest are bonds that are too narrow or \
         too wide; a kind without a reading has none or is too blurred."
    );
    Ok(Some(Section::one("thermometer", "Thermometer", &text, chart)))
}

/// The training curve.
pub(super) fn losses(found: &[(usize, f64)]) -> Result<Option<Section>> {
    if found.len() < 2 {
        return Ok(None);
    }
    Ok(Some(Section::one(
        "losses",
        "Training curve",
        "Mean loss between two looks. Normal: it falls and then levels off; still falling at the end means that more steps \
         would help, a jump upwards that the learning rate is too high.",
        charts::losses(found)?,
    )))
}
