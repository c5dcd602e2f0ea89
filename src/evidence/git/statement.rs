//! Splits a message into statements: a line, or the lines inside one pair of brackets.

use std::cell::OnceCell;

use super::message::{Abbreviation, names};

/// The most lines to join for one pair of brackets.
const MOST_LINES: usize = 6;
/// The longest line to split into words, in bytes. Lists of commits are shorter, but memory dumps are longer.
const LONGEST: usize = 2_000;
/// Words between two names of a list.
const BETWEEN: [&str; 7] = ["and", "commit", "commits", "upstream", "plus", "the", "or"];

/// A word of a statement, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatementWord {
    pub text: String,
    /// The commit that it names.
    pub commit: Option<Abbreviation>,
    /// Whether it is a number, or a kernel's version.
    pub is_number: bool,
}

/// One statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// Its first line, and the one after its last.
    pub first: usize,
    pub end: usize,
    pub text: String,
    words: OnceCell<Vec<StatementWord>>,
}

/// The statements of these lines.
pub(super) fn statements<'a>(lines: &'a [&'a [u8]]) -> impl Iterator<Item = Statement> + 'a {
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = at;
        let line = lines.get(first)?;
        at += 1;
        let mut text = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]).into_owned();
        if let Some(open) = text.chars().next().filter(|open| ['[', '('].contains(open)) {
            let close = if open == '[' { ']' } else { ')' };
            let is_open = |text: &str| text.matches(open).count() > text.matches(close).count();
            while is_open(&text) && at - first < MOST_LINES {
                let Some(line) = lines.get(at).filter(|line| !line.is_empty() && line.len() < LONGEST) else { break };
                text.push(' ');
                text.push_str(&String::from_utf8_lossy(line));
                at += 1;
            }
            if is_open(&text) {
                // Unclosed brackets make an ordinary line.
                at = first + 1;
                text = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]).into_owned();
            }
        }
        Some(Statement { first, end: at, text, words: OnceCell::new() })
    })
}

impl Statement {
    /// A line as a statement.
    pub fn of(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]).into_owned();
        Self { first: 0, end: 1, text, words: OnceCell::new() }
    }

    /// Its words, without quotations and web addresses.
    pub fn words(&self) -> &[StatementWord] {
        self.words.get_or_init(|| words(&self.text))
    }

    /// Whether it begins with a bracket.
    pub fn is_bracketed(&self) -> bool {
        self.text.starts_with(['[', '('])
    }

    /// Its key before the colon, if it is a trailer: a few words at most.
    pub fn key(&self) -> String {
        let (key, _) = self.text.split_once(':').unwrap_or_default();
        let is_key = key.len() <= 40 && key.split_whitespace().count() <= 4;
        let is_key = is_key && key.chars().all(|c| c.is_alphanumeric() || " -_'".contains(c));
        if is_key { key.trim().to_lowercase().replace([' ', '_'], "-") } else { String::new() }
    }

    /// Whether it is a trailer, or like one: `Upstream Status: commit X`.
    pub fn is_keyed(&self) -> bool {
        let key = self.key();
        !key.is_empty() && names(key.as_bytes()).is_empty()
    }

    /// Whether it ends its sentence.
    pub fn ends_sentence(&self) -> bool {
        self.text.ends_with(['.', ')', ']', ';', ':', '"'])
    }

    /// Whether its list continues in the next line.
    pub fn goes_on(&self) -> bool {
        let text = self.text.trim_end();
        text.ends_with([',', ':', '&', '+']) || self.words().last().is_some_and(|word| word.text == "and")
    }

    /// Whether it can be an item of a list of commits.
    pub fn is_item(&self) -> bool {
        begins_with_name(self.text.as_bytes()) || self.text.starts_with(['*', '-', '+', '|'])
    }

    /// The first list of commit names, with the words before and after. None if there is none.
    pub fn run(&self) -> Option<(&[StatementWord], Vec<Abbreviation>, &[StatementWord])> {
        if names(self.text.as_bytes()).is_empty() {
            return None;
        }
        let words = self.words();
        let first = words.iter().position(|word| word.commit.is_some())?;
        let (mut commits, mut end) = (vec![words[first].commit?], first + 1);
        for (at, word) in words.iter().enumerate().skip(first + 1) {
            match word.commit {
                Some(commit) => {
                    commits.push(commit);
                    end = at + 1;
                }
                None if BETWEEN.contains(&word.text.as_str()) || word.is_number => {}
                None => break,
            }
        }
        Some((&words[..first], commits, &words[end..]))
    }
}

/// Whether a line begins with a commit's name, perhaps after a bullet, a bracket, or the word commit.
pub(super) fn begins_with_name(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&line[..line.len().min(200)]);
    let text = text.trim_start_matches(|c: char| c.is_ascii_punctuation() || c.is_whitespace());
    let mut rest = text
        .split_whitespace()
        .filter(|word| !["commit", "upstream", "commits"].contains(&word.to_lowercase().as_str()));
    rest.next().is_some_and(|word| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let name = word.rsplit(['/', '=', ':']).next().unwrap_or_default();
        Abbreviation::parse(name.as_bytes()).is_some_and(|name| !name.is_address_or_date())
    })
}

fn words(text: &str) -> Vec<StatementWord> {
    let mut found = Vec::new();
    let text = without_quotations(text);
    // Words of seven letters that could be digits are names only if there is no better one.
    let best = names(text.as_bytes());
    for chunk in text.split_whitespace() {
        if chunk.contains("://") {
            let named =
                names(chunk.as_bytes()).into_iter().rfind(|(_, name)| best.iter().any(|(_, best)| best == name));
            found.extend(named.map(|(_, commit)| StatementWord {
                text: String::new(),
                commit: Some(commit),
                is_number: false,
            }));
            continue;
        }
        let bare = chunk.trim_matches(|c: char| !c.is_alphanumeric());
        if is_version(bare) {
            found.push(StatementWord { text: String::new(), commit: None, is_number: true });
            continue;
        }
        for part in chunk.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()) {
            let commit = Abbreviation::parse(part.as_bytes())
                .filter(|name| !name.is_address_or_date() && best.iter().any(|(_, best)| best == name));
            let is_number = commit.is_none() && part.bytes().all(|b| b.is_ascii_digit());
            found.push(StatementWord { text: part.to_ascii_lowercase(), commit, is_number });
        }
    }
    found
}

/// `4.19`, `v5.3-rc2`, `linux-4.19.y`, `4.4.y-cip`.
fn is_version(chunk: &str) -> bool {
    let digits = chunk.trim_start_matches("linux-").trim_start_matches(['v', 'V']);
    let mut parts = digits.splitn(2, '.');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    let major = parts.next();
    is_number(major) && major.is_some_and(|part| part.len() < 3) && is_number(parts.next())
}

/// A text without the subjects that it quotes: `X ("tcp: x")`, `X (tcp: x)`, `X "tcp: x"`.
fn without_quotations(text: &str) -> String {
    let text = match (text.find('"'), text.rfind('"')) {
        (Some(open), Some(close)) if open < close => {
            format!("{} {}", text[..open].trim_end_matches(['(', ' ']), text[close + 1..].trim_start_matches(')'))
        }
        _ => text.to_owned(),
    };
    // A subject in brackets directly after a name.
    for (at, _) in text.match_indices(" (") {
        let name = text[..at].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if Abbreviation::parse(name.as_bytes()).is_some()
            && let Some(close) = text[at..].find(')')
            && text[at..at + close].contains(": ")
        {
            return format!("{} {}", &text[..at], &text[at + close + 1..]);
        }
    }
    text
}
