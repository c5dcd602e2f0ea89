use super::*;
use crate::exit::Exit;
use crate::results::{CHANGES_VERSION, RunSelection};

fn run(id: &str) -> ComparedRun {
    ComparedRun {
        id: id.to_owned(),
        started: "2026-12-01T21:00:00Z".to_owned(),
        matrix: "kernels.yaml".to_owned(),
        selection: RunSelection::default(),
        interrupted: false,
        exit_code: Exit::Clean,
    }
}

fn change(kernel: &str, says: &str) -> RunChange {
    RunChange {
        kinds: vec![ChangeKind::UnexpectedBegan, ChangeKind::Outcome],
        kernel: kernel.parse().expect("a name"),
        bug: Some("tcp-fragment-stall".parse().expect("a name")),
        profile: Some(crate::words::ProfileName::default_profile()),
        before: None,
        after: None,
        says: says.to_owned(),
    }
}

fn changes(changes: Vec<RunChange>) -> RunChanges {
    let not_compared = vec![NotCompared {
        kernels: vec!["c".parse().expect("a name")],
        job: None,
        why: "run b did not select it".to_owned(),
    }];
    RunChanges {
        schema_version: CHANGES_VERSION,
        before: Some(run("a")),
        after: run("b"),
        compared: 3,
        changes,
        not_compared,
    }
}

fn above(changes: Option<&RunChanges>, width: usize) -> String {
    let mut text = String::new();
    changed(&mut text, changes, Style { width, explain: false });
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn few_lines_stand_above_the_table() {
    assert_eq!(above(None, 100), "");
    assert_eq!(above(Some(&RunChanges { before: None, ..changes(vec![]) }), 100), "");
    assert_eq!(above(Some(&changes(vec![])), 100), "no change since a (2026-12-01), 3 cells compared\n\n");
    let one = RunChanges { not_compared: vec![], ..changes(vec![change("debian-12", "FAIL, was pass")]) };
    assert_eq!(
        above(Some(&one), 100),
        "1 change since a (2026-12-01)\n  debian-12  tcp-fragment-stall  FAIL, was pass\n\n"
    );
    let many = changes((0..40).map(|at| change(&format!("k{at}"), &format!("FAIL, was {at}"))).collect());
    let text = above(Some(&many), 100);
    assert_eq!(text.lines().count(), 9);
    assert!(text.contains("\n  34 more: backproof diff\n"), "{text}");
}

#[test]
fn changes_that_read_the_same_share_a_line() {
    let alike = changes((0..500).map(|at| change(&format!("k{at}"), "ERROR, was pass: the mirror is down")).collect());
    let text = above(Some(&alike), 100);
    assert!(
        text.contains("\n  k0, k1, k2, k3 and 496 more  tcp-fragment-stall  ERROR, was pass: the mirror is down\n")
    );
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn hostile_words_are_inert_and_lines_fit() {
    let hostile = "ERROR, was pass: \u{1b}[2J\u{202e}\r\n<script> ".to_owned() + &"漢".repeat(400);
    let changes = changes(vec![change("a", &hostile)]);
    for width in [60, 100] {
        for text in [above(Some(&changes), width), changes.text(Style { width, explain: false })] {
            let text = anstream::adapter::strip_str(&text).to_string();
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text:?}");
            let longest = text.lines().map(super::super::text::columns).max();
            assert!(longest.is_some_and(|longest| longest <= width), "{text}");
        }
    }
}

#[test]
fn diff_tells_all_and_what_was_not_compared() {
    let many = changes((0..40).map(|at| change(&format!("k{at}"), &format!("FAIL, was {at}"))).collect());
    let text = anstream::adapter::strip_str(&many.text(Style::default())).to_string();
    assert!(text.contains("40 changes (3 cells compared)") && text.contains("k39"), "{text}");
    assert!(text.ends_with("not compared  c: run b did not select it\n"), "{text}");
    let none = RunChanges { before: None, ..changes(vec![]) };
    assert_eq!(none.text(Style::default()), "nothing to compare run b with: no earlier run of its matrix\n");
}
