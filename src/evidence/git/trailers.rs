//! Finds the claims of a message about the commits that it names: that it carries, reverts or fixes them.
//!
//! A claim is a separate statement: a trailer (`Git-commit: X`), brackets (`[ Upstream commit X ]`), or a sentence of
//! only the words for backports and reverts (`This is commit X back-ported to 4.19`). A sentence with other words
//! ("since commit X upstream we refuse") claims nothing.

use super::message::{Abbreviation, LONGEST, MOST, Mention, MentionKind, names};
use super::statement::{Statement, StatementWord, begins_with_name, statements};
use super::subject::{is_same, plain_subject};
use super::subject_forms::{doubted_commits, is_left_out, reverted_subjects, speaks_of_undoing};

/// The most lines between `mainline inclusion` and the commit. openEuler and its relatives use this form.
const INCLUSION: usize = 8;
/// Words allowed in a statement of a revert.
const REVERTING: &str = "this is a an the that it patch commit commits change changes changeset changesets revert reverts \
    reverted reverting reversion of upstream stable mainline original following two three four all both simply just whole \
    entirely completely fully linux parent previous my our earlier manual manually clean cleanly back backs backed backing \
    out backout undo undoes undid and with below bad broken effect effects from";
/// Words that say that a revert is partial.
const PARTLY: &str = "partial partially partly part parts most mostly some pieces portion portions hunk hunks bits \
    effectively essentially basically half except subset effect effects";
/// Words allowed in a statement of a backport.
const CARRYING: &str = "this is a an the of from in to as by with for at on it was has been its and both these commit \
    commits commitid id ids patch patches sha sha1 hash change changes version git tree branch repo repository upstream \
    mainline linus s torvalds linux kernel org master main stable next net lts longterm vanilla vger cherry cherrypick \
    cherrypicked picked pick picks cherrypicks backport backported backports backporting back port ports ported porting \
    applied adapted taken merged merge present found imported equivalent corresponding corresponds original originally \
    rebased forward status origin modified minor conflicts context adjusted trivial manually cleanly clean following all \
    one single two three four squashed combined combination series together into reference ref com";
/// Words; a statement of a backport needs at least one of them.
const MARKERS: &str = "upstream mainline linus torvalds cherry cherrypick cherrypicked cherrypicks picked backport \
    backported backports backporting ported port ports porting original originally adapted stable origin vanilla applied";
/// Words that show that a sentence is about another commit.
const OTHERS: &str = "introduced introduces broke breaks since fixes fixed caused causes regressed regression removed \
    reverted not added changed made did does moved after before until prior follow followup similar see like unlike \
    prerequisite needed required depends dependency without due because missing if when would should could";
/// Words that say that conflicts are resolved.
const SETTLED: &str = "resolved resolve resolving fixed adjusted minor trivial none no solved context contextual";
/// Keys of trailers for the carried commit that have none of [`MARKERS`]: SUSE's, tip's, and informal ones.
const KEYS: [&str; 7] =
    ["git-commit", "alt-commit", "commit-id", "linux-commit", "kernel-commit", "linus-commit", "commit-sha1"];
/// The headers that `git log` prints between a commit's name and its subject.
const HEADINGS: [&str; 8] =
    ["Author:", "AuthorDate:", "Commit:", "CommitDate:", "Date:", "Merge:", "Committer:", "Parent:"];

/// All commits that a message names, in order.
pub(in crate::evidence) fn mentions(message: &[u8]) -> Vec<Mention<'_>> {
    let message = &message[..message.len().min(LONGEST)];
    let lines: Vec<&[u8]> = message.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).collect();
    // Most messages name commits only in `Fixes:` lines, and many name none.
    if lines.iter().all(|line| names(line).is_empty()) {
        return Vec::new();
    }
    let subject = plain_subject(lines.first().copied().unwrap_or_default());
    let mut reading =
        MessageReader { lines: &lines, subject, found: Vec::new(), list: None, above: false, inclusion: None };
    // A subject that mentions a commit claims nothing.
    for statement in statements(&lines).filter(|statement| statement.first > 0) {
        if reading.found.len() >= MOST {
            break;
        }
        reading.read(&statement);
    }
    let mut found = reading.found;
    found.truncate(MOST);
    found.extend(reverted_by_subject(&plain_subject(lines.first().copied().unwrap_or_default()), lines[0]));
    let doubted = doubted_commits(message, &found);
    found.extend(doubted.into_iter().take(MOST.saturating_sub(found.len())));
    found
}

/// The commit that a subject reverts by name: `sched: Revert 738d2be, simplify set_task_cpu()`.
fn reverted_by_subject<'a>(plain: &str, line: &'a [u8]) -> Option<Mention<'a>> {
    let partly = any_in(PARTLY, Statement::of(plain.as_bytes()).words());
    reverted_subjects(plain).iter().find_map(|undone| {
        let name = undone.split(|c: char| !c.is_alphanumeric()).next()?;
        let commit = Abbreviation::parse(name.as_bytes()).filter(|name| !name.is_address_or_date())?;
        Some(Mention { kind: if partly { MentionKind::RevertsPartly } else { MentionKind::Reverts }, commit, line })
    })
}

/// The state of parsing a message.
struct MessageReader<'l, 'a> {
    lines: &'l [&'a [u8]],
    subject: String,
    found: Vec<Mention<'a>>,
    /// The kind of mention in the current list of commits.
    list: Option<MentionKind>,
    /// Whether a statement above claims a backport without a name.
    above: bool,
    /// The line of `mainline inclusion`, while its commit is looked for.
    inclusion: Option<usize>,
}

fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

fn any_in(list: &str, words: &[StatementWord]) -> bool {
    words.iter().any(|word| is_in(list, &word.text))
}

fn all_in(lists: &[&str], words: &[StatementWord]) -> bool {
    words.iter().all(|word| word.is_number || lists.iter().any(|list| is_in(list, &word.text)))
}

/// Whether words say that the commit was not applied: `(not applied)`, `conflicts here; skip it`.
fn negates(words: &[StatementWord]) -> bool {
    words.iter().any(|word| is_left_out(&word.text)) || any_in("conflict conflicts", words) && !any_in(SETTLED, words)
}

fn is_revert(word: &StatementWord) -> bool {
    ["revert", "backout", "undo", "undid"].iter().any(|stem| word.text.starts_with(stem))
}

fn reverts(words: &[StatementWord]) -> bool {
    let two = words.windows(2).any(|pair| pair[0].text.starts_with("back") && pair[1].text == "out");
    two || words.iter().any(is_revert)
}

impl<'a> MessageReader<'_, 'a> {
    fn read(&mut self, statement: &Statement) {
        // Mails quote others with a mark.
        if statement.text.is_empty() || statement.text.starts_with('>') {
            return;
        }
        if statement.text.ends_with(" inclusion") {
            (self.inclusion, self.above) = (Some(statement.first), true);
        }
        let run = statement.run();
        let Some((before, commits, after)) = run else {
            let is_continued = self.list.is_some() && !self.next_names(statement);
            self.list = if is_continued { None } else { self.introduces(statement).or(self.list) };
            self.above |= self.says_of_carrying(statement);
            return;
        };
        if let Some(kind) = self.heading(statement, before, after) {
            self.list = None;
            self.say(kind, &commits, statement);
            return;
        }
        let kind = self.kind(statement, before, after, commits.len());
        if let Some(kind) = kind {
            let is_list = matches!(kind, MentionKind::Reverts | MentionKind::MayCarry | MentionKind::Carries);
            // `This reverts commits A,` and `commits A and` continue below.
            self.list = (is_list && statement.goes_on()).then_some(kind);
            let merge = kind == MentionKind::Reverts && self.reverts_merge(statement, after);
            let kind = if merge { MentionKind::RevertsMerge } else { kind };
            self.say(kind, &commits, statement);
            return;
        }
        match self.list {
            Some(kind) if statement.is_item() => {
                // An item of a list names one commit, and may quote others. A line of bare names is a list itself.
                let (partly, bare) = (any_in(PARTLY, after), after.is_empty());
                let kind = match kind {
                    MentionKind::Reverts if partly => MentionKind::RevertsPartly,
                    MentionKind::Carries if partly => MentionKind::MayCarry,
                    kind => kind,
                };
                let commits = if bare { commits } else { commits.into_iter().take(1).collect() };
                self.say(kind, &commits, statement);
            }
            _ => self.list = None,
        }
    }

    fn say(&mut self, kind: MentionKind, commits: &[Abbreviation], statement: &Statement) {
        for commit in commits {
            let is_line = |line: &&&'a [u8]| names(line).iter().any(|(_, name)| name == commit);
            let line = self.lines[statement.first..statement.end].iter().find(is_line);
            let line = line.copied().unwrap_or(self.lines[statement.first]);
            if !self.found.iter().any(|said| said.kind == kind && said.commit == *commit) {
                self.found.push(Mention { kind, commit: *commit, line });
            }
        }
    }

    /// The kind of the list that this statement without a name introduces.
    fn introduces(&self, statement: &Statement) -> Option<MentionKind> {
        if !self.next_names(statement) {
            return None;
        }
        let words = statement.words();
        if reverts(words) && all_in(&[REVERTING, PARTLY], words) {
            return Some(if any_in(PARTLY, words) { MentionKind::RevertsPartly } else { MentionKind::Reverts });
        }
        if !any_in(MARKERS, words) || any_in(OTHERS, words) || reverts(words) {
            return None;
        }
        if all_in(&[CARRYING], words) && !any_in("following all squashed combined combination series both", words) {
            return Some(MentionKind::Carries);
        }
        // A squashed commit may carry only a part of each.
        (statement.text.ends_with(':') || any_in("following squashed", words)).then_some(MentionKind::MayCarry)
    }

    /// Whether the next non-empty line is an item of a list of commits.
    fn next_names(&self, statement: &Statement) -> bool {
        let mut below = self.lines[statement.end..].iter().filter(|line| !line.is_empty());
        let is_item = |line: &[u8]| line.starts_with(b"* ") || line.starts_with(b"- ");
        below.next().is_some_and(|line| begins_with_name(line) || is_item(line) && !names(line).is_empty())
    }

    /// Whether a statement without a name says that the next commit is carried: `Upstream Status: linux.git`.
    fn says_of_carrying(&self, statement: &Statement) -> bool {
        (statement.is_keyed() || self.next_names(statement))
            && any_in(MARKERS, statement.words())
            && all_in(&[CARRYING], statement.words())
    }

    /// The kind of a pasted `git log` heading. It belongs to another commit, unless it has this commit's subject, or
    /// the text above claims a backport.
    fn heading(&self, statement: &Statement, before: &[StatementWord], after: &[StatementWord]) -> Option<MentionKind> {
        let is_bare = after.is_empty() && matches!(before, [word] if word.text == "commit");
        if !is_bare || statement.is_bracketed() {
            return None;
        }
        if self.inclusion.is_some_and(|line| statement.first - line <= INCLUSION) {
            return Some(MentionKind::Carries);
        }
        let mut below = self.lines[statement.end..].iter().copied();
        let is_header = |line: &&[u8]| HEADINGS.iter().any(|heading| line.starts_with(heading.as_bytes()));
        below.clone().next().filter(is_header)?;
        let pasted = below.by_ref().find(|line| !line.is_empty() && !is_header(line)).unwrap_or_default();
        let pasted = plain_subject(pasted);
        if is_same(&pasted, &self.subject) {
            return Some(MentionKind::Carries);
        }
        let undone = reverted_subjects(&self.subject);
        if undone.iter().any(|undone| is_same(&plain_subject(undone.as_bytes()), &pasted)) {
            return Some(MentionKind::Reverts);
        }
        let lines = self.lines[..statement.first].iter();
        let undoes = lines.clone().any(|line| speaks_of_undoing(&String::from_utf8_lossy(line)));
        match (self.above, undoes) {
            (true, false) => Some(MentionKind::Carries),
            (_, true) => Some(MentionKind::MayRevert),
            (false, false) => None,
        }
    }

    fn kind(
        &self,
        statement: &Statement,
        before: &[StatementWord],
        after: &[StatementWord],
        count: usize,
    ) -> Option<MentionKind> {
        let starts = self.starts(statement);
        if let [first, rest @ ..] = before
            && first.text == "fixes"
            && statement.is_keyed()
            && rest.iter().all(|word| word.text == "commit")
        {
            return Some(MentionKind::Fixes);
        }
        if reverts(before) && all_in(&[REVERTING, PARTLY], before) && (starts || before[0].text == "this") {
            let partly = any_in(PARTLY, before) || any_in("partially partly except", after);
            return Some(if partly { MentionKind::RevertsPartly } else { MentionKind::Reverts });
        }
        if reverts(before) || reverts(after) {
            return None;
        }
        let marked = any_in(MARKERS, before) || any_in(MARKERS, after);
        let keyed = statement.is_keyed() && KEYS.contains(&statement.key().as_str());
        if keyed && count == 1 {
            let is_doubtful = any_in(PARTLY, after) || negates(after);
            return Some(if is_doubtful { MentionKind::MayCarry } else { MentionKind::Carries });
        }
        if marked && starts && !any_in(OTHERS, before) && (negates(before) || negates(after)) {
            return Some(MentionKind::MayCarry);
        }
        if !marked || any_in(OTHERS, before) {
            return None;
        }
        let is_told = all_in(&[CARRYING], before);
        let (bracketed, framed) = (statement.is_bracketed(), statement.is_bracketed() || statement.is_keyed());
        // `(cherry picked from commit X, with the tests left out)`: brackets may have more text after the name.
        let is_whole = all_in(&[CARRYING], after) || bracketed && any_in(MARKERS, before) && !any_in(OTHERS, after);
        if is_told && is_whole && (framed || starts && !self.continues(statement, after) && begins_well(before)) {
            // If an informal trailer names several commits, or parts, the files must decide.
            let is_clear = count == 1 || bracketed || any_in("upstream mainline", after);
            return Some(if is_clear && !any_in(PARTLY, after) { MentionKind::Carries } else { MentionKind::MayCarry });
        }
        let ports = "backport backported backports backporting cherry picked ported squashed combined";
        (any_in(ports, before) && !any_in(OTHERS, after)).then_some(MentionKind::MayCarry)
    }

    /// Whether a statement begins at the start of a sentence.
    fn starts(&self, statement: &Statement) -> bool {
        let previous = self.lines[..statement.first].last().copied().unwrap_or_default();
        let ends = |byte: &u8| b".:;!?)]>\"'".contains(byte);
        statement.first <= 1
            || previous.last().is_none_or(ends)
            || Statement::of(previous).is_keyed()
            || begins_with_name(previous)
    }

    /// Whether the next line continues the sentence.
    fn continues(&self, statement: &Statement, after: &[StatementWord]) -> bool {
        let below = self.lines.get(statement.end).copied().unwrap_or_default();
        after.is_empty()
            && !statement.ends_sentence()
            && below.first().is_some_and(u8::is_ascii_lowercase)
            && !Statement::of(below).is_keyed()
            && !begins_with_name(below)
            && self.inclusion.is_none()
    }

    fn reverts_merge(&self, statement: &Statement, after: &[StatementWord]) -> bool {
        let below = self.lines.get(statement.end).copied().unwrap_or_default();
        after.first().is_some_and(|word| word.text == "reversing")
            || String::from_utf8_lossy(below).to_lowercase().starts_with("reversing changes")
    }
}

/// Whether a sentence begins like one about a commit's content, not about the place or time of an event.
fn begins_well(before: &[StatementWord]) -> bool {
    before.first().is_none_or(|word| !is_in("in at by with for to on as from it its was has been and of", &word.text))
}
