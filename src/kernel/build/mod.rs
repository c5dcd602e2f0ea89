//! Builds kernels from source: control kernels, and those of a matrix.
//!
//! Built kernels are kept by content, under a key made from source and configuration. After an interruption (Ctrl-C,
//! kill -9, a full disk, a power cut) the next build resumes, and never takes a half-written file for a finished one.

mod code;
mod config;
mod error;
mod folder;
mod job;
mod kept;
mod listing;
mod make;
mod makefile;
mod object_code;
mod objects;
mod obtain;
mod order;
mod origin;
mod patch;
mod prepared;
mod relocation;
mod revision;
mod snapshot;
mod source_copy;
mod tools;
mod workarounds;

use std::fs;

use serde::{Deserialize, Serialize};

pub use self::code::{CodeDifference, FunctionDifference, KernelCode, is_elsewhere};
pub(super) use self::config::{ConfigOrder, Goal};
pub use self::error::{BuildError, BuildStep};
pub(super) use self::job::{JobDone, JobEvent, ObjectJob, free_mib};
pub(super) use self::makefile::{NO_VERSION, refuse_built, release_of, version};
pub(super) use self::objects::{ObjectTree, files_below, replace};
pub(super) use self::obtain::SourceBuild;
pub(super) use self::patch::{Direction, Misfit, Patched};
pub use self::prepared::PATCH_MAX;
pub use self::snapshot::{SnapshotBase, SourceSnapshot};
pub use self::tools::{Toolchain, toolchain};

use self::kept::BuildRecord;
use self::prepared::PreparedBuild;
use super::control::{OBJECTS_MIB, OUTPUT_LINES};
use super::obtain::Obtain;
use super::obtained::Kernel;
use super::progress::Progress;
use crate::matrix::BuildSource;

/// The identity of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceId {
    /// For people: `linux-source-6.1 6.1.192-2`, or a path.
    pub what: String,
    /// sha256 of the package or tarball; for a tree, of its files' names, sizes and times.
    pub sha256: String,
}

/// A kernel that was built, now or earlier.
#[derive(Clone, Debug)]
pub struct BuiltKernel {
    /// The kernel, ready to boot.
    pub kernel: Kernel,
    /// Its functions and variables; None if they were not kept whole.
    pub code: Option<KernelCode>,
    /// What this build did; `None` if the kernel existed already.
    pub work: Option<BuildWork>,
    /// What people should know of its inputs: `the tree is built as it is: 2 of its files differ from its commit …`.
    pub remarks: Vec<String>,
}

/// What a build did.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildWork {
    /// The source files that were written or removed before it.
    pub changed_files: usize,
    /// The objects that were compiled, as make names them: `net/ipv4/tcp_output.o`.
    pub compiled: Vec<String>,
    /// Seconds of processor time of make and its children; `None` if the host does not say.
    pub cpu_seconds: Option<f64>,
    /// Seconds of wall time of make.
    pub seconds: f64,
}

/// Builds a kernel from source, unless the cache has it. Blocks for minutes; the calling thread must live that long.
/// Concurrent builds of one origin wait for each other. Builds of other revisions or patches of the origin share its
/// objects, so that only changed files are compiled.
///
/// # Errors
/// See [`BuildError`]. [`BuildError::blame`] says who can fix it.
pub fn build(wanted: &BuildSource, with: &Obtain) -> Result<BuiltKernel, BuildError> {
    let subject = wanted.to_string();
    let prepared = PreparedBuild::of(wanted, with)?;
    let tools = toolchain();
    if let Some(built) = kept::built(&prepared.key, tools.as_ref().ok(), with.store) {
        return finished(&prepared, &built, None, with);
    }
    let tools = tools?;
    let copy = &prepared.origin.copy;
    let waiting = || (with.tell)(Progress::Waiting { what: format!("another build from {}", wanted.origin) });
    let lock = with.store.lock(&copy.lock(), waiting);
    let _lock = lock.map_err(BuildError::cache(BuildStep::Fetch))?;
    // The other build may have built it.
    if let Some(built) = kept::built(&prepared.key, Some(&tools), with.store) {
        return finished(&prepared, &built, None, with);
    }
    let (built, work) = make(&subject, &prepared, &tools, with)?;
    finished(&prepared, &built, Some(work), with)
}

fn finished(
    prepared: &PreparedBuild,
    built: &BuildRecord,
    work: Option<BuildWork>,
    with: &Obtain,
) -> Result<BuiltKernel, BuildError> {
    let code = KernelCode::kept(&built.code_sha256, with.store);
    Ok(BuiltKernel { kernel: prepared.kernel(built, with)?, code, work, remarks: prepared.remarks() })
}

/// The files of the source that the patches of a build change. Nothing is built.
///
/// # Errors
/// If something cannot be read, or a patch doesn't fit.
pub fn patched_files(wanted: &BuildSource, with: &Obtain) -> Result<Vec<String>, BuildError> {
    Ok(PreparedBuild::of(wanted, with)?.patched().map(str::to_owned).collect())
}

/// A patch, for `fuzz/`.
#[cfg(fuzzing)]
pub(super) fn fuzz_patch(bytes: &[u8]) {
    for direction in [Direction::Forward, Direction::Reverse] {
        let _ = Patched::default().apply(bytes, direction, |_| Ok(Some(b"one\ntwo\nthree\n".to_vec())));
    }
}

/// Copies the source, configures, compiles, and keeps the image.
fn make(
    subject: &str,
    prepared: &PreparedBuild,
    toolchain: &Toolchain,
    with: &Obtain,
) -> Result<(BuildRecord, BuildWork), BuildError> {
    let PreparedBuild { origin, config, .. } = prepared;
    let (store, copy) = (with.store, &prepared.origin.copy);
    let tree = copy.objects(&config.family, store);
    let wanted = if tree.src.is_dir() { 0 } else { origin.mib() } + if tree.obj.is_dir() { 0 } else { OBJECTS_MIB };
    let free = free_mib(store)?;
    if free < wanted {
        let (step, path) = (BuildStep::Unpack, store.folder().to_owned());
        return Err(BuildError::DiskFull { step, path, needs_mib: Some((wanted, free)) });
    }
    if !tree.src.is_dir() {
        (with.tell)(Progress::Copying { folder: prepared.path.clone() });
    }
    let update = copy.update(prepared, store)?;
    let is_first = !tree.obj.join("vmlinux").exists();
    let lines = if is_first { OUTPUT_LINES.0 } else { OUTPUT_LINES.1 };
    let logs = copy.logs(store);
    fs::create_dir_all(&logs).map_err(BuildError::io(BuildStep::Compile, &logs))?;
    let log = logs.join(format!("{}.log", prepared.key.get(..12).unwrap_or_default()));
    fs::write(&log, "").map_err(BuildError::io(BuildStep::Compile, &log))?;
    let remark = |text: String| (with.tell)(Progress::Remark { what: subject.to_owned(), text });
    prepared.remarks().into_iter().for_each(remark);
    let building = |done| (with.tell)(Progress::Building { what: subject.to_owned(), done, lines });
    building(0);
    let done = ObjectJob {
        subject,
        config: &config.order,
        version: kept::LOCAL_VERSION,
        tree: &tree,
        toolchain,
        works_around: true,
        log: &log,
        store,
        shim: with.shim,
        tell: &|event| match event {
            JobEvent::Step(_) => {}
            JobEvent::Output(lines) => building(lines),
            JobEvent::Again(text) | JobEvent::WorkedAround(text) => remark(text),
        },
    }
    .run()?;
    let built = kept::keep(subject, &prepared.key, &tree, toolchain, &done, store)?;
    if !built.dropped.is_empty() {
        remark(format!("the source doesn't support {}", built.dropped.join(", ")));
    }
    let (objects, seconds) = (done.compiled.len(), done.seconds);
    (with.tell)(Progress::Built { what: subject.to_owned(), objects, seconds });
    let JobDone { compiled, cpu_seconds, .. } = done;
    let changed_files = update.written + update.removed;
    Ok((built, BuildWork { changed_files, compiled, cpu_seconds, seconds }))
}
