//! Takes a program's output, line by line or as a whole, within limits.

use std::io::{BufRead as _, BufReader, Read};
use std::process::ExitStatus;

use super::Say;
use super::judge::{self, ProgramJudgement};
use super::ltp::{self, LtpLines};
use super::packetdrill::{self, PacketdrillLines};
use super::selftest_words::SelftestWords;
use super::tap::{self, TapKind, TapLines};
use backproof_protocol::{Message, ProgramProtocol};

/// The most bytes that a program may print on stdout. They go into one line of the protocol, which holds twice as much.
const STDOUT_MAX: usize = 32 * 1024;

/// The most bytes of a stream that is read line by line.
const LINES_MAX: usize = 1 << 20;

/// The most lines of a stream that are passed on, and the most characters of each.
pub(super) const SAID_MAX: (usize, usize) = (20, 200);

/// The longest piece of a line to look at, in bytes.
const LINE_MAX: u64 = 4096;

/// A stream of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Its stdout.
    Stdout,
    /// Its stderr.
    Stderr,
}

impl Stream {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What a stream told of the outcome.
#[derive(Debug)]
pub(super) enum Heard {
    /// Nothing, because it is for people.
    Nothing,
    /// All of it.
    Whole(Vec<u8>),
    /// Result lines of LTP.
    Ltp(LtpLines),
    /// Lines of TAP or KTAP.
    Tap(Box<TapLines>),
    /// What a selftest says beside its KTAP.
    Words(SelftestWords),
    /// Messages of packetdrill.
    Packetdrill(PacketdrillLines),
}

/// Reads a stream to its end. Its first lines are passed on for people.
///
/// # Errors
/// If it is longer than allowed.
pub(super) fn take(
    protocol: ProgramProtocol,
    stream: Stream,
    pipe: impl Read,
    job: &str,
    say: Say,
) -> Result<Heard, String> {
    let heard = match (protocol, stream) {
        (ProgramProtocol::Backproof, Stream::Stdout) => return whole(pipe),
        (ProgramProtocol::Ltp, _) => Heard::Ltp(LtpLines::default()),
        (ProgramProtocol::Packetdrill, Stream::Stderr) => Heard::Packetdrill(PacketdrillLines::default()),
        (ProgramProtocol::Ktap | ProgramProtocol::Tap, Stream::Stdout) => Heard::Tap(Box::default()),
        (ProgramProtocol::Ktap, Stream::Stderr) => Heard::Words(SelftestWords::default()),
        _ => Heard::Nothing,
    };
    lines(heard, stream, pipe, job, say)
}

fn whole(pipe: impl Read) -> Result<Heard, String> {
    let mut bytes = Vec::new();
    // A read error counts as the end of the pipe.
    let _ = pipe.take(STDOUT_MAX as u64 + 1).read_to_end(&mut bytes);
    if bytes.len() > STDOUT_MAX { Err(too_much(STDOUT_MAX, Stream::Stdout)) } else { Ok(Heard::Whole(bytes)) }
}

/// Reads all lines, so that the program doesn't block, and passes the first on.
fn lines(mut heard: Heard, stream: Stream, pipe: impl Read, job: &str, say: Say) -> Result<Heard, String> {
    let (most, characters) = SAID_MAX;
    let mut pipe = BufReader::new(pipe.take(LINES_MAX as u64 + 1));
    let (mut said, mut read, mut at_start) = (0, 0, true);
    loop {
        let mut line = Vec::new();
        // An overlong line is read in pieces, of which the first counts.
        let taken = pipe.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).unwrap_or(0);
        read += taken;
        if taken == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        match &mut heard {
            Heard::Ltp(lines) if at_start => lines.line(text),
            Heard::Tap(lines) if at_start => lines.line(text),
            Heard::Words(words) if at_start => words.line(text),
            Heard::Packetdrill(lines) if at_start => lines.line(text),
            _ => {}
        }
        if stream == Stream::Stderr && at_start && is_load_failure(text) {
            return Err(format!("its program, or one that it runs, did not start: {text:.300}"));
        }
        at_start = line.ends_with(b"\n");
        let text: String = text.chars().take(characters).collect();
        if said < most && !text.is_empty() {
            said += 1;
            say(&Message::Said { job: job.to_owned(), text });
        }
    }
    if read > LINES_MAX { Err(too_much(LINES_MAX, stream)) } else { Ok(heard) }
}

/// Whether a loader says that it cannot start a program: glibc's (elf/dl-version.c, elf/dl-minimal.c, elf/rtld.c) or musl's
/// (ldso/dynlink.c). It exits with a status that programs have for results.
fn is_load_failure(line: &str) -> bool {
    line.contains(": error while loading shared libraries: ")
        || line.contains(": symbol lookup error: ")
        || line.contains(": version `") && line.contains("' not found (required by ")
        || line.starts_with("Error loading shared library ")
        || line.starts_with("Error relocating ")
}

fn too_much(limit: usize, stream: Stream) -> String {
    format!("its program was killed after printing more than {limit} bytes on {}", stream.as_str())
}

/// Judges a program that has ended by its status and both streams.
pub(super) fn judge(protocol: ProgramProtocol, status: ExitStatus, stdout: Heard, stderr: Heard) -> ProgramJudgement {
    match (stdout, stderr) {
        (Heard::Whole(bytes), _) => judge::judge(status, &bytes),
        (Heard::Ltp(mut lines), Heard::Ltp(more)) => {
            lines.merge(more);
            ltp::judge(status, &lines)
        }
        (Heard::Tap(lines), Heard::Words(words)) => tap::judge(TapKind::Ktap, status, &lines.with(words)),
        (Heard::Tap(lines), _) => tap::judge(TapKind::Tap, status, &lines),
        (_, Heard::Packetdrill(lines)) => packetdrill::judge(status, &lines),
        _ if protocol == ProgramProtocol::Crash => judge::without_crash(status),
        _ => judge::by_status(status),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn first_lines_of_stderr_are_passed_on() {
        static TOLD: Mutex<Vec<Message>> = Mutex::new(Vec::new());
        let text = (1..100).map(|n| format!("{n}\n")).collect::<String>() + &"0".repeat(500);
        let say: Say = |message| TOLD.lock().expect("no panic").push(message.clone());
        let heard = take(ProgramProtocol::Backproof, Stream::Stderr, text.as_bytes(), "a-bug", say);
        let said = TOLD.lock().expect("no panic");
        assert_eq!(said.len(), SAID_MAX.0);
        assert!(matches!(&said[0], Message::Said { job, text } if job == "a-bug" && text == "1"), "{:?}", said[0]);
        assert!(matches!(heard, Ok(Heard::Nothing)));
    }

    #[test]
    fn program_that_is_not_loaded_is_an_error() {
        for (line, fails) in [
            ("./m: ./libfoo.so.1: version `FOO_2' not found (required by ./m)", true),
            ("./m: error while loading shared libraries: libfoo.so.1: cannot open shared object file", true),
            ("./m: symbol lookup error: ./m: undefined symbol: foo", true),
            ("Error loading shared library libfoo.so.1: No such file or directory (needed by ./m)", true),
            ("Error relocating ./m: foo: symbol not found", true),
            ("TFAIL: version 2 was not found", false),
        ] {
            for protocol in ProgramProtocol::ALL {
                let heard = take(protocol, Stream::Stderr, line.as_bytes(), "a-bug", |_| {});
                assert_eq!(heard.as_ref().is_err_and(|why| why.contains(line)), fails, "{line}");
            }
        }
        // Only the loader's own words count.
        assert!(take(ProgramProtocol::Ltp, Stream::Stdout, &b"Error relocating x"[..], "a-bug", |_| {}).is_ok());
    }

    #[test]
    fn piece_of_an_overlong_line_is_no_result() {
        let text = format!("{}not ok 1\nok 1\n1..1\n", "x".repeat(4096));
        let Ok(Heard::Tap(lines)) = take(ProgramProtocol::Tap, Stream::Stdout, text.as_bytes(), "a-bug", |_| {}) else {
            panic!("no TAP");
        };
        let judged = tap::judge(TapKind::Tap, ExitStatus::default(), &lines);
        assert!(judged.why.contains("1 ok, 0 not ok"), "{judged:?}");
    }
}
