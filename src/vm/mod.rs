//! Boots a guest in QEMU and watches it: nothing but this room knows QEMU.
//!
//! A run makes one [`Qemu`] and one [`Accelerator`]. For each boot it takes a [`Turn`], describes the guest in a
//! [`GuestSpec`], calls [`boot`], and gives the [`Boot`] to [`Turn::finish`], which may ask for another boot where
//! KVM could not run the guest.
//!
//! The first idea: a boot has five voices (the kernel's console, the agent's port, QMP, QEMU's standard error and
//! its exit), and one loop hears them all and decides. The second: that loop does not know QEMU. It watches a
//! `Machine`, which in tests is a script.

mod accel;
mod agent;
mod boot;
mod command;
mod console;
mod deadlines;
mod failure;
#[cfg(test)]
mod fake;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host_watch;
mod lines;
mod machine;
mod probe;
mod process;
mod qemu;
mod qmp;
mod script;
mod splat;
mod verdict;
mod watch;

pub use accel::{Accel, AccelChoice, Accelerator, Next, Turn};
pub(crate) use agent::Conversation;
pub use agent::{JobState, ProtocolFault};
pub use boot::{Boot, Finished, GuestSpec, Observed};
pub use command::{CommandLine, SpecError};
pub use console::{Splat, Stage};
pub use deadlines::{Deadlines, HostLoad};
pub use failure::{Failure, FailureKind, Waiting};
pub(crate) use host_watch::HostWatch;
pub use host_watch::{Freeze, FreezeCause, HostRecord};
pub use machine::QmpLine;
pub use probe::probe_kvm;
pub use qemu::{OLDEST, Qemu, QemuError, QemuVersion};
pub use splat::SplatKind;

use crate::shim::Shim;

/// Boots the guest and watches it to its end. Every way to fail is in [`Boot::end`].
///
/// Call it on a thread that outlives the boot, in a current-thread runtime on the main thread best: QEMU gets its
/// parent-death signal when the *thread* that started it ends. Dropping the future kills QEMU and reaps it.
pub async fn boot(
    qemu: &Qemu,
    shim: &Shim,
    spec: &GuestSpec,
    deadlines: &Deadlines,
    observe: &mut (dyn FnMut(Observed<'_>) + Send),
) -> Boot {
    let command = match CommandLine::new(qemu.program(), spec) {
        Ok(command) => command,
        Err(error) => return not_started(spec, error.to_string()),
    };
    observe(Observed::Command(&command));
    match process::QemuProcess::start(shim, &command, &spec.initramfs) {
        Ok(mut machine) => watch::watch(&mut machine, spec, deadlines, observe).await,
        Err(error) => not_started(spec, format!("{} could not be started: {error}", command.program().display())),
    }
}

/// A boot that never was.
fn not_started(spec: &GuestSpec, title: String) -> Boot {
    let failure =
        Failure { kind: FailureKind::Host, title, stage: Stage::Started, excerpt: Vec::new(), last_lines: Vec::new() };
    Boot {
        accel: spec.accel,
        stage: Stage::Started,
        banner: None,
        messages: Vec::new(),
        running: Vec::new(),
        end: Err(failure),
        warnings: Vec::new(),
        wall: std::time::Duration::ZERO,
        cpu: None,
        host: HostRecord::default(),
    }
}
