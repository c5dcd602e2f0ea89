//! Selects the files of a folder to read, and derives a file's namespace.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::command::ShellCommand;

/// The most files of one folder to read.
pub const MAX_FILES: usize = 400;

/// The most entries of one folder to list: a sosreport's log folder can have tens of thousands.
const MAX_ENTRIES: usize = 20_000;

/// The name of the machine's own namespace.
pub const HOST: &str = "host";

/// Paths of a sosreport that can hold wanted outputs; for a folder, the files in it and in its subfolders.
const PLACES: [&str; 12] = [
    "uname",
    "proc/version",
    "proc/net/netstat",
    "proc/self/net/netstat",
    "proc/net/tcp",
    "proc/net/tcp6",
    "proc/self/net/tcp",
    "proc/self/net/tcp6",
    "sos_commands/networking",
    "sos_commands/networkmanager",
    "sos_commands/kernel",
    "sos_commands/host",
];

/// Commands whose outputs are read in a sosreport: file names begin with them, after the name of a namespace.
const COMMANDS: [&str; 6] = ["uname", "netstat", "nstat", "ss", "sysctl", "dmesg"];

/// The selected files of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedFiles {
    /// The folder that represents the other machine's root.
    pub root: PathBuf,
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// Whether there were more.
    pub cut: bool,
}

/// Finds the files of a folder: a sosreport's (or that of a folder that contains one), or all files in the folder itself.
///
/// # Errors
/// If the folder cannot be read.
pub fn find(folder: &Path) -> io::Result<SavedFiles> {
    let whole = folder.canonicalize()?;
    let entries = sorted(&whole)?;
    let is_report = |path: &Path| path.join("sos_commands").is_dir();
    let root = match entries.iter().filter(|path| is_report(path)).collect::<Vec<_>>()[..] {
        _ if is_report(&whole) => whole.clone(),
        [only] => only.canonicalize()?,
        _ => {
            let files = entries.into_iter().filter(|path| path.is_file());
            return Ok(bounded(whole.clone(), files.collect()));
        }
    };
    let mut files = Vec::new();
    for place in PLACES {
        gather(&root.join(place), 3, &mut files);
    }
    Ok(bounded(root, files))
}

/// The first of the files, without links that lead out of the folder.
fn bounded(root: PathBuf, files: Vec<PathBuf>) -> SavedFiles {
    let inside = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path.starts_with(&root));
    let mut files: Vec<PathBuf> = files.into_iter().filter(inside).collect();
    let cut = files.len() > MAX_FILES;
    files.truncate(MAX_FILES);
    SavedFiles { root, files, cut }
}

fn gather(path: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let is_link = path.symlink_metadata().is_ok_and(|data| data.is_symlink());
    // A link to a folder could lead round in circles.
    if path.is_dir() && !is_link && depth > 0 {
        sorted(path).unwrap_or_default().iter().for_each(|path| gather_below(path, depth - 1, files));
    } else if path.is_file() {
        files.push(path.to_owned());
    }
}

fn gather_below(path: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    if path.is_dir() || is_output(name) {
        gather(path, depth, files);
    }
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.take(MAX_ENTRIES).flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Whether to read a file of an archive, by its path there: for a sosreport the same as in its folder, else those at
/// the top or in one folder.
pub fn is_wanted(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| *part != ".").collect();
    if parts.iter().any(|part| part.is_empty() || *part == "..") {
        return false;
    }
    let (Some((name, folders)), Some((_, below))) = (parts.split_last(), parts.split_first()) else { return false };
    let below = below.join("/");
    let is_in = |place: &str| below.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'));
    let is_place =
        PLACES.iter().any(|place| below == *place || (place.starts_with("sos_") && is_in(place) && is_output(name)));
    let is_report = below.starts_with("sos_") || below.starts_with("proc/") || below.starts_with("sys/");
    is_place || (folders.len() <= 1 && !is_report)
}

/// Whether a file's name begins with a command whose output is read.
fn is_output(name: &str) -> bool {
    let command = in_namespace(name).map_or(name, |(_, command)| command);
    COMMANDS.iter().any(|known| command.split(['_', '.']).next() == Some(known))
}

/// The command that a report's file is named after, behind the name of a namespace.
pub fn command_of(file: &str) -> Option<ShellCommand> {
    ShellCommand::of_file(in_namespace(file).map_or(file, |(_, command)| command))
}

/// The namespace of a file: sosreport puts names of `ip netns` in the file's name.
pub fn namespace_of(file: &str) -> String {
    in_namespace(file)
        .map_or_else(|| HOST.to_owned(), |(name, _)| format!("netns {}", name.chars().take(64).collect::<String>()))
}

/// `ip_netns_exec_<name>_<command>`: the name, and the command.
fn in_namespace(file: &str) -> Option<(&str, &str)> {
    let rest = file.strip_prefix("ip_netns_exec_")?;
    let at = COMMANDS.iter().filter_map(|command| rest.rfind(&format!("_{command}_"))).max()?;
    Some((&rest[..at], &rest[at + 1..])).filter(|(name, _)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_is_named_by_its_file() {
        for (file, expected) in [
            ("netstat_-s", "host"),
            ("ip_netns_exec_blue_netstat_-s", "netns blue"),
            ("ip_netns_exec_qrouter_ss_1_ss_-peaonmi", "netns qrouter_ss_1"),
            ("ip_netns_exec_", "host"),
        ] {
            assert_eq!(namespace_of(file), expected, "{file}");
        }
    }

    #[test]
    fn archives_are_read_where_a_report_has_its_outputs() {
        for (path, expected) in [
            ("sosreport-h/sos_commands/networking/ss_-peaonmi", true),
            ("sosreport-h/sos_commands/networking/namespaces/blue/ip_netns_exec_blue_netstat_-s", true),
            ("sosreport-h/sos_commands/kernel/uname_-a", true),
            ("./sosreport-h/proc/net/tcp", true),
            ("sosreport-h/proc/version", true),
            ("scc_h/network.txt", true),
            ("ss.txt", true),
            ("sosreport-h/sos_commands/networking/ip_addr", false),
            ("sosreport-h/proc/1/net/tcp", false),
            ("sosreport-h/var/log/messages", false),
            ("a/../../ss.txt", false),
            ("/ss.txt", false),
            ("", false),
        ] {
            assert_eq!(is_wanted(path), expected, "{path}");
        }
    }

    #[test]
    fn report_files_are_found_without_links_out_of_it() {
        let top = tempfile::tempdir().expect("a temporary folder");
        let root = top.path().join("sosreport-h");
        for (path, text) in [
            ("sos_commands/networking/netstat_-s", "x"),
            ("sos_commands/networking/ip_link", "x"),
            ("sos_commands/kernel/uname_-a", "x"),
            ("proc/net/netstat", "x"),
            ("var/log/messages", "x"),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        std::os::unix::fs::symlink("sos_commands/kernel/uname_-a", root.join("uname")).expect("linked");
        std::os::unix::fs::symlink("/proc/version", root.join("proc/version")).expect("linked");
        std::os::unix::fs::symlink(&root, root.join("sos_commands/networking/ss_loop")).expect("linked");
        let found = find(top.path()).expect("files");
        let names: Vec<_> = found.files.iter().filter_map(|f| f.strip_prefix(&found.root).ok()?.to_str()).collect();
        let expected =
            ["uname", "proc/net/netstat", "sos_commands/networking/netstat_-s", "sos_commands/kernel/uname_-a"];
        assert_eq!(names, expected);
    }
}
