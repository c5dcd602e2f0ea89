use backproof_repro::protocol::Segment;

use super::*;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::results::{Host, QemuRecord};
use crate::run::Settled;
use crate::verdict::Ledger;
use crate::words::{Expectation, Outcome};

fn folder(results: &Path) -> Folder {
    let run = RunRecord {
        id: "run".to_owned(),
        started: String::new(),
        seconds: 0.0,
        finished: false,
        interrupted: false,
        tool: String::new(),
        arguments: Vec::new(),
        matrix: String::new(),
        profiles: Vec::new(),
        natural: true,
        jobs: 1,
        host: Host { kernel: String::new(), cpus: 1, memory_mib: 1, load: 0.0 },
        qemu: QemuRecord { program: String::new(), version: String::new() },
        accelerator: String::new(),
    };
    Folder::create(results, run).expect("a folder")
}

fn question(job: &str, control: bool) -> Question {
    Question {
        kernel: "a-kernel".parse().expect("a name"),
        job: job.parse().expect("an id"),
        expect: Expectation::Outcome(Outcome::Pass),
        mitigates: false,
        control,
    }
}

fn affected() -> Settled {
    let (states, strength) = (StateSet::affected(), Strength::Decisive);
    let why = "it was seen".to_owned();
    let finding = Finding { witness: Witness::Runtime, states, strength, why, mitigated: false, artefacts: Vec::new() };
    Settled::Findings(Ledger { findings: vec![finding] })
}

#[test]
fn each_job_s_time_lines_lie_in_a_folder_of_its_own_whatever_a_guest_calls_them() {
    let results = tempfile::tempdir().expect("a folder");
    let mut folder = folder(results.path());
    let questions = vec![question("a-bug", false), question("a-bug@tuned", false)];
    folder.event(&Event::Planned(questions.clone())).expect("written");
    let segment = Segment { at_us: 1, data_way: true, seq: 0, length: 9, ack: 0, flags: 16, sack: vec![], lost: true };
    // The third makes the same file name as the first, and the fourth none.
    let names = ["write lossy", "sendfile", "write/lossy", "../.."];
    for question in &questions {
        let time_lines = names.map(|name| (name.to_owned(), vec![segment.clone()])).into();
        let seen = Seen { packets: Vec::new(), time_lines };
        let cell = Box::new(question.cell(None, affected()));
        folder.event(&Event::Judged { cell, seen }).expect("written");
    }
    let document = folder.document();
    for (cell, name) in document.cells.iter().zip(["a-kernel/a-bug", "a-kernel/a-bug@tuned"]) {
        let files = ["sendfile.tsv", "sendfile.svg", "write-lossy.tsv", "write-lossy.svg"];
        assert_eq!(cell.findings[0].artefacts, files.map(|file| format!("{name}/timeline-{file}")));
        for artefact in &cell.findings[0].artefacts {
            assert!(folder.path().join(artefact).is_file(), "{artefact}");
        }
        let kept = fs::read_dir(folder.path().join(name)).expect("the cell's folder").count();
        assert_eq!(kept, files.len() + 1, "these and ledger.json");
    }
}

#[test]
fn a_document_begins_with_the_controls_that_were_judged_wrongly() {
    let results = tempfile::tempdir().expect("a folder");
    let mut folder = folder(results.path());
    let control = question("a-bug", true);
    folder.event(&Event::Planned(vec![control.clone()])).expect("written");
    assert!(folder.document().cannot_be_trusted.is_empty(), "what was not judged is not wrong");
    let cell = Box::new(control.cell(None, affected()));
    folder.event(&Event::Judged { cell, seen: Seen::default() }).expect("written");
    folder.close(String::new(), false);
    let document = folder.document();
    assert_eq!(document.cannot_be_trusted, ["control a-kernel a-bug: expected pass, found fail"]);
    assert_eq!((document.exit_code, document.summary.controls_wrong), (3, 1));
    let text = serde_json::to_string(&document).expect("JSON");
    assert!(text.starts_with(r#"{"schema_version":1,"cannot_be_trusted":["control"#), "{text:.80}");
}
