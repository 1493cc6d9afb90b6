//! The one error type: what was wrong, where, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of every fallible call of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where in the input something was wrong. Frames and atoms are counted from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The frame in that file.
    pub frame: Option<usize>,
    /// The atom in that frame.
    pub atom: Option<usize>,
}

impl Place {
    /// The file as a whole.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Place { path: path.as_ref().to_owned(), frame: None, atom: None }
    }

    /// One frame of a file.
    pub fn frame(path: impl AsRef<Path>, frame: usize) -> Self {
        Place { frame: Some(frame), ..Place::file(path) }
    }

    /// One atom of one frame of a file.
    pub fn atom(path: impl AsRef<Path>, frame: usize, atom: usize) -> Self {
        Place { atom: Some(atom), ..Place::frame(path, frame) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(frame) = self.frame {
            write!(f, ", frame {frame}")?;
        }
        if let Some(atom) = self.atom {
            write!(f, ", atom {atom}")?;
        }
        Ok(())
    }
}

/// What can go wrong. Every message is one line and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call itself is wrong: an unknown unit, options that contradict each other, a missing
    /// option. The command line exits with 2.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read, written or renamed.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done, for example `cannot open`.
        action: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The content of a file is not what it must be.
    #[error("{place}: {message}")]
    Data {
        /// The file, frame and atom.
        place: Place,
        /// What was wrong and what to do.
        message: String,
    },
    /// A number that must be finite is not, or a computation lost its meaning.
    #[error("{0}")]
    Numeric(String),
    /// A potential failed, or gave no finite answer.
    #[error("potential {name}, frame {frame}: {message}")]
    Potential {
        /// What it calls itself.
        name: String,
        /// The frame, counted from 0 in the batch or file that the caller gave.
        frame: usize,
        /// The status of a caller's own potential, where it returned one.
        status: Option<i32>,
        /// What was wrong and what to do.
        message: String,
    },
    /// Not available in this build or on this machine.
    #[error("{0}")]
    Unsupported(String),
    /// Stopped by the user; what was done so far was saved where the message says.
    #[error("{0}")]
    Interrupted(String),
    /// A library underneath (libtorch, LAPACK) refused.
    #[error("{library}: {message}")]
    Library {
        /// Which one.
        library: &'static str,
        /// Its message, in one line.
        message: String,
    },
}

impl Error {
    /// An [`Error::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Error::Usage(message.into())
    }

    /// An [`Error::Data`].
    pub fn data(place: Place, message: impl Into<String>) -> Self {
        Error::Data { place, message: message.into() }
    }

    /// An [`Error::Io`].
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_owned(), action, source }
    }

    /// The same error with the frame of a batch numbered as the caller numbers it; other errors are left as they are.
    #[must_use]
    pub fn renumbered(self, number: impl Fn(usize) -> usize) -> Self {
        match self {
            Error::Potential { name, frame, status, message } => {
                Error::Potential { name, frame: number(frame), status, message }
            }
            other => other,
        }
    }

    /// Exit code of the command line for this error: 2 for a wrong call, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// Turns a possibly many-lined message of another library into one line.
pub(crate) fn one_line(message: &str) -> String {
    message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place_in_one_line() {
        let error = Error::data(Place::atom("run.dump", 12, 3), "the force is NaN; remove the frame");
        assert_eq!(error.to_string(), "run.dump, frame 12, atom 3: the force is NaN; remove the frame");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(Error::usage("no").exit_code(), 2);
        assert_eq!(one_line("\n  first\nsecond"), "first");
    }
}
