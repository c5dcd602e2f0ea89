//! Finds modules and their dependencies from the modules' own `.modinfo`. There is no `modules.dep`, because it is made
//! when a kernel is installed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use object::read::elf::ElfFile64;
use object::{Architecture, Endianness, Object, ObjectSection};

use super::compression::{self, Compression};
use super::config::KernelConfig;
use super::file_error::FileError;
use super::module_aliases::ModuleAliases;
use super::pack::Packed;

/// A module, ready for `finit_module`.
#[derive(Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name as the kernel has it (`nf_tables`, never with `-`).
    pub name: String,
    /// The ELF file, decompressed.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Module({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// Why modules are not available.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// The kernel has it neither built in nor as a module: a reproducer that needs it must be skipped.
    #[error("this kernel has no `{name}`: {why}")]
    Absent {
        /// The module.
        name: String,
        /// The place that was searched.
        why: String,
    },
    /// The file is not a module.
    #[error("cannot use {file} as an x86-64 module: {why}; name this kernel's own modules folder")]
    NotAModule {
        /// Its file.
        file: String,
        /// Why not.
        why: String,
    },
    /// Reading failed.
    #[error("cannot read the module {file}; if it is cached, run again to rebuild it")]
    Io {
        /// Its file.
        file: String,
        /// Why.
        source: io::Error,
    },
}

/// The modules of one kernel, found but not read.
#[derive(Clone, Debug, Default)]
pub(super) struct Modules {
    /// From modules.builtin; `None` if that file is missing.
    builtin: Option<HashSet<String>>,
    files: HashMap<String, Location>,
    /// Their place, for messages; `None` if it is unknown.
    place: Option<String>,
    /// Their aliases, once they were asked for, because all modules have to be read.
    aliases: Arc<OnceLock<ModuleAliases>>,
}

#[derive(Clone, Debug)]
enum Location {
    File(PathBuf),
    Packed { pack: PathBuf, file: Packed },
}

/// Kconfig's names of modules that reproducers may need, for kernels without modules.builtin.
const OPTIONS: [(&str, &str); 7] = [
    ("tun", "TUN"),
    ("veth", "VETH"),
    ("sch_netem", "NET_SCH_NETEM"),
    ("nfit", "ACPI_NFIT"),
    ("nd_pmem", "BLK_DEV_PMEM"),
    ("squashfs", "SQUASHFS"),
    ("overlay", "OVERLAY_FS"),
];

/// The largest decompressed module, in bytes, with debug information.
const MAX_MODULE: u64 = 256 << 20;
/// The most files and folders below a modules folder; the largest distributions have 8,000.
const MAX_FILES: usize = 100_000;

/// The name of the module in a file (`kernel/net/nf-tables.ko.xz`); `None` if it is not a module.
pub(super) fn name_of_file(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let stem = [".ko", ".ko.xz", ".ko.gz", ".ko.zst"].iter().find_map(|suffix| file.strip_suffix(suffix))?;
    (!stem.is_empty()).then(|| module_name(stem))
}

/// The kernel's name of a module, which has `_` for each `-` of its file (scripts/Makefile.lib, `name-fix`).
pub fn module_name(name: &str) -> String {
    name.replace('-', "_")
}

impl Modules {
    /// The names of all, with the built-in ones. None if nothing is known.
    pub(super) fn names(&self) -> Option<BTreeSet<String>> {
        self.place.as_ref()?;
        Some(self.files.keys().chain(self.builtin.iter().flatten()).cloned().collect())
    }

    /// The modules in packages: pairs of a pack and a file in it.
    pub(super) fn packed(files: impl Iterator<Item = (PathBuf, Packed)>, place: String) -> Result<Self, FileError> {
        let mut modules = Self { place: Some(place), ..Self::default() };
        for (pack, file) in files {
            if file.path.ends_with("/modules.builtin") {
                let text = file.read(&pack).map_err(|e| FileError::io("read", &pack, e))?;
                modules.builtin.get_or_insert_default().extend(names_in(&text));
            } else if let Some(name) = name_of_file(&file.path) {
                modules.files.insert(name, Location::Packed { pack, file });
            }
        }
        Ok(modules)
    }

    /// The modules in a folder like /lib/modules/<release>, or in one that has such a folder in it.
    pub(super) fn in_folder(folder: &Path, release: Option<&str>) -> Result<Self, FileError> {
        let below =
            release.into_iter().flat_map(|r| ["", "lib/modules", "usr/lib/modules"].map(|p| folder.join(p).join(r)));
        let root = below.into_iter().find(|p| p.is_dir()).unwrap_or_else(|| folder.to_owned());
        let mut modules = Self { place: Some(root.display().to_string()), ..Self::default() };
        let (mut folders, mut seen) = (vec![root], 0);
        while let Some(folder) = folders.pop() {
            let reading = |e| FileError::io("read", &folder, e);
            for entry in fs::read_dir(&folder).map_err(reading)? {
                let entry = entry.map_err(reading)?;
                seen += 1;
                if seen > MAX_FILES {
                    let problem = format!("has more than {MAX_FILES} files");
                    return Err(FileError::unusable("the modules folder", &folder, problem));
                }
                // Links are not followed: `build` and `source` lead to whole source trees.
                let kind = entry.file_type().map_err(reading)?;
                let path = entry.path();
                if kind.is_dir() {
                    folders.push(path);
                } else if entry.file_name() == "modules.builtin" {
                    modules.read_builtin(&path)?;
                } else if let Some(name) = entry.file_name().to_str().and_then(name_of_file) {
                    modules.files.insert(name, Location::File(path));
                }
            }
        }
        Ok(modules)
    }

    /// The modules in a kernel build tree, from its own list, because searching the tree takes too long.
    pub(super) fn in_tree(tree: &Path) -> Result<Self, FileError> {
        let mut modules = Self { place: Some(tree.display().to_string()), ..Self::default() };
        if tree.join("modules.builtin").is_file() {
            modules.read_builtin(&tree.join("modules.builtin"))?;
        }
        let list = tree.join("modules.order");
        if list.is_file() {
            let text = fs::read_to_string(&list).map_err(|e| FileError::io("read", &list, e))?;
            for line in text.lines() {
                // Objects since Linux 6.2, modules before.
                let stem = line.strip_suffix(".ko").or_else(|| line.strip_suffix(".o"));
                let Some(stem) = stem else { continue };
                let file = tree.join(stem.strip_prefix("kernel/").unwrap_or(stem)).with_extension("ko");
                if let Some(name) = file.to_str().and_then(name_of_file).filter(|_| file.is_file()) {
                    modules.files.insert(name, Location::File(file));
                }
            }
        }
        Ok(modules)
    }

    /// The packs that modules are in, each once.
    pub(super) fn packs(&self) -> HashSet<&Path> {
        let packs = self.files.values().filter_map(|location| match location {
            Location::Packed { pack, .. } => Some(pack.as_path()),
            Location::File(_) => None,
        });
        packs.collect()
    }

    fn read_builtin(&mut self, path: &Path) -> Result<(), FileError> {
        let text = fs::read(path).map_err(|e| FileError::io("read", path, e))?;
        self.builtin.get_or_insert_default().extend(names_in(&text));
        Ok(())
    }

    /// See [`super::Kernel::modules_for`].
    pub(super) fn load_order(
        &self,
        wanted: &[&str],
        config: Option<&KernelConfig>,
    ) -> Result<Vec<Module>, ModulesError> {
        let mut order = Order { modules: self, config, seen: HashSet::new(), list: Vec::new() };
        for name in wanted {
            order.add(&module_name(name))?;
        }
        Ok(order.list)
    }

    /// See [`super::Kernel::modules_on_request`].
    pub(super) fn on_request(&self, requested: &[String]) -> Vec<Module> {
        let mut order = Order { modules: self, config: None, seen: HashSet::new(), list: Vec::new() };
        for name in requested.iter().map(|name| module_name(name)) {
            if self.files.contains_key(&name) {
                order.add_or_leave(&name);
                continue;
            }
            for module in self.aliases.get_or_init(|| self.read_aliases()).providers(&name) {
                order.add_or_leave(module);
            }
        }
        order.list
    }

    fn read_aliases(&self) -> ModuleAliases {
        let modules: Vec<(&String, &Location)> = self.files.iter().collect();
        ModuleAliases::of(&modules, |location| Some(dependencies(&location.read().ok()?).ok()?.aliases))
    }

    /// Whether a module without a file is built in.
    fn without_file(&self, name: &str, config: Option<&KernelConfig>) -> Result<(), ModulesError> {
        if self.builtin.as_ref().is_some_and(|b| b.contains(name)) {
            return Ok(());
        }
        let absent = |why| Err(ModulesError::Absent { name: name.to_owned(), why });
        let option = OPTIONS.iter().find(|(module, _)| *module == name).map(|(_, option)| *option);
        match (config, option, &self.place) {
            (Some(config), Some(option), _) if config.is_builtin(option) => Ok(()),
            (Some(config), Some(option), Some(place)) if config.is_module(option) => {
                absent(format!("CONFIG_{option}=m, but the module is not in {place}"))
            }
            (Some(config), Some(option), None) if config.is_module(option) => {
                absent(format!("CONFIG_{option}=m, but no folder with its modules was given"))
            }
            (Some(_), Some(option), _) => absent(format!("CONFIG_{option} is not set")),
            (_, _, Some(place)) => absent(format!("it is neither in {place} nor in the list of what is built in")),
            // Nothing is known about this kernel's modules, so the guest has to find out.
            (_, _, None) => Ok(()),
        }
    }
}

/// The module names in a modules.builtin file, which has a path a line.
fn names_in(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text).lines().filter_map(|line| name_of_file(line.trim())).collect()
}

/// Puts modules after those that they depend on.
struct Order<'a> {
    modules: &'a Modules,
    config: Option<&'a KernelConfig>,
    seen: HashSet<String>,
    list: Vec<Module>,
}

impl Order<'_> {
    fn add(&mut self, name: &str) -> Result<(), ModulesError> {
        // A module is marked before its dependencies are added, so a hostile circle ends, too.
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(location) = self.modules.files.get(name) else {
            return self.modules.without_file(name, self.config);
        };
        let file = location.describe();
        let bytes = location.read().map_err(|source| ModulesError::Io { file: file.clone(), source })?;
        let depends = dependencies(&bytes).map_err(|why| ModulesError::NotAModule { file, why })?;
        for dependency in &depends.needed {
            self.add(dependency)?;
        }
        for wish in &depends.before {
            self.add_wish(wish);
        }
        self.list.push(Module { name: name.to_owned(), bytes });
        for wish in &depends.after {
            self.add_wish(wish);
        }
        Ok(())
    }

    /// Adds a module that another one works better with, if there is one of this name or alias, and it can be loaded.
    fn add_wish(&mut self, name: &str) {
        if let Some(file) = self.provider(name) {
            self.add_or_leave(&file);
        }
    }

    /// Adds a module with its dependencies, or nothing.
    fn add_or_leave(&mut self, name: &str) {
        let (seen, count) = (self.seen.clone(), self.list.len());
        if self.add(name).is_err() {
            self.seen = seen;
            self.list.truncate(count);
        }
    }

    /// The module of this name or alias.
    fn provider(&self, name: &str) -> Option<String> {
        let modules = self.modules;
        if modules.files.contains_key(name) {
            return Some(name.to_owned());
        }
        // The providers of an alias begin like it: `crc32c_generic` and `crc32c_intel` for `crypto-crc32c`, `xxhash_generic`
        // for `xxhash64`. Only the generic one works on any processor.
        let start = name.strip_prefix("crypto_").unwrap_or(name);
        let start = start.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        let begins = |file: &&String| !start.is_empty() && file.starts_with(start);
        let mut candidates: Vec<&String> = modules.files.keys().filter(begins).collect();
        candidates.sort_by_key(|file| (!file.ends_with("_generic"), *file));
        for file in candidates {
            let Some(Ok(bytes)) = modules.files.get(file).map(Location::read) else { continue };
            if dependencies(&bytes).is_ok_and(|found| found.aliases.iter().any(|alias| alias == name)) {
                return Some(file.clone());
            }
        }
        None
    }
}

impl Location {
    fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Packed { file, .. } => file.path.clone(),
        }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let (path, bytes) = match self {
            Self::Packed { pack, file } => (Path::new(&file.path), file.read(pack)?),
            Self::File(path) => {
                let mut bytes = Vec::new();
                fs::File::open(path)?.take(MAX_MODULE + 1).read_to_end(&mut bytes)?;
                (path.as_path(), bytes)
            }
        };
        let how = match path.extension().and_then(|e| e.to_str()) {
            Some("xz") => Compression::Xz,
            Some("gz") => Compression::Gzip,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        };
        compression::decompress(how, &bytes, MAX_MODULE)
    }
}

/// What a module says of others in its .modinfo.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dependencies {
    /// `depends=`: names with commas (scripts/mod/modpost.c).
    needed: Vec<String>,
    /// `softdep=pre: …` (`MODULE_SOFTDEP` of include/linux/module.h): modules or aliases to load before it, if they are
    /// there.
    before: Vec<String>,
    /// `softdep=post: …`: those to load after it.
    after: Vec<String>,
    /// `alias=`: its other names.
    aliases: Vec<String>,
}

fn dependencies(module: &[u8]) -> Result<Dependencies, String> {
    let elf = ElfFile64::<Endianness>::parse(module).map_err(|e| e.to_string())?;
    if elf.architecture() != Architecture::X86_64 {
        return Err(format!("it is for {:?}", elf.architecture()));
    }
    let section = elf.section_by_name(".modinfo").ok_or("it has no .modinfo")?;
    let info = section.data().map_err(|e| e.to_string())?;
    let mut found = Dependencies::default();
    for field in info.split(|&b| b == 0).map(String::from_utf8_lossy) {
        match field.split_once('=') {
            Some(("depends", names)) => {
                found.needed.extend(names.split(',').filter(|name| !name.is_empty()).map(module_name));
            }
            Some(("alias", name)) => found.aliases.push(module_name(name)),
            Some(("softdep", text)) => {
                let mut list = None;
                for word in text.split_whitespace() {
                    match (word, &mut list) {
                        ("pre:", _) => list = Some(&mut found.before),
                        ("post:", _) => list = Some(&mut found.after),
                        (name, Some(list)) => list.push(module_name(name)),
                        (_, None) => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "modules_tests.rs"]
mod tests;
