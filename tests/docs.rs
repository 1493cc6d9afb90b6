//! The documentation against the program: docs/cli.md is what --help says, and marked commands run.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

mod command;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use boltzdrift::sampler::noise::{Purpose, Stream};

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.push(root.join("README.md"));
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

fn help(arguments: &[&str]) -> String {
    let output = command::boltzdrift().args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The page as it must be: the help of every command, in the order of the program's own list.
fn reference() -> String {
    let top = help(&[]);
    let commands = top.split_once("Commands:\n").unwrap().1.lines().take_while(|line| line.starts_with("  "));
    let names =
        commands.filter(|line| !line.starts_with("   ")).map(|line| line.split_whitespace().next().unwrap());
    let mut text = "# Command line\n\nAs `boltzdrift --help` and the `--help` of each command say it. Exit codes: 0 done, 1 failed, 2 \
                    wrong use.\n"
        .to_owned();
    write!(text, "\n```\n{}\n```\n", top.trim_end()).unwrap();
    for name in names.filter(|name| *name != "help") {
        write!(text, "\n## {name}\n\n```\n{}\n```\n", help(&[name]).trim_end()).unwrap();
    }
    text
}

#[test]
fn the_command_line_page_is_what_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let wanted = reference();
    assert!(wanted.contains("## evaluate") && wanted.contains("--reference <FILE>"), "{wanted}");
    if std::env::var_os("BOLTZDRIFT_WRITE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == wanted,
        "docs/cli.md is not what --help says: BOLTZDRIFT_WRITE_DOCS=1 cargo test --release --test docs"
    );
}

/// A bent triatomic on springs at 300 K, with the forces: what a reader of the pages has as `molecule.xyz`.
fn molecule() -> String {
    let mut text = String::new();
    let spring = 0.596 / 0.03_f64.powi(2);
    for frame in 0..2000 {
        let mut stream = Stream::new(7, Purpose::Data, frame);
        text.push_str("3\nProperties=species:S:1:pos:R:3:forces:R:3\n");
        for (name, x, y) in [("O", 0.0, 0.0), ("H", 0.97, 0.0), ("H", -0.24, 0.94)] {
            let [a, b, c]: [f64; 3] = std::array::from_fn(|_| 0.03 * stream.normal());
            let forces = [a, b, c].map(|shift| format!("{:.6}", -spring * shift)).join(" ");
            writeln!(text, "{name} {:.8} {:.8} {c:.8} {forces}", x + a, y + b).unwrap();
        }
    }
    text
}

/// The fenced blocks that follow the line `<!-- run -->`.
fn marked(text: &str) -> Vec<String> {
    text.split("<!-- run -->\n")
        .skip(1)
        .map(|after| {
            let block = after.strip_prefix("```sh\n").expect("a block of sh follows the mark");
            block.split_once("\n```").expect("the block ends").0.to_owned()
        })
        .collect()
}

#[test]
fn marked_commands_run() {
    let mut run = 0;
    for page in pages() {
        let blocks = marked(&std::fs::read_to_string(&page).unwrap());
        if blocks.is_empty() {
            continue;
        }
        let room = tempfile::tempdir().unwrap();
        std::fs::write(room.path().join("molecule.xyz"), molecule()).unwrap();
        std::fs::write(room.path().join("small.toml"), command::SMALL).unwrap();
        let folder = Path::new(env!("CARGO_BIN_EXE_boltzdrift")).parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        for block in blocks {
            // Few steps of a small network: what is tested is the command, not the sampler.
            let script: Vec<String> = block
                .lines()
                .map(|line| match line.starts_with("boltzdrift train") {
                    true => format!("{line} --steps 200 --config small.toml --device cpu"),
                    false => line.to_owned(),
                })
                .collect();
            let done = Command::new("bash")
                .current_dir(room.path())
                .env("PATH", &path)
                .args(["-ec", &script.join("\n")])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{}: {block}\n{said}", page.display());
            run += 1;
        }
    }
    assert!(run >= 4, "{run} blocks were run");
}
