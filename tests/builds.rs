//! `build:` kernels from sources that compile at once: what is compiled, kept, reported and locked.
#![expect(clippy::disallowed_macros, reason = "a test prints for people who watch it")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use backproof::kernel::build::{BuildError, BuiltKernel, build};
use backproof::kernel::{Blame, LockedFile, Obtain, Progress, Store, resolve};
use backproof::matrix::{BuildOrigin, BuildSource, Source};
use backproof::shim::Shim;
use serde_json::Value;

mod common;
use common::control_builds::{all_end, family_at_b};
use common::fake_source::FakeSource;
use common::small_disk::SmallDisk;
use common::{Lab, Ran, cell};

const PATCH: &str = "--- a/net/b.c\n+++ b/net/b.c\n@@ -1 +1 @@\n-whole b\n+patched b\n";

/// A fake source, its cache, and what was told.
struct BuildLab {
    lab: Lab,
    source: FakeSource,
    told: Mutex<Vec<String>>,
}

impl BuildLab {
    fn new() -> Self {
        let lab = Lab::new();
        let source = FakeSource::new(lab.dir.path(), &[]);
        Self { lab, source, told: Mutex::default() }
    }

    /// With its files in a repository.
    fn with_repository() -> Self {
        let lab = Self::new();
        lab.git(&["init", "--quiet", "-b", "main"]);
        lab.commit("first");
        lab.git(&["tag", "v6.1.7"]);
        lab
    }

    fn git(&self, arguments: &[&str]) {
        let done = Command::new("git").arg("-C").arg(self.source.path()).args(arguments).output().expect("git");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self, subject: &str) {
        self.git(&["add", "--all"]);
        self.git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", subject]);
    }

    fn tree(&self) -> BuildSource {
        BuildSource::plain(BuildOrigin::Tree(self.source.path()))
    }

    fn revision(&self, revision: &str) -> BuildSource {
        BuildSource::plain(BuildOrigin::Repo { repo: self.source.path(), revision: revision.to_owned() })
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        self.lab.write(name, text)
    }

    fn with<T>(&self, locked: Option<&[LockedFile]>, run: impl FnOnce(&Obtain) -> T) -> T {
        let store = Store::open(Some(self.lab.path("cache"))).expect("a cache");
        let shim = Shim::at(env!("CARGO_BIN_EXE_backproof").into());
        let tell = |progress: Progress| {
            if progress.is_slow() {
                self.told.lock().expect("a lock").push(progress.to_string());
            }
        };
        run(&Obtain { store: &store, shim: &shim, offline: true, refresh: false, locked, tell: &tell })
    }

    fn build(&self, wanted: &BuildSource) -> Result<BuiltKernel, BuildError> {
        self.with(None, |with| build(wanted, with))
    }

    /// The image's text, and the compiled objects; none if it was kept.
    fn built(&self, wanted: &BuildSource) -> (String, Option<Vec<String>>) {
        let built = self.build(wanted).expect("a kernel");
        let image = String::from_utf8_lossy(&fs::read(&built.kernel.image).expect("the image")).into_owned();
        let compiled = built.work.map(|work| {
            let mut compiled = work.compiled;
            compiled.sort();
            compiled
        });
        (image, compiled)
    }

    fn error(&self, wanted: &BuildSource) -> (Blame, String) {
        let error = self.build(wanted).map(|_| ()).expect_err("it cannot be built");
        (error.blame(), format!("{:#}", anyhow::Error::new(error)))
    }

    fn has_told(&self, text: &str) -> bool {
        self.told.lock().expect("a lock").iter().any(|told| told.contains(text))
    }
}

fn compiled(objects: &[&str]) -> Option<Vec<String>> {
    Some(objects.iter().map(|object| format!("net/{object}.o")).collect())
}

#[test]
fn patch_and_its_reverse_compile_only_their_file() {
    let lab = BuildLab::new();
    let (stock, work) = lab.built(&lab.tree());
    assert_eq!(work, compiled(&["a", "b"]));
    assert!(stock.contains("6.1.7-backproof") && stock.contains("whole b") && stock.contains("CONFIG_TUN=y"));
    let patched = BuildSource { patches: vec![lab.file("fix.patch", PATCH)], ..lab.tree() };
    let (image, work) = lab.built(&patched);
    assert!(work == compiled(&["b"]) && image.contains("patched b"), "{work:?}");
    assert_eq!(lab.built(&lab.tree()), (stock.clone(), None), "it is kept");
    assert_eq!(fs::read_to_string(lab.source.path().join("net/b.c")).expect("a file"), "whole b\n", "the user's tree");
    assert!(lab.has_told("compiled 1 object in"), "{:?}", lab.told);

    // The patch goes into the tree. Taken out there, it is the same kernel as before.
    lab.source.write("net/b.c", "patched b\n");
    assert_eq!(lab.built(&lab.tree()), (image, None));
    let reverted = BuildSource { revert: patched.patches.clone(), ..lab.tree() };
    assert_eq!(lab.built(&reverted), (stock, None));
}

#[test]
fn added_and_removed_files_are_compiled_and_dropped() {
    let lab = BuildLab::new();
    lab.built(&lab.tree());
    let add = "--- /dev/null\n+++ b/net/c.c\n@@ -0,0 +1 @@\n+whole c\n";
    let (image, work) = lab.built(&BuildSource { patches: vec![lab.file("add.patch", add)], ..lab.tree() });
    assert!(work == compiled(&["c"]) && image.contains("whole c"), "{work:?}");
    let remove = "--- a/net/a.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-whole a\n";
    let (image, work) = lab.built(&BuildSource { patches: vec![lab.file("remove.patch", remove)], ..lab.tree() });
    assert!(work == compiled(&[]) && !image.contains("whole a") && !image.contains("whole c"), "{work:?}");
}

#[test]
fn revision_is_built_without_the_dirt_of_its_working_tree() {
    let lab = BuildLab::with_repository();
    lab.source.write("net/b.c", "dirty b\n");
    let (image, work) = lab.built(&lab.revision("v6.1.7"));
    assert!(work == compiled(&["a", "b"]) && image.contains("whole b"), "{work:?}");
    let (image, work) = lab.built(&lab.tree());
    assert!(work.is_some() && image.contains("dirty b"));
    assert!(lab.has_told("the tree is built as it is: 1 of its files differ from its commit"), "{:?}", lab.told);
    lab.git(&["checkout", "--quiet", "."]);
    assert_eq!(lab.built(&lab.tree()).1, None, "the same files are the same source");

    lab.source.write("net/b.c", "second b\n");
    lab.commit("second");
    let (image, work) = lab.built(&lab.revision("main"));
    assert!(work == compiled(&["b"]) && image.contains("second b"), "{work:?}");
    let kernel = lab.build(&lab.revision("main")).expect("a kernel").kernel;
    assert!(kernel.commit.is_some() && !kernel.origin.names_release);
    let patch = PATCH.replace("whole b", "second b");
    let patched = BuildSource { patches: vec![lab.file("fix.patch", &patch)], ..lab.revision("main") };
    let kernel = lab.build(&patched).expect("a kernel").kernel;
    assert_eq!(kernel.commit, None, "no commit has the patch");
    let source = kernel.source.expect("its source");
    assert_eq!(source.patched("net/b.c"), Some(Some(&b"patched b\n"[..])));
    assert_eq!(source.committed("net/a.c").expect("a file").as_deref(), Some(&b"whole a\n"[..]));
}

#[test]
fn bad_input_is_the_users_fault_and_compiles_nothing() {
    let lab = BuildLab::with_repository();
    let patch = |name: &str, text: &str| vec![lab.file(name, text)];
    let arm = lab.file("arm.config", "CONFIG_ARM64=y\n");
    for (wanted, says) in [
        (
            BuildSource { patches: patch("1", &PATCH.replace("-whole", "-old")), ..lab.tree() },
            "1 doesn't apply to net/b.c: hunk #1 does not match",
        ),
        (
            BuildSource {
                patches: patch("2", &PATCH.replace("-whole", "-other").replace("+patched", "+whole")),
                ..lab.tree()
            },
            "2 doesn't apply to net/b.c: hunk #1 does not match; it has this change already",
        ),
        (BuildSource { revert: patch("3", PATCH), ..lab.tree() }, "3 cannot be taken out of net/b.c: hunk #1"),
        (
            BuildSource { patches: patch("4", &PATCH.replace("b.c", "z.c")), ..lab.tree() },
            "net/z.c: there is no such file",
        ),
        (BuildSource { patches: vec!["missing.patch".into()], ..lab.tree() }, "missing.patch does not exist"),
        (
            BuildSource { config: Some(arm), ..lab.tree() },
            "expected one of x86-64 with `CONFIG_X86_64=y`, found `CONFIG_ARM64=y`",
        ),
        (lab.revision("v6.1.8"), "did you mean v6.1.7?"),
        (BuildSource::plain(BuildOrigin::Tree(lab.lab.path("bin"))), "No such file"),
    ] {
        let (blame, text) = lab.error(&wanted);
        assert!(text.contains(says) && blame == Blame::User, "{text}");
    }
    assert!(lab.source.compiled().is_empty());
}

#[test]
fn broken_source_is_shown_by_its_first_error() {
    let lab = BuildLab::new();
    lab.source.tell("broken");
    let (blame, text) = lab.error(&lab.tree());
    assert!(blame == Blame::Host && text.contains("error: expected a semicolon; the log is "), "{text}");
    lab.source.untell("broken");
    assert!(!lab.built(&lab.tree()).0.contains("half"));
}

#[test]
fn old_source_is_compiled_with_flags_and_says_so() {
    let lab = BuildLab::new();
    lab.source.tell("old");
    lab.built(&lab.tree());
    assert!(lab.has_told("make runs again with KCFLAGS=-Wno-error=odd"), "{:?}", lab.told);
    let first = lab.source.compiled().len();
    let patched = BuildSource { patches: vec![lab.file("fix.patch", PATCH)], ..lab.tree() };
    assert_eq!(lab.built(&patched).1, compiled(&["b"]));
    assert_eq!(lab.source.compiled().len(), first + 1, "the next build knows");
    let provenance = format!("{:?}", lab.build(&patched).expect("a kernel").kernel.provenance);
    assert!(provenance.contains("KCFLAGS=-Wno-error=odd"), "{provenance}");
}

#[test]
fn configurations_are_compared_with_what_kconfig_made() {
    let lab = BuildLab::new();
    lab.source.tell("drop");
    let (image, _) = lab.built(&lab.tree());
    assert!(!image.contains("CONFIG_TUN") && lab.has_told("the source doesn't support CONFIG_TUN=y"), "{:?}", lab.told);
    let fragment = lab.file("tun.config", "CONFIG_TUN=y\nCONFIG_OTHER=y\n");
    let (blame, text) = lab.error(&BuildSource { fragment: vec![fragment.clone()], ..lab.tree() });
    assert!(blame == Blame::Host && text.contains("Kconfig dropped `CONFIG_TUN=y`"), "{text}");
    // A distribution's configuration has objects of its own.
    let config = lab.file("config", "CONFIG_X86_64=y\nCONFIG_VETH=m\n");
    let (image, work) = lab.built(&BuildSource { config: Some(config), fragment: vec![fragment], ..lab.tree() });
    assert!(image.contains("CONFIG_VETH=y") && image.contains("CONFIG_OTHER=y"), "{image}");
    assert_eq!(work, compiled(&["a", "b"]));
    assert!(lab.has_told("modules are not built; changed in the configuration: CONFIG_VETH=y"), "{:?}", lab.told);
}

#[test]
fn options_that_a_bug_needs_are_built_in() {
    let lab = BuildLab::new();
    let (image, _) = lab.built(&BuildSource { needs: vec!["CONFIG_ODD".to_owned()], ..lab.tree() });
    assert!(image.contains("CONFIG_ODD=y"), "{image}");
}

#[test]
fn locked_revision_is_built_although_its_branch_moved() {
    let lab = BuildLab::with_repository();
    let patched = BuildSource { patches: vec![lab.file("fix.patch", PATCH)], ..lab.revision("main") };
    let source = Source::Build(patched.clone());
    let locked = lab.with(None, |with| resolve(&source, with)).expect("an entry").files;
    assert_eq!(locked.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["source", "fix.patch"]);
    assert!(lab.source.compiled().is_empty(), "nothing is built for the lock");
    lab.source.write("net/a.c", "moved a\n");
    lab.commit("second");
    let built = lab.with(Some(&locked), |with| build(&patched, with)).expect("a kernel");
    assert_eq!(built.kernel.files, locked);
    let image = String::from_utf8_lossy(&fs::read(&built.kernel.image).expect("the image")).into_owned();
    assert!(image.contains("whole a") && image.contains("patched b"), "{image}");
    lab.file("fix.patch", &format!("Other words.\n{PATCH}"));
    let error = lab.with(Some(&locked), |with| build(&patched, with)).map(|_| ()).expect_err("another patch");
    assert!(error.to_string().contains("cannot build from fix.patch: its sha256 is") && error.blame() == Blame::User);
}

#[test]
fn kill_9_leaves_no_process_and_the_build_resumes() {
    let lab = BuildLab::new();
    lab.file("kernels.yaml", "kernels: [{ name: a, build: linux }]\n");
    lab.source.hold();
    let mut command = lab.lab.command(&["run", "--cache", "cache"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let family = family_at_b(&child, &lab.source);
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    all_end(&family);
    lab.source.untell("hold");
    let (image, _) = lab.built(&lab.tree());
    assert!(image.contains("whole b") && !image.contains("half"), "{image}");
    assert_eq!(lab.source.compiled().iter().filter(|name| *name == "a.c").count(), 1, "{:?}", lab.source.compiled());
}

#[test]
fn missing_make_is_an_error_of_the_cell() {
    let lab = BuildLab::new();
    lab.file("kernels.yaml", "bugs: [tcp-fragment-stall]\nkernels: [{ name: a, build: linux }]\n");
    fs::create_dir(lab.lab.path("empty")).expect("a folder");
    fs::copy("/usr/bin/qemu-system-x86_64", lab.lab.path("empty/qemu-system-x86_64")).expect("QEMU");
    let mut command = lab.lab.command(&["run", "--cache", "cache", "--format", "json", "--accel", "tcg"]);
    let ran = Ran::of(command.env("PATH", lab.lab.path("empty")).output().expect("it starts"));
    ran.ends_with(3);
    let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let reason = cell(&document, "a", "tcp-fragment-stall")["reason"].as_str().expect("a reason");
    assert!(reason.contains("kernels cannot be compiled here: `gcc`, `make`"), "{reason}");
}

#[test]
fn full_disk_is_the_hosts_fault_and_loses_nothing() {
    let lab = BuildLab::new();
    let Some(_cache) = SmallDisk::mount(&lab.lab.path("cache"), "size=200m") else {
        eprintln!("SKIPPED: only root can mount a small file system");
        return;
    };
    lab.built(&lab.tree());
    lab.source.tell("full");
    let patched = BuildSource { patches: vec![lab.file("fix.patch", PATCH)], ..lab.tree() };
    let (blame, text) = lab.error(&patched);
    assert!(blame == Blame::Host && text.contains("no space is left for"), "{text}");
    assert_eq!(lab.built(&lab.tree()).1, None);
}

#[test]
fn gc_knows_built_kernels_and_their_trees() {
    let lab = BuildLab::new();
    lab.built(&lab.tree());
    let shown = lab.lab.run(&["kernels", "gc", "--cache", "cache", "--format", "json"]);
    shown.ends_with(0);
    let document: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let items = |kind: &str| {
        let kinds = document["kinds"].as_array().expect("a list");
        kinds.iter().find(|found| found["kind"] == kind).map(|found| found["items"].clone())
    };
    assert_eq!(
        (items("build"), items("build-tree"), items("boot")),
        (Some(1.into()), Some(1.into()), None),
        "{document:#}"
    );
}
