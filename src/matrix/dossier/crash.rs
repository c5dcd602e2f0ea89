//! The crash oracle: which death of the kernel, taint or leak is the bug.

use std::time::Duration;

use backproof_protocol::KernelBook;
use regex::{Regex, RegexBuilder};

use super::super::fields;
use super::super::problems::Collector;
use super::super::read::Fields;
use super::super::text::expected_one_of;
use super::super::tree::YamlNode;
use super::taint::TaintFlags;

/// The keys of a crash oracle.
pub(super) const KEYS: [&str; 6] = ["kinds", "taint", "match", "frames", "modules", "settle"];

/// The longest pattern, in bytes, and the most bytes that it may take compiled.
const PATTERN_MAX: (usize, usize) = (1000, 1 << 20);

/// How long a guest is watched after the program's end, if the dossier does not say.
const SETTLE: Duration = Duration::from_secs(2);

/// The longest such time.
const SETTLE_MAX: Duration = Duration::from_secs(600);

/// A kind of crash that a dossier can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrashKind {
    /// `Kernel panic - not syncing`.
    Panic,
    /// An exception in kernel mode.
    Oops,
    /// `kernel BUG at`.
    Bug,
    /// `WARNING:` with a stack.
    Warning,
    /// KASAN's report.
    Kasan,
    /// KFENCE's report.
    Kfence,
    /// KCSAN's report.
    Kcsan,
    /// KMSAN's report.
    Kmsan,
    /// UBSAN's report.
    Ubsan,
    /// Lockdep's report.
    Lockdep,
    /// Sleeping or scheduling while atomic.
    Atomic,
    /// A task does not wake up.
    HungTask,
    /// A processor does not schedule.
    SoftLockup,
    /// A processor does not take interrupts.
    HardLockup,
    /// RCU's grace period does not end.
    RcuStall,
    /// `refcount_t:` saturated, underflowed or was used after its end.
    Refcount,
    /// `list_add corruption` or `list_del corruption`.
    ListCorruption,
    /// A report of the slab allocator itself.
    Slab,
    /// The guest's memory is used up.
    OutOfMemory,
    /// kmemleak's report of an object that nothing refers to.
    MemoryLeak,
    /// The guest no longer does anything, and the kernel says nothing.
    Hang,
}

impl CrashKind {
    /// All kinds, with their names in dossiers, and options (`CONFIG_…`) of which a kernel needs one to report it.
    const ALL: [(Self, &'static str, &'static [&'static str]); 21] = [
        (Self::Panic, "panic", &[]),
        (Self::Oops, "oops", &[]),
        (Self::Bug, "bug", &["CONFIG_BUG"]),
        (Self::Warning, "warning", &["CONFIG_BUG"]),
        (Self::Kasan, "kasan", &["CONFIG_KASAN"]),
        (Self::Kfence, "kfence", &["CONFIG_KFENCE"]),
        (Self::Kcsan, "kcsan", &["CONFIG_KCSAN"]),
        (Self::Kmsan, "kmsan", &["CONFIG_KMSAN"]),
        (Self::Ubsan, "ubsan", &["CONFIG_UBSAN"]),
        (Self::Lockdep, "lockdep", &["CONFIG_LOCKDEP"]),
        (Self::Atomic, "atomic", &[]),
        (Self::HungTask, "hung-task", &["CONFIG_DETECT_HUNG_TASK"]),
        (Self::SoftLockup, "soft-lockup", &["CONFIG_SOFTLOCKUP_DETECTOR", "CONFIG_LOCKUP_DETECTOR"]),
        (Self::HardLockup, "hard-lockup", &["CONFIG_HARDLOCKUP_DETECTOR"]),
        (Self::RcuStall, "rcu-stall", &[]),
        (Self::Refcount, "refcount", &[]),
        (
            Self::ListCorruption,
            "list-corruption",
            &["CONFIG_DEBUG_LIST", "CONFIG_LIST_HARDENED", "CONFIG_BUG_ON_DATA_CORRUPTION"],
        ),
        (Self::Slab, "slab", &[]),
        (Self::OutOfMemory, "out-of-memory", &[]),
        (Self::MemoryLeak, "memory-leak", &["CONFIG_DEBUG_KMEMLEAK"]),
        (Self::Hang, "hang", &[]),
    ];

    /// Its name in dossiers.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// Options of which a kernel needs one to report it; none if every kernel can.
    pub fn options(self) -> &'static [&'static str] {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or(&[], |(.., options)| options)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name, _)| *name == text);
        found.map(|(kind, ..)| *kind).ok_or_else(|| expected_one_of(text, Self::ALL.iter().map(|(_, name, _)| *name)))
    }
}

/// A pattern over a whole report of the kernel. `^` and `$` match at lines.
#[derive(Clone, Debug)]
pub struct CrashPattern(Regex);

impl CrashPattern {
    /// Whether the report has it.
    pub fn is_in(&self, report: &str) -> bool {
        self.0.is_match(report)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (longest, most) = PATTERN_MAX;
        if text.len() > longest {
            return Err(format!("expected a pattern of at most {longest} bytes"));
        }
        let pattern = RegexBuilder::new(text).multi_line(true).size_limit(most).build();
        let pattern = pattern.map_err(|error| {
            let last = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("expected a regular expression of the Rust crate regex: {last}")
        })?;
        if pattern.is_match("") {
            return Err("expected a pattern that an empty report does not match".to_owned());
        }
        Ok(Self(pattern))
    }
}

impl PartialEq for CrashPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for CrashPattern {}

/// Which death of the kernel is the bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashOracle {
    /// The kinds of report, one of which it must be. Empty if only a taint shows the bug.
    pub kinds: Vec<CrashKind>,
    /// Taint bits, any of which shows the bug if it is set while the reproducer runs. A taint has no report, so the pattern,
    /// the functions and the modules are not about it.
    pub taint: TaintFlags,
    /// A pattern that the report must have.
    pub pattern: Option<CrashPattern>,
    /// Functions that its stacks must have, in any order.
    pub frames: Vec<String>,
    /// Modules that its stacks must have, in any order.
    pub modules: Vec<String>,
    /// How long the guest is watched after the program's end.
    pub settle: Duration,
}

impl CrashOracle {
    /// What is read of the kernel before and after the reproducer, because no report on the console tells it.
    pub fn books(&self) -> Vec<KernelBook> {
        let taint = (!self.taint.is_empty()).then_some(KernelBook::Taint);
        let leaks = self.kinds.contains(&CrashKind::MemoryLeak).then_some(KernelBook::Leaks);
        taint.into_iter().chain(leaks).collect()
    }

    /// Why this configuration cannot report any of its kinds; none if it can. `is_set` takes `CONFIG_…`.
    pub fn unreported(&self, is_set: impl Fn(&str) -> bool) -> Option<String> {
        let can = |kind: &CrashKind| kind.options().is_empty() || kind.options().iter().any(|option| is_set(option));
        if !self.taint.is_empty() || self.kinds.iter().any(can) {
            return None;
        }
        let each = self.kinds.iter().map(|kind| format!("{} needs {}", kind.as_str(), kind.options().join(" or ")));
        Some(format!("the kernel cannot report the bug: {}", each.collect::<Vec<_>>().join(", ")))
    }
}

/// The crash oracle.
pub(super) fn read(node: &YamlNode, problems: &mut Collector<'_>) -> Option<CrashOracle> {
    let fields = problems.mapping(node, "a mapping, as in `{ kinds: [oops], frames: [my_xmit] }`", &KEYS)?;
    let taint = fields.get("taint");
    let taint = taint.map(|n| problems.each(n, "letters", |n, p| p.value(n, "letter", TaintFlags::parse)));
    let has_kinds = fields.get("kinds").is_some();
    if !has_kinds && taint.is_some() {
        return read_taint(&fields, taint.flatten(), problems);
    }
    let kinds = problems.needed(&fields, "kinds", node);
    let kinds = kinds.and_then(|n| problems.each(n, "kinds", |n, p| p.value(n, "kind", CrashKind::parse)));
    let pattern = fields.get("match").map(|node| problems.value(node, "pattern", CrashPattern::parse));
    let frames = fields.get("frames");
    let frames = frames.map(|n| problems.each(n, "functions", |n, p| p.value(n, "function", fields::function)));
    let modules = fields.get("modules");
    let modules = modules.map(|n| problems.each(n, "modules", |n, p| p.value(n, "module", fields::module)));
    let settle = fields.get("settle").map(|node| problems.value(node, "time", settle));
    if !tells(&fields) {
        problems.add(&node.span, || {
            "any crash of these kinds would count as the bug: expected `match`, `frames` or `modules` beside `kinds`"
                .to_owned()
        });
        return None;
    }
    Some(CrashOracle {
        kinds: kinds?,
        taint: taint.map_or(Some(TaintFlags::default()), |letters| Some(TaintFlags::of_letters(&letters?)))?,
        pattern: pattern.map_or(Some(None), |read| read.map(Some))?,
        frames: frames.unwrap_or_else(|| Some(Vec::new()))?,
        modules: modules.unwrap_or_else(|| Some(Vec::new()))?,
        settle: settle.unwrap_or(Some(SETTLE))?,
    })
}

/// The crash oracle of which only a taint shows the bug. It has no report that a pattern could match.
fn read_taint(
    fields: &Fields<'_>,
    letters: Option<Vec<TaintFlags>>,
    problems: &mut Collector<'_>,
) -> Option<CrashOracle> {
    let mut is_good = true;
    for key in TELLING {
        if let Some(node) = fields.get(key) {
            problems.add(&node.span, || format!("a taint has no report: expected `{key}` only beside `kinds`"));
            is_good = false;
        }
    }
    let settle = fields.get("settle").map(|node| problems.value(node, "time", settle));
    let taint = TaintFlags::of_letters(&letters?);
    let settle = settle.unwrap_or(Some(SETTLE))?;
    let oracle =
        CrashOracle { kinds: Vec::new(), taint, pattern: None, frames: Vec::new(), modules: Vec::new(), settle };
    is_good.then_some(oracle)
}

/// The keys that tell one report of a kind from another.
const TELLING: [&str; 3] = ["match", "frames", "modules"];

/// Whether the oracle tells one crash from another.
fn tells(fields: &Fields<'_>) -> bool {
    TELLING.iter().any(|key| fields.get(key).is_some())
}

fn settle(text: &str) -> Result<Duration, String> {
    let found = fields::duration(text).filter(|time| *time <= SETTLE_MAX);
    found.ok_or_else(|| format!("expected a time with its unit up to {}m, as in `5s`", SETTLE_MAX.as_secs() / 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_from_its_name() {
        for (kind, name, _) in CrashKind::ALL {
            assert_eq!((CrashKind::parse(name), kind.as_str()), (Ok(kind), name));
        }
        assert!(CrashKind::parse("opps").is_err_and(|why| why.contains("`oops`")));
    }

    #[test]
    fn pattern_must_not_match_an_empty_report() {
        for (text, expected) in [
            ("", "an empty report"),
            ("a*", "an empty report"),
            ("x|", "an empty report"),
            ("(", "unclosed group"),
            ("a{1000}{1000}{1000}", "size limit"),
        ] {
            let read = CrashPattern::parse(text).map(|_| ());
            assert!(read.as_ref().is_err_and(|why| why.contains(expected)), "{text:?}: {read:?}");
        }
        let pattern = CrashPattern::parse("^BUG: KASAN.* in tcp_.*$").expect("a pattern");
        assert!(
            pattern.is_in("=====\nBUG: KASAN: use-after-free in tcp_ack\n") && !pattern.is_in("x BUG: KASAN in tcp_")
        );
    }

    #[test]
    fn kernel_that_reports_one_of_the_kinds_is_enough() {
        let oracle = |kinds: &[CrashKind]| CrashOracle {
            kinds: kinds.to_vec(),
            taint: TaintFlags::default(),
            pattern: None,
            frames: Vec::new(),
            modules: Vec::new(),
            settle: SETTLE,
        };
        let set = |option: &str| option == "CONFIG_LIST_HARDENED";
        assert_eq!(oracle(&[CrashKind::Kasan, CrashKind::Oops]).unreported(set), None);
        assert_eq!(oracle(&[CrashKind::ListCorruption]).unreported(set), None);
        let taint = TaintFlags::parse("W").expect("a letter");
        assert_eq!(CrashOracle { taint, ..oracle(&[]) }.unreported(set), None);
        assert!(oracle(&[CrashKind::MemoryLeak]).unreported(set).is_some_and(|why| why.contains("KMEMLEAK")));
        let why = oracle(&[CrashKind::Kasan, CrashKind::Ubsan]).unreported(set).unwrap_or_default();
        assert_eq!(why, "the kernel cannot report the bug: kasan needs CONFIG_KASAN, ubsan needs CONFIG_UBSAN");
    }
}
