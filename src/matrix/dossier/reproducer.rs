//! The reproducer of a bug: a built-in one, or a user's own program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backproof_protocol::GuestMount;

use super::super::fields;
use super::super::problems::Collector;
use super::super::text::expected_one_of;
use super::super::tree::YamlNode;
use super::own_program::{self, OwnProgram};
use super::positive_control::PositiveControl;

/// The keys of a reproducer.
pub(super) const KEYS: [&str; 15] = [
    "program",
    "needs",
    "deadline",
    "mitigable",
    "protocol",
    "args",
    "env",
    "files",
    "alone",
    "crash",
    "reach",
    "runs",
    "seeds",
    "positive-control",
    "rootfs",
];

/// The keys of its requirements.
pub(super) const NEEDS_KEYS: [&str; 6] = ["modules", "config", "cpus", "memory", "mounts", "disk"];

/// Requirements for a guest, which the agent's own reproducers don't have.
const GUEST_NEEDS: [&str; 4] = ["cpus", "memory", "mounts", "disk"];

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

impl ReproducerSpec {
    /// The user's program, if it is one.
    pub fn own(&self) -> Option<&OwnProgram> {
        match &self.program {
            ProgramSource::BuiltIn { .. } => None,
            ProgramSource::Own(program) => Some(program),
        }
    }

    /// The reproducer that is its positive control: in a guest of its own it must show the bug.
    pub fn of_control(&self) -> Option<Self> {
        let own = self.own()?;
        let mut control = OwnProgram { alone: true, control: None, ..own.clone() };
        if let PositiveControl::Program { path, args } = own.control.as_ref()? {
            control.path.clone_from(path);
            control.args.clone_from(args);
            // It may take another way to the bug's effect.
            control.reach.clear();
        }
        Some(Self { program: ProgramSource::Own(Box::new(control)), ..self.clone() })
    }
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
    /// A user's own.
    Own(Box<OwnProgram>),
}

/// A reproducer's requirements for a kernel and its guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Modules to load, unless they are built in.
    pub modules: Vec<String>,
    /// `CONFIG_` options that the reproducer itself requires, as `y` or `m`; without them the cell is a skip.
    pub config: Vec<String>,
    /// The least number of processors.
    pub cpus: Option<u32>,
    /// The least memory, in MiB.
    pub memory_mib: Option<u32>,
    /// File systems to mount.
    pub mounts: Vec<GuestMount>,
    /// The least size of an empty disk, in MiB.
    pub disk_mib: Option<u32>,
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
    let needs = fields.get("needs").map(|node| needs(node, owner, problems));
    let deadline = problems.needed(&fields, "deadline", node);
    let deadline = deadline.and_then(|node| problems.value(node, "deadline", fields::timeout));
    let program = problems.needed(&fields, "program", node);
    let path = program.and_then(|node| problems.value(node, "program", |text| path_of(text, owner)))?;
    let program = match (path, owner) {
        (Some(path), Owner::User(folder)) => {
            for (_, key, _) in fields.iter().filter(|(name, ..)| *name == "mitigable") {
                problems.add(&key.span, || {
                    "a program of your own is not asked to compare the kernel with and without a profile: leave \
                     `mitigable` out"
                        .to_owned()
                });
            }
            ProgramSource::Own(Box::new(own_program::read(path, folder, &fields, problems)?))
        }
        _ => {
            for (name, key, _) in fields.iter().filter(|(name, ..)| own_program::KEYS.contains(name)) {
                problems.add(&key.span, || format!("`{name}` is for a program of your own: leave it out"));
            }
            ProgramSource::BuiltIn { mitigable: mitigable.flatten().unwrap_or(false) }
        }
    };
    Some(ReproducerSpec { program, needs: needs.unwrap_or_else(|| Some(Needs::default()))?, deadline: deadline? })
}

/// The file of a user's program; none means the built-in one.
fn path_of(text: &str, owner: Owner<'_>) -> Result<Option<PathBuf>, String> {
    match (owner, text == BUILT_IN) {
        (Owner::Us, true) => Ok(None),
        (Owner::Us, false) => Err(format!("expected `{BUILT_IN}`")),
        (Owner::User(_), true) => Err(format!(
            "the agent has no reproducer for this bug: expected a file; a file of this name is `./{BUILT_IN}`"
        )),
        (Owner::User(folder), false) => Ok(Some(folder.join(fields::path(text)?))),
    }
}

fn needs(node: &YamlNode, owner: Owner<'_>, problems: &mut Collector<'_>) -> Option<Needs> {
    let expected = "a mapping, as in `{ modules: [tun], config: [CONFIG_TUN] }`";
    let fields = problems.mapping(node, expected, &NEEDS_KEYS)?;
    let modules = fields.get("modules");
    let modules = modules.map(|n| problems.each(n, "modules", |node, p| p.value(node, "module", fields::module)));
    let config = fields.get("config");
    let config = config.map(|n| problems.each(n, "options", |node, p| p.value(node, "option", fields::option)));
    let mounts = fields.get("mounts");
    let mounts = mounts.map(|n| problems.each(n, "file systems", |node, p| p.value(node, "file system", mount)));
    let cpus = fields.get("cpus").map(|node| problems.value(node, "number", fields::cpus));
    let memory = fields.get("memory").map(|node| problems.value(node, "amount", fields::memory));
    let disk = fields.get("disk").map(|node| problems.value(node, "size", fields::disk));
    for (name, key, _) in fields.iter().filter(|(name, ..)| owner == Owner::Us && GUEST_NEEDS.contains(name)) {
        problems.add(&key.span, || format!("`{name}` is for a program of your own: leave it out"));
    }
    let list = |read: Option<Option<Vec<String>>>| read.unwrap_or_else(|| Some(Vec::new()));
    Some(Needs {
        modules: list(modules)?,
        config: list(config)?,
        cpus: cpus.map_or(Some(None), |read| read.map(Some))?,
        memory_mib: memory.map_or(Some(None), |read| read.map(Some))?,
        mounts: mounts.unwrap_or_else(|| Some(Vec::new()))?,
        disk_mib: disk.map_or(Some(None), |read| read.map(Some))?,
    })
}

fn mount(text: &str) -> Result<GuestMount, String> {
    let found = GuestMount::ALL.into_iter().find(|mount| mount.as_str() == text);
    found.ok_or_else(|| expected_one_of(text, GuestMount::ALL.iter().map(|mount| mount.as_str())))
}
