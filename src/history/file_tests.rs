use std::process::Command;
use std::sync::Barrier;

use proptest::prelude::*;

use super::super::GuestClock;
use super::super::nights::{Night, night, run_name, step, write_night};
use super::*;
use crate::small_disk::SmallDisk;

fn history(results: &Path) -> HistoryFile {
    HistoryFile::in_results(results)
}

/// Concludes these nights, of so many kernels, and returns the last changes.
fn concluded(results: &Path, nights: std::ops::Range<u32>) -> RunChanges {
    let mut last = None;
    for at in nights {
        let document = night(&Night::plain(at, 3));
        write_night(results, &document);
        let done = history(results).conclude(&document, None);
        assert!(done.not_recorded.is_none(), "{:?}", done.not_recorded);
        last = done.changes;
    }
    last.expect("changes")
}

#[test]
fn runs_are_added_and_rebuilt_to_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path();
    let first = concluded(results, 0..1);
    assert!(first.before.is_none() && first.changes.is_empty());
    let last = concluded(results, 1..5);
    assert_eq!(last.before.map(|run| run.id), Some(run_name(3)));
    let known: Vec<_> = (0..5).map(|at| history(results).find(&run_name(at)).expect("a run")).collect();
    // What the folders say is what the runs said.
    let report = history(results).rebuild().expect("a rebuild");
    assert_eq!((report.runs, report.skipped.len(), report.dropped.len()), (5, 0, 0));
    let again: Vec<_> = (0..5).map(|at| history(results).find(&run_name(at)).expect("a run")).collect();
    assert_eq!(known, again);
    fs::remove_dir_all(results.join(run_name(2))).expect("removed");
    assert_eq!(history(results).rebuild().expect("a rebuild").dropped, [run_name(2)]);
}

#[test]
fn run_is_compared_with_the_last_that_asked_for_as_much() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path();
    concluded(results, 0..3);
    // One kernel by name, in between.
    let mut single = night(&Night::plain(3, 1));
    single.run.selection.kernels = vec![single.cells[0].kernel.clone()];
    write_night(results, &single);
    let changes = history(results).conclude(&single, None).changes.expect("changes");
    assert_eq!(changes.before.map(|run| run.id), Some(run_name(2)));
    assert_eq!((changes.changes.len(), changes.compared), (0, 3));
    assert_eq!(changes.not_compared[0].kernels.len(), 2, "{:#?}", changes.not_compared);
    let next = concluded(results, 4..5);
    assert_eq!(next.before.map(|run| run.id), Some(run_name(2)));
    assert!(next.changes.is_empty() && next.not_compared.is_empty());
    // Neither an interrupted run nor one that cannot be trusted says what was.
    let mut interrupted = night(&Night::plain(5, 3));
    interrupted.run.interrupted = true;
    history(results).conclude(&interrupted, None);
    let mut wrong = night(&Night::plain(6, 3));
    wrong.cannot_be_trusted = vec!["control".to_owned()];
    history(results).conclude(&wrong, None);
    assert_eq!(concluded(results, 7..8).before.map(|run| run.id), Some(run_name(4)));
    let since = history(results).find(&run_name(0)).expect("a run");
    let named = history(results).conclude(&night(&Night::plain(8, 3)), Some(&since)).changes.expect("changes");
    assert_eq!(named.before.map(|run| run.id), Some(run_name(0)));
}

#[test]
fn first_judged_kernel_is_new_also_beside_another_selection() {
    let folder = tempfile::tempdir().expect("a folder");
    for (at, skipped) in [(0, 0), (1, 1)] {
        let mut document = night(&Night::plain(at, 2));
        document.cells.drain(..skipped * 3);
        document.cells.truncate(3);
        document.run.selection.kernels = vec![document.cells[0].kernel.clone()];
        let changes = history(folder.path()).conclude(&document, None).changes.expect("changes");
        let kernels: Vec<&str> = changes.changes.iter().map(|change| change.kernel.as_str()).collect();
        assert_eq!(kernels, if at == 0 { vec![] } else { vec!["kernel-1"] });
    }
}

#[test]
fn history_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path();
    concluded(results, 0..2);
    let db = Connection::open(results.join(HISTORY_FILE)).expect("a database");
    db.pragma_update(None, "user_version", schema::VERSION + 1).expect("a version");
    drop(db);
    let before = fs::read(results.join(HISTORY_FILE)).expect("a file");
    for error in [
        history(results).diff(None, None).expect_err("refused"),
        history(results).rebuild().expect_err("refused"),
        history(results).conclude(&night(&Night::plain(2, 3)), None).not_recorded.expect("refused"),
    ] {
        assert!(error.to_string().contains("has version 2, and this backproof reads version 1"), "{error}");
    }
    assert_eq!(fs::read(results.join(HISTORY_FILE)).expect("a file"), before);
}

#[test]
fn damaged_history_is_set_aside_and_made_again() {
    let damages: [fn(&mut Vec<u8>); 5] = [
        |bytes| *bytes = b"this is no database, but a page of text".repeat(500),
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes[..4096].fill(0xff),
        |bytes| {
            let end = bytes.len();
            bytes[4096..end].fill(0);
        },
        |bytes| bytes.truncate(100),
    ];
    for (at, damage) in damages.into_iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let results = folder.path();
        concluded(results, 0..4);
        let path = results.join(HISTORY_FILE);
        let mut bytes = fs::read(&path).expect("a file");
        damage(&mut bytes);
        fs::write(&path, &bytes).expect("a file");
        let document = night(&Night::plain(4, 3));
        write_night(results, &document);
        let mut history = history(results);
        let done = history.conclude(&document, None);
        assert!(done.not_recorded.is_none(), "{at}: {:?}", done.not_recorded);
        assert_eq!(done.changes.and_then(|changes| changes.before).map(|run| run.id), Some(run_name(3)), "{at}");
        let said = history.remarks().join("\n");
        assert!(said.contains("was damaged") && said.contains("made it again from 5 run folders"), "{at}: {said}");
        assert_eq!(fs::read(results.join("history.sqlite.damaged-1")).expect("the old one"), bytes, "{at}");
        assert_eq!(history.runs().expect("runs").len(), 5, "{at}");
    }
}

#[test]
fn rows_that_no_history_writes_are_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path();
    for statement in [
        "UPDATE subject SET kernel = '../../etc' WHERE id = 1",
        "UPDATE cell SET outcome = 77",
        "UPDATE run SET selection = '{'",
        "DROP TABLE word",
        "PRAGMA application_id = 7",
    ] {
        concluded(results, 0..3);
        let db = Connection::open(results.join(HISTORY_FILE)).expect("a database");
        db.pragma_update(None, "foreign_keys", false).expect("a setting");
        db.execute_batch(statement).expect("a statement");
        drop(db);
        let mut history = history(results);
        let changes = history.diff(None, None).expect(statement);
        assert_eq!((changes.compared, history.remarks().len()), (9, 1), "{statement}: {:?}", history.remarks());
        let _ = fs::remove_file(results.join(HISTORY_FILE));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn flipped_bytes_never_end_the_program(flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..40)) {
        let folder = tempfile::tempdir().expect("a folder");
        let results = folder.path();
        concluded(results, 0..3);
        let mut bytes = fs::read(results.join(HISTORY_FILE)).expect("a file");
        let length = bytes.len();
        flips.iter().for_each(|(at, byte)| bytes[at % length] = *byte);
        fs::write(results.join(HISTORY_FILE), bytes).expect("a file");
        let _ = history(results).diff(None, None);
        let _ = history(results).past(&"kernel-1".parse().expect("a name"), None);
        let _ = history(results).conclude(&night(&Night::plain(3, 3)), None);
        // A rebuild always helps, but for a version that seems newer.
        match history(results).rebuild() {
            Ok(report) => prop_assert_eq!(report.runs, 3),
            Err(error) => prop_assert!(matches!(error, HistoryError::Newer { .. }), "{}", error),
        }
    }
}

#[test]
fn folders_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path();
    for at in 0..6 {
        write_night(results, &night(&Night::plain(at, 3)));
    }
    let matrix = |at| results.join(run_name(at)).join("matrix.json");
    let whole = fs::read_to_string(matrix(0)).expect("a file");
    fs::write(matrix(0), &whole[..whole.len() / 2]).expect("a file");
    fs::remove_file(matrix(1)).expect("removed");
    fs::write(matrix(2), whole.replacen("\"schema_version\": 1", "\"schema_version\": 9", 1)).expect("a file");
    fs::write(matrix(3), whole.replacen("\"finished\": true", "\"finished\": false", 1)).expect("a file");
    fs::create_dir(results.join("copy")).expect("a folder");
    fs::copy(matrix(5), results.join("copy/matrix.json")).expect("a copy");
    let report = history(results).rebuild().expect("a rebuild");
    let skipped: Vec<(&str, &str)> = report.skipped.iter().map(|it| (it.folder.as_str(), it.why.as_str())).collect();
    assert_eq!(report.runs, 2);
    let expected = [
        (run_name(0), "damaged"),
        (run_name(2), "schema version 9"),
        (run_name(3), "unfinished"),
        ("copy".to_owned(), "copy of run"),
    ];
    assert_eq!(skipped.len(), expected.len(), "{skipped:#?}");
    for ((folder, why), (wanted, part)) in skipped.iter().zip(&expected) {
        assert!(folder == wanted && why.contains(part), "{folder}: {why}");
    }
}

#[test]
fn full_disk_loses_the_record_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path().join("results");
    let Some(_disk) = SmallDisk::mount(&results, "size=1m") else { return };
    concluded(&results, 0..2);
    // Nothing is left for another page.
    let _ = fs::write(results.join("fill"), vec![0; 2 << 20]);
    let done = history(&results).conclude(&night(&Night::plain(2, 900)), None);
    let error = done.not_recorded.expect("a full disk");
    assert!(!matches!(error, HistoryError::Damaged { .. }), "{error}");
    let changes = done.changes.expect("changes all the same");
    assert_eq!((changes.before.map(|run| run.id), changes.compared), (Some(run_name(1)), 9));
    fs::remove_file(results.join("fill")).expect("removed");
    assert_eq!(history(&results).runs().expect("runs").len(), 2);
}

#[test]
fn read_only_results_can_be_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path().join("results");
    let Some(_disk) = SmallDisk::mount(&results, "size=8m") else { return };
    for at in 0..2 {
        write_night(&results, &night(&Night::plain(at, 3)));
    }
    let remount = |how: &str| Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&results).status();
    assert!(remount("ro").expect("mount").success());
    // Without a file the folders are read, and with one it is.
    assert_eq!(history(&results).diff(None, None).expect("changes").compared, 9);
    assert!(remount("rw").expect("mount").success());
    history(&results).rebuild().expect("a rebuild");
    assert!(remount("ro").expect("mount").success());
    assert_eq!(history(&results).diff(None, None).expect("changes").compared, 9);
    let done = history(&results).conclude(&night(&Night::plain(2, 3)), None);
    assert!(done.not_recorded.is_some() && done.changes.is_some());
    assert!(remount("rw").expect("mount").success());
}

#[test]
fn many_writers_at_once_all_find_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path();
    for at in 0..16 {
        write_night(results, &night(&Night::plain(at, 3)));
    }
    // Half of them find a damaged file.
    fs::write(results.join(HISTORY_FILE), b"no database at all, but long enough to look like one").expect("a file");
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for at in 0..16 {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let done = history(results).conclude(&night(&Night::plain(at, 3)), None);
                assert!(done.not_recorded.is_none(), "{at}: {:?}", done.not_recorded);
            });
        }
    });
    let runs = history(results).runs().expect("runs");
    assert_eq!(runs.len(), 16);
    assert!(runs.iter().all(|run| run.cells == 9));
    assert!(!results.join("history.sqlite.damaged-2").exists(), "only one process sets it aside");
}

/// The kernels and bugs of a list of changes, sorted.
fn entries(changes: &RunChanges) -> Vec<(String, Option<String>)> {
    let entry = |it: &crate::results::RunChange| (it.kernel.to_string(), it.bug.as_ref().map(ToString::to_string));
    let mut entries: Vec<_> = changes.changes.iter().map(entry).collect();
    entries.sort();
    entries
}

#[test]
fn every_planted_change_is_told_and_none_invented() {
    for seed in 0..3 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut history = history(folder.path());
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut now, mut planted, mut total) = (Night::plain(0, 12), Vec::new(), 0);
        for _ in 0..60 {
            let changes = history.conclude(&night(&now), None).changes.expect("changes");
            assert_eq!(entries(&changes), planted, "seed {seed}, night {}: {:#?}", now.at, changes.changes);
            total += planted.len();
            // Most nights find nothing.
            let flips = random.usize(..4);
            (now, planted) = step(&now, &mut random, flips);
        }
        assert!(total > 40, "seed {seed}: {total}");
        // The same from the records, in any order.
        let changes = history.diff(Some(&run_name(10)), Some(&run_name(9))).expect("changes");
        let back = history.diff(Some(&run_name(9)), Some(&run_name(10))).expect("changes");
        let flips = |it: &RunChanges| it.changes.iter().filter(|it| it.bug.is_some()).count();
        assert_eq!(flips(&changes), flips(&back));
    }
}

#[test]
fn clock_is_that_of_the_boot_that_settled_the_cell() {
    let mut document = night(&Night::plain(0, 1));
    let clocks = |document: &MatrixDocument| -> Vec<GuestClock> {
        RunDigest::of_any(document).cells.values().map(|cell| cell.clock).collect()
    };
    assert_eq!(clocks(&document), [GuestClock::Virtual; 3]);
    // KVM failed, and emulation followed.
    let mut failed = document.kernels[0].boots[0].clone();
    (failed.time, failed.failure) = (None, Some("the first guest under KVM hung".to_owned()));
    document.kernels[0].boots.insert(0, failed);
    assert_eq!(clocks(&document), [GuestClock::Virtual; 3]);
    document.kernels[0].boots[1].time = None;
    assert_eq!(clocks(&document), [GuestClock::Real; 3]);
}

#[test]
fn past_is_told_in_spans() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut history = history(folder.path());
    for at in 0..9 {
        let mut it = Night::plain(at, 2);
        if (3..5).contains(&at) || at > 6 {
            it.faces.insert((1, 1), super::super::nights::Face::Fail);
        }
        history.conclude(&night(&it), None);
    }
    let kernel = "kernel-1".parse().expect("a name");
    let past = history.past(&kernel, Some(&"tcp-fragment-stall".parse().expect("a name"))).expect("a past");
    let spans: Vec<(&str, usize, &str, &str)> = past.cells[0]
        .spans
        .iter()
        .map(|span| (span.standing.outcome.as_str(), span.runs, &span.since[..10], &span.until[..10]))
        .collect();
    assert_eq!(
        spans,
        [
            ("fail", 2, "2026-01-08", "2026-01-09"),
            ("pass", 2, "2026-01-06", "2026-01-07"),
            ("fail", 2, "2026-01-04", "2026-01-05"),
            ("pass", 3, "2026-01-01", "2026-01-03"),
        ]
    );
    assert_eq!(history.past(&kernel, None).expect("a past").cells.len(), 3);
    let unknown = history.past(&"kernel-7".parse().expect("a name"), None).expect_err("none").to_string();
    assert_eq!(unknown, "the history has no kernel `kernel-7` (did you mean `kernel-1`?)");
    let unknown = history.past(&kernel, Some(&"other".parse().expect("a name"))).expect_err("none").to_string();
    assert!(unknown.contains("no bug of this kernel `other`: it has syn-cookie-data-loss"), "{unknown}");
}
