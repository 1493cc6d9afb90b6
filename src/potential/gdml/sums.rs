//! The sums over kernel centers, for eight frames at a time: where a fitted force field spends its time.
//!
//! Two matrix products (x . X and x . A for every center), the kernel, and two products back. Frames stand
//! side by side in vector registers and centers are laid out in the order they are read, a block of them
//! staying in the cache for all frames of a call. Every frame is summed for itself in one fixed order, so its
//! numbers do not depend on the frames around it.
//!
//! In double precision throughout: the coefficients of a smooth kernel are up to 1e12 kcal/mol, and cancel.

use crate::vector_exp::exp_f64;

/// Frames side by side: two AVX2 registers, one AVX-512 register.
pub(super) const LANES: usize = 8;
/// Numbers of a panel, multiplied with the same frames: 6 x 2 registers hold the sums with AVX2, those of two tiles of
/// frames with AVX-512.
const PANEL: usize = 6;
/// Centers that go through the four products while they are in the cache; a multiple of the panel.
const CENTERS: usize = 120;

/// One number for each of the frames.
pub(super) type Lanes = [f64; LANES];

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

    /// With V vectors for eight frames, T tiles at a time.
    #[inline(always)]
    fn add_up_with<S: pulp::Simd, const V: usize, const T: usize>(
        &self,
        simd: S,
        x: &[Lanes],
        out: &mut [Sums],
    ) {
        for out in out.iter_mut() {
            (out.energy, out.sum) = ([0.0; LANES], [0.0; LANES]);
            out.pull.fill([0.0; LANES]);
            out.push.fill([0.0; LANES]);
        }
        let tile = |k: usize| &x[k * self.descriptors..][..self.descriptors];
        for block in &self.blocks {
            let mut first = 0;
            for out in out.chunks_mut(T) {
                match <&mut [Sums; T]>::try_from(&mut *out) {
                    Ok(out) => {
                        self.tiles::<S, V, T>(simd, block, std::array::from_fn(|t| tile(first + t)), out);
                    }
                    // Fewer are left.
                    Err(_) => out.iter_mut().enumerate().for_each(|(t, out)| {
                        self.tiles::<S, V, 1>(simd, block, [tile(first + t)], std::array::from_mut(out));
                    }),
                }
                first += T;
            }
        }
    }

    #[inline(always)]
    fn tiles<S: pulp::Simd, const V: usize, const T: usize>(
        &self,
        simd: S,
        block: &Block,
        x: [&[Lanes]; T],
        out: &mut [Sums; T],
    ) {
        for (which, panels) in block.forth.iter().enumerate() {
            let mut x = x.into_iter();
            let to = out.each_mut().map(|out| {
                let to = if which == 0 { &mut out.left } else { &mut out.right };
                (x.next().unwrap_or_default(), to.as_mut_slice())
            });
            product::<S, V, T>(simd, panels, to, false);
        }
        for (x, out) in x.into_iter().zip(out.iter_mut()) {
            self.kernel(block, x, out);
        }
        let back = out.each_mut().map(|out| (out.left.as_slice(), out.pull.as_mut_slice()));
        product::<S, V, T>(simd, &block.back[0], back, true);
        let back = out.each_mut().map(|out| (out.right.as_slice(), out.push.as_mut_slice()));
        product::<S, V, T>(simd, &block.back[1], back, true);
    }

    /// From the products forth of a tile of frames to the factors of those back.
    #[inline(always)]
    fn kernel(&self, block: &Block, x: &[Lanes], out: &mut Sums) {
        let mut own = [0.0; LANES];
        for x in x {
            for c in 0..LANES {
                own[c] = (self.q * x[c]).mul_add(self.q * x[c], own[c]);
            }
        }
        for (left, square) in out.left.iter_mut().zip(&block.squares) {
            for c in 0..LANES {
                // n^2 = q^2 |x - X|^2; a comparison, unlike f64::max, keeps a NaN.
                let n2 = (-2.0 * self.q * self.q).mul_add(left[c], own[c] + square);
                left[c] = if n2 < 0.0 { 0.0 } else { n2 };
            }
        }
        // A loop of its own, over flat arrays: else the exponential does not vectorize. The root takes the divider, the
        // exponential all else.
        for (e, n) in out.kernel.as_flattened_mut().iter_mut().zip(out.left.as_flattened_mut()) {
            *n = n.sqrt();
            *e = self.amplitude * exp_f64(-*n);
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
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        let Task { centers, x, out } = self;
        match LANES / S::F64_LANES {
            1 => centers.add_up_with::<S, 1, 2>(simd, x, out),
            2 => centers.add_up_with::<S, 2, 1>(simd, x, out),
            4 => centers.add_up_with::<S, 4, 1>(simd, x, out),
            _ => centers.add_up_with::<pulp::Scalar, 8, 1>(pulp::Scalar::new(), x, out),
        }
    }
}

/// Panels (P, inner, PANEL) times T tiles of frames (inner), each written to or added to (P x PANEL).
#[inline(always)]
fn product<S: pulp::Simd, const V: usize, const T: usize>(
    simd: S,
    panels: &[f64],
    tiles: [(&[Lanes], &mut [Lanes]); T],
    add: bool,
) {
    let vectors = |lanes: &Lanes| -> [S::f64s; V] {
        let all = S::as_simd_f64s(lanes).0;
        std::array::from_fn(|v| all[v])
    };
    let inner = tiles.iter().map(|(frames, _)| frames.len()).min().unwrap_or(0);
    for (number, panel) in panels.chunks_exact(inner * PANEL).enumerate() {
        let first = number * PANEL;
        let mut sum = [[[simd.splat_f64s(0.0); V]; PANEL]; T];
        if add {
            sum = std::array::from_fn(|t| std::array::from_fn(|p| vectors(&tiles[t].1[first + p])));
        }
        for (k, values) in panel.chunks_exact(PANEL).enumerate() {
            let frames: [[S::f64s; V]; T] = std::array::from_fn(|t| vectors(&tiles[t].0[k]));
            for p in 0..PANEL {
                let value = simd.splat_f64s(values[p]);
                for t in 0..T {
                    for v in 0..V {
                        sum[t][p][v] = simd.mul_add_f64s(value, frames[t][v], sum[t][p][v]);
                    }
                }
            }
        }
        for (t, sum) in sum.iter().enumerate() {
            for (p, sum) in sum.iter().enumerate() {
                S::as_mut_simd_f64s(&mut tiles[t].1[first + p]).0.copy_from_slice(sum);
            }
        }
    }
}
