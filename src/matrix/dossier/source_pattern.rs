//! Patterns of source code: small fragments of C with metavariables.

use std::str::FromStr;

use super::c::{self, CNode, What, word};

/// A fragment of C to look for in a function: an expression, or one statement (it ends in `;` or `}`).
///
/// An expression may be anywhere. A statement must be at the function's top level, not inside an `if` or a loop, and no
/// jump or earlier successful return may bypass an `if`, `return` or `goto`. (Patterns that must not match may be
/// anywhere.) A local that is assigned in one place matches its value. An `if` without `else` also matches one with
/// `else`.
///
/// `$NAME` matches any expression, but the same one in all patterns of a case. `$...` matches any number of operands of
/// `&&`, `+` and the like, of arguments, or of statements that don't branch. `$ONE_OF(a, b)` matches one of its
/// arguments. [`c`] lists the spellings that count as the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePattern {
    text: String,
    node: CNode,
}

/// A text that is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a pattern of source code: {why}")]
pub struct BadPattern {
    /// The text.
    pub text: String,
    /// The fault.
    pub why: String,
}

impl SourcePattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its tree.
    pub fn node(&self) -> &CNode {
        &self.node
    }

    /// Whether it is a statement.
    pub fn is_statement(&self) -> bool {
        is_statement(&self.text)
    }
}

/// Matches one of its arguments.
pub const ONE_OF: &str = "$ONE_OF";

fn is_statement(text: &str) -> bool {
    text.trim_end().ends_with([';', '}'])
}

impl FromStr for SourcePattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = |why: &str| BadPattern { text: text.to_owned(), why: why.to_owned() };
        if text.trim().is_empty() {
            return Err(bad("it is empty"));
        }
        metavariables(text).map_err(|why| bad(&why))?;
        let code = text.replace("$...", "$rest");
        let code = if is_statement(&code) { format!("{{{code}}}") } else { format!("{{return ({code});}}") };
        let not_c = |error: c::Unreadable| {
            bad(&format!("expected an expression of C, or one statement that ends in `;` or `}}`, but {}", error.why))
        };
        let mut statements = c::body(&code, 1).map_err(not_c)?.block.parts;
        let node = match (statements.pop(), statements.is_empty()) {
            (Some(node), true) => node,
            _ => return Err(bad("expected one expression, or one statement that is not a declaration")),
        };
        let node = if is_statement(text) { Some(node) } else { node.parts.into_iter().next() };
        match node {
            Some(node) if !matches!(node.what, What::Any(_) | What::Rest) => Ok(Self { text: text.to_owned(), node }),
            _ => Err(bad("it would match everything")),
        }
    }
}

/// Checks how metavariables are written.
fn metavariables(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('$') {
        let after = text.get(at + 1..).unwrap_or_default();
        let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let good =
            name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains(|c: char| c.is_ascii_lowercase());
        if !good && !after.starts_with("...") {
            return Err(format!("expected an uppercase name or `...` after `$`, as in `$SK`, found `${name}`"));
        }
    }
    Ok(())
}

/// Whether a statement always continues with the next: it has no branch, loop or jump.
pub fn goes_straight_on(statement: &CNode) -> bool {
    statement.walk().all(|node| match node.what {
        What::Is(word::IF | word::RETURN | word::GOTO | word::LABEL | word::CONFIGURED) => false,
        What::Is(kind) => !kind.ends_with("_statement"),
        What::Name(ref name) => !matches!(name.as_str(), "break;" | "continue;"),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_is_an_expression_or_one_statement() {
        for (text, statement) in [
            ("$SK->sk_wmem_queued >> 1 > $LIMIT", false),
            ("$SKB != tcp_rtx_queue_head($SK)", false),
            ("$I->icsk_probes_tstamp = 0", false),
            ("f($A, $...)", false),
            ("if ($A && $...) { $...; return -ENOMEM; }", true),
            ("if (!$A) $A = now; else { $...; goto $OUT; }", true),
            ("return $A;", true),
        ] {
            let pattern: SourcePattern = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((pattern.as_str(), pattern.is_statement()), (text, statement));
        }
    }

    #[test]
    fn non_pattern_is_rejected_with_the_reason() {
        for (text, why) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            ("$A", "it would match everything"),
            ("$...;", "it would match everything"),
            ("a >", "the C grammar does not understand it"),
            ("if (a) {", "the C grammar does not understand it"),
            ("a; b;", "expected one expression, or one statement"),
            ("int a;", "expected one expression, or one statement"),
            ("$sk->a", "expected an uppercase name or `...` after `$`, as in `$SK`, found `$sk`"),
            ("a + $", "found `$`"),
            (") + (", "the C grammar does not understand it"),
            ("};void g(){return 1;}", "expected"),
        ] {
            let error = text.parse::<SourcePattern>().map(|p| p.text).map_err(|error| error.to_string());
            assert!(matches!(&error, Err(text) if text.contains(why)), "{text:?}: {error:?}");
        }
    }
}
