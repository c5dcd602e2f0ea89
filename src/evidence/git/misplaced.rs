//! Decides whether the files show a step where it belongs: compiled, in the commit that claims it, and in files that
//! are still there.

use git2::Oid;

use super::GitError;
use super::answer::{GitAnswer, StepSearch};
use super::backports::Carrier;
use super::claims::share;
use super::content::{lines_at, text_at};
use super::disabled::{Disabled, Placed, disabled};
use super::history::{CarrierPlace, short};
use super::line_changes::changed_files;
use super::partial_fixes::{last_release, say};
use super::quilt::QuiltPatch;
use super::reverts::StepStanding;
use super::testimony::How;
use crate::words::Role;

impl GitAnswer<'_> {
    /// Whether the only commits that claim a step have none of its lines. Warns if so.
    pub(super) fn is_contradicted(&mut self, one: &StepSearch, standing: &StepStanding) -> bool {
        let carrier = &one.carriers.found[standing.carrier];
        if standing.must || !standing.may || !carrier.contradicts {
            return false;
        }
        let name = self.name(carrier.place).unwrap_or_default();
        let name = if matches!(carrier.place, CarrierPlace::Commit(_)) { &name[..name.len().min(12)] } else { &name };
        let says = format!(
            "{name} says that it carries the {} but has none of the lines that {} changes: read it",
            one.step.role,
            one.carriers.model.map_or_else(|| "upstream".to_owned(), short)
        );
        self.warnings.push(says.clone());
        self.doubts.push(says);
        true
    }

    /// Why a step that the history has may not be in the kernel.
    pub(super) fn misplaced(
        &self,
        one: &StepSearch,
        carrier: &Carrier,
        number: u32,
    ) -> Result<Option<String>, GitError> {
        let (history, git, role) = (self.history, self.history.repository.git(), one.step.role);
        let (oid, places) = (history.sha(number)?, self.places(one)?);
        let name = short(oid);
        if let Some(lost) = &places.lost {
            return Ok(Some(format!("the {role} is in the history as {name}, but {lost}")));
        }
        let is_known = matches!(carrier.how, How::Itself | How::KnownBackport { .. } | How::SamePatch);
        let model = one.carriers.model.filter(|_| one.carriers.known > 0);
        // Other files have no preprocessor: `#` begins a comment there.
        let has_conditions = |path: &str| [".c", ".h", ".S"].iter().any(|end| path.ends_with(end));
        for (file, path) in places.files.iter().filter(|(_, path)| has_conditions(path)) {
            let step = Placed {
                carrier: oid,
                is_claim: !is_known,
                model,
                release: last_release(history, number)?,
                patches: &one.carriers.patches,
                file,
                places: &places,
            };
            return Ok(Some(match disabled(git, history.commit, &step) {
                None => continue,
                Some(Disabled::Within(line, by)) => format!(
                    "the {role} is in the history as {name}, but {path} has its line \u{201c}{}\u{201d} inside {by}: \
                     boot the kernel, or judge its image, to see whether it is compiled",
                    say(&line)
                ),
                // The lines of the break don't show which of them matter.
                Some(Disabled::Kept(..)) if role < Role::Fix => continue,
                Some(Disabled::Kept(line, by)) => format!(
                    "the {role} is in the history as {name}, but {path} still has \u{201c}{}\u{201d}{}, which it \
                     removes: boot the kernel, or judge its image",
                    say(&line),
                    by.map(|by| format!(" inside {by}")).unwrap_or_default()
                ),
            }));
        }
        // Fixes are compared line by line elsewhere.
        let is_squashed = self
            .found
            .iter()
            .any(|other| other.at > one.at && other.carriers.found.iter().any(|found| found.place == carrier.place));
        if let Some(model) = model.filter(|model| *model != oid && !is_known && role < Role::Fix && !is_squashed) {
            let (there, all) = share(git, model, oid, &places.files);
            if there * 2 < all {
                return Ok(Some(format!(
                    "{name} says that it carries the {role} but has only {there} of the {all} lines that upstream adds"
                )));
            }
        }
        Ok(None)
    }

    /// Why a patch in the tree may turn off a step: it adds conditions around its lines, which upstream doesn't.
    pub(super) fn turned_off_by_patch(&self, one: &StepSearch) -> Option<String> {
        let (git, patches) = (self.history.repository.git(), &one.carriers.patches);
        let may_turn = |patch: &&QuiltPatch| patch.changes(&one.step.files) && patch.may_turn_off(patches);
        let patch = self.history.packaging.patches.iter().find(may_turn)?;
        let directives = |tree: Oid, file: &String| {
            let text = text_at(git, tree, file).unwrap_or_default();
            let lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
            lines.filter(|line| line.starts_with(b"#if") || line.starts_with(b"#el")).count()
        };
        let adds_some = |model: Oid| -> Option<bool> {
            let (before, after) = (git.first_parent(model)?.tree, git.commit(model)?.tree);
            Some(one.step.files.iter().any(|file| directives(after, file) > directives(before, file)))
        };
        if one.carriers.model.and_then(adds_some) == Some(true) {
            return None;
        }
        let (file, role) = (&patch.file, one.step.role);
        Some(format!(
            "{file} adds conditions or comments around lines of the {role}: judge the package that is built from it"
        ))
    }

    /// The file to which the commit `by` moved lines of a step, if that file now lacks some.
    pub(super) fn moved_lines(&self, one: &StepSearch, step: Oid, by: Oid) -> Option<String> {
        let git = self.history.repository.git();
        let parents = git.commit(step)?.parents.first().copied()?;
        let before = git.commit(by)?.parents.first().copied()?;
        for file in &one.step.files {
            let (after, old) = (lines_at(git, step, file), lines_at(git, parents, file));
            let added: Vec<_> = after.difference(&old).collect();
            for path in changed_files(git, by)?.into_iter().filter(|path| !one.step.files.contains(path)) {
                let (new, was) = (lines_at(git, by, &path), lines_at(git, before, &path));
                let moved: Vec<_> = added.iter().filter(|line| new.contains(**line) && !was.contains(**line)).collect();
                let here = lines_at(git, self.history.commit, &path);
                if !moved.is_empty() && moved.iter().any(|line| !here.contains(**line)) {
                    return Some(path);
                }
            }
        }
        None
    }
}
