use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::history::nights::{Face, Night, night, run_name, write_night};
use crate::history::{HistoryFile, prune};
use crate::results::MatrixDocument;
use crate::small_disk::SmallDisk;

/// Results and a site in a folder that goes with the test.
struct Lab(tempfile::TempDir);

impl Lab {
    /// With these nights of three kernels.
    fn of(nights: std::ops::Range<u32>) -> Self {
        let lab = Self(tempfile::tempdir().expect("a folder"));
        nights.for_each(|at| lab.add(&document(at)));
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn results(&self) -> PathBuf {
        self.path("results")
    }

    /// Adds a run, as its end does.
    fn add(&self, document: &MatrixDocument) {
        write_night(&self.results(), document);
        self.history().conclude(document, None);
    }

    fn history(&self) -> HistoryFile {
        HistoryFile::in_results(&self.results())
    }

    fn try_write(&self, site: &str) -> Result<SiteSummary, SiteError> {
        write_site(&mut self.history(), &self.results(), &self.path(site), &mut |_| ())
    }

    fn write(&self, site: &str) -> SiteSummary {
        self.try_write(site).expect("a site")
    }
}

/// A night of three kernels, in which some fail and some change.
fn document(at: u32) -> MatrixDocument {
    let mut now = Night::plain(at, 3);
    if at % 4 == 1 {
        now.faces.insert((0, 1), Face::Fail);
    }
    if at > 2 {
        now.faces.insert((1, 0), Face::Error);
        now.kernels.insert(2, at);
    }
    night(&now)
}

/// The files of a folder, with what tells whether they were written again.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("a name").display().to_string();
                let inode = path.metadata().expect("a file").ino();
                found.insert(name, (fs::read(&path).expect("a file"), inode));
            }
        }
    }
    found
}

fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files(folder).into_iter().map(|(name, (bytes, _))| (name, bytes)).collect()
}

/// Names of the files that are new or were written again.
fn changed(before: &BTreeMap<String, (Vec<u8>, u64)>, after: &BTreeMap<String, (Vec<u8>, u64)>) -> Vec<String> {
    after.iter().filter(|(name, file)| before.get(*name) != Some(file)).map(|(name, _)| name.clone()).collect()
}

#[test]
fn night_changes_only_its_own_files() {
    // 31 nights of January, and some of February.
    let lab = Lab::of(0..34);
    let first = lab.write("site");
    assert_eq!((first.nights, first.written, first.again), (34, 34 + 2 + 2, None));
    let before = files(&lab.path("site"));
    let same = lab.write("site");
    assert_eq!((same.written, same.bytes, same.removed), (0, 0, 0));
    assert_eq!(files(&lab.path("site")), before);

    lab.add(&document(34));
    let next = lab.write("site");
    assert_eq!((next.nights, next.written, next.removed), (35, 3, 1));
    let after = files(&lab.path("site"));
    let new = changed(&before, &after);
    let own = format!("data-1/changes/{}.js", run_name(34));
    assert_eq!(new[..2], [own, new[1].clone()]);
    assert!(new[1].starts_with("data-1/nights/2026-02-"), "{new:?}");
    assert_eq!(new[2..], ["data-1/overview.js"]);
    assert_eq!(before.keys().filter(|name| !after.contains_key(*name)).count(), 1, "the earlier February");

    // The same as one that is made from nothing.
    lab.write("other");
    assert_eq!(bytes(&lab.path("site")), bytes(&lab.path("other")));
}

#[test]
fn missing_and_damaged_files_are_written_again() {
    let lab = Lab::of(0..3);
    lab.write("site");
    let whole = bytes(&lab.path("site"));
    let data = lab.path("site/data-1");
    fs::remove_file(data.join(format!("changes/{}.js", run_name(1)))).expect("removed");
    let nights = fs::read_dir(data.join("nights")).expect("a folder").next().expect("a file").expect("a file").path();
    fs::write(nights, "backproof({\"site\":\"nights\"").expect("a file");
    let mended = lab.write("site");
    // The nights' name follows from their content, so the damaged file was replaced.
    assert_eq!((mended.written, mended.again), (2, None));
    assert_eq!(bytes(&lab.path("site")), whole);
    fs::write(data.join("overview.js"), "backproof({\"site\":\"over").expect("a file");
    assert!(lab.write("site").again.is_some_and(|why| why.contains("damaged")));
    assert_eq!(bytes(&lab.path("site")), whole);
}

#[test]
fn pruned_nights_leave_the_site_and_keep_the_rest() {
    let lab = Lab::of(0..6);
    lab.write("site");
    let before = files(&lab.path("site"));
    let now = "2026-01-06T22:00:00Z".parse().expect("a time");
    prune(&mut lab.history(), Duration::from_secs(3 * 24 * 3600), now, false).expect("pruned");
    let pruned = lab.write("site");
    assert_eq!((pruned.nights, pruned.written, pruned.removed), (3, 2, 4));
    let after = files(&lab.path("site"));
    assert!(!after.values().any(|(bytes, _)| String::from_utf8_lossy(bytes).contains(&run_name(0))));
    // What changed in the oldest night that is left stays as it was told.
    let oldest = format!("data-1/changes/{}.js", run_name(3));
    assert_eq!(after[&oldest], before[&oldest]);
    assert!(String::from_utf8_lossy(&after[&oldest].0).contains(&run_name(2)));
    lab.write("other");
    let nights = |site: &str| bytes(&lab.path(&format!("{site}/data-1/nights")));
    assert_eq!(nights("site"), nights("other"));
}

#[test]
fn matrices_are_apart_and_runs_that_come_late_are_compared() {
    let lab = Lab::of(0..4);
    let mut other = document(2);
    other.run.matrix = "other.yaml".to_owned();
    other.run.id = "20260103-220000-1".to_owned();
    lab.add(&other);
    lab.write("site");
    let overview: overview::Overview =
        data::parsed(&fs::read(lab.path("site/data-1/overview.js")).expect("a file")).expect("an overview");
    let shape: Vec<(&str, usize)> = overview
        .matrices
        .iter()
        .map(|it| (it.name.as_str(), it.files.iter().map(|file| file.runs.len()).sum()))
        .collect();
    assert_eq!(shape, [("kernels.yaml", 4), ("other.yaml", 1)]);
    let first = overview.runs().next().expect("a run");
    assert_eq!((first.changes, first.counts.len()), (None, 3));

    // A run between two others, which the later one is compared with from now on.
    let late = Night { at: 2, ..Night::plain(2, 2) };
    let mut late = night(&late);
    late.run.id = "20260103-230000-9".to_owned();
    late.run.started = "2026-01-03T23:00:00Z".to_owned();
    lab.add(&late);
    let changes = |site: &str| {
        let name = format!("{site}/data-1/changes/{}.js", run_name(3));
        String::from_utf8(fs::read(lab.path(&name)).expect("a file")).expect("UTF-8")
    };
    assert!(changes("site").contains(&run_name(2)));
    lab.write("site");
    assert!(changes("site").contains("20260103-230000-9"), "{}", changes("site"));
    lab.write("other");
    assert_eq!(bytes(&lab.path("site")), bytes(&lab.path("other")));
}

#[test]
fn folder_of_somebody_else_is_left_alone() {
    let lab = Lab::of(0..2);
    let write = |name: &str, content: &str| {
        let path = lab.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    };
    for (folder, file) in
        [("docs", "notes.txt"), ("page", "index.html"), ("data", "data-1/overview.js"), ("photos", "data-1/a.jpg")]
    {
        write(&format!("{folder}/{file}"), "mine");
        let before = bytes(&lab.path(folder));
        let error = lab.try_write(folder).expect_err("a foreign folder");
        assert!(error.is_usage() && error.to_string().contains("name an empty or a new folder"), "{error}");
        assert_eq!(bytes(&lab.path(folder)), before);
    }
    assert!(matches!(lab.try_write("docs/notes.txt"), Err(SiteError::NotFolder(_))));

    // Hidden files may be there before, and any others after.
    write("site/.git/config", "mine");
    lab.write("site");
    for file in ["CNAME", "data-1/nights/mine.js", "data-1/mine.txt", "data-0/mine.js", "data-0/nights/mine.js"] {
        write(&format!("site/{file}"), "mine");
    }
    write("site/data-0/nights/2026-01-0.js", "backproof({\"site\":\"nights\"});");
    write("site/data-0/overview.js", "backproof({\"site\":\"overview\"});");
    write("site/data-1/nights/.writing-abc", "backproof(");
    assert_eq!(lab.write("site").removed, 3);
    let left = bytes(&lab.path("site"));
    assert_eq!(left.values().filter(|bytes| *bytes == b"mine").count(), 6, "{:?}", left.keys());
    fs::write(lab.path("site/index.html"), "mine").expect("a file");
    assert!(lab.try_write("site").expect_err("another frame").is_usage());
}

#[test]
fn site_of_another_version_is_written_again() {
    let lab = Lab::of(0..2);
    lab.write("site");
    let whole = bytes(&lab.path("site"));
    fs::rename(lab.path("site/data-1"), lab.path("site/data-0")).expect("renamed");
    // A failed update leaves the old version as it was.
    fs::create_dir_all(lab.path("site/data-1/overview.js/in the way")).expect("a folder");
    let before = bytes(&lab.path("site"));
    assert!(matches!(lab.try_write("site"), Err(SiteError::Io { .. })));
    assert_eq!(bytes(&lab.path("site")), before);
    fs::remove_dir_all(lab.path("site/data-1")).expect("removed");
    let again = lab.write("site");
    assert!(again.again.is_some_and(|why| why.contains("another version")), "{again:?}");
    assert_eq!(bytes(&lab.path("site")), whole);
    assert!(!lab.path("site/data-0").exists());
}

#[test]
fn failed_upgrade_keeps_the_earlier_overview_and_its_frame() {
    let lab = Lab::of(0..2);
    lab.write("site");
    fs::rename(lab.path("site/data-1"), lab.path("site/data-0")).expect("renamed");
    fs::write(lab.path("site/index.html"), format!("{}<body data-folder=\"data-0/\">", frame::GENERATOR))
        .expect("a frame");
    // All is written but the overview.
    fs::create_dir_all(lab.path("site/data-1/overview.js/in the way")).expect("a folder");
    let before = bytes(&lab.path("site"));
    assert!(lab.try_write("site").is_err());
    assert_eq!(bytes(&lab.path("site")), before);
}

#[test]
fn earlier_overview_names_no_file_elsewhere() {
    let lab = Lab::of(0..2);
    lab.write("site");
    let whole = bytes(&lab.path("site"));
    let path = lab.path("site/data-1/overview.js");
    let text = fs::read_to_string(&path).expect("the overview");
    let id = format!("\"id\":\"{}\"", run_name(0));
    let hostile = text.replace(&id, &format!("{id},\"file\":\"../../../pwned\""));
    assert_ne!(hostile, text);
    fs::write(&path, hostile).expect("a file");
    lab.write("site");
    assert!(!lab.path("pwned.js").exists());
    assert_eq!(bytes(&lab.path("site")), whole);
}

#[test]
fn folder_of_the_user_is_no_data_of_a_site() {
    let lab = Lab::of(0..1);
    fs::create_dir_all(lab.path("mine/data-raw")).expect("a folder");
    fs::create_dir_all(lab.path("mine/data-2024")).expect("a folder");
    fs::write(lab.path("mine/notes.txt"), "x").expect("a file");
    assert!(lab.try_write("mine").is_err_and(|error| error.is_usage()));
    lab.write("site");
    fs::create_dir_all(lab.path("site/data-raw")).expect("a folder");
    lab.write("site");
    assert!(lab.path("site/data-raw").is_dir());
}

#[test]
fn full_disk_leaves_the_site_that_was_there() {
    let lab = Lab::of(0..3);
    let site = lab.path("site");
    let Some(_disk) = SmallDisk::mount(&site, "size=256k") else { return };
    lab.write("site");
    let before = bytes(&site);
    // A few pages are left: enough for some of the files.
    let rest = |pages: u64| {
        let free = rustix::fs::statvfs(&site).expect("a file system").f_bavail;
        fs::write(site.join(".fill"), vec![0; usize::try_from((free - pages) * 4096).expect("a size")])
            .expect("a file");
    };
    lab.add(&document(3));
    for pages in 0..4 {
        rest(pages);
        let done = lab.try_write("site");
        fs::remove_file(site.join(".fill")).expect("removed");
        match done {
            Err(error) => {
                assert!(!error.is_usage() && error.to_string().contains("no space is left; free some"), "{error}");
                assert_eq!(bytes(&site), before, "{pages} pages");
            }
            Ok(_) => assert!(pages > 2, "{pages} pages are enough"),
        }
    }
    assert_eq!(lab.write("site").nights, 4);
    lab.write("other");
    assert_eq!(bytes(&site), bytes(&lab.path("other")));
}

#[test]
fn two_writers_wait_for_each_other() {
    let lab = Lab::of(0..6);
    let (waits, waiting) = std::sync::mpsc::channel();
    let first = folder::SiteFolder::open(&lab.path("site"), &mut |_| ()).expect("a folder");
    std::thread::scope(|scope| {
        let lab = &lab;
        let writers: Vec<_> = (0..3)
            .map(|_| {
                let waits = waits.clone();
                scope.spawn(move || {
                    let mut tell = |progress: &SiteProgress| {
                        if *progress == SiteProgress::Waiting {
                            waits.send(()).expect("somebody listens");
                        }
                    };
                    write_site(&mut lab.history(), &lab.results(), &lab.path("site"), &mut tell).expect("a site")
                })
            })
            .collect();
        for _ in 0..3 {
            waiting.recv_timeout(Duration::from_secs(60)).expect("another writer waits");
        }
        drop(first);
        let mut written: Vec<usize> = writers.into_iter().map(|it| it.join().expect("a site").written).collect();
        written.sort_unstable();
        assert_eq!(written[..2], [0, 0], "the others find everything done");
        assert!(written[2] > 6);
    });
    lab.write("other");
    assert_eq!(bytes(&lab.path("site")), bytes(&lab.path("other")));
}

#[test]
fn hostile_strings_are_data_in_the_site() {
    let hostile = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> \u{202e}\u{1b}[2J\u{2028}\0";
    let lab = Lab::of(0..1);
    let mut run = document(3);
    run.run.matrix = hostile.to_owned();
    run.run.started = format!("2026-{hostile}");
    // As the name of a folder.
    run.run.id = "<img src=x onerror=alert(3)>\u{1b}\u{202e}'\"".to_owned();
    run.cells[0].release = Some(format!("{hostile}{}", "y".repeat(1 << 20)));
    for cell in &mut run.cells {
        cell.judgement.reason = Some(hostile.to_owned());
    }
    lab.add(&run);
    lab.write("site");
    let files = bytes(&lab.path("site"));
    assert!(
        files.len() == 2 * 2 + 2 && files.keys().all(|name| name.chars().all(|c| c.is_ascii_graphic())),
        "{:?}",
        files.keys()
    );
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".js")) {
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        assert!(!text.contains('<') && !text.trim_end().chars().any(crate::json::is_obeyed), "{name}");
        assert!(text.len() < 30_000 && text.starts_with(data::PREFIX), "{name}: {}", text.len());
        assert!(data::parsed::<serde_json::Value>(bytes).is_some(), "{name}");
    }
}

#[test]
fn frame_loads_nothing_but_its_data_and_has_no_handlers() {
    let frame = frame::frame().expect("a frame");
    for address in ["http:", "https:", "url(", "@import", "innerHTML", "eval(", " onclick=", "fetch("] {
        assert_eq!(frame.replace("http://www.w3.org/2000/svg", "").matches(address).count(), 0, "{address}");
    }
    assert!(frame.contains("default-src &#39;none&#39;; script-src &#39;sha256-"), "{}", &frame[..700]);
    assert!(frame[..1024].contains(frame::GENERATOR));
}

#[test]
fn empty_history_is_a_site_without_nights() {
    let lab = Lab(tempfile::tempdir().expect("a folder"));
    fs::create_dir(lab.results()).expect("a folder");
    assert_eq!((lab.write("site").nights, lab.write("site").written), (0, 0));
    lab.add(&document(0));
    assert_eq!(lab.write("site").nights, 1);
    use crate::report::Document as _;
    let text = lab.write("site").text(crate::report::Style::default());
    assert!(text.contains("1 night; up to date"), "{text}");
}
