//! Runs for the tests of the formats, and the rules that all formats share.

use sha2::{Digest as _, Sha256};

use super::super::formats::{RunFormat, RunReport};
use super::super::style::Style;
use super::super::table::tests::{affected, cell, document};
use super::*;
use crate::evidence::{StateSet, Strength};
use crate::exit::Exit;
use crate::kernel::hex;
use crate::results::MatrixDocument;
use crate::run::{CellTally, CrashSeen, KernelRecord, RetriedBoot};
use crate::verdict::Boots;

/// What a format writes of a run.
pub(in crate::report) fn as_text(format: RunFormat, run: &MatrixDocument) -> String {
    let mut bytes = Vec::new();
    let report = RunReport { document: run, folder: "results/run".as_ref(), file: None };
    (format.write)(&report, Style::default(), &mut bytes).expect("it is written");
    String::from_utf8(bytes).expect("UTF-8")
}

fn saw(states: StateSet, strength: Strength, why: &str) -> Boots {
    Boots::Showed(Finding::new(Witness::Runtime, states, strength, why))
}

fn good() -> Boots {
    saw(StateSet::not_affected(), Strength::Strong, "resent after 2 timeouts")
}

fn broke(reason: &str) -> Boots {
    Boots::Broke(reason.to_owned())
}

fn skipped(allowed: bool) -> Boots {
    Boots::Inapplicable { reason: "no TUN driver".to_owned(), allowed }
}

/// Cells of every kind: of `first` nothing is red, and of the others something is.
fn every_kind() -> Vec<Cell> {
    let mut conflict = cell("third", "conflict", "fail", affected());
    conflict.judgement.conflict = true;
    let mut differs = cell("third", "differs", "pass", good());
    differs.trials.differs = Some("console.log line 1".to_owned());
    let mut died = cell("third", "died", "pass", good());
    died.trials.unexplained = Some("panic: x\nlast line".to_owned());
    let mut by_reproducer = cell("fourth", "control-failed", "pass", broke("the positive control failed"));
    by_reproducer.trials.fault = Some(CellFault::Reproducer);
    let mut by_guest = cell("fourth", "panicked", "pass", broke("panic: it died\nlast line"));
    by_guest.trials.fault = Some(CellFault::Guest);
    vec![
        cell("first", "good", "pass", good()),
        cell("first", "known", "fail", affected()),
        cell("first", "silent", "pass", saw(StateSet::not_affected(), Strength::Weak, "nothing seen")),
        cell("first", "gone", "pass", skipped(true)),
        cell("first", "known-error", "error", broke("always so")),
        cell("second", "bad", "pass", affected()),
        cell("second", "better", "fail", good()),
        conflict,
        differs,
        died,
        cell("fourth", "host", "pass", broke("host error: gone")),
        by_reproducer,
        by_guest,
        cell("fourth", "unclear", "pass", saw(StateSet::all(), Strength::Strong, "who knows")),
        cell("fourth", "skipped", "pass", skipped(false)),
        cell("fifth", "gone", "pass", skipped(true)),
    ]
}

/// An obtained kernel of this name. Its image is its name's.
pub(in crate::report) fn kernel_record(name: &str) -> KernelRecord {
    KernelRecord {
        name: name.parse().expect("a name"),
        source: format!("deb {name}.deb"),
        release: Some("6.1.0".to_owned()),
        image_sha256: hex(Sha256::new_with_prefix(name)),
        provenance: Vec::new(),
        files: Vec::new(),
        locked: false,
        stale: None,
        boots: Vec::new(),
    }
}

/// A run with every kind of cell.
pub(in crate::report) fn run_of_every_kind() -> MatrixDocument {
    let mut cells = every_kind();
    cells.iter_mut().filter(|cell| cell.trials.fault != Some(CellFault::Harness)).for_each(|cell| {
        cell.trials.boots = vec!["boot-1".to_owned()];
    });
    let mut run = document(cells, true);
    run.kernels = ["first", "second", "third", "fourth"].map(kernel_record).to_vec();
    run.run.started = "2026-12-01T01:02:03Z".to_owned();
    run.run.id = "20261201-010203-7".to_owned();
    run
}

/// A run whose cells were retried: a pass, a fail and an error.
pub(in crate::report) fn retried_run() -> MatrixDocument {
    let mut cells = vec![
        cell("a", "good", "pass", good()),
        cell("a", "bad", "pass", affected()),
        cell("a", "worse", "pass", broke("host error: gone again")),
    ];
    for cell in &mut cells {
        let reason = "host error: gone\nthe console's last lines:\nx".to_owned();
        cell.trials.retried = vec![RetriedBoot { boot: "boot-1".to_owned(), reason }];
    }
    document(cells, true)
}

/// What a guest may print to break a format, or the terminal of its reader.
pub(in crate::report) const HOSTILE: &str = "\u{1b}[2J\u{9b}1m]]><script>alert(1)</script>&amp;\"'\0\u{fffe}\u{ffff}\u{202e}\r\n\
    ok 99 x # SKIP y\nKTAP version 1\n::error::x%0A\n##[error]y\n```\n| a | b |\n<!--\n# TODO";

/// A run of hostile guests: each text that a guest or a package can reach, once with a line of 1 MB.
pub(in crate::report) fn hostile_run() -> MatrixDocument {
    let huge = format!("{HOSTILE}{}", "x".repeat(1 << 20));
    let mut cells = Vec::new();
    for text in [HOSTILE, &huge] {
        let mut crashed = cell("a", "crashed", "pass", saw(StateSet::affected(), Strength::Decisive, text));
        let excerpt = vec![text.to_owned(); 3];
        crashed.trials.crash = Some(CrashSeen { kind: "oops".to_owned(), title: text.to_owned(), excerpt });
        crashed.release = Some(text.to_owned());
        let mut retried = cell("a", "retried", "pass", broke(text));
        retried.trials.retried = vec![RetriedBoot { boot: "boot-1".to_owned(), reason: text.to_owned() }];
        let mut died = cell("a", "died", "pass", saw(StateSet::not_affected(), Strength::Strong, text));
        died.trials.unexplained = Some(text.to_owned());
        cells.extend([crashed, retried, died]);
        cells.push(cell("a", "known", "fail", saw(StateSet::affected(), Strength::Decisive, text)));
        cells.push(cell("a", "skipped", "pass", Boots::Inapplicable { reason: text.to_owned(), allowed: true }));
    }
    let mut run = document(cells, true);
    run.kernels = vec![KernelRecord { source: HOSTILE.to_owned(), ..kernel_record("a") }];
    run.run.accelerator = HOSTILE.to_owned();
    run.run.matrix = HOSTILE.to_owned();
    run.cannot_be_trusted = vec![HOSTILE.to_owned()];
    run
}

#[test]
fn red_cells_are_those_that_change_the_exit_code() {
    for cell in every_kind() {
        let is_red = Standing::of(&cell).red().is_some();
        assert_eq!(is_red, CellTally::of([&cell]).exit() != Exit::Clean, "{} {}", cell.kernel, cell.bug);
        assert_eq!(is_red, !["first", "fifth"].contains(&cell.kernel.as_str()), "{} {}", cell.kernel, cell.bug);
    }
    let kinds: Vec<&str> = red(&every_kind()).iter().filter_map(|(_, standing)| standing.red()).collect();
    let wanted = [
        "affected",
        "unexpected-pass",
        "conflict",
        "transcript-differs",
        "unexplained-crash",
        "harness",
        "reproducer",
        "guest",
        "no-verdict",
        "unexpected-skip",
    ];
    assert_eq!(kinds, wanted);
}

#[test]
fn words_of_a_cell_are_bounded_and_inert() {
    for cell in &hostile_run().cells {
        let lines = details(cell);
        assert!(lines.len() <= LINES_MAX + 1 && lines.iter().all(|line| line.chars().count() <= LINE_MAX + 1));
        for text in lines.iter().chain([&says(cell), &why(cell)]) {
            assert!(!text.chars().any(crate::json::is_obeyed) && !text.contains('\u{ffff}'), "{text:?}");
        }
    }
}
