//! The sums over kernel centers, for eight frames at a time: where a fitted force field spends its time.
//!
//! Two matrix products (x . X and x . A for every center), the kernel, and two products back. Frames stand
//! side by side in vector registers and centers are laid out in the order they are read, a block of them
//! staying in the cache for all frames of a call. Every frame is summed for itself in one fixed order, so its
//! numbers do not depend on the frames around it.
//!
//! In double precision throughout: the coefficients of a smooth kernel are up to 1e12 kcal/mol, and cancel.

use crate::aligned::Aligned;
use crate::vector_exp::exp_f64s;

/// Frames side by side: two AVX2 registers, one AVX-512 register.
pub(super) const LANES: usize = 8;
/// Numbers of a panel, multiplied with the same frames: 6 x 2 registers hold the sums with AVX2, those of four tiles of
/// frames with AVX-512.
const PANEL: usize = 6;
/// The most centers that go through the four products while they are in the cache; a multiple of the panel.
const CENTERS: usize = 120;

/// One number for each of the frames: a cache line.
pub(super) type Lanes = Aligned<[f64; LANES]>;
pub(super) const ZERO: Lanes = Aligned([0.0; LANES]);

/// Centers of one block, K of them. Missing ones at the end of the last panel are zero and add nothing.
#[derive(Debug, Clone)]
struct Block {
    /// X and A for the products forth: panels of centers, (K / PANEL, D, PANEL).
    forth: [Vec<f64>; 2],
    /// X and A for the products back: panels of descriptors, (ceil(D / PANEL), K, PANEL).
    back: [Vec<f64>; 2],
    /// q^2 |X|^2 and q X . A, (K).
    squares: Vec<f64>,
    products: Vec<f64>,
}

impl Block {
    /// Packs centers, (D) each.
    fn new(descriptors: usize, q: f64, centers: &[[Vec<f64>; 2]]) -> Self {
        let count = centers.len().next_multiple_of(PANEL);
        let forth = || vec![0.0; count * descriptors];
        let back = || vec![0.0; count * descriptors.next_multiple_of(PANEL)];
        let mut block = Block {
            forth: [forth(), forth()],
            back: [back(), back()],
            squares: vec![0.0; count],
            products: vec![0.0; count],
        };
        for (k, parts) in centers.iter().enumerate() {
            for (which, values) in parts.iter().enumerate() {
                for (d, &value) in values.iter().enumerate() {
                    block.forth[which][((k / PANEL) * descriptors + d) * PANEL + k % PANEL] = value;
                    block.back[which][((d / PANEL) * count + k) * PANEL + d % PANEL] = value;
                }
            }
            let [x, a] = parts;
            block.squares[k] = q * q * x.iter().map(|v| v * v).sum::<f64>();
            block.products[k] = q * x.iter().zip(a).map(|(v, w)| v * w).sum::<f64>();
        }
        block
    }
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
}

impl Centers {
    /// Packs centers: X less its mean and A, (D) each.
    pub fn new(descriptors: usize, sigma: f64, mut centers: impl Iterator<Item = [Vec<f64>; 2]>) -> Self {
        let q = 5.0_f64.sqrt() / sigma;
        let mut blocks = Vec::new();
        loop {
            let some: Vec<[Vec<f64>; 2]> = centers.by_ref().take(CENTERS).collect();
            if some.is_empty() {
                break;
            }
            blocks.push(Block::new(descriptors, q, &some));
        }
        Centers { descriptors, q, amplitude: 5.0 / (3.0 * sigma * sigma), blocks }
    }

    /// Room for the sums of eight frames.
    pub fn room(&self) -> Sums {
        let padded = self.descriptors.next_multiple_of(PANEL);
        Sums {
            energy: ZERO,
            sum: ZERO,
            pull: vec![ZERO; padded],
            push: vec![ZERO; padded],
            left: vec![ZERO; CENTERS],
            right: vec![ZERO; CENTERS],
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
            (out.energy, out.sum) = (ZERO, ZERO);
            out.pull.fill(ZERO);
            out.push.fill(ZERO);
        }
        for block in &self.blocks {
            let mut x = x.chunks_exact(self.descriptors);
            let mut rest = out.chunks_exact_mut(T);
            for out in &mut rest {
                self.tiles::<S, V, T>(simd, block, &mut x, out);
            }
            let mut rest = rest.into_remainder().chunks_exact_mut(2);
            for out in &mut rest {
                self.tiles::<S, V, 2>(simd, block, &mut x, out);
            }
            for out in rest.into_remainder().chunks_exact_mut(1) {
                self.tiles::<S, V, 1>(simd, block, &mut x, out);
            }
        }
    }

    /// T tiles, as many as there are sums, and the next ones of x.
    #[inline(always)]
    fn tiles<S: pulp::Simd, const V: usize, const T: usize>(
        &self,
        simd: S,
        block: &Block,
        rest: &mut std::slice::ChunksExact<Lanes>,
        out: &mut [Sums],
    ) {
        let Ok(out) = <&mut [Sums; T]>::try_from(out) else { return };
        let x: [&[Lanes]; T] = std::array::from_fn(|_| rest.next().unwrap_or_default());
        let count = block.squares.len();
        for (which, panels) in block.forth.iter().enumerate() {
            let mut x = x.into_iter();
            let to = out.each_mut().map(|out| {
                let to = if which == 0 { &mut out.left } else { &mut out.right };
                (x.next().unwrap_or_default(), &mut to[..count])
            });
            product::<S, V, T>(simd, panels, to, false);
        }
        for (x, out) in x.into_iter().zip(out.iter_mut()) {
            self.kernel::<S, V>(simd, block, x, out);
        }
        let back = out.each_mut().map(|out| (&out.left[..count], out.pull.as_mut_slice()));
        product::<S, V, T>(simd, &block.back[0], back, true);
        let back = out.each_mut().map(|out| (&out.right[..count], out.push.as_mut_slice()));
        product::<S, V, T>(simd, &block.back[1], back, true);
    }

    /// From the products forth of a tile of frames to the factors of those back.
    ///
    /// Vectors are written out: the compiler would take eight centers at once, each number of them from a line of its own.
    #[inline(always)]
    fn kernel<S: pulp::Simd, const V: usize>(&self, simd: S, block: &Block, x: &[Lanes], out: &mut Sums) {
        let all = |value| simd.splat_f64s(value);
        let (q, amplitude, zero) = (all(self.q), all(self.amplitude), all(0.0));
        let steep = all(-2.0 * self.q * self.q);
        let mut own = [zero; V];
        for x in x.iter().map(vectors::<S, V>) {
            for v in 0..V {
                let scaled = simd.mul_f64s(q, x[v]);
                own[v] = simd.mul_add_f64s(scaled, scaled, own[v]);
            }
        }
        let (mut energy, mut sum) = (vectors::<S, V>(&out.energy), vectors::<S, V>(&out.sum));
        let constants = block.squares.iter().zip(&block.products);
        for ((left, right), (square, product)) in out.left.iter_mut().zip(&mut out.right).zip(constants) {
            let (mut lefts, mut rights) = (vectors::<S, V>(left), vectors::<S, V>(right));
            for v in 0..V {
                // n^2 = q^2 |x - X|^2; a comparison, unlike a maximum, keeps a NaN.
                let n2 = simd.mul_add_f64s(steep, lefts[v], simd.add_f64s(own[v], all(*square)));
                let n = simd.sqrt_f64s(simd.select_f64s(simd.less_than_f64s(n2, zero), zero, n2));
                let e = simd.mul_f64s(amplitude, exp_f64s(simd, simd.neg_f64s(n)));
                let w = simd.mul_add_f64s(q, rights[v], all(-product));
                let en = simd.mul_add_f64s(e, n, e);
                energy[v] = simd.mul_add_f64s(en, w, energy[v]);
                sum[v] = simd.mul_add_f64s(e, w, sum[v]);
                (lefts[v], rights[v]) = (simd.mul_f64s(e, w), en);
            }
            store::<S, V>(left, lefts);
            store::<S, V>(right, rights);
        }
        store::<S, V>(&mut out.energy, energy);
        store::<S, V>(&mut out.sum, sum);
    }
}

/// The vectors of eight frames.
#[inline(always)]
fn vectors<S: pulp::Simd, const V: usize>(lanes: &Lanes) -> [S::f64s; V] {
    let all = S::as_simd_f64s(&**lanes).0;
    std::array::from_fn(|v| all[v])
}

#[inline(always)]
fn store<S: pulp::Simd, const V: usize>(lanes: &mut Lanes, vectors: [S::f64s; V]) {
    S::as_mut_simd_f64s(&mut **lanes).0.copy_from_slice(&vectors);
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
            1 => centers.add_up_with::<S, 1, 4>(simd, x, out),
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
    let inner = tiles.iter().map(|(frames, _)| frames.len()).min().unwrap_or(0);
    for (number, panel) in panels.chunks_exact(inner * PANEL).enumerate() {
        let first = number * PANEL;
        let mut sum = [[[simd.splat_f64s(0.0); V]; PANEL]; T];
        if add {
            sum = std::array::from_fn(|t| std::array::from_fn(|p| vectors::<S, V>(&tiles[t].1[first + p])));
        }
        for (k, values) in panel.chunks_exact(PANEL).enumerate() {
            let frames: [[S::f64s; V]; T] = std::array::from_fn(|t| vectors::<S, V>(&tiles[t].0[k]));
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
                store::<S, V>(&mut tiles[t].1[first + p], *sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::noise::{Purpose, Stream};

    /// Centers that fill no block and no panel, tiles taken four, two and one at a time.
    #[test]
    fn the_instruction_set_changes_no_byte() {
        const DESCRIPTORS: usize = 15;
        let mut stream = Stream::new(6, Purpose::Data, 0);
        let mut draw =
            |scale: f64| -> Vec<f64> { (0..DESCRIPTORS).map(|_| scale * stream.normal()).collect() };
        let centers: Vec<[Vec<f64>; 2]> = (0..151).map(|_| [draw(0.1), draw(1.0)]).collect();
        let centers = Centers::new(DESCRIPTORS, 2.0, centers.into_iter());
        let x: Vec<Lanes> =
            (0..7 * DESCRIPTORS).map(|_| Aligned(std::array::from_fn(|_| 0.1 * draw(1.0)[0]))).collect();
        let numbers = |run: &dyn Fn(Task)| -> Vec<u64> {
            let mut out: Vec<Sums> = (0..7).map(|_| centers.room()).collect();
            run(Task { centers: &centers, x: &x, out: &mut out });
            let all = out
                .iter()
                .flat_map(|sums| [&sums.energy, &sums.sum].into_iter().chain(&sums.pull).chain(&sums.push));
            all.flat_map(|lanes| lanes.map(f64::to_bits)).collect()
        };
        let here = numbers(&|task| pulp::Arch::new().dispatch(task));
        assert!(here == numbers(&|task| pulp::WithSimd::with_simd(task, pulp::Scalar::new())));
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = pulp::x86::V3::try_new() {
            assert!(here == numbers(&|task| pulp::Simd::vectorize(avx2, task)));
        }
    }
}
