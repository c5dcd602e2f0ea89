//! Reads the outcome of a program of the Linux Test Project: exit bits (`include/tst_res_flags.h`) and result lines.

use std::process::ExitStatus;

use super::judge::{ProgramJudgement, one_line, signal_of};
use backproof_protocol::Conclusion;

/// The exit bits.
const TFAIL: i32 = 1;
const TBROK: i32 = 2;
const TWARN: i32 = 4;
const TCONF: i32 = 32;

/// The most characters of a result line to quote.
const QUOTED: usize = 200;

/// The words of result lines, as `file.c:12: TFAIL: …` (new library) and `name 1 TFAIL : …` (old library) have them.
const WORDS: [&str; 5] = ["TPASS", "TFAIL", "TBROK", "TWARN", "TCONF"];

/// The words of lines that are remarks.
const REMARKS: [&str; 2] = ["TINFO", "TDEBUG"];

/// What a program's result lines say.
#[derive(Debug, Default)]
pub(super) struct LtpLines {
    counts: [u32; WORDS.len()],
    /// The first line of each kind.
    first: [Option<String>; WORDS.len()],
}

impl LtpLines {
    /// Takes a line of stdout or stderr.
    pub(super) fn line(&mut self, line: &str) {
        // The words before it are the file or the test, and a number; those after it are the message.
        let mut words = line.split_whitespace().take(3).map(|word| word.strip_suffix(':').unwrap_or(word));
        let Some(word) = words.find(|word| WORDS.contains(word) || REMARKS.contains(word)) else { return };
        let Some(kind) = WORDS.iter().position(|known| *known == word) else { return };
        self.counts[kind] = self.counts[kind].saturating_add(1);
        self.first[kind].get_or_insert_with(|| one_line(line.trim()).chars().take(QUOTED).collect());
    }

    /// Takes what the other stream said.
    pub(super) fn merge(&mut self, other: Self) {
        for (kind, first) in other.first.into_iter().enumerate() {
            self.counts[kind] = self.counts[kind].saturating_add(other.counts[kind]);
            if self.first[kind].is_none() {
                self.first[kind] = first;
            }
        }
    }

    fn count(&self, word: &str) -> u32 {
        WORDS.iter().position(|known| *known == word).map_or(0, |kind| self.counts[kind])
    }

    fn first(&self, word: &str) -> Option<&str> {
        WORDS.iter().position(|known| *known == word).and_then(|kind| self.first[kind].as_deref())
    }
}

/// Judges a program that has ended. Its bits decide, and its lines must not contradict them.
///
/// TFAIL wins over the other bits, as LTP's own runners count it: what it saw is not undone by a later breakage.
pub(super) fn judge(status: ExitStatus, lines: &LtpLines) -> ProgramJudgement {
    let Some(code) = status.code() else {
        return ProgramJudgement::error(format!("its program was killed by {}", signal_of(status)));
    };
    let quoted = |word: &str| lines.first(word).map_or_else(String::new, |line| format!(": {line}"));
    if code & !(TFAIL | TBROK | TWARN | TCONF) != 0 {
        return ProgramJudgement::error(format!("its program exited with {code}, which LTP does not use"));
    }
    let counted = format!("{} TPASS, {} TFAIL", lines.count("TPASS"), lines.count("TFAIL"));
    if code & TFAIL != 0 {
        let why = format!("its program exited with {code} ({counted}){}", quoted("TFAIL"));
        return ProgramJudgement::of(Conclusion::Affected, why).reported(lines.count("TFAIL") > 0);
    }
    if let Some(line) = lines.first("TFAIL") {
        return ProgramJudgement::error(format!("its program exited with {code} although it printed `{line}`"));
    }
    if code & TBROK != 0 {
        return ProgramJudgement::error(format!("its program broke (TBROK){}", quoted("TBROK")));
    }
    if let Some(line) = lines.first("TBROK") {
        return ProgramJudgement::error(format!("its program exited with {code} although it printed `{line}`"));
    }
    if code & TWARN != 0 {
        return ProgramJudgement::error(format!(
            "its program warned (TWARN), so its result is in doubt{}",
            quoted("TWARN")
        ));
    }
    if code & TCONF != 0 {
        return ProgramJudgement::of(Conclusion::Skip, format!("does not apply here (TCONF){}", quoted("TCONF")));
    }
    let why = format!("its program exited with 0 ({counted}){}", quoted("TPASS"));
    ProgramJudgement::of(Conclusion::NotAffected, why).reported(lines.count("TPASS") > 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use proptest::prelude::*;

    use super::*;

    fn judged(code: i32, text: &str) -> ProgramJudgement {
        let mut lines = LtpLines::default();
        text.lines().for_each(|line| lines.line(line));
        judge(ExitStatus::from_raw(code << 8), &lines)
    }

    #[test]
    fn exit_bits_decide_and_lines_must_agree() {
        use Conclusion::{Affected, Error, NotAffected, Skip};
        let table = [
            (0, "", NotAffected, "exited with 0"),
            (0, "a.c:12: TPASS: fine", NotAffected, "1 TPASS, 0 TFAIL): a.c:12: TPASS: fine"),
            (0, "a 1 TFAIL : no", Error, "although it printed"),
            (0, "a.c:12: TBROK: no", Error, "although it printed"),
            (1, "", Affected, "exited with 1"),
            (1, "a.c:9: TPASS: x\na.c:12: TFAIL: lost", Affected, "1 TPASS, 1 TFAIL): a.c:12: TFAIL: lost"),
            (3, "a.c:12: TFAIL: lost", Affected, "lost"),
            (2, "a.c:3: TBROK: open failed", Error, "broke (TBROK): a.c:3: TBROK: open failed"),
            (4, "", Error, "TWARN"),
            (6, "", Error, "TBROK"),
            (32, "a.c:3: TCONF: no sctp", Skip, "(TCONF): a.c:3: TCONF: no sctp"),
            (36, "", Error, "TWARN"),
            (33, "", Affected, "exited with 33"),
            (34, "", Error, "TBROK"),
            (8, "", Error, "LTP does not use"),
            (127, "", Error, "LTP does not use"),
            (129, "", Error, "LTP does not use"),
            // A message that only mentions a word is no result.
            (0, "a.c:3: TINFO: would be TFAIL elsewhere", NotAffected, "0 TFAIL"),
            (0, "a.c:3: TINFO: TFAIL is what others print", NotAffected, "0 TFAIL"),
            (0, "a.c:3: TDEBUG: TBROK", NotAffected, "0 TFAIL"),
        ];
        for (code, text, conclusion, why) in table {
            let found = judged(code, text);
            assert_eq!(found.conclusion, conclusion, "{code} {text:?}: {found:?}");
            assert!(found.why.contains(why), "{code} {text:?}: {}", found.why);
        }
        let killed = judge(ExitStatus::from_raw(9), &LtpLines::default());
        assert_eq!((killed.conclusion, killed.why.as_str()), (Error, "its program was killed by signal 9"));
    }

    #[test]
    fn result_without_a_line_is_not_reported() {
        for (code, text, reported) in [
            (0, "", false),
            (0, "a.c:1: TPASS: x", true),
            (1, "", false),
            (1, "a.c:1: TPASS: x", false),
            (1, "a.c:1: TFAIL: x", true),
        ] {
            assert_eq!(judged(code, text).reported, reported, "{code} {text}");
        }
    }

    proptest! {
        #[test]
        fn only_agreeing_bits_make_a_verdict(code in 0_i32..256, text in "(a\\.c:1: T(PASS|FAIL|BROK|CONF|WARN): x\n){0,3}\\PC{0,20}") {
            let found = judged(code, &text);
            match found.conclusion {
                Conclusion::NotAffected => prop_assert!(code == 0 && !text.contains("TFAIL") && !text.contains("TBROK")),
                Conclusion::Affected => prop_assert!(code & TFAIL != 0 && code < 64),
                Conclusion::Skip => prop_assert_eq!(code, TCONF),
                _ => {}
            }
            prop_assert!(!found.why.contains(char::is_control));
        }
    }
}
