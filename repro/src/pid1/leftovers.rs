//! Removes what a user's program left in the guest, so that the next one finds it as the first did. Its mounts and its
//! files in /tmp end with its mount namespace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

/// The sysctls that programs share; those of `net` belong to their namespaces.
const SHARED: [&str; 4] = ["/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs", "/proc/sys/user"];

/// Sysctls that change by themselves, or that reading or writing changes (Documentation/admin-guide/sysctl).
const FICKLE: [&str; 9] = [
    "random",
    "ns_last_pid",
    "pty",
    "compact_memory",
    "drop_caches",
    "stat_refresh",
    "tainted",
    "sched_domain",
    "binfmt_misc",
];

/// The longest value to keep, in bytes.
const VALUE_MAX: usize = 4096;

/// How long killed processes may take to end.
const ENDING: Duration = Duration::from_secs(2);

/// The most processes to name.
const NAMED: usize = 5;

/// The guest before the first program ran.
#[derive(Debug)]
pub(super) struct Cleanliness {
    sysctls: BTreeMap<PathBuf, KnownSysctl>,
}

/// A sysctl and its value. It stays open, because to open it takes an emulated processor ten times as long as to read it.
#[derive(Debug)]
struct KnownSysctl {
    file: File,
    value: String,
}

impl KnownSysctl {
    fn of(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        value(&file).map(|value| Self { file, value })
    }
}

impl Cleanliness {
    /// What there is now.
    pub(super) fn of_guest() -> Self {
        let mut sysctls = BTreeMap::new();
        SHARED.iter().for_each(|folder| read_all(Path::new(folder), &mut sysctls));
        Self { sysctls }
    }

    /// Ends the processes that were left behind, and puts the sysctls back. Returns what could not be undone.
    pub(super) fn restore(&self) -> Vec<String> {
        let mut left = kill_all();
        left.extend(self.put_back());
        left
    }

    fn put_back(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (path, KnownSysctl { file, value: before }) in &self.sysctls {
            // What can't be read any more can't be compared either.
            let Some(now) = value(file) else { continue };
            if now != *before
                && let Err(error) = fs::write(path, before)
            {
                left.push(format!("cannot restore {} to `{}`: {error}", path.display(), before.trim_end()));
            }
        }
        left
    }
}

/// Reads the sysctls below a folder that root can set.
fn read_all(folder: &Path, found: &mut BTreeMap<PathBuf, KnownSysctl>) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if FICKLE.iter().any(|fickle| name == **fickle) {
            continue;
        }
        match entry.metadata() {
            Ok(about) if about.is_dir() => read_all(&path, found),
            Ok(about) if about.permissions().mode() & 0o600 == 0o600 => {
                if let Some(known) = KnownSysctl::of(&path) {
                    found.insert(path, known);
                }
            }
            _ => {}
        }
    }
}

/// A short file of /proc, which gives it in one read.
fn value(file: &File) -> Option<String> {
    let mut bytes = [0; VALUE_MAX + 1];
    let length = file.read_at(&mut bytes, 0).ok()?;
    let whole = bytes.get(..length).filter(|whole| whole.len() <= VALUE_MAX)?;
    String::from_utf8(whole.to_vec()).ok()
}

/// Kills all processes but this one and the kernel's threads, and waits for their ends. Names those that stay.
fn kill_all() -> Vec<String> {
    let until = Instant::now() + ENDING;
    loop {
        let left = processes();
        for (pid, _) in &left {
            // It may have just ended by itself.
            let _ = kill_process(*pid, Signal::KILL);
        }
        // Orphans are children of process 1.
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if left.is_empty() || Instant::now() >= until {
            let named = left.iter().take(NAMED).map(|(pid, name)| format!("{} ({name})", pid.as_raw_nonzero()));
            let named = named.collect::<Vec<_>>().join(", ");
            return if left.is_empty() {
                Vec::new()
            } else {
                vec![format!("{} processes do not end: {named}", left.len())]
            };
        }
        // Old kernels have no event for the end of a process that is not a child.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The processes with programs, but this one.
fn processes() -> Vec<(Pid, String)> {
    let own = i32::try_from(std::process::id()).ok();
    let of = |entry: fs::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = value(&File::open(entry.path().join("stat")).ok()?)?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let mut fields = rest.split_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?);
        // Process 2 is the parent of the kernel's threads. What has ended is reaped by its parent.
        let is_program = Some(pid) != own && pid != 2 && parent != "2" && !matches!(state, "Z" | "X");
        Some((Pid::from_raw(pid)?, name.to_owned())).filter(|_| is_program)
    };
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_sysctl_is_put_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (kept, gone) = (folder.path().join("panic"), folder.path().join("drop_caches"));
        fs::write(&kept, "0\n").expect("a file");
        fs::write(&gone, "1\n").expect("a file");
        let mut sysctls = BTreeMap::new();
        read_all(folder.path(), &mut sysctls);
        assert_eq!(sysctls.keys().collect::<Vec<_>>(), [&kept]);
        fs::write(&kept, "60\n").expect("a file");
        assert!(Cleanliness { sysctls }.put_back().is_empty());
        assert_eq!(fs::read_to_string(&kept).expect("a file"), "0\n");
    }

    #[test]
    fn only_programs_are_found() {
        let found = processes();
        assert!(found.iter().all(|(pid, _)| pid.as_raw_nonzero().get() != 2), "{found:?}");
        assert!(found.iter().all(|(pid, _)| pid.as_raw_nonzero().get().unsigned_abs() != std::process::id()));
    }
}
