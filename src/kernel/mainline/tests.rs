use std::ffi::OsStr;
use std::path::PathBuf;

use pgp::crypto::hash::HashAlgorithm;

use super::fixtures::{listing, page, sign, signing_key};
use super::world::*;
use super::*;
use crate::kernel::fetch::{FetchError, FetchProblem};
use crate::kernel::fixtures::bzimage;

#[test]
fn build_is_fetched_once_then_needs_no_network() {
    let world = ArchiveWorld::with_build();
    let kernel = world.obtain("v4.19.57", None).unwrap();
    assert_eq!(kernel.release.as_deref(), Some(RELEASE));
    assert!(kernel.config.as_ref().unwrap().is_builtin("SYN_COOKIES"));
    assert_eq!(kernel.modules_for(&["tun"]).unwrap().len(), 1);
    let address = world.web.url("/mainline/v4.19.57/amd64/");
    let expected = Provenance::Archive {
        address: address.clone(),
        build: DATE.to_owned(),
        others: Vec::new(),
        signature: ArchiveSignature::Unverified,
        key: None,
    };
    assert_eq!(archive(&kernel), &expected);
    assert!(expected.remark().unwrap().contains("signature: unverified"));
    // The lock has these.
    for (file, (name, bytes)) in kernel.files.iter().zip(packages(DATE).iter().filter(|(_, b)| b.len() > 100)) {
        assert_eq!((&file.name, &file.sha256, file.size), (name, &sha256(bytes), bytes.len() as u64));
        assert_eq!((&file.addresses, file.version.as_deref()), (&vec![format!("{address}{name}")], Some("1.2-3")));
    }
    let debs = |asked: Vec<String>| asked.iter().filter(|path| path.ends_with(".deb")).count();
    assert_eq!((kernel.files.len(), debs(world.web.asked())), (2, 2));

    let again = world.obtain("v4.19.57", None).unwrap();
    assert_eq!(
        (again.image_sha256, &again.files, debs(world.web.asked())),
        (kernel.image_sha256.clone(), &kernel.files, 0)
    );
    let version = "v4.19.57".parse().unwrap();
    let offline = world.ask(true, None, |with| from(&world.root(), &version, None, with)).unwrap();
    assert_eq!((offline.stale.unwrap().why, offline.files), ("offline mode".to_owned(), kernel.files));
    assert_eq!(world.web.asked(), [""; 0]);
}

#[test]
fn older_layouts_are_obtained_too() {
    let world = ArchiveWorld::new();
    let old = format!("linux-image-{RELEASE}_4.19.57-041957.{DATE}_amd64.deb");
    let all: Vec<_> = std::iter::once(image()).chain(modules()).collect();
    world.lay_out("", &["BUILD.LOG", "CHECKSUMS", &old], &[(old.clone(), package_of(&all))]);
    let kernel = world.obtain("v4.19.57", None).unwrap();
    assert_eq!((kernel.release.as_deref(), kernel.files.len()), (Some(RELEASE), 1));
    assert_eq!(kernel.modules_for(&["tun"]).unwrap().len(), 1);

    let world = ArchiveWorld::new();
    let (newer, older) = (packages("201907041431"), packages(DATE));
    let all: Vec<_> = newer.iter().chain(&older).cloned().collect();
    let links: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    world.lay_out("", &links, &all);
    let kernel = world.obtain("v4.19.57", None).unwrap();
    let Provenance::Archive { build, others, .. } = archive(&kernel) else { panic!("no archive") };
    assert_eq!((build.as_str(), others), ("201907041431", &vec![DATE.to_owned()]));
    assert!(archive(&kernel).remark().unwrap().contains("left out: the builds of 201907031431"));
}

#[test]
fn locked_build_is_fetched_by_sha256_from_any_address() {
    let world = ArchiveWorld::with_build();
    let files = world.obtain("v4.19.57", None).unwrap().files;
    // The archive has rebuilt it, but a mirror has the old packages.
    for file in &files {
        world.web.remove(&format!("/mainline/v4.19.57/amd64/{}", file.name));
    }
    let mut moved = files.clone();
    for file in &mut moved {
        let (path, bytes) =
            (format!("/old/{}", file.name), packages(DATE).into_iter().find(|(n, _)| *n == file.name).unwrap().1);
        world.web.put(&path, bytes);
        file.addresses.push(world.web.url(&path));
    }
    let fresh = ArchiveWorld { store: Store::open(Some(world.folder.path().join("fresh"))).unwrap(), ..world };
    fresh.web.asked();
    let version = "v4.19.57".parse().unwrap();
    let kernel = fresh.ask(false, Some(&moved), |with| locked(&version, with.locked.unwrap(), with)).unwrap();
    assert_eq!((kernel.release.as_deref(), &kernel.files), (Some(RELEASE), &moved));
    let Provenance::Archive { build, signature, .. } = archive(&kernel) else { panic!("no archive") };
    assert_eq!((build.as_str(), *signature), (DATE, ArchiveSignature::Locked));
    assert!(fresh.web.asked().iter().all(|path| path.ends_with(".deb")), "the index was asked");
}

#[test]
fn missing_build_is_gone_but_a_foreign_page_is_not() {
    let world = ArchiveWorld::new();
    let error = world.obtain("v4.19.55", None).unwrap_err();
    assert!(error.is_gone() && error.to_string().contains("but v4.19.56"), "{error}");
    let error = world.obtain("v3.16.69", None).unwrap_err();
    assert!(error.is_gone() && error.to_string().contains("none of its line"), "{error}");
    // Failed builds have only logs, or packages of other architectures.
    for links in [&["BUILD.LOG", "BUILD.LOG.amd64", "COMMIT"][..], &["amd64/log", "arm64/log"]] {
        world.web.put("/mainline/v4.19.57/", listing(links));
        let error = world.obtain("v4.19.57", None).unwrap_err();
        assert!(error.is_gone() && error.to_string().contains("a build of v4.19.57 for amd64"), "{error}");
    }
    let other = ("linux-image-4.19.57-041957-generic_4.19.57-041957.201907031431_arm64.deb".to_owned(), b"x".to_vec());
    world.lay_out("amd64/", &["amd64/"], &[other]);
    assert!(world.obtain("v4.19.57", None).unwrap_err().is_gone());

    // A captive portal for every path, and an unrelated site.
    let portal = page("<h1>Welcome</h1><a href=\"/login\">Log in</a>");
    world.web.put("/mainline/", portal.clone());
    for folder in [None, Some(portal)] {
        if let Some(folder) = folder {
            world.web.put("/mainline/v4.19.57/", folder);
        } else {
            world.web.remove("/mainline/v4.19.57/");
        }
        let error = world.obtain("v4.19.57", None).unwrap_err();
        assert!(matches!(&error, MainlineError::BadArchive { problem: ArchiveProblem::Index(_), .. }), "{error}");
        assert!(!error.is_gone() && error.to_string().contains("BACKPROOF_MAINLINE"), "{error}");
    }
}

#[test]
fn packages_need_a_matching_sha256() {
    let world = ArchiveWorld::with_build();
    world.web.remove("/mainline/v4.19.57/amd64/CHECKSUMS");
    let error = world.obtain("v4.19.57", None).unwrap_err();
    assert!(matches!(&error, MainlineError::BadArchive { problem: ArchiveProblem::NoChecksums, .. }), "{error}");
    let sha1 = String::from_utf8(world.sums()).unwrap().split("# Checksums-Sha256").next().unwrap().to_owned();
    world.web.put("/mainline/v4.19.57/amd64/CHECKSUMS", sha1);
    let error = world.obtain("v4.19.57", None).unwrap_err();
    assert!(!error.is_gone() && error.to_string().contains("no section `# Checksums-Sha256:`"), "{error}");
    assert!(world.web.asked().iter().all(|path| !path.ends_with(".deb")));

    world.web.put("/mainline/v4.19.57/amd64/CHECKSUMS", world.sums());
    let (name, mut bytes) = packages(DATE).swap_remove(1);
    bytes[300] ^= 1;
    world.web.put(&format!("/mainline/v4.19.57/amd64/{name}"), bytes);
    let error = world.obtain("v4.19.57", None).unwrap_err();
    let MainlineError::Fetch(FetchError::NotFetched(failed)) = &error else { panic!("{error}") };
    assert!(matches!(failed.failures[..], [(_, FetchProblem::WrongChecksum { .. })]) && !error.is_gone(), "{error}");
}

#[test]
fn configured_key_must_have_signed_everything_used() {
    let world = ArchiveWorld::with_build();
    let (ours, other) = (signing_key(1_562_112_000), signing_key(1_562_112_000));
    let key = world.key(&ours);
    let refused = |words: &str| {
        let error = world.obtain("v4.19.57", Some(&key)).unwrap_err();
        assert!(!error.is_gone() && error.to_string().contains(words), "{error}");
        assert!(world.web.asked().iter().all(|path| !path.ends_with(".deb")), "{error}");
    };
    refused("CHECKSUMS.gpg does not exist, and the configured key requires it");
    for (signature, words) in [
        (sign(&other, &world.sums(), clock::now() - 60, HashAlgorithm::Sha256), "was not made by the configured key"),
        (sign(&ours, b"another text", clock::now() - 60, HashAlgorithm::Sha256), "does not match its file"),
        (page("Log in"), "is not a detached OpenPGP signature"),
    ] {
        world.web.put("/mainline/v4.19.57/amd64/CHECKSUMS.gpg", signature);
        refused(words);
    }
    world.put_signature(&ours, &world.sums());
    // Another version's folder, served in place of this one, has none of its packages.
    let sums = String::from_utf8(world.sums()).unwrap().replace("57", "58");
    world.web.put("/mainline/v4.19.57/amd64/CHECKSUMS", sums.clone());
    refused("does not match its file");
    world.put_signature(&ours, sums.as_bytes());
    let error = world.obtain("v4.19.57", Some(&key)).unwrap_err();
    assert!(matches!(error, MainlineError::NoBuild { .. }), "{error}");

    world.web.put("/mainline/v4.19.57/amd64/CHECKSUMS", world.sums());
    world.put_signature(&ours, &world.sums());
    let kernel = world.obtain("v4.19.57", Some(&key)).unwrap();
    let Provenance::Archive { signature, key: by, .. } = archive(&kernel) else { panic!("no archive") };
    assert_eq!((*signature, by.as_deref()), (ArchiveSignature::Verified, Some(key.fingerprint.as_str())));
}

#[test]
fn unusable_key_is_reported_before_any_fetch() {
    let world = ArchiveWorld::with_build();
    let key = world.key(&signing_key(1_562_112_000));
    let openpgp =
        |name: &str| PathBuf::from(format!("{}/src/kernel/mainline/openpgp/{name}", env!("CARGO_MANIFEST_DIR")));
    let gnupg = || "CFBF2BFF20DFB4D13FB8DA3574DF6715FC65E14F".parse::<crate::matrix::Fingerprint>().unwrap();
    let large = world.folder.path().join("large");
    std::fs::write(&large, vec![0; signature::LARGEST_KEY as usize + 1]).unwrap();
    for (key, words) in [
        (ArchiveKey { file: "/nonexistent.asc".into(), ..key.clone() }, "does not exist"),
        (ArchiveKey { file: large, ..key.clone() }, "is too large to be a key"),
        (ArchiveKey { fingerprint: gnupg(), ..key.clone() }, "one of the two is wrong"),
        (ArchiveKey { file: openpgp("CHECKSUMS"), ..key }, "is not an OpenPGP public key"),
        (ArchiveKey { file: openpgp("key-expired.asc"), fingerprint: gnupg() }, "expired on 2020-01-01"),
        (ArchiveKey { file: openpgp("key-revoked.asc"), fingerprint: gnupg() }, "was revoked"),
    ] {
        let error = world.obtain("v4.19.57", Some(&key)).unwrap_err();
        assert!(error.to_string().contains(words) && !error.is_gone(), "{error}");
        assert_eq!(error.class(), crate::kernel::ErrorClass::Usage, "{error}");
    }
    assert_eq!(world.web.asked(), [""; 0]);
}

#[test]
fn endless_archives_and_hostile_names_do_no_harm() {
    let world = ArchiveWorld::new();
    let names = ["../../etc/", "/", "amd64/../../", "http://127.0.0.1:1/"];
    let files: Vec<_> = names
        .iter()
        .flat_map(|prefix| packages(DATE).into_iter().map(move |(n, b)| (format!("{prefix}{n}"), b)))
        .collect();
    world.lay_out("amd64/", &["amd64/"], &files);
    assert!(matches!(world.obtain("v4.19.57", None), Err(MainlineError::NoBuild { .. })));
    assert!(world.web.asked().iter().all(|path| path.starts_with("/mainline/v4.19.57/")));

    let large = vec![b'x'; index::LARGEST as usize + 1];
    for path in ["/mainline/", "/mainline/v4.19.57/", "/mainline/v4.19.57/amd64/CHECKSUMS"] {
        let world = ArchiveWorld::with_build();
        world.web.put(path, large.clone());
        let error = if path == "/mainline/" {
            world.list("*", false).unwrap_err()
        } else {
            world.obtain("v4.19.57", None).unwrap_err()
        };
        let MainlineError::Fetch(FetchError::NotFetched(failed)) = &error else { panic!("{error}") };
        assert!(matches!(failed.failures[..], [(_, FetchProblem::TooLarge { .. })]), "{error}");
    }
}

#[test]
fn versions_are_listed_by_pattern_and_offline_from_the_cache() {
    let world = ArchiveWorld::new();
    assert!(matches!(world.list("*", true), Err(MainlineError::Fetch(FetchError::NotCached(_)))));
    assert_eq!(world.list("4.19.5*", false).unwrap(), ["v4.19.56", "v4.19.57", "v4.19.58"]);
    assert_eq!(world.list("v*-*", false).unwrap(), ["v4.4-wily", "v5.2-rc6"]);
    assert_eq!(world.list("6.*", false).unwrap(), [""; 0]);
    assert_eq!(world.list("4.19.5?", true).unwrap().len(), 3);
    assert!(matches!(world.list("[4].*", false), Err(MainlineError::BadName { .. })));
    world.web.put("/mainline/", page("Log in"));
    assert!(matches!(world.list("*", false), Err(MainlineError::BadArchive { .. })));
}

#[test]
fn archive_address_comes_from_environment_matrix_or_default() {
    let archive =
        |text: Option<&str>| MainlineArchive { address: text.map(|text| archive_address(text).unwrap()), key: None };
    let mirror = "https://mirror.example/mainline/";
    for (matrix, variable, expected) in [
        (None, None, ADDRESS),
        (Some(mirror), None, mirror),
        (None, Some("http://10.0.0.1/m"), "http://10.0.0.1/m/"),
        (Some(mirror), Some("http://10.0.0.1/m/"), "http://10.0.0.1/m/"),
        (Some(mirror), Some(""), mirror),
    ] {
        let found = address(&archive(matrix), variable.map(OsStr::new)).unwrap();
        assert_eq!(found.as_str(), expected);
    }
    let error = address(&archive(None), Some(OsStr::new("/srv/mirror"))).unwrap_err();
    assert!(error.to_string().contains("invalid address in BACKPROOF_MAINLINE `/srv/mirror`"), "{error}");
}

#[test]
fn kernel_of_another_release_is_rejected_even_when_locked() {
    let world = ArchiveWorld::new();
    for release in ["6.1.0-56-cloud-amd64", "4.19.57-0419570-generic", "4.19.5-041905-generic"] {
        let name = format!("linux-image-4.19.57-041957-generic_4.19.57-041957.{DATE}_amd64.deb");
        let package = package_of(&[(&format!("./boot/vmlinuz-{release}"), bzimage(release))]);
        let files = [(name.clone(), package)];
        world.lay_out("amd64/", &["amd64/"], &files);
        let error = world.obtain("v4.19.57", None).unwrap_err();
        assert!(error.to_string().contains(&format!("has the kernel {release}, expected")), "{error}");
        let (sha256, addresses) = (sha256(&files[0].1), vec![world.web.url("/mainline/v4.19.57/amd64/") + &name]);
        let file = LockedFile { name, version: None, sha256, size: 0, addresses };
        let version = "v4.19.57".parse().unwrap();
        let ask = |with: &Obtain| locked(&version, with.locked.unwrap(), with);
        let error = world.ask(false, Some(&[file]), ask).unwrap_err();
        assert!(error.to_string().contains("cannot be used"), "{error}");
    }
}

#[test]
fn build_is_resolved_from_its_checksums_alone() {
    let world = ArchiveWorld::with_build();
    let version = "v4.19.57".parse().unwrap();
    let Listing { files, stale, .. } =
        world.ask(false, None, |with| super::listing(&world.root(), &version, None, with)).unwrap();
    assert!(stale.is_none() && world.web.asked().iter().all(|path| !path.ends_with(".deb")));
    let fetched = world.ask(false, Some(&files), |with| locked(&version, with.locked.unwrap(), with)).unwrap().files;
    let sums =
        |files: &[LockedFile]| files.iter().map(|file| (file.name.clone(), file.sha256.clone())).collect::<Vec<_>>();
    assert_eq!(sums(&files), sums(&fetched));
    assert!(files.iter().all(|file| file.size == 0) && fetched.iter().all(|file| file.size > 0));
}

#[test]
fn locked_build_without_a_web_address_is_gone_at_once() {
    let world = ArchiveWorld::with_build();
    let mut files = world.obtain("v4.19.57", None).unwrap().files;
    let fresh = ArchiveWorld { store: Store::open(Some(world.folder.path().join("fresh"))).unwrap(), ..world };
    let version = "v4.19.57".parse().unwrap();
    for addresses in [Vec::new(), vec!["copy:/srv/kernels/linux-image.deb".to_owned()]] {
        files[0].addresses = addresses;
        let ask = |with: &Obtain| locked(&version, with.locked.unwrap(), with);
        let error = fresh.ask(false, Some(&files), ask).unwrap_err();
        assert!(matches!(error, MainlineError::NoAddress { .. }) && error.to_string().contains("addresses"), "{error}");
    }
}
