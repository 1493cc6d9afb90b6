//! The lines between the rooms: what may name what, and where `unsafe` may stand.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code, without comments, that hold `word`, outside the places allowed to.
fn strays(word: &str, allowed: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 30, "the sources moved: {}", files.len());
    let mut out = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if allowed.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let whole = code.match_indices(word).any(|(at, _)| {
                !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
            });
            if whole {
                out.push(format!("src/{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    out
}

#[test]
fn only_the_dataset_names_chemfiles() {
    assert_eq!(strays("chemfiles::", &["dataset/"]), Vec::<String>::new());
}

#[test]
fn messages_name_frames_by_what_they_are_from() {
    // Frames from arrays have no path: Source::name says so, where the path alone would be empty.
    let rooms = ["dataset/", "report/inspection.rs", "train/feature_cache"];
    assert_eq!(strays("source.path", &rooms), Vec::<String>::new());
}

#[test]
fn few_rooms_name_torch() {
    assert_eq!(
        strays("tch::", &["cuda/", "drift/", "generator.rs", "potential/torchscript", "train/"]),
        Vec::<String>::new()
    );
}

#[test]
fn frames_do_not_meet_torch_in_the_fields() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/drift");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("crate::dataset"), "{}: a field takes tensors only", file.display());
    }
}

#[test]
fn unsafe_stands_in_the_foreign_rooms_alone_and_says_why() {
    let rooms = [
        "c_api/",
        "cxx_api.rs",
        "cuda/bridge.rs",
        "potential/foreign",
        "potential/plugin.rs",
        "ranks/mpi.rs",
        "train/device.rs",
        "train/memory.rs",
    ];
    assert_eq!(strays("unsafe ", &rooms), Vec::<String>::new());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let foreign = |file: &PathBuf| {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap();
        rooms.iter().any(|room| name.starts_with(room))
    };
    for file in files.into_iter().filter(foreign) {
        let text = std::fs::read_to_string(&file).unwrap();
        let file = file.display();
        let lines: Vec<&str> = text.lines().collect();
        for (k, line) in lines.iter().enumerate() {
            if line.contains("unsafe {") {
                let reason = lines[k.saturating_sub(4)..=k].iter().any(|before| before.contains("SAFETY"));
                assert!(reason, "{file}:{}: no SAFETY line", k + 1);
            }
        }
    }
}
