//! The network namespaces of this machine: those of processes, and those that only a mount keeps.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{naming, read_text};

/// Namespaces that are looked at. A host with more is told so.
pub const MAX_NAMESPACES: usize = 1024;

/// Processes that are looked at: the kernel's own limit is 4 million, and a host has thousands.
const MAX_PROCESSES: usize = 200_000;

/// Processes of one namespace that are remembered, to find out who holds a socket.
const MAX_REMEMBERED: usize = 4096;

/// One namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The number in `net:[…]`, where it could be read.
    pub inode: Option<u64>,
    /// Its processes, the oldest first.
    pub pids: Vec<u32>,
    /// How many they are.
    pub processes: usize,
    /// Where it is mounted.
    pub mount: Option<PathBuf>,
}

/// What tells namespaces apart. The link in /proc/<pid>/ns is what one should read, and only the process' owner may
/// (ptrace(2), access mode checking). Everybody may look at /proc/<pid>/net/netstat: each namespace has its own file
/// there, made with the namespace, with an inode number of its own (`snmp_proc_init`, net/ipv4/proc.c; `proc_register`,
/// fs/proc/generic.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Link(u64),
    File(u64),
}

/// The namespaces, the one of process 1 first, then by their oldest process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct All {
    /// The namespaces.
    pub found: Vec<Found>,
    /// Whether there were more than are looked at.
    pub cut: bool,
}

/// Finds them.
///
/// # Errors
/// Where /proc cannot be read.
pub fn find() -> io::Result<All> {
    let mut pids: Vec<u32> =
        fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let is_cut = pids.len() > MAX_PROCESSES;
    pids.truncate(MAX_PROCESSES);
    let seen: Vec<(u32, Option<u64>, Option<u64>)> = pids.into_iter().map(|pid| (pid, link(pid), file(pid))).collect();
    let mounts = read_text(Path::new("/proc/self/mountinfo"), 16 << 20).map(|(text, _)| text).unwrap_or_default();
    let all = merge(&seen, mounted(&mounts));
    Ok(All { cut: all.cut || is_cut, ..all })
}

/// Puts processes (id, number of the link, number of the file) and mounts together.
fn merge(seen: &[(u32, Option<u64>, Option<u64>)], mounts: Vec<(u64, PathBuf)>) -> All {
    // Where one process shows both, others with the same file are in the same namespace.
    let links: BTreeMap<u64, u64> = seen.iter().filter_map(|(_, link, file)| Some(((*file)?, (*link)?))).collect();
    let mut found: BTreeMap<Key, Found> = BTreeMap::new();
    for &(pid, link, file) in seen {
        let link = link.or_else(|| links.get(&file?).copied());
        // A process that ended just now shows nothing.
        let Some(key) = link.map(Key::Link).or(file.map(Key::File)) else { continue };
        let namespace = found.entry(key).or_default();
        namespace.inode = link;
        namespace.processes += 1;
        if namespace.pids.len() < MAX_REMEMBERED {
            namespace.pids.push(pid);
        }
    }
    for (inode, path) in mounts {
        let namespace = found.entry(Key::Link(inode)).or_default();
        namespace.inode = Some(inode);
        namespace.mount.get_or_insert(path);
    }
    let mut found: Vec<Found> = found.into_values().collect();
    found.sort_by_key(|namespace| (namespace.pids.first().copied().unwrap_or(u32::MAX), namespace.inode));
    let cut = found.len() > MAX_NAMESPACES;
    found.truncate(MAX_NAMESPACES);
    All { found, cut }
}

impl Found {
    /// What people know it by: `host` where process 1 is in it, else the container or unit of its oldest process, the
    /// name of its mount, or the process itself.
    pub fn name(&self) -> String {
        let Some(&pid) = self.pids.first() else { return self.mount_name().unwrap_or_else(|| "unnamed".to_owned()) };
        if pid == 1 {
            return "host".to_owned();
        }
        let cgroups = read_text(&PathBuf::from(format!("/proc/{pid}/cgroup")), 64 << 10);
        let container = cgroups.ok().and_then(|(text, _)| naming::from_cgroups(&text));
        container.or_else(|| self.mount_name()).unwrap_or_else(|| process(pid))
    }

    fn mount_name(&self) -> Option<String> {
        let name = self.mount.as_ref()?.file_name()?.to_string_lossy().into_owned();
        Some(format!("netns {name}"))
    }
}

/// `mysqld (1234)`.
pub fn process(pid: u32) -> String {
    let command = read_text(&PathBuf::from(format!("/proc/{pid}/comm")), 64);
    match command {
        Ok((command, _)) => format!("{} ({pid})", command.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}

/// Which of these processes hold the sockets with these inode numbers.
pub fn holders(pids: &[u32], wanted: &[u64]) -> BTreeMap<u64, u32> {
    /// Descriptors of one process that are looked at.
    const MAX_DESCRIPTORS: usize = 65_536;
    let mut holders = BTreeMap::new();
    for &pid in pids {
        if holders.len() == wanted.len() {
            break;
        }
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for descriptor in descriptors.take(MAX_DESCRIPTORS).flatten() {
            let target = fs::read_link(descriptor.path()).ok();
            let inode = target.as_deref().and_then(Path::to_str).and_then(|text| bracketed(text, "socket"));
            if let Some(inode) = inode.filter(|inode| wanted.contains(inode)) {
                holders.entry(inode).or_insert(pid);
            }
        }
    }
    holders
}

fn link(pid: u32) -> Option<u64> {
    bracketed(fs::read_link(format!("/proc/{pid}/ns/net")).ok()?.to_str()?, "net")
}

fn file(pid: u32) -> Option<u64> {
    Some(fs::metadata(format!("/proc/{pid}/net/netstat")).ok()?.ino())
}

/// The number of `kind:[number]`.
fn bracketed(text: &str, kind: &str) -> Option<u64> {
    text.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

/// Network namespaces among the mounts of /proc/self/mountinfo: of the type `nsfs`, with the namespace as their root
/// (proc_pid_mountinfo(5)).
fn mounted(mountinfo: &str) -> Vec<(u64, PathBuf)> {
    let namespace = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let inode = bracketed(fields.next()?, "net")?;
        let path = unescape(fields.next()?);
        after.starts_with("nsfs ").then_some((inode, path))
    };
    mountinfo.lines().filter_map(namespace).collect()
}

/// Blanks, tabs, newlines and backslashes are written as `\` and three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = |digits: &[u8]| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok();
        match (first, tail.get(..3).and_then(octal)) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn processes_and_mounts_of_one_namespace_are_one() {
        let seen = [
            (1, Some(100), Some(7)),
            (20, None, Some(7)),
            (30, Some(200), Some(8)),
            (40, None, Some(9)),
            (41, None, Some(9)),
            (50, None, None),
        ];
        let mounts = vec![(200, PathBuf::from("/run/netns/blue")), (300, PathBuf::from("/run/netns/red"))];
        let All { found, cut } = merge(&seen, mounts);
        let rows: Vec<_> = found.iter().map(|f| (f.inode, f.processes, f.mount.is_some())).collect();
        assert_eq!(rows, [(Some(100), 2, false), (Some(200), 1, true), (None, 2, false), (Some(300), 0, true)]);
        assert!(!cut);
        assert_eq!((found[0].name(), found[3].name()), ("host".to_owned(), "netns red".to_owned()));
    }

    #[test]
    fn mounts_of_network_namespaces_are_found_by_their_type() {
        let text = "573 31 0:4 net:[4026532200] /run/netns/a\\040b rw shared:310 - nsfs nsfs rw\n\
                    574 31 0:4 mnt:[4026532201] /run/x rw - nsfs nsfs rw\n\
                    575 31 8:1 net:[1] /y rw - ext4 /dev/sda1 rw\n31 1 8:1 / / rw - ext4\n";
        assert_eq!(mounted(text), [(4_026_532_200, PathBuf::from("/run/netns/a b"))]);
    }

    #[test]
    fn this_machine_has_at_least_this_process_namespace() {
        let all = find().expect("/proc");
        let own = std::process::id();
        assert!(all.found.iter().any(|f| f.pids.contains(&own)), "{all:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_mountinfo_is_read_without_a_panic(text in "(([0-9]{1,3}|net:\\[[0-9]{0,22}\\]|\\\\[0-9]{0,4}|é| ){0,9} - nsfs x\n){0,3}") {
            let _ = mounted(&text);
        }
    }
}
