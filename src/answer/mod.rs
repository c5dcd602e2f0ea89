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

use crate::evidence::git::StepFound;
use crate::evidence::{Finding, Strength};
use crate::kernel::Stale;
use crate::matrix::Bug;
use crate::verdict::{Conclusion, Ledger, Verdict};
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
    /// Whether no bug was judged of some subject.
    unanswered: bool,
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
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
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
}

impl BugAnswer {
    /// The answer that these findings come to. `settle` says what could be given to know more.
    pub fn of(bug: &Bug, ledger: Ledger, upgrade: Option<Advice>, settle: &str) -> Self {
        Self::concluded(bug, ledger.conclude(), ledger, upgrade, settle)
    }

    /// The answer where hints are not heard, because a boot was to settle it and broke.
    pub fn without_hints(bug: &Bug, ledger: Ledger, upgrade: Option<Advice>, settle: &str) -> Self {
        let strong = ledger.findings.iter().filter(|finding| finding.strength > Strength::Weak).cloned().collect();
        Self::concluded(bug, Ledger { findings: strong }.conclude(), ledger, upgrade, settle)
    }

    fn concluded(bug: &Bug, conclusion: Conclusion, ledger: Ledger, upgrade: Option<Advice>, settle: &str) -> Self {
        let advice = advice::advice(bug, &conclusion, upgrade, settle);
        Self {
            bug: bug.id.clone(),
            verdict: conclusion.verdict,
            state: conclusion.state(),
            conflict: conclusion.conflict,
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
        for bug in &answer.bugs {
            match bug.verdict {
                Verdict::Affected => self.summary.affected += 1,
                Verdict::NotAffected => self.summary.not_affected += 1,
                Verdict::Unknown => self.summary.unknown += 1,
            }
            self.summary.conflicts += usize::from(bug.conflict);
        }
    }

    /// What the process exits with: 0 not affected, 1 affected or in conflict, 3 no verdict. 1 wins over 3, and 3 over 0.
    pub fn exit_code(&self) -> u8 {
        match self.summary {
            Summary { affected: 1.., .. } | Summary { conflicts: 1.., .. } => 1,
            Summary { unknown: 1.., .. } => 3,
            _ if self.unanswered => 3,
            _ => 0,
        }
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

    #[test]
    fn affected_wins_over_no_verdict_and_no_verdict_over_a_clean_bill() {
        let answer = |verdict, conflict| BugAnswer {
            bug: "a-bug".parse().expect("a name"),
            verdict,
            state: None,
            conflict,
            findings: Vec::new(),
            steps: Vec::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
        };
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
            let subject = Answer { subject: "x".to_owned(), understood: None, problem: None, stale: None, bugs };
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
        let answer =
            || Answer { subject: "x".to_owned(), understood: None, problem: None, stale: None, bugs: Vec::new() };
        let answers = (0..3).map(|_| {
            looked.set(looked.get() + 1);
            answer()
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
