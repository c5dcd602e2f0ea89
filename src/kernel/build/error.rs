//! Errors of building kernels.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use super::patch::THE_PATCH;
use crate::kernel::config::NotAConfig;
use crate::kernel::error::ObtainError;
use crate::kernel::error_class::{Blame, ClassedError, ErrorClass};
use crate::kernel::file_error::FileError;
use crate::lack;
use crate::repository::RepositoryError;

/// A step of a build, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildStep {
    /// The source is fetched or examined.
    Fetch,
    /// The source is unpacked or copied into the cache.
    Unpack,
    /// The control's patch is applied.
    Patch,
    /// Kconfig makes the configuration.
    Configure,
    /// make compiles and links.
    Compile,
    /// The image goes into the cache.
    Keep,
}

impl fmt::Display for BuildStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fetch => "fetching the source",
            Self::Unpack => "unpacking the source",
            Self::Patch => "patching",
            Self::Configure => "configuring",
            Self::Compile => "compiling",
            Self::Keep => "keeping the image",
        })
    }
}

/// Why a kernel could not be built. Kernels that were built earlier stay valid, and so does the cache.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Programs or headers that every kernel build needs are missing.
    #[error("kernels cannot be compiled here: {} missing; install with `apt-get install {packages}`", list(.missing))]
    Tools {
        /// The missing programs and headers.
        missing: Vec<&'static str>,
        /// Debian's packages that have it.
        packages: String,
    },
    /// The named source is not a kernel's.
    #[error(
        "{} is no kernel source: {why}; name a kernel tree, or a tarball (.tar, .tar.xz, .tar.gz, .tar.zst) of one",
        path.display()
    )]
    NotASource {
        /// The named path.
        path: PathBuf,
        /// The fault.
        why: String,
    },
    /// The source's line was not requested, or has no recipes.
    #[error("{} is Linux {found}, expected {expected}", path.display())]
    OtherLine {
        /// The source.
        path: PathBuf,
        /// Its line.
        found: String,
        /// The expected lines.
        expected: String,
    },
    /// The line has none of the requested controls.
    #[error("line {line} has no control {}; `backproof controls list` shows the lines of each", list(.controls))]
    NotOfLine {
        /// The controls.
        controls: Vec<String>,
        /// The line.
        line: String,
    },
    /// The tree was built in its own folder, so kbuild refuses to build it elsewhere.
    #[error(
        "{} has been built in (it has {there}), and kbuild does not build such a tree elsewhere; run `make mrproper` \
         in it, or name a `git worktree` of it",
        path.display()
    )]
    BuiltIn {
        /// The tree.
        path: PathBuf,
        /// The file that shows it.
        there: &'static str,
    },
    /// The user's tree changed since the build began.
    #[error("{} changed while it was copied; build again when nothing writes to it", path.display())]
    Changed {
        /// The tree.
        path: PathBuf,
    },
    /// A patch does not fit the source.
    #[error(
        "{control} ({line}): {} failed: the patch does not fit {file}: {why}; another release of {line} may do",
        BuildStep::Patch
    )]
    Patch {
        /// The control.
        control: String,
        /// The line.
        line: String,
        /// The file to patch.
        file: String,
        /// The part that doesn't fit.
        why: String,
    },
    /// A user's patch does not fit the source.
    #[error("{} {}: {why}", patch.display(), misfit(file, *.reverse))]
    Misfit {
        /// The patch.
        patch: PathBuf,
        /// Whether it is to be taken out.
        reverse: bool,
        /// The file to patch.
        file: String,
        /// The hunk that doesn't fit.
        why: String,
    },
    /// The configuration is another kind of file.
    #[error("cannot use the configuration {}: {source}", path.display())]
    NotAConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NotAConfig,
    },
    /// The configuration is not one of x86-64.
    #[error(
        "cannot use the configuration {}: expected one of x86-64 with `CONFIG_X86_64=y`, found {found}; lines to add to \
         the small configuration are a `fragment`",
        path.display()
    )]
    OtherArch {
        /// The file.
        path: PathBuf,
        /// Its architecture.
        found: String,
    },
    /// A part of the build differs from the locked one.
    #[error(
        "cannot build from {what}: its sha256 is {found}, and kernels.lock has {wanted}; put the old one back, or accept \
         this one with `backproof kernels update`"
    )]
    OtherThanLocked {
        /// The part.
        what: String,
        /// Its sha256 now.
        found: String,
        /// The lock's.
        wanted: String,
    },
    /// The repository, or a revision of it, cannot be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A file that the build names.
    #[error(transparent)]
    File(#[from] FileError),
    /// Kconfig dropped requested lines.
    #[error("{subject}: {} failed: Kconfig dropped {}; see {}", BuildStep::Configure, list(.lost), log.display())]
    Config {
        /// The kernel.
        subject: String,
        /// The dropped lines.
        lost: Vec<String>,
        /// make's output.
        log: PathBuf,
    },
    /// make failed.
    #[error(
        "{subject}: {step} failed: make ended with {status}{}; the log is {}\n{}",
        first(.first_error), log.display(), indented(.tail)
    )]
    Make {
        /// The step that failed.
        step: BuildStep,
        /// The kernel.
        subject: String,
        /// make's exit status.
        status: ExitStatus,
        /// make's output.
        log: PathBuf,
        /// The first line that is an error.
        first_error: Option<String>,
        /// The log's last lines.
        tail: Vec<String>,
    },
    /// The image is another control's, because make did not link it again; or its control is unknown.
    #[error(
        "{control} ({line}): {} failed: the image {}, expected a release that ends with `-control-{control}`; remove \
         the cache's folder controls/{line} and build again",
        BuildStep::Keep,
        release.as_ref().map_or("names no release".to_owned(), |release| format!("calls itself `{release}`"))
    )]
    OtherImage {
        /// The control.
        control: String,
        /// The line.
        line: String,
        /// The image's release, if it has one.
        release: Option<String>,
    },
    /// The disk is full.
    #[error("{step} failed: no {} for {}{}; free some, or choose another cache folder", lack::at(path), path.display(), wanted(.needs_mib))]
    DiskFull {
        /// The step that failed.
        step: BuildStep,
        /// The folder.
        path: PathBuf,
        /// Required MiB and free MiB, if this was checked before writing.
        needs_mib: Option<(u64, u64)>,
    },
    /// Obtaining the source, or keeping the image, failed.
    #[error("{step} failed: {source}")]
    Cache {
        /// The step that failed.
        step: BuildStep,
        /// Why.
        source: ObtainError,
    },
    /// Reading or writing failed.
    #[error("{step} failed: {}", path.display())]
    Io {
        /// The step that failed.
        step: BuildStep,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BuildError {
    /// The party that can fix it.
    pub fn blame(&self) -> Blame {
        self.class().blame()
    }

    /// Whether other controls can still be built.
    pub(in crate::kernel) fn is_this_control_s(&self) -> bool {
        matches!(self, Self::Patch { .. } | Self::Config { .. } | Self::Make { .. } | Self::OtherImage { .. })
    }

    pub(in crate::kernel) fn io(step: BuildStep, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { step, path, needs_mib: None },
            _ => Self::Io { step, path, source },
        }
    }

    pub(in crate::kernel) fn cache<E: Into<ObtainError>>(step: BuildStep) -> impl FnOnce(E) -> Self {
        move |source| Self::Cache { step, source: source.into() }
    }
}

impl ClassedError for BuildError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotASource { .. }
            | Self::OtherLine { .. }
            | Self::NotOfLine { .. }
            | Self::BuiltIn { .. }
            | Self::Changed { .. }
            | Self::Misfit { .. }
            | Self::NotAConfig { .. }
            | Self::OtherArch { .. }
            | Self::OtherThanLocked { .. } => ErrorClass::Usage,
            Self::Repository(error) if error.is_usage() => ErrorClass::Usage,
            Self::Cache { source, .. } => source.class(),
            Self::File(error) => error.class(),
            _ => ErrorClass::Host,
        }
    }
}

/// How a patch fails at a file, or as a whole.
fn misfit(file: &str, reverse: bool) -> String {
    match (file == THE_PATCH, reverse) {
        (true, _) => "cannot be read".to_owned(),
        (false, true) => format!("cannot be taken out of {file}"),
        (false, false) => format!("doesn't apply to {file}"),
    }
}

fn list(things: &[impl AsRef<str>]) -> String {
    things.iter().map(|t| format!("`{}`", t.as_ref())).collect::<Vec<_>>().join(", ")
}

fn first(error: &Option<String>) -> String {
    error.as_ref().map(|line| format!(": {line}")).unwrap_or_default()
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn wanted(needs: &Option<(u64, u64)>) -> String {
    needs.map(|(wanted, free)| format!(": it takes {wanted} MiB, and {free} are free")).unwrap_or_default()
}
