//! What changed between two runs.

use std::collections::BTreeMap;

use super::digest::{CellDigest, KernelDigest, RunDigest};
use super::sentence;
use super::trend::{RunsBefore, flakier, slower};
use crate::results::{CHANGES_VERSION, CellStanding, ChangeKind, NotCompared, RunChange, RunChanges};
use crate::words::{JobId, KernelName};

/// What changed from `before` to `after`. `past` are the runs before `after`.
pub fn compare(before: Option<&RunDigest>, after: &RunDigest, past: &RunsBefore) -> RunChanges {
    let mut found = Comparison {
        past,
        was: before.map(judged).unwrap_or_default(),
        is: judged(after),
        changes: Vec::new(),
        apart: BTreeMap::new(),
        compared: 0,
    };
    if let Some(before) = before {
        found.kernels(before, after);
        found.cells(before, after);
    }
    let Comparison { mut changes, apart, compared, .. } = found;
    changes.sort_by(|a, b| (a.kind(), &a.kernel, a.job()).cmp(&(b.kind(), &b.kernel, b.job())));
    let not_compared = apart.into_iter().map(|((job, why), kernels)| NotCompared { kernels, job, why });
    RunChanges {
        schema_version: CHANGES_VERSION,
        before: before.map(|before| before.run.clone()),
        after: after.run.clone(),
        compared,
        changes,
        not_compared: not_compared.collect(),
    }
}

/// The judged cells of each kernel.
fn judged(run: &RunDigest) -> BTreeMap<&KernelName, Vec<&CellDigest>> {
    let mut kernels: BTreeMap<_, Vec<&CellDigest>> = BTreeMap::new();
    for ((kernel, _), cell) in &run.cells {
        kernels.entry(kernel).or_default().push(cell);
    }
    kernels
}

struct Comparison<'a> {
    past: &'a RunsBefore,
    /// The kernels that the earlier run judged.
    was: BTreeMap<&'a KernelName, Vec<&'a CellDigest>>,
    /// Those that the later run judged.
    is: BTreeMap<&'a KernelName, Vec<&'a CellDigest>>,
    changes: Vec<RunChange>,
    /// Kernels that are not compared, by the job (None for all of them) and the reason.
    apart: BTreeMap<(Option<JobId>, String), Vec<KernelName>>,
    compared: usize,
}

impl<'a> Comparison<'a> {
    /// Kernels that only one run has, and those that changed themselves.
    fn kernels(&mut self, before: &RunDigest, after: &RunDigest) {
        let is_same_matrix = before.run.matrix == after.run.matrix;
        let began: Vec<&KernelName> = self.is.keys().filter(|it| !self.was.contains_key(*it)).copied().collect();
        let ended: Vec<&KernelName> = self.was.keys().filter(|it| !self.is.contains_key(*it)).copied().collect();
        for kernel in began {
            if !is_same_matrix {
                self.apart(None, format!("only run {} judged it, with another matrix", after.run.id), kernel);
                continue;
            }
            let missed = before.run.selection.covers(&after.run.selection) && !before.run.interrupted;
            if missed || !self.past.judged.contains(kernel) {
                let release = after.kernels.get(kernel).and_then(|kernel| kernel.release.as_deref());
                let cells = self.is.get(kernel).into_iter().flatten().map(|cell| &cell.standing);
                let says = sentence::new_kernel(cells, release);
                self.change(vec![ChangeKind::NewKernel], kernel, says);
            } else {
                self.apart(None, format!("run {} did not judge it", before.run.id), kernel);
            }
        }
        for kernel in ended {
            let id = &after.run.id;
            if !is_same_matrix {
                self.apart(None, format!("only run {} judged it, with another matrix", before.run.id), kernel);
            } else if after.run.interrupted {
                self.apart(None, format!("run {id} was interrupted or is unfinished, and did not come to it"), kernel);
            } else if after.run.selection.covers(&before.run.selection) {
                let says = format!("the kernel is gone; run {} still judged it", before.run.id);
                self.change(vec![ChangeKind::VanishedKernel], kernel, says);
            } else {
                self.apart(None, format!("run {id} did not select it"), kernel);
            }
        }
        for (kernel, is) in &after.kernels {
            if let Some(was) = before.kernels.get(kernel)
                && self.was.contains_key(kernel)
                && self.is.contains_key(kernel)
            {
                self.kernel(kernel, was, is);
            }
        }
    }

    fn kernel(&mut self, kernel: &KernelName, was: &KernelDigest, is: &KernelDigest) {
        let (mut kinds, mut says) = (Vec::new(), Vec::new());
        let differ =
            |(inputs, said): &(&String, &String)| was.transcripts.get(*inputs).is_some_and(|then| then != *said);
        let count = is.transcripts.iter().filter(differ).count();
        if count > 0 {
            kinds.push(ChangeKind::Transcript);
            let boots = if count == 1 { "a boot".to_owned() } else { format!("{count} boots") };
            says.push(format!("{boots} of the same inputs did not say the same"));
        }
        let releases = (was.release.as_deref(), is.release.as_deref());
        if let Some(changed) = sentence::kernel_changed(releases, (&was.image_sha256, &is.image_sha256)) {
            kinds.push(ChangeKind::KernelChanged);
            says.push(changed);
        }
        if !kinds.is_empty() {
            self.change(kinds, kernel, says.join("; "));
        }
    }

    /// Cells of the kernels that both runs judged.
    fn cells(&mut self, before: &RunDigest, after: &RunDigest) {
        for ((kernel, job), is) in &after.cells {
            match before.cells.get(&(kernel.clone(), job.clone())) {
                Some(was) => {
                    self.compared += 1;
                    let image = after.kernels.get(kernel).map(|kernel| kernel.image_sha256.as_str());
                    self.cell(kernel, job, was, is, image);
                }
                None if self.was.contains_key(kernel) => {
                    self.apart(Some(job.clone()), format!("only run {} judged it", after.run.id), kernel);
                }
                None => {}
            }
        }
        for (kernel, job) in before.cells.keys() {
            if self.is.contains_key(kernel) && !after.cells.contains_key(&(kernel.clone(), job.clone())) {
                self.apart(Some(job.clone()), format!("only run {} judged it", before.run.id), kernel);
            }
        }
    }

    fn cell(&mut self, kernel: &KernelName, job: &JobId, was: &CellDigest, is: &CellDigest, image: Option<&str>) {
        let past = self.past.cells.get(&(kernel.clone(), job.clone())).map_or(&[][..], Vec::as_slice);
        let (a, b) = (&was.standing, &is.standing);
        let qualified = |it: &CellStanding| (it.verdict, it.mitigated, it.unproven);
        let (slow, flaky) = (slower(was, is, past), flakier(was, is, image, past));
        let kinds: Vec<ChangeKind> = [
            (!a.conflict && b.conflict, ChangeKind::ConflictBegan),
            (a.expected && !b.expected, ChangeKind::UnexpectedBegan),
            (a.outcome != b.outcome, ChangeKind::Outcome),
            (a.outcome == b.outcome && qualified(a) != qualified(b), ChangeKind::Verdict),
            (a.state != b.state, ChangeKind::State),
            (a.conflict && !b.conflict, ChangeKind::ConflictEnded),
            (!a.expected && b.expected, ChangeKind::UnexpectedEnded),
            (flaky.is_some(), ChangeKind::Flakier),
            (slow.is_some(), ChangeKind::Slower),
        ]
        .into_iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, kind)| kind)
        .collect();
        if kinds.is_empty() {
            return;
        }
        let says: Vec<String> = [sentence::flipped(&kinds, a, b), flaky, slow].into_iter().flatten().collect();
        self.changes.push(RunChange {
            kinds,
            kernel: kernel.clone(),
            bug: Some(job.bug.clone()),
            profile: Some(job.profile.clone()),
            before: Some(a.clone()),
            after: Some(b.clone()),
            says: says.join("; "),
        });
    }

    fn change(&mut self, kinds: Vec<ChangeKind>, kernel: &KernelName, says: String) {
        let kernel = kernel.clone();
        self.changes.push(RunChange { kinds, kernel, bug: None, profile: None, before: None, after: None, says });
    }

    fn apart(&mut self, job: Option<JobId>, why: String, kernel: &KernelName) {
        self.apart.entry((job, why)).or_default().push(kernel.clone());
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
