//! The bugs' dossiers: the facts about each bug, in one YAML file each. The reference is docs/dossiers.md.

use std::path::Path;
use std::time::Duration;

pub mod c;
mod chain;
mod check;
mod crash;
mod find;
mod folder;
mod machine;
mod mitigation;
mod own_program;
mod positive_control;
mod releases;
mod reproducer;
mod signature;
mod source_pattern;
mod source_signature;
mod spans;
mod taint;
mod upstream;

#[cfg(test)]
mod mistakes;

pub use chain::{Backport, Step};
pub use crash::{CrashKind, CrashOracle};
pub use find::{NoSuchBug, is_cve};
pub use folder::{BadDossiers, DOSSIERS_MAX};
pub use machine::{BadMachinePattern, MachinePattern, Refusal};
pub use mitigation::{Measure, Mitigation};
pub use own_program::{OwnProgram, RootfsSource};
pub use positive_control::PositiveControl;
pub use releases::{DistributionLine, Releases, StableLine};
pub use reproducer::{Needs, ProgramSource, ReproducerSpec};
pub use signature::{Signature, SignatureCase, TellingString};
pub use source_pattern::{BadPattern, ONE_OF, SourcePattern, goes_straight_on};
pub use source_signature::{Elsewhere, SourceCase, SourceSignature};
pub use spans::{Spans, Standing, Steps};
pub use taint::TaintFlags;
pub use upstream::{BadRelease, First, PackageVersion, ReleaseLine, Upstream};

use super::{Problems, fields};
use crate::words::{BadName, BugId, Role};
use reproducer::Owner;

/// The time limit of a program without a dossier.
const PROGRAM_DEADLINE: Duration = Duration::from_secs(60);

/// The built-in dossiers: each file's name and text.
const BUILT_IN: [(&str, &str); 3] = [
    ("tcp-fragment-stall", include_str!("../../../repro/bugs/tcp-fragment-stall.yaml")),
    ("syn-cookie-data-loss", include_str!("../../../repro/bugs/syn-cookie-data-loss.yaml")),
    ("zero-window-user-timeout", include_str!("../../../repro/bugs/zero-window-user-timeout.yaml")),
];

/// The facts about one bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bug {
    /// Its name, and that of its file and its reproducer.
    pub id: BugId,
    /// The failure, in half a line.
    pub title: String,
    /// The failure, its conditions and its cause, in a paragraph.
    pub summary: String,
    /// Options (`CONFIG_…`) that the buggy code is compiled under: a kernel that lacks one (as `y` or `m`) does not
    /// have the bug. Reproducers may require more.
    pub applies_if: Vec<String>,
    /// The commits that introduced and fixed it, in the order of the chain.
    pub chain: Vec<Step>,
    /// Whether it is unknown which commit introduced it: a kernel without the fix may never have had it.
    pub break_unknown: bool,
    /// A vulnerability of kernels that never had the break, in words that follow "it never had the break:".
    pub without_break: Option<String>,
    /// The releases that have each of them.
    pub releases: Option<Releases>,
    /// The forms of the source.
    pub source: Vec<SourceSignature>,
    /// The forms of the machine code, on x86-64.
    pub binary: Vec<Signature>,
    /// Texts that only kernels in some states have.
    pub strings: Vec<TellingString>,
    /// Its reproducer; without one, no kernel is booted for it.
    pub reproducer: Option<ReproducerSpec>,
    /// Known workarounds, whether they help or not.
    pub mitigations: Vec<Mitigation>,
    /// Further reading: commits with their subjects, files of the kernel, RFCs, CVEs.
    pub references: Vec<String>,
    /// The text of a user's dossier; None for a built-in one.
    pub text: Option<String>,
}

impl Bug {
    /// The options that its reproducer requires, as `CONFIG_TUN`.
    pub fn needed_options(&self) -> impl Iterator<Item = &String> {
        self.reproducer.iter().flat_map(|reproducer| &reproducer.needs.config)
    }

    /// Whether its reproducer can prove that a profile's sysctls keep it from showing.
    pub fn is_mitigable(&self) -> bool {
        let program = self.reproducer.as_ref().map(|reproducer| &reproducer.program);
        matches!(program, Some(ProgramSource::BuiltIn { mitigable: true }))
    }

    /// Whether its dossier says that no fix exists, and lists none. A dossier that merely lists no fix doesn't say so.
    pub fn is_unrepaired(&self) -> bool {
        self.releases.as_ref().is_some_and(|releases| {
            let repaired = self.chain.iter().any(|step| step.role == Role::Fix)
                || releases.mainline.contains_key(&Role::Fix)
                || releases.stable.iter().any(|line| line.steps.contains_key(&Role::Fix))
                || releases.distributions.iter().any(|line| line.steps.contains_key(&Role::Fix));
            releases.no_fix_anywhere && !repaired
        })
    }

    /// A user's dossier. Messages name `path`; its file name is the bug's, and paths in the dossier are relative to it.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        check::read(text.as_bytes(), path, Owner::User(fields::folder_of(path)))
    }
}

impl Bug {
    /// A bug of which only a program is known that provokes it. It has the program's name.
    ///
    /// # Errors
    /// If the program's name is no name of a bug.
    pub fn of_program(program: &Path) -> Result<Self, BadName> {
        let name = program.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            id: name.parse()?,
            title: format!("what {} provokes", program.display()),
            summary: String::new(),
            applies_if: Vec::new(),
            chain: Vec::new(),
            break_unknown: false,
            without_break: None,
            releases: None,
            source: Vec::new(),
            binary: Vec::new(),
            strings: Vec::new(),
            reproducer: Some(ReproducerSpec {
                program: ProgramSource::Own(Box::new(OwnProgram::at(program.to_owned()))),
                needs: Needs::default(),
                deadline: PROGRAM_DEADLINE,
            }),
            mitigations: Vec::new(),
            references: Vec::new(),
            text: None,
        })
    }
}

/// All bugs that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bugs(Vec<Bug>);

impl Bugs {
    /// The built-in bugs.
    pub fn built_in() -> Self {
        let read = |(name, text): (&str, &str)| -> Bug {
            let path = format!("repro/bugs/{name}.yaml");
            // The tests read each of them, so a mistake cannot reach a user.
            check::read(text.as_bytes(), Path::new(&path), Owner::Us).unwrap_or_else(|problems| panic!("{problems}"))
        };
        Self(BUILT_IN.into_iter().map(read).collect())
    }

    /// The bug with exactly this name; [`Bugs::find`] also takes CVEs and commits.
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
    fn built_in_dossiers_are_complete_and_named_like_their_files() {
        let bugs = Bugs::built_in();
        assert_eq!(bugs.iter().count(), BUILT_IN.len());
        for ((name, _), bug) in BUILT_IN.into_iter().zip(bugs.iter()) {
            assert_eq!(bug.id.as_str(), name);
            assert_eq!(bugs.get(&bug.id), Some(bug));
            assert!(bug.summary.len() > bug.title.len(), "{name}");
            let program = bug.reproducer.as_ref().map(|reproducer| &reproducer.program);
            assert!(matches!(program, Some(ProgramSource::BuiltIn { .. })), "{name}: {program:?}");
        }
    }

    #[test]
    fn unknown_break_is_named_nowhere() {
        for (more, expected) in [
            ("", None),
            ("chain: [{ role: fix, commit: 0123456789ab, effect: a }]\n", None),
            ("chain: [{ role: break, commit: 0123456789ab, effect: a }]\n", Some("neither `chain` nor `releases`")),
            ("releases: { mainline: { fix: \"5.3\" }, sources: [a] }\n", Some("neither `chain` nor `releases`")),
        ] {
            let text = format!("id: a\ntitle: a\nsummary: a\nreferences: [a]\nbreak-unknown: true\n{more}");
            let read = Bug::parse(&text, Path::new("a.yaml")).map(|bug| bug.break_unknown).map_err(|p| p.to_string());
            match expected {
                None => assert_eq!(read, Ok(true), "{more}"),
                Some(words) => assert!(read.as_ref().is_err_and(|said| said.contains(words)), "{more}: {read:?}"),
            }
        }
    }

    #[test]
    fn every_file_of_the_dossier_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/repro/bugs");
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<_> = files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        let mut known: Vec<_> = BUILT_IN.into_iter().map(|(name, _)| name.to_owned()).collect();
        found.sort();
        known.sort();
        assert_eq!(found, known);
    }
}
