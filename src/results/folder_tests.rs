use backproof_protocol::Segment;

use super::*;
use crate::evidence::exhibits::Said;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::results::{QemuRecord, RunHost, RunSelection};
use crate::run::CellTrials;
use crate::small_disk::SmallDisk;
use crate::verdict::{Boots, Case};
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
        selection: RunSelection::default(),
        profiles: Vec::new(),
        natural: true,
        jobs: 1,
        host: RunHost { kernel: String::new(), cpus: 1, memory_mib: 1, load: 0.0 },
        qemu: QemuRecord { program: String::new(), version: String::new() },
        accelerator: String::new(),
        time: String::new(),
        not_written: Vec::new(),
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
        strict: false,
    }
}

/// The cell of a question whose reproducer fails.
fn affected(question: &Question) -> Cell {
    let (states, strength) = (StateSet::affected(), Strength::Decisive);
    let finding = Finding::new(Witness::Runtime, states, strength, "it was seen");
    let hint = Finding::new(Witness::Version, states, Strength::Weak, "by its release");
    let said = Said { findings: vec![hint], ..Said::default() };
    let boots = Boots::Showed(finding);
    let case = Case { said, boots, ..Case::default() };
    Cell::judged(question, None, case, CellTrials::default())
}

#[test]
fn time_lines_of_a_job_have_their_own_folder() {
    let results = tempfile::tempdir().expect("a folder");
    let mut folder = folder(results.path());
    let questions = vec![question("a-bug", false), question("a-bug@tuned", false)];
    folder.event(&Event::Planned(questions.clone()));
    let segment = Segment { at_us: 1, data_way: true, seq: 0, length: 9, ack: 0, flags: 16, sack: vec![], lost: true };
    // The third makes the same file name as the first, and the fourth none.
    let names = ["write lossy", "sendfile", "write/lossy", "../.."];
    for question in &questions {
        let time_lines = names.map(|name| (name.to_owned(), vec![segment.clone()])).into();
        let seen = WireRecord { packets: Vec::new(), time_lines };
        let cell = Box::new(affected(question));
        folder.event(&Event::Judged { cell, wire: seen });
    }
    let document = folder.document();
    for (cell, name) in document.cells.iter().zip(["a-kernel/a-bug", "a-kernel/a-bug@tuned"]) {
        let files = ["sendfile.tsv", "sendfile.svg", "write-lossy.tsv", "write-lossy.svg"];
        assert_eq!(cell.judgement.findings[1].artefacts, files.map(|file| format!("{name}/timeline-{file}")));
        assert!(cell.judgement.findings[0].artefacts.is_empty(), "the release is not shown by them");
        for artefact in &cell.judgement.findings[1].artefacts {
            assert!(folder.path().join(artefact).is_file(), "{artefact}");
        }
        let kept = fs::read_dir(folder.path().join(name)).expect("the cell's folder").count();
        assert_eq!(kept, files.len() + 1, "these and ledger.json");
    }
}

#[test]
fn document_starts_with_wrongly_judged_controls() {
    let results = tempfile::tempdir().expect("a folder");
    let mut folder = folder(results.path());
    let control = question("a-bug", true);
    folder.event(&Event::Planned(vec![control.clone()]));
    assert!(folder.document().cannot_be_trusted.is_empty(), "what was not judged is not wrong");
    let cell = Box::new(affected(&control));
    folder.event(&Event::Judged { cell, wire: WireRecord::default() });
    folder.close(String::new(), String::new(), false).expect("written");
    let document = folder.document();
    assert_eq!(document.cannot_be_trusted, ["control a-kernel a-bug: expected pass, found fail"]);
    assert_eq!((document.exit_code, document.summary.controls_wrong), (Exit::NoVerdict, 1));
    let text = serde_json::to_string(&document).expect("JSON");
    assert!(text.starts_with(r#"{"schema_version":1,"cannot_be_trusted":["control"#), "{text:.80}");
}

#[test]
fn verdicts_survive_a_full_disk() {
    // Space runs out, and inodes do.
    for options in ["size=256k", "nr_inodes=9"] {
        let results = tempfile::tempdir().expect("a folder");
        let results = results.path();
        let Some(_disk) = SmallDisk::mount(results, options) else { return };
        let mut folder = folder(results);
        let questions = vec![question("a-bug", false), question("a-bug@tuned", false)];
        folder.event(&Event::Planned(questions.clone()));
        for at in 0.. {
            let hog = results.join(format!("hog-{at}"));
            let written =
                File::create(&hog).and_then(|mut file| (0..1000).try_for_each(|_| file.write_all(&[1; 4096])));
            if written.is_err() {
                break;
            }
        }
        let segment =
            Segment { at_us: 1, data_way: true, seq: 0, length: 9, ack: 0, flags: 16, sack: vec![], lost: true };
        for question in &questions {
            let time_lines = [("write".to_owned(), vec![segment.clone()])].into();
            let cell = Box::new(affected(question));
            folder.event(&Event::Judged { cell, wire: WireRecord { packets: Vec::new(), time_lines } });
            folder.event(&Event::Done { kernel: question.kernel.clone() });
            // As the run's loop does it when the time has come.
            folder.due().iter().for_each(|_| folder.write_due());
            let document = crate::results::read_document(folder.path()).expect("matrix.json");
            let judged = document.cells.iter().find(|cell| cell.job() == question.job).expect("the cell");
            assert_eq!(judged.outcome, Outcome::Fail, "{options}: {judged:?}");
        }
        folder.close(String::new(), String::new(), false).expect("written");
        let document = crate::results::read_document(folder.path()).expect("matrix.json");
        assert_eq!(document, folder.document(), "{options}");
        assert!(document.cells.iter().all(|cell| cell.judgement.findings[1].artefacts.is_empty()), "{options}");
        let lost = &document.run.not_written;
        assert!(lost.iter().any(|line| line.starts_with("a-kernel/a-bug/")), "{options}: {lost:?}");
        assert!(lost.iter().all(|line| line.contains("No space left on device")), "{options}: {lost:?}");
        let kept = fs::read_dir(folder.path()).expect("the run").flatten().map(|entry| entry.file_name());
        let kept: BTreeSet<_> = kept.filter_map(|name| name.into_string().ok()).collect();
        assert!(kept.iter().all(|name| !name.starts_with('.')), "{options}: {kept:?}");
    }
}

#[test]
fn unjudged_cells_say_why() {
    let results = tempfile::tempdir().expect("a folder");
    let mut folder = folder(results.path());
    folder.event(&Event::Planned(vec![question("a-bug", false)]));
    let kernel = "a-kernel".parse().expect("a name");
    folder.event(&Event::Failed { kernel, why: "index out of bounds".to_owned() });
    folder.close(String::new(), String::new(), false).expect("written");
    let document = crate::results::read_document(folder.path()).expect("matrix.json");
    let reason = "not judged: backproof itself failed at this kernel: index out of bounds";
    assert_eq!(document.cells[0].judgement.reason.as_deref(), Some(reason));
}

#[test]
fn large_run_does_not_write_its_document_per_kernel() {
    let results = tempfile::tempdir().expect("a folder");
    let mut folder = folder(results.path());
    let named =
        |at: usize| Question { kernel: format!("kernel-{at}").parse().expect("a name"), ..question("a-bug", false) };
    let questions: Vec<Question> = (0..3_000).map(named).collect();
    folder.event(&Event::Planned(questions.clone()));
    let began = Instant::now();
    for question in questions {
        let cell = Box::new(affected(&question));
        folder.event(&Event::Judged { cell, wire: WireRecord::default() });
        folder.event(&Event::Done { kernel: question.kernel });
    }
    folder.close(String::new(), String::new(), false).expect("written");
    // Each of 3,000 documents would take a tenth of a second and more.
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    let document = crate::results::read_document(folder.path()).expect("matrix.json");
    assert!(document.cells.iter().all(|cell| cell.outcome == Outcome::Fail));
}
