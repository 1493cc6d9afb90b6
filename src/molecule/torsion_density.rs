//! Densities of torsions on a periodic grid: smoothed from frames, and exact for a free energy whose couplings
//! form a tree.

use std::f64::consts::PI;

use ndarray::{Array1, Array2};

use super::torsion_series::Term;

/// Cells of the circle, 5 degrees each; multiples of 120 degrees lie between cells.
pub(super) const CELLS: usize = 72;
const CELL: f64 = 2.0 * PI / CELLS as f64;

/// Angle of the middle of a cell.
pub(super) fn middle(cell: usize) -> f64 {
    -PI + (cell as f64 + 0.5) * CELL
}

/// The two cells around an angle and the share of the second.
fn around(phi: f64) -> ([usize; 2], f64) {
    let place = (phi + PI) / CELL - 0.5;
    let below = place.floor();
    let cell = (below as i64).rem_euclid(CELLS as i64) as usize;
    ([cell, (cell + 1) % CELLS], place - below)
}

/// Width of the smoothing kernel, radians, for that many frames.
pub(super) fn kernel_width(frames: usize) -> f64 {
    (0.6 * (frames as f64).powf(-1.0 / 6.0)).clamp(0.1, 0.35)
}

/// A von Mises kernel between all cells, (CELLS, CELLS); rows sum to 1.
pub(super) fn kernel(width: f64) -> Array2<f64> {
    let raw = |k: usize| (((k as f64 * CELL).cos() - 1.0) / (width * width)).exp();
    let sum: f64 = (0..CELLS).map(raw).sum();
    Array2::from_shape_fn((CELLS, CELLS), |(a, b)| raw((a + CELLS - b) % CELLS) / sum)
}

/// Shares of angles over the cells; an angle is shared linearly between the two cells around it.
pub(super) fn shares<'a>(angles: impl Iterator<Item = &'a f64>) -> Array1<f64> {
    let mut out = Array1::<f64>::zeros(CELLS);
    for &phi in angles {
        let ([a, b], t) = around(phi);
        out[a] += 1.0 - t;
        out[b] += t;
    }
    let sum = out.sum();
    out / sum
}

/// The same for pairs of angles.
pub(super) fn pair_shares(angles: impl Iterator<Item = (f64, f64)>) -> Array2<f64> {
    let mut out = Array2::<f64>::zeros((CELLS, CELLS));
    for (phi, psi) in angles {
        let ((a, s), (b, t)) = (around(phi), around(psi));
        for (cell, share) in [(a[0], 1.0 - s), (a[1], s)] {
            for (other, part) in [(b[0], 1.0 - t), (b[1], t)] {
                out[[cell, other]] += share * part;
            }
        }
    }
    let sum = out.sum();
    out / sum
}

/// A table of the circle at an angle, between cells by linear interpolation.
pub(super) fn look_up(table: &Array1<f64>, phi: f64) -> f64 {
    let ([a, b], t) = around(phi);
    (1.0 - t) * table[a] + t * table[b]
}

/// The same on the torus.
pub(super) fn look_up_pair(table: &Array2<f64>, phi: f64, psi: f64) -> f64 {
    let ((a, s), (b, t)) = (around(phi), around(psi));
    (1.0 - s) * ((1.0 - t) * table[[a[0], b[0]]] + t * table[[a[0], b[1]]])
        + s * ((1.0 - t) * table[[a[1], b[0]]] + t * table[[a[1], b[1]]])
}

/// Shares of trans (beyond 120 degrees either way), gauche+ and gauche- of a table of shares.
pub(super) fn populations(shares: &Array1<f64>) -> [f64; 3] {
    let part = |from: usize, to: usize| (from..to).map(|cell| shares[cell]).sum::<f64>();
    let sixth = CELLS / 6;
    [part(0, sixth) + part(5 * sixth, CELLS), part(3 * sixth, 5 * sixth), part(sixth, 3 * sixth)]
}

/// exp(-F / kT) over the visited cells as marginals.
pub(super) struct Boltzmann {
    /// Shares of each torsion.
    pub single: Vec<Array1<f64>>,
    /// Shares of each coupled pair.
    pub pair: Vec<Array2<f64>>,
}

/// Exact marginals of exp(-F / kT) by sum and product along the tree of couplings. `visited` (CELLS) of each
/// torsion is 1 where there are frames, else 0; `edges` must not close a circle.
pub(super) fn marginals(
    terms: &[Term],
    coefficients: &Array1<f64>,
    thermal: f64,
    visited: &[Array1<f64>],
    edges: &[(usize, usize)],
) -> Boltzmann {
    let torsions = visited.len();
    let mut node: Vec<Array1<f64>> = vec![Array1::zeros(CELLS); torsions];
    let mut link: Vec<Array2<f64>> = vec![Array2::zeros((CELLS, CELLS)); edges.len()];
    for (term, &coefficient) in terms.iter().zip(coefficients) {
        let one = Array1::from_shape_fn(CELLS, |cell| term.0.value(middle(cell)));
        match &term.1 {
            None => node[term.0.torsion].scaled_add(coefficient, &one),
            Some(wave) => {
                let pair = (term.0.torsion, wave.torsion);
                if let Some(edge) = edges.iter().position(|&edge| edge == pair) {
                    let two = Array1::from_shape_fn(CELLS, |cell| wave.value(middle(cell)));
                    for (a, x) in one.iter().enumerate() {
                        link[edge].row_mut(a).scaled_add(coefficient * x, &two);
                    }
                }
            }
        }
    }
    // Relative to the lowest, so that nothing overflows.
    for (energies, mask) in node.iter_mut().zip(visited) {
        let lowest = energies.iter().copied().fold(f64::INFINITY, f64::min);
        *energies = energies.mapv(|f| ((lowest - f) / thermal).exp()) * mask;
    }
    for energies in &mut link {
        let lowest = energies.iter().copied().fold(f64::INFINITY, f64::min);
        energies.mapv_inplace(|f| ((lowest - f) / thermal).exp());
    }
    // Messages over every edge in both directions; on a tree they are final after `torsions` rounds.
    let mut messages = vec![[Array1::from_elem(CELLS, 1.0), Array1::from_elem(CELLS, 1.0)]; edges.len()];
    let inward = |messages: &[[Array1<f64>; 2]], torsion: usize, but: Option<usize>| {
        let mut product = node[torsion].clone();
        for (edge, &(d, e)) in edges.iter().enumerate() {
            if Some(edge) != but && (d == torsion || e == torsion) {
                product *= &messages[edge][usize::from(d == torsion)];
            }
        }
        product
    };
    for _ in 0..torsions {
        let before = messages.clone();
        for (edge, &(d, e)) in edges.iter().enumerate() {
            let scaled = |message: Array1<f64>| {
                let sum = message.sum();
                message / sum
            };
            messages[edge] = [
                scaled(link[edge].t().dot(&inward(&before, d, Some(edge)))),
                scaled(link[edge].dot(&inward(&before, e, Some(edge)))),
            ];
        }
    }
    let single = (0..torsions)
        .map(|torsion| {
            let product = inward(&messages, torsion, None);
            let sum = product.sum();
            product / sum
        })
        .collect();
    let pair = edges
        .iter()
        .enumerate()
        .map(|(edge, &(d, e))| {
            let (a, b) = (inward(&messages, d, Some(edge)), inward(&messages, e, Some(edge)));
            let joint = Array2::from_shape_fn((CELLS, CELLS), |(x, y)| a[x] * link[edge][[x, y]] * b[y]);
            let sum = joint.sum();
            joint / sum
        })
        .collect();
    Boltzmann { single, pair }
}

#[cfg(test)]
mod tests {
    use super::super::torsion_series::Wave;
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn marginals_of_a_chain_of_three() {
        let wave = |torsion, k, sine| Wave { torsion, k, sine };
        let terms = [
            Term(wave(0, 1, false), None),
            Term(wave(1, 3, false), None),
            Term(wave(0, 1, true), Some(wave(1, 1, true))),
            Term(wave(1, 2, false), Some(wave(2, 1, false))),
        ];
        let coefficients = Array1::from(vec![0.7, 1.1, -0.9, 0.8]);
        let visited = vec![Array1::from_elem(CELLS, 1.0); 3];
        let edges = [(0, 1), (1, 2)];
        let found = marginals(&terms, &coefficients, 0.9, &visited, &edges);
        // By brute force over the whole grid.
        let (mut single, mut pair) = (Array1::<f64>::zeros(CELLS), Array2::<f64>::zeros((CELLS, CELLS)));
        for a in 0..CELLS {
            for b in 0..CELLS {
                for c in 0..CELLS {
                    let phi = [middle(a), middle(b), middle(c)];
                    let energy: f64 = terms
                        .iter()
                        .zip(&coefficients)
                        .map(|(t, f)| f * t.value(ndarray::aview1(&phi)))
                        .sum();
                    let weight = (-energy / 0.9).exp();
                    single[c] += weight;
                    pair[[a, b]] += weight;
                }
            }
        }
        let sum = single.sum();
        for (x, y) in found.single[2].iter().zip(&single).chain(found.pair[0].iter().zip(&pair)) {
            assert_relative_eq!(*x, y / sum, max_relative = 1e-9);
        }
    }

    #[test]
    fn tables_of_the_circle() {
        // A quarter of a cell before the seam: shared by the last and the first cell.
        let found = shares([PI - 0.25 * CELL].iter());
        assert_relative_eq!(found[CELLS - 1], 0.75, max_relative = 1e-9);
        assert_relative_eq!(found[0], 0.25, max_relative = 1e-9);
        assert_relative_eq!(look_up(&found, -PI), 0.5, max_relative = 1e-9);
        let flat = Array1::from_elem(CELLS, 1.0 / CELLS as f64);
        for third in populations(&flat) {
            assert_relative_eq!(third, 1.0 / 3.0, max_relative = 1e-12);
        }
        let smooth = kernel(0.3);
        assert_relative_eq!(smooth.dot(&flat)[5], flat[5], max_relative = 1e-12);
        // <cos> of a von Mises distribution is I1(k) / I0(k): 0.95373 at k = 1 / 0.3^2 (Abramowitz and Stegun 9.7.1).
        let mean: f64 = (0..CELLS).map(|cell| smooth[[cell, 0]] * (cell as f64 * CELL).cos()).sum();
        assert_relative_eq!(mean, 0.953_9, max_relative = 1e-3);
        let torus = pair_shares([(0.3, -2.0)].into_iter());
        assert_relative_eq!(torus.sum(), 1.0, max_relative = 1e-12);
        assert!(look_up_pair(&torus, 0.3, -2.0) > 0.25);
    }
}
