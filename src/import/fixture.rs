//! Small trees of others' formats, for the tests. The guest's agent stands for each static program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guest::AGENT;

/// A folder with files.
pub(super) struct Fixture {
    pub(super) dir: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    /// An executable file.
    pub(super) fn executable(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        path
    }

    /// A static program.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.executable(name, AGENT)
    }

    pub(super) fn to(&self) -> PathBuf {
        self.path("to")
    }

    /// A tree of LTP with these tests, whose programs are built.
    pub(super) fn ltp(&self, tests: &Value) -> PathBuf {
        let metadata = json!({
            "testsuite": { "name": "Linux Test Project", "short_name": "LTP", "version": "20260529" },
            "defaults": { "timeout": 30 },
            "tests": tests,
        });
        self.write("ltp/metadata/ltp.json", metadata.to_string());
        for test in tests.as_object().expect("tests").values() {
            let source = test["fname"].as_str().expect("a source");
            match source.strip_suffix(".c") {
                Some(program) => drop(self.program(&format!("ltp/{program}"))),
                None => drop(self.executable(&format!("ltp/{source}"), "#!/bin/sh\n")),
            }
        }
        self.path("ltp")
    }
}

/// The text of a file.
pub(super) fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a text")
}
