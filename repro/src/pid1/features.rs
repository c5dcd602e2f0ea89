//! Finds out what this kernel can do, by trying.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use crate::registry;
use crate::sut::socket::{Listener, has_meminfo, has_tcp_info};
use crate::sut::{counters, sysctl};
use crate::wire::namespace;
use crate::wire::tun::Tun;
use backproof_protocol::Job;

/// The counters that reproducers read.
const COUNTERS: [&str; 2] = ["TCPWqueueTooBig", "SyncookiesSent"];

/// Optional features by name.
#[derive(Clone, Debug)]
pub struct Features(BTreeMap<String, bool>);

impl Features {
    /// Tries everything, in a temporary network namespace if the kernel has them. `sysctls` are those that a job may
    /// set.
    pub fn probe(sysctls: Vec<String>) -> Self {
        let mut found = BTreeMap::new();
        let mut note = |name: &str, there: bool| found.insert(name.to_owned(), there);
        note("syn-cookies", sysctl::exists("net.ipv4.tcp_syncookies"));
        note("ipv6", Path::new("/proc/net/if_inet6").exists());
        for counter in COUNTERS {
            note(&format!("netstat-counter {counter}"), counters::tcp_ext(counter).is_some());
        }
        // unshare(2) moves only the calling thread. If no thread can start, the kernel has no features.
        let inside = thread::Builder::new().spawn(move || probe_inside(&sysctls)).map(thread::JoinHandle::join);
        found.extend(inside.ok().and_then(Result::ok).unwrap_or_default());
        Self(found)
    }

    /// All features, and whether the kernel has them.
    pub fn all(&self) -> &BTreeMap<String, bool> {
        &self.0
    }

    /// Whether the feature is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or(false)
    }

    /// Whether this sysctl is known to be per network namespace.
    pub fn per_namespace(&self, sysctl: &str) -> bool {
        self.has("net-ns") && self.has(&per_namespace_name(sysctl))
    }

    /// Only these features.
    #[cfg(test)]
    pub fn of(features: &[(&str, bool)]) -> Self {
        Self(features.iter().map(|(name, there)| ((*name).to_owned(), *there)).collect())
    }
}

/// The sysctls that these jobs or the reproducers may set.
pub fn sysctls_of(jobs: &[Job]) -> Vec<String> {
    let set = registry::ALL.iter().flat_map(|r| r.sets).map(|name| (*name).to_owned());
    set.chain(jobs.iter().flat_map(|job| job.sysctls.keys().cloned())).collect()
}

fn per_namespace_name(sysctl: &str) -> String {
    format!("net-ns-sysctl {sysctl}")
}

fn probe_inside(sysctls: &[String]) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    let mut note = |name: &str, there: bool| found.insert(name.to_owned(), there);
    let entered = namespace::enter_new();
    note("net-ns", entered.is_ok());
    if entered.is_ok() {
        for sysctl in sysctls.iter().filter(|name| name.starts_with("net.")) {
            // Some sysctls exist in every namespace but are writable only in the first.
            let writable = sysctl::read(sysctl).and_then(|value| sysctl::write(sysctl, &value)).is_ok();
            note(&per_namespace_name(sysctl), writable);
        }
    }
    note("tun", Tun::new().is_ok());
    let listener = Listener::new(([127, 0, 0, 1], 0).into(), None);
    note("so-meminfo", listener.as_ref().is_ok_and(has_meminfo));
    note("tcp-info", listener.as_ref().is_ok_and(has_tcp_info));
    found
}
