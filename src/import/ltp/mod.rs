//! Tests of the Linux Test Project, from a tree in which it is built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backproof_protocol::ProgramProtocol;
use memchr::memmem;

use super::candidate::{Candidate, ProgramPlace};
use super::tree::{SourceTree, is_executable};
use super::{ImportError, ImportReport, ImportRootfs, ImportTarget, Rejected, RejectionKind, program, write};
use crate::regular;
use crate::words::CommitId;

mod metadata;
mod needs;
mod runtest;

use metadata::{LtpMetadata, LtpTest};
use needs::LtpNeeds;
use runtest::Runtests;

/// Where its metadata are, in built and installed trees of several years.
const METADATA: [&str; 4] = ["metadata/ltp.json", "metadata/metadata.json", "docparse/metadata.json", "metadata.json"];

/// The most bytes of its metadata.
const METADATA_MAX: u64 = 64 << 20;

/// The most programs that a test runs.
const CHILDREN_MAX: usize = 20;

/// The folder of its tests.
const TESTCASES: &str = "testcases";

/// Parts of LTP's library that a program has, by the names of their sources, and modules that they need.
const MODULES: [(&[u8], &[&str]); 2] = [
    (b"tst_af_alg.c\0", &["af_alg", "algif_aead", "algif_hash", "algif_skcipher"]),
    (b"tst_crypto.c\0", &["crypto_user"]),
];

/// Headings of descriptions that say nothing.
const HEADINGS: [&str; 4] = ["[Description]", "\\[Description]", "[Algorithm]", "\\[Algorithm]"];

/// Which tests to import.
#[derive(Clone, Copy, Debug)]
pub struct LtpChoice<'a> {
    /// Only those of these CVEs, as `CVE-2017-8890`; empty means any.
    pub cves: &'a [String],
    /// Also those that name no commit and no CVE.
    pub all: bool,
    /// What tests get that run other programs, or make file systems.
    pub rootfs: Option<&'a Arc<ImportRootfs>>,
}

/// A built tree of LTP.
struct LtpTree {
    tree: SourceTree,
    metadata: LtpMetadata,
    runtests: Runtests,
    /// The executable files below [`TESTCASES`], by their names.
    programs: BTreeMap<String, Vec<PathBuf>>,
}

/// Imports the chosen tests.
///
/// # Errors
/// If the folder is no built tree of LTP, or the target cannot be written.
pub fn import(root: &Path, choice: LtpChoice<'_>, target: ImportTarget<'_>) -> Result<ImportReport, ImportError> {
    let ltp = LtpTree::open(root)?;
    let (chosen, others): (Vec<&LtpTest>, Vec<&LtpTest>) =
        ltp.metadata.tests.iter().partition(|test| is_chosen(test, choice));
    let is_named = |cve: &str| chosen.iter().any(|test| test.cves().any(|one| one.eq_ignore_ascii_case(cve)));
    let absent = choice.cves.iter().filter(|cve| !is_named(cve));
    let absent = absent.map(|cve| Err(Rejected::new(cve, RejectionKind::NoTest, "no test of this LTP names it")));
    let found = chosen.iter().flat_map(|test| ltp.candidates(test, choice.rootfs));
    let report = write("ltp", target, found.chain(absent))?;
    Ok(ImportReport { version: ltp.metadata.version.clone(), not_selected: others.len(), ..report })
}

fn is_chosen(test: &LtpTest, choice: LtpChoice<'_>) -> bool {
    if !choice.cves.is_empty() {
        return test.cves().any(|cve| choice.cves.iter().any(|chosen| chosen.eq_ignore_ascii_case(&cve)));
    }
    let names_a_bug = || ["linux-git", "linux-stable-git", "CVE"].iter().any(|tag| test.tags(tag).next().is_some());
    choice.all || names_a_bug()
}

impl LtpTree {
    fn open(root: &Path) -> Result<Self, ImportError> {
        let unusable = |why: String| ImportError::unusable(root, why);
        let tree = SourceTree::open(root)?;
        if !tree.has_folder(TESTCASES) {
            return Err(unusable(format!("it is not a tree of LTP: it has no folder {TESTCASES}")));
        }
        let Some((place, path)) = METADATA.iter().find_map(|place| Some((place, tree.file(place)?))) else {
            return Err(unusable(format!(
                "it has no metadata: expected {}; `make -C metadata` makes it",
                METADATA.join(" or ")
            )));
        };
        let bytes = regular::read(&path, METADATA_MAX).map_err(|error| unusable(format!("{place}: {error}")))?;
        let metadata = LtpMetadata::parse(&bytes).map_err(|why| unusable(format!("{place}: {why}")))?;
        let files = tree.files_below(TESTCASES).map_err(|error| unusable(format!("{TESTCASES}: {error}")))?;
        let mut programs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for file in files {
            let has_no_suffix = file.extension().is_none_or(|suffix| suffix != "sh" && suffix != "c");
            if let Some(name) = file.file_name().and_then(|name| name.to_str())
                && has_no_suffix
                && is_executable(&tree.root().join(&file))
            {
                programs.entry(name.to_owned()).or_default().push(file);
            }
        }
        let is_built = |test: &LtpTest| programs.contains_key(test.program());
        if !metadata.tests.iter().any(is_built) {
            return Err(unusable("no test is built: ./configure LDFLAGS=-static && make".to_owned()));
        }
        let mut runtests = Runtests::default();
        for file in tree.files_below("runtest").unwrap_or_default() {
            if let Ok(Some(text)) = tree.text(file, runtest::FILE_MAX) {
                runtests.add(&text);
            }
        }
        Ok(Self { tree, metadata, runtests, programs })
    }

    /// The dossiers of a test: one for each list of arguments.
    fn candidates(&self, test: &LtpTest, rootfs: Option<&Arc<ImportRootfs>>) -> Vec<Result<Candidate, Rejected>> {
        let candidate = match self.candidate(test, rootfs) {
            Ok(candidate) => candidate,
            Err(rejected) => return vec![Err(rejected)],
        };
        let entries = self.runtests.of(test.program());
        let with = |(number, entry): (usize, runtest::RuntestEntry)| {
            // The first is the test itself, under its own name.
            let id = if number == 0 { test.name.clone() } else { entry.name };
            Ok(Candidate { id, args: entry.args, ..candidate.clone() })
        };
        entries.into_iter().enumerate().map(with).collect()
    }

    fn candidate(&self, test: &LtpTest, rootfs: Option<&Arc<ImportRootfs>>) -> Result<Candidate, Rejected> {
        let rejected = |kind, why: &str| Err(Rejected::new(&test.name, kind, why));
        if test.source.ends_with(".sh") {
            return rejected(RejectionKind::Script, "a shell script: a guest has no interpreter");
        }
        let is_of_libc = ["glibc-git", "musl-git"].iter().any(|tag| test.tags(tag).next().is_some());
        let fixes = fixes(test);
        if is_of_libc && fixes.is_empty() && test.cves().next().is_none() {
            return rejected(RejectionKind::NotKernel, "about a bug of the C library");
        }
        let LtpNeeds { mut needs, of_rootfs, env, deadline, mut notes } =
            LtpNeeds::of(test, self.metadata.timeout, rootfs.map(Arc::as_ref))?;
        let path = self.program(test)?;
        let bytes = program::read(&test.name, &path)?;
        needs.mounts.extend(program::mounts(&bytes));
        needs.mounts.sort();
        needs.mounts.dedup();
        let of_library = MODULES.iter().filter(|(part, _)| memmem::find(&bytes, part).is_some());
        needs.modules.extend(of_library.flat_map(|(_, modules)| modules.iter().map(|module| (*module).to_owned())));
        needs.modules.sort();
        needs.modules.dedup();
        if test.has("taint_check") {
            notes.push("it fails if the kernel becomes tainted".to_owned());
        }
        let description = test.texts("doc").join("\n");
        let lines = || description.lines().map(str::trim).filter(|line| !line.is_empty() && !HEADINGS.contains(line));
        let title = lines().next().map(|line| line.trim_end_matches(':'));
        let title = title.map_or_else(|| format!("LTP {}", test.name), str::to_owned);
        let summary = if lines().next().is_some() { description.clone() } else { format!("LTP's test {}.", test.name) };
        Ok(Candidate {
            name: test.name.clone(),
            id: test.name.clone(),
            title,
            summary,
            references: references(test),
            fixes,
            place: ProgramPlace::Beside(test.program().to_owned()),
            files: self.beside(test, &path)?,
            program: path,
            rootfs: rootfs.filter(|_| of_rootfs).cloned(),
            protocol: ProgramProtocol::Ltp,
            crash: None,
            args: Vec::new(),
            env,
            needs,
            deadline,
            notes,
        })
    }

    /// The program of a test: beside its source, or where an installed tree has it.
    fn program(&self, test: &LtpTest) -> Result<PathBuf, Rejected> {
        let of_name = self.programs.get(test.program()).map_or(&[][..], Vec::as_slice);
        let beside = Path::new(&test.source).parent();
        let found = of_name.iter().find(|path| path.parent() == beside).or_else(|| of_name.first());
        found.and_then(|path| self.tree.file(path)).ok_or_else(|| {
            let why = format!("no executable {} below {TESTCASES}", test.program());
            Rejected::new(&test.name, RejectionKind::NotBuilt, why)
        })
    }

    /// The files that a test finds beside it: what it copies, and the programs that it runs.
    fn beside(&self, test: &LtpTest, program: &Path) -> Result<Vec<(PathBuf, String)>, Rejected> {
        let mut files = self.children(test, program);
        let folder = Path::new(&test.source).parent().unwrap_or(Path::new(""));
        for name in test.texts("resource_files") {
            // `lib/tst_resource.c` looks in these.
            let places = [folder.join("datafiles").join(name), folder.join(name)];
            let Some(path) = places.iter().find_map(|place| self.tree.file(place)) else {
                let why = format!("copies {name:.100}, which is not beside its source");
                return Err(Rejected::new(&test.name, RejectionKind::Files, why));
            };
            if files.iter().all(|(_, known)| known != name) {
                files.push((path, name.to_owned()));
            }
        }
        Ok(files)
    }

    /// The programs that a test runs, which are called after it. They are in its PATH.
    fn children(&self, test: &LtpTest, program: &Path) -> Vec<(PathBuf, String)> {
        let folder = program.parent().and_then(|folder| folder.strip_prefix(self.tree.root()).ok());
        let start = format!("{}_", test.program());
        let after = self.programs.range(start.clone()..).take_while(|(name, _)| name.starts_with(&start));
        let beside = |(name, paths): (&String, &Vec<PathBuf>)| {
            let path = paths.iter().find(|path| path.parent() == folder)?;
            Some((self.tree.file(path)?, name.clone()))
        };
        after.take(CHILDREN_MAX).filter_map(beside).collect()
    }
}

impl LtpTest {
    /// The name of its program.
    fn program(&self) -> &str {
        let file = self.source.rsplit('/').next().unwrap_or_default();
        file.strip_suffix(".c").unwrap_or(file)
    }
}

/// The upstream commits that fix the bug.
fn fixes(test: &LtpTest) -> Vec<CommitId> {
    let mut fixes: Vec<CommitId> = Vec::new();
    for commit in test.tags("linux-git").filter_map(|commit| commit.to_ascii_lowercase().parse().ok()) {
        if !fixes.contains(&commit) {
            fixes.push(commit);
        }
    }
    fixes
}

/// Further reading: the CVEs, commits of other repositories, and the test itself.
fn references(test: &LtpTest) -> Vec<String> {
    let of_tag = |tag: &'static str| test.tags(tag).map(move |value| format!("{tag} {value}"));
    let mut references: Vec<String> = test.cves().collect();
    references.extend(["linux-stable-git", "glibc-git", "musl-git", "known-fail"].into_iter().flat_map(of_tag));
    references.push(format!("LTP: {}", test.source));
    references
}
