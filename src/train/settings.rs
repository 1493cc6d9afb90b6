//! What a training run is asked to do, with the defaults of each method.

use serde::{Deserialize, Serialize};

use super::method::{Method, Scale, Space};
use super::overrides::Overrides;
use crate::drift::kernel::{Alignment, Kernel, Weighting};
use crate::molecule::features::Projection;
use crate::molecule::metric::Metric;
use crate::{Error, Result};

/// More weights, or more units in one layer of a batch, are refused: 2^28 numbers are 1 GiB, and a training
/// holds several times that.
const LARGEST_NETWORK: usize = 1 << 28;

/// Settings with every gap filled, as they are stored in checkpoints and samplers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Method.
    pub method: Method,
    /// Space in which the loss acts.
    pub space: Space,
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
    /// Weight of the whitened distances' length beside the lines of the sliced loss, in lines; 0 leaves it out.
    #[serde(default)]
    pub size_weight: f64,
    /// Force interpolation weight.
    pub omega: f64,
    /// Force alignment strength.
    pub gamma: f64,
    /// Bandwidth, where it was given.
    pub tau: Option<f64>,
    /// Whether feature forces are `naive` (J F) instead of exact.
    pub naive: bool,
    /// The kernel.
    #[serde(default)]
    pub kernel: Kernel,
    /// Scale of the force terms; scaled where an older file does not say.
    #[serde(default = "scaled")]
    pub normalization: Scale,
    /// What gamma weighs by.
    #[serde(default)]
    pub alignment: Alignment,
    /// Metric term of the forces.
    #[serde(default)]
    pub metric: Metric,
    /// Leave each generated point out of its own repulsion.
    #[serde(default)]
    pub exclude_self: bool,
    /// One softmax over data and generated points together, along both axes.
    #[serde(default)]
    pub joint_softmax: bool,
    /// Several bandwidths, as factors of tau; empty for tau alone.
    #[serde(default)]
    pub bandwidths: Vec<f64>,
    /// Each bandwidth's field over its root mean square.
    #[serde(default)]
    pub normalize_field: bool,
    /// Whether the forces are those of other frames, a control.
    #[serde(default)]
    pub placebo: bool,
    /// Whether every frame is turned onto one (Cartesian space).
    #[serde(default = "yes")]
    pub superpose: bool,
}

fn yes() -> bool {
    true
}

fn scaled() -> Scale {
    Scale::Scaled
}

impl Settings {
    /// Fills the gaps with the method's defaults: the paper's (section 5.3) for the kernel methods.
    ///
    /// # Errors
    /// [`Error::Usage`] for a value out of its range or a setting the method has no use for.
    pub fn resolve(given: &Overrides) -> Result<Self> {
        let method = given.method.unwrap_or_default();
        let sliced = method == Method::Sliced;
        let forces = method.interpolates() || method.aligns();
        let space = given.space.unwrap_or_default();
        let only_energies = !method.interpolates() && given.alignment == Some(Alignment::Energy);
        let in_distances = forces && space == Space::Distance && !only_energies;
        let unused = [
            (given.positives.is_some() && sliced, "positives"),
            (given.space == Some(Space::Cartesian) && sliced, "space"),
            (given.tau.is_some() && sliced, "tau"),
            (given.kernel.is_some() && sliced, "kernel"),
            (given.exclude_self.is_some() && sliced, "exclude_self"),
            (given.joint_softmax.is_some() && sliced, "joint_softmax"),
            (given.bandwidths.is_some() && sliced, "bandwidths"),
            (given.normalize_field.is_some() && sliced, "normalize_field"),
            (given.projection.is_some() && !in_distances, "projection"),
            (given.metric.is_some() && !in_distances, "metric"),
            (given.normalization.is_some() && !forces, "normalization"),
            (given.placebo.is_some() && !forces, "placebo"),
            (given.superpose.is_some() && space != Space::Cartesian, "superpose"),
            (given.alignment.is_some() && !method.aligns(), "alignment"),
            (given.lines.is_some() && !sliced, "lines"),
            (given.torsion_lines.is_some() && !sliced, "torsion_lines"),
            (given.size_weight.is_some() && !sliced, "size_weight"),
            (given.omega.is_some() && !method.interpolates(), "omega"),
            (given.gamma.is_some() && !method.aligns(), "gamma"),
        ];
        if let Some((_, name)) = unused.iter().find(|(wrong, _)| *wrong) {
            let place = if sliced { String::new() } else { format!(" in {space} space") };
            return Err(Error::usage(format!(
                "'{name}' has no meaning for method {method}{place}; leave it out or change the method"
            )));
        }
        let naive = match given.projection.as_deref() {
            None | Some("exact") => false,
            Some("naive") => true,
            Some(other) => return Err(Error::usage(format!("projection '{other}': give exact or naive"))),
        };
        let batch = given.batch.unwrap_or(if sliced { 512 } else { 256 });
        // The paper's best of Tables 3 and 4.
        let (omega, gamma) = if space == Space::Cartesian { (0.01, 0.001) } else { (0.1, 0.1) };
        let normalization = if space == Space::Cartesian { Scale::Physical } else { Scale::Scaled };
        let settings = Settings {
            method,
            space,
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
            size_weight: if sliced { given.size_weight.unwrap_or(0.0) } else { 0.0 },
            omega: if method.interpolates() { given.omega.unwrap_or(omega) } else { 0.0 },
            gamma: if method.aligns() { given.gamma.unwrap_or(gamma) } else { 0.0 },
            tau: given.tau,
            naive,
            kernel: given.kernel.unwrap_or_default(),
            normalization: given.normalization.unwrap_or(normalization),
            alignment: given.alignment.unwrap_or_default(),
            metric: given.metric.unwrap_or_default(),
            exclude_self: given.exclude_self.unwrap_or(false),
            joint_softmax: given.joint_softmax.unwrap_or(false),
            bandwidths: given.bandwidths.clone().unwrap_or_default(),
            normalize_field: given.normalize_field.unwrap_or(false),
            placebo: given.placebo.unwrap_or(false),
            superpose: given.superpose.unwrap_or(true),
        };
        settings.check()?;
        Ok(settings)
    }

    /// That every setting makes sense.
    pub(super) fn check(&self) -> Result<()> {
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
            ("size_weight", Some(self.size_weight), 0.0, 1e3),
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
        self.check_field()
    }

    /// What the kernel field must have.
    fn check_field(&self) -> Result<()> {
        let forces = self.method.interpolates() || self.method.aligns();
        if forces && self.kernel == Kernel::Laplace {
            return Err(Error::usage(
                "force terms need the Gaussian kernel: the score identity does not hold for the Laplace kernel \
                 (Remark 3.1 of the paper); leave kernel out, or take method drift",
            ));
        }
        if !self.bandwidths.iter().all(|factor| (1e-6..=1e6).contains(factor)) || self.bandwidths.len() > 64 {
            return Err(Error::usage(format!(
                "bandwidths = {:?}: give at most 64 factors of tau, from 1e-6 to 1e6",
                self.bandwidths
            )));
        }
        let thermal = [
            (
                forces && self.normalization == Scale::Physical,
                "force terms over kT (normalization 'physical')",
            ),
            (self.metric != Metric::None, "a metric term"),
        ];
        if let (None, Some((_, what))) = (self.temperature, thermal.iter().find(|(needed, _)| *needed)) {
            return Err(Error::usage(format!("{what} need the temperature of the data; add --temperature")));
        }
        Ok(())
    }

    /// Whether the training needs the forces of the frames.
    pub fn needs_forces(&self) -> bool {
        self.method.interpolates() || (self.method.aligns() && self.alignment == Alignment::Force)
    }

    /// Whether it needs feature-space forces (Eq. 31).
    pub fn needs_feature_forces(&self) -> bool {
        self.needs_forces() && self.space == Space::Distance
    }

    /// Whether it needs their energies.
    pub fn needs_energies(&self) -> bool {
        self.method.aligns() && self.alignment == Alignment::Energy
    }

    /// From kernel values to weights.
    pub fn weighting(&self) -> Weighting {
        Weighting {
            exclude_self: self.exclude_self,
            joint: self.joint_softmax,
            bandwidths: self.bandwidths.clone(),
            normalize: self.normalize_field,
        }
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
    use super::super::method::METHODS;
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
            ("method = 'drift'\nsize_weight = 0.5", "size_weight"),
            ("size_weight = -0.5", "size_weight"),
            ("steps = 0", "steps"),
            ("learning_rate = nan", "learning_rate"),
            ("batch = 1048576\nwidth = 16384\ndepth = 64", "memory"),
            ("temperature = -3.0", "temperature"),
            ("method = 'fk'\nkernel = 'laplace'", "Remark 3.1"),
            ("method = 'fi'\nspace = 'cartesian'", "--temperature"),
            ("method = 'fi'\nspace = 'cartesian'\nmetric = 'full'\ntemperature = 500.0", "metric"),
            ("method = 'fk'\nmetric = 'full'", "--temperature"),
            ("method = 'drift'\nbandwidths = [1.0, -2.0]", "bandwidths"),
            ("space = 'cartesian'", "space"),
            ("method = 'drift'\nsuperpose = false", "superpose"),
            ("method = 'fi'\nalignment = 'energy'", "alignment"),
        ] {
            let error = Settings::resolve(&toml::from_str(bad).unwrap()).unwrap_err();
            assert!(error.to_string().contains(word) && error.exit_code() == 2, "{error}");
        }
        assert!(toml::from_str::<Overrides>("stepz = 3").is_err());
        let cartesian = "method = 'fi+fk'\nspace = 'cartesian'\ntemperature = 500.0";
        let cartesian = Settings::resolve(&toml::from_str(cartesian).unwrap()).unwrap();
        assert_eq!((cartesian.omega, cartesian.gamma), (0.01, 0.001));
        assert_eq!((cartesian.space, cartesian.normalization), (Space::Cartesian, Scale::Physical));
        let energy =
            Settings::resolve(&toml::from_str("method = 'fk'\nalignment = 'energy'").unwrap()).unwrap();
        assert!(energy.needs_energies() && !energy.needs_forces());
        for (method, name) in METHODS {
            assert_eq!((name.parse::<Method>().unwrap(), method.to_string()), (method, name.to_owned()));
        }
        assert!("annealing".parse::<Method>().is_err());
    }
}
