//! A user's own reproducer: how it is run, and how its outcome is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backproof_protocol::ProgramProtocol;

use super::super::fields;
use super::super::problems::Collector;
use super::super::read::Fields;
use super::super::text::expected_one_of;
use super::super::tree::{Value, YamlNode};
use super::crash::{self, CrashOracle};
use super::positive_control::{self, PositiveControl};

/// The keys that only a user's program has.
pub(super) const KEYS: [&str; 11] =
    ["protocol", "args", "env", "files", "alone", "crash", "reach", "runs", "seeds", "positive-control", "rootfs"];

/// The longest argument or value of the environment, in bytes; and how many of each.
const WORDS_MAX: (usize, usize) = (4000, 100);

/// The most functions to count. A guest counts several times as many, of all of its programs.
const REACH_MAX: usize = 16;

/// The most runs and seeds.
const REPEATED_MAX: u32 = 100_000;

/// A user's own reproducer: a program in a file (docs/reproducers.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnProgram {
    /// The file.
    pub path: PathBuf,
    /// How its outcome is read.
    pub protocol: ProgramProtocol,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Files that it finds beside it.
    pub files: Vec<PathBuf>,
    /// Whether it has a guest of its own under each profile, whatever the matrix shares.
    pub alone: bool,
    /// Which death of the kernel is the bug.
    pub crash: Option<CrashOracle>,
    /// Functions of the kernel whose entries are counted while it runs: without one, its silence shows nothing.
    pub reach: Vec<String>,
    /// How often it is run in each boot, until it shows the bug.
    pub runs: u32,
    /// How many schedules to try at least, in virtual time.
    pub seeds: u32,
    /// The file system that it sees as its root; None for the guest's own.
    pub rootfs: Option<RootfsSource>,
    /// What must show the bug, so that its silence proves something.
    pub control: Option<PositiveControl>,
}

/// The rootfs of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootfsSource {
    /// A folder, a tarball or an OCI image.
    pub path: PathBuf,
    /// Whether `program` is an absolute path, and so one in it.
    pub has_program: bool,
}

impl OwnProgram {
    /// A program whose outcome is read as docs/reproducers.md says.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            protocol: ProgramProtocol::default(),
            args: Vec::new(),
            env: BTreeMap::new(),
            files: Vec::new(),
            alone: false,
            crash: None,
            reach: Vec::new(),
            runs: 1,
            seeds: 1,
            rootfs: None,
            control: None,
        }
    }
}

/// The program at `path`, with what the reproducer's other keys say. Paths are relative to `folder`.
pub(super) fn read(
    path: PathBuf,
    folder: &Path,
    fields: &Fields<'_>,
    problems: &mut Collector<'_>,
) -> Option<OwnProgram> {
    let crash = fields.get("crash").map(|node| crash::read(node, problems));
    let protocol = fields.get("protocol").map(|node| problems.value(node, "protocol", protocol));
    // A dossier with a crash oracle needs no other.
    let usual = if crash.is_some() { ProgramProtocol::Crash } else { ProgramProtocol::default() };
    if let (Some(Some(ProgramProtocol::Crash)), None, Some(node)) = (protocol, &crash, fields.get("protocol")) {
        problems.add(&node.span, || "nothing would show the bug: expected `crash` beside `protocol: crash`".to_owned());
    }
    let args = fields.get("args").map(|n| problems.each(n, "arguments", |n, p| p.value(n, "argument", word)));
    let env = fields.get("env").map(|node| environment(node, problems));
    let files = fields.get("files");
    let file = |text: &str| fields::path(text).map(|path| folder.join(path));
    let files = files.map(|n| problems.each(n, "files", |n, p| p.value(n, "file", file)));
    let alone = fields.get("alone").map(|node| problems.boolean(node));
    let reach = fields.get("reach");
    let reach = reach.map(|n| problems.each(n, "functions", |n, p| p.value(n, "function", fields::function)));
    if let (Some(Some(functions)), Some(node)) = (&reach, fields.get("reach"))
        && functions.len() > REACH_MAX
    {
        problems.add(&node.span, || format!("expected at most {REACH_MAX} functions, found {}", functions.len()));
        return None;
    }
    let runs = fields.get("runs").map(|node| problems.value(node, "number", repeated));
    let seeds = fields.get("seeds").map(|node| problems.value(node, "number", repeated));
    let rootfs = fields.get("rootfs").map(|node| problems.value(node, "rootfs", file));
    // The path itself has the dossier's folder in front of it.
    let is_absolute = |node| problems.value(node, "program", |text| Ok(text.starts_with('/')));
    let has_program = fields.get("program").and_then(is_absolute).unwrap_or(false);
    let control = fields.get("positive-control").map(|node| positive_control::read(node, &path, folder, problems));
    Some(OwnProgram {
        path,
        protocol: protocol.unwrap_or(Some(usual))?,
        args: args.unwrap_or_else(|| Some(Vec::new()))?,
        env: env.unwrap_or_else(|| Some(BTreeMap::new()))?,
        files: files.unwrap_or_else(|| Some(Vec::new()))?,
        alone: alone.unwrap_or(Some(false))?,
        crash: crash.map_or(Some(None), |read| read.map(Some))?,
        reach: reach.unwrap_or_else(|| Some(Vec::new()))?,
        runs: runs.unwrap_or(Some(1))?,
        seeds: seeds.unwrap_or(Some(1))?,
        rootfs: match rootfs {
            Some(path) => Some(RootfsSource { path: path?, has_program }),
            None => None,
        },
        control: control.map_or(Some(None), |read| read.map(Some))?,
    })
}

fn protocol(text: &str) -> Result<ProgramProtocol, String> {
    let found = ProgramProtocol::ALL.into_iter().find(|protocol| protocol.as_str() == text);
    found.ok_or_else(|| expected_one_of(text, ProgramProtocol::ALL.iter().map(|protocol| protocol.as_str())))
}

pub(super) fn word(text: &str) -> Result<String, String> {
    let (longest, _) = WORDS_MAX;
    if text.len() > longest || text.contains('\0') {
        return Err(format!("expected a text of at most {longest} bytes, without NUL"));
    }
    Ok(text.to_owned())
}

fn environment(node: &YamlNode, problems: &mut Collector<'_>) -> Option<BTreeMap<String, String>> {
    let (_, most) = WORDS_MAX;
    let Value::Map(entries) = &node.value else {
        problems.wrong_type(node, "a mapping from names to values, as in `{ LTP_TIMEOUT_MUL: \"3\" }`");
        return None;
    };
    if entries.len() > most {
        problems.add(&node.span, || format!("expected at most {most} variables, found {}", entries.len()));
        return None;
    }
    let mut env = BTreeMap::new();
    let mut is_good = true;
    for (key, value) in entries {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.text.is_empty() || !key.text.chars().all(is_name) || key.text.starts_with(|c: char| c.is_ascii_digit()) {
            problems.add(&key.span, || "expected the name of a variable: letters, digits and `_`".to_owned());
            is_good = false;
        }
        match problems.value(value, "value", word) {
            Some(value) => _ = env.insert(key.text.clone(), value),
            None => is_good = false,
        }
    }
    is_good.then_some(env)
}

fn repeated(text: &str) -> Result<u32, String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && (1..=REPEATED_MAX).contains(number));
    number.ok_or_else(|| format!("expected a whole number from 1 to {REPEATED_MAX}"))
}
