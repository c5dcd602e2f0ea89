//! What taking a kernel package apart costs beside `dpkg-deb -x`, and how soon a cached kernel is ready to boot:
//! `cargo bench --bench packages [-- PACKAGE.deb]`.
//!
//! Where no package is named, apt fetches the one that linux-image-cloud-amd64 leads to.
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use backproof::kernel::{Kernel, Obtain, Store, obtain};
use backproof::matrix::Source;
use backproof::shim::Shim;

/// Rounds, of which the middle one counts; each way takes turns, so that whatever else the host does meets both.
const ROUNDS: usize = 5;
/// What reproducers ask for.
const MODULES: [&str; 3] = ["tun", "veth", "sch_netem"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let named = std::env::args().skip(1).find(|argument| argument.ends_with(".deb")).map(PathBuf::from);
    let package = named.map_or_else(|| fetched(folder.path()), Ok)?;
    println!("{}: {:.1} MB", package.display(), package.metadata()?.len() as f64 / 1e6);

    let (mut theirs, mut ours, mut cached, mut read) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let into = folder.path().join(format!("dpkg-{round}"));
        let began = Instant::now();
        let done = Command::new("dpkg-deb").arg("-x").args([&package, &into]).status()?;
        theirs.push(began.elapsed());
        if !done.success() {
            return Err(format!("dpkg-deb failed: {done}").into());
        }
        let store = Store::open(Some(folder.path().join(format!("cache-{round}"))))?;
        let began = Instant::now();
        ready(&store, &package)?;
        ours.push(began.elapsed());
        let began = Instant::now();
        let kernel = ready(&store, &package)?;
        cached.push(began.elapsed());
        let began = Instant::now();
        std::hint::black_box(kernel.changelog()?);
        read.push(began.elapsed());
    }
    println!("dpkg-deb -x                          {:>6.0} ms", middle(theirs));
    println!("taken apart, verified, in the cache  {:>6.0} ms", middle(ours));
    println!("cached, verified, modules read       {:>6.0} ms", middle(cached));
    println!("its changelog read from the cache    {:>6.0} ms", middle(read));
    Ok(())
}

/// A kernel that could be booted now.
fn ready(store: &Store, package: &Path) -> Result<Kernel, Box<dyn Error>> {
    let shim = Shim::of_this_program()?;
    let with = Obtain { store, shim: &shim, offline: true, refresh: false, locked: None, tell: &|_| {} };
    let kernel = obtain(&Source::Deb(vec![package.to_owned()]), &with)?;
    std::hint::black_box(kernel.modules_for(&MODULES)?);
    Ok(kernel)
}

fn fetched(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let depends = Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]).output()?;
    let text = String::from_utf8(depends.stdout)?;
    let image = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let image = image.ok_or("apt knows no linux-image-cloud-amd64: name a package")?;
    let fetched =
        Command::new("apt-get").args(["download", image]).current_dir(folder).stdout(Stdio::null()).status()?;
    let found = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some());
    found.filter(|_| fetched.success()).ok_or_else(|| "apt-get download failed: name a package".into())
}

/// The middle one, in milliseconds.
fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
