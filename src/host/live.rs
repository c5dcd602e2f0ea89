//! Reads this machine.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::namespaces::{self, NetNamespace};
use super::socket::{SocketSource, Sockets};
use super::{
    HostFacts, HostReading, Namespace, SETTINGS, TcpExtCounters, counters, diag, kmsg, livepatch, proc_tcp, read_text,
};

/// The most bytes of /proc/net/tcp to read: a line has 150, so these are some 400,000 connections.
const MAX_TCP: u64 = 64 << 20;

/// The most bytes of /proc/net/netstat to read: a current kernel's file has 6 KiB.
const MAX_NETSTAT: u64 = 1 << 20;

/// Reads this machine, with the permissions of this process.
pub fn read() -> HostReading {
    let mut host = host();
    let mut search = namespaces::find(Path::new("/proc"));
    let own = own_inode();
    let mut namespaces: Vec<Namespace> = search.found.iter().map(|found| namespace(found, own)).collect();
    if namespaces.is_empty() {
        namespaces.push(look(Namespace { name: "this process".to_owned(), ..Namespace::default() }));
    }
    // An answer for the host has to be unknown while some namespaces were not seen.
    if !search.unseen.is_empty() {
        namespaces.push(Namespace { name: "unseen network namespaces".to_owned(), ..Namespace::default() });
    }
    host.unseen.append(&mut search.unseen);
    HostReading { host, namespaces }
}

fn host() -> HostFacts {
    let uname = rustix::system::uname();
    let said = |text: &std::ffi::CStr| Some(text.to_string_lossy().into_owned());
    let mut host = HostFacts {
        release: said(uname.release()),
        build: said(uname.version()),
        machine: said(uname.machine()),
        ..HostFacts::default()
    };
    match livepatch::read(Path::new("/sys/kernel/livepatch")) {
        Ok(patches) if Path::new("/sys/kernel").exists() => host.livepatches = Some(patches),
        Ok(_) => host.unseen.push("live patches: /sys is not mounted".to_owned()),
        Err(error) => host.unseen.push(format!("live patches: /sys/kernel/livepatch: {error}")),
    }
    match kmsg::floods() {
        Ok(floods) => host.floods = Some(floods),
        Err(error) => {
            host.unseen
                .push(format!("the kernel's log: /dev/kmsg: {error} (run as root, or set kernel.dmesg_restrict=0)"));
        }
    }
    host
}

/// The inode number of this process' namespace.
fn own_inode() -> Option<u64> {
    Some(std::fs::metadata("/proc/self/ns/net").ok()?.ino())
}

/// Reads one namespace: from inside if this process may enter it, else through its processes' folders in /proc.
fn namespace(found: &NetNamespace, own: Option<u64>) -> Namespace {
    let mut namespace = Namespace {
        name: found.name(),
        inode: found.inode,
        pid: found.pids.first().copied(),
        processes: found.processes,
        ..Namespace::default()
    };
    let is_own = found.inode.is_some() && found.inode == own;
    let entered = if is_own { Ok(look(namespace.clone())) } else { enter(found, namespace.clone()) };
    let mut namespace = match entered {
        Ok(namespace) => namespace,
        Err(error) => {
            namespace.unseen.push(format!("settings and the sockets' memory: cannot enter it: {error}"));
            match found.pids.first() {
                Some(pid) => look_from_outside(&mut namespace, &PathBuf::from(format!("/proc/{pid}/net"))),
                None => namespace.unseen.push("counters and sockets: it has no process".to_owned()),
            }
            namespace
        }
    };
    name_holders(&mut namespace, &found.pids);
    namespace
}

/// Looks at a namespace on a separate thread: setns(2) moves only the calling thread, and permanently.
fn enter(found: &NetNamespace, namespace: Namespace) -> io::Result<Namespace> {
    /// The most processes to try: some may be another user's, and others may have ended.
    const TRIED: usize = 16;
    let links = found.pids.iter().take(TRIED).map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    let mut file = None;
    for path in links.chain(found.mount.clone()) {
        match open_link(&path, found.inode) {
            Ok(opened) => {
                file = Some(opened);
                break;
            }
            Err(error) => refused = error,
        }
    }
    let file = file.ok_or(refused)?;
    let inside = move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(look(namespace))
    };
    let thread = thread::Builder::new().spawn(inside)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that entered it panicked")))
}

/// Opens the link of the namespace with this number. The process may have ended and its number been reused.
fn open_link(path: &Path, inode: Option<u64>) -> io::Result<File> {
    let file = File::open(path)?;
    match inode {
        Some(inode) if file.metadata()?.ino() != inode => Err(io::Error::other("its process has ended")),
        _ => Ok(file),
    }
}

/// Looks at the calling thread's namespace.
fn look(mut namespace: Namespace) -> Namespace {
    // Since 3.17; `self` is the process, whose namespace is that of its first thread.
    let net = Path::new("/proc/thread-self/net");
    namespace.counters = counters(net, &mut namespace.unseen);
    for name in SETTINGS {
        let path = PathBuf::from("/proc/sys").join(name.replace('.', "/"));
        // A missing setting is global to the first namespace, or this kernel does not have it.
        if let Ok((text, _)) = read_text(&path, 4096) {
            let value: Vec<&str> = text.split_ascii_whitespace().collect();
            namespace.settings.insert(name.to_owned(), value.join(" "));
        }
    }
    match diag::connections() {
        Ok(sockets) => namespace.sockets = Some(sockets),
        Err(error) => {
            namespace
                .unseen
                .push(format!("the sockets' memory: sock_diag: {error} (the modules are inet_diag, tcp_diag)"));
            namespace.sockets = proc_sockets(net, &mut namespace.unseen);
        }
    }
    namespace
}

fn look_from_outside(namespace: &mut Namespace, net: &Path) {
    namespace.counters = counters(net, &mut namespace.unseen);
    namespace.sockets = proc_sockets(net, &mut namespace.unseen);
}

fn counters(net: &Path, unseen: &mut Vec<String>) -> Option<TcpExtCounters> {
    let path = net.join("netstat");
    let read = read_text(&path, MAX_NETSTAT).map(|(text, _)| counters::from_proc(&text));
    let why = match read {
        Ok(Some(counters)) => return Some(counters),
        Ok(None) => "no TcpExt table in it".to_owned(),
        Err(error) => error.to_string(),
    };
    unseen.push(format!("counters: {}: {why}", path.display()));
    None
}

fn proc_sockets(net: &Path, unseen: &mut Vec<String>) -> Option<Sockets> {
    let mut sockets = Sockets::new(SocketSource::Proc);
    let (mut strange, mut is_cut) = (0, false);
    let files = [("tcp", true), ("tcp6", false)];
    for (file, required) in files {
        match read_text(&net.join(file), MAX_TCP) {
            Ok((text, cut)) => {
                strange += proc_tcp::take(&text, &mut sockets);
                is_cut |= cut;
                if cut {
                    unseen.push(format!("connections beyond the first {} MiB of {file}", MAX_TCP >> 20));
                }
            }
            // A kernel without IPv6 has no second file.
            Err(_) if !required => {}
            Err(error) => {
                unseen.push(format!("connections: {}: {error}", net.join(file).display()));
                return None;
            }
        }
    }
    if strange > 0 {
        unseen.push(format!("{strange} broken lines of tcp and tcp6"));
    }
    let part = (strange > 0 || is_cut).then_some("not all lines of /proc/net/tcp and tcp6 were read");
    sockets.finish(part);
    Some(sockets)
}

/// Names the processes of the waiting connections, with the permissions of this process.
fn name_holders(namespace: &mut Namespace, pids: &[u32]) {
    let Some(sockets) = &mut namespace.sockets else { return };
    let wanted: Vec<u64> = sockets.waiting.iter().filter_map(|w| w.socket.inode).collect();
    if wanted.is_empty() {
        return;
    }
    let holders = namespaces::holders(pids, &wanted);
    for waiting in &mut sockets.waiting {
        let holder = waiting.socket.inode.and_then(|inode| holders.get(&inode));
        waiting.socket.process = holder.map(|pid| namespaces::process(*pid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_reading_has_release_and_counters() {
        let reading = read();
        assert!(!reading.is_empty());
        assert!(reading.host.release.is_some_and(|release| release.starts_with(|c: char| c.is_ascii_digit())));
        let own = own_inode();
        let namespace = reading.namespaces.iter().find(|n| n.inode == own).expect("the test's own");
        assert!(namespace.counters.is_some() && namespace.sockets.is_some(), "{namespace:?}");
    }
}
