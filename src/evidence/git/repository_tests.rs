use std::fs;
use std::path::Path;
use std::process::Command;

use super::fixture::*;
use super::{GitError, Repository};
use crate::repository::RepositoryError;
use crate::words::State;

fn refusal(path: &Path) -> GitError {
    Repository::open(path).map(|_| ()).unwrap_err()
}

#[test]
fn unreadable_repository_is_rejected_with_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("file"), "x").unwrap();
    let init = |arguments: &[&str]| git(dir.path(), &[&["init", "--quiet"], arguments].concat());
    init(&["--object-format=sha256", "sha256"]);
    init(&["--bare", "--object-format=sha256", "sha256.git"]);
    init(&["--ref-format=reftable", "reftable"]);
    init(&["extension"]);
    git(&at("extension"), &["config", "core.repositoryformatversion", "1"]);
    git(&at("extension"), &["config", "extensions.fromthefuture", "true"]);
    init(&["no-config"]);
    fs::write(at("no-config/.git/config"), "[core\nbroken").unwrap();
    init(&["elsewhere"]);
    fs::remove_dir_all(at("elsewhere/.git")).unwrap();
    fs::write(at("elsewhere/.git"), "gitdir: /nowhere/at/all").unwrap();
    for (name, remedy) in [
        ("nothing", "is not there"),
        ("empty", "is not a git repository"),
        ("file", "is not a git repository"),
        ("sha256", "SHA-1"),
        ("sha256.git", "SHA-1"),
        ("reftable", "git refs migrate"),
        ("extension", "extensions.fromthefuture"),
        ("no-config", "git fsck"),
        ("elsewhere", "is not a git repository"),
    ] {
        let error = refusal(&at(name));
        assert!(error.to_string().contains(remedy), "{name}: {error}");
    }
}

#[test]
fn repository_of_another_user_is_rejected() {
    let fixture = Fixture::new();
    fixture.mainline();
    // Only root can change a file's owner. Other users need an existing repository that belongs to root.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let give = Command::new("chown").args(["-R", "12345:12345"]).arg(fixture.path()).status().unwrap();
    assert!(give.success());
    let error = refusal(&fixture.path());
    assert!(matches!(error, GitError::Repository(RepositoryError::ForeignOwner(_))), "{error}");
    assert!(error.to_string().contains("safe.directory"), "{error}");
}

#[test]
fn damaged_object_is_named() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let name = mainline.break_.to_string();
    let object = fixture.path().join("objects").join(&name[..2]).join(&name[2..]);
    let whole = fs::read(&object).unwrap();
    let mut permissions = fs::metadata(&object).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a file of the test's own")]
    permissions.set_readonly(false);
    fs::set_permissions(&object, permissions).unwrap();
    for bytes in [&b""[..], b"x", &whole[..whole.len() / 2], &[whole.as_slice(), &whole[3..]].concat()[3..]] {
        fs::write(&object, bytes).unwrap();
        match fixture.try_index().map(|_| ()) {
            Err(error @ GitError::Repository(RepositoryError::Damaged { .. })) => {
                assert!(error.to_string().contains(&name), "{error}")
            }
            other => panic!("{} bytes: {other:?}", bytes.len()),
        }
    }
    fs::write(&object, whole).unwrap();
    assert!(fixture.try_index().is_ok());
}

#[test]
fn worktrees_share_the_index_of_their_repository() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let worktree = fixture.dir.path().join("worktree");
    git(&fixture.path(), &["worktree", "add", "--quiet", "--detach", "../worktree", "v5.2-rc6"]);
    let cache = fixture.dir.path().join("cache");
    fixture.index();
    let files = || fs::read_dir(&cache).unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    let before = files();
    let index = Repository::open(&worktree).unwrap().index(&cache, &|_| {}).unwrap();
    assert_eq!(files(), before);
    // Each worktree has its own HEAD.
    assert_eq!(index.ask(&bug, "HEAD").unwrap().finding.states.only(), Some(State::HalfFixed));
    let clone = fixture.dir.path().join("clone");
    git(fixture.dir.path(), &["clone", "--quiet", "linux.git", "clone"]);
    let index = Repository::open(&clone).unwrap().index(&cache, &|_| {}).unwrap();
    assert_eq!(index.ask(&bug, "origin/master").unwrap().finding.states.only(), Some(State::Fixed));
    assert!(files().len() > before.len());
}

#[test]
fn grafts_and_replaced_commits_are_followed() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    // A vendor's import, grafted onto its true history.
    let files = [("Makefile", makefile("4.19.57")), (FILE, "a_text_of_a_vendor_kernel\n".to_owned())];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let import = fixture.commit(&[], "Import", &files);
    fixture.branch("vendor", import);
    assert_eq!(fixture.ask(&bug, "vendor").finding.states.iter().count(), 4);
    let picked = format!("x\n\ncommit {} upstream.\n", mainline.fix);
    let fixed = fixture.line(mainline.v4_19, &[(&picked, FIXED)]);
    fixture.branch("true-history", fixed);
    let grafts = fixture.path().join("info/grafts");
    fs::create_dir_all(fixture.path().join("info")).unwrap();
    fs::write(&grafts, format!("{import} {fixed}\n")).unwrap();
    let tied = fixture.ask(&bug, "vendor");
    assert_eq!(tied.finding.states.only(), Some(State::Fixed), "{}", tied.finding.why);
    assert!(tied.warnings.iter().any(|warning| warning.contains("grafts (1)")), "{:?}", tied.warnings);
    // A graft without parents hides the earlier history.
    fs::write(&grafts, format!("{}\n", mainline.tip)).unwrap();
    let cut = fixture.ask(&bug, "master").finding;
    assert!(cut.states.iter().count() > 1 && cut.why.contains("cut off"), "{}", cut.why);
    // A graft that creates a cycle.
    fs::write(&grafts, format!("{} {}\n", mainline.v4_14, mainline.tip)).unwrap();
    assert!(fixture.ask(&bug, "master").finding.states.contains(State::Fixed));
    fs::remove_file(&grafts).unwrap();
    // A commit that is replaced by a backport.
    let replacement = fixture.commit(&[mainline.v4_19], &picked, &[("Makefile", &makefile("4.19.57")), (FILE, FIXED)]);
    fixture.git.reference(&format!("refs/replace/{import}"), replacement, true, "").unwrap();
    let replaced = fixture.ask(&bug, "vendor");
    assert!(replaced.warnings.iter().any(|warning| warning.contains("replace refs (1)")), "{:?}", replaced.warnings);
    assert!(replaced.finding.states.contains(State::Fixed) && replaced.finding.why.contains("fix: "));
}

#[test]
fn replaced_commits_are_judged_by_one_history() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let picked = |oid| format!("x\n\ncommit {oid} upstream.\n");
    let broken = fixture.line(mainline.v4_19, &[(&picked(mainline.break_), BROKEN)]);
    let tip = fixture.line(broken, &[("net: on", BROKEN)]);
    fixture.branch("vendor", tip);
    let name = tip.to_string();
    for revision in ["vendor", "vendor~1", &name] {
        assert_eq!(fixture.ask(&bug, revision).finding.states.only(), Some(State::Affected), "{revision}");
    }
    // The message, the parents and the files are the replacement's, for the index, the version and the lines.
    let mend = fixture.line(broken, &[(&picked(mainline.fix), FIXED)]);
    let release = [("Makefile", makefile("4.19.70")), (FILE, FIXED.to_owned())];
    let other = fixture.commit(&[mend], "net: other", &release.each_ref().map(|(path, text)| (*path, text.as_str())));
    fixture.git.reference(&format!("refs/replace/{tip}"), other, true, "").unwrap();
    for (revision, state) in [
        ("vendor", State::Fixed),
        (&name, State::Fixed),
        ("vendor~1", State::Fixed),
        ("vendor^", State::Fixed),
        ("vendor~2", State::Affected),
        ("vendor^^", State::Affected),
        ("vendor~3", State::NeverHad),
        ("vendor^0~1^1", State::Affected),
    ] {
        let testimony = fixture.ask(&bug, revision);
        assert_eq!(testimony.finding.states.only(), Some(state), "{revision}: {}", testimony.finding.why);
        assert!(testimony.warnings.iter().any(|w| w.contains("--no-replace-objects")), "{:?}", testimony.warnings);
    }
    assert_eq!(fixture.index().describe("vendor").unwrap().version.unwrap().to_string(), "4.19.70");
    let error = fixture.index().ask(&bug, "vendor~100").map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no revision `vendor~100`"), "{error}");
    // A chain of replacements, and a replaced file.
    let last = fixture.commit(&[mainline.tip], "net: last", &[]);
    fixture.git.reference(&format!("refs/replace/{other}"), last, true, "").unwrap();
    assert_eq!(fixture.ask(&bug, "vendor").finding.states.only(), Some(State::Fixed));
    assert_eq!(fixture.index().describe("vendor").unwrap().version.unwrap().to_string(), "5.3.0-rc2");
}

#[test]
fn history_without_tags_says_how_to_fetch_them() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    assert!(!fixture.ask(&bug, "master").warnings.iter().any(|warning| warning.contains("--tags")));
    let names: Vec<String> =
        fixture.git.tag_names(None).unwrap().iter().map(|name| name.unwrap().unwrap().to_owned()).collect();
    names.iter().for_each(|name| fixture.git.tag_delete(name).unwrap());
    let says = "fetch --tags";
    let whole = fixture.ask(&bug, "master");
    assert!(whole.warnings.iter().any(|warning| warning.contains(says)), "{:?}", whole.warnings);
    // Truncated at a release whose tag is missing.
    fs::create_dir_all(fixture.path().join("info")).unwrap();
    fs::write(fixture.path().join("info/grafts"), format!("{}\n", mainline.v4_19)).unwrap();
    let cut = fixture.ask(&bug, &mainline.v5_1.to_string()).finding;
    assert!(cut.why.contains(says) && cut.states.iter().count() > 1, "{}", cut.why);
}

#[test]
fn foreign_root_leaves_absence_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let files = [("Makefile", makefile("2.4.0")), (FILE, BROKEN.to_owned())];
    let root = fixture.commit(&[], "Import 2.4.0", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let merge = fixture.commit(&[mainline.v4_19, root], "Merge the older history", &[]);
    fixture.branch("merged", merge);
    let finding = fixture.ask(&bug, "merged").finding;
    let short = &root.to_string()[..12];
    assert!(finding.states.contains(State::NeverHad) && finding.states.contains(State::Affected), "{}", finding.why);
    assert!(finding.why.contains(short) && finding.why.contains(":Makefile"), "{}", finding.why);
}

#[test]
fn revision_that_is_not_a_commit_gets_a_suggestion() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let commit = fixture.git.find_object(mainline.half_fix, None).unwrap();
    let who = git2::Signature::now("T", "t@example.org").unwrap();
    fixture.git.tag("annotated", &commit, &who, "a tag", false).unwrap();
    let tree = fixture.git.find_commit(mainline.tip).unwrap().tree().unwrap();
    fixture.git.tag("tree", tree.as_object(), &who, "a tag of a tree", false).unwrap();
    let index = fixture.index();
    let description = index.describe("annotated").unwrap();
    assert_eq!(description.commit.as_str(), mainline.half_fix.to_string());
    assert_eq!(description.version.unwrap().to_string(), "5.1.0");
    for good in ["annotated", "master~1", "v5.3-rc2", "refs/heads/master", &mainline.fix.to_string()[..12]] {
        assert!(index.ask(&bug, good).is_ok(), "{good}");
    }
    let long = "v".repeat(10_000);
    for (wrong, says) in [
        ("v5.2-rc5", "did you mean v5.2-rc6"),
        ("4.19", "did you mean v4.19"),
        ("0123456789abcdef0123456789abcdef01234567", "no revision"),
        ("", "no revision"),
        (":/Linux", "no revision"),
        ("v4.19..v5.1", "no revision"),
        ("master~100000", "no revision"),
        (&long, "no revision"),
        ("a b\0c", "no revision"),
        ("master^{tree}", "is a tree, not a commit"),
        ("master:Makefile", "is a blob, not a commit"),
        ("tree", "not a commit"),
    ] {
        let error = index.ask(&bug, wrong).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(says), "{wrong:.40}: {error}");
    }
}
