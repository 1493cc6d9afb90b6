//! The sums over kernel centers, for eight frames at a time: where a fitted force field spends its time.
//!
//! Two matrix products (x . X and x . A for every center), the kernel, and two products back. Frames stand
//! side by side in vector registers and centers are laid out in the order they are read, a block of them
//! staying in the cache for all frames of a call. Every frame is summed for itself in one fixed order, so its
//! numbers do not depend on the frames around it.
//!
//! In double precision throughout: the coefficients of a smooth kernel are up to 1e12 kcal/mol, and cancel.

use crate::vector_exp::exp_f64;

/// Frames side by side: two AVX2 registers.
pub(super) const LANES: usize = 8;
/// Numbers of a panel, multiplied with the same frames: 6 x 2 registers hold the sums.
const PANEL: usize = 6;
/// Centers that go through the four products while they are in the cache; a multiple of the panel.
const CENTERS: usize = 120;

/// One number for each of the frames.
type Lanes = [f64; LANES];

/// Centers of one block. Missing ones at the end of the last block are zero and add nothing.
#[derive(Debug, Clone)]
struct Block {
    /// X and A for the products forth: panels of centers, (CENTERS / PANEL, D, PANEL).
    forth: [Vec<f64>; 2],
    /// X and A for the products back: panels of descriptors, (ceil(D / PANEL), CENTERS, PANEL).
    back: [Vec<f64>; 2],
    /// q^2 |X|^2 and q X . A, (CENTERS).
    squares: Vec<f64>,
    products: Vec<f64>,
}

/// All centers.
#[derive(Debug, Clone)]
pub(super) struct Centers {
    descriptors: usize,
    q: f64,
    amplitude: f64,
    blocks: Vec<Block>,
}

/// What comes out for eight frames, and the room for it.
#[derive(Debug)]
pub(super) struct Sums {
    /// sum e (1 + n) w and sum e w.
    pub energy: Lanes,
    pub sum: Lanes,
    /// sum e w X and sum e (1 + n) A, (D and more).
    pub pull: Vec<Lanes>,
    pub push: Vec<Lanes>,
    left: Vec<Lanes>,
    right: Vec<Lanes>,
    kernel: Vec<Lanes>,
}

impl Centers {
    /// Packs centers: X less its mean and A, (D) each.
    pub fn new(descriptors: usize, sigma: f64, centers: impl Iterator<Item = [Vec<f64>; 2]>) -> Self {
        let q = 5.0_f64.sqrt() / sigma;
        let mut blocks = Vec::new();
        for (number, parts) in centers.enumerate() {
            let k = number % CENTERS;
            if k == 0 {
                let forth = || vec![0.0; CENTERS * descriptors];
                let back = || vec![0.0; CENTERS * descriptors.next_multiple_of(PANEL)];
                blocks.push(Block {
                    forth: [forth(), forth()],
                    back: [back(), back()],
                    squares: vec![0.0; CENTERS],
                    products: vec![0.0; CENTERS],
                });
            }
            let Some(block) = blocks.last_mut() else { continue };
            for (which, values) in parts.iter().enumerate() {
                for (d, &value) in values.iter().enumerate() {
                    block.forth[which][((k / PANEL) * descriptors + d) * PANEL + k % PANEL] = value;
                    block.back[which][((d / PANEL) * CENTERS + k) * PANEL + d % PANEL] = value;
                }
            }
            let [x, a] = &parts;
            block.squares[k] = q * q * x.iter().map(|v| v * v).sum::<f64>();
            block.products[k] = q * x.iter().zip(a).map(|(v, w)| v * w).sum::<f64>();
        }
        Centers { descriptors, q, amplitude: 5.0 / (3.0 * sigma * sigma), blocks }
    }

    /// Room for the sums of eight frames.
    pub fn room(&self) -> Sums {
        let zero = [0.0; LANES];
        let padded = self.descriptors.next_multiple_of(PANEL);
        Sums {
            energy: zero,
            sum: zero,
            pull: vec![zero; padded],
            push: vec![zero; padded],
            left: vec![zero; CENTERS],
            right: vec![zero; CENTERS],
            kernel: vec![zero; CENTERS],
        }
    }

    /// Fills `out` with the sums of tiles of eight frames each, x less its mean, (tiles, D).
    pub fn add_up(&self, x: &[Lanes], out: &mut [Sums]) {
        pulp::Arch::new().dispatch(Task { centers: self, x, out });
    }

    #[inline(always)]
    fn add_up_inlined(&self, x: &[Lanes], out: &mut [Sums]) {
        for out in out.iter_mut() {
            (out.energy, out.sum) = ([0.0; LANES], [0.0; LANES]);
            out.pull.fill([0.0; LANES]);
            out.push.fill([0.0; LANES]);
        }
        for block in &self.blocks {
            for (x, out) in x.chunks_exact(self.descriptors).zip(out.iter_mut()) {
                self.tile(block, x, out);
            }
        }
    }

    #[inline(always)]
    fn tile(&self, block: &Block, x: &[Lanes], out: &mut Sums) {
        let mut own = [0.0; LANES];
        for x in x {
            for c in 0..LANES {
                own[c] = (self.q * x[c]).mul_add(self.q * x[c], own[c]);
            }
        }
        product(&block.forth[0], x, &mut out.left, false);
        product(&block.forth[1], x, &mut out.right, false);
        for (left, square) in out.left.iter_mut().zip(&block.squares) {
            for c in 0..LANES {
                // n = q |x - X|; a comparison, unlike f64::max, keeps a NaN.
                let n2 = (-2.0 * self.q * self.q).mul_add(left[c], own[c] + square);
                left[c] = (if n2 < 0.0 { 0.0 } else { n2 }).sqrt();
            }
        }
        // A loop of its own, over one flat array: else the exponential does not vectorize.
        for (e, n) in out.kernel.as_flattened_mut().iter_mut().zip(out.left.as_flattened()) {
            *e = self.amplitude * exp_f64(-n);
        }
        let (mut energy, mut sum) = (out.energy, out.sum);
        for (((left, right), e), product) in
            out.left.iter_mut().zip(&mut out.right).zip(&out.kernel).zip(&block.products)
        {
            for c in 0..LANES {
                let w = self.q.mul_add(right[c], -product);
                let en = e[c].mul_add(left[c], e[c]);
                energy[c] = en.mul_add(w, energy[c]);
                sum[c] = e[c].mul_add(w, sum[c]);
                left[c] = e[c] * w;
                right[c] = en;
            }
        }
        (out.energy, out.sum) = (energy, sum);
        product(&block.back[0], &out.left, &mut out.pull, true);
        product(&block.back[1], &out.right, &mut out.push, true);
    }
}

/// One call, in a form that is compiled with the machine's vector instructions.
struct Task<'a> {
    centers: &'a Centers,
    x: &'a [Lanes],
    out: &'a mut [Sums],
}

impl pulp::WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.centers.add_up_inlined(self.x, self.out);
    }
}

/// Panels (P, inner, PANEL) times frames (inner), written to or added to `out` (P x PANEL).
#[inline(always)]
fn product(panels: &[f64], frames: &[Lanes], out: &mut [Lanes], add: bool) {
    for (panel, out) in panels.chunks_exact(frames.len() * PANEL).zip(out.chunks_exact_mut(PANEL)) {
        let mut sum = [[0.0; LANES]; PANEL];
        if add {
            sum.copy_from_slice(out);
        }
        for (values, frame) in panel.chunks_exact(PANEL).zip(frames) {
            for (sum, value) in sum.iter_mut().zip(values) {
                for c in 0..LANES {
                    sum[c] = value.mul_add(frame[c], sum[c]);
                }
            }
        }
        out.copy_from_slice(&sum);
    }
}
