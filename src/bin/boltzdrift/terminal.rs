//! What the user sees: log lines, progress bars, results, and Ctrl-C.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use boltzdrift::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

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
pub fn complain(error: &Error) {
    let _ = writeln!(std::io::stderr(), "boltzdrift: {}", error.to_string().replace('\n', " "));
}

/// A progress bar on stderr, shown only where stderr is a terminal.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar with a name and what it counts.
    pub fn new(quiet: bool, name: &'static str, what: &str) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Bar(None);
        }
        let bar = ProgressBar::no_length().with_prefix(name);
        let style =
            format!("{{prefix}} {{wide_bar}} {{pos}}/{{len}} {what}  {{msg}}  {{per_sec}}  {{eta}} left");
        bar.set_style(ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar(Some(bar))
    }

    /// How far it is, of how many where known.
    pub fn set(&self, position: u64, total: Option<u64>) {
        if let Bar(Some(bar)) = self {
            if let Some(total) = total {
                bar.set_length(total.max(position));
            }
            bar.set_position(position);
        }
    }

    /// Begins at a position: what an earlier run did counts neither in the rate nor in the time left.
    pub fn begin(&self, position: u64, total: u64) {
        if let Bar(Some(bar)) = self {
            bar.set_length(total);
            bar.set_position(position);
            bar.reset_eta();
        }
    }

    /// A few words beside the bar.
    pub fn note(&self, text: String) {
        if let Bar(Some(bar)) = self {
            bar.set_message(text);
        }
    }

    /// Takes the bar away.
    pub fn done(&self) {
        if let Bar(Some(bar)) = self {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.done();
    }
}
