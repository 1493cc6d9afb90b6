//! The free energy of several torsions as one Fourier series, fitted to all their torques at once.
//!
//! F(phi) is a sum of cos k phi_d and sin k phi_d, k = 1..3, and for coupled torsions d, e of the products of
//! these. Every torque is a slope of the same F: `<tau_d | phi> = -dF/dphi_d`.

use ndarray::{Array1, Array2, ArrayView1};

use super::least_squares::solve;

/// Harmonics of one torsion.
pub(super) const HARMONICS: usize = 3;
/// A term whose average over the symmetry operations is smaller than this, relative, is one they forbid.
const FORBIDDEN: f64 = 0.25;
/// Relative ridge of the normal equations.
const RIDGE: f64 = 1e-6;

/// cos k phi (`sine` false) or sin k phi of one torsion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wave {
    pub torsion: usize,
    pub k: usize,
    pub sine: bool,
}

impl Wave {
    pub fn value(self, phi: f64) -> f64 {
        let angle = self.k as f64 * phi;
        if self.sine {
            angle.sin()
        } else {
            angle.cos()
        }
    }

    pub fn slope(self, phi: f64) -> f64 {
        let (angle, k) = (self.k as f64 * phi, self.k as f64);
        if self.sine {
            k * angle.cos()
        } else {
            -k * angle.sin()
        }
    }
}

/// A term of the series: one wave, or the product of two of different torsions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Term(pub Wave, pub Option<Wave>);

impl Term {
    pub fn value(&self, phi: ArrayView1<f64>) -> f64 {
        let wave = |wave: &Wave| wave.value(phi[wave.torsion]);
        wave(&self.0) * self.1.as_ref().map_or(1.0, wave)
    }

    /// d / d phi_torsion.
    fn slope(&self, phi: ArrayView1<f64>, torsion: usize) -> f64 {
        let value = |wave: &Wave| wave.value(phi[wave.torsion]);
        let slope = |wave: &Wave| wave.slope(phi[wave.torsion]);
        match (&self.0, &self.1) {
            (one, None) if one.torsion == torsion => slope(one),
            (one, Some(two)) if one.torsion == torsion => slope(one) * value(two),
            (one, Some(two)) if two.torsion == torsion => value(one) * slope(two),
            _ => 0.0,
        }
    }
}

/// Angles and torques of all torsions in one symmetry image of the frames: each (N, m).
pub(super) struct Image {
    pub phi: Array2<f64>,
    pub torque: Array2<f64>,
}

/// All single waves of torsion `d`.
fn waves(torsion: usize) -> impl Iterator<Item = Wave> + Clone {
    (1..=HARMONICS).flat_map(move |k| [false, true].map(|sine| Wave { torsion, k, sine }))
}

/// The terms that the images allow: single waves of every torsion, and, where all of them fit into `most`, the
/// products for the pairs in `coupled`. The answer says whether they did.
pub(super) fn terms(
    images: &[Image],
    torsions: usize,
    coupled: &[(usize, usize)],
    most: usize,
) -> (Vec<Term>, bool) {
    let allowed = |term: &Term| {
        let frames = images[0].phi.nrows();
        let (mut mean_square, mut square) = (0.0, 0.0);
        for frame in 0..frames {
            let values = images.iter().map(|image| term.value(image.phi.row(frame)));
            let (sum, squares) = values.fold((0.0, 0.0), |(a, b), x| (a + x, b + x * x));
            mean_square += (sum / images.len() as f64).powi(2);
            square += squares / images.len() as f64;
        }
        mean_square > FORBIDDEN * FORBIDDEN * square
    };
    let singles: Vec<Term> =
        (0..torsions).flat_map(waves).map(|wave| Term(wave, None)).filter(allowed).collect();
    let products = coupled
        .iter()
        .flat_map(|&(d, e)| waves(d).flat_map(move |one| waves(e).map(move |two| Term(one, Some(two)))));
    let both: Vec<Term> = singles.iter().copied().chain(products.filter(allowed)).collect();
    if !coupled.is_empty() && both.len() <= most {
        (both, true)
    } else {
        (singles, false)
    }
}

/// Least-squares coefficients of the terms, kcal/mol; each torsion's torques count over their own variance.
/// None where the normal equations have no solution.
pub(super) fn fit(images: &[Image], terms: &[Term]) -> Option<Array1<f64>> {
    let size = terms.len();
    let mut matrix = Array2::<f64>::zeros((size, size));
    let mut right = Array1::<f64>::zeros(size);
    for image in images {
        for torsion in 0..image.phi.ncols() {
            let torque = image.torque.column(torsion);
            let variance = torque.var(0.0);
            if variance <= 0.0 {
                continue;
            }
            let involved: Vec<usize> = (0..size)
                .filter(|&t| {
                    terms[t].0.torsion == torsion || terms[t].1.is_some_and(|w| w.torsion == torsion)
                })
                .collect();
            let mut rows = Array2::zeros((torque.len(), involved.len()));
            for (frame, phi) in image.phi.rows().into_iter().enumerate() {
                for (column, &t) in involved.iter().enumerate() {
                    rows[[frame, column]] = terms[t].slope(phi, torsion);
                }
            }
            let (a, b) = (rows.t().dot(&rows), rows.t().dot(&torque));
            for (p, &s) in involved.iter().enumerate() {
                right[s] -= b[p] / variance;
                for (q, &t) in involved.iter().enumerate() {
                    matrix[[s, t]] += a[[p, q]] / variance;
                }
            }
        }
    }
    solve(&matrix, &right, RIDGE)
}
