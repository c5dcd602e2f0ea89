//! The cache stays valid beside running guests, under kills, on full disks and on read-only disks.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

mod common;
use common::archive::Archive;
use common::tiny_kernel::{Act, image};
use common::{Lab, Ran, sealed};

const ALL: [&str; 4] = ["kernels", "gc", "--max-size", "0"];

struct World {
    lab: Lab,
}

impl World {
    fn new() -> Self {
        Self { lab: Lab::new() }
    }

    fn cache(&self) -> PathBuf {
        self.lab.path("cache")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command(args);
        command.env("BACKPROOF_CACHE", self.cache());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("the program starts"))
    }

    fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }

    /// Makes everything in the cache look unused for days.
    fn age(&self) {
        for folder in ["blobs", "packages"] {
            for file in files(&self.cache().join(folder)) {
                let old = SystemTime::now() - Duration::from_secs(5 * 86400);
                File::open(file).and_then(|file| file.set_modified(old)).expect("a time");
            }
        }
    }

    /// With a package file, `linux.deb`.
    fn with_package(self) -> Self {
        let (deb, _) = Archive::new(&self.lab.path("archive")).package("6.1.0-1");
        fs::copy(deb, self.lab.path("linux.deb")).expect("a copy");
        self
    }

    /// Runs a script in a namespace where it may mount; `$PROGRAM` is ours.
    fn mounting(&self, script: &str) -> Ran {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]).current_dir(self.lab.dir.path());
        command.env("PROGRAM", env!("CARGO_BIN_EXE_backproof")).env("NO_COLOR", "1");
        Ran::of(command.output().expect("unshare"))
    }
}

/// The content of a folder; empty if it does not exist.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Whether every record names only existing files.
fn is_sound(cache: &Path) -> bool {
    let sums = |value: &Value| -> Vec<String> {
        let images = value["images"].as_array().into_iter().flatten();
        let named = images.chain([&value["pack"]]).filter_map(|named| named["sha256"].as_str());
        named.map(str::to_owned).collect()
    };
    files(&cache.join("packages")).iter().all(|record| {
        let value: Value = serde_json::from_slice(&fs::read(record).expect("a record")).expect("JSON");
        sums(&value).iter().all(|sum| cache.join("blobs").join(sum).exists())
    })
}

/// Waits for another process to do something.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn files_of_a_running_guest_stay_until_it_ends() {
    let world = World::new();
    world.lab.write("bzImage", image(&[Act::Console("waiting".to_owned()), Act::Halt]));
    world.lab.write("kernels.yaml", "kernels: [{ name: a, image: bzImage, timeout: 60s }]");
    let mut run = world.spawn(&["run", "--accel", "tcg"]);
    let console = || fs::read_to_string(world.lab.result("a/boot-1/console.log")).unwrap_or_default();
    until("the guest boots", || console().contains("waiting"));
    let count = files(&world.cache().join("blobs")).len();
    assert_eq!(count, 2, "the image and the initramfs");
    world.age();
    let ran = world.run(&[&ALL[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&ran.ends_with(0).stdout).expect("JSON");
    assert_eq!(document["removed"], Value::Array(Vec::new()), "{document:#}");
    let why: Vec<_> = document["kept"].as_array().into_iter().flatten().map(|kept| &kept["why"]).collect();
    assert_eq!(why, ["in-use", "in-use"]);
    run.kill().expect("it runs");
    run.wait().expect("it ends");
    world.age();
    let ran = world.run(&ALL);
    assert!(ran.ends_with(0).stdout.contains("removed"), "{}", ran.stdout);
    assert_eq!(files(&world.cache().join("blobs")).len(), 0);
}

#[test]
fn kill_while_collecting_leaves_nothing_half_made() {
    let world = World::new().with_package();
    let records = || files(&world.cache().join("packages")).len();
    let drafts = || files(&world.cache().join("tmp")).len();
    let (mut collected, mut unpacked) = (0, 0);
    for round in 0..12 {
        world.run(&["affected", "linux.deb"]);
        // With hundreds of records, a kill hits between some of them.
        let blobs = world.cache().join("blobs");
        for n in 0..300 {
            let sum = format!("{n:064x}");
            fs::write(blobs.join(&sum), b"x").expect("a file");
            let record =
                format!("{{\"package\": \"p{n}\", \"version\": \"1\", \"images\": [{{\"sha256\": \"{sum}\"}}]}}");
            let below = format!("packages/{sum}.json");
            fs::write(world.cache().join(&below), sealed(&below, &record)).expect("a file");
        }
        world.age();
        let mut gc = world.spawn(&ALL);
        until("something is collected", || records() < 301);
        gc.kill().expect("a process");
        gc.wait().expect("it ends");
        assert!(is_sound(&world.cache()), "round {round}");
        collected += usize::from(records() > 0);
        world.run(&["kernels", "gc"]).ends_with(0);
        let _ = fs::remove_dir_all(world.cache());
        let mut unpack = world.spawn(&["affected", "linux.deb"]);
        until("something is unpacked", || world.cache().join("tmp").exists() && (drafts() > 0 || records() > 0));
        unpack.kill().expect("a process");
        unpack.wait().expect("it ends");
        assert!(is_sound(&world.cache()), "round {round}");
        unpacked += usize::from(records() == 0);
    }
    assert!(collected > 0 && unpacked > 0, "nothing was killed in the middle: {collected}, {unpacked}");
    world.run(&["affected", "linux.deb"]);
    assert_eq!((records(), drafts()), (1, 0));
    world.age();
    world.run(&ALL).ends_with(0);
    assert_eq!(files(&world.cache().join("packages")).len() + files(&world.cache().join("tmp")).len(), 0);
}

#[test]
fn many_may_collect_and_use_at_once() {
    let world = World::new().with_package();
    world.run(&["affected", "linux.deb"]);
    for _ in 0..5 {
        world.age();
        let collecting: Vec<Child> = (0..3).map(|_| world.spawn(&ALL)).collect();
        let answers: Vec<Child> = (0..3)
            .map(|_| {
                let mut command = world.command(&["affected", "linux.deb"]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
            })
            .collect();
        for child in collecting {
            assert!(child.wait_with_output().expect("it ends").status.success());
        }
        for child in answers {
            let ran = Ran::of(child.wait_with_output().expect("it ends"));
            assert!(ran.stdout.contains("linux.deb") && !ran.stderr.contains("failed"), "{}{}", ran.stdout, ran.stderr);
        }
        assert!(is_sound(&world.cache()));
    }
}

#[test]
fn flipped_bit_is_found_and_unpacked_again() {
    let world = World::new().with_package();
    world.lab.write("kernels.yaml", "kernels: [{ name: a, deb: linux.deb }]");
    let image_of = || {
        let ran = world.run(&["run", "--accel", "tcg", "--format", "json"]);
        let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        document["kernels"][0]["image_sha256"].as_str().map(str::to_owned)
    };
    let first = image_of();
    assert!(first.is_some());
    // Booting from a package also uses its record.
    world.age();
    assert_eq!(image_of(), first);
    let used =
        fs::metadata(&files(&world.cache().join("packages"))[0]).and_then(|found| found.modified()).expect("a time");
    assert!(used.elapsed().is_ok_and(|age| age < Duration::from_secs(3600)));
    let good: Vec<(PathBuf, Vec<u8>)> = files(&world.cache().join("blobs"))
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).expect("a file")))
        .collect();
    assert!(good.len() >= 2, "an image and a pack");
    for (path, bytes) in &good {
        let mut bad = bytes.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(path, &bad).expect("a file");
        assert_eq!(image_of(), first);
        assert_eq!(&fs::read(path).expect("a file"), bytes, "{}", path.display());
    }
}

#[test]
fn full_disk_is_named_and_the_cache_recovers() {
    let world = World::new().with_package();
    let ran = world.mounting(
        "mkdir cache && mount -t tmpfs -o size=12k none cache && export BACKPROOF_CACHE=$PWD/cache\n\
         $PROGRAM affected linux.deb || true\n\
         mount -o remount,size=4m cache\n\
         $PROGRAM affected linux.deb || true\n\
         ls cache/packages cache/tmp",
    );
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("no space is left"), "{said}");
    let last = ran.stdout.split("cache/packages:").nth(1).unwrap_or_default();
    assert!(last.contains(".json") && last.trim_end().ends_with("cache/tmp:"), "{said}");
}

#[test]
fn cache_on_a_read_only_mount_is_never_written() {
    let world = World::new().with_package();
    world.run(&["affected", "linux.deb"]);
    let before = files(&world.cache().join("blobs")).len();
    assert!(before > 0);
    let ran = world.mounting(
        "mount --bind cache cache && mount -o remount,ro,bind cache\n\
         BACKPROOF_CACHE=$PWD/cache $PROGRAM affected linux.deb || true\n\
         export BACKPROOF_CACHE=$PWD/own BACKPROOF_CACHE_FROM=$PWD/cache\n\
         $PROGRAM affected linux.deb || true\n\
         echo blobs: $(find own/blobs own/packages -type f | wc -l); $PROGRAM kernels gc\n\
         BACKPROOF_CACHE_FROM=$PWD/absent $PROGRAM kernels gc",
    );
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("cannot be written") && said.contains("--cache-from"), "{said}");
    assert!(said.contains("blobs: 0"), "what is there below was unpacked again: {said}");
    assert!(said.contains("(read-only)"), "{said}");
    assert!(said.contains("is it mounted?"), "{said}");
    assert_eq!(ran.code, 2);
}

#[test]
fn gc_without_a_limit_only_lists_the_cache() {
    let world = World::new().with_package();
    world.run(&["affected", "linux.deb"]);
    world.age();
    let ran = world.run(&["kernels", "gc"]);
    ran.ends_with(0);
    for word in ["unpacked packages", "nothing removed", "--older-than 30d"] {
        assert!(ran.stdout.contains(word), "{}", ran.stdout);
    }
    let dry = world.run(&["kernels", "gc", "--older-than", "1d", "--dry-run"]);
    assert!(dry.ends_with(0).stdout.contains("would be freed"), "{}", dry.stdout);
    assert!(dry.stdout.lines().all(|line| line.chars().count() <= 100), "{}", dry.stdout);
    assert_eq!(files(&world.cache().join("packages")).len(), 1);
    let done = world.run(&["kernels", "gc", "--older-than", "1d", "--format", "json"]);
    let document: Value = serde_json::from_str(&done.ends_with(0).stdout).expect("JSON");
    assert_eq!(document["removed"][0]["name"], "linux-image-test 6.1.0-1", "{document:#}");
    assert_eq!(document["left_bytes"], 0);
    world.run(&["kernels", "gc", "--older-than", "30"]).ends_with(2).says(&["30d"]);
}

#[test]
fn empty_variable_counts_as_unset() {
    let world = World::new().with_package();
    world.run(&["affected", "linux.deb"]);
    let from = format!("{}::", world.cache().display());
    let mut command = world.command(&["kernels", "gc"]);
    command.env("BACKPROOF_CACHE", "").env("BACKPROOF_CACHE_FROM", from).env("XDG_CACHE_HOME", world.lab.path("xdg"));
    let ran = Ran::of(command.output().expect("the program starts"));
    let said = &ran.ends_with(0).stdout;
    assert!(said.contains("xdg/backproof") && said.matches("(read-only)").count() == 1, "{said}");
    assert!(!said.contains("nothing removed"), "there is nothing to be removed: {said}");
}
