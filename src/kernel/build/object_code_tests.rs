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
fn all_loaded_bytes_count_but_lines_of_warnings() {
    let base = r#"
extern int printk(const char *text, int number);
char buffer[64];
__attribute__((noinline)) int use(int a) { return buffer[a]; }
__attribute__((noinline)) int other(int a) { return printk("other", a); }
__attribute__((noinline)) int jump(int a) {
	switch (a) {
	case 0: return printk("a", 1); case 1: return printk("b", 22); case 2: return printk("c", 3);
	case 3: return printk("d", 44); case 4: return printk("e", 5); case 5: return printk("f", 6);
	default: return 7;
	}
}
asm(".section .initcall6.init, \"a\"\n.long use - .\n.previous");
asm(".section .altinstructions, \"a\"\n.long use - .\n.word 17\n.previous");
asm(".section __bug_table, \"a\"\n1: .long use - 1b\n.long name - 1b\n.word 10\n.word 1\n.previous");
asm(".section .rodata.name, \"a\"\nname: .long 1\n.previous");
asm(".text\nunsized: nop\nnop\nret\n");
"#;
    let before = compiled(base);
    for (old, new, expected) in [
        ("buffer[64]", "buffer[128]", Some("buffer")),
        ("nop\\nnop", "nop\\nud2", Some("rest of .text")),
        ("initcall6", "initcall7", Some("rest of .initcall6.init")),
        (".word 17", ".word 18", Some("rest of .altinstructions")),
        (".word 1\\n", ".word 2\\n", Some("rest of __bug_table")),
        (".word 10", ".word 12", None),
        // A table of jumps is the same although the functions before it are larger.
        ("printk(\"other\", a)", "printk(\"other\", a * 7 + printk(\"more\", a))", Some("other")),
        ("\"b\", 22", "\"b\", 23", Some("jump")),
    ] {
        assert!(base.contains(old), "{old}");
        let after = compiled(&base.replace(old, new));
        let differ = |name: &&String| before.get(*name) != after.get(*name);
        let found: Vec<&String> = before.keys().chain(after.keys()).filter(differ).collect();
        match expected {
            Some(name) => assert!(found.iter().any(|found| *found == name), "{old}: {found:?}"),
            None => assert!(found.is_empty(), "{old}: {found:?}"),
        }
        assert!(expected == Some("jump") || !found.iter().any(|found| *found == "jump"), "{old}: {found:?}");
    }
}

#[test]
fn entry_of_a_table_about_code_is_its_function_s() {
    let base = r#"
extern int printk(const char *text, int number);
#define WARN(flags) asm volatile("1: ud2\n" \
	".pushsection __bug_table, \"a\"\n.long 1b - .\n.long name - .\n.word %c0\n.word " flags "\n.popsection" \
	: : "i"(__LINE__))
__attribute__((noinline)) int quiet(int a) { return printk("quiet", a); }
__attribute__((noinline)) int warns(int a) { if (a > 3) WARN("1"); return printk("warns", a); }
__attribute__((noinline)) int other(int a) { if (a > 4) WARN("1"); return printk("other", a); }
asm(".section .rodata.name, \"a\"\nname: .long 1\n.previous");
asm(".section .orc_unwind, \"a\"\n.long 7\n.previous");
"#;
    let before = compiled(base);
    assert!(!before.contains_key("rest of __bug_table"), "{before:?}");
    for (old, new, expected) in [
        // The warnings of all functions move.
        ("(\"quiet\", a)", "(\"quiet\", a * 7 + printk(\"more\", a))", &["quiet"][..]),
        ("a > 3)", "a * a + printk(\"more\", a) > 3)", &["warns"]),
        ("a > 3) WARN(\"1\")", "a > 3) WARN(\"2\")", &["warns"]),
        (".long 7", ".long 8", &[]),
    ] {
        assert!(base.contains(old), "{old}");
        let after = compiled(&base.replace(old, new));
        assert!(after.keys().eq(before.keys()), "{after:?}");
        let found: Vec<&String> = before.keys().filter(|name| before.get(*name) != after.get(*name)).collect();
        assert_eq!(found, expected, "{old}");
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
