//! Excerpts of a boot's files: the end of its console, and the command that boots it again.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::super::web::inert::{Text, Texts, inert_bytes};
use crate::regular;

/// The most bytes to read from the end of a console.
const TAIL: u64 = 64 << 10;

/// The longest line to show, in characters.
const LINE_MOST: usize = 300;

/// The most lines of a command.
const COMMAND_LINES: usize = 60;

/// The largest command, in bytes.
const COMMAND_MOST: u64 = 16 << 10;

/// The last lines of a console.
pub(super) fn console(boot: &Path, lines: usize) -> Vec<String> {
    let Ok(bytes) = tail(&boot.join("console.log")) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all.iter().skip(all.len().saturating_sub(lines)).map(|line| shortened(line)).collect()
}

fn shortened(line: &str) -> String {
    let mut short: String = line.trim_end().chars().take(LINE_MOST).collect();
    if short.len() < line.trim_end().len() {
        short.push('…');
    }
    short
}

fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file: File = regular::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The lines of a boot's boot.sh, without its comments.
pub(super) fn command(boot: &Path, texts: &mut Texts) -> Vec<Text> {
    let Ok(bytes) = regular::read(&boot.join("boot.sh"), COMMAND_MOST) else { return Vec::new() };
    let text = inert_bytes(&bytes);
    let lines = text.lines().filter(|line| !line.starts_with('#')).take(COMMAND_LINES);
    texts.keep_all(lines.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_gives_its_last_lines_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let hostile = [b"first\n".as_slice(), &vec![b'x'; 1 << 20], b"\n\n\xff\x1b[31mlast\r\n"].concat();
        std::fs::write(folder.path().join("console.log"), hostile).expect("a file");
        let lines = console(folder.path(), 2);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].chars().count(), LINE_MOST + 1);
        assert_eq!(lines[1], "\u{fffd}\u{1b}[31mlast");
        assert_eq!(console(&folder.path().join("none"), 2), Vec::<String>::new());
    }

    #[test]
    fn command_is_read_without_comments() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("boot.sh"), "#!/bin/sh\n# why\nexec qemu \\\n  -m 256M\n").expect("a file");
        let mut texts = Texts::default();
        assert_eq!(command(folder.path(), &mut texts).len(), 2);
        assert_eq!(texts.into_all(), ["exec qemu \\", "  -m 256M"]);
    }
}
