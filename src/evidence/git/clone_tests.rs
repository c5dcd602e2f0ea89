//! Tests clones that lack commits or files.

use std::fs;

use super::fixture::*;
use super::{GitTestimony, Repository};
use crate::evidence::{StateSet, Strength};
use crate::words::State;

#[test]
fn partial_clone_gives_hints_and_their_remedy() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    // A claim that changes another file. A clone without trees cannot see that.
    let claim = format!("{FIX_SUBJECT}\n\ncommit {} upstream.\n", mainline.fix);
    let claim = fixture.commit(&[mainline.half_fix], claim, &[("Documentation/x", "text\n")]);
    fixture.branch("claim", fixture.commit(&[claim], "net: on", &[("net/on.c", "x\n")]));
    let carried = format!("net: a vendor's own words\n\ncommit {} upstream.\n", mainline.fix);
    fixture.branch("carried", fixture.line(mainline.half_fix, &[(&carried, FIXED)]));
    git(&fixture.path(), &["config", "uploadpack.allowFilter", "true"]);
    let from = format!("file://{}", fixture.path().display());
    for filter in ["blob:none", "tree:0"] {
        let clone = fixture.dir.path().join(filter.replace(':', "-"));
        let to = clone.display().to_string();
        git(fixture.dir.path(), &["clone", "--quiet", "--bare", "--no-local", "--filter", filter, &from, &to]);
        let config = fs::read_to_string(clone.join("config")).unwrap().to_lowercase();
        assert!(config.contains("partialclone"), "git made a partial clone");
        let index = Repository::open(&clone).unwrap().index(&fixture.dir.path().join("cache"), &|_| {}).unwrap();
        assert_eq!(index.describe("v5.2-rc6").unwrap().version, None);
        let fixed = index.ask(&bug, "master").unwrap().finding;
        // Whether the fix of the fix is needed depends on the version, which is in a file.
        let expected: StateSet = [State::Fixed, State::FixedWithDefect].into_iter().collect();
        assert_eq!(fixed.states, expected, "{filter}: {}", fixed.why);
        let why = &index.ask(&bug, "v4.19").unwrap().finding.why;
        assert!(why.contains(":Makefile` fetches it"), "{why}");
        // A step that was not found may be there if the version can't be read.
        assert!(index.ask(&bug, "v4.19").unwrap().finding.states.contains(State::NeverHad));
        assert_eq!(index.ask(&bug, "v4.19").unwrap().finding.states, StateSet::all());
        let carried = index.ask(&bug, "carried").unwrap();
        let is_open = carried.finding.states.contains(State::HalfFixed) || carried.finding.strength == Strength::Weak;
        assert!(is_open && !carried.warnings.is_empty(), "{filter}: {:?}", carried.finding);
        // Found by ancestry and by a message. Without the files no finding is strong.
        for revision in ["master", "carried", "v5.2-rc6~2"] {
            let GitTestimony { finding, warnings, .. } = index.ask(&bug, revision).unwrap();
            let is_told = warnings.iter().any(|warning| warning.contains("so the answer is a hint"));
            assert!(is_told, "{filter} {revision}: {warnings:?}");
            let affected = finding.states.and(StateSet::affected());
            let is_decided = affected.is_empty() || affected == finding.states;
            assert!(!is_decided || finding.strength == Strength::Weak, "{filter} {revision}: {finding:?}");
        }
        let claim = index.ask(&bug, "claim").unwrap();
        let is_unseen = filter == "tree:0";
        assert!(claim.finding.states.contains(State::HalfFixed), "{filter}: {}", claim.finding.why);
        let says = if is_unseen { "lacks the trees" } else { "changes none of its files" };
        assert!(claim.warnings.iter().any(|warning| warning.contains(says)), "{filter}: {:?}", claim.warnings);
        // The suggested commands repair it.
        for (revision, state) in [("master", State::Fixed), ("v5.2-rc6~2", State::Affected), ("v4.19", State::NeverHad)]
        {
            for _ in 0..3 {
                let index =
                    Repository::open(&clone).unwrap().index(&fixture.dir.path().join("cache"), &|_| {}).unwrap();
                let GitTestimony { finding, warnings, .. } = index.ask(&bug, revision).unwrap();
                let said = [vec![finding.why], warnings].concat().join("\n");
                let commands = said.split('`').filter(|text| text.starts_with("git -C") && text.contains(" show "));
                for command in commands {
                    let words: Vec<&str> = command.split(' ').skip(3).collect();
                    git(&clone, &words);
                }
            }
            let index = Repository::open(&clone).unwrap().index(&fixture.dir.path().join("cache"), &|_| {}).unwrap();
            let GitTestimony { finding, warnings, .. } = index.ask(&bug, revision).unwrap();
            let told = (finding.states.only(), finding.strength);
            assert_eq!(told, (Some(state), Strength::Strong), "{filter} {revision}: {} {warnings:?}", finding.why);
        }
    }
}

#[test]
fn shallow_clone_leaves_open_what_it_lacks() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let from = format!("file://{}", fixture.path().display());
    let ask = |depth: &str, revision: &str| {
        let to = format!("shallow-{depth}.git");
        let clone = fixture.dir.path().join(&to);
        git(fixture.dir.path(), &["clone", "--quiet", "--bare", "--no-local", "--depth", depth, &from, &to]);
        let repository = Repository::open(&clone).unwrap();
        assert!(repository.is_shallow());
        repository.index(&fixture.dir.path().join("cache"), &|_| {}).unwrap().ask(&bug, revision).unwrap()
    };
    // Only the release after the fix: by the dossier 5.3-rc2 has it, but the history can't show it.
    let one = ask("1", "master");
    assert_eq!(one.finding.states.iter().count(), 4, "{}", one.finding.why);
    assert!(one.finding.why.contains("fix: not in the part of its history that the clone has"), "{}", one.finding.why);
    assert!(!one.warnings.iter().any(|warning| warning.contains("git fsck")), "{:?}", one.warnings);
    assert!(one.finding.why.contains("cut off") && one.warnings.iter().any(|w| w.contains("--unshallow")));
    // With the fix, and without the break.
    assert_eq!(ask("2", "master").finding.states.only(), Some(State::Fixed));
    // Truncated at a kernel that never had the break.
    assert_eq!(ask("6", "master~4").finding.states.only(), Some(State::Affected));
    // Fetching the rest changes the answer and rebuilds the index.
    let clone = fixture.dir.path().join("shallow-1.git");
    git(&clone, &["fetch", "--quiet", "--unshallow", "origin"]);
    let index = Repository::open(&clone).unwrap().index(&fixture.dir.path().join("cache"), &|_| {}).unwrap();
    assert_eq!(index.ask(&bug, "master").unwrap().finding.states.only(), Some(State::Fixed));
}

fn loose_object(fixture: &Fixture, oid: git2::Oid) -> std::path::PathBuf {
    let hex = oid.to_string();
    fixture.path().join("objects").join(&hex[..2]).join(&hex[2..])
}

#[test]
fn missing_commit_is_reported_with_its_remedy() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let broken = fixture.line(mainline.v4_19, &[("net: x", "a_text_of_no_kind_at_all\n"), ("net: y", NEVER)]);
    let fixed = fixture.line(broken, &[(&format!("x\n\ncommit {} upstream.\n", mainline.fix), FIXED)]);
    fixture.branch("damaged", fixed);
    assert!(fixture.ask(&bug, "damaged").finding.why.contains("break: not in its history"));
    fs::remove_file(loose_object(&fixture, broken)).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let index = Repository::open(&fixture.path()).unwrap().index(cache.path(), &|_| {}).unwrap();
    let testimony = index.ask(&bug, "damaged").unwrap();
    let why = &testimony.finding.why;
    assert!(why.contains("break: not in the part of its history that the clone has"), "{why}");
    let (short, says) = (&broken.to_string()[..12], "run `git fsck`");
    assert!(testimony.warnings.iter().any(|w| w.contains(says) && w.contains(short)), "{:?}", testimony.warnings);
    assert!(!index.ask(&bug, "master").unwrap().warnings.iter().any(|warning| warning.contains(says)));
}

#[test]
fn vanished_later_fix_is_not_warned_of() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let message = format!("tcp: fix the fix\n\nFixes: {} (\"tcp\")\n", &mainline.fix.to_string()[..12]);
    let later = fixture.commit(&[mainline.tip], message, &[("net/later.c", "x\n")]);
    fixture.branch("next", later);
    assert_eq!(fixture.ask(&bug, "master").warnings.len(), 1);
    fixture.branch("next", mainline.tip);
    fs::remove_file(loose_object(&fixture, later)).unwrap();
    assert_eq!(fixture.ask(&bug, "master").warnings, [""; 0]);
}

#[test]
fn missing_blob_is_not_taken_for_a_missing_file() {
    let fixture = Fixture::new();
    let tip = fixture.commit(&[], "a tree", &[("net/a.c", "int a;\n")]);
    fixture.branch("master", tip);
    let (index, commit) = (fixture.index(), tip.to_string().parse().unwrap());
    assert_eq!(index.file(&commit, "net/a.c").unwrap(), Some(b"int a;\n".to_vec()));
    assert_eq!((index.file(&commit, "net/b.c").unwrap(), index.file(&commit, "mm/a.c").unwrap()), (None, None));
    // As in a partial clone: first without the file, then without its folder.
    let tree = fixture.git.find_commit(tip).unwrap().tree().unwrap();
    let folder = tree.get_name("net").unwrap().id();
    let blob = tree.get_path("net/a.c".as_ref()).unwrap().id();
    for gone in [blob, folder] {
        let name = gone.to_string();
        fs::remove_file(fixture.git.path().join("objects").join(&name[..2]).join(&name[2..])).unwrap();
        let index = fixture.index();
        let error = index.file(&commit, "net/a.c").unwrap_err().to_string();
        assert!(error.contains("the repository lacks") && error.contains("git fsck"), "{error}");
    }
}
