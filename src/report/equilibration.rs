//! The report of an equilibration as text.

use comfy_table::CellAlignment;

use super::{number, plain_table};
use crate::equilibrate::Report;

/// An equilibration's report: the watched quantities, then how the walk went, then warnings.
pub fn equilibration_table(report: &Report) -> String {
    let mut table = plain_table(&["quantity", "mean", "R-hat", "effective size"]);
    for one in &report.quantities {
        let r_hat = if one.r_hat.is_finite() { format!("{:.4}", one.r_hat) } else { "infinite".into() };
        table.add_row([one.name.clone(), number(one.mean), r_hat, format!("{:.0}", one.effective)]);
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let decisions = &report.decisions;
    let share = |count: u64| 100.0 * count as f64 / decisions.total().max(1) as f64;
    let mut lines = vec![
        format!(
            "{} at {} K: {} chains, {} iterations of {} steps of {:.3} fs on average{}",
            report.potential,
            report.temperature,
            report.chains,
            report.iterations,
            report.leapfrog,
            report.time_step,
            if report.guided { ", led by the smaller fit that comes with it" } else { "" }
        ),
        format!(
            "accepted {:.1} %; rejected {:.1} % by energy, {:.2} % outside the region, {:.2} % with a broken bond, \
             {:.2} % not finite",
            share(decisions.accepted),
            share(decisions.energy),
            share(decisions.outside),
            share(decisions.broken),
            share(decisions.not_finite)
        ),
        format!(
            "{} evaluations, {:.0} a second; energy {} +- {} kcal/mol",
            report.evaluations,
            report.evaluations_per_second,
            number(report.mean_energy),
            number(report.energy_width)
        ),
    ];
    if let Some(ladder) = &report.ladder {
        let list = |values: &[f64], digits: usize| {
            values.iter().map(|value| format!("{value:.digits$}")).collect::<Vec<_>>().join(", ")
        };
        lines.push(format!(
            "ladder ({}): {} K, exchanges {}",
            ladder.reason,
            list(&ladder.temperatures, 0),
            list(&ladder.exchanges, 2)
        ));
    }
    if let Some(reading) = report.configurational {
        lines.push(format!("the thermometer reads {:.1} +- {:.1} K", reading.kelvin, reading.error));
    }
    lines.extend(report.warnings.iter().map(|warning| format!("warning: {warning}")));
    let verdict = if report.converged { "converged" } else { "NOT converged" };
    format!("{}\n\n{}\n{verdict}", table.trim_fmt(), lines.join("\n"))
}
