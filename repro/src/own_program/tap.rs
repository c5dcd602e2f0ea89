//! Reads the outcome of a program that prints TAP (testanything.org, versions 12 to 14) or KTAP (the kernel's
//! Documentation/dev-tools/ktap.rst).

use std::process::ExitStatus;

use super::judge::{ProgramJudgement, one_line, signal_of};
use super::selftest_words::SelftestWords;
use backproof_protocol::Conclusion;

/// The exit status of a skipped kernel selftest (tools/testing/selftests/kselftest.h, `KSFT_SKIP`).
const KSFT_SKIP: i32 = 4;

/// The most characters of a result line to quote.
const QUOTED: usize = 200;

/// Which of the two a program prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TapKind {
    /// A plan is required.
    Tap,
    /// The plan may be missing, and some statuses have a meaning.
    Ktap,
}

/// What a program's lines say. Only those of the outermost level count, because each result there sums up those below it.
#[derive(Debug, Default)]
pub(super) struct TapLines {
    /// The number of planned tests.
    plan: Option<u32>,
    /// Why the plan skips all of them.
    skips_all: Option<String>,
    passed: u32,
    failed: u32,
    skipped: u32,
    first_failed: Option<String>,
    first_skipped: Option<String>,
    bailed_out: Option<String>,
    /// A line that contradicts the format.
    wrong: Option<String>,
    /// Whether it names the format's version, as the first line of both should.
    has_version: bool,
    words: SelftestWords,
}

impl TapLines {
    /// Takes a line of stdout.
    pub(super) fn line(&mut self, line: &str) {
        let quoted = || one_line(line.trim()).chars().take(QUOTED).collect::<String>();
        self.words.line(line);
        self.has_version |= line.starts_with("TAP version") || line.starts_with("KTAP version");
        if let Some(why) = line.strip_prefix("Bail out!") {
            self.bailed_out.get_or_insert_with(|| one_line(why.trim()).chars().take(QUOTED).collect());
        } else if let Some((number, directive)) = plan(line) {
            if self.plan.replace(number).is_some() {
                self.wrong.get_or_insert_with(|| format!("a second plan, `{}`", quoted()));
            }
            if number == 0 {
                self.skips_all = Some(directive.to_owned());
            }
        } else if let Some((ok, rest)) = result(line) {
            match (ok, directive(rest)) {
                (_, Some("skip")) => {
                    self.skipped += 1;
                    self.first_skipped.get_or_insert_with(quoted);
                }
                // A known failure, and one that was expected to fail and did not, are no verdict (TAP: "should not be
                // considered a failure").
                (_, Some("todo" | "xfail")) | (true, _) => self.passed += 1,
                (false, _) => {
                    self.failed += 1;
                    self.first_failed.get_or_insert_with(quoted);
                }
            }
        }
    }

    /// Adds what it said on stderr.
    pub(super) fn with(self, stderr: SelftestWords) -> Self {
        Self { words: self.words.and(stderr), ..self }
    }

    fn results(&self) -> u32 {
        self.passed.saturating_add(self.failed).saturating_add(self.skipped)
    }
}

/// `1..4`, `1..0 # SKIP no device`.
fn plan(line: &str) -> Option<(u32, &str)> {
    let rest = line.strip_prefix("1..")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, after) = rest.split_at(end);
    let after = after.trim_start();
    if !after.is_empty() && !after.starts_with('#') {
        return None;
    }
    Some((number.parse().ok()?, after.trim_start_matches('#').trim()))
}

/// `ok 1 - name`, `not ok 2 name`: whether it passed, and the rest.
fn result(line: &str) -> Option<(bool, &str)> {
    let (ok, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    (rest.is_empty() || rest.starts_with(' ')).then_some((ok, rest))
}

/// The directive of a result: `# SKIP why`, `# TODO why`, `# XFAIL why`.
fn directive(rest: &str) -> Option<&'static str> {
    let (_, after) = rest.rsplit_once('#')?;
    let after = after.trim_start();
    ["skip", "todo", "xfail"]
        .into_iter()
        .find(|word| after.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
}

/// Judges a program that has ended. Its results decide, and its status must not contradict them.
pub(super) fn judge(kind: TapKind, status: ExitStatus, lines: &TapLines) -> ProgramJudgement {
    let error = |why: String| ProgramJudgement::error(why);
    let Some(code) = status.code() else { return error(format!("its program was killed by {}", signal_of(status))) };
    let counted = format!("{} ok, {} not ok, {} skipped", lines.passed, lines.failed, lines.skipped);
    if let Some(why) = &lines.bailed_out {
        return error(format!("its program bailed out ({counted}): {why}"));
    }
    if let Some(wrong) = &lines.wrong {
        return error(format!("its program printed {wrong}"));
    }
    let is_skip = kind == TapKind::Ktap && code == KSFT_SKIP;
    if lines.skips_all.is_some() || (is_skip && lines.passed + lines.failed == 0) {
        let why =
            lines.skips_all.as_ref().or(lines.first_skipped.as_ref()).map_or_else(String::new, |w| format!(": {w}"));
        return match code {
            0 | KSFT_SKIP if lines.results() == lines.skipped => {
                ProgramJudgement::of(Conclusion::Skip, format!("its program skipped all of its tests{why}"))
            }
            _ => error(format!("its program skipped all of its tests and exited with {code} ({counted})")),
        };
    }
    if let Some(first) = &lines.first_failed {
        let why = format!("its program exited with {code} ({counted}): {first}");
        return ProgramJudgement::of(Conclusion::Affected, why)
            .reported(lines.plan.is_none_or(|n| n == lines.results()));
    }
    match lines.plan {
        // Many of the kernel's selftests print no KTAP, and their runner goes by the status (kselftest/runner.sh).
        None if lines.results() == 0 && kind == TapKind::Ktap && !lines.has_version => return lines.words.judge(code),
        None if lines.results() == 0 => return error(format!("its program exited with {code} and printed no result")),
        None if kind == TapKind::Tap => return error(format!("its program printed no plan, such as 1..4 ({counted})")),
        Some(planned) if planned != lines.results() => {
            return error(format!("its program planned {planned} tests and reported {} ({counted})", lines.results()));
        }
        _ => {}
    }
    if lines.skipped == lines.results() && matches!(code, 0 | KSFT_SKIP) {
        let why = lines.first_skipped.as_deref().unwrap_or_default();
        return ProgramJudgement::of(Conclusion::Skip, format!("its program skipped all of its tests: {why}"));
    }
    if code != 0 {
        return error(format!("its program exited with {code} although no test failed ({counted})"));
    }
    ProgramJudgement::of(Conclusion::NotAffected, format!("its program exited with 0 ({counted})"))
        .reported(lines.passed > 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use proptest::prelude::*;

    use super::*;

    fn judged(kind: TapKind, code: i32, text: &str) -> ProgramJudgement {
        let mut lines = TapLines::default();
        text.lines().for_each(|line| lines.line(line));
        judge(kind, ExitStatus::from_raw(code << 8), &lines)
    }

    #[test]
    fn results_decide_and_the_status_must_agree() {
        use Conclusion::{Affected, Error, NotAffected, Skip};
        use TapKind::{Ktap, Tap};
        let table = [
            (Tap, 0, "TAP version 13\n1..2\nok 1 - a\nok 2 - b", NotAffected, "2 ok, 0 not ok, 0 skipped"),
            (Tap, 0, "ok 1\nok 2\n1..2", NotAffected, "2 ok"),
            (Tap, 1, "1..2\nok 1\nnot ok 2 - it leaks", Affected, "not ok 2 - it leaks"),
            (Tap, 0, "1..2\nok 1\nnot ok 2 - it leaks", Affected, "exited with 0"),
            (Tap, 0, "1..2\nok 1 - a", Error, "planned 2 tests and reported 1"),
            (Tap, 0, "1..1\nok 1\nok 2", Error, "planned 1 tests and reported 2"),
            (Tap, 0, "ok 1 - a", Error, "no plan"),
            (Ktap, 0, "KTAP version 1\nok 1 - a", NotAffected, "1 ok"),
            (Ktap, 0, "some words", NotAffected, "printed no result"),
            (Ktap, 1, "    TEST: two routes        [FAIL]", Affected, "TEST: two routes"),
            (Ktap, 0, "KTAP version 1\nFAIL", Error, "printed no result"),
            (Tap, 1, "TEST: two routes [FAIL]", Error, "printed no result"),
            (Ktap, 1, "", Error, "printed no result"),
            (Ktap, 0, "KTAP version 1", Error, "printed no result"),
            (Tap, 0, "", Error, "printed no result"),
            (Ktap, 4, "KTAP version 1\n1..1\nok 1 # SKIP no device", Skip, "no device"),
            (Ktap, 4, "KTAP version 1", Skip, "skipped all"),
            (Ktap, 4, "1..2\nok 1\nok 2 # skip", Error, "although no test failed"),
            (Tap, 0, "1..0 # SKIP not root", Skip, "SKIP not root"),
            (Tap, 1, "1..0 # SKIP not root", Error, "skipped all of its tests and exited with 1"),
            (Tap, 1, "1..1\nok 1", Error, "although no test failed"),
            (Tap, 0, "1..2\nok 1 # SKIP x\nok 2", NotAffected, "1 ok, 0 not ok, 1 skipped"),
            (Tap, 0, "1..2\nok 1\nnot ok 2 # TODO later", NotAffected, "2 ok"),
            (Tap, 1, "1..2\nok 1\nBail out! no memory", Error, "bailed out (1 ok, 0 not ok, 0 skipped): no memory"),
            (Tap, 0, "1..2\n1..2\nok 1\nok 2", Error, "second plan"),
            // Results of subtests belong to the result that follows them.
            (Ktap, 0, "1..1\n  1..2\n  ok 1\n  not ok 2 # SKIP\nok 1 - all", NotAffected, "1 ok"),
            (Ktap, 0, "1..1\n    not ok 1 - inner\nok 1 - outer", NotAffected, "1 ok"),
            (Ktap, 0, "1..1\nokay\nok 1", NotAffected, "1 ok"),
        ];
        for (kind, code, text, conclusion, why) in table {
            let found = judged(kind, code, text);
            assert_eq!(found.conclusion, conclusion, "{code} {text:?}: {found:?}");
            assert!(found.why.contains(why), "{code} {text:?}: {}", found.why);
        }
        let killed = judge(Tap, ExitStatus::from_raw(11), &TapLines::default());
        assert_eq!((killed.conclusion, killed.why.as_str()), (Error, "its program was killed by signal 11"));
    }

    proptest! {
        #[test]
        fn pass_means_that_all_planned_tests_passed(
            code in 0_i32..6,
            text in "((1\\.\\.[0-3]|ok [1-3]|not ok 1|ok 1 # SKIP|Bail out!|  ok 1)\n){0,5}\\PC{0,8}",
        ) {
            let found = judged(TapKind::Tap, code, &text);
            if found.conclusion == Conclusion::NotAffected {
                let not_ok = text.lines().any(|line| line.starts_with("not ok"));
                prop_assert!(code == 0 && !not_ok && !text.contains("Bail") && text.lines().any(|l| l.starts_with("1..")));
            }
            prop_assert!(!found.why.contains(char::is_control));
        }
    }
}
