//! The hypervisor of the guests: QEMU, or a script in tests, so that code above a boot can be tested without QEMU.

use std::path::Path;

use super::boot::{Boot, DeathPlace, GuestSpec, Observed};
use super::command::QemuCommand;
use super::deadlines::{Deadlines, HostLoad};
use super::failure::{Failure, FailureKind};
#[cfg(test)]
use super::fake::Scripts;
use super::host_watch::HostRecord;
use super::process::QemuProcess;
use super::qemu::{Qemu, QemuVersion};
use super::qemu_identity::IdentityError;
use super::recorded::RecordedMachine;
use super::transcript::Transcript;
use super::{Stage, watch};
use crate::kernel::Store;
use crate::shim::Shim;

/// The hypervisor of the guests.
#[derive(Debug)]
pub enum Hypervisor {
    /// QEMU.
    Qemu(Qemu),
    /// One script a boot.
    #[cfg(test)]
    Scripted(Scripts),
}

impl Hypervisor {
    /// Its program's file.
    pub fn program(&self) -> &Path {
        match self {
            Self::Qemu(qemu) => qemu.program(),
            #[cfg(test)]
            Self::Scripted(_) => Path::new("a-script"),
        }
    }

    /// Its output for `--version`, which differs between a distribution's packages.
    pub fn banner(&self) -> &str {
        match self {
            Self::Qemu(qemu) => qemu.banner(),
            #[cfg(test)]
            Self::Scripted(_) => "a script",
        }
    }

    /// The sha256 of everything besides the guest that affects the output of a guest in virtual time.
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn identity(&self, store: &Store) -> Result<String, IdentityError> {
        match self {
            Self::Qemu(qemu) => qemu.identity(store),
            #[cfg(test)]
            Self::Scripted(_) => Ok("a script".to_owned()),
        }
    }

    /// Its version.
    pub fn version(&self) -> QemuVersion {
        match self {
            Self::Qemu(qemu) => qemu.version(),
            #[cfg(test)]
            Self::Scripted(_) => super::OLDEST,
        }
    }

    /// Boots the guest and watches it to its end. Every way to fail is in [`Boot::end`].
    ///
    /// Call it on a thread that outlives the boot, in a current-thread runtime on the main thread best: QEMU gets its
    /// parent-death signal when the *thread* that started it ends. Dropping the future kills QEMU and reaps it.
    pub async fn boot(
        &self,
        shim: &Shim,
        spec: &GuestSpec,
        deadlines: &Deadlines,
        observe: &mut (dyn FnMut(Observed<'_>) + Send),
    ) -> Boot {
        let command = match QemuCommand::new(self.program(), spec) {
            Ok(command) => command,
            Err(error) => return not_started(spec, error.to_string()),
        };
        observe(Observed::Command(&command));
        match self {
            Self::Qemu(_) => match QemuProcess::start(shim, &command, spec) {
                Ok(mut machine) => watch::watch(&mut machine, spec, deadlines, observe).await,
                Err(error) => not_started(spec, format!("cannot start {}: {error}", command.program().display())),
            },
            #[cfg(test)]
            Self::Scripted(scripts) => watch::watch(&mut scripts.next(spec), spec, deadlines, observe).await,
        }
    }
}

/// Judges a boot of this guest again by its transcript, without a machine. It finished, or the kernel died there.
pub async fn watch_recorded(
    spec: &GuestSpec,
    transcript: &Transcript,
    death: Option<DeathPlace>,
    observe: &mut (dyn FnMut(Observed<'_>) + Send),
) -> Boot {
    let deadlines = Deadlines::new(spec.accel, HostLoad::IDLE);
    watch::watch(&mut RecordedMachine::new(transcript, death), spec, &deadlines, observe).await
}

/// A boot that did not start.
fn not_started(spec: &GuestSpec, title: String) -> Boot {
    let failure =
        Failure { kind: FailureKind::Host, title, stage: Stage::Started, excerpt: Vec::new(), last_lines: Vec::new() };
    Boot {
        accel: spec.accel,
        time: spec.time,
        transcript: Transcript::default(),
        stage: Stage::Started,
        banner: None,
        messages: Vec::new(),
        running: Vec::new(),
        end: Err(failure),
        own_death: None,
        warnings: Vec::new(),
        wall: std::time::Duration::ZERO,
        cpu: None,
        host: HostRecord::default(),
    }
}
