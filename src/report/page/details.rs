//! What the page shows of an opened cell. Texts and checks are kept once, because kernels have most of them in common.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use backproof_protocol::Check;
use serde::Serialize;

use super::super::web::inert::{Text, Texts};
use super::super::web::once::Once;
use super::changed::PageChanges;
use super::excerpts;
use super::overview::is_first;
use super::picture::Picture;
use super::pictures::pictures;
use crate::evidence::Finding;
use crate::evidence::git::StepFound;
use crate::results::MatrixDocument;
use crate::run::{BootRecord, Cell, KernelRecord};
use crate::words::{KernelName, Outcome};

/// The most bytes for pictures, consoles and commands. The cells to look at first come first; the others only name their
/// files.
const EXTRAS_MOST: usize = 300 << 10;

/// The last lines of a console to show: of a boot that failed, and of any other.
const CONSOLE_FAILED: usize = 40;
const CONSOLE: usize = 8;

/// The details of all cells.
#[derive(Debug, Serialize)]
pub(super) struct Details {
    texts: Vec<String>,
    /// The names of facts that stand together.
    fact_names: Vec<Vec<Text>>,
    checks: Vec<CheckDetails>,
    /// The cells, in the matrix's order.
    cells: Vec<CellDetails>,
    kernels: BTreeMap<String, KernelDetails>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct CheckDetails {
    name: Text,
    role: Text,
    shown: Text,
    why: Text,
    /// The place of its facts' names, and their values.
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<(usize, Vec<Option<i64>>)>,
}

#[derive(Debug, Serialize)]
struct CellDetails {
    expect: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text>,
    /// Remarks about the verdict: a label, and a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<(Text, Text)>,
    findings: Vec<FindingDetails>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepDetails>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crash: Option<(Text, Vec<Text>)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    said: Vec<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reach: Vec<(Text, Text)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guest_ms: Option<u64>,
    boots: Vec<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pictures: Vec<Picture>,
}

#[derive(Debug, Serialize)]
struct FindingDetails {
    witness: Text,
    states: Vec<Text>,
    strength: Text,
    why: Text,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    against: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<Text>,
}

#[derive(Debug, Serialize)]
struct StepDetails {
    role: Text,
    commit: Text,
    how: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reverted: Option<Text>,
}

#[derive(Debug, Serialize)]
struct KernelDetails {
    source: Text,
    image_sha256: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<Text>,
    packages: Vec<Text>,
    boots: Vec<BootDetails>,
}

#[derive(Debug, Serialize)]
struct BootDetails {
    number: u32,
    accelerator: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<Text>,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    console: Vec<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command: Vec<Text>,
}

impl Details {
    /// The details of a run, and the files of its folder that fit.
    pub(super) fn of(document: &MatrixDocument, run: &Path, changes: Option<&PageChanges>) -> Self {
        let mut making = Making::default();
        let cells = document.cells.iter().map(|cell| making.cell(cell)).collect();
        let kernels = document.kernels.iter().map(|k| (k.name.to_string(), making.kernel(k))).collect();
        let mut details = Self { texts: Vec::new(), fact_names: Vec::new(), checks: Vec::new(), cells, kernels };
        details.add_extras(&mut making, document, run, changes);
        details.texts = making.texts.into_all();
        details.fact_names = making.fact_names.all;
        details.checks = making.checks.all;
        details
    }

    /// Adds the files' excerpts, while there is room for them.
    fn add_extras(
        &mut self,
        making: &mut Making,
        document: &MatrixDocument,
        run: &Path,
        changes: Option<&PageChanges>,
    ) {
        let mut order: Vec<usize> = (0..document.cells.len()).collect();
        let rank = |cell: &Cell| (!is_first(cell, changes), !matches!(cell.outcome, Outcome::Fail | Outcome::Error));
        order.sort_by_key(|index| document.cells.get(*index).map(rank));
        let mut room = EXTRAS_MOST;
        for index in order {
            let (Some(cell), Some(details)) = (document.cells.get(index), self.cells.get_mut(index)) else { continue };
            if room == 0 {
                return;
            }
            let drawn = pictures(run, cell);
            let size: usize = drawn.iter().map(Picture::size).sum();
            if size <= room {
                room -= size;
                details.pictures = drawn;
            }
            if let Some(kernel) = self.kernels.get_mut(cell.kernel.as_str()) {
                room = room.saturating_sub(making.excerpts(kernel, &cell.kernel, run));
            }
        }
    }
}

/// What cells and kernels have in common.
#[derive(Default)]
struct Making {
    texts: Texts,
    fact_names: Once<Vec<Text>>,
    checks: Once<CheckDetails>,
}

/// The name of an enum's variant in documents.
fn name(variant: &impl Serialize) -> String {
    serde_json::to_value(variant).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Making {
    fn keep(&mut self, text: &impl Display) -> Text {
        self.texts.keep(&text.to_string())
    }

    fn cell(&mut self, cell: &Cell) -> CellDetails {
        let (judgement, trials) = (&cell.judgement, &cell.trials);
        let reach = trials.reach.iter().map(|(function, reach)| (self.keep(function), self.keep(reach))).collect();
        CellDetails {
            expect: self.texts.keep(&String::from(cell.expect)),
            reason: judgement.reason.as_ref().map(|reason| self.keep(reason)),
            remarks: self.remarks(cell),
            findings: judgement.findings.iter().map(|f| self.finding(f, judgement.is_against(f))).collect(),
            steps: judgement.steps.iter().map(|step| self.step(step)).collect(),
            checks: trials.checks.iter().map(|check| self.check(check)).collect(),
            crash: trials.crash.as_ref().map(|crash| (self.keep(&crash.title), self.texts.keep_all(&crash.excerpt))),
            said: self.texts.keep_all(&trials.said),
            reach,
            guest_ms: trials.guest_ms,
            boots: self.texts.keep_all(&trials.boots),
            pictures: Vec::new(),
        }
    }

    fn remarks(&mut self, cell: &Cell) -> Vec<(Text, Text)> {
        let (judgement, trials) = (&cell.judgement, &cell.trials);
        let mut remarks = Vec::new();
        let mut add = |label: &str, says: String| remarks.push((self.texts.keep(label), self.texts.keep(&says)));
        judgement.contradiction().into_iter().for_each(|says| add("conflict", says));
        judgement.warnings.iter().for_each(|says| add("warning", says.clone()));
        judgement.advice.iter().for_each(|advice| add(advice.kind.label(), advice.says.clone()));
        trials.unexplained.iter().for_each(|says| add("unexplained crash", says.clone()));
        trials.differs.iter().for_each(|says| add("transcript differs", says.clone()));
        trials.seeds.iter().for_each(|seeds| add("seeds", seeds.to_string()));
        if !trials.shared_with.is_empty() {
            let bugs: Vec<&str> = trials.shared_with.iter().map(|bug| bug.as_str()).collect();
            add("shared guest", format!("programs of {} could have written this report", bugs.join(", ")));
        }
        remarks
    }

    fn finding(&mut self, finding: &Finding, against: bool) -> FindingDetails {
        let limit = finding.limit.map(|limit| format!(", {}", name(&limit))).unwrap_or_default();
        let mitigated = if finding.mitigated { ", mitigated" } else { "" };
        FindingDetails {
            witness: self.texts.keep(finding.witness.as_str()),
            states: self.texts.keep_all(finding.states.iter().map(|state| state.as_str())),
            strength: self.keep(&format!("{}{limit}{mitigated}", name(&finding.strength))),
            why: self.keep(&finding.why),
            against,
            files: self.texts.keep_all(&finding.artefacts),
        }
    }

    fn step(&mut self, step: &StepFound) -> StepDetails {
        let commit = step.commit.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        StepDetails {
            role: self.keep(&step.role),
            commit: self.keep(&commit),
            how: self.keep(&step.how),
            tag: step.first_tag.as_ref().map(|tag| self.keep(tag)),
            reverted: step.reverted_by.as_ref().map(|by| self.keep(by)),
        }
    }

    fn check(&mut self, check: &Check) -> usize {
        let facts = (!check.facts.is_empty()).then(|| {
            let names = self.texts.keep_all(check.facts.keys());
            (self.fact_names.keep(names), check.facts.values().copied().collect())
        });
        let check = CheckDetails {
            name: self.keep(&check.name),
            role: self.texts.keep(&name(&check.role)),
            shown: self.texts.keep(&name(&check.shown)),
            why: self.keep(&check.why),
            facts,
        };
        self.checks.keep(check)
    }

    fn kernel(&mut self, kernel: &KernelRecord) -> KernelDetails {
        let packages = kernel
            .files
            .iter()
            .map(|file| format!("{} {}", file.name, file.version.as_deref().unwrap_or_default()).trim_end().to_owned());
        KernelDetails {
            source: self.keep(&kernel.source),
            image_sha256: self.keep(&kernel.image_sha256),
            stale: kernel.stale.as_ref().map(|stale| self.keep(stale)),
            packages: self.texts.keep_all(packages),
            boots: kernel.boots.iter().map(|boot| self.boot(boot)).collect(),
        }
    }

    fn boot(&mut self, boot: &BootRecord) -> BootDetails {
        BootDetails {
            number: boot.number,
            accelerator: self.keep(&boot.accelerator),
            seed: boot.time.map(|time| time.seed),
            shift: boot.time.map(|time| time.shift),
            transcript: boot.transcript_sha256.as_ref().map(|sha256| self.keep(sha256)),
            seconds: boot.seconds,
            cached: boot.cached.map(|cached| self.keep(&cached)),
            failure: boot.failure.as_ref().map(|failure| self.keep(failure)),
            notes: self.texts.keep_all(&boot.notes),
            console: Vec::new(),
            command: Vec::new(),
        }
    }

    /// Adds the excerpts of a kernel's boots, once. Returns about how many bytes they take.
    fn excerpts(&mut self, details: &mut KernelDetails, kernel: &KernelName, run: &Path) -> usize {
        let mut size = 0;
        for boot in details.boots.iter_mut().filter(|boot| boot.command.is_empty() && boot.console.is_empty()) {
            let folder = run.join(kernel.as_str()).join(format!("boot-{}", boot.number));
            let lines = if boot.failure.is_some() { CONSOLE_FAILED } else { CONSOLE };
            let console = excerpts::console(&folder, lines);
            size += console.iter().map(String::len).sum::<usize>();
            boot.console = self.texts.keep_all(&console);
            boot.command = excerpts::command(&folder, &mut self.texts);
            // Most of a command's lines are those of others.
            size += boot.command.len() * 6 + 300;
        }
        size
    }
}
