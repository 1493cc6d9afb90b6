//! Lets the program and the library find the libtorch they were linked against, gives the shared library its name, and
//! writes the C++ side of the bridge.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Version of the C ABI, `BZD_ABI_VERSION`: part of the shared library's name.
const ABI: &str = "1";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_LIB");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // OUT_DIR is <profile>/build/boltzdrift-<hash>/out.
    let profile = out.ancestors().nth(3).ok_or("OUT_DIR is not where cargo puts it")?;
    bridge(&profile.join("bridge"))?;
    if env::var("CARGO_CFG_TARGET_OS")? == "linux" {
        let name = format!("libboltzdrift.so.{ABI}");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{name}");
        // Calls inside the library stay inside, whatever the program around it exports.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic");
        // Programs that were linked against the library where cargo puts it look for it by that name.
        for folder in [profile.to_owned(), profile.join("deps")] {
            link(&folder.join(&name))?;
        }
    }
    if env::var_os("CARGO_FEATURE_TRAIN").is_some() {
        let folder = match (env::var("LIBTORCH_LIB"), env::var("LIBTORCH")) {
            (Ok(folder), _) => Some(folder),
            (_, Ok(root)) => Some(format!("{root}/lib")),
            // A libtorch of the system's own is found by the loader without help.
            _ => None,
        };
        if let Some(folder) = &folder {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        }
        // Where the bridge to CUDA is looked for: beside the program or library, beside the folder of the test programs,
        // and where an installed program has its libraries.
        let machine = format!("$ORIGIN/../lib/{}-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?);
        for place in ["$ORIGIN", "$ORIGIN/..", "$ORIGIN/../lib", "$ORIGIN/../lib64", &machine] {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{place}");
        }
        match cuda_bridge(folder.as_deref().map(Path::new), profile)? {
            None => println!("cargo:rustc-env=BOLTZDRIFT_CUDA_BRIDGE=yes"),
            Some(why) => println!("cargo:rustc-env=BOLTZDRIFT_NO_CUDA_BRIDGE={why}"),
        }
    }
    Ok(())
}

/// Builds `libboltzdrift_cuda.so` beside the library where libtorch has a CUDA part and CUDA's headers are at hand; or
/// says what is missing.
fn cuda_bridge(libtorch: Option<&Path>, profile: &Path) -> Result<Option<String>> {
    const SOURCE: &str = "cpp/cuda/bridge.cc";
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    let target = profile.join("libboltzdrift_cuda.so");
    // One of another libtorch is none.
    let _ = fs::remove_file(&target);
    let Some(folder) = libtorch else { return Ok(Some("LIBTORCH does not name its folder".into())) };
    let watched = folder.join("libtorch_cpu.so");
    if watched.exists() {
        println!("cargo:rerun-if-changed={}", watched.display());
    }
    let root = folder.parent().ok_or("LIBTORCH_LIB has no parent")?;
    if !folder.join("libtorch_cuda.so").exists() || !root.join("include/ATen/cuda/CUDAGraph.h").exists() {
        return Ok(Some("this libtorch has no CUDA part, or no headers of it".into()));
    }
    // The wheels put CUDA beside torch.
    let beside = fs::canonicalize(root)?.parent().map(|site| site.join("nvidia/cu13"));
    let own = env::var_os("CUDA_HOME").map(PathBuf::from);
    let usual = Some(PathBuf::from("/usr/local/cuda"));
    let holds = |cuda: &PathBuf| {
        ["cuda_runtime.h", "crt/host_config.h"].iter().all(|name| cuda.join("include").join(name).exists())
    };
    // What is beside torch is of its version.
    let Some(cuda) = beside.into_iter().chain(own).chain(usual).find(holds) else {
        return Ok(Some("CUDA's headers are not there; name its folder in CUDA_HOME".into()));
    };
    let mut command = cc::Build::new().cpp(true).opt_level(2).warnings(false).get_compiler().to_command();
    command.args(["-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]);
    let includes = [root.join("include"), root.join("include/torch/csrc/api/include"), cuda.join("include")];
    for include in includes {
        command.arg("-isystem").arg(include);
    }
    let unfinished = profile.join("libboltzdrift_cuda.so.new");
    command.arg(SOURCE).arg("-o").arg(&unfinished).arg("-L").arg(folder);
    command.args(["-ltorch_cuda", "-ltorch_cpu", "-lc10_cuda", "-lc10"]);
    // CUDA's own runtime comes with libtorch's CUDA part, which is loaded first.
    command.arg(format!("-Wl,-rpath,{}", folder.display()));
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines().for_each(|line| println!("cargo:warning={line}"));
        return Ok(Some(format!("{SOURCE} could not be compiled: see the warnings of the build")));
    }
    fs::rename(unfinished, target)?;
    Ok(None)
}

/// Makes the versioned name of the library beside it.
fn link(place: &Path) -> Result<()> {
    #[cfg(unix)]
    if fs::symlink_metadata(place).is_err() {
        std::os::unix::fs::symlink("libboltzdrift.so", place)?;
    }
    #[cfg(not(unix))]
    let _ = place;
    Ok(())
}

/// Writes the C++ code that speaks with `src/cxx_api.rs`, and that of the crate cxx which it needs:
/// `include/boltzdrift/bridge.h`, `include/cxx.h`, `src/bridge.cc`, `src/cxx.cc`.
fn bridge(folder: &Path) -> Result<()> {
    println!("cargo:rerun-if-changed=src/cxx_api.rs");
    let source = fs::read_to_string("src/cxx_api.rs")?;
    let made = cxx_gen::generate_header_and_cc(source.parse()?, &cxx_gen::Opt::default())?;
    let cxx_h = PathBuf::from(env::var("DEP_CXXBRIDGE1_HEADER")?);
    let cxx_cc = cxx_h.ancestors().nth(2).ok_or("cxx.h is not in its crate")?.join("src/cxx.cc");
    keep(&folder.join("include/boltzdrift/bridge.h"), &made.header)?;
    keep(&folder.join("src/bridge.cc"), &made.implementation)?;
    keep(&folder.join("include/cxx.h"), &fs::read(cxx_h)?)?;
    keep(&folder.join("src/cxx.cc"), &fs::read(cxx_cc)?)
}

/// Writes a file where it is not there already, so that what was built from it stays up to date.
fn keep(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    Ok(fs::write(path, content)?)
}
