//! The titles that syzkaller gives crashes, and the first lines of the kernel's reports.

use super::super::candidate::CrashWords;
use crate::matrix::CrashKind;

use CrashKind::{
    Atomic, Bug, HardLockup, HungTask, Kasan, Kcsan, Kfence, Kmsan, ListCorruption, Lockdep, Oops, OutOfMemory, Panic,
    RcuStall, Refcount, SoftLockup, Ubsan, Warning,
};

/// The most lines of a report to look at.
const LINES_MAX: usize = 20_000;

/// The most functions of a title: `KCSAN: data-race in a / b` has two.
const FRAMES_MAX: usize = 4;

/// How titles begin, and the kinds of crash. The special stand before the general. Titles without a kind cannot be
/// recognised in a guest.
const TITLES: [(&str, &[CrashKind]); 51] = [
    ("KASAN: null-ptr-deref", &[Kasan, Oops]),
    ("KASAN:", &[Kasan]),
    ("KMSAN:", &[Kmsan]),
    ("KCSAN:", &[Kcsan]),
    ("KFENCE:", &[Kfence]),
    ("UBSAN:", &[Ubsan]),
    ("general protection fault", &[Oops]),
    ("BUG: unable to handle", &[Oops]),
    ("unable to handle", &[Oops]),
    ("BUG: sleeping function called from invalid context", &[Atomic]),
    ("sleeping function called from invalid context", &[Atomic]),
    ("BUG: scheduling while atomic", &[Atomic]),
    ("scheduling while atomic", &[Atomic]),
    ("BUG: corrupted list", &[ListCorruption, Bug]),
    ("BUG: soft lockup", &[SoftLockup]),
    ("BUG: bad unlock balance", &[Lockdep]),
    ("BUG: held lock freed", &[Lockdep]),
    ("BUG: rwlock", &[Lockdep]),
    ("BUG: stack guard page was hit", &[Oops]),
    ("BUG: bad usercopy", &[Bug, Oops]),
    ("BUG: using ", &[Oops]),
    ("BUG: Bad ", &[Oops]),
    ("BUG: MAX_LOCK", &[Lockdep]),
    ("WARNING: refcount bug", &[Refcount, Warning]),
    ("WARNING: suspicious RCU usage", &[Lockdep]),
    ("WARNING: bad unlock balance", &[Lockdep]),
    ("WARNING: held lock freed", &[Lockdep]),
    ("WARNING: locking bug", &[Lockdep, Warning]),
    ("WARNING: lock held", &[Lockdep]),
    ("WARNING: possible", &[Lockdep]),
    ("WARNING: inconsistent lock state", &[Lockdep]),
    ("WARNING:", &[Warning]),
    ("WARNING in", &[Warning]),
    ("possible deadlock", &[Lockdep]),
    ("inconsistent lock state", &[Lockdep]),
    ("suspicious RCU usage", &[Lockdep]),
    ("INFO: suspicious RCU usage", &[Lockdep]),
    ("INFO: trying to register non-static key", &[Lockdep]),
    ("INFO: task hung", &[HungTask]),
    ("INFO: task can't die", &[HungTask]),
    ("INFO: rcu detected stall", &[RcuStall]),
    ("kernel BUG", &[Bug]),
    ("invalid opcode", &[Bug, Oops]),
    ("divide error", &[Oops]),
    ("stack segment fault", &[Oops]),
    ("double fault", &[Oops]),
    ("hard lockup", &[HardLockup]),
    ("out of memory", &[OutOfMemory]),
    ("kernel panic: Out of memory", &[OutOfMemory]),
    ("kernel panic: System is deadlocked on memory", &[OutOfMemory]),
    ("kernel panic:", &[Panic]),
];

/// Titles that tell the crash by a text of its report if they name no function: a place, or the words of a message.
const TOLD_BY_TEXT: [&str; 4] = ["kernel BUG at ", "kernel panic: ", "BUG: Bad ", "suspicious RCU usage at "];

/// What syzkaller puts into titles for what differs from report to report.
const PLACEHOLDERS: [&str; 4] = ["LINE", "NUM", "ADDR", "DEV"];

/// Titles of crashes that no console shows, and why.
const UNSEEN: [(&str, &str); 7] = [
    (
        "memory leak",
        "such a program asks kmemleak itself, and clears its records; describe it with `kinds: [memory-leak]`",
    ),
    ("INFO: task can't die", "only kernels of linux-next print it"),
    ("kernel panic: Attempted to kill init", "every death of a guest's init looks so"),
    ("no output", "it has no report of the kernel"),
    ("lost connection", "it has no report of the kernel"),
    ("unregister_netdevice", "the kernel prints no report, only a line again and again"),
    ("SYZFAIL", "it is a failure of syzkaller"),
];

/// The crash that a title describes.
///
/// # Errors
/// Why a guest cannot show it, or what was expected.
pub(super) fn crash(title: &str) -> Result<CrashWords, String> {
    let title = bare(title);
    if let Some((_, why)) = UNSEEN.iter().find(|(start, _)| title.starts_with(start)) {
        return Err(format!("{title:.100?} cannot be recognised: {why}"));
    }
    let Some((_, kinds)) = TITLES.iter().find(|(start, _)| title.starts_with(start)) else {
        return Err(format!(
            "{title:.100?} is no title of a crash: expected one as in \"KASAN: use-after-free Read in f\""
        ));
    };
    let frames = frames(title);
    if frames.iter().any(|frame| frame == "corrupted") {
        return Err(format!("{title:.100?} cannot be recognised: its report was corrupted"));
    }
    let text = if frames.is_empty() { text(title) } else { None };
    if frames.is_empty() && text.is_none() {
        return Err(format!("{title:.100?} names no function: any crash of its kind would count"));
    }
    Ok(CrashWords { kinds: kinds.to_vec(), frames, text })
}

/// The text by which a title without a function tells the crash from others.
fn text(title: &str) -> Option<String> {
    let rest = TOLD_BY_TEXT.iter().find_map(|start| title.strip_prefix(start))?;
    let end = PLACEHOLDERS.iter().filter_map(|placeholder| rest.find(placeholder)).min().unwrap_or(rest.len());
    let text = rest.get(..end)?.trim();
    // A file without a line is the place of many bugs.
    let is_file = end < rest.len() && text.ends_with(':');
    // Where the kernel was built decides whether a place begins so.
    let text = text.trim_start_matches("./");
    (text.len() >= 4 && !is_file).then(|| text.to_owned())
}

/// Whether this is a title of syzkaller, also one that cannot be recognised in a guest.
pub(super) fn is_title(line: &str) -> bool {
    let line = bare(line);
    TITLES
        .iter()
        .map(|(start, _)| start)
        .chain(UNSEEN.iter().map(|(start, _)| start))
        .any(|start| line.starts_with(start))
}

/// A title without a list's prefixes (`[syzbot] [net?] `) and syzkaller's counter (` (2)`).
pub(super) fn bare(title: &str) -> &str {
    let mut title = title.trim();
    while let Some((_, rest)) = title.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        title = rest.trim_start();
    }
    let counter = title.rsplit_once(" (").filter(|(_, number)| {
        number.strip_suffix(')').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    counter.map_or(title, |(title, _)| title.trim_end())
}

/// The functions behind the last ` in `, as `f`, `f / g` or `f/g`.
fn frames(title: &str) -> Vec<String> {
    let named = title.rsplit_once(" in ").map_or("", |(_, named)| named);
    let names: Vec<&str> = named.split('/').map(str::trim).collect();
    let is_file = |name: &&str| name.ends_with(".c") || name.ends_with(".h");
    let is_all = names.len() <= FRAMES_MAX && names.iter().all(|name| is_function(name)) && !names.iter().any(is_file);
    if is_all { names.into_iter().map(str::to_owned).collect() } else { Vec::new() }
}

fn is_function(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.len() <= 200 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

/// The title of the first crash in a report of the kernel or of syzkaller. None if it has none.
pub(super) fn of_report(report: &str) -> Option<String> {
    let lines: Vec<&str> = report.lines().take(LINES_MAX).map(without_stamp).collect();
    // syzkaller writes its own title above the report.
    let first = lines.iter().find(|line| !line.trim().is_empty())?;
    let first = first.trim().trim_start_matches("Title:").trim();
    if is_named(first) && !first.contains("+0x") {
        return Some(first.to_owned());
    }
    (0..lines.len()).find_map(|at| of_line(&lines[at..]))
}

fn is_named(line: &str) -> bool {
    crash(line).is_ok_and(|words| !words.frames.is_empty()) || UNSEEN.iter().any(|(start, _)| line.starts_with(start))
}

/// The title of a crash that begins in the first of these lines.
fn of_line(lines: &[&str]) -> Option<String> {
    let line = lines.first()?.trim();
    let function = || lines.iter().take(60).find_map(|line| symbol(line.trim().strip_prefix("RIP: ")?));
    for tool in ["KASAN", "KMSAN", "KCSAN", "KFENCE"] {
        if let Some(rest) = line.strip_prefix("BUG: ").filter(|rest| rest.starts_with(tool)) {
            let (what, place) = rest.rsplit_once(" in ")?;
            let named: Vec<&str> = place.split(" / ").filter_map(symbol).collect();
            return (!named.is_empty()).then(|| format!("{what} in {}", named.join(" / ")));
        }
    }
    if line.starts_with("WARNING: CPU:") || line.starts_with("WARNING: ") && line.contains(" at ") {
        // Newer kernels end the line with the place, older ones with the function, too.
        let named = line.split_whitespace().rev().find_map(|word| word.contains("+0x").then(|| symbol(word))?);
        return named.or_else(function).map(|function| format!("WARNING in {function}"));
    }
    for (start, title) in [
        ("general protection fault", "general protection fault"),
        ("BUG: unable to handle", "BUG: unable to handle kernel access"),
        ("BUG: kernel NULL pointer dereference", "BUG: unable to handle kernel NULL pointer dereference"),
        ("kernel BUG at", "kernel BUG"),
        ("divide error:", "divide error"),
    ] {
        if line.starts_with(start) {
            return function().map(|function| format!("{title} in {function}"));
        }
    }
    None
}

/// The function of `0010:tcp_ack+0x12/0x34 net/ipv4/tcp_input.c:3`.
fn symbol(text: &str) -> Option<&str> {
    let name = text.split_whitespace().next()?.rsplit(':').next()?;
    let name = name.split_once("+0x").map_or(name, |(name, _)| name);
    is_function(name).then_some(name)
}

/// A line without what printk puts before it: `<4>`, `[   12.345678]`, `[    T1]`.
fn without_stamp(line: &str) -> &str {
    let mut line = line.trim_start();
    while let Some((inside, rest)) = line.strip_prefix(['[', '<']).and_then(|rest| rest.split_once([']', '>'])) {
        let is_stamp = inside.len() < 20 && inside.bytes().all(|b| b.is_ascii_digit() || b" .TC@".contains(&b));
        if !is_stamp {
            break;
        }
        line = rest.trim_start();
    }
    line
}

#[cfg(test)]
#[path = "title_tests.rs"]
mod tests;
