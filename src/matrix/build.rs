//! Kernels that are built from source: `build:` in the matrix.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::check::Checker;
use super::read::Fields;
use super::tree::{Value, YamlNode};
use super::{Source, fields};
use crate::json;

/// The keys of `build`.
const KEYS: [&str; 7] = ["tree", "repo", "revision", "config", "fragment", "patches", "revert"];

/// The word for the small configuration.
const SMALL: &str = "small";

/// A kernel to build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildSource {
    /// The source without patches.
    #[serde(flatten)]
    pub origin: BuildOrigin,
    /// A distribution's .config; absent: the small configuration.
    #[serde(serialize_with = "json::optional_path", skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// Lines of a configuration, on top of it, in this order.
    #[serde(serialize_with = "json::paths", skip_serializing_if = "Vec::is_empty")]
    pub fragment: Vec<PathBuf>,
    /// Patches to apply, in this order.
    #[serde(serialize_with = "json::paths", skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<PathBuf>,
    /// Patches that the source has, to take out before: the last one first.
    #[serde(serialize_with = "json::paths", skip_serializing_if = "Vec::is_empty")]
    pub revert: Vec<PathBuf>,
    /// Options that the reproducers of its bugs require, as `CONFIG_TUN`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// The source that a build starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BuildOrigin {
    /// A folder with a kernel's source, as it is.
    Tree(#[serde(serialize_with = "tree")] PathBuf),
    /// A revision of a repository. Its working tree doesn't matter.
    Repo {
        /// The repository's folder.
        #[serde(serialize_with = "json::path")]
        repo: PathBuf,
        /// A tag, a branch, a commit's SHA-1.
        revision: String,
    },
}

/// `{"tree": path}`.
fn tree<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap as _;
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("tree", &path.to_string_lossy())?;
    map.end()
}

impl BuildOrigin {
    /// The folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Tree(path) => path,
            Self::Repo { repo, .. } => repo,
        }
    }

    fn line(&self, shown: &dyn Fn(&Path) -> String) -> String {
        match self {
            Self::Tree(path) => shown(path),
            Self::Repo { repo, revision } => format!("{} {revision}", shown(repo)),
        }
    }
}

/// `linux`, `linux.git v6.1.100`.
impl fmt::Display for BuildOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(&|path| path.display().to_string()))
    }
}

/// `build linux`, `build linux.git v6.1.100 (patch fix.patch)`.
impl fmt::Display for BuildSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(&|path| path.display().to_string()))
    }
}

impl BuildSource {
    /// This source with the small configuration, unpatched.
    pub fn plain(origin: BuildOrigin) -> Self {
        Self { origin, config: None, fragment: Vec::new(), patches: Vec::new(), revert: Vec::new(), needs: Vec::new() }
    }

    /// Everything that must exist.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let files = self.config.iter().chain(&self.fragment).chain(&self.patches).chain(&self.revert);
        std::iter::once(self.origin.path()).chain(files.map(PathBuf::as_path))
    }

    pub(super) fn line(&self, shown: &dyn Fn(&Path) -> String) -> String {
        let mut line = format!("build {}", self.origin.line(shown));
        let config = self.config.as_slice();
        let lists =
            [("config", config), ("fragment", &self.fragment), ("revert", &self.revert), ("patch", &self.patches)];
        for (word, files) in lists {
            line.extend(files.iter().map(|file| format!(" ({word} {})", shown(file))));
        }
        line
    }
}

impl Checker<'_, '_> {
    pub(super) fn build(&mut self, node: &YamlNode) -> Option<Source> {
        let expected = "a source tree, or `{ tree: … }`, or `{ repo: …, revision: … }`";
        if let Value::Text(_) = node.value {
            return Some(Source::Build(BuildSource::plain(BuildOrigin::Tree(self.path(node)?))));
        }
        let inner = self.problems.mapping(node, expected, &KEYS)?;
        let config = match inner.get("config") {
            Some(node) if matches!(&node.value, Value::Text(text) if text == SMALL) => Some(None),
            Some(node) => self.path(node).map(Some),
            None => Some(None),
        };
        let [fragment, patches, revert] = ["fragment", "patches", "revert"].map(|key| self.files(&inner, key));
        let origin = self.build_origin(&inner, node)?;
        // A wrong path is reported, so no matrix results.
        Some(Source::Build(BuildSource {
            origin,
            config: config?,
            fragment: fragment?,
            patches: patches?,
            revert: revert?,
            needs: Vec::new(),
        }))
    }

    fn build_origin(&mut self, inner: &Fields<'_>, node: &YamlNode) -> Option<BuildOrigin> {
        match (inner.get("tree"), inner.get("repo")) {
            (Some(tree), None) => {
                if let Some(revision) = inner.get("revision") {
                    let message = || "`revision` without `repo`: a tree is built as it is".to_owned();
                    self.problems.add(&revision.span, message);
                    return None;
                }
                Some(BuildOrigin::Tree(self.path(tree)?))
            }
            (None, Some(repo)) => {
                let revision = self.problems.needed(inner, "revision", node);
                let revision = revision.and_then(|node| self.problems.value(node, "revision", fields::line));
                Some(BuildOrigin::Repo { repo: self.path(repo)?, revision: revision? })
            }
            (tree, _) => {
                let message = if tree.is_some() { "both `tree` and `repo`" } else { "neither `tree` nor `repo`" };
                self.problems.add(&node.span, || format!("{message}: expected one of them"));
                None
            }
        }
    }

    /// A file, or a list of files.
    fn files(&mut self, inner: &Fields<'_>, key: &'static str) -> Option<Vec<PathBuf>> {
        let Some(node) = inner.get(key) else { return Some(Vec::new()) };
        if let Value::Text(_) = node.value {
            return Some(vec![self.path(node)?]);
        }
        let items = self.problems.items(node, "files")?;
        let files: Vec<Option<PathBuf>> = items.iter().map(|item| self.path(item)).collect();
        files.into_iter().collect()
    }
}
