use proptest::prelude::*;

use super::*;

const MAIL: &str = "From 0123 Mon Sep 17 00:00:00 2001
From: A <a@example.org>
Subject: [PATCH] net: all kinds of changes

Says why.
---
 net/x.c | 1 +

diff --git a/net/x.c b/net/x.c
index 1..2 100644
--- a/net/x.c
+++ b/net/x.c
@@ -1,3 +1,4 @@
 one
 two
+two and a half
 three
diff --git a/net/new.c b/net/new.c
new file mode 100755
index 0..1
--- /dev/null
+++ b/net/new.c
@@ -0,0 +1 @@
+new
diff --git a/net/gone.c b/net/gone.c
deleted file mode 100644
index 1..0
--- a/net/gone.c
+++ /dev/null
@@ -1 +0,0 @@
-gone
diff --git a/net/old-name.c b/net/new-name.c
similarity index 100%
rename from net/old-name.c
rename to net/new-name.c
-- 
2.39.2
";

fn tree(path: &str) -> Result<Option<Vec<u8>>, String> {
    Ok(match path {
        "net/x.c" => Some(b"one\ntwo\nthree\n".to_vec()),
        "net/gone.c" => Some(b"gone\n".to_vec()),
        "net/old-name.c" => Some(b"moved\n".to_vec()),
        _ => None,
    })
}

fn applied(patches: &[(&str, Direction)]) -> Result<Patched, Misfit> {
    let mut patched = Patched::default();
    for (patch, direction) in patches {
        patched.apply(patch.as_bytes(), *direction, tree)?;
    }
    Ok(patched)
}

fn text(patched: &Patched, path: &str) -> Option<String> {
    patched.files.get(path).cloned().flatten().map(|text| String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn mail_that_adds_removes_and_moves_files_is_applied() {
    let mail = MAIL;
    let patched = applied(&[(mail, Direction::Forward)]).unwrap();
    assert_eq!(text(&patched, "net/x.c").as_deref(), Some("one\ntwo\ntwo and a half\nthree\n"));
    assert_eq!(text(&patched, "net/new.c").as_deref(), Some("new\n"));
    assert_eq!(text(&patched, "net/new-name.c").as_deref(), Some("moved\n"));
    assert_eq!((patched.files.get("net/gone.c"), patched.files.get("net/old-name.c")), (Some(&None), Some(&None)));
    let file = |path: &str| patched.files().find(|file| file.path == path).expect("a file");
    assert_eq!(file("net/new.c").executable, Some(true));
    assert_eq!(file("net/new-name.c").origin, "net/old-name.c");
    // Taken out again, everything is as it was.
    let back = applied(&[(mail, Direction::Forward), (mail, Direction::Reverse)]).unwrap();
    for path in ["net/x.c", "net/gone.c", "net/old-name.c", "net/new.c", "net/new-name.c"] {
        assert_eq!(back.files.get(path).cloned().flatten(), tree(path).unwrap(), "{path}");
    }
}

#[test]
fn patches_of_a_series_build_on_each_other() {
    let first = "--- a/net/x.c\n+++ b/net/x.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";
    let second = "--- a/net/x.c\n+++ b/net/x.c\n@@ -1,3 +1,3 @@\n one\n-2\n+zwei\n three\n";
    let patched = applied(&[(first, Direction::Forward), (second, Direction::Forward)]).unwrap();
    assert_eq!(text(&patched, "net/x.c").as_deref(), Some("one\nzwei\nthree\n"));
    assert!(applied(&[(second, Direction::Forward)]).is_err());
}

#[test]
fn misfit_names_file_hunk_and_a_change_that_is_there() {
    let change = "--- a/net/x.c\n+++ b/net/x.c\n@@ -1,3 +1,3 @@\n one\n-zwei\n+two\n three\n";
    let twice = "--- a/net/x.c\n+++ b/net/x.c\n@@ -1 +1 @@\n-one\n+1\n@@ -3 +3 @@\n-drei\n+3\n";
    let create = "--- /dev/null\n+++ b/net/x.c\n@@ -0,0 +1,3 @@\n+one\n+two\n+three\n";
    let missing = "--- a/net/z.c\n+++ b/net/z.c\n@@ -1 +1 @@\n-a\n+b\n";
    for (patch, direction, said) in [
        (change, Direction::Forward, "net/x.c: hunk #1 does not match; it has this change already"),
        (twice, Direction::Forward, "net/x.c: hunk #2 does not match"),
        (twice, Direction::Reverse, "net/x.c: hunk #1 does not match"),
        (create, Direction::Forward, "net/x.c: it has this change already"),
        (missing, Direction::Forward, "net/z.c: there is no such file"),
        ("--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-a\n+b\n", Direction::Forward, "../x: expected a file inside the tree"),
        ("--- a//x\n+++ b//x\n@@ -1 +1 @@\n-a\n+b\n", Direction::Forward, "/x: expected a file inside the tree"),
        ("only words\n", Direction::Forward, "the patch: expected a unified diff"),
    ] {
        let misfit = applied(&[(patch, direction)]).unwrap_err();
        assert_eq!(misfit.to_string(), said, "{patch}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_text_makes_the_reader_panic(
        text in "(diff --git a/x b/x\\n|new file mode 100644\\n|rename (from|to) x\\n|--- (a/x|/dev/null)\\n|\\+\\+\\+ (b/x|/dev/null)\\n|@@ -[0-9]{1,20},?[0-9]{0,3} \\+1 @@\\n|[ +-]a\\n|\\PC|\\n){0,20}",
    ) {
        for direction in [Direction::Forward, Direction::Reverse] {
            let _ = Patched::default().apply(text.as_bytes(), direction, |_| Ok(Some(b"a\na\n".to_vec())));
        }
    }

    #[test]
    fn patch_and_its_reverse_cancel_out(before in "(a\\n|b\\n|c\\n){1,20}", after in "(a\\n|b\\n|c\\n){1,20}") {
        prop_assume!(before != after);
        let made = diffy::create_patch(&before, &after).to_string();
        let made = made.replace("--- original", "--- a/x").replace("+++ modified", "+++ b/x");
        let mut patched = Patched::default();
        let read = |_: &str| Ok(Some(before.clone().into_bytes()));
        patched.apply(made.as_bytes(), Direction::Forward, read).unwrap();
        prop_assert_eq!(text(&patched, "x"), Some(after));
        patched.apply(made.as_bytes(), Direction::Reverse, read).unwrap();
        prop_assert_eq!(text(&patched, "x"), Some(before));
    }
}
