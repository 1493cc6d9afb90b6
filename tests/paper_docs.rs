//! The table of docs/paper.md is that of the results in docs/paper-results.
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
fn the_table_holds_every_result_that_is_kept() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let folder = docs.join("paper-results");
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
    let (before, rest) = text.split_once("<!-- results -->\n").unwrap();
    let (found, after) = rest.split_once("\n<!-- end of results -->").unwrap();
    if std::env::var_os("BOLTZDRIFT_WRITE_DOCS").is_some() {
        std::fs::write(&page, format!("{before}<!-- results -->\n{table}\n<!-- end of results -->{after}"))
            .unwrap();
    } else {
        assert!(
            found == table,
            "docs/paper.md does not hold the results: BOLTZDRIFT_WRITE_DOCS=1 cargo test --release --test paper_docs"
        );
    }
}
