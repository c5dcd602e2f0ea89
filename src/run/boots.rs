//! Boots one kernel as often as its questions take: once, as a rule.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use backproof_repro::protocol::{Job, Message, Packet, Plan, Report, VERSION};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::UnboundedSender;

use super::engine::Lab;
use super::event::{BootId, BootRecord, Event};
use super::recording::Recording;
use crate::guest;
use crate::kernel::{Kernel, Module};
use crate::matrix::{Bug, KernelEntry, MachineType};
use crate::vm::{self, Accel, Deadlines, Failure, GuestSpec, Observed};
use crate::words::BugId;

/// Guest memory where the matrix says nothing: Debian's kernels take 100 MiB of it for themselves.
const MEMORY_MIB: u32 = 256;

/// Guest processors where the matrix says nothing. The reproducers wait rather than compute, and a second emulated
/// processor makes the boot slower.
const CPUS: u32 = 1;

/// How a boot ended.
#[derive(Clone, Debug, Default)]
pub struct BootEnd {
    /// The kernel's own release string, where the guest came that far.
    pub release: Option<String>,
    /// What the reproducers concluded.
    pub reports: Vec<Report>,
    /// What the wire saw, by bug.
    pub packets: BTreeMap<String, Vec<Packet>>,
    /// Why the guest cannot be believed, where it can't: for people, with the console's last lines.
    pub failure: Option<String>,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// The boot that settled a bug, and all boots that the bug's reproducer took part in.
#[derive(Clone, Debug, Default)]
pub struct Booted {
    /// How the last one ended.
    pub end: BootEnd,
    /// The folders of all of them.
    pub folders: Vec<String>,
    /// Their wall time in seconds.
    pub seconds: f64,
}

/// One kernel, ready to boot.
pub struct Bench<'a> {
    /// What the matrix says of it.
    pub entry: &'a KernelEntry,
    /// The kernel.
    pub kernel: &'a Kernel,
    /// The modules to load.
    pub modules: &'a [Module],
    /// What boots it.
    pub lab: &'a Lab,
    /// Where to tell it.
    pub events: &'a UnboundedSender<Event>,
}

/// Boots a kernel until each bug has a boot that settles it.
///
/// All reproducers share one boot. Where that guest dies after it had come up, nobody can say which of them killed
/// it, nor whether those that had reported saw a sound kernel: each then gets a boot of its own. That is no second
/// try: one that dies alone has its answer.
pub async fn boot_all(bench: &Bench<'_>, bugs: &[&Bug]) -> BTreeMap<BugId, Booted> {
    let mut settled: BTreeMap<BugId, Booted> = BTreeMap::new();
    let mut groups: VecDeque<Vec<&Bug>> = VecDeque::from([bugs.to_vec()]);
    let mut number = 0;
    while let Some(group) = groups.pop_front() {
        number += 1;
        let boot = BootId { kernel: bench.entry.name.clone(), number };
        let turn = bench.lab.accelerator.next().await;
        let (end, failure) = boot_once(bench, &boot, &group, turn.accel()).await;
        for bug in &group {
            let booted = settled.entry(bug.id.clone()).or_default();
            booted.folders.push(boot.folder());
            booted.seconds += end.seconds;
            booted.end = end.clone();
        }
        match failure {
            Some(Failure::Accelerator { why }) if turn.may_fall_back() => {
                if turn.kvm_failed(&why) {
                    let _ = bench.events.send(Event::AcceleratorFellBack { why });
                }
                groups.push_front(group);
            }
            Some(_) if end.release.is_some() && group.len() > 1 => {
                groups.extend(group.into_iter().map(|bug| vec![bug]));
            }
            _ => turn.worked(),
        }
    }
    settled
}
