//! Chooses the accelerator. A /dev/kvm that opens does not prove that KVM works, so the first boot of a run tries it: the
//! other boots wait for the result, which is kept with its reason.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::boot::Boot;
use super::failure::FailureKind;

/// The executor of the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// The host's processor, through /dev/kvm.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accel {
    /// QEMU's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The user's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccelChoice {
    /// KVM if it works, otherwise TCG.
    #[default]
    Auto,
    /// Only KVM.
    Kvm,
    /// TCG even if KVM works.
    Tcg,
}

/// The state of knowledge about KVM in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kvm {
    Untried,
    /// One boot is finding out.
    Trying,
    Works,
    Broken {
        why: String,
    },
}

/// One for a run, shared by all its boots.
#[derive(Debug)]
pub struct Accelerator {
    choice: AccelChoice,
    kvm: Mutex<Kvm>,
    decided: Notify,
}

/// The next step after a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The boot's end stands.
    Done,
    /// KVM could not run the guest, for this reason: boot again. [`Accelerator::turn`] then returns TCG.
    BootAgain {
        /// KVM's failure.
        why: String,
    },
}

/// One boot's permission to run under an accelerator. Dropping it undecided lets another boot find out.
#[derive(Debug)]
pub struct Turn<'a> {
    accelerator: &'a Accelerator,
    accel: Accel,
    /// This boot is the one that finds out whether KVM works.
    first: bool,
}

impl Accelerator {
    /// Looks at /dev/kvm.
    pub fn new(choice: AccelChoice) -> Self {
        Self::with_device(choice, Path::new("/dev/kvm"))
    }

    pub(crate) fn with_device(choice: AccelChoice, device: &Path) -> Self {
        let kvm = match choice {
            AccelChoice::Tcg => Kvm::Untried,
            AccelChoice::Auto | AccelChoice::Kvm => match OpenOptions::new().read(true).write(true).open(device) {
                Ok(_) => Kvm::Untried,
                Err(error) => Kvm::Broken { why: unusable(device, &error) },
            },
        };
        Self { choice, kvm: Mutex::new(kvm), decided: Notify::new() }
    }

    /// The accelerator for the next boot. Waits while another boot is finding out whether KVM works.
    pub async fn turn(&self) -> Turn<'_> {
        loop {
            let decided = self.decided.notified();
            if let Some(turn) = self.try_turn() {
                return turn;
            }
            decided.await;
        }
    }

    fn try_turn(&self) -> Option<Turn<'_>> {
        let turn = |accel, first| Some(Turn { accelerator: self, accel, first });
        let mut kvm = self.kvm();
        match (self.choice, &*kvm) {
            (AccelChoice::Tcg, _) | (AccelChoice::Auto, Kvm::Broken { .. }) => turn(Accel::Tcg, false),
            // With an explicit KVM every boot fails with QEMU's own error.
            (AccelChoice::Kvm, _) | (AccelChoice::Auto, Kvm::Works) => turn(Accel::Kvm, false),
            (AccelChoice::Auto, Kvm::Trying) => None,
            (AccelChoice::Auto, Kvm::Untried) => {
                *kvm = Kvm::Trying;
                turn(Accel::Kvm, true)
            }
        }
    }

    /// One line for people: which accelerator runs the guests, and why.
    pub fn summary(&self) -> String {
        match (self.choice, &*self.kvm()) {
            (AccelChoice::Tcg, _) => "tcg: requested".to_owned(),
            (AccelChoice::Kvm, Kvm::Broken { why }) => format!("kvm: requested, but {why}"),
            (AccelChoice::Kvm, _) => "kvm: requested".to_owned(),
            (AccelChoice::Auto, Kvm::Works) => "kvm: works".to_owned(),
            (AccelChoice::Auto, Kvm::Broken { why }) => format!("tcg: {why}"),
            (AccelChoice::Auto, Kvm::Untried | Kvm::Trying) => "not needed yet; KVM would be tried first".to_owned(),
        }
    }

    /// The accelerator of the guests, by the boots so far.
    pub fn used(&self) -> Accel {
        match (self.choice, &*self.kvm()) {
            (AccelChoice::Tcg, _) | (AccelChoice::Auto, Kvm::Broken { .. }) => Accel::Tcg,
            _ => Accel::Kvm,
        }
    }

    fn decide(&self, found: Kvm) {
        *self.kvm() = found;
        self.decided.notify_waiters();
    }

    fn kvm(&self) -> MutexGuard<'_, Kvm> {
        self.kvm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The accelerator for this boot.
    pub fn accel(&self) -> Accel {
        self.accel
    }

    /// Learns from how the boot ended.
    pub fn finish(mut self, boot: &Boot) -> Next {
        self.learn(boot.hello().is_some(), boot.end.as_ref().err().map(|f| (&f.kind, f.title.as_str())))
    }

    fn learn(&mut self, greeted: bool, failure: Option<(&FailureKind, &str)>) -> Next {
        if self.accel != Accel::Kvm || self.accelerator.choice == AccelChoice::Kvm {
            return Next::Done;
        }
        let first = std::mem::take(&mut self.first);
        match failure {
            Some((FailureKind::Accelerator, title)) => self.broken(title.to_owned()),
            // A guest can hang under a KVM that cannot run it without any event. Once one boot has come through,
            // a hang is the kernel's own.
            Some((FailureKind::Hang { .. }, title)) if first && !greeted => {
                self.broken(format!("the first guest under KVM hung: {title}"))
            }
            // Nothing was learned about KVM: the next boot finds out.
            Some((FailureKind::Host | FailureKind::Qemu | FailureKind::NotBootable, _)) if first => {
                self.accelerator.decide(Kvm::Untried);
                Next::Done
            }
            _ => {
                if first {
                    self.accelerator.decide(Kvm::Works);
                }
                Next::Done
            }
        }
    }

    fn broken(&self, why: String) -> Next {
        let why = format!("/dev/kvm opens, but {why}");
        self.accelerator.decide(Kvm::Broken { why: why.clone() });
        Next::BootAgain { why }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.first {
            self.accelerator.decide(Kvm::Untried);
        }
    }
}

fn unusable(device: &Path, error: &io::Error) -> String {
    let device = device.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("{device} does not exist"),
        io::ErrorKind::PermissionDenied => {
            format!("no permission to open {device}: run `usermod -aG kvm $USER` and log in again")
        }
        _ => format!("cannot open {device}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vm::failure::AwaitedEvent;

    fn with_a_device(choice: AccelChoice) -> Accelerator {
        Accelerator::with_device(choice, Path::new("/dev/null"))
    }

    fn hang() -> FailureKind {
        FailureKind::Hang { waiting: AwaitedEvent::Hello, after: Duration::from_secs(1), limit: None }
    }

    #[test]
    fn host_without_kvm_runs_tcg_with_the_reason() {
        let accelerator = Accelerator::with_device(AccelChoice::Auto, Path::new("/nonexistent/kvm"));
        assert_eq!(accelerator.try_turn().map(|t| t.accel()), Some(Accel::Tcg));
        assert_eq!(accelerator.summary(), "tcg: /nonexistent/kvm does not exist");
    }

    #[test]
    fn first_boot_under_kvm_decides_for_the_run() {
        let cases = [
            ("came through", true, None, Some(Accel::Kvm), false),
            ("QEMU aborted", false, Some(FailureKind::Accelerator), Some(Accel::Tcg), true),
            ("hung before the hello", false, Some(hang()), Some(Accel::Tcg), true),
            ("hung after the hello", true, Some(hang()), Some(Accel::Kvm), false),
            ("kernel reset itself", false, Some(FailureKind::Reset), Some(Accel::Kvm), false),
            ("not a kernel at all", false, Some(FailureKind::NotBootable), Some(Accel::Kvm), false),
        ];
        for (name, greeted, failure, then, again) in &cases {
            let accelerator = with_a_device(AccelChoice::Auto);
            let mut turn = accelerator.try_turn().expect("the first turn");
            assert_eq!(turn.accel(), Accel::Kvm);
            assert!(accelerator.try_turn().is_none(), "{name}: others wait");
            let next = turn.learn(*greeted, failure.as_ref().map(|f| (f, "it broke")));
            drop(turn);
            assert_eq!(matches!(next, Next::BootAgain { .. }), *again, "{name}");
            assert_eq!(accelerator.try_turn().map(|t| t.accel()), *then, "{name}");
        }
    }

    #[test]
    fn later_hang_blames_the_kernel_and_later_abort_kvm() {
        let accelerator = with_a_device(AccelChoice::Auto);
        assert_eq!(accelerator.try_turn().expect("turn").learn(true, None), Next::Done);
        let hang = hang();
        assert_eq!(accelerator.try_turn().expect("turn").learn(false, Some((&hang, "quiet"))), Next::Done);
        let abort = FailureKind::Accelerator;
        let next = accelerator.try_turn().expect("turn").learn(false, Some((&abort, "QEMU aborted")));
        assert_eq!(next, Next::BootAgain { why: "/dev/kvm opens, but QEMU aborted".to_owned() });
        assert_eq!(accelerator.summary(), "tcg: /dev/kvm opens, but QEMU aborted");
    }

    #[test]
    fn explicit_kvm_never_falls_back_to_tcg() {
        let accelerator = with_a_device(AccelChoice::Kvm);
        let abort = FailureKind::Accelerator;
        assert_eq!(accelerator.try_turn().expect("turn").learn(false, Some((&abort, "x"))), Next::Done);
        assert_eq!(accelerator.try_turn().map(|t| t.accel()), Some(Accel::Kvm));
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_boot_lets_a_waiting_one_try_kvm() {
        let accelerator = with_a_device(AccelChoice::Auto);
        let first = accelerator.turn().await;
        let (second, ()) = tokio::join!(accelerator.turn(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        });
        assert_eq!(second.accel(), Accel::Kvm);
    }
}
