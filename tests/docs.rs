//! docs/cli.md is what `--help` says. The other pages are held against the program by tests/python/test_docs.py.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

mod command;

use std::fmt::Write as _;
use std::path::Path;

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
    write!(text, "\n```text\n{}\n```\n", top.trim_end()).unwrap();
    for name in names.filter(|name| *name != "help") {
        write!(text, "\n## {name}\n\n```text\n{}\n```\n", help(&[name]).trim_end()).unwrap();
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
