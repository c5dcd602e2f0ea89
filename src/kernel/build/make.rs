//! Runs make: its output goes into a log, line by line. It ends with this process, and so do its children.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::workarounds::Workarounds;
use crate::child::{self, Patient};
use crate::kernel::quoted::Quoted;
use crate::shim::Shim;

/// Lines of the log that an error shows.
const TAIL: usize = 12;

/// Bytes of one line of make's output.
const MAX_LINE: u64 = 64 << 10;

/// The longest silence is the last link, less than a minute on a quiet host.
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// The time that make may live after it has closed its output.
const LAST_WAIT: Duration = Duration::from_secs(60);

/// Bytes that make may print in one run: a whole build prints less than 1 MiB.
const MAX_LOG: u64 = 256 << 20;

/// The most objects that one run lists; a distribution's kernel has some 20,000.
const MAX_COMPILED: usize = 100_000;

/// Constants of every kernel, so the same recipe gives the same bytes (Documentation/kbuild/kbuild.rst).
const CONSTANT: [(&str, &str); 4] = [
    ("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 1970"),
    ("KBUILD_BUILD_USER", "backproof"),
    ("KBUILD_BUILD_HOST", "control"),
    ("KBUILD_BUILD_VERSION", "1"),
];

/// The result of make.
pub(in crate::kernel) struct MakeRun {
    pub status: ExitStatus,
    /// Lines that it printed.
    pub lines: u64,
    /// The last of them.
    pub tail: Vec<String>,
    /// Whether a line says that the disk is full.
    pub disk_full: bool,
    /// The first line that is an error. Others follow it from make's other jobs, so it may not be among the last lines.
    pub first_error: Option<String>,
    /// The objects that it compiled, as it names them.
    pub compiled: Vec<String>,
    /// Arguments that would help if it failed.
    pub suggested: Workarounds,
}

/// Make and its children. Killed on an error, so that no compiler is left running.
struct MakeFamily(Child);

impl Drop for MakeFamily {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // The process may have ended already.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Runs `make` with `args`; appends its output to `log`, and calls `line` with the number of lines so far.
///
/// # Errors
/// If make cannot be started, or the log cannot be written.
pub(in crate::kernel) fn run(
    args: &[OsString],
    log: &Path,
    shim: &Shim,
    mut line: impl FnMut(u64),
) -> io::Result<MakeRun> {
    // Unbuffered, so the log always has the last line.
    let mut log = File::options().create(true).append(true).open(log)?;
    let shown: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    writeln!(log, "$ make {}", shown.join(" "))?;
    let (output, input) = io::pipe()?;
    let mut command = shim.family("make");
    // The caller's ARCH, LLVM or MAKEFLAGS would build another kernel.
    command.args(args).env_clear().env("LC_ALL", "C").envs(CONSTANT);
    command.envs(["PATH", "HOME", "TMPDIR"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let mut family = MakeFamily(command.spawn()?);
    // The command holds the pipe's other end, which must close for the output to end.
    drop(command);
    let mut ran = MakeRun {
        status: ExitStatus::default(),
        lines: 0,
        tail: Vec::new(),
        disk_full: false,
        first_error: None,
        compiled: Vec::new(),
        suggested: Workarounds::default(),
    };
    let mut tail = VecDeque::new();
    let mut output = BufReader::new(Patient::new(output, SILENCE, None));
    let (mut bytes, mut room) = (Vec::new(), MAX_LOG);
    loop {
        bytes.clear();
        let read = io::Read::take(&mut output, MAX_LINE).read_until(b'\n', &mut bytes);
        // Returning kills make and all that it started.
        let read = read.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                let why = format!("make printed nothing for {} minutes and was killed", SILENCE.as_secs() / 60);
                io::Error::new(io::ErrorKind::TimedOut, why)
            }
            _ => error,
        })?;
        if read == 0 {
            break;
        }
        room = room
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("make printed more than {} MiB and was killed", MAX_LOG >> 20)))?;
        log.write_all(&bytes)?;
        let text = bytes.trim_ascii_end();
        ran.disk_full |= contains(text, b"No space left on device") || contains(text, b"Disk quota exceeded");
        if tail.len() == TAIL {
            tail.pop_front();
        }
        let shown = Quoted::of(text).to_string();
        let said = String::from_utf8_lossy(text);
        ran.suggested.notice(&said);
        if ran.first_error.is_none() && is_error(&said) {
            ran.first_error = Some(shown.clone());
        }
        if ran.compiled.len() < MAX_COMPILED {
            ran.compiled.extend(compiled(&said));
        }
        tail.push_back(shown);
        ran.lines += 1;
        line(ran.lines);
    }
    let ended = child::reap(&mut family.0, Instant::now() + LAST_WAIT)?;
    ran.status = ended.ok_or_else(|| io::Error::other("make closed its output and did not end; it was killed"))?;
    ran.tail = tail.into();
    Ok(ran)
}

/// Whether the compiler, the assembler or the linker reports an error in this line.
fn is_error(line: &str) -> bool {
    ["error: ", "Error: ", "undefined reference to", "multiple definition of"].iter().any(|word| line.contains(word))
}

/// The object that kbuild says it compiles: `  CC      net/ipv4/tcp.o`, `  AS [M]  …`.
fn compiled(line: &str) -> Option<String> {
    let (how, object) = line.strip_prefix("  ")?.split_once(' ')?;
    let object = object.trim_start().trim_start_matches("[M]").trim();
    // Each link makes the symbol table and the decompressor again.
    let is_of_link = object.starts_with('.') || object.starts_with("arch/x86/boot/");
    (matches!(how, "CC" | "AS") && object.ends_with(".o") && !is_of_link).then(|| object.to_owned())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The processor time of this process's finished children; `None` if /proc does not say.
pub(in crate::kernel) fn children_cpu() -> Option<Duration> {
    let ticks = parse_children(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64))
}

/// `cutime` and `cstime`, the 16th and 17th field of /proc/PID/stat (proc_pid_stat(5)), in ticks. The second field, the
/// program's name, may contain anything and ends at the last parenthesis.
fn parse_children(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    ticks()?.checked_add(ticks()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn processor_time_is_read_for_any_program_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 1 2 3 4 10 20 300 40 20 0 1 0 99 1 1";
        assert_eq!(parse_children(stat), Some(340));
        assert!(children_cpu().is_some());
    }

    #[test]
    fn compiled_objects_and_errors_are_recognised() {
        for (line, object) in [
            ("  CC      net/ipv4/tcp.o", Some("net/ipv4/tcp.o")),
            ("  CC [M]  net/a.o", Some("net/a.o")),
            ("  AS      arch/x86/entry/entry_64.o", Some("arch/x86/entry/entry_64.o")),
            ("  LD      vmlinux.o", None),
            ("  AS      .tmp_vmlinux.kallsyms1.o", None),
            ("  CC      arch/x86/boot/compressed/misc.o", None),
            ("  CC      ", None),
            ("  HOSTCC  scripts/a.o", None),
            ("net/a.c: error: CC x.o", None),
        ] {
            assert_eq!(compiled(line).as_deref(), object, "{line}");
        }
        assert!(is_error("net/a.c:1:2: error: expected ';'") && is_error("ld: a.o: undefined reference to `x'"));
        assert!(!is_error("make[1]: *** [a.o] Error 1") && !is_error("  CC      net/error.o"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\)|[0-9]{1,22} |\\PC){0,30}") {
            let _ = parse_children(&text);
        }
    }
}
