//! The in-toto statement of a validation: the Statement v1 of the in-toto Attestation Framework, with its predicate Test
//! Result v0.1.

use serde::{Deserialize, Serialize};

use super::gate::{Gate, GateCell};
use super::validation::{JudgedFile, Validation};

/// The type of a statement (in-toto Attestation Framework, spec/v1/statement.md).
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The type of its predicate (in-toto Attestation Framework, spec/predicates/test-result.md).
const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// A statement about files, for the user's own signer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    /// The files that it is about.
    pub subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: TestResult,
}

/// A file (ResourceDescriptor).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
}

/// The digest of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// Its sha256, in hexadecimal digits.
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestResult {
    /// `PASSED`, `WARNED` or `FAILED`.
    result: String,
    /// What the tests ran with: the policy, and this program.
    configuration: Vec<ConfigurationPart>,
    passed_tests: Vec<String>,
    warned_tests: Vec<String>,
    failed_tests: Vec<String>,
}

/// A part of the configuration: a file with its digest, or a program with its package URL. The specification requires one
/// of both (spec/v1/resource_descriptor.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ConfigurationPart {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

impl Statement {
    /// The statement of a validation. A gate that is not open is a failed test, whether the answer is no or unknown.
    pub fn of(validation: &Validation) -> Self {
        let resource =
            |file: &JudgedFile| Resource { name: file.name.clone(), digest: Digest { sha256: file.sha256.clone() } };
        let names = |is_it: &dyn Fn(&GateCell) -> bool| -> Vec<String> {
            let cells = validation.cells.iter().filter(|cell| is_it(cell));
            cells.map(|cell| format!("{}@{}", cell.bug, cell.profile)).collect()
        };
        let is_remarkable = |cell: &GateCell| cell.accepted.is_some() || !cell.counts && cell.gate != Gate::Open;
        let programs = validation.tool.iter().flat_map(|tool| {
            [("backproof", &tool.backproof, String::new()), ("qemu", &tool.qemu, format!(" ({})", tool.accelerator))]
        });
        let programs = programs.map(|(program, version, how)| ConfigurationPart {
            name: format!("{program} {version}{how}"),
            uri: Some(format!("pkg:generic/{program}@{version}")),
            digest: None,
        });
        let policy = validation.policy.as_ref().map(resource);
        let policy = policy.map(|file| ConfigurationPart { name: file.name, uri: None, digest: Some(file.digest) });
        Self {
            kind: STATEMENT.to_owned(),
            subject: validation.candidate.files.iter().map(resource).collect(),
            predicate_type: TEST_RESULT.to_owned(),
            predicate: TestResult {
                result: if validation.gate == Gate::Open { "PASSED" } else { "FAILED" }.to_owned(),
                configuration: policy.into_iter().chain(programs).collect(),
                passed_tests: names(&|cell| cell.gate == Gate::Open && !is_remarkable(cell)),
                warned_tests: names(&is_remarkable),
                failed_tests: names(&|cell| cell.gate != Gate::Open && cell.counts),
            },
        }
    }
}
