//! Answers "is this kernel affected?" for a release, a package, an image, a source tree or a commit, without a boot. If
//! only a boot can settle it, the answer says so.

mod host;
mod look;
mod page;
mod subject;

use std::cell::{Cell, RefCell};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

pub use host::{HOST_SCHEMA_VERSION, HostBug, HostDocument, NotProbed};
pub use look::{Fetch, Inquiry, SubjectLook, SubjectSaid, to_boot};
pub use page::Page;
pub use subject::{Subject, Unclear};

use crate::exit::Exit;
use crate::kernel::Stale;
use crate::verdict::{Judgement, Verdict};
use crate::words::BugId;

/// The version of the shape of [`Answers`].
pub const SCHEMA_VERSION: u32 = 1;

/// The document of `backproof affected --format json`; see docs/affected.md. Each subject is examined when it is written,
/// so that the answers for a fleet are never in memory together.
pub struct Answers<I> {
    answers: RefCell<I>,
    tally: Cell<AnswerTally>,
}

/// A count of the answers that were taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerTally {
    /// The number of subjects.
    pub subjects: usize,
    /// The number of answers of (subject, bug), by outcome.
    pub summary: Summary,
    exit: Exit,
}

/// The answer about one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubjectAnswer {
    /// The subject, as it was given.
    pub subject: String,
    /// The interpretation of the subject; None if it was not understood.
    pub understood: Option<String>,
    /// Why some evidence, or all of it, could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether the subject names something that doesn't exist: that is bad usage, not missing evidence.
    #[serde(skip)]
    pub misnamed: bool,
    /// Set if nobody could check for updates, so that the cached copy was judged.
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
    /// Whether it counts for the exit code. A bug without a fix counts only if it is named, because every kernel has it.
    pub counts: bool,
    /// The judgement of the case.
    #[serde(flatten)]
    pub judgement: Judgement,
}

/// The number of answers by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// (subject, bug)s that are affected.
    pub affected: usize,
    /// (subject, bug)s that are not.
    pub not_affected: usize,
    /// (subject, bug)s without a verdict.
    pub unknown: usize,
    /// (subject, bug)s whose strong witnesses contradict each other.
    pub conflicts: usize,
    /// Affected (subject, bug)s that do not count for the exit code.
    pub not_counted: usize,
}

impl AnswerTally {
    /// Counts an answer.
    pub fn count(&mut self, answer: &SubjectAnswer) {
        self.subjects += 1;
        if answer.misnamed {
            self.exit = self.exit.and(Exit::Usage);
        }
        if answer.bugs.is_empty() {
            self.exit = self.exit.and(Exit::NoVerdict);
        }
        for bug in &answer.bugs {
            match bug.judgement.verdict {
                Verdict::Affected => self.summary.affected += 1,
                Verdict::NotAffected => self.summary.not_affected += 1,
                Verdict::Unknown => self.summary.unknown += 1,
            }
            self.summary.conflicts += usize::from(bug.judgement.conflict);
            self.summary.not_counted += usize::from(bug.judgement.is_left_out(bug.counts));
            self.exit = self.exit.and(bug.judgement.exit(bug.counts));
        }
    }

    /// The exit by the answers that count: 0 not affected, 1 affected or in conflict, 2 a subject that is not there, 3 no
    /// verdict. 1 wins over 2, 2 over 3, and 3 over 0.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The number of answers.
    pub fn answers(&self) -> usize {
        self.summary.affected + self.summary.not_affected + self.summary.unknown
    }
}

impl<I: Iterator<Item = SubjectAnswer>> Answers<I> {
    /// The document of these answers, in this order.
    pub fn of(answers: I) -> Self {
        Self { answers: RefCell::new(answers), tally: Cell::default() }
    }

    /// The next answer, which is counted.
    pub fn take_next(&self) -> Option<SubjectAnswer> {
        let answer = self.answers.borrow_mut().next()?;
        let mut tally = self.tally.get();
        tally.count(&answer);
        self.tally.set(tally);
        Some(answer)
    }

    /// The count of the answers that were taken.
    pub fn tally(&self) -> AnswerTally {
        self.tally.get()
    }

    /// The count of all answers, including those that nobody took.
    pub fn finish(self) -> AnswerTally {
        while self.take_next().is_some() {}
        self.tally()
    }
}

/// It can be written once.
impl<I: Iterator<Item = SubjectAnswer>> Serialize for Answers<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Answers", 4)?;
        document.serialize_field("schema_version", &SCHEMA_VERSION)?;
        document.serialize_field("subjects", &Subjects(self))?;
        let tally = self.tally();
        document.serialize_field("summary", &tally.summary)?;
        document.serialize_field("exit_code", &tally.exit())?;
        document.end()
    }
}

struct Subjects<'a, I>(&'a Answers<I>);

impl<I: Iterator<Item = SubjectAnswer>> Serialize for Subjects<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::from_fn(|| self.0.take_next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Finding, StateSet, Strength, Witness};
    use crate::verdict::Case;

    fn subject(bugs: Vec<BugAnswer>) -> SubjectAnswer {
        let (understood, problem, stale) = (None, None, None);
        SubjectAnswer { subject: "x".to_owned(), understood, problem, misnamed: false, stale, bugs }
    }

    fn answer(verdict: Verdict, conflict: bool) -> BugAnswer {
        let said = |strength, states: StateSet| Finding::new(Witness::Git, states, strength, "read");
        let state = match verdict {
            Verdict::Affected => StateSet::affected(),
            Verdict::NotAffected => StateSet::not_affected(),
            Verdict::Unknown => StateSet::all(),
        };
        let mut findings = vec![said(Strength::Strong, state)];
        if conflict {
            findings =
                vec![said(Strength::Strong, StateSet::affected()), said(Strength::Strong, StateSet::not_affected())];
        }
        let judgement = Case::of_findings(findings);
        BugAnswer { bug: "a-bug".parse().expect("a name"), counts: true, judgement }
    }

    #[test]
    fn bug_without_a_fix_is_listed_but_does_not_decide() {
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
            let mut tally = AnswerTally::default();
            let case = format!("{bugs:?}");
            tally.count(&SubjectAnswer { misnamed, ..subject(bugs) });
            assert_eq!((tally.exit().code(), tally.summary.not_counted), (code, not_counted), "{case}");
        }
    }

    #[test]
    fn affected_wins_over_no_verdict_over_clean() {
        let (bad, good, none) = (Verdict::Affected, Verdict::NotAffected, Verdict::Unknown);
        for (verdicts, code) in [
            (&[(good, false)][..], 0),
            (&[(good, false), (none, false)], 3),
            (&[(none, false), (bad, false), (good, false)], 1),
            (&[(none, true)], 1),
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
            assert_eq!(document.finish().exit().code(), code, "{verdicts:?}");
        }
    }

    #[test]
    fn subjects_are_looked_at_when_written_and_all_count() {
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
        assert_eq!((tally.subjects, tally.exit().code(), looked.get()), (3, 3, 3));
    }
}
