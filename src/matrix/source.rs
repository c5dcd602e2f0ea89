//! The source of a kernel: for each kind, its key in the matrix, how it is read, and how it is written.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::build::BuildSource;
use super::check::Checker;
use super::read::Fields;
use super::text::one_of;
use super::tree::{Value, YamlNode};
use super::{BadMainlineVersion, Bug, MainlineArchive, MainlineVersion, fields, remote};
use crate::json;
use crate::recipe::Recipes;
use crate::words::KernelName;

pub use super::remote::{AptArchive, Pin, Remote};

/// The source of a kernel. Paths are ready to open: those of a matrix are already joined to its folder.
///
/// Its JSON has one key with the kind, as in `{"tree": "linux"}`, `{"apt": {"package": …, "suite": …}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A package of the Debian archive, or a meta-package that depends on it.
    Apt {
        /// Its name, checked against Debian's grammar: it never begins with `-`.
        package: String,
        /// The suite or codename to take it from; absent: the system's own choice. Always present with an `archive`.
        suite: Option<String>,
        /// The archive that serves it; absent: the system's.
        #[serde(flatten)]
        archive: Option<AptArchive>,
    },
    /// Package files: an image, and its modules if they are separate. Never empty.
    Deb(#[serde(serialize_with = "json::paths")] Vec<PathBuf>),
    /// Files of RPM packages: the one with the image, and those with its modules. Never empty.
    Rpm(#[serde(serialize_with = "json::paths")] Vec<PathBuf>),
    /// Files to fetch: packages, an image, or a tarball of a build, recognised by their content. Never empty.
    Url(Vec<Remote>),
    /// A kernel image.
    Image {
        /// bzImage, vmlinuz or ELF vmlinux.
        #[serde(rename = "file", serialize_with = "json::path")]
        image: PathBuf,
        /// The folder with its modules: the result of `make modules_install`, or `/lib/modules/<release>`.
        #[serde(serialize_with = "json::optional_path")]
        modules: Option<PathBuf>,
        /// Its .config.
        #[serde(serialize_with = "json::optional_path")]
        config: Option<PathBuf>,
    },
    /// A kernel build tree.
    Tree(#[serde(serialize_with = "json::path")] PathBuf),
    /// A kernel to build from source.
    Build(BuildSource),
    /// A build of Ubuntu's archive of mainline builds.
    Mainline {
        /// Its folder there.
        #[serde(serialize_with = "json::text")]
        version: MainlineVersion,
        /// The archive's address, and the key that must sign it.
        #[serde(flatten)]
        archive: MainlineArchive,
    },
    /// A kernel from `backproof controls build`, whose state is known.
    Control {
        /// The control's name.
        #[serde(rename = "name")]
        control: KernelName,
        /// The line of releases that it is built from.
        line: String,
    },
}

impl From<BuildSource> for Source {
    fn from(build: BuildSource) -> Self {
        Self::Build(build)
    }
}

/// Reads the value of a source's key.
type Reader = fn(&mut Checker<'_, '_>, &YamlNode) -> Option<Source>;

/// The keys of a kernel that name a source, and what reads them.
const READERS: [(&str, Reader); 9] = [
    ("apt", |checker, node| checker.apt(node)),
    ("deb", |checker, node| checker.packages(node).map(Source::Deb)),
    ("rpm", |checker, node| checker.packages(node).map(Source::Rpm)),
    ("url", |checker, node| checker.problems.remotes(node).map(Source::Url)),
    ("image", |checker, node| checker.image(node)),
    ("tree", |checker, node| checker.path(node).map(Source::Tree)),
    ("build", |checker, node| checker.build(node)),
    ("mainline", |checker, node| checker.mainline(node)),
    ("control", |checker, node| checker.control(node)),
];

impl Source {
    /// The keys of a kernel that name a source.
    pub(super) const KEYS: [&'static str; READERS.len()] = {
        let mut keys = [""; READERS.len()];
        let mut at = 0;
        while at < keys.len() {
            keys[at] = READERS[at].0;
            at += 1;
        }
        keys
    };

    /// The control kernel that it is, if it is one: its recipe says what to expect.
    pub fn control(&self) -> Option<&KernelName> {
        match self {
            Self::Control { control, .. } => Some(control),
            Self::Apt { .. }
            | Self::Deb(_)
            | Self::Rpm(_)
            | Self::Url(_)
            | Self::Image { .. }
            | Self::Tree(_)
            | Self::Build(_)
            | Self::Mainline { .. } => None,
        }
    }

    /// The same source, with what the reproducers of these bugs require: only a build can add it.
    pub(super) fn with_needs<'b>(self, bugs: impl Iterator<Item = &'b Bug>) -> Self {
        let Self::Build(build) = self else { return self };
        let mut needs: Vec<String> = bugs.flat_map(Bug::needed_options).cloned().collect();
        needs.sort();
        needs.dedup();
        Self::Build(BuildSource { needs, ..build })
    }

    /// The line that the lock compares. Paths are relative to the matrix's folder.
    pub(super) fn lock_line(&self, folder: &Path) -> String {
        let shown = |path: &Path| {
            let path = path.strip_prefix(folder).unwrap_or(path).display().to_string();
            // Quotes tell two files from one with a space in its name.
            if path.contains(' ') { format!("\"{path}\"") } else { path }
        };
        let mut line = self.line(&shown);
        match self {
            Self::Image { modules, config, .. } => {
                line.extend(modules.iter().map(|folder| format!(" (modules {})", shown(folder))));
                line.extend(config.iter().map(|config| format!(" (config {})", shown(config))));
            }
            // An address with a changed pin is another source.
            Self::Url(remote) => line.extend(remote.iter().map(|file| format!(" ({})", file.pin.as_str()))),
            Self::Apt { .. }
            | Self::Deb(_)
            | Self::Rpm(_)
            | Self::Tree(_)
            | Self::Build(_)
            | Self::Mainline { .. }
            | Self::Control { .. } => {}
        }
        line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }

    fn line(&self, shown: &dyn Fn(&Path) -> String) -> String {
        let files = |word: &str, files: &[PathBuf]| {
            files.iter().fold(word.to_owned(), |line, file| format!("{line} {}", shown(file)))
        };
        match self {
            Self::Apt { package, suite: None, .. } => format!("apt {package}"),
            Self::Apt { package, suite: Some(suite), archive: None } => format!("apt {package} ({suite})"),
            Self::Apt { package, suite: Some(suite), archive: Some(AptArchive { mirror, components, .. }) } => {
                format!("apt {package} ({suite} {} of {mirror})", components.join(" "))
            }
            Self::Deb(packages) => files("deb", packages),
            Self::Rpm(packages) => files("rpm", packages),
            Self::Url(remote) => remote.iter().fold("url".to_owned(), |line, file| format!("{line} {}", file.address)),
            Self::Image { image, .. } => files("image", std::slice::from_ref(image)),
            Self::Tree(tree) => files("tree", std::slice::from_ref(tree)),
            Self::Build(build) => build.line(shown),
            Self::Mainline { version, .. } => format!("mainline {version}"),
            Self::Control { control, line } => format!("control {control} ({line})"),
        }
    }
}

/// `apt linux-image-cloud-amd64 (trixie)`, `deb a.deb b.deb`, `image bzImage`, `tree linux`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(&|path| path.display().to_string()))
    }
}

impl Checker<'_, '_> {
    /// The kernel's one source.
    pub(super) fn source(&mut self, fields: &Fields<'_>, kernel: &YamlNode) -> Option<Source> {
        let mut given = fields.iter().filter(|(meant, ..)| Source::KEYS.contains(meant));
        let Some((kind, first, node)) = given.next() else {
            let at = fields.get("name").map_or(&kernel.span, |name| &name.span);
            self.problems.add(at, || format!("this kernel has no source: expected one of {}", one_of(Source::KEYS)));
            return None;
        };
        let mut only = true;
        for (meant, second, _) in given {
            let note = || Some((first.span.clone(), "the first source is here".to_owned()));
            let message = || format!("a second source `{meant}`: expected one for each kernel");
            self.problems.add_with(&second.span, message, note);
            only = false;
        }
        let read = READERS.iter().find(|(key, _)| *key == kind).map(|(_, read)| read)?;
        let source = read(self, node);
        source.filter(|_| only)
    }

    fn apt(&mut self, node: &YamlNode) -> Option<Source> {
        if let Value::Text(_) = node.value {
            let package = self.problems.value(node, "package", fields::package)?;
            return Some(Source::Apt { package, suite: None, archive: None });
        }
        let expected = "a package, or `{ package: …, suite: … }`";
        let inner = self.problems.mapping(node, expected, &["package", "suite", "mirror", "components", "keyring"])?;
        let suite = inner.get("suite").map(|node| self.problems.value(node, "suite", fields::suite));
        let archive = self.archive(&inner);
        let package = self.problems.needed(&inner, "package", node)?;
        let package = self.problems.value(package, "package", fields::package)?;
        let (suite, archive) = (suite.map_or(Some(None), |suite| suite.map(Some))?, archive?);
        if let (Some(_), None) = (&archive, &suite) {
            let message = || "the key `suite` is missing here: `mirror` requires it".to_owned();
            self.problems.add(&node.span, message);
            return None;
        }
        Some(Source::Apt { package, suite, archive })
    }

    /// The archive that an `apt:` names; `Some(None)` if it names none.
    fn archive(&mut self, inner: &Fields<'_>) -> Option<Option<AptArchive>> {
        let Some(mirror) = inner.get("mirror") else {
            for key in ["components", "keyring"] {
                if let Some(node) = inner.get(key) {
                    let message = || format!("`{key}` without `mirror`: it applies only to an archive of your own");
                    self.problems.add(&node.span, message);
                    return None;
                }
            }
            return Some(None);
        };
        let mirror = self.problems.value(mirror, "mirror", remote::archive);
        let components = match inner.get("components") {
            Some(list) => self
                .problems
                .each(list, "components", |item, problems| problems.value(item, "component", fields::component)),
            None => Some(vec!["main".to_owned()]),
        };
        let keyring = match inner.get("keyring") {
            Some(node) => Some(self.path(node)?),
            None => None,
        };
        Some(Some(AptArchive { mirror: mirror?, components: components?, keyring }))
    }

    fn packages(&mut self, node: &YamlNode) -> Option<Vec<PathBuf>> {
        if let Value::Text(_) = node.value {
            return Some(vec![self.path(node)?]);
        }
        let items = self.problems.items(node, "package files")?;
        let files: Vec<Option<PathBuf>> = items.iter().map(|item| self.path(item)).collect();
        files.into_iter().collect()
    }

    fn image(&mut self, node: &YamlNode) -> Option<Source> {
        if let Value::Text(_) = node.value {
            return Some(Source::Image { image: self.path(node)?, modules: None, config: None });
        }
        let expected = "a kernel image, or `{ file: …, modules: …, config: … }`";
        let inner = self.problems.mapping(node, expected, &["file", "modules", "config"])?;
        let modules = inner.get("modules").map(|node| self.path(node));
        let config = inner.get("config").map(|node| self.path(node));
        let file = self.problems.needed(&inner, "file", node)?;
        let image = self.path(file)?;
        // A wrong path is reported, so no matrix results.
        Some(Source::Image { image, modules: modules.flatten(), config: config.flatten() })
    }

    fn mainline(&mut self, node: &YamlNode) -> Option<Source> {
        let version = |text: &str| text.parse().map_err(|bad: BadMainlineVersion| bad.to_string());
        let version = self.problems.value(node, "version", version)?;
        Some(Source::Mainline { version, archive: self.archive.clone() })
    }

    fn control(&mut self, node: &YamlNode) -> Option<Source> {
        let inner =
            self.problems.mapping(node, "a control, as in `{ name: stock, line: \"6.1\" }`", &["name", "line"])?;
        let line = self
            .problems
            .needed(&inner, "line", node)
            .and_then(|node| self.problems.value(node, "line", fields::control_line));
        let name = self.problems.needed(&inner, "name", node)?;
        let (control, line) = (self.problems.value(name, "control", fields::control)?, line?);
        if Recipes::built_in().pair(&line, control.as_str()).is_none() {
            self.problems.add(&name.span, || format!("line {line} has no control `{control}`"));
            return None;
        }
        Some(Source::Control { control, line })
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
