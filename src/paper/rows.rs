//! The rows: what is trained, and what the paper reports for it.

use crate::drift::kernel::Kernel;
use crate::train::{Method, Overrides, Scale, Space};

/// The paper's figures of a row: those of Table 3 where it is in both; NaN where it has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Published {
    /// Mean absolute difference of h(r).
    pub mae: f64,
    /// Total variation of h(r).
    pub tvd: f64,
    /// Wasserstein-2 distance of h(r).
    pub w2: f64,
    /// Stability.
    pub stability: f64,
    /// Bond MAE, angstrom.
    pub bond_mae: f64,
    /// Bond stability.
    pub bond_stability: f64,
}

/// What kind of model a row trains.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// One-step drifting with these settings.
    Drifting(Box<Overrides>),
    /// The diffusion baseline (DSM).
    Diffusion,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name on the command line.
    pub name: &'static str,
    /// Table and label in the paper, or why the row is here.
    pub label: &'static str,
    /// What is trained.
    pub kind: Kind,
    /// Whether the forces are those of other frames.
    pub placebo: bool,
    /// The paper's figures, where it has the row.
    pub published: Option<Published>,
}

/// All rows, in the order of the tables.
pub fn rows() -> Vec<Row> {
    use Method::{Combined, Drift, ForceAligned, ForceInterpolated};
    use Space::{Cartesian, Distance};

    let settings = |method, space, omega, gamma| Overrides {
        method: Some(method),
        space: Some(space),
        omega,
        gamma,
        ..Overrides::default()
    };
    let row = |name, label, overrides, published: Option<[f64; 6]>| Row {
        name,
        label,
        kind: Kind::Drifting(Box::new(overrides)),
        placebo: false,
        published: published.map(|[mae, tvd, w2, stability, bond_mae, bond_stability]| Published {
            mae,
            tvd,
            w2,
            stability,
            bond_mae,
            bond_stability,
        }),
    };
    let fi = |space, omega| settings(ForceInterpolated, space, Some(omega), None);
    let fk = |space, gamma| settings(ForceAligned, space, None, Some(gamma));
    let both = |space, omega, gamma| settings(Combined, space, Some(omega), Some(gamma));
    let naive = Overrides { projection: Some("naive".into()), ..fi(Distance, 0.1) };
    // Over kT as in Eq. 32, with the weight of Table 3.
    let unscaled = Overrides { normalization: Some(Scale::Physical), omega: Some(0.01), ..naive.clone() };
    let laplace = Overrides { kernel: Some(Kernel::Laplace), ..settings(Drift, Distance, None, None) };
    let mut all = vec![
        Row {
            kind: Kind::Diffusion,
            ..row(
                "dsm",
                "Table 3, DSM",
                Overrides::default(),
                Some([0.038, 0.152, 0.045, 0.000, 0.669, 0.007]),
            )
        },
        row(
            "drift-coord",
            "Table 3, Drifting",
            settings(Drift, Cartesian, None, None),
            Some([0.059, 0.237, 0.034, 0.311, 0.015, 0.995]),
        ),
        row(
            "fk-coord-0.001",
            "Table 3, FK",
            fk(Cartesian, 0.001),
            Some([0.057, 0.228, 0.033, 0.303, 0.015, 0.978]),
        ),
        row(
            "fi-coord-0.01",
            "Table 3, FI",
            fi(Cartesian, 0.01),
            Some([0.035, 0.139, 0.031, 0.326, 0.024, 0.975]),
        ),
        row(
            "fi+fk-coord",
            "Table 3, FI+FK",
            both(Cartesian, 0.01, 0.001),
            Some([0.035, 0.139, 0.030, 0.357, 0.025, 0.958]),
        ),
        row(
            "drift-dist",
            "Table 4, Drifting-Dist",
            settings(Drift, Distance, None, None),
            Some([0.048, 0.194, 0.031, 0.287, 0.006, 1.000]),
        ),
        row(
            "fi-dist-0.1",
            "Table 4, FI-Dist",
            fi(Distance, 0.1),
            Some([0.042, 0.170, 0.068, 0.004, 0.033, 0.491]),
        ),
        row(
            "fi-dist-0.3",
            "Table 4, FI-Dist",
            fi(Distance, 0.3),
            Some([0.049, 0.195, 0.107, 0.000, 0.078, 0.037]),
        ),
        row(
            "fi-dist-0.5",
            "Table 4, FI-Dist",
            fi(Distance, 0.5),
            Some([0.052, 0.208, 0.130, 0.000, 0.108, 0.012]),
        ),
        row(
            "fk-dist-0.1",
            "Table 4, FK-Dist",
            fk(Distance, 0.1),
            Some([0.022, 0.089, 0.023, 0.228, 0.006, 1.000]),
        ),
        row(
            "fk-dist-0.5",
            "Table 4, FK-Dist",
            fk(Distance, 0.5),
            Some([0.028, 0.111, 0.035, 0.162, 0.008, 0.993]),
        ),
        row(
            "fk-dist-1.0",
            "Table 4, FK-Dist",
            fk(Distance, 1.0),
            Some([0.034, 0.134, 0.049, 0.104, 0.011, 0.925]),
        ),
        row(
            "fi+fk-dist",
            "Table 4, FI+FK-Dist",
            both(Distance, 0.3, 0.5),
            Some([0.049, 0.195, 0.111, 0.000, 0.079, 0.107]),
        ),
        row(
            "fi-dist-naive",
            "section 5.3, FI with J F",
            naive,
            Some([f64::NAN, 0.317, f64::NAN, f64::NAN, f64::NAN, f64::NAN]),
        ),
        row(
            "fi-dist-naive-unscaled",
            "section 5.3, FI with J F, Eq. 32",
            unscaled,
            Some([f64::NAN, 0.317, f64::NAN, f64::NAN, f64::NAN, f64::NAN]),
        ),
        row("laplace-dist", "Eq. 8, the kernel of the image models", laplace, None),
    ];
    // The controls: rows once more with one thing changed.
    for (name, of, label, placebo) in [
        ("drift-coord-unturned", "drift-coord", "Table 3, Drifting, frames not turned onto one", false),
        ("fi-coord-0.01-unturned", "fi-coord-0.01", "Table 3, FI, frames not turned onto one", false),
        ("placebo-fk-dist-0.1", "fk-dist-0.1", "FK-Dist with forces shuffled between frames", true),
        ("placebo-fi-coord-0.01", "fi-coord-0.01", "FI with forces shuffled between frames", true),
    ] {
        let found = all.iter().find(|row| row.name == of).cloned();
        all.extend(found.map(|row| {
            let change = |with: Overrides| match placebo {
                true => Overrides { placebo: Some(true), ..with },
                false => Overrides { superpose: Some(false), ..with },
            };
            let kind = match row.kind {
                Kind::Drifting(with) => Kind::Drifting(Box::new(change(*with))),
                other => other,
            };
            // The paper does not say whether it turns its frames: its figures stand beside both.
            let published = row.published.filter(|_| !placebo);
            Row { name, label, kind, placebo, published }
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Settings;

    #[test]
    fn every_row_can_be_resolved_and_is_named_once() {
        let all = rows();
        let mut names: Vec<_> = all.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 20);
        for row in &all {
            if let Kind::Drifting(overrides) = &row.kind {
                let given = Overrides { temperature: Some(500.0), ..(**overrides).clone() };
                let settings = Settings::resolve(&given).unwrap();
                assert_eq!((settings.steps, settings.batch, settings.positives), (20_000, 256, 512));
            }
            // In every row of the paper the MAE is a quarter of the TVD: 200 bins on 8 angstrom.
            if let Some(published) = row.published.filter(|published| published.mae.is_finite()) {
                assert!((published.mae - published.tvd / 4.0).abs() < 0.001, "{}", row.name);
            }
        }
    }
}
