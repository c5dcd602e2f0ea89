//! Finds patches of a packaging tree that are not applied yet: its files differ from the built ones.

use super::files::SourceFiles;

/// Where a series is, and the folder that it names patches in (quilt(1)).
const SERIES: [(&str, &str); 3] =
    [("debian/patches/series", "debian/patches"), ("patches/series", "patches"), ("series", "patches")];

/// The patches that quilt has applied.
const APPLIED: &str = ".pc/applied-patches";

/// The most patches of a series that are looked at. Debian's kernels have had some 500.
const MOST: usize = 5_000;

/// The reason why these files differ from the built ones: a patch that is not applied. None if there is no such patch.
pub(super) fn unapplied(files: &(impl SourceFiles + ?Sized), changed: &[&str]) -> Option<String> {
    let text = |path: &str| {
        let bytes = files.read(path).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut applied = None;
    for (series, folder) in SERIES {
        let Some(list) = text(series) else { continue };
        let applied = applied.get_or_insert_with(|| text(APPLIED).unwrap_or_default());
        // A line is a patch, perhaps its options, and a comment.
        let names =
            list.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| !name.starts_with('#'));
        for name in names.take(MOST) {
            if applied.lines().any(|line| line.trim() == name) {
                continue;
            }
            let path = format!("{folder}/{name}");
            let Some(patch) = text(&path) else { continue };
            for file in changed {
                let added = added(&patch, file);
                let is_there = |text: &str| added.iter().all(|line| text.lines().any(|there| there.trim() == *line));
                if !added.is_empty() && !text(file).is_some_and(|text| is_there(&text)) {
                    return Some(format!(
                        "{path}, which changes {file}, is not applied, so the file is not what is built: apply the series \
                         (`quilt push -a`, or `dpkg-source --before-build .`) and ask again"
                    ));
                }
            }
        }
    }
    None
}

/// The lines that a patch adds to a file, without the white space around them.
fn added<'p>(patch: &'p str, file: &str) -> Vec<&'p str> {
    let mut here = false;
    let mut lines = Vec::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("+++ ") {
            let path = path.split('\t').next().unwrap_or(path).trim();
            here = path.split_once('/').is_some_and(|(_, path)| path == file);
        } else if line.starts_with("diff ") || line.starts_with("--- ") {
            here = false;
        } else if let Some(line) = line.strip_prefix('+').map(str::trim).filter(|line| here && !line.is_empty()) {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const FILE: &str = "net/ipv4/tcp_output.c";
    const PATCH: &str =
        "Subject: x\n\n--- a/net/ipv4/tcp_output.c\n+++ b/net/ipv4/tcp_output.c\n@@ -1 +1,2 @@\n a\n+\tlimit = 1;\n";

    fn said(files: &[(&str, &str)]) -> Option<String> {
        let read = |path: &str| -> io::Result<Option<Vec<u8>>> {
            Ok(files.iter().find(|(name, _)| *name == path).map(|(_, text)| text.as_bytes().to_vec()))
        };
        unapplied(&read, &[FILE])
    }

    #[test]
    fn a_patch_of_a_file_that_lies_there_unapplied_is_named() {
        let series = ("debian/patches/series", "bugfix/x.patch -p1 # why\n");
        let patch = ("debian/patches/bugfix/x.patch", PATCH);
        let (plain, patched) = ((FILE, "a\n"), (FILE, "a\n  limit = 1;\n"));
        let why = said(&[series, patch, plain]).expect("not applied");
        assert!(why.contains("debian/patches/bugfix/x.patch, which changes net/ipv4/tcp_output.c"), "{why}");
        assert!(said(&[("series", "x.patch\n"), ("patches/x.patch", PATCH), plain]).is_some());
        for files in [
            &[series, patch, patched][..],
            &[series, patch, plain, (APPLIED, "bugfix/x.patch\n")],
            &[series, plain],
            &[("debian/patches/series", "# bugfix/x.patch\n"), patch, plain],
            &[series, (patch.0, "--- a/net/other.c\n+++ b/net/other.c\n+\tlimit = 1;\n"), plain],
            &[plain],
        ] {
            assert_eq!(said(files), None, "{files:?}");
        }
    }
}
