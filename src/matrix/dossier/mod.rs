//! The bugs' dossiers: what is known of each bug, one YAML file a bug.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

mod chain;
mod machine;
mod releases;
mod signature;

pub use chain::{Backport, Step};
pub use machine::{BadMachinePattern, MachinePattern, Refusal};
pub use releases::{DistributionLine, Releases, StableLine};
pub use signature::{Case, Signature};

use super::fields;
use crate::words::{BugId, ProfileName};

/// The built-in dossiers: the name of the file, and its text.
const BUILT_IN: [(&str, &str); 3] = [
    ("tcp-fragment-stall", include_str!("../../../repro/bugs/tcp-fragment-stall.yaml")),
    ("syn-cookie-data-loss", include_str!("../../../repro/bugs/syn-cookie-data-loss.yaml")),
    ("zero-window-user-timeout", include_str!("../../../repro/bugs/zero-window-user-timeout.yaml")),
];

/// What is known of one bug.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Its name, which is its file's and its reproducer's too.
    pub id: BugId,
    /// What goes wrong, in half a line.
    pub title: String,
    /// What goes wrong, when and why, in a paragraph.
    pub summary: String,
    /// The commits that brought it in and took it out, in the order of the chain.
    #[serde(default)]
    pub chain: Vec<Step>,
    /// Which releases have which of them.
    #[serde(default)]
    pub releases: Option<Releases>,
    /// What the source looks like.
    #[serde(default)]
    pub source: Vec<Signature>,
    /// What the machine code looks like, on x86-64.
    #[serde(default)]
    pub binary: Vec<Signature>,
    /// What its reproducer needs of a kernel.
    pub needs: Needs,
    /// How long its reproducer may take inside the guest, before scaling for the accelerator and the host's load.
    #[serde(deserialize_with = "duration")]
    pub deadline: Duration,
    /// Whether its reproducer compares the kernel with and without a profile's sysctls, and so can prove that they keep
    /// the bug from showing. Under a profile, any other reproducer says only whether the bug shows.
    #[serde(default)]
    pub mitigable: bool,
    /// What operators can set to keep it from showing, or have tried to.
    #[serde(default)]
    pub mitigations: Vec<Mitigation>,
    /// Where to read on: commits with their subjects, files of the kernel, RFCs, CVEs.
    pub references: Vec<String>,
}

/// Settings that are said to keep a bug from showing. They are a profile for this bug.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mitigation {
    /// The profile's name.
    pub profile: ProfileName,
    /// What it does, in one sentence.
    pub says: String,
    /// Sysctls: name, with dots, to value.
    pub sysctls: BTreeMap<String, String>,
    /// Whether the bug does not show under it. Where false, an affected kernel shows the bug all the same.
    pub holds: bool,
}

/// What a reproducer needs of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Modules to load, where they are not built in.
    pub modules: Vec<String>,
    /// `CONFIG_` options, as `y` or `m`, without which the question does not apply: the cell is a skip.
    pub config: Vec<String>,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = fields::duration(&text).filter(|time| !time.is_zero());
    time.ok_or_else(|| serde::de::Error::custom(format!("expected a time with its unit, as in `30s`, found `{text}`")))
}

/// All bugs that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bugs(Vec<Bug>);

impl Bugs {
    /// The bugs that come with the program.
    pub fn built_in() -> Self {
        let read = |(name, text)| -> Bug {
            // Compiled in, and each is read by the tests: a mistake cannot reach a user.
            serde_yaml::from_str(text).unwrap_or_else(|error| panic!("the dossier of {name} is broken: {error}"))
        };
        Self(BUILT_IN.into_iter().map(read).collect())
    }

    /// The bug with this name.
    pub fn get(&self, id: &BugId) -> Option<&Bug> {
        self.0.iter().find(|bug| bug.id == *id)
    }

    /// All bugs, in the order in which reports list them.
    pub fn iter(&self) -> impl Iterator<Item = &Bug> + Clone {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_dossier_is_complete_and_bears_its_file_s_name() {
        let bugs = Bugs::built_in();
        assert_eq!(bugs.iter().count(), BUILT_IN.len());
        for ((name, _), bug) in BUILT_IN.into_iter().zip(bugs.iter()) {
            assert_eq!(bug.id.as_str(), name);
            assert_eq!(bugs.get(&bug.id), Some(bug));
            assert!(!bug.title.is_empty() && bug.title.len() <= 80 && !bug.title.contains('\n'), "{name}");
            assert!(bug.summary.len() > bug.title.len() && !bug.references.is_empty(), "{name}");
            assert!(bug.needs.config.iter().all(|option| option.starts_with("CONFIG_")), "{name}");
            let is_module = |module: &String| module.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            assert!(bug.needs.modules.iter().all(is_module), "{name}");
            assert!(bug.mitigable || bug.mitigations.iter().all(|m| !m.holds), "{name}: nothing could prove it");
        }
    }

    #[test]
    fn every_file_beside_the_built_in_dossiers_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/repro/bugs");
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<_> = files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        let mut known: Vec<_> = BUILT_IN.into_iter().map(|(name, _)| name.to_owned()).collect();
        found.sort();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn a_dossier_with_an_unknown_key_or_a_wrong_value_is_refused_with_its_place() {
        let good = BUILT_IN[0].1;
        for (from, to, expected) in [
            ("title:", "titel:", "unknown field `titel`"),
            ("deadline: 30s", "deadline: 30", "expected a time with its unit"),
            ("deadline: 30s", "deadline: 0s", "expected a time with its unit"),
            ("id: tcp-fragment-stall", "id: ../x", "is not a usable name"),
            ("  config:", "  konfig:", "unknown field `konfig`"),
            ("deadline: 30s\n", "", "missing field `deadline`"),
        ] {
            let wrong = good.replacen(from, to, 1);
            assert_ne!(wrong, good);
            let error = serde_yaml::from_str::<Bug>(&wrong).map(|bug| bug.id).map_err(|error| error.to_string());
            assert!(matches!(&error, Err(text) if text.contains(expected)), "{to}: {error:?}");
        }
    }
}
