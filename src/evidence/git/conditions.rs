//! Finds the preprocessor conditions and comments around each line of a C file.
//!
//! A line between `#if 0` and `#endif` is in the file but not in the kernel. What a condition means depends on the
//! configuration, so conditions are only compared, never evaluated.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Stands for a comment around a line.
pub(super) const COMMENT: &str = "a comment";
/// A condition that never holds.
pub(super) const NEVER: &str = "0";

/// The conditions and comments around a line, in words that are the same for the same condition.
pub(super) type Conditions = BTreeSet<String>;

/// A line without its outer white space and the marks of a comment, and what encloses it.
pub(super) struct PlacedLine<'a> {
    pub line: &'a [u8],
    pub within: Rc<Conditions>,
}

/// An open `#if`: the condition of its current branch, and those of the branches before it.
struct Branch {
    now: Vec<String>,
    before: Vec<String>,
}

/// The state at the end of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lexer {
    Code,
    Comment,
}

/// The lines of a file, in order.
pub(super) fn placed_lines(text: &[u8]) -> Vec<PlacedLine<'_>> {
    let mut found = Vec::new();
    let mut open: Vec<Branch> = Vec::new();
    let mut lexer = Lexer::Code;
    let mut within = Rc::new(Conditions::new());
    let commented = |within: &Conditions| {
        let mut within = within.clone();
        within.insert(COMMENT.to_owned());
        Rc::new(within)
    };
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let began = lexer;
        let (code, mut after) = strip(line, lexer);
        at += 1;
        if began == Lexer::Code
            && let Some(directive) = code.trim_ascii().strip_prefix(b"#")
        {
            let mut directive = String::from_utf8_lossy(directive.trim_ascii()).into_owned();
            found.push(PlacedLine { line, within: Rc::clone(&within) });
            while directive.ends_with('\\')
                && let Some(next) = lines.get(at)
            {
                directive.pop();
                let (code, then) = strip(next, after);
                directive.push_str(&String::from_utf8_lossy(&code));
                found.push(PlacedLine { line: next, within: Rc::clone(&within) });
                (after, at) = (then, at + 1);
            }
            lexer = after;
            let guards = lines.iter().skip(at).find(|line| !line.is_empty());
            if turn(&directive, guards.copied().unwrap_or_default(), &mut open) {
                within = Rc::new(open.iter().flat_map(|branch| branch.now.iter().cloned()).collect());
            }
            continue;
        }
        lexer = after;
        let is_comment = began == Lexer::Comment || !line.is_empty() && code.trim_ascii().is_empty();
        if is_comment {
            found.push(PlacedLine { line: uncommented(line), within: commented(&within) });
        } else {
            found.push(PlacedLine { line, within: Rc::clone(&within) });
        }
    }
    found
}

/// A line of a comment without the comment's marks.
fn uncommented(line: &[u8]) -> &[u8] {
    let mut line = line;
    for mark in [&b"//"[..], b"/*", b"* "] {
        line = line.strip_prefix(mark).unwrap_or(line);
    }
    line.strip_suffix(b"*/").unwrap_or(line).trim_ascii()
}

/// A text without comments.
pub(super) fn code(text: &[u8]) -> Vec<u8> {
    let mut code = Vec::with_capacity(text.len());
    let mut lexer = Lexer::Code;
    for line in text.split(|b| *b == b'\n') {
        let (line, after) = strip(line, lexer);
        code.extend_from_slice(&line);
        code.push(b'\n');
        lexer = after;
    }
    code
}

/// A line without comments, and the state at its end.
fn strip(line: &[u8], mut lexer: Lexer) -> (Cow<'_, [u8]>, Lexer) {
    // Most lines have neither.
    if lexer == Lexer::Code && !line.contains(&b'/') {
        return (Cow::Borrowed(line), lexer);
    }
    let mut code = Vec::with_capacity(line.len());
    let mut quote = None;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let pair = line.get(at..at + 2).unwrap_or_default();
        at += 1;
        match (lexer, quote) {
            (Lexer::Comment, _) if pair == b"*/" => {
                (lexer, at) = (Lexer::Code, at + 1);
                code.push(b' ');
            }
            (Lexer::Comment, _) => {}
            (Lexer::Code, None) if pair == b"//" => break,
            (Lexer::Code, None) if pair == b"/*" => (lexer, at) = (Lexer::Comment, at + 1),
            (Lexer::Code, _) => {
                code.push(byte);
                match quote {
                    None if byte == b'"' || byte == b'\'' => quote = Some(byte),
                    Some(_) if byte == b'\\' => {
                        code.extend(line.get(at));
                        at += 1;
                    }
                    Some(open) if byte == open => quote = None,
                    _ => {}
                }
            }
        }
    }
    (Cow::Owned(code), lexer)
}

/// Applies a directive to the open branches. Returns whether it changed them. `next` is the line after it.
fn turn(directive: &str, next: &[u8], open: &mut Vec<Branch>) -> bool {
    let end = directive.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(directive.len());
    let (word, rest) = directive.split_at(end);
    let parts = |condition: String| -> Vec<String> { Some(condition).filter(|c| c != "1").into_iter().collect() };
    match word {
        "if" | "ifdef" | "ifndef" => {
            let condition = match word {
                "if" => plain(rest),
                "ifdef" => plain(rest.split_whitespace().next().unwrap_or_default()),
                _ => not(&plain(rest.split_whitespace().next().unwrap_or_default())),
            };
            // A header's guard is no condition.
            let name = rest.trim();
            let next = String::from_utf8_lossy(next).replace("# ", "#");
            let is_guard = word == "ifndef" && next.split_whitespace().take(2).eq(["#define", name]);
            let condition = if is_guard { "1".to_owned() } else { condition };
            open.push(Branch { before: vec![condition.clone()], now: parts(condition) });
        }
        "else" | "elif" | "elifdef" | "elifndef" => {
            let Some(branch) = open.last_mut() else { return false };
            branch.now = branch.before.iter().flat_map(|condition| parts(not(condition))).collect();
            let own = rest.split_whitespace().next().unwrap_or_default();
            let own = match word {
                "elif" => plain(rest),
                "elifdef" => plain(own),
                "elifndef" => not(&plain(own)),
                _ => return true,
            };
            branch.before.push(own.clone());
            branch.now.extend(parts(own));
        }
        "endif" => return open.pop().is_some(),
        _ => return false,
    }
    true
}

/// A condition without white space, in which all ways to ask for an option are the same.
fn plain(condition: &str) -> String {
    let mut text: String = condition.split_whitespace().collect();
    for asks in ["IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE", "defined"] {
        while let Some(at) = text.find(&format!("{asks}(")) {
            let rest = &text[at + asks.len() + 1..];
            let Some(close) = rest.find(')') else { break };
            text = format!("{}{}{}", &text[..at], &rest[..close], &rest[close + 1..]);
        }
        // `defined X`, of which the white space is gone.
        text = text.replace(&format!("{asks}CONFIG_"), "CONFIG_");
    }
    // Earlier kernels asked for an option that may be a module in two words.
    let words: Vec<&str> = text.split("||").collect();
    if let [one, other] = words.as_slice()
        && other.strip_suffix("_MODULE") == Some(one)
    {
        return (*one).to_owned();
    }
    text
}

fn not(condition: &str) -> String {
    match condition {
        "0" => "1".to_owned(),
        "1" => "0".to_owned(),
        _ => match condition.strip_prefix('!') {
            Some(bare) if is_name(bare) => bare.to_owned(),
            _ if is_name(condition) => format!("!{condition}"),
            _ => format!("!({condition})"),
        },
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// A condition for people.
pub(super) fn say(condition: &str) -> String {
    if condition == COMMENT {
        return COMMENT.to_owned();
    }
    let condition: String = condition.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("`#if {condition}`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn conditions_around_a_line_are_found() {
        for (text, expected) in [
            ("x\n", &[][..]),
            ("#if 0\nx\n#endif\n", &["0"]),
            ("#if 0\na\n#else\nx\n#endif\n", &[]),
            ("#if 1\nx\n#endif\n", &[]),
            ("#if 1\na\n#else\nx\n#endif\n", &["0"]),
            ("#ifdef A\nx\n#endif\n", &["A"]),
            ("# if  defined( A ) /* why */\nx\n#endif\n", &["A"]),
            ("#if IS_ENABLED(CONFIG_A)\nx\n#endif\n", &["CONFIG_A"]),
            ("#if defined(CONFIG_A) || defined(CONFIG_A_MODULE)\nx\n#endif\n", &["CONFIG_A"]),
            ("#if defined CONFIG_A && B > 1\nx\n#endif\n", &["CONFIG_A&&B>1"]),
            ("#if A && \\\n  B\nx\n#endif\n", &["A&&B"]),
            ("#ifndef A\nx\n#endif\n", &["!A"]),
            ("#ifdef A\na\n#else /* !A */\nx\n#endif\n", &["!A"]),
            ("#ifndef A\na\n#else\nx\n#endif\n", &["A"]),
            ("#ifdef A\na\n#elif B\nx\n#endif\n", &["!A", "B"]),
            ("#ifdef A\na\n#elif B\nb\n#else\nx\n#endif\n", &["!A", "!B"]),
            ("#ifdef A\n#if B > 2\na\n#else\nx\n#endif\n#endif\n", &["A", "!(B>2)"]),
            ("#ifdef A\na\n#endif\nx\n", &[]),
            ("#ifndef _A_H\n#define _A_H\nx\n#endif\n", &[]),
            ("#ifndef A\n#define B\nx\n#endif\n", &["!A"]),
            ("/*\nx\n*/\n", &[COMMENT]),
            ("a /* b\nx\n*/\n", &[COMMENT]),
            ("a(\"/*\");\nx\n", &[]),
            ("a('\"');\nx\n", &[]),
            ("// /*\nx\n", &[]),
            ("// x\n", &[COMMENT]),
            ("/* x */\n", &[COMMENT]),
            ("#if 0\n/*\n * x\n */\n#endif\n", &["0", COMMENT]),
            ("/* #if 0 */\nx\n", &[]),
            ("/*\n#if 0\n*/\nx\n", &[]),
            ("#if 0 /* a\n b */\nx\n#endif\n", &["0"]),
            ("#endif\n#else\nx\n", &[]),
        ] {
            let lines = placed_lines(text.as_bytes());
            let found = lines.iter().find(|placed| placed.line == b"x").unwrap();
            let expected: Conditions = expected.iter().map(|&condition| condition.to_owned()).collect();
            assert_eq!(*found.within, expected, "{text}");
        }
    }

    #[test]
    fn code_has_no_comments() {
        let text = b"a /* b */ c // d\n/* e\nf */ g(\"/* h */\");\n";
        assert_eq!(String::from_utf8_lossy(&code(text)), "a   c \n\n  g(\"/* h */\");\n\n");
    }

    proptest! {
        #[test]
        fn any_text_is_placed_without_a_panic(text in "([a-c(){}\"'/*\\\\ é]|\n|#if 0|#else|#elif a|#endif|#ifdef A|//|defined\\(){0,60}") {
            let lines = placed_lines(text.as_bytes()).len();
            prop_assert_eq!(lines, text.split('\n').count());
        }
    }
}
