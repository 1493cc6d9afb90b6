//! Tables 3 and 4, ours beside the paper's.

use comfy_table::{presets, CellAlignment, Table};

use super::plain_table;
use crate::paper::{Columns, Frames, Outcome, Published, Row};

const HEADER: [&str; 14] = [
    "row",
    "seeds",
    "TVD",
    "paper",
    "W2",
    "paper",
    "stability",
    "paper",
    "bond MAE",
    "of means",
    "paper",
    "bond stab.",
    "paper",
    "bond width",
];

/// The rows with mean and standard deviation over their seeds, the paper's figures beside them, and below them the
/// training frames and two halves of the reference; then what does not fit the table.
pub fn paper_table(rows: &[(Row, Vec<Outcome>)], frames: &Frames) -> String {
    let notes: Vec<String> =
        rows.iter().filter(|(_, outcomes)| !outcomes.is_empty()).map(|(row, of)| note(row, of)).collect();
    format!("{}\n\n{}", table(rows, frames).trim_fmt(), notes.join("\n"))
}

/// The same table in Markdown.
pub fn paper_markdown(rows: &[(Row, Vec<Outcome>)], frames: &Frames) -> String {
    table(rows, frames).load_preset(presets::ASCII_MARKDOWN).trim_fmt()
}

fn table(rows: &[(Row, Vec<Outcome>)], frames: &Frames) -> Table {
    let mut table = plain_table(&HEADER);
    for (row, outcomes) in rows {
        if outcomes.is_empty() {
            continue;
        }
        let of = |column: &dyn Fn(&Columns) -> f64| {
            spread(&outcomes.iter().map(|outcome| column(&outcome.figures)).collect::<Vec<_>>())
        };
        let theirs = |column: &dyn Fn(&Published) -> f64| {
            row.published.map_or_else(String::new, |p| short(column(&p)))
        };
        table.add_row([
            row.name.to_owned(),
            outcomes.len().to_string(),
            of(&|c| c.tvd),
            theirs(&|p| p.tvd),
            of(&|c| c.w2),
            theirs(&|p| p.w2),
            of(&|c| c.stability),
            theirs(&|p| p.stability),
            of(&|c| number(c.bond_mae)),
            of(&|c| number(c.bond_mae_mean)),
            theirs(&|p| p.bond_mae),
            of(&|c| number(c.bond_stability)),
            theirs(&|p| p.bond_stability),
            of(&|c| number(c.bond_sigma)),
        ]);
    }
    let own =
        [("training frames", &frames.training_frames), ("halves of the reference", &frames.reference_halves)];
    for (name, c) in own {
        let cell = |value: f64| short(value);
        let empty = String::new;
        table.add_row([
            name.to_owned(),
            empty(),
            cell(c.tvd),
            empty(),
            cell(c.w2),
            empty(),
            cell(c.stability),
            empty(),
            cell(number(c.bond_mae)),
            cell(number(c.bond_mae_mean)),
            empty(),
            cell(number(c.bond_stability)),
            empty(),
            cell(number(c.bond_sigma)),
        ]);
    }
    for column in 1..HEADER.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What does not fit the table: costs, bandwidths, the relabeled figures, the per-pair variation.
fn note(row: &Row, outcomes: &[Outcome]) -> String {
    let mean =
        |value: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(value).sum::<f64>() / outcomes.len() as f64;
    let field = outcomes[0].field.map_or_else(String::new, |field| {
        let force = field.force_norm.map_or_else(String::new, |norm| format!(", mean force norm {norm:.1}"));
        let ratio = field.scale_ratio.map_or_else(String::new, |ratio| format!(", scale ratio {ratio:.0}"));
        format!("; bandwidth {:.3}{force}{ratio}", field.tau)
    });
    let relabeled =
        outcomes.first().and_then(|o| o.figures.bond_mae_relabeled).map_or_else(String::new, |_| {
            format!(
                ", relabeled bond MAE {} and stability {}",
                short(mean(&|o| number(o.figures.bond_mae_relabeled))),
                short(mean(&|o| number(o.figures.bond_stability_relabeled)))
            )
        });
    let given_up: usize = outcomes.iter().map(|o| o.figures.relabeling_given_up).sum();
    let given_up = if given_up == 0 {
        String::new()
    } else {
        format!(" (of {given_up} samples not every labeling was tried)")
    };
    format!(
        "{} ({}): MAE {}, pair TVD {:.3}{relabeled}{given_up}; training {:.0} s, 1,000 samples {} s{field}",
        row.name,
        row.label,
        short(mean(&|o| o.figures.mae)),
        mean(&|o| o.figures.pair_tvd),
        mean(&|o| o.train_seconds),
        short(mean(&|o| o.sample_seconds)),
    )
}

/// NaN, which is shown as nothing, for a figure that is not there.
fn number(figure: Option<f64>) -> f64 {
    figure.unwrap_or(f64::NAN)
}

fn short(value: f64) -> String {
    if value.is_nan() {
        return String::new();
    }
    format!("{value:.3}")
}

/// Mean, and standard deviation where there are several.
fn spread(values: &[f64]) -> String {
    let values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return short(mean);
    }
    let deviation = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0)).sqrt();
    format!("{mean:.3} +- {deviation:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_by_hand() {
        assert_eq!(spread(&[0.1, 0.2, 0.3]), "0.200 +- 0.100");
        assert_eq!(spread(&[0.1234]), "0.123");
        // A seed without the figure does not spoil the others'.
        assert_eq!(spread(&[0.2, f64::NAN]), "0.200");
        assert_eq!(spread(&[f64::NAN]), "");
    }
}
