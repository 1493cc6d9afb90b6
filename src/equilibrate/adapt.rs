//! The time step, by dual averaging (Nesterov 2009; Hoffman and Gelman 2014, algorithm 5).

/// Least and largest time step in fs.
pub(super) const RANGE: (f64, f64) = (0.02, 4.0);
/// The acceptance to aim for: near the best for trajectories of fixed length, and a margin for rare stiff states.
pub(super) const TARGET: f64 = 0.85;
/// That of a guide's own energy: trajectories are cheap then, and longer steps take them further.
pub(super) const GUIDED: f64 = 0.75;
// The gain, the iterations it is held back by, and how fast early steps are forgotten, as in Stan.
const GAIN: f64 = 0.05;
const HOLD: f64 = 10.0;
const FORGET: f64 = 0.75;

/// The state of the search.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DualAveraging {
    /// Logarithm of the step to which the search is drawn.
    center: f64,
    /// Mean shortfall of the acceptance.
    shortfall: f64,
    log_step: f64,
    log_mean: f64,
    count: f64,
}

impl DualAveraging {
    /// A search from a step in fs.
    pub fn new(step: f64) -> Self {
        let log_step = step.ln();
        DualAveraging { center: log_step, shortfall: 0.0, log_step, log_mean: log_step, count: 0.0 }
    }

    /// Learns from the mean acceptance of one iteration, where `target` is aimed for.
    pub fn learn(&mut self, acceptance: f64, target: f64) {
        self.count += 1.0;
        let weight = 1.0 / (self.count + HOLD);
        self.shortfall = (1.0 - weight) * self.shortfall + weight * (target - acceptance);
        let (least, most) = (RANGE.0.ln(), RANGE.1.ln());
        self.log_step = (self.center - self.count.sqrt() / GAIN * self.shortfall).clamp(least, most);
        let weight = self.count.powf(-FORGET);
        self.log_mean = weight * self.log_step + (1.0 - weight) * self.log_mean;
    }

    /// The step to try next, fs.
    pub fn step(&self) -> f64 {
        self.log_step.exp()
    }

    /// The step found, fs.
    pub fn found(&self) -> f64 {
        self.log_mean.exp()
    }

    /// As numbers, for a checkpoint.
    pub fn numbers(&self) -> [f64; 5] {
        [self.center, self.shortfall, self.log_step, self.log_mean, self.count]
    }

    /// From [`DualAveraging::numbers`].
    pub fn from_numbers([center, shortfall, log_step, log_mean, count]: [f64; 5]) -> Self {
        DualAveraging { center, shortfall, log_step, log_mean, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_step_of_a_known_acceptance_and_keeps_its_bounds() {
        // exp(-(h / h0)^2) is 0.85 at h = h0 sqrt(-ln 0.85).
        for scale in [0.5, 2.0, 5.0] {
            let mut search = DualAveraging::new(1.0);
            for _ in 0..100 {
                let h = search.step() / scale;
                search.learn((-h * h).exp(), 0.85);
            }
            let expected = scale * (-(0.85_f64.ln())).sqrt();
            assert!((search.found() / expected - 1.0).abs() < 0.05, "{} for {expected}", search.found());
        }
        for (acceptance, bound) in [(0.0, RANGE.0), (1.0, RANGE.1)] {
            let mut search = DualAveraging::new(1.0);
            (0..300).for_each(|_| search.learn(acceptance, 0.85));
            assert!((search.step() / bound - 1.0).abs() < 1e-12);
        }
    }
}
