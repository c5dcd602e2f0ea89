//! What an LTP test needs of a kernel and its guest, by its metadata.

use std::collections::BTreeMap;
use std::time::Duration;

use backproof_protocol::GuestMount;

use super::super::candidate::DEADLINE_MAX;
use super::super::{ImportRootfs, Rejected, RejectionKind, kconfig};
use super::metadata::LtpTest;
use crate::matrix::Needs;

/// Memory that a guest needs beside what a test asks for, in MiB.
const OWN_MIB: u64 = 256;

/// Memory of a guest with an unknown number of huge pages, in MiB.
const HUGEPAGES_MIB: u64 = 1024;

/// The least size of a test's disk, in MiB (`lib/tst_device.c`).
const DEVICE_MIB: u64 = 300;

/// The file system of tests that name none (`lib/tst_test.c`).
const DEFAULT_FILE_SYSTEM: &str = "ext2";

/// What its library copies files with.
const COPIERS: [&str; 2] = ["sh", "cp"];

/// The most memory and processors that are asked for.
const MOST: (u64, u64) = (16 << 10, 8);

/// The time that a test gets beside its own limit, because its library has to report first.
const GRACE: Duration = Duration::from_secs(10);

/// What a test needs.
#[derive(Debug)]
pub(super) struct LtpNeeds {
    pub(super) needs: Needs,
    /// Whether it needs programs of a rootfs.
    pub(super) of_rootfs: bool,
    pub(super) env: BTreeMap<String, String>,
    pub(super) deadline: Duration,
    pub(super) notes: Vec<String>,
}

impl LtpNeeds {
    /// Reads them. A test that names no time limit has this one, in seconds.
    ///
    /// # Errors
    /// If neither a guest nor the rootfs has it.
    pub(super) fn of(test: &LtpTest, timeout: u64, rootfs: Option<&ImportRootfs>) -> Result<Self, Rejected> {
        let rejected = |kind, why: &str| Err(Rejected::new(&test.name, kind, why));
        let machines = test.texts("supported_archs");
        if !machines.is_empty() && !machines.contains(&"x86_64") {
            return rejected(RejectionKind::Machine, &format!("only for {}", machines.join(", ")));
        }
        if test.number("needs_abi_bits") == Some(32) {
            return rejected(RejectionKind::Machine, "only for 32-bit programs");
        }
        let disk = LtpDisk::of(test, rootfs).map_err(|why| Rejected::new(&test.name, RejectionKind::Disk, why))?;
        if test.number("min_swap_avail").is_some_and(|mib| mib > 0) {
            return rejected(RejectionKind::Swap, "needs swap space, which a guest lacks");
        }
        let commands = commands(test);
        let absent = rootfs.map_or_else(|| commands.clone(), |rootfs| rootfs.lacks(&commands));
        if !absent.is_empty() {
            let place = if rootfs.is_some() { ", which the rootfs lacks" } else { "" };
            return rejected(RejectionKind::Commands, &format!("runs {}{place}", absent.join(", ")));
        }
        let copied = test.texts("resource_files");
        if !copied.is_empty() && rootfs.is_none_or(|rootfs| !rootfs.lacks(&COPIERS.map(str::to_owned)).is_empty()) {
            let why = format!("copies {:.100} with cp, in a shell", copied.join(", "));
            return rejected(RejectionKind::Commands, &why);
        }
        if test.flag("runs_script") {
            return rejected(RejectionKind::Script, "runs a script: a guest has no interpreter");
        }
        let (mut needs, mut notes) = (Needs::default(), Vec::new());
        for expression in test.texts("needs_kconfigs") {
            match kconfig::required(expression) {
                Some(options) => needs.config.extend(options),
                None => {
                    let why = format!("needs the configuration {expression:.100}, which no dossier can express");
                    return rejected(RejectionKind::Configuration, &why);
                }
            }
        }
        if needs.config.iter().any(|option| option == "CONFIG_KVM") {
            return rejected(RejectionKind::Machine, "needs KVM, which a guest lacks");
        }
        needs.modules.extend(test.texts("needs_drivers").into_iter().map(str::to_owned));
        needs.modules.extend(kconfig::modules(&needs.config));
        let of_rootfs = !commands.is_empty() || !copied.is_empty() || matches!(disk, LtpDisk::Formatted { .. });
        match disk {
            LtpDisk::None => {}
            // Its library makes a file in a tmpfs a device, which takes at most half of the memory.
            LtpDisk::Plain { .. } => needs.modules.push("loop".to_owned()),
            LtpDisk::Formatted { mib, ref kinds, ref modules } => {
                // Without one of them, LTP would leave its file system out and pass.
                needs.modules.extend(modules.iter().map(|module| (*module).to_owned()));
                needs.disk_mib = u32::try_from(mib).ok();
                notes.push(format!("on {} only", kinds.join(", ")));
            }
        }
        if test.flag("needs_overlay") {
            needs.modules.push("overlay".to_owned());
        }
        let (most_memory, most_cpus) = MOST;
        needs.cpus = test.number("min_cpus").map(|number| number.clamp(1, most_cpus)).and_then(|n| n.try_into().ok());
        needs.memory_mib = memory(test, &disk).map(|mib| mib.min(most_memory)).and_then(|mib| mib.try_into().ok());
        let of_cgroup = test.has("needs_cgroup_ctrls") || test.has("needs_cgroup_ver");
        if of_cgroup && test.text("needs_cgroup_ver") != Some("1") {
            needs.mounts.push(GuestMount::Cgroup2);
        }
        if test.has("min_kver") {
            notes.push("it skips old kernels by itself (min_kver)".to_owned());
        }
        dedup(&mut needs.config);
        dedup(&mut needs.modules);
        // A guest has no copy of the kernel's configuration: backproof checks `needs.config` itself.
        let env = BTreeMap::from([("KCONFIG_SKIP_CHECK".to_owned(), "1".to_owned())]);
        Ok(Self { needs, of_rootfs, env, deadline: deadline(test, timeout), notes })
    }
}

/// The disk of a test.
#[derive(Debug)]
enum LtpDisk {
    /// It needs none.
    None,
    /// One of this size, without a file system.
    Plain { mib: u64 },
    /// One of this size, on which it makes file systems of these kinds, which these modules mount.
    Formatted { mib: u64, kinds: Vec<&'static str>, modules: Vec<&'static str> },
}

impl LtpDisk {
    /// The disk that a test needs.
    ///
    /// # Errors
    /// If it makes a file system, and nothing can.
    fn of(test: &LtpTest, rootfs: Option<&ImportRootfs>) -> Result<Self, String> {
        let mib = test.number("dev_min_size").unwrap_or(0).max(DEVICE_MIB);
        let kinds: Vec<&str> = test.items("filesystems").iter().filter_map(|one| one["type"].as_str()).collect();
        let formats = ["format_device", "mount_device", "all_filesystems"].into_iter().find(|key| test.flag(key));
        let wanted = match formats {
            _ if !kinds.is_empty() => kinds.clone(),
            Some("all_filesystems") => ImportRootfs::all_kinds(),
            Some(_) => vec![DEFAULT_FILE_SYSTEM],
            None => Vec::new(),
        };
        let skipped = test.texts("skip_filesystems");
        let wanted: Vec<&str> = wanted.into_iter().filter(|kind| !skipped.contains(kind)).collect();
        if let Some((kinds, modules)) = rootfs.map(|rootfs| rootfs.mountable(&wanted))
            && !kinds.is_empty()
        {
            return Ok(Self::Formatted { mib, kinds, modules });
        }
        // A test for all file systems runs on tmpfs, if no other has a mkfs.
        let only_tmpfs = !kinds.is_empty() && kinds.iter().all(|kind| *kind == "tmpfs");
        let also_tmpfs = test.flag("all_filesystems") && !test.texts("skip_filesystems").contains(&"tmpfs");
        let lacks = if rootfs.is_some() { "the rootfs has no mkfs for it" } else { "a guest has no mkfs" };
        match formats {
            _ if only_tmpfs || also_tmpfs => {}
            _ if !kinds.is_empty() => return Err(format!("needs a disk with {}, and {lacks}", kinds.join(", "))),
            Some(key) => return Err(format!("needs a formatted disk ({key}), and {lacks}")),
            None => {}
        }
        Ok(if test.flag("needs_device") { Self::Plain { mib } } else { Self::None })
    }
}

/// The programs that it cannot do without. Old metadata list their names, newer ones objects.
fn commands(test: &LtpTest) -> Vec<String> {
    let named = test.texts("needs_cmds").into_iter().map(str::to_owned);
    let objects = test.items("needs_cmds").iter().filter(|one| one["optional"].as_bool() != Some(true));
    named.chain(objects.filter_map(|one| one["cmd"].as_str().map(str::to_owned))).collect()
}

/// The memory that its guest needs, in MiB.
fn memory(test: &LtpTest, disk: &LtpDisk) -> Option<u64> {
    let asked = test.number("min_mem_avail").map(|mib| mib.saturating_add(OWN_MIB));
    // A huge page has 2 MiB.
    let pages = test.texts("hugepages").first().map(|count| {
        count.parse().map_or(HUGEPAGES_MIB, |pages: u64| pages.saturating_mul(2).saturating_add(2 * OWN_MIB))
    });
    let device = match *disk {
        LtpDisk::Plain { mib } => Some(mib.saturating_mul(2).saturating_add(2 * OWN_MIB)),
        LtpDisk::None | LtpDisk::Formatted { .. } => None,
    };
    asked.max(pages).max(device).filter(|mib| *mib > OWN_MIB + 64)
}

/// The time limit: its library ends it after its timeout and its runtime, for each variant. Newer libraries add the
/// test's own timeout to the usual one; older ones replace that.
fn deadline(test: &LtpTest, timeout: u64) -> Duration {
    let own = match test.number("timeout") {
        Some(seconds) => seconds,
        // It is unlimited.
        None if test.has("timeout") => return DEADLINE_MAX,
        None => 0,
    };
    let runtime = ["runtime", "max_runtime", "min_runtime"].into_iter().filter_map(|key| test.number(key)).max();
    let variants = test.number("test_variants").unwrap_or(1).max(1);
    let seconds = timeout.saturating_add(own).saturating_add(runtime.unwrap_or(0)).saturating_mul(variants);
    Duration::from_secs(seconds).saturating_add(GRACE).min(DEADLINE_MAX)
}

fn dedup(list: &mut Vec<String>) {
    list.sort();
    list.dedup();
}
