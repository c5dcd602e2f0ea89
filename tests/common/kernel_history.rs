//! A git repository with a real kernel's source, and a history of `tcp-fragment-stall` in it. The user's cache keeps it. Each
//! source and recipe has its own history, whose commits have the same names everywhere.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backproof::kernel::Store;
use backproof::kernel::control::{BuildContext, stock_source};
use backproof::recipe::Recipes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::guests::shim;

/// The line of the source.
const LINE: &str = "6.1";

/// Parts of the source that a small x86 kernel doesn't need. Their Kconfig files and Makefiles stay.
const LEFT_OUT: [&str; 11] = [
    "Documentation",
    "arch/[!x]*",
    "drivers/gpu",
    "drivers/infiniband",
    "drivers/media",
    "drivers/net/*",
    "drivers/scsi",
    "drivers/staging",
    "sound",
    "tools/perf",
    "tools/testing",
];

const NEVER_HAD: &str = include_str!("../../images/patches/6.1/stall-never-had.patch");
const BREAK: &str = include_str!("../../images/patches/6.1/stall-break.patch");
const HALF_FIX: &str = include_str!("../../images/patches/6.1/stall-half-fix.patch");
const UNREACHED: &str = include_str!("../kernel_history/unreached.patch");
const NEVER_TRUE: &str = include_str!("../kernel_history/never-true.patch");
const COMMENT: &str = include_str!("../kernel_history/comment.patch");
const UNCOMPILED: &str = include_str!("../kernel_history/uncompiled.patch");
const BROKEN: &str = include_str!("../kernel_history/broken.patch");
const PANICS: &str = include_str!("../kernel_history/panics.patch");

/// A commit of the history.
#[derive(Debug)]
struct KernelCommit {
    name: &'static str,
    /// Ends the name of its tag, if it is a release.
    release: Option<&'static str>,
    /// `{fix}` stands for the commit of that name.
    message: &'static str,
    takes_out: &'static [&'static str],
    puts_in: &'static [&'static str],
}

const FIX_MESSAGE: &str =
    "tcp: be more careful in tcp_fragment()\n\ncommit b617158dc096709d8600c53b6052144d12b89fab upstream.";

/// The history, on top of the source as it was shipped, which has the fix.
const HISTORY: [KernelCommit; 14] = [
    release("never-had", "1", "The source before the limit", &[], &[NEVER_HAD]),
    release(
        "break",
        "2",
        "tcp: tcp_fragment() should apply sane memory limits\n\n\
         commit f070ef2ac66716357066b683fb0baf55f8191a2e upstream.",
        &[NEVER_HAD],
        &[BREAK],
    ),
    release(
        "half-fix",
        "3",
        "tcp: refine memory limit test in tcp_fragment()\n\ncommit b6653b3629e5b88202be3c9abc44713973f5c4b4 upstream.",
        &[BREAK],
        &[HALF_FIX],
    ),
    commit("unreached", "tcp: leave room in window probes", &[], &[UNREACHED]),
    release("never-true", "4", "tcp: let both ends through for MPTCP", &[], &[NEVER_TRUE]),
    commit("comment", "tcp: name the CVE", &[], &[COMMENT]),
    commit("uncompiled", "sctp: include linux/tcp.h", &[], &[UNCOMPILED]),
    commit("broken", "tcp: limit what is split", &[], &[BROKEN]),
    commit("unbroken", "Revert \"tcp: limit what is split\"", &[BROKEN], &[]),
    commit("panics", "tcp: require a table", &[], &[PANICS]),
    commit("calm", "Revert \"tcp: require a table\"", &[PANICS], &[]),
    release("fix", "5", FIX_MESSAGE, &[HALF_FIX], &[]),
    release(
        "revert",
        "6",
        "Revert \"tcp: be more careful in tcp_fragment()\"\n\nThis reverts commit {fix}.",
        &[],
        &[HALF_FIX],
    ),
    release("fix-again", "7", FIX_MESSAGE, &[HALF_FIX], &[]),
];

const fn commit(
    name: &'static str,
    message: &'static str,
    takes_out: &'static [&'static str],
    puts_in: &'static [&'static str],
) -> KernelCommit {
    KernelCommit { name, release: None, message, takes_out, puts_in }
}

const fn release(
    name: &'static str,
    number: &'static str,
    message: &'static str,
    takes_out: &'static [&'static str],
    puts_in: &'static [&'static str],
) -> KernelCommit {
    KernelCommit { release: Some(number), ..commit(name, message, takes_out, puts_in) }
}

/// The repository.
pub struct KernelHistory {
    repository: PathBuf,
    /// Names the source and the recipe.
    key: String,
}

impl KernelHistory {
    /// Opens it. Makes it first if the cache doesn't have it.
    pub fn open() -> Self {
        let store = Store::open(None).expect("the cache");
        // The source of the control kernels, if there are any.
        let package: Option<Value> = store.read_record(&format!("controls/{LINE}/package.json"));
        if let Some(sha256) = package.as_ref().and_then(|package| package["sha256"].as_str()) {
            let found = Self::of(sha256, &store);
            if found.is_whole() {
                return found;
            }
        }
        let folder = store.path("tests");
        fs::create_dir_all(&folder).expect("a folder");
        let lock = File::create(folder.join("linux.lock")).expect("a file");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
        let (shim, tell) = (shim(), |_| {});
        let with = BuildContext { store: &store, shim: &shim, offline: false, refresh: false, tell: &tell };
        let line = Recipes::built_in().line(LINE).expect("a line");
        let source = stock_source(line, &with).unwrap_or_else(|error| panic!("{error}"));
        let found = Self::of(&source.id.sha256, &store);
        if !found.is_whole() {
            found.make(&source.tree);
        }
        found
    }

    fn of(source: &str, store: &Store) -> Self {
        let recipe = format!("{source}{LEFT_OUT:?}{HISTORY:?}");
        let sum = Sha256::digest(recipe);
        let key = sum.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { repository: store.path("tests/linux.git"), key }
    }

    pub fn path(&self) -> &str {
        self.repository.to_str().expect("UTF-8")
    }

    /// The commit of this name.
    pub fn commit(&self, name: &str) -> String {
        self.find(name).unwrap_or_else(|| panic!("no commit {name}"))
    }

    /// The tag of the commit of this name.
    pub fn tag(&self, name: &str) -> String {
        let found = HISTORY.iter().find(|commit| commit.name == name).and_then(|commit| commit.release);
        self.tag_of(found.unwrap_or_else(|| panic!("no release {name}")))
    }

    fn tag_of(&self, release: &str) -> String {
        format!("v6.1.{release}-{}", self.key)
    }

    fn find(&self, name: &str) -> Option<String> {
        let mut git = self.git(&self.repository);
        git.args(["rev-parse", "--verify", "--quiet", &format!("refs/states/{}/{name}", self.key)]);
        let found = git.output().expect("git");
        found.status.success().then(|| String::from_utf8_lossy(&found.stdout).trim().to_owned())
    }

    fn is_whole(&self) -> bool {
        self.repository.is_dir() && HISTORY.iter().all(|commit| self.find(commit.name).is_some())
    }

    /// git, without the user's settings.
    fn git(&self, folder: &Path) -> Command {
        let mut git = Command::new("git");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "A Developer").env(format!("GIT_{who}_EMAIL"), "dev@kernel.example");
            git.env(format!("GIT_{who}_DATE"), "@1560000000 +0000");
        }
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        git.current_dir(folder).env("GIT_DIR", &self.repository);
        git
    }

    /// Makes the objects, and then all refs at once.
    fn make(&self, source: &Path) {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let index = HistoryIndex { history: self, scratch };
        let repository = self.repository.parent().expect("a folder");
        index.run(self.git(repository).args(["init", "--quiet", "--bare", self.path()]), "");
        index.add(source);
        let mut refs = String::new();
        let (mut parent, mut fix): (Option<String>, Option<String>) = (None, None);
        for KernelCommit { name, release, message, takes_out, puts_in } in &HISTORY {
            takes_out.iter().for_each(|patch| index.apply(patch, &["-R"]));
            puts_in.iter().for_each(|patch| index.apply(patch, &[]));
            let message = message.replace("{fix}", fix.as_deref().unwrap_or_default());
            let made = index.commit(&message, parent.as_deref());
            refs += &format!("update refs/states/{}/{name} {made}\n", self.key);
            if let Some(release) = release {
                refs += &format!("update refs/tags/{} {made}\n", self.tag_of(release));
            }
            fix = fix.or_else(|| (*name == "fix").then(|| made.clone()));
            parent = Some(made);
        }
        index.git(&["update-ref", "--stdin"], &refs);
        // The trees are loose files so far, which are slow to read.
        index.git(&["repack", "-d", "--quiet"], "");
    }
}

/// The files of the next commit.
struct HistoryIndex<'a> {
    history: &'a KernelHistory,
    scratch: TempDir,
}

impl HistoryIndex<'_> {
    /// Adds the source, as one pack: with this threshold git writes no loose file for each.
    fn add(&self, source: &Path) {
        let fast = ["-c", "core.bigFileThreshold=1", "-c", "core.compression=1", "add", "--force", "--"];
        let left_out: Vec<String> = LEFT_OUT.iter().map(|folder| format!(":(exclude,glob){folder}/**")).collect();
        let of_the_build = ["Kconfig", "Makefile", "Kbuild"].map(|name| format!(":(glob)**/{name}*"));
        let everything = vec![".".to_owned()];
        for paths in [[everything, left_out].concat(), of_the_build.to_vec()] {
            let mut git = self.history.git(source);
            self.run(git.args(fast).args(paths).env("GIT_WORK_TREE", source), "");
        }
    }

    fn apply(&self, patch: &str, how: &[&str]) {
        self.git(&[&["apply", "--cached"], how].concat(), patch);
    }

    fn commit(&self, message: &str, parent: Option<&str>) -> String {
        let tree = self.git(&["write-tree"], "");
        let parent = parent.map_or_else(Vec::new, |parent| vec!["-p", parent]);
        self.git(&[&["commit-tree", &tree], &parent[..]].concat(), message)
    }

    fn git(&self, args: &[&str], stdin: &str) -> String {
        self.run(self.history.git(&self.history.repository).args(args), stdin)
    }

    fn run(&self, git: &mut Command, stdin: &str) -> String {
        git.env("GIT_INDEX_FILE", self.scratch.path().join("index"));
        let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git");
        child.stdin.take().expect("a pipe").write_all(stdin.as_bytes()).expect("git reads");
        let done = child.wait_with_output().expect("git ends");
        assert!(done.status.success(), "{git:?}: {}", done.status);
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}
