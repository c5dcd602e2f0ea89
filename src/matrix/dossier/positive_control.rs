//! The positive control of a user's own reproducer: what must show the bug, so that silence elsewhere proves something.

use std::path::{Path, PathBuf};

use super::super::fields;
use super::super::problems::Collector;
use super::super::tree::YamlNode;
use super::own_program;

/// The keys.
pub(super) const KEYS: [&str; 3] = ["program", "args", "without"];

/// What must show the bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositiveControl {
    /// This program, on the kernel under test. What is not named here is the reproducer's.
    Program {
        /// The file.
        path: PathBuf,
        /// Its arguments.
        args: Vec<String>,
    },
    /// The reproducer, on the kernel under test built without this patch.
    Without(PathBuf),
}

/// The control of the reproducer at `path`. Paths are relative to `folder`.
pub(super) fn read(
    node: &YamlNode,
    path: &Path,
    folder: &Path,
    problems: &mut Collector<'_>,
) -> Option<PositiveControl> {
    let fields = problems.mapping(node, "a mapping, as in `{ program: ./shows-the-bug }`", &KEYS)?;
    let file = |text: &str| fields::path(text).map(|path| folder.join(path));
    let program = fields.get("program").map(|node| problems.value(node, "program", file));
    let args = fields.get("args");
    let args = args.map(|n| problems.each(n, "arguments", |n, p| p.value(n, "argument", own_program::word)));
    let without = fields.get("without").map(|node| problems.value(node, "patch", file));
    match (program, args, without) {
        (Some(path), args, None) => {
            Some(PositiveControl::Program { path: path?, args: args.unwrap_or(Some(Vec::new()))? })
        }
        (None, Some(args), None) => Some(PositiveControl::Program { path: path.to_owned(), args: args? }),
        (None, None, Some(patch)) => Some(PositiveControl::Without(patch?)),
        _ => {
            let expected = "expected either `program` or `args` (or both), or `without`";
            problems.add(&node.span, || expected.to_owned());
            None
        }
    }
}
