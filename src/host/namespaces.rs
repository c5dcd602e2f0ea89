//! The network namespaces of this machine: those of processes, and those that only a mount keeps.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{naming, read_text};

/// The most namespaces to read. A host with more gets a notice.
const MAX_NAMESPACES: usize = 1024;

/// The most processes to read: the kernel's own limit is 4 million, and a host has thousands.
const MAX_PROCESSES: usize = 200_000;

/// The most processes of one namespace to remember, to find the holder of a socket.
const MAX_REMEMBERED: usize = 4096;

/// The number of the first PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// One network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetNamespace {
    /// The number in `net:[…]`, if it could be read.
    pub inode: Option<u64>,
    /// Its processes, the oldest first.
    pub pids: Vec<u32>,
    /// The number of its processes.
    pub processes: usize,
    /// Its mount point.
    pub mount: Option<PathBuf>,
}

/// The identity of a namespace. The link in /proc/<pid>/ns is best, but only the process' owner may read it (ptrace(2),
/// access mode checking). Everybody may stat /proc/<pid>/net/netstat: each namespace has a separate file there, with its
/// own inode number (`snmp_proc_init`, net/ipv4/proc.c; `proc_register`, fs/proc/generic.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum NamespaceKey {
    Link(u64),
    File(u64),
}

/// The namespaces that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceSearch {
    /// The namespaces, that of process 1 first, then by their oldest process.
    pub found: Vec<NetNamespace>,
    /// Namespaces that may be missing, as text.
    pub unseen: Vec<String>,
}

/// One process in /proc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ProcessView {
    pid: u32,
    /// The inode number of its link.
    link: Option<u64>,
    /// The inode number of its file.
    file: Option<u64>,
    /// Whether it exists, but this process may read neither.
    is_hidden: bool,
}

/// The facts that show whether /proc hides processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcView {
    own_pid: u32,
    /// The number of this process' PID namespace; none before Linux 3.8.
    pid_namespace: Option<u64>,
}

/// Finds the network namespaces below a folder, /proc on a live host.
pub fn find(proc: &Path) -> NamespaceSearch {
    let entries = match fs::read_dir(proc) {
        Ok(entries) => entries,
        Err(error) => {
            let unseen = format!("network namespaces of other processes: cannot read {}: {error}", proc.display());
            return NamespaceSearch { unseen: vec![unseen], ..NamespaceSearch::default() };
        }
    };
    let mut pids: Vec<u32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let too_many = pids.len() > MAX_PROCESSES;
    pids.truncate(MAX_PROCESSES);
    let seen: Vec<ProcessView> = pids.into_iter().map(|pid| ProcessView::of(proc, pid)).collect();
    let pid_namespace = fs::read_link(proc.join("self/ns/pid")).ok();
    let pid_namespace = pid_namespace.and_then(|link| bracketed(link.to_str()?, "pid"));
    let view = ProcView { own_pid: std::process::id(), pid_namespace };
    let mounts = read_text(&proc.join("self/mountinfo"), 16 << 20);
    let mut unseen: Vec<String> = view.hides(&seen).into_iter().collect();
    unseen.extend(too_many.then(|| format!("network namespaces of processes beyond the first {MAX_PROCESSES}")));
    if let Err(error) = &mounts {
        unseen.push(format!("network namespaces without a process: cannot read /proc/self/mountinfo: {error}"));
    }
    let mut search = merge(&seen, mounted(&mounts.map(|(text, _)| text).unwrap_or_default()));
    search.unseen.append(&mut unseen);
    search
}

impl ProcessView {
    fn of(proc: &Path, pid: u32) -> Self {
        let folder = proc.join(pid.to_string());
        let link = fs::read_link(folder.join("ns/net"));
        let file = fs::metadata(folder.join("net/netstat"));
        // A process that ended just now shows nothing either.
        let is_refused = file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        Self {
            pid,
            link: link.ok().and_then(|link| bracketed(link.to_str()?, "net")),
            file: file.ok().map(|data| data.ino()),
            is_hidden: is_refused,
        }
    }
}

impl ProcView {
    /// The processes that /proc does not show, and the reason.
    fn hides(self, seen: &[ProcessView]) -> Option<String> {
        let others = "network namespaces of other processes";
        let shows = |pid: u32| seen.iter().any(|process| process.pid == pid);
        let hidden = seen.iter().filter(|process| process.is_hidden && process.link.is_none()).count();
        match () {
            () if !shows(self.own_pid) => Some(format!("{others}: /proc shows no process (is it mounted?)")),
            () if self.pid_namespace.is_some_and(|number| number != FIRST_PID_NAMESPACE) => {
                Some(format!("{others}: this is a PID namespace (a container), and /proc shows only its processes"))
            }
            () if !shows(1) => {
                Some(format!("{others}: /proc hides them (hidepid): run as root, or mount /proc with hidepid=0"))
            }
            () if hidden > 0 => {
                Some(format!("network namespaces of {hidden} processes: /proc hides them (hidepid): run as root"))
            }
            () => None,
        }
    }
}

/// Puts processes and mounts together.
fn merge(seen: &[ProcessView], mounts: Vec<(u64, PathBuf)>) -> NamespaceSearch {
    // If one process shows both, others with the same file are in the same namespace.
    let links: BTreeMap<u64, u64> = seen.iter().filter_map(|process| Some((process.file?, process.link?))).collect();
    let mut found: BTreeMap<NamespaceKey, NetNamespace> = BTreeMap::new();
    for &ProcessView { pid, link, file, .. } in seen {
        let link = link.or_else(|| links.get(&file?).copied());
        let Some(key) = link.map(NamespaceKey::Link).or(file.map(NamespaceKey::File)) else { continue };
        let namespace = found.entry(key).or_default();
        namespace.inode = link;
        namespace.processes += 1;
        if namespace.pids.len() < MAX_REMEMBERED {
            namespace.pids.push(pid);
        }
    }
    for (inode, path) in mounts {
        let namespace = found.entry(NamespaceKey::Link(inode)).or_default();
        namespace.inode = Some(inode);
        namespace.mount.get_or_insert(path);
    }
    let mut found: Vec<NetNamespace> = found.into_values().collect();
    found.sort_by_key(|namespace| (namespace.pids.first().copied().unwrap_or(u32::MAX), namespace.inode));
    let more = (found.len() > MAX_NAMESPACES).then(|| format!("network namespaces beyond the first {MAX_NAMESPACES}"));
    found.truncate(MAX_NAMESPACES);
    NamespaceSearch { found, unseen: more.into_iter().collect() }
}

impl NetNamespace {
    /// Its name: `host` if process 1 is in it, else the container or unit of its oldest process, the name of its
    /// mount, or the process itself.
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

/// The processes that hold the sockets with these inode numbers.
pub fn holders(pids: &[u32], wanted: &[u64]) -> BTreeMap<u64, u32> {
    /// The most descriptors of one process to read.
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

/// The number in `kind:[number]`.
fn bracketed(text: &str, kind: &str) -> Option<u64> {
    text.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

/// Network namespaces among the mounts of /proc/self/mountinfo: their type is `nsfs`, their root the namespace
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

/// The kernel writes blanks, tabs, newlines and backslashes as `\` and three octal digits.
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

    fn process(pid: u32, link: Option<u64>, file: Option<u64>) -> ProcessView {
        ProcessView { pid, link, file, is_hidden: false }
    }

    #[test]
    fn processes_and_mounts_of_one_namespace_are_merged() {
        let seen = [
            process(1, Some(100), Some(7)),
            process(20, None, Some(7)),
            process(30, Some(200), Some(8)),
            process(40, None, Some(9)),
            process(41, None, Some(9)),
            process(50, None, None),
        ];
        let mounts = vec![(200, PathBuf::from("/run/netns/blue")), (300, PathBuf::from("/run/netns/red"))];
        let NamespaceSearch { found, unseen } = merge(&seen, mounts);
        let rows: Vec<_> = found.iter().map(|f| (f.inode, f.processes, f.mount.is_some())).collect();
        assert_eq!(rows, [(Some(100), 2, false), (Some(200), 1, true), (None, 2, false), (Some(300), 0, true)]);
        assert!(unseen.is_empty());
        assert_eq!((found[0].name(), found[3].name()), ("host".to_owned(), "netns red".to_owned()));
    }

    #[test]
    fn hidden_processes_are_reported_with_the_reason() {
        let view = |pid_namespace| ProcView { own_pid: 20, pid_namespace };
        let first = Some(FIRST_PID_NAMESPACE);
        let all = [process(1, None, Some(7)), process(20, Some(100), Some(7))];
        let refused = ProcessView { is_hidden: true, ..process(30, None, None) };
        for (seen, pid_namespace, says) in [
            (&all[..], first, None),
            (&all, None, None),
            (&all, Some(4_026_532_300), Some("a container")),
            // hidepid=2 hides the folders of other users' processes, hidepid=1 their contents.
            (&all[1..], first, Some("hidepid")),
            (&[all[0], all[1], refused], first, Some("of 1 processes")),
            (&[], first, Some("is it mounted")),
            (&all[..1], first, Some("is it mounted")),
        ] {
            let hides = view(pid_namespace).hides(seen);
            assert_eq!(hides.is_some(), says.is_some(), "{seen:?}: {hides:?}");
            assert!(says.is_none_or(|says| hides.as_ref().is_some_and(|hides| hides.contains(says))), "{hides:?}");
        }
    }

    #[test]
    fn empty_or_missing_proc_is_reported() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for proc in [folder.path().to_owned(), folder.path().join("absent")] {
            let NamespaceSearch { found, unseen } = find(&proc);
            assert!(found.is_empty() && !unseen.is_empty(), "{unseen:?}");
        }
    }

    #[test]
    fn namespace_mounts_are_found_by_their_type() {
        let text = "573 31 0:4 net:[4026532200] /run/netns/a\\040b rw shared:310 - nsfs nsfs rw\n\
                    574 31 0:4 mnt:[4026532201] /run/x rw - nsfs nsfs rw\n\
                    575 31 8:1 net:[1] /y rw - ext4 /dev/sda1 rw\n31 1 8:1 / / rw - ext4\n";
        assert_eq!(mounted(text), [(4_026_532_200, PathBuf::from("/run/netns/a b"))]);
    }

    #[test]
    fn live_search_finds_the_own_namespace() {
        let search = find(Path::new("/proc"));
        let own = std::process::id();
        assert!(search.found.iter().any(|f| f.pids.contains(&own)), "{search:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn mountinfo_never_panics(text in "(([0-9]{1,3}|net:\\[[0-9]{0,22}\\]|\\\\[0-9]{0,4}|é| ){0,9} - nsfs x\n){0,3}") {
            let _ = mounted(&text);
        }
    }
}
