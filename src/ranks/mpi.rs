//! Ranks of an MPI job, through the MPI that the machine has: loaded by name when it is asked for, so that one build serves
//! all, and none is needed without.
//!
//! MPI says what its functions do, not what a communicator or a type is in memory. Three layouts cover what is in use: that of
//! MPICH (also Intel MPI, Cray's, MVAPICH), that of Open MPI, and the one that MPI 5 sets down.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::fmt::{self, Debug};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use libloading::{Library, Symbol};

use super::Ranks;
use crate::error::one_line;
use crate::{Error, Result};

/// Where MPI is looked for: MPICH's name, which its relatives have too, that of MPI 5's layout, and Open MPI's.
const NAMES: [&str; 5] = ["libmpi.so.12", "libmpi_abi.so.1", "libmpi_abi.so.0", "libmpi.so.40", "libmpi.so"];
/// `MPI_THREAD_FUNNELED` in MPICH and Open MPI: other threads compute, this one communicates.
const FUNNELED: c_int = 1;
/// The same in MPI 5's layout.
const FUNNELED_OF_ABI: c_int = 1024;
/// More than any `MPI_MAX_LIBRARY_VERSION_STRING`.
const LONGEST_VERSION: usize = 1 << 14;

/// The MPI of this process, from its start to its end.
pub struct Mpi {
    calls: Box<dyn Calls>,
    rank: usize,
    count: usize,
    version: String,
    /// Whether MPI was started here, and is to be ended here.
    ours: bool,
    ended: AtomicBool,
}

impl Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {} of {}", self.rank, self.count, self.version)
    }
}

/// A communicator or a type where it is the address of something.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Address(*const c_void);

// SAFETY: the address is never followed here; it is a name that MPI knows, the same on every thread.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

/// What is asked of MPI.
trait Calls: Send + Sync {
    fn rank_and_count(&self) -> std::result::Result<(c_int, c_int), c_int>;
    fn gather(&self, mine: &[f32], all: &mut [f32]) -> c_int;
    fn exchange(&self, mine: &[f32], theirs: &mut [f32]) -> c_int;
    fn abort(&self, code: c_int);
    fn finalize(&self) -> c_int;
}

type OfRank<H> = unsafe extern "C" fn(H, *mut c_int) -> c_int;
type OfAll<H> = unsafe extern "C" fn(*const c_void, c_int, H, *mut c_void, c_int, H, H) -> c_int;

/// The functions where a communicator or a type is an `H`.
struct Table<H> {
    world: H,
    float: H,
    rank: OfRank<H>,
    size: OfRank<H>,
    all_gather: OfAll<H>,
    all_to_all: OfAll<H>,
    abort: unsafe extern "C" fn(H, c_int) -> c_int,
    finalize: unsafe extern "C" fn() -> c_int,
}

impl<H: Copy + Send + Sync> Calls for Table<H> {
    fn rank_and_count(&self) -> std::result::Result<(c_int, c_int), c_int> {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: MPI is running; both places are valid for a write.
        let status = unsafe {
            match (self.rank)(self.world, &raw mut rank) {
                0 => (self.size)(self.world, &raw mut size),
                status => status,
            }
        };
        match status {
            0 => Ok((rank, size)),
            status => Err(status),
        }
    }

    fn gather(&self, mine: &[f32], all: &mut [f32]) -> c_int {
        let count = mine.len() as c_int;
        let to = all.as_mut_ptr().cast();
        // SAFETY: MPI is running; `all` has room for as many numbers of every rank, and the caller has looked at the lengths.
        unsafe {
            (self.all_gather)(mine.as_ptr().cast(), count, self.float, to, count, self.float, self.world)
        }
    }

    fn exchange(&self, mine: &[f32], theirs: &mut [f32]) -> c_int {
        let Ok((_, ranks)) = self.rank_and_count() else { return 1 };
        let count = mine.len() as c_int / ranks.max(1);
        let to = theirs.as_mut_ptr().cast();
        // SAFETY: as above; both hold one piece of each rank.
        unsafe {
            (self.all_to_all)(mine.as_ptr().cast(), count, self.float, to, count, self.float, self.world)
        }
    }

    fn abort(&self, code: c_int) {
        // SAFETY: MPI is running. The call does not come back where it works.
        unsafe { (self.abort)(self.world, code) };
    }

    fn finalize(&self) -> c_int {
        // SAFETY: MPI was started by this process and is running.
        unsafe { (self.finalize)() }
    }
}

/// Which of the layouts a library has.
enum Layout {
    Mpich,
    OpenMpi,
    Abi,
}

impl Mpi {
    /// Starts MPI, where the program has not done so: the library of this name or path, or where none is given the first that
    /// the system finds of `libmpi.so.12`, `libmpi_abi.so.1`, `libmpi.so.40`, `libmpi.so`. It has to be the one that the
    /// launcher belongs to. Its code runs in this process: load only what you trust. To be called, as every call on what it
    /// gives, on one and the same thread.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is none, or its layout is not known, or it refuses to start; [`Error::Usage`] where
    /// the launcher has started several processes and this MPI sees one.
    pub fn start(library: Option<&Path>) -> Result<Mpi> {
        let library = load(library)?;
        let version = version(&library)?;
        let layout = layout(&library, &version)?;
        let calls: Box<dyn Calls> = match layout {
            // The numbers in mpi.h of MPICH since 1.5, on which its relatives agreed in 2013.
            Layout::Mpich => Box::new(table::<c_int>(&library, 0x4400_0000, 0x4c00_040a)?),
            // The numbers of MPI 5, chapter 20.
            Layout::Abi => {
                let [world, float] = [0x101_usize, 0x210].map(|name| Address(name as *const c_void));
                Box::new(table(&library, world, float)?)
            }
            Layout::OpenMpi => {
                let world = object(&library, b"ompi_mpi_comm_world\0")?;
                Box::new(table(&library, world, object(&library, b"ompi_mpi_float\0")?)?)
            }
        };
        let funneled = if matches!(layout, Layout::Abi) { FUNNELED_OF_ABI } else { FUNNELED };
        let ours = initialize(&library, funneled)?;
        // MPI leaves threads and handlers behind that lie in the library: it stays mapped.
        std::mem::forget(library);
        let (rank, count) = calls.rank_and_count().map_err(|status| {
            Error::Unsupported(format!("{version}: no world of ranks (status {status})"))
        })?;
        let (rank, count) = (rank.max(0) as usize, count.max(1) as usize);
        let mpi = Mpi { calls, rank, count, version, ours, ended: AtomicBool::new(false) };
        match super::launched_among() {
            Some(launched) if count == 1 => Err(Error::usage(format!(
                "the launcher has started {launched} processes, and {} sees one: it is another MPI than the launcher's; give the \
                 right one, --mpi=/path/to/libmpi.so",
                mpi.version
            ))),
            _ => Ok(mpi),
        }
    }

    /// What the library calls itself, in one line.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Ends all ranks at once, with this exit code: none waits for one that has failed. Nothing where MPI has ended.
    pub fn abort(&self, code: u8) {
        if !self.ended.swap(true, Ordering::SeqCst) {
            self.calls.abort(c_int::from(code));
        }
    }

    /// Ends MPI, where it was started here, once all ranks have come so far.
    pub fn end(&self) {
        if self.ours && !self.ended.swap(true, Ordering::SeqCst) {
            let status = self.calls.finalize();
            if status != 0 {
                log::debug!("{}: ended with status {status}", self.version);
            }
        }
    }

    /// Whether [`Mpi::end`] or [`Mpi::abort`] was called.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn said(&self, status: c_int) -> Result<()> {
        match status {
            0 => Ok(()),
            status => {
                Err(Error::Library { library: "MPI", message: format!("{}: status {status}", self.version) })
            }
        }
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        // The others may be waiting for what this rank will never send.
        if std::thread::panicking() {
            self.abort(1);
        }
        self.end();
    }
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn gather(&self, mine: &[f32]) -> Result<Vec<f32>> {
        let mut all = vec![0.0; countable(mine.len().saturating_mul(self.count))?];
        self.said(self.calls.gather(mine, &mut all))?;
        Ok(all)
    }

    fn exchange(&self, mine: &[f32]) -> Result<Vec<f32>> {
        if !mine.len().is_multiple_of(self.count) {
            return Err(Error::Numeric(format!(
                "{} numbers are no {} pieces of one length",
                mine.len(),
                self.count
            )));
        }
        let mut theirs = vec![0.0; countable(mine.len())?];
        self.said(self.calls.exchange(mine, &mut theirs))?;
        Ok(theirs)
    }
}

/// MPI counts in an `int`.
fn countable(length: usize) -> Result<usize> {
    if c_int::try_from(length).is_ok() {
        return Ok(length);
    }
    Err(Error::Unsupported(format!(
        "{length} numbers are too many for one message of MPI; take a smaller batch"
    )))
}

fn load(library: Option<&Path>) -> Result<Library> {
    let names: Vec<&Path> = match library {
        Some(path) => vec![path],
        None => NAMES.iter().map(Path::new).collect(),
    };
    let mut why = String::new();
    for name in names {
        match open(name) {
            Ok(library) => return Ok(library),
            // The first is the one that most have, or the user's own.
            Err(error) if why.is_empty() => why = one_line(&error.to_string()),
            Err(_) => {}
        }
    }
    Err(Error::Unsupported(format!(
        "no MPI library ({why}); give the one that the launcher belongs to, --mpi=/path/to/libmpi.so"
    )))
}

/// Open to all that is loaded later: parts of Open MPI are, and look for it there.
#[cfg(unix)]
fn open(name: &Path) -> std::result::Result<Library, libloading::Error> {
    use libloading::os::unix::{Library as Unix, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the user asks for MPI; its initializers run here.
    unsafe { Unix::open(Some(name), RTLD_NOW | RTLD_GLOBAL) }.map(Library::from)
}

#[cfg(not(unix))]
fn open(name: &Path) -> std::result::Result<Library, libloading::Error> {
    // SAFETY: the user asks for MPI; its initializers run here.
    unsafe { Library::new(name) }
}

fn lacking(name: &[u8], error: &libloading::Error) -> Error {
    let name = String::from_utf8_lossy(name.strip_suffix(b"\0").unwrap_or(name)).into_owned();
    Error::Unsupported(format!(
        "not a usable MPI library: no {name} ({}); give another, --mpi=/path/to/libmpi.so",
        one_line(&error.to_string())
    ))
}

/// A function of the library.
///
/// # Safety
/// `T` must be the type that MPI says, in the library's layout.
unsafe fn function<T: Copy>(library: &Library, name: &[u8]) -> Result<T> {
    // SAFETY: the caller's promise.
    let found: Symbol<T> = unsafe { library.get(name) }.map_err(|error| lacking(name, &error))?;
    Ok(*found)
}

/// The address of an object of the library.
fn object(library: &Library, name: &[u8]) -> Result<Address> {
    // SAFETY: only the address is taken.
    let found: Symbol<*const c_void> = unsafe { library.get(name) }.map_err(|error| lacking(name, &error))?;
    // SAFETY: a pointer-sized symbol is held as its address.
    Ok(Address(unsafe { found.into_raw() }.into_raw()))
}

fn version(library: &Library) -> Result<String> {
    let mut text = vec![0_u8; LONGEST_VERSION];
    let mut length: c_int = 0;
    // SAFETY: the type is the one that MPI says, and the text has more room than any MPI asks for; the call is allowed at any time.
    unsafe {
        type Version = unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int;
        let get: Version = function(library, b"MPI_Get_library_version\0")?;
        get(text.as_mut_ptr().cast(), &raw mut length);
    }
    let text = &text[..(length.max(0) as usize).min(LONGEST_VERSION)];
    let text = String::from_utf8_lossy(text).replace('\0', " ");
    let line = one_line(&text);
    // MPICH writes tables: its first line is name and version.
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect())
}

fn layout(library: &Library, version: &str) -> Result<Layout> {
    if of_abi(library) {
        return Ok(Layout::Abi);
    }
    if object(library, b"ompi_mpi_comm_world\0").is_ok() {
        return Ok(Layout::OpenMpi);
    }
    if ["MPICH", "Intel", "CRAY", "MVAPICH"].iter().any(|name| version.contains(name)) {
        return Ok(Layout::Mpich);
    }
    Err(Error::Unsupported(format!(
        "{version}: not an MPI that is known here; give MPICH or a relative, Open MPI, or a libmpi_abi.so of MPI 5, \
         --mpi=/path/to/it"
    )))
}

/// Whether the library has MPI 5's layout: one that has another, and knows of this one, says version -1.
fn of_abi(library: &Library) -> bool {
    type Versions = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;
    let (mut major, mut minor) = (-1, -1);
    // SAFETY: the type is the one that MPI 5 says, and the places are valid; the call is allowed at any time.
    let status = unsafe {
        let Ok(get) = function::<Versions>(library, b"MPI_Abi_get_version\0") else { return false };
        get(&raw mut major, &raw mut minor)
    };
    status == 0 && major >= 1
}

/// The functions of a library whose communicators and types are an `H`.
fn table<H: Copy + Send + Sync>(library: &Library, world: H, float: H) -> Result<Table<H>> {
    // SAFETY: the types are those that MPI says, in the layout that the library was found to have.
    unsafe {
        Ok(Table {
            world,
            float,
            rank: function(library, b"MPI_Comm_rank\0")?,
            size: function(library, b"MPI_Comm_size\0")?,
            all_gather: function(library, b"MPI_Allgather\0")?,
            all_to_all: function(library, b"MPI_Alltoall\0")?,
            abort: function(library, b"MPI_Abort\0")?,
            finalize: function(library, b"MPI_Finalize\0")?,
        })
    }
}

/// Starts MPI; false where the program has done so.
fn initialize(library: &Library, funneled: c_int) -> Result<bool> {
    type Flag = unsafe extern "C" fn(*mut c_int) -> c_int;
    type Start = unsafe extern "C" fn(*mut c_int, *mut *mut *mut c_char, c_int, *mut c_int) -> c_int;
    let (mut running, mut over, mut provided) = (0, 0, 0);
    // SAFETY: the types are those that MPI says, and the places are valid; NULL stands for the command line that MPI need not see.
    let status = unsafe {
        function::<Flag>(library, b"MPI_Initialized\0")?(&raw mut running);
        function::<Flag>(library, b"MPI_Finalized\0")?(&raw mut over);
        match (running, over) {
            (0, 0) => {
                let start: Start = function(library, b"MPI_Init_thread\0")?;
                start(std::ptr::null_mut(), std::ptr::null_mut(), funneled, &raw mut provided)
            }
            _ => 0,
        }
    };
    if status != 0 || over != 0 {
        let why = if over != 0 { "it has ended in this process".into() } else { format!("status {status}") };
        return Err(Error::Unsupported(format!("MPI does not start: {why}")));
    }
    if running == 0 && provided < funneled {
        return Err(Error::Unsupported(
            "this MPI takes no calls of a process with threads; take one with MPI_THREAD_FUNNELED".into(),
        ));
    }
    Ok(running == 0)
}
