//! An inspection as a block of text.

use std::fmt;

use super::inspection::Inspection;
use crate::dataset::elements::symbol;

/// Bonds, rings or dihedrals shown before the rest is only counted.
const SHOWN: usize = 40;

fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(SHOWN);
    let shown: Vec<String> = items.take(SHOWN).collect();
    match (shown.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (_, 0) => shown.join("  "),
        _ => format!("{}  and {more} more", shown.join("  ")),
    }
}

impl Inspection {
    fn chain(&self, atoms: &[usize]) -> String {
        let names =
            atoms.iter().map(|&a| format!("{}{a}", symbol(self.species.get(a).copied().unwrap_or(0))));
        names.collect::<Vec<_>>().join("-")
    }

    fn temperatures(&self) -> String {
        let mut parts = Vec::new();
        if let Some(reading) = self.thermometer.configurational {
            parts.push(format!("{:.0} +- {:.0} K from positions and forces", reading.kelvin, reading.error));
        }
        if let Some(kinetic) = self.thermometer.kinetic {
            parts.push(format!(
                "{:.0} +- {:.0} K from velocities (3N - {}; {:.0} K with the motion as a whole, 3N)",
                kinetic.internal.kelvin, kinetic.internal.error, kinetic.removed, kinetic.all.kelvin
            ));
        }
        if let Some(asked) = self.thermometer.asked {
            parts.push(format!("{asked:.0} K asked"));
        }
        if parts.is_empty() {
            "not measured (no forces, no velocities)".to_owned()
        } else {
            parts.join("; ")
        }
    }

    /// Readings by class, the window, and the rough ones from energies.
    fn thermometer_lines(&self) -> Vec<(&'static str, String)> {
        let found = &self.thermometer;
        let mut lines = Vec::new();
        for one in &found.classes {
            let text = match (&one.temperature, &one.why) {
                (Some(reading), _) => format!(
                    "{:.0} +- {:.0} K from {} {}",
                    reading.kelvin,
                    reading.error,
                    one.modes,
                    one.class.name()
                ),
                (None, why) => {
                    format!("no reading from {}: {}", one.class.name(), why.as_deref().unwrap_or("unknown"))
                }
            };
            lines.push(("", text));
        }
        if let Some(spread) = found.energy_spread {
            let reading = spread.temperature;
            lines.push((
                "",
                format!(
                    "{:.0} +- {:.0} K from the spread of the energies (rough: harmonic with {} vibrations; anharmonic \
                     molecules read 10 to 20 % off)",
                    reading.kelvin, reading.error, spread.vibrations
                ),
            ));
        }
        if let Some(reading) = found.configurational {
            lines.push((
                "window",
                format!(
                    "stretches are correlated over {:.1} frames; {:.0} independent stretches of time",
                    reading.correlation, reading.stretches
                ),
            ));
        }
        if let Some(spread) = found.kinetic.and_then(|kinetic| kinetic.spread) {
            lines.push((
                "ensemble",
                format!(
                    "variance of the kinetic energy {:.2} +- {:.2} of a canonical ensemble's",
                    spread.ratio, spread.error
                ),
            ));
        }
        if let Some(work) = found.work {
            lines.push((
                "work",
                format!(
                    "energy from frame to frame {:.3} kcal/mol, {:.3} unexplained by the forces (limit {:.3})",
                    work.step, work.residual, work.limit
                ),
            ));
        }
        lines
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, text: String| writeln!(f, "{name:<12} {text}");
        let has = |yes: bool| if yes { "yes" } else { "no" };
        match self.path.is_empty() {
            true => line("made from", self.format.clone())?,
            false => line("file", format!("{} ({})", self.path, self.format))?,
        }
        line("molecule", format!("{}, {} atoms, {}", self.formula, self.atoms, self.shape))?;
        line("frames", self.frames.to_string())?;
        line("units", self.units.clone())?;
        line(
            "found",
            format!(
                "forces: {}, energies: {}, velocities: {}, periodic cell: {}",
                has(self.forces),
                has(self.energies),
                has(self.velocities),
                has(self.periodic)
            ),
        )?;
        if let Some((mean, spread)) = self.energy {
            line("energy", format!("{mean:.2} kcal/mol, standard deviation {spread:.2}"))?;
        }
        line("bonds", listed(self.bonds.iter().map(|&(i, j)| self.chain(&[i, j]))))?;
        line("rings", listed(self.rings.iter().map(|ring| self.chain(ring))))?;
        line("dihedrals", listed(self.dihedrals.iter().map(|quad| self.chain(quad))))?;
        let symmetry = self.symmetry.as_ref().map_or_else(
            || "not found".to_owned(),
            |group| format!("{} operations ({} proper, {} mirror)", group.order, group.proper, group.mirror),
        );
        line("symmetry", symmetry)?;
        line("temperature", self.temperatures())?;
        for (name, text) in self.thermometer_lines() {
            line(name, text)?;
        }
        if let Some(check) = self.force_check {
            line(
                "forces",
                format!(
                    "mean {:.2} kcal/mol/angstrom; net force {:.1e}, net torque {:.1e} (root mean square)",
                    check.mean_force, check.net_force, check.net_torque
                ),
            )?;
        }
        for warning in &self.warnings {
            line("warning", warning.clone())?;
        }
        Ok(())
    }
}
