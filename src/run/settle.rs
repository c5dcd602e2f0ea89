//! Settles the cells of one kernel, without a boot or by its guests' reports.

use std::collections::BTreeMap;
use std::time::Duration;

use backproof_protocol::{Check, Conclusion, Report};

use super::aftermath::{Blind, BooksShown, read_books};
use super::boot_end::{BootEnd, WireRecord};
use super::crash::{self, CrashSeen, CrashWanted};
use super::retry::{CellFault, fault};
use crate::evidence::runtime::{Ran, Testimony, beside_counters, weigh};
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::kernel::{Kernel, Module, ModulesError};
use crate::matrix::{ReproducerSpec, TaintFlags, TellingString};
use crate::verdict::Boots;
use crate::vm::{AwaitedEvent, Failure, FailureKind, Printk};
use crate::words::{BugId, JobId};

/// Whether a reproducer applies to a kernel, as far as its packages tell.
pub enum Applies {
    /// It has to be booted.
    Yes,
    /// It lacks what the reproducer needs: why.
    No(String),
}

/// Kernel options that every guest needs: the console is on ttyS0, and the agent on ttyS1.
const SERIAL: [&str; 2] = ["SERIAL_8250", "SERIAL_8250_CONSOLE"];

/// Whether the kernel's configuration has what a reproducer needs. Without a configuration the guest decides.
pub fn applies(kernel: &Kernel, reproducer: &ReproducerSpec) -> Applies {
    let needs = &reproducer.needs;
    let Some(config) = &kernel.config else { return Applies::Yes };
    if let Some(option) = SERIAL.iter().find(|option| !config.is_builtin(option)) {
        return Applies::No(format!(
            "the kernel has no serial console to be heard on: its configuration lacks CONFIG_{option}=y"
        ));
    }
    let is_set = |option: &String| config.is_set(option.strip_prefix("CONFIG_").unwrap_or(option));
    let crash = reproducer.own().and_then(|own| own.crash.as_ref());
    if let Some(why) = crash.and_then(|crash| crash.unreported(|option| is_set(&option.to_owned()))) {
        return Applies::No(why);
    }
    let missing: Vec<&str> = needs.config.iter().filter(|option| !is_set(option)).map(String::as_str).collect();
    if missing.is_empty() {
        Applies::Yes
    } else {
        Applies::No(format!("the kernel was built without {}", missing.join(", ")))
    }
}

/// The modules that these bugs need, in load order. Settles bugs without them: skip if the kernel lacks a module, error if
/// it cannot be read.
pub fn modules(kernel: &Kernel, bugs: &[(&BugId, Vec<&str>)]) -> (Vec<Module>, BTreeMap<BugId, Boots>) {
    let mut loaded: Vec<Module> = Vec::new();
    let mut without = BTreeMap::new();
    for (bug, wanted) in bugs {
        match kernel.modules_for(wanted) {
            Ok(modules) => {
                for module in modules {
                    if !loaded.iter().any(|known| known.name == module.name) {
                        loaded.push(module);
                    }
                }
            }
            Err(error @ ModulesError::Absent { .. }) => {
                without.insert((*bug).clone(), Boots::Inapplicable { reason: error.to_string(), allowed: false });
            }
            Err(error) => {
                without.insert((*bug).clone(), Boots::Broke(format!("{:#}", anyhow::Error::new(error))));
            }
        }
    }
    (loaded, without)
}

/// How a guest's report settles a job.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What became of the boots.
    pub boots: Boots,
    /// The checks of the report that settled it.
    pub checks: Vec<Check>,
    /// What broke, if it has no answer.
    pub fault: Option<CellFault>,
    /// What the wire saw.
    pub wire: WireRecord,
    /// The crash by which the bug showed.
    pub crash: Option<CrashSeen>,
    /// What the user's program said.
    pub said: Vec<String>,
    /// How long the job took in the guest, in milliseconds.
    pub guest_ms: Option<u64>,
    /// The modules that the kernel requested while the job ran, and that the guest did not have.
    pub requested: Vec<String>,
}

/// What it takes to settle a job.
#[derive(Clone, Copy, Debug)]
pub struct JobTerms<'a> {
    /// How it ran.
    pub ran: Ran<'a>,
    /// The crash that is the bug.
    pub crash: Option<CrashWanted<'a>>,
    /// The bug's telling strings.
    pub strings: &'a [TellingString],
    /// Whether nothing else ran in its guest.
    pub alone: bool,
}

/// Settles a job by a boot of its reproducer, and by the counters that tell of the bug.
pub fn by_boot(job: &JobId, terms: JobTerms<'_>, end: &BootEnd) -> Settlement {
    let id = job.to_string();
    let report = end.reports.iter().find(|report| report.job == id).cloned();
    let mut books = terms.crash.map(|wanted| read_books(wanted, end, &id)).unwrap_or_default();
    let mut crash = None;
    let boots = match (&end.failure, &report) {
        (Some(failure), _) => {
            let showed = death(&id, terms, end, report.as_ref());
            crash = showed.as_ref().and_then(|(_, crash)| crash.clone());
            showed.map_or_else(
                || Boots::Broke(other_death(&id, terms, end, failure)),
                |(finding, _)| Boots::Showed(finding),
            )
        }
        (None, None) => Boots::Broke("the agent ended without a report of this reproducer".to_owned()),
        (None, Some(report)) => match (books.bug.take(), weigh(report, terms.ran)) {
            (Some(seen), _) => {
                let finding = shown_by_books(&seen);
                crash = Some(seen);
                Boots::Showed(finding)
            }
            (None, Testimony::Finding(finding)) => {
                beside_books(beside_counters(finding, terms.strings, &end.counters), books)
            }
            (None, Testimony::NotApplicable(reason)) => Boots::Inapplicable { reason, allowed: false },
            (None, Testimony::Broken(reason)) => Boots::Broke(match &end.busy {
                // A busy host cannot explain a report that contradicts its checks.
                Some(busy) if report.conclusion == Conclusion::Error => format!("{reason}; {busy}"),
                _ => reason,
            }),
        },
    };
    let requested = end.requested.get(&id).cloned().unwrap_or_default();
    let fault = fault(&boots, end);
    let wire = end.wire.get(&id).cloned().unwrap_or_default();
    let said = end.said.get(&id).cloned().unwrap_or_default();
    let guest_ms = report.as_ref().map(|report| report.took_ms);
    let checks = report.map(|report| report.checks).unwrap_or_default();
    Settlement { boots, checks, fault, wire, crash, said, guest_ms, requested }
}

/// What the death of a guest shows of the job that was alone in it: the bug, if the dossier describes this crash, or if the
/// program had reported the bug. A good report doesn't count: a kernel that panics after it is not good.
fn death(
    id: &str,
    terms: JobTerms<'_>,
    end: &BootEnd,
    report: Option<&Report>,
) -> Option<(Finding, Option<CrashSeen>)> {
    let death = end.death.as_deref().filter(|_| terms.alone && end.started.contains(id))?;
    let is_own = death.kind.is_of_the_guest() && !(death.kind.is_of_time() && end.busy.is_some());
    if !is_own {
        return None;
    }
    let tainted = end.tainted.get(id).copied().map(TaintFlags::of);
    let crash = terms.crash.filter(|_| slow(id, end, death).is_none());
    if let Some(seen) = crash.and_then(|wanted| crash::fitting(wanted, id, death, tainted)) {
        let why = format!("the kernel crashed as the dossier describes ({}): {}", seen.kind, seen.title);
        let finding = Finding::new(Witness::Runtime, StateSet::affected(), Strength::Decisive, why);
        return Some((finding, Some(seen)));
    }
    // The kernel's books had shown it before the death.
    if let Some(seen) = terms.crash.and_then(|wanted| read_books(wanted, end, id).bug) {
        let finding = shown_by_books(&seen);
        return Some((Finding { why: format!("{}; then: {death}", finding.why), ..finding }, Some(seen)));
    }
    let report = report.filter(|report| terms.ran.own_program && report.conclusion == Conclusion::Affected)?;
    match weigh(report, terms.ran) {
        Testimony::Finding(finding) => {
            Some((Finding { why: format!("{}; then: {death}", finding.why), ..finding }, None))
        }
        Testimony::NotApplicable(_) | Testimony::Broken(_) => None,
    }
}

/// How far beyond a job's deadline the guest's own clock must be, so that its silence is a hang. The agent kills the job at its
/// deadline, and is above it.
const HANG_GRACE: Duration = Duration::from_secs(1);

/// How far a guest had come with a job by its own clock, and the job's limit, if it was only too slow to reach it: under
/// emulation, some instructions take much longer than the guest's clock says. None if it hung, or its kernel prints no times.
fn slow(id: &str, end: &BootEnd, death: &Failure) -> Option<(Duration, Duration)> {
    let FailureKind::Hang { waiting: AwaitedEvent::Report { job }, limit: Some(limit), .. } = &death.kind else {
        return None;
    };
    let began = end.began.get(id).filter(|_| job == id)?;
    let last = death.excerpt.iter().rev().find_map(|line| Printk::parse(line).seconds)?;
    let ran = Duration::try_from_secs_f64(last).ok()?.saturating_sub(*began);
    (ran < limit.saturating_add(HANG_GRACE)).then_some((ran, *limit))
}

/// The bug, as the kernel's books show it.
fn shown_by_books(seen: &CrashSeen) -> Finding {
    let why = format!("the kernel showed what the dossier describes ({}): {}", seen.kind, seen.title);
    Finding::new(Witness::Runtime, StateSet::affected(), Strength::Decisive, why)
}

/// A finding of a job of which the kernel's books show nothing: is that silence worth anything?
fn beside_books(mut finding: Finding, books: BooksShown) -> Boots {
    match books.blind {
        Some(Blind::Absent(reason)) if !finding.is_affected() => Boots::Inapplicable { reason, allowed: false },
        Some(Blind::Broken(reason)) if !finding.is_affected() => Boots::Broke(reason),
        _ => {
            for remark in &books.remarks {
                finding.why += &format!("; {remark}");
            }
            Boots::Showed(finding)
        }
    }
}

/// A death that shows nothing, in words.
fn other_death(id: &str, terms: JobTerms<'_>, end: &BootEnd, failure: &str) -> String {
    match (terms.crash, &end.death) {
        (Some(_), Some(death)) if let Some((ran, limit)) = slow(id, end, death) => format!(
            "not known to hang: by its own clock the guest had run the program for {:.1} s only, of {:.1} s: {failure}",
            ran.as_secs_f64(),
            limit.as_secs_f64(),
        ),
        (Some(_), Some(death)) if matches!(death.kind, FailureKind::Splat(_)) => {
            format!("not the crash that the dossier describes: {failure}")
        }
        _ => failure.to_owned(),
    }
}
