//! Shared by the integration tests: the program under test, and temporary folders.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub mod answers;
pub mod archive;
pub mod browser;
pub mod control_builds;
pub mod fake_source;
#[path = "../../src/kernel/fixtures.rs"]
#[allow(clippy::unwrap_used, reason = "shared with the unit tests, which may")]
pub mod fixtures;
pub mod guests;
pub mod kernel_history;
pub mod page_run;
pub mod rpms;
pub mod server;
#[path = "../../src/small_disk.rs"]
pub mod small_disk;
pub mod tiny_kernel;

/// A test's own folder for its matrix and results; kernels come from the user's cache.
pub struct Lab {
    pub dir: TempDir,
}

/// The program's exit and output.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Lab {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// With this matrix as kernels.yaml.
    pub fn with_matrix(matrix: &str) -> Self {
        let lab = Self::new();
        lab.write("kernels.yaml", matrix);
        lab
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    /// The program in this folder, without the terminal's colours. A `run` boots, also if another test had the same guest.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.cached_command(args);
        if args.first() == Some(&"run") {
            command.arg("--fresh");
        }
        command
    }

    /// The same, with the user's cache of boots.
    pub fn cached_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backproof"));
        command.args(args).current_dir(self.dir.path()).env("NO_COLOR", "1").env_remove("CI");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("the program starts"))
    }

    /// `run --accel tcg --format json` with more arguments: its exit, and its document if it printed one.
    pub fn judge(&self, args: &[&str]) -> (Ran, Value) {
        let ran = self.run(&[&["run", "--accel", "tcg", "--format", "json"], args].concat());
        let document = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
        (ran, document)
    }

    /// Builds the tests' own reproducer as `program`.
    pub fn build_program(&self) {
        self.build_static("program", "program");
    }

    /// Builds a program of `tests/own_programs`, statically linked, as `path`.
    pub fn build_static(&self, name: &str, path: &str) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/own_programs/{name}.rs"));
        let flags = ["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"];
        let built = Command::new("rustc").args(flags).arg(self.path(path)).arg(source).status().expect("rustc");
        assert!(built.success());
    }

    /// A file of the newest run's folder.
    pub fn result(&self, name: &str) -> PathBuf {
        self.path("results/latest").join(name)
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test with everything that was printed, unless it ended with `code`.
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Self {
        assert!(self.code == code, "ended with {} and not {code}\n{}\n{}", self.code, self.stdout, self.stderr);
        self
    }

    /// Fails the test unless stderr has all these words.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "stderr does not say `{word}`:\n{}", self.stderr);
        }
        self
    }
}

/// A record of the cache, as backproof writes it below the cache's folder: with the sha256 of its name and content.
pub fn sealed(below: &str, json: &str) -> String {
    let seal = Sha256::new().chain_update(below).chain_update([0]).chain_update(json).finalize();
    let seal: String = seal.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"seal\":\"{seal}\",{}", json.strip_prefix('{').expect("an object"))
}

/// The one cell of a document with this kernel and bug.
#[track_caller]
pub fn cell<'a>(document: &'a Value, kernel: &str, bug: &str) -> &'a Value {
    let cells = document["cells"].as_array().unwrap_or_else(|| panic!("no cells in {document}"));
    let found = cells.iter().find(|c| c["kernel"] == kernel && c["bug"] == bug);
    found.unwrap_or_else(|| panic!("no cell {kernel} {bug} in {document:#}"))
}

/// A matrix with one kernel from Debian 12, with more keys of that kernel.
pub fn debian_12(more: &str) -> String {
    format!(
        "bugs: [tcp-fragment-stall, syn-cookie-data-loss]\nexpect: {{ syn-cookie-data-loss: fail }}\nkernels:\n  \
         - name: debian-12\n    apt: {{ package: linux-image-cloud-amd64, suite: bookworm }}\n{more}"
    )
}

/// Processes that descend from `root`, by their names.
pub fn descendants(root: u32) -> Vec<(u32, String)> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        let name = head.split_once('(').map_or("", |(_, name)| name).to_owned();
        let parent = tail.split_whitespace().nth(1).and_then(|p| p.parse::<u32>().ok());
        parents.push((pid, parent.unwrap_or(0), name));
    }
    let mut found = Vec::new();
    let mut todo = vec![root];
    while let Some(parent) = todo.pop() {
        for (pid, _, name) in parents.iter().filter(|(_, p, _)| *p == parent) {
            todo.push(*pid);
            found.push((*pid, name.clone()));
        }
    }
    found
}

/// Whether a process exists and is not a zombie.
pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, tail)| !tail.trim_start().starts_with('Z')))
        .unwrap_or(false)
}

/// A package named after a release that stalls, with so many useless bytes.
pub fn stalling_package(padding: usize) -> Vec<u8> {
    let padding: Vec<u8> = (0..padding).map(|at| (at * 7 + at / 256) as u8).collect();
    fixtures::deb(&fixtures::tar(&[("./boot/vmlinuz-4.19.57", &fixtures::bzimage("4.19.57")), ("./usr/x", &padding)]))
}
