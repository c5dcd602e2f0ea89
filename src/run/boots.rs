//! Which boots a kernel gets until all its questions are settled: usually one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::autoload::Autoloaded;
use super::boot_cache::CacheUse;
use super::engine::Lab;
use super::event::{BootRecord, Event, boot_folder_name};
use super::guest_boot::{GuestBoot, boot_guest};
use super::positive_control::ControlShown;
use super::reach::{self, CellReach};
use super::retry::{RetriedBoot, confirmations, is_worth_retry, retries};
use super::seeds::{SeedCount, decide};
use super::settle::Settlement;
use super::shared_death::SharedDeath;
use super::trial::{Trial, by_guest, reach_of};
use crate::kernel::{Kernel, Module};
use crate::matrix::KernelEntry;
use crate::verdict::Boots;
use crate::vm::Next;
use crate::words::{BugId, JobId};

/// The most remarks of one boot to keep.
const MAX_NOTES: usize = 50;

/// The boot that settled a job, and all boots that ran it.
#[derive(Clone, Debug)]
pub struct Booted {
    /// What it showed.
    pub settlement: Settlement,
    /// The kernel's release string, if the guest came that far.
    pub release: Option<String>,
    /// The folders of all of them.
    pub folders: Vec<String>,
    /// Their wall time in seconds.
    pub seconds: f64,
    /// How a shared guest died, if none of its reproducers killed a guest alone.
    pub unexplained: Option<String>,
    /// The boots that broke and were repeated.
    pub retried: Vec<RetriedBoot>,
    /// Other bugs whose programs ran in the last guest, and could have written this report.
    pub shared_with: Vec<BugId>,
    /// When its boots were made, if all were cached: the oldest.
    pub cached: Option<Timestamp>,
    /// How the transcript of a boot differs from the cached one, if one does.
    pub differs: Option<String>,
    /// The count of its schedules, if there were several.
    pub seeds: Option<SeedCount>,
    /// How often functions were entered in all schedules.
    pub reach: CellReach,
    /// What its positive control showed, if it was asked.
    pub positive_control: Option<ControlShown>,
    /// The modules that it was booted with because the kernel requested them.
    pub autoloaded: Option<Autoloaded>,
}

impl Booted {
    /// These boots, after others of the same job that lacked modules. Theirs is the last word, also if they broke: with the
    /// modules, the program may have killed the kernel.
    pub(super) fn after(mut self, before: Self, modules: Vec<String>) -> Self {
        let mut autoloaded = before.autoloaded.unwrap_or_default();
        autoloaded.modules.extend(modules);
        autoloaded.before.clone_from(&before.folders);
        self.autoloaded = Some(autoloaded);
        self.folders.splice(0..0, before.folders);
        self.seconds += before.seconds;
        self.retried.splice(0..0, before.retried);
        self.unexplained = self.unexplained.or(before.unexplained);
        self.cached = self.cached.zip(before.cached).map(|(own, other)| own.min(other));
        self.differs = self.differs.or(before.differs);
        self
    }
}

/// One kernel, ready to boot.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// What the matrix says of it.
    pub entry: &'a KernelEntry,
    /// The kernel.
    pub kernel: &'a Kernel,
    /// The modules to load.
    pub modules: &'a [Module],
    /// What boots it.
    pub lab: &'a Arc<Lab>,
    /// Places for further guests.
    pub places: &'a Arc<Semaphore>,
    /// Receives the events.
    pub events: &'a UnboundedSender<Event>,
    /// Whether to run the natural checks too.
    pub natural: bool,
    /// Which boots are taken from the cache.
    pub cache: CacheUse,
    /// How many schedules to try, in virtual time.
    pub seeds: u32,
    /// How many boots are to confirm a bug that one showed.
    pub confirm: u32,
    /// Functions of the kernel whose entries to count.
    pub reach: &'a [String],
    /// How many boots this kernel had.
    pub booted: &'a AtomicU32,
    /// What these boots are, if they judge no cell themselves.
    pub control: Option<&'a str>,
}

impl Bench<'_> {
    /// The number of the next boot, from 1 on.
    fn next_number(&self) -> u32 {
        self.booted.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A guest that waits for its boot.
pub(super) struct Waiting<'t> {
    pub(super) trials: Vec<Trial<'t>>,
    /// Counts the seeds from 0.
    pub(super) schedule: u32,
}

/// What one schedule of a job came to, by the last boot that ran it.
struct Schedule {
    boot: u32,
    seed: Option<u32>,
    settlement: Settlement,
    release: Option<String>,
    failed: bool,
    /// Whether the boot broke and may end otherwise if it is repeated.
    worth_retry: bool,
    /// How the guest died, if a busy host does not explain that.
    died: Option<String>,
    unexplained: Option<String>,
    shared_with: Vec<BugId>,
    cached: Option<Timestamp>,
    reach: BTreeMap<String, Result<u64, String>>,
}

/// The boots of a job so far.
#[derive(Default)]
pub(super) struct JobBoots {
    schedules: BTreeMap<u32, Schedule>,
    numbers: Vec<u32>,
    seconds: f64,
    differs: Option<String>,
    /// The first try of each schedule that was repeated.
    retried: BTreeMap<u32, FirstTry>,
}

/// A boot that broke and was repeated.
struct FirstTry {
    record: RetriedBoot,
    died: Option<String>,
}

/// Boots a kernel until each job has a boot that settles it, in every schedule.
///
/// The agent's reproducers share one boot per kernel command line. Each user's program boots alone, unless the user lets
/// some share a guest. If a shared guest dies after it came up, the jobs that it did not finish boot again; see
/// [`SharedDeath`].
///
/// The kernel's own place runs one guest at a time; further guests wait for places that no other kernel takes.
pub async fn boot_all(bench: &Bench<'_>, trials: &[Trial<'_>]) -> BTreeMap<JobId, Booted> {
    let mut jobs: BTreeMap<JobId, JobBoots> = BTreeMap::new();
    let mut waiting: VecDeque<Waiting> = schedules(trials, bench.seeds);
    let mut deaths: Vec<SharedDeath> = Vec::new();
    let mut running = FuturesUnordered::new();
    let (mut own_place_free, mut is_confirmed) = (true, false);
    loop {
        if own_place_free && let Some(guest) = waiting.pop_front() {
            own_place_free = false;
            running.push(start(bench, bench.next_number(), guest, None));
        }
        let (guest, place, number, booted) = tokio::select! {
            biased;
            Some(ended) = running.next() => ended,
            Ok(place) = Arc::clone(bench.places).acquire_owned(), if !waiting.is_empty() => {
                if let Some(guest) = waiting.pop_front() {
                    running.push(start(bench, bench.next_number(), guest, Some(place)));
                }
                continue;
            }
            else => {
                // Nothing waits and nothing runs: the deaths that nothing explains yet are looked into further.
                waiting.extend(deaths.iter_mut().flat_map(|death| death.suspects(&jobs)));
                if waiting.is_empty() {
                    waiting.extend(retries(trials, &mut jobs));
                }
                if waiting.is_empty() && !std::mem::replace(&mut is_confirmed, true) {
                    waiting.extend(confirmations(trials, &jobs, bench.seeds, bench.confirm));
                }
                if waiting.is_empty() {
                    break;
                }
                continue;
            }
        };
        own_place_free |= place.is_none();
        drop(place);
        let Some(booted) = booted else { continue };
        let death = SharedDeath::of(&guest, &booted);
        let (next, refused) = (booted.next.clone(), booted.refused.clone());
        take(bench, &mut jobs, &guest, number, booted);
        if let Next::BootAgain { why } = next {
            let _ = bench.events.send(Event::AcceleratorFellBack { why });
            waiting.push_front(guest);
        } else if let Some(why) = refused {
            let _ = bench.events.send(Event::TimeFellBack { why });
            waiting.push_front(guest);
        } else if let Some(mut death) = death {
            waiting.extend(death.unfinished());
            deaths.push(death);
        }
    }
    deaths.retain(|death| !death.is_explained(&jobs));
    for death in &deaths {
        for job in &death.together {
            let boots = jobs.get_mut(job).and_then(|boots| boots.schedules.get_mut(&death.schedule));
            if let Some(boots) = boots {
                boots.unexplained = Some(death.failure.clone());
            }
        }
    }
    let decided = |trial: &Trial| {
        let mut booted = jobs.remove(&trial.id())?.decided(trial.seeds(bench.seeds))?;
        trial.tell_reach(&mut booted);
        Some((trial.id(), booted))
    };
    trials.iter().filter_map(decided).collect()
}

/// The guests of all schedules.
fn schedules<'t>(trials: &[Trial<'t>], asked: u32) -> VecDeque<Waiting<'t>> {
    let most = trials.iter().map(|trial| trial.seeds(asked)).max().unwrap_or(asked);
    let of = |schedule: u32| {
        let tried: Vec<Trial> = trials.iter().filter(|trial| schedule < trial.seeds(asked)).copied().collect();
        by_guest(&tried).into_iter().map(move |trials| Waiting { trials, schedule })
    };
    (0..most).flat_map(of).collect()
}

/// Boots a guest, in this place or in the kernel's own.
async fn start<'t>(
    bench: &Bench<'_>,
    number: u32,
    guest: Waiting<'t>,
    place: Option<OwnedSemaphorePermit>,
) -> (Waiting<'t>, Option<OwnedSemaphorePermit>, u32, Option<GuestBoot>) {
    let booted = boot_guest(bench, number, &guest.trials, guest.schedule).await;
    (guest, place, number, booted)
}

/// Records a boot, and what it showed of each of its jobs.
fn take(bench: &Bench<'_>, jobs: &mut BTreeMap<JobId, JobBoots>, guest: &Waiting<'_>, number: u32, booted: GuestBoot) {
    let end = &booted.end;
    let _ = bench.events.send(Event::BootEnded(BootRecord {
        kernel: bench.entry.name.clone(),
        number,
        accelerator: booted.accel,
        time: booted.time,
        transcript_sha256: end.transcript_sha256.clone(),
        control: bench.control.map(str::to_owned),
        jobs: guest.trials.iter().map(Trial::id).collect(),
        seconds: milliseconds(end.seconds),
        cached: booted.cached,
        inputs_sha256: booted.inputs_sha256.clone(),
        differs: booted.differs.clone(),
        failure: end.failure.clone(),
        notes: end.notes.iter().take(MAX_NOTES).cloned().collect(),
    }));
    // Reports that came before a death stand for now: the jobs that it interrupted are the first suspects.
    let alive = (end.failure.is_some() && guest.trials.len() > 1).then(|| end.before_death());
    for (trial, settlement) in guest.trials.iter().zip(booted.settled) {
        let before = alive.as_ref().filter(|end| end.has_report(&trial.id()));
        let settlement = before.map_or(settlement, |end| trial.settle(end, false));
        let boots = jobs.entry(trial.id()).or_default();
        boots.numbers.push(number);
        boots.seconds += end.seconds;
        boots.differs = boots.differs.take().or_else(|| booted.differs.clone());
        let died = end.death.as_ref().filter(|death| death.kind.is_of_the_guest() && end.busy.is_none());
        let schedule = Schedule {
            boot: number,
            worth_retry: settlement.fault.is_some() && is_worth_retry(end, booted.time),
            died: died.and(end.failure.clone()),
            seed: booted.time.map(|time| time.seed),
            settlement,
            release: end.release.clone(),
            failed: end.failure.is_some() && before.is_none(),
            unexplained: None,
            shared_with: trial.shared_with(&guest.trials),
            cached: booted.cached,
            reach: reach::counted(
                &reach_of(bench.reach, &[*trial]),
                end.reach.get(&trial.id().to_string()).filter(|_| end.failure.is_none() || before.is_some()),
            ),
        };
        boots.schedules.insert(guest.schedule, schedule);
    }
}

impl JobBoots {
    /// Whether the job's last boot in this schedule died.
    pub(super) fn has_died(&self, schedule: u32) -> bool {
        self.schedules.get(&schedule).is_some_and(|boot| boot.failed)
    }

    /// Whether a schedule showed the bug.
    pub(super) fn shows_bug(&self) -> bool {
        let shows = |boots: &Boots| matches!(boots, Boots::Showed(finding) if finding.is_affected());
        self.schedules.values().any(|one| shows(&one.settlement.boots))
    }

    /// How many schedules were tried.
    pub(super) fn tried(&self) -> u32 {
        u32::try_from(self.schedules.len()).unwrap_or(u32::MAX)
    }

    /// The schedules to repeat, each once, because they broke.
    pub(super) fn retry(&mut self) -> Vec<u32> {
        let mut again = Vec::new();
        for (schedule, one) in &self.schedules {
            let Boots::Broke(reason) = &one.settlement.boots else { continue };
            if one.worth_retry && !self.retried.contains_key(schedule) {
                let record = RetriedBoot { boot: boot_folder_name(one.boot), reason: reason.clone() };
                self.retried.insert(*schedule, FirstTry { record, died: one.died.clone() });
                again.push(*schedule);
            }
        }
        again
    }

    /// What all schedules of a job come to; None without a boot.
    fn decided(mut self, asked: u32) -> Option<Booted> {
        let (index, count) = decide(self.schedules.values().map(|one| (one.seed, &one.settlement)))?;
        let all_cached = self.schedules.values().map(|one| one.cached).collect::<Option<Vec<_>>>();
        let mut unexplained = self.schedules.values().find_map(|one| one.unexplained.clone());
        for (schedule, first) in &self.retried {
            // A death that the second try does not repeat is as unexplained as one that no job repeats.
            if self.schedules.get(schedule).is_some_and(|one| one.settlement.fault.is_none()) {
                unexplained = unexplained.or_else(|| first.died.clone());
            }
        }
        let reach = reach::sum(self.schedules.values().map(|one| &one.reach));
        let mut requested: Vec<String> = Vec::new();
        for name in self.schedules.values().flat_map(|one| &one.settlement.requested) {
            if !requested.contains(name) {
                requested.push(name.clone());
            }
        }
        let mut deciding = self.schedules.into_values().nth(index)?;
        deciding.settlement = Settlement { requested, ..deciding.settlement }.telling_requests();
        let seeds = (asked > 1 || count.tried > 1).then_some(count);
        if let Some(seeds) = seeds {
            seeds.tell(&mut deciding.settlement, deciding.seed);
        }
        self.numbers.sort_unstable();
        Some(Booted {
            settlement: deciding.settlement,
            release: deciding.release,
            folders: self.numbers.iter().map(|number| boot_folder_name(*number)).collect(),
            seconds: self.seconds,
            unexplained,
            retried: self.retried.into_values().map(|first| first.record).collect(),
            shared_with: deciding.shared_with,
            cached: all_cached.and_then(|all| all.into_iter().min()),
            differs: self.differs,
            seeds,
            reach,
            positive_control: None,
            autoloaded: None,
        })
    }
}

/// Seconds as files have them.
pub(super) fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
#[path = "boot_all_tests.rs"]
mod boot_all_tests;
