//! The kernel's own selftests: an installed folder, or a built `tools/testing/selftests`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backproof_protocol::ProgramProtocol;

use super::candidate::{Candidate, DEADLINE_MAX, ProgramPlace};
use super::tree::SourceTree;
use super::{ImportError, ImportReport, ImportRootfs, ImportTarget, Rejected, RejectionKind, kconfig, program, write};
use crate::guest::{GuestProgram, Rootfs};
use crate::matrix::Needs;

/// The list of an installed folder: a line `COLLECTION:TEST` for each test.
const LIST: &str = "kselftest-list.txt";

/// Where a kernel's source has them.
const IN_KERNEL: &str = "tools/testing/selftests";

/// The most bytes of a list, a Makefile, a configuration.
const TEXT_MAX: u64 = 4 << 20;

/// The most tests.
const TESTS_MAX: usize = 20_000;

/// The time limit of a test whose folder names none (`kselftest/runner.sh`).
const TIMEOUT: u64 = 45;

/// The variables of a Makefile that name tests (`lib.mk`).
const VARIABLES: [&str; 2] = ["TEST_GEN_PROGS", "TEST_PROGS"];

/// The shell of a rootfs, and how it runs a test in the test's own folder, as `kselftest/runner.sh` does.
const SHELL: &str = "/bin/sh";
const IN_ITS_FOLDER: &str = "cd \"$0\" && exec \"$@\"";

/// A test: its collection, which is its folder, and its name.
type Test = (String, String);

/// A rootfs in which the tests are installed.
struct InstalledIn<'a> {
    rootfs: &'a Arc<ImportRootfs>,
    /// Their folder there.
    folder: String,
}

/// Imports all tests. With a rootfs, in which they must be installed, they run there, and scripts are tests, too.
///
/// # Errors
/// If the folder is neither form or not in the rootfs, or the target cannot be written.
pub fn import(
    root: &Path,
    rootfs: Option<&Arc<ImportRootfs>>,
    target: ImportTarget<'_>,
) -> Result<ImportReport, ImportError> {
    let below = root.join(IN_KERNEL);
    let root = if below.is_dir() { &below } else { root };
    let tree = SourceTree::open(root)?;
    let unusable = |why: String| ImportError::unusable(root, why);
    let installed = match rootfs {
        Some(rootfs) => Some(InstalledIn::of(&tree, rootfs).map_err(unusable)?),
        None => None,
    };
    let tests = match tree.text(LIST, TEXT_MAX) {
        Ok(Some(list)) => listed(&list),
        Ok(None) if tree.file("lib.mk").is_some() => {
            built(&tree).map_err(|error| unusable(format!("cannot read its Makefiles: {error}")))?
        }
        Ok(None) => {
            let why = format!("it has neither {LIST} (`make kselftest-install` makes it) nor lib.mk ({IN_KERNEL})");
            return Err(unusable(why));
        }
        Err(error) => return Err(unusable(format!("{LIST}: {error}"))),
    };
    if tests.is_empty() {
        return Err(unusable("it lists no test".to_owned()));
    }
    if tests.len() > TESTS_MAX {
        return Err(unusable(format!("it lists more than {TESTS_MAX} tests")));
    }
    write("kselftest", target, tests.iter().map(|test| candidate(&tree, test, installed.as_ref())))
}

/// The tests of an installed folder's list.
fn listed(list: &str) -> BTreeSet<Test> {
    let test = |line: &str| line.trim().split_once(':').map(|(folder, name)| (folder.to_owned(), name.to_owned()));
    list.lines().filter_map(test).collect()
}

/// The tests of the Makefiles of a built tree.
fn built(tree: &SourceTree) -> std::io::Result<BTreeSet<Test>> {
    let mut tests = BTreeSet::new();
    for file in tree.files_below("")? {
        let Some(folder) = file.parent().and_then(Path::to_str).filter(|folder| !folder.is_empty()) else { continue };
        if file.file_name().is_some_and(|name| name == "Makefile")
            && let Some(text) = tree.text(&file, TEXT_MAX)?
        {
            tests.extend(named(&text).into_iter().map(|name| (folder.to_owned(), name)));
        }
    }
    Ok(tests)
}

/// The tests that a Makefile names. Names that make would compute are left out.
fn named(makefile: &str) -> BTreeSet<String> {
    let joined = makefile.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut names = BTreeSet::new();
    for line in joined.lines() {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        let Some((variable, values)) = line.split_once('=') else { continue };
        let variable = variable.trim_end_matches([':', '+', '?', ' ', '\t']).trim();
        if VARIABLES.contains(&variable) {
            let is_plain = |word: &&str| !word.contains(['$', '(', ')', '%', ':']);
            names.extend(values.split_whitespace().filter(is_plain).map(str::to_owned));
        }
    }
    names
}

impl<'a> InstalledIn<'a> {
    fn of(tree: &SourceTree, rootfs: &'a Arc<ImportRootfs>) -> Result<Self, String> {
        let path = rootfs.path().display();
        if !rootfs.path().is_dir() {
            return Err(format!("the rootfs {path} is a file: unpack it, and install the tests below that folder"));
        }
        let Some(folder) = rootfs.place_of(tree.root()) else {
            return Err(format!(
                "it is not below the rootfs {path}: make -C {IN_KERNEL} install INSTALL_PATH={path}/opt/kselftest"
            ));
        };
        if Rootfs::hides(&folder) {
            return Err(format!("a guest has a {folder} of its own: install the tests elsewhere in the rootfs"));
        }
        GuestProgram::inside(rootfs.files(), SHELL)
            .map_err(|why| format!("the rootfs {path} has no shell to start a test with: {why}"))?;
        Ok(Self { rootfs, folder })
    }

    /// The folder of a test there, and its own name.
    fn place<'t>(&self, (folder, name): &'t Test) -> (String, &'t str) {
        let (below, name) = name.rsplit_once('/').unwrap_or(("", name));
        let parts = [self.folder.as_str(), folder, below].map(|part| part.trim_matches('/'));
        (parts.iter().filter(|part| !part.is_empty()).map(|part| format!("/{part}")).collect(), name)
    }

    /// The bytes of a test.
    fn read(&self, shown: &str, test: &Test) -> Result<&[u8], Rejected> {
        let (folder, name) = self.place(test);
        let path = format!("{folder}/{name}");
        let kind = if self.rootfs.files().has(&path) { RejectionKind::Unfit } else { RejectionKind::NotBuilt };
        GuestProgram::inside(self.rootfs.files(), &path).map_err(|why| Rejected::new(shown, kind, why))
    }

    /// How the shell runs a test.
    fn args(&self, test: &Test) -> Vec<String> {
        let (folder, name) = self.place(test);
        vec!["-c".to_owned(), IN_ITS_FOLDER.to_owned(), folder, format!("./{name}")]
    }
}

fn candidate(tree: &SourceTree, test: &Test, installed: Option<&InstalledIn<'_>>) -> Result<Candidate, Rejected> {
    let (folder, name) = test;
    let shown = format!("{folder}:{name}");
    let below = PathBuf::from(folder).join(name);
    let not_built = || Rejected::new(&shown, RejectionKind::NotBuilt, "no such file in its folder");
    let is_below = !name.is_empty() && below.components().all(|part| matches!(part, Component::Normal(_)));
    let (path, bytes) = match installed {
        Some(installed) if is_below => (tree.root().join(&below), installed.read(&shown, test)?.to_owned()),
        Some(_) => return Err(not_built()),
        None => {
            let path = tree.file(&below).ok_or_else(not_built)?;
            let bytes = program::read(&shown, &path)?;
            (path, bytes)
        }
    };
    let text = |file: &str| tree.text(PathBuf::from(folder).join(file), TEXT_MAX).ok().flatten().unwrap_or_default();
    let config: Vec<String> = kconfig::fragment(&text("config")).into_iter().collect();
    let modules = kconfig::modules(&config);
    // The file is for all tests of the folder, and no test needs all of it. An option with a module is needed by most.
    let (config, others): (Vec<String>, Vec<String>) =
        config.into_iter().partition(|option| !kconfig::modules([option]).is_empty());
    let needs = Needs { modules, config, mounts: program::mounts(&bytes), ..Needs::default() };
    let notes = if others.is_empty() { Vec::new() } else { vec![format!("not required: {}", others.join(", "))] };
    let (place, args) = match installed {
        Some(installed) => (ProgramPlace::Rootfs(SHELL), installed.args(test)),
        None => (ProgramPlace::Beside(name.rsplit('/').next().unwrap_or(name).to_owned()), Vec::new()),
    };
    Ok(Candidate {
        id: format!("{folder}-{name}"),
        title: format!("kselftest {folder}: {name}"),
        summary: format!("The kernel's own test {name} of {folder} fails."),
        references: vec![format!("{IN_KERNEL}/{folder}: {name}")],
        fixes: Vec::new(),
        program: path,
        place,
        files: Vec::new(),
        rootfs: installed.map(|installed| installed.rootfs.clone()),
        protocol: ProgramProtocol::Ktap,
        crash: None,
        args,
        env: BTreeMap::new(),
        needs,
        deadline: timeout(&text("settings")),
        notes,
        name: shown,
    })
}

/// The time limit of a folder's settings; 0 means none.
fn timeout(settings: &str) -> Duration {
    let value = |line: &str| line.trim().strip_prefix("timeout=").and_then(|value| value.trim().parse().ok());
    match settings.lines().find_map(value).unwrap_or(TIMEOUT) {
        0 => DEADLINE_MAX,
        seconds => Duration::from_secs(seconds).min(DEADLINE_MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tests_are_named_by_lists_and_makefiles() {
        let tests: Vec<Test> = listed("net:tls\nnet/forwarding:a.sh\n\nnoise\n").into_iter().collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(tests, [pair("net", "tls"), pair("net/forwarding", "a.sh")]);
        let makefile = "TEST_PROGS := a.sh \\\n\tb.sh # old.sh\nTEST_GEN_PROGS = c $(X) d_%\nTEST_GEN_PROGS += e\n\
                        TEST_GEN_FILES = helper\nTEST_PROGS_EXTENDED := f\n";
        assert_eq!(named(makefile).into_iter().collect::<Vec<_>>(), ["a.sh", "b.sh", "c", "e"]);
    }

    #[test]
    fn settings_give_the_time_limit() {
        for (settings, seconds) in
            [("", 45), ("timeout=90\n", 90), ("# x\ntimeout=0\n", 3600), ("timeout=99999999", 3600), ("timeout=x", 45)]
        {
            assert_eq!(timeout(settings).as_secs(), seconds, "{settings}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "(TEST_PROGS|[:+?=\\\\\n #$a-c]|timeout=){0,30}|[\\s\\S]{0,80}") {
            let _ = (listed(&text), named(&text), timeout(&text));
        }
    }
}
