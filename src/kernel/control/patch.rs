//! Applies a control's patch in memory. Lines may have moved, but every line must match.

use std::path::{Component, Path, PathBuf};

use diffy::patch_set::{FileOperation, ParseOptions, PatchKind, PatchSet};

/// The reason that a patch does not fit: the file, and the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}")]
pub(super) struct Misfit {
    pub file: String,
    pub why: String,
}

/// The files that `patch` changes, with their new content. `read` gives the content of a file of the stock tree.
///
/// # Errors
/// [`Misfit`] if a file is missing or differs, or if the patch adds, removes or moves files.
pub(super) fn apply(
    patch: &str,
    mut read: impl FnMut(&Path) -> Result<Vec<u8>, String>,
) -> Result<Vec<(PathBuf, Vec<u8>)>, Misfit> {
    let misfit = |file: &str, why: String| Misfit { file: file.to_owned(), why };
    let mut changed: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for part in PatchSet::parse_bytes(patch.as_bytes(), ParseOptions::unidiff()) {
        let part = part.map_err(|error| misfit("the patch", error.to_string()))?;
        let operation = part.operation().strip_prefix(1);
        let FileOperation::Modify { original, modified } = &operation else {
            return Err(misfit("the patch", "it adds, removes or moves a file, expected changes only".to_owned()));
        };
        let name = String::from_utf8_lossy(modified.as_ref()).into_owned();
        let path = PathBuf::from(&name);
        if original != modified || !path.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(misfit(&name, "expected one file inside the tree".to_owned()));
        }
        let PatchKind::Text(hunks) = part.patch() else {
            return Err(misfit(&name, "a binary patch, expected text".to_owned()));
        };
        if changed.iter().any(|(known, _)| *known == path) {
            return Err(misfit(&name, "it is patched twice".to_owned()));
        }
        let before = read(&path).map_err(|why| misfit(&name, why))?;
        let after = diffy::apply_bytes(&before, hunks).map_err(|error| misfit(&name, error.to_string()))?;
        changed.push((path, after));
    }
    if changed.is_empty() { Err(misfit("the patch", "it changes nothing".to_owned())) } else { Ok(changed) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATCH: &str =
        "Says why.\n\n--- a/net/x.c\n+++ b/net/x.c\n@@ -2,3 +2,4 @@\n two\n+two and a half\n three\n four\n";

    fn applied(patch: &str, before: &str) -> Result<String, String> {
        let changed = apply(patch, |path| {
            assert_eq!(path, Path::new("net/x.c"));
            Ok(before.as_bytes().to_vec())
        });
        let changed = changed.map_err(|misfit| misfit.to_string())?;
        Ok(changed.into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect())
    }

    #[test]
    fn patch_fits_moved_lines_but_no_changed_ones() {
        let after = "one\ntwo\ntwo and a half\nthree\nfour\n";
        assert_eq!(applied(PATCH, "one\ntwo\nthree\nfour\n").as_deref(), Ok(after));
        let moved = "new\n".repeat(50);
        let expected = format!("{moved}{after}");
        assert_eq!(applied(PATCH, &format!("{moved}one\ntwo\nthree\nfour\n")), Ok(expected));
        for other in ["one\ntwo\n three\nfour\n", "one\ntwo\nthree\nfive\n", "", "one\ntwo\nthree\n"] {
            let said = applied(PATCH, other);
            assert!(matches!(&said, Err(why) if why.starts_with("net/x.c: ")), "{other:?}: {said:?}");
        }
    }

    #[test]
    fn patch_changes_only_files_inside_the_tree() {
        for (patch, why) in [
            (PATCH.replace("net/x.c", "../x.c"), "expected one file inside the tree"),
            (PATCH.replace("+++ b/net/x.c", "+++ b/net/y.c"), ""),
            (PATCH.replace("--- a/net/x.c", "--- /dev/null"), ""),
            ("Nothing but words.\n".to_owned(), ""),
        ] {
            let said = apply(&patch, |_| Ok(b"one\ntwo\nthree\nfour\n".to_vec()));
            assert!(matches!(&said, Err(misfit) if misfit.to_string().contains(why)), "{patch}: {said:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_text_makes_the_reader_panic(
            text in "(--- a/x\\n|\\+\\+\\+ b/x\\n|@@ -[0-9]{1,20},?[0-9]{0,3} \\+1 @@\\n|[ +-]a\\n|\\PC|\\n){0,20}",
        ) {
            let _ = apply(&text, |_| Ok(b"a\na\n".to_vec()));
        }

        #[test]
        fn patch_changes_only_the_lines_that_it_names(
            before in "(a\\n|b\\n|c\\n){3,20}", after in "(a\\n|b\\n|c\\n){3,20}",
        ) {
            prop_assume!(before != after);
            let made = diffy::create_patch(&before, &after).to_string();
            let made = made.replace("--- original", "--- a/net/x.c").replace("+++ modified", "+++ b/net/x.c");
            prop_assert_eq!(applied(&made, &before), Ok(after));
        }
    }
}
