//! kernels.lock: a locked kernel stays the same while its archive moves on, and is fetched from any place that has it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

mod common;
use common::archive::{Archive, PACKAGE};
use common::tiny_kernel::{Act, image};
use common::{Lab, Ran};

struct World {
    lab: Lab,
    archive: Archive,
}

impl World {
    fn new() -> Self {
        let lab =
            Lab::with_matrix(&format!("kernels:\n  - {{ name: moving, apt: {{ package: {PACKAGE}, suite: sid }} }}\n"));
        let archive = Archive::new(&lab.path("archive"));
        Self { lab, archive }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command(args);
        command
            .env("no_proxy", "127.0.0.1")
            .env("APT_CONFIG", self.archive.configuration())
            .env("BACKPROOF_CACHE", self.lab.path("cache"));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("the program starts"))
    }

    /// `run` with more arguments: its end, and its record of the one kernel.
    fn kernel(&self, args: &[&str]) -> (Ran, Value) {
        let ran = self.run(&[&["run", "--accel", "tcg", "--format", "json"], args].concat());
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
        (ran, document["kernels"][0].clone())
    }

    fn lock(&self) -> String {
        fs::read_to_string(self.lab.path("kernels.lock")).expect("a lock")
    }
}

#[test]
fn locked_kernel_stays_while_its_suite_moves() {
    let world = World::new();
    let first = world.archive.publish("6.1.0-1");

    // Showing the changes fetches no package, and writes nothing without consent.
    let shown = world.run(&["kernels", "update"]);
    shown.ends_with(0);
    assert!(
        shown.stdout.contains("added") && shown.stdout.contains("6.1.0-1") && shown.stdout.contains("--yes"),
        "{}",
        shown.stdout
    );
    assert!(!world.lab.path("kernels.lock").exists());
    world.run(&["run", "--locked"]).ends_with(2).says(&["moving", "kernels update"]);
    world.run(&["kernels", "update", "--yes"]).ends_with(0);
    assert!(world.lock().contains("version: 6.1.0-1") && world.lock().contains("source: apt linux-image-test (sid)"));
    assert_eq!(fs::read_dir(world.lab.path("cache/packages")).expect("a folder").count(), 0, "it was fetched");
    assert!(world.run(&["kernels", "update"]).stdout.contains("1 unchanged"));

    let (_, kernel) = world.kernel(&["--locked"]);
    assert_eq!((kernel["image_sha256"].as_str(), kernel["locked"].as_bool()), (Some(&*first), Some(true)));
    let listed: Value =
        serde_json::from_str(&world.run(&["kernels", "list", "--format", "json"]).stdout).expect("JSON");
    assert_eq!(listed["kernels"][0]["locked"]["version"], "6.1.0-1");
    assert_eq!(
        (&listed["kernels"][0]["cached"], &listed["kernels"][0]["locked"]["current"]),
        (&"yes".into(), &true.into())
    );

    // The suite moves on, and the old package is gone.
    let second = world.archive.publish("6.1.0-2");
    let (_, kernel) = world.kernel(&["--refresh"]);
    assert_eq!(kernel["image_sha256"].as_str(), Some(&*first), "of the cache");
    let other_cache = world.lab.path("other").display().to_string();
    let (ran, _) = world.kernel(&["--cache", &other_cache]);
    ran.ends_with(3);
    assert!(ran.stdout.contains("no longer serves it") && ran.stdout.contains("kernels update"), "{}", ran.stdout);

    // An archive that kept it is enough.
    let old = world.lab.path(format!("archive/{PACKAGE}_6.1.0-1.deb"));
    let with_address = world.lock() + &format!("          - copy:{}\n", old.display());
    world.lab.write("kernels.lock", &with_address);
    let (_, kernel) = world.kernel(&["--locked", "--cache", &other_cache]);
    assert_eq!(kernel["image_sha256"].as_str(), Some(&*first));
    // An archive with another file of that name is not.
    fs::copy(world.lab.path(format!("archive/{PACKAGE}_6.1.0-2.deb")), &old).expect("a copy");
    let third_cache = world.lab.path("third").display().to_string();
    let (ran, kernel) = world.kernel(&["--locked", "--cache", &third_cache]);
    ran.ends_with(3);
    assert!(kernel.is_null(), "{kernel}");

    let shown = world.run(&["kernels", "update", "--yes"]);
    shown.ends_with(0);
    assert!(shown.stdout.contains("6.1.0-1 → 6.1.0-2"), "{}", shown.stdout);
    assert_eq!(world.kernel(&["--locked"]).1["image_sha256"].as_str(), Some(&*second));
}

#[test]
fn lock_entry_of_another_source_is_ignored() {
    let world = World::new();
    world.archive.publish("6.1.0-1");
    world.run(&["kernels", "update", "--yes"]).ends_with(0);
    world.lab.write(
        "kernels.yaml",
        format!("kernels: [{{ name: moving, apt: {PACKAGE} }}, {{ name: tree, tree: x, tags: [t] }}]"),
    );
    let (ran, kernel) = world.kernel(&["--kernel", "moving"]);
    ran.says(&["locks a different source; resolving again"]);
    assert_eq!(kernel["locked"], false);
    world.run(&["run", "--locked"]).ends_with(2).says(&[
        "moving: it was locked as `apt linux-image-test (sid)`",
        "tree: it cannot be locked: a build tree changes",
    ]);
    let shown = world.run(&["kernels", "update", "--yes"]);
    shown.ends_with(0);
    assert!(
        shown.stdout.contains("not locked") && shown.stdout.contains("kernels.lock is written"),
        "{}",
        shown.stdout
    );
    // Kernels that the matrix lost are removed, unless only some kernels are named.
    world.lab.write("kernels.yaml", "kernels: [{ name: tree, tree: x, tags: [t] }]");
    assert!(!world.run(&["kernels", "update", "--yes", "--tag", "t"]).stdout.contains("removed"));
    assert!(world.run(&["kernels", "update", "--yes"]).stdout.contains("removed"));
    assert!(world.lock().contains("kernels: []"));
}

#[test]
fn changed_local_file_is_an_error_with_both_sums() {
    let world = World::new();
    let (deb, first) = world.archive.package("6.1.0-1");
    fs::copy(&deb, world.lab.path("linux.deb")).expect("a copy");
    world.lab.write("kernels.yaml", "kernels: [{ name: own, deb: linux.deb }]");
    world.run(&["kernels", "update", "--yes"]).ends_with(0);
    assert_eq!(world.kernel(&["--locked"]).1["image_sha256"].as_str(), Some(&*first));
    let (deb, _) = world.archive.package("6.1.0-2");
    fs::copy(&deb, world.lab.path("linux.deb")).expect("a copy");
    let (ran, _) = world.kernel(&[]);
    ran.ends_with(3);
    let was = world.lock().split("sha256: ").nth(1).map(|rest| rest[..64].to_owned()).expect("a sum");
    assert!(ran.stdout.contains("and kernels.lock has") && ran.stdout.contains(&was), "{}", ran.stdout);
}

#[test]
fn damaged_lock_and_built_in_matrix_get_a_remedy() {
    let world = World::new();
    world.lab.write("kernels.lock", "version: 1\nkernels:\n  - name: moving\n    files: [{ sha256: x }]\n");
    world.run(&["run"]).ends_with(2).says(&["kernels.lock:3:5", "bad sha256 `x`", "mistakes in kernels.lock"]);
    fs::remove_file(world.lab.path("kernels.yaml")).expect("a matrix");
    world.run(&["kernels", "update"]).ends_with(2).says(&["the built-in matrix has no lock", "--matrix"]);
    world.run(&["kernels", "list"]).ends_with(0);
}

/// Serves the folder until the test's process ends. Returns the port.
fn serve(content: Arc<Mutex<Vec<u8>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let _ = lines.find(String::is_empty);
            let body = content.lock().expect("a lock").clone();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&body));
        }
    });
    port
}

#[test]
fn first_use_pins_the_file_for_later_runs() {
    let world = World::new();
    let content = Arc::new(Mutex::new(image(&[Act::Console("first".to_owned()), Act::Reset])));
    let port = serve(Arc::clone(&content));
    let url = format!("url: {{ address: \"http://127.0.0.1:{port}/bzImage\", sha256: trust-on-first-use }}");
    world.lab.write("kernels.yaml", format!("kernels:\n  - name: remote\n    {url}\n  - name: same\n    {url}\n"));
    let (ran, kernel) = world.kernel(&[]);
    ran.says(&["remote: trusted on first use, and pinned in", "same: trusted on first use, and pinned in"]);
    let sum = kernel["image_sha256"].as_str().map(str::to_owned).expect("a kernel");
    assert_eq!((&kernel["locked"], kernel["files"][0]["sha256"].as_str()), (&false.into(), Some(&*sum)));
    assert_eq!(world.lock().matches(&sum).count(), 2, "both workers' entries: {}", world.lock());

    *content.lock().expect("a lock") = image(&[Act::Console("second".to_owned()), Act::Reset]);
    let (ran, kernel) = world.kernel(&["--locked"]);
    assert_eq!((kernel["image_sha256"].as_str(), &kernel["locked"]), (Some(&*sum), &true.into()));
    assert!(!ran.stderr.contains("trusted on first use"), "{}", ran.stderr);
    let fresh = world.lab.path("fresh").display().to_string();
    let (ran, kernel) = world.kernel(&["--cache", &fresh]);
    assert!(kernel.is_null() && ran.stdout.contains(&sum), "{}", ran.stdout);
    ran.ends_with(3);
    // Another cache that has it is enough.
    let own = world.lab.path("cache").display().to_string();
    let (_, kernel) = world.kernel(&["--cache", &fresh, "--cache-from", &own]);
    assert_eq!(kernel["image_sha256"].as_str(), Some(&*sum));
    let shown = world.run(&["kernels", "update", "--yes"]);
    shown.ends_with(0);
    assert_eq!(shown.stdout.matches("changed").count(), 2, "{}", shown.stdout);
    assert!(!world.lock().contains(&sum));
}

#[test]
fn suite_in_another_cache_is_enough_offline() {
    let world = World::new();
    let first = world.archive.publish("6.1.0-1");
    world.kernel(&[]);
    let below = world.lab.path("cache").display().to_string();
    let own = world.lab.path("own").display().to_string();
    let (ran, kernel) = world.kernel(&["--offline", "--cache", &own, "--cache-from", &below]);
    assert_eq!(kernel["image_sha256"].as_str(), Some(&*first), "{}", ran.stdout);
    assert_eq!(fs::read_dir(world.lab.path("own/packages")).expect("a folder").count(), 0);
    let listed = world.run(&["kernels", "list", "--cache", &own, "--cache-from", &below]);
    assert!(listed.ends_with(0).stdout.contains("cached"), "{}", listed.stdout);
}

#[test]
fn concurrent_updates_keep_all_entries() {
    let world = World::new();
    let (deb, _) = world.archive.package("6.1.0-1");
    fs::copy(deb, world.lab.path("linux.deb")).expect("a copy");
    let names: Vec<String> = (0..12).map(|n| format!("own-{n}")).collect();
    let kernels = names.iter().map(|name| format!("  - {{ name: {name}, deb: linux.deb }}\n")).collect::<String>();
    world.lab.write("kernels.yaml", format!("kernels:\n{kernels}"));
    let updates = names.iter().map(|name| {
        let cache = world.lab.path(format!("cache-{name}")).display().to_string();
        let mut command = world.command(&["kernels", "update", "--yes", "--kernel", name, "--cache", &cache]);
        command.stdout(Stdio::null()).spawn().expect("the program starts")
    });
    for mut update in updates.collect::<Vec<_>>() {
        assert!(update.wait().expect("it ends").success());
    }
    let lost: Vec<_> = names.iter().filter(|name| !world.lock().contains(&format!("name: {name}\n"))).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn stale_copy_is_never_pinned() {
    let world = World::new();
    let content = Arc::new(Mutex::new(image(&[Act::Console("first".to_owned()), Act::Reset])));
    let port = serve(Arc::clone(&content));
    let url = format!("url: {{ address: \"http://127.0.0.1:{port}/bzImage\", sha256: trust-on-first-use }}");
    world.lab.write("kernels.yaml", format!("kernels: [{{ name: remote, {url} }}]"));
    world.kernel(&[]);
    let locked = world.lock();
    // A captive portal blocks the server, but the cached file is still there.
    *content.lock().expect("a lock") = b"<!DOCTYPE html><html><body>Log in</body></html>".to_vec();
    let shown = world.run(&["kernels", "update", "--yes"]);
    shown.ends_with(3);
    assert!(shown.stdout.contains("FAILED") && !shown.stdout.contains("unchanged"), "{}", shown.stdout);
    assert_eq!(world.lock(), locked);

    fs::remove_file(world.lab.path("kernels.lock")).expect("a lock");
    let (ran, kernel) = world.kernel(&["--offline"]);
    ran.says(&["remote: trusted on first use, but not pinned"]);
    assert_eq!(kernel["stale"]["why"], "offline mode");
    assert!(!world.lab.path("kernels.lock").exists());
}

#[test]
fn lock_in_a_folder_with_a_space_works_from_anywhere() {
    let world = World::new();
    let (deb, _) = world.archive.package("6.1.0-1");
    let whole = world.lab.path("my dir/kernels.yaml").display().to_string();
    fs::create_dir(world.lab.path("my dir")).expect("a folder");
    fs::copy(&deb, world.lab.path("my dir/linux.deb")).expect("a copy");
    let matrix = "kernels: [{ name: own, deb: linux.deb }, { name: absent, tree: none }]";
    world.lab.write("my dir/kernels.yaml", matrix);
    world.run(&["kernels", "update", "--yes", "--matrix", "my dir/kernels.yaml"]).ends_with(0);
    let (_, kernel) = world.kernel(&["--matrix", &whole, "--locked", "--kernel", "own"]);
    assert_eq!(kernel["locked"], true);
    let listed = world.run(&["kernels", "list", "--matrix", &whole]);
    assert!(listed.ends_with(0).stdout.contains("missing") && listed.stdout.contains("local"), "{}", listed.stdout);

    // The same version with other bytes.
    let mut other = fs::read(&deb).expect("a package");
    // The time of the archive's first member.
    other[8 + 16] = if other[8 + 16] == b'1' { b'2' } else { b'1' };
    world.lab.write("my dir/linux.deb", other);
    let update = ["kernels", "update", "--matrix", &whole, "--kernel", "own"];
    let shown = world.run(&update);
    assert!(shown.ends_with(0).stdout.contains("linux.deb: sha256 "), "{}", shown.stdout);
    let document: Value =
        serde_json::from_str(&world.run(&[&update[..], &["--format", "json"]].concat()).stdout).expect("JSON");
    let change = &document["kernels"][0];
    assert_eq!((&change["change"], &change["same_bytes"]), (&"changed".into(), &false.into()));
    assert_ne!(change["old"]["files"][0]["sha256"], change["new"]["files"][0]["sha256"]);
}

#[test]
fn optional_kernel_that_is_gone_is_skipped_if_locked() {
    let world = World::new();
    world.archive.publish("6.1.0-1");
    let gone = "{ package: linux-image-gone, suite: sid }";
    let matrix = |optional: &str| {
        format!(
            "bugs: [tcp-fragment-stall]\nkernels:\n  - {{ name: moving, apt: {PACKAGE} }}\n  - {{ name: old, apt: {gone}{optional} }}\n"
        )
    };
    world.lab.write("kernels.yaml", matrix(", optional: true"));
    world.run(&["kernels", "update", "--yes"]).ends_with(0);
    let ran = world.run(&["run", "--locked", "--kernel", "old", "--format", "json"]);
    let document: Value = serde_json::from_str(&ran.ends_with(0).stdout).expect("JSON");
    let cell = &document["cells"][0];
    assert_eq!((&cell["outcome"], &cell["expected"]), (&"skip".into(), &true.into()), "{document:#}");
    assert!(cell["reason"].as_str().is_some_and(|why| why.contains("optional and not locked")), "{cell:#}");
    world.lab.write("kernels.yaml", matrix(""));
    world.run(&["run", "--locked", "--kernel", "old"]).ends_with(2).says(&["old: it is not in"]);
}
