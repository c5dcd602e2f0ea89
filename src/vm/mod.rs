//! Boots a guest in QEMU and watches it. No other room knows QEMU.
//!
//! A run makes one [`Hypervisor`] and one [`Accelerator`]. For each boot it takes a [`Turn`], describes the guest in a
//! [`GuestSpec`], calls [`Hypervisor::boot`], and passes the [`Boot`] to [`Turn::finish`], which may require another boot
//! if KVM could not run the guest.
//!
//! A boot has five sources of information: the kernel's console, the agent's port, QMP, QEMU's standard error and its
//! exit. One loop reads them all and decides. That loop does not know QEMU: it watches a `Machine`, which is a script in
//! tests.

mod accel;
mod agent;
mod boot;
mod command;
mod console;
mod deadlines;
mod disk;
mod failure;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(fuzzing)]
pub mod fuzzing;
mod halt;
mod host_watch;
mod hypervisor;
mod impostor;
mod lines;
mod machine;
mod pace;
mod probe;
mod process;
mod qemu;
mod qemu_identity;
mod qmp;
mod recorded;
mod script;
mod splat;
mod time;
mod transcript;
mod verdict;
mod watch;

pub use accel::{Accel, AccelChoice, Accelerator, Next, Turn};
pub(crate) use agent::Conversation;
pub use agent::{JobState, ProtocolFault};
pub use boot::{Boot, DeathPlace, Finished, GuestSpec, Observed};
pub use command::{QemuCommand, SpecError};
pub use console::{Splat, Stage};
pub use deadlines::{Deadlines, HostLoad};
pub use disk::{DISK_MODULES, EMPTY_DISK_STEP_MIB, GuestDisk};
pub use failure::{AwaitedEvent, Failure, FailureKind};
pub(crate) use host_watch::HostWatch;
pub use host_watch::{Freeze, FreezeCause, HostRecord};
pub use hypervisor::{Hypervisor, watch_recorded};
pub use machine::QmpLine;
pub use probe::probe_kvm;
pub use qemu::{OLDEST, Qemu, QemuError, QemuVersion};
pub use qemu_identity::IdentityError;
pub use script::shell_word;
pub use splat::SplatKind;
pub(crate) use splat::{Printk, ends_dump, kind_of as splat_kind, opens_dump, title as splat_title};
pub use time::{DEFAULT_SEED, TimeChoice, Timing, VirtualTime};
pub use transcript::{Transcript, TranscriptDifference};
