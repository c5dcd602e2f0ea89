//! Decides which jobs can run, and which of them concurrently.

use std::collections::VecDeque;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::books::{self, Books};
use super::features::Features;
use super::leftovers::Cleanliness;
use super::modules::FailedModule;
use super::port::Port;
use super::process::{Running, watch};
use super::reach::Probes;
use crate::modprobe::ModuleRequests;
use crate::own_program;
use crate::registry;
use crate::reproducer::BuiltInReproducer;
use crate::sut::sysctl;
use crate::task::{SUBCOMMAND, Task};
use backproof_protocol::{Conclusion, Job, Message, Plan, Report};

/// The most concurrent jobs. More would compete for processor time and delay their peers' answers.
const TOGETHER: usize = 6;

/// Whose kernel the jobs run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelOwner {
    /// A guest that exists only for this.
    Guest,
    /// A live host, where only settings of a namespace may change.
    LiveHost,
}

/// Runs all jobs and sends their reports; returns the number of reports.
pub fn run_all(port: &mut Port, plan: &Plan, features: &Features, failed: &[FailedModule], place: KernelOwner) -> u32 {
    let mut reports = 0;
    let (mut together, mut in_turn) = (Vec::new(), Vec::new());
    for job in &plan.jobs {
        let reproducer = registry::find(&job.bug).filter(|_| job.program.is_none());
        let missing = missing_modules(job, failed);
        let unmet = match (reproducer, &job.program) {
            (Some(reproducer), _) => unmet(reproducer, features, &missing),
            (None, Some(_)) => unloaded(&missing),
            (None, None) => Some((Conclusion::Error, format!("this agent has no reproducer called `{}`", job.bug))),
        };
        let sets = reproducer.map_or(&[][..], |reproducer| reproducer.sets);
        match unmet {
            Some((conclusion, why)) => reports += conclude(port, &job.id, conclusion, why),
            // A user's program may change what others share, and is cleaned up after.
            None if can_run_beside(job, sets, features) && job.program.is_some() => in_turn.push((job, sets, true)),
            None if can_run_beside(job, sets, features) => together.push(job),
            None if place == KernelOwner::LiveHost => {
                let why = "the reproducer would have to change settings that this kernel shares between network \
                           namespaces, which is not allowed on a live host";
                reports += conclude(port, &job.id, Conclusion::Skip, why.to_owned());
            }
            None => in_turn.push((job, sets, false)),
        }
    }
    let ipv6 = features.has("ipv6");
    let start = |port: &mut Port, job: &Job, own_namespace, turn| {
        port.say(&Message::Started {
            job: job.id.clone(),
            tainted: books::tainted(&job.run.books),
            uptime_ms: Some(super::uptime_ms()),
        });
        let task = Task { job: job.clone(), own_namespace, ipv6, turn };
        // A task consists of strings and numbers, which always serialize.
        let task = serde_json::to_string(&task).unwrap_or_default();
        // The process that runs a user's program kills it at its deadline, with its process group.
        let grace = if job.program.is_some() { own_program::GRACE_MS } else { 0 };
        Running::start(
            &job.id,
            job.deadline_ms.saturating_add(grace),
            Command::new("/proc/self/exe").args([SUBCOMMAND, &task]),
        )
    };
    // A live host is never probed.
    let probes = if place == KernelOwner::Guest { Probes::insert(&plan.reach) } else { None };
    if probes.is_none() {
        let mut together = together.drain(..);
        reports += watch(port, TOGETHER, |port| together.next().map(|job| start(port, job, true, 0)));
    }
    let mut in_turn: VecDeque<_> = together.into_iter().map(|job| (job, &[][..], true)).chain(in_turn).collect();
    let has_program = place == KernelOwner::Guest && plan.jobs.iter().any(|job| job.program.is_some());
    let mut requests = match has_program.then(ModuleRequests::open).transpose() {
        Ok(requests) => requests,
        Err(error) => {
            port.say(&Message::Note { text: format!("cannot hear which modules the kernel requests: {error}") });
            None
        }
    };
    // Each program leaves the guest as the first one found it.
    let mut clean = None;
    let mut turn: u8 = 0;
    while let Some((job, sets, own_namespace)) = in_turn.pop_front() {
        let shared = sets.iter().copied().chain(job.sysctls.keys().map(String::as_str));
        let kept = Kept::of(shared.filter(|_| !own_namespace));
        let watched = Books::open(&job.run.books);
        let before = probes.as_ref().map(Probes::counts);
        requests.iter().for_each(ModuleRequests::listen);
        let is_followed = job.program.is_some() && !in_turn.is_empty();
        let clean = is_followed.then(|| &*clean.get_or_insert_with(Cleanliness::of_guest));
        let mut waiting = Some(job);
        reports += watch(port, 1, |port| waiting.take().map(|job| start(port, job, own_namespace, turn)));
        turn = turn.wrapping_add(u8::from(!own_namespace));
        // A deferred crash comes after the program's end, and there is no event for one that does not come.
        thread::sleep(Duration::from_millis(job.run.settle_ms));
        if let (Some(probes), Some(before)) = (&probes, before) {
            port.say(&Message::Reach(probes.reach(&job.id, before, probes.counts())));
        }
        if let Some(watched) = watched {
            port.say(&Message::Aftermath(watched.aftermath(&job.id)));
        }
        let requested = requests.as_mut().map(ModuleRequests::heard).unwrap_or_default();
        if job.program.is_some() && !requested.is_empty() {
            port.say(&Message::Requested { job: job.id.clone(), modules: requested });
        }
        let left = clean.into_iter().flat_map(Cleanliness::restore);
        for text in kept.put_back().into_iter().chain(left) {
            port.say(&Message::Note { text });
        }
    }
    reports
}

/// Sends a report that needs no process, after a start message, because the protocol requires one.
fn conclude(port: &mut Port, job: &str, conclusion: Conclusion, why: String) -> u32 {
    port.say(&Message::Started { job: job.to_owned(), tainted: None, uptime_ms: None });
    port.say(&Message::Report(Report {
        job: job.to_owned(),
        conclusion,
        why,
        checks: Vec::new(),
        reported: false,
        took_ms: 0,
    }));
    1
}

/// Why the reproducer can't run here. A missing kernel feature is a skip; a module that failed to load is an error.
fn unmet(
    reproducer: &BuiltInReproducer,
    features: &Features,
    missing_modules: &[&str],
) -> Option<(Conclusion, String)> {
    let missing = reproducer.needs.iter().find(|need| !features.has(need))?;
    Some(match missing_modules {
        [] => (Conclusion::Skip, format!("this kernel lacks {missing}, which the reproducer needs")),
        failed => (Conclusion::Error, format!("{missing} is missing: {}", failed.join("; "))),
    })
}

/// Why modules that a job needs are not loaded. Those of other jobs, and optional ones, are not its concern.
fn missing_modules<'a>(job: &Job, failed: &'a [FailedModule]) -> Vec<&'a str> {
    failed.iter().filter(|module| job.modules.contains(&module.file)).map(|module| module.why.as_str()).collect()
}

/// Why a user's program can't run here: it needs modules that are not loaded.
fn unloaded(missing_modules: &[&str]) -> Option<(Conclusion, String)> {
    (!missing_modules.is_empty()).then(|| (Conclusion::Error, missing_modules.join("; ")))
}

/// Whether the job can run concurrently in its own namespace: all sysctls of its profile and its reproducer are per
/// namespace.
fn can_run_beside(job: &Job, sets: &[&str], features: &Features) -> bool {
    let profile_is_local = job.sysctls.keys().all(|name| features.per_namespace(name));
    features.has("net-ns") && profile_is_local && sets.iter().all(|name| features.per_namespace(name))
}

/// The sysctls' values before a job that runs in the first namespace.
struct Kept(Vec<(String, String)>);

impl Kept {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        // A sysctl that does not exist can't be changed either.
        Self(names.filter_map(|name| Some((name.to_owned(), sysctl::read(name).ok()?))).collect())
    }

    fn put_back(self) -> Vec<String> {
        let failed = |(name, value): (String, String)| {
            let error = sysctl::write(&name, &value).err()?;
            Some(format!("cannot restore {name} to `{value}`: {error}"))
        };
        self.0.into_iter().filter_map(failed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(sysctls: &[&str]) -> Job {
        let sysctls = sysctls.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
        Job { sysctls, ..Job::new("syn-cookie-data-loss", 1) }
    }

    #[test]
    fn jobs_with_global_sysctls_run_one_after_another() {
        let sets = &["net.ipv4.tcp_syncookies"];
        let own = "net-ns-sysctl net.ipv4.tcp_syncookies";
        let queue = ("net-ns-sysctl net.core.somaxconn", true);
        for (features, sysctls, expected) in [
            (&[("net-ns", true), queue, (own, true)][..], &[][..], true),
            (&[("net-ns", true), queue, (own, false)], &[], false),
            (&[("net-ns", false), queue, (own, true)], &[], false),
            (&[], &[], false),
            (&[("net-ns", true), queue, (own, true)], &["net.ipv4.tcp_syncookies"], true),
            (&[("net-ns", true), queue, (own, true)], &["net.ipv4.tcp_sack"], false),
            (&[("net-ns", true), queue, (own, true)], &["kernel.printk"], false),
        ] {
            assert_eq!(can_run_beside(&job(sysctls), sets, &Features::of(features)), expected, "{features:?}");
        }
    }

    #[test]
    fn module_that_fails_concerns_only_the_jobs_that_need_it() {
        let failed =
            [FailedModule { file: "sctp.ko".to_owned(), why: "cannot load module sctp.ko: No such device".to_owned() }];
        let job =
            |modules: &[&str]| Job { modules: modules.iter().map(|name| (*name).to_owned()).collect(), ..job(&[]) };
        for (modules, expected) in
            [(&["sctp.ko"][..], true), (&["tun.ko", "sctp.ko"], true), (&["tun.ko"], false), (&[], false)]
        {
            assert_eq!(unloaded(&missing_modules(&job(modules), &failed)).is_some(), expected, "{modules:?}");
        }
    }

    #[test]
    fn missing_feature_skips_and_failed_load_is_an_error() {
        let reproducer = registry::find("syn-cookie-data-loss").expect("there");
        let failed = ["cannot load module tun.ko: Exec format error"];
        for (features, missing, expected) in [
            (&[("tun", true), ("syn-cookies", true)][..], &[][..], None),
            (&[("tun", true), ("syn-cookies", true)], &failed, None),
            (&[("tun", true), ("syn-cookies", false)], &[], Some(Conclusion::Skip)),
            (&[("tun", true)], &[], Some(Conclusion::Skip)),
            (&[("syn-cookies", true)], &failed, Some(Conclusion::Error)),
        ] {
            let found = unmet(reproducer, &Features::of(features), missing);
            assert_eq!(found.as_ref().map(|(conclusion, _)| *conclusion), expected, "{found:?}");
        }
    }
}
