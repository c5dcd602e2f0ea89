//! The reproducer of a bug: a built-in one, or a user's own program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::fields;
use super::super::problems::Collector;
use super::super::tree::YamlNode;

/// The keys of a reproducer.
pub(super) const KEYS: [&str; 4] = ["program", "needs", "deadline", "mitigable"];

/// The keys of its requirements.
pub(super) const NEEDS_KEYS: [&str; 2] = ["modules", "config"];

/// As `program`, means the built-in reproducer.
const BUILT_IN: &str = "built-in";

/// The reproducer of a bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReproducerSpec {
    /// The program.
    pub program: ProgramSource,
    /// Its requirements for a kernel.
    pub needs: Needs,
    /// Its time limit inside the guest, before scaling for the accelerator and the host's load.
    pub deadline: Duration,
}

/// The source of the program that provokes a bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramSource {
    /// The built-in reproducer with the bug's name.
    BuiltIn {
        /// Whether it compares the kernel with and without a profile's sysctls, and so can prove that they keep the bug
        /// from showing. Under a profile, any other reproducer says only whether the bug shows.
        mitigable: bool,
    },
    /// A user's own: a static x86-64 program in this file (docs/reproducers.md).
    File(PathBuf),
}

/// A reproducer's requirements for a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Modules to load, unless they are built in.
    pub modules: Vec<String>,
    /// `CONFIG_` options that the reproducer itself requires, as `y` or `m`; without them the cell is a skip.
    pub config: Vec<String>,
}

/// The owner of a dossier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner<'p> {
    /// A built-in dossier.
    Us,
    /// A user's dossier: paths are relative to this folder.
    User(&'p Path),
}

/// The reproducer.
pub(super) fn read(node: &YamlNode, owner: Owner<'_>, problems: &mut Collector<'_>) -> Option<ReproducerSpec> {
    let fields = problems.mapping(node, "a mapping, as in `{ program: ./my-repro, deadline: 30s }`", &KEYS)?;
    let mitigable = fields.get("mitigable").map(|node| problems.boolean(node));
    let needs = fields.get("needs").map(|node| needs(node, problems));
    let deadline = problems.needed(&fields, "deadline", node);
    let deadline = deadline.and_then(|node| problems.value(node, "deadline", fields::timeout));
    let program = problems.needed(&fields, "program", node);
    let program = program.and_then(|node| problems.value(node, "program", |text| program_of(text, owner)))?;
    let program = match program {
        ProgramSource::BuiltIn { .. } => ProgramSource::BuiltIn { mitigable: mitigable.flatten().unwrap_or(false) },
        program => {
            if let Some((_, key, _)) = fields.iter().find(|(name, ..)| *name == "mitigable") {
                problems.add(&key.span, || {
                    "a program of your own is not asked to compare the kernel with and without a profile: leave \
                     `mitigable` out"
                        .to_owned()
                });
            }
            program
        }
    };
    Some(ReproducerSpec { program, needs: needs.unwrap_or_else(|| Some(Needs::default()))?, deadline: deadline? })
}

fn program_of(text: &str, owner: Owner<'_>) -> Result<ProgramSource, String> {
    match (owner, text == BUILT_IN) {
        (Owner::Us, true) => Ok(ProgramSource::BuiltIn { mitigable: false }),
        (Owner::Us, false) => Err(format!("expected `{BUILT_IN}`")),
        (Owner::User(_), true) => Err(format!(
            "the agent has no reproducer for this bug: expected a file; a file of this name is `./{BUILT_IN}`"
        )),
        (Owner::User(folder), false) => Ok(ProgramSource::File(folder.join(fields::path(text)?))),
    }
}

fn needs(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Needs> {
    let expected = "a mapping, as in `{ modules: [tun], config: [CONFIG_TUN] }`";
    let fields = problems.mapping(node, expected, &NEEDS_KEYS)?;
    let modules = fields.get("modules");
    let modules = modules.map(|n| problems.each(n, "modules", |node, p| p.value(node, "module", fields::module)));
    let config = fields.get("config");
    let config = config.map(|n| problems.each(n, "options", |node, p| p.value(node, "option", fields::option)));
    let list = |read: Option<Option<Vec<String>>>| read.unwrap_or_else(|| Some(Vec::new()));
    Some(Needs { modules: list(modules)?, config: list(config)? })
}
