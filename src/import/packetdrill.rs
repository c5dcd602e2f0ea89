//! Scripts of packetdrill, each with the static program that runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use backproof_protocol::ProgramProtocol;
use memchr::memmem;

use super::candidate::{Candidate, ProgramPlace};
use super::names::{bug_id, one_line};
use super::{ImportError, ImportReport, ImportTarget, Rejected, RejectionKind, program, write};
use crate::matrix::Needs;
use crate::regular;

/// The most bytes of a script.
const SCRIPT_MAX: u64 = 1 << 20;

/// How many folders above its own a script may name.
const ABOVE_MAX: usize = 4;

/// The most scripts.
const SCRIPTS_MAX: usize = 10_000;

/// The time limit of a script.
const DEADLINE: Duration = Duration::from_secs(60);

/// How late a packet may be: an emulated guest is slower than the machines that scripts are written for.
const TOLERANCE: &str = "--tolerance_usecs=40000";

/// The names under which the shell stands beside packetdrill: it runs `ip` in `sh`, and scripts run `sysctl`.
const SHELL_NAMES: [&str; 3] = ["sh", "ip", "sysctl"];

/// The programs that scripts need.
#[derive(Clone, Copy, Debug)]
pub struct PacketdrillTools<'a> {
    /// A static packetdrill.
    pub packetdrill: &'a Path,
    /// A static busybox, which gives packetdrill a shell.
    pub shell: Option<&'a Path>,
}

/// Imports scripts.
///
/// # Errors
/// If packetdrill or the shell cannot run in a guest, or the target cannot be written.
pub fn import(
    scripts: &[PathBuf],
    tools: PacketdrillTools<'_>,
    target: ImportTarget<'_>,
) -> Result<ImportReport, ImportError> {
    let check = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        program::read(&name, path)
            .and_then(|bytes| program::check(&name, &bytes, None).map(|()| bytes))
            .map_err(|rejected| ImportError::unusable(path, rejected.why))
    };
    let bytes = check(tools.packetdrill)?;
    let needs_shell = memmem::find(&bytes, b"/bin/sh\0").is_some();
    if let Some(shell) = tools.shell {
        check(shell)?;
    }
    if scripts.len() > SCRIPTS_MAX {
        return Err(ImportError::unusable(tools.packetdrill, format!("more than {SCRIPTS_MAX} scripts are named")));
    }
    if needs_shell && tools.shell.is_none() {
        let why = "it runs `ip` in a shell, which a guest lacks: name a static busybox with --shell";
        return Err(ImportError::unusable(tools.packetdrill, why));
    }
    let folder =
        tempfile::tempdir().map_err(|source| ImportError::Unwritable { path: std::env::temp_dir(), source })?;
    let numbered = scripts.iter().enumerate();
    let all = numbered.map(|(number, script)| candidate(script, &folder.path().join(number.to_string()), tools));
    write("packetdrill", target, all)
}

/// The dossier of a script, which is written anew to the file `changed`.
fn candidate(script: &Path, changed: &Path, tools: PacketdrillTools<'_>) -> Result<Candidate, Rejected> {
    let shown = script.display().to_string();
    let rejected = |kind, why: String| Rejected::new(&shown, kind, why);
    let unreadable = |error: io::Error| rejected(RejectionKind::Malformed, format!("cannot read it: {error}"));
    let bytes = regular::read(script, SCRIPT_MAX).map_err(unreadable)?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if text.contains("%{") {
        return Err(rejected(RejectionKind::Commands, "runs Python code (%{ … }%), which a guest lacks".to_owned()));
    }
    let mut files = Vec::new();
    let words: BTreeSet<String> = commands(&text)
        .iter()
        .flat_map(|command| command.split(|c: char| c.is_whitespace() || c == ';'))
        .filter(|word| is_file(word))
        .map(str::to_owned)
        .collect();
    for word in words {
        let found = beside(script, &word).filter(|(_, name)| files.iter().all(|(_, known)| known != name));
        let Some((path, name)) = found else {
            let why = format!("runs {:.100}, which is not there, or of another name in a guest", one_line(&word));
            return Err(rejected(RejectionKind::Files, why));
        };
        // All files of a program are in one folder, and only a shell can run them.
        text = in_commands(&text, |command| with_word(command, &word, &name));
        // The names of all files are different.
        let copy = changed.with_extension(files.len().to_string());
        let bytes = regular::read(&path, SCRIPT_MAX).map_err(unreadable)?;
        fs::write(&copy, without_qdisc(&String::from_utf8_lossy(&bytes))).map_err(unreadable)?;
        files.push((copy, name));
    }
    fs::write(changed, &text).map_err(unreadable)?;
    let stem = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let id = bug_id(&stem)
        .ok_or_else(|| rejected(RejectionKind::Malformed, "nothing of its name can name a bug".to_owned()))?;
    let script_name = format!("{id}.pkt");
    files.push((changed.to_owned(), script_name.clone()));
    files.extend(tools.shell.into_iter().flat_map(|shell| SHELL_NAMES.map(|name| (shell.to_owned(), name.to_owned()))));
    Ok(Candidate {
        id: id.to_string(),
        title: title(&text).unwrap_or_else(|| format!("packetdrill {stem}")),
        summary: format!(
            "packetdrill's script {stem} sees packets, or results of system calls, that it does not expect."
        ),
        references: vec![format!("packetdrill: {stem}")],
        fixes: Vec::new(),
        program: tools.packetdrill.to_owned(),
        place: ProgramPlace::Beside("packetdrill".to_owned()),
        files,
        rootfs: None,
        protocol: ProgramProtocol::Packetdrill,
        crash: None,
        args: vec![TOLERANCE.to_owned(), script_name],
        env: BTreeMap::new(),
        needs: Needs { modules: vec!["tun".to_owned()], config: vec!["CONFIG_TUN".to_owned()], ..Needs::default() },
        deadline: DEADLINE,
        notes: Vec::new(),
        name: shown,
    })
}

/// The text with its shell commands, which stand in backticks, changed.
fn in_commands(text: &str, change: impl Fn(&str) -> String) -> String {
    let part = |(at, part): (usize, &str)| if at % 2 == 1 { change(part) } else { part.to_owned() };
    text.split('`').enumerate().map(part).collect::<Vec<_>>().join("`")
}

/// A command that runs this file by its name, in a shell. Only whole words are the file.
fn with_word(command: &str, word: &str, name: &str) -> String {
    let mut last = "";
    let mut changed = String::new();
    for piece in command.split_inclusive(|c: char| c.is_whitespace() || c == ';') {
        let own = piece.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
        if own == word {
            let run = if last == "sh" { name.to_owned() } else { format!("sh {name}") };
            changed += &run;
            changed += &piece[own.len()..];
        } else {
            changed += piece;
        }
        last = if own.is_empty() { last } else { own };
    }
    changed
}

/// The shell commands of a script, which stand in backticks.
fn commands(text: &str) -> Vec<String> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//") && !line.trim_start().starts_with('#');
    let code = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    code.split('`').skip(1).step_by(2).flat_map(str::lines).map(str::to_owned).collect()
}

/// Whether a word of a command is a file beside the script, as `../common/defaults.sh`.
fn is_file(word: &str) -> bool {
    word.ends_with(".sh") || word.ends_with(".py") || word.starts_with('.') && word.contains('/')
}

/// The file that a script runs, and its name. None if it is no shell script in a folder nearby.
fn beside(script: &Path, word: &str) -> Option<(PathBuf, String)> {
    let above = Path::new(word).components().filter(|part| matches!(part, Component::ParentDir)).count();
    let is_near = Path::new(word).is_relative() && above <= ABOVE_MAX && word.ends_with(".sh");
    let path = script.parent().filter(|_| is_near)?.join(word).canonicalize().ok()?;
    let bytes = regular::read(&path, SCRIPT_MAX).ok()?;
    let name = path.file_name()?.to_str()?.to_owned();
    (bytes.starts_with(b"#!") && path.extension().is_some_and(|suffix| suffix == "sh")).then_some((path, name))
}

/// A shell script without the line by which many set the queue of packetdrill's device: busybox's tc cannot do that, and
/// the usual queue of a guest does not delay packets, either.
fn without_qdisc(text: &str) -> String {
    let is_kept = |line: &&str| !line.trim_start().starts_with("tc qdisc add dev tun0 root pfifo");
    text.lines().filter(is_kept).fold(String::new(), |kept, line| kept + line + "\n")
}

/// The first comment of a script.
fn title(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let comment = line.strip_prefix("//").or_else(|| line.strip_prefix('#')).or_else(|| line.strip_prefix("/*"))?;
    let comment = comment.trim_matches(['/', '*', '#', ' ']).to_owned();
    (!comment.is_empty() && !comment.starts_with("SPDX")).then_some(comment)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_words_of_commands_are_files() {
        let text = "// ./x.sh\n`./x.sh; sh ./x.sh a; ./bx.sh`\n+0 `./x.sh`";
        let changed = in_commands(text, |command| with_word(command, "./x.sh", "x.sh"));
        assert_eq!(changed, "// ./x.sh\n`sh x.sh; sh x.sh a; ./bx.sh`\n+0 `sh x.sh`");
    }

    #[test]
    fn commands_and_titles_of_scripts_are_found() {
        let script = "// Test of SACK\n`sysctl -q a=1\nip link`\n0 socket(...) = 3\n0.1 `../common/x.sh`\n";
        assert_eq!(commands(script), ["sysctl -q a=1", "ip link", "../common/x.sh"]);
        assert_eq!(title(script).as_deref(), Some("Test of SACK"));
        assert_eq!((title("0 socket()"), title("// SPDX-License: x"), title("")), (None, None, None));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "([`/#*% \n]|a|\\PC){0,60}") {
            let _ = (commands(&text), title(&text));
        }
    }
}
