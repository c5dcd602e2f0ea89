//! Whether the reproducers are ever wrong: `make soak`.
//!
//! Every control kernel, whose truth is known because it was set, is booted again and again, many guests at a time so
//! that the host is far too busy, and judges every bug many times in each boot. Prints, for each kernel, how many
//! reports were right, wrong, or errors, and each reason. Ends with 1 where one verdict was wrong, or reports are
//! missing.
//!
//! In virtual time each boot of a kernel has a seed of its own, and no deadline is longer than a run's.
//!
//! `cargo bench --bench soak -- [--real] [--boots N] [--repeat N] [--guests N] [--matrix FILE] [--tag TAG] [--kernel NAME]…`
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backproof::evidence::runtime::{Ran, Testimony, weigh};
use backproof::guest::{initramfs, module_file};
use backproof::kernel::{self, Kernel, Module, Obtain, Store};
use backproof::matrix::{self, Bug, Bugs, KernelEntry, ReproducerSpec};
use backproof::shim::Shim;
use backproof::vm::{Accel, Boot, Deadlines, GuestSpec, HostLoad, Hypervisor, Qemu, VirtualTime};
use backproof::words::{Expectation, KernelName, Outcome};
use backproof_protocol::{Job, Plan, Report, VERSION};
use clap::Parser;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How often each bug's deadline a job may take here in real time: the host is that much busier than a run keeps it.
const PATIENCE: u64 = 4;

/// Begins the reason of an error that is a boot's, beside those of its reports.
const BOOT: &str = "the boot: ";

#[derive(Parser)]
struct Soak {
    /// Real time instead of virtual time
    #[arg(long)]
    real: bool,
    /// Boots of each kernel, in virtual time each under another seed
    #[arg(long, default_value_t = 20)]
    boots: u32,
    /// How often each bug is judged in a boot
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Guests at a time [default: eight for each processor, which keeps about half of them waiting for one]
    #[arg(long)]
    guests: Option<usize>,
    /// The matrix
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels.yaml"))]
    matrix: PathBuf,
    /// Kernels with this tag
    #[arg(long, default_value = "control")]
    tag: String,
    /// Only this kernel (may be repeated)
    #[arg(long)]
    kernel: Vec<KernelName>,
    /// What cargo gives every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let soak = Soak::parse();
    let bugs = Bugs::built_in();
    let tags = if soak.kernel.is_empty() { vec![soak.tag.clone()] } else { Vec::new() };
    let matrix = matrix::load(&soak.matrix, &bugs)?.select(&soak.kernel, &[], &tags)?;
    let processors = std::thread::available_parallelism()?.get();
    let guests = soak.guests.unwrap_or(8 * processors);
    let host = Arc::new(Host {
        hypervisor: Hypervisor::Qemu(Qemu::find(None)?),
        shim: Shim::at(env!("CARGO_BIN_EXE_backproof").into()),
        load: if soak.real { HostLoad::now().at_least(guests, processors) } else { HostLoad::IDLE },
        real: soak.real,
    });
    let store = Store::open(None)?;
    let subjects: Vec<Arc<Subject>> = matrix
        .kernels
        .iter()
        .map(|entry| Subject::obtain(entry, &bugs, &store, &host, soak.repeat).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let reports = subjects.len() * soak.boots as usize * soak.repeat * bugs.iter().count();
    println!("{} kernels, {} boots of each, {reports} reports, {guests} guests at a time", subjects.len(), soak.boots);

    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (scores, loads) = runtime.block_on(boot_all(&host, &subjects, soak.boots, guests));
    let mut total = Score::default();
    for (name, score) in &scores {
        print!("{name:36} {score}");
        total.add(score);
    }
    println!("\nin all {total}");
    let mean = loads.iter().sum::<f64>() / loads.len().max(1) as f64;
    let most = loads.iter().copied().fold(0.0, f64::max);
    println!(
        "{:.0} s; load average {mean:.1} in the mean, {most:.1} at most, on {processors} processors",
        began.elapsed().as_secs_f64()
    );
    let judged = total.right + total.wrong.values().sum::<usize>();
    let counted = judged + total.errors.iter().filter(|(why, _)| !why.starts_with(BOOT)).map(|(_, n)| n).sum::<usize>();
    if counted != reports {
        println!("only {counted} of {reports} reports are accounted for");
    }
    let good = total.wrong.is_empty() && judged > 0 && counted == reports;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What boots a guest.
struct Host {
    hypervisor: Hypervisor,
    shim: Shim,
    load: HostLoad,
    real: bool,
}

/// A kernel whose truth is known.
struct Subject {
    entry: KernelEntry,
    kernel: Kernel,
    modules: Vec<Module>,
    plan: Plan,
}

impl Subject {
    fn obtain(
        entry: &KernelEntry,
        bugs: &Bugs,
        store: &Store,
        host: &Host,
        repeat: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let with = Obtain { store, shim: &host.shim, offline: false, refresh: false, locked: None, tell: &|_| {} };
        let kernel = kernel::obtain(&entry.source, &with)?;
        let bugs: Vec<(&Bug, &ReproducerSpec)> =
            entry.bugs.iter().filter_map(|id| bugs.get(id)).filter_map(|b| Some((b, b.reproducer.as_ref()?))).collect();
        let wanted: Vec<&str> = bugs.iter().flat_map(|(_, r)| &r.needs.modules).map(String::as_str).collect();
        // A kernel without a module that is needed has to say so itself here: that is one of its verdicts.
        let modules = kernel.modules_for(&wanted).unwrap_or_default();
        let job = |(bug, reproducer): &(&Bug, &ReproducerSpec), turn| {
            let deadline = u64::try_from(reproducer.deadline.as_millis()).unwrap_or(u64::MAX);
            let patience = if host.real { PATIENCE } else { 1 };
            Job { id: format!("{}#{turn}", bug.id), ..Job::new(bug.id.as_str(), deadline.saturating_mul(patience)) }
        };
        let plan = Plan {
            version: VERSION,
            modules: modules.iter().map(|module| module_file(&module.name)).collect(),
            // One of each bug after the other, so that different ones run beside each other.
            jobs: (1..=repeat).flat_map(|turn| bugs.iter().map(move |bug| job(bug, turn))).collect(),
            reach: Vec::new(),
        };
        Ok(Self { entry: entry.clone(), kernel, modules, plan })
    }

    async fn boot(&self, host: &Host, seed: u32) -> Result<Boot, Box<dyn Error + Send + Sync>> {
        let settings = &self.entry.guest;
        let cpus = settings.cpus.unwrap_or(1);
        let spec = GuestSpec {
            image: self.kernel.image.clone(),
            release: kernel::image_release(&self.kernel.image)?,
            initramfs: initramfs(&self.plan, &self.modules, &[])?,
            jobs: self.plan.jobs.clone(),
            cmdline_extra: settings.cmdline.clone(),
            machine: settings.machine.unwrap_or_default(),
            memory_mib: settings.memory_mib.unwrap_or(256),
            cpus,
            disks: Vec::new(),
            accel: Accel::Tcg,
            // A guest with several processors has no virtual time.
            time: (!host.real && cpus == 1).then(|| VirtualTime::with_seed(seed)),
        };
        let deadlines = Deadlines::new(Accel::Tcg, host.load);
        Ok(host.hypervisor.boot(&host.shim, &spec, &deadlines, &mut |_| {}).await)
    }
}

/// How many reports were what.
#[derive(Default)]
struct Score {
    right: usize,
    /// What was said, and how often.
    wrong: BTreeMap<String, usize>,
    errors: BTreeMap<String, usize>,
}

impl Score {
    fn add(&mut self, other: &Self) {
        self.right += other.right;
        for (sum, part) in [(&mut self.wrong, &other.wrong), (&mut self.errors, &other.errors)] {
            for (why, count) in part {
                *sum.entry(why.clone()).or_default() += count;
            }
        }
    }

    /// Counts the reports of a boot, those that never came included.
    fn count(&mut self, subject: &Subject, boot: &Boot) {
        for job in &subject.plan.jobs {
            match boot.report(&job.id) {
                Some(report) => self.count_report(subject, job, report),
                None => *self.errors.entry(format!("{}: no report", job.bug)).or_default() += 1,
            }
        }
        if let Err(failure) = &boot.end {
            *self.errors.entry(format!("{BOOT}{failure}")).or_default() += 1;
        }
    }

    fn count_report(&mut self, subject: &Subject, job: &Job, report: &Report) {
        let Some((_, expected)) = subject.entry.expect.iter().find(|(id, _)| id.as_str() == job.bug) else {
            return self.count_outcome(job, Expectation::default(), report);
        };
        self.count_outcome(job, *expected, report);
    }

    fn count_outcome(&mut self, job: &Job, expected: Expectation, report: &Report) {
        let bug = &job.bug;
        let outcome = match weigh(report, Ran { sysctls: &job.sysctls, own_program: false }) {
            Testimony::Finding(finding) if finding.states.iter().all(|s| s.is_affected()) => Outcome::Fail,
            Testimony::Finding(_) => Outcome::Pass,
            Testimony::NotApplicable(_) => Outcome::Skip,
            Testimony::Broken(why) => return *self.errors.entry(format!("{bug}: {}", shape(&why))).or_default() += 1,
        };
        let wanted = match expected {
            Expectation::Outcome(outcome) => outcome,
            Expectation::State(state) if state.is_affected() => Outcome::Fail,
            Expectation::State(_) => Outcome::Pass,
        };
        if outcome == wanted {
            self.right += 1;
        } else {
            let why = format!("{bug}: {outcome} instead of {wanted}: {}", report.why);
            *self.wrong.entry(why).or_default() += 1;
        }
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>();
        writeln!(f, "{} right, {} WRONG, {} errors", self.right, count(&self.wrong), count(&self.errors))?;
        let mut text = String::new();
        for (what, counts) in [("WRONG", &self.wrong), ("error", &self.errors)] {
            for (why, count) in counts {
                writeln!(text, "    {what} {count} x {}", why.chars().take(400).collect::<String>())?;
            }
        }
        f.write_str(&text)
    }
}

/// A reason without its figures, so that reasons of one kind are counted as one.
fn shape(why: &str) -> String {
    let mut shape = String::new();
    for c in why.chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if c != '#' || !shape.ends_with('#') {
            shape.push(c);
        }
    }
    shape
}

/// Boots every kernel so often, so many guests at a time; gives the scores, and the host's load meanwhile.
async fn boot_all(
    host: &Arc<Host>,
    subjects: &[Arc<Subject>],
    boots: u32,
    guests: usize,
) -> (BTreeMap<KernelName, Score>, Vec<f64>) {
    let places = Arc::new(Semaphore::new(guests));
    let mut workers = JoinSet::new();
    // A boot of each kernel in turn, so that different kernels run beside each other.
    for (seed, subject) in (1..=boots).flat_map(|seed| subjects.iter().map(move |subject| (seed, subject))) {
        let (subject, host, places) = (Arc::clone(subject), Arc::clone(host), Arc::clone(&places));
        workers.spawn(async move {
            let _place = places.acquire_owned().await;
            let boot = subject.boot(&host, seed).await;
            (subject, boot)
        });
    }
    let mut scores: BTreeMap<KernelName, Score> = BTreeMap::new();
    let mut loads = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    let all = workers.len();
    loop {
        tokio::select! {
            ended = workers.join_next() => {
                let Some(ended) = ended else { return (scores, loads) };
                let Ok((subject, boot)) = ended else { continue };
                let score = scores.entry(subject.entry.name.clone()).or_default();
                match boot {
                    Ok(boot) => score.count(&subject, &boot),
                    // None of its reports came.
                    Err(error) => {
                        let why = format!("a boot that could not be tried: {error}");
                        *score.errors.entry(why).or_default() += subject.plan.jobs.len();
                    }
                }
                eprintln!("{} of {all} boots", all - workers.len());
            }
            _ = tick.tick() => loads.extend(load()),
            // What is known by then is worth reading.
            _ = tokio::signal::ctrl_c() => return (scores, loads),
        }
    }
}

/// The host's load average of the last minute.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
