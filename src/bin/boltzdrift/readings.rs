//! What the thermometer says before a training starts.

use boltzdrift::dataset::Dataset;
use boltzdrift::molecule::thermometer::assess;
use boltzdrift::Result;

use crate::terminal::say;

/// Frames times squared atoms that are looked at; with more, only every so many frames are. It takes about a
/// second on one core.
const MOST_WORK: usize = 10_000_000;

/// Reads the temperature of the data, shows it beside the asked one, and passes the warnings on.
pub fn before_training(data: &Dataset, asked: Option<f64>, quiet: bool) -> Result<()> {
    if data.forces.is_none() {
        log::info!("no forces: the temperature of the frames is not checked");
        return Ok(());
    }
    let stride = (data.len() * data.atoms().pow(2)).div_ceil(MOST_WORK).max(1);
    let found = if stride == 1 {
        assess(data, asked)
    } else {
        let some: Vec<usize> = (0..data.len()).step_by(stride).collect();
        data.subset(&some).and_then(|some| assess(&some, asked))
    };
    let found = match found {
        Ok(found) => found,
        // Not every training needs the forces; what it does need, it checks itself.
        Err(error) => {
            log::warn!("the temperature of the frames was not read: {error}");
            return Ok(());
        }
    };
    for warning in &found.warnings {
        log::warn!("{warning}");
    }
    if quiet {
        return Ok(());
    }
    if let Some(reading) = found.configurational {
        let against = asked.map_or_else(String::new, |asked| format!(", {asked:.0} K asked"));
        let of = if stride == 1 { String::new() } else { format!(" of one frame in {stride}") };
        say(&format!(
            "temperature of the frames: {:.0} +- {:.0} K from positions and forces{of}{against}",
            reading.kelvin, reading.error
        ))?;
    }
    Ok(())
}
