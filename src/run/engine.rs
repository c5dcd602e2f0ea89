//! The workers: each takes a kernel from the matrix, obtains it, boots it, and settles its cells.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinError, JoinSet};

use super::autoload::boot_with_requested;
use super::boot_cache::CacheUse;
use super::boot_end::WireRecord;
use super::boots::{Bench, Booted, milliseconds};
use super::cell::{Cell, CellTrials};
use super::event::{Event, KernelRecord};
use super::positive_control::run_controls;
use super::profile_modules::add_profile_modules;
use super::programs::{BadPrograms, OwnPrograms, programs};
use super::settle::{Applies, Settlement, applies, modules};
use super::trial::{Trial, needed_modules};
use super::witnesses::{KernelLook, Repositories, look};
use crate::kernel::{self, Kernel, Obtain, ObtainError, Store};
use crate::matrix::{self, Bugs, KernelEntry, Locked, Matrix, Profile};
use crate::shim::Shim;
use crate::verdict::{Boots, Case, Question};
use crate::vm::{Accelerator, Hypervisor, Timing};
use crate::words::{BugId, JobId, KernelName};

/// The means of a run.
pub struct Lab {
    /// The cache that kernels come from.
    pub store: Store,
    /// What boots them.
    pub hypervisor: Hypervisor,
    /// What runs them.
    pub accelerator: Accelerator,
    /// How their time passes.
    pub timing: Timing,
    /// Ties QEMU to this process.
    pub shim: Shim,
    /// Whether to use only the cache.
    pub offline: bool,
    /// Whether to fetch indexes again.
    pub refresh: bool,
    /// How many guests may run at a time; deadlines allow for it.
    pub jobs: usize,
    /// QEMU's identity, once somebody has asked for it.
    pub qemu_sha256: OnceLock<Option<String>>,
}

impl Lab {
    /// QEMU's identity, by which boots are cached. Without it none is.
    pub fn qemu_sha256(&self) -> Option<&str> {
        let identity = || {
            let identity = self.hypervisor.identity(&self.store);
            identity.inspect_err(|error| tracing::warn!(%error, "boots are not cached: QEMU's files are unknown")).ok()
        };
        self.qemu_sha256.get_or_init(identity).as_deref()
    }
}

/// What a run is to judge.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The kernels, and the bugs of each.
    pub matrix: Matrix,
    /// What is known of the bugs.
    pub bugs: Bugs,
    /// The users' programs of the chosen bugs.
    pub programs: BTreeMap<BugId, OwnPrograms>,
    /// The profiles to judge them under.
    pub profiles: Vec<Profile>,
    /// The locks of the kernels that must match.
    pub locked: BTreeMap<KernelName, Locked>,
    /// Why kernels are skipped that may be.
    pub skipped: BTreeMap<KernelName, String>,
    /// Kernels that were already examined.
    pub looked: BTreeMap<KernelName, KernelLook>,
    /// Whether to run the natural checks too.
    pub natural: bool,
    /// Which boots are taken from the cache.
    pub cache: CacheUse,
    /// Kernels that are booted although their boots are cached, to compare what they say.
    pub audited: BTreeSet<KernelName>,
    /// How many schedules of each guest to try, in virtual time.
    pub seeds: u32,
    /// How many boots are to confirm a bug that one showed: each with the next seed, in virtual time.
    pub confirm: u32,
    /// Whether a pass that no control proves is no answer.
    pub strict: bool,
    /// Functions of each kernel whose entries to count while its reproducers run, at most 64. They then run one after
    /// another.
    pub reach: BTreeMap<KernelName, Vec<String>>,
}

impl RunPlan {
    /// Judges these kernels under these profiles: one schedule each, without locks and earlier looks.
    ///
    /// # Errors
    /// If a user's program cannot be used.
    pub fn plain(matrix: Matrix, bugs: Bugs, profiles: Vec<Profile>, cache: CacheUse) -> Result<Self, BadPrograms> {
        Ok(Self {
            programs: programs(&matrix, &bugs)?,
            matrix,
            bugs,
            profiles,
            locked: BTreeMap::new(),
            skipped: BTreeMap::new(),
            looked: BTreeMap::new(),
            natural: false,
            cache,
            audited: BTreeSet::new(),
            seeds: 1,
            confirm: 1,
            strict: false,
            reach: BTreeMap::new(),
        })
    }

    /// A kernel's questions, by profile.
    fn questions<'a>(&'a self, entry: &'a KernelEntry) -> impl Iterator<Item = Question> + 'a {
        let of_profile = move |profile: &'a Profile| {
            let bugs = entry.bugs.iter().filter(|bug| profile.bugs.contains(bug));
            bugs.map(move |bug| Question {
                kernel: entry.name.clone(),
                job: JobId { bug: bug.clone(), profile: profile.name.clone() },
                expect: entry.expected(bug),
                mitigates: profile.mitigates.contains(bug),
                control: entry.is_control(),
                strict: self.strict,
            })
        };
        self.profiles.iter().flat_map(of_profile)
    }

    /// The trial of a job, if its bug has a reproducer.
    fn trial(&self, job: &JobId) -> Option<Trial<'_>> {
        let of_job = |profile: &&Profile| profile.name == job.profile && profile.bugs.contains(&job.bug);
        let bug = self.bugs.get(&job.bug)?;
        let reproducer = bug.reproducer.as_ref()?;
        let program = match &reproducer.program {
            matrix::ProgramSource::BuiltIn { .. } => None,
            matrix::ProgramSource::Own(_) => Some(&self.programs.get(&bug.id)?.program),
        };
        let profile = self.profiles.iter().find(of_job)?;
        let shares = self.matrix.share_guest.contains(&bug.id);
        Some(Trial { bug: &bug.id, reproducer, program, profile, shares, strings: &bug.strings, added: &[] })
    }
}

/// Judges every cell of the matrix, `lab.jobs` kernels at a time, and sends events. Dropping the future ends every guest.
/// It ignores a closed receiver, because the program is ending then.
pub async fn run(asked: RunPlan, lab: Arc<Lab>, events: UnboundedSender<Event>) {
    let planned = asked.matrix.kernels.iter().flat_map(|entry| asked.questions(entry)).collect();
    let _ = events.send(Event::Planned(planned));
    let asked = Arc::new(asked);
    let repositories = Arc::new(Repositories::default());
    let places = Arc::new(Semaphore::new(lab.jobs));
    let (mut workers, mut kernels) = (JoinSet::new(), HashMap::new());
    for (index, entry) in asked.matrix.kernels.iter().enumerate() {
        // None of its bugs has one of the profiles.
        if asked.questions(entry).next().is_none() {
            continue;
        }
        // Workers start one by one, to keep the matrix's order.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let (asked, lab, events) = (Arc::clone(&asked), Arc::clone(&lab), events.clone());
        let (repositories, places) = (Arc::clone(&repositories), Arc::clone(&places));
        let kernel = entry.name.clone();
        let worker = workers.spawn(async move {
            let Some(entry) = asked.matrix.kernels.get(index) else { return };
            judge(entry, &asked, &lab, &repositories, &places, &events).await;
            let _ = events.send(Event::Done { kernel: entry.name.clone() });
            drop(place);
        });
        kernels.insert(worker.id(), kernel);
    }
    // If a worker panics, its cells stay errors, and the other kernels are judged.
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended
            && let Some(kernel) = kernels.get(&error.id())
        {
            let why = panic_message(error);
            let _ = events.send(Event::Failed { kernel: kernel.clone(), why });
        }
    }
}

/// What a worker that panicked said.
fn panic_message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "its worker was cancelled".to_owned() };
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// Settles all cells of one kernel.
async fn judge(
    entry: &KernelEntry,
    asked: &RunPlan,
    lab: &Arc<Lab>,
    repositories: &Repositories,
    places: &Arc<Semaphore>,
    events: &UnboundedSender<Event>,
) {
    let _ = events.send(Event::Obtaining { kernel: entry.name.clone(), progress: None });
    let questions: Vec<Question> = asked.questions(entry).collect();
    let mut tell = Tell { questions, bugs: &asked.bugs, looked: KernelLook::default(), events };
    if let Some(reason) = asked.skipped.get(&entry.name) {
        return tell.all(&Boots::Inapplicable { reason: reason.clone(), allowed: true });
    }
    let locked = asked.locked.get(&entry.name);
    let kernel = match obtain(entry, locked, lab, events).await {
        Ok(kernel) => kernel,
        Err(boots) => return tell.all(&boots),
    };
    let _ = events.send(Event::Obtained(KernelRecord {
        name: entry.name.clone(),
        source: entry.source.to_string(),
        release: kernel.release.clone(),
        image_sha256: kernel.image_sha256.clone(),
        provenance: kernel.provenance.clone(),
        files: kernel.files.clone(),
        locked: locked.is_some(),
        stale: kernel.stale.clone(),
        boots: Vec::new(),
    }));

    let asks_for = |bug: &BugId| tell.questions.iter().any(|question| question.job.bug == *bug);
    let bugs = entry.bugs.iter().filter(|id| asks_for(id)).filter_map(|id| asked.bugs.get(id)).cloned().collect();
    tell.looked = match asked.looked.get(&entry.name) {
        Some(looked) => looked.clone(),
        None => look(entry, &kernel, bugs, lab, repositories, events).await,
    };

    let mut to_boot: Vec<(&BugId, Vec<&str>)> = Vec::new();
    let asks_for = |bug: &BugId| tell.questions.iter().any(|question| question.job.bug == *bug);
    for bug in entry.bugs.iter().filter(|id| asks_for(id)).filter_map(|id| asked.bugs.get(id)) {
        let skip = |reason| tell.bug(&bug.id, kernel.release.as_ref(), &Boots::Inapplicable { reason, allowed: false });
        if let Some(boots) = tell.looked.said.get(&bug.id).and_then(Boots::without_code) {
            tell.bug(&bug.id, kernel.release.as_ref(), &boots);
            continue;
        }
        let Some(reproducer) = &bug.reproducer else {
            // Without a reproducer, the other witnesses decide.
            tell.bug(&bug.id, kernel.release.as_ref(), &Boots::NotAsked);
            continue;
        };
        match applies(&kernel, reproducer) {
            Applies::Yes => {
                let program = asked.programs.get(&bug.id).map(|own| &own.program);
                to_boot.push((&bug.id, needed_modules(reproducer, program)));
            }
            Applies::No(reason) => skip(reason),
        }
    }
    let (mut loaded, without) = modules(&kernel, &to_boot);
    to_boot.retain(|(bug, _)| !without.contains_key(bug));
    for (bug, boots) in without {
        tell.bug(&bug, kernel.release.as_ref(), &boots);
    }
    let booted_bug = |trial: &Trial| to_boot.iter().any(|(bug, _)| *bug == trial.bug);
    let trials: Vec<Trial> =
        tell.questions.iter().filter_map(|question| asked.trial(&question.job)).filter(booted_bug).collect();
    if trials.is_empty() {
        return;
    }
    for text in add_profile_modules(&kernel, trials.iter().map(|trial| trial.profile), &mut loaded) {
        let _ = events.send(Event::Note { kernel: entry.name.clone(), text });
    }
    let cache = if asked.audited.contains(&entry.name) { CacheUse::Fresh } else { asked.cache };
    let (natural, seeds, confirm) = (asked.natural, asked.seeds, asked.confirm);
    let reach = asked.reach.get(&entry.name).map_or(&[][..], Vec::as_slice);
    let bench = Bench {
        entry,
        kernel: &kernel,
        modules: &loaded,
        lab,
        places,
        events,
        natural,
        cache,
        seeds,
        confirm,
        reach,
        booted: &AtomicU32::new(0),
        control: None,
    };
    let mut booted: BTreeMap<JobId, Booted> = boot_with_requested(&bench, &trials).await;
    run_controls(&bench, &trials, &asked.programs, &mut booted).await;
    for question in &tell.questions {
        let Some(booted) = booted.remove(&question.job) else { continue };
        let release = booted.release.or_else(|| kernel.release.clone());
        let Settlement { boots, checks, fault, wire, crash, said, guest_ms, requested: _ } = booted.settlement;
        let trials = CellTrials {
            seconds: milliseconds(booted.seconds),
            boots: booted.folders,
            checks,
            fault,
            retried: booted.retried,
            crash,
            said,
            guest_ms,
            unexplained: booted.unexplained,
            shared_with: booted.shared_with,
            cached: booted.cached,
            differs: booted.differs,
            seeds: booted.seeds,
            reach: booted.reach,
            positive_control: booted.positive_control,
            autoloaded: booted.autoloaded,
        };
        tell.cell(question, release, boots, trials, wire);
    }
}

/// Obtains the kernel in a thread, because it takes long.
pub(super) async fn obtain(
    entry: &KernelEntry,
    locked: Option<&Locked>,
    lab: &Arc<Lab>,
    events: &UnboundedSender<Event>,
) -> Result<Kernel, Boots> {
    if let Some(locked) = locked {
        let text = format!("taken as its lock has it, of {}", locked.when);
        let _ = events.send(Event::Note { kernel: entry.name.clone(), text });
    }
    let locked = locked.map(|locked| locked.files.clone());
    let (name, source, optional) = (entry.name.clone(), entry.source.clone(), entry.optional);
    let (lab, events) = (Arc::clone(lab), events.clone());
    let obtained = tokio::task::spawn_blocking(move || {
        let tell = |progress| {
            let _ = events.send(Event::Obtaining { kernel: name.clone(), progress: Some(progress) });
        };
        let with = Obtain {
            store: &lab.store,
            shim: &lab.shim,
            offline: lab.offline,
            refresh: lab.refresh,
            locked: locked.as_deref(),
            tell: &tell,
        };
        kernel::obtain(&source, &with)
    });
    match obtained.await {
        Ok(obtained) => obtained.map_err(|error| unobtainable(error, optional)),
        Err(died) => Err(Boots::Broke(format!("backproof failed while it obtained the kernel: {died}"))),
    }
}

fn unobtainable(error: ObtainError, optional: bool) -> Boots {
    let gone = error.is_gone();
    let reason = format!("{:#}", anyhow::Error::new(error));
    if optional && gone { Boots::Inapplicable { reason, allowed: true } } else { Boots::Broke(reason) }
}

/// Sends the cells of one kernel.
struct Tell<'a> {
    questions: Vec<Question>,
    bugs: &'a Bugs,
    /// What was said of each bug without a boot.
    looked: KernelLook,
    events: &'a UnboundedSender<Event>,
}

impl Tell<'_> {
    fn all(&self, boots: &Boots) {
        for question in &self.questions {
            self.cell(question, None, boots.clone(), CellTrials::default(), WireRecord::default());
        }
    }

    /// Sends all cells of a bug that no boot settles.
    fn bug(&self, bug: &BugId, release: Option<&String>, boots: &Boots) {
        for question in self.questions.iter().filter(|question| question.job.bug == *bug) {
            self.cell(question, release.cloned(), boots.clone(), CellTrials::default(), WireRecord::default());
        }
    }

    fn cell(&self, question: &Question, release: Option<String>, boots: Boots, trials: CellTrials, wire: WireRecord) {
        let case = Case {
            bug: self.bugs.get(&question.job.bug),
            said: self.looked.said.get(&question.job.bug).cloned().unwrap_or_default(),
            boots,
            release: self.looked.release.as_ref(),
            earlier: None,
        };
        let cell = Box::new(Cell::judged(question, release, case, trials));
        let _ = self.events.send(Event::Judged { cell, wire });
    }
}
