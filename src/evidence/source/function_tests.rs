use proptest::prelude::*;

use super::*;

/// Lines and bodies, with normalized white space.
fn found(text: &str) -> Vec<(u32, String)> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    definitions(text, "f").unwrap().into_iter().map(|one| (one.line, plain(&one.body))).collect()
}

#[test]
fn definitions_are_told_from_lookalikes() {
    for (text, expected) in [
        ("int f(int a)\n{ return a; }\n", &[(1, "{ return a; }")][..]),
        ("static inline\nstruct x *f(void (*g)(int),\n int b) __must_hold(lock) __cold\n{ }\n", &[(2, "{ }")]),
        ("int f(int a);\nint x = f(1);\nint ff(int a) { }\nint g(void) { f(2); }\n", &[]),
        (
            "/* int f(void) { } */\n// int f(void) { }\nchar *s = \"f() { }\";\n#define f(x) { }\n#define g \\\n f() { }\n",
            &[],
        ),
        ("int g(void) { if (x) { '{'; \"{\"; /* { */ } }\nint f(void) { '\\''; } int z;\n", &[(2, "{ '\\''; }")]),
        ("#if 0\nint f(void) { 1; }\n#else\nint f(void) { 2; }\n#endif\n", &[(4, "{ 2; }")]),
        ("#if 1 /* yes\n   */\nint f(void) { 1; }\n#elif X\nint f(void) { 2; }\n#endif\n", &[(3, "{ 1; }")]),
        ("int f(void) {\n#if 0\n1;\n# elif X\n2;\n#else\n3;\n#endif\n}\n", &[(1, "{ # if X 2; #else 3; #endif }")]),
        (
            "#if 0\nint f(void) { 1; }\n#elif X\nint f(void) { 2; }\n#else\nint f(void) { 3; }\n#endif\n",
            &[(4, "{ 2; }"), (6, "{ 3; }")],
        ),
        (
            "#if 1\nint f(void) { 1; }\n#elif X\n{\n#else\n{\n#endif\nint f(void) { 2; }\n",
            &[(2, "{ 1; }"), (8, "{ 2; }")],
        ),
        ("#ifdef A\nint f(int a) { 1; }\n#else\nint f(void) { 2; }\n#endif\n", &[(2, "{ 1; }"), (4, "{ 2; }")]),
        ("#ifdef A\nint g(int a) {\n#else\nint g(void) {\n#endif\n}\nint f(void) { }\n", &[(7, "{ }")]),
        ("int f(void)\r\n{\r\n\treturn 1;\r\n}\r\n", &[(1, "{ return 1; }")]),
        ("#endif\n#else\n}}}\nint f(void) { }\n", &[(4, "{ }")]),
        ("f", &[]),
        ("f(", &[]),
        ("int f(int a) b;\nint f(int a) = { };", &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(line, body)| (*line, (*body).to_owned())).collect();
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn line_of_a_body_is_counted_from_the_file_start() {
    let one = definitions("\n\nint f(int a,\n\tint b)\n{\n#if 0\n\tx;\n#endif\n\ty;\n}\n", "f").unwrap().remove(0);
    assert_eq!((one.line, one.body_line), (3, 5));
    assert_eq!(one.body.lines().nth(4), Some("\ty;"));
    assert!(!one.body.contains('x'));
}

#[test]
fn definition_without_an_end_is_an_error() {
    let error = definitions("\nint f(void) { if (x) { }\n", "f").unwrap_err();
    assert_eq!(error, "f() begins on line 2 and has no end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_text_is_searched_without_a_panic(text in "([a-f(){};\"'/*#\n\\\\ é]|#if 0\n|#else\n|#elif\n|#endif\n|f\\(\\)\\{|#ifdef A\n){0,60}") {
        for one in definitions(&text, "f").unwrap_or_default() {
            let ends = (one.body.chars().next(), one.body.chars().last());
            prop_assert_eq!(ends, (Some('{'), Some('}')));
            prop_assert!(one.line <= one.body_line);
        }
    }
}
