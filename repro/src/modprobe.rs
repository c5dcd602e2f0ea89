//! Stands in for modprobe in a guest: writes down which modules the kernel requests, and loads none. The controller has the
//! modules, and boots the guest again with those that a program's system calls made the kernel request.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::sut::sysctl;

/// The program to which the kernel is sent: this one, also if its file is gone. Every program is root.
const AGENT: &str = "/proc/1/exe";

/// The file of the requests. Process 1 has it open, and nothing else: what has no name cannot be replaced by a program.
const REQUESTS: &str = "/backproof/requests";

/// Its name as a link of /proc shows it (proc_pid_fd(5)).
const UNLINKED: &str = "/backproof/requests (deleted)";

/// The arguments that come before the module's name (`call_modprobe` of kernel/module/kmod.c).
pub const ARGUMENTS: [&str; 2] = ["-q", "--"];

/// The longest name (`MODULE_NAME_LEN` of include/linux/module.h is 56 on 64-bit kernels).
const NAME_MAX: usize = 56;

/// The most names to tell for one job, and the most bytes of the file: a program may make the kernel request for ever.
const NAMES_MAX: usize = 128;
const FILE_MAX: u64 = 16 << 10;

/// Writes down a request of the kernel. It fails like a modprobe that finds no such module.
pub fn record(name: &str) -> ExitCode {
    if is_name(name)
        && let Ok(Some(mut file)) = held_by_process_1()
        && let Ok(known) = read(&mut file)
        && known.lines().all(|line| line != name)
        && (known.len() as u64) < FILE_MAX
    {
        // One write, because the kernel may run several helpers at once.
        let _ = file.write_all(format!("{name}\n").as_bytes());
    }
    ExitCode::FAILURE
}

fn held_by_process_1() -> io::Result<Option<File>> {
    for entry in fs::read_dir("/proc/1/fd")?.flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target == Path::new(UNLINKED)) {
            return OpenOptions::new().read(true).append(true).open(entry.path()).map(Some);
        }
    }
    Ok(None)
}

/// What the kernel requests. Process 1 makes it before the first program runs.
#[derive(Debug)]
pub struct ModuleRequests(File);

impl ModuleRequests {
    /// Makes the file.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(REQUESTS)?;
        fs::remove_file(REQUESTS)?;
        Ok(Self(file))
    }

    /// Writes down requests from now on, whatever earlier programs and the cleaning after them did. A kernel without modules
    /// requests none.
    pub fn listen(&self) {
        // Of an earlier program.
        let _ = self.0.set_len(0);
        let _ = sysctl::write("kernel.modprobe", AGENT);
    }

    /// The modules that were requested since then, each once, in order.
    pub fn heard(&mut self) -> Vec<String> {
        read(&mut self.0).map(|text| names(&text)).unwrap_or_default()
    }
}

fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(2 * FILE_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
    fn file_is_read_from_its_start_and_up_to_a_limit() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"net-pf-21\n\xff\n").expect("written");
        assert_eq!(names(&read(&mut file).expect("a text")), ["net-pf-21"]);
        assert_eq!(names(&read(&mut file).expect("a text")), ["net-pf-21"]);
        file.write_all(&[b'x'; 100_000]).expect("written");
        assert_eq!(read(&mut file).expect("a text").len() as u64, 2 * FILE_MAX + 2);
    }
}
