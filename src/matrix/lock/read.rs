//! Reads a lock file.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;

use super::{Lock, Locked, LockedFile};
use crate::matrix::fields;
use crate::matrix::file::{self, FileShape};
use crate::matrix::problems::{Collector, Problems};
use crate::matrix::tree::{Value, YamlNode};
use crate::words::KernelName;

/// The only version of the format.
pub(super) const VERSION: &str = "1";

const KEYS: [&str; 2] = ["version", "kernels"];
const KERNEL_KEYS: [&str; 5] = ["name", "source", "locked", "release", "files"];
const FILE_KEYS: [&str; 5] = ["name", "version", "sha256", "size", "addresses"];

/// The longest word: an address, a file's name.
const WORD_MAX: usize = 2000;

pub(super) fn read(text: &[u8], path: &Path) -> Result<Lock, Problems> {
    let expected = FileShape { file: "the lock of a matrix", root: "a mapping with `kernels`" };
    file::read(text, path, expected, |root, problems| problems.lock(root))
}

impl Collector<'_> {
    fn lock(&mut self, root: &YamlNode) -> Option<Lock> {
        let fields = self.mapping(root, "a mapping with `kernels`", &KEYS)?;
        let version = self.needed(&fields, "version", root)?;
        self.value(version, "version", |text| {
            let other = || format!("expected {VERSION}: another release of backproof wrote this file");
            if text == VERSION { Ok(()) } else { Err(other()) }
        })?;
        let kernels = self.needed(&fields, "kernels", root)?;
        let mut lock = Lock::default();
        // The lock of a matrix with only build trees is empty.
        let Value::List(items) = &kernels.value else {
            self.wrong_type(kernels, "a list of kernels");
            return None;
        };
        let mut named: HashMap<KernelName, Range<usize>> = HashMap::new();
        for item in items {
            let Some((name, at, locked)) = self.locked(item) else { continue };
            if let Some(first) = named.get(&name) {
                let note = || Some((first.clone(), "first given here".to_owned()));
                self.add_with(&at, || format!("the kernel `{name}` is locked twice"), note);
                continue;
            }
            named.insert(name.clone(), at);
            lock.kernels.insert(name, locked);
        }
        Some(lock)
    }

    fn locked(&mut self, node: &YamlNode) -> Option<(KernelName, Range<usize>, Locked)> {
        let fields = self.mapping(node, "a mapping that describes a locked kernel", &KERNEL_KEYS)?;
        let name_node = self.needed(&fields, "name", node);
        let name = name_node.and_then(|node| self.name::<KernelName>(node, "a kernel's name"));
        let source = self.needed(&fields, "source", node).and_then(|node| self.value(node, "source", fields::line));
        let when = self.needed(&fields, "locked", node).and_then(|node| self.value(node, "time", time));
        let release = fields.get("release").map(|node| self.value(node, "release", word));
        let files = self.needed(&fields, "files", node);
        let files = files.and_then(|node| self.each(node, "files", |node, problems| problems.locked_file(node)));
        // All values are checked, even if one is wrong.
        let release = release.map_or(Some(None), |release| release.map(Some));
        let locked = Locked { source: source?, when: when?, release: release?, files: files? };
        Some((name?, name_node?.span.clone(), locked))
    }

    fn locked_file(&mut self, node: &YamlNode) -> Option<LockedFile> {
        let fields = self.mapping(node, "a mapping that describes a file", &FILE_KEYS)?;
        let name = self.needed(&fields, "name", node).and_then(|node| self.value(node, "name", fields::line));
        let version = fields.get("version").map(|node| self.value(node, "version", word));
        let sha256 = self.needed(&fields, "sha256", node).and_then(|node| self.value(node, "sha256", sha256));
        let size = fields.get("size").map_or(Some(0), |node| self.value(node, "size", size));
        let addresses = fields
            .get("addresses")
            .map(|node| self.each(node, "addresses", |node, problems| problems.value(node, "address", address)));
        let version = version.map_or(Some(None), |version| version.map(Some))?;
        let addresses = addresses.unwrap_or_else(|| Some(Vec::new()))?;
        Some(LockedFile { name: name?, version, sha256: sha256?, size: size?, addresses })
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_str(text).map_err(|_| "expected a time, as in 2026-11-25T21:00:00Z".to_owned())
}

fn word(text: &str) -> Result<String, String> {
    let good = (1..=WORD_MAX).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    if good { Ok(text.to_owned()) } else { Err("expected one word of ASCII letters, digits and signs".to_owned()) }
}

fn sha256(text: &str) -> Result<String, String> {
    let good = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if good { Ok(text.to_owned()) } else { Err("expected 64 hexadecimal digits in lower case".to_owned()) }
}

fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| "expected a number of bytes".to_owned())
}

/// An address that apt or backproof can fetch from.
fn address(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let named = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let good = named && word(text).is_ok() && !text.contains(['"', '\\']);
    if good { Ok(text.to_owned()) } else { Err("expected an address, as in https://example.org/linux.deb".to_owned()) }
}
