//! The OpenVEX document of a validation (OpenVEX specification v0.2.0).

use serde::Serialize;

use super::gate::GateCell;
use super::validation::{Candidate, Validation};
use crate::matrix::Bugs;
use crate::verdict::Verdict;
use crate::words::{Outcome, State};

/// The JSON-LD context of the version.
const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";

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

impl Vex {
    /// The document of a validation, by what is known of the bugs and each bug's first advice.
    pub fn of(validation: &Validation, bugs: &Bugs, advice: impl Fn(&GateCell) -> Option<String>) -> Self {
        let mut cells: Vec<&GateCell> = Vec::new();
        for cell in &validation.cells {
            match cells.iter_mut().find(|known| known.bug == cell.bug) {
                Some(known) if cell.profile.is_default() => *known = cell,
                Some(_) => {}
                None => cells.push(cell),
            }
        }
        let products = products(&validation.candidate);
        let judged = validation.tool.as_ref().map(|tool| tool.started.as_str()).unwrap_or_default();
        let image = validation.candidate.files.last().map_or("none", |file| &file.sha256);
        let statement = |cell: &GateCell| {
            let Status { status, justification, impact_statement, status_notes } = status(cell);
            let action = || advice(cell).unwrap_or_else(|| "no remedy is known".to_owned());
            VexStatement {
                vulnerability: Vulnerability {
                    name: cell.bug.to_string(),
                    description: bugs.get(&cell.bug).map(|bug| bug.title.clone()),
                },
                products: products.clone(),
                status,
                status_notes,
                justification,
                impact_statement,
                action_statement: (status == "affected").then(action),
            }
        };
        Self {
            context: CONTEXT,
            // Each document has its own.
            id: format!("urn:backproof:{image}:{judged}"),
            author: "backproof".to_owned(),
            timestamp: judged.to_owned(),
            version: 1,
            tooling: concat!("backproof ", env!("CARGO_PKG_VERSION")).to_owned(),
            statements: cells.into_iter().map(statement).collect(),
        }
    }
}

fn products(candidate: &Candidate) -> Vec<Product> {
    let product = |file: &super::JudgedFile| Product {
        id: format!("urn:sha256:{}", file.sha256),
        hashes: Hashes { sha256: file.sha256.clone() },
    };
    candidate.files.iter().map(product).collect()
}

/// The status of a bug, with the words that it needs.
struct Status {
    status: &'static str,
    justification: Option<&'static str>,
    impact_statement: Option<String>,
    status_notes: Option<String>,
}

fn status(cell: &GateCell) -> Status {
    let of =
        |status| Status { status, justification: None, impact_statement: None, status_notes: Some(cell.why.clone()) };
    let not_affected = |justification: Option<&'static str>| Status {
        justification,
        impact_statement: Some(cell.why.clone()),
        status_notes: None,
        ..of("not_affected")
    };
    match (cell.verdict, cell.state) {
        (Verdict::Affected, _) => of("affected"),
        (Verdict::Unknown, _) => of("under_investigation"),
        (Verdict::NotAffected, Some(State::Fixed | State::FixedWithDefect)) => of("fixed"),
        (Verdict::NotAffected, Some(State::NeverHad)) => not_affected(Some("vulnerable_code_not_present")),
        // It was built without the code.
        (Verdict::NotAffected, _) if cell.outcome == Outcome::Skip => not_affected(Some("vulnerable_code_not_present")),
        (Verdict::NotAffected, _) => not_affected(None),
    }
}
