use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::*;

const STOCK: &str = "one\ntwo\nthree\n";
const PATCH: &str = "--- a/net/x.c\n+++ b/net/x.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";
const OTHER: &str = "--- a/net/y.c\n+++ b/net/y.c\n@@ -1,3 +1,3 @@\n one\n two\n-three\n+3\n";

struct TreeWorld {
    _dir: tempfile::TempDir,
    tree: ControlTree,
    store: Store,
}

impl TreeWorld {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path().join("cache"))).unwrap();
        let tree = ControlTree::in_folder(store.path("controls/6.1/x"));
        fs::create_dir_all(tree.src().join("net")).unwrap();
        fs::create_dir_all(tree.obj()).unwrap();
        for name in ["net/x.c", "net/y.c"] {
            fs::write(tree.src().join(name), STOCK).unwrap();
        }
        Self { _dir: dir, tree, store }
    }

    fn patch(&self, patch: Option<&str>) -> Result<(), Misfit> {
        self.tree.patch(patch, &self.store).unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.tree.src().join(name)).unwrap()
    }

    fn time(&self, name: &str) -> SystemTime {
        fs::metadata(self.tree.src().join(name)).unwrap().modified().unwrap()
    }

    /// Makes a file look written long ago: two writes within one tick of the kernel's clock have the same time.
    fn age(&self, name: &str) -> SystemTime {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::options().write(true).open(self.tree.src().join(name)).unwrap().set_modified(time).unwrap();
        time
    }

    /// Writes a file of the object tree, dated so many seconds after a fixed time.
    fn object(&self, name: &str, seconds: u64) {
        let path = self.tree.obj().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    fn objects(&self) -> Vec<String> {
        let entries = fs::read_dir(self.tree.obj()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn file_is_written_only_when_its_content_changes() {
    let world = TreeWorld::new();
    world.patch(Some(PATCH)).unwrap();
    assert_eq!((world.read("net/x.c").as_str(), world.read("net/y.c").as_str()), ("one\n2\nthree\n", STOCK));
    let (x, y) = (world.age("net/x.c"), world.age("net/y.c"));
    world.patch(Some(PATCH)).unwrap();
    assert_eq!(world.time("net/x.c"), x, "the same again touches nothing");
    world.patch(Some(OTHER)).unwrap();
    assert_eq!((world.read("net/x.c").as_str(), world.read("net/y.c").as_str()), (STOCK, "one\ntwo\n3\n"));
    assert!(world.time("net/x.c") > x && world.time("net/y.c") > y, "make sees that both have changed");
    world.patch(None).unwrap();
    assert_eq!((world.read("net/x.c").as_str(), world.read("net/y.c").as_str()), (STOCK, STOCK));
}

#[test]
fn changed_source_loses_its_object() {
    let world = TreeWorld::new();
    for name in ["net/x.o", "net/.x.o.cmd", "net/y.o", "net/.y.o.cmd"] {
        world.object(name, 1);
    }
    let there = |name: &str| world.tree.obj().join(name).exists();
    world.patch(Some(PATCH)).unwrap();
    assert!(!there("net/x.o") && !there("net/.x.o.cmd") && there("net/y.o") && there("net/.y.o.cmd"));
    world.object("net/x.o", 2);
    world.patch(Some(PATCH)).unwrap();
    assert!(there("net/x.o"), "the source is the same, and so is the object");
    world.patch(None).unwrap();
    assert!(!there("net/x.o") && there("net/y.o"));
}

#[test]
fn patch_that_does_not_fit_changes_nothing() {
    let world = TreeWorld::new();
    world.patch(Some(PATCH)).unwrap();
    let before = world.time("net/x.c");
    let misfit = world.patch(Some(&PATCH.replace("-two", "-zwei"))).unwrap_err();
    assert_eq!(misfit.file, "net/x.c");
    let missing = world.patch(Some(&PATCH.replace("net/x.c", "net/z.c"))).unwrap_err();
    assert!(missing.why.contains("cannot be read"), "{missing}");
    assert_eq!((world.read("net/x.c").as_str(), world.time("net/x.c")), ("one\n2\nthree\n", before));
    // The remains of a machine that crashed while writing.
    fs::write(world.tree.src().join("net/x.c"), "").unwrap();
    world.patch(None).unwrap();
    assert_eq!(world.read("net/x.c"), STOCK);
}

#[test]
fn folder_that_links_out_of_the_tree_is_not_written() {
    let world = TreeWorld::new();
    let outside = world.tree.folder.join("outside");
    fs::rename(world.tree.src().join("net"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, world.tree.src().join("net")).unwrap();
    let misfit = world.patch(Some(PATCH)).unwrap_err();
    assert!(misfit.file == "net/x.c" && misfit.why.contains("is a link to"), "{misfit}");
    assert_eq!(world.read("net/x.c"), STOCK);
    fs::remove_file(world.tree.src().join("net")).unwrap();
    fs::rename(&outside, world.tree.src().join("kept")).unwrap();
    std::os::unix::fs::symlink("kept", world.tree.src().join("net")).unwrap();
    world.patch(Some(PATCH)).unwrap();
    assert_eq!(world.read("kept/x.c"), "one\n2\nthree\n", "a link inside the tree does no harm");
}

#[test]
fn only_unfinished_files_are_rebuilt_after_a_kill() {
    let world = TreeWorld::new();
    drop(world.tree.objects().begin(&world.store).unwrap());
    for (name, seconds) in [
        ("whole.o", 1),
        (".whole.o.cmd", 2),
        ("at-once.o", 2),
        (".at-once.o.cmd", 2),
        ("half.o", 9),
        (".half.o.cmd", 3),
        ("first-time.o", 9),
        ("half.a", 9),
        ("bzImage", 9),
        (".bzImage.cmd", 8),
        ("autoconf.h", 9),
        ("tools/objtool", 9),
        ("tools/fixdep", 9),
        ("tools/libsubcmd.a", 9),
        ("tools/half.o", 9),
    ] {
        world.object(name, seconds);
    }
    fs::set_permissions(world.tree.obj().join("tools/fixdep"), fs::Permissions::from_mode(0o755)).unwrap();
    let building = world.tree.objects().begin(&world.store).unwrap();
    let tool = |name: &str| world.tree.obj().join("tools").join(name).exists();
    assert!(tool("fixdep") && tool("libsubcmd.a") && !tool("objtool") && !tool("half.o"));
    fs::remove_dir_all(world.tree.obj().join("tools")).unwrap();
    let kept = [".at-once.o.cmd", ".bzImage.cmd", ".half.o.cmd", ".whole.o.cmd", "at-once.o", "autoconf.h", "whole.o"];
    assert_eq!(world.objects(), kept);
    building.end().unwrap();
    world.object("unfinished.o", 9);
    drop(world.tree.objects().begin(&world.store).unwrap());
    assert!(world.objects().contains(&"unfinished.o".to_owned()), "nothing is looked at where make ended by itself");
}

#[test]
fn objects_younger_than_the_clock_are_not_trusted() {
    let world = TreeWorld::new();
    world.object("x.o", 1);
    let building = world.tree.objects().begin(&world.store).unwrap();
    assert!(!building.is_resumed());
    drop(building);
    let building = world.tree.objects().begin(&world.store).unwrap();
    assert!(building.is_resumed());
    building.fail().unwrap();
    world.object("y.o", 1);
    let building = world.tree.objects().begin(&world.store).unwrap();
    assert!(!building.is_resumed() && world.objects().is_empty(), "half-made files go after a failure too");
    building.end().unwrap();
    world.object("y.o", 1);
    world.tree.objects().begin(&world.store).unwrap().end().unwrap();
    assert_eq!(world.objects(), ["y.o"]);
    world.object("z.o", 8_000_000_000);
    let building = world.tree.objects().begin(&world.store).unwrap();
    assert!(!building.is_resumed() && world.objects().is_empty());
}

#[test]
fn no_object_is_trusted_after_a_machine_crash() {
    let world = TreeWorld::new();
    drop(world.tree.objects().begin(&world.store).unwrap());
    world.object("whole.o", 1);
    world.object(".whole.o.cmd", 2);
    fs::write(world.tree.objects().mark, "another start of the machine\n").unwrap();
    drop(world.tree.objects().begin(&world.store).unwrap());
    assert_eq!(world.objects(), Vec::<String>::new());
    assert_eq!(world.read("net/x.c"), STOCK);
}
