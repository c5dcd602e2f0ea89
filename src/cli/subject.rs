//! The kernels that a command line names for booting, one by one.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::anyhow;

use super::Stop;
use super::affected::names;
use crate::answer::to_boot;
use crate::matrix::{KernelEntry, Matrix};
use crate::words::KernelName;

/// A kernel that was named.
pub(super) struct Named {
    /// The words that named it.
    pub(super) subject: String,
    /// The kernel, for a matrix.
    pub(super) entry: KernelEntry,
}

impl Named {
    /// Its name in the run's folder.
    pub(super) fn name(&self) -> &KernelName {
        &self.entry.name
    }
}

/// The kernels with these names in the matrix, or in these files, folders and addresses.
pub(super) fn named(texts: &[&OsStr], matrix: &Matrix) -> Result<Vec<Named>, Stop> {
    let text = |text: &&OsStr| {
        let odd = || {
            Stop::usage(anyhow!("the name `{}` is not UTF-8; rename it, or name it by a link (ln -s)", text.display()))
        };
        text.to_str().map(str::to_owned).ok_or_else(odd)
    };
    let texts: Vec<String> = texts.iter().map(text).collect::<Result<_, _>>()?;
    let names = names(&texts).map_err(Stop::usage)?;
    texts.into_iter().zip(names).map(|(text, name)| one(text, name, matrix)).collect()
}

fn one(text: String, name: KernelName, matrix: &Matrix) -> Result<Named, Stop> {
    let known = matrix.kernels.iter().find(|entry| entry.name.as_str() == text);
    if let Some(entry) = known.filter(|_| !Path::new(&text).exists()) {
        let entry = KernelEntry { name, ..entry.clone() };
        return Ok(Named { subject: text, entry });
    }
    let source = to_boot(&text, &matrix.mainline).map_err(|why| Stop::usage(anyhow!("{text}: {why}")))?;
    let bugs = matrix.bugs.clone();
    Ok(Named { subject: text, entry: KernelEntry::plain(name, source, bugs) })
}
