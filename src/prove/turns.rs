//! proof.json of a search: where in a row of kernels the verdict turns.

use serde::Serialize;

use super::search::{BadEnds, TurnSearch};
use crate::evidence::{Finding, Witness};
use crate::exit::Exit;
use crate::validate::ToolRecord;
use crate::verdict::Verdict;
use crate::words::{BugId, KernelName};

/// Where the verdict turns between two kernels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TurnProof {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// The bug.
    pub bug: BugId,
    /// The searches: one in the named row, and with a repository one in the commits of each turn.
    pub searches: Vec<RowSearch>,
    /// The lines that matter: `flips: 4.19.61 affected → 4.19.62 not-affected; git agrees`.
    pub lines: Vec<String>,
    /// The boots, including those that confirm.
    pub boots: usize,
    /// By what it was judged.
    pub tool: ToolRecord,
    /// The run's folder.
    pub folder: String,
    /// The command that repeats it.
    pub repeat: String,
    /// The exit code: 0 found, 2 ends that don't differ, 3 no verdict, 130 interrupted.
    pub exit_code: Exit,
}

/// One search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowSearch {
    /// What stands in the row: `tags of linux.git`.
    pub what: String,
    /// The kernels, in their order.
    pub row: Vec<RowKernel>,
    /// The commits of a repository's revisions.
    #[serde(skip)]
    pub commits: Vec<String>,
    /// The turns.
    pub turns: Vec<VerdictTurn>,
}

/// A kernel of a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowKernel {
    /// A tag, a version, a commit, or its name in the matrix.
    pub label: String,
    /// Its name in the run.
    pub name: KernelName,
    /// The verdict of its boot. None if it was not booted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why its boot has no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the witnesses that need no boot say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<SaidOfKernel>,
}

/// What a witness says of a kernel without a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SaidOfKernel {
    /// The witness.
    pub witness: Witness,
    /// Its verdict.
    pub verdict: Verdict,
}

impl SaidOfKernel {
    /// What a finding says.
    pub fn of(finding: &Finding) -> Self {
        let is_in = |affected: bool| finding.states.iter().any(|state| state.is_affected() == affected);
        let verdict = match (is_in(true), is_in(false)) {
            (true, false) => Verdict::Affected,
            (false, true) => Verdict::NotAffected,
            _ => Verdict::Unknown,
        };
        Self { witness: finding.witness, verdict }
    }

    /// Whether it contradicts this.
    pub fn contradicts(&self, affected: bool) -> bool {
        match self.verdict {
            Verdict::Affected => !affected,
            Verdict::NotAffected => affected,
            Verdict::Unknown => false,
        }
    }
}

/// What second boots of the sides of a turn say: under another seed, or in real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// The same as the first ones.
    Confirmed,
    /// Nothing: they broke, or were not made.
    NotJudged,
    /// The opposite.
    Differs,
}

/// A turn of the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictTurn {
    /// The last kernel before.
    pub from: String,
    /// The first kernel after.
    pub to: String,
    /// Whether the bug comes in.
    pub breaks: bool,
    /// Whether second boots of both sides say the same.
    pub confirmed: Confirmation,
    /// Kernels between them without a verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unjudged: Vec<String>,
    /// Whether each other witness puts the turn here, too: `git agrees`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<String>,
}

impl VerdictTurn {
    /// The line that matters.
    pub fn line(&self) -> String {
        let word = |affected: bool| if affected { Verdict::Affected } else { Verdict::NotAffected };
        let mut line = format!("flips: {} {} → {} {}", self.from, word(!self.breaks), self.to, word(self.breaks));
        if !self.unjudged.is_empty() {
            line += &format!("; without a verdict between them: {}", self.unjudged.join(", "));
        }
        match self.confirmed {
            Confirmation::Confirmed => {}
            Confirmation::NotJudged => line += "; not confirmed: the second boots have no verdict",
            Confirmation::Differs => line += "; not confirmed: a second boot says the opposite",
        }
        for witness in &self.witnesses {
            line += &format!("; {witness}");
        }
        line
    }
}

impl RowSearch {
    /// The turns of a search in this row, with what the other witnesses say of them. `confirmed` tells what a
    /// kernel's second boot says.
    pub fn turns_of(
        row: &[RowKernel],
        search: &TurnSearch,
        confirmed: impl Fn(usize) -> Confirmation,
    ) -> Vec<VerdictTurn> {
        let turn = |turn: super::search::Turn| {
            let label = |at: usize| row.get(at).map(|kernel| kernel.label.clone()).unwrap_or_default();
            VerdictTurn {
                from: label(turn.from),
                to: label(turn.to),
                breaks: turn.breaks,
                confirmed: confirmed(turn.from).max(confirmed(turn.to)),
                unjudged: (turn.from + 1..turn.to).map(label).collect(),
                witnesses: witnesses(row, turn.from, turn.to, turn.breaks),
            }
        };
        search.turns().into_iter().map(turn).collect()
    }
}

/// Whether each witness that speaks of both sides of a turn says the same as the boots.
fn witnesses(row: &[RowKernel], from: usize, to: usize, breaks: bool) -> Vec<String> {
    let (Some(before), Some(after)) = (row.get(from), row.get(to)) else { return Vec::new() };
    let mut lines = Vec::new();
    for said in &before.said {
        let Some(then) = after.said.iter().find(|other| other.witness == said.witness) else { continue };
        let witness = said.witness.as_str();
        let wrong = [(before, said, !breaks), (after, then, breaks)];
        let wrong = wrong.into_iter().find(|(_, said, affected)| said.contradicts(*affected));
        match wrong {
            Some((kernel, said, _)) => lines.push(format!("{witness} says that {} is {}", kernel.label, said.verdict)),
            None if [said.verdict, then.verdict].contains(&Verdict::Unknown) => {}
            None => lines.push(format!("{witness} agrees")),
        }
    }
    lines
}

/// Why a search has no line.
pub fn no_turn(row: &[RowKernel], bad: BadEnds) -> String {
    let label = |at: usize| row.get(at).map_or("", |kernel| kernel.label.as_str());
    match bad {
        BadEnds::Unjudged(at) => {
            let why = row.get(at).and_then(|kernel| kernel.reason.as_deref()?.lines().next()).unwrap_or_default();
            format!("{} has no verdict, so there is nothing to search from: {why}", label(at))
        }
        BadEnds::Same { affected } => {
            let word = if affected { "affected" } else { "not affected" };
            format!(
                "{} and {} are both {word}: name ends that differ, or look between them with --spot-checks N",
                label(0),
                label(row.len().saturating_sub(1))
            )
        }
    }
}
