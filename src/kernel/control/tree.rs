//! The source tree and the object tree that all controls of a line share, and how they stay whole.
//!
//! ```text
//! controls/<line>/<source>/src       the source, with the last control's patch in it
//!                         /pristine  the files that some patch has changed, as they came
//!                         /obj       the objects
//!                         /building  exists while make works; found later, it means that make was killed or failed
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{BuildError, BuildStep};
use super::patch::{self, Misfit};
use crate::kernel::store::Store;
use crate::regular;

/// Second line of the mark after make failed by itself.
const FAILED: &str = "make failed";

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
                self.drop_object(&path)?;
                replace(&file, &wanted).map_err(BuildError::io(BuildStep::Patch, &file))?;
            }
        }
        Ok(Ok(()))
    }

    /// Removes the objects of a source file that is about to change. If the clock went back meanwhile, the new source
    /// would be older than the old object, and make would keep that.
    fn drop_object(&self, source: &Path) -> Result<(), BuildError> {
        let object = self.obj().join(source.with_extension("o"));
        let name = object.file_name().unwrap_or_default().to_string_lossy();
        let command = object.with_file_name(format!(".{name}.cmd"));
        for path in [object, command] {
            match fs::remove_file(&path) {
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(BuildError::io(BuildStep::Patch, &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
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

    /// Marks the objects as being made. Repairs them first if make did not finish.
    pub(super) fn begin(&self, store: &Store) -> Result<TreeBuild, BuildError> {
        let (mark, obj) = (self.folder.join("building"), self.obj());
        let now = boot_id();
        let found = regular::read(&mark, 1 << 10).ok().map(|text| String::from_utf8_lossy(&text).into_owned());
        if let Some(found) = &found {
            // After a crash of the machine nobody knows which files reached the disk.
            if found.lines().next().unwrap_or_default() == now { drop_half_made(&obj)? } else { discard(&obj, store)? }
        }
        let resumed = found.is_some_and(|found| found.lines().nth(1) != Some(FAILED));
        let building = TreeBuild { mark, obj, resumed };
        building.write_mark(&format!("{now}\n"))?;
        building.drop_the_future_s(store)?;
        building.make_folder()?;
        Ok(building)
    }

    /// The arguments of every make.
    pub(super) fn make_args(&self) -> Vec<OsString> {
        let joined = |key: &str, path: PathBuf| {
            let mut arg = OsString::from(key);
            arg.push(path);
            arg
        };
        vec!["-C".into(), self.src().into(), joined("O=", self.obj()), "ARCH=x86_64".into()]
    }
}

/// Objects during a build.
pub(super) struct TreeBuild {
    mark: PathBuf,
    obj: PathBuf,
    resumed: bool,
}

impl TreeBuild {
    /// Whether make was killed the last time, so that half-written files may look finished.
    pub(super) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Removes all objects.
    pub(super) fn start_again(&mut self, store: &Store) -> Result<(), BuildError> {
        discard(&self.obj, store)?;
        self.resumed = false;
        self.make_folder()
    }

    /// Notes that make failed by itself.
    pub(super) fn fail(&self) -> Result<(), BuildError> {
        self.write_mark(&format!("{}\n{FAILED}\n", boot_id()))
    }

    fn make_folder(&self) -> Result<(), BuildError> {
        fs::create_dir_all(&self.obj).map_err(BuildError::io(BuildStep::Compile, &self.obj))
    }

    fn write_mark(&self, text: &str) -> Result<(), BuildError> {
        let written = fs::write(&self.mark, text).and_then(|()| File::open(&self.mark)?.sync_all());
        written.map_err(BuildError::io(BuildStep::Compile, &self.mark))
    }

    /// Removes all objects if one is younger than the mark, which was just written: the clock went back, so new objects
    /// would look older than those that they replace.
    fn drop_the_future_s(&self, store: &Store) -> Result<(), BuildError> {
        let time = |path: &Path| fs::symlink_metadata(path).and_then(|m| m.modified()).ok();
        let now = time(&self.mark);
        let mut files = Vec::new();
        files_below(&self.obj, Path::new(""), &mut files)?;
        if files.iter().any(|file| time(&self.obj.join(file)) > now) { discard(&self.obj, store) } else { Ok(()) }
    }

    /// Removes the mark, because make has finished.
    pub(super) fn end(self) -> Result<(), BuildError> {
        let synced = File::open(&self.obj).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
        synced.map_err(BuildError::io(BuildStep::Compile, &self.obj))?;
        fs::remove_file(&self.mark).map_err(BuildError::io(BuildStep::Compile, &self.mark))
    }
}

/// Removes files that a killed make may have left half written. kbuild writes `.X.cmd` after it has made `X`
/// (scripts/Kbuild.include, `if_changed`), so an `X` that is younger than its `.X.cmd`, or has none, is unfinished.
fn drop_half_made(obj: &Path) -> Result<(), BuildError> {
    let mut files = Vec::new();
    files_below(obj, Path::new(""), &mut files)?;
    for below in &files {
        let path = obj.join(below);
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let command = path.with_file_name(format!(".{name}.cmd"));
        let time = |path: &Path| fs::symlink_metadata(path).and_then(|m| m.modified()).ok();
        let unfinished = match (time(&path), time(&command)) {
            (Some(made), Some(finished)) => made > finished,
            // Objects and archives have a `.cmd`. Most other files without one are written to a temporary name and
            // renamed. Files that are written in place (arch/x86/lib/inat-tables.c, lib/crc32table.h) look whole even
            // if they are not; if make fails on one, everything is built again. In tools/, programs and archives have
            // no `.cmd`. The linker makes a program executable only when it is complete, and ar renames. They must stay
            // if possible, because every object depends on objtool.
            (Some(_), None) if below.starts_with("tools") && !name.ends_with(".o") => {
                !name.contains('.') && fs::metadata(&path).is_ok_and(|found| found.mode() & 0o111 == 0)
            }
            (Some(_), None) => name.ends_with(".o") || name.ends_with(".a"),
            (None, _) => false,
        };
        if unfinished {
            fs::remove_file(&path).map_err(BuildError::io(BuildStep::Compile, &path))?;
        }
    }
    Ok(())
}

/// The regular files below `root/folder`, as paths from `root`; none if the folder does not exist.
fn files_below(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), BuildError> {
    let here = root.join(folder);
    let entries = match fs::read_dir(&here) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BuildError::io(BuildStep::Patch, &here)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(BuildError::io(BuildStep::Patch, &here))?;
        let kind = entry.file_type().map_err(BuildError::io(BuildStep::Patch, &here))?;
        let path = folder.join(entry.file_name());
        if kind.is_dir() {
            files_below(root, &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// Writes the file, all of it or nothing.
fn replace(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    let mut draft = tempfile::Builder::new().prefix(".backproof-").tempfile_in(folder)?;
    std::io::Write::write_all(&mut draft, text)?;
    draft.persist(file).map_err(|error| error.error)?;
    Ok(())
}

fn discard(obj: &Path, store: &Store) -> Result<(), BuildError> {
    store.discard(obj).map_err(BuildError::cache(BuildStep::Compile))
}

/// Identifies this start of the machine (random(4)).
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
