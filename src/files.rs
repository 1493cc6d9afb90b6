//! Whole files or none.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::Place;
use crate::{Error, Result};

/// Writes bytes to a temporary file beside `path`, makes them durable and renames: `path` holds either
/// what it held before or all of the new bytes.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = written(path, bytes)?;
    file.persist(path).map_err(|error| Error::io(path, "cannot rename the temporary file", error.error))?;
    Ok(())
}

/// As [`write_atomically`] for a file that is not there yet, which comes back open for reading and writing and is this
/// process's own ([`lock`]) before anyone sees it; none where another process has made it meanwhile.
pub(crate) fn create_locked(path: &Path, bytes: &[u8]) -> Result<Option<File>> {
    let file = written(path, bytes)?;
    if !lock(file.as_file()) {
        return Ok(None);
    }
    match file.persist_noclobber(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(Error::io(path, "cannot rename the temporary file", error.error)),
    }
}

/// Makes an open file this one's own until it is closed, by a kill too; false where it is another's. A file system without
/// locks refuses nobody.
#[cfg(unix)]
pub(crate) fn lock(file: &File) -> bool {
    use rustix::fs::{flock, FlockOperation};
    !matches!(flock(file, FlockOperation::NonBlockingLockExclusive), Err(rustix::io::Errno::WOULDBLOCK))
}

#[cfg(not(unix))]
pub(crate) fn lock(_file: &File) -> bool {
    true
}

/// Gives a file up that is this process's own. Closing it is not enough: a process that is being started elsewhere in this
/// one holds it open for a moment too.
#[cfg(unix)]
pub(crate) fn unlock(file: &File) {
    use rustix::fs::{flock, FlockOperation};
    // Where it cannot be given up it was never taken.
    let _ = flock(file, FlockOperation::Unlock);
}

#[cfg(not(unix))]
pub(crate) fn unlock(_file: &File) {}

/// A temporary file beside `path` with these bytes, durable.
fn written(path: &Path, bytes: &[u8]) -> Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return Err(Error::data(Place::file(path), "this is a folder; give the name of a file to write"));
    }
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is private by default; the finished one is as any other file (the umask applies).
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder
        .prefix(".boltzdrift-")
        .tempfile_in(folder)
        .map_err(|error| Error::io(path, "cannot write in this folder", error))?;
    file.write_all(bytes).map_err(|error| Error::io(path, "cannot write", error))?;
    file.as_file().sync_all().map_err(|error| Error::io(path, "cannot write", error))?;
    Ok(file)
}
