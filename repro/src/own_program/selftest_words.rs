//! What a kernel selftest says that prints no KTAP. Its runner goes by the status alone, and counts a missing command as a
//! failure, and a failure that the test forgot as a pass.

use super::judge::{ProgramJudgement, one_line};
use backproof_protocol::Conclusion;

/// The most characters of a line to quote.
const QUOTED: usize = 200;

/// Words in capitals, as in `TEST: two routes [FAIL]`.
const FAILED: [&str; 2] = ["FAIL", "FAILED"];
const PASSED: [&str; 3] = ["PASS", "PASSED", "OK"];
const SKIPPED: [&str; 2] = ["SKIP", "SKIPPED"];

/// The first line of each kind.
#[derive(Debug, Default)]
pub(super) struct SelftestWords {
    failed: Option<String>,
    passed: bool,
    skipped: Option<String>,
    /// A shell, or ip(8), did not find a command.
    lacks: Option<String>,
}

impl SelftestWords {
    /// Takes a line.
    pub(super) fn line(&mut self, line: &str) {
        let line = line.trim();
        let quoted = || one_line(line).chars().take(QUOTED).collect::<String>();
        let says = |words: &[&str]| says(line, words);
        if says(&FAILED) {
            self.failed.get_or_insert_with(quoted);
        }
        if says(&SKIPPED) {
            self.skipped.get_or_insert_with(quoted);
        }
        self.passed |= says(&PASSED);
        if line.ends_with(": command not found")
            || line.ends_with(": not found")
            || line.starts_with("exec of ") && line.ends_with(" failed: No such file or directory")
        {
            self.lacks.get_or_insert_with(quoted);
        }
    }

    /// Both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            failed: self.failed.or(other.failed),
            passed: self.passed || other.passed,
            skipped: self.skipped.or(other.skipped),
            lacks: self.lacks.or(other.lacks),
        }
    }

    /// Judges a program that exited with this status and printed no result. A failure needs both, a status and a word.
    pub(super) fn judge(&self, code: i32) -> ProgramJudgement {
        let exited = format!("its program exited with {code}");
        if let Some(line) = &self.lacks {
            return ProgramJudgement::error(format!("{exited} and printed no result, and it lacks a command: {line}"));
        }
        match (code, &self.failed, &self.skipped) {
            (0, Some(line), _) => ProgramJudgement::error(format!("{exited}, but it said: {line}")),
            (0, None, Some(line)) if !self.passed => {
                ProgramJudgement::of(Conclusion::Skip, format!("{exited} and said: {line}"))
            }
            (0, None, _) => ProgramJudgement::of(Conclusion::NotAffected, format!("{exited} and printed no result")),
            (_, Some(line), _) => ProgramJudgement::of(Conclusion::Affected, format!("{exited} and said: {line}")),
            (_, None, _) => ProgramJudgement::error(format!("{exited} and printed no result")),
        }
    }
}

/// Whether a line has one of these words. A sum of none, as in `FAIL: 0`, says nothing.
fn says(line: &str, words: &[&str]) -> bool {
    let mut parts = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        if words.contains(&part) && parts.peek() != Some(&"0") {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_needs_a_status_and_a_word() {
        use Conclusion::{Affected, Error, NotAffected, Skip};
        for (code, text, conclusion, why) in [
            (0, "", NotAffected, "exited with 0 and printed no result"),
            (0, "TEST: a [ OK ]\nSKIP: no module fou", NotAffected, "printed no result"),
            (0, "SKIP: Could not run test without ip tool", Skip, "without ip tool"),
            (0, "TEST: a [ OK ]\n    TEST: b   [FAIL]", Error, "exited with 0, but it said: TEST: b   [FAIL]"),
            (1, "TEST: a [ OK ]\n    TEST: b   [FAIL]", Affected, "exited with 1 and said: TEST: b   [FAIL]"),
            (1, "FAIL: tc htb hierarchy", Affected, "tc htb"),
            (1, "cannot open /dev/x", Error, "printed no result"),
            (1, "PASS: 3 FAIL: 0\nXFAIL: a", Error, "printed no result"),
            (0, "./t.sh: line 280: ip: command not found", Error, "lacks a command"),
            (1, "FAIL: a\n./t.sh: 3: tc: not found", Error, "tc: not found"),
            (1, "FAIL: a\nexec of \"ping\" failed: No such file or directory", Error, "ping"),
        ] {
            let mut words = SelftestWords::default();
            text.lines().for_each(|line| words.line(line));
            // Whichever stream it is on.
            let judged = SelftestWords::default().and(words).judge(code);
            assert_eq!(judged.conclusion, conclusion, "{code} {text}: {judged:?}");
            assert!(judged.why.contains(why) && !judged.reported, "{text}: {judged:?}");
        }
    }
}
