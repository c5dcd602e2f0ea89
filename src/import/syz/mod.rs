//! C reproducers of syzkaller, with the crash that they are to provoke.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use backproof_protocol::{GuestMount, ProgramProtocol};

use super::candidate::{Candidate, CrashWords, ProgramPlace};
use super::tree::SourceTree;
use super::{ImportError, ImportReport, ImportTarget, Rejected, RejectionKind, write};
use crate::matrix::Needs;
use crate::regular;

mod compile;
mod title;

use compile::CompileError;

/// The most bytes of a reproducer, and of a report.
const SIZES_MAX: (u64, u64) = (4 << 20, 16 << 20);

/// The most reproducers of a folder.
const SOURCES_MAX: usize = 20_000;

/// The time limit of a reproducer. Most of them never end by themselves.
const DEADLINE: Duration = Duration::from_secs(60);

/// Texts of reproducers that set up something which is a module in most kernels.
const MODULES: [(&str, &str); 6] = [
    ("\"/dev/net/tun\"", "tun"),
    ("\"/dev/vhci\"", "hci_vhci"),
    ("\"/dev/raw-gadget\"", "raw_gadget"),
    ("\"/dev/loop", "loop"),
    ("\"MAC80211_HWSIM\"", "mac80211_hwsim"),
    ("\"/dev/uinput\"", "uinput"),
];

/// Texts of reproducers, and options that they need.
const OPTIONS: [(&str, &str); 1] = [("/fail-nth", "CONFIG_FAULT_INJECTION")];

/// Texts of reproducers, and file systems that they use.
const MOUNTS: [(&str, GuestMount); 2] =
    [("\"/sys/kernel/debug", GuestMount::Debugfs), ("\"/dev/ptmx\"", GuestMount::Devpts)];

/// How far an import is.
#[derive(Clone, Copy, Debug)]
pub struct SyzProgress {
    done: usize,
    total: usize,
}

impl fmt::Display for SyzProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "compiling reproducers: {} of {}", self.done, self.total)
    }
}

/// A reproducer's source.
struct SyzSource {
    name: String,
    id: String,
    /// None if it is no regular file below the folder.
    path: Option<PathBuf>,
    /// Whether its folder has no other, so that the folder's report is its own.
    alone: bool,
}

/// Imports a reproducer, or all of a folder. A `title` names the crash of a single one.
///
/// # Errors
/// If there is none, the compiler does not start, or the target cannot be written.
pub fn import(
    path: &Path,
    title: Option<&str>,
    target: ImportTarget<'_>,
    tell: &mut dyn FnMut(&SyzProgress),
) -> Result<ImportReport, ImportError> {
    let sources = sources(path)?;
    if title.is_some() && sources.len() > 1 {
        return Err(ImportError::unusable(path, "a title is for one reproducer, and this folder has several"));
    }
    let folder =
        tempfile::tempdir().map_err(|source| ImportError::Unwritable { path: std::env::temp_dir(), source })?;
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    // Programs are written into the target before the next ones take their places here.
    let places: Vec<PathBuf> = (0..at_once).map(|number| folder.path().join(number.to_string())).collect();
    let mut progress = SyzProgress { done: 0, total: sources.len() };
    let mut no_compiler = None;
    let candidates = sources.chunks(at_once).flat_map(|some| {
        tell(&progress);
        progress.done += some.len();
        side_by_side(some, title, &places)
    });
    let candidates = candidates.map_while(|candidate| candidate.map_err(|error| no_compiler = Some(error)).ok());
    let report = write("syz", target, candidates)?;
    no_compiler.map_or(Ok(report), |error| Err(ImportError::NoCompiler(error)))
}

/// The dossiers of some reproducers, which are compiled at the same time, each to its place.
fn side_by_side<'s>(
    sources: &'s [SyzSource],
    title: Option<&'s str>,
    places: &'s [PathBuf],
) -> Vec<io::Result<Result<Candidate, Rejected>>> {
    thread::scope(|scope| {
        let compile = |(source, place): (_, &'s PathBuf)| scope.spawn(move || candidate(source, title, place));
        let running: Vec<_> = sources.iter().zip(places).map(compile).collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The reproducer of a path, or those of a folder and of its folders.
fn sources(path: &Path) -> Result<Vec<SyzSource>, ImportError> {
    let unusable = |why: String| ImportError::unusable(path, why);
    if path.is_file() {
        let stem = stem(path);
        let path = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
        let alone = path.parent().is_some_and(|folder| c_files(folder).is_ok_and(|files| files.len() == 1));
        return Ok(vec![SyzSource { name: stem.clone(), id: stem, path: Some(path), alone }]);
    }
    let tree = SourceTree::open(path)?;
    let mut folders = vec![PathBuf::new()];
    let entries = fs::read_dir(tree.root()).map_err(|error| unusable(error.to_string()))?;
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    folders.extend(entries.flatten().filter(is_folder).map(|entry| PathBuf::from(entry.file_name())));
    folders.sort();
    let mut sources = Vec::new();
    for folder in folders {
        let files = c_files(&tree.root().join(&folder)).map_err(|error| unusable(error.to_string()))?;
        let alone = files.len() == 1;
        for file in files {
            let file = folder.join(file);
            let name = file.with_extension("").display().to_string();
            // A folder of a crash has its reproducer under a name that says nothing: repro.c.
            let is_below = folder.components().next().is_some();
            let id = if alone && is_below { folder.display().to_string() } else { name.replace('/', "-") };
            sources.push(SyzSource { name, id, path: tree.file(&file), alone });
        }
    }
    match sources.len() {
        0 => Err(unusable("it has no C file".to_owned())),
        number if number > SOURCES_MAX => Err(unusable(format!("it has more than {SOURCES_MAX} C files"))),
        _ => Ok(sources),
    }
}

/// The names of a folder's C files.
fn c_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let names = fs::read_dir(folder)?.flatten().map(|entry| PathBuf::from(entry.file_name()));
    let mut files: Vec<PathBuf> = names.filter(|name| name.extension().is_some_and(|suffix| suffix == "c")).collect();
    files.sort();
    Ok(files)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The dossier of a reproducer, which is compiled to this file.
///
/// # Errors
/// If the compiler does not start.
fn candidate(source: &SyzSource, title: Option<&str>, program: &Path) -> io::Result<Result<Candidate, Rejected>> {
    let rejected = |kind, why: String| Ok(Err(Rejected::new(&source.name, kind, why)));
    let Some(path) = &source.path else {
        return rejected(RejectionKind::Malformed, "it is no regular file below the folder".to_owned());
    };
    let (most_source, _) = SIZES_MAX;
    let text = match regular::read(path, most_source) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return rejected(RejectionKind::Malformed, format!("cannot read it: {error}")),
    };
    let title = title.map(str::to_owned).or_else(|| title_beside(path, source.alone)).or_else(|| title_above(&text));
    let Some(title) = title else {
        let why = "no report beside it, and no title at its start: name the crash with --title";
        return rejected(RejectionKind::NoCrash, why.to_owned());
    };
    let crash = match title::crash(&title) {
        Ok(crash) => crash,
        Err(why) => return rejected(RejectionKind::NoCrash, why),
    };
    match compile::compile(path, program) {
        Ok(()) => {}
        Err(CompileError::Failed(why)) => return rejected(RejectionKind::Compile, why),
        Err(CompileError::NoCompiler(error)) => return Err(error),
    }
    Ok(Ok(of_parts(source, &text, &title, crash, program)))
}

fn of_parts(source: &SyzSource, text: &str, title: &str, crash: CrashWords, program: &Path) -> Candidate {
    let has = |known: &str| text.contains(known);
    let of = |table: &[(&str, &str)]| -> Vec<String> {
        table.iter().filter(|(known, _)| has(known)).map(|(_, needed)| (*needed).to_owned()).collect()
    };
    let mounts = MOUNTS.iter().filter(|(known, _)| has(known)).map(|(_, mount)| *mount).collect();
    Candidate {
        name: source.name.clone(),
        id: readable(&source.id, title),
        title: title.to_owned(),
        summary: format!("A program that syzkaller found makes the kernel report: {title}"),
        references: vec![link(text).unwrap_or_else(|| format!("syzkaller's reproducer {}", source.name))],
        fixes: Vec::new(),
        program: program.to_owned(),
        place: ProgramPlace::Beside("repro".to_owned()),
        files: Vec::new(),
        rootfs: None,
        protocol: ProgramProtocol::Crash,
        crash: Some(crash),
        args: Vec::new(),
        env: Default::default(),
        needs: Needs { modules: of(&MODULES), config: of(&OPTIONS), mounts, ..Needs::default() },
        deadline: DEADLINE,
        notes: Vec::new(),
    }
}

/// The most characters of a title in a bug's name.
const NAME_TITLE_MAX: usize = 60;

/// The wanted name of a bug: the file's, or the title if the file's name is only a hash, as in collections.
fn readable(name: &str, title: &str) -> String {
    let is_hash = name.len() >= 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.get(..7).filter(|_| is_hash) {
        Some(start) => {
            let title = title::bare(title).to_lowercase();
            let words: Vec<&str> =
                title.split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
            format!("{}-{start}", words.join("-").chars().take(NAME_TITLE_MAX).collect::<String>())
        }
        None => name.to_owned(),
    }
}

/// The lines of the comment at the start.
fn comment(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take(20).map_while(|line| line.strip_prefix("//")).map(str::trim)
}

/// The title of the crash in the comment at the start: collections of reproducers put it there.
fn title_above(text: &str) -> Option<String> {
    let usable = comment(text).find(|line| title::crash(line).is_ok());
    usable.or_else(|| comment(text).find(|line| title::is_title(line))).map(str::to_owned)
}

/// The address of syzbot's page in the comment at the start.
fn link(text: &str) -> Option<String> {
    let mut words = comment(text).flat_map(str::split_whitespace);
    let is_link = |word: &&str| word.starts_with("https://syzkaller.appspot.com/") && word.len() < 200;
    words.find(is_link).map(str::to_owned)
}

/// The title of the crash in a report beside the reproducer.
fn title_beside(source: &Path, alone: bool) -> Option<String> {
    let (_, most) = SIZES_MAX;
    let mut beside = vec![source.with_extension("report"), source.with_extension("txt")];
    if let Some(folder) = source.parent().filter(|_| alone) {
        beside.extend(["report", "report.txt", "description"].map(|name| folder.join(name)));
    }
    let read = |path: PathBuf| regular::read(&path, most).ok();
    beside.into_iter().filter_map(read).find_map(|bytes| title::of_report(&String::from_utf8_lossy(&bytes)))
}
