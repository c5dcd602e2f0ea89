//! Counts how often kernel functions are entered, with kprobe events (Documentation/trace/kprobetrace.rst).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use backproof_protocol::{FunctionEntries, MAX_REACH, Reach, is_function_name};

/// The group of the probes' events.
const GROUP: &str = "backproof";

/// The file systems with the tracer's files, where to mount them, and the files' folder in it. Since 4.1 they have a file
/// system of their own.
const FILE_SYSTEMS: [(&str, &str, &str); 2] = [("tracefs", "/run/tracing", ""), ("debugfs", "/run/debug", "tracing")];

/// The kernel's symbols.
const SYMBOLS: &str = "/proc/kallsyms";

/// The counts of each probe, by its event's name: entries, and those that it missed.
type Counts = BTreeMap<String, (u64, u64)>;

/// The symbols of one function or their probes' events: of the whole function, and of its parts. Parts are entered from the
/// whole function or from inlined copies of its head, so the larger sum counts.
type Groups = Vec<Vec<String>>;

/// Probes at the entries of functions.
#[derive(Debug)]
pub struct Probes {
    /// The functions, each with its probes' events in [`Groups`], or why it can't be counted.
    functions: BTreeMap<String, Result<Groups, String>>,
    /// The tracer's folder, or why there is none.
    tracing: Result<PathBuf, String>,
}

impl Probes {
    /// Puts probes at the entries of these functions. None if there are none.
    pub fn insert(functions: &[String]) -> Option<Self> {
        if functions.is_empty() {
            return None;
        }
        let names = || functions.iter().take(MAX_REACH);
        let symbols = match File::open(SYMBOLS).and_then(|file| Symbols::read(names(), BufReader::new(file))) {
            Ok(symbols) => symbols,
            Err(error) => return Some(Self::unavailable(format!("cannot read {SYMBOLS}: {error}"))),
        };
        let tracing = match mount_tracing() {
            Ok(tracing) => tracing,
            Err(why) => return Some(Self::unavailable(why)),
        };
        // Nobody reads the trace. Probes count without it.
        let _ = fs::write(tracing.join("tracing_on"), "0");
        let mut next = 0;
        let mut probe = |symbol: String| {
            next += 1;
            insert_one(&tracing, &format!("p{next}"), &symbol)
        };
        let functions = names().map(|name| {
            let mut insert_all = |group: Vec<String>| group.into_iter().map(&mut probe).collect();
            let probes = symbols.to_probe(name).and_then(|groups| groups.into_iter().map(&mut insert_all).collect());
            (name.clone(), probes)
        });
        Some(Self { functions: functions.collect(), tracing: Ok(tracing) })
    }

    fn unavailable(why: String) -> Self {
        Self { functions: BTreeMap::new(), tracing: Err(why) }
    }

    /// The counts so far.
    pub fn counts(&self) -> Result<Counts, String> {
        let path = self.tracing.clone()?.join("kprobe_profile");
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(parse_profile(&text))
    }

    /// How often the functions were entered in a job, between these counts.
    pub fn reach(&self, job: &str, before: Result<Counts, String>, after: Result<Counts, String>) -> Reach {
        let job = job.to_owned();
        match before.and_then(|before| Ok((before, after?))) {
            Err(why) => Reach { job, functions: BTreeMap::new(), unavailable: Some(why) },
            Ok((before, after)) => {
                let functions = self.functions.iter().map(|(name, probes)| {
                    let entries = probes.as_ref().map_err(Clone::clone);
                    (
                        name.clone(),
                        entries.map_or_else(FunctionEntries::NotCounted, |probes| entered(probes, &before, &after)),
                    )
                });
                Reach { job, functions: functions.collect(), unavailable: None }
            }
        }
    }
}

/// How often a function with these probes was entered.
fn entered(probes: &Groups, before: &Counts, after: &Counts) -> FunctionEntries {
    let difference = |probe: &String| {
        let (then, now) = (before.get(probe)?, after.get(probe)?);
        Some((now.0.saturating_sub(then.0), now.1.saturating_sub(then.1)))
    };
    let add = |sum: (u64, u64), one: (u64, u64)| (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1));
    let sum = |group: &Vec<String>| group.iter().try_fold((0, 0), |total, probe| Some(add(total, difference(probe)?)));
    match probes.iter().map(sum).collect::<Option<Vec<_>>>().and_then(|sums| sums.into_iter().max()) {
        Some((entries, missed)) => FunctionEntries::Counted { entries, missed },
        None => FunctionEntries::NotCounted("its probe was removed".to_owned()),
    }
}

/// The lines of kprobe_profile: an event, its hits, its misses.
fn parse_profile(text: &str) -> Counts {
    let counts = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (event, hits, missed) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().is_none().then(|| (event.to_owned(), (hits, missed)))
    });
    counts.collect()
}

/// Mounts the tracer's files; their folder.
fn mount_tracing() -> Result<PathBuf, String> {
    let mut why = "this kernel has no tracer (CONFIG_FTRACE)".to_owned();
    for (kind, at, folder) in FILE_SYSTEMS {
        let _ = fs::create_dir_all(at); // if this fails, so does the mount
        match mount(kind, at, kind, MountFlags::empty(), None) {
            Ok(()) => {}
            Err(Errno::NODEV) => continue,
            Err(error) => {
                why = format!("cannot mount {kind}: {error}");
                continue;
            }
        }
        let tracing = Path::new(at).join(folder);
        if tracing.join("kprobe_events").exists() {
            return Ok(tracing);
        }
        why = "this kernel has no kprobe events (CONFIG_KPROBE_EVENTS)".to_owned();
    }
    Err(why)
}

/// Defines and enables an event at a symbol; returns its name.
fn insert_one(tracing: &Path, event: &str, symbol: &str) -> Result<String, String> {
    let append = |path: &str, text: String| {
        let file = OpenOptions::new().append(true).open(tracing.join(path));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
    };
    let defined = append("kprobe_events", format!("p:{GROUP}/{event} {symbol}\n"));
    let enabled = defined.and_then(|()| append(&format!("events/{GROUP}/{event}/enable"), "1".to_owned()));
    enabled.map(|()| event.to_owned()).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::INVAL) => format!("the kernel forbids a probe at {symbol}"),
        Some(Errno::ADDRNOTAVAIL) => ambiguous(symbol),
        _ => format!("the kernel refused a probe at {symbol}: {error}"),
    })
}

fn ambiguous(symbol: &str) -> String {
    format!("this kernel has several functions named {symbol}")
}

/// The symbols of functions to count: how often each exists, by function.
#[derive(Debug, Default)]
struct Symbols(BTreeMap<String, BTreeMap<String, u32>>);

impl Symbols {
    /// Finds the functions' symbols among all of the kernel's.
    fn read<'a>(functions: impl Iterator<Item = &'a String>, lines: impl BufRead) -> io::Result<Self> {
        let mut found: BTreeMap<String, _> = functions.map(|name| (name.clone(), BTreeMap::new())).collect();
        for line in lines.split(b'\n') {
            let line = line?;
            let mut words = line.split(|byte| byte.is_ascii_whitespace()).skip(1);
            let (Some(b"t" | b"T" | b"w" | b"W"), Some(symbol)) = (words.next(), words.next()) else { continue };
            let base = symbol.split(|byte| *byte == b'.').next().unwrap_or_default();
            let (Ok(symbol), Ok(base)) = (std::str::from_utf8(symbol), std::str::from_utf8(base)) else { continue };
            if let Some(symbols) = found.get_mut(base) {
                *symbols.entry(symbol.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(Self(found))
    }

    /// The symbols at which entries of this function are to be counted, or why they can't be.
    fn to_probe(&self, function: &str) -> Result<Groups, String> {
        if !is_function_name(function) {
            return Err("this is not the name of a function".to_owned());
        }
        // Cold code is jumped to from within the function.
        let symbols = self.0.get(function).into_iter().flatten().filter(|(symbol, _)| !symbol.contains(".cold"));
        let (parts, whole): (Vec<_>, Vec<_>) = symbols.partition(|(symbol, _)| symbol.contains(".part."));
        if let Some((symbol, _)) = whole.iter().chain(&parts).find(|(_, count)| **count > 1) {
            return Err(ambiguous(symbol));
        }
        let names = |group: Vec<(&String, _)>| group.into_iter().map(|(symbol, _)| symbol.clone()).collect::<Vec<_>>();
        let groups: Groups = [names(whole), names(parts)].into_iter().filter(|group| !group.is_empty()).collect();
        let absent = "this kernel has no function of this name, or the compiler inlined it";
        if groups.is_empty() { Err(absent.to_owned()) } else { Ok(groups) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(groups: &[&[&str]]) -> Groups {
        groups.iter().map(|group| group.iter().map(|symbol| (*symbol).to_owned()).collect()).collect()
    }

    #[test]
    fn profile_lines_are_counted_and_other_text_is_not() {
        let text = "  p1                                    14       0\n  p2   0   3\np3 18446744073709551616 0\np4 1\n\
                    p5 1 2 3\np6 -1 0\n\n\u{0} \u{fffd}\np7 18446744073709551615 0";
        let expected = [("p1", (14, 0)), ("p2", (0, 3)), ("p7", (u64::MAX, 0))];
        assert_eq!(parse_profile(text), expected.map(|(event, counts)| (event.to_owned(), counts)).into());
    }

    #[test]
    fn reach_is_the_difference_of_two_profiles() {
        let counts = |text| Ok(parse_profile(text));
        let probes = |groups: &[&[&str]]| Ok(owned(groups));
        let functions = [
            ("clones", probes(&[&["p1", "p2"]])),
            ("gone", probes(&[&["p3"]])),
            ("never", probes(&[&["p4"], &["p5"]])),
            ("inlined_head", probes(&[&["p4"], &["p1"]])),
            ("absent", Err("inlined".to_owned())),
        ];
        let functions = functions.map(|(name, probes)| (name.to_owned(), probes)).into();
        let probes = Probes { functions, tracing: Err("no tracer".to_owned()) };
        let before = "p1 5 0\np2 1 0\np3 1 0\np4 7 0\np5 0 0";
        let after = "p1 7 1\np2 3 0\np4 7 0\np5 0 0";
        let reach = probes.reach("a-bug", counts(before), counts(after));
        let counted = |entries, missed| FunctionEntries::Counted { entries, missed };
        let not = |why: &str| FunctionEntries::NotCounted(why.to_owned());
        let expected = [
            ("clones", counted(4, 1)),
            ("gone", not("its probe was removed")),
            ("never", counted(0, 0)),
            ("inlined_head", counted(2, 1)),
            ("absent", not("inlined")),
        ];
        assert_eq!(reach.functions, expected.map(|(name, entries)| (name.to_owned(), entries)).into());
        let reach = probes.reach("a-bug", counts(""), probes.counts());
        assert_eq!((reach.functions.len(), reach.unavailable.as_deref()), (0, Some("no tracer")));
    }

    #[test]
    fn clones_are_probed_and_namesakes_are_refused() {
        let text =
            b"ffffffff81000000 T plain\nffffffff81000010 t clone.isra.0\nffffffff81000020 t clone.constprop.0.isra.1
ffffffff81000030 t clone.cold\nffffffff81000040 t head\nffffffff81000050 t head.part.0\nffffffff81000060 t tail.part.0
ffffffff81000070 t twice\nffffffff81000080 t twice\t[tun]\nffffffff81000090 D data\n0 t not-\xff-utf8\ngarbage\n
ffffffff810000a0 t only.cold\nffffffff810000b0 t in_module\t[tun]";
        let names: Vec<String> =
            ["plain", "clone", "head", "tail", "twice", "data", "only", "in_module", "a b"].map(str::to_owned).into();
        let symbols = Symbols::read(names.iter(), &text[..]).expect("text");
        for (function, expected) in [
            ("plain", Ok(&[&["plain"][..]][..])),
            ("clone", Ok(&[&["clone.constprop.0.isra.1", "clone.isra.0"]])),
            ("head", Ok(&[&["head"], &["head.part.0"]])),
            ("tail", Ok(&[&["tail.part.0"]])),
            ("in_module", Ok(&[&["in_module"]])),
            ("twice", Err("this kernel has several functions named twice")),
            ("data", Err("this kernel has no function of this name, or the compiler inlined it")),
            ("only", Err("this kernel has no function of this name, or the compiler inlined it")),
            ("unasked", Err("this kernel has no function of this name, or the compiler inlined it")),
            ("a b", Err("this is not the name of a function")),
            ("", Err("this is not the name of a function")),
            ("p\nq", Err("this is not the name of a function")),
        ] {
            assert_eq!(symbols.to_probe(function), expected.map(owned).map_err(str::to_owned), "{function}");
        }
    }
}
