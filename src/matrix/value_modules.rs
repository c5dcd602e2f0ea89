//! Sysctls whose values name modules. A host's kernel loads them by modprobe(8) when the value is written; a guest has
//! none, so its modules must be loaded before.

use std::collections::BTreeSet;

use super::Profile;

/// The longest name of a module (`MODULE_NAME_LEN` of include/linux/moduleparam.h, less its end).
const NAME_MAX: usize = 55;

/// A congestion control that is a part of TCP itself, and no module.
const RENO: &str = "reno";

/// The modules that a kernel may need for this value of a sysctl. It needs none that are built in, and some values are
/// parts of the kernel itself (`pfifo_fast`).
pub fn value_modules(name: &str, value: &str) -> Vec<String> {
    let words = || value.split_whitespace();
    let named: Vec<String> = match name {
        // qdisc_set_default() of net/sched/sch_api.c.
        "net.core.default_qdisc" => words().take(1).map(|qdisc| format!("sch_{qdisc}")).collect(),
        // tcp_set_default_congestion_control() and tcp_set_allowed_congestion_control() of net/ipv4/tcp_cong.c. Only the
        // first loads modules; the second expects them to be there.
        "net.ipv4.tcp_congestion_control" | "net.ipv4.tcp_allowed_congestion_control" => {
            words().filter(|word| *word != RENO).map(|control| format!("tcp_{control}")).collect()
        }
        // nf_log_proc_dostring() of net/netfilter/nf_log.c. Since Linux 5.13, one module has all loggers of the kernel's log.
        _ if name.starts_with("net.netfilter.nf_log.") && value != "NONE" => {
            let syslog = value.starts_with("nf_log_").then(|| "nf_log_syslog".to_owned());
            words().take(1).map(str::to_owned).chain(syslog).collect()
        }
        _ => Vec::new(),
    };
    let is_name = |name: &String| {
        name.len() <= NAME_MAX && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    named.into_iter().filter(is_name).collect()
}

impl Profile {
    /// The modules that its sysctls' values name.
    pub fn modules(&self) -> BTreeSet<String> {
        self.sysctls.iter().flat_map(|(name, value)| value_modules(name, value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_name_their_modules() {
        for (name, value, expected) in [
            ("net.core.default_qdisc", "fq", &["sch_fq"][..]),
            ("net.core.default_qdisc", "fq_codel", &["sch_fq_codel"]),
            ("net.ipv4.tcp_congestion_control", "bbr", &["tcp_bbr"]),
            ("net.ipv4.tcp_congestion_control", "reno", &[]),
            ("net.ipv4.tcp_allowed_congestion_control", "reno cubic\tbbr", &["tcp_cubic", "tcp_bbr"]),
            ("net.netfilter.nf_log.2", "nf_log_ipv4", &["nf_log_ipv4", "nf_log_syslog"]),
            ("net.netfilter.nf_log.10", "nfnetlink_log", &["nfnetlink_log"]),
            ("net.netfilter.nf_log.2", "NONE", &[]),
            ("net.core.somaxconn", "4096", &[]),
            ("net.core.default_qdisc", "../fq", &[]),
            ("net.ipv4.tcp_congestion_control", "a-name-that-is-longer-than-any-name-of-a-module-can-be-x", &[]),
        ] {
            assert_eq!(value_modules(name, value), expected, "{name}={value}");
        }
    }
}
