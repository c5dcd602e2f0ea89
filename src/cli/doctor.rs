//! `backproof doctor`: what this host can and cannot do, and how to fix it.

use std::fs;
use std::path::Path;

use anstyle::AnsiColor;
use serde::Serialize;

use super::{Doctor, Stop, ended, host, show};
use crate::evidence::git;
use crate::exit::Exit;
use crate::kernel::cache::survey;
use crate::kernel::{Obtain, Store, apt_available, control};
use crate::report::{Document, Style, bytes, paragraph};
use crate::shim::Shim;
use crate::vm::{Qemu, probe_kvm};

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

/// Mebibytes in the cache for the default matrix and the next kernels.
const CACHE_MIB: u64 = 1024;

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Health {
    /// It works.
    Good,
    /// It doesn't; backproof works without it.
    Limited,
    /// It doesn't; backproof cannot judge anything.
    Broken,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    /// Its subject.
    name: &'static str,
    health: Health,
    /// Its result.
    seen: String,
    /// How to fix it.
    remedy: Option<String>,
}

#[derive(Debug, Serialize)]
struct DoctorDocument {
    schema_version: u32,
    checks: Vec<Check>,
}

fn good(name: &'static str, seen: String) -> Check {
    Check { name, health: Health::Good, seen, remedy: None }
}

fn limited(name: &'static str, seen: String, remedy: &str) -> Check {
    Check { name, health: Health::Limited, seen, remedy: Some(remedy.to_owned()) }
}

fn broken(name: &'static str, seen: String, remedy: &str) -> Check {
    Check { name, health: Health::Broken, seen, remedy: Some(remedy.to_owned()) }
}

/// Checks the host. Exits with 3 if it cannot judge anything.
pub(super) fn doctor(args: &Doctor) -> Result<Exit, Stop> {
    let qemu = Qemu::find(args.host.qemu.as_deref());
    let mut checks = vec![processors()];
    checks.push(match &qemu {
        Ok(qemu) => good("QEMU", format!("{} {}", qemu.program().display(), qemu.version())),
        Err(error) => broken("QEMU", format!("{error:#}"), "apt-get install qemu-system-x86, or name one with --qemu"),
    });
    if let Ok(qemu) = &qemu {
        checks.push(kvm(qemu)?);
    }
    let store = args.host.cache.open();
    checks.push(cache(&store));
    checks.push(results(&args.host.results));
    checks.push(compiler(&store));
    if let Ok(store) = &store {
        checks.push(apt(store)?);
    }
    let is_broken = checks.iter().any(|check| check.health == Health::Broken);
    let document = DoctorDocument { schema_version: SCHEMA_VERSION, checks };
    let exit = if is_broken { Exit::NoVerdict } else { Exit::Clean };
    ended(exit, show(&document, args.format, Style::of_terminal()))
}

fn processors() -> Check {
    let host = host::record();
    let seen = format!("{} processors, {} MiB of memory, load {:.2}", host.cpus, host.memory_mib, host.load);
    if cfg!(target_arch = "x86_64") {
        good("machine", format!("{seen}, Linux {}", host.kernel))
    } else {
        limited("machine", seen, "guests are x86-64, so this processor has to emulate them, which takes longer")
    }
}

fn kvm(qemu: &Qemu) -> Result<Check, Stop> {
    let remedy = "guests run under QEMU's emulation (TCG), a few times slower; for KVM use a machine, or a virtual \
                  machine with nested virtualisation, whose /dev/kvm you may open";
    let shim = Shim::of_this_program().map_err(Stop::no_verdict)?;
    let runtime = host::runtime()?;
    Ok(match runtime.block_on(probe_kvm(qemu, &shim)) {
        Ok(()) => good("KVM", "a guest ran under it".to_owned()),
        Err(why) => limited("KVM", why, remedy),
    })
}

fn apt(store: &Store) -> Result<Check, Stop> {
    let shim = Shim::of_this_program().map_err(Stop::no_verdict)?;
    let with = Obtain { store, shim: &shim, offline: true, refresh: false, locked: None, tell: &|_| {} };
    let remedy = "`apt:` kernels need a Debian system with its mirrors; `deb:`, `image:` and `tree:` work without";
    Ok(match apt_available(&with) {
        Ok(seen) => good("apt", seen),
        Err(error) => limited("apt", format!("{error:#}"), remedy),
    })
}

/// The compiler, which only `controls build` needs.
fn compiler(store: &Result<Store, Stop>) -> Check {
    match control::toolchain() {
        Err(error) => limited("compiler", format!("{error}"), "control kernels cannot be built without it"),
        Ok(toolchain) => match store {
            Ok(store) => {
                let remedy = "free some space, or name another folder with --cache: each line of control kernels needs \
                              it to be built";
                let room = space("compiler", store.folder(), control::SOURCE_MIB + control::OBJECTS_MIB, remedy);
                let seen = format!("{}; {}", toolchain.id, room.seen);
                Check { seen: if room.health == Health::Good { toolchain.id } else { seen }, ..room }
            }
            Err(_) => good("compiler", toolchain.id),
        },
    }
}

fn cache(store: &Result<Store, Stop>) -> Check {
    match store {
        Err(error) => broken("cache", format!("{error:#}"), "name a folder that you may write with --cache"),
        Ok(store) => {
            let remedy =
                "free some space (`backproof kernels gc` shows what takes it), or name another folder with --cache";
            let room = space("cache", store.folder(), CACHE_MIB, remedy);
            let used = match survey(store, &[git::KEPT]) {
                Ok(items) => format!("{} used", bytes(items.iter().map(|item| item.bytes).sum())),
                Err(error) => {
                    return broken("cache", format!("{error:#}"), "fix the folder, or name another one with --cache");
                }
            };
            let lower = store.lower().iter().map(|folder| format!("; reads from {}", folder.display()));
            Check { seen: format!("{}, {used}{}", room.seen, lower.collect::<String>()), ..room }
        }
    }
}

fn results(folder: &Path) -> Check {
    // If the folder does not exist yet, its nearest parent is checked.
    let there = folder.ancestors().find(|path| path.is_dir() || path.as_os_str().is_empty()).unwrap_or(folder);
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    match tempfile::Builder::new().prefix(".backproof-doctor-").tempfile_in(there) {
        Err(error) => broken(
            "results",
            format!("{} cannot be written: {error}", there.display()),
            "name a folder that you may write with --results",
        ),
        Ok(_) => space("results", there, 64, "free some space, or name another folder with --results"),
    }
}

/// Whether a writable folder has room.
fn space(name: &'static str, folder: &Path, wanted_mib: u64, remedy: &str) -> Check {
    let shown = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    match rustix::fs::statvfs(folder) {
        Err(error) => broken(name, format!("{}: {error}", shown.display()), remedy),
        Ok(there) => {
            let free = there.f_bavail.saturating_mul(there.f_frsize) >> 20;
            let seen = format!("{}, {free} MiB free", shown.display());
            if free < wanted_mib { limited(name, seen, remedy) } else { good(name, seen) }
        }
    }
}

impl Document for DoctorDocument {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let (word, colour) = match check.health {
                Health::Good => ("ok", AnsiColor::Green.on_default()),
                Health::Limited => ("limited", AnsiColor::Yellow.on_default()),
                Health::Broken => ("broken", AnsiColor::Red.on_default().bold()),
            };
            paragraph(&mut text, &format!("{colour}{word:8}{colour:#}{:9}", check.name), &check.seen, style);
            if let Some(remedy) = &check.remedy {
                paragraph(&mut text, &" ".repeat(17), remedy, style);
            }
        }
        text
    }
}
