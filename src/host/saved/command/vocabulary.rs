//! Words of headings and prompts: roles that hosts have, and words that name no host.

/// Roles of hosts in a test or a cluster.
#[rustfmt::skip]
const ROLES: &[&str] = &[
    "client", "server", "sender", "receiver", "source", "destination", "sink", "peer", "master", "slave", "primary",
    "secondary", "replica", "standby", "leader", "follower", "router", "gateway", "proxy", "backend", "frontend", "lb",
    "loadbalancer", "balancer", "guest", "hypervisor", "worker", "controller", "broker", "initiator", "target", "dut",
    "host", "machine", "vm", "node", "box", "remote", "local", "laptop", "workstation", "container", "firewall",
    "clients", "servers", "desktop",
];

/// Words that may be a role, but name the same host as no heading does when they stand alone.
const VAGUE: &[&str] = &["host", "machine", "vm", "node", "box", "target", "source"];

/// Words of headings that name no host: programs, outputs, times, and their kinds. A number may follow.
#[rustfmt::skip]
const NEUTRAL: &[&str] = &[
    // Programs and files.
    "ss", "netstat", "nstat", "uname", "sysctl", "dmesg", "journalctl", "journal", "syslog", "messages", "kern", "hostname",
    "hostnamectl", "uptime", "date", "cat", "grep", "ip", "lsof", "tcpdump", "ethtool", "free", "top", "ps", "sar", "lscpu",
    "proc", "sys", "etc", "var", "tmp", "home", "root", "opt", "usr", "log", "logs", "txt", "out", "err", "json", "csv", "md",
    "gz", "xz", "bz", "zst", "tar", "html", "sos_commands", "sos", "commands", "networking", "sosreport", "sosreports",
    "supportconfig", "hosts", "nodes", "servers", "machines", "dump", "dumps", "debug", "diag", "diagnostics", "collect",
    "collected", "capture", "captures", "trace", "traces", "file", "files", "report", "reports", "archive", "export",
    "exporter", "metrics", "metric", "prometheus", "node_exporter", "conf", "config", "configuration", "case", "cases",
    "incident", "ticket", "bug", "issue", "data", "aux", "old", "new", "final", "prom", "scc", "snmp", "sockstat", "osrelease",
    "version", "release", "tcp", "udp", "icmp", "ipv", "inet", "raw", "unix", "tcpext", "ipext", "sctp", "mptcp", "iface",
    "eth", "ens", "eno", "enp", "lo", "wlan", "wlp", "bond", "br", "veth", "tun", "tap", "vlan", "virbr", "cni", "docker",
    "mem", "cpu", "core", "irq", "numa", "disk", "disks", "load", "stat",
    "mysql", "mysqld", "postgres", "redis", "mongod", "nginx", "apache", "httpd", "haproxy", "envoy", "java", "sshd", "kafka",
    // Outputs and their parts.
    "output", "outputs", "input", "result", "results", "command", "cmd", "stdout", "stderr", "exit", "status", "state",
    "states", "summary", "details", "detail", "info", "information", "description", "note", "notes", "nb", "ps", "hint",
    "warning", "error", "errors", "example", "ex", "eg", "ie", "kernel", "linux", "os", "system", "network", "net", "sockets",
    "socket", "connections", "connection", "counters", "counter", "statistics", "stats", "settings", "setting", "sysctls",
    "parameters", "params", "options", "environment", "env", "hardware", "software", "memory", "queue", "queues", "buffers",
    "timers", "timer", "listening", "established", "stuck", "healthy", "affected", "section", "part", "piece", "page", "fig",
    "figure", "table", "list", "item", "line", "entry", "appendix", "attachment", "snippet", "excerpt", "paste", "quote",
    "question", "answer", "update", "edit", "edited", "solution", "problem", "symptom", "symptoms", "reproduce", "steps",
    "expected", "actual", "observed", "background", "context", "question", "thanks", "hello", "hi", "regards", "cheers",
    "interfaces", "interface", "routes", "route", "routing", "processes", "process", "users", "user", "mounts", "modules",
    "packages", "package", "services", "service", "versions", "kernels", "releases", "distro", "distribution", "full",
    "complete", "partial", "short", "long", "raw", "text", "code", "log", "shell", "console", "terminal", "session",
    // Times and turns.
    "before", "after", "during", "while", "now", "then", "later", "earlier", "first", "second", "third", "last", "next",
    "previous", "again", "once", "initially", "finally", "start", "begin", "beginning", "end", "stop", "baseline", "idle",
    "today", "yesterday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "morning", "evening",
    "step", "test", "run", "sample", "day", "hour", "min", "minute", "sec", "time", "week", "take", "try", "attempt", "round",
    "phase", "iteration", "iter", "snapshot", "snap", "reading", "measurement", "interval", "loop", "pass", "t", "v", "q", "a",
    "no", "nr", "num", "n", "rc", "fix", "patch", "patched", "unpatched", "good", "bad", "working", "broken", "one", "two",
    "three", "both", "all", "other", "more", "same", "also", "here", "there", "this", "that", "these", "and", "or", "with",
    "without", "the", "of", "on", "from", "at", "in", "for", "my", "our", "your", "is", "are", "it", "side", "shows", "says",
    "see", "below", "above", "following", "follows", "attached", "yes", "ok", "done", "failed", "success", "true", "false",
    // Cuts.
    "snip", "snipped", "cut", "truncated", "elided", "omitted", "skipped", "redacted", "removed", "shortened", "trimmed",
    "stripped", "etc", "continued", "eof", "bbr",
    // Prompts.
    "venv", "base", "main", "conda", "py", "python", "pyenv", "ruby", "rbenv", "nvm", "git", "dev", "bash", "sh", "zsh", "fish",
    "ksh", "ash", "dash", "busybox", "mininet", "containernet", "nix", "rescue", "initramfs", "localhost", "none",
];

/// Accounts that prompts name.
#[rustfmt::skip]
const USERS: &[&str] = &[
    "root", "admin", "administrator", "user", "ubuntu", "debian", "centos", "fedora", "rocky", "almalinux", "opensuse", "arch",
    "ec2-user", "core", "pi", "vagrant", "oracle", "postgres", "mysql", "www-data", "nginx", "apache", "http", "nobody", "me",
    "you", "ansible", "deploy", "jenkins", "gitlab-runner", "student", "guest", "operator", "app", "service", "kali",
];

/// A word without the number behind it.
fn stem(word: &str) -> String {
    word.trim_end_matches(|c: char| c.is_ascii_digit() || "-_.#".contains(c)).to_lowercase()
}

/// Whether a word is a role of a host.
pub fn is_role(word: &str) -> bool {
    let word = word.to_lowercase();
    ROLES.contains(&word.as_str()) && !VAGUE.contains(&word.as_str())
}

/// Whether a word names no host: `output`, `before`, `step1`, `2024-01-01`.
pub fn is_neutral(word: &str) -> bool {
    let word = stem(word);
    let is_kind = |begin: &str| word.starts_with(begin);
    word.is_empty()
        || NEUTRAL.contains(&word.as_str())
        || !word.starts_with(|c: char| c.is_ascii_alphabetic())
        || is_kind("enp")
        || is_kind("br-")
        || is_kind("python")
        || word.split(['-', '_', '.']).all(|part| part.is_empty() || NEUTRAL.contains(&stem(part).as_str()))
}

/// Whether a word of a prompt is an account.
pub fn is_user(word: &str) -> bool {
    USERS.contains(&stem(word).as_str())
}
