//! What a run costs beside plain QEMU: `make bench`.
//!
//! Runs the default matrix (warm cache, TCG) and then boots the same images with plain QEMU into an init that
//! restarts the machine at once, as many at a time. Prints the processor time and wall time of both, and the ratio.
//! Rounds alternate, so that a busy machine is as unkind to one as to the other.
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cpio::newc::{Builder, ModeFileType, trailer};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 3;

/// The least that an init can do: with `-no-reboot`, a restart ends QEMU on every kernel, with or without ACPI.
const INIT: &str = "#include <sys/reboot.h>\nint main(void) { return reboot(RB_AUTOBOOT); }\n";

fn main() -> Result<()> {
    let work = tempfile::tempdir()?;
    let initramfs = plain_initramfs(work.path())?;
    let jobs = std::thread::available_parallelism()?.get();
    // The first run warms the cache and tells which images there are.
    let images = judged_images(work.path())?;
    println!("{} kernels, {jobs} at a time, {ROUNDS} rounds, tcg", images.len());

    let (mut ours, mut plain) = (Cost::default(), Cost::default());
    for round in 1..=ROUNDS {
        let a = measure(|| judged_images(work.path()).map(|_| ()))?;
        let b = measure(|| plain_boots(&images, &initramfs, jobs))?;
        println!("round {round}: backproof {a}; plain QEMU {b}");
        ours = ours.and(a);
        plain = plain.and(b);
    }
    println!("backproof  {ours} in all; {:.2} processors busy", ours.busy());
    println!("plain QEMU {plain} in all; {:.2} processors busy", plain.busy());
    println!("ratio of processor time {:.3}", ours.cpu.as_secs_f64() / plain.cpu.as_secs_f64());
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

impl Cost {
    fn and(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, wall: self.wall + other.wall }
    }

    fn busy(self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} s of processor, {:.2} s of wall time", self.cpu.as_secs_f64(), self.wall.as_secs_f64())
    }
}

/// The cost of the children that `work` starts and waits for.
fn measure(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let cpu = || -> Result<Duration> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Ok(Duration::from_micros(micros.try_into()?))
    };
    let (before, began) = (cpu()?, Instant::now());
    work()?;
    Ok(Cost { cpu: cpu()? - before, wall: began.elapsed() })
}

/// Runs the default matrix, and gives the images that it booted.
fn judged_images(work: &Path) -> Result<Vec<PathBuf>> {
    let run = Command::new(env!("CARGO_BIN_EXE_backproof"))
        .args(["run", "--accel", "tcg", "--fresh", "--format", "json", "--results"])
        .arg(work.join("results"))
        .stderr(Stdio::null())
        .output()?;
    if !run.status.success() {
        return Err(format!("backproof run ended with {}", run.status).into());
    }
    let latest = work.join("results/latest");
    let document: Value = serde_json::from_slice(&run.stdout)?;
    let kernels = document["kernels"].as_array().ok_or("no kernels")?;
    let image = |kernel: &Value| -> Result<PathBuf> {
        let name = kernel["name"].as_str().ok_or("a kernel without a name")?;
        let boot: Value = serde_json::from_slice(&fs::read(latest.join(name).join("boot-1/boot.json"))?)?;
        Ok(boot["image"].as_str().ok_or("a boot without an image")?.into())
    };
    kernels.iter().map(image).collect()
}

fn plain_initramfs(work: &Path) -> Result<PathBuf> {
    let init = work.join("init");
    let mut cc = Command::new("cc")
        .args(["-static", "-Os", "-s", "-x", "c", "-", "-o"])
        .arg(&init)
        .stdin(Stdio::piped())
        .spawn()?;
    cc.stdin.take().ok_or("no stdin")?.write_all(INIT.as_bytes())?;
    if !cc.wait()?.success() {
        return Err("cc failed".into());
    }
    let content = fs::read(init)?;
    let mut archive = Vec::new();
    let entry = Builder::new("init").ino(1).mode(0o755).set_mode_file_type(ModeFileType::Regular);
    let mut entry = entry.write(&mut archive, content.len().try_into()?);
    entry.write_all(&content)?;
    entry.finish()?;
    let path = work.join("plain.cpio");
    fs::write(&path, trailer(archive)?)?;
    Ok(path)
}

fn plain_boots(images: &[PathBuf], initramfs: &Path, jobs: usize) -> Result<()> {
    let queue = Arc::new(Mutex::new(images.to_vec()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|_| {
                scope.spawn(|| -> std::result::Result<(), String> {
                    loop {
                        let Some(image) = queue.lock().map_err(|e| e.to_string())?.pop() else { return Ok(()) };
                        plain_boot(&image, initramfs)?;
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| "a worker panicked".to_owned())?)
    })?;
    Ok(())
}

/// The command that a person would type.
fn plain_boot(image: &Path, initramfs: &Path) -> std::result::Result<(), String> {
    // Without `cx16` for the reason that src/vm/command.rs gives: one of five kernels hangs otherwise, now and then.
    let ended = Command::new("timeout")
        .args(["120", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max,cx16=off"])
        .args(["-m", "256", "-nodefaults", "-no-user-config"])
        .args(["-display", "none", "-no-reboot", "-serial", "file:/dev/null"])
        .args(["-append", "console=ttyS0 panic=-1 reboot=t"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initramfs)
        .status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("{}: {other:?}", image.display())),
    }
}
