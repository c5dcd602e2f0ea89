//! Everything that a guest said. In virtual time the same guest says the same, to the byte.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::agent::MAX_BYTES;
use crate::kernel::hex;

/// The number of characters of a line to show in a difference.
const SHOWN: usize = 160;

/// A guest's output on its two ports, as in the files of a boot's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The kernel's console: console.log.
    pub console: Vec<u8>,
    /// The agent's port: agent.jsonl.
    pub agent: Vec<u8>,
}

/// The first line in which two transcripts differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptDifference {
    /// The file's name in the boot's folder.
    pub file: &'static str,
    /// The line, from 1 on.
    pub line: usize,
    /// The earlier line; None if the file ended before.
    pub then: Option<String>,
    /// The current line; None if the file ends before.
    pub now: Option<String>,
}

impl Transcript {
    /// Adds bytes of the agent, and returns those that are kept.
    pub(super) fn take_agent<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = MAX_BYTES.saturating_sub(self.agent.len());
        let kept = &bytes[..bytes.len().min(room)];
        self.agent.extend_from_slice(kept);
        kept
    }

    /// SHA-256 of both, as `cat console.log agent.jsonl | sha256sum` prints it.
    pub fn sha256(&self) -> String {
        hex(Sha256::new().chain_update(&self.console).chain_update(&self.agent))
    }

    /// The first line that differs from what the guest said `then`; None if nothing does.
    pub fn difference(&self, then: &Self) -> Option<TranscriptDifference> {
        let files = [("console.log", &then.console, &self.console), ("agent.jsonl", &then.agent, &self.agent)];
        files.into_iter().find_map(|(file, then, now)| {
            let (mut before, mut after) = (lines(then), lines(now));
            let mut line = 0;
            loop {
                line += 1;
                match (before.next(), after.next()) {
                    (None, None) => return None,
                    (then, now) if then == now => {}
                    (then, now) => {
                        return Some(TranscriptDifference { file, line, then: then.map(shown), now: now.map(shown) });
                    }
                }
            }
        })
    }
}

impl fmt::Display for TranscriptDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |line: &Option<String>| line.as_ref().map_or("(nothing)".to_owned(), |line| format!("`{line}`"));
        write!(f, "{} line {}: then {}, now {}", self.file, self.line, said(&self.then), said(&self.now))
    }
}

/// The lines with their ends, so that a difference there counts.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown: String =
        text.trim_end().chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.trim_end().chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(console: &str, agent: &str) -> Transcript {
        Transcript { console: console.into(), agent: agent.into() }
    }

    #[test]
    fn first_line_that_differs_is_named() {
        let then = transcript("a\nb\n", "{}\n");
        let table = [
            (transcript("a\nb\n", "{}\n"), None),
            (transcript("a\nc\n", "{}\n"), Some("console.log line 2: then `b`, now `c`")),
            (transcript("a\n", "{}\n"), Some("console.log line 2: then `b`, now (nothing)")),
            (transcript("a\nb", "{}\n"), Some("console.log line 2: then `b`, now `b`")),
            (transcript("a\nb\n", "{}\n{1}\n"), Some("agent.jsonl line 2: then (nothing), now `{1}`")),
            (transcript("a\nb\u{1b}\n", "x\n"), Some("console.log line 2: then `b`, now `b\u{fffd}`")),
        ];
        for (now, want) in table {
            assert_eq!(now.difference(&then).map(|found| found.to_string()).as_deref(), want);
        }
        let long = "x".repeat(1000);
        let found = transcript(&long, "").difference(&Transcript::default()).expect("a difference").to_string();
        assert!(found.len() < 300 && found.contains('…'), "{found}");
    }

    #[test]
    fn sha256_is_that_of_both_files() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Transcript::default().sha256(), empty);
        assert_eq!(transcript("ab", "c").sha256(), transcript("", "abc").sha256());
    }
}
