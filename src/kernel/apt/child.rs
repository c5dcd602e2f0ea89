//! Runs apt's programs with a private configuration: with its own sources, state and cache, it needs no root, and
//! leaves the system's alone.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::error::AptError;
use crate::child::{self, Patient};
use crate::kernel::file_error::FileError;
use crate::kernel::obtain::Obtain;
use crate::kernel::quoted::Quoted;

/// Downloads one file by apt's own methods (proxies, mirrors' credentials), without reading an index. Part of the
/// package `apt` since 1.1.
pub(super) const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// A child's output is cut at this many bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// A child's longest life: a whole download over a slow line.
const LIFETIME: Duration = Duration::from_secs(4 * 60 * 60);

/// A child's longest silence. apt gives up on a server after 30 s, and reports each download's progress.
const SILENCE: Duration = Duration::from_secs(10 * 60);

/// A child's output.
pub(super) struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The last words of stderr (or the status), for people.
    pub(super) fn complaint(&self) -> String {
        let lines = self.stderr.lines().map(str::trim).filter(|l| l.starts_with("E:") || l.starts_with("W:"));
        let said = lines.map(|l| Quoted::of(l.as_bytes()).to_string()).collect::<Vec<_>>().join("; ");
        if said.is_empty() { format!("{}: {}", self.status, Quoted::of(self.stderr.trim().as_bytes())) } else { said }
    }
}

/// Runs `program`, and hands each line of its stdout to `line` as it arrives.
pub(super) fn run(
    program: &'static str,
    args: &[&str],
    configuration: Option<&Path>,
    with: &Obtain,
    mut line: impl FnMut(&str),
) -> Result<Output, AptError> {
    let path = find(program).ok_or(AptError::NoApt { program })?;
    let failed = |e| FileError::io("run", &path, e);
    let mut command = with.shim.command(&path);
    command.args(args).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match configuration {
        Some(file) => command.env("APT_CONFIG", file),
        None => &mut command,
    };
    let until = Instant::now() + LIFETIME;
    let mut child = command.spawn().map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut output, mut is_late) = (String::new(), false);
    let errors = std::thread::scope(|scope| {
        // Both are read concurrently, because a child that fills one pipe would wait for ever.
        let errors = scope.spawn(|| {
            let mut bytes = Vec::new();
            let Some(stderr) = stderr else { return bytes };
            // The child may be silent here, so only its lifetime is limited.
            let mut stderr = Patient::new(stderr, LIFETIME, Some(until));
            let _ = (&mut stderr).take(MAX_OUTPUT).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            bytes
        });
        let mut lines = stdout.map(|stdout| BufReader::new(Patient::new(stdout, SILENCE, Some(until))));
        let mut bytes = Vec::new();
        while let Some(lines) = &mut lines {
            bytes.clear();
            match lines.take(MAX_OUTPUT).read_until(b'\n', &mut bytes) {
                Ok(0) => break,
                Err(_) => {
                    // The child was silent for too long. Its other pipe closes, too.
                    let _ = child.kill();
                    is_late = true;
                    break;
                }
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&bytes);
            line(text.trim_end());
            if output.len() as u64 + text.len() as u64 <= MAX_OUTPUT {
                output.push_str(&text);
            }
        }
        errors.join().unwrap_or_default()
    });
    let status = child::reap(&mut child, until.min(Instant::now() + SILENCE)).map_err(failed)?;
    let Some(status) = status.filter(|_| !is_late) else {
        let detail = format!("it said nothing for {} minutes and was killed", SILENCE.as_secs() / 60);
        return Err(AptError::Failed { doing: format!("run {}", path.display()), detail });
    };
    Ok(Output { status, stdout: output, stderr: String::from_utf8_lossy(&errors).into_owned() })
}

fn find(program: &'static str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An absolute name replaces the folder that it is joined to.
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The system's configuration: names and values, in order (`apt-config dump`).
pub(super) fn system_configuration(with: &Obtain) -> Result<Vec<(String, String)>, AptError> {
    let output = run("apt-config", &["dump"], None, with, |_| {})?;
    if !output.status.success() {
        return Err(AptError::Failed { doing: "read apt's configuration".to_owned(), detail: output.complaint() });
    }
    Ok(dump(&output.stdout))
}

fn dump(text: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let (name, value) = line.strip_suffix("\";")?.split_once(" \"")?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

/// The private configuration for one suite, whose files are in `folder`.
///
/// apt doesn't read the system's own configuration, so none of its hooks runs. Settings of the network and the keys are
/// passed on.
pub(super) fn private_configuration(system: &[(String, String)], folder: &Path) -> String {
    let kept = |name: &str| {
        let keys = [
            "Dir",
            "Dir::Etc",
            "Dir::Etc::netrc",
            "Dir::Etc::netrcparts",
            "Dir::Etc::trusted",
            "Dir::Etc::trustedparts",
        ];
        let ours = ["IndexTargets", "Languages", "GzipIndexes", "PDiffs", "CompressionTypes", "Changelogs", "By-Hash"];
        match name.strip_prefix("Acquire::") {
            Some(rest) => !ours.iter().any(|o| rest.starts_with(o)),
            None => keys.contains(&name),
        }
    };
    let line = |name: &str, value: &str| format!("{name} \"{value}\";\n");
    let passed_on = system.iter().filter(|(name, value)| kept(name) && !value.contains('"'));
    let mut text: String = passed_on.map(|(name, value)| line(name, value)).collect();
    let at = |below: &str| folder.join(below).display().to_string();
    for (name, value) in [
        ("Dir::Etc::main", "/dev/null".to_owned()),
        ("Dir::Etc::parts", "/dev/null".to_owned()),
        ("Dir::Etc::sourcelist", "/dev/null".to_owned()),
        ("Dir::Etc::sourceparts", at("sources")),
        ("Dir::Etc::preferences", "/dev/null".to_owned()),
        ("Dir::Etc::preferencesparts", "/dev/null".to_owned()),
        ("Dir::State", at("")),
        ("Dir::State::lists", at("lists")),
        ("Dir::State::status", at("status")),
        ("Dir::Cache", at("cache")),
        ("Dir::Cache::pkgcache", String::new()),
        ("Dir::Cache::srcpkgcache", String::new()),
        ("Dir::Log", at("log")),
        // backproof reads the few relevant packages itself, because apt's index of all packages takes seconds.
        ("pkgCacheFile::Generate", "false".to_owned()),
        ("APT::Architecture", "amd64".to_owned()),
        ("APT::Architectures::", "amd64".to_owned()),
        // As root, apt would switch to a user who cannot write here; for other users this has no effect.
        ("APT::Sandbox::User", "root".to_owned()),
        ("Acquire::Languages", "none".to_owned()),
        // Without a network, apt's three tries take 7 s, and the recorded index may be good enough.
        ("Acquire::Retries", "1".to_owned()),
        ("Acquire::PDiffs", "false".to_owned()),
        // Store the lists as they arrive, without recompressing them.
        ("Acquire::IndexTargets::deb::Packages::KeepCompressed", "true".to_owned()),
        ("Acquire::IndexTargets::deb::Packages::KeepCompressedAs", "xz".to_owned()),
    ] {
        text += &line(name, &value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_configuration_keeps_network_settings_and_drops_hooks() {
        let system = dump(
            "Acquire \"\";\nAcquire::http::Proxy \"http://proxy.example:3128\";\nAcquire::IndexTargets::deb::DEP-11 \"\";\n\
             APT::Update::Post-Invoke:: \"rm -f x\";\nDir::Etc \"etc/apt\";\nDir::State \"var/lib/apt\";\n\
             Acquire::GzipIndexes \"true\";\nbroken line\nAcquire::Check-Valid-Until \"false\";\n",
        );
        let text = private_configuration(&system, Path::new("/store/apt/sid"));
        let passed_on: Vec<_> = text.lines().take(3).collect();
        assert_eq!(
            passed_on,
            [
                "Acquire::http::Proxy \"http://proxy.example:3128\";",
                "Dir::Etc \"etc/apt\";",
                "Acquire::Check-Valid-Until \"false\";",
            ]
        );
        assert!(!text.contains("Invoke") && !text.contains("GzipIndexes"));
        assert!(text.contains("Dir::State \"/store/apt/sid/\";"));
    }
}
