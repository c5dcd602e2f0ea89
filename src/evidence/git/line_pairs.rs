//! Which lines of code follow each other in each function of a file. A statement that moves, and short lines that are
//! in many places, are only told by their neighbours.

use std::collections::HashMap;

use super::conditions::code;
use super::content::letters;
use super::line_words::hash;

/// A line of code in a function, without white space and a bracket at its end. Hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LineInFunction {
    pub function: u64,
    line: u64,
}

/// Two lines of code that follow each other in a function, and the lines of brackets between them. Hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LinePair {
    pub function: u64,
    lines: [u64; 2],
    brackets: u64,
    /// The line above both: it tells blocks with equal ends from each other.
    above: Option<u64>,
}

impl LinePair {
    /// Both lines.
    pub fn lines(self) -> [LineInFunction; 2] {
        self.lines.map(|line| LineInFunction { function: self.function, line })
    }

    /// Whether it also names the line above.
    pub fn has_above(self) -> bool {
        self.above.is_some()
    }
}

/// How often something is in a file, and the numbers of its first lines, from 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Occurrences {
    pub count: usize,
    pub first: [usize; 2],
}

/// The lines and pairs of a file.
#[derive(Debug, Default)]
pub(super) struct LinePairs {
    pairs: HashMap<LinePair, Occurrences>,
    /// Those with letters or digits.
    lines: HashMap<LineInFunction, Occurrences>,
    /// The same lines anywhere in the file.
    anywhere: HashMap<u64, usize>,
    /// How many conditions that never hold each function has. It has a key for every function of the file.
    never: HashMap<u64, Occurrences>,
}

impl LinePairs {
    /// Of a file in C, or in anything else with short lines.
    pub fn of(text: &[u8]) -> Self {
        let mut found = Self::default();
        let code = code(text);
        let mut function = hash(b"");
        // The last two lines with letters, the brackets since then, and the open `#if 0` and `#if 1`.
        let (mut last, mut brackets, mut constant) = ([None; 2], 0, Constants::default());
        for (number, line) in code.split(|b| *b == b'\n').enumerate() {
            let bare: Vec<u8> = line.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
            if constant.skips(&bare) {
                continue;
            }
            if let Some(name) = function_begins(line) {
                (function, last, brackets) = (hash(name), [None; 2], 0);
                found.never.entry(function).or_default();
            }
            // Brackets around a single statement change nothing.
            let open = bare.strip_suffix(b"{").unwrap_or(&bare);
            let this = hash(open);
            if letters(open) > 0 {
                let (before, from) = last[1].unwrap_or((hash(b""), number));
                let pair = LinePair { function, lines: [before, this], brackets, above: None };
                found.pairs.entry(pair).or_default().add([from, number]);
                if let Some((above, _)) = last[0] {
                    // Brackets may be anywhere between three lines.
                    let pair = LinePair { brackets: 0, above: Some(above), ..pair };
                    found.pairs.entry(pair).or_default().add([from, number]);
                }
                (last, brackets) = ([last[1], Some((this, number))], 0);
                found.lines.entry(LineInFunction { function, line: this }).or_default().add([number; 2]);
                *found.anywhere.entry(this).or_default() += 1;
            } else if !open.is_empty() {
                brackets = this.wrapping_add(brackets.rotate_left(7));
            }
            if never_holds(&bare) {
                found.never.entry(function).or_default().add([number; 2]);
            }
            if line.starts_with(b"}") && !line.contains(&b'{') {
                (function, last, brackets) = (hash(b""), [None; 2], 0);
            }
        }
        found
    }

    /// The pairs that this file has more often than another one.
    pub fn more_than<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (LinePair, Occurrences)> + 'a {
        let is_more = |(pair, here): &(&LinePair, &Occurrences)| here.count > other.count(**pair);
        self.pairs.iter().filter(is_more).map(|(pair, here)| (*pair, *here))
    }

    /// How often a pair is there.
    pub fn count(&self, pair: LinePair) -> usize {
        self.get(pair).count
    }

    /// How often a pair is there, and where first.
    pub fn get(&self, pair: LinePair) -> Occurrences {
        self.pairs.get(&pair).copied().unwrap_or_default()
    }

    /// The lines that functions of this file have more often than those of another one.
    pub fn more_lines_than<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (LineInFunction, Occurrences)> + 'a {
        let is_more = |(line, here): &(&LineInFunction, &Occurrences)| here.count > other.count_of(**line);
        self.lines.iter().filter(is_more).map(|(line, here)| (*line, *here))
    }

    /// How often a line is in its function.
    pub fn count_of(&self, line: LineInFunction) -> usize {
        self.lines.get(&line).map_or(0, |found| found.count)
    }

    /// Whether this file has a line less often than another one: in its function, or anywhere if it lacks the function.
    pub fn has_fewer(&self, line: LineInFunction, than: &Self) -> bool {
        if self.never.contains_key(&line.function) {
            return self.count_of(line) < than.count_of(line);
        }
        let anywhere = |file: &Self| file.anywhere.get(&line.line).copied().unwrap_or_default();
        than.count_of(line) > 0 && anywhere(self) < anywhere(than)
    }

    /// Conditions that never hold in the function of a pair.
    pub fn never(&self, pair: LinePair) -> Occurrences {
        self.never.get(&pair.function).copied().unwrap_or_default()
    }
}

impl Occurrences {
    fn add(&mut self, at: [usize; 2]) {
        if self.count == 0 {
            self.first = at;
        }
        self.count += 1;
    }
}

/// The open preprocessor conditions. Those that are 0 or 1 are as good as absent.
#[derive(Default)]
struct Constants(Vec<Option<bool>>);

impl Constants {
    /// Whether a line without white space is never compiled, or belongs to such a condition.
    fn skips(&mut self, line: &[u8]) -> bool {
        let open = &mut self.0;
        if line.starts_with(b"#if") {
            open.push(match line {
                b"#if0" => Some(false),
                b"#if1" => Some(true),
                _ => None,
            });
            return open.contains(&Some(false)) || open.last() != Some(&None);
        }
        if line.starts_with(b"#el") {
            let Some(last @ Some(_)) = open.last_mut() else { return open.contains(&Some(false)) };
            *last = match (*last, line == b"#else") {
                (Some(holds), true) => Some(!holds),
                // Whatever comes after `#if 1` is left out; after `#if 0` it depends on the condition.
                (Some(true), false) => Some(false),
                _ => None,
            };
            return true;
        }
        if line.starts_with(b"#endif") {
            let is_constant = open.pop().flatten().is_some();
            return is_constant || open.contains(&Some(false));
        }
        open.contains(&Some(false))
    }
}

/// The name of what begins in a line of the first column: a function's, or the words before another definition. None
/// for labels, and for statements of one line.
fn function_begins(line: &[u8]) -> Option<&[u8]> {
    let first = *line.first()?;
    let line = line.trim_ascii_end();
    if !(first.is_ascii_alphabetic() || first == b'_') || line.ends_with(b";") || line.ends_with(b":") {
        return None;
    }
    let end = line.iter().position(|b| matches!(b, b'(' | b'=' | b'{')).unwrap_or(line.len());
    let words = line.get(..end).unwrap_or(line).trim_ascii_end();
    let begin = words.iter().rposition(|b| b.is_ascii_whitespace() || *b == b'*').map_or(0, |at| at + 1);
    words.get(begin..)
}

/// Whether a line without white space has a condition that never holds.
fn never_holds(line: &[u8]) -> bool {
    const NEVER: [&[u8]; 9] =
        [b"if(0)", b"if(0&&", b"if(false)", b"if(false&&", b"if(!1)", b"if(1==0)", b"if(0==1)", b"&&0)", b"&&false)"];
    // Not the end of `do { } while (0)`.
    let is_loop = line == b"while(0)" || line == b"while(0){" || line == b"while(false)" || line == b"while(false){";
    is_loop || NEVER.iter().any(|never| line.windows(never.len()).any(|part| part == *never))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_of_more(one: &str, other: &str) -> usize {
        let (one, other) = [one, other].map(|text| LinePairs::of(text.as_bytes())).into();
        one.more_than(&other).filter(|(pair, _)| !pair.has_above()).count()
    }

    #[test]
    fn only_other_neighbours_in_a_function_differ() {
        let text = "static int f(int a)\n{\n\tlock();\n\ta = b;\n\tunlock();\nout:\n\treturn a;\n}\n";
        for (name, other, expected) in [
            ("the same", text.to_owned(), 0),
            ("white space", text.replace('\t', "    ").replace("= b", "=  b").replace("\tlock", "\n\tlock"), 0),
            ("a comment", text.replace("\tlock();", "\t/* why\n\t * so */\n\tlock(); // here"), 0),
            (
                "never compiled",
                text.replace("\tlock", "#if 0\n\tlog();\n#else\n\tlock").replace("out:", "#endif\nout:"),
                0,
            ),
            ("a line gone", text.replace("\ta = b;\n", ""), 2),
            ("a line moved", text.replace("\ta = b;\n", "").replace("\tlock", "\ta = b;\n\tlock"), 3),
            ("a line more", text.replace("\tlock", "\tlog();\n\tlock"), 1),
            ("a condition", text.replace("\tlock();", "#ifdef A\n\tlock();\n#endif"), 2),
            ("another function before it", format!("int g(void)\n{{\n\tlock();\n}}\n{text}"), 0),
            ("another name", text.replace("f(int", "g(int"), 6),
        ] {
            assert_eq!(count_of_more(text, &other), expected, "{name}");
        }
    }

    #[test]
    fn blocks_with_equal_ends_are_told_by_the_line_above() {
        let block = |word: &str| format!("\tif ({word}) {{\n\t\tsay({word});\n\t\treturn -1;\n\t}}\n");
        let [one, other] = [["a", "b"], ["b", "a"]].map(|words| {
            LinePairs::of(
                format!("int f(void)\n{{\n\treturn -1;\n\t}}\n{}{}\treturn 0;\n}}\n", block(words[0]), block(words[1]))
                    .as_bytes(),
            )
        });
        let more: Vec<bool> = one.more_than(&other).map(|(pair, _)| pair.has_above()).collect();
        assert!(!more.is_empty() && more.iter().all(|has_above| *has_above), "{more:?}");
    }

    #[test]
    fn names_of_functions_are_found() {
        for (line, expected) in [
            ("static int f(int a,", Some("f")),
            ("struct x *f(void) {", Some("f")),
            ("struct x *f (void)", Some("f")),
            ("f(a)", Some("f")),
            ("static const struct x y = {", Some("y")),
            ("struct x {", Some("x")),
            ("static int", Some("int")),
            ("out:", None),
            ("int f(void);", None),
            ("module_init(f);", None),
            ("\tif (a)", None),
            ("#if A", None),
            ("}", None),
            ("", None),
        ] {
            let found = function_begins(line.as_bytes()).map(String::from_utf8_lossy);
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn conditions_that_never_hold_are_counted_by_function() {
        let file = LinePairs::of(
            b"int f(void)\n{\n\tif (0)\n\t\ta();\n\tif (b && 0)\n\t\tc();\n\twhile (0)\n\t\td();\n}\nint g(void)\n{\n\tdo {} while (0);\n}\n",
        );
        let mut all: Vec<usize> = file.never.values().map(|found| found.count).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 3]);
    }

    #[test]
    fn line_is_lost_only_in_its_function() {
        let text = "int f(void)\n{\n\treturn 0;\n}\nint g(void)\n{\n\tlock();\n\treturn 0;\n}\n";
        let whole = LinePairs::of(text.as_bytes());
        let line = whole.more_lines_than(&LinePairs::of(text.replace("\tlock();\n", "").as_bytes())).next().unwrap().0;
        for (name, other, expected) in [
            ("the same", text.to_owned(), false),
            ("a bracket more", text.replace("lock();", "lock(); {"), false),
            ("other lines", text.replacen("\treturn 0;\n", "", 2), false),
            ("gone", text.replace("\tlock();\n", ""), true),
            (
                "in the other function",
                text.replace("\tlock();\n", "").replacen("\treturn", "\tlock();\n\treturn", 1),
                true,
            ),
            ("a renamed function", text.replace("g(void)", "h(void)"), false),
            ("a renamed function without it", text.replace("g(void)", "h(void)").replace("\tlock();\n", ""), true),
        ] {
            assert_eq!(LinePairs::of(other.as_bytes()).has_fewer(line, &whole), expected, "{name}");
        }
    }
}
