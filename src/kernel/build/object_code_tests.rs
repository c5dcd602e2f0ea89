use std::fs;
use std::process::Command;

use super::*;

/// Compiles C as the kernel does, in outline.
fn compiled(source: &str) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let (file, object) = (folder.path().join("a.c"), folder.path().join("a.o"));
    fs::write(&file, source).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-mcmodel=kernel", "-fno-pic", "-fno-asynchronous-unwind-tables", "-c", "-o"]);
    let done = gcc.arg(&object).arg(&file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let symbols = compiled_symbols(&fs::read(&object).unwrap()).unwrap();
    symbols.into_iter().map(|symbol| (symbol.name, symbol.id)).collect()
}

const SOURCE: &str = r#"
extern int printk(const char *text, int number);
static int table[4] = {1, 2, 3, 4};
int limit;
#define OWN __attribute__((noinline))
static OWN int helper(int a) { return printk("helper %d", a) + table[a & 3]; }
OWN int first(int a) { if (a > limit) return helper(a); return printk(__func__, a); }
OWN int second(int a) { return helper(a + 1) + first(a); }
int (*const ops[])(int) = { first, second };
"#;

#[test]
fn moved_code_is_the_same_code() {
    let before = compiled(SOURCE);
    for name in ["helper", "first", "second", "table", "limit", "ops", "__func__"] {
        assert!(before.contains_key(name), "{name} is not in {before:?}");
    }
    // Everything moves: code, strings and data.
    let more = "static int own; int more(int a) { own = a; return printk_more(\"more text\", a); }\n";
    let moved = SOURCE
        .replace("static int table", &format!("extern int printk_more(const char *, int);\n{more}static int table"));
    let mut after = compiled(&moved);
    assert!(after.remove("more").is_some());
    after.retain(|name, _| before.contains_key(name));
    assert_eq!(after, before);
    assert_eq!(compiled(&SOURCE.replace("a > limit", "/* why */ limit < a")), before, "other words for the same");
}

#[test]
fn each_change_shows_where_it_is() {
    let before = compiled(SOURCE);
    let cases: [(&str, &str, &[&str]); 7] = [
        ("a > limit", "a >= limit", &["first"]),
        ("helper %d", "helper %u", &["helper"]),
        ("2, 3", "2, 5", &["table"]),
        ("{ first, second }", "{ second, first }", &["ops"]),
        ("helper(a + 1)", "first(a + 1)", &["second"]),
        ("table[a & 3]", "limit", &["helper", "table"]),
        ("return printk(__func__", "return printk(\"first\" + 1", &["first", "__func__"]),
    ];
    for (old, new, expected) in cases {
        let after = compiled(&SOURCE.replace(old, new));
        let names = before.keys().chain(after.keys());
        let mut found: Vec<&str> = names.filter(|n| before.get(*n) != after.get(*n)).map(String::as_str).collect();
        found.sort_unstable();
        found.dedup();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{old} -> {new}");
    }
}

#[test]
fn other_files_and_damaged_objects_have_no_symbols() {
    let folder = tempfile::tempdir().unwrap();
    let (file, object) = (folder.path().join("a.c"), folder.path().join("a.o"));
    fs::write(&file, SOURCE).unwrap();
    assert!(Command::new("gcc").args(["-O2", "-c", "-o"]).arg(&object).arg(&file).status().unwrap().success());
    let whole = fs::read(&object).unwrap();
    assert!(compiled_symbols(&whole).is_some());
    assert_eq!(compiled_symbols(b"whole b\n"), None);
    for at in 0..whole.len() {
        let _ = compiled_symbols(&whole[..at]);
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        let _ = compiled_symbols(&flipped);
    }
}
