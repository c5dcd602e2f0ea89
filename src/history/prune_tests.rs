use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use super::super::nights::{Night, night, run_name, write_night};
use super::*;

fn pruned(results: &Path, keep: u64, dry_run: bool) -> PruneReport {
    let now: Timestamp = "2026-01-31T00:00:00Z".parse().expect("a time");
    let keep = Duration::from_secs(keep * 24 * 3600);
    prune(&mut HistoryFile::in_results(results), keep, now, dry_run).expect("a prune")
}

fn names(runs: &[PrunedRun]) -> Vec<&str> {
    runs.iter().map(|run| run.run.as_str()).collect()
}

#[test]
fn prune_removes_only_old_runs_of_backproof() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path();
    // From January 1st on.
    for at in 0..6 {
        let document = night(&Night::plain(at, 3));
        write_night(results, &document);
        HistoryFile::in_results(results).conclude(&document, None);
    }
    let precious = folder.path().join("precious");
    fs::create_dir(&precious).expect("a folder");
    fs::write(precious.join("matrix.json"), "{}").expect("a file");
    fs::write(results.join("notes.txt"), "mine").expect("a file");
    fs::create_dir_all(results.join("mine/deep")).expect("a folder");
    std::os::unix::fs::symlink(&precious, results.join("link")).expect("a link");
    std::os::unix::fs::symlink(&precious, results.join(run_name(0)).join("link")).expect("a link");
    // A run that goes on, and a copy under another name.
    let going = results.join(run_name(1));
    let going = File::open(going).expect("a folder");
    flock(&going, FlockOperation::LockExclusive).expect("a lock");
    fs::rename(results.join(run_name(2)), results.join("kept-by-hand")).expect("renamed");
    let report = pruned(results, 20, true);
    assert_eq!(names(&report.removed), [run_name(0), run_name(3), run_name(4), run_name(2)]);
    assert!(results.join(run_name(0)).exists());
    let report = pruned(results, 20, false);
    assert_eq!(names(&report.removed), [run_name(0), run_name(3), run_name(4), run_name(2)]);
    assert_eq!(names(&report.left), ["kept-by-hand", "precious", &run_name(1)]);
    assert_eq!(report.kept, 1, "the newest");
    for stays in [&run_name(1), &run_name(5), "kept-by-hand", "notes.txt", "mine/deep", "link", "precious/matrix.json"]
    {
        assert!(results.join(stays).symlink_metadata().is_ok(), "{stays}");
    }
    for gone in [0, 3, 4] {
        assert!(!results.join(run_name(gone)).exists(), "{gone}");
    }
    let left: Vec<String> =
        HistoryFile::in_results(results).runs().expect("runs").into_iter().map(|run| run.run.id).collect();
    assert_eq!(left, [run_name(5), run_name(1)]);
    assert!(pruned(results, 20, false).removed.is_empty());
}
