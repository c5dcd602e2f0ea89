//! One run of Kconfig and make in an object tree.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use super::config::{self, ConfigOrder, Goal};
use super::error::{BuildError, BuildStep};
use super::make::{self, MakeRun};
use super::objects::ObjectTree;
use super::tools::Toolchain;
use super::workarounds::Workarounds;
use crate::kernel::file_error::FileError;
use crate::kernel::store::Store;
use crate::regular;
use crate::shim::Shim;

/// The largest configuration, in bytes. Distributions' have some 300 KiB.
pub(in crate::kernel) const MAX_CONFIG: u64 = 4 << 20;

/// A kernel to configure and compile.
pub(in crate::kernel) struct ObjectJob<'a> {
    /// The kernel, for messages.
    pub subject: &'a str,
    /// Its configuration.
    pub config: &'a ConfigOrder,
    /// The end of its release.
    pub version: &'a str,
    pub tree: &'a ObjectTree,
    pub toolchain: &'a Toolchain,
    /// Whether old sources may be compiled with other arguments of make than usual.
    pub works_around: bool,
    /// Receives make's output.
    pub log: &'a Path,
    pub store: &'a Store,
    pub shim: &'a Shim,
    pub tell: &'a dyn Fn(JobEvent),
}

/// The progress of a job.
pub(in crate::kernel) enum JobEvent {
    /// It reached a step.
    Step(BuildStep),
    /// The number of lines that make has printed.
    Output(u64),
    /// It starts again from the first file, because make failed on the remains of a killed build. The text says so.
    Again(String),
    /// make failed for a known reason, and runs again with other arguments. The text says so.
    WorkedAround(String),
}

/// A finished job.
pub(in crate::kernel) struct JobDone {
    /// Lines that the last make printed.
    pub output_lines: u64,
    /// The objects that were compiled, as make names them.
    pub compiled: Vec<String>,
    /// Lines of the configuration that the source doesn't support.
    pub dropped: Vec<String>,
    /// Arguments of make that its source requires.
    pub workarounds: Workarounds,
    /// Seconds of processor time; `None` if the host does not say.
    pub cpu_seconds: Option<f64>,
    /// Seconds of wall time.
    pub seconds: f64,
}

impl ObjectJob<'_> {
    /// Compiles the image. Resumes after an interruption.
    pub(in crate::kernel) fn run(&self) -> Result<JobDone, BuildError> {
        let (began, cpu) = (Instant::now(), make::children_cpu());
        let mut building = self.tree.begin(self.store)?;
        let mut attempt = Attempt::new(self);
        let mut made = attempt.configure_and_make();
        loop {
            if !has_failed(&made) {
                break;
            }
            if let Some(text) = attempt.work_around() {
                self.say(&text)?;
                (self.tell)(JobEvent::WorkedAround(text));
            } else if building.is_resumed() {
                // Only a kill leaves half-written files. Without one, a failure is final.
                let text = format!("{}: make failed on what a killed build left; all is built again", self.subject);
                self.say(&text)?;
                (self.tell)(JobEvent::Again(text));
                building.start_again(self.store)?;
                attempt = Attempt::new(self);
            } else {
                break;
            }
            made = attempt.configure_and_make();
        }
        if has_failed(&made) {
            building.fail()?;
        }
        let output_lines = made?;
        // Not after a failure: on a full disk make may fail to delete the target of a failed command.
        building.end()?;
        let spent = make::children_cpu().zip(cpu).map(|(after, before)| after.saturating_sub(before).as_secs_f64());
        let Attempt { compiled, dropped, workarounds, .. } = attempt;
        let seconds = began.elapsed().as_secs_f64();
        Ok(JobDone { output_lines, compiled, dropped, workarounds, cpu_seconds: spent, seconds })
    }

    /// Adds a line to the log.
    fn say(&self, text: &str) -> Result<(), BuildError> {
        let written = File::options().append(true).open(self.log).and_then(|mut log| writeln!(log, "# {text}"));
        written.map_err(BuildError::io(BuildStep::Compile, self.log))
    }
}

/// Whether make failed by itself and was not killed.
fn has_failed(made: &Result<u64, BuildError>) -> bool {
    matches!(made, Err(BuildError::Make { status, .. }) if status.code().is_some())
}

/// The state of a job that may have to run make more than once.
struct Attempt<'a> {
    job: &'a ObjectJob<'a>,
    workarounds: Workarounds,
    /// What would help against the last failure.
    suggested: Workarounds,
    compiled: Vec<String>,
    dropped: Vec<String>,
}

impl<'a> Attempt<'a> {
    fn new(job: &'a ObjectJob<'a>) -> Self {
        let workarounds =
            if job.works_around { Workarounds::of_objects(&job.tree.obj) } else { Workarounds::default() };
        Self { job, workarounds, suggested: Workarounds::default(), compiled: Vec::new(), dropped: Vec::new() }
    }

    /// Takes the suggested arguments, if there are any new ones.
    fn work_around(&mut self) -> Option<String> {
        let suggested = std::mem::take(&mut self.suggested);
        if !self.job.works_around {
            return None;
        }
        self.workarounds.add(&suggested)
    }

    /// Returns the number of lines that the last make printed.
    fn configure_and_make(&mut self) -> Result<u64, BuildError> {
        self.configure()?;
        let version = format!("LOCALVERSION={}", self.job.version);
        // With LOCALVERSION given, make does not ask git about the tree.
        let ran = self.make(BuildStep::Compile, &[&version, "bzImage"])?;
        if self.job.works_around {
            self.workarounds.keep(&self.job.tree.obj)?;
        }
        Ok(ran.lines)
    }

    /// Makes the .config, unless the present one was made from the same lines with the same programs. Checks it.
    fn configure(&mut self) -> Result<(), BuildError> {
        let ObjectJob { config: order, toolchain, tree, .. } = self.job;
        let obj = &tree.obj;
        // Kconfig asks the compiler for its features, so another compiler makes another .config from the same lines.
        let depends = [&toolchain.id].into_iter().cloned().chain(order.depends.clone());
        let depends = depends.chain(self.workarounds.args()).collect::<Vec<_>>().join("; ");
        let wanted = &format!("{}\n# {depends}\n", order.text.trim_end());
        let (asked, draft, config) =
            (obj.join("backproof.config"), obj.join("backproof.config.new"), obj.join(".config"));
        let is_made = regular::read(&asked, MAX_CONFIG).is_ok_and(|made| made == wanted.as_bytes()) && config.is_file();
        if !is_made {
            // Otherwise a kill here would leave the old lines next to another .config.
            match fs::remove_file(&asked) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(BuildError::io(BuildStep::Configure, &asked)(error));
                }
                _ => {}
            }
            fs::write(&draft, wanted).map_err(BuildError::io(BuildStep::Configure, &draft))?;
            match order.goal {
                Goal::AllNo => {
                    let all = format!("KCONFIG_ALLCONFIG={}", draft.display());
                    self.make(BuildStep::Configure, &[&all, "allnoconfig"])?;
                }
                Goal::Old => {
                    fs::write(&config, wanted).map_err(BuildError::io(BuildStep::Configure, &config))?;
                    self.make(BuildStep::Configure, &["olddefconfig"])?;
                }
            }
        }
        let made = fs::read_to_string(&config).map_err(BuildError::io(BuildStep::Configure, &config))?;
        let lost = config::lost(&order.required, &made);
        if !lost.is_empty() {
            let (subject, log) = (self.job.subject.to_owned(), self.job.log.to_owned());
            return Err(BuildError::Config { subject, lost, log });
        }
        self.dropped = config::lost(&order.wished, &made);
        if is_made {
            return Ok(());
        }
        // It gets its own name only once Kconfig has finished.
        fs::rename(&draft, &asked).map_err(BuildError::io(BuildStep::Configure, &asked))
    }

    fn make(&mut self, step: BuildStep, args: &[&str]) -> Result<MakeRun, BuildError> {
        let ObjectJob { subject, tree, log, store, shim, tell, .. } = self.job;
        tell(JobEvent::Step(step));
        let jobs = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut all = tree.make_args();
        all.push(format!("-j{jobs}").into());
        all.extend(self.workarounds.args().into_iter().map(OsString::from));
        all.extend(args.iter().map(OsString::from));
        let ran = make::run(&all, log, shim, |lines| tell(JobEvent::Output(lines)));
        let mut ran = ran.map_err(BuildError::io(step, log))?;
        self.compiled.append(&mut ran.compiled);
        if ran.status.success() {
            return Ok(ran);
        }
        // Some programs don't say why a write failed; a shell says "I/O error".
        if ran.disk_full || free_mib(store)? == 0 {
            return Err(BuildError::DiskFull { step, path: tree.obj.clone(), needs_mib: None });
        }
        self.suggested = ran.suggested;
        Err(BuildError::Make {
            step,
            subject: (*subject).to_owned(),
            status: ran.status,
            log: (*log).to_owned(),
            first_error: ran.first_error,
            tail: ran.tail,
        })
    }
}

/// Free MiB in the store's file system.
pub(in crate::kernel) fn free_mib(store: &Store) -> Result<u64, BuildError> {
    let folder = store.folder();
    let free = rustix::fs::statvfs(folder)
        .map_err(|error| BuildError::cache(BuildStep::Unpack)(FileError::io("examine", folder, error.into())))?;
    Ok(free.f_bavail.saturating_mul(free.f_frsize) >> 20)
}
