//! A run as an OpenVEX document, which a scanner of vulnerabilities reads.

use std::io;

use super::formats::RunFormat;
use crate::json;
use crate::validate::Vex;

pub(super) const FORMAT: RunFormat = RunFormat {
    name: "openvex",
    help: "OpenVEX 0.2.0, for scanners of vulnerabilities",
    write: |run, _, out| {
        let none = || io::Error::other("no kernel was judged that an OpenVEX document could be about");
        json::write(out, &Vex::of_run(run.document).ok_or_else(none)?)
    },
};

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::ci::tests::{as_text, hostile_run, kernel_record, run_of_every_kind};
    use super::*;
    use crate::results::MatrixDocument;

    fn statements(run: &MatrixDocument) -> Vec<Value> {
        let vex: Value = serde_json::from_str(&as_text(FORMAT, run)).expect("JSON");
        assert_eq!((&vex["@context"], &vex["version"]), (&"https://openvex.dev/ns/v0.2.0".into(), &1.into()));
        for key in ["@id", "author", "timestamp"] {
            assert!(vex[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {vex}");
        }
        vex["statements"].as_array().expect("statements").clone()
    }

    #[test]
    fn openvex_states_what_the_run_is_sure_of() {
        let mut run = run_of_every_kind();
        let stated = statements(&run);
        let status = |stated: &[Value], bug: &str| {
            let of_bug = |one: &&Value| one["vulnerability"]["name"] == bug;
            stated.iter().find(of_bug).and_then(|one| one["status"].as_str().map(str::to_owned))
        };
        for (bug, wanted) in [
            ("good", "not_affected"),
            ("known", "affected"),
            ("silent", "under_investigation"),
            ("conflict", "under_investigation"),
            ("differs", "under_investigation"),
            ("panicked", "under_investigation"),
            ("bad", "affected"),
        ] {
            assert_eq!(status(&stated, bug).as_deref(), Some(wanted), "{bug}");
        }
        // The rules of the published schema.
        for one in &stated {
            let has = |key: &str| one[key].is_string();
            let is = |status: &str| one["status"] == status;
            assert_eq!(has("justification") ^ has("impact_statement"), is("not_affected"), "{one}");
            assert_eq!(has("action_statement"), is("affected"), "{one}");
            let product = &one["products"][0];
            let hash = product["hashes"]["sha-256"].as_str().expect("a hash");
            assert_eq!(product["@id"], format!("urn:sha256:{hash}"), "{one}");
        }
        // The same image again says nothing new.
        let again = run.cells.iter().filter(|cell| cell.kernel.as_str() == "first").cloned();
        let again: Vec<_> = again.map(|cell| crate::run::Cell { kernel: "copy".parse().unwrap(), ..cell }).collect();
        run.cells.extend(again);
        run.kernels.push(crate::run::KernelRecord { name: "copy".parse().unwrap(), ..kernel_record("first") });
        assert_eq!(statements(&run), stated);
        // Nor is anything sure if a control was judged wrongly.
        run.cannot_be_trusted = vec!["a control".to_owned()];
        assert!(statements(&run).iter().all(|one| one["status"] == "under_investigation"));
        run.kernels.clear();
        let report = super::super::formats::RunReport { document: &run, folder: "run".as_ref(), file: None };
        assert!((FORMAT.write)(&report, super::super::style::Style::default(), &mut Vec::new()).is_err());
    }

    #[test]
    fn hostile_text_is_escaped_in_openvex() {
        let mut run = hostile_run();
        run.cannot_be_trusted.clear();
        let text = as_text(FORMAT, &run);
        assert!(!text.chars().any(|c| json::is_obeyed(c) && c != '\n'));
        assert!(text.len() < 60_000, "{} bytes", text.len());
    }
}
