//! The HTML reports of `evaluate` and `train`: well-formed, all there, loading nothing, and drawn in Chromium where there is one.
// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use boltzdrift::sampler::noise::{Purpose, Stream};
use command::{bad, full_disk, good};
use roxmltree::{Document, Node, ParsingOptions};

/// Hydrogen peroxide with an O-O-H-H dihedral near 115 degrees, forces and energies of springs at 300 K.
fn peroxide(frames: usize, seed: u64, width: f64) -> String {
    let mut text = String::new();
    for frame in 0..frames {
        let mut stream = Stream::new(seed, Purpose::Data, frame as u64);
        let phi: f64 = 2.0 + 0.3 * stream.normal();
        let places = [
            ("O", [0.0, 0.0, 0.0]),
            ("O", [1.45, 0.0, 0.0]),
            ("H", [-0.17, 0.95, 0.0]),
            ("H", [1.62, 0.95 * phi.cos(), 0.95 * phi.sin()]),
        ];
        let mut rows = String::new();
        let mut energy = 0.0;
        for (name, place) in places {
            let shift: [f64; 3] = std::array::from_fn(|_| width * stream.normal());
            // kT / width^2 makes springs of this width those of 300 K.
            let spring = 0.596 / 0.03_f64.powi(2);
            energy += 0.5 * spring * shift.iter().map(|x| x * x).sum::<f64>();
            let [x, y, z] = std::array::from_fn(|c| place[c] + shift[c]);
            let [fx, fy, fz] = shift.map(|x| -spring * x);
            writeln!(rows, "{name} {x:.8} {y:.8} {z:.8} {fx:.6} {fy:.6} {fz:.6}").unwrap();
        }
        writeln!(
            text,
            "4\nProperties=species:S:1:pos:R:3:forces:R:3 energy={energy:.6}\n{}",
            rows.trim_end()
        )
        .unwrap();
    }
    text
}

fn parse(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).unwrap()
}

fn with_id<'a>(page: &'a Document<'a>, id: &str) -> Node<'a, 'a> {
    page.descendants()
        .find(|node| node.attribute("id") == Some(id))
        .unwrap_or_else(|| panic!("no element '{id}'"))
}

/// No element that loads something, and no address in a style or a script.
fn loads_nothing(page: &Document) {
    for node in page.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        assert!(
            !["link", "img", "iframe", "object", "embed", "base", "image", "use", "a"].contains(&name),
            "{name}"
        );
        for attribute in node.attributes() {
            assert!(
                !["src", "href", "srcset", "action", "data"].contains(&attribute.name()),
                "{name} {attribute:?}"
            );
        }
        if ["style", "script"].contains(&name) {
            let text: String = node.descendants().filter_map(|inner| inner.text()).collect();
            for address in ["http:", "https:", "url(", "@import", "fetch(", "XMLHttpRequest"] {
                assert!(!text.contains(address), "{name} has {address}");
            }
        }
    }
    let policy = page.descendants().find(|n| n.attribute("http-equiv") == Some("Content-Security-Policy"));
    assert!(policy.unwrap().attribute("content").unwrap().starts_with("default-src 'none'"));
}

/// Every section of charts, each with at least so many charts and a text beside them.
fn has(page: &Document, sections: &[(&str, usize)]) {
    for (id, least) in sections {
        let section = with_id(page, id);
        let charts = section.descendants().filter(|node| node.tag_name().name() == "svg").count();
        assert!(charts >= *least, "{id}: {charts} charts");
        let said = section.children().filter(|node| node.tag_name().name() == "p").filter_map(|p| p.text());
        assert!(said.map(str::len).sum::<usize>() > 80, "{id} explains nothing");
    }
}

fn room() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    put("reference.xyz", peroxide(1500, 1, 0.03));
    put("samples.xyz", peroxide(1200, 2, 0.05));
    put("refined.xyz", peroxide(1200, 3, 0.03));
    folder
}

const READING: &str = "--length-unit angstrom --energy-unit kcal/mol";

#[test]
fn a_report_has_every_figure_and_loads_nothing() {
    let room = room();
    let folder = room.path();
    // A name that would be markup.
    std::fs::rename(folder.join("samples.xyz"), folder.join("<b>&samples.xyz")).unwrap();
    let said = good(
        folder,
        &format!("evaluate <b>&samples.xyz --reference reference.xyz --refined refined.xyz --report out.html --temperature 300K {READING}"),
    );
    assert!(said.contains("out.html"), "{said}");
    let text = std::fs::read_to_string(folder.join("out.html")).unwrap();
    let page = parse(&text);
    loads_nothing(&page);
    // Two bonds, one angle and one dihedral are different from each other under the symmetry of the molecule.
    has(
        &page,
        &[
            ("distances", 1),
            ("pairs", 2),
            ("bonds", 2),
            ("angles", 1),
            ("dihedrals", 1),
            ("populations", 1),
            ("energies", 1),
            ("thermometer", 1),
        ],
    );
    assert!(text.contains("&lt;b&gt;&amp;samples.xyz") && !text.contains("<b>&"), "the name is not escaped");
    // Springs that are 5/3 as wide as the reference's are off, those of the same width are not.
    assert_eq!(with_id(&page, "verdict").attribute("class"), Some("verdict off"));
    assert_ne!(with_id(&page, "verdict-1").attribute("class"), Some("verdict off"));
    let rows = with_id(&page, "figures").descendants().filter(|node| node.tag_name().name() == "tr").count();
    assert!(rows > 30, "{rows} rows of figures");
    let data = with_id(&page, "overlay-data").text().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["frames"].as_array().unwrap().len(), 40);
    assert_eq!(data["elements"], serde_json::json!(["O", "O", "H", "H"]));
    assert!(text.len() < 1_000_000, "{} bytes", text.len());

    bad(
        folder,
        &format!("evaluate refined.xyz --reference reference.xyz --report reference.xyz {READING}"),
        2,
        &["reference.xyz"],
    );
    bad(
        folder,
        &format!("evaluate refined.xyz --reference reference.xyz --report none/out.html {READING}"),
        1,
        &["none"],
    );
    full_disk(
        folder,
        &format!("evaluate refined.xyz --reference reference.xyz --report full.html {READING}"),
        "full.html",
        16,
    );
    in_chromium(folder, "out.html");
}

#[cfg(feature = "train")]
#[test]
fn training_writes_a_report_too() {
    let room = room();
    let folder = room.path();
    std::fs::write(folder.join("small.toml"), command::SMALL).unwrap();
    good(
        folder,
        &format!("-q train reference.xyz -o model.safetensors --config small.toml --steps 400 --temperature 900K --device cpu --report out.html {READING}"),
    );
    let text = std::fs::read_to_string(folder.join("out.html")).unwrap();
    let page = parse(&text);
    loads_nothing(&page);
    has(
        &page,
        &[("losses", 1), ("distances", 1), ("pairs", 1), ("bonds", 2), ("dihedrals", 1), ("populations", 1)],
    );
    let words =
        |id: &str| with_id(&page, id).descendants().filter_map(|node| node.text()).collect::<String>();
    assert!(words("stages").contains("400 in ") && words("stages").contains("sliced"), "{}", words("stages"));
    // The frames are at 300 K: the warning is in the page although -q did not print it.
    assert!(words("warnings").contains("asked 900 K"), "{}", words("warnings"));
    bad(
        folder,
        &format!("train reference.xyz -o model.safetensors --report model.safetensors {READING}"),
        2,
        &["model.safetensors"],
    );
}

/// Draws the page at the widths of a phone and of a desktop: nothing is wider than the window, and no script fails.
fn in_chromium(folder: &Path, page: &str) {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let works =
        |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    let Some(chromium) = names.iter().find(works) else {
        eprintln!("skipped: no chromium, chromium-browser or google-chrome to draw the report with");
        return;
    };
    let text = std::fs::read_to_string(folder.join(page)).unwrap();
    // What the page measures of itself goes to the page around it, and there into an attribute that --dump-dom prints.
    let probe = "<script>let failed = 0; window.onerror = function () { failed = 1; };\
                 window.addEventListener('load', function () { let most = 0; setInterval(function () {\
                 const c = document.getElementById('molecules'); let drawn = 0;\
                 for (const x of c.getContext('2d').getImageData(0, 0, c.width, c.height).data) { if (x) { drawn += 1; } }\
                 most = Math.max(most, drawn);\
                 parent.postMessage([document.documentElement.scrollWidth, window.innerWidth, most, failed].join(' '), '*');\
                 }, 100); });</script></head>";
    std::fs::write(folder.join("probed.html"), text.replacen("</head>", probe, 1)).unwrap();
    for width in [390, 1200] {
        // A window of Chromium is at least 500 pixels wide, a frame is as narrow as a phone.
        let around = format!(
            "<!DOCTYPE html><html><script>window.onmessage = function (message) {{\
             document.documentElement.dataset.seen = message.data; }};</script>\
             <iframe src='probed.html' style='border: 0; width: {width}px; height: 900px'></iframe></html>"
        );
        std::fs::write(folder.join("around.html"), around).unwrap();
        let out = Command::new(chromium)
            .current_dir(folder)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"])
            .args(["--no-first-run", "--disable-background-networking", "--window-size=1300,1000"])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg(format!("file://{}", folder.join("around.html").display()))
            .output()
            .unwrap();
        let dom = String::from_utf8_lossy(&out.stdout);
        let after = dom.split_once("data-seen=\"").unwrap_or_else(|| panic!("{width}: {dom:.300}")).1;
        let seen: Vec<u64> =
            after.split('"').next().unwrap().split(' ').map(|x| x.parse().unwrap()).collect();
        assert_eq!(seen[1], width);
        assert!(seen[0] <= width, "the page is {} wide in a window of {width}", seen[0]);
        assert!(seen[2] > 1000, "the overlay is empty: {}", seen[2]);
        assert_eq!(seen[3], 0, "a script failed");
    }
}
