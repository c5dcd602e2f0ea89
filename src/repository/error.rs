//! Errors of repositories, each with a remedy.

use std::path::{Path, PathBuf};

/// Why a repository, or a revision of it, cannot be read. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is nothing at this path.
    #[error("{0} is not there: expected a git repository (bare, a working tree, or a linked worktree)")]
    Missing(PathBuf),
    /// It is not a repository.
    #[error("{0} is not a git repository: expected a bare one, or the top folder of a working tree")]
    NotARepository(PathBuf),
    /// Its objects are named by SHA-256.
    #[error(
        "{0} names its objects by SHA-256, which is not supported: clone it from a SHA-1 remote, or judge the \
        checked-out tree as source"
    )]
    Sha256(PathBuf),
    /// Its refs are in reftable format.
    #[error(
        "{0} keeps its refs as a reftable, which is not supported: run `git refs migrate --ref-format=files` in it, \
        or clone it with `git clone --mirror --ref-format=files`"
    )]
    Reftable(PathBuf),
    /// It uses an extension that cannot be read.
    #[error("{path} uses a git extension that is not supported ({what}): use a fresh `git clone --bare` of it")]
    Extension {
        /// The repository.
        path: PathBuf,
        /// The library's message.
        what: String,
    },
    /// It belongs to another user, so git itself would not trust it.
    #[error(
        "{0} belongs to another user, so git does not trust it: if you do, run \
         `git config --global --add safe.directory {0}`"
    )]
    ForeignOwner(PathBuf),
    /// It is a repository, but cannot be read.
    #[error("cannot read {path} as a git repository ({what}): run `git fsck` in it, or clone it again")]
    Unreadable {
        /// The repository.
        path: PathBuf,
        /// The library's message.
        what: String,
    },
    /// One of its objects is damaged.
    #[error("object {object} of {path} is damaged ({what}): run `git fsck` there, or clone it again")]
    Damaged {
        /// The repository.
        path: PathBuf,
        /// The object's name.
        object: String,
        /// The defect.
        what: String,
    },
    /// The index of one of its packs is damaged.
    #[error(
        "{} is damaged ({what}): remove it and run {}, or clone the repository again", file.display(), index_remedy(file)
    )]
    PackIndex {
        /// The index.
        file: PathBuf,
        /// The defect.
        what: String,
    },
    /// It lacks files of a revision.
    #[error(
        "{} lacks {count} {} of {revision}, such as {file}: {}", path.display(),
        if *.count == 1 { "object" } else { "objects" }, remedy_of_lack(path, revision, *.partial)
    )]
    Lacks {
        /// The repository.
        path: PathBuf,
        /// The revision.
        revision: String,
        /// One of the files.
        file: String,
        /// Their number.
        count: usize,
        /// Whether it is a partial clone.
        partial: bool,
    },
    /// It has no such revision.
    #[error("{path} has no revision `{revision}`: expected a tag, branch or commit{}", near_names(.near))]
    NoSuchRevision {
        /// The repository.
        path: PathBuf,
        /// The requested revision.
        revision: String,
        /// Similar existing names.
        near: Vec<String>,
    },
    /// More than one object has this abbreviated name.
    #[error("`{revision}` is short for more than one object of {path}: give more digits")]
    Ambiguous {
        /// The repository.
        path: PathBuf,
        /// The requested revision.
        revision: String,
    },
    /// The revision is an object without a history.
    #[error("`{revision}` is a {kind}, not a commit: expected a tag, branch or commit")]
    NotACommit {
        /// The requested revision.
        revision: String,
        /// The kind of object: `tree`, `blob`.
        kind: String,
    },
}

impl RepositoryError {
    /// Whether naming another repository or revision would help.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Missing(_)
            | Self::NotARepository(_)
            | Self::Sha256(_)
            | Self::Reftable(_)
            | Self::Extension { .. }
            | Self::NoSuchRevision { .. }
            | Self::Ambiguous { .. }
            | Self::NotACommit { .. }
            | Self::Lacks { .. } => true,
            Self::ForeignOwner(_) | Self::Unreadable { .. } | Self::Damaged { .. } | Self::PackIndex { .. } => false,
        }
    }
}

/// The command that fetches missing files, or finds out why they are missing.
fn remedy_of_lack(path: &Path, revision: &str, partial: bool) -> String {
    let path = path.display();
    match partial {
        true => format!("it is a partial clone; `git -C {path} worktree add --detach FOLDER {revision}` fetches them"),
        false => format!("run `git -C {path} fsck`, or clone it again"),
    }
}

/// The command that rewrites the index of a pack, or of all packs.
fn index_remedy(file: &Path) -> String {
    match file.extension() {
        Some(_) => format!("`git index-pack {}`", file.with_extension("pack").display()),
        None => {
            let objects = file.ancestors().nth(2).unwrap_or(file).display();
            format!("`git multi-pack-index --object-dir={objects} write`")
        }
    }
}

fn near_names(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) }
}
