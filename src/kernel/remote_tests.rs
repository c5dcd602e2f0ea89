use std::fs;
use std::sync::Mutex;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::kernel::compression::Compression;
use crate::kernel::compression::tests::compress;
use crate::kernel::error_class::Blame;
use crate::kernel::fetch::server::{Answer, Server};
use crate::kernel::fixtures::{bzimage, deb, module, tar};
use crate::kernel::store;
use crate::matrix::Source;
use crate::shim::Shim;

struct World {
    folder: TempDir,
    server: Server,
    told: Mutex<Vec<Progress>>,
}

fn sum(bytes: &[u8]) -> String {
    store::hex(Sha256::new_with_prefix(bytes))
}

fn pinned(address: &str, sha256: &str) -> Remote {
    Remote { address: address.parse().unwrap(), pin: Pin::Sha256(sha256.parse().unwrap()), mirrors: Vec::new() }
}

fn trusted(address: &str) -> Remote {
    Remote { pin: Pin::TrustOnFirstUse, ..pinned(address, &"0".repeat(64)) }
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), server: Server::new(), told: Mutex::default() }
    }

    fn serve(&self, path: &str, bytes: &[u8]) -> String {
        self.server.on(path, [Answer::file(bytes, &format!("\"{}\"", sum(bytes)))])
    }

    fn obtain_as(&self, source: &Source, offline: bool, locked: Option<&[LockedFile]>) -> Result<Kernel, ObtainError> {
        let store = Store::open(Some(self.folder.path().join("cache"))).unwrap();
        let (shim, tell) = (Shim::at("/nonexistent".into()), |p| self.told.lock().unwrap().push(p));
        let with = Obtain { store: &store, shim: &shim, offline, refresh: false, locked, tell: &tell };
        crate::kernel::obtain(source, &with)
    }

    fn obtain(&self, files: Vec<Remote>) -> Result<Kernel, ObtainError> {
        self.obtain_as(&Source::Url(files), false, None)
    }
}

fn kernel_deb(release: &str) -> Vec<u8> {
    deb(&tar(&[
        (&format!("./boot/vmlinuz-{release}"), &bzimage(release)),
        (&format!("./boot/config-{release}"), b"CONFIG_TUN=m\n"),
    ]))
}

fn modules_deb(release: &str) -> Vec<u8> {
    deb(&tar(&[(&format!("./lib/modules/{release}/kernel/tun.ko"), &module(b"name=tun\0depends=\0"))]))
}

#[test]
fn packages_are_fetched_once_and_make_one_kernel() {
    let world = World::new();
    let (image, modules) = (kernel_deb("6.1.0-test"), modules_deb("6.1.0-test"));
    let files = vec![
        pinned(&world.serve("/pool/linux-image.deb", &image), &sum(&image)),
        trusted(&world.serve("/pool/linux-modules.deb", &modules)),
    ];
    for _ in 0..2 {
        let kernel = world.obtain(files.clone()).unwrap();
        assert_eq!(kernel.release.as_deref(), Some("6.1.0-test"));
        assert_eq!(kernel.modules_for(&["tun"]).unwrap().len(), 1);
        assert!(kernel.stale.is_none());
        let vouched = kernel.provenance.iter().filter_map(|from| match from {
            Provenance::Fetched { address, sha256, vouched } => Some((address.as_str(), sha256.as_str(), *vouched)),
            _ => None,
        });
        let vouched: Vec<_> = vouched.collect();
        assert_eq!(
            vouched,
            [
                (files[0].address.as_str(), sum(&image).as_str(), Vouched::Sha256),
                (files[1].address.as_str(), sum(&modules).as_str(), Vouched::FirstUse),
            ]
        );
        assert_eq!(kernel.provenance.len(), 4, "and what the packages call themselves");
        let locked = |file: &Remote, bytes: &[u8]| LockedFile {
            name: "linux-image-test".to_owned(),
            version: Some("1.2-3".to_owned()),
            sha256: sum(bytes),
            size: bytes.len() as u64,
            addresses: vec![file.address.to_string()],
        };
        assert_eq!(kernel.files, [locked(&files[0], &image), locked(&files[1], &modules)]);
    }
    let asked: Vec<_> = world.server.requests().iter().map(|r| r.path.clone()).collect();
    assert_eq!(asked, ["/pool/linux-image.deb", "/pool/linux-modules.deb", "/pool/linux-modules.deb"]);
    let offline = world.obtain_as(&Source::Url(files), true, None).unwrap();
    assert!(offline.stale.is_some_and(|stale| stale.why.contains("offline")));
}

#[test]
fn fetched_images_and_tarballs_make_kernels() {
    let world = World::new();
    let image = bzimage("5.2.1");
    let kernel = world.obtain(vec![pinned(&world.serve("/bzImage", &image), &sum(&image))]).unwrap();
    assert_eq!((kernel.release.as_deref(), kernel.files[0].name.as_str()), (Some("5.2.1"), "bzImage"));
    assert!(matches!(&kernel.provenance[..], [Provenance::Fetched { .. }]), "{:?}", kernel.provenance);

    let module = module(b"name=tun\0depends=\0");
    let tree = tar(&[
        ("linux/.config", b"CONFIG_TUN=m\n"),
        ("linux/drivers/net/tun.ko", &module),
        ("linux/arch/x86/boot/bzImage", &bzimage("6.1.9")),
    ]);
    let tarball = compress(Compression::Zstd, &tree);
    let address = world.serve("/build.tar.zst", &tarball);
    for _ in 0..2 {
        let kernel = world.obtain(vec![trusted(&address)]).unwrap();
        assert_eq!(kernel.release.as_deref(), Some("6.1.9"));
        assert!(kernel.config.as_ref().unwrap().is_module("TUN"));
        assert_eq!(kernel.modules_for(&["tun"]).unwrap()[0].bytes, module);
        assert!(matches!(&kernel.provenance[..], [Provenance::Fetched { .. }]), "{:?}", kernel.provenance);
        assert_eq!(kernel.files[0].name, "build.tar.zst");
    }
    // The same from a local file.
    let path = world.folder.path().join("build");
    fs::write(&path, &tarball).unwrap();
    let kernel = world.obtain_as(&Source::Tree(path.clone()), true, None).unwrap();
    assert!(matches!(&kernel.provenance[..], [Provenance::File { path: of, .. }] if *of == path));
    assert_eq!((kernel.files[0].name.as_str(), kernel.files[0].sha256.as_str()), ("build", sum(&tarball).as_str()));
}

#[test]
fn only_locked_files_are_used() {
    let world = World::new();
    let (old, new) = (kernel_deb("6.1.0-old"), kernel_deb("6.1.0-new"));
    let files = vec![trusted(&world.serve("/a.deb", &old))];
    let locked = world.obtain(files.clone()).unwrap().files;
    let asked = world.server.requests().len();
    let again = world.obtain_as(&Source::Url(files.clone()), false, Some(&locked)).unwrap();
    assert!(matches!(&again.provenance[..], [_, Provenance::Fetched { vouched: Vouched::Lock, .. }]));
    assert_eq!(world.server.requests().len(), asked, "what is pinned and here is not asked for");

    let fresh = World { folder: tempfile::tempdir().unwrap(), ..world };
    fresh.serve("/a.deb", &new);
    let error = fresh.obtain_as(&Source::Url(files.clone()), false, Some(&locked)).unwrap_err();
    let said = error.to_string();
    assert_eq!(error.blame(), Blame::Host, "{said}");
    for part in [&sum(&old), &sum(&new), "backproof kernels update", files[0].address.as_str()] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The lock's file is used, regardless of its address.
    for addresses in [vec![], vec!["https://kernel.example/a.deb".to_owned()], vec!["no address".to_owned()]] {
        let other = LockedFile { addresses, ..locked[0].clone() };
        let files = vec![Remote { mirrors: vec![fresh.server.at("/gone").parse().unwrap()], ..files[0].clone() }];
        let offline = fresh.obtain_as(&Source::Url(files), true, Some(std::slice::from_ref(&other)));
        assert_eq!(offline.unwrap_err().class(), ErrorClass::NotCached);
    }
    let nameless = LockedFile { addresses: Vec::new(), ..locked[0].clone() };
    let error = fresh.obtain_as(&Source::Url(files.clone()), false, Some(&[nameless])).unwrap_err();
    assert!(error.to_string().contains("its sha256 is now"), "{error}");
    let error = fresh.obtain_as(&Source::Url(files.clone()), false, Some(&[])).unwrap_err();
    assert!(
        error.to_string().contains(&format!("cannot use {}: kernels.lock has no entry", files[0].address)),
        "{error}"
    );
    // The lock may have an address that still has the file; a sha256 in the matrix takes precedence.
    let elsewhere = vec![fresh.serve("/old/a.deb", &old)];
    let moved = LockedFile { addresses: elsewhere.clone(), ..locked[0].clone() };
    let kernel = fresh.obtain_as(&Source::Url(files.clone()), false, Some(&[moved])).unwrap();
    assert!(
        kernel
            .provenance
            .iter()
            .any(|from| matches!(from, Provenance::Fetched { address, .. } if *address == elsewhere[0]))
    );
    let pinned = vec![pinned(files[0].address.as_str(), &sum(&new))];
    assert!(fresh.obtain_as(&Source::Url(pinned), false, Some(&locked)).is_ok());
}

#[test]
fn unpacked_package_needs_its_file_only_when_damaged() {
    let (world, package) = (World::new(), kernel_deb("6.1.0"));
    let files = vec![pinned(&world.serve("/a.deb", &package), &sum(&package))];
    let first = world.obtain(files.clone()).unwrap();
    let download = world.folder.path().join("cache/downloads").join(sum(&package));
    fs::remove_file(&download).unwrap();
    let again = world.obtain_as(&Source::Url(files.clone()), true, None).unwrap();
    assert_eq!((&again.files, &again.provenance), (&first.files, &first.provenance));
    fs::write(&first.image, vec![0; fs::metadata(&first.image).unwrap().len() as usize]).unwrap();
    drop((first, again));
    assert!(world.obtain(files).is_ok());
    assert_eq!(world.server.requests().len(), 2);
}

#[test]
fn unusable_first_use_file_is_fetched_again() {
    let (world, package) = (World::new(), kernel_deb("6.1.0"));
    let of = |bytes: &[u8]| Answer::file(bytes, "\"1\"");
    // The entity tag stays the same, although the file was repaired meanwhile.
    let address = world.server.on("/a.deb", [of(&package[..200]), of(&package)]);
    // Its record is the same as after an honest server's answer.
    let store = Store::open(Some(world.folder.path().join("cache"))).unwrap();
    let (shim, tell) = (Shim::at("/nonexistent".into()), |_| {});
    let with = Obtain { store: &store, shim: &shim, offline: false, refresh: false, locked: None, tell: &tell };
    fetch(&trusted(&address), &with).unwrap();
    assert_eq!(world.obtain(vec![trusted(&address)]).unwrap().release.as_deref(), Some("6.1.0"));
    let conditions: Vec<_> = world.server.requests().iter().map(|r| r.header("if-none-match").is_some()).collect();
    assert_eq!(conditions, [false, true, false]);
    let told = world.told.lock().unwrap();
    assert!(
        told.iter().any(|p| matches!(p, Progress::Trouble { then, .. } if then.contains("fetching all of it again"))),
        "{told:?}"
    );
}

#[test]
fn unusable_file_is_named_by_its_address() {
    let world = World::new();
    let (text, image, package) = (b"just text\n", bzimage("6.1.0"), kernel_deb("6.1.0"));
    let cut = &package[..100];
    for (files, says) in [
        (vec![trusted(&world.serve("/text", text))], "neither a package, an x86-64 kernel image nor"),
        (vec![trusted(&world.serve("/a.rpm", b"\xed\xab\xee\xdb\x03"))], "RPM"),
        (vec![trusted(&world.serve("/cut.deb", cut))], "truncated or damaged"),
        (vec![trusted(&world.serve("/a.tar.gz", &compress(Compression::Gzip, &tar(&[]))))], "holds no kernel"),
        (vec![trusted(&world.serve("/cut.img", &image[..1024]))], "truncated"),
        (vec![trusted(&world.serve("/img", &image)), trusted(&world.serve("/m.deb", &package))], "name it alone"),
        (vec![trusted(&world.serve("/only-modules.deb", &modules_deb("1")))], "no kernel image"),
        (vec![trusted(&world.server.at("/gone"))], "HTTP 404"),
    ] {
        let address = files[0].address.to_string();
        let error = world.obtain(files).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(says), "{says}: {said}");
        assert!(said.contains(&address) || says == "no kernel image", "{address}: {said}");
        assert_eq!(error.is_gone(), says == "HTTP 404");
    }
}
