//! What the user sees: log lines, progress bars, results, and Ctrl-C.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use boltzdrift::{Error, Result};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

const MOST_THREADS: usize = 1024;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Every warning of this run, for its report.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Installs the program's logger on stderr; the library itself never does.
pub fn start_log(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) | (_, 0) => log::LevelFilter::Warn,
        (_, 1) => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new()
        .filter_module("boltzdrift", level)
        .format(move |out, record| {
            if record.level() == log::Level::Warn {
                if let Ok(mut warnings) = WARNINGS.lock() {
                    warnings.push(record.args().to_string());
                }
                if quiet {
                    return Ok(());
                }
            }
            writeln!(out, "{}: {}", record.level().as_str().to_lowercase(), record.args())
        })
        .init();
}

/// What this run has warned of so far, also where `--quiet` did not show it.
pub fn warnings() -> Vec<String> {
    WARNINGS.lock().map(|warnings| warnings.clone()).unwrap_or_default()
}

/// The command line as it was given.
pub fn command() -> String {
    let words = std::env::args_os().skip(1).map(|word| {
        let word = word.to_string_lossy().into_owned();
        if word.is_empty() || word.contains(char::is_whitespace) {
            format!("'{word}'")
        } else {
            word
        }
    });
    std::iter::once("boltzdrift".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Sizes the thread pool of this process.
///
/// # Errors
/// [`Error::Usage`] for 0 threads.
pub fn use_threads(threads: Option<usize>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    if !(1..=MOST_THREADS).contains(&threads) {
        return Err(Error::usage(format!("--threads {threads}: give 1 to {MOST_THREADS}")));
    }
    // A potential on libtorch computes with libtorch's own threads.
    #[cfg(feature = "train")]
    boltzdrift::train::device::use_threads(threads);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Error::usage(format!("--threads {threads}: {error}")))
}

/// Ctrl-C and SIGTERM set a flag that the commands look at; the second one ends the program at once.
///
/// # Errors
/// [`Error::Unsupported`] where the system refuses the handler.
pub fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .map_err(|error| Error::Unsupported(format!("cannot handle Ctrl-C: {error}")))
}

/// A file that grows past the user's limit (`ulimit -f`) is then an error of the write, with a message and
/// a clean end, instead of the end of the program.
///
/// # Errors
/// [`Error::Unsupported`] where the system refuses the handler.
pub fn survive_file_limits() -> Result<()> {
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::new(AtomicBool::new(false)))
        .map_err(|error| Error::Unsupported(format!("cannot handle SIGXFSZ: {error}")))?;
    Ok(())
}

/// Whether the user asked to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Prints a result on stdout. A reader that went away is not an error of ours.
///
/// # Errors
/// [`Error::Io`] where stdout cannot take it, for example on a full disk.
pub fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("stdout", "cannot write", error))
        }
        _ => Ok(()),
    }
}

/// Prints an error on stderr, in one line.
pub fn complain(error: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "boltzdrift: {}", error.to_string().replace('\n', " "));
}

/// Time between the lines that stand for a bar in a log.
const LINES: Duration = Duration::from_secs(60);

/// How far a command is: a bar on stderr where that is a terminal; else, with `-v`, a line every minute, which says how long a
/// job in a queue will take.
pub struct Bar(Shown);

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines(RefCell<Lines>),
}

struct Lines {
    name: &'static str,
    what: String,
    /// What an earlier run did, and when this one began.
    begun: (u64, Instant),
    last: Instant,
    note: String,
}

impl Lines {
    fn text(&self, position: u64, total: Option<u64>, elapsed: Duration) -> String {
        let Lines { name, what, note, .. } = self;
        let rate = position.saturating_sub(self.begun.0) as f64 / elapsed.as_secs_f64().max(1e-9);
        let of = total.map_or_else(String::new, |total| format!(" of {total}"));
        let left = total.filter(|_| rate > 0.0).map(|total| total.saturating_sub(position) as f64 / rate);
        let left = left.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let left = left.map_or_else(String::new, |left| format!(", {} left", HumanDuration(left)));
        let note = if note.is_empty() { String::new() } else { format!("; {note}") };
        format!("{name}: {position}{of} {what}, {rate:.3} a second{left}{note}")
    }
}

impl Bar {
    /// A bar with a name and what it counts.
    pub fn new(quiet: bool, name: &'static str, what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            let now = Instant::now();
            return Bar(match !quiet && log::log_enabled!(log::Level::Info) {
                true => Shown::Lines(RefCell::new(Lines {
                    name,
                    what: what.to_owned(),
                    begun: (0, now),
                    last: now,
                    note: String::new(),
                })),
                false => Shown::Nothing,
            });
        }
        if quiet {
            return Bar(Shown::Nothing);
        }
        let bar = ProgressBar::no_length().with_prefix(name);
        let style =
            format!("{{prefix}} {{wide_bar}} {{pos}}/{{len}} {what}  {{msg}}  {{per_sec}}  {{eta}} left");
        bar.set_style(ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar(Shown::Bar(bar))
    }

    /// How far it is, of how many where known.
    pub fn set(&self, position: u64, total: Option<u64>) {
        match &self.0 {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                if let Some(total) = total {
                    bar.set_length(total.max(position));
                }
                bar.set_position(position);
            }
            Shown::Lines(lines) => {
                let mut lines = lines.borrow_mut();
                if lines.last.elapsed() >= LINES {
                    lines.last = Instant::now();
                    log::info!("{}", lines.text(position, total, lines.begun.1.elapsed()));
                }
            }
        }
    }

    /// Begins at a position: what an earlier run did counts neither in the rate nor in the time left.
    pub fn begin(&self, position: u64, total: u64) {
        match &self.0 {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(position);
                bar.reset_eta();
            }
            Shown::Lines(lines) => lines.borrow_mut().begun = (position, Instant::now()),
        }
    }

    /// A few words beside the bar.
    pub fn note(&self, text: String) {
        match &self.0 {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_message(text),
            Shown::Lines(lines) => lines.borrow_mut().note = text,
        }
    }

    /// Takes the bar away.
    pub fn done(&self) {
        if let Shown::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.done();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_rate_and_time_left_of_this_run() {
        let now = Instant::now();
        let mut lines = Lines {
            name: "labeling",
            what: "frames".into(),
            begun: (1000, now),
            last: now,
            note: String::new(),
        };
        let said = lines.text(1240, Some(8440), Duration::from_secs(120));
        assert_eq!(said, "labeling: 1240 of 8440 frames, 2.000 a second, 60 minutes left");
        lines.note = "loss 0.5".into();
        let said = lines.text(1000, None, Duration::from_secs(60));
        assert_eq!(said, "labeling: 1000 frames, 0.000 a second; loss 0.5");
    }
}
