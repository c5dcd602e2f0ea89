//! The workers: each takes a kernel from the matrix, obtains it, boots it, and settles its cells.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::boots::{Bench, Booted, boot_all, milliseconds};
use super::cell::{Question, Settled};
use super::event::{Event, KernelRecord};
use super::settle::{Applies, Settlement, applies, by_boot, modules};
use crate::kernel::{self, Kernel, Obtain, ObtainError, Store};
use crate::matrix::{Bug, Bugs, KernelEntry, Matrix};
use crate::shim::Shim;
use crate::vm::{Accelerator, Qemu};
use crate::words::BugId;

/// What a run works with.
pub struct Lab {
    /// The cache that kernels come from.
    pub store: Store,
    /// What boots them.
    pub qemu: Qemu,
    /// What runs them.
    pub accelerator: Accelerator,
    /// What ties QEMU to this process.
    pub shim: Shim,
    /// Whether the network is not to be used.
    pub offline: bool,
    /// Whether indexes are to be fetched anew.
    pub refresh: bool,
    /// How many guests may run at a time, which deadlines allow for.
    pub jobs: usize,
}

/// Judges every cell of the matrix, `lab.jobs` kernels at a time, and tells what happens. Dropping the future ends
/// every guest. An event that nobody receives any more is no error: the receiver is going down.
pub async fn run(matrix: Matrix, bugs: Bugs, lab: Arc<Lab>, events: UnboundedSender<Event>) {
    let planned = matrix.kernels.iter().flat_map(questions).collect();
    let _ = events.send(Event::Planned(planned));
    let bugs = Arc::new(bugs);
    let places = Arc::new(Semaphore::new(lab.jobs));
    let mut workers = JoinSet::new();
    for entry in matrix.kernels {
        // Started one after another, so that kernels are taken up in the matrix's order.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let (bugs, lab, events) = (Arc::clone(&bugs), Arc::clone(&lab), events.clone());
        workers.spawn(async move {
            judge(&entry, &bugs, &lab, &events).await;
            let _ = events.send(Event::Done { kernel: entry.name });
            drop(place);
        });
    }
    // A worker that panics is a mistake in this program: its message is on stderr, its cells stay errors, and the
    // other kernels are judged all the same.
    while workers.join_next().await.is_some() {}
}

fn questions(entry: &KernelEntry) -> impl Iterator<Item = Question> {
    entry.bugs.iter().map(|bug| Question { kernel: entry.name.clone(), bug: bug.clone(), expect: entry.expected(bug) })
}

/// Settles all cells of one kernel.
async fn judge(entry: &KernelEntry, bugs: &Bugs, lab: &Arc<Lab>, events: &UnboundedSender<Event>) {
    let _ = events.send(Event::Obtaining { kernel: entry.name.clone(), progress: None });
    let tell = Tell { entry, events };
    let kernel = match obtain(entry, lab, events).await {
        Ok(kernel) => kernel,
        Err(settled) => return tell.all(&settled),
    };
    let _ = events.send(Event::Obtained(KernelRecord {
        name: entry.name.clone(),
        source: entry.source.to_string(),
        release: kernel.release.clone(),
        image_sha256: kernel.image_sha256.clone(),
        provenance: kernel.provenance.clone(),
        boots: Vec::new(),
    }));

    let mut to_boot: Vec<&Bug> = Vec::new();
    for bug in entry.bugs.iter().filter_map(|id| bugs.get(id)) {
        match applies(&kernel, bug) {
            Applies::Yes => to_boot.push(bug),
            Applies::No(reason) => {
                let settled = Settled::Skip { reason, allowed: false };
                tell.cell(&bug.id, kernel.release.clone(), settled, None);
            }
        }
    }
    let (loaded, without) = modules(&kernel, &to_boot);
    to_boot.retain(|bug| !without.contains_key(&bug.id));
    for (bug, settled) in without {
        tell.cell(&bug, kernel.release.clone(), settled, None);
    }
    if to_boot.is_empty() {
        return;
    }
    let bench = Bench { entry, kernel: &kernel, modules: &loaded, lab, events };
    let booted: BTreeMap<BugId, Booted> = boot_all(&bench, &to_boot).await;
    for (bug, booted) in &booted {
        let release = booted.end.release.clone().or_else(|| kernel.release.clone());
        let settlement = by_boot(bug, &booted.end);
        tell.cell(bug, release, settlement.settled.clone(), Some((booted, &settlement)));
    }
}

/// Obtains the kernel in a thread: unpacking is work for a processor, and packages come slowly.
async fn obtain(entry: &KernelEntry, lab: &Arc<Lab>, events: &UnboundedSender<Event>) -> Result<Kernel, Settled> {
    let (name, source, optional) = (entry.name.clone(), entry.source.clone(), entry.optional);
    let (lab, events) = (Arc::clone(lab), events.clone());
    let obtained = tokio::task::spawn_blocking(move || {
        let tell = |progress| {
            let _ = events.send(Event::Obtaining { kernel: name.clone(), progress: Some(progress) });
        };
        let with =
            Obtain { store: &lab.store, shim: &lab.shim, offline: lab.offline, refresh: lab.refresh, tell: &tell };
        kernel::obtain(&source, &with)
    });
    match obtained.await {
        Ok(obtained) => obtained.map_err(|error| unobtainable(error, optional)),
        Err(died) => Err(Settled::Error(format!("backproof failed while it obtained the kernel: {died}"))),
    }
}

fn unobtainable(error: ObtainError, optional: bool) -> Settled {
    let gone = error.is_gone();
    let reason = format!("{:#}", anyhow::Error::new(error));
    if optional && gone { Settled::Skip { reason, allowed: true } } else { Settled::Error(reason) }
}

/// Tells the cells of one kernel.
struct Tell<'a> {
    entry: &'a KernelEntry,
    events: &'a UnboundedSender<Event>,
}

impl Tell<'_> {
    fn all(&self, settled: &Settled) {
        for bug in &self.entry.bugs {
            self.cell(bug, None, settled.clone(), None);
        }
    }

    fn cell(&self, bug: &BugId, release: Option<String>, settled: Settled, boot: Option<(&Booted, &Settlement)>) {
        let question = Question { kernel: self.entry.name.clone(), bug: bug.clone(), expect: self.entry.expected(bug) };
        let mut cell = question.cell(release, settled);
        let mut packets = Vec::new();
        if let Some((booted, settlement)) = boot {
            cell.seconds = milliseconds(booted.seconds);
            cell.boots.clone_from(&booted.folders);
            cell.checks = settlement.report.as_ref().map(|report| report.checks.clone()).unwrap_or_default();
            packets.clone_from(&settlement.packets);
            cell.unexplained.clone_from(&booted.unexplained);
        }
        let _ = self.events.send(Event::Judged { cell: Box::new(cell), packets });
    }
}
