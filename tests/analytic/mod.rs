//! Potentials of small molecules in closed form, with their forces, and frames of them from Langevin
//! dynamics: what a fit shall find again. Nothing here is from the library.

pub type Vector = [f64; 3];

/// kcal/mol/kelvin.
pub const BOLTZMANN: f64 = 0.001_987_204_259;
/// kcal/mol/amu in (angstrom/fs)^2.
const ACCELERATION: f64 = 4.184e-4;

/// Morse bonds, harmonic cosines of angles, and torsions v (1 - cos 2 phi).
pub struct Molecule {
    pub species: Vec<u8>,
    pub masses: Vec<f64>,
    /// A start, angstrom.
    pub shape: Vec<Vector>,
    /// Atoms, depth in kcal/mol, 1/angstrom, length in angstrom.
    bonds: Vec<([usize; 2], f64, f64, f64)>,
    /// Atoms, kcal/mol, cosine.
    angles: Vec<([usize; 3], f64, f64)>,
    /// Atoms, kcal/mol.
    torsions: Vec<([usize; 4], f64)>,
}

/// A frame, its energy and its forces.
pub struct Frame {
    pub x: Vec<Vector>,
    pub energy: f64,
    pub forces: Vec<Vector>,
}

/// A bent molecule of three atoms.
pub fn water() -> Molecule {
    Molecule {
        species: vec![8, 1, 1],
        masses: vec![15.999, 1.008, 1.008],
        shape: vec![[0.0; 3], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]],
        bonds: vec![([0, 1], 110.0, 2.2, 0.96), ([0, 2], 110.0, 2.2, 0.96)],
        angles: vec![([1, 0, 2], 45.0, -0.25)],
        torsions: vec![],
    }
}

/// CH2OH: five atoms, a torsion over 1 kcal/mol, two hydrogens that may change places. C O H H H; the first
/// H is that of the hydroxyl.
pub fn hydroxymethyl() -> Molecule {
    let (hc, depth) = (1.09, 95.0);
    Molecule {
        species: vec![6, 8, 1, 1, 1],
        masses: vec![12.011, 15.999, 1.008, 1.008, 1.008],
        shape: vec![
            [0.0, 0.0, 0.1],
            [1.37, 0.0, 0.0],
            [1.68, 0.91, 0.0],
            [-0.52, 0.95, 0.0],
            [-0.52, -0.95, 0.0],
        ],
        bonds: vec![
            ([0, 1], 90.0, 2.0, 1.37),
            ([1, 2], 110.0, 2.2, 0.96),
            ([0, 3], depth, 1.9, hc),
            ([0, 4], depth, 1.9, hc),
        ],
        angles: vec![
            ([0, 1, 2], 60.0, -0.32),
            ([1, 0, 3], 50.0, -0.47),
            ([1, 0, 4], 50.0, -0.47),
            ([3, 0, 4], 45.0, -0.47),
        ],
        torsions: vec![([2, 1, 0, 3], 0.3), ([2, 1, 0, 4], 0.3)],
    }
}

fn sub(a: Vector, b: Vector) -> Vector {
    std::array::from_fn(|c| a[c] - b[c])
}

fn dot(a: Vector, b: Vector) -> f64 {
    (0..3).map(|c| a[c] * b[c]).sum()
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn push(forces: &mut [Vector], atom: usize, factor: f64, direction: Vector) {
    (0..3).for_each(|c| forces[atom][c] += factor * direction[c]);
}

impl Molecule {
    /// The energy and its negative gradient.
    pub fn evaluate(&self, x: &[Vector]) -> (f64, Vec<Vector>) {
        let (mut energy, mut forces) = (0.0, vec![[0.0; 3]; x.len()]);
        for &([i, j], depth, a, length) in &self.bonds {
            let d = sub(x[i], x[j]);
            let r = dot(d, d).sqrt();
            let e = (-a * (r - length)).exp();
            energy += depth * (1.0 - e).powi(2);
            let slope = 2.0 * depth * a * (1.0 - e) * e;
            push(&mut forces, i, -slope / r, d);
            push(&mut forces, j, slope / r, d);
        }
        for &([i, j, k], stiffness, cosine) in &self.angles {
            let (a, b) = (sub(x[i], x[j]), sub(x[k], x[j]));
            let (ra, rb) = (dot(a, a).sqrt(), dot(b, b).sqrt());
            let c = dot(a, b) / ra / rb;
            energy += stiffness * (c - cosine).powi(2);
            let slope = -2.0 * stiffness * (c - cosine);
            for (atom, own, other, r, q) in [(i, a, b, ra, rb), (k, b, a, rb, ra)] {
                let gradient = std::array::from_fn(|t| (other[t] / q - c * own[t] / r) / r);
                push(&mut forces, atom, slope, gradient);
                push(&mut forces, j, -slope, gradient);
            }
        }
        for &([i, j, k, l], height) in &self.torsions {
            let (f, g, h) = (sub(x[i], x[j]), sub(x[j], x[k]), sub(x[l], x[k]));
            let (a, b) = (cross(f, g), cross(h, g));
            let (a2, b2, r) = (dot(a, a), dot(b, b), dot(g, g).sqrt());
            let phi = (dot(cross(b, a), g) / r).atan2(dot(a, b));
            energy += height * (1.0 - (2.0 * phi).cos());
            let slope = -2.0 * height * (2.0 * phi).sin();
            let (fg, hg) = (dot(f, g) / (a2 * r), dot(h, g) / (b2 * r));
            push(&mut forces, i, slope * -r / a2, a);
            push(&mut forces, j, slope * (r / a2 + fg), a);
            push(&mut forces, j, slope * -hg, b);
            push(&mut forces, k, slope * -fg, a);
            push(&mut forces, k, slope * (hg - r / b2), b);
            push(&mut forces, l, slope * r / b2, b);
        }
        (energy, forces)
    }

    /// Frames of Langevin dynamics (BAOAB, 0.5 fs), 10 fs apart.
    pub fn frames(&self, kelvin: f64, count: usize, seed: u64) -> Vec<Frame> {
        let (step, damping) = (0.5, 0.02_f64);
        let mut noise = Noise(seed);
        let mut x = self.shape.clone();
        let mut v = vec![[0.0; 3]; x.len()];
        let (_, mut forces) = self.evaluate(&x);
        let mut frames = Vec::with_capacity(count);
        for t in 0..20 * (count + 100) {
            let kick = |v: &mut Vec<Vector>, forces: &[Vector]| {
                for ((v, f), m) in v.iter_mut().zip(forces).zip(&self.masses) {
                    (0..3).for_each(|c| v[c] += 0.5 * step * ACCELERATION * f[c] / m);
                }
            };
            kick(&mut v, &forces);
            let keep = (-damping * step).exp();
            for ((x, v), m) in x.iter_mut().zip(&mut v).zip(&self.masses) {
                let width = (ACCELERATION * BOLTZMANN * kelvin / m * (1.0 - keep * keep)).sqrt();
                for c in 0..3 {
                    x[c] += 0.5 * step * v[c];
                    v[c] = keep * v[c] + width * noise.normal();
                    x[c] += 0.5 * step * v[c];
                }
            }
            forces = self.evaluate(&x).1;
            kick(&mut v, &forces);
            if t >= 2000 && t % 20 == 0 {
                let (energy, forces) = self.evaluate(&x);
                frames.push(Frame { x: x.clone(), energy, forces });
            }
        }
        frames
    }
}

/// Normal numbers: splitmix64 and Box-Muller.
pub struct Noise(pub u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        let (u, w) = (self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * w).cos()
    }
}
