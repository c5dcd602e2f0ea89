use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::*;

/// A source in memory.
#[derive(Default)]
struct FakeSource {
    listing: Listing,
    texts: BTreeMap<String, Vec<u8>>,
    read: RefCell<Vec<String>>,
    lacks: Option<&'static str>,
}

impl FakeSource {
    fn of(files: &[(&str, FileMode, &str)]) -> Self {
        let mut source = Self::default();
        for (path, mode, text) in files {
            let id = FileId { mode: *mode, blob: BlobId::of(text.as_bytes()) };
            source.listing.files.insert((*path).to_owned(), id);
            source.texts.insert((*path).to_owned(), text.as_bytes().to_vec());
        }
        source
    }
}

impl SourceToCopy for FakeSource {
    fn listing(&self) -> &Listing {
        &self.listing
    }

    fn require(&self, files: &mut dyn Iterator<Item = (&String, &FileId)>) -> Result<(), BuildError> {
        let mut lacking = files.filter(|(path, _)| Some(path.as_str()) == self.lacks);
        if lacking.next().is_some() { Err(BuildError::Changed { path: "lacking".into() }) } else { Ok(()) }
    }

    fn read(&self, path: &str, _: &FileId) -> Result<Vec<u8>, BuildError> {
        self.read.borrow_mut().push(path.to_owned());
        Ok(self.texts[path].clone())
    }
}

struct CopyWorld {
    _dir: tempfile::TempDir,
    store: Store,
    copy: SourceCopy,
}

impl CopyWorld {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path().join("cache"))).unwrap();
        Self { _dir: dir, store, copy: SourceCopy::of(Path::new("x")) }
    }

    fn update(&self, source: &FakeSource) -> CopyUpdate {
        self.copy.update(source, &self.store).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.copy.src(&self.store).join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// Makes a file look written long ago.
    fn age(&self, name: &str) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::options().write(true).open(self.path(name)).unwrap().set_modified(time).unwrap();
    }

    fn is_aged(&self, name: &str) -> bool {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::metadata(self.path(name)).unwrap().modified().unwrap() == time
    }

    /// An object of a family.
    fn object(&self, family: &str, name: &str) -> PathBuf {
        let path = self.copy.objects(family, &self.store).obj.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "object").unwrap();
        path
    }
}

use FileMode::{Executable, Link, Plain};

#[test]
fn only_changed_files_are_written_and_lose_their_objects() {
    let world = CopyWorld::new();
    let first = FakeSource::of(&[
        ("net/a.c", Plain, "a"),
        ("net/b.c", Plain, "b"),
        ("net/gone/c.c", Plain, "c"),
        ("run.sh", Executable, "#!"),
        ("link", Link, "net/a.c"),
    ]);
    assert_eq!(world.update(&first), CopyUpdate { written: 5, removed: 0 });
    assert_eq!(world.text("link").as_deref(), Some("a"));
    assert_eq!(fs::metadata(world.path("run.sh")).unwrap().permissions().mode() & 0o100, 0o100);
    for name in ["net/a.c", "net/b.c", "run.sh"] {
        world.age(name);
    }
    let objects =
        ["small", "other"].map(|family| ["a.o", "b.o", "gone/c.o"].map(|o| world.object(family, &format!("net/{o}"))));
    assert_eq!(world.update(&first), CopyUpdate::default(), "the same again touches nothing");

    let second = FakeSource::of(&[
        ("net/a.c", Plain, "a"),
        ("net/b.c", Plain, "b2"),
        ("run.sh", Plain, "#!"),
        ("link", Plain, "a file now"),
        ("net/gone", Plain, "a file now"),
    ]);
    assert_eq!(world.update(&second), CopyUpdate { written: 4, removed: 1 });
    assert_eq!(*second.read.borrow(), ["link", "net/b.c", "net/gone", "run.sh"]);
    assert!(world.is_aged("net/a.c") && !world.is_aged("net/b.c"));
    assert_eq!((world.text("net/b.c").as_deref(), world.text("net/gone").as_deref()), (Some("b2"), Some("a file now")));
    for [a, b, gone] in &objects {
        assert!(a.exists() && !b.exists() && !gone.exists());
    }
}

#[test]
fn killed_update_is_finished_by_content() {
    let world = CopyWorld::new();
    let source = FakeSource::of(&[("net/a.c", Plain, "a"), ("net/b.c", Plain, "b"), ("link", Link, "net/a.c")]);
    world.update(&source);
    fs::remove_file(world.store.path(&world.copy.listing())).unwrap();
    fs::write(world.path("net/b.c"), "ha").unwrap();
    fs::write(world.path("net/stray.c"), "stray").unwrap();
    world.age("net/a.c");
    assert_eq!(world.update(&source), CopyUpdate { written: 1, removed: 1 });
    assert!(world.is_aged("net/a.c") && !world.path("net/stray.c").exists());
    assert_eq!(world.text("net/b.c").as_deref(), Some("b"));
    // A record that somebody changed counts as absent.
    fs::write(world.store.path(&world.copy.listing()), "{}").unwrap();
    assert_eq!(world.update(&source), CopyUpdate::default());
}

#[test]
fn missing_file_is_found_before_anything_is_written() {
    let world = CopyWorld::new();
    let source =
        FakeSource { lacks: Some("net/b.c"), ..FakeSource::of(&[("net/a.c", Plain, "a"), ("net/b.c", Plain, "b")]) };
    assert!(world.copy.update(&source, &world.store).is_err());
    assert!(!world.path("net/a.c").exists() && source.read.borrow().is_empty());
}
