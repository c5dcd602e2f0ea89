//! Finds patches that packaging may apply before a build, so that the built files differ from the tree's.

use std::collections::{BTreeSet, HashSet};
use std::io;

use super::files::SourceFiles;
use super::patches::{APPLIED, PACKED, SERIES};

/// The most patches to look at. Debian's kernels have had some 500.
const MOST: usize = 5_000;

/// Lines with fewer letters and digits than this are too common to tell anything.
const TELLING: usize = 16;

/// A patch in a tree.
struct LyingPatch {
    path: String,
    /// Whether a series names it without an option that reverses it.
    is_plain: bool,
    /// Whether a series names it at all.
    is_named: bool,
}

/// The reason that these files may differ from the built ones: a patch that is not applied, or may not be. None if there
/// is no such patch.
pub(super) fn unapplied(files: &(impl SourceFiles + ?Sized), changed: &[&str]) -> Option<String> {
    let text = |path: &str| -> io::Result<Option<String>> {
        Ok(files.read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let there: Vec<(&str, String)> =
        changed.iter().filter_map(|file| Some((*file, text(file).ok().flatten()?))).collect();
    if there.is_empty() {
        return None;
    }
    let sources: Vec<(&str, HashSet<&str>)> =
        there.iter().map(|(file, text)| (*file, text.lines().map(str::trim).collect())).collect();
    let what = "and patches may change this source before it is built";
    let patches = match lying(files, &text) {
        Ok(patches) => patches,
        Err(why) => return Some(format!("{why}, {what}")),
    };
    if patches.len() > MOST {
        return Some(format!("there are {} patches, {what}", patches.len()));
    }
    for LyingPatch { path, is_plain, is_named } in patches {
        let readable = text(&path).ok().flatten().filter(|_| !PACKED.iter().any(|end| path.ends_with(end)));
        let Some(patch) = readable else {
            // A series may name a patch that is missing.
            if is_named {
                continue;
            }
            return Some(format!("{path} cannot be read, {what}"));
        };
        for (file, source) in &sources {
            let Some(lines) = PatchLines::of(&patch, file) else { continue };
            let is_in = (is_plain || !is_named) && lines.are_in(source);
            if !is_in && is_plain {
                return Some(format!(
                    "{path}, which changes {file}, is not applied, so the built file differs: apply the series \
                     (`quilt push -a`, or `dpkg-source --before-build .`) and ask again"
                ));
            }
            if !is_in {
                return Some(format!(
                    "{path} may change {file} before it is built: prepare the source as the packaging does, and ask again"
                ));
            }
        }
    }
    None
}

/// The patches in a tree that quilt has not applied.
fn lying(
    files: &(impl SourceFiles + ?Sized),
    text: &dyn Fn(&str) -> io::Result<Option<String>>,
) -> Result<Vec<LyingPatch>, String> {
    let (mut found, mut seen, mut listed) = (Vec::new(), BTreeSet::new(), Vec::new());
    for (series, folder) in SERIES {
        let list = text(series).map_err(|error| format!("{series} cannot be read ({error})"))?;
        let Some(list) = list else { continue };
        let applied = text(APPLIED).ok().flatten().unwrap_or_default();
        // A series names all used patches in its folder. SUSE's folders are called `patches.suse` and so on.
        listed.push(if folder.is_empty() { "patches." } else { folder });
        for line in list.lines() {
            // A line has optional guards, a patch, optional options, and an optional comment.
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace().skip_while(|word| word.starts_with(['+', '-']));
            let Some(name) = words.next() else { continue };
            let path = format!("{folder}{name}");
            let is_plain = level(words).is_some();
            seen.insert(path.clone());
            if !applied.lines().any(|line| line.trim() == name) {
                found.push(LyingPatch { path, is_plain, is_named: true });
            }
        }
    }
    let all = files.patches().map_err(|error| format!("the tree cannot be searched for patches ({error})"))?;
    let others = all.into_iter().filter(|path| !seen.contains(path) && !listed.iter().any(|by| path.starts_with(by)));
    found.extend(others.map(|path| LyingPatch { path, is_plain: false, is_named: false }));
    Ok(found)
}

/// The number of folders to strip from a patch's paths, by the options after its name in a series: `-p2`, `-p 2`, `-pab`.
/// None if another option may change the result (`-R`).
pub(in crate::evidence) fn level<'w>(mut options: impl Iterator<Item = &'w str>) -> Option<usize> {
    let mut level = 1;
    while let Some(word) = options.next() {
        level = match word.strip_prefix("-p")? {
            "" => level_of(options.next()?)?,
            "ab" => 1,
            number => level_of(number)?,
        };
    }
    Some(level)
}

/// No path has more folders than this type can count.
fn level_of(number: &str) -> Option<usize> {
    number.parse::<u8>().ok().map(usize::from)
}

/// A patch's changes to one file. Lines are trimmed.
#[derive(Default)]
struct PatchLines<'p> {
    added: Vec<&'p str>,
    removed: Vec<&'p str>,
    context: HashSet<&'p str>,
}

impl<'p> PatchLines<'p> {
    /// None if it does not change the file.
    fn of(patch: &'p str, file: &str) -> Option<Self> {
        // Any strip level is accepted.
        let is_it = |path: &str| {
            let path = path.split('\t').next().unwrap_or(path).trim();
            path.strip_suffix(file).is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        let (mut here, mut changes, mut lines) = (false, false, Self::default());
        for line in patch.lines() {
            if let Some(path) = line.strip_prefix("--- ") {
                here = is_it(path);
            } else if let Some(path) = line.strip_prefix("+++ ").or_else(|| line.strip_prefix("rename from ")) {
                here |= is_it(path);
            } else if line.starts_with("diff ") {
                here = false;
            } else if here {
                match line.split_at_checked(1) {
                    Some(("+", line)) => lines.added.extend(Some(line.trim()).filter(|line| !line.is_empty())),
                    Some(("-", line)) => lines.removed.extend(Some(line.trim()).filter(|line| !line.is_empty())),
                    Some((" ", line)) => lines.context.extend([line.trim()]),
                    _ => {}
                }
            }
            changes |= here;
        }
        changes.then_some(lines)
    }

    /// Whether a file has the patch's changes. If its lines don't tell, the answer is no.
    fn are_in(&self, source: &HashSet<&str>) -> bool {
        let telling = |line: &&&str| line.bytes().filter(u8::is_ascii_alphanumeric).count() >= TELLING;
        let stays = |line: &&&str| self.added.contains(*line) || self.context.contains(**line);
        let mut gone = self.removed.iter().filter(telling).filter(|line| !stays(line)).peekable();
        (gone.peek().is_some() || self.added.iter().any(|line| telling(&line)))
            && self.added.iter().all(|line| source.contains(line))
            && gone.all(|line| !source.contains(line))
    }
}

#[cfg(test)]
mod tests {
    use super::super::patches::{is_packaging, is_patch};
    use super::*;

    const FILE: &str = "net/ipv4/tcp_output.c";
    const PATCH: &str = "Subject: x\n\n--- a/net/ipv4/tcp_output.c\n+++ b/net/ipv4/tcp_output.c\n@@ -1 +1,2 @@\n a\n+\tlimit = sk->sk_sndbuf + 2048;\n";

    fn said(files: &[(&str, &str)]) -> Option<String> {
        let read = |path: &str| -> io::Result<Option<Vec<u8>>> {
            Ok(files.iter().find(|(name, _)| *name == path).map(|(_, text)| text.as_bytes().to_vec()))
        };
        unapplied(&read, &[FILE])
    }

    #[test]
    fn unapplied_patch_of_a_file_is_named() {
        let series = ("debian/patches/series", "bugfix/x.patch -p1 # why\n");
        let patch = ("debian/patches/bugfix/x.patch", PATCH);
        let (plain, patched) = ((FILE, "a\n"), (FILE, "a\n  limit = sk->sk_sndbuf + 2048;\n"));
        let why = said(&[series, patch, plain]).expect("not applied");
        assert!(why.contains("debian/patches/bugfix/x.patch, which changes net/ipv4/tcp_output.c"), "{why}");
        assert!(said(&[("series", "x.patch\n"), ("patches/x.patch", PATCH), plain]).is_some());
        for files in [
            &[series, patch, patched][..],
            &[series, patch, plain, (APPLIED, "bugfix/x.patch\n")],
            &[series, plain],
            &[("debian/patches/series", "# bugfix/x.patch\n"), patch, plain],
            &[series, (patch.0, "--- a/net/other.c\n+++ b/net/other.c\n+\tlimit = sk->sk_sndbuf + 2048;\n"), plain],
            &[plain],
        ] {
            assert_eq!(said(files), None, "{files:?}");
        }
    }
    /// A tree of these files that lists its patches.
    struct Listed<'a>(&'a [(&'a str, &'a str)]);

    impl SourceFiles for Listed<'_> {
        fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
            Ok(self.0.iter().find(|(name, _)| *name == path).map(|(_, text)| text.as_bytes().to_vec()))
        }

        fn patches(&self) -> io::Result<Vec<String>> {
            Ok(self
                .0
                .iter()
                .map(|(path, _)| (*path).to_owned())
                .filter(|path| is_packaging(path) && is_patch(path))
                .collect())
        }
    }

    #[test]
    fn patch_that_packaging_may_apply_leaves_the_source_open() {
        let (plain, patched) = ((FILE, "a\n"), (FILE, "a\n  limit = sk->sk_sndbuf + 2048;\n"));
        let back = PATCH.replace("\n+\t", "\n-\t");
        let bare = PATCH.replace("a/net", "net").replace("b/net", "net");
        let (suse, debian) = ("series.conf", "debian/patches/series");
        for files in [
            &[("patches/x.patch", PATCH), plain][..],
            &[("patches/x.patch", &back), patched],
            &[("x.diff", &bare), plain],
            &[("PKGBUILD", "source=(x.patch)"), ("x.patch", PATCH), plain],
            &[("kernel.spec", "Patch1: x.patch"), ("x.patch.xz", "\u{1}"), plain],
            &[(suse, "\tpatches.suse/x # y\n"), ("patches.suse/x", PATCH), plain],
            &[(suse, "+rt patches.suse/x\n"), ("patches.suse/x", PATCH), plain],
            &[(debian, "x.patch -R\n"), ("debian/patches/x.patch", PATCH), patched],
            &[(debian, "x.patch\n"), ("debian/patches/x.patch", &back), patched],
            &[(debian, "\n"), ("debian/patches-rt/x.patch", PATCH), plain],
        ] {
            assert!(unapplied(&Listed(files), &[FILE]).is_some(), "{files:?}");
        }
        for files in [
            &[("patches/x.patch", PATCH), patched][..],
            &[("patches/x.patch", &back), plain],
            &[("net/x.patch", PATCH), plain],
            &[(debian, "\n"), ("debian/patches/x.patch", PATCH), plain],
            &[("x.patch", "--- a/net/other.c\n+++ b/net/other.c\n+x\n"), plain],
        ] {
            assert_eq!(unapplied(&Listed(files), &[FILE]), None, "{files:?}");
        }
    }

    #[test]
    fn folder_lists_the_patches_outside_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["net/a.patch", "debian/patches/b", "patches/c.patch.gz", ".git/d.patch", "e.diff", "f.c"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let files = super::super::SourceFolder::open(folder.path()).unwrap();
        assert_eq!(files.patches().unwrap(), ["debian/patches/b", "e.diff", "patches/c.patch.gz"]);
    }
}
