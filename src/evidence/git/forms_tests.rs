//! Tests every form in which public trees say that a commit carries or reverts another, in histories whose files agree
//! with the words and in histories whose files don't.

use git2::Oid;

use super::fixture::*;
use super::forms::{AGAIN, BACKPORTS, MessageForm, OWN, REVERTS, SQUASHED};
use super::{GitIndex, GitTestimony};
use crate::evidence::{StateSet, Strength};
use crate::matrix::Bug;
use crate::words::State;

/// The fix's commit if the repository has no mainline.
const FOREIGN: &str = "0123456789abcdef0123456789abcdef01234567";

fn say(form: &MessageForm, commit: &str, other: &str, subject: &str, original: &str) -> String {
    let fill = |text: &str| {
        let text = text.replace("$X", commit).replace("$Y", other).replace("$7", &commit[..7]);
        text.replace("$S", subject).replace("$O", original)
    };
    format!("{}\n\n{}\n", fill(form.subject), fill(form.body))
}

/// One question and the right answer.
struct FormQuestion {
    name: String,
    branch: String,
    is_foreign: bool,
    is_fixed: bool,
    /// Whether the answer must be decided, and not only correct.
    decided: bool,
}

struct Histories {
    fixture: Fixture,
    mainline: Mainline,
    base: Oid,
    other: Oid,
    questions: Vec<FormQuestion>,
}

impl Histories {
    fn new() -> Self {
        let fixture = Fixture::new();
        let mainline = fixture.mainline();
        let base = fixture.commit(&[mainline.v4_19], "Linux 4.19.50", &[("Makefile", &makefile("4.19.50"))]);
        let picked = |subject: &str, oid: Oid| format!("{subject}\n\ncommit {oid} upstream.\n");
        let base = fixture.line(
            base,
            &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN), (&picked(HALF_SUBJECT, mainline.half_fix), HALF)],
        );
        let other = fixture.commit(&[base], "net: other", &[("net/o.c", "what_the_other_commit_adds\n")]);
        Self { fixture, mainline, base: other, other, questions: Vec::new() }
    }

    fn commit(&self, parent: Oid, message: &str, text: &str) -> Oid {
        self.fixture.commit(&[parent], message, &[(FILE, text)])
    }

    fn ask_later(&mut self, name: &str, tip: Oid, is_foreign: bool, is_fixed: bool, decided: bool) {
        let branch = format!("q-{}", self.questions.len());
        self.fixture.branch(&branch, tip);
        self.questions.push(FormQuestion { name: name.to_owned(), branch, is_foreign, is_fixed, decided });
    }

    /// The fix's name, with or without mainline.
    fn upstream(&self, is_foreign: bool) -> String {
        if is_foreign { FOREIGN.to_owned() } else { self.mainline.fix.to_string() }
    }

    fn git_s_revert(&self, tip: Oid, subject: &str, text: &str) -> Oid {
        self.commit(tip, &format!("Revert \"{subject}\"\n\nThis reverts commit {tip}.\n"), text)
    }

    fn backport(&mut self, form: &MessageForm, is_foreign: bool) {
        let (base, other) = (self.base, self.other.to_string());
        let message = say(form, &self.upstream(is_foreign), &other, FIX_SUBJECT, FIX_SUBJECT);
        let name = format!("{} / {}{}", form.subject, form.body, if is_foreign { " (foreign)" } else { "" });
        let subject = message.lines().next().unwrap().to_owned();
        let decided = !is_foreign || form.tells;
        let put_in = self.commit(base, &message, FIXED);
        self.ask_later(&format!("in: {name}"), put_in, is_foreign, true, decided);
        let out = self.git_s_revert(put_in, &subject, HALF);
        self.ask_later(&format!("reverted: {name}"), out, is_foreign, false, decided);
        let again = self.git_s_revert(out, &format!("Revert \"{subject}\""), FIXED);
        self.ask_later(&format!("twice: {name}"), again, is_foreign, true, decided);
        // Squashed with another commit, both in the message.
        let squashed = format!("{message}\ncommit {} upstream.\n", self.mainline.tip);
        let squashed =
            self.fixture.commit(&[base], squashed, &[(FILE, FIXED), ("net/p.c", "of_another_commit_here\n")]);
        self.ask_later(&format!("squashed: {name}"), squashed, is_foreign, true, decided);
        // The words claim it, but the line is missing. Without mainline that can't be seen.
        if !is_foreign {
            let nothing = self.commit(base, &message, &format!("{HALF}a_line_of_something_else_here\n"));
            self.ask_later(&format!("in, against the files: {name}"), nothing, is_foreign, false, false);
        }
        let empty = self.fixture.commit(&[base], &message, &[]);
        self.ask_later(&format!("empty: {name}"), empty, is_foreign, false, false);
        // A commit that removes the fix in the words of a backport.
        let takes = self.commit(put_in, &message, HALF);
        self.ask_later(&format!("taken out by a backport's words: {name}"), takes, is_foreign, false, false);
    }

    fn revert(&mut self, form: &MessageForm, is_foreign: bool) {
        let upstream = self.upstream(is_foreign);
        let put_in = self.commit(self.base, &format!("{FIX_SUBJECT}\n\ncommit {upstream} upstream.\n"), FIXED);
        let other = self.other.to_string();
        let targets = [("its own", put_in.to_string()), ("upstream", upstream)];
        for (whose, target) in targets.into_iter().take(if is_foreign { 1 } else { 2 }) {
            let message = say(form, &target, &other, FIX_SUBJECT, FIX_SUBJECT);
            let name =
                format!("{} / {}, {whose}{}", form.subject, form.body, if is_foreign { " (foreign)" } else { "" });
            let subject = message.lines().next().unwrap().to_owned();
            let out = self.commit(put_in, &message, HALF);
            // The backport is there for comparison.
            self.ask_later(&format!("reverted: {name}"), out, is_foreign, false, true);
            // Each form is followed by one form that re-applies, in turn.
            for again in AGAIN.iter().skip(self.questions.len() % AGAIN.len()).take(1) {
                let message = say(again, &out.to_string(), &other, &subject, FIX_SUBJECT);
                let tip = self.commit(out, &message, FIXED);
                let name = format!("twice ({} / {}): {name}", again.subject, again.body);
                self.ask_later(&name, tip, is_foreign, true, true);
                let third = self.git_s_revert(tip, message.lines().next().unwrap(), HALF);
                self.ask_later(&format!("thrice: {name}"), third, is_foreign, false, true);
            }
            let both = [(FILE, HALF), ("net/o.c", "")];
            let squashed = self.fixture.commit(&[put_in], &message, &both);
            self.ask_later(&format!("squashed: {name}"), squashed, is_foreign, false, true);
            // The words of a revert that changes nothing.
            let kept = self.commit(put_in, &message, &format!("{FIXED}a_line_of_something_else_here\n"));
            self.ask_later(&format!("reverted, against the files: {name}"), kept, is_foreign, true, false);
            let elsewhere = self.fixture.commit(&[put_in], &message, &[("net/o.c", "another_text_of_the_other\n")]);
            self.ask_later(&format!("reverted elsewhere: {name}"), elsewhere, is_foreign, true, false);
            if is_foreign {
                continue;
            }
            // The words of a revert on a commit that adds the step.
            let puts = self.commit(self.base, &message, FIXED);
            self.ask_later(&format!("put in by a revert's words: {name}"), puts, is_foreign, true, false);
        }
    }

    /// Each question's answer to the whole dossier, and some questions' to one that names only commits.
    fn ask(&self) -> Vec<(&FormQuestion, GitTestimony, Option<GitTestimony>)> {
        let here = bug(&self.mainline);
        let mut foreign = here.clone();
        foreign.chain[2].commit = Some(FOREIGN.parse().unwrap());
        let index: GitIndex = self.fixture.index();
        let ask = |question: &FormQuestion, bug: &Bug| index.ask(bug, &question.branch).unwrap();
        // Asking all of them twice takes too long.
        let questions = self.questions.iter().zip([true, false, false].into_iter().cycle());
        let both = questions.map(|(question, twice)| {
            let bug = if question.is_foreign { &foreign } else { &here };
            (question, ask(question, bug), twice.then(|| ask(question, &bare(bug))))
        });
        both.collect()
    }
}

fn check(histories: &Histories) {
    let (mut wrong, mut undecided) = (Vec::new(), Vec::new());
    for (question, testimony, by_commits) in histories.ask() {
        let finding = &testimony.finding;
        let truth = if question.is_fixed { State::Fixed } else { State::HalfFixed };
        let says = format!(
            "{}\n    {:?} {:?}: {}\n    {:?}",
            question.name, finding.states, finding.strength, finding.why, testimony.warnings
        );
        let is_told =
            finding.strength == Strength::Strong && finding.states == [truth].into_iter().collect::<StateSet>();
        if let Some(GitTestimony { finding: bare, steps, .. }) = &by_commits {
            let is_same = bare == finding && *steps == testimony.steps;
            if !question.is_foreign && !is_same || !bare.states.contains(truth) {
                wrong.push(format!("{says}\n    by commits: {:?} {:?}: {}", bare.states, bare.strength, bare.why));
            }
        }
        if !finding.states.contains(truth) {
            wrong.push(says);
        } else if question.decided && !is_told {
            undecided.push(says);
        }
    }
    let faults = [("wrong", wrong), ("undecided", undecided)];
    let faults: Vec<String> =
        faults.iter().flat_map(|(kind, list)| list.iter().map(move |says| format!("{kind}: {says}"))).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn backports_are_read_in_every_form() {
    let mut histories = Histories::new();
    for form in BACKPORTS {
        histories.backport(form, false);
        histories.backport(form, true);
    }
    check(&histories);
}

#[test]
fn squashed_steps_are_recognised_or_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = fixture.commit(&[mainline.v4_19], "Linux 4.19.50", &[("Makefile", &makefile("4.19.50"))]);
    let release = |parent: Oid, at: usize| {
        let version = format!("4.19.{}", 70 + at);
        let commit = fixture.commit(&[parent], format!("Linux {version}\n"), &[("Makefile", &makefile(&version))]);
        fixture.tag(&format!("v{version}"), commit);
        fixture.branch(&format!("release-{at}"), commit);
    };
    for (at, form) in SQUASHED.iter().enumerate() {
        let steps = [("$B", mainline.break_), ("$H", mainline.half_fix), ("$F", mainline.fix)];
        let body = steps.iter().fold((*form).to_owned(), |body, (mark, oid)| body.replace(mark, &oid.to_string()));
        let message = format!("{OWN}\n\n{body}\n");
        let squashed = fixture.commit(&[base], &message, &[(FILE, FIXED)]);
        fixture.branch(&format!("fixed-{at}"), squashed);
        release(squashed, at);
        // The fix is named, but omitted.
        fixture.branch(&format!("half-{at}"), fixture.commit(&[base], &message, &[(FILE, HALF)]));
        // A vendor's own text, which decides nothing.
        fixture.branch(&format!("own-{at}"), fixture.commit(&[base], &message, &[(FILE, "a_text_of_neither_kind\n")]));
    }
    let index = fixture.index();
    for (at, form) in SQUASHED.iter().enumerate() {
        for branch in ["fixed", "release"] {
            let finding = index.ask(&bug, &format!("{branch}-{at}")).unwrap().finding;
            let told = (finding.states.only(), finding.strength);
            assert_eq!(told, (Some(State::Fixed), Strength::Strong), "{branch} {form}: {}", finding.why);
        }
        for branch in ["half", "own"] {
            let testimony = index.ask(&bug, &format!("{branch}-{at}")).unwrap();
            let finding = &testimony.finding;
            let is_open = finding.states.contains(State::HalfFixed) && finding.states.contains(State::Fixed);
            let is_hint = finding.strength == Strength::Weak;
            assert!(is_open || is_hint, "{branch} {form}: {finding:?}");
            assert!(!testimony.warnings.is_empty() || is_open, "{branch} {form}: {:?}", testimony.warnings);
        }
    }
}

#[test]
fn reverts_are_read_in_every_form() {
    let mut histories = Histories::new();
    for form in REVERTS {
        histories.revert(form, false);
        histories.revert(form, true);
    }
    check(&histories);
}
