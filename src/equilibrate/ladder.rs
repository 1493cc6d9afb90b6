//! A ladder of temperatures with exchanges (parallel tempering; Swendsen and Wang 1986, Geyer 1991).
//!
//! Chain `ladder * rungs + rung` is on that rung of that ladder; rung 0 is at the asked temperature. After
//! every iteration neighbors exchange their states with probability min(1, exp((1/kT - 1/kT') (E - E'))).

use super::hmc::Batch;
use crate::sampler::noise::Stream;

/// sqrt(degrees of freedom) times the logarithm of the ratio of two neighbors' temperatures. Two harmonic
/// systems then exchange with probability erfc(2.3 / sqrt 8) = 0.25 (Kofke 2002).
const SPACING: f64 = 2.3;

/// Degrees of freedom of a molecule's internal motion.
pub(super) fn freedoms(atoms: usize) -> usize {
    match atoms {
        0..=2 => 1,
        _ => 3 * atoms - 6,
    }
}

/// Temperatures from `coldest` to `hottest` kelvin in equal ratios, at least two.
pub(super) fn temperatures(coldest: f64, hottest: f64, freedoms: usize) -> Vec<f64> {
    let span = (hottest / coldest).ln();
    let gaps = (span * (freedoms as f64).sqrt() / SPACING).ceil().max(1.0);
    (0..=gaps as usize).map(|rung| coldest * (span * rung as f64 / gaps).exp()).collect()
}

/// Exchanges between neighbors: even pairs in even iterations, odd ones in odd. Adds to `tally` the tried and
/// the made exchanges of every gap.
pub(super) fn exchange(
    batch: &mut Batch,
    rungs: usize,
    iteration: u64,
    stream: &mut Stream,
    tally: &mut [[u64; 2]],
) {
    for ladder in 0..batch.chains() / rungs {
        for rung in ((iteration % 2) as usize..rungs - 1).step_by(2) {
            let (cold, hot) = (ladder * rungs + rung, ladder * rungs + rung + 1);
            let slope = 1.0 / batch.thermal(cold) - 1.0 / batch.thermal(hot);
            let made = stream.uniform() < (slope * (batch.energies[cold] - batch.energies[hot])).exp();
            if made {
                batch.swap(cold, hot);
            }
            tally[rung][0] += 1;
            tally[rung][1] += u64::from(made);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::noise::Purpose;
    use crate::units::BOLTZMANN;
    use ndarray::Array3;

    #[test]
    fn harmonic_systems_exchange_as_foreseen_and_states_move_whole() {
        let freedoms = 30;
        let kelvins = temperatures(300.0, 750.0, freedoms);
        assert_eq!(kelvins.len(), 4);
        assert!((kelvins[3] / 750.0 - 1.0).abs() < 1e-12 && kelvins[0] == 300.0);
        let ladders = 20_000;
        let all: Vec<f64> = (0..ladders).flat_map(|_| kelvins.clone()).collect();
        let mut batch = Batch::new(Array3::zeros((all.len(), 1, 3)), &all);
        let mut noise = Stream::new(1, Purpose::Data, 0);
        for (chain, kelvin) in all.iter().enumerate() {
            // Half the sum of squares: the energy of that many harmonic degrees of freedom.
            let squares: f64 = (0..freedoms).map(|_| noise.normal().powi(2)).sum();
            batch.energies[chain] = 0.5 * squares * BOLTZMANN * kelvin;
            batch.positions[[chain, 0, 0]] = batch.energies[chain];
        }
        let mut tally = vec![[0; 2]; 3];
        exchange(&mut batch, 4, 0, &mut noise, &mut tally);
        assert_eq!((tally[0][0], tally[1][0]), (ladders as u64, 0));
        let share = tally[0][1] as f64 / tally[0][0] as f64;
        // erfc(sqrt(30) ln(2.5) / 3 / sqrt(8))
        assert!((share - 0.403).abs() < 0.02, "{share}");
        for chain in 0..all.len() {
            assert_eq!(batch.positions[[chain, 0, 0]], batch.energies[chain]);
        }
        // Exchanges keep the distribution of every rung: the mean energy is half the freedoms times kT.
        for (rung, kelvin) in kelvins.iter().enumerate() {
            let sum: f64 = (0..ladders).map(|ladder| batch.energies[4 * ladder + rung]).sum();
            let reduced = sum / ladders as f64 / (BOLTZMANN * kelvin);
            assert!((reduced - 15.0).abs() < 5.0 * (15.0 / ladders as f64).sqrt(), "{reduced}");
        }
    }
}
