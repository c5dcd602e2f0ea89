//! The README is correct: all its commands run, in order, in one folder, as a newcomer would type them.
//!
//! Commands follow `$ ` in ```console blocks. Their output there is an example. They must exit with 0, or with the
//! number in the block's info string (```console exit=1). This test's server replaces kernel.example.
#![expect(clippy::disallowed_macros, reason = "a test prints for people who watch it")]

use std::fs;
use std::path::Path;
use std::process::Command;

mod common;
use common::fake_source::{FIX, FakeSource};
use common::server::{Answer, Server};
use common::{Lab, Ran, stalling_package};

struct Block {
    exit: i32,
    commands: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(info) = line.strip_prefix("```") {
            inside = !inside && info.starts_with("console");
            if inside {
                let exit = info.split("exit=").nth(1).map_or(0, |n| n.trim().parse().expect("an exit code"));
                blocks.push(Block { exit, commands: Vec::new() });
            }
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            blocks.last_mut().expect("a block").commands.push(command.to_owned());
        }
    }
    blocks
}

#[test]
fn every_command_of_the_readme_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    assert!(!readme.contains("@@"), "README.md has a place that was never filled");
    let lab = Lab::with_matrix(&fs::read_to_string(root.join("kernels.yaml")).expect("kernels.yaml"));
    let bin = Path::new(env!("CARGO_BIN_EXE_backproof")).parent().expect("a folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let server = Server::new();
    server.on("/linux-image-4.19.57.deb", [Answer::file(stalling_package(1000), "\"1\"")]);
    // The kernel of the command that proves a patch.
    let source = FakeSource::behaving(lab.dir.path(), "tcp-fragment-stall");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let done = Command::new("git").arg("-C").arg(source.path()).args(identity).args(arguments).status();
        assert!(done.expect("git").success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "a release"]);
    git(&["tag", "v6.1.56"]);
    lab.write("fix.patch", FIX);
    let mut ran = 0;
    for block in blocks(&readme) {
        for command in &block.commands {
            let mut shell = Command::new("bash");
            if let Some(target) = command.strip_prefix("make ") {
                // `make test` runs this test, so make only shows what it would do.
                shell.current_dir(root).args(["-c", &format!("make -n {target}")]);
            } else if command.starts_with("git ") || command.starts_with("cd ") {
                continue;
            } else {
                let here = command.replace("https://kernel.example", &server.at(""));
                if here != *command || command.contains(" prove ") {
                    // No other run may use files from here.
                    shell.env("BACKPROOF_CACHE", lab.path("cache")).env("no_proxy", "127.0.0.1");
                }
                shell.current_dir(lab.dir.path()).args(["-c", &here]);
            }
            let output = shell.env("PATH", &path).env("NO_COLOR", "1").output().expect("bash");
            println!("$ {command}");
            let exit = if command.starts_with("make ") { 0 } else { block.exit };
            Ran::of(output).ends_with(exit);
            ran += 1;
        }
    }
    assert!(ran >= 8, "only {ran} commands were found: has README's form changed?");
}
