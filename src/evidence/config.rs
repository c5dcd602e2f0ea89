//! The witness `config`: whether the bug's code was compiled into the kernel.
//!
//! A dossier names the options that this code needs (`applies-if`). If the kernel's own configuration lacks one, the
//! kernel does not have the bug, regardless of its source. A configuration that merely lies next to an image may belong
//! to another build, so it is a hint: it can make an answer unknown, but cannot decide it.

use std::borrow::Cow;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::GzDecoder;
use rustix::fs::OFlags;

use super::exhibits::Exhibits;
use super::{Finding, StateSet, Strength, Witness};
use crate::kernel::{BUILT_IMAGE, ConfigOrigin, Kernel, KernelConfig, Unset};
use crate::matrix::Bug;

/// The largest configuration that is read, in bytes. Distributions' have 300 KiB.
const LARGEST: u64 = 4 << 20;

/// A configuration, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildConfig<'a> {
    config: Cow<'a, KernelConfig>,
    /// Its description, to follow "in": `the configuration in its package`.
    place: String,
    /// Whether the kernel was certainly built with it.
    is_certain: bool,
}

impl<'a> BuildConfig<'a> {
    /// The one that an image carries (CONFIG_IKCONFIG).
    pub fn embedded(config: &'a KernelConfig) -> Self {
        let place = "the configuration that the image carries".to_owned();
        Self { config: Cow::Borrowed(config), place, is_certain: true }
    }

    /// The one that was obtained with a kernel.
    pub fn of_kernel(kernel: &Kernel) -> Option<Self> {
        let config = kernel.config.clone()?;
        let (place, is_certain) = match &kernel.origin.config {
            ConfigOrigin::Tree(tree) => return Self::of_tree(tree),
            ConfigOrigin::Own(place) => ((*place).to_owned(), true),
            ConfigOrigin::Beside(path) => (format!("{}, which is named beside the image", path.display()), false),
            ConfigOrigin::Unknown => ("a configuration beside the image".to_owned(), false),
        };
        Some(Self { config: Cow::Owned(config), place, is_certain })
    }

    /// The configuration of a tree, built or not. Like make, this considers an image up to date if it is newer than its
    /// configuration.
    pub fn of_tree(tree: &Path) -> Option<Self> {
        let path = tree.join(".config");
        let config = read(&path).ok()?;
        let built_with = tree.join("include/config/auto.conf");
        let same = read(&built_with).is_ok_and(|built| built.compiles_the_same(&config));
        let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
        let is_newer =
            |image: SystemTime| [&path, &built_with].iter().all(|file| time(file).is_ok_and(|at| at <= image));
        let image = time(&tree.join(BUILT_IMAGE));
        let is_certain = same && image.is_ok_and(is_newer);
        let place = match is_certain {
            true => format!("{}, which the image was built with", path.display()),
            false => format!("{}, which may not be what the image was built with", path.display()),
        };
        Some(Self { config: Cow::Owned(config), place, is_certain })
    }

    /// A configuration next to an image: its build tree's, `config-…` next to `vmlinuz-…`, `.config` or `config`.
    pub fn beside(image: &Path) -> Option<Self> {
        let folder = image.parent()?;
        if image.ends_with(BUILT_IMAGE) {
            return Self::of_tree(image.ancestors().nth(4)?);
        }
        let release = image.file_name()?.to_str()?.split_once('-').map(|(_, release)| format!("config-{release}"));
        let names = release.into_iter().chain([".config", "config"].map(str::to_owned));
        names.map(|name| folder.join(name)).find_map(Self::lying)
    }

    /// The running kernel's: /proc/config.gz, or else the file of its name in /boot, which an upgrade may have replaced.
    pub fn running(release: &str) -> Option<Self> {
        Self::running_below(Path::new("/"), release)
    }

    fn running_below(root: &Path, release: &str) -> Option<Self> {
        if let Ok(config) = read_packed(&root.join("proc/config.gz")) {
            let place = "/proc/config.gz, which is the running kernel's own".to_owned();
            return Some(Self { config: Cow::Owned(config), place, is_certain: true });
        }
        let is_name = !release.contains('/');
        is_name.then(|| Self::lying(root.join("boot").join(format!("config-{release}")))).flatten()
    }

    fn lying(path: PathBuf) -> Option<Self> {
        let config = read(&path).ok()?;
        let place = format!("{}, which may be another build's", path.display());
        Some(Self { config: Cow::Owned(config), place, is_certain: false })
    }

    /// Its finding for a bug; none if the bug's code may be compiled.
    pub fn weigh(&self, bug: &Bug) -> Option<Finding> {
        let unset = |option: &String| self.config.unset(option.strip_prefix("CONFIG_").unwrap_or(option));
        let surest = bug.applies_if.iter().filter_map(unset).max()?;
        let missing = bug.applies_if.iter().filter(|option| unset(option) == Some(surest));
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let (strength, said, means) = match (self.is_certain, surest) {
            (true, Unset::Proven) => (Strength::Strong, "set", "the code that has the bug is not compiled in"),
            (false, Unset::Proven) => (Strength::Weak, "set", "the code may not be compiled in"),
            (_, Unset::Unmentioned) => {
                (Strength::Weak, "mentioned", "it may not be compiled in, or the configuration was cut")
            }
        };
        let why = format!("{} {verb} not {said} in {}: {means}", missing.join(", "), self.place);
        Some(Finding::new(Witness::Config, StateSet::not_affected(), strength, why))
    }
}

/// The finding of the kernel's configuration for a bug, if the bug's code was not compiled.
pub(super) fn look(exhibits: &Exhibits<'_>, bug: &Bug) -> Option<Finding> {
    let embedded = exhibits.binary.as_ref().and_then(|binary| binary.as_ref().ok()?.config());
    match embedded {
        Some(config) => BuildConfig::embedded(config).weigh(bug),
        None => exhibits.config.as_ref()?.weigh(bug),
    }
}

/// Weakens findings about the source if the configuration leaves the bug's code out: the source may have the bug, the
/// kernel does not.
pub fn temper(findings: &mut [Finding], compiled_out: &Finding) {
    let is_about_source =
        |finding: &Finding| finding.witness.is_about_source() && !finding.states.and(StateSet::affected()).is_empty();
    for finding in findings.iter_mut().filter(|finding| is_about_source(finding)) {
        if compiled_out.strength > Strength::Weak {
            finding.states = StateSet::all();
        }
        finding.strength = Strength::Weak;
    }
}

/// A configuration in a regular file.
fn read(path: &Path) -> io::Result<KernelConfig> {
    parse(open(path)?)
}

fn read_packed(path: &Path) -> io::Result<KernelConfig> {
    parse(GzDecoder::new(open(path)?))
}

fn open(path: &Path) -> io::Result<fs::File> {
    // Opening a pipe would wait for its writer.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn parse(from: impl Read) -> io::Result<KernelConfig> {
    let mut text = Vec::new();
    from.take(LARGEST).read_to_end(&mut text)?;
    KernelConfig::parse(&text).map_err(io::Error::other)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
