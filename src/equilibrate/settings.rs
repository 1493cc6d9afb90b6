//! Settings of an equilibration.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// More chains than this would share noise.
pub(super) const MOST_CHAINS: usize = 1 << 20;
/// Fewer iterations cannot find a time step.
const SHORTEST_WARMUP: usize = 20;

/// Whether a ladder of temperatures is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ladder {
    /// Where a dihedral does not mix without one.
    #[default]
    Auto,
    /// Never.
    Off,
    /// From the start.
    On,
}

impl FromStr for Ladder {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Ladder::Auto),
            "off" => Ok(Ladder::Off),
            "on" => Ok(Ladder::On),
            _ => Err(Error::usage(format!("ladder '{text}' is not known; give auto, on or off"))),
        }
    }
}

/// Settings of an equilibration; [`Settings::at`] has the defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Temperature of the states in kelvin.
    pub temperature: f64,
    /// Seed of everything random.
    pub seed: u64,
    /// Chains side by side; with a ladder, as many over all its temperatures.
    pub chains: usize,
    /// Mean leapfrog steps of a proposal; each takes between half and one and a half times as many.
    pub leapfrog: usize,
    /// Time step at the start in fs; the warm-up finds its own.
    pub time_step: f64,
    /// Iterations of the warm-up.
    pub warmup: usize,
    /// States wanted.
    pub frames: usize,
    /// Largest split-R-hat of a quantity that counts as converged.
    pub r_hat: f64,
    /// Least effective sample size of every quantity.
    pub effective: f64,
    /// The most evaluations of one frame by the potential; those by a smaller fit that leads count as the part that they cost.
    pub most_evaluations: u64,
    /// Whether a ladder of temperatures is used.
    pub ladder: Ladder,
    /// The highest temperature of the ladder over `temperature`.
    pub hottest: f64,
    /// Without a region of the potential: reject states with a bond shorter than 0.5 or longer than 1.6 times
    /// its mean in the data.
    pub check_bonds: bool,
    /// Take the states also where they have not converged; the report says so.
    pub accept_unconverged: bool,
}

impl Settings {
    /// The defaults, at a temperature in kelvin.
    pub fn at(temperature: f64) -> Self {
        Settings {
            temperature,
            seed: 0,
            chains: 256,
            leapfrog: 20,
            time_step: 1.0,
            warmup: 100,
            frames: 10_000,
            r_hat: 1.02,
            effective: 2000.0,
            most_evaluations: 20_000_000,
            ladder: Ladder::Auto,
            hottest: 2.5,
            check_bonds: true,
            accept_unconverged: false,
        }
    }

    /// That every setting makes sense.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the first that does not.
    pub fn check(&self) -> Result<()> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let wrong = |what: String| Err(Error::usage(what));
        if !positive(self.temperature) {
            return wrong(format!("temperature {} K: give a positive one", self.temperature));
        }
        if !(2..=MOST_CHAINS).contains(&self.chains) {
            return wrong(format!("{} chains: give 2 to {MOST_CHAINS}", self.chains));
        }
        check_trajectory(self.leapfrog, self.time_step)?;
        if self.warmup < SHORTEST_WARMUP {
            return wrong(format!(
                "a warm-up of {} iterations: give at least {SHORTEST_WARMUP}",
                self.warmup
            ));
        }
        if self.frames == 0 {
            return wrong("0 states: give at least 1".into());
        }
        if !(self.r_hat > 1.0 && self.r_hat.is_finite()) {
            return wrong(format!("R-hat limit {}: give a number above 1, for example 1.02", self.r_hat));
        }
        if !positive(self.effective) {
            return wrong(format!("effective sample size {}: give a positive number", self.effective));
        }
        if self.most_evaluations == 0 {
            return wrong("a limit of 0 evaluations: give a positive number".into());
        }
        if !(self.hottest > 1.0 && self.hottest <= 100.0) {
            return wrong(format!(
                "hottest {}: how many times the asked temperature; give a number above 1, up to 100",
                self.hottest
            ));
        }
        Ok(())
    }
}

/// That a trajectory of this many steps, of this many fs each, makes sense.
pub(super) fn check_trajectory(leapfrog: usize, time_step: f64) -> Result<()> {
    if !(1..=10_000).contains(&leapfrog) {
        return Err(Error::usage(format!("{leapfrog} leapfrog steps: give 1 to 10000")));
    }
    let (least, most) = super::adapt::RANGE;
    if !(time_step >= least && time_step <= most) {
        return Err(Error::usage(format!("time step {time_step} fs: give {least} to {most} fs")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named() {
        assert!(Settings::at(300.0).check().is_ok());
        type Spoil = fn(&mut Settings);
        let wrong: [(&str, Spoil); 11] = [
            ("temperature", |s| s.temperature = f64::NAN),
            ("chains", |s| s.chains = 1),
            ("leapfrog", |s| s.leapfrog = 0),
            ("time step", |s| s.time_step = 5.0),
            ("warm-up", |s| s.warmup = 3),
            ("states", |s| s.frames = 0),
            ("R-hat", |s| s.r_hat = 1.0),
            ("effective", |s| s.effective = -1.0),
            ("evaluations", |s| s.most_evaluations = 0),
            ("hottest", |s| s.hottest = 1.0),
            ("time step", |s| s.time_step = f64::NAN),
        ];
        for (word, spoil) in wrong {
            let mut settings = Settings::at(300.0);
            spoil(&mut settings);
            let error = settings.check().unwrap_err();
            assert!(error.to_string().contains(word) && error.exit_code() == 2, "{word}: {error}");
        }
        assert!("auto".parse::<Ladder>().is_ok() && "always".parse::<Ladder>().is_err());
    }
}
