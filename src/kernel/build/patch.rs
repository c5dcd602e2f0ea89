//! Applies patches in memory. Lines may have moved, but every line must match.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use diffy::Patch;
use diffy::patch_set::{FileOperation, ParseOptions, PatchKind, PatchSet};

/// The reason that a patch does not fit: the file, and the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}")]
pub(in crate::kernel) struct Misfit {
    pub file: String,
    pub why: String,
}

impl Misfit {
    fn new(file: &str, why: impl Into<String>) -> Self {
        Self { file: file.to_owned(), why: why.into() }
    }
}

/// Stands for the file if the patch itself is at fault.
pub(super) const THE_PATCH: &str = "the patch";

/// Whether a patch is applied or taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum Direction {
    Forward,
    Reverse,
}

/// The files that a series of patches changes: their new content, or none if they are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::kernel) struct Patched {
    files: BTreeMap<String, Option<Vec<u8>>>,
    /// Files whose mode is in a patch: whether they are programs.
    executable: BTreeMap<String, bool>,
    /// Moved or copied files, and their paths in the tree.
    origins: BTreeMap<String, String>,
}

/// A file after a series of patches.
pub(in crate::kernel) struct PatchedFile<'a> {
    pub path: &'a str,
    /// None if it is removed.
    pub text: Option<&'a [u8]>,
    /// Whether it is a program, if a patch says so.
    pub executable: Option<bool>,
    /// Its path in the tree without patches.
    pub origin: &'a str,
}

impl Patched {
    /// Applies a patch on top of the earlier ones. `read` gives the content of a file of the tree; none if there is no
    /// such file.
    ///
    /// # Errors
    /// [`Misfit`] if a file doesn't fit. The earlier patches stay applied, and parts of this one may be.
    pub(in crate::kernel) fn apply(
        &mut self,
        patch: &[u8],
        direction: Direction,
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, String>,
    ) -> Result<(), Misfit> {
        // Without git's headers, its reader finds nothing.
        let has_git_headers =
            patch.starts_with(b"diff --git ") || memchr::memmem::find(patch, b"\ndiff --git ").is_some();
        let options = if has_git_headers { ParseOptions::gitdiff() } else { ParseOptions::unidiff() };
        let mut touched: Vec<String> = Vec::new();
        for part in PatchSet::parse_bytes(patch, options) {
            let part = part.map_err(|error| match error.to_string() {
                text if text.contains("no valid patches") => Misfit::new(THE_PATCH, "expected a unified diff"),
                text => Misfit::new(THE_PATCH, text),
            })?;
            let operation = match part.operation() {
                // Only these have git's paths, without `a/` and `b/`.
                own @ (FileOperation::Rename { .. } | FileOperation::Copy { .. }) => own.clone(),
                other => other.strip_prefix(1),
            };
            let [old, new] = sides(&operation)?;
            for (path, other) in [(&old, &new), (&new, &old)] {
                if let Some(path) = path.as_ref().filter(|path| touched.contains(path) && other.as_ref() != Some(path))
                {
                    return Err(Misfit::new(path, "it is patched twice"));
                }
            }
            if old == new && old.as_ref().is_some_and(|path| touched.contains(path)) {
                return Err(Misfit::new(old.as_deref().unwrap_or_default(), "it is patched twice"));
            }
            touched.extend(old.iter().chain(&new).cloned());
            let is_copy = operation.is_copy();
            let (mode, result, from) = match direction {
                Direction::Forward => (part.new_mode(), new.clone(), old.clone()),
                Direction::Reverse => (part.old_mode(), old.clone(), new.clone()),
            };
            let is_executable = mode.map(|mode| *mode == diffy::patch_set::FileMode::Executable);
            let is_link = [part.old_mode(), part.new_mode()]
                .into_iter()
                .flatten()
                .any(|mode| matches!(mode, diffy::patch_set::FileMode::Symlink | diffy::patch_set::FileMode::Gitlink));
            let shown = new.clone().or_else(|| old.clone()).unwrap_or_default();
            if is_link {
                return Err(Misfit::new(&shown, "it is a link, expected a file"));
            }
            let PatchKind::Text(hunks) = part.patch() else {
                return Err(Misfit::new(&shown, "a binary patch, expected text"));
            };
            match direction {
                Direction::Forward => self.change(old, new, hunks, is_copy, &mut read)?,
                Direction::Reverse if is_copy => self.change(new, None, &hunks.reverse(), false, &mut read)?,
                Direction::Reverse => self.change(new, old, &hunks.reverse(), false, &mut read)?,
            }
            if let Some(result) = result {
                if let Some(from) = from.filter(|from| *from != result) {
                    let first = self.origins.get(&from).cloned().unwrap_or(from);
                    self.origins.insert(result.clone(), first);
                }
                if let Some(is_executable) = is_executable {
                    self.executable.insert(result, is_executable);
                }
            }
        }
        if touched.is_empty() { Err(Misfit::new(THE_PATCH, "it changes nothing")) } else { Ok(()) }
    }

    /// The files, in order of their paths.
    pub(in crate::kernel) fn into_files(self) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
        self.files.into_iter()
    }

    /// The files with all that patches say of them, in order of their paths.
    pub(in crate::kernel) fn files(&self) -> impl Iterator<Item = PatchedFile<'_>> {
        self.files.iter().map(|(path, text)| PatchedFile {
            path,
            text: text.as_deref(),
            executable: self.executable.get(path).copied(),
            origin: self.origins.get(path).map_or(path, String::as_str),
        })
    }

    /// The file as it is after the patches so far.
    fn now(
        &self,
        path: &str,
        read: &mut impl FnMut(&str) -> Result<Option<Vec<u8>>, String>,
    ) -> Result<Option<Vec<u8>>, Misfit> {
        match self.files.get(path) {
            Some(text) => Ok(text.clone()),
            None => read(path).map_err(|why| Misfit::new(path, why)),
        }
    }

    fn change(
        &mut self,
        old: Option<String>,
        new: Option<String>,
        hunks: &Patch<'_, [u8]>,
        is_copy: bool,
        read: &mut impl FnMut(&str) -> Result<Option<Vec<u8>>, String>,
    ) -> Result<(), Misfit> {
        let before = match &old {
            Some(path) => self.now(path, read)?.ok_or_else(|| Misfit::new(path, "there is no such file")),
            None => Ok(Vec::new()),
        };
        let target = new.as_ref().filter(|new| old.as_ref() != Some(new));
        if let Some(target) = target
            && let Some(there) = self.now(target, read)?
        {
            let has_it = old.is_none() && diffy::apply_bytes(b"", hunks).is_ok_and(|made| made == there);
            let why = if has_it { "it has this change already" } else { "it exists already" };
            return Err(Misfit::new(target, why));
        }
        let shown = new.as_deref().or(old.as_deref()).unwrap_or_default();
        let before = before?;
        let after = diffy::apply_bytes(&before, hunks).map_err(|error| {
            let is_in = diffy::apply_bytes(&before, &hunks.reverse()).is_ok();
            let hunk = error.to_string().replace("error applying ", "");
            let already = if is_in { "; it has this change already" } else { "" };
            Misfit::new(shown, format!("{hunk} does not match{already}"))
        })?;
        if new.is_none() && !after.is_empty() {
            return Err(Misfit::new(shown, "it has more lines than the patch removes"));
        }
        if let Some(old) = old.filter(|old| new.as_ref() != Some(old) && !is_copy) {
            self.files.insert(old, None);
        }
        if let Some(new) = new {
            self.files.insert(new, Some(after));
        }
        Ok(())
    }
}

/// The path before and after the change, without `a/` and `b/`.
fn sides(operation: &FileOperation<'_, [u8]>) -> Result<[Option<String>; 2], Misfit> {
    let inside = |path: &[u8]| {
        let name = String::from_utf8_lossy(path).into_owned();
        let is_inside = !name.is_empty() && Path::new(&name).components().all(|c| matches!(c, Component::Normal(_)));
        if is_inside { Ok(Some(name)) } else { Err(Misfit::new(&name, "expected a file inside the tree")) }
    };
    Ok(match operation {
        FileOperation::Create(new) => [None, inside(new)?],
        FileOperation::Delete(old) => [inside(old)?, None],
        FileOperation::Modify { original: old, modified: new }
        | FileOperation::Rename { from: old, to: new }
        | FileOperation::Copy { from: old, to: new } => [inside(old)?, inside(new)?],
    })
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
