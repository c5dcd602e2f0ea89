//! Recognises splats: which console line begins one, and its kind.
//!
//! The texts are those that Linux 3.10 to 7.x print on x86 (`arch/x86/kernel/{dumpstack,traps,nmi}.c`,
//! `arch/x86/mm/fault.c`, `kernel/{panic,hung_task,watchdog}.c`, `kernel/rcu/`, `mm/oom_kill.c`, `lib/ubsan.c`,
//! `kernel/locking/lockdep.c`, `mm/{slub,slab}.c`, `init/main.c`, `arch/x86/boot/`). A new one comes with a sample in
//! `tests/console/`.

use std::fmt;

/// The kind of distress that the kernel reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SplatKind {
    /// `Kernel panic - not syncing`, unless one of the reasons below applies.
    Panic,
    /// An exception in kernel mode, or `kernel BUG at`.
    Oops,
    /// `WARNING:` with a stack.
    Warning,
    /// A processor did not schedule for long.
    SoftLockup,
    /// A processor did not even take interrupts.
    HardLockup,
    /// RCU's grace period does not end.
    RcuStall,
    /// A task does not wake up.
    HungTask,
    /// The guest's memory is used up.
    OutOfMemory,
    /// KASAN, KFENCE, KCSAN, KMSAN, UBSAN, lockdep or a debugging check.
    Sanitizer,
    /// There is no PID 1 to run.
    NoInit,
    /// PID 1 ended.
    InitDied,
    /// No root file system, which means that the initramfs was not taken.
    NoRoot,
    /// The decompressor gave up before there was a kernel.
    Decompressor,
    /// The kernel needs a processor that QEMU does not give it.
    Processor,
}

impl SplatKind {
    /// Whether it only reports that something took too long, which a host that pauses its guest causes too.
    pub fn is_of_time(self) -> bool {
        matches!(self, Self::SoftLockup | Self::HardLockup | Self::RcuStall | Self::HungTask)
    }

    /// Its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Oops => "oops",
            Self::Warning => "warning",
            Self::SoftLockup => "soft lockup",
            Self::HardLockup => "hard lockup",
            Self::RcuStall => "RCU stall",
            Self::HungTask => "hung task",
            Self::OutOfMemory => "out of memory",
            Self::Sanitizer => "sanitizer report",
            Self::NoInit => "no init",
            Self::InitDied => "init died",
            Self::NoRoot => "no root file system",
            Self::Decompressor => "decompressor error",
            Self::Processor => "unsuitable processor",
        }
    }
}

impl fmt::Display for SplatKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A line without what printk puts before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Printk<'a> {
    /// Seconds since the kernel's clock started.
    pub(crate) seconds: Option<f64>,
    /// The message.
    pub(crate) text: &'a str,
}

impl<'a> Printk<'a> {
    /// Takes `<4>`, `[    1.234567]` and `[    T1]` (`CONFIG_PRINTK_CALLER`) off the line.
    pub(crate) fn parse(line: &'a str) -> Self {
        let mut text = line;
        if let Some((level, rest)) = text.strip_prefix('<').and_then(|rest| rest.split_once('>'))
            && level.len() <= 3
            && !level.is_empty()
            && level.bytes().all(|b| b.is_ascii_digit())
        {
            text = rest;
        }
        let Some((stamp, rest)) = bracketed(text) else { return Self { seconds: None, text } };
        let Some(seconds) = seconds(stamp) else { return Self { seconds: None, text } };
        text = rest;
        if let Some((caller, rest)) = bracketed(text)
            && caller.trim_start().strip_prefix(['T', 'C']).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        {
            text = rest;
        }
        Self { seconds: Some(seconds), text: text.strip_prefix(' ').unwrap_or(text) }
    }
}

/// `[inside]rest`.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('[')?.split_once(']')
}

fn seconds(stamp: &str) -> Option<f64> {
    let stamp = stamp.trim_start();
    let plain = stamp.contains('.') && stamp.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { stamp.parse().ok() } else { None }
}

/// The position of a text in a message.
#[derive(Debug)]
enum At {
    Start(&'static str),
    Anywhere(&'static str),
    /// The first at the start, the second anywhere after it.
    Both(&'static str, &'static str),
}

impl At {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Start(start) => text.starts_with(start),
            Self::Anywhere(part) => text.contains(part),
            Self::Both(start, part) => text.strip_prefix(start).is_some_and(|rest| rest.contains(part)),
        }
    }
}

use At::{Anywhere, Both, Start};

/// The first row that matches decides, so that the special stands before the general.
const TABLE: &[(At, SplatKind)] = &[
    // Panics that have a reason of their own (init/main.c, kernel/exit.c, mm/oom_kill.c, init/do_mounts.c).
    (Both("Kernel panic - not syncing:", "No working init found"), SplatKind::NoInit),
    (Both("Kernel panic - not syncing:", "No init found"), SplatKind::NoInit),
    (Both("Kernel panic - not syncing:", "Requested init"), SplatKind::NoInit),
    (Both("Kernel panic - not syncing:", "Attempted to kill init!"), SplatKind::InitDied),
    (Both("Kernel panic - not syncing:", "Unable to mount root fs"), SplatKind::NoRoot),
    (Both("Kernel panic - not syncing:", "eadlocked on memory"), SplatKind::OutOfMemory),
    (Both("Kernel panic - not syncing:", "ut of memory"), SplatKind::OutOfMemory),
    (Both("Kernel panic - not syncing:", "hung_task:"), SplatKind::HungTask),
    (Both("Kernel panic - not syncing:", "softlockup:"), SplatKind::SoftLockup),
    (Both("Kernel panic - not syncing:", "ard LOCKUP"), SplatKind::HardLockup),
    (Both("Kernel panic - not syncing:", "RCU Stall"), SplatKind::RcuStall),
    (Start("Kernel panic - not syncing"), SplatKind::Panic),
    // Watchdogs; the prefix came with 4.x.
    (Start("BUG: soft lockup"), SplatKind::SoftLockup),
    (Start("watchdog: BUG: soft lockup"), SplatKind::SoftLockup),
    (Start("NMI watchdog: BUG: soft lockup"), SplatKind::SoftLockup),
    (Anywhere("Watchdog detected hard LOCKUP"), SplatKind::HardLockup),
    (Both("rcu: INFO: rcu", "stall"), SplatKind::RcuStall),
    (Both("INFO: rcu_", "stall"), SplatKind::RcuStall),
    (Both("INFO: task ", " blocked for more than "), SplatKind::HungTask),
    (Both("INFO: task ", " blocked in I/O wait for more than "), SplatKind::HungTask),
    // A cgroup's own limit ("Memory cgroup out of memory") is somebody's setting, not distress.
    (Start("Out of memory while allocating "), SplatKind::Decompressor),
    (Start("Out of memory"), SplatKind::OutOfMemory),
    // Sanitizers and debugging checks.
    (Start("BUG: KASAN:"), SplatKind::Sanitizer),
    (Start("BUG: KFENCE:"), SplatKind::Sanitizer),
    (Start("BUG: KCSAN:"), SplatKind::Sanitizer),
    (Start("BUG: KMSAN:"), SplatKind::Sanitizer),
    (Start("UBSAN:"), SplatKind::Sanitizer),
    (Start("BUG: sleeping function called from invalid context"), SplatKind::Sanitizer),
    (Start("BUG: scheduling while atomic"), SplatKind::Sanitizer),
    (Start("BUG: spinlock "), SplatKind::Sanitizer),
    (Start("BUG: workqueue lockup"), SplatKind::Sanitizer),
    (Start("WARNING: possible "), SplatKind::Sanitizer),
    (Start("WARNING: inconsistent lock state"), SplatKind::Sanitizer),
    (Start("WARNING: bad unlock balance detected"), SplatKind::Sanitizer),
    (Start("WARNING: suspicious RCU usage"), SplatKind::Sanitizer),
    (Start("WARNING: lock held when returning to user space"), SplatKind::Sanitizer),
    (Start("[ INFO: possible "), SplatKind::Sanitizer),
    (Start("[ INFO: inconsistent lock state"), SplatKind::Sanitizer),
    (Start("[ INFO: suspicious RCU usage"), SplatKind::Sanitizer),
    (Start("[ BUG: bad unlock balance detected"), SplatKind::Sanitizer),
    (Start("[ BUG: held lock freed!"), SplatKind::Sanitizer),
    (Start("WARNING: held lock freed!"), SplatKind::Sanitizer),
    (Start("WARNING: Nested lock was not taken"), SplatKind::Sanitizer),
    (Start("WARNING: chain cache collision"), SplatKind::Sanitizer),
    (Start("INFO: trying to register non-static key"), SplatKind::Sanitizer),
    // SLUB's own reports have no colon after BUG (`slab_bug` of mm/slub.c); SLAB's have other words (mm/slab.c).
    (Both("BUG ", "ainted"), SplatKind::Sanitizer),
    (Both("slab error in ", "cache "), SplatKind::Sanitizer),
    (Start("Slab corruption"), SplatKind::Sanitizer),
    // Exceptions in kernel mode. Those of programs begin with `traps:`.
    (Start("BUG: "), SplatKind::Oops),
    (Start("kernel BUG at "), SplatKind::Oops),
    (Start("Oops: "), SplatKind::Oops),
    (Start("general protection fault"), SplatKind::Oops),
    (Both("invalid opcode: ", "[#"), SplatKind::Oops),
    (Both("double fault: ", "[#"), SplatKind::Oops),
    (Both("stack segment: ", "[#"), SplatKind::Oops),
    (Both("divide error: ", "[#"), SplatKind::Oops),
    (Both("int3: ", "[#"), SplatKind::Oops),
    (Both("alignment check: ", "[#"), SplatKind::Oops),
    (Start("PANIC: double fault"), SplatKind::Oops),
    (Start("PANIC: early exception"), SplatKind::Oops),
    (Start("kernel stack overflow"), SplatKind::Oops),
    (Start("kernel tried to execute NX-protected page"), SplatKind::Oops),
    // WARN(): `WARNING: CPU: 0 PID: 1 at file:line` from 3.11 on, `WARNING: at file:line` before, and
    // `WARNING: file:line at function, CPU#0` in the newest.
    (Start("WARNING: CPU: "), SplatKind::Warning),
    (Start("WARNING: at "), SplatKind::Warning),
    (Both("WARNING: ", ", CPU#"), SplatKind::Warning),
    // Before there is a kernel (arch/x86/boot/).
    (Start("This kernel requires "), SplatKind::Processor),
    (Start("Unable to boot - please use a kernel appropriate for your CPU"), SplatKind::Processor),
    (Anywhere("-- System halted"), SplatKind::Decompressor),
];

/// The kind of splat that begins with this message.
pub(crate) fn kind_of(text: &str) -> Option<SplatKind> {
    TABLE.iter().find(|(at, _)| at.matches(text)).map(|&(_, kind)| kind)
}

/// The rows that none of these messages is decided by.
#[cfg(test)]
pub(crate) fn rows_without(texts: &[String]) -> Vec<String> {
    let decided = |row: usize| texts.iter().any(|t| TABLE.iter().position(|(at, _)| at.matches(t)) == Some(row));
    (0..TABLE.len()).filter(|&row| !decided(row)).map(|row| format!("{:?}", TABLE[row].0)).collect()
}

/// Whether this message ends a dump.
pub(crate) fn ends_dump(text: &str) -> bool {
    text.starts_with("---[ end ") || text.starts_with("Rebooting in ") || text.contains("-- System halted")
}

/// Whether this message is the line that the kernel puts before a splat.
pub(crate) fn opens_dump(text: &str) -> bool {
    text.starts_with("------------[ cut here ]") || text.contains(" invoked oom-killer: ")
}

/// The message as a title: without addresses, offsets, processor and process numbers, so that one bug has one
/// title in every boot.
pub(crate) fn title(text: &str) -> String {
    let text = text.strip_prefix("Kernel panic - not syncing: ").unwrap_or(text);
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        match word {
            // The rest is specific to this boot: times, states, sizes, scores.
            "-" | "IP" | "score" | "(stack" => break,
            _ if word.starts_with("total-vm:") || word.starts_with("start=") => break,
            _ if word.starts_with("[#") => {
                words.pop_if(|code| code.len() == 4 && code.bytes().all(|b| b.is_ascii_hexdigit()));
                break;
            }
            _ if word.starts_with("CPU#") || is_process(word) => {}
            _ if word.bytes().all(|b| b.is_ascii_digit())
                && words.pop_if(|w| matches!(*w, "CPU:" | "PID:")).is_some() => {}
            _ if word.bytes().all(|b| b.is_ascii_digit()) && words.last() == Some(&"process") => {}
            _ if words.last() == Some(&"task") => words.push(word.rsplit_once(':').map_or(word, |(name, _)| name)),
            _ if is_address(word) => {
                // "at 0000000000000010", "address: 0000000000000010": the word before goes with it.
                while words.pop_if(|w| matches!(*w, "at" | "address" | "address:" | "for")).is_some() {}
            }
            _ => words.push(without_offset(word)),
        }
    }
    while words.pop_if(|w| *w == "on").is_some() {}
    let title: String = words.join(" ").chars().take(160).collect();
    title.trim_end_matches([',', ':', ' ']).to_owned()
}

/// The function in which an exception happened, from its `RIP:` (`IP:` before 4.x) line.
pub(crate) fn function_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("RIP: ").or_else(|| text.strip_prefix("IP: "))?;
    // `0010:f+0x1/0x2`, `0010:[<addr>]  [<addr>] f+0x1/0x2`, `[<addr>] f+0x1/0x2`.
    let word = rest.split_whitespace().rfind(|w| w.contains("+0x")).map(|w| w.trim_start_matches("0010:"))?;
    let name = without_offset(word);
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b));
    named.then_some(name)
}

/// `agent/71`, `agent/71/0x00000002`, `[agent:71]`.
fn is_process(word: &str) -> bool {
    let number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    let name = word.rsplit_once("/0x").map_or(word, |(name, _)| name);
    name.rsplit_once('/').is_some_and(|(_, pid)| number(pid))
        || word
            .strip_prefix('[')
            .and_then(|w| w.strip_suffix(']')?.rsplit_once(':'))
            .is_some_and(|(_, pid)| number(pid))
}

fn is_address(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let hex = word.strip_prefix("0x").unwrap_or(word);
    let digits = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    digits && hex.len() >= 8
}

/// `tcp_sendmsg+0x1a/0x40` as `tcp_sendmsg`.
fn without_offset(word: &str) -> &str {
    word.split_once("+0x").map_or(word, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printk_s_prefixes_come_off_and_other_brackets_stay() {
        let cases = [
            ("[    1.234567] Run /init", Some(1.234567), "Run /init"),
            ("[    1.234567][    T1] Run /init", Some(1.234567), "Run /init"),
            ("<4>[   12.000001][   C0] x", Some(12.000001), "x"),
            ("[<ffffffff8100>] ? f+0x1/0x2", None, "[<ffffffff8100>] ? f+0x1/0x2"),
            ("[ INFO: possible recursive locking detected ]", None, "[ INFO: possible recursive locking detected ]"),
            ("plain", None, "plain"),
            ("[    0.1]", Some(0.1), ""),
        ];
        for (line, seconds, text) in cases {
            assert_eq!(Printk::parse(line), Printk { seconds, text }, "{line}");
        }
    }

    #[test]
    fn splat_titles_omit_what_changes_between_boots() {
        let cases = [
            ("BUG: kernel NULL pointer dereference, address: 0000000000000010", "BUG: kernel NULL pointer dereference"),
            ("BUG: unable to handle page fault for address: ffffc90000000000", "BUG: unable to handle page fault"),
            (
                "BUG: unable to handle kernel NULL pointer dereference at 0000000000000010",
                "BUG: unable to handle kernel NULL pointer dereference",
            ),
            (
                "WARNING: CPU: 0 PID: 1 at net/ipv4/tcp_output.c:1306 tcp_fragment+0x1a/0x40",
                "WARNING: at net/ipv4/tcp_output.c:1306 tcp_fragment",
            ),
            ("kernel BUG at net/core/skbuff.c:100!", "kernel BUG at net/core/skbuff.c:100!"),
            ("Kernel panic - not syncing: sysrq triggered crash", "sysrq triggered crash"),
            (
                "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300",
                "Attempted to kill init! exitcode=0x00000300",
            ),
            ("general protection fault: 0000 [#1] SMP", "general protection fault"),
            ("watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [agent:71]", "watchdog: BUG: soft lockup"),
            (
                "INFO: task agent:71 blocked for more than 120 seconds.",
                "INFO: task agent blocked for more than 120 seconds.",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(title(text), want, "{text}");
        }
    }

    #[test]
    fn function_is_found_in_every_form_of_the_rip_line() {
        let cases = [
            ("RIP: 0010:sysrq_handle_crash+0x16/0x20", Some("sysrq_handle_crash")),
            ("RIP: 0010:[<ffffffff813c>]  [<ffffffff813c>] sysrq_handle_crash+0x16/0x20", Some("sysrq_handle_crash")),
            ("IP: [<ffffffff813c>] sysrq_handle_crash+0x16/0x20", Some("sysrq_handle_crash")),
            ("RIP: 0033:0x7f1234", None),
            ("Code: 00 01", None),
        ];
        for (text, want) in cases {
            assert_eq!(function_of(text), want, "{text}");
        }
    }

    #[test]
    fn a_program_s_fault_is_not_the_kernel_s() {
        for text in [
            "traps: init[1] general protection fault ip:401000 sp:7ffe error:0",
            "traps: a.out[70] trap invalid opcode ip:401000 sp:7ffe error:0 in a.out[401000+1000]",
            "init[1]: segfault at 0 ip 0000000000401000 sp 00007ffe error 4 in init",
            // It only suspects them, and often wrongly.
            "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            "Memory cgroup out of memory: Killed process 7 (a)",
            "WARNING! power/level is deprecated; use power/control instead",
            "Debug: BUG: in the middle",
        ] {
            assert_eq!(kind_of(text), None, "{text}");
        }
    }
}
