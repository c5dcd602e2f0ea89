//! The code of a built kernel, function by function, and what a change of the source does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::error::{BuildError, BuildStep};
use super::object_code::{CompiledSymbol, compiled_symbols};
use super::objects::{ObjectTree, files_below};
use crate::kernel::store::Store;
use crate::regular;

/// The largest object file to read, in bytes.
const LARGEST_OBJECT: u64 = 256 << 20;
/// The largest table, in bytes, unpacked. The small configuration's has 2 MiB.
const LARGEST_TABLE: usize = 512 << 20;
/// Objects that are not linked into the kernel itself: the decompressor, code of other modes, host tools.
const ELSEWHERE: [&str; 6] =
    ["arch/x86/boot/", "arch/x86/realmode/", "arch/x86/entry/vdso/", "scripts/", "tools/", "usr/"];

/// The functions and variables of a built kernel, by the object that has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCode {
    objects: BTreeMap<String, Vec<CompiledSymbol>>,
}

/// What differs between the code of two kernels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CodeDifference {
    /// Functions that differ, in the order of their objects and names.
    pub functions: Vec<FunctionDifference>,
    /// Variables and constants that differ: `net/ipv4/tcp.o: tcp_prot`.
    pub data: Vec<String>,
    /// Objects that only one of them has.
    pub objects: Vec<String>,
}

/// A function that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FunctionDifference {
    /// As make names it: `net/ipv4/tcp_output.o`.
    pub object: String,
    /// The function.
    pub name: String,
    /// Its bytes before; None if it was not there.
    pub before: Option<u64>,
    /// Its bytes after; None if it is not there.
    pub after: Option<u64>,
}

impl CodeDifference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.data.is_empty() && self.objects.is_empty()
    }
}

impl KernelCode {
    /// Reads the objects of a kernel that was just built.
    pub(super) fn read(tree: &ObjectTree) -> Result<Self, BuildError> {
        let mut files = Vec::new();
        files_below(&tree.obj, Path::new(""), &mut files)?;
        let mut objects = BTreeMap::new();
        for below in files {
            let Some(name) = below.to_str().filter(|name| name.ends_with(".o")) else { continue };
            // Objects that are linked of others have no source.
            let is_there =
                |end: &&str| [&tree.src, &tree.obj].iter().any(|at| at.join(below.with_extension(end)).is_file());
            let has_source = ["c", "S"].iter().any(is_there);
            if !has_source || is_elsewhere(name) {
                continue;
            }
            let path = tree.obj.join(&below);
            let bytes = regular::read(&path, LARGEST_OBJECT).map_err(BuildError::io(BuildStep::Keep, &path))?;
            // Of an object of another format, only that it changed is seen.
            let symbols = compiled_symbols(&bytes).unwrap_or_else(|| vec![CompiledSymbol::whole(&bytes)]);
            objects.insert(name.to_owned(), symbols);
        }
        Ok(Self { objects })
    }

    /// Keeps it in the store: its sha256 and size there.
    pub(super) fn keep(&self, store: &Store) -> Result<(String, u64), BuildError> {
        let packed = zstd::bulk::compress(self.to_text().as_bytes(), 0).unwrap_or_default();
        let sha256 = store.put(&packed).map_err(BuildError::cache(BuildStep::Keep))?;
        Ok((sha256, packed.len() as u64))
    }

    /// The one that is kept under this sha256, if it is whole.
    pub(super) fn kept(sha256: &str, store: &Store) -> Option<Self> {
        let packed = store.verify(sha256).ok()?.then(|| fs::read(store.blob(sha256)).ok())??;
        Self::parse(&String::from_utf8(zstd::bulk::decompress(&packed, LARGEST_TABLE).ok()?).ok()?)
    }

    /// An object a line; below it, its symbols.
    fn to_text(&self) -> String {
        let mut text = String::new();
        for (object, symbols) in &self.objects {
            let _ = writeln!(text, "{object}");
            for CompiledSymbol { is_function, name, size, id } in symbols {
                let kind = if *is_function { "f" } else { "d" };
                let _ = writeln!(text, "\t{kind}\t{name}\t{size}\t{id}");
            }
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut objects: BTreeMap<String, Vec<CompiledSymbol>> = BTreeMap::new();
        let mut of: Option<&mut Vec<CompiledSymbol>> = None;
        for line in text.lines() {
            let Some(symbol) = line.strip_prefix('\t') else {
                of = Some(objects.entry(line.to_owned()).or_default());
                continue;
            };
            let mut fields = symbol.split('\t');
            let is_function = fields.next()? == "f";
            let (name, size, id) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?, fields.next()?.to_owned());
            of.as_mut()?.push(CompiledSymbol { is_function, name, size, id });
        }
        Some(Self { objects })
    }

    /// Whether the kernel has an object of this C or assembler file. None if nobody knows: of headers and other files, and of
    /// parts that are not compared.
    pub fn compiles(&self, file: &str) -> Option<bool> {
        if is_elsewhere(file) {
            return None;
        }
        let stem = file.strip_suffix(".c").or_else(|| file.strip_suffix(".S"))?;
        // Without objects that could be read, nothing is known.
        (!self.objects.is_empty()).then(|| self.objects.contains_key(&format!("{stem}.o")))
    }

    /// How `after` differs from this one.
    pub fn difference(&self, after: &Self) -> CodeDifference {
        let mut found = CodeDifference::default();
        let names: BTreeSet<&String> = self.objects.keys().chain(after.objects.keys()).collect();
        for object in names.into_iter().filter(|object| !is_elsewhere(object)) {
            match (self.objects.get(object), after.objects.get(object)) {
                (Some(before), Some(after)) if before != after => found.compare(object, before, after),
                (Some(_), Some(_)) | (None, None) => {}
                (before, after) => {
                    found.objects.push(object.clone());
                    let symbols = |of: Option<&'_ Vec<CompiledSymbol>>| of.cloned().unwrap_or_default();
                    found.compare(object, &symbols(before), &symbols(after));
                }
            }
        }
        found
    }
}

impl CodeDifference {
    fn compare(&mut self, object: &str, before: &[CompiledSymbol], after: &[CompiledSymbol]) {
        let (before, after) = (by_name(before), by_name(after));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
        for key @ (is_function, name) in names {
            let (old, new) = (before.get(&key), after.get(&key));
            let ids = |symbols: &&Vec<&CompiledSymbol>| symbols.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
            if old.as_ref().map(ids) == new.as_ref().map(ids) {
                continue;
            }
            let size = |symbols: &Vec<&CompiledSymbol>| symbols.iter().map(|one| one.size).sum();
            match is_function {
                true => self.functions.push(FunctionDifference {
                    object: object.to_owned(),
                    name: name.to_owned(),
                    before: old.map(size),
                    after: new.map(size),
                }),
                false => self.data.push(format!("{object}: {name}")),
            }
        }
    }
}

/// Whether a file is compiled into something else than the kernel itself, or is a table of its symbols
/// (scripts/link-vmlinux.sh, `.tmp_vmlinux.kallsyms1.S`), which changes with every size.
pub fn is_elsewhere(file: &str) -> bool {
    file.starts_with(".tmp_") || ELSEWHERE.iter().any(|folder| file.starts_with(folder))
}

/// The symbols of each kind and name, in their order; several may have one name.
fn by_name(symbols: &[CompiledSymbol]) -> BTreeMap<(bool, &str), Vec<&CompiledSymbol>> {
    let mut found: BTreeMap<(bool, &str), Vec<&CompiledSymbol>> = BTreeMap::new();
    for symbol in symbols {
        found.entry((symbol.is_function, &symbol.name)).or_default().push(symbol);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn symbol(name: &str, size: u64, id: &str) -> CompiledSymbol {
        CompiledSymbol { is_function: !name.starts_with('v'), name: name.to_owned(), size, id: id.to_owned() }
    }

    fn code(objects: &[(&str, &[CompiledSymbol])]) -> KernelCode {
        let objects = objects.iter().map(|(name, symbols)| ((*name).to_owned(), symbols.to_vec()));
        KernelCode { objects: objects.collect() }
    }

    #[test]
    fn difference_names_functions_and_data() {
        let one = [symbol("f", 10, "a"), symbol("g", 4, "b"), symbol("v", 8, "c"), symbol("f", 3, "d")];
        let before = code(&[("net/a.o", &one), ("net/b.o", &[])]);
        assert_eq!(KernelCode::parse(&before.to_text()), Some(before.clone()));
        assert!(before.difference(&before).is_empty());
        let two = [symbol("f", 12, "e"), symbol("h", 4, "b"), symbol("v", 8, "f"), symbol("f", 3, "d")];
        let found = before.difference(&code(&[("net/a.o", &two), ("net/c.o", &[])]));
        let named = |name: &str, before, after| FunctionDifference {
            object: "net/a.o".to_owned(),
            name: name.to_owned(),
            before,
            after,
        };
        assert_eq!(
            found.functions,
            [named("f", Some(13), Some(15)), named("g", Some(4), None), named("h", None, Some(4))]
        );
        assert_eq!(found.data, ["net/a.o: v"], "an empty object has none");
        assert_eq!(found.objects, ["net/b.o", "net/c.o"]);
        let symbols = [(".tmp_vmlinux.kallsyms1.o", &one[..])];
        assert!(code(&symbols).difference(&code(&[])).is_empty());
        assert_eq!((before.compiles("net/b.c"), before.compiles("net/z.c")), (Some(true), Some(false)));
        assert_eq!((before.compiles("net/b.h"), KernelCode::default().compiles("net/b.c")), (None, None));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "([a-z/]{0,8}\\.o|\t[fd]\t[a-z]{1,3}\t[0-9]{1,2}\t[0-9a-f]{0,4}|\\PC{0,20}|\n){0,30}") {
            let _ = KernelCode::parse(&text);
        }
    }
}
