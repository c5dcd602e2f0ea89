use super::*;
use crate::evidence::exhibits::Said;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::exit::Exit;
use crate::results::{QemuRecord, RunHost, RunRecord, RunSelection, SCHEMA_VERSION};
use crate::run::CellTrials;
use crate::verdict::{Advice, AdviceKind, Boots, Case, Question};
use crate::words::Expectation;

#[path = "table_boots_tests.rs"]
mod boots;

pub(crate) fn cell(kernel: &str, bug: &str, expect: &str, boots: Boots) -> Cell {
    beside(kernel, bug, expect, boots, &[])
}

/// A cell with other witnesses' findings.
fn beside(kernel: &str, bug: &str, expect: &str, boots: Boots, others: &[Finding]) -> Cell {
    let question = Question {
        kernel: kernel.parse().expect("a name"),
        job: bug.parse().expect("a name"),
        expect: Expectation::from_name(expect).expect("an expectation"),
        mitigates: bug.ends_with("@mitigates"),
        control: kernel.starts_with("control"),
        strict: false,
    };
    let said = Said { findings: others.to_vec(), ..Said::default() };
    let case = Case { said, boots, ..Case::default() };
    Cell::judged(&question, Some("6.1.0-56-cloud-amd64".to_owned()), case, CellTrials::default())
}

pub(crate) fn affected() -> Boots {
    let finding =
        Finding::new(Witness::Runtime, StateSet::affected(), Strength::Decisive, "rto:236 backoff:3 \u{1b}[2J w20376");
    Boots::Showed(finding)
}

pub(crate) fn document(cells: Vec<Cell>, finished: bool) -> MatrixDocument {
    let summary = CellTally::of(&cells);
    MatrixDocument {
        schema_version: SCHEMA_VERSION,
        cannot_be_trusted: cells.iter().filter_map(Cell::control_complaint).collect(),
        conflicts: cells.iter().filter_map(Cell::conflict_complaint).collect(),
        differing: Vec::new(),
        changes: None,
        run: RunRecord {
            id: "run".to_owned(),
            started: String::new(),
            seconds: 1.0,
            finished,
            interrupted: false,
            tool: String::new(),
            arguments: Vec::new(),
            matrix: String::new(),
            selection: RunSelection::default(),
            profiles: Vec::new(),
            natural: false,
            jobs: 1,
            host: RunHost { kernel: String::new(), cpus: 1, memory_mib: 1, load: 0.0 },
            qemu: QemuRecord { program: String::new(), version: String::new() },
            accelerator: "tcg: requested".to_owned(),
            time: "virtual, seed 1, shift 4".to_owned(),
            not_written: Vec::new(),
        },
        kernels: Vec::new(),
        cells,
        summary,
        exit_code: Exit::Clean,
    }
}

fn plain(document: &MatrixDocument, width: usize) -> String {
    anstream::adapter::strip_str(&table(document, None, Style { width, explain: true })).to_string()
}

#[test]
fn cells_have_reasons_without_escape_sequences() {
    let cells = vec![
        cell("a", "one", "pass", affected()),
        cell("b", "one", "fail", affected()),
        cell("c", "one", "pass", Boots::Broke("panic: it died\n[ 1.0] last line".to_owned())),
        cell("d", "one", "pass", Boots::Inapplicable { reason: "no TUN".to_owned(), allowed: false }),
    ];
    let text = plain(&document(cells, true), 100);
    let twice = vec![cell("a", "one", "fail", affected()), cell("b", "one", "fail", affected())];
    let told = plain(&document(twice, true), 100);
    assert!(told.contains("a, b  one  FAIL (expected)") && told.matches("rto:236").count() == 1, "{told}");
    for part in [
        "a  one  FAIL\n  runtime: rto:236 backoff:3",
        "b  one  FAIL (expected)",
        "c  one  ERROR\n  reason: panic: it died\n    [ 1.0] last line",
        "d  one  skip (unexpected)\n  reason: no TUN",
        "4 cells: 0 pass, 2 fail, 1 error, 1 skip; 3 unexpected",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.find("b  one").expect("b") > text.find("d  one").expect("d"), "the unexpected come first");
}

#[test]
fn cell_has_one_reason_and_one_advice_without_explain() {
    let long = "words of a reason ".repeat(20);
    let hint = Finding::new(Witness::Version, StateSet::not_affected(), Strength::Weak, "a hint");
    let mut stalls = beside("a", "one", "pass", affected(), &[hint]);
    let advice = |kind| Advice { kind, says: long.clone() };
    stalls.judgement.advice = vec![advice(AdviceKind::Upgrade), advice(AdviceKind::Mitigation)];
    let cells = vec![stalls, cell("b", "one", "pass", Boots::Broke("panic: it died\n[ 1.0] last line".to_owned()))];
    let text = table(&document(cells, true), None, Style::default());
    let text = anstream::adapter::strip_str(&text).to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(
        text.contains("a  one  FAIL\n  runtime: rto:236 backoff:3") && text.contains("\n  upgrade: words"),
        "{text}"
    );
    assert!(!text.contains("a hint") && text.matches("words of a reason").count() < 10, "{text}");
    assert!(text.contains("b  one  ERROR\n  reason: panic: it died\n    [ 1.0] last line"), "{text}");
}

#[test]
fn shared_reason_of_many_cells_is_shown_once() {
    let died = |kernel, bug| cell(kernel, bug, "pass", Boots::Broke("panic: no init found".to_owned()));
    let cells = vec![
        died("a", "one"),
        died("a", "two"),
        died("b", "one"),
        died("b", "two"),
        died("c", "two"),
        died("d", "one"),
    ];
    let text = plain(&document(cells, true), 100);
    assert!(
        text.contains("a, b  one, two  ERROR\nc  two  ERROR\nd  one  ERROR\n  reason: panic: no init found\n"),
        "{text}"
    );
    assert_eq!(text.matches("no init found").count(), 1, "{text}");
}

#[test]
fn every_line_fits_the_terminal() {
    let long = |kernel: &str, bug| cell(kernel, bug, "pass", Boots::Broke("words of a reason ".repeat(20)));
    let kernels: Vec<String> = (0..12).map(|n| format!("a-kernel-of-a-long-name-{n}")).collect();
    let bugs = ["tcp-fragment-stall", "syn-cookie-data-loss", "zero-window-user-timeout", "one-more-of-some-length"];
    let cells = kernels.iter().flat_map(|kernel| bugs.map(|bug| long(kernel, bug))).collect();
    let document = document(cells, true);
    for width in [60, 80, 100] {
        let text = plain(&document, width);
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
    }
    for (columns, width) in [(None, 100), (Some(20), 60), (Some(80), 80), (Some(300), 100)] {
        assert_eq!(Style::of_columns(columns).width, width);
    }
}

#[test]
fn agreeing_witnesses_are_named_and_others_quoted() {
    let says = |witness, strength, states: StateSet, why: &str| Finding {
        states,
        strength,
        why: why.to_owned(),
        ..Finding::unknown(witness, "")
    };
    let good = StateSet::not_affected();
    let hint = says(Witness::Version, Strength::Weak, StateSet::affected(), "4.19.57 is affected");
    let binary = says(Witness::Binary, Strength::Strong, good, "it adds 0x20480");
    let blind = Finding::unknown(Witness::Source, "there is no source");
    let passed = Boots::Showed(says(Witness::Runtime, Strength::Strong, good, "it ran"));
    let beside = |expect: &str, boots: Boots, others: &[Finding]| {
        plain(&document(vec![beside("a", "one", expect, boots, others)], true), 100)
    };
    let unheard = beside("pass", passed.clone(), &[hint.clone(), binary.clone(), blind.clone()]);
    assert!(unheard.contains("version: 4.19.57 is affected") && unheard.contains("agree: binary\n"), "{unheard}");
    assert!(!unheard.contains("there is no source") && !unheard.contains("in conflict"), "{unheard}");
    let plain_pass = beside("pass", passed, std::slice::from_ref(&binary));
    assert!(!plain_pass.contains("binary"), "{plain_pass}");
    let conflict = beside("fail", affected(), &[binary, blind]);
    assert!(conflict.starts_with("CONFLICT  a one: runtime says affected"), "{conflict}");
    for part in ["FAIL!", "binary: it adds 0x20480", "runtime: rto:236", "1 in conflict"] {
        assert!(conflict.contains(part), "{part} is missing in\n{conflict}");
    }
}

#[test]
fn warnings_and_advice_are_shown_once_for_equal_cells() {
    let good = Finding { states: StateSet::not_affected(), ..Finding::unknown(Witness::Runtime, "it ran") };
    let passed = Boots::Showed(Finding { strength: Strength::Strong, ..good });
    let advice = |kind, says: &str| Advice { kind, says: says.to_owned() };
    let mut never = cell("a", "one", "pass", passed.clone());
    never.judgement.advice =
        vec![advice(AdviceKind::Exposure, "it never had the break: it is open to CVE-2019-11478\u{1b}[2J")];
    never.judgement.warnings = vec!["a later commit fixes the fix".to_owned()];
    let mut other = cell("b", "one", "pass", passed.clone());
    (other.judgement.advice, other.judgement.warnings) =
        (never.judgement.advice.clone(), never.judgement.warnings.clone());
    let mut stalls = cell("c", "one", "fail", affected());
    stalls.judgement.advice = vec![advice(AdviceKind::Upgrade, "first good release of this line: 4.19.62")];
    let text = plain(&document(vec![never, other, stalls, cell("d", "one", "pass", passed)], true), 100);
    for part in ["a, b  one  pass\n", "  warning: a later commit fixes the fix\n", "  exposed: it never had the break"]
    {
        assert!(text.matches(part).count() == 1, "{part} is not there once in\n{text}");
    }
    assert!(text.contains("  upgrade: first good release of this line: 4.19.62\n"), "{text}");
    assert!(!text.contains("d  one") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn programs_that_shared_a_guest_are_in_the_summary() {
    let own = |bug: &str, with: &[&str]| {
        let shared_with = with.iter().map(|bug| bug.parse().expect("a name")).collect();
        Cell { trials: CellTrials { shared_with, ..CellTrials::default() }, ..cell("a", bug, "fail", affected()) }
    };
    let text = plain(&document(vec![own("two", &["one"]), own("one", &["two"]), own("alone", &[])], true), 100);
    assert!(text.contains("\nshared guest one, two: any of these programs"), "{text}");
    assert!(!plain(&document(vec![own("alone", &[])], true), 100).contains("shared guest"));
}

#[test]
fn unproven_pass_is_marked_in_table_and_summary() {
    let silent = Finding {
        states: StateSet::not_affected(),
        ..Finding::unknown(Witness::Runtime, "exited with 0 (a hint: nothing proves that the program sees the bug)")
    };
    let silent = || Boots::Showed(silent.clone());
    let cells = vec![cell("a", "one", "pass", silent()), cell("b", "one", "fail", silent())];
    let text = plain(&document(cells.clone(), true), 100);
    for part in [
        "a  one  pass (unproven)\n  runtime: exited with 0 (a hint",
        "b  one  pass (unproven, unexpected)",
        "2 cells: 2 pass (2 unproven), 0 fail",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let narrow = plain(&document(cells, true), 40);
    assert!(narrow.contains(" pass? ") && narrow.contains(" PASS? "), "{narrow}");
    assert!(narrow.contains("?: unproven, nothing shows"), "{narrow}");
    let proven = plain(&document(vec![cell("a", "one", "fail", affected())], true), 100);
    assert!(!proven.contains("unproven"), "{proven}");
}

#[test]
fn run_that_died_does_not_look_finished() {
    assert!(plain(&document(Vec::new(), false), 100).contains("the run did not finish"));
}

#[test]
fn table_fits_with_long_names_and_many_bugs() {
    let bugs = ["tcp-fragment-stall", "syn-cookie-data-loss", "zero-window-user-timeout", "another-bug-with-a-name"];
    let cells = bugs.iter().map(|bug| cell("stall-fixed-counter-noisy-of-a-long-name-6.12", bug, "fail", affected()));
    let document = document(cells.collect(), true);
    for width in [100, 80] {
        let text = plain(&document, width);
        for line in text.lines().take_while(|line| !line.is_empty()) {
            assert!(line.chars().count() <= width, "{} columns: {line}", line.chars().count());
        }
        assert!(text.contains("[4] another-bug-with-a-name"), "{text}");
    }
}

#[test]
fn hundred_bugs_stand_in_bands() {
    let bugs: Vec<String> = (1..=100).map(|number| format!("bug-of-a-test-suite-{number}")).collect();
    let both = |kernel| bugs.iter().map(move |bug| cell(kernel, bug, "fail", affected()));
    let document = document(both("a").chain(both("b")).collect(), true);
    for width in [100, 80, 45] {
        let text = plain(&document, width);
        let grid: Vec<&str> = text.lines().take_while(|line| !line.starts_with("[1] ")).collect();
        assert!(grid.iter().all(|line| line.chars().count() <= width), "{text}");
        let heads: Vec<&str> = grid.iter().filter(|line| line.starts_with("kernel")).copied().collect();
        let named: Vec<String> =
            heads.join(" ").split(' ').filter(|word| word.starts_with('[')).map(str::to_owned).collect();
        assert_eq!(named, (1..=100).map(|number| format!("[{number}]")).collect::<Vec<_>>());
        let of_a = grid.iter().filter(|line| line.starts_with("a  "));
        assert_eq!(of_a.map(|line| line.matches("fail").count()).sum::<usize>(), 100, "{text}");
    }
}

pub(crate) fn mitigated() -> Boots {
    let Boots::Showed(finding) = affected() else { panic!("a finding") };
    Boots::Showed(Finding { mitigated: true, ..finding })
}

#[test]
fn profiles_stand_below_their_kernel() {
    let error = || Boots::Broke("broken".to_owned());
    let cells = vec![
        cell("a", "one", "fail", affected()),
        cell("a", "two", "fail", affected()),
        cell("a", "one@mitigates", "fail", mitigated()),
        cell("b", "two@mitigates", "fail", affected()),
        cell("b", "two@other", "error", error()),
    ];
    let text = plain(&document(cells, true), 100);
    let grid: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim_end).collect();
    let expected = [
        "kernel        release               one               two               seconds",
        "a             6.1.0-56-cloud-amd64  FAIL (expected)   FAIL (expected)         -",
        "  @mitigates                        pass (mitigated)  -",
        "b             6.1.0-56-cloud-amd64                                            -",
        "  @mitigates                        -                 FAIL",
        "  @other                            -                 ERROR (expected)",
    ];
    assert_eq!(grid.join("\n").replace("  6.1.0", "6.1.0"), expected.join("\n").replace("  6.1.0", "6.1.0"), "{text}");
    assert!(text.contains("b @mitigates  two  FAIL\n"), "{text}");
    assert!(!text.contains("@mitigates  one"), "a pass needs no paragraph: {text}");
}

#[test]
fn many_kernels_and_profiles_fit_100_columns() {
    let bugs = ["tcp-fragment-stall", "syn-cookie-data-loss", "zero-window-user-timeout"];
    let profiles = ["", "@syn-cookies-off", "@large-queues", "@mitigates"];
    let mut cells = Vec::new();
    for kernel in (0..24).map(|n| format!("control-kernel-with-a-name-{n}")) {
        for profile in profiles {
            cells.extend(bugs.iter().map(|bug| cell(&kernel, &format!("{bug}{profile}"), "fail", mitigated())));
        }
    }
    let text = plain(&document(cells, true), 100);
    let grid: Vec<&str> =
        text.lines().skip_while(|line| !line.starts_with("kernel")).take_while(|line| !line.is_empty()).collect();
    assert_eq!(grid.len(), 1 + 24 * profiles.len() + bugs.len() + 2, "{text}");
    assert!(grid.iter().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("*: affected, and the profile keeps the bug from showing"), "{text}");
}

#[test]
fn wrong_control_is_shown_first() {
    let wrong = cell("control-fixed", "one", "fixed", affected());
    let stood = cell("control-broken", "one", "affected", affected());
    let unproven = cell("control-lame", "one", "pass", Boots::Broke("it broke".to_owned()));
    let text = plain(&document(vec![stood.clone(), wrong], true), 100);
    let top = "THIS RUN'S VERDICTS CANNOT BE TRUSTED: a control kernel was judged wrongly\n  control control-fixed one: \
                   expected fixed, found fail\n\nkernel";
    assert!(text.starts_with(top), "{text}");
    assert!(
        text.contains("\nverdicts cannot be trusted; 2 cells: ")
            && text.contains("controls     1 of 2 judged as made; 1 judged wrongly"),
        "{text}"
    );
    let mut errors = document(vec![stood.clone(), unproven], true);
    errors.cannot_be_trusted.clear();
    let text = plain(&errors, 100);
    assert!(text.contains("controls     1 of 2 judged as made; not proven on this run: one on control-lame"), "{text}");
    assert!(plain(&document(vec![stood], true), 100).contains("controls     1 of 1 judged as made\n"));
    assert!(!plain(&document(vec![cell("a", "one", "fail", affected())], true), 100).contains("controls"));
}

#[test]
fn natural_checks_are_shown_for_a_pass_too() {
    let natural = backproof_protocol::Check {
        name: "write".to_owned(),
        role: Role::Natural,
        shown: backproof_protocol::Shown::No,
        why: "finished after 1.2 s\u{1b}[2J".to_owned(),
        facts: [].into(),
    };
    let not_affected = Finding::new(Witness::Runtime, StateSet::not_affected(), Strength::Strong, "retransmitted");
    let settled = Boots::Showed(not_affected);
    let mut cell = cell("a", "one", "pass", settled);
    cell.trials.checks.push(natural);
    let mut document = document(vec![cell], true);
    assert!(!plain(&document, 100).contains("natural"), "nobody asked");
    document.run.natural = true;
    let text = plain(&document, 100);
    assert!(text.contains("a  one  pass\n  runtime: retransmitted\n  natural write: finished after 1.2 s"), "{text}");
}
