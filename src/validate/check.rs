//! Whether a kernel still is what a document was written about.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kernel::{BUILT_IMAGE, sha256_of};
use crate::regular;

/// The largest document to read, in bytes.
const LARGEST: u64 = 16 << 20;

/// The most files that a document may name.
const MOST: usize = 1_000;

/// Whether a file is one of those that a document is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCheck {
    /// The document.
    pub document: PathBuf,
    /// The file.
    pub file: PathBuf,
    /// Its sha256 now.
    pub sha256: String,
    /// The name that the document has for it, if it is one of its files.
    pub is: Option<String>,
    /// The files of the document: name and sha256.
    pub files: Vec<(String, String)>,
}

/// A check that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file cannot be read.
    #[error("cannot read {path}: {cause}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why. The message has it.
        cause: io::Error,
    },
    /// The document is no JSON.
    #[error("{path} is no document of `backproof validate`: {why}; expected validation.json, an in-toto statement or an OpenVEX document", path = path.display())]
    Format {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The folder has no built kernel.
    #[error("{path} has no {BUILT_IMAGE}: name a file, or a built tree", path = path.display())]
    NotBuilt {
        /// The folder.
        path: PathBuf,
    },
}

/// Compares a file, or the image of a built tree, with the sha256 in a document.
///
/// # Errors
/// If one of them cannot be read, or the document names no files.
pub fn check(document: &Path, file: &Path) -> Result<FileCheck, CheckError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |cause| CheckError::Io { path, cause }
    };
    let format = |why: String| CheckError::Format { path: document.to_owned(), why };
    let bytes = regular::read(document, LARGEST).map_err(io(document))?;
    let files = files_in(&bytes).map_err(format)?;
    let file = if file.is_dir() {
        let image = file.join(BUILT_IMAGE);
        if !image.is_file() {
            return Err(CheckError::NotBuilt { path: file.to_owned() });
        }
        image
    } else {
        file.to_owned()
    };
    let (sha256, _) = regular::open(&file).and_then(|mut open| sha256_of(&mut open)).map_err(io(&file))?;
    let is = files.iter().find(|(_, known)| known.eq_ignore_ascii_case(&sha256)).map(|(name, _)| name.clone());
    Ok(FileCheck { document: document.to_owned(), file, sha256, is, files })
}

/// The files that a document is about: name and sha256.
///
/// # Errors
/// What is wrong with it.
pub fn files_in(document: &[u8]) -> Result<Vec<(String, String)>, String> {
    let document: Value = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    let document = &document;
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, path: &[&str]| -> Option<String> {
        path.iter().try_fold(value, |at, key| at.get(key))?.as_str().map(str::to_owned)
    };
    let of = |value: &Value, name: &str, sha256: &[&str]| Some((text(value, &[name])?, text(value, sha256)?));
    let subjects = list(document, "subject");
    let own = document.get("candidate").map(|candidate| list(candidate, "files")).unwrap_or_default();
    let products: Vec<Value> =
        list(document, "statements").iter().flat_map(|statement| list(statement, "products")).collect();
    let found = subjects.iter().filter_map(|subject| of(subject, "name", &["digest", "sha256"]));
    let found = found.chain(own.iter().filter_map(|file| of(file, "name", &["sha256"])));
    let found = found.chain(products.iter().filter_map(|product| of(product, "@id", &["hashes", "sha-256"])));
    let mut files: Vec<(String, String)> = found.take(MOST).collect();
    files.dedup();
    if files.is_empty() { Err("it names no sha256".to_owned()) } else { Ok(files) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_of_each_kind_of_document_are_found() {
        let sum = "a".repeat(64);
        for document in [
            format!(r#"{{"subject":[{{"name":"x","digest":{{"sha256":"{sum}"}}}}]}}"#),
            format!(r#"{{"candidate":{{"files":[{{"name":"x","sha256":"{sum}"}}]}}}}"#),
            format!(r#"{{"statements":[{{"products":[{{"@id":"x","hashes":{{"sha-256":"{sum}"}}}}]}}]}}"#),
        ] {
            assert_eq!(files_in(document.as_bytes()), Ok(vec![("x".to_owned(), sum.clone())]), "{document}");
            // A document that was cut is none.
            assert!(files_in(&document.as_bytes()[..document.len() - 1]).is_err());
        }
        for other in ["", "[]", "{}", r#"{"subject":[{"name":"x"}]}"#, r#"{"subject":{"name":"x"}}"#, "7"] {
            assert!(files_in(other.as_bytes()).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = files_in(&bytes);
        }
    }
}
