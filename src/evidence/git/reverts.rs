//! Decides which carriers of a step still stand: follows reverts, reverts of reverts, and so on.
//!
//! A revert removes all earlier backports of a step, because after a merge they are the same lines. Backports after the
//! revert, or on other branches, stand. A revert counts as long as nothing reverts it.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use git2::Oid;

use super::backports::{Carrier, Carriers, UndoingSign};
use super::content::{has_any, touches};
use super::graph::Bits;
use super::history::{CarrierPlace, History, whole};
use super::line_changes::{LineEffect, line_effect};
use super::message::{Abbreviation, MentionKind};
use super::objects::Objects;
use super::subject::{is_same, plain_subject, subject_hash};
use super::subject_forms::{doubted_subjects, reverted_subjects};
use super::trailers::mentions;
use super::{GitError, commit};
use crate::evidence::Strength;
use crate::matrix::Step;

/// The most reverts to follow for one step. Linux's longest chain has four.
const MOST: usize = 128;

/// The fate of a step that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StepStanding {
    /// Whether it surely stands.
    pub must: bool,
    /// Whether it may stand.
    pub may: bool,
    /// Whether it stands by the hints.
    pub likely: bool,
    /// The index of the carrier that stands, or else of the last one that was reverted.
    pub carrier: usize,
    /// The revert of that carrier.
    pub reverted_by: Option<CarrierPlace>,
    /// Whether only a hint says that it was reverted.
    pub by_hint: bool,
    /// The place that may have removed the carrier or its revert, in unclear words.
    pub doubted_by: Option<CarrierPlace>,
}

/// A carrier or a revert.
struct RevertNode {
    place: CarrierPlace,
    /// Whether it was confirmed.
    strong: bool,
    /// Whether it adds the lines of the step.
    puts: bool,
    /// The indexes of the nodes that it reverts.
    undoes: Vec<usize>,
    /// A place that mentions reverting it.
    doubted_by: Option<CarrierPlace>,
}

/// A revert, and whether more than its subject shows it.
type Revert = (CarrierPlace, bool);

/// Follows the reverts of a step. `steps` are its own commits and those of later steps, because a fix that reverts the
/// break is the fix.
pub(super) fn standing(
    history: &History,
    step: &Step,
    carriers: &Carriers,
    steps: &BTreeSet<CarrierPlace>,
) -> Result<Option<StepStanding>, GitError> {
    if carriers.found.is_empty() {
        return Ok(None);
    }
    let mut nodes: Vec<RevertNode> = carriers
        .found
        .iter()
        .map(|carrier| RevertNode {
            place: carrier.place,
            strong: carrier.strength() >= Strength::Strong,
            puts: true,
            undoes: vec![],
            doubted_by: None,
        })
        .collect();
    let applied = nodes.len();
    let mut order = AncestryOrder { history, after: HashMap::new() };
    let subjects = &carriers.subjects;
    let mut direct = reverts_of(history, &carriers.names, subjects, &step.files)?;
    direct.extend(reverted_merges(history, &carriers.found, &mut order)?);
    let mut mentions = Vec::new();
    for (number, sign) in &carriers.undoing {
        let place = CarrierPlace::Commit(*number);
        match sign {
            _ if direct.iter().any(|(known, _)| *known == place) => {}
            UndoingSign::Mention => mentions.push(place),
            UndoingSign::Lines | UndoingSign::Words => direct.push((place, *sign == UndoingSign::Lines)),
        }
    }
    for (place, strong) in direct {
        if steps.contains(&place) {
            continue;
        }
        let Some(strong) = weighed(history, step, carriers, place, false, strong)? else { continue };
        let undoes: Vec<usize> = (0..applied).filter(|at| order.before(nodes[*at].place, place)).collect();
        if !undoes.is_empty() {
            nodes.push(RevertNode { place, strong, puts: false, undoes, doubted_by: None });
        }
    }
    let mut doubts: Vec<(usize, CarrierPlace)> = Vec::new();
    for place in doubts_of(history, &carriers.names, subjects, &step.files)?.into_iter().chain(mentions) {
        doubts.extend((0..applied).map(|at| (at, place)));
    }
    for (at, patch) in history.packaging.patches.iter().enumerate().filter(|(_, patch)| patch.changes(&step.files)) {
        let is_it = |commit: &Abbreviation| carriers.names.iter().any(|name| name.agrees(*commit));
        let mut carried = patch.mentions.iter().filter(|(kind, ..)| *kind == MentionKind::Carries);
        let names_it = carried.any(|(_, commit, _)| is_it(commit)) || is_any(&patch.subject, subjects);
        let says_so = patch.is_applied && names_it && patch.turns(&carriers.patches, subjects);
        if says_so || patch.turns_lines(&carriers.patches) {
            doubts.extend((0..applied).map(|node| (node, CarrierPlace::Patch(at))));
        }
    }
    let mut at = applied;
    while at < nodes.len() && nodes.len() < MOST {
        let (names, subject) = names_of(history, nodes[at].place, &carriers.names)?;
        let subjects = std::slice::from_ref(&subject);
        doubts.extend(doubts_of(history, &names, subjects, &step.files)?.into_iter().map(|place| (at, place)));
        for (place, strong) in reverts_of(history, &names, subjects, &step.files)? {
            if !order.before(nodes[at].place, place) {
                continue;
            }
            let puts = !nodes[at].puts;
            match nodes.iter_mut().skip(applied).find(|node| node.place == place) {
                Some(node) => node.undoes.push(at),
                None => {
                    let Some(strong) = weighed(history, step, carriers, place, puts, strong)? else { continue };
                    nodes.push(RevertNode { place, strong, puts, undoes: vec![at], doubted_by: None });
                }
            }
        }
        at += 1;
    }
    for (at, place) in doubts {
        // Steps and known reverts are not unclear mentions.
        if !steps.contains(&place)
            && nodes.iter().all(|node| node.place != place)
            && order.before(nodes[at].place, place)
        {
            nodes[at].doubted_by = Some(place);
        }
    }
    Ok(Some(judge(&nodes, applied)))
}

/// The strength of a claimed revert, by the lines that it removes, or adds if it reverts a revert. None if it is not a
/// revert, because it leaves the step's files unchanged or does the opposite.
fn weighed(
    history: &History,
    step: &Step,
    carriers: &Carriers,
    place: CarrierPlace,
    puts: bool,
    strong: bool,
) -> Result<Option<bool>, GitError> {
    let CarrierPlace::Commit(number) = place else { return Ok(Some(strong)) };
    let (git, oid) = (history.repository.git(), history.sha(number)?);
    if leaves(git, oid, &step.files) {
        return Ok(None);
    }
    let what = line_effect(git, &carriers.patches, oid);
    Ok(match what {
        LineEffect::PutsIn | LineEffect::TakesOut => ((what == LineEffect::PutsIn) == puts).then_some(true),
        LineEffect::PutsSomeIn | LineEffect::TakesSomeOut => Some(strong && (what == LineEffect::PutsSomeIn) == puts),
        LineEffect::Neither | LineEffect::Unseen => Some(strong),
    })
}

/// Whether a commit changes none of these files, although its tree has one. If it has none, they have other names
/// there.
fn leaves(git: &Objects, oid: Oid, files: &[String]) -> bool {
    touches(git, oid, files) == Some(false) && has_any(git, oid, files)
}

fn judge(nodes: &[RevertNode], applied: usize) -> StepStanding {
    // Later ones decide about earlier ones, so they are evaluated first.
    let mut by_age: Vec<usize> = (0..nodes.len()).collect();
    by_age.sort_by_key(|at| std::cmp::Reverse(nodes[*at].place));
    let (mut must, mut may, mut likely) = (vec![true; nodes.len()], vec![true; nodes.len()], vec![true; nodes.len()]);
    let mut undone_by: Vec<Option<usize>> = vec![None; nodes.len()];
    for at in by_age {
        must[at] &= nodes[at].strong && nodes[at].doubted_by.is_none();
        for undone in &nodes[at].undoes {
            must[*undone] &= !may[at];
            may[*undone] &= !must[at];
            likely[*undone] &= !likely[at];
            if likely[at] {
                undone_by[*undone] = Some(at);
            }
        }
    }
    let rank = |at: &usize| (must[*at], likely[*at], may[*at], nodes[*at].strong);
    // Among equals the first wins, because the strongest comes first.
    let carrier = (0..applied).rev().max_by_key(rank).unwrap_or(0);
    let any = |list: &[bool]| list[..applied].iter().any(|stands| *stands);
    let likely_stands = any(&likely);
    let doubted_by = nodes[carrier].doubted_by.or_else(|| undone_by[carrier].and_then(|at| nodes[at].doubted_by));
    let by = undone_by[carrier].filter(|_| !likely_stands);
    StepStanding {
        must: any(&must),
        may: any(&may),
        likely: likely_stands,
        carrier,
        reverted_by: by.map(|at| nodes[at].place),
        by_hint: by.is_some_and(|at| !must[at]),
        doubted_by,
    }
}

/// Decides which of two places comes first.
struct AncestryOrder<'a> {
    history: &'a History<'a>,
    after: HashMap<u32, Rc<Bits>>,
}

impl AncestryOrder<'_> {
    fn before(&mut self, first: CarrierPlace, second: CarrierPlace) -> bool {
        match (first, second) {
            (CarrierPlace::Commit(first), CarrierPlace::Commit(second)) => {
                first != second && self.after(first).has(second)
            }
            (CarrierPlace::Commit(_), CarrierPlace::Patch(_)) => true,
            (CarrierPlace::Patch(_), CarrierPlace::Commit(_)) => false,
            (CarrierPlace::Patch(first), CarrierPlace::Patch(second)) => first < second,
        }
    }

    fn after(&mut self, of: u32) -> &Bits {
        let graph = self.history.graph;
        self.after.entry(of).or_insert_with(|| graph.descendants(of))
    }
}

/// The reverts of a commit with these names and subjects in this history.
fn reverts_of(
    history: &History,
    names: &[Abbreviation],
    subjects: &[String],
    files: &[String],
) -> Result<Vec<Revert>, GitError> {
    let mut found: Vec<Revert> = Vec::new();
    for name in names {
        for named in history.naming(*name, &[MentionKind::Reverts, MentionKind::RevertsPartly])? {
            let place = CarrierPlace::Commit(named.number);
            if history.has(named.number) && found.iter().all(|(known, _)| *known != place) {
                found.push((place, named.kind == MentionKind::Reverts));
            }
        }
    }
    for number in undoing(history, subjects)? {
        let place = CarrierPlace::Commit(number);
        if !history.has(number) || found.iter().any(|(known, _)| *known == place) {
            continue;
        }
        let oid = history.sha(number)?;
        let message = history.message(oid);
        let is_so = undoes(&plain_subject(commit::subject(&message)), subjects);
        if is_so && !leaves(history.repository.git(), oid, files) && !reverts_another(history, &message, names)? {
            found.push((place, false));
        }
    }
    for (at, patch) in history.packaging.patches.iter().enumerate() {
        let mut said = patch.mentions.iter().filter(|(kind, ..)| *kind == MentionKind::Reverts);
        let by_name = said.any(|(_, commit, _)| names.iter().any(|name| name.agrees(*commit)));
        if patch.is_applied && (by_name || undoes(&patch.subject, subjects)) {
            found.push((CarrierPlace::Patch(at), by_name));
        }
    }
    Ok(found)
}

/// Whether a plain subject is one of these.
fn is_any(plain: &str, subjects: &[String]) -> bool {
    subjects.iter().any(|subject| is_same(plain, subject))
}

/// Whether a subject says in git's words that it reverts a commit with one of these plain subjects.
fn undoes(plain: &str, subjects: &[String]) -> bool {
    reverted_subjects(plain).iter().any(|undone| is_any(&plain_subject(undone.as_bytes()), subjects))
}

/// The commits that mention reverting one with these subjects.
fn undoing(history: &History, subjects: &[String]) -> Result<Vec<u32>, GitError> {
    let mut numbers = Vec::new();
    for subject in subjects {
        numbers.extend(history.store.undoing_subject(subject_hash(subject))?);
    }
    Ok(numbers)
}

/// Commits and patches that change the files of a commit with these names and subjects, and mention reverting it in
/// unclear words.
fn doubts_of(
    history: &History,
    names: &[Abbreviation],
    subjects: &[String],
    files: &[String],
) -> Result<Vec<CarrierPlace>, GitError> {
    let speaks =
        |kind: MentionKind| matches!(kind, MentionKind::Reverts | MentionKind::RevertsPartly | MentionKind::MayRevert);
    let mut numbers = BTreeSet::new();
    for name in names {
        // This includes names that are too short to be sure.
        numbers.extend(history.store.naming(*name)?.iter().filter(|said| speaks(said.kind)).map(|said| said.number));
    }
    for number in undoing(history, subjects)? {
        if history.has(number) && !numbers.contains(&number) {
            let message = history.message(history.sha(number)?);
            let said = doubted_subjects(&message, &mentions(&message));
            if said.iter().any(|said| is_any(&plain_subject(said.as_bytes()), subjects)) {
                numbers.insert(number);
            }
        }
    }
    let mut found = Vec::new();
    for number in numbers {
        // A merge's message repeats those of its commits.
        if history.has(number)
            && history.graph.parents(number).len() < 2
            && !leaves(history.repository.git(), history.sha(number)?, files)
        {
            found.push(CarrierPlace::Commit(number));
        }
    }
    for (at, patch) in history.packaging.patches.iter().enumerate() {
        let mut said = patch.mentions.iter().filter(|(kind, ..)| speaks(*kind));
        let by_name = said.any(|(_, commit, _)| names.iter().any(|name| name.agrees(*commit)));
        // A patch outside of any series may or may not be applied.
        let is_lying = !patch.is_applied && undoes(&patch.subject, subjects);
        let speaks = by_name || is_lying || patch.doubted.iter().any(|doubted| is_any(doubted, subjects));
        if (speaks || patch.is_reversed) && (files.is_empty() || patch.changes(files)) {
            found.push(CarrierPlace::Patch(at));
        }
    }
    Ok(found)
}

/// Whether a message says that it reverts another existing commit.
fn reverts_another(history: &History, message: &[u8], names: &[Abbreviation]) -> Result<bool, GitError> {
    for mention in mentions(message).iter().filter(|m| m.kind == MentionKind::Reverts) {
        if !names.iter().any(|name| name.agrees(mention.commit)) && history.only(mention.commit)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reverts of the merges that brought a carrier.
fn reverted_merges(history: &History, found: &[Carrier], order: &mut AncestryOrder) -> Result<Vec<Revert>, GitError> {
    let mut reverts = Vec::new();
    let merges = history.store.reverting_merges()?;
    for named in merges.into_iter().filter(|named| history.has(named.number)).take(1_000) {
        let Some(merge) = history.only(named.commit)? else { continue };
        let Some(merge) = history.store.number(merge)? else { continue };
        let Some(first) = history.graph.parents(merge).first().copied() else { continue };
        for carrier in found {
            let CarrierPlace::Commit(number) = carrier.place else { continue };
            // The cheap check comes first, because most reverted merges are older.
            if number <= merge && order.after(number).has(merge) && !order.after(number).has(first) {
                reverts.push((CarrierPlace::Commit(named.number), true));
            }
        }
    }
    reverts.dedup();
    Ok(reverts)
}

/// The names and the subject of a revert. They exclude those of the step, although the revert may quote the step's
/// message.
fn names_of(
    history: &History,
    place: CarrierPlace,
    of_the_step: &[Abbreviation],
) -> Result<(Vec<Abbreviation>, String), GitError> {
    let is_its_own = |name: &Abbreviation| !of_the_step.iter().any(|step| step.agrees(*name));
    match place {
        CarrierPlace::Commit(number) => {
            let oid = history.sha(number)?;
            let message = history.message(oid);
            let carried = mentions(&message).into_iter().filter(|m| m.kind == MentionKind::Carries).map(|m| m.commit);
            let names = std::iter::once(whole(oid)).chain(carried.filter(is_its_own)).collect();
            Ok((history.all_names(names)?, plain_subject(commit::subject(&message))))
        }
        CarrierPlace::Patch(at) => {
            let patch = history.packaging.patches.get(at);
            let carried = patch.map(|patch| patch.mentions.iter().filter(|(kind, ..)| *kind == MentionKind::Carries));
            let names = carried.into_iter().flatten().map(|(_, commit, _)| *commit).filter(is_its_own).collect();
            Ok((history.all_names(names)?, patch.map(|patch| patch.subject.clone()).unwrap_or_default()))
        }
    }
}
