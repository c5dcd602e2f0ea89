//! C code as a normalised tree, so that a pattern matches a function regardless of spelling.
//!
//! The tree leaves out white space, comments, parentheses, casts, the types of locals, `unlikely()` and the like. It
//! writes `b > a` as `a < b`, `!(a == b)` as `a != b`, `x == NULL` as `!x`, numbers by their value, and `a && (b && c)`
//! as one row of operands. Names are kept.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{ParseOptions, ParseState, Parser, Tree};

mod normal;

/// The longest time to parse one function. The kernel's largest take a few milliseconds.
const PARSE_TIME: Duration = Duration::from_secs(2);

/// The largest function that is parsed, in bytes; the kernel's largest have some 50 KiB.
const MAX_BYTES: usize = 512 << 10;

/// Lines of a file, the first is 1; both are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lines {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// The kind of a [`CNode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// In a pattern, `$NAME`: any expression, but the same one for each use of the name.
    Any(String),
    /// In a pattern, `$...`: any number of operands, arguments, or statements that don't branch.
    Rest,
    /// A name, or a literal that is not a number.
    Name(String),
    /// A number.
    Number(i64),
    /// A node with parts: an operator by its sign (`&&`, `<`, `->`, `=`), one of the words in [`word`], or its name in
    /// the grammar.
    Is(&'static str),
}

/// Words for constructs without a sign.
pub mod word {
    /// `f(a, b)`: the function, then its arguments.
    pub const CALL: &str = "call";
    /// `{ … }`: statements; blocks directly inside are part of it.
    pub const BLOCK: &str = "block";
    /// `if`: the condition, a block, and a block for `else`.
    pub const IF: &str = "if";
    /// `return`, with its value if it has one.
    pub const RETURN: &str = "return";
    /// `goto`, with its label.
    pub const GOTO: &str = "goto";
    /// A label.
    pub const LABEL: &str = "label";
    /// Code that depends on the kernel's configuration: `#if` and the like.
    pub const CONFIGURED: &str = "#if";
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CNode {
    /// Its kind.
    pub what: What,
    /// Its parts.
    pub parts: Vec<CNode>,
    /// Its lines.
    pub lines: Lines,
}

impl CNode {
    /// Whether it is `what`, made of parts.
    pub fn is(&self, what: &str) -> bool {
        matches!(&self.what, What::Is(is) if *is == what)
    }

    /// Whether both are the same code, regardless of their lines.
    pub fn same(&self, other: &Self) -> bool {
        self.what == other.what
            && self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(|(a, b)| a.same(b))
    }

    /// The node and all below it, from the outside in.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut left = vec![self];
        std::iter::from_fn(move || {
            let node = left.pop()?;
            left.extend(node.parts.iter().rev());
            Some(node)
        })
    }
}

/// The body of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its statements, in one block.
    pub block: CNode,
    /// The names of its local variables, one for each declaration.
    pub locals: Vec<String>,
}

/// Why code could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Unreadable {
    /// The line.
    pub line: u32,
    /// The fault.
    pub why: &'static str,
}

/// Reads the body of a function, with its braces; its first line has the number `first_line`.
///
/// # Errors
///
/// If the grammar does not understand a line of it, or it is too large, or nested too deeply.
pub fn body(code: &str, first_line: u32) -> Result<Body, Unreadable> {
    let line_of = |row: usize| first_line.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
    let failed = |why| Unreadable { line: first_line, why };
    if code.len() > MAX_BYTES {
        return Err(failed("the function is larger than any of the kernel's"));
    }
    // Parameters and attributes are irrelevant, and the grammar often fails on their macros.
    let text = format!("void f(){code}");
    let tree = parse(&text).ok_or_else(|| failed("the function takes too long to parse"))?;
    let root = tree.root_node();
    if let Some(row) = first_error(&tree) {
        return Err(Unreadable { line: line_of(row), why: "the C grammar does not understand it" });
    }
    let function = root.named_child(0).filter(|node| node.kind() == "function_definition");
    let block = function.and_then(|node| node.child_by_field_name("body"));
    let block = block.ok_or_else(|| failed("it is not a function"))?;
    normal::Reader::new(&text, first_line).body(block)
}

fn parse(text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_c::LANGUAGE.into()).ok()?;
    let end = Instant::now() + PARSE_TIME;
    let mut watch =
        |_: &ParseState| if Instant::now() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let mut read = |at: usize, _| text.as_bytes().get(at..).unwrap_or_default();
    parser.parse_with_options(&mut read, None, Some(ParseOptions::new().progress_callback(&mut watch)))
}

/// The row of the first syntax error. Without recursion, because the tree may be deep.
fn first_error(tree: &Tree) -> Option<usize> {
    let mut node = tree.root_node();
    if !node.has_error() {
        return None;
    }
    loop {
        if node.is_error() || node.is_missing() {
            return Some(node.start_position().row);
        }
        let mut cursor = node.walk();
        let inner = node.children(&mut cursor).find(|child| child.has_error() || child.is_missing());
        match inner {
            Some(inner) => node = inner,
            None => return Some(node.start_position().row),
        }
    }
}

#[cfg(test)]
#[path = "c_tests.rs"]
mod tests;
