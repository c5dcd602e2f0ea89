//! A real run for tests of its page, and runs made of it with as many cells as a test wants.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::Lab;

/// A run of two kernels, kept with the tests: one that stalls, and one that does not.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page_run");

/// Copies the run into a folder. Returns its document.
pub fn sample(lab: &Lab, run: &str) -> Value {
    copy(Path::new(SAMPLE), &lab.path(run));
    serde_json::from_slice(&fs::read(lab.path(run).join("matrix.json")).expect("a file")).expect("JSON")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

/// The document with this many kernels, each with the cells of one of the two: names and some numbers differ. Every tenth
/// kernel ends in an error.
pub fn multiplied(document: &Value, kernels: usize, bugs_only: bool) -> Value {
    let names = ["control-6.1-stall-break", "debian-13"];
    let mut many = document.clone();
    let (mut cells, mut records) = (Vec::new(), Vec::new());
    for number in 0..kernels {
        let name = format!("kernel-{number}");
        let like = names[number % 2];
        let text = |value: &Value| {
            value.to_string().replace(like, &name).replace("0xffffffff81", &format!("0xffffffff{number:04x}"))
        };
        let of_kernel = document["cells"].as_array().expect("cells").iter().filter(|cell| cell["kernel"] == like);
        for cell in of_kernel.filter(|cell| !bugs_only || cell["profile"] == "default") {
            let mut cell: Value = serde_json::from_str(&text(cell)).expect("JSON");
            if number % 10 == 9 {
                cell["outcome"] = json!("error");
                cell["verdict"] = json!("unknown");
                cell["state"] = Value::Null;
                cell["expected"] = json!(false);
                cell["reason"] = json!(format!("hang: timed out\nthe console's last lines:\n[ 1.{number}] last words"));
            }
            cells.push(cell);
        }
        let record = document["kernels"].as_array().expect("kernels").iter().find(|kernel| kernel["name"] == like);
        records.push(serde_json::from_str::<Value>(&text(record.expect("a kernel"))).expect("JSON"));
    }
    many["cells"] = Value::from(cells);
    many["kernels"] = Value::from(records);
    many
}

/// Writes a run's document, and its page. Returns the page's path.
pub fn page(lab: &Lab, run: &str, document: &Value) -> PathBuf {
    lab.write(&format!("{run}/matrix.json"), document.to_string());
    let path = lab.path(run);
    let ran = Command::new(env!("CARGO_BIN_EXE_backproof"))
        .arg("report")
        .arg(&path)
        .arg("--html")
        .output()
        .expect("backproof");
    let page = path.join("page.html");
    assert!(page.is_file(), "{}", String::from_utf8_lossy(&ran.stderr));
    page
}
