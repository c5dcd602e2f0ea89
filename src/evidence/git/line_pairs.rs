//! Which lines of code follow each other in each function of a file. A statement that moves, and short lines that are
//! in many places, are only told by their neighbours.

use std::collections::HashMap;

use super::conditions::code;
use super::content::letters;
use super::line_words::hash;

/// A line of code in a function, without white space and a bracket at its end. Hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LineInFunction {
    function: u64,
    line: u64,
}

/// Two lines of code that follow each other in a function. Hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LinePair {
    function: u64,
    lines: [u64; 2],
    /// The line above both, without regard to brackets: it tells blocks with equal ends from each other.
    above: Option<u64>,
}

impl LinePair {
    /// Both lines.
    pub fn lines(self) -> [LineInFunction; 2] {
        self.lines.map(|line| LineInFunction { function: self.function, line })
    }

    /// Whether it is a pair with the line above it.
    pub fn has_above(self) -> bool {
        self.above.is_some()
    }

    pub fn function(self) -> FunctionId {
        FunctionId(self.function)
    }
}

impl LineInFunction {
    pub fn function(self) -> FunctionId {
        FunctionId(self.function)
    }
}

/// A function. Hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FunctionId(u64);

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
    /// How many conditions that never hold a function has; 0 for each function without one.
    never: HashMap<u64, Occurrences>,
}

impl LinePairs {
    /// Of a file in C, or in anything else with short lines.
    pub fn of(text: &[u8]) -> Self {
        let mut found = Self::default();
        let code = code(text);
        let mut function = hash(b"");
        // The last line, the last two with letters, and the open `#if 0` and `#if 1`.
        let (mut last, mut lettered, mut constant) = (None, [None; 2], Constants::default());
        for (number, line) in code.split(|b| *b == b'\n').enumerate() {
            let bare: Vec<u8> = line.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
            if constant.skips(&bare) {
                continue;
            }
            if let Some(name) = function_begins(line) {
                (function, last, lettered) = (hash(name), None, [None; 2]);
                found.never.entry(function).or_default();
            }
            // Brackets around a single statement change nothing.
            let open = bare.strip_suffix(b"{").unwrap_or(&bare);
            if open.is_empty() {
                continue;
            }
            let this = hash(open);
            let (before, from) = last.unwrap_or((hash(b""), number));
            let pair = LinePair { function, lines: [before, this], above: None };
            found.pairs.entry(pair).or_default().count([from, number]);
            last = Some((this, number));
            if letters(open) > 0 {
                if let [Some((above, _)), Some((before, from))] = lettered {
                    let pair = LinePair { function, lines: [before, this], above: Some(above) };
                    found.pairs.entry(pair).or_default().count([from, number]);
                }
                lettered = [lettered[1], last];
                found.lines.entry(LineInFunction { function, line: this }).or_default().count([number; 2]);
                *found.anywhere.entry(this).or_default() += 1;
            }
            if never_holds(&bare) {
                found.never.entry(function).or_default().count([number; 2]);
            }
            if line.starts_with(b"}") && !line.contains(&b'{') {
                (function, last, lettered) = (hash(b""), None, [None; 2]);
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

    pub fn get(&self, pair: LinePair) -> Occurrences {
        self.pairs.get(&pair).copied().unwrap_or_default()
    }

    /// The lines that functions of this file have more often than those of another one.
    pub fn more_lines_than<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (LineInFunction, Occurrences)> + 'a {
        let is_more = |(line, here): &(&LineInFunction, &Occurrences)| here.count > other.count_of(**line);
        self.lines.iter().filter(is_more).map(|(line, here)| (*line, *here))
    }

    /// The lines that this file, unlike `old`, has between those of a pair.
    pub fn new_within<'a>(&'a self, pair: LinePair, old: &'a Self) -> impl Iterator<Item = LineInFunction> + 'a {
        let begins = move |new: &LinePair| (new.lines[0] == pair.lines[0]).then_some(new.lines[1]);
        let ends = move |new: &LinePair| (new.lines[1] == pair.lines[1]).then_some(new.lines[0]);
        let here = move |(new, _): &(LinePair, _)| new.function == pair.function && new.above == pair.above;
        let within = self.more_than(old).filter(here).flat_map(move |(new, _)| [begins(&new), ends(&new)]);
        within.flatten().map(move |line| LineInFunction { function: pair.function, line })
    }

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
    fn count(&mut self, at: [usize; 2]) {
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
            let Some(Some(holds)) = open.last_mut() else { return open.contains(&Some(false)) };
            *holds = line == b"#else" && !*holds;
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
    [&b"if(0)"[..], b"if(0&&", b"if(false)", b"if(false&&", b"&&0)", b"&&false)"]
        .iter()
        .any(|never| line.windows(never.len()).any(|part| part == *never))
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
            ("another name", text.replace("f(int", "g(int"), 7),
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
            b"int f(void)\n{\n\tif (0)\n\t\ta();\n\tif (b && 0)\n\t\tc();\n}\nint g(void)\n{\n\tdo {} while (0);\n}\n",
        );
        let mut all: Vec<usize> = file.never.values().map(|found| found.count).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 2]);
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
