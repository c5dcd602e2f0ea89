use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::function::Macros;
use super::*;
use crate::matrix::c;

/// The number of matches, and how many of them have no doubt.
fn hits(pattern: &str, code: &str) -> (usize, usize) {
    let pattern: SourcePattern = pattern.parse().unwrap_or_else(|error| panic!("{error}"));
    let body = c::body(&format!("{{{code}}}"), 1).unwrap_or_else(|error| panic!("{code}: {error}"));
    let none = Macros::default();
    let subject = SearchedBody::new(&body, &none);
    let hits = subject.hits(&pattern, &Bindings::default());
    assert!(!subject.is_exhausted());
    let places = |hits: &mut dyn Iterator<Item = &Hit>| {
        hits.map(|hit| std::ptr::from_ref(hit.node)).collect::<BTreeSet<_>>().len()
    };
    (places(&mut hits.iter()), places(&mut hits.iter().filter(|hit| hit.doubt.is_none())))
}

#[test]
fn patterns_match_only_what_they_say() {
    for (pattern, code, expected) in [
        // A name matches the same text each time.
        ("$A + $A", "x = a->b + a -> b;", (1, 1)),
        ("$A + $A", "x = a + b;", (0, 0)),
        ("f($A, $...)", "f(a); f(a, b, c); f(); g(a);", (2, 2)),
        ("f($A)", "f(a, b);", (0, 0)),
        // Operands match in any order. Extra operands match only if the pattern says so.
        ("a && $B > 1", "if (1 < c && a) ;", (1, 1)),
        ("a && b", "if (a && c && b) ;", (0, 0)),
        ("a && b && $...", "if (c && b && d && a) ;", (1, 1)),
        ("a && b && $...", "if (a && b) ;", (1, 1)),
        ("a - b", "x = b - a;", (0, 0)),
        ("f($ONE_OF(A, 7))", "f(A); f(3 + 4); f(B); f(0); f(A, 7);", (2, 2)),
        ("!$ONE_OF(f($...), g())", "long n = g(); if (!n) h(); if (!f(1)) h(); if (!h()) h();", (2, 2)),
        // Locals are replaced by their value if they have only one.
        ("$A > s->b + 1", "long n = s->b + 1; if (x > n) ;", (1, 1)),
        ("$A > s->b + 1", "long n; n = s->b; n++; if (x > n) ;", (0, 0)),
        ("$A > s->b", "long n = s->b; n += 2; if (x > n) ;", (0, 0)),
        ("$A > s->b", "long n = s->b; set(&n); if (x > n) ;", (0, 0)),
        ("$A > s->b", "n = s->b; if (x > n) ;", (0, 0)),
        ("$A > s->b", "long n = s->b; { long n = 3; } if (x > n) ;", (0, 0)),
        ("$A > s->b", "long m = s->b, n = m; if (x > n) ;", (1, 1)),
        ("$A > s->b", "long m = n, n = m; if (x > n) ;", (0, 0)),
        // Statements match at the function's top level.
        ("if (a) return -E;", "{ if (a) { return -E; } }", (1, 1)),
        ("if (a) return -E;", "if (b) { if (a) return -E; }", (0, 0)),
        ("if (a) return -E;", "while (b) { if (a) return -E; }", (0, 0)),
        ("if (a) return -E;", "if (a) return -E; else f();", (1, 1)),
        ("if (a) { $...; return 1; }", "if (a) { f(); g(); return 1; }", (1, 1)),
        ("if (a) { $...; return 1; }", "if (a) { if (b) f(); return 1; }", (0, 0)),
        ("if (a) { $...; return 1; }", "if (a) { for (;;) f(); return 1; }", (0, 0)),
        ("a = 0;", "a = 0; if (b) a = 0;", (1, 1)),
        ("a = 0", "a = 0; if (b) a = 0;", (2, 2)),
        // Statements that may bypass the match, or may be compiled out.
        ("if (a) return 1;", "if (b) return -EINVAL; if (a) return 1;", (1, 1)),
        ("if (a) return 1;", "if (b) return 0; if (a) return 1;", (1, 0)),
        ("if (a) return 1;", "if (b) goto out; if (a) return 1; out: ;", (1, 0)),
        ("a = 0;", "if (b) goto out; a = 0; out: ;", (1, 1)),
        ("a = 0;", "\n#ifdef X\na = 0;\n#endif\n", (1, 0)),
        ("a", "\n#if IS_ENABLED(X)\nif (a) b();\n#else\nf(a);\n#endif\n", (2, 0)),
    ] {
        assert_eq!(hits(pattern, code), expected, "{pattern} in {code}");
    }
}

#[test]
fn function_that_is_slow_to_match_is_abandoned() {
    let sum = (0..60).map(|n| format!("a{n}")).collect::<Vec<_>>().join(" + ");
    let body = c::body(&format!("{{ return {sum} && b; }}"), 1).unwrap();
    for pattern in ["$A + $B + $C + $D + $E + $F + x + $...", "$A + $B + $C + $D + $E + $F + $..."] {
        let pattern: SourcePattern = pattern.parse().unwrap();
        let none = Macros::default();
        let subject = SearchedBody::new(&body, &none);
        let _ = subject.hits(&pattern, &Bindings::default());
        assert!(subject.is_exhausted());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_expression_matches_itself(a in "[a-e]( (&&|\\|\\||\\+|-|<|>|==|!=|\\*) ![a-e](->x)?){0,6}") {
        let code = format!("return {a};");
        prop_assert!(hits(&a, &code).0 > 0);
    }
}
