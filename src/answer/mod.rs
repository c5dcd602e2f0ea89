//! Answers "is this kernel affected?" about whatever a kernel is known by: a release, a package, an image, a source
//! tree, a commit. Nothing is booted here; what only a boot can settle is said.

mod advice;
mod host;
mod look;
mod subject;

use std::cell::{Cell, RefCell};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

pub use advice::{Advice, AdviceKind, after_run};
pub use host::{HOST_SCHEMA_VERSION, HostBug, HostDocument, NotProbed};
pub use look::{Asked, Booted, Fetch, Looked};
pub use subject::{Subject, Unclear};

use crate::evidence::Finding;
use crate::evidence::git::StepFound;
use crate::kernel::Stale;
use crate::matrix::Bug;
use crate::verdict::{Ledger, Verdict, unheard};
use crate::words::{BugId, State};

/// The version of the shape of [`Answers`].
pub const SCHEMA_VERSION: u32 = 1;

/// All that was asked about, answered: what `backproof affected --format json` prints; docs/affected.md has its reference.
/// Each subject is looked at when it is written, so that the answers about a fleet are never in memory together.
pub struct Answers<I> {
    answers: RefCell<I>,
    tally: Cell<Tally>,
}

/// How a document's answers ended, as far as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many subjects there were.
    pub subjects: usize,
    /// How many answers of (subject, bug) ended how.
    pub summary: Summary,
    /// Whether an answer that counts is affected, or in conflict.
    affected: bool,
    /// Whether an answer that counts is unknown, or no bug was judged of some subject.
    unanswered: bool,
    /// Whether a subject names something that is not there.
    misnamed: bool,
}

/// The answer about one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The subject, as it was given.
    pub subject: String,
    /// What it was understood as, in words; none where nothing could be made of it.
    pub understood: Option<String>,
    /// Why nothing, or not all, could be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether that is because the subject names something that is not there: bad usage, and no lack of evidence.
    #[serde(skip)]
    pub misnamed: bool,
    /// Set where nobody could be asked whether this is still what is there: what was kept was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
    /// The answer for each bug.
    pub bugs: Vec<BugAnswer>,
}

/// The answer about one subject and one bug.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BugAnswer {
    /// The bug.
    pub bug: BugId,
    /// Affected, not affected, unknown.
    pub verdict: Verdict,
    /// Where in the chain the kernel stands, where exactly one state remains.
    pub state: Option<State>,
    /// Whether only a hint names the state, beside witnesses of the kernel itself that leave it open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub state_guessed: bool,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// Whether it counts for the exit code. A bug that nobody has repaired, and that was not asked about by name, does not:
    /// no kernel is free of it.
    pub counts: bool,
    /// Whether `not-affected` rests on the silence of a reproducer that has not proven that it would have seen the bug.
    pub unproven: bool,
    /// What each witness says.
    pub findings: Vec<Finding>,
    /// What git found of each step of the chain, where a revision was asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepFound>,
    /// What git found that people should know: a later commit that fixes a step, say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to do.
    pub advice: Vec<Advice>,
}

/// How many answers ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// (subject, bug)s that are affected.
    pub affected: usize,
    /// (subject, bug)s that are not.
    pub not_affected: usize,
    /// (subject, bug)s without a verdict.
    pub unknown: usize,
    /// Those of all whose strong witnesses contradict each other.
    pub conflicts: usize,
    /// Those of the affected that do not count for the exit code.
    pub not_counted: usize,
}

impl BugAnswer {
    /// The answer that these findings come to. `settle` says what could be given to know more.
    pub fn of(bug: &Bug, ledger: Ledger, upgrade: Option<Advice>, settle: &str) -> Self {
        let conclusion = ledger.conclude();
        let settle = match unheard(&ledger.findings) {
            Some(why) => format!("{why}; {settle}"),
            None => settle.to_owned(),
        };
        let advice = advice::advice(bug, &conclusion, upgrade, &settle);
        Self {
            bug: bug.id.clone(),
            verdict: conclusion.verdict,
            state: conclusion.state(),
            state_guessed: conclusion.guessed && conclusion.state().is_some(),
            conflict: conclusion.conflict,
            counts: true,
            unproven: conclusion.unproven,
            findings: ledger.findings,
            steps: Vec::new(),
            warnings: Vec::new(),
            advice,
        }
    }
}

impl Tally {
    /// Counts an answer.
    pub fn count(&mut self, answer: &Answer) {
        self.subjects += 1;
        self.unanswered |= answer.bugs.is_empty();
        self.misnamed |= answer.misnamed;
        for bug in &answer.bugs {
            match bug.verdict {
                Verdict::Affected => self.summary.affected += 1,
                Verdict::NotAffected => self.summary.not_affected += 1,
                Verdict::Unknown => self.summary.unknown += 1,
            }
            self.summary.conflicts += usize::from(bug.conflict);
            self.summary.not_counted += usize::from(bug.verdict == Verdict::Affected && !bug.counts && !bug.conflict);
            self.affected |= bug.conflict || bug.counts && bug.verdict == Verdict::Affected;
            self.unanswered |= bug.counts && bug.verdict == Verdict::Unknown;
        }
    }

    /// What the process exits with, by the answers that count: 0 not affected, 1 affected or in conflict, 2 a subject that
    /// is not there, 3 no verdict. 1 wins over 2, 2 over 3, and 3 over 0.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self { affected: true, .. } => 1,
            Self { misnamed: true, .. } => 2,
            Self { unanswered: true, .. } => 3,
            _ => 0,
        }
    }

    /// How many answers there were.
    pub fn answers(&self) -> usize {
        self.summary.affected + self.summary.not_affected + self.summary.unknown
    }
}

impl<I: Iterator<Item = Answer>> Answers<I> {
    /// The document of these answers, in this order.
    pub fn of(answers: I) -> Self {
        Self { answers: RefCell::new(answers), tally: Cell::default() }
    }

    /// The next answer, counted.
    fn next(&self) -> Option<Answer> {
        let answer = self.answers.borrow_mut().next()?;
        let mut tally = self.tally.get();
        tally.count(&answer);
        self.tally.set(tally);
        Some(answer)
    }

    /// How all ended, those too that nobody wanted to read any more.
    pub fn finish(self) -> Tally {
        while self.next().is_some() {}
        self.tally.get()
    }
}

/// It can be written once.
impl<I: Iterator<Item = Answer>> Serialize for Answers<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Answers", 4)?;
        document.serialize_field("schema_version", &SCHEMA_VERSION)?;
        document.serialize_field("subjects", &Subjects(self))?;
        let tally = self.tally.get();
        document.serialize_field("summary", &tally.summary)?;
        document.serialize_field("exit_code", &tally.exit_code())?;
        document.end()
    }
}

struct Subjects<'a, I>(&'a Answers<I>);

impl<I: Iterator<Item = Answer>> Serialize for Subjects<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::from_fn(|| self.0.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(bugs: Vec<BugAnswer>) -> Answer {
        let (understood, problem, stale) = (None, None, None);
        Answer { subject: "x".to_owned(), understood, problem, misnamed: false, stale, bugs }
    }

    fn answer(verdict: Verdict, conflict: bool) -> BugAnswer {
        let bug = "a-bug".parse().expect("a name");
        let (findings, steps, warnings, advice) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        BugAnswer {
            bug,
            verdict,
            state: None,
            state_guessed: false,
            conflict,
            counts: true,
            unproven: false,
            findings,
            steps,
            warnings,
            advice,
        }
    }

    #[test]
    fn what_nobody_repaired_is_said_and_does_not_decide() {
        let (bad, good, none) = (Verdict::Affected, Verdict::NotAffected, Verdict::Unknown);
        let uncounted = |verdict, conflict| BugAnswer { counts: false, ..answer(verdict, conflict) };
        for (bugs, misnamed, code, not_counted) in [
            (vec![uncounted(bad, false), answer(good, false)], false, 0, 1),
            (vec![uncounted(none, false), answer(good, false)], false, 0, 0),
            (vec![uncounted(bad, false), answer(bad, false)], false, 1, 1),
            (vec![uncounted(bad, false), answer(none, false)], false, 3, 1),
            (vec![uncounted(none, true)], false, 1, 0),
            (vec![answer(none, false)], true, 2, 0),
            (vec![answer(bad, false)], true, 1, 0),
        ] {
            let mut tally = Tally::default();
            let case = format!("{bugs:?}");
            tally.count(&Answer { misnamed, ..subject(bugs) });
            assert_eq!((tally.exit_code(), tally.summary.not_counted), (code, not_counted), "{case}");
        }
    }

    #[test]
    fn affected_wins_over_no_verdict_and_no_verdict_over_a_clean_bill() {
        let (bad, good, none) = (Verdict::Affected, Verdict::NotAffected, Verdict::Unknown);
        for (verdicts, code) in [
            (&[(good, false)][..], 0),
            (&[(good, false), (none, false)], 3),
            (&[(none, false), (bad, false), (good, false)], 1),
            (&[(none, true)], 1),
            (&[(good, true)], 1),
            (&[], 3),
        ] {
            let bugs: Vec<_> = verdicts.iter().map(|(verdict, conflict)| answer(*verdict, *conflict)).collect();
            let subject = subject(bugs);
            let document = Answers::of([subject].into_iter());
            let written = serde_json::to_value(&document).unwrap();
            let fields: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(fields.len(), 4, "{fields:?}");
            assert_eq!((&written["schema_version"], &written["exit_code"]), (&1.into(), &code.into()), "{verdicts:?}");
            assert_eq!(written["subjects"][0]["bugs"].as_array().map(Vec::len), Some(verdicts.len()));
            assert_eq!(document.finish().exit_code(), code, "{verdicts:?}");
        }
    }

    #[test]
    fn each_subject_is_looked_at_when_it_is_written_and_none_is_left_out_of_the_exit_code() {
        let looked = Cell::new(0);
        let answers = (0..3).map(|_| {
            looked.set(looked.get() + 1);
            subject(Vec::new())
        });
        // A reader that goes away after the first subject.
        struct Gone<'a>(&'a Cell<u32>);
        impl std::io::Write for Gone<'_> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                if self.0.get() > 1 { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let document = Answers::of(answers);
        assert_eq!(looked.get(), 0);
        let written = serde_json::to_writer(Gone(&looked), &document).map_err(|error| error.io_error_kind());
        assert_eq!((written, looked.get()), (Err(Some(std::io::ErrorKind::BrokenPipe)), 2));
        let tally = document.finish();
        assert_eq!((tally.subjects, tally.exit_code(), looked.get()), (3, 3, 3));
    }
}
