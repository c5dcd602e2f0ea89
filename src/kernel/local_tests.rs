use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::kernel::compression::Compression;
use crate::kernel::compression::tests::compress;
use crate::kernel::fixtures::{RpmValue, bzimage, cpio, cpio_entry, deb, module, rpm, rpm_tags, tar, tar_entry};
use crate::kernel::package::PackageKind;
use crate::kernel::progress::Progress;
use crate::kernel::{Blame, obtain};
use crate::matrix::Source;
use crate::shim::Shim;

/// A store, and the progress that its users reported.
struct World {
    folder: TempDir,
    store: Store,
    told: Mutex<Vec<Progress>>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("cache"))).unwrap();
        Self { folder, store, told: Mutex::default() }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn obtain(&self, source: &Source) -> Result<Kernel, ObtainError> {
        let shim = Shim::at("/nonexistent".into());
        let tell = |p| self.told.lock().unwrap().push(p);
        obtain(
            source,
            &Obtain { store: &self.store, shim: &shim, offline: true, refresh: false, locked: None, tell: &tell },
        )
    }

    fn unpacked(&self) -> usize {
        self.told.lock().unwrap().iter().filter(|p| matches!(p, Progress::Unpacking { .. })).count()
    }
}

fn kernel_deb(release: &str) -> Vec<u8> {
    deb(&tar(&[
        (&format!("./boot/vmlinuz-{release}"), &bzimage(release)),
        (&format!("./boot/config-{release}"), b"CONFIG_SYN_COOKIES=y\nCONFIG_TUN=m\n"),
        (&format!("./lib/modules/{release}/kernel/drivers/net/tun.ko"), &module(b"name=tun\0depends=\0")),
        (&format!("./lib/modules/{release}/modules.builtin"), b"kernel/net/veth.ko\n"),
    ]))
}

#[test]
fn package_is_unpacked_once_with_all_a_boot_needs() {
    let world = World::new();
    let source = Source::Deb(vec![world.file("a.deb", &kernel_deb("6.1.0-test"))]);
    for _ in 0..2 {
        let kernel = world.obtain(&source).unwrap();
        assert_eq!(kernel.release.as_deref(), Some("6.1.0-test"));
        assert_eq!(fs::read(&kernel.image).unwrap(), bzimage("6.1.0-test"));
        assert!(kernel.config.as_ref().unwrap().is_builtin("SYN_COOKIES"));
        assert_eq!(kernel.modules_for(&["veth", "tun"]).unwrap()[0].bytes, module(b"name=tun\0depends=\0"));
        assert!(matches!(&kernel.provenance[..], [Provenance::Package { version, .. }] if version == "1.2-3"));
        assert_eq!(world.unpacked(), 1);
    }
}

#[test]
fn damaged_cache_is_rebuilt_from_the_package() {
    let world = World::new();
    let source = Source::Deb(vec![world.file("a.deb", &kernel_deb("6.1.0-test"))]);
    let kernel = world.obtain(&source).unwrap();
    for (at, times) in [(100, 2), (2000, 3)] {
        let mut image = fs::read(&kernel.image).unwrap();
        image[at] ^= 1;
        fs::write(&kernel.image, image).unwrap();
        assert_eq!(world.obtain(&source).unwrap().image_sha256, kernel.image_sha256);
        assert_eq!(fs::read(&kernel.image).unwrap(), bzimage("6.1.0-test"));
        assert_eq!(world.unpacked(), times);
    }
    // The pack, too: every byte belongs to a hashed file, or to its length.
    for blob in fs::read_dir(world.store.path("blobs")).unwrap() {
        fs::write(blob.unwrap().path(), b"short").unwrap();
    }
    let again = world.obtain(&source).unwrap();
    assert_eq!(again.modules_for(&["tun"]).unwrap().len(), 1);
}

#[test]
fn packages_of_several_kernels_are_rejected() {
    let world = World::new();
    let first = world.file("a.deb", &kernel_deb("6.1.0"));
    let second = world.file("b.deb", &kernel_deb("6.2.0"));
    let modules = world.file("m.deb", &deb(&tar(&[("./lib/modules/5.9/kernel/tun.ko", &module(b"depends=\0"))])));
    let text = world.file("t.deb", b"no package\n");
    let fake = world.file("f.deb", &deb(&tar(&[("./boot/vmlinuz-1", b"a text file\n")])));
    for (files, says) in [
        (vec![], "no packages"),
        (vec![first.clone(), second], "of one kernel only"),
        (vec![first.clone(), modules.clone()], "modules of 5.9"),
        (vec![modules], "no kernel image"),
        (vec![text], "is not a Debian or an RPM package"),
        (vec![fake], "a text file"),
        (vec![world.folder.path().join("none.deb")], "does not exist"),
        (vec![world.folder.path().to_owned()], "is not a file"),
    ] {
        let error = world.obtain(&Source::Deb(files)).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_eq!(error.blame(), Blame::User, "{error}");
    }
    assert_eq!(fs::read_dir(world.store.path("tmp")).unwrap().count(), 0);
    assert!(world.obtain(&Source::Deb(vec![first])).is_ok());
}

#[test]
fn only_the_changelog_of_the_package_itself_is_kept() {
    let world = World::new();
    let log = |version: &str| {
        compress(Compression::Gzip, format!("linux ({version}) sid; urgency=low\n\n  * x\n").as_bytes())
    };
    let (own, upstream) = (log("2"), log("1"));
    let entry = |path: &str, bytes: &[u8]| tar_entry(path, tar::EntryType::Regular, bytes);
    let folder = "./usr/share/doc/linux-image-test";
    let [debian, native] = ["changelog.Debian.gz", "changelog.gz"].map(|name| format!("{folder}/{name}"));
    let other = entry("./usr/share/doc/other/changelog.gz", &own);
    for (name, entries, expected) in [
        ("none", vec![], None),
        ("a native package's", vec![entry(&native, &upstream)], Some("linux (1)")),
        ("both", vec![entry(&native, &upstream), entry(&debian, &own)], Some("linux (2)")),
        ("another package's", vec![other.clone()], None),
        ("a link to another package's", vec![tar_entry(folder, tar::EntryType::Symlink, b""), other], None),
        (
            "a link",
            vec![tar_entry(&debian, tar::EntryType::Symlink, b""), entry(&native, &upstream)],
            Some("linux (1)"),
        ),
        ("a damaged one", vec![entry(&debian, &own[..own.len() / 2])], None),
        ("an upstream's", vec![entry(&native, &compress(Compression::Gzip, b"commit 0123\n\n    x\n"))], None),
        ("a bomb", vec![entry(&native, &compress(Compression::Gzip, &vec![b' '; 65 << 20]))], None),
    ] {
        let image = entry("./boot/vmlinuz-6.1.0", &bzimage("6.1.0"));
        let data = [entries.concat(), image].concat();
        let kernel = world.obtain(&Source::Deb(vec![world.file("c.deb", &deb(&data))])).unwrap();
        let title = |log: crate::kernel::Changelog| log.entries[0].title.clone();
        assert_eq!(kernel.changelog().unwrap().map(title).as_deref(), expected, "{name}");
    }
}

#[test]
fn rpm_is_recognised_by_content_and_unpacked_once() {
    let world = World::new();
    let file = |path: &str, bytes: &[u8]| cpio_entry(path, 0o100_644, (1, 1), bytes);
    let archive = cpio(&[
        file("./lib/modules/5.14.0-427.el9_4.x86_64/vmlinuz", &bzimage("5.14.0-427.el9_4.x86_64")),
        file("./lib/modules/5.14.0-427.el9_4.x86_64/modules.builtin", b"kernel/drivers/net/tun.ko\n"),
    ]);
    let mut tags = rpm_tags("kernel-core", "gzip");
    tags.extend([
        (1080, RpmValue::Numbers(vec![0])),
        (1081, RpmValue::texts(&["A"])),
        (1082, RpmValue::texts(&["- x"])),
    ]);
    let package = world.file("named-otherwise", &rpm(&tags, &compress(Compression::Gzip, &archive)));
    for _ in 0..2 {
        let kernel = world.obtain(&Source::Rpm(vec![package.clone()])).unwrap();
        assert_eq!(kernel.release.as_deref(), Some("5.14.0-427.el9_4.x86_64"));
        assert_eq!(kernel.modules_for(&["tun"]).unwrap(), []);
        assert!(matches!(&kernel.provenance[..], [Provenance::Package { kind: PackageKind::Rpm, .. }]));
        assert_eq!(kernel.changelog().unwrap().unwrap().entries[0].title, "1970-01-01 A");
        assert_eq!(world.unpacked(), 1);
    }
    // A truncated one is rejected, and nothing of it is kept.
    let bytes = fs::read(&package).unwrap();
    let cut = world.file("cut", &bytes[..bytes.len() - 9]);
    let error = world.obtain(&Source::Rpm(vec![cut])).unwrap_err();
    assert!(error.to_string().contains("cut is truncated or damaged"), "{error}");
    assert_eq!(fs::read_dir(world.store.path("packages")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(world.store.path("tmp")).unwrap().count(), 0);
}

#[test]
fn hostile_package_writes_nothing_outside_the_store() {
    let world = World::new();
    let entry = |path: &str| {
        let bytes = bzimage("6.1.0");
        tar_entry(path, tar::EntryType::Regular, &bytes)
    };
    for path in ["./boot/../../../escaped", "/escaped", "../escaped", "./boot/../vmlinuz-x"] {
        let file = world.file("h.deb", &deb(&entry(path)));
        let error = world.obtain(&Source::Deb(vec![file])).unwrap_err();
        assert!(error.to_string().contains("is hostile or broken"), "{path}: {error}");
    }
    let mut names: Vec<_> = fs::read_dir(world.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cache", "h.deb"]);
    assert_eq!(fs::read_dir(world.store.path("packages")).unwrap().count(), 0);
}

#[test]
fn image_is_obtained_with_its_modules_and_configuration() {
    let world = World::new();
    let image = world.file("bzImage", &bzimage("4.19.57"));
    let config = world.file("config", b"CONFIG_TUN=y\n");
    world.file("modules/net/veth.ko", &module(b"depends=\0"));
    let modules = Some(world.folder.path().join("modules"));
    let bare = world.obtain(&Source::Image { image: image.clone(), modules: None, config: None }).unwrap();
    assert_eq!(bare.release.as_deref(), Some("4.19.57"));
    assert!(bare.config.is_none() && bare.modules_for(&["tun"]).unwrap().is_empty());
    let full = Source::Image { image: image.clone(), modules, config: Some(config.clone()) };
    let full = world.obtain(&full).unwrap();
    assert_eq!(full.modules_for(&["tun", "veth"]).unwrap().len(), 1);
    // The next build changes the file, but not the obtained copy.
    fs::write(&image, b"").unwrap();
    assert_eq!(fs::read(&full.image).unwrap(), bzimage("4.19.57"));

    for (source, says) in [
        (Source::Image { image: image.clone(), modules: None, config: None }, "an empty file"),
        (Source::Image { image: config, modules: None, config: None }, "a text file"),
        (Source::Image { image: "/nonexistent".into(), modules: None, config: None }, "does not exist"),
        (
            Source::Image { image: full.image.clone(), modules: None, config: Some(full.image.clone()) },
            "cannot use the configuration",
        ),
        (
            Source::Image { image: full.image.clone(), modules: Some("/nonexistent".into()), config: None },
            "the modules folder",
        ),
    ] {
        let error = world.obtain(&source).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}

#[test]
fn build_tree_gives_its_image_configuration_and_modules() {
    let world = World::new();
    let tree = world.folder.path().join("linux");
    let source = Source::Tree(tree.clone());
    assert!(world.obtain(&source).unwrap_err().to_string().contains("neither a folder"));
    world.file("linux/.config", b"CONFIG_TUN=m\n");
    assert!(world.obtain(&source).unwrap_err().to_string().contains("make bzImage"));
    let mut image = bzimage("5.2.1");
    image[0x20e] = 0;
    image[0x20f] = 0;
    world.file("linux/arch/x86/boot/bzImage", &image);
    world.file("linux/include/config/kernel.release", b"5.2.1-dirty\n");
    world.file("linux/modules.order", b"drivers/net/tun.ko\n");
    world.file("linux/drivers/net/tun.ko", &module(b"depends=\0"));
    let kernel = world.obtain(&source).unwrap();
    assert_eq!(kernel.release.as_deref(), Some("5.2.1-dirty"));
    assert_eq!(kernel.modules_for(&["tun"]).unwrap().len(), 1);
    assert!(kernel.config.unwrap().is_module("TUN"));
}

#[test]
fn lock_with_unnamed_files_is_rejected() {
    let world = World::new();
    let image = world.file("bzImage", &bzimage("6.1.0-test"));
    let config = world.file("config", b"CONFIG_TUN=y\n");
    let deb = world.file("a.deb", &kernel_deb("6.1.0-test"));
    let of_image = |config: Option<PathBuf>| Source::Image { image: image.clone(), modules: None, config };
    let two = world.obtain(&of_image(Some(config.clone()))).unwrap().files;
    let one = world.obtain(&Source::Deb(vec![deb.clone()])).unwrap().files;
    let shim = Shim::at("/nonexistent".into());
    let ask = |source: &Source, locked: &[LockedFile]| {
        let store = &world.store;
        obtain(
            source,
            &Obtain { store, shim: &shim, offline: true, refresh: false, locked: Some(locked), tell: &|_| {} },
        )
    };
    assert!(ask(&of_image(Some(config)), &two).is_ok());
    let error = ask(&of_image(None), &two).unwrap_err();
    assert!(error.to_string().contains("kernels.lock also has config"), "{error}");
    let more = [one.clone(), two].concat();
    let error = ask(&Source::Deb(vec![deb]), &more).unwrap_err();
    assert!(error.to_string().contains("kernels.lock also has bzImage"), "{error}");
}
