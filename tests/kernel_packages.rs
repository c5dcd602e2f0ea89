//! A real package on the user's path: apt, the network, the store.
#![expect(clippy::disallowed_macros, reason = "a test prints for people who watch it")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use backproof::kernel::{ErrorClass, Kernel, Obtain, ObtainError, Progress, Provenance, Store, obtain};
use backproof::matrix::Source;
use backproof::shim::Shim;

/// The suite with the smallest index, and a package that leads to another one.
const SUITE: &str = "bookworm-backports";
const PACKAGE: &str = "linux-image-cloud-amd64";

struct World {
    folder: tempfile::TempDir,
    store: Store,
    told: Mutex<Vec<Progress>>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("cache"))).unwrap();
        Self { folder, store, told: Mutex::default() }
    }

    fn apt(&self, package: &str, suite: &str, offline: bool, refresh: bool) -> Result<Kernel, ObtainError> {
        let shim = Shim::at(env!("CARGO_BIN_EXE_backproof").into());
        let tell = |p| self.told.lock().unwrap().push(p);
        let source = Source::Apt { package: package.to_owned(), suite: Some(suite.to_owned()), archive: None };
        obtain(&source, &Obtain { store: &self.store, shim: &shim, offline, refresh, locked: None, tell: &tell })
    }

    fn told(&self) -> Vec<Progress> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

fn drafts(store: &Store) -> usize {
    fs::read_dir(store.folder().join("tmp")).unwrap().count()
}

#[test]
fn cached_metapackage_needs_no_network() {
    let world = World::new();
    let error = world.apt(PACKAGE, SUITE, true, false).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotCached, "{error}");

    // Two at once, on an empty cache: the index is fetched once, and so is the package.
    let kernels = std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| world.apt(PACKAGE, SUITE, false, false).unwrap()));
        threads.map(|t| t.join().unwrap())
    });
    let told = world.told();
    let count = |wanted: fn(&Progress) -> bool| told.iter().filter(|p| wanted(p)).count();
    assert_eq!(count(|p| matches!(p, Progress::Refreshing { .. })), 1);
    assert_eq!(count(|p| matches!(p, Progress::Unpacking { .. })), 1);
    assert!(count(|p| matches!(p, Progress::Fetching { done, total, .. } if Some(*done) == *total)) >= 1);
    assert_eq!(kernels[0].image_sha256, kernels[1].image_sha256);

    let kernel = &kernels[0];
    let release = kernel.release.as_deref().unwrap();
    assert!(release.ends_with("-cloud-amd64") && release.starts_with(|c: char| c.is_ascii_digit()), "{release}");
    assert!(matches!(&kernel.provenance[..], [Provenance::Package { name, .. }] if name.ends_with(release)));
    assert!(kernel.stale.is_none() && kernel.config.as_ref().unwrap().is_builtin("SYN_COOKIES"));
    let modules = kernel.modules_for(&["tun", "veth"]).unwrap();
    assert!(modules.iter().all(|m| m.bytes.starts_with(b"\x7fELF")), "{modules:?}");
    assert!(modules.iter().any(|m| m.name == "tun"), "{modules:?}");
    let changelog = kernel.changelog().unwrap().unwrap().entries;
    assert!(changelog[0].title.starts_with("linux") && changelog.len() > 100, "{:?}", changelog[0]);
    assert_eq!(drafts(&world.store), 0);

    // Warm: nothing to tell. Offline: the same kernel, and it says that it is offline.
    assert_eq!(world.apt(PACKAGE, SUITE, false, false).unwrap().image_sha256, kernel.image_sha256);
    assert_eq!(world.told(), []);
    let offline = world.apt(PACKAGE, SUITE, true, false).unwrap();
    assert_eq!(offline.stale.unwrap().why, "offline mode");

    // A flipped bit in the image is detected; offline, the image cannot be made again.
    let mut image = fs::read(&kernel.image).unwrap();
    image[1_000_000] ^= 1;
    fs::write(&kernel.image, image).unwrap();
    let error = world.apt(PACKAGE, SUITE, true, false).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotCached, "{error}");

    // The index is new, so a package that it lacks does not exist.
    let error = world.apt("linux-image-clod-amd64", SUITE, true, false).unwrap_err();
    assert!(error.is_gone() && error.to_string().contains(PACKAGE), "{error}");
}

#[test]
fn unserved_suite_is_gone_and_bad_names_stay_out_of_apt() {
    let world = World::new();
    let error = world.apt(PACKAGE, "no-such-suite", false, false).unwrap_err();
    assert!(error.is_gone() && error.to_string().contains("no-such-suite"), "{error}");
    for (package, suite) in
        [("--option", "sid"), ("bash", "sid"), (PACKAGE, "../x"), (PACKAGE, ""), ("linux-a b", "sid")]
    {
        let error = world.apt(package, suite, false, false).unwrap_err();
        assert!(error.to_string().starts_with("invalid "), "{error}");
    }
    assert_eq!(drafts(&world.store), 0);
}

/// Runs this test binary's `inner` test, which the environment controls.
fn without(program: &mut Command, folder: &Path) -> String {
    let program = program.arg(std::env::current_exe().unwrap());
    let output = program
        .args(["--exact", "inner_process_reports_what_it_obtains", "--nocapture", "--ignored"])
        .env("BACKPROOF_TEST_STORE", folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "the other tests run it in processes of their own"]
fn inner_process_reports_what_it_obtains() {
    let Some(folder) = std::env::var_os("BACKPROOF_TEST_STORE") else { return };
    let store = Store::open(Some(folder.into())).unwrap();
    let shim = Shim::at(env!("CARGO_BIN_EXE_backproof").into());
    let source = Source::Apt { package: PACKAGE.to_owned(), suite: Some(SUITE.to_owned()), archive: None };
    let with = Obtain { store: &store, shim: &shim, offline: false, refresh: false, locked: None, tell: &|_| {} };
    println!("error: {}", obtain(&source, &with).unwrap_err());
}

#[test]
fn host_without_apt_or_network_gets_a_remedy() {
    let world = World::new();
    let said = without(Command::new("/usr/bin/env").arg("PATH=/nonexistent"), world.folder.path());
    assert!(said.contains("cannot find apt-config") && said.contains("install apt"), "{said}");
    let mut unshare = Command::new("unshare");
    let said = without(unshare.args(["--user", "--net"]), world.folder.path());
    assert!(said.contains("check the network and the mirror"), "{said}");
}
