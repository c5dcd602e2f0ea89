//! Scripts of packetdrill, each with the static program that runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backproof_protocol::ProgramProtocol;
use memchr::memmem;

use super::candidate::Candidate;
use super::names::{bug_id, one_line};
use super::{ImportError, ImportReport, ImportTarget, Rejected, RejectionKind, program, write};
use crate::matrix::Needs;
use crate::regular;

/// The most bytes of a script.
const SCRIPT_MAX: u64 = 1 << 20;

/// The most scripts.
const SCRIPTS_MAX: usize = 10_000;

/// The time limit of a script.
const DEADLINE: Duration = Duration::from_secs(60);

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
        program::read(&name, path).map_err(|rejected| ImportError::unusable(path, rejected.why))
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
    write("packetdrill", target, scripts.iter().map(|script| candidate(script, tools)))
}

fn candidate(script: &Path, tools: PacketdrillTools<'_>) -> Result<Candidate, Rejected> {
    let shown = script.display().to_string();
    let rejected = |kind, why: String| Rejected::new(&shown, kind, why);
    let bytes = regular::read(script, SCRIPT_MAX)
        .map_err(|error| rejected(RejectionKind::Malformed, format!("cannot read it: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("%{") {
        return Err(rejected(RejectionKind::Commands, "runs Python code (%{ … }%), which a guest lacks".to_owned()));
    }
    if let Some(command) = commands(&text).iter().find(|command| has_path(command)) {
        let why = format!("runs `{}`, which a guest lacks", one_line(command).chars().take(100).collect::<String>());
        return Err(rejected(RejectionKind::Files, why));
    }
    let stem = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let id = bug_id(&stem)
        .ok_or_else(|| rejected(RejectionKind::Malformed, "nothing of its name can name a bug".to_owned()))?;
    let script_name = format!("{id}.pkt");
    let mut files = vec![(script.to_owned(), script_name.clone())];
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
        program_name: "packetdrill".to_owned(),
        files,
        protocol: ProgramProtocol::Packetdrill,
        crash: None,
        args: vec![script_name],
        env: BTreeMap::new(),
        needs: Needs { modules: vec!["tun".to_owned()], config: vec!["CONFIG_TUN".to_owned()], ..Needs::default() },
        deadline: DEADLINE,
        notes: Vec::new(),
        name: shown,
    })
}

/// The shell commands of a script, which stand in backticks.
fn commands(text: &str) -> Vec<String> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//") && !line.trim_start().starts_with('#');
    let code = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    code.split('`').skip(1).step_by(2).flat_map(str::lines).map(str::to_owned).collect()
}

/// Whether a command runs a file, as `../common/defaults.sh`. `/proc` and `/sys` are there.
fn has_path(command: &str) -> bool {
    command.split_whitespace().any(|word| word.starts_with('.') && word.contains('/') || word.ends_with(".sh"))
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
