//! A tree of objects next to the source that it is built from, and how it stays whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{BuildError, BuildStep};
use crate::kernel::store::Store;
use crate::regular;

/// Second line of the mark after make failed by itself.
const FAILED: &str = "make failed";

/// A source folder, and a folder of objects that are built from it.
#[derive(Clone, Debug)]
pub(in crate::kernel) struct ObjectTree {
    /// The source.
    pub src: PathBuf,
    /// The objects.
    pub obj: PathBuf,
    /// Exists while make works; found later, it means that make was killed or failed.
    pub mark: PathBuf,
}

impl ObjectTree {
    /// Removes the objects of a source file that is about to change. If the clock went back meanwhile, the new source
    /// would be older than the old object, and make would keep that.
    pub(in crate::kernel) fn drop_object(&self, source: &Path) -> Result<(), BuildError> {
        let object = self.obj.join(source.with_extension("o"));
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

    /// Marks the objects as being made. Repairs them first if make did not finish.
    pub(in crate::kernel) fn begin(&self, store: &Store) -> Result<TreeBuild, BuildError> {
        let (mark, obj) = (self.mark.clone(), self.obj.clone());
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
        let joined = |key: &str, path: &Path| {
            let mut arg = OsString::from(key);
            arg.push(path);
            arg
        };
        vec!["-C".into(), self.src.clone().into(), joined("O=", &self.obj), "ARCH=x86_64".into()]
    }
}

/// Objects during a build.
pub(in crate::kernel) struct TreeBuild {
    mark: PathBuf,
    obj: PathBuf,
    resumed: bool,
}

impl TreeBuild {
    /// Whether make was killed the last time, so that half-written files may look finished.
    pub(in crate::kernel) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Removes all objects.
    pub(in crate::kernel) fn start_again(&mut self, store: &Store) -> Result<(), BuildError> {
        discard(&self.obj, store)?;
        self.resumed = false;
        self.make_folder()
    }

    /// Notes that make failed by itself.
    pub(in crate::kernel) fn fail(&self) -> Result<(), BuildError> {
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
    pub(in crate::kernel) fn end(self) -> Result<(), BuildError> {
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
pub(in crate::kernel) fn files_below(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), BuildError> {
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
pub(in crate::kernel) fn replace(file: &Path, text: &[u8]) -> std::io::Result<()> {
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
