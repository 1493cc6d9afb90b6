//! exp of additions, multiplications and bit shifts alone: it vectorizes, and is rounded alike on every machine.

/// exp(x) in single precision to 2 units in the last place.
/// Arguments are confined to +-87, where single precision neither overflows nor goes subnormal.
#[inline(always)]
pub(crate) fn exp_f32(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits: a cast would look for overflow in every number.
    const ROUND: f32 = 12_582_912.0;
    // A NaN survives: comparisons with it are false, unlike in f32::max.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 87.0 { 87.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts (Cody and Waite), so that the reduced argument keeps its digits.
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = r.mul_add(p, c);
    }
    // 2^n; the product keeps a NaN.
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// 1.5 * 2^52: added, it leaves the nearest integer in the low bits. AVX2 has no conversion to 64-bit integers.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts (Cody and Waite); the first has 32 trailing zero bits.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Taylor to r^13 / 13!: |r| <= ln 2 / 2, so the rest is below 1e-17.
const TAYLOR: [f64; 14] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// exp(x) in double precision to 2 units in the last place; arguments are confined to +-700.
#[inline(always)]
pub(crate) fn exp_f64(x: f64) -> f64 {
    let x = if x < -700.0 { -700.0 } else { x };
    let x = if x > 700.0 { 700.0 } else { x };
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_HIGH, x);
    let r = n.mul_add(-LN2_LOW, r);
    let mut p = TAYLOR[0];
    for c in &TAYLOR[1..] {
        p = r.mul_add(p, *c);
    }
    f64::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// The same numbers, to the last bit, for the lanes of a vector. As there, the NaN that arithmetic makes stays one; one with a
/// payload of a caller's need not.
#[inline(always)]
pub(crate) fn exp_f64s<S: pulp::Simd>(simd: S, x: S::f64s) -> S::f64s {
    /// 1.5 * 2^20: a number with this added has its integer in the low bits of its upper half, as there are only shifts of
    /// 32-bit lanes.
    const UPPER: f64 = 1_572_864.0;
    let all = |value| simd.splat_f64s(value);
    let confined = simd.select_f64s(simd.less_than_f64s(x, all(-700.0)), all(-700.0), x);
    let confined = simd.select_f64s(simd.less_than_f64s(all(700.0), confined), all(700.0), confined);
    let shifted = simd.mul_add_f64s(confined, all(std::f64::consts::LOG2_E), all(ROUND));
    let n = simd.sub_f64s(shifted, all(ROUND));
    let r = simd.mul_add_f64s(n, all(-LN2_HIGH), confined);
    let r = simd.mul_add_f64s(n, all(-LN2_LOW), r);
    let mut p = all(TAYLOR[0]);
    for c in &TAYLOR[1..] {
        p = simd.mul_add_f64s(r, p, all(*c));
    }
    let halves = |value| pulp::bytemuck::try_cast::<S::f64s, S::u32s>(value);
    match (halves(p), halves(simd.add_f64s(n, all(UPPER)))) {
        (Ok(p), Ok(n)) => {
            // The lower half of a number n is zero, so nothing is carried.
            let power = simd.wrapping_dyn_shl_u32s(n, simd.splat_u32s(20));
            pulp::bytemuck::cast(simd.add_u32s(p, power))
        }
        // Vectors of one lane.
        _ => all(exp_f64(simd.reduce_sum_f64s(x))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_is_close_to_the_true_one() {
        for k in -8600..8600 {
            let x = k as f32 * 0.01;
            let (ours, true_value) = (f64::from(exp_f32(x)), f64::from(x).exp());
            assert!(((ours - true_value) / true_value).abs() < 3e-7, "exp({x}) = {ours}, {true_value}");
        }
        assert!(exp_f32(f32::NAN).is_nan());
        assert_eq!(exp_f32(0.0), 1.0);
    }

    #[test]
    fn double_precision_is_close_to_the_true_one() {
        for k in -69_900..69_900 {
            let x = f64::from(k) * 0.01 + 0.001_7;
            let (ours, true_value) = (exp_f64(x), x.exp());
            assert!(((ours - true_value) / true_value).abs() < 5e-16, "exp({x}) = {ours}, {true_value}");
        }
        assert!(exp_f64(f64::NAN).is_nan());
        assert_eq!(exp_f64(0.0), 1.0);
    }

    /// Compares the lanes with single numbers.
    struct Lanes(Vec<f64>);

    impl pulp::WithSimd for Lanes {
        type Output = ();

        fn with_simd<S: pulp::Simd>(self, simd: S) {
            for values in S::as_simd_f64s(&self.0).0 {
                let own = std::slice::from_ref(values);
                let ours = exp_f64s(simd, *values);
                let ours: &[f64] = pulp::bytemuck::cast_slice(std::slice::from_ref(&ours));
                for (x, ours) in pulp::bytemuck::cast_slice::<_, f64>(own).iter().zip(ours) {
                    assert!(ours.to_bits() == exp_f64(*x).to_bits() || x.is_nan() && ours.is_nan(), "{x}");
                }
            }
        }
    }

    #[test]
    fn lanes_have_the_bytes_of_single_numbers() {
        let mut all: Vec<f64> = (-69_900..69_900).map(|k| f64::from(k) * 0.01 + 0.001_7).collect();
        all.extend([0.0, -0.0, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-300]);
        pulp::Arch::new().dispatch(Lanes(all.clone()));
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = pulp::x86::V3::try_new() {
            pulp::Simd::vectorize(avx2, Lanes(all.clone()));
        }
        pulp::WithSimd::with_simd(Lanes(all), pulp::Scalar::new());
    }
}
