//! Makes the normalised tree from the parser's tree.

use tree_sitter::Node as Parsed;

use super::{Body, CNode, Lines, Unreadable, What, word};

/// The deepest nesting of code. The kernel's coding style warns of more than three levels.
const MAX_DEPTH: u32 = 150;

/// Wrappers that do not change a value's meaning (include/linux/compiler.h, asm-generic/rwonce.h).
const WRAPPERS: [&str; 6] = ["likely", "unlikely", "READ_ONCE", "ACCESS_ONCE", "data_race", "__builtin_expect"];

/// Operators whose operands make one row, in any order.
const ROWS: [&str; 7] = ["&&", "||", "+", "*", "&", "|", "^"];

/// The kernel's names for integers (include/uapi/linux/types.h, asm-generic/int-ll64.h), in addition to those that end
/// in `_t`.
const TYPES: [&str; 23] = [
    "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "__u8", "__u16", "__u32", "__u64", "__s8", "__s16", "__s32",
    "__s64", "__be16", "__be32", "__be64", "__le16", "__le32", "__le64", "__wsum",
];

/// The name that replaces `$...` while the grammar parses a pattern.
pub(super) const REST: &str = "$rest";

/// Reads one function.
pub(super) struct Reader<'t> {
    text: &'t str,
    first_line: u32,
    locals: Vec<String>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, first_line: u32) -> Self {
        Self { text, first_line, locals: Vec::new() }
    }

    pub(super) fn body(mut self, block: Parsed) -> Result<Body, Unreadable> {
        let block = self.block(block, 0)?;
        Ok(Body { block, locals: self.locals })
    }

    fn lines(&self, node: Parsed) -> Lines {
        let line = |row: usize| self.first_line.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
        Lines { first: line(node.start_position().row), last: line(node.end_position().row) }
    }

    fn words(&self, node: Parsed) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn deeper(&self, node: Parsed, depth: u32) -> Result<u32, Unreadable> {
        if depth < MAX_DEPTH {
            return Ok(depth + 1);
        }
        Err(Unreadable { line: self.lines(node).first, why: "it is nested more deeply than any code of the kernel" })
    }

    fn make(&self, node: Parsed, what: What, parts: Vec<CNode>) -> CNode {
        CNode { what, parts, lines: self.lines(node) }
    }

    /// A statement as a block; blocks directly inside a block are merged into it.
    fn block(&mut self, node: Parsed, depth: u32) -> Result<CNode, Unreadable> {
        let mut parts = Vec::new();
        self.statement(node, depth, &mut parts)?;
        Ok(self.make(node, What::Is(word::BLOCK), parts))
    }

    fn statement(&mut self, node: Parsed, depth: u32, into: &mut Vec<CNode>) -> Result<(), Unreadable> {
        let depth = self.deeper(node, depth)?;
        let field = |name| node.child_by_field_name(name);
        match node.kind() {
            "compound_statement" | "else_clause" | "expression_statement" | "attributed_statement" => {
                for child in children(node) {
                    self.statement(child, depth, into)?;
                }
            }
            "labeled_statement" => {
                for child in children(node) {
                    if child.kind() == "statement_identifier" {
                        let name = self.expression(child, depth)?;
                        into.push(self.make(child, What::Is(word::LABEL), vec![name]));
                    } else {
                        self.statement(child, depth, into)?;
                    }
                }
            }
            "declaration" => {
                let mut cursor = node.walk();
                let declarators: Vec<_> = node.children_by_field_name("declarator", &mut cursor).collect();
                for declarator in declarators {
                    let Some(name) = self.declared(declarator, depth)? else { continue };
                    if let Some(value) = declarator.child_by_field_name("value") {
                        let value = self.expression(value, depth)?;
                        let name = self.make(declarator, What::Name(name.clone()), Vec::new());
                        into.push(self.make(declarator, What::Is("="), vec![name, value]));
                    }
                    self.locals.push(name);
                }
            }
            "if_statement" => {
                let mut parts = Vec::new();
                if let (Some(condition), Some(then)) = (field("condition"), field("consequence")) {
                    parts.push(truth(self.expression(condition, depth)?));
                    parts.push(self.block(then, depth)?);
                }
                if let Some(other) = field("alternative") {
                    parts.push(self.block(other, depth)?);
                }
                into.push(self.make(node, What::Is(word::IF), parts));
            }
            "return_statement" | "goto_statement" => {
                let what = if node.kind() == "return_statement" { word::RETURN } else { word::GOTO };
                let parts = self.expressions(node, depth)?;
                into.push(self.make(node, What::Is(what), parts));
            }
            "for_statement" | "while_statement" | "do_statement" | "switch_statement" | "case_statement" => {
                let body = field("body").map(|body| body.id());
                let mut parts = Vec::new();
                for child in children(node) {
                    if Some(child.id()) == body || child.kind().ends_with("statement") || child.kind() == "declaration"
                    {
                        parts.push(self.block(child, depth)?);
                    } else {
                        parts.push(self.expression(child, depth)?);
                    }
                }
                into.push(self.make(node, What::Is(node.kind()), parts));
            }
            "preproc_if" | "preproc_ifdef" | "preproc_else" | "preproc_elif" | "preproc_elifdef" => {
                let skip = [field("condition"), field("name")].map(|node| node.map(|node| node.id()));
                let mut parts = Vec::new();
                for child in children(node).into_iter().filter(|child| !skip.contains(&Some(child.id()))) {
                    self.statement(child, depth, &mut parts)?;
                }
                into.push(self.make(node, What::Is(word::CONFIGURED), parts));
            }
            _ => into.push(self.expression(node, depth)?),
        }
        Ok(())
    }

    /// The name that a declarator declares, inside its stars and brackets; none for a function.
    fn declared(&self, mut node: Parsed, mut depth: u32) -> Result<Option<String>, Unreadable> {
        loop {
            depth = self.deeper(node, depth)?;
            match node.kind() {
                "identifier" => return Ok(Some(self.words(node).to_owned())),
                "function_declarator" => return Ok(None),
                _ => {}
            }
            let inner = node.child_by_field_name("declarator").or_else(|| node.named_child(0));
            match inner {
                Some(inner) => node = inner,
                None => return Ok(None),
            }
        }
    }

    fn expressions(&mut self, node: Parsed, depth: u32) -> Result<Vec<CNode>, Unreadable> {
        children(node).into_iter().map(|child| self.expression(child, depth)).collect()
    }

    fn expression(&mut self, node: Parsed, depth: u32) -> Result<CNode, Unreadable> {
        let depth = self.deeper(node, depth)?;
        let field = |name| node.child_by_field_name(name);
        let sign = field("operator").map(|sign| sign.kind());
        let name = |reader: &Self| What::Name(reader.words(node).to_owned());
        match node.kind() {
            "identifier" | "field_identifier" | "type_identifier" | "statement_identifier" => {
                let what = match self.words(node) {
                    REST => What::Rest,
                    "NULL" => What::Number(0),
                    any if any.starts_with('$') => What::Any(any.to_owned()),
                    other => What::Name(other.to_owned()),
                };
                Ok(self.make(node, what, Vec::new()))
            }
            "null" => Ok(self.make(node, What::Number(0), Vec::new())),
            "number_literal" => {
                let what = number(self.words(node)).map_or_else(|| name(self), What::Number);
                Ok(self.make(node, what, Vec::new()))
            }
            "string_literal" | "char_literal" | "concatenated_string" => Ok(self.make(node, name(self), Vec::new())),
            "parenthesized_expression" if node.named_child_count() > 0 => {
                let mut inner = self.expressions(node, depth)?;
                if inner.len() == 1 { Ok(inner.remove(0)) } else { Ok(self.make(node, What::Is("()"), inner)) }
            }
            "cast_expression" => match field("value") {
                Some(value) => self.expression(value, depth),
                None => self.other(node, depth),
            },
            "compound_statement" => self.block(node, depth),
            "call_expression" => self.call(node, depth),
            "conditional_expression" => {
                let parts = self.expressions(node, depth)?;
                Ok(self.make(node, What::Is("?:"), parts))
            }
            _ => match sign {
                Some(sign) => {
                    let mut parts = self.expressions(node, depth)?;
                    // `(u32)-1` is a cast, which the grammar cannot know.
                    if field("left").is_some_and(|left| self.is_type_in_parentheses(left)) {
                        parts.remove(0);
                    }
                    Ok(self.combine(node, sign, parts))
                }
                None => self.other(node, depth),
            },
        }
    }

    fn is_type_in_parentheses(&self, node: Parsed) -> bool {
        let name =
            self.words(node).strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or_default().trim();
        node.kind() == "parenthesized_expression" && (TYPES.contains(&name) || name.ends_with("_t"))
    }

    fn other(&mut self, node: Parsed, depth: u32) -> Result<CNode, Unreadable> {
        let parts = self.expressions(node, depth)?;
        let what = match node.kind() {
            kind if kind.starts_with("preproc_") => What::Is(word::CONFIGURED),
            _ if parts.is_empty() => What::Name(self.words(node).to_owned()),
            kind => What::Is(kind),
        };
        Ok(self.make(node, what, parts))
    }

    fn call(&mut self, node: Parsed, depth: u32) -> Result<CNode, Unreadable> {
        let mut parts = Vec::new();
        if let (Some(function), Some(arguments)) =
            (node.child_by_field_name("function"), node.child_by_field_name("arguments"))
        {
            parts.push(self.expression(function, depth)?);
            parts.extend(self.expressions(arguments, depth)?);
            // `(s32)(a - b)` is a cast too.
            if self.is_type_in_parentheses(function) && parts.len() == 2 {
                return Ok(parts.remove(1));
            }
        }
        let called = match parts.first().map(|node| &node.what) {
            Some(What::Name(name)) => name.as_str(),
            _ => "",
        };
        if WRAPPERS.contains(&called) && parts.len() >= 2 {
            return Ok(parts.swap_remove(1));
        }
        if called == "WRITE_ONCE" && parts.len() == 3 {
            parts.remove(0);
            return Ok(self.make(node, What::Is("="), parts));
        }
        Ok(self.make(node, What::Is(word::CALL), parts))
    }

    /// An operator and its operands, in normal form.
    fn combine(&self, node: Parsed, sign: &'static str, mut parts: Vec<CNode>) -> CNode {
        let make = |what, parts| self.make(node, what, parts);
        let numbers: Vec<i64> = parts.iter().filter_map(value).collect();
        match (sign, numbers.as_slice()) {
            ("-", [n]) if parts.len() == 1 => return make(What::Number(n.wrapping_neg()), Vec::new()),
            (_, [a, b]) if parts.len() == 2 => {
                if let Some(n) = fold(sign, *a, *b) {
                    return make(What::Number(n), Vec::new());
                }
            }
            _ => {}
        }
        match sign {
            ">" | ">=" => {
                parts.reverse();
                make(What::Is(if sign == ">" { "<" } else { "<=" }), parts)
            }
            "!" if parts.len() == 1 => not(parts.remove(0)),
            "==" if parts.len() == 2 && parts.iter().any(is_zero) => {
                parts.sort_by_key(is_zero);
                not(parts.remove(0))
            }
            _ if ROWS.contains(&sign) && parts.len() == 2 => {
                let logical = matches!(sign, "&&" | "||");
                let mut row = Vec::new();
                for part in parts {
                    let part = if logical { truth(part) } else { part };
                    if part.is(sign) { row.extend(part.parts) } else { row.push(part) }
                }
                make(What::Is(sign), row)
            }
            _ => make(What::Is(sign), parts),
        }
    }
}

fn value(node: &CNode) -> Option<i64> {
    if let What::Number(n) = node.what { Some(n) } else { None }
}

fn children(node: Parsed) -> Vec<Parsed> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

fn is_zero(node: &CNode) -> bool {
    node.what == What::Number(0)
}

/// If only the truth of a value counts, `x != 0` is `x`.
fn truth(mut node: CNode) -> CNode {
    if node.is("!=") && node.parts.len() == 2 && node.parts.iter().any(is_zero) {
        node.parts.sort_by_key(is_zero);
        return node.parts.swap_remove(0);
    }
    node
}

/// The opposite of a condition.
fn not(node: CNode) -> CNode {
    let mut node = truth(node);
    let opposite = match node.what {
        What::Is("==") => "!=",
        What::Is("!=") => "==",
        What::Is("<") => "<=",
        What::Is("<=") => "<",
        What::Is("&&") => "||",
        What::Is("||") => "&&",
        What::Is("!") if node.parts.len() == 1 => return node.parts.remove(0),
        _ => return CNode { what: What::Is("!"), lines: node.lines, parts: vec![node] },
    };
    if matches!(opposite, "<" | "<=") {
        node.parts.reverse();
    }
    if matches!(opposite, "&&" | "||") {
        node.parts = node.parts.into_iter().map(not).collect();
    }
    node.what = What::Is(opposite);
    node
}

fn fold(sign: &str, a: i64, b: i64) -> Option<i64> {
    match sign {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "<<" => a.checked_shl(u32::try_from(b).ok()?),
        ">>" => a.checked_shr(u32::try_from(b).ok()?),
        _ => None,
    }
}

/// The value of a number as C writes it: decimal, hexadecimal, octal or binary, with its suffix.
fn number(text: &str) -> Option<i64> {
    if let Some(positive) = text.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
        return number(positive).map(i64::wrapping_neg);
    }
    let text = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match (lower.strip_prefix("0x"), lower.strip_prefix("0b"), lower.strip_prefix('0')) {
        (Some(hex), _, _) => (hex, 16),
        (_, Some(binary), _) => (binary, 2),
        (_, _, Some(octal)) if !octal.is_empty() => (octal, 8),
        _ => (lower.as_str(), 10),
    };
    u64::from_str_radix(digits, radix).ok().map(u64::cast_signed)
}
