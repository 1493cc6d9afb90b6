//! What a training run is asked to do, with the defaults of each method.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Place;
use crate::molecule::features::Projection;
use crate::{Error, Result};

/// The training method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Method {
    /// Sliced drift (the default).
    #[default]
    #[serde(rename = "sliced")]
    Sliced,
    /// The paper's kernel drift, without forces.
    #[serde(rename = "drift")]
    Drift,
    /// Force-interpolated drift (Eq. 34).
    #[serde(rename = "fi")]
    ForceInterpolated,
    /// Force-aligned kernel (Eq. 36).
    #[serde(rename = "fk")]
    ForceAligned,
    /// Both.
    #[serde(rename = "fi+fk")]
    Combined,
}

const METHODS: [(Method, &str); 5] = [
    (Method::Sliced, "sliced"),
    (Method::Drift, "drift"),
    (Method::ForceInterpolated, "fi"),
    (Method::ForceAligned, "fk"),
    (Method::Combined, "fi+fk"),
];

impl Method {
    /// Whether the method needs forces.
    pub fn needs_forces(self) -> bool {
        matches!(self, Method::ForceInterpolated | Method::ForceAligned | Method::Combined)
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        METHODS.iter().find(|(_, name)| *name == text).map(|(method, _)| *method).ok_or_else(|| {
            Error::usage(format!("method '{text}' is not known; give sliced, drift, fi, fk or fi+fk"))
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = METHODS.iter().find(|(method, _)| method == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// More weights, or more units in one layer of a batch, are refused: 2^28 numbers are 1 GiB, and a training
/// holds several times that.
const LARGEST_NETWORK: usize = 1 << 28;

/// Settings as a user gives them, each optional: from a TOML or JSON file, and from the command line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Method.
    pub method: Option<Method>,
    /// Temperature of the data in kelvin, recorded in the sampler.
    pub temperature: Option<f64>,
    /// Optimizer steps.
    pub steps: Option<usize>,
    /// Seed of weights, noise and batches.
    pub seed: Option<u64>,
    /// Generated samples of a step.
    pub batch: Option<usize>,
    /// Data frames of a step (kernel methods; the sliced drift takes as many as it generates).
    pub positives: Option<usize>,
    /// Learning rate at the start; it falls to 0 along a cosine.
    pub learning_rate: Option<f64>,
    /// Latent noise dimension.
    pub noise: Option<usize>,
    /// Units of each hidden layer.
    pub width: Option<usize>,
    /// Hidden layers.
    pub depth: Option<usize>,
    /// Random lines of whitened distances a step (sliced).
    pub lines: Option<usize>,
    /// Random lines of each rotatable bond's harmonics, and of all jointly, a step (sliced).
    pub torsion_lines: Option<usize>,
    /// Force interpolation weight (fi).
    pub omega: Option<f64>,
    /// Force alignment strength (fk).
    pub gamma: Option<f64>,
    /// Bandwidth in normalized feature units (kernel methods); the median heuristic where absent.
    pub tau: Option<f64>,
    /// `exact` or `naive` feature forces (fi, fk).
    pub projection: Option<String>,
}

macro_rules! later_wins {
    ($first:expr, $second:expr, $($field:ident),*) => {
        Overrides { $($field: $second.$field.or($first.$field)),* }
    };
}

impl Overrides {
    /// Reads a TOML file, or JSON where the name ends in `.json`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Data`] for an unknown key or a wrong value.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, "cannot read", error))?;
        let parsed = if path.extension().is_some_and(|e| e == "json") {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        } else {
            toml::from_str(&text).map_err(|error| error.message().to_owned())
        };
        parsed.map_err(|message| {
            Error::data(Place::file(path), format!("{}; correct the setting", message.replace('\n', " ")))
        })
    }

    /// These settings with those of `other` laid over them.
    pub fn or_newer(self, other: Overrides) -> Overrides {
        later_wins!(
            self,
            other,
            method,
            temperature,
            steps,
            seed,
            batch,
            positives,
            learning_rate,
            noise,
            width,
            depth,
            lines,
            torsion_lines,
            omega,
            gamma,
            tau,
            projection
        )
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Overrides::default()
    }
}

/// Settings with every gap filled, as they are stored in checkpoints and samplers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Method.
    pub method: Method,
    /// Space in which the loss acts; always `distance`.
    pub space: String,
    /// Temperature of the data in kelvin, where it was given.
    pub temperature: Option<f64>,
    /// Optimizer steps.
    pub steps: usize,
    /// Seed of weights, noise and batches.
    pub seed: u64,
    /// Generated samples of a step.
    pub batch: usize,
    /// Data frames of a step.
    pub positives: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Decay rates of Adam.
    pub betas: [f64; 2],
    /// Whether the exported weights are an exponential moving average.
    pub average: bool,
    /// Latent noise dimension.
    pub noise: usize,
    /// Units of each hidden layer.
    pub width: usize,
    /// Hidden layers.
    pub depth: usize,
    /// Random lines of whitened distances a step.
    pub lines: usize,
    /// Random lines of torsion harmonics a step and bond.
    pub torsion_lines: usize,
    /// Force interpolation weight.
    pub omega: f64,
    /// Force alignment strength.
    pub gamma: f64,
    /// Bandwidth, where it was given.
    pub tau: Option<f64>,
    /// Whether feature forces are `naive` (J F) instead of exact.
    pub naive: bool,
}

impl Settings {
    /// Fills the gaps with the method's defaults: the paper's (section 5.3) for the kernel methods.
    ///
    /// # Errors
    /// [`Error::Usage`] for a value out of its range or a setting the method has no use for.
    pub fn resolve(given: &Overrides) -> Result<Self> {
        let method = given.method.unwrap_or_default();
        let sliced = method == Method::Sliced;
        let interpolated = matches!(method, Method::ForceInterpolated | Method::Combined);
        let aligned = matches!(method, Method::ForceAligned | Method::Combined);
        let unused = [
            (given.positives.is_some() && sliced, "positives"),
            (given.tau.is_some() && sliced, "tau"),
            (given.projection.is_some() && !method.needs_forces(), "projection"),
            (given.lines.is_some() && !sliced, "lines"),
            (given.torsion_lines.is_some() && !sliced, "torsion_lines"),
            (given.omega.is_some() && !interpolated, "omega"),
            (given.gamma.is_some() && !aligned, "gamma"),
        ];
        if let Some((_, name)) = unused.iter().find(|(wrong, _)| *wrong) {
            return Err(Error::usage(format!(
                "'{name}' has no meaning for method {method}; leave it out or change the method"
            )));
        }
        let naive = match given.projection.as_deref() {
            None | Some("exact") => false,
            Some("naive") => true,
            Some(other) => return Err(Error::usage(format!("projection '{other}': give exact or naive"))),
        };
        let batch = given.batch.unwrap_or(if sliced { 512 } else { 256 });
        let settings = Settings {
            method,
            space: "distance".into(),
            temperature: given.temperature,
            steps: given.steps.unwrap_or(if sliced { 10_000 } else { 20_000 }),
            seed: given.seed.unwrap_or(0),
            batch,
            positives: if sliced { batch } else { given.positives.unwrap_or(512) },
            learning_rate: given.learning_rate.unwrap_or(1e-3),
            betas: if sliced { [0.9, 0.99] } else { [0.9, 0.999] },
            average: sliced,
            noise: given.noise.unwrap_or(64),
            width: given.width.unwrap_or(if sliced { 256 } else { 512 }),
            depth: given.depth.unwrap_or(if sliced { 4 } else { 6 }),
            lines: if sliced { given.lines.unwrap_or(64) } else { 0 },
            torsion_lines: if sliced { given.torsion_lines.unwrap_or(24) } else { 0 },
            omega: if interpolated { given.omega.unwrap_or(0.1) } else { 0.0 },
            gamma: if aligned { given.gamma.unwrap_or(0.1) } else { 0.0 },
            tau: given.tau,
            naive,
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        let integers = [
            ("steps", self.steps, 1, 1_000_000_000),
            ("batch", self.batch, 2, 1 << 20),
            ("positives", self.positives, 2, 1 << 20),
            ("noise", self.noise, 1, 4096),
            ("width", self.width, 1, 16_384),
            ("depth", self.depth, 1, 64),
            ("lines", self.lines, 0, 65_536),
            ("torsion_lines", self.torsion_lines, 0, 65_536),
        ];
        for (name, value, low, high) in integers {
            if !(low..=high).contains(&value) {
                return Err(Error::usage(format!("{name} = {value} is out of range; give {low} to {high}")));
            }
        }
        let weights =
            self.width.saturating_mul(self.width.saturating_mul(self.depth).saturating_add(self.noise));
        if weights > LARGEST_NETWORK || self.batch.saturating_mul(self.width) > LARGEST_NETWORK {
            return Err(Error::usage(format!(
                "a network of {} x {} with batches of {} needs more memory than a training may ask for; lower width, \
                 depth or batch",
                self.depth, self.width, self.batch
            )));
        }
        let reals = [
            ("learning_rate", Some(self.learning_rate), f64::MIN_POSITIVE, 1.0),
            ("omega", Some(self.omega), 0.0, 1.0),
            ("gamma", Some(self.gamma), 0.0, 1e6),
            ("tau", self.tau, 1e-9, 1e9),
            ("temperature", self.temperature, 1e-6, 1e6),
        ];
        for (name, value, low, high) in reals {
            if value.is_some_and(|value| !(low..=high).contains(&value)) {
                let value = value.unwrap_or(f64::NAN);
                return Err(Error::usage(format!(
                    "{name} = {value} is out of range; give {low:e} to {high:e}"
                )));
            }
        }
        Ok(())
    }

    /// Which feature forces are used.
    pub fn projection(&self) -> Projection {
        if self.naive {
            Projection::Naive
        } else {
            Projection::Exact
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_overrides_and_refusals() {
        let paper =
            Settings::resolve(&Overrides { method: Some(Method::ForceAligned), ..Overrides::default() })
                .unwrap();
        assert_eq!(
            (paper.batch, paper.positives, paper.width, paper.depth, paper.steps),
            (256, 512, 512, 6, 20_000)
        );
        let file: Overrides = toml::from_str("method = 'fi+fk'\nomega = 0.3\nsteps = 5").unwrap();
        let line = Overrides { steps: Some(7), ..Overrides::default() };
        let both = Settings::resolve(&file.or_newer(line)).unwrap();
        assert_eq!((both.method, both.omega, both.gamma, both.steps), (Method::Combined, 0.3, 0.1, 7));
        for (bad, word) in [
            ("gamma = 0.1", "gamma"),
            ("method = 'drift'\nlines = 3", "lines"),
            ("steps = 0", "steps"),
            ("learning_rate = nan", "learning_rate"),
            ("batch = 1048576\nwidth = 16384\ndepth = 64", "memory"),
            ("temperature = -3.0", "temperature"),
        ] {
            let error = Settings::resolve(&toml::from_str(bad).unwrap()).unwrap_err();
            assert!(error.to_string().contains(word) && error.exit_code() == 2, "{error}");
        }
        assert!(toml::from_str::<Overrides>("stepz = 3").is_err());
        for (method, name) in METHODS {
            assert_eq!((name.parse::<Method>().unwrap(), method.to_string()), (method, name.to_owned()));
        }
        assert!("annealing".parse::<Method>().is_err());
    }
}
