//! The one list of all witnesses, with their subjects and their calls. CONTRIBUTING.md says how to add one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::exhibits::{Exhibits, Said};
use super::{binary, changelog, config, git, source, version};
use crate::matrix::Bug;

/// An independent source of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// The release string, compared with the releases that are known to have each step.
    Version,
    /// The changelog of the kernel's package.
    Changelog,
    /// The configuration that the kernel was built with.
    Config,
    /// The commits of a repository.
    Git,
    /// The source code.
    Source,
    /// The machine code.
    Binary,
    /// A reproducer that ran on the booted kernel. It stays the last one, because the others need no boot.
    Runtime,
}

/// The properties of a witness that the verdict needs.
struct Traits {
    name: &'static str,
    subject: WitnessSubject,
    /// Whether its hint alone can make a kernel good. A hint that rests on likeness cannot.
    clears_by_hint: bool,
}

/// The subject of a witness.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WitnessSubject {
    /// Statements about the source, which the builder may have changed.
    Paper,
    /// The source; only a part of it is compiled.
    Source,
    /// The build's output.
    Build,
}

impl Witness {
    /// All of them, in the order of findings.
    pub const ALL: [Self; Self::Runtime as usize + 1] =
        [Self::Version, Self::Changelog, Self::Config, Self::Git, Self::Source, Self::Binary, Self::Runtime];

    fn traits(self) -> Traits {
        let (name, subject, clears_by_hint) = match self {
            Self::Version => ("version", WitnessSubject::Paper, true),
            Self::Changelog => ("changelog", WitnessSubject::Paper, false),
            Self::Config => ("config", WitnessSubject::Build, false),
            Self::Git => ("git", WitnessSubject::Source, false),
            Self::Source => ("source", WitnessSubject::Source, false),
            Self::Binary => ("binary", WitnessSubject::Build, false),
            Self::Runtime => ("runtime", WitnessSubject::Build, true),
        };
        Traits { name, subject, clears_by_hint }
    }

    /// Adds its findings about a bug, if it has something to examine.
    pub(super) fn look(self, exhibits: &Exhibits<'_>, bug: &Bug, said: &mut Said) {
        match self {
            Self::Version => said.findings.extend(version::look(exhibits, bug)),
            Self::Changelog => said.findings.extend(changelog::look(exhibits, bug)),
            Self::Config => said.findings.extend(config::look(exhibits, bug)),
            Self::Git => git::look(exhibits, bug, said),
            Self::Source => said.findings.extend(source::look(exhibits, bug)),
            Self::Binary => said.findings.extend(binary::look(exhibits, bug)),
            // It needs a boot.
            Self::Runtime => {}
        }
    }

    /// Whether it needs no boot.
    pub fn needs_no_boot(self) -> bool {
        self != Self::Runtime
    }

    /// Whether it examines the kernel or its source, not statements about them.
    pub fn is_of_the_kernel(self) -> bool {
        self.traits().subject != WitnessSubject::Paper
    }

    /// Whether it examines source that the kernel's configuration may leave out.
    pub fn is_about_source(self) -> bool {
        self.traits().subject != WitnessSubject::Build
    }

    /// Whether its hint alone can make a kernel good.
    pub fn clears_by_hint(self) -> bool {
        self.traits().clears_by_hint
    }

    /// Its name in files and reports.
    pub fn as_str(self) -> &'static str {
        self.traits().name
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_each_witness_at_its_place() {
        for (at, witness) in Witness::ALL.into_iter().enumerate() {
            assert_eq!(witness as usize, at, "{witness}");
            assert_eq!(serde_json::to_value(witness).unwrap(), witness.as_str());
        }
    }
}
