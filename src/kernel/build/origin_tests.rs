use std::fs;
use std::process::Command;

use super::*;
use crate::kernel::error_class::Blame;

/// A repository with a tiny kernel, and a cache.
struct OriginWorld {
    dir: tempfile::TempDir,
    store: Store,
}

impl OriginWorld {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path().join("cache"))).unwrap();
        let world = Self { dir, store };
        world.write("Makefile", "VERSION = 6\nPATCHLEVEL = 1\n");
        world.write("arch/x86/Makefile", "");
        world.write("net/a.c", "a\n");
        std::os::unix::fs::symlink("a.c", world.path("linux/net/link.c")).unwrap();
        world.git(&["init", "--quiet", "linux"]);
        world.commit("first");
        world.git(&["-C", "linux", "tag", "v6.1.7"]);
        world
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path("linux").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn commit(&self, subject: &str) {
        self.git(&["-C", "linux", "add", "--all"]);
        self.git(&["-C", "linux", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", subject]);
    }

    fn git(&self, arguments: &[&str]) {
        let done = Command::new("git").current_dir(self.dir.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn tree(&self) -> Result<OpenOrigin, BuildError> {
        OpenOrigin::open(&BuildOrigin::Tree(self.path("linux")), None, &self.store)
    }

    fn revision(&self, repo: &str, revision: &str) -> Result<OpenOrigin, BuildError> {
        let origin = BuildOrigin::Repo { repo: self.path(repo), revision: revision.to_owned() };
        OpenOrigin::open(&origin, None, &self.store)
    }
}

fn said(found: Result<OpenOrigin, BuildError>) -> (Blame, String) {
    let error = found.map(|_| ()).unwrap_err();
    (error.blame(), error.to_string())
}

#[test]
fn folder_and_revision_with_the_same_files_are_the_same_source() {
    let world = OriginWorld::new();
    world.git(&["clone", "--quiet", "--bare", "linux", "bare.git"]);
    world.git(&["-C", "bare.git", "repack", "-adq"]);
    world.git(&["-C", "linux", "worktree", "add", "--quiet", "--detach", "../worktree"]);
    let folder = world.tree().unwrap();
    for repo in ["linux", "bare.git", "worktree"] {
        let revision = world.revision(repo, "v6.1.7").unwrap();
        assert!(revision.listing == folder.listing, "{repo}");
        let id = revision.listing.files["net/a.c"];
        assert_eq!(revision.read("net/a.c", &id).unwrap(), b"a\n");
        assert_eq!(revision.commit, folder.commit);
    }
    assert_eq!(folder.commit.as_ref().map(|(_, changed)| *changed), Some(0));
}

#[test]
fn changes_in_a_working_tree_count_only_for_the_tree() {
    let world = OriginWorld::new();
    let before = world.tree().unwrap().listing.sha256();
    world.write("net/a.c", "A\n");
    let dirty = world.tree().unwrap();
    assert_ne!(dirty.listing.sha256(), before);
    assert_eq!(dirty.commit.map(|(_, changed)| changed), Some(1));
    assert_eq!(world.revision("linux", "HEAD").unwrap().listing.sha256(), before);
}

#[test]
fn changed_file_is_noticed_whatever_its_time() {
    let world = OriginWorld::new();
    let tree = world.tree().unwrap();
    let (before, id) = (tree.listing.sha256(), tree.listing.files["net/a.c"]);
    let time = fs::metadata(world.path("linux/net/a.c")).unwrap().modified().unwrap();
    world.write("net/a.c", "b\n");
    let file = fs::File::options().write(true).open(world.path("linux/net/a.c")).unwrap();
    file.set_modified(time).unwrap();
    assert_ne!(world.tree().unwrap().listing.sha256(), before, "same size, same time");
    let error = tree.read("net/a.c", &id).unwrap_err();
    assert!(error.to_string().contains("changed while it was copied") && error.blame() == Blame::User, "{error}");
}

#[test]
fn origin_that_is_no_kernel_is_the_users_fault() {
    let world = OriginWorld::new();
    world.write(".config", "");
    assert!(said(world.tree()).1.contains("has been built in"));
    fs::remove_file(world.path("linux/.config")).unwrap();
    fs::remove_dir_all(world.path("linux/arch")).unwrap();
    assert_eq!(said(world.tree()), (Blame::User, said(world.tree()).1));
    assert!(said(world.tree()).1.contains("has no folder arch/x86"));
    world.commit("no arch");
    assert!(said(world.revision("linux", "HEAD")).1.contains("has no folder arch/x86"));
    world.write("Makefile", "all:\n");
    assert!(said(world.tree()).1.contains("names no VERSION"));
    fs::remove_file(world.path("linux/Makefile")).unwrap();
    assert!(said(world.tree()).1.contains("has no Makefile"));
    fs::remove_dir_all(world.path("linux")).unwrap();
    assert!(said(world.tree()).1.contains("No such file"));
    let (blame, text) = said(world.revision("linux", "v6.1.7"));
    assert!(blame == Blame::User && text.contains("is not there"), "{text}");
}

#[test]
fn unknown_revision_gets_a_suggestion() {
    let world = OriginWorld::new();
    let (blame, text) = said(world.revision("linux", "v6.1.70"));
    assert!(
        blame == Blame::User && text.contains("no revision `v6.1.70`") && text.contains("did you mean v6.1.7?"),
        "{text}"
    );
}

#[test]
fn partial_clone_says_what_it_lacks_and_how_to_fetch_it() {
    let world = OriginWorld::new();
    world.git(&["-C", "linux", "config", "uploadpack.allowFilter", "true"]);
    let from = format!("file://{}", world.path("linux").display());
    for (filter, lacks) in [("blob:none", "objects of v6.1.7, such as Makefile"), ("tree:0", "its top folder")] {
        let name = filter.replace(':', "-");
        world.git(&["clone", "--quiet", "--bare", "--no-local", "--filter", filter, &from, &name]);
        let (blame, text) = said(world.revision(&name, "v6.1.7"));
        assert!(blame == Blame::User && text.contains(lacks) || text.contains("such as Makefile"), "{filter}: {text}");
        assert!(text.contains("worktree add --detach FOLDER v6.1.7` fetches them"), "{text}");
    }
}

#[test]
fn shallow_clone_has_all_that_a_build_needs() {
    let world = OriginWorld::new();
    world.write("net/a.c", "second\n");
    world.commit("second");
    let from = format!("file://{}", world.path("linux").display());
    world.git(&["clone", "--quiet", "--bare", "--depth", "1", &from, "shallow"]);
    assert!(world.revision("shallow", "HEAD").is_ok());
    let (_, text) = said(world.revision("shallow", "v6.1.7"));
    assert!(text.contains("has no revision `v6.1.7`"), "{text}");
}

#[test]
fn only_missing_files_that_are_needed_are_reported() {
    let world = OriginWorld::new();
    let revision = world.revision("linux", "HEAD").unwrap();
    let id = revision.listing.files["net/a.c"];
    let hex: String = id.blob.0.iter().map(|b| format!("{b:02x}")).collect();
    fs::remove_file(world.path("linux/.git/objects").join(&hex[..2]).join(&hex[2..])).unwrap();
    let revision = world.revision("linux", "HEAD").unwrap();
    let require =
        |is: &dyn Fn(&str) -> bool| revision.require(&mut revision.listing.files.iter().filter(|(path, _)| is(path)));
    assert!(require(&|path| path != "net/a.c").is_ok());
    let error = require(&|_| true).unwrap_err();
    assert!(error.to_string().contains("lacks 1 object of HEAD, such as net/a.c: run `git -C "), "{error}");
}
