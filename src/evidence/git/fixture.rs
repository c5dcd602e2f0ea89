//! Creates small histories for tests, object by object.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Oid};
use tempfile::TempDir;

use super::{GitError, GitIndex, GitTestimony, Repository, StepFound};
use crate::evidence::StateSet;
use crate::matrix::{Backport, Bug, Bugs, Releases, StableLine, Step};
use crate::words::{Role, State};

/// The file with the bug, and its content before the break and after each step.
pub const FILE: &str = "net/ipv4/fragment.c";
pub const NEVER: &str = "head_of_the_fragment_function\nsplit_the_packet_in_two_parts\n";
pub const BROKEN: &str =
    "head_of_the_fragment_function\nrefuse_when_twice_the_limit_is_queued\nsplit_the_packet_in_two_parts\n";
pub const HALF: &str =
    "head_of_the_fragment_function\nrefuse_unless_it_is_the_write_queue\nsplit_the_packet_in_two_parts\n";
pub const FIXED: &str =
    "head_of_the_fragment_function\nrefuse_above_the_limit_and_slack\nsplit_the_packet_in_two_parts\n";
pub const MENDED: &str = "head_of_the_fragment_function\nrefuse_above_the_limit_and_slack\n\
                          split_the_packet_in_two_parts\nnothing_in_an_empty_retransmit_queue\n";

pub const BREAK_SUBJECT: &str = "tcp: fragment() should apply sane limits";
pub const HALF_SUBJECT: &str = "tcp: refine limit test in fragment()";
pub const FIX_SUBJECT: &str = "tcp: be more careful in fragment()";
pub const MEND_SUBJECT: &str = "tcp: fix rtx_queue_tail in case of empty retransmit queue";

/// A repository and an index, each in its own folder.
pub struct Fixture {
    pub dir: TempDir,
    pub git: git2::Repository,
    clock: Cell<i64>,
}

/// The mainline that every test starts from.
pub struct Mainline {
    /// 4.14, 4.19 and 5.1, where stable branches begin.
    pub v4_14: Oid,
    pub v4_19: Oid,
    pub v5_1: Oid,
    pub break_: Oid,
    pub half_fix: Oid,
    pub fix: Oid,
    pub tip: Oid,
}

pub fn makefile(version: &str) -> String {
    let (numbers, extra) = version.split_once('-').map_or((version, String::new()), |(n, e)| (n, format!("-{e}")));
    let mut numbers = numbers.split('.').map(str::to_owned).chain(["0".to_owned(), "0".to_owned()]);
    let mut next = || numbers.next().unwrap_or_default();
    format!("VERSION = {}\nPATCHLEVEL = {}\nSUBLEVEL = {}\nEXTRAVERSION = {extra}\n", next(), next(), next())
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = git2::Repository::init_bare(dir.path().join("linux.git")).unwrap();
        Self { dir, git, clock: Cell::new(1_560_000_000) }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("linux.git")
    }

    /// Creates a commit that changes these files of its first parent. An empty text removes the file.
    pub fn commit(&self, parents: &[Oid], message: impl AsRef<[u8]>, files: &[(&str, &str)]) -> Oid {
        let base = match parents.first() {
            Some(parent) => self.git.find_commit(*parent).unwrap().tree().unwrap(),
            None => self.git.find_tree(self.git.treebuilder(None).unwrap().write().unwrap()).unwrap(),
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, text) in files {
            if text.is_empty() {
                update.remove(path);
            } else {
                update.upsert(path, self.git.blob(text.as_bytes()).unwrap(), FileMode::Blob);
            }
        }
        let tree = update.create_updated(&self.git, &base).unwrap();
        self.clock.set(self.clock.get() + 60);
        let mut bytes = format!("tree {tree}\n").into_bytes();
        for parent in parents {
            bytes.extend(format!("parent {parent}\n").into_bytes());
        }
        // Authors are not always UTF-8.
        bytes.extend(b"author J\xf6rg <j@example.org> 1560000000 +0000\n");
        bytes.extend(format!("committer C <c@example.org> {} +0000\n\n", self.clock.get()).into_bytes());
        bytes.extend(message.as_ref());
        self.git.odb().unwrap().write(ObjectType::Commit, &bytes).unwrap()
    }

    /// Creates a line of commits, each with a message and a text of the file.
    pub fn line(&self, from: Oid, commits: &[(&str, &str)]) -> Oid {
        commits.iter().fold(from, |parent, (message, text)| self.commit(&[parent], message, &[(FILE, text)]))
    }

    pub fn branch(&self, name: &str, commit: Oid) {
        self.git.reference(&format!("refs/heads/{name}"), commit, true, "").unwrap();
    }

    pub fn tag(&self, name: &str, commit: Oid) {
        self.git.reference(&format!("refs/tags/{name}"), commit, true, "").unwrap();
    }

    pub fn index(&self) -> GitIndex {
        self.try_index().unwrap()
    }

    pub fn try_index(&self) -> Result<GitIndex, GitError> {
        Repository::open(&self.path())?.index(&self.dir.path().join("cache"), &|_| {})
    }

    pub fn ask(&self, bug: &Bug, revision: &str) -> GitTestimony {
        self.index().ask(bug, revision).unwrap()
    }

    /// Root, 4.14, 4.19, break, half fix, 5.2, fix, 5.3.
    pub fn mainline(&self) -> Mainline {
        let root = self.commit(&[], "Linux-2.6.12-rc2", &[("Makefile", &makefile("2.6.12-rc2")), (FILE, NEVER)]);
        self.tag("v2.6.12-rc2", root);
        let release = |parent, version: &str| {
            let commit = self.commit(&[parent], format!("Linux {version}\n"), &[("Makefile", &makefile(version))]);
            self.tag(&format!("v{version}"), commit);
            commit
        };
        let v4_14 = release(root, "4.14");
        let v4_19 = release(v4_14, "4.19");
        let v5_1 = release(v4_19, "5.1");
        let break_ = self.line(v5_1, &[(BREAK_SUBJECT, BROKEN)]);
        let half_fix = self.line(break_, &[(&format!("{HALF_SUBJECT}\n\nFixes: {break_} (\"x\")\n"), HALF)]);
        let v5_2 = release(half_fix, "5.2-rc6");
        let fix = self.line(v5_2, &[(&format!("{FIX_SUBJECT}\n\nFixes: {break_} (\"x\")\n"), FIXED)]);
        let tip = release(fix, "5.3-rc2");
        self.branch("master", tip);
        Mainline { v4_14, v4_19, v5_1, break_, half_fix, fix, tip }
    }
}

pub fn step(role: Role, commit: Option<Oid>, subject: &str) -> Step {
    Step {
        role,
        commit: commit.map(|oid| oid.to_string().parse().unwrap()),
        subject: Some(subject.to_owned()),
        files: vec![FILE.to_owned()],
        backports: Vec::new(),
        only_before: None,
        effect: String::new(),
    }
}

/// The dossier of the mainline's bug.
pub fn bug(mainline: &Mainline) -> Bug {
    use Role::{Break, Fix, FixOfFix, HalfFix};
    let mut bug = Bugs::built_in().iter().next().unwrap().clone();
    bug.chain = vec![
        step(Break, Some(mainline.break_), BREAK_SUBJECT),
        step(HalfFix, Some(mainline.half_fix), HALF_SUBJECT),
        step(Fix, Some(mainline.fix), FIX_SUBJECT),
        Step { only_before: Some("4.15".parse().unwrap()), ..step(FixOfFix, None, MEND_SUBJECT) },
    ];
    let steps =
        |pairs: &[(Role, &str)]| pairs.iter().map(|(role, release)| (*role, release.parse().unwrap())).collect();
    let line = |line: &str, pairs: &[(Role, &str)]| StableLine {
        line: line.parse().unwrap(),
        steps: steps(pairs),
        known_until: None,
    };
    bug.releases = Some(Releases {
        mainline: steps(&[(Break, "5.2-rc6"), (HalfFix, "5.2-rc6"), (Fix, "5.3-rc2")]),
        stable: vec![
            line("4.14", &[(Break, "4.14.127"), (HalfFix, "4.14.131"), (Fix, "4.14.138"), (FixOfFix, "4.14.142")]),
            line("4.19", &[(Break, "4.19.52"), (HalfFix, "4.19.55"), (Fix, "4.19.62")]),
        ],
        ended_before_break: vec!["4.15".parse().unwrap(), "4.20".parse().unwrap()],
        ..Releases::default()
    });
    bug
}

/// The dossier with no more than the commits of its steps, if they have one.
pub fn bare(bug: &Bug) -> Bug {
    let mut bug = bug.clone();
    for step in bug.chain.iter_mut().filter(|step| step.commit.is_some()) {
        (step.subject, step.files) = (None, Vec::new());
    }
    bug
}

pub fn backport(line: &str, commit: Oid, differs: bool) -> Backport {
    Backport { line: line.to_owned(), commit: commit.to_string().parse().unwrap(), differs }
}

/// Runs git, and fails if git does.
pub fn git(folder: &Path, arguments: &[&str]) {
    let done = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A message in the stable team's form.
pub fn picked(subject: &str, oid: Oid) -> String {
    format!("{subject}\n\ncommit {oid} upstream.\n")
}

pub fn set(states: &[State]) -> StateSet {
    states.iter().copied().collect()
}

/// The result for the step with this role.
pub fn of(testimony: &GitTestimony, role: Role) -> &StepFound {
    testimony.steps.iter().find(|step| step.role == role).unwrap()
}

pub fn on_4_14(fixture: &Fixture, mainline: &Mainline, sublevel: u32) -> Oid {
    let version = format!("4.14.{sublevel}");
    fixture.commit(&[mainline.v4_14], format!("Linux {version}"), &[("Makefile", &makefile(&version))])
}

pub fn on_4_19(fixture: &Fixture, mainline: &Mainline) -> Oid {
    fixture.commit(&[mainline.v4_19], "Linux 4.19.50", &[("Makefile", &makefile("4.19.50"))])
}

/// A 4.19 with the break.
pub fn broken(fixture: &Fixture, mainline: &Mainline) -> Oid {
    fixture.line(on_4_19(fixture, mainline), &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN)])
}

/// A 4.19 with the break and the half fix.
pub fn half_fixed(fixture: &Fixture, mainline: &Mainline) -> Oid {
    fixture.line(broken(fixture, mainline), &[(&picked(HALF_SUBJECT, mainline.half_fix), HALF)])
}
