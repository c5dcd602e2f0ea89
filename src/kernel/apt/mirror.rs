//! Asks the mirror for the kernel packages of a suite, and fetches them.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::child::{self, Output};
use super::error::AptError;
use super::index::{self, Served};
use super::place::Place;
use super::sources::Archive;
use super::system::System;
use crate::kernel::clock;
use crate::kernel::compression::{self, Compression};
use crate::kernel::file_error::FileError;
use crate::kernel::obtain::Obtain;
use crate::kernel::progress::Progress;
use crate::kernel::quoted::Quoted;

/// The kernel packages of one suite on a mirror.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SuiteIndex {
    /// Seconds since 1970.
    pub fetched: u64,
    pub packages: Vec<Served>,
}

/// The most bytes of one suite's unpacked list of packages; Debian's largest has 65 MB.
const MAX_LIST: u64 = 1 << 30;

/// apt's folder for a suite. apt's configuration cannot express every path.
pub(super) fn folder(place: &Place, with: &Obtain) -> Result<PathBuf, FileError> {
    let folder = with.store.path("apt").join(place.id());
    if folder.to_str().is_none_or(|p| p.contains(['"', '\n', '\\'])) {
        let problem = "has a name that apt cannot use: expected no quotes and valid UTF-8";
        return Err(FileError::unusable("the cache folder", &folder, problem));
    }
    Ok(folder)
}

/// Has apt fetch the suite's lists, verified by the mirror's signature, and reads them.
pub(super) fn refresh(place: &Place, with: &Obtain) -> Result<SuiteIndex, AptError> {
    (with.tell)(Progress::Refreshing { suite: place.suite().to_owned() });
    let system = System::read(with)?;
    let archives = place.served_by(&system)?;
    let folder = folder(place, with)?;
    let configuration = system.configure(&folder, with)?;
    with.store.write_text(&folder.join("status"), "")?;
    let stanzas: String = archives.iter().map(Archive::stanza).collect();
    with.store.write_text(&folder.join("sources/backproof.sources"), &stanzas)?;

    let fetched = clock::now();
    // Without this, network failures are only warnings, and old lists pass for new ones.
    let args = ["update", "-q", "-o", "APT::Update::Error-Mode=any"];
    let output = child::run("apt-get", &args, Some(&configuration), with, |_| {})?;
    judge(&output, &archives, &folder)?;
    let mut packages = Vec::new();
    for (at, archive) in archives.iter().enumerate() {
        let lists = lists(&folder.join("lists"), archive)?;
        // Not every suite has updates and a security archive.
        if lists.is_empty() && at == 0 {
            let doing = format!("refresh the index of {}", place.suite());
            let detail = format!("apt fetched no list of packages from {}: {}", archive.uri, output.complaint());
            return Err(AptError::Failed { doing, detail });
        }
        for file in lists {
            packages.extend(read_list(&file, &archive.uri)?);
        }
    }
    Ok(SuiteIndex { fetched, packages })
}

/// The meaning of apt-get's output. The suite's own archive comes first, then those that it may lack.
fn judge(output: &Output, archives: &[Archive], folder: &Path) -> Result<(), AptError> {
    let Some(main) = archives.first() else { return Ok(()) };
    let doing = format!("refresh the index of {}", main.suite);
    if output.stderr.contains("No space left on device") {
        return Err(FileError::DiskFull { path: folder.to_owned() }.into());
    }
    for (failed, reason) in errors(&output.stdout) {
        // "Err:3 http://… sid InRelease": the number means nothing to people.
        let what = failed.split_once(' ').map_or(failed, |(_, what)| what);
        let detail = format!("{}: {}", Quoted::of(what.as_bytes()), Quoted::of(reason.as_bytes()));
        if !is_missing(reason) {
            return Err(AptError::Network { doing, detail });
        }
        if suite_of(failed) == Some(main.suite.as_str()) {
            let (suite, mirror) = (main.suite.clone(), main.uri.clone());
            return Err(AptError::UnknownSuite { suite, mirror, detail: Quoted::of(reason.as_bytes()).to_string() });
        }
    }
    let explained = ["does not have a Release file", "Failed to fetch", "Some index files failed"];
    let unexplained = |l: &&str| l.starts_with("E:") && !explained.iter().any(|e| l.contains(e));
    if output.stderr.lines().any(|l| unexplained(&l)) {
        return Err(AptError::Failed { doing, detail: output.complaint() });
    }
    if output.status.code() == Some(0) || errors(&output.stdout).next().is_some() {
        return Ok(());
    }
    Err(AptError::Failed { doing, detail: output.complaint() })
}

/// The `Err:` lines of apt's output, each with the line of its reason.
fn errors(stdout: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut lines = stdout.lines().peekable();
    std::iter::from_fn(move || {
        let failed = lines.by_ref().find(|l| l.starts_with("Err:"))?;
        let reason = lines.next_if(|l| l.starts_with(' ')).unwrap_or_default();
        Some((failed, reason.trim()))
    })
}

/// Whether the server answered that it does not have the file: HTTP's 404 and 410, or a local mirror's missing file.
fn is_missing(reason: &str) -> bool {
    // The last is from the method `copy`.
    ["404 ", "410 ", "File not found", "does not have a Release file", "No such file or directory"]
        .iter()
        .any(|m| reason.starts_with(m) || reason.contains(m))
}

/// The suite in `Err:3 http://mirror/debian sid/main amd64 Packages`.
fn suite_of(failed: &str) -> Option<&str> {
    failed.split(' ').nth(2)?.split('/').next()
}

/// An archive's lists of packages among apt's files: their names end with the suite and the component.
fn lists(folder: &Path, archive: &Archive) -> Result<Vec<PathBuf>, FileError> {
    // A slash in the suite's name is an underscore in its file's name.
    let suite = archive.suite.replace('/', "_");
    let ends: Vec<String> =
        archive.components().iter().map(|name| format!("_dists_{suite}_{name}_binary-amd64_Packages")).collect();
    let reading = |e| FileError::io("read", folder, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let is =
            |end: &String| [".xz", ".gz", ""].iter().any(|s| name.strip_suffix(s).is_some_and(|n| n.ends_with(end)));
        if ends.iter().any(is) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_list(file: &Path, base: &str) -> Result<Vec<Served>, FileError> {
    let how = match file.extension().and_then(|e| e.to_str()) {
        Some("xz") => Compression::Xz,
        Some("gz") => Compression::Gzip,
        _ => Compression::None,
    };
    let read = || -> io::Result<_> {
        let unpacked = compression::reader(how, File::open(file)?, MAX_LIST)?;
        index::read(BufReader::with_capacity(128 << 10, unpacked), base)
    };
    read().map_err(|e| FileError::io("read", file, e))
}

/// Fetches a package into `target`. apt compares it with the sha256 from the signed index.
pub(super) fn fetch(served: &Served, place: &Place, target: &Path, with: &Obtain) -> Result<(), AptError> {
    let tell = |percent: f64| {
        // The percentage is of everything that this child fetches, which is one file.
        let done = (served.size as f64 * (percent / 100.0).clamp(0.0, 1.0)) as u64;
        let (package, total) = (served.name.clone(), Some(served.size));
        (with.tell)(Progress::Fetching { package, done, total, speed: None });
    };
    tell(0.0);
    let folder = folder(place, with)?;
    // The lease keeps `gc` away.
    let _use = with.store.share(&format!("apt-use-{}", place.id()))?;
    // The proxy may have changed since the index was fetched.
    let configuration = System::read(with)?.configure(&folder, with)?;
    let hash = format!("SHA256:{}", served.sha256);
    let target_text = target.to_string_lossy();
    let args = ["-q", "-o", "APT::Status-Fd=1", "download-file", &served.uri, &target_text, &hash];
    let output = child::run(child::APT_HELPER, &args, Some(&configuration), with, |line| {
        // apt's README.progress-reporting: `dlstatus:<item>:<percent>:<text>`.
        let percent = line.strip_prefix("dlstatus:").and_then(|l| l.split(':').nth(1)?.parse().ok());
        percent.into_iter().for_each(tell);
    })?;
    if output.status.success() && target.is_file() {
        tell(100.0);
        return Ok(());
    }
    if output.stderr.contains("No space left on device") {
        return Err(FileError::DiskFull { path: target.to_owned() }.into());
    }
    let doing = format!("fetch {}", served.uri);
    let reason = errors(&output.stdout).last().map(|(_, reason)| reason.to_owned());
    let missing = reason.as_deref().is_some_and(is_missing);
    let detail = reason.filter(|r| !r.is_empty()).unwrap_or_else(|| output.complaint());
    Err(if missing { AptError::Superseded { doing, detail } } else { AptError::Network { doing, detail } })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;
    use crate::kernel::apt::sources;
    use crate::kernel::error_class::ClassedError as _;

    fn judged(stdout: &str, stderr: &str, code: i32) -> Result<(), AptError> {
        let archives =
            sources::one_line("deb http://m.example/debian sid main\ndeb http://m.example/debian sid-updates main\n");
        let status = ExitStatus::from_raw(code << 8);
        let output = Output { status, stdout: stdout.to_owned(), stderr: stderr.to_owned() };
        judge(&output, &archives, Path::new("/store"))
    }

    #[test]
    fn apt_distinguishes_missing_suites_from_network_failures() {
        let missing = "Ign:1 http://m.example/debian sid InRelease\nErr:2 http://m.example/debian sid Release\n  404  Not Found [IP: 1.2.3.4 80]\n";
        let release = "E: The repository 'http://m.example/debian sid Release' does not have a Release file.\n";
        let error = judged(missing, release, 100).unwrap_err();
        assert!(error.is_gone(), "{error}");

        let extra = missing.replace("sid ", "sid-updates ");
        assert!(judged(&extra, &release.replace("sid ", "sid-updates "), 100).is_ok());

        let refused =
            "Err:1 http://m.example/debian sid-updates InRelease\n  Could not connect to m.example:80 (1.2.3.4).\n";
        for (stdout, code) in
            [(refused.to_owned(), 100), (refused.replace("-updates", ""), 100), (refused.to_owned(), 0)]
        {
            let error = judged(&stdout, "W: Failed to fetch http://m.example\n", code).unwrap_err();
            assert!(matches!(error, AptError::Network { .. }), "{error}");
        }
        assert!(judged("Get:1 http://m.example/debian sid InRelease\n", "", 0).is_ok());
    }

    #[test]
    fn apt_errors_are_passed_on() {
        let unsigned =
            "W: GPG error: x NO_PUBKEY 0E98404D386FA1D9\nE: The repository 'x sid InRelease' is not signed.\n";
        let error = judged("", unsigned, 100).unwrap_err();
        assert!(error.to_string().contains("NO_PUBKEY") && !error.is_gone(), "{error}");
        assert!(matches!(judged("", "", 100), Err(AptError::Failed { .. })));
        let full = "E: write, No space left on device\n";
        assert!(matches!(judged("", full, 100), Err(AptError::File(FileError::DiskFull { .. }))));
    }
}
