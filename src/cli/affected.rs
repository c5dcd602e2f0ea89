//! `backproof affected`: is this kernel affected?

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::{Affected, FailOn, Stop, ended, host, matrix_file, show};
use crate::answer::{Answers, Inquiry, Page, SubjectSaid};
use crate::evidence::git::{self, GitIndex, Repository};
use crate::exit::Exit;
use crate::kernel::{self, Downloaded, Kernel, Obtain, ObtainError};
use crate::matrix::{Bugs, KernelEntry, Matrix, Remote, Source, is_cve};
use crate::report::{Fetching, Indexing, cached_boots, say};
use crate::results::RunSelection;
use crate::run::{CacheUse, KernelLook, RunPlan};
use crate::verdict::Judgement;
use crate::words::{BadName, BugId, KernelName};

/// The most subjects and bytes to read from stdin: enough for a fleet, but not an endless stream.
const SUBJECTS: usize = 100_000;
const STDIN: u64 = 16 << 20;

/// Answers about each subject, and gives the exit code.
pub(super) fn affected(args: &Affected) -> Result<Exit, Stop> {
    let bugs = matrix_file::bugs(args.dossiers.as_deref())?;
    let (named, what) = bugs_among(&texts(&args.what)?, &bugs, args.git.is_some())?;
    let named = [&args.bug[..], &named].concat();
    let chosen = matrix_file::chosen(&bugs, &named)?;
    let subjects = subjects(&what, named.first(), args.git.is_some())?;
    let repository = args.git.as_deref().map(Repository::open).transpose().map_err(Stop::usage)?;
    let index = repository.map(|repository| index(&repository, args));
    let fetching = Fetching::new();
    let unpack = |source: &Source| unpack(source, args, &fetching);
    let fetch = |remote: &Remote| fetch(remote, args, &fetching);
    let index = index.as_ref().map(|index| index.as_ref().map_err(String::as_str));
    // A bug that is named counts, even if no fix exists.
    let counts_all = !named.is_empty() || args.fail_on == FailOn::Any;
    let inquiry = Inquiry { bugs: chosen, counts_all, index, unpack: &unpack, fetch: &fetch };
    // Without a boot, each subject is examined when its answer is written, so a fleet is never in memory as a whole.
    let (asked, booted) = if args.boot {
        let asked: Vec<SubjectSaid> = subjects.iter().map(|subject| inquiry.ask(inquiry.look(subject))).collect();
        match boot(&subjects, &asked, &bugs, &inquiry, args)? {
            Some(booted) => (asked, booted),
            None => return Ok(Exit::Interrupted),
        }
    } else {
        (Vec::new(), Vec::new())
    };
    let nothing = BTreeMap::new();
    let mut asked = asked.into_iter();
    let answer = |(index, subject): (usize, &String)| {
        let said = asked.next().unwrap_or_else(|| inquiry.ask(inquiry.look(subject)));
        inquiry.answer(said, booted.get(index).unwrap_or(&nothing))
    };
    let answers = Answers::of(subjects.iter().enumerate().map(answer));
    let printed = show(&answers, args.output.format, args.output.style());
    ended(answers.finish().exit(), printed)
}

/// The up-to-date index of the repository. An unreadable repository is part of the answer.
fn index(repository: &Repository, args: &Affected) -> Result<GitIndex, String> {
    let told = |error: anyhow::Error| format!("{error:#}");
    let store = args.host.cache.open().map_err(|error| told(error.into()))?;
    let bar = Indexing::new();
    let index = repository.index(&store.path(git::INDEXES), &|progress| bar.tell(progress));
    bar.finish();
    // A later question may have to wait again.
    let later = |progress| Indexing::new().tell(progress);
    index.map(|index| index.telling(later)).map_err(|error| told(error.into()))
}

/// Unpacks a package, or the packages of an archive's build, into the cache.
fn unpack(source: &Source, args: &Affected, fetching: &Fetching) -> Result<Kernel, String> {
    obtaining(args, fetching, |with| kernel::obtain(source, with))
}

/// Fetches a file into the cache.
fn fetch(remote: &Remote, args: &Affected, fetching: &Fetching) -> Result<Downloaded, String> {
    obtaining(args, fetching, |with| kernel::fetch(remote, with))
}

fn obtaining<T>(
    args: &Affected,
    fetching: &Fetching,
    obtain: impl FnOnce(&Obtain) -> Result<T, ObtainError>,
) -> Result<T, String> {
    host::obtaining(&args.host.cache, args.offline, fetching, obtain).map_err(|stop| stop.to_string())
}

/// Boots every bootable subject. Returns each subject's judgements of the bugs that have a reproducer, or None if
/// interrupted.
fn boot(
    subjects: &[String],
    asked: &[SubjectSaid],
    bugs: &Bugs,
    inquiry: &Inquiry,
    args: &Affected,
) -> Result<Option<Vec<BTreeMap<BugId, Judgement>>>, Stop> {
    let ids: Vec<BugId> = inquiry.bugs.iter().map(|bug| bug.id.clone()).collect();
    let names = names(subjects).map_err(Stop::no_verdict)?;
    let bootable = || names.iter().zip(asked).filter_map(|(name, said)| Some((name, said, said.bootable.clone()?)));
    let kernels: Vec<_> =
        bootable().map(|(name, _, source)| KernelEntry::plain(name.clone(), source, ids.clone())).collect();
    if kernels.is_empty() {
        let hint = "a boot needs a package, an image or a built tree";
        return Err(Stop::usage(anyhow!("--boot: none of what was named can be booted: {hint}")));
    }
    let matrix = Matrix::of_kernels(kernels, bugs.clone(), ids);
    let profiles = matrix.choose_profiles(bugs, &[]).map_err(Stop::usage)?;
    let look = |said: &SubjectSaid| KernelLook { said: said.said.clone(), release: said.release.clone() };
    let looked = bootable().map(|(name, said, _)| (name.clone(), look(said))).collect();
    let cache = if args.fresh { CacheUse::Fresh } else { CacheUse::Virtual };
    let plain = RunPlan::plain(matrix, bugs.clone(), profiles, cache).map_err(Stop::usage)?;
    let plan = RunPlan { looked, ..plain };
    let lab = host::lab(&args.host, 1, true, false, host::cpus())?;
    let judged = super::run::in_folder(plan, RunSelection::default(), &Arc::new(lab), &args.host.results)?;
    judged.written.map_err(Stop::no_verdict)?;
    if let Some(cached) = cached_boots(&judged.document) {
        say(format_args!("cached: {cached}"));
    }
    if let Some(differs) = judged.document.differing.first() {
        let remedy = "both transcripts are in the run's folder; run it again, and report it if it differs again";
        return Err(Stop::no_verdict(anyhow!("a transcript differs from the cached boot: {differs}; {remedy}")));
    }
    if judged.document.run.interrupted {
        return Ok(None);
    }
    let of = |name: &KernelName| {
        let cells = judged.document.cells.iter().filter(|cell| cell.kernel == *name);
        // Without a reproducer, the other witnesses judge the bug.
        let ran = cells.filter(|cell| bugs.get(&cell.bug).is_some_and(|bug| bug.reproducer.is_some()));
        ran.map(|cell| (cell.bug.clone(), cell.judgement.clone())).collect()
    };
    Ok(Some(names.iter().map(of).collect()))
}

/// Unique names for booted subjects, after their files.
pub(super) fn names(subjects: &[String]) -> Result<Vec<KernelName>, BadName> {
    const LONGEST: usize = 60;
    let mut names: Vec<KernelName> = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        let file = Path::new(subject).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let allowed = |c: char| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '-' };
        let name: String = file.chars().take(LONGEST).map(allowed).collect();
        let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let name = if name.is_empty() { "subject" } else { name };
        let mut call = name.parse()?;
        if names.contains(&call) {
            call = format!("{name}-{}", index + 1).parse()?;
        }
        // Another file may have this name.
        while names.contains(&call) {
            call = format!("{call}-again").parse()?;
        }
        names.push(call);
    }
    Ok(names)
}

/// The arguments as text, which answers quote.
fn texts(what: &[OsString]) -> Result<Vec<String>, Stop> {
    let text = |what: &OsString| {
        let remedy = "rename it, or name it by a link (ln -s)";
        let odd = || Stop::usage(anyhow!("the name `{}` is not UTF-8; {remedy}", what.display()));
        what.to_str().map(str::to_owned).ok_or_else(odd)
    };
    what.iter().map(text).collect()
}

/// Splits the arguments into bugs and the rest. A CVE is always a bug. A bug's name or commit is a bug unless a file has
/// that name, or `--git` makes it a revision.
fn bugs_among(what: &[String], bugs: &Bugs, in_repository: bool) -> Result<(Vec<BugId>, Vec<String>), Stop> {
    let (mut named, mut rest) = (Vec::new(), Vec::new());
    for text in what {
        let is_there = Path::new(text).exists();
        match bugs.find(text) {
            Err(error) if is_cve(text) && !is_there => return Err(Stop::usage(error)),
            Ok(bug) if is_cve(text) || !in_repository && !is_there => named.push(bug.id.clone()),
            _ => rest.push(text.clone()),
        }
    }
    Ok((named, rest))
}

/// The subjects: the arguments that are not bugs, and the lines of stdin for `-` or without arguments.
fn subjects(what: &[String], bug: Option<&BugId>, in_repository: bool) -> Result<Vec<String>, Stop> {
    let stdin = std::io::stdin();
    let from_stdin = what.iter().any(|what| what == "-") || (what.is_empty() && !stdin.is_terminal());
    let mut subjects: Vec<String> = what.iter().filter(|what| *what != "-").cloned().collect();
    if from_stdin {
        let mut text = Vec::new();
        // One byte too many shows that stdin is too long.
        let read = stdin.lock().take(STDIN + 1).read_to_end(&mut text);
        read.context("stdin cannot be read").map_err(Stop::usage)?;
        if text.len() as u64 > STDIN {
            return Err(Stop::usage(anyhow!("stdin has more than {} MiB; ask in parts", STDIN >> 20)));
        }
        // Text that is not UTF-8 is answered as an unknown release.
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        // In a repository each line is a revision.
        let lines = lines.collect();
        let page = if in_repository { Page { lines, ..Page::default() } } else { Page::of(lines) };
        if page.skipped > 0 {
            let (skipped, commands) = (page.skipped, page.commands.join(" and "));
            if page.lines.is_empty() && subjects.is_empty() {
                return Err(Stop::no_verdict(anyhow!("none of the {skipped} lines of {commands} names a kernel")));
            }
            say(format_args!("backproof: skipped {skipped} lines of {commands} that name no kernel"));
        }
        subjects.extend(page.lines.into_iter().map(str::to_owned));
        if subjects.len() > SUBJECTS {
            return Err(Stop::usage(anyhow!("more than {SUBJECTS} subjects; ask in parts")));
        }
    }
    if subjects.is_empty() {
        let about = bug.map_or_else(String::new, |bug| format!(" by {bug}"));
        let name = bug.map_or_else(String::new, |bug| format!("--bug {bug} "));
        let hint = "a package, an image or a source tree, or write them to stdin, one a line";
        return Err(Stop::usage(anyhow!(
            "nothing was asked about: which kernel may be affected{about}? Name a release \
             (`backproof affected {name}$(uname -r)`), {hint}"
        )));
    }
    Ok(subjects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_called_after_their_files() {
        let subjects =
            ["boot/vmlinuz-4.19.51", "/tmp/a b.deb", ".", "x/bzImage", "y/bzImage", "bzImage-5", "é/.ü", "6.1"];
        let names = names(&subjects.map(str::to_owned)).unwrap();
        let expected =
            ["vmlinuz-4.19.51", "a-b.deb", "subject", "bzImage", "bzImage-5", "bzImage-5-6", "subject-7", "6.1"];
        assert_eq!(names.iter().map(KernelName::as_str).collect::<Vec<_>>(), expected);
        let same = vec!["a/vmlinuz".to_owned(); 3];
        assert_eq!(super::names(&same).unwrap().len(), 3);
    }
}
