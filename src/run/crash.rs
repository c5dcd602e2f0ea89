//! Compares the death of a guest with the crash that a dossier describes.
//!
//! The console may show several reports: a warning that nobody meant, and then the crash. Each is compared by itself, so
//! that the kind of one and the stack of another don't make a match.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::matrix::{CrashKind, CrashOracle, TaintFlags};
use crate::vm::{
    AwaitedEvent, Failure, FailureKind, Printk, SplatKind, ends_dump, opens_dump, splat_kind, splat_title,
};

/// A crash that fits a dossier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashSeen {
    /// Its kind, as dossiers name it; or [`TAINT`].
    pub kind: String,
    /// The kernel's own words, without addresses and times.
    pub title: String,
    /// The report, as the console showed it, truncated.
    pub excerpt: Vec<String>,
}

/// The kind of a [`CrashSeen`] that is a taint of the kernel.
pub(super) const TAINT: &str = "taint";

/// A frame of a stack: `tcp_ack+0x1a/0x40 [tcp_diag]`. Those with a question mark are what the stack only held.
static FRAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?P<doubt>\? )?(?P<function>[A-Za-z_][A-Za-z0-9_.]*)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(?P<module>[A-Za-z0-9_]+)[^\]]*\])?")
        .ok()
});

/// The beginning of a panic's line.
const PANIC: &str = "Kernel panic - not syncing";

/// The beginnings of lines that only stand in a report's stack, or above it.
const STACKS: [&str; 5] = ["Call Trace:", "RIP: ", "CPU: ", "stack backtrace:", "NMI backtrace for cpu"];

/// The crash that is the bug.
#[derive(Clone, Copy, Debug)]
pub enum CrashWanted<'a> {
    /// The one that the dossier describes.
    Described(&'a CrashOracle),
    /// The one that an earlier boot saw: the run of a replay does not record a user's dossier.
    Again(&'a CrashSeen),
}

/// The crash of a guest while this job ran, or after it, if it is the wanted one. `tainted` is the kernel's taint before the
/// job, if known: the agent of a dead guest cannot report what it is after a splat, but the splat tells it.
pub(super) fn fitting(
    wanted: CrashWanted<'_>,
    job: &str,
    failure: &Failure,
    tainted: Option<TaintFlags>,
) -> Option<CrashSeen> {
    let hung = match &failure.kind {
        FailureKind::Splat(_) => false,
        // The agent kills a job at its deadline. If even that does not happen, the kernel hangs.
        FailureKind::Hang { waiting: AwaitedEvent::Report { job: waited }, .. } if waited == job => true,
        _ => return None,
    };
    reports(&failure.excerpt).into_iter().find_map(|lines| {
        let mut report = CrashReport::of(&lines);
        if hung {
            // The dump is the answer to an NMI that we sent, panic and all.
            (report.kinds, report.title) = (BTreeSet::from([CrashKind::Hang]), None);
            report.taint = TaintFlags::default();
        }
        let title = report.title.clone().unwrap_or_else(|| failure.title.clone());
        let taint = tainted.map_or_else(TaintFlags::default, |before| report.taint.without(before));
        let kind = match wanted {
            CrashWanted::Described(oracle) => {
                let is_tainted = !taint.and(oracle.taint).is_empty();
                report.fits(oracle).map(CrashKind::as_str).or(is_tainted.then_some(TAINT))
            }
            CrashWanted::Again(seen) if title == seen.title => {
                let kinds = report.kinds.iter().map(|kind| kind.as_str());
                kinds.chain((!taint.is_empty()).then_some(TAINT)).find(|kind| *kind == seen.kind)
            }
            CrashWanted::Again(_) => None,
        };
        kind.map(|kind| CrashSeen { kind: kind.to_owned(), title, excerpt: lines })
    })
}

/// The excerpt of a console, split into the kernel's reports. A report ends with its end line, or where the next begins
/// after its stack: many kinds have no end line. A panic belongs to what it follows, and so does the end of an OOM report.
fn reports(excerpt: &[String]) -> Vec<Vec<String>> {
    let mut reports: Vec<Vec<String>> = vec![Vec::new()];
    let (mut ended, mut has_stack) = (false, false);
    for line in excerpt {
        let text = Printk::parse(line).text;
        let is_title = splat_kind(text).is_some_and(|kind| kind != SplatKind::OutOfMemory) && !text.starts_with(PANIC);
        if (ended || has_stack) && (is_title || opens_dump(text)) {
            reports.push(Vec::new());
            (ended, has_stack) = (false, false);
        }
        ended |= ends_dump(text);
        has_stack |= STACKS.iter().any(|stack| text.starts_with(stack));
        if let Some(last) = reports.last_mut() {
            last.push(line.clone());
        }
    }
    reports
}

/// One report of the kernel.
pub(super) struct CrashReport {
    text: String,
    /// The kernel's own words, without addresses and times.
    pub(super) title: Option<String>,
    kinds: BTreeSet<CrashKind>,
    /// What the kernel taints itself with, when it reports that.
    taint: TaintFlags,
    functions: BTreeSet<String>,
    modules: BTreeSet<String>,
}

impl CrashReport {
    fn of(lines: &[String]) -> Self {
        let texts: Vec<&str> = lines.iter().map(|line| Printk::parse(line).text).collect();
        let kinds = texts.iter().flat_map(|text| kinds_of(text)).collect();
        let title = texts.iter().find(|text| splat_kind(text).is_some()).map(|text| splat_title(text));
        let taint = texts.iter().filter_map(|text| taint_of(text)).fold(TaintFlags::default(), TaintFlags::or);
        let (functions, modules) = frames_of(&texts);
        Self { text: texts.join("\n"), title, kinds, taint, functions, modules }
    }

    /// A record of kmemleak. Programs choose their names and the objects' bytes, so only its stack has functions.
    pub(super) fn of_leak(lines: &[String]) -> Self {
        let stack = lines.iter().skip_while(|line| !line.trim_start().starts_with("backtrace"));
        let stack: Vec<&str> = stack.skip(1).map(String::as_str).collect();
        let (functions, modules) = frames_of(&stack);
        let names = stack.iter().filter_map(|line| Some(FRAME.as_ref()?.captures(line)?.name("function")?.as_str()));
        let culprit = names.map(without_suffix).find(|name| !ALLOCATORS.iter().any(|part| name.contains(part)));
        let title = Some(format!("memory leak in {}", culprit.unwrap_or("an unknown function")));
        let kinds = BTreeSet::from([CrashKind::MemoryLeak]);
        Self { text: lines.join("\n"), title, kinds, taint: TaintFlags::default(), functions, modules }
    }

    /// The kind by which it is the described crash.
    pub(super) fn fits(&self, oracle: &CrashOracle) -> Option<CrashKind> {
        let kind = oracle.kinds.iter().find(|kind| self.kinds.contains(kind))?;
        let is_there = oracle.pattern.as_ref().is_none_or(|pattern| pattern.is_in(&self.text))
            && oracle.frames.iter().all(|function| self.functions.contains(without_suffix(function)))
            && oracle.modules.iter().all(|module| self.modules.contains(&module.replace('-', "_")));
        is_there.then_some(*kind)
    }
}

/// Parts of the names of functions that only allocate for others.
const ALLOCATORS: [&str; 6] = ["kmemleak", "kmem_cache", "kmalloc", "krealloc", "vmalloc", "slab_"];

/// The functions and modules of the stacks in these lines.
fn frames_of(texts: &[&str]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut functions, mut modules) = (BTreeSet::new(), BTreeSet::new());
    for frame in texts.iter().flat_map(|text| FRAME.iter().flat_map(|frame| frame.captures_iter(text))) {
        if frame.name("doubt").is_some() {
            continue;
        }
        functions.extend(frame.name("function").map(|name| without_suffix(name.as_str()).to_owned()));
        modules.extend(frame.name("module").map(|name| name.as_str().replace('-', "_")));
    }
    (functions, modules)
}

/// The bit with which the kernel taints itself when it prints this line (`add_taint` in kernel/panic.c, kernel/watchdog.c,
/// mm/page_alloc.c, mm/slub.c, mm/kasan, arch/x86/kernel/dumpstack.c).
fn taint_of(text: &str) -> Option<TaintFlags> {
    let letter = match splat_kind(text)? {
        SplatKind::Warning => 'W',
        SplatKind::SoftLockup => 'L',
        SplatKind::Oops if text.starts_with("BUG: Bad page") => 'B',
        SplatKind::Oops if text.contains("[#") => 'D',
        kind @ SplatKind::Sanitizer => match named(kind, text)? {
            CrashKind::Kasan | CrashKind::Kfence | CrashKind::Kmsan | CrashKind::Slab => 'B',
            _ => return None,
        },
        _ => return None,
    };
    TaintFlags::of_letter(letter)
}

/// The kinds of crash that a line of a report names.
fn kinds_of(text: &str) -> Vec<CrashKind> {
    let mut kinds = Vec::new();
    if text.contains("refcount_t: ") {
        kinds.push(CrashKind::Refcount);
    }
    if text.contains("list_add corruption") || text.contains("list_del corruption") {
        kinds.push(CrashKind::ListCorruption);
    }
    kinds.extend(splat_kind(text).and_then(|kind| named(kind, text)));
    kinds
}

/// The kind of crash of a line that begins a report.
fn named(kind: SplatKind, text: &str) -> Option<CrashKind> {
    let starts = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    Some(match kind {
        SplatKind::Panic => CrashKind::Panic,
        SplatKind::Oops if text.starts_with("kernel BUG at ") => CrashKind::Bug,
        SplatKind::Oops => CrashKind::Oops,
        SplatKind::Warning => CrashKind::Warning,
        SplatKind::SoftLockup => CrashKind::SoftLockup,
        SplatKind::HardLockup => CrashKind::HardLockup,
        SplatKind::RcuStall => CrashKind::RcuStall,
        SplatKind::HungTask => CrashKind::HungTask,
        SplatKind::OutOfMemory => CrashKind::OutOfMemory,
        SplatKind::Sanitizer if starts(&["BUG: KASAN:"]) => CrashKind::Kasan,
        SplatKind::Sanitizer if starts(&["BUG: KFENCE:"]) => CrashKind::Kfence,
        SplatKind::Sanitizer if starts(&["BUG: KCSAN:"]) => CrashKind::Kcsan,
        SplatKind::Sanitizer if starts(&["BUG: KMSAN:"]) => CrashKind::Kmsan,
        SplatKind::Sanitizer if starts(&["UBSAN:"]) => CrashKind::Ubsan,
        SplatKind::Sanitizer if starts(&["BUG: sleeping function", "BUG: scheduling while atomic"]) => {
            CrashKind::Atomic
        }
        SplatKind::Sanitizer if starts(&["slab error in ", "Slab corruption"]) => CrashKind::Slab,
        SplatKind::Sanitizer if starts(&["BUG "]) => CrashKind::Slab,
        SplatKind::Sanitizer if starts(&["BUG: workqueue lockup", "BUG: spinlock "]) => return None,
        SplatKind::Sanitizer => CrashKind::Lockdep,
        SplatKind::NoInit
        | SplatKind::InitDied
        | SplatKind::NoRoot
        | SplatKind::Decompressor
        | SplatKind::Processor => return None,
    })
}

/// A function's name without what compilers add to copies and parts of it.
fn without_suffix(name: &str) -> &str {
    let added = [".isra.", ".part.", ".constprop.", ".cold", ".llvm."];
    added.iter().filter_map(|suffix| name.find(suffix)).min().map_or(name, |at| &name[..at])
}

#[cfg(test)]
#[path = "crash_boots_tests.rs"]
mod boots_tests;

#[cfg(test)]
#[path = "crash_tests.rs"]
pub(super) mod tests;
