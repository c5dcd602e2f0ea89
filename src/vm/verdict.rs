//! Decides how a boot ended, from everything that was observed.

use std::os::unix::process::ExitStatusExt;

use super::accel::Accel;
use super::console::{Monitor, Stage};
use super::failure::FailureKind;
use super::host_watch::Freeze;
use super::machine::MachineExit;

/// Everything that was observed.
pub(crate) struct Evidence<'a> {
    pub(crate) accel: Accel,
    pub(crate) stage: Stage,
    pub(crate) console: &'a Monitor,
    /// The agent has ended as it should.
    pub(crate) ended: bool,
    /// The failure for which the watch ended the machine.
    pub(crate) ending: Option<(FailureKind, String)>,
    /// The evidence that the running kernel is not the image's, if any.
    pub(crate) impostor: Option<String>,
    /// A freeze of the guest by the host, at any time.
    pub(crate) frozen: Option<&'a Freeze>,
    /// The same, since the agent spoke.
    pub(crate) frozen_since_hello: Option<&'a Freeze>,
    /// QEMU's word for why the guest ended.
    pub(crate) shutdown: Option<&'a str>,
    pub(crate) exit: &'a MachineExit,
}

/// The parts of a failure: kind, title, excerpt.
pub(crate) type Conclusion = (FailureKind, String, Vec<String>);

/// QEMU's messages about an image that it rejects (`hw/i386/x86.c`, `hw/core/loader.c`). QEMU considers a file without a
/// bzImage's header a kernel before 2.00, which cannot have an initramfs.
const NOT_A_KERNEL: &[&str] = &[
    "linux kernel too old to load a ram disk",
    "Error loading uncompressed kernel without PVH ELF Note",
    "could not open kernel file",
    "could not load kernel",
    "invalid kernel header",
    "kernel header",
    "Cannot load x86-64 image, give a 32bit one",
    "initrd is too large",
];

/// Signals that end a program from outside: from a person, a service manager, or the kernel if memory or a resource
/// limit is used up (signal(7)).
const FROM_OUTSIDE: &[(i32, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (9, "SIGKILL; if memory ran out, the host's dmesg says so"),
    (15, "SIGTERM"),
    (24, "SIGXCPU: the limit of processor time"),
    (25, "SIGXFSZ: the limit of a file's size"),
];

/// Why the boot failed; none if the guest finished as it should.
pub(crate) fn conclude(seen: &Evidence<'_>) -> Option<Conclusion> {
    if let Some((FailureKind::Accelerator, title)) = &seen.ending {
        return Some((FailureKind::Accelerator, title.clone(), seen.exit.stderr.clone()));
    }
    if let Some(splat) = seen.console.hit() {
        // A watchdog of the kernel complains about time that the host took away.
        if let (Some(freeze), true) = (seen.frozen, splat.kind.is_of_time()) {
            return Some(by_host(freeze, &format!("; the kernel said: {}", splat.title), splat.excerpt));
        }
        return Some((FailureKind::Splat(splat.kind), splat.title, splat.excerpt));
    }
    if let (Some(freeze), Some((FailureKind::Hang { .. }, title))) = (seen.frozen, &seen.ending) {
        return Some(by_host(freeze, &format!("; {title}"), seen.console.dump()));
    }
    if let Some((kind, title)) = &seen.ending {
        let excerpt = match kind {
            FailureKind::Hang { .. } => seen.console.dump(),
            _ => seen.exit.stderr.clone(),
        };
        return Some((kind.clone(), title.clone(), excerpt));
    }
    // A QEMU that was slow to leave has nothing more to say: the guest's restart was the last of it.
    let only_slow = seen.ended && seen.exit.killed && seen.shutdown.is_some_and(is_guest_s);
    if !only_slow && let Some(broken) = qemu_broke(seen).or_else(|| host_ended(seen)) {
        return Some(broken);
    }
    match &seen.impostor {
        Some(why) => Some((FailureKind::Impostor, why.clone(), Vec::new())),
        // All reports came, and none of them is proof.
        None if seen.ended => seen.frozen_since_hello.map(|freeze| by_host(freeze, "", Vec::new())),
        None => Some(guest_ended(seen)),
    }
}

/// Whether a SHUTDOWN event's reason is the guest's own doing (QEMU's qapi/run-state.json, `ShutdownCause`).
pub(super) fn is_guest_s(reason: &str) -> bool {
    reason.starts_with("guest-") || reason == "subsystem-reset"
}

/// QEMU ended without an error, and not because of the guest.
fn host_ended(seen: &Evidence<'_>) -> Option<Conclusion> {
    let (kind, title) = match seen.shutdown {
        Some(reason) if is_guest_s(reason) => return None,
        Some("host-error") => {
            let kind = if seen.accel == Accel::Kvm { FailureKind::Accelerator } else { FailureKind::Qemu };
            (kind, "QEMU ended the guest (host-error)".to_owned())
        }
        Some("host-signal") => {
            let title = "something on the host ended QEMU with a signal (host-signal): run it again".to_owned();
            (FailureKind::Host, title)
        }
        Some(reason) => (FailureKind::Host, format!("the host ended QEMU ({reason}): run it again")),
        // Its last words on the console are the guest's own, and so is an end that the agent announced.
        None if seen.ended || seen.console.announced_restart() => return None,
        None => (FailureKind::Qemu, "QEMU exited with status 0 and gave no reason".to_owned()),
    };
    Some((kind, title, seen.exit.stderr.clone()))
}

/// The host kept the guest from running.
fn by_host(freeze: &Freeze, more: &str, excerpt: Vec<String>) -> Conclusion {
    let title = format!("{freeze}, so the guest's timings prove nothing: run it again{more}");
    (FailureKind::Host, title, excerpt)
}

/// QEMU ended for a reason of its own.
fn qemu_broke(seen: &Evidence<'_>) -> Option<Conclusion> {
    let stderr = &seen.exit.stderr;
    if seen.exit.killed {
        let title = "QEMU closed its connections and did not exit; backproof killed it".to_owned();
        return Some((FailureKind::Qemu, title, stderr.clone()));
    }
    let from_outside = seen.exit.status.and_then(|status| status.signal());
    let from_outside = FROM_OUTSIDE.iter().find(|(signal, _)| Some(*signal) == from_outside);
    if let Some((signal, name)) = from_outside {
        let title = format!("something on the host ended QEMU with signal {signal} ({name})");
        return Some((FailureKind::Host, title, stderr.clone()));
    }
    let how = match seen.exit.status {
        Some(status) if status.success() => return None,
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("QEMU exited with status {code}"),
            (None, Some(signal)) => format!("QEMU was ended by signal {signal}"),
            (None, None) => "QEMU ended in an unknown way".to_owned(),
        },
        None => "QEMU's exit status is unknown".to_owned(),
    };
    let said = |text: &&String| NOT_A_KERNEL.iter().any(|known| text.contains(known));
    if seen.stage == Stage::Started
        && let Some(line) = stderr.iter().find(said)
    {
        return Some((
            FailureKind::NotBootable,
            format!("QEMU rejects the image: {}", own_words(line)),
            stderr.clone(),
        ));
    }
    let title = match stderr.iter().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{how}: {}", own_words(line)),
        None => how,
    };
    // A guest cannot make QEMU abort under TCG for lack of an accelerator, and KVM's failures look just like this.
    let kind = match seen.accel {
        Accel::Kvm => FailureKind::Accelerator,
        Accel::Tcg => FailureKind::Qemu,
    };
    Some((kind, title, stderr.clone()))
}

/// The guest ended, and the agent had not.
fn guest_ended(seen: &Evidence<'_>) -> Conclusion {
    let reason = seen.shutdown.unwrap_or("no reason given");
    if seen.stage == Stage::Started {
        let title = format!("the machine ended ({reason}) before the image printed anything");
        return (FailureKind::NotBootable, title, Vec::new());
    }
    if seen.stage == Stage::Loading {
        let title =
            format!("the machine ended ({reason}) before the kernel started: a damaged image, or too little memory");
        return (FailureKind::NotBootable, title, Vec::new());
    }
    if seen.console.announced_restart() || seen.shutdown == Some("guest-shutdown") {
        let title = format!("the guest ended ({reason}) before the agent's end");
        return (FailureKind::Lost, title, Vec::new());
    }
    let title = format!("the machine ended ({reason}) without a kernel message, as after a triple fault");
    (FailureKind::Reset, title, Vec::new())
}

/// QEMU's message without the program's name.
fn own_words(line: &str) -> &str {
    let line = line.trim();
    match line.split_once(": ") {
        Some((program, rest)) if program.contains("qemu") && !program.contains(' ') => rest,
        _ => line,
    }
}
