//! Judges a program of our own protocol by its exit status and its output: a pure function.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use serde::Deserialize;

use backproof_protocol::{Check, Conclusion, Role, Shown};

/// The most checks that a program may list.
const CHECKS_MAX: usize = 100;

/// The judgement of a user's program.
#[derive(Debug, PartialEq)]
pub(super) struct ProgramJudgement {
    /// The conclusion.
    pub(super) conclusion: Conclusion,
    /// One sentence for people.
    pub(super) why: String,
    /// The checks that it lists.
    pub(super) checks: Vec<Check>,
    /// Whether its output says the result, too, in a protocol without checks.
    pub(super) reported: bool,
}

impl ProgramJudgement {
    /// A conclusion with no checks.
    pub(super) fn of(conclusion: Conclusion, why: String) -> Self {
        Self { conclusion, why, checks: Vec::new(), reported: false }
    }

    /// An error, with no checks.
    pub(super) fn error(why: String) -> Self {
        Self::of(Conclusion::Error, why)
    }

    /// The same, and whether the program's output says it, too.
    pub(super) fn reported(self, reported: bool) -> Self {
        Self { reported, ..self }
    }
}

/// The signal that killed a program, for people.
pub(super) fn signal_of(status: ExitStatus) -> String {
    status.signal().map_or_else(|| "a signal".to_owned(), |signal| format!("signal {signal}"))
}

/// The JSON object that a program may print.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    conclusion: Verdict,
    why: String,
    #[serde(default)]
    checks: Vec<SaidCheck>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    NotAffected,
    Affected,
    NotApplicable,
    Error,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::NotAffected, Self::Affected, Self::NotApplicable, Self::Error];

    fn as_str(self) -> &'static str {
        match self {
            Self::NotAffected => "not-affected",
            Self::Affected => "affected",
            Self::NotApplicable => "not-applicable",
            Self::Error => "error",
        }
    }

    /// The conclusion for an exit status.
    fn of_code(code: i32) -> Self {
        match code {
            0 => Self::NotAffected,
            1 => Self::Affected,
            2 => Self::NotApplicable,
            _ => Self::Error,
        }
    }

    fn conclusion(self) -> Conclusion {
        match self {
            Self::NotAffected => Conclusion::NotAffected,
            Self::Affected => Conclusion::Affected,
            Self::NotApplicable => Conclusion::Skip,
            Self::Error => Conclusion::Error,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidCheck {
    name: String,
    role: SaidRole,
    shown: Shown,
    why: String,
    #[serde(default)]
    facts: BTreeMap<String, Option<i64>>,
}

/// The protocol's roles, except the one that only the agent uses (real connections).
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SaidRole {
    Recipe,
    NegativeControl,
    PositiveControl,
}

/// Judges a program of which only the exit status counts.
pub(super) fn by_status(status: ExitStatus) -> ProgramJudgement {
    let Some(code) = status.code() else {
        return ProgramJudgement::error(format!("its program was killed by {}", signal_of(status)));
    };
    let verdict = Verdict::of_code(code);
    let meaning = if verdict == Verdict::Error { String::new() } else { format!(" ({})", verdict.as_str()) };
    ProgramJudgement::of(verdict.conclusion(), format!("its program exited with {code}{meaning}"))
}

/// Judges a program that was to crash the kernel, which lives. Another status than 0 may mean that it did not get far.
pub(super) fn without_crash(status: ExitStatus) -> ProgramJudgement {
    match status.code() {
        Some(0) => ProgramJudgement::of(Conclusion::NotAffected, "its program ended, and nothing crashed".to_owned()),
        Some(code) => ProgramJudgement::error(format!("its program exited with {code}, and nothing crashed")),
        None => {
            ProgramJudgement::error(format!("its program was killed by {}, and nothing crashed", signal_of(status)))
        }
    }
}

/// Judges a program that has ended. The controller checks whether its conclusion follows from its checks, as for every
/// reproducer.
pub(super) fn judge(status: ExitStatus, printed: &[u8]) -> ProgramJudgement {
    let Some(code) = status.code() else {
        return ProgramJudgement::error(format!("its program was killed by {}", signal_of(status)));
    };
    let by_status = Verdict::of_code(code);
    let said = match read(printed) {
        Ok(Some(said)) => said,
        Ok(None) => {
            let judged = self::by_status(status);
            let checks = if judged.conclusion == Conclusion::Error { "" } else { " and reported no checks" };
            return ProgramJudgement { why: judged.why + checks, ..judged };
        }
        Err(why) => return ProgramJudgement::error(format!("its program exited with {code} and {why}")),
    };
    if said.conclusion != by_status {
        return ProgramJudgement::error(format!(
            "its program contradicts itself: it printed {} ({:.200}), but its exit status {code} means {}",
            said.conclusion.as_str(),
            one_line(&said.why),
            by_status.as_str(),
        ));
    }
    let checks = said.checks.into_iter().map(|check| Check {
        name: one_line(&check.name),
        role: match check.role {
            SaidRole::Recipe => Role::Recipe,
            SaidRole::NegativeControl => Role::NegativeControl,
            SaidRole::PositiveControl => Role::PositiveControl,
        },
        shown: check.shown,
        why: one_line(&check.why),
        facts: check.facts,
    });
    let (conclusion, why) = (said.conclusion.conclusion(), one_line(&said.why));
    ProgramJudgement { conclusion, why, checks: checks.collect(), reported: false }
}

/// The object that the program printed; none if it printed nothing.
fn read(printed: &[u8]) -> Result<Option<Said>, String> {
    let text = std::str::from_utf8(printed).map_err(|_| "printed invalid UTF-8".to_owned())?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let Some(line) = lines.next() else { return Ok(None) };
    let said: Said = serde_json::from_str(line).map_err(|error| {
        let names: Vec<_> = Verdict::ALL.map(Verdict::as_str).into();
        format!(
            "printed `{:.100}`, which is not a conclusion: expected one JSON object on one line, with `conclusion` one of {} \
             ({error}); print messages for people to stderr",
            one_line(line),
            names.join(", "),
        )
    })?;
    if let Some(more) = lines.next() {
        return Err(format!("printed more than its conclusion: `{:.100}`", one_line(more)));
    }
    if said.checks.len() > CHECKS_MAX {
        return Err(format!("listed {} checks: expected at most {CHECKS_MAX}", said.checks.len()));
    }
    let mut names = BTreeSet::new();
    match said.checks.iter().find(|check| !names.insert(&check.name)) {
        Some(twice) => Err(format!("listed two checks called `{:.100}`", one_line(&twice.name))),
        None => Ok(Some(said)),
    }
}

/// Turns a text into one line of a report.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(code: i32, printed: &str) -> ProgramJudgement {
        judge(ExitStatus::from_raw(code << 8), printed.as_bytes())
    }

    #[test]
    fn silent_program_is_judged_by_its_exit_status() {
        use Conclusion::{Affected, Error, NotAffected, Skip};
        for (code, conclusion) in [(0, NotAffected), (1, Affected), (2, Skip), (3, Error), (101, Error), (255, Error)] {
            for printed in ["", "\n", " \r\n\n"] {
                let judged = said(code, printed);
                assert_eq!((judged.conclusion, judged.checks.len()), (conclusion, 0), "{code}");
                assert!(judged.why.contains(&format!("exited with {code}")), "{}", judged.why);
            }
        }
        let killed = judge(ExitStatus::from_raw(9), b"");
        assert_eq!((killed.conclusion, killed.why.as_str()), (Error, "its program was killed by signal 9"));
    }

    #[test]
    fn output_must_match_the_exit_status() {
        for (at, verdict) in (0..).zip(Verdict::ALL) {
            let printed = format!(r#"{{"conclusion":"{}","why":"seen"}}"#, verdict.as_str());
            for code in 0..5 {
                let judged = said(code, &printed);
                if code.min(3) == at {
                    assert_eq!((judged.conclusion, judged.why.as_str()), (verdict.conclusion(), "seen"));
                } else {
                    assert_eq!(judged.conclusion, Conclusion::Error, "{code} {printed}");
                    assert!(judged.why.contains("contradicts itself"), "{}", judged.why);
                }
            }
            let killed = judge(ExitStatus::from_raw(11), printed.as_bytes());
            assert_eq!(
                (killed.conclusion, killed.why.as_str()),
                (Conclusion::Error, "its program was killed by signal 11")
            );
        }
    }

    #[test]
    fn example_in_the_reference_is_read() {
        let reference = include_str!("../../../docs/reproducers.md");
        let example = reference.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
        let judged = said(1, example);
        assert_eq!((judged.conclusion, judged.checks.len()), (Conclusion::Affected, 2), "{}", judged.why);
    }

    #[test]
    fn checks_keep_their_facts() {
        let judged = said(
            1,
            r#"{"conclusion":"affected","why":"a\nb","checks":[{"name":"recipe","role":"recipe","shown":"yes","why":"lost",
            "facts":{"lost_bytes":3,"rto_ms":null}},{"name":"control","role":"negative-control","shown":"no","why":"fine"}]}"#
                .replace("\n            ", "")
                .as_str(),
        );
        assert_eq!((judged.conclusion, judged.why.as_str()), (Conclusion::Affected, "a b"));
        let roles: Vec<_> = judged.checks.iter().map(|check| (check.role, check.shown)).collect();
        assert_eq!(roles, [(Role::Recipe, Shown::Yes), (Role::NegativeControl, Shown::No)]);
        assert_eq!(judged.checks[0].facts.get("lost_bytes"), Some(&Some(3)));
    }

    #[test]
    fn unknown_output_is_an_error_whatever_the_exit_status() {
        let check = r#"{"name":"a","role":"recipe","shown":"no","why":""}"#;
        let good = r#"{"conclusion":"not-affected","why":""}"#;
        for (printed, expected) in [
            ("testing...".to_owned(), "which is not a conclusion"),
            (r#"{"conclusion":"not-affec"#.to_owned(), "which is not a conclusion"),
            (r#"{"conclusion":"pass","why":""}"#.to_owned(), "which is not a conclusion"),
            (r#"{"conclusion":"not-affected"}"#.to_owned(), "which is not a conclusion"),
            (r#"{"conclusion":"not-affected","why":"","check":[]}"#.to_owned(), "unknown field `check`"),
            (good.replace('}', &format!(r#","checks":[{}]}}"#, check.replace("recipe", "natural"))), "natural"),
            (good.replace('}', &format!(r#","checks":[{check},{check}]}}"#)), "two checks called `a`"),
            (format!("{good}\n{good}"), "more than its conclusion"),
            (format!("{good}\ndone"), "more than its conclusion"),
            (format!("[{good}]"), "which is not a conclusion"),
        ] {
            let judged = said(0, &printed);
            assert_eq!(judged.conclusion, Conclusion::Error, "{printed}");
            assert!(judged.why.contains(expected), "{printed}: {}", judged.why);
        }
        assert_eq!(judge(ExitStatus::from_raw(0), b"\xff").conclusion, Conclusion::Error);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn only_an_agreeing_exit_status_makes_a_verdict(
            raw in any::<i32>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            pieces in "(\\{\"conclusion\":\"(affected|not-affected|error)\",\"why\":\"\\PC{0,5}\"\\}\n?){0,2}\\PC{0,3}",
        ) {
            for printed in [bytes, pieces.into_bytes()] {
                let status = ExitStatus::from_raw(raw);
                let judged = judge(status, &printed);
                let agrees = match judged.conclusion {
                    Conclusion::NotAffected => status.code() == Some(0),
                    Conclusion::Affected => status.code() == Some(1),
                    Conclusion::Skip => status.code() == Some(2),
                    Conclusion::Error => true,
                    Conclusion::Mitigated => false,
                };
                prop_assert!(agrees && !judged.why.contains(char::is_control), "{judged:?}");
            }
        }
    }
}
