//! Whole files or none.

use std::io::Write;
use std::path::Path;

use crate::error::Place;
use crate::{Error, Result};

/// Writes bytes to a temporary file beside `path`, makes them durable and renames: `path` holds either
/// what it held before or all of the new bytes.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
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
    file.persist(path).map_err(|error| Error::io(path, "cannot rename the temporary file", error.error))?;
    Ok(())
}
