//! Lists the items of the cache.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::{CacheItem, CacheKind, KeptElsewhere, What};
use crate::kernel::file_error::FileError;
use crate::kernel::store::{Store, is_sha256, read_sealed};

/// All items of the cache, including those of other rooms. Stores below are ignored.
///
/// # Errors
/// If a folder cannot be read. Files that vanish meanwhile are left out.
pub fn survey(store: &Store, elsewhere: &[KeptElsewhere]) -> Result<Vec<CacheItem>, FileError> {
    let root = store.folder();
    let looking = |e| FileError::io("look through", root, e);
    let mut items = Vec::new();
    let mut look = || -> io::Result<()> {
        named(root, &mut items)?;
        partial(root, &mut items)?;
        items.extend(alone(&root.join("quarantine"), CacheKind::SetAside)?);
        build_trees(root, &mut items)?;
        suites(root, &mut items)?;
        elsewhere.iter().try_for_each(|kept| of_room(root, *kept, &mut items))
    };
    look().map_err(looking)?;
    Ok(items)
}

/// A record, and the files that it names.
struct Record {
    kind: CacheKind,
    name: String,
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
    files: Vec<PathBuf>,
}

/// The items of records, and the files by content that no record names.
fn named(root: &Path, items: &mut Vec<CacheItem>) -> io::Result<()> {
    let mut files: BTreeMap<PathBuf, Metadata> = entries(&root.join("blobs"))?.into_iter().collect();
    files.extend(entries(&root.join("downloads"))?);
    files.retain(|path, found| found.is_file() && path.file_name().and_then(OsStr::to_str).is_some_and(is_sha256));

    let mut records = Vec::new();
    for (folder, kind) in [
        ("packages", CacheKind::Package),
        ("controls/kept", CacheKind::Control),
        ("builds/kept", CacheKind::Build),
        ("addresses", CacheKind::Download),
        ("unpacked", CacheKind::Boot),
        ("boots", CacheKind::Answer),
        ("looks", CacheKind::Answer),
    ] {
        records.extend(read_records(&root.join(folder), kind, root, &files)?);
    }
    for (line, _) in
        entries(&root.join("controls"))?.into_iter().filter(|(path, found)| found.is_dir() && !path.ends_with("kept"))
    {
        records
            .extend(read_records(&line, CacheKind::Control, root, &files)?.into_iter().filter(|r| !r.files.is_empty()));
    }
    // Several records may name the same files: those of a control's recipe, and of the line's last build.
    let mut groups: BTreeMap<(CacheKind, Vec<PathBuf>), Vec<Record>> = BTreeMap::new();
    for mut record in records {
        record.files.sort();
        record.files.dedup();
        // A record without remaining files can be removed alone.
        let key = if record.files.is_empty() { vec![record.path.clone()] } else { record.files.clone() };
        groups.entry((record.kind, key)).or_default().push(record);
    }
    let mut named_by: BTreeMap<&PathBuf, usize> = BTreeMap::new();
    let all = groups.values().filter_map(|records| Some(&records.first()?.files));
    all.flatten().for_each(|file| *named_by.entry(file).or_default() += 1);
    let mut found: Vec<CacheItem> = Vec::new();
    for ((kind, _), records) in &groups {
        let Some(first) = records.first() else { continue };
        // A shared file may have been used for another record.
        let own = |file: &&PathBuf| {
            named_by.get(*file) == Some(&1) || first.files.iter().all(|f| named_by.get(f) != Some(&1))
        };
        let times = first.files.iter().filter(own).filter_map(|file| modified(files.get(file)?));
        let used = records.iter().map(|r| r.used).chain(times).max();
        found.push(CacheItem {
            kind: *kind,
            name: first.name.clone(),
            bytes: records.iter().map(|r| r.bytes).sum(),
            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
            what: What::Files {
                records: records.iter().map(|r| r.path.clone()).collect(),
                files: first.files.clone(),
                locks: Vec::new(),
            },
        });
    }
    // A shared file goes with the most recently used item, but a kernel never with a mere answer about it.
    found.sort_by_key(|item| (item.kind == CacheKind::Answer, std::cmp::Reverse(item.used)));
    let mut claimed = HashSet::new();
    for item in &mut found {
        let What::Files { files: own, .. } = &mut item.what else { continue };
        own.retain(|file| claimed.insert(file.clone()));
        item.bytes += own.iter().filter_map(|file| files.get(file)).map(on_disk).sum::<u64>();
    }
    items.append(&mut found);
    for (path, found) in files.into_iter().filter(|(path, _)| !claimed.contains(path)) {
        let kind = if path.starts_with(root.join("blobs")) { CacheKind::Boot } else { CacheKind::Download };
        items.push(file(kind, path, &found));
    }
    Ok(())
}

fn read_records(
    folder: &Path,
    kind: CacheKind,
    root: &Path,
    files: &BTreeMap<PathBuf, Metadata>,
) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for (path, found) in entries(folder)? {
        if !found.is_file() || path.extension() != Some(OsStr::new("json")) {
            continue;
        }
        let Some(below) = path.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
        // An unreadable record counts as absent, so it can go.
        let value: Value = read_sealed(root, below).unwrap_or_default();
        let mut hashes = Vec::new();
        hashes_in(&value, &mut hashes);
        let folder = if kind == CacheKind::Download { "downloads" } else { "blobs" };
        let named = hashes.into_iter().map(|sha256| root.join(folder).join(sha256));
        records.push(Record {
            kind,
            name: name(&value).unwrap_or_else(|| short(&path)),
            used: modified(&found).unwrap_or(SystemTime::UNIX_EPOCH),
            bytes: on_disk(&found),
            files: named.filter(|file| files.contains_key(file)).collect(),
            path,
        });
    }
    Ok(records)
}

/// Every sha256 in a record of any shape.
fn hashes_in<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if is_sha256(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| hashes_in(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| hashes_in(value, found)),
        _ => {}
    }
}

/// The name in a record.
fn name(record: &Value) -> Option<String> {
    let text = |key: &str| record.get(key)?.as_str();
    let pair = |a, b| Some(format!("{} {}", text(a)?, text(b)?));
    pair("package", "version")
        .or_else(|| pair("control", "line"))
        .or_else(|| text("kernel").map(str::to_owned))
        .or_else(|| text("address").or_else(|| text("url")).map(str::to_owned))
}

/// `partial/<key>` and its record. The lock of their address protects them: see `fetch/partial.rs`.
fn partial(root: &Path, items: &mut Vec<CacheItem>) -> io::Result<()> {
    let mut by_key: BTreeMap<String, Vec<(PathBuf, Metadata)>> = BTreeMap::new();
    for (path, found) in entries(&root.join("partial"))?.into_iter().filter(|(_, found)| found.is_file()) {
        let key = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        by_key.entry(key).or_default().push((path, found));
    }
    for (key, all) in by_key {
        let used = all.iter().filter_map(|(_, found)| modified(found)).max();
        let bytes = all.iter().map(|(_, found)| on_disk(found)).sum();
        let is_record = |path: &PathBuf| path.extension().is_some();
        let (records, files) = all.into_iter().map(|(path, _)| path).partition(is_record);
        items.push(CacheItem {
            kind: CacheKind::SetAside,
            name: key.chars().take(12).collect(),
            bytes,
            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
            what: What::Files { records, files, locks: vec![format!("address-{key}")] },
        });
    }
    Ok(())
}

/// Files that nothing else uses.
fn alone(folder: &Path, kind: CacheKind) -> io::Result<Vec<CacheItem>> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|(_, found)| found.is_file())
        .map(|(path, found)| file(kind, path, &found))
        .collect())
}

fn file(kind: CacheKind, path: PathBuf, found: &Metadata) -> CacheItem {
    let (name, bytes, used) = (short(&path), on_disk(found), modified(found).unwrap_or(SystemTime::UNIX_EPOCH));
    CacheItem {
        kind,
        name,
        bytes,
        used,
        what: What::Files { records: Vec::new(), files: vec![path], locks: Vec::new() },
    }
}

/// `controls/<line>/<source>/`: see `control/tree.rs`; and `builds/<origin>/`: see `build/source_copy.rs`.
fn build_trees(root: &Path, items: &mut Vec<CacheItem>) -> io::Result<()> {
    for (line, _) in entries(&root.join("controls"))? {
        let Some(line_name) = line.file_name().and_then(OsStr::to_str) else { continue };
        for (path, found) in entries(&line)? {
            let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
            if found.is_dir() && name.bytes().all(|b| b.is_ascii_hexdigit()) {
                items.push(build_tree(&path, &found, format!("{line_name} {name}"), format!("controls-{line_name}"))?);
            }
        }
    }
    for (path, found) in entries(&root.join("builds"))?.into_iter().filter(|(_, found)| found.is_dir()) {
        let Some(name) = path.file_name().and_then(OsStr::to_str).filter(|name| *name != "kept") else { continue };
        let record: Value = read_sealed(root, &format!("builds/{name}/origin.json")).unwrap_or_default();
        let shown = record.get("origin").and_then(Value::as_str).unwrap_or(name).to_owned();
        items.push(build_tree(&path, &found, shown, format!("builds-{name}"))?);
    }
    Ok(())
}

fn build_tree(path: &Path, found: &Metadata, name: String, lock: String) -> io::Result<CacheItem> {
    let inner = entries(path)?;
    let used = inner.iter().map(|(_, inner)| inner).chain([found]).filter_map(modified).max();
    Ok(CacheItem {
        kind: CacheKind::BuildTree,
        name,
        bytes: below(path)?,
        used: used.unwrap_or(SystemTime::UNIX_EPOCH),
        what: What::Folder { path: path.to_owned(), locks: vec![lock] },
    })
}

fn suites(root: &Path, items: &mut Vec<CacheItem>) -> io::Result<()> {
    for (path, found) in entries(&root.join("apt"))?.into_iter().filter(|(_, found)| found.is_dir()) {
        let name = short(&path);
        // apt's configuration is written at each download, the index at each refresh.
        let used = entries(&path)?.iter().map(|(_, inner)| inner).chain([&found]).filter_map(modified).max();
        items.push(CacheItem {
            kind: CacheKind::Suite,
            bytes: below(&path)?,
            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
            what: What::Folder { path, locks: vec![format!("apt-{name}"), format!("apt-use-{name}")] },
            name,
        });
    }
    Ok(())
}

/// Another room's files. Their lock files stay.
fn of_room(root: &Path, kept: KeptElsewhere, items: &mut Vec<CacheItem>) -> io::Result<()> {
    let all = entries(&root.join(kept.folder))?;
    let is_kept = |path: &Path| path.extension().is_some_and(|end| kept.extensions.iter().any(|kept| end == *kept));
    for (path, found) in all.iter().filter(|(path, _)| is_kept(path)) {
        let belongs = |other: &Path| {
            let stem = path.as_os_str().as_encoded_bytes();
            other.as_os_str().as_encoded_bytes().strip_prefix(stem).is_some_and(|rest| rest.starts_with(b"-"))
        };
        let beside: Vec<_> = all.iter().filter(|(other, _)| belongs(other)).collect();
        let each = || beside.iter().map(|(_, found)| found).chain([found]);
        items.push(CacheItem {
            kind: CacheKind::Elsewhere(kept),
            name: short(path),
            bytes: each().map(on_disk).sum(),
            used: each().filter_map(modified).max().unwrap_or(SystemTime::UNIX_EPOCH),
            what: What::Index {
                path: path.clone(),
                lock: path.with_extension("lock"),
                beside: beside.iter().map(|(path, _)| path.clone()).collect(),
            },
        });
    }
    Ok(())
}

/// Bytes on the disk below a folder. Links are not followed.
fn below(folder: &Path) -> io::Result<u64> {
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for (path, found) in entries(&folder)? {
            bytes += on_disk(&found);
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(bytes)
}

/// The content of a folder; nothing if there is no folder.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let Some(all) = there(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in all {
        let entry = entry?;
        if let Some(metadata) = there(entry.metadata())? {
            found.push((entry.path(), metadata));
        }
    }
    Ok(found)
}

/// `None` for a missing file.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn on_disk(found: &Metadata) -> u64 {
    // st_blocks counts pieces of 512 bytes on every file system (stat(2)).
    found.blocks() * 512
}

fn modified(found: &Metadata) -> Option<SystemTime> {
    found.modified().ok()
}

/// A file's name; a sha256 is shortened to its first digits.
fn short(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".json").unwrap_or(&name);
    if is_sha256(stem) { stem.chars().take(12).collect() } else { stem.to_owned() }
}
