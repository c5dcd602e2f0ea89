//! Examines one subject with every witness that needs no boot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{BugAnswer, Subject, SubjectAnswer};
use crate::evidence::binary::Binary;
use crate::evidence::config::BuildConfig;
use crate::evidence::exhibits::{Exhibits, Said, is_output_folder, release_of, source_folder, tree};
use crate::evidence::git::{GitFiles, GitIndex};
use crate::evidence::source::{self, SourceFolder, Tarball};
use crate::evidence::version::{self, Release};
use crate::kernel::{self, BUILT_IMAGE, Downloaded, FileKind, Kernel, Provenance, Stale, file_kind};
use crate::matrix::{Bug, MainlineArchive, MainlineVersion, Pin, Remote, Source};
use crate::verdict::{Case, Judgement};
use crate::words::{BadSha256, BugId, Sha256};

/// Fetches a file, or says why it cannot.
pub type Fetch<'a> = dyn Fn(&Remote) -> Result<Downloaded, String> + 'a;

/// The question, and the means to answer it.
pub struct Inquiry<'a> {
    /// The bugs.
    pub bugs: Vec<&'a Bug>,
    /// Whether bugs without a fix count for the exit code too.
    pub counts_all: bool,
    /// The named repository of the revisions, or why it cannot be read.
    pub index: Option<Result<&'a GitIndex, &'a str>>,
    /// Unpacks a package, or says why it cannot.
    pub unpack: &'a dyn Fn(&Source) -> Result<Kernel, String>,
    /// Fetches a file.
    pub fetch: &'a Fetch<'a>,
}

/// The witnesses' findings about one subject. Everything else about it is dropped.
pub struct SubjectSaid {
    text: String,
    understood: Option<String>,
    problem: Option<String>,
    misnamed: bool,
    stale: Option<Stale>,
    settle: &'static str,
    /// The findings about each bug.
    pub said: BTreeMap<BugId, Said>,
    /// The release that it is or is based on: later releases of that line are candidates for an upgrade.
    pub release: Option<Release>,
    /// The kernel to boot; None if only its name or source is known.
    pub bootable: Option<Source>,
}

/// One examined subject.
#[derive(Default)]
pub struct SubjectLook<'a> {
    text: String,
    understood: Option<String>,
    problem: Option<String>,
    misnamed: bool,
    stale: Option<Stale>,
    exhibits: Exhibits<'a>,
    /// The release that a source tree is based on. It is no evidence about the tree itself.
    began: Option<Release>,
    /// The missing evidence, if the dossier knows nothing better.
    settle: &'static str,
    bootable: Option<Source>,
}

const BY_BOOT: &str = "boot it: the same command with --boot";
const BY_IMAGE: &str = "give its image or its package, and --boot to run it";
const BY_BUILD: &str = "build it and give the tree with --boot, or give its image";

impl<'a> Inquiry<'a> {
    /// Examines one subject. Unreadable evidence is part of the answer.
    pub fn look(&self, text: &'a str) -> SubjectLook<'a> {
        let looked = match Subject::of(text, self.index.is_some()) {
            Err(unclear) => SubjectLook { misnamed: unclear.is_misnamed(), ..problem(unclear.to_string()) },
            Ok(Subject::Release(pasted)) => SubjectLook {
                understood: Some(pasted.to_string()),
                exhibits: Exhibits { release: Some(Ok(pasted.release)), ..Exhibits::default() },
                settle: BY_IMAGE,
                ..SubjectLook::default()
            },
            Ok(Subject::File(path)) => self.file(path, None),
            Ok(Subject::Tree(path)) => folder(path),
            Ok(Subject::Address(remote)) => self.address(remote),
            Ok(Subject::Mainline(version)) => self.mainline(version),
            Ok(Subject::Revision(_)) => self.revision(text),
        };
        SubjectLook { text: text.to_owned(), ..looked }
    }

    /// A fetched file is examined like a local one.
    fn address(&self, remote: Remote) -> SubjectLook<'a> {
        let fetched = (self.fetch)(&remote).and_then(|Downloaded { path, sha256, stale }| {
            Ok((path, sha256.parse::<Sha256>().map_err(|error: BadSha256| error.to_string())?, stale))
        });
        let (path, sum, stale) = match fetched {
            Ok(fetched) => fetched,
            Err(why) => return problem(why),
        };
        // The checksum ensures that a boot uses the examined file.
        let pinned = Source::Url(vec![Remote { pin: Pin::Sha256(sum.clone()), ..remote.clone() }]);
        let looked = self.file(path, Some(pinned.clone()));
        let what = looked.understood.as_ref().map_or_else(String::new, |what| format!(": {what}"));
        let understood = Some(format!("{}, sha256 {sum}{what}", remote.address));
        let bootable = looked.bootable.as_ref().map(|_| pinned);
        SubjectLook { understood, bootable, stale, ..looked }
    }

    /// A local file. `from` is the address that it was fetched from, because people know it by that.
    fn file(&self, path: PathBuf, from: Option<Source>) -> SubjectLook<'a> {
        match file_kind(&path) {
            Err(error) => problem(format!("it cannot be read: {error}")),
            Ok(FileKind::Deb) => self.package(Source::Deb(vec![path]), from, "a Debian package"),
            Ok(FileKind::Rpm) => self.package(Source::Rpm(vec![path]), from, "an RPM package"),
            Ok(FileKind::Image) => image(path),
            Ok(FileKind::Tarball) => self.tarball(&path, from),
            Ok(FileKind::Other) => problem(
                "expected a Debian or RPM package, a kernel image or a tarball of kernel source, found something else"
                    .to_owned(),
            ),
        }
    }

    fn package(&self, here: Source, from: Option<Source>, kind: &str) -> SubjectLook<'a> {
        let looked = self.unpacked(from.unwrap_or_else(|| here.clone()));
        let Some(why) = looked.problem else {
            let what = looked.understood.map_or_else(|| kind.to_owned(), |name| format!("a package: {name}"));
            return SubjectLook { understood: Some(what), ..looked };
        };
        match stands_for(&here) {
            Some(release) => SubjectLook {
                understood: Some(format!("a package without a kernel, which stands for {release}")),
                exhibits: Exhibits { release: Some(Ok(release)), ..Exhibits::default() },
                ..problem(why)
            },
            None => problem(why),
        }
    }

    /// A build of the default archive, or of the one in the environment.
    fn mainline(&self, version: MainlineVersion) -> SubjectLook<'a> {
        self.unpacked(Source::Mainline { version, archive: MainlineArchive::default() })
    }

    /// A kernel in packages, described by its own name, with the known facts about its origin.
    fn unpacked(&self, from: Source) -> SubjectLook<'a> {
        match (self.unpack)(&from) {
            Err(why) => problem(why),
            Ok(kernel) => {
                let exhibits = Exhibits::of_kernel(&kernel);
                let name = exhibits.release.as_ref().and_then(|release| release.as_ref().ok());
                let remarks = kernel.provenance.iter().filter_map(Provenance::remark);
                let words: Vec<String> = remarks.chain(name.map(ToString::to_string)).collect();
                let understood = Some(words.join(": ")).filter(|words| !words.is_empty());
                SubjectLook {
                    understood,
                    exhibits,
                    stale: kernel.stale,
                    settle: BY_BOOT,
                    bootable: Some(from),
                    ..SubjectLook::default()
                }
            }
        }
    }

    fn tarball(&self, path: &Path, from: Option<Source>) -> SubjectLook<'a> {
        match Tarball::open(path, source::wanted(self.bugs.iter().copied())) {
            Err(error) => problem(format!("{:#}", anyhow::Error::new(error))),
            Ok(tarball) => match source::release(&tarball) {
                Err(error) => problem(format!("the Makefile of this tarball cannot be read: {error}")),
                Ok(None) => self.build(from.unwrap_or_else(|| Source::Tree(path.to_owned()))),
                Ok(Some(release)) => SubjectLook {
                    understood: Some(format!("a tarball of source that began as {release}")),
                    began: Release::parse(&release).ok(),
                    exhibits: Exhibits { source: Some(Ok(Box::new(tarball))), ..Exhibits::default() },
                    settle: BY_BUILD,
                    ..SubjectLook::default()
                },
            },
        }
    }

    /// A tarball without source: a built kernel, or something else.
    fn build(&self, from: Source) -> SubjectLook<'a> {
        match (self.unpack)(&from) {
            Err(why) => problem(format!("this tarball has no kernel's Makefile, and is no build: {why}")),
            Ok(kernel) => SubjectLook {
                understood: Some(match &kernel.release {
                    Some(release) => format!("a tarball of a build of {release}"),
                    None => "a tarball of a build".to_owned(),
                }),
                exhibits: Exhibits::of_kernel(&kernel),
                settle: BY_BOOT,
                bootable: Some(from),
                ..SubjectLook::default()
            },
        }
    }

    fn revision(&self, text: &'a str) -> SubjectLook<'a> {
        let index = match self.index {
            Some(Ok(index)) => index,
            Some(Err(why)) => return problem(why.to_owned()),
            None => return problem("no repository was named: --git REPO".to_owned()),
        };
        match index.describe(text) {
            Err(error) => problem(error.to_string()),
            Ok(description) => {
                let began = description.version.as_ref().and_then(|v| Release::parse(&v.to_string()).ok());
                let version = description.version.map_or_else(String::new, |v| format!(", a tree that began as {v}"));
                let commit = description.commit.clone();
                let files = GitFiles { index, commit };
                let exhibits = Exhibits {
                    revision: Some(Ok((index, text))),
                    source: Some(Ok(Box::new(files))),
                    ..Exhibits::default()
                };
                let understood = Some(format!("commit {}{version}", description.commit));
                SubjectLook { understood, exhibits, began, settle: BY_BUILD, ..SubjectLook::default() }
            }
        }
    }

    /// Asks the witnesses, then drops the evidence: unpacked images of many subjects would fill the memory.
    pub fn ask(&self, look: SubjectLook<'_>) -> SubjectSaid {
        let SubjectLook { text, understood, problem, misnamed, stale, exhibits, began, settle, bootable } = look;
        let said = self.bugs.iter().map(|bug| (bug.id.clone(), exhibits.look(bug))).collect();
        let release = exhibits.release.and_then(Result::ok).or(began);
        SubjectSaid { text, understood, problem, misnamed, stale, settle, said, release, bootable }
    }

    /// The answer about a subject. A run's judgements win.
    pub fn answer(&self, subject: SubjectSaid, booted: &BTreeMap<BugId, Judgement>) -> SubjectAnswer {
        let SubjectSaid { text, understood, problem, misnamed, stale, settle, mut said, release, .. } = subject;
        let answer = |bug: &&Bug| {
            let judgement = booted.get(&bug.id).cloned().unwrap_or_else(|| {
                let settle = settle_by(bug, release.as_ref(), settle);
                let case = Case {
                    bug: Some(bug),
                    said: said.remove(&bug.id).unwrap_or_default(),
                    release: release.as_ref(),
                    ..Case::default()
                };
                case.judge(&settle)
            });
            BugAnswer { bug: bug.id.clone(), counts: self.counts_all || !bug.is_unrepaired(), judgement }
        };
        let bugs = self.bugs.iter().map(answer).collect();
        SubjectAnswer { subject: text, understood, problem, misnamed, stale, bugs }
    }
}

/// The source of a kernel that a text names, to boot it.
///
/// # Errors
/// Why it cannot be booted, and what was expected.
pub fn to_boot(text: &str, archive: &MainlineArchive) -> Result<Source, String> {
    let expected = "expected a package, an image, a built tree, an address, mainline:VERSION, or the name of a kernel in the \
                    matrix";
    match Subject::of(text, false) {
        Ok(Subject::File(path)) => match file_kind(&path) {
            Ok(FileKind::Deb) => Ok(Source::Deb(vec![path])),
            Ok(FileKind::Rpm) => Ok(Source::Rpm(vec![path])),
            Ok(FileKind::Image) => Ok(Source::Image { image: path, modules: None, config: None }),
            Ok(FileKind::Tarball) => Ok(Source::Tree(path)),
            Ok(FileKind::Other) => Err(format!("it is neither a package nor an image: {expected}")),
            Err(error) => Err(format!("it cannot be read: {error}")),
        },
        Ok(Subject::Tree(path)) => Ok(Source::Tree(path)),
        Ok(Subject::Address(remote)) => Ok(Source::Url(vec![remote])),
        Ok(Subject::Mainline(version)) => Ok(Source::Mainline { version, archive: archive.clone() }),
        Ok(Subject::Release(_) | Subject::Revision(_)) => Err(format!(
            "a release's name cannot be booted: {expected}; `backproof affected {text}` judges by the name alone"
        )),
        Err(unclear) => Err(format!("{unclear}; {expected}")),
    }
}

/// The missing evidence for an open question.
fn settle_by(bug: &Bug, release: Option<&Release>, settle: &str) -> String {
    match release.and_then(|release| version::first_good(bug, release)) {
        Some(version::UpgradeAdvice::Settle(how)) if settle == BY_IMAGE => how,
        _ => settle.to_owned(),
    }
}

/// The kernel that a metapackage depends on.
fn stands_for(package: &Source) -> Option<Release> {
    let Source::Deb(files) = package else { return None };
    Release::parse(&kernel::stands_for(files.first()?)?).ok()
}

fn problem<'a>(problem: String) -> SubjectLook<'a> {
    SubjectLook { problem: Some(problem), settle: BY_IMAGE, ..SubjectLook::default() }
}

fn image<'a>(path: PathBuf) -> SubjectLook<'a> {
    match Binary::open(&path) {
        Err(error) => problem(error.to_string()),
        Ok(binary) => {
            let release = release_of(binary.release());
            SubjectLook {
                understood: Some(format!("an image of {}", binary.release())),
                began: Release::parse(binary.release()).ok(),
                exhibits: Exhibits {
                    release: Some(release),
                    config: BuildConfig::beside(&path),
                    binary: Some(Ok(binary)),
                    ..Exhibits::default()
                },
                settle: BY_BOOT,
                bootable: Some(Source::Image { image: path, modules: None, config: None }),
                ..SubjectLook::default()
            }
        }
    }
}

/// A tree: its source, and its image if it is built.
fn folder<'a>(path: PathBuf) -> SubjectLook<'a> {
    let source = source_folder(&path).map(|folder| tree(SourceFolder::open(&folder)));
    let built = path.join(BUILT_IMAGE);
    let binary = built.is_file().then(|| Binary::open(&built).map_err(|error| error.to_string()));
    let makefile = source.as_ref().and_then(|files| files.as_ref().ok()).map(|files| source::release(files.as_ref()));
    let release = match (makefile, &binary) {
        (None, None) if source.is_none() => {
            let why = "this folder holds what `make O=` left, without an image, and its link `source` leads nowhere: give \
                       the source tree, or build it";
            return problem(why.to_owned());
        }
        (Some(Ok(None)), None) => {
            return problem("this folder has no kernel's Makefile: expected a kernel's source tree".to_owned());
        }
        (Some(Err(error)), None) => return problem(format!("the Makefile of this folder cannot be read: {error}")),
        (Some(Ok(release)), _) => release,
        _ => None,
    };
    let image = binary.as_ref().and_then(|binary| binary.as_ref().ok()).map(|binary| binary.release().to_owned());
    let what = match (is_output_folder(&path), &image, &binary) {
        (true, Some(image), _) => format!("an O= build folder of {image}"),
        (true, None, _) => "an O= build folder".to_owned(),
        (false, _, Some(_)) => "a built source tree".to_owned(),
        (false, _, None) => "a source tree".to_owned(),
    };
    let whose = if is_output_folder(&path) { ", whose source" } else { " that" };
    let understood = match &release {
        Some(release) => format!("{what}{whose} began as {release}"),
        None => what,
    };
    let config = BuildConfig::of_tree(&path);
    SubjectLook {
        began: release.or(image).and_then(|release| Release::parse(&release).ok()),
        understood: Some(understood),
        settle: if binary.is_some() { BY_BOOT } else { BY_BUILD },
        bootable: binary.is_some().then_some(Source::Tree(path)),
        exhibits: Exhibits { source, config, binary, ..Exhibits::default() },
        ..SubjectLook::default()
    }
}
