//! The kernels that a search goes through, in their order.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::anyhow;

use super::Prove;
use super::question::{ProofQuestion, shown};
use crate::cli::affected::names;
use crate::cli::subject::named;
use crate::cli::{Stop, host, matrix_file};
use crate::kernel::{self, Obtain};
use crate::matrix::{BuildOrigin, BuildSource, KernelEntry, Matrix};
use crate::prove::RowKernel;
use crate::report::Fetching;
use crate::repository::{ChangeError, RevisionRows, RowRevision};

/// Marks a mainline build.
const MAINLINE: &str = "mainline:";

/// The kernels of one search.
pub(super) struct SearchRow {
    /// What they are: `tags of linux`.
    pub(super) what: String,
    pub(super) kernels: Vec<RowKernel>,
    pub(super) entries: Vec<KernelEntry>,
    /// Their revisions, if a repository has them.
    pub(super) revisions: Vec<RowRevision>,
}

impl SearchRow {
    /// The row between the ends that the command line names.
    pub(super) fn of(args: &Prove, question: &ProofQuestion) -> Result<Self, Stop> {
        let [from, to] = &args.between[..] else { return Err(Stop::usage(anyhow!("--between takes two ends"))) };
        match &args.repo {
            Some(repo) => {
                let row = RevisionRows::open(repo).and_then(|rows| rows.tags(from, to)).map_err(of_repository)?;
                if row.len() > 2 {
                    return Self::revisions(args, question, row, "tags");
                }
                let mut row = Self::commits(args, question, from, to)?;
                for (kernel, end) in row.kernels.first_mut().into_iter().zip([from]) {
                    kernel.label.clone_from(end);
                }
                for (kernel, end) in row.kernels.last_mut().into_iter().zip([to]) {
                    kernel.label.clone_from(end);
                }
                Ok(row)
            }
            None if from.starts_with(MAINLINE) && to.starts_with(MAINLINE) => Self::mainline(args, question, from, to),
            None => Self::of_matrix(args, question, from, to),
        }
    }

    /// The commits that lead from one revision to another.
    pub(super) fn commits(args: &Prove, question: &ProofQuestion, from: &str, to: &str) -> Result<Self, Stop> {
        let repo = args.repo.as_deref().unwrap_or_else(|| Path::new(""));
        let row = RevisionRows::open(repo).and_then(|rows| rows.commits(from, to)).map_err(of_repository)?;
        Self::revisions(args, question, row, "commits")
    }

    fn revisions(
        args: &Prove,
        question: &ProofQuestion,
        revisions: Vec<RowRevision>,
        what: &str,
    ) -> Result<Self, Stop> {
        let repo = args.repo.clone().unwrap_or_default();
        let what = format!("{what} of {}", shown(&repo));
        let labels: Vec<String> = revisions.iter().map(|revision| revision.label.clone()).collect();
        let shown = revisions.iter().map(RowRevision::says).collect();
        let source = |revision: &RowRevision| BuildSource {
            config: args.config.clone(),
            fragment: args.fragment.clone(),
            needs: question.needs(),
            ..BuildSource::plain(BuildOrigin::Repo { repo: repo.clone(), revision: revision.commit.clone() })
        };
        let sources = revisions.iter().map(|revision| source(revision).into()).collect::<Vec<_>>();
        let names = names(&labels).map_err(Stop::usage)?;
        let bugs = vec![question.bug.id.clone()];
        let entries = names
            .into_iter()
            .zip(sources)
            .map(|(name, source)| KernelEntry::plain(name, source, bugs.clone()))
            .collect();
        Ok(Self::new(what, shown, entries, revisions))
    }

    /// The versions of the archive of mainline builds from one to the other.
    fn mainline(args: &Prove, question: &ProofQuestion, from: &str, to: &str) -> Result<Self, Stop> {
        let matrix = Self::matrix(args, question)?;
        let list = |with: &Obtain| kernel::list_mainline("*", &matrix.mainline, with);
        let listing = host::obtaining(&args.host.cache, args.offline, &Fetching::new(), list)?;
        let mut labels: Vec<String> = listing.versions.iter().map(|version| format!("{MAINLINE}{version}")).collect();
        labels = between(labels, from, to, &format!("the archive of mainline builds ({})", listing.address))?;
        Self::of_names("mainline builds".to_owned(), labels, &matrix, question)
    }

    /// The kernels of the matrix from one to the other.
    fn of_matrix(args: &Prove, question: &ProofQuestion, from: &str, to: &str) -> Result<Self, Stop> {
        let matrix = Self::matrix(args, question)?;
        let what = format!("kernels of {}", matrix.path.display());
        let labels = matrix.kernels.iter().map(|kernel| kernel.name.to_string()).collect();
        let labels = between(labels, from, to, &matrix.path.display().to_string())?;
        Self::of_names(what, labels, &matrix, question)
    }

    fn matrix(args: &Prove, question: &ProofQuestion) -> Result<Matrix, Stop> {
        matrix_file::matrix(args.matrix.as_deref(), &question.bugs)
    }

    fn of_names(what: String, labels: Vec<String>, matrix: &Matrix, question: &ProofQuestion) -> Result<Self, Stop> {
        let texts: Vec<&OsStr> = labels.iter().map(OsStr::new).collect();
        let bugs = vec![question.bug.id.clone()];
        let plain = |entry: KernelEntry| KernelEntry {
            tags: Default::default(),
            expect: Default::default(),
            bugs: bugs.clone(),
            ..entry
        };
        let entries = named(&texts, matrix)?.into_iter().map(|named| plain(named.entry)).collect();
        Ok(Self::new(what, labels, entries, Vec::new()))
    }

    fn new(what: String, labels: Vec<String>, entries: Vec<KernelEntry>, revisions: Vec<RowRevision>) -> Self {
        let kernel = |(label, entry): (String, &KernelEntry)| RowKernel {
            label,
            name: entry.name.clone(),
            verdict: None,
            reason: None,
            said: Vec::new(),
        };
        let kernels = labels.into_iter().zip(&entries).map(kernel).collect();
        Self { what, kernels, entries, revisions }
    }

    /// What is known of these kernels from an earlier search.
    pub(super) fn recall(&mut self, known: &HashMap<String, RowKernel>) {
        for (kernel, revision) in self.kernels.iter_mut().zip(&self.revisions) {
            if let Some(before) = known.get(&revision.commit).filter(|before| before.verdict.is_some()) {
                (kernel.verdict, kernel.reason) = (before.verdict, before.reason.clone());
                kernel.said.clone_from(&before.said);
            }
        }
    }
}

/// The names from one to the other, in either order of the command line.
fn between(names: Vec<String>, from: &str, to: &str, place: &str) -> Result<Vec<String>, Stop> {
    let at = |end: &str| {
        names.iter().position(|name| name == end).ok_or_else(|| {
            let near =
                names.iter().map(|name| (strsim::jaro_winkler(name, end), name)).filter(|(near, _)| *near > 0.85);
            let near = near.max_by(|a, b| a.0.total_cmp(&b.0));
            let hint = near.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"));
            Stop::usage(anyhow!("{place} has no `{end}`{hint}"))
        })
    };
    let (first, last) = (at(from)?, at(to)?);
    if first == last {
        return Err(Stop::usage(anyhow!("--between {from} {to}: the ends are the same kernel")));
    }
    if first > last {
        return Err(Stop::usage(anyhow!(
            "--between {from} {to}: {place} has {to} before {from}: name the earlier one first"
        )));
    }
    Ok(names[first..=last].to_vec())
}

/// The error of a repository, by who can fix it.
pub(super) fn of_repository(error: ChangeError) -> Stop {
    if error.is_usage() { Stop::usage(error) } else { Stop::no_verdict(error) }
}
