//! Applies a control's patch in memory: it may only change files.

use std::path::{Path, PathBuf};

use crate::kernel::build::{Direction, Misfit, Patched};

/// The files that `patch` changes, with their new content. `read` gives the content of a file of the stock tree.
///
/// # Errors
/// [`Misfit`] if a file is missing or differs, or if the patch adds, removes or moves files.
pub(super) fn apply(
    patch: &str,
    mut read: impl FnMut(&Path) -> Result<Vec<u8>, String>,
) -> Result<Vec<(PathBuf, Vec<u8>)>, Misfit> {
    let mut patched = Patched::default();
    patched.apply(patch.as_bytes(), Direction::Forward, |path| read(Path::new(path)).map(Some))?;
    let text = |(path, now): (String, Option<Vec<u8>>)| {
        let moved = || "it is added, removed or moved, expected a change only".to_owned();
        let text = now.ok_or_else(|| Misfit { file: path.clone(), why: moved() })?;
        Ok((PathBuf::from(path), text))
    };
    patched.into_files().map(text).collect()
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
    fn patch_only_changes_files_inside_the_tree() {
        for (patch, why) in [
            (PATCH.replace("net/x.c", "../x.c"), "expected a file inside the tree"),
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
