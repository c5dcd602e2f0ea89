//! Loaded live patches: the release string of a kernel that has one no longer describes its code.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::read_text;

/// One live patch (Documentation/ABI/testing/sysfs-kernel-livepatch).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Livepatch {
    /// The name of its module.
    pub name: String,
    /// Whether it is enabled; null if that could not be read.
    pub enabled: Option<bool>,
    /// Whether processes are still switching between the old functions and the new ones.
    pub transition: Option<bool>,
    /// The functions that it replaces: `vmlinux:tcp_fragment`.
    pub functions: Vec<String>,
}

impl Livepatch {
    /// Whether it is enabled and replaces this function.
    pub fn replaces(&self, function: &str) -> bool {
        let named = |entry: &String| entry.split_once(':').is_some_and(|(_, name)| name == function);
        self.enabled != Some(false) && self.functions.iter().any(named)
    }
}

/// The most entries of a folder to read: live patches replace a few functions, distributions' rollups hundreds.
const MAX_ENTRIES: usize = 4096;

/// The live patches below a folder, /sys/kernel/livepatch on a live host. Without the folder there are none.
///
/// # Errors
/// If the folder exists and cannot be read.
pub fn read(folder: &Path) -> io::Result<Vec<Livepatch>> {
    match names(folder) {
        Ok(names) => Ok(names.into_iter().map(|name| one(folder, name)).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn one(folder: &Path, name: String) -> Livepatch {
    let folder = folder.join(&name);
    let flag = |file: &str| match read_text(&folder.join(file), 16).ok()?.0.trim() {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    };
    let objects = names(&folder).unwrap_or_default();
    let mut functions: Vec<String> = objects
        .iter()
        .flat_map(|object| {
            let of = |function: String| {
                // `<function>,<sympos>`: the position among symbols of the same name.
                let name = function.rsplit_once(',').map_or(function.as_str(), |(name, _)| name).to_owned();
                format!("{object}:{name}")
            };
            names(&folder.join(object)).unwrap_or_default().into_iter().map(of).collect::<Vec<_>>()
        })
        .take(MAX_ENTRIES)
        .collect();
    functions.sort();
    Livepatch { enabled: flag("enabled"), transition: flag("transition"), name, functions }
}

/// The folders in a folder, in order.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.take(MAX_ENTRIES).flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_patch_is_read_with_its_functions() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(read(&root.path().join("absent")).expect("none"), []);
        let patch = root.path().join("livepatch_1");
        fs::create_dir_all(patch.join("vmlinux/tcp_fragment,1")).expect("made");
        fs::create_dir_all(patch.join("nf_tables/nft_x,1")).expect("made");
        fs::write(patch.join("enabled"), "1\n").expect("written");
        fs::write(patch.join("transition"), "?").expect("written");
        let found = read(root.path()).expect("read");
        let [patch] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((patch.enabled, patch.transition), (Some(true), None));
        assert_eq!(patch.functions, ["nf_tables:nft_x", "vmlinux:tcp_fragment"]);
        assert!(patch.replaces("tcp_fragment") && !patch.replaces("tcp_frag"));
        let off = Livepatch { enabled: Some(false), ..patch.clone() };
        assert!(!off.replaces("tcp_fragment"));
    }
}
