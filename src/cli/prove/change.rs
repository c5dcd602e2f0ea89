//! The change that a command line names, as versions of a source: from none of its parts to all of them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::Prove;
use super::question::{ProofQuestion, shown};
use super::row::of_repository;
use crate::cli::{Stop, host};
use crate::evidence::git::{self, Repository, StepFound};
use crate::kernel::Obtain;
use crate::kernel::build::{BuildError, patched_files};
use crate::matrix::{BuildOrigin, BuildSource};
use crate::prove::{ChangePart, ProvenChange, Purpose};
use crate::report::{Fetching, Indexing, say};
use crate::repository::{ChangeError, RevisionChange, RevisionRows};
use crate::results::write_file;
use crate::words::{CommitId, Role};

/// A change, and how each version of the source is made.
pub(super) struct VersionedChange {
    pub(super) change: ProvenChange,
    origin: BuildOrigin,
    /// For each number of parts from none to all.
    versions: Vec<Version>,
}

enum Version {
    /// A patch that was made here; empty for the source as it is.
    Made(Vec<u8>),
    /// The user's patches: those to apply, and those to take out.
    Users { patches: Vec<PathBuf>, revert: Vec<PathBuf> },
}

impl VersionedChange {
    /// Reads the change, and finds out whether the source has it. Nothing is built.
    pub(super) fn of(args: &Prove, question: &ProofQuestion) -> Result<Self, Stop> {
        match (&args.repo, &args.tree) {
            (Some(repo), _) if args.patch.is_empty() => Self::of_commits(args, question, repo),
            (Some(repo), _) => {
                // A branch may move between the builds of both sides.
                let commit = RevisionRows::open(repo).and_then(|rows| rows.commit(at(args))).map_err(of_repository)?;
                let origin = BuildOrigin::Repo { repo: repo.clone(), revision: commit.clone() };
                let mut versioned = Self::of_patches(args, question, origin)?;
                versioned.change.origin = format!("{} {}", shown(repo), at(args));
                versioned.change.commit = Some(commit);
                Ok(versioned)
            }
            (None, Some(tree)) => Self::of_patches(args, question, BuildOrigin::Tree(tree.clone())),
            (None, None) => Err(Stop::usage(anyhow!("name the source: --tree DIR, or --repo REPO"))),
        }
    }

    fn of_commits(args: &Prove, question: &ProofQuestion, repo: &Path) -> Result<Self, Stop> {
        let (commits, what, purpose) = match (&args.commit, args.step) {
            (Some(commits), _) => (commits.clone(), commits.clone(), purpose(args)),
            (None, Some(role)) => {
                let commit = step_commit(args, question, repo, at(args), role)?;
                let purpose = if role == Role::Break { Purpose::Break } else { Purpose::Repair };
                (commit, format!("the {role} of {}", question.bug.id), purpose)
            }
            (None, None) => return Err(Stop::usage(anyhow!("name the change: --step, --commit or --patch"))),
        };
        let at = args.at.as_deref().or(args.step.map(|_| at(args)));
        let made = RevisionChange::of(repo, at, &commits).map_err(|error| match error.is_usage() {
            true => Stop::usage(advised(error, args)),
            false => Stop::no_verdict(error),
        })?;
        let revision = at.unwrap_or_else(|| made.at.get(..12).unwrap_or(&made.at)).to_owned();
        let origin = BuildOrigin::Repo { repo: repo.to_owned(), revision: made.at.clone() };
        let part =
            |commit: crate::repository::ChangeCommit| ChangePart { name: commit.id, subject: Some(commit.subject) };
        let change = ProvenChange {
            what,
            purpose,
            origin: format!("{} {revision}", shown(repo)),
            commit: Some(made.at),
            is_in: made.is_in,
            parts: made.commits.into_iter().map(part).collect(),
            merges: made.merges,
        };
        Ok(Self { change, origin, versions: made.versions.into_iter().map(Version::Made).collect() })
    }

    /// Patches that apply are put in; those that the source has already are taken out.
    fn of_patches(args: &Prove, question: &ProofQuestion, origin: BuildOrigin) -> Result<Self, Stop> {
        let source = |patches: &[PathBuf], revert: &[PathBuf]| {
            configured(origin.clone(), args, question, patches.to_vec(), revert.to_vec())
        };
        let files = |source: &BuildSource| -> Result<Result<Vec<String>, BuildError>, Stop> {
            let read = |with: &Obtain| Ok(patched_files(source, with));
            host::obtaining(&args.host.cache, true, &Fetching::new(), read)
        };
        let (patches, none) = (&args.patch[..], &[][..]);
        let is_in = match files(&source(patches, none))? {
            Ok(changed) if changed.is_empty() => {
                return Err(Stop::usage(anyhow!("the patches change no file of {origin}")));
            }
            // Few lines of context may fit in two places.
            Ok(_) if files(&source(none, patches))?.is_ok() => {
                let remedy = "make them with more context (`git diff -U10`)";
                return Err(Stop::usage(anyhow!(
                    "the patches can be applied to {origin}, and taken out of it, too: {remedy}"
                )));
            }
            Ok(_) => false,
            Err(error @ BuildError::Misfit { .. }) => match files(&source(none, patches))? {
                Ok(changed) if !changed.is_empty() => true,
                _ => return Err(Stop::of(error)),
            },
            Err(error) => return Err(Stop::of(error)),
        };
        let version = |count: usize| {
            let (first, rest) = patches.split_at(count);
            let (patches, revert) = if is_in { (none, rest) } else { (first, none) };
            Version::Users { patches: patches.to_vec(), revert: revert.to_vec() }
        };
        let versions = (0..=patches.len()).map(version).collect();
        let change = ProvenChange {
            what: patches.iter().map(|path| shown(path)).collect::<Vec<_>>().join(", "),
            purpose: purpose(args),
            origin: origin.to_string(),
            commit: None,
            is_in,
            parts: patches.iter().map(|path| ChangePart { name: shown(path), subject: None }).collect(),
            merges: 0,
        };
        Ok(Self { change, origin, versions })
    }

    /// The source with so many parts of the change, and its patch in the run's folder, if one was made.
    pub(super) fn source(
        &self,
        parts: usize,
        name: &str,
        folder: &Path,
        args: &Prove,
        question: &ProofQuestion,
    ) -> Result<(BuildSource, Option<String>), Stop> {
        let build = |patches, revert| configured(self.origin.clone(), args, question, patches, revert);
        match self.versions.get(parts) {
            Some(Version::Users { patches, revert }) => Ok((build(patches.clone(), revert.clone()), None)),
            Some(Version::Made(patch)) if !patch.is_empty() => {
                let file = format!("{name}.patch");
                let path = folder.join(&file);
                write_file(&path, patch, false).map_err(Stop::no_verdict)?;
                Ok((build(vec![path], Vec::new()), Some(file)))
            }
            Some(Version::Made(_)) | None => Ok((build(Vec::new(), Vec::new()), None)),
        }
    }
}

fn configured(
    origin: BuildOrigin,
    args: &Prove,
    question: &ProofQuestion,
    patches: Vec<PathBuf>,
    revert: Vec<PathBuf>,
) -> BuildSource {
    let (config, fragment) = (args.config.clone(), args.fragment.clone());
    BuildSource { config, fragment, patches, revert, needs: question.needs(), ..BuildSource::plain(origin) }
}

/// The revision to judge a patch or a step in.
fn at(args: &Prove) -> &str {
    args.at.as_deref().unwrap_or("HEAD")
}

fn purpose(args: &Prove) -> Purpose {
    if args.break_ { Purpose::Break } else { Purpose::Repair }
}

/// The commit that carries a step: the one in the history of the revision, or the upstream one.
fn step_commit(args: &Prove, question: &ProofQuestion, repo: &Path, at: &str, role: Role) -> Result<String, Stop> {
    let bug = &question.bug;
    let known: Vec<_> = bug.chain.iter().filter(|step| step.role == role).collect();
    if known.is_empty() {
        return Err(Stop::usage(anyhow!("the dossier of {} has no {role}: name a commit with --commit", bug.id)));
    }
    let folder = args.host.cache.open()?.path(git::INDEXES);
    let indexing = Indexing::new();
    let asked = Repository::open(repo)
        .and_then(|repository| repository.index(&folder, &|progress| indexing.tell(progress)))
        .and_then(|index| index.ask(bug, at));
    indexing.finish();
    let testimony = asked.map_err(Stop::usage)?;
    let carried = testimony.steps.iter().filter(|step| step.role == role && step.reverted_by.is_none());
    let found: Vec<(&StepFound, &CommitId)> = carried.filter_map(|step| Some((step, step.commit.as_ref()?))).collect();
    if let Some((step, commit)) = found.first() {
        say(format_args!("{at} has the {role} of {}: {commit} ({})", bug.id, step.how));
        if found.len() > 1 {
            say(format_args!(
                "{at} has {} commits of this role; the first is proven, --commit names another",
                found.len()
            ));
        }
        return Ok(commit.to_string());
    }
    let upstream = known.iter().find_map(|step| step.commit.as_ref());
    let commit = upstream.ok_or_else(|| {
        let why = format!("{at} has no {role} of {}, and no upstream commit is known: give it as --patch", bug.id);
        Stop::usage(anyhow!(why))
    })?;
    say(format_args!("{at} has no {role} of {}; upstream's is {commit}", bug.id));
    Ok(commit.to_string())
}

/// The error, with the remedy if the repository lacks the commit.
fn advised(error: ChangeError, args: &Prove) -> anyhow::Error {
    let is_missing =
        matches!(&error, ChangeError::Repository(crate::repository::RepositoryError::NoSuchRevision { .. }));
    let error = anyhow::Error::new(error);
    match args.step {
        Some(role) if is_missing => Err::<(), _>(error)
            .with_context(|| {
                format!("the {role}'s upstream commit is not in the repository: fetch mainline into it, or give the {role} as --patch")
            })
            .expect_err("an error"),
        _ => error,
    }
}
