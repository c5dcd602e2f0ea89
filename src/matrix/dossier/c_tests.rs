use proptest::prelude::*;

use super::*;

/// The first statement of a body, without its places.
fn statement(code: &str) -> CNode {
    let body = body(&format!("{{ {code} }}"), 1).unwrap_or_else(|error| panic!("{code}: {error}"));
    body.block.parts.into_iter().next().unwrap_or_else(|| panic!("{code}: no statement"))
}

#[test]
fn spellings_of_one_thing_are_one_tree() {
    for (one, other) in [
        ("return a > b;", "return ((b)) < a;"),
        ("return a >= b;", "return !(a < b);"),
        ("return a == b;", "return !(a != b);"),
        ("return !a;", "return a == NULL;"),
        ("return !a;", "return 0 == a;"),
        ("return 0x20000;", "return 128 * 1024ul;"),
        ("return 1 << 17;", "return 0400000;"),
        ("return -1;", "return (u32)-1;"),
        ("return -1;", "return (unsigned int)-1;"),
        ("return (s32)(a - b) >= c;", "return a - b >= c;"),
        ("return (a) - 1;", "return a - 1;"),
        ("return a & -1 >> 24;", "return (a) & ((__u32) -1 >> 24);"),
        ("return a && b && c;", "return a && (b && c);"),
        ("return a && b;", "return a != NULL && b != 0;"),
        ("return !(a && b == c);", "return !a || b != c;"),
        ("if (unlikely(a > b)) return;", "if (b < a) { /* why */ return; }"),
        ("if (a) x(); else if (b) y();", "if (a != 0) { x(); } else { if (b) { y(); } }"),
        ("return READ_ONCE(sk->a) >> 1;", "return (long)(sk -> a >> 1);"),
        ("WRITE_ONCE(sk->a, 0);", "sk->a = 0;"),
        ("{ { f(a, b); } }", "f(a,\n\n  b);"),
        ("int n = f(x);", "const struct q *n = f(x);"),
    ] {
        let (left, right) = (statement(one), statement(other));
        assert!(left.same(&right), "{one} and {other}:\n{left:#?}\n{right:#?}");
    }
}

#[test]
fn different_meanings_give_different_trees() {
    for (one, other) in [
        ("return a > b;", "return a < b;"),
        ("return a > b;", "return a >= b;"),
        ("return a - b;", "return b - a;"),
        ("return a && b;", "return a || b;"),
        ("return a->b;", "return a.b;"),
        ("return 10;", "return 010;"),
        ("a = 0;", "a |= 0;"),
        ("return !a;", "return ~a;"),
        ("return a++;", "return a--;"),
        ("return \"a\";", "return \"b\";"),
        ("if (a) b();", "if (a) b(); else c();"),
    ] {
        assert!(!statement(one).same(&statement(other)), "{one} and {other}");
    }
}

#[test]
fn locals_and_lines_are_known() {
    let body =
        body("{\n\tint a = 1, *b;\n\tlong c[2];\n#ifdef X\n\tu32 d;\n#endif\n\tif (a)\n\t\treturn;\n}", 10).unwrap();
    assert_eq!(body.locals, ["a", "b", "c", "d"]);
    let lines: Vec<_> = body.block.parts.iter().map(|node| node.lines.to_string()).collect();
    assert_eq!(lines, ["11", "13-15", "16-17"]);
}

#[test]
fn code_that_cannot_be_read_names_its_line() {
    let deep = format!("{{\nreturn {}1{};\n}}", "(".repeat(5000), ")".repeat(5000));
    let large = format!("{{{}}}", " ".repeat(MAX_BYTES));
    for (code, line, why) in [
        ("{\n\n\tfor_all(x) what { is this }\n}", 7, "does not understand"),
        ("{", 5, "does not understand"),
        (deep.as_str(), 6, "nested more deeply"),
        (large.as_str(), 5, "larger"),
    ] {
        let error = body(code, 5).map(|_| ()).unwrap_err();
        assert!(error.line == line && error.why.contains(why), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z0-9(){};=&|!<>+*#\"'$. \n-]{0,80}") {
        let _ = body(&format!("{{{text}}}"), 1);
        let _ = body(&text, u32::MAX);
    }
}
