//! Labels: energies and forces of every frame from a potential, frame after frame into a file of partial results,
//! so that work that was cut off goes on where it was.

mod difference;
mod memory;
pub mod output;
mod owner;
mod partial;

use std::path::Path;

use ndarray::{s, Array1, Array3, Axis};

use crate::dataset::{Dataset, Writer};
use crate::potential::{self, Answer, Potential};
use crate::{Error, Result};

pub use difference::Difference;
use difference::Sums;
pub use memory::{in_memory, Kept};
use owner::Owner;
use partial::Partial;

/// Frames written at a time.
const BLOCK: usize = 256;
/// Frames that a message lists.
const LISTED: usize = 5;

/// How to label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Frames given to the potential at a time. The labels do not depend on it.
    pub batch: usize,
    /// Leave out the frames on which the potential fails, instead of stopping at the first.
    pub skip_failing: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { batch: 64, skip_failing: false }
    }
}

/// How far a labeling has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Frames done, those of earlier runs among them.
    pub done: usize,
    /// Frames in all.
    pub total: usize,
}

/// Frames on their way to labels.
pub struct Labeling<'a, 'p> {
    data: &'a Dataset,
    potential: &'p mut dyn Potential,
    settings: Settings,
    partial: Partial,
    /// Rows of the frames on which the potential failed, in order.
    failing: Vec<usize>,
}

impl<'a, 'p> Labeling<'a, 'p> {
    /// Begins, or goes on where `partial` says that an earlier run of the same frames and potential ended. The file
    /// appears with the first labels.
    ///
    /// # Errors
    /// [`Error::Usage`] for a batch of 0, for partial results of other frames or of another potential, and for
    /// frames that failed before where they are not to be left out; [`Error::Data`] where the partial results are
    /// damaged, [`Error::Io`] where they cannot be read.
    pub fn new(
        data: &'a Dataset,
        potential: &'p mut dyn Potential,
        partial: &Path,
        settings: Settings,
    ) -> Result<Self> {
        if settings.batch == 0 {
            return Err(Error::usage("--batch 0: give at least 1 frame"));
        }
        let owner = Owner {
            frames: data.len(),
            species: data.species.clone(),
            data_digest: data.source.digest.clone(),
            potential: potential.name(),
            identity: potential.identity(),
        };
        let (partial, failing) = Partial::open(partial, owner)?;
        if !settings.skip_failing && !failing.is_empty() {
            return Err(Error::usage(format!(
                "{}: an earlier run left out failing frames ({}); give --skip-failing again, or remove the file to \
                 begin anew",
                partial.path().display(),
                numbers(data, &failing)
            )));
        }
        Ok(Labeling { data, potential, settings, partial, failing })
    }

    /// Where it stands: after [`Labeling::new`], what was taken from an earlier run.
    pub fn progress(&self) -> Progress {
        Progress { done: self.partial.len(), total: self.data.len() }
    }

    /// Labels every frame that has no labels yet. `progress` is called at the start and after every batch; an error
    /// it returns stops the work and comes back unchanged. Whatever stops it, what was done is kept.
    ///
    /// # Errors
    /// [`Error::Potential`] with the frame as the trajectory file numbers it where the potential fails on one and
    /// failing frames are not left out; whatever else the potential returns; [`Error::Io`] on a full disk;
    /// [`Error::Numeric`] where every frame failed.
    pub fn run(mut self, progress: &mut dyn FnMut(Progress) -> Result<()>) -> Result<Labelled<'a>> {
        let done = self.batches(progress);
        let flushed = self.partial.flush();
        done.and(flushed)?;
        if self.failing.len() == self.data.len() {
            return Err(Error::Numeric(format!(
                "{}the potential fails on every frame, so there is nothing to write; remove {} and see the error \
                 without --skip-failing",
                whereabouts(self.data),
                self.partial.path().display()
            )));
        }
        Ok(Labelled { data: self.data, partial: self.partial, failing: self.failing })
    }

    fn batches(&mut self, progress: &mut dyn FnMut(Progress) -> Result<()>) -> Result<()> {
        progress(self.progress())?;
        while self.partial.len() < self.data.len() {
            let first = self.partial.len();
            let batch = self.settings.batch.min(self.potential.largest_batch()).max(1);
            let last = first.saturating_add(batch).min(self.data.len());
            self.batch(first, last, progress)?;
            progress(self.progress())?;
        }
        Ok(())
    }

    fn batch(
        &mut self,
        first: usize,
        last: usize,
        progress: &mut dyn FnMut(Progress) -> Result<()>,
    ) -> Result<()> {
        let positions = self.data.positions.slice(s![first..last, .., ..]);
        let Answer { energies, forces, done, failure, located } =
            potential::attempt(self.potential, &self.data.species, positions);
        if done > 0 {
            // Both arrays are new, so their numbers lie in order.
            let forces: Vec<f64> = forces.slice(s![..done, .., ..]).iter().copied().collect();
            self.partial.append(&energies.to_vec()[..done], &forces)?;
        }
        let (row, rest) = (first + done, last - first - done);
        let skip = self.settings.skip_failing;
        match failure.map_or(Ok(()), Err) {
            // One by one: the labels before the failing frame are kept, whatever the potential says of the batch, and so
            // are those after it where it is left out.
            Err(Error::Potential { name, frame, status, message })
                if skip && (done > 0 || rest > 1) || !located =>
            {
                (row..last).try_for_each(|row| {
                    // A failure may be the user's wish to stop.
                    progress(self.progress())?;
                    self.batch(row, row + 1, progress)
                })?;
                if skip {
                    return Ok(());
                }
                // None of them fails alone. The work stops all the same: it was the potential's own error.
                let together = format!(
                    "{message}; so with {rest} frames at once, and with none of them alone: give a smaller batch where so many \
                     are too many"
                );
                Err(self.stopped(
                    (name, status),
                    first + frame,
                    &together,
                    "the same command goes on after them",
                ))
            }
            Err(Error::Potential { name, message, .. }) if skip => {
                progress(self.progress())?;
                log::debug!("{}: left out: potential {name}: {message}", numbers(self.data, &[row]));
                self.failing.push(row);
                self.partial.append_failing()
            }
            Err(Error::Potential { name, status, message, .. }) => {
                let how = "--skip-failing leaves such frames out and goes on where this ended";
                Err(self.stopped((name, status), row, &message, how))
            }
            other => other,
        }
    }

    /// The potential's error, with the frame as the trajectory numbers it, what is kept, and `how` to go on.
    fn stopped(&self, (name, status): (String, Option<i32>), row: usize, said: &str, how: &str) -> Error {
        let (done, total) = (self.partial.len(), self.data.len());
        let message = format!("{}{said}; {done} of {total} frames are kept: {how}", whereabouts(self.data));
        Error::Potential { name, frame: self.data.source.frames[row.min(total - 1)], status, message }
    }
}

/// Frames and their labels, ready to be written.
pub struct Labelled<'a> {
    data: &'a Dataset,
    partial: Partial,
    failing: Vec<usize>,
}

impl Labelled<'_> {
    /// Number of frames with labels.
    pub fn len(&self) -> usize {
        self.data.len() - self.failing.len()
    }

    /// Numbers of the frames left out, as the trajectory file counts them.
    pub fn failing(&self) -> Vec<usize> {
        self.failing.iter().map(|&row| self.data.source.frames[row]).collect()
    }

    /// Whether there is no such frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was left out, in one line for the user; none where nothing was.
    pub fn left_out(&self) -> Option<String> {
        let count = self.failing.len();
        let listed = (count > 0).then(|| numbers(self.data, &self.failing));
        listed.map(|listed| format!("{count} of {} frames left out as failing: {listed}", self.data.len()))
    }

    /// Writes the frames, their velocities where they have some and the writer was told so, and the labels. Says how
    /// the labels differ from those the frames had.
    ///
    /// # Errors
    /// [`Error::Data`] and [`Error::Io`] where the partial results cannot be read again, and as [`Writer::write`].
    pub fn write(&self, writer: &mut Writer) -> Result<Difference> {
        let mut records = self.partial.records()?;
        let mut sums = Sums::default();
        let shape = |rows: &[usize]| (rows.len(), self.data.atoms(), 3);
        for first in (0..self.data.len()).step_by(BLOCK) {
            let (mut rows, mut energies, mut forces) = (Vec::new(), Vec::new(), Vec::new());
            for row in first..(first + BLOCK).min(self.data.len()) {
                let record = records.next()?;
                if !record.failing {
                    sums.add(self.data, row, &record);
                    rows.push(row);
                    energies.push(record.energy);
                    forces.extend(record.forces);
                }
            }
            if rows.is_empty() {
                continue;
            }
            let forces = Array3::from_shape_vec(shape(&rows), forces)
                .map_err(|error| Error::Numeric(format!("the labels do not fit: {error}")))?;
            let positions = self.data.positions.select(Axis(0), &rows);
            let velocities = self.data.velocities.as_ref().map(|array| array.select(Axis(0), &rows));
            let velocities = velocities.as_ref().filter(|_| writer.has_velocities());
            writer.write(
                positions.view(),
                velocities.map(|array| array.view()),
                Some(Array1::from(energies).view()),
                Some(forces.view()),
            )?;
        }
        Ok(sums.difference())
    }

    /// The frames with their labels, in memory; failing ones are left out. Its digest is that of the labels.
    ///
    /// # Errors
    /// [`Error::Data`] and [`Error::Io`] where the partial results cannot be read again.
    pub fn dataset(&self) -> Result<Dataset> {
        let rows: Vec<usize> =
            (0..self.data.len()).filter(|row| self.failing.binary_search(row).is_err()).collect();
        let mut records = self.partial.records()?;
        let (mut energies, mut forces) = (Vec::new(), Vec::new());
        for _ in 0..self.data.len() {
            let record = records.next()?;
            if !record.failing {
                energies.push(record.energy);
                forces.extend(record.forces);
            }
        }
        let mut data = self.data.subset(&rows)?;
        let forces = Array3::from_shape_vec(data.positions.dim(), forces);
        data.forces =
            Some(forces.map_err(|error| Error::Numeric(format!("the labels do not fit: {error}")))?);
        data.energies = Some(Array1::from(energies));
        data.source.digest = data.digest();
        Ok(data)
    }

    /// Takes the partial results away, once the output is whole.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be removed.
    pub fn remove_partial(self) -> Result<()> {
        self.partial.remove()
    }
}

/// Where the frames are from, to begin a message with.
fn whereabouts(data: &Dataset) -> String {
    format!("in {}: ", data.source.name())
}

/// The first few of these rows as the trajectory file numbers them.
fn numbers(data: &Dataset, rows: &[usize]) -> String {
    let shown: Vec<String> =
        rows.iter().take(LISTED).map(|&row| data.source.frames[row].to_string()).collect();
    let more = match rows.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} {}{more}", if rows.len() == 1 { "frame" } else { "frames" }, shown.join(", "))
}
