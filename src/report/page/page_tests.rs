use std::collections::BTreeSet;
use std::path::Path;

use super::super::formats::RunReport;
use super::super::table::tests::{affected, cell, document};
use super::*;
use crate::results::MatrixDocument;
use crate::run::Cell;
use crate::verdict::Boots;

fn written(document: &MatrixDocument, folder: &Path) -> String {
    let mut bytes = Vec::new();
    page(&RunReport { document, folder, file: None }, &mut bytes).expect("a page");
    String::from_utf8(bytes).expect("UTF-8")
}

/// The JSON of a script element.
fn embedded(page: &str, id: &str) -> serde_json::Value {
    let start = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, rest) = page.split_once(&start).expect("its start");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("JSON")
}

/// A run of this many kernels, three bugs each.
fn many(kernels: usize) -> MatrixDocument {
    let bugs = ["tcp-fragment-stall", "syn-cookie-data-loss", "zero-window-user-timeout"];
    let cells = (0..kernels).flat_map(|kernel| {
        bugs.map(|bug| {
            cell(&format!("kernel-{kernel}"), bug, if kernel % 3 == 0 { "fail" } else { "pass" }, affected())
        })
    });
    document(cells.collect(), true)
}

#[test]
fn every_cell_is_in_the_page_once() {
    let document = many(40);
    let page = written(&document, Path::new("/nonexistent"));
    let overview = embedded(&page, "overview");
    let name = |list: &str, place: &serde_json::Value| {
        let place = usize::try_from(place.as_u64().expect("a place")).expect("small");
        let entry = &overview[list][place];
        entry.get("name").unwrap_or(entry).as_str().expect("a name").to_owned()
    };
    let cells = overview["cells"].as_array().expect("cells");
    let named: Vec<(String, String, String)> =
        cells.iter().map(|c| (name("kernels", &c[0]), name("bugs", &c[1]), name("profiles", &c[2]))).collect();
    let of = |c: &Cell| (c.kernel.to_string(), c.bug.to_string(), c.profile.to_string());
    assert_eq!(named, document.cells.iter().map(of).collect::<Vec<_>>());
    assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), 120);
    assert_eq!(embedded(&page, "details")["cells"].as_array().map(Vec::len), Some(120));
}

#[test]
fn hostile_strings_are_text_in_the_page() {
    let hostile = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> \u{202e}\u{1b}[2J\u{2028}\0";
    let mut document =
        document(vec![cell("a", "b", "pass", Boots::Broke(format!("{hostile}{}", "y".repeat(1 << 20))))], true);
    document.run.matrix = hostile.to_owned();
    document.run.arguments = vec![hostile.to_owned()];
    document.conflicts = vec![hostile.to_owned()];
    document.cells[0].release = Some(hostile.to_owned());
    document.cells[0].trials.said = vec![hostile.to_owned()];
    let plain = written(&super::super::table::tests::document(Vec::new(), true), Path::new("/nonexistent"));
    let page = written(&document, Path::new("/nonexistent"));
    for tag in ["<script", "</script", "<!--", "<img"] {
        assert_eq!(page.matches(tag).count(), plain.matches(tag).count(), "{tag}");
    }
    assert!(!page.chars().any(|c| crate::json::is_obeyed(c) && c != '\n'), "no character that a terminal obeys");
    assert!(page.len() < plain.len() + 32_000, "{} bytes", page.len());
    assert_eq!(embedded(&page, "overview")["kernels"][0]["release"], serde_json::json!(inert(hostile)));
}

#[test]
fn page_loads_nothing_and_runs_only_its_own_script() {
    let page = written(&many(1), Path::new("/nonexistent"));
    for address in ["src=", "http:", "https:", "url(", "@import", "innerHTML", "eval("] {
        // The namespace of SVG is a name, and no address to load.
        assert_eq!(page.replace("http://www.w3.org/2000/svg", "").matches(address).count(), 0, "{address}");
    }
    assert!(page.contains("default-src &#39;none&#39;; script-src &#39;sha256-"), "{}", &page[..600]);
}

#[test]
fn page_of_a_hundred_kernels_is_below_a_megabyte() {
    let page = written(&many(100), Path::new("/nonexistent"));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}
