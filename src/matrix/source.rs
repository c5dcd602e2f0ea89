//! Where a kernel comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use url::Url;

use super::{MainlineArchive, MainlineVersion};
use crate::words::{KernelName, Sha256};

/// Where a kernel comes from. Paths are ready to open: those of a matrix are already joined to its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A package of the Debian archive, or a meta-package that depends on it.
    Apt {
        /// Its name, checked against Debian's grammar: it never begins with `-`.
        package: String,
        /// The suite or codename to take it from; absent: the system's own choice. Always present with an `archive`.
        suite: Option<String>,
        /// The archive that serves it; absent: the system's.
        archive: Option<AptArchive>,
    },
    /// Package files: an image, and its modules if they are separate. Never empty.
    Deb(Vec<PathBuf>),
    /// Files of RPM packages: the one with the image, and those with its modules. Never empty.
    Rpm(Vec<PathBuf>),
    /// Files to fetch: packages, an image, or a tarball of a build, recognised by their content. Never empty.
    Url(Vec<Remote>),
    /// A kernel image.
    Image {
        /// bzImage, vmlinuz or ELF vmlinux.
        image: PathBuf,
        /// The folder with its modules: what `make modules_install` made, or `/lib/modules/<release>`.
        modules: Option<PathBuf>,
        /// Its .config.
        config: Option<PathBuf>,
    },
    /// A kernel build tree.
    Tree(PathBuf),
    /// A build of Ubuntu's archive of mainline builds.
    Mainline {
        /// Its folder there.
        version: MainlineVersion,
        /// The archive's address, and the key that must sign it.
        archive: MainlineArchive,
    },
    /// A kernel from `backproof controls build`, whose state is known.
    Control {
        /// The control's name.
        control: KernelName,
        /// The line of releases that it is built from.
        line: String,
    },
}

/// A package archive, as in sources.list(5), which the system's own apt need not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AptArchive {
    /// Its root: the folder with `dists`, by http, https or file.
    pub mirror: Url,
    /// Components of the suite. Never empty.
    pub components: Vec<String>,
    /// The keys that may sign it; absent: those that the system's apt trusts.
    pub keyring: Option<PathBuf>,
}

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its http or https address, without a user name.
    pub address: Url,
    /// How its content is checked.
    pub pin: Pin,
    /// Other addresses of the same bytes, tried in turn if the first fails.
    pub mirrors: Vec<Url>,
}

/// How the content of a fetched file is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Its sha256 is known.
    Sha256(Sha256),
    /// The first download is trusted, and pinned in kernels.lock.
    TrustOnFirstUse,
}

impl Pin {
    /// The matrix's word for an unknown sha256.
    pub const TRUST_ON_FIRST_USE: &'static str = "trust-on-first-use";

    /// As the matrix has it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sha256(sum) => sum.as_str(),
            Self::TrustOnFirstUse => Self::TRUST_ON_FIRST_USE,
        }
    }
}

impl Source {
    /// The keys of a kernel that name a source.
    pub const KEYS: [&'static str; 8] = ["apt", "deb", "rpm", "url", "image", "tree", "mainline", "control"];
}

/// `apt linux-image-cloud-amd64 (trixie)`, `deb a.deb b.deb`, `image bzImage`, `tree linux`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apt { package, suite: None, .. } => write!(f, "apt {package}"),
            Self::Apt { package, suite: Some(suite), archive: None } => write!(f, "apt {package} ({suite})"),
            Self::Apt { package, suite: Some(suite), archive: Some(AptArchive { mirror, components, .. }) } => {
                write!(f, "apt {package} ({suite} {} of {mirror})", components.join(" "))
            }
            Self::Deb(files) | Self::Rpm(files) => {
                f.write_str(if matches!(self, Self::Deb(_)) { "deb" } else { "rpm" })?;
                files.iter().try_for_each(|file| write!(f, " {}", file.display()))
            }
            Self::Url(files) => {
                f.write_str("url")?;
                files.iter().try_for_each(|file| write!(f, " {}", file.address))
            }
            Self::Image { image, .. } => write!(f, "image {}", image.display()),
            Self::Tree(folder) => write!(f, "tree {}", folder.display()),
            Self::Mainline { version, .. } => write!(f, "mainline {version}"),
            Self::Control { control, line } => write!(f, "control {control} ({line})"),
        }
    }
}

/// One key with the kind, as in `{"tree": "linux"}`, `{"apt": {"package": …, "suite": …}}`.
impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct File<'a> {
            address: &'a str,
            sha256: &'a str,
            mirrors: Vec<&'a str>,
        }
        #[derive(Serialize)]
        struct Archive<'a> {
            mirror: &'a str,
            components: &'a [String],
            keyring: Option<Lossy<'a>>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        enum Written<'a> {
            Apt {
                package: &'a str,
                suite: Option<&'a str>,
                #[serde(flatten, skip_serializing_if = "Option::is_none")]
                archive: Option<Archive<'a>>,
            },
            Deb(Vec<Lossy<'a>>),
            Rpm(Vec<Lossy<'a>>),
            Url(Vec<File<'a>>),
            Image {
                file: Lossy<'a>,
                modules: Option<Lossy<'a>>,
                config: Option<Lossy<'a>>,
            },
            Tree(Lossy<'a>),
            Mainline {
                version: String,
                address: Option<&'a str>,
                fingerprint: Option<&'a str>,
            },
            Control {
                name: &'a KernelName,
                line: &'a str,
            },
        }
        let written = match self {
            Self::Apt { package, suite, archive } => Written::Apt {
                package,
                suite: suite.as_deref(),
                archive: archive.as_ref().map(|AptArchive { mirror, components, keyring }| Archive {
                    mirror: mirror.as_str(),
                    components,
                    keyring: keyring.as_deref().map(Lossy),
                }),
            },
            Self::Deb(files) => Written::Deb(files.iter().map(|file| Lossy(file)).collect()),
            Self::Rpm(files) => Written::Rpm(files.iter().map(|file| Lossy(file)).collect()),
            Self::Url(files) => {
                let written = files.iter().map(|file| File {
                    address: file.address.as_str(),
                    sha256: file.pin.as_str(),
                    mirrors: file.mirrors.iter().map(Url::as_str).collect(),
                });
                Written::Url(written.collect())
            }
            Self::Image { image, modules, config } => Written::Image {
                file: Lossy(image),
                modules: modules.as_deref().map(Lossy),
                config: config.as_deref().map(Lossy),
            },
            Self::Tree(folder) => Written::Tree(Lossy(folder)),
            Self::Mainline { version, archive } => Written::Mainline {
                version: version.to_string(),
                address: archive.address.as_ref().map(Url::as_str),
                fingerprint: archive.key.as_ref().map(|key| key.fingerprint.as_str()),
            },
            Self::Control { control, line } => Written::Control { name: control, line },
        };
        written.serialize(serializer)
    }
}

/// A path for people. serde rejects paths that are not UTF-8, but a folder's name must not lose a run's results.
struct Lossy<'a>(&'a Path);

impl Serialize for Lossy<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_is_shown_in_one_line_and_written_under_one_key() {
        let apt = |suite: Option<&str>, archive| Source::Apt {
            package: "linux-image".into(),
            suite: suite.map(str::to_owned),
            archive,
        };
        let elsewhere = AptArchive {
            mirror: Url::parse("https://mirror.example/ubuntu").expect("an address"),
            components: vec!["main".to_owned()],
            keyring: Some("ubuntu.gpg".into()),
        };
        let image = Source::Image { image: "b/bzImage".into(), modules: None, config: Some("b/.config".into()) };
        let control = Source::Control { control: "stock".parse().expect("a name"), line: "6.1".into() };
        let archive = MainlineArchive { address: Url::parse("https://mirror.example/").ok(), key: None };
        let mainline = Source::Mainline { version: "v4.19.57".parse().expect("a version"), archive };
        let of_mainline = json!({"version": "v4.19.57", "address": "https://mirror.example/", "fingerprint": null});
        let remote = Remote {
            address: "https://k.example/a.deb".parse().expect("an address"),
            pin: Pin::TrustOnFirstUse,
            mirrors: vec!["https://m.example/a.deb".parse().expect("an address")],
        };
        let url = Source::Url(vec![remote]);
        for (source, shown, written) in [
            (mainline, "mainline v4.19.57", json!({"mainline": of_mainline})),
            (control, "control stock (6.1)", json!({"control": {"name": "stock", "line": "6.1"}})),
            (apt(None, None), "apt linux-image", json!({"apt": {"package": "linux-image", "suite": null}})),
            (
                apt(Some("sid"), None),
                "apt linux-image (sid)",
                json!({"apt": {"package": "linux-image", "suite": "sid"}}),
            ),
            (
                apt(Some("noble-updates"), Some(elsewhere)),
                "apt linux-image (noble-updates main of https://mirror.example/ubuntu)",
                json!({"apt": {
                    "package": "linux-image",
                    "suite": "noble-updates",
                    "mirror": "https://mirror.example/ubuntu",
                    "components": ["main"],
                    "keyring": "ubuntu.gpg",
                }}),
            ),
            (Source::Deb(vec!["a.deb".into(), "b.deb".into()]), "deb a.deb b.deb", json!({"deb": ["a.deb", "b.deb"]})),
            (Source::Rpm(vec!["a.rpm".into()]), "rpm a.rpm", json!({"rpm": ["a.rpm"]})),
            (
                url,
                "url https://k.example/a.deb",
                json!({"url": [{
                    "address": "https://k.example/a.deb",
                    "sha256": "trust-on-first-use",
                    "mirrors": ["https://m.example/a.deb"],
                }]}),
            ),
            (image, "image b/bzImage", json!({"image": {"file": "b/bzImage", "modules": null, "config": "b/.config"}})),
            (Source::Tree("linux".into()), "tree linux", json!({"tree": "linux"})),
        ] {
            assert_eq!(source.to_string(), shown);
            assert_eq!(serde_json::to_value(&source).ok(), Some(written));
        }
    }

    #[test]
    fn a_folder_whose_name_is_not_utf_8_can_still_be_written() {
        let source = Source::Tree(PathBuf::from(OsStr::from_bytes(b"linux\xff")));
        assert_eq!(serde_json::to_value(&source).ok(), Some(json!({"tree": "linux\u{fffd}"})));
    }
}
