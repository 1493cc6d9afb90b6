//! Lets the program and the library find the libtorch they were linked against.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_LIB");
    if std::env::var_os("CARGO_FEATURE_TRAIN").is_none() {
        return;
    }
    let folder = match (std::env::var("LIBTORCH_LIB"), std::env::var("LIBTORCH")) {
        (Ok(folder), _) => folder,
        (_, Ok(root)) => format!("{root}/lib"),
        // A libtorch of the system's own is found by the loader without help.
        _ => return,
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
}
