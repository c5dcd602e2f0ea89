//! Stands in for modprobe in a guest: writes down which modules the kernel requests, and loads none. The controller has the
//! modules, and boots the guest again with those that a program's system calls made the kernel request.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::OFlags;

use crate::sut::sysctl;

/// The program to which the kernel is sent, which is this one.
const AGENT: &str = "/init";

/// The file of the requests, in the file system of process 1: the kernel's helpers run there, whatever a program's root is.
const REQUESTS: &str = "/backproof/requests";

/// The arguments that come before the module's name (`call_modprobe` of kernel/module/kmod.c).
pub const ARGUMENTS: [&str; 2] = ["-q", "--"];

/// The longest name (`MODULE_NAME_LEN` of include/linux/module.h is 56 on 64-bit kernels).
const NAME_MAX: usize = 56;

/// The most names to tell for one job, and the most bytes of the file: a program may make the kernel request for ever.
const NAMES_MAX: usize = 128;
const FILE_MAX: u64 = 16 << 10;

/// Writes down a request of the kernel. It fails like a modprobe that finds no such module.
pub fn record(name: &str) -> ExitCode {
    let known = read(Path::new(REQUESTS)).unwrap_or_default();
    if is_name(name)
        && !String::from_utf8_lossy(&known).lines().any(|line| line == name)
        && let Ok(mut file) = open(Path::new(REQUESTS), OpenOptions::new().append(true).create(true))
        && file.metadata().is_ok_and(|about| about.len() < FILE_MAX)
    {
        // One write, because the kernel may run several helpers at once.
        let _ = file.write_all(format!("{name}\n").as_bytes());
    }
    ExitCode::FAILURE
}

/// Whether the kernel's requests are written down.
#[derive(Debug)]
pub struct ModuleRequests(());

impl ModuleRequests {
    /// From now on, whatever earlier programs and the cleaning after them did. None if this kernel requests no modules, or
    /// cannot be told whom to ask.
    pub fn listen() -> Option<Self> {
        clear(Path::new(REQUESTS));
        sysctl::write("kernel.modprobe", AGENT).ok().map(Self)
    }

    /// The modules that were requested since then, each once, in order.
    pub fn take(self) -> Vec<String> {
        let text = read(Path::new(REQUESTS)).unwrap_or_default();
        names(&String::from_utf8_lossy(&text))
    }
}

/// Makes place for the next requests. Nothing is there if nothing was requested, and a program may have made it a folder.
fn clear(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir_all(path);
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open(path, OpenOptions::new().read(true))?.take(2 * FILE_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// Opens the file. A program is root, and may have put a pipe or a link in its place, on which this process would wait.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("no regular file")) }
}

/// The names in the file. A program may write anything there.
fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in text.lines().filter(|name| is_name(name)) {
        if names.len() < NAMES_MAX && names.iter().all(|known| known != name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_modules_each_once() {
        let text = format!("net-pf-21\nfs-ext4\nnet-pf-21\n\na b\n\u{1b}[2J\n{}\n", "x".repeat(57));
        assert_eq!(names(&text), ["net-pf-21", "fs-ext4"]);
        let many: String = (0..200).map(|number| format!("m{number}\n")).collect();
        assert_eq!(names(&many).len(), NAMES_MAX);
    }

    #[test]
    fn only_a_regular_file_is_read_and_anything_cleared() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "net-pf-21\n").expect("a file");
        std::os::unix::fs::symlink(path("file"), path("link")).expect("a link");
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a pipe");
        assert_eq!(read(&path("file")).expect("a text"), b"net-pf-21\n");
        for other in ["link", "pipe", "gone", ""] {
            assert!(read(&path(other)).is_err(), "{other}");
            assert!(
                other.is_empty() || other == "gone" || open(&path(other), OpenOptions::new().append(true)).is_err()
            );
        }
        fs::create_dir_all(path("full/of/folders")).expect("folders");
        for name in ["file", "link", "pipe", "full", "gone"] {
            clear(&path(name));
            assert!(path(name).symlink_metadata().is_err(), "{name}");
        }
    }
}
