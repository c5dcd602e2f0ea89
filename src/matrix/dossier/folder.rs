//! A folder of a user's own dossiers.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::Problems;
use super::super::fields;
use super::super::file;
use super::reproducer::Owner;
use super::{BUILT_IN, Bug, Bugs, check};

/// The most dossiers of a folder.
pub const DOSSIERS_MAX: usize = 10_000;

/// A folder of dossiers with mistakes, for each file with mistakes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct BadDossiers(pub Vec<Problems>);

impl Bugs {
    /// Adds the bugs of every `*.yaml` in a folder, in the order of their names.
    ///
    /// # Errors
    /// If the folder cannot be read or has no dossiers; all mistakes of all its files; a duplicate name.
    pub fn with_folder(mut self, folder: &Path) -> Result<Self, BadDossiers> {
        let whole = |message: String| BadDossiers(vec![Problems::of_file(folder.to_owned(), message)]);
        let (files, misnamed) =
            dossiers(folder).map_err(|error| whole(format!("cannot read the folder of dossiers: {error}")))?;
        if files.is_empty() && misnamed.is_empty() {
            return Err(whole(
                "this folder has no dossiers: expected files named *.yaml (docs/dossiers.md)".to_owned(),
            ));
        }
        if files.len() > DOSSIERS_MAX {
            return Err(whole(format!("this folder has {} files: expected at most {DOSSIERS_MAX}", files.len())));
        }
        let mut wrong: Vec<Problems> = misnamed.into_iter().map(not_read).collect();
        for path in files {
            match read(&path, &self) {
                Ok(bug) => self.0.push(bug),
                Err(problems) => wrong.push(problems),
            }
        }
        if wrong.is_empty() { Ok(self) } else { Err(BadDossiers(wrong)) }
    }

    /// Adds a bug.
    ///
    /// # Errors
    /// If another has its name.
    pub fn with(mut self, bug: Bug) -> Result<Self, String> {
        self.require_new(&bug)?;
        self.0.push(bug);
        Ok(self)
    }

    fn require_new(&self, bug: &Bug) -> Result<(), String> {
        if BUILT_IN.iter().any(|(name, _)| *name == bug.id.as_str()) {
            return Err(format!("the bug `{}` is built in: rename yours, and its file", bug.id));
        }
        match self.get(&bug.id) {
            Some(_) => Err(format!("another folder has a dossier for `{}`: rename this one", bug.id)),
            None => Ok(()),
        }
    }
}

/// The folder's dossiers, and misnamed files that look like dossiers, each sorted by name.
fn dossiers(folder: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut misnamed) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Editors put backup files with a leading dot next to a file.
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        match path.extension().and_then(OsStr::to_str).filter(|_| !hidden) {
            Some("yaml") => files.push(path),
            Some("yml" | "json") => misnamed.push(path),
            _ => {}
        }
    }
    files.sort();
    misnamed.sort();
    Ok((files, misnamed))
}

/// The mistake of a misnamed file.
fn not_read(path: PathBuf) -> Problems {
    let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
    // Reading a FIFO would block.
    let message = match is_file.then(|| file::bytes(&path)) {
        Some(Ok(bytes)) if check::is_cve_record(&bytes) => check::CVE_RECORD,
        _ => "this file would be ignored: rename it to *.yaml, or move it elsewhere",
    };
    Problems::of_file(path, message.to_owned())
}

/// A dossier to add to these bugs.
fn read(path: &Path, known: &Bugs) -> Result<Bug, Problems> {
    let of_file = |message| Problems::of_file(path.to_owned(), message);
    // Reading a FIFO would block.
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Err(of_file("not a regular file: expected a dossier".to_owned()));
    }
    let bytes = file::bytes(path).map_err(|error| of_file(format!("cannot read the dossier: {error}")))?;
    let bug = check::read(&bytes, path, Owner::User(fields::folder_of(path)))?;
    // The name is that of the file, so this concerns the whole file.
    known.require_new(&bug).map_err(of_file)?;
    Ok(bug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Matrix, parse};

    const GOOD: &str = "id: mine\ntitle: A bug\nsummary: It goes wrong.\nreferences: [a page]\n\
                        reproducer: { program: bin/repro, deadline: 30s }\n";

    const RECORD: &str = r#"{ "containers": { "cna": {} }, "cveMetadata": { "cveId": "CVE-2024-36904" } }"#;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    }

    #[test]
    fn dossiers_of_a_folder_follow_the_built_in_ones() {
        let other = GOOD.replace("mine", "another");
        let files =
            [("mine.yaml", GOOD), ("another.yaml", &other), ("README.md", "-"), (".#mine.yaml", "-"), (".x.yml", "-")];
        let folder = folder(&files);
        let bugs = Bugs::built_in().with_folder(folder.path()).expect("dossiers");
        let names: Vec<&str> = bugs.iter().skip(BUILT_IN.len()).map(|bug| bug.id.as_str()).collect();
        assert_eq!(names, ["another", "mine"]);
        let reproducer = bugs.iter().last().and_then(|bug| bug.reproducer.clone()).expect("a reproducer");
        assert_eq!(reproducer.own().map(|own| own.path.clone()), Some(folder.path().join("bin/repro")));
    }

    #[test]
    fn bad_folder_lists_all_mistakes_of_all_files() {
        let taken = GOOD.replace("mine", "tcp-fragment-stall");
        let two = [("a.yaml", GOOD), ("b.yaml", "id: b\n"), ("tcp-fragment-stall.yaml", &taken), ("c.yaml", "\u{1b}")];
        for (files, expected) in [
            (&[][..], &["this folder has no dossiers"][..]),
            (
                &[("a.yaml", GOOD), ("CVE-2024-36904.json", RECORD), ("b.yml", GOOD), ("c.json", "{}")],
                &[
                    "CVE-2024-36904.json: this is a CVE record, not a dossier",
                    "b.yml: this file would be ignored: rename it to *.yaml",
                    "c.json: this file would be ignored",
                ],
            ),
            (&[("CVE-2024-36904.yaml", RECORD)], &["this is a CVE record, not a dossier"]),
            (
                &two,
                &[
                    "a.yaml:1:5: this bug's file is named `a`",
                    "b.yaml:1:1: the key `title` is missing here",
                    "c.yaml:1:1: the character U+001B is not allowed",
                    "the bug `tcp-fragment-stall` is built in: rename yours, and its file",
                ],
            ),
        ] {
            let folder = folder(files);
            let said = Bugs::built_in().with_folder(folder.path()).map_err(|error| error.to_string());
            let Err(said) = said else { panic!("{files:?} is a folder of dossiers") };
            assert!(expected.iter().all(|part| said.contains(part)), "{said}");
        }
        let odd = folder(&[("mine.yaml", GOOD)]);
        fs::create_dir(odd.path().join("folder.yaml")).expect("a folder");
        std::os::unix::fs::symlink("nowhere", odd.path().join("link.yaml")).expect("a link");
        let said = Bugs::built_in().with_folder(odd.path()).map_err(|error| error.to_string());
        assert!(said.is_err_and(|said| said.matches("not a regular file").count() == 2));
        let gone = Bugs::built_in().with_folder(Path::new("no-such-folder")).map_err(|error| error.to_string());
        assert!(matches!(&gone, Err(said) if said.starts_with("no-such-folder: cannot read the folder of dossiers")));
        let good = folder(&[("mine.yaml", GOOD)]);
        let twice = Bugs::built_in().with_folder(good.path()).and_then(|bugs| bugs.with_folder(good.path()));
        assert!(twice.is_err_and(|error| error.to_string().contains("another folder has a dossier for `mine`")));
    }

    #[test]
    fn matrix_knows_the_bugs_of_its_dossier_folder() {
        let good = folder(&[("mine.yaml", GOOD)]);
        let read = |dossiers: &Path| -> Result<Matrix, String> {
            let text = format!("dossiers: {}\nbugs: [mine]\nkernels: [{{ name: a, tree: b }}]\n", dossiers.display());
            parse(&text, Path::new("m.yaml"), &Bugs::built_in()).map_err(|problems| problems.to_string())
        };
        let matrix = read(good.path()).expect("a matrix");
        assert_eq!(matrix.kernels[0].bugs, matrix.bugs);
        assert!(matrix.known.get(&matrix.bugs[0]).is_some());
        let bad = folder(&[("mine.yaml", "id: mine\n")]);
        let said = read(bad.path()).expect_err("no matrix");
        assert!(said.contains("mine.yaml:1:1: the key `title` is missing here"), "{said}");
        assert!(said.contains("m.yaml:1:11: cannot use these dossiers: see above"), "{said}");
        assert!(!said.contains("unknown bug"), "{said}");
    }
}
