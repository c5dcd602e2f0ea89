//! What the witness `git` costs on a history as large as Linux's: `cargo bench --bench git`.
//!
//! Makes the history (see `history/mod.rs`), and measures the first index with its memory, questions, an update after
//! 500 new commits, and `git log --grep` for the same question. `-- MAINLINE BRANCHES BACKPORTS` sets the size;
//! BACKPROOF_BENCH names the folder, and a history that is there already is used again.
//!
//! BACKPROOF_BENCH_REPOSITORY names a real repository instead, and BACKPROOF_BENCH_REVISION a revision of it: measured are
//! one question with the opening of the index, and 200 dossiers whose steps are commits of that history.
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use backproof::evidence::git::Repository;
use backproof::matrix::{Bug, Bugs, Step};
use backproof::words::Role;

mod history;

use history::{Chain, FILE, SUBJECTS, Size};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let size = match numbers.as_slice() {
        [mainline, branches, backports] => Size { mainline: *mainline, branches: *branches, backports: *backports },
        _ => Size::LINUX,
    };
    let kept = std::env::var_os("BACKPROOF_BENCH").map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let work = kept.as_deref().unwrap_or(temporary.path());
    // The child does the work that is measured, so that its memory is its own.
    if std::env::var_os("BACKPROOF_BENCH_INDEX").is_some() {
        return first_index(work);
    }
    fs::create_dir_all(work)?;
    if let Some(repository) = std::env::var_os("BACKPROOF_BENCH_REPOSITORY") {
        let revision = std::env::var("BACKPROOF_BENCH_REVISION").unwrap_or_else(|_| "HEAD".to_owned());
        return many_dossiers(Path::new(&repository), &revision, &work.join("cache"));
    }
    let repository = work.join("linux.git");
    let began = Instant::now();
    let chain = make(&repository, size)?;
    println!("{} commits, made in {:.0} s", size.commits(), began.elapsed().as_secs_f64());

    let cache = work.join("cache");
    let _ = fs::remove_dir_all(&cache);
    let began = Instant::now();
    let child = Command::new(std::env::current_exe()?)
        .env("BACKPROOF_BENCH", work)
        .env("BACKPROOF_BENCH_INDEX", "1")
        .output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into());
    }
    let memory = String::from_utf8_lossy(&child.stdout).trim().to_owned();
    row("first index", &format!("{:.1} s; {memory}", began.elapsed().as_secs_f64()));
    let files = fs::read_dir(&cache)?.flatten().filter_map(|entry| entry.metadata().ok()).map(|about| about.len());
    row("index on disk", &format!("{} MB", files.sum::<u64>() / 1_000_000));

    let bug = dossier(&chain)?;
    let revisions = revisions(&repository)?;
    let (mut opened, mut asked) = (Vec::new(), Vec::new());
    for revision in revisions.iter().cycle().take(60) {
        let began = Watch::start();
        let index = Repository::open(&repository)?.index(&cache, &|_| {})?;
        let first = index.ask(&bug, revision)?;
        opened.push(began.elapsed());
        let began = Watch::start();
        let again = index.ask(&bug, revision)?;
        asked.push(began.elapsed());
        if first != again {
            return Err(format!("{revision}: two answers").into());
        }
    }
    row("open and ask", &spread(&opened));
    row("ask", &spread(&asked));
    for revision in &revisions {
        let testimony = Repository::open(&repository)?.index(&cache, &|_| {})?.ask(&bug, revision)?;
        println!(
            "    {revision}: {}",
            testimony.finding.states.iter().map(|s| s.to_string()).collect::<Vec<_>>().join(", ")
        );
    }

    let began = Instant::now();
    let found = Command::new("git")
        .arg("-C")
        .arg(&repository)
        .args(["log", "--format=%h", "--grep", &chain[2][..12], &revisions[1]])
        .output()?;
    if !found.status.success() {
        return Err("git log failed".into());
    }
    row("git log --grep, one step", &format!("{:.1} s", began.elapsed().as_secs_f64()));

    let branch = revisions.last().ok_or("no branch")?;
    import(&repository, |out, _| history::write_update(branch, &format!("refs/heads/{branch}^0"), 500, out))?;
    let began = Instant::now();
    Repository::open(&repository)?.index(&cache, &|_| {})?;
    row("update after 500 commits", &format!("{:.2} s", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Asks as many dossiers as a user may have about one revision of a real repository.
fn many_dossiers(repository: &Path, revision: &str, cache: &Path) -> Result<()> {
    let dossiers = real_dossiers(repository, revision, 200)?;
    let began = Instant::now();
    Repository::open(repository)?.index(cache, &|_| {})?;
    row("first index, or none needed", &format!("{:.1} s", began.elapsed().as_secs_f64()));
    let open = || Repository::open(repository)?.index(cache, &|_| {});
    let mut opened = Vec::new();
    for bug in dossiers.iter().take(20) {
        let began = Watch::start();
        open()?.ask(bug, revision)?;
        opened.push(began.elapsed());
    }
    row("open and ask", &spread(&opened));
    let began = Watch::start();
    let index = open()?;
    for bug in &dossiers {
        index.ask(bug, revision)?;
    }
    let (wall, processor) = began.elapsed();
    let what = format!("open and ask {} dossiers", dossiers.len());
    row(&what, &format!("{:.2} s; of processor time: {:.2} s", wall.as_secs_f64(), processor.as_secs_f64()));
    Ok(())
}

/// Dossiers whose fix and break are two commits of the history, one after the other, that change the same file alone.
fn real_dossiers(repository: &Path, revision: &str, count: usize) -> Result<Vec<Bug>> {
    let log = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["log", "--no-merges", "--max-count=20000", "--format=%x00%H %s", "--name-only", revision])
        .output()?;
    let mut fixes: HashMap<String, (String, String)> = HashMap::new();
    let mut dossiers = Vec::new();
    for commit in String::from_utf8_lossy(&log.stdout).split('\0') {
        let lines: Vec<&str> = commit.lines().filter(|line| !line.is_empty()).collect();
        let [head, file] = lines.as_slice() else { continue };
        let Some((name, subject)) = head.split_once(' ') else { continue };
        if let Some((fix, fixes)) = fixes.insert((*file).to_owned(), (name.to_owned(), subject.to_owned())) {
            let mut bug = Bugs::built_in().iter().next().ok_or("no bugs")?.clone();
            bug.releases = None;
            bug.chain = vec![step(Role::Break, name, subject, file)?, step(Role::Fix, &fix, &fixes, file)?];
            dossiers.push(bug);
        }
        if dossiers.len() == count {
            break;
        }
    }
    Ok(dossiers)
}

/// Builds the index, and prints the most memory that this process has had.
fn first_index(work: &Path) -> Result<()> {
    let repository = Repository::open(&work.join("linux.git"))?;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // The kernel keeps the peak of all resident pages only; mapped packs are not this process's own.
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while stopped.recv_timeout(Duration::from_millis(50)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            most = most.max(status("RssAnon"));
        }
        most
    });
    repository.index(&work.join("cache"), &|_| {})?;
    drop(stop);
    let own = watch.join().map_err(|_| "the watching thread died")?;
    println!("{} MiB of own memory, {} MiB with what is mapped", own / 1024, status("VmHWM") / 1024);
    Ok(())
}

/// A line of /proc/self/status, in KiB.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Makes the history, but where it is there already.
fn make(repository: &Path, size: Size) -> Result<Chain> {
    let noted = repository.join("chain");
    if !noted.exists() {
        init(repository)?;
        let chain = import(repository, |git, answers| {
            history::write(size, git, &mut |git, mark| {
                writeln!(git, "get-mark :{mark}")?;
                git.flush()?;
                let mut name = String::new();
                answers.read_line(&mut name)?;
                Ok(name.trim().to_owned())
            })
        })?;
        fs::write(&noted, chain.join("\n"))?;
    }
    let text = fs::read_to_string(&noted)?;
    let names: Vec<String> = text.lines().map(str::to_owned).collect();
    names.try_into().map_err(|_| format!("{} is not a list of three commits", noted.display()).into())
}

fn init(repository: &Path) -> Result<()> {
    let made = Command::new("git").args(["init", "--quiet", "--bare"]).arg(repository).status()?;
    if made.success() { Ok(()) } else { Err("git init failed".into()) }
}

/// Feeds `git fast-import`, whose answers come back on the other side.
fn import<T>(
    repository: &Path,
    write: impl FnOnce(&mut BufWriter<ChildStdin>, &mut BufReader<ChildStdout>) -> std::io::Result<T>,
) -> Result<T> {
    let mut git = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["fast-import", "--quiet", "--done"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = BufWriter::with_capacity(1 << 20, git.stdin.take().ok_or("no pipe")?);
    let mut answers = BufReader::new(git.stdout.take().ok_or("no pipe")?);
    let written = write(&mut out, &mut answers)?;
    out.flush()?;
    drop(out);
    if git.wait()?.success() { Ok(written) } else { Err("git fast-import failed".into()) }
}

fn dossier(chain: &Chain) -> Result<Bug> {
    let mut bug = Bugs::built_in().iter().next().ok_or("no bugs")?.clone();
    bug.chain = Vec::new();
    for ((role, commit), subject) in [Role::Break, Role::HalfFix, Role::Fix].into_iter().zip(chain).zip(SUBJECTS) {
        bug.chain.push(step(role, commit, subject, FILE)?);
    }
    Ok(bug)
}

fn step(role: Role, commit: &str, subject: &str, file: &str) -> Result<Step> {
    Ok(Step {
        role,
        commit: Some(commit.parse()?),
        subject: Some(subject.to_owned()),
        files: vec![file.to_owned()],
        backports: Vec::new(),
        only_before: None,
        effect: String::new(),
    })
}

/// Mainline, and some of the stable branches, the newest last.
fn revisions(repository: &Path) -> Result<Vec<String>> {
    let branches = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["for-each-ref", "--sort=version:refname", "--format=%(refname:short)", "refs/heads/linux-*"])
        .output()?;
    let branches = String::from_utf8(branches.stdout)?;
    let stable: Vec<&str> = branches.lines().collect();
    let picked = stable.iter().step_by((stable.len() / 4).max(1)).chain(stable.last());
    Ok(["master"].iter().chain(picked).map(|name| (*name).to_owned()).collect())
}

fn row(what: &str, value: &str) {
    println!("{what:<28} {value}");
}

/// Wall time, and this thread's processor time: on a host that is busy with other things only the latter can be compared.
struct Watch(Instant, Duration);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), Self::processor())
    }

    fn elapsed(&self) -> (Duration, Duration) {
        (self.0.elapsed(), Self::processor().saturating_sub(self.1))
    }

    fn processor() -> Duration {
        // Documentation/scheduler/sched-stats.rst: the first number is the time spent on the processor, in nanoseconds.
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
        Duration::from_nanos(nanoseconds.unwrap_or(0))
    }
}

/// Median and maximum, in milliseconds.
fn spread(times: &[(Duration, Duration)]) -> String {
    let of = |part: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<f64> = times.iter().map(|time| part(time).as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let at = |at: usize| times.get(at).copied().unwrap_or(0.0);
        format!("median {:.1} ms, at most {:.1} ms", at(times.len() / 2), at(times.len().saturating_sub(1)))
    };
    format!("{}; of processor time: {}", of(|time| time.0), of(|time| time.1))
}
