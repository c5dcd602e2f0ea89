//! The time of a guest.
//!
//! Under TCG, QEMU can derive the guest's clocks from the number of executed instructions (`-icount`). An idle guest then
//! skips to its next timer, so waits cost nothing. The guest cannot notice the host's load, and all its randomness comes
//! from one seed: the same kernel, initramfs, QEMU and seed produce the same bytes.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::accel::Accel;
use super::boot::Boot;
use super::console::Stage;
use super::failure::FailureKind;
use super::qemu::QemuVersion;

/// An instruction takes 2^SHIFT nanoseconds of guest time. With smaller shifts a guest needs more instructions for the same
/// waits (`udelay`, timeouts of busy loops); with 7 so few fit between two timers that a kernel misses its own deadlines.
const SHIFT: u8 = 4;

/// The first version that was seen to give several processors deterministic turns while it counts instructions. With 7.2 such
/// a guest hangs at "Booting SMP configuration".
const FIRST_WITH_TURNS: QemuVersion = QemuVersion { major: 10, minor: 0, micro: 0 };

/// The seed of a run that names none.
pub const DEFAULT_SEED: u32 = 1;

/// The virtual time of one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualTime {
    /// The seed of all the guest's randomness (QEMU's `-seed`).
    pub seed: u32,
    /// Each instruction takes 2^shift nanoseconds (QEMU's `-icount`).
    pub shift: u8,
}

impl VirtualTime {
    /// The factor from a job's own deadline, by the guest's clock, to the limit for its report, by the host's. A guest second is
    /// some 60 million instructions, which cost 0.1 to 0.6 s of the host's processor.
    pub(super) const PATIENCE: u32 = 4;

    /// Virtual time with this seed.
    pub fn with_seed(seed: u32) -> Self {
        Self { seed, shift: SHIFT }
    }

    /// QEMU's arguments. `sleep=off` skips idle time instead of sleeping through it; the real-time clock starts at a
    /// constant and follows the guest's other clocks.
    pub(super) fn args(self) -> [String; 6] {
        [
            "-icount".to_owned(),
            format!("shift={},sleep=off", self.shift),
            "-seed".to_owned(),
            self.seed.to_string(),
            "-rtc".to_owned(),
            "base=2026-01-01T00:00:00,clock=vm".to_owned(),
        ]
    }
}

impl fmt::Display for VirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "virtual, seed {}, shift {}", self.seed, self.shift)
    }
}

/// The user's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeChoice {
    /// Virtual where it works: under TCG, with one processor or a QEMU that counts the instructions of several.
    #[default]
    Auto,
    /// Always the host's.
    Real,
}

/// The time of a run's guests, shared by all its boots.
#[derive(Debug)]
pub struct Timing {
    choice: TimeChoice,
    seeds: RangeInclusive<u32>,
    qemu: QemuVersion,
    /// Why this QEMU cannot count instructions.
    refused: Mutex<Option<String>>,
    /// Whether a guest ran in real time because this QEMU cannot count for its several processors.
    was_turned_down: AtomicBool,
}

impl Timing {
    /// By the user's choice, with these seeds, in a QEMU of this version.
    pub fn new(choice: TimeChoice, seeds: RangeInclusive<u32>, qemu: QemuVersion) -> Self {
        Self { choice, seeds, qemu, refused: Mutex::new(None), was_turned_down: AtomicBool::new(false) }
    }

    /// The time of a guest with `cpus` processors; None if it is the host's. `schedule` counts the seeds of one run from 0.
    pub fn of(&self, accel: Accel, cpus: u32, schedule: u32) -> Option<VirtualTime> {
        if self.choice != TimeChoice::Auto || accel != Accel::Tcg || self.refused().is_some() {
            return None;
        }
        let counts = cpus == 1 || self.qemu >= FIRST_WITH_TURNS;
        self.was_turned_down.fetch_or(!counts, Ordering::Relaxed);
        counts.then(|| VirtualTime::with_seed(self.seeds.start().wrapping_add(schedule)))
    }

    /// Learns from a boot whether QEMU can count instructions: if it cannot, why. Boot again then; [`Timing::of`] gives
    /// real time from now on.
    pub fn learn(&self, boot: &Boot) -> Option<String> {
        boot.time?;
        let failure = boot.end.as_ref().err()?;
        let says_so = |line: &&String| line.contains("icount") || line.contains("-seed");
        if failure.kind != FailureKind::Qemu || boot.stage != Stage::Started {
            return None;
        }
        let why = failure.excerpt.iter().find(says_so)?.trim().to_owned();
        *self.refused() = Some(why.clone());
        Some(why)
    }

    /// One line for people: how time passes under `accel`, and why.
    pub fn summary(&self, accel: Accel) -> String {
        let refused = self.refused();
        match (self.choice, accel, &*refused) {
            (TimeChoice::Real, ..) => "real: requested".to_owned(),
            (TimeChoice::Auto, Accel::Kvm, _) => "real, as always under KVM".to_owned(),
            (TimeChoice::Auto, Accel::Tcg, Some(why)) => format!("real: this QEMU cannot count instructions: {why}"),
            (TimeChoice::Auto, Accel::Tcg, None) => {
                let (first, last) = (self.seeds.start(), self.seeds.end());
                let time = match first == last {
                    true => VirtualTime::with_seed(*first).to_string(),
                    false => format!("virtual, seeds {first} to {last}, shift {SHIFT}"),
                };
                match self.was_turned_down.load(Ordering::Relaxed) {
                    true => format!("{time}; real for guests with several processors, before QEMU {FIRST_WITH_TURNS}"),
                    false => time,
                }
            }
        }
    }

    fn refused(&self) -> MutexGuard<'_, Option<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_virtual_only_where_it_works() {
        let version = |major| QemuVersion { major, minor: 2, micro: 0 };
        let auto = Timing::new(TimeChoice::Auto, 7..=7, version(7));
        let newer = Timing::new(TimeChoice::Auto, 7..=26, version(10));
        assert_eq!(newer.of(Accel::Tcg, 2, 0), Some(VirtualTime { seed: 7, shift: SHIFT }));
        assert_eq!(auto.of(Accel::Tcg, 1, 0), Some(VirtualTime { seed: 7, shift: SHIFT }));
        assert_eq!(auto.of(Accel::Tcg, 1, 3), Some(VirtualTime { seed: 10, shift: SHIFT }));
        assert_eq!(auto.of(Accel::Kvm, 1, 0), None);
        assert_eq!(Timing::new(TimeChoice::Real, 7..=7, version(10)).of(Accel::Tcg, 1, 0), None);
        assert_eq!(auto.summary(Accel::Tcg), "virtual, seed 7, shift 4");
        assert_eq!(newer.summary(Accel::Tcg), "virtual, seeds 7 to 26, shift 4");
        assert_eq!(auto.summary(Accel::Kvm), "real, as always under KVM");
        assert_eq!(auto.of(Accel::Tcg, 2, 0), None);
        let mixed = "virtual, seed 7, shift 4; real for guests with several processors, before QEMU 10.0.0";
        assert_eq!(auto.summary(Accel::Tcg), mixed);
        *auto.refused() = Some("no icount".to_owned());
        assert_eq!(auto.of(Accel::Tcg, 1, 0), None);
        assert_eq!(auto.summary(Accel::Tcg), "real: this QEMU cannot count instructions: no icount");
    }
}
