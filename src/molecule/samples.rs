//! Small molecules for tests, as Z-matrices, and frames of them with Gaussian noise.

use ndarray::Array3;
use rand::SeedableRng;
use rand_distr::{Distribution, Normal};

use super::vector::{cross, norm, sub, Vector};

/// Element; atoms it is bonded to, at an angle with, at a dihedral with; distance, angle, dihedral (degrees).
pub(crate) type Row = (u8, [usize; 3], [f64; 3]);

pub(crate) const CARBON_MONOXIDE: [Row; 2] =
    [(6, [0, 0, 0], [0.0, 0.0, 0.0]), (8, [0, 0, 0], [1.13, 0.0, 0.0])];
pub(crate) const WATER: [Row; 3] =
    [(8, [0, 0, 0], [0.0, 0.0, 0.0]), (1, [0, 0, 0], [0.96, 0.0, 0.0]), (1, [0, 1, 0], [0.96, 104.5, 0.0])];
pub(crate) const CO2: [Row; 3] =
    [(6, [0, 0, 0], [0.0, 0.0, 0.0]), (8, [0, 0, 0], [1.16, 0.0, 0.0]), (8, [0, 1, 0], [1.16, 179.5, 0.0])];
pub(crate) const AMMONIA: [Row; 4] = [
    (7, [0, 0, 0], [0.0, 0.0, 0.0]),
    (1, [0, 0, 0], [1.01, 0.0, 0.0]),
    (1, [0, 1, 0], [1.01, 107.0, 0.0]),
    (1, [0, 1, 2], [1.01, 107.0, 114.0]),
];
pub(crate) const PEROXIDE: [Row; 4] = [
    (8, [0, 0, 0], [0.0, 0.0, 0.0]),
    (8, [0, 0, 0], [1.46, 0.0, 0.0]),
    (1, [0, 1, 0], [0.97, 100.0, 0.0]),
    (1, [1, 0, 2], [0.97, 100.0, 112.0]),
];
pub(crate) const METHANE: [Row; 5] = centered([6, 1, 1, 1, 1], [1.09; 4]);
/// CHFClBr: four different neighbors of one carbon.
pub(crate) const CHIRAL: [Row; 5] = centered([6, 1, 9, 17, 35], [1.09, 1.36, 1.77, 1.94]);
/// CHFCl-CH3: chiral, with a methyl group.
pub(crate) const CHIRAL_METHYL: [Row; 8] = [
    (6, [0, 0, 0], [0.0, 0.0, 0.0]),
    (6, [0, 0, 0], [1.52, 0.0, 0.0]),
    (9, [0, 1, 0], [1.38, 109.5, 0.0]),
    (17, [0, 1, 2], [1.78, 109.5, 120.0]),
    (1, [0, 1, 2], [1.09, 109.5, -120.0]),
    (1, [1, 0, 2], [1.09, 109.5, 60.0]),
    (1, [1, 0, 2], [1.09, 109.5, 180.0]),
    (1, [1, 0, 2], [1.09, 109.5, -60.0]),
];
pub(crate) const ETHANE: [Row; 8] = [
    (6, [0, 0, 0], [0.0, 0.0, 0.0]),
    (6, [0, 0, 0], [1.53, 0.0, 0.0]),
    (1, [0, 1, 0], [1.09, 110.0, 0.0]),
    (1, [0, 1, 2], [1.09, 110.0, 120.0]),
    (1, [0, 1, 2], [1.09, 110.0, -120.0]),
    (1, [1, 0, 2], [1.09, 110.0, 60.0]),
    (1, [1, 0, 2], [1.09, 110.0, 180.0]),
    (1, [1, 0, 2], [1.09, 110.0, -60.0]),
];
pub(crate) const ETHYLENE: [Row; 6] = [
    (6, [0, 0, 0], [0.0, 0.0, 0.0]),
    (6, [0, 0, 0], [1.33, 0.0, 0.0]),
    (1, [0, 1, 0], [1.09, 121.0, 0.0]),
    (1, [0, 1, 2], [1.09, 121.0, 180.0]),
    (1, [1, 0, 2], [1.09, 121.0, 0.0]),
    (1, [1, 0, 2], [1.09, 121.0, 180.0]),
];
pub(crate) const ALLENE: [Row; 7] = [
    (6, [0, 0, 0], [0.0, 0.0, 0.0]),
    (6, [0, 0, 0], [1.31, 0.0, 0.0]),
    (6, [1, 0, 0], [1.31, 179.9, 0.0]),
    (1, [0, 1, 2], [1.09, 121.0, 0.0]),
    (1, [0, 1, 3], [1.09, 121.0, 180.0]),
    (1, [2, 1, 3], [1.09, 121.0, 90.0]),
    (1, [2, 1, 5], [1.09, 121.0, 180.0]),
];
pub(crate) const PROPYNE: [Row; 7] = [
    (6, [0, 0, 0], [0.0, 0.0, 0.0]),
    (6, [0, 0, 0], [1.46, 0.0, 0.0]),
    (6, [1, 0, 0], [1.21, 179.5, 0.0]),
    (1, [2, 1, 0], [1.06, 179.5, 180.0]),
    (1, [0, 1, 2], [1.09, 110.0, 0.0]),
    (1, [0, 1, 2], [1.09, 110.0, 120.0]),
    (1, [0, 1, 2], [1.09, 110.0, -120.0]),
];
/// CH3 is 0, 5, 6, 7; CH2 is 1, 3, 4; OH is 2, 8.
pub(crate) const ETHANOL: [Row; 9] = [
    (6, [0, 0, 0], [0.0, 0.0, 0.0]),
    (6, [0, 0, 0], [1.51, 0.0, 0.0]),
    (8, [1, 0, 0], [1.43, 108.0, 0.0]),
    (1, [1, 0, 2], [1.10, 110.0, 120.0]),
    (1, [1, 0, 2], [1.10, 110.0, -120.0]),
    (1, [0, 1, 2], [1.09, 110.0, 180.0]),
    (1, [0, 1, 2], [1.09, 110.0, 60.0]),
    (1, [0, 1, 2], [1.09, 110.0, -60.0]),
    (1, [2, 1, 0], [0.97, 108.0, 180.0]),
];
pub(crate) const BENZENE: [Row; 12] = [
    (6, [0, 0, 0], [0.0, 0.0, 0.0]),
    (6, [0, 0, 0], [1.39, 0.0, 0.0]),
    (6, [1, 0, 0], [1.39, 120.0, 0.0]),
    (6, [2, 1, 0], [1.39, 120.0, 0.0]),
    (6, [3, 2, 1], [1.39, 120.0, 0.0]),
    (6, [4, 3, 2], [1.39, 120.0, 0.0]),
    (1, [0, 1, 2], [1.08, 120.0, 180.0]),
    (1, [1, 2, 3], [1.08, 120.0, 180.0]),
    (1, [2, 3, 4], [1.08, 120.0, 180.0]),
    (1, [3, 4, 5], [1.08, 120.0, 180.0]),
    (1, [4, 5, 0], [1.08, 120.0, 180.0]),
    (1, [5, 0, 1], [1.08, 120.0, 180.0]),
];

/// Benzene with its atom 6 turned into a methyl group.
pub(crate) fn toluene() -> Vec<Row> {
    let mut rows = BENZENE.to_vec();
    rows[6] = (6, [0, 1, 2], [1.51, 120.0, 180.0]);
    rows.extend([90.0, 210.0, 330.0].map(|turn| (1, [6, 0, 1], [1.09, 110.0, turn])));
    rows
}

/// Four neighbors around the first atom, in a tetrahedron.
const fn centered(z: [u8; 5], r: [f64; 4]) -> [Row; 5] {
    [
        (z[0], [0, 0, 0], [0.0, 0.0, 0.0]),
        (z[1], [0, 0, 0], [r[0], 0.0, 0.0]),
        (z[2], [0, 1, 0], [r[1], 109.47, 0.0]),
        (z[3], [0, 1, 2], [r[2], 109.47, 120.0]),
        (z[4], [0, 1, 2], [r[3], 109.47, -120.0]),
    ]
}

fn unit(a: Vector) -> Vector {
    let length = norm(a);
    a.map(|c| c / length)
}

/// Positions of the rows.
pub(crate) fn build(rows: &[Row]) -> Vec<Vector> {
    let mut placed: Vec<Vector> = Vec::new();
    for (atom, &(_, [a, b, c], [r, angle, turn])) in rows.iter().enumerate() {
        let (angle, turn) = (angle.to_radians(), turn.to_radians());
        placed.push(match atom {
            0 => [0.0; 3],
            1 => [r, 0.0, 0.0],
            _ => {
                let (a, b) = (placed[a], placed[b]);
                let third = if atom == 2 { [0.3, 1.0, 0.1] } else { placed[c] };
                let along = unit(sub(b, a));
                let normal = unit(cross(sub(third, b), along));
                let side = cross(along, normal);
                let (cosine, sine) = (angle.cos(), angle.sin());
                std::array::from_fn(|k| {
                    a[k] + r * (cosine * along[k] + sine * (turn.cos() * side[k] + turn.sin() * normal[k]))
                })
            }
        });
    }
    placed
}

/// Species and `frames` frames of a molecule, with independent Gaussian noise of that width in angstrom.
pub(crate) fn noisy(rows: &[Row], frames: usize, width: f64, seed: u64) -> (Vec<u8>, Array3<f64>) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let noise = Normal::new(0.0, width).unwrap();
    let mean = build(rows);
    let positions =
        Array3::from_shape_fn((frames, rows.len(), 3), |(_, atom, k)| mean[atom][k] + noise.sample(&mut rng));
    (rows.iter().map(|row| row.0).collect(), positions)
}
