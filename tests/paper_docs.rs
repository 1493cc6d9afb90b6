//! The tables of docs/paper.md are those of the results in docs/paper-results and docs/paper-results-cpu.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(feature = "train")]

use std::path::Path;

use boltzdrift::paper::{rows, Frames, Outcome, Row};
use boltzdrift::report::paper_markdown;

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_tables_hold_every_result_that_is_kept() {
    holds("paper-results", "results");
    holds("paper-results-cpu", "results on the CPU");
}

/// That the table between the marks has the results of a folder beside the page, or writes it.
fn holds(folder: &str, mark: &str) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let folder = docs.join(folder);
    let mut outcomes: Vec<Outcome> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("frames.json"))
        .map(|path| read(&path))
        .collect();
    outcomes.sort_by_key(|outcome| outcome.seed);
    let (first, count) = (outcomes[0].protocol.clone(), outcomes.len());
    for outcome in &outcomes {
        let own = &outcome.protocol;
        assert_eq!((&own.data, &own.reference), (&first.data, &first.reference), "{}", outcome.row);
        if let Some(settings) = &own.settings {
            assert_eq!((settings.steps, own.samples), (20_000, 10_000), "{}", outcome.row);
        }
    }
    let all: Vec<(Row, Vec<Outcome>)> = rows()
        .into_iter()
        .map(|row| {
            let of = outcomes.iter().filter(|outcome| outcome.row == row.name).cloned().collect();
            (row, of)
        })
        .collect();
    assert_eq!(all.iter().map(|(_, outcomes)| outcomes.len()).sum::<usize>(), count, "a row is not known");
    let table = paper_markdown(&all, &read::<Frames>(&folder.join("frames.json")));

    let page = docs.join("paper.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (start, end) = (format!("<!-- {mark} -->\n"), format!("\n<!-- end of {mark} -->"));
    let (before, rest) = text.split_once(&start).unwrap();
    let (found, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("BOLTZDRIFT_WRITE_DOCS").is_some() {
        std::fs::write(&page, format!("{before}{start}{table}{end}{after}")).unwrap();
    } else {
        assert!(
            found == table,
            "docs/paper.md does not hold the results: BOLTZDRIFT_WRITE_DOCS=1 cargo test --release --test paper_docs"
        );
    }
}
