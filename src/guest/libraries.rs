//! The libraries of a dynamically linked program: found on this host as the loader finds them (ld.so(8)), without running
//! the program.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Component, Path, PathBuf};

use object::Endianness;
use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB, EM_X86_64, ET_DYN, FileHeader64, PT_DYNAMIC, PT_INTERP, PT_LOAD,
};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

use crate::regular;

/// The most libraries of one program, and the most bytes of one.
const LIBRARIES_MAX: (usize, u64) = (200, 128 << 20);

/// Where the loader looks at last (ld.so(8)), with Debian's and Fedora's folders for x86-64.
const USUAL: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// Where a loader may be.
const LOADER_FOLDERS: [&str; 6] = ["lib", "lib64", "usr", "opt", "nix", "gnu"];

/// The loader's list of further folders.
const LD_SO_CONF: &str = "/etc/ld.so.conf";

/// What a program or a library needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ElfNeeds {
    /// The loader.
    pub(super) interpreter: Option<String>,
    /// Libraries, by name.
    libraries: Vec<String>,
    /// Folders to look in first; `$ORIGIN` is the file's own.
    folders: Vec<String>,
}

/// A file that a dynamically linked program needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Its name, as programs ask for it; for the loader its path.
    pub name: String,
    /// Where it was found.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The loader and the libraries of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Libraries {
    /// The loader, whose name is its path in the guest.
    pub loader: Option<Library>,
    /// The libraries, in the order in which they were found.
    pub files: Vec<Library>,
}

impl Libraries {
    /// Those of the program at `path`; none for a static one.
    ///
    /// # Errors
    /// The library that is missing or unsuitable, and what to do.
    pub(crate) fn of(bytes: &[u8], path: &Path) -> Result<Self, String> {
        Self::found_in(bytes, path, &folders())
    }

    fn found_in(bytes: &[u8], path: &Path, usual: &[PathBuf]) -> Result<Self, String> {
        let own = ElfNeeds::of(bytes)?;
        let loader = own.interpreter.as_ref().map(|name| loader(name)).transpose()?;
        let mut wanted: VecDeque<(String, Vec<PathBuf>)> = own.wanted(path);
        let mut files: BTreeMap<String, usize> = BTreeMap::new();
        let mut found: Vec<Library> = Vec::new();
        while let Some((name, first)) = wanted.pop_front() {
            // The loader may be named as a library, too.
            let is_loader =
                loader.as_ref().is_some_and(|loader| loader.path.file_name() == Path::new(&name).file_name());
            if is_loader || files.contains_key(&name) {
                continue;
            }
            if found.len() >= LIBRARIES_MAX.0 {
                return Err(format!("it needs more than {} libraries", LIBRARIES_MAX.0));
            }
            if name.contains('/') {
                return Err(format!("it needs the library {name} by its path: link it by its name, or statically"));
            }
            let at = first.iter().chain(usual).map(|folder| folder.join(&name)).find(|path| path.is_file());
            let at = at.ok_or_else(|| {
                format!("it needs the library {name}, which this host does not have: install it, or link statically")
            })?;
            let library = library(&name, &at)?;
            wanted.extend(ElfNeeds::of(&library.bytes)?.wanted(&at));
            files.insert(name, found.len());
            found.push(library);
        }
        if loader.is_none() && !found.is_empty() {
            return Err("it needs libraries and names no loader".to_owned());
        }
        Ok(Self { loader, files: found })
    }

    /// Their names, that of the loader first.
    pub fn names(&self) -> Vec<String> {
        self.loader.iter().chain(&self.files).map(|library| library.name.clone()).collect()
    }

    /// The size of all of them, in bytes.
    pub fn size(&self) -> usize {
        self.loader.iter().chain(&self.files).map(|library| library.bytes.len()).sum()
    }
}

/// The loader. It has the same path in the guest, where it must not replace anything of ours.
fn loader(name: &str) -> Result<Library, String> {
    let path = Path::new(name);
    let mut parts = path.components();
    let is_there = parts.next() == Some(Component::RootDir)
        && path.components().skip(1).all(|part| matches!(part, Component::Normal(_)))
        && parts.next().is_some_and(|top| LOADER_FOLDERS.iter().any(|known| top.as_os_str() == *known));
    if !is_there {
        return Err(format!("its loader is {name:.100}: expected one in /{}", LOADER_FOLDERS.join(", /")));
    }
    library(name, path)
}

/// A library's file.
fn library(name: &str, path: &Path) -> Result<Library, String> {
    let bytes = regular::read(path, LIBRARIES_MAX.1)
        .map_err(|error| format!("it needs the library {name}, but {} cannot be read: {error}", path.display()))?;
    Ok(Library { name: name.to_owned(), path: path.to_owned(), bytes })
}

/// The folders in which the loader looks, whatever a program says.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    listed(Path::new(LD_SO_CONF), &mut folders, 0);
    folders.extend(USUAL.map(PathBuf::from));
    folders
}

/// The folders of a list in the format of ld.so.conf: a folder a line, `include` with a pattern, comments.
fn listed(file: &Path, folders: &mut Vec<PathBuf>, depth: usize) {
    const DEEPEST: usize = 4;
    let Ok(text) = fs::read_to_string(file) else { return };
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        match line.strip_prefix("include ") {
            Some(pattern) if depth < DEEPEST => {
                let pattern = file.parent().unwrap_or(Path::new("/")).join(pattern.trim());
                let included = glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten();
                included.for_each(|file| listed(&file, folders, depth + 1));
            }
            None if line.starts_with('/') => folders.push(PathBuf::from(line)),
            _ => {}
        }
    }
}

impl ElfNeeds {
    /// What an ELF file says in its dynamic section (System V ABI, chapter 5).
    pub(super) fn of(bytes: &[u8]) -> Result<Self, String> {
        let broken = |_| "it, or one of its libraries, is a 32-bit, foreign or damaged ELF file".to_owned();
        let header = FileHeader64::<Endianness>::parse(bytes).map_err(broken)?;
        let endian = header.endian().map_err(broken)?;
        if endian != Endianness::Little || header.e_machine(endian) != EM_X86_64 {
            return Err("it, or one of its libraries, is for another machine".to_owned());
        }
        let segments = header.program_headers(endian, bytes).map_err(broken)?;
        let mut needs = Self::default();
        // From addresses to offsets in the file.
        let offset = |address: u64| {
            segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
                let within = address.checked_sub(segment.p_vaddr(endian))?;
                (within < segment.p_filesz(endian)).then(|| segment.p_offset(endian).checked_add(within))?
            })
        };
        for segment in segments {
            match segment.p_type(endian) {
                PT_INTERP => {
                    let end = segment.p_offset(endian).saturating_add(segment.p_filesz(endian));
                    needs.interpreter = text(bytes, segment.p_offset(endian)).filter(|_| end <= bytes.len() as u64);
                }
                PT_DYNAMIC => {
                    let entries = segment.dynamic(endian, bytes).map_err(broken)?.unwrap_or_default();
                    let strings = entries.iter().find(|entry| entry.d_tag(endian) == DT_STRTAB);
                    let Some(strings) = strings.and_then(|entry| offset(entry.d_val(endian))) else { continue };
                    let named =
                        |entry: &object::elf::Dyn64<Endianness>| text(bytes, strings.checked_add(entry.d_val(endian))?);
                    for entry in entries {
                        match entry.d_tag(endian) {
                            DT_NEEDED => needs.libraries.extend(named(entry)),
                            DT_RPATH | DT_RUNPATH => {
                                let list = named(entry).unwrap_or_default();
                                needs.folders.extend(list.split(':').filter(|f| !f.is_empty()).map(str::to_owned));
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if header.e_type(endian) == ET_DYN && needs.libraries.len() > LIBRARIES_MAX.0 {
            return Err(format!("it needs more than {} libraries", LIBRARIES_MAX.0));
        }
        Ok(needs)
    }

    /// Each library with the folders to look in first, for a file at `path`.
    fn wanted(self, path: &Path) -> VecDeque<(String, Vec<PathBuf>)> {
        let origin = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let origin = origin.to_string_lossy();
        let named = |text: &String| text.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
        // The loader takes `./` from the working directory, and test suites run in their programs' folders.
        let folder = |text: &String| Path::new(&*origin).join(named(text));
        let first: Vec<PathBuf> = self.folders.iter().map(folder).collect();
        self.libraries.into_iter().map(|name| (name, first.clone())).collect()
    }
}

/// The text at this offset, up to its NUL.
fn text(bytes: &[u8], at: u64) -> Option<String> {
    const LONGEST: usize = 4096;
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().take(LONGEST).position(|byte| *byte == 0)?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

#[cfg(test)]
#[path = "libraries_tests.rs"]
mod tests;
