//! Finds the commits that are a step: the upstream commit, known backports, commits whose messages say that they carry
//! it, and, as a hint, commits with its subject and files.

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use super::claims::{contradicts, patch_contradicts};
use super::content::{Likeness, has_any, is_empty, likeness, touches};
use super::copies::changes_a_copy;
use super::history::{CarrierPlace, History, short, whole};
use super::line_changes::{LineEffect, StepLines, line_effect, undoes_any};
use super::message::{Abbreviation, MentionKind};
use super::same_subject::by_subject;
use super::step_facts::{subject_of, subjects};
use super::subject::{is_same, plain_subject, subject_hash};
use super::subject_forms::reverted_subjects;
use super::testimony::How;
use super::trailers::mentions;
use super::{GitError, commit};
use crate::evidence::Strength;
use crate::matrix::Step;
use crate::words::CommitId;

/// The most patches to compare one commit's lines with: the upstream one, and backports that differ.
const MOST_MODELS: usize = 6;

/// The most commits mentioning one step whose lines are compared.
const MOST_SPEAKERS: usize = 256;

/// A commit or patch that is a step.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    pub place: CarrierPlace,
    pub how: How,
    /// Whether the repository lacks the trees that would show whether it changes the step's files.
    pub is_unseen: bool,
    /// Whether it has none of the step's lines, although it says that it carries it.
    pub contradicts: bool,
}

impl Carrier {
    /// Its strength. A claim whose commit cannot be read, or contradicts it, is a hint at most.
    pub fn strength(&self) -> Strength {
        if self.is_unseen || self.contradicts { Strength::Weak } else { self.how.strength() }
    }
}

/// What shows that a commit reverts a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UndoingSign {
    /// Its message. Its lines decide whether it is certain.
    Words,
    /// Its lines.
    Lines,
    /// It names the step and removes its lines, but may have rewritten them.
    Mention,
}

impl UndoingSign {
    pub fn of(effect: LineEffect) -> Self {
        if effect == LineEffect::TakesOut { Self::Lines } else { Self::Words }
    }
}

/// All that was found of one step.
#[derive(Default)]
pub(super) struct Carriers {
    /// The names by which other commits name it.
    pub names: Vec<Abbreviation>,
    /// The plain subjects by which reverts name it: its own, or if that is unknown, those of its carriers.
    pub subjects: Vec<String>,
    /// The carriers in this history, the strongest first.
    pub found: Vec<Carrier>,
    /// Commits in this history that revert the step although they seem to carry it, or don't say so.
    pub undoing: Vec<(u32, UndoingSign)>,
    /// The step's changes to its files, in each known form.
    pub patches: Vec<StepLines>,
    /// The number of them, from the beginning, that are of commits that surely are the step.
    pub known: usize,
    /// A commit whose patch is the step, anywhere in the repository.
    pub model: Option<Oid>,
    pub warnings: Vec<String>,
}

fn named(commit: &CommitId) -> Option<Abbreviation> {
    Abbreviation::parse(commit.as_str().as_bytes())
}

/// Looks for a step. `before` has the names of the step that it fixes, if it is a `fix-of-fix`.
pub(super) fn find(history: &History, step: &Step, before: &[Abbreviation]) -> Result<Carriers, GitError> {
    let upstream = step.commit.as_ref().and_then(named);
    let backports: Vec<_> = step.backports.iter().filter_map(|b| Some((named(&b.commit)?, b))).collect();
    let names = upstream.into_iter().chain(backports.iter().map(|(name, _)| *name)).collect();
    let mut carriers = Carriers { names: history.all_names(names)?, ..Carriers::default() };
    reverts_that_quote(history, step, upstream, &mut carriers)?;
    let known_names = upstream.into_iter().chain(backports.iter().map(|(name, _)| *name)).collect();
    (carriers.patches, carriers.known) = patches(history, step, known_names, &carriers.names)?;

    let mut seen = BTreeSet::new();
    for name in carriers.names.clone() {
        let Some(oid) = history.only(name)? else { continue };
        let is_upstream = upstream.is_some_and(|upstream| upstream.agrees(name));
        let known = backports.iter().find(|(backport, _)| backport.agrees(name)).map(|(_, backport)| backport);
        let nothing = !is_upstream && known.is_none() && is_empty(history.repository.git(), oid);
        if nothing || !is_upstream && known.is_none() && is_elsewhere(history, oid, step) {
            // A revert of that commit does not revert the step either.
            carriers.names.retain(|other| *other != name);
            if history.store.number(oid)?.is_some_and(|number| history.has(number)) {
                let changes = if nothing { "changes nothing" } else { "changes none of its files" };
                carriers.warnings.push(format!(
                    "{} says that it carries the {} but {changes}: ignored",
                    short(oid),
                    step.role
                ));
            }
            continue;
        }
        if carriers.model.is_none() || is_upstream {
            carriers.model = Some(oid);
        }
        let Some(number) = history.store.number(oid)?.filter(|number| history.has(*number)) else { continue };
        let how = match known {
            _ if is_upstream => How::Itself,
            Some(known) => How::KnownBackport { line: known.line.clone(), differs: known.differs },
            None => How::Trailer { line: saying_line(&history.message(oid), &carriers.names) },
        };
        let is_claim = matches!(how, How::Trailer { .. });
        let what =
            if is_claim { line_effect(history.repository.git(), &carriers.patches, oid) } else { LineEffect::PutsIn };
        // A commit that carries several may add lines of one that another removes.
        let is_doubtful = is_claim
            && matches!(what, LineEffect::Neither | LineEffect::TakesSomeOut)
            && is_of_several(history, oid, step, &mut carriers);
        if what.takes() && !is_doubtful {
            carriers.names.retain(|other| *other != name);
            carriers.undoing.push((number, UndoingSign::of(what)));
            carriers.warnings.push(format!(
                "{} says that it carries the {} but removes its lines: counted as a revert",
                short(oid),
                step.role
            ));
            continue;
        }
        let is_unseen = is_claim && (unseen(history, oid, step, &mut carriers) || is_doubtful);
        if seen.insert(number) {
            let known = &carriers.patches[..carriers.known];
            let contradicts = is_claim && contradicts(history.repository.git(), known, oid, &step.files);
            carriers.found.push(Carrier { place: CarrierPlace::Commit(number), how, is_unseen, contradicts });
        }
    }
    by_subject(history, step, before, &mut carriers, &mut seen)?;
    by_lines(history, step, &mut carriers, &mut seen)?;
    by_patch_file(history, step, &mut carriers)?;
    carriers.found.sort_by_key(|carrier| std::cmp::Reverse(carrier.strength()));
    carriers.subjects = subjects(history, step, &carriers.found)?;
    Ok(carriers)
}

/// The step's changes to its files: from the commits that surely are the step, and then from those in this history that
/// claim it. Also the number of the first.
fn patches(
    history: &History,
    step: &Step,
    known: Vec<Abbreviation>,
    names: &[Abbreviation],
) -> Result<(Vec<StepLines>, usize), GitError> {
    let git = history.repository.git();
    let mut patches: Vec<StepLines> = Vec::new();
    for name in known {
        let Some(oid) = history.only(name)? else { continue };
        patches.extend(StepLines::of(git, oid, &step.files).filter(|_| patches.len() < MOST_MODELS));
    }
    let known = patches.len();
    let mut claims = Vec::new();
    for name in names {
        if let [number] = history.store.starting(*name)?.as_slice() {
            claims.extend(history.has(*number).then_some(*number));
        }
    }
    // The first claim added the step. A later one may have removed it in the same words.
    claims.sort_unstable();
    for number in claims {
        let oid = history.sha(number)?;
        if patches.iter().any(|patch| patch.is_of(oid)) {
            continue;
        }
        let is_clear = match line_effect(git, &patches, oid) {
            LineEffect::Neither => !says_others(&history.message(oid), names),
            what => !what.takes(),
        };
        if patches.len() < MOST_MODELS && is_clear {
            patches.extend(StepLines::of(git, oid, &step.files));
        }
    }
    Ok((patches, known))
}

/// Whether a message says that its commit carries other commits than these.
fn says_others(message: &[u8], names: &[Abbreviation]) -> bool {
    let is_one = |commit: Abbreviation| names.iter().any(|name| name.agrees(commit));
    mentions(message).iter().any(|said| said.kind == MentionKind::Carries && !is_one(said.commit))
}

/// Whether a commit that doesn't add the step's lines says that it carries other commits too, or reverts something.
/// Warns if so.
fn is_of_several(history: &History, oid: Oid, step: &Step, carriers: &mut Carriers) -> bool {
    let message = history.message(oid);
    let others = says_others(&message, &carriers.names);
    let plain = plain_subject(commit::subject(&message));
    let undoes = !reverted_subjects(&plain).is_empty() && subject_of(step).is_none_or(|own| !is_same(&plain, &own));
    let says = match (others, undoes) {
        (false, false) => return false,
        (true, _) => "carries other commits too",
        (false, true) => "speaks of a revert in its subject",
    };
    carriers.warnings.push(format!(
        "{} says that it carries the {} but {says}, and its lines do not confirm it: a hint only",
        short(oid),
        step.role
    ));
    true
}

/// Finds the commits that name the step in any words, and add or remove its lines.
fn by_lines(history: &History, step: &Step, carriers: &mut Carriers, seen: &mut BTreeSet<u32>) -> Result<(), GitError> {
    let git = history.repository.git();
    if carriers.patches.is_empty() {
        return Ok(());
    }
    let (mut speakers, mut claims, mut reverts) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for name in &carriers.names {
        for named in history.store.naming(*name)? {
            // A short name that fits another commit of the repository means that one.
            if history.only(named.commit)?.is_none_or(|oid| whole(oid).agrees(*name)) {
                speakers.insert(named.number);
                claims.extend((named.kind == MentionKind::MayCarry).then_some(named.number));
                reverts.extend(named.kind.speaks_of_reverting().then_some(named.number));
            }
        }
    }
    if let Some(subject) = subject_of(step) {
        speakers.extend(history.store.quoting_subject(subject_hash(&subject))?);
        for undone in [subject.clone(), format!("Revert \"{subject}\"")] {
            reverts.extend(history.store.undoing_subject(subject_hash(&undone))?);
        }
    }
    speakers.extend(&reverts);
    let is_new =
        |number: &u32| history.has(*number) && !seen.contains(number) && history.graph.parents(*number).len() < 2;
    for number in speakers.into_iter().filter(is_new).take(MOST_SPEAKERS).collect::<Vec<_>>() {
        let oid = history.sha(number)?;
        // A step squashed with earlier steps removes no lines of theirs, but leaves none.
        let is_applied = |model| likeness(git, model, oid, &step.files) == Likeness::Applied;
        let is_squashed = || claims.contains(&number) && carriers.model.is_some_and(is_applied);
        match line_effect(git, &carriers.patches, oid) {
            what if what == LineEffect::PutsIn || what == LineEffect::PutsSomeIn && is_squashed() => {
                carriers.names.push(whole(oid));
                carriers.found.push(Carrier {
                    place: CarrierPlace::Commit(number),
                    how: How::SameLines,
                    is_unseen: false,
                    contradicts: false,
                });
                seen.insert(number);
            }
            LineEffect::TakesOut => {
                let is_clear = reverts.contains(&number) || undoes_any(git, &carriers.patches, oid);
                carriers.undoing.push((number, if is_clear { UndoingSign::Lines } else { UndoingSign::Mention }));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes the names of reverts that claim to carry the step, because a manual revert may keep its target's message
/// with the trailers.
fn reverts_that_quote(
    history: &History,
    step: &Step,
    upstream: Option<Abbreviation>,
    carriers: &mut Carriers,
) -> Result<(), GitError> {
    let mut numbers = BTreeMap::new();
    let own = subject_of(step).map(|subject| subject_hash(&subject));
    let mut subjects: BTreeSet<i64> = own.into_iter().collect();
    for name in &carriers.names {
        if let [number] = history.store.starting(*name)?.as_slice() {
            subjects.extend(history.store.subject(*number)?);
            numbers.insert(*number, *name);
        }
    }
    for subject in subjects {
        for number in history.store.undoing_subject(subject)? {
            let Some(name) = numbers.get(&number).filter(|name| upstream.is_none_or(|step| !step.agrees(**name)))
            else {
                continue;
            };
            let message = history.message(history.sha(number)?);
            let undone = reverted_subjects(&plain_subject(commit::subject(&message)));
            let is_it = |undone: &String| {
                let plain = plain_subject(undone.as_bytes());
                // Reverting such a revert restores the step.
                subject_hash(&plain) == subject && (Some(subject) == own || reverted_subjects(&plain).is_empty())
            };
            if undone.iter().any(is_it) {
                carriers.names.retain(|other| other != name);
                carriers.undoing.extend(history.has(number).then_some((number, UndoingSign::Words)));
            }
        }
    }
    Ok(())
}

/// Whether a commit changes none of a step's files and no copy of one, although its tree has one of them. If its tree
/// has none, they were moved.
pub(super) fn is_elsewhere(history: &History, oid: Oid, step: &Step) -> bool {
    let git = history.repository.git();
    !step.files.is_empty()
        && touches(git, oid, &step.files) == Some(false)
        && has_any(git, oid, &step.files)
        && !changes_a_copy(git, oid, &step.files)
}

/// Whether the repository can't show which files a commit changes. Warns if so.
pub(super) fn unseen(history: &History, oid: Oid, step: &Step, carriers: &mut Carriers) -> bool {
    let is_unseen = touches(history.repository.git(), oid, &step.files).is_none();
    if is_unseen {
        carriers.warnings.push(format!(
            "the clone lacks the trees that would show whether {} changes files of the {}: its message is a hint only",
            short(oid),
            step.role
        ));
    }
    is_unseen
}

/// The line of a message that claims to carry one of these.
fn saying_line(message: &[u8], names: &[Abbreviation]) -> String {
    let said = mentions(message)
        .into_iter()
        .find(|m| m.kind == MentionKind::Carries && names.iter().any(|name| name.agrees(m.commit)));
    said.map(|m| line_text(m.line)).unwrap_or_default()
}

pub(super) fn line_text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).take(160).collect()
}

fn by_patch_file(history: &History, step: &Step, carriers: &mut Carriers) -> Result<(), GitError> {
    let subject = subject_of(step);
    let is_own = |other: &str| subject.as_ref().is_some_and(|own| is_same(other, own));
    for (at, patch) in history.packaging.patches.iter().enumerate().filter(|(_, patch)| patch.is_applied) {
        let place = CarrierPlace::Patch(at);
        let is_step = |said: Abbreviation| -> Result<bool, GitError> {
            for name in &carriers.names {
                if history.is_meant(said, *name)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let undone = reverted_subjects(&patch.subject);
        let is_undone = undone.iter().any(|undone| is_own(&plain_subject(undone.as_bytes())));
        if is_undone || !undone.is_empty() && patch.kinds().any(|kind| kind == MentionKind::Reverts) {
            continue;
        }
        let mut how = None;
        for (kind, said, line) in &patch.mentions {
            if *kind == MentionKind::Carries && is_step(*said)? {
                how = Some(How::QuiltTrailer { file: patch.file.clone(), line: line.clone() });
                break;
            }
        }
        let changes = step.files.is_empty() || patch.changes(&step.files);
        let has_subject = is_own(&patch.subject);
        if !changes && (how.is_some() || has_subject) {
            let says = if how.is_some() { "says that it carries" } else { "has the subject of" };
            let (file, role) = (&patch.file, step.role);
            carriers.warnings.push(format!("{file} {says} the {role} but changes none of its files: ignored"));
            continue;
        }
        if (how.is_some() || has_subject) && patch.turns(&carriers.patches, subject.as_slice()) {
            carriers.warnings.push(format!(
                "{} names the {} but may revert it, by its words or its lines: ignored",
                patch.file, step.role
            ));
            continue;
        }
        let says_other = patch.kinds().any(|kind| kind == MentionKind::Carries);
        if how.is_none() && has_subject && changes && !(says_other && step.commit.is_some()) {
            how = Some(How::QuiltSubject { file: patch.file.clone() });
        }
        let claims = matches!(how, Some(How::QuiltTrailer { .. }));
        let contradicts = claims && patch_contradicts(&carriers.patches[..carriers.known], patch);
        carriers.found.extend(how.map(|how| Carrier { place, how, is_unseen: false, contradicts }));
    }
    Ok(())
}
