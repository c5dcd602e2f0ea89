//! Readers that others wrote, for every format that has one.

use std::fs;
use std::process::Command;

use super::super::ci::tests::{as_text, hostile_run, retried_run, run_of_every_kind};
use super::*;

/// Reads the files of a folder, and exits with 0 if all are right: JUnit by junitparser and the standard library, KCIDB by
/// kcidb-io with its schema, KTAP's outermost tests by tap.py.
const READ: &str = r#"
import io, json, os, re, sys, xml.etree.ElementTree as X
import junitparser, tap.parser
from kcidb_io.schema import V5_3
folder = sys.argv[1]
cells = json.load(open(f"{folder}/json"))["cells"]
kernels = [c["kernel"] for i, c in enumerate(cells) if i == 0 or cells[i - 1]["kernel"] != c["kernel"]]
xml = junitparser.JUnitXml.fromfile(f"{folder}/junit")
cases = [case for suite in xml for case in suite]
assert len(cases) == len(cells) == len(list(X.parse(f"{folder}/junit").getroot().iter("testcase")))
kinds = {}
for case in cases:
    for result in case.result:
        kinds[type(result).__name__] = kinds.get(type(result).__name__, 0) + 1
assert (xml.tests, xml.failures, xml.errors) == (len(cells), kinds.get("Failure", 0), kinds.get("Error", 0)), kinds
report = json.load(open(f"{folder}/kcidb"))
V5_3.validate(report)
assert V5_3.is_compatible_directly(report) and len(report["tests"]) == len(cells)
lines = list(tap.parser.Parser().parse_text(re.sub(r"(?m)^ .*\n", "", open(f"{folder}/ktap").read())))
tests = [line for line in lines if line.category == "test"]
assert [line.number for line in tests] == list(range(1, len(kernels) + 1)), tests
json.load(open(f"{folder}/openvex")); json.load(open(f"{folder}/gitlab"))
print(len(cells), "cells", kinds)
"#;

/// Needs a Python with junitparser, kcidb-io and tap.py: `BACKPROOF_READERS=venv/bin/python cargo test --lib readers`.
#[test]
#[ignore = "needs Python packages, see BACKPROOF_READERS"]
fn readers_of_others_accept_every_format() {
    let python = std::env::var("BACKPROOF_READERS").expect("BACKPROOF_READERS names a Python");
    for run in [run_of_every_kind(), retried_run(), hostile_run()] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut run = run;
        run.kernels = vec![super::super::ci::tests::kernel_record(run.cells[0].kernel.as_str())];
        for format in RUN_FORMATS {
            fs::write(folder.path().join(format.name), as_text(*format, &run)).expect("a file");
        }
        let read = Command::new(&python).args(["-c", READ]).arg(folder.path()).output().expect("Python");
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    }
}
