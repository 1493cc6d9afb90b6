//! Whether the samples can be trusted, in words: every figure against its floor.

use serde::Serialize;

use crate::metrics::{Evaluation, Figures};

/// A total variation this many floors high cannot be told from the reference; beyond the second it is wrong.
const NEAR: f64 = 1.5;
const FAR: f64 = 3.0;
/// A total variation below this is never called wrong, however low the floor is: 2 % of the probability.
const LITTLE: f64 = 0.02;
/// How far a width over the reference's may be from 1.
const WIDTH: (f64, f64) = (0.03, 0.10);
/// Median energies may differ by these shares of the reference's standard deviation.
const ENERGY: (f64, f64) = (0.1, 0.5);
/// Fewer samples or frames than this say little.
const FEW: usize = 1000;

/// How good a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Grade {
    Good,
    Near,
    Off,
}

/// One figure judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Finding {
    pub(super) grade: Grade,
    pub(super) text: String,
    /// What to do about it; empty where it is good.
    pub(super) remedy: &'static str,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) name: String,
    pub(super) grade: Grade,
    pub(super) headline: String,
    pub(super) findings: Vec<Finding>,
    pub(super) cautions: Vec<String>,
}

/// What to do about a kind of figure.
const DISTANCES: &str =
    "Train for more steps or on more frames; where only distances between far atoms are off, look at \
                         the dihedrals first.";
const BONDS: &str = "Widths below 1 are the usual error of the one-step generator: train for more steps, or refine with \
                     the potential (sample --refine 5 --potential ...), which corrects stiff motions in a few steps.";
const ANGLES: &str =
    "Train for more steps, or refine with the potential (sample --refine 5 --potential ...); where the \
                      dihedrals are off too, look at them first.";
const TORSIONS: &str = "The training frames or this reference may not have visited every conformation: compare both with \
                        a longer run, or train with --debias fit or --debias potential. Refinement of a few steps does \
                        not mend populations.";
const ENERGIES: &str = "Refine with the potential: sample --refine 20 --potential ...; then evaluate again.";

/// The verdict on one side.
pub(super) fn judge(name: &str, evaluation: &Evaluation) -> Verdict {
    let (here, floor) = (&evaluation.figures, &evaluation.floor);
    // The floor is between halves of the reference; so many independent samples against all of it would have this
    // much of it.
    let ratio = evaluation.reference as f64 / evaluation.samples as f64;
    let expected = ((ratio + 1.0) / 4.0).sqrt().max(1.0);
    let few = if expected > 1.1 {
        format!(" (so few samples alone give {expected:.1} times the floor)")
    } else {
        String::new()
    };
    let mut findings = Vec::new();
    let mut variation = |what: &str, value: Option<f64>, floor: Option<f64>, remedy| {
        let (Some(value), Some(floor)) = (value, floor) else { return };
        let base = floor * expected;
        let grade = match value {
            value if value <= NEAR * base => Grade::Good,
            value if value <= FAR * base || value < LITTLE => Grade::Near,
            _ => Grade::Off,
        };
        findings.push(finding(grade, format!("{what}: {value:.4}, floor {floor:.4}{few}"), remedy));
    };
    let over = |sym: fn(&Figures) -> Option<f64>, plain: fn(&Figures) -> Option<f64>| {
        (sym(here).or_else(|| plain(here)), sym(floor).or_else(|| plain(floor)))
    };
    variation("all distances together, h(r)", Some(here.tvd), Some(floor.tvd), DISTANCES);
    let (value, own) = over(|f| f.pair_tvd_sym, |f| Some(f.pair_tvd));
    variation("each pair of atoms", value, own, DISTANCES);
    let (value, own) = over(|f| f.angle_tvd_sym, |f| f.angle_tvd);
    variation("bond angles", value, own, ANGLES);
    let (value, own) = over(|f| f.dihedral_tvd_sym, |f| f.dihedral_tvd);
    variation("dihedrals of rotatable bonds", value, own, TORSIONS);
    if let (Some(energy), Some(own)) = (&here.energy, &floor.energy) {
        variation("energies, Kolmogorov-Smirnov", Some(energy.ks), Some(own.ks), ENERGIES);
    }
    let (width, own) = over(|f| f.bond_sigma_sym, |f| f.bond_sigma);
    if let (Some(width), Some(own)) = (width, own) {
        let slack = 2.0 * (own - 1.0).abs() * expected;
        let grade = by((width - 1.0).abs(), (WIDTH.0.max(slack), WIDTH.1.max(slack)));
        findings.push(finding(
            grade,
            format!("width of the bonds over the reference's: {width:.3}, 1 is right"),
            BONDS,
        ));
    }
    if let Some(energy) = &here.energy {
        let share = energy.median_difference.abs() / energy.reference.std.max(f64::MIN_POSITIVE);
        let text = format!(
            "median energy less the reference's: {:.3} kcal/mol, its own width {:.3}",
            energy.median_difference, energy.reference.std
        );
        findings.push(finding(by(share, ENERGY), text, ENERGIES));
    }
    findings.sort_by_key(|one| std::cmp::Reverse(one.grade));
    let grade = findings.iter().map(|one| one.grade).max().unwrap_or(Grade::Off);
    let off = findings.iter().filter(|one| one.grade == grade).count();
    let headline = match grade {
        Grade::Good => "Good: no figure here tells them from the reference.".to_owned(),
        Grade::Near => format!(
            "Usable with care: {off} of {} figures are somewhat above what two halves of the reference give.",
            findings.len()
        ),
        Grade::Off => format!("Not good as they are: {off} of {} figures are off.", findings.len()),
    };
    Verdict { name: name.to_owned(), grade, headline, findings, cautions: cautions(evaluation) }
}

fn by(value: f64, (good, near): (f64, f64)) -> Grade {
    match value {
        value if value <= good => Grade::Good,
        value if value <= near => Grade::Near,
        _ => Grade::Off,
    }
}

fn finding(grade: Grade, text: String, remedy: &'static str) -> Finding {
    Finding { grade, text, remedy: if grade == Grade::Good { "" } else { remedy } }
}

fn cautions(evaluation: &Evaluation) -> Vec<String> {
    let mut out = Vec::new();
    for (count, what) in [(evaluation.samples, "samples"), (evaluation.reference, "frames of the reference")]
    {
        if count < FEW {
            out.push(format!("Only {count} {what}: small errors cannot be seen. Give at least {FEW}."));
        }
    }
    if evaluation.figures.energy.is_none() {
        out.push(
            "No energies on both sides: a distance histogram hardly sees strained structures. Give --potential."
                .into(),
        );
    }
    out.push(
        "The figures see no error of the reference itself: a conformation that it never visited is missing from the \
         comparison."
            .into(),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{evaluate, Ensemble, Options};
    use crate::molecule::samples::{noisy, ETHANOL};

    fn verdict(width: f64) -> Verdict {
        let (species, a) = noisy(&ETHANOL, 1500, width, 1);
        let (_, b) = noisy(&ETHANOL, 1500, 0.04, 2);
        let of = |positions| Ensemble { species: &species, positions, energies: None };
        judge("samples", &evaluate(&of(a.view()), &of(b.view()), &Options::default()).unwrap())
    }

    #[test]
    fn the_same_ensemble_is_good_and_a_wider_one_is_off() {
        let same = verdict(0.04);
        assert_eq!(same.grade, Grade::Good, "{same:?}");
        assert!(same.findings.iter().all(|one| one.remedy.is_empty()));
        assert!(same.cautions.iter().any(|text| text.contains("No energies")));
        // Noise that is half as wide again widens the bonds by up to that.
        let wide = verdict(0.06);
        assert_eq!(wide.grade, Grade::Off);
        assert!(wide.findings[0].grade == Grade::Off && !wide.findings[0].remedy.is_empty());
        assert!(wide
            .findings
            .iter()
            .any(|one| one.text.contains("width of the bonds") && one.grade == Grade::Off));
    }
}
