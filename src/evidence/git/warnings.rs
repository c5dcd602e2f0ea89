//! Warnings in addition to the answer.

use std::collections::BTreeSet;

use git2::Oid;

use super::GitError;
use super::answer::GitAnswer;
use super::history::{CarrierPlace, short, whole};
use super::message::MentionKind;
use super::subject::{plain_subject, subject_hash};

/// The most warnings of one kind.
pub(super) const MOST_WARNINGS: usize = 12;

impl GitAnswer<'_> {
    /// Warns of grafts, replacements, missing history and missing files.
    pub(super) fn overlays(&mut self) -> Result<(), GitError> {
        let overlay = self.history.repository.overlay();
        if !overlay.shallow.is_empty() {
            let path = self.history.repository.path().display();
            self.warnings.push(format!("the clone is shallow: `git -C {path} fetch --unshallow` fetches the rest"));
        }
        if !overlay.grafts.is_empty() || !overlay.replaced.is_empty() {
            let (grafts, replaced) = (overlay.grafts.len(), overlay.replaced.len());
            self.warnings.push(format!(
                "grafts ({grafts}) and replace refs ({replaced}) change this history: it is judged as git shows it, \
                and `git --no-replace-objects log` shows it as it was committed"
            ));
        }
        if !self.lacking.is_empty() {
            let path = self.history.repository.path().display();
            let files = self.lacking.iter().cloned().collect::<Vec<_>>().join(" ");
            let remedy = if self.history.repository.is_partial() {
                format!("`git -C {path} show {files}` fetches them, then ask again")
            } else {
                format!("run `git fsck` in it, or clone it again; it lacks {files}")
            };
            self.warnings.push(format!(
                "the repository lacks files that would show whether the steps are in, so the answer is a hint: {remedy}"
            ));
        }
        let has_tags = self.history.store.tags().iter().any(|tag| tag.is_release);
        if !has_tags && !self.found.is_empty() {
            let path = self.history.repository.path().display();
            self.warnings.push(format!(
                "the repository has no release tags of kernel.org, so releases in its history are not recognised: \
                run `git -C {path} fetch --tags` with a remote that has them"
            ));
        }
        for cut in self.history.store.cuts()?.into_iter().filter(|cut| self.history.has(*cut)).take(MOST_WARNINGS) {
            let oid = self.history.sha(cut)?;
            let is_meant = overlay.shallow.contains(&oid) || overlay.grafts.contains_key(&oid);
            if let Some(lost) = self.history.lost_parent(oid).filter(|_| !is_meant) {
                self.warnings.push(format!(
                    "the history ends at {}, because the repository lacks its parent {}: run `git fsck` in it, or \
                    clone it again",
                    short(oid),
                    short(lost)
                ));
            }
        }
        Ok(())
    }

    /// Warns of commits that claim to fix a step but are not steps themselves.
    pub(super) fn later_fixes(&mut self) -> Result<(), GitError> {
        let history = self.history;
        let is_step = |number: u32, oid: Oid| {
            let name = whole(oid);
            self.found.iter().any(|one| {
                one.carriers.names.contains(&name)
                    || one.carriers.found.iter().any(|carrier| carrier.place == CarrierPlace::Commit(number))
            })
        };
        let mut told = BTreeSet::new();
        let mut warnings = Vec::new();
        for one in self.found {
            for name in &one.carriers.names {
                let mut fixes = history.naming(*name, &[MentionKind::Fixes])?;
                // Fixes that this revision lacks matter most.
                fixes.sort_by_key(|named| (history.has(named.number), named.number));
                for named in fixes {
                    let oid = history.sha(named.number)?;
                    if is_step(named.number, oid) {
                        continue;
                    }
                    let message = history.message(oid);
                    // An amended or dropped commit may still be in the index, but is gone from the repository.
                    if message.is_empty() {
                        continue;
                    }
                    let subject = plain_subject(super::commit::subject(&message));
                    // Thirty stable lines have thirty backports of it, but one warning is enough.
                    if warnings.len() < MOST_WARNINGS && told.insert((one.step.role, subject.clone())) {
                        let here = self.has_it(&subject, named.number)?;
                        let place = if here { "and is in this revision" } else { "and is not in this revision" };
                        warnings.push(format!(
                            "a later commit, {}, says \"Fixes: {}\" (the {}), {place}",
                            history.call(oid),
                            named.commit.to_hex(),
                            one.step.role
                        ));
                    }
                }
            }
        }
        self.warnings.extend(warnings);
        Ok(())
    }

    /// Whether a commit, or one of the same subject, is in this history.
    fn has_it(&self, subject: &str, number: u32) -> Result<bool, GitError> {
        let same = self.history.store.with_subject(subject_hash(subject))?;
        Ok(self.history.has(number) || same.into_iter().any(|number| self.history.has(number)))
    }
}
