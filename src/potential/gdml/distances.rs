//! From positions to the force field's descriptors and from their slopes to forces, for eight frames side by side.

use ndarray::{ArrayView3, ArrayViewMut3};

use super::sums::{Lanes, Sums, LANES, ZERO};

/// What eight frames' distances are made with, and what becomes of them.
#[derive(Debug)]
pub(super) struct Tile {
    /// Positions, (3n).
    r: Vec<Lanes>,
    /// Inverse distances, (D).
    inverses: Vec<Lanes>,
    /// Forces, (3n).
    forces: Vec<Lanes>,
}

/// What is the same for all frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    /// Pairs (i, j), i > j, in the order of the descriptors.
    pub pairs: &'a [(usize, usize)],
    /// Mean descriptor and weights, (D).
    pub center: &'a [f64],
    pub weights: &'a [f64],
    /// q, and the scale of forces.
    pub q: f64,
    pub scale: f64,
}

impl Tile {
    /// Room for frames of so many atoms.
    pub fn new(atoms: usize) -> Self {
        let pairs = atoms * (atoms - 1) / 2;
        Tile { r: vec![ZERO; 3 * atoms], inverses: vec![ZERO; pairs], forces: vec![ZERO; 3 * atoms] }
    }

    /// Takes up to eight frames (B, n, 3) and fills in the descriptors, weighted and less their mean, (D). Lanes without a
    /// frame hold the first again.
    pub fn take(&mut self, layout: Layout, positions: ArrayView3<f64>, x: &mut [Lanes]) {
        for lane in 0..LANES {
            let frame =
                positions.index_axis(ndarray::Axis(0), if lane < positions.dim().0 { lane } else { 0 });
            self.r.iter_mut().zip(frame).for_each(|(r, value)| r[lane] = *value);
        }
        pulp::Arch::new().dispatch(Inverses { layout, tile: self, x });
    }

    /// The forces of the frames taken, (B, n, 3), from the sums over their descriptors.
    pub fn give(&mut self, layout: Layout, x: &[Lanes], sums: &Sums, mut forces: ArrayViewMut3<f64>) {
        pulp::Arch::new().dispatch(Forces { layout, tile: self, x, sums });
        for (lane, mut frame) in forces.outer_iter_mut().enumerate() {
            frame.iter_mut().zip(&self.forces).for_each(|(to, force)| *to = force[lane]);
        }
    }
}

struct Inverses<'a> {
    layout: Layout<'a>,
    tile: &'a mut Tile,
    x: &'a mut [Lanes],
}

impl pulp::WithSimd for Inverses<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Inverses { layout, tile, x } = self;
        let r = tile.r.as_slice();
        let constants = layout.center.iter().zip(layout.weights);
        let pairs = layout.pairs.iter().zip(constants).zip(tile.inverses.iter_mut().zip(x));
        for ((&(i, j), (center, weight)), (inverse, x)) in pairs {
            let mut square = [0.0_f64; LANES];
            for (a, b) in r[3 * i..][..3].iter().zip(&r[3 * j..][..3]) {
                for lane in 0..LANES {
                    let d = a[lane] - b[lane];
                    square[lane] += d * d;
                }
            }
            for lane in 0..LANES {
                inverse[lane] = 1.0 / square[lane].sqrt();
                x[lane] = weight * (inverse[lane] - center);
            }
        }
    }
}

struct Forces<'a> {
    layout: Layout<'a>,
    tile: &'a mut Tile,
    x: &'a [Lanes],
    sums: &'a Sums,
}

impl pulp::WithSimd for Forces<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Forces { layout: Layout { pairs, weights, q, scale, .. }, tile, x, sums } = self;
        let (r, forces) = (tile.r.as_slice(), tile.forces.as_mut_slice());
        forces.fill(ZERO);
        let slopes = x.iter().zip(weights).zip(sums.pull.iter().zip(&sums.push)).zip(&tile.inverses);
        for (&(i, j), (((x, weight), (pull, push)), inverse)) in pairs.iter().zip(slopes) {
            let mut factor = [0.0; LANES];
            for lane in 0..LANES {
                let slope = weight * scale * (q * (sums.sum[lane] * x[lane] - pull[lane]) - push[lane]);
                factor[lane] = slope * (inverse[lane] * (inverse[lane] * inverse[lane]));
            }
            for c in 0..3 {
                let (a, b) = (3 * i + c, 3 * j + c);
                for lane in 0..LANES {
                    let f = factor[lane] * (r[a][lane] - r[b][lane]);
                    forces[a][lane] -= f;
                    forces[b][lane] += f;
                }
            }
        }
    }
}
