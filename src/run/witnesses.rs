//! Asks the witnesses that need no boot about a kernel.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::engine::Lab;
use super::event::Event;
use super::look_cache::LookCache;
use crate::evidence::exhibits::{Exhibits, Said, release_of_obtained};
use crate::evidence::git::{self, GitError, GitFiles, GitIndex, IndexProgress, Repository};
use crate::evidence::version::Release;
use crate::evidence::{Finding, Witness};
use crate::kernel::Kernel;
use crate::matrix::{Bug, Commit, KernelEntry, Upstream};
use crate::words::{BugId, KernelName};

/// The evidence about a kernel without a boot.
#[derive(Clone, Debug, Default)]
pub struct KernelLook {
    /// The evidence about each bug.
    pub said: BTreeMap<BugId, Said>,
    /// Its release, or its source's: later releases of its line follow this one.
    pub release: Option<Release>,
}

/// The repositories that kernels were built from. One worker at a time updates the index of a repository. Other workers
/// that need it wait, and find it up to date.
#[derive(Default)]
pub(super) struct Repositories(Mutex<HashMap<PathBuf, Arc<Turn<()>>>>);

impl Repositories {
    /// Waits until no other worker updates this repository's index.
    async fn turn(&self, repository: &Path, tell: impl Fn(IndexProgress)) -> OwnedMutexGuard<()> {
        // A path that cannot be resolved cannot be indexed either, so its spelling doesn't matter.
        let path = repository.canonicalize().unwrap_or_else(|_| repository.to_owned());
        let turn = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(path).or_default())
        };
        match Arc::clone(&turn).try_lock_owned() {
            Ok(mine) => mine,
            Err(_) => {
                tell(IndexProgress::Waiting);
                turn.lock_owned().await
            }
        }
    }
}

/// Asks them about these bugs. Reading images and sources keeps a processor busy, so it runs in its own thread.
pub(super) async fn look(
    entry: &KernelEntry,
    kernel: &Kernel,
    bugs: Vec<Bug>,
    lab: &Lab,
    repositories: &Repositories,
    events: &UnboundedSender<Event>,
) -> KernelLook {
    // A kernel that was built from a revision is of that commit, unless the matrix says otherwise.
    let (kernel, commit) = (kernel.clone(), entry.git.clone().or_else(|| kernel.commit.clone()));
    let indexes = lab.store.path(git::INDEXES);
    let ids: Vec<BugId> = bugs.iter().map(|bug| bug.id.clone()).collect();
    let turn = match &commit {
        Some(commit) => Some(repositories.turn(&commit.repository, teller(&entry.name, commit, events)).await),
        None => None,
    };
    let tell = commit.as_ref().map(|commit| teller(&entry.name, commit, events));
    let has_commit = commit.is_some();
    let store = lab.store.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let cache = if has_commit { None } else { LookCache::of(&store, &kernel) };
        if let Some(before) = cache.as_ref().and_then(|cache| said_before(cache, &kernel, &bugs)) {
            return before;
        }
        let index = commit.as_ref().zip(tell).map(|(commit, tell)| index(commit, &indexes, tell));
        drop(turn);
        let mut exhibits = Exhibits::of_kernel(&kernel);
        exhibits.revision = commit.as_ref().zip(index.as_ref()).map(|(commit, index)| match index {
            Ok(index) => Ok((index, commit.revision.as_str())),
            Err(error) => Err(error.to_string()),
        });
        let mut warnings = Vec::new();
        match commit.as_ref().zip(index.as_ref()) {
            Some((commit, Ok(index))) => match index.describe(&commit.revision) {
                Ok(description) => {
                    let version = description.version.as_ref().map(ToString::to_string);
                    warnings.extend(of_another_line(&commit.revision, version.as_deref(), kernel.release.as_deref()));
                    // A build tree is closer to the image than the commit that it was checked out from.
                    if exhibits.source.is_none() {
                        exhibits.source = Some(Ok(Box::new(GitFiles { index, commit: description.commit })));
                    }
                }
                Err(error) => warnings.push(git_is_silent(&error)),
            },
            Some((_, Err(error))) => warnings.push(git_is_silent(error)),
            None => {}
        }
        let look = |bug: &Bug| {
            let mut said = exhibits.look(bug);
            if let Some(cache) = &cache {
                cache.write(&dossier(bug), &said);
            }
            said.warnings.extend(warnings.iter().cloned());
            (bug.id.clone(), said)
        };
        let said = bugs.iter().map(look).collect();
        KernelLook { said, release: exhibits.goes_on_from() }
    });
    looked.await.unwrap_or_else(|died| failed_look(&ids, has_commit, &format!("{died}")))
}

/// The cached evidence, if it is complete.
fn said_before(cache: &LookCache<'_>, kernel: &Kernel, bugs: &[Bug]) -> Option<KernelLook> {
    let release = release_of_obtained(kernel)?.ok()?;
    let said = bugs.iter().map(|bug| Some((bug.id.clone(), cache.read(&dossier(bug))?))).collect::<Option<_>>()?;
    Some(KernelLook { said, release: Some(release) })
}

/// All of a dossier, whatever a witness uses of it.
fn dossier(bug: &Bug) -> String {
    format!("{bug:?}")
}

/// The evidence after a panic, which is a bug of backproof: every witness gets a finding with the reason.
fn failed_look(bugs: &[BugId], has_commit: bool, died: &str) -> KernelLook {
    let why = format!("backproof itself failed while it examined the kernel: {died}");
    let silent = Witness::ALL.into_iter().filter(|witness| witness.needs_no_boot());
    let silent = silent.filter(|witness| has_commit || *witness != Witness::Git);
    let findings: Vec<Finding> = silent.map(|witness| Finding::unknown(witness, &why)).collect();
    let said = |id: &BugId| (id.clone(), Said { findings: findings.clone(), ..Said::default() });
    KernelLook { said: bugs.iter().map(said).collect(), release: None }
}

/// The warning that git has no evidence about a kernel although the matrix names its commit.
fn git_is_silent(why: &GitError) -> String {
    format!("no evidence from git about this kernel: {why}; correct the entry's `git:` or `build:` in the matrix")
}

/// The warning that the image was not built from this revision, if their versions are of different lines.
fn of_another_line(revision: &str, version: Option<&str>, release: Option<&str>) -> Option<String> {
    let (version, release) = version.zip(release)?;
    let line = |text| Upstream::prefix(text).map(|(own, ..)| own.line());
    (line(version)? != line(release)?).then(|| {
        format!(
            "the Makefile of {revision} says {version}, but the image is {release}: it was not built from the commit that \
             the entry's `git:` names"
        )
    })
}

/// Reports the progress of indexing a kernel's repository.
fn teller(kernel: &KernelName, commit: &Commit, events: &UnboundedSender<Event>) -> impl Fn(IndexProgress) + use<> {
    let (kernel, repository, events) = (kernel.clone(), commit.repository.clone(), events.clone());
    move |progress| {
        let _ = events.send(Event::Indexing { kernel: kernel.clone(), repository: repository.clone(), progress });
    }
}

/// The up-to-date index of a commit's repository.
fn index(commit: &Commit, folder: &Path, tell: impl Fn(IndexProgress) + 'static) -> Result<GitIndex, GitError> {
    let index = Repository::open(&commit.repository)?.index(folder, &tell)?;
    Ok(index.telling(tell))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[test]
    fn revision_of_another_line_than_the_image_gets_a_warning() {
        for (version, release, warned) in [
            (Some("4.19.57"), Some("6.1.0-25-amd64"), true),
            (Some("6.1.192"), Some("6.1.0-25-amd64"), false),
            (Some("5.3.0-rc2"), Some("5.3.0"), false),
            (None, Some("6.1.192"), false),
            (Some("6.1.192"), None, false),
            (Some("6.1.192"), Some("rubbish"), false),
        ] {
            assert_eq!(of_another_line("v1", version, release).is_some(), warned, "{version:?} {release:?}");
        }
    }

    #[test]
    fn panicked_look_leaves_no_witness_silent() {
        let bug: BugId = "a-bug".parse().expect("a name");
        for (has_commit, witnesses) in [(true, 6), (false, 5)] {
            let look = failed_look(std::slice::from_ref(&bug), has_commit, "it panicked");
            let said = look.said.get(&bug).expect("the bug");
            assert_eq!(said.findings.len(), witnesses);
            assert!(said.findings.iter().all(|f| f.is_unknown() && f.why.ends_with("it panicked")), "{said:?}");
        }
    }

    #[tokio::test]
    async fn workers_take_turns_at_one_repository_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let repositories = Repositories::default();
        let told = Cell::new(0);
        let tell = |progress| told.set(told.get() + u32::from(progress == IndexProgress::Waiting));
        let first = repositories.turn(folder.path(), tell).await;
        drop(repositories.turn(Path::new("another one, which is not there"), tell).await);
        assert_eq!(told.get(), 0);
        // Another spelling of the same path.
        let same = folder.path().join(".");
        let mut second = pin!(repositories.turn(&same, tell));
        let waits = std::future::poll_fn(|context| Poll::Ready(second.as_mut().poll(context).is_pending())).await;
        assert!(waits && told.get() == 1);
        drop(first);
        second.await;
    }
}
