//! What the user reads: tables of figures, the inspection of a data set, and pages to look at.

mod equilibration;
pub mod html;
mod inspection;
mod inspection_text;
mod labels;
#[cfg(feature = "train")]
mod paper;

use comfy_table::{presets, CellAlignment, ContentArrangement, Table};

pub use crate::dataset::elements::formula;
use crate::metrics::{Evaluation, Figures};

pub use crate::molecule::force_check::ForceCheck;
pub use equilibration::equilibration_table;
pub use inspection::{inspect, Inspection, SymmetrySummary};
#[cfg(feature = "train")]
pub use paper::{paper_markdown, paper_table};

/// The figures of an evaluation as a table: figure, samples, the reference's own floor, what it is.
pub fn evaluation_table(evaluation: &Evaluation) -> String {
    let mut table = plain_table(&["figure", "samples", "floor", "what it is"]);
    let (here, floor) = (rows(&evaluation.figures), rows(&evaluation.floor));
    for (name, value) in &here {
        let own = floor.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
        table.add_row([
            name.clone(),
            number(*value),
            own.map_or_else(String::new, number),
            labels::what(name),
        ]);
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let group = evaluation.symmetry_order.map_or_else(String::new, |order| {
        format!("; '_sym' figures average over the {order} symmetry operations of the molecule")
    });
    format!(
        "{} samples against {} reference frames{group}\n\n{}\n\nfloor: the same figure between two random halves \
         of the reference; no figure can be told from the reference once it is there",
        evaluation.samples,
        evaluation.reference,
        table.trim_fmt()
    )
}

/// Every figure by name, in the order of reading.
fn rows(figures: &Figures) -> Vec<(String, f64)> {
    let mut rows: Vec<(String, f64)> = Vec::new();
    let mut add = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            rows.push((name.to_owned(), value));
        }
    };
    add("tvd", Some(figures.tvd));
    add("mae", Some(figures.mae));
    add("w2", Some(figures.w2));
    add("pair_tvd", Some(figures.pair_tvd));
    add("pair_tvd_sym", figures.pair_tvd_sym);
    for (kind, value) in &figures.type_tvd {
        add(&format!("type_tvd {kind}"), Some(*value));
    }
    add("bond_sigma", figures.bond_sigma);
    add("bond_sigma_sym", figures.bond_sigma_sym);
    add("bond_mae_mean", figures.bond_mae_mean);
    add("bond_mae_sample", figures.bond_mae_sample);
    add("bond_stability", figures.bond_stability);
    add("stability", Some(figures.stability));
    add("angle_tvd", figures.angle_tvd);
    add("angle_tvd_sym", figures.angle_tvd_sym);
    add("angle_sigma", figures.angle_sigma);
    add("dihedral_tvd", figures.dihedral_tvd);
    add("dihedral_tvd_sym", figures.dihedral_tvd_sym);
    for one in &figures.dihedrals {
        let name = one.atoms.map(|atom| atom.to_string()).join("-");
        add(&format!("dihedral {name}"), Some(one.tvd));
        add(&format!("dihedral {name} trans"), Some(one.populations[0]));
        add(&format!("dihedral {name} trans, reference"), Some(one.reference_populations[0]));
    }
    if let Some(energy) = &figures.energy {
        add("energy ks", Some(energy.ks));
        add("energy median difference", Some(energy.median_difference));
        for (side, summary) in [("", energy.samples), (", reference", energy.reference)] {
            add(&format!("energy mean{side}"), Some(summary.mean));
            add(&format!("energy std{side}"), Some(summary.std));
            add(&format!("energy p05{side}"), Some(summary.p05));
            add(&format!("energy median{side}"), Some(summary.median));
            add(&format!("energy p95{side}"), Some(summary.p95));
        }
    }
    rows
}

/// A borderless table with that header.
fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

/// Four digits, or as many as a large number needs.
fn number(value: f64) -> String {
    if value.abs() >= 1000.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}")
    }
}

#[cfg(test)]
mod tests;
