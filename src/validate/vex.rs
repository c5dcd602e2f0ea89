//! The OpenVEX documents of validations and runs (OpenVEX specification v0.2.0).

use serde::Serialize;

use super::gate::GateCell;
use super::validation::{JudgedFile, Validation, files};
use crate::matrix::Bugs;
use crate::results::MatrixDocument;
use crate::run::Cell;
use crate::verdict::Verdict;
use crate::words::{BugId, Outcome, State};

/// The JSON-LD context of the version.
const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";

/// The most characters of a reason. A guest says as much as it likes.
const WHY_MOST: usize = 2000;

/// What is known of vulnerabilities in a product: one statement for each bug under the kernel's own settings, or under the
/// first profile that was judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vex {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@id")]
    id: String,
    author: String,
    timestamp: String,
    version: u32,
    tooling: String,
    statements: Vec<VexStatement>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct VexStatement {
    vulnerability: Vulnerability,
    products: Vec<Product>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_notes: Option<String>,
    /// Why it is not affected, in the specification's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'static str>,
    /// Why it is not affected, in one's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    impact_statement: Option<String>,
    /// What to do about it; required if it is affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    action_statement: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Vulnerability {
    /// The bug's name: a dossier's CVEs are related to the bug, and need not be it.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Product {
    #[serde(rename = "@id")]
    id: String,
    hashes: Hashes,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Hashes {
    #[serde(rename = "sha-256")]
    sha256: String,
}

/// What is known of one bug in one product.
struct VexCase {
    bug: BugId,
    title: Option<String>,
    products: Vec<Product>,
    outcome: Outcome,
    verdict: Verdict,
    state: Option<State>,
    why: String,
    /// What to do about it.
    action: Option<String>,
}

impl Vex {
    /// The document of a validation, by what is known of the bugs and each bug's first advice.
    pub fn of(validation: &Validation, bugs: &Bugs, advice: impl Fn(&GateCell) -> Option<String>) -> Self {
        let cells = one_each(&validation.cells, |cell| &cell.bug, |cell| cell.profile.is_default());
        let products = products(&validation.candidate.files);
        let judged = validation.tool.as_ref().map(|tool| tool.started.as_str()).unwrap_or_default();
        let image = validation.candidate.files.last().map_or("none", |file| &file.sha256);
        let cases = cells.into_iter().map(|cell| VexCase {
            bug: cell.bug.clone(),
            title: bugs.get(&cell.bug).map(|bug| bug.title.clone()),
            products: products.clone(),
            outcome: cell.outcome,
            verdict: cell.verdict,
            state: cell.state,
            why: cell.why.clone(),
            action: advice(cell),
        });
        // Each document has its own.
        Self::stating(format!("urn:backproof:{image}:{judged}"), judged, cases)
    }

    /// The document of a run, about every kernel that is no control. None if nothing was judged, because a document needs a
    /// statement.
    pub fn of_run(document: &MatrixDocument) -> Option<Self> {
        let run = &document.run;
        let mut cases = Vec::new();
        for kernel in &document.kernels {
            let cells = document.cells.iter().filter(|cell| cell.kernel == kernel.name && !cell.control);
            let cells: Vec<&Cell> = cells.collect();
            let products = products(&files(kernel));
            let cells = one_each(&cells, |cell| &cell.bug, |cell| cell.profile.is_default());
            cases.extend(cells.into_iter().map(|cell| of_cell(cell, document, products.clone())));
        }
        (!cases.is_empty()).then(|| Self::stating(format!("urn:backproof:run:{}", run.id), &run.started, cases))
    }

    fn stating(id: String, timestamp: &str, cases: impl IntoIterator<Item = VexCase>) -> Self {
        let mut statements: Vec<VexStatement> = Vec::new();
        for case in cases {
            let statement = VexStatement::of(case);
            // Two kernels of one image are one product, and no statement stands twice.
            if !statements.contains(&statement) {
                statements.push(statement);
            }
        }
        Self {
            context: CONTEXT,
            id,
            author: "backproof".to_owned(),
            timestamp: timestamp.to_owned(),
            version: 1,
            tooling: concat!("backproof ", env!("CARGO_PKG_VERSION")).to_owned(),
            statements,
        }
    }
}

/// A cell of a run. What the run itself doubts is still under investigation.
fn of_cell(cell: &Cell, document: &MatrixDocument, products: Vec<Product>) -> VexCase {
    let judgement = &cell.judgement;
    let doubt = if let Some(wrong) = document.cannot_be_trusted.first() {
        Some(format!("no verdict of this run can be trusted: {wrong}"))
    } else if let Some(how) = &cell.trials.differs {
        Some(format!("the transcript differs from the cached one: {how}"))
    } else if let Some(contradiction) = judgement.contradiction() {
        Some(contradiction)
    } else if judgement.unproven {
        Some("its reproducer saw nothing, and never proved that it sees the bug".to_owned())
    } else {
        None
    };
    let surest = judgement.surest().map(|finding| format!("{}: {}", finding.witness, finding.why));
    let why = judgement.reason.as_deref().and_then(|reason| reason.lines().next()).map(str::to_owned);
    let why = doubt.clone().or(why).or(surest).unwrap_or_else(|| "no evidence".to_owned());
    let under = if cell.profile.is_default() { String::new() } else { format!("under the profile {}: ", cell.profile) };
    VexCase {
        bug: cell.bug.clone(),
        title: None,
        products,
        outcome: cell.outcome,
        verdict: if doubt.is_some() { Verdict::Unknown } else { judgement.verdict },
        state: judgement.state,
        why: format!("{under}{why}").chars().take(WHY_MOST).collect(),
        action: judgement.advice.first().map(|advice| advice.says.clone()),
    }
}

/// One cell for each bug: that of the kernel's own settings, or else the first.
fn one_each<C>(cells: &[C], bug: impl Fn(&C) -> &BugId, is_default: impl Fn(&C) -> bool) -> Vec<&C> {
    let mut chosen: Vec<&C> = Vec::new();
    for cell in cells {
        match chosen.iter_mut().find(|known| bug(known) == bug(cell)) {
            Some(known) if is_default(cell) => *known = cell,
            Some(_) => {}
            None => chosen.push(cell),
        }
    }
    chosen
}

impl VexStatement {
    fn of(case: VexCase) -> Self {
        let action = case.action.clone().unwrap_or_else(|| "no remedy is known".to_owned());
        let Status { status, justification, impact_statement, status_notes } = status(&case);
        Self {
            vulnerability: Vulnerability { name: case.bug.to_string(), description: case.title },
            products: case.products,
            status,
            status_notes,
            justification,
            impact_statement,
            action_statement: (status == "affected").then_some(action),
        }
    }
}

fn products(files: &[JudgedFile]) -> Vec<Product> {
    let product = |file: &JudgedFile| Product {
        id: format!("urn:sha256:{}", file.sha256),
        hashes: Hashes { sha256: file.sha256.clone() },
    };
    files.iter().map(product).collect()
}

/// The status of a bug, with the words that it needs.
struct Status {
    status: &'static str,
    justification: Option<&'static str>,
    impact_statement: Option<String>,
    status_notes: Option<String>,
}

fn status(case: &VexCase) -> Status {
    let why = || Some(case.why.clone());
    let of = |status| Status { status, justification: None, impact_statement: None, status_notes: why() };
    // The published schema takes either a justification or an impact statement.
    let not_affected = |justification: Option<&'static str>| match justification {
        Some(_) => Status { justification, ..of("not_affected") },
        None => Status { impact_statement: why(), status_notes: None, ..of("not_affected") },
    };
    match (case.verdict, case.state) {
        (Verdict::Affected, _) => of("affected"),
        (Verdict::Unknown, _) => of("under_investigation"),
        (Verdict::NotAffected, Some(State::Fixed | State::FixedWithDefect)) => of("fixed"),
        (Verdict::NotAffected, Some(State::NeverHad)) => not_affected(Some("vulnerable_code_not_present")),
        // It was built without the code.
        (Verdict::NotAffected, _) if case.outcome == Outcome::Skip => not_affected(Some("vulnerable_code_not_present")),
        (Verdict::NotAffected, _) => not_affected(None),
    }
}
