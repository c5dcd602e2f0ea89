//! Names recognised but unsupported files and texts.

/// The first bytes of files that are not outputs.
const BEGINNINGS: [(&[u8], &str); 14] = [
    (b"PK\x03\x04", "a zip archive (unpack it)"),
    (b"7z\xbc\xaf", "a 7-Zip archive (unpack it)"),
    (b"Rar!", "a RAR archive (unpack it)"),
    (b"\xfd7zXZ\0", "a file packed with xz, damaged (unpack it)"),
    (b"\x1f\x8b", "a file packed with gzip, damaged (unpack it)"),
    (b"-----BEGIN PGP", "an encrypted file (decrypt it)"),
    (b"\x85", "an encrypted file (decrypt it)"),
    (b"\x89PNG", "an image (paste the text)"),
    (b"\xff\xd8\xff", "an image (paste the text)"),
    (b"%PDF", "a PDF (paste the text)"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture"),
    (b"LPKSHHRH", "a binary journal (run `journalctl --file=… -k`)"),
    (b"\x7fELF", "a program"),
];

/// Recognised but unsupported texts, by the beginning of a line.
const TEXTS: [(&str, &str); 11] = [
    ("sockets: used ", "/proc/net/sockstat, which counts sockets and shows none (save `ss -tanmio`)"),
    ("Total: ", "`ss -s`, which counts sockets and shows none (save `ss -tanmio`)"),
    ("Tcp: RtoAlgorithm", "/proc/net/snmp (save /proc/net/netstat, or `nstat -az`)"),
    ("Kernel Interface table", "`netstat -i` (save `netstat -s`)"),
    ("Kernel IP routing table", "`netstat -r` (save `netstat -s`)"),
    ("Iface      MTU", "`netstat -i` (save `netstat -s`)"),
    ("Content-Transfer-Encoding: base64", "a mail in base64 (save its text)"),
    ("COMMAND ", "`lsof` (save `ss -tanmio`)"),
    ("Active UNIX domain sockets", "`netstat -x` (save `netstat -tan`)"),
    ("Active Internet connections (only servers)", "`netstat -l`, which shows no connections"),
    ("protocol  size sockets", "/proc/net/protocols"),
];

/// The kind of file that these bytes are.
pub fn file(bytes: &[u8]) -> Option<&'static str> {
    BEGINNINGS.iter().find_map(|(begin, what)| bytes.starts_with(begin).then_some(*what))
}

/// The kind of output that a text is.
pub fn text(text: &str) -> Option<&'static str> {
    let lines = || text.lines().take(5000).map(super::text::bare);
    TEXTS.iter().find_map(|(begin, what)| lines().any(|line| line.starts_with(begin)).then_some(*what))
}

/// A description of a file without known contents.
pub fn nothing(bytes: &[u8], decoded: &str) -> String {
    if bytes.is_empty() {
        return "an empty file".to_owned();
    }
    if let Some(what) = file(bytes).or_else(|| text(decoded)) {
        return what.to_owned();
    }
    let is_binary =
        decoded.chars().take(4000).filter(|c| c.is_control() && !c.is_whitespace() || *c == '\u{fffd}').count() > 8;
    if is_binary {
        return "binary data".to_owned();
    }
    let first = decoded.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let begin: String = first.chars().take(40).collect();
    match decoded.lines().count() {
        0 | 1 => format!("one line: {begin:?}"),
        lines => format!("{lines} lines, the first of which is {begin:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_their_content() {
        for (bytes, expected) in [
            (&b""[..], "empty"),
            (b"PK\x03\x04xx", "zip"),
            (b"sockets: used 290\nTCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1\n", "sockstat"),
            (b"> Total: 290 (kernel 0)\nTCP:   5 (estab 2)\n", "ss -s"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "binary"),
            (b"hello\nworld\n", "2 lines, the first of which is \"hello\""),
        ] {
            let found = nothing(bytes, &String::from_utf8_lossy(bytes));
            assert!(found.contains(expected), "{found}");
        }
    }
}
