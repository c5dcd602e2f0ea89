//! Finds a bug by its name, a CVE, or a commit of its chain.

use super::super::text::{expected_one_of, one_of, quote};
use super::{Bug, Bugs};

/// The fewest digits of a commit, as in `git log --oneline`.
const DIGITS: usize = 7;

/// A text that matches no bug, or several.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchBug {
    /// No bug matches; the choices.
    #[error("unknown bug {0}: {1}")]
    Unknown(String, String),
    /// Several bugs have this CVE or commit.
    #[error("{0} matches several bugs: use {1}")]
    Ambiguous(String, String),
}

impl Bug {
    /// The CVEs that its references name.
    pub fn cves(&self) -> impl Iterator<Item = &str> {
        let words = self.references.iter().flat_map(|reference| reference.split(|c: char| !is_of_cve(c)));
        words.filter(|word| is_cve(word))
    }

    /// Whether the text is one of its CVEs, or begins one of its commits.
    fn is_known_as(&self, text: &str) -> bool {
        let is_commit = is_commit(text);
        let backports = |step: &super::Step| step.backports.iter().map(|b| b.commit.clone()).collect::<Vec<_>>();
        let mut commits = self.chain.iter().flat_map(|step| step.commit.iter().cloned().chain(backports(step)));
        // The text may have more digits than the dossier.
        let agrees = |known: &str| known.starts_with(text) || text.starts_with(known);
        self.cves().any(|cve| cve.eq_ignore_ascii_case(text)) || is_commit && commits.any(|id| agrees(id.as_str()))
    }
}

impl Bugs {
    /// The bug with this name, or else with this CVE in its references or this (abbreviated) commit in its chain.
    ///
    /// # Errors
    /// If none matches, with a suggestion; or if several match.
    pub fn find(&self, text: &str) -> Result<&Bug, NoSuchBug> {
        if let Some(bug) = self.iter().find(|bug| bug.id.as_str() == text) {
            return Ok(bug);
        }
        let lower = text.to_ascii_lowercase();
        let known: Vec<&Bug> = self.iter().filter(|bug| bug.is_known_as(&lower)).collect();
        match known.as_slice() {
            [bug] => Ok(bug),
            [] => {
                let names = || self.iter().map(|bug| bug.id.as_str());
                // CVEs differ only in digits, so a wrong one is rarely a typo: list the known ones.
                let expected = match is_cve(text) {
                    true => expected_one_of(text, names().chain(self.iter().flat_map(Bug::cves)).collect::<Vec<_>>()),
                    false => expected_one_of(text, names().collect::<Vec<_>>()),
                };
                Err(NoSuchBug::Unknown(quote(text), expected))
            }
            several => Err(NoSuchBug::Ambiguous(quote(text), one_of(several.iter().map(|bug| bug.id.as_str())))),
        }
    }
}

/// Whether a text is a CVE's number (https://www.cve.org: a year, and at least four digits).
pub fn is_cve(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>| {
        part.map_or(0, |part| if part.bytes().all(|b| b.is_ascii_digit()) { part.len() } else { 0 })
    };
    parts.next().is_some_and(|word| word.eq_ignore_ascii_case("CVE"))
        && digits(parts.next()) == 4
        && (4..=19).contains(&digits(parts.next()))
}

fn is_of_cve(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

fn is_commit(text: &str) -> bool {
    (DIGITS..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn bug_is_found_by_name_cve_and_commit() {
        let bugs = Bugs::built_in();
        for (text, expected) in [
            ("tcp-fragment-stall", "tcp-fragment-stall"),
            ("CVE-2019-11478", "tcp-fragment-stall"),
            ("cve-2019-11478", "tcp-fragment-stall"),
            ("f070ef2", "tcp-fragment-stall"),
            ("F070EF2AC667", "tcp-fragment-stall"),
            ("f070ef2ac66716357066b683fb0baf55f8191a2e", "tcp-fragment-stall"),
            // A backport, and a commit that the dossier abbreviates.
            ("1bc13903773b", "tcp-fragment-stall"),
            ("1bc13903773b00000000", "tcp-fragment-stall"),
            ("9721e709fa68", "zero-window-user-timeout"),
        ] {
            assert_eq!(bugs.find(text).map(|bug| bug.id.as_str()), Ok(expected), "{text}");
        }
        for (text, said) in [
            ("tcp-fragment-stal", "did you mean `tcp-fragment-stall`?"),
            ("CVE-2019-11479", "did you mean `CVE-2019-11478`?"),
            ("CVE-1999-0001", "CVE-2019-11478"),
            ("f070ef", "expected"),
            ("", "expected"),
        ] {
            let error = bugs.find(text).map_err(|error| error.to_string()).expect_err(text);
            assert!(error.contains(said) && error.starts_with("unknown bug"), "{text}: {error}");
        }
    }

    #[test]
    fn text_that_matches_several_bugs_is_rejected() {
        let bug = |id: &str| {
            let text = format!("id: {id}\ntitle: A bug\nsummary: It.\nreferences: [\"CVE-2024-1111, a page\"]\n");
            Bug::parse(&text, Path::new(&format!("{id}.yaml"))).expect("a dossier")
        };
        let bugs = Bugs(vec![bug("one"), bug("two")]);
        let error = bugs.find("CVE-2024-1111").map_err(|error| error.to_string());
        assert_eq!(error, Err("`CVE-2024-1111` matches several bugs: use `one` or `two`".to_owned()));
    }

    #[test]
    fn cve_has_a_year_and_a_number() {
        for (text, expected) in [
            ("CVE-2019-11478", true),
            ("cve-2026-31431", true),
            ("CVE-2019-1", false),
            ("CVE-19-11478", false),
            ("CVE-2019-11478x", false),
            ("CVE-2019", false),
            ("4.19.57", false),
        ] {
            assert_eq!(is_cve(text), expected, "{text}");
        }
    }
}
