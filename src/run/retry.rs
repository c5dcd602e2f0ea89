//! Broken boots: whose fault it was, which of them get a second try, and what a cell says of the first.
//!
//! A second try helps only where it can end otherwise. A guest in virtual time repeats to the byte, so only the host and QEMU
//! are retried there; in real time a timeout and a failed control may be chance, too, and so may a stall or a lockup that the
//! kernel reports. No other crash of the kernel is retried: it is what the kernel did, and a shared guest's jobs boot alone
//! after it anyway.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::boot_end::BootEnd;
use super::boots::{JobBoots, Waiting};
use super::trial::{Trial, by_guest};
use crate::verdict::Boots;
use crate::vm::{FailureKind, VirtualTime};
use crate::words::JobId;

/// What broke, so that a cell has no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellFault {
    /// The host, QEMU, the network, or backproof itself.
    Harness,
    /// The guest: it died, hung, or talked nonsense.
    Guest,
    /// The reproducer: it gave up, or one of its controls failed.
    Reproducer,
}

/// A boot that broke and was repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetriedBoot {
    /// Its folder below the kernel's.
    pub boot: String,
    /// How it broke, with the console's last lines.
    pub reason: String,
}

/// What broke in a boot that has no answer for a job.
pub(super) fn fault(boots: &Boots, end: &BootEnd) -> Option<CellFault> {
    let Boots::Broke(_) = boots else { return None };
    Some(match &end.death {
        Some(death) if death.kind.is_of_the_host() => CellFault::Harness,
        Some(_) => CellFault::Guest,
        None if end.failure.is_some() => CellFault::Harness,
        None => CellFault::Reproducer,
    })
}

/// Whether a boot that broke may end otherwise if it is repeated as it was.
pub(super) fn is_worth_retry(end: &BootEnd, time: Option<VirtualTime>) -> bool {
    match &end.death {
        Some(death) if matches!(death.kind, FailureKind::Host | FailureKind::Qemu) => true,
        _ if time.is_some() => false,
        Some(death) => death.kind.is_of_time() || matches!(death.kind, FailureKind::Protocol(_)),
        // A boot that could not be started lacks something that the next one would lack, too.
        None => end.failure.is_none(),
    }
}

/// The guests that are retried, each once.
pub(super) fn retries<'t>(trials: &[Trial<'t>], jobs: &mut BTreeMap<JobId, JobBoots>) -> Vec<Waiting<'t>> {
    let mut broken: BTreeMap<u32, Vec<Trial>> = BTreeMap::new();
    for trial in trials {
        let schedules = jobs.get_mut(&trial.id()).map(JobBoots::retry).unwrap_or_default();
        for schedule in schedules {
            broken.entry(schedule).or_default().push(*trial);
        }
    }
    guests(broken)
}

/// The guests that confirm jobs which showed the bug, until each was tried `confirm` times. In virtual time each has the next
/// seed.
pub(super) fn confirmations<'t>(
    trials: &[Trial<'t>],
    jobs: &BTreeMap<JobId, JobBoots>,
    seeds: u32,
    confirm: u32,
) -> Vec<Waiting<'t>> {
    let mut further: BTreeMap<u32, Vec<Trial>> = BTreeMap::new();
    for trial in trials {
        let Some(boots) = jobs.get(&trial.id()).filter(|boots| boots.shows_bug()) else { continue };
        let first = trial.seeds(seeds);
        for schedule in first..first.saturating_add(confirm.saturating_sub(boots.tried())) {
            further.entry(schedule).or_default().push(*trial);
        }
    }
    guests(further)
}

fn guests<'t>(trials: BTreeMap<u32, Vec<Trial<'t>>>) -> Vec<Waiting<'t>> {
    let of = |(schedule, trials): (u32, Vec<Trial<'t>>)| {
        by_guest(&trials).into_iter().map(move |trials| Waiting { trials, schedule }).collect::<Vec<_>>()
    };
    trials.into_iter().flat_map(of).collect()
}
