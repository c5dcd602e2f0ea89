//! What the kernel's own books show of a job: a taint, or memory that it leaked. No report on the console tells of them.
//!
//! The records come from the guest, and its programs choose some of the words in them. Only the stacks count as frames.

use backproof_protocol::{Aftermath, LeakRecord, LeakScan};

use super::boot_end::{BootEnd, guest_words};
use super::crash::{CrashReport, CrashSeen, CrashWanted, TAINT};
use crate::matrix::{CrashKind, CrashOracle, TaintFlags};

/// What the books show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BooksShown {
    /// The bug.
    pub(super) bug: Option<CrashSeen>,
    /// Why the silence of the job shows nothing.
    pub(super) blind: Option<Blind>,
    /// What else there is to say beside a finding.
    pub(super) remarks: Vec<String>,
}

/// Why silence shows nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Blind {
    /// This kernel cannot show the bug.
    Absent(String),
    /// Something broke, or stood in the way.
    Broken(String),
}

/// The kernel's taint before a job and after it.
#[derive(Clone, Copy)]
struct TaintChange {
    before: TaintFlags,
    after: TaintFlags,
}

impl TaintChange {
    /// Of this job. None if either could not be read.
    fn of(end: &BootEnd, job: &str) -> Option<Self> {
        let before = TaintFlags::of(*end.tainted.get(job)?);
        Some(Self { before, after: TaintFlags::of(end.aftermath.get(job)?.tainted?) })
    }

    /// The bug, if one of these bits was set.
    fn shows(self, wanted: TaintFlags) -> Option<CrashSeen> {
        let set = self.after.without(self.before);
        (!set.and(wanted).is_empty()).then(|| self.seen(set))
    }

    fn seen(self, set: TaintFlags) -> CrashSeen {
        let was = |flags: TaintFlags| if flags.is_empty() { "not tainted".to_owned() } else { flags.to_string() };
        CrashSeen {
            kind: TAINT.to_owned(),
            title: format!("the kernel became tainted: {set}"),
            excerpt: vec![format!("before: {}", was(self.before)), format!("after: {}", was(self.after))],
        }
    }
}

/// Compares the books of a job with the crash that is the bug.
pub(super) fn read_books(wanted: CrashWanted<'_>, end: &BootEnd, job: &str) -> BooksShown {
    match wanted {
        CrashWanted::Described(oracle) => described(oracle, end, job),
        CrashWanted::Again(seen) => BooksShown { bug: again(seen, end, job), ..BooksShown::default() },
    }
}

fn described(oracle: &CrashOracle, end: &BootEnd, job: &str) -> BooksShown {
    if oracle.books().is_empty() {
        return BooksShown::default();
    }
    let Some(aftermath) = end.aftermath.get(job) else {
        let why = "the agent did not report what the kernel's taint or kmemleak shows".to_owned();
        return BooksShown { blind: Some(Blind::Broken(why)), ..BooksShown::default() };
    };
    let (by_taint, by_leaks) = (taint(oracle, end, job), leaks(oracle, aftermath));
    let reports = oracle.kinds.iter().any(|kind| *kind != CrashKind::MemoryLeak);
    let sees = |one: &Option<BooksShown>| one.as_ref().is_some_and(|one| one.blind.is_none());
    let sees = reports || sees(&by_taint) || sees(&by_leaks);
    let mut shown = BooksShown::default();
    for one in [by_taint, by_leaks].into_iter().flatten() {
        shown.bug = shown.bug.or(one.bug);
        shown.remarks.extend(one.remarks);
        shown.blind = match (shown.blind, one.blind) {
            // What else the dossier describes could still have shown.
            (blind, Some(Blind::Absent(why))) if sees => {
                shown.remarks.push(why);
                blind
            }
            (Some(Blind::Broken(why)), _) | (_, Some(Blind::Broken(why))) => Some(Blind::Broken(why)),
            (first, second) => first.or(second),
        };
    }
    shown
}

fn taint(oracle: &CrashOracle, end: &BootEnd, job: &str) -> Option<BooksShown> {
    let wanted = oracle.taint;
    if wanted.is_empty() {
        return None;
    }
    let Some(change) = TaintChange::of(end, job) else {
        let why = "the kernel's taint is unknown: /proc/sys/kernel/tainted could not be read".to_owned();
        return Some(BooksShown { blind: Some(Blind::Broken(why)), ..BooksShown::default() });
    };
    let earlier = change.before.and(wanted);
    let why = || format!("the kernel was tainted before the reproducer ran: {earlier}");
    let is_blind = wanted.without(earlier).is_empty();
    Some(BooksShown {
        bug: change.shows(wanted),
        blind: is_blind.then(|| Blind::Broken(why() + ", so the taint shows nothing")),
        remarks: if earlier.is_empty() || is_blind { Vec::new() } else { vec![why()] },
    })
}

fn leaks(oracle: &CrashOracle, aftermath: &Aftermath) -> Option<BooksShown> {
    if !oracle.kinds.contains(&CrashKind::MemoryLeak) {
        return None;
    }
    let (records, cut) = match &aftermath.leaks {
        Some(LeakScan::Scanned { records, cut }) => (records.as_slice(), *cut),
        Some(LeakScan::Unavailable(why)) => {
            let why = format!("the kernel cannot report memory leaks: {}", guest_words(why));
            return Some(BooksShown { blind: Some(Blind::Absent(why)), ..BooksShown::default() });
        }
        Some(LeakScan::Failed(why)) => {
            let why = format!("kmemleak failed while the reproducer ran: {}", guest_words(why));
            return Some(BooksShown { blind: Some(Blind::Broken(why)), ..BooksShown::default() });
        }
        None => {
            let why = "the agent did not report memory leaks".to_owned();
            return Some(BooksShown { blind: Some(Blind::Broken(why)), ..BooksShown::default() });
        }
    };
    let mut bug = None;
    let mut others = 0_u32;
    for record in records {
        let lines: Vec<String> = record.lines.iter().map(|line| guest_words(line)).collect();
        let report = CrashReport::of_leak(&lines);
        if report.fits(oracle).is_some() {
            bug.get_or_insert_with(|| leak_seen(&report, lines, record.times));
        } else {
            others = others.saturating_add(record.times);
        }
    }
    let remarks = (others > 0).then(|| format!("kmemleak reported {others} other leaked objects"));
    let why = "kmemleak reported more leaks than are kept, so one of the others may be the bug".to_owned();
    let blind = (cut && bug.is_none()).then_some(Blind::Broken(why));
    Some(BooksShown { bug, blind, remarks: remarks.into_iter().collect() })
}

/// The same taint, or a leak with the same title.
fn again(seen: &CrashSeen, end: &BootEnd, job: &str) -> Option<CrashSeen> {
    if seen.kind == TAINT {
        let change = TaintChange::of(end, job)?;
        return change.shows(change.after).filter(|now| now.title == seen.title);
    }
    let Some(LeakScan::Scanned { records, .. }) = &end.aftermath.get(job)?.leaks else { return None };
    let same = |record: &LeakRecord| {
        let lines: Vec<String> = record.lines.iter().map(|line| guest_words(line)).collect();
        let now = leak_seen(&CrashReport::of_leak(&lines), lines, record.times);
        (now.kind == seen.kind && now.title == seen.title).then_some(now)
    };
    records.iter().find_map(same)
}

fn leak_seen(report: &CrashReport, mut excerpt: Vec<String>, times: u32) -> CrashSeen {
    if times > 1 {
        excerpt.push(format!("({times} objects of this size and stack)"));
    }
    let title = report.title.clone().unwrap_or_default();
    CrashSeen { kind: CrashKind::MemoryLeak.as_str().to_owned(), title, excerpt }
}

#[cfg(test)]
#[path = "aftermath_tests.rs"]
mod tests;
