//! Whether chains have converged: split-R-hat and the effective sample size.
//!
//! Gelman et al., Bayesian Data Analysis, 3rd edition, section 11.4 and 11.5, as in Stan (Vehtari et al.,
//! Bayesian Analysis 16, 667, 2021, without ranks). Every chain is cut in halves that count as chains.

use ndarray::{s, Array2, ArrayView2, Axis};

/// Shorter halves say nothing.
const SHORTEST: usize = 4;

/// Halves of chains, (iterations, halves), without their means, and what the means and widths say.
struct Halves {
    centered: Array2<f64>,
    /// Mean variance within.
    within: f64,
    /// Variance of all draws, from within and between.
    total: f64,
}

fn halves(draws: ArrayView2<f64>) -> Option<Halves> {
    let (iterations, chains) = draws.dim();
    let length = iterations / 2;
    if length < SHORTEST || chains == 0 {
        return None;
    }
    let mut centered = Array2::zeros((length, 2 * chains));
    centered.slice_mut(s![.., ..chains]).assign(&draws.slice(s![..length, ..]));
    centered.slice_mut(s![.., chains..]).assign(&draws.slice(s![iterations - length.., ..]));
    let means = centered.mean_axis(Axis(0))?;
    centered -= &means;
    // A half of equal numbers has no width, whatever rounding its mean took.
    for mut half in centered.columns_mut() {
        if half.iter().all(|x| *x == half[0]) {
            half.fill(0.0);
        }
    }
    let n = length as f64;
    let within = centered.iter().map(|x| x * x).sum::<f64>() / ((n - 1.0) * means.len() as f64);
    let between = if means.iter().all(|mean| *mean == means[0]) { 0.0 } else { means.var(1.0) };
    Some(Halves { centered, within, total: (n - 1.0) / n * within + between })
}

/// Split-R-hat of draws (iterations, chains).
///
/// 1 where all draws are equal; infinite where every chain stands still at a place of its own, and for fewer
/// than 8 iterations. Never NaN for finite draws.
pub fn r_hat(draws: ArrayView2<f64>) -> f64 {
    match halves(draws) {
        Some(halves) if halves.within > 0.0 => (halves.total / halves.within).sqrt(),
        Some(halves) if halves.total == 0.0 => 1.0,
        _ => f64::INFINITY,
    }
}

/// Effective sample size of draws (iterations, chains): how many independent draws would know the mean as
/// well. Geyer's initial monotone sequence over the autocorrelation of all chains.
///
/// As many as there are draws where all are equal; 0 where R-hat is infinite.
pub fn effective_size(draws: ArrayView2<f64>) -> f64 {
    let count = draws.len() as f64;
    let halves = match halves(draws) {
        Some(halves) if halves.within > 0.0 => halves,
        Some(halves) if halves.total == 0.0 => return count,
        _ => return 0.0,
    };
    let x = &halves.centered;
    let (length, chains) = x.dim();
    let correlation = |lag: usize| {
        let products = &x.slice(s![..length - lag, ..]) * &x.slice(s![lag.., ..]);
        let covariance = products.sum() / (length * chains) as f64;
        1.0 - (halves.within - covariance) / halves.total
    };
    // Sums of the correlations at lags (0, 1), (2, 3), ...: positive and falling for a reversible chain.
    let mut last = 1.0 + correlation(1);
    let (mut sum, mut tail, mut lag) = (last.max(0.0), 0.0, 2);
    while last > 0.0 && lag + 1 < length - 2 {
        let even = correlation(lag);
        let pair = even + correlation(lag + 1);
        if pair < 0.0 {
            // The first term of the pair that falls below 0 still counts.
            tail = even.max(0.0);
            break;
        }
        last = pair.min(last);
        sum += last;
        lag += 2;
    }
    let time = 2.0 * sum - 1.0 + tail;
    let used = (length * chains) as f64;
    // Chains that swing about their mean can know it better than independent draws, but not without bound.
    used / time.max(1.0 / used.log10())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::noise::{Purpose, Stream};

    /// x' = rho x + sqrt(1 - rho^2) noise from its stationary distribution: the autocorrelation is rho^lag.
    fn autoregressive(rho: f64, iterations: usize, chains: usize) -> Array2<f64> {
        let mut draws = Array2::zeros((iterations, chains));
        for (chain, mut column) in draws.columns_mut().into_iter().enumerate() {
            let mut noise = Stream::new(11, Purpose::Data, chain as u64);
            let mut x = noise.normal();
            for out in &mut column {
                *out = x;
                x = rho * x + (1.0 - rho * rho).sqrt() * noise.normal();
            }
        }
        draws
    }

    #[test]
    fn effective_size_of_known_autocorrelation() {
        for rho in [0.0, 0.5, 0.9, -0.5] {
            let draws = autoregressive(rho, 4000, 16);
            let expected = 64_000.0 * (1.0 - rho) / (1.0 + rho);
            let found = effective_size(draws.view());
            assert!((found / expected - 1.0).abs() < 0.1, "rho {rho}: {found} for {expected}");
            assert!((r_hat(draws.view()) - 1.0).abs() < 0.01);
        }
    }

    #[test]
    fn many_short_chains_show_their_memory() {
        // Halves of n draws with autocorrelation time t: between / within is about t / n.
        let draws = autoregressive(0.9, 200, 512);
        let expected = (1.0 + 19.0 / 100.0_f64).sqrt();
        assert!((r_hat(draws.view()) - expected).abs() < 0.02, "{}", r_hat(draws.view()));
    }

    #[test]
    fn stuck_shifted_drifting_and_constant_chains() {
        let mut draws = autoregressive(0.0, 400, 8);
        draws.column_mut(3).mapv_inplace(|x| x + 3.0);
        // One of 8 means at 3: between = 9 (1/8 - 1/64) 16/15, over within 1.
        let expected = (1.0 + 9.0 * (0.125 - 0.015_625) * 16.0 / 15.0_f64).sqrt();
        assert!((r_hat(draws.view()) / expected - 1.0).abs() < 0.05);
        assert!(effective_size(draws.view()) < 100.0);
        // A trend shows between the halves of even one chain.
        let trend = Array2::from_shape_fn((400, 1), |(t, _)| t as f64);
        assert!(r_hat(trend.view()) > 1.5);
        let constant = Array2::from_elem((100, 4), 0.1);
        assert_eq!((r_hat(constant.view()), effective_size(constant.view())), (1.0, 400.0));
        let stuck = Array2::from_shape_fn((100, 4), |(_, chain)| 0.1 + chain as f64);
        assert_eq!((r_hat(stuck.view()), effective_size(stuck.view())), (f64::INFINITY, 0.0));
        let short = Array2::zeros((7, 4));
        assert_eq!((r_hat(short.view()), effective_size(short.view())), (f64::INFINITY, 0.0));
    }
}
