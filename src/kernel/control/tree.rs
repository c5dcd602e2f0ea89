//! The source tree and the object tree that all controls of a line share.
//!
//! ```text
//! controls/<line>/<source>/src       the source, with the last control's patch in it
//!                         /pristine  the files that some patch has changed, as they came
//!                         /obj       the objects
//!                         /building  exists while make works
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::patch;
use crate::kernel::build::{BuildError, BuildStep, Misfit, ObjectTree, files_below, replace};
use crate::kernel::store::Store;

/// The trees of one line and source.
#[derive(Clone, Debug)]
pub(super) struct ControlTree {
    folder: PathBuf,
}

impl ControlTree {
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn src(&self) -> PathBuf {
        self.folder.join("src")
    }

    pub(super) fn obj(&self) -> PathBuf {
        self.folder.join("obj")
    }

    fn pristine(&self) -> PathBuf {
        self.folder.join("pristine")
    }

    pub(super) fn objects(&self) -> ObjectTree {
        ObjectTree { src: self.src(), obj: self.obj(), mark: self.folder.join("building") }
    }

    /// Turns the source into the stock tree with this patch, or without one.
    ///
    /// Writes only files whose content differs: make goes by times, so a file's time must change exactly when its
    /// content does. Restoring an old time would leave a stale object.
    pub(super) fn patch(&self, patch: Option<&str>, store: &Store) -> Result<Result<(), Misfit>, BuildError> {
        let changed = match patch {
            None => Vec::new(),
            Some(patch) => match patch::apply(patch, |path| self.stock(path)) {
                Ok(changed) => changed,
                Err(misfit) => return Ok(Err(misfit)),
            },
        };
        for (path, _) in &changed {
            self.save(path, store)?;
        }
        let mut saved = Vec::new();
        files_below(&self.pristine(), Path::new(""), &mut saved)?;
        for path in saved {
            let stock = self.pristine().join(&path);
            let wanted = match changed.iter().find(|(of, _)| *of == path) {
                Some((_, text)) => text.clone(),
                None => fs::read(&stock).map_err(BuildError::io(BuildStep::Patch, &stock))?,
            };
            let file = self.src().join(&path);
            if fs::read(&file).ok().as_ref() != Some(&wanted) {
                self.objects().drop_object(&path)?;
                replace(&file, &wanted).map_err(BuildError::io(BuildStep::Patch, &file))?;
            }
        }
        Ok(Ok(()))
    }

    /// A file of the stock tree.
    fn stock(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.refuse_outside(path)?;
        let read = match fs::read(self.pristine().join(path)) {
            // Without a pristine copy, `src` has the stock file.
            Err(error) if error.kind() == ErrorKind::NotFound => fs::read(self.src().join(path)),
            read => read,
        };
        read.map_err(|error| format!("it cannot be read ({error})"))
    }

    /// Rejects a file whose folder is a link out of the tree: patching it would write into a user's folder.
    fn refuse_outside(&self, path: &Path) -> Result<(), String> {
        let found = |path: &Path| path.canonicalize().map_err(|error| format!("it cannot be read ({error})"));
        let (src, file) = (found(&self.src())?, self.src().join(path));
        let folder = found(file.parent().unwrap_or(&file))?;
        if folder.starts_with(src) {
            return Ok(());
        }
        let folder = folder.display();
        Err(format!("its folder is a link to {folder}, and nothing outside of the tree's copy is written to"))
    }

    /// Keeps the stock file before it is changed for the first time.
    fn save(&self, path: &Path, store: &Store) -> Result<(), BuildError> {
        let (from, to) = (self.src().join(path), self.pristine().join(path));
        if to.exists() {
            return Ok(());
        }
        let folder = to.parent().unwrap_or(&to);
        fs::create_dir_all(folder).map_err(BuildError::io(BuildStep::Patch, folder))?;
        let text = fs::read(&from).map_err(BuildError::io(BuildStep::Patch, &from))?;
        store.write_bytes(&to, &text).map_err(BuildError::cache(BuildStep::Patch))
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
